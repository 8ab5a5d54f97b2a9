//! Threads of the host that are cancelled (pthread_cancel(3)) in the midst of a call.

use std::ffi::c_int;

unsafe extern "C" {
    // pthread_setcancelstate(3); the libc crate does not declare it.
    fn pthread_setcancelstate(state: c_int, former: *mut c_int) -> c_int;
}

/// Keeps pthread_cancel(3) of the calling thread waiting while it lives: whoever is cancelled in the midst of a call is unwound, which
/// code that stops panics takes for one, and then the process is aborted.
#[derive(Debug)]
pub(super) struct Uncancelled {
    former: c_int,
}

impl Uncancelled {
    /// From now on.
    pub(super) fn begin() -> Self {
        const PTHREAD_CANCEL_DISABLE: c_int = 1;
        let mut former = 0;
        // SAFETY: `former` is writable. The state is one that there is.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut former) };
        Self { former }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: as above; the former state is not wanted, and a null pointer says so, to musl as well.
        unsafe { pthread_setcancelstate(self.former, std::ptr::null_mut()) };
    }
}
