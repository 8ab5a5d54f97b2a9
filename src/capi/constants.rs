//! Constants of the header. Each group is tested equal to the enum that it stands for.
#![allow(dead_code)] // the header is made of them

/// -------------------------------------------------------------------------------------------------------------------
/// Version
/// -------------------------------------------------------------------------------------------------------------------
///
/// The version of this header as a number: major * 1000000 + minor * 1000 + patch. The library that is running has
/// sandlock_version_number(). SANDLOCK_VERSION_STRING is the same as text.
pub const SANDLOCK_VERSION_NUMBER: u32 = 1000;

/// -------------------------------------------------------------------------------------------------------------------
/// Status
/// -------------------------------------------------------------------------------------------------------------------
///
/// What a function returns: SANDLOCK_OK or one of SANDLOCK_ERROR_*, all negative. Numbers are never reused; later releases
/// may add some, so treat an unknown negative status as a failure.
pub type sandlock_status = i32;

/// Success. The only status that is not negative.
pub const SANDLOCK_OK: sandlock_status = 0;
/// An argument is NULL, unknown, out of range, or contradicts another.
pub const SANDLOCK_ERROR_INVALID_ARGUMENT: sandlock_status = -1;
/// The call does not fit the state of its object: a program that has ended, a handle from before a fork.
pub const SANDLOCK_ERROR_STATE: sandlock_status = -2;
/// The kernel, or this version of the library, lacks something that is required.
pub const SANDLOCK_ERROR_UNSUPPORTED: sandlock_status = -3;
/// The kernel refuses the host.
pub const SANDLOCK_ERROR_PERMISSION: sandlock_status = -4;
/// A file that the policy names does not exist.
pub const SANDLOCK_ERROR_NOT_FOUND: sandlock_status = -5;
/// Any other failure of a system call in the host; sandlock_error_errno() tells which.
pub const SANDLOCK_ERROR_SYSTEM: sandlock_status = -6;
/// The child process could not be set up or confined. Its program has not run.
pub const SANDLOCK_ERROR_CHILD_SETUP: sandlock_status = -7;
/// The program could not be executed; sandlock_error_errno() is execve(2)'s.
pub const SANDLOCK_ERROR_EXEC: sandlock_status = -8;
/// Time is up and what was waited for has not happened.
pub const SANDLOCK_ERROR_TIMEOUT: sandlock_status = -9;
/// What was meant is gone: a system call whose caller has died, or whose deadline has passed.
pub const SANDLOCK_ERROR_STALE: sandlock_status = -10;
/// A buffer of the caller is too small.
pub const SANDLOCK_ERROR_BUFFER_TOO_SMALL: sandlock_status = -11;
/// Waiting here would wait forever: for a program, in the handler that it waits for.
pub const SANDLOCK_ERROR_WOULD_DEADLOCK: sandlock_status = -12;
/// A callback of the host failed. Not returned yet.
pub const SANDLOCK_ERROR_CALLBACK: sandlock_status = -13;
/// A limit of the kernel is exceeded: a filter of more than 4096 instructions.
pub const SANDLOCK_ERROR_LIMIT: sandlock_status = -14;
/// A bug in the library. Please report the message.
pub const SANDLOCK_ERROR_INTERNAL: sandlock_status = -15;

/// -------------------------------------------------------------------------------------------------------------------
/// Stage: the step in which a call failed (sandlock_error_stage)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Reading the arguments of the call.
pub const SANDLOCK_STAGE_ARGUMENTS: u32 = 1;
/// Checking the policy.
pub const SANDLOCK_STAGE_POLICY: u32 = 2;
/// Building or entering the Landlock domain.
pub const SANDLOCK_STAGE_LANDLOCK: u32 = 3;
/// Building or installing the system call filter.
pub const SANDLOCK_STAGE_SECCOMP: u32 = 4;
/// Preparing standard streams and other descriptors.
pub const SANDLOCK_STAGE_DESCRIPTORS: u32 = 5;
/// Starting the sandbox's thread or its process.
pub const SANDLOCK_STAGE_SPAWN: u32 = 6;
/// Setting up the process: session, signals, priority and the like.
pub const SANDLOCK_STAGE_PROCESS: u32 = 7;
/// Entering the working directory.
pub const SANDLOCK_STAGE_CWD: u32 = 8;
/// Setting resource limits.
pub const SANDLOCK_STAGE_LIMITS: u32 = 9;
/// Giving up privileges.
pub const SANDLOCK_STAGE_PRIVILEGES: u32 = 10;
/// Executing the program.
pub const SANDLOCK_STAGE_EXEC: u32 = 11;
/// Waiting for the process, or signalling it.
pub const SANDLOCK_STAGE_WAIT: u32 = 12;
/// Receiving, looking at or answering a system call.
pub const SANDLOCK_STAGE_SUPERVISOR: u32 = 13;
/// Making namespaces, and setting them up.
pub const SANDLOCK_STAGE_NAMESPACES: u32 = 14;
/// Resolving the host names of network rules, and preparing what decides about the network.
pub const SANDLOCK_STAGE_NETWORK: u32 = 15;

