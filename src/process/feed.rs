//! Writing what the host has to say to the program's standard input.
//!
//! A write to a pipe that nobody reads raises SIGPIPE in the thread that writes, and SIGPIPE ends a host that does not expect it. So it is
//! the warden that writes, whichever thread of the host asked for it: a library thread blocks all signals, the signal stays pending for
//! that thread alone and is gone with it. Neither the host's disposition nor the mask of any of its threads is touched, which
//! other ways out need: blocking the signal around each write in the caller's thread and taking back what has become pending,
//! or a socket in place of the pipe, which the program can tell from a pipe (it cannot be opened by /dev/stdin).

use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys;
use crate::sys::event::Wait;

/// Input on its way to the program.
#[derive(Default)]
pub(super) struct Feed {
    fd: Option<OwnedFd>,
    input: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Writes `input` to `fd`, which does not block, and closes it.
    pub(super) fn new(fd: OwnedFd, input: Vec<u8>) -> Self {
        Self {
            fd: Some(fd),
            input,
            written: 0,
        }
    }

    /// To wait until more can be written.
    pub(super) fn wait(&self) -> Wait {
        Wait::writable(self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    /// Writes what the pipe takes, but not forever. Only for a thread that blocks SIGPIPE.
    pub(super) fn write(&mut self) {
        const TURN: usize = 16;
        let Some(fd) = self.fd.as_ref().map(AsRawFd::as_raw_fd) else {
            return;
        };
        for _ in 0..TURN {
            let rest = self.input.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            match sys::fd::write(fd, rest) {
                Ok(count) => self.written += count,
                Err(sys::Errno(libc::EAGAIN | libc::EINTR)) => return,
                // EPIPE: the program does not want to know the rest, which is its right.
                Err(_) => self.written = self.input.len(),
            }
        }
        if self.written >= self.input.len() {
            *self = Self::default();
        }
    }
}
