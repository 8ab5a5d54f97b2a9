//! What happens in sandboxes, told to observers of the host.
//!
//! Events are gathered wherever they are noticed, and told by one thread of the supervisor, in order: the program waits for no
//! observer, and none runs on a confined thread. The same thread waits for the ends of the processes that were seen.

#![allow(unsafe_code)] // three blocks: taking over descriptors that sys just made

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::SystemTime;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::Mutex;
use crate::members;
use crate::sys;
use crate::sys::event::{Epoll, Wait, poll};
use crate::sys::process::Ending;

use super::pool::start_thread;

/// Kinds of events, as bits. EXEC, FORK and EXIT have the calls that execute, start and end programs looked at, which takes each some ten
/// microseconds.
pub mod kind {
    /// A program is about to be executed: path and arguments, as the program has said them. Whether it works is not told.
    pub const EXEC: u64 = 1;
    /// A process is about to be started.
    pub const FORK: u64 = 1 << 1;
    /// A process has ended: its exit code, or the signal. One that has neither executed nor started anything, nor called exit, is not known.
    pub const EXIT: u64 = 1 << 2;
    /// The library has denied a call that it serves itself: errno, and the rule in the text.
    pub const DENIED: u64 = 1 << 3;
    /// A limit that the library keeps was hit: which, in the text.
    pub const LIMIT: u64 = 1 << 4;
    /// A handler failed, gave no answer or took too long.
    pub const HANDLER_FAILED: u64 = 1 << 5;
    /// Trace: the kernel is about to refuse a call because the policy has no rule that would permit it. Has all calls looked at that name
    /// files or that the filter refuses: for finding out what a program needs, not for every day.
    pub const MISSING: u64 = 1 << 6;
    /// All of them.
    pub const ALL: u64 = (1 << 7) - 1;
}

/// Something that has happened in a sandbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Event {
    /// One of [`kind`].
    pub kind: u64,
    /// The thread, or of an end the process, in the host's PID namespace; 0 if it is not in there.
    pub pid: i32,
    /// When it was noticed.
    pub time: SystemTime,
    /// The system call, if there is one.
    pub call: Option<i32>,
    /// The errno that the call fails with, or 0.
    pub errno: i32,
    /// The path that the call names, as the program said it or, of [`kind::MISSING`], as it was resolved.
    pub path: Option<CString>,
    /// The arguments of a program that is executed: 256 and 32 KiB at most.
    pub arguments: Vec<CString>,
    /// Path and arguments are what the program has said: another thread of it can change them before the kernel reads them.
    pub advisory: bool,
    /// The exit code of a process that has ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that has ended a process. An end with neither: somebody else has taken the status, and the kernel does not know it any more
    /// (before Linux 6.15).
    pub signal: Option<i32>,
    /// What was decided by which rule, in one line for people; may be empty.
    pub text: String,
    /// What would have permitted it.
    pub suggestion: Option<Suggestion>,
}

/// Something that a policy lacks for what a traced program does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Suggestion {
    /// A path rule, with bits of [`Access`](crate::policy::Access), for [`Policy::allow_path`](crate::policy::Policy::allow_path).
    Path(CString, u64),
    /// A system call by name.
    Syscall(String),
    /// A network rule, for the function of the policy that takes it.
    Net {
        /// `allow_net` or `allow_bind`.
        permit: &'static str,
        /// The rule.
        rule: String,
    },
}

/// What the policies lack for all that traced programs have done: 10,000 path rules and as many network rules at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suggestions {
    /// Path rules, with bits of [`Access`](crate::policy::Access).
    pub paths: BTreeMap<CString, u64>,
    /// System calls.
    pub syscalls: BTreeSet<String>,
    /// Network rules, by the function that takes them.
    pub network: BTreeSet<(&'static str, String)>,
}

/// Most path rules, and most network rules. A program can name any number of paths and addresses.
const MOST_SUGGESTIONS: usize = 10_000;

impl Suggestions {
    fn add(&mut self, suggestion: &Suggestion) {
        match suggestion {
            Suggestion::Path(path, access) => {
                if let Some(known) = self.paths.get_mut(path) {
                    *known |= access;
                } else if self.paths.len() < MOST_SUGGESTIONS {
                    self.paths.insert(path.clone(), *access);
                }
            }
            Suggestion::Syscall(name) => {
                self.syscalls.insert(name.clone());
            }
            Suggestion::Net { permit, rule } => {
                if self.network.len() < MOST_SUGGESTIONS {
                    self.network.insert((permit, rule.clone()));
                }
            }
        }
    }
}

