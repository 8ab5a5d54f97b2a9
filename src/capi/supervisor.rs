//! Supervisors: who answers a program's system calls.

use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::sandbox::check_selector;
use crate::supervisor::{Handler, Level, Log, Notification, Options, Stats, Supervisor, Verdict};

use super::boundary::{into_handle, null, required, status, string, timeout, utf8, value};
use super::constants::{
    SANDLOCK_HANDLER_DONE, SANDLOCK_HANDLER_PASS, SANDLOCK_LOG_ERROR, SANDLOCK_LOG_WARNING, sandlock_status,
};
use super::error::sandlock_error;
use super::notification::sandlock_notification;
use super::pending::sandlock_pending;
use super::policy::{check_owner, process_id};
use super::structs::{Extensible, init, read, write};

/// Who answers the system calls of programs: handlers, and a queue. Made by sandlock_supervisor_new(), given to sandlock_spawn()
/// or sandlock_run(). Any thread, concurrently, but for sandlock_supervisor_free().
pub struct sandlock_supervisor {
    supervisor: Supervisor,
    owner: i32,
}

impl sandlock_supervisor {
    pub(super) fn supervisor(&self) -> Result<&Supervisor> {
        check_owner(self.owner, "supervisor handle")?;
        Ok(&self.supervisor)
    }
}

/// A handler: looks at a call and says SANDLOCK_HANDLER_DONE after it has answered it or put it off, or SANDLOCK_HANDLER_PASS
/// to leave it to the next handler; a call that every handler passes on runs. Any other value means that the handler has
/// failed: the call is denied, unless it was answered.
///
/// It runs on a thread of the library that is not confined and has all signals blocked, several at a time, also for calls
/// of one program. While it runs the caller waits; other threads and processes of the program do not. It has the supervisor's
/// deadline. It must not unwind, longjmp or end its thread, and the notification is its own until it returns.
pub type sandlock_handler_fn =
    Option<unsafe extern "C" fn(call: *mut sandlock_notification, user_data: *mut c_void) -> i32>;

/// Told when a handler or log and its user data are needed no more: exactly once, from any thread, when no call of it runs.
pub type sandlock_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Takes a line of what the library has to say: `level` is SANDLOCK_LOG_*, `message` has no newline and is borrowed. Called from
/// any thread, several at a time.
pub type sandlock_log_fn = Option<unsafe extern "C" fn(level: u32, message: *const c_char, user_data: *mut c_void)>;

/// How a supervisor works. Start from SANDLOCK_SUPERVISOR_OPTIONS_INIT or sandlock_supervisor_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_supervisor_options {
    /// sizeof(sandlock_supervisor_options), set by the caller.
    pub size: usize,
    /// How long a handler may look at a call, in milliseconds; then the call is denied with EPERM, and what the handler answers
    /// later is STALE. 0 is 30,000. Calls that were put off have no deadline.
    pub deadline_ms: u32,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_supervisor_options {
    const NAME: &'static str = "sandlock_supervisor_options";
    const FIRST_SIZE: usize = 16;
}

const DEFAULTS: sandlock_supervisor_options = sandlock_supervisor_options {
    size: size_of::<sandlock_supervisor_options>(),
    deadline_ms: 0,
};

/// What a supervisor has done for all its sandboxes since it was made, or for one sandbox. Start from SANDLOCK_STATS_INIT or sandlock_stats_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_stats {
    /// sizeof(sandlock_stats), set by the caller.
    pub size: usize,
    /// Calls received from the kernel.
    pub received: u64,
    /// Calls that ran: passed on by every handler, or continued by one.
    pub continued: u64,
    /// Calls that failed by an answer, or for want of one.
    pub denied: u64,
    /// Calls that returned a value or descriptor without running.
    pub returned: u64,
    /// Sandboxes ended by a handler.
    pub killed: u64,
    /// Calls denied because their handler's deadline passed.
    pub overdue: u64,
    /// Times that a handler failed, or returned without an answer.
    pub failed: u64,
    /// Answers that found the caller gone, or could not be given.
    pub dropped: u64,
    /// Calls that were put off or went to the queue.
    pub deferred: u64,
    /// Calls that wait in the queue now.
    pub queued: u64,
    /// Longest time from receiving a call to its answer, microseconds.
    pub worst_latency_us: u64,
    /// Events that observers were not told of, because too many waited.
    pub events_lost: u64,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_stats {
    const NAME: &'static str = "sandlock_stats";
    const FIRST_SIZE: usize = 96;
}

const NO_STATS: sandlock_stats = sandlock_stats {
    size: size_of::<sandlock_stats>(),
    received: 0,
    continued: 0,
    denied: 0,
    returned: 0,
    killed: 0,
    overdue: 0,
    failed: 0,
    dropped: 0,
    deferred: 0,
    queued: 0,
    worst_latency_us: 0,
    events_lost: 0,
};

