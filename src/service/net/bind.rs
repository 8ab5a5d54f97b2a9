//! bind(2) and listen(2), on behalf.
//!
//! Port 0 asks for any free port. Where a rule allows a range, and not all ports, that means one of the range, which the kernel does not
//! know: free ones are tried. A datagram socket that asks for any port gets what it would be given when it sends.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::policy::net::{Protocol, Table};
use crate::supervisor::{Call, Reply};
use crate::sys::socket::Kind;
use crate::sys::{Errno, socket};

use super::address::{Address, Meaning};
use super::made::Past;
use super::ports::Wanted;
use super::rules::{Rules, protocol};
use super::{answer, unix};

/// How many ports of a range are tried. Whoever binds that many has them.
const MOST_TRIES: usize = 4096;

/// Serves bind(2).
pub(super) fn serve(rules: &Rules, call: &Call) {
    match bind(rules, call) {
        // An error means that the caller is gone.
        Ok(Bound::ByKernel) => drop(call.answer(Reply::Continue)),
        bound => answer(call, bound.map(|_| 0)),
    }
}

enum Bound {
    Done,
    /// The call can be let through.
    ByKernel,
}

fn bind(rules: &Rules, call: &Call) -> Result<Bound, Errno> {
    let [number, pointer, length, ..] = call.received().arguments;
    let (socket, kind) = rules.duplicate(call, number)?;
    if kind.domain == libc::AF_UNIX && !rules.has_datagrams() {
        // Whatever socket and address it finds, Landlock decides: by path, or by TCP port. And the socket gets the name that it asked for.
        return Ok(Bound::ByKernel);
    }
    let address = Address::read(call, pointer, length)?;
    let bound = match bind_to(rules, call, &socket, kind, address) {
        // Perhaps by a socket that the program has closed.
        Err(Errno(libc::EADDRINUSE)) if rules.collect(call) => bind_to(rules, call, &socket, kind, address),
        bound => bound,
    };
    bound.map(|()| Bound::Done)
}

fn bind_to(rules: &Rules, call: &Call, socket: &OwnedFd, kind: Kind, address: Address) -> Result<(), Errno> {
    if kind.domain == libc::AF_UNIX {
        let meaning = address.meaning_to_bind(kind)?;
        return unix::bind(rules, call, socket, &address, &meaning);
    }
    let address = address.with_family(kind);
    let Meaning::Internet(_, port) = address.meaning(kind)? else {
        return Err(Errno(libc::EAFNOSUPPORT));
    };
    let protocol = protocol(kind).ok_or(Errno(libc::EACCES))?;
    match (protocol, port) {
        // The "port" is an identifier of echo requests.
        (Protocol::Icmp, _) | (Protocol::Udp, 0) => {}
        (Protocol::Tcp, 0) if has_choice(rules) => return bind_to_any(rules, call, socket, kind, &address),
        (_, port) => rules.decide_bind(call, kind, port)?,
    }
    match &rules.ports {
        Some(ports) if protocol != Protocol::Icmp => {
            let wanted = if port == 0 { Wanted::Any } else { Wanted::This(port) };
            ports.bind(rules, (socket, kind, protocol), &address, wanted)
        }
        _ => rules.on_behalf(|| socket::bind(socket.as_raw_fd(), address.bytes())),
    }
}

/// True if rules allow any port, or a range of them.
fn has_choice(rules: &Rules) -> bool {
    !matches!(free_choice(rules.live.now().ports(), Protocol::Tcp), Choice::None)
}

/// Binds to a free port that is allowed. Where none is the socket is bound all the same, and the call refused.
fn bind_to_any(rules: &Rules, call: &Call, socket: &OwnedFd, kind: Kind, address: &Address) -> Result<(), Errno> {
    let choice = free_choice(rules.live.now().ports(), Protocol::Tcp);
    let number = socket.as_raw_fd();
    let of_its_own = |wanted| {
        let ports = rules.ports.as_ref();
        ports.map(|ports| ports.bind(rules, (socket, kind, Protocol::Tcp), address, wanted))
    };
    let bound = match &choice {
        Choice::Any => of_its_own(Wanted::Any),
        Choice::Some(ports) => of_its_own(Wanted::OneOf(ports)),
        Choice::None => None,
    };
    match choice {
        _ if let Some(bound) = bound => bound,
        Choice::Any => rules.on_behalf(|| socket::bind(number, address.bytes())),
        Choice::None => {
            // So that one which is bound already is told from others. This one listens at nothing.
            rules.on_behalf(|| socket::bind(number, address.bytes()))?;
            // To be told of, and refused.
            rules.decide_bind(call, kind, 0)?;
            Err(Errno(libc::EACCES))
        }
        Choice::Some(ports) => rules.on_behalf(|| {
            let mut found = Errno(libc::EADDRINUSE);
            for port in ports {
                match socket::bind(number, address.with_port(port).bytes()) {
                    Err(Errno(libc::EADDRINUSE)) => {}
                    // A port that takes a privilege, which the kernel says before it says that the socket is bound already.
                    Err(errno @ Errno(libc::EACCES)) => found = errno,
                    bound => return bound,
                }
            }
            if found.0 == libc::EACCES {
                // As where there is none.
                socket::bind(number, address.bytes())?;
            }
            Err(found)
        }),
    }
}

