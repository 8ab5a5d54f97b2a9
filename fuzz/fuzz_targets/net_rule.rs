//! Network rules: any text, and texts put together of what rules are made of.
//!
//! Nothing may panic. A text that is refused is refused with one line that has a column; one that is accepted is read
//! again as the same, is no address in disguise, and decides about addresses as it says itself.

#![no_main]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

use sandlock::error::Error;
use sandlock::policy::net::{Decision, Destination, Network, Peer, Protocol, Table, Target, reached_by};
use sandlock::policy::{BindRule, NetRule, NetRules};

/// Pieces of rules. A first byte of the input that has a text put together takes these by number.
const PIECES: &[&str] = &[
    "tcp://",
    "udp://",
    "icmp://",
    "unix:",
    "unix:/",
    "unix:@",
    "http://",
    "://",
    ":",
    "::",
    "/",
    "/*",
    "*",
    ".",
    "..",
    ",",
    "-",
    "_",
    "%",
    "[",
    "]",
    "]:",
    "@",
    " ",
    "0",
    "1",
    "80",
    "443",
    "080",
    "65535",
    "65536",
    "8000-8999",
    "90-80",
    "8",
    "32",
    "96",
    "104",
    "128",
    "129",
    "127.0.0.1",
    "10.0.0.0",
    "10.1.2.3",
    "0.0.0.0",
    "255.255.255.255",
    "256.1.1.1",
    "127.1",
    "0x7f.1",
    "0x7f000001",
    "::1",
    "fd00::",
    "::ffff:",
    "::ffff:10.0.0.1",
    "fe80::1%eth0",
    "2001:db8::a",
    "ffff",
    "a",
    "Example.COM",
    "xn--",
    "localhost",
    "a-",
    "run",
    "é",
    "\u{0}",
    "\n",
    "\u{7f}",
    "\u{202e}",
    "\\",
    "\"",
];

fuzz_target!(|data: &[u8]| {
    let (kind, rest) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let bytes = &mut Unstructured::new(rest);
    // Bytes that end too early have chosen what they could.
    let _ = if kind % 4 == 0 {
        exercise(&String::from_utf8_lossy(rest), bytes)
    } else {
        pieced(bytes)
    };
});

fn pieced(bytes: &mut Unstructured) -> Result<()> {
    let mut text = String::new();
    for _ in 0..bytes.int_in_range(1..=8)? {
        text.push_str(bytes.choose(PIECES)?);
        if bytes.ratio(1, 16)? {
            text.push(bytes.arbitrary()?);
        }
    }
    exercise(&text, bytes)
}

fn exercise(text: &str, bytes: &mut Unstructured) -> Result<()> {
    let (allow, deny) = (read(text, NetRule::allow), read(text, NetRule::deny));
    let bind = read(text, BindRule::parse);
    if let Some(rule) = &deny {
        assert_eq!(allow.as_ref(), Some(rule), "what can be denied can be allowed");
    }
    for rule in allow.iter().chain(&deny) {
        assert_eq!(rule.text(), text);
        match &rule.peer {
            Peer::Internet(destination) => check_destination(destination, text),
            Peer::Unix(target) => {
                for socket in ["/run/x", "a", "", "/", text.strip_prefix("unix:").unwrap_or(text)] {
                    let both = target.has_path(socket.as_bytes()) && target.has_name(socket.as_bytes());
                    assert!(!both, "{text:?} is about two kinds of sockets");
                }
            }
            peer => panic!("{peer:?} is not known here"),
        }
    }
    if let Some(rule) = &bind {
        assert_eq!(rule.text(), text);
        assert!(rule.protocol != Protocol::Icmp && !rule.ports.contains(0), "{text:?}");
    }
    let mut rules = NetRules::default();
    rules.allow.extend(allow);
    rules.deny.extend(deny);
    rules.allow_bind.extend(bind);
    decide(&rules, bytes)
}

/// The rule, if it is one.
fn read<T: PartialEq + std::fmt::Debug>(text: &str, parse: fn(&str) -> std::result::Result<T, Error>) -> Option<T> {
    match parse(text) {
        Ok(rule) => {
            assert!(!text.contains(char::is_control), "{text:?}");
            assert_eq!(parse(text).as_ref(), Ok(&rule));
            Some(rule)
        }
        Err(error) => {
            let message = error.message();
            assert!(!message.contains(char::is_control), "{message:?}");
            let quoted: String = text.chars().take(280).flat_map(char::escape_debug).collect();
            let rest = message
                .strip_prefix("arguments: rule \"")
                .and_then(|rest| rest.strip_prefix(&quoted));
            let rest = rest
                .map(|rest| rest.trim_start_matches('…'))
                .and_then(|rest| rest.strip_prefix("\", column "));
            let column = rest.and_then(|rest| rest.split(':').next());
            let column: usize = column.and_then(|column| column.parse().ok()).expect("a column");
            assert!((1..=text.chars().count() + 1).contains(&column), "{message}");
            assert!(message.len() < 8 << 10, "{} bytes", message.len());
            None
        }
    }
}

