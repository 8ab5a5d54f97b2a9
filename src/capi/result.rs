//! What became of a run.

use std::ffi::c_int;
use std::sync::Arc;

use crate::process::{Captured, Outcome};

use super::boundary::{free, required, status, value};
use super::constants::{SANDLOCK_REASON_LOST, SANDLOCK_USAGE_PEAK_RSS_IS_BOUND, sandlock_status};
use super::error::sandlock_error;
use super::structs::{Extensible, init, write};

/// What became of a run. Made by sandlock_run() and sandlock_process_wait(), owned by their caller, never changed. Any thread,
/// concurrently. Free it with sandlock_result_free().
pub struct sandlock_result {
    outcome: Arc<Outcome>,
    stdout: Terminated,
    stderr: Terminated,
}

/// Captured bytes with the NUL that C expects behind them.
struct Terminated(Vec<u8>);

impl Terminated {
    fn new(captured: &Captured) -> Self {
        let mut bytes = Vec::with_capacity(captured.bytes.len() + 1);
        bytes.extend_from_slice(&captured.bytes);
        bytes.push(0);
        Self(bytes)
    }
}

impl sandlock_result {
    pub(super) fn new(outcome: Arc<Outcome>) -> Self {
        Self {
            stdout: Terminated::new(&outcome.stdout),
            stderr: Terminated::new(&outcome.stderr),
            outcome,
        }
    }
}

/// What a run used. Start from SANDLOCK_USAGE_INIT or sandlock_usage_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_usage {
    /// sizeof(sandlock_usage), set by the caller.
    pub size: usize,
    /// SANDLOCK_USAGE_*.
    pub flags: u64,
    /// From the start of the program to its end, microseconds.
    pub wall_us: u64,
    /// Processor time in user mode of the program and the descendants it waited for, microseconds.
    pub user_us: u64,
    /// Likewise in the kernel.
    pub system_us: u64,
    /// Largest resident set of any one of them, bytes. See SANDLOCK_USAGE_PEAK_RSS_IS_BOUND.
    pub peak_rss: u64,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_usage {
    const NAME: &'static str = "sandlock_usage";
    const FIRST_SIZE: usize = 48;
}

const EMPTY: sandlock_usage = sandlock_usage {
    size: size_of::<sandlock_usage>(),
    flags: 0,
    wall_us: 0,
    user_us: 0,
    system_us: 0,
    peak_rss: 0,
};

fn on<T: Copy>(result: *const sandlock_result, fallback: T, read: impl FnOnce(&sandlock_result) -> T) -> T {
    value(fallback, || required(result, "result").map_or(fallback, read))
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: result
/// -------------------------------------------------------------------------------------------------------------------
///
/// Why the sandbox ended: SANDLOCK_REASON_*. SANDLOCK_REASON_LOST if `result` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_reason(result: *const sandlock_result) -> u32 {
    on(result, SANDLOCK_REASON_LOST, |result| result.outcome.reason.number())
}

/// Which limit of the sandbox as a whole was exceeded: SANDLOCK_LIMIT_MEMORY, _CPU_TOTAL, _CPU_SHARE, _WALL or _DISK; 0 if none was, or if
/// `result` is NULL. The last one if there were several. With SANDLOCK_FLAG_MEMORY_KILLS_LARGEST the reason need not be LIMIT: the program may
/// have gone on without the process that was killed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_limit(result: *const sandlock_result) -> u32 {
    on(result, 0, |result| result.outcome.limit.map_or(0, |hit| hit.limit))
}

/// The value of the limit that sandlock_result_limit() names, as the policy has it; 0 if there is none. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_limit_value(result: *const sandlock_result) -> u64 {
    on(result, 0, |result| result.outcome.limit.map_or(0, |hit| hit.value))
}

/// What the library read when it found that limit exceeded, in the limit's unit; 0 if there is none. Where a control group holds
/// SANDLOCK_LIMIT_MEMORY nobody gets more than its value: then it is the most that the sandbox has held. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_limit_reading(result: *const sandlock_result) -> u64 {
    on(result, 0, |result| result.outcome.limit.map_or(0, |hit| hit.reading))
}

/// The exit code, 0 to 255, if the program exited by itself (reason EXITED; LIMIT for too much output, or too much written; LIMIT or TIMEOUT after a warning,
/// see sandlock_policy_set_grace()); else -1. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_exit_code(result: *const sandlock_result) -> i32 {
    on(result, -1, |result| result.outcome.exit_code.unwrap_or(-1))
}

/// The signal that ended the program, the library's own SIGKILL included; 0 if none did. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_signal(result: *const sandlock_result) -> i32 {
    on(result, 0, |result| result.outcome.signal.unwrap_or(0))
}

fn bytes(
    result: *const sandlock_result,
    length_out: *mut usize,
    which: fn(&sandlock_result) -> &Terminated,
) -> *const u8 {
    let (start, length) = on(result, (c"".as_ptr().cast(), 0), |result| {
        let bytes = &which(result).0;
        (bytes.as_ptr(), bytes.len() - 1)
    });
    // SAFETY: NULL or writable as the header asks.
    if let Some(out) = unsafe { length_out.as_mut() } {
        *out = length;
    }
    start
}

/// Captured standard output. The bytes belong to `result`; they are followed by a NUL that `*length_out` does not count, and
/// may contain others. Never NULL; empty if nothing was captured or `result` is NULL. `length_out` may be NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_stdout(result: *const sandlock_result, length_out: *mut usize) -> *const u8 {
    bytes(result, length_out, |result| &result.stdout)
}

/// Captured standard error; otherwise as sandlock_result_stdout().
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_stderr(result: *const sandlock_result, length_out: *mut usize) -> *const u8 {
    bytes(result, length_out, |result| &result.stderr)
}

/// How many bytes of a captured stream, 1 (output) or 2 (error), came beyond its cap and were dropped; 0 for any other
/// number, or if `result` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_truncated(result: *const sandlock_result, which: c_int) -> u64 {
    on(result, 0, |result| match which {
        1 => result.outcome.stdout.truncated,
        2 => result.outcome.stderr.truncated,
        _ => 0,
    })
}

/// Sets `usage` to SANDLOCK_USAGE_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_usage_init(usage: *mut sandlock_usage) {
    value((), || init(usage, EMPTY));
}

/// What the run used. Processor times and memory are 0 if somebody else in the host reaped the program.
///
/// INVALID_ARGUMENT: NULL, a size that is not set. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_result_usage(
    result: *const sandlock_result,
    out: *mut sandlock_usage,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let usage = &required(result, "result")?.outcome.usage;
        write(
            out,
            &sandlock_usage {
                flags: if usage.peak_rss_is_bound {
                    SANDLOCK_USAGE_PEAK_RSS_IS_BOUND
                } else {
                    0
                },
                wall_us: usage.wall_us,
                user_us: usage.user_us,
                system_us: usage.system_us,
                peak_rss: usage.peak_rss,
                ..EMPTY
            },
        )
    })
}

/// Frees a result. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_result_free(result: *mut sandlock_result) {
    // SAFETY: NULL or a result that this library made and nobody freed.
    unsafe { free(result) }
}
