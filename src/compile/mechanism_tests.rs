//! What each kernel gives, by table.

use super::*;
use crate::policy::Namespace;
use crate::probe::{Groups, Refusal, Refusals};

fn kernel(landlock_abi: u32) -> Capabilities {
    Capabilities {
        shortage: 0,
        landlock_abi,
        landlock_errno: if landlock_abi == 0 { libc::ENOSYS } else { 0 },
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

fn best_effort() -> Policy {
    let mut policy = Policy::new();
    policy.set_all_strictness(Strictness::BestEffort);
    policy
}

fn states(policy: &Policy, kernel: &Capabilities) -> Vec<(Feature, State)> {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, &served(), kernel, &mut problems);
    assert_eq!(problems, []);
    decisions.rows().iter().map(|row| (row.feature, row.state)).collect()
}

#[test]
fn features_appear_with_the_abi_that_brought_them() {
    for (abi, expected) in [
        (0, &[][..]),
        (1, &[Feature::Files]),
        (2, &[Feature::Files, Feature::FilesRefer]),
        (3, &[Feature::Files, Feature::FilesRefer, Feature::FilesTruncate]),
        (
            4,
            &[
                Feature::Files,
                Feature::FilesRefer,
                Feature::FilesTruncate,
                Feature::Network,
            ],
        ),
    ] {
        let found: Vec<_> = states(&best_effort(), &kernel(abi))
            .into_iter()
            .filter(|&(feature, state)| state == State::Enforced && needed_abi(feature).is_some())
            .map(|(feature, _)| feature)
            .collect();
        assert_eq!(found, expected, "ABI {abi}");
    }
    assert!(states(&Policy::new(), &kernel(6)).iter().all(|&(feature, state)| {
        state
            == if feature.is_optional() {
                State::NotRequested
            } else {
                State::Enforced
            }
    }));
}

#[test]
fn everything_required_and_missing_is_named_at_once() {
    let mut problems = Vec::new();
    Decisions::new(&Policy::new(), &served(), &kernel(3), &mut problems);
    let messages: Vec<_> = problems.iter().map(Error::message).collect();
    assert_eq!(
        messages,
        [
            "landlock: files-ioctl-dev: needs Landlock ABI 5, this kernel has 3: Operation not supported",
            "landlock: network: needs Landlock ABI 4, this kernel has 3: Operation not supported",
            "landlock: signal-scope: needs Landlock ABI 6, this kernel has 3: Operation not supported",
            "landlock: abstract-unix-scope: needs Landlock ABI 6, this kernel has 3: Operation not supported",
            "landlock: kill-all: needs Landlock ABI 6, this kernel has 3: Operation not supported",
            "limits: processes: needs Landlock ABI 6, this kernel has 3: Operation not supported",
        ]
    );
}

#[test]
fn missing_mechanisms_are_rows_under_best_effort() {
    let mut old = kernel(0);
    old.seccomp_filter = false;
    old.close_range = false;
    let states = states(&best_effort(), &old);
    let state = |wanted| states.iter().find(|(feature, _)| *feature == wanted).unwrap().1;
    assert_eq!(state(Feature::Files), State::Unavailable);
    assert_eq!(state(Feature::KillAll), State::Degraded);
    assert_eq!(state(Feature::Syscalls), State::Unavailable);
    assert_eq!(state(Feature::FilesMetadata), State::Unavailable);
    assert_eq!(state(Feature::Descriptors), State::Unavailable);
    assert_eq!(state(Feature::NoNewPrivs), State::Enforced);
}

#[test]
fn process_limit_is_refused_where_the_kernel_would_ignore_it() {
    let mut policy = Policy::new();
    policy.limits.insert(Limit::Nproc, 8);
    let mut root = kernel(7);
    root.unlimited_processes = true;
    let mut problems = Vec::new();
    Decisions::new(&policy, &served(), &root, &mut problems);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].kind(), ErrorKind::Unsupported);
    policy.set_strictness(Feature::Limits, Strictness::BestEffort);
    problems.clear();
    let decisions = Decisions::new(&policy, &served(), &root, &mut problems);
    assert!(problems.is_empty());
    assert!(decisions.uses(Feature::Limits) && !decisions.enforces(Feature::Limits));
}

#[test]
fn disabled_feature_is_not_used_and_takes_its_parts_along() {
    let mut policy = Policy::new();
    policy.set_strictness(Feature::Files, Strictness::Disable);
    let mut problems = Vec::new();
    let decisions = Decisions::new(&policy, &served(), &kernel(7), &mut problems);
    assert!(problems.is_empty());
    assert!(!decisions.uses(Feature::Files) && !decisions.uses(Feature::FilesTruncate));
    assert!(decisions.enforces(Feature::Network));
}

