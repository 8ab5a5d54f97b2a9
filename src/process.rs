//! A running sandbox and what became of it, as its owner sees them.
//!
//! The warden (`spawn/warden.rs`) does the work: it waits for the program, reads its output, enforces the deadline,
//! ends the sandbox. This file holds what the two share and how the owner asks.
#![allow(unsafe_code)] // two blocks: taking over a descriptor that sys just made, and joining a thread

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::numbered;
use crate::report::Report;
use crate::sys;
use crate::sys::event::{Wait, poll};

mod capture;
mod feed;
mod interaction;
mod relay;
mod traffic;

use interaction::Streams;

pub(crate) use interaction::{HostEnds, LAST_OUTPUT};
pub(crate) use traffic::{Traffic, Wishes};

numbered! {
    /// Why a sandbox ended.
    Reason {
        /// The program exited.
        Exited = 1, "exited";
        /// A signal that the library did not send ended the program.
        Signaled = 2, "signaled";
        /// The deadline of the run passed.
        Timeout = 3, "timeout";
        /// A limit that the library watches was exceeded.
        Limit = 4, "limit";
        /// The owner killed it.
        Killed = 5, "killed";
        /// Somebody else in the host took the exit status, and the kernel no longer knows it.
        Lost = 6, "lost";
    }
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the start of the program to its end, microseconds.
    pub wall_us: u64,
    /// Processor time in user mode, of the program and the descendants it waited for, microseconds.
    pub user_us: u64,
    /// Likewise in the kernel.
    pub system_us: u64,
    /// Largest resident set of any one of them, bytes.
    pub peak_rss: u64,
    /// True if `peak_rss` is only an upper bound: the child starts in the host's memory, and the kernel counts that in.
    pub peak_rss_is_bound: bool,
}

/// What a captured stream gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    /// The bytes, up to the cap.
    pub bytes: Vec<u8>,
    /// How many more there were.
    pub truncated: u64,
}

/// A limit of the sandbox as a whole that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitHit {
    /// Its number, that of a `policy::Limit`.
    pub limit: u32,
    /// What the policy says.
    pub value: u64,
    /// What was found, in the same unit.
    pub reading: u64,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub reason: Reason,
    /// The limit that was exceeded last, if one was: it may have cost a process of the sandbox only.
    pub limit: Option<LimitHit>,
    /// The exit code, if the program exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Captured standard output.
    pub stdout: Captured,
    /// Captured standard error.
    pub stderr: Captured,
    /// What it used.
    pub usage: Usage,
}

impl Outcome {
    /// Nothing is known.
    fn lost() -> Self {
        Self {
            reason: Reason::Lost,
            limit: None,
            exit_code: None,
            signal: None,
            stdout: Captured::default(),
            stderr: Captured::default(),
            usage: Usage::default(),
        }
    }
}

/// A process of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its process id, as the host sees it.
    pub pid: i32,
    /// Its name, as it or its exec has set it.
    pub name: String,
    /// Its resident set, bytes.
    pub resident: u64,
    /// Processor time that it has used, microseconds.
    pub cpu_us: u64,
}

/// What a supervisor, or the supervision of one sandbox, has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls received, those of a starting program included.
    pub received: u64,
    /// Calls that ran.
    pub continued: u64,
    /// Calls that failed by an answer.
    pub denied: u64,
    /// Calls that returned a value or descriptor without running.
    pub returned: u64,
    /// Sandboxes ended by an answer.
    pub killed: u64,
    /// Calls denied because their handler's deadline passed.
    pub overdue: u64,
    /// Calls denied because their handler failed, or returned without an answer.
    pub failed: u64,
    /// Answers that found the caller dead or interrupted, or could not be given.
    pub dropped: u64,
    /// Calls that were put off, to be answered later.
    pub deferred: u64,
    /// Calls that wait in the queue of `Supervisor::next` now.
    pub queued: u64,
    /// Longest time from receiving a call to its answer, microseconds.
    pub worst_latency_us: u64,
    /// Events that observers were not told of, because too many waited.
    pub events_lost: u64,
}

