//! A policy as text: TOML. The schema is in the header, at `sandlock_policy_from_toml`.
//!
//! Everything that a policy can say can be written and is read back equal, byte strings that are not UTF-8 and the order of
//! rules included. Reading refuses what it does not know: a misspelt key must not be a protection less.

mod mounts;
mod network;
mod read;
mod values;
mod write;

use std::ffi::{CStr, CString};

use crate::error::Result;

use super::fs::Access;
use super::{Policy, check};

impl Policy {
    /// The policy that `text`, in TOML, describes. What the text does not say is as in a new policy. Names of system calls are taken as they
    /// are, to be checked when the policy is; [`Sandbox::from_toml`](crate::sandbox::Sandbox::from_toml) checks them at once.
    ///
    /// The whole schema, with every table and every form of a value:
    ///
    /// ```
    /// let text = r#"
    /// [filesystem]                        # the key is what is granted
    /// read = ["/etc/hosts"]
    /// execute = ["/opt/tool"]
    /// write = ["/var/log/tool.log"]
    /// read-execute = ["/usr", { path = "/lib64", optional = true }]
    /// read-write = ["/dev/null"]
    /// write-execute = []
    /// all = ["/tmp/work"]
    /// root = "/srv/root"                  # "memory" for one in memory, or "host"
    /// mounts = [
    ///     { source = "/usr", target = "/usr" },
    ///     { source = "/home/u/work", target = "/work", write = true },
    ///     { target = "/tmp", memory = "64MiB" },
    /// ]
    ///
    /// [network]
    /// allow = ["tcp://example.com:443", "udp://[fd00::/8]:53", "unix:/run/service/*"]
    /// deny = ["10.0.0.0/8"]
    /// allow-bind = ["8000-8999"]
    /// deny-bind = ["8080"]
    /// refresh = 60                        # seconds
    ///
    /// [syscalls]
    /// mode = "denylist"                   # or "allowlist"
    /// allow = ["ptrace", "@sysv-ipc"]
    /// deny = ["kill", { name = "socket", errno = "ENOSYS" }, { name = "ioctl", errno = 25 }]
    ///
    /// [limits]
    /// cpu = 60                            # an integer,
    /// data = "256MiB"                     # or with a unit, KiB, MiB, GiB or TiB,
    /// processes = "unlimited"
    /// cgroup = "/sys/fs/cgroup/service"
    ///
    /// [process]
    /// environment = "minimal"             # or "inherit"
    /// cwd = "/"
    /// umask = 0o022                       # or "022"; always octal
    /// nice = 10
    /// cpus = [0, 1]
    /// grace = [15, 500]                   # signal, milliseconds
    /// user = [1000, 1000]
    /// namespaces = ["ipc", "uts", "net", "pid", "mount"]
    /// flags = ["no-coredump", "no-aslr"]  # those that are on
    ///
    /// [process.variables]                 # on top of that environment
    /// LANG = "C"
    /// LD_PRELOAD = false                  # removed
    ///
    /// [strictness]
    /// all = "require"                     # what follows outranks it
    /// network = "best-effort"             # or "disable"
    /// "#;
    /// let policy = sandlock::Policy::from_toml(text)?;
    /// assert_eq!(policy.paths.len(), 7);
    /// assert_eq!(sandlock::Policy::from_toml(&policy.to_toml())?, policy);
    /// # Ok::<(), sandlock::Error>(())
    /// ```
    ///
    /// Limits, flags and features have the names of their variants, in lower case and with `-` between words. A byte of a path or variable
    /// that is not part of UTF-8 is written as `\u0000` and two hexadecimal digits.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a text that is not TOML, an unknown key, a value of another type or
    /// out of range. The message names every problem, up to 16, each with line and column.
    ///
    /// ```
    /// let error = sandlock::Policy::from_toml("[filesystem]\nraed = []\n").unwrap_err();
    /// assert!(error.message().contains("line 2, column 1: unknown key \"filesystem.raed\""), "{error}");
    /// ```
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::from_toml_with(text, &|_| Ok(()))
    }

    /// As [`Policy::from_toml`]; `check_syscall` says whether the name of a system call or group is known.
    pub(crate) fn from_toml_with(text: &str, check_syscall: &dyn Fn(&str) -> Result<()>) -> Result<Self> {
        read::read(text, check_syscall)
    }

    /// The text that describes the policy, which [`Policy::from_toml`] reads back as an equal one, whatever its paths and variables are made
    /// of. What is as in a new policy is left out.
    pub fn to_toml(&self) -> String {
        write::write(self)
    }
}