/// -------------------------------------------------------------------------------------------------------------------
/// Access: what a path rule grants (sandlock_policy_allow_path)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Read files, list directories.
pub const SANDLOCK_ACCESS_READ: u64 = 1;
/// Execute files. A dynamic program also needs READ on itself, its libraries and its loader.
pub const SANDLOCK_ACCESS_EXECUTE: u64 = 2;
/// Everything that changes: write, create, remove, rename, link, truncate, make sockets and FIFOs, ioctl(2) on devices.
/// Does not include reading, and never making device nodes.
pub const SANDLOCK_ACCESS_WRITE: u64 = 4;
/// SANDLOCK_ACCESS_READ and SANDLOCK_ACCESS_EXECUTE.
pub const SANDLOCK_ACCESS_READ_EXECUTE: u64 = 3;
/// SANDLOCK_ACCESS_READ, SANDLOCK_ACCESS_EXECUTE and SANDLOCK_ACCESS_WRITE.
pub const SANDLOCK_ACCESS_ALL: u64 = 7;
/// To be or-ed with others: the path may be missing, and then grants nothing.
pub const SANDLOCK_ACCESS_OPTIONAL: u64 = 256;

/// -------------------------------------------------------------------------------------------------------------------
/// Syscalls: what happens to a call that no rule names (sandlock_policy_set_syscall_default)
/// -------------------------------------------------------------------------------------------------------------------
///
/// It is allowed, unless the default denylist refuses it. The default. SECURITY.md lists the denylist.
pub const SANDLOCK_SYSCALLS_DENYLIST: u32 = 1;
/// It fails with EPERM, unless it is needed to execute, load and end a program.
pub const SANDLOCK_SYSCALLS_ALLOWLIST: u32 = 2;

/// -------------------------------------------------------------------------------------------------------------------
/// Limits (sandlock_policy_set_limit): for each process, as setrlimit(2) has them, or for the sandbox as a whole
/// -------------------------------------------------------------------------------------------------------------------
///
/// Each process: processor time in seconds: SIGXCPU at the limit, SIGKILL a second later.
pub const SANDLOCK_LIMIT_CPU: u32 = 1;
/// Each process: open descriptors; the highest number a program can get is one less.
pub const SANDLOCK_LIMIT_NOFILE: u32 = 2;
/// Each process: size in bytes to which a file can be written: SIGXFSZ, or EFBIG if that is ignored.
pub const SANDLOCK_LIMIT_FSIZE: u32 = 3;
/// Each process: size of a core dump in bytes. To have none, use SANDLOCK_FLAG_NO_COREDUMP.
pub const SANDLOCK_LIMIT_CORE: u32 = 4;
/// Each process: private writable memory in bytes (heap, data, anonymous mappings): ENOMEM beyond.
pub const SANDLOCK_LIMIT_DATA: u32 = 5;
/// Each process: address space in bytes, reserved or used: ENOMEM beyond. Runtimes that reserve much (JVM, Go, V8) need much.
pub const SANDLOCK_LIMIT_AS: u32 = 6;
/// Each process: stack of the main thread in bytes: SIGSEGV beyond.
pub const SANDLOCK_LIMIT_STACK: u32 = 7;
/// Each process: processes and threads that the user may have in all, in the sandbox and outside, before the program can start more:
/// EAGAIN beyond. Processes that have ended count until they are reaped. The kernel exempts user 0; a policy with this limit is refused there (see SANDLOCK_FEATURE_LIMITS).
pub const SANDLOCK_LIMIT_NPROC: u32 = 8;
/// Each process: locked memory in bytes.
pub const SANDLOCK_LIMIT_MEMLOCK: u32 = 9;
/// Sandbox: processes at a time, the program included; 64 unless the policy says otherwise. Beyond, fork(2) fails with EAGAIN. What
/// counts is who is in the sandbox: daemons too, and what has ended but was not waited for by a parent in the sandbox; threads
/// do not count. Any number of processes may run one after the other. At least 1. clone3 answers ENOSYS under such a limit, whatever
/// the policy says of it: programs then use clone. See SANDLOCK_FEATURE_PROCESSES.
pub const SANDLOCK_LIMIT_PROCESSES: u32 = 10;
/// Sandbox: threads at a time, those of all its processes together. None unless the policy sets one. Beyond, pthread_create(3) and
/// fork(2) fail with EAGAIN. With it every start of a thread is looked at, which takes it some ten microseconds longer.
pub const SANDLOCK_LIMIT_THREADS: u32 = 11;

