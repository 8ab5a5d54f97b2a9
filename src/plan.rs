//! What a new process does before it executes its program, and what it tells its parent about it.
//!
//! A [`ChildPlan`] is flat, pre-resolved and pre-opened, because the child can do nothing but make system calls. It is
//! the only type that parent and child share. A step is one thing that can fail; the list of steps is the order in
//! which they happen, and the order is the parent's decision (`spawn/steps.rs`).

mod record;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::AtomicI32;

use crate::sys::limits::CpuSet;
use crate::sys::namespace::IdentityMap;
use crate::sys::seccomp::Instruction;

pub use record::{Listener, Progress, Record};

/// Most steps a plan may have.
pub const MAX_STEPS: usize = 64;

/// What a program in a mount namespace of its own is to find there.
#[derive(Clone, Copy, Debug)]
pub struct MountPlan<'a> {
    /// What is to be its root.
    pub root: NewRoot<'a>,
    /// What is mounted there, in this order; then /proc.
    pub mounts: &'a [PlannedMount<'a>],
    /// What must be made for /proc.
    pub places_of_proc: Places<'a>,
}

/// The parts of [`Step::Mounts`], as its record numbers them. Of each mount there are two: the source, then the target.
impl MountPlan<'_> {
    /// The root.
    pub const ROOT: usize = 1;
    /// /proc.
    pub const PROC: usize = 2;
    /// Entering the root.
    pub const ENTER: usize = 3;
    /// The first of the mounts.
    pub const MOUNTS: usize = 4;
}

/// What becomes the root.
#[derive(Clone, Copy, Debug)]
pub enum NewRoot<'a> {
    /// It stays.
    Unchanged,
    /// This directory, read-only.
    Directory(&'a CStr),
    /// An empty file system in memory, read-only when everything is mounted.
    Memory,
}

/// Something that is mounted.
#[derive(Debug)]
pub struct PlannedMount<'a> {
    /// What.
    pub source: MountSource<'a>,
    /// Where.
    pub target: &'a CStr,
    /// It may be written to.
    pub write: bool,
    /// What must be made to mount it on.
    pub places: Places<'a>,
    /// Where the child keeps it open until it is mounted: nothing may be mounted over a source before. What is left there when the child is
    /// gone lies in the table that it shared with whoever made this, and is closed with this.
    pub parked: AtomicI32,
}

impl Drop for PlannedMount<'_> {
    fn drop(&mut self) {
        if let number @ 0.. = *self.parked.get_mut() {
            crate::sys::fd::close(number);
        }
    }
}

/// What is mounted.
#[derive(Clone, Copy, Debug)]
pub enum MountSource<'a> {
    /// What lies at this path.
    Path(&'a CStr),
    /// An empty file system in memory of at most this many bytes, in decimal digits.
    Memory(&'a CStr),
}

/// What is made in a file system in memory, from the top, so that something can be mounted there.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The directory where that file system is mounted.
    pub base: &'a CStr,
    /// What to make there.
    pub places: &'a [Place<'a>],
}

/// A directory, or a file, that something is mounted on.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory that holds it, from the base.
    pub parent: &'a CStr,
    /// Its name there.
    pub name: &'a CStr,
    /// It is a file.
    pub file: bool,
}

/// A Landlock ruleset whose paths are the program's own.
#[derive(Clone, Copy, Debug)]
pub struct RulesetPlan<'a> {
    /// What it handles.
    pub handled: crate::sys::landlock::Handled,
    /// What it grants.
    pub rules: &'a [PlannedRule<'a>],
    /// Which ports.
    pub ports: &'a [PlannedPort],
}

/// Rights on a TCP port.
#[derive(Clone, Copy, Debug)]
pub struct PlannedPort {
    /// The port.
    pub port: u16,
    /// LANDLOCK_ACCESS_NET_*.
    pub rights: u64,
}

/// Rights beneath a path.
#[derive(Clone, Copy, Debug)]
pub struct PlannedRule<'a> {
    /// The path.
    pub path: &'a CStr,
    /// LANDLOCK_ACCESS_FS_* if it is a directory.
    pub directory: u64,
    /// And if it is not.
    pub file: u64,
    /// It may be missing.
    pub optional: bool,
    /// It is about a Unix socket: see [`PathGrant`](crate::compile::landlock::PathGrant) in `sockets`.
    pub socket: bool,
    /// Where the child notes which file it is.
    pub found: Option<&'a crate::sys::fd::FileCell>,
}