/// Which ports stand for "any free one".
enum Choice {
    Any,
    /// These, in this order.
    Some(Vec<u16>),
    None,
}

fn free_choice(table: &Table, protocol: Protocol) -> Choice {
    let Some(ports) = table.bound_ports(protocol) else {
        return Choice::None;
    };
    if ports.is_all() {
        return Choice::Any;
    }
    // A port by itself was meant to be named.
    let ranges = ports.ranges().iter().filter(|range| range.start() != range.end());
    let mut free: Vec<u16> = ranges.flat_map(Clone::clone).collect();
    if free.is_empty() {
        return Choice::None;
    }
    // Not always the same: two programs that begin at one end would meet at every port.
    let start = usize::try_from(std::process::id()).unwrap_or(0).wrapping_mul(31) ^ somewhere();
    let length = free.len();
    free.rotate_left(start % length);
    free.truncate(MOST_TRIES);
    Choice::Some(free)
}

/// A number that differs from call to call.
fn somewhere() -> usize {
    use std::hash::{BuildHasher, RandomState};
    usize::try_from(RandomState::new().hash_one(0_u8) >> 33).unwrap_or(0)
}

/// Serves listen(2): on a socket without a port the kernel would choose one, which Landlock does not see.
pub(super) fn serve_listen(rules: &Rules, call: &Call) {
    answer(call, listen(rules, call).map(|()| 0));
}

fn listen(rules: &Rules, call: &Call) -> Result<(), Errno> {
    let [number, backlog, ..] = call.received().arguments;
    let (socket, kind) = rules.duplicate(call, number)?;
    if !call.is_waiting() {
        return Err(Errno(libc::ESRCH));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // an int: its lower half
    let backlog = backlog as u32 as i32;
    let listen = || rules.on_behalf(|| socket::listen(socket.as_raw_fd(), backlog));
    if kind.domain == libc::AF_UNIX {
        listen()?;
        rules.let_go(&socket, Past::Listening);
        return Ok(());
    }
    if protocol(kind) != Some(Protocol::Tcp) {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    // The kernel says of a socket whether it is bound by refusing to bind it, and in no other way: the port that getsockname(2) tells may be
    // one that it has had.
    let any = any_address(kind).ok_or(Errno(libc::EAFNOSUPPORT))?;
    match bind_to_any(rules, call, &socket, kind, &any) {
        Ok(()) => {}
        Err(Errno(libc::EINVAL)) => check_port(rules, call, &socket, kind)?,
        Err(errno) => return Err(errno),
    }
    listen()?;
    // Another thread can have taken the port from it (AF_UNSPEC) just before, if it was not bound but connected.
    check_port(rules, call, &socket, kind).inspect_err(|_| {
        let _ = socket::shut_down_reading(socket.as_raw_fd());
    })?;
    rules.let_go(&socket, Past::Listening);
    Ok(())
}

/// An error if a socket has a port that it must not be bound to.
fn check_port(rules: &Rules, call: &Call, socket: &OwnedFd, kind: Kind) -> Result<(), Errno> {
    let ports = rules.ports.as_ref();
    let port = match ports.and_then(|ports| ports.own_number(socket)) {
        Some(port) => port,
        None => port_of(socket, kind)?,
    };
    rules.decide_bind(call, kind, port)
}

/// The port that it is bound to, or 0.
fn port_of(socket: &OwnedFd, kind: Kind) -> Result<u16, Errno> {
    let (bytes, length) = socket::local_address(socket.as_raw_fd())?;
    let address = bytes.get(..length).and_then(Address::of).ok_or(Errno(libc::EINVAL))?;
    match address.meaning(kind)? {
        Meaning::Internet(_, port) => Ok(port),
        _ => Ok(0),
    }
}

/// Any address, port 0.
fn any_address(kind: Kind) -> Option<Address> {
    let length = match kind.domain {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        _ => return None,
    };
    let mut bytes = [0; size_of::<libc::sockaddr_in6>()];
    let family = libc::sa_family_t::try_from(kind.domain).ok()?;
    *bytes.first_chunk_mut()? = family.to_ne_bytes();
    Address::of(bytes.get(..length)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::net::{BindRule, NetRules};

    fn choice(rules: &[&str]) -> Choice {
        let rules = NetRules {
            allow_bind: rules.iter().map(|text| BindRule::parse(text).unwrap()).collect(),
            ..NetRules::default()
        };
        free_choice(&Table::new(&rules, &std::collections::BTreeMap::new()), Protocol::Tcp)
    }

    #[test]
    fn any_port_is_one_of_the_ranges_that_are_allowed() {
        assert!(matches!(choice(&["*"]), Choice::Any));
        assert!(matches!(choice(&[]), Choice::None));
        assert!(matches!(choice(&["8080"]), Choice::None));
        let Choice::Some(mut ports) = choice(&["8000-8003", "9000"]) else {
            panic!("a range is a choice");
        };
        ports.sort_unstable();
        assert_eq!(ports, [8000, 8001, 8002, 8003]);
        let Choice::Some(ports) = choice(&["1024-65535"]) else {
            panic!("a range is a choice");
        };
        assert_eq!(ports.len(), MOST_TRIES);
    }
}
