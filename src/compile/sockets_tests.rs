//! What the program that is installed says of calls about sockets, under policies of every kind.

use super::super::arch::Arch;
use super::super::defaults::{Gaps, Metadata};
use super::super::filter::tests::compare_everywhere;
use super::super::filter::{CallData, FilterSpec};
use super::super::sim;
use super::super::syscalls::filter;
use super::*;
use crate::policy::net::NetRules;
use crate::policy::net::reach::tests::rules as network_rules;
use crate::policy::syscalls::{SyscallMode, SyscallRule, SyscallRules, Verdict};
use crate::sys::seccomp::Instruction;

/// A policy, and what is expected of its filter.
struct Case {
    /// What is allowed, what is denied, what may be bound to, what may not.
    rules: [&'static str; 4],
    /// The library can serve.
    served: bool,
    /// It makes the program's sockets.
    makes: bool,
    /// Sockets besides TCP: u(dp), i(cmp), x (unix); l(inks) are asked for.
    sockets: &'static str,
    /// What becomes of the calls in [`calls`], one by one.
    calls: &'static str,
    /// Most instructions that it has beyond those of a policy without rules.
    length: usize,
}

const fn case(rules: [&'static str; 4], sockets: &'static str, calls: &'static str, length: usize) -> Case {
    Case {
        rules,
        served: true,
        makes: false,
        sockets,
        calls,
        length,
    }
}

const fn alone(rules: [&'static str; 4], sockets: &'static str, calls: &'static str, length: usize) -> Case {
    Case {
        served: false,
        ..case(rules, sockets, calls, length)
    }
}

const fn making(rules: [&'static str; 4], sockets: &'static str, calls: &'static str, length: usize) -> Case {
    Case {
        makes: true,
        ..case(rules, sockets, calls, length)
    }
}

/// a(llowed), e (EPERM), n(otify): connecting, binding (to an rtnetlink address, to others), listening; sending to an address, to nobody in
/// particular, by sendmsg and by sendmmsg; what is asked of an rtnetlink socket (its name, what it says to musl) and of others; another
/// protocol in a TCP socket, three ways of routing, another option; opening files in three ways; a pair of datagram sockets.
const CASES: &[Case] = &[
    case(["", "", "", ""], "", "aaae aaaa aaa eaaaa aaa e", 0),
    case(["", "10.0.0.1", "", "80"], "", "aaae aaaa aaa eaaaa aaa e", 0),
    // TCP by port, by address, by name, all.
    case(["tcp://*:443", "", "", ""], "l", "anae aaaa nna eaaaa aaa e", 30),
    case(["tcp://*:443", "", "8080", ""], "l", "anan aaaa nna eaaaa aaa e", 33),
    case(["tcp://10.0.0.1:443", "", "", ""], "l", "nnae aaaa nna eeeea aaa e", 78),
    case(
        ["tcp://example.com:443", "", "", ""],
        "l",
        "nnae aaaa nna eeeea nnn e",
        81,
    ),
    case(["tcp://*", "", "", ""], "l", "anae aaaa nna eaaaa aaa e", 30),
    case(["tcp://*", "", "*", ""], "l", "anaa aaaa nna aaaaa aaa e", 25),
    case(["", "", "*", ""], "l", "anaa aaaa nna eaaaa aaa e", 29),
    case(["", "", "8000-8999", ""], "l", "annn aaaa nna eaaaa aaa e", 32),
    // Datagrams: without the library nobody could say which sockets are bound.
    case(["udp://*", "", "", ""], "ul", "anne aaaa nna eaaaa aaa e", 41),
    case(["udp://*", "", "udp://*", ""], "ul", "anae aaaa nna eaaaa aaa e", 37),
    case(["udp://*:53", "", "", ""], "ul", "nnne nann nna eeeea aaa e", 109),
    case(["", "", "udp://53", ""], "ul", "nnne nann nna eeeea aaa e", 109),
    case(["", "", "udp://*", ""], "ul", "nnae nann nna eeeea aaa e", 111),
    case(
        ["udp://* tcp://10.0.0.1", "", "", ""],
        "ul",
        "nnne aaaa nna eeeea aaa e",
        103,
    ),
    case(
        ["* icmp://*", "", "* udp://*", ""],
        "uil",
        "anaa aaaa nna aaaaa aaa e",
        34,
    ),
    case(["*", "10.0.0.0/8", "", ""], "ul", "nnne nann nna eeeea aaa e", 109),
    case(["icmp://*", "", "", ""], "il", "anne aaaa nna eaaaa aaa e", 46),
    case(["icmp://10.0.0.1", "", "", ""], "il", "nnne nann nna eeeea aaa e", 114),
    // Unix sockets.
    case(["unix:/run/*", "", "", ""], "x", "nnnn nann aaa eaaaa aaa a", 22),
    case(
        ["tcp://*:443 unix:@x", "", "", ""],
        "xl",
        "nnnn nann nna eaaaa aaa a",
        45,
    ),
    case(
        ["example.com icmp://* unix:@x", "", "80 udp://53", ""],
        "uixl",
        "nnnn nann nna eeeea nnn a",
        127,
    ),
    // Where it takes no duplicates.
    making(["tcp://*:443", "", "", ""], "l", "anae aaaa nna eaaaa aaa e", 30),
    making(["tcp://10.0.0.1:443", "", "", ""], "l", "nnae aaaa nna eeeea aaa e", 78),
    making(["", "", "8000-8999", ""], "l", "annn aaaa nna eaaaa aaa e", 32),
    making(["unix:/run/*", "", "", ""], "x", "nnnn nann aaa eaaaa aaa e", 22),
    making(
        ["example.com icmp://* unix:@x", "", "80 udp://53", ""],
        "uixl",
        "nnnn nann nna eeeea nnn e",
        127,
    ),
    // Where nobody serves.
    alone(["tcp://*:443", "", "", ""], "", "aaae aaaa aaa eaaaa aaa e", 0),
    alone(["tcp://*:443", "", "8080", ""], "", "aaae aaaa aaa eaaaa aaa e", 0),
    alone(["tcp://*", "", "*", ""], "", "aaaa aaaa aaa aaaaa aaa e", 0),
    alone(["tcp://10.0.0.1", "", "", ""], "", "aaae aaaa aaa eaaaa aaa e", 0),
    alone(
        ["example.com unix:/run/*", "", "80-90", ""],
        "",
        "aaae aaaa aaa eaaaa aaa e",
        0,
    ),
    alone(["udp://* icmp://*", "", "", ""], "", "aaae aaaa aaa eaaaa aaa e", 0),
    alone(
        ["udp://* icmp://*", "", "udp://*", ""],
        "ui",
        "aaae aaaa aaa eaaaa aaa e",
        15,
    ),
];

/// The calls that [`Case::calls`] is about.
fn calls() -> [(&'static str, [u64; 6]); 20] {
    const FLAGS: u64 = libc::MSG_NOSIGNAL as u64;
    const DONT_WAIT: u64 = libc::MSG_DONTWAIT as u64;
    const HIGH: u64 = 1 << 32;
    [
        ("connect", [3, 0x1000, 16, 0, 0, 0]),
        ("bind", [3, 0x1000, 12 | HIGH, 0, 0, 0]),
        ("bind", [3, 0x1000, 16, 0, 0, 0]),
        ("listen", [3, 5, 0, 0, 0, 0]),
        // An address may lie anywhere.
        ("sendto", [3, 0x1000, 5, FLAGS, HIGH, 16]),
        ("sendto", [3, 0x1000, 5, FLAGS, 0, 16]),
        ("sendmsg", [3, 0x1000, FLAGS, 0, 0, 0]),
        ("sendmmsg", [3, 0x1000, 2, FLAGS, 0, 0]),
        ("getsockname", [3, 0x1000, 0x2000, 0, 0, 0]),
        ("recvfrom", [3, 0x1000, 8192, DONT_WAIT, 0, 0]),
        ("recvfrom", [3, 0x1000, 8192, DONT_WAIT, 0x1000, 0x2000]),
        ("setsockopt", [3, 6 | HIGH, 31, 0x1000, 4, 0]),
        ("setsockopt", [3, 0, 4 | HIGH, 0x1000, 4, 0]),
        ("setsockopt", [3, 41, 57, 0x1000, 4, 0]),
        ("setsockopt", [3, 41, 6, 0x1000, 4, 0]),
        ("setsockopt", [3, 6, 1, 0x1000, 4, 0]),
        ("open", [0x1000, 0, 0, 0, 0, 0]),
        ("openat", [u64::MAX, 0x1000, 0, 0, 0, 0]),
        ("openat2", [u64::MAX, 0x1000, 0x2000, 24, 0, 0]),
        ("socketpair", [1, 2, 0, 0x1000, 0, 0]),
    ]
}

/// A filter as it is installed, and as it is read.
struct Filter {
    spec: FilterSpec,
    program: Vec<Instruction>,
}

impl Filter {
    fn new(rules: &NetRules, network: Option<Network>, calls: &SyscallRules, arch: Arch) -> Self {
        let gaps = Gaps {
            metadata: Metadata::Refused(1),
            network,
            network_rules: !rules.is_empty(),
            reservations: false,
        };
        let spec = filter(calls, gaps, arch).unwrap();
        let program = spec.compile().unwrap();
        Self { spec, program }
    }

    /// What the program returns.
    fn returned(&self, name: &str, arguments: [u64; 6]) -> u32 {
        let call = CallData {
            number: self.spec.arch.number(name).unwrap(),
            arch: self.spec.arch.audit(),
            instruction_pointer: 0,
            arguments,
        };
        let returned = sim::run(&self.program, &call).unwrap();
        assert_eq!(returned, self.spec.decide(&call).code(), "{name} {arguments:x?}");
        returned
    }

    fn letter(&self, name: &str, arguments: [u64; 6]) -> char {
        let returned = self.returned(name, arguments);
        let known = [(Action::Allow, 'a'), (Action::Notify, 'n'), (EPERM, 'e')];
        let found = known.iter().find(|(action, _)| action.code() == returned);
        found.unwrap_or_else(|| panic!("{name} returns {returned:#x}")).1
    }
}

impl Case {
    fn rules(&self) -> NetRules {
        let [allow, deny, bind, deny_bind] = self.rules;
        network_rules(allow, deny, bind, deny_bind)
    }

    fn network(&self) -> Network {
        let network = Network::new(&self.rules());
        if self.served {
            Network {
                makes_sockets: self.makes,
                ..network
            }
        } else {
            network.without_service(false)
        }
    }

    fn filter(&self, calls: &SyscallRules, arch: Arch) -> Filter {
        Filter::new(&self.rules(), Some(self.network()), calls, arch)
    }

    /// What becomes of socket(2).
    fn expected(&self, family: u64, kind: u64, protocol: u64) -> Action {
        let has = |letter| self.sockets.contains(letter);
        let (unix, inet, inet6, netlink) = (1, 2, 10, 16);
        let (stream, datagram, raw, seqpacket) = (1, 2, 3, 5);
        let allowed = match (family, kind, protocol) {
            _ if family == inet || family == inet6 => match (kind, protocol) {
                (_, 0 | 6) if kind == stream => true,
                (_, 0 | 17) if kind == datagram => has('u'),
                (_, 1) if kind == datagram && family == inet => has('i'),
                (_, 58) if kind == datagram && family == inet6 => has('i'),
                _ => false,
            },
            _ if family == unix => has('x') && [stream, datagram, seqpacket].contains(&kind),
            (_, _, 0) if family == netlink && has('l') && [datagram, raw].contains(&kind) => return Action::Notify,
            _ => false,
        };
        match allowed {
            true if self.network().serves_making() => Action::Notify,
            true => Action::Allow,
            false => EPERM,
        }
    }
}

#[test]
fn calls_are_allowed_asked_about_or_refused_as_the_rules_take_it() {
    for case in CASES {
        let filter = case.filter(&SyscallRules::default(), Arch::X86_64);
        let found: String = calls()
            .iter()
            .map(|&(name, arguments)| filter.letter(name, arguments))
            .collect();
        assert_eq!(found, case.calls.replace(' ', ""), "{:?}", case.rules);
        // Whatever the rules say.
        let fast_open = u64::from(libc::MSG_FASTOPEN.cast_unsigned());
        assert_eq!(filter.letter("sendto", [3, 1, 5, fast_open, 1, 16]), 'e');
        assert_eq!(filter.letter("sendto", [3, 1, 5, fast_open | 0x4000, 0, 0]), 'e');
        assert_eq!(filter.letter("sendmsg", [3, 1, fast_open, 0, 0, 0]), 'e');
        assert_eq!(filter.letter("sendmmsg", [3, 1, 2, fast_open, 0, 0]), 'e');
        for request in [0x8912, 0x8927, 0x8946] {
            assert_eq!(filter.letter("ioctl", [3, request, 0, 0, 0, 0]), 'e');
        }
        assert_eq!(filter.letter("recvfrom", [3, 1, 8192, 0, 0, 0]), 'a');
        assert_eq!(filter.letter("recvfrom", [3, 1, 8193, 0x40, 0, 0]), 'a');
        assert_eq!(filter.letter("recvfrom", [3, 1, 8192 | 1 << 32, 0x40, 0, 0]), 'a');
    }
}

/// Ports of the sandbox's own: whoever would be told the host's is answered by the library.
#[test]
fn names_of_sockets_are_asked_about_where_ports_are_of_its_own() {
    let rules = network_rules("tcp://*:443", "", "8080", "");
    let calls = SyscallRules::default();
    for (remaps, expected) in [(false, "anaaaaa"), (true, "nnnnnaa")] {
        let network = Network::new(&rules);
        let network = if remaps { network.remapped() } else { network };
        let filter = Filter::new(&rules, Some(network), &calls, Arch::X86_64);
        let found: String = [
            ("connect", [3, 0x1000, 16, 0, 0, 0]),
            ("bind", [3, 0x1000, 12, 0, 0, 0]),
            ("getpeername", [3, 0x1000, 0x2000, 0, 0, 0]),
            // An address may lie anywhere.
            ("accept", [3, 1 << 32, 0x2000, 0, 0, 0]),
            ("accept4", [3, 0x1000, 0x2000, 0, 0, 0]),
            ("accept", [3, 0, 0x2000, 0, 0, 0]),
            ("accept4", [3, 0, 0, 0, 0, 0]),
        ]
        .into_iter()
        .map(|(name, arguments)| filter.letter(name, arguments))
        .collect();
        assert_eq!(found, expected);
        assert_eq!(filter.letter("getsockname", [3, 0x1000, 0x2000, 0, 0, 0]), 'n');
        for arch in Arch::ALL {
            compare_everywhere(&Filter::new(&rules, Some(network), &calls, arch).spec);
        }
    }
}

#[test]
fn sockets_are_those_that_the_rules_speak_of() {
    let families = [0, 1, 2, 3, 10, 15, 16, 17, 29, 38, 40, 43, 44, 2 | 1 << 31];
    let protocols = [0, 1, 2, 4, 6, 16, 17, 33, 41, 58, 132, 136, 255, 262, 17 | 1 << 31];
    let flags = [0, 0o2_000_000, 0o4_000, 0o2_004_000];
    for case in CASES {
        let filter = case.filter(&SyscallRules::default(), Arch::X86_64);
        for family in families {
            for (kind, flags) in (0..16).flat_map(|kind| flags.map(|flags| (kind, flags))) {
                for protocol in protocols {
                    let expected = case.expected(family, kind, protocol);
                    // What the kernel does not read of an argument makes no difference.
                    for beyond in [0, 1 << 32, u64::from(u32::MAX) << 32] {
                        let arguments = [family | beyond, kind | flags | beyond, protocol | beyond, 0, 0, 0];
                        let returned = filter.returned("socket", arguments);
                        assert_eq!(returned, expected.code(), "{arguments:x?} under {:?}", case.rules);
                    }
                }
            }
        }
    }
}

#[test]
fn pairs_are_of_unix_sockets_that_stay_connected_or_are_looked_at() {
    for case in CASES {
        let filter = case.filter(&SyscallRules::default(), Arch::X86_64);
        for (family, kind) in [1, 2, 10, 16]
            .into_iter()
            .flat_map(|family| (0..16).map(move |kind| (family, kind)))
        {
            let datagrams = case.sockets.contains('x') && !case.makes;
            let allowed = family == 1 && (kind == 1 || kind == 5 || (kind == 2 && datagrams));
            let found = filter.letter("socketpair", [family, kind | 0o2_000_000, 0, 0x1000, 0, 0]);
            assert_eq!(
                found,
                if allowed { 'a' } else { 'e' },
                "{family} {kind} under {:?}",
                case.rules
            );
        }
    }
}

#[test]
fn rules_by_path_that_landlock_keeps_need_no_library() {
    const KINDS: [u64; 6] = [1, 2, 3, 4, 5, 10];
    for (allow, sockets) in [("", "eeeeee"), ("unix:/run/*", "aaeeae")] {
        let rules = network_rules(allow, "", "", "");
        let network = Network::new(&rules).without_service(true);
        let alone = Filter::new(&rules, Some(network), &SyscallRules::default(), Arch::X86_64);
        let found = KINDS.map(|kind| alone.letter("socket", [1, kind, 0, 0, 0, 0]));
        assert_eq!(String::from_iter(found), sockets, "{allow:?}");
        // Nobody sees where datagrams go, nor that a pair is given a name.
        let found = KINDS.map(|kind| alone.letter("socketpair", [1, kind, 0, 0x1000, 0, 0]));
        assert_eq!(String::from_iter(found), "aeeeae", "{allow:?}");
        // Nobody is asked.
        for (call, arguments) in [
            ("connect", [3, 0x1000, 110, 0, 0, 0]),
            ("bind", [3, 0x1000, 110, 0, 0, 0]),
            ("sendto", [3, 0x1000, 1, 0, 0x2000, 110]),
            ("sendmsg", [3, 0x1000, 0, 0, 0, 0]),
        ] {
            assert_eq!(alone.letter(call, arguments), 'a', "{call} under {allow:?}");
        }
    }
}

#[test]
fn programs_agree_with_their_rules_on_every_architecture() {
    for arch in Arch::ALL {
        for mode in [SyscallMode::Denylist, SyscallMode::Allowlist] {
            let everything = ["@network-io", "@system-service"].map(|name| SyscallRule {
                name: name.to_owned(),
                verdict: Verdict::Allow,
            });
            let calls = SyscallRules {
                mode,
                rules: if mode == SyscallMode::Allowlist {
                    everything.to_vec()
                } else {
                    Vec::new()
                },
            };
            for case in CASES {
                compare_everywhere(&case.filter(&calls, arch).spec);
            }
        }
    }
}

/// Every start of a program pays for each instruction and each step: see `FilterSpec::compile`.
#[test]
fn filters_stay_short() {
    let length = |case: &Case| case.filter(&SyscallRules::default(), Arch::X86_64).program.len();
    let without_rules = length(&CASES[0]);
    for case in CASES {
        let length = length(case);
        assert!(
            length <= without_rules + case.length,
            "{length} instructions for {:?}, {without_rules} without rules",
            case.rules
        );
    }
}

#[test]
fn rules_that_come_to_nothing_make_the_default_filter() {
    let plain = SyscallRules::default();
    let of = |case: &Case| case.filter(&plain, Arch::X86_64).spec;
    for case in &CASES[..2] {
        assert_eq!(of(case), of(&CASES[0]));
    }
    // With the feature off Landlock is off, and what fills its gaps.
    let off = Filter::new(&NetRules::default(), None, &plain, Arch::X86_64);
    let calls: String = calls()
        .iter()
        .map(|&(name, arguments)| off.letter(name, arguments))
        .collect();
    assert_eq!(calls, "aaaaaaaaaaaaaaaaaaae");
    let on = of(&CASES[0]);
    for name in ["socket", "socketpair", "sendto", "sendmsg", "sendmmsg"] {
        let number = on.arch.number(name).unwrap();
        assert_eq!(off.spec.rules.get(&number), on.rules.get(&number), "{name}");
    }
}

#[test]
fn allowing_a_call_of_the_rules_by_name_lets_it_in_and_lifts_nothing() {
    let named = |mode, verdict| SyscallRules {
        mode,
        rules: RULED
            .iter()
            .map(|name| SyscallRule {
                name: (*name).to_owned(),
                verdict,
            })
            .collect(),
    };
    let letters = |filter: &Filter| -> String {
        let of_calls = calls()
            .into_iter()
            .map(|(name, arguments)| filter.letter(name, arguments));
        let unix = filter.letter("socket", [1, 1, 0, 0, 0, 0]);
        of_calls.chain([unix]).collect()
    };
    for case in CASES {
        let plain = letters(&case.filter(&SyscallRules::default(), Arch::X86_64));
        for mode in [SyscallMode::Denylist, SyscallMode::Allowlist] {
            let allowed = letters(&case.filter(&named(mode, Verdict::Allow), Arch::X86_64));
            if case.rules == [""; 4] {
                assert_eq!(allowed, "a".repeat(21), "{mode:?}");
            } else {
                assert_eq!(allowed, plain, "{mode:?}, {:?}", case.rules);
            }
        }
        // What a rule denies by name is denied.
        let denied = case.filter(&named(SyscallMode::Denylist, Verdict::Deny(13)), Arch::X86_64);
        for (name, arguments) in calls() {
            assert_eq!(
                denied.returned(name, arguments),
                Action::fail(libc::EACCES).code(),
                "{name}"
            );
        }
        // And who lets in nothing of it gets nothing of it, but for what programs start with.
        let none = SyscallRules {
            mode: SyscallMode::Allowlist,
            rules: Vec::new(),
        };
        let nothing = case.filter(&none, Arch::X86_64);
        for (name, arguments) in calls().into_iter().filter(|(name, _)| !name.starts_with("open")) {
            assert_eq!(nothing.letter(name, arguments), 'e', "{name}");
        }
        assert_eq!(Some(nothing.letter("openat", calls()[17].1)), plain.chars().nth(17));
    }
    // With the feature off, rules about networks are nobody's.
    let rules = network_rules("tcp://*:443", "", "", "");
    let calls = named(SyscallMode::Denylist, Verdict::Allow);
    let off = Filter::new(&rules, None, &calls, Arch::X86_64);
    assert_eq!(off.letter("socket", [1, 1, 0, 0, 0, 0]), 'a');
}

#[test]
fn trapped_calls_are_among_those_that_are_known_to_be() {
    for case in CASES {
        let spec = case.filter(&SyscallRules::default(), Arch::X86_64).spec;
        let trapped = spec.rules.iter().filter(|(_, rule)| {
            rule.otherwise == Action::Notify || rule.clauses.iter().any(|clause| clause.action == Action::Notify)
        });
        let names: Vec<_> = trapped.map(|(&number, _)| spec.arch.name(number).unwrap()).collect();
        assert!(names.iter().all(|name| RULED.contains(name)), "{names:?}");
        assert_eq!(
            names.is_empty(),
            !case.network().needs_service() && !case.network().netlink
        );
        assert!(ANSWERED.iter().all(|name| RULED.contains(name)));
    }
}
