//! What it takes to keep the limits of a sandbox as a whole: to see who is in it and what they do, or a control group.

use crate::feature::{Feature, Strictness};
use crate::policy::{Limit, Policy};
use crate::probe::Capabilities;

use super::group::{self, GroupLimits};
use super::mechanism::{Lack, landlock_lack, needed_abi, unavailable};
use super::{Request, Serving, namespaces};

/// True if the policy limits time, of whatever kind.
pub(super) fn watches_time(policy: &Policy) -> bool {
    looks_at_time(policy, GroupLimits::default())
}

/// The names of those that it limits.
pub(super) fn timed_limits(policy: &Policy) -> String {
    let timed = |limit: &&Limit| limit.is_timed() && policy.limit(**limit).is_some();
    let names: Vec<&str> = policy.limits.keys().filter(timed).map(|limit| limit.name()).collect();
    names.join(", ")
}

/// True if it limits what the warden keeps by its own clock, because `group` does not hold it.
pub(super) fn looks_at_time(policy: &Policy, group: GroupLimits) -> bool {
    policy
        .limits
        .keys()
        .any(|&limit| limit.is_timed() && policy.limit(limit).is_some() && !group.hold(limit))
}

/// Why the control group that the policy names does not hold these limits, of those that it sets. A group that the library would have
/// found by itself is not missed.
pub(super) fn group_lack(limits: &[Limit], policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    let set = limits.iter().filter(|&&limit| policy.limit(limit).is_some());
    let (why, errno) = set
        .filter_map(|&limit| group::why_not(limit, policy, request, kernel))
        .next()
        .filter(|_| policy.cgroup.is_some())?;
    let path = policy.cgroup.as_deref().unwrap_or_default().to_bytes().escape_ascii();
    Some(unavailable(format!("control group \"{path}\": {why}"), errno))
}

/// What the warden lacks to see what the sandbox uses as a whole.
pub(super) fn watch_lack(policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    if request.serving == Serving::NoNewProcess {
        return Some(unavailable("it takes a new process".to_owned(), libc::EOPNOTSUPP));
    }
    if let Some(why) = kernel.proc_blindness {
        return Some(unavailable(why.to_owned(), libc::EACCES));
    }
    let why = match needed_abi(Feature::KillAll).and_then(|needed| landlock_lack(Feature::KillAll, needed, kernel)) {
        _ if namespaces::has_pid(policy, request, kernel) => return None,
        Some(lack) => lack.why,
        None if policy.strictness(Feature::KillAll) == Strictness::Disable => {
            "who is in the sandbox is told by the feature kill-all, which the policy disables".to_owned()
        }
        None => return None,
    };
    Some(Lack {
        why,
        errno: libc::EOPNOTSUPP,
        instead: Some("rlimit, walk of descendants"),
    })
}

/// What the warden lacks to see what the sandbox writes. The size of each file is limited in any case.
pub(super) fn disk_lack(policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    let lack = |why: &str, errno, instead| Lack {
        why: why.to_owned(),
        errno,
        instead: Some(instead),
    };
    if request.serving == Serving::NoNewProcess {
        return Some(lack("it takes a new process", libc::EOPNOTSUPP, "RLIMIT_FSIZE alone"));
    }
    let everywhere = policy.strictness(Feature::Files) == Strictness::Disable
        || needed_abi(Feature::Files).is_some_and(|needed| kernel.landlock_abi < needed);
    if everywhere && !policy.writes_everywhere() {
        return Some(lack(
            "where the program writes is told by the feature files, without which it may write anywhere",
            libc::EOPNOTSUPP,
            "RLIMIT_FSIZE, readings of the trees of path rules",
        ));
    }
    let watch = watch_lack(policy, request, kernel)?;
    Some(Lack {
        instead: Some(match watch.instead {
            Some(_) => "RLIMIT_FSIZE, readings of the trees, walk of descendants",
            None => "RLIMIT_FSIZE, readings of the trees, but not of open files without a name",
        }),
        ..watch
    })
}
