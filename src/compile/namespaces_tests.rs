//! What becomes of PID and mount namespaces, by what is refused.

use crate::error::{Error, Stage};
use crate::feature::{Feature, State, Strictness};
use crate::policy::{Access, Flag, Limit, Mount, Namespace, PathRule, Policy, Root};
use crate::probe::{Capabilities, Groups, Refusal, Refusals};
use crate::report::Row;

use super::super::mechanism::Decisions;
use super::super::{Request, Serving, compile};

fn kernel(refused_namespaces: Refusals) -> Capabilities {
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
        refused_namespaces,
        groups: Groups::default(),
    }
}

fn served() -> Request {
    Request {
        serving: Serving::Possible,
        ..Request::default()
    }
}

/// The rows of the user, PID and mount namespaces, and what is wrong.
fn decide(policy: &Policy, request: &Request, refused: Refusals) -> ([Row; 3], Vec<Error>) {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, request, &kernel(refused), &mut problems);
    let rows = [Feature::NsUser, Feature::NsPid, Feature::NsMount].map(|feature| {
        let found = decisions.rows().iter().find(|row| row.feature == feature);
        found.unwrap().clone()
    });
    (rows, problems)
}

fn states(policy: &Policy, refused: Refusals) -> [State; 3] {
    decide(policy, &served(), refused).0.map(|row| row.state)
}

fn with_mounts() -> Policy {
    let mut policy = Policy::new();
    policy.namespaces.insert(Namespace::Mount);
    policy
}

fn at(mut policy: Policy, feature: Feature, strictness: Strictness) -> Policy {
    policy.set_strictness(feature, strictness);
    policy
}

fn no_ids() -> Refusals {
    Refusals {
        pid: Some(Refusal::Clone(libc::ENOSPC)),
        ..Refusals::default()
    }
}

#[test]
fn mounts_ask_for_pids_and_both_for_users() {
    use State::{Enforced, NotRequested};
    assert_eq!(states(&Policy::new(), Refusals::default()), [NotRequested; 3]);
    assert_eq!(states(&with_mounts(), Refusals::default()), [Enforced; 3]);
    let mut policy = Policy::new();
    policy.namespaces.insert(Namespace::Pid);
    assert_eq!(states(&policy, Refusals::default()), [Enforced, Enforced, NotRequested]);
    policy.root = Root::Memory;
    assert_eq!(states(&policy, Refusals::default()), [Enforced; 3]);
}

#[test]
fn what_mounts_rest_on_is_missed_and_waived_with_them() {
    use State::{Enforced, Unavailable, Waived};
    for (feature, expected) in [
        (Feature::NsUser, [Waived, Waived, Waived]),
        (Feature::NsPid, [Enforced, Waived, Waived]),
        (Feature::NsMount, [Enforced, Enforced, Waived]),
    ] {
        let policy = at(with_mounts(), feature, Strictness::Disable);
        assert_eq!(states(&policy, Refusals::default()), expected, "{feature:?}");
    }

    let (_, problems) = decide(&with_mounts(), &served(), no_ids());
    assert_eq!(problems.len(), 2);
    assert!(
        problems
            .iter()
            .all(|problem| problem.stage() == Stage::Namespaces && problem.errno() == libc::ENOSPC)
    );
    assert!(
        problems[0].message().contains("ns-pid: a PID namespace cannot be made"),
        "{}",
        problems[0]
    );
    assert!(
        problems[1].message().contains("ns-mount: it takes a PID namespace"),
        "{}",
        problems[1]
    );

    let lenient = at(with_mounts(), Feature::NsPid, Strictness::BestEffort);
    let lenient = at(lenient, Feature::NsMount, Strictness::BestEffort);
    assert_eq!(states(&lenient, no_ids()), [Enforced, Unavailable, Unavailable]);
    let no_mounts = Refusals {
        mount: Some(Refusal::Clone(libc::ENOSPC)),
        ..Refusals::default()
    };
    assert_eq!(states(&lenient, no_mounts), [Enforced, Enforced, Unavailable]);
    let no_users = Refusals {
        user: Some(Refusal::Clone(libc::EPERM)),
        ..Refusals::default()
    };
    let lenient = at(lenient, Feature::NsUser, Strictness::BestEffort);
    let (rows, problems) = decide(&lenient, &served(), no_users);
    assert_eq!(
        (rows.each_ref().map(|row| row.state), problems),
        ([Unavailable; 3], vec![])
    );
    assert_eq!([&rows[1].detail, &rows[2].detail], ["it takes a user namespace"; 2]);
}

