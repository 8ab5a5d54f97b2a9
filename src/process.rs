//! A running sandbox and what became of it, as its owner sees them.
//!
//! A [`Process`] comes from [`Sandbox::spawn`](crate::sandbox::Sandbox::spawn). A thread of the library, the warden, is the parent of the
//! program, reads its output, enforces the deadline and ends the sandbox; the owner asks, from any thread. When the program ends,
//! everything else in the sandbox is killed.
//!
//! ```
//! use std::time::Duration;
//!
//! use sandlock::{Access, Policy, Reason, Sandbox, SpawnOptions, Stdio};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! let sandbox = Sandbox::new(policy);
//!
//! // Talking with a program: input, output and the wait in one call.
//! let options = SpawnOptions::new().stdin(Stdio::Pipe).stdout(Stdio::Pipe);
//! let sort = sandbox.spawn(None, ["sort"], options)?;
//! let outcome = sort.communicate(b"b\na\n", None)?.expect("waited without limit");
//! assert!(outcome.success());
//! assert_eq!(outcome.stdout.bytes, b"a\nb\n");
//!
//! // Waiting for so long, and ending it all.
//! let sleep = sandbox.spawn(None, ["sleep", "1000"], SpawnOptions::new())?;
//! assert_eq!(sleep.wait(Some(Duration::from_millis(10)))?, None);
//! assert_eq!(sleep.members()?.len(), 1);
//! sleep.kill()?;
//! let outcome = sleep.wait(None)?.expect("waited without limit");
//! assert_eq!((outcome.reason, outcome.signal), (Reason::Killed, Some(libc::SIGKILL)));
//! assert!(!outcome.success());
//! # Ok::<(), sandlock::Error>(())
//! ```
//!
//! # Threads and forks
//!
//! Everything but dropping may be done from any thread, at the same time. Dropping a process kills what still runs and waits for that.
//! In a process that was forked off later the handle is of no use: what can fail gives
//! [`ErrorKind::State`], and dropping it leaves the sandbox alone.

// The warden (`spawn/warden.rs`) does the work. This file holds what the two share and how the owner asks.
#![allow(unsafe_code)] // two blocks: taking over a descriptor that sys just made, and joining a thread

use std::any::Any;
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::numbered;
use crate::lock::{Condvar, Mutex};
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
    #[non_exhaustive]
    Reason {
        /// The program exited.
        Exited = 1, "exited";
        /// A signal that the library did not send ended the program.
        Signaled = 2, "signaled";
        /// The deadline of the run passed, and the sandbox was killed.
        Timeout = 3, "timeout";
        /// A limit that the library watches was exceeded: that of [`Outcome::limit`], or if that is None, the cap of captured output. The
        /// program may have exited by itself.
        Limit = 4, "limit";
        /// The owner killed it, or a handler did.
        Killed = 5, "killed";
        /// It ended, but somebody else in the host took the exit status (waitpid(-1), ignored SIGCHLD), and the kernel no longer knows it.
        /// From Linux 6.15 on it does.
        Lost = 6, "lost";
    }
}

/// What a run used. Processor times and memory are 0 if somebody else in the host reaped the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct Captured {
    /// The bytes, up to the cap.
    pub bytes: Vec<u8>,
    /// How many more there were.
    pub truncated: u64,
}

/// A limit of the sandbox as a whole that was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitHit {
    /// Its number, that of a `Limit`: `Limit::from_number(hit.limit)`.
    pub limit: u32,
    /// What the policy says.
    pub value: u64,
    /// What was found, in the same unit.
    pub reading: u64,
}

/// What became of a run. Never changes; any thread.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Why it ended.
    pub reason: Reason,
    /// The limit that was exceeded last, if one was: it may have cost a process of the sandbox only.
    pub limit: Option<LimitHit>,
    /// The exit code, 0 to 255, if the program exited by itself; also if the reason is [`Reason::Limit`] or [`Reason::Timeout`] and it did so
    /// after a warning, or with too much output.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did, the library's own SIGKILL included.
    pub signal: Option<i32>,
    /// Captured standard output.
    pub stdout: Captured,
    /// Captured standard error.
    pub stderr: Captured,
    /// What it used.
    pub usage: Usage,
}

