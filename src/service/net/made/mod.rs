//! Sockets that the library has made for a program, where nobody can take duplicates of the program's own: filters of containers forbid
//! pidfd_getfd(2). Then socket(2) is answered here (`give.rs`), and the library keeps a descriptor of each socket that it gives.
//!
//! Which socket a call is about says /proc, by the inode that the caller's descriptor leads to, and what is done is done with the descriptor
//! kept here. What the program has from elsewhere, accepted say, has none here (`absent.rs`).
//!
//! A descriptor kept here keeps a socket from being closed by the program. So it is let go of as soon as the socket is connected, or
//! listens, for nothing is decided about it then; and now and then the library looks which sockets nobody in the sandbox has any
//! more (`sweep.rs`).

mod absent;
mod give;
mod sweep;

pub(super) use absent::serve as serve_absent;
pub(super) use give::{is_about, serve};

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::lock::Mutex;
use crate::members::{self, Reach};
use crate::supervisor::Call;
use crate::sys::socket::Kind;
use crate::sys::{self, Errno, fd};

use super::socket::descriptor;

/// Most descriptors that are kept for a sandbox: a host has a thousand, if nobody has asked for more.
pub(super) const MOST: usize = 256;
/// Most sockets that something is remembered of after they were let go of.
const MOST_PAST: usize = 1024;
/// How long a look at the sandbox's descriptors may take while a call waits for it.
const PATIENCE: Duration = Duration::from_millis(500);

/// A socket, by its inode. Numbers of inodes are used again after four thousand million others; then one of the program's sockets is taken
/// for another.
type Id = u64;

fn id_of(socket: &OwnedFd) -> Result<Id, Errno> {
    fd::identify(socket.as_raw_fd()).map(|file| file.inode)
}

/// What became of a socket before it was let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// It has been connected, and the program knows.
    Connected,
    /// It has come to be connected while nobody waited: the next connect(2) says so.
    Arrived,
    Listening,
}

struct Held {
    socket: Arc<OwnedFd>,
    /// It is one that is let go of when it is connected.
    stream: bool,
    /// The program has it by now.
    given: bool,
    /// When somebody looked last, nobody had it.
    missed: bool,
}

#[derive(Default)]
struct Table {
    held: BTreeMap<Id, Held>,
    past: BTreeMap<Id, Past>,
    /// Somebody looks now and then what nobody has any more.
    swept: bool,
}

impl Table {
    fn remember(&mut self, id: Id, past: Past) {
        self.past.insert(id, past);
        if self.past.len() > MOST_PAST {
            self.past.pop_first();
        }
    }
}

/// The sockets of one sandbox.
#[derive(Default)]
pub(super) struct Made {
    table: Mutex<Table>,
}

impl Made {
    /// A duplicate of the caller's descriptor, and what it is, if it is a socket that was made here. EBADF: it has no such descriptor.
    /// ENOTSOCK: it is no socket. EPERM: it is another one, or the kernel does not show the caller's descriptors.
    pub(super) fn duplicate(&self, call: &Call, number: u64) -> Result<(OwnedFd, Kind), Errno> {
        let id = find(call, number)?;
        let socket = self.table.lock().held.get(&id).map(|held| Arc::clone(&held.socket));
        let socket = copy(&*socket.ok_or(Errno(libc::EPERM))?)?;
        let kind = sys::socket::kind(socket.as_raw_fd())?;
        Ok((socket, kind))
    }

    /// Takes `socket` into what is kept.
    fn keep(&self, socket: &Arc<OwnedFd>, stream: bool) -> Result<Id, Errno> {
        let id = id_of(socket)?;
        let mut table = self.table.lock();
        if table.held.len() >= MOST {
            return Err(Errno(libc::ENFILE));
        }
        table.past.remove(&id);
        table.held.insert(
            id,
            Held {
                socket: Arc::clone(socket),
                stream,
                given: false,
                missed: false,
            },
        );
        Ok(id)
    }

    /// The program has it: from now on nobody may have it any more.
    fn note_given(&self, id: Id) {
        if let Some(held) = self.table.lock().held.get_mut(&id) {
            held.given = true;
        }
    }

    fn forget(&self, id: Id) {
        // Without the lock: to close it may take a while.
        let held = self.table.lock().held.remove(&id);
        drop(held);
    }

