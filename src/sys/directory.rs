//! Walking through directories that somebody else changes meanwhile: by descriptors, never through a symbolic link.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::fd::above_stdio;
use super::{Errno, Result, check, check_long};

/// A moment of the kernel's clock of files: seconds since 1970, and nanoseconds.
pub type Moment = (i64, u32);

/// A file, and what it occupies, as far as its file system knows without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Device numbers of its file system.
    pub device: (u32, u32),
    /// Inode number in it.
    pub inode: u64,
    /// Bytes: holes take none.
    pub bytes: u64,
    /// How many names it has.
    pub links: u32,
    /// True for a directory.
    pub directory: bool,
    /// True for a regular file.
    pub regular: bool,
    /// When its inode has last changed. No call can set that.
    pub changed: Moment,
    /// When it was made, if the file system says so.
    pub born: Option<Moment>,
}

/// Opens `path` without looking at what it is (O_PATH), close-on-exec, numbered 3 or above.
pub fn open_root(path: &CStr) -> Result<i32> {
    super::fd::open(path, libc::O_PATH)
}

/// Opens the directory `path` beneath the directory `root` for reading, close-on-exec, numbered 3 or above. Fails with ELOOP or EXDEV
/// rather than leave `root`, which takes openat2(2), Linux 5.6; before, or where a filter refuses that, only a link at the end of the
/// path is seen.
pub fn open_beneath(root: i32, path: &CStr) -> Result<i32> {
    const FLAGS: i32 = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: all-zero is a valid open_how.
    let mut how: libc::open_how = unsafe { core::mem::zeroed() };
    how.flags = u64::from(FLAGS.unsigned_abs());
    how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS;
    // SAFETY: `path` is NUL-terminated, and the size is that of `how`.
    let opened = check_long(unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root,
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    });
    let fd = match opened {
        // SAFETY: `path` is NUL-terminated.
        Err(Errno(libc::ENOSYS | libc::EPERM)) => check(unsafe { libc::openat(root, path.as_ptr(), FLAGS) })?,
        opened => i32::try_from(opened?).map_err(|_| Errno(libc::EBADF))?,
    };
    above_stdio(fd)
}

/// Reads some entries of an open directory into `buffer` and shows their names, but for "." and "..". False at its end.
pub fn read_entries(directory: i32, buffer: &mut [u8], mut visit: impl FnMut(&CStr)) -> Result<bool> {
    // struct linux_dirent64: inode and offset, then the length of the entry, its type, its name.
    const LENGTH: core::ops::Range<usize> = 16..18;
    const NAME: usize = 19;
    // SAFETY: the buffer has room for as many bytes as are said.
    let count =
        check_long(unsafe { libc::syscall(libc::SYS_getdents64, directory, buffer.as_mut_ptr(), buffer.len()) })?;
    let mut rest = usize::try_from(count)
        .ok()
        .and_then(|count| buffer.get(..count))
        .unwrap_or_default();
    while let Some(length) = rest.get(LENGTH).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()) {
        let length = usize::from(u16::from_ne_bytes(length));
        let name = rest
            .get(NAME..length)
            .and_then(|name| CStr::from_bytes_until_nul(name).ok());
        if let Some(name) = name.filter(|name| !matches!(name.to_bytes(), b"." | b"..")) {
            visit(name);
        }
        rest = rest.get(length.max(1)..).unwrap_or_default();
    }
    Ok(count > 0)
}

/// The file `name` in the open directory `directory`, itself and not what it links to; `directory` itself for "". Starts no automount,
/// and asks nobody over a network.
pub fn occupant(directory: i32, name: &CStr) -> Result<Occupant> {
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
    occupant_by(directory, name, flags)
}

/// The file that `path` leads to, through symbolic links.
pub fn occupant_at(path: &CStr) -> Result<Occupant> {
    occupant_by(libc::AT_FDCWD, path, 0)
}

fn occupant_by(directory: i32, name: &CStr, flags: i32) -> Result<Occupant> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    let flags = flags | libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    let wanted = libc::STATX_TYPE
        | libc::STATX_INO
        | libc::STATX_NLINK
        | libc::STATX_BLOCKS
        | libc::STATX_CTIME
        | libc::STATX_BTIME;
    // SAFETY: `name` is NUL-terminated and `found` has room for the structure.
    check(unsafe { libc::statx(directory, name.as_ptr(), flags, wanted, found.as_mut_ptr()) })?;
    // SAFETY: all-zero is a valid statx, and the call succeeded in filling it.
    let found = unsafe { found.assume_init() };
    let kind = u32::from(found.stx_mode) & libc::S_IFMT;
    Ok(Occupant {
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        bytes: found.stx_blocks.saturating_mul(512),
        links: found.stx_nlink,
        directory: kind == libc::S_IFDIR,
        regular: kind == libc::S_IFREG,
        changed: (found.stx_ctime.tv_sec, found.stx_ctime.tv_nsec),
        born: (found.stx_mask & libc::STATX_BTIME != 0).then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec)),
    })
}

/// Whether programs can search the directory `path` beneath `root`, that is, reach by name what is in it.
pub fn is_searchable(root: i32, path: &CStr) -> bool {
    // SAFETY: `path` is NUL-terminated.
    check(unsafe { libc::faccessat(root, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) }).is_ok()
}

/// Bytes that are taken in the file system of `fd`. None: it keeps no files, like /proc.
pub fn taken(fd: i32) -> Result<Option<u64>> {
    const IN_MEMORY: [i64; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6]; // tmpfs, ramfs, hugetlbfs
    let mut stat = MaybeUninit::<libc::statfs64>::zeroed();
    // SAFETY: `stat` has room for the structure.
    check(unsafe { libc::fstatfs64(fd, stat.as_mut_ptr()) })?;
    // SAFETY: all-zero is a valid statfs, and the call succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    let block = u64::try_from(stat.f_bsize).unwrap_or(0);
    let taken = stat.f_blocks.saturating_sub(stat.f_bfree).saturating_mul(block);
    // Without a size: nothing of the kind, or memory without bounds.
    let keeps_files = stat.f_blocks > 0 || IN_MEMORY.contains(&stat.f_type);
    Ok(keeps_files.then_some(taken))
}

/// The moment by which the kernel would stamp a change of a file now. What changes later is never stamped before it.
pub fn now() -> Moment {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` has room for the structure; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, time.as_mut_ptr()) };
    // SAFETY: all-zero is valid, and the call filled it in.
    let time = unsafe { time.assume_init() };
    (time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
}