#[test]
fn namespaces_are_to_be_had_with_that_of_users_or_not_at_all() {
    let apart = |strictness| {
        let mut policy = Policy::new();
        policy.namespaces.insert(Namespace::Net);
        policy.set_strictness(Feature::NsUser, strictness);
        policy.set_strictness(Feature::NsNet, strictness);
        policy
    };
    let refusing = |refused_namespaces| Capabilities {
        refused_namespaces,
        ..kernel(7)
    };
    let no_users = refusing(Refusals {
        user: Some(Refusal::Map(libc::EPERM)),
        ..Refusals::default()
    });
    let no_networks = refusing(Refusals {
        net: Some(Refusal::Clone(libc::ENOSPC)),
        ..Refusals::default()
    });
    let found = |strictness, kernel: &Capabilities| {
        let mut problems = Vec::new();
        let decisions = Decisions::new(&apart(strictness), &served(), kernel, &mut problems);
        let state = |feature| {
            decisions
                .rows()
                .iter()
                .find(|row| row.feature == feature)
                .unwrap()
                .clone()
        };
        (state(Feature::NsUser), state(Feature::NsNet), problems)
    };

    let (user, net, problems) = found(Strictness::Require, &kernel(7));
    assert_eq!((user.state, net.state), (State::Enforced, State::Enforced));
    assert_eq!(problems, []);

    let (_, _, problems) = found(Strictness::Require, &no_users);
    assert_eq!(problems.len(), 2);
    assert_eq!(
        (problems[0].stage(), problems[0].errno()),
        (Stage::Namespaces, libc::EPERM)
    );
    assert!(problems[0].to_string().contains("AppArmor"), "{}", problems[0]);

    let (user, net, problems) = found(Strictness::BestEffort, &no_users);
    assert_eq!((user.state, user.errno), (State::Unavailable, libc::EPERM));
    assert_eq!(
        (net.state, net.detail.as_str()),
        (State::Unavailable, "it takes a user namespace")
    );
    assert_eq!(problems, []);

    let (user, net, _) = found(Strictness::BestEffort, &no_networks);
    assert_eq!((user.state, net.state), (State::Enforced, State::Unavailable));
    assert!(net.detail.contains("max_"), "{}", net.detail);

    let (user, net, _) = found(Strictness::Disable, &kernel(7));
    assert_eq!((user.state, net.state), (State::Waived, State::Waived));
}

fn limited(limit: Limit, value: u64) -> Policy {
    let mut policy = Policy::new();
    policy.limits.insert(limit, value);
    policy
}

#[test]
fn limit_of_memory_takes_a_domain_and_somebody_who_looks() {
    let decide = |policy: &Policy, request: &Request, kernel: &Capabilities| {
        let mut problems = Vec::new();
        let decisions = Decisions::new(policy, request, kernel, &mut problems);
        let row = decisions.rows().iter().find(|row| row.feature == Feature::Memory);
        (row.map(|row| row.state), problems.len())
    };
    let mut policy = limited(Limit::Memory, 1 << 20);
    assert_eq!(decide(&policy, &served(), &kernel(6)), (Some(State::Enforced), 0));
    assert_eq!(
        decide(&policy, &Request::default(), &kernel(6)).0,
        Some(State::Unavailable)
    );
    let blind = Capabilities {
        proc_blindness: Some("no /proc"),
        ..kernel(6)
    };
    assert_eq!(decide(&policy, &served(), &blind).0, Some(State::Unavailable));
    policy.set_strictness(Feature::KillAll, Strictness::Disable);
    assert_eq!(decide(&policy, &served(), &kernel(6)), (Some(State::Degraded), 1));
    policy.limits.insert(Limit::Memory, crate::policy::UNLIMITED);
    assert_eq!(decide(&policy, &served(), &kernel(6)).0, Some(State::NotRequested));
}

#[test]
fn limits_of_time_are_part_of_the_limits() {
    for limit in [Limit::CpuTotal, Limit::Wall, Limit::CpuShare] {
        let mut problems = Vec::new();
        let decisions = Decisions::new(&limited(limit, 50), &served(), &kernel(6), &mut problems);
        let row = decisions
            .rows()
            .iter()
            .find(|row| row.feature == Feature::Limits)
            .unwrap();
        assert_eq!((row.state, problems.len()), (State::Enforced, 0));
        assert_eq!(row.detail, format!("{}=50", limit.name()));
    }
}

