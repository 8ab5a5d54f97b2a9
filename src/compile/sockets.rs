//! What the filter says of calls about sockets.
//!
//! Register arguments tell kinds of sockets apart, not whom they reach. What the policy's rules are about is put before the library, as
//! little of it as can be; without rules there is TCP, which Landlock closes.

use crate::policy::net::reach::{Network, Reach};

use super::defaults::{EPERM, any_bit, is, masked, none_of, permit, refuse, refused_if, word};
use super::filter::{Action, ArgumentTest, Clause, Compare, Rule, Width};

/// Calls that the policy's network rules speak of. Where it has some, to allow these by name lifts nothing.
pub const RULED: &[&str] = &[
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "getsockname",
    "getpeername",
    "accept",
    "accept4",
    "recvfrom",
    "setsockopt",
    "open",
    "openat",
    "openat2",
    // It makes sockets, and connects and binds them, past the filter.
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
];

/// Those of them that the library answers itself; and socket(2), where it makes the program's sockets.
pub const ANSWERED: &[&str] = &["connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg"];

/// The rules, by name. None: TCP is not restricted.
pub(super) fn rules(network: Option<Network>) -> Vec<(&'static str, Rule)> {
    let closed = network.unwrap_or(Network::CLOSED);
    let mut made = socket(closed);
    if closed.serves_making() {
        for clause in &mut made.clauses {
            asked_instead(&mut clause.action);
        }
        asked_instead(&mut made.otherwise);
    }
    let mut rules = vec![
        ("socket", made),
        ("socketpair", socketpair(closed)),
        ("sendto", sendto(closed)),
        ("sendmsg", send_messages(closed, 2)),
        ("sendmmsg", send_messages(closed, 3)),
    ];
    let Some(network) = network else { return rules };
    let asked = Rule::always(Action::Notify);
    if network.serves_connections() {
        rules.push(("connect", asked.clone()));
    }
    if network.netlink && !network.serves_connections() {
        rules.push(("connect", refused_if(vec![ask(vec![is(2, NETLINK_ADDRESS)])])));
    }
    // Landlock refuses these, too; the filter's word comes before that of any supervisor.
    let unix = network.unix != Reach::Closed;
    if network.overseen && !unix && network.tcp == Reach::Closed && !network.has_udp() && network.icmp == Reach::Closed
    {
        rules.push(("connect", Rule::always(Action::fail(libc::EACCES))));
    }
    if network.overseen && !unix && network.bind_tcp == Reach::Closed && network.bind_udp == Reach::Closed {
        rules.push(("bind", Rule::always(Action::fail(libc::EACCES))));
    }
    rules.extend(bind(network).map(|rule| ("bind", rule)));
    rules.extend(listen(network).map(|rule| ("listen", rule)));
    rules.extend(setsockopt(network).map(|rule| ("setsockopt", rule)));
    if network.netlink || network.remaps {
        rules.push(("getsockname", asked.clone()));
    }
    if network.netlink {
        rules.push(("recvfrom", recvfrom()));
    }
    if network.remaps {
        rules.push(("getpeername", asked.clone()));
        // Whoever connects is of interest to who asks for the address.
        let accept = refused_if(vec![ask(vec![long(1, Compare::NotEqual, 0)])]);
        rules.extend(["accept", "accept4"].map(|name| (name, accept.clone())));
    }
    if network.names {
        // /etc/hosts.
        rules.extend(["open", "openat", "openat2"].map(|name| (name, asked.clone())));
    }
    rules
}

/// The library makes what was allowed.
fn asked_instead(action: &mut Action) {
    if *action == Action::Allow {
        *action = Action::Notify;
    }
}

fn ask(tests: Vec<ArgumentTest>) -> Clause {
    Clause {
        tests,
        action: Action::Notify,
    }
}

fn of_type(kind: i32) -> ArgumentTest {
    masked(1, SOCKET_TYPE_MASK, Compare::Equal, kind.cast_unsigned())
}

fn number(index: u8, value: i32) -> ArgumentTest {
    is(index, value.cast_unsigned())
}

/// All 64 bits: a pointer, or a size.
fn long(index: u8, compare: Compare, value: u64) -> ArgumentTest {
    ArgumentTest {
        index,
        width: Width::Long,
        mask: u64::MAX,
        compare,
        value,
    }
}

/// The type argument carries SOCK_CLOEXEC and SOCK_NONBLOCK above its low four bits.
const SOCKET_TYPE_MASK: u32 = 0xf;

