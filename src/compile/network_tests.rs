//! What is kept of network rules where this or that is missing, and what is said of it.

use super::super::mechanism::Decisions;
use super::super::traps::Selector;
use super::super::{Compiled, Serving, compile};
use super::*;
use crate::error::{Error, ErrorKind};
use crate::feature::State;
use crate::policy::net::reach::tests::rules;
use crate::policy::{Flag, Namespace, SyscallMode};
use crate::probe::{Groups, Refusals};
use crate::report::Row;

fn kernel() -> Capabilities {
    Capabilities {
        shortage: 0,
        landlock_abi: 7,
        landlock_errno: 0,
        seccomp_filter: true,
        seccomp_notify: true,
        notify_wait_killable: true,
        notify_sync_wake_up: true,
        notify_add_fd: true,
        notify_add_fd_send: true,
        pidfd_getfd_errno: 0,
        proc_blindness: None,
        close_range: true,
        unlimited_processes: false,
        privileged: false,
        refused_namespaces: Refusals::default(),
        groups: Groups::default(),
    }
}

fn served() -> Request {
    Request {
        serving: Serving::Possible,
        ..Request::default()
    }
}

fn policy(allow: &str, deny: &str, bind: &str) -> Policy {
    let mut policy = Policy::new();
    policy.network = rules(allow, deny, bind, "");
    policy
}

fn lenient(mut policy: Policy) -> Policy {
    policy.set_all_strictness(Strictness::BestEffort);
    policy
}

/// The row of the network, and what is wrong with it.
fn decide(policy: &Policy, request: &Request, kernel: &Capabilities) -> (Row, Vec<Error>) {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, request, kernel, &mut problems);
    problems.retain(|problem| problem.message().contains(": network: "));
    let row = decisions.rows().iter().find(|row| row.feature == Feature::Network);
    (row.unwrap().clone(), problems)
}

/// What may be missing, and what is said of it.
fn lacks() -> Vec<(Policy, Request, Capabilities, &'static str, i32)> {
    const LIBRARY: &str = "tcp://10.0.0.1 udp://example.com unix:/run/*";
    let plain = || policy(LIBRARY, "", "80 udp://53");
    let mut alone = plain();
    alone.process.set_flag(Flag::NoSupervisor, true);
    let mut unfiltered = plain();
    unfiltered.set_strictness(Feature::Syscalls, Strictness::Disable);
    let serving = |serving| Request { serving, ..served() };
    let mut unfiltering = kernel();
    (unfiltering.seccomp_filter, unfiltering.seccomp_notify) = (false, false);
    let mut silent = kernel();
    silent.seccomp_notify = false;
    let without_duplicates = |errno| Capabilities {
        pidfd_getfd_errno: errno,
        ..kernel()
    };
    let mut giving_nothing = without_duplicates(libc::ENOSYS);
    giving_nothing.notify_add_fd = false;
    let mut blind = without_duplicates(libc::EPERM);
    blind.proc_blindness = Some("/proc cannot be read");
    let mut apart = plain();
    apart.namespaces.insert(Namespace::Net);
    let mut remapped = plain();
    remapped.process.set_flag(Flag::PortRemap, true);
    let mut keeping = kernel();
    keeping.notify_add_fd = false;
    vec![
        (
            alone,
            served(),
            kernel(),
            "the policy says NO_SUPERVISOR",
            libc::EOPNOTSUPP,
        ),
        (
            unfiltered,
            served(),
            kernel(),
            "the feature syscalls is disabled",
            libc::EOPNOTSUPP,
        ),
        (
            plain(),
            served(),
            unfiltering,
            "this kernel has no seccomp filters",
            libc::ENOSYS,
        ),
        (
            plain(),
            served(),
            silent,
            "this kernel has no seccomp user notification",
            libc::ENOSYS,
        ),
        (
            plain(),
            served(),
            giving_nothing,
            "pidfd_getfd(2) is refused, and this kernel gives a program no descriptors by seccomp user notification",
            libc::ENOSYS,
        ),
        (
            plain(),
            served(),
            blind,
            "pidfd_getfd(2) is refused, and /proc does not show every process",
            libc::EPERM,
        ),
        (
            remapped.clone(),
            served(),
            without_duplicates(libc::EPERM),
            "pidfd_getfd(2) is refused, and without it nobody tells the program its own numbers of ports",
            libc::EPERM,
        ),
        (
            apart,
            served(),
            without_duplicates(libc::EPERM),
            "pidfd_getfd(2) is refused, and in a network namespace of its own only the program itself makes sockets",
            libc::EPERM,
        ),
        (
            remapped,
            served(),
            keeping,
            "descriptors are given from Linux 5.9 on",
            libc::ENOSYS,
        ),
        (
            plain(),
            serving(Serving::HostIsSupervised),
            kernel(),
            "the host itself is supervised, and a process can have one listener only",
            libc::EBUSY,
        ),
        (
            plain(),
            serving(Serving::PlainFork),
            kernel(),
            "SANDLOCK_SPAWN=fork",
            libc::EOPNOTSUPP,
        ),
        (
            plain(),
            serving(Serving::NoNewProcess),
            kernel(),
            "it takes a new process",
            libc::EOPNOTSUPP,
        ),
    ]
}