#[test]
fn copy_of_memory_and_pid_namespace_exclude_each_other() {
    let mut policy = with_mounts();
    policy.process.set_flag(Flag::NoHugePages, true);
    let (rows, problems) = decide(&policy, &served(), Refusals::default());
    assert_eq!(rows[0].state, State::Enforced);
    assert_eq!(rows[1].detail, "NO_HUGE_PAGES takes a copy of the host's memory");
    assert_eq!(rows[2].detail, "it takes a PID namespace");
    assert_eq!(problems.len(), 2);
    let without = at(policy, Feature::NoHugePages, Strictness::Disable);
    assert_eq!(decide(&without, &served(), Refusals::default()).1, vec![]);
}

#[test]
fn relative_paths_are_refused_where_paths_are_the_programs() {
    let mut policy = Policy::new();
    for path in [c"/usr", c"usr\xff"] {
        let rule = PathRule::new(path.into(), Access::from_bits(Access::READ).unwrap());
        policy.paths.push(rule.unwrap());
    }
    policy.process.set_cwd(c".".into()).unwrap();
    let compiled = |policy: &Policy, refused| compile(policy, &served(), &kernel(refused));
    assert!(compiled(&policy, Refusals::default()).is_ok());
    policy.namespaces.insert(Namespace::Mount);
    let problems = compiled(&policy, Refusals::default()).unwrap_err();
    let messages: Vec<_> = problems.iter().map(Error::message).collect();
    assert_eq!(
        messages,
        [
            "policy: path rule \"usr\\xff\" is relative, and in a mount namespace paths are the program's",
            "policy: working directory \".\" is relative, and in a mount namespace paths are the program's",
        ]
    );
    // Without the namespace they are the host's after all.
    policy.set_all_strictness(Strictness::BestEffort);
    assert!(compiled(&policy, no_ids()).is_ok());
}

#[test]
fn own_thread_gets_no_namespaces() {
    let (rows, problems) = decide(&with_mounts(), &Request::default(), Refusals::default());
    assert!(rows.iter().all(|row| row.detail == "it takes a new process"));
    assert!(problems.len() >= 3);
}

#[test]
fn report_says_what_the_program_sees() {
    let detail = |policy: &Policy| {
        let ([.., row], problems) = decide(policy, &served(), Refusals::default());
        assert_eq!(problems, vec![]);
        row.detail
    };
    let mut policy = with_mounts();
    assert_eq!(detail(&policy), "the host's root, private /proc");
    policy.add_mount(Mount::memory(c"/tmp", 1).unwrap()).unwrap();
    assert_eq!(detail(&policy), "the host's root, 1 mount");
    policy.root = Root::directory(c"/srv/x\xff").unwrap();
    policy.add_mount(Mount::bind(c"/usr", c"/usr", false).unwrap()).unwrap();
    assert_eq!(detail(&policy), "root \"/srv/x\\xff\", 2 mounts");
    policy.root = Root::Memory;
    policy.mounts.clear();
    assert_eq!(detail(&policy), "root in memory, 0 mounts");
}

#[test]
fn pid_namespace_stands_in_for_scopes_that_the_kernel_lacks() {
    let old = Capabilities {
        landlock_abi: 5,
        ..kernel(Refusals::default())
    };
    let rows = |policy: &Policy| {
        let mut problems = Vec::new();
        let decisions = Decisions::new(policy, &served(), &old, &mut problems);
        let rows = [
            Feature::KillAll,
            Feature::Processes,
            Feature::SignalScope,
            Feature::AbstractUnixScope,
        ]
        .map(|feature| {
            let row = decisions.rows().iter().find(|row| row.feature == feature).unwrap();
            (row.state, row.mechanism.clone())
        });
        (rows, problems.len())
    };
    let mut policy = Policy::new();
    let (without, problems) = rows(&policy);
    assert!(without.iter().all(|(state, _)| *state != State::Enforced) && problems > 0);
    policy.namespaces.extend([Namespace::Pid, Namespace::Net]);
    policy.limits.insert(Limit::Memory, 1 << 30);
    let (with, problems) = rows(&policy);
    assert_eq!(problems, 0);
    assert!(with.iter().all(|(state, _)| *state == State::Enforced));
    let mechanisms = with.map(|(_, mechanism)| mechanism);
    assert_eq!(
        mechanisms,
        [
            "PID namespace",
            "seccomp user notification, PID namespace",
            "PID namespace",
            "network namespace"
        ]
    );
    let compiled = compile(&policy, &served(), &old).unwrap();
    // What the kernel does not know it is not asked for, and the init must be in no domain.
    assert!(compiled.ruleset.is_some_and(|ruleset| ruleset.scopes.is_empty()));
    assert_eq!(compiled.domain, None);
}
