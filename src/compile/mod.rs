//! From a policy and what the kernel offers to what must be done. Pure: no system calls, the same result for the same
//! input, tested with data and a BPF interpreter.

pub mod arch;
mod bpf;
pub mod defaults;
pub mod filter;
#[cfg(test)]
mod golden_tests;
pub mod landlock;
pub mod mechanism;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod syscalls;
mod table_aarch64;
mod table_groups;
mod table_riscv64;
mod table_x86_64;

use crate::error::Error;
use crate::feature::Feature;
use crate::policy::{Limit, Policy};
use crate::probe::Capabilities;
use crate::sys::seccomp::Instruction;

pub use bpf::AssemblyError;

use self::arch::Arch;
use self::defaults::Gaps;
use self::landlock::{Parts, RulesetSpec};
use self::mechanism::Decisions;

/// A resource limit as setrlimit(2) takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceLimit {
    /// Which, for messages.
    pub name: &'static str,
    /// RLIMIT_*.
    pub resource: u32,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// What must be done for a policy on a kernel.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Which features are enforced, and by what.
    pub decisions: Decisions,
    /// The child's Landlock ruleset.
    pub ruleset: Option<RulesetSpec>,
    /// The Landlock ruleset of the warden, which the child is born into.
    pub domain: Option<RulesetSpec>,
    /// The system call filter.
    pub filter: Option<Vec<Instruction>>,
    /// Resource limits, in the order in which they are set.
    pub limits: Vec<ResourceLimit>,
}

/// Compiles `policy` for `kernel`, or says everything that is wrong.
pub fn compile(policy: &Policy, kernel: &Capabilities) -> Result<Compiled, Vec<Error>> {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, kernel, &mut problems);
    let uses = |feature| decisions.uses(feature);
    let parts = Parts {
        files: uses(Feature::Files),
        refer: uses(Feature::FilesRefer),
        truncate: uses(Feature::FilesTruncate),
        ioctl_dev: uses(Feature::FilesIoctlDev),
        network: uses(Feature::Network),
        signal_scope: uses(Feature::SignalScope),
        abstract_unix_scope: uses(Feature::AbstractUnixScope),
        knows_refer: kernel.landlock_abi >= 2,
    };
    let ruleset = RulesetSpec::new(policy, parts);
    let domain = decisions
        .enforces(Feature::KillAll)
        .then(RulesetSpec::signal_scope_only);
    let gaps = Gaps {
        metadata: uses(Feature::FilesMetadata) && !policy.writes_everywhere(),
        network: uses(Feature::Network),
    };
    // The rules are checked even if the filter is not used: a mistake in them is a mistake on every kernel.
    let filter = syscalls::filter(&policy.syscalls, gaps, Arch::NATIVE)
        .and_then(|spec| spec.compile().map_err(|error| vec![syscalls::assembly_error(error)]))
        .map_err(|found| problems.extend(found))
        .ok()
        .filter(|_| uses(Feature::Syscalls));
    let limits = resource_limits(policy, &decisions, kernel);
    if problems.is_empty() {
        Ok(Compiled {
            decisions,
            ruleset,
            domain,
            filter,
            limits,
        })
    } else {
        Err(problems)
    }
}

fn resource_limits(policy: &Policy, decisions: &Decisions, kernel: &Capabilities) -> Vec<ResourceLimit> {
    let mut limits = Vec::new();
    if decisions.uses(Feature::Limits) {
        for (&limit, &value) in &policy.limits {
            if limit == Limit::Nproc && kernel.unlimited_processes {
                continue;
            }
            // At the soft limit of processor time comes SIGXCPU, which names the reason; a second later SIGKILL.
            let hard = if limit == Limit::Cpu {
                value.saturating_add(1)
            } else {
                value
            };
            limits.push(ResourceLimit {
                name: limit.name(),
                resource: limit.resource(),
                soft: value,
                hard,
            });
        }
    }
    if decisions.uses(Feature::NoCoredump) {
        limits.retain(|limit| limit.resource != libc::RLIMIT_CORE);
        // core(5): a limit of 0 stops core files, but a core handler behind a pipe is run regardless. 1 stops both.
        limits.push(ResourceLimit {
            name: "CORE",
            resource: libc::RLIMIT_CORE,
            soft: 1,
            hard: 1,
        });
    }
    limits
}
