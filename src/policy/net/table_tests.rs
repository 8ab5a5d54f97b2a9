//! Decisions, against a plain reading of the rules.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::BindRule;
use super::*;

fn rules(allow: &[&str], deny: &[&str]) -> NetRules {
    NetRules {
        allow: allow.iter().map(|text| NetRule::allow(text).unwrap()).collect(),
        deny: deny.iter().map(|text| NetRule::deny(text).unwrap()).collect(),
        ..NetRules::default()
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_is_allowed_and_not_denied_is_allowed() {
    let hosts = [
        ("db", vec!["10.0.0.7", "fd00::7", "::ffff:10.0.0.8", "0.0.0.0", "::"]),
        ("other", vec!["10.1.1.1"]),
    ];
    let hosts = hosts.map(|(name, found)| (name.to_owned(), found.into_iter().map(address).collect()));
    let allow = [
        "tcp://db:5432",
        "nowhere",
        "udp://*:53",
        "192.0.2.0/24:80,443",
        "icmp://192.0.2.0/24",
        "::1",
        "tcp://[2000::/3]:443",
    ];
    let deny = [
        "192.0.2.128/25:443",
        "192.0.2.200:1-1000",
        "icmp://192.0.2.9",
        "udp://10.0.0.0/8",
        "tcp://*:6000-7000",
    ];
    let table = Table::new(&rules(&allow, &deny), &hosts.into());
    let denied = |text: &str| Decision::Denied(text.to_owned());
    let (tcp, udp, icmp) = (Protocol::Tcp, Protocol::Udp, Protocol::Icmp);
    for (protocol, to, port, expected) in [
        (tcp, "10.0.0.7", 5432, Decision::Allowed),
        (tcp, "fd00::7", 5432, Decision::Allowed),
        (tcp, "10.0.0.8", 5432, Decision::Allowed),
        (tcp, "10.0.0.7", 5433, Decision::Missing),
        (udp, "10.0.0.7", 5432, denied("udp://10.0.0.0/8")),
        (udp, "fd00::7", 5432, Decision::Missing),
        (tcp, "10.1.1.1", 5432, Decision::Missing),
        // An unspecified address of a name allows nothing: the host itself is not reached by it.
        (tcp, "127.0.0.1", 5432, Decision::Missing),
        (tcp, "0.0.0.0", 5432, Decision::Missing),
        (udp, "1.1.1.1", 53, Decision::Allowed),
        (udp, "fe80::1", 53, Decision::Allowed),
        (udp, "::ffff:1.1.1.1", 53, Decision::Allowed),
        (udp, "::ffff:10.1.1.1", 53, denied("udp://10.0.0.0/8")),
        (udp, "1.1.1.1", 54, Decision::Missing),
        (tcp, "192.0.2.1", 443, Decision::Allowed),
        (tcp, "::ffff:192.0.2.1", 443, Decision::Allowed),
        (tcp, "192.0.2.129", 443, denied("192.0.2.128/25:443")),
        (tcp, "192.0.2.200", 443, denied("192.0.2.128/25:443")),
        (tcp, "192.0.2.200", 80, denied("192.0.2.200:1-1000")),
        (tcp, "192.0.3.1", 443, Decision::Missing),
        (icmp, "192.0.2.1", 0, Decision::Allowed),
        (icmp, "192.0.2.1", 7, Decision::Allowed),
        (icmp, "192.0.2.9", 0, denied("icmp://192.0.2.9")),
        (icmp, "192.0.3.1", 0, Decision::Missing),
        (tcp, "::1", 1, Decision::Allowed),
        (tcp, "::", 1, Decision::Allowed),
        (tcp, "127.0.0.1", 1, Decision::Missing),
        (tcp, "::1", 6000, denied("tcp://*:6000-7000")),
        (tcp, "9.9.9.9", 6000, denied("tcp://*:6000-7000")),
        (udp, "::1", 0, Decision::Missing),
        (tcp, "2001:db8::1", 443, Decision::Allowed),
        (tcp, "4001:db8::1", 443, Decision::Missing),
    ] {
        assert_eq!(
            table.decide(protocol, address(to), port),
            expected,
            "{protocol:?} {to} {port}"
        );
    }
}

#[test]
fn all_of_one_family_is_nothing_of_the_other() {
    let long = Table::new(&rules(&["::/0"], &[]), &BTreeMap::new());
    let short = Table::new(&rules(&["0.0.0.0/0"], &[]), &BTreeMap::new());
    for (to, ipv4) in [
        ("1.2.3.4", true),
        ("::ffff:1.2.3.4", true),
        ("::1.2.3.4", false),
        ("::fffe:1:2", false),
    ] {
        let (in_long, in_short) = (
            long.decide(Protocol::Tcp, address(to), 1),
            short.decide(Protocol::Tcp, address(to), 1),
        );
        assert_eq!(
            (in_long == Decision::Allowed, in_short == Decision::Allowed),
            (!ipv4, ipv4),
            "{to}"
        );
    }
}

#[test]
fn the_unspecified_address_is_no_way_around_a_denial_of_the_host() {
    let table = Table::new(&rules(&["*"], &["127.0.0.0/8", "::1"]), &BTreeMap::new());
    for (to, rule) in [
        ("0.0.0.0", "127.0.0.0/8"),
        ("::ffff:0.0.0.0", "127.0.0.0/8"),
        ("::", "::1"),
    ] {
        assert_eq!(
            table.decide(Protocol::Tcp, address(to), 80),
            Decision::Denied(rule.to_owned()),
            "{to}"
        );
    }
}

#[test]
fn empty_table_allows_nothing() {
    for table in [Table::default(), Table::new(&NetRules::default(), &BTreeMap::new())] {
        for protocol in Protocol::ALL {
            assert_eq!(table.decide(protocol, address("127.0.0.1"), 80), Decision::Missing);
            assert!(!table.may_bind(protocol, 80));
        }
    }
}

#[test]
fn ports_are_bound_as_rules_say() {
    let bind = |texts: &[&str]| texts.iter().map(|text| BindRule::parse(text).unwrap()).collect();
    let rules = NetRules {
        allow_bind: bind(&["80,8000-8999", "udp://*"]),
        deny_bind: bind(&["8080", "udp://53"]),
        ..NetRules::default()
    };
    let table = Table::new(&rules, &BTreeMap::new());
    for (protocol, port, may) in [
        (Protocol::Tcp, 80, true),
        (Protocol::Tcp, 8000, true),
        (Protocol::Tcp, 8080, false),
        (Protocol::Tcp, 81, false),
        (Protocol::Udp, 81, true),
        (Protocol::Udp, 53, false),
        (Protocol::Icmp, 81, false),
        (Protocol::Tcp, 0, false),
        (Protocol::Udp, 0, false),
    ] {
        assert_eq!(table.may_bind(protocol, port), may, "{protocol:?} {port}");
    }
}

/// A rule as its author thinks of it.
#[derive(Clone, Debug)]
struct Said {
    protocol: Option<Protocol>,
    place: Place,
    /// Empty: all.
    ports: Vec<(u16, u16)>,
}

#[derive(Clone, Debug)]
enum Place {
    Any,
    V4(u32, u8),
    V6(u128, u8),
    Name(usize),
}

/// Hosts that rules name.
fn hosts() -> [(&'static str, Vec<IpAddr>); 3] {
    let found = ["10.0.0.1", "fd00::1", "::ffff:10.0.0.2"].map(address);
    [
        ("a", found[..1].to_vec()),
        ("b.example", found.to_vec()),
        ("none", Vec::new()),
    ]
}

impl Said {
    fn text(&self) -> String {
        let scheme = self.protocol.map_or(String::new(), |protocol| {
            format!("{}://", protocol.name().to_lowercase())
        });
        let ports: Vec<_> = self
            .ports
            .iter()
            .map(|(first, last)| {
                if first == last {
                    first.to_string()
                } else {
                    format!("{first}-{last}")
                }
            })
            .collect();
        let ports = if ports.is_empty() {
            String::new()
        } else {
            format!(":{}", ports.join(","))
        };
        let target = match self.place {
            Place::Any => "*".to_owned(),
            Place::Name(host) => hosts()[host].0.to_owned(),
            Place::V4(bits, 32) => Ipv4Addr::from(bits).to_string(),
            Place::V4(bits, prefix) => format!("{}/{prefix}", Ipv4Addr::from(bits)),
            Place::V6(bits, prefix) if ports.is_empty() => format!("{}/{prefix}", Ipv6Addr::from(bits)),
            Place::V6(bits, prefix) => format!("[{}/{prefix}]", Ipv6Addr::from(bits)),
        };
        format!("{scheme}{target}{ports}")
    }

    /// True if it is about this, bit by bit.
    fn is_about(&self, protocol: Protocol, address: IpAddr, port: u16) -> bool {
        let spoken = match self.protocol {
            Some(said) => said == protocol,
            None => protocol != Protocol::Icmp,
        };
        let there = match (&self.place, address) {
            (Place::Any, _) => true,
            (Place::V4(bits, prefix), IpAddr::V4(address)) => {
                (0..*prefix).all(|bit| (bits >> (31 - bit)) & 1 == (address.to_bits() >> (31 - bit)) & 1)
            }
            (Place::V6(bits, prefix), IpAddr::V6(address)) => {
                (0..*prefix).all(|bit| (bits >> (127 - bit)) & 1 == (address.to_bits() >> (127 - bit)) & 1)
            }
            (Place::Name(host), _) => hosts()[*host].1.iter().any(|found| found.to_canonical() == address),
            _ => false,
        };
        let all = protocol == Protocol::Icmp || (self.ports.is_empty() && port != 0);
        spoken && there && (all || self.ports.iter().any(|&(first, last)| first <= port && port <= last))
    }
}

/// Bits of few addresses and networks, so that they meet.
fn v4() -> impl Strategy<Value = u32> {
    let bits = prop_oneof![Just(0x0a00_0000_u32), Just(0x7f00_0000), Just(0), Just(0xffff_fffc)];
    (bits, 0..4_u32).prop_map(|(bits, low)| bits | low)
}

fn v6() -> impl Strategy<Value = u128> {
    let bits = prop_oneof![
        Just(0xfd00_u128 << 112),
        Just(0),
        Just(0xfffe_u128 << 32),
        Just(u128::MAX - 3)
    ];
    (bits, 0..4_u128).prop_map(|(bits, low)| bits | low)
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![1..6_u16, 65533..=65535_u16]
}

fn said(named: bool) -> impl Strategy<Value = Said> {
    let short = (v4(), 0..=32_u8)
        .prop_map(|(bits, prefix)| Place::V4(bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0), prefix));
    let long = (v6(), 0..=128_u8).prop_map(|(bits, prefix)| {
        Place::V6(
            bits & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0),
            prefix,
        )
    });
    let name = (0..3_usize).prop_map(move |host| if named { Place::Name(host) } else { Place::Any });
    let place = prop_oneof![1 => Just(Place::Any), 4 => short, 4 => long, 2 => name];
    let place = place.prop_filter("no destination", |place| {
        !matches!(place, Place::V4(0, 32) | Place::V6(0, 128))
    });
    let protocol = prop_oneof![Just(None), proptest::sample::select(&Protocol::ALL).prop_map(Some)];
    let ports = vec(
        (port(), port()).prop_map(|(one, other)| (one.min(other), one.max(other))),
        0..3,
    );
    (protocol, place, ports).prop_filter_map("denies everything", move |(protocol, place, mut ports)| {
        if protocol == Some(Protocol::Icmp) {
            ports.clear();
        }
        let everywhere = protocol.is_none() && matches!(place, Place::Any);
        let covered = |port: u16| ports.iter().any(|&(first, last)| first <= port && port <= last);
        let everything = everywhere && (ports.is_empty() || (1..=u16::MAX).all(covered));
        (named || !everything).then_some(Said { protocol, place, ports })
    })
}

/// An address as a program may write it.
fn written() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        v4().prop_map(|bits| Ipv4Addr::from(bits).into()),
        v4().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into()),
        v6().prop_map(|bits| Ipv6Addr::from(bits).into()),
    ]
}

