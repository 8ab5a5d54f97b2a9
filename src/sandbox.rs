//! The Rust face: a policy, and the runs made under it.
//!
//! One run: [`Sandbox::spawn`] compiles the policy for this kernel (`compile`), opens what the result names
//! (`spawn/prepare.rs`), starts the warden, and the warden starts the program. Compiling and opening are kept for the
//! next run, for as long as policy, privileges and the files behind the path rules stay the same.

mod network;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use crate::compile::arch::Arch;
use crate::compile::filter::{Action, CallData};
use crate::compile::traps::Selector;
use crate::compile::{self, Serving};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::Feature;
use crate::policy::Policy;
use crate::policy::syscalls::{SyscallRule, Verdict};
use crate::probe::{Capabilities, Owners, Place, Privileges, Refusals};
use crate::process::{Outcome, Process};
use crate::service;
use crate::spawn::{self, FilesOfRules, Prepared};
use crate::supervisor::{Link, Look, Service, Services, Supervisor, kind};

use network::Hosts;
pub use network::{Port, ports as ports_of, update as update_network};

pub use crate::spawn::{Passed, SpawnOptions, Stdio};

/// A policy, ready for any number of runs.
///
/// ```no_run
/// use sandlock::policy::{Access, PathRule, Policy};
/// use sandlock::sandbox::Sandbox;
///
/// let mut policy = Policy::new();
/// let access = Access::from_bits(Access::READ | Access::EXECUTE)?;
/// policy.paths.push(PathRule::new(c"/usr".into(), access)?);
/// let outcome = Sandbox::new(policy).run(None, vec![c"/usr/bin/id".into()], None)?;
/// assert_eq!(outcome.exit_code, Some(0));
/// # Ok::<(), sandlock::error::Error>(())
/// ```
pub struct Sandbox {
    policy: Policy,
    prepared: Mutex<Option<Arc<Prepared>>>,
}