/// Sandbox: memory in bytes that all its processes hold together, daemons too: what they use of private and shared memory, memfds, and
/// files on tmpfs beneath path rules that grant WRITE. What several share counts once. What is reserved and not used does not
/// count, nor do pages of files on disks, kernel memory, pipes and sockets. None unless the policy sets one.
///
/// The library looks at the sandbox, the more often the less is left, and kills it beyond the limit (SANDLOCK_REASON_LIMIT,
/// sandlock_result_limit(); see SANDLOCK_FLAG_MEMORY_KILLS_LARGEST). Between two looks, 5 to 100 milliseconds if it runs and up to 500 if
/// all of it sleeps, it may use more. Besides, each process has SANDLOCK_LIMIT_DATA of the limit and 256 MiB more, for reservations, so
/// that allocations that can never be used fail with ENOMEM at once; a policy that sets SANDLOCK_LIMIT_DATA itself decides that itself
/// (SANDLOCK_UNLIMITED for programs built with AddressSanitizer, which reserve terabytes). See SANDLOCK_FEATURE_MEMORY.
///
/// Where the host has been given control groups (sandlock_policy_set_cgroup()), the kernel keeps the limit instead, to the page: then
/// everything counts that the sandbox has brought into memory, in kernel memory, pipes and on any tmpfs too, each page for who touched
/// it first. Pages of files on disks count as well, but are given back before anybody is killed. There is no swap, and no
/// SANDLOCK_LIMIT_DATA. Limits below 64 MiB are always kept by looking.
pub const SANDLOCK_LIMIT_MEMORY: u32 = 12;
/// Sandbox: processor time in milliseconds that all its processes use together, those that have ended too. Beyond, the sandbox is
/// killed (SANDLOCK_REASON_LIMIT), after a warning if sandlock_policy_set_grace() asks for one. The library looks in time for the
/// limit to be kept to some ten milliseconds for each processor. A process that begins and ends between two looks, at most 100
/// milliseconds apart, counts only if somebody in the sandbox waits for it: a chain of such processes, each started by the one before, gets
/// several times the limit, and so it does of SANDLOCK_LIMIT_CPU_SHARE. SANDLOCK_LIMIT_WALL has no such gap.
pub const SANDLOCK_LIMIT_CPU_TOTAL: u32 = 13;
/// Sandbox: time in milliseconds from the start of the program, whether it runs, sleeps or is paused. Beyond, as
/// SANDLOCK_LIMIT_CPU_TOTAL. The deadline of sandlock_run() is another, with a reason of its own.
pub const SANDLOCK_LIMIT_WALL: u32 = 14;
/// Sandbox: processor time that all its processes use together, per cent of one processor: 50 is half of one, 150 one and a half;
/// as much as there is from 100 times the number of processors on. Beyond, the library stops all of it for some milliseconds at a time
/// (SIGSTOP, SIGCONT), so that the average over a second holds to a tenth, where processes live longer than some milliseconds. Who is
/// stopped for another reason stays so, and so does a paused sandbox. Programs that catch SIGCONT notice, and so do parents that
/// wait for stopped children. Who has timers of its own wake it is stopped again and pays for what it has used;
/// a sandbox that goes on like that is killed (SANDLOCK_REASON_LIMIT, read: per cent used meanwhile). Takes SANDLOCK_FEATURE_KILL_ALL.
///
/// Where the host has been given control groups (sandlock_policy_set_cgroup()), the kernel keeps the share instead, over every tenth of a
/// second, whatever the program does, and nobody is stopped.
pub const SANDLOCK_LIMIT_CPU_SHARE: u32 = 15;
/// Sandbox: bytes that are written beneath path rules that grant WRITE, as the disk is occupied: holes count for nothing, hard links once,
/// a new file or directory for 1024 at least, a file that was there before for what it has grown by, deleted files while somebody has
/// them open or mapped; what others write there counts too. Room made by deleting what was there before is not given back. Beyond, the
/// sandbox is killed (SANDLOCK_REASON_LIMIT, sandlock_result_limit()); what it has written stays. The library looks 5 to 100
/// milliseconds apart, the more often the less is left. It may be exceeded by what can be written in that time and in the time of one
/// walk through the trees, about a second for a million files; in trees that large by what can be written in 50 such times if others free
/// as much of the disk meanwhile, or if the file system tells late what is taken (btrfs). If a program ends with too much, the reason is
/// LIMIT too. No file can become larger than the limit (RLIMIT_FSIZE: SIGXFSZ, for which the reason is LIMIT if it ends the program, or
/// EFBIG), nor than SANDLOCK_LIMIT_FSIZE; that holds for memory files and inherited streams as well. fallocate(2) does not
/// reserve space then, but fails with EOPNOTSUPP, unless a rule allows it by name; posix_fallocate(3) writes instead. In trees of more
/// than some hundred files, one that is changed in the first moments of the run may count whole. In a mount namespace whatever is mounted
/// to be written to counts, file systems in memory do not, and path rules that grant WRITE may have neither ".." nor, if something is
/// mounted, symbolic links in them (the spawn fails). See SANDLOCK_FEATURE_DISK.
pub const SANDLOCK_LIMIT_DISK: u32 = 16;

/// As the value of a limit of the sandbox as a whole: no limit.
pub const SANDLOCK_UNLIMITED: u64 = u64::MAX;

