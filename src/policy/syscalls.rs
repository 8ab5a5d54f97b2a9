//! Rules about system calls, which a filter enforces (seccomp(2), Linux 4.14).
//!
//! A rule for a name allows or denies the whole call and outranks one for a group. A group lifts refusals only if the default denylist
//! refuses all its members (`@sysv-ipc`, `@mount`, `@keyring`, `@clock`); otherwise it admits its members in allowlist mode, as far as the
//! denylist goes, and would change nothing in denylist mode, which is refused. A name that only another architecture has is accepted and
//! does nothing. SECURITY.md lists the denylist.
//!
//! ```
//! use sandlock::policy::SyscallMode;
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.clear_env();
//! policy.deny_syscall("uname", libc::ENOSYS)?;
//! let outcome = Sandbox::new(policy.clone()).run(None, ["uname"], None)?;
//! assert_eq!(outcome.stderr.bytes, b"uname: cannot get system name: Function not implemented\n");
//!
//! // What contradicts itself is found when the policy is checked or used, and so are names that nobody knows.
//! assert!(Sandbox::new(policy.allow_syscall("uname").clone()).check().is_err());
//!
//! let mut strict = Policy::new();
//! strict.set_syscall_mode(SyscallMode::Allowlist).allow_syscall("@basic-io").allow_syscall("@file-system");
//! Sandbox::new(strict).check()?;
//! # Ok::<(), sandlock::Error>(())
//! ```

use crate::feature::numbered;

numbered! {
    /// What happens to a call that no rule names.
    SyscallMode {
        /// It is allowed, unless the default denylist says otherwise.
        Denylist = 1, "denylist";
        /// It fails with EPERM, unless it is needed to execute, load and end a program.
        Allowlist = 2, "allowlist";
    }
}

/// What a rule says of a call or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allow.
    Allow,
    /// Fail with this errno, 1 to 4095.
    Deny(u16),
}

/// A rule for one call, or for a group whose name starts with `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyscallRule {
    /// The name as given.
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
}

/// The rules of a policy.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyscallRules {
    /// What happens to a call that no rule names.
    pub mode: SyscallMode,
    /// The rules, in the order given.
    pub rules: Vec<SyscallRule>,
}

impl Default for SyscallRules {
    fn default() -> Self {
        Self {
            mode: SyscallMode::Denylist,
            rules: Vec::new(),
        }
    }
}
