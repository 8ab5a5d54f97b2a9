//! The calls that the library answers itself, a folder for each subject. What is to be trapped for a feature is for `compile` to
//! say; here is what happens then.

pub(crate) mod observe;
mod processes;

use std::sync::Arc;

use crate::feature::Feature;
use crate::policy::Policy;
use crate::supervisor::Service;

/// The service that enforces `feature` for one run under `policy`; None if that takes no service.
pub(crate) fn for_feature(feature: Feature, policy: &Policy) -> Option<Arc<dyn Service>> {
    match feature {
        Feature::Processes => Some(Arc::new(processes::Processes::new(policy))),
        _ => None,
    }
}
