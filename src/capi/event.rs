//! Events: what happens in sandboxes, told to a callback of the host.

use std::ffi::{c_char, c_void};
use std::time::UNIX_EPOCH;

use crate::supervisor::{Event, Observer};

use super::boundary::{c_string, status, syscall_name, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::supervisor::{UserData, on, sandlock_destroy_fn, sandlock_supervisor};

/// Something that has happened in a sandbox. An observer is handed it, and it is valid until that returns.
pub struct sandlock_event {
    event: Event,
    text: std::ffi::CString,
}

/// An observer: is told of events, one at a time, by one thread of the library, which is not confined and has all signals blocked. The
/// program does not wait for it. It must not unwind, longjmp or end its thread.
pub type sandlock_observer_fn = Option<unsafe extern "C" fn(event: *const sandlock_event, user_data: *mut c_void)>;

struct HostObserver {
    function: unsafe extern "C" fn(*const sandlock_event, *mut c_void),
    data: UserData,
}

impl Observer for HostObserver {
    fn observe(&self, event: &Event) {
        let event = sandlock_event {
            text: c_string(&event.text),
            event: event.clone(),
        };
        // SAFETY: the host gave the function for this pointer, and the event lives until it returns.
        unsafe { (self.function)(&raw const event, self.data.pointer()) };
    }
}

fn ask<T>(event: *const sandlock_event, fallback: T, answer: impl FnOnce(&'static sandlock_event) -> T) -> T {
    // SAFETY: NULL or a live event, as the header asks.
    match unsafe { event.as_ref() } {
        Some(event) => value(fallback, || answer(event)),
        None => fallback,
    }
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: events
/// -------------------------------------------------------------------------------------------------------------------
///
/// Has `observer` told of events of the kinds in `mask`, SANDLOCK_EVENT_* or-ed together, in sandboxes that are started with the
/// supervisor from now on. Events of one sandbox come in order, soon after they have happened. At most 65,536 wait to be told; more
/// are counted in sandlock_stats and lost.
///
/// EXEC, FORK and EXIT have the calls that start, execute and end programs looked at, which takes each some ten microseconds; the
/// ends of processes take a descriptor of the host's each while they live. A process that has neither executed nor started
/// anything, nor called exit, is not known, and its end not told. `destroy` as for sandlock_supervisor_add_handler(): after the last
/// call of the observer, when the supervisor is freed, which tells what still waits.
///
/// INVALID_ARGUMENT: NULL, an empty mask, unknown kinds. SYSTEM: the host is out of descriptors or threads. STATE: the supervisor
/// was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_observe(
    supervisor: *mut sandlock_supervisor,
    mask: u64,
    observer: sandlock_observer_fn,
    user_data: *mut c_void,
    destroy: sandlock_destroy_fn,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    let data = UserData::new(user_data, destroy);
    status(error, || {
        let supervisor = on(supervisor)?;
        let Some(function) = observer else {
            return Err(super::boundary::null("observer"));
        };
        supervisor.observe(mask, HostObserver { function, data })
    })
}

/// One of SANDLOCK_EVENT_*; 0 for NULL. The thread that was handed the event, as for all that follow.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_kind(event: *const sandlock_event) -> u64 {
    ask(event, 0, |event| event.event.kind)
}

/// The thread that made the call, or of EXIT the process that has ended, as the host numbers them; 0 if it cannot be told, or for
/// NULL. The number may be another's by now.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_pid(event: *const sandlock_event) -> i32 {
    ask(event, 0, |event| event.event.pid)
}

/// When it was noticed: nanoseconds since the epoch (CLOCK_REALTIME); 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_time_ns(event: *const sandlock_event) -> u64 {
    ask(event, 0, |event| {
        let since = event.event.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// The number of the system call; -1 if there is none, or for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_syscall(event: *const sandlock_event) -> i32 {
    ask(event, -1, |event| event.event.call.unwrap_or(-1))
}

/// Its name; "" if there is none, or for NULL. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_syscall_name(event: *const sandlock_event) -> *const c_char {
    ask(event, c"".as_ptr(), |event| {
        event.event.call.map_or(c"", syscall_name).as_ptr()
    })
}

/// The errno that the call fails with; 0 if it does not, or for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_errno(event: *const sandlock_event) -> i32 {
    ask(event, 0, |event| event.event.errno)
}

/// The path that the call names, as the program said it or, of MISSING, as it was resolved; NULL if there is none. Borrowed from the
/// event. Of EXEC it is advisory, like the arguments: another thread of the program can change it before the kernel reads it.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_path(event: *const sandlock_event) -> *const c_char {
    ask(event, std::ptr::null(), |event| {
        event.event.path.as_ref().map_or(std::ptr::null(), |path| path.as_ptr())
    })
}

/// True if path and arguments are what the program has said in memory that another thread of it can change before the kernel reads
/// it: to be told, not to decide by. False for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_advisory(event: *const sandlock_event) -> bool {
    ask(event, false, |event| event.event.advisory)
}

/// How many arguments of the executed program there are to be read: of 256 arguments and 32 KiB at most; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_argument_count(event: *const sandlock_event) -> usize {
    ask(event, 0, |event| event.event.arguments.len())
}

/// Argument `index`; NULL if there is none. Borrowed from the event, and advisory.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_argument(event: *const sandlock_event, index: usize) -> *const c_char {
    ask(event, std::ptr::null(), |event| {
        let argument = event.event.arguments.get(index);
        argument.map_or(std::ptr::null(), |argument| argument.as_ptr())
    })
}

/// The exit code of a process that has exited; -1 otherwise.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_exit_code(event: *const sandlock_event) -> i32 {
    ask(event, -1, |event| event.event.exit_code.unwrap_or(-1))
}

/// The signal that has ended a process; 0 otherwise. An EXIT with neither: somebody else has taken the status, and the kernel does
/// not know it any more (before Linux 6.15).
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_signal(event: *const sandlock_event) -> i32 {
    ask(event, 0, |event| event.event.signal.unwrap_or(0))
}

/// What was decided by which rule, in one line for people; "" if there is nothing to say, or for NULL. Borrowed from the event.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_event_text(event: *const sandlock_event) -> *const c_char {
    ask(event, c"".as_ptr(), |event| event.text.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::super::constants::*;
    use crate::supervisor::kind;

    #[test]
    fn constants_are_the_kinds() {
        assert_eq!(
            [
                SANDLOCK_EVENT_EXEC,
                SANDLOCK_EVENT_FORK,
                SANDLOCK_EVENT_EXIT,
                SANDLOCK_EVENT_DENIED,
                SANDLOCK_EVENT_LIMIT,
                SANDLOCK_EVENT_HANDLER_FAILED,
                SANDLOCK_EVENT_MISSING,
                SANDLOCK_EVENT_ALL,
            ],
            [
                kind::EXEC,
                kind::FORK,
                kind::EXIT,
                kind::DENIED,
                kind::LIMIT,
                kind::HANDLER_FAILED,
                kind::MISSING,
                kind::ALL,
            ]
        );
    }
}
