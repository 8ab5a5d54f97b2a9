//! Ports of real sockets.
#![allow(unsafe_code)] // two blocks: making a socket that is bound to nothing, and an option

use super::super::live::Live;
use super::super::socket::own;
use super::*;
use crate::policy::net::NetRules;
use crate::policy::net::reach::Network;

/// A sandbox of its own.
fn sandbox() -> Rules {
    let reach = Network {
        remaps: true,
        ..Network::CLOSED
    };
    let live = Live::new(&NetRules::default(), &std::collections::BTreeMap::new());
    Rules::new(live, reach, true, None)
}

fn open(protocol: Protocol, host: IpAddr) -> (OwnedFd, Kind) {
    let domain = if host.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let type_ = match protocol {
        Protocol::Udp => libc::SOCK_DGRAM,
        _ => libc::SOCK_STREAM,
    };
    // SAFETY: takes no pointers.
    let socket = own(Ok(unsafe { libc::socket(domain, type_ | libc::SOCK_CLOEXEC, 0) })).unwrap();
    let kind = socket::kind(socket.as_raw_fd()).unwrap();
    (socket, kind)
}

const ALONE: Sharing = Sharing::NONE;
const REUSED: Sharing = Sharing {
    address: true,
    port: false,
};
const SHARED: Sharing = Sharing {
    address: false,
    port: true,
};

fn try_bind(
    rules: &Rules,
    protocol: Protocol,
    host: &str,
    wanted: Wanted<'_>,
    sharing: Sharing,
) -> sys::Result<OwnedFd> {
    let host = host.parse().unwrap();
    let (socket, kind) = open(protocol, host);
    sharing.set(socket.as_raw_fd()).unwrap();
    let ports = rules.ports.as_ref().unwrap();
    let bound = ports.bind(rules, (&socket, kind, protocol), &Address::internet(host, 1), wanted);
    assert_eq!(Sharing::of(socket.as_raw_fd()), Ok(sharing), "left as it was");
    bound.map(|()| socket)
}

fn bind(rules: &Rules, protocol: Protocol, host: &str, wanted: Wanted<'_>) -> OwnedFd {
    try_bind(rules, protocol, host, wanted, ALONE).unwrap()
}

/// The port of the host that a socket has.
fn outside(socket: &OwnedFd) -> u16 {
    let (bytes, _) = socket::local_address(socket.as_raw_fd()).unwrap();
    u16::from_be_bytes([bytes[2], bytes[3]])
}

fn way(rules: &Rules, protocol: Protocol, host: &str, port: u16) -> (u16, u16) {
    rules.ports.as_ref().unwrap().way(protocol, host.parse().unwrap(), port)
}

fn list(rules: &Rules) -> Vec<(Protocol, u16, u16)> {
    rules.ports.as_ref().unwrap().list().unwrap()
}

const IN_USE: Errno = Errno(libc::EADDRINUSE);

#[test]
fn all_sandboxes_can_have_the_same_port() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let sandboxes = [sandbox(), sandbox(), sandbox()];
        let sockets: Vec<_> = sandboxes
            .iter()
            .map(|rules| bind(rules, protocol, "0.0.0.0", Wanted::This(80)))
            .collect();
        for (rules, socket) in sandboxes.iter().zip(&sockets) {
            let port = outside(socket);
            assert!(port > 1024);
            assert_eq!(list(rules), [(protocol, 80, port)]);
            assert_eq!(way(rules, protocol, "127.0.0.1", 80), (80, port));
            // Datagrams that come from there are answered.
            assert_eq!(way(rules, protocol, "127.0.0.1", port), (80, port));
            let ports = rules.ports.as_ref().unwrap();
            assert_eq!(ports.own_number(socket), Some(80));
        }
        let mut ports: Vec<_> = sockets.iter().map(outside).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 3);
    }
}

