//! What network rules take for each run: the names in them looked up, and a table to decide by.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::error::Result;
use crate::feature::{Feature, Strictness};
use crate::policy::Policy;
use crate::service;
use crate::spawn::names::{self, PATIENCE};

/// The hosts that a policy's rules name.
#[derive(Default)]
pub(super) struct Hosts {
    /// Where they are.
    pub(super) addresses: BTreeMap<String, Vec<IpAddr>>,
    /// What the program has for /etc/hosts, if there are any.
    pub(super) file: Option<Arc<service::Hosts>>,
    /// Those that nobody knows, and why.
    pub(super) unresolved: Vec<String>,
}

impl Hosts {
    /// Looks them up now. An error if one is not found and the policy requires the network as it says.
    pub(super) fn look_up(policy: &Policy) -> Result<Self> {
        let strictness = policy.strictness(Feature::Network);
        let names = policy.network.names();
        if names.is_empty() || strictness == Strictness::Disable {
            return Ok(Self::default());
        }
        let resolved = names::resolve(&names, PATIENCE)?;
        let failures = resolved.failures.iter();
        let unresolved = failures
            .map(|failure| format!("{}: {}", failure.name, failure.reason))
            .collect();
        let addresses = match strictness {
            Strictness::Require => resolved.all()?,
            _ => resolved.addresses,
        };
        Ok(Self {
            file: Some(Arc::new(service::Hosts::new(&addresses)?)),
            addresses,
            unresolved,
        })
    }
}
