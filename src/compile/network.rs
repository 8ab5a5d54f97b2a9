//! What of the policy's network rules can be kept on this kernel, and by what.

use crate::error::Stage;
use crate::feature::{Feature, Strictness};
use crate::policy::net::reach::{Network, Reach};
use crate::policy::{Flag, Policy};
use crate::probe::Capabilities;

use super::mechanism::{Lack, needed_abi, serving_lack, unavailable};
use super::{Request, Serving};

/// What becomes of the program's calls: what the rules ask for, without what would be the library's to do if that cannot be.
pub(super) fn decided(policy: &Policy, request: &Request, kernel: &Capabilities) -> Network {
    let network = policy.reach();
    match service_lack(policy, request, kernel) {
        None => Network {
            makes_sockets: kernel.pidfd_getfd_errno != 0 && (network.takes_sockets() || network.netlink),
            ..network
        },
        Some(_) => Network {
            overseen: is_overseen(policy, request),
            ..network.without_service(keeps_unix_rules(policy, kernel))
        },
    }
}

/// True if the host is known to be supervised, or the policy says what is for hosts that are.
fn is_overseen(policy: &Policy, request: &Request) -> bool {
    request.serving == Serving::HostIsSupervised || policy.process.has(Flag::NoSupervisor)
}

/// The Landlock ABI that governs Unix sockets by path.
pub(super) const UNIX_PATHS_ABI: u32 = 9;

/// True if Landlock can keep the rules about Unix sockets, as the files that they name are when a program starts, with nothing else in the
/// program's way to those of others. The library, which looks at names whenever it is asked, is used where there is one.
fn keeps_unix_rules(policy: &Policy, kernel: &Capabilities) -> bool {
    kernel.landlock_abi >= UNIX_PATHS_ABI
        && policy.strictness(Feature::AbstractUnixScope) != Strictness::Disable
        && policy.network.unix_paths().is_some()
}

/// True if Landlock has to refuse anything. What the library serves it refuses to the program itself.
pub(super) fn needs_landlock(policy: &Policy) -> bool {
    let network = policy.reach();
    network.tcp != Reach::Open || network.bind_tcp != Reach::Open
}

/// Where what the rules lack was found out.
pub(super) fn stage(policy: &Policy, kernel: &Capabilities) -> Stage {
    let landlock = needed_abi(Feature::Network).is_some_and(|needed| kernel.landlock_abi < needed);
    if landlock && needs_landlock(policy) {
        Stage::Landlock
    } else {
        Stage::Supervisor
    }
}

/// Why the rules cannot be kept whole, where Landlock lacks nothing.
pub(super) fn lack(policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<Lack> {
    let network = policy.reach();
    // Where all of TCP is allowed, nothing but the filter keeps anything back.
    let nothing_else = || {
        let lack = filter_lack(policy, kernel).filter(|_| !needs_landlock(policy));
        lack.map(|(why, errno)| unavailable(why.to_owned(), errno))
    };
    if !network.needs_service() {
        return overseen_lack(network, request).or_else(nothing_else);
    }
    let (why, errno) = service_lack(policy, request, kernel)?;
    let left = network.without_service(keeps_unix_rules(policy, kernel));
    let lost: Vec<_> = kinds(network)
        .into_iter()
        .zip(kinds(left))
        // What is left to Landlock is kept whole.
        .filter(|((_, wanted), (_, left))| wanted != left && *left != Reach::Landlock)
        .map(|((name, _), _)| name)
        .chain(network.names.then_some("host names"))
        .collect();
    if lost.is_empty() {
        return overseen_lack(left, request).or_else(nothing_else);
    }
    Some(Lack {
        why: format!("the library has to serve {}: {why}", lost.join(", ")),
        errno,
        instead: Some("landlock, seccomp; closed is what the library would serve"),
    })
}

/// Why rules that are left to Landlock may not be kept: a supervisor of the host may connect and bind for the program, and asks only
/// its own rules.
fn overseen_lack(network: Network, request: &Request) -> Option<Lack> {
    let left = kinds(network).into_iter().any(|(_, reach)| reach == Reach::Landlock);
    (left && request.serving == Serving::HostIsSupervised).then(|| Lack {
        why: "the host itself is supervised, and its supervisor may do for the program what Landlock keeps it from"
            .to_owned(),
        errno: libc::EBUSY,
        instead: Some("landlock, unless the supervisor serves connections"),
    })
}

/// Why there is no filter.
fn filter_lack(policy: &Policy, kernel: &Capabilities) -> Option<(&'static str, i32)> {
    if policy.strictness(Feature::Syscalls) == Strictness::Disable {
        Some(("the feature syscalls is disabled", libc::EOPNOTSUPP))
    } else if !kernel.seccomp_filter {
        Some(("this kernel has no seccomp filters", libc::ENOSYS))
    } else {
        None
    }
}

/// What the library lacks to serve the program's sockets: the filter that puts calls before it, somebody who answers, and the sockets.
fn service_lack(policy: &Policy, request: &Request, kernel: &Capabilities) -> Option<(&'static str, i32)> {
    let lack = filter_lack(policy, kernel);
    match kernel.pidfd_getfd_errno {
        _ if lack.is_some() => lack,
        _ if !kernel.seccomp_notify => Some(("this kernel has no seccomp user notification", libc::ENOSYS)),
        // Connections are accepted for the program, and given to it.
        0 if policy.reach().remaps && !kernel.notify_add_fd => {
            Some(("descriptors are given from Linux 5.9 on", libc::ENOSYS))
        }
        0 => serving_lack(policy, request),
        errno => making_lack(policy, kernel)
            .map(|why| (why, errno))
            .or_else(|| serving_lack(policy, request)),
    }
}

/// Where pidfd_getfd(2) is refused, the library makes the program's sockets itself: what that lacks.
fn making_lack(policy: &Policy, kernel: &Capabilities) -> Option<&'static str> {
    if !kernel.notify_add_fd {
        Some("pidfd_getfd(2) is refused, and this kernel gives a program no descriptors by seccomp user notification")
    } else if kernel.proc_blindness.is_some() {
        Some("pidfd_getfd(2) is refused, and /proc does not show every process")
    } else if policy.reach().remaps {
        Some("pidfd_getfd(2) is refused, and without it nobody tells the program its own numbers of ports")
    } else if policy.namespace_flags() & libc::CLONE_NEWNET != 0 {
        Some("pidfd_getfd(2) is refused, and in a network namespace of its own only the program itself makes sockets")
    } else {
        None
    }
}

