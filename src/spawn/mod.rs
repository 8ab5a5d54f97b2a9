//! The parent side of a start: from a compiled policy to a running program.
//!
//! [`start`] gathers everything the child will need (`prepare`, `buffers`, `streams`), then starts the sandbox's warden
//! (`warden`), which lists the child's steps (`steps`), clones (`launch`) and looks after the sandbox to its end.

mod buffers;
mod launch;
mod own_process;
mod prepare;
mod ruleset;
mod steps;
mod streams;
mod terminal;
mod warden;

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::process::{Process, Shared};
use crate::sys;

pub(crate) use own_process::confine_self;
pub(crate) use prepare::Prepared;

/// Where a standard stream of the program comes from or goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdio {
    /// The host's. If the host has closed it, /dev/null.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe, whose other end [`Process::take_stdio`] gives.
    Pipe,
    /// Memory: the outcome holds it. Not for standard input.
    Capture,
    /// This descriptor of the host, which stays the caller's.
    Fd(i32),
}

/// A descriptor for the program besides the standard streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its number in the host; stays the caller's.
    pub source: i32,
    /// Its number in the program, 3 or above.
    pub target: i32,
}

/// Most bytes kept of a captured stream unless the caller says otherwise: 16 MiB.
pub const DEFAULT_CAPTURE_LIMIT: u64 = 16 << 20;

/// How to start a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnOptions {
    /// Standard input, output and error.
    pub stdio: [Stdio; 3],
    /// Most bytes to keep of each captured stream. The rest is read and counted.
    pub capture_limit: u64,
    /// Descriptors to pass besides.
    pub passed: Vec<Passed>,
    /// Name of the sandbox's thread in the host, for ps(1) and debuggers; cut to 15 bytes.
    pub name: Option<CString>,
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self {
            stdio: [Stdio::Inherit; 3],
            capture_limit: DEFAULT_CAPTURE_LIMIT,
            passed: Vec::new(),
            name: None,
        }
    }
}

/// Starts `argv`; with a `deadline`, kills the sandbox when that much time has passed.
pub(crate) fn start(
    prepared: Arc<Prepared>,
    argv: Vec<CString>,
    options: SpawnOptions,
    deadline: Option<Duration>,
) -> Result<Process> {
    // First, while no descriptor of ours can have taken the number of a stream that the host closed.
    let streams = streams::Streams::new(&options)?;
    let launch = buffers::Launch::new(argv, &prepared.settings)?;
    let shared = Shared::new()?;
    let (job, host_ends) = warden::Job::new(prepared, launch, streams, &options, deadline)?;
    let handle = start_thread(thread_name(&options), {
        let shared = Arc::clone(&shared);
        move || warden::run(job, &shared)
    })?;
    match shared.wait_started() {
        Ok(started) => Ok(Process::new(shared, started, host_ends, handle)),
        Err(error) => {
            // The warden has nothing left to do. An error would be its panic.
            let _ = handle.join();
            Err(error)
        }
    }
}

/// Stack of a warden. It polls, reads pipes and formats an error at most.
const WARDEN_STACK: usize = 128 << 10;

fn thread_name(options: &SpawnOptions) -> String {
    let name = options.name.as_ref().map(|name| name.to_string_lossy().into_owned());
    let mut name = name
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "sandlock".to_owned());
    while name.len() > 15 {
        name.pop();
    }
    name
}

/// Starts a thread that takes no signals, from its first instruction on.
fn start_thread(name: String, body: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>> {
    let failed = |errno| {
        Error::system(
            ErrorKind::System,
            Stage::Spawn,
            "cannot start the sandbox's thread",
            errno,
        )
    };
    let former = sys::signal::set_mask(sys::signal::Mask::ALL_BUT_LIBC).map_err(|errno| failed(errno.0))?;
    let thread = std::thread::Builder::new()
        .name(name)
        .stack_size(WARDEN_STACK)
        .spawn(body);
    let restored = sys::signal::set_mask(former);
    debug_assert!(restored.is_ok(), "restoring a signal mask cannot fail");
    thread.map_err(|error| failed(error.raw_os_error().unwrap_or(libc::EAGAIN)))
}
