//! The processes of a sandbox, found by who the warden's signals reach.

use std::collections::BTreeSet;
use std::fs;

use crate::process::Member;
use crate::sys;

/// Lists them. `scoped`: a signal from here reaches them and nobody else; otherwise they are `program` and its descendants, as far
/// as their parents live.
pub(super) fn list(program: i32, scoped: bool) -> Vec<Member> {
    let mut found: Vec<(i32, Member)> = all_processes()
        .filter_map(|pid| read_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    if scoped {
        // The threads of a process reach each other, whatever their domains.
        let own = sys::process::id();
        found.retain(|(_, member)| member.pid != own && sys::signal::kill(member.pid, 0).is_ok());
    } else {
        let family = descendants(program, &found);
        found.retain(|(_, member)| family.contains(&member.pid));
    }
    found.into_iter().map(|(_, member)| member).collect()
}

fn all_processes() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The parent and what proc(5) says of a process; None for one that has ended.
fn read_stat(pid: i32, stat: &str) -> Option<(i32, Member)> {
    // The name is in parentheses and may contain any character, parentheses too.
    let (before, rest) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Numbered from 3 in proc(5): state, parent, ...
    let field = |number: usize| fields.get(number - 3).copied();
    if matches!(field(3)?, "Z" | "X") {
        return None;
    }
    let number = |index| field(index)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)?;
    Some((
        field(4)?.parse().ok()?,
        Member {
            pid,
            name: name.to_owned(),
            resident: number(24)? * sys::limits::page_size(),
            cpu_us: ticks * (1_000_000 / sys::limits::ticks_per_second().max(1)),
        },
    ))
}

fn descendants(program: i32, all: &[(i32, Member)]) -> BTreeSet<i32> {
    let mut family = BTreeSet::from([program]);
    loop {
        let before = family.len();
        let children = all
            .iter()
            .filter(|(parent, _)| family.contains(parent))
            .map(|(_, member)| member.pid)
            .collect::<Vec<_>>();
        family.extend(children);
        if family.len() == before {
            return family;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let line = |name: &str, state: &str| {
            format!("42 ({name}) {state} 7 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 1000 9999 25 18446744073709551615")
        };
        let (parent, member) = read_stat(42, &line("a) R 1 (b", "S")).unwrap();
        assert_eq!((parent, member.pid, member.name.as_str()), (7, 42, "a) R 1 (b"));
        assert_eq!(member.resident, 25 * sys::limits::page_size());
        assert_eq!(member.cpu_us, 200 * (1_000_000 / sys::limits::ticks_per_second()));
        assert!(read_stat(42, &line("gone", "Z")).is_none());
        assert!(read_stat(42, "rubbish").is_none());
    }

    #[test]
    fn family_is_the_program_and_those_it_has_begotten() {
        let member = |pid| Member {
            pid,
            name: String::new(),
            resident: 0,
            cpu_us: 0,
        };
        let all = [(1, member(10)), (10, member(20)), (20, member(30)), (1, member(40))];
        assert_eq!(descendants(10, &all), BTreeSet::from([10, 20, 30]));
    }
}
