//! Which calls are put before a listener, and by which filter.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Stage};

use super::arch::{self, Arch};
use super::filter::{Action, ArgumentTest, CallData, Clause, Compare, FilterSpec, Rule, Width};
use super::{sockets, syscalls};
use crate::feature::Feature;

/// Calls that somebody wants to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// A system call or `@group`.
    pub name: String,
    /// It wants to see what there is to be seen: a call that the policy denies is left out. Otherwise that is an error.
    pub lenient: bool,
}

/// Calls to trap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    /// The numbers that each selector stands for, selector by selector.
    pub selected: Vec<Vec<u32>>,
    /// The numbers that the library itself looks at, and for which feature.
    pub services: Vec<(Feature, Vec<u32>)>,
}

/// How the listener comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// There is none.
    None,
    /// The filter itself traps: it is installed before the last steps of the set-up, which it allows.
    InFilter(FilterSpec),
    /// A filter of its own traps, because the other would forbid those steps and must come after them.
    Apart {
        /// The one that traps, and allows the rest.
        listening: FilterSpec,
        /// The other.
        filter: FilterSpec,
    },
}

/// Calls that start a process, or with CLONE_THREAD a thread.
const STARTS: &[&str] = &["clone", "fork", "vfork"];
/// Installs handlers of signals. Those that interrupt a start are seen to.
const INSTALLS_HANDLER: &str = "rt_sigaction";

/// Has calls that start processes trapped, and threads too if these are counted.
pub fn trap_starts(spec: &mut FilterSpec, threads: bool) {
    let thread = libc::CLONE_THREAD.cast_unsigned();
    let counted = ArgumentTest {
        index: 0,
        width: Width::Word,
        mask: thread.into(),
        compare: Compare::Equal,
        value: 0,
    };
    for &name in STARTS {
        let Some(number) = spec.arch.number(name) else { continue };
        let rule = spec.rules.entry(number).or_insert_with(|| Rule::always(spec.otherwise));
        if threads || name != "clone" {
            each_action(rule, |action| replace(action, Action::Allow, Action::Notify));
        } else {
            *rule = trap_if(rule, &[counted]);
        }
    }
    if let Some(number) = spec.arch.number(INSTALLS_HANDLER) {
        let rule = spec.rules.entry(number).or_insert_with(|| Rule::always(spec.otherwise));
        let of_children = ArgumentTest {
            index: 0,
            width: Width::Word,
            mask: u32::MAX.into(),
            compare: Compare::Equal,
            value: libc::SIGCHLD.cast_unsigned().into(),
        };
        let not_asking = ArgumentTest {
            index: 1,
            width: Width::Long,
            mask: u64::MAX,
            compare: Compare::NotEqual,
            value: 0,
        };
        *rule = trap_if(rule, &[of_children, not_asking]);
    }
    hide_clone3(spec);
}

/// Has calls refused that start a process with a table of descriptors that it shares with its parent: that a process has one thread
/// is to mean that nobody else puts anything at its descriptors.
pub fn keep_tables_apart(spec: &mut FilterSpec) {
    let shared = ArgumentTest {
        index: 0,
        width: Width::Word,
        mask: (libc::CLONE_FILES | libc::CLONE_THREAD).cast_unsigned().into(),
        compare: Compare::Equal,
        value: libc::CLONE_FILES.cast_unsigned().into(),
    };
    let Some(number) = spec.arch.number("clone") else {
        return;
    };
    let rule = spec.rules.entry(number).or_insert_with(|| Rule::always(spec.otherwise));
    rule.clauses.insert(
        0,
        Clause {
            tests: vec![shared],
            action: Action::fail(libc::EPERM),
        },
    );
    hide_clone3(spec);
}

/// Its flags lie in memory, where nobody can tell what it starts; programs do without it.
fn hide_clone3(spec: &mut FilterSpec) {
    let Some(number) = spec.arch.number("clone3") else {
        return;
    };
    let rule = spec.rules.entry(number).or_insert_with(|| Rule::always(spec.otherwise));
    each_action(rule, |action| {
        replace(action, Action::Allow, Action::fail(libc::ENOSYS));
    });
}

