//! Where the host may make control groups, and what they would hold.
//!
//! The library moves no process of the host and enables no controller: it makes groups only beneath one in which others have done so.
//! Which one that is the policy says, or it is found: the parent of the host's own group, if that belongs to the host's user. So a
//! service is set up that has been given a tree of its own and has moved itself into a leaf of it, as cgroups(7) demands. A host that
//! runs as root must name one: to root everything looks delegated.

#![allow(unsafe_code)] // one block: taking over descriptors that sys just opened

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kept::KeptFd;
use crate::sys;

/// What groups hold that the host may make. All false for who was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Groups {
    /// The policy names the group to make them in, and nothing else will do.
    pub named: bool,
    /// `memory.max` can be set.
    pub memory: bool,
    /// `cpu.max` can be set.
    pub cpu: bool,
    /// Why there are none, and an errno.
    pub lack: Option<(&'static str, i32)>,
}

/// The group in which the library makes others, one for each sandbox.
#[derive(Debug)]
pub struct Place {
    directory: Arc<KeptFd>,
    path: PathBuf,
    /// The host's own group as it was then.
    own: Vec<u8>,
    /// Processes can start in a group, and need not enter it.
    starts_inside: bool,
    /// Every group that the host's does not lie in, but a sandbox's does.
    apart: Vec<PathBuf>,
}

/// How names of groups begin.
pub const PREFIX: &str = "sandlock-";

type Lack = (&'static str, i32);

impl Place {
    /// Looks for one: `named`, or the parent of the host's own group. `writable`: what the program may write to, which must not reach
    /// groups.
    pub fn find<'a>(named: Option<&CStr>, writable: impl Iterator<Item = &'a CStr>) -> (Groups, Option<Self>) {
        let none = Groups {
            named: named.is_some(),
            ..Groups::default()
        };
        match Self::look(named, writable) {
            Ok((place, memory, cpu)) => (Groups { memory, cpu, ..none }, Some(place)),
            Err(lack) => (
                Groups {
                    lack: Some(lack),
                    ..none
                },
                None,
            ),
        }
    }

    fn look<'a>(named: Option<&CStr>, writable: impl Iterator<Item = &'a CStr>) -> Result<(Self, bool, bool), Lack> {
        let own = own_group().ok_or(("the host is in no group of version 2", libc::ENOENT))?;
        let mounts = Mount::all();
        let path = match named {
            Some(path) => Path::new(OsStr::from_bytes(path.to_bytes())).to_owned(),
            None => parent_of(&own, &mounts).ok_or(("the host's own group has no parent in sight", libc::ENOENT))?,
        };
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let directory = open(&path, flags).map_err(|errno| ("it cannot be opened", errno.0))?;
        let fd = directory.as_raw_fd();
        if !sys::cgroup::is_group(fd) {
            return Err(("it is no group of version 2", libc::EOPNOTSUPP));
        }
        let path = fs::read_link(format!("/proc/self/fd/{fd}")).map_err(|_| ("/proc cannot be read", libc::EACCES))?;
        let user = sys::credentials::effective_user_id();
        if named.is_none() && (user == 0 || sys::cgroup::owner(fd) != Ok(user)) {
            return Err(("the host's own group was not delegated", libc::EACCES));
        }
        let enabled = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
        let has = |controller| enabled.split_ascii_whitespace().any(|word| word == controller);
        let (memory, cpu) = (has("memory"), has("cpu"));
        if !memory && !cpu {
            return Err((
                "neither memory nor cpu is in its cgroup.subtree_control",
                libc::EOPNOTSUPP,
            ));
        }
        if reaches_groups(writable, &mounts) {
            return Err(("a path rule grants WRITE on groups, and so on the limit", libc::EPERM));
        }
        sweep(&directory, &path);
        let starts_inside = try_out(&directory)?;
        let apart = apart(&path, &own, &mounts);
        let place = Self {
            directory: Arc::new(KeptFd::new(directory)),
            path,
            own,
            starts_inside,
            apart,
        };
        Ok((place, memory, cpu))
    }

    /// The open directory.
    pub fn directory(&self) -> &Arc<KeptFd> {
        &self.directory
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if processes can start in a group made here. Otherwise they enter it.
    pub fn starts_inside(&self) -> bool {
        self.starts_inside
    }

    /// True if the host is still where it was.
    pub fn is_current(&self) -> bool {
        self.directory.is_intact() && own_group().is_some_and(|own| own == self.own)
    }

    /// True if memory can run out in a group made here when it does not in the host's, or all here are killed together. The kernel then kills somebody there, and with him
    /// everybody who shares his memory: so nobody there may share the host's.
    pub fn is_bounded_apart(&self) -> bool {
        let says = |file: &Path, wanted: &[u8]| fs::read(file).is_ok_and(|text| text.trim_ascii() == wanted);
        let unbounded =
            |group: &PathBuf| says(&group.join("memory.max"), b"max") && says(&group.join("memory.oom.group"), b"0");
        !self.apart.iter().all(unbounded)
    }

    /// Removes groups that dead hosts have left here.
    pub fn sweep(&self) {
        sweep(&*self.directory, &self.path);
    }
}