/// -------------------------------------------------------------------------------------------------------------------
/// Flags (sandlock_policy_set_flag), all off in a new policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// A fixed address space layout, for runs that must repeat exactly. Weakens the program against its own bugs.
pub const SANDLOCK_FLAG_NO_ASLR: u32 = 1;
/// No core dumps: neither files nor those that the host's core handler would collect.
pub const SANDLOCK_FLAG_NO_COREDUMP: u32 = 2;
/// No transparent huge pages. Starting then copies the host's page tables, so that it takes longer in a large host. Not to be had
/// together with PID and mount namespaces, whose features then are unavailable.
pub const SANDLOCK_FLAG_NO_HUGE_PAGES: u32 = 3;
/// For sandlock_confine_self() alone: reach every thread of the process, or fail.
pub const SANDLOCK_FLAG_ALL_THREADS: u32 = 4;
/// Nothing but what the kernel enforces by itself: no call of the program is ever put before the library. Then there is no limit of
/// processes, metadata of files cannot be changed at all, and handlers are refused. For hosts that are supervised by somebody else
/// (a process can have one listener only), and kernels before Linux 5.5.
pub const SANDLOCK_FLAG_NO_SUPERVISOR: u32 = 5;
/// The sandbox ends with the last of its processes, and not with the program: what it has started may finish. The result is the
/// program's. A deadline and sandlock_process_kill() end all of it, as ever.
pub const SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS: u32 = 6;
/// Beyond SANDLOCK_LIMIT_MEMORY the process that holds most is killed instead of the sandbox, and the next one if that was not enough. If
/// it is the program, that is how the sandbox ends (LIMIT), as ever; with WAIT_FOR_DESCENDANTS the others may finish first.
/// Takes SANDLOCK_FEATURE_KILL_ALL; where that cannot be had, the sandbox is killed.
/// Where a control group holds the limit, the kernel chooses, and a process can have itself preferred (/proc/PID/oom_score_adj).
pub const SANDLOCK_FLAG_MEMORY_KILLS_LARGEST: u32 = 7;
/// A captured stream that gives more than its cap ends the sandbox, for SANDLOCK_REASON_LIMIT. Without it the rest is read, dropped and
/// counted. A program that ends by itself before that is noticed keeps its exit code.
pub const SANDLOCK_FLAG_OUTPUT_KILLS: u32 = 8;
/// The network rules of a running sandbox can be changed, by sandlock_process_update_net(). So the library looks at every connection and
/// datagram that rules allow, those too that Landlock would decide about alone or nobody would: connect(2) takes some microseconds more.
pub const SANDLOCK_FLAG_NET_UPDATES: u32 = 9;
/// Ports are numbers of the sandbox's own, so that several sandboxes can all bind to 8080. What a program binds to stands for a free port
/// of the host, above the privileged ones, so it may bind to 80 too; sandlock_process_ports() tells which. All else is in the program's
/// numbers: rules, what getsockname(2) tells, and what it connects or sends to if a socket of its sandbox has that port at that address
/// (for a socket that takes any address: at any of this host). Every other destination is what it is without the flag. A port stands for
/// the same one again after a restart in the sandbox, if nobody else has that now.
///
/// Peers that are of the sandbox are told by its numbers, too, by getpeername(2) and accept(2); but the sender of a datagram, as
/// recvfrom(2) tells it, by the host's. Who must be reached at a fixed port of the host (a server of DHCP, whoever takes part in
/// multicast) must do without the flag. /proc/net shows the host's numbers. A connection is lost if the program has no descriptor left for
/// it. 4096 sockets can be bound at a time. Calls that bind and connect take some ten microseconds more, waiting for a connection some
/// hundred. Linux 5.9. Not to be had where SANDLOCK_FEATURE_NETWORK is disabled, nor where pidfd_getfd(2) is refused, as in some
/// containers; it takes one descriptor of the host for each sandbox.
pub const SANDLOCK_FLAG_PORT_REMAP: u32 = 10;

/// -------------------------------------------------------------------------------------------------------------------
/// Namespaces: what the program has for itself (sandlock_policy_set_namespace), all off in a new policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// System V IPC and POSIX message queues: none but its own. The default denylist refuses them anyway; this is for policies that
/// allow them (SANDLOCK_FEATURE_NS_IPC).
pub const SANDLOCK_NAMESPACE_IPC: u32 = 1;
/// The host name, which is "sandbox" there (SANDLOCK_FEATURE_NS_UTS).
pub const SANDLOCK_NAMESPACE_UTS: u32 = 2;
/// The network: no interface but a loopback one of its own, no port, no abstract Unix socket of others (SANDLOCK_FEATURE_NS_NET).
/// SANDLOCK_FEATURE_NETWORK still refuses TCP; disable it, and allow "socket" and "listen", for a program that talks to itself.
pub const SANDLOCK_NAMESPACE_NET: u32 = 3;
/// Process ids: those of the program and what it starts are their own, and no process outside has one there, so that none can be
/// signalled or traced. Their first process is a small init of the library's; when it ends, they all do. The host knows them by other ids,
/// which are those that the library tells it. /proc shows the host's processes as long as SANDLOCK_NAMESPACE_MOUNT does not give the
/// program another. Linux 3.8 (SANDLOCK_FEATURE_NS_PID).
pub const SANDLOCK_NAMESPACE_PID: u32 = 4;
/// The tree of files: a /proc that shows the sandbox's processes only, and what sandlock_policy_set_root(), sandlock_policy_add_mount() and
/// sandlock_policy_add_memory_mount() say, each of which asks for it too. Takes a PID namespace. Linux 5.12 (SANDLOCK_FEATURE_NS_MOUNT).
pub const SANDLOCK_NAMESPACE_MOUNT: u32 = 5;

/// -------------------------------------------------------------------------------------------------------------------
/// Mounts: how something is mounted for the program (sandlock_policy_add_mount)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The mount does not keep the program from writing. Path rules must grant it, and the host's user be permitted to.
pub const SANDLOCK_MOUNT_WRITE: u64 = 1;

/// -------------------------------------------------------------------------------------------------------------------
/// Strictness: what happens where a feature cannot be enforced (sandlock_policy_set_strictness)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Spawning fails. The default for every feature.
pub const SANDLOCK_REQUIRE: u32 = 1;
/// The program runs without it, and the report says so.
pub const SANDLOCK_BEST_EFFORT: u32 = 2;
/// It is not asked for.
pub const SANDLOCK_DISABLE: u32 = 3;

