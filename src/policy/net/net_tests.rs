//! Texts of rules and what they mean, or what is wrong with them.

use super::*;

fn ports(ranges: &[(u16, u16)]) -> Ports {
    Ports::from_ranges(ranges.iter().map(|&(first, last)| first..=last)).unwrap()
}

/// The protocols of a rule, by their first letters.
fn protocols(letters: &str) -> Protocols {
    Protocols {
        tcp: letters.contains('t'),
        udp: letters.contains('u'),
        icmp: letters.contains('i'),
    }
}

fn at(address: &str, prefix: u8) -> Target {
    Target::Network(Network(address.parse().unwrap(), prefix))
}

fn named(name: &str) -> Target {
    Target::Name(name.to_owned())
}

#[test]
fn rules_mean_what_they_say() {
    let all = Ports::all();
    let long = format!("{}.example", "a".repeat(63));
    let longest = format!("{}{}", "a23456789.".repeat(25), "com");
    for (text, letters, target, said) in [
        ("example.com", "tu", named("example.com"), all.clone()),
        ("example.com:443", "tu", named("example.com"), Ports::one(443)),
        ("tcp://Example.COM.:443", "t", named("example.com"), Ports::one(443)),
        (
            "udp://ns_1.example.com:53",
            "u",
            named("ns_1.example.com"),
            Ports::one(53),
        ),
        ("icmp://example.com", "i", named("example.com"), all.clone()),
        ("localhost:8000-8999", "tu", named("localhost"), ports(&[(8000, 8999)])),
        (
            "xn--bcher-kva.example",
            "tu",
            named("xn--bcher-kva.example"),
            all.clone(),
        ),
        // Names that begin like numbers or addresses.
        ("1.2.3.4.example:1", "tu", named("1.2.3.4.example"), Ports::one(1)),
        ("3com.com", "tu", named("3com.com"), all.clone()),
        ("1.2.3.4a", "tu", named("1.2.3.4a"), all.clone()),
        ("a.0xg", "tu", named("a.0xg"), all.clone()),
        ("fd00", "tu", named("fd00"), all.clone()),
        (&long, "tu", named(&long), all.clone()),
        (&longest, "tu", named(&longest), all.clone()),
        ("10.0.0.1", "tu", at("10.0.0.1", 32), all.clone()),
        (
            "tcp://127.0.0.1:80,443",
            "t",
            at("127.0.0.1", 32),
            ports(&[(80, 80), (443, 443)]),
        ),
        ("10.0.0.0/8", "tu", at("10.0.0.0", 8), all.clone()),
        ("udp://10.0.0.0/8:53", "u", at("10.0.0.0", 8), Ports::one(53)),
        ("0.0.0.0/0", "tu", at("0.0.0.0", 0), all.clone()),
        ("10.0.0.1/32", "tu", at("10.0.0.1", 32), all.clone()),
        ("255.255.255.255:9", "tu", at("255.255.255.255", 32), Ports::one(9)),
        ("::1", "tu", at("::1", 128), all.clone()),
        ("[::1]", "tu", at("::1", 128), all.clone()),
        ("tcp://[::1]:443", "t", at("::1", 128), Ports::one(443)),
        // Without brackets what might be a port is part of the address.
        ("::1:443", "tu", at("::1:443", 128), all.clone()),
        ("fd00::/8", "tu", at("fd00::", 8), all.clone()),
        ("[fd00::/8]", "tu", at("fd00::", 8), all.clone()),
        (
            "udp://[fd00::/8]:53,8000-8999",
            "u",
            at("fd00::", 8),
            ports(&[(53, 53), (8000, 8999)]),
        ),
        ("::/0", "tu", at("::", 0), all.clone()),
        ("icmp://fe80::/10", "i", at("fe80::", 10), all.clone()),
        ("FD00::A", "tu", at("fd00::a", 128), all.clone()),
        // IPv4 that is written as IPv6.
        ("::ffff:10.0.0.1", "tu", at("10.0.0.1", 32), all.clone()),
        ("[::ffff:10.0.0.0/104]:80", "tu", at("10.0.0.0", 8), Ports::one(80)),
        ("::ffff:0:0/96", "tu", at("0.0.0.0", 0), all.clone()),
        ("::fffe:0:0/95", "tu", at("::fffe:0:0", 95), all.clone()),
        // IPv4-compatible addresses are IPv6.
        ("::10.0.0.1", "tu", at("::a00:1", 128), all.clone()),
        ("*", "tu", Target::Any, all.clone()),
        ("*:*", "tu", Target::Any, all.clone()),
        ("tcp://*", "t", Target::Any, all.clone()),
        ("icmp://*", "i", Target::Any, all.clone()),
        ("*:443", "tu", Target::Any, Ports::one(443)),
        ("*:1-65535", "tu", Target::Any, all.clone()),
        ("*:80,1-2,3,79-81", "tu", Target::Any, ports(&[(1, 3), (79, 81)])),
        ("*:65535", "tu", Target::Any, Ports::one(65535)),
    ] {
        let destination = Destination {
            protocols: protocols(letters),
            target,
            ports: said,
        };
        let rule = NetRule::allow(text).unwrap();
        assert_eq!(rule.peer, Peer::Internet(destination.clone()), "{text}");
        assert_eq!(rule.text(), text);
        // What can be denied is denied by the same words.
        let everything = destination.target == Target::Any && letters == "tu" && destination.ports == all;
        match NetRule::deny(text) {
            Ok(denial) => assert_eq!(denial, rule),
            Err(_) => assert!(everything || matches!(destination.target, Target::Name(_)), "{text}"),
        }
    }
}

