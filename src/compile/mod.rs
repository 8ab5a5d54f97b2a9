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
pub mod traps;

use crate::error::Error;
use crate::feature::Feature;
use crate::policy::{Limit, Policy};
use crate::probe::Capabilities;
use crate::sys::notify::FLAG_WAIT_KILLABLE;
use crate::sys::seccomp::Instruction;

pub use bpf::AssemblyError;

use self::arch::Arch;
use self::defaults::Gaps;
use self::filter::FilterSpec;
use self::landlock::{Parts, RulesetSpec};
use self::mechanism::Decisions;
use self::traps::{Listening, Traps};

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
    /// The system call filter, which is installed last, unless it listens.
    pub filter: Option<Vec<Instruction>>,
    /// The filter that puts calls before a listener, if any are: the whole filter, or one besides `filter`.
    pub listening: Option<Vec<Instruction>>,
    /// SECCOMP_FILTER_FLAG_* for it, besides the one that makes the listener.
    pub listener_flags: libc::c_ulong,
    /// Which calls those are.
    pub traps: Traps,
    /// Resource limits, in the order in which they are set.
    pub limits: Vec<ResourceLimit>,
}

/// Compiles `policy` for `kernel`, or says everything that is wrong. The calls that `selectors` name (system calls and groups)
/// are put before a listener.
pub fn compile(policy: &Policy, selectors: &[String], kernel: &Capabilities) -> Result<Compiled, Vec<Error>> {
    let mut problems = Vec::new();
    let decisions = Decisions::new(policy, !selectors.is_empty(), kernel, &mut problems);
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
    let filters = syscalls::filter(&policy.syscalls, gaps, Arch::NATIVE)
        .and_then(|spec| Filters::new(&spec, uses(Feature::Syscalls), selectors))
        .unwrap_or_else(|found| {
            problems.extend(found);
            Filters::default()
        });
    let limits = resource_limits(policy, &decisions, kernel);
    if problems.is_empty() {
        Ok(Compiled {
            decisions,
            ruleset,
            domain,
            filter: filters.filter,
            listening: filters.listening,
            listener_flags: if kernel.notify_wait_killable {
                FLAG_WAIT_KILLABLE
            } else {
                0
            },
            traps: filters.traps,
            limits,
        })
    } else {
        Err(problems)
    }
}

#[derive(Default)]
struct Filters {
    filter: Option<Vec<Instruction>>,
    listening: Option<Vec<Instruction>>,
    traps: Traps,
}

impl Filters {
    /// Assembles `spec`, if it is used, and what `selectors` take.
    fn new(spec: &FilterSpec, used: bool, selectors: &[String]) -> Result<Self, Vec<Error>> {
        let assemble = |spec: &FilterSpec| spec.compile().map_err(|error| vec![syscalls::assembly_error(error)]);
        let filter = assemble(spec)?;
        let everything = traps::allow_all(spec.arch);
        let base = if used { spec } else { &everything };
        let traps = Traps::new(selectors, base)?;
        let (filter, listening) = match traps.listening(base) {
            Listening::None => (used.then_some(filter), None),
            Listening::InFilter(spec) => (None, Some(assemble(&spec)?)),
            Listening::Apart(spec) => (used.then_some(filter), Some(assemble(&spec)?)),
        };
        Ok(Self {
            filter,
            listening,
            traps,
        })
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
