//! What ports stand for, and for whom.

use super::*;

fn scope(host: &str) -> Scope {
    Scope::new(host.parse().unwrap(), false)
}

fn only(host: &str) -> Scope {
    Scope::new(host.parse().unwrap(), true)
}

#[test]
fn scopes_take_what_is_sent_to_their_addresses() {
    use Taking::{IfLocal, No, Yes};
    for (scope, host, expected) in [
        (scope("0.0.0.0"), "127.0.0.1", Yes),
        (scope("0.0.0.0"), "127.9.9.9", Yes),
        (scope("0.0.0.0"), "10.0.0.1", IfLocal),
        (scope("0.0.0.0"), "::1", No),
        (scope("127.0.0.1"), "127.0.0.1", Yes),
        (scope("127.0.0.1"), "127.0.0.2", No),
        (scope("10.0.0.1"), "10.0.0.1", Yes),
        (scope("10.0.0.1"), "127.0.0.1", No),
        (scope("::"), "::1", Yes),
        (scope("::"), "127.0.0.1", Yes),
        (scope("::"), "fd00::1", IfLocal),
        (scope("::"), "10.0.0.1", IfLocal),
        (only("::"), "::1", Yes),
        (only("::"), "127.0.0.1", No),
        (scope("::1"), "::1", Yes),
        (scope("::1"), "127.0.0.1", No),
    ] {
        assert_eq!(scope.takes(host.parse().unwrap()), expected, "{scope:?} {host}");
    }
}

#[test]
fn scopes_overlap_where_an_address_is_in_both() {
    for (one, other, expected) in [
        (scope("0.0.0.0"), scope("127.0.0.1"), true),
        (scope("127.0.0.1"), scope("127.0.0.1"), true),
        (scope("127.0.0.1"), scope("127.0.0.2"), false),
        (scope("::"), scope("0.0.0.0"), true),
        (scope("::"), scope("127.0.0.1"), true),
        (only("::"), scope("0.0.0.0"), false),
        (only("::"), scope("::1"), true),
        (scope("::1"), scope("fd00::1"), false),
        (scope("::1"), scope("127.0.0.1"), false),
    ] {
        assert_eq!(one.overlaps(&other), expected, "{one:?} {other:?}");
        assert_eq!(other.overlaps(&one), expected, "{other:?} {one:?}");
    }
}

fn binding(cookie: u64, protocol: Protocol, inside: u16, outside: u16, host: &str) -> Binding {
    Binding {
        cookie,
        protocol,
        inside,
        outside,
        scope: scope(host),
    }
}

#[test]
fn sockets_are_found_by_either_number_while_they_live() {
    let mut map = Map::default();
    assert!(map.is_empty());
    let (any, one) = (
        binding(1, Protocol::Tcp, 8080, 40001, "0.0.0.0"),
        binding(2, Protocol::Tcp, 8080, 40002, "127.0.0.1"),
    );
    let udp = binding(3, Protocol::Udp, 8080, 40001, "0.0.0.0");
    for binding in [any, one, udp] {
        map.add(binding);
    }
    assert!(!map.is_empty());
    // The kernel prefers who has the address.
    assert_eq!(map.about(Protocol::Tcp, 8080), [one, any]);
    assert_eq!(map.about(Protocol::Tcp, 40001), [any]);
    assert_eq!(map.about(Protocol::Udp, 40001), [udp]);
    assert_eq!(map.about(Protocol::Udp, 40002), []);
    assert_eq!(map.of_socket(2), Some(&one));
    assert_eq!(map.of_socket(4), None);
    assert_eq!(map.of_protocol(Protocol::Tcp), [any, one]);
    map.retain(&HashSet::from([2]));
    assert_eq!(map.bindings(), [one]);
    assert_eq!(map.of_protocol(Protocol::Udp), []);
    // Connections that it took are told by it still.
    assert_eq!(map.shown(Protocol::Tcp, 40001), Some(8080));
    assert_eq!(map.shown(Protocol::Tcp, 40003), None);
    assert_eq!(map.last(Protocol::Tcp, 8080), Some(40002));
    assert_eq!(map.last(Protocol::Udp, 8080), Some(40001));
}

#[test]
fn no_more_is_remembered_than_there_can_be() {
    let mut map = Map::default();
    for port in 1..=u16::MAX {
        map.retain(&HashSet::from([1]));
        map.add(binding(port.into(), Protocol::Udp, port, port, "0.0.0.0"));
    }
    assert!(map.shown.len() <= 2 * MOST && map.last.len() <= 2 * MOST);
    // What lives is not forgotten.
    assert_eq!(map.shown(Protocol::Udp, 1), Some(1));
    assert_eq!(map.shown(Protocol::Udp, u16::MAX), Some(u16::MAX));
}
