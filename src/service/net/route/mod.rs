//! Sockets of NETLINK_ROUTE (rtnetlink(7)), emulated: they show a loopback interface and nothing of the host.
//!
//! Programs use them to list interfaces and addresses; libc does, too. The kernel's own would show them the host's, so socket(2) is
//! trapped, and what the program gets is one end of a pair of unix sockets. The library answers at the other end, on the warden
//! (`endpoint.rs`, `answer.rs`, `facts.rs`). No datagram on the way is trapped: the kernel keeps the bounds of messages, takes no notice
//! of the address that is sent to, and gives as the sender's what looks like that of the kernel (`sys/netlink.rs`).
//!
//! What would tell the two kinds of sockets apart is trapped: bind(2), which would fail; getsockname(2), since programs compare
//! what they find in answers with it; and receiving without waiting right after sending, as musl's getifaddrs(3) does, because the
//! kernel has answered by then.
//!
//! # Passing on
//!
//! Calls on other sockets are passed on, and by the time they run the descriptor may be another, by the doing of the program's other
//! threads. Nothing was decided about it then, and nothing is lost: what runs is what the program could have called on that
//! other descriptor in the first place, past this service. getsockname(2) and recvfrom(2) without an address reach nobody. bind(2) with
//! twelve bytes of address means nothing to internet sockets, whose addresses are longer (EINVAL); where unix sockets may
//! exist, the service that decides about their addresses comes after this one.

mod answer;
mod endpoint;
mod facts;
mod message;
mod register;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod endpoint_tests;
#[cfg(test)]
mod kernel_tests;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::supervisor::{Call, Ground, Reply, Served};
use crate::sys::{Errno, netlink};

use super::made::Made;
use super::socket::{descriptor, duplicate, own};
use endpoint::{Attention, Endpoint};
use message::u32_at;
use register::Register;

/// AF_NETLINK, as addresses begin with it, and how long they are.
const FAMILY: u16 = 16;
const _: () = assert!(FAMILY as i32 == libc::AF_NETLINK);
const LENGTH: u32 = 12;
const _: () = assert!(LENGTH as usize == netlink::ADDRESS_LENGTH);

/// The emulated sockets of one sandbox.
#[derive(Default)]
pub(crate) struct Route {
    register: Arc<Register>,
    /// Where the program's sockets are kept, if nobody can take duplicates of them.
    made: Option<Arc<Made>>,
}

impl Route {
    pub(super) fn new(made: Option<Arc<Made>>) -> Self {
        Self {
            made,
            ..Self::default()
        }
    }

