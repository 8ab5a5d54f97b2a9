//! Waiting for descriptors, and waking a thread that waits.

use super::{Errno, Result, check};

/// Something to wait for: an entry of poll(2).
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Wait(libc::pollfd);

impl Wait {
    /// Waits for `fd` to become readable; a negative `fd` waits for nothing.
    pub fn readable(fd: i32) -> Self {
        Self(libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
    }

    /// True if the last [`poll`] found anything: data, end of file or an error.
    pub fn ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until something is ready or `timeout_ms` is over (negative: never). EINTR comes back as an error.
pub fn poll(waits: &mut [Wait], timeout_ms: i32) -> Result<()> {
    let Ok(count) = libc::nfds_t::try_from(waits.len()) else {
        return Err(Errno(libc::EINVAL));
    };
    // SAFETY: Wait is a transparent pollfd, and the slice is live and writable.
    check(unsafe { libc::poll(waits.as_mut_ptr().cast(), count, timeout_ms) }).map(drop)
}

/// Creates an eventfd, close-on-exec and non-blocking, numbered 3 or above.
pub fn eventfd() -> Result<i32> {
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    super::fd::above_stdio(fd)
}

/// Makes an eventfd readable.
pub fn signal(eventfd: i32) {
    let one = 1_u64.to_ne_bytes();
    // A full counter (EAGAIN) is readable already, which is all that is wanted.
    // SAFETY: the pointer and length describe `one`.
    unsafe { libc::write(eventfd, one.as_ptr().cast(), one.len()) };
}

/// Makes an eventfd unreadable again.
pub fn reset(eventfd: i32) {
    let mut count = [0; 8];
    // EAGAIN: it was not readable.
    let _ = super::fd::read(eventfd, &mut count);
}
