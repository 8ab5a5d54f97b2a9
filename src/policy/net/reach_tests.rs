//! What rules come to, and that less is left without the library.

use super::super::{BindRule, Decision, Table};
use super::*;
use crate::error::Result;

/// Rules by text, blanks between them: what is allowed, what is denied, what may be bound to, what may not.
pub(crate) fn rules(allow: &str, deny: &str, bind: &str, deny_bind: &str) -> NetRules {
    let peers = |text: &str, parse: fn(&str) -> Result<NetRule>| {
        let rules = text.split_ascii_whitespace();
        rules.map(|rule| parse(rule).unwrap()).collect()
    };
    let ports = |text: &str| {
        let rules = text.split_ascii_whitespace();
        rules.map(|rule| BindRule::parse(rule).unwrap()).collect()
    };
    NetRules {
        allow: peers(allow, NetRule::allow),
        deny: peers(deny, NetRule::deny),
        allow_bind: ports(bind),
        deny_bind: ports(deny_bind),
        refresh: None,
    }
}

/// tcp, udp, icmp, unix, bind_tcp and bind_udp, each by a letter: c(losed), p(orts or paths: Landlock), s(erved), o(pen); then n(ames), l(inks) and r(emapped).
fn letters(network: Network) -> String {
    let letter = |reach| match reach {
        Reach::Closed => 'c',
        Reach::Landlock => 'p',
        Reach::Served => 's',
        Reach::Open => 'o',
    };
    let Network {
        tcp,
        udp,
        icmp,
        unix,
        bind_tcp,
        bind_udp,
        names,
        netlink,
        remaps,
        makes_sockets,
        overseen,
    } = network;
    assert!(!makes_sockets && !overseen);
    let reaches = [tcp, udp, icmp, unix, bind_tcp, bind_udp].map(letter);
    let told = [(names, 'n'), (netlink, 'l'), (remaps, 'r')]
        .into_iter()
        .filter(|(so, _)| *so);
    reaches.into_iter().chain(told.map(|(_, letter)| letter)).collect()
}