/// Makes a group with an open directory, locked by the host for as long as it has that open.
pub fn make(parent: &impl AsRawFd) -> sys::Result<(CString, OwnedFd)> {
    const TRIES: usize = 8;
    let parent = parent.as_raw_fd();
    let mut refused = sys::Errno(libc::EEXIST);
    for _ in 0..TRIES {
        let name = CString::new(format!("{PREFIX}{:016x}", sys::cgroup::random()?)).unwrap_or_default();
        let made = sys::cgroup::make(parent, &name).and_then(|()| {
            let fd = sys::cgroup::open_at(parent, &name, libc::O_RDONLY | libc::O_DIRECTORY)?;
            let fd = own(fd);
            sys::cgroup::lock(fd.as_raw_fd())?;
            // A sweeper may have taken it for left behind before it was locked.
            sys::cgroup::open_at(fd.as_raw_fd(), c"cgroup.procs", libc::O_RDONLY).map(own)?;
            Ok(fd)
        });
        match made {
            Ok(directory) => return Ok((name, directory)),
            Err(errno @ sys::Errno(libc::EEXIST | libc::ENOENT | libc::ENODEV | libc::EWOULDBLOCK)) => refused = errno,
            Err(errno) => {
                let _ = sys::cgroup::remove(parent, &name);
                return Err(errno);
            }
        }
    }
    Err(refused)
}

/// Removes groups whose hosts have died: nobody has them locked, and nobody is in them.
fn sweep(directory: &impl AsRawFd, path: &Path) {
    let names = fs::read_dir(path).into_iter().flatten().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let ours = name.as_bytes().starts_with(PREFIX.as_bytes());
        CString::new(name.into_vec()).ok().filter(|_| ours)
    });
    for name in names {
        let fd = sys::cgroup::open_at(directory.as_raw_fd(), &name, libc::O_RDONLY | libc::O_DIRECTORY).map(own);
        if fd.is_ok_and(|fd| sys::cgroup::lock(fd.as_raw_fd()).is_ok()) {
            // The lock is gone by now, but not the fact that the host is. An error: somebody is still in it.
            let _ = sys::cgroup::remove(directory.as_raw_fd(), &name);
        }
    }
}

/// Makes a group, and tries whether a process can start in it; false: it must enter.
fn try_out(directory: &OwnedFd) -> Result<bool, Lack> {
    let (name, group) = make(directory).map_err(|errno| ("no group can be made in it", errno.0))?;
    // A tool like valgrind ends when it meets calls that it does not know.
    let plain = std::env::var_os("SANDLOCK_SPAWN").is_some_and(|mode| mode == "fork");
    let trial = (!plain).then(|| sys::cgroup::try_out(group.as_raw_fd()));
    let tried = match trial.unwrap_or(Err(sys::Errno(libc::ENOSYS))) {
        Ok(()) => Ok(true),
        // An old kernel, or a container's filter.
        Err(sys::Errno(libc::ENOSYS | libc::E2BIG | libc::EINVAL)) => Ok(false),
        Err(errno) => Err(("no process can be started in a group made in it", errno.0)),
    };
    // Its process has been waited for. What cannot be removed is swept the next time.
    let _ = sys::cgroup::remove(directory.as_raw_fd(), &name);
    tried
}

fn open(path: &Path, flags: i32) -> sys::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| sys::Errno(libc::EINVAL))?;
    sys::fd::open(&path, flags).map(own)
}

fn own(fd: i32) -> OwnedFd {
    // SAFETY: the descriptor was just opened and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The host's own group, beginning with `/`, as seen from the root of its namespace.
fn own_group() -> Option<Vec<u8>> {
    let text = fs::read("/proc/self/cgroup").ok()?;
    let line = text
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))?;
    Some(line.to_vec())
}

/// A mounted tree of control groups, version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is mounted.
    root: PathBuf,
    at: PathBuf,
}

impl Mount {
    fn all() -> Vec<Self> {
        let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
        text.split(|&byte| byte == b'\n').filter_map(Self::parse).collect()
    }

    /// A line of /proc/self/mountinfo, as proc(5) describes it.
    fn parse(line: &[u8]) -> Option<Self> {
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-")?;
        let path = |index: usize| fields.get(index).map(|field| unescape(field));
        (fields.get(dash + 1) == Some(&&b"cgroup2"[..])).then_some(Self {
            root: path(3)?,
            at: path(4)?,
        })
    }