/// `rule`, but what it allows is trapped if all of `tests` hold.
fn trap_if(rule: &Rule, tests: &[ArgumentTest]) -> Rule {
    let mut clauses = Vec::new();
    for clause in &rule.clauses {
        if clause.action == Action::Allow {
            clauses.push(Clause {
                tests: [&clause.tests, tests].concat(),
                action: Action::Notify,
            });
        }
        clauses.push(clause.clone());
    }
    if rule.otherwise == Action::Allow {
        clauses.push(Clause {
            tests: tests.to_vec(),
            action: Action::Notify,
        });
    }
    Rule {
        clauses,
        otherwise: rule.otherwise,
    }
}

fn each_action(rule: &mut Rule, change: impl Fn(&mut Action)) {
    rule.clauses.iter_mut().for_each(|clause| change(&mut clause.action));
    change(&mut rule.otherwise);
}

fn replace(action: &mut Action, from: Action, to: Action) {
    if *action == from {
        *action = to;
    }
}

impl Traps {
    /// Finds what `selectors` stand for under `spec`, which traps what the library itself looks at. A selector that names a call
    /// which the policy refuses anyway is an error: to answer it could only widen the policy. Members of groups that are refused
    /// are left alone. The file metadata guard answers its calls itself, and so does who keeps the network rules, so nobody else can look
    /// at them.
    pub fn new(selectors: &[Selector], spec: &FilterSpec) -> Result<Self, Vec<Error>> {
        let mut problems = Vec::new();
        let services = services(spec);
        let answered: Vec<(Feature, Vec<u32>)> = services
            .iter()
            .filter_map(|(feature, numbers)| Some((*feature, answered(*feature, numbers, spec)?)))
            .collect();
        let selected = selectors
            .iter()
            .map(|selector| {
                numbers(selector, spec, &answered).unwrap_or_else(|error| {
                    problems.push(error);
                    Vec::new()
                })
            })
            .collect();
        if problems.is_empty() {
            Ok(Self { selected, services })
        } else {
            Err(problems)
        }
    }

    /// Has what may be refused trapped too: what Landlock may refuse, and what `spec` does, which is then refused by the library. What
    /// answers ENOSYS has programs do without, and is not worth telling.
    pub fn trace(&mut self, spec: &mut FilterSpec) {
        const ABSENT: Action = Action::fail(libc::ENOSYS);
        let refuses = |action: Action| matches!(action, Action::Errno(_)) && action != ABSENT;
        let otherwise = spec.otherwise;
        let by_default = spec.arch.numbers().filter(|_| refuses(otherwise));
        let governed = GOVERNED.iter().filter_map(|name| spec.arch.number(name));
        for number in by_default.chain(governed.clone()) {
            spec.rules.entry(number).or_insert_with(|| Rule::always(otherwise));
        }
        let governed: Vec<u32> = governed.collect();
        let mut traced = Vec::new();
        for (&number, rule) in &mut spec.rules {
            let governed = governed.contains(&number);
            let before = rule.clone();
            each_action(rule, |action| {
                if refuses(*action) || (governed && *action == Action::Allow) {
                    *action = Action::Notify;
                }
            });
            if *rule != before {
                traced.push(number);
            }
        }
        // First: what others see is not refused.
        self.services.insert(0, (Feature::Syscalls, traced));
    }

    /// The filter that traps them.
    pub fn listening(&self, spec: &FilterSpec) -> Listening {
        let mut trapping = spec.clone();
        for &number in self.selected.iter().flatten() {
            let rule = trapping
                .rules
                .entry(number)
                .or_insert_with(|| Rule::always(spec.otherwise));
            each_action(rule, |action| replace(action, Action::Allow, Action::Notify));
        }
        if !trapping.rules.values().any(traps) {
            return Listening::None;
        }
        if allows_set_up(&trapping) {
            return Listening::InFilter(trapping);
        }
        // Of two filters the stricter answer counts, and a failure is stricter than a question.
        let mut listening = FilterSpec {
            arch: spec.arch,
            rules: trapping.rules.clone(),
            otherwise: Action::Allow,
            first_unknown: u32::MAX,
        };
        listening.rules.retain(|_, rule| traps(rule));
        let ask_only = |action: &mut Action| {
            if *action != Action::Notify {
                *action = Action::Allow;
            }
        };
        listening
            .rules
            .values_mut()
            .for_each(|rule| each_action(rule, ask_only));
        // A question to nobody would be a failure.
        let decide = |action: &mut Action| replace(action, Action::Notify, Action::Allow);
        trapping.rules.values_mut().for_each(|rule| each_action(rule, decide));
        Listening::Apart {
            listening,
            filter: trapping,
        }
    }

