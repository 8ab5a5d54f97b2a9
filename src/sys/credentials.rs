//! Privileges of the calling thread, and other settings made by prctl(2).

use super::raw::syscall;
use super::{Errno, Result};

/// Sets no_new_privs: no exec will grant privileges any more.
pub fn set_no_new_privs() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Has `signal` sent to the calling process when the thread that created it ends.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(signal.unsigned_abs()))
}

/// Keeps transparent huge pages out of the calling process's address space, and out of what it executes.
pub fn disable_huge_pages() -> Result<()> {
    prctl(libc::PR_SET_THP_DISABLE, 1)
}

fn prctl(option: i32, argument: libc::c_ulong) -> Result<()> {
    const UNUSED: libc::c_ulong = 0;
    // SAFETY: the options used in this file take numbers only.
    unsafe { syscall!(libc::SYS_prctl, option, argument, UNUSED, UNUSED, UNUSED) }.map(drop)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;
const CAP_SETPCAP: u32 = 8;

fn capabilities() -> Result<[CapabilityData; 2]> {
    let mut header = CapabilityHeader {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: version 3 reads the header and writes two data elements.
    unsafe { syscall!(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) }?;
    Ok(data)
}

/// True if the calling thread has any capability, in effect or to be taken up.
pub fn has_capabilities() -> bool {
    capabilities().is_ok_and(|sets| sets.iter().any(|set| set.permitted | set.inheritable != 0))
}

/// Gives up every capability for good: ambient, bounding (where CAP_SETPCAP allows it), permitted and inheritable.
pub fn drop_capabilities() -> Result<()> {
    let [low, _] = capabilities()?;
    // EINVAL before Linux 4.3, which had no ambient set to clear.
    match prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong) {
        Ok(()) | Err(Errno(libc::EINVAL)) => {}
        Err(errno) => return Err(errno),
    }
    if low.effective & (1 << CAP_SETPCAP) != 0 {
        // The first number the kernel does not know ends the list with EINVAL.
        for capability in 0..64 {
            match prctl(libc::PR_CAPBSET_DROP, capability) {
                Ok(()) => {}
                Err(Errno(libc::EINVAL)) => break,
                Err(errno) => return Err(errno),
            }
        }
    }
    let mut header = CapabilityHeader {
        version: VERSION_3,
        pid: 0,
    };
    let data = [CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: version 3 reads the header and two data elements.
    unsafe { syscall!(libc::SYS_capset, &raw mut header, data.as_ptr()) }.map(drop)
}

/// Capabilities that the calling thread has in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective([u32; 2]);

/// Puts all capabilities of the calling thread out of effect, and leaves it the right to take them up again. Returns those that
/// were in effect. Other threads of the process keep theirs.
pub fn suspend_capabilities() -> Result<Effective> {
    let [low, high] = capabilities()?;
    let before = Effective([low.effective, high.effective]);
    resume_capabilities(Effective([0, 0]))?;
    Ok(before)
}

/// Puts `effective` into effect for the calling thread. It must be permitted them.
pub fn resume_capabilities(effective: Effective) -> Result<()> {
    let mut data = capabilities()?;
    let Effective(wanted) = effective;
    if data.iter().zip(wanted).all(|(set, wanted)| set.effective == wanted) {
        return Ok(());
    }
    for (set, wanted) in data.iter_mut().zip(wanted) {
        set.effective = wanted;
    }
    let mut header = CapabilityHeader {
        version: VERSION_3,
        pid: 0,
    };
    // SAFETY: version 3 reads the header and two data elements.
    unsafe { syscall!(libc::SYS_capset, &raw mut header, data.as_ptr()) }.map(drop)
}

/// The user whose files the calling thread may take for its own.
pub fn effective_user_id() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// The group whose files the calling thread may take for its group's.
pub fn effective_group_id() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getegid() }
}

/// Real user id of the calling process.
pub fn user_id() -> u32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getuid() }
}
