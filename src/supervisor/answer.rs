//! Answering a call: exactly once, by whoever comes first, and counted.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::process::Stats;
use crate::sys;
use crate::sys::notify::{self, Received};

use super::session::Session;
use super::watch::{About, Phase, Slot, Turn};

/// What a call is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It runs.
    Continue,
    /// It fails.
    Errno(u16),
    /// It returns this, without running.
    Value(i64),
    /// It returns a duplicate of this descriptor, at a number of the caller's table.
    Fd {
        fd: RawFd,
        target: Option<i32>,
        cloexec: bool,
    },
    /// The sandbox ends.
    Kill,
}

/// The right to answer one call.
pub(super) struct Ticket {
    about: About,
    received: Instant,
    /// While a handler looks at it, the manager has a part in it.
    watched: Option<(Arc<Slot>, Turn)>,
    /// Otherwise: false once it was answered.
    open: AtomicBool,
    /// It was answered, but nobody was there any more.
    missed: AtomicBool,
}

impl Ticket {
    pub(super) fn new(received: &Received) -> Self {
        Self {
            about: About {
                id: received.id,
                number: received.number,
                thread: i32::try_from(received.thread).unwrap_or(0),
            },
            received: Instant::now(),
            watched: None,
            open: AtomicBool::new(true),
            missed: AtomicBool::new(false),
        }
    }

    pub(super) fn age(&self) -> Duration {
        self.received.elapsed()
    }

    pub(super) fn id(&self) -> u64 {
        self.about.id
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.watched {
            Some((slot, turn)) => slot.now() == (*turn, Phase::Open),
            None => self.open.load(Ordering::Acquire),
        }
    }

    /// A handler begins to look at the call, as a turn of `slot`.
    pub(super) fn watch(&mut self, slot: &Arc<Slot>) {
        self.watched = Some((Arc::clone(slot), slot.begin(self.about)));
    }

    /// The handler has looked, and the turn is about to end.
    pub(super) fn unwatch(&mut self) {
        let open = self.is_open();
        self.watched = None;
        *self.open.get_mut() = open;
    }

    /// The answer is put off: the manager has no part in it any more.
    pub(super) fn put_off(&mut self) -> Result<()> {
        self.claim()?;
        self.watched = None;
        *self.open.get_mut() = true;
        Ok(())
    }

    /// Takes the right. Only one caller ever has it.
    fn claim(&self) -> Result<()> {
        let claimed = match &self.watched {
            Some((slot, turn)) => slot.claim(*turn, Phase::Answered),
            None if self.open.swap(false, Ordering::AcqRel) => Ok(()),
            None => Err(Phase::Answered),
        };
        claimed.map_err(|phase| match phase {
            Phase::Overdue => stale("the handler's deadline has passed, and the call was denied"),
            _ if self.missed.load(Ordering::Relaxed) => stale(GONE),
            _ => Error::new(ErrorKind::State, Stage::Supervisor, "the call was answered before"),
        })
    }

    /// Answers, unless that was done before.
    pub(super) fn answer(&self, session: &Session, reply: Reply) -> Result<()> {
        self.claim()?;
        // Counted before the caller goes on: who sees what it does next finds that counted.
        session.counters().answering(reply);
        let sent = send(session, self.about.id, reply);
        session
            .counters()
            .answered(reply, sent.is_ok(), self.received.elapsed());
        if matches!(&sent, Err(error) if error.kind() == ErrorKind::Stale) {
            self.missed.store(true, Ordering::Relaxed);
        }
        sent
    }
}

impl Ticket {
    /// Denies the call because its time is over.
    pub(super) fn expire(&self, session: &Session) {
        if self.claim().is_ok() {
            deny_overdue(session, self.about);
        }
    }
}

/// Denies a call whose handler has had its time.
pub(super) fn deny_overdue(session: &Session, about: About) {
    add(&session.counters().overdue);
    // An error means that the caller is gone.
    let _ = notify::fail(session.listener(), about.id, session.denial());
    let mut event = super::Event::new(super::kind::HANDLER_FAILED, about.thread);
    event.call = Some(about.number);
    event.errno = i32::from(session.denial());
    "a handler's deadline has passed; its call is denied".clone_into(&mut event.text);
    session.core().emit(event);
}

pub(super) const GONE: &str = "the caller has died, or its call was interrupted";

/// The errno is that of the kernel's answer, but its text would be about a file.
pub(super) fn stale(why: &str) -> Error {
    Error::new(ErrorKind::Stale, Stage::Supervisor, why).with_errno(libc::ENOENT)
}