    /// The path that leads to `group`.
    fn path_of(&self, group: &Path) -> Option<PathBuf> {
        Some(self.at.join(group.strip_prefix(&self.root).ok()?))
    }

    /// The group that `path` leads to.
    fn group_of(&self, path: &Path) -> Option<PathBuf> {
        Some(self.root.join(path.strip_prefix(&self.at).ok()?))
    }
}

/// A path as mountinfo writes it: some bytes as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let coded = match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// The path of the parent of the group `own`.
fn parent_of(own: &[u8], mounts: &[Mount]) -> Option<PathBuf> {
    // Outside of the namespace it would begin with "/..".
    let parent = Path::new(OsStr::from_bytes(own)).parent()?;
    mounts.iter().rev().find_map(|mount| mount.path_of(parent))
}

/// True if who may write beneath one of `writable` may write to a group. A path that cannot be resolved grants nothing.
fn reaches_groups<'a>(writable: impl Iterator<Item = &'a CStr>, mounts: &[Mount]) -> bool {
    writable
        .filter_map(|path| open(Path::new(OsStr::from_bytes(path.to_bytes())), libc::O_PATH).ok())
        .any(|fd| {
            let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
            // Rules reach what is mounted beneath them.
            sys::cgroup::is_group(fd.as_raw_fd())
                || path.is_ok_and(|path| mounts.iter().any(|mount| mount.at.starts_with(&path)))
        })
}

/// The group at `path`, and those above it, up to one that the group `own` lies in too.
fn apart(path: &Path, own: &[u8], mounts: &[Mount]) -> Vec<PathBuf> {
    let own = Path::new(OsStr::from_bytes(own));
    let found = mounts
        .iter()
        .rev()
        .find_map(|mount| Some((mount, mount.group_of(path)?)));
    let Some((mount, group)) = found else {
        // Nobody can tell: then there is no such file, and so a bound.
        return vec![path.join("unknown")];
    };
    group
        .ancestors()
        .take_while(|ancestor| !own.starts_with(ancestor))
        // What is not mounted here is not there either.
        .map(|ancestor| mount.path_of(ancestor).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(root: &str, at: &str) -> Mount {
        Mount {
            root: root.into(),
            at: at.into(),
        }
    }

    #[test]
    fn mounts_of_groups_are_found_whatever_their_names() {
        let line = b"42 28 0:39 / /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(Mount::parse(line), Some(mount("/", "/sys/fs/cgroup")));
        let line = b"42 28 0:39 /a\\040b /c\\134d\\011 rw - cgroup2 cgroup rw";
        assert_eq!(Mount::parse(line), Some(mount("/a b", "/c\\d\t")));
        assert_eq!(
            Mount::parse(b"30 28 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"),
            None
        );
        assert_eq!(Mount::parse(b""), None);
        assert_eq!(Mount::parse(b"- cgroup2 cgroup2 rw"), None);
    }

    #[test]
    fn parent_is_found_where_it_is_mounted() {
        let all = [mount("/", "/sys/fs/cgroup")];
        assert_eq!(parent_of(b"/a/b", &all), Some("/sys/fs/cgroup/a".into()));
        assert_eq!(parent_of(b"/a", &all), Some("/sys/fs/cgroup".into()));
        assert_eq!(parent_of(b"/", &all), None);
        // A container that sees its own tree alone.
        let part = [mount("/a", "/sys/fs/cgroup")];
        assert_eq!(parent_of(b"/a/b/c", &part), Some("/sys/fs/cgroup/b".into()));
        assert_eq!(parent_of(b"/a", &part), None);
        assert_eq!(parent_of(b"/../x", &part), None);
    }

    #[test]
    fn groups_apart_are_those_that_the_host_does_not_share() {
        let all = [mount("/", "/g")];
        let found = |path: &str, own: &[u8]| apart(Path::new(path), own, &all);
        assert!(found("/g/a", b"/a/host").is_empty());
        assert!(found("/g", b"/a").is_empty());
        assert_eq!(found("/g/a/b", b"/a/host"), [PathBuf::from("/g/a/b")]);
        assert_eq!(found("/g/b/c", b"/a"), [PathBuf::from("/g/b/c"), PathBuf::from("/g/b")]);
        assert_eq!(found("/elsewhere", b"/a").len(), 1);
    }

    #[test]
    fn directory_that_is_no_group_is_refused() {
        let (groups, place) = Place::find(Some(c"/"), std::iter::empty());
        assert!(place.is_none() && groups.named && !groups.memory && !groups.cpu);
        assert!(groups.lack.is_some());
    }
}
