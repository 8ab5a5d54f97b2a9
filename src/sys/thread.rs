//! Threads of the host.

use core::time::Duration;

use super::clock;

/// True if `thread`, which was not joined, is the caller.
pub fn is_current(thread: libc::pthread_t) -> bool {
    // SAFETY: takes no arguments.
    thread == unsafe { libc::pthread_self() }
}

/// Waits for the end of `thread`, and for the first `patience` of it without falling asleep.
///
/// # Safety
///
/// `thread` can be joined, and nobody else joins or detaches it.
pub unsafe fn join(thread: libc::pthread_t, patience: Duration) {
    let until = clock::now().saturating_add(patience);
    while clock::now() < until {
        // SAFETY: as the caller promises; a null pointer asks for no result.
        if unsafe { libc::pthread_tryjoin_np(thread, core::ptr::null_mut()) } != libc::EBUSY {
            return;
        }
        // SAFETY: takes no arguments.
        unsafe { libc::sched_yield() };
    }
    // SAFETY: as above.
    unsafe { libc::pthread_join(thread, core::ptr::null_mut()) };
}