impl Outcome {
    /// True if the program exited by itself, with 0, and that is why the sandbox ended.
    pub fn success(&self) -> bool {
        self.reason == Reason::Exited && self.exit_code == Some(0)
    }

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
#[non_exhaustive]
pub struct Member {
    /// Its process id, as the host sees it.
    pub pid: i32,
    /// Its name, 15 bytes at most, as it or its exec has set it.
    pub name: String,
    /// Its resident set, bytes.
    pub resident: u64,
    /// Processor time that it has used, in user mode and in the kernel, microseconds; as finely as proc(5) counts.
    pub cpu_us: u64,
}

/// What a supervisor, or the supervision of one sandbox, has done. The numbers are read one by one while others count on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Calls that wait in the queue of a supervisor now; told for supervisors only.
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
    /// The start has taken too long, and was killed for that.
    overslept: AtomicBool,
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
            overslept: AtomicBool::new(false),
        }))
    }

    /// The start is about to be killed because its time is up.
    pub(crate) fn set_overslept(&self) {
        self.overslept.store(true, Ordering::Release);
    }

    pub(crate) fn has_overslept(&self) -> bool {
        self.overslept.load(Ordering::Acquire)
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

    /// How it has ended, if it has.
    pub(crate) fn ended(&self) -> Option<Arc<Outcome>> {
        match &self.state.lock().phase {
            Phase::Ended(outcome) => Some(Arc::clone(outcome)),
            _ => None,
        }
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

/// A sandbox whose program was started. Dropping it kills what still runs: see the [module](self).
///
/// Everything but dropping may be called from any thread, at the same time.
#[must_use = "dropping it kills the program"]
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

    /// Process id of the program, as the host sees it. The library reaps the program when it ends, after which the number may come to mean
    /// another process: to signal it, use [`Process::signal`].
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Descriptor of the program (pidfd_open(2)): readable when it has ended, for poll(2) and what is built on it. Borrowed: it belongs to
    /// this object.
    pub fn pidfd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }

    /// What the kernel was found to enforce.
    pub fn report(&self) -> &Report {
        &self.report
    }

    pub(crate) fn shared_report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Waits for the sandbox to end; None if `timeout` passes first, and the program runs on. Without one it waits without limit. Waiting
    /// again gives the same.
    ///
    /// # Errors
    ///
    /// [`WouldDeadlock`](ErrorKind::WouldDeadlock): called from a handler or listener that the sandbox waits for. [`State`](ErrorKind::State):
    /// the handle is from before a fork.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Arc<Outcome>>> {
        self.check_may_wait()?;
        self.wait_for_end(timeout)
    }

    fn check_may_wait(&self) -> Result<()> {
        self.check_owner()?;
        if SERVING.get() == Arc::as_ptr(&self.shared) && self.shared.ended().is_none() {
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
        if self.shared.ended().is_none() && self.program_ends_before(deadline) {
            let patience = Instant::now() + PATIENCE;
            while self.shared.ended().is_none() && Instant::now() < patience {
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

    /// Kills every process of the sandbox, daemons too, and waits until the program is reaped: nothing in the sandbox runs any code of its
    /// own after that. No error if it has ended already.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): the handle is from before a fork.
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

    /// Stops every process of the sandbox, daemons too (SIGSTOP), until [`Process::resume`]. Each runs on until it next enters or leaves the
    /// kernel, which is a moment. Deadlines and limits of time run on. A stopped sandbox can be killed.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): the program has ended; the handle is from before a fork.
    pub fn pause(&self) -> Result<()> {
        self.check_owner()?;
        self.shared.order(Command::Pause).map(drop)
    }

    /// Lets every process of the sandbox go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// Those of [`Process::pause`].
    pub fn resume(&self) -> Result<()> {
        self.check_owner()?;
        self.shared.order(Command::Resume).map(drop)
    }

    /// The processes of the sandbox at this moment, daemons too, but for those that have ended. Reads /proc in the host.
    ///
    /// # Errors
    ///
    /// Those of [`Process::pause`].
    pub fn members(&self) -> Result<Vec<Member>> {
        self.check_owner()?;
        self.shared.order(Command::List)
    }

    /// Sends `signal` to the program, not to its descendants (pidfd_send_signal(2)): it cannot reach another process, even if the program has
    /// ended. 0 only asks whether it could be sent.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): the program has ended; the handle is from before a fork. [`InvalidArgument`](ErrorKind::InvalidArgument):
    /// no such signal.
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

impl AsFd for Process {
    /// That of [`Process::pidfd`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Process")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
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
        if self.shared.ended().is_none() {
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
