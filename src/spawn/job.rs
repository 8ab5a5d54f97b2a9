//! What a warden needs for a run, put together by the thread that asks for it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::{Feature, Strictness};
use crate::plan::Init;
use crate::policy::{Flag, Limit};
use crate::probe::Place;
use crate::process::Shared;
use crate::supervisor::{Services, Supervision};
use crate::sys;
use crate::sys::limits::CpuSet;

use super::SpawnOptions;
use super::buffers::Launch;
use super::group::Group;
use super::launch::{Arena, Memory};
use super::prepare::Prepared;
use super::streams::{self, Streams};
use super::view::FilesOfRules;

/// Everything a warden needs, handed to its thread.
pub(super) struct Job {
    pub(super) shared: Arc<Shared>,
    /// What looks at the program's calls, if anything does.
    pub(super) supervision: Option<(Supervision, Services)>,
    /// Calls of the child's set-up may be trapped too.
    pub(super) serves_set_up: bool,
    pub(super) launch: Launch,
    pub(super) streams: Streams,
    pub(super) cpus: Option<CpuSet>,
    pub(super) capture_limit: usize,
    pub(super) deadline: Option<Duration>,
    /// It is that of the start alone.
    pub(super) of_start: bool,
    pub(super) host: i32,
    /// Shared with who waits for the child to execute its program.
    pub(super) arena: Arc<Arena>,
    pub(super) memory: Memory,
    /// The pipe by which the init of a PID namespace reports.
    pub(super) report: Option<Pipe>,
    /// Where the child notes what path rules lead to, in a view of its own.
    pub(super) files_of_rules: Option<FilesOfRules>,
    /// The sandbox's control group, if one holds limits.
    pub(super) group: Option<Arc<Group>>,
    /// The errno that kept it from having one, or 0.
    pub(super) no_group: i32,
}

/// A pipe, close-on-exec.
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
}

impl Pipe {
    fn new() -> Result<Self> {
        let failed =
            |errno: sys::Errno| Error::system(ErrorKind::System, Stage::Namespaces, "cannot create a pipe", errno.0);
        let (reader, writer) = streams::pipe().map_err(failed)?;
        // Whoever reads does not wait: somebody might hold the other end who has been forked meanwhile.
        sys::fd::set_nonblocking(reader.as_raw_fd()).map_err(failed)?;
        Ok(Self { reader, writer })
    }
}

impl Job {
    /// Puts a job together.
    pub(super) fn new(
        prepared: &Prepared,
        shared: &Arc<Shared>,
        supervision: Option<(Supervision, Services)>,
        launch: Launch,
        streams: Streams,
        options: &SpawnOptions,
        deadline: Option<Duration>,
    ) -> Result<Self> {
        let mut memory = child_memory(prepared);
        let place = prepared.place.as_ref();
        if memory == Memory::Shared && place.is_some_and(Place::is_bounded_apart) {
            // Whoever is killed there for want of memory must not take the host with him.
            memory = Memory::Copied;
        }
        let serves_set_up = prepared.compiled.traps.reach_set_up();
        let listens = prepared.compiled.listening.is_some();
        if listens && (memory == Memory::PlainFork || (serves_set_up && memory != Memory::Shared)) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Supervisor,
                "a child that starts in memory of its own (NO_HUGE_PAGES, SANDLOCK_SPAWN=fork, a control group with a limit \
                 above it) cannot be supervised",
            ));
        }
        if memory != Memory::Shared && prepared.init.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                Stage::Namespaces,
                "a PID namespace's init starts in the host's memory, and a child must not beneath a control group with a limit of its own",
            ));
        }
        let arena = Arena::new(memory != Memory::Shared).map_err(|errno| {
            Error::system(
                ErrorKind::System,
                Stage::Spawn,
                "cannot map a stack for the child",
                errno.0,
            )
        })?;
        let (group, no_group) = make_group(prepared, memory)?;
        Ok(Self {
            shared: Arc::clone(shared),
            supervision,
            serves_set_up,
            cpus: cpu_set(prepared),
            capture_limit: usize::try_from(options.capture_limit).unwrap_or(usize::MAX),
            host: sys::process::id(),
            launch,
            streams,
            deadline: deadline.or(options.start_timeout),
            of_start: deadline.is_none(),
            arena: Arc::new(arena),
            memory,
            group,
            no_group,
            report: prepared.init.is_some().then(Pipe::new).transpose()?,
            files_of_rules: None,
        })
    }

    /// What the init needs, if the program is to have one.
    ///
    /// `maker` is a pidfd of the thread that makes it.
    pub(super) fn init_of(&self, prepared: &Prepared, listen: bool, maker: Option<RawFd>) -> Option<Init> {
        let (image, pipe) = (prepared.init.as_ref()?, self.report.as_ref()?);
        Some(Init {
            stack_top: self.arena.second_stack_top(),
            image: image.as_raw_fd(),
            report: pipe.writer.as_raw_fd(),
            maker: maker.unwrap_or(-1),
            waits_for_all: prepared.settings.has(Flag::WaitForDescendants),
            share_descriptors: listen,
        })
    }

    /// What to wake when the program was executed.
    pub(super) fn to_be_told(&self) -> Option<Arc<Shared>> {
        let waits = self.supervision.is_some() && !self.serves_set_up;
        waits.then(|| Arc::clone(&self.shared))
    }
}

/// The sandbox's control group, or the errno of what keeps it from having one, if the policy does not require what it is for.
fn make_group(prepared: &Prepared, memory: Memory) -> Result<(Option<Arc<Group>>, i32)> {
    let Some(place) = &prepared.place else {
        return Ok((None, 0));
    };
    let limits = prepared.compiled.group;
    let enter = memory == Memory::PlainFork || !place.starts_inside();
    match Group::make(place, limits, enter) {
        Ok(group) => Ok((Some(Arc::new(group)), 0)),
        Err(failure) if is_required(prepared) => Err(failure.error(place)),
        Err(failure) => Ok((None, failure.errno)),
    }
}

fn is_required(prepared: &Prepared) -> bool {
    let requires = |feature| prepared.policy.strictness(feature) == Strictness::Require;
    let limits = prepared.compiled.group;
    (limits.hold(Limit::Memory) && requires(Feature::Memory))
        || (limits.hold(Limit::CpuShare) && requires(Feature::Limits))
}

/// The child usually shares the host's memory. The huge page setting belongs to the address space, so it takes another one;
/// and tools like valgrind, which cannot follow a child that shares memory, are told by an environment variable.
fn child_memory(prepared: &Prepared) -> Memory {
    if is_plain_fork() {
        Memory::PlainFork
    } else if prepared.compiled.decisions.uses(Feature::NoHugePages) {
        Memory::Copied
    } else {
        Memory::Shared
    }
}

/// True if the environment asks for the plainest way to start a child.
pub(super) fn is_plain_fork() -> bool {
    std::env::var_os("SANDLOCK_SPAWN").is_some_and(|mode| mode == "fork")
}

fn cpu_set(prepared: &Prepared) -> Option<CpuSet> {
    let mut set = CpuSet::default();
    for &cpu in &prepared.settings.cpus {
        let word = usize::try_from(cpu / 64).ok()?;
        *set.get_mut(word)? |= 1 << (cpu % 64);
    }
    (!prepared.settings.cpus.is_empty()).then_some(set)
}
