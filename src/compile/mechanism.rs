//! Which mechanism enforces which feature on this kernel, and what is missing.

use crate::error::{Error, ErrorKind, Stage};
use crate::feature::{Feature, State, Strictness};
use crate::policy::{Flag, Limit, Policy};
use crate::probe::Capabilities;
use crate::report::Row;

/// The features that will be enforced, with a row for every feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    rows: Vec<Row>,
}

/// Why a feature cannot be had, or not whole.
struct Lack {
    why: String,
    errno: i32,
    /// A lesser mechanism that is used instead, under BEST_EFFORT.
    instead: Option<&'static str>,
}

impl Decisions {
    /// Decides for every feature; what the policy requires and the kernel lacks is added to `problems`. `supervised`: calls
    /// are put before a listener.
    pub fn new(policy: &Policy, supervised: bool, kernel: &Capabilities, problems: &mut Vec<Error>) -> Self {
        let rows = Feature::ALL
            .iter()
            .map(|&feature| {
                let asked = policy.asks_for(feature) || (feature == Feature::Supervisor && supervised);
                decide(feature, asked, policy, kernel, problems)
            })
            .collect();
        Self { rows }
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

fn decide(feature: Feature, asked: bool, policy: &Policy, kernel: &Capabilities, problems: &mut Vec<Error>) -> Row {
    let requested = policy.strictness(feature);
    let mut row = Row {
        feature,
        requested,
        state: State::Enforced,
        mechanism: mechanism(feature, kernel),
        detail: detail(feature, policy, kernel),
        errno: 0,
    };
    if !asked {
        row.state = State::NotRequested;
    } else if requested == Strictness::Disable || rests_on_disabled(feature, policy) {
        row.state = State::Waived;
    } else if let Some(lack) = lack(feature, policy, kernel) {
        if requested == Strictness::Require {
            problems.push(Error::system(
                ErrorKind::Unsupported,
                stage(feature),
                if stage(feature).name() == feature.name() {
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
    let whole = match feature {
        Feature::FilesRefer | Feature::FilesTruncate | Feature::FilesIoctlDev => Feature::Files,
        Feature::FilesMetadata => Feature::Syscalls,
        _ => return false,
    };
    policy.strictness(whole) == Strictness::Disable
}

/// The Landlock ABI that brought a feature.
fn needed_abi(feature: Feature) -> Option<u32> {
    match feature {
        Feature::Files => Some(1),
        Feature::FilesRefer => Some(2),
        Feature::FilesTruncate => Some(3),
        Feature::Network => Some(4),
        Feature::FilesIoctlDev => Some(5),
        Feature::SignalScope | Feature::AbstractUnixScope | Feature::KillAll => Some(6),
        _ => None,
    }
}

fn lack(feature: Feature, policy: &Policy, kernel: &Capabilities) -> Option<Lack> {
    if let Some(needed) = needed_abi(feature) {
        return landlock_lack(feature, needed, kernel);
    }
    match feature {
        Feature::Syscalls | Feature::FilesMetadata if !kernel.seccomp_filter => Some(unavailable(
            "this kernel has no seccomp filters".to_owned(),
            libc::ENOSYS,
        )),
        Feature::Supervisor if !kernel.seccomp_notify => Some(unavailable(
            "this kernel has no seccomp user notification".to_owned(),
            libc::ENOSYS,
        )),
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
        _ => None,
    }
}

fn unavailable(why: String, errno: i32) -> Lack {
    Lack {
        why,
        errno,
        instead: None,
    }
}

fn landlock_lack(feature: Feature, needed: u32, kernel: &Capabilities) -> Option<Lack> {
    if kernel.landlock_abi >= needed {
        return None;
    }
    let instead = (feature == Feature::KillAll).then_some("process group");
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

/// True if the child will be exempt from RLIMIT_NPROC.
fn unbound_processes(policy: &Policy, kernel: &Capabilities) -> bool {
    let keeps_capabilities = policy.strictness(Feature::Capabilities) == Strictness::Disable;
    kernel.unlimited_processes || (kernel.privileged && keeps_capabilities)
}

fn mechanism(feature: Feature, kernel: &Capabilities) -> String {
    match feature {
        Feature::Files | Feature::FilesRefer | Feature::FilesTruncate | Feature::FilesIoctlDev => "landlock",
        Feature::FilesMetadata => "seccomp",
        Feature::Network => "landlock, seccomp for listen(2) and other protocols",
        Feature::SignalScope | Feature::AbstractUnixScope => "landlock scope",
        Feature::Syscalls => "seccomp",
        Feature::NoNewPrivs => "no_new_privs",
        Feature::Capabilities if kernel.privileged => "capset, bounding set",
        Feature::Capabilities => "none to give up",
        Feature::Descriptors => "close_range",
        Feature::Session => "setsid",
        Feature::ParentDeath => "PR_SET_PDEATHSIG",
        Feature::KillAll => "landlock scope, kill(-1)",
        Feature::Limits => "rlimit",
        Feature::NoCoredump => "RLIMIT_CORE",
        Feature::NoAslr => "personality",
        Feature::NoHugePages => "PR_SET_THP_DISABLE",
        Feature::Supervisor => "seccomp user notification",
    }
    .to_owned()
}

fn detail(feature: Feature, policy: &Policy, kernel: &Capabilities) -> String {
    match feature {
        Feature::FilesMetadata if policy.writes_everywhere() => "all of / is writable: nothing to guard".to_owned(),
        Feature::Network if policy.strictness(Feature::Syscalls) == Strictness::Disable => {
            format!(
                "ABI {}; TCP connect and bind only, the feature syscalls is disabled",
                kernel.landlock_abi
            )
        }
        Feature::Syscalls => format!("{} mode", policy.syscalls.mode.name()),
        Feature::Supervisor if kernel.notify_wait_killable => "received calls are not interrupted".to_owned(),
        Feature::Limits => {
            let limits: Vec<_> = policy
                .limits
                .iter()
                .map(|(limit, value)| format!("{}={value}", limit.name()))
                .collect();
            limits.join(" ")
        }
        Feature::NoCoredump if policy.process.has(Flag::NoCoredump) => {
            "1 byte, which core handlers honour too".to_owned()
        }
        _ if needed_abi(feature).is_some() => format!("ABI {}", kernel.landlock_abi),
        _ => String::new(),
    }
}

fn stage(feature: Feature) -> Stage {
    match feature {
        Feature::Syscalls | Feature::FilesMetadata | Feature::Supervisor => Stage::Seccomp,
        Feature::Descriptors => Stage::Descriptors,
        Feature::Limits => Stage::Limits,
        _ => Stage::Landlock,
    }
}

#[cfg(test)]
#[path = "mechanism_tests.rs"]
mod tests;
