//! Namespaces: what a process that was started in new ones does to make them usable, and whether they can be had at all.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, Ordering};

use super::fd::Descriptor;
use super::raw::syscall;
use super::signal::{Mask, set_mask};
use super::{Errno, Result, check};

/// What a process writes into its own `uid_map` and `gid_map`: "inside outside 1".
#[derive(Clone, Copy, Debug)]
pub struct IdentityMap<'a> {
    /// For users.
    pub users: &'a [u8],
    /// For groups.
    pub groups: &'a [u8],
}

/// Gives the user namespace that the calling process was started in its map. An ordinary user may map nobody but itself, and
/// a group only if it gives up setgroups(2) first.
pub fn map_identity(map: IdentityMap<'_>) -> Result<()> {
    write_own(c"/proc/self/setgroups", b"deny")?;
    write_own(c"/proc/self/uid_map", map.users)?;
    write_own(c"/proc/self/gid_map", map.groups)
}

fn write_own(path: &CStr, text: &[u8]) -> Result<()> {
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the path is NUL-terminated.
    let fd = super::fd::number(unsafe { syscall!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // The table is the host's, and so are its standard streams, even if they are closed.
    let fd = super::fd::raise(fd).unwrap_or(fd);
    // SAFETY: pointer and length describe a live buffer.
    let written = unsafe { syscall!(libc::SYS_write, fd, text.as_ptr(), text.len()) };
    close(fd);
    // The kernel takes all of it or nothing.
    written.map(drop)
}

/// Sets the host name of the UTS namespace that the calling process is in.
pub fn set_host_name(name: &[u8]) -> Result<()> {
    // SAFETY: pointer and length describe a live buffer.
    unsafe { syscall!(libc::SYS_sethostname, name.as_ptr(), name.len()) }.map(drop)
}

/// Gives the calling process namespaces of its own, CLONE_NEW*.
pub fn unshare(flags: c_int) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_unshare, flags) }.map(drop)
}

/// Enters the namespaces of the process behind `pidfd`, CLONE_NEW*. Linux 5.8.
pub fn join(pidfd: &Descriptor, flags: c_int) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_setns, pidfd.number(), flags) }.map(drop)
}

/// Brings up the loopback interface of the network namespace that the calling process is in.
pub fn bring_up_loopback() -> Result<()> {
    /// `struct ifreq`, of which flags are the first member after the name.
    #[repr(C)]
    struct Request {
        name: [u8; libc::IF_NAMESIZE],
        flags: libc::c_short,
        rest: [u8; 22],
    }
    const UP: libc::c_short = 1; // IFF_UP
    const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>() && libc::IFF_UP == 1);
    let mut request = Request {
        name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        flags: UP,
        rest: [0; 22],
    };
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    let socket = super::fd::number(unsafe { syscall!(libc::SYS_socket, libc::AF_INET, kind, 0_i32) })?;
    let socket = super::fd::raise(socket).unwrap_or(socket);
    // SAFETY: `request` is as large as the kernel's structure.
    let set = unsafe { syscall!(libc::SYS_ioctl, socket, SET_FLAGS, &raw mut request) };
    close(socket);
    set.map(drop)
}

/// SIOCSIFFLAGS, the same on every architecture served here.
const SET_FLAGS: u32 = 0x8914;

fn close(fd: i32) {
    // SAFETY: takes no pointers; the caller owns the descriptor.
    let _ = unsafe { syscall!(libc::SYS_close, fd) };
}

/// Why a namespace cannot be had, with the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// clone(2) fails.
    Clone(i32),
    /// The namespace is made, but its map cannot be written.
    Map(i32),
    /// The program that is to be the init of a PID namespace cannot be made.
    Image(i32),
    /// A /proc cannot be mounted there.
    Proc(i32),
}

struct Trial<'a> {
    map: IdentityMap<'a>,
    /// Mount a /proc.
    mounts: bool,
    errno: AtomicI32,
    mount_errno: AtomicI32,
}

impl Refusal {
    /// The errno.
    pub fn errno(self) -> i32 {
        match self {
            Self::Clone(errno) | Self::Map(errno) | Self::Image(errno) | Self::Proc(errno) => errno,
        }
    }
}

/// Tries whether the calling thread can start processes with the CLONE_NEW* `flags`, CLONE_NEWUSER among them, by starting one that
/// writes its `map` and ends.
pub fn try_out(flags: c_int, map: IdentityMap<'_>) -> core::result::Result<(), Refusal> {
    const STACK: usize = 16 << 10;
    #[repr(C, align(16))]
    struct Stack(UnsafeCell<MaybeUninit<[u8; STACK]>>);
    let stack = Stack(UnsafeCell::new(MaybeUninit::uninit()));
    let trial = Trial {
        map,
        mounts: flags & libc::CLONE_NEWNS != 0,
        errno: AtomicI32::new(0),
        mount_errno: AtomicI32::new(0),
    };
    // No handler of the host shall run in a process that shares its memory.
    let former = set_mask(Mask::ALL).map_err(|errno| Refusal::Clone(errno.0))?;
    // No signal when it ends: the host is not to notice it, neither by a handler nor by waitpid(-1).
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK;
    let top = stack.0.get().wrapping_add(1).cast::<c_void>();
    let argument = (&raw const trial).cast::<c_void>().cast_mut();
    // SAFETY: this thread stands still until the other process has ended, so that its stack and argument stay valid. That makes
    // raw system calls only, and never returns.
    let started = check(unsafe { libc::clone(attempt, top, flags, argument) });
    if let Ok(pid) = started {
        await_end(pid);
    }
    let restored = set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    let errno_of = |outcome: &AtomicI32| outcome.load(Ordering::Relaxed);
    match (started, errno_of(&trial.errno), errno_of(&trial.mount_errno)) {
        (Err(Errno(errno)), ..) => Err(Refusal::Clone(errno)),
        (Ok(_), 0, 0) => Ok(()),
        (Ok(_), 0, errno) => Err(Refusal::Proc(errno)),
        (Ok(_), errno, _) => Err(Refusal::Map(errno)),
    }
}

extern "C" fn attempt(trial: *mut c_void) -> c_int {
    // SAFETY: it is the Trial that try_out() passes, which waits for this process to end.
    let trial: &Trial<'_> = unsafe { &*trial.cast_const().cast() };
    if let Err(Errno(errno)) = map_identity(trial.map) {
        trial.errno.store(errno, Ordering::Relaxed);
    } else if trial.mounts
        && let Err(Errno(errno)) = super::mount::seclude().and_then(|()| super::mount::new_proc().map(drop))
    {
        trial.mount_errno.store(errno, Ordering::Relaxed);
    }
    super::process::exit(0)
}

/// Waits for the end of a child that ends without a signal.
pub(super) fn await_end(pid: i32) {
    loop {
        // SAFETY: null pointers are allowed.
        let waited = unsafe { syscall!(libc::SYS_wait4, pid, 0_usize, libc::__WALL, 0_usize) };
        if waited != Err(Errno(libc::EINTR)) {
            return;
        }
    }
}
