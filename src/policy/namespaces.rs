//! Namespaces that a program has for itself (namespaces(7)).
//!
//! Each takes a user namespace besides, which many containers and some distributions refuse: the spawn fails then with
//! [`Unsupported`](crate::error::ErrorKind::Unsupported) and the reason, unless the policy asks for less. This runs on either:
//!
//! ```
//! use sandlock::feature::{Feature, State, Strictness};
//! use sandlock::policy::Namespace;
//! use sandlock::{Access, Policy, Sandbox, SpawnOptions, Stdio};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?.set_namespace(Namespace::Uts, true);
//! policy.set_strictness(Feature::NsUser, Strictness::BestEffort).set_strictness(Feature::NsUts, Strictness::BestEffort);
//!
//! let options = SpawnOptions::new().stdout(Stdio::Capture);
//! let process = Sandbox::new(policy).spawn(None, ["uname", "-n"], options)?;
//! let own = process.report().row(Feature::NsUts).unwrap().state == State::Enforced;
//! let outcome = process.wait(None)?.unwrap();
//! assert!(!own || outcome.stdout.bytes == b"sandbox\n", "{outcome:?}");
//! # Ok::<(), sandlock::Error>(())
//! ```

use crate::feature::{Feature, Strictness, numbered};

use super::Policy;

numbered! {
    /// What a program can have apart from the host, besides its user ids.
    #[non_exhaustive]
    Namespace {
        /// System V IPC and POSIX message queues: none but its own. The default denylist refuses them anyway.
        Ipc = 1, "ipc";
        /// The host name, which is "sandbox" there.
        Uts = 2, "uts";
        /// Network interfaces, addresses, ports, abstract Unix sockets: nothing but a loopback interface of its own.
        /// [`Feature::Network`] still governs what it may do with that.
        Net = 3, "net";
        /// Process ids: no process outside has one there. Their first process is a small init of the library's; when it ends, all do.
        /// The host knows them by other ids, which are those that the library tells.
        Pid = 4, "pid";
        /// The tree of files, and a /proc in it that shows the sandbox's processes only. Takes a PID namespace. Linux 5.12.
        Mount = 5, "mount";
    }
}

impl Namespace {
    /// The feature that it is.
    pub const fn feature(self) -> Feature {
        match self {
            Self::Ipc => Feature::NsIpc,
            Self::Uts => Feature::NsUts,
            Self::Net => Feature::NsNet,
            Self::Pid => Feature::NsPid,
            Self::Mount => Feature::NsMount,
        }
    }

    /// CLONE_NEW*, as clone(2) has it.
    pub const fn clone_flag(self) -> i32 {
        match self {
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Net => libc::CLONE_NEWNET,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Mount => libc::CLONE_NEWNS,
        }
    }
}

impl Policy {
    /// CLONE_NEW* of the namespaces that it asks for.
    pub(crate) fn namespace_flags(&self) -> i32 {
        let wanted = |feature| self.asks_for(feature) && self.strictness(feature) != Strictness::Disable;
        if !wanted(Feature::NsUser) {
            return 0;
        }
        let others = Namespace::ALL.iter().filter(|namespace| match namespace {
            // Its /proc shows the processes of a PID namespace.
            Namespace::Mount => wanted(Feature::NsMount) && wanted(Feature::NsPid),
            other => wanted(other.feature()),
        });
        others.fold(libc::CLONE_NEWUSER, |flags, namespace| flags | namespace.clone_flag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Mount, Root};

    #[test]
    fn namespaces_rest_on_that_of_users() {
        let mut policy = Policy::new();
        assert_eq!(policy.namespace_flags(), 0);
        policy.process.set_user(0, 0).unwrap();
        assert_eq!(policy.namespace_flags(), libc::CLONE_NEWUSER);
        policy.process.user = None;
        policy.namespaces.insert(Namespace::Net);
        assert_eq!(policy.namespace_flags(), libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
        policy.set_strictness(Feature::NsUser, Strictness::Disable);
        assert_eq!(policy.namespace_flags(), 0);
    }

    #[test]
    fn mounts_ask_for_the_namespaces_that_they_take() {
        let (users, ids) = (libc::CLONE_NEWUSER, libc::CLONE_NEWPID);
        let mut policies = [Policy::new(), Policy::new(), Policy::new()];
        policies[0].namespaces.insert(Namespace::Mount);
        policies[1].root = Root::Memory;
        policies[2].add_mount(Mount::memory(c"/tmp", 1).unwrap()).unwrap();
        for mut policy in policies {
            assert_eq!(policy.namespace_flags(), users | ids | libc::CLONE_NEWNS);
            policy.set_strictness(Feature::NsMount, Strictness::Disable);
            assert_eq!(policy.namespace_flags(), users | ids);
            policy.set_strictness(Feature::NsMount, Strictness::Require);
            policy.set_strictness(Feature::NsPid, Strictness::Disable);
            assert_eq!(policy.namespace_flags(), users);
        }
        let mut policy = Policy::new();
        policy.namespaces.insert(Namespace::Pid);
        assert_eq!(policy.namespace_flags(), users | ids);
        assert!(!policy.asks_for(Feature::NsMount));
    }
}
