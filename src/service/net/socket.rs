//! A caller's descriptors.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::members;
use crate::supervisor::Call;
use crate::sys::{self, Errno, process};

/// Takes over a descriptor that was just made, and that nobody else has.
pub(super) fn own(made: sys::Result<i32>) -> Result<OwnedFd, Errno> {
    match made? {
        number if number < 0 => Err(Errno(libc::EBADF)),
        // SAFETY: whoever calls this has just had it made, and leaves it to the result.
        number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
    }
}

/// A duplicate of the caller's descriptor, whose number is an argument of its call: the same open file, which both use from then on.
/// EBADF: there is no such descriptor. ESRCH: the caller is gone. EPERM: the kernel does not show the caller's descriptors, because
/// of what it has executed, or of who its parent is.
///
/// Not for the warden. Another thread of the caller's can close its descriptor meanwhile: then the duplicate is the last one, and
/// closing that can take as long as the program likes (SO_LINGER).
///
/// What is to be decided about the call is to be decided about the duplicate, and done with it: by the time the call itself goes on,
/// another file may have the number.
pub(crate) fn duplicate(call: &Call, number: u64) -> Result<OwnedFd, Errno> {
    let number = descriptor(number);
    let thread = call.thread();
    if number < 0 {
        return Err(Errno(libc::EBADF));
    }
    if thread <= 0 {
        return Err(Errno(libc::EPERM)); // outside our process namespace
    }
    let pidfd = own(match process::open_thread_pidfd(thread) {
        // Linux before 6.9: that of its process, whose main thread has the same table of descriptors, unless one of the two has
        // unshared it. Then the program deceives itself: it is one of its own descriptors all the same.
        Err(Errno(libc::EINVAL)) => match members::process_of(thread) {
            Some(process) => process::open_pidfd(process),
            None => Err(Errno(libc::ESRCH)),
        },
        opened => opened,
    })?;
    let duplicate = own(process::duplicate_from(pidfd.as_raw_fd(), number))?;
    // Checked afterwards: a number that is the caller's now was the caller's then.
    if !call.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    Ok(duplicate)
}

/// A descriptor as the kernel reads it: 32 bits of the argument.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn descriptor(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}
