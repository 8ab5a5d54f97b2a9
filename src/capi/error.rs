//! Errors.

use std::ffi::{CString, c_char};

use crate::error::{Error, ErrorKind};

use super::boundary::{free, into_handle, value};
use super::constants::{SANDLOCK_ERROR_INTERNAL, SANDLOCK_OK, sandlock_status};

/// Why a call failed: a status, a stage, an errno and a message. Made by a failing function, owned by its caller, never
/// changed after. Any thread, concurrently. Free it with sandlock_error_free().
pub struct sandlock_error {
    error: Error,
    message: CString,
}

impl sandlock_error {
    pub(super) fn boxed(error: Error) -> *mut Self {
        // A message quotes bytes from C strings only, escaped, so it has no NUL; should one slip in, an empty message is
        // better than none.
        let message = CString::new(error.message()).unwrap_or_default();
        into_handle(Self { error, message })
    }
}

/// The C status for a kind.
pub(super) fn status_of(kind: ErrorKind) -> sandlock_status {
    i32::try_from(kind.number()).map_or(SANDLOCK_ERROR_INTERNAL, |number| -number)
}

fn on<T>(error: *const sandlock_error, fallback: T, read: impl FnOnce(&sandlock_error) -> T) -> T
where
    T: Copy,
{
    // SAFETY: NULL or a live error.
    value(fallback, || unsafe { error.as_ref() }.map_or(fallback, read))
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: status and error
/// -------------------------------------------------------------------------------------------------------------------
///
/// The name of a status without its prefix: "OK", "INVALID_ARGUMENT"; "UNKNOWN" for a number that is none. The string is
/// static: never free it. Any thread. Cannot fail.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_status_name(status: i32) -> *const c_char {
    if status == SANDLOCK_OK {
        return c"OK".as_ptr();
    }
    macro_rules! names {
        ($($kind:ident $text:literal)*) => {
            match status.checked_neg().and_then(|number| u32::try_from(number).ok()).and_then(ErrorKind::from_number) {
                $(Some(ErrorKind::$kind) => $text.as_ptr(),)*
                None => c"UNKNOWN".as_ptr(),
            }
        };
    }
    names! {
        InvalidArgument c"INVALID_ARGUMENT" State c"STATE" Unsupported c"UNSUPPORTED" Permission c"PERMISSION"
        NotFound c"NOT_FOUND" System c"SYSTEM" ChildSetup c"CHILD_SETUP" Exec c"EXEC" Timeout c"TIMEOUT" Stale c"STALE"
        BufferTooSmall c"BUFFER_TOO_SMALL" WouldDeadlock c"WOULD_DEADLOCK" Callback c"CALLBACK" Limit c"LIMIT"
        Internal c"INTERNAL"
    }
}

/// The status that the failing function returned; SANDLOCK_OK if `error` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_error_status(error: *const sandlock_error) -> sandlock_status {
    on(error, SANDLOCK_OK, |error| status_of(error.error.kind()))
}

/// The errno that a system call reported, whether in the host or in the child; 0 if the failure came from none, or if
/// `error` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_error_errno(error: *const sandlock_error) -> i32 {
    on(error, 0, |error| error.error.errno())
}

/// The step that failed, SANDLOCK_STAGE_*; 0 if `error` is NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_error_stage(error: *const sandlock_error) -> u32 {
    on(error, 0, |error| error.error.stage().number())
}

/// What happened, in one line without a newline: step, object, reason. "exec: /nope: No such file or directory". The string
/// belongs to `error` and lives as long; it is never NULL, and empty if `error` is NULL. Its wording may change between
/// releases: branch on the status and the errno. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_error_message(error: *const sandlock_error) -> *const c_char {
    on(error, c"".as_ptr(), |error| error.message.as_ptr())
}

/// Frees an error. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_error_free(error: *mut sandlock_error) {
    // SAFETY: NULL or an error that this library made and nobody freed.
    unsafe { free(error) }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn every_status_has_the_name_of_its_kind() {
        for &kind in ErrorKind::ALL {
            // SAFETY: the function returns static strings.
            let name = unsafe { CStr::from_ptr(sandlock_status_name(status_of(kind))) };
            assert_eq!(name.to_str().unwrap(), kind.name());
        }
        for unknown in [1, -16, i32::MIN, i32::MAX] {
            // SAFETY: as above.
            assert_eq!(unsafe { CStr::from_ptr(sandlock_status_name(unknown)) }, c"UNKNOWN");
        }
    }
}