impl From<Stats> for sandlock_stats {
    fn from(stats: Stats) -> Self {
        Self {
            size: size_of::<Self>(),
            received: stats.received,
            continued: stats.continued,
            denied: stats.denied,
            returned: stats.returned,
            killed: stats.killed,
            overdue: stats.overdue,
            failed: stats.failed,
            dropped: stats.dropped,
            deferred: stats.deferred,
            queued: stats.queued,
            worst_latency_us: stats.worst_latency_us,
            events_lost: stats.events_lost,
        }
    }
}

/// What belongs to a callback of the host.
pub(super) struct UserData {
    pointer: *mut c_void,
    destroy: sandlock_destroy_fn,
}

// SAFETY: the header says that callbacks run on any thread, several at a time: the host's data must bear it.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(pointer: *mut c_void, destroy: sandlock_destroy_fn) -> Self {
        Self { pointer, destroy }
    }

    pub(super) fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the host gave the function for this pointer, and this is the only call.
            unsafe { destroy(self.pointer) };
        }
    }
}

struct HostHandler {
    function: unsafe extern "C" fn(*mut sandlock_notification, *mut c_void) -> i32,
    data: UserData,
}

impl Handler for HostHandler {
    fn handle(&self, call: &mut Notification) -> Verdict {
        let mut notification = sandlock_notification::new(call);
        // SAFETY: the host gave the function for this pointer, and the notification lives until it returns.
        let said = unsafe { (self.function)(&raw mut notification, self.data.pointer) };
        match said {
            SANDLOCK_HANDLER_DONE => Verdict::Done,
            SANDLOCK_HANDLER_PASS => Verdict::Pass,
            _ => Verdict::Failed,
        }
    }
}

struct HostLog {
    function: unsafe extern "C" fn(u32, *const c_char, *mut c_void),
    data: UserData,
}

impl Log for HostLog {
    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => SANDLOCK_LOG_ERROR,
            Level::Warning => SANDLOCK_LOG_WARNING,
        };
        let message = super::boundary::c_string(message);
        // SAFETY: the host gave the function for this pointer, and the message outlives the call.
        unsafe { (self.function)(level, message.as_ptr(), self.data.pointer) };
    }
}

pub(super) fn on(supervisor: *const sandlock_supervisor) -> Result<&'static Supervisor> {
    required(supervisor, "supervisor")?.supervisor()
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: supervisor
/// -------------------------------------------------------------------------------------------------------------------
///
/// A supervisor looks at system calls that the policy allows, before they run: it can let them run, have them fail, or answer in
/// the kernel's place. It can narrow a policy and put something else behind its calls; it cannot widen it. A call that no
/// handler is for costs nothing. One that goes through a handler takes about five microseconds more where the kernel is
/// Linux 6.6 or later.
///
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `options` to SANDLOCK_SUPERVISOR_OPTIONS_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_options_init(options: *mut sandlock_supervisor_options) {
    value((), || init(options, DEFAULTS));
}

/// Makes a supervisor without handlers. `options` may be NULL. On success the caller owns `*out`.
///
/// INVALID_ARGUMENT: `out` is NULL, a wrong size. SYSTEM: the host is out of descriptors. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_new(
    options: *const sandlock_supervisor_options,
    out: *mut *mut sandlock_supervisor,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let mut chosen = Options::default();
        if !options.is_null() {
            let options = read(options, DEFAULTS)?;
            if options.deadline_ms != 0 {
                chosen.deadline = Duration::from_millis(options.deadline_ms.into());
            }
        }
        if out.is_null() {
            return Err(null("out"));
        }
        let supervisor = sandlock_supervisor {
            supervisor: Supervisor::new(chosen)?,
            owner: process_id(),
        };
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(supervisor)) };
        Ok(())
    })
}

