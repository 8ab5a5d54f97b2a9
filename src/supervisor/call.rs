//! A received call on its way along the chain of those who look at it.

use std::sync::Arc;

use crate::error::Result;
use crate::sys::notify::{self, Received};

use super::answer::{Reply, Ticket, add};
use super::notification::Notification;
use super::session::{Link, Session};
use super::watch::Slot;
use super::{Level, Place, Served, Verdict};

/// A call that waits for its answer. Dropped unanswered, it is denied.
pub struct Call {
    session: Arc<Session>,
    received: Received,
    ticket: Ticket,
    /// How many links of the chain have passed it on.
    position: usize,
}

/// Where a call must go on.
pub(super) enum Elsewhere {
    /// To a thread that is confined like the sandbox.
    Confined(Call),
    /// To one that is not.
    Free(Call),
}

impl Call {
    pub(super) fn new(session: Arc<Session>, received: Received) -> Self {
        Self {
            session,
            ticket: Ticket::new(received.id),
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
    pub(super) fn is_waiting(&self) -> bool {
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

    /// Goes on along the chain as far as this thread may: `place` is where it is. None: the call is dealt with.
    pub(super) fn proceed(
        mut self,
        place: Place,
        mut run: impl FnMut(&dyn super::Handler, Self) -> Option<Self>,
    ) -> Option<Elsewhere> {
        if self.session.is_own(&self.received) {
            // An error means that the child has died.
            let _ = self.answer(Reply::Continue);
            return None;
        }
        loop {
            match self.session.links(&self.received).get(self.position) {
                None => {
                    // Nobody minds. An error means that the caller is gone.
                    let _ = self.answer(Reply::Continue);
                    return None;
                }
                Some(Link::Service(service)) => {
                    if service.place() == Place::Confined && place != Place::Confined {
                        return Some(Elsewhere::Confined(self));
                    }
                    match service.serve(&self) {
                        Served::Pass => self.position += 1,
                        // Dropped unanswered it is denied.
                        Served::Done => return None,
                    }
                }
                Some(Link::Handler(handler)) => {
                    if place == Place::Confined {
                        return Some(Elsewhere::Free(self));
                    }
                    let handler = Arc::clone(handler);
                    self.position += 1;
                    self = run(&*handler, self)?;
                }
                Some(Link::Queue) => {
                    let session = Arc::clone(&self.session);
                    session.core().enqueue(self);
                    return None;
                }
            }
        }
    }

    /// Goes on in the warden.
    pub(super) fn proceed_as_warden(self) {
        match self.proceed(Place::Confined, |_, call| Some(call)) {
            None => {}
            Some(Elsewhere::Confined(call)) => drop(call),
            Some(Elsewhere::Free(call)) => {
                let session = Arc::clone(call.session());
                session.hand_over(call);
            }
        }
    }

    /// Has `handler` look at it, as a turn of the worker with `slot`; `begun` is called when that is to be
    /// seen. The call comes back if it goes on to the next.
    pub(super) fn run_handler(
        mut self,
        handler: &dyn super::Handler,
        slot: &Arc<Slot>,
        begun: impl FnOnce(),
    ) -> Option<Self> {
        self.ticket.watch(slot);
        begun();
        let mut notification = Notification::new(self);
        let verdict = handler.handle(&mut notification);
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

impl Drop for Call {
    fn drop(&mut self) {
        if self.ticket.is_open() {
            // An error means that somebody was faster, or that the caller is gone.
            let _ = self.answer(Reply::Errno(self.session.denial()));
        }
    }
}
