//! Thin system calls and kernel structures.
//!
//! Everything here needs only `core` and `libc`, and never allocates, locks or panics. What a child calls between clone and
//! exec goes past libc, by `raw`. A function is safe when no argument can break memory; the rest say what the caller owes.
//!
//! # Safety
//!
//! `unsafe` is allowed in this folder because system calls are foreign functions. Each block states why its
//! pointers are valid for the call; the kernel copies what it reads and never keeps a user pointer, unless the
//! function's own documentation says otherwise.
#![allow(unsafe_code)]
#![deny(
    clippy::disallowed_types,
    clippy::std_instead_of_core,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod cgroup;
pub mod clock;
pub mod credentials;
pub mod directory;
pub mod event;
pub mod fd;

pub mod init;
pub mod landlock;
pub mod limits;
pub mod memory;
pub mod metadata;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod notify;
pub mod process;
mod raw;
pub mod remote;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod terminal;
pub mod thread;

/// An errno value as the kernel returned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// Result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

impl Errno {
    /// The calling thread's errno.
    pub(crate) fn last() -> Self {
        // SAFETY: takes no arguments and cannot fail.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: it points to this thread's errno, always.
        Self(unsafe { *errno })
    }
}

/// Converts the `-1 and errno` convention for a call that returns `int`.
fn check(returned: libc::c_int) -> Result<i32> {
    if returned < 0 { Err(Errno::last()) } else { Ok(returned) }
}

/// Converts the `-1 and errno` convention for a raw system call.
fn check_long(returned: libc::c_long) -> Result<libc::c_long> {
    if returned < 0 { Err(Errno::last()) } else { Ok(returned) }
}