/// -------------------------------------------------------------------------------------------------------------------
/// Features: what can be required, and what the report has rows for
/// -------------------------------------------------------------------------------------------------------------------
///
/// Stands for every feature in sandlock_policy_set_strictness().
pub const SANDLOCK_FEATURE_ALL: u32 = 0;
/// File access by path rules. Landlock ABI 1, Linux 5.13. Disabling it disables the three that follow.
pub const SANDLOCK_FEATURE_FILES: u32 = 1;
/// Moving and linking files between directories is decided by the rules; without it the kernel refuses all of it. Landlock
/// ABI 2, Linux 5.19.
pub const SANDLOCK_FEATURE_FILES_REFER: u32 = 2;
/// truncate(2) is decided by the rules. Landlock ABI 3, Linux 6.2.
pub const SANDLOCK_FEATURE_FILES_TRUNCATE: u32 = 3;
/// ioctl(2) on device files is decided by the rules. Landlock ABI 5, Linux 6.10.
pub const SANDLOCK_FEATURE_FILES_IOCTL_DEV: u32 = 4;
/// Modes, owners, times and extended attributes of files can be changed only beneath path rules that grant WRITE (EACCES elsewhere);
/// flags of files not at all. Landlock does not govern them, so the library looks at each such call and carries it out itself, with
/// the rights of a process without capabilities. Where it cannot, because of SANDLOCK_FLAG_NO_SUPERVISOR or in
/// sandlock_confine_self(), they are refused altogether (EPERM), unless "/" is writable by a rule. seccomp, Linux 5.5. Disabling
/// SANDLOCK_FEATURE_SYSCALLS disables it.
pub const SANDLOCK_FEATURE_FILES_METADATA: u32 = 5;
/// No network but what network rules allow (sandlock_policy_allow_net(), sandlock_policy_allow_bind()), which say what enforces it. Without
/// rules no TCP connection and no TCP server: Landlock ABI 4, Linux 6.7, and the system call filter, which refuses every other socket.
pub const SANDLOCK_FEATURE_NETWORK: u32 = 6;
/// No signals to processes outside the sandbox. Landlock ABI 6, Linux 6.12.
pub const SANDLOCK_FEATURE_SIGNAL_SCOPE: u32 = 7;
/// No connection to abstract Unix sockets made outside the sandbox. Landlock ABI 6, Linux 6.12.
pub const SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE: u32 = 8;
/// The system call filter. seccomp, Linux 4.14.
pub const SANDLOCK_FEATURE_SYSCALLS: u32 = 9;
/// Set-user-ID programs and file capabilities grant nothing. A host without CAP_SYS_ADMIN cannot do without it: the kernel
/// lets it confine nothing else then.
pub const SANDLOCK_FEATURE_NO_NEW_PRIVS: u32 = 10;
/// The program has no capabilities, whatever the host has.
pub const SANDLOCK_FEATURE_CAPABILITIES: u32 = 11;
/// The program has the descriptors that the options name and no others. Linux 5.11.
pub const SANDLOCK_FEATURE_DESCRIPTORS: u32 = 12;
/// A session of its own; a process group of its own if the program inherits, or is given, the host's controlling terminal.
pub const SANDLOCK_FEATURE_SESSION: u32 = 13;
/// The program is killed when the host dies. A hostile program can switch it off for itself (see SECURITY.md).
pub const SANDLOCK_FEATURE_PARENT_DEATH: u32 = 14;
/// Ending the sandbox reaches all its processes, daemons too. Landlock ABI 6, Linux 6.12; below, its process group.
pub const SANDLOCK_FEATURE_KILL_ALL: u32 = 15;
/// The limits of the policy.
pub const SANDLOCK_FEATURE_LIMITS: u32 = 16;
/// SANDLOCK_FLAG_NO_COREDUMP.
pub const SANDLOCK_FEATURE_NO_COREDUMP: u32 = 17;
/// SANDLOCK_FLAG_NO_ASLR.
pub const SANDLOCK_FEATURE_NO_ASLR: u32 = 18;
/// SANDLOCK_FLAG_NO_HUGE_PAGES.
pub const SANDLOCK_FEATURE_NO_HUGE_PAGES: u32 = 19;
/// Handlers of a supervisor look at system calls. Linux 5.5; not asked for without a supervisor.
pub const SANDLOCK_FEATURE_SUPERVISOR: u32 = 20;
/// SANDLOCK_LIMIT_PROCESSES and SANDLOCK_LIMIT_THREADS. Landlock ABI 6, Linux 6.12, whose scopes tell who is in the sandbox. It rests
/// on SANDLOCK_FEATURE_KILL_ALL: where that is disabled, or SANDLOCK_FLAG_NO_SUPERVISOR set, the default limit falls away, and
/// one that the policy sets is refused.
pub const SANDLOCK_FEATURE_PROCESSES: u32 = 21;
/// A user namespace: what sandlock_policy_set_user() and every other namespace take. Not to be had where the host forbids it:
/// inside most containers, under kernel.apparmor_restrict_unprivileged_userns (Ubuntu), with user.max_user_namespaces at 0. Disabling it
/// disables all other namespaces.
pub const SANDLOCK_FEATURE_NS_USER: u32 = 22;
/// SANDLOCK_NAMESPACE_IPC.
pub const SANDLOCK_FEATURE_NS_IPC: u32 = 23;
/// SANDLOCK_NAMESPACE_UTS.
pub const SANDLOCK_FEATURE_NS_UTS: u32 = 24;
/// SANDLOCK_NAMESPACE_NET.
pub const SANDLOCK_FEATURE_NS_NET: u32 = 25;
/// SANDLOCK_LIMIT_MEMORY. Landlock ABI 6, Linux 6.12, whose scopes tell who is in the sandbox; below, or where SANDLOCK_FEATURE_KILL_ALL is
/// disabled, daemons are not seen (DEGRADED). It takes a /proc that shows every process. A control group takes neither; the report
/// says which of the two keeps the limit. Not asked for unless the policy sets that limit.
pub const SANDLOCK_FEATURE_MEMORY: u32 = 26;
/// SANDLOCK_NAMESPACE_PID. Asked for by everything that asks for SANDLOCK_FEATURE_NS_MOUNT too, and disabling it disables that.
pub const SANDLOCK_FEATURE_NS_PID: u32 = 27;
/// SANDLOCK_NAMESPACE_MOUNT, and what sandlock_policy_set_root() and mounts ask for. Where it is disabled or, under BEST_EFFORT, cannot be
/// had, the program sees the host's tree, and path rules name what lies there.
pub const SANDLOCK_FEATURE_NS_MOUNT: u32 = 28;
/// SANDLOCK_LIMIT_DISK. Landlock ABI 6, Linux 6.12; below, or where SANDLOCK_FEATURE_KILL_ALL is disabled, deleted files that daemons have
/// open are not seen; none are where /proc does not show every process; without SANDLOCK_FEATURE_FILES nothing but the trees of path
/// rules is looked at; in sandlock_confine_self() there is no total (each DEGRADED). Not asked for unless the policy sets that limit.
pub const SANDLOCK_FEATURE_DISK: u32 = 29;