#[test]
fn rules_that_the_library_keeps_are_refused_where_it_cannot_and_closed_where_less_will_do() {
    for (strict, request, kernel, why, errno) in lacks() {
        let (_, problems) = decide(&strict, &request, &kernel);
        assert_eq!(problems.len(), 1, "{why}");
        assert_eq!(
            problems[0].message(),
            format!(
                "supervisor: network: the library has to serve tcp, udp, unix, bind tcp, bind udp, host names: {why}: {}",
                std::io::Error::from_raw_os_error(errno)
                    .to_string()
                    .split(" (os")
                    .next()
                    .unwrap()
            )
        );
        assert_eq!(
            (problems[0].kind(), problems[0].errno()),
            (ErrorKind::Unsupported, errno)
        );

        let mut lesser = strict.clone();
        lesser.set_strictness(Feature::Network, Strictness::BestEffort);
        let (row, problems) = decide(&lesser, &request, &kernel);
        assert_eq!((row.state, row.errno, problems.len()), (State::Degraded, errno, 0));
        assert_eq!(
            row.mechanism,
            "landlock, seccomp; closed is what the library would serve"
        );
        assert!(row.detail.ends_with(why), "{}", row.detail);
        let closed = Network {
            overseen: is_supervised(why) || why.contains("NO_SUPERVISOR"),
            ..Network::CLOSED
        };
        assert_eq!(decided(&lesser, &request, &kernel), closed);

        let mut none = strict;
        none.set_strictness(Feature::Network, Strictness::Disable);
        assert_eq!(decide(&none, &request, &kernel).0.state, State::Waived);
    }
}

fn is_supervised(why: &str) -> bool {
    why.contains("supervised")
}

/// How rules are kept that are left to Landlock: a supervisor of the host may be asked past it.
fn kept(why: &str) -> State {
    if is_supervised(why) {
        State::Degraded
    } else {
        State::Enforced
    }
}

/// True if that is the problem, false if there is none.
fn passable(problems: &[Error]) -> bool {
    let is = |problem: &Error| problem.message().contains("its supervisor may do for the program");
    assert!(problems.len() <= 1 && problems.iter().all(is), "{problems:?}");
    !problems.is_empty()
}

