//! The namespaces that a program starts in: flags of clone(2), and what the child then does there.

use libc::c_int;

use crate::error::{Error, ErrorKind, Stage};
use crate::feature::Feature;
use crate::plan::Step;
use crate::policy::Namespace;
use crate::probe::{Owners, namespace_hint};
use crate::sys::namespace::{IdentityMap, Refusal};

use super::prepare::Prepared;

/// What a program in a UTS namespace takes the host's name for.
const HOST_NAME: &[u8] = b"sandbox";

/// The namespaces of one run.
pub(super) struct Namespaces {
    clone_flags: c_int,
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
        let owners = Owners::of(prepared.settings.user);
        Self {
            clone_flags,
            users: owners.map_of_users(),
            groups: owners.map_of_groups(),
        }
    }

    /// CLONE_NEW*.
    pub(super) fn clone_flags(&self) -> c_int {
        self.clone_flags
    }

    /// What the child does in each of them. The user namespace comes first: without its map the rest may not be done.
    pub(super) fn steps(&self) -> [(Feature, Step<'_>, &'static str); 3] {
        let map = IdentityMap {
            users: &self.users,
            groups: &self.groups,
        };
        [
            (Feature::NsUser, Step::MapIdentity(map), "map the user"),
            (Feature::NsUts, Step::HostName(HOST_NAME), "set the host name"),
            (Feature::NsNet, Step::Loopback, "bring up the loopback interface"),
        ]
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
