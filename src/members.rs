//! The processes of a sandbox, found by who the warden's signals reach.

pub(crate) mod disk;
mod interruption;
pub(crate) mod memory;
mod namespace;
mod open;
mod sockets;

use std::collections::BTreeSet;
use std::fs;

pub(crate) use interruption::{Interruption, interruption};
pub(crate) use sockets::{open_sockets, socket_inode};

use crate::process::Member;
use crate::sys;
use crate::sys::process::{Child, Ending, Resources};

/// A process as proc(5) describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) member: Member,
    pub(crate) parent: i32,
    pub(crate) threads: u64,
    /// Processor time in user mode of the process, or of a thread's in its own directory: ticks.
    pub(crate) user_ticks: u64,
    /// Processor time of those that it has waited for, microseconds.
    pub(crate) children_us: u64,
    /// A letter: R running, S and D waiting, T stopped, Z ended and not waited for.
    pub(crate) state: char,
}

impl Found {
    /// True if it was stopped, by a signal or by a debugger.
    pub(crate) fn has_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// True unless it runs. A process whose main thread has ended shows its state, and lives on with the others.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X') && self.threads <= 1
    }
}

/// Who is in a sandbox, and whom its signals are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Whoever signals of the calling thread reach, which is in a domain that scopes them.
    Domain,
    /// Whoever is in this PID namespace or one beneath, but for its init.
    Namespace {
        /// The inode that stands for it; 0: nobody could tell.
        inode: u64,
        init: i32,
    },
    /// This program and its descendants, as far as their parents live.
    Family(i32),
}

impl Reach {
    /// The PID namespace of `init`, a child; nobody's if somebody else has waited for that meanwhile.
    pub(crate) fn of_namespace(init: Child) -> Self {
        let inode = namespace::number_of(init.pid);
        // Asked afterwards: a number that is the init's now was the init's then.
        let is_there = sys::signal::send_to(init, 0).is_ok();
        Self::Namespace {
            inode: inode.filter(|_| is_there).unwrap_or_default(),
            init: init.pid,
        }
    }

    /// True if it leaves nobody out.
    pub(crate) fn is_whole(self) -> bool {
        !matches!(self, Self::Family(_))
    }

    /// Those who are there. With what has ended but waits for a parent in the sandbox: it holds a process id, and the sandbox can
    /// let go of it. What waits for a parent outside is gone as far as the sandbox goes. An error: /proc cannot be read, or not whole;
    /// then nobody may be taken for absent.
    pub(crate) fn found(self) -> sys::Result<Vec<Found>> {
        match self {
            Self::Domain => in_scope(),
            // It could not be told which it is.
            Self::Namespace { inode: 0, .. } => Err(sys::Errno(libc::EIO)),
            Self::Namespace { inode, init } => namespace::found(inode, init),
            Self::Family(program) => family(program),
        }
    }

    /// Those that run.
    pub(crate) fn running(self) -> Vec<Member> {
        let running = self.found().into_iter().flatten().filter(|found| !found.has_ended());
        running.map(|found| found.member).collect()
    }

    /// Sends everybody a signal that stops or continues. Of a family, to the group of `program`, which has not been waited for.
    pub(crate) fn signal(self, signal: i32, program: i32) -> sys::Result<()> {
        match self {
            Self::Domain => sys::signal::kill(-1, signal),
            Self::Namespace { .. } => self.signal_each(signal),
            Self::Family(_) => sys::signal::kill(-program, signal),
        }
    }

    /// Sends `pid`, one of those found, a signal, unless it has ended: not whoever has its number since.
    pub(crate) fn signal_one(self, pid: i32, signal: i32) {
        match self {
            // Nobody else can be reached.
            Self::Domain => {
                let _ = sys::signal::kill(pid, signal);
            }
            Self::Namespace { inode, .. } => {
                let Ok(pidfd) = sys::process::open_pidfd(pid) else {
                    return;
                };
                // The number is not given again while its process is in the namespace.
                if namespace::contains(inode, pid) == Ok(true) {
                    let _ = sys::signal::send_to(Child { pid, pidfd }, signal);
                }
                sys::fd::close(pidfd);
            }
            // Nobody is signalled alone there.
            Self::Family(_) => {}
        }
    }

