//! Mounts in a mount namespace of one's own: open_tree(2), move_mount(2), fsopen(2), mount_setattr(2). What the child calls, so past
//! libc. Descriptors are close-on-exec, and numbered 3 or above unless the table is full.

use core::ffi::{CStr, c_uint, c_ulong};

use super::Result;
use super::fd::{Descriptor, look_up};
use super::raw::syscall;

/// Nothing mounted there can be changed.
pub const READ_ONLY: u64 = 1;
/// Set-user-ID and file capabilities mean nothing there.
pub const NO_SUID: u64 = 2;
/// Devices do not work there.
pub const NO_DEVICES: u64 = 4;
/// Nothing can be executed there.
pub const NO_EXEC: u64 = 8;

const EMPTY_PATH: i32 = libc::AT_EMPTY_PATH;
const RECURSIVE: i32 = 0x8000;

/// Keeps what is mounted from now on out of the namespaces that this one was copied from, and what they mount out of this one.
pub fn seclude() -> Result<()> {
    const NOTHING: *const u8 = core::ptr::null();
    let flags: c_ulong = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the path is NUL-terminated, and null is allowed for what does not matter.
    unsafe { syscall!(libc::SYS_mount, NOTHING, c"/".as_ptr(), NOTHING, flags, NOTHING) }.map(drop)
}

/// A copy of the mounts at `path` and beneath, mounted nowhere yet. Linux 5.2.
pub fn copy_tree(path: &CStr) -> Result<Descriptor> {
    const CLONE: i32 = 1;
    let flags = CLONE | libc::O_CLOEXEC | RECURSIVE;
    // SAFETY: the path is NUL-terminated.
    Descriptor::of(unsafe { syscall!(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Adds attributes to the mounts at `mount` and beneath. Linux 5.12.
pub fn restrict(mount: &Descriptor, attributes: u64) -> Result<()> {
    set_attributes(mount, attributes, RECURSIVE)
}

/// Adds attributes to `mount`, and not to what is mounted beneath.
pub fn restrict_alone(mount: &Descriptor, attributes: u64) -> Result<()> {
    set_attributes(mount, attributes, 0)
}

fn set_attributes(mount: &Descriptor, attributes: u64, flags: i32) -> Result<()> {
    /// struct mount_attr
    #[repr(C)]
    struct Change {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    let change = Change {
        set: attributes,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the structure outlives the call, and its size is given.
    unsafe {
        syscall!(
            libc::SYS_mount_setattr,
            mount.number(),
            c"".as_ptr(),
            EMPTY_PATH | flags,
            &raw const change,
            size_of::<Change>(),
        )
    }
    .map(drop)
}

/// A new file system in memory of at most `size` bytes, a decimal number, whose directory has `mode`, octal. Mounted nowhere yet.
pub fn new_memory(size: &CStr, mode: &CStr, attributes: u64) -> Result<Descriptor> {
    new_file_system(c"tmpfs", &[(c"size", size), (c"mode", mode)], attributes)
}

/// The processes of the caller's PID namespace, mounted nowhere yet. EPERM: the caller's own /proc is not to be seen whole.
pub fn new_proc() -> Result<Descriptor> {
    new_file_system(c"proc", &[], NO_SUID | NO_DEVICES | NO_EXEC)
}

fn new_file_system(kind: &CStr, options: &[(&CStr, &CStr)], attributes: u64) -> Result<Descriptor> {
    const CLOSE_ON_EXEC: c_uint = 1;
    const SET_STRING: c_uint = 1;
    const CREATE: c_uint = 6;
    // SAFETY: the name is NUL-terminated.
    let context = Descriptor::of(unsafe { syscall!(libc::SYS_fsopen, kind.as_ptr(), CLOSE_ON_EXEC) })?;
    for (key, value) in options {
        // SAFETY: both are NUL-terminated.
        unsafe {
            syscall!(
                libc::SYS_fsconfig,
                context.number(),
                SET_STRING,
                key.as_ptr(),
                value.as_ptr(),
                0_i32,
            )
        }?;
    }
    // SAFETY: null is what this command takes.
    unsafe { syscall!(libc::SYS_fsconfig, context.number(), CREATE, 0_usize, 0_usize, 0_i32) }?;
    // SAFETY: takes no pointers.
    Descriptor::of(unsafe { syscall!(libc::SYS_fsmount, context.number(), CLOSE_ON_EXEC, attributes) })
}

/// Mounts `mount` on the file or directory that `target` is open to.
pub fn attach(mount: &Descriptor, target: &Descriptor) -> Result<()> {
    const FROM_EMPTY_PATH: c_uint = 4;
    const TO_EMPTY_PATH: c_uint = 0x40;
    // SAFETY: the paths are NUL-terminated.
    unsafe {
        syscall!(
            libc::SYS_move_mount,
            mount.number(),
            c"".as_ptr(),
            target.number(),
            c"".as_ptr(),
            FROM_EMPTY_PATH | TO_EMPTY_PATH,
        )
    }
    .map(drop)
}

/// The root directory that paths of this process begin at.
pub fn open_root() -> Result<Descriptor> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    Descriptor::of(unsafe { syscall!(libc::SYS_openat, libc::AT_FDCWD, c"/".as_ptr(), flags) })
}

/// Opens `path`, as it is for a process whose root is `root`. Linux 5.6.
pub fn open_in(root: &Descriptor, path: &CStr) -> Result<Descriptor> {
    look_up(root.number(), path, 0, libc::RESOLVE_IN_ROOT)
}

/// Makes the directory, or with `file` the empty file, `name` in `parent`, if that lies on the file system of `root`, and there are no
/// links on the way.
pub fn make_in(root: &Descriptor, parent: &CStr, name: &CStr, file: bool) -> Result<()> {
    const MODE: u32 = 0o755;
    const FILE_MODE: u32 = 0o644;
    let spelled = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_XDEV;
    let directory = look_up(root.number(), parent, 0, spelled)?;
    if file {
        let kind = libc::S_IFREG | FILE_MODE;
        // SAFETY: the name is NUL-terminated.
        unsafe { syscall!(libc::SYS_mknodat, directory.number(), name.as_ptr(), kind, 0_usize) }
    } else {
        // SAFETY: the name is NUL-terminated.
        unsafe { syscall!(libc::SYS_mkdirat, directory.number(), name.as_ptr(), MODE) }
    }
    .map(drop)
}

/// Makes `root`, which is mounted over the present root, the root of the mount namespace, and lets go of what was there before.
pub fn enter(root: &Descriptor) -> Result<()> {
    super::fd::change_directory(root.number())?;
    let here = c".".as_ptr();
    // The former root comes to lie over the new one, where the next call finds it.
    // SAFETY: the paths are NUL-terminated.
    unsafe { syscall!(libc::SYS_pivot_root, here, here) }?;
    // SAFETY: as above.
    unsafe { syscall!(libc::SYS_umount2, here, libc::MNT_DETACH) }?;
    change_directory(c"/")
}

/// Makes the directory at `path` the working directory.
pub fn change_directory(path: &CStr) -> Result<()> {
    // SAFETY: the path is NUL-terminated.
    unsafe { syscall!(libc::SYS_chdir, path.as_ptr()) }.map(drop)
}
