//! Executing the program, as execvp(3) would.

use core::ffi::CStr;

use crate::plan::Exec;
use crate::sys::{self, Errno};

/// Tries each candidate; returns only if none could be executed, with the errno that says most.
pub(super) fn execute(exec: &Exec<'_>) -> Errno {
    let mut refused = None;
    let mut last = Errno(libc::ENOENT);
    for &path in exec.candidates {
        match try_one(exec, path) {
            // Not here: look further.
            missing @ Errno(libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT) => {
                last = missing
            }
            // Here, but not for us. Look further, and say this rather than "not found" in the end.
            denied @ Errno(libc::EACCES) => refused = Some(denied),
            other => return other,
        }
    }
    refused.unwrap_or(last)
}

#[allow(unsafe_code)]
fn try_one(exec: &Exec<'_>, path: &CStr) -> Errno {
    // SAFETY: spawn built both arrays null-terminated, and they outlive the child's use of this memory.
    let errno = unsafe { sys::process::execute(path, exec.argv, exec.envp) };
    if errno != Errno(libc::ENOEXEC) {
        return errno;
    }
    // SAFETY: the array has at least four entries: the shell, this slot, possibly arguments, null.
    let slot = unsafe { exec.shell_argv.add(1) };
    // SAFETY: the slot is the child's to write; nobody else looks at it before exec.
    unsafe { slot.write(path.as_ptr()) };
    // SAFETY: as above.
    unsafe { sys::process::execute(c"/bin/sh", exec.shell_argv.cast_const(), exec.envp) }
}
