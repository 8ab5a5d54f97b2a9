//! Filters of whole policies: what they decide, and that their programs agree with their rules.

use super::super::defaults::Metadata;
use super::super::filter::CallData;
use super::super::filter::tests::compare_everywhere;
use super::*;
use crate::policy::net::reach::Network;

const ALL_GAPS: Gaps = Gaps {
    metadata: Metadata::Refused(1),
    network: Some(Network::CLOSED),
    network_rules: false,
    reservations: false,
};

fn rules(mode: SyscallMode, rules: &[(&str, Verdict)]) -> SyscallRules {
    let rules = rules
        .iter()
        .map(|&(name, verdict)| SyscallRule {
            name: name.to_owned(),
            verdict,
        })
        .collect();
    SyscallRules { mode, rules }
}

fn denylist(list: &[(&str, Verdict)]) -> FilterSpec {
    filter(&rules(SyscallMode::Denylist, list), ALL_GAPS, Arch::X86_64).unwrap()
}

fn allowlist(list: &[(&str, Verdict)]) -> FilterSpec {
    filter(&rules(SyscallMode::Allowlist, list), ALL_GAPS, Arch::X86_64).unwrap()
}

fn messages(mode: SyscallMode, list: &[(&str, Verdict)]) -> Vec<String> {
    let problems = filter(&rules(mode, list), ALL_GAPS, Arch::X86_64).unwrap_err();
    problems.iter().map(|problem| problem.message().to_owned()).collect()
}

fn decide(spec: &FilterSpec, name: &str, arguments: &[u64]) -> Action {
    let mut call = CallData {
        number: spec.arch.number(name).unwrap(),
        arch: spec.arch.audit(),
        ..CallData::default()
    };
    call.arguments[..arguments.len()].copy_from_slice(arguments);
    spec.decide(&call)
}

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

#[test]
fn default_programs_agree_with_their_rules_on_every_architecture() {
    for arch in Arch::ALL {
        for gaps in [
            ALL_GAPS,
            Gaps {
                metadata: Metadata::Open,
                network: None,
                network_rules: false,
                reservations: false,
            },
            Gaps {
                metadata: Metadata::Open,
                network: None,
                network_rules: false,
                reservations: true,
            },
        ] {
            for mode in [SyscallMode::Denylist, SyscallMode::Allowlist] {
                let spec = filter(&rules(mode, &[]), gaps, arch).unwrap();
                compare_everywhere(&spec);
            }
        }
    }
    compare_everywhere(&allowlist(&[
        ("@system-service", Verdict::Allow),
        ("ioctl", Verdict::Allow),
    ]));
}

#[test]
fn denylist_refuses_what_it_lists_and_allows_the_rest() {
    let spec = denylist(&[]);
    for name in [
        "mount",
        "open_tree_attr",
        "bpf",
        "keyctl",
        "shmget",
        "ptrace",
        "chmod",
        "listen",
        "pidfd_getfd",
    ] {
        assert_eq!(decide(&spec, name, &[]), EPERM, "{name}");
    }
    for name in ["clone3", "io_uring_setup"] {
        assert_eq!(decide(&spec, name, &[]), ENOSYS, "{name}");
    }
    for name in [
        "openat",
        "creat",
        "execve",
        "landlock_restrict_self",
        "seccomp",
        "kill",
        "close",
        "connect",
    ] {
        assert_eq!(decide(&spec, name, &[]), Action::Allow, "{name}");
    }
}

#[test]
fn what_starting_and_ending_a_program_takes_cannot_be_denied() {
    for name in ["execve", "exit_group"] {
        let rules = SyscallRules {
            rules: vec![SyscallRule {
                name: name.to_owned(),
                verdict: Verdict::Deny(1),
            }],
            ..SyscallRules::default()
        };
        let gaps = Gaps {
            metadata: Metadata::Refused(1),
            network: Some(Network::CLOSED),
            network_rules: false,
            reservations: false,
        };
        let problems = filter(&rules, gaps, Arch::X86_64).unwrap_err();
        assert!(problems[0].message().contains(name), "{problems:?}");
    }
}

