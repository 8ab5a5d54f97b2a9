//! Time.

use core::mem::MaybeUninit;
use core::time::Duration;

use super::{Result, check};

/// Processor time that the process `pid`, with all its threads, has used so far. Not what others have used that it waited for. Asks
/// for no permission.
pub fn process_time(pid: i32) -> Result<Duration> {
    /// CPUCLOCK_SCHED of a whole process, in the kernel's numbering of such clocks.
    const SCHED: i32 = 2;
    let clock = (!pid).wrapping_shl(3) | SCHED;
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` has room for the structure.
    check(unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) })?;
    // SAFETY: all-zero is valid, and the call filled it in.
    Ok(duration(&unsafe { time.assume_init() }))
}

/// Processor time that the calling thread has used so far.
pub fn thread_time() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Time since some fixed point (CLOCK_MONOTONIC).
pub fn now() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// A clock that always exists.
fn read(clock: libc::clockid_t) -> Duration {
    let mut time = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `time` has room for the structure.
    unsafe { libc::clock_gettime(clock, time.as_mut_ptr()) };
    // SAFETY: all-zero is valid, and the call filled it in.
    duration(&unsafe { time.assume_init() })
}

fn duration(time: &libc::timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
