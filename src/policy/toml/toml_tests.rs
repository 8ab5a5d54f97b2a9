//! Texts and policies.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::feature::{Feature, Strictness};

use super::super::syscalls::SyscallRule;
use super::super::{Environment, Flag, Grace, Limit, Namespace, PathRule, SyscallMode, UNLIMITED, Verdict};
use super::mounts::tests::{mount, root};
use super::network::tests::network;
use super::*;

fn message(text: &str) -> String {
    Policy::from_toml(text).unwrap_err().message().to_owned()
}

#[test]
fn new_policy_is_an_empty_text() {
    assert_eq!(Policy::new().to_toml(), "");
    assert_eq!(Policy::from_toml(""), Ok(Policy::new()));
    assert_eq!(
        Policy::from_toml("[filesystem]\nread = []\n[limits]\n"),
        Ok(Policy::new())
    );
}

#[test]
fn every_problem_has_line_column_key_and_what_is_expected() {
    for (text, expected) in [
        (
            "[limits]\ncpu = 1\n\n[filesytem]\n",
            "line 4, column 2: unknown key \"filesytem\"; known are filesystem, network, syscalls, limits, process, strictness",
        ),
        (
            "[filesystem]\nraed = []",
            "line 2, column 1: unknown key \"filesystem.raed\"; known are read, execute, write, read-execute, read-write, write-execute, all, root, mounts",
        ),
        (
            "filesystem.read = 3",
            "line 1, column 19: filesystem.read must be an array of paths, not an integer",
        ),
        (
            "filesystem.read = [3]",
            "line 1, column 20: filesystem.read must be an array of paths: strings, or tables with \"path\", not an integer",
        ),
        (
            "filesystem.read = [\"\"]",
            "line 1, column 20: filesystem.read: path is empty",
        ),
        (
            "filesystem.read = [{}]",
            "line 1, column 20: filesystem.read: a table without \"path\"",
        ),
        (
            "filesystem.read = [{ path = \"/\", optionl = true }]",
            "line 1, column 34: unknown key \"filesystem.read.optionl\"; known are path, optional",
        ),
        (
            "network.tcp = \"allow\"",
            "line 1, column 15: network.tcp must be one of deny, not \"allow\"",
        ),
        (
            "syscalls.mode = true",
            "line 1, column 17: syscalls.mode must be one of denylist, allowlist, not a boolean",
        ),
        (
            "syscalls.deny = [{ name = \"a\", errno = 4096 }]",
            "line 1, column 18: syscalls.deny: errno 4096 is not within 1 to 4095",
        ),
        (
            "syscalls.deny = [{ name = \"a\", errno = \"EPREM\" }]",
            "line 1, column 40: syscalls.deny.errno: unknown errno \"EPREM\"; give its number",
        ),
        (
            "'é' = 1\n",
            "line 1, column 1: unknown key \"é\"; known are filesystem, network, syscalls, limits, process, strictness",
        ),
        (
            "process = { 'é' = 1, nice = \"ten\" }",
            "2 problems: policy: line 1, column 13: unknown key \"process.é\"; known are environment, variables, cwd, umask, \
             nice, cpus, grace, user, namespaces, flags; policy: line 1, column 29: process.nice must be an integer, not a string",
        ),
        (
            "limits.cpu = \"ten\"",
            "line 1, column 14: limits.cpu must be an integer, a string like \"256MiB\", or \"unlimited\", not \"ten\"",
        ),
        ("limits.cpu = -1", "line 1, column 14: limits.cpu is out of range"),
        (
            "limits.processes = 0",
            "line 1, column 20: limits.processes: limit PROCESSES is 0: no program could run",
        ),
        (
            "process.umask = 22",
            "line 1, column 17: process.umask must be octal: 0o022 or \"022\", not another base",
        ),
        (
            "process.umask = 0o1000",
            "line 1, column 17: process.umask: umask 0o1000 is above 0777",
        ),
        (
            "process.nice = 20",
            "line 1, column 16: process.nice: nice value 20 is not within -20 to 19",
        ),
        (
            "process.nice = 5.0",
            "line 1, column 16: process.nice must be an integer, not a floating-point number",
        ),
        (
            "process.cpus = []",
            "line 1, column 16: process.cpus: processor set is empty",
        ),
        (
            "process.cpus = [1, 1024]",
            "line 1, column 16: process.cpus: processor 1024 is above 1023",
        ),
        (
            "process.variables.A = true",
            "line 1, column 23: process.variables.A must be a string, or false, which removes it, not true",
        ),
        (
            "process.variables = { 'A=B' = \"\" }",
            "line 1, column 23: process.variables: variable name \"A=B\" contains '='",
        ),
        (
            "process.cwd = \"a\\u0000b\"",
            "line 1, column 15: process.cwd has a NUL that two hexadecimal digits, 80 to ff, do not follow",
        ),
        (
            "strictness.all = \"maybe\"",
            "line 1, column 18: strictness.all must be one of require, best-effort, disable, not \"maybe\"",
        ),
        (
            "[[syscalls]]\nmode = \"denylist\"\n[[syscalls]]\nmode = \"denylist\"",
            "line 4, column 1: syscalls.mode is said a second time",
        ),
    ] {
        let several = expected.contains(" problems: ");
        let prefix = if several { "" } else { "policy: " };
        assert_eq!(message(text), format!("{prefix}{expected}"), "{text}");
    }
}

