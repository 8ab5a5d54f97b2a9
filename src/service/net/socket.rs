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
    let duplicate = of_thread(call.thread(), descriptor(number))?;
    // Checked afterwards: a number that is the caller's now was the caller's then.
    if !call.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    Ok(duplicate)
}

/// A duplicate of a descriptor of `thread`, or of whoever has its number now.
fn of_thread(thread: i32, number: i32) -> Result<OwnedFd, Errno> {
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
    own(process::duplicate_from(pidfd.as_raw_fd(), number))
}

/// A descriptor as the kernel reads it: 32 bits of the argument.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn descriptor(argument: u64) -> i32 {
    (argument as u32).cast_signed()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc::channel;

    use super::*;
    use crate::sys::fd;

    fn own_thread() -> i32 {
        // SAFETY: takes no arguments and cannot fail.
        unsafe { libc::gettid() }
    }

    #[test]
    fn a_duplicate_is_the_same_open_file() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let duplicate = of_thread(own_thread(), writer.as_raw_fd()).unwrap();
        assert!(duplicate.as_raw_fd() > 2);
        drop(writer);
        std::fs::File::from(duplicate).write_all(b"x").unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"x");
    }

    #[test]
    fn what_is_not_there_cannot_be_duplicated() {
        // A number that no argument of a call can be, one that nothing is open at, and threads that there are none of.
        for (thread, number, errno) in [
            (own_thread(), -1, libc::EBADF),
            (own_thread(), i32::MAX, libc::EBADF),
            (0, 0, libc::EPERM),
            (i32::MAX, 0, libc::ESRCH),
        ] {
            assert_eq!(of_thread(thread, number).err(), Some(Errno(errno)), "{thread} {number}");
        }
        assert_eq!(descriptor(0xffff_ffff), -1);
        assert_eq!(descriptor(1 << 32 | 5), 5);
    }

    /// A thread with a table of its own, where Linux 6.9 tells it from its process.
    #[test]
    fn a_thread_is_asked_for_its_own_table() {
        let told_apart = process::open_thread_pidfd(own_thread()).map(fd::close).is_ok();
        let (say, hear) = channel();
        let (leave, left) = channel::<()>();
        let other = move || {
            fd::unshare_table().unwrap();
            let (reader, writer) = fd::pipe().unwrap();
            say.send((own_thread(), reader)).unwrap();
            // An error: the other has ended.
            let _ = left.recv();
            fd::close(reader);
            fd::close(writer);
        };
        let thread = std::thread::Builder::new().spawn(other).unwrap();
        let (other, number) = hear.recv().unwrap();
        let found = of_thread(other, number).map(|duplicate| fd::identify(duplicate.as_raw_fd()));
        let here = fd::identify(number);
        drop(leave);
        thread.join().unwrap();
        if told_apart {
            assert_ne!(found.unwrap().ok(), here.ok());
        } else {
            assert_eq!(found.ok().and_then(Result::ok), here.ok());
        }
    }
}