impl Event {
    /// About how much memory it takes.
    fn bytes(&self) -> usize {
        let path = self.path.as_ref().map_or(0, |path| path.as_bytes().len());
        let arguments: usize = self.arguments.iter().map(|argument| argument.as_bytes().len()).sum();
        // The same text is in a suggestion once more.
        size_of::<Self>() + 2 * path + arguments + self.arguments.len() * size_of::<CString>() + self.text.len()
    }

    pub(crate) fn new(kind: u64, pid: i32) -> Self {
        Self {
            kind,
            pid,
            time: SystemTime::now(),
            call: None,
            errno: 0,
            path: None,
            arguments: Vec::new(),
            advisory: false,
            exit_code: None,
            signal: None,
            text: String::new(),
            suggestion: None,
        }
    }
}

/// Code of the host that is told of events. Closures that take an `&Event` are observers; name the type of the argument.
pub trait Observer: Send + Sync {
    /// Takes an event. Called by one thread of the library, one event at a time, which is not confined. A panic costs this event.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event) {
        (**self).observe(event);
    }
}

/// Most events that wait to be told, and most bytes of what they say. A program can make them faster than any observer takes them.
const MOST_WAITING: usize = 1 << 16;
const MOST_BYTES: usize = 16 << 20;
/// Most processes whose ends are waited for: each takes a descriptor of the host's.
const MOST_WATCHED: usize = 256;

/// Processes whose ends will be told.
pub(crate) type Known = Arc<Mutex<BTreeSet<i32>>>;

/// A process whose end is waited for.
struct Watched {
    pid: i32,
    pidfd: OwnedFd,
    known: Known,
    /// What it has said it will exit with.
    announced: Option<i32>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.known.lock().remove(&self.pid);
    }
}

#[derive(Default)]
struct State {
    observers: Vec<(u64, Arc<dyn Observer>)>,
    waiting: VecDeque<Event>,
    /// Of those that wait.
    bytes: usize,
    /// The teller runs; nothing is gathered otherwise.
    teller: Option<JoinHandle<()>>,
    closed: bool,
    lost: u64,
    suggestions: Suggestions,
}

/// The events of a supervisor's sandboxes on their way to its observers.
#[derive(Default)]
pub(super) struct Events {
    state: Mutex<State>,
    watched: Mutex<BTreeMap<u64, Watched>>,
    /// Made with the teller.
    waits: OnceLock<Waits>,
}

/// What the teller waits for.
struct Waits {
    /// Readable when there is something to tell.
    wake: OwnedFd,
    /// The ends of processes.
    ends: Epoll,
    keys: AtomicU64,
}

impl Events {
    /// Has `observer` told of events of the kinds in `mask`.
    pub(super) fn add(self: &Arc<Self>, mask: u64, observer: Arc<dyn Observer>) -> Result<()> {
        let mut state = self.state.lock();
        if state.teller.is_none() {
            let failed =
                |errno: sys::Errno| Error::system(ErrorKind::System, Stage::Supervisor, "cannot watch events", errno.0);
            let wake = sys::event::eventfd().map_err(failed)?;
            // SAFETY: the descriptor was just made and nobody else has it.
            let wake = unsafe { OwnedFd::from_raw_fd(wake) };
            let waits = Waits {
                wake,
                ends: Epoll::new().map_err(failed)?,
                keys: AtomicU64::new(0),
            };
            // Nobody else gets here with the lock; what is there is from a teller that could not be started.
            let _ = self.waits.set(waits);
            let events = Arc::clone(self);
            state.teller = Some(start_thread("sandlock-events", move || events.tell())?);
        }
        state.observers.push((mask, observer));
        Ok(())
    }

    /// The kinds that anybody wants to be told of.
    pub(super) fn wanted(&self) -> u64 {
        self.state.lock().observers.iter().fold(0, |all, (mask, _)| all | mask)
    }

    /// The descriptor by which who tells events is woken, if there is anybody.
    pub(super) fn wake_descriptor(&self) -> Option<i32> {
        self.waits.get().map(|waits| waits.wake.as_raw_fd())
    }

    /// Events that nobody was told of, because too many waited.
    pub(super) fn lost(&self) -> u64 {
        self.state.lock().lost
    }

    /// What policies lack, as far as it was seen.
    pub(super) fn suggestions(&self) -> Suggestions {
        self.state.lock().suggestions.clone()
    }

