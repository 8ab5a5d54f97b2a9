//! Resource limits, scheduling and other per-process settings.

use super::raw::syscall;
use super::{Errno, Result};

/// The hard limit of `resource` (RLIMIT_*) for the calling process.
pub fn hard_limit(resource: u32) -> Result<u64> {
    let mut limit = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` has room for the old limits, and no new ones are passed.
    unsafe {
        syscall!(
            libc::SYS_prlimit64,
            0_i32,
            resource,
            core::ptr::null::<libc::rlimit64>(),
            &raw mut limit,
        )
    }?;
    Ok(limit.rlim_max)
}

/// Lowers the limits of `resource` for the calling process. Never raises the hard limit: where that is below the value
/// asked for, it is the stricter one and stays.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let hard = hard.min(hard_limit(resource)?);
    let limit = libc::rlimit64 {
        rlim_cur: soft.min(hard),
        rlim_max: hard,
    };
    // SAFETY: `limit` outlives the call; the old limits are not asked for.
    unsafe {
        syscall!(
            libc::SYS_prlimit64,
            0_i32,
            resource,
            &raw const limit,
            core::ptr::null_mut::<libc::rlimit64>(),
        )
    }
    .map(drop)
}

/// How many descriptors this process may have open now.
pub fn open_files_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a live structure. On failure it says none.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur
}

/// Sets the nice value of the calling process.
pub fn set_nice(value: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_setpriority, libc::PRIO_PROCESS, 0_i32, value) }.map(drop)
}

/// A set of up to 1024 processors, as sched_setaffinity(2) reads it.
pub type CpuSet = [u64; 16];

/// Confines the calling thread to the processors in `set`.
pub fn set_affinity(set: &CpuSet) -> Result<()> {
    // SAFETY: the size passed is that of the set.
    unsafe { syscall!(libc::SYS_sched_setaffinity, 0_i32, size_of::<CpuSet>(), set.as_ptr()) }.map(drop)
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    // SAFETY: takes no pointers and cannot fail.
    let _ = unsafe { syscall!(libc::SYS_umask, mask) };
}

/// Adds `flag` to the calling process's execution domain.
pub fn add_personality(flag: u32) -> Result<()> {
    let flag = libc::c_ulong::from(flag);
    personality(personality(QUERY_PERSONALITY)? | flag)?;
    if personality(QUERY_PERSONALITY)? & flag == flag {
        Ok(())
    } else {
        Err(Errno(libc::EOPNOTSUPP))
    }
}

const QUERY_PERSONALITY: libc::c_ulong = 0xffff_ffff;

fn personality(wanted: libc::c_ulong) -> Result<libc::c_ulong> {
    // SAFETY: takes no pointers.
    let former = unsafe { syscall!(libc::SYS_personality, wanted) }?;
    Ok(former as libc::c_ulong)
}

/// Bytes in a page.
pub fn page_size() -> u64 {
    configured(libc::_SC_PAGESIZE, 4096)
}

/// Units of processor time in a second, as proc(5) counts it.
pub fn ticks_per_second() -> u64 {
    configured(libc::_SC_CLK_TCK, 100)
}

fn configured(name: i32, otherwise: u64) -> u64 {
    // SAFETY: takes no pointers.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value)
        .ok()
        .filter(|&value| value > 0)
        .unwrap_or(otherwise)
}
