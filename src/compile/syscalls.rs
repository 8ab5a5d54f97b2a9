//! From a policy's rules about system calls to a filter.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Stage};
use crate::policy::syscalls::{SyscallMode, SyscallRule, SyscallRules, Verdict};

use super::arch::{self, Arch};
use super::bpf::AssemblyError;
use super::defaults::{self, Gaps};
use super::filter::{Action, FilterSpec, Rule};
use super::sockets;

/// Checks that `name` is a call of some architecture or a group.
pub fn check_name(name: &str) -> Result<(), Error> {
    let known = if name.starts_with('@') {
        arch::group(name).is_some()
    } else {
        arch::is_known(name)
    };
    if known {
        return Ok(());
    }
    let what = if name.starts_with('@') { "group" } else { "system call" };
    Err(Error::argument(format_args!("unknown {what} {name:?}")))
}

/// Builds the filter for `rules` on `arch`, or says everything that is wrong with them.
///
/// Calls that the policy's network rules speak of are theirs: to allow them lets them in, in allowlist mode, and lifts nothing.
///
/// A rule for a name outranks one for a group. Allowing a name lifts what the defaults say of the call; allowing a group
/// lifts it only where the defaults refuse every member, so that the group has no other meaning (`@sysv-ipc`, `@mount`).
pub fn filter(rules: &SyscallRules, gaps: Gaps, arch: Arch) -> Result<FilterSpec, Vec<Error>> {
    let mut problems = Vec::new();
    let defaults: BTreeMap<&str, Rule> = defaults::rules(gaps).into_iter().collect();
    let verdicts = merge(rules, &defaults, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }

    let mut by_name: BTreeMap<&str, Rule> = BTreeMap::new();
    if rules.mode == SyscallMode::Allowlist {
        let always = arch::group("@default").unwrap_or_default();
        for &name in always.iter().chain(defaults::ALWAYS_ALLOWED) {
            by_name.insert(name, Rule::always(Action::Allow));
        }
        for (&name, _) in verdicts.iter().filter(|(_, said)| said.verdict == Verdict::Allow) {
            by_name.insert(name, Rule::always(Action::Allow));
        }
    }
    for (name, rule) in defaults {
        // In allowlist mode a default matters for calls that are let in; the rest is refused anyway. clone3 must say
        // ENOSYS in either mode, or programs would not fall back to clone.
        if rules.mode == SyscallMode::Denylist || by_name.contains_key(name) || name == "clone3" {
            by_name.insert(name, rule);
        }
    }
    for (name, said) in verdicts {
        match said.verdict {
            Verdict::Allow if said.lifts && !is_ruled(name, gaps) => by_name.insert(name, Rule::always(Action::Allow)),
            Verdict::Allow => None,
            Verdict::Deny(errno) => by_name.insert(name, Rule::always(Action::Errno(errno))),
        };
    }
    let otherwise = match rules.mode {
        SyscallMode::Denylist => Action::Allow,
        SyscallMode::Allowlist => Action::fail(libc::EPERM),
    };
    let rules = by_name
        .into_iter()
        .filter_map(|(name, rule)| Some((arch.number(name)?, rule)))
        .filter(|(_, rule)| *rule != Rule::always(otherwise))
        .collect();
    Ok(FilterSpec {
        arch,
        rules,
        otherwise,
        first_unknown: arch.first_unknown(),
    })
}

/// The calls whose default rules `rules` lift, as [`filter`] has it, in the order of their names.
pub fn lifted(rules: &SyscallRules, gaps: Gaps) -> Vec<String> {
    let defaults: BTreeMap<&str, Rule> = defaults::rules(gaps).into_iter().collect();
    let verdicts = merge(rules, &defaults, &mut Vec::new());
    let lifts = |name: &str, said: Said<'_>| {
        said.verdict == Verdict::Allow && said.lifts && !is_ruled(name, gaps) && defaults.contains_key(name)
    };
    let lifted = verdicts.into_iter().filter(|&(name, said)| lifts(name, said));
    lifted.map(|(name, _)| name.to_owned()).collect()
}