    /// Has whoever wants to know told of `event`.
    pub(super) fn emit(&self, event: Event) {
        let mut state = self.state.lock();
        if let Some(suggestion) = &event.suggestion {
            state.suggestions.add(suggestion);
        }
        let wanted = state.observers.iter().any(|(mask, _)| mask & event.kind != 0);
        if state.teller.is_none() || state.closed || !wanted {
            return;
        }
        let bytes = state.bytes + event.bytes();
        if state.waiting.len() >= MOST_WAITING || bytes > MOST_BYTES {
            state.lost += 1;
            return;
        }
        state.bytes = bytes;
        state.waiting.push_back(event);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.wake();
        }
    }

    /// Has the end of the process `pid`, which is in a call, told. `announced`: it is about to exit with that.
    pub(super) fn watch(&self, pid: i32, known: &Known, announced: Option<i32>) {
        let Some(waits) = self.waits.get() else { return };
        if !known.lock().insert(pid) {
            return;
        }
        // Here too, so that they do not pile up while an observer takes its time.
        self.harvest(waits, |end| self.emit(end));
        let watched = sys::process::open_pidfd(pid).map(|pidfd| Watched {
            pid,
            // SAFETY: the descriptor was just made and nobody else has it.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            known: Arc::clone(known),
            announced,
        });
        let Ok(process) = watched else {
            known.lock().remove(&pid);
            self.state.lock().lost += 1;
            return;
        };
        let key = waits.keys.fetch_add(1, Ordering::Relaxed);
        let mut watched = self.watched.lock();
        if watched.len() < MOST_WATCHED && waits.ends.add(process.pidfd.as_raw_fd(), key).is_ok() {
            watched.insert(key, process);
        } else {
            drop(watched);
            drop(process);
            self.state.lock().lost += 1;
        }
    }

    /// Makes events of the ends that have come.
    fn harvest(&self, waits: &Waits, mut tell: impl FnMut(Event)) {
        while let Some(key) = waits.ends.next() {
            let process = self.watched.lock().remove(&key);
            // None: its end is being told by another thread.
            let Some(process) = process else { break };
            tell(process.end());
        }
    }

    fn wake(&self) {
        if let Some(waits) = self.waits.get() {
            sys::event::signal(waits.wake.as_raw_fd());
        }
    }

    /// Tells what waits to be told, and no more from then on.
    pub(super) fn close(&self) {
        let teller = {
            let mut state = self.state.lock();
            state.closed = true;
            state.teller.take()
        };
        self.wake();
        if let Some(teller) = teller.filter(|teller| teller.thread().id() != std::thread::current().id()) {
            // An error would be a panic, which has ended the thread as well.
            let _ = teller.join();
        }
    }

    /// The thread's life.
    fn tell(&self) {
        let Some(waits) = self.waits.get() else { return };
        loop {
            let (events, observers, closed) = {
                let mut state = self.state.lock();
                state.bytes = 0;
                (
                    std::mem::take(&mut state.waiting),
                    state.observers.clone(),
                    state.closed,
                )
            };
            // After them: what has ended comes after what it has done.
            for event in events {
                tell_all(&observers, &event);
            }
            self.harvest(waits, |end| tell_all(&observers, &end));
            if closed {
                break;
            }
            let mut ready = [
                Wait::readable(waits.wake.as_raw_fd()),
                Wait::readable(waits.ends.as_raw_fd()),
            ];
            // A failure only means another turn.
            if poll(&mut ready, -1).is_err() {
                let _ = poll(&mut [], 1);
            }
            sys::event::reset(waits.wake.as_raw_fd());
        }
        self.watched.lock().clear();
        // Without the lock: the end of an observer is the host's code.
        let observers = std::mem::take(&mut self.state.lock().observers);
        drop(observers);
    }
}

impl Watched {
    fn end(&self) -> Event {
        let ending = members::ending(self.pid)
            .or_else(|| sys::process::ending_after_reap(self.pidfd.as_raw_fd()).ok())
            .or(self.announced.map(Ending::Exited));
        let mut event = Event::new(kind::EXIT, self.pid);
        match ending {
            Some(Ending::Exited(code)) => event.exit_code = Some(code),
            Some(Ending::Signaled(signal)) => event.signal = Some(signal),
            None => {}
        }
        event
    }
}

fn tell_all(observers: &[(u64, Arc<dyn Observer>)], event: &Event) {
    for (_, observer) in observers.iter().filter(|(mask, _)| mask & event.kind != 0) {
        // The next event is told all the same.
        let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(event)));
    }
}
