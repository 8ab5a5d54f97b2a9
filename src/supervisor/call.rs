//! A received call on its way along the chain of those who look at it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::members::Reach;
use crate::sys::notify::{self, Received};

use super::answer::{Reply, Ticket, add};
use super::notification::Notification;
use super::session::{Link, Session};
use super::watch::Slot;
use super::{Errands, Event, Ground, Handler, Known, Level, Served, Service, Verdict, kind, memory};

/// Where a call is dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a thread that is not confined, and may run handlers.
    Worker,
    /// On the warden.
    Warden,
    /// On a thread that the warden has started.
    Attendant,
}

/// A call that waits for its answer. Dropped unanswered, it is denied.
pub struct Call {
    session: Arc<Session>,
    received: Received,
    ticket: Ticket,
    /// How many links of the chain have passed it on.
    position: usize,
}

impl Call {
    pub(super) fn new(session: Arc<Session>, received: Received) -> Self {
        Self {
            session,
            ticket: Ticket::new(&received),
            received,
            position: 0,
        }
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// For who puts the answer off.
    pub(super) fn ticket_mut(&mut self) -> &mut Ticket {
        &mut self.ticket
    }

    /// True while its caller waits for the answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.ticket.is_open() && notify::is_waiting(self.session.listener(), self.ticket.id())
    }

    /// What the kernel says of it.
    pub(crate) fn received(&self) -> &Received {
        &self.received
    }

    /// Answers it; an error if somebody did before, or if the caller is gone.
    pub(crate) fn answer(&self, reply: Reply) -> Result<()> {
        self.ticket.answer(&self.session, reply)
    }

    /// An event of `kind` about it.
    pub(crate) fn event(&self, kind: u64) -> Event {
        Event {
            call: Some(self.received.number),
            ..Event::new(kind, self.thread())
        }
    }

    /// Has observers told of `event`.
    pub(crate) fn emit(&self, event: Event) {
        self.session.core().emit(event);
    }

    /// Has the end of its process, `pid`, told. `announced`: it is about to exit with that.
    pub(crate) fn watch_process(&self, pid: i32, known: &Known, announced: Option<i32>) {
        self.session.core().watch(pid, known, announced);
    }

    /// The calling thread, in the host's PID namespace; 0 if it is not in there.
    pub(crate) fn thread(&self) -> i32 {
        i32::try_from(self.received.thread).unwrap_or(0)
    }

    /// Who is in the sandbox, for the warden and threads that it starts.
    pub(crate) fn reach(&self) -> Reach {
        self.session.reach()
    }

    /// The descriptors of this process that answering it and telling of it take, for a thread that leaves the others behind.
    pub(crate) fn descriptors(&self) -> Vec<i32> {
        let wake = self.session.core().events_wake();
        std::iter::once(self.session.listener()).chain(wake).collect()
    }

    /// Where errands of its sandbox are left, to go on with it later.
    pub(crate) fn errands(&self) -> Errands {
        self.session.errands().clone()
    }

    /// True while another call of the same sandbox waits for its answer.
    pub(crate) fn other_waits(&self, id: u64) -> bool {
        notify::is_waiting(self.session.listener(), id)
    }

    /// For how long it has waited.
    pub(crate) fn age(&self) -> Duration {
        self.ticket.age()
    }

