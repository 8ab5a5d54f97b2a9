//! What is allowed: plain data, and validation of single values; no system calls.
//!
//! A [`Policy::new`] allows no files and no network, denies the calls of the default denylist, and requires every
//! protection that is not optional. Setters check one value at a time and can be chained; what they set is in open fields, too.
//! Whether the parts fit together, and fit this kernel, [`Sandbox::check`](crate::sandbox::Sandbox::check) says, and names everything
//! that is wrong:
//!
//! ```
//! use sandlock::{Access, Limit, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy
//!     .allow_path("/usr", Access::READ_EXECUTE)?
//!     .allow_path("/no-such-directory", Access::READ)?
//!     .allow_path("/no-such-directory-but-that-may-be", Access::READ | Access::OPTIONAL)?
//!     .clear_env()
//!     .set_limit(Limit::Data, 256 << 20)?
//!     .allow_syscall("no_such_call");
//!
//! let error = Sandbox::new(policy).check().unwrap_err();
//! assert!(error.message().contains("2 problems"), "{error}");
//! assert!(error.message().contains("no_such_call") && error.message().contains("\"/no-such-directory\""), "{error}");
//! # Ok::<(), sandlock::Error>(())
//! ```
//!
//! A policy can be kept as text: [`Policy::from_toml`], which has the schema.

// What the setters check. Public for the fuzz targets, which hold it against what its documentation says.
#[doc(hidden)]
pub mod check;
pub mod fs;
pub mod limits;
pub mod mounts;
pub mod namespaces;
pub mod net;
pub mod process;
mod setters;
pub mod syscalls;
mod toml;

use std::collections::BTreeSet;
use std::ffi::CString;

use crate::feature::{Feature, Strictness};

use net::reach::Network;

pub use fs::{Access, PathRule};
pub use limits::{Grace, Limit, UNLIMITED};
pub use mounts::{Mount, Root, Source};
pub use namespaces::Namespace;
pub use net::{BindRule, NetRule, NetRules};
pub use process::{Environment, Flag, ProcessSettings};
pub use syscalls::{SyscallMode, SyscallRules, Verdict};

/// A description of what a sandboxed program may do: see the [module](self).
///
/// Plain data: [`Send`], [`Sync`], compared and cloned by what it says. Nothing of it is looked up or opened before it is checked or used,
/// except where a field says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Path rules, in the order given.
    pub paths: Vec<PathRule>,
    /// What it may connect to, and bind to.
    pub network: NetRules,
    /// System calls.
    pub syscalls: SyscallRules,
    /// Limits, in the units that [`Limit`] says; [`Policy::set_limit`] checks them.
    pub limits: limits::Limits,
    /// The directory of a control group, version 2 (cgroups(7)), in which sandboxes get groups of their own, to hold
    /// [`Limit::Memory`] and [`Limit::CpuShare`]; None, as in a new policy: the parent of the host's own group, if that was delegated to
    /// the host's user, who is not root; otherwise the library keeps these limits by looking. One that is named and cannot be used fails
    /// the spawn ([`Unsupported`](crate::error::ErrorKind::Unsupported)). The library moves no process of the host.
    pub cgroup: Option<CString>,
    /// A warning before the kill when time is up; None, as in a new policy: the kill comes at once.
    pub grace: Option<Grace>,
    /// The process the program starts in.
    pub process: ProcessSettings,
    /// Namespaces that the program has for itself.
    pub namespaces: BTreeSet<Namespace>,
    /// What the program has for "/".
    pub root: Root,
    /// What is mounted there, in this order; [`Policy::add_mount`] adds to it.
    pub mounts: Vec<Mount>,
    strictness: StrictnessTable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct StrictnessTable([Strictness; Feature::ALL.len()]);

impl Default for StrictnessTable {
    fn default() -> Self {
        Self([Strictness::Require; Feature::ALL.len()])
    }
}

impl Policy {
    /// The policy that allows least: no files, no network, no call of the default denylist, [64 processes](limits::DEFAULT_PROCESSES).
    pub fn new() -> Self {
        Self::default()
    }

    /// How strictly `feature` is asked for; [`Strictness::Require`] in a new policy.
    pub fn strictness(&self, feature: Feature) -> Strictness {
        // Features are numbered from 1 without gaps, in the order of ALL; a test holds that.
        self.strictness.0[feature.number() as usize - 1]
    }

    /// Sets how strictly `feature` is asked for.
    pub fn set_strictness(&mut self, feature: Feature, strictness: Strictness) -> &mut Self {
        self.strictness.0[feature.number() as usize - 1] = strictness;
        self
    }