/// True if the policy's network rules say what becomes of the call.
fn is_ruled(name: &str, gaps: Gaps) -> bool {
    gaps.network_rules && gaps.network.is_some() && sockets::RULED.contains(&name)
}

/// Describes a filter that cannot be assembled.
pub fn assembly_error(error: AssemblyError) -> Error {
    match error {
        AssemblyError::TooLong(length) => Error::new(
            ErrorKind::Limit,
            Stage::Seccomp,
            format_args!("the rules need {length} filter instructions, the kernel takes 4096"),
        ),
        AssemblyError::BadJump => Error::new(ErrorKind::Internal, Stage::Seccomp, "filter has a bad jump"),
    }
}

/// What the caller's rules say of one call.
#[derive(Clone, Copy)]
struct Said<'a> {
    verdict: Verdict,
    /// The rule that says it.
    by: &'a str,
    /// It outranks the default rule for the call.
    lifts: bool,
}

fn merge<'a>(
    rules: &'a SyscallRules,
    defaults: &BTreeMap<&str, Rule>,
    problems: &mut Vec<Error>,
) -> BTreeMap<&'a str, Said<'a>> {
    let mut seen: BTreeMap<&str, Verdict> = BTreeMap::new();
    let mut usable: Vec<&SyscallRule> = Vec::new();
    for rule in &rules.rules {
        if let Err(error) = check_name(&rule.name) {
            problems.push(error);
        } else if let Some(&earlier) = seen.get(rule.name.as_str()) {
            problems.push(conflict(&rule.name, earlier, &rule.name, rule.verdict));
        } else {
            seen.insert(&rule.name, rule.verdict);
            usable.push(rule);
        }
    }

    let mut said: BTreeMap<&str, Said<'_>> = BTreeMap::new();
    let named: BTreeSet<&str> = usable
        .iter()
        .map(|rule| rule.name.as_str())
        .filter(|name| !name.starts_with('@'))
        .collect();
    for rule in usable {
        let (name, verdict) = (&rule.name, rule.verdict);
        let Some(members) = arch::group(name) else {
            said.insert(
                name,
                Said {
                    verdict,
                    by: name,
                    lifts: true,
                },
            );
            continue;
        };
        let refused_by_default = |member: &&str| defaults.get(*member).is_some_and(|rule| rule.clauses.is_empty());
        let lifts = members.iter().all(refused_by_default);
        if rules.mode == SyscallMode::Denylist && verdict == Verdict::Allow && !lifts {
            problems.push(Error::policy(format_args!(
                "allowing {name:?} would change nothing in denylist mode, which allows part of it and lifts refusals \
                 only by name or for a group that is refused whole"
            )));
        }
        for &member in members.iter().filter(|member| !named.contains(**member)) {
            let new = Said {
                verdict,
                by: name,
                lifts,
            };
            match said.get(member) {
                Some(old) if old.verdict != verdict => {
                    problems.push(conflict(old.by, old.verdict, name, verdict));
                    break;
                }
                // Two groups that agree: what either lifts is lifted.
                Some(old) if old.lifts => {}
                _ => {
                    said.insert(member, new);
                }
            }
        }
    }
    if let Some(said) = said.get("execve").filter(|said| said.verdict != Verdict::Allow) {
        problems.push(Error::policy(format_args!(
            "denying {:?} denies execve, and no program could be started",
            said.by
        )));
    }
    if let Some(said) = said.get("exit_group").filter(|said| said.verdict != Verdict::Allow) {
        problems.push(Error::policy(format_args!(
            "denying {:?} denies exit_group, and no program could end",
            said.by
        )));
    }
    problems.dedup();
    said
}

fn conflict(one: &str, one_verdict: Verdict, other: &str, other_verdict: Verdict) -> Error {
    let show = |name: &str, verdict| match verdict {
        Verdict::Allow => format!("allow {name:?}"),
        Verdict::Deny(errno) => format!("deny {name:?} with errno {errno}"),
    };
    let relation = if one_verdict == other_verdict {
        "repeats"
    } else {
        "contradicts"
    };
    Error::policy(format_args!(
        "{} {relation} {}",
        show(other, other_verdict),
        show(one, one_verdict)
    ))
}

#[cfg(test)]
#[path = "syscalls_tests.rs"]
mod tests;
