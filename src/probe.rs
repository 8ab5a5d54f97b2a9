//! What this kernel offers. Each item is asked of the kernel, never read off its version.
//!
//! ```
//! use sandlock::probe::{Capabilities, Refusals};
//!
//! let kernel = Capabilities::probe();
//! assert_eq!(kernel.landlock_abi == 0, kernel.landlock_errno != 0);
//! assert!(kernel.seccomp_filter);
//!
//! // Namespaces are tried out, by processes that end at once.
//! match Refusals::probe(libc::CLONE_NEWUSER).user {
//!     None => println!("user namespaces can be had"),
//!     Some(refusal) => assert_ne!(refusal.errno(), 0),
//! }
//! ```

pub(crate) mod groups;

use std::sync::OnceLock;

use crate::members;
use crate::sys;
use crate::sys::namespace::{IdentityMap, try_out};

pub use crate::sys::namespace::Refusal;
use crate::sys::notify::ListenerFeatures;
pub use groups::Groups;
pub(crate) use groups::Place;

/// What the calling thread can use. A thread that is confined itself may see less than another. The default is: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Landlock ABI, 0 if Landlock is not to be had.
    pub landlock_abi: u32,
    /// Why not: ENOSYS (not built in), EOPNOTSUPP (not enabled at boot) or another errno. 0 if it is to be had.
    pub landlock_errno: i32,
    /// seccomp filters with ERRNO and KILL_PROCESS (Linux 4.14).
    pub seccomp_filter: bool,
    /// Filters may ask a listener, which may let calls run (Linux 5.5).
    pub seccomp_notify: bool,
    /// A call that the listener has received is interrupted by nothing but death (Linux 5.19).
    pub notify_wait_killable: bool,
    /// An answer wakes the caller on the processor of who answers (Linux 6.6). Otherwise it takes several times as long.
    pub notify_sync_wake_up: bool,
    /// An answer can give the caller a descriptor (Linux 5.9).
    pub notify_add_fd: bool,
    /// It can in one step (Linux 5.14).
    pub notify_add_fd_send: bool,
    /// Why descriptors of other processes cannot be duplicated by a pidfd (Linux 5.6). 0 if they can.
    pub pidfd_getfd_errno: i32,
    /// Why /proc does not show who is in a sandbox, if it does not.
    pub proc_blindness: Option<&'static str>,
    /// close_range(2) can mark close-on-exec (Linux 5.11).
    pub close_range: bool,
    /// The kernel exempts the calling user from RLIMIT_NPROC.
    pub unlimited_processes: bool,
    /// The calling thread has capabilities that a child would inherit.
    pub privileged: bool,
    /// Why namespaces cannot be had, of those that were asked about.
    pub refused_namespaces: Refusals,
    /// What control groups hold, if that was asked.
    pub groups: Groups,
    /// The errno that kept something from being asked, which then counts as missing: for want of descriptors, memory or threads. Or 0.
    pub shortage: i32,
}

/// Why the calling thread cannot start processes in namespaces of their own; None: it can, or it was not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// User namespaces, which the others take.
    pub user: Option<Refusal>,
    /// System V IPC and POSIX message queues.
    pub ipc: Option<Refusal>,
    /// Host name.
    pub uts: Option<Refusal>,
    /// Network.
    pub net: Option<Refusal>,
    /// Process ids.
    pub pid: Option<Refusal>,
    /// Mounts.
    pub mount: Option<Refusal>,
}

/// True if what was refused with this errno may be had the next time: for want of memory, processes, descriptors or namespaces.
fn is_passing(errno: i32) -> bool {
    const PASSING: &[i32] = &[
        libc::EAGAIN,
        libc::ENOMEM,
        libc::ENOSPC,
        libc::EUSERS,
        libc::EMFILE,
        libc::ENFILE,
    ];
    PASSING.contains(&errno)
}

/// True for the errnos of who is out of descriptors.
fn is_shortage(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE)
}

impl Refusals {
    fn all(&self) -> impl Iterator<Item = Refusal> {
        let all = [self.user, self.ipc, self.uts, self.net, self.pid, self.mount];
        all.into_iter().flatten()
    }

    fn may_pass(&self) -> bool {
        self.all().any(|refusal| is_passing(refusal.errno()))
    }