impl Stats {
    /// The sum of two.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            continued: self.continued + other.continued,
            denied: self.denied + other.denied,
            returned: self.returned + other.returned,
            killed: self.killed + other.killed,
            overdue: self.overdue + other.overdue,
            failed: self.failed + other.failed,
            dropped: self.dropped + other.dropped,
            deferred: self.deferred + other.deferred,
            queued: self.queued + other.queued,
            worst_latency_us: self.worst_latency_us.max(other.worst_latency_us),
            events_lost: self.events_lost + other.events_lost,
        }
    }
}

/// What the owner can have the warden do, besides ending the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop everything.
    Pause,
    /// Let it go on.
    Resume,
    /// Say what runs.
    List,
}

/// A command and where its answer goes; None: it was not carried out.
struct Order {
    command: Command,
    answer: SyncSender<Result<Vec<Member>>>,
}

enum Phase {
    Running,
    Ended(Arc<Outcome>),
}

struct State {
    phase: Phase,
    kill: Option<Reason>,
    orders: VecDeque<Order>,
    wishes: Wishes,
}

/// What the warden and the owner share.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    wake: OwnedFd,
    /// What supervision has done, if there is any.
    stats: OnceLock<Box<dyn Fn() -> Stats + Send + Sync>>,
}

impl Shared {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let wake = sys::event::eventfd()
            .map_err(|errno| Error::system(ErrorKind::System, Stage::Spawn, "cannot create an eventfd", errno.0))?;
        // SAFETY: the descriptor was just made and nobody else has it.
        let wake = unsafe { OwnedFd::from_raw_fd(wake) };
        let state = State {
            phase: Phase::Running,
            kill: None,
            orders: VecDeque::new(),
            wishes: Wishes::default(),
        };
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            wake,
            stats: OnceLock::new(),
        }))
    }

    /// Readable when the owner wants something.
    pub(crate) fn wake_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }

    /// Why the owner wants the sandbox ended, if it does.
    pub(crate) fn kill_requested(&self) -> Option<Reason> {
        sys::event::reset(self.wake.as_raw_fd());
        self.state.lock().kill
    }

    /// Sets how to learn what supervision has done.
    pub(crate) fn set_stats(&self, stats: impl Fn() -> Stats + Send + Sync + 'static) {
        // Set once, by the warden.
        let _ = self.stats.set(Box::new(stats));
    }

    /// Has `obey` carry out what the owner has ordered.
    pub(crate) fn carry_out(&self, obey: impl Fn(Command) -> Result<Vec<Member>>) {
        loop {
            let Some(order) = self.state.lock().orders.pop_front() else {
                return;
            };
            // An error means that nobody waits for the answer any more.
            let _ = order.answer.send(obey(order.command));
        }
    }

    /// Has the warden carry out `command`, and waits for that.
    fn order(&self, command: Command) -> Result<Vec<Member>> {
        let ended = || Error::new(ErrorKind::State, Stage::Wait, "the program has ended");
        let (answer, answered) = sync_channel(1);
        {
            let mut state = self.state.lock();
            if matches!(state.phase, Phase::Ended(_)) {
                return Err(ended());
            }
            state.orders.push_back(Order { command, answer });
        }
        self.wake();
        // An error: the warden has ended, and with it the order.
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }

    /// Asks for the end of the sandbox.
    pub(crate) fn request_end(&self, reason: Reason) {
        self.state.lock().kill.get_or_insert(reason);
        self.wake();
    }

    /// Has the warden look what there is to do.
    pub(crate) fn wake(&self) {
        sys::event::signal(self.wake.as_raw_fd());
    }

    pub(crate) fn set_ended(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        state.wishes.miss(&outcome);
        state.phase = Phase::Ended(Arc::new(outcome));
        state.orders.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// The warden is gone. If it has not said how things ended, it never will: nobody must wait for that.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Running) {
            state.wishes.miss(&Outcome::lost());
            state.phase = Phase::Ended(Arc::new(Outcome::lost()));
            state.orders.clear();
            self.changed.notify_all();
        }
    }
}

