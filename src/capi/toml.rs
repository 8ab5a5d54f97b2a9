//! Policies as text.

use std::ffi::{CString, c_char};

use crate::error::{Error, Result};
use crate::sandbox::Sandbox;

use super::boundary::{c_string, free, into_handle, null, required, slice, status, value};
use super::constants::sandlock_status;
use super::error::sandlock_error;
use super::policy::sandlock_policy;

/// A text that the library made. Made by sandlock_policy_to_toml(), freed with sandlock_text_free(). Never changes; any thread.
pub struct sandlock_text {
    text: CString,
}

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: policy as text
/// -------------------------------------------------------------------------------------------------------------------
///
/// Makes a policy from TOML (toml.io): `text`, `length` bytes of UTF-8, which need not end with a NUL. What the text does not say
/// is as in a new policy, so an empty text is a new policy. On success the caller owns *out, as one of sandlock_policy_new(), and
/// may change it further, as the ready profiles in share/sandlock want it, to which the host adds its own directories.
///
/// The whole schema, with every table and every form of a value:
///
/// ```toml
///     [filesystem]                        # sandlock_policy_allow_path(); the key is what is granted
///     read = ["/etc/hosts"]
///     execute = ["/opt/tool"]
///     write = ["/var/log/tool.log"]
///     read-execute = ["/usr", { path = "/lib64", optional = true }]
///     read-write = ["/dev/null"]
///     write-execute = []
///     all = ["/tmp/work"]
///     root = "/srv/root"                  # sandlock_policy_set_root(); "memory" for one in memory, or "host"
///     mounts = [                          # sandlock_policy_add_mount(), sandlock_policy_add_memory_mount()
///         { source = "/usr", target = "/usr" },
///         { source = "/home/u/work", target = "/work", write = true },
///         { target = "/tmp", memory = "64MiB" },
///     ]
///
///     [network]
///     allow = ["tcp://example.com:443", "udp://[fd00::/8]:53", "unix:/run/service/*"]
///                                         # sandlock_policy_allow_net()
///     deny = ["10.0.0.0/8"]               # sandlock_policy_deny_net()
///     allow-bind = ["8000-8999"]          # sandlock_policy_allow_bind()
///     refresh = 60                        # sandlock_policy_set_net_refresh(): seconds
///     deny-bind = ["8080"]                # sandlock_policy_deny_bind(); and if no rule allows any TCP,
///                                         # tcp = "deny" may say so
///
///     [syscalls]
///     mode = "denylist"                   # or "allowlist"
///     allow = ["ptrace", "@sysv-ipc"]     # sandlock_policy_allow_syscall()
///     deny = ["kill", { name = "socket", errno = "ENOSYS" }, { name = "ioctl", errno = 25 }]
///                                         # sandlock_policy_deny_syscall(); EPERM unless said
///     [limits]                            # sandlock_policy_set_limit()
///     cpu = 60                            # an integer,
///     data = "256MiB"                     # or with a unit, KiB, MiB, GiB or TiB,
///     processes = "unlimited"             # or SANDLOCK_UNLIMITED
///     cgroup = "/sys/fs/cgroup/service"   # sandlock_policy_set_cgroup()
///
///     [process]
///     environment = "minimal"             # sandlock_policy_clear_env(), or "inherit"
///     cwd = "/"
///     umask = 0o022                       # or "022"; always octal
///     nice = 10
///     cpus = [0, 1]
///     grace = [15, 500]                   # sandlock_policy_set_grace(): signal, milliseconds
///     user = [1000, 1000]                 # sandlock_policy_set_user()
///     namespaces = ["ipc", "uts", "net", "pid", "mount"]
///                                         # sandlock_policy_set_namespace()
///     flags = ["no-coredump", "no-aslr"]  # those that are on
///
///     [process.variables]                 # sandlock_policy_set_env(), on top of that environment
///     LANG = "C"
///     LD_PRELOAD = false                  # removed
///
///     [strictness]                        # sandlock_policy_set_strictness()
///     all = "require"                     # what follows outranks it
///     network = "best-effort"             # or "disable"
/// ```
///
/// Limits, flags and features have the names of their constants, in lower case and with "-" for "_": SANDLOCK_LIMIT_NOFILE is
/// nofile, SANDLOCK_FLAG_NO_ASLR is no-aslr, SANDLOCK_FEATURE_FILES_REFER is files-refer.
///
/// Paths and variables are bytes, TOML is Unicode: a byte that is not part of UTF-8 is written as \u0000 and two hexadecimal
/// digits, "/tmp/\u0000ff". Rules and mounts come in the order of the text; where a key would have to come twice for it,
/// [[filesystem]] or [[syscalls]], written several times, goes on. Only one of them says the root, or the mode.
///
/// INVALID_ARGUMENT: NULL, a text that is not UTF-8 or not TOML, an unknown key, a value of another type or out of range, an unknown
/// name. The message names every problem, up to 16, each with line and column (of characters, both from 1): policy: line 3,
/// column 1: unknown key "filesystem.raed"; known are read, execute, ... Whether the rules fit together and the paths exist is
/// found out when the policy is checked or used. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_from_toml(
    text: *const c_char,
    length: usize,
    out: *mut *mut sandlock_policy,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let text = utf8_text(slice(text.cast::<u8>(), length, "text")?)?;
        give(out, sandlock_policy::new(Sandbox::from_toml(text)?))
    })
}

