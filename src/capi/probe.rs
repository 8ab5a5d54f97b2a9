//! What the host's kernel offers.

use crate::probe::{Capabilities, Refusal, Refusals};
use crate::sandbox::check_asked;

use super::boundary::{status, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::structs::{Extensible, init, write};

/// What the kernel offers to the calling thread. Start from SANDLOCK_CAPABILITIES_INIT or sandlock_capabilities_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_capabilities {
    /// sizeof(sandlock_capabilities), set by the caller.
    pub size: usize,
    /// Landlock ABI; 0 if Landlock is not to be had.
    pub landlock_abi: u32,
    /// Why it is not: ENOSYS (not in this kernel), EOPNOTSUPP (not enabled at boot: add "landlock" to the kernel's lsm=
    /// parameter), or another errno. 0 if it is.
    pub landlock_errno: i32,
    /// 1 if system call filters can be installed.
    pub seccomp_filter: u32,
    /// 1 if filters can ask a listener.
    pub seccomp_notify: u32,
    /// 1 if close_range(2) can mark close-on-exec.
    pub close_range: u32,
    /// 1 if RLIMIT_NPROC binds the programs that this user starts.
    pub process_limit: u32,
    /// 1 if a call that a handler looks at is interrupted by nothing but death (Linux 5.19); otherwise by signals too.
    pub notify_wait_killable: u32,
    /// 1 if an answer wakes the caller on the processor of who answers (Linux 6.6); otherwise it takes several times as long.
    pub notify_sync_wake_up: u32,
    /// 1 if a call can be answered with a descriptor (Linux 5.9).
    pub notify_addfd: u32,
    /// 1 if it can in one step (Linux 5.14); otherwise in two.
    pub notify_addfd_send: u32,
    /// 1 if programs can be started in user namespaces.
    pub user_namespaces: u32,
    /// Why they cannot: EPERM (forbidden by AppArmor, a container, a sysctl), ENOSPC (user.max_user_namespaces), EINVAL (not in this
    /// kernel) or another errno. 0 if they can.
    pub user_namespaces_errno: i32,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_capabilities {
    const NAME: &'static str = "sandlock_capabilities";
    const FIRST_SIZE: usize = 32;
}

const EMPTY: sandlock_capabilities = sandlock_capabilities {
    size: size_of::<sandlock_capabilities>(),
    landlock_abi: 0,
    landlock_errno: 0,
    seccomp_filter: 0,
    seccomp_notify: 0,
    close_range: 0,
    process_limit: 0,
    notify_wait_killable: 0,
    notify_sync_wake_up: 0,
    notify_addfd: 0,
    notify_addfd_send: 0,
    user_namespaces: 0,
    user_namespaces_errno: 0,
};

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the kernel
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `capabilities` to SANDLOCK_CAPABILITIES_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_capabilities_init(capabilities: *mut sandlock_capabilities) {
    value((), || init(capabilities, EMPTY));
}

/// Asks the kernel what it offers; never guesses from its version. Changes nothing, but tries out user namespaces in a process that
/// ends at once, which the host does not notice. A thread that is confined itself may be
/// offered less than others.
///
/// INVALID_ARGUMENT: `out` is NULL or its size is not set. SYSTEM: the host is out of descriptors, memory or threads to ask with; another
/// time there may be some. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_probe(out: *mut sandlock_capabilities, error: *mut *mut sandlock_error) -> sandlock_status {
    status(error, || {
        let found = Capabilities::probe();
        check_asked(&found)?;
        let refused = Refusals::probe(libc::CLONE_NEWUSER).user.map_or(0, Refusal::errno);
        write(
            out,
            &sandlock_capabilities {
                landlock_abi: found.landlock_abi,
                landlock_errno: found.landlock_errno,
                seccomp_filter: found.seccomp_filter.into(),
                seccomp_notify: found.seccomp_notify.into(),
                close_range: found.close_range.into(),
                process_limit: (!found.unlimited_processes).into(),
                notify_wait_killable: found.notify_wait_killable.into(),
                notify_sync_wake_up: found.notify_sync_wake_up.into(),
                notify_addfd: found.notify_add_fd.into(),
                notify_addfd_send: found.notify_add_fd_send.into(),
                user_namespaces: (refused == 0).into(),
                user_namespaces_errno: refused,
                ..EMPTY
            },
        )
    })
}