#[test]
fn rules_about_unix_sockets_mean_what_they_say() {
    let path = |path: &str, beneath| UnixTarget::Path {
        path: CString::new(path).unwrap(),
        beneath,
    };
    let name = |name: &str, beneath| UnixTarget::Abstract {
        name: name.into(),
        beneath,
    };
    let longest = "a".repeat(106);
    let deep = "/abc".repeat(1023);
    for (text, target) in [
        ("unix:/run/x.sock".to_owned(), path("/run/x.sock", false)),
        ("unix:/run/user/*".to_owned(), path("/run/user", true)),
        ("unix:/*".to_owned(), path("/", true)),
        ("unix:/a b/é:80".to_owned(), path("/a b/é:80", false)),
        ("unix:/.a/..b/...".to_owned(), path("/.a/..b/...", false)),
        ("unix:@x".to_owned(), name("x", false)),
        ("unix:@/tmp/.X11-unix/X0".to_owned(), name("/tmp/.X11-unix/X0", false)),
        ("unix:@/tmp/.X11-unix/*".to_owned(), name("/tmp/.X11-unix", true)),
        ("unix:@a//../".to_owned(), name("a//../", false)),
        (format!("unix:/{longest}"), path(&format!("/{longest}"), false)),
        (format!("unix:@{longest}b"), name(&format!("{longest}b"), false)),
        (format!("unix:@{longest}/*"), name(&longest, true)),
        (format!("unix:{deep}/*"), path(&deep, true)),
    ] {
        let rule = NetRule::allow(&text).unwrap();
        assert_eq!(rule.peer, Peer::Unix(target), "{text}");
        assert_eq!(NetRule::deny(&text), Ok(rule));
    }
}

#[test]
fn unix_sockets_are_told_by_whole_names() {
    let target = |text: &str| match NetRule::allow(text).unwrap().peer {
        Peer::Unix(target) => target,
        Peer::Internet(_) => panic!("{text}"),
    };
    for (text, socket, by_path, by_name) in [
        ("unix:/run/x", "/run/x", true, false),
        ("unix:/run/x", "/run/x/y", false, false),
        ("unix:/run/x/*", "/run/x", false, false),
        ("unix:/run/x/*", "/run/x/", false, false),
        ("unix:/run/x/*", "/run/xy", false, false),
        ("unix:/run/x/*", "/run/x/y", true, false),
        ("unix:/run/x/*", "/run/x/y/z", true, false),
        ("unix:/*", "/x", true, false),
        ("unix:/*", "/", false, false),
        ("unix:/*", "x", false, false),
        ("unix:@/run/x", "/run/x", false, true),
        ("unix:@/run/x/*", "/run/x/y", false, true),
        ("unix:@x/*", "x/y", false, true),
        ("unix:@x/*", "xy", false, false),
        ("unix:@x/*", "x", false, false),
        ("unix:@x", "x", false, true),
        ("unix:@x", "x\0", false, false),
    ] {
        let (target, socket) = (target(text), socket.as_bytes());
        assert_eq!(target.has_path(socket), by_path, "{text} {socket:?}");
        assert_eq!(target.has_name(socket), by_name, "{text} {socket:?}");
    }
}

