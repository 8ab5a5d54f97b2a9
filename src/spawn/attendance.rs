//! The warden's part in serving the program's calls: taking over the listener, and threads that serve in its place.

#![allow(unsafe_code)] // one block: taking over the listener that the child has made

use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::members::Reach;
use crate::plan::Listener;
use crate::process::Shared;
use crate::supervisor::{Agenda, Services, Session, Supervision};
use crate::sys;
use crate::sys::event::{poll, wait_for_change};

use super::launch::Arena;
use super::prepare::Prepared;
use super::thread::start_thread;

/// How long a thread that is about to end takes for that.
const SHORTLY: Duration = Duration::from_millis(2);

/// How long the end of killed processes is waited for, where the kernel tells. Only one that hangs in the kernel takes longer.
pub(super) const LAST_BREATH: Duration = Duration::from_secs(1);

/// Who attends to the program's calls: nobody, or a session once the child has made its listener.
pub(super) struct Attendance<'a> {
    numbers: &'a [Vec<u32>],
    /// Until there is a session.
    supervision: Option<(Supervision, Services)>,
    pub(super) session: Option<Arc<Session>>,
    /// What services have left to be gone on with later.
    pub(super) agenda: Agenda,
    arena: Arc<Arena>,
    shared: Arc<Shared>,
    /// Threads that serve calls in the warden's place. Nearly always there is one at most.
    attendants: Vec<JoinHandle<()>>,
    reach: Reach,
    /// How many calls the warden has served since then.
    recent: (Instant, u32),
}

impl<'a> Attendance<'a> {
    pub(super) fn new(
        prepared: &'a Prepared,
        supervision: Option<(Supervision, Services)>,
        arena: &Arc<Arena>,
        shared: &Arc<Shared>,
        reach: Reach,
    ) -> Self {
        Self {
            numbers: &prepared.compiled.traps.selected,
            supervision,
            session: None,
            agenda: Agenda::default(),
            arena: Arc::clone(arena),
            shared: Arc::clone(shared),
            attendants: Vec::new(),
            reach,
            recent: (Instant::now(), 0),
        }
    }

    /// Starts a thread that is confined like this one, if there are calls that must not hold up the warden, or many: `served` says that
    /// it has just served one.
    pub(super) fn see_to_attendant(&mut self, session: &Arc<Session>, served: bool) {
        const MANY: u32 = 32;
        const SHORT: Duration = Duration::from_millis(100);
        if served {
            if self.recent.0.elapsed() > SHORT {
                self.recent = (Instant::now(), 0);
            }
            self.recent.1 += 1;
        }
        if !session.wants_attendant(self.recent.1 >= MANY) {
            return;
        }
        self.recent = (Instant::now(), 0);
        for ended in self.attendants.extract_if(.., |attendant| attendant.is_finished()) {
            // An error would be its panic.
            let _ = ended.join();
        }
        let attended = Arc::clone(session);
        match start_thread("sandlock-serve".to_owned(), move || attended.attend()) {
            Ok(thread) => self.attendants.push(thread),
            Err(_) => session.miss_attendant(),
        }
    }

    /// Everything in the sandbox is gone: attendants end, unless they are stuck in a file system that does not answer. Then nobody waits.
    pub(super) fn dismiss(&mut self) {
        let until = Instant::now() + LAST_BREATH;
        for attendant in self.attendants.drain(..) {
            while !attendant.is_finished() {
                if Instant::now() >= until {
                    return;
                }
                // It is about to end, or takes long.
                if until - Instant::now() > LAST_BREATH - SHORTLY {
                    std::thread::yield_now();
                } else {
                    let _ = poll(&mut [], 1);
                }
            }
            // An error would be its panic.
            let _ = attendant.join();
        }
    }

    /// Takes over the listener as soon as the child has made it, since its next call may be trapped. `until` is when to give that up.
    ///
    /// A child that is killed inside seccomp(2) by somebody outside leaves a listener that nobody knows the number of; the library
    /// itself does not: see [`Self::settle_listener`].
    pub(super) fn await_listener(&mut self, until: Option<Instant>) {
        /// The kernel takes a few times this long to make the filter.
        const NAP: Duration = Duration::from_micros(20);
        const LOOK_AGAIN: Duration = Duration::from_millis(1);
        let arena = Arc::clone(&self.arena);
        let record = arena.record();
        loop {
            let left = record.has_left();
            match record.listener() {
                Listener::At(number) => return self.take_over(number),
                Listener::Taken | Listener::CalledOff => return,
                _ if left || until.is_some_and(|until| Instant::now() >= until) => return,
                Listener::NotYet => wait_for_change(record.listener_word(), 0, Some(LOOK_AGAIN)),
                Listener::BeingMade => wait_for_change(record.listener_word(), 1, Some(NAP)),
            }
        }
    }

    /// Before the library kills: the child makes no listener from now on, or has made it. It can have been stopped in between, by
    /// somebody outside; then it is killed all the same.
    pub(super) fn settle_listener(&mut self) {
        if self.supervision.is_some() && !self.arena.record().call_off_listening() {
            self.await_listener(Some(Instant::now() + LAST_BREATH));
        }
    }

    /// Takes it over if the child is through with its set-up, and nothing of that was trapped.
    pub(super) fn look(&mut self) {
        if self.supervision.is_some() && self.arena.record().has_left() {
            match self.arena.record().listener() {
                Listener::At(number) => self.take_over(number),
                // The child has failed before.
                Listener::NotYet | Listener::BeingMade | Listener::CalledOff | Listener::Taken => {
                    self.supervision = None
                }
            }
        }
    }

    /// The child has made it in the table that both use.
    fn take_over(&mut self, number: i32) {
        let Some((supervision, services)) = self.supervision.take() else {
            return;
        };
        // A failure is a full table in a host that has closed its standard streams; then the number stays.
        let number = sys::fd::raise(number).unwrap_or(number);
        self.arena.record().note_takeover();
        // SAFETY: the child made it for its parent, and in this table nobody else has it.
        let listener = unsafe { OwnedFd::from_raw_fd(number) };
        let arena = Arc::clone(&self.arena);
        let session = supervision.start(
            listener,
            services,
            self.numbers,
            (Arc::clone(&self.shared), self.reach),
            move || !arena.record().has_left(),
        );
        self.agenda = Agenda::new(session.errands().clone());
        self.session = Some(session);
    }

    /// The listener, whoever waits for calls, or -1.
    pub(super) fn listener(&self) -> i32 {
        self.session.as_ref().map_or(-1, |session| session.listener())
    }

    /// The descriptor to wait on for calls, or -1.
    pub(super) fn waits_on(&self) -> i32 {
        let session = self.session.as_ref();
        session.and_then(|session| session.warden_waits_on()).unwrap_or(-1)
    }

    /// True if everything in the sandbox is known to be gone.
    pub(super) fn knows_empty(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_empty())
    }
}
