//! What policies compile to, as text that reviewers can read, kept in `golden/`. SANDLOCK_WRITE_GOLDEN=1 writes it anew.

use std::fmt::Write;
use std::path::Path;

use super::arch::Arch;
use super::defaults::{Gaps, Metadata};
use super::filter::{Action, ArgumentTest, Compare, FilterSpec, Rule};
use super::mechanism::Decisions;
use super::{Request, landlock, syscalls, traps};
use crate::feature::Strictness;
use crate::policy::net::reach::Network;
use crate::policy::net::reach::tests::rules;
use crate::policy::syscalls::{SyscallMode, SyscallRules};
use crate::policy::{Access, Flag, PathRule, Policy};
use crate::probe::{Capabilities, Groups, Refusals};

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/compile/golden")
        .join(name);
    if std::env::var_os("SANDLOCK_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name} is not what the policy compiles to; if that is right, SANDLOCK_WRITE_GOLDEN=1"
    );
}

fn action(action: Action) -> String {
    match action {
        Action::Allow => "allow".to_owned(),
        Action::Errno(libc_errno) => match i32::from(libc_errno) {
            libc::EPERM => "EPERM".to_owned(),
            libc::ENOSYS => "ENOSYS".to_owned(),
            other => format!("errno {other}"),
        },
        Action::Kill => "kill".to_owned(),
        Action::Notify => "notify".to_owned(),
    }
}

fn test(test: &ArgumentTest) -> String {
    let compare = match test.compare {
        Compare::Equal => "==",
        Compare::NotEqual => "!=",
        Compare::AtLeast => ">=",
        Compare::AtMost => "<=",
    };
    let mask = match test.mask {
        0xffff_ffff | u64::MAX => String::new(),
        mask => format!(" & {mask:#x}"),
    };
    format!("{:?} {}{mask} {compare} {:#x}", test.width, test.index, test.value).to_lowercase()
}

fn rule(rule: &Rule) -> String {
    let mut text = String::new();
    for clause in &rule.clauses {
        let tests: Vec<_> = clause.tests.iter().map(test).collect();
        let _ = write!(text, "{} if {}; ", action(clause.action), tests.join(" and "));
    }
    let otherwise = action(rule.otherwise);
    if text.is_empty() {
        otherwise
    } else {
        format!("{text}else {otherwise}")
    }
}

fn describe(spec: &FilterSpec) -> String {
    let mut text = format!(
        "{:?}, {} and up ENOSYS, not listed {}\n",
        spec.arch,
        spec.first_unknown,
        action(spec.otherwise)
    );
    let mut lines: Vec<_> = spec
        .rules
        .iter()
        .map(|(&number, found)| format!("{}: {}\n", spec.arch.name(number).unwrap_or("?"), rule(found)))
        .collect();
    lines.sort();
    text.extend(lines);
    text
}

#[test]
fn default_filters_are_as_recorded() {
    let gaps = Gaps {
        metadata: Metadata::Refused(1),
        network: Some(Network::CLOSED),
        network_rules: false,
        reservations: false,
    };
    for arch in Arch::ALL {
        for mode in [SyscallMode::Denylist, SyscallMode::Allowlist] {
            let rules = SyscallRules {
                mode,
                rules: Vec::new(),
            };
            let spec = syscalls::filter(&rules, gaps, arch).unwrap();
            check(
                &format!("{}_{arch:?}.txt", mode.name()).to_lowercase(),
                &describe(&spec),
            );
        }
    }
}

/// What a policy with the default limit of processes and a rule that grants WRITE adds to the default filter.
#[test]
fn trapping_filter_is_as_recorded() {
    let gaps = Gaps {
        metadata: Metadata::Guarded,
        network: Some(Network::CLOSED),
        network_rules: false,
        reservations: false,
    };
    let mut spec = syscalls::filter(&SyscallRules::default(), gaps, Arch::X86_64).unwrap();
    traps::trap_starts(&mut spec, false);
    check("trapping_x86_64.txt", &describe(&spec));
}

