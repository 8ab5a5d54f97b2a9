//! A policy, and the runs made under it.
//!
//! One run: [`Sandbox::spawn`] compiles the policy for this kernel, opens what it names, starts a thread of the library, and that starts
//! the program. Compiling and opening are kept for the next run, for as long as policy, privileges and the files behind the path rules
//! stay the same; so a [`Sandbox`] is for any number of runs, from any thread, and the first takes longer.
//!
//! ```
//! use std::time::Duration;
//!
//! use sandlock::{Access, Policy, Reason, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.clear_env();
//! let mut sandbox = Sandbox::new(policy);
//!
//! let outcome = sandbox.run(None, ["cat", "/etc/passwd"], Some(Duration::from_secs(10)))?;
//! assert_eq!((outcome.reason, outcome.exit_code), (Reason::Exited, Some(1)));
//!
//! // A change counts from the next run on.
//! sandbox.policy_mut().allow_path("/etc/passwd", Access::READ)?;
//! let outcome = sandbox.run(None, ["cat", "/etc/passwd"], Some(Duration::from_secs(10)))?;
//! assert_eq!(outcome.stdout.bytes, std::fs::read("/etc/passwd")?);
//!
//! // Time that is up is an outcome, and no error.
//! let outcome = sandbox.run(None, ["sleep", "1000"], Some(Duration::from_millis(50)))?;
//! assert_eq!(outcome.reason, Reason::Timeout);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod network;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::compile::arch::Arch;
use crate::compile::filter::{Action, CallData};
use crate::compile::traps::Selector;
use crate::compile::{self, Serving};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::Feature;
use crate::lock::Mutex;
use crate::policy::syscalls::{SyscallRule, Verdict};
use crate::policy::{Policy, check};
use crate::probe::{Capabilities, Owners, Place, Privileges, Refusals};
use crate::process::{Outcome, Process};
use crate::service;
use crate::spawn::{self, FilesOfRules, Prepared};
use crate::supervisor::{Link, Look, Service, Services, Supervisor, kind};

use network::Hosts;
pub use network::Port;

pub use crate::spawn::{DEFAULT_CAPTURE_LIMIT, Passed, SpawnOptions, Stdio};

/// A policy, ready for any number of runs: see the [module](self).
///
/// Any thread, several at a time; a change takes it exclusively. Running programs need it no more. In a process that was forked off
/// while another thread used it, make another.
pub struct Sandbox {
    policy: Policy,
    prepared: Mutex<Option<Arc<Prepared>>>,
}

