//! The survey: a thread that looks, again and again, at what a sandbox writes to the trees that it may write to.
//!
//! A walk through a large tree takes longer than a kill may wait for, and a file system may not answer at all. So the warden starts a
//! thread for it, which is confined as it is, and is told when there is too much. The next walk comes before a program could have written
//! what is left to it, but a walk takes at most a fiftieth of the time, as long as the file systems have not become fuller by what is
//! left, which costs next to nothing to ask; then, at most half. While nothing runs, nobody walks.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::Feature;
use crate::lock::{Condvar, Mutex};
use crate::members::{Found, Reach, disk::Trees};
use crate::policy::Limit;
use crate::process::{LimitHit, Shared};

use super::gauge::{clocks_of, processors};
use super::prepare::Prepared;
use super::thread::start_thread;

/// Bytes a second that one processor may write.
const FASTEST: u64 = 2 << 30;
/// Shortest and longest time between two looks at a sandbox in which something runs.
const SOONEST: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(100);
/// Longest time until a sandbox that did nothing is asked again.
const LATEST_IDLE: Duration = Duration::from_millis(500);
/// How many times the length of a walk passes at least until the next.
const REST: u32 = 49;
/// A walk that is made rather than ask whether it is needed.
const SHORT: Duration = Duration::from_millis(5);
/// How long the end of a sandbox waits for a last walk.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// The warden's end.
pub(super) struct Survey {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    limit: u64,
}

/// What warden and surveyor share.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    /// There is a verdict that the warden has not taken.
    news: AtomicBool,
    /// The walk in progress is of no use any more.
    abandoned: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Who is in the sandbox, once it has begun.
    reach: Option<Reach>,
    phase: Phase,
    verdict: Option<u64>,
    /// Bytes, as of the last look.
    reading: u64,
    done: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Running,
    /// The sandbox has ended: one more look, if there may be too much.
    Ending,
    /// Nobody wants to know.
    Over,
}

impl Survey {
    /// Starts the thread, with what is there before the program runs; None if the policy does not ask for it.
    pub(super) fn start(prepared: &Prepared, shared: &Arc<Shared>) -> Result<Option<Self>> {
        let decisions = &prepared.compiled.decisions;
        let Some(limit) = prepared
            .policy
            .limit(Limit::Disk)
            .filter(|_| decisions.uses(Feature::Disk))
        else {
            return Ok(None);
        };
        let rules = prepared.policy.paths.iter().filter(|rule| rule.access.writes());
        let writable = rules.map(|rule| rule.path.clone());
        // The host's files, wherever the program sees them.
        let writable: Vec<CString> = match &prepared.view {
            Some(view) => {
                let mut all = writable
                    .filter_map(|path| view.in_host(&path).transpose())
                    .collect::<Result<Vec<_>>>()?;
                // A rule may be for a directory above them. What lies in two trees counts once.
                all.extend(view.writable_sources());
                all
            }
            None => writable.collect(),
        };
        let trees = Trees::open(writable.iter().map(CString::as_c_str)).map_err(|errno| {
            Error::system(
                ErrorKind::System,
                Stage::Limits,
                "cannot look at what the program may write to",
                errno.0,
            )
        })?;
        if trees.is_empty() {
            return Ok(None);
        }
        let desk = Arc::new(Desk {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            news: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        });
        let surveyor = Surveyor {
            is_short: trees.are_small(),
            desk: Arc::clone(&desk),
            shared: Arc::clone(shared),
            trees,
            limit,
            reading: 0,
            last: Instant::now(),
            rest: Duration::ZERO,
            known: BTreeMap::new(),
            settled: false,
        };
        let thread = start_thread("sandlock-disk".to_owned(), move || surveyor.run())?;
        Ok(Some(Self {
            desk,
            thread: Some(thread),
            limit,
        }))
    }

    /// The program has been started.
    pub(super) fn begin(&self, reach: Reach) {
        self.desk.state.lock().reach = Some(reach);
        self.desk.changed.notify_all();
    }

    /// The limit, if it was found exceeded since the last question.
    pub(super) fn look(&self) -> Option<LimitHit> {
        if !self.desk.news.swap(false, Ordering::Acquire) {
            return None;
        }
        self.desk.state.lock().verdict.map(|reading| self.hit(reading))
    }

    fn hit(&self, reading: u64) -> LimitHit {
        LimitHit {
            limit: Limit::Disk.number(),
            value: self.limit,
            reading,
        }
    }

    /// Everything in the sandbox has ended: what it has left, and whether that is too much.
    pub(super) fn end(mut self) -> (LimitHit, bool) {
        let until = Instant::now() + LAST_LOOK;
        let mut state = self.desk.state.lock();
        state.phase = Phase::Ending;
        // A walk that has begun may not have to be finished.
        self.desk.abandoned.store(true, Ordering::Relaxed);
        self.desk.changed.notify_all();
        while !state.done && !self.desk.changed.wait_until(&mut state, until).timed_out() {}
        let (verdict, reading) = (state.verdict, state.reading);
        drop(state);
        self.put_away();
        (self.hit(verdict.unwrap_or(reading)), verdict.is_some())
    }

    /// The thread ends, unless it is stuck in a file system that does not answer. Then nobody waits.
    fn put_away(&mut self) {
        let mut state = self.desk.state.lock();
        state.phase = Phase::Over;
        self.desk.abandoned.store(true, Ordering::Relaxed);
        self.desk.changed.notify_all();
        let until = Instant::now() + LAST_LOOK;
        while !state.done && !self.desk.changed.wait_until(&mut state, until).timed_out() {}
        let done = state.done;
        drop(state);
        if let Some(thread) = self.thread.take().filter(|_| done) {
            // An error would be its panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.put_away();
        }
    }
}

