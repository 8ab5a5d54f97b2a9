//! Changes of file metadata: mode, owner, times and extended attributes.
//!
//! Landlock does not govern these calls, so a policy that restricts files has them trapped. They are carried out here, for the
//! caller, and only where the policy grants WRITE. Never by letting the call go on: what it points to is memory that the
//! caller's other threads can change after it was looked at.
//!
//! 1. `request` reads all that the arguments point to, once, into memory of ours.
//! 2. `resolve` goes to the file as the kernel would for the caller, through what `process` knows of the caller's directories and
//!    descriptors, and comes back with an open descriptor, so that no name matters from then on.
//! 3. `grants` decides by that descriptor.
//! 4. `perform` makes the change by that descriptor.
//!
//! Steps 2 to 4 run without privileges, for the sandbox has none: the kernel's own checks are then those that the caller would
//! have met. Nothing here changes anything that other threads of the host share.

mod grants;
mod perform;
mod process;
mod request;
mod resolve;

#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod place_tests;
#[cfg(test)]
mod race_tests;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::sys::credentials::{self, Effective};
use crate::sys::{self, Errno};

pub(crate) use grants::Grants;
pub(super) use resolve::Found;

/// Names of the system calls that [`carry_out`] knows. Not every architecture has them all.
#[cfg(test)]
pub(crate) const CALLS: &[&str] = &[
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
];

/// The thread whose call this is. It waits in the call, but may be killed at any time.
pub(crate) trait Caller {
    /// Its thread id, as our procfs numbers it.
    fn thread(&self) -> i32;

    /// Reads its memory, up to the first byte that cannot be read. EFAULT: not even one can.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// Reads a string that a NUL ends, and returns its length without that. ENAMETOOLONG: string and NUL do not fit `buffer`.
    fn read_string(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// True if its sandbox has a PID namespace of its own, and perhaps a mount namespace; then our thread is in no domain.
    fn is_apart(&self) -> bool;

    /// False: the call is over, and `thread` may by now be another thread's number.
    fn is_waiting(&self) -> bool;
}

/// Carries out the system call `name` of `caller`. Ok: what it returns. Err: what it fails with.
///
/// The calling thread must have the user, groups and root directory of the caller.
pub(crate) fn carry_out(name: &str, arguments: [u64; 6], caller: &dyn Caller, grants: &Grants) -> Result<i64, Errno> {
    // With whatever privileges there are: the kernel may ask for some before it shows the caller's memory.
    let Some(request) = request::read(name, arguments, caller)? else {
        return Ok(0); // nothing is to change, and the kernel does not even look at the path then
    };
    without_privileges(|| {
        let process = process::Process::of(caller)?;
        let found = resolve::find(&process, &request.target)?;
        grants.check(&process, &found)?;
        perform::perform(&request.change, &found, caller)
    })??;
    Ok(0)
}

/// Goes to the file that `path` names for `caller`, from its descriptor `from` or its working directory (AT_FDCWD).
pub(super) fn locate(caller: &dyn Caller, from: i32, path: &[u8], follow: bool) -> Result<Located, Errno> {
    without_privileges(|| locate_for_privileged(caller, from, path, follow))?
}

/// The same for a caller that has what privileges the calling thread has.
pub(super) fn locate_for_privileged(
    caller: &dyn Caller,
    from: i32,
    path: &[u8],
    follow: bool,
) -> Result<Located, Errno> {
    if path.is_empty() {
        return Err(Errno(libc::EINVAL));
    }
    let process = process::Process::of(caller)?;
    let target = request::Target::Path {
        from,
        path: path.to_vec(),
        follow,
    };
    let found = resolve::find(&process, &target)?;
    Ok(Located { process, found })
}

/// A file, and who means it.
pub(super) struct Located {
    process: process::Process,
    found: Found,
}

impl Located {
    /// True if a rule of `grants` is for it, or for a directory above it.
    pub(super) fn is_granted(&self, grants: &Grants) -> Result<bool, Errno> {
        grants.cover(&self.process, &self.found)
    }

    /// A descriptor of this thread's that is open to it, for nothing but being named.
    pub(super) fn into_file(self) -> std::os::fd::OwnedFd {
        self.found.file
    }

    /// Where it is.
    pub(super) fn path(&self) -> Option<std::ffi::CString> {
        let mut text = vec![0; 4096];
        let length =
            sys::metadata::read_link(libc::AT_FDCWD, &path_to(self.found.file.as_fd()).ok()?, &mut text).ok()?;
        text.truncate(length);
        std::ffi::CString::new(text).ok()
    }
}

/// Runs `work` with none of the calling thread's capabilities in effect. Other threads keep theirs.
///
/// A file belongs to whoever has its user id, root too: without capabilities that is all a user 0 can do more than others.
pub(crate) fn without_privileges<T>(work: impl FnOnce() -> T) -> Result<T, Errno> {
    struct Suspended(Effective);
    impl Drop for Suspended {
        fn drop(&mut self) {
            // Does not fail: they are still permitted. If it did, the thread would merely be able to do less.
            let _ = credentials::resume_capabilities(self.0);
        }
    }
    let _suspended = Suspended(credentials::suspend_capabilities()?);
    Ok(work())
}

/// Path to the file that a descriptor of ours is open to. `thread-self`, because that is whose table it is in.
fn path_to(file: BorrowedFd<'_>) -> Result<std::ffi::CString, Errno> {
    std::ffi::CString::new(format!("/proc/thread-self/fd/{}", file.as_raw_fd())).map_err(|_| Errno(libc::EINVAL))
}

/// Opens `path`, relative to `directory`.
fn open_at(directory: BorrowedFd<'_>, path: &std::ffi::CStr, flags: i32) -> Result<std::os::fd::OwnedFd, Errno> {
    process::own(sys::metadata::open_at(directory.as_raw_fd(), path, flags)?)
}