#[test]
fn arguments_are_compared_as_the_kernel_reads_them() {
    let spec = denylist(&[]);
    const TIOCSTI: u64 = 0x5412;
    for request in [
        TIOCSTI,
        TIOCSTI | 1 << 32,
        TIOCSTI | 0xffff_ffff << 32,
        0x8912,
        0x8946,
        0x8915,
    ] {
        assert_eq!(decide(&spec, "ioctl", &[0, request]), EPERM, "{request:#x}");
    }
    for request in [0x5401, 0x5413, 0x541b, 0x8905, TIOCSTI << 32] {
        assert_eq!(decide(&spec, "ioctl", &[0, request]), Action::Allow, "{request:#x}");
    }
    let (sigchld, new_user) = (17, 0x1000_0000);
    assert_eq!(decide(&spec, "clone", &[sigchld]), Action::Allow);
    assert_eq!(decide(&spec, "clone", &[sigchld | new_user]), EPERM);
    assert_eq!(decide(&spec, "clone", &[sigchld | new_user | 1 << 40]), EPERM);
    assert_eq!(decide(&spec, "prctl", &[4 | 1 << 33, 1]), EPERM);
    assert_eq!(decide(&spec, "prctl", &[38, 1]), Action::Allow);
    assert_eq!(decide(&spec, "personality", &[0xffff_ffff]), Action::Allow);
    assert_eq!(decide(&spec, "personality", &[0x004_0000]), EPERM);
    assert_eq!(decide(&spec, "mknod", &[0, 0o060_644]), EPERM);
    assert_eq!(decide(&spec, "mknod", &[0, 0o020_644 | 1 << 16]), EPERM);
    assert_eq!(decide(&spec, "mknodat", &[0, 0, 0o010_644]), Action::Allow);
    assert_eq!(decide(&spec, "sendto", &[0, 0, 0, 0x2000_0000]), EPERM);
    assert_eq!(decide(&spec, "sendmsg", &[0, 0, 0x2000_4000]), EPERM);
    assert_eq!(decide(&spec, "sendmsg", &[0, 0, 0x4000]), Action::Allow);
    assert_eq!(decide(&spec, "prlimit64", &[0, 7]), Action::Allow);
    assert_eq!(decide(&spec, "prlimit64", &[1234, 7]), EPERM);
}

#[test]
fn only_tcp_sockets_and_connected_unix_pairs_can_be_made() {
    let spec = denylist(&[]);
    let (unix, inet, inet6, netlink, packet, vsock, alg) = (1, 2, 10, 16, 17, 40, 38);
    let (stream, datagram, raw, seqpacket) = (1, 2, 3, 5);
    let (cloexec, nonblock) = (0o2_000_000, 0o4_000);
    let (tcp, mptcp, sctp) = (6, 262, 132);
    for arguments in [
        [inet, stream, 0],
        [inet6, stream | cloexec | nonblock, tcp],
        [inet | 1 << 32, stream, 0],
    ] {
        assert_eq!(decide(&spec, "socket", &arguments), Action::Allow, "{arguments:?}");
    }
    for arguments in [
        [inet, stream, mptcp],
        [inet, stream, sctp],
        [inet, datagram, 0],
        [inet6, raw, 58],
        [unix, stream, 0],
        [netlink, raw, 0],
        [packet, raw, 3],
        [vsock, stream, 0],
        [alg, seqpacket, 0],
    ] {
        assert_eq!(decide(&spec, "socket", &arguments), EPERM, "{arguments:?}");
    }
    assert_eq!(decide(&spec, "socketpair", &[unix, stream | cloexec, 0]), Action::Allow);
    assert_eq!(decide(&spec, "socketpair", &[unix, seqpacket, 0]), Action::Allow);
    assert_eq!(decide(&spec, "socketpair", &[unix, datagram, 0]), EPERM);
    assert_eq!(decide(&spec, "socketpair", &[unix, raw, 0]), EPERM);
    assert_eq!(decide(&spec, "socketpair", &[inet, stream, 0]), EPERM);
}

#[test]
fn unknown_and_foreign_calls_are_not_let_through() {
    let spec = denylist(&[]);
    let call = |number, arch| {
        spec.decide(&CallData {
            number,
            arch,
            ..CallData::default()
        })
    };
    let native = Arch::X86_64.audit();
    assert_eq!(call(spec.first_unknown, native), ENOSYS);
    assert_eq!(call(0x4000_0000 | 39, native), ENOSYS);
    assert_eq!(call(0x4000_0000 | 520, native), ENOSYS);
    assert_eq!(call(20, 0x4000_0003), Action::Kill);
}

#[test]
fn allowlist_admits_what_it_names_and_what_starting_a_program_takes() {
    let spec = allowlist(&[
        ("@network-io", Verdict::Allow),
        ("@process", Verdict::Allow),
        ("write", Verdict::Allow),
    ]);
    for name in [
        "execve",
        "exit_group",
        "openat",
        "mmap",
        "write",
        "bind",
        "wait4",
        "kill",
    ] {
        assert_eq!(decide(&spec, name, &[]), Action::Allow, "{name}");
    }
    assert_eq!(decide(&spec, "mkdir", &[]), EPERM);
    assert_eq!(decide(&spec, "clone3", &[]), ENOSYS);
    // A group does not lift what the defaults refuse of its members, a name does.
    assert_eq!(decide(&spec, "unshare", &[]), EPERM);
    assert_eq!(decide(&spec, "socket", &[1, 1, 0]), EPERM);
    assert_eq!(decide(&spec, "clone", &[0x1000_0000]), EPERM);
    assert_eq!(decide(&spec, "listen", &[]), EPERM);
    let spec = allowlist(&[("socket", Verdict::Allow), ("@sysv-ipc", Verdict::Allow)]);
    assert_eq!(decide(&spec, "socket", &[1, 1, 0]), Action::Allow);
    assert_eq!(decide(&spec, "shmget", &[]), Action::Allow);
}

