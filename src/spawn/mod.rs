//! The parent side of a start: from a compiled policy to a running program.
//!
//! [`start`] gathers everything the child will need (`prepare`, `buffers`, `streams`), then starts the sandbox's warden
//! (`warden`), which lists the child's steps (`steps`), clones (`launch`) and looks after the sandbox to its end.

mod attendance;
mod buffers;
mod domain;
mod gauge;
mod group;
mod image;
mod job;
mod launch;
pub(crate) mod names;
mod namespaces;
mod own_process;
mod prepare;
mod pty;
mod purposes;
mod reading;
mod ruleset;
mod steps;
mod streams;
mod survey;
mod terminal;
mod thread;
mod throttle;
mod view;
mod vigil;
mod warden;
mod watch;

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::plan::{Listener, Progress};
use crate::process::{HostEnds, Outcome, Process, Reason, Shared};
use crate::supervisor::{Services, Supervision};

pub(crate) use own_process::confine_self;
pub(crate) use prepare::Prepared;
pub(crate) use view::{FilesOfRules, View};

use purposes::Shortfalls;
use thread::Waiting;

/// Where a standard stream of the program comes from or goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stdio {
    /// The host's. If the host has closed it, /dev/null.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe, whose other end [`Process::take_stdio`] gives.
    Pipe,
    /// Memory: the outcome holds it, up to [`SpawnOptions::capture_limit`]. Not for standard input.
    Capture,
    /// This descriptor of the host, which stays the caller's, and must be open until the program was started.
    Fd(i32),
    /// A pseudo-terminal, one for all streams that ask for one: the controlling terminal of the program, which leads a session of
    /// its own. [`Process::take_terminal`] gives the other end.
    Pty,
}

/// A descriptor for the program besides the standard streams; it has no others. See [`SpawnOptions::pass`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its number in the host; stays the caller's.
    pub source: i32,
    /// Its number in the program, 3 or above.
    pub target: i32,
}

/// Most bytes kept of a captured stream unless the caller says otherwise: 16 MiB.
pub const DEFAULT_CAPTURE_LIMIT: u64 = 16 << 20;

/// How to start a program: made by [`SpawnOptions::new`], changed by the functions, or by the fields.
///
/// ```
/// use sandlock::{SpawnOptions, Stdio};
///
/// let options = SpawnOptions::new().stdin(Stdio::Null).stdout(Stdio::Capture).capture_limit(1 << 20);
/// assert_eq!(options.stdio, [Stdio::Null, Stdio::Capture, Stdio::Inherit]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpawnOptions {
    /// Standard input, output and error; all are the host's own unless said.
    pub stdio: [Stdio; 3],
    /// Most bytes to keep of each captured stream, [`DEFAULT_CAPTURE_LIMIT`] unless said. The rest is read and counted, or ends the sandbox
    /// ([`Flag::OutputKills`](crate::policy::Flag::OutputKills)).
    pub capture_limit: u64,
    /// Descriptors to pass besides.
    pub passed: Vec<Passed>,
    /// Name of the sandbox's thread in the host, for ps(1) and debuggers; cut to 15 bytes.
    pub name: Option<CString>,
    /// Rows and columns of the terminal of streams that are [`Stdio::Pty`]; 24 and 80 unless said.
    pub terminal_size: (u16, u16),
    /// Most time that the start may take: handlers that answer calls of it may take long. Beyond, nothing runs, and the error is
    /// [`Timeout`](ErrorKind::Timeout). None, the default: as long as it takes.
    pub start_timeout: Option<Duration>,
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self {
            stdio: [Stdio::Inherit; 3],
            capture_limit: DEFAULT_CAPTURE_LIMIT,
            passed: Vec::new(),
            name: None,
            terminal_size: (24, 80),
            start_timeout: None,
        }
    }
}

impl SpawnOptions {
    /// All streams inherited, nothing else passed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets standard input.
    #[must_use]
    pub fn stdin(mut self, stdio: Stdio) -> Self {
        self.stdio[0] = stdio;
        self
    }

    /// Sets standard output.
    #[must_use]
    pub fn stdout(mut self, stdio: Stdio) -> Self {
        self.stdio[1] = stdio;
        self
    }

    /// Sets standard error.
    #[must_use]
    pub fn stderr(mut self, stdio: Stdio) -> Self {
        self.stdio[2] = stdio;
        self
    }

    /// Sets how many bytes are kept of each captured stream.
    #[must_use]
    pub fn capture_limit(mut self, bytes: u64) -> Self {
        self.capture_limit = bytes;
        self
    }

    /// Sets how long the start may take.
    #[must_use]
    pub fn start_timeout(mut self, time: Duration) -> Self {
        self.start_timeout = Some(time);
        self
    }

    /// Passes the host's descriptor `source` as `target`, 3 or above, each once. It stays the caller's, and must be open until the program
    /// was started.
    #[must_use]
    pub fn pass(mut self, source: i32, target: i32) -> Self {
        self.passed.push(Passed { source, target });
        self
    }
}