    /// Sets how strictly every feature is asked for.
    pub fn set_all_strictness(&mut self, strictness: Strictness) -> &mut Self {
        self.strictness.0.fill(strictness);
        self
    }

    /// True if the policy, as far as it says, asks for `feature`. What asks for an optional feature is a flag, a limit or a namespace;
    /// a supervisor asks for [`Feature::Supervisor`].
    pub fn asks_for(&self, feature: Feature) -> bool {
        match feature {
            Feature::Limits => {
                let timed = |limit: &Limit| limit.is_timed() && self.limit(*limit).is_some();
                self.limits
                    .keys()
                    .any(|limit| limit.resource().is_some() || timed(limit))
            }
            Feature::Memory => self.limit(Limit::Memory).is_some(),
            Feature::Disk => self.limit(Limit::Disk).is_some(),
            Feature::Processes => self.process_limit().is_some() || self.thread_limit().is_some(),
            Feature::NoCoredump => self.process.has(Flag::NoCoredump),
            Feature::NoAslr => self.process.has(Flag::NoAslr),
            Feature::NoHugePages => self.process.has(Flag::NoHugePages),
            Feature::NsUser => {
                self.process.user.is_some() || !self.namespaces.is_empty() || self.asks_for(Feature::NsMount)
            }
            Feature::NsPid => self.namespaces.contains(&Namespace::Pid) || self.asks_for(Feature::NsMount),
            Feature::NsMount => self.namespaces.contains(&Namespace::Mount) || self.mounts_something(),
            Feature::NsIpc | Feature::NsUts | Feature::NsNet => {
                self.namespaces.iter().any(|namespace| namespace.feature() == feature)
            }
            // A supervisor asks for it.
            Feature::Supervisor => false,
            _ => true,
        }
    }

    /// How many processes there may be in the sandbox at a time; None: as many as there can be.
    pub fn process_limit(&self) -> Option<u64> {
        let limit = self.limits.get(&Limit::Processes).copied();
        Some(limit.unwrap_or(limits::DEFAULT_PROCESSES)).filter(|&limit| limit != UNLIMITED)
    }

    /// How many threads there may be in the sandbox at a time; None: as many as there can be.
    pub fn thread_limit(&self) -> Option<u64> {
        self.limit(Limit::Threads)
    }

    /// The value of a limit, if the policy sets one that is not [`UNLIMITED`].
    pub fn limit(&self, limit: Limit) -> Option<u64> {
        self.limits.get(&limit).copied().filter(|&value| value != UNLIMITED)
    }

    /// True if the policy itself, and not a default, limits processes or threads.
    pub(crate) fn limits_processes_expressly(&self) -> bool {
        self.thread_limit().is_some() || (self.limits.contains_key(&Limit::Processes) && self.process_limit().is_some())
    }

    /// True if it sets a limit that a control group can hold.
    pub(crate) fn could_use_group(&self) -> bool {
        self.limit(Limit::Memory).is_some() || self.limit(Limit::CpuShare).is_some()
    }

    /// What the network rules ask for, where everything can be had.
    pub(crate) fn reach(&self) -> Network {
        let mut network = Network::new(&self.network);
        if self.process.has(Flag::NetUpdates) {
            network = network.watched();
        }
        if self.process.has(Flag::PortRemap) {
            network = network.remapped();
        }
        network
    }

    /// True if a rule grants WRITE on anything.
    pub(crate) fn writes_somewhere(&self) -> bool {
        self.paths.iter().any(|rule| rule.access.writes())
    }

    /// True if the policy grants WRITE on `/`, that is, on everything.
    pub(crate) fn writes_everywhere(&self) -> bool {
        self.paths
            .iter()
            .any(|rule| rule.path.as_bytes() == b"/" && rule.access.writes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_numbered_from_one_without_gaps() {
        for (index, feature) in Feature::ALL.iter().enumerate() {
            assert_eq!(feature.number() as usize, index + 1);
        }
    }

    #[test]
    fn strictness_is_set_per_feature_and_for_all() {
        let mut policy = Policy::new();
        assert_eq!(policy.strictness(Feature::KillAll), Strictness::Require);
        policy.set_strictness(Feature::Files, Strictness::Disable);
        assert_eq!(policy.strictness(Feature::Files), Strictness::Disable);
        assert_eq!(policy.strictness(Feature::FilesRefer), Strictness::Require);
        policy.set_all_strictness(Strictness::BestEffort);
        assert_eq!(policy.strictness(Feature::Files), Strictness::BestEffort);
    }
}
