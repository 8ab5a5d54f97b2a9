//! The change itself, by descriptor.

use std::os::fd::{AsFd, AsRawFd};

use crate::sys::{Errno, metadata};

use super::request::Change;
use super::resolve::Found;
use super::{Caller, path_to};

/// Changes the file that was found, and that the caller may change, if the caller still waits.
pub(super) fn perform(change: &Change, found: &Found, caller: &dyn Caller) -> Result<(), Errno> {
    let file = found.file.as_fd();
    if let Change::Mode(mode) = *change {
        check_mode(mode, found)?;
    }
    // Some calls take no descriptors that are open for being named only; this path leads them to the same file.
    let path = path_to(file)?;
    // What the caller of a call that is over meant must not happen any more: it may have been told that it failed.
    if !caller.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    match change {
        Change::Mode(mode) => metadata::change_mode(&path, *mode),
        Change::Owner { user, group } => metadata::change_owner(file.as_raw_fd(), *user, *group),
        Change::Times(times) => metadata::change_times(file.as_raw_fd(), times.as_ref()),
        Change::SetAttribute { name, value, flags } => metadata::set_attribute(&path, name, value, *flags),
        Change::RemoveAttribute { name } => metadata::remove_attribute(&path, name),
    }
}

fn check_mode(mode: u32, found: &Found) -> Result<(), Errno> {
    // Older kernels change the mode of some file systems' links, and then say that they do not.
    if found.status.is(libc::S_IFLNK) {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    // Outside, a set-user-ID file of the sandbox would lend the host's user to anybody who runs it. Also if the file has the
    // bit: the kernel takes it away from a file that is written to, and this must not give it back.
    if mode & (libc::S_ISUID | libc::S_ISGID) != 0 && !found.status.id.directory {
        return Err(Errno(libc::EPERM));
    }
    Ok(())
}
