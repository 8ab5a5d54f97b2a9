//! A call that waits for its socket. The warden waits, with everything else; what is then done with the socket is done on a thread aside:
//! the program can hold the lock of a socket for as long as it likes, in the midst of a copy from memory that does not come.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lock::Mutex;
use crate::members::{Interruption, interruption};
use crate::supervisor::{Call, Errand, Errands, Reply};
use crate::sys::limits::open_files_limit;
use crate::sys::{self, Errno, socket};

use super::answer;
use super::rules::Rules;

/// A call and a duplicate of its socket.
pub(super) struct Held {
    pub(super) call: Call,
    pub(super) socket: OwnedFd,
    pub(super) patience: Patience,
}

impl Held {
    /// The call alone, to be answered. The socket is not ours any more by then: who closes it next has closed it, and finds its port free.
    pub(super) fn into_call(self) -> Call {
        let Self { call, socket, .. } = self;
        drop(socket);
        call
    }
}

/// What is done with it next.
type Next = Box<dyn FnOnce(Held) + Send>;

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// The socket takes data, or is connected.
    Writable,
    /// Somebody has connected to it.
    Readable,
    /// Nothing that poll(2) knows: it is tried again after a while.
    Time,
}

/// For how long a call waits, and when to look what has become of its caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    began: Instant,
    /// Of receiving, not of sending.
    receives: bool,
    /// The socket's own limit (SO_SNDTIMEO, SO_RCVTIMEO), once it was asked for.
    until: Option<Instant>,
    /// What the call fails with when that is over.
    late: Errno,
    /// What it returns instead, if it has done something already.
    done: u64,
    waits: bool,
    /// Until the next look at the caller.
    pause: Duration,
    next: Instant,
    /// Until the next try, of what poll(2) does not tell about.
    retry: Duration,
}

/// A look at a caller costs two hundred times what a round of the warden does, so it becomes rarer.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_millis(200);
/// How soon something is tried again that could not be done now, and how rarely at last.
const SOON: Duration = Duration::from_millis(3);
const SELDOM: Duration = Duration::from_millis(250);

impl Patience {
    /// Of sending, from now on. `late`: what the call fails with when the socket's time is over.
    pub(super) fn new(late: i32) -> Self {
        Self::of(false, late)
    }

    /// Likewise of receiving.
    pub(super) fn to_receive(late: i32) -> Self {
        Self::of(true, late)
    }

    fn of(receives: bool, late: i32) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            receives,
            until: None,
            late: Errno(late),
            done: 0,
            waits: false,
            pause: SHORTEST,
            next: now + SHORTEST,
            retry: SOON,
        }
    }

    /// Something is done, which the call then returns whatever ends it.
    pub(super) fn note_done(&mut self, done: u64) {
        self.done = done;
    }

    /// The call has to wait for `socket`.
    pub(super) fn begin(&mut self, socket: &OwnedFd) {
        if !self.waits {
            let number = socket.as_raw_fd();
            let timeout = if self.receives {
                socket::receive_timeout(number)
            } else {
                socket::send_timeout(number)
            };
            let timeout = timeout.ok().flatten();
            self.until = timeout.and_then(|timeout| self.began.checked_add(timeout));
            self.next = Instant::now() + self.pause;
            self.waits = true;
        }
    }

    fn due(&self) -> Instant {
        self.until.map_or(self.next, |until| self.next.min(until))
    }

    /// For how long to wait now, of who waits himself.
    pub(super) fn milliseconds(&mut self) -> i32 {
        let until = self.retry_at().min(self.due());
        let left = until.saturating_duration_since(Instant::now());
        // To the end of it, and not to just before.
        i32::try_from(left.as_millis()).unwrap_or(i32::MAX).saturating_add(1)
    }

    /// When to try again: less and less often.
    fn retry_at(&mut self) -> Instant {
        let at = Instant::now() + self.retry;
        self.retry = (self.retry + self.retry / 2).min(SELDOM);
        at
    }

    /// What the call is answered with if its time is over, or its caller has been sent a signal.
    pub(super) fn verdict(&mut self, call: &Call) -> Option<Reply> {
        /// For the kernel: the call is made again after the signal's handler, if that says so (SA_RESTART), and fails with EINTR if not.
        const RESTART: u16 = 512;
        const EINTR: u16 = 4;
        const { assert!(EINTR as i32 == libc::EINTR) };
        let now = Instant::now();
        let done = (self.done > 0).then(|| Reply::Value(i64::try_from(self.done).unwrap_or(i64::MAX)));
        if self.until.is_some_and(|until| until <= now) {
            return done.or_else(|| Some(Reply::Errno(u16::try_from(self.late.0).unwrap_or(EINTR))));
        }
        if now < self.next {
            return None;
        }
        self.pause = (self.pause + self.pause / 2).min(LONGEST);
        self.next = now + self.pause;
        match interruption(call.thread()) {
            Interruption::None => None,
            _ if done.is_some() => done,
            // With a timeout a call is never made again: signal(7).
            Interruption::Own if self.until.is_none() => Some(Reply::Errno(RESTART)),
            // If another thread has taken the signal, the kernel would let the program see what is only for itself.
            Interruption::Own | Interruption::Shared => Some(Reply::Errno(EINTR)),
        }
    }
}

