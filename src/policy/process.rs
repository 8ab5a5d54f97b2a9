//! The process that a program starts in.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};

use crate::error::Result;
use crate::feature::numbered;

use super::check;

numbered! {
    /// A setting that is on or off; all are off in a new policy.
    Flag {
        /// A fixed address space layout.
        NoAslr = 1, "NO_ASLR";
        /// No core dumps, to files or to a host's core handler.
        NoCoredump = 2, "NO_COREDUMP";
        /// No transparent huge pages.
        NoHugePages = 3, "NO_HUGE_PAGES";
        /// Confining oneself reaches every thread of the process, or fails.
        AllThreads = 4, "ALL_THREADS";
        /// Nothing but what the kernel enforces by itself: no call is put before the library.
        NoSupervisor = 5, "NO_SUPERVISOR";
        /// The sandbox ends with its last process, not with the program.
        WaitForDescendants = 6, "WAIT_FOR_DESCENDANTS";
        /// Beyond the limit of memory the largest process is killed, and not the sandbox.
        MemoryKillsLargest = 7, "MEMORY_KILLS_LARGEST";
        /// More output than is kept ends the sandbox.
        OutputKills = 8, "OUTPUT_KILLS";
        /// The network rules of a running sandbox can be changed.
        NetUpdates = 9, "NET_UPDATES";
        /// Ports are the sandbox's own numbers, which stand for others of the host.
        PortRemap = 10, "PORT_REMAP";
    }
}

/// Where the environment of the program comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// Everything about the process but its confinement.
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
    /// Nice value; the host's if None.
    pub nice: Option<i32>,
    /// Processors to run on; the host's if empty.
    pub cpus: BTreeSet<u32>,
    /// The user and group id that the program goes by, in a user namespace; the host's if None.
    pub user: Option<(u32, u32)>,
    flags: BTreeSet<Flag>,
}

impl ProcessSettings {
    /// Sets a variable, or removes it with None.
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
    pub fn set_cwd(&mut self, path: CString) -> Result<()> {
        check::not_empty(&path, "working directory")?;
        self.cwd = Some(path);
        Ok(())
    }

    /// Sets the file mode creation mask.
    pub fn set_umask(&mut self, mask: u32) -> Result<()> {
        check::umask(mask)?;
        self.umask = Some(mask);
        Ok(())
    }

    /// Sets the nice value.
    pub fn set_nice(&mut self, value: i32) -> Result<()> {
        check::nice(value)?;
        self.nice = Some(value);
        Ok(())
    }

    /// Sets the processors to run on.
    pub fn set_cpus(&mut self, cpus: &[u32]) -> Result<()> {
        check::cpus(cpus)?;
        self.cpus = cpus.iter().copied().collect();
        Ok(())
    }

    /// Sets the user and group id that the program goes by.
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
