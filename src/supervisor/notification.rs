//! What a handler sees of a call, and what it can do.

use std::os::fd::RawFd;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;

use super::answer::{Reply, add};
use super::call::Call;
use super::memory;

/// A call that a handler looks at.
pub struct Notification {
    /// None once it was put off.
    call: Option<Call>,
}

/// A call that was put off, to be answered later by any thread. Dropped unanswered, it is denied.
pub struct Pending {
    call: Call,
}

/// Where a descriptor goes that a call returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FdPlace {
    /// At this number, whatever is there; None: at the lowest free one.
    pub target: Option<i32>,
    /// It stays open when the caller executes another program.
    pub keep_on_exec: bool,
}

/// What can be done with a call, at once or later.
pub trait Answerable {
    #[doc(hidden)]
    fn call(&self) -> Result<&Call>;

    /// System call number.
    fn number(&self) -> i32 {
        self.call().map_or(-1, |call| call.received().number)
    }

    /// Argument `index`, 0 to 5.
    fn argument(&self, index: usize) -> u64 {
        let arguments = self.call().map_or([0; 6], |call| call.received().arguments);
        arguments.get(index).copied().unwrap_or(0)
    }

    /// The calling thread, in the host's PID namespace; 0 if it cannot be named there.
    fn thread(&self) -> i32 {
        self.call()
            .map_or(0, |call| i32::try_from(call.received().thread).unwrap_or(0))
    }

    /// Reads the caller's memory, up to the first byte that cannot be read, and says how much that is.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read(self.call()?, address, buffer)
    }

    /// Reads a NUL-terminated string of the caller's into `buffer`, with its NUL, and gives its length without.
    fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize> {
        memory::read_string(self.call()?, address, buffer)
    }

    /// Writes to the caller's memory, all or as much as can be written, and says how much that is.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<usize> {
        memory::write(self.call()?, address, bytes)
    }

    /// Lets the call run. Another thread of the caller's can change memory that an argument points to before the kernel reads
    /// it: what was read here decides nothing then.
    fn resume(&self) -> Result<()> {
        self.call()?.answer(Reply::Continue)
    }

    /// Has the call fail.
    fn deny(&self, errno: i32) -> Result<()> {
        match u16::try_from(errno) {
            Ok(errno @ 1..=4095) => self.call()?.answer(Reply::Errno(errno)),
            _ => Err(Error::argument(format_args!("errno {errno} is not within 1 to 4095"))),
        }
    }

    /// Has the call return `value` without running.
    fn return_value(&self, value: i64) -> Result<()> {
        self.call()?.answer(Reply::Value(value))
    }

    /// Has the call return a duplicate of `fd`.
    fn return_fd(&self, fd: RawFd, place: FdPlace) -> Result<()> {
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

    /// Has the call return a descriptor of a file that contains `bytes` and cannot be changed.
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

    /// Ends the sandbox.
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

    /// Puts the answer off: the handler may return, and whoever has the result answers.
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
