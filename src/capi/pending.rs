//! A system call that was put off, to be answered later.

use std::ffi::{c_char, c_int, c_void};

use crate::error::{Error, Result};
use crate::supervisor::{Answerable, Pending};

use super::boundary::{fd_place, free, null, required, slice, slice_mut, status, syscall_name, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::policy::{check_owner, process_id};

/// A system call that was put off or taken from the queue: the right to answer it later. Any thread, concurrently, but for
/// sandlock_pending_free(): of several answers the first counts. It outlives supervisor and process; then every answer is STALE.
pub struct sandlock_pending {
    call: Pending,
    owner: i32,
}

impl sandlock_pending {
    pub(super) fn new(call: Pending) -> Self {
        Self {
            call,
            owner: process_id(),
        }
    }
}

fn on(pending: *const sandlock_pending) -> Result<&'static Pending> {
    let pending = required(pending, "pending")?;
    check_owner(pending.owner, "pending call")?;
    Ok(&pending.call)
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: a call that was put off
/// -------------------------------------------------------------------------------------------------------------------
///
/// The number of the system call; -1 if `pending` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_syscall(pending: *const sandlock_pending) -> i32 {
    value(-1, || on(pending).map_or(-1, |call| call.number()))
}

/// Its name, on the architecture of this host; "unknown" for a number without one, and if `pending` is NULL. A static string.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_syscall_name(pending: *const sandlock_pending) -> *const c_char {
    value(c"unknown".as_ptr(), || {
        on(pending).map_or(c"unknown".as_ptr(), |call| syscall_name(call.number()).as_ptr())
    })
}

/// Argument `index`, 0 to 5, as it was in the register: an int has rubbish in its upper half. 0 for another index and if
/// `pending` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_arg(pending: *const sandlock_pending, index: u32) -> u64 {
    value(0, || on(pending).map_or(0, |call| call.argument(index as usize)))
}

/// The thread that calls, by its id in the host's PID namespace (for the main thread that is the process id). It is the caller's
/// for as long as the call waits. 0 if it has none there, and if `pending` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_pid(pending: *const sandlock_pending) -> i32 {
    value(0, || on(pending).map_or(0, |call| call.thread()))
}

/// Reads up to `length` bytes at `address` of the caller's memory into `buffer`, as far as it can be read, and stores how many
/// in `*length_out`. Let the program never choose how
/// much is allocated: cap `length` first.
///
/// INVALID_ARGUMENT: NULL, nothing can be read there. STALE: the caller is gone; what is in `buffer` means nothing. PERMISSION:
/// the kernel does not let the host look (the program has changed its identity, or ptrace is restricted). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_read(
    pending: *mut sandlock_pending,
    address: u64,
    buffer: *mut c_void,
    length: usize,
    length_out: *mut usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(pending)?;
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
/// sandlock_pending_read(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_read_string(
    pending: *mut sandlock_pending,
    address: u64,
    buffer: *mut c_char,
    capacity: usize,
    length_out: *mut usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(pending)?;
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
/// INVALID_ARGUMENT: NULL, it cannot be written there. STALE, PERMISSION: as for sandlock_pending_read(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_write(
    pending: *mut sandlock_pending,
    address: u64,
    data: *const c_void,
    length: usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(pending)?;
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
/// STALE: the caller is gone, or the deadline has passed. STATE: it was answered before. INVALID_ARGUMENT: NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_continue(
    pending: *mut sandlock_pending,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.resume())
}

/// Has the call fail with `errno_value`, 1 to 4095.
///
/// INVALID_ARGUMENT: NULL, another errno. STALE, STATE: as for sandlock_pending_continue(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_deny(
    pending: *mut sandlock_pending,
    errno_value: i32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.deny(errno_value))
}

/// Has the call return `value` without running. A value of -1 to -4095 reads as an errno to the caller's libc.
///
/// STALE, STATE, INVALID_ARGUMENT: as for sandlock_pending_continue(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_return(
    pending: *mut sandlock_pending,
    value: i64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.return_value(value))
}

/// Has the call return a duplicate of the host's descriptor `fd`, at the lowest number that the caller has free. `fd` stays the
/// host's. The duplicate shares its offset and flags, and is close-on-exec unless `flags` has SANDLOCK_FD_KEEP_ON_EXEC. It
/// gives the program what the descriptor can do, whatever the policy says. Linux 5.9.
///
/// SYSTEM: the caller has no number free (its call fails with EMFILE), or the kernel cannot do it (EIO); the call never runs
/// instead. INVALID_ARGUMENT: NULL, `fd` is not open, unknown flags. STALE, STATE: as for sandlock_pending_continue(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_return_fd(
    pending: *mut sandlock_pending,
    fd: c_int,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.return_fd(fd, fd_place(flags, None)?))
}

/// Likewise, at the number `number` of the caller's table, whatever was open there.
///
/// As sandlock_pending_return_fd(); INVALID_ARGUMENT also if `number` is negative. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_return_fd_at(
    pending: *mut sandlock_pending,
    fd: c_int,
    number: c_int,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.return_fd(fd, fd_place(flags, Some(number))?))
}

/// Has the call return a descriptor of a file in memory that contains `length` bytes of `data` and that nobody can change
/// (memfd_create(2), sealed). Its offset is 0. `flags` as for sandlock_pending_return_fd().
///
/// SYSTEM: the host cannot make it; the call fails with EIO. Others as for sandlock_pending_return_fd(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_return_bytes(
    pending: *mut sandlock_pending,
    data: *const c_void,
    length: usize,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let call = on(pending)?;
        let data = slice(data.cast::<u8>(), length, "data")?;
        call.return_bytes(data, fd_place(flags, None)?)
    })
}

/// Ends the sandbox that the caller belongs to: its result will say KILLED. Does not wait for that.
///
/// STATE, STALE, INVALID_ARGUMENT: as for sandlock_pending_continue(). Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_pending_kill(
    pending: *mut sandlock_pending,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || on(pending)?.kill())
}

/// Frees a pending call. If it was not answered, it is denied with EPERM. NULL is allowed. In a fork of the host it does not
/// answer. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_pending_free(pending: *mut sandlock_pending) {
    // SAFETY: NULL or a pending call that this library made and nobody freed.
    if let Some(pending) = unsafe { pending.as_ref() }.filter(|pending| pending.owner != process_id()) {
        // The answer is the host's to give. The memory stays.
        let _ = pending;
        return;
    }
    // SAFETY: as above.
    unsafe { free(pending) }
}
