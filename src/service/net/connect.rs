//! connect(2), on behalf: with the address that was decided about, on a duplicate of the caller's socket.
//!
//! The caller waits, if it would, without anybody waiting with it: the connection is begun without waiting, for which the socket is made
//! non-blocking for just that call, and asked for again when the kernel says that something has come of it. The kernel then tells how a
//! connection ended that was begun that way, and leaves the socket as after a call that has waited.
//!
//! Another thread can make the socket blocking again in between, and have this one wait in its place. For that case every socket that is
//! out is known: at the end of the sandbox those of the internet are shut down. Unix sockets cannot be got out of it; so only one thread
//! at a time connects them.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Instant;

use crate::lock::Mutex;
use crate::supervisor::{Call, Errand};
use crate::sys::socket::Flags;
use crate::sys::{Errno, socket};

use super::address::{Address, Meaning};
use super::made::Past;
use super::rules::{Action, Rules};
use super::waiting::{For, Held, Patience, wait};
use super::{answer, unix};

/// Serves connect(2).
pub(super) fn serve(rules: &Arc<Rules>, call: Call) {
    match begin(rules, &call) {
        Ok((socket, target)) => {
            let late = if target.is_unix {
                libc::EAGAIN
            } else {
                libc::EINPROGRESS
            };
            let held = Held {
                patience: Patience::new(late),
                socket,
                call,
            };
            go_on(rules, held, target);
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
    /// The caller would wait; then what its socket says of that.
    blocking: Option<Flags>,
    /// Nothing is decided about the socket once it is there: it is a stream.
    is_last: bool,
}

fn begin(rules: &Rules, call: &Call) -> Result<(OwnedFd, Target), Errno> {
    let [number, pointer, length, ..] = call.received().arguments;
    let (socket, kind) = rules.duplicate(call, number)?;
    let address = Address::read(call, pointer, length)?.without_any();
    let meaning = address.meaning(kind)?;
    let is_last = kind.type_ == libc::SOCK_STREAM && meaning != Meaning::Nobody;
    let (address, file) = match meaning {
        Meaning::Nobody => (address, None),
        Meaning::Internet(host, port) => {
            let port = rules.decide(call, kind, (host, port), Action::Connect)?;
            (address.with_port(port), None)
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
    let blocking = if kind.type_ == libc::SOCK_DGRAM {
        None
    } else {
        Some(Flags::of(socket.as_raw_fd())?).filter(|flags| !flags.are_nonblocking())
    };
    let target = Target {
        address,
        _file: file,
        is_unix: kind.domain == libc::AF_UNIX,
        blocking,
        is_last,
    };
    Ok((socket, target))
}

/// Tries, and waits if it must.
fn go_on(rules: &Arc<Rules>, held: Held, target: Target) {
    let number = held.socket.as_raw_fd();
    let connected = match target.blocking {
        None => rules.on_behalf(|| socket::connect(number, target.address.bytes())),
        Some(flags) if target.is_unix => match rules.unix_turn.try_lock() {
            Some(_turn) => rules.on_behalf(|| without_waiting(number, flags, target.address.bytes(), false)),
            None => Err(Errno(libc::EAGAIN)),
        },
        Some(flags) => rules.out.having(&held, || {
            rules.on_behalf(|| without_waiting(number, flags, target.address.bytes(), true))
        }),
    };
    let what = match connected {
        Err(Errno(libc::EINPROGRESS | libc::EALREADY)) if target.blocking.is_some() && !target.is_unix => For::Writable,
        // The queue of who listens is full, and nobody tells when it no longer is.
        Err(Errno(libc::EAGAIN)) if target.blocking.is_some() && target.is_unix => For::Time,
        connected => return finish(rules, held, &target, connected),
    };
    let next = Arc::clone(rules);
    wait(rules, held, what, move |held| go_on(&next, held, target));
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

/// connect(2) on a socket that would wait. Its other users see it non-blocking meanwhile, for some microseconds. `again`: what has begun may
/// have come to its end by the time it is asked for again, as it does on loopback.
fn without_waiting(socket: i32, flags: Flags, address: &[u8], again: bool) -> Result<(), Errno> {
    flags.nonblocking().set(socket)?;
    let mut connected = socket::connect(socket, address);
    if again && connected == Err(Errno(libc::EINPROGRESS)) {
        connected = socket::connect(socket, address);
    }
    flags.set(socket)?;
    connected
}

/// Sockets that are being connected, or asked for connections.
#[derive(Default)]
pub(super) struct Out(Arc<Mutex<Sockets>>);

#[derive(Default)]
struct Sockets {
    numbers: Vec<RawFd>,
    /// At the end of the sandbox they are shut down.
    is_watched: bool,
    ended: bool,
}

impl Out {
    /// Does `work` about a socket, which is known as long as that lasts.
    pub(super) fn having<T>(&self, held: &Held, work: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        let number = held.socket.as_raw_fd();
        {
            let mut sockets = self.0.lock();
            if !sockets.is_watched {
                let end = End(Arc::clone(&self.0));
                sockets.is_watched = true;
                drop(sockets);
                // Dropped at once if the sandbox has ended.
                drop(held.call.errands().leave(Box::new(end)));
                sockets = self.0.lock();
            }
            if sockets.ended {
                return Err(Errno(libc::ECONNABORTED));
            }
            sockets.numbers.push(number);
        }
        let done = work();
        self.0.lock().numbers.retain(|&known| known != number);
        done
    }
}

/// The end of the sandbox, when everybody in it has been killed.
struct End(Arc<Mutex<Sockets>>);

impl Errand for End {
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

impl Drop for End {
    fn drop(&mut self) {
        let mut sockets = self.0.lock();
        sockets.ended = true;
        // While the lock is held none of them is closed.
        for &number in &sockets.numbers {
            // An error means that nobody waits for it.
            let _ = socket::shut_down(number);
        }
    }
}
