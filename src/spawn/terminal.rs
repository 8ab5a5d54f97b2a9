//! The host's controlling terminal, when a program gets it by one of its descriptors: handed over, guarded, taken back.
//!
//! A program that inherits the terminal stays in the host's session, or the kernel's job control would not hold for it: from
//! another session it could read what is typed for somebody else. It gets a process group of its own, in the foreground if the
//! host was there. It must not join the host's group, for the kernel signals whole groups (SIGTTIN, SIGTTOU), whatever the
//! sender's domain; a small filter of its own sees to that.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::compile::arch::Arch;
use crate::compile::filter::{Action, ArgumentTest, Clause, Compare, FilterSpec, Rule, Width};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sys;
use crate::sys::seccomp::Instruction;
use crate::sys::terminal::Settings;

/// The controlling terminal of host and program.
pub(super) struct Terminal {
    fd: OwnedFd,
    host_group: i32,
    foreground: bool,
    settings: Option<Settings>,
    handed_over: Option<Warden>,
}

/// What the warden knows when it hands the terminal over.
#[derive(Clone, Copy)]
struct Warden {
    /// Its signals reach the sandbox and nobody else.
    scoped: bool,
}

impl Terminal {
    /// The terminal behind `fd`, if it is the host's controlling terminal.
    pub(super) fn inherited(fd: RawFd) -> Option<Self> {
        // The master of any terminal answers too.
        if sys::terminal::session_on(fd).ok()? != sys::terminal::session() {
            return None;
        }
        let now = sys::terminal::foreground(fd).ok()?;
        let duplicate = sys::fd::duplicate_above(fd, 3).ok()?;
        // SAFETY: the descriptor was just made and nobody else has it.
        let duplicate = unsafe { OwnedFd::from_raw_fd(duplicate) };
        let host_group = sys::process::group();
        Some(Self {
            settings: sys::terminal::settings(duplicate.as_raw_fd()).ok(),
            fd: duplicate,
            host_group,
            foreground: now == host_group,
            handed_over: None,
        })
    }

    /// The descriptor, if the host is in the foreground and the program is to be.
    pub(super) fn to_hand_over(&self) -> Option<RawFd> {
        self.foreground.then(|| self.fd.as_raw_fd())
    }

    /// Notes that the program may take the terminal from now on. `scoped`: the caller's signals reach only the sandbox.
    pub(super) fn hand_over(&mut self, scoped: bool) {
        self.handed_over = self.foreground.then_some(Warden { scoped });
    }

    /// A filter under which nobody can join the host's process group, nor that of the session's leader.
    pub(super) fn guard(&self) -> Result<Vec<Instruction>> {
        let failed = || {
            Error::new(
                ErrorKind::Internal,
                Stage::Seccomp,
                "cannot build the filter that guards the terminal",
            )
        };
        let arch = Arch::NATIVE;
        let setpgid = arch.number("setpgid").ok_or_else(failed)?;
        let joins = |group: i32| Clause {
            tests: vec![ArgumentTest {
                index: 1,
                width: Width::Word,
                mask: u64::from(u32::MAX),
                compare: Compare::Equal,
                value: group.cast_unsigned().into(),
            }],
            action: Action::fail(libc::EPERM),
        };
        let rule = Rule {
            clauses: vec![joins(self.host_group), joins(sys::terminal::session())],
            otherwise: Action::Allow,
        };
        let spec = FilterSpec {
            arch,
            rules: [(setpgid, rule)].into(),
            otherwise: Action::Allow,
            first_unknown: u32::MAX,
        };
        spec.compile().map_err(|_| failed())
    }

    /// Takes the terminal back, whoever of the sandbox has it, with the settings it had. Runs on the warden's thread, where
    /// SIGTTOU is blocked, when the sandbox is killed or was never started.
    fn take_back(&self, warden: Warden) {
        let fd = self.fd.as_raw_fd();
        let Ok(now) = sys::terminal::foreground(fd) else { return };
        if now != self.host_group {
            // A group that is gone, or can be signalled from the sandbox's domain, is the sandbox's; any other was given the
            // terminal by somebody outside.
            match sys::signal::kill(now.saturating_neg(), 0) {
                Err(sys::Errno(libc::ESRCH)) => {}
                Ok(()) if warden.scoped => {}
                _ => return,
            }
            if sys::terminal::set_foreground(fd, self.host_group).is_err() {
                return;
            }
        }
        if let Some(settings) = &self.settings {
            let _ = sys::terminal::restore(fd, settings);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(warden) = self.handed_over {
            self.take_back(warden);
        }
    }
}
