//! What the filter refuses unless a policy names it: the default denylist.
//!
//! Three kinds: calls refused whole, calls refused for some register arguments, and, where Landlock leaves a gap,
//! calls refused to fill it. EPERM tells a program that it may not; ENOSYS makes it fall back to another call.

use crate::policy::net::reach::Network;

use super::filter::{Action, ArgumentTest, Clause, Compare, Rule, Width};
use super::sockets;

pub(super) const EPERM: Action = Action::fail(libc::EPERM);
const ENOSYS: Action = Action::fail(libc::ENOSYS);

/// Calls refused whole with EPERM.
const REFUSED: &[&str] = &[
    // Mounts, old and new interface, and the root directory.
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "chroot",
    // Namespaces. clone is tested for its flags; clone3 answers ENOSYS.
    "unshare",
    "setns",
    // The kernel and the machine.
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "query_module",
    "get_kernel_syms",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "lookup_dcookie",
    "syslog",
    "acct",
    "quotactl",
    "quotactl_fd",
    "swapon",
    "swapoff",
    "reboot",
    "sethostname",
    "setdomainname",
    "settimeofday",
    "clock_settime",
    // Reading and setting are told apart in memory only.
    "adjtimex",
    "clock_adjtime",
    // Keys, which outlive the sandbox and are shared with the user's other processes.
    "add_key",
    "request_key",
    "keyctl",
    // Other processes.
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "kcmp",
    "pidfd_getfd",
    "migrate_pages",
    "move_pages",
    // Files by handle, past all paths.
    "open_by_handle_at",
    "name_to_handle_at",
    // Ports and descriptor tables of the processor.
    "ioperm",
    "iopl",
    "modify_ldt",
    // IPC that names reach from outside the sandbox.
    "shmget",
    "shmat",
    "shmctl",
    "shmdt",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
    "fanotify_init",
];

/// Calls refused whole with ENOSYS: programs do without them.
const ABSENT: &[&str] = &[
    "clone3",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "statmount",
    "listmount",
    // Memory that no reading shows: neither of the process nor, once it has no descriptor any more, of its files.
    "memfd_secret",
];

/// Calls that change what Landlock does not govern: mode, owner, times and extended attributes of files.
pub const METADATA: &[&str] = &[
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
    "removexattrat",
];

/// Likewise flags of files, which nothing does for a program.
const FILE_FLAGS: &str = "file_setattr";

/// What becomes of calls that change the metadata of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// Nothing needs to be guarded.
    Open,
    /// They fail with this errno.
    Refused(u16),
    /// The library carries them out, where the policy grants writing.
    Guarded,
}

/// Which of the gaps that Landlock leaves the filter must fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// File metadata.
    pub metadata: Metadata,
    /// Sockets, of which Landlock governs TCP alone. None: TCP is not restricted, and others cannot be had.
    pub network: Option<Network>,
    /// The policy has rules about networks. Then these say what is allowed, and to allow a call of theirs by name lifts nothing.
    pub network_rules: bool,
    /// Nothing in files that looks at them do not see: space that is not written, terabytes of which can be had in no time, between two
    /// looks; and files that a Landlock ruleset keeps when they have neither a name nor a descriptor any more.
    pub reservations: bool,
}