fn check_destination(destination: &Destination, text: &str) {
    assert!(!destination.ports.contains(0), "{text:?}");
    assert!(
        Protocol::ALL
            .iter()
            .any(|&protocol| destination.protocols.has(protocol))
    );
    match &destination.target {
        Target::Any => {}
        Target::Network(network) => {
            assert!(network.contains(network.address()), "{text:?}");
            assert_eq!(
                Network::around(network.address(), network.prefix()).as_ref(),
                Some(network),
                "{text:?}"
            );
        }
        Target::Name(name) => {
            assert!(name.parse::<IpAddr>().is_err(), "{text:?}");
            let last = name.rsplit('.').next().unwrap_or_default();
            // What inet_aton(3) takes for a number.
            let number = last
                .strip_prefix("0x")
                .map_or(last.parse::<u128>().is_ok(), |hexadecimal| {
                    hexadecimal.is_empty() || u128::from_str_radix(hexadecimal, 16).is_ok()
                });
            assert!(!number, "{text:?} has a name that resolvers take for an address");
        }
        target => panic!("{target:?} is not known here"),
    }
}

/// Asks about addresses: the edges of what the rules name, and any.
fn decide(rules: &NetRules, bytes: &mut Unstructured) -> Result<()> {
    let mut found: Vec<IpAddr> = vec![
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv4Addr::LOCALHOST.into(),
    ];
    for _ in 0..4 {
        let bits: u128 = bytes.arbitrary()?;
        found.push(Ipv6Addr::from_bits(bits).into());
        found.push(Ipv4Addr::from_bits(bits as u32).into());
        found.push(Ipv4Addr::from_bits(bits as u32).to_ipv6_mapped().into());
    }
    let names = rules.names().into_iter().map(|name| (name.to_owned(), found.clone()));
    let addresses: BTreeMap<_, _> = names.collect();
    let table = Table::new(rules, &addresses);
    let mut ports: Vec<u16> = vec![0, 1, u16::MAX, bytes.arbitrary()?];
    for rule in rules.allow.iter().chain(&rules.deny) {
        let Peer::Internet(destination) = &rule.peer else {
            continue;
        };
        ports.extend(
            destination
                .ports
                .ranges()
                .iter()
                .flat_map(|range| [*range.start(), *range.end()]),
        );
        if let Target::Network(network) = &destination.target {
            found.push(network.address());
        }
    }
    for protocol in Protocol::ALL {
        for &address in &found {
            for &port in ports.iter().take(64) {
                let about = |rule: &NetRule| is_about(rule, protocol, reached_by(address), port, &addresses);
                let expected = match rules.deny.iter().find(|rule| about(rule)) {
                    Some(denial) => Decision::Denied(denial.text().to_owned()),
                    None if rules.allow.iter().any(about) => Decision::Allowed,
                    None => Decision::Missing,
                };
                assert_eq!(
                    table.decide(protocol, address, port),
                    expected,
                    "{rules:?} {protocol:?} {address} {port}"
                );
            }
        }
        for &port in &ports {
            let may = rules.bound_ports(protocol).is_some_and(|ports| ports.contains(port));
            assert_eq!(table.may_bind(protocol, port), may);
        }
    }
    Ok(())
}

fn is_about(
    rule: &NetRule,
    protocol: Protocol,
    address: IpAddr,
    port: u16,
    names: &BTreeMap<String, Vec<IpAddr>>,
) -> bool {
    let Peer::Internet(destination) = &rule.peer else {
        return false;
    };
    let there = match &destination.target {
        Target::Any => true,
        Target::Network(network) => network.contains(address),
        Target::Name(name) => {
            let mut known = names.get(name).into_iter().flatten().map(|known| known.to_canonical());
            known.any(|known| known == address && !known.is_unspecified())
        }
        target => panic!("{target:?} is not known here"),
    };
    let port = protocol == Protocol::Icmp || destination.ports.contains(port);
    there && port && destination.protocols.has(protocol)
}
