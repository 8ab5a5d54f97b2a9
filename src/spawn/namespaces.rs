//! The namespaces that a program starts in: flags of clone(2), and what the child then does there.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::c_int;

use crate::error::{Error, ErrorKind, Stage};
use crate::feature::Feature;
use crate::plan::Step;
use crate::policy::Namespace;
use crate::probe::{Owners, namespace_hint};
use crate::sys::namespace::{IdentityMap, Refusal};

use super::prepare::Prepared;

/// Namespaces that are kept until the end of a sandbox is known. To take one of mounts or networks down takes the kernel longer than all else
/// at the end, and who waits for that would wait for those as well.
#[derive(Default)]
pub(super) struct Remains(Vec<OwnedFd>);

impl Remains {
    /// Keeps those among `flags`, CLONE_NEW*, that `program` is in.
    pub(super) fn keep(&mut self, program: i32, flags: c_int) {
        let kept = [
            (libc::CLONE_NEWNS, "mnt"),
            (libc::CLONE_NEWNET, "net"),
            // So that its number, by which it is told who is in the sandbox, does not become another's.
            (libc::CLONE_NEWPID, "pid"),
        ];
        for (flag, name) in kept {
            // An error means that it has ended, or that the host has no descriptor left: then waiting takes longer.
            let open = || {
                let file = OwnedFd::from(File::open(format!("/proc/{program}/ns/{name}")).ok()?);
                // Not one of the host's standard streams, even if they are closed.
                if file.as_raw_fd() > 2 {
                    Some(file)
                } else {
                    file.try_clone().ok()
                }
            };
            self.0.extend((flags & flag != 0).then(open).flatten());
        }
    }
}

/// What a program in a UTS namespace takes the host's name for.
const HOST_NAME: &[u8] = b"sandbox";

/// The namespaces of one run.
pub(super) struct Namespaces {
    clone_flags: c_int,
    /// Those that the program of an init makes, and those that the init makes meanwhile.
    made_by_program: c_int,
    made_by_init: c_int,
    users: Vec<u8>,
    groups: Vec<u8>,
}

impl Namespaces {
    /// Those that `prepared` says, made by the calling thread.
    pub(super) fn of(prepared: &Prepared) -> Self {
        let decisions = &prepared.compiled.decisions;
        let mut clone_flags = 0;
        if decisions.uses(Feature::NsUser) {
            clone_flags |= libc::CLONE_NEWUSER;
        }
        for namespace in Namespace::ALL {
            if decisions.uses(namespace.feature()) {
                clone_flags |= namespace.clone_flag();
            }
        }
        // The kernel takes longer for a network than for all else. The program of an init makes that while the init makes the rest, which
        // the program then enters.
        let has_init = clone_flags & libc::CLONE_NEWPID != 0;
        let (mut made_by_program, mut made_by_init) = (0, 0);
        if has_init && clone_flags & libc::CLONE_NEWNET != 0 {
            made_by_program = libc::CLONE_NEWNET;
            made_by_init = clone_flags & !(made_by_program | libc::CLONE_NEWUSER | libc::CLONE_NEWPID);
            clone_flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID;
        }
        let owners = Owners::of(prepared.settings.user);
        Self {
            clone_flags,
            made_by_program,
            made_by_init,
            users: owners.map_of_users(),
            groups: owners.map_of_groups(),
        }
    }

    /// CLONE_NEW*.
    pub(super) fn clone_flags(&self) -> c_int {
        self.clone_flags
    }

    /// All of them.
    pub(super) fn all(&self) -> c_int {
        self.clone_flags | self.made_by_program | self.made_by_init
    }

    /// What the first process does in each of them. The user namespace comes first: without its map the rest may not be done.
    pub(super) fn steps(&self) -> impl Iterator<Item = (Feature, Step<'_>, &'static str)> {
        let map = IdentityMap {
            users: &self.users,
            groups: &self.groups,
        };
        let make = (
            Feature::NsUser,
            Step::OwnNamespaces(self.made_by_init),
            "make namespaces",
        );
        let made = (self.made_by_init != 0).then_some(make);
        let rest = [
            (Feature::NsUser, Step::MapIdentity(map), "map the user"),
            (Feature::NsUts, Step::HostName(HOST_NAME), "set the host name"),
        ];
        made.into_iter().chain(rest)
    }

    /// What the program does about its network.
    pub(super) fn steps_for_network(&self) -> impl Iterator<Item = (Feature, Step<'_>, &'static str)> {
        let make = (
            Feature::NsNet,
            Step::OwnNamespaces(self.made_by_program),
            "make the network namespace",
        );
        let bring_up = (Feature::NsNet, Step::Loopback, "bring up the loopback interface");
        let made = (self.made_by_program != 0).then_some(make);
        made.into_iter().chain([bring_up])
    }

    /// The namespaces of its init that the program enters.
    pub(super) fn to_join(&self) -> Option<c_int> {
        (self.made_by_init != 0).then_some(self.made_by_init)
    }

    /// Why there is no process.
    pub(super) fn cannot_start(&self, errno: c_int) -> Error {
        if self.clone_flags == 0 {
            return Error::system(ErrorKind::System, Stage::Spawn, "cannot create a process", errno);
        }
        let what = format!(
            "cannot create a process in namespaces of its own{}",
            namespace_hint(Refusal::Clone(errno))
        );
        Error::system(ErrorKind::System, Stage::Spawn, what, errno)
    }
}
