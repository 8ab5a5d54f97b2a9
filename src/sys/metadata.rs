//! Files looked up by descriptor, and what is known of a file besides its content: mode, owner, times, attributes.

use core::ffi::CStr;
use core::ptr;

use super::fd::{Descriptor, FileId, above_stdio, look_up};
use super::raw::syscall;
use super::{Errno, Result, check};

/// What tells one file from another, and what kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which file.
    pub id: FileId,
    /// Kind and permissions: S_IF* and the mode.
    pub mode: u32,
    /// User id of its owner.
    pub owner: u32,
    /// True if no directory names it (any more).
    pub unlinked: bool,
    /// True if directories name it more than once.
    pub has_more_names: bool,
}

impl Status {
    /// True if the file is of this kind, S_IF*.
    pub fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }
}

/// Status of the open file `fd`.
pub fn status(fd: i32) -> Result<Status> {
    stat(fd, c"", libc::AT_EMPTY_PATH)
}

/// Status of what `directory` calls `name`; of a symbolic link, if it is one.
pub fn status_at(directory: i32, name: &CStr) -> Result<Status> {
    stat(directory, name, libc::AT_SYMLINK_NOFOLLOW)
}

fn stat(directory: i32, path: &CStr, flags: i32) -> Result<Status> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `path` is NUL-terminated and `stat` has room for the structure.
    check(unsafe { libc::fstatat(directory, path.as_ptr(), stat.as_mut_ptr(), flags) })?;
    // SAFETY: all-zero is a valid stat, and fstatat succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    Ok(Status {
        id: FileId {
            device: stat.st_dev,
            inode: stat.st_ino,
            directory: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
        },
        mode: stat.st_mode,
        owner: stat.st_uid,
        unlinked: stat.st_nlink == 0,
        has_more_names: stat.st_nlink > 1,
    })
}

/// Opens `path`, relative to `directory`, with `flags`; close-on-exec, at number 3 or above.
pub fn open_at(directory: i32, path: &CStr, flags: i32) -> Result<i32> {
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::openat(directory, path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    above_stdio(fd)
}

/// Opens `path`, relative to `directory`, for being looked at only (O_PATH), and goes only where `resolve`, RESOLVE_*, lets
/// it. Linux 5.6.
pub fn look_at(directory: i32, path: &CStr, flags: i32, resolve: u64) -> Result<i32> {
    look_up(directory, path, flags, resolve).map(Descriptor::leave)
}

/// Reads where the symbolic link at `path`, relative to `directory`, leads to; with an empty path, where `directory` does,
/// which is a link itself. A text that fills the buffer may have been cut.
pub fn read_link(directory: i32, path: &CStr, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: `path` is NUL-terminated; the pointer and length describe a live, writable buffer.
    let count = unsafe { libc::readlinkat(directory, path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// True if symbolic links are not to be followed on the file system of `fd` (mount option nosymfollow).
pub fn forbids_links(fd: i32) -> bool {
    const ST_NOSYMFOLLOW: u64 = 0x2000;
    let mut stat = core::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `stat` has room for the structure.
    if unsafe { libc::fstatvfs(fd, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: all-zero is a valid statvfs, and fstatvfs succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    stat.f_flag & ST_NOSYMFOLLOW != 0
}

/// Changes the permissions of the file at `path`, links followed.
pub fn change_mode(path: &CStr, mode: u32) -> Result<()> {
    // SAFETY: `path` is NUL-terminated.
    check(unsafe { libc::chmod(path.as_ptr(), mode) }).map(drop)
}

/// Changes user and group of the open file `fd`; `u32::MAX` keeps one.
pub fn change_owner(fd: i32, user: u32, group: u32) -> Result<()> {
    // SAFETY: the path is NUL-terminated.
    check(unsafe { libc::fchownat(fd, c"".as_ptr(), user, group, libc::AT_EMPTY_PATH) }).map(drop)
}

/// Changes the times of last access and modification of the open file `fd`; to now, if there are none.
pub fn change_times(fd: i32, times: Option<&[libc::timespec; 2]>) -> Result<()> {
    let times = times.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the path is NUL-terminated; `times` is null or points to two times that outlive the call. Past libc, whose
    // wrapper may know no empty path.
    unsafe { syscall!(libc::SYS_utimensat, fd, c"".as_ptr(), times, libc::AT_EMPTY_PATH,) }.map(drop)
}

/// Sets an extended attribute of the file at `path`, links followed.
pub fn set_attribute(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> Result<()> {
    // SAFETY: path and name are NUL-terminated; the pointer and length describe a live buffer that is only read.
    check(unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) }).map(drop)
}

/// Reads an extended attribute of the file at `path`, links followed, and says how long it is.
pub fn attribute(path: &CStr, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: path and name are NUL-terminated; the pointer and length describe a live, writable buffer.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(length).map_err(|_| Errno::last())
}

/// Removes an extended attribute of the file at `path`, links followed.
pub fn remove_attribute(path: &CStr, name: &CStr) -> Result<()> {
    // SAFETY: path and name are NUL-terminated.
    check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }).map(drop)
}
