//! Calls on sockets that the library has no descriptor of: what it has let go of, what the program has accepted, pairs of Unix sockets, and
//! what it was given from outside. To decide about those is not possible, and mostly not needed.
//!
//! A stream is connected, listens, or has been shut: what is sent on it goes to its peer, whatever address comes with it. So it could be
//! sent by the program itself, if only its descriptor led to the stream still when the kernel looks, and not to a datagram
//! socket that another thread has put there. Where nobody can do that, the call is let through: its caller is the only thread of its
//! process, and waits; and the filter sees to it that processes share no tables (`compile/traps.rs`). Who has several threads is
//! refused.

use std::os::fd::OwnedFd;

use crate::members;
use crate::supervisor::{Call, Reply, kind};
use crate::sys::{Errno, metadata as files};

use super::super::answer;
use super::super::rules::Rules;
use super::super::socket::own;
use super::{Id, Made, Past, place, shown};

/// What becomes of a call.
enum Outcome {
    /// The kernel does what it says.
    Continue,
    Answer(Result<i64, Errno>),
}

const REFUSED: Outcome = Outcome::Answer(Err(Errno(libc::EPERM)));

/// What a descriptor of the program's is open to.
enum Kind {
    /// A stream, whatever it is connected to.
    Tcp,
    UnixStream,
    /// Another Unix socket: of datagrams, or of packets in sequence.
    Unix,
    Other,
}

/// Serves the call `name` if it is about such a socket. False: it is not.
pub(in super::super) fn serve(rules: &Rules, made: &Made, name: &str, call: &Call) -> bool {
    let number = call.received().arguments[0];
    let (file, id) = match look(call, number) {
        Ok(found) => found,
        Err(errno) => {
            answer(call, Err(errno));
            return true;
        }
    };
    if made.table.lock().held.contains_key(&id) {
        return false;
    }
    match decide(rules, made, name, call, (kind_of(&file), id)) {
        // An error means that the caller is gone.
        Outcome::Continue => drop(call.answer(Reply::Continue)),
        Outcome::Answer(outcome) => {
            if outcome == Err(Errno(libc::EPERM)) {
                tell(call, name);
            }
            answer(call, outcome);
        }
    }
    true
}

/// A descriptor of ours that leads to the same socket, but is good for nothing else, and does not keep it open.
fn look(call: &Call, number: u64) -> Result<(OwnedFd, Id), Errno> {
    let path = place(call, number)?;
    // Said here, and nothing opened, of what is no socket.
    super::inode_at(&path)?;
    let file = own(files::open_at(libc::AT_FDCWD, &path, libc::O_PATH)).map_err(shown)?;
    if !call.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    // Another may have come there in between.
    let id = super::inode_at(&super::path_to(&file)?)?;
    Ok((file, id))
}

/// The kernel tells the protocol as an attribute of the socket's inode.
fn kind_of(file: &OwnedFd) -> Kind {
    let Ok(path) = super::path_to(file) else {
        return Kind::Other;
    };
    let mut name = [0; 32];
    let length = files::attribute(&path, c"system.sockprotoname", &mut name).unwrap_or(0);
    match name.get(..length).unwrap_or_default() {
        b"TCP\0" | b"TCPv6\0" => Kind::Tcp,
        b"UNIX-STREAM\0" => Kind::UnixStream,
        b"UNIX\0" => Kind::Unix,
        _ => Kind::Other,
    }
}

fn decide(rules: &Rules, made: &Made, name: &str, call: &Call, (kind, id): (Kind, Id)) -> Outcome {
    let stream = matches!(kind, Kind::Tcp | Kind::UnixStream);
    match (name, kind) {
        ("connect", _) if stream => {
            let mut table = made.table.lock();
            match table.past.get_mut(&id) {
                Some(past) if *past == Past::Arrived => {
                    *past = Past::Connected;
                    Outcome::Answer(Ok(0))
                }
                _ => Outcome::Answer(Err(Errno(libc::EISCONN))),
            }
        }
        // As for those that the library has: see `bind.rs`.
        ("bind", Kind::UnixStream | Kind::Unix) if !rules.has_datagrams() => Outcome::Continue,
        ("bind", Kind::Tcp) => Outcome::Answer(Err(Errno(libc::EINVAL))),
        ("listen", _) if stream => {
            let listening = made.table.lock().past.get(&id) == Some(&Past::Listening);
            // The length of its queue stays.
            Outcome::Answer(if listening { Ok(0) } else { Err(Errno(libc::EINVAL)) })
        }
        ("sendto" | "sendmsg" | "sendmmsg" | "setsockopt", _) if stream && is_alone(call) => Outcome::Continue,
        _ => REFUSED,
    }
}

/// True if nobody but the caller, which waits, can change what its descriptors are open to.
fn is_alone(call: &Call) -> bool {
    let found = members::look(call.thread()).ok().flatten();
    found.is_some_and(|found| found.threads == 1) && call.is_waiting()
}

fn tell(call: &Call, name: &str) {
    let mut event = call.event(kind::DENIED);
    event.errno = libc::EPERM;
    event.text = format!(
        "network: {name}: on a socket that the library cannot get at (pidfd_getfd(2) is refused); streams of programs with one thread, \
         and of those whose rules speak of TCP alone (\"tcp://...\"), do not take it"
    );
    call.emit(event);
}
