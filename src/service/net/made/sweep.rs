//! Looking now and then which sockets nobody has any more, and waiting for connections that nobody waits for.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::Mutex;
use crate::members::Reach;
use crate::supervisor::{Call, Errand, Errands};
use crate::sys::socket;

use super::{Made, Past, id_of};

/// How soon somebody looks again: after a while, longer while nothing is found, and much longer than the last look took.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);
const TIMES: u32 = 50;
/// The longest look.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon something is tried again for which there was no thread.
const SOON: Duration = Duration::from_millis(3);

impl Made {
    /// Sees to it that somebody looks.
    pub(super) fn attend(self: &Arc<Self>, call: &Call) {
        let swept = std::mem::replace(&mut self.table.lock().swept, true);
        if !swept {
            Sweep {
                made: Arc::clone(self),
                errands: call.errands(),
                reach: call.reach(),
                pause: SHORTEST,
                at: Instant::now() + SHORTEST,
            }
            .leave();
        }
    }

    /// A connection was begun, and the program does not wait for it. Lets go of the socket when it is there. `socket`: a duplicate.
    pub(in super::super) fn await_connection(self: &Arc<Self>, socket: &OwnedFd, call: &Call) {
        let Ok(id) = id_of(socket) else { return };
        let held = self.table.lock().held.get(&id).map(|held| Arc::clone(&held.socket));
        if let Some(socket) = held {
            let connecting = Connecting {
                made: Arc::clone(self),
                errands: call.errands(),
                socket: Some(socket),
                at: Instant::now() + SHORTEST,
            };
            // An error: the next look at everything lets go of it.
            let _ = call.errands().leave(Box::new(connecting));
        }
    }

    fn has(&self, socket: &Arc<OwnedFd>) -> bool {
        let table = self.table.lock();
        table.held.values().any(|held| Arc::ptr_eq(&held.socket, socket))
    }
}

/// The next look.
struct Sweep {
    made: Arc<Made>,
    errands: Errands,
    reach: Reach,
    pause: Duration,
    at: Instant,
}

impl Sweep {
    fn leave(self) {
        let (made, errands) = (Arc::clone(&self.made), self.errands.clone());
        // An error: there are too many, or the sandbox has ended. Who gives the next socket tries again.
        if errands.leave(Box::new(self)).is_err() {
            made.table.lock().swept = false;
        }
    }

    fn look(mut self) {
        let begun = Instant::now();
        self.made.let_go_of_connected();
        let closed = self.made.collect_until(self.reach, false, begun + PATIENCE);
        let missed = {
            let mut table = self.made.table.lock();
            if table.held.is_empty() {
                table.swept = false;
                return;
            }
            table.held.values().any(|held| held.missed)
        };
        self.pause = if closed > 0 || missed {
            SHORTEST
        } else {
            (self.pause * 2).min(LONGEST)
        };
        self.at = Instant::now() + self.pause.max(begun.elapsed() * TIMES);
        self.leave();
    }
}

impl Errand for Sweep {
    fn wait(&self) -> Option<(RawFd, i16)> {
        None
    }

    fn due(&self) -> Option<Instant> {
        Some(self.at)
    }

    fn call(&self) -> Option<&Call> {
        None
    }

    fn proceed(self: Box<Self>, _ready: bool) -> Option<Box<dyn Errand>> {
        let errands = self.errands.clone();
        let parcel = Arc::new(Mutex::new(Some(self)));
        let sent = Arc::clone(&parcel);
        let looking = errands.aside(Box::new(move || {
            let taken = sent.lock().take();
            if let Some(sweep) = taken {
                sweep.look();
            }
        }));
        let mut sweep = looking.err().and_then(|_| parcel.lock().take())?;
        sweep.at = Instant::now() + sweep.pause;
        Some(sweep)
    }
}

/// A connection on its way.
struct Connecting {
    made: Arc<Made>,
    errands: Errands,
    /// Taken when it is there.
    socket: Option<Arc<OwnedFd>>,
    /// When to look whether somebody still has it.
    at: Instant,
}

impl Connecting {
    /// Has the socket let go of if it is connected. False: there is no thread for that now.
    fn pass_on(&mut self) -> bool {
        let made = Arc::clone(&self.made);
        let parcel = Arc::new(Mutex::new(self.socket.take()));
        let sent = Arc::clone(&parcel);
        let sent = self.errands.aside(Box::new(move || {
            let taken = sent.lock().take();
            if let Some(socket) = taken
                && socket::is_connected(socket.as_raw_fd())
            {
                made.let_go(&socket, Past::Arrived);
            }
        }));
        if sent.is_err() {
            self.socket = parcel.lock().take();
        }
        self.socket.is_none()
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        // Not on the warden, if it can be helped: to close it may take a while (SO_LINGER).
        if self.socket.is_some() {
            self.pass_on();
        }
    }
}

impl Errand for Connecting {
    fn wait(&self) -> Option<(RawFd, i16)> {
        Some((self.socket.as_ref()?.as_raw_fd(), libc::POLLOUT))
    }

    fn due(&self) -> Option<Instant> {
        Some(self.at)
    }

    fn call(&self) -> Option<&Call> {
        None
    }

    fn proceed(mut self: Box<Self>, ready: bool) -> Option<Box<dyn Errand>> {
        let gone = self.socket.as_ref().is_none_or(|socket| !self.made.has(socket));
        if (ready || gone) && self.pass_on() {
            return None;
        }
        self.at = Instant::now() + if ready || gone { SOON } else { SHORTEST };
        Some(self)
    }
}