    /// True if a call of the child's set-up is among them, as far as it comes after the listener.
    pub fn reach_set_up(&self) -> bool {
        // Beside those that a filter may not forbid: a second filter, a number put elsewhere, and the notes in the record.
        const OTHERS: &[&str] = &["seccomp", "close", "futex", "execveat"];
        let names = SET_UP.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied());
        let numbers: Vec<u32> = names.filter_map(|name| Arch::NATIVE.number(name)).collect();
        let traced = self
            .services
            .iter()
            .filter(|(feature, _)| *feature == Feature::Syscalls);
        let trapped = self.selected.iter().chain(traced.map(|(_, numbers)| numbers));
        trapped.flatten().any(|number| numbers.contains(number))
    }
}

/// Calls that Landlock may refuse: by path, and by port.
pub const GOVERNED: &[&str] = &[
    "open",
    "openat",
    "openat2",
    "creat",
    "execve",
    "execveat",
    "truncate",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "connect",
    "bind",
];

/// True if it puts anything before a listener.
fn traps(rule: &Rule) -> bool {
    rule.otherwise == Action::Notify || rule.clauses.iter().any(|clause| clause.action == Action::Notify)
}

/// True if it lets anything run without asking.
fn allows(rule: &Rule) -> bool {
    rule.otherwise == Action::Allow || rule.clauses.iter().any(|clause| clause.action == Action::Allow)
}

/// What `spec` traps for the library itself.
fn services(spec: &FilterSpec) -> Vec<(Feature, Vec<u32>)> {
    let processes: Vec<&str> = STARTS.iter().copied().chain([INSTALLS_HANDLER]).collect();
    [
        (Feature::Processes, processes.as_slice()),
        (Feature::FilesMetadata, super::defaults::METADATA),
        (Feature::Network, sockets::RULED),
    ]
    .into_iter()
    .map(|(feature, names)| {
        let trapped = |number: &u32| spec.rules.get(number).is_some_and(traps);
        let numbers = names.iter().filter_map(|name| spec.arch.number(name)).filter(trapped);
        (feature, numbers.collect::<Vec<_>>())
    })
    .filter(|(_, numbers)| !numbers.is_empty())
    .collect()
}

/// Those of `numbers`, which are trapped for `feature`, that its service answers whatever the arguments, if it does that at all.
fn answered(feature: Feature, numbers: &[u32], spec: &FilterSpec) -> Option<Vec<u32>> {
    match feature {
        Feature::FilesMetadata => Some(numbers.to_vec()),
        Feature::Network => {
            // socket(2) may be trapped for the sake of rtnetlink alone, beside what is simply allowed.
            let made = |number: u32| spec.rules.get(&number).is_some_and(|rule| !allows(rule));
            let named =
                |number: u32, name: &str| sockets::ANSWERED.contains(&name) || (name == "socket" && made(number));
            let has_name = |number: &&u32| spec.arch.name(**number).is_some_and(|name| named(**number, name));
            // bind(2) and connect(2) may be trapped for the sake of rtnetlink alone.
            let for_either = ["bind", "connect"].map(|name| spec.arch.number(name));
            let whole = |number: &&u32| {
                let rule = spec.rules.get(*number);
                !for_either.contains(&Some(**number)) || rule.is_some_and(|rule| rule.otherwise == Action::Notify)
            };
            Some(numbers.iter().filter(has_name).filter(whole).copied().collect())
        }
        _ => None,
    }
}

