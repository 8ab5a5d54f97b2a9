//! Starting, waiting for and looking at processes.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU32;

use super::event::{self, Wait};
use super::fd::Descriptor;
use super::raw::syscall;
use super::{Errno, Result, check, check_long};

/// A child as its parent sees it.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    /// Process id.
    pub pid: i32,
    /// Descriptor of the process, close-on-exec, owned by the caller.
    pub pidfd: i32,
}

/// Code that a new process starts with.
pub type Entry = extern "C" fn(*mut c_void) -> c_int;

/// What a new process has for itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Apart {
    /// It uses the caller's descriptor table until it unshares it.
    pub share_descriptors: bool,
    /// CLONE_NEW* of the namespaces that it starts in.
    pub namespaces: c_int,
    /// The control group that it starts in, an open directory.
    pub group: Option<c_int>,
}

impl Apart {
    /// As clone(2) takes it, but for the group.
    pub(super) fn flags(self) -> c_int {
        let share = if self.share_descriptors { libc::CLONE_FILES } else { 0 };
        self.namespaces | share
    }
}

/// Starts `entry(argument)` in a process that shares the caller's memory, on a stack of its own, and returns at once (clone(2)
/// with CLONE_VM). When that process executes a program or ends, the kernel clears `present` and wakes who waits for it
/// (CLONE_CHILD_CLEARTID). Linux 5.2 for the pidfd.
///
/// # Safety
///
/// `entry` must never return or unwind, and must be sound in a process that shares this one's memory and the calling thread's
/// thread-local storage: no allocation, no locks, no libc function that sets errno. `argument` must be valid for it, and it,
/// `present` and the stack must stay so until `present` is cleared. `stack_top` is 16-byte aligned and has enough unused memory
/// below it. All signals are blocked by the caller, so that no handler of the host runs in the child.
pub unsafe fn start_sharing_memory(
    entry: Entry,
    stack_top: *mut c_void,
    argument: *mut c_void,
    present: &AtomicU32,
    apart: Apart,
) -> Result<Child> {
    if let Some(group) = apart.group {
        // SAFETY: as the caller promises.
        return unsafe { super::cgroup::start_sharing_memory(entry, stack_top, argument, present, (apart, group)) };
    }
    let mut pidfd = -1;
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD | apart.flags();
    let no_tls = core::ptr::null_mut::<c_void>();
    // SAFETY: the child uses entry, stack, argument and `present`, which the caller vouches for, until it has left this memory.
    let pid = unsafe {
        libc::clone(
            entry,
            stack_top,
            flags,
            argument,
            &raw mut pidfd,
            no_tls,
            present.as_ptr(),
        )
    };
    let pid = check(pid)?;
    Ok(Child {
        pid,
        pidfd: high_or_as_is(pidfd),
    })
}

/// Starts `entry(argument)` on the stack below `stack_top`, in a process that shares the caller's memory; past libc, for a child that
/// shares the host's. `share_descriptors`: its descriptor table too. Whatever namespaces the caller is in, it is in.
///
/// # Safety
///
/// As for [`start_sharing_memory`].
pub unsafe fn start_beside(
    entry: Entry,
    stack_top: *mut c_void,
    argument: *mut c_void,
    present: &AtomicU32,
    share_descriptors: bool,
) -> Result<Child> {
    let mut flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD;
    if share_descriptors {
        flags |= libc::CLONE_FILES;
    }
    let flags = usize::try_from(flags).map_err(|_| Errno(libc::EINVAL))?;
    let mut pidfd = -1;
    let (stack, pidfd_at, present) = (stack_top.addr(), (&raw mut pidfd).addr(), present.as_ptr().addr());
    // Where the child is to be noted, and thread-local storage, of which it gets none, are in the order of the architecture.
    let arguments = if cfg!(target_arch = "x86_64") {
        [flags, stack, pidfd_at, present, 0]
    } else {
        [flags, stack, pidfd_at, 0, present]
    };
    // SAFETY: as the caller promises; `pidfd` outlives the call.
    let pid = unsafe { super::raw::start_process(libc::SYS_clone, arguments, entry, argument) }?;
    // On failure, in a full table, it stays where it is.
    let pidfd = super::fd::raise(pidfd).unwrap_or(pidfd);
    Ok(Child { pid, pidfd })
}

