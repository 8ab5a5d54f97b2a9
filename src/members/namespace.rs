//! Who is in a PID namespace of a sandbox's own, nested ones included.
//!
//! What procfs says of a process's namespace does for most. It does not where the process has gone on to a namespace beneath, which a
//! policy may let it make, and where its file is one that the host's user may execute and not read: then nobody is told. Of those,
//! their ancestors decide, which anybody may learn: whoever's parent is inside is inside, for an orphan there goes to an init there.

use std::collections::BTreeMap;
use std::fs;

use crate::sys;

use super::{Found, leave_out_lost, look, look_at_all};

/// The PID namespace of the process `pid`, as procfs numbers it; None: there is no such process, or it is not ours to look at.
pub(super) fn number_of(pid: i32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
    let number = link.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?;
    number.parse().ok()
}

/// Those in the namespace `inode`, without its `init`. Of what has ended, what waits for a parent there.
pub(super) fn found(inode: u64, init: i32) -> sys::Result<Vec<Found>> {
    let mut look = Look::at(inode);
    let mut inside = Vec::new();
    for pid in super::all_processes()? {
        if pid != init && look.is_inside(pid)? {
            inside.push(pid);
        }
    }
    let mut found = look_at_all(inside.into_iter())?;
    leave_out_lost(&mut found);
    Ok(found)
}

/// True if the process `pid` is in the namespace `inode`. An error: it may be.
pub(super) fn contains(inode: u64, pid: i32) -> sys::Result<bool> {
    Look::at(inode).is_inside(pid)
}

/// One look at who is where.
struct Look {
    inode: u64,
    /// That of the host.
    own: Option<u64>,
    /// What has been found out of those for whom it took their ancestors.
    known: BTreeMap<i32, bool>,
}

impl Look {
    fn at(inode: u64) -> Self {
        Self {
            inode,
            own: number_of(sys::process::id()),
            known: BTreeMap::new(),
        }
    }

    fn is_inside(&mut self, pid: i32) -> sys::Result<bool> {
        let mut line = Vec::new();
        let mut at = pid;
        let inside = loop {
            if let Some(inside) = self.at_sight(at) {
                break inside;
            }
            line.push(at);
            at = match look(at)? {
                // Of a namespace that is not beneath the host's.
                Some(found) if found.parent <= 0 => break false,
                Some(found) => found.parent,
                None if at == pid => break false,
                // It has ended meanwhile, and whose parent it was has another one.
                None => {
                    line.clear();
                    pid
                }
            };
        };
        self.known.extend(line.into_iter().map(|pid| (pid, inside)));
        Ok(inside)
    }

    /// What is plain, or known already.
    fn at_sight(&self, pid: i32) -> Option<bool> {
        let number = number_of(pid);
        if number == Some(self.inode) {
            return Some(true);
        }
        // Who is inside goes by the host's user, and can be signalled by the host.
        let foreign = || sys::signal::kill(pid, 0) == Err(sys::Errno(libc::EPERM));
        if (number.is_some() && number == self.own) || foreign() {
            return Some(false);
        }
        self.known.get(&pid).copied()
    }
}
