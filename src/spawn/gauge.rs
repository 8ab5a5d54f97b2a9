//! The gauge: what the warden reads, again and again, of what a sandbox uses as a whole.
//!
//! A look costs a walk through /proc. So a sandbox in which nothing has run since the last look, which the kernel's clocks of
//! processor time tell exactly, is not looked at again, and asked less and less often. Otherwise the next look comes before a
//! program could have used up what is left to it, and not before nine times the time that the last one took has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant, SystemTime};

use crate::feature::Feature;
use crate::members::memory::{self, Files, Patience, Places, Tree};
use crate::members::{Found, Reach};
use crate::policy::{Flag, Limit, Source};
use crate::process::LimitHit;
use crate::sys;

use super::prepare::Prepared;
use super::reading::Reading;

/// How much of a processor a look at memory may take: the warden has other things to do, and the kill waits for it.
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// How long the warden waits for it, however busy the processors are.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Bytes a second that a program may take into use: about what two processors do.
const FASTEST: u64 = 4 << 30;
/// Shortest and longest time between two looks at a sandbox in which something runs.
const SOONEST: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(100);
/// Longest time until a sandbox that did nothing is asked again.
const LATEST_IDLE: Duration = Duration::from_millis(500);
/// A look takes at most a tenth of the time until the next, of one processor.
const SHARE: u32 = 9;
/// How long a killed process may take to let go of its memory before it counts again, and another is killed.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// What has come of exceeding a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// Time is up: the sandbox is warned, if the policy says so, and killed.
    TimeIsUp,
    /// The sandbox is killed at once.
    KillAll,
    /// This process is killed.
    Kill(i32),
    /// The kernel has killed one already.
    Killed,
}

/// The limits of a sandbox as a whole, and what was read of it.
pub(super) struct Gauge<'a> {
    prepared: &'a Prepared,
    program: i32,
    reach: Reach,
    memory: Option<u64>,
    cpu: Option<(Duration, CpuAccount)>,
    wall: Option<Instant>,
    start: Instant,
    next: Option<Instant>,
    /// Who was there at the last look, and the processor time of each before it.
    known: BTreeMap<i32, Duration>,
    /// Nothing ran during the last look: what it saw is all there is.
    settled: bool,
    pause: Duration,
    /// Directories that may be written to; and where files in memory lie, once that was needed, and since when they count.
    writable: Vec<Tree>,
    places: Option<Places>,
    since: i64,
    /// The processor time of what was read apart in the last look; and a reading that goes on, because it has taken too long.
    took_apart: Duration,
    late: Option<Reading<(u64, Duration)>>,
    /// Who was killed for the memory it held, and until when it may take to let go of it.
    victims: BTreeMap<i32, Instant>,
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        // Nothing is left behind: whoever was looked at has been killed, and that ends the reading.
        if let Some(late) = self.late.take() {
            let _ = late.wait(LAST_BREATH);
        }
    }
}

impl<'a> Gauge<'a> {
    /// A gauge for the program `program`, which has just begun at `start`, of what no control group `holds`.
    pub(super) fn new(
        prepared: &'a Prepared,
        program: i32,
        reach: Reach,
        start: Instant,
        holds: impl Fn(Limit) -> bool,
    ) -> Self {
        let policy = &prepared.policy;
        let decisions = &prepared.compiled.decisions;
        let timed = |limit| policy.limit(limit).filter(|_| decisions.uses(Feature::Limits));
        let memory = policy
            .limit(Limit::Memory)
            .filter(|_| decisions.uses(Feature::Memory) && !holds(Limit::Memory));
        let cpu = timed(Limit::CpuTotal).map(|limit| (Duration::from_millis(limit), CpuAccount::default()));
        let mut gauge = Self {
            prepared,
            program,
            reach,
            memory,
            cpu,
            wall: timed(Limit::Wall).and_then(|limit| start.checked_add(Duration::from_millis(limit))),
            start,
            next: None,
            known: BTreeMap::new(),
            settled: false,
            pause: SOONEST,
            writable: Vec::new(),
            places: None,
            since: 0,
            took_apart: Duration::ZERO,
            late: None,
            victims: BTreeMap::new(),
        };
        if gauge.memory.is_some() || gauge.cpu.is_some() {
            gauge.since = seconds_since_1970();
            // Before the program can write anything there.
            if gauge.memory.is_some() {
                gauge.writable = gauge.find_writable();
            }
            gauge.pause_for(gauge.headroom(0, Duration::ZERO));
        }
        gauge
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        [self.next, self.wall].into_iter().flatten().min()
    }

    /// Looks no more: the sandbox is being killed.
    pub(super) fn put_away(&mut self) {
        self.next = None;
        self.wall = None;
    }

