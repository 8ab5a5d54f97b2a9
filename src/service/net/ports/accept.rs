//! accept(2), on behalf, where the caller wants to know who has connected.
//!
//! The caller waits, if it would, without anybody waiting with it: the listening socket is polled by the warden, and asked only when there is
//! somebody. It is made non-blocking for that, for some microseconds and by one thread at a time, as it may belong to many.
//!
//! A program that makes it blocking again at the same time can have the thread wait in the kernel, until somebody connects. That
//! holds up nobody but the program; when the sandbox ends, the socket is shut down, so that the thread is free (`connect.rs`).

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::lock::Mutex;
use crate::supervisor::{Call, Reply};
use crate::sys::event::{Wait, poll};
use crate::sys::socket::{self, Flags, LONGEST_ADDRESS};
use crate::sys::{self, Errno};

use super::super::address::{Address, Meaning};
use super::super::answer;
use super::super::rules::{Rules, protocol};
use super::super::socket::{duplicate, own};
use super::super::waiting::{For, Held, Patience, wait};
use super::{Ports, names};

/// Serves accept(2), or with flags accept4(2).
pub(in super::super) fn serve(rules: &Arc<Rules>, call: Call, flags: u64) {
    #[allow(clippy::cast_possible_truncation)] // an int: its lower half
    let flags = (flags as u32).cast_signed();
    if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
        return answer(&call, Err(Errno(libc::EINVAL)));
    }
    match duplicate(&call, call.received().arguments[0]) {
        // Who it was is known now, and not before.
        Ok(_) if !call.is_waiting() => {}
        Ok((socket, _)) => {
            let held = Held {
                patience: Patience::to_receive(libc::EAGAIN),
                socket,
                call,
            };
            go_on(rules, held, flags);
        }
        Err(errno) => answer(&call, Err(errno)),
    }
}

fn go_on(rules: &Arc<Rules>, held: Held, flags: i32) {
    let Some(ports) = &rules.ports else { return };
    let accepted = rules.out.having(&held, || {
        let nonblocking = flags & libc::SOCK_NONBLOCK != 0;
        rules.on_behalf(|| ports.entrance.accept(&held.socket, nonblocking))
    });
    match accepted {
        Ok(Some((connection, bytes, length))) => {
            let call = held.into_call();
            let peer = bytes.get(..length).and_then(Address::of);
            let given = peer.map_or(Err(Errno(libc::ECONNABORTED)), |peer| {
                give(ports, &call, &connection, peer, flags)
            });
            if let Err(errno) = given {
                answer(&call, Err(errno));
            }
        }
        Ok(None) => {
            let next = Arc::clone(rules);
            wait(rules, held, For::Readable, move |held| go_on(&next, held, flags));
        }
        Err(errno) => answer(&held.into_call(), Err(errno)),
    }
}

/// Gives the caller a connection.
fn give(ports: &Ports, call: &Call, connection: &OwnedFd, peer: Address, flags: i32) -> sys::Result<()> {
    let kind = socket::kind(connection.as_raw_fd())?;
    let shown = match (protocol(kind), peer.meaning(kind)) {
        (Some(protocol), Ok(Meaning::Internet(host, port))) => {
            ports.peer_port((connection, kind, protocol), host, port)
        }
        _ => None,
    };
    let peer = shown.map_or(peer, |port| peer.with_port(port));
    let [_, place, length, ..] = call.received().arguments;
    names::write(call, (place, length), peer.bytes())?;
    // An error means that the caller is gone, or has no number left.
    let _ = call.answer(Reply::Fd {
        fd: connection.as_raw_fd(),
        target: None,
        cloexec: flags & libc::SOCK_CLOEXEC != 0,
    });
    Ok(())
}

/// A connection, and whom it is from.
type Accepted = (OwnedFd, [u8; LONGEST_ADDRESS], usize);

/// Where connections are accepted, one at a time.
#[derive(Default)]
pub(super) struct Entrance(Mutex<()>);

impl Entrance {
    /// Accepts a connection. None: there is none, and the caller waits for one.
    fn accept(&self, socket: &OwnedFd, nonblocking: bool) -> sys::Result<Option<Accepted>> {
        let number = socket.as_raw_fd();
        let _turn = self.0.lock();
        let flags = Flags::of(number)?;
        let waits = !flags.are_nonblocking();
        let mut somebody = [Wait::readable(number)];
        if waits && (poll(&mut somebody, 0).is_err() || !somebody[0].ready()) {
            return Ok(None);
        }
        if waits {
            flags.nonblocking().set(number)?;
        }
        let accepted = socket::accept(number, nonblocking);
        if waits {
            flags.set(number)?;
        }
        match accepted {
            Ok((connection, address, length)) => Ok(Some((own(Ok(connection))?, address, length))),
            Err(Errno(libc::EAGAIN)) if waits => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_socket_is_asked_when_there_is_somebody() {
        let entrance = Entrance::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap();
        let listener = OwnedFd::from(listener);
        let before = Flags::of(listener.as_raw_fd());
        assert!(matches!(entrance.accept(&listener, false), Ok(None)));
        let client = TcpStream::connect(place).unwrap();
        let (_connection, bytes, length) = entrance.accept(&listener, false).unwrap().unwrap();
        let expected = Address::internet([127, 0, 0, 1].into(), client.local_addr().unwrap().port());
        assert_eq!(bytes.get(..length), Some(expected.bytes()));
        assert!(matches!(entrance.accept(&listener, false), Ok(None)));
        assert_eq!(Flags::of(listener.as_raw_fd()), before);
        before.unwrap().nonblocking().set(listener.as_raw_fd()).unwrap();
        assert_eq!(entrance.accept(&listener, false).err(), Some(Errno(libc::EAGAIN)));
    }

    #[test]
    fn connections_tell_whom_they_are_from() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, bytes, length) = socket::accept(listener.as_raw_fd(), true).unwrap();
        let accepted = own(Ok(accepted)).unwrap();
        assert!(Flags::of(accepted.as_raw_fd()).unwrap().are_nonblocking());
        let expected = Address::internet([127, 0, 0, 1].into(), client.local_addr().unwrap().port());
        assert_eq!(bytes.get(..length), Some(expected.bytes()));
    }
}
