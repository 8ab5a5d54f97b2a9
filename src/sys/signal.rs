//! Signal masks and dispositions, by raw calls where libc would leave out its internal signals.

use super::process::Child;
use super::raw::syscall;
use super::{Errno, Result, check, check_long};

/// Bytes in the kernel's signal set: 64 signals on every architecture served here.
const SET_BYTES: usize = 8;
/// Highest signal number.
const LAST: i32 = 64;

/// A kernel signal set.
#[derive(Clone, Copy, Debug)]
pub struct Mask(u64);

impl Mask {
    /// No signal.
    pub const EMPTY: Self = Self(0);
    /// Every signal, those internal to libc too.
    pub const ALL: Self = Self(u64::MAX);
    /// Every signal but 32 to 34, which libc delivers to its threads: pthread_cancel and set*id() hang on a thread that
    /// never takes them.
    pub const ALL_BUT_LIBC: Self = Self(!(0b111 << 31));
}

/// Replaces the calling thread's mask and returns the former one.
pub fn set_mask(mask: Mask) -> Result<Mask> {
    let mut former = Mask::EMPTY;
    // SAFETY: both pointers are to live 8-byte sets, the size passed.
    unsafe {
        syscall!(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask.0,
            &raw mut former.0,
            SET_BYTES,
        )
    }?;
    Ok(former)
}

/// Gives every signal its default disposition. Only for a process that does not share its table with the host.
pub fn reset_dispositions() {
    #[repr(C)]
    struct KernelAction {
        handler: usize,
        flags: libc::c_ulong,
        restorer: usize,
        mask: u64,
    }
    let default = KernelAction {
        handler: libc::SIG_DFL,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    for signal in 1..=LAST {
        // KILL and STOP answer EINVAL and have no disposition to reset, so errors carry no news.
        // SAFETY: `default` is at least as large as the kernel's sigaction on every architecture served here.
        let _ = unsafe {
            syscall!(
                libc::SYS_rt_sigaction,
                signal,
                &raw const default,
                core::ptr::null_mut::<KernelAction>(),
                SET_BYTES,
            )
        };
    }
}

/// Sends `signal` to `child`, which cannot be mistaken for another process. Linux 5.1.
pub fn send_to(child: Child, signal: i32) -> Result<()> {
    // SAFETY: a null siginfo makes the kernel fill in a plain one.
    let sent = check_long(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            child.pidfd,
            signal,
            core::ptr::null_mut::<libc::siginfo_t>(),
            0,
        )
    });
    match sent {
        // Under a tool that does not know the call; the kernels served here all do.
        Err(Errno(libc::ENOSYS)) => kill(child.pid, signal),
        sent => sent.map(drop),
    }
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Sends `signal` to one thread, which the caller knows to be there.
pub fn send_to_thread(thread: i32, signal: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    check_long(unsafe { libc::syscall(libc::SYS_tkill, thread, signal) }).map(drop)
}