#[test]
fn landlock_keeps_rules_about_unix_sockets_by_path_where_the_library_cannot() {
    let newer = |kernel: Capabilities| Capabilities {
        landlock_abi: 9,
        ..kernel
    };
    let lacks = lacks()
        .into_iter()
        .filter(|(policy, ..)| !policy.process.has(Flag::PortRemap));
    for (like, request, kernel, why, _) in lacks {
        let kernel = newer(kernel);
        let with = |allow, deny| {
            let mut policy = like.clone();
            policy.network = rules(allow, deny, "", "");
            policy
        };
        let decided_of = |policy: &Policy| {
            let (row, problems) = decide(policy, &request, &kernel);
            (row, problems, decided(policy, &request, &kernel).unix)
        };
        let (row, problems, unix) = decided_of(&with("unix:/run/* unix:/tmp/x", ""));
        assert_eq!(
            (row.state, passable(&problems), unix),
            (kept(why), is_supervised(why), Reach::Landlock),
            "{why}"
        );
        let by_path = if is_supervised(why) {
            "landlock, unless the supervisor"
        } else {
            "landlock by path"
        };
        assert!(row.mechanism.contains(by_path), "{}", row.mechanism);
        assert!(is_supervised(why) || row.detail.contains("by path"), "{}", row.detail);
        // Names, and what is taken from a directory again, Landlock cannot say.
        for (allow, deny) in [("unix:/run/* unix:@x", ""), ("unix:/run/*", "unix:/run/x")] {
            let (row, problems, unix) = decided_of(&with(allow, deny));
            assert_eq!(
                (row.state, unix),
                (State::Degraded, Reach::Closed),
                "{allow} {deny}: {why}"
            );
            assert!(problems[0].message().contains("the library has to serve unix"), "{why}");
        }
        // Abstract names are left alone then: a socket could be connected to any.
        let mut open = with("unix:/run/*", "");
        open.set_strictness(Feature::AbstractUnixScope, Strictness::Disable);
        assert_eq!(decided_of(&open).2, Reach::Closed, "{why}");
        // What else there is to be served is missed as ever.
        let (_, problems, _) = decided_of(&with("unix:/run/* udp://10.0.0.1", ""));
        assert!(
            problems[0].message().contains("the library has to serve udp: "),
            "{why}"
        );
    }
    // Where it can, it does, and sees names as they are when it is asked.
    let served_rules = policy("unix:/run/*", "", "");
    assert_eq!(decided(&served_rules, &served(), &newer(kernel())).unix, Reach::Served);
    // A rule about a path does not stand in for the filter where nothing else keeps anything back.
    let mut unfiltered = policy("tcp://* unix:/run/*", "", "*");
    unfiltered.set_strictness(Feature::Syscalls, Strictness::Disable);
    let (row, problems) = decide(&unfiltered, &served(), &newer(kernel()));
    assert_eq!(row.state, State::Unavailable);
    assert!(problems[0].message().contains("the feature syscalls is disabled"));
    // All that Landlock keeps is named, and no filter that is not there.
    let mut both = policy("tcp://*:80 unix:/run/*", "", "");
    both.process.set_flag(Flag::NoSupervisor, true);
    let kept = |policy: &Policy| decide(policy, &served(), &newer(kernel())).0.mechanism;
    assert_eq!(
        kept(&both),
        "landlock by port, landlock by path, seccomp for other protocols"
    );
    both.set_strictness(Feature::Syscalls, Strictness::Disable);
    assert_eq!(kept(&both), "landlock by port, landlock by path");
}

#[test]
fn rules_that_the_kernel_keeps_do_without_the_library() {
    // What only ports of a sandbox's own lack, nobody else does.
    let lacks = lacks()
        .into_iter()
        .filter(|(policy, ..)| !policy.process.has(Flag::PortRemap));
    for (_, request, kernel, why, _) in lacks {
        for (allow, bind) in [("tcp://*:443", ""), ("tcp://*", "*"), ("", "*"), ("", "")] {
            let mut policy = policy(allow, "", bind);
            if why.contains("NO_SUPERVISOR") {
                policy.process.set_flag(Flag::NoSupervisor, true);
            }
            if why.contains("numbers of ports") {
                // Its own numbers take the library.
                continue;
            }
            if why.contains("network namespace") {
                policy.namespaces.insert(Namespace::Net);
            }
            if why.contains("syscalls") {
                policy.set_strictness(Feature::Syscalls, Strictness::Disable);
            }
            let (row, problems) = decide(&policy, &request, &kernel);
            if (allow, bind) == ("tcp://*", "*") && (why.contains("syscalls") || why.contains("filters")) {
                // All that is refused is other protocols, and nothing refuses them.
                assert_eq!((row.state, problems.len()), (State::Unavailable, 1), "{why}");
                continue;
            }
            let network = decided(&policy, &request, &kernel);
            let by_port = network.tcp == Reach::Landlock;
            let state = if by_port { kept(why) } else { State::Enforced };
            assert_eq!(
                (row.state, passable(&problems)),
                (state, by_port && is_supervised(why)),
                "{allow} {bind}: {why}"
            );
            // Programs do without.
            let expected = Network {
                netlink: false,
                overseen: is_supervised(why) || why.contains("NO_SUPERVISOR"),
                ..Network::new(&policy.network)
            };
            assert_eq!(network, expected, "{allow} {bind}: {why}");
        }
    }
}

#[test]
fn landlock_is_missed_by_who_needs_it() {
    let old = Capabilities {
        landlock_abi: 3,
        ..kernel()
    };
    for (allow, bind, needed) in [
        ("", "", true),
        ("tcp://*:443", "*", true),
        ("tcp://10.0.0.1", "*", true),
        ("tcp://*", "", true),
        ("tcp://*", "8000-8999", true),
        ("tcp://*", "*", false),
        ("* icmp://127.0.0.1 unix:/run/*", "* udp://53", false),
    ] {
        let strict = policy(allow, "", bind);
        let (row, problems) = decide(&strict, &served(), &old);
        if needed {
            assert_eq!(row.state, State::Unavailable, "{allow} {bind}");
            assert_eq!(
                problems[0].message(),
                "landlock: network: needs Landlock ABI 4, this kernel has 3: Operation not supported"
            );
        } else {
            assert_eq!((row.state, problems), (State::Enforced, vec![]), "{allow} {bind}");
            assert!(!row.mechanism.contains("landlock") && !row.detail.contains("ABI"));
        }
        let compiled = compile(&lenient(strict), &served(), &old).unwrap();
        assert_eq!(compiled.network.is_none(), needed, "{allow} {bind}");
        assert!(compiled.ruleset.is_none_or(|ruleset| ruleset.network.is_empty()));
    }
}

