//! Path rules.

use std::ffi::CString;

use crate::error::{Error, Result};

/// What a path rule grants beneath its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u64);

impl Access {
    /// Read files, list directories.
    pub const READ: u64 = 1;
    /// Execute files.
    pub const EXECUTE: u64 = 1 << 1;
    /// Everything that changes: write, create, remove, rename, truncate, ioctl on devices. Never device nodes.
    pub const WRITE: u64 = 1 << 2;
    /// The path may be missing; then the rule grants nothing.
    pub const OPTIONAL: u64 = 1 << 8;

    /// The access these bits stand for; unknown bits, and none but OPTIONAL, are refused.
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
    pub fn words(self) -> Vec<&'static str> {
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRule {
    /// The path, symbolic links followed when the policy is compiled.
    pub path: CString,
    /// What it grants.
    pub access: Access,
}

impl PathRule {
    /// A rule for `path`, which must not be empty.
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