/// -------------------------------------------------------------------------------------------------------------------
/// Events: what an observer is told of (sandlock_supervisor_observe), to be or-ed together
/// -------------------------------------------------------------------------------------------------------------------
///
/// A program is about to be executed: path and arguments, as the program has said them. Whether it works is not told; who looks for a
/// program along PATH, as execvp(3) does, tells one of these for each directory.
pub const SANDLOCK_EVENT_EXEC: u64 = 1;
/// A process is about to be started by another.
pub const SANDLOCK_EVENT_FORK: u64 = 2;
/// A process has ended: its exit code, or the signal.
pub const SANDLOCK_EVENT_EXIT: u64 = 4;
/// The library has denied a call that it serves itself: errno, and the rule in the text.
pub const SANDLOCK_EVENT_DENIED: u64 = 8;
/// A limit of the sandbox was hit: which, in the text.
pub const SANDLOCK_EVENT_LIMIT: u64 = 16;
/// A handler failed, gave no answer or took too long, and its call was denied.
pub const SANDLOCK_EVENT_HANDLER_FAILED: u64 = 32;
/// Trace: the kernel is about to refuse a call, by path rules or the filter, because the policy has no rule that would permit it;
/// which rule would, in the text. sandlock_trace_suggest() gathers them. Has all calls looked at that name files or that the filter
/// refuses: for finding out what a program needs, not for every day.
pub const SANDLOCK_EVENT_MISSING: u64 = 64;
/// All of them.
pub const SANDLOCK_EVENT_ALL: u64 = 127;

/// -------------------------------------------------------------------------------------------------------------------
/// Protocol: of a port (sandlock_port)
/// -------------------------------------------------------------------------------------------------------------------
///
/// TCP.
pub const SANDLOCK_PROTOCOL_TCP: u32 = 1;
/// UDP.
pub const SANDLOCK_PROTOCOL_UDP: u32 = 2;

/// -------------------------------------------------------------------------------------------------------------------
/// State: what became of a feature (sandlock_report_entry)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The kernel enforces it.
pub const SANDLOCK_STATE_ENFORCED: u32 = 1;
/// The kernel enforces part of it, or does so by a lesser mechanism; or the policy itself allows by name a call that gets around it, which
/// the detail names.
pub const SANDLOCK_STATE_DEGRADED: u32 = 2;
/// The policy disables it.
pub const SANDLOCK_STATE_WAIVED: u32 = 3;
/// It was asked for as best effort and cannot be had.
pub const SANDLOCK_STATE_UNAVAILABLE: u32 = 4;
/// Nothing in the policy asks for it.
pub const SANDLOCK_STATE_NOT_REQUESTED: u32 = 5;

/// -------------------------------------------------------------------------------------------------------------------
/// Level: the report in one word (sandlock_report_level)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Every feature is ENFORCED or NOT_REQUESTED.
pub const SANDLOCK_LEVEL_FULL: u32 = 1;
/// Some feature is DEGRADED, WAIVED or UNAVAILABLE.
pub const SANDLOCK_LEVEL_PARTIAL: u32 = 2;
/// No feature is ENFORCED or DEGRADED.
pub const SANDLOCK_LEVEL_NONE: u32 = 3;

