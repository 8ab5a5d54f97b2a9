//! From a policy and what the kernel offers to what must be done. Pure: no system calls, the same result for the same
//! input, tested with data and a BPF interpreter.

pub mod arch;
mod bpf;
pub mod defaults;
pub mod filter;
#[cfg(test)]
mod golden_tests;
pub mod group;
pub mod landlock;
mod lifted;
pub mod mechanism;
mod namespaces;
mod network;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod sockets;
pub mod syscalls;
mod table_aarch64;
mod table_groups;
mod table_riscv64;
mod table_x86_64;
pub mod traps;
mod watching;

use std::sync::Arc;

use crate::error::Error;
use crate::feature::{Feature, Strictness};
use crate::policy::net::reach::Network;
use crate::policy::{Flag, Limit, Policy};
use crate::probe::Capabilities;
use crate::sys::notify::FLAG_WAIT_KILLABLE;
use crate::sys::seccomp::Instruction;

pub use bpf::AssemblyError;

use self::arch::Arch;
use self::defaults::{Gaps, Metadata};
use self::filter::FilterSpec;
use self::group::GroupLimits;
use self::landlock::{Parts, RulesetSpec};
use self::mechanism::Decisions;
use self::traps::{Listening, Selector, Traps};

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

/// What a policy is compiled for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Calls that handlers, and others who look on, want to see.
    pub selectors: Vec<Selector>,
    /// Whether the library can serve calls itself.
    pub serving: Serving,
    /// Calls that may be refused are put before the library, which tells of them and refuses what the filter would.
    pub traced: bool,
}

/// Whether there can be a listener, so that the library can serve calls itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serving {
    /// There can.
    Possible,
    /// No: the host is supervised by somebody else, and a process can have one listener only.
    HostIsSupervised,
    /// No: a tool needs the child started by a plain fork.
    PlainFork,
    /// No: it is the calling thread that is confined.
    #[default]
    NoNewProcess,
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
    /// What the filter would say, where it leaves refused calls to the library.
    pub traced: Option<Arc<FilterSpec>>,
    /// Resource limits, in the order in which they are set.
    pub limits: Vec<ResourceLimit>,
    /// What a control group of the sandbox's own holds.
    pub group: GroupLimits,
    /// How far the program reaches networks. None: TCP is not restricted.
    pub network: Option<Network>,
}

/// Compiles `policy` for `kernel`, or says everything that is wrong.
pub fn compile(policy: &Policy, request: &Request, kernel: &Capabilities) -> Result<Compiled, Vec<Error>> {
    let mut problems = Vec::new();
    let mut decisions = Decisions::new(policy, request, kernel, &mut problems);
    let uses = |feature| decisions.uses(feature);
    if policy.process.has(Flag::WaitForDescendants) && !decisions.enforces(Feature::KillAll) {
        problems.push(Error::policy(
            "WAIT_FOR_DESCENDANTS takes the feature kill-all: without it descendants cannot be told from others",
        ));
    }
    if policy.process.has(Flag::PortRemap) && policy.strictness(Feature::Network) == Strictness::Disable {
        problems.push(Error::policy(
            "PORT_REMAP takes the feature network: without it the program binds to the host's ports",
        ));
    }
    if uses(Feature::NsMount) {
        problems.extend(namespaces::relative_paths(policy));
    }
    let network = uses(Feature::Network).then(|| network::decided(policy, request, kernel));
    // A PID namespace ends with its init, which could mount nothing if it were in a domain.
    let in_domain = decisions.enforces(Feature::KillAll) && !uses(Feature::NsPid);
    let parts = Parts {
        files: uses(Feature::Files),
        refer: uses(Feature::FilesRefer),
        truncate: uses(Feature::FilesTruncate),
        ioctl_dev: uses(Feature::FilesIoctlDev),
        network,
        // Below that, namespaces do it. The warden, a thread of the host, is in its own domain with the program: whatever the policy says of
        // signals, that must have one more between them.
        signal_scope: (uses(Feature::SignalScope) || (in_domain && request.serving != Serving::NoNewProcess))
            && kernel.landlock_abi >= 6,
        abstract_unix_scope: uses(Feature::AbstractUnixScope) && kernel.landlock_abi >= 6,
        resolve_unix: network.is_some() && kernel.landlock_abi >= network::UNIX_PATHS_ABI,
        knows_refer: kernel.landlock_abi >= 2,
    };
    let ruleset = RulesetSpec::new(policy, parts);
    let domain = in_domain.then(RulesetSpec::signal_scope_only);
    let gaps = Gaps {
        metadata: metadata(policy, request, &decisions, kernel),
        network,
        network_rules: !policy.network.is_empty(),
        reservations: uses(Feature::Disk),
    };
    let extra = Extra {
        starts: uses(Feature::Processes).then(|| policy.thread_limit().is_some()),
        tables_apart: network.is_some_and(Network::serves_making),
    };
    // The rules are checked even if the filter is not used: a mistake in them is a mistake on every kernel.
    let filters = syscalls::filter(&policy.syscalls, gaps, Arch::NATIVE)
        .and_then(|spec| Filters::new(&spec, uses(Feature::Syscalls), extra, request))
        .unwrap_or_else(|found| {
            problems.extend(found);
            Filters::default()
        });
    decisions.note_lifted(&policy.syscalls, gaps);
    let group = GroupLimits::new(policy, request, kernel);
    let limits = resource_limits(policy, &decisions, kernel, group);
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
            traced: filters.traced,
            limits,
            group,
            network,
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
    traced: Option<Arc<FilterSpec>>,
}

