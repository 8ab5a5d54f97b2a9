//! Policies.

use std::ffi::c_char;

use crate::error::{Error, ErrorKind, Result, Stage};
use crate::feature::{Feature, Strictness};
use crate::policy::{Access, Flag, Grace, Limit, Namespace, PathRule, Policy, SyscallMode, Verdict, check};
use crate::sandbox::Sandbox;

use super::boundary::{
    free, into_handle, known, optional_string, required, required_mut, slice, status, string, utf8, value,
};
use super::constants::{SANDLOCK_FEATURE_ALL, sandlock_status};
use super::error::sandlock_error;

/// A policy: what a program may do. Plain data until it is used; sandlock_spawn() takes a snapshot. One thread at a time;
/// functions that take it as const may run at the same time as each other. Make it with sandlock_policy_new(), free it with
/// sandlock_policy_free().
pub struct sandlock_policy {
    sandbox: Sandbox,
    /// The process that made it.
    owner: i32,
}

impl sandlock_policy {
    pub(super) fn new(sandbox: Sandbox) -> Self {
        Self {
            sandbox,
            owner: process_id(),
        }
    }

    /// The policy's sandbox, unless the host forked since it was made: other threads of the former process may have been
    /// in the middle of using it.
    pub(super) fn sandbox(&self) -> Result<&Sandbox> {
        check_owner(self.owner, "policy")?;
        Ok(&self.sandbox)
    }

    fn sandbox_mut(&mut self) -> Result<&mut Sandbox> {
        check_owner(self.owner, "policy")?;
        Ok(&mut self.sandbox)
    }
}

/// Refuses a handle from before a fork.
pub(super) fn check_owner(owner: i32, what: &str) -> Result<()> {
    if owner == process_id() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::State,
        Stage::Arguments,
        format_args!("the {what} was made before this process was forked"),
    ))
}

pub(super) fn process_id() -> i32 {
    // Linux process ids fit an int.
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

pub(super) fn change(
    policy: *mut sandlock_policy,
    error: *mut *mut sandlock_error,
    body: impl FnOnce(&mut Policy) -> Result<()>,
) -> sandlock_status {
    status(error, || {
        body(required_mut(policy, "policy")?.sandbox_mut()?.policy_mut())
    })
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// Makes a policy that allows nothing: no files, no network, the default denylist of system calls, every feature required
/// that needs no setting. The caller owns it. Any thread. Cannot fail (the process is aborted when memory runs out).
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_new() -> *mut sandlock_policy {
    value(std::ptr::null_mut(), || {
        into_handle(sandlock_policy::new(Sandbox::new(Policy::new())))
    })
}

/// Makes an independent copy. The caller owns it. NULL if `policy` is NULL, or was made before this process was forked.
/// The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_clone(policy: *const sandlock_policy) -> *mut sandlock_policy {
    value(std::ptr::null_mut(), || {
        let copy = |policy: &sandlock_policy| -> Result<sandlock_policy> {
            Ok(sandlock_policy {
                sandbox: policy.sandbox()?.clone(),
                owner: policy.owner,
            })
        };
        required(policy, "policy")
            .and_then(copy)
            .map_or(std::ptr::null_mut(), into_handle)
    })
}

/// Frees a policy. NULL is allowed. Running programs are not affected. The thread rule of policies.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_policy_free(policy: *mut sandlock_policy) {
    // SAFETY: NULL or a policy that this library made and nobody freed.
    unsafe { free(policy) }
}