/// One thing to do before exec.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// Give every signal its default disposition.
    DefaultSignals,
    /// Unblock every signal. Comes after [`Step::DefaultSignals`], so that no handler of the host can run.
    UnblockSignals,
    /// Be killed when the warden ends; fails with ESRCH if `parent` is gone already.
    DieWithParent {
        /// Process id of the host.
        parent: i32,
    },
    /// Move into a control group, whose `cgroup.procs` is open: where it could not be started in it.
    EnterGroup(i32),
    /// Lead a new session, which has no controlling terminal.
    NewSession,
    /// Lead a new session whose controlling terminal is `terminal`.
    SessionOnTerminal {
        /// Nobody's controlling terminal yet.
        terminal: i32,
    },
    /// Lead a new process group in the same session.
    NewGroup,
    /// Lead a new process group and make it the foreground one of `terminal`.
    Foreground {
        /// The controlling terminal.
        terminal: i32,
    },
    /// Give the user namespace that it was started in its map of users and groups.
    MapIdentity(IdentityMap<'a>),
    /// Set the host name of the UTS namespace that it was started in.
    HostName(&'a [u8]),
    /// Bring up the loopback interface of the network namespace that it was started in.
    Loopback,
    /// Set the file mode creation mask.
    Umask(u32),
    /// Set the nice value.
    Nice(i32),
    /// Confine to these processors.
    Affinity(&'a CpuSet),
    /// Add a flag to the execution domain.
    Personality(u32),
    /// Keep transparent huge pages away. Acts on the address space: never in one shared with the host.
    NoHugePages,
    /// Mount what the program is to find in its mount namespace.
    Mounts(MountPlan<'a>),
    /// Enter the open directory.
    ChangeDirectory(i32),
    /// Enter the directory at this path.
    ChangeDirectoryTo(&'a CStr),
    /// Enter the directory at this path, or the root if there is none that may be entered. Nothing of the host's remains open by that.
    StartIn(&'a CStr),
    /// Get these namespaces, CLONE_NEW*, of its own.
    OwnNamespaces(c_int),
    /// Note that everything is as the program is to find it.
    Ready,
    /// Wait until the init has said so.
    AwaitReady,
    /// Enter these namespaces of the init, CLONE_NEW*.
    JoinInit(c_int),
    /// Give up all capabilities.
    DropCapabilities,
    /// Set no_new_privs.
    NoNewPrivs,
    /// Enter the Landlock domain that the ruleset descriptor describes.
    Landlock {
        /// The ruleset.
        ruleset: i32,
        /// LANDLOCK_RESTRICT_SELF_* flags.
        flags: u32,
    },
    /// Enter the Landlock domain of a ruleset that is made for this program alone.
    Restrict(RulesetPlan<'a>),
    /// Mark everything above the standard streams close-on-exec.
    CloseInherited,
    /// Get a descriptor table of its own, if it shares the host's until now. Nothing may touch descriptors before.
    OwnDescriptors,
    /// Put descriptors where the program expects them.
    Descriptors(&'a [FdMove]),
    /// Lower a resource limit.
    Limit {
        /// RLIMIT_*.
        resource: u32,
        /// Soft limit.
        soft: u64,
        /// Hard limit.
        hard: u64,
    },
    /// Install a filter that traps calls, and make its listener, in the descriptor table that is shared with the host.
    Listen {
        /// The program.
        program: &'a [Instruction],
        /// SECCOMP_FILTER_FLAG_* besides the one for the listener.
        flags: libc::c_ulong,
        /// Put the listener above the standard streams: only if no call that this takes is trapped.
        above_stdio: bool,
    },
    /// Start the program, as this process's child. Only the init of a PID namespace takes it; what follows in the list up to
    /// [`ChildPlan::first`] is the init's too.
    StartProgram,
    /// Execute the init's own code, which keeps nothing of the host but the pipe that it reports the program's end to.
    BecomeInit,
    /// Wait until the init has left the host's memory. The program goes by the same user in the same namespace, and could trace the init,
    /// and so the host.
    AwaitInit,
    /// Install the system call filter.
    Filter {
        /// The program.
        program: &'a [Instruction],
        /// SECCOMP_FILTER_FLAG_*.
        flags: libc::c_ulong,
    },
}

/// A step and whether the child may go on without it.
#[derive(Clone, Copy, Debug)]
pub struct PlannedStep<'a> {
    /// What to do.
    pub step: Step<'a>,
    /// True: failure ends the child. False: failure is recorded and the next step follows.
    pub required: bool,
}

/// A descriptor for the program: `target` will refer to what `source` does.
#[derive(Debug)]
pub struct FdMove {
    /// Number in the host.
    pub source: i32,
    /// Number in the program.
    pub target: i32,
    /// Where the child keeps the duplicate that it makes before any target is overwritten.
    pub parked: AtomicI32,
}

/// The program to execute.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// Paths to try, in order; more than one after a PATH search.
    pub candidates: &'a [&'a CStr],
    /// Null-terminated argument array.
    pub argv: *const *const c_char,
    /// Null-terminated environment.
    pub envp: *const *const c_char,
    /// Argument array for a script without `#!`, as execvp(3) runs it: "/bin/sh", a slot that the child fills with the
    /// path, then the arguments. Null-terminated.
    pub shell_argv: *mut *const c_char,
}

/// What the init of a PID namespace needs.
#[derive(Clone, Copy, Debug)]
pub struct Init {
    /// Where the program's stack begins.
    pub stack_top: *mut c_void,
    /// The init's code, open.
    pub image: i32,
    /// Where it reports.
    pub report: i32,
    /// A pidfd of the thread that makes it, or negative.
    pub maker: i32,
    /// It ends with the last process, and not with the program.
    pub waits_for_all: bool,
    /// The program starts in the descriptor table of the host.
    pub share_descriptors: bool,
}

/// All that a child does.
#[derive(Clone, Copy, Debug)]
pub struct ChildPlan<'a> {
    /// In this order, before exec.
    pub steps: &'a [PlannedStep<'a>],
    /// The first that the program takes. Those before are for the init of its PID namespace, if it has one.
    pub first: usize,
    /// The init.
    pub init: Option<Init>,
    /// Then this.
    pub exec: Exec<'a>,
    /// Written by the child as it goes.
    pub record: &'a Record,
}