    /// Reads the caller's memory, up to the first byte that cannot be read, and says how much that is.
    pub(crate) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read(self, address, buffer)
    }

    /// Writes to the caller's memory, all or as much as can be written, and says how much that is.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<usize> {
        memory::write(self, address, bytes)
    }

    /// Reads a NUL-terminated string of the caller's, and gives its length without the NUL.
    pub(crate) fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read_string(self, address, buffer)
    }

    /// Goes on along the chain at `place`, with `run` for handlers, until somebody does not pass it on.
    pub(super) fn proceed(mut self, place: Place, mut run: impl FnMut(Arc<dyn Handler>, Self) -> Option<Self>) {
        loop {
            match self.session.links(&self.received).get(self.position) {
                Some(Link::Service(service)) => match self.serve(&**service, place) {
                    // Unanswered, it is denied here.
                    None => return,
                    Some(Served::Pass) => self.position += 1,
                    Some(Served::Answer(reply)) => {
                        // An error means that the caller is gone.
                        let _ = self.answer(reply);
                        return;
                    }
                    Some(Served::Confined | Served::Later) => {
                        let session = Arc::clone(&self.session);
                        return session.leave_to_warden(self, place == Place::Warden);
                    }
                    Some(Served::Apart) => {
                        let session = Arc::clone(&self.session);
                        return session.leave_apart(self);
                    }
                    Some(Served::Taken) => {
                        let (service, errands) = (Arc::clone(service), self.errands());
                        // What a panic leaves is a call without an answer, which is denied when it is dropped.
                        errands.contain(|| service.take(self));
                        return;
                    }
                },
                None => {
                    // Nobody minds. An error means that the caller is gone.
                    let _ = self.answer(Reply::Continue);
                    return;
                }
                Some(Link::Handler(_)) if place != Place::Worker => {
                    let session = Arc::clone(&self.session);
                    return session.hand_over(self);
                }
                Some(Link::Handler(handler)) => {
                    let handler = Arc::clone(handler);
                    self.position += 1;
                    match run(handler, self) {
                        Some(passed_on) => self = passed_on,
                        None => return,
                    }
                }
                Some(Link::Queue) => {
                    let session = Arc::clone(&self.session);
                    session.core().enqueue(self);
                    return;
                }
            }
        }
    }

    /// What `service` says of it; None if that has panicked.
    fn serve(&self, service: &dyn Service, place: Place) -> Option<Served> {
        let ground = self.ground(place);
        self.session.errands().contain(|| service.serve(self, ground))
    }

    fn ground(&self, place: Place) -> Ground {
        match place {
            Place::Worker => Ground::Free,
            Place::Warden if self.session.reach().is_whole() => Ground::Warden,
            Place::Warden => Ground::Unscoped,
            Place::Attendant if self.session.reach().is_whole() => Ground::Apart,
            Place::Attendant => Ground::UnscopedApart,
        }
    }

    /// Does what a confined thread can: answers the set-up's own calls, runs services, puts calls into the queue. Handlers must not
    /// run there, so the rest goes to a worker.
    pub(super) fn proceed_confined(self, place: Place) {
        if self.session.is_own(&self.received) {
            // An error means that the child has died.
            let _ = self.answer(Reply::Continue);
            return;
        }
        self.proceed(place, |_, call| Some(call));
    }

    /// Has `handler` look at it, as a turn of the worker with `slot`; `begun` is called when that is to be
    /// seen. The call comes back if it goes on to the next.
    pub(super) fn run_handler(mut self, handler: &dyn Handler, slot: &Arc<Slot>, begun: impl FnOnce()) -> Option<Self> {
        self.ticket.watch(slot);
        begun();
        let mut notification = Notification::new(self);
        // A panic goes no further than here, but to the host's hook.
        let verdict = catch_unwind(AssertUnwindSafe(|| handler.handle(&mut notification))).unwrap_or(Verdict::Failed);
        // None: the handler has put it off.
        let mut call = notification.into_call()?;
        call.ticket.unwatch();
        let open = call.ticket.is_open();
        match verdict {
            Verdict::Pass if open => return Some(call),
            Verdict::Done | Verdict::Pass if !open => {}
            _ => {
                add(&call.session.counters().failed);
                let number = call.received.number;
                let mut event = call.event(kind::HANDLER_FAILED);
                event.errno = i32::from(call.session.denial());
                "a handler failed or gave no answer; the call is denied".clone_into(&mut event.text);
                call.emit(event);
                call.session.core().log(
                    Level::Warning,
                    &format!("a handler of system call {number} failed or gave no answer; the call is denied"),
                );
            }
        }
        // Unanswered, it is denied here.
        None
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("number", &self.received.number)
            .field("thread", &self.received.thread)
            .finish_non_exhaustive()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // In a process that was forked off, the answer is still the host's to give.
        if self.ticket.is_open() && !self.session.core().is_a_forks() {
            // An error means that somebody was faster, or that the caller is gone.
            let _ = self.answer(Reply::Errno(self.session.denial()));
        }
    }
}
