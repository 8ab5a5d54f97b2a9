//! Which limits a control group holds.

use crate::feature::{Feature, Strictness};
use crate::policy::{Flag, Limit, Policy, Verdict};
use crate::probe::Capabilities;

use super::{Request, Serving};

/// The least memory that a group is told to hold, which is more than the set-up and the arguments of a program can take.
///
/// Until the child has executed the program it uses the host's memory, and where memory runs out in a group, the kernel kills not only
/// whom it chooses there but everybody who shares his memory. Nor is there a safe moment to lower the limit afterwards: what the kernel
/// tells of an exec it tells just before the memory changes.
const LEAST: u64 = 64 << 20;

/// What the group of a sandbox is told to hold; nothing if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupLimits {
    /// `memory.max`, bytes.
    pub memory: Option<u64>,
    /// The kernel kills one process at a time, and not all.
    pub kills_one: bool,
    /// Share of processor time, per cent of one processor.
    pub cpu_share: Option<u64>,
}

impl GroupLimits {
    /// For `policy` on `kernel`.
    pub fn new(policy: &Policy, request: &Request, kernel: &Capabilities) -> Self {
        let held = |limit| {
            policy
                .limit(limit)
                .filter(|_| why_not(limit, policy, request, kernel).is_none())
        };
        let disabled = |feature| policy.strictness(feature) == Strictness::Disable;
        Self {
            memory: held(Limit::Memory).filter(|&bytes| bytes >= LEAST && !disabled(Feature::Memory)),
            kills_one: policy.process.has(Flag::MemoryKillsLargest),
            cpu_share: held(Limit::CpuShare).filter(|_| !disabled(Feature::Limits)),
        }
    }

    /// True if it holds nothing.
    pub fn is_empty(self) -> bool {
        self.memory.is_none() && self.cpu_share.is_none()
    }

    /// True if it holds `limit`.
    pub fn hold(self, limit: Limit) -> bool {
        match limit {
            Limit::Memory => self.memory.is_some(),
            Limit::CpuShare => self.cpu_share.is_some(),
            _ => false,
        }
    }
}

/// True for a limit that a control group can hold.
pub fn can_hold(limit: Limit) -> bool {
    matches!(limit, Limit::Memory | Limit::CpuShare)
}

/// Why a control group does not hold `limit`, and an errno. None: it does.
pub fn why_not(
    limit: Limit,
    policy: &Policy,
    request: &Request,
    kernel: &Capabilities,
) -> Option<(&'static str, libc::c_int)> {
    let (offered, what, feature) = match limit {
        Limit::Memory => (
            kernel.groups.memory,
            "memory is not in its cgroup.subtree_control",
            Feature::Memory,
        ),
        _ => (
            kernel.groups.cpu,
            "cpu is not in its cgroup.subtree_control",
            Feature::Limits,
        ),
    };
    if request.serving == Serving::NoNewProcess {
        return Some(("it takes a new process", libc::EOPNOTSUPP));
    }
    if kernel.groups.lack.is_some() {
        return kernel.groups.lack;
    }
    if !offered {
        return Some((what, libc::EOPNOTSUPP));
    }
    let holds = |layer| match policy.strictness(layer) {
        Strictness::Require => true,
        // It may fail at start.
        Strictness::BestEffort => policy.strictness(feature) == Strictness::BestEffort,
        Strictness::Disable => false,
    };
    // The program's user owns the group. What keeps him from changing it is Landlock, and the filter: Landlock does not see a process
    // that is started in another group by clone3.
    if !holds(Feature::Files) || kernel.landlock_abi == 0 {
        return Some((
            "without the feature files the program could change its group",
            libc::EPERM,
        ));
    }
    let lets_clone3 =
        |rule: &crate::policy::syscalls::SyscallRule| rule.name == "clone3" && rule.verdict == Verdict::Allow;
    if !holds(Feature::Syscalls) || !kernel.seccomp_filter || policy.syscalls.rules.iter().any(lets_clone3) {
        return Some((
            "with clone3 the program could start processes in other groups",
            libc::EPERM,
        ));
    }
    None
}
