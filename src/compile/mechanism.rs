//! Which mechanism enforces which feature on this kernel, and what is missing.

use std::fmt::Write;

use crate::error::{Error, ErrorKind, Stage};
use crate::feature::{Feature, State, Strictness};
use crate::policy::syscalls::SyscallRules;
use crate::policy::{Flag, Limit, Policy};
use crate::probe::Capabilities;
use crate::report::Row;

use super::defaults::Gaps;
use super::group::GroupLimits;
use super::lifted::lifted;
use super::namespaces::{self, stand_in};
use super::network;
use super::watching::{disk_lack, group_lack, looks_at_time, timed_limits, watch_lack, watches_time};
use super::{Request, Serving};

/// The features that will be enforced, with a row for every feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    rows: Vec<Row>,
}

/// Why a feature cannot be had, or not whole.
pub(super) struct Lack {
    pub(super) why: String,
    pub(super) errno: i32,
    /// A lesser mechanism that is used instead, under BEST_EFFORT.
    pub(super) instead: Option<&'static str>,
}

impl Decisions {
    /// Decides for every feature; what is required and the kernel lacks is added to `problems`.
    pub fn new(policy: &Policy, request: &Request, kernel: &Capabilities, problems: &mut Vec<Error>) -> Self {
        let rows = Feature::ALL
            .iter()
            .map(|&feature| decide(feature, policy, request, kernel, problems))
            .collect();
        Self { rows }
    }

    /// What the policy's own rules take back is not enforced, however strictly it is asked for.
    pub fn note_lifted(&mut self, rules: &SyscallRules, gaps: Gaps) {
        for row in self.rows.iter_mut().filter(|row| row.state == State::Enforced) {
            let lifted = lifted(row.feature, rules, gaps);
            if !lifted.is_empty() {
                row.state = State::Degraded;
                let separator = if row.detail.is_empty() { "" } else { "; " };
                // Writing to a String cannot fail.
                let _ = write!(
                    row.detail,
                    "{separator}not what the policy allows by name: {}",
                    lifted.join(", ")
                );
            }
        }
    }

    /// True if `feature` will be enforced, in whole or in part.
    pub fn uses(&self, feature: Feature) -> bool {
        self.rows
            .iter()
            .any(|row| row.feature == feature && matches!(row.state, State::Enforced | State::Degraded))
    }

    /// True if `feature` will be enforced in whole.
    pub fn enforces(&self, feature: Feature) -> bool {
        self.rows
            .iter()
            .any(|row| row.feature == feature && row.state == State::Enforced)
    }

