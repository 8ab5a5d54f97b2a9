//! Confinement steps that take more than one call.

use crate::sys::seccomp::{self, Instruction};
use crate::sys::{self, Errno};

/// Installs the filter. A filter tree that is full (32,768 instructions over all filters of a thread) answers ENOMEM,
/// which reads like exhausted memory; E2BIG says what it is.
pub(super) fn install_filter(program: &[Instruction], flags: libc::c_ulong) -> sys::Result<()> {
    match seccomp::install(program, flags) {
        Err(Errno(libc::ENOMEM)) => Err(Errno(libc::E2BIG)),
        outcome => outcome,
    }
}
