//! accept(2), on behalf, where the caller wants to know who has connected.
//!
//! The caller waits, if it would, without anybody waiting with it: the listening socket is polled by the warden, and asked only when there is
//! somebody. It is made non-blocking for that, for some microseconds and by one thread at a time, as it may belong to many.
//!
//! A program that makes it blocking again at the same time can have the thread wait in the kernel, until somebody connects. That
//! holds up nobody but the program; when the sandbox ends, the socket is shut down, so that the thread is free.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::supervisor::{Call, Errand, Errands, Reply};
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
    let accepted = rules.on_behalf(|| {
        let nonblocking = flags & libc::SOCK_NONBLOCK != 0;
        ports.entrance.accept(&held.call.errands(), &held.socket, nonblocking)
    });
    match accepted {
        Ok(Some((connection, bytes, length))) => {
            let peer = bytes.get(..length).and_then(Address::of);
            let given = peer.map_or(Err(Errno(libc::ECONNABORTED)), |peer| {
                give(ports, &held.call, &connection, peer, flags)
            });
            if let Err(errno) = given {
                answer(&held.call, Err(errno));
            }
        }
        Ok(None) => {
            let next = Arc::clone(rules);
            wait(rules, held, For::Readable, move |held| go_on(&next, held, flags));
        }
        Err(errno) => answer(&held.call, Err(errno)),
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
pub(super) struct Entrance {
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Somebody sees to it that it ends with the sandbox.
    is_attended: bool,
    has_ended: bool,
    /// The socket that is being asked.
    asked: Option<RawFd>,
}

impl Entrance {
    /// Accepts a connection. None: there is none, and the caller waits for one.
    fn accept(
        self: &Arc<Self>,
        errands: &Errands,
        socket: &OwnedFd,
        nonblocking: bool,
    ) -> sys::Result<Option<Accepted>> {
        let number = socket.as_raw_fd();
        let _turn = self.turn.lock();
        self.attend(errands)?;
        let status = Flags::of(number)?;
        let waits = !status.are_nonblocking();
        let mut somebody = [Wait::readable(number)];
        if waits && (poll(&mut somebody, 0).is_err() || !somebody[0].ready()) {
            return Ok(None);
        }
        let _asking = self.ask(number)?;
        if waits {
            status.nonblocking().set(number)?;
        }
        let accepted = socket::accept(number, nonblocking);
        if waits {
            status.set(number)?;
        }
        match accepted {
            Ok((connection, address, length)) => Ok(Some((own(Ok(connection))?, address, length))),
            Err(Errno(libc::EAGAIN)) if waits => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Has the warden end this with the sandbox.
    fn attend(self: &Arc<Self>, errands: &Errands) -> sys::Result<()> {
        if std::mem::replace(&mut self.state.lock().is_attended, true) {
            return Ok(());
        }
        let armed = Arc::new(AtomicBool::new(true));
        let last = Last {
            entrance: Arc::clone(self),
            armed: Arc::clone(&armed),
        };
        let left = errands.leave(Box::new(last));
        if left.is_err() {
            armed.store(false, Ordering::Relaxed);
            self.state.lock().is_attended = false;
        }
        // Too many calls wait, or the sandbox has ended.
        left.map_err(|_| Errno(libc::ENOBUFS))
    }

    /// Notes which socket is asked.
    fn ask(&self, number: RawFd) -> sys::Result<Asking<'_>> {
        let mut state = self.state.lock();
        if state.has_ended {
            return Err(Errno(libc::ESRCH));
        }
        state.asked = Some(number);
        Ok(Asking(self))
    }

    fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        if let Some(number) = state.asked {
            // It is open: who asks takes note of the end first.
            let _ = socket::shut_down_reading(number);
        }
    }
}

/// A socket is being asked.
struct Asking<'a>(&'a Entrance);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.state.lock().asked = None;
    }
}

/// What the warden keeps until the sandbox ends.
struct Last {
    entrance: Arc<Entrance>,
    /// The warden has it.
    armed: Arc<AtomicBool>,
}

impl Errand for Last {
    fn wait(&self) -> Option<(RawFd, i16)> {
        None
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn call(&self) -> Option<&Call> {
        None
    }

    fn proceed(self: Box<Self>, _ready: bool) -> Option<Box<dyn Errand>> {
        Some(self)
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        if self.armed.load(Ordering::Relaxed) {
            self.entrance.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn who_waits_in_the_kernel_is_freed_at_the_end() {
        let entrance = Arc::new(Entrance::default());
        let listener = OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
        let number = listener.as_raw_fd();
        let thread = {
            let entrance = Arc::clone(&entrance);
            std::thread::Builder::new()
                .spawn(move || {
                    let _asking = entrance.ask(listener.as_raw_fd()).unwrap();
                    // What a program that makes the socket blocking would bring about.
                    socket::accept(listener.as_raw_fd(), false).err()
                })
                .unwrap()
        };
        while entrance.state.lock().asked != Some(number) {
            std::thread::yield_now();
        }
        entrance.end();
        assert_eq!(thread.join().unwrap(), Some(Errno(libc::EINVAL)));
        assert!(entrance.ask(number).is_err());
        assert_eq!(entrance.state.lock().asked, None);
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
