//! Which sockets the processes of a sandbox have open, as /proc tells.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use super::memory::threads;
use super::{Found, Reach};

/// Those of `wanted`, sockets by their inode numbers, that somebody has in a table of descriptors; None: nobody can tell, or not
/// before `until`. Processes that may not be looked into are left out, and so are threads that have made a table of their own beside their
/// process's.
pub(crate) fn open_sockets(reach: Reach, wanted: &BTreeSet<u64>, until: Instant) -> Option<BTreeSet<u64>> {
    let mut found = BTreeSet::new();
    for process in reach.found().ok()? {
        if found.len() == wanted.len() {
            break;
        }
        if !look_into(&process, wanted, &mut found, until) {
            return None;
        }
    }
    Some(found)
}

/// False: there was no time for all of it, or no descriptor left to look with.
fn look_into(process: &Found, wanted: &BTreeSet<u64>, found: &mut BTreeSet<u64>, until: Instant) -> bool {
    const TURN: usize = 64;
    // What its main thread has; if that has ended, what one of the others has.
    let others = threads(process)
        .into_iter()
        .filter(|&thread| thread != process.member.pid);
    for thread in std::iter::once(process.member.pid).chain(others) {
        let entries = match fs::read_dir(format!("/proc/{thread}/fd")) {
            Ok(entries) => entries,
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => return false,
            Err(_) => continue,
        };
        let mut empty = true;
        for (index, entry) in entries.flatten().enumerate() {
            if index % TURN == 0 && Instant::now() >= until {
                return false;
            }
            empty = false;
            let inode = fs::read_link(entry.path()).ok();
            let inode = inode.and_then(|link| socket_inode(link.as_os_str().as_bytes()));
            found.extend(inode.filter(|inode| wanted.contains(inode)));
        }
        if !empty {
            break;
        }
    }
    true
}

/// The inode of a socket, from what its link in /proc says.
pub(crate) fn socket_inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use super::*;
    use crate::sys;

    #[test]
    fn links_of_sockets_have_their_numbers() {
        for (link, inode) in [
            (&b"socket:[4711]"[..], Some(4711)),
            (b"socket:[]", None),
            (b"socket:[x]", None),
            (b"pipe:[4711]", None),
            (b"/tmp/socket:[4711]", None),
            (b"", None),
        ] {
            assert_eq!(socket_inode(link), inode);
        }
    }

    #[test]
    fn open_sockets_are_found_and_closed_ones_are_not() {
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = |socket: &std::os::unix::net::UnixStream| sys::fd::identify(socket.as_raw_fd()).unwrap().inode;
        let (kept, closed) = (inode(&one), inode(&other));
        let wanted = BTreeSet::from([kept, closed]);
        let own = super::super::look(sys::process::id()).unwrap().unwrap();
        let look = |until| {
            let mut found = BTreeSet::new();
            look_into(&own, &wanted, &mut found, until).then_some(found)
        };
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(look(later), Some(wanted.clone()));
        drop(other);
        assert_eq!(look(later), Some(BTreeSet::from([kept])));
        assert_eq!(look(Instant::now()), None);
    }
}
