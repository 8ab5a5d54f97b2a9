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

/// A port of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The number that the program knows.
    pub inside: u16,
    /// The host's, which that stands for.
    pub outside: u16,
}

// What the owner of a running sandbox can do about its network. Here, since `process` knows no services.
impl Process {
    /// Has `allow` and `deny` count, from when this returns on, for what the program connects and sends to, as far as the policy that it was
    /// started with allows it; None for `allow`: what that allows. So rules are tightened, and loosened again up to that ceiling. Ports
    /// that may be bound to stay what they are, and so do connections. New names of hosts are looked up first, which may take five seconds.
    ///
    /// # Errors
    ///
    /// What counted before counts then. [`State`](ErrorKind::State): the policy does not say
    /// [`Flag::NetUpdates`], or allows nothing; the handle is from before a fork. [`NotFound`](ErrorKind::NotFound),
    /// [`System`](ErrorKind::System): a name cannot be resolved; but where only the new /etc/hosts could not be made (System), the rules
    /// have changed and that file has not.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Write;
    /// use std::net::TcpListener;
    ///
    /// use sandlock::{Access, Flag, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let port = listener.local_addr()?.port();
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?.clear_env();
    /// policy.allow_net("tcp://127.0.0.1")?.set_flag(Flag::NetUpdates, true);
    ///
    /// // It connects when it is told to.
    /// let options = SpawnOptions::new().stdin(Stdio::Pipe).stderr(Stdio::Capture);
    /// let script = format!("read line; exec 3<>/dev/tcp/127.0.0.1/{port}");
    /// let process = Sandbox::new(policy).spawn(None, ["bash", "-c", &script], options)?;
    /// process.update_network(Some(Vec::new()), Vec::new())?;
    /// File::from(process.take_stdio(0).unwrap()).write_all(b"go\n")?;
    ///
    /// let outcome = process.wait(None)?.expect("waited without limit");
    /// assert_eq!(outcome.exit_code, Some(1));
    /// assert!(outcome.stderr.bytes.ends_with(b"Permission denied\n"), "{outcome:?}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_network(&self, allow: Option<Vec<NetRule>>, deny: Vec<NetRule>) -> Result<()> {
        let owned = self.network()?.and_then(|network| network.downcast::<Owned>().ok());
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

    /// The ports that the program is bound to at this moment, if they are numbers of its own: TCP first, by the program's numbers.
    ///
    /// # Errors
    ///
    /// [`State`](ErrorKind::State): the policy does not say [`Flag::PortRemap`], or allows no port to be bound to; the handle is from before
    /// a fork.
    pub fn ports(&self) -> Result<Vec<Port>> {
        let owned = self.network()?.and_then(|network| network.downcast::<Owned>().ok());
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
}
