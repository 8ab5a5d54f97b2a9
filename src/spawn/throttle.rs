//! The throttle: keeps a sandbox to its share of processor time, by stopping all of it for short whiles.
//!
//! A sandbox earns processor time as the clock goes, spends it, and may owe a little: what it owes it waits for, stopped. So the
//! average holds, whatever a single turn costs.
//!
//! Only what the throttle itself has stopped goes on again: not who was stopped before (by SIGSTOP, by job control), nor who was
//! told to stop meanwhile. The kernel tells them apart: a process that has stopped takes no further signal, so that the throttle's, or
//! the other one, waits for as long as it is stopped. And nobody goes on while the owner has paused the sandbox.
//!
//! Who has himself woken while he should stand still is stopped again, and owes what he has used. A sandbox that goes on like that,
//! and so never comes to pay, is killed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::feature::Feature;
use crate::members::{self, Found, Reach};
use crate::policy::Limit;
use crate::process::LimitHit;
use crate::sys;

use super::gauge::{Consequence, CpuAccount, clocks_of, processors};
use super::prepare::Prepared;
use super::vigil::{Pause, Vigil};

/// Shortest and longest time between two looks.
const SOONEST: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(50);
/// Longest time between two looks at a sandbox that is stopped.
const LATEST_STOPPED: Duration = Duration::from_millis(2);
/// Time that a sandbox which did nothing can have saved up at most.
const SAVINGS: Duration = Duration::from_millis(20);
/// A look takes at most a fifth of the time until the next, of one processor.
const SHARE: u32 = 4;
/// How often somebody may have himself woken before what is owed is paid.
const MOST_WAKINGS: u32 = 16;

/// The share of a sandbox and what it has used of it.
pub(super) struct Throttle {
    /// Per cent of one processor; None: not limited.
    share: Option<u64>,
    reach: Reach,
    account: CpuAccount,
    /// Processor time used when it was last looked at, and when that was.
    last: (Duration, Instant),
    /// What it may use (positive) or owes, nanoseconds of processor time.
    credit: i128,
    known: BTreeMap<i32, Duration>,
    next: Option<Instant>,
    /// The throttle has stopped it: who was stopped, and how often one of them was woken meanwhile.
    stopped: bool,
    vigil: Vigil,
    wakings: u32,
    /// Who was stopped by others, if that was found out before the throttle's signal was sent a second time.
    held: Option<BTreeSet<i32>>,
    /// Processor time used, and when that was, when the sandbox last owed nothing.
    unindebted: (Duration, Instant),
    pause: Pause,
    /// The owner has let everything go on.
    resumed: Cell<bool>,
}

impl Throttle {
    /// For a sandbox whose program has just begun at `start`. `held`: a control group keeps it to its share.
    pub(super) fn new(prepared: &Prepared, reach: Reach, start: Instant, held: bool) -> Self {
        let used = prepared.compiled.decisions.uses(Feature::Limits) && !held;
        // Without a domain those that must stop could not be told from others.
        let share = prepared
            .policy
            .limit(Limit::CpuShare)
            .filter(|_| used && reach.is_whole());
        Self {
            share,
            reach,
            account: CpuAccount::default(),
            last: (Duration::ZERO, start),
            credit: 0,
            known: BTreeMap::new(),
            next: share.map(|_| start + SOONEST),
            stopped: false,
            vigil: Vigil::default(),
            wakings: 0,
            held: None,
            unindebted: (Duration::ZERO, start),
            pause: Pause::new(reach),
            resumed: Cell::new(false),
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.next, self.pause.due()].into_iter().flatten().min()
    }

    /// The owner has paused the sandbox, or let it go on.
    pub(super) fn set_paused(&self, paused: bool) {
        self.pause.set(paused);
        self.resumed.set(!paused);
    }

    /// Looks no more: the sandbox is being killed.
    pub(super) fn put_away(&mut self) {
        self.next = None;
        self.pause.set(false);
    }

    /// Looks, if it is time to, and stops the sandbox or lets it go on; or says that it cannot be stopped. `begun`: the program runs.
    pub(super) fn look(&mut self, begun: bool) -> Option<(LimitHit, Consequence)> {
        self.pause.look();
        let now = Instant::now();
        let share = self.share?;
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        if self.resumed.take() {
            self.stopped = false;
            self.wakings = 0;
            self.held = None;
        }
        if self.pause.is_on() || !begun {
            // It earns nothing meanwhile.
            self.last.1 = now;
            self.next = Some(now + LATEST);
            return None;
        }
        let before = sys::clock::thread_time();
        let pause = if self.stopped && self.vigil.is_broken(self.reach) {
            self.wakings += 1;
            if self.wakings > MOST_WAKINGS {
                return Some((self.hit(share, now), Consequence::KillAll));
            }
            self.stop_again(share, now)
        } else if self.stopped {
            self.settle(share, self.last.0, now);
            if self.credit < 0 {
                self.until_paid(share)
            } else {
                self.release();
                SOONEST
            }
        } else if !self.known.is_empty() && clocks_of(self.known.keys().copied()) == self.known {
            // Nobody has run.
            self.settle(share, self.last.0, now);
            LATEST
        } else {
            self.look_around(share, now)
        };
        let took = sys::clock::thread_time().saturating_sub(before) * SHARE;
        // Those who are stopped are looked at before their time comes, but do not wait longer for that.
        let rest = if self.stopped {
            pause.min(LATEST_STOPPED.max(took))
        } else {
            pause.max(took)
        };
        self.next = Some(Instant::now() + rest);
        None
    }