#[test]
fn names_and_groups_that_are_refused_whole_can_be_allowed_again() {
    let spec = denylist(&[
        ("@sysv-ipc", Verdict::Allow),
        ("ptrace", Verdict::Allow),
        ("read", Verdict::Deny(5)),
    ]);
    assert_eq!(decide(&spec, "semop", &[]), Action::Allow);
    assert_eq!(decide(&spec, "ptrace", &[]), Action::Allow);
    assert_eq!(decide(&spec, "read", &[]), Action::Errno(5));
    assert_eq!(decide(&spec, "keyctl", &[]), EPERM);
}

#[test]
fn name_outranks_group_in_either_order() {
    for list in [
        [("@timer", Verdict::Deny(1)), ("alarm", Verdict::Allow)],
        [("alarm", Verdict::Allow), ("@timer", Verdict::Deny(1))],
    ] {
        let spec = denylist(&list);
        assert_eq!(decide(&spec, "alarm", &[]), Action::Allow);
        assert_eq!(decide(&spec, "timer_create", &[]), EPERM);
    }
}

#[test]
fn repeated_and_contradicting_rules_are_refused_and_both_are_named() {
    use SyscallMode::Denylist;
    assert_eq!(
        messages(Denylist, &[("read", Verdict::Deny(1)), ("read", Verdict::Deny(1))]),
        ["policy: deny \"read\" with errno 1 repeats deny \"read\" with errno 1"]
    );
    assert_eq!(
        messages(Denylist, &[("read", Verdict::Deny(1)), ("read", Verdict::Allow)]),
        ["policy: allow \"read\" contradicts deny \"read\" with errno 1"]
    );
    assert_eq!(
        messages(
            Denylist,
            &[
                ("@sync", Verdict::Deny(1)),
                ("@file-system", Verdict::Deny(2)),
                ("@timer", Verdict::Deny(3)),
                ("@process", Verdict::Deny(4))
            ]
        ),
        ["policy: deny \"@process\" with errno 4 contradicts deny \"@timer\" with errno 3"]
    );
}

#[test]
fn rules_without_effect_or_sense_are_refused_all_at_once() {
    let found = messages(
        SyscallMode::Denylist,
        &[
            ("nope", Verdict::Allow),
            ("@nope", Verdict::Allow),
            ("@ipc", Verdict::Allow),
            ("execve", Verdict::Deny(1)),
        ],
    );
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0], "arguments: unknown system call \"nope\"");
    assert_eq!(found[1], "arguments: unknown group \"@nope\"");
    assert!(found[2].starts_with("policy: allowing \"@ipc\""), "{found:?}");
    assert_eq!(
        found[3],
        "policy: denying \"execve\" denies execve, and no program could be started"
    );
}

/// Every start of a program pays for each instruction and each step: see FilterSpec::compile.
#[test]
fn default_filter_stays_short() {
    let length = denylist(&[]).compile().unwrap().len();
    assert!(length <= 185, "{length} instructions");
}

#[test]
fn space_is_given_back_and_moved_but_not_reserved_under_a_limit_of_disk() {
    const EOPNOTSUPP: Action = Action::Errno(95);
    let gaps = |metadata, reservations| Gaps {
        metadata,
        network: Some(Network::CLOSED),
        network_rules: false,
        reservations,
    };
    let spec =
        |list: &[(&str, Verdict)], gaps| filter(&rules(SyscallMode::Denylist, list), gaps, Arch::X86_64).unwrap();
    let limited = spec(&[], gaps(Metadata::Open, true));
    for mode in [0, 1, 0x10, 0x11, 0x40, 0x80] {
        assert_eq!(
            decide(&limited, "fallocate", &[3, mode, 0, 1 << 40]),
            EOPNOTSUPP,
            "{mode}"
        );
    }
    for mode in [3, 8, 0x20] {
        assert_eq!(
            decide(&limited, "fallocate", &[3, mode, 0, 1 << 40]),
            Action::Allow,
            "{mode}"
        );
    }
    for metadata in [Metadata::Open, Metadata::Guarded] {
        for request in [0x4030_5828, 0x4030_582a, 0x4030_5839] {
            assert_eq!(decide(&spec(&[], gaps(metadata, true)), "ioctl", &[3, request]), EPERM);
        }
    }
    let without = spec(&[], gaps(Metadata::Open, false));
    assert_eq!(decide(&without, "fallocate", &[3, 1, 0, 1 << 40]), Action::Allow);
    assert_eq!(decide(&without, "ioctl", &[3, 0x4030_5828]), Action::Allow);
    let lifted = spec(&[("fallocate", Verdict::Allow)], gaps(Metadata::Open, true));
    assert_eq!(decide(&lifted, "fallocate", &[3, 0, 0, 1 << 40]), Action::Allow);
}