impl Sandbox {
    /// A sandbox under `policy`.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            prepared: Mutex::new(None),
        }
    }

    /// A sandbox under the policy that `text` describes, in which the names of system calls must be known.
    pub fn from_toml(text: &str) -> Result<Self> {
        Policy::from_toml_with(text, &compile::syscalls::check_name).map(Self::new)
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The policy, to be changed: the next run compiles it anew. Runs that were started keep the former one.
    pub fn policy_mut(&mut self) -> &mut Policy {
        *self.prepared.get_mut() = None;
        &mut self.policy
    }

    /// Adds a rule about a system call or group, whose name must be known.
    pub fn add_syscall_rule(&mut self, name: &str, verdict: Verdict) -> Result<()> {
        compile::syscalls::check_name(name)?;
        self.policy_mut().syscalls.rules.push(SyscallRule {
            name: name.to_owned(),
            verdict,
        });
        Ok(())
    }

    /// Says everything that [`Sandbox::spawn`] would refuse about the policy.
    pub fn check(&self) -> Result<()> {
        self.prepare(&for_program(Vec::new())).map(drop)
    }

    /// Starts `argv` under the policy. A program name without `/` is looked up in the PATH it will have. The handlers of
    /// `supervisor` look at its system calls.
    pub fn spawn(&self, supervisor: Option<&Supervisor>, argv: Vec<CString>, options: SpawnOptions) -> Result<Process> {
        self.start(supervisor, argv, options, None)
    }

    /// Runs `argv` to its end with standard output and error captured and standard input empty. After `timeout` the
    /// sandbox is killed, and the outcome says so.
    pub fn run(
        &self,
        supervisor: Option<&Supervisor>,
        argv: Vec<CString>,
        timeout: Option<Duration>,
    ) -> Result<Arc<Outcome>> {
        let options = SpawnOptions {
            stdio: [Stdio::Null, Stdio::Capture, Stdio::Capture],
            ..SpawnOptions::default()
        };
        self.start(supervisor, argv, options, timeout)?
            .wait(None)?
            .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Wait, "an unlimited wait ran out of time"))
    }

    /// Applies the layers that need no supervisor and no new process to the calling thread, for good.
    pub fn confine_self(&self) -> Result<()> {
        spawn::confine_self(&self.policy, &*self.prepare(&compile::Request::default())?)
    }

    fn start(
        &self,
        supervisor: Option<&Supervisor>,
        argv: Vec<CString>,
        options: SpawnOptions,
        deadline: Option<Duration>,
    ) -> Result<Process> {
        let supervision = supervisor.map(|supervisor| {
            let mut supervision = supervisor.supervision();
            supervision.links.splice(..0, observation(supervisor.observed()));
            supervision
        });
        let selectors: Vec<Selector> = supervision
            .iter()
            .flat_map(|supervision| &supervision.links)
            .map(|look| Selector {
                name: look.selector.clone(),
                lenient: look.lenient,
            })
            .collect();
        let traced = supervisor.is_some_and(|supervisor| supervisor.observed() & kind::MISSING != 0);
        let asked = traced || !selectors.is_empty();
        let hosts = Hosts::look_up(&self.policy)?;
        let network = RefCell::new(None);
        let services = |prepared: &Prepared, files_of_rules| services(prepared, files_of_rules, &hosts, &network);
        let request = compile::Request {
            traced,
            ..for_program(selectors)
        };
        let policy = spawn::Source {
            guess: self.last_prepared(),
            prepare: &|| self.prepare(&request),
            services: &services,
            unresolved: &hosts.unresolved,
        };
        let mut process = if asked || request.serving != Serving::Possible {
            spawn::start(policy, supervision, argv, options, deadline)?
        } else {
            // The library's own listener is not worth failing for if the policy does not ask for what it is needed for.
            let started = spawn::start(policy, supervision, argv.clone(), options.clone(), deadline);
            match started {
                Err(error) if error.stage() == Stage::Seccomp && error.errno() == libc::EBUSY => {
                    HOST_IS_SUPERVISED.set(true);
                    let request = for_program(Vec::new());
                    let policy = spawn::Source {
                        guess: None,
                        prepare: &|| self.prepare(&request),
                        services: &services,
                        unresolved: &hosts.unresolved,
                    };
                    spawn::start(policy, None, argv, options, deadline)?
                }
                started => started?,
            }
        };
        if let Some(network) = network.into_inner() {
            network::keep(&mut process, &network, &self.policy, hosts)?;
        }
        Ok(process)
    }

    /// What the last run used.
    fn last_prepared(&self) -> Option<Arc<Prepared>> {
        self.prepared.lock().clone()
    }

    fn prepare(&self, request: &compile::Request) -> Result<Arc<Prepared>> {
        let mut kept = self.prepared.lock();
        let privileges = Privileges::probe();
        if let Some(prepared) = kept
            .as_ref()
            .filter(|prepared| prepared.is_current(privileges, request))
        {
            return Ok(Arc::clone(prepared));
        }
        *kept = None;
        let mut kernel = Capabilities::probe();
        if compile::mechanism::makes_namespaces(request) {
            kernel.refused_namespaces = Refusals::probe(self.policy.namespace_flags());
        }
        let place = if self.policy.could_use_group() && request.serving != Serving::NoNewProcess {
            let (groups, place) = Place::find(self.policy.cgroup.as_deref(), self.policy.writable_in_host());
            kernel.groups = groups;
            place
        } else {
            None
        };
        let compiled = compile::compile(&self.policy, request, &kernel);
        let prepared = Arc::new(
            Prepared::new(&self.policy, compiled, privileges, request.clone(), place).map_err(|problems| {
                Error::all(problems)
                    .unwrap_or_else(|| Error::new(ErrorKind::Internal, Stage::Policy, "refused without a reason"))
            })?,
        );
        // What the kernel lacks only now is asked for again the next time.
        if !kernel.refused_namespaces.may_pass() {
            *kept = Some(Arc::clone(&prepared));
        }
        Ok(prepared)
    }
}