/// What policies with network rules come to: their filters, and what Landlock is left with.
#[test]
fn networks_are_as_recorded() {
    for (name, allow, bind, remaps) in [
        ("network_address", "tcp://10.0.0.1:443", "", false),
        ("network_port", "tcp://*:443", "8080", false),
        ("network_remapped", "tcp://*:443", "8080", true),
    ] {
        let mut policy = Policy::new();
        policy.network = rules(allow, "", bind, "");
        policy.process.set_flag(Flag::PortRemap, remaps);
        let network = policy.reach();
        let gaps = Gaps {
            metadata: Metadata::Guarded,
            network: Some(network),
            network_rules: true,
            reservations: false,
        };
        let parts = landlock::Parts {
            network: Some(network),
            ..landlock::Parts::default()
        };
        let ruleset = ruleset(landlock::RulesetSpec::new(&policy, parts).as_ref());
        let mut spec = syscalls::filter(&SyscallRules::default(), gaps, Arch::X86_64).unwrap();
        traps::trap_starts(&mut spec, false);
        let text = format!("allow {allow}, bind {bind:?}\n{ruleset}\n{}", describe(&spec));
        check(&format!("{name}_x86_64.txt"), &text);
    }
}

#[test]
fn rulesets_are_as_recorded() {
    let mut policy = Policy::new();
    for (path, bits) in [
        (c"/usr", Access::READ | Access::EXECUTE),
        (c"/work", Access::READ | Access::WRITE),
        (c"/opt", Access::EXECUTE | Access::OPTIONAL),
    ] {
        policy
            .paths
            .push(PathRule::new(path.into(), Access::from_bits(bits).unwrap()).unwrap());
    }
    policy.set_all_strictness(Strictness::BestEffort);
    let mut text = String::new();
    for abi in 1..=9 {
        let kernel = kernel(abi);
        let compiled = super::compile(&policy, &Request::default(), &kernel).unwrap();
        let _ = writeln!(text, "ABI {abi}\n  program: {}", ruleset(compiled.ruleset.as_ref()));
        let _ = writeln!(text, "  warden:  {}", ruleset(compiled.domain.as_ref()));
    }
    check("rulesets.txt", &text);
}

fn ruleset(spec: Option<&landlock::RulesetSpec>) -> String {
    let Some(spec) = spec else { return "none".to_owned() };
    let mut text = format!(
        "files {:?} network {:?} scopes {:?}",
        spec.files, spec.network, spec.scopes
    );
    for grant in &spec.rules {
        let optional = if grant.optional { ", optional" } else { "" };
        let _ = write!(
            text,
            "\n    {:?}: {:?}; as a file {:?}{optional}",
            grant.path, grant.directory, grant.file
        );
    }
    for grant in &spec.ports {
        let _ = write!(text, "\n    port {}: {:?}", grant.port, grant.rights);
    }
    if spec.refer_everywhere {
        text.push_str("\n    \"/\": Refer");
    }
    text
}

fn kernel(landlock_abi: u32) -> Capabilities {
    Capabilities {
        shortage: 0,
        landlock_abi,
        landlock_errno: if landlock_abi == 0 { libc::EOPNOTSUPP } else { 0 },
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

#[test]
fn decisions_are_as_recorded() {
    let mut policy = Policy::new();
    policy.set_all_strictness(Strictness::BestEffort);
    let served = Request {
        serving: super::Serving::Possible,
        ..Request::default()
    };
    let mut text = String::new();
    for abi in 0..=7 {
        let decisions = Decisions::new(&policy, &served, &kernel(abi), &mut Vec::new());
        let _ = writeln!(text, "ABI {abi}");
        for row in decisions.rows() {
            let _ = writeln!(
                text,
                "  {}: {} | {} | {}",
                row.feature.name(),
                row.state.name(),
                row.mechanism,
                row.detail
            );
        }
    }
    check("decisions.txt", &text);
}
