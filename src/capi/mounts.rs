//! The files that a program sees.

use std::ffi::c_char;

use crate::error::Error;
use crate::policy::{Mount, Root};

use super::boundary::{optional_string, string};
use super::constants::{SANDLOCK_MOUNT_WRITE, sandlock_status};
use super::error::sandlock_error;
use super::policy::{change, sandlock_policy};

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the files that a program sees
/// -------------------------------------------------------------------------------------------------------------------
///
/// Says what the program has for "/": the directory `path` of the host, with what is mounted beneath it; or if `path` is "", a
/// file system in memory of its own, which is empty; or if `path` is NULL, the host's root, as in a new policy. A root that is set
/// is read-only, but for mounts that say otherwise.
///
/// A directory must have the directories and files onto which something is mounted, /proc among them if the program is to have one:
/// what is missing there is not made. In a root in memory the directories that mounts need, and /proc, are made; links are not, like
/// /lib64 of most systems, without which no program finds its loader (ENOENT): mount "/usr/lib64" at "/lib64" too.
///
/// This, and each of the two functions that follow, asks for a mount namespace (SANDLOCK_FEATURE_NS_MOUNT), which takes a PID
/// namespace (SANDLOCK_FEATURE_NS_PID) and a user namespace. There paths are the program's: the path rules of
/// sandlock_policy_allow_path(), the working directory and the program itself name what the program sees, and are resolved there after
/// everything is mounted. Rules are needed as ever: mounts show files, rules grant access to them. A rule whose path is missing
/// there fails the spawn, unless it has SANDLOCK_ACCESS_OPTIONAL. Rules and a working directory that are relative are refused
/// (INVALID_ARGUMENT) when the policy is checked or used.
///
/// `path`, like those of mounts, is a string of bytes: absolute, without "." and ".." in it, not in /proc. It is the host's to say
/// what lies there; nothing of it is copied. Linux 5.12 (mount_setattr(2)).
///
/// INVALID_ARGUMENT: NULL for the policy, another path than that. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_set_root(
    policy: *mut sandlock_policy,
    path: *const c_char,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.root = match optional_string(path) {
            None => Root::Host,
            Some(path) if path.is_empty() => Root::Memory,
            Some(path) => Root::directory(&path)?,
        };
        Ok(())
    })
}

/// Mounts `source` of the host, a directory or file with everything that is mounted beneath it, at `target` of what the program
/// sees: read-only, or if `flags` has SANDLOCK_MOUNT_WRITE, as writable as it is in the host. Set-user-ID bits never take effect there.
/// The host sees nothing of it.
///
/// Mounts are made in the order in which they were added: one may lie in a former one, but not hide it. Without a root that is set
/// they are made over the host's tree. A `source` that leads to "/" or into /proc by a symbolic link, or that has a /proc mounted
/// beneath it, is refused (INVALID_ARGUMENT) when the policy is checked or used, and so is a root that has one elsewhere than at its
/// own /proc. For the rest see sandlock_policy_set_root().
///
/// INVALID_ARGUMENT: NULL, a path that is not absolute or has "." or ".." in it, a `source` that is "/" or in /proc, which would bring
/// the host's processes along, a `target` that is "/" or in /proc, or has a mount already, or would hide one, unknown flags, more than 64
/// mounts. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_add_mount(
    policy: *mut sandlock_policy,
    source: *const c_char,
    target: *const c_char,
    flags: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        let (source, target) = (string(source, "source")?, string(target, "target")?);
        let unknown = flags & !SANDLOCK_MOUNT_WRITE;
        if unknown != 0 {
            return Err(Error::argument(format_args!("flags has unknown bits {unknown:#x}")));
        }
        policy.add_mount(Mount::bind(source, target, flags & SANDLOCK_MOUNT_WRITE != 0)?)
    })
}

/// Mounts an empty, writable file system in memory (tmpfs(5)) of at most `size` bytes, rounded up to pages, at `target`: a /tmp of
/// the program's own. It ends with the sandbox, and nobody outside sees it. What it holds counts towards SANDLOCK_LIMIT_MEMORY. Like all
/// files it takes a path rule to be used. Otherwise as sandlock_policy_add_mount().
///
/// INVALID_ARGUMENT: NULL, a `size` of 0 or above INT64_MAX, a `target` that sandlock_policy_add_mount() would refuse, more than 64
/// mounts. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_add_memory_mount(
    policy: *mut sandlock_policy,
    target: *const c_char,
    size: u64,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    change(policy, error, |policy| {
        policy.add_mount(Mount::memory(string(target, "target")?, size)?)
    })
}
