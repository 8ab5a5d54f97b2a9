//! seccomp(2) and its constants.

use super::raw::syscall;
use super::{Errno, Result};

/// One classic BPF instruction, `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Most instructions one filter may have (BPF_MAXINSNS).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Filter answer: end the whole process with SIGSYS.
pub const RET_KILL_PROCESS: u32 = 0x8000_0000;
/// Filter answer: fail with the errno in the low 16 bits.
pub const RET_ERRNO: u32 = 0x0005_0000;
/// Filter answer: ask the listener.
pub const RET_USER_NOTIF: u32 = 0x7fc0_0000;
/// Filter answer: run the call.
pub const RET_ALLOW: u32 = 0x7fff_0000;

/// Filter flag: apply to every thread of the process.
pub const FLAG_ALL_THREADS: libc::c_ulong = 1;

const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const Instruction,
}

/// Installs `program` on the calling thread, or with [`FLAG_ALL_THREADS`] on all. ESRCH: some thread could not follow.
pub fn install(program: &[Instruction], flags: libc::c_ulong) -> Result<()> {
    // With FLAG_ALL_THREADS a positive value is the thread that could not be brought along.
    if set_filter(program, flags)? == 0 {
        Ok(())
    } else {
        Err(Errno(libc::ESRCH))
    }
}

/// Installs `program` on the calling thread and makes a listener for what it traps, close-on-exec. EBUSY: the thread has a
/// listener already, perhaps from before it was started.
pub fn listen(program: &[Instruction], flags: libc::c_ulong) -> Result<i32> {
    super::fd::number(set_filter(program, flags | super::notify::FLAG_NEW_LISTENER))
}

fn set_filter(program: &[Instruction], flags: libc::c_ulong) -> Result<usize> {
    let Ok(length) = u16::try_from(program.len()) else {
        return Err(Errno(libc::EINVAL));
    };
    let program = Program {
        length,
        instructions: program.as_ptr(),
    };
    // SAFETY: the structure and the instructions it points to outlive the call.
    unsafe { syscall!(libc::SYS_seccomp, SET_MODE_FILTER, flags, &raw const program) }
}

/// True if filters may answer with `action`. Linux 4.14.
pub fn has_action(action: u32) -> bool {
    // SAFETY: `action` outlives the call.
    unsafe { syscall!(libc::SYS_seccomp, GET_ACTION_AVAIL, 0_i32, &raw const action) }.is_ok()
}
