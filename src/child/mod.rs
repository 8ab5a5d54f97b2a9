//! What runs between clone and exec.
//!
//! The child of the usual path shares the host's memory, and the thread-local storage of the thread that made it, while that
//! and the host's other threads run on. Whatever lock one of them holds, a malloc lock for one,
//! the child would wait for with nobody to vouch that it is ever released in a state the child understands; whatever
//! the child allocates, the host leaks. So the code here and in `sys/` does three things only: it reads the
//! [`ChildPlan`] that its parent prepared, makes system calls, and writes numbers into the plan's record. It never
//! allocates, locks, panics or unwinds, and does not use `std`. Lints below hold that at compile time, and
//! `tests/child_allocations.rs` holds it at run time.
//!
//! Everything that is per-process in the kernel is the child's own from the start (signal dispositions, descriptor
//! table, limits, working directory, credentials). Two things are not, because they belong to the address space: the
//! dumpable flag and the huge page setting. No step may touch them in a shared address space.
#![deny(
    clippy::disallowed_types,
    clippy::std_instead_of_core,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

mod confine;
mod exec;
mod init;
mod mounts;
mod setup;

use core::ffi::{c_int, c_void};
use core::ops::Range;

use crate::plan::{ChildPlan, PlannedStep, Record, Step};
use crate::sys::{self, Errno};

/// Exit status of a child that could not execute its program; nobody outside the library sees it.
const FAILED: c_int = 127;

/// The first code of a new process.
///
/// `plan` points to a [`ChildPlan`] that outlives the child's use of this memory.
#[allow(unsafe_code)]
pub extern "C" fn entry(plan: *mut c_void) -> c_int {
    // SAFETY: spawn passes a plan that stays valid until the child has left this memory.
    let plan: &ChildPlan<'_> = unsafe { &*plan.cast_const().cast() };
    if plan.init.is_some() {
        init::run(plan);
    } else {
        run_program(plan);
    }
    sys::process::exit(FAILED)
}

/// Takes the program's steps and executes it; returns if that fails.
fn run_program(plan: &ChildPlan<'_>) {
    if take_steps(plan, plan.first..plan.steps.len()) {
        plan.record.begin_exec();
        let errno = exec::execute(&plan.exec);
        plan.record.fail_exec(errno.0);
    }
}

/// Takes these steps of the plan in order and records each outcome; false if a required one failed.
fn take_steps(plan: &ChildPlan<'_>, range: Range<usize>) -> bool {
    let steps = plan.steps.iter().enumerate().take(range.end).skip(range.start);
    for (index, planned) in steps {
        let outcome = match planned.step {
            Step::StartProgram => init::start_program(plan),
            Step::BecomeInit => init::become_init(plan),
            step => take(step, plan.record),
        };
        if !note(planned, index, outcome, plan.record) {
            return false;
        }
    }
    true
}

/// Takes `steps` in order and records each outcome; false if a required one failed.
pub fn run_steps(steps: &[PlannedStep<'_>], record: &Record) -> bool {
    steps
        .iter()
        .enumerate()
        .all(|(index, planned)| note(planned, index, take(planned.step, record), record))
}

/// Records how a step went; false if it was required and failed.
fn note(planned: &PlannedStep<'_>, index: usize, outcome: sys::Result<()>, record: &Record) -> bool {
    let Err(Errno(errno)) = outcome else { return true };
    record.set_outcome(index, errno);
    if planned.required {
        record.fail_step(index, errno);
    }
    !planned.required
}

fn take(step: Step<'_>, record: &Record) -> sys::Result<()> {
    match step {
        Step::DefaultSignals => {
            sys::signal::reset_dispositions();
            Ok(())
        }
        Step::UnblockSignals => sys::signal::set_mask(sys::signal::Mask::EMPTY).map(drop),
        Step::DieWithParent { parent } => setup::die_with_parent(parent),
        Step::EnterGroup(members) => sys::cgroup::enter(members),
        Step::NewSession => sys::process::new_session(),
        Step::SessionOnTerminal { terminal } => setup::lead_session_on(terminal),
        Step::NewGroup => sys::process::new_group(),
        Step::Foreground { terminal } => setup::take_foreground(terminal),
        Step::MapIdentity(map) => sys::namespace::map_identity(map),
        Step::HostName(name) => sys::namespace::set_host_name(name),
        Step::Loopback => sys::namespace::bring_up_loopback(),
        Step::Umask(mask) => {
            sys::limits::set_umask(mask);
            Ok(())
        }
        Step::Nice(value) => sys::limits::set_nice(value),
        Step::Affinity(set) => sys::limits::set_affinity(set),
        Step::Personality(flag) => sys::limits::add_personality(flag),
        Step::NoHugePages => sys::credentials::disable_huge_pages(),
        Step::Mounts(plan) => mounts::mount_all(&plan, record),
        Step::ChangeDirectoryTo(path) => sys::mount::change_directory(path),
        Step::StartIn(path) => sys::mount::change_directory(path).or_else(|_| sys::mount::change_directory(c"/")),
        Step::OwnNamespaces(flags) => sys::namespace::unshare(flags),
        Step::Ready => {
            record.note_ready();
            Ok(())
        }
        Step::AwaitReady => {
            record.wait_until_ready();
            Ok(())
        }
        Step::JoinInit(flags) => init::join(flags),
        Step::Restrict(plan) => confine::restrict(&plan, record),
        Step::ChangeDirectory(directory) => sys::fd::change_directory(directory),
        Step::CloseInherited => sys::fd::close_on_exec_from(3),
        Step::OwnDescriptors => sys::fd::unshare_table(),
        Step::Descriptors(moves) => setup::place_descriptors(moves),
        Step::Limit { resource, soft, hard } => sys::limits::set_limit(resource, soft, hard),
        Step::DropCapabilities => sys::credentials::drop_capabilities(),
        Step::NoNewPrivs => sys::credentials::set_no_new_privs(),
        Step::Landlock { ruleset, flags } => sys::landlock::restrict_self(ruleset, flags),
        Step::Listen {
            program,
            flags,
            above_stdio,
        } => confine::listen(program, flags, above_stdio, record),
        Step::AwaitInit => {
            record.wait_until_released();
            Ok(())
        }
        // Of a child with a plan of its own only.
        Step::StartProgram | Step::BecomeInit => Err(Errno(libc::EINVAL)),
        Step::Filter { program, flags } => confine::install_filter(program, flags),
    }
}