thread_local! {
    /// The sandbox whose call this thread looks at: a handler of it must not wait for its end.
    static SERVING: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

impl Shared {
    /// Runs `body`, which the sandbox waits for.
    pub(crate) fn serving<T>(&self, body: impl FnOnce() -> T) -> T {
        /// Also if `body` unwinds.
        struct Restore(*const Shared);
        impl Drop for Restore {
            fn drop(&mut self) {
                SERVING.set(self.0);
            }
        }
        let _restore = Restore(SERVING.replace(self));
        body()
    }
}

/// How long a waiting thread stays awake for the warden to finish, once the program has ended.
const PATIENCE: Duration = Duration::from_micros(200);

/// Milliseconds for poll(2), rounded up so that the deadline has passed when it returns.
pub(crate) fn timeout_until(deadline: Option<Instant>) -> i32 {
    let Some(deadline) = deadline else { return -1 };
    let left = deadline.saturating_duration_since(Instant::now());
    i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// A sandbox whose program was started. Dropping it kills what still runs.
///
/// Everything but dropping may be called from any thread, at the same time.
pub struct Process {
    shared: Arc<Shared>,
    pid: i32,
    pidfd: Arc<OwnedFd>,
    report: Arc<Report>,
    streams: Streams,
    warden: Option<JoinHandle<()>>,
    /// The process that started it: a fork of the host has the handle but not the warden.
    owner: i32,
    /// What must not go before the warden does.
    kept: Vec<Box<dyn Any + Send + Sync>>,
    /// What decides about the program's network, for who knows it.
    network: Option<Arc<dyn Any + Send + Sync>>,
}

impl Process {
    pub(crate) fn new(
        shared: Arc<Shared>,
        (pid, pidfd): (i32, Arc<OwnedFd>),
        report: Arc<Report>,
        ends: HostEnds,
        warden: JoinHandle<()>,
    ) -> Self {
        Self {
            shared,
            pid,
            pidfd,
            report,
            streams: Streams::new(ends),
            warden: Some(warden),
            owner: sys::process::id(),
            kept: Vec::new(),
            network: None,
        }
    }

    /// Keeps `what` for as long as there is a warden.
    pub(crate) fn keep(&mut self, what: Box<dyn Any + Send + Sync>) {
        self.kept.push(what);
    }

    /// Keeps what decides about the program's network.
    pub(crate) fn keep_network(&mut self, network: Arc<dyn Any + Send + Sync>) {
        self.network = Some(network);
    }

    /// What decides about the program's network, if the library does. STATE: the handle was made before this process was forked.
    pub(crate) fn network(&self) -> Result<Option<Arc<dyn Any + Send + Sync>>> {
        self.check_owner()?;
        Ok(self.network.clone())
    }

    /// Process id of the program. Stays reserved until the program has ended.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Descriptor of the process: readable when the program has ended. Belongs to this object.
    pub fn pidfd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// What was enforced.
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Waits for the sandbox to end; None if `timeout` passes first, and the program runs on.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Arc<Outcome>>> {
        self.check_may_wait()?;
        self.wait_for_end(timeout)
    }

    fn check_may_wait(&self) -> Result<()> {
        self.check_owner()?;
        if SERVING.get() == Arc::as_ptr(&self.shared) && self.ended().is_none() {
            return Err(Error::new(
                ErrorKind::WouldDeadlock,
                Stage::Wait,
                "this thread runs a callback that the sandbox waits for",
            ));
        }
        Ok(())
    }

    fn wait_for_end(&self, timeout: Option<Duration>) -> Result<Option<Arc<Outcome>>> {
        // A deadline too far to be represented is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // The program's end wakes this thread and the warden at the same time, instead of one after the other; what the warden
        // has yet to do then is usually done in less time than it takes to fall asleep and be woken.
        if self.ended().is_none() && self.program_ends_before(deadline) {
            let patience = Instant::now() + PATIENCE;
            while self.ended().is_none() && Instant::now() < patience {
                std::thread::yield_now();
            }
        }
        let mut state = self.shared.state.lock();
        loop {
            if let Phase::Ended(outcome) = &state.phase {
                return Ok(Some(Arc::clone(outcome)));
            }
            match deadline {
                None => self.shared.changed.wait(&mut state),
                Some(deadline) => {
                    if self.shared.changed.wait_until(&mut state, deadline).timed_out()
                        && !matches!(state.phase, Phase::Ended(_))
                    {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn ended(&self) -> Option<Arc<Outcome>> {
        match &self.shared.state.lock().phase {
            Phase::Ended(outcome) => Some(Arc::clone(outcome)),
            _ => None,
        }
    }

    /// Waits for the end of the program itself; false if the deadline passes first.
    fn program_ends_before(&self, deadline: Option<Instant>) -> bool {
        let mut program = [Wait::readable(self.pidfd())];
        loop {
            match poll(&mut program, timeout_until(deadline)) {
                Ok(()) => return program[0].ready(),
                // A signal of the host's: wait on.
                Err(sys::Errno(libc::EINTR)) => {}
                // Out of memory, say: the other way of waiting does without.
                Err(_) => return false,
            }
        }
    }

    /// Kills every process of the sandbox and waits until the program is reaped. No error if it has ended.
    pub fn kill(&self) -> Result<()> {
        self.check_owner()?;
        self.shared.request_end(Reason::Killed);
        // Also from a handler: its call dies with the sandbox.
        self.wait_for_end(None).map(drop)
    }

    /// What the supervision of its calls has done; nothing if there is none.
    pub fn stats(&self) -> Stats {
        self.shared.stats.get().map_or_else(Stats::default, |stats| stats())
    }

    /// Stops every process of the sandbox, daemons too. What it was told holds until [`Process::resume`].
    pub fn pause(&self) -> Result<()> {
        self.check_owner()?;
        self.shared.order(Command::Pause).map(drop)
    }

    /// Lets every process of the sandbox go on.
    pub fn resume(&self) -> Result<()> {
        self.check_owner()?;
        self.shared.order(Command::Resume).map(drop)
    }

    /// The processes of the sandbox, but for those that have ended.
    pub fn members(&self) -> Result<Vec<Member>> {
        self.check_owner()?;
        self.shared.order(Command::List)
    }

    /// Sends `signal` to the program, not to its descendants.
    pub fn signal(&self, signal: i32) -> Result<()> {
        self.check_owner()?;
        sys::signal::send_to(
            sys::process::Child {
                pid: self.pid(),
                pidfd: self.pidfd(),
            },
            signal,
        )
        .map_err(|errno| match errno.0 {
            libc::ESRCH => Error::system(ErrorKind::State, Stage::Wait, "the program has ended", errno.0),
            libc::EINVAL => Error::argument(format_args!("unknown signal {signal}")),
            code => Error::system(
                ErrorKind::System,
                Stage::Wait,
                format_args!("cannot send signal {signal}"),
                code,
            ),
        })
    }

    fn check_owner(&self) -> Result<()> {
        if self.owner == sys::process::id() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::State,
            Stage::Arguments,
            "the process handle was made before this process was forked",
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(warden) = self.warden.take() else { return };
        if self.owner != sys::process::id() {
            // The warden is a thread of another process. Its handle must not be joined, nor detached.
            std::mem::forget(warden);
            self.streams.forget_listener();
            std::mem::forget(std::mem::take(&mut self.kept));
            std::mem::forget(self.network.take());
            return;
        }
        // Also if the sandbox has ended: a host with one thread must have one thread afterwards, or its unshare(2) fails.
        if self.ended().is_none() {
            self.shared.request_end(Reason::Killed);
        }
        join(warden);
        self.streams.join_listener(join);
    }
}

/// Waits for the end of a thread that is about to end, awake at first: see [`PATIENCE`].
fn join(thread: JoinHandle<()>) {
    // SAFETY: the handle is given up for the number, which is joined here and nowhere else.
    unsafe { sys::thread::join(thread.into_pthread_t(), PATIENCE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warden_that_disappears_leaves_nobody_waiting() {
        let shared = Shared::new().unwrap();
        shared.abandon();
        assert!(matches!(&shared.state.lock().phase, Phase::Ended(outcome) if outcome.reason == Reason::Lost));
        // What was said before stays said.
        shared.set_ended(Outcome {
            exit_code: Some(3),
            ..Outcome::lost()
        });
        shared.abandon();
        assert!(matches!(&shared.state.lock().phase, Phase::Ended(outcome) if outcome.exit_code == Some(3)));
    }
}
