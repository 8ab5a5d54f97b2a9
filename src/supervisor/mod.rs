//! Looking at a program's system calls: handlers that answer them, a queue for those who answer later, observers of what happens.
//!
//! A [`Supervisor`] is given to [`Sandbox::spawn`](crate::sandbox::Sandbox::spawn) or [`run`](crate::sandbox::Sandbox::run). The kernel
//! stops the calls that its handlers are for (seccomp_unotify(2), Linux 5.5; descriptors from 5.9 on; best from 6.6), and each is taken
//! along the handlers, which answer it, put it off, or pass it on. What everybody passes on runs, because the policy allows it; what
//! nobody answers is denied. So a handler can narrow a policy and put something else behind its calls; it cannot widen it. A call that
//! no handler is for costs nothing.
//!
//! A handler that answers in the kernel's place, a file that exists for this program only:
//!
//! ```
//! use sandlock::supervisor::{Answerable, FdPlace, Notification, Options, Supervisor, Verdict};
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let supervisor = Supervisor::new(Options::default())?;
//! let text = String::from("only for this program\n"); // a handler owns what it needs
//! supervisor.add_handler("openat", move |call: &mut Notification| {
//!     let mut buffer = [0; 4096];
//!     match call.read_string(call.argument(1), &mut buffer) {
//!         // The bytes that were read are what is decided by, and nothing that the program can change is read again.
//!         Ok(length) if &buffer[..length] == b"/virtual/greeting" => {
//!             match call.return_bytes(text.as_bytes(), FdPlace::default()) {
//!                 Ok(()) => Verdict::Done,
//!                 Err(_) => Verdict::Failed,
//!             }
//!         }
//!         _ => Verdict::Pass,
//!     }
//! });
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! let outcome = Sandbox::new(policy).run(Some(&supervisor), ["cat", "/virtual/greeting"], None)?;
//! assert_eq!(outcome.stdout.bytes, b"only for this program\n");
//! assert_eq!(supervisor.stats().returned, 1);
//! # Ok::<(), sandlock::Error>(())
//! ```
//!
//! A call that is put off, and answered by another thread when that has the answer:
//!
//! ```
//! use std::sync::mpsc::channel;
//!
//! use sandlock::supervisor::{Answerable, Notification, Options, Pending, Supervisor, Verdict};
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let supervisor = Supervisor::new(Options::default())?;
//! let (sender, receiver) = channel::<Pending>();
//! supervisor.add_handler("geteuid", move |call: &mut Notification| match call.defer() {
//!     Ok(pending) => {
//!         sender.send(pending).unwrap();
//!         Verdict::Done
//!     }
//!     Err(_) => Verdict::Failed,
//! });
//! let answers = std::thread::spawn(move || {
//!     receiver.iter().try_for_each(|call| call.return_value(4242))
//! });
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! let outcome = Sandbox::new(policy).run(Some(&supervisor), ["id", "-u"], None)?;
//! assert_eq!(outcome.stdout.bytes, b"4242\n");
//! drop(supervisor); // and with it the handler and its end of the channel
//! answers.join().unwrap()?;
//! # Ok::<(), sandlock::Error>(())
//! ```
//!
//! # What a handler may rely on
//!
//! It runs on a thread of the library that is not confined and has all signals blocked, several at a time, also for calls of one program.
//! While it runs the caller waits, and nobody else. It has [`Options::deadline`]. A panic in it denies the call and goes no further. What
//! pointers of a call point to can be changed by another thread of the program at any time: a handler that decides by it must act on
//! the copy that it has read. A handler must not wait for its own sandbox, which waits for it.
//!
//! A process that is forked off has no use for a supervisor, nor for calls that are pending: to drop them there does nothing.

// Mechanism only: no particular call is known here. Whoever waits at a sandbox's listener (`session.rs`) receives a call (`call.rs`) and
// takes it along the chain of those who look at it; answering it is in `answer.rs` and `notification.rs`.
//
// To hand a call from thread to thread costs seven times what answering costs, so whoever receives a call answers it, as far
// as it may. Handlers may not run in the warden, which is confined. A sandbox at rest is watched by its warden. When a call
// comes for a handler, the warden hands it to a worker (`pool.rs`), and the waiting with it, so that the next call is received
// where it is answered. A worker gives the waiting back when no calls come, or when it is stuck in a handler.

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
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::{Condvar, Mutex, MutexGuard};
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

