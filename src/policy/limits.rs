//! Limits: of each process, as setrlimit(2) has them, and of the sandbox as a whole, which the library keeps by looking, or, where the host
//! has been given control groups, the kernel.
//!
//! A limit of the sandbox as a whole that is exceeded ends it, and the outcome says which and by how much:
//!
//! ```
//! use sandlock::{Access, Limit, Policy, Reason, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.set_limit(Limit::Wall, 50)?;
//! let outcome = Sandbox::new(policy).run(None, ["sleep", "1000"], None)?;
//!
//! assert_eq!(outcome.reason, Reason::Limit);
//! let hit = outcome.limit.unwrap();
//! assert_eq!((Limit::from_number(hit.limit), hit.value), (Some(Limit::Wall), 50));
//! assert!(hit.reading >= 50);
//! # Ok::<(), sandlock::Error>(())
//! ```
//!
//! Those of each process take effect in the program, as errors or signals:
//!
//! ```
//! use sandlock::{Access, Limit, Policy, Sandbox};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.allow_path("/dev/null", Access::READ)?;
//! policy.set_limit(Limit::Nofile, 3)?;
//! // Three descriptors are open already: not even a library can be opened.
//! let outcome = Sandbox::new(policy).run(None, ["cat", "/dev/null"], None)?;
//! assert_eq!(outcome.exit_code, Some(127), "{outcome:?}");
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::feature::numbered;

numbered! {
    /// What can be limited: per process, by setrlimit(2), or for the sandbox as a whole.
    #[non_exhaustive]
    Limit {
        /// Each process: processor time, seconds (RLIMIT_CPU). SIGXCPU at the limit, SIGKILL a second later.
        Cpu = 1, "CPU";
        /// Each process: open descriptors, one more than the highest number (RLIMIT_NOFILE).
        Nofile = 2, "NOFILE";
        /// Each process: size of a file that is written, bytes (RLIMIT_FSIZE). SIGXFSZ beyond, or EFBIG if that is ignored.
        Fsize = 3, "FSIZE";
        /// Each process: size of a core dump, bytes (RLIMIT_CORE). To have none, use [`Flag::NoCoredump`](super::Flag::NoCoredump).
        Core = 4, "CORE";
        /// Each process: private writable memory, bytes (RLIMIT_DATA): heap, data, anonymous mappings. ENOMEM beyond.
        Data = 5, "DATA";
        /// Each process: address space, bytes (RLIMIT_AS), reserved or used. ENOMEM beyond. Runtimes that reserve much need much.
        As = 6, "AS";
        /// Each process: stack of the main thread, bytes (RLIMIT_STACK). SIGSEGV beyond.
        Stack = 7, "STACK";
        /// Each process: processes and threads of the user, all told, in the sandbox and outside, at which no more can be started
        /// (RLIMIT_NPROC). EAGAIN beyond. The kernel exempts user 0, for whom a policy with this limit is refused.
        Nproc = 8, "NPROC";
        /// Each process: locked memory, bytes (RLIMIT_MEMLOCK).
        Memlock = 9, "MEMLOCK";
        /// The sandbox: processes at a time, the program included, [64](DEFAULT_PROCESSES) unless the policy says otherwise. Beyond,
        /// fork(2) fails with EAGAIN. Daemons count, and what nobody in the sandbox has waited for; threads do not.
        Processes = 10, "PROCESSES";
        /// The sandbox: threads at a time, those of all its processes together. None unless the policy sets one. Beyond,
        /// pthread_create(3) and fork(2) fail with EAGAIN.
        Threads = 11, "THREADS";
        /// The sandbox: memory that its processes hold together, bytes; what several share counts once, what is reserved and not used
        /// not at all. The library looks, 5 to 100 milliseconds apart, unless a control group holds it to the page. Each process has
        /// [`Limit::Data`] of it and 256 MiB more, unless the policy sets that itself.
        Memory = 12, "MEMORY";
        /// The sandbox: processor time that all its processes use together, milliseconds; kept to some ten milliseconds for each
        /// processor.
        CpuTotal = 13, "CPU_TOTAL";
        /// The sandbox: time from the start of the program, milliseconds, whether it runs, sleeps or is paused.
        Wall = 14, "WALL";
        /// The sandbox: share of processor time, per cent of one processor: 50 is half of one, 150 one and a half. Beyond, it is
        /// stopped for some milliseconds at a time, so that the average over a second holds to a tenth; by a control group, exactly.
        CpuShare = 15, "CPU_SHARE";
        /// The sandbox: what it writes beneath path rules that grant WRITE, bytes that are occupied on the disk. Kept by walks through
        /// those trees, 5 to 100 milliseconds apart. No file becomes larger (RLIMIT_FSIZE).
        Disk = 16, "DISK";
    }
}

/// As a value of [`Limit::Processes`] and [`Limit::Threads`]: as many as there can be.
pub const UNLIMITED: u64 = u64::MAX;

/// [`Limit::Processes`] of a policy that says nothing of it.
pub const DEFAULT_PROCESSES: u64 = 64;

impl Limit {
    /// The RLIMIT_* number of a limit that each process has for itself; None for one of the sandbox as a whole.
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
    pub(crate) fn is_timed(self) -> bool {
        matches!(self, Self::CpuTotal | Self::Wall | Self::CpuShare)
    }
}

/// A warning before a sandbox is killed because its time is up: the deadline of a run, [`Limit::Wall`], [`Limit::CpuTotal`]. Only the
/// program gets the signal, once; what it exits with in that time is in the outcome, whose reason says that its time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// The signal that the program gets.
    pub signal: i32,
    /// How long the kill waits after it, milliseconds.
    pub milliseconds: u64,
}

impl Grace {
    /// A warning by `signal`, 1 to 64.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): another number.
    pub fn new(signal: i32, milliseconds: u64) -> Result<Self> {
        if !(1..=64).contains(&signal) {
            return Err(Error::argument(format_args!("signal {signal} is not within 1 to 64")));
        }
        Ok(Self { signal, milliseconds })
    }
}

/// The limits of a policy. [`Policy::set_limit`](super::Policy::set_limit) checks the value, who inserts it here does not.
pub type Limits = BTreeMap<Limit, u64>;
