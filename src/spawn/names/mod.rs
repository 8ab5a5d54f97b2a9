//! Host names of the policy's rules, resolved when a sandbox is started.
//!
//! The host's own resolver does it (getaddrinfo(3) in `system`), with all that the host is configured for: /etc/hosts, DNS, search
//! domains, whatever nsswitch.conf(5) names. It may take long and cannot be interrupted, so it works on threads of its own (`lookups`),
//! which are left alone when the time is up. What a sandbox may reach are the addresses that came out, not the names: the program
//! finds them in the /etc/hosts that it is given (`service/net/hosts`), and asks no server.
//!
//! Addresses come sorted, each once. One that is IPv4 in IPv6's clothes is IPv4. Two kinds are left out: link-local ones of a
//! certain interface, for rules know no interfaces, and the unspecified one (0.0.0.0, ::), by which resolvers say that a name is
//! blocked and the kernel means the loopback interface.

mod lookups;
mod refresher;
mod system;

#[cfg(test)]
#[path = "names_tests.rs"]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crossbeam_channel::never;

use crate::error::{Error, ErrorKind, Result, Stage};

use lookups::{Deadline, Means, Stop};

#[allow(unused_imports)] // until network rules use it
pub(crate) use refresher::Refresher;

/// How long names may take, all of them together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Most addresses of one name that count.
const MOST_ADDRESSES: usize = 256;

/// What has become of some names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Of those that were resolved: at least one each.
    pub(crate) addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The others.
    pub(crate) failures: Vec<Failure>,
}

/// A name that was not resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) reason: String,
    /// NOT_FOUND: there is no such name, or it has no address. SYSTEM: it could not be found out.
    pub(crate) kind: ErrorKind,
}

impl Failure {
    /// As an error, for who cannot do without.
    pub(crate) fn error(&self) -> Error {
        Error::new(
            self.kind,
            Stage::Network,
            format_args!("{}: {}", self.name, self.reason),
        )
    }
}

impl Resolved {
    /// The addresses of all names; an error that says which could not be resolved, and why, if there are any.
    pub(crate) fn all(self) -> Result<BTreeMap<String, Vec<IpAddr>>> {
        match Error::all(self.failures.iter().map(Failure::error).collect()) {
            Some(error) => Err(error),
            None => Ok(self.addresses),
        }
    }
}

/// Resolves `names`, in `timeout` at most. Names that have not been resolved by then are failures like any other. An error if
/// nothing could even be tried.
///
/// Its threads carry what the calling thread is: privileges, namespaces, confinement.
pub(crate) fn resolve(names: &[&str], timeout: Duration) -> Result<Resolved> {
    let time = Deadline::new(timeout);
    resolve_by(names, &Means::of_system(), &time, &never()).map(Option::unwrap_or_default)
}

/// None: stopped.
fn resolve_by(names: &[&str], means: &Means, time: &Deadline, stop: &Stop) -> Result<Option<Resolved>> {
    let mut resolved = Resolved::default();
    if names.is_empty() {
        return Ok(Some(resolved));
    }
    let Some(answers) = lookups::look_up(names, means, time, stop)? else {
        return Ok(None);
    };
    for (name, answer) in names.iter().zip(answers) {
        match answer {
            Ok(addresses) => drop(resolved.addresses.insert((*name).to_owned(), addresses)),
            Err(failure) => resolved.failures.push(failure),
        }
    }
    Ok(Some(resolved))
}
