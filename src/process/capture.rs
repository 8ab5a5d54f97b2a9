//! Reading what the program writes to a captured stream.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys;
use crate::sys::event::Wait;

use super::Captured;
use super::relay::Relay;

/// A stream being captured.
pub(super) struct Capture {
    /// 1 or 2.
    which: u32,
    fd: Option<OwnedFd>,
    limit: usize,
    captured: Captured,
    /// On the heap, and only for a stream that is captured: the warden's stack stays small.
    buffer: Box<[u8]>,
}

const BUFFER: usize = 16 << 10;

impl Capture {
    /// Keeps `limit` bytes of what `fd`, which does not block, gives; of no stream at all without one.
    pub(super) fn new(which: u32, fd: Option<OwnedFd>, limit: usize) -> Self {
        let size = if fd.is_some() { BUFFER } else { 0 };
        Self {
            which,
            fd,
            limit,
            captured: Captured::default(),
            buffer: vec![0; size].into_boxed_slice(),
        }
    }

    /// True until the stream has ended.
    pub(super) fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// True if there was more than is kept.
    pub(super) fn has_overflowed(&self) -> bool {
        self.captured.truncated > 0
    }

    /// What was read.
    pub(super) fn into_captured(self) -> Captured {
        self.captured
    }

    /// To wait for more.
    pub(super) fn wait(&self) -> Wait {
        Wait::readable(self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd))
    }

    /// Reads what there is, but not forever: the other stream, the deadline and the owner must have their turn. What comes is passed
    /// on to `relay`.
    pub(super) fn read(&mut self, relay: Option<&Relay>) {
        const TURN: usize = 16;
        let Some(fd) = self.fd.as_ref().map(AsRawFd::as_raw_fd) else {
            return;
        };
        for _ in 0..TURN {
            match sys::fd::read(fd, &mut self.buffer) {
                Ok(count @ 1..) => {
                    let bytes = &self.buffer[..count];
                    keep(&mut self.captured, bytes, self.limit);
                    if let Some(relay) = relay {
                        relay.push(self.which, bytes);
                    }
                }
                Err(sys::Errno(libc::EAGAIN | libc::EINTR)) => return,
                // The end, or an error, after which nothing comes either.
                Ok(_) | Err(_) => {
                    self.fd = None;
                    if let Some(relay) = relay {
                        relay.end(self.which);
                    }
                    return;
                }
            }
        }
    }

    /// Passes on what was read before there was a `relay`.
    pub(super) fn catch_up(&self, relay: &Relay) {
        relay.push(self.which, &self.captured.bytes);
        if !self.is_open() {
            relay.end(self.which);
        }
    }
}

fn keep(captured: &mut Captured, bytes: &[u8], limit: usize) {
    let room = limit - captured.bytes.len();
    let (kept, lost) = bytes.split_at(bytes.len().min(room));
    captured.bytes.extend_from_slice(kept);
    captured.truncated += lost.len() as u64;
}
