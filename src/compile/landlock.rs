//! From path rules and features to what the Landlock ruleset must say.

use std::collections::BTreeMap;
use std::ffi::CString;

use landlock::{AccessFs, AccessNet, BitFlags, Scope};

use crate::policy::net::Ports;
use crate::policy::net::reach::{Network, Reach};
use crate::policy::{Access, Policy};

/// Which parts of Landlock a ruleset uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// File access.
    pub files: bool,
    /// Renaming and linking between directories is decided by the rules. Without it Landlock refuses them all.
    pub refer: bool,
    /// truncate(2).
    pub truncate: bool,
    /// ioctl(2) on devices.
    pub ioctl_dev: bool,
    /// TCP connect and bind, as far as not everything is allowed.
    pub network: Option<Network>,
    /// Signals.
    pub signal_scope: bool,
    /// Abstract Unix sockets.
    pub abstract_unix_scope: bool,
    /// Unix sockets by path: none but the sandbox's own, and what rules grant if it is Landlock that keeps those.
    pub resolve_unix: bool,
    /// The kernel knows the right to move and link files between directories (ABI 2), used or not.
    pub knows_refer: bool,
}

/// A ruleset, still without descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesetSpec {
    /// File rights that are denied unless a rule grants them.
    pub files: BitFlags<AccessFs>,
    /// Network rights that are denied.
    pub network: BitFlags<AccessNet>,
    /// Where the sandbox ends.
    pub scopes: BitFlags<Scope>,
    /// What is granted.
    pub rules: Vec<PathGrant>,
    /// Which Unix sockets, and those beneath which directories. These paths are followed by no symbolic link, as rules are about the names
    /// that sockets have: a link is as good as nothing there, and so is what cannot be opened.
    pub sockets: Vec<PathGrant>,
    /// And on which TCP ports.
    pub ports: Vec<PortGrant>,
    /// Moving and linking between directories is granted everywhere. Every domain denies that, even one that does not
    /// handle files at all, unless a rule of it says otherwise.
    pub refer_everywhere: bool,
}

/// Rights beneath a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGrant {
    /// The path.
    pub path: CString,
    /// Rights if it is a directory.
    pub directory: BitFlags<AccessFs>,
    /// Rights if it is not.
    pub file: BitFlags<AccessFs>,
    /// It may be missing.
    pub optional: bool,
}

/// Rights on a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortGrant {
    /// The port.
    pub port: u16,
    /// Rights.
    pub rights: BitFlags<AccessNet>,
}

impl RulesetSpec {
    /// The ruleset for `policy`; None if no part is used.
    pub fn new(policy: &Policy, parts: Parts) -> Option<Self> {
        let of_files = handled_files(parts);
        let mut files = of_files;
        if parts.resolve_unix {
            files |= AccessFs::ResolveUnix;
        }
        let network = parts.network.map_or(BitFlags::EMPTY, handled_network);
        let mut scopes = BitFlags::EMPTY;
        if parts.signal_scope {
            scopes |= Scope::Signal;
        }
        if parts.abstract_unix_scope {
            scopes |= Scope::AbstractUnixSocket;
        }
        if files.is_empty() && network.is_empty() && scopes.is_empty() {
            return None;
        }
        // Without file rights there is nothing that a path rule could grant.
        let mut rules = Vec::new();
        if parts.files {
            rules.extend(
                policy
                    .paths
                    .iter()
                    .map(|rule| grant(rule.path.clone(), rule.access, of_files)),
            );
        }
        let refer_everywhere = !parts.files && parts.knows_refer;
        if refer_everywhere {
            files |= AccessFs::Refer;
        }
        let by_path = parts.network.is_some_and(|network| network.unix == Reach::Landlock);
        Some(Self {
            files,
            network,
            scopes,
            rules,
            sockets: if by_path { sockets(policy) } else { Vec::new() },
            ports: parts.network.map_or_else(Vec::new, |network| ports(policy, network)),
            refer_everywhere,
        })
    }

    /// A ruleset that scopes signals and leaves everything else to the program's own: the warden's domain. Signals can be
    /// scoped from ABI 6 on, which knows REFER.
    pub fn signal_scope_only() -> Self {
        Self {
            files: AccessFs::Refer.into(),
            network: BitFlags::EMPTY,
            scopes: Scope::Signal.into(),
            rules: Vec::new(),
            sockets: Vec::new(),
            ports: Vec::new(),
            refer_everywhere: true,
        }
    }
}

/// Device nodes are never granted to anyone; the rights to make them are handled, so that they are denied.
fn handled_files(parts: Parts) -> BitFlags<AccessFs> {
    if !parts.files {
        return BitFlags::EMPTY;
    }
    let mut handled = AccessFs::Execute
        | AccessFs::WriteFile
        | AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::RemoveDir
        | AccessFs::RemoveFile
        | AccessFs::MakeChar
        | AccessFs::MakeDir
        | AccessFs::MakeReg
        | AccessFs::MakeSock
        | AccessFs::MakeFifo
        | AccessFs::MakeBlock
        | AccessFs::MakeSym;
    if parts.refer {
        handled |= AccessFs::Refer;
    }
    if parts.truncate {
        handled |= AccessFs::Truncate;
    }
    if parts.ioctl_dev {
        handled |= AccessFs::IoctlDev;
    }
    handled
}