impl Sandbox {
    /// A sandbox under `policy`. Asks nobody: what cannot be had is said by [`Sandbox::check`], and by each run.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            prepared: Mutex::new(None),
        }
    }

    /// A sandbox under the policy that `text` describes: [`Policy::from_toml`] has the schema. Names of system calls are checked too.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): every problem of the text, with line and column.
    ///
    /// ```
    /// use sandlock::Sandbox;
    ///
    /// let sandbox = Sandbox::from_toml(
    ///     r#"
    ///     [filesystem]
    ///     read-execute = ["/usr", { path = "/lib64", optional = true }]
    ///     [limits]
    ///     wall = 10_000
    ///     [process]
    ///     environment = "minimal"
    ///     "#,
    /// )?;
    /// assert_eq!(sandbox.run(None, ["printenv", "HOME"], None)?.stdout.bytes, b"/\n");
    ///
    /// let error = Sandbox::from_toml("syscalls.deny = [\"no_such_call\"]").err().unwrap();
    /// assert!(error.message().starts_with("policy: line 1, column 18:"), "{error}");
    /// # Ok::<(), sandlock::Error>(())
    /// ```
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

    /// Adds a rule about a system call or group.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ErrorKind::InvalidArgument): no architecture has a call of that name, and there is no such group.
    pub fn add_syscall_rule(&mut self, name: &str, verdict: Verdict) -> Result<()> {
        compile::syscalls::check_name(name)?;
        self.policy_mut().syscalls.rules.push(SyscallRule {
            name: name.to_owned(),
            verdict,
        });
        Ok(())
    }

    /// Says whether [`Sandbox::spawn`] would accept the policy on this kernel, without spawning. What it has opened is kept for the next run.
    ///
    /// # Errors
    ///
    /// The message names every problem; kind, stage and errno are the first one's. [`InvalidArgument`](ErrorKind::InvalidArgument):
    /// rules that contradict each other or mean nothing. [`NotFound`](ErrorKind::NotFound), [`Permission`](ErrorKind::Permission),
    /// [`System`](ErrorKind::System): a path cannot be opened. [`Unsupported`](ErrorKind::Unsupported): the kernel lacks a required feature.
    /// [`Limit`](ErrorKind::Limit): the rules need a filter of more than 4096 instructions.
    pub fn check(&self) -> Result<()> {
        self.prepare(&for_program(Vec::new())).map(drop)
    }

    /// Starts the program and arguments `argv` under the policy, and returns when it has been executed, fully confined, or has failed to
    /// be. A program name without `/` is looked up in the PATH that it will have, among the files that it sees; the policy must grant
    /// EXECUTE on it. The handlers of `supervisor` look at its system calls.
    ///
    /// A thread of the library, with all signals blocked, owns the sandbox until it ends; the calling thread may end at once. If a stream
    /// or descriptor is the host's controlling terminal, the program stays in the host's session, in a process group of its own.
    ///
    /// # Errors
    ///
    /// No process, thread or descriptor is left behind then, and the program has not run. Those of [`Sandbox::check`];
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) also for an empty `argv`, a NUL in it, options that contradict each other, descriptors
    /// that are not open. [`System`](ErrorKind::System): the host is out of descriptors, threads or processes.
    /// [`ChildSetup`](ErrorKind::ChildSetup): a required step failed in the child; stage and errno tell which and why.
    /// [`Exec`](ErrorKind::Exec): the program cannot be executed. [`State`](ErrorKind::State): a handler is for a call that the policy denies.
    /// [`NotFound`](ErrorKind::NotFound) also for a host that a network rule names and nobody knows.
    ///
    /// ```
    /// use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ_EXECUTE)?;
    /// let options = SpawnOptions::new().stdout(Stdio::Capture).stderr(Stdio::Null);
    /// let process = Sandbox::new(policy).spawn(None, ["echo", "hello"], options)?;
    /// let outcome = process.wait(None)?.expect("waited without limit");
    /// assert_eq!(outcome.stdout.bytes, b"hello\n");
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn spawn<S: AsRef<OsStr>>(
        &self,
        supervisor: Option<&Supervisor>,
        argv: impl IntoIterator<Item = S>,
        options: SpawnOptions,
    ) -> Result<Process> {
        self.start(supervisor, strings(argv)?, options, None)
    }

    /// Runs `argv` to its end with standard output and error captured, 16 MiB of each, and standard input empty. When `timeout` has passed
    /// since the child was made, the sandbox is killed and the outcome says so.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::spawn`], and [`Timeout`](ErrorKind::Timeout): the time was up before the program was executed.
    pub fn run<S: AsRef<OsStr>>(
        &self,
        supervisor: Option<&Supervisor>,
        argv: impl IntoIterator<Item = S>,
        timeout: Option<Duration>,
    ) -> Result<Arc<Outcome>> {
        self.run_to_end(supervisor, strings(argv)?, timeout)
    }

    /// As [`Sandbox::run`].
    pub(crate) fn run_to_end(
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

    /// Confines the calling thread, for good: capabilities, no_new_privs, Landlock and the system call filter, and limits, which hold for the
    /// whole process. Threads and processes that it starts from now on are confined with it; its other threads are not, unless
    /// [`Flag::AllThreads`](crate::policy::Flag::AllThreads) asks for them. Descriptors that are open stay usable. Features that need a new
    /// process do not apply. After an error some of it may have taken effect: end the thread.
    ///
    /// # Errors
    ///
    /// Those of [`Sandbox::check`]; [`InvalidArgument`](ErrorKind::InvalidArgument) also if the policy sets something that is for starting a
    /// program, such as its environment. [`ChildSetup`](ErrorKind::ChildSetup): a required step failed.
    ///
    /// ```standalone_crate
    /// use std::io::ErrorKind;
    ///
    /// use sandlock::{Access, Policy, Sandbox};
    ///
    /// let mut policy = Policy::new();
    /// policy.allow_path("/usr", Access::READ)?;
    /// let sandbox = Sandbox::new(policy);
    /// let confined = std::thread::spawn(move || {
    ///     sandbox.confine_self()?;
    ///     assert!(std::fs::read_dir("/usr").is_ok());
    ///     let refused = std::fs::read("/etc/passwd").unwrap_err();
    ///     assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    ///     Ok::<(), sandlock::Error>(())
    /// });
    /// confined.join().unwrap()?;
    /// assert!(std::fs::read("/etc/passwd").is_ok()); // this thread is as it was
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    pub fn confine_self(&self) -> Result<()> {
        spawn::confine_self(&self.policy, &*self.prepare(&compile::Request::default())?)
    }

    /// As [`Sandbox::spawn`]; after `deadline` the sandbox is killed.
    pub(crate) fn start(
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
        check_asked(&kernel)?;
        let compiled = compile::compile(&self.policy, request, &kernel);
        let prepared = Arc::new(
            Prepared::new(&self.policy, compiled, privileges, request.clone(), place).map_err(|problems| {
                Error::all(problems)
                    .unwrap_or_else(|| Error::new(ErrorKind::Internal, Stage::Policy, "refused without a reason"))
            })?,
        );
        // What there is nothing of only now is asked for again the next time.
        if !kernel.may_change() {
            *kept = Some(Arc::clone(&prepared));
        }
        Ok(prepared)
    }
}