/// What there is, by name.
fn kinds(network: Network) -> [(&'static str, Reach); 6] {
    [
        ("tcp", network.tcp),
        ("udp", network.udp),
        ("icmp", network.icmp),
        ("unix", network.unix),
        ("bind tcp", network.bind_tcp),
        ("bind udp", network.bind_udp),
    ]
}

/// What keeps the rules.
pub(super) fn mechanism(policy: &Policy, request: &Request, kernel: &Capabilities) -> String {
    if policy.network.is_empty() {
        return "landlock, seccomp for listen(2) and other protocols".to_owned();
    }
    let network = decided(policy, request, kernel);
    let mut parts = Vec::new();
    if [network.tcp, network.bind_tcp].contains(&Reach::Landlock) {
        parts.push("landlock by port");
    }
    if network.unix == Reach::Landlock {
        parts.push("landlock by path");
    }
    if parts.is_empty() && needs_landlock(policy) {
        parts.push("landlock");
    }
    if network.serves_connections() {
        parts.push("seccomp user notification, connections made on behalf");
    } else if network.needs_service() || network.netlink {
        parts.push("seccomp user notification");
    }
    if network.makes_sockets {
        parts.push("sockets made on behalf");
    }
    if filter_lack(policy, kernel).is_none() {
        parts.push("seccomp for other protocols");
    }
    parts.join(", ")
}

/// What is reached, in short.
pub(super) fn detail(policy: &Policy, request: &Request, kernel: &Capabilities) -> String {
    let network = decided(policy, request, kernel);
    let reached = kinds(network).into_iter().filter_map(|(name, reach)| match reach {
        Reach::Closed => None,
        Reach::Landlock if name == "unix" => Some("unix by path".to_owned()),
        Reach::Landlock => Some(format!("{name} by port")),
        Reach::Served => Some(format!("{name} served")),
        Reach::Open => Some(format!("{name} open")),
    });
    let told = [
        (network.names, "host names"),
        (network.netlink, "rtnetlink"),
        (network.remaps, "ports remapped"),
    ];
    let told = told.iter().filter(|(so, _)| *so).map(|(_, what)| (*what).to_owned());
    let mut all: Vec<_> = reached.chain(told).collect();
    if all.is_empty() && !policy.network.is_empty() {
        all.push("nothing is reached".to_owned());
    }
    if needs_landlock(policy) {
        all.insert(0, format!("ABI {}", kernel.landlock_abi));
    }
    all.join(", ")
}

#[cfg(test)]
#[path = "network_tests.rs"]
mod tests;