/// Writes a policy as TOML that sandlock_policy_from_toml() reads back as an equal one, whatever its paths and variables are made
/// of. What is as in a new policy is left out, comments of a text that it came from too. On success the caller owns *out.
///
/// INVALID_ARGUMENT: NULL. STATE: the policy was made before this process was forked. The thread rule of policies.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_policy_to_toml(
    policy: *const sandlock_policy,
    out: *mut *mut sandlock_text,
    error: *mut *mut sandlock_error,
) -> sandlock_status {
    status(error, || {
        let text = required(policy, "policy")?.sandbox()?.policy().to_toml();
        // It has no NUL: strings in it escape theirs.
        give(out, sandlock_text { text: c_string(&text) })
    })
}

/// The bytes of a text, UTF-8. They belong to `text`; they are followed by a NUL that `*length_out` does not count. Never NULL; empty
/// if `text` is NULL. `length_out` may be NULL. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn sandlock_text_data(text: *const sandlock_text, length_out: *mut usize) -> *const c_char {
    let (start, length) = value((c"".as_ptr(), 0), || {
        required(text, "text").map_or((c"".as_ptr(), 0), |text| (text.text.as_ptr(), text.text.count_bytes()))
    });
    // SAFETY: NULL or writable as the header asks.
    if let Some(out) = unsafe { length_out.as_mut() } {
        *out = length;
    }
    start
}

/// Frees a text. NULL is allowed. Any thread, when no other uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sandlock_text_free(text: *mut sandlock_text) {
    // SAFETY: NULL or a text that this library made and nobody freed.
    unsafe { free(text) }
}

/// Gives a new object to C.
fn give<T>(out: *mut *mut T, object: T) -> Result<()> {
    // SAFETY: NULL or writable as the header asks.
    let slot = unsafe { out.as_mut() }.ok_or_else(|| null("out"))?;
    *slot = into_handle(object);
    Ok(())
}

/// The text in these bytes.
fn utf8_text(bytes: &[u8]) -> Result<&str> {
    str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or(bytes);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // What comes before is UTF-8, of which these bytes go on with a character.
        let column = before.iter().skip(start).filter(|&&byte| byte & 0xc0 != 0x80).count() + 1;
        Error::policy(format_args!("line {line}, column {column}: this is not UTF-8"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    /// The schema as the manual has it.
    fn schema() -> String {
        include_str!("toml.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("///     "))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    #[test]
    fn schema_in_the_manual_is_accepted_and_uses_every_table() {
        let sandbox = Sandbox::from_toml(&schema()).unwrap();
        let policy = sandbox.policy();
        assert_eq!(policy.paths.len(), 7);
        assert_eq!((policy.mounts.len(), policy.namespaces.len()), (3, 5));
        assert_ne!(policy.root, crate::policy::Root::Host);
        let network = &policy.network;
        assert_eq!((network.allow.len(), network.deny.len()), (3, 1));
        assert_eq!((network.allow_bind.len(), network.deny_bind.len()), (1, 1));
        assert_eq!(policy.syscalls.rules.len(), 5);
        assert_eq!(policy.limits.len(), 3);
        assert_eq!(policy.process.variables.len(), 2);
        assert_eq!(Policy::from_toml(&policy.to_toml()).as_ref(), Ok(policy));
    }

    #[test]
    fn text_that_is_not_utf8_has_a_place() {
        let error = utf8_text(b"a\n\xc3\xa9\xff").unwrap_err();
        assert_eq!(error.message(), "policy: line 2, column 2: this is not UTF-8");
    }
}
