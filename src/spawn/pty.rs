//! A terminal of the program's own.
//!
//! The program leads a session on it, so that job control, window sizes and the keys that send signals work as in any terminal; and it
//! has no other: what it does to it, it does to itself. The host reads and writes the master.

#![allow(unsafe_code)] // two blocks: taking over the ends of a terminal that sys just made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;

/// A pseudo-terminal.
pub(super) struct Pty {
    /// The program's side. The descriptor behind the number is a child's end like others.
    pub(super) terminal: RawFd,
    /// The master twice: for the caller to take, and to be resized by.
    pub(super) host_ends: Option<(OwnedFd, OwnedFd)>,
}

impl Pty {
    /// Makes one, and the program's side of it.
    pub(super) fn new() -> Result<(Self, OwnedFd)> {
        let (master, terminal) = sys::terminal::pseudo_terminal().map_err(|errno| failed("make", errno.0))?;
        // SAFETY: the descriptor was just made and nobody else has it.
        let master = unsafe { OwnedFd::from_raw_fd(master) };
        // SAFETY: as above.
        let terminal = unsafe { OwnedFd::from_raw_fd(terminal) };
        // Close-on-exec and numbered 3 or above, as std does it.
        let kept = master
            .try_clone()
            .map_err(|error| failed("duplicate", error.raw_os_error().unwrap_or(libc::EIO)))?;
        let pty = Self {
            terminal: terminal.as_raw_fd(),
            host_ends: Some((master, kept)),
        };
        Ok((pty, terminal))
    }

    /// Sets rows and columns, before anybody looks.
    pub(super) fn set_size(&self, (rows, columns): (u16, u16)) -> Result<()> {
        sys::terminal::set_size(self.terminal, rows, columns).map_err(|errno| failed("resize", errno.0))
    }
}

fn failed(what: &str, errno: i32) -> Error {
    Error::system(
        ErrorKind::System,
        Stage::Descriptors,
        format_args!("cannot {what} a pseudo-terminal"),
        errno,
    )
}
