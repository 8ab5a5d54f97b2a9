//! What a handler sees of a call, and what it can do.

use std::os::fd::RawFd;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;

use super::answer::{Reply, add};
use super::call::Call;
use super::memory;

/// A call that a handler looks at. What can be done with it is in [`Answerable`].
#[derive(Debug)]
pub struct Notification {
    /// None once it was put off.
    call: Option<Call>,
}

/// A call that was put off, or taken from the queue, to be answered later by any thread. Of several answers the first counts. Dropped
/// unanswered, it is denied (EPERM). It outlives supervisor and process; then every answer is [`Stale`](ErrorKind::Stale).
#[must_use = "dropped unanswered, the call is denied"]
#[derive(Debug)]
pub struct Pending {
    call: Call,
}

/// Where a descriptor goes that a call returns. The default: the lowest free number, close-on-exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FdPlace {
    /// At this number, whatever is there; None: at the lowest free one.
    pub target: Option<i32>,
    /// It stays open when the caller executes another program.
    pub keep_on_exec: bool,
}

/// What can be done with a call, at once by a handler or later.
///
/// Of [`Notification`] and [`Pending`]; nothing else can have it. Answers are given once: the second fails with
/// [`State`](ErrorKind::State), and one that comes too late, because the caller is gone or the handler's deadline has passed, with
/// [`Stale`](ErrorKind::Stale), which is nothing to worry about. Not to be called in a process that was forked off later.
pub trait Answerable {
    #[doc(hidden)]
    fn call(&self) -> Result<&Call>;

    /// System call number, on this architecture; -1 if the call was put off. [`syscall_name`](crate::sandbox::syscall_name) has its name.
    fn number(&self) -> i32 {
        self.call().map_or(-1, |call| call.received().number)
    }

    /// Argument `index`, 0 to 5, as it was in the register: an int has rubbish in its upper half. 0 for another index.
    fn argument(&self, index: usize) -> u64 {
        let arguments = self.call().map_or([0; 6], |call| call.received().arguments);
        arguments.get(index).copied().unwrap_or(0)
    }

    /// The calling thread, in the host's PID namespace; 0 if it cannot be named there. The number is the caller's for as long as the call
    /// waits.
    fn thread(&self) -> i32 {
        self.call()
            .map_or(0, |call| i32::try_from(call.received().thread).unwrap_or(0))
    }