#[test]
fn limit_of_memory_leaves_room_for_reservations_unless_the_policy_says_otherwise() {
    let data = |policy: &Policy| {
        let compiled = super::super::compile(policy, &served(), &kernel(6)).unwrap();
        let found = compiled.limits.iter().find(|limit| limit.resource == libc::RLIMIT_DATA);
        found.map(|limit| limit.hard)
    };
    let mut policy = limited(Limit::Memory, 1 << 28);
    assert_eq!(data(&policy), Some(1 << 29));
    policy.limits.insert(Limit::Data, u64::MAX);
    assert_eq!(data(&policy), Some(u64::MAX));
    assert_eq!(data(&Policy::new()), None);
}

#[test]
fn limit_of_disk_does_with_less_where_it_must_and_says_so() {
    let decide = |policy: &Policy, request: &Request, kernel: &Capabilities| {
        let mut problems = Vec::new();
        let decisions = Decisions::new(policy, request, kernel, &mut problems);
        let row = decisions
            .rows()
            .iter()
            .find(|row| row.feature == Feature::Disk)
            .cloned();
        let row = row.unwrap();
        (
            row.state,
            row.mechanism,
            problems.iter().any(|problem| problem.message().contains("disk")),
        )
    };
    let mut policy = limited(Limit::Disk, 1 << 20);
    let (state, mechanism, refused) = decide(&policy, &served(), &kernel(6));
    assert_eq!((state, refused), (State::Enforced, false));
    assert_eq!(mechanism, "RLIMIT_FSIZE, readings of the trees");
    let (state, mechanism, refused) = decide(&policy, &Request::default(), &kernel(6));
    assert_eq!(
        (state, mechanism.as_str(), refused),
        (State::Degraded, "RLIMIT_FSIZE alone", true)
    );
    let blind = Capabilities {
        proc_blindness: Some("no /proc"),
        ..kernel(6)
    };
    let (state, mechanism, refused) = decide(&policy, &served(), &blind);
    assert_eq!((state, refused), (State::Degraded, true));
    assert!(mechanism.contains("not of open files without a name"));
    policy.set_strictness(Feature::Files, Strictness::Disable);
    assert!(decide(&policy, &served(), &kernel(6)).1.contains("of path rules"));
    policy.set_strictness(Feature::Disk, Strictness::Disable);
    assert_eq!(decide(&policy, &served(), &kernel(6)).0, State::Waived);
    policy.limits.insert(Limit::Disk, crate::policy::UNLIMITED);
    assert_eq!(decide(&policy, &served(), &kernel(6)).0, State::NotRequested);
}

#[test]
fn limit_of_disk_limits_each_file_unless_the_policy_is_stricter() {
    let file = |policy: &Policy| {
        let compiled = super::super::compile(policy, &served(), &kernel(6)).unwrap();
        let mut found = compiled
            .limits
            .iter()
            .filter(|limit| limit.resource == libc::RLIMIT_FSIZE);
        let first = found.next().map(|limit| (limit.name, limit.hard));
        assert_eq!(found.next(), None);
        first
    };
    let mut policy = limited(Limit::Disk, 1 << 20);
    assert_eq!(file(&policy), Some(("DISK", 1 << 20)));
    policy.limits.insert(Limit::Fsize, 1 << 21);
    assert_eq!(file(&policy), Some(("DISK", 1 << 20)));
    policy.limits.insert(Limit::Fsize, 1 << 19);
    assert_eq!(file(&policy), Some(("FSIZE", 1 << 19)));
    policy.limits.remove(&Limit::Disk);
    assert_eq!(file(&policy), Some(("FSIZE", 1 << 19)));
    assert_eq!(file(&Policy::new()), None);
}

fn with_groups(landlock_abi: u32) -> Capabilities {
    Capabilities {
        groups: Groups {
            memory: true,
            cpu: true,
            ..Groups::default()
        },
        ..kernel(landlock_abi)
    }
}

fn row_of(feature: Feature, policy: &Policy, kernel: &Capabilities) -> (Row, usize) {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, &served(), kernel, &mut problems);
    let row = decisions.rows().iter().find(|row| row.feature == feature);
    (row.unwrap().clone(), problems.len())
}

