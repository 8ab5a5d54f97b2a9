//! Path rules: which files the program may read, execute and change.
//!
//! They are landlock(7)'s (ABI 1, Linux 5.13; 5.19 for moving files between directories, 6.2 for truncate(2), 6.10 for ioctl(2) on
//! devices). It does not govern stat(2), chdir(2) and access(2), so names and sizes of files can be learned where the user may see them.
//! Modes, owners, times and attributes are changed by the library, only where a rule grants WRITE.
//!
//! ```
//! use sandlock::{Access, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.allow_path("/dev/null", Access::READ | Access::WRITE)?;
//! policy.clear_env(); // no language but C's
//! let sandbox = Sandbox::new(policy);
//!
//! let read = sandbox.run(None, ["cat", "/etc/passwd"], None)?;
//! assert_eq!(read.exit_code, Some(1));
//! assert!(read.stderr.bytes.ends_with(b"Permission denied\n"));
//!
//! let copied = sandbox.run(None, ["cp", "/usr/bin/cat", "/dev/null"], None)?;
//! assert_eq!(copied.exit_code, Some(0), "{copied:?}");
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::ffi::CString;

use crate::error::{Error, Result};

/// What a path rule grants beneath its path. The constants are bits, to be or-ed together, as the C API has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u64);

impl Access {
    /// Read files, list directories.
    pub const READ: u64 = 1;
    /// Execute files. A dynamic program also needs READ on itself, its libraries and its loader.
    pub const EXECUTE: u64 = 1 << 1;
    /// Everything that changes: write, create, remove, rename, link, truncate, make sockets and FIFOs, ioctl(2) on devices. Does not
    /// include reading, and never making device nodes.
    pub const WRITE: u64 = 1 << 2;
    /// READ and EXECUTE.
    pub const READ_EXECUTE: u64 = Self::READ | Self::EXECUTE;
    /// READ, EXECUTE and WRITE.
    pub const ALL: u64 = Self::READ_EXECUTE | Self::WRITE;
    /// The path may be missing; then the rule grants nothing.
    pub const OPTIONAL: u64 = 1 << 8;

    /// The access these bits stand for.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): unknown bits, or no right among them.
    pub fn from_bits(bits: u64) -> Result<Self> {
        let rights = Self::READ | Self::EXECUTE | Self::WRITE;
        let unknown = bits & !(rights | Self::OPTIONAL);
        if unknown != 0 {
            return Err(Error::argument(format_args!("access has unknown bits {unknown:#x}")));
        }
        if bits & rights == 0 {
            return Err(Error::argument("access names none of READ, EXECUTE and WRITE"));
        }
        Ok(Self(bits))
    }

    /// The access that these bits stand for, which are known.
    pub(crate) const fn of(bits: u64) -> Self {
        Self(bits)
    }

    /// As bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// What it grants, in the words of the C API.
    pub(crate) fn words(self) -> Vec<&'static str> {
        [
            (self.reads(), "READ"),
            (self.writes(), "WRITE"),
            (self.executes(), "EXECUTE"),
        ]
        .into_iter()
        .filter_map(|(granted, word)| granted.then_some(word))
        .collect()
    }

    /// True if it grants READ.
    pub fn reads(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// True if it grants EXECUTE.
    pub fn executes(self) -> bool {
        self.0 & Self::EXECUTE != 0
    }

    /// True if it grants WRITE.
    pub fn writes(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    /// True if the path may be missing.
    pub fn is_optional(self) -> bool {
        self.0 & Self::OPTIONAL != 0
    }
}

/// Access to a file, or to a directory and all beneath it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// The path, symbolic links followed when the policy is compiled.
    pub path: CString,
    /// What it grants.
    pub access: Access,
}

impl PathRule {
    /// A rule for `path`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): the path is empty.
    pub fn new(path: CString, access: Access) -> Result<Self> {
        if path.is_empty() {
            return Err(Error::argument("path is empty"));
        }
        Ok(Self { path, access })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_refuses_unknown_bits_and_rules_that_grant_nothing() {
        assert!(Access::from_bits(Access::READ | 1 << 9).is_err());
        assert!(Access::from_bits(1 << 63).is_err());
        assert!(Access::from_bits(Access::OPTIONAL).is_err());
        assert!(Access::from_bits(0).is_err());
        let access = Access::from_bits(Access::READ | Access::OPTIONAL).unwrap();
        assert!(access.reads() && access.is_optional() && !access.writes() && !access.executes());
    }
}
