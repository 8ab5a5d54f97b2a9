//! A system call inside a handler.

use std::ffi::{c_char, c_int, c_void};

use crate::error::{Error, Result};
use crate::supervisor::{Answerable, Notification};

use super::boundary::{fd_place, into_handle, null, required, slice, slice_mut, status, syscall_name, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::pending::sandlock_pending;

/// A system call that a handler looks at. It lives until the handler returns, and belongs to the thread that was handed it.
pub struct sandlock_notification {
    call: *mut Notification,
}

impl sandlock_notification {
    pub(super) fn new(call: &mut Notification) -> Self {
        Self { call }
    }
}

fn on(call: *const sandlock_notification) -> Result<&'static Notification> {
    let call = required(call, "call")?;
    // SAFETY: it lives for as long as the handler that was handed it runs, as the header says.
    Ok(unsafe { &*call.call })
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: a call, inside a handler
/// -------------------------------------------------------------------------------------------------------------------
///
/// The number of the system call; -1 if `call` is NULL or was put off. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_syscall(call: *const sandlock_notification) -> i32 {
    value(-1, || on(call).map_or(-1, |call| call.number()))
}

/// Its name, on the architecture of this host; "unknown" for a number without one, and if `call` is NULL. A static string.
/// The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_syscall_name(call: *const sandlock_notification) -> *const c_char {
    value(c"unknown".as_ptr(), || {
        on(call).map_or(c"unknown".as_ptr(), |call| syscall_name(call.number()).as_ptr())
    })
}

/// Argument `index`, 0 to 5, as it was in the register: an int has rubbish in its upper half. 0 for another index and if
/// `call` is NULL. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_arg(call: *const sandlock_notification, index: u32) -> u64 {
    value(0, || on(call).map_or(0, |call| call.argument(index as usize)))
}

/// The thread that calls, by its id in the host's PID namespace (for the main thread that is the process id). It is the caller's
/// for as long as the call waits. 0 if it has none there, and if `call` is NULL. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_pid(call: *const sandlock_notification) -> i32 {
    value(0, || on(call).map_or(0, |call| call.thread()))
}

/// Reads up to `length` bytes at `address` of the caller's memory into `buffer`, as far as it can be read, and stores how many
/// in `*length_out`. Let the program never choose how
/// much is allocated: cap `length` first.
///
/// INVALID_ARGUMENT: NULL, nothing can be read there. STALE: the caller is gone; what is in `buffer` means nothing. PERMISSION:
/// the kernel does not let the host look (the program has changed its identity, or ptrace is restricted). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_read(
    call: *mut sandlock_notification,
    address: u64,
    buffer: *mut c_void,
    length: usize,
    length_out: *mut usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(call)?;
        let buffer = slice_mut(buffer.cast::<u8>(), length, "buffer")?;
        if length_out.is_null() {
            return Err(null("length_out"));
        }
        let count = call.read(address, buffer)?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { length_out.write(count) };
        Ok(())
    })
}

/// Reads a string at `address` of the caller's memory into `buffer`, which has room for `capacity` bytes, with its NUL, and stores
/// its length without NUL in `*length_out`. Reads no further than the page in which the string ends.
///
/// BUFFER_TOO_SMALL: no NUL within `capacity` bytes. INVALID_ARGUMENT: NULL, it cannot be read. STALE, PERMISSION: as for
/// sandlock_notification_read(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_read_string(
    call: *mut sandlock_notification,
    address: u64,
    buffer: *mut c_char,
    capacity: usize,
    length_out: *mut usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(call)?;
        let buffer = slice_mut(buffer.cast::<u8>(), capacity, "buffer")?;
        if length_out.is_null() {
            return Err(null("length_out"));
        }
        let length = call.read_string(address, buffer)?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { length_out.write(length) };
        Ok(())
    })
}