fn plainly(allow: &[Said], deny: &[Said], protocol: Protocol, address: IpAddr, port: u16) -> Decision {
    let address = match address {
        IpAddr::V6(long) => long.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    let address = match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    if let Some(denial) = deny.iter().find(|said| said.is_about(protocol, address, port)) {
        return Decision::Denied(denial.text());
    }
    match allow.iter().any(|said| said.is_about(protocol, address, port)) {
        true => Decision::Allowed,
        false => Decision::Missing,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn table_decides_as_a_plain_reading_does(
        allow in vec(said(true), 0..6),
        deny in vec(said(false), 0..4),
        asked in vec((proptest::sample::select(&Protocol::ALL), written(), prop_oneof![port(), Just(0)]), 20),
    ) {
        let rules = NetRules {
            allow: allow.iter().map(|said| NetRule::allow(&said.text()).unwrap()).collect(),
            deny: deny.iter().map(|said| NetRule::deny(&said.text()).unwrap()).collect(),
            ..NetRules::default()
        };
        let hosts = hosts().map(|(name, found)| (name.to_owned(), found));
        let table = Table::new(&rules, &hosts.into());
        for (protocol, address, port) in asked {
            prop_assert_eq!(
                table.decide(protocol, address, port),
                plainly(&allow, &deny, protocol, address, port),
                "{:?} {} {}: allow {:?}, deny {:?}", protocol, address, port, &allow, &deny
            );
        }
    }

    #[test]
    fn text_is_read_again_as_the_same_rule(said in said(true), noise in "[tcudp:/.,*@0-9a-f\\[\\]-]{0,12}") {
        let rule = NetRule::allow(&said.text()).unwrap();
        prop_assert_eq!(NetRule::allow(rule.text()), Ok(rule.clone()));
        for text in [noise.clone(), format!("{}{noise}", said.text()), format!("unix:{noise}")] {
            for read in [NetRule::allow, NetRule::deny] {
                match read(&text) {
                    Ok(rule) => prop_assert_eq!(read(rule.text()), Ok(rule.clone())),
                    Err(error) => prop_assert!(error.message().contains(", column "), "{}", error.message()),
                }
            }
            match BindRule::parse(&text) {
                Ok(rule) => prop_assert_eq!(BindRule::parse(rule.text()), Ok(rule.clone())),
                Err(error) => prop_assert!(error.message().contains(", column "), "{}", error.message()),
            }
        }
    }

    #[test]
    fn networks_hold_the_addresses_that_begin_like_them(bits in v6(), prefix in 0..=128_u8, asked in written()) {
        let network = Network::around(Ipv6Addr::from(bits).into(), prefix).unwrap();
        let said = Said { protocol: None, place: Place::V6(bits, prefix), ports: Vec::new() };
        prop_assert_eq!(network.contains(asked), said.is_about(Protocol::Tcp, asked.to_canonical(), 1));
    }
}