/// What is served is denied to the program itself: the library's own threads are outside its domain.
fn handled_network(network: Network) -> BitFlags<AccessNet> {
    let mut handled = BitFlags::EMPTY;
    if network.tcp != Reach::Open {
        handled |= AccessNet::ConnectTcp;
    }
    if network.bind_tcp != Reach::Open {
        handled |= AccessNet::BindTcp;
    }
    handled
}

/// One rule for each port.
fn ports(policy: &Policy, network: Network) -> Vec<PortGrant> {
    let mut granted: BTreeMap<u16, BitFlags<AccessNet>> = BTreeMap::new();
    let found = [
        (network.connected_ports(&policy.network), AccessNet::ConnectTcp),
        (network.bound_ports(&policy.network), AccessNet::BindTcp),
    ];
    for (ports, right) in found {
        let ranges = ports.iter().flat_map(Ports::ranges).cloned();
        // A rule for port 0 would grant binding to any port that the kernel chooses.
        for port in ranges.flatten().filter(|&port| port != 0) {
            *granted.entry(port).or_insert(BitFlags::EMPTY) |= right;
        }
    }
    granted
        .into_iter()
        .map(|(port, rights)| PortGrant { port, rights })
        .collect()
}

/// The sockets that rules name, as far as they are there. Those beneath a directory need nothing more than it.
fn sockets(policy: &Policy) -> Vec<PathGrant> {
    let reach = BitFlags::from(AccessFs::ResolveUnix);
    let paths = policy.network.unix_paths().unwrap_or_default();
    paths
        .into_iter()
        .map(|(path, beneath)| PathGrant {
            path: path.to_owned(),
            directory: if beneath { reach } else { BitFlags::EMPTY },
            file: if beneath { BitFlags::EMPTY } else { reach },
            optional: true,
        })
        .collect()
}

