//! Serving a sandbox's system calls: mechanism only, no particular call is known here.
//!
//! The kernel stops a call that the filter traps and tells the sandbox's listener (`session.rs`). Whoever waits there receives
//! it (`call.rs`) and takes it along a chain of handlers of the host, each of which answers it (`answer.rs`), puts it off
//! (`notification.rs`), or passes it on. What nobody answers runs, because the policy allows it.
//!
//! To hand a call from thread to thread costs seven times what answering costs, so whoever receives a call answers it, as far
//! as it may. Handlers may not run in the warden, which is confined. A sandbox at rest is watched by its warden. When a call
//! comes for a handler, the warden hands it to a worker (`pool.rs`), and the waiting with it, so that the next call is received
//! where it is answered. A worker gives the waiting back when no calls come, or when it is stuck in a handler.

mod agenda;
mod answer;
#[allow(dead_code)] // until a service uses it
mod aside;
mod call;
#[allow(dead_code)] // until a service uses it
mod errand;
mod events;
mod memory;
mod notification;
mod pool;
mod session;
mod watch;

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::members::Reach;
use crate::process::Shared;
use crate::sys;

pub use crate::process::Stats;
pub(crate) use agenda::Agenda;
pub(crate) use answer::Reply;
#[allow(unused_imports)] // until a service uses it
pub(crate) use aside::Work;
pub(crate) use call::Call;
#[allow(unused_imports)] // until a service uses it
pub(crate) use errand::Errand;
pub(crate) use errand::Errands;
pub(crate) use events::Known;
pub use events::{Event, Observer, Suggestion, Suggestions, kind};
pub(crate) use memory::sealed_file;
pub use notification::{Answerable, FdPlace, Notification, Pending};
pub(crate) use pool::Membership;
pub(crate) use session::{Link, Session};

use session::Chains;

/// Code of the host that looks at calls. Runs on threads of the library, several at a time.
pub trait Handler: Send + Sync {
    /// Answers `call`, puts it off, or passes it on.
    fn handle(&self, call: &mut Notification) -> Verdict;
}

/// A part of the library that looks at calls before handlers do.
pub(crate) trait Service: Send + Sync {
    /// Looks at `call`.
    fn serve(&self, call: &Call, ground: Ground) -> Served;

    /// Goes on with a call of which it has just said [`Served::Taken`], on the same thread: answers it, leaves it as part of an
    /// [`Errand`] or to a thread [aside](Errands::aside), or drops it. Then it is denied.
    fn take(&self, call: Call) {
        drop(call);
    }
}

/// Where a service looks at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// On a thread that is not confined.
    Free,
    /// On the sandbox's warden, which nothing may hold up.
    Warden,
    /// On a thread that the warden has started: in the same domain.
    Apart,
    /// On the warden, but it is in no domain: one was asked for and could not be had.
    Unscoped,
    /// On a thread that such a warden has started.
    UnscopedApart,
}

/// What a service says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// The next shall look at it.
    Pass,
    /// This is the answer.
    Answer(Reply),
    /// Only in the warden's domain.
    Confined,
    /// Only on a thread of its own, there.
    Apart,
    /// Not yet: in a moment, on the warden.
    Later,
    /// The service goes on with the call itself, by [`Service::take`].
    #[allow(dead_code)] // until a service does
    Taken,
}

/// What a handler says it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has answered the call, or put it off.
    Done,
    /// The next handler shall look at it.
    Pass,
    /// It does not know. The call is denied.
    Failed,
}

/// How much a log message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something is not as its author will have meant it.
    Warning,
}

/// Who is told what the library would otherwise keep to itself.
pub trait Log: Send + Sync {
    /// Takes a message of one line. Called from any thread.
    fn log(&self, level: Level, message: &str);
}

/// How a supervisor works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long a handler may look at a call. Then the call is denied.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
        }
    }
}

/// What looks at the calls that a selector names.
struct Registered {
    /// A system call or group.
    selector: String,
    link: Link,
}

/// The library's own services, with the numbers of the calls that each looks at.
pub(crate) type Services = Vec<(Arc<dyn Service>, Vec<u32>)>;

/// Somebody who looks at calls.
pub(crate) struct Look {
    /// A system call or group.
    pub(crate) selector: String,
    /// Calls that the policy denies are left out. Otherwise they are an error.
    pub(crate) lenient: bool,
    pub(crate) link: Link,
}