/// Writes `length` bytes of `data` to `address` of the caller's memory. An error if not all of it could be written; then some may
/// have been.
///
/// INVALID_ARGUMENT: NULL, it cannot be written there. STALE, PERMISSION: as for sandlock_notification_read(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_write(
    call: *mut sandlock_notification,
    address: u64,
    data: *const c_void,
    length: usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(call)?;
        let data = slice(data.cast::<u8>(), length, "data")?;
        let written = call.write(address, data)?;
        if written < data.len() {
            return Err(Error::argument(format_args!(
                "only {written} of {length} bytes could be written"
            )));
        }
        Ok(())
    })
}

/// Lets the call run. Not a security decision on what its pointers point to: another thread of the program can change that before
/// the kernel reads it. Path and port rules of the policy, which the kernel enforces, hold in any case.
///
/// STALE: the caller is gone, or the deadline has passed. STATE: it was answered before. INVALID_ARGUMENT: NULL. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_continue(
    call: *mut sandlock_notification,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.resume())
}

/// Has the call fail with `errno_value`, 1 to 4095.
///
/// INVALID_ARGUMENT: NULL, another errno. STALE, STATE: as for sandlock_notification_continue(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_deny(
    call: *mut sandlock_notification,
    errno_value: i32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.deny(errno_value))
}

/// Has the call return `value` without running. A value of -1 to -4095 reads as an errno to the caller's libc.
///
/// STALE, STATE, INVALID_ARGUMENT: as for sandlock_notification_continue(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_return(
    call: *mut sandlock_notification,
    value: i64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.return_value(value))
}

/// Has the call return a duplicate of the host's descriptor `fd`, at the lowest number that the caller has free. `fd` stays the
/// host's. The duplicate shares its offset and flags, and is close-on-exec unless `flags` has SANDLOCK_FD_KEEP_ON_EXEC. It
/// gives the program what the descriptor can do, whatever the policy says. Linux 5.9.
///
/// SYSTEM: the caller has no number free (its call fails with EMFILE), or the kernel cannot do it (EIO); the call never runs
/// instead. INVALID_ARGUMENT: NULL, `fd` is not open, unknown flags. STALE, STATE: as for sandlock_notification_continue(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_return_fd(
    call: *mut sandlock_notification,
    fd: c_int,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.return_fd(fd, fd_place(flags, None)?))
}

/// Likewise, at the number `number` of the caller's table, whatever was open there.
///
/// As sandlock_notification_return_fd(); INVALID_ARGUMENT also if `number` is negative. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_return_fd_at(
    call: *mut sandlock_notification,
    fd: c_int,
    number: c_int,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.return_fd(fd, fd_place(flags, Some(number))?))
}

/// Has the call return a descriptor of a file in memory that contains `length` bytes of `data` and that nobody can change
/// (memfd_create(2), sealed). Its offset is 0. `flags` as for sandlock_notification_return_fd().
///
/// SYSTEM: the host cannot make it; the call fails with EIO. Others as for sandlock_notification_return_fd(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_return_bytes(
    call: *mut sandlock_notification,
    data: *const c_void,
    length: usize,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(call)?;
        let data = slice(data.cast::<u8>(), length, "data")?;
        call.return_bytes(data, fd_place(flags, None)?)
    })
}

/// Ends the sandbox that the caller belongs to: its result will say KILLED. Does not wait for that.
///
/// STATE, STALE, INVALID_ARGUMENT: as for sandlock_notification_continue(). The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_kill(
    call: *mut sandlock_notification,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(call)?.kill())
}

/// Puts the answer off: the handler returns SANDLOCK_HANDLER_DONE, and whoever has the answer gives it later, from any thread, by
/// the functions of sandlock_pending. On success the caller owns `*out`, and `call` is of no more use.
///
/// STATE: it was answered or put off before. INVALID_ARGUMENT: NULL. The thread that was handed it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_notification_defer(
    call: *mut sandlock_notification,
    out: *mut *mut sandlock_pending,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = required(call, "call")?;
        if out.is_null() {
            return Err(null("out"));
        }
        // SAFETY: as in on(); the thread that was handed it uses it alone.
        let pending = unsafe { &mut *call.call }.defer()?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_pending::new(pending))) };
        Ok(())
    })
}
