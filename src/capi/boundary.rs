//! What every function does on its way in and out: panics, errors, strings, handles.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::supervisor::FdPlace;

use super::cancel::Uncancelled;
use super::constants::{SANDLOCK_FD_KEEP_ON_EXEC, SANDLOCK_OK, sandlock_status};
use super::error::sandlock_error;

/// Runs `body` so that no panic leaves it, and hands its error to C. The body writes outputs as its last act, so that
/// they are written only on success.
pub(super) fn status(error_out: *mut *mut sandlock_error, body: impl FnOnce() -> Result<()>) -> sandlock_status {
    // SAFETY: the caller passes NULL or a pointer to a writable pointer.
    if let Some(slot) = unsafe { error_out.as_mut() } {
        *slot = std::ptr::null_mut();
    }
    match caught(body) {
        Ok(()) => SANDLOCK_OK,
        Err(error) => {
            let status = super::error::status_of(error.kind());
            // SAFETY: as above.
            if let Some(slot) = unsafe { error_out.as_mut() } {
                *slot = sandlock_error::boxed(error);
            }
            status
        }
    }
}

/// Runs `body`, which answers a question that cannot fail; `fallback` is the answer if it panics.
pub(super) fn value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    silence_panics();
    let _whole = Uncancelled::begin();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

fn caught(body: impl FnOnce() -> Result<()>) -> Result<()> {
    silence_panics();
    let _whole = Uncancelled::begin();
    // What a panic leaves half-done stays inside handles guarded by locks that do not poison; the error says INTERNAL.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        let message = LAST_PANIC.with_borrow_mut(std::mem::take);
        Err(Error::new(
            ErrorKind::Internal,
            Stage::Arguments,
            format_args!("a bug in libsandlock: {message}"),
        ))
    })
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panic messages off the host's stderr, and for the error. The C library carries its own copy of the Rust runtime,
/// so this hook is not the host's even if the host is written in Rust.
fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.to_string().replace('\n', " ");
            // A thread that is ending has no slot any more; then the message is lost.
            let _ = LAST_PANIC.try_with(|slot| slot.replace(message));
        }));
    });
}

/// A pointer that must not be NULL.
pub(super) fn required<'a, T>(pointer: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: NULL or a live object of the type that the header says.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(what))
}

/// A pointer that must not be NULL, to something that changes. The caller uses it from one thread at a time.
pub(super) fn required_mut<'a, T>(pointer: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: NULL or a live object of the type that the header says, not used elsewhere meanwhile.
    unsafe { pointer.as_mut() }.ok_or_else(|| null(what))
}

pub(super) fn null(what: &str) -> Error {
    Error::argument(format_args!("{what} is NULL"))
}

/// A borrowed string that must not be NULL.
pub(super) fn string<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr> {
    if pointer.is_null() {
        return Err(null(what));
    }
    // SAFETY: not NULL, and NUL-terminated as the header asks.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A borrowed string that may be NULL, copied.
pub(super) fn optional_string(pointer: *const c_char) -> Option<CString> {
    // SAFETY: not NULL, and NUL-terminated as the header asks.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_owned())
}

/// A NULL-terminated array of strings, copied.
pub(super) fn string_array(array: *const *const c_char, what: &str) -> Result<Vec<CString>> {
    if array.is_null() {
        return Err(null(what));
    }
    let mut strings = Vec::new();
    let mut next = array;
    loop {
        // SAFETY: the array ends with NULL, which was not reached yet.
        let entry = unsafe { *next };
        let Some(entry) = optional_string(entry) else {
            return Ok(strings);
        };
        strings.push(entry);
        // SAFETY: the entry was not NULL, so another follows.
        next = unsafe { next.add(1) };
    }
}

/// A borrowed array; `(NULL, 0)` is an empty one.
pub(super) fn slice<'a, T>(pointer: *const T, length: usize, what: &str) -> Result<&'a [T]> {
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(null(what));
    }
    if length > isize::MAX.unsigned_abs() / size_of::<T>().max(1) {
        return Err(Error::argument(format_args!(
            "{what} has {length} elements, more than memory can hold"
        )));
    }
    // SAFETY: not NULL, and holds `length` elements as the header asks.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// A borrowed array to be written to; `(NULL, 0)` is an empty one.
pub(super) fn slice_mut<'a, T>(pointer: *mut T, length: usize, what: &str) -> Result<&'a mut [T]> {
    slice(pointer.cast_const(), length, what)?;
    if length == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL, and has room for `length` elements that nobody else uses, as the header asks.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
}

/// A text of the library's for C.
pub(super) fn c_string(text: &str) -> CString {
    // A NUL would end it early anyway.
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

/// The name of a system call on this architecture.
pub(super) fn syscall_name(number: i32) -> &'static CStr {
    let number = u32::try_from(number).ok();
    number.and_then(crate::sandbox::syscall_name).unwrap_or(c"unknown")
}

/// Where a descriptor goes.
pub(super) fn fd_place(flags: u64, target: Option<i32>) -> Result<FdPlace> {
    if flags & !SANDLOCK_FD_KEEP_ON_EXEC != 0 {
        return Err(Error::argument(format_args!("unknown descriptor flags {flags:#x}")));
    }
    if let Some(number @ ..=-1) = target {
        return Err(Error::argument(format_args!("descriptor number {number} is negative")));
    }
    Ok(FdPlace {
        target,
        keep_on_exec: flags & SANDLOCK_FD_KEEP_ON_EXEC != 0,
    })
}

/// A text that must be UTF-8, which all names of system calls are.
pub(super) fn utf8<'a>(text: &'a CStr, what: &str) -> Result<&'a str> {
    text.to_str()
        .map_err(|_| Error::argument(format_args!("unknown {what} \"{}\"", text.to_bytes().escape_ascii())))
}

/// Converts an enum that comes in as a number.
pub(super) fn known<T>(value: Option<T>, what: &str, number: u32) -> Result<T> {
    value.ok_or_else(|| Error::argument(format_args!("unknown {what} {number}")))
}

/// Milliseconds as the C API counts them: negative is without limit.
pub(super) fn timeout(milliseconds: i32) -> Option<std::time::Duration> {
    u64::try_from(milliseconds).ok().map(std::time::Duration::from_millis)
}

/// Gives a value to C as a handle.
pub(super) fn into_handle<T>(value: T) -> *mut T {
    Box::into_raw(Box::new(value))
}

/// Takes a handle back and drops it; NULL is nothing.
///
/// # Safety
///
/// `handle` is NULL or came from [`into_handle`] and was not freed.
pub(super) unsafe fn free<T>(handle: *mut T) {
    if handle.is_null() {
        return;
    }
    // SAFETY: as the caller promises.
    let owned = unsafe { Box::from_raw(handle) };
    value((), move || drop(owned));
}