/// The default rules, by name.
pub fn rules(gaps: Gaps) -> Vec<(&'static str, Rule)> {
    let mut rules: Vec<(&'static str, Rule)> = Vec::new();
    rules.extend(REFUSED.iter().map(|&name| (name, Rule::always(EPERM))));
    rules.extend(ABSENT.iter().map(|&name| (name, Rule::always(ENOSYS))));
    rules.extend(with_arguments(gaps.metadata != Metadata::Open, gaps.reservations));
    let change = match gaps.metadata {
        Metadata::Open => None,
        Metadata::Refused(errno) => Some((Action::Errno(errno), Action::Errno(errno))),
        Metadata::Guarded => Some((Action::Notify, Action::fail(libc::EACCES))),
    };
    if let Some((change, change_flags)) = change {
        rules.extend(METADATA.iter().map(|&name| (name, Rule::always(change))));
        rules.push((FILE_FLAGS, Rule::always(change_flags)));
    }
    rules.extend(sockets::rules(gaps.network));
    if gaps.reservations {
        rules.push(("fallocate", no_reservations()));
        // As where Landlock is built in and not enabled, which programs know.
        let not_enabled = Rule::always(Action::fail(libc::EOPNOTSUPP));
        rules.extend(["landlock_create_ruleset", "landlock_add_rule"].map(|name| (name, not_enabled.clone())));
    }
    rules
}

pub(super) fn word(index: u8, compare: Compare, value: u32) -> ArgumentTest {
    masked(index, u32::MAX, compare, value)
}

pub(super) fn masked(index: u8, mask: u32, compare: Compare, value: u32) -> ArgumentTest {
    ArgumentTest {
        index,
        width: Width::Word,
        mask: mask.into(),
        compare,
        value: value.into(),
    }
}

pub(super) fn is(index: u8, value: u32) -> ArgumentTest {
    word(index, Compare::Equal, value)
}

pub(super) fn refuse(tests: Vec<ArgumentTest>) -> Clause {
    Clause { tests, action: EPERM }
}

pub(super) fn permit(tests: Vec<ArgumentTest>) -> Clause {
    Clause {
        tests,
        action: Action::Allow,
    }
}

/// Refused in the cases listed.
pub(super) fn refused_if(clauses: Vec<Clause>) -> Rule {
    Rule {
        clauses,
        otherwise: Action::Allow,
    }
}

/// Allowed in the cases listed only.
fn allowed_if(clauses: Vec<Clause>) -> Rule {
    Rule {
        clauses,
        otherwise: EPERM,
    }
}

fn with_arguments(metadata: bool, reservations: bool) -> Vec<(&'static str, Rule)> {
    let own_process_only = || allowed_if(vec![permit(vec![is(0, 0)])]);
    vec![
        ("clone", clone_within_the_sandbox()),
        ("ioctl", ioctl(metadata, reservations)),
        ("fcntl", fcntl()),
        // A whiteout is a device node, which no access right grants.
        ("renameat2", refused_if(vec![refuse(any_bit(4, libc::RENAME_WHITEOUT))])),
        ("prctl", prctl()),
        (
            "personality",
            allowed_if(vec![permit(vec![is(0, 0)]), permit(vec![is(0, u32::MAX)])]),
        ),
        ("mknod", no_devices(1)),
        ("mknodat", no_devices(2)),
        // By user id alone these reach the host's processes: limits, priority, scheduling, affinity.
        ("prlimit64", own_process_only()),
        ("sched_setaffinity", own_process_only()),
        ("sched_setscheduler", own_process_only()),
        ("sched_setparam", own_process_only()),
        ("sched_setattr", own_process_only()),
        ("setpriority", own_priority_only()),
        // IOPRIO_WHO_PROCESS is 1.
        ("ioprio_set", allowed_if(vec![permit(vec![is(0, 1), is(1, 0)])])),
    ]
}

/// A test for any bit of `bits` cannot be said with a masked comparison to one value but as "at least 1".
pub(super) fn any_bit(index: u8, bits: u32) -> Vec<ArgumentTest> {
    vec![masked(index, bits, Compare::AtLeast, 1)]
}

/// No namespaces, and no CLONE_PARENT: what is cloned with it becomes a child of the host, which would have to reap it.
fn clone_within_the_sandbox() -> Rule {
    let refused = libc::CLONE_PARENT
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    refused_if(vec![refuse(any_bit(0, refused.cast_unsigned()))])
}

/// Only PRIO_PROCESS on oneself: PRIO_PGRP and PRIO_USER may reach further than the sandbox.
fn own_priority_only() -> Rule {
    allowed_if(vec![permit(vec![is(0, 0), is(1, 0)])])
}

/// Only what gives space back or moves it. EOPNOTSUPP, as of a file system that cannot: posix_fallocate(3) writes zeros then.
fn no_reservations() -> Rule {
    let harmless = [
        libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        libc::FALLOC_FL_COLLAPSE_RANGE,
        libc::FALLOC_FL_INSERT_RANGE,
    ];
    Rule {
        clauses: harmless.map(|mode| permit(vec![is(1, mode.cast_unsigned())])).into(),
        otherwise: Action::fail(libc::EOPNOTSUPP),
    }
}

fn ioctl(metadata: bool, reservations: bool) -> Rule {
    const TIOCEXCL: u32 = 0x540c;
    const TIOCSTI: u32 = 0x5412;
    const TIOCLINUX: u32 = 0x541c;
    const TIOCCONS: u32 = 0x541d;
    const TIOCSETD: u32 = 0x5423;
    let mut clauses = vec![
        // Typing for the user, or pasting, on the terminal that the sandbox shares with the host; and taking that away.
        refuse(vec![is(1, TIOCSTI)]),
        refuse(vec![
            word(1, Compare::AtLeast, TIOCLINUX),
            word(1, Compare::AtMost, TIOCCONS),
        ]),
        refuse(vec![is(1, TIOCEXCL)]),
        refuse(vec![is(1, TIOCSETD)]),
        // The host's interfaces, addresses and routes: SIOCADDRT to the end of the device-private requests. They
        // include SIOCGIF* and SIOCETHTOOL; SIOCATMARK and the like lie below.
        refuse(vec![
            word(1, Compare::AtLeast, 0x890b),
            word(1, Compare::AtMost, 0x89ff),
        ]),
    ];
    if metadata {
        clauses.extend(file_system_requests());
    } else if reservations {
        // FS_IOC_RESVSP, FS_IOC_RESVSP64 and FS_IOC_ZERO_RANGE, other names of fallocate(2); above, their whole family is refused.
        clauses.extend([0x4030_5828, 0x4030_582a, 0x4030_5839].map(|request| refuse(vec![is(1, request)])));
    }
    refused_if(clauses)
}

/// Requests to file systems. Many change files, or the file system, through a descriptor that was opened for reading:
/// flags, encryption, verity, btrfs subvolumes. So of their families only those pass that are known to do no harm.
fn file_system_requests() -> Vec<Clause> {
    const HARMLESS: &[u32] = &[
        0x4004_9409, // FICLONE, whose target must be open for writing
        0x4020_940d, // FICLONERANGE
        0xc018_9436, // FIDEDUPERANGE
        0x8008_6601, // FS_IOC_GETFLAGS
        0xc020_660b, // FS_IOC_FIEMAP
        0x801c_581f, // FS_IOC_FSGETXATTR
    ];
    // The second byte of a request names its family: 'f' (ext4, fscrypt, fsverity and common flags), btrfs, 'X' (XFS and
    // common attributes), 'v' (versions), 'r' (FAT).
    const FAMILIES: &[u32] = &[0x6600, 0x9400, 0x5800, 0x7600, 0x7200];
    let harmless = HARMLESS.iter().map(|&request| permit(vec![is(1, request)]));
    let others = FAMILIES
        .iter()
        .map(|&family| refuse(vec![masked(1, 0xff00, Compare::Equal, family)]));
    harmless.chain(others).collect()
}

/// No leases: one on a file that the host opens holds the host up, and its exec too. No directory signals. No choice of
/// the signal for a descriptor that the host may have asked to be signalled about.
fn fcntl() -> Rule {
    const F_SETSIG: i32 = 10;
    refused_if(
        [libc::F_SETLEASE, libc::F_NOTIFY, F_SETSIG]
            .map(|command| refuse(vec![is(1, command.cast_unsigned())]))
            .into(),
    )
}

fn prctl() -> Rule {
    let options = [
        libc::PR_SET_DUMPABLE,
        libc::PR_SET_PTRACER,
        libc::PR_SET_SECUREBITS,
        libc::PR_SET_MM,
    ];
    refused_if(options.map(|option| refuse(vec![is(0, option.cast_unsigned())])).into())
}

/// The kernel reads the mode as 16 bits; its upper four are the type.
fn no_devices(mode: u8) -> Rule {
    let of_type = |kind| refuse(vec![masked(mode, libc::S_IFMT, Compare::Equal, kind)]);
    refused_if(vec![of_type(libc::S_IFCHR), of_type(libc::S_IFBLK)])
}

/// Tests that hold together if the argument is none of `values`.
pub(super) fn none_of(index: u8, mask: u32, values: &[i32]) -> Vec<ArgumentTest> {
    let differs = |&value: &i32| masked(index, mask, Compare::NotEqual, value.cast_unsigned());
    values.iter().map(differs).collect()
}

/// What a program needs to be executed, loaded with its libraries, and ended, beyond the group `@default`: always
/// allowed in allowlist mode.
pub const ALWAYS_ALLOWED: &[&str] = &[
    "execve",
    "exit",
    "exit_group",
    "rt_sigreturn",
    "restart_syscall",
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "read",
    "pread64",
    "close",
    "open",
    "openat",
    "access",
    "faccessat",
    "faccessat2",
    "stat",
    "fstat",
    "newfstatat",
    "statx",
    "readlink",
    "readlinkat",
    "prlimit64",
    "getrandom",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "futex",
    "riscv_hwprobe",
    "riscv_flush_icache",
];

#[cfg(test)]
mod tests {
    use super::super::arch;
    use super::*;

    #[test]
    fn every_default_rule_names_a_known_call_once() {
        let everything = Network {
            names: true,
            netlink: true,
            remaps: true,
            ..Network::CLOSED
        };
        let rules = rules(Gaps {
            metadata: Metadata::Guarded,
            network: Some(everything),
            network_rules: true,
            reservations: true,
        });
        for (index, (name, _)) in rules.iter().enumerate() {
            assert!(arch::is_known(name), "{name}");
            assert!(rules[..index].iter().all(|(other, _)| other != name), "{name}");
        }
        assert!(ALWAYS_ALLOWED.iter().all(|name| arch::is_known(name)));
    }
}