struct Waiting {
    errands: Errands,
    what: For,
    /// Not before then, if the descriptor is ready but nobody could go on.
    again: Option<Instant>,
    /// Taken when it is gone on with.
    held: Option<(Held, Next)>,
    _place: Place,
}

/// Calls of a sandbox that wait: each has descriptors of the host.
#[derive(Default)]
pub(super) struct Places(Arc<AtomicUsize>);

/// The most of them, of a sandbox: an eighth of what the host may have open, if that is less. Each holds two descriptors at most.
const MOST: u64 = 960;

/// Those of all sandboxes, a quarter of what the host may have open at most, and in which process: a fork of the host begins with none.
static TAKEN: AtomicUsize = AtomicUsize::new(0);
static TAKEN_BY: AtomicI32 = AtomicI32::new(0);

struct Place(Arc<AtomicUsize>);

impl Places {
    fn take(&self) -> Option<Place> {
        let host = sys::process::id();
        if TAKEN_BY.swap(host, Ordering::AcqRel) != host {
            TAKEN.store(0, Ordering::Release);
        }
        let open = open_files_limit();
        Place::take(&self.0, (open / 8).min(MOST))?;
        if Place::take(&TAKEN, open / 4).is_none() {
            Place::give_back(&self.0);
            return None;
        }
        Some(Place(Arc::clone(&self.0)))
    }
}

impl Place {
    fn take(count: &AtomicUsize, most: u64) -> Option<()> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let more = |taken| (taken < most).then_some(taken + 1);
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()
            .map(drop)
    }

    fn give_back(count: &AtomicUsize) {
        // One of before a fork may have been given back by nobody, and is not counted either.
        let _ = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| taken.checked_sub(1));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        Self::give_back(&self.0);
        Self::give_back(&TAKEN);
    }
}

/// Leaves `held` until `what` comes to pass, and then has `next` go on with it, on a thread aside.
pub(super) fn wait(rules: &Rules, mut held: Held, what: For, next: impl FnOnce(Held) + Send + 'static) {
    let Some(place) = rules.places.take() else {
        return answer(&held.call, Err(Errno(libc::ENOBUFS)));
    };
    let errands = held.call.errands();
    held.patience.begin(&held.socket);
    let waiting = Waiting {
        errands: errands.clone(),
        what,
        again: (what == For::Time).then(|| held.patience.retry_at()),
        held: Some((held, Box::new(next))),
        _place: place,
    };
    if let Err(errand) = errands.leave(Box::new(waiting)) {
        // The sandbox has ended, or more than a thousand calls wait.
        if let Some(call) = errand.call() {
            answer(call, Err(Errno(libc::ENOBUFS)));
        }
    }
}

impl Waiting {
    /// Has what was held go on, or go. `self` keeps it if there is no thread for that now.
    fn pass_on(&mut self, work: impl FnOnce(Held, Next) + Send + 'static) -> bool {
        // The work comes back if it cannot be done, and must leave what it was to be done with.
        let parcel = Arc::new(Mutex::new(self.held.take()));
        let sent = Arc::clone(&parcel);
        let sent = self.errands.aside(Box::new(move || {
            let taken = sent.lock().take();
            if let Some((held, next)) = taken {
                work(held, next);
            }
        }));
        if sent.is_err() {
            self.held = parcel.lock().take();
        }
        self.held.is_none()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Not on the warden, if it can be helped: the program may have closed the socket, and then the last close may take a while
        // (SO_LINGER).
        if self.held.is_some() {
            self.pass_on(|held, _| drop(held));
        }
    }
}

impl Errand for Waiting {
    fn wait(&self) -> Option<(RawFd, i16)> {
        let (held, _) = self.held.as_ref()?;
        let events = match self.what {
            For::Writable => libc::POLLOUT,
            For::Readable => libc::POLLIN,
            For::Time => return None,
        };
        self.again.is_none().then(|| (held.socket.as_raw_fd(), events))
    }

    fn due(&self) -> Option<Instant> {
        let due = self.held.as_ref()?.0.patience.due();
        Some(self.again.map_or(due, |again| again.min(due)))
    }

    fn call(&self) -> Option<&Call> {
        Some(&self.held.as_ref()?.0.call)
    }

    fn proceed(mut self: Box<Self>, ready: bool) -> Option<Box<dyn Errand>> {
        let again = self.again.is_some_and(|again| again <= Instant::now());
        let (held, _) = self.held.as_mut()?;
        if !ready && let Some(reply) = held.patience.verdict(&held.call) {
            // Errors mean that the caller is gone.
            if !self.pass_on(move |held, _| drop(held.into_call().answer(reply))) {
                let _ = self.held.as_ref()?.0.call.answer(reply);
            }
            return None;
        }
        if !ready && !again {
            return Some(self);
        }
        if self.pass_on(|held, next| next(held)) {
            return None;
        }
        self.again = Some(Instant::now() + SOON);
        Some(self)
    }
}
