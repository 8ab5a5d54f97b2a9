//! Confinement steps that take more than one call.

use crate::plan::Record;
use crate::sys::seccomp::{self, Instruction};
use crate::sys::{self, Errno};

/// Installs the filter. A filter tree that is full (32,768 instructions over all filters of a thread) answers ENOMEM,
/// which reads like exhausted memory; E2BIG says what it is.
pub(super) fn install_filter(program: &[Instruction], flags: libc::c_ulong) -> sys::Result<()> {
    full_tree(seccomp::install(program, flags))
}

/// Installs a filter that traps, and says where its listener is. The warden waits for that, and serves what is trapped from
/// then on, this code's own calls included.
pub(super) fn listen(
    program: &[Instruction],
    flags: libc::c_ulong,
    above_stdio: bool,
    record: &Record,
) -> sys::Result<()> {
    record.begin_listening();
    let mut listener = full_tree(seccomp::listen(program, flags))?;
    if above_stdio {
        // On failure, in a full table, it stays where it is.
        listener = sys::fd::raise(listener).unwrap_or(listener);
    }
    record.set_listener(listener);
    Ok(())
}

fn full_tree<T>(installed: sys::Result<T>) -> sys::Result<T> {
    match installed {
        Err(Errno(libc::ENOMEM)) => Err(Errno(libc::E2BIG)),
        outcome => outcome,
    }
}