    /// Looks, if it is time to. A limit of time is told of once; after that it is the warden's to end the sandbox.
    /// `begun`: the program runs; before, the child holds the host's memory.
    pub(super) fn look(&mut self, begun: bool) -> Option<(LimitHit, Consequence)> {
        let now = Instant::now();
        if self.wall.is_some_and(|wall| now >= wall) {
            self.wall = None;
            let hit = self.hit(Limit::Wall, milliseconds(now - self.start));
            return Some((hit, Consequence::TimeIsUp));
        }
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        if !begun {
            self.pause_for(SOONEST);
            return None;
        }
        if self.settled && self.clocks() == self.known {
            self.pause = (self.pause * 2).min(LATEST_IDLE);
            self.next = Some(now + self.pause);
            return None;
        }
        let before = sys::clock::thread_time();
        let found = self.look_around();
        let Ok(found) = found else {
            // The host has no descriptor left, say: nobody is taken for absent.
            self.settled = false;
            self.next = Some(Instant::now() + LATEST);
            return None;
        };
        let used = self
            .cpu
            .as_mut()
            .map(|(_, account)| account.update(&found, &self.known));
        if let (Some(used), Some((limit, _))) = (used, &self.cpu)
            && used >= *limit
        {
            self.cpu = None;
            if self.memory.is_none() {
                self.next = None;
            }
            return Some((self.hit(Limit::CpuTotal, milliseconds(used)), Consequence::TimeIsUp));
        }
        let (held, verdict) = self.weigh(&found);
        // Not what others took meanwhile.
        let took = sys::clock::thread_time().saturating_sub(before) + std::mem::take(&mut self.took_apart);
        let headroom = self.headroom(held, used.unwrap_or_default());
        let rest = took.saturating_mul(SHARE).min(LONGEST_LOOK * SHARE);
        self.pause_for(headroom.max(rest).min(LATEST.max(rest)));
        verdict
    }

    fn hit(&self, limit: Limit, reading: u64) -> LimitHit {
        LimitHit {
            limit: limit.number(),
            value: self.prepared.policy.limit(limit).unwrap_or_default(),
            reading,
        }
    }

    fn pause_for(&mut self, pause: Duration) {
        self.pause = pause.max(SOONEST);
        self.next = Some(Instant::now() + self.pause);
    }

    /// How long it takes at least until a limit can be exceeded, but no longer than nobody should go unseen.
    fn headroom(&self, held: u64, used: Duration) -> Duration {
        let memory = self.memory.map(|limit| {
            let left = limit.saturating_sub(held).min(FASTEST);
            Duration::from_nanos(left.saturating_mul(1_000_000_000 / 1024) / (FASTEST / 1024))
        });
        let cpu = self
            .cpu
            .as_ref()
            .map(|(limit, _)| limit.saturating_sub(used) / processors());
        [memory, cpu].into_iter().flatten().fold(LATEST, Duration::min)
    }

    /// The processor time of those known; none of who has ended.
    fn clocks(&self) -> BTreeMap<i32, Duration> {
        clocks_of(self.known.keys().copied())
    }

    /// Finds who is there, and whether anything runs meanwhile.
    fn look_around(&mut self) -> sys::Result<Vec<Found>> {
        let before = self.clocks();
        let found = self.reach.found()?;
        let after = clocks_of(found.iter().map(|found| found.member.pid));
        self.settled = before == after;
        self.known = after;
        Ok(found)
    }

