//! What a new process does before it executes its program, and what it tells its parent about it.
//!
//! A [`ChildPlan`] is flat, pre-resolved and pre-opened, because the child can do nothing but make system calls. It is
//! the only type that parent and child share. A step is one thing that can fail; the list of steps is the order in
//! which they happen, and the order is the parent's decision (`spawn/steps.rs`).

use core::ffi::{CStr, c_char, c_void};
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::sys::limits::CpuSet;
use crate::sys::namespace::IdentityMap;
use crate::sys::seccomp::Instruction;

/// Most steps a plan may have.
pub const MAX_STEPS: usize = 48;

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
    /// Wait until the init has left the host's memory. Who shares it with the init could trace it, and so the host.
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

/// What the child has done so far, in memory that the parent reads.
///
/// Relaxed ordering is enough for what is read after the child has left: [`Record::has_left`] synchronises.
#[derive(Debug)]
pub struct Record {
    /// 1 while a child uses this memory. The kernel clears it (CLONE_CHILD_CLEARTID) when the child executes or ends.
    present: AtomicU32,
    /// Likewise for the init of a PID namespace; 0 without one.
    init_present: AtomicU32,
    /// The program that the init has started: [`NOT_YET`], [`NONE_COMES`], its pidfd's number plus [`STARTED`], or [`TAKEN`].
    program: AtomicU32,
    /// How far the listener is: [`NOT_YET`], [`BEING_MADE`], or [`LISTENING`] plus its number.
    listener: AtomicU32,
    phase: AtomicU32,
    failed: AtomicU32,
    errno: AtomicI32,
    /// Which part of a step with several it was about when it failed.
    part: AtomicU32,
    outcomes: [AtomicI32; MAX_STEPS],
}

/// How far a child came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It ended, without a word, before it reached exec.
    Setup,
    /// It called exec. Unless it ended there, its program runs.
    Executing,
    /// A required step failed: index and errno.
    StepFailed(usize, i32),
    /// No candidate could be executed: the errno that says most.
    ExecFailed(i32),
}

const NOT_YET: u32 = 0;
const NONE_COMES: u32 = 1;
const STARTED: u32 = 2;
const BEING_MADE: u32 = 1;
const LISTENING: u32 = 2;
const TAKEN: u32 = u32::MAX;

/// How far the listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The child has not come so far.
    NotYet,
    /// It will have been made in a moment, or not.
    BeingMade,
    /// Its parent has taken it over.
    Taken,
    /// It has this number, in the table that child and parent share.
    At(i32),
}

const SETUP: u32 = 0;
const EXECUTING: u32 = 1;
const STEP_FAILED: u32 = 2;
const EXEC_FAILED: u32 = 3;

impl Record {
    /// An empty record.
    pub const fn new() -> Self {
        Self {
            present: AtomicU32::new(1),
            init_present: AtomicU32::new(0),
            program: AtomicU32::new(NOT_YET),
            listener: AtomicU32::new(NOT_YET),
            phase: AtomicU32::new(SETUP),
            failed: AtomicU32::new(0),
            errno: AtomicI32::new(0),
            part: AtomicU32::new(0),
            outcomes: [const { AtomicI32::new(0) }; MAX_STEPS],
        }
    }

    /// The word that the kernel clears, and wakes, when the child executes or ends.
    pub fn present(&self) -> &AtomicU32 {
        &self.present
    }

    /// The same for the init, which is about to be started.
    pub fn expect_init(&self) -> &AtomicU32 {
        self.init_present.store(1, Ordering::Relaxed);
        &self.init_present
    }

    /// True once no child uses this memory any more.
    pub fn has_left(&self) -> bool {
        self.present.load(Ordering::Acquire) == 0 && self.init_present.load(Ordering::Acquire) == 0
    }

    /// Waits until [`Record::has_left`]. For the program first, which itself waits for its init.
    pub fn wait_until_left(&self) {
        for word in [&self.present, &self.init_present] {
            wait_until_clear(word);
        }
    }

    /// Waits until the init has left, and the warden knows the program.
    pub fn wait_until_init_left(&self) {
        wait_until_clear(&self.init_present);
        loop {
            match self.program.load(Ordering::Acquire) {
                TAKEN => return,
                word => crate::sys::event::wait_for_change(&self.program, word, None),
            }
        }
    }

    /// Notes that the warden knows the program, and tells that.
    pub fn note_program_known(&self) {
        self.program.store(TAKEN, Ordering::Release);
        crate::sys::event::wake_all(&self.program);
    }

    /// Notes that there is no child, or that it has left, where the kernel does not.
    pub fn leave(&self) {
        for word in [&self.init_present, &self.present] {
            if word.swap(0, Ordering::Release) != 0 {
                crate::sys::event::wake_all(word);
            }
        }
    }

    /// Notes that the init has started the program, and tells who waits for it.
    pub fn set_program(&self, pidfd: i32) {
        let started = pidfd.cast_unsigned().saturating_add(STARTED);
        self.program.store(started, Ordering::Release);
        crate::sys::event::wake_all(&self.program);
    }