#[test]
fn report_says_what_keeps_the_rules_and_what_is_reached() {
    for (allow, deny, bind, mechanism, detail) in [
        (
            "",
            "",
            "",
            "landlock, seccomp for listen(2) and other protocols",
            "ABI 7",
        ),
        (
            "",
            "10.0.0.1",
            "",
            "landlock, seccomp for other protocols",
            "ABI 7, nothing is reached",
        ),
        (
            "tcp://*:443",
            "",
            "8080",
            "landlock by port, seccomp user notification, seccomp for other protocols",
            "ABI 7, tcp by port, bind tcp by port, rtnetlink",
        ),
        (
            "tcp://example.com:443",
            "",
            "",
            "landlock, seccomp user notification, connections made on behalf, seccomp for other protocols",
            "ABI 7, tcp served, host names, rtnetlink",
        ),
        (
            "* unix:@x icmp://*",
            "udp://10.0.0.1",
            "* udp://53",
            "seccomp user notification, connections made on behalf, seccomp for other protocols",
            "tcp open, udp served, icmp open, unix served, bind tcp open, bind udp served, rtnetlink",
        ),
    ] {
        let (row, problems) = decide(&policy(allow, deny, bind), &served(), &kernel());
        assert_eq!((row.state, problems), (State::Enforced, vec![]));
        assert_eq!((row.mechanism.as_str(), row.detail.as_str()), (mechanism, detail));
    }
    let (row, _) = decide(&policy("tcp://*", "", "*"), &Request::default(), &kernel());
    assert_eq!(
        (row.mechanism.as_str(), row.detail.as_str()),
        ("seccomp for other protocols", "tcp open, bind tcp open")
    );
}

fn compiled(policy: &Policy, selectors: &[&str], traced: bool) -> Result<Compiled, Vec<Error>> {
    let selectors = selectors.iter().map(|name| Selector {
        name: (*name).to_owned(),
        lenient: false,
    });
    let request = Request {
        selectors: selectors.collect(),
        traced,
        ..served()
    };
    compile(policy, &request, &kernel())
}

/// The calls that the library looks at for the network, by name.
fn served_calls(compiled: &Compiled) -> Vec<&'static str> {
    let arch = super::super::arch::Arch::NATIVE;
    let found = compiled
        .traps
        .services
        .iter()
        .find(|(feature, _)| *feature == Feature::Network);
    let numbers = found.map_or(&[][..], |(_, numbers)| numbers);
    numbers.iter().map(|&number| arch.name(number).unwrap()).collect()
}

#[test]
fn trapped_calls_are_served_and_no_others() {
    for (allow, bind, calls) in [
        ("", "", &[][..]),
        (
            "tcp://*:443",
            "",
            &["socket", "connect", "bind", "getsockname", "recvfrom"],
        ),
        (
            "tcp://*:443",
            "8080",
            &[
                "socket",
                "connect",
                "bind",
                "listen",
                "getsockname",
                "recvfrom",
                "setsockopt",
            ],
        ),
        (
            "10.0.0.1",
            "",
            &[
                "socket",
                "connect",
                "bind",
                "sendto",
                "sendmsg",
                "sendmmsg",
                "getsockname",
                "recvfrom",
                "setsockopt",
            ],
        ),
        (
            "unix:@x",
            "",
            &[
                "connect",
                "bind",
                "listen",
                "sendto",
                "sendmsg",
                "sendmmsg",
                "setsockopt",
            ],
        ),
    ] {
        for mode in [SyscallMode::Denylist, SyscallMode::Allowlist] {
            let mut policy = policy(allow, "", bind);
            policy.syscalls.mode = mode;
            let found = served_calls(&compiled(&policy, &[], false).unwrap());
            match mode {
                SyscallMode::Denylist => assert_eq!(found, calls, "{allow} {bind}"),
                // What is not let in is not looked at.
                SyscallMode::Allowlist => assert_eq!(found, [""; 0], "{allow} {bind}"),
            }
            // A trace adds nothing to that.
            assert_eq!(served_calls(&compiled(&policy, &[], true).unwrap()), found);
        }
    }
    let named = served_calls(&compiled(&policy("tcp://example.com", "", ""), &[], false).unwrap());
    assert!(named.ends_with(&["openat", "openat2"]), "{named:?}");
    assert!(named.contains(&"connect") && !named.contains(&"listen"));
    let mut disabled = policy("10.0.0.1", "", "");
    disabled.set_strictness(Feature::Network, Strictness::Disable);
    let disabled = compiled(&disabled, &[], false).unwrap();
    assert_eq!((served_calls(&disabled), disabled.network), (vec![], None));
}

