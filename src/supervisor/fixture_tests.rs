//! What the tests share: threads whose calls are trapped, and the session that these are put before.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::call::Place;
use super::session::Chains;
use super::{Agenda, Call, Core, Errand, Level, Link, Log, Service, Session};
use crate::lock::Mutex;
use crate::members::Reach;
use crate::process::Shared;
use crate::sys::event::{Wait, poll};
use crate::sys::seccomp::{self, Instruction};
use crate::sys::{credentials, notify};

/// So long that only what is broken takes longer.
pub(super) const LONG: Duration = Duration::from_secs(20);
const LONG_MS: i32 = 20_000;

/// What a trapped call has given: a value or an errno.
pub(super) type Given = Result<i64, i32>;

/// A session of threads whose getppid(2) is trapped. Whoever makes it is the warden.
pub(super) struct Stage {
    pub(super) session: Arc<Session>,
    pub(super) shared: Arc<Shared>,
    pub(super) agenda: Agenda,
    pub(super) told: Arc<Told>,
    callers: Sender<Sender<Given>>,
}

/// What the host's log was told.
#[derive(Default)]
pub(super) struct Told(pub(super) Mutex<Vec<String>>);

impl Log for Told {
    fn log(&self, _level: Level, message: &str) {
        self.0.lock().push(message.to_owned());
    }
}

impl Stage {
    pub(super) fn new(service: Arc<dyn Service>) -> Self {
        Self::of(Reach::Domain, service)
    }

    pub(super) fn of(reach: Reach, service: Arc<dyn Service>) -> Self {
        let number = u32::try_from(libc::SYS_getppid).unwrap();
        let (listener, callers) = start_callers(number);
        let mut chains = Chains::default();
        chains.add(number, Link::Service(service));
        let shared = Shared::new().unwrap();
        let core = Arc::new(Core::without_queue());
        let told = Arc::new(Told::default());
        *core.log.lock() = Some(Arc::clone(&told) as Arc<dyn Log>);
        let session = Session::new(listener, chains, core, None, (Arc::clone(&shared), reach), || false);
        let agenda = Agenda::new(session.errands().clone());
        Self {
            session,
            shared,
            agenda,
            told,
            callers,
        }
    }

    /// Has another thread call, and returns where it says what the call has given.
    pub(super) fn call(&self) -> Receiver<Given> {
        let (give, given) = channel();
        self.callers.send(give).unwrap();
        given
    }

    /// The next call.
    pub(super) fn receive(&self) -> Call {
        let mut waits = [Wait::readable(self.session.listener())];
        poll(&mut waits, LONG_MS).unwrap();
        assert!(waits[0].readable_now(), "nobody has called");
        Call::new(
            Arc::clone(&self.session),
            notify::receive(self.session.listener()).unwrap(),
        )
    }

    /// Goes on with the next call.
    pub(super) fn serve(&self, place: Place) {
        self.receive().proceed_confined(place);
    }

    /// A turn of the warden, as far as errands go; it takes no longer than they say.
    pub(super) fn turn(&mut self) {
        let until = self.agenda.due();
        let timeout = crate::process::timeout_until(until.or(Some(Instant::now())));
        let mut own = [Wait::readable(self.shared.wake_fd())];
        self.agenda.wait(&mut own, |waits| poll(waits, timeout)).unwrap();
        self.agenda.proceed(false);
    }
}

/// A thread that starts others, with a filter for all of them, which traps the call `number`.
fn start_callers(number: u32) -> (OwnedFd, Sender<Sender<Given>>) {
    let trap = [
        // Load the number; if it is the one, ask; else allow.
        instruction(0x20, 0, 0),
        Instruction {
            jf: 1,
            ..instruction(0x15, 0, number)
        },
        instruction(0x06, 0, seccomp::RET_USER_NOTIF),
        instruction(0x06, 0, seccomp::RET_ALLOW),
    ];
    let (made, listeners) = channel();
    let (callers, wanted) = channel::<Sender<Given>>();
    let start = |body: Box<dyn FnOnce() + Send>| std::thread::Builder::new().spawn(body).unwrap();
    let first = start(Box::new(move || {
        credentials::set_no_new_privs().unwrap();
        made.send(seccomp::listen(&trap, 0).unwrap()).unwrap();
        for give in wanted {
            start(Box::new(move || {
                // SAFETY: takes no arguments.
                let returned = unsafe { libc::syscall(libc::SYS_getppid) };
                let errno = std::io::Error::last_os_error().raw_os_error();
                let given = if returned < 0 {
                    Err(errno.unwrap())
                } else {
                    Ok(returned)
                };
                // An error means that the test does not ask.
                let _ = give.send(given);
            }));
        }
    }));
    drop(first);
    let listener = listeners.recv().unwrap();
    // SAFETY: the descriptor was just made and nobody else has it.
    (unsafe { OwnedFd::from_raw_fd(listener) }, callers)
}

fn instruction(code: u16, jt: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf: 0, k }
}

/// What becomes of errands, in order, by their names.
pub(super) type Diary = Arc<Mutex<Vec<(u32, &'static str)>>>;

/// An errand that writes into a diary what becomes of it.
pub(super) struct Fake {
    pub(super) name: u32,
    pub(super) diary: Diary,
    /// The descriptor is to become readable.
    pub(super) waits_for: Option<i32>,
    pub(super) due: Option<Instant>,
    /// Answered with the errand's name when it is done.
    pub(super) call: Option<Call>,
    /// How often it goes on before it is done.
    pub(super) turns: u32,
    pub(super) panics: bool,
}

impl Fake {
    /// One that waits for nothing, and is done when it has gone on once.
    pub(super) fn new(name: u32, diary: &Diary) -> Box<Self> {
        Box::new(Self {
            name,
            diary: Arc::clone(diary),
            waits_for: None,
            due: None,
            call: None,
            turns: 1,
            panics: false,
        })
    }

    /// One that is due now.
    pub(super) fn due(name: u32, diary: &Diary) -> Box<Self> {
        let mut fake = Self::new(name, diary);
        fake.due = Some(Instant::now());
        fake
    }

    /// One that waits for `reader` to become readable.
    pub(super) fn waiting(name: u32, diary: &Diary, reader: &impl AsRawFd) -> Box<Self> {
        let mut fake = Self::new(name, diary);
        fake.waits_for = Some(reader.as_raw_fd());
        fake
    }
}

impl Errand for Fake {
    fn wait(&self) -> Option<(i32, i16)> {
        self.waits_for.map(|fd| (fd, libc::POLLIN))
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn call(&self) -> Option<&Call> {
        self.call.as_ref()
    }

    fn proceed(mut self: Box<Self>, ready: bool) -> Option<Box<dyn Errand>> {
        self.diary.lock().push((self.name, if ready { "ready" } else { "due" }));
        assert!(!self.panics, "a service's mistake");
        self.turns -= 1;
        if self.turns > 0 {
            return Some(self);
        }
        if let Some(call) = &self.call {
            call.answer(super::Reply::Value(self.name.into())).unwrap();
        }
        None
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.diary.lock().push((self.name, "gone"));
    }
}