/// TCP over IPv4 and IPv6, which Landlock governs. Not MPTCP or SCTP (protocols), not raw sockets (types), and no other family without
/// rules: not even AF_UNIX, whose path names Landlock does not govern before ABI 9, and whose code programs rarely need. With rules, what
/// they allow something of.
fn socket(network: Network) -> Rule {
    let mut clauses = Vec::new();
    if network.unix != Reach::Closed {
        // SOCK_RAW is another name for SOCK_DGRAM there; nobody needs it.
        let kinds = none_of(
            1,
            SOCKET_TYPE_MASK,
            &[libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET],
        );
        let unix = number(0, libc::AF_UNIX);
        clauses.push(refuse([vec![unix], kinds].concat()));
        clauses.push(permit(vec![unix]));
    }
    if network.netlink {
        // NETLINK_ROUTE is 0. SOCK_RAW and SOCK_DGRAM, which are one there, differ in the lowest bit.
        let either = masked(
            1,
            SOCKET_TYPE_MASK & !1,
            Compare::Equal,
            libc::SOCK_DGRAM.cast_unsigned(),
        );
        clauses.push(ask(vec![number(0, libc::AF_NETLINK), either, number(2, 0)]));
    }
    clauses.push(refuse(none_of(0, u32::MAX, &[libc::AF_INET, libc::AF_INET6])));
    let of_tcp = [0, libc::IPPROTO_TCP];
    let (udp, icmp) = (network.has_udp(), network.icmp != Reach::Closed);
    if !udp && !icmp {
        clauses.push(refuse(none_of(1, SOCKET_TYPE_MASK, &[libc::SOCK_STREAM])));
        clauses.push(refuse(none_of(2, u32::MAX, &of_tcp)));
        return refused_if(clauses);
    }
    let stream = of_type(libc::SOCK_STREAM);
    clauses.push(refuse([vec![stream], none_of(2, u32::MAX, &of_tcp)].concat()));
    clauses.push(permit(vec![stream]));
    clauses.push(refuse(none_of(1, SOCKET_TYPE_MASK, &[libc::SOCK_DGRAM])));
    if icmp {
        for (protocol, family) in [
            (libc::IPPROTO_ICMP, libc::AF_INET),
            (libc::IPPROTO_ICMPV6, libc::AF_INET6),
        ] {
            clauses.push(permit(vec![number(2, protocol), number(0, family)]));
        }
    }
    if udp {
        clauses.push(refuse(none_of(2, u32::MAX, &[0, libc::IPPROTO_UDP])));
    }
    Rule {
        clauses,
        otherwise: if udp { Action::Allow } else { EPERM },
    }
}

/// Unix pairs that stay connected to each other. A datagram pair can be sent, or connected, to any socket file of the host, unless the
/// library looks where, which takes duplicates of it; and it can be given a name to be sent to, which Landlock does not keep it from. SOCK_RAW
/// is another name for it.
fn socketpair(network: Network) -> Rule {
    let mut kinds = vec![libc::SOCK_STREAM, libc::SOCK_SEQPACKET];
    if network.unix == Reach::Served && !network.makes_sockets {
        kinds.push(libc::SOCK_DGRAM);
    }
    refused_if(vec![
        refuse(none_of(0, u32::MAX, &[libc::AF_UNIX])),
        refuse(none_of(1, SOCKET_TYPE_MASK, &kinds)),
    ])
}

/// Fast open connects without connect(2), which is all that Landlock, and the library, look at.
fn no_fast_open(flags: u8) -> Clause {
    refuse(any_bit(flags, libc::MSG_FASTOPEN.cast_unsigned()))
}

/// With an address, where somebody must look at that.
fn sendto(network: Network) -> Rule {
    let mut clauses = vec![no_fast_open(3)];
    if network.serves_datagrams() {
        clauses.push(ask(vec![long(4, Compare::NotEqual, 0)]));
    }
    refused_if(clauses)
}

/// Here the address lies in memory.
fn send_messages(network: Network, flags: u8) -> Rule {
    Rule {
        clauses: vec![no_fast_open(flags)],
        otherwise: if network.serves_datagrams() {
            Action::Notify
        } else {
            Action::Allow
        },
    }
}

/// The size of struct sockaddr_nl, and of no other address.
const NETLINK_ADDRESS: u32 = 12;

fn bind(network: Network) -> Option<Rule> {
    if network.serves_bindings() {
        return Some(Rule::always(Action::Notify));
    }
    network
        .netlink
        .then(|| refused_if(vec![ask(vec![is(2, NETLINK_ADDRESS)])]))
}

