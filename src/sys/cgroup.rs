//! Control groups of version 2 (cgroups(7)): making them, starting processes in them, and removing them.

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;

use super::process::{Apart, Child, Entry};
use super::raw::syscall;
use super::signal::{Mask, set_mask};
use super::{Errno, Result, check, check_long};

/// Not among libc's: it does not fit an int.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// True if `fd` lies on a file system of control groups, version 2.
pub fn is_group(fd: i32) -> bool {
    let mut stat = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `stat` has room for the structure.
    if unsafe { libc::fstatfs(fd, stat.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: all-zero is a valid statfs, and fstatfs succeeded in filling it.
    let stat = unsafe { stat.assume_init() };
    stat.f_type == libc::CGROUP2_SUPER_MAGIC
}

/// The user that the open file `fd` belongs to.
pub fn owner(fd: i32) -> Result<u32> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `stat` has room for the structure.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: all-zero is a valid stat, and fstat succeeded in filling it.
    Ok(unsafe { stat.assume_init() }.st_uid)
}

/// Opens `name` in the directory `directory`, close-on-exec, at number 3 or above.
pub fn open_at(directory: i32, name: &CStr, flags: c_int) -> Result<i32> {
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: `name` is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::openat(directory, name.as_ptr(), flags) })?;
    super::fd::above_stdio(fd)
}

/// Makes the group `name` in the group open at `parent`. EEXIST: there is one.
pub fn make(parent: i32, name: &CStr) -> Result<()> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    check(unsafe { libc::mkdirat(parent, name.as_ptr(), 0o755) }).map(drop)
}

/// Removes the group `name` in the group open at `parent`. EBUSY: somebody is in it.
pub fn remove(parent: i32, name: &CStr) -> Result<()> {
    // SAFETY: `name` is NUL-terminated and outlives the call.
    check(unsafe { libc::unlinkat(parent, name.as_ptr(), libc::AT_REMOVEDIR) }).map(drop)
}

/// Locks the open directory `fd` until it is closed everywhere. EWOULDBLOCK: somebody else has it locked.
pub fn lock(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::flock(fd, libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// A number that nobody can guess.
pub fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the pointer and length describe `bytes`.
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    match usize::try_from(count) {
        // So few bytes come at once or not at all.
        Ok(8) => Ok(u64::from_ne_bytes(bytes)),
        Ok(_) => Err(Errno(libc::EIO)),
        Err(_) => Err(Errno::last()),
    }
}

/// Moves the calling process, which has one thread, into the group whose `cgroup.procs` is open at `members`. For a child.
pub fn enter(members: i32) -> Result<()> {
    let own = b"0";
    // SAFETY: pointer and length describe a live buffer.
    unsafe { syscall!(libc::SYS_write, members, own.as_ptr(), own.len()) }.map(drop)
}

/// [`super::process::start_sharing_memory`] with a child that starts in the group open at `group` (CLONE_INTO_CGROUP, Linux 5.7). To
/// move a process that runs would take the kernel some ten milliseconds.
///
/// # Safety
///
/// As there.
pub(super) unsafe fn start_sharing_memory(
    entry: Entry,
    stack_top: *mut c_void,
    argument: *mut c_void,
    present: &AtomicU32,
    (apart, group): (Apart, i32),
) -> Result<Child> {
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID;
    let arguments = libc::clone_args {
        pidfd: address(&raw mut pidfd),
        child_tid: address(present.as_ptr()),
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        ..arguments(flags | apart.flags(), stack_top, group)
    };
    // SAFETY: the child uses entry, stack, argument and `present`, which the caller vouches for, until it has left this memory; the
    // kernel writes to `pidfd` before it returns.
    let pid = unsafe { clone_onto(&arguments, entry, argument) }?;
    Ok(Child {
        pid,
        pidfd: super::process::high_or_as_is(pidfd),
    })
}

/// [`super::process::start_copying_memory`] with a child that starts in the group open at `group`.
///
/// # Safety
///
/// As there.
pub(super) unsafe fn start_copying_memory(
    entry: Entry,
    argument: *mut c_void,
    (apart, group): (Apart, i32),
) -> Result<Child> {
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let arguments = libc::clone_args {
        pidfd: address(&raw mut pidfd),
        exit_signal: libc::SIGCHLD.cast_unsigned().into(),
        ..arguments(flags | apart.flags(), core::ptr::null_mut(), group)
    };
    // SAFETY: the structure is as large as said. Without CLONE_VM and with a null stack the child continues here on a copy of this
    // stack.
    let pid = check_long(unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) })?;
    if pid == 0 {
        let status = entry(argument);
        super::process::exit(status);
    }
    Ok(Child {
        pid: i32::try_from(pid).map_err(|_| Errno(libc::EOVERFLOW))?,
        pidfd: super::process::high_or_as_is(pidfd),
    })
}

/// Tries whether processes can be started in the group open at `group`, by starting one that ends at once. ENOSYS: not so, but they
/// might be moved there.
pub fn try_out(group: i32) -> Result<()> {
    const STACK: usize = 16 << 10;
    #[repr(C, align(16))]
    struct Stack(core::cell::UnsafeCell<MaybeUninit<[u8; STACK]>>);
    let stack = Stack(core::cell::UnsafeCell::new(MaybeUninit::uninit()));
    // No handler of the host shall run in a process that shares its memory.
    let former = set_mask(Mask::ALL)?;
    let top = stack.0.get().wrapping_add(1).cast::<c_void>();
    // No signal when it ends: the host is not to notice it, neither by a handler nor by waitpid(-1).
    let arguments = arguments(libc::CLONE_VM | libc::CLONE_VFORK, top, group);
    // SAFETY: this thread stands still until the other process has ended, so that its stack stays valid. That makes one raw system
    // call only, and never returns.
    let started = unsafe { clone_onto(&arguments, end_at_once, core::ptr::null_mut()) };
    if let Ok(pid) = started {
        super::namespace::await_end(pid);
    }
    let restored = set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    started.map(drop)
}

extern "C" fn end_at_once(_: *mut c_void) -> c_int {
    super::process::exit(0)
}

/// What clone3(2) takes: the kernel uses the end of a stack alone, and leaves the check of its size to who writes there.
fn arguments(flags: c_int, stack_top: *mut c_void, group: i32) -> libc::clone_args {
    const STACK: usize = 4096;
    let top = stack_top as usize as u64;
    let size = if top == 0 { 0 } else { STACK as u64 };
    libc::clone_args {
        flags: u64::from(flags.cast_unsigned()) | CLONE_INTO_CGROUP,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: 0,
        stack: top.saturating_sub(size),
        stack_size: size,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        // A descriptor is not negative.
        cgroup: u64::from(group.cast_unsigned()),
    }
}

fn address<T>(pointer: *mut T) -> u64 {
    pointer as usize as u64
}

/// clone3(2) with a child that runs `entry(argument)` on the stack that `arguments` name.
///
/// # Safety
///
/// `arguments` are in order, `entry` never returns, and it and `argument` are as [`super::process::start_sharing_memory`] says.
unsafe fn clone_onto(arguments: &libc::clone_args, entry: Entry, argument: *mut c_void) -> Result<i32> {
    let arguments = [
        core::ptr::from_ref(arguments).addr(),
        size_of::<libc::clone_args>(),
        0,
        0,
        0,
    ];
    // SAFETY: as the caller promises.
    unsafe { super::raw::start_process(libc::SYS_clone3, arguments, entry, argument) }
}