#[test]
fn calls_that_the_library_answers_cannot_be_handled_and_others_can() {
    let connecting = policy("10.0.0.1", "", "");
    for call in ["connect", "bind", "sendto", "sendmsg", "sendmmsg"] {
        let problems = compiled(&connecting, &[call], false).unwrap_err();
        assert_eq!(problems.len(), 1, "{call}");
        assert_eq!(problems[0].kind(), ErrorKind::State);
        assert_eq!(
            problems[0].message(),
            format!("supervisor: a handler for \"{call}\" would see nothing: who keeps the network rules answers it")
        );
    }
    for call in ["socket", "getsockname", "recvfrom", "openat", "recvmsg", "accept4"] {
        assert_eq!(
            compiled(&connecting, &[call], false).unwrap().traps.selected[0].len(),
            1,
            "{call}"
        );
    }
    // It is refused, and no handler may answer that.
    assert!(compiled(&connecting, &["listen"], false).is_err());
    let listening = policy("", "", "8080");
    assert!(compiled(&listening, &["listen"], false).is_err());
    // Of these only those to rtnetlink are the library's.
    assert!(compiled(&listening, &["bind"], false).is_ok());
    assert!(compiled(&listening, &["connect"], false).is_ok());
    assert!(compiled(&Policy::new(), &["connect", "bind", "sendto"], false).is_ok());
    // A group is handled but for those.
    let group = &compiled(&connecting, &["@network-io"], false).unwrap().traps.selected[0];
    let arch = super::super::arch::Arch::NATIVE;
    let has = |name| group.contains(&arch.number(name).unwrap());
    assert!(has("accept4") && has("socket") && !has("connect") && !has("bind") && !has("listen"));
}

#[test]
fn set_up_of_the_child_runs_into_no_trap() {
    let everything = policy("example.com icmp://10.0.0.1 unix:/run/*", "", "80 udp://53");
    let found = compiled(&everything, &[], false).unwrap();
    assert!(!found.traps.reach_set_up());
    // One filter does it all.
    assert!(found.filter.is_none() && found.listening.is_some());
    // Or, if the set-up could not go on under it, two.
    let mut apart = everything;
    apart.syscalls.rules.push(crate::policy::syscalls::SyscallRule {
        name: "dup3".to_owned(),
        verdict: crate::policy::Verdict::Deny(1),
    });
    let found = compiled(&apart, &[], false).unwrap();
    assert!(found.filter.is_some() && found.listening.is_some() && !found.traps.reach_set_up());
}

#[test]
fn sockets_are_made_where_nobody_can_take_duplicates_of_them() {
    let blocked = Capabilities {
        pidfd_getfd_errno: libc::EPERM,
        ..kernel()
    };
    for (allow, bind, makes, asks) in [
        ("tcp://10.0.0.1", "", true, true),
        ("unix:/run/*", "", true, true),
        ("", "8000-8999", true, true),
        // For the sake of rtnetlink alone.
        ("tcp://*", "", true, false),
        ("", "", false, false),
    ] {
        let policy = policy(allow, "", bind);
        let (row, problems) = decide(&policy, &served(), &blocked);
        assert_eq!((row.state, problems), (State::Enforced, vec![]), "{allow} {bind}");
        assert_eq!(
            row.mechanism.contains("sockets made on behalf"),
            makes,
            "{allow} {bind}"
        );
        let network = decided(&policy, &served(), &blocked);
        assert_eq!(
            (network.makes_sockets, network.serves_making()),
            (makes, asks),
            "{allow} {bind}"
        );
        assert!(!decided(&policy, &served(), &kernel()).makes_sockets);
        // A handler would see nothing of it.
        let request = Request {
            selectors: vec![Selector {
                name: "socket".to_owned(),
                lenient: false,
            }],
            ..served()
        };
        assert_eq!(compile(&policy, &request, &blocked).is_err(), asks, "{allow} {bind}");
        assert!(compile(&policy, &request, &kernel()).is_ok());
    }
}