    /// The rows, as far as they are known before the program runs.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

fn decide(
    feature: Feature,
    policy: &Policy,
    request: &Request,
    kernel: &Capabilities,
    problems: &mut Vec<Error>,
) -> Row {
    let requested = policy.strictness(feature);
    let asked = policy.asks_for(feature)
        || (feature == Feature::Supervisor && (request.traced || !request.selectors.is_empty()));
    let mut row = Row {
        feature,
        requested,
        state: State::Enforced,
        mechanism: mechanism(feature, policy, request, kernel),
        detail: detail(feature, policy, request, kernel),
        errno: 0,
    };
    if !asked {
        row.state = State::NotRequested;
    } else if requested == Strictness::Disable || rests_on_disabled(feature, policy) {
        row.state = State::Waived;
    } else if let Some(lack) = lack(feature, policy, request, kernel) {
        // A default that the circumstances take away is not worth failing for; the report says so.
        let by_default = feature == Feature::Processes
            && !policy.limits_processes_expressly()
            && (request.serving != Serving::Possible || kernel.proc_blindness.is_some());
        if requested == Strictness::Require && !by_default {
            let stage = match feature {
                Feature::Network => network::stage(policy, kernel),
                _ => stage(feature),
            };
            problems.push(Error::system(
                ErrorKind::Unsupported,
                stage,
                if stage.name() == feature.name() {
                    lack.why.clone()
                } else {
                    format!("{}: {}", feature.name(), lack.why)
                },
                lack.errno,
            ));
        }
        row.errno = lack.errno;
        row.detail = lack.why;
        row.mechanism = lack.instead.unwrap_or_default().to_owned();
        row.state = if lack.instead.is_some() {
            State::Degraded
        } else {
            State::Unavailable
        };
        return row;
    }
    if row.state != State::Enforced {
        row.mechanism.clear();
        row.detail.clear();
    }
    row
}

/// True if what `feature` is a part of is disabled: that disables it too.
fn rests_on_disabled(feature: Feature, policy: &Policy) -> bool {
    let by_default = !policy.limits_processes_expressly();
    let whole = match feature {
        Feature::FilesRefer | Feature::FilesTruncate | Feature::FilesIoctlDev => Feature::Files,
        Feature::FilesMetadata => Feature::Syscalls,
        Feature::Processes if by_default && policy.process.has(Flag::NoSupervisor) => return true,
        Feature::Processes if by_default => Feature::KillAll,
        Feature::NsMount if rests_on_disabled(Feature::NsPid, policy) => return true,
        Feature::NsMount => Feature::NsPid,
        Feature::NsIpc | Feature::NsUts | Feature::NsNet | Feature::NsPid => Feature::NsUser,
        _ => return false,
    };
    policy.strictness(whole) == Strictness::Disable
}

/// The Landlock ABI that brought a feature.
pub(super) fn needed_abi(feature: Feature) -> Option<u32> {
    match feature {
        Feature::Files => Some(1),
        Feature::FilesRefer => Some(2),
        Feature::FilesTruncate => Some(3),
        Feature::Network => Some(4),
        Feature::FilesIoctlDev => Some(5),
        Feature::SignalScope | Feature::AbstractUnixScope | Feature::KillAll | Feature::Processes => Some(6),
        _ => None,
    }
}

/// True if the library can serve calls itself.
pub fn is_served(policy: &Policy, request: &Request) -> bool {
    request.serving == Serving::Possible && !policy.process.has(Flag::NoSupervisor)
}

/// True if metadata of files can be changed where the policy grants writing, because the library does it. It does so without
/// privileges, which would be wrong for a program that has some.
pub fn guards_metadata(policy: &Policy, request: &Request, kernel: &Capabilities) -> bool {
    let without_privileges = !kernel.privileged || policy.strictness(Feature::Capabilities) == Strictness::Require;
    // Outside a domain the kernel would show the library what it does not show the program.
    let in_domain = policy.strictness(Feature::KillAll) != Strictness::Disable
        && needed_abi(Feature::KillAll).is_some_and(|needed| kernel.landlock_abi >= needed);
    let knows_members = in_domain || namespaces::has_pid(policy, request, kernel);
    is_served(policy, request)
        && policy.writes_somewhere()
        && kernel.seccomp_notify
        && without_privileges
        && knows_members
}

fn lack(feature: Feature, policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    let lack = match feature {
        Feature::Network if !network::needs_landlock(policy) => None,
        _ => needed_abi(feature).and_then(|needed| landlock_lack(feature, needed, kernel)),
    };
    if lack.is_some() && stand_in(feature, policy, request, kernel).is_none() {
        return lack;
    }
    match feature {
        Feature::Network => network::lack(policy, request, kernel),
        Feature::Syscalls | Feature::FilesMetadata if !kernel.seccomp_filter => Some(unavailable(
            "this kernel has no seccomp filters".to_owned(),
            libc::ENOSYS,
        )),
        Feature::Supervisor | Feature::Processes if !kernel.seccomp_notify => Some(unavailable(
            "this kernel has no seccomp user notification".to_owned(),
            libc::ENOSYS,
        )),
        Feature::Supervisor if policy.process.has(Flag::NoSupervisor) => Some(unavailable(
            "the policy says NO_SUPERVISOR".to_owned(),
            libc::EOPNOTSUPP,
        )),
        Feature::Processes => processes_lack(policy, request, kernel),
        Feature::NsUser | Feature::NsIpc | Feature::NsUts | Feature::NsNet | Feature::NsPid | Feature::NsMount => {
            namespaces::lack(feature, policy, request, kernel)
        }
        Feature::Memory => match group_lack(&[Limit::Memory], policy, request, kernel) {
            None if GroupLimits::new(policy, request, kernel).hold(Limit::Memory) => None,
            None => watch_lack(policy, request, kernel),
            lack => lack,
        },
        Feature::Disk => disk_lack(policy, request, kernel),
        Feature::Descriptors if !kernel.close_range => {
            Some(unavailable("close_range(2) needs Linux 5.11".to_owned(), libc::ENOSYS))
        }
        Feature::Limits if policy.limits.contains_key(&Limit::Nproc) && unbound_processes(policy, kernel) => {
            Some(Lack {
                why: "RLIMIT_NPROC does not bind user 0 or a process with CAP_SYS_RESOURCE".to_owned(),
                errno: libc::EPERM,
                instead: Some("rlimit, but for NPROC"),
            })
        }
        Feature::Limits if watches_time(policy) => {
            if let Some(lack) = group_lack(&[Limit::CpuShare], policy, request, kernel) {
                return Some(Lack {
                    instead: Some("rlimit, the library's own clock, but for CPU_SHARE"),
                    ..lack
                });
            }
            if !looks_at_time(policy, GroupLimits::new(policy, request, kernel)) {
                return None;
            }
            let lack = watch_lack(policy, request, kernel)?;
            Some(Lack {
                why: format!("{}: {}", timed_limits(policy), lack.why),
                instead: match lack.instead {
                    Some(_)
                        if policy.limit(Limit::CpuShare).is_some()
                            && !GroupLimits::new(policy, request, kernel).hold(Limit::CpuShare) =>
                    {
                        Some("rlimit, walk of descendants, but for CPU_SHARE")
                    }
                    Some(instead) => Some(instead),
                    None => Some("rlimit, but for what the sandbox has as a whole"),
                },
                ..lack
            })
        }
        _ => None,
    }
}

/// What a limit of processes lacks: somebody who serves, and a domain by which the warden tells whom to count.
fn processes_lack(policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    let (why, errno) = match serving_lack(policy, request) {
        Some(lack) => lack,
        None if policy.strictness(Feature::KillAll) == Strictness::Disable
            && !namespaces::has_pid(policy, request, kernel) =>
        {
            (
                "processes are counted by the feature kill-all, which the policy disables",
                libc::EOPNOTSUPP,
            )
        }
        None => (kernel.proc_blindness?, libc::EACCES),
    };
    Some(unavailable(why.to_owned(), errno))
}

/// Why the library cannot serve calls itself, and an errno, if [it cannot](is_served).
pub(super) fn serving_lack(policy: &Policy, request: &Request) -> Option<(&'static str, i32)> {
    match request.serving {
        _ if policy.process.has(Flag::NoSupervisor) => Some(("the policy says NO_SUPERVISOR", libc::EOPNOTSUPP)),
        Serving::HostIsSupervised => Some((
            "the host itself is supervised, and a process can have one listener only",
            libc::EBUSY,
        )),
        Serving::PlainFork => Some(("SANDLOCK_SPAWN=fork", libc::EOPNOTSUPP)),
        Serving::NoNewProcess => Some(("it takes a new process", libc::EOPNOTSUPP)),
        Serving::Possible => None,
    }
}

/// True if there will be a new process, and not made by a tool that may not know namespaces.
pub fn makes_namespaces(request: &Request) -> bool {
    matches!(request.serving, Serving::Possible | Serving::HostIsSupervised)
}

pub(super) fn unavailable(why: String, errno: i32) -> Lack {
    Lack {
        why,
        errno,
        instead: None,
    }
}

pub(super) fn landlock_lack(feature: Feature, needed: u32, kernel: &Capabilities) -> Option<Lack> {
    if kernel.landlock_abi >= needed {
        return None;
    }
    let instead = (feature == Feature::KillAll).then_some("process group, walk of descendants");
    let (why, errno) = match (kernel.landlock_abi, kernel.landlock_errno) {
        (0, libc::EOPNOTSUPP) => (
            "Landlock is built into this kernel but not enabled at boot".to_owned(),
            libc::EOPNOTSUPP,
        ),
        (0, libc::ENOSYS) => ("this kernel has no Landlock".to_owned(), libc::ENOSYS),
        (0, errno) => ("Landlock cannot be used".to_owned(), errno),
        (abi, _) => (
            format!("needs Landlock ABI {needed}, this kernel has {abi}"),
            libc::EOPNOTSUPP,
        ),
    };
    Some(Lack { why, errno, instead })
}

/// True if the program starts in a user namespace, where it has every capability at first.
fn has_user_namespace(policy: &Policy, request: &Request, kernel: &Capabilities) -> bool {
    policy.namespace_flags() != 0 && namespaces::lack(Feature::NsUser, policy, request, kernel).is_none()
}

/// True if the child will be exempt from RLIMIT_NPROC.
fn unbound_processes(policy: &Policy, kernel: &Capabilities) -> bool {
    let keeps_capabilities = policy.strictness(Feature::Capabilities) == Strictness::Disable;
    kernel.unlimited_processes || (kernel.privileged && keeps_capabilities)
}

fn mechanism(feature: Feature, policy: &Policy, request: &Request, kernel: &Capabilities) -> String {
    if let Some(namespace) = stand_in(feature, policy, request, kernel) {
        return namespace.to_owned();
    }
    match feature {
        Feature::Files | Feature::FilesRefer | Feature::FilesTruncate | Feature::FilesIoctlDev => "landlock",
        Feature::FilesMetadata if guards_metadata(policy, request, kernel) => "seccomp user notification",
        Feature::FilesMetadata => "seccomp",
        Feature::Network => return network::mechanism(policy, request, kernel),
        Feature::SignalScope | Feature::AbstractUnixScope => "landlock scope",
        Feature::Syscalls => "seccomp",
        Feature::NoNewPrivs => "no_new_privs",
        Feature::Capabilities if kernel.privileged || has_user_namespace(policy, request, kernel) => {
            "capset, bounding set"
        }
        Feature::Capabilities => "none to give up",
        Feature::Descriptors => "close_range",
        Feature::Session => "setsid",
        Feature::ParentDeath => "PR_SET_PDEATHSIG",
        Feature::KillAll => "landlock scope, kill(-1)",
        Feature::Limits => {
            let group = GroupLimits::new(policy, request, kernel);
            match (looks_at_time(policy, group), group.hold(Limit::CpuShare)) {
                (true, true) => "rlimit, the library's own clock, cgroup v2: cpu.max",
                (true, false) => "rlimit, the library's own clock",
                (false, true) => "rlimit, cgroup v2: cpu.max",
                (false, false) => "rlimit",
            }
        }
        Feature::Memory => match GroupLimits::new(policy, request, kernel) {
            GroupLimits { memory: None, .. } => "RLIMIT_DATA, readings of /proc",
            GroupLimits { kills_one: true, .. } => "cgroup v2: memory.max",
            _ => "cgroup v2: memory.max, memory.oom.group",
        },
        Feature::Disk => "RLIMIT_FSIZE, readings of the trees",
        Feature::NoCoredump => "RLIMIT_CORE",
        Feature::NoAslr => "personality",
        Feature::NoHugePages => "PR_SET_THP_DISABLE",
        Feature::Supervisor => "seccomp user notification",
        Feature::Processes => "seccomp user notification, landlock scope",
        Feature::NsUser => "user namespace",
        Feature::NsIpc => "IPC namespace",
        Feature::NsUts => "UTS namespace",
        Feature::NsNet => "network namespace",
        Feature::NsPid => "PID namespace, its init",
        Feature::NsMount => "mount namespace",
    }
    .to_owned()
}

fn detail(feature: Feature, policy: &Policy, request: &Request, kernel: &Capabilities) -> String {
    match feature {
        Feature::FilesMetadata if policy.writes_everywhere() => "all of / is writable: nothing to guard".to_owned(),
        Feature::FilesMetadata if guards_metadata(policy, request, kernel) => {
            "beneath path rules that grant WRITE".to_owned()
        }
        Feature::FilesMetadata => "refused altogether".to_owned(),
        Feature::Network if policy.strictness(Feature::Syscalls) == Strictness::Disable => {
            let abi = kernel.landlock_abi;
            let kept = if abi >= network::UNIX_PATHS_ABI {
                "TCP connect and bind, and Unix sockets by path,"
            } else {
                "TCP connect and bind"
            };
            format!("ABI {abi}; {kept} only, the feature syscalls is disabled")
        }
        Feature::Network => network::detail(policy, request, kernel),
        Feature::Syscalls => format!("{} mode", policy.syscalls.mode.name()),
        Feature::Supervisor => {
            let found = [
                (kernel.notify_wait_killable, "wait-killable"),
                (kernel.notify_sync_wake_up, "sync-wake-up"),
                (kernel.notify_add_fd, "addfd"),
                (kernel.notify_add_fd_send, "addfd-send"),
            ];
            let said = found.map(|(known, name)| if known { name.to_owned() } else { format!("no {name}") });
            said.join(", ")
        }
        Feature::Limits => {
            let limits: Vec<_> = policy
                .limits
                .iter()
                .filter(|(limit, _)| limit.resource().is_some() || limit.is_timed())
                .map(|(limit, value)| format!("{}={value}", limit.name()))
                .collect();
            limits.join(" ")
        }
        Feature::Processes => {
            let limits = [
                (Limit::Processes, policy.process_limit()),
                (Limit::Threads, policy.thread_limit()),
            ];
            let said = limits.map(|(limit, value)| value.map(|value| format!("{}={value}", limit.name())));
            said.into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        Feature::NsUser => match policy.process.user {
            Some((user, group)) => format!("user {user}, group {group}"),
            None => "the host's user and group".to_owned(),
        },
        Feature::NsUts => "host name \"sandbox\"".to_owned(),
        Feature::NsNet => "loopback only".to_owned(),
        Feature::NsMount => namespaces::mounts(policy),
        Feature::Memory => {
            let kills = if policy.process.has(Flag::MemoryKillsLargest) {
                "the largest process"
            } else {
                "the sandbox"
            };
            let value = policy.limit(Limit::Memory).unwrap_or_default();
            format!("MEMORY={value}, beyond it {kills} is killed")
        }
        Feature::Disk => {
            let value = policy.limit(Limit::Disk).unwrap_or_default();
            format!("DISK={value}, beyond it the sandbox is killed")
        }
        Feature::NoCoredump if policy.process.has(Flag::NoCoredump) => {
            "1 byte, which core handlers honour too".to_owned()
        }
        _ if stand_in(feature, policy, request, kernel).is_some() => String::new(),
        _ if needed_abi(feature).is_some() => format!("ABI {}", kernel.landlock_abi),
        _ => String::new(),
    }
}

fn stage(feature: Feature) -> Stage {
    match feature {
        Feature::Syscalls | Feature::FilesMetadata | Feature::Supervisor => Stage::Seccomp,
        Feature::Processes | Feature::Memory | Feature::Disk => Stage::Limits,
        Feature::Descriptors => Stage::Descriptors,
        Feature::Limits => Stage::Limits,
        Feature::NsUser | Feature::NsIpc | Feature::NsUts | Feature::NsNet | Feature::NsPid | Feature::NsMount => {
            Stage::Namespaces
        }
        _ => Stage::Landlock,
    }
}

#[cfg(test)]
#[path = "mechanism_tests.rs"]
mod tests;