#[test]
fn rules_for_binding_mean_what_they_say() {
    for (text, protocol, said) in [
        ("80", Protocol::Tcp, Ports::one(80)),
        ("tcp://8000-8999", Protocol::Tcp, ports(&[(8000, 8999)])),
        ("udp://53,5353", Protocol::Udp, ports(&[(53, 53), (5353, 5353)])),
        ("*", Protocol::Tcp, Ports::all()),
        ("udp://*", Protocol::Udp, Ports::all()),
    ] {
        let rule = BindRule::parse(text).unwrap();
        assert_eq!((rule.text(), rule.protocol, &rule.ports), (text, protocol, &said));
    }
}

type Reading = fn(&str) -> Result<()>;

const ALLOW: Reading = |text| NetRule::allow(text).map(drop);
const DENY: Reading = |text| NetRule::deny(text).map(drop);
const BIND: Reading = |text| BindRule::parse(text).map(drop);

#[test]
fn malformed_rules_are_told_with_the_column() {
    for (read, text, column, what) in [
        (ALLOW, "", 1, "the rule is empty"),
        (ALLOW, "a\tb", 2, "a control character, '\\t'"),
        (ALLOW, "unix:/a\nb", 8, "a control character, '\\n'"),
        (ALLOW, "a.example\0", 10, "a control character, '\\0'"),
        (
            ALLOW,
            "http://a",
            1,
            "unknown scheme \"http\"; known are tcp, udp, icmp and unix:",
        ),
        (
            ALLOW,
            "TCP://a",
            1,
            "unknown scheme \"TCP\"; known are tcp, udp, icmp and unix:",
        ),
        (
            ALLOW,
            "://a",
            1,
            "unknown scheme \"\"; known are tcp, udp, icmp and unix:",
        ),
        (ALLOW, "tcp://udp://a", 11, "\"//a\" is no port: they are 1 to 65535"),
        (ALLOW, "tcp://", 7, "the target is missing; * is any"),
        (ALLOW, ":80", 1, "the target is missing; * is any"),
        (ALLOW, "[]:80", 2, "brackets are for IPv6 addresses"),
        (ALLOW, "icmp://a:80", 10, "ICMP has no ports"),
        (ALLOW, "icmp://[::1]:*", 14, "ICMP has no ports"),
        // Names.
        (ALLOW, " a", 1, "' ' in the name of a host"),
        (ALLOW, "tcp://a b", 8, "' ' in the name of a host"),
        (ALLOW, "user@a", 5, "'@' in the name of a host"),
        (
            ALLOW,
            "tcp://*.example.com",
            7,
            "there are no wildcards in names; * alone is any",
        ),
        (
            ALLOW,
            "tcp://bücher.example",
            8,
            "names are ASCII; write what is not as \"xn--\" and so on",
        ),
        (ALLOW, "a..b", 3, "a part of the name is empty"),
        (ALLOW, "a..", 3, "a part of the name is empty"),
        (ALLOW, ".", 1, "a part of the name is empty"),
        (ALLOW, ".a", 1, "a part of the name is empty"),
        (ALLOW, "a.-b", 3, "a part of the name begins with \"-\""),
        (ALLOW, "ab-.c", 3, "a part of the name ends with \"-\""),
        (ALLOW, "1.2.3", 1, "\"1.2.3\" looks like an address and is none"),
        (
            ALLOW,
            "tcp://256.1.1.1:80",
            7,
            "\"256.1.1.1\" looks like an address and is none",
        ),
        (ALLOW, "0x7f.1", 1, "\"0x7f.1\" looks like an address and is none"),
        (
            ALLOW,
            "0x7f000001",
            1,
            "\"0x7f000001\" looks like an address and is none",
        ),
        (
            ALLOW,
            "127.0.0.0X1.",
            1,
            "\"127.0.0.0X1\" looks like an address and is none",
        ),
        (ALLOW, "a.0x", 1, "\"a.0x\" looks like an address and is none"),
        (
            ALLOW,
            "0127.0.0.1",
            1,
            "\"0127.0.0.1\" looks like an address and is none",
        ),
        (ALLOW, "10.0.0.1.", 1, "\"10.0.0.1\" looks like an address and is none"),
        (
            ALLOW,
            "2130706433",
            1,
            "\"2130706433\" looks like an address and is none",
        ),
        (ALLOW, "a.1", 1, "\"a.1\" looks like an address and is none"),
        // Addresses and networks.
        (
            ALLOW,
            "tcp://10.1.2.3/8",
            7,
            "this address has bits beyond the prefix; the network is 10.0.0.0/8",
        ),
        (
            ALLOW,
            "[fd00::1/8]",
            2,
            "this address has bits beyond the prefix; the network is fd00::/8",
        ),
        (
            ALLOW,
            "::ffff:10.1.2.3/104",
            1,
            "this address has bits beyond the prefix; the network is ::ffff:10.0.0.0/104",
        ),
        (
            ALLOW,
            "::ffff:0:0/95",
            1,
            "this address has bits beyond the prefix; the network is ::fffe:0:0/95",
        ),
        (ALLOW, "10.0.0.0/33", 10, "the prefix \"33\" is not within 0 to 32"),
        (ALLOW, "10.0.0.0/", 10, "the prefix \"\" is not within 0 to 32"),
        (ALLOW, "10.0.0.0/08", 10, "the prefix \"08\" is not within 0 to 32"),
        (ALLOW, "10.0.0.0/+8", 10, "the prefix \"+8\" is not within 0 to 32"),
        (ALLOW, "10.0.0.0/264", 10, "the prefix \"264\" is not within 0 to 32"),
        (ALLOW, "10.0.0.0/8/8", 10, "the prefix \"8/8\" is not within 0 to 32"),
        (ALLOW, "fd00::/129", 8, "the prefix \"129\" is not within 0 to 128"),
        (
            ALLOW,
            "fd00::/8:443",
            8,
            "an IPv6 network with ports stands in brackets: [fd00::/8]:443",
        ),
        (
            ALLOW,
            "[fd00::]/8",
            9,
            "the prefix belongs inside the brackets: [fd00::/8]",
        ),
        (
            ALLOW,
            "a.example/8",
            1,
            "\"a.example\" is no address, which a prefix takes",
        ),
        (ALLOW, "*/8", 1, "\"*\" is no address, which a prefix takes"),
        (
            ALLOW,
            "fe80::1%eth0",
            8,
            "scope ids are not known here: an address is meant on every interface",
        ),
        (
            ALLOW,
            "tcp://[fe80::1%2]:80",
            15,
            "scope ids are not known here: an address is meant on every interface",
        ),
        (ALLOW, "1:2:3", 1, "\"1:2:3\" is no IPv6 address"),
        (ALLOW, "tcp://[::g]:80", 8, "\"::g\" is no IPv6 address"),
        (ALLOW, "[10.0.0.1]:80", 2, "brackets are for IPv6 addresses"),
        (ALLOW, "[a.example]", 2, "brackets are for IPv6 addresses"),
        (ALLOW, "[*]", 2, "brackets are for IPv6 addresses"),
        (ALLOW, "tcp://[::1", 7, "this bracket is not closed"),
        (ALLOW, "[::1]443", 6, "only \":\" and ports can follow the brackets"),
        (ALLOW, "[[::1]]", 7, "only \":\" and ports can follow the brackets"),
        (
            ALLOW,
            "a.example:80:90",
            13,
            "a second \":\" in something that is no IPv6 address",
        ),
        (
            ALLOW,
            "10.0.0.1:80:90",
            12,
            "a second \":\" in something that is no IPv6 address",
        ),
        (
            ALLOW,
            "0.0.0.0:80",
            1,
            "the unspecified address is no destination; this host is 127.0.0.1",
        ),
        (
            ALLOW,
            "0.0.0.0/32",
            1,
            "the unspecified address is no destination; this host is 127.0.0.1",
        ),
        (
            ALLOW,
            "[::ffff:0.0.0.0]",
            2,
            "the unspecified address is no destination; this host is 127.0.0.1",
        ),
        (
            DENY,
            "::",
            1,
            "the unspecified address is no destination; this host is ::1",
        ),
        // Ports.
        (ALLOW, "a:", 3, "a port is missing; * is all"),
        (ALLOW, "a:80,", 6, "a port is missing; * is all"),
        (ALLOW, "a:80,,90", 6, "a port is missing; * is all"),
        (ALLOW, "a:80-", 6, "a port is missing; * is all"),
        (ALLOW, "a:-80", 3, "a port is missing; * is all"),
        (ALLOW, "a:80,*", 6, "* stands for all ports, and alone"),
        (ALLOW, "a:0", 3, "there is no port 0 to connect to"),
        (ALLOW, "a:80,0-90", 6, "there is no port 0 to connect to"),
        (ALLOW, "[::1]:65536", 7, "\"65536\" is no port: they are 1 to 65535"),
        (ALLOW, "a:080", 3, "\"080\" is no port: they are 1 to 65535"),
        (ALLOW, "a:+80", 3, "\"+80\" is no port: they are 1 to 65535"),
        (ALLOW, "a:http", 3, "\"http\" is no port: they are 1 to 65535"),
        (ALLOW, "a:80 ", 3, "\"80 \" is no port: they are 1 to 65535"),
        (ALLOW, "a:80, 90", 6, "\" 90\" is no port: they are 1 to 65535"),
        (ALLOW, "a:1-2-3", 5, "\"2-3\" is no port: they are 1 to 65535"),
        (ALLOW, "a:٣", 3, "\"٣\" is no port: they are 1 to 65535"),
        (ALLOW, "a:90-80", 3, "the range is reversed; write 80-90"),
        (ALLOW, "a:1,90-80", 5, "the range is reversed; write 80-90"),
        // What cannot be denied.
        (
            DENY,
            "a.example",
            1,
            "what is denied is an address, a network or *, for a name may stand for others later",
        ),
        (
            DENY,
            "tcp://a.example:80",
            7,
            "what is denied is an address, a network or *, for a name may stand for others later",
        ),
        (
            DENY,
            "*",
            1,
            "this would deny everything, as a policy does that allows nothing",
        ),
        (
            DENY,
            "*:*",
            1,
            "this would deny everything, as a policy does that allows nothing",
        ),
        (
            DENY,
            "10.1.1.1/8",
            1,
            "this address has bits beyond the prefix; the network is 10.0.0.0/8",
        ),
        // Unix sockets.
        (ALLOW, "unix:", 6, "neither \"/\" and a path nor \"@\" and a name"),
        (ALLOW, "unix:run/x", 6, "neither \"/\" and a path nor \"@\" and a name"),
        (ALLOW, "unix:*", 6, "* stands in the end only, after \"/\""),
        (ALLOW, "unix:@*", 7, "* stands in the end only, after \"/\""),
        (ALLOW, "unix:/run/x*", 12, "* stands in the end only, after \"/\""),
        (DENY, "unix:/é/*/bus", 9, "* stands in the end only, after \"/\""),
        (ALLOW, "unix:/*/*", 7, "* stands in the end only, after \"/\""),
        (ALLOW, "unix:/", 7, "a name in the path is empty"),
        (ALLOW, "unix:/run/", 11, "a name in the path is empty"),
        (ALLOW, "unix://run", 7, "a name in the path is empty"),
        (ALLOW, "unix:/run//*", 11, "a name in the path is empty"),
        (ALLOW, "unix:/é/../x", 9, "\"..\" in the path"),
        (ALLOW, "unix:/run/./*", 11, "\".\" in the path"),
        (ALLOW, "unix:@", 7, "the name is missing"),
        (ALLOW, "unix:@/*", 7, "the name is missing"),
        // Ports to bind to.
        (BIND, "", 1, "the rule is empty"),
        (BIND, "icmp://80", 1, "ICMP has no ports"),
        (BIND, "unix:/a", 1, "\"unix:/a\" is no port: they are 1 to 65535"),
        (BIND, "sctp://80", 1, "unknown scheme \"sctp\"; known are tcp and udp"),
        (BIND, "udp://", 7, "a port is missing; * is all"),
        (
            BIND,
            "127.0.0.1:80",
            1,
            "\"127.0.0.1:80\" is no port: they are 1 to 65535",
        ),
        (
            BIND,
            "0",
            1,
            "to bind to port 0 is to be given a free one of those that are allowed: write * or a range of them",
        ),
        (
            BIND,
            "udp://53,0-1023",
            10,
            "to bind to port 0 is to be given a free one of those that are allowed: write * or a range of them",
        ),
        (BIND, "90-80", 1, "the range is reversed; write 80-90"),
        (BIND, "80\u{7f}", 3, "a control character, '\\u{7f}'"),
    ] {
        let error = read(text).unwrap_err();
        let quoted: String = text.chars().flat_map(char::escape_debug).collect();
        let expected = format!("arguments: rule \"{quoted}\", column {column}: {what}");
        assert_eq!(error.kind(), crate::error::ErrorKind::InvalidArgument);
        assert!(
            error.message().starts_with(&expected),
            "{} is not {expected}",
            error.message()
        );
        assert!(!error.message().contains(char::is_control));
    }
}

