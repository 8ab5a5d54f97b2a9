//! What network rules take for each run: the names in them looked up, and a table to decide by.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::{Feature, Strictness};
use crate::policy::net::Protocol;
use crate::policy::{Flag, NetRule, NetRules, Policy};
use crate::process::Process;
use crate::service;
use crate::spawn::names::{self, PATIENCE, Refresher};

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

/// What keeps a sandbox's network as its owner says.
struct Owned {
    service: Arc<service::NetworkService>,
    /// The policy says that rules may change.
    may_change: bool,
    /// Ports are the sandbox's own numbers.
    remaps: bool,
}

/// Leaves the network with the process, and if the policy asks for it has the names in its rules looked up again from time to time.
pub(super) fn keep(
    process: &mut Process,
    service: &Arc<service::NetworkService>,
    policy: &Policy,
    hosts: Hosts,
) -> Result<()> {
    process.keep_network(Arc::new(Owned {
        service: Arc::clone(service),
        may_change: policy.process.has(Flag::NetUpdates),
        remaps: policy.reach().remaps,
    }));
    if let Some(interval) = policy.network.refresh.filter(|_| hosts.file.is_some()) {
        let names = policy.network.names().into_iter().map(str::to_owned).collect();
        let (service, interval) = (Arc::clone(service), Duration::from_secs(interval.into()));
        let tell = Box::new(move |addresses| {
            // What cannot be had is memory for a file: the program goes on finding the former addresses there.
            let _ = service.renew(addresses);
        });
        process.keep(Box::new(Refresher::start(names, hosts.addresses, interval, tell)?));
    }
    Ok(())
}

/// Has `allow` and `deny` count, from now on, for what the program of `process` connects and sends to, as far as the policy that it was
/// started with allows it; None: what that allows. Ports that may be bound to stay what they are, and so do connections.
pub fn update(process: &Process, allow: Option<Vec<NetRule>>, deny: Vec<NetRule>) -> Result<()> {
    let owned = process.network()?.and_then(|network| network.downcast::<Owned>().ok());
    let Some(owned) = owned.filter(|owned| owned.may_change) else {
        return Err(Error::new(
            ErrorKind::State,
            Stage::Network,
            "the policy does not say NET_UPDATES, or has no rules that allow something",
        ));
    };
    let rules = NetRules {
        allow: allow.unwrap_or_else(|| owned.service.allowed_at_start()),
        deny,
        ..NetRules::default()
    };
    let unknown = owned.service.unknown_names(&rules);
    let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
    let addresses = names::resolve(&unknown, PATIENCE)?.all()?;
    owned.service.update(rules, &addresses)
}

/// A port of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The number that the program knows.
    pub inside: u16,
    /// The host's, which that stands for.
    pub outside: u16,
}

/// The ports that the program of `process` is bound to now, if they are numbers of its own.
pub fn ports(process: &Process) -> Result<Vec<Port>> {
    let owned = process.network()?.and_then(|network| network.downcast::<Owned>().ok());
    let Some(owned) = owned.filter(|owned| owned.remaps) else {
        return Err(Error::new(
            ErrorKind::State,
            Stage::Network,
            "the policy does not say PORT_REMAP, or allows no port to be bound to",
        ));
    };
    let port = |(protocol, inside, outside)| Port {
        protocol,
        inside,
        outside,
    };
    Ok(owned.service.ports()?.into_iter().map(port).collect())
}
