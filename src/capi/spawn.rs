//! Starting programs.

use std::ffi::{CString, c_char};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sandbox::{Passed, SpawnOptions, Stdio};
use crate::supervisor::Supervisor;

use super::boundary::{into_handle, null, optional_string, required, slice, status, string_array, timeout, value};
use super::constants::{
    SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_FD, SANDLOCK_STDIO_INHERIT, SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_PIPE,
    SANDLOCK_STDIO_PTY, sandlock_status,
};
use super::error::sandlock_error;
use super::policy::sandlock_policy;
use super::process::sandlock_process;
use super::result::sandlock_result;
use super::structs::{Extensible, init, read};
use super::supervisor::sandlock_supervisor;

/// How to start a program. Start from SANDLOCK_SPAWN_OPTIONS_INIT or sandlock_spawn_options_init() and set what differs. All
/// pointers are borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct sandlock_spawn_options {
    /// sizeof(sandlock_spawn_options), set by the caller.
    pub size: usize,
    /// Standard input: SANDLOCK_STDIO_*.
    pub stdin_mode: u32,
    /// Standard output: SANDLOCK_STDIO_*.
    pub stdout_mode: u32,
    /// Standard error: SANDLOCK_STDIO_*.
    pub stderr_mode: u32,
    /// With SANDLOCK_STDIO_FD: the host's descriptor for it. Stays the caller's.
    pub stdin_fd: i32,
    /// Likewise for standard output.
    pub stdout_fd: i32,
    /// Likewise for standard error.
    pub stderr_fd: i32,
    /// Most bytes kept of each captured stream; what comes after is read, dropped and counted
    /// (sandlock_result_truncated), or ends the sandbox (SANDLOCK_FLAG_OUTPUT_KILLS). 0 is 16 MiB.
    pub capture_limit: u64,
    /// Descriptors to pass besides the standard streams, `pass_fd_count` of them. They stay the caller's.
    pub pass_fds: *const i32,
    /// The numbers that they get in the program, 3 or above, each once; NULL: the same as in the host.
    pub pass_fds_as: *const i32,
    /// Length of both arrays.
    pub pass_fd_count: usize,
    /// Name of the sandbox's thread in the host, as ps(1) shows it, cut to 15 bytes; NULL is "sandlock".
    pub name: *const c_char,
    /// With SANDLOCK_STDIO_PTY: rows of the terminal. 0 is 24.
    pub pty_rows: u16,
    /// Likewise columns. 0 is 80.
    pub pty_columns: u16,
    /// Most milliseconds that the start may take, in which handlers may have to answer calls of it: beyond, nothing runs, and the status is
    /// TIMEOUT. 0: as long as it takes. Once the program is executed this means nothing any more.
    pub start_timeout_ms: u32,
}

// SAFETY: plain data that starts with its size.
unsafe impl Extensible for sandlock_spawn_options {
    const NAME: &'static str = "sandlock_spawn_options";
    const FIRST_SIZE: usize = 72;
}

const DEFAULTS: sandlock_spawn_options = sandlock_spawn_options {
    size: size_of::<sandlock_spawn_options>(),
    stdin_mode: SANDLOCK_STDIO_INHERIT,
    stdout_mode: SANDLOCK_STDIO_INHERIT,
    stderr_mode: SANDLOCK_STDIO_INHERIT,
    stdin_fd: -1,
    stdout_fd: -1,
    stderr_fd: -1,
    capture_limit: 0,
    pass_fds: std::ptr::null(),
    pass_fds_as: std::ptr::null(),
    pass_fd_count: 0,
    name: std::ptr::null(),
    pty_rows: 0,
    pty_columns: 0,
    start_timeout_ms: 0,
};