fn grant(path: CString, access: Access, handled: BitFlags<AccessFs>) -> PathGrant {
    let mut directory = BitFlags::EMPTY;
    if access.reads() {
        directory |= AccessFs::ReadFile | AccessFs::ReadDir;
    }
    if access.executes() {
        directory |= AccessFs::Execute;
    }
    if access.writes() {
        directory |= handled
            & !(AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
    }
    let of_files =
        AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Execute | AccessFs::Truncate | AccessFs::IoctlDev;
    PathGrant {
        path,
        directory,
        file: directory & of_files,
        optional: access.is_optional(),
    }
}

#[cfg(test)]
mod tests {
    use landlock::make_bitflags;

    use super::*;
    use crate::policy::PathRule;
    use crate::policy::net::reach::tests::rules;

    const ALL: Parts = Parts {
        files: true,
        refer: true,
        truncate: true,
        ioctl_dev: true,
        network: Some(Network::CLOSED),
        signal_scope: true,
        abstract_unix_scope: true,
        resolve_unix: false,
        knows_refer: true,
    };

    fn policy(bits: u64) -> Policy {
        let mut policy = Policy::new();
        policy
            .paths
            .push(PathRule::new(c"/x".into(), Access::from_bits(bits).unwrap()).unwrap());
        policy
    }

    #[test]
    fn all_parts_handle_all_that_abi_7_knows() {
        use landlock::{ABI, Access as _};
        let spec = RulesetSpec::new(&Policy::new(), ALL).unwrap();
        assert_eq!(spec.files, AccessFs::from_all(ABI::V7));
        assert_eq!(spec.network, AccessNet::from_all(ABI::V7));
        assert_eq!(spec.scopes, Scope::from_all(ABI::V7));
        assert!(spec.rules.is_empty());
    }

    #[test]
    fn abi_9_keeps_unix_sockets_to_the_sandbox_and_the_rules_that_it_is_to_keep() {
        use landlock::{ABI, Access as _};
        let unix = |reach| Parts {
            resolve_unix: true,
            network: Some(Network {
                unix: reach,
                ..Network::CLOSED
            }),
            ..ALL
        };
        let mut policy = policy(Access::READ | Access::WRITE);
        policy.network = rules("unix:/run/* unix:/tmp/x tcp://*:80", "", "", "");
        for reach in [Reach::Closed, Reach::Served, Reach::Landlock] {
            let spec = RulesetSpec::new(&policy, unix(reach)).unwrap();
            assert_eq!(spec.files, AccessFs::from_all(ABI::V9));
            // Who may write to a directory may not for that reach what others serve there.
            assert!(!spec.rules[0].directory.contains(AccessFs::ResolveUnix));
            assert!(!spec.rules[0].file.contains(AccessFs::ResolveUnix));
            let granted = spec.sockets.iter().map(|grant| {
                assert!(grant.optional);
                (grant.path.to_str().unwrap(), grant.directory, grant.file)
            });
            let (none, connect) = (BitFlags::EMPTY, BitFlags::from(AccessFs::ResolveUnix));
            let expected = match reach {
                Reach::Landlock => vec![("/run", connect, none), ("/tmp/x", none, connect)],
                _ => vec![],
            };
            assert_eq!(granted.collect::<Vec<_>>(), expected, "{reach:?}");
        }
        // Without file rights it is the only one, besides what keeps moving files possible.
        let alone = Parts {
            files: false,
            ..unix(Reach::Landlock)
        };
        let spec = RulesetSpec::new(&policy, alone).unwrap();
        assert_eq!(spec.files, AccessFs::ResolveUnix | AccessFs::Refer);
        assert!(spec.refer_everywhere && spec.rules.is_empty() && spec.sockets.len() == 2);
    }

    #[test]
    fn parts_of_older_abis_leave_out_their_rights() {
        use landlock::{ABI, Access as _};
        let first = Parts {
            files: true,
            ..Parts::default()
        };
        assert_eq!(
            RulesetSpec::new(&Policy::new(), first).unwrap().files,
            AccessFs::from_all(ABI::V1)
        );
        let third = Parts {
            refer: true,
            truncate: true,
            ..first
        };
        assert_eq!(
            RulesetSpec::new(&Policy::new(), third).unwrap().files,
            AccessFs::from_all(ABI::V3)
        );
        let granted = &RulesetSpec::new(&policy(Access::WRITE), first).unwrap().rules[0];
        assert!(
            !granted
                .directory
                .intersects(AccessFs::Refer | AccessFs::Truncate | AccessFs::IoctlDev)
        );
        assert_eq!(RulesetSpec::new(&Policy::new(), Parts::default()), None);
    }

    #[test]
    fn ruleset_that_leaves_files_alone_leaves_moving_them_alone() {
        let network = Parts {
            network: Some(Network::CLOSED),
            knows_refer: true,
            ..Parts::default()
        };
        let spec = RulesetSpec::new(&policy(Access::READ), network).unwrap();
        assert_eq!((spec.files, spec.rules.len()), (AccessFs::Refer.into(), 0));
        assert!(spec.refer_everywhere);
        assert!(!RulesetSpec::new(&Policy::new(), ALL).unwrap().refer_everywhere);
    }

    #[test]
    fn ports_are_granted_one_by_one_and_what_is_served_is_not() {
        const BOTH: BitFlags<AccessNet> = make_bitflags!(AccessNet::{ConnectTcp | BindTcp});
        let spec = |allow, deny, bind| {
            let mut policy = Policy::new();
            policy.network = rules(allow, deny, bind, "");
            let parts = Parts {
                network: Some(Network::new(&policy.network)),
                ..Parts::default()
            };
            let spec = RulesetSpec::new(&policy, parts);
            spec.map(|spec| {
                let ports = spec.ports.iter().map(|grant| (grant.port, grant.rights));
                (spec.network, ports.collect::<Vec<_>>())
            })
        };
        let (connect, bind) = (AccessNet::ConnectTcp.into(), AccessNet::BindTcp.into());
        assert_eq!(spec("", "", ""), Some((BOTH, vec![])));
        assert_eq!(
            spec("tcp://*:443 *:80-82", "tcp://*:81", "8080,443"),
            Some((BOTH, vec![(80, connect), (82, connect), (443, BOTH), (8080, bind)]))
        );
        assert_eq!(spec("tcp://*", "", "9"), Some((bind, vec![(9, bind)])));
        assert_eq!(spec("tcp://*:9", "", "*"), Some((connect, vec![(9, connect)])));
        assert_eq!(spec("tcp://*", "", "*"), None);
        for (allow, deny, bind) in [
            ("10.0.0.1:443", "", "8000-8999"),
            ("tcp://*:443", "10.0.0.1", ""),
            ("tcp://*:1-1025", "", ""),
            ("udp://*:53 unix:/run/*", "", "udp://53"),
        ] {
            assert_eq!(spec(allow, deny, bind), Some((BOTH, vec![])), "{allow} {deny} {bind}");
        }
        assert_eq!(spec("tcp://*:1-1024", "", "").map(|(_, ports)| ports.len()), Some(1024));
    }

    #[test]
    fn grants_are_what_the_access_bits_say() {
        let granted = |bits| RulesetSpec::new(&policy(bits), ALL).unwrap().rules[0].clone();
        let read = granted(Access::READ | Access::OPTIONAL);
        assert_eq!(read.directory, AccessFs::ReadFile | AccessFs::ReadDir);
        assert_eq!(read.file, BitFlags::from(AccessFs::ReadFile));
        assert!(read.optional);
        assert_eq!(granted(Access::EXECUTE).directory, BitFlags::from(AccessFs::Execute));
        let write = granted(Access::WRITE);
        assert!(
            write
                .directory
                .contains(AccessFs::MakeReg | AccessFs::Refer | AccessFs::IoctlDev)
        );
        assert!(!write.directory.intersects(
            AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock
        ));
        assert_eq!(
            write.file,
            AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev
        );
    }
}