#[test]
fn group_holds_the_limit_of_memory_where_there_is_one() {
    let mut policy = limited(Limit::Memory, 1 << 30);
    let (row, problems) = row_of(Feature::Memory, &policy, &with_groups(6));
    assert_eq!((row.state, problems), (State::Enforced, 0));
    assert_eq!(row.mechanism, "cgroup v2: memory.max, memory.oom.group");
    let compiled = super::super::compile(&policy, &served(), &with_groups(6)).unwrap();
    assert_eq!(compiled.group.memory, Some(1 << 30));
    assert!(compiled.limits.iter().all(|limit| limit.resource != libc::RLIMIT_DATA));
    // It takes neither a domain nor /proc.
    let blind = Capabilities {
        proc_blindness: Some("no /proc"),
        ..with_groups(2)
    };
    assert_eq!(row_of(Feature::Memory, &policy, &blind).0.state, State::Enforced);
    policy.process.set_flag(Flag::MemoryKillsLargest, true);
    let (row, _) = row_of(Feature::Memory, &policy, &with_groups(6));
    assert_eq!(row.mechanism, "cgroup v2: memory.max");
    // What would be too little for the start.
    policy.limits.insert(Limit::Memory, (64 << 20) - 1);
    let (row, _) = row_of(Feature::Memory, &policy, &with_groups(6));
    assert_eq!(row.mechanism, "RLIMIT_DATA, readings of /proc");
}

#[test]
fn group_holds_the_share_of_processor_time_and_leaves_the_rest_to_the_clock() {
    let mut policy = limited(Limit::CpuShare, 50);
    let mechanism = |policy: &Policy, kernel| row_of(Feature::Limits, policy, &kernel).0.mechanism;
    assert_eq!(mechanism(&policy, kernel(6)), "rlimit, the library's own clock");
    assert_eq!(mechanism(&policy, with_groups(6)), "rlimit, cgroup v2: cpu.max");
    policy.limits.insert(Limit::Wall, 50);
    assert_eq!(
        mechanism(&policy, with_groups(6)),
        "rlimit, the library's own clock, cgroup v2: cpu.max"
    );
}

#[test]
fn group_that_the_program_could_change_holds_nothing() {
    type Change = fn(&mut Policy);
    let changes: [Change; 5] = [
        |policy| {
            policy.set_strictness(Feature::Files, Strictness::Disable);
        },
        |policy| {
            policy.set_strictness(Feature::Files, Strictness::BestEffort);
        },
        |policy| {
            policy.set_strictness(Feature::Syscalls, Strictness::Disable);
        },
        |policy| {
            policy.set_strictness(Feature::Syscalls, Strictness::BestEffort);
        },
        |policy| {
            policy.syscalls.rules.push(crate::policy::syscalls::SyscallRule {
                name: "clone3".to_owned(),
                verdict: crate::policy::Verdict::Allow,
            });
        },
    ];
    for change in changes {
        let mut policy = limited(Limit::Memory, 1 << 30);
        change(&mut policy);
        let (row, problems) = row_of(Feature::Memory, &policy, &with_groups(6));
        assert_eq!(
            (row.mechanism.as_str(), problems),
            ("RLIMIT_DATA, readings of /proc", 0)
        );
        // One that is asked for by name is not done without.
        policy.cgroup = Some(c"/delegated".into());
        let (row, problems) = row_of(Feature::Memory, &policy, &with_groups(6));
        assert_eq!((row.state, problems), (State::Unavailable, 1));
        assert!(
            row.detail.starts_with("control group \"/delegated\": "),
            "{}",
            row.detail
        );
    }
    // Whoever is content with less is content with this too.
    let mut policy = limited(Limit::Memory, 1 << 30);
    policy.set_all_strictness(Strictness::BestEffort);
    let (row, _) = row_of(Feature::Memory, &policy, &with_groups(6));
    assert_eq!(row.mechanism, "cgroup v2: memory.max, memory.oom.group");
}

#[test]
fn group_that_was_named_is_required_and_one_that_was_not_is_not_missed() {
    let refusing = Capabilities {
        groups: Groups {
            lack: Some(("it cannot be opened", libc::ENOENT)),
            ..Groups::default()
        },
        ..kernel(6)
    };
    for (limit, feature) in [(Limit::Memory, Feature::Memory), (Limit::CpuShare, Feature::Limits)] {
        let mut policy = limited(limit, 1 << 30);
        let (row, problems) = row_of(feature, &policy, &refusing);
        assert_eq!((row.state, problems), (State::Enforced, 0));
        policy.cgroup = Some(c"/delegated".into());
        let (row, problems) = row_of(feature, &policy, &refusing);
        assert_ne!(row.state, State::Enforced);
        assert_eq!((row.errno, problems), (libc::ENOENT, 1));
        assert!(row.detail.contains("it cannot be opened"), "{}", row.detail);
    }
}