/// Grants access to a file, or to a directory and everything beneath it. `access` is SANDLOCK_ACCESS_* or-ed together.
/// Several rules add up; what none grants is denied with EACCES.
///
/// The path is a string of bytes, absolute or relative to the host's working directory. It is resolved, symbolic links
/// followed, when the policy is next checked or used, and again only if it has come to lead to another file: the rule is
/// about that file or directory, not about the name. A path that is missing is NOT_FOUND then, unless SANDLOCK_ACCESS_OPTIONAL
/// is given. Paths into /proc/self are refused then, for they lead to the host. In a mount namespace it is the program's path
/// instead: see sandlock_policy_set_root().
///
/// Rests on Landlock (SANDLOCK_FEATURE_FILES). Not governed by it: stat(2), chdir(2), access(2), and watching with
/// inotify(7), so the names and sizes of files can be learned where the user may see them. Modes, owners, times and
/// attributes can be changed where WRITE is granted, and nowhere else (SANDLOCK_FEATURE_FILES_METADATA).
///
/// INVALID_ARGUMENT: NULL, an empty path, unknown bits, no right among the bits. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_allow_path(
    policy: *mut sandlock_policy,
    path: *const c_char,
    access: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let path = string(path, "path")?.to_owned();
        policy.paths.push(PathRule::new(path, Access::from_bits(access)?)?);
        Ok(())
    })
}

/// Chooses what happens to system calls that no rule names: SANDLOCK_SYSCALLS_*.
///
/// INVALID_ARGUMENT: NULL, an unknown mode. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_syscall_default(
    policy: *mut sandlock_policy,
    mode: u32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.syscalls.mode = known(SyscallMode::from_number(mode), "mode", mode)?;
        Ok(())
    })
}

/// Allows a system call by name ("ptrace"), or a group by the name that systemd gives it ("@network-io"; also "@sysv-ipc").
///
/// A name allows the whole call and lifts whatever the default denylist says of it, its arguments included: allowing
/// "socket" allows every family, allowing "clone" allows namespaces. A group lifts refusals only if the denylist refuses all
/// its members ("@sysv-ipc", "@mount", "@keyring", "@clock"); otherwise it admits its members in allowlist mode as far as
/// the denylist goes, and would change nothing in denylist mode, which is refused. A rule for a name outranks one for a
/// group.
///
/// A name that only another architecture has is accepted and does nothing.
///
/// INVALID_ARGUMENT: NULL, an unknown name or group. When the policy is checked or used, also: a rule that repeats or
/// contradicts another (both are named), a group that would change nothing. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_allow_syscall(
    policy: *mut sandlock_policy,
    name_or_group: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || add_rule(policy, name_or_group, Verdict::Allow))
}

/// Denies a system call or a group: it fails with `errno_value`, 1 to 4095. ENOSYS is kinder than EPERM to programs that know
/// another way. Otherwise as sandlock_policy_allow_syscall(). Denying execve is refused when the policy is checked or used:
/// no program could be started.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_deny_syscall(
    policy: *mut sandlock_policy,
    name_or_group: *const c_char,
    errno_value: i32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        add_rule(policy, name_or_group, Verdict::Deny(check::denial_errno(errno_value)?))
    })
}

fn add_rule(policy: *mut sandlock_policy, name: *const c_char, verdict: Verdict) -> Result<()> {
    let sandbox = required_mut(policy, "policy")?.sandbox_mut()?;
    let name = utf8(string(name, "name_or_group")?, "system call")?;
    sandbox.add_syscall_rule(name, verdict)
}

/// Sets a limit, SANDLOCK_LIMIT_*, in the unit stated there. Setting it again replaces the value. A value above what the host
/// itself may use has the effect of the host's. Limits are hard: the program cannot raise them.
///
/// INVALID_ARGUMENT: NULL, an unknown limit, 0 for a limit of the sandbox as a whole. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_limit(
    policy: *mut sandlock_policy,
    limit: u32,
    value: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let limit = known(Limit::from_number(limit), "limit", limit)?;
        check::limit(limit, value)?;
        policy.limits.insert(limit, value);
        Ok(())
    })
}