/// What looks at the calls of one sandbox, and at which.
pub(crate) struct Supervision {
    pub(crate) core: Arc<Core>,
    /// Who looks at calls, and at which, in order.
    pub(crate) links: Vec<Look>,
    crew: Option<Arc<pool::Crew>>,
}

impl Supervision {
    /// The supervision of a sandbox that has no supervisor of the host's.
    pub(crate) fn of_services() -> Self {
        Self {
            core: Arc::new(Core::without_queue()),
            links: Vec::new(),
            crew: None,
        }
    }

    /// Makes sure that there are threads for the handlers, if there are any, for as long as the value returned is kept. Called by
    /// a thread that is not confined.
    pub(crate) fn call_workers(&mut self) -> Result<Option<Membership>> {
        if !self.links.iter().any(|look| matches!(look.link, Link::Handler(_))) {
            return Ok(None);
        }
        let membership = Membership::join()?;
        self.crew = Some(membership.crew());
        Ok(Some(membership))
    }

    /// Starts to supervise what has the other end of `listener`: `services` look at the calls that come with them, then the
    /// links at theirs, which are `numbers`, selector by selector. `reach`: who is in the sandbox. `in_bootstrap` says whether the program has not been executed yet.
    pub(crate) fn start(
        self,
        listener: OwnedFd,
        services: Services,
        numbers: &[Vec<u32>],
        (shared, reach): (Arc<Shared>, Reach),
        in_bootstrap: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Session> {
        let chains = self.chains(services, numbers);
        Session::new(listener, chains, self.core, self.crew, (shared, reach), in_bootstrap)
    }

    fn chains(&self, services: Services, numbers: &[Vec<u32>]) -> Chains {
        let mut chains = Chains::default();
        for (service, numbers) in services {
            for number in numbers {
                chains.add(number, Link::Service(Arc::clone(&service)));
            }
        }
        for (look, numbers) in self.links.iter().zip(numbers) {
            for &number in numbers {
                chains.add(number, look.link.clone());
            }
        }
        chains
    }
}

/// Who answers the calls of sandboxes: any number of them, each with the handlers that were there when it started. Sandboxes
/// may outlive it, and keep what they need of it.
pub struct Supervisor {
    core: Arc<Core>,
}

/// What a supervisor and its sandboxes share.
pub(crate) struct Core {
    options: Options,
    registered: Mutex<Vec<Registered>>,
    log: Mutex<Option<Arc<dyn Log>>>,
    tally: Mutex<answer::Tally>,
    queue: Mutex<VecDeque<Pending>>,
    queued: Condvar,
    /// Readable while the queue is not empty. None: nobody will ever look at the queue.
    ready: Option<OwnedFd>,
    /// Nobody can take from the queue any more.
    closed: AtomicBool,
    events: Arc<events::Events>,
    traced: AtomicBool,
}

impl Supervisor {
    /// A supervisor without handlers.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            core: Arc::new(Core::new(options)?),
        })
    }

    /// Has `handler` look at the calls that `selector` names (a system call or `@group`), after those that were added before.
    /// Sandboxes that run already do not know it.
    pub fn add_handler(&self, selector: &str, handler: Arc<dyn Handler>) {
        self.register(selector, Link::Handler(handler));
    }

    /// Has the calls that `selector` names wait for [`Supervisor::next`].
    pub fn add_queue(&self, selector: &str) {
        self.register(selector, Link::Queue);
    }

    fn register(&self, selector: &str, link: Link) {
        self.core.registered.lock().push(Registered {
            selector: selector.to_owned(),
            link,
        });
    }

    /// Has `observer` told of events of the kinds in `mask` (bits of [`kind`]), in sandboxes that start from now on. With
    /// [`kind::MISSING`] they are traced: all calls that the policy may refuse are looked at.
    pub fn observe(&self, mask: u64, observer: Arc<dyn Observer>) -> Result<()> {
        self.core.events.add(mask, observer)
    }

    /// Has sandboxes that start from now on traced, whether or not anybody observes that.
    pub fn trace(&self) {
        self.core.traced.store(true, Ordering::Release);
    }

    /// What policies lack for what traced programs have done so far.
    pub fn suggestions(&self) -> Suggestions {
        self.core.events.suggestions()
    }

    /// Sets who is told of what goes wrong.
    pub fn set_log(&self, log: Option<Arc<dyn Log>>) {
        let former = std::mem::replace(&mut *self.core.log.lock(), log);
        // Without the lock: its end is the host's code.
        drop(former);
    }

    /// Readable while [`Supervisor::next`] has something to give. Belongs to this object.
    pub fn fd(&self) -> RawFd {
        self.core.ready_fd()
    }

    /// The next call of the queue; None if none comes before `timeout` has passed.
    pub fn next(&self, timeout: Option<Duration>) -> Option<Pending> {
        self.core.dequeue(timeout)
    }

    /// What was done for all its sandboxes.
    pub fn stats(&self) -> Stats {
        Stats {
            queued: self.core.queue.lock().len() as u64,
            events_lost: self.core.events.lost(),
            ..self.core.tally().sum()
        }
    }

    /// The kinds of events that observers want to be told of.
    pub(crate) fn observed(&self) -> u64 {
        let traced = self.core.traced.load(Ordering::Acquire);
        self.core.events.wanted() | if traced { kind::MISSING } else { 0 }
    }

    /// For a sandbox that starts now.
    pub(crate) fn supervision(&self) -> Supervision {
        let registered = self.core.registered.lock();
        Supervision {
            core: Arc::clone(&self.core),
            links: registered
                .iter()
                .map(|registered| Look {
                    selector: registered.selector.clone(),
                    lenient: false,
                    link: registered.link.clone(),
                })
                .collect(),
            crew: None,
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.core.closed.store(true, Ordering::Release);
        self.core.events.close();
        // Dropped outside of the lock, and so denied.
        let unanswered = std::mem::take(&mut *self.core.queue.lock());
        drop(unanswered);
    }
}

