//! The sockets of one sandbox: how many there are, and which address each has.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crate::lock::Mutex;
use crate::sys::Errno;

use super::endpoint::Endpoint;

/// Most sockets of a sandbox.
pub(super) const MOST: usize = 64;

/// The first address that the kernel tries where a process has one already.
const NO_PROCESS: u32 = u32::MAX - 4096;

/// A socket's place among those that a sandbox may have.
pub(super) struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let more = |taken| (taken < MOST).then_some(taken + 1);
        taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The sockets of one sandbox.
#[derive(Default)]
pub(super) struct Register {
    taken: Arc<AtomicUsize>,
    sockets: Mutex<Vec<Weak<Endpoint>>>,
}

impl Register {
    /// Makes a socket, as [`Endpoint::new`] does. ENOBUFS: there are too many.
    pub(super) fn open(
        self: &Arc<Self>,
        options: (bool, bool),
        process: u32,
    ) -> Result<(Arc<Endpoint>, OwnedFd), Errno> {
        let place = Place::take(&self.taken).or_else(|| {
            // The warden may be about to notice that some were closed.
            self.all().iter().for_each(|endpoint| endpoint.give_place_if_over());
            Place::take(&self.taken)
        });
        let (endpoint, theirs) = Endpoint::new(self, place.ok_or(Errno(libc::ENOBUFS))?, options, process)?;
        let endpoint = Arc::new(endpoint);
        let mut sockets = self.sockets.lock();
        sockets.retain(|socket| socket.strong_count() > 0);
        sockets.push(Arc::downgrade(&endpoint));
        Ok((endpoint, theirs))
    }

    /// All that there are. Not kept for long: whoever has one keeps it open.
    pub(super) fn all(&self) -> Vec<Arc<Endpoint>> {
        self.sockets.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// True if there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.sockets.lock().iter().all(|socket| socket.strong_count() == 0)
    }

    /// The socket whose end the kernel calls so in the program.
    pub(super) fn find(&self, cookie: u64) -> Option<Arc<Endpoint>> {
        self.all().into_iter().find(|endpoint| endpoint.cookie() == cookie)
    }

    /// The address of `endpoint`, which gets one if it has none.
    pub(super) fn port(&self, endpoint: &Endpoint) -> u32 {
        // There is always one to be had.
        let _ = self.bind(endpoint, 0);
        endpoint.port.load(Ordering::Acquire)
    }

    /// Gives `endpoint` the address `wanted`, or if that is 0 one that nobody has: the number of its process, or else one that no process
    /// has, as the kernel does. EADDRINUSE: somebody has it. EINVAL: it has another.
    pub(super) fn bind(&self, endpoint: &Endpoint, wanted: u32) -> Result<(), Errno> {
        // Let go of after the lock: it may end here.
        let others: Vec<_>;
        // Held while an address is chosen. Nobody else changes one.
        let sockets = self.sockets.lock();
        others = sockets.iter().filter_map(Weak::upgrade).collect();
        match endpoint.port.load(Ordering::Acquire) {
            0 => {}
            port if wanted == 0 || wanted == port => return Ok(()),
            _ => return Err(Errno(libc::EINVAL)),
        }
        let is_free = |port: &u32| {
            let mut others = others.iter();
            !others.any(|other| other.port.load(Ordering::Acquire) == *port)
        };
        let port = match wanted {
            0 => std::iter::once(endpoint.process())
                .chain((1..=NO_PROCESS).rev())
                .find(|port| *port != 0 && is_free(port)),
            _ => Some(wanted).filter(is_free),
        };
        endpoint
            .port
            .store(port.ok_or(Errno(libc::EADDRINUSE))?, Ordering::Release);
        Ok(())
    }
}
