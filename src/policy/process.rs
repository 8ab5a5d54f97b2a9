//! The process that a program starts in: environment, directory, umask, priority, processors, user, and the flags.
//!
//! ```
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! policy.clear_env().set_env("GREETING", "hello")?.set_cwd("/usr")?;
//! policy.process.set_umask(0o077)?;
//! let sandbox = Sandbox::new(policy);
//!
//! let outcome = sandbox.run(None, ["env"], None)?;
//! assert_eq!(outcome.stdout.bytes, b"PATH=/usr/local/bin:/usr/bin:/bin\nHOME=/\nLANG=C.UTF-8\nGREETING=hello\n");
//! assert_eq!(sandbox.run(None, ["pwd"], None)?.stdout.bytes, b"/usr\n");
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

use crate::error::Result;
use crate::feature::numbered;

use super::check;

numbered! {
    /// A setting that is on or off; all are off in a new policy.
    #[non_exhaustive]
    Flag {
        /// A fixed address space layout, for runs that must repeat exactly. Weakens the program against its own bugs.
        NoAslr = 1, "NO_ASLR";
        /// No core dumps, to files or to a host's core handler.
        NoCoredump = 2, "NO_COREDUMP";
        /// No transparent huge pages. Starting then copies the host's page tables. Not to be had together with PID and mount namespaces,
        /// nor for calls of the start that handlers look at.
        NoHugePages = 3, "NO_HUGE_PAGES";
        /// For [`Sandbox::confine_self`](crate::sandbox::Sandbox::confine_self) alone: it reaches every thread of the process, or fails.
        /// Takes Landlock ABI 8 (Linux 7.0), or a policy that disables every feature of Landlock.
        AllThreads = 4, "ALL_THREADS";
        /// Nothing but what the kernel enforces by itself: no call is put before the library. Then there is no limit of processes,
        /// metadata of files cannot be changed, and handlers are refused. For hosts that are supervised by somebody else (a process can
        /// have one listener only), and kernels before Linux 5.5.
        NoSupervisor = 5, "NO_SUPERVISOR";
        /// The sandbox ends with its last process, not with the program: what that has started may finish. The outcome is the program's.
        WaitForDescendants = 6, "WAIT_FOR_DESCENDANTS";
        /// Beyond [`Limit::Memory`](super::Limit::Memory) the largest process is killed, and not the sandbox.
        MemoryKillsLargest = 7, "MEMORY_KILLS_LARGEST";
        /// A captured stream that gives more than is kept ends the sandbox. Without it the rest is read, dropped and counted.
        OutputKills = 8, "OUTPUT_KILLS";
        /// The network rules of a running sandbox can be changed:
        /// [`Process::update_network`](crate::process::Process::update_network). The library looks at every connection for that.
        NetUpdates = 9, "NET_UPDATES";
        /// Ports are the sandbox's own numbers, which stand for others of the host, so that several sandboxes can all bind to 8080:
        /// [`Process::ports`](crate::process::Process::ports). Linux 5.9.
        PortRemap = 10, "PORT_REMAP";
    }
}

/// Where the environment of the program comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// The host's, as it is at spawn.
    #[default]
    Inherit,
    /// [`MINIMAL_ENVIRONMENT`].
    Minimal,
}

impl Environment {
    /// Its name in texts of policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inherit => "inherit",
            Self::Minimal => "minimal",
        }
    }
}

/// The environment that clearing leaves.
pub const MINIMAL_ENVIRONMENT: &[&CStr] = &[c"PATH=/usr/local/bin:/usr/bin:/bin", c"HOME=/", c"LANG=C.UTF-8"];

/// Everything about the process but its confinement. The setters check what they are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// Where the environment starts from.
    pub environment: Environment,
    /// Variables to set, or with None to remove, on top of that, in order.
    pub variables: Vec<(CString, Option<CString>)>,
    /// Working directory; the host's if None.
    pub cwd: Option<CString>,
    /// File mode creation mask; the host's if None.
    pub umask: Option<u32>,
    /// Nice value, -20 (most favoured) to 19; the host's if None. Below that it takes privileges.
    pub nice: Option<i32>,
    /// Processors to run on, 0 to 1023; the host's if empty.
    pub cpus: BTreeSet<u32>,
    /// The user and group id that the program goes by, in a user namespace; the host's if None.
    pub user: Option<(u32, u32)>,
    flags: BTreeSet<Flag>,
}

impl ProcessSettings {
    /// Sets a variable, or removes it with None.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an empty name, or one with `=`.
    pub fn set_variable(&mut self, name: CString, value: Option<CString>) -> Result<()> {
        check::variable_name(&name)?;
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value));
        Ok(())
    }

    /// Starts from the minimal environment and forgets the variables set so far.
    pub fn clear_environment(&mut self) {
        self.environment = Environment::Minimal;
        self.variables.clear();
    }

    /// Sets the working directory.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an empty path.
    pub fn set_cwd(&mut self, path: CString) -> Result<()> {
        check::not_empty(&path, "working directory")?;
        self.cwd = Some(path);
        Ok(())
    }

    /// Sets the file mode creation mask.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a mask above 0777.
    pub fn set_umask(&mut self, mask: u32) -> Result<()> {
        check::umask(mask)?;
        self.umask = Some(mask);
        Ok(())
    }

    /// Sets the nice value.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a value that is not within -20 to 19.
    pub fn set_nice(&mut self, value: i32) -> Result<()> {
        check::nice(value)?;
        self.nice = Some(value);
        Ok(())
    }

    /// Sets the processors to run on (sched_setaffinity(2)).
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): no processor, or one above 1023.
    pub fn set_cpus(&mut self, cpus: &[u32]) -> Result<()> {
        check::cpus(cpus)?;
        self.cpus = cpus.iter().copied().collect();
        Ok(())
    }

    /// Sets the user and group id that the program goes by: 0 and 0 for one that wants to be root. They are names in a user namespace
    /// (user_namespaces(7)) and give nothing: files, signals and limits are the host user's as before.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): an id of `u32::MAX`.
    pub fn set_user(&mut self, user: u32, group: u32) -> Result<()> {
        check::id(user, "user")?;
        check::id(group, "group")?;
        self.user = Some((user, group));
        Ok(())
    }

    /// Turns a flag on or off.
    pub fn set_flag(&mut self, flag: Flag, on: bool) {
        if on {
            self.flags.insert(flag);
        } else {
            self.flags.remove(&flag);
        }
    }

    /// True if `flag` is on.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_set_again_replaces_the_former_value() {
        let mut settings = ProcessSettings::default();
        settings.set_variable(c"A".into(), Some(c"1".into())).unwrap();
        settings.set_variable(c"B".into(), None).unwrap();
        settings.set_variable(c"A".into(), Some(c"2".into())).unwrap();
        assert_eq!(
            settings.variables,
            [(c"B".into(), None), (c"A".into(), Some(c"2".into()))]
        );
        settings.clear_environment();
        assert!(settings.variables.is_empty());
    }
}