/// -------------------------------------------------------------------------------------------------------------------
/// Stdio: where a standard stream comes from or goes to (sandlock_spawn_options)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The host's own. If the host has closed it, /dev/null.
pub const SANDLOCK_STDIO_INHERIT: u32 = 0;
/// /dev/null.
pub const SANDLOCK_STDIO_NULL: u32 = 1;
/// A pipe, whose other end sandlock_process_take_stdio() gives.
pub const SANDLOCK_STDIO_PIPE: u32 = 2;
/// Memory; the result holds it. For stdout and stderr.
pub const SANDLOCK_STDIO_CAPTURE: u32 = 3;
/// The descriptor named beside the mode.
pub const SANDLOCK_STDIO_FD: u32 = 4;
/// A terminal of the program's own (a pseudo-terminal), one for all streams with this mode: the controlling terminal of the session that the
/// program leads, whatever the policy says of SANDLOCK_FEATURE_SESSION. Job control, window sizes and the keys that send signals work
/// as in any terminal. sandlock_process_take_pty() gives the host's end. Other streams and descriptors may lead elsewhere, but not
/// to the host's controlling terminal. Linux 4.13.
pub const SANDLOCK_STDIO_PTY: u32 = 5;

/// -------------------------------------------------------------------------------------------------------------------
/// Reason: why a sandbox ended (sandlock_result_reason)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The program exited.
pub const SANDLOCK_REASON_EXITED: u32 = 1;
/// A signal that the library did not send ended the program.
pub const SANDLOCK_REASON_SIGNALED: u32 = 2;
/// The time given to sandlock_run() passed, and the sandbox was killed.
pub const SANDLOCK_REASON_TIMEOUT: u32 = 3;
/// A limit that the library watches was exceeded: one that sandlock_result_limit() names, or if that says 0, captured output beyond
/// its cap. The program may have exited by itself.
pub const SANDLOCK_REASON_LIMIT: u32 = 4;
/// sandlock_process_kill() ended it.
pub const SANDLOCK_REASON_KILLED: u32 = 5;
/// It ended, but somebody else in the host took the exit status (waitpid(-1), ignored SIGCHLD) and the kernel no longer
/// knows it. From Linux 6.15 on the kernel does.
pub const SANDLOCK_REASON_LOST: u32 = 6;

/// -------------------------------------------------------------------------------------------------------------------
/// Usage flags (sandlock_usage)
/// -------------------------------------------------------------------------------------------------------------------
///
/// peak_rss is an upper bound only: a program starts in the host's memory, whose size the kernel counts as its own, and it
/// never used more than the host.
pub const SANDLOCK_USAGE_PEAK_RSS_IS_BOUND: u64 = 1;