    /// socket(2): makes a socket of NETLINK_ROUTE. It answers the call itself, and then says `Taken`: what is taken is to be dropped.
    /// Passes on what is not AF_NETLINK, and refuses what the filter should not have left to it.
    pub(crate) fn open(&self, call: &Call, ground: Ground) -> Served {
        let [family, kind, protocol, ..] = call.received().arguments.map(descriptor);
        if family != libc::AF_NETLINK {
            return Served::Pass;
        }
        let flags = kind & !SOCK_TYPE_MASK;
        if flags & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) != 0 {
            return refusal(libc::EINVAL);
        }
        if !matches!(kind & SOCK_TYPE_MASK, libc::SOCK_RAW | libc::SOCK_DGRAM) {
            return refusal(libc::ESOCKTNOSUPPORT);
        }
        if protocol != libc::NETLINK_ROUTE {
            return refusal(libc::EPROTONOSUPPORT);
        }
        // To look what the program has closed takes a while.
        if self.made.is_some() && !matches!(ground, Ground::Apart | Ground::UnscopedApart) {
            return Served::Apart;
        }
        let process = own_number(call.thread()).unwrap_or_default();
        // Refusing descriptors is left out in tests only.
        let options = (flags & libc::SOCK_NONBLOCK != 0, true);
        let opened = match (self.register.open(options, process), &self.made) {
            // The program may have closed some, which are not closed here.
            (Err(Errno(libc::ENOBUFS)), Some(made)) if made.collect(call.reach()) > 0 => {
                self.register.open(options, process)
            }
            (opened, _) => opened,
        };
        let (endpoint, theirs) = match opened {
            Ok(opened) => opened,
            Err(Errno(errno)) => return refusal(errno),
        };
        if call.errands().leave(Box::new(Attention::new(endpoint))).is_err() {
            return refusal(libc::ENOBUFS);
        }
        let cloexec = flags & libc::SOCK_CLOEXEC != 0;
        if let Some(made) = &self.made {
            return match made.give(call, theirs, false, cloexec) {
                Ok(()) => Served::Taken,
                Err(Errno(errno)) => refusal(errno),
            };
        }
        // An error means that the caller is gone. The library's end notices that nobody has the other.
        let _ = call.answer(Reply::Fd {
            fd: theirs.as_raw_fd(),
            target: None,
            cloexec,
        });
        Served::Taken
    }

    /// bind(2) with an address as long as netlink's: binds an emulated socket, and passes others on. Apart from the warden.
    pub(crate) fn bind(&self, call: &Call, ground: Ground) -> Served {
        self.address(call, ground, |endpoint, address| self.register.bind(endpoint, address))
    }

    /// connect(2), likewise: nobody but the kernel can be connected to.
    pub(crate) fn connect(&self, call: &Call, ground: Ground) -> Served {
        self.address(call, ground, |_, address| match address {
            0 => Ok(()),
            _ => Err(Errno(libc::ECONNREFUSED)),
        })
    }

    /// Has `take` do what is asked with the nl_pid of an address.
    fn address(&self, call: &Call, ground: Ground, take: impl FnOnce(&Endpoint, u32) -> Result<(), Errno>) -> Served {
        let [number, address, length, ..] = call.received().arguments;
        if u32::try_from(descriptor(length)) != Ok(LENGTH) {
            return Served::Pass;
        }
        self.with(call, ground, number, |endpoint| {
            let mut bytes = [0; netlink::ADDRESS_LENGTH];
            read(call, address, &mut bytes)?;
            let port = u32_at(&bytes, 4).unwrap_or_default();
            if !bytes.starts_with(&FAMILY.to_ne_bytes()) {
                return Err(Errno(libc::EINVAL));
            }
            // Groups are as good as joined: nothing ever changes that their members would be told of.
            take(endpoint, port)
        })
    }

    /// getsockname(2): gives an emulated socket's address, and passes others on. Apart from the warden.
    pub(crate) fn getsockname(&self, call: &Call, ground: Ground) -> Served {
        let [number, address, length, ..] = call.received().arguments;
        self.with(call, ground, number, |endpoint| {
            let name = name(self.register.port(endpoint));
            let mut room = [0; 4];
            read(call, length, &mut room)?;
            let room = usize::try_from(i32::from_ne_bytes(room)).map_err(|_| Errno(libc::EINVAL))?;
            write(call, address, &name[..room.min(name.len())])?;
            write(call, length, &LENGTH.to_ne_bytes())
        })
    }

    /// recvfrom(2), of who will not wait: sees to it that what was asked on emulated sockets is answered, and passes it on. Answering
    /// wherever something was asked takes no longer than finding out which socket is meant.
    pub(crate) fn receive(&self, _call: &Call) -> Served {
        for endpoint in self.register.all() {
            endpoint.answer_at_once();
        }
        Served::Pass
    }

    fn find(&self, socket: BorrowedFd<'_>) -> Option<Arc<Endpoint>> {
        let cookie = netlink::cookie(socket.as_raw_fd()).ok()?;
        self.register.find(cookie)
    }

    /// Answers a call with what `serve` does if the caller's descriptor `number` is an emulated socket. Passes it on if it is not, or if
    /// nobody can tell.
    fn with(
        &self,
        call: &Call,
        ground: Ground,
        number: u64,
        serve: impl FnOnce(&Endpoint) -> Result<(), Errno>,
    ) -> Served {
        if self.register.is_empty() {
            return Served::Pass;
        }
        match ground {
            Ground::Free | Ground::Warden | Ground::Unscoped => return Served::Apart,
            Ground::Apart | Ground::UnscopedApart => {}
        }
        let socket = match &self.made {
            None => duplicate(call, number),
            Some(made) => made.duplicate(call, number),
        };
        let endpoint = socket.ok().and_then(|socket| self.find(socket.0.as_fd()));
        match endpoint.map(|endpoint| serve(&endpoint)) {
            None => Served::Pass,
            Some(Ok(())) => Served::Answer(Reply::Value(0)),
            Some(Err(Errno(errno))) => refusal(errno),
        }
    }
}

/// The bits of socket(2)'s type that are no flags.
const SOCK_TYPE_MASK: i32 = 0xf;

/// A pair of sockets.
fn pair(nonblocking: bool) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = netlink::pair(nonblocking)?;
    Ok((own(Ok(ours))?, own(Ok(theirs))?))
}

/// A `sockaddr_nl` of a program's.
fn name(port: u32) -> [u8; netlink::ADDRESS_LENGTH] {
    let mut name = [0; netlink::ADDRESS_LENGTH];
    name[..2].copy_from_slice(&FAMILY.to_ne_bytes());
    name[4..8].copy_from_slice(&port.to_ne_bytes());
    name
}

fn refusal(errno: i32) -> Served {
    // What is no errno would be no answer, and the call denied.
    Served::Answer(Reply::Errno(u16::try_from(errno).unwrap_or(1)))
}

/// Reads all of `bytes` from the caller's memory.
fn read(call: &Call, address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    match call.read(address, bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        _ => Err(Errno(libc::EFAULT)),
    }
}

/// Writes all of `bytes` to the caller's memory.
fn write(call: &Call, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    match call.write(address, bytes) {
        Ok(count) if count == bytes.len() => Ok(()),
        _ => Err(Errno(libc::EFAULT)),
    }
}

/// The number of the process of `thread`, as it has it itself: what the kernel makes the address of its first socket. Nothing depends on
/// it, so nobody minds if `thread` is another's number by now.
fn own_number(thread: i32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NStgid:"))?;
    numbers.split_ascii_whitespace().next_back()?.parse().ok()
}
