//! File descriptors.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::raw::syscall;
use super::{Errno, Result, check};

/// Closes a descriptor that the caller owns; errors of close(2) leave nothing to do.
pub fn close(fd: i32) {
    // SAFETY: takes no pointers.
    unsafe { libc::close(fd) };
}

/// Duplicates `fd` to the lowest free number that is at least `floor`, close-on-exec.
pub fn duplicate_above(fd: i32, floor: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    number(unsafe { syscall!(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, floor) })
}

/// Makes `target` refer to what `source` does, and survive exec. The two must differ.
pub fn duplicate_onto(source: i32, target: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_dup3, source, target, 0_i32) }.map(drop)
}

/// A descriptor that a raw call returned.
pub(super) fn number(returned: Result<usize>) -> Result<i32> {
    i32::try_from(returned?).map_err(|_| Errno(libc::EOVERFLOW))
}

/// True if `fd` is open.
pub fn is_open(fd: i32) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Makes reads and writes on `fd` return EAGAIN rather than wait.
pub fn set_nonblocking(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Marks every descriptor from `first` on close-on-exec. Linux 5.11.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Gives the calling process a descriptor table of its own, if it has shared one until now. Linux 5.9.
pub fn unshare_table() -> Result<()> {
    // An empty range: nothing is closed.
    close_range(u32::MAX, libc::CLOSE_RANGE_UNSHARE)
}

/// Gives the calling thread a descriptor table of its own, in which only `kept` are open: none of them, and nothing that it opens there, is
/// then the process's. Sorts `kept`. Linux 5.9.
pub fn leave_table(kept: &mut [i32]) -> Result<()> {
    kept.sort_unstable();
    let number = |fd: &i32| u32::try_from(*fd).map_err(|_| Errno(libc::EBADF));
    let last = kept.last().map(number).transpose()?;
    close_range(last.map_or(0, |last| last.saturating_add(1)), libc::CLOSE_RANGE_UNSHARE)?;
    let mut first = 0;
    for fd in kept.iter() {
        let fd = number(fd)?;
        if let Some(before) = fd.checked_sub(1).filter(|before| *before >= first) {
            // SAFETY: takes no pointers.
            unsafe { syscall!(libc::SYS_close_range, first, before, 0_u32) }?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

fn close_range(first: u32, flags: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_close_range, first, u32::MAX, flags) }.map(drop)
}

/// True if somebody has a record lock on the file that `fd` is open to, this process too (fcntl(2)): to close any descriptor of the file is
/// to give up the locks that the process has. True as well if that cannot be told.
pub fn may_be_locked(fd: i32) -> bool {
    const F_OFD_GETLK: i32 = 36;
    const WRITE: libc::c_short = 1;
    const { assert!(WRITE as i32 == libc::F_WRLCK) };
    // SAFETY: all zeros is a lock of the whole file; the structure has padding on some systems.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = WRITE;
    // SAFETY: the pointer is to a live structure of the kind that the command takes.
    let asked = check(unsafe { libc::fcntl(fd, F_OFD_GETLK, &raw mut lock) });
    asked.is_err() || i32::from(lock.l_type) != libc::F_UNLCK
}

/// True if close_range(2) with CLOSE_RANGE_CLOEXEC exists (Linux 5.11); asks about an empty range.
pub fn has_close_on_exec_range() -> bool {
    close_on_exec_from(u32::MAX).is_ok()
}

/// Opens `path` with `flags`, always close-on-exec, at number 3 or above.
pub fn open(path: &CStr, flags: i32) -> Result<i32> {
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) })?;
    above_stdio(fd)
}

