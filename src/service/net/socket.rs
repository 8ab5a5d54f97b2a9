//! A caller's descriptors.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::lock::Mutex;
use crate::members;
use crate::supervisor::{Call, Reply};
use crate::sys::socket::Kind;
use crate::sys::{self, Errno, process};

/// Takes over a descriptor that was just made, and that nobody else has.
pub(super) fn own(made: sys::Result<i32>) -> Result<OwnedFd, Errno> {
    match made? {
        number if number < 0 => Err(Errno(libc::EBADF)),
        // SAFETY: whoever calls this has just had it made, and leaves it to the result.
        number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
    }
}

/// A duplicate of the caller's socket, whose descriptor's number is an argument of its call: the same open file, which both use from then
/// on. Who it belongs to is certain once the caller is known to wait, which is for whoever calls this to look at afterwards. EBADF: there
/// is no such descriptor. ENOTSOCK: it is no socket. ESRCH: the caller is gone. EPERM: the kernel does not show the caller's descriptors,
/// because of what it has executed, or of who its parent is.
///
/// Not for the warden. Another thread of the caller's can close its descriptor meanwhile: then the duplicate is the last one, and
/// closing that can take a while (SO_LINGER).
///
/// What is to be decided about the call is to be decided about the duplicate, and done with it: by the time the call itself goes on,
/// another file may have the number.
///
/// A file that is no socket must not get into this process's table at all: to close it there would be to give up the record locks that the
/// host has on it (fcntl(2)). So it is looked at before. A program that puts one there in between does so on purpose, and is killed.
pub(super) fn duplicate(call: &Call, number: u64) -> Result<(OwnedFd, Kind), Errno> {
    if !is_socket(call.thread(), descriptor(number))? {
        return Err(Errno(libc::ENOTSOCK));
    }
    let duplicate = any(call, descriptor(number))?;
    match sys::socket::kind(duplicate.as_raw_fd()) {
        Err(Errno(libc::ENOTSOCK)) => {
            // An error means that it is dead already.
            let _ = call.answer(Reply::Kill);
            put_away(duplicate);
            Err(Errno(libc::ENOTSOCK))
        }
        kind => kind.map(|kind| (duplicate, kind)),
    }
}

/// What has come of duplicating a sandbox's descriptors unseen. To look at each before costs half a round trip of notification, and nearly
/// all are sockets; so that is done from the first one on that is none. That one is kept, and not closed, until the end.
#[derive(Default)]
pub(super) struct Trust {
    is_lost: AtomicBool,
    kept: Mutex<Vec<OwnedFd>>,
}

impl Trust {
    /// [`duplicate`], with the look before it that there is reason for.
    pub(super) fn duplicate(&self, call: &Call, number: u64) -> Result<(OwnedFd, Kind), Errno> {
        if self.is_lost.load(Ordering::Acquire) {
            return duplicate(call, number);
        }
        let duplicate = any(call, descriptor(number))?;
        match sys::socket::kind(duplicate.as_raw_fd()) {
            Err(Errno(libc::ENOTSOCK)) => {
                self.is_lost.store(true, Ordering::Release);
                self.kept.lock().push(duplicate);
                Err(Errno(libc::ENOTSOCK))
            }
            kind => kind.map(|kind| (duplicate, kind)),
        }
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        self.kept.get_mut().drain(..).for_each(put_away);
    }
}

/// A duplicate of any descriptor of the caller's, for a thread that has a table of its own.
pub(super) fn any(call: &Call, number: i32) -> Result<OwnedFd, Errno> {
    of_thread(call.thread(), number)
}

/// True if a descriptor of `thread`, or of whoever has its number now, is a socket: its link in procfs, which leads to no file, says so.
fn is_socket(thread: i32, number: i32) -> Result<bool, Errno> {
    if number < 0 {
        return Err(Errno(libc::EBADF));
    }
    let mut text = [0; 16];
    let path = CString::new(format!("/proc/{thread}/fd/{number}")).map_err(|_| Errno(libc::EBADF))?;
    match sys::metadata::read_link(libc::AT_FDCWD, &path, &mut text) {
        Ok(length) => Ok(text.get(..length).is_some_and(|text| text.starts_with(b"socket:["))),
        Err(Errno(libc::ENOENT)) => Err(Errno(libc::EBADF)),
        Err(Errno(libc::EACCES)) => Err(Errno(libc::EPERM)),
        Err(errno) => Err(errno),
    }
}

/// Closes a file of the program's, unless somebody has locked it: it may be the host, and then it stays open.
fn put_away(file: OwnedFd) {
    if sys::fd::may_be_locked(file.as_raw_fd()) {
        std::mem::forget(file);
    }
}

thread_local! {
    /// The last thread that had something duplicated, and a descriptor that stands for it, not for whoever has its number later. Most calls
    /// come from one thread.
    static LATEST: RefCell<Option<(i32, OwnedFd)>> = const { RefCell::new(None) };
}

/// A duplicate of a descriptor of `thread`, or of whoever has its number now.
fn of_thread(thread: i32, number: i32) -> Result<OwnedFd, Errno> {
    if number < 0 {
        return Err(Errno(libc::EBADF));
    }
    if thread <= 0 {
        return Err(Errno(libc::EPERM)); // outside our process namespace
    }
    LATEST.with_borrow_mut(|latest| {
        if let Some((_, pidfd)) = latest.as_ref().filter(|(known, _)| *known == thread) {
            match process::duplicate_from(pidfd.as_raw_fd(), number) {
                // It has ended.
                Err(Errno(libc::ESRCH)) => {}
                duplicate => return own(duplicate),
            }
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
        let duplicate = own(process::duplicate_from(pidfd.as_raw_fd(), number));
        *latest = Some((thread, pidfd));
        duplicate
    })
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
    fn sockets_are_told_from_other_files_without_touching_them() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let (pipe, _writer) = std::io::pipe().unwrap();
        assert_eq!(is_socket(own_thread(), socket.as_raw_fd()), Ok(true));
        assert_eq!(is_socket(own_thread(), pipe.as_raw_fd()), Ok(false));
        assert_eq!(is_socket(own_thread(), i32::MAX), Err(Errno(libc::EBADF)));
        assert_eq!(is_socket(own_thread(), -1), Err(Errno(libc::EBADF)));
    }

    /// A lock that this process has is not given up.
    #[test]
    fn files_that_are_locked_stay_open() {
        let directory = std::env::temp_dir().join(format!("sandlock-lock-{}", std::process::id()));
        let file = std::fs::File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&directory)
            .unwrap();
        let again = || OwnedFd::from(std::fs::File::open(&directory).unwrap());
        assert!(!fd::may_be_locked(again().as_raw_fd()));
        // SAFETY: all zeros is a lock of the whole file.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK.try_into().unwrap();
        // SAFETY: the pointer is to a live structure of the kind that the command takes.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut lock) };
        assert_eq!(locked, 0);
        let foreign = again();
        let number = foreign.as_raw_fd();
        put_away(foreign);
        assert!(fd::is_open(number) && fd::may_be_locked(number));
        std::fs::remove_file(&directory).unwrap();
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