    /// Weighs what `found` hold: how much it is at most, and what follows if it is too much.
    fn weigh(&mut self, found: &[Found]) -> (u64, Option<(LimitHit, Consequence)>) {
        let Some(limit) = self.memory else { return (0, None) };
        let mut running: Vec<&Found> = found.iter().filter(|found| !found.has_ended()).collect();
        // What they hold will be free in a moment; what others take meanwhile counts.
        self.victims
            .retain(|victim, _| running.iter().any(|found| found.member.pid == *victim));
        running.retain(|found| {
            self.victims
                .get(&found.member.pid)
                .is_none_or(|until| Instant::now() >= *until)
        });
        // Who holds it is asked anew, whatever the clocks say.
        self.settled &= self.victims.is_empty();
        let (program, writable) = (self.program, &mut self.writable);
        let places = self
            .places
            .get_or_insert_with(|| Places::find(program, std::mem::take(writable)));
        let patience = Patience::new(LONGEST_LOOK);
        let mut files = Files::new(patience);
        let mut weights = BTreeMap::new();
        let mut most = 0;
        for process in &running {
            let held = memory::bound(process).unwrap_or_default();
            let open = files.add_open(process, places);
            weights.insert(process.member.pid, held.anonymous + held.shared + open);
            most += held.anonymous + held.shared;
        }
        let rest = if places.has_trees() {
            places.add_changed(self.since, &mut files)
        } else {
            0
        };
        let in_files = files.bytes() + rest;
        most += in_files;
        if files.is_unsure() {
            self.settled = false;
        }
        if files.is_cut_short() {
            // More descriptors than can be looked at hide more memory than can be allowed.
            let reading = most.max(limit.saturating_add(1));
            return (reading, Some((self.hit(Limit::Memory, reading), Consequence::KillAll)));
        }
        if most <= limit {
            return (most, None);
        }
        // What is shared was counted more than once.
        let distinct = memory::with_memory_of_their_own(&running)
            .into_iter()
            .cloned()
            .collect();
        let Some((exact, took)) = self.read_shares(distinct, files, (limit, in_files)) else {
            // More than can be looked at in time, as above.
            return (most, Some((self.hit(Limit::Memory, most), Consequence::KillAll)));
        };
        self.took_apart = took;
        if exact <= limit {
            return (exact, None);
        }
        // Not one that has been killed and hangs.
        weights.retain(|pid, _| !self.victims.contains_key(pid));
        let largest = weights.iter().max_by_key(|(_, weight)| **weight).map(|(&pid, _)| pid);
        let consequence = match largest {
            Some(pid) if self.reach.is_whole() && self.prepared.settings.has(Flag::MemoryKillsLargest) => {
                self.victims.insert(pid, Instant::now() + LAST_BREATH);
                // Who holds it is asked anew, whatever the clocks say.
                self.settled = false;
                Consequence::Kill(pid)
            }
            _ => Consequence::KillAll,
        };
        (exact, Some((self.hit(Limit::Memory, exact), consequence)))
    }

    /// What `running` hold together, if what several share counts once and `in_files` is in files, and the processor time that reading that
    /// has taken. None: it has taken too long.
    fn read_shares(
        &mut self,
        running: Vec<Found>,
        files: Files,
        (limit, in_files): (u64, u64),
    ) -> Option<(u64, Duration)> {
        let read = move || {
            let before = sys::clock::thread_time();
            let patience = Patience::new(LONGEST_LOOK);
            let files = files.with(patience);
            let (mut shared, mut exact) = (0, 0);
            for process in &running {
                let held = if patience.lasts() {
                    memory::share(process).unwrap_or_default()
                } else {
                    // No more time: it holds what it may hold at most.
                    memory::bound(process).unwrap_or_default()
                };
                shared += held.shared;
                exact += held.anonymous;
            }
            exact += shared + in_files;
            if exact > limit && shared > 0 && in_files > 0 {
                exact -= files.mapped(running.iter());
            }
            (exact, sys::clock::thread_time().saturating_sub(before))
        };
        match Reading::start(read)?.wait(LONGEST_WAIT) {
            Ok(read) => Some(read),
            Err(late) => {
                self.late = Some(late);
                None
            }
        }
    }

    /// What the program may write to, by paths of the warden's.
    fn find_writable(&self) -> Vec<Tree> {
        let policy = &self.prepared.policy;
        let rules = policy.paths.iter().filter(|rule| rule.access.writes());
        let writable = rules.map(|rule| -> &CStr { &rule.path });
        let (Reach::Namespace { init, .. }, true) = (self.reach, self.prepared.view.is_some()) else {
            return writable.map(Tree::new).collect();
        };
        // As the program sees them. The init is there as long as the sandbox.
        let is_memory = |source: &Source| matches!(source, Source::Memory { .. });
        let in_memory = policy.mounts.iter().filter(|mount| is_memory(&mount.source));
        let paths = writable.chain(in_memory.map(|mount| -> &CStr { &mount.target }));
        let seen = |path: &CStr| CString::new([format!("/proc/{init}/root").as_bytes(), path.to_bytes()].concat());
        paths.filter_map(|path| Some(Tree::new(&seen(path).ok()?))).collect()
    }
}

pub(super) fn clocks_of(pids: impl Iterator<Item = i32>) -> BTreeMap<i32, Duration> {
    pids.filter_map(|pid| Some((pid, sys::clock::process_time(pid).ok()?)))
        .collect()
}

pub(super) fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds_since_1970() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// Processor time of all that ever were in a sandbox, as far as anybody has seen them.
///
/// What has ended is in the account of who waited for it, if that is in the sandbox; otherwise, as with a daemon, what was last seen
/// of it is kept. Nobody tells of a process that both begins and ends between two looks and that nobody waits for.
#[derive(Default)]
pub(super) struct CpuAccount {
    seen: BTreeMap<i32, Seen>,
    /// Of those that have ended, and that nobody in the sandbox accounts for.
    kept: Duration,
}

#[derive(Clone, Copy)]
struct Seen {
    own: Duration,
    children: Duration,
    parent: i32,
}

