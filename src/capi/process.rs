//! Running programs.

use std::ffi::c_int;
use std::os::fd::IntoRawFd;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::process::Process;

use super::boundary::{free, into_handle, null, required, status, timeout, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::members::sandlock_members;
use super::policy::{check_owner, process_id};
use super::report::sandlock_report;
use super::result::sandlock_result;
use super::structs::write;
use super::supervisor::sandlock_stats;

/// A sandbox and the program it was made for. Made by sandlock_spawn(). Any thread, concurrently, but for
/// sandlock_process_free().
pub struct sandlock_process {
    process: Process,
    owner: i32,
}

impl sandlock_process {
    pub(super) fn new(process: Process) -> Self {
        Self {
            process,
            owner: process_id(),
        }
    }

    fn process(&self) -> Result<&Process> {
        check_owner(self.owner, "process handle")?;
        Ok(&self.process)
    }
}

pub(super) fn on(process: *const sandlock_process) -> Result<&'static Process> {
    required(process, "process")?.process()
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: process
/// -------------------------------------------------------------------------------------------------------------------
///
/// The process id of the program, as the host sees it; -1 if `process` is NULL or from before a fork. The library reaps the
/// program when it ends, after which the number may come to mean another process: to signal it, use
/// sandlock_process_signal() or the pidfd. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_pid(process: *const sandlock_process) -> i32 {
    value(-1, || on(process).map_or(-1, Process::pid))
}

/// A descriptor for the program (pidfd_open(2)): readable when it has ended. Borrowed: it belongs to `process` and must not be
/// closed. -1 if `process` is NULL or from before a fork. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_pidfd(process: *const sandlock_process) -> c_int {
    value(-1, || on(process).map_or(-1, Process::pidfd))
}

/// The host's end of a stream that was spawned with SANDLOCK_STDIO_PIPE: `which` is 0, 1 or 2. The caller owns it and closes
/// it; it blocks and is close-on-exec. -1 if there is none, if it was taken before, or if `process` is NULL or from before a
/// fork. What is not taken is closed with the process. Writing to a program that has ended raises SIGPIPE in the host, as for
/// any pipe, unless that is ignored or blocked; sandlock_process_communicate() raises none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_take_stdio(process: *mut sandlock_process, which: c_int) -> c_int {
    value(-1, || {
        let taken = on(process)
            .ok()
            .zip(usize::try_from(which).ok())
            .and_then(|(process, which)| process.take_stdio(which));
        taken.map_or(-1, IntoRawFd::into_raw_fd)
    })
}

/// Waits until the sandbox has ended, for at most `timeout_ms` (negative: without limit). On success the caller owns `*out`;
/// waiting again gives another result of the same content.
///
/// TIMEOUT: the time passed and the program runs on. INVALID_ARGUMENT: NULL. STATE: the process handle was made before this process was
/// forked. WOULD_DEADLOCK: called from a callback that the sandbox waits for. Any thread, several at a time.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_wait(
    process: *mut sandlock_process,
    timeout_ms: i32,
    out: *mut *mut sandlock_result,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let process = on(process)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let outcome = process.wait(timeout(timeout_ms))?.ok_or_else(|| {
            let after = match timeout_ms {
                0 => String::new(),
                time => format!(" after {time} ms"),
            };
            Error::new(
                ErrorKind::Timeout,
                Stage::Wait,
                format_args!("process {} still runs{after}", process.pid()),
            )
        })?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_result::new(outcome))) };
        Ok(())
    })
}

/// Kills every process of the sandbox, daemons too, and returns when the program has been reaped: nothing in the sandbox runs
/// any code of its own after. No error if it has ended already.
///
/// INVALID_ARGUMENT: NULL. STATE: the process handle was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_kill(
    process: *mut sandlock_process,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(process)?.kill())
}

/// Sends a signal to the program, not to its descendants. Cannot reach another process, even if the program has ended and its
/// number was given away. 0 only asks whether it could be sent.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL, no such
/// signal. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_signal(
    process: *mut sandlock_process,
    signal: i32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(process)?.signal(signal))
}

/// What the supervisor has done for this sandbox; all zero without one. `queued` is told for the supervisor only.
///
/// INVALID_ARGUMENT: NULL, a wrong size. STATE: the process handle was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_stats(
    process: *const sandlock_process,
    out: *mut sandlock_stats,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || write(out, &on(process)?.stats().into()))
}

/// Stops every process of the sandbox, daemons too (SIGSTOP), and returns when all have been told: each runs on until it next
/// enters or leaves the kernel, which is a moment. Deadlines and limits of processor time run on. The program cannot ignore
/// it; one that timers of its own wake (SIGCONT) is stopped again, which may take a tenth of a second the first time and 2 milliseconds
/// after that. A stopped sandbox can be killed. Below Landlock ABI 6 it reaches the program's process group, and who wakes goes on.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_pause(
    process: *mut sandlock_process,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(process)?.pause())
}

/// Lets every process of the sandbox go on (SIGCONT).
///
/// Errors are those of sandlock_process_pause(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_resume(
    process: *mut sandlock_process,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(process)?.resume())
}

/// Lists the processes of the sandbox, daemons too, but for those that have ended. The list is of a moment: read it with
/// sandlock_members_count() and sandlock_members_get(). On success the caller owns `*out`. Reads /proc in the host; below Landlock
/// ABI 6 it finds the program and its descendants, as far as their parents live.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_list(
    process: *mut sandlock_process,
    out: *mut *mut sandlock_members,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let process = on(process)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let members = sandlock_members::new(process.members()?);
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(members)) };
        Ok(())
    })
}

/// What the kernel was found to enforce on the program. The caller owns it. NULL if `process` is NULL or from before a fork.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_report(process: *const sandlock_process) -> *mut sandlock_report {
    value(std::ptr::null_mut(), || {
        on(process).map_or(std::ptr::null_mut(), |process| {
            into_handle(sandlock_report::new(Arc::clone(process.shared_report())))
        })
    })
}

/// Frees a process. A sandbox that still runs is killed and reaped first, and a listener to its output is told all of it. NULL is allowed. In a fork of the host it frees
/// memory and leaves the sandbox alone. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_process_free(process: *mut sandlock_process) {
    // SAFETY: NULL or a process that this library made and nobody freed.
    unsafe { free(process) }
}