    /// Reads the caller's memory, up to the first byte that cannot be read, and says how much that is. Let the program never choose how much
    /// is allocated.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): nothing can be read there. [`Stale`](ErrorKind::Stale): the caller is gone; what is in
    /// `buffer` means nothing. [`Permission`](ErrorKind::Permission): the kernel does not let the host look.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read(self.call()?, address, buffer)
    }

    /// Reads a NUL-terminated string of the caller's into `buffer`, with its NUL, and gives its length without.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`](ErrorKind::BufferTooSmall): no NUL within the buffer. Others as [`Answerable::read`].
    fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read_string(self.call()?, address, buffer)
    }

    /// Writes to the caller's memory, all or as much as can be written, and says how much that is.
    ///
    /// # Errors
    ///
    /// As [`Answerable::read`].
    fn write(&self, address: u64, bytes: &[u8]) -> Result<usize> {
        memory::write(self.call()?, address, bytes)
    }

    /// Lets the call run. Another thread of the caller's can change memory that an argument points to before the kernel reads
    /// it: what was read here decides nothing then. Path and port rules of the policy, which the kernel enforces, hold in any case.
    ///
    /// # Errors
    ///
    /// Those of all answers.
    fn resume(&self) -> Result<()> {
        self.call()?.answer(Reply::Continue)
    }

    /// Has the call fail with `errno`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): an errno that is not within 1 to 4095. Those of all answers.
    fn deny(&self, errno: i32) -> Result<()> {
        match u16::try_from(errno) {
            Ok(errno @ 1..=4095) => self.call()?.answer(Reply::Errno(errno)),
            _ => Err(Error::argument(format_args!("errno {errno} is not within 1 to 4095"))),
        }
    }

    /// Has the call return `value` without running. -1 to -4095 read as an errno to the caller's libc.
    ///
    /// # Errors
    ///
    /// Those of all answers.
    fn return_value(&self, value: i64) -> Result<()> {
        self.call()?.answer(Reply::Value(value))
    }

    /// Has the call return a duplicate of the host's descriptor `fd`, which stays the host's. The duplicate shares its offset and flags, and
    /// gives the program what the descriptor can do, whatever the policy says. Linux 5.9.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): `fd` is not open, a target that is negative. [`System`](ErrorKind::System): the caller has
    /// no number free (its call fails with EMFILE), or the kernel cannot do it (EIO); the call never runs instead. Those of all answers.
    fn return_fd(&self, fd: RawFd, place: FdPlace) -> Result<()> {
        if let Some(number @ ..=-1) = place.target {
            return Err(Error::argument(format_args!("descriptor number {number} is negative")));
        }
        if !sys::fd::is_open(fd) {
            return Err(Error::system(
                ErrorKind::InvalidArgument,
                Stage::Arguments,
                format_args!("descriptor {fd}"),
                libc::EBADF,
            ));
        }
        self.call()?.answer(Reply::Fd {
            fd,
            target: place.target,
            cloexec: !place.keep_on_exec,
        })
    }

    /// Has the call return a descriptor of a file in memory (memfd_create(2)) that contains `bytes` and that nobody can change. Its offset
    /// is 0.
    ///
    /// # Errors
    ///
    /// [`System`](ErrorKind::System): the host cannot make it; the call fails with EIO. Others as [`Answerable::return_fd`].
    fn return_bytes(&self, bytes: &[u8], place: FdPlace) -> Result<()> {
        let call = self.call()?;
        let file = memory::sealed_file(bytes).map_err(|errno| {
            // Whatever happens to the call, it does not run.
            let _ = call.answer(Reply::Errno(u16::try_from(libc::EIO).unwrap_or(1)));
            Error::system(
                ErrorKind::System,
                Stage::Supervisor,
                "cannot make a file of bytes",
                errno.0,
            )
        })?;
        self.return_fd(std::os::fd::AsRawFd::as_raw_fd(&file), place)
    }

    /// Ends the sandbox that the caller belongs to: its outcome will say [`Killed`](crate::process::Reason::Killed). Does not wait for that.
    ///
    /// # Errors
    ///
    /// Those of all answers.
    fn kill(&self) -> Result<()> {
        self.call()?.answer(Reply::Kill)
    }
}

impl Notification {
    pub(super) fn new(call: Call) -> Self {
        Self { call: Some(call) }
    }

    /// None if it was put off.
    pub(super) fn into_call(self) -> Option<Call> {
        self.call
    }

    /// Puts the answer off: the handler returns [`Verdict::Done`](super::Verdict::Done), and whoever has the answer gives it, from any
    /// thread. This is of no more use then.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): it was answered or put off before. [`Stale`](ErrorKind::Stale): the handler's deadline has passed.
    pub fn defer(&mut self) -> Result<Pending> {
        self.call.as_mut().ok_or_else(put_off)?.ticket_mut().put_off()?;
        let call = self.call.take().ok_or_else(put_off)?;
        Ok(Pending::new(call))
    }
}

fn put_off() -> Error {
    Error::new(ErrorKind::State, Stage::Supervisor, "the call was put off")
}

impl Answerable for Notification {
    fn call(&self) -> Result<&Call> {
        self.call.as_ref().ok_or_else(put_off)
    }
}

impl Pending {
    pub(super) fn new(call: Call) -> Self {
        add(&call.session().counters().deferred);
        Self { call }
    }

    /// True while the caller waits for the answer.
    pub fn is_waiting(&self) -> bool {
        self.call.is_waiting()
    }
}

impl Answerable for Pending {
    fn call(&self) -> Result<&Call> {
        Ok(&self.call)
    }
}