fn stdio(mode: u32, fd: i32, what: &str) -> Result<Stdio> {
    match mode {
        SANDLOCK_STDIO_INHERIT => Ok(Stdio::Inherit),
        SANDLOCK_STDIO_NULL => Ok(Stdio::Null),
        SANDLOCK_STDIO_PIPE => Ok(Stdio::Pipe),
        SANDLOCK_STDIO_CAPTURE => Ok(Stdio::Capture),
        SANDLOCK_STDIO_FD => Ok(Stdio::Fd(fd)),
        SANDLOCK_STDIO_PTY => Ok(Stdio::Pty),
        unknown => Err(Error::argument(format_args!("unknown {what} {unknown}"))),
    }
}

fn options(from: *const sandlock_spawn_options) -> Result<SpawnOptions> {
    if from.is_null() {
        return Ok(SpawnOptions::default());
    }
    let from = read(from, DEFAULTS)?;
    let sources = slice(from.pass_fds, from.pass_fd_count, "pass_fds")?;
    let targets = if from.pass_fds_as.is_null() {
        sources
    } else {
        slice(from.pass_fds_as, from.pass_fd_count, "pass_fds_as")?
    };
    let mut options = SpawnOptions {
        stdio: [
            stdio(from.stdin_mode, from.stdin_fd, "stdin_mode")?,
            stdio(from.stdout_mode, from.stdout_fd, "stdout_mode")?,
            stdio(from.stderr_mode, from.stderr_fd, "stderr_mode")?,
        ],
        passed: sources
            .iter()
            .zip(targets)
            .map(|(&source, &target)| Passed { source, target })
            .collect(),
        name: optional_string(from.name),
        ..SpawnOptions::default()
    };
    if from.start_timeout_ms != 0 {
        options.start_timeout = Some(Duration::from_millis(from.start_timeout_ms.into()));
    }
    if from.pty_rows != 0 {
        options.terminal_size.0 = from.pty_rows;
    }
    if from.pty_columns != 0 {
        options.terminal_size.1 = from.pty_columns;
    }
    if from.capture_limit != 0 {
        options.capture_limit = from.capture_limit;
    }
    Ok(options)
}

fn arguments(
    policy: *const sandlock_policy,
    supervisor: *mut sandlock_supervisor,
    argv: *const *const c_char,
) -> Result<(&'static sandlock_policy, Option<&'static Supervisor>, Vec<CString>)> {
    let policy = required(policy, "policy")?;
    // SAFETY: NULL or a live supervisor, as the header asks.
    let supervisor = unsafe { supervisor.as_ref() }
        .map(sandlock_supervisor::supervisor)
        .transpose()?;
    Ok((policy, supervisor, string_array(argv, "argv")?))
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: starting programs
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `options` to SANDLOCK_SPAWN_OPTIONS_INIT, for languages without macros. NULL does nothing. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_spawn_options_init(options: *mut sandlock_spawn_options) {
    value((), || init(options, DEFAULTS));
}

/// Starts a program under `policy` and returns when it has been executed, fully confined, or has failed to be.
///
/// `argv` is a NULL-terminated array. argv[0] is looked up in the PATH that the program will have, as execvp(3) does; the
/// lookup happens inside the sandbox, among the files that the program sees (sandlock_policy_set_root()), so the policy must grant
/// EXECUTE on the program. `supervisor` may be NULL: then
/// nobody looks at the program's calls. `options` may be NULL: then all three streams are inherited. On success the caller owns `*out`.
///
/// A thread of the library, with all signals blocked, owns the sandbox until it ends; it is the parent of the program, or with
/// SANDLOCK_NAMESPACE_PID of the program's init, a process of the library's named sandlock-init that ends with the sandbox; and
/// no signal, working directory, umask or variable of the host is touched. The calling thread may end at once. When the
/// program ends, everything else in the sandbox is killed.
///
/// This returns when execve(2) has done its work or failed; a program on a file system that does not answer holds it up. A
/// program that the kernel gives up on after that (a stack limit of nothing, say) was started, and its result says SIGNALED.
///
/// If a stream that is inherited or given, or a descriptor that is passed, is the host's controlling terminal, the program stays in the host's session, in a process
/// group of its own: in the foreground if the host is, which gets the foreground and its settings back in the end. With
/// SANDLOCK_STDIO_PTY it has a session and a terminal of its own.
///
/// If this fails, no process, thread or descriptor is left behind, and the program has not run. INVALID_ARGUMENT: NULL,
/// an empty argv, unknown option values, descriptors that are not open, and what sandlock_policy_check() says.
/// UNSUPPORTED, NOT_FOUND, PERMISSION, LIMIT: as sandlock_policy_check(). SYSTEM: the host is out of descriptors, threads or
/// processes. CHILD_SETUP: a required step failed in the child; the stage and errno tell which and why. EXEC: the program
/// cannot be executed. TIMEOUT: it has taken longer than the options allow. STATE: the policy was made before this process was forked. Any thread; the policy is read.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_spawn(
    policy: *const sandlock_policy,
    supervisor: *mut sandlock_supervisor,
    argv: *const *const c_char,
    options: *const sandlock_spawn_options,
    out: *mut *mut sandlock_process,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let (policy, supervisor, argv) = arguments(policy, supervisor, argv)?;
        let options = self::options(options)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let process = policy.sandbox()?.start(supervisor, argv, options, None)?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_process::new(process))) };
        Ok(())
    })
}

