//! Time.

use core::mem::MaybeUninit;
use core::time::Duration;

/// Time since some fixed point (CLOCK_MONOTONIC).
pub fn now() -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` has room for the structure; the clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    // SAFETY: all-zero is valid, and the call filled it in.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