/// Allowed and denied destinations, allowed and denied ports to bind to, and what they come to with the library and without.
const CASES: &[(&str, &str, &str, &str, &str, &str)] = &[
    ("", "", "", "", "cccccc", "cccccc"),
    ("", "10.0.0.1", "", "80", "cccccc", "cccccc"),
    // TCP.
    ("tcp://*", "", "", "", "occcccl", "occccc"),
    ("tcp://*:*", "", "", "", "occcccl", "occccc"),
    ("tcp://*:443", "", "", "", "pcccccl", "pccccc"),
    ("tcp://*:443 tcp://*:80", "", "", "", "pcccccl", "pccccc"),
    ("tcp://*:1-1024", "", "", "", "pcccccl", "pccccc"),
    ("tcp://*:1-1025", "", "", "", "scccccl", "cccccc"),
    ("tcp://*:1-40000 tcp://*:30000-65535", "", "", "", "occcccl", "occccc"),
    ("tcp://*:1-40000 tcp://*:40002-65535", "", "", "", "scccccl", "cccccc"),
    ("tcp://10.0.0.1:443", "", "", "", "scccccl", "cccccc"),
    ("tcp://0.0.0.0/0", "", "", "", "scccccl", "cccccc"),
    ("tcp://* tcp://10.0.0.1", "", "", "", "scccccl", "cccccc"),
    ("tcp://example.com:443", "", "", "", "scccccnl", "cccccc"),
    // What is denied of it, and what is denied of others.
    ("tcp://*", "10.0.0.1", "", "", "scccccl", "cccccc"),
    ("tcp://*:443", "tcp://10.0.0.0/8:80", "", "", "scccccl", "cccccc"),
    ("tcp://*", "udp://10.0.0.1", "", "", "occcccl", "occccc"),
    ("tcp://*", "icmp://10.0.0.1 unix:/run/*", "", "", "occcccl", "occccc"),
    ("tcp://*", "*:25", "", "", "scccccl", "cccccc"),
    ("tcp://*:20-30", "*:25", "", "", "pcccccl", "pccccc"),
    ("tcp://*:25", "*:25", "", "", "cccccc", "cccccc"),
    ("tcp://*", "tcp://*", "", "", "cccccc", "cccccc"),
    ("*", "udp://*", "", "", "occcccl", "occccc"),
    ("tcp://*:443", "tcp://*:1-442,444-65535", "", "", "pcccccl", "pccccc"),
    // UDP and ICMP, which are all or looked at.
    ("udp://*", "", "", "", "coccccl", "cccccc"),
    ("udp://*:53", "", "", "", "csccccl", "cccccc"),
    ("udp://*", "udp://*:53", "", "", "csccccl", "cccccc"),
    ("udp://*", "10.0.0.1", "", "", "csccccl", "cccccc"),
    ("udp://*", "tcp://10.0.0.1", "", "", "coccccl", "cccccc"),
    ("udp://[fd00::/8]", "", "", "", "csccccl", "cccccc"),
    ("udp://example.com", "", "", "", "csccccnl", "cccccc"),
    ("icmp://*", "", "", "", "ccocccl", "cccccc"),
    ("icmp://10.0.0.1", "", "", "", "ccscccl", "cccccc"),
    ("icmp://*", "icmp://10.0.0.1", "", "", "ccscccl", "cccccc"),
    ("icmp://*", "10.0.0.1", "", "", "ccocccl", "cccccc"),
    ("icmp://*", "icmp://*", "", "", "cccccc", "cccccc"),
    ("icmp://*", "*:1-65534", "", "", "ccocccl", "cccccc"),
    ("icmp://example.com", "", "", "", "ccscccnl", "cccccc"),
    // Both that have ports.
    ("*", "", "", "", "ooccccl", "occccc"),
    ("*:443", "", "", "", "psccccl", "pccccc"),
    ("example.com:443", "", "", "", "ssccccnl", "cccccc"),
    ("* icmp://*", "", "*", "", "ooococl", "occcoc"),
    ("* icmp://*", "", "* udp://*", "", "ooocool", "ooocoo"),
    // Unix sockets.
    ("unix:/run/x.sock", "", "", "", "cccscc", "cccccc"),
    ("unix:@name/*", "unix:/run/*", "", "", "cccscc", "cccccc"),
    ("", "unix:/run/*", "", "", "cccccc", "cccccc"),
    ("tcp://* unix:/run/*", "", "", "", "occsccl", "occccc"),
    // Binding.
    ("", "", "*", "", "ccccocl", "ccccoc"),
    ("", "", "tcp://*", "", "ccccocl", "ccccoc"),
    ("", "", "8080", "", "ccccpcl", "cccccc"),
    ("", "", "80,443,8080", "", "ccccpcl", "cccccc"),
    ("", "", "8080,8081", "", "ccccscl", "cccccc"),
    ("", "", "8080 8081", "", "ccccscl", "cccccc"),
    ("", "", "8000-8999", "", "ccccscl", "cccccc"),
    ("", "", "*", "80", "ccccscl", "cccccc"),
    ("", "", "8080-8082", "8081", "ccccpcl", "cccccc"),
    ("", "", "8080", "8080", "cccccc", "cccccc"),
    ("", "", "8080", "1-65535", "cccccc", "cccccc"),
    ("", "", "*", "udp://80", "ccccocl", "ccccoc"),
    // UDP sockets that may be bound can send, and somebody must say no.
    ("", "", "udp://*", "", "cscccol", "cccccc"),
    ("", "", "udp://53", "", "cscccsl", "cccccc"),
    ("udp://*", "", "udp://*", "", "cocccol", "coccco"),
    ("udp://*", "", "udp://5000-6000", "", "cocccsl", "cccccc"),
    ("udp://*", "", "udp://*", "udp://53", "cocccsl", "cccccc"),
];

#[test]
fn rules_come_to_what_they_ask_for_and_to_less_without_the_library() {
    for &(allow, deny, bind, deny_bind, served, unserved) in CASES {
        let rules = rules(allow, deny, bind, deny_bind);
        let network = Network::new(&rules);
        let context = format!("allow {allow:?}, deny {deny:?}, bind {bind:?}, not {deny_bind:?}");
        assert_eq!(letters(network), served, "{context}");
        assert_eq!(letters(network.without_service(false)), unserved, "{context}");
        assert_eq!(network == Network::CLOSED, served == "cccccc", "{context}");
    }
}

#[test]
fn own_numbers_of_ports_have_the_library_look_at_both_sides() {
    for (allow, bind, remapped, unserved) in [
        ("", "8080", "ccccsclr", "cccccc"),
        ("tcp://*:8080", "8080", "scccsclr", "cccccc"),
        ("* icmp://*", "* udp://*", "ssocsslr", "cccccc"),
        ("unix:/run/*", "udp://53", "cscscslr", "cccccc"),
        // Nobody binds to anything.
        ("tcp://*", "", "occcccl", "occccc"),
        ("", "", "cccccc", "cccccc"),
    ] {
        let network = Network::new(&rules(allow, "", bind, "")).remapped();
        assert_eq!(letters(network), remapped, "{allow:?} {bind:?}");
        assert_eq!(letters(network.without_service(false)), unserved, "{allow:?} {bind:?}");
        assert_eq!(
            letters(network.watched()),
            letters(network.watched().remapped()),
            "{allow:?} {bind:?}"
        );
    }
}