/// An error if the host had not what it takes to ask the kernel.
pub(crate) fn check_asked(kernel: &Capabilities) -> Result<()> {
    kernel.short_of().map_or(Ok(()), |errno| {
        let what = "cannot ask what the kernel offers";
        Err(Error::system(ErrorKind::System, Stage::Spawn, what, errno))
    })
}

/// Program and arguments as the kernel takes them.
fn strings<S: AsRef<OsStr>>(argv: impl IntoIterator<Item = S>) -> Result<Vec<CString>> {
    argv.into_iter()
        .map(|argument| check::without_nul(argument.as_ref(), "argument"))
        .collect()
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
///
/// # Errors
///
/// [`InvalidArgument`](ErrorKind::InvalidArgument): it is neither.
///
/// ```
/// use sandlock::sandbox::{check_selector, syscall_name};
///
/// assert!(check_selector("openat").is_ok() && check_selector("@file-system").is_ok());
/// assert!(check_selector("opnat").is_err());
/// assert_eq!(syscall_name(libc::SYS_openat as u32), Some(c"openat"));
/// ```
pub fn check_selector(selector: &str) -> Result<()> {
    compile::syscalls::check_name(selector)
}

/// The name of the system call `number` on this architecture; None for a number that the library does not know.
pub fn syscall_name(number: u32) -> Option<&'static CStr> {
    static NAMES: OnceLock<BTreeMap<u32, CString>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        let name = |number| Some((number, CString::new(Arch::NATIVE.name(number)?).ok()?));
        Arch::NATIVE.numbers().filter_map(name).collect()
    });
    names.get(&number).map(CString::as_c_str)
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sandbox")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl From<Policy> for Sandbox {
    fn from(policy: Policy) -> Self {
        Self::new(policy)
    }
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
