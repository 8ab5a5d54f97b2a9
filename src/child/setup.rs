//! Steps that take more than one call: the process and its descriptors.

use core::sync::atomic::Ordering;

use crate::plan::FdMove;
use crate::sys::{self, Errno};

/// Asks to be killed with the thread that made this process.
pub(super) fn die_with_parent(parent: i32) -> sys::Result<()> {
    sys::credentials::set_parent_death_signal(libc::SIGKILL)?;
    // The host may have died before the request; then nobody would ever send the signal. A parent outside this
    // process's PID namespace shows as 0.
    match sys::process::parent_id() {
        0 => Ok(()),
        now if now == parent => Ok(()),
        _ => Err(Errno(libc::ESRCH)),
    }
}

/// Leads a session of its own on a terminal of its own.
pub(super) fn lead_session_on(terminal: i32) -> sys::Result<()> {
    sys::process::new_session()?;
    sys::terminal::take_control(terminal)
}

/// Becomes the foreground process group of the terminal it inherits. SIGTTOU is still blocked at this point.
pub(super) fn take_foreground(terminal: i32) -> sys::Result<()> {
    sys::process::new_group()?;
    sys::terminal::set_foreground(terminal, sys::process::id())
}

/// Gives the program its descriptors. Sources and targets may overlap in any way, so every source is first duplicated
/// to a number above all targets, close-on-exec, and only then put in place.
pub(super) fn place_descriptors(moves: &[FdMove]) -> sys::Result<()> {
    let highest = moves.iter().map(|entry| entry.target).max().unwrap_or(0);
    let floor = highest.max(2).saturating_add(1);
    for entry in moves {
        entry
            .parked
            .store(sys::fd::duplicate_above(entry.source, floor)?, Ordering::Relaxed);
    }
    for entry in moves {
        sys::fd::duplicate_onto(entry.parked.load(Ordering::Relaxed), entry.target)?;
    }
    Ok(())
}
