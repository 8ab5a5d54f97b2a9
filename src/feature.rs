//! The vocabulary that policy and report share: the protections, how strictly each is asked for, what became of it.
//!
//! A [`Feature`] that the policy requires and this kernel lacks fails the spawn with a reason. One that is asked for as best effort is
//! left out then, and the report says so:
//!
//! ```
//! use sandlock::feature::{Feature, State, Strictness};
//! use sandlock::{Access, Policy, Sandbox, SpawnOptions};
//!
//! let mut policy = Policy::new();
//! policy.allow_path("/usr", Access::READ_EXECUTE)?;
//! policy.set_all_strictness(Strictness::BestEffort).set_strictness(Feature::Files, Strictness::Require);
//! policy.set_strictness(Feature::ParentDeath, Strictness::Disable);
//!
//! let process = Sandbox::new(policy).spawn(None, ["true"], SpawnOptions::default())?;
//! let state = |feature| process.report().row(feature).map(|row| row.state);
//! assert_eq!(state(Feature::Files), Some(State::Enforced));
//! assert_eq!(state(Feature::ParentDeath), Some(State::Waived));
//! assert_eq!(state(Feature::NoAslr), Some(State::NotRequested));
//! # Ok::<(), sandlock::Error>(())
//! ```

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$item_doc])* $item = $number,)* }

        impl $name {
            /// Every value, in numeric order.
            pub const ALL: &'static [Self] = &[$(Self::$item,)*];

            /// The value with this number in the C API.
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$item),)*
                    _ => None,
                }
            }

            /// Its number in the C API.
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// Its name in reports and messages.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$item => $text,)* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.pad(self.name())
            }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// A protection that can be asked for, and that has a row in the report. Each says what enforces it, and from which kernel on.
    #[non_exhaustive]
    Feature {
        /// File access by path rules (Landlock ABI 1, Linux 5.13). Disabling it disables the three that follow.
        Files = 1, "files";
        /// Moving and linking files between directories is governed by the rules (ABI 2, 5.19); without it the kernel refuses all of it.
        FilesRefer = 2, "files-refer";
        /// truncate(2) is governed by the rules (ABI 3, 6.2).
        FilesTruncate = 3, "files-truncate";
        /// ioctl(2) on device files is governed by the rules (ABI 5, 6.10).
        FilesIoctlDev = 4, "files-ioctl-dev";
        /// Modes, owners, times and extended attributes of files are changed only beneath path rules that grant WRITE, flags of files not
        /// at all: Landlock does not govern them, so the library carries such calls out itself (seccomp, 5.5). Where it cannot, they are
        /// refused altogether. Disabling [`Feature::Syscalls`] disables it.
        FilesMetadata = 5, "files-metadata";
        /// No network but what the policy's rules allow: TCP by port (ABI 4, 6.7), all else by the library (5.6).
        Network = 6, "network";
        /// No signals to processes outside (ABI 6, 6.12).
        SignalScope = 7, "signal-scope";
        /// No connection to abstract Unix sockets made outside (ABI 6, 6.12).
        AbstractUnixScope = 8, "abstract-unix-scope";
        /// The system call filter (seccomp-bpf, 4.14).
        Syscalls = 9, "syscalls";
        /// no_new_privs (prctl(2)): set-user-ID programs and file capabilities grant nothing. A host without CAP_SYS_ADMIN cannot do without
        /// it: the kernel lets it confine nothing else then.
        NoNewPrivs = 10, "no-new-privs";
        /// All capabilities are given up; changes nothing for a host that has none.
        Capabilities = 11, "capabilities";
        /// Descriptors that were not named are closed (close_range(2), 5.11).
        Descriptors = 12, "descriptors";
        /// A session of its own; a process group of its own if the program has the host's controlling terminal.
        Session = 13, "session";
        /// The program is killed when the host dies. A hostile program can switch it off for itself.
        ParentDeath = 14, "parent-death";
        /// Ending the sandbox reaches every process in it, daemons too (ABI 6, 6.12, or a PID namespace); below, its process group.
        KillAll = 15, "kill-all";
        /// The limits of the policy that have no feature of their own.
        Limits = 16, "limits";
        /// No core dumps.
        NoCoredump = 17, "no-coredump";
        /// A fixed address space layout.
        NoAslr = 18, "no-aslr";
        /// No transparent huge pages.
        NoHugePages = 19, "no-huge-pages";
        /// Handlers look at system calls (seccomp_unotify(2), 5.5). Not asked for without a supervisor.
        Supervisor = 20, "supervisor";
        /// No more processes and threads in the sandbox than the policy says (seccomp notification and ABI 6, 6.12).
        Processes = 21, "processes";
        /// A user namespace: the program goes by another user and group id, and other namespaces can be had. Not to be had in most
        /// containers, nor where AppArmor or a sysctl forbids it. Disabling it disables all other namespaces.
        NsUser = 22, "ns-user";
        /// A namespace of its own for System V IPC and POSIX message queues.
        NsIpc = 23, "ns-ipc";
        /// A namespace of its own for the host name.
        NsUts = 24, "ns-uts";
        /// A network namespace of its own, with nothing but a loopback interface.
        NsNet = 25, "ns-net";
        /// No more memory in the sandbox as a whole than the policy says (RLIMIT_DATA, and the warden's reading of /proc).
        Memory = 26, "memory";
        /// A PID namespace of its own: the program sees, signals and traces no process outside, and ending its first process,
        /// a small init of the library's, ends them all.
        NsPid = 27, "ns-pid";
        /// A mount namespace of its own, with a /proc that shows the sandbox's processes only, and the root and mounts that
        /// the policy names.
        NsMount = 28, "ns-mount";
        /// No more bytes beneath path rules that grant WRITE than the policy says (RLIMIT_FSIZE, and readings of those trees).
        Disk = 29, "disk";
    }
}

numbered! {
    /// What happens where a feature cannot be enforced.
    Strictness {
        /// Spawning fails. The default.
        Require = 1, "require";
        /// The program runs, and the report says so.
        BestEffort = 2, "best-effort";
        /// It is not asked for at all.
        Disable = 3, "disable";
    }
}

numbered! {
    /// What became of a feature.
    #[non_exhaustive]
    State {
        /// The kernel enforces it.
        Enforced = 1, "enforced";
        /// The kernel enforces part of it, or does so by a lesser mechanism.
        Degraded = 2, "degraded";
        /// The policy disables it.
        Waived = 3, "waived";
        /// It was asked for as best effort, and cannot be had here.
        Unavailable = 4, "unavailable";
        /// Nothing in the policy asks for it.
        NotRequested = 5, "not-requested";
    }
}

impl Feature {
    /// True for a feature that nothing asks for until a flag or a setting of the policy does.
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Limits
                | Self::NoCoredump
                | Self::NoAslr
                | Self::NoHugePages
                | Self::Supervisor
                | Self::NsUser
                | Self::NsIpc
                | Self::NsUts
                | Self::NsNet
                | Self::Memory
                | Self::NsPid
                | Self::NsMount
                | Self::Disk
        )
    }
}