/// Code of the host that looks at calls: see the [module](self). Runs on threads of the library, several at a time.
///
/// Closures that take a `&mut Notification` are handlers; name the type of the argument.
pub trait Handler: Send + Sync {
    /// Answers `call`, puts it off, or passes it on. A panic denies the call.
    fn handle(&self, call: &mut Notification) -> Verdict;
}

impl<F: Fn(&mut Notification) -> Verdict + Send + Sync> Handler for F {
    fn handle(&self, call: &mut Notification) -> Verdict {
        self(call)
    }
}

impl<H: Handler + ?Sized> Handler for Arc<H> {
    fn handle(&self, call: &mut Notification) -> Verdict {
        (**self).handle(call)
    }
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

impl Ground {
    /// On the warden, which must not touch the caller's memory: other threads of the program can keep it locked for as long as they like.
    pub(crate) fn is_wardens(self) -> bool {
        matches!(self, Self::Warden | Self::Unscoped)
    }
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
    /// It has answered the call, or put it off. If it has not, the call is denied.
    Done,
    /// The next handler shall look at it.
    Pass,
    /// It does not know. The call is denied.
    Failed,
}

/// How much a log message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something is not as its author will have meant it.
    Warning,
}

/// Who is told what the library would otherwise keep to itself: handlers that fail, threads that cannot be started. Closures that take a
/// [`Level`] and a `&str` are logs.
pub trait Log: Send + Sync {
    /// Takes a message of one line. Called from any thread, several at a time. A panic costs this message.
    fn log(&self, level: Level, message: &str);
}

impl<F: Fn(Level, &str) + Send + Sync> Log for F {
    fn log(&self, level: Level, message: &str) {
        self(level, message);
    }
}

/// How a supervisor works. Start from the default and set what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long a handler may look at a call, 30 seconds unless said. Then the call is denied (EPERM), and what the handler answers later is
    /// [`Stale`](ErrorKind::Stale). Calls that were put off have no deadline.
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
/// may outlive it, and keep what they need of it: see the [module](self).
///
/// Any thread, several at a time. Dropping it denies the calls in its queue, and those that would go there; and tells observers what they have
/// not been told yet.
pub struct Supervisor {
    core: Arc<Core>,
}