#[test]
fn without_the_library_nothing_needs_it_and_nothing_is_wider() {
    let all = [Reach::Closed, Reach::Landlock, Reach::Served, Reach::Open];
    let without_ports = [Reach::Closed, Reach::Served, Reach::Open];
    let mut seen = 0;
    for tcp in all {
        for (udp, icmp) in without_ports
            .into_iter()
            .flat_map(|udp| without_ports.map(|icmp| (udp, icmp)))
        {
            for unix in [Reach::Closed, Reach::Served] {
                for (bind_tcp, bind_udp) in all.into_iter().flat_map(|tcp| without_ports.map(|udp| (tcp, udp))) {
                    if udp == Reach::Closed && bind_udp != Reach::Closed {
                        // No rules come to that.
                        continue;
                    }
                    let network = Network {
                        tcp,
                        udp,
                        icmp,
                        unix,
                        bind_tcp,
                        bind_udp,
                        names: unix == Reach::Served,
                        netlink: true,
                        remaps: false,
                        makes_sockets: unix == Reach::Served,
                        overseen: false,
                    };
                    let by_path = Network {
                        unix: if unix == Reach::Served { Reach::Landlock } else { unix },
                        ..network.without_service(false)
                    };
                    assert_eq!(network.without_service(true), by_path);
                    assert!(!by_path.needs_service());
                    let left = network.without_service(false);
                    assert!(!left.needs_service() && !left.netlink, "{network:?}");
                    for (before, after) in [
                        (tcp, left.tcp),
                        (udp, left.udp),
                        (icmp, left.icmp),
                        (unix, left.unix),
                        (bind_tcp, left.bind_tcp),
                        (bind_udp, left.bind_udp),
                    ] {
                        assert!(after == before || after == Reach::Closed, "{network:?}");
                    }
                    // Who needs it for nothing keeps everything.
                    let alike = Network {
                        netlink: false,
                        makes_sockets: false,
                        ..network
                    };
                    assert_eq!(network.needs_service(), left != alike, "{network:?}");
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 4 * 3 * 7 * 2 * 4);
}

#[test]
fn landlock_gets_the_ports_that_are_left_to_it() {
    let ports = |allow, deny, bind, deny_bind| {
        let rules = rules(allow, deny, bind, deny_bind);
        let network = Network::new(&rules);
        let ranges = |ports: Option<Ports>| ports.map(|ports| ports.ranges().to_vec());
        (
            ranges(network.connected_ports(&rules)),
            ranges(network.bound_ports(&rules)),
        )
    };
    assert_eq!(ports("", "", "", ""), (None, None));
    assert_eq!(ports("tcp://*", "", "*", ""), (None, None));
    assert_eq!(ports("10.0.0.1:443", "", "8000-8001", ""), (None, None));
    assert_eq!(
        ports("*:443 tcp://*:80-82", "*:81 udp://*:443", "8080 9090", "9090"),
        (Some(vec![80..=80, 82..=82, 443..=443]), Some(vec![8080..=8080]))
    );
    // What is served after all is not Landlock's.
    let rules = rules("tcp://*:443", "", "8080", "");
    let closed = Network::CLOSED;
    assert_eq!(closed.connected_ports(&rules), None);
    assert_eq!(closed.bound_ports(&rules), None);
}

/// What is left to Landlock, or to nobody, must be all that the table would say.
#[test]
fn whatever_is_not_served_is_what_the_table_says() {
    let hosts = ["10.0.0.1", "127.0.0.1", "fd00::1", "::1"].map(|host| host.parse().unwrap());
    let edges = [1, 25, 80, 443, 1024, 1025, 8080, 40000, 40001, 65535];
    for &(allow, deny, bind, deny_bind, ..) in CASES {
        let rules = rules(allow, deny, bind, deny_bind);
        let network = Network::new(&rules);
        let table = Table::new(&rules, &std::collections::BTreeMap::new());
        let kinds = [
            (Protocol::Tcp, network.tcp),
            (Protocol::Udp, network.udp),
            (Protocol::Icmp, network.icmp),
        ];
        for (protocol, reach) in kinds {
            for (host, port) in hosts.iter().flat_map(|&host| edges.map(|port| (host, port))) {
                let allowed = table.decide(protocol, host, port) == Decision::Allowed;
                let expected = match reach {
                    Reach::Closed => false,
                    Reach::Open => true,
                    Reach::Landlock => network.connected_ports(&rules).unwrap().contains(port),
                    Reach::Served => continue,
                };
                assert_eq!(allowed, expected, "{protocol:?} {host} {port}: {allow:?} but {deny:?}");
            }
        }
        for port in edges {
            for (protocol, reach) in [(Protocol::Tcp, network.bind_tcp), (Protocol::Udp, network.bind_udp)] {
                let expected = match reach {
                    Reach::Closed => false,
                    Reach::Open => true,
                    Reach::Landlock => network.bound_ports(&rules).unwrap().contains(port),
                    Reach::Served => continue,
                };
                assert_eq!(
                    table.may_bind(protocol, port),
                    expected,
                    "{protocol:?} {port}: {bind:?} but {deny_bind:?}"
                );
            }
        }
    }
}
