//! From policy to text.

use std::ffi::CStr;
use std::fmt::Write;

use crate::feature::{Feature, Strictness};

use super::super::{Environment, Flag, Limit, PathRule, Policy, SyscallMode, UNLIMITED, Verdict, check};
use super::{ACCESS_KEYS, CGROUP, DEFAULT_ERRNO, NO_LIMIT, UNITS, errno_name, mounts, network, to_unicode, word};

/// A line that would be longer is broken.
const WIDTH: usize = 100;

/// The text of `policy`.
pub(super) fn write(policy: &Policy) -> String {
    let mut out = String::new();
    let mut files = gather(policy.paths.iter().map(path_rule));
    put_first(&mut files, mounts::lines(policy));
    put_tables(&mut out, "filesystem", &files);
    put_table(&mut out, "[network]", network::lines(policy));
    syscalls(policy, &mut out);
    let limits = policy.limits.iter().map(|(&limit, &value)| {
        let value = limit_value(limit, value);
        (word(limit.name()), value)
    });
    let cgroup = policy.cgroup.as_deref().map(|path| (CGROUP.to_owned(), bytes(path)));
    put_table(&mut out, "[limits]", limits.chain(cgroup));
    process(policy, &mut out);
    put_table(&mut out, "[strictness]", strictness(policy));
    out
}

fn path_rule(rule: &PathRule) -> (&'static str, String) {
    let rights = [
        (rule.access.reads(), super::Access::READ),
        (rule.access.executes(), super::Access::EXECUTE),
        (rule.access.writes(), super::Access::WRITE),
    ];
    let rights = rights
        .iter()
        .filter(|(granted, _)| *granted)
        .fold(0, |all, (_, right)| all | right);
    // Every set of rights but the empty one, which no rule has, has a key.
    let key = ACCESS_KEYS
        .iter()
        .find(|(_, known)| *known == rights)
        .map_or("", |(key, _)| key);
    let path = bytes(&rule.path);
    let item = if rule.access.is_optional() {
        format!("{{ path = {path}, optional = true }}")
    } else {
        path
    };
    (key, item)
}

fn syscalls(policy: &Policy, out: &mut String) {
    let rules = policy.syscalls.rules.iter().map(|rule| {
        let name = string(&rule.name);
        match rule.verdict {
            Verdict::Allow => ("allow", name),
            Verdict::Deny(errno) if check::denial_errno(DEFAULT_ERRNO).is_ok_and(|default| default == errno) => {
                ("deny", name)
            }
            Verdict::Deny(errno) => {
                let errno = errno_name(errno).map_or_else(|| errno.to_string(), string);
                ("deny", format!("{{ name = {name}, errno = {errno} }}"))
            }
        }
    });
    let mut tables: Vec<Vec<(String, String)>> = gather(rules);
    if policy.syscalls.mode != SyscallMode::Denylist {
        let mode = ("mode".to_owned(), string(policy.syscalls.mode.name()));
        put_first(&mut tables, vec![mode]);
    }
    put_tables(out, "syscalls", &tables);
}

fn limit_value(limit: Limit, value: u64) -> String {
    if value == UNLIMITED {
        return string(NO_LIMIT);
    }
    let counts_bytes = matches!(
        limit,
        Limit::Fsize
            | Limit::Core
            | Limit::Data
            | Limit::As
            | Limit::Stack
            | Limit::Memlock
            | Limit::Memory
            | Limit::Disk
    );
    if counts_bytes { size(value) } else { number(value) }
}

/// A number of bytes: with a unit, if it is a multiple of one.
pub(super) fn size(value: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, shift)| value != 0 && value.trailing_zeros() >= *shift);
    unit.map_or_else(
        || number(value),
        |(unit, shift)| string(&format!("{}{unit}", value >> shift)),
    )
}

fn number(value: u64) -> String {
    // Others who read TOML may have 64 bits and a sign.
    i64::try_from(value).map_or_else(|_| string(&value.to_string()), |value| value.to_string())
}