impl Desk {
    /// True if somebody still waits for a last look, which then goes on.
    fn wants_last_look(&self) -> bool {
        let state = self.state.lock();
        let wanted = state.phase == Phase::Ending;
        if wanted {
            self.abandoned.store(false, Ordering::Relaxed);
        }
        wanted
    }
}

/// Tells the warden that the surveyor is gone, however it goes.
struct Farewell(Arc<Desk>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.state.lock().done = true;
        self.0.changed.notify_all();
    }
}

/// The thread's end.
struct Surveyor {
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    trees: Trees,
    limit: u64,
    /// Bytes, as of the last look.
    reading: u64,
    /// When that began, and how long another can wait after it at least.
    last: Instant,
    rest: Duration,
    /// A walk takes next to no time.
    is_short: bool,
    /// Who was there at the last look, and the processor time of each before it.
    known: BTreeMap<i32, Duration>,
    /// Nothing ran during the last look.
    settled: bool,
}

impl Surveyor {
    fn run(mut self) {
        let _farewell = Farewell(Arc::clone(&self.desk));
        let mut pause = self.headroom();
        loop {
            let (phase, reach) = self.wait(pause);
            match phase {
                Phase::Over => return,
                Phase::Ending => {
                    if self.may_be_exceeded() && self.desk.wants_last_look() {
                        self.look(None);
                    }
                    return;
                }
                Phase::Running => {}
            }
            let Some(reach) = reach else { continue };
            if self.settled && clocks_of(self.known.keys().copied()) == self.known {
                pause = (pause * 2).min(LATEST_IDLE);
                continue;
            }
            let since = self.last.elapsed();
            // As long again as the last walk took, if the file systems say that it may be time; otherwise much longer.
            let due = since >= self.rest || (since >= self.rest / REST * 2 && self.trees.growth() >= self.left());
            if due && self.look(Some(reach)) {
                // The warden kills: there is nothing to look at any more.
                self.settled = true;
                self.known.clear();
            }
            pause = self.headroom();
        }
    }

    /// Waits until there is something to do. With who is in the sandbox, once that is known.
    fn wait(&self, pause: Duration) -> (Phase, Option<Reach>) {
        let until = Instant::now() + pause;
        let mut state = self.desk.state.lock();
        while state.phase == Phase::Running && !self.desk.changed.wait_until(&mut state, until).timed_out() {}
        (state.phase, state.reach)
    }

    fn left(&self) -> u64 {
        self.limit.saturating_sub(self.reading)
    }

    /// How long it takes at least until the limit can be exceeded, but no longer than nobody should go unseen.
    fn headroom(&mut self) -> Duration {
        let fastest = FASTEST.saturating_mul(processors().into());
        let left = self.left().saturating_sub(self.trees.growth()).min(fastest);
        Duration::from_nanos(left.saturating_mul(1_000_000_000 / 1024) / (fastest / 1024)).clamp(SOONEST, LATEST)
    }

    /// Whether as much may have been written since the last look as was left then. The file systems may be late in saying so, which a
    /// short walk is not.
    fn may_be_exceeded(&mut self) -> bool {
        let fastest = FASTEST.saturating_mul(processors().into());
        let time = self.last.elapsed().as_millis();
        let possible = u128::from(fastest / 1000) * (time + 1) > u128::from(self.left());
        (possible && self.is_short) || self.trees.growth() >= self.left()
    }

    /// Walks through the trees, and tells if there is too much. `reach`: who is in the sandbox, if anybody can be.
    fn look(&mut self, reach: Option<Reach>) -> bool {
        let began = Instant::now();
        let processes = reach.map_or_else(Vec::new, |reach| self.look_around(reach));
        let mut bytes = self.walk(&processes);
        if bytes.is_some_and(|bytes| bytes > self.limit && self.trees.growth_in_all() < bytes) {
            // What was moved or replaced meanwhile may have counted twice, and nothing says that it did not.
            bytes = self.walk(&processes);
        }
        let took = began.elapsed();
        self.is_short = took < SHORT;
        let Some(bytes) = bytes else { return false };
        self.last = began;
        self.rest = took * (REST + 1);
        self.reading = bytes;
        let exceeded = bytes > self.limit;
        let mut state = self.desk.state.lock();
        state.reading = bytes;
        if exceeded {
            state.verdict.get_or_insert(bytes);
        }
        drop(state);
        if exceeded {
            self.desk.news.store(true, Ordering::Release);
            self.shared.wake();
        }
        exceeded
    }

    fn walk(&mut self, processes: &[Found]) -> Option<u64> {
        let desk = Arc::clone(&self.desk);
        let mut goes_on = || !desk.abandoned.load(Ordering::Relaxed);
        let reading = self.trees.look(processes, self.limit, &mut goes_on)?;
        Some(reading.bytes)
    }

    /// Finds who is there, and whether anything runs meanwhile. Nobody is taken for asleep whom nobody can see.
    fn look_around(&mut self, reach: Reach) -> Vec<Found> {
        let before = clocks_of(self.known.keys().copied());
        let Ok(mut found) = reach.found() else {
            self.settled = false;
            return Vec::new();
        };
        let after = clocks_of(found.iter().map(|found| found.member.pid));
        self.settled = before == after && !after.is_empty();
        self.known = after;
        found.retain(|found| !found.has_ended());
        found
    }
}
