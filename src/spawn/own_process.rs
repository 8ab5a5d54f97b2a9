//! Confining the calling thread, or process, itself.

use crate::child;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::Feature;
use crate::plan::{Progress, Record};
use crate::policy::Policy;
use crate::policy::process::{Environment, Flag};
use crate::sys;

use super::prepare::Prepared;
use super::steps::Steps;

/// Takes the steps that need no new process, on the calling thread. There is no way back; after an error some may have
/// been taken.
pub(crate) fn confine_self(policy: &Policy, prepared: &Prepared) -> Result<()> {
    refuse_what_starts_a_program(policy)?;
    let all_threads = policy.process.has(Flag::AllThreads) && thread_count()? > 1;
    if all_threads {
        check_reaches_all_threads(prepared)?;
    }
    let steps = Steps::for_own_process(prepared, all_threads);
    let record = Record::new();
    child::run_steps(&steps.planned, &record);
    match record.progress() {
        Progress::StepFailed(index, errno) => Err(steps.purposes.error(index, errno, prepared, 0)),
        _ => Ok(()),
    }
}

/// Settings that describe the start of a program would silently do nothing here.
fn refuse_what_starts_a_program(policy: &Policy) -> Result<()> {
    let process = &policy.process;
    let found = [
        (
            "environment",
            process.environment != Environment::Inherit || !process.variables.is_empty(),
        ),
        ("working directory", process.cwd.is_some()),
        ("umask", process.umask.is_some()),
        ("nice value", process.nice.is_some()),
        ("processor set", !process.cpus.is_empty()),
        ("user", process.user.is_some()),
        ("NO_ASLR", process.has(Flag::NoAslr)),
        ("WAIT_FOR_DESCENDANTS", process.has(Flag::WaitForDescendants)),
        ("OUTPUT_KILLS", process.has(Flag::OutputKills)),
        ("NET_UPDATES", process.has(Flag::NetUpdates)),
        ("PORT_REMAP", process.has(Flag::PortRemap)),
        ("MEMORY_KILLS_LARGEST", process.has(Flag::MemoryKillsLargest)),
        ("grace", policy.grace.is_some()),
    ];
    match found.iter().find(|(_, set)| *set) {
        Some((what, _)) => Err(Error::policy(format_args!(
            "{what} is for starting a program; the calling process is running"
        ))),
        None => Ok(()),
    }
}

fn thread_count() -> Result<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").map_err(|error| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        Error::system(
            ErrorKind::Unsupported,
            Stage::Process,
            "cannot count threads in /proc/self/task",
            errno,
        )
    })?;
    Ok(tasks.count())
}

fn check_reaches_all_threads(prepared: &Prepared) -> Result<()> {
    const LANDLOCK_ALL_THREADS_ABI: u32 = 8;
    let lacks = |what: &str, errno| Error::system(ErrorKind::Unsupported, Stage::Process, what, errno);
    if prepared.ruleset.is_some() && sys::landlock::abi().unwrap_or(0) < LANDLOCK_ALL_THREADS_ABI {
        return Err(lacks(
            "Landlock reaches all threads from ABI 8 (Linux 7.0) on",
            libc::EOPNOTSUPP,
        ));
    }
    if prepared.compiled.decisions.uses(Feature::Capabilities) && sys::credentials::has_capabilities() {
        return Err(lacks(
            "capabilities can be given up by each thread for itself only",
            libc::EOPNOTSUPP,
        ));
    }
    Ok(())
}
