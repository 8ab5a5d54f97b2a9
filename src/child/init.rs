//! The first process of a PID namespace: it sets up what the namespaces have in common, starts the program, and then gives up everything
//! to become a small program of its own (`sys/init.rs`).
//!
//! Until then it shares the host's memory. The program must not get to run before that is over: it goes by the same user in the same
//! user namespace, and so could trace this process, which is why the program waits for it ([`Step::AwaitInit`](crate::plan::Step)).

use core::ffi::{c_char, c_int, c_void};
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use crate::plan::ChildPlan;
use crate::sys::{self, Errno};

/// Takes the init's steps. Returns if one of them fails; then there is no program, or it ends with this process.
pub(super) fn run(plan: &ChildPlan<'_>) {
    super::take_steps(plan, 0..plan.first);
    plan.record.miss_program();
}

/// Starts the program as a child.
#[allow(unsafe_code)]
pub(super) fn start_program(plan: &ChildPlan<'_>) -> sys::Result<()> {
    let init = plan.init.ok_or(Errno(libc::EINVAL))?;
    let argument = core::ptr::from_ref(plan).cast::<c_void>().cast_mut();
    // SAFETY: program() neither returns nor unwinds, and keeps to what shared memory allows. The plan outlives the child's use of it, for
    // which its maker waits; so does the stack, which is the program's alone. All signals are blocked, as they were for this process.
    let child = unsafe {
        sys::process::start_beside(
            program,
            init.stack_top,
            argument,
            plan.record.present(),
            init.share_descriptors,
        )
    }?;
    // This process asked to be killed with its maker, who shows here as no parent at all; one that was gone by then would never be missed.
    if sys::process::is_over(init.maker) {
        return Err(Errno(libc::ESRCH));
    }
    if child.pid != sys::init::PROGRAM {
        // The init would not know it.
        return Err(Errno(libc::EIO));
    }
    plan.record.set_program(child.pidfd);
    Ok(())
}

/// Enters these of the init's namespaces, with its root and working directory for one of mounts. Both processes have the same privileges
/// still, and the init the same memory.
pub(super) fn join(flags: c_int) -> sys::Result<()> {
    /// The init, in its own PID namespace.
    const INIT: i32 = 1;
    let init = sys::process::open_pidfd_raw(INIT)?;
    sys::namespace::join(&init, flags)
}

/// The first code of the program's process.
#[allow(unsafe_code)]
extern "C" fn program(plan: *mut c_void) -> c_int {
    // SAFETY: start_program passes a plan that stays valid until this process has left this memory.
    let plan: &ChildPlan<'_> = unsafe { &*plan.cast_const().cast() };
    super::run_program(plan);
    sys::process::exit(super::FAILED)
}

/// How often, and how long each time, to wait for a process that the host forked while it wrote the init's code, and that has the file
/// open for writing until it executes something.
const PATIENCE: u32 = 1000;
const MOMENT: Duration = Duration::from_millis(1);
static NEVER: AtomicU32 = AtomicU32::new(0);

/// Executes the init's code; returns if that fails.
#[allow(unsafe_code)]
pub(super) fn become_init(plan: &ChildPlan<'_>) -> sys::Result<()> {
    let init = plan.init.ok_or(Errno(libc::EINVAL))?;
    // Before anything else: what follows would change the host's table.
    sys::fd::unshare_table()?;
    sys::fd::close_on_exec_from(0)?;
    let report = sys::fd::duplicate_above(init.report, 1)?;
    sys::fd::duplicate_onto(report, 0)?;
    let all = if init.waits_for_all {
        c"all".as_ptr()
    } else {
        core::ptr::null()
    };
    let argv: [*const c_char; 3] = [c"sandlock-init".as_ptr(), all, core::ptr::null()];
    for _ in 0..PATIENCE {
        // SAFETY: the array is null-terminated, its strings are NUL-terminated.
        match unsafe { sys::process::execute_file(init.image, argv.as_ptr()) } {
            Errno(libc::ETXTBSY) => sys::event::wait_for_change(&NEVER, 0, Some(MOMENT)),
            errno => return Err(errno),
        }
    }
    Err(Errno(libc::ETXTBSY))
}
