//! socket(2), on behalf.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::supervisor::{Call, Reply};
use crate::sys::{Errno, socket};

use super::super::rules::{Rules, protocol};
use super::super::socket::{descriptor, own};
use super::super::{Network, answer};
use super::Made;
use crate::policy::net::reach::Reach;

/// The bits of socket(2)'s type that are no flags.
const SOCK_TYPE_MASK: i32 = 0xf;

/// True if the call asks for a socket that the library makes.
pub(in super::super) fn is_about(reach: Network, call: &Call) -> bool {
    let [domain, ..] = call.received().arguments.map(descriptor);
    match domain {
        libc::AF_INET | libc::AF_INET6 => reach.serves_making(),
        libc::AF_UNIX => reach.serves_making() && reach.unix == Reach::Served,
        _ => false,
    }
}

/// Serves it.
pub(in super::super) fn serve(rules: &Rules, made: &Arc<Made>, call: &Call) {
    if let Err(errno) = make(rules, made, call) {
        answer(call, Err(errno));
    }
}

fn make(rules: &Rules, made: &Arc<Made>, call: &Call) -> Result<(), Errno> {
    let [domain, kind, number, ..] = call.received().arguments.map(descriptor);
    let (kind, flags) = (kind & SOCK_TYPE_MASK, kind & !SOCK_TYPE_MASK);
    if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let socket = own(rules.on_behalf(|| socket::create(domain, kind | flags & libc::SOCK_NONBLOCK, number)))?;
    let kind = socket::kind(socket.as_raw_fd())?;
    // The filter has let nothing else through.
    if kind.domain != libc::AF_UNIX && protocol(kind).is_none() {
        return Err(Errno(libc::EPERM));
    }
    made.give(
        call,
        socket,
        kind.type_ == libc::SOCK_STREAM,
        flags & libc::SOCK_CLOEXEC != 0,
    )
}

impl Made {
    /// Answers `call` with a socket, and keeps that. An error: it was not answered.
    pub(in super::super) fn give(
        self: &Arc<Self>,
        call: &Call,
        socket: OwnedFd,
        stream: bool,
        cloexec: bool,
    ) -> Result<(), Errno> {
        let socket = Arc::new(socket);
        let id = match self.keep(&socket, stream) {
            Err(Errno(libc::ENFILE)) if self.collect(call.reach()) > 0 => self.keep(&socket, stream),
            kept => kept,
        }?;
        let answered = call.answer(Reply::Fd {
            fd: socket.as_raw_fd(),
            target: None,
            cloexec,
        });
        match answered {
            Ok(()) => {
                self.note_given(id);
                self.attend(call);
            }
            // The caller is gone, or was told that it got none.
            Err(_) => self.forget(id),
        }
        Ok(())
    }
}