/// Names the directory of a control group, version 2, in which sandboxes get groups of their own, which hold SANDLOCK_LIMIT_MEMORY
/// and SANDLOCK_LIMIT_CPU_SHARE; NULL: none is named, which is the default. The group must be the host's user's to write to, with its
/// `cgroup.procs`, have the controllers memory and cpu, as far as such limits are set, in its `cgroup.subtree_control`, and no
/// processes, as cgroups(7) demands. So must the `cgroup.procs` of the next group above that the host's own lies in too. The library
/// moves no process of the host and writes to no file of that group. A sandbox's group is removed when the sandbox has ended.
///
/// A group that cannot be used is UNSUPPORTED, with the reason, when a policy with such a limit is next checked or used; without one
/// nobody looks at it. Without a named one, the
/// parent of the host's own group is used if it is such a group and belongs to the host's user, who is not root; otherwise, and where
/// the program could change its group, the library keeps those limits by looking, as is said of them. It could if a rule grants WRITE on
/// groups, if the features files or syscalls are not required, and if a rule allows clone3.
///
/// A named group that the host's own does not lie beneath, and that has a limit of memory, itself or by a group above: starting then
/// copies the host's page tables, so that it takes longer in a large host, and handlers of calls that belong to the start are refused.
///
/// INVALID_ARGUMENT: an empty path, `policy` is NULL. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_cgroup(
    policy: *mut sandlock_policy,
    path: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let path = optional_string(path);
        if let Some(path) = &path {
            check::not_empty(path, "control group")?;
        }
        policy.cgroup = path;
        Ok(())
    })
}

/// Has the program warned before its sandbox is killed because its time is up: the deadline of sandlock_run(), SANDLOCK_LIMIT_WALL,
/// SANDLOCK_LIMIT_CPU_TOTAL. It gets `signal`, 1 to 64, and the kill follows `milliseconds` later, unless the sandbox has ended by then.
/// The reason is TIMEOUT or LIMIT also if the program exits in that time; then the result has its exit code too. A `signal` of 0: no
/// warning, which is the default. Only the program gets the signal, not its descendants, and only once: another limit of time that is
/// exceeded meanwhile changes nothing.
///
/// INVALID_ARGUMENT: NULL, another number. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_grace(
    policy: *mut sandlock_policy,
    signal: i32,
    milliseconds: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.grace = if signal == 0 {
            None
        } else {
            Some(Grace::new(signal, milliseconds)?)
        };
        Ok(())
    })
}

/// Sets a variable of the program's environment, or removes it if `value` is NULL. Without this and
/// sandlock_policy_clear_env() the program has the host's environment as it is at spawn, secrets included; no other thread
/// may then change the environment (setenv(3)) while a program is being started.
///
/// INVALID_ARGUMENT: NULL, an empty name, a name with '='. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_env(
    policy: *mut sandlock_policy,
    name: *const c_char,
    value: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy
            .process
            .set_variable(string(name, "name")?.to_owned(), optional_string(value))
    })
}

/// Starts from a minimal environment instead of the host's (PATH=/usr/local/bin:/usr/bin:/bin, HOME=/, LANG=C.UTF-8), and
/// forgets variables set so far. Recommended for programs that are not trusted.
///
/// INVALID_ARGUMENT: NULL. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_clear_env(
    policy: *mut sandlock_policy,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.process.clear_environment();
        Ok(())
    })
}

/// Sets the working directory; without it the program starts in the host's. It is opened when the policy is next checked or
/// used (NOT_FOUND if missing), and needs no path rule to be entered. In a mount namespace it is the program's path instead: see
/// sandlock_policy_set_root(). There, without it, the program starts in what it finds at the path of the host's, or in "/" if there is no
/// such directory or the root is another.
///
/// INVALID_ARGUMENT: NULL, an empty path. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_cwd(
    policy: *mut sandlock_policy,
    path: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.process.set_cwd(string(path, "path")?.to_owned())
    })
}

/// Sets the file mode creation mask, 0 to 0777; without it the program has the host's.
///
/// INVALID_ARGUMENT: NULL, a mask above 0777. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_umask(
    policy: *mut sandlock_policy,
    mask: u32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| policy.process.set_umask(mask))
}