/// listen(2) binds an unbound socket to a free port, and Landlock's bind right does not see it.
fn listen(network: Network) -> Option<Rule> {
    if network.serves_listening() {
        Some(Rule::always(Action::Notify))
    } else {
        (network.bind_tcp != Reach::Open).then(|| Rule::always(EPERM))
    }
}

fn setsockopt(network: Network) -> Option<Rule> {
    let mut clauses = Vec::new();
    if network.takes_sockets() {
        // How long the last close may take, which may come to be the library's.
        clauses.push(ask(vec![number(1, libc::SOL_SOCKET), number(2, libc::SO_LINGER)]));
    }
    if network.tcp != Reach::Open || network.bind_tcp != Reach::Open {
        // TCP_ULP: another protocol in a socket that Landlock then no longer takes for TCP.
        clauses.push(refuse(vec![number(1, libc::IPPROTO_TCP), number(2, libc::TCP_ULP)]));
    }
    if network.serves_addresses() {
        // Routes through other hosts, or by other interfaces: somebody else gets to see what is sent to whom a rule allows.
        // IPV6_FLOWLABEL_MGR takes such a route with a flow label.
        const IPV6_FLOWLABEL_MGR: i32 = 32;
        const SO_BINDTOIFINDEX: i32 = 62;
        const IP_UNICAST_IF: i32 = 50;
        const IPV6_UNICAST_IF: i32 = 76;
        let mut refuse_each = |level, options: &[i32]| {
            let one = |&option| refuse(vec![number(1, level), number(2, option)]);
            clauses.extend(options.iter().map(one));
        };
        refuse_each(libc::SOL_SOCKET, &[libc::SO_BINDTODEVICE, SO_BINDTOIFINDEX]);
        refuse_each(
            libc::IPPROTO_IP,
            &[libc::IP_OPTIONS, IP_UNICAST_IF, libc::IP_MULTICAST_IF],
        );
        refuse_each(
            libc::IPPROTO_IPV6,
            &[
                libc::IPV6_2292PKTOPTIONS,
                libc::IPV6_RTHDR,
                libc::IPV6_PKTINFO,
                IPV6_FLOWLABEL_MGR,
                IPV6_UNICAST_IF,
                libc::IPV6_MULTICAST_IF,
            ],
        );
        if network.has_udp() || network.icmp != Reach::Closed {
            clauses.extend(membership());
        }
    }
    if network.netlink && (network.bind_tcp != Reach::Open || network.bind_udp != Reach::Open) {
        // Which free port the kernel chooses.
        const IP_LOCAL_PORT_RANGE: i32 = 51;
        clauses.push(refuse(vec![
            number(1, libc::IPPROTO_IP),
            number(2, IP_LOCAL_PORT_RANGE),
        ]));
    }
    (!clauses.is_empty()).then(|| refused_if(clauses))
}

/// Whoever joins a group has the kernel tell the neighbours of the host. Options of each level that lie together: those that join, and
/// with them those that leave or keep sources away, which nobody needs then.
fn membership() -> [Clause; 4] {
    const IPV6_LEAVE_ANYCAST: i32 = 28;
    [
        (libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, libc::MCAST_MSFILTER),
        (
            libc::IPPROTO_IPV6,
            libc::IPV6_ADD_MEMBERSHIP,
            libc::IPV6_DROP_MEMBERSHIP,
        ),
        (libc::IPPROTO_IPV6, IPV6_LEAVE_ANYCAST - 1, IPV6_LEAVE_ANYCAST),
        (libc::IPPROTO_IPV6, libc::MCAST_JOIN_GROUP, libc::MCAST_MSFILTER),
    ]
    .map(|(level, first, last)| {
        refuse(vec![
            number(1, level),
            word(2, Compare::AtLeast, first.cast_unsigned()),
            word(2, Compare::AtMost, last.cast_unsigned()),
        ])
    })
}

/// As getifaddrs(3) of musl asks for what an rtnetlink socket has to say. That of glibc calls recvmsg(2).
fn recvfrom() -> Rule {
    const ITS_BUFFER: u64 = 8192;
    refused_if(vec![ask(vec![
        word(3, Compare::Equal, libc::MSG_DONTWAIT.cast_unsigned()),
        long(2, Compare::Equal, ITS_BUFFER),
        long(4, Compare::Equal, 0),
    ])])
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
