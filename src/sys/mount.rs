//! Mounts in a mount namespace of one's own. What the child calls, so past libc.

use core::ffi::{CStr, c_ulong};

use super::raw::syscall;
use super::{Errno, Result};

/// A struct mount_attr of mount_setattr(2).
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

const ATTR_RDONLY: u64 = 1;
const ATTR_NOSUID: u64 = 2;
const ATTR_NODEV: u64 = 4;
const ATTR_NOEXEC: u64 = 8;

/// Keeps what is mounted from now on out of the namespaces that this one was copied from, and what they mount out of this one.
pub fn seclude() -> Result<()> {
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"")
}

/// Mounts the processes of the caller's PID namespace at `target`.
pub fn mount_proc(target: &CStr) -> Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(c"proc", target, c"proc", flags, c"")
}

/// mount(2).
fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: c_ulong, options: &CStr) -> Result<()> {
    // SAFETY: the strings are NUL-terminated.
    unsafe {
        syscall!(
            libc::SYS_mount,
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr(),
        )
    }
    .map(drop)
}
