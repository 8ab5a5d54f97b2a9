//! Limits.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::feature::numbered;

numbered! {
    /// What can be limited: per process, by setrlimit(2), or for the sandbox as a whole.
    Limit {
        /// Processor time, seconds (RLIMIT_CPU).
        Cpu = 1, "CPU";
        /// Open descriptors: one more than the highest number (RLIMIT_NOFILE).
        Nofile = 2, "NOFILE";
        /// Size of a file that is written, bytes (RLIMIT_FSIZE).
        Fsize = 3, "FSIZE";
        /// Size of a core dump, bytes (RLIMIT_CORE).
        Core = 4, "CORE";
        /// Private writable memory, bytes (RLIMIT_DATA).
        Data = 5, "DATA";
        /// Address space, bytes (RLIMIT_AS).
        As = 6, "AS";
        /// Stack of the main thread, bytes (RLIMIT_STACK).
        Stack = 7, "STACK";
        /// Processes and threads of the user, all told, at which no more can be started (RLIMIT_NPROC).
        Nproc = 8, "NPROC";
        /// Locked memory, bytes (RLIMIT_MEMLOCK).
        Memlock = 9, "MEMLOCK";
        /// Processes in the sandbox at a time.
        Processes = 10, "PROCESSES";
        /// Threads in the sandbox at a time, those of all its processes together.
        Threads = 11, "THREADS";
        /// Memory that the sandbox holds as a whole, bytes.
        Memory = 12, "MEMORY";
        /// Processor time of the sandbox as a whole, milliseconds.
        CpuTotal = 13, "CPU_TOTAL";
        /// Time from the start of the program, milliseconds.
        Wall = 14, "WALL";
        /// Share of processor time of the sandbox as a whole, per cent of one processor.
        CpuShare = 15, "CPU_SHARE";
        /// What the sandbox writes beneath path rules that grant WRITE, bytes that are occupied.
        Disk = 16, "DISK";
    }
}

/// As a value of [`Limit::Processes`] and [`Limit::Threads`]: as many as there can be.
pub const UNLIMITED: u64 = u64::MAX;

/// [`Limit::Processes`] of a policy that says nothing of it.
pub const DEFAULT_PROCESSES: u64 = 64;

impl Limit {
    /// The RLIMIT_* number of a limit that each process has for itself.
    pub fn resource(self) -> Option<u32> {
        Some(match self {
            Self::Cpu => libc::RLIMIT_CPU,
            Self::Nofile => libc::RLIMIT_NOFILE,
            Self::Fsize => libc::RLIMIT_FSIZE,
            Self::Core => libc::RLIMIT_CORE,
            Self::Data => libc::RLIMIT_DATA,
            Self::As => libc::RLIMIT_AS,
            Self::Stack => libc::RLIMIT_STACK,
            Self::Nproc => libc::RLIMIT_NPROC,
            Self::Memlock => libc::RLIMIT_MEMLOCK,
            Self::Processes
            | Self::Threads
            | Self::Memory
            | Self::CpuTotal
            | Self::Wall
            | Self::CpuShare
            | Self::Disk => {
                return None;
            }
        })
    }

    /// True for a limit that the warden keeps by looking again and again, and whose row in the report is that of limits.
    pub fn is_timed(self) -> bool {
        matches!(self, Self::CpuTotal | Self::Wall | Self::CpuShare)
    }
}

/// A warning before a sandbox is killed because its time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The signal that the program gets.
    pub signal: i32,
    /// How long the kill waits after it, milliseconds.
    pub milliseconds: u64,
}

impl Grace {
    /// A warning by `signal`, 1 to 64.
    pub fn new(signal: i32, milliseconds: u64) -> Result<Self> {
        if !(1..=64).contains(&signal) {
            return Err(Error::argument(format_args!("signal {signal} is not within 1 to 64")));
        }
        Ok(Self { signal, milliseconds })
    }
}

/// The limits of a policy.
pub type Limits = BTreeMap<Limit, u64>;
