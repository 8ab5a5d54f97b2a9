//! The caller's process: its directories and descriptors, as procfs shows them.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just opened

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::sys::fd::FileId;
use crate::sys::{Errno, fd, metadata};

use super::{Caller, open_at};

/// Takes over a descriptor that was just opened.
pub(super) fn own(number: i32) -> Result<OwnedFd, Errno> {
    if number < 0 {
        return Err(Errno(libc::EBADF));
    }
    // SAFETY: whoever calls this has just had it opened, and leaves it to the result.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// How a descriptor was opened, and to which file: fdinfo of proc(5), read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    flags: i32,
    mount: u64,
    /// Linux 5.14.
    inode: Option<u64>,
}

impl Description {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.strip_prefix(':')?.trim())
        };
        Some(Self {
            flags: i32::from_str_radix(value("flags")?, 8).ok()?,
            mount: value("mnt_id")?.parse().ok()?,
            inode: value("ino").and_then(|text| text.parse().ok()),
        })
    }

    /// Of the descriptor with this number, a text, beneath a directory of procfs.
    pub(super) fn read(directory: BorrowedFd<'_>, path: &CStr) -> Result<Self, Errno> {
        // The lines that matter come first; a cut number would not do, but they end long before that.
        let mut text = [0; 512];
        let file = open_at(directory, path, libc::O_RDONLY)?;
        let length = fd::read(file.as_raw_fd(), &mut text)?;
        Self::parse(&text[..length]).ok_or(Errno(libc::EACCES))
    }

    /// True if it is open for nothing but being named.
    fn is_path_only(&self) -> bool {
        self.flags & libc::O_PATH != 0
    }

    /// True if `file`, a descriptor of ours, is open to the same file, and this one for writing too. False as well where the
    /// kernel does not say which file it is: another thread may have put another there since.
    pub(super) fn is_writable_and_same(&self, file: BorrowedFd<'_>) -> bool {
        let number = file.as_raw_fd();
        let writable = matches!(self.flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR) && !self.is_path_only();
        let ours = CString::new(format!("/proc/thread-self/fdinfo/{number}"))
            .ok()
            .and_then(|path| Self::read(file, &path).ok());
        writable
            && self.inode.is_some()
            && ours.is_some_and(|ours| (ours.mount, ours.inode) == (self.mount, self.inode))
    }
}

/// A file that a descriptor of some process is open to.
pub(super) struct Opened {
    /// A descriptor of ours.
    pub(super) file: OwnedFd,
    /// How the process opened it.
    pub(super) description: Description,
}

/// The caller's process.
pub(super) struct Process {
    /// Its directory in procfs. The kernel binds an open one to the very thread: whatever else gets the number later.
    directory: OwnedFd,
    root: OwnedFd,
    thread: i32,
    /// Its PID namespace, if that is its sandbox's own.
    namespace: Option<CString>,
}

impl Process {
    /// Of a caller that still waits.
    pub(super) fn of(caller: &dyn Caller) -> Result<Self, Errno> {
        let thread = caller.thread();
        if thread <= 0 {
            return Err(Errno(libc::EACCES)); // outside our process namespace
        }
        let path = CString::new(format!("/proc/{thread}")).map_err(|_| Errno(libc::EINVAL))?;
        let directory = own(fd::open(&path, libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)?)?;
        // Opened first: a number that is still the caller's now was the caller's then.
        if !caller.is_waiting() {
            return Err(Errno(libc::ESRCH));
        }
        if !fd::is_on_proc(directory.as_raw_fd()) {
            return Err(Errno(libc::EACCES));
        }
        let root = open_at(directory.as_fd(), c"root", libc::O_PATH | libc::O_DIRECTORY)?;
        let namespace = if caller.is_apart() {
            Some(namespace_of(directory.as_fd(), c"ns/pid")?)
        } else {
            // A sandbox without a mount namespace cannot change its root.
            if fd::identify(root.as_raw_fd())? != fd::identify_path(c"/")? {
                return Err(Errno(libc::EACCES));
            }
            None
        };
        Ok(Self {
            directory,
            root,
            thread,
            namespace,
        })
    }

    /// True if `directory`, with this identity, is its root: nothing is above that.
    pub(super) fn is_root(&self, directory: BorrowedFd<'_>, id: FileId) -> Result<bool, Errno> {
        if id != fd::identify(self.root.as_raw_fd())? {
            return Ok(false);
        }
        // The same directory can be mounted elsewhere.
        Ok(mount_of(directory)? == mount_of(self.root.as_fd())?)
    }

    /// A descriptor to resolve absolute paths from, that do not lead out of its root.
    pub(super) fn root_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    pub(super) fn root(&self) -> Result<OwnedFd, Errno> {
        open_at(self.root.as_fd(), c".", libc::O_PATH | libc::O_DIRECTORY)
    }

