//! Waiting for descriptors, and waking a thread that waits.

use core::sync::atomic::AtomicU32;
use core::time::Duration;

use super::raw::syscall;
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

    /// Waits until `fd` takes data, or nobody reads it any more; a negative `fd` waits for nothing.
    pub fn writable(fd: i32) -> Self {
        Self(libc::pollfd {
            fd,
            events: libc::POLLOUT,
            revents: 0,
        })
    }

    /// Waits for the other side of `fd` to be gone, whatever there is to read; a negative `fd` waits for nothing.
    pub fn hang_up(fd: i32) -> Self {
        Self(libc::pollfd {
            fd,
            events: 0,
            revents: 0,
        })
    }

    /// Waits for a file of a control group to change from what was last read; a negative `fd` waits for nothing.
    pub fn changed(fd: i32) -> Self {
        Self(libc::pollfd {
            fd,
            events: libc::POLLPRI,
            revents: 0,
        })
    }

    /// Waits for `events` of poll(2); a negative `fd` waits for nothing.
    pub fn events(fd: i32, events: i16) -> Self {
        Self(libc::pollfd { fd, events, revents: 0 })
    }

    /// True if the last [`poll`] found something to read.
    pub fn readable_now(&self) -> bool {
        self.0.revents & libc::POLLIN != 0
    }

    /// True if the last [`poll`] found that the other side is gone.
    pub fn hung_up(&self) -> bool {
        self.0.revents & libc::POLLHUP != 0
    }

    /// True if the last [`poll`] found anything: data, end of file or an error.
    pub fn ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Makes an epoll(7) list of open files, close-on-exec, numbered 3 or above. A file is on it for as long as somebody has it open,
/// wherever that is, and the kernel tells of all of them by their tags (proc(5), fdinfo).
pub fn list_of_files() -> Result<i32> {
    // SAFETY: takes no pointers.
    super::fd::above_stdio(check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?)
}

/// Puts the file that `fd` is open to on a list, where it stays when `fd` is closed.
pub fn put_on_list(list: i32, fd: i32, tag: u64) -> Result<()> {
    let mut event = libc::epoll_event { events: 0, u64: tag };
    // SAFETY: `event` outlives the call.
    check(unsafe { libc::epoll_ctl(list, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
}

/// Takes it off again.
pub fn take_off_list(list: i32, fd: i32) -> Result<()> {
    // SAFETY: nothing is read for this.
    check(unsafe { libc::epoll_ctl(list, libc::EPOLL_CTL_DEL, fd, core::ptr::null_mut()) }).map(drop)
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

/// An epoll(7) instance of descriptors that become readable once. Closed when dropped.
#[derive(Debug)]
pub struct Epoll(i32);

impl Epoll {
    /// Makes an empty one, close-on-exec, numbered 3 or above.
    pub fn new() -> Result<Self> {
        // SAFETY: takes no pointers.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        super::fd::above_stdio(fd).map(Self)
    }

    /// Its descriptor: readable when [`Epoll::next`] has something to give.
    pub fn as_raw_fd(&self) -> i32 {
        self.0
    }

    /// Waits for `fd` too, until it is closed; `key` names it.
    pub fn add(&self, fd: i32, key: u64) -> Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN.cast_unsigned(),
            u64: key,
        };
        // SAFETY: `event` outlives the call.
        check(unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, fd, &raw mut event) }).map(drop)
    }

    /// The key of a descriptor that is readable, if one is.
    pub fn next(&self) -> Option<u64> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: there is room for one event.
        let count = check(unsafe { libc::epoll_wait(self.0, &raw mut event, 1, 0) });
        (count == Ok(1)).then_some(event.u64)
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        super::fd::close(self.0);
    }
}

/// Sleeps while `word` holds `value`, until a wake-up (which may be for nothing) or the timeout.
pub fn wait_for_change(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let timeout = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // Not private: the kernel's own wake-up at the end of a thread is not either. Errors mean that there is nothing to wait
    // for, or not any longer, and the caller looks at the word anyway.
    // SAFETY: the word and the timeout outlive the call.
    let _ = unsafe {
        syscall!(
            libc::SYS_futex,
            word.as_ptr().cast_const(),
            libc::FUTEX_WAIT,
            value,
            timeout
        )
    };
}

/// Wakes whoever sleeps in [`wait_for_change`] on `word`.
pub fn wake_all(word: &AtomicU32) {
    // SAFETY: the call looks at the address only.
    let _ = unsafe { syscall!(libc::SYS_futex, word.as_ptr().cast_const(), libc::FUTEX_WAKE, i32::MAX) };
}