    /// Counts what was used since the last look, and stops the sandbox if that is too much. Returns when to look again.
    fn look_around(&mut self, share: u64, now: Instant) -> Duration {
        let Ok(found) = self.take_account(share, now) else {
            return LATEST;
        };
        self.release_newborn(&found);
        if self.credit >= 0 {
            self.unindebted = self.last;
            // With all processors busy it may be used up by then.
            let fastest = u64::from(processors()) * 100;
            let left = self.credit * 100 / i128::from(fastest.saturating_sub(share).max(1));
            return nanoseconds(left).clamp(SOONEST, LATEST);
        }
        self.stopped = true;
        // An error means that there is nobody.
        let _ = self.reach.signal(libc::SIGSTOP, -1);
        self.vigil = Vigil::default();
        self.until_paid(share)
    }

    /// Stops the sandbox, in which somebody was woken, once more.
    fn stop_again(&mut self, share: u64, now: Instant) -> Duration {
        if let Ok(found) = self.take_account(share, now)
            && self.held.is_none()
        {
            let held = found.iter().filter(|found| is_held(found));
            self.held = Some(held.map(|found| found.member.pid).collect());
        }
        let _ = self.reach.signal(libc::SIGSTOP, -1);
        self.vigil = Vigil::default();
        self.until_paid(share)
    }

    /// Finds who is there, and settles what they have used.
    fn take_account(&mut self, share: u64, now: Instant) -> sys::Result<Vec<Found>> {
        let found = self.reach.found()?;
        self.known = clocks_of(found.iter().map(|found| found.member.pid));
        let used = self.account.update(&found, &self.known);
        self.settle(share, used, now);
        Ok(found)
    }

    /// What a sandbox has used that does not pay: per cent of a processor, since it last owed nothing.
    fn hit(&self, share: u64, now: Instant) -> LimitHit {
        let (before, then) = self.unindebted;
        let used = self.last.0.saturating_sub(before).as_nanos();
        let reading = used * 100 / (now - then).as_nanos().max(1);
        LimitHit {
            limit: Limit::CpuShare.number(),
            value: share,
            reading: u64::try_from(reading).unwrap_or(u64::MAX).max(share),
        }
    }

    /// Credits the time since the last look, and debits what was used in it.
    fn settle(&mut self, share: u64, used: Duration, now: Instant) {
        let (before, then) = self.last;
        let earned = (now - then).as_nanos() * u128::from(share) / 100;
        let spent = used.saturating_sub(before);
        let most = SAVINGS.as_nanos() * u128::from(share) / 100;
        let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
        self.credit = (self.credit + signed(earned) - signed(spent.as_nanos())).min(signed(most));
        self.last = (used.max(before), now);
    }

    /// How long it takes to earn what is owed.
    fn until_paid(&self, share: u64) -> Duration {
        let owed = (-self.credit).max(0);
        nanoseconds(owed * 100 / i128::from(share.max(1))).max(SOONEST)
    }

    /// A fork that was under way when the throttle's signal came hands that on to its child, which may come to be only after the others
    /// were let go on. It has stopped before it has run anything of the program's. Who is stopped so early by its own parent looks the
    /// same, and so does a child of vfork(2), which touches no memory of its own: these go on, too.
    fn release_newborn(&self, found: &[Found]) {
        for process in found {
            let pid = process.member.pid;
            if process.has_stopped() && members::has_run_nothing(pid) {
                self.reach.signal_one(pid, libc::SIGCONT);
            }
        }
    }

    /// Lets go on whom the throttle has stopped. The youngest first: a parent that looks after its children sees them run.
    fn release(&mut self) {
        let Ok(mut found) = self.reach.found() else { return };
        self.stopped = false;
        self.wakings = 0;
        let held = self.held.take();
        found.sort_unstable_by_key(|found| std::cmp::Reverse(found.member.pid));
        for process in found {
            let others = match &held {
                Some(held) => held.contains(&process.member.pid),
                None => is_held(&process),
            };
            if !others {
                self.reach.signal_one(process.member.pid, libc::SIGCONT);
            }
        }
        self.known.clear();
    }
}

/// True if somebody else than the throttle has stopped it. Of one that has not stopped yet, on a busy machine, the signal that waits
/// is the throttle's own.
fn is_held(process: &Found) -> bool {
    process.has_stopped() && members::is_told_to_stop(process.member.pid)
}

fn nanoseconds(count: i128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(0))
}