impl Core {
    fn without_queue() -> Self {
        Self {
            options: Options::default(),
            registered: Mutex::new(Vec::new()),
            log: Mutex::new(None),
            tally: Mutex::new(answer::Tally::default()),
            queue: Mutex::new(VecDeque::new()),
            queued: Condvar::new(),
            ready: None,
            closed: AtomicBool::new(true),
            events: Arc::default(),
            traced: AtomicBool::new(false),
        }
    }

    fn ready_fd(&self) -> RawFd {
        self.ready.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    fn new(options: Options) -> Result<Self> {
        let ready = sys::event::eventfd().map_err(|errno| {
            Error::system(
                ErrorKind::System,
                Stage::Supervisor,
                "cannot create an eventfd",
                errno.0,
            )
        })?;
        Ok(Self {
            options,
            // SAFETY: the descriptor was just made and nobody else has it.
            #[allow(unsafe_code)]
            ready: Some(unsafe { OwnedFd::from_raw_fd(ready) }),
            closed: AtomicBool::new(false),
            ..Self::without_queue()
        })
    }

    fn emit(&self, event: Event) {
        self.events.emit(event);
    }

    fn events_wake(&self) -> Option<RawFd> {
        self.events.wake_descriptor()
    }

    fn watch(&self, pid: i32, known: &Known, announced: Option<i32>) {
        self.events.watch(pid, known, announced);
    }

    fn deadline(&self) -> Duration {
        self.options.deadline
    }

    fn tally(&self) -> MutexGuard<'_, answer::Tally> {
        self.tally.lock()
    }

    fn log(&self, level: Level, message: &str) {
        // Called without the lock: it may take its time, or set another log.
        let log = self.log.lock().clone();
        if let Some(log) = log {
            log.log(level, message);
        }
    }

    fn enqueue(&self, call: Call) {
        let pending = Pending::new(call);
        {
            let mut queue = self.queue.lock();
            if !self.closed.load(Ordering::Acquire) {
                queue.push_back(pending);
                if queue.len() == 1 {
                    sys::event::signal(self.ready_fd());
                }
                drop(queue);
                self.queued.notify_one();
                return;
            }
        }
        drop(pending);
    }

    fn dequeue(&self, timeout: Option<Duration>) -> Option<Pending> {
        // A deadline too far to be represented is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let mut queue = self.queue.lock();
            let pending = loop {
                if let Some(pending) = queue.pop_front() {
                    break pending;
                }
                match deadline {
                    None => self.queued.wait(&mut queue),
                    Some(deadline) => {
                        if self.queued.wait_until(&mut queue, deadline).timed_out() && queue.is_empty() {
                            return None;
                        }
                    }
                }
            };
            if queue.is_empty() {
                sys::event::reset(self.ready_fd());
            }
            drop(queue);
            // The callers of others have died while these waited.
            if pending.is_waiting() {
                return Some(pending);
            }
        }
    }
}

#[cfg(test)]
mod fixture_tests;