/// Starts `entry(argument)` in a copy of the calling process (fork without the host's atfork handlers), and returns when
/// that has executed a program or ended.
///
/// # Safety
///
/// As for [`start_sharing_memory`], but for memory: the child has a copy, and only shared mappings carry back what it
/// writes.
pub unsafe fn start_copying_memory(entry: Entry, argument: *mut c_void, apart: Apart) -> Result<Child> {
    if let Some(group) = apart.group {
        // SAFETY: as the caller promises.
        return unsafe { super::cgroup::start_copying_memory(entry, argument, (apart, group)) };
    }
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD | apart.flags();
    // SAFETY: as the caller promises.
    let pid = unsafe { clone_here(flags, &raw mut pidfd, entry, argument) }?;
    Ok(Child {
        pid,
        pidfd: high_or_as_is(pidfd),
    })
}

/// Starts `entry(argument)` in a copy of the calling process, returns at once, and gives no pidfd: what tools that rewrite
/// system calls can follow.
///
/// # Safety
///
/// As for [`start_sharing_memory`], but for memory: the child has a copy, and only shared mappings carry back what it
/// writes.
pub unsafe fn start_plain_fork(entry: Entry, argument: *mut c_void) -> Result<i32> {
    // SAFETY: as the caller promises.
    unsafe { clone_here(libc::SIGCHLD, core::ptr::null_mut(), entry, argument) }
}

/// clone(2) into a copy of the caller's memory, on a copy of its stack.
///
/// # Safety
///
/// As for [`start_plain_fork`]; `pidfd` is null unless `flags` ask for one.
unsafe fn clone_here(flags: c_int, pidfd: *mut c_int, entry: Entry, argument: *mut c_void) -> Result<i32> {
    const NONE: usize = 0;
    // SAFETY: without CLONE_VM and with a null stack the child continues here on a copy of this stack.
    let pid = check_long(unsafe { libc::syscall(libc::SYS_clone, flags, NONE, pidfd, NONE, NONE) })?;
    if pid == 0 {
        let status = entry(argument);
        exit(status);
    }
    i32::try_from(pid).map_err(|_| Errno(libc::EOVERFLOW))
}

/// Moves the descriptor of a process away from the numbers of the standard streams. If the table is full it stays where it
/// is: a process that runs must not become one that nobody can wait for.
pub(super) fn high_or_as_is(pidfd: i32) -> i32 {
    if pidfd > 2 {
        return pidfd;
    }
    let Ok(moved) = super::fd::duplicate_above(pidfd, 3) else {
        return pidfd;
    };
    super::fd::close(pidfd);
    moved
}

/// A descriptor for the child `pid`, which is not reaped yet. Linux 5.3.
pub fn open_pidfd(pid: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    i32::try_from(fd).map(high_or_as_is).map_err(|_| Errno(libc::EOVERFLOW))
}

/// A pidfd of the calling thread (Linux 6.9), else of its process.
pub fn open_pidfd_of_thread() -> Result<i32> {
    // SAFETY: takes no pointers.
    let own = unsafe { libc::gettid() };
    open_thread_pidfd(own).or_else(|_| open_pidfd(id()))
}

/// A descriptor for `thread`, whether or not it leads its process. Linux 6.9; EINVAL before.
pub fn open_thread_pidfd(thread: i32) -> Result<i32> {
    const THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint; // PIDFD_THREAD
    // SAFETY: takes no pointers.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_pidfd_open, thread, THREAD) })?;
    i32::try_from(fd).map(high_or_as_is).map_err(|_| Errno(libc::EOVERFLOW))
}

/// Duplicates the descriptor `number` of the process or thread behind `pidfd`, close-on-exec. Linux 5.6. EBADF: it has no such
/// descriptor. EPERM: the kernel lets the caller not trace it.
pub fn duplicate_from(pidfd: i32, number: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    let fd = check_long(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0_u32) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno(libc::EOVERFLOW))?;
    super::fd::above_stdio(fd)
}

/// The same past libc, for a child.
pub fn open_pidfd_raw(pid: i32) -> Result<Descriptor> {
    // SAFETY: takes no pointers.
    Descriptor::of(unsafe { syscall!(libc::SYS_pidfd_open, pid, 0_i32) })
}

/// Calls `visit` with every variable of the host's environment, as "NAME=VALUE". Like every reader of `environ` in C, it
/// relies on no other thread changing the environment meanwhile; the manual says so.
pub fn visit_environment(mut visit: impl FnMut(&CStr)) {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: reading a global that libc defines.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: the array ends with null, which was not reached yet.
        let entry = unsafe { *next };
        if entry.is_null() {
            return;
        }
        // SAFETY: entries are NUL-terminated strings.
        visit(unsafe { CStr::from_ptr(entry) });
        next = next.wrapping_add(1);
    }
}

