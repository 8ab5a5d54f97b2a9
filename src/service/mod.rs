//! The calls that the library serves itself, a folder or file for each subject. What is to be trapped for a feature is for `compile`
//! to say; here is what happens then. How calls are trapped, and answered, is the supervisor's business.

mod guard;
pub(crate) mod metadata;
mod net;
pub(crate) mod observe;
mod processes;
pub(crate) mod trace;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::feature::Feature;
use crate::policy::net::reach::Network;
use crate::policy::{Access, Policy};
use crate::supervisor::{Call, Ground, Reply, Served, Service};
use crate::sys::fd::{FileCell, FileId};
use crate::sys::notify::Received;

use metadata::Grants;
pub(crate) use net::{Hosts, NetworkService};

/// What services need to know of a run.
pub(crate) struct Run<'a> {
    pub(crate) policy: &'a Policy,
    /// The files that path rules lead to, with what they grant.
    pub(crate) grants: &'a [(FileId, Access)],
    /// Where the child notes the files that the policy's path rules lead to, if they are for the program's own view. Then nothing is
    /// in `grants`.
    pub(crate) files_of_rules: Option<Arc<[FileCell]>>,
    /// Path rules decide about files.
    pub(crate) restricts_files: bool,
    /// Who decides about the network; None: it is not restricted.
    pub(crate) network: Option<Network>,
    /// The hosts that network rules name, and the file that tells the program of them.
    pub(crate) addresses: &'a BTreeMap<String, Vec<IpAddr>>,
    pub(crate) hosts: Option<Arc<Hosts>>,
    /// The program has what privileges the host has.
    pub(crate) keeps_capabilities: bool,
    /// User and group id in the program's user namespace, if it has one, and here.
    pub(crate) owners: Option<([u32; 2], [u32; 2])>,
    /// The names of system calls, by number.
    pub(crate) name: fn(u32) -> Option<&'static str>,
    /// What the filter would say of a call that it leaves to the library so that it is told.
    pub(crate) decide: Decide,
}

impl Run<'_> {
    /// The files that rules lead to whose access `suits`.
    fn grants(&self, suits: fn(Access) -> bool) -> Grants {
        match &self.files_of_rules {
            Some(noted) => {
                let rules = self.policy.paths.iter().enumerate();
                let suited = rules.filter(|(_, rule)| suits(rule.access)).map(|(index, _)| index);
                Grants::noted(Arc::clone(noted), suited.collect())
            }
            None => {
                let suited = self.grants.iter().filter(|(_, access)| suits(*access));
                Grants::new(suited.map(|(id, _)| *id).collect())
            }
        }
    }
}

/// The errno that a call is refused with; None: it is not.
pub(crate) type Decide = Arc<dyn Fn(&Received) -> Option<u16> + Send + Sync>;

/// The service that enforces `feature`.
pub(crate) fn for_feature(feature: Feature, run: &Run<'_>) -> Arc<dyn Service> {
    match feature {
        Feature::Processes => Arc::new(processes::Processes::new(run.policy)),
        Feature::FilesMetadata => Arc::new(guard::MetadataGuard::new(run)),
        Feature::Syscalls => Arc::new(trace::Trace::new(run)),
        // Nothing else is trapped for the library's sake. If it were, it would not run unserved.
        _ => Arc::new(Refusal),
    }
}

/// Denies every call.
struct Refusal;

impl Service for Refusal {
    fn serve(&self, _call: &Call, _ground: Ground) -> Served {
        const EPERM: u16 = 1;
        Served::Answer(Reply::Errno(EPERM))
    }
}
