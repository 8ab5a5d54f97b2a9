//! Confinement steps that take more than one call.

use crate::plan::{Record, RulesetPlan};
use crate::sys::landlock;
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
    if !record.begin_listening() {
        return Err(Errno(libc::ECANCELED));
    }
    let mut listener = full_tree(seccomp::listen(program, flags))?;
    if above_stdio {
        // On failure, in a full table, it stays where it is.
        listener = sys::fd::raise(listener).unwrap_or(listener);
    }
    record.set_listener(listener);
    Ok(())
}

/// Makes a ruleset and enters its domain. The paths are this process's.
pub(super) fn restrict(plan: &RulesetPlan<'_>, record: &Record) -> sys::Result<()> {
    let ruleset = landlock::create_ruleset(&plan.handled)?;
    for (index, rule) in plan.rules.iter().enumerate() {
        record.begin_part(index.saturating_add(1));
        let opened = if rule.socket {
            sys::fd::open_path_without_links(rule.path)
        } else {
            sys::fd::open_path(rule.path)
        };
        let file = match opened {
            // Less is granted, and the program may have seen to that itself: it is not to fail its next start by it.
            Err(_) if rule.socket => continue,
            Err(Errno(libc::ENOENT | libc::ENOTDIR)) if rule.optional => continue,
            opened => opened?,
        };
        let id = sys::fd::identify_raw(file.number())?;
        if let Some(cell) = rule.found {
            cell.set(id);
        }
        let rights = if id.directory { rule.directory } else { rule.file };
        if rights != 0 {
            landlock::add_path_rule(&ruleset, &file, rights)?;
        }
    }
    record.begin_part(0);
    for rule in plan.ports {
        landlock::add_port_rule(&ruleset, rule.port, rule.rights)?;
    }
    landlock::restrict_self(ruleset.number(), 0)
}

fn full_tree<T>(installed: sys::Result<T>) -> sys::Result<T> {
    match installed {
        Err(Errno(libc::ENOMEM)) => Err(Errno(libc::E2BIG)),
        outcome => outcome,
    }
}