/// Has `handler` look at the calls that `syscall` names: a system call ("openat") or a group ("@file-system"). Handlers look at a
/// call in the order in which they were added. Sandboxes that run already do not get to know a new one. `handler` NULL puts the
/// calls in the supervisor's queue instead, for sandlock_supervisor_next(). The exec that starts the program goes to handlers, which
/// must not leave its answer to the thread that starts the program, for that waits for it; a queue never gets it.
///
/// `destroy` may be NULL; it is called with `user_data` exactly once, also if this function fails: when supervisor and sandboxes
/// need the handler no more. `flags` must be 0. A handler for a call that the policy denies is refused when a program is
/// started (STATE), for it could only widen the policy; of a group it gets the members that are allowed. Calls that the kernel
/// answers by itself, like clone3, which the filter answers with ENOSYS so that programs use clone, are denied ones. So are those
/// that the library carries out itself to guard the metadata of files (chmod and its like), unless the policy allows them by name,
/// which lifts that guard. Opens of /etc/hosts are the library's where a network rule names a host. Of calls that start processes a handler sees those that SANDLOCK_LIMIT_PROCESSES has let through.
///
/// A signal that reaches the program in the microseconds before the library has received its call interrupts the call, which then fails
/// with EINTR if the signal has a handler that was installed without SA_RESTART; from Linux 5.19 on a call that was received is
/// not interrupted any more. Where SANDLOCK_LIMIT_PROCESSES has calls trapped, handlers of SIGCHLD are installed with SA_RESTART
/// for that reason.
///
/// What a call's pointers point to can be changed by another thread of the program at any time. A handler that decides by it
/// must act on the copy that it has read, by sandlock_notification_return_fd() or the like; to let the call run after a look at
/// such memory decides nothing.
///
/// INVALID_ARGUMENT: NULL, an unknown name, unknown flags. STATE: the supervisor was made before this process was forked.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_add_handler(
    supervisor: *mut sandlock_supervisor,
    syscall: *const c_char,
    handler: sandlock_handler_fn,
    user_data: *mut c_void,
    destroy: sandlock_destroy_fn,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    let data = UserData::new(user_data, destroy);
    status(error, || {
        let supervisor = on(supervisor)?;
        let name = utf8(string(syscall, "syscall")?, "system call")?;
        if flags != 0 {
            return Err(Error::argument(format_args!("unknown handler flags {flags:#x}")));
        }
        check_selector(name)?;
        match handler {
            Some(function) => supervisor.add_handler(name, HostHandler { function, data }),
            None => {
                supervisor.add_queue(name);
                drop(data);
            }
        }
        Ok(())
    })
}

/// Has the library say what goes wrong in a supervisor: handlers that fail, deadlines that pass, threads that cannot be started.
/// Without a log it is silent. `log` NULL takes the former one away. `destroy` as for sandlock_supervisor_add_handler().
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_set_log(
    supervisor: *mut sandlock_supervisor,
    log: sandlock_log_fn,
    user_data: *mut c_void,
    destroy: sandlock_destroy_fn,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    let data = UserData::new(user_data, destroy);
    status(error, || {
        let log = log.map(|function| -> Arc<dyn Log> { Arc::new(HostLog { function, data }) });
        on(supervisor)?.set_log(log);
        Ok(())
    })
}

/// A descriptor that is readable while sandlock_supervisor_next() has something to give: for poll(2), epoll(7) and what is built
/// on them, like libuv and asyncio. Borrowed: it belongs to the supervisor and must be neither read nor closed. -1 if `supervisor`
/// is NULL or from before a fork. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_fd(supervisor: *const sandlock_supervisor) -> c_int {
    value(-1, || on(supervisor).map_or(-1, Supervisor::fd))
}

/// Takes the next call from the queue, waiting for at most `timeout_ms` (negative: without limit, 0: not at all). On success the
/// caller owns `*out` and answers it, from any thread, whenever it can. Calls whose callers died meanwhile are left out. No thread of
/// the library ever calls into a host that uses nothing but the queue.
///
/// TIMEOUT: none came. INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_next(
    supervisor: *mut sandlock_supervisor,
    timeout_ms: i32,
    out: *mut *mut sandlock_pending,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let supervisor = on(supervisor)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let pending = supervisor.next(timeout(timeout_ms)).ok_or_else(|| {
            Error::new(
                ErrorKind::Timeout,
                Stage::Supervisor,
                format_args!("no call has come within {timeout_ms} ms"),
            )
        })?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_pending::new(pending))) };
        Ok(())
    })
}

/// Sets `stats` to SANDLOCK_STATS_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_stats_init(stats: *mut sandlock_stats) {
    value((), || init(stats, NO_STATS));
}

/// What the supervisor has done so far. The numbers are read one by one while others count on.
///
/// INVALID_ARGUMENT: NULL, a wrong size. STATE: the supervisor was made before this process was forked. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_supervisor_stats(
    supervisor: *const sandlock_supervisor,
    out: *mut sandlock_stats,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || write(out, &on(supervisor)?.stats().into()))
}

/// Frees a supervisor. Sandboxes that it serves keep its handlers until they end; calls in its queue are denied, and so are those
/// that would go there. NULL is allowed. In a fork of the host nothing happens: the memory stays. Any thread, when no other uses
/// it any more, also from a handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_supervisor_free(supervisor: *mut sandlock_supervisor) {
    if supervisor.is_null() {
        return;
    }
    // SAFETY: a supervisor that this library made and nobody freed.
    let owned = unsafe { Box::from_raw(supervisor) };
    if owned.owner == process_id() {
        value((), move || drop(owned));
    } else {
        // Its locks may be held by threads that do not exist here.
        std::mem::forget(owned);
    }
}