    pub(super) fn working_directory(&self) -> Result<OwnedFd, Errno> {
        open_at(self.directory.as_fd(), c"cwd", libc::O_PATH | libc::O_DIRECTORY)
    }

    /// The file that its descriptor `number` is open to. EBADF: there is no such descriptor.
    pub(super) fn descriptor(&self, number: i32) -> Result<Opened, Errno> {
        if number < 0 {
            return Err(Errno(libc::EBADF));
        }
        // No such entry: no such descriptor.
        let absent = |errno| {
            if errno == Errno(libc::ENOENT) {
                Errno(libc::EBADF)
            } else {
                errno
            }
        };
        let entry = |folder: &str| CString::new(format!("{folder}/{number}")).map_err(|_| Errno(libc::EINVAL));
        let file = open_at(self.directory.as_fd(), &entry("fd")?, libc::O_PATH).map_err(absent)?;
        let description = Description::read(self.directory.as_fd(), &entry("fdinfo")?).map_err(absent)?;
        Ok(Opened { file, description })
    }

    /// The same, if it was not opened with O_PATH: calls that take a descriptor do not take such a one.
    pub(super) fn usable_descriptor(&self, number: i32) -> Result<Opened, Errno> {
        let opened = self.descriptor(number)?;
        if opened.description.is_path_only() {
            return Err(Errno(libc::EBADF));
        }
        Ok(opened)
    }

    /// What /proc/self, or /proc/thread-self, reads for the caller in the procfs whose uppermost directory has this identity.
    pub(super) fn own_name(&self, thread: bool, procfs: FileId) -> Result<String, Errno> {
        let (group, thread_id) = if self.namespace.is_some() && fd::identify_path(c"/proc")?.device != procfs.device {
            // Its own /proc numbers processes as its namespace does.
            let inner = |key| number_in(self.directory.as_fd(), c"status", key, true);
            (inner("NStgid:")?, inner("NSpid:")?)
        } else {
            (
                process_of(self.directory.as_fd(), c"status")?,
                self.thread.cast_unsigned(),
            )
        };
        Ok(if thread {
            format!("{group}/task/{thread_id}")
        } else {
            group.to_string()
        })
    }

    /// True if a link in `directory`, of procfs, belongs to the host's own process, or to any that is not in the sandbox if we are in
    /// no domain. The kernel shows us everything of those, and would not show it to the sandbox.
    pub(super) fn is_out_of_sight(&self, directory: BorrowedFd<'_>) -> Result<bool, Errno> {
        if let Some(own) = &self.namespace {
            let owners = namespace_of(directory, c"ns/pid").or_else(|_| namespace_of(directory, c"../ns/pid"));
            return Ok(owners.as_ref() != Ok(own));
        }
        // /proc/PID/cwd, or /proc/PID/fd/N
        let owner = process_of(directory, c"status").or_else(|_| process_of(directory, c"../status"))?;
        Ok(owner == std::process::id() && owner != process_of(self.directory.as_fd(), c"status")?)
    }
}

/// The process id in a file `status` of procfs.
fn process_of(directory: BorrowedFd<'_>, path: &CStr) -> Result<u32, Errno> {
    number_in(directory, path, "Tgid:", false)
}

/// The number after `key` in a file `status` of procfs: the first, or the last, which is that of the innermost namespace.
fn number_in(directory: BorrowedFd<'_>, path: &CStr, key: &str, last: bool) -> Result<u32, Errno> {
    let mut text = [0; 2048];
    let file = open_at(directory, path, libc::O_RDONLY)?;
    let length = fd::read(file.as_raw_fd(), &mut text)?;
    let text = String::from_utf8_lossy(&text[..length]).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let mut numbers = line.unwrap_or_default().split_ascii_whitespace();
    let number = if last { numbers.next_back() } else { numbers.next() };
    number.and_then(|text| text.parse().ok()).ok_or(Errno(libc::EACCES))
}

/// What stands for a PID namespace: the text of this link of procfs.
fn namespace_of(directory: BorrowedFd<'_>, link: &CStr) -> Result<CString, Errno> {
    let mut text = vec![0; 64];
    let length = metadata::read_link(directory.as_raw_fd(), link, &mut text)?;
    text.truncate(length);
    CString::new(text).map_err(|_| Errno(libc::EINVAL))
}

/// The mount that a file of ours lies on.
fn mount_of(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    let path = CString::new(format!("/proc/thread-self/fdinfo/{}", file.as_raw_fd()));
    let path = path.map_err(|_| Errno(libc::EINVAL))?;
    Ok(Description::read(file, &path)?.mount)
}

/// The directory that holds `directory`, which is itself for the root.
pub(super) fn parent_of(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    own(metadata::open_at(
        directory.as_raw_fd(),
        c"..",
        libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW,
    )?)
}
