//! Dealing with a running program: talking with it, listening to it, its terminal.

use std::ffi::{c_int, c_void};
use std::os::fd::IntoRawFd;

use crate::error::{Error, ErrorKind, Stage};

use super::boundary::{into_handle, null, slice, status, timeout, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::process::{on, sandlock_process};
use super::result::sandlock_result;
use super::supervisor::{UserData, sandlock_destroy_fn};

/// A listener: is given what a captured stream, 1 (output) or 2 (error), has said: `length` bytes, borrowed until it returns; 0 bytes
/// when the stream has ended, which comes once for each. Called by one thread of the library, one call at a time, which is not
/// confined and has all signals blocked. It must not unwind, longjmp or end its thread. From it, waiting for the same program gives WOULD_DEADLOCK.
pub type sandlock_output_fn =
    Option<unsafe extern "C" fn(stream: u32, data: *const u8, length: usize, user_data: *mut c_void)>;

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: talking with a program
/// -------------------------------------------------------------------------------------------------------------------
///
/// Gives a program its input, collects its output, and waits until the sandbox has ended, for at most `timeout_ms` (negative: without
/// limit). It is for streams with SANDLOCK_STDIO_PIPE whose host's ends were not taken, and takes them: sandlock_process_take_stdio()
/// gives -1 from then on. `length` bytes of `input` are copied and written to standard input, which is closed then, at once if there
/// are none. What comes from standard output and error is read as if captured: up to capture_limit bytes each, the rest is dropped
/// and counted, or ends the sandbox (SANDLOCK_FLAG_OUTPUT_KILLS). The result holds it. On success the caller owns `*out`.
///
/// The thread that owns the sandbox writes and reads, so that all streams go on at once, and nothing blocks for a full pipe. SIGPIPE
/// is never raised in the host: a program that closes its input, or ends, without reading all of it, is no error, and the rest is dropped.
///
/// TIMEOUT: the time passed and the program runs on, and so does the conversation: input is still written and output still read. Call it
/// again, with NULL and 0 for the input, which is remembered, to wait on; the result holds all output from the start.
///
/// STATE: there is input, but standard input is no pipe, its end was taken, or an earlier call gave input; the process handle was made before
/// this process was forked. WOULD_DEADLOCK: called from a callback that the sandbox waits for. INVALID_ARGUMENT: NULL.
/// SYSTEM: a pipe cannot be made non-blocking. Any thread, several at a time.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_communicate(
    process: *mut sandlock_process,
    input: *const c_void,
    length: usize,
    timeout_ms: i32,
    out: *mut *mut sandlock_result,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let process = on(process)?;
        let input = slice(input.cast::<u8>(), length, "input")?;
        if out.is_null() {
            return Err(null("out"));
        }
        let outcome = process.communicate(input, timeout(timeout_ms))?.ok_or_else(|| {
            Error::new(
                ErrorKind::Timeout,
                Stage::Wait,
                format_args!("process {} still runs after {timeout_ms} ms", process.pid()),
            )
        })?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_result::new(outcome))) };
        Ok(())
    })
}

/// Has `listener` told of the captured output (SANDLOCK_STDIO_CAPTURE) of a program while it runs, from the start: of what
/// came before this call first, standard output and then error. Each stream comes complete and in order, also beyond its cap,
/// but for what was dropped beyond it before this call; between the two streams the order is that in which they were read. The result holds
/// the output all the same. Streams that sandlock_process_communicate() reads are not told of.
///
/// The program does not wait for the listener, unless about a megabyte waits to be told: then its output is left in the pipe until there is room,
/// and the program has to wait when that is full. Ending the sandbox never waits. sandlock_process_wait() does not wait for the listener
/// either; sandlock_process_free() does: it returns when everything was told, unless the listener itself calls it.
///
/// `destroy` may be NULL, and is called with `user_data` exactly once: after the last call of the listener, by its thread, or by the
/// calling thread if this fails.
///
/// STATE: no stream is captured; somebody listens already; the process handle was made before this process was forked.
/// INVALID_ARGUMENT: NULL. SYSTEM: the host is out of threads. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_stream(
    process: *mut sandlock_process,
    listener: sandlock_output_fn,
    user_data: *mut c_void,
    destroy: sandlock_destroy_fn,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    let data = UserData::new(user_data, destroy);
    status(error, || {
        let process = on(process)?;
        let function = listener.ok_or_else(|| null("listener"))?;
        process.listen(move |stream, bytes| {
            // SAFETY: the host gave the function for this pointer, and the bytes live until it returns.
            unsafe { function(stream, bytes.as_ptr(), bytes.len(), data.pointer()) };
        })
    })
}

/// The host's end (the master) of the terminal that SANDLOCK_STDIO_PTY gave the program: what is written to it is typed, what the program
/// prints is read from it. The caller owns it and closes it; it blocks and is close-on-exec. -1 if there is none, if it was taken
/// before, or if `process` is NULL or from before a fork.
///
/// Read it: a program that prints more than a few kilobytes waits for that. When the sandbox has ended, read(2) gives what is left and then EIO, which is
/// how a terminal says that nobody is there. The library keeps a duplicate to resize it by, so closing it does not hang up on the program; for that, use
/// sandlock_process_signal() with SIGHUP, or sandlock_process_kill(). What a program prints to a terminal may be meant to
/// do something to one: do not pass it on to a terminal of your own unless you trust it. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_take_pty(process: *mut sandlock_process) -> c_int {
    value(-1, || {
        let taken = on(process).ok().and_then(crate::process::Process::take_terminal);
        taken.map_or(-1, IntoRawFd::into_raw_fd)
    })
}

/// Gives the program's terminal another size; its foreground process group is sent SIGWINCH if that is a change.
///
/// STATE: the program has no terminal of its own (SANDLOCK_STDIO_PTY) or has ended; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL. SYSTEM: the kernel refuses. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_process_resize(
    process: *mut sandlock_process,
    rows: u16,
    columns: u16,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(process)?.resize(rows, columns))
}
