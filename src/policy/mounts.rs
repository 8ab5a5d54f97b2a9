//! What the program has for "/", and what is mounted there.

use std::ffi::CString;

/// What the program has for "/".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// The host's.
    #[default]
    Host,
    /// This directory of the host.
    Directory(CString),
    /// An empty file system in memory.
    Memory,
}

/// Something that is mounted for the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub source: Source,
    /// Where the program sees it.
    pub target: CString,
    /// It may be written to.
    pub write: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A directory or file of the host.
    Path(CString),
    /// An empty file system in memory.
    Memory {
        /// Most bytes in it.
        size: u64,
    },
}