fn process(policy: &Policy, out: &mut String) {
    let settings = &policy.process;
    let mut lines = Vec::new();
    if settings.environment != Environment::default() {
        lines.push(("environment".to_owned(), string(settings.environment.name())));
    }
    if let Some(cwd) = &settings.cwd {
        lines.push(("cwd".to_owned(), bytes(cwd)));
    }
    if let Some(umask) = settings.umask {
        lines.push(("umask".to_owned(), format!("0o{umask:03o}")));
    }
    if let Some(nice) = settings.nice {
        lines.push(("nice".to_owned(), nice.to_string()));
    }
    if !settings.cpus.is_empty() {
        let cpus: Vec<_> = settings.cpus.iter().map(u32::to_string).collect();
        lines.push(("cpus".to_owned(), list("cpus", &cpus)));
    }
    if let Some(grace) = policy.grace {
        lines.push((
            "grace".to_owned(),
            format!("[{}, {}]", grace.signal, grace.milliseconds),
        ));
    }
    if let Some((user, group)) = settings.user {
        lines.push(("user".to_owned(), format!("[{user}, {group}]")));
    }
    if !policy.namespaces.is_empty() {
        let namespaces: Vec<_> = policy
            .namespaces
            .iter()
            .map(|namespace| string(namespace.name()))
            .collect();
        lines.push(("namespaces".to_owned(), list("namespaces", &namespaces)));
    }
    let flags = Flag::ALL.iter().filter(|&&flag| settings.has(flag));
    let flags: Vec<_> = flags.map(|flag| string(&word(flag.name()))).collect();
    if !flags.is_empty() {
        lines.push(("flags".to_owned(), list("flags", &flags)));
    }
    put_table(out, "[process]", lines);
    let variables = settings.variables.iter().map(|(name, value)| {
        let value = value.as_deref().map_or_else(|| "false".to_owned(), bytes);
        (key(&to_unicode(name)), value)
    });
    put_table(out, "[process.variables]", variables);
}

fn strictness(policy: &Policy) -> Vec<(String, String)> {
    let level = |feature: Feature| policy.strictness(feature);
    let first = Feature::ALL
        .first()
        .map_or(Strictness::Require, |&feature| level(feature));
    if first != Strictness::Require && Feature::ALL.iter().all(|&feature| level(feature) == first) {
        return vec![("all".to_owned(), string(first.name()))];
    }
    let named = Feature::ALL
        .iter()
        .filter(|&&feature| level(feature) != Strictness::Require);
    named
        .map(|&feature| (word(feature.name()), string(level(feature).name())))
        .collect()
}

/// Items by key, in tables: a new one wherever a key would come a second time, so that the order is kept.
fn gather(items: impl Iterator<Item = (&'static str, String)>) -> Vec<Vec<(String, String)>> {
    let mut tables: Vec<Vec<(&str, Vec<String>)>> = Vec::new();
    for (key, item) in items {
        match tables.last_mut() {
            Some(table) if table.iter().all(|(known, _)| *known != key) => table.push((key, vec![item])),
            Some(table) if table.last().is_some_and(|(last, _)| *last == key) => {
                if let Some((_, items)) = table.last_mut() {
                    items.push(item);
                }
            }
            _ => tables.push(vec![(key, vec![item])]),
        }
    }
    let line = |(key, items): (&str, Vec<String>)| (key.to_owned(), list(key, &items));
    let lines = |table: Vec<(&'static str, Vec<String>)>| table.into_iter().map(line).collect();
    tables.into_iter().map(lines).collect()
}

/// Puts lines before all others, in the first table if there is one.
fn put_first(tables: &mut Vec<Vec<(String, String)>>, lines: Vec<(String, String)>) {
    match tables.first_mut() {
        Some(first) => drop(first.splice(0..0, lines)),
        None => tables.push(lines),
    }
}

/// A table for each, by the same name.
fn put_tables(out: &mut String, name: &str, tables: &[Vec<(String, String)>]) {
    let header = if tables.len() > 1 {
        format!("[[{name}]]")
    } else {
        format!("[{name}]")
    };
    for table in tables {
        put_table(out, &header, table.iter().cloned());
    }
}

/// A table, unless it is empty.
fn put_table(out: &mut String, header: &str, lines: impl IntoIterator<Item = (String, String)>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let gap = if out.is_empty() { "" } else { "\n" };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{gap}{header}");
    for (key, value) in lines {
        let _ = writeln!(out, "{key} = {value}");
    }
}

/// An array: on the line of `key`, or broken.
pub(super) fn list(key: &str, items: &[String]) -> String {
    let length: usize = items.iter().map(|item| item.len() + 2).sum();
    if key.len() + length + 3 <= WIDTH {
        format!("[{}]", items.join(", "))
    } else {
        format!("[\n    {},\n]", items.join(",\n    "))
    }
}

pub(super) fn bytes(bytes: &CStr) -> String {
    string(&to_unicode(bytes))
}

/// A key: bare if it can be.
fn key(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !text.is_empty() && text.bytes().all(bare) {
        text.to_owned()
    } else {
        string(text)
    }
}

/// A basic string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => {
                // All of them lie below U+00A0. Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