/// Keys of path rules in `filesystem`, and the rights that each stands for.
const ACCESS_KEYS: &[(&str, u64)] = &[
    ("read", Access::READ),
    ("execute", Access::EXECUTE),
    ("write", Access::WRITE),
    ("read-execute", Access::READ | Access::EXECUTE),
    ("read-write", Access::READ | Access::WRITE),
    ("write-execute", Access::WRITE | Access::EXECUTE),
    ("all", Access::READ | Access::EXECUTE | Access::WRITE),
];

/// Suffixes of sizes, and how many bits to the left they shift.
const UNITS: &[(&str, u32)] = &[("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// The value of a limit that is [`super::UNLIMITED`].
const NO_LIMIT: &str = "unlimited";

/// The key of the control group among those of limits.
const CGROUP: &str = "cgroup";

/// Errnos by name: their numbers differ from one architecture to another. Others are written as numbers.
const ERRNOS: &[(&str, i32)] = &[
    ("EPERM", libc::EPERM),
    ("ENOENT", libc::ENOENT),
    ("ESRCH", libc::ESRCH),
    ("EINTR", libc::EINTR),
    ("EIO", libc::EIO),
    ("ENXIO", libc::ENXIO),
    ("EBADF", libc::EBADF),
    ("EAGAIN", libc::EAGAIN),
    ("ENOMEM", libc::ENOMEM),
    ("EACCES", libc::EACCES),
    ("EFAULT", libc::EFAULT),
    ("EBUSY", libc::EBUSY),
    ("EEXIST", libc::EEXIST),
    ("ENODEV", libc::ENODEV),
    ("ENOTDIR", libc::ENOTDIR),
    ("EINVAL", libc::EINVAL),
    ("EMFILE", libc::EMFILE),
    ("ENOTTY", libc::ENOTTY),
    ("ENOSPC", libc::ENOSPC),
    ("EROFS", libc::EROFS),
    ("ENOSYS", libc::ENOSYS),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EAFNOSUPPORT", libc::EAFNOSUPPORT),
    ("EPROTONOSUPPORT", libc::EPROTONOSUPPORT),
    ("ECONNREFUSED", libc::ECONNREFUSED),
    ("ENETUNREACH", libc::ENETUNREACH),
    ("ETIMEDOUT", libc::ETIMEDOUT),
];

/// The errno of a denied call that says nothing of it.
const DEFAULT_ERRNO: i32 = libc::EPERM;

/// How a name of the C API, NO_ASLR, is written: no-aslr.
fn word(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Bytes as a TOML string has them, which is Unicode: a byte that is not part of UTF-8 becomes NUL, which no C string
/// contains, and two hexadecimal digits.
fn to_unicode(bytes: &CStr) -> String {
    let mut text = String::new();
    for chunk in bytes.to_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\0{byte:02x}"));
        }
    }
    text
}

/// The bytes that [`to_unicode`] made `text` of; None if a NUL is not followed by a byte that it would write so.
fn from_unicode(text: &str) -> Option<CString> {
    let mut parts = text.split('\0');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| !byte.is_ascii())?;
        bytes.push(byte);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    CString::new(bytes).ok()
}

/// What is denied with, by name or number.
fn errno_by_name(name: &str) -> Option<i32> {
    ERRNOS.iter().find(|(known, _)| *known == name).map(|&(_, errno)| errno)
}

fn errno_name(errno: u16) -> Option<&'static str> {
    let same = |known: i32| check::denial_errno(known).is_ok_and(|known| known == errno);
    ERRNOS.iter().find(|&&(_, known)| same(known)).map(|&(name, _)| name)
}

#[cfg(test)]
#[path = "toml_tests.rs"]
mod tests;