/// Where the prepared policy of a run comes from.
pub(crate) struct Source<'a> {
    /// What `prepare` will most likely give: then the warden's thread, which takes as long to start as the rest to gather, is
    /// started at once.
    pub(crate) guess: Option<Arc<Prepared>>,
    /// Gives it.
    pub(crate) prepare: &'a dyn Fn() -> Result<Arc<Prepared>>,
    /// The library's own services for a run under it.
    pub(crate) services: &'a dyn Fn(&Prepared, Option<FilesOfRules>) -> Services,
    /// Hosts that network rules name and that nobody knows, with the reasons.
    pub(crate) unresolved: &'a [String],
}

/// True if children are started by a plain fork, for tools like valgrind: the library cannot serve their calls.
pub(crate) fn is_plain_fork() -> bool {
    job::is_plain_fork()
}

/// Starts `argv`; with a `deadline`, kills the sandbox when that much time has passed.
pub(crate) fn start(
    policy: Source<'_>,
    mut supervision: Option<Supervision>,
    argv: Vec<CString>,
    options: SpawnOptions,
    deadline: Option<Duration>,
) -> Result<Process> {
    let early = policy.guess.map(|guess| Waiting::start(&options, guess)).transpose()?;
    // Before any other descriptor is opened: one could take the number of a stream that the host closed.
    let mut streams = streams::Streams::new(&options)?;
    let mut ends = HostEnds {
        pipes: std::mem::take(&mut streams.host_ends),
        captured: streams.captures.each_ref().map(Option::is_some),
        limit: usize::try_from(options.capture_limit).unwrap_or(usize::MAX),
        terminal: None,
    };
    if let Some(pty) = &mut streams.pty {
        ends.terminal = pty.host_ends.take();
    }
    let child_ends = std::mem::take(&mut streams.child_ends);
    let terminal = streams.terminal.is_some();
    let shared = Shared::new()?;
    let prepared = (policy.prepare)()?;
    if prepared.compiled.listening.is_some() {
        supervision.get_or_insert_with(Supervision::of_services);
    }
    let membership = match &mut supervision {
        Some(supervision) => supervision.call_workers()?,
        None => None,
    };
    let launch = buffers::Launch::new(argv, &prepared.settings)?;
    let program = launch.program().to_owned();
    let files_of_rules = prepared
        .view
        .as_ref()
        .filter(|view| view.makes_rules)
        .map(View::files_of_rules);
    let supervision = supervision.map(|supervision| {
        let services = (policy.services)(&prepared, files_of_rules.clone());
        (supervision, services)
    });
    let mut job = job::Job::new(&prepared, &shared, supervision, launch, streams, &options, deadline)?;
    job.files_of_rules = files_of_rules;
    let arena = Arc::clone(&job.arena);
    let no_group = job.no_group;
    let waiting = match early {
        Some(waiting) if waiting.suits(&prepared) => waiting,
        unsuited => {
            drop(unsuited);
            Waiting::start(&options, Arc::clone(&prepared))?
        }
    };
    let (cloned, handle) = waiting.start_child(job)?;
    drop(child_ends);
    let record = arena.record();
    let progress = match record.listener() {
        // Whether it has come to note that or not.
        Listener::CalledOff => Progress::Setup,
        _ => record.progress(),
    };
    // Whoever is killed at the exec itself, while a handler looks at it, is taken for one that has executed.
    if progress != Progress::Executing || shared.has_overslept() {
        // The child has ended or is about to. An error would be the warden's panic.
        let _ = handle.join();
        return Err(match progress {
            Progress::StepFailed(step, errno) => cloned.purposes.error(step, errno, &prepared, record.part()),
            Progress::ExecFailed(errno) => {
                let program = program.to_bytes().escape_ascii();
                Error::system(ErrorKind::Exec, Stage::Exec, program, errno)
            }
            Progress::Setup | Progress::Executing => killed_early(&shared, deadline.or(options.start_timeout)),
        });
    }
    let shortfalls = Shortfalls {
        no_domain: cloned.no_domain,
        no_group,
        unresolved: policy.unresolved,
    };
    let report = cloned.purposes.report(&prepared, record, terminal, &shortfalls);
    let mut process = Process::new(shared, (cloned.pid, cloned.pidfd), report, ends, handle);
    if let Some(membership) = membership {
        process.keep(Box::new(membership));
    }
    Ok(process)
}

/// The child was killed before it executed its program, by the warden or by somebody else.
fn killed_early(shared: &Shared, deadline: Option<Duration>) -> Error {
    // A child that is called off in the midst of a step ends by itself, perhaps before the kill comes.
    let outlasts =
        |outcome: &Outcome| deadline.is_some_and(|deadline| Duration::from_micros(outcome.usage.wall_us) >= deadline);
    if shared
        .ended()
        .is_some_and(|outcome| outcome.reason == Reason::Timeout || outlasts(&outcome))
    {
        let what = "the time was up before the program was executed";
        return Error::new(ErrorKind::Timeout, Stage::Spawn, what);
    }
    let what = "the child was killed before it executed its program";
    Error::new(ErrorKind::ChildSetup, Stage::Spawn, what)
}