/// What a supervisor and its sandboxes share.
pub(crate) struct Core {
    /// The process that made it.
    owner: i32,
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
    ///
    /// # Errors
    ///
    /// [`System`](ErrorKind::System): the host is out of descriptors.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            core: Arc::new(Core::new(options)?),
        })
    }

    /// Has `handler` look at the calls that `selector` names (a system call or `@group`), after those that were added before.
    /// Sandboxes that run already do not know it. It is dropped when supervisor and sandboxes need it no more.
    ///
    /// A selector that is no name, and a handler for a call that the policy denies, fail the spawn
    /// ([`InvalidArgument`](ErrorKind::InvalidArgument), [`State`](ErrorKind::State)); of a group a handler gets the members that are allowed.
    /// The exec that starts the program goes to handlers, too.
    pub fn add_handler(&self, selector: &str, handler: impl Handler + 'static) {
        self.register(selector, Link::Handler(Arc::new(handler)));
    }

    /// Has the calls that `selector` names wait for [`Supervisor::next`]. No thread of the library calls into a host that uses nothing else.
    ///
    /// ```
    /// use sandlock::supervisor::{Answerable, Options, Supervisor};
    /// use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let supervisor = Supervisor::new(Options::default())?;
    /// supervisor.add_queue("geteuid");
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// let options = SpawnOptions::new().stdout(Stdio::Capture);
    /// let process = Sandbox::new(policy).spawn(Some(&supervisor), ["id", "-u"], options)?;
    ///
    /// let call = supervisor.next(None).expect("waited without limit");
    /// assert_eq!(i64::from(call.number()), libc::SYS_geteuid);
    /// call.return_value(1)?;
    ///
    /// let outcome = process.wait(None)?.expect("waited without limit");
    /// assert_eq!(outcome.stdout.bytes, b"1\n");
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn add_queue(&self, selector: &str) {
        self.register(selector, Link::Queue);
    }

    fn register(&self, selector: &str, link: Link) {
        self.core.registered.lock().push(Registered {
            selector: selector.to_owned(),
            link,
        });
    }

    /// Has `observer` told of events of the kinds in `mask` (bits of [`kind`], or-ed together), in sandboxes that start from now on. With
    /// [`kind::MISSING`] they are traced: all calls that the policy may refuse are looked at.
    ///
    /// Events of one sandbox come in order, soon after they have happened, from one thread of the library, one at a time; the program does
    /// not wait. At most 65,536 wait to be told; more are counted ([`Stats::events_lost`]) and lost.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): an empty mask, unknown kinds. [`System`](ErrorKind::System): the host is out of
    /// descriptors or threads.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use sandlock::supervisor::{Event, Options, Supervisor, kind};
    /// use sandlock::{Access, Policy, Sandbox};
    ///
    /// let supervisor = Supervisor::new(Options::default())?;
    /// let (sender, receiver) = channel();
    /// supervisor.observe(kind::EXEC | kind::EXIT, move |event: &Event| sender.send(event.clone()).unwrap())?;
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// Sandbox::new(policy).run(Some(&supervisor), ["sh", "-c", "exit 3"], None)?;
    /// drop(supervisor); // what waits is told, and the observer goes, with its end of the channel
    ///
    /// let events: Vec<Event> = receiver.iter().collect();
    /// let executed = events.iter().find(|event| event.kind == kind::EXEC).unwrap();
    /// assert_eq!(executed.arguments.last().unwrap().as_c_str(), c"exit 3");
    /// let ended = events.iter().find(|event| event.kind == kind::EXIT).unwrap();
    /// assert_eq!(ended.exit_code, Some(3));
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn observe(&self, mask: u64, observer: impl Observer + 'static) -> Result<()> {
        if mask == 0 || mask & !kind::ALL != 0 {
            return Err(Error::argument(format_args!(
                "event mask {mask:#x} is empty or has unknown kinds"
            )));
        }
        self.core.events.add(mask, Arc::new(observer))
    }

    /// Has sandboxes that start from now on traced, whether or not anybody observes that, for [`Supervisor::suggestions`].
    pub fn trace(&self) {
        self.core.traced.store(true, Ordering::Release);
    }

    /// What policies lack for what traced programs have done so far. What a hostile program wants is among it: read before you allow.
    ///
    /// ```
    /// use sandlock::supervisor::{Options, Supervisor};
    /// use sandlock::{Access, Policy, Sandbox};
    ///
    /// let supervisor = Supervisor::new(Options::default())?;
    /// supervisor.trace();
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// Sandbox::new(policy).run(Some(&supervisor), ["cat", "/etc/passwd"], None)?;
    /// assert_eq!(supervisor.suggestions().paths.get(c"/etc/passwd"), Some(&Access::READ));
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn suggestions(&self) -> Suggestions {
        self.core.events.suggestions()
    }

    /// Sets who is told of what goes wrong; nobody at first, and with None again.
    pub fn set_log(&self, log: Option<Arc<dyn Log>>) {
        let former = std::mem::replace(&mut *self.core.log.lock(), log);
        // Without the lock: its end is the host's code.
        drop(former);
    }

    /// A descriptor that is readable while [`Supervisor::next`] has something to give, for poll(2), epoll(7) and what is built on them.
    /// Borrowed: it belongs to this object, and must be neither read nor closed.
    pub fn fd(&self) -> RawFd {
        self.core.ready_fd()
    }

    /// The next call of the queue; None if none comes before `timeout` has passed. Without one it waits without limit. Calls whose callers
    /// died meanwhile are left out.
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

impl fmt::Debug for Supervisor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let selectors: Vec<String> = self
            .core
            .registered
            .lock()
            .iter()
            .map(|registered| registered.selector.clone())
            .collect();
        formatter
            .debug_struct("Supervisor")
            .field("options", &self.core.options)
            .field("selectors", &selectors)
            .finish_non_exhaustive()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.core.is_a_forks() {
            // Its locks may be held by threads that do not exist here, and its calls are the host's to answer. The memory stays.
            std::mem::forget(Arc::clone(&self.core));
            return;
        }
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
            owner: sys::process::id(),
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

    /// True in a process that was forked off the one that made it.
    fn is_a_forks(&self) -> bool {
        self.owner != sys::process::id()
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
            // Whoever has something to say has work to do besides.
            let _ = catch_unwind(AssertUnwindSafe(|| log.log(level, message)));
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