    /// Asks about the namespaces that these CLONE_NEW* `flags` name (clone(2)), by starting processes that end at once and that the host
    /// does not notice. [`Capabilities::probe`] does not.
    pub fn probe(flags: i32) -> Self {
        // A tool like valgrind ends when it meets flags that it does not know.
        if std::env::var_os("SANDLOCK_SPAWN").is_some_and(|mode| mode == "fork") {
            return Self {
                user: Some(Refusal::Clone(libc::EOPNOTSUPP)),
                ..Self::default()
            };
        }
        let owners = Owners::of(None);
        let (users, groups) = (owners.map_of_users(), owners.map_of_groups());
        let map = IdentityMap {
            users: &users,
            groups: &groups,
        };
        let ask = |flag| {
            let asked = flags & flag != 0;
            // A /proc can be mounted by who has a PID namespace.
            let with = if flag == libc::CLONE_NEWNS {
                libc::CLONE_NEWPID
            } else {
                0
            };
            let tried = || try_out(libc::CLONE_NEWUSER | flag | with, map).err();
            asked.then(tried).flatten()
        };
        let user = ask(libc::CLONE_NEWUSER);
        if user.is_some() {
            return Self {
                user,
                ..Self::default()
            };
        }
        Self {
            user,
            ipc: ask(libc::CLONE_NEWIPC),
            uts: ask(libc::CLONE_NEWUTS),
            net: ask(libc::CLONE_NEWNET),
            pid: ask(libc::CLONE_NEWPID).or_else(|| refused_init(flags)),
            mount: ask(libc::CLONE_NEWNS),
        }
    }
}

/// Why there can be no init for a PID namespace, if one is asked about: it is a program in memory.
fn refused_init(flags: i32) -> Option<Refusal> {
    if flags & libc::CLONE_NEWPID == 0 {
        return None;
    }
    let made = sys::fd::executable_memory_file();
    made.map(sys::fd::close).err().map(|errno| Refusal::Image(errno.0))
}

/// What most likely stands behind a refusal, in parentheses; nothing for an errno that says it all.
pub(crate) fn namespace_hint(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Clone(libc::EPERM) => {
            " (a container's filter, a chroot, or kernel.unprivileged_userns_clone forbids user namespaces)"
        }
        Refusal::Clone(libc::ENOSPC | libc::EUSERS) => {
            " (see user.max_user_namespaces and its like in sysctl, or too many are nested)"
        }
        Refusal::Clone(libc::EINVAL) => " (this kernel was built without them)",
        Refusal::Map(libc::EPERM) => {
            " (AppArmor restricts unprivileged user namespaces: kernel.apparmor_restrict_unprivileged_userns)"
        }
        Refusal::Map(libc::EACCES) => {
            " (the host's files in /proc are not its own: it is not dumpable, or another security module forbids it)"
        }
        Refusal::Map(libc::ENOENT) => " (/proc is not mounted)",
        Refusal::Image(libc::EACCES) => " (see vm.memfd_noexec in sysctl)",
        Refusal::Proc(libc::EPERM) => {
            " (the host's /proc is partly hidden, as in a container, or the host is in a Landlock domain itself, which forbids mounts)"
        }
        _ => "",
    }
}

/// User and group ids inside and outside a user namespace that maps one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owners {
    /// The ids that the program goes by.
    pub inside: [u32; 2],
    /// The host's, which it has.
    pub outside: [u32; 2],
}

impl Owners {
    /// Of a program that goes by `user`, or the calling thread's own ids.
    pub fn of(user: Option<(u32, u32)>) -> Self {
        let outside = [
            sys::credentials::effective_user_id(),
            sys::credentials::effective_group_id(),
        ];
        Self {
            inside: user.map_or(outside, |(user, group)| [user, group]),
            outside,
        }
    }

    /// What /proc/self/uid_map takes.
    pub fn map_of_users(self) -> Vec<u8> {
        format!("{} {} 1", self.inside[0], self.outside[0]).into_bytes()
    }

    /// What /proc/self/gid_map takes.
    pub fn map_of_groups(self) -> Vec<u8> {
        format!("{} {} 1", self.inside[1], self.outside[1]).into_bytes()
    }
}

/// Who is asking. What is compiled for one is not right for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Privileges {
    user: u32,
    capabilities: bool,
}

impl Privileges {
    /// Those of the calling thread: two system calls.
    pub fn probe() -> Self {
        Self {
            user: sys::credentials::user_id(),
            capabilities: sys::credentials::has_capabilities(),
        }
    }
}