#[test]
fn names_that_are_unknown_are_told_with_those_that_are_known() {
    for (text, place, name) in [
        (
            "[limits]\n \"no file\" = 1",
            "line 2, column 2: unknown key \"limits.no file\"; known are cpu, ",
            "nofile",
        ),
        (
            "[process]\nflags = [\n  \"no-aslr\",\n  \"no_aslr\",\n]",
            "line 4, column 3: process.flags must be one of no-aslr, ",
            "no-coredump",
        ),
        (
            "strictness.file = \"require\"",
            "line 1, column 12: unknown key \"strictness.file\"; known are all, ",
            "files-refer",
        ),
    ] {
        let message = message(text);
        let rest = message
            .strip_prefix("policy: ")
            .and_then(|rest| rest.strip_prefix(place));
        assert!(rest.is_some_and(|rest| rest.contains(name)), "{message}");
    }
}

#[test]
fn text_that_is_no_toml_has_a_place_too() {
    for (text, place) in [
        ("[filesystem\n", "line 1, column 12: "),
        ("[limits]\ncpu = 1\ncpu = 2", "line 3, column 1: "),
        ("[limits]\ncpu 1", "line 2, column "),
        ("a = \"\n\"", "line 1, column "),
    ] {
        let message = message(text);
        assert!(message.contains(place) && !message.contains('\n'), "{message:?}");
    }
}

#[test]
fn no_more_than_sixteen_problems_are_told() {
    let text: String = (0..100).map(|number| format!("key{number} = 1\n")).collect();
    let message = message(&text);
    assert!(
        message.starts_with("17 problems: policy: line 1, column 1: "),
        "{message}"
    );
    assert!(message.ends_with("; policy: 84 more"), "{message}");
}

#[test]
fn long_keys_and_values_are_cut_in_messages() {
    let long = "x\\n".repeat(1000);
    let message = message(&format!("\"{long}\" = 1\nnetwork.tcp = \"{long}\""));
    assert!(message.len() < 500 && !message.contains('\n'), "{message}");
}