/// Opens `path` for nothing but being named, past libc.
pub fn open_path(path: &CStr) -> Result<Descriptor> {
    let flags = libc::O_PATH | libc::O_CLOEXEC;
    // SAFETY: `path` is NUL-terminated and outlives the call.
    Descriptor::of(unsafe { syscall!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Likewise, by no symbolic link, nor one like those in /proc, wherever in the path: ELOOP.
pub fn open_path_without_links(path: &CStr) -> Result<Descriptor> {
    look_up(
        libc::AT_FDCWD,
        path,
        0,
        libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS,
    )
}

/// Opens `path`, relative to `directory`, for nothing but being named, and goes only where `resolve`, RESOLVE_*, lets it. Linux 5.6.
pub(super) fn look_up(directory: i32, path: &CStr, flags: i32, resolve: u64) -> Result<Descriptor> {
    // SAFETY: all-zero is a valid open_how.
    let mut how: libc::open_how = unsafe { core::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_PATH | libc::O_CLOEXEC).cast_unsigned());
    how.resolve = resolve;
    // SAFETY: `path` is NUL-terminated, `how` is as large as it is said to be, and both outlive the call.
    Descriptor::of(unsafe {
        syscall!(
            libc::SYS_openat2,
            directory,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    })
}

/// Moves an owned descriptor that landed on 0, 1 or 2 (in a host that closed them) out of the way, so that it is never
/// taken for the host's standard streams.
pub fn above_stdio(fd: i32) -> Result<i32> {
    if fd > 2 {
        return Ok(fd);
    }
    let moved = duplicate_above(fd, 3);
    close(fd);
    moved
}

/// Likewise past libc, for a child; on failure `fd` stays as it is.
pub fn raise(fd: i32) -> Result<i32> {
    if fd > 2 {
        return Ok(fd);
    }
    let moved = duplicate_above(fd, 3)?;
    // SAFETY: takes no pointers; the caller owns the descriptor.
    let _ = unsafe { syscall!(libc::SYS_close, fd) };
    Ok(moved)
}

/// Creates a pipe, both ends close-on-exec and numbered 3 or above: (read end, write end).
pub fn pipe() -> Result<(i32, i32)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let [reader, writer] = ends;
    let reader = above_stdio(reader).inspect_err(|_| close(writer))?;
    let writer = above_stdio(writer).inspect_err(|_| close(reader))?;
    Ok((reader, writer))
}

/// Reads into `buffer`; 0 at end of file.
pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the pointer and length describe a live, writable buffer.
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// Reads into `buffer` from `offset` bytes on; 0 at end of file.
pub fn read_at(fd: i32, buffer: &mut [u8], offset: libc::off_t) -> Result<usize> {
    // SAFETY: the pointer and length describe a live, writable buffer.
    let count = unsafe { libc::pread(fd, buffer.as_mut_ptr().cast(), buffer.len(), offset) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// Writes what `fd` takes of `bytes`. Raises SIGPIPE in the calling thread if it is a pipe that nobody reads.
pub fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the pointer and length describe a live buffer.
    let count = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// Makes the directory open at `fd` the working directory.
pub fn change_directory(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_fchdir, fd) }.map(drop)
}

/// Identity and kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// Device number of the file system.
    pub device: u64,
    /// Inode number in it.
    pub inode: u64,
    /// True for a directory.
    pub directory: bool,
}

/// A descriptor of a child's, which is closed, past libc, when it is dropped. Numbered 3 or above unless the table is full.
#[derive(Debug)]
pub struct Descriptor(i32);

impl Descriptor {
    /// One that a call has just made.
    pub(super) fn of(returned: Result<usize>) -> Result<Self> {
        number(returned).map(Self::take_over)
    }

    /// Takes over what was [left](Self::leave), or just made.
    pub fn take_over(number: i32) -> Self {
        Self(raise(number).unwrap_or(number))
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        self.0
    }

    /// Its number, which is not closed.
    pub fn leave(self) -> i32 {
        core::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: takes no pointers; the descriptor is this value's own.
        let _ = unsafe { syscall!(libc::SYS_close, self.0) };
    }
}

/// Room for a [`FileId`] that one process writes and another reads.
#[derive(Debug, Default)]
pub struct FileCell {
    device: AtomicU64,
    inode: AtomicU64,
    kind: AtomicU32,
}

const NO_FILE: u32 = 0;
const DIRECTORY: u32 = 1;
const NO_DIRECTORY: u32 = 2;

impl FileCell {
    /// Writes it, once.
    pub fn set(&self, id: FileId) {
        self.device.store(id.device, Ordering::Relaxed);
        self.inode.store(id.inode, Ordering::Relaxed);
        let kind = if id.directory { DIRECTORY } else { NO_DIRECTORY };
        self.kind.store(kind, Ordering::Release);
    }

    /// What was written.
    pub fn get(&self) -> Option<FileId> {
        let kind = self.kind.load(Ordering::Acquire);
        (kind != NO_FILE).then(|| FileId {
            device: self.device.load(Ordering::Relaxed),
            inode: self.inode.load(Ordering::Relaxed),
            directory: kind == DIRECTORY,
        })
    }
}

/// Identity of the open file `fd`, past libc.
pub fn identify_raw(fd: i32) -> Result<FileId> {
    let mut found = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let wanted = libc::STATX_TYPE | libc::STATX_INO;
    // SAFETY: the path is NUL-terminated and `found` has room for the structure.
    unsafe {
        syscall!(
            libc::SYS_statx,
            fd,
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            wanted,
            found.as_mut_ptr(),
        )
    }?;
    // SAFETY: all-zero is a valid statx, and the call succeeded in filling it.
    let found = unsafe { found.assume_init() };
    Ok(FileId {
        device: libc::makedev(found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        directory: u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
    })
}

/// Identity of the open file `fd`.
pub fn identify(fd: i32) -> Result<FileId> {
    stat(fd, c"", libc::AT_EMPTY_PATH)
}

/// Identity of the file that `path` leads to, symbolic links followed.
pub fn identify_path(path: &CStr) -> Result<FileId> {
    stat(libc::AT_FDCWD, path, 0)
}

fn stat(fd: i32, path: &CStr, flags: i32) -> Result<FileId> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `path` is NUL-terminated and `stat` has room for the structure.
    check(unsafe { libc::fstatat(fd, path.as_ptr(), stat.as_mut_ptr(), flags) })?;
    // SAFETY: all-zero is a valid stat, and fstatat succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    Ok(FileId {
        device: stat.st_dev,
        inode: stat.st_ino,
        directory: stat.st_mode & libc::S_IFMT == libc::S_IFDIR,
    })
}

