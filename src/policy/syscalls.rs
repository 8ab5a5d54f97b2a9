//! Rules about system calls.

use crate::feature::numbered;

numbered! {
    /// What happens to a call that no rule names.
    SyscallMode {
        /// It is allowed, unless the default denylist says otherwise.
        Denylist = 1, "denylist";
        /// It fails with EPERM, unless it is needed to start and end a program.
        Allowlist = 2, "allowlist";
    }
}

/// What a rule says of a call or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Allow.
    Allow,
    /// Fail with this errno.
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