    /// Lets go of a socket, which needs nobody to decide about it any more. `socket`: a duplicate of it.
    pub(super) fn let_go(&self, socket: &OwnedFd, past: Past) {
        let Ok(id) = id_of(socket) else { return };
        let held = {
            let mut table = self.table.lock();
            let held = table.held.remove(&id);
            if held.is_some() {
                table.remember(id, past);
            }
            held
        };
        drop(held);
    }

    /// Closes what nobody has any more, and says how many those are. For when a port, or a place here, is wanted now: what is on its way
    /// from one process to another, and so in nobody's table, is taken for closed then.
    pub(super) fn collect(&self, reach: Reach) -> usize {
        self.collect_until(reach, true, Instant::now() + PATIENCE)
    }

    /// Likewise; unless it is to be done `at_once`, only what nobody had the last time either.
    fn collect_until(&self, reach: Reach, at_once: bool, until: Instant) -> usize {
        let (held, past): (Vec<Id>, Vec<Id>) = {
            let table = self.table.lock();
            let given = table.held.iter().filter(|(_, held)| held.given).map(|(id, _)| *id);
            (given.collect(), table.past.keys().copied().collect())
        };
        let all = held.iter().chain(&past).copied().collect();
        if held.is_empty() {
            return 0;
        }
        let Some(open) = members::open_sockets(reach, &all, until) else {
            return 0;
        };
        let mut suspects = Vec::new();
        {
            let mut table = self.table.lock();
            table.past.retain(|id, _| !past.contains(id) || open.contains(id));
            for id in held {
                let Some(held) = table.held.get_mut(&id) else { continue };
                let absent = !open.contains(&id);
                if absent && (at_once || held.missed) {
                    suspects.push(id);
                }
                held.missed = absent;
            }
        }
        // A second look: the program goes on meanwhile, and may have handed something from here to there.
        let suspected = suspects.iter().copied().collect();
        let Some(open) = members::open_sockets(reach, &suspected, until) else {
            return 0;
        };
        suspects.retain(|id| !open.contains(id));
        let mut table = self.table.lock();
        let closed: Vec<_> = suspects.iter().filter_map(|id| table.held.remove(id)).collect();
        drop(table);
        closed.len()
    }

    /// Lets go of what has come to be connected, and nobody was there to notice.
    fn let_go_of_connected(&self) {
        let streams: Vec<_> = {
            let table = self.table.lock();
            let streams = table.held.values().filter(|held| held.stream);
            streams.map(|held| Arc::clone(&held.socket)).collect()
        };
        for socket in streams {
            if sys::socket::is_connected(socket.as_raw_fd()) {
                self.let_go(&socket, Past::Arrived);
            }
        }
    }
}

fn copy(socket: &OwnedFd) -> Result<OwnedFd, Errno> {
    let copied = socket.try_clone();
    copied.map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}

/// Where the caller's descriptor is in /proc.
fn place(call: &Call, number: u64) -> Result<CString, Errno> {
    let (thread, number) = (call.thread(), descriptor(number));
    if number < 0 {
        return Err(Errno(libc::EBADF));
    }
    if thread <= 0 {
        return Err(Errno(libc::EPERM)); // outside our process namespace
    }
    CString::new(format!("/proc/{thread}/fd/{number}")).map_err(|_| Errno(libc::EINVAL))
}

/// The socket that is open there. Its link says which it is; to ask for the status of what it leads to could take as long as a file system
/// likes.
fn find(call: &Call, number: u64) -> Result<Id, Errno> {
    let inode = inode_at(&place(call, number)?);
    // Checked afterwards: a number that is the caller's now was the caller's then.
    if !call.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    inode
}

/// The socket that the link at `path`, in /proc, leads to.
fn inode_at(path: &CStr) -> Result<Id, Errno> {
    let mut text = [0; 32];
    let length = sys::metadata::read_link(libc::AT_FDCWD, path, &mut text).map_err(shown)?;
    let inode = text.get(..length).and_then(members::socket_inode);
    inode.ok_or(Errno(libc::ENOTSOCK))
}

/// What /proc refuses, as the caller knows it.
fn shown(errno: Errno) -> Errno {
    match errno.0 {
        libc::ENOENT => Errno(libc::EBADF),
        libc::EACCES => Errno(libc::EPERM),
        _ => errno,
    }
}

/// Path to the file that a descriptor of ours is open to. `thread-self`, because that is whose table it is in.
fn path_to(file: &OwnedFd) -> Result<CString, Errno> {
    CString::new(format!("/proc/thread-self/fd/{}", file.as_raw_fd())).map_err(|_| Errno(libc::EINVAL))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
