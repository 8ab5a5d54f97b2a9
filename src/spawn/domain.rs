//! The warden's domain: how far its signals reach, and ending everything in it.

#![allow(unsafe_code)] // one block: taking over a descriptor that sys just made

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::error::{Error, ErrorKind, Result, Stage, describe_errno};
use crate::feature::{Feature, Strictness};
use crate::members::{self, Reach};
use crate::policy::Limit;
use crate::sys;
use crate::sys::process::Child;

use super::launch::Launched;
use super::prepare::Prepared;

/// How far the warden's kill reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// A Landlock domain that scopes signals.
    Scoped,
    /// None, for the sandbox has a PID namespace, which ends with its init. (A domain would keep the init from mounting anything.)
    Namespace,
    /// None: the program's process group is the best that can be had. With the errno if one was asked for.
    Open(i32),
}

/// Enters the warden's own domain.
pub(super) fn enter_domain(prepared: &Prepared) -> Result<Domain> {
    if prepared.compiled.decisions.uses(Feature::NsPid) {
        return Ok(Domain::Namespace);
    }
    let Some(ruleset) = &prepared.domain else {
        return Ok(Domain::Open(0));
    };
    let entered = no_new_privs(prepared)
        .and_then(|()| sys::landlock::restrict_self(ruleset.as_raw_fd(), 0))
        .map_err(|errno| {
            let what = match errno.0 {
                libc::E2BIG => "enter the warden's domain (16 nested domains are the most)",
                _ => "enter the warden's domain",
            };
            Error::system(ErrorKind::System, Stage::Landlock, what, errno.0)
        });
    match entered.and_then(|()| check_scope()) {
        Ok(()) => Ok(Domain::Scoped),
        Err(error) if needs_domain(prepared) => Err(error),
        Err(error) => Ok(Domain::Open(error.errno())),
    }
}

/// True if something that the policy requires cannot do without the warden's domain.
fn needs_domain(prepared: &Prepared) -> bool {
    let policy = &prepared.policy;
    let requires = |feature| policy.strictness(feature) == Strictness::Require;
    let sets = |limit| policy.limit(limit).is_some() && !prepared.compiled.group.hold(limit);
    requires(Feature::KillAll)
        || (policy.limits_processes_expressly() && requires(Feature::Processes))
        || (sets(Limit::Memory) && requires(Feature::Memory))
        || (sets(Limit::Disk) && requires(Feature::Disk))
        || ((sets(Limit::CpuTotal) || sets(Limit::CpuShare)) && requires(Feature::Limits))
}

fn no_new_privs(prepared: &Prepared) -> sys::Result<()> {
    // A privileged host may have waived it; then Landlock takes CAP_SYS_ADMIN instead.
    if prepared.compiled.decisions.uses(Feature::NoNewPrivs) {
        sys::credentials::set_no_new_privs()
    } else {
        Ok(())
    }
}

/// Makes sure, before anything is ever killed from here, that processes of the host are out of reach.
fn check_scope() -> Result<()> {
    let outsider = match sys::process::parent_id() {
        // The host is the first process of its PID namespace; nothing outside it can be named from here.
        0 => return Ok(()),
        parent => parent,
    };
    match sys::signal::kill(outsider, 0) {
        Err(sys::Errno(libc::EPERM)) => Ok(()),
        // The host's parent ended meanwhile; it has another now.
        Err(sys::Errno(libc::ESRCH)) if sys::process::parent_id() != outsider => check_scope(),
        reached => Err(Error::new(
            ErrorKind::Internal,
            Stage::Landlock,
            format_args!(
                "the warden's domain does not scope signals: kill({outsider}, 0) gives {}",
                reached.map_or_else(|errno| describe_errno(errno.0), |()| "success".to_owned())
            ),
        )),
    }
}

impl Domain {
    /// Why it is not scoped although it was to be: an errno, or 0.
    pub(super) fn lack(self) -> i32 {
        match self {
            Self::Scoped | Self::Namespace => 0,
            Self::Open(errno) => errno,
        }
    }

    /// True if everybody in the sandbox can be told, and reached.
    pub(super) fn is_whole(self) -> bool {
        !matches!(self, Self::Open(_))
    }

    /// Who is in the sandbox that `launched` began.
    pub(super) fn reach(self, launched: &Launched<'_>) -> Reach {
        match self {
            Self::Scoped => Reach::Domain,
            Self::Namespace => Reach::of_namespace(launched.child()),
            Self::Open(_) => Reach::Family(launched.pid),
        }
    }

    /// Sends SIGKILL to everything in the sandbox: to the warden's child, `program` or its init, and what that began. In a scoped
    /// domain that is one atomic step: a process that is forking at the time is reached with its child or not at all able to finish
    /// the fork. In a PID namespace the kernel does the same when the init ends.
    pub(super) fn kill_all(self, program: Child) {
        // Errors mean that there is nobody left to kill.
        match self {
            Self::Scoped => {
                let _ = sys::signal::kill(-1, libc::SIGKILL);
            }
            Self::Namespace => {
                let _ = sys::signal::send_to(program, libc::SIGKILL);
            }
            // Once the program was reaped its number, and its group's, may be another's.
            Self::Open(_) if sys::process::has_ended(program).is_ok() => {
                kill_family(program);
                let _ = sys::signal::send_to(program, libc::SIGKILL);
                let _ = sys::signal::kill(-program.pid, libc::SIGKILL);
            }
            Self::Open(_) => {
                let _ = sys::signal::send_to(program, libc::SIGKILL);
            }
        }
    }
}

/// Kills the descendants of `program`, as far as their parents live: those whose parents have ended cannot be told from others.
/// They are stopped first, so that none starts another unseen, and looked for again until there are no more.
fn kill_family(program: Child) {
    const ROUNDS: usize = 100;
    let _ = sys::signal::send_to(program, libc::SIGSTOP);
    let mut stopped: BTreeMap<i32, OwnedFd> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let family = members::family(program.pid).unwrap_or_default();
        let before = stopped.len();
        for found in family {
            let pid = found.member.pid;
            if pid == program.pid || stopped.contains_key(&pid) {
                continue;
            }
            let Ok(pidfd) = sys::process::open_pidfd(pid) else {
                continue;
            };
            // SAFETY: the descriptor was just made and nobody else has it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            // Its number may have become another's before the descriptor was made, but never after that.
            if matches!(members::look(pid), Ok(Some(again)) if again.parent == found.parent) {
                let descendant = Child {
                    pid,
                    pidfd: pidfd.as_raw_fd(),
                };
                // An error means that it has just ended.
                let _ = sys::signal::send_to(descendant, libc::SIGSTOP);
                stopped.insert(pid, pidfd);
            }
        }
        if stopped.len() == before {
            break;
        }
    }
    for (pid, pidfd) in &stopped {
        let descendant = Child {
            pid: *pid,
            pidfd: pidfd.as_raw_fd(),
        };
        let _ = sys::signal::send_to(descendant, libc::SIGKILL);
    }
}
