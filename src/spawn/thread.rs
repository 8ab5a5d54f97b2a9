//! The warden's thread: started while its job is still being put together.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::lock::{Condvar, Mutex};
use crate::sys;

use super::SpawnOptions;
use super::job::Job;
use super::prepare::Prepared;
use super::purposes::Purposes;
use super::warden;

/// Stack of a warden. It polls, reads pipes and formats an error at most.
const STACK: usize = 128 << 10;

/// How long a warden stays awake for its job, which is usually there sooner than a sleeping thread could be woken.
const PATIENCE: Duration = Duration::from_micros(200);

/// A thread that has entered the domain of a policy, or is about to, and waits for its job. Dropped without one, it ends.
pub(super) struct Waiting {
    prepared: Arc<Prepared>,
    mailbox: Arc<Mailbox>,
    handle: Option<JoinHandle<()>>,
}

impl Waiting {
    /// Starts a warden under `prepared`.
    pub(super) fn start(options: &SpawnOptions, prepared: Arc<Prepared>) -> Result<Self> {
        let mailbox = Arc::new(Mailbox::default());
        let handle = start_thread(name(options), {
            let (mailbox, prepared) = (Arc::clone(&mailbox), Arc::clone(&prepared));
            move || warden::run(&prepared, &mailbox)
        })?;
        Ok(Self {
            prepared,
            mailbox,
            handle: Some(handle),
        })
    }

    /// True if it is in the domain that `prepared` asks for.
    pub(super) fn suits(&self, prepared: &Arc<Prepared>) -> bool {
        Arc::ptr_eq(&self.prepared, prepared)
    }

    /// Gives it its job, and waits until the child has executed its program, or failed to. On success the thread goes on.
    pub(super) fn start_child(mut self, job: Job) -> Result<(Cloned, JoinHandle<()>)> {
        let arena = Arc::clone(&job.arena);
        let to_be_told = job.to_be_told();
        if self.mailbox.put(Letter::Job(Box::new(job))) {
            // Not the answer, which comes when the child exists: the kernel wakes this thread when the program starts.
            arena.record().wait_until_left();
            match to_be_told {
                // The kernel wakes one thread only.
                Some(shared) => shared.wake(),
                None => arena.record().wait_until_stdio_is_free(),
            }
        }
        match (self.mailbox.take_answer(), self.handle.take()) {
            (Ok(cloned), Some(handle)) => Ok((cloned, handle)),
            (Ok(_), None) => Err(bug()),
            (Err(error), handle) => {
                // The warden has nothing left to do. An error would be its panic.
                let _ = handle.map(JoinHandle::join);
                Err(error)
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.mailbox.put(Letter::NoJob);
            // An error would be its panic.
            let _ = handle.join();
        }
    }
}

/// What a warden says of the child that it has made.
pub(super) struct Cloned {
    pub(super) pid: i32,
    pub(super) pidfd: Arc<OwnedFd>,
    /// What the child's steps were for.
    pub(super) purposes: Purposes,
    /// The errno that kept the warden from a domain of its own, or 0.
    pub(super) no_domain: i32,
}

#[derive(Default)]
enum Letter {
    #[default]
    None,
    Job(Box<Job>),
    NoJob,
}

#[derive(Default)]
struct Letters {
    /// To the warden.
    job: Letter,
    /// From the warden.
    answer: Option<Result<Cloned>>,
    /// The warden reads no more.
    closed: bool,
}

/// Where a warden's job is put, and its answer.
#[derive(Default)]
pub(super) struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Condvar,
    /// Tells that the job is there without taking the lock.
    full: AtomicBool,
}

impl Mailbox {
    /// False if the warden is gone.
    fn put(&self, letter: Letter) -> bool {
        let mut letters = self.letters.lock();
        if letters.closed {
            return false;
        }
        letters.job = letter;
        self.full.store(true, Ordering::Release);
        // Whoever is woken takes the lock first.
        drop(letters);
        self.arrived.notify_all();
        true
    }

    /// Waits for the job; None if there is none after all.
    pub(super) fn take(&self) -> Option<Box<Job>> {
        let patience = Instant::now() + PATIENCE;
        while !self.full.load(Ordering::Acquire) && Instant::now() < patience {
            std::thread::yield_now();
        }
        let mut letters = self.letters.lock();
        loop {
            match std::mem::take(&mut letters.job) {
                Letter::None => self.arrived.wait(&mut letters),
                Letter::Job(job) => return Some(job),
                Letter::NoJob => return None,
            }
        }
    }

    /// The warden's answer.
    pub(super) fn answer(&self, answer: Result<Cloned>) {
        self.letters.lock().answer.get_or_insert(answer);
        self.arrived.notify_all();
    }

    fn take_answer(&self) -> Result<Cloned> {
        let mut letters = self.letters.lock();
        loop {
            match letters.answer.take() {
                Some(answer) => return answer,
                None => self.arrived.wait(&mut letters),
            }
        }
    }

    /// The warden is gone. A job that it did not take is lost, and nobody must wait for the answer.
    pub(super) fn close(&self) {
        let mut letters = self.letters.lock();
        letters.closed = true;
        letters.answer.get_or_insert_with(|| Err(bug()));
        if let Letter::Job(job) = &letters.job {
            job.arena.record().leave();
        }
        self.arrived.notify_all();
    }
}

fn bug() -> Error {
    Error::new(
        ErrorKind::Internal,
        Stage::Spawn,
        "a bug in libsandlock ended the sandbox's thread",
    )
}

fn name(options: &SpawnOptions) -> String {
    let name = options.name.as_ref().map(|name| name.to_string_lossy().into_owned());
    let mut name = name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "sandlock".to_owned());
    while name.len() > 15 {
        name.pop();
    }
    name
}

/// Starts a thread that takes no signals, from its first instruction on.
pub(super) fn start_thread(name: String, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    start_with_stack(name, STACK, body).map_err(|errno| {
        Error::system(
            ErrorKind::System,
            Stage::Spawn,
            "cannot start the sandbox's thread",
            errno.0,
        )
    })
}

/// Likewise, with a stack of that many bytes.
pub(super) fn start_with_stack(
    name: String,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> sys::Result<JoinHandle<()>> {
    let former = sys::signal::set_mask(sys::signal::Mask::ALL_BUT_LIBC)?;
    let thread = std::thread::Builder::new().name(name).stack_size(stack).spawn(body);
    let restored = sys::signal::set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    thread.map_err(|error| sys::Errno(error.raw_os_error().unwrap_or(libc::EAGAIN)))
}
