//! The limit of processes and threads, and what it takes to keep it without harm.

mod limit;
mod restart;

use crate::policy::Policy;
use crate::supervisor::{Call, Ground, Served, Service};

/// The service for one sandbox.
pub(super) struct Processes {
    limit: limit::StartLimit,
}

impl Processes {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            limit: limit::StartLimit::new(policy),
        }
    }
}

impl Service for Processes {
    fn serve(&self, call: &Call, ground: Ground) -> Served {
        if libc::c_long::from(call.received().number) == libc::SYS_rt_sigaction {
            restart::serve(call, ground, || self.limit.is_alone(call))
        } else {
            self.limit.serve(call, ground)
        }
    }
}