fn numbers(selector: &Selector, spec: &FilterSpec, answered: &[(Feature, Vec<u32>)]) -> Result<Vec<u32>, Error> {
    let Selector {
        name: selector,
        lenient,
    } = selector;
    syscalls::check_name(selector)?;
    let group = arch::group(selector);
    let names = match group {
        Some(members) => members.to_vec(),
        None => vec![selector.as_str()],
    };
    let known: Vec<u32> = names.iter().filter_map(|name| spec.arch.number(name)).collect();
    let answers = |number: &u32| {
        let found = answered.iter().find(|(_, numbers)| numbers.contains(number));
        found.map(|(feature, _)| *feature)
    };
    let free = |number: &u32| answers(number).is_none();
    let mut answerable = known.clone();
    answerable.retain(|&number| may_run(spec, number));
    if !lenient && !answerable.is_empty() && !answerable.iter().any(free) {
        let by = match answerable.first().and_then(answers) {
            Some(Feature::Network) => "who keeps the network rules answers it",
            _ => "the file metadata guard answers it; allowing it by name in the policy lifts that",
        };
        return Err(Error::new(
            ErrorKind::State,
            Stage::Supervisor,
            format_args!("a handler for {selector:?} would see nothing: {by}"),
        ));
    }
    answerable.retain(free);
    if answerable.is_empty() && !known.is_empty() && !lenient {
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
    let runs = |action| matches!(action, Action::Allow | Action::Notify);
    match spec.rules.get(&number) {
        None => runs(spec.otherwise),
        Some(rule) => runs(rule.otherwise) || rule.clauses.iter().any(|clause| runs(clause.action)),
    }
}

/// The calls of the child's set-up after the listener, with arguments like those that they have.
const SET_UP: &[(&str, [u64; 6])] = &[
    ("close_range", [u32::MAX as u64, u32::MAX as u64, 2, 0, 0, 0]),
    ("close_range", [3, u32::MAX as u64, 4, 0, 0, 0]),
    ("fcntl", [0, libc::F_DUPFD_CLOEXEC as u64, 3, 0, 0, 0]),
    ("dup3", [0; 6]),
    ("prlimit64", [0; 6]),
    ("rt_sigprocmask", [2, 0, 0, 8, 0, 0]),
    ("execve", [0; 6]),
    ("exit_group", [0; 6]),
];

/// True if the child can go through what is left of its set-up under this filter: the calls of the steps from
/// `CloseInherited` on, with the arguments that they use.
fn allows_set_up(spec: &FilterSpec) -> bool {
    SET_UP.iter().all(|&(name, arguments)| {
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
    use super::super::defaults::{Gaps, Metadata};
    use super::super::syscalls::filter;
    use super::*;
    use crate::policy::SyscallRules;
    use crate::policy::net::reach::Network;
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
                metadata: Metadata::Refused(1),
                network: Some(Network::CLOSED),
                network_rules: false,
                reservations: false,
            },
            Arch::X86_64,
        )
        .unwrap()
    }

    fn traps(selectors: &[&str], spec: &FilterSpec) -> Result<Traps, Vec<Error>> {
        let select = |name: &&str| Selector {
            name: (*name).to_owned(),
            lenient: false,
        };
        let selectors: Vec<_> = selectors.iter().map(select).collect();
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
        assert!(!found.selected[0].contains(&openat));
        assert!(found.selected[0].contains(&Arch::X86_64.number("open").unwrap()));
        assert!(traps(&["@mount"], &spec).is_err());
        assert!(traps(&["no-such-call"], &spec).is_err());
    }

    #[test]
    fn filter_that_would_stop_the_set_up_listens_apart() {
        for denied in ["close_range", "dup3", "rt_sigprocmask", "prlimit64"] {
            let spec = spec(&[denied]);
            let Listening::Apart { listening, filter } = traps(&["openat"], &spec).unwrap().listening(&spec) else {
                panic!("{denied}: not apart");
            };
            assert_eq!(decide(&listening, "openat", [0; 6]), Action::Notify);
            assert_eq!(decide(&listening, denied, [0; 6]), Action::Allow);
            assert_eq!(decide(&filter, "openat", [0; 6]), Action::Allow);
            assert_eq!(decide(&filter, denied, [0; 6]), Action::Errno(1));
        }
        // A trapped step is not a stopped one.
        let spec = spec(&[]);
        let found = traps(&["close_range", "dup3", "execve", "write", "futex"], &spec).unwrap();
        assert!(matches!(found.listening(&spec), Listening::InFilter(_)));
        assert_eq!(traps(&[], &spec).unwrap().listening(&spec), Listening::None);
    }

    #[test]
    fn starts_of_processes_are_trapped_and_those_of_threads_only_if_they_count() {
        let (thread, fork, namespace) = (libc::CLONE_THREAD as u64 | 0x100, 17, libc::CLONE_NEWUSER as u64);
        let flags = |flags| [flags, 0, 0, 0, 0, 0];
        for (threads, of_thread) in [(false, Action::Allow), (true, Action::Notify)] {
            let mut spec = spec(&[]);
            trap_starts(&mut spec, threads);
            assert_eq!(decide(&spec, "clone", flags(fork)), Action::Notify);
            assert_eq!(decide(&spec, "clone", flags(thread)), of_thread);
            assert_eq!(decide(&spec, "clone", flags(namespace | thread)), Action::Errno(1));
            assert_eq!(decide(&spec, "fork", [0; 6]), Action::Notify);
            assert_eq!(decide(&spec, "clone3", [0; 6]), Action::fail(libc::ENOSYS));
            assert_eq!(decide(&spec, "rt_sigaction", [17, 1 << 40, 0, 8, 0, 0]), Action::Notify);
            assert_eq!(decide(&spec, "rt_sigaction", [17, 0, 1 << 40, 8, 0, 0]), Action::Allow);
            assert_eq!(decide(&spec, "rt_sigaction", [15, 1 << 40, 0, 8, 0, 0]), Action::Allow);
            let found = traps(&[], &spec).unwrap();
            assert_eq!(found.services.len(), 1);
            assert!(matches!(found.listening(&spec), Listening::InFilter(_)));
        }
        let mut nothing_else = allow_all(Arch::X86_64);
        trap_starts(&mut nothing_else, false);
        assert_eq!(decide(&nothing_else, "clone3", [0; 6]), Action::fail(libc::ENOSYS));
        assert_eq!(decide(&nothing_else, "vfork", [0; 6]), Action::Notify);
    }

    #[test]
    fn processes_share_no_tables_and_threads_do() {
        let (thread, fork) = (libc::CLONE_THREAD as u64 | 0xf00, 17);
        let files = libc::CLONE_FILES as u64;
        let flags = |flags| [flags, 0, 0, 0, 0, 0];
        for mut spec in [spec(&[]), allow_all(Arch::X86_64)] {
            keep_tables_apart(&mut spec);
            assert_eq!(decide(&spec, "clone", flags(fork)), Action::Allow);
            assert_eq!(decide(&spec, "clone", flags(thread)), Action::Allow);
            assert_eq!(decide(&spec, "clone", flags(fork | files)), Action::Errno(1));
            assert_eq!(decide(&spec, "clone", flags(fork | files | 1 << 32)), Action::Errno(1));
            assert_eq!(decide(&spec, "clone3", [0; 6]), Action::fail(libc::ENOSYS));
            trap_starts(&mut spec, false);
            assert_eq!(decide(&spec, "clone", flags(fork)), Action::Notify);
            assert_eq!(decide(&spec, "clone", flags(thread)), Action::Allow);
            assert_eq!(decide(&spec, "clone", flags(fork | files)), Action::Errno(1));
        }
    }

    #[test]
    fn refused_start_is_not_trapped() {
        let mut spec = spec(&["fork", "clone"]);
        trap_starts(&mut spec, false);
        assert_eq!(decide(&spec, "fork", [0; 6]), Action::Errno(1));
        assert_eq!(decide(&spec, "clone", [17, 0, 0, 0, 0, 0]), Action::Errno(1));
    }

    #[test]
    fn guarded_calls_cannot_be_handled_unless_the_policy_lifts_the_guard() {
        let guarded = |rules: &[(&str, Verdict)]| {
            let rules = SyscallRules {
                rules: rules
                    .iter()
                    .map(|&(name, verdict)| SyscallRule {
                        name: name.to_owned(),
                        verdict,
                    })
                    .collect(),
                ..SyscallRules::default()
            };
            let gaps = Gaps {
                metadata: Metadata::Guarded,
                network: Some(Network::CLOSED),
                network_rules: false,
                reservations: false,
            };
            filter(&rules, gaps, Arch::X86_64).unwrap()
        };
        let spec = guarded(&[]);
        assert_eq!(decide(&spec, "chmod", [0; 6]), Action::Notify);
        assert_eq!(decide(&spec, "file_setattr", [0; 6]), Action::fail(libc::EACCES));
        assert_eq!(traps(&["chmod"], &spec).unwrap_err()[0].kind(), ErrorKind::State);
        let in_group = traps(&["@file-system"], &spec).unwrap();
        assert!(!in_group.selected[0].contains(&Arch::X86_64.number("chmod").unwrap()));
        let lifted = guarded(&[("chmod", Verdict::Allow)]);
        assert_eq!(decide(&lifted, "chmod", [0; 6]), Action::Allow);
        assert_eq!(traps(&["chmod"], &lifted).unwrap().selected[0].len(), 1);
    }
}
