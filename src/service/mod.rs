//! The calls that the library serves itself, a folder or file for each subject. What is to be trapped for a feature is for `compile`
//! to say; here is what happens then. How calls are trapped, and answered, is the supervisor's business.

mod guard;
pub(crate) mod metadata;
pub(crate) mod observe;
mod processes;

use std::sync::Arc;

use crate::feature::Feature;
use crate::policy::{Access, Policy};
use crate::supervisor::{Reply, Service};
use crate::sys::fd::FileId;

/// What services need to know of a run.
pub(crate) struct Run<'a> {
    pub(crate) policy: &'a Policy,
    /// The files that path rules lead to, with what they grant.
    pub(crate) grants: &'a [(FileId, Access)],
    /// The names of system calls, by number.
    pub(crate) name: fn(u32) -> Option<&'static str>,
}

/// The service that enforces `feature`.
pub(crate) fn for_feature(feature: Feature, run: &Run<'_>) -> Arc<dyn Service> {
    match feature {
        Feature::Processes => Arc::new(processes::Processes::new(run.policy)),
        Feature::FilesMetadata => Arc::new(guard::MetadataGuard::new(run)),
        // Nothing else is trapped for the library's sake. If it were, it would not run unserved.
        _ => Arc::new(Refusal),
    }
}

/// Denies every call.
struct Refusal;

impl Service for Refusal {
    fn serve(&self, _call: &crate::supervisor::Call, _confined: bool) -> crate::supervisor::Served {
        const EPERM: u16 = 1;
        crate::supervisor::Served::Answer(Reply::Errno(EPERM))
    }
}
