//! connect(2), on behalf: with the address that was decided about, on a duplicate of the caller's socket.
//!
//! The caller waits, if it would, without anybody waiting with it: the connection is begun without waiting, for which the socket is made
//! non-blocking for just that call, and asked for again when the kernel says that something has come of it. The kernel then tells how a
//! connection ended that was begun that way, and leaves the socket as after a call that has waited.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::supervisor::Call;
use crate::sys::{Errno, socket};

use super::address::{Address, Meaning};
use super::made::Past;
use super::rules::{Action, Rules};
use super::waiting::{For, Held, Patience, wait};
use super::{answer, owned_socket, unix};

/// Serves connect(2).
pub(super) fn serve(rules: &Arc<Rules>, call: Call) {
    match begin(rules, &call) {
        Ok((socket, target, blocking)) => {
            let late = if target.is_unix {
                libc::EAGAIN
            } else {
                libc::EINPROGRESS
            };
            let held = Held {
                patience: Patience::of(&socket, late),
                socket,
                call,
            };
            go_on(rules, held, target, blocking);
        }
        Err(errno) => answer(&call, Err(errno)),
    }
}

/// Where a connection goes, and what keeps that there.
struct Target {
    address: Address,
    /// Of a socket in the file system, whose address names it by this descriptor.
    _file: Option<OwnedFd>,
    is_unix: bool,
    /// Nothing is decided about the socket once it is there: it is a stream.
    is_last: bool,
}

fn begin(rules: &Rules, call: &Call) -> Result<(OwnedFd, Target, bool), Errno> {
    let [number, pointer, length, ..] = call.received().arguments;
    let (socket, kind) = owned_socket(rules, call, number)?;
    let address = Address::read(call, pointer, length)?.without_any();
    let meaning = address.meaning(kind)?;
    let is_last = kind.type_ == libc::SOCK_STREAM && meaning != Meaning::Nobody;
    let (address, file) = match meaning {
        Meaning::Nobody => (address, None),
        Meaning::Internet(host, port) => {
            rules.decide(call, kind, (host, port), Action::Connect)?;
            (address, None)
        }
        Meaning::Path(path) => {
            let (address, file) = unix::find(rules, call, &path)?;
            (address, Some(file))
        }
        Meaning::Abstract(name) => {
            rules.decide_abstract(call, &name)?;
            (address, None)
        }
    };
    // Only a stream has somebody to wait for.
    let blocking = kind.type_ != libc::SOCK_DGRAM && !socket::is_nonblocking(socket.as_raw_fd())?;
    Ok((
        socket,
        Target {
            address,
            _file: file,
            is_unix: kind.domain == libc::AF_UNIX,
            is_last,
        },
        blocking,
    ))
}

/// Tries, and waits if it must.
fn go_on(rules: &Arc<Rules>, held: Held, target: Target, blocking: bool) {
    let connected = rules.on_behalf(|| {
        if blocking {
            without_waiting(held.socket.as_raw_fd(), target.address.bytes())
        } else {
            socket::connect(held.socket.as_raw_fd(), target.address.bytes())
        }
    });
    let what = match connected {
        Err(Errno(libc::EINPROGRESS | libc::EALREADY)) if blocking && !target.is_unix => For::Writable,
        // The queue of who listens is full, and nobody tells when it no longer is.
        Err(Errno(libc::EAGAIN)) if blocking && target.is_unix => For::Time,
        connected => return finish(rules, held, &target, connected),
    };
    let rules = Arc::clone(rules);
    wait(held, what, move |held| go_on(&rules, held, target, blocking));
}

/// Answers the call, and keeps nothing of the socket that would keep it open.
fn finish(rules: &Rules, held: Held, target: &Target, connected: Result<(), Errno>) {
    let Held { call, socket, .. } = held;
    match (connected, &rules.made) {
        (Ok(()), _) if target.is_last => rules.let_go(&socket, Past::Connected),
        (Err(Errno(libc::EINPROGRESS)), Some(made)) => made.await_connection(&socket, &call),
        _ => {}
    }
    drop(socket);
    answer(&call, connected.map(|()| 0));
}

/// connect(2) on a socket that would wait. Its other users see it non-blocking meanwhile, for some microseconds.
fn without_waiting(socket: i32, address: &[u8]) -> Result<(), Errno> {
    socket::set_nonblocking(socket, true)?;
    let connected = socket::connect(socket, address);
    socket::set_nonblocking(socket, false)?;
    connected
}
