//! The files that a program sees: its root and what is mounted there.
//!
//! Each asks for a mount namespace, which takes a PID and a user namespace (Linux 5.12, and a host that is permitted them). There, paths
//! of rules, the working directory and the program are the program's own. Mounts show files; path rules grant access to them, as ever.
//!
//! Making such a policy takes no privileges and nothing of the kernel, which is asked when the policy is checked or used:
//!
//! ```
//! use sandlock::policy::Root;
//! use sandlock::{Access, Policy};
//!
//! let mut policy = Policy::new();
//! policy.root = Root::Memory;
//! policy
//!     .mount("/usr", "/usr", false)?
//!     .mount_memory("/tmp", 64 << 20)?
//!     .allow_path("/usr", Access::READ_EXECUTE)?
//!     .allow_path("/tmp", Access::ALL)?;
//! assert_eq!(policy.mounts.len(), 2);
//!
//! // The host's /proc would show the host; and nothing may be hidden by a later mount.
//! assert!(policy.mount("/proc", "/host", false).is_err());
//! assert!(policy.mount("/usr/lib", "/tmp", false).is_err());
//! # Ok::<(), sandlock::Error>(())
//! ```

use std::ffi::{CStr, CString};

use crate::error::{Error, Result};

use super::{Policy, check};

/// Most mounts that a policy can have.
pub const MAX_MOUNTS: usize = 64;

/// Largest file system in memory, bytes: what a signed number of 64 bits holds. Rounding more up to pages would overflow in the kernel,
/// which takes 0 for no bound at all.
pub const MAX_MEMORY: u64 = i64::MAX.unsigned_abs();

/// Where processes are shown. It is the sandbox's own business in a mount namespace.
const PROC: &[u8] = b"/proc";

/// What the program has for "/".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Root {
    /// The host's.
    #[default]
    Host,
    /// A directory of the host's, with what is mounted beneath it, read-only.
    Directory(CString),
    /// An empty file system in memory, read-only, with the directories that mounts need.
    Memory,
}

impl Root {
    /// The directory `path` of the host's, which is absolute.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a path that is relative, has "." or ".." in it, or lies in /proc.
    pub fn directory(path: &CStr) -> Result<Self> {
        let path = normal(path, "root")?;
        refuse_proc(&path, "root")?;
        Ok(Self::Directory(path))
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// A directory or file of the host's, by its absolute path, with what is mounted beneath it.
    Path(CString),
    /// An empty file system in memory.
    Memory {
        /// What it holds at most, bytes; the kernel rounds up to pages.
        size: u64,
    },
}

/// Something that is mounted for the program.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What.
    pub source: Source,
    /// Where: an absolute path without "." and "..", and with single slashes. Neither "/" nor /proc, nor anything beneath that.
    pub target: CString,
    /// The mount itself does not keep the program from writing.
    pub write: bool,
}

impl Mount {
    /// `source` of the host's, a directory or file with everything that is mounted beneath it, at `target`. Set-user-ID bits never take
    /// effect there.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a path that is relative or has "." or ".." in it; a source that is "/"
    /// or lies in /proc; a target that is "/" or lies in /proc.
    pub fn bind(source: &CStr, target: &CStr, write: bool) -> Result<Self> {
        let source = normal(source, "source")?;
        refuse_proc(&source, "source")?;
        if source.as_bytes() == b"/" {
            return Err(Error::argument(
                "source is \"/\", which has the host's /proc beneath it; make it the root instead",
            ));
        }
        Ok(Self {
            source: Source::Path(source),
            target: place(target)?,
            write,
        })
    }

    /// An empty, writable file system in memory (tmpfs(5)) of at most `size` bytes, rounded up to pages, at `target`.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): a size of 0 or above [`MAX_MEMORY`], a target as of [`Mount::bind`].
    pub fn memory(target: &CStr, size: u64) -> Result<Self> {
        if !(1..=MAX_MEMORY).contains(&size) {
            return Err(Error::argument(format_args!(
                "size {size} is not within 1 to {MAX_MEMORY}"
            )));
        }
        Ok(Self {
            source: Source::Memory { size },
            target: place(target)?,
            write: true,
        })
    }
}

impl Policy {
    /// Adds a mount. It is made after those that are there, and must not hide one of them.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](crate::error::ErrorKind::InvalidArgument): its target is one already, or would hide one, or there are
    /// [`MAX_MOUNTS`].
    pub fn add_mount(&mut self, mount: Mount) -> Result<()> {
        if self.mounts.len() == MAX_MOUNTS {
            return Err(Error::argument(format_args!("there are {MAX_MOUNTS} mounts already")));
        }
        let target = mount.target.as_bytes();
        for former in &self.mounts {
            if former.target == mount.target {
                return Err(Error::argument(format_args!(
                    "target {:?} is a mount already",
                    mount.target
                )));
            }
            if lies_in(former.target.as_bytes(), target) {
                return Err(Error::argument(format_args!(
                    "target {:?} would hide the mount at {:?}; add it before that",
                    mount.target, former.target
                )));
            }
        }
        self.mounts.push(mount);
        Ok(())
    }

