//! Which calls are put before a listener, and by which filter.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Stage};

use super::arch::{self, Arch};
use super::filter::{Action, CallData, FilterSpec, Rule};
use super::syscalls;

/// Calls to trap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    /// The numbers that each selector stands for, selector by selector.
    pub numbers: Vec<Vec<u32>>,
}

/// How the listener comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// There is none.
    None,
    /// The filter itself traps: it is installed before the last steps of the set-up, which it allows.
    InFilter(FilterSpec),
    /// A filter of its own traps, because the other would forbid those steps and must come after them.
    Apart(FilterSpec),
}

impl Traps {
    /// Finds what `selectors` stand for under `spec`. A selector that names a call which the policy refuses anyway is an error:
    /// to answer it could only widen the policy. Members of groups that are refused are left alone.
    pub fn new(selectors: &[String], spec: &FilterSpec) -> Result<Self, Vec<Error>> {
        let mut problems = Vec::new();
        let numbers = selectors
            .iter()
            .map(|selector| {
                numbers(selector, spec).unwrap_or_else(|error| {
                    problems.push(error);
                    Vec::new()
                })
            })
            .collect();
        if problems.is_empty() {
            Ok(Self { numbers })
        } else {
            Err(problems)
        }
    }

    /// The filter that traps them.
    pub fn listening(&self, spec: &FilterSpec) -> Listening {
        let mut trapping = spec.clone();
        let mut apart = FilterSpec {
            arch: spec.arch,
            rules: BTreeMap::new(),
            otherwise: Action::Allow,
            first_unknown: u32::MAX,
        };
        for &number in self.numbers.iter().flatten() {
            let rule = trapping
                .rules
                .entry(number)
                .or_insert_with(|| Rule::always(spec.otherwise));
            for action in rule
                .clauses
                .iter_mut()
                .map(|clause| &mut clause.action)
                .chain([&mut rule.otherwise])
            {
                if *action == Action::Allow {
                    *action = Action::Notify;
                }
            }
            apart.rules.insert(number, Rule::always(Action::Notify));
        }
        if apart.rules.is_empty() {
            Listening::None
        } else if allows_set_up(&trapping) {
            Listening::InFilter(trapping)
        } else {
            Listening::Apart(apart)
        }
    }
}

fn numbers(selector: &str, spec: &FilterSpec) -> Result<Vec<u32>, Error> {
    syscalls::check_name(selector)?;
    let group = arch::group(selector);
    let names = match group {
        Some(members) => members.to_vec(),
        None => vec![selector],
    };
    let known: Vec<u32> = names.iter().filter_map(|name| spec.arch.number(name)).collect();
    let answerable: Vec<u32> = known.iter().copied().filter(|&number| may_run(spec, number)).collect();
    if answerable.is_empty() && !known.is_empty() {
        return Err(Error::new(
            ErrorKind::State,
            Stage::Supervisor,
            format_args!("a handler for {selector:?}, which the policy denies, could only widen the policy"),
        ));
    }
    Ok(answerable)
}

/// True unless the policy refuses the call whatever its arguments.
fn may_run(spec: &FilterSpec, number: u32) -> bool {
    if number >= spec.first_unknown {
        return false;
    }
    match spec.rules.get(&number) {
        None => spec.otherwise == Action::Allow,
        Some(rule) => {
            rule.otherwise == Action::Allow || rule.clauses.iter().any(|clause| clause.action == Action::Allow)
        }
    }
}

/// True if the child can go through what is left of its set-up under this filter: the calls of the steps from
/// `CloseInherited` on, with the arguments that they use.
fn allows_set_up(spec: &FilterSpec) -> bool {
    const DUPFD_CLOEXEC: u64 = libc::F_DUPFD_CLOEXEC as u64;
    const CALLS: &[(&str, [u64; 6])] = &[
        ("close_range", [u32::MAX as u64, u32::MAX as u64, 2, 0, 0, 0]),
        ("close_range", [3, u32::MAX as u64, 4, 0, 0, 0]),
        ("fcntl", [0, DUPFD_CLOEXEC, 3, 0, 0, 0]),
        ("dup3", [0; 6]),
        ("prlimit64", [0; 6]),
        ("rt_sigprocmask", [2, 0, 0, 8, 0, 0]),
        ("execve", [0; 6]),
        ("exit_group", [0; 6]),
    ];
    CALLS.iter().all(|&(name, arguments)| {
        let call = spec.arch.number(name).map(|number| CallData {
            number,
            arch: spec.arch.audit(),
            instruction_pointer: 0,
            arguments,
        });
        call.is_some_and(|call| matches!(spec.decide(&call), Action::Allow | Action::Notify))
    })
}