/// Runs a program to its end: standard input is empty, standard output and error are captured, 16 MiB of each at most. If
/// `timeout_ms` is not negative and that much time has passed since the child was made, the whole sandbox is killed and the result
/// says TIMEOUT; that is a success of this function. Output that somebody outside the sandbox keeps open is waited for one second.
/// On success the caller owns `*out`.
///
/// Failures are those of sandlock_spawn(), and TIMEOUT: the time was up before the program was executed. Any thread; the policy is
/// read.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_run(
    policy: *const sandlock_policy,
    supervisor: *mut sandlock_supervisor,
    argv: *const *const c_char,
    timeout_ms: i32,
    out: *mut *mut sandlock_result,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let (policy, supervisor, argv) = arguments(policy, supervisor, argv)?;
        if out.is_null() {
            return Err(null("out"));
        }
        let outcome = policy.sandbox()?.run_to_end(supervisor, argv, timeout(timeout_ms))?;
        // SAFETY: not NULL, and writable as the header asks.
        unsafe { out.write(into_handle(sandlock_result::new(outcome))) };
        Ok(())
    })
}

/// Confines the calling thread itself, for good: capabilities, no_new_privs, Landlock and the system call filter, and limits,
/// which hold for the whole process. Threads and processes that it starts from now on are confined with it; its other
/// threads are not, unless SANDLOCK_FLAG_ALL_THREADS asks for them: that takes Landlock ABI 8 (Linux 7.0) or a policy
/// that disables every feature of Landlock, and is UNSUPPORTED otherwise, if there is another thread at all. Capabilities are
/// given up by each thread for itself: a privileged process with several threads must disable SANDLOCK_FEATURE_CAPABILITIES.
///
/// What takes a new process cannot be had here. Features of that kind which every policy asks for (descriptors, session, parent death,
/// kill-all, and the default of 64 processes) do not apply. Limits of the sandbox as a whole (MEMORY, PROCESSES, THREADS, CPU_TOTAL,
/// CPU_SHARE, WALL, DISK), a root, mounts, namespaces, and network rules that Landlock alone cannot keep (all but "tcp://*:PORT") are
/// UNSUPPORTED if the policy has them, unless their features are BEST_EFFORT or DISABLED.
///
/// Descriptors that are open stay usable. On failure some of it may have taken effect: end the thread.
///
/// INVALID_ARGUMENT: the policy sets something that is for starting a program (environment, working directory, umask, nice
/// value, processors, user, grace, NO_ASLR, WAIT_FOR_DESCENDANTS, OUTPUT_KILLS, MEMORY_KILLS_LARGEST, NET_UPDATES, PORT_REMAP), and what sandlock_policy_check() says. CHILD_SETUP: a required step failed. UNSUPPORTED and
/// others: as sandlock_policy_check(). The thread that is to be confined; the policy is read.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_confine_self(
    policy: *const sandlock_policy,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || required(policy, "policy")?.sandbox()?.confine_self())
}
