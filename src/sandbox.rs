//! The Rust face: a policy, and the runs made under it.
//!
//! One run: [`Sandbox::spawn`] compiles the policy for this kernel (`compile`), opens what the result names
//! (`spawn/prepare.rs`), starts the warden, and the warden starts the program. Compiling and opening are kept for the
//! next run, for as long as policy, privileges and the files behind the path rules stay the same.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::compile;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::policy::Policy;
use crate::policy::syscalls::{SyscallRule, Verdict};
use crate::probe::{Capabilities, Privileges};
use crate::process::{Outcome, Process};
use crate::spawn::{self, Prepared};

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
/// let outcome = Sandbox::new(policy).run(vec![c"/usr/bin/id".into()], None)?;
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
        self.prepare().map(drop)
    }

    /// Starts `argv` under the policy. A program name without `/` is looked up in the PATH it will have.
    pub fn spawn(&self, argv: Vec<CString>, options: SpawnOptions) -> Result<Process> {
        spawn::start(self.last_prepared(), || self.prepare(), argv, options, None)
    }

    /// Runs `argv` to its end with standard output and error captured and standard input empty. After `timeout` the
    /// sandbox is killed, and the outcome says so.
    pub fn run(&self, argv: Vec<CString>, timeout: Option<Duration>) -> Result<Arc<Outcome>> {
        let options = SpawnOptions {
            stdio: [Stdio::Null, Stdio::Capture, Stdio::Capture],
            ..SpawnOptions::default()
        };
        let process = spawn::start(self.last_prepared(), || self.prepare(), argv, options, timeout)?;
        process
            .wait(None)?
            .ok_or_else(|| Error::new(ErrorKind::Internal, Stage::Wait, "an unlimited wait ran out of time"))
    }

    /// Applies the layers that need no supervisor and no new process to the calling thread, for good.
    pub fn confine_self(&self) -> Result<()> {
        spawn::confine_self(&self.policy, &*self.prepare()?)
    }

    /// What the last run used.
    fn last_prepared(&self) -> Option<Arc<Prepared>> {
        self.prepared.lock().clone()
    }

    fn prepare(&self) -> Result<Arc<Prepared>> {
        let mut kept = self.prepared.lock();
        let privileges = Privileges::probe();
        if let Some(prepared) = kept.as_ref().filter(|prepared| prepared.is_current(privileges)) {
            return Ok(Arc::clone(prepared));
        }
        *kept = None;
        let compiled = compile::compile(&self.policy, &Capabilities::probe());
        let prepared = Arc::new(Prepared::new(&self.policy, compiled, privileges).map_err(|problems| {
            Error::all(problems)
                .unwrap_or_else(|| Error::new(ErrorKind::Internal, Stage::Policy, "refused without a reason"))
        })?);
        *kept = Some(Arc::clone(&prepared));
        Ok(prepared)
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