/// -------------------------------------------------------------------------------------------------------------------
/// Supervision: what handlers return, how descriptors are given, what a log tells
/// -------------------------------------------------------------------------------------------------------------------
///
/// The handler has answered the call or put it off.
pub const SANDLOCK_HANDLER_DONE: i32 = 0;
/// The handler leaves the call to the next one; a call that all leave runs.
pub const SANDLOCK_HANDLER_PASS: i32 = 1;
/// The descriptor stays open when the program executes another. Without it the descriptor is close-on-exec.
pub const SANDLOCK_FD_KEEP_ON_EXEC: u64 = 1;
/// Something does not work.
pub const SANDLOCK_LOG_ERROR: u32 = 1;
/// Something is hardly as it was meant.
pub const SANDLOCK_LOG_WARNING: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Stage};
    use crate::feature::{Feature, State, Strictness};
    use crate::policy::{Access, Flag, Limit, Namespace, SyscallMode};
    use crate::process::Reason;
    use crate::report::Level;

    /// Asserts that the constants are all values of the enum, in order.
    macro_rules! assert_numbers {
        ($type:ty: $($constant:expr),* $(,)?) => {
            let constants = vec![$($constant),*];
            let numbers: Vec<u32> = <$type>::ALL.iter().map(|value| value.number()).collect();
            assert_eq!(constants, numbers, stringify!($type));
        };
    }

    #[test]
    fn status_constants_are_the_negated_kinds() {
        let constants = [
            SANDLOCK_ERROR_INVALID_ARGUMENT,
            SANDLOCK_ERROR_STATE,
            SANDLOCK_ERROR_UNSUPPORTED,
            SANDLOCK_ERROR_PERMISSION,
            SANDLOCK_ERROR_NOT_FOUND,
            SANDLOCK_ERROR_SYSTEM,
            SANDLOCK_ERROR_CHILD_SETUP,
            SANDLOCK_ERROR_EXEC,
            SANDLOCK_ERROR_TIMEOUT,
            SANDLOCK_ERROR_STALE,
            SANDLOCK_ERROR_BUFFER_TOO_SMALL,
            SANDLOCK_ERROR_WOULD_DEADLOCK,
            SANDLOCK_ERROR_CALLBACK,
            SANDLOCK_ERROR_LIMIT,
            SANDLOCK_ERROR_INTERNAL,
        ];
        let numbers: Vec<i32> = ErrorKind::ALL
            .iter()
            .map(|&kind| super::super::error::status_of(kind))
            .collect();
        assert_eq!(constants.as_slice(), numbers);
    }

    #[test]
    fn constants_are_the_numbers_of_their_enums() {
        assert_numbers!(Stage:
            SANDLOCK_STAGE_ARGUMENTS, SANDLOCK_STAGE_POLICY, SANDLOCK_STAGE_LANDLOCK, SANDLOCK_STAGE_SECCOMP,
            SANDLOCK_STAGE_DESCRIPTORS, SANDLOCK_STAGE_SPAWN, SANDLOCK_STAGE_PROCESS, SANDLOCK_STAGE_CWD,
            SANDLOCK_STAGE_LIMITS, SANDLOCK_STAGE_PRIVILEGES, SANDLOCK_STAGE_EXEC, SANDLOCK_STAGE_WAIT, SANDLOCK_STAGE_SUPERVISOR,
            SANDLOCK_STAGE_NAMESPACES, SANDLOCK_STAGE_NETWORK);
        assert_numbers!(SyscallMode: SANDLOCK_SYSCALLS_DENYLIST, SANDLOCK_SYSCALLS_ALLOWLIST);
        assert_numbers!(Limit:
            SANDLOCK_LIMIT_CPU, SANDLOCK_LIMIT_NOFILE, SANDLOCK_LIMIT_FSIZE, SANDLOCK_LIMIT_CORE, SANDLOCK_LIMIT_DATA,
            SANDLOCK_LIMIT_AS, SANDLOCK_LIMIT_STACK, SANDLOCK_LIMIT_NPROC, SANDLOCK_LIMIT_MEMLOCK,
            SANDLOCK_LIMIT_PROCESSES, SANDLOCK_LIMIT_THREADS, SANDLOCK_LIMIT_MEMORY, SANDLOCK_LIMIT_CPU_TOTAL,
            SANDLOCK_LIMIT_WALL, SANDLOCK_LIMIT_CPU_SHARE, SANDLOCK_LIMIT_DISK);
        assert_eq!(SANDLOCK_UNLIMITED, crate::policy::UNLIMITED);
        assert_numbers!(Flag:
            SANDLOCK_FLAG_NO_ASLR, SANDLOCK_FLAG_NO_COREDUMP, SANDLOCK_FLAG_NO_HUGE_PAGES, SANDLOCK_FLAG_ALL_THREADS,
            SANDLOCK_FLAG_NO_SUPERVISOR, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, SANDLOCK_FLAG_MEMORY_KILLS_LARGEST,
            SANDLOCK_FLAG_OUTPUT_KILLS, SANDLOCK_FLAG_NET_UPDATES, SANDLOCK_FLAG_PORT_REMAP);
        assert_numbers!(Strictness: SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT, SANDLOCK_DISABLE);
        assert_numbers!(Feature:
            SANDLOCK_FEATURE_FILES, SANDLOCK_FEATURE_FILES_REFER, SANDLOCK_FEATURE_FILES_TRUNCATE,
            SANDLOCK_FEATURE_FILES_IOCTL_DEV, SANDLOCK_FEATURE_FILES_METADATA, SANDLOCK_FEATURE_NETWORK,
            SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE, SANDLOCK_FEATURE_SYSCALLS,
            SANDLOCK_FEATURE_NO_NEW_PRIVS, SANDLOCK_FEATURE_CAPABILITIES, SANDLOCK_FEATURE_DESCRIPTORS,
            SANDLOCK_FEATURE_SESSION, SANDLOCK_FEATURE_PARENT_DEATH, SANDLOCK_FEATURE_KILL_ALL,
            SANDLOCK_FEATURE_LIMITS, SANDLOCK_FEATURE_NO_COREDUMP, SANDLOCK_FEATURE_NO_ASLR,
            SANDLOCK_FEATURE_NO_HUGE_PAGES, SANDLOCK_FEATURE_SUPERVISOR, SANDLOCK_FEATURE_PROCESSES,
            SANDLOCK_FEATURE_NS_USER, SANDLOCK_FEATURE_NS_IPC, SANDLOCK_FEATURE_NS_UTS, SANDLOCK_FEATURE_NS_NET,
            SANDLOCK_FEATURE_MEMORY, SANDLOCK_FEATURE_NS_PID, SANDLOCK_FEATURE_NS_MOUNT, SANDLOCK_FEATURE_DISK);
        assert_numbers!(Namespace:
            SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_NET, SANDLOCK_NAMESPACE_PID,
            SANDLOCK_NAMESPACE_MOUNT);
        assert_numbers!(State:
            SANDLOCK_STATE_ENFORCED, SANDLOCK_STATE_DEGRADED, SANDLOCK_STATE_WAIVED, SANDLOCK_STATE_UNAVAILABLE,
            SANDLOCK_STATE_NOT_REQUESTED);
        assert_numbers!(Level: SANDLOCK_LEVEL_FULL, SANDLOCK_LEVEL_PARTIAL, SANDLOCK_LEVEL_NONE);
        assert_numbers!(Reason:
            SANDLOCK_REASON_EXITED, SANDLOCK_REASON_SIGNALED, SANDLOCK_REASON_TIMEOUT, SANDLOCK_REASON_LIMIT,
            SANDLOCK_REASON_KILLED, SANDLOCK_REASON_LOST);
        let access = [
            SANDLOCK_ACCESS_READ,
            SANDLOCK_ACCESS_EXECUTE,
            SANDLOCK_ACCESS_WRITE,
            SANDLOCK_ACCESS_OPTIONAL,
        ];
        assert_eq!(access, [Access::READ, Access::EXECUTE, Access::WRITE, Access::OPTIONAL]);
        assert_eq!(SANDLOCK_ACCESS_READ_EXECUTE, Access::READ | Access::EXECUTE);
        assert_eq!(SANDLOCK_ACCESS_ALL, Access::READ | Access::EXECUTE | Access::WRITE);
    }
}