#[test]
fn what_is_too_long_is_told_and_cut() {
    for (text, expected) in [
        (
            format!("a.{}.b", "c".repeat(64)),
            "column 3: a part of 64 characters, of 63 at most",
        ),
        (
            "ab.".repeat(84) + "cd",
            "column 1: a name of 254 characters, of 253 at most",
        ),
        (
            format!("unix:/{}", "a".repeat(107)),
            "column 6: a path of 108 bytes, of 107 at most",
        ),
        (
            format!("unix:@{}", "a".repeat(108)),
            "column 7: a name of 108 bytes, of 107 at most",
        ),
        (
            format!("unix:@{}/*", "a".repeat(107)),
            "column 7: a name of 107 bytes, of 106 at most",
        ),
        (
            format!("unix:{}/*", "/abc".repeat(1024)),
            "column 6: a path of 4096 bytes, of 4095 at most",
        ),
        (format!("{}é", "a".repeat(1 << 20)), "column 1048577: names are ASCII"),
        (format!("a:{}", "8".repeat(1 << 20)), "is no port"),
    ] {
        let error = NetRule::allow(&text).unwrap_err();
        assert!(error.message().contains(expected), "{}", error.message());
        assert!(error.message().len() < 500);
    }
}

#[test]
fn rules_are_summed_up() {
    let rules = NetRules {
        allow: ["b:1", "tcp://a", "10.0.0.0/8", "icmp://B"]
            .map(|text| NetRule::allow(text).unwrap())
            .into(),
        deny: vec![NetRule::deny("unix:/a").unwrap()],
        allow_bind: ["80,443", "8000-8999"]
            .map(|text| BindRule::parse(text).unwrap())
            .into(),
        deny_bind: ["443", "udp://*"].map(|text| BindRule::parse(text).unwrap()).into(),
        refresh: None,
    };
    assert_eq!(rules.names(), ["a", "b"]);
    assert!(Protocol::ALL.iter().all(|&protocol| rules.allows(protocol)) && !rules.has_unix());
    assert_eq!(rules.bound_ports(Protocol::Tcp), Some(ports(&[(80, 80), (8000, 8999)])));
    assert_eq!(rules.bound_ports(Protocol::Udp), None);
    assert!(!rules.is_empty());

    let none = NetRules::default();
    assert!(none.is_empty() && none.names().is_empty());
    assert!(!Protocol::ALL.iter().any(|&protocol| none.allows(protocol)));
    for (rules, unix) in [
        (
            NetRules {
                allow: vec![NetRule::allow("unix:@x").unwrap()],
                ..none.clone()
            },
            true,
        ),
        (
            NetRules {
                deny: vec![NetRule::deny("tcp://*").unwrap()],
                ..none.clone()
            },
            false,
        ),
        (
            NetRules {
                allow_bind: vec![BindRule::parse("80").unwrap()],
                ..none.clone()
            },
            false,
        ),
        (
            NetRules {
                deny_bind: vec![BindRule::parse("80").unwrap()],
                ..none.clone()
            },
            false,
        ),
    ] {
        assert!(!rules.is_empty() && rules.has_unix() == unix);
        assert!(!Protocol::ALL.iter().any(|&protocol| rules.allows(protocol)));
    }
    let denied = NetRules {
        allow_bind: vec![BindRule::parse("80").unwrap()],
        deny_bind: vec![BindRule::parse("*").unwrap()],
        ..none
    };
    assert_eq!(denied.bound_ports(Protocol::Tcp), None);
}

#[test]
fn paths_say_it_where_no_rule_is_about_a_name_and_none_denies() {
    let paths = |allow: &[&str], deny: &[&str]| {
        let rules = NetRules {
            allow: allow.iter().map(|rule| NetRule::allow(rule).unwrap()).collect(),
            deny: deny.iter().map(|rule| NetRule::deny(rule).unwrap()).collect(),
            ..NetRules::default()
        };
        let paths = rules.unix_paths()?;
        let owned = paths.into_iter().map(|(path, beneath)| (path.to_owned(), beneath));
        Some(owned.collect::<Vec<_>>())
    };
    assert_eq!(
        paths(&["unix:/run/*", "tcp://*:80", "unix:/tmp/x"], &["10.0.0.1"]),
        Some(vec![(c"/run".to_owned(), true), (c"/tmp/x".to_owned(), false)])
    );
    assert_eq!(paths(&["tcp://*"], &[]), Some(vec![]));
    assert_eq!(paths(&["unix:/run/*", "unix:@x"], &[]), None);
    assert_eq!(paths(&["unix:/run/*"], &["unix:/run/x"]), None);
}
