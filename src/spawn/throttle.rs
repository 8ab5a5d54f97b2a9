//! The throttle: keeps a sandbox to its share of processor time, by stopping all of it for short whiles.
//!
//! A sandbox earns processor time as the clock goes, spends it, and may owe a little: what it owes it waits for, stopped. So the
//! average holds, whatever a single turn costs.
//!
//! Only what the throttle itself has stopped goes on again: not who was stopped before (by SIGSTOP, by job control), nor who was
//! told to stop meanwhile. The kernel tells them apart: a process that has stopped takes no further signal, so that the throttle's, or
//! the other one, waits for as long as it is stopped. And nobody goes on while the owner has paused the sandbox.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::feature::Feature;
use crate::members;
use crate::policy::Limit;
use crate::sys;

use super::gauge::{CpuAccount, clocks_of, processors};
use super::prepare::Prepared;

/// Shortest and longest time between two looks.
const SOONEST: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(50);
/// Time that a sandbox which did nothing can have saved up at most.
const SAVINGS: Duration = Duration::from_millis(20);
/// A look takes at most a fifth of the time until the next.
const SHARE: u32 = 4;

/// The share of a sandbox and what it has used of it.
pub(super) struct Throttle {
    /// Per cent of one processor; None: not limited.
    share: Option<u64>,
    account: CpuAccount,
    /// Processor time used when it was last looked at, and when that was.
    last: (Duration, Instant),
    /// What it may use (positive) or owes, nanoseconds of processor time.
    credit: i128,
    known: BTreeMap<i32, Duration>,
    next: Option<Instant>,
    /// The throttle has stopped it.
    stopped: bool,
    /// What the owner has said last.
    paused: Cell<bool>,
    /// The owner has let everything go on.
    resumed: Cell<bool>,
}

impl Throttle {
    /// For a sandbox whose program has just begun at `start`. `held`: a control group keeps it to its share.
    pub(super) fn new(prepared: &Prepared, scoped: bool, start: Instant, held: bool) -> Self {
        let used = prepared.compiled.decisions.uses(Feature::Limits) && !held;
        // Without a domain those that must stop could not be told from others.
        let share = prepared.policy.limit(Limit::CpuShare).filter(|_| used && scoped);
        Self {
            share,
            account: CpuAccount::default(),
            last: (Duration::ZERO, start),
            credit: 0,
            known: BTreeMap::new(),
            next: share.map(|_| start + SOONEST),
            stopped: false,
            paused: Cell::new(false),
            resumed: Cell::new(false),
        }
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// The owner has paused the sandbox, or let it go on.
    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.set(paused);
        self.resumed.set(!paused);
    }

    /// Looks no more: the sandbox is being killed.
    pub(super) fn put_away(&mut self) {
        self.next = None;
    }

    /// Looks, if it is time to, and stops the sandbox or lets it go on. `begun`: the program runs.
    pub(super) fn look(&mut self, begun: bool) {
        let now = Instant::now();
        let Some(share) = self.share else { return };
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        if self.resumed.take() {
            self.stopped = false;
        }
        if self.paused.get() || !begun {
            // It earns nothing meanwhile.
            self.last.1 = now;
            self.next = Some(now + LATEST);
            return;
        }
        let pause = if self.stopped {
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
        let took = now.elapsed() * SHARE;
        self.next = Some(Instant::now() + pause.max(took));
    }

    /// Counts what was used since the last look, and stops the sandbox if that is too much. Returns when to look again.
    fn look_around(&mut self, share: u64, now: Instant) -> Duration {
        let Ok(found) = members::in_scope() else {
            return LATEST;
        };
        self.known = clocks_of(found.iter().map(|found| found.member.pid));
        let used = self.account.update(&found, &self.known);
        self.settle(share, used, now);
        if self.credit >= 0 {
            // With all processors busy it may be used up by then.
            let fastest = u64::from(processors()) * 100;
            let left = self.credit * 100 / i128::from(fastest.saturating_sub(share).max(1));
            return nanoseconds(left).clamp(SOONEST, LATEST);
        }
        self.stopped = true;
        // An error means that there is nobody.
        let _ = sys::signal::kill(-1, libc::SIGSTOP);
        self.until_paid(share)
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

    /// Lets go on whom the throttle has stopped. The youngest first: a parent that looks after its children sees them run.
    fn release(&mut self) {
        let Ok(mut found) = members::in_scope() else { return };
        self.stopped = false;
        found.sort_unstable_by_key(|found| std::cmp::Reverse(found.member.pid));
        for process in found {
            // Of one that has not stopped yet, on a busy machine, the signal that waits is the throttle's own.
            let others = matches!(process.state, 'T' | 't') && members::is_told_to_stop(process.member.pid);
            if !others {
                // An error means that it has just been killed.
                let _ = sys::signal::kill(process.member.pid, libc::SIGCONT);
            }
        }
        self.known.clear();
    }
}

fn nanoseconds(count: i128) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(0))
}