impl Capabilities {
    /// Asks the kernel, about namespaces and control groups not. Changes nothing; any thread.
    pub fn probe() -> Self {
        let landlock = sys::landlock::abi();
        let notify = listener_features();
        let blindness = members::blindness();
        let duplicate = refused_duplicate();
        let short = [
            notify.err(),
            blindness.err(),
            Some(duplicate).filter(|&errno| is_shortage(errno)),
        ];
        let notify = notify.unwrap_or_default();
        Self {
            landlock_abi: landlock.unwrap_or(0),
            landlock_errno: landlock.err().map_or(0, |errno| errno.0),
            seccomp_filter: sys::seccomp::has_action(sys::seccomp::RET_ERRNO)
                && sys::seccomp::has_action(sys::seccomp::RET_KILL_PROCESS),
            seccomp_notify: sys::seccomp::has_action(sys::seccomp::RET_USER_NOTIF) && sys::notify::sizes_fit(),
            notify_wait_killable: sys::notify::knows_flag(sys::notify::FLAG_WAIT_KILLABLE),
            notify_sync_wake_up: notify.sync_wake_up,
            notify_add_fd: notify.add_fd,
            notify_add_fd_send: notify.add_fd_send,
            pidfd_getfd_errno: duplicate,
            proc_blindness: blindness.ok().flatten(),
            close_range: sys::fd::has_close_on_exec_range(),
            unlimited_processes: is_initial_root(),
            privileged: sys::credentials::has_capabilities(),
            refused_namespaces: Refusals::default(),
            groups: Groups::default(),
            shortage: short.into_iter().flatten().next().unwrap_or(0),
        }
    }

    /// True if something is missing that may be there the next time.
    pub(crate) fn may_change(&self) -> bool {
        self.refused_namespaces.may_pass()
    }

    /// The errno behind what could not even be asked, if there is any: what this says of the kernel is then not worth starting a program by.
    pub(crate) fn short_of(&self) -> Option<i32> {
        let namespaces = self.refused_namespaces.all().map(Refusal::errno);
        let groups = self.groups.lack.map(|(_, errno)| errno);
        let short = namespaces.chain(groups).find(|&errno| is_shortage(errno));
        Some(self.shortage).filter(|&errno| errno != 0).or(short)
    }
}

/// What listeners can do. It takes one to ask, and a filter of its own for that: a thread makes both, and ends. Asked once: the kernel
/// stays the same. Nothing where nobody can be asked, because the host has a listener already. An errno where it has no thread or descriptor to
/// spare, which is asked again.
fn listener_features() -> Result<ListenerFeatures, i32> {
    static KNOWN: OnceLock<ListenerFeatures> = OnceLock::new();
    if let Some(&known) = KNOWN.get() {
        return Ok(known);
    }
    let asker = std::thread::Builder::new()
        .name("sandlock-probe".to_owned())
        .stack_size(64 << 10)
        .spawn(sys::notify::listener_features)
        .map_err(|error| error.raw_os_error().unwrap_or(libc::EAGAIN))?;
    match asker.join() {
        Ok(Ok(known)) => Ok(*KNOWN.get_or_init(|| known)),
        Ok(Err(errno)) if is_passing(errno.0) => Err(errno.0),
        Ok(Err(_)) => Ok(*KNOWN.get_or_init(ListenerFeatures::default)),
        // A panic.
        Err(_) => Ok(ListenerFeatures::default()),
    }
}

/// The errno of duplicating a descriptor by a pidfd, or 0: one of the caller's own, the pidfd itself.
fn refused_duplicate() -> i32 {
    let pidfd = match sys::process::open_pidfd(sys::process::id()) {
        Ok(pidfd) => pidfd,
        Err(errno) => return errno.0,
    };
    let duplicate = sys::process::duplicate_from(pidfd, pidfd).map(sys::fd::close);
    sys::fd::close(pidfd);
    duplicate.err().map_or(0, |errno| errno.0)
}

/// True for user 0 of the initial user namespace, whom fork(2) exempts from RLIMIT_NPROC whatever its capabilities.
fn is_initial_root() -> bool {
    if sys::credentials::user_id() != 0 {
        return false;
    }
    // Without /proc nothing says that the namespace is another one, so the limit cannot be promised.
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else {
        return true;
    };
    let mut words = map.split_ascii_whitespace();
    words.next() == Some("0") && words.next() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_is_consistent_in_itself() {
        let capabilities = Capabilities::probe();
        assert_eq!(capabilities.landlock_abi == 0, capabilities.landlock_errno != 0);
    }

    /// Whether it can is for the kernel to say; what it says is said, and nothing is left open.
    #[test]
    fn duplicate_by_a_pidfd_is_the_same_file_or_an_errno() {
        let Ok(pidfd) = sys::process::open_pidfd(sys::process::id()) else {
            return assert_eq!(refused_duplicate(), libc::ENOSYS);
        };
        match sys::process::duplicate_from(pidfd, pidfd) {
            Ok(duplicate) => {
                assert_ne!(duplicate, pidfd);
                assert_eq!(sys::fd::identify(duplicate), sys::fd::identify(pidfd));
                sys::fd::close(duplicate);
                assert_eq!(refused_duplicate(), 0);
            }
            Err(errno) => assert_eq!(refused_duplicate(), errno.0),
        }
        sys::fd::close(pidfd);
    }
}