/// How much a file occupies, as far as its file system knows without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Device numbers of its file system.
    pub device: (u32, u32),
    /// Inode number in it.
    pub inode: u64,
    /// Bytes.
    pub bytes: u64,
    /// True for a regular file.
    pub regular: bool,
    /// How many names it has.
    pub links: u32,
    /// When its inode has last changed, seconds since 1970.
    pub changed: i64,
}

/// The extent of the file that `path` leads to. With `follow`, also through a symbolic link at its end. Does not wait for a file
/// system that is reached over a network or served by a process.
pub fn extent(path: &CStr, follow: bool) -> Result<Extent> {
    let mut found = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let flags = libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT | if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    let wanted = libc::STATX_TYPE | libc::STATX_INO | libc::STATX_NLINK | libc::STATX_BLOCKS | libc::STATX_CTIME;
    // SAFETY: `path` is NUL-terminated and `found` has room for the structure.
    check(unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, wanted, found.as_mut_ptr()) })?;
    // SAFETY: all-zero is a valid statx, and the call succeeded in filling it.
    let found = unsafe { found.assume_init() };
    Ok(Extent {
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        bytes: found.stx_blocks.saturating_mul(512),
        regular: u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFREG,
        links: found.stx_nlink,
        changed: found.stx_ctime.tv_sec,
    })
}

/// Bytes that are taken in the file system of `path`.
pub fn used_bytes(path: &CStr) -> Result<u64> {
    let mut stat = core::mem::MaybeUninit::<libc::statfs64>::zeroed();
    // SAFETY: `path` is NUL-terminated and `stat` has room for the structure.
    check(unsafe { libc::statfs64(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: all-zero is a valid statfs, and the call succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    Ok(stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(block))
}

/// True if `fd` lies on a proc file system.
pub fn is_on_proc(fd: i32) -> bool {
    let mut stat = core::mem::MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `stat` has room for the structure.
    if unsafe { libc::fstatfs(fd, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: all-zero is a valid statfs, and fstatfs succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    stat.f_type == libc::PROC_SUPER_MAGIC
}

/// Makes an empty file in memory, close-on-exec, numbered 3 or above. Linux 3.17; since 6.3 it is marked not executable.
pub fn memory_file() -> Result<i32> {
    const NOEXEC_SEAL: libc::c_uint = 8;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is NUL-terminated.
    let fd = match check(unsafe { libc::memfd_create(c"sandlock".as_ptr(), flags | NOEXEC_SEAL) }) {
        // SAFETY: as above.
        Err(Errno(libc::EINVAL)) => check(unsafe { libc::memfd_create(c"sandlock".as_ptr(), flags) }),
        made => made,
    }?;
    above_stdio(fd)
}

/// Makes an empty file in memory that can be executed, close-on-exec, numbered 3 or above. EACCES: vm.memfd_noexec forbids it.
pub fn executable_memory_file() -> Result<i32> {
    const EXEC: libc::c_uint = 0x10; // MFD_EXEC, Linux 6.3
    let name = c"sandlock-init".as_ptr();
    // SAFETY: the name is NUL-terminated.
    let fd = match check(unsafe { libc::memfd_create(name, libc::MFD_CLOEXEC | EXEC) }) {
        // SAFETY: as above.
        Err(Errno(libc::EINVAL)) => check(unsafe { libc::memfd_create(name, libc::MFD_CLOEXEC) }),
        made => made,
    }?;
    above_stdio(fd)
}

/// Sets the mode of the open file `fd`.
pub fn set_mode(fd: i32, mode: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::fchmod(fd, mode) }).map(drop)
}

/// Makes a file in memory unchangeable for good.
pub fn seal(fd: i32) -> Result<()> {
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) }).map(drop)
}