/// Who looks on for observers of events of the kinds in `mask`.
fn observation(mask: u64) -> Vec<Look> {
    let observation: Arc<dyn Service> = Arc::new(service::observe::Observation::new(mask));
    let look = |name: &&str| Look {
        selector: (*name).to_owned(),
        lenient: true,
        link: Link::Service(Arc::clone(&observation)),
    };
    service::observe::calls(mask).iter().map(look).collect()
}

/// What a policy is compiled for when a program is started whose calls `selectors` name are looked at.
fn for_program(selectors: Vec<Selector>) -> compile::Request {
    let serving = if spawn::is_plain_fork() {
        Serving::PlainFork
    } else if HOST_IS_SUPERVISED.get() {
        Serving::HostIsSupervised
    } else {
        Serving::Possible
    };
    compile::Request {
        selectors,
        serving,
        traced: false,
    }
}

thread_local! {
    /// The kernel has said that this thread has a listener already, which it cannot get rid of.
    static HOST_IS_SUPERVISED: Cell<bool> = const { Cell::new(false) };
}

/// The library's own services for a run.
fn services(
    prepared: &Prepared,
    files_of_rules: Option<FilesOfRules>,
    hosts: &Hosts,
    network: &RefCell<Option<Arc<service::NetworkService>>>,
) -> Services {
    let run = service::Run {
        addresses: &hosts.addresses,
        hosts: hosts.file.clone(),
        keeps_capabilities: !prepared.compiled.decisions.uses(Feature::Capabilities),
        policy: &prepared.policy,
        grants: &prepared.grants,
        files_of_rules,
        restricts_files: prepared.compiled.decisions.uses(Feature::Files),
        network: prepared.compiled.network,
        owners: prepared
            .compiled
            .decisions
            .uses(Feature::NsUser)
            .then(|| Owners::of(prepared.settings.user))
            .map(|owners| (owners.inside, owners.outside)),
        name: |number| Arch::NATIVE.name(number),
        decide: decide(prepared),
    };
    let traps = &prepared.compiled.traps.services;
    let service = |feature: Feature| match feature {
        Feature::Network => {
            let service = Arc::new(service::NetworkService::new(&run));
            network.replace(Some(Arc::clone(&service)));
            service
        }
        _ => service::for_feature(feature, &run),
    };
    traps
        .iter()
        .map(|(feature, numbers)| (service(*feature), numbers.clone()))
        .collect()
}

/// What the filter says of a call that it leaves to the library.
fn decide(prepared: &Prepared) -> service::Decide {
    let traced = prepared.compiled.traced.clone();
    Arc::new(move |received| {
        let spec = traced.as_ref()?;
        let call = CallData {
            number: u32::try_from(received.number).ok()?,
            arch: received.arch,
            instruction_pointer: received.instruction_pointer,
            arguments: received.arguments,
        };
        match spec.decide(&call) {
            Action::Allow | Action::Notify => None,
            Action::Errno(errno) => Some(errno),
            // It would not have come so far.
            Action::Kill => Some(1),
        }
    })
}

/// Checks that `selector` is a system call of some architecture or a `@group`.
pub fn check_selector(selector: &str) -> Result<()> {
    compile::syscalls::check_name(selector)
}

/// The name of the system call `number` on this architecture.
pub fn syscall_name(number: u32) -> Option<&'static CStr> {
    static NAMES: OnceLock<BTreeMap<u32, CString>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let name = |number| Some((number, CString::new(Arch::NATIVE.name(number)?).ok()?));
        Arch::NATIVE.numbers().filter_map(name).collect()
    });
    names.get(&number).map(CString::as_c_str)
}

impl Clone for Sandbox {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy.clone(),
            prepared: Mutex::new(self.prepared.lock().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_trapped_are_those_that_are_served() {
        assert_eq!(compile::defaults::METADATA, service::metadata::CALLS);
        let traced: Vec<_> = service::trace::calls().collect();
        assert_eq!(compile::traps::GOVERNED, traced);
    }
}