fn send(session: &Session, id: u64, reply: Reply) -> Result<()> {
    let listener = session.listener();
    let sent = match reply {
        Reply::Continue => notify::resume(listener, id),
        Reply::Errno(errno) => notify::fail(listener, id, errno),
        Reply::Value(value) => notify::succeed(listener, id, value),
        Reply::Fd { fd, target, cloexec } => return send_fd(session, id, fd, target, cloexec),
        Reply::Kill => {
            session.kill();
            return Ok(());
        }
    };
    sent.map_err(|errno| match errno.0 {
        libc::ENOENT | libc::EINPROGRESS => stale(GONE),
        errno => {
            // Never left without an answer.
            let _ = notify::fail(listener, id, session.denial());
            Error::system(ErrorKind::System, Stage::Supervisor, "cannot answer the call", errno)
        }
    })
}

/// A descriptor that cannot be given means that the call fails: it never runs instead.
fn send_fd(session: &Session, id: u64, fd: RawFd, target: Option<i32>, cloexec: bool) -> Result<()> {
    let listener = session.listener();
    let sent = match notify::succeed_with_fd(listener, id, fd, target, cloexec) {
        // Linux 5.9 to 5.13: in two steps.
        Err(sys::Errno(libc::EINVAL)) => notify::add_fd(listener, id, fd, target, cloexec)
            .and_then(|number| notify::succeed(listener, id, i64::from(number))),
        sent => sent,
    };
    sent.map_err(|errno| match errno.0 {
        libc::ENOENT | libc::EINPROGRESS => stale(GONE),
        errno => {
            let shown = match errno {
                libc::EMFILE => libc::EMFILE.unsigned_abs(),
                _ => libc::EIO.unsigned_abs(),
            };
            let _ = notify::fail(listener, id, u16::try_from(shown).unwrap_or(session.denial()));
            Error::system(
                ErrorKind::System,
                Stage::Supervisor,
                "cannot give the caller a descriptor",
                errno,
            )
        }
    })
}

/// What was done, since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(super) received: AtomicU64,
    continued: AtomicU64,
    denied: AtomicU64,
    returned: AtomicU64,
    killed: AtomicU64,
    overdue: AtomicU64,
    pub(super) failed: AtomicU64,
    dropped: AtomicU64,
    pub(super) deferred: AtomicU64,
    worst_latency_us: AtomicU64,
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    /// The counter of calls that are answered like this.
    fn of(&self, reply: Reply) -> &AtomicU64 {
        match reply {
            Reply::Continue => &self.continued,
            Reply::Errno(_) => &self.denied,
            Reply::Value(_) | Reply::Fd { .. } => &self.returned,
            Reply::Kill => &self.killed,
        }
    }

    fn answering(&self, reply: Reply) {
        add(self.of(reply));
    }

    /// After [`Self::answering`].
    fn answered(&self, reply: Reply, sent: bool, latency: Duration) {
        if !sent {
            self.of(reply).fetch_sub(1, Ordering::Relaxed);
            add(&self.dropped);
        }
        let latency = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if latency > self.worst_latency_us.load(Ordering::Relaxed) {
            self.worst_latency_us.fetch_max(latency, Ordering::Relaxed);
        }
    }

    /// The numbers now, read one by one.
    pub(super) fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            received: read(&self.received),
            continued: read(&self.continued),
            denied: read(&self.denied),
            returned: read(&self.returned),
            killed: read(&self.killed),
            overdue: read(&self.overdue),
            failed: read(&self.failed),
            dropped: read(&self.dropped),
            deferred: read(&self.deferred),
            queued: 0,
            worst_latency_us: read(&self.worst_latency_us),
            events_lost: 0,
        }
    }
}

/// The counters of a supervisor's sandboxes.
#[derive(Default)]
pub(super) struct Tally {
    /// Sums of those that are gone.
    gone: Stats,
    present: Vec<Arc<Counters>>,
}

impl Tally {
    pub(super) fn add(&mut self, counters: Arc<Counters>) {
        self.present.push(counters);
    }

    pub(super) fn remove(&mut self, counters: &Arc<Counters>) {
        if let Some(index) = self.present.iter().position(|known| Arc::ptr_eq(known, counters)) {
            self.gone = self.gone.plus(self.present.swap_remove(index).read());
        }
    }

    pub(super) fn sum(&self) -> Stats {
        let sum = |sum: Stats, counters: &Arc<Counters>| sum.plus(counters.read());
        self.present.iter().fold(self.gone, sum)
    }
}