#[test]
fn a_port_of_the_sandbox_is_in_use_as_a_port_is() {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let rules = sandbox();
        let first = bind(&rules, protocol, "127.0.0.1", Wanted::This(8080));
        for host in ["127.0.0.1", "0.0.0.0", "::"] {
            let refused = try_bind(&rules, protocol, host, Wanted::This(8080), ALONE);
            assert_eq!(refused.err(), Some(IN_USE), "{host}");
        }
        // Another address, and another protocol.
        let other = bind(&rules, protocol, "127.0.0.2", Wanted::This(8080));
        assert_eq!(outside(&other), outside(&first));
        let unlike = match protocol {
            Protocol::Tcp => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        drop(bind(&rules, unlike, "0.0.0.0", Wanted::This(8080)));
        let port = outside(&first);
        assert_eq!(list(&rules), [(protocol, 8080, port)]);
        drop((first, other));
        assert_eq!(list(&rules), []);
        // Nobody is there: it is whatever it is in the host.
        assert_eq!(way(&rules, protocol, "127.0.0.1", 8080), (8080, 8080));
        assert_eq!(way(&rules, protocol, "127.0.0.1", port), (port, port));
        let again = bind(&rules, protocol, "0.0.0.0", Wanted::This(8080));
        assert_eq!(way(&rules, protocol, "127.0.0.1", 8080), (8080, outside(&again)));
    }
}

#[test]
fn sockets_that_share_a_port_share_the_one_it_stands_for() {
    let rules = sandbox();
    let udp = |sharing| try_bind(&rules, Protocol::Udp, "0.0.0.0", Wanted::This(5353), sharing);
    let first = udp(REUSED).unwrap();
    let second = udp(REUSED).unwrap();
    assert_eq!(outside(&first), outside(&second));
    assert_eq!(udp(ALONE).err(), Some(IN_USE));
    let tcp = |sharing| try_bind(&rules, Protocol::Tcp, "::", Wanted::This(80), sharing);
    let workers = [tcp(SHARED).unwrap(), tcp(SHARED).unwrap(), tcp(SHARED).unwrap()];
    for worker in &workers {
        assert_eq!(outside(worker), outside(&workers[0]));
        socket::listen(worker.as_raw_fd(), 1).unwrap();
    }
    assert_eq!(list(&rules).len(), 2);
    // Other sandboxes have no part in it.
    let stranger = try_bind(&sandbox(), Protocol::Tcp, "::", Wanted::This(80), SHARED).unwrap();
    assert_ne!(outside(&stranger), outside(&workers[0]));
}

#[test]
fn both_families_have_the_same_port() {
    let rules = sandbox();
    let v4 = bind(&rules, Protocol::Tcp, "0.0.0.0", Wanted::This(8080));
    let (v6, kind) = open(Protocol::Tcp, "::".parse().unwrap());
    // SAFETY: pointer and length describe the option.
    let set = unsafe {
        let on = 1_i32;
        libc::setsockopt(
            v6.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_V6ONLY,
            (&raw const on).cast(),
            4,
        )
    };
    assert_eq!(set, 0);
    let any = Address::internet("::".parse().unwrap(), 8080);
    let ports = rules.ports.as_ref().unwrap();
    ports
        .bind(&rules, (&v6, kind, Protocol::Tcp), &any, Wanted::This(8080))
        .unwrap();
    assert_eq!(outside(&v4), outside(&v6));
    for host in ["127.0.0.1", "::1"] {
        assert_eq!(way(&rules, Protocol::Tcp, host, 8080), (8080, outside(&v4)));
    }
    drop(v6);
    assert_eq!(way(&rules, Protocol::Tcp, "::1", 8080), (8080, 8080));
}

#[test]
fn only_what_the_socket_takes_goes_to_it() {
    let rules = sandbox();
    let any = bind(&rules, Protocol::Udp, "0.0.0.0", Wanted::This(53));
    // No host has an address for documentation.
    assert_eq!(way(&rules, Protocol::Udp, "192.0.2.1", 53), (53, 53));
    assert_eq!(way(&rules, Protocol::Udp, "::1", 53), (53, 53));
    assert_eq!(way(&rules, Protocol::Udp, "127.1.2.3", 53), (53, outside(&any)));
    let one = bind(&rules, Protocol::Udp, "127.0.0.1", Wanted::This(54));
    assert_eq!(way(&rules, Protocol::Udp, "127.0.0.1", 54), (54, outside(&one)));
    assert_eq!(way(&rules, Protocol::Udp, "127.0.0.2", 54), (54, 54));
    assert!(is_local("127.0.0.1".parse().unwrap()) && !is_local("192.0.2.1".parse().unwrap()));
}