/// /proc counts what was waited for in such steps.
const TICK: Duration = Duration::from_millis(10);

impl CpuAccount {
    /// The sum, now that `found` are there, with these clocks.
    pub(super) fn update(&mut self, found: &[Found], clocks: &BTreeMap<i32, Duration>) -> Duration {
        let mut now = BTreeMap::new();
        for process in found {
            let pid = process.member.pid;
            let before = self.seen.get(&pid);
            let own = clocks
                .get(&pid)
                .copied()
                .or(before.map(|seen| seen.own))
                .unwrap_or_default();
            let seen = Seen {
                own,
                children: Duration::from_micros(process.children_us),
                parent: process.parent,
            };
            now.insert(pid, seen);
        }
        self.keep_lost(&now);
        self.seen = now;
        let counted: Duration = self.seen.values().map(|seen| seen.own + seen.children).sum();
        counted + self.kept
    }

    /// Keeps what those had used that are gone, but for what has come into the accounts of others.
    fn keep_lost(&mut self, now: &BTreeMap<i32, Seen>) {
        let mut heirs: BTreeMap<Option<i32>, Duration> = BTreeMap::new();
        // A process id that now belongs to another has a clock that went back.
        let is_gone = |pid: &i32, seen: &Seen| now.get(pid).is_none_or(|again| again.own < seen.own);
        for (pid, seen) in &self.seen {
            if !is_gone(pid, seen) {
                continue;
            }
            let mut heir = seen.parent;
            let mut passed = BTreeSet::from([*pid]);
            while let Some(parent) = self.seen.get(&heir)
                && is_gone(&heir, parent)
                && passed.insert(heir)
            {
                heir = parent.parent;
            }
            let heir = now
                .contains_key(&heir)
                .then_some(heir)
                .filter(|heir| !passed.contains(heir));
            *heirs.entry(heir).or_default() += seen.own + seen.children;
        }
        for (heir, lost) in heirs {
            let inherited = heir.map_or(Duration::ZERO, |heir| {
                let before = self.seen.get(&heir).map_or(Duration::ZERO, |seen| seen.children);
                now[&heir].children.saturating_sub(before) + TICK
            });
            self.kept += lost.saturating_sub(inherited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Member;

    fn process(pid: i32, parent: i32, children_ms: u64) -> Found {
        Found {
            member: Member {
                pid,
                name: String::new(),
                resident: 0,
                cpu_us: 0,
            },
            parent,
            threads: 1,
            user_ticks: 0,
            children_us: children_ms * 1000,
            state: 'S',
        }
    }

    fn clocks(times: &[(i32, u64)]) -> BTreeMap<i32, Duration> {
        times
            .iter()
            .map(|&(pid, ms)| (pid, Duration::from_millis(ms)))
            .collect()
    }

    #[test]
    fn time_of_a_child_that_was_waited_for_counts_once() {
        let mut account = CpuAccount::default();
        account.update(&[process(1, 0, 0), process(2, 1, 0)], &clocks(&[(1, 100), (2, 500)]));
        let total = account.update(&[process(1, 0, 510)], &clocks(&[(1, 100)]));
        assert_eq!(total, Duration::from_millis(610));
    }

    #[test]
    fn time_of_those_that_nobody_in_the_sandbox_waits_for_is_kept() {
        let mut account = CpuAccount::default();
        // 3 is a daemon; 2 has a parent that ignores it.
        let all = [process(1, 0, 0), process(2, 1, 0), process(3, 0, 40)];
        account.update(&all, &clocks(&[(1, 100), (2, 500), (3, 300)]));
        let total = account.update(&[process(1, 0, 0)], &clocks(&[(1, 110)]));
        assert_eq!(total, Duration::from_millis(110 + 340 + 500) - TICK);
    }

    #[test]
    fn time_passes_on_through_parents_that_have_ended_too() {
        let mut account = CpuAccount::default();
        let all = [process(1, 0, 0), process(2, 1, 0), process(3, 2, 0)];
        account.update(&all, &clocks(&[(1, 10), (2, 20), (3, 30)]));
        let total = account.update(&[process(1, 0, 50)], &clocks(&[(1, 10)]));
        assert_eq!(total, Duration::from_millis(60));
    }

    #[test]
    fn process_id_that_is_used_again_is_another_process() {
        let mut account = CpuAccount::default();
        account.update(&[process(1, 0, 0), process(2, 0, 0)], &clocks(&[(1, 10), (2, 200)]));
        let total = account.update(&[process(1, 0, 0), process(2, 0, 0)], &clocks(&[(1, 10), (2, 5)]));
        assert_eq!(total, Duration::from_millis(10 + 200 + 5));
    }
}
