//! The part of Landlock that the child calls itself, and the question which version runs.

use super::raw::syscall;
use super::{Result, check_long};

/// landlock_create_ruleset(2): return the ABI version.
const CREATE_RULESET_VERSION: u32 = 1;
/// landlock_restrict_self(2): apply to every thread of the process (ABI 8, Linux 7.0).
pub const RESTRICT_ALL_THREADS: u32 = 1 << 3;

/// The running kernel's Landlock ABI. ENOSYS: not built in; EOPNOTSUPP: built in but not enabled at boot.
pub fn abi() -> Result<u32> {
    // SAFETY: a null attribute of size 0 is what the version query takes.
    let version = check_long(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            core::ptr::null::<u8>(),
            0_usize,
            CREATE_RULESET_VERSION,
        )
    })?;
    Ok(u32::try_from(version).unwrap_or(0))
}

/// Enters the domain that `ruleset` describes; `flags` are LANDLOCK_RESTRICT_SELF_*.
pub fn restrict_self(ruleset: i32, flags: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(libc::SYS_landlock_restrict_self, ruleset, flags) }.map(drop)
}