    /// Paths of the host that the program may be able to write beneath: those of path rules, wherever they lead in its own view, and what
    /// is mounted there to be written to.
    pub(crate) fn writable_in_host(&self) -> impl Iterator<Item = &CStr> {
        let rules = self.paths.iter().filter(|rule| rule.access.writes());
        let mounted = self.mounts.iter().filter(|mount| mount.write);
        let sources = mounted.filter_map(|mount| match &mount.source {
            Source::Path(path) => Some(path.as_c_str()),
            Source::Memory { .. } => None,
        });
        rules.map(|rule| rule.path.as_c_str()).chain(sources)
    }

    /// True if it says that the program sees other files than the host.
    pub(super) fn mounts_something(&self) -> bool {
        self.root != Root::Host || !self.mounts.is_empty()
    }
}

/// True for `directory` and what lies beneath it; both are normal.
fn lies_in(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// An absolute path with single slashes. A ".." is refused rather than resolved, since what it means hangs on symbolic links.
fn normal(path: &CStr, what: &str) -> Result<CString> {
    check::not_empty(path, what)?;
    let bytes = path.to_bytes();
    if !bytes.starts_with(b"/") {
        return Err(Error::argument(format_args!("{what} {path:?} is not absolute")));
    }
    let mut found = Vec::with_capacity(bytes.len());
    for name in bytes.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if matches!(name, b"." | b"..") {
            return Err(Error::argument(format_args!(
                "{what} {path:?} has \".\" or \"..\" in it"
            )));
        }
        found.push(b'/');
        found.extend_from_slice(name);
    }
    if found.is_empty() {
        found.push(b'/');
    }
    CString::new(found).map_err(|_| Error::argument(format_args!("{what} has a NUL")))
}

fn refuse_proc(path: &CStr, what: &str) -> Result<()> {
    if lies_in(path.to_bytes(), PROC) {
        return Err(Error::argument(format_args!(
            "{what} {path:?} lies in /proc, which shows the host"
        )));
    }
    Ok(())
}

/// Where something can be mounted.
fn place(target: &CStr) -> Result<CString> {
    let target = normal(target, "target")?;
    if target.as_bytes() == b"/" {
        return Err(Error::argument("target is \"/\", for which there is the root"));
    }
    if lies_in(target.as_bytes(), PROC) {
        return Err(Error::argument(format_args!(
            "target {target:?} lies in /proc, which the library mounts itself"
        )));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: std::fmt::Debug>(outcome: Result<T>) -> String {
        outcome.unwrap_err().message().to_owned()
    }

    #[test]
    fn paths_are_absolute_and_become_normal() {
        let mount = Mount::bind(c"//usr//lib/", c"/lib//", false).unwrap();
        assert_eq!(mount.source, Source::Path(c"/usr/lib".into()));
        assert_eq!(mount.target.as_c_str(), c"/lib");
        assert_eq!(Root::directory(c"///").unwrap(), Root::Directory(c"/".into()));
        // Names that only look like those that are refused.
        for path in [c"/process", c"/proc2/a", c"/...", c"/.a", c"/a/proc"] {
            assert!(Mount::bind(path, path, true).is_ok(), "{path:?}");
        }
        for path in [
            c"",
            c"usr",
            c"./usr",
            c"/usr/..",
            c"/../usr",
            c"/usr/./lib",
            c"/.",
            c"/usr/../proc",
        ] {
            refusal(Mount::bind(path, c"/a", false));
            refusal(Mount::bind(c"/a", path, false));
            refusal(Mount::memory(path, 1));
            refusal(Root::directory(path));
        }
    }

    #[test]
    fn neither_root_nor_proc_is_mounted_over_and_the_hosts_proc_not_at_all() {
        for path in [c"/proc", c"//proc/", c"/proc/self/root"] {
            assert!(
                refusal(Mount::bind(path, c"/a", false)).contains("shows the host"),
                "{path:?}"
            );
            assert!(refusal(Root::directory(path)).contains("shows the host"), "{path:?}");
            assert!(
                refusal(Mount::bind(c"/a", path, false)).contains("mounts itself"),
                "{path:?}"
            );
            assert!(refusal(Mount::memory(path, 1)).contains("mounts itself"), "{path:?}");
        }
        assert!(refusal(Mount::bind(c"//", c"/a", false)).contains("make it the root"));
        assert!(refusal(Mount::bind(c"/a", c"//", false)).contains("there is the root"));
    }

    #[test]
    fn memory_has_a_bound_that_the_kernel_keeps() {
        assert!(Mount::memory(c"/tmp", 1).is_ok() && Mount::memory(c"/tmp", MAX_MEMORY).is_ok());
        refusal(Mount::memory(c"/tmp", 0));
        refusal(Mount::memory(c"/tmp", MAX_MEMORY + 1));
        refusal(Mount::memory(c"/tmp", u64::MAX));
    }

    #[test]
    fn mounts_may_lie_in_former_ones_but_not_hide_them() {
        let mut policy = Policy::new();
        let mut add = |target: &CStr| policy.add_mount(Mount::memory(target, 1)?);
        add(c"/a").unwrap();
        add(c"/a/b/c").unwrap();
        add(c"/ab").unwrap();
        assert!(refusal(add(c"/a/")).contains("a mount already"));
        assert!(refusal(add(c"/a/b")).contains("would hide the mount at \"/a/b/c\""));
        add(c"/a/b/cd").unwrap();
        for number in 4..MAX_MOUNTS {
            add(&CString::new(format!("/{number}")).unwrap()).unwrap();
        }
        assert!(refusal(add(c"/one-more")).contains("64 mounts"));
        assert_eq!(policy.mounts.len(), MAX_MOUNTS);
    }
}