    /// Sends each a signal, and then those whom these have started before it came, until there are no more.
    fn signal_each(self, signal: i32) -> sys::Result<()> {
        const ROUNDS: usize = 100;
        let mut reached = BTreeSet::new();
        for _ in 0..ROUNDS {
            let before = reached.len();
            for found in self.found()? {
                let pid = found.member.pid;
                if reached.insert(pid) {
                    self.signal_one(pid, signal);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        if reached.is_empty() {
            return Err(sys::Errno(libc::ESRCH));
        }
        Ok(())
    }
}

/// Leaves out what has ended and waits for nobody among those who run.
fn leave_out_lost(found: &mut Vec<Found>) {
    let running: BTreeSet<i32> = found
        .iter()
        .filter(|found| !found.has_ended())
        .map(|found| found.member.pid)
        .collect();
    found.retain(|found| !found.has_ended() || running.contains(&found.parent));
}

/// What the kernel has counted for the process `pid` so far.
pub(crate) fn resources(pid: i32) -> Option<Resources> {
    let found = look(pid).ok()??;
    let ticks = 1_000_000 / sys::limits::ticks_per_second().max(1);
    let user_us = found.user_ticks * ticks;
    let status = read(pid, "status").ok().flatten().unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok());
    Some(Resources {
        user_us,
        system_us: found.member.cpu_us.saturating_sub(user_us),
        peak_rss: kilobytes.unwrap_or_default() * 1024,
    })
}

/// Why /proc cannot tell who is in a sandbox, if it cannot. An errno if the host has no descriptor to look with.
pub(crate) fn blindness() -> Result<Option<&'static str>, i32> {
    let own = sys::process::id().to_string();
    match fs::read_link("/proc/self") {
        Ok(link) if link.as_os_str() == own.as_str() => {}
        Ok(_) => return Ok(Some("/proc shows another PID namespace")),
        Err(_) => return Ok(Some("/proc cannot be read")),
    }
    let mounts = match fs::read("/proc/self/mountinfo") {
        Ok(mounts) => mounts,
        Err(error) => match error.raw_os_error() {
            Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return Err(errno),
            _ => return Ok(Some("/proc cannot be read")),
        },
    };
    let mounts = String::from_utf8_lossy(&mounts);
    // Mount point is the fifth field; the last mount there is the one that shows.
    let proc = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc"));
    let hides = |line: &str| {
        line.rsplit([' ', ','])
            .filter_map(|option| option.strip_prefix("hidepid="))
            .any(|value| !matches!(value, "0" | "off"))
    };
    let hidden = proc.is_some_and(hides);
    Ok(hidden.then_some("/proc is mounted with hidepid, so that it does not show every process"))
}

/// Those whom signals of the calling thread reach.
fn in_scope() -> sys::Result<Vec<Found>> {
    // The threads of a process reach each other, whatever their domains.
    let own = sys::process::id();
    let reached = |&pid: &i32| pid != own && sys::signal::kill(pid, 0).is_ok();
    let mut found = look_at_all(all_processes()?.filter(reached))?;
    leave_out_lost(&mut found);
    Ok(found)
}

/// `program` and its descendants, as far as their parents live.
pub(crate) fn family(program: i32) -> sys::Result<Vec<Found>> {
    let mut found = look_at_all(all_processes()?)?;
    let family = descendants(program, &found);
    found.retain(|found| family.contains(&found.member.pid));
    Ok(found)
}

fn look_at_all(pids: impl Iterator<Item = i32>) -> sys::Result<Vec<Found>> {
    pids.filter_map(|pid| look(pid).transpose()).collect()
}

/// The process or thread `pid`; None if there is none. An error: there may be.
pub(crate) fn look(pid: i32) -> sys::Result<Option<Found>> {
    let Some(stat) = read(pid, "stat")? else {
        return Ok(None);
    };
    read_stat(pid, &stat).map(Some).ok_or(sys::Errno(libc::EIO))
}

/// A file of the process or thread `pid` in /proc; None if there is no such process. A process can give itself any name, in any
/// encoding or none.
fn read(pid: i32, file: &str) -> sys::Result<Option<String>> {
    match fs::read(format!("/proc/{pid}/{file}")) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Ok(None),
            errno => Err(sys::Errno(errno.unwrap_or(libc::EIO))),
        },
    }
}