    /// Notes that it will not start one, unless it has.
    pub fn miss_program(&self) {
        let (order, failed) = (Ordering::Release, Ordering::Relaxed);
        if self.program.compare_exchange(NOT_YET, NONE_COMES, order, failed).is_ok() {
            crate::sys::event::wake_all(&self.program);
        }
    }

    /// Waits until the init has started the program, and returns its pidfd, in the table that is shared with the host. None: it
    /// has not, as `is_over`, asked now and then, may know sooner.
    pub fn await_program(&self, is_over: impl Fn() -> bool) -> Option<i32> {
        const LOOK_AGAIN: core::time::Duration = core::time::Duration::from_millis(10);
        loop {
            // Before the look at the word: what is over sets it no more.
            let over = is_over();
            match self.program.load(Ordering::Acquire) {
                NOT_YET if over => return None,
                NOT_YET => crate::sys::event::wait_for_change(&self.program, NOT_YET, Some(LOOK_AGAIN)),
                NONE_COMES | TAKEN => return None,
                started => return Some(started.saturating_sub(STARTED).cast_signed()),
            }
        }
    }

    /// Notes that the listener comes next, and tells who waits for it.
    pub fn begin_listening(&self) {
        self.listener.store(BEING_MADE, Ordering::Release);
        crate::sys::event::wake_all(&self.listener);
    }

    /// Notes the listener's number. Whatever the child calls from now on may be trapped, so nobody is told.
    pub fn set_listener(&self, number: i32) {
        self.listener
            .store(number.cast_unsigned().saturating_add(LISTENING), Ordering::Release);
    }

    /// Notes that the listener has been taken over, and tells who waits for it.
    pub fn note_takeover(&self) {
        self.listener.store(TAKEN, Ordering::Release);
        crate::sys::event::wake_all(&self.listener);
    }

    /// Waits until a listener that has the number of a standard stream has been taken over, and so put elsewhere.
    pub fn wait_until_stdio_is_free(&self) {
        while matches!(self.listener(), Listener::At(0..=2)) {
            let word = self.listener.load(Ordering::Acquire);
            crate::sys::event::wait_for_change(&self.listener, word, Some(core::time::Duration::from_millis(1)));
        }
    }

    /// How far the listener is.
    pub fn listener(&self) -> Listener {
        match self.listener.load(Ordering::Acquire) {
            NOT_YET => Listener::NotYet,
            BEING_MADE => Listener::BeingMade,
            TAKEN => Listener::Taken,
            at => Listener::At(at.saturating_sub(LISTENING).cast_signed()),
        }
    }

    /// The word that changes as the listener comes about.
    pub fn listener_word(&self) -> &AtomicU32 {
        &self.listener
    }

    /// Notes how step `index` went: `errno` 0 is success.
    pub fn set_outcome(&self, index: usize, errno: i32) {
        if let Some(outcome) = self.outcomes.get(index) {
            outcome.store(errno, Ordering::Relaxed);
        }
    }

    /// Errno of step `index`, 0 for success.
    pub fn outcome(&self, index: usize) -> i32 {
        self.outcomes
            .get(index)
            .map_or(0, |outcome| outcome.load(Ordering::Relaxed))
    }

    /// Notes that a required step failed.
    pub fn fail_step(&self, index: usize, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.failed
            .store(u32::try_from(index).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.phase.store(STEP_FAILED, Ordering::Relaxed);
    }

    /// Notes which part of its step comes next, of a step that has several.
    pub fn begin_part(&self, part: usize) {
        self.part.store(u32::try_from(part).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The part that was begun last.
    pub fn part(&self) -> usize {
        usize::try_from(self.part.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Notes that exec comes next.
    pub fn begin_exec(&self) {
        self.phase.store(EXECUTING, Ordering::Relaxed);
    }

    /// Notes that nothing could be executed.
    pub fn fail_exec(&self, errno: i32) {
        self.errno.store(errno, Ordering::Relaxed);
        self.phase.store(EXEC_FAILED, Ordering::Relaxed);
    }

    /// How far the child came.
    pub fn progress(&self) -> Progress {
        let errno = self.errno.load(Ordering::Relaxed);
        match self.phase.load(Ordering::Relaxed) {
            SETUP => Progress::Setup,
            EXECUTING => Progress::Executing,
            STEP_FAILED => {
                let index = self.failed.load(Ordering::Relaxed);
                Progress::StepFailed(usize::try_from(index).unwrap_or(usize::MAX), errno)
            }
            _ => Progress::ExecFailed(errno),
        }
    }
}

fn wait_until_clear(word: &AtomicU32) {
    let mut waited = false;
    while word.load(Ordering::Acquire) != 0 {
        crate::sys::event::wait_for_change(word, 1, None);
        waited = true;
    }
    if waited {
        // The kernel has woken one of those who wait for this.
        crate::sys::event::wake_all(word);
    }
}

impl Default for Record {
    fn default() -> Self {
        Self::new()
    }
}
