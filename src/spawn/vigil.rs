//! The vigil over a sandbox that was stopped: does somebody go on whom nobody has let go on?
//!
//! A program can have itself woken: by timers, or descriptors, that send SIGCONT. Whether anybody runs who was stopped the kernel's
//! clocks of processor time tell, which cost next to nothing to ask; only then is looked closer. For there are those who run and have
//! not been woken: a long system call goes on to its end before a process stops.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::members::{self, Reach};

use super::gauge::clocks_of;

/// Over those in a sandbox, once all of them have been told to stop.
#[derive(Default)]
pub(super) struct Vigil {
    /// The processor time they had used at the last look; None: there was none.
    clocks: Option<BTreeMap<i32, Duration>>,
}

impl Vigil {
    /// True if one of them was woken. One that has ended meanwhile may have been, and has perhaps left another behind.
    pub(super) fn is_broken(&mut self, reach: Reach) -> bool {
        if let Some(clocks) = &self.clocks
            && clocks_of(clocks.keys().copied()) == *clocks
        {
            return false;
        }
        // The host has no descriptor left, say.
        let Ok(found) = reach.found() else { return false };
        self.clocks = Some(clocks_of(found.iter().map(|found| found.member.pid)));
        let mut suspects = found.iter().filter(|found| !found.has_stopped());
        suspects.any(|found| members::was_woken(found.member.pid))
    }
}

/// Shortest and longest time between two looks at a sandbox that its owner has paused.
const SOONEST: Duration = Duration::from_millis(2);
const LATEST: Duration = Duration::from_millis(100);

/// What its owner has paused: who is woken is stopped again. Without a domain there is no telling who that might be.
pub(super) struct Pause {
    reach: Reach,
    is_on: Cell<bool>,
    vigil: RefCell<Vigil>,
    /// When to look next; None: there is nobody to look at.
    next: Cell<Option<Instant>>,
    /// Time until the look after that.
    rest: Cell<Duration>,
    /// Somebody was woken.
    broken: Cell<bool>,
}

impl Pause {
    pub(super) fn new(reach: Reach) -> Self {
        Self {
            reach,
            is_on: Cell::new(false),
            vigil: RefCell::default(),
            next: Cell::new(None),
            rest: Cell::new(SOONEST),
            broken: Cell::new(false),
        }
    }

    /// The owner has had everybody told to stop, or to go on.
    pub(super) fn set(&self, paused: bool) {
        self.is_on.set(paused);
        self.vigil.take();
        self.rest.set(SOONEST);
        self.broken.set(false);
        self.next
            .set((paused && self.reach.is_whole()).then(|| Instant::now() + SOONEST));
    }

    /// What the owner has said last.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next.get()
    }

    /// Looks, if it is time to.
    pub(super) fn look(&self) {
        if self.next.get().is_none_or(|next| Instant::now() < next) {
            return;
        }
        if self.vigil.borrow_mut().is_broken(self.reach) {
            // An error means that there is nobody.
            let _ = self.reach.signal(libc::SIGSTOP, -1);
            self.vigil.take();
            self.broken.set(true);
        }
        // Where it has happened it happens again: from now on that is not to last long.
        let rest = if self.broken.get() { SOONEST } else { self.rest.get() };
        self.next.set(Some(Instant::now() + rest));
        self.rest.set((rest * 2).min(LATEST));
    }
}