/// How the process `pid` has ended, if it was not waited for yet.
pub(crate) fn ending(pid: i32) -> Option<Ending> {
    let stat = read(pid, "stat").ok()??;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if fields.first() != Some(&"Z") {
        return None;
    }
    // Numbered from 3 in proc(5), like the state.
    fields.get(52 - 3)?.parse().ok().map(Ending::of_status)
}

/// Processor time in user mode that the thread `thread` has used, ticks.
pub(crate) fn user_ticks(thread: i32) -> Option<u64> {
    let stat = read(thread, &format!("task/{thread}/stat")).ok()??;
    read_stat(thread, &stat).map(|found| found.user_ticks)
}

/// True if a signal that stops waits for the process `pid`, which has stopped already.
pub(crate) fn is_told_to_stop(pid: i32) -> bool {
    let status = read(pid, "status").ok().flatten().unwrap_or_default();
    awaits_one_of(&status, &[libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU])
}

/// True if the process `pid`, which was sent SIGSTOP, goes on because somebody has sent it SIGCONT since. While a system call lasts
/// the signal waits; once one thread has taken it, that one has stopped. In the kernel both are one step, and in this order here nobody
/// is taken for the other. Who dies does neither.
pub(crate) fn was_woken(pid: i32) -> bool {
    let Ok(Some(status)) = read(pid, "status") else {
        return false;
    };
    if awaits_one_of(&status, &[libc::SIGSTOP, libc::SIGKILL]) {
        return false;
    }
    let threads = threads(pid);
    let running = threads.iter().filter(|thread| thread.runs).count();
    running > 0 && !threads.iter().any(|thread| thread.has_stopped)
}

/// True if the process `pid` was made and has run no code of its own since: then it has touched no memory but where the kernel itself
/// tells it its number (CLONE_CHILD_SETTID).
pub(crate) fn has_run_nothing(pid: i32) -> bool {
    let Ok(Some(stat)) = read(pid, "stat") else {
        return false;
    };
    // Minor page faults, numbered 10 in proc(5), where the state after the name is 3.
    let faults = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(10 - 3));
    faults
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|faults| faults <= 1)
}

/// A thread of a process, as the vigil over stopped ones sees it.
struct Thread {
    has_stopped: bool,
    /// It has not stopped, and is not about to die.
    runs: bool,
}

fn threads(pid: i32) -> Vec<Thread> {
    /// In the kernel's flags of a thread: it ends, was ended by a signal, or writes its memory out for that reason.
    const DYING: u64 = 0x4 | 0x200 | 0x400;
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let state = |stat: String| {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered from 3 in proc(5), like the state.
        let flags: u64 = fields.get(9 - 3)?.parse().ok()?;
        let has_stopped = matches!(*fields.first()?, "T" | "t");
        let has_ended = matches!(*fields.first()?, "Z" | "X");
        Some(Thread {
            has_stopped,
            runs: !has_stopped && !has_ended && flags & DYING == 0,
        })
    };
    entries
        .filter_map(|entry| state(String::from_utf8_lossy(&fs::read(entry.path().join("stat")).ok()?).into_owned()))
        .collect()
}