/// Ends the calling process at once.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process without running any of the host's exit handlers.
    let _ = unsafe { syscall!(libc::SYS_exit_group, status) };
    // A filter forbids it.
    // SAFETY: ends the thread, which is the only one.
    let _ = unsafe { syscall!(libc::SYS_exit, status) };
    super::raw::crash()
}

/// Replaces the program; returns only on failure.
///
/// # Safety
///
/// `argv` and `envp` point to null-terminated arrays of NUL-terminated strings.
pub unsafe fn execute(path: &CStr, argv: *const *const c_char, envp: *const *const c_char) -> Errno {
    // SAFETY: as the caller promises.
    match unsafe { syscall!(libc::SYS_execve, path.as_ptr(), argv, envp) } {
        Err(errno) => errno,
        // A handler has answered it in the kernel's place: no program runs, and no shell shall try.
        Ok(_) => Errno(libc::EIO),
    }
}

/// Likewise the program in the open file `image`, with an empty environment.
///
/// # Safety
///
/// `argv` points to a null-terminated array of NUL-terminated strings.
pub unsafe fn execute_file(image: i32, argv: *const *const c_char) -> Errno {
    let nothing: [*const c_char; 1] = [core::ptr::null()];
    // SAFETY: as the caller promises; the empty array is null-terminated and outlives the call.
    let executed = unsafe {
        syscall!(
            libc::SYS_execveat,
            image,
            c"".as_ptr(),
            argv,
            nothing.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    executed.err().unwrap_or(Errno(libc::EIO))
}

/// Process id of the caller, from the kernel (never cached).
pub fn id() -> i32 {
    // SAFETY: takes no arguments and cannot fail.
    own_number(unsafe { syscall!(libc::SYS_getpid) })
}

/// Process id of the caller's parent.
pub fn parent_id() -> i32 {
    // SAFETY: takes no arguments and cannot fail.
    own_number(unsafe { syscall!(libc::SYS_getppid) })
}

/// A process id from a call that cannot fail.
fn own_number(returned: Result<usize>) -> i32 {
    super::fd::number(returned).unwrap_or(-1)
}

/// Process group of the caller.
pub fn group() -> i32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getpgrp() }
}

/// Starts a session, of which the caller is leader, without a controlling terminal.
pub fn new_session() -> Result<()> {
    // SAFETY: takes no arguments.
    unsafe { syscall!(libc::SYS_setsid) }.map(drop)
}

/// Starts a process group, of which the caller is leader, in the same session.
pub fn new_group() -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_setpgid, 0_i32, 0_i32) }.map(drop)
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl Ending {
    /// What a wait status says of a process that has ended.
    pub fn of_status(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exited(libc::WEXITSTATUS(status))
        } else {
            Self::Signaled(libc::WTERMSIG(status))
        }
    }
}

/// What the kernel counted for a process and the descendants it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processor time in user mode, microseconds.
    pub user_us: u64,
    /// Processor time in the kernel, microseconds.
    pub system_us: u64,
    /// Largest resident set, bytes. Counts the memory shared with the parent before exec.
    pub peak_rss: u64,
}

/// Takes the status of `child`, if it has ended. ECHILD: somebody else took it. Linux 5.4.
pub fn reap(child: Child) -> Result<Option<(Ending, Resources)>> {
    match wait(libc::P_PIDFD, child.pidfd, libc::WEXITED | libc::WNOHANG) {
        // Not a pidfd but what stands in for one under a tool that has none.
        Err(Errno(libc::EBADF | libc::EINVAL)) => wait(libc::P_PID, child.pid, libc::WEXITED | libc::WNOHANG),
        reaped => reaped,
    }
}

/// True if `child` has ended and nobody has reaped it: its process id is still its own.
pub fn has_ended(child: Child) -> Result<bool> {
    wait(libc::P_PID, child.pid, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).map(|ending| ending.is_some())
}

/// Waits until the child `pid` has ended, and leaves its status for [`reap`].
pub fn await_end(pid: i32) -> Result<()> {
    wait(libc::P_PID, pid, libc::WEXITED | libc::WNOWAIT).map(drop)
}

fn wait(kind: libc::idtype_t, which: i32, options: i32) -> Result<Option<(Ending, Resources)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both structures have room for what the kernel writes.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_waitid,
            kind,
            which,
            info.as_mut_ptr(),
            options,
            usage.as_mut_ptr(),
        )
    })?;
    // SAFETY: all-zero is valid for both, and the kernel filled in what there was.
    let info = unsafe { info.assume_init() };
    // SAFETY: as above.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: the union member is the one for SIGCHLD, and zero when there was no child to report.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let ending = if info.si_code == libc::CLD_EXITED {
        Ending::Exited(status)
    } else {
        Ending::Signaled(status)
    };
    Ok(Some((ending, resources(&usage))))
}