/// What the library's own services take besides.
#[derive(Clone, Copy)]
struct Extra {
    /// Calls that start processes are trapped, and those that start threads if this is true.
    starts: Option<bool>,
    /// No two processes share a table of descriptors.
    tables_apart: bool,
}

impl Filters {
    /// Assembles `spec`, if it is used, and what else is trapped: what services take, and what the request names.
    fn new(spec: &FilterSpec, used: bool, extra: Extra, request: &Request) -> Result<Self, Vec<Error>> {
        let assemble = |spec: &FilterSpec| spec.compile().map_err(|error| vec![syscalls::assembly_error(error)]);
        let mut base = if used {
            spec.clone()
        } else {
            traps::allow_all(spec.arch)
        };
        if extra.tables_apart {
            traps::keep_tables_apart(&mut base);
        }
        if let Some(threads) = extra.starts {
            traps::trap_starts(&mut base, threads);
        }
        let mut traps = Traps::new(&request.selectors, &base)?;
        let traced = request.traced.then(|| {
            let untraced = Arc::new(base.clone());
            traps.trace(&mut base);
            untraced
        });
        let (filter, listening) = match traps.listening(&base) {
            Listening::None => (Some(assemble(spec)?).filter(|_| used), None),
            Listening::InFilter(spec) => (None, Some(assemble(&spec)?)),
            Listening::Apart { listening, filter } => {
                (Some(assemble(&filter)?).filter(|_| used), Some(assemble(&listening)?))
            }
        };
        Ok(Self {
            filter,
            listening,
            traps,
            traced,
        })
    }
}

/// What becomes of calls that change the metadata of files.
fn metadata(policy: &Policy, request: &Request, decisions: &Decisions, kernel: &Capabilities) -> Metadata {
    if !decisions.uses(Feature::FilesMetadata) || policy.writes_everywhere() {
        Metadata::Open
    } else if mechanism::guards_metadata(policy, request, kernel) {
        Metadata::Guarded
    } else if mechanism::is_served(policy, request) {
        Metadata::Refused(EACCES)
    } else {
        Metadata::Refused(EPERM)
    }
}

const EACCES: u16 = 13;
const EPERM: u16 = 1;
const _: () = assert!(EACCES as i32 == libc::EACCES && EPERM as i32 == libc::EPERM);

fn resource_limits(
    policy: &Policy,
    decisions: &Decisions,
    kernel: &Capabilities,
    group: GroupLimits,
) -> Vec<ResourceLimit> {
    let mut limits = Vec::new();
    if decisions.uses(Feature::Limits) {
        for (&limit, &value) in &policy.limits {
            let Some(resource) = limit.resource() else { continue };
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
                resource,
                soft: value,
                hard,
            });
        }
    }
    let memory = policy.limit(Limit::Memory).filter(|_| !group.hold(Limit::Memory));
    if let Some(value) = memory.filter(|_| decisions.uses(Feature::Memory)) {
        limits.extend(data_limit(policy, value));
    }
    if let Some(value) = policy.limit(Limit::Disk).filter(|_| decisions.uses(Feature::Disk)) {
        // No file alone can be larger than all of them may be.
        let own = limits.iter().position(|limit| limit.resource == libc::RLIMIT_FSIZE);
        let stricter = own
            .and_then(|index| limits.get(index))
            .is_some_and(|own| own.hard <= value);
        if !stricter {
            limits.retain(|limit| limit.resource != libc::RLIMIT_FSIZE);
            limits.push(ResourceLimit {
                name: Limit::Disk.name(),
                resource: libc::RLIMIT_FSIZE,
                soft: value,
                hard: value,
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

/// What a limit of memory that no control group holds adds for each process, so that allocations that can never be used fail at once.
///
/// The kernel counts private writable mappings whether they are used or not. Runtimes reserve more than they use, mostly without
/// access, which does not count, but not always: a stack for each thread, the JVM's bookkeeping (neither a JVM nor Python with forty
/// threads starts under 256 MiB, though both use less than half of it). So there is room for those: a program that really uses what it
/// has is stopped by the readings of the sandbox as a whole. What reserves without bounds, like AddressSanitizer, takes a policy that
/// sets DATA itself.
fn data_limit(policy: &Policy, value: u64) -> Option<ResourceLimit> {
    let most = value.saturating_add(RESERVATIONS);
    (!policy.limits.contains_key(&Limit::Data)).then_some(ResourceLimit {
        name: Limit::Memory.name(),
        resource: libc::RLIMIT_DATA,
        soft: most,
        hard: most,
    })
}

/// Room for private writable mappings that are reserved and not used.
const RESERVATIONS: u64 = 256 << 20;