/// True if one of `signals` waits for the process or thread with that `status`. What is blocked does nothing.
fn awaits_one_of(status: &str, signals: &[i32]) -> bool {
    let pending = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key));
        value
            .and_then(|text| u64::from_str_radix(text.trim(), 16).ok())
            .unwrap_or(0)
    };
    let waiting = (pending("ShdPnd:") | pending("SigPnd:")) & !pending("SigBlk:");
    signals.iter().any(|signal| waiting & (1 << (signal - 1)) != 0)
}

/// What the thread `thread` masks of the mode of new files. Linux 4.7.
pub(crate) fn umask(thread: i32) -> Option<u32> {
    let status = read(thread, "status").ok()??;
    let field = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(field.trim(), 8).ok()
}

/// The process that the thread `thread` belongs to.
pub(crate) fn process_of(thread: i32) -> Option<i32> {
    let status = read(thread, "status").ok()??;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()
}

fn all_processes() -> sys::Result<impl Iterator<Item = i32>> {
    let entries = fs::read_dir("/proc").map_err(|error| sys::Errno(error.raw_os_error().unwrap_or(libc::EIO)))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

fn read_stat(pid: i32, stat: &str) -> Option<Found> {
    // The name is in parentheses and may contain any character, parentheses too.
    let (before, rest) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Numbered from 3 in proc(5): state, parent, ...
    let field = |number: usize| fields.get(number - 3).copied();
    let number = |index| field(index)?.parse::<u64>().ok();
    let ticks = number(14)? + number(15)?;
    let microseconds = |ticks: u64| ticks * (1_000_000 / sys::limits::ticks_per_second().max(1));
    Some(Found {
        parent: field(4)?.parse().ok()?,
        threads: number(20)?,
        user_ticks: number(14)?,
        children_us: microseconds(number(16)? + number(17)?),
        state: field(3)?.chars().next()?,
        member: Member {
            pid,
            name: name.to_owned(),
            resident: number(24)? * sys::limits::page_size(),
            cpu_us: microseconds(ticks),
        },
    })
}

fn descendants(program: i32, all: &[Found]) -> BTreeSet<i32> {
    let mut family = BTreeSet::from([program]);
    loop {
        let before = family.len();
        let children = all
            .iter()
            .filter(|found| family.contains(&found.parent))
            .map(|found| found.member.pid)
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
        let found = read_stat(42, &line("a) R 1 (b", "S")).unwrap();
        let member = &found.member;
        assert_eq!(
            (
                found.parent,
                member.pid,
                member.name.as_str(),
                found.threads,
                found.state
            ),
            (7, 42, "a) R 1 (b", 1, 'S')
        );
        assert_eq!(member.resident, 25 * sys::limits::page_size());
        assert_eq!(member.cpu_us, 200 * (1_000_000 / sys::limits::ticks_per_second()));
        assert!(read_stat(42, &line("gone", "Z")).unwrap().has_ended());
        let headless = line("a", "Z").replace(" 0 1 0 1000", " 0 2 0 1000");
        assert!(!read_stat(42, &headless).unwrap().has_ended());
        assert!(read_stat(42, "rubbish").is_none());
    }

    #[test]
    fn nobody_is_absent_from_a_namespace_that_is_not_known() {
        let gone = Reach::of_namespace(Child { pid: -1, pidfd: -1 });
        assert!(gone.found().is_err());
        assert!(gone.signal(libc::SIGSTOP, -1).is_err());
    }

    #[test]
    fn family_is_the_program_and_those_it_has_begotten() {
        let all = [(1, 10), (10, 20), (20, 30), (1, 40)].map(|(parent, pid)| Found {
            parent,
            threads: 1,
            user_ticks: 0,
            children_us: 0,
            state: 'S',
            member: Member {
                pid,
                name: String::new(),
                resident: 0,
                cpu_us: 0,
            },
        });
        assert_eq!(descendants(10, &all), BTreeSet::from([10, 20, 30]));
    }
}
