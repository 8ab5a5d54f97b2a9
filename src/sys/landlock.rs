//! The part of Landlock that the child calls itself, and the question which version runs.

use super::fd::Descriptor;
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

/// What a ruleset handles: `struct landlock_ruleset_attr`, LANDLOCK_ACCESS_FS_*, LANDLOCK_ACCESS_NET_*, LANDLOCK_SCOPE_*.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// Files.
    pub files: u64,
    /// Network: ABI 4.
    pub network: u64,
    /// Scopes: ABI 6.
    pub scopes: u64,
}

/// Makes a ruleset. Kernels that do not know the end of the structure take it if that is zero, and are given less of it.
pub fn create_ruleset(handled: &Handled) -> Result<Descriptor> {
    let size = match handled {
        Handled {
            network: 0, scopes: 0, ..
        } => 8_usize,
        Handled { scopes: 0, .. } => 16,
        _ => size_of::<Handled>(),
    };
    // SAFETY: the structure outlives the call, and is at least as large as said.
    Descriptor::of(unsafe {
        syscall!(
            libc::SYS_landlock_create_ruleset,
            core::ptr::from_ref(handled),
            size,
            0_u32
        )
    })
}

/// Grants `rights`, LANDLOCK_ACCESS_FS_*, on the file or directory that `target` is open to, and beneath.
pub fn add_path_rule(ruleset: &Descriptor, target: &Descriptor, rights: u64) -> Result<()> {
    /// struct landlock_path_beneath_attr
    #[repr(C, packed)]
    struct PathBeneath {
        rights: u64,
        target: i32,
    }
    const PATH_BENEATH: u32 = 1;
    let rule = PathBeneath {
        rights,
        target: target.number(),
    };
    // SAFETY: the structure outlives the call.
    unsafe {
        syscall!(
            libc::SYS_landlock_add_rule,
            ruleset.number(),
            PATH_BENEATH,
            &raw const rule,
            0_u32,
        )
    }
    .map(drop)
}

/// Grants `rights`, LANDLOCK_ACCESS_NET_*, for `port`. ABI 4.
pub fn add_port_rule(ruleset: &Descriptor, port: u16, rights: u64) -> Result<()> {
    /// struct landlock_net_port_attr
    #[repr(C)]
    struct NetPort {
        rights: u64,
        port: u64,
    }
    const NET_PORT: u32 = 2;
    let rule = NetPort {
        rights,
        port: port.into(),
    };
    // SAFETY: the structure outlives the call.
    unsafe {
        syscall!(
            libc::SYS_landlock_add_rule,
            ruleset.number(),
            NET_PORT,
            &raw const rule,
            0_u32,
        )
    }
    .map(drop)
}