/// A filter that refuses nothing but calls that would slip past the others.
pub fn allow_all(arch: Arch) -> FilterSpec {
    FilterSpec {
        arch,
        rules: BTreeMap::new(),
        otherwise: Action::Allow,
        first_unknown: arch.first_unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::defaults::Gaps;
    use super::super::syscalls::filter;
    use super::*;
    use crate::policy::SyscallRules;
    use crate::policy::syscalls::{SyscallRule, Verdict};

    fn spec(denied: &[&str]) -> FilterSpec {
        let rules = denied.iter().map(|name| SyscallRule {
            name: (*name).to_owned(),
            verdict: Verdict::Deny(1),
        });
        let rules = SyscallRules {
            rules: rules.collect(),
            ..SyscallRules::default()
        };
        filter(
            &rules,
            Gaps {
                metadata: true,
                network: true,
            },
            Arch::X86_64,
        )
        .unwrap()
    }

    fn traps(selectors: &[&str], spec: &FilterSpec) -> Result<Traps, Vec<Error>> {
        let selectors: Vec<_> = selectors.iter().map(|name| (*name).to_owned()).collect();
        Traps::new(&selectors, spec)
    }

    fn decide(spec: &FilterSpec, name: &str, arguments: [u64; 6]) -> Action {
        spec.decide(&CallData {
            number: spec.arch.number(name).unwrap(),
            arch: spec.arch.audit(),
            instruction_pointer: 0,
            arguments,
        })
    }

    #[test]
    fn trapped_calls_are_put_before_the_listener_as_far_as_they_are_allowed() {
        let spec = spec(&[]);
        let traps = traps(&["openat", "socket"], &spec).unwrap();
        let Listening::InFilter(filter) = traps.listening(&spec) else {
            panic!("not in the filter");
        };
        assert_eq!(decide(&filter, "openat", [0; 6]), Action::Notify);
        assert_eq!(decide(&filter, "read", [0; 6]), Action::Allow);
        let (unix, inet, stream) = (1, 2, 1);
        assert_eq!(decide(&filter, "socket", [inet, stream, 0, 0, 0, 0]), Action::Notify);
        assert_eq!(decide(&filter, "socket", [unix, stream, 0, 0, 0, 0]), Action::Errno(1));
    }

    #[test]
    fn denied_call_cannot_be_handled_by_name_and_is_left_alone_in_a_group() {
        let spec = spec(&["openat"]);
        let problems = traps(&["openat", "mount", "read"], &spec).unwrap_err();
        assert_eq!(problems.len(), 2);
        assert!(problems.iter().all(|problem| problem.kind() == ErrorKind::State));
        let found = traps(&["@file-system"], &spec).unwrap();
        let openat = Arch::X86_64.number("openat").unwrap();
        assert!(!found.numbers[0].contains(&openat));
        assert!(found.numbers[0].contains(&Arch::X86_64.number("open").unwrap()));
        assert!(traps(&["@mount"], &spec).is_err());
        assert!(traps(&["no-such-call"], &spec).is_err());
    }

    #[test]
    fn filter_that_would_stop_the_set_up_listens_apart() {
        for denied in ["close_range", "dup3", "rt_sigprocmask", "prlimit64"] {
            let spec = spec(&[denied]);
            let Listening::Apart(apart) = traps(&["openat"], &spec).unwrap().listening(&spec) else {
                panic!("{denied}: not apart");
            };
            assert_eq!(decide(&apart, "openat", [0; 6]), Action::Notify);
            assert_eq!(decide(&apart, denied, [0; 6]), Action::Allow);
        }
        // A trapped step is not a stopped one.
        let spec = spec(&[]);
        let found = traps(&["close_range", "dup3", "execve", "write", "futex"], &spec).unwrap();
        assert!(matches!(found.listening(&spec), Listening::InFilter(_)));
        assert_eq!(traps(&[], &spec).unwrap().listening(&spec), Listening::None);
    }
}