#[test]
fn deeply_nested_text_is_refused() {
    for text in [
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{b=".repeat(100_000)),
        format!("a{} = 1", ".b".repeat(100_000)),
        format!("[a{}]", ".b".repeat(100_000)),
    ] {
        message(&text);
    }
}

#[test]
fn sizes_are_numbers_with_or_without_a_unit() {
    for (text, value) in [
        ("1_000", 1000),
        ("0x10", 16),
        ("\"12\"", 12),
        ("\"4KiB\"", 4 << 10),
        ("\"256MiB\"", 256 << 20),
        ("\"3GiB\"", 3 << 30),
        ("\"2TiB\"", 2 << 40),
        ("\"unlimited\"", UNLIMITED),
        ("18446744073709551615", UNLIMITED),
        ("\"18446744073709551614\"", UNLIMITED - 1),
    ] {
        let policy = Policy::from_toml(&format!("limits.data = {text}")).unwrap();
        assert_eq!(policy.limits.get(&Limit::Data), Some(&value), "{text}");
    }
    for text in [
        "\"\"",
        "\"MiB\"",
        "\"1 MiB\"",
        "\"1.5GiB\"",
        "\"1MB\"",
        "\"-1\"",
        "\"+1\"",
        "\"16777216TiB\"",
        "1.0",
    ] {
        message(&format!("limits.data = {text}"));
    }
}

#[test]
fn umask_is_octal_and_written_so() {
    for text in ["0o022", "\"022\"", "\"22\"", "\"0022\""] {
        let policy = Policy::from_toml(&format!("process.umask = {text}")).unwrap();
        assert_eq!(policy.process.umask, Some(0o22), "{text}");
        assert_eq!(policy.to_toml(), "[process]\numask = 0o022\n");
    }
    for text in ["\"\"", "\"+22\"", "\"9\"", "\"0o22\"", "18", "true"] {
        message(&format!("process.umask = {text}"));
    }
}

#[test]
fn what_is_said_of_one_feature_outranks_what_is_said_of_all() {
    let policy =
        Policy::from_toml("[strictness]\nfiles = \"require\"\nall = \"disable\"\nnetwork = \"best-effort\"").unwrap();
    assert_eq!(policy.strictness(Feature::Files), Strictness::Require);
    assert_eq!(policy.strictness(Feature::Network), Strictness::BestEffort);
    assert_eq!(policy.strictness(Feature::Syscalls), Strictness::Disable);
}

#[test]
fn rules_that_interleave_are_written_in_several_tables() {
    let mut policy = Policy::new();
    for (path, bits) in [
        (c"/a", Access::READ),
        (c"/b", Access::READ | Access::OPTIONAL),
        (c"/c", Access::WRITE),
        (c"/d", Access::READ),
    ] {
        let rule = PathRule::new(path.into(), Access::from_bits(bits).unwrap());
        policy.paths.push(rule.unwrap());
    }
    let text = "[[filesystem]]\nread = [\"/a\", { path = \"/b\", optional = true }]\nwrite = [\"/c\"]\n\n\
                [[filesystem]]\nread = [\"/d\"]\n";
    assert_eq!(policy.to_toml(), text);
    assert_eq!(Policy::from_toml(text), Ok(policy));
}

#[test]
fn bytes_that_are_no_unicode_survive() {
    let mut policy = Policy::new();
    policy.process.set_cwd(c"/\xff\xc3\xa9\xc3\"\\\n\x7f".into()).unwrap();
    policy
        .process
        .set_variable(c"A\xfe".into(), Some(c"\x80b".into()))
        .unwrap();
    let text = policy.to_toml();
    assert_eq!(
        text,
        "[process]\ncwd = \"/\\u0000ffé\\u0000c3\\\"\\\\\\n\\u007F\"\n\n[process.variables]\n\"A\\u0000fe\" = \"\\u000080b\"\n"
    );
    assert_eq!(Policy::from_toml(&text), Ok(policy));
}

#[test]
fn names_of_calls_are_checked_where_they_stand() {
    let check = |name: &str| {
        if name == "good" {
            Ok(())
        } else {
            Err(crate::error::Error::argument(format_args!("unknown call {name:?}")))
        }
    };
    let error = Policy::from_toml_with("[syscalls]\nallow = [\"good\", \"bad\"]", &check).unwrap_err();
    assert_eq!(
        error.message(),
        "policy: line 2, column 18: syscalls.allow: unknown call \"bad\""
    );
    assert!(Policy::from_toml_with("syscalls.allow = [\"good\"]", &check).is_ok());
}

#[test]
fn every_errno_is_written_so_that_it_is_read_back() {
    let mut policy = Policy::new();
    policy.syscalls.rules = (1..=4095)
        .map(|errno| SyscallRule {
            name: "socket".to_owned(),
            verdict: Verdict::Deny(errno),
        })
        .collect();
    assert_eq!(Policy::from_toml(&policy.to_toml()), Ok(policy));
}

#[test]
fn shipped_profiles_are_read_and_reach_nothing_by_themselves() {
    for text in [
        include_str!("../../../profiles/compute.toml"),
        include_str!("../../../profiles/build.toml"),
        include_str!("../../../profiles/service.toml"),
    ] {
        let policy = Policy::from_toml(text).unwrap();
        for rule in &policy.paths {
            assert!(
                rule.path.as_bytes() == b"/dev/null" || !rule.access.writes(),
                "{rule:?}"
            );
        }
        assert!(
            Feature::ALL
                .iter()
                .all(|&feature| policy.strictness(feature) == Strictness::Require)
        );
        assert_eq!(policy.process.environment, Environment::Minimal);
        assert!(policy.process_limit().is_some());
        assert_eq!(Policy::from_toml(&policy.to_toml()), Ok(policy));
    }
}

/// Bytes as C has them: names, Unicode, controls, anything.
fn c_string() -> impl Strategy<Value = CString> {
    let bytes = prop_oneof![
        "/[a-z/.-]{0,20}".prop_map(String::into_bytes),
        "\\PC{1,8}".prop_map(String::into_bytes),
        vec(any::<u8>(), 1..12),
        vec(
            prop_oneof![
                Just(b'"'),
                Just(b'\\'),
                Just(b'#'),
                Just(b'\n'),
                Just(0xc3),
                Just(0xa9),
                Just(b'f')
            ],
            1..8
        ),
    ];
    bytes.prop_filter_map("empty", |mut bytes| {
        bytes.retain(|&byte| byte != 0);
        CString::new(bytes).ok().filter(|text| !text.is_empty())
    })
}

fn path_rule() -> impl Strategy<Value = PathRule> {
    (c_string(), 1..8_u64, any::<bool>()).prop_map(|(path, rights, optional)| {
        let bits = rights | if optional { Access::OPTIONAL } else { 0 };
        PathRule::new(path, Access::from_bits(bits).unwrap()).unwrap()
    })
}

fn syscall_rule() -> impl Strategy<Value = SyscallRule> {
    let name = prop_oneof!["@?[a-z0-9_-]{1,12}", any::<String>()];
    let verdict = prop_oneof![
        Just(Verdict::Allow),
        Just(Verdict::Deny(1)),
        (1..134_u16).prop_map(Verdict::Deny),
        (1..4096_u16).prop_map(Verdict::Deny)
    ];
    (name, verdict).prop_map(|(name, verdict)| SyscallRule { name, verdict })
}

fn limit() -> impl Strategy<Value = (Limit, u64)> {
    let value = prop_oneof![
        1..100_u64,
        any::<u64>(),
        (1..1024_u64, 0..54_u32).prop_map(|(number, shift)| number << shift),
        Just(UNLIMITED)
    ];
    (proptest::sample::select(Limit::ALL), value).prop_map(|(limit, value)| (limit, value.max(1)))
}

fn policy() -> impl Strategy<Value = Policy> {
    let rules = (
        vec(path_rule(), 0..8),
        proptest::sample::select(SyscallMode::ALL),
        vec(syscall_rule(), 0..8),
        vec(limit(), 0..5),
    );
    let name = c_string().prop_filter("no name", |name| !name.as_bytes().contains(&b'='));
    let process = (
        any::<bool>(),
        vec((name, option::of(c_string())), 0..5),
        option::of(c_string()),
        option::of(0..=0o777_u32),
        option::of(-20..20_i32),
        btree_set(0..1024_u32, 0..50),
        vec(proptest::sample::select(Flag::ALL), 0..4),
    );
    let all = option::of(proptest::sample::select(Strictness::ALL));
    let strictness = (
        proptest::sample::select(Feature::ALL),
        proptest::sample::select(Strictness::ALL),
    );
    let apart = (
        option::of((0..u32::MAX, 0..u32::MAX)),
        btree_set(proptest::sample::select(Namespace::ALL), 0..3),
        option::of((1..=64, any::<u64>()).prop_map(|(signal, after)| Grace::new(signal, after).unwrap())),
        option::of(c_string()),
    );
    let files = (root(), vec(mount(), 0..5), network());
    let settings = (rules, files, process, apart, all, vec(strictness, 0..5));
    settings.prop_map(|(rules, files, process, apart, all, strictness)| {
        let mut policy = Policy::new();
        policy.root = files.0;
        policy.network = files.2;
        for mount in files.1 {
            // One that would hide another is no part of any policy.
            let _ = policy.add_mount(mount);
        }
        policy.paths = rules.0;
        policy.syscalls.mode = rules.1;
        policy.syscalls.rules = rules.2;
        policy.limits = rules.3.into_iter().collect();
        if process.0 {
            policy.process.clear_environment();
        }
        for (name, value) in process.1 {
            policy.process.set_variable(name, value).unwrap();
        }
        policy.process.cwd = process.2;
        policy.process.umask = process.3;
        policy.process.nice = process.4;
        (policy.process.user, policy.namespaces, policy.grace, policy.cgroup) = apart;
        policy.process.cpus = process.5;
        for flag in process.6 {
            policy.process.set_flag(flag, true);
        }
        if let Some(level) = all {
            policy.set_all_strictness(level);
        }
        for (feature, level) in strictness {
            policy.set_strictness(feature, level);
        }
        policy
    })
}

/// Text that nearly is a policy: one with a stretch of it replaced.
fn damaged() -> impl Strategy<Value = String> {
    let patch = prop_oneof!["[a-z\\[\\]{}=\",.# \n0-9]{0,4}", any::<String>()];
    (policy(), any::<proptest::sample::Index>(), 0..6_usize, patch).prop_map(|(policy, at, length, patch)| {
        let text: Vec<char> = policy.to_toml().chars().collect();
        let start = at.index(text.len() + 1);
        let end = (start + length).min(text.len());
        text[..start].iter().collect::<String>() + &patch + &text[end..].iter().collect::<String>()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policy_is_read_back_as_it_was_written(policy in policy()) {
        let text = policy.to_toml();
        prop_assert!(!text.contains('\0'));
        let read = Policy::from_toml(&text);
        prop_assert_eq!(read.as_ref(), Ok(&policy), "{}", text);
        prop_assert_eq!(read.unwrap().to_toml(), text);
    }

    #[test]
    fn text_is_refused_with_a_place_or_means_what_it_is_written_as(text in damaged()) {
        match Policy::from_toml(&text) {
            Ok(policy) => prop_assert_eq!(Policy::from_toml(&policy.to_toml()), Ok(policy)),
            Err(error) => {
                let message = error.message();
                prop_assert!(message.contains("line ") && message.contains(", column "), "{}", message);
                prop_assert!(!message.contains(char::is_control), "{:?}", message);
            }
        }
    }
}