/// Sets the nice value, -20 (most favoured) to 19; without it the program has the host's. Below the host's own it takes
/// privileges, without which spawning fails (EACCES).
///
/// INVALID_ARGUMENT: NULL, a value out of range. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_nice(
    policy: *mut sandlock_policy,
    value: i32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| policy.process.set_nice(value))
}

/// Confines the program to `count` processors, numbered from 0 to 1023; without it the program has the host's. The program
/// can change the set of its own threads within what sched_setaffinity(2) allows the user. If none of them exists, spawning
/// fails (EINVAL).
///
/// INVALID_ARGUMENT: NULL, no processor, a number above 1023. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_cpus(
    policy: *mut sandlock_policy,
    cpus: *const u32,
    count: usize,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.process.set_cpus(slice(cpus, count, "cpus")?)
    })
}

/// Has the program go by this user and group id: 0 and 0 for one that wants to be root. They are names in a user namespace and give
/// nothing: files, signals and limits are the host user's as before, files of others belong to user 65534 there, and other ids
/// cannot be taken (EINVAL). The program has no capabilities in the namespace either, unless SANDLOCK_FEATURE_CAPABILITIES is
/// disabled; those of the host, a low nice value for one, cannot be used in it.
///
/// The host must be permitted user namespaces (SANDLOCK_FEATURE_NS_USER); sandlock_policy_check() says whether it is.
///
/// INVALID_ARGUMENT: NULL, an id of UINT32_MAX. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_user(
    policy: *mut sandlock_policy,
    uid: u32,
    gid: u32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| policy.process.set_user(uid, gid))
}

/// Gives the program a namespace of its own, SANDLOCK_NAMESPACE_*, or with `on` false does not. Each takes a user namespace, in which
/// the program goes by the host's user and group unless sandlock_policy_set_user() says otherwise; see there. That of mounts takes
/// one of process ids besides. What happens where one cannot be had is for sandlock_policy_set_strictness() to say, of the feature that is named with it.
///
/// INVALID_ARGUMENT: NULL, an unknown namespace. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_namespace(
    policy: *mut sandlock_policy,
    which: u32,
    on: bool,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let which = known(Namespace::from_number(which), "namespace", which)?;
        if on {
            policy.namespaces.insert(which);
        } else {
            policy.namespaces.remove(&which);
        }
        Ok(())
    })
}

/// Turns a flag, SANDLOCK_FLAG_*, on or off.
///
/// INVALID_ARGUMENT: NULL, an unknown flag. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_flag(
    policy: *mut sandlock_policy,
    flag: u32,
    on: bool,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy
            .process
            .set_flag(known(Flag::from_number(flag), "flag", flag)?, on);
        Ok(())
    })
}

/// Sets how strictly a feature, SANDLOCK_FEATURE_*, or with SANDLOCK_FEATURE_ALL every feature, is asked for:
/// SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT or SANDLOCK_DISABLE.
///
/// INVALID_ARGUMENT: NULL, an unknown feature or level. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_strictness(
    policy: *mut sandlock_policy,
    feature: u32,
    level: u32,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let level = known(Strictness::from_number(level), "strictness", level)?;
        if feature == SANDLOCK_FEATURE_ALL {
            policy.set_all_strictness(level);
        } else {
            policy.set_strictness(known(Feature::from_number(feature), "feature", feature)?, level);
        }
        Ok(())
    })
}

/// Says whether sandlock_spawn() would accept the policy on this kernel, without spawning. On failure the message names
/// every problem, not only the first; status, stage and errno are the first one's.
///
/// INVALID_ARGUMENT: NULL, contradicting or meaningless rules. NOT_FOUND, PERMISSION, SYSTEM: a path cannot be opened.
/// UNSUPPORTED: the kernel lacks a required feature. LIMIT: the rules need a filter of more than 4096 instructions. STATE:
/// the policy was made before this process was forked. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_check(
    policy: *const sandlock_policy,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || required(policy, "policy")?.sandbox()?.check())
}