#[test]
fn any_port_is_the_same_inside_and_outside_unless_that_is_taken() {
    let rules = sandbox();
    let socket = bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::Any);
    let port = outside(&socket);
    assert_eq!(list(&rules), [(Protocol::Tcp, port, port)]);
    // Whoever asks for it expressly finds it taken.
    let refused = try_bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::This(port), ALONE);
    assert_eq!(refused.err(), Some(IN_USE));
    // One of a few, which the host's number is none of.
    let few = [81, 82];
    let ports = rules.ports.as_ref().unwrap();
    let own = |socket: &OwnedFd| ports.own_number(socket).unwrap();
    let first = bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::OneOf(&few));
    let second = bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::OneOf(&few));
    assert_eq!((own(&first), own(&second)), (81, 82));
    let third = try_bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::OneOf(&few), ALONE);
    assert_eq!(third.err(), Some(IN_USE));
    // A program's number that happens to be one of the host's is not given twice.
    let known = Known {
        full: false,
        last: None,
        free: Some(40_000),
        taken: (1024..=u16::MAX)
            .map(|inside| Binding {
                cookie: 0,
                protocol: Protocol::Tcp,
                inside,
                outside: 1,
                scope: Scope::new("127.0.0.1".parse().unwrap(), false),
            })
            .collect(),
    };
    let host = "127.0.0.1".parse().unwrap();
    let (socket, kind) = open(Protocol::Tcp, host);
    let candidate = Candidate {
        number: socket.as_raw_fd(),
        kind,
        protocol: Protocol::Tcp,
        address: &Address::internet(host, 0),
        scope: Scope::new(host, false),
    };
    let (inside, found) = candidate.bind(&known, Wanted::Any).unwrap();
    assert_eq!((inside, found), (40_000, outside(&socket)));
}

#[test]
fn what_cannot_be_bound_leaves_nothing_behind() {
    let rules = sandbox();
    let foreign = try_bind(&rules, Protocol::Tcp, "192.0.2.1", Wanted::This(8080), ALONE);
    assert_eq!(foreign.err(), Some(Errno(libc::EADDRNOTAVAIL)));
    let host = "127.0.0.1".parse().unwrap();
    let (socket, kind) = open(Protocol::Udp, host);
    let ports = rules.ports.as_ref().unwrap();
    let bind = || {
        let address = Address::internet(host, 0);
        ports.bind(&rules, (&socket, kind, Protocol::Udp), &address, Wanted::Any)
    };
    assert_eq!(bind(), Ok(()));
    let before = list(&rules);
    // It is bound already.
    assert_eq!(bind(), Err(Errno(libc::EINVAL)));
    assert_eq!(list(&rules), before);
}

/// Connections that are over keep a port from who does not say that it minds none of them; then the sandbox gets another.
#[test]
fn a_server_that_restarts_has_its_port_again() {
    for sharing in [REUSED, ALONE] {
        let rules = sandbox();
        let listener = try_bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::This(8080), sharing).unwrap();
        let port = outside(&listener);
        socket::listen(listener.as_raw_fd(), 1).unwrap();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (connection, ..) = socket::accept(listener.as_raw_fd(), false).unwrap();
        // The server closes first: its side waits for a while.
        drop((own(Ok(connection)).unwrap(), listener));
        drop(client);
        let again = try_bind(&rules, Protocol::Tcp, "127.0.0.1", Wanted::This(8080), sharing).unwrap();
        socket::listen(again.as_raw_fd(), 1).unwrap();
        if sharing == REUSED {
            assert_eq!(outside(&again), port);
        }
        assert_eq!(list(&rules), [(Protocol::Tcp, 8080, outside(&again))]);
    }
}
