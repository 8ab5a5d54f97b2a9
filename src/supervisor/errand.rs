//! What services leave with a sandbox's warden, to be gone on with when something comes to pass: calls that wait for a socket, say.

use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::lock::Mutex;
use crate::process::Shared;

use super::aside::{Asides, Work};
use super::{Call, Core, Level};

/// Most errands of a sandbox.
pub(super) const MOST: usize = 1024;
/// Something that is gone on with when something comes to pass. It belongs to the warden until it is done; until then none of what
/// it says of itself changes but by [`Errand::proceed`]. What it says must be said at once, and without a panic.
pub(crate) trait Errand: Send {
    /// A descriptor, which stays open, and the events of poll(2) to wait for.
    fn wait(&self) -> Option<(RawFd, i16)>;

    /// When it is gone on with at the latest.
    fn due(&self) -> Option<Instant>;

    /// The call whose caller waits, if there is one. Once the caller is gone, or has its answer, the errand is dropped: what shall
    /// go on after the answer says None from then on.
    fn call(&self) -> Option<&Call>;

    /// Goes on, on the warden, and must not block. `ready`: the descriptor is, or POLLHUP, POLLERR or POLLNVAL was found; otherwise it
    /// is due. None: it is done.
    fn proceed(self: Box<Self>, ready: bool) -> Option<Box<dyn Errand>>;
}

/// Errands that the warden has not seen yet.
#[derive(Default)]
struct Arrivals {
    errands: Vec<Box<dyn Errand>>,
    /// How many the warden has besides.
    held: usize,
    /// The sandbox has ended.
    closed: bool,
}

struct Office {
    core: Arc<Core>,
    shared: Arc<Shared>,
    warden: ThreadId,
    arrivals: Mutex<Arrivals>,
    asides: Asides,
}

/// Where the errands of one sandbox are left. It keeps nothing else of the sandbox alive, so a service may keep it.
#[derive(Clone)]
pub(crate) struct Errands(Arc<Office>);

impl Errands {
    /// Those of a sandbox whose warden this thread is.
    pub(super) fn new(core: &Arc<Core>, shared: &Arc<Shared>) -> Self {
        Self(Arc::new(Office {
            core: Arc::clone(core),
            shared: Arc::clone(shared),
            warden: std::thread::current().id(),
            arrivals: Mutex::default(),
            asides: Asides::default(),
        }))
    }

    /// Leaves `errand` with the warden, from any thread. It comes back if the sandbox has ended, or has [too many](MOST).
    pub(crate) fn leave(&self, errand: Box<dyn Errand>) -> Result<(), Box<dyn Errand>> {
        {
            let mut arrivals = self.0.arrivals.lock();
            if arrivals.closed || arrivals.errands.len() + arrivals.held >= MOST {
                return Err(errand);
            }
            arrivals.errands.push(errand);
        }
        // The warden itself looks for arrivals before it waits.
        if std::thread::current().id() != self.0.warden {
            self.0.shared.wake();
        }
        Ok(())
    }

    /// Runs `work`, which may block, on a thread of its own. The calling thread makes it, so it is confined like that one. The work
    /// comes back if the sandbox has ended or has too many such threads, or if there cannot be another.
    pub(crate) fn aside(&self, work: Work) -> Result<(), Work> {
        let errands = self.clone();
        self.0.asides.start(work, move |work| {
            errands.contain(work);
        })
    }

    /// Takes what has arrived since the last time. For the warden, which then has it.
    pub(super) fn collect(&self) -> Vec<Box<dyn Errand>> {
        let mut arrivals = self.0.arrivals.lock();
        arrivals.held += arrivals.errands.len();
        std::mem::take(&mut arrivals.errands)
    }

    /// The warden has `count` errands now.
    pub(super) fn note_held(&self, count: usize) {
        self.0.arrivals.lock().held = count;
    }

    /// The sandbox has ended: takes what has arrived, and nothing is left any more.
    pub(super) fn close(&self) -> Vec<Box<dyn Errand>> {
        self.0.asides.close();
        let mut arrivals = self.0.arrivals.lock();
        arrivals.closed = true;
        std::mem::take(&mut arrivals.errands)
    }

    /// Waits for the threads aside to end, for at most `patience`.
    pub(super) fn dismiss_asides(&self, patience: Duration) {
        self.0.asides.dismiss(patience);
    }

    /// Runs a service's code. A panic is told, and goes no further: what it was about is dropped, and a call so denied.
    pub(super) fn contain<T>(&self, body: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(body)).ok();
        if done.is_none() {
            let message = "a bug in libsandlock has ended a service's work; the call that it was for is denied";
            self.0.core.log(Level::Error, message);
        }
        done
    }
}