/// How the address spaces of two processes are ordered, in an order of the kernel's own; equal if they are the same one (kcmp(2)).
pub fn compare_memory(one: i32, other: i32) -> Result<core::cmp::Ordering> {
    const KCMP_VM: i32 = 1;
    compare(one, other, KCMP_VM)
}

/// Likewise the descriptor tables of two threads.
pub fn compare_tables(one: i32, other: i32) -> Result<core::cmp::Ordering> {
    const KCMP_FILES: i32 = 2;
    compare(one, other, KCMP_FILES)
}

fn compare(one: i32, other: i32, what: i32) -> Result<core::cmp::Ordering> {
    // SAFETY: takes no pointers.
    let order = check_long(unsafe { libc::syscall(libc::SYS_kcmp, one, other, what, 0_usize, 0_usize) })?;
    match order {
        0 => Ok(core::cmp::Ordering::Equal),
        1 => Ok(core::cmp::Ordering::Less),
        2 => Ok(core::cmp::Ordering::Greater),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// Largest resident set of the calling process so far, bytes.
pub fn own_peak_rss() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` has room for the structure.
    let returned = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if returned != 0 {
        return 0;
    }
    // SAFETY: all-zero is valid, and the kernel filled it in.
    resources(&unsafe { usage.assume_init() }).peak_rss
}

pub(super) fn resources(usage: &libc::rusage) -> Resources {
    let microseconds = |time: &libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let rest = u64::try_from(time.tv_usec).unwrap_or(0);
        seconds.saturating_mul(1_000_000).saturating_add(rest)
    };
    Resources {
        user_us: microseconds(&usage.ru_utime),
        system_us: microseconds(&usage.ru_stime),
        peak_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    }
}

/// `struct pidfd_info` up to its exit code, 64 bytes: the first published size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

fn info(pidfd: i32, mask: u64) -> Result<Info> {
    const GET_INFO: libc::c_ulong = 0xc040_ff0b; // _IOWR(0xFF, 11, struct pidfd_info), 64 bytes
    let mut info = Info {
        mask,
        ..Info::default()
    };
    // SAFETY: `info` is as large as the size encoded in the request.
    check(unsafe { libc::ioctl(pidfd, GET_INFO, &raw mut info) })?;
    Ok(info)
}

/// True if the kernel tells about `pidfd` (PIDFD_GET_INFO, Linux 6.13).
pub fn has_info(pidfd: i32) -> bool {
    info(pidfd, 1).is_ok()
}

/// The process id behind `pidfd`, as the caller's PID namespace numbers it (Linux 6.13).
pub fn id_of(pidfd: i32) -> Result<i32> {
    let [pid, ..] = info(pidfd, 1)?.ids;
    i32::try_from(pid).map_err(|_| Errno(libc::EOVERFLOW))
}

/// Waits until the kernel has let go of a process that somebody is reaping, at most `timeout_ms` (Linux 6.9): whoever reaps takes
/// the process first and releases it a moment later, and between the two there is neither a child to wait for nor a status to ask for.
pub fn await_release(pidfd: i32, timeout_ms: i32) -> Result<()> {
    event::poll(&mut [Wait::hang_up(pidfd)], timeout_ms)
}

/// True if the process or thread behind `pidfd` has ended. Past libc, for a child.
pub fn is_over(pidfd: i32) -> bool {
    let mut wait = libc::pollfd {
        fd: pidfd,
        events: libc::POLLIN,
        revents: 0,
    };
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let no_mask = core::ptr::null::<c_void>();
    // SAFETY: the entry is live and writable, and there is one of it.
    let polled = unsafe {
        syscall!(
            libc::SYS_ppoll,
            &raw mut wait,
            1_usize,
            &raw const now,
            no_mask,
            0_usize
        )
    };
    polled.is_ok() && wait.revents & libc::POLLIN != 0
}

/// The status of an ended process that somebody else reaped (PIDFD_GET_INFO, Linux 6.15). ENODATA: it is not released yet.
pub fn ending_after_reap(pidfd: i32) -> Result<Ending> {
    const EXIT: u64 = 1 << 3;
    let info = info(pidfd, EXIT)?;
    if info.mask & EXIT == 0 {
        return Err(Errno(libc::ENODATA));
    }
    Ok(Ending::of_status(info.exit_code))
}
