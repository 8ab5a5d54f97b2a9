//! Which namespaces can be had, and what is said of them.

use crate::error::Error;
use crate::feature::{Feature, Strictness};
use crate::policy::{Flag, Policy, Root};
use crate::probe::{Capabilities, Refusal, namespace_hint};

use super::mechanism::{Lack, unavailable};
use super::{Request, Serving};

/// Why a namespace cannot be had.
pub(super) fn lack(feature: Feature, policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    match request.serving {
        Serving::NoNewProcess => return Some(unavailable("it takes a new process".to_owned(), libc::EOPNOTSUPP)),
        Serving::PlainFork => return Some(unavailable("SANDLOCK_SPAWN=fork".to_owned(), libc::EOPNOTSUPP)),
        Serving::Possible | Serving::HostIsSupervised => {}
    }
    let refused = kernel.refused_namespaces;
    let rests = |what: &str, errno| Some(unavailable(format!("it takes {what}"), errno));
    let (name, own) = match feature {
        Feature::NsIpc => ("an IPC namespace", refused.ipc),
        Feature::NsUts => ("a UTS namespace", refused.uts),
        Feature::NsNet => ("a network namespace", refused.net),
        Feature::NsPid => ("a PID namespace", refused.pid),
        Feature::NsMount => ("a mount namespace", refused.mount),
        _ => ("a user namespace", refused.user),
    };
    if let Some(Refusal::Clone(errno) | Refusal::Map(errno)) = refused.user.filter(|_| feature != Feature::NsUser) {
        return rests("a user namespace", errno);
    }
    if feature == Feature::NsPid && !kernel.close_range {
        let why = "close_range(2) needs Linux 5.11".to_owned();
        return Some(unavailable(why, libc::ENOSYS));
    }
    if feature == Feature::NsPid && copies_memory(policy) {
        // The init would have to be a copy too.
        let why = "NO_HUGE_PAGES takes a copy of the host's memory";
        return Some(unavailable(why.to_owned(), libc::EOPNOTSUPP));
    }
    if feature == Feature::NsMount {
        // Its /proc shows the processes of a PID namespace.
        if let Some(lack) = self::lack(Feature::NsPid, policy, request, kernel) {
            return rests("a PID namespace", lack.errno);
        }
    }
    let (what, errno) = match own? {
        Refusal::Clone(errno) => ("cannot be made", errno),
        Refusal::Map(errno) => ("can be made, but its user cannot be mapped", errno),
        Refusal::Image(errno) => ("can be made, but not the program that is to be its init", errno),
        Refusal::Proc(errno) => ("can be made, but no /proc be mounted in it", errno),
    };
    Some(unavailable(format!("{name} {what}{}", namespace_hint(own?)), errno))
}

/// True if the sandbox has a PID namespace of its own: by that it is told who is in it, and it ends with it.
pub(super) fn has_pid(policy: &Policy, request: &Request, kernel: &Capabilities) -> bool {
    has(Feature::NsPid, libc::CLONE_NEWPID, policy, request, kernel)
}

fn has(feature: Feature, flag: i32, policy: &Policy, request: &Request, kernel: &Capabilities) -> bool {
    policy.namespace_flags() & flag != 0 && lack(feature, policy, request, kernel).is_none()
}

/// The namespace that does what Landlock does otherwise, for `feature`.
pub(super) fn stand_in(
    feature: Feature,
    policy: &Policy,
    request: &Request,
    kernel: &Capabilities,
) -> Option<&'static str> {
    let without_scopes = kernel.landlock_abi < 6;
    match feature {
        // The warden is in no domain then.
        Feature::KillAll if has_pid(policy, request, kernel) => Some("PID namespace"),
        Feature::Processes if has_pid(policy, request, kernel) => Some("seccomp user notification, PID namespace"),
        // Without a session it may be in the host's process group, which can be signalled as a whole.
        Feature::SignalScope if without_scopes && policy.strictness(Feature::Session) == Strictness::Require => {
            has_pid(policy, request, kernel).then_some("PID namespace")
        }
        Feature::AbstractUnixScope if without_scopes => {
            has(Feature::NsNet, libc::CLONE_NEWNET, policy, request, kernel).then_some("network namespace")
        }
        _ => None,
    }
}

/// What would be resolved from a directory of the host's that the program may not see.
pub(super) fn relative_paths(policy: &Policy) -> Vec<Error> {
    let rules = policy.paths.iter().map(|rule| ("path rule", rule.path.as_bytes()));
    let cwd = policy
        .process
        .cwd
        .iter()
        .map(|path| ("working directory", path.as_bytes()));
    let relative = rules.chain(cwd).filter(|(_, path)| !path.starts_with(b"/"));
    let refused = relative.map(|(what, path)| {
        Error::policy(format_args!(
            "{what} \"{}\" is relative, and in a mount namespace paths are the program's",
            path.escape_ascii()
        ))
    });
    refused.collect()
}

/// True if the program starts in a copy of the host's memory.
fn copies_memory(policy: &Policy) -> bool {
    policy.process.has(Flag::NoHugePages) && policy.strictness(Feature::NoHugePages) != Strictness::Disable
}

/// What the program has for files in a mount namespace.
pub(super) fn mounts(policy: &Policy) -> String {
    let root = match &policy.root {
        Root::Host => "the host's root".to_owned(),
        Root::Directory(path) => format!("root \"{}\"", path.to_bytes().escape_ascii()),
        Root::Memory => "root in memory".to_owned(),
    };
    match (&policy.root, policy.mounts.len()) {
        (Root::Host, 0) => format!("{root}, private /proc"),
        (_, 1) => format!("{root}, 1 mount"),
        (_, count) => format!("{root}, {count} mounts"),
    }
}

#[cfg(test)]
#[path = "namespaces_tests.rs"]
mod tests;
