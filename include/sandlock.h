/* libsandlock: unprivileged process sandboxing on Linux.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * This header is the manual. It is generated from the library's source; changes are made there.
 *
 * ===================================================================================================================
 * Conventions
 * ===================================================================================================================
 *
 * Names        Functions are sandlock_<noun>_<verb>, types sandlock_<noun>, constants SANDLOCK_<GROUP>_<NAME>. Arguments
 *              come in the order: handle, inputs, outputs (..._out or out), error.
 *
 * Status       Every function that can fail returns a sandlock_status: SANDLOCK_OK is 0, failures are negative. A function
 *              that only answers a question returns the answer, and for a NULL handle the answer stated with it.
 *
 * Error        The last parameter of a function that can fail is sandlock_error **error. It may be NULL. Otherwise *error is
 *              set to NULL on entry, and on failure to an error that the caller owns: status, stage, errno and a one-line
 *              message. There is no "last error" kept per thread, so a language runtime may move between threads.
 *
 * Outputs      are written only on success.
 *
 * Inputs       are borrowed for the call and copied. A pointer that must not be NULL and is gives INVALID_ARGUMENT, never a
 *              crash. Unknown flag bits and enum values are refused. Enums come in as uint32_t, flags as uint64_t. Strings are
 *              NUL-terminated bytes; paths and arguments need not be UTF-8. An array is a pointer and a length, and (NULL, 0)
 *              is an empty one, unless it says that it ends with NULL.
 *
 * Handles      are opaque pointers. Each has a _free function, for which NULL is nothing to do. They may be freed in any order:
 *              a process does not need its policy any more, a report does not need its process. C's free() is never
 *              needed.
 *
 * Structures   start with their size, so that they can grow. Initialise them with their _INIT macro or _init function. A
 *              library that is newer than the program fills in what is missing; one that is older refuses members it does not
 *              know, unless they are zero.
 *
 * Threads      policy: one thread at a time, but functions that take a const policy may run at the same time. process: any
 *              thread, concurrently, but for its _free; so are supervisor and pending. notification: the thread that was
 *              handed it, until the handler returns; event: likewise, until the observer returns. error, result, report, members,
 *              ports, suggestions, text: never change; any thread. No function is a cancellation point: a thread that is cancelled
 *              (pthread_cancel(3)) in one finishes it first.
 *
 * Fork         A policy, process, supervisor or pending handle is of no use in a process forked off later: it gives STATE there, or the
 *              answer for NULL. Freeing it frees memory and touches no sandbox. New ones can be made there, whatever other threads
 *              the host had.
 *
 * Host         The library installs no signal handlers, never waits for children that are not its own, never writes to
 *              standard output or error, never changes the environment, working directory, umask or signal mask of the host,
 *              and opens every descriptor close-on-exec. 64 KiB of stack is enough for every function. When a program ends, the kernel may interrupt a call of one of the
 *              host's threads that is not restarted, like epoll_wait(2), or recv(2) with a timeout (EINTR), handler or not. Each running sandbox has one thread, with all signals blocked, and a
 *              second one while the library serves many calls of it, one more under SANDLOCK_LIMIT_DISK, and one for moments under SANDLOCK_LIMIT_MEMORY; while there are sandboxes with handlers there is one more,
 *              and up to 64 that run handlers; a supervisor with observers has one that tells them, and so has a process whose
 *              output is streamed. Each sandbox takes three descriptors besides its streams; a policy keeps up to five from its
 *              first check or use until it is changed or freed, and a supervisor one. A host that closes descriptors it does not know, as
 *              daemons do, has its policies prepared anew by the next use; supervisors and running sandboxes do not survive it. A bug in the library never unwinds into the caller; it gives INTERNAL. Out of
 *              memory it may abort the process, as Rust does, with a line on standard error. It uses only the C library, so it can be
 *              loaded into Go, Node.js, Python and Java processes. What a
 *              host must do itself: if it is the first process of a container, or a subreaper, reap the orphans that a
 *              program leaves (waitpid(-1, WNOHANG) is fine; results survive it from Linux 6.15 on).
 *
 * Tools        Valgrind and some sanitizers cannot follow a child that shares its parent's memory. For them, set the
 *              environment variable SANDLOCK_SPAWN=fork in the host; everything else is the same, but slower, and the library
 *              serves no calls: SANDLOCK_LIMIT_PROCESSES does not hold, metadata of files cannot be changed, handlers are refused.
 *              Valgrind 3.19, for one, knows neither Landlock nor seccomp: there is then nothing to confine with, and only a
 *              policy whose features are all BEST_EFFORT or DISABLED starts anything.
 *
 * Stability    Numbers and layouts in this header do not change within a SONAME (libsandlock.so.0). Texts of messages and
 *              reports may.
 *
 * Kernel       Linux 5.13 with Landlock is the least for a sandbox that confines files; Linux 6.12 enforces all of the default
 *              policy. /proc must be mounted in the host, without hidepid, for processes to be counted. What is missing fails the spawn with a reason, unless the policy says BEST_EFFORT for it. See landlock(7),
 *              seccomp(2), prctl(2), setrlimit(2), and sandlock_probe().
 *
 * ===================================================================================================================
 * Example
 * ===================================================================================================================
 *
 * Runs a program that may read and execute what lies beneath four directories, and nothing else. Build it with
 * cc example.c $(pkg-config --cflags --libs sandlock)
 *
 *     #include <sandlock.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         static const char *const dirs[] = {"/usr", "/bin", "/lib", "/lib64"};
 *         const char *const argv[] = {"cat", "/etc/passwd", NULL};
 *         sandlock_policy *policy = sandlock_policy_new();
 *         sandlock_result *result = NULL;
 *         sandlock_error *error = NULL;
 *
 *         for (size_t i = 0; i < 4; i++)
 *             sandlock_policy_allow_path(policy, dirs[i],
 *                                        SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, NULL);
 *         sandlock_policy_clear_env(policy, NULL);
 *         sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DATA, 256 << 20, NULL);
 *
 *         if (sandlock_run(policy, NULL, argv, 5000, &result, &error)) {
 *             fprintf(stderr, "%s\n", sandlock_error_message(error));
 *             sandlock_error_free(error);
 *         } else {
 *             printf("exit %d: %s", sandlock_result_exit_code(result),
 *                    (const char *)sandlock_result_stderr(result, NULL));
 *         }
 *         sandlock_result_free(result);
 *         sandlock_policy_free(policy);
 *         return 0;
 *     }
 *
 * It prints: exit 1: cat: /etc/passwd: Permission denied
 */


#ifndef SANDLOCK_H
#define SANDLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** The version of this header, as text. Equal to sandlock_version_string() when header and library agree. */
#define SANDLOCK_VERSION_STRING "0.1.0"

/* -------------------------------------------------------------------------------------------------------------------
 * Initialisers: the same as the _init functions
 * ------------------------------------------------------------------------------------------------------------------- */

/** What a sandlock_capabilities starts from: nothing known. */
#define SANDLOCK_CAPABILITIES_INIT { sizeof(sandlock_capabilities), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** What a sandlock_spawn_options starts from: all streams inherited, nothing else passed, 16 MiB captured at most. */
#define SANDLOCK_SPAWN_OPTIONS_INIT { sizeof(sandlock_spawn_options), SANDLOCK_STDIO_INHERIT, SANDLOCK_STDIO_INHERIT, \
                                      SANDLOCK_STDIO_INHERIT, -1, -1, -1, 0, NULL, NULL, 0, NULL, 0, 0, 0 }

/** What a sandlock_supervisor_options starts from: handlers have 30 seconds. */
#define SANDLOCK_SUPERVISOR_OPTIONS_INIT { sizeof(sandlock_supervisor_options), 0 }

/** What a sandlock_stats starts from: nothing done. */
#define SANDLOCK_STATS_INIT { sizeof(sandlock_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/** What a sandlock_member starts from: nobody. */
#define SANDLOCK_MEMBER_INIT { sizeof(sandlock_member), 0, 0, 0, NULL }

/** What a sandlock_port starts from: none. */
#define SANDLOCK_PORT_INIT { sizeof(sandlock_port), 0, 0, 0 }

/** What a sandlock_usage starts from: nothing used. */
#define SANDLOCK_USAGE_INIT { sizeof(sandlock_usage), 0, 0, 0, 0, 0 }

/** What a sandlock_report_entry starts from: no feature. */
#define SANDLOCK_REPORT_ENTRY_INIT { sizeof(sandlock_report_entry), 0, 0, 0, 0, NULL, NULL, NULL }


/// -------------------------------------------------------------------------------------------------------------------
/// Version
/// -------------------------------------------------------------------------------------------------------------------
///
/// The version of this header as a number: major * 1000000 + minor * 1000 + patch. The library that is running has
/// sandlock_version_number(). SANDLOCK_VERSION_STRING is the same as text.
#define SANDLOCK_VERSION_NUMBER 1000

/// -------------------------------------------------------------------------------------------------------------------
/// Stage: the step in which a call failed (sandlock_error_stage)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Reading the arguments of the call.
#define SANDLOCK_STAGE_ARGUMENTS 1

/// Checking the policy.
#define SANDLOCK_STAGE_POLICY 2

/// Building or entering the Landlock domain.
#define SANDLOCK_STAGE_LANDLOCK 3

/// Building or installing the system call filter.
#define SANDLOCK_STAGE_SECCOMP 4

/// Preparing standard streams and other descriptors.
#define SANDLOCK_STAGE_DESCRIPTORS 5

/// Starting the sandbox's thread or its process.
#define SANDLOCK_STAGE_SPAWN 6

/// Setting up the process: session, signals, priority and the like.
#define SANDLOCK_STAGE_PROCESS 7

/// Entering the working directory.
#define SANDLOCK_STAGE_CWD 8

/// Setting resource limits.
#define SANDLOCK_STAGE_LIMITS 9

/// Giving up privileges.
#define SANDLOCK_STAGE_PRIVILEGES 10

/// Executing the program.
#define SANDLOCK_STAGE_EXEC 11

/// Waiting for the process, or signalling it.
#define SANDLOCK_STAGE_WAIT 12

/// Receiving, looking at or answering a system call.
#define SANDLOCK_STAGE_SUPERVISOR 13

/// Making namespaces, and setting them up.
#define SANDLOCK_STAGE_NAMESPACES 14

/// Resolving the host names of network rules, and preparing what decides about the network.
#define SANDLOCK_STAGE_NETWORK 15

/// -------------------------------------------------------------------------------------------------------------------
/// Access: what a path rule grants (sandlock_policy_allow_path)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Read files, list directories.
#define SANDLOCK_ACCESS_READ 1

/// Execute files. A dynamic program also needs READ on itself, its libraries and its loader.
#define SANDLOCK_ACCESS_EXECUTE 2

/// Everything that changes: write, create, remove, rename, link, truncate, make sockets and FIFOs, ioctl(2) on devices.
/// Does not include reading, and never making device nodes.
#define SANDLOCK_ACCESS_WRITE 4

/// SANDLOCK_ACCESS_READ and SANDLOCK_ACCESS_EXECUTE.
#define SANDLOCK_ACCESS_READ_EXECUTE 3

/// SANDLOCK_ACCESS_READ, SANDLOCK_ACCESS_EXECUTE and SANDLOCK_ACCESS_WRITE.
#define SANDLOCK_ACCESS_ALL 7

/// To be or-ed with others: the path may be missing, and then grants nothing.
#define SANDLOCK_ACCESS_OPTIONAL 256

/// -------------------------------------------------------------------------------------------------------------------
/// Syscalls: what happens to a call that no rule names (sandlock_policy_set_syscall_default)
/// -------------------------------------------------------------------------------------------------------------------
///
/// It is allowed, unless the default denylist refuses it. The default. SECURITY.md lists the denylist.
#define SANDLOCK_SYSCALLS_DENYLIST 1

/// It fails with EPERM, unless it is needed to execute, load and end a program.
#define SANDLOCK_SYSCALLS_ALLOWLIST 2

/// -------------------------------------------------------------------------------------------------------------------
/// Limits (sandlock_policy_set_limit): for each process, as setrlimit(2) has them, or for the sandbox as a whole
/// -------------------------------------------------------------------------------------------------------------------
///
/// Each process: processor time in seconds: SIGXCPU at the limit, SIGKILL a second later.
#define SANDLOCK_LIMIT_CPU 1

/// Each process: open descriptors; the highest number a program can get is one less.
#define SANDLOCK_LIMIT_NOFILE 2

/// Each process: size in bytes to which a file can be written: SIGXFSZ, or EFBIG if that is ignored.
#define SANDLOCK_LIMIT_FSIZE 3

/// Each process: size of a core dump in bytes. To have none, use SANDLOCK_FLAG_NO_COREDUMP.
#define SANDLOCK_LIMIT_CORE 4

/// Each process: private writable memory in bytes (heap, data, anonymous mappings): ENOMEM beyond.
#define SANDLOCK_LIMIT_DATA 5

/// Each process: address space in bytes, reserved or used: ENOMEM beyond. Runtimes that reserve much (JVM, Go, V8) need much.
#define SANDLOCK_LIMIT_AS 6

/// Each process: stack of the main thread in bytes: SIGSEGV beyond.
#define SANDLOCK_LIMIT_STACK 7

/// Each process: processes and threads that the user may have in all, in the sandbox and outside, before the program can start more:
/// EAGAIN beyond. Processes that have ended count until they are reaped. The kernel exempts user 0; a policy with this limit is refused there (see SANDLOCK_FEATURE_LIMITS).
#define SANDLOCK_LIMIT_NPROC 8

/// Each process: locked memory in bytes.
#define SANDLOCK_LIMIT_MEMLOCK 9

/// Sandbox: processes at a time, the program included; 64 unless the policy says otherwise. Beyond, fork(2) fails with EAGAIN. What
/// counts is who is in the sandbox: daemons too, and what has ended but was not waited for by a parent in the sandbox; threads
/// do not count. Any number of processes may run one after the other. At least 1. clone3 answers ENOSYS under such a limit, whatever
/// the policy says of it: programs then use clone. See SANDLOCK_FEATURE_PROCESSES.
#define SANDLOCK_LIMIT_PROCESSES 10

/// Sandbox: threads at a time, those of all its processes together. None unless the policy sets one. Beyond, pthread_create(3) and
/// fork(2) fail with EAGAIN. With it every start of a thread is looked at, which takes it some ten microseconds longer.
#define SANDLOCK_LIMIT_THREADS 11

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
#define SANDLOCK_LIMIT_MEMORY 12

/// Sandbox: processor time in milliseconds that all its processes use together, those that have ended too. Beyond, the sandbox is
/// killed (SANDLOCK_REASON_LIMIT), after a warning if sandlock_policy_set_grace() asks for one. The library looks in time for the
/// limit to be kept to some ten milliseconds for each processor. A process that begins and ends between two looks, at most 100
/// milliseconds apart, counts only if somebody in the sandbox waits for it: a chain of such processes, each started by the one before, gets
/// several times the limit, and so it does of SANDLOCK_LIMIT_CPU_SHARE. SANDLOCK_LIMIT_WALL has no such gap.
#define SANDLOCK_LIMIT_CPU_TOTAL 13

/// Sandbox: time in milliseconds from the start of the program, whether it runs, sleeps or is paused. Beyond, as
/// SANDLOCK_LIMIT_CPU_TOTAL. The deadline of sandlock_run() is another, with a reason of its own.
#define SANDLOCK_LIMIT_WALL 14

/// Sandbox: processor time that all its processes use together, per cent of one processor: 50 is half of one, 150 one and a half;
/// as much as there is from 100 times the number of processors on. Beyond, the library stops all of it for some milliseconds at a time
/// (SIGSTOP, SIGCONT), so that the average over a second holds to a tenth, where processes live longer than some milliseconds. Who is
/// stopped for another reason stays so, and so does a paused sandbox. Programs that catch SIGCONT notice, and so do parents that
/// wait for stopped children. Who has timers of its own wake it is stopped again and pays for what it has used;
/// a sandbox that goes on like that is killed (SANDLOCK_REASON_LIMIT, read: per cent used meanwhile). Takes SANDLOCK_FEATURE_KILL_ALL.
///
/// Where the host has been given control groups (sandlock_policy_set_cgroup()), the kernel keeps the share instead, over every tenth of a
/// second, whatever the program does, and nobody is stopped.
#define SANDLOCK_LIMIT_CPU_SHARE 15

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
#define SANDLOCK_LIMIT_DISK 16

/// As the value of a limit of the sandbox as a whole: no limit.
#define SANDLOCK_UNLIMITED UINT64_MAX

/// -------------------------------------------------------------------------------------------------------------------
/// Flags (sandlock_policy_set_flag), all off in a new policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// A fixed address space layout, for runs that must repeat exactly. Weakens the program against its own bugs.
#define SANDLOCK_FLAG_NO_ASLR 1

/// No core dumps: neither files nor those that the host's core handler would collect.
#define SANDLOCK_FLAG_NO_COREDUMP 2

/// No transparent huge pages. Starting then copies the host's page tables, so that it takes longer in a large host. Not to be had
/// together with PID and mount namespaces, whose features then are unavailable.
#define SANDLOCK_FLAG_NO_HUGE_PAGES 3

/// For sandlock_confine_self() alone: reach every thread of the process, or fail.
#define SANDLOCK_FLAG_ALL_THREADS 4

/// Nothing but what the kernel enforces by itself: no call of the program is ever put before the library. Then there is no limit of
/// processes, metadata of files cannot be changed at all, and handlers are refused. For hosts that are supervised by somebody else
/// (a process can have one listener only), and kernels before Linux 5.5.
#define SANDLOCK_FLAG_NO_SUPERVISOR 5

/// The sandbox ends with the last of its processes, and not with the program: what it has started may finish. The result is the
/// program's. A deadline and sandlock_process_kill() end all of it, as ever.
#define SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS 6

/// Beyond SANDLOCK_LIMIT_MEMORY the process that holds most is killed instead of the sandbox, and the next one if that was not enough. If
/// it is the program, that is how the sandbox ends (LIMIT), as ever; with WAIT_FOR_DESCENDANTS the others may finish first.
/// Takes SANDLOCK_FEATURE_KILL_ALL; where that cannot be had, the sandbox is killed.
/// Where a control group holds the limit, the kernel chooses, and a process can have itself preferred (/proc/PID/oom_score_adj).
#define SANDLOCK_FLAG_MEMORY_KILLS_LARGEST 7

/// A captured stream that gives more than its cap ends the sandbox, for SANDLOCK_REASON_LIMIT. Without it the rest is read, dropped and
/// counted. A program that ends by itself before that is noticed keeps its exit code.
#define SANDLOCK_FLAG_OUTPUT_KILLS 8

/// The network rules of a running sandbox can be changed, by sandlock_process_update_net(). So the library looks at every connection and
/// datagram that rules allow, those too that Landlock would decide about alone or nobody would: connect(2) takes some microseconds more.
#define SANDLOCK_FLAG_NET_UPDATES 9

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
#define SANDLOCK_FLAG_PORT_REMAP 10

/// -------------------------------------------------------------------------------------------------------------------
/// Namespaces: what the program has for itself (sandlock_policy_set_namespace), all off in a new policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// System V IPC and POSIX message queues: none but its own. The default denylist refuses them anyway; this is for policies that
/// allow them (SANDLOCK_FEATURE_NS_IPC).
#define SANDLOCK_NAMESPACE_IPC 1

/// The host name, which is "sandbox" there (SANDLOCK_FEATURE_NS_UTS).
#define SANDLOCK_NAMESPACE_UTS 2

/// The network: no interface but a loopback one of its own, no port, no abstract Unix socket of others (SANDLOCK_FEATURE_NS_NET).
/// SANDLOCK_FEATURE_NETWORK still refuses TCP; disable it, and allow "socket" and "listen", for a program that talks to itself.
#define SANDLOCK_NAMESPACE_NET 3

/// Process ids: those of the program and what it starts are their own, and no process outside has one there, so that none can be
/// signalled or traced. Their first process is a small init of the library's; when it ends, they all do. The host knows them by other ids,
/// which are those that the library tells it. /proc shows the host's processes as long as SANDLOCK_NAMESPACE_MOUNT does not give the
/// program another. Linux 3.8 (SANDLOCK_FEATURE_NS_PID).
#define SANDLOCK_NAMESPACE_PID 4

/// The tree of files: a /proc that shows the sandbox's processes only, and what sandlock_policy_set_root(), sandlock_policy_add_mount() and
/// sandlock_policy_add_memory_mount() say, each of which asks for it too. Takes a PID namespace. Linux 5.12 (SANDLOCK_FEATURE_NS_MOUNT).
#define SANDLOCK_NAMESPACE_MOUNT 5

/// -------------------------------------------------------------------------------------------------------------------
/// Mounts: how something is mounted for the program (sandlock_policy_add_mount)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The mount does not keep the program from writing. Path rules must grant it, and the host's user be permitted to.
#define SANDLOCK_MOUNT_WRITE 1

/// -------------------------------------------------------------------------------------------------------------------
/// Strictness: what happens where a feature cannot be enforced (sandlock_policy_set_strictness)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Spawning fails. The default for every feature.
#define SANDLOCK_REQUIRE 1

/// The program runs without it, and the report says so.
#define SANDLOCK_BEST_EFFORT 2

/// It is not asked for.
#define SANDLOCK_DISABLE 3

/// -------------------------------------------------------------------------------------------------------------------
/// Features: what can be required, and what the report has rows for
/// -------------------------------------------------------------------------------------------------------------------
///
/// Stands for every feature in sandlock_policy_set_strictness().
#define SANDLOCK_FEATURE_ALL 0

/// File access by path rules. Landlock ABI 1, Linux 5.13. Disabling it disables the three that follow.
#define SANDLOCK_FEATURE_FILES 1

/// Moving and linking files between directories is decided by the rules; without it the kernel refuses all of it. Landlock
/// ABI 2, Linux 5.19.
#define SANDLOCK_FEATURE_FILES_REFER 2

/// truncate(2) is decided by the rules. Landlock ABI 3, Linux 6.2.
#define SANDLOCK_FEATURE_FILES_TRUNCATE 3

/// ioctl(2) on device files is decided by the rules. Landlock ABI 5, Linux 6.10.
#define SANDLOCK_FEATURE_FILES_IOCTL_DEV 4

/// Modes, owners, times and extended attributes of files can be changed only beneath path rules that grant WRITE (EACCES elsewhere);
/// flags of files not at all. Landlock does not govern them, so the library looks at each such call and carries it out itself, with
/// the rights of a process without capabilities. Where it cannot, because of SANDLOCK_FLAG_NO_SUPERVISOR or in
/// sandlock_confine_self(), they are refused altogether (EPERM), unless "/" is writable by a rule. seccomp, Linux 5.5. Disabling
/// SANDLOCK_FEATURE_SYSCALLS disables it.
#define SANDLOCK_FEATURE_FILES_METADATA 5

/// No network but what network rules allow (sandlock_policy_allow_net(), sandlock_policy_allow_bind()), which say what enforces it. Without
/// rules no TCP connection and no TCP server: Landlock ABI 4, Linux 6.7, and the system call filter, which refuses every other socket.
#define SANDLOCK_FEATURE_NETWORK 6

/// No signals to processes outside the sandbox. Landlock ABI 6, Linux 6.12.
#define SANDLOCK_FEATURE_SIGNAL_SCOPE 7

/// No connection to abstract Unix sockets made outside the sandbox. Landlock ABI 6, Linux 6.12.
#define SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE 8

/// The system call filter. seccomp, Linux 4.14.
#define SANDLOCK_FEATURE_SYSCALLS 9

/// Set-user-ID programs and file capabilities grant nothing. A host without CAP_SYS_ADMIN cannot do without it: the kernel
/// lets it confine nothing else then.
#define SANDLOCK_FEATURE_NO_NEW_PRIVS 10

/// The program has no capabilities, whatever the host has.
#define SANDLOCK_FEATURE_CAPABILITIES 11

/// The program has the descriptors that the options name and no others. Linux 5.11.
#define SANDLOCK_FEATURE_DESCRIPTORS 12

/// A session of its own; a process group of its own if the program inherits, or is given, the host's controlling terminal.
#define SANDLOCK_FEATURE_SESSION 13

/// The program is killed when the host dies. A hostile program can switch it off for itself (see SECURITY.md).
#define SANDLOCK_FEATURE_PARENT_DEATH 14

/// Ending the sandbox reaches all its processes, daemons too. Landlock ABI 6, Linux 6.12; below, its process group.
#define SANDLOCK_FEATURE_KILL_ALL 15

/// The limits of the policy.
#define SANDLOCK_FEATURE_LIMITS 16

/// SANDLOCK_FLAG_NO_COREDUMP.
#define SANDLOCK_FEATURE_NO_COREDUMP 17

/// SANDLOCK_FLAG_NO_ASLR.
#define SANDLOCK_FEATURE_NO_ASLR 18

/// SANDLOCK_FLAG_NO_HUGE_PAGES.
#define SANDLOCK_FEATURE_NO_HUGE_PAGES 19

/// Handlers of a supervisor look at system calls. Linux 5.5; not asked for without a supervisor.
#define SANDLOCK_FEATURE_SUPERVISOR 20

/// SANDLOCK_LIMIT_PROCESSES and SANDLOCK_LIMIT_THREADS. Landlock ABI 6, Linux 6.12, whose scopes tell who is in the sandbox. It rests
/// on SANDLOCK_FEATURE_KILL_ALL: where that is disabled, or SANDLOCK_FLAG_NO_SUPERVISOR set, the default limit falls away, and
/// one that the policy sets is refused.
#define SANDLOCK_FEATURE_PROCESSES 21

/// A user namespace: what sandlock_policy_set_user() and every other namespace take. Not to be had where the host forbids it:
/// inside most containers, under kernel.apparmor_restrict_unprivileged_userns (Ubuntu), with user.max_user_namespaces at 0. Disabling it
/// disables all other namespaces.
#define SANDLOCK_FEATURE_NS_USER 22

/// SANDLOCK_NAMESPACE_IPC.
#define SANDLOCK_FEATURE_NS_IPC 23

/// SANDLOCK_NAMESPACE_UTS.
#define SANDLOCK_FEATURE_NS_UTS 24

/// SANDLOCK_NAMESPACE_NET.
#define SANDLOCK_FEATURE_NS_NET 25

/// SANDLOCK_LIMIT_MEMORY. Landlock ABI 6, Linux 6.12, whose scopes tell who is in the sandbox; below, or where SANDLOCK_FEATURE_KILL_ALL is
/// disabled, daemons are not seen (DEGRADED). It takes a /proc that shows every process. A control group takes neither; the report
/// says which of the two keeps the limit. Not asked for unless the policy sets that limit.
#define SANDLOCK_FEATURE_MEMORY 26

/// SANDLOCK_NAMESPACE_PID. Asked for by everything that asks for SANDLOCK_FEATURE_NS_MOUNT too, and disabling it disables that.
#define SANDLOCK_FEATURE_NS_PID 27

/// SANDLOCK_NAMESPACE_MOUNT, and what sandlock_policy_set_root() and mounts ask for. Where it is disabled or, under BEST_EFFORT, cannot be
/// had, the program sees the host's tree, and path rules name what lies there.
#define SANDLOCK_FEATURE_NS_MOUNT 28

/// SANDLOCK_LIMIT_DISK. Landlock ABI 6, Linux 6.12; below, or where SANDLOCK_FEATURE_KILL_ALL is disabled, deleted files that daemons have
/// open are not seen; none are where /proc does not show every process; without SANDLOCK_FEATURE_FILES nothing but the trees of path
/// rules is looked at; in sandlock_confine_self() there is no total (each DEGRADED). Not asked for unless the policy sets that limit.
#define SANDLOCK_FEATURE_DISK 29

/// -------------------------------------------------------------------------------------------------------------------
/// Events: what an observer is told of (sandlock_supervisor_observe), to be or-ed together
/// -------------------------------------------------------------------------------------------------------------------
///
/// A program is about to be executed: path and arguments, as the program has said them. Whether it works is not told; who looks for a
/// program along PATH, as execvp(3) does, tells one of these for each directory.
#define SANDLOCK_EVENT_EXEC 1

/// A process is about to be started by another.
#define SANDLOCK_EVENT_FORK 2

/// A process has ended: its exit code, or the signal.
#define SANDLOCK_EVENT_EXIT 4

/// The library has denied a call that it serves itself: errno, and the rule in the text.
#define SANDLOCK_EVENT_DENIED 8

/// A limit of the sandbox was hit: which, in the text.
#define SANDLOCK_EVENT_LIMIT 16

/// A handler failed, gave no answer or took too long, and its call was denied.
#define SANDLOCK_EVENT_HANDLER_FAILED 32

/// Trace: the kernel is about to refuse a call, by path rules or the filter, because the policy has no rule that would permit it;
/// which rule would, in the text. sandlock_trace_suggest() gathers them. Has all calls looked at that name files or that the filter
/// refuses: for finding out what a program needs, not for every day.
#define SANDLOCK_EVENT_MISSING 64

/// All of them.
#define SANDLOCK_EVENT_ALL 127

/// -------------------------------------------------------------------------------------------------------------------
/// Protocol: of a port (sandlock_port)
/// -------------------------------------------------------------------------------------------------------------------
///
/// TCP.
#define SANDLOCK_PROTOCOL_TCP 1

/// UDP.
#define SANDLOCK_PROTOCOL_UDP 2

/// -------------------------------------------------------------------------------------------------------------------
/// State: what became of a feature (sandlock_report_entry)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The kernel enforces it.
#define SANDLOCK_STATE_ENFORCED 1

/// The kernel enforces part of it, or does so by a lesser mechanism; or the policy itself allows by name a call that gets around it, which
/// the detail names.
#define SANDLOCK_STATE_DEGRADED 2

/// The policy disables it.
#define SANDLOCK_STATE_WAIVED 3

/// It was asked for as best effort and cannot be had.
#define SANDLOCK_STATE_UNAVAILABLE 4

/// Nothing in the policy asks for it.
#define SANDLOCK_STATE_NOT_REQUESTED 5

/// -------------------------------------------------------------------------------------------------------------------
/// Level: the report in one word (sandlock_report_level)
/// -------------------------------------------------------------------------------------------------------------------
///
/// Every feature is ENFORCED or NOT_REQUESTED.
#define SANDLOCK_LEVEL_FULL 1

/// Some feature is DEGRADED, WAIVED or UNAVAILABLE.
#define SANDLOCK_LEVEL_PARTIAL 2

/// No feature is ENFORCED or DEGRADED.
#define SANDLOCK_LEVEL_NONE 3

/// -------------------------------------------------------------------------------------------------------------------
/// Stdio: where a standard stream comes from or goes to (sandlock_spawn_options)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The host's own. If the host has closed it, /dev/null.
#define SANDLOCK_STDIO_INHERIT 0

/// /dev/null.
#define SANDLOCK_STDIO_NULL 1

/// A pipe, whose other end sandlock_process_take_stdio() gives.
#define SANDLOCK_STDIO_PIPE 2

/// Memory; the result holds it. For stdout and stderr.
#define SANDLOCK_STDIO_CAPTURE 3

/// The descriptor named beside the mode.
#define SANDLOCK_STDIO_FD 4

/// A terminal of the program's own (a pseudo-terminal), one for all streams with this mode: the controlling terminal of the session that the
/// program leads, whatever the policy says of SANDLOCK_FEATURE_SESSION. Job control, window sizes and the keys that send signals work
/// as in any terminal. sandlock_process_take_pty() gives the host's end. Other streams and descriptors may lead elsewhere, but not
/// to the host's controlling terminal. Linux 4.13.
#define SANDLOCK_STDIO_PTY 5

/// -------------------------------------------------------------------------------------------------------------------
/// Reason: why a sandbox ended (sandlock_result_reason)
/// -------------------------------------------------------------------------------------------------------------------
///
/// The program exited.
#define SANDLOCK_REASON_EXITED 1

/// A signal that the library did not send ended the program.
#define SANDLOCK_REASON_SIGNALED 2

/// The time given to sandlock_run() passed, and the sandbox was killed.
#define SANDLOCK_REASON_TIMEOUT 3

/// A limit that the library watches was exceeded: one that sandlock_result_limit() names, or if that says 0, captured output beyond
/// its cap. The program may have exited by itself.
#define SANDLOCK_REASON_LIMIT 4

/// sandlock_process_kill() ended it.
#define SANDLOCK_REASON_KILLED 5

/// It ended, but somebody else in the host took the exit status (waitpid(-1), ignored SIGCHLD) and the kernel no longer
/// knows it. From Linux 6.15 on the kernel does.
#define SANDLOCK_REASON_LOST 6

/// -------------------------------------------------------------------------------------------------------------------
/// Usage flags (sandlock_usage)
/// -------------------------------------------------------------------------------------------------------------------
///
/// peak_rss is an upper bound only: a program starts in the host's memory, whose size the kernel counts as its own, and it
/// never used more than the host.
#define SANDLOCK_USAGE_PEAK_RSS_IS_BOUND 1

/// -------------------------------------------------------------------------------------------------------------------
/// Supervision: what handlers return, how descriptors are given, what a log tells
/// -------------------------------------------------------------------------------------------------------------------
///
/// The handler has answered the call or put it off.
#define SANDLOCK_HANDLER_DONE 0

/// The handler leaves the call to the next one; a call that all leave runs.
#define SANDLOCK_HANDLER_PASS 1

/// The descriptor stays open when the program executes another. Without it the descriptor is close-on-exec.
#define SANDLOCK_FD_KEEP_ON_EXEC 1

/// Something does not work.
#define SANDLOCK_LOG_ERROR 1

/// Something is hardly as it was meant.
#define SANDLOCK_LOG_WARNING 2

/// Why a call failed: a status, a stage, an errno and a message. Made by a failing function, owned by its caller, never
/// changed after. Any thread, concurrently. Free it with sandlock_error_free().
typedef struct sandlock_error sandlock_error;

/// Something that has happened in a sandbox. An observer is handed it, and it is valid until that returns.
typedef struct sandlock_event sandlock_event;

/// The processes of a sandbox at some moment. Made by sandlock_process_list(); never changes. Any thread.
typedef struct sandlock_members sandlock_members;

/// A system call that a handler looks at. It lives until the handler returns, and belongs to the thread that was handed it.
typedef struct sandlock_notification sandlock_notification;

/// A system call that was put off or taken from the queue: the right to answer it later. Any thread, concurrently, but for
/// sandlock_pending_free(): of several answers the first counts. It outlives supervisor and process; then every answer is STALE.
typedef struct sandlock_pending sandlock_pending;

/// A policy: what a program may do. Plain data until it is used; sandlock_spawn() takes a snapshot. One thread at a time;
/// functions that take it as const may run at the same time as each other. Make it with sandlock_policy_new(), free it with
/// sandlock_policy_free().
typedef struct sandlock_policy sandlock_policy;

/// The ports of a sandbox at some moment. Made by sandlock_process_ports(); never changes. Any thread.
typedef struct sandlock_ports sandlock_ports;

/// A sandbox and the program it was made for. Made by sandlock_spawn(). Any thread, concurrently, but for
/// sandlock_process_free().
typedef struct sandlock_process sandlock_process;

/// What was enforced on a program: one row per feature. Made by sandlock_process_report(), owned by its caller, never changed,
/// independent of the process. Any thread, concurrently. Free it with sandlock_report_free().
typedef struct sandlock_report sandlock_report;

/// What became of a run. Made by sandlock_run() and sandlock_process_wait(), owned by their caller, never changed. Any thread,
/// concurrently. Free it with sandlock_result_free().
typedef struct sandlock_result sandlock_result;

/// What traced programs lacked. Made by sandlock_trace_suggest(), freed with sandlock_suggestions_free(). Never changes; any thread.
typedef struct sandlock_suggestions sandlock_suggestions;

/// Who answers the system calls of programs: handlers, and a queue. Made by sandlock_supervisor_new(), given to sandlock_spawn()
/// or sandlock_run(). Any thread, concurrently, but for sandlock_supervisor_free().
typedef struct sandlock_supervisor sandlock_supervisor;

/// A text that the library made. Made by sandlock_policy_to_toml(), freed with sandlock_text_free(). Never changes; any thread.
typedef struct sandlock_text sandlock_text;

/// -------------------------------------------------------------------------------------------------------------------
/// Status
/// -------------------------------------------------------------------------------------------------------------------
///
/// What a function returns: SANDLOCK_OK or one of SANDLOCK_ERROR_*, all negative. Numbers are never reused; later releases
/// may add some, so treat an unknown negative status as a failure.
typedef int32_t sandlock_status;

/// What the kernel offers to the calling thread. Start from SANDLOCK_CAPABILITIES_INIT or sandlock_capabilities_init().
typedef struct {
    /// sizeof(sandlock_capabilities), set by the caller.
    size_t size;
    /// Landlock ABI; 0 if Landlock is not to be had.
    uint32_t landlock_abi;
    /// Why it is not: ENOSYS (not in this kernel), EOPNOTSUPP (not enabled at boot: add "landlock" to the kernel's lsm=
    /// parameter), or another errno. 0 if it is.
    int32_t landlock_errno;
    /// 1 if system call filters can be installed.
    uint32_t seccomp_filter;
    /// 1 if filters can ask a listener.
    uint32_t seccomp_notify;
    /// 1 if close_range(2) can mark close-on-exec.
    uint32_t close_range;
    /// 1 if RLIMIT_NPROC binds the programs that this user starts.
    uint32_t process_limit;
    /// 1 if a call that a handler looks at is interrupted by nothing but death (Linux 5.19); otherwise by signals too.
    uint32_t notify_wait_killable;
    /// 1 if an answer wakes the caller on the processor of who answers (Linux 6.6); otherwise it takes several times as long.
    uint32_t notify_sync_wake_up;
    /// 1 if a call can be answered with a descriptor (Linux 5.9).
    uint32_t notify_addfd;
    /// 1 if it can in one step (Linux 5.14); otherwise in two.
    uint32_t notify_addfd_send;
    /// 1 if programs can be started in user namespaces.
    uint32_t user_namespaces;
    /// Why they cannot: EPERM (forbidden by AppArmor, a container, a sysctl), ENOSPC (user.max_user_namespaces), EINVAL (not in this
    /// kernel) or another errno. 0 if they can.
    int32_t user_namespaces_errno;
} sandlock_capabilities;

/// How a supervisor works. Start from SANDLOCK_SUPERVISOR_OPTIONS_INIT or sandlock_supervisor_options_init().
typedef struct {
    /// sizeof(sandlock_supervisor_options), set by the caller.
    size_t size;
    /// How long a handler may look at a call, in milliseconds; then the call is denied with EPERM, and what the handler answers
    /// later is STALE. 0 is 30,000. Calls that were put off have no deadline.
    uint32_t deadline_ms;
} sandlock_supervisor_options;

/// A handler: looks at a call and says SANDLOCK_HANDLER_DONE after it has answered it or put it off, or SANDLOCK_HANDLER_PASS
/// to leave it to the next handler; a call that every handler passes on runs. Any other value means that the handler has
/// failed: the call is denied, unless it was answered.
///
/// It runs on a thread of the library that is not confined and has all signals blocked, several at a time, also for calls
/// of one program. While it runs the caller waits; other threads and processes of the program do not. It has the supervisor's
/// deadline. It must not unwind, longjmp or end its thread, and the notification is its own until it returns.
typedef int32_t (*sandlock_handler_fn)(sandlock_notification *call, void *user_data);

/// Told when a handler or log and its user data are needed no more: exactly once, from any thread, when no call of it runs.
typedef void (*sandlock_destroy_fn)(void *user_data);

/// Takes a line of what the library has to say: `level` is SANDLOCK_LOG_*, `message` has no newline and is borrowed. Called from
/// any thread, several at a time.
typedef void (*sandlock_log_fn)(uint32_t level, const char *message, void *user_data);

/// What a supervisor has done for all its sandboxes since it was made, or for one sandbox. Start from SANDLOCK_STATS_INIT or sandlock_stats_init().
typedef struct {
    /// sizeof(sandlock_stats), set by the caller.
    size_t size;
    /// Calls received from the kernel.
    uint64_t received;
    /// Calls that ran: passed on by every handler, or continued by one.
    uint64_t continued;
    /// Calls that failed by an answer, or for want of one.
    uint64_t denied;
    /// Calls that returned a value or descriptor without running.
    uint64_t returned;
    /// Sandboxes ended by a handler.
    uint64_t killed;
    /// Calls denied because their handler's deadline passed.
    uint64_t overdue;
    /// Times that a handler failed, or returned without an answer.
    uint64_t failed;
    /// Answers that found the caller gone, or could not be given.
    uint64_t dropped;
    /// Calls that were put off or went to the queue.
    uint64_t deferred;
    /// Calls that wait in the queue now.
    uint64_t queued;
    /// Longest time from receiving a call to its answer, microseconds.
    uint64_t worst_latency_us;
    /// Events that observers were not told of, because too many waited.
    uint64_t events_lost;
} sandlock_stats;

/// An observer: is told of events, one at a time, by one thread of the library, which is not confined and has all signals blocked. The
/// program does not wait for it. It must not unwind, longjmp or end its thread.
typedef void (*sandlock_observer_fn)(const sandlock_event *event, void *user_data);

/// How to start a program. Start from SANDLOCK_SPAWN_OPTIONS_INIT or sandlock_spawn_options_init() and set what differs. All
/// pointers are borrowed for the call.
typedef struct {
    /// sizeof(sandlock_spawn_options), set by the caller.
    size_t size;
    /// Standard input: SANDLOCK_STDIO_*.
    uint32_t stdin_mode;
    /// Standard output: SANDLOCK_STDIO_*.
    uint32_t stdout_mode;
    /// Standard error: SANDLOCK_STDIO_*.
    uint32_t stderr_mode;
    /// With SANDLOCK_STDIO_FD: the host's descriptor for it. Stays the caller's.
    int32_t stdin_fd;
    /// Likewise for standard output.
    int32_t stdout_fd;
    /// Likewise for standard error.
    int32_t stderr_fd;
    /// Most bytes kept of each captured stream; what comes after is read, dropped and counted
    /// (sandlock_result_truncated), or ends the sandbox (SANDLOCK_FLAG_OUTPUT_KILLS). 0 is 16 MiB.
    uint64_t capture_limit;
    /// Descriptors to pass besides the standard streams, `pass_fd_count` of them. They stay the caller's.
    const int32_t *pass_fds;
    /// The numbers that they get in the program, 3 or above, each once; NULL: the same as in the host.
    const int32_t *pass_fds_as;
    /// Length of both arrays.
    size_t pass_fd_count;
    /// Name of the sandbox's thread in the host, as ps(1) shows it, cut to 15 bytes; NULL is "sandlock".
    const char *name;
    /// With SANDLOCK_STDIO_PTY: rows of the terminal. 0 is 24.
    uint16_t pty_rows;
    /// Likewise columns. 0 is 80.
    uint16_t pty_columns;
    /// Most milliseconds that the start may take, in which handlers may have to answer calls of it: beyond, nothing runs, and the status is
    /// TIMEOUT. 0: as long as it takes. Once the program is executed this means nothing any more.
    uint32_t start_timeout_ms;
} sandlock_spawn_options;

/// A listener: is given what a captured stream, 1 (output) or 2 (error), has said: `length` bytes, borrowed until it returns; 0 bytes
/// when the stream has ended, which comes once for each. Called by one thread of the library, one call at a time, which is not
/// confined and has all signals blocked. It must not unwind, longjmp or end its thread. From it, waiting for the same program gives WOULD_DEADLOCK.
typedef void (*sandlock_output_fn)(uint32_t stream, const uint8_t *data, size_t length, void *user_data);

/// A process of a sandbox. Start from SANDLOCK_MEMBER_INIT or sandlock_member_init().
typedef struct {
    /// sizeof(sandlock_member), set by the caller.
    size_t size;
    /// Its process id, as the host sees it.
    int32_t pid;
    /// Its resident set, bytes.
    uint64_t rss_bytes;
    /// Processor time that it has used, in user mode and in the kernel, microseconds; as finely as proc(5) counts, a hundredth of
    /// a second mostly.
    uint64_t cpu_us;
    /// Its name, 15 bytes at most, which it can set itself. Belongs to the list.
    const char *name;
} sandlock_member;

/// A port of a sandbox. Start from SANDLOCK_PORT_INIT or sandlock_port_init().
typedef struct {
    /// sizeof(sandlock_port), set by the caller.
    size_t size;
    /// SANDLOCK_PROTOCOL_*.
    uint32_t protocol;
    /// The number that the program knows.
    uint16_t inside;
    /// The number that everybody else knows: where the host finds it.
    uint16_t outside;
} sandlock_port;

/// What a run used. Start from SANDLOCK_USAGE_INIT or sandlock_usage_init().
typedef struct {
    /// sizeof(sandlock_usage), set by the caller.
    size_t size;
    /// SANDLOCK_USAGE_*.
    uint64_t flags;
    /// From the start of the program to its end, microseconds.
    uint64_t wall_us;
    /// Processor time in user mode of the program and the descendants it waited for, microseconds.
    uint64_t user_us;
    /// Likewise in the kernel.
    uint64_t system_us;
    /// Largest resident set of any one of them, bytes. See SANDLOCK_USAGE_PEAK_RSS_IS_BOUND.
    uint64_t peak_rss;
} sandlock_usage;

/// What became of one feature. Start from SANDLOCK_REPORT_ENTRY_INIT or sandlock_report_entry_init(). The strings belong to the
/// report and are never NULL.
typedef struct {
    /// sizeof(sandlock_report_entry), set by the caller.
    size_t size;
    /// SANDLOCK_FEATURE_*.
    uint32_t feature;
    /// How strictly it was asked for: SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT or SANDLOCK_DISABLE.
    uint32_t requested;
    /// SANDLOCK_STATE_*.
    uint32_t state;
    /// The errno behind a state that is not ENFORCED, or 0.
    int32_t errno_value;
    /// The feature's name: "files".
    const char *name;
    /// What enforces it, in kernel terms: "landlock". Empty if nothing does.
    const char *mechanism;
    /// What else there is to know: the ABI used, what is missing.
    const char *detail;
} sandlock_report_entry;

/// Success. The only status that is not negative.
#define SANDLOCK_OK 0

/// An argument is NULL, unknown, out of range, or contradicts another.
#define SANDLOCK_ERROR_INVALID_ARGUMENT -1

/// The call does not fit the state of its object: a program that has ended, a handle from before a fork.
#define SANDLOCK_ERROR_STATE -2

/// The kernel, or this version of the library, lacks something that is required.
#define SANDLOCK_ERROR_UNSUPPORTED -3

/// The kernel refuses the host.
#define SANDLOCK_ERROR_PERMISSION -4

/// A file that the policy names does not exist.
#define SANDLOCK_ERROR_NOT_FOUND -5

/// Any other failure of a system call in the host; sandlock_error_errno() tells which.
#define SANDLOCK_ERROR_SYSTEM -6

/// The child process could not be set up or confined. Its program has not run.
#define SANDLOCK_ERROR_CHILD_SETUP -7

/// The program could not be executed; sandlock_error_errno() is execve(2)'s.
#define SANDLOCK_ERROR_EXEC -8

/// Time is up and what was waited for has not happened.
#define SANDLOCK_ERROR_TIMEOUT -9

/// What was meant is gone: a system call whose caller has died, or whose deadline has passed.
#define SANDLOCK_ERROR_STALE -10

/// A buffer of the caller is too small.
#define SANDLOCK_ERROR_BUFFER_TOO_SMALL -11

/// Waiting here would wait forever: for a program, in the handler that it waits for.
#define SANDLOCK_ERROR_WOULD_DEADLOCK -12

/// A callback of the host failed. Not returned yet.
#define SANDLOCK_ERROR_CALLBACK -13

/// A limit of the kernel is exceeded: a filter of more than 4096 instructions.
#define SANDLOCK_ERROR_LIMIT -14

/// A bug in the library. Please report the message.
#define SANDLOCK_ERROR_INTERNAL -15

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: version
/// -------------------------------------------------------------------------------------------------------------------
///
/// The version of the library that is running, as a number: major * 1000000 + minor * 1000 + patch. Equal to
/// SANDLOCK_VERSION_NUMBER when header and library come from the same release. Any thread. Cannot fail.
uint32_t sandlock_version_number(void);

/// The version of the library that is running, as text ("0.1.0"). The string is static: never free it. Any thread.
/// Cannot fail.
const char *sandlock_version_string(void);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: status and error
/// -------------------------------------------------------------------------------------------------------------------
///
/// The name of a status without its prefix: "OK", "INVALID_ARGUMENT"; "UNKNOWN" for a number that is none. The string is
/// static: never free it. Any thread. Cannot fail.
const char *sandlock_status_name(int32_t status);

/// The status that the failing function returned; SANDLOCK_OK if `error` is NULL. Any thread.
sandlock_status sandlock_error_status(const sandlock_error *error);

/// The errno that a system call reported, whether in the host or in the child; 0 if the failure came from none, or if
/// `error` is NULL. Any thread.
int32_t sandlock_error_errno(const sandlock_error *error);

/// The step that failed, SANDLOCK_STAGE_*; 0 if `error` is NULL. Any thread.
uint32_t sandlock_error_stage(const sandlock_error *error);

/// What happened, in one line without a newline: step, object, reason. "exec: /nope: No such file or directory". The string
/// belongs to `error` and lives as long; it is never NULL, and empty if `error` is NULL. Its wording may change between
/// releases: branch on the status and the errno. Any thread.
const char *sandlock_error_message(const sandlock_error *error);

/// Frees an error. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_error_free(sandlock_error *error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the kernel
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `capabilities` to SANDLOCK_CAPABILITIES_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_capabilities_init(sandlock_capabilities *capabilities);

/// Asks the kernel what it offers; never guesses from its version. Changes nothing, but tries out user namespaces in a process that
/// ends at once, which the host does not notice. A thread that is confined itself may be
/// offered less than others.
///
/// INVALID_ARGUMENT: `out` is NULL or its size is not set. SYSTEM: the host is out of descriptors, memory or threads to ask with; another
/// time there may be some. Any thread.
sandlock_status sandlock_probe(sandlock_capabilities *out,
                               sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: policy
/// -------------------------------------------------------------------------------------------------------------------
///
/// Makes a policy that allows nothing: no files, no network, the default denylist of system calls, every feature required
/// that needs no setting. The caller owns it. Any thread. Cannot fail (the process is aborted when memory runs out).
sandlock_policy *sandlock_policy_new(void);

/// Makes an independent copy. The caller owns it. NULL if `policy` is NULL, or was made before this process was forked.
/// The thread rule of policies.
sandlock_policy *sandlock_policy_clone(const sandlock_policy *policy);

/// Frees a policy. NULL is allowed. Running programs are not affected. The thread rule of policies.
void sandlock_policy_free(sandlock_policy *policy);

/// Grants access to a file, or to a directory and everything beneath it. `access` is SANDLOCK_ACCESS_* or-ed together.
/// Several rules add up; what none grants is denied with EACCES.
///
/// The path is a string of bytes, absolute or relative to the host's working directory. It is resolved, symbolic links
/// followed, when the policy is next checked or used, and again only if it has come to lead to another file: the rule is
/// about that file or directory, not about the name. A path that is missing is NOT_FOUND then, unless SANDLOCK_ACCESS_OPTIONAL
/// is given. Paths into /proc/self are refused then, for they lead to the host. In a mount namespace it is the program's path
/// instead: see sandlock_policy_set_root().
///
/// Rests on Landlock (SANDLOCK_FEATURE_FILES). Not governed by it: stat(2), chdir(2), access(2), and watching with
/// inotify(7), so the names and sizes of files can be learned where the user may see them. Modes, owners, times and
/// attributes can be changed where WRITE is granted, and nowhere else (SANDLOCK_FEATURE_FILES_METADATA).
///
/// INVALID_ARGUMENT: NULL, an empty path, unknown bits, no right among the bits. The thread rule of policies.
sandlock_status sandlock_policy_allow_path(sandlock_policy *policy,
                                           const char *path,
                                           uint64_t access,
                                           sandlock_error **error);

/// Chooses what happens to system calls that no rule names: SANDLOCK_SYSCALLS_*.
///
/// INVALID_ARGUMENT: NULL, an unknown mode. The thread rule of policies.
sandlock_status sandlock_policy_set_syscall_default(sandlock_policy *policy, uint32_t mode, sandlock_error **error);

/// Allows a system call by name ("ptrace"), or a group by the name that systemd gives it ("@network-io"; also "@sysv-ipc").
///
/// A name allows the whole call and lifts whatever the default denylist says of it, its arguments included: allowing
/// "socket" allows every family, allowing "clone" allows namespaces. A group lifts refusals only if the denylist refuses all
/// its members ("@sysv-ipc", "@mount", "@keyring", "@clock"); otherwise it admits its members in allowlist mode as far as
/// the denylist goes, and would change nothing in denylist mode, which is refused. A rule for a name outranks one for a
/// group.
///
/// A name that only another architecture has is accepted and does nothing.
///
/// INVALID_ARGUMENT: NULL, an unknown name or group. When the policy is checked or used, also: a rule that repeats or
/// contradicts another (both are named), a group that would change nothing. The thread rule of policies.
sandlock_status sandlock_policy_allow_syscall(sandlock_policy *policy,
                                              const char *name_or_group,
                                              sandlock_error **error);

/// Denies a system call or a group: it fails with `errno_value`, 1 to 4095. ENOSYS is kinder than EPERM to programs that know
/// another way. Otherwise as sandlock_policy_allow_syscall(). Denying execve is refused when the policy is checked or used:
/// no program could be started.
sandlock_status sandlock_policy_deny_syscall(sandlock_policy *policy,
                                             const char *name_or_group,
                                             int32_t errno_value,
                                             sandlock_error **error);

/// Sets a limit, SANDLOCK_LIMIT_*, in the unit stated there. Setting it again replaces the value. A value above what the host
/// itself may use has the effect of the host's. Limits are hard: the program cannot raise them.
///
/// INVALID_ARGUMENT: NULL, an unknown limit, 0 for a limit of the sandbox as a whole. The thread rule of policies.
sandlock_status sandlock_policy_set_limit(sandlock_policy *policy,
                                          uint32_t limit,
                                          uint64_t value,
                                          sandlock_error **error);

/// Names the directory of a control group, version 2, in which sandboxes get groups of their own, which hold SANDLOCK_LIMIT_MEMORY
/// and SANDLOCK_LIMIT_CPU_SHARE; NULL: none is named, which is the default. The group must be the host's user's to write to, with its
/// `cgroup.procs`, have the controllers memory and cpu, as far as such limits are set, in its `cgroup.subtree_control`, and no
/// processes, as cgroups(7) demands. So must the `cgroup.procs` of the next group above that the host's own lies in too. The library
/// moves no process of the host and writes to no file of that group. A sandbox's group is removed when the sandbox has ended.
///
/// A group that cannot be used is UNSUPPORTED, with the reason, when a policy with such a limit is next checked or used; without one
/// nobody looks at it. Without a named one, the
/// parent of the host's own group is used if it is such a group and belongs to the host's user, who is not root; otherwise, and where
/// the program could change its group, the library keeps those limits by looking, as is said of them. It could if a rule grants WRITE on
/// groups, if the features files or syscalls are not required, and if a rule allows clone3.
///
/// A named group that the host's own does not lie beneath, and that has a limit of memory, itself or by a group above: starting then
/// copies the host's page tables, so that it takes longer in a large host, and handlers of calls that belong to the start are refused.
///
/// INVALID_ARGUMENT: an empty path, `policy` is NULL. The thread rule of policies.
sandlock_status sandlock_policy_set_cgroup(sandlock_policy *policy,
                                           const char *path,
                                           sandlock_error **error);

/// Has the program warned before its sandbox is killed because its time is up: the deadline of sandlock_run(), SANDLOCK_LIMIT_WALL,
/// SANDLOCK_LIMIT_CPU_TOTAL. It gets `signal`, 1 to 64, and the kill follows `milliseconds` later, unless the sandbox has ended by then.
/// The reason is TIMEOUT or LIMIT also if the program exits in that time; then the result has its exit code too. A `signal` of 0: no
/// warning, which is the default. Only the program gets the signal, not its descendants, and only once: another limit of time that is
/// exceeded meanwhile changes nothing.
///
/// INVALID_ARGUMENT: NULL, another number. The thread rule of policies.
sandlock_status sandlock_policy_set_grace(sandlock_policy *policy,
                                          int32_t signal,
                                          uint64_t milliseconds,
                                          sandlock_error **error);

/// Sets a variable of the program's environment, or removes it if `value` is NULL. Without this and
/// sandlock_policy_clear_env() the program has the host's environment as it is at spawn, secrets included; no other thread
/// may then change the environment (setenv(3)) while a program is being started.
///
/// INVALID_ARGUMENT: NULL, an empty name, a name with '='. The thread rule of policies.
sandlock_status sandlock_policy_set_env(sandlock_policy *policy,
                                        const char *name,
                                        const char *value,
                                        sandlock_error **error);

/// Starts from a minimal environment instead of the host's (PATH=/usr/local/bin:/usr/bin:/bin, HOME=/, LANG=C.UTF-8), and
/// forgets variables set so far. Recommended for programs that are not trusted.
///
/// INVALID_ARGUMENT: NULL. The thread rule of policies.
sandlock_status sandlock_policy_clear_env(sandlock_policy *policy,
                                          sandlock_error **error);

/// Sets the working directory; without it the program starts in the host's. It is opened when the policy is next checked or
/// used (NOT_FOUND if missing), and needs no path rule to be entered. In a mount namespace it is the program's path instead: see
/// sandlock_policy_set_root(). There, without it, the program starts in what it finds at the path of the host's, or in "/" if there is no
/// such directory or the root is another.
///
/// INVALID_ARGUMENT: NULL, an empty path. The thread rule of policies.
sandlock_status sandlock_policy_set_cwd(sandlock_policy *policy,
                                        const char *path,
                                        sandlock_error **error);

/// Sets the file mode creation mask, 0 to 0777; without it the program has the host's.
///
/// INVALID_ARGUMENT: NULL, a mask above 0777. The thread rule of policies.
sandlock_status sandlock_policy_set_umask(sandlock_policy *policy, uint32_t mask, sandlock_error **error);

/// Sets the nice value, -20 (most favoured) to 19; without it the program has the host's. Below the host's own it takes
/// privileges, without which spawning fails (EACCES).
///
/// INVALID_ARGUMENT: NULL, a value out of range. The thread rule of policies.
sandlock_status sandlock_policy_set_nice(sandlock_policy *policy, int32_t value, sandlock_error **error);

/// Confines the program to `count` processors, numbered from 0 to 1023; without it the program has the host's. The program
/// can change the set of its own threads within what sched_setaffinity(2) allows the user. If none of them exists, spawning
/// fails (EINVAL).
///
/// INVALID_ARGUMENT: NULL, no processor, a number above 1023. The thread rule of policies.
sandlock_status sandlock_policy_set_cpus(sandlock_policy *policy,
                                         const uint32_t *cpus,
                                         size_t count,
                                         sandlock_error **error);

/// Has the program go by this user and group id: 0 and 0 for one that wants to be root. They are names in a user namespace and give
/// nothing: files, signals and limits are the host user's as before, files of others belong to user 65534 there, and other ids
/// cannot be taken (EINVAL). The program has no capabilities in the namespace either, unless SANDLOCK_FEATURE_CAPABILITIES is
/// disabled; those of the host, a low nice value for one, cannot be used in it.
///
/// The host must be permitted user namespaces (SANDLOCK_FEATURE_NS_USER); sandlock_policy_check() says whether it is.
///
/// INVALID_ARGUMENT: NULL, an id of UINT32_MAX. The thread rule of policies.
sandlock_status sandlock_policy_set_user(sandlock_policy *policy,
                                         uint32_t uid,
                                         uint32_t gid,
                                         sandlock_error **error);

/// Gives the program a namespace of its own, SANDLOCK_NAMESPACE_*, or with `on` false does not. Each takes a user namespace, in which
/// the program goes by the host's user and group unless sandlock_policy_set_user() says otherwise; see there. That of mounts takes
/// one of process ids besides. What happens where one cannot be had is for sandlock_policy_set_strictness() to say, of the feature that is named with it.
///
/// INVALID_ARGUMENT: NULL, an unknown namespace. The thread rule of policies.
sandlock_status sandlock_policy_set_namespace(sandlock_policy *policy,
                                              uint32_t which,
                                              bool on,
                                              sandlock_error **error);

/// Turns a flag, SANDLOCK_FLAG_*, on or off.
///
/// INVALID_ARGUMENT: NULL, an unknown flag. The thread rule of policies.
sandlock_status sandlock_policy_set_flag(sandlock_policy *policy, uint32_t flag, bool on, sandlock_error **error);

/// Sets how strictly a feature, SANDLOCK_FEATURE_*, or with SANDLOCK_FEATURE_ALL every feature, is asked for:
/// SANDLOCK_REQUIRE, SANDLOCK_BEST_EFFORT or SANDLOCK_DISABLE.
///
/// INVALID_ARGUMENT: NULL, an unknown feature or level. The thread rule of policies.
sandlock_status sandlock_policy_set_strictness(sandlock_policy *policy,
                                               uint32_t feature,
                                               uint32_t level,
                                               sandlock_error **error);

/// Says whether sandlock_spawn() would accept the policy on this kernel, without spawning. On failure the message names
/// every problem, not only the first; status, stage and errno are the first one's.
///
/// INVALID_ARGUMENT: NULL, contradicting or meaningless rules. NOT_FOUND, PERMISSION, SYSTEM: a path cannot be opened.
/// UNSUPPORTED: the kernel lacks a required feature. LIMIT: the rules need a filter of more than 4096 instructions. STATE:
/// the policy was made before this process was forked. The thread rule of policies.
sandlock_status sandlock_policy_check(const sandlock_policy *policy,
                                      sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the files that a program sees
/// -------------------------------------------------------------------------------------------------------------------
///
/// Says what the program has for "/": the directory `path` of the host, with what is mounted beneath it; or if `path` is "", a
/// file system in memory of its own, which is empty; or if `path` is NULL, the host's root, as in a new policy. A root that is set
/// is read-only, but for mounts that say otherwise.
///
/// A directory must have the directories and files onto which something is mounted, /proc among them if the program is to have one:
/// what is missing there is not made. In a root in memory the directories that mounts need, and /proc, are made; links are not, like
/// /lib64 of most systems, without which no program finds its loader (ENOENT): mount "/usr/lib64" at "/lib64" too.
///
/// This, and each of the two functions that follow, asks for a mount namespace (SANDLOCK_FEATURE_NS_MOUNT), which takes a PID
/// namespace (SANDLOCK_FEATURE_NS_PID) and a user namespace. There paths are the program's: the path rules of
/// sandlock_policy_allow_path(), the working directory and the program itself name what the program sees, and are resolved there after
/// everything is mounted. Rules are needed as ever: mounts show files, rules grant access to them. A rule whose path is missing
/// there fails the spawn, unless it has SANDLOCK_ACCESS_OPTIONAL. Rules and a working directory that are relative are refused
/// (INVALID_ARGUMENT) when the policy is checked or used.
///
/// `path`, like those of mounts, is a string of bytes: absolute, without "." and ".." in it, not in /proc. It is the host's to say
/// what lies there; nothing of it is copied. Linux 5.12 (mount_setattr(2)).
///
/// INVALID_ARGUMENT: NULL for the policy, another path than that. The thread rule of policies.
sandlock_status sandlock_policy_set_root(sandlock_policy *policy,
                                         const char *path,
                                         sandlock_error **error);

/// Mounts `source` of the host, a directory or file with everything that is mounted beneath it, at `target` of what the program
/// sees: read-only, or if `flags` has SANDLOCK_MOUNT_WRITE, as writable as it is in the host. Set-user-ID bits never take effect there.
/// The host sees nothing of it.
///
/// Mounts are made in the order in which they were added: one may lie in a former one, but not hide it. Without a root that is set
/// they are made over the host's tree. A `source` that leads to "/" or into /proc by a symbolic link, or that has a /proc mounted
/// beneath it, is refused (INVALID_ARGUMENT) when the policy is checked or used, and so is a root that has one elsewhere than at its
/// own /proc. For the rest see sandlock_policy_set_root().
///
/// INVALID_ARGUMENT: NULL, a path that is not absolute or has "." or ".." in it, a `source` that is "/" or in /proc, which would bring
/// the host's processes along, a `target` that is "/" or in /proc, or has a mount already, or would hide one, unknown flags, more than 64
/// mounts. The thread rule of policies.
sandlock_status sandlock_policy_add_mount(sandlock_policy *policy,
                                          const char *source,
                                          const char *target,
                                          uint64_t flags,
                                          sandlock_error **error);

/// Mounts an empty, writable file system in memory (tmpfs(5)) of at most `size` bytes, rounded up to pages, at `target`: a /tmp of
/// the program's own. It ends with the sandbox, and nobody outside sees it. What it holds counts towards SANDLOCK_LIMIT_MEMORY. Like all
/// files it takes a path rule to be used. Otherwise as sandlock_policy_add_mount().
///
/// INVALID_ARGUMENT: NULL, a `size` of 0 or above INT64_MAX, a `target` that sandlock_policy_add_mount() would refuse, more than 64
/// mounts. The thread rule of policies.
sandlock_status sandlock_policy_add_memory_mount(sandlock_policy *policy,
                                                 const char *target,
                                                 uint64_t size,
                                                 sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: the network
/// -------------------------------------------------------------------------------------------------------------------
///
/// Allows the program to connect and send to somebody. Rules add up; without any the program has no network, and what no rule allows is
/// refused with EACCES. What sandlock_policy_deny_net() denies is denied, whatever is allowed. Loopback is a destination like any other.
///
/// A rule is one line, UTF-8: [tcp://|udp://|icmp://]target[:ports], or unix: and a socket of this host.
///
/// ```text
///     tcp://example.com:443               # a host by name, and a port
///     example.com                         # TCP and UDP, every port; ICMP is allowed by its scheme only
///     udp://192.0.2.53:53                 # an address
///     tcp://10.0.0.0/8:80,8000-8999       # a network; ports are a list of ports and ranges, or *, which is all
///     2001:db8::1                         # IPv6: without brackets it takes no ports,
///     tcp://[2001:db8::1]:443             # and with them the prefix of a network belongs inside
///     [fd00::/8]:53
///     icmp://192.0.2.1                    # echo requests; ICMP takes no ports
///     tcp://*:443                         # anywhere
///     *                                   # all of TCP and UDP
///     unix:/run/postgresql/.s.PGSQL.5432  # the socket at a path,
///     unix:/run/user/1000/*               # those beneath a directory, at any depth,
///     unix:@/tmp/.X11-unix/X0             # that with an abstract name,
///     unix:@com.example/*                 # those whose abstract names begin with this and "/"
/// ```
///
/// Schemes are in lower case. The addresses of a network have their first bits in common, so many as the prefix says; an address that has
/// other bits set beyond them is refused, and the message names the network. IPv4 that is written as IPv6 (::ffff:192.0.2.1) is IPv4,
/// in rules and in what the program does, and 0.0.0.0/0 and ::/0 are all of IPv4 and all of IPv6. The unspecified addresses 0.0.0.0
/// and :: mean the host itself where a program connects to them, and are taken for 127.0.0.1 and ::1; no rule names them. Scope
/// ids (fe80::1%eth0) are not known: a rule holds on every interface. Port 0 is none.
///
/// Names of hosts consist of ASCII letters, digits, "-", "_" and single dots, without wildcards; case and a dot in the end do not matter.
/// What looks like an address and is none, 127.1 or 0x7f000001, is no name. Names are looked up when the sandbox is started, by the host,
/// and each address that is found then is allowed. A name that is not found fails the start; if the network is asked for by BEST_EFFORT it
/// allows nothing, and the report says so. /etc/hosts as the program sees it names exactly those hosts, so that it needs nobody to ask; a handler of open and its like is not asked about that file.
/// Addresses that change later are followed if sandlock_policy_set_net_refresh() says so.
///
/// Paths of sockets are absolute, without ".", ".." and empty names, and of 107 bytes at most, as names are; "*" has no other place than
/// the end, after "/".
///
/// What enforces it: rules of TCP by port alone (the target is *) are Landlock's, ABI 4, Linux 6.7. For everything else, names,
/// addresses, UDP, ICMP and Unix sockets, the library carries out connect(2), sendto(2), sendmsg(2) and sendmmsg(2) for the
/// program, with the address that it has looked at and no other. Such rules take a supervisor (Linux 5.6): they are not to be had
/// with SANDLOCK_FLAG_NO_SUPERVISOR, nor in sandlock_confine_self(). The exception are rules that allow Unix sockets by path, where none
/// is about an abstract name and none denies any: from ABI 9 on, Linux 7.1, Landlock keeps these without the library. Then they are about
/// the sockets and directories that are there when a program starts, by whatever name it reaches them (a symbolic link in a rule's
/// path leads nowhere), and a program listens at Unix sockets only if it may bind to every TCP port. Landlock ABI 9 also keeps a program
/// from the Unix sockets of others by descriptors that it was given. Refused whatever rules say: MSG_FASTOPEN, by which sending
/// connects, MPTCP, SCTP, raw and packet sockets, other protocols in a TCP socket (TCP_ULP), and, where rules name addresses, options that
/// lead elsewhere: IP options, routing headers, the choice of an interface or of the range of free ports.
///
/// What is different where the library carries calls out: the peer of a Unix socket finds the credentials of the host's process
/// (SO_PEERCRED, SCM_CREDENTIALS: its process id, user and group), so it must not take the program for somebody else by these; a message
/// with credentials that the program states itself is refused (EPERM). A Unix socket that has more names than one (hard links) is not
/// reached. A socket that is bound to a path shows another name to getsockname(2), if rules allow UDP or ICMP too. sendmmsg(2) sends
/// 64 messages at most, and says so; MSG_ZEROCOPY is refused (ENOBUFS); SO_LINGER is 5 seconds at most. A signal to the whole process
/// interrupts such a call that waits (EINTR), even with SA_RESTART, if the process has several threads. An eighth as many of them
/// may wait as the host may have descriptors (RLIMIT_NOFILE), and 960 at most; a quarter as many of all sandboxes of the host together; then they
/// fail with ENOBUFS. A program that has a file that
/// is no socket take the place of one during such a call is killed. See SANDLOCK_FEATURE_NETWORK.
///
/// INVALID_ARGUMENT: NULL, a rule that is malformed. The message quotes it and has the column, counting characters from 1:
/// arguments: rule "tcp://10.1.2.3/8", column 7: this address has bits beyond the prefix; the network is 10.0.0.0/8. The policy is as
/// before then. The thread rule of policies.
sandlock_status sandlock_policy_allow_net(sandlock_policy *policy,
                                          const char *rule,
                                          sandlock_error **error);

/// Denies the program to connect and send to somebody, whatever rules allow, in whatever order they were added: an exception from what
/// sandlock_policy_allow_net() allows, which has the grammar. A host that is allowed by name is denied at those of its addresses that a
/// rule denies. Without anything that is allowed it changes nothing.
///
/// Addresses, networks and Unix sockets can be denied, and * with ports or a scheme; names of hosts cannot, for who answers to a
/// name chooses its addresses. Denying a port of TCP everywhere (tcp://*:25) is Landlock's as allowing it is, and everything else the
/// library's.
///
/// INVALID_ARGUMENT: as sandlock_policy_allow_net(); also the name of a host, and * alone. The thread rule of policies.
sandlock_status sandlock_policy_deny_net(sandlock_policy *policy,
                                         const char *rule,
                                         sandlock_error **error);

/// Allows the program to bind to ports, on whatever address, and with TCP to be a server there: [tcp://|udp://]ports. Without a scheme
/// it is TCP.
///
/// ```text
///     8080
///     80,8000-8999
///     udp://*                             # every port
/// ```
///
/// Rules add up; without any the program binds to no port and serves nothing, though what it connects and sends by is bound by the
/// kernel. To bind to port 0 is to be given a free port of those that are allowed, and works if a range or * is. Ports below 1024 take
/// privileges as ever. Who connects to a server of TCP is nobody's to say here; whom one of UDP answers is sandlock_policy_allow_net()'s.
///
/// Ports of TCP are Landlock's, ABI 4, Linux 6.7; but which sockets listen is for the library to look at, unless every port is allowed, and
/// so are ranges and the ports of UDP. So all but tcp://* take a supervisor: see sandlock_policy_allow_net(). A UDP socket may always be
/// bound to port 0: it has what free port the kernel gives it, as every socket has that connects or sends. In a network namespace of the
/// sandbox's own (SANDLOCK_NAMESPACE_NET) ports below 1024 take no privileges.
///
/// INVALID_ARGUMENT: NULL, a rule that is malformed: the message quotes it and has the column. 0 is no port. The thread rule of
/// policies.
sandlock_status sandlock_policy_allow_bind(sandlock_policy *policy,
                                           const char *ports,
                                           sandlock_error **error);

/// Denies the program to bind to ports, whatever rules allow, in whatever order they were added: an exception from what
/// sandlock_policy_allow_bind() allows, which has the grammar.
///
/// INVALID_ARGUMENT: as sandlock_policy_allow_bind(). The thread rule of policies.
sandlock_status sandlock_policy_deny_bind(sandlock_policy *policy, const char *ports, sandlock_error **error);

/// Has the names of hosts in the rules looked up again every `seconds` while a sandbox runs, by a thread of the library; 0, as in a new
/// policy: never. What is found counts from then on, for rules and for the program's /etc/hosts; a name that cannot be resolved then
/// keeps its addresses. Connections that exist stay. In a policy without names it does nothing.
///
/// INVALID_ARGUMENT: NULL. The thread rule of policies.
sandlock_status sandlock_policy_set_net_refresh(sandlock_policy *policy,
                                                uint32_t seconds,
                                                sandlock_error **error);

/// Changes what the program of a running sandbox may connect and send to. From when this returns on, `allow` and `deny`, arrays of rules
/// that NULL ends, decide instead of those of the last change, both at once; whatever they allow, what the policy did not allow when
/// the sandbox was started stays refused. So rules are tightened, and loosened again up to that ceiling. NULL for `allow` is what the
/// policy allows, an empty array nothing; NULL for `deny` is nothing more than the policy denies.
///
/// Calls that are being carried out are decided already. Connections, and the peers of datagram sockets, stay: who must be cut off is
/// killed. Ports that may be bound to do not change. Names of hosts that are new are looked up first, which may take five
/// seconds; the program's /etc/hosts then has those names of the policy that `allow` has.
///
/// STATE: the policy does not say SANDLOCK_FLAG_NET_UPDATES, or allows nothing; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL, a rule that is malformed. NOT_FOUND and SYSTEM: a name cannot be resolved. After an error what
/// counted before counts; but where only the new /etc/hosts could not be made (SYSTEM), the rules have changed and that file has not. Any
/// thread.
sandlock_status sandlock_process_update_net(sandlock_process *process,
                                            const char *const *allow,
                                            const char *const *deny,
                                            sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: policy as text
/// -------------------------------------------------------------------------------------------------------------------
///
/// Makes a policy from TOML (toml.io): `text`, `length` bytes of UTF-8, which need not end with a NUL. What the text does not say
/// is as in a new policy, so an empty text is a new policy. On success the caller owns *out, as one of sandlock_policy_new(), and
/// may change it further, as the ready profiles in share/sandlock want it, to which the host adds its own directories.
///
/// The whole schema, with every table and every form of a value:
///
/// ```toml
///     [filesystem]                        # sandlock_policy_allow_path(); the key is what is granted
///     read = ["/etc/hosts"]
///     execute = ["/opt/tool"]
///     write = ["/var/log/tool.log"]
///     read-execute = ["/usr", { path = "/lib64", optional = true }]
///     read-write = ["/dev/null"]
///     write-execute = []
///     all = ["/tmp/work"]
///     root = "/srv/root"                  # sandlock_policy_set_root(); "memory" for one in memory, or "host"
///     mounts = [                          # sandlock_policy_add_mount(), sandlock_policy_add_memory_mount()
///         { source = "/usr", target = "/usr" },
///         { source = "/home/u/work", target = "/work", write = true },
///         { target = "/tmp", memory = "64MiB" },
///     ]
///
///     [network]
///     allow = ["tcp://example.com:443", "udp://[fd00::/8]:53", "unix:/run/service/*"]
///                                         # sandlock_policy_allow_net()
///     deny = ["10.0.0.0/8"]               # sandlock_policy_deny_net()
///     allow-bind = ["8000-8999"]          # sandlock_policy_allow_bind()
///     refresh = 60                        # sandlock_policy_set_net_refresh(): seconds
///     deny-bind = ["8080"]                # sandlock_policy_deny_bind(); and if no rule allows any TCP,
///                                         # tcp = "deny" may say so
///
///     [syscalls]
///     mode = "denylist"                   # or "allowlist"
///     allow = ["ptrace", "@sysv-ipc"]     # sandlock_policy_allow_syscall()
///     deny = ["kill", { name = "socket", errno = "ENOSYS" }, { name = "ioctl", errno = 25 }]
///                                         # sandlock_policy_deny_syscall(); EPERM unless said
///     [limits]                            # sandlock_policy_set_limit()
///     cpu = 60                            # an integer,
///     data = "256MiB"                     # or with a unit, KiB, MiB, GiB or TiB,
///     processes = "unlimited"             # or SANDLOCK_UNLIMITED
///     cgroup = "/sys/fs/cgroup/service"   # sandlock_policy_set_cgroup()
///
///     [process]
///     environment = "minimal"             # sandlock_policy_clear_env(), or "inherit"
///     cwd = "/"
///     umask = 0o022                       # or "022"; always octal
///     nice = 10
///     cpus = [0, 1]
///     grace = [15, 500]                   # sandlock_policy_set_grace(): signal, milliseconds
///     user = [1000, 1000]                 # sandlock_policy_set_user()
///     namespaces = ["ipc", "uts", "net", "pid", "mount"]
///                                         # sandlock_policy_set_namespace()
///     flags = ["no-coredump", "no-aslr"]  # those that are on
///
///     [process.variables]                 # sandlock_policy_set_env(), on top of that environment
///     LANG = "C"
///     LD_PRELOAD = false                  # removed
///
///     [strictness]                        # sandlock_policy_set_strictness()
///     all = "require"                     # what follows outranks it
///     network = "best-effort"             # or "disable"
/// ```
///
/// Limits, flags and features have the names of their constants, in lower case and with "-" for "_": SANDLOCK_LIMIT_NOFILE is
/// nofile, SANDLOCK_FLAG_NO_ASLR is no-aslr, SANDLOCK_FEATURE_FILES_REFER is files-refer.
///
/// Paths and variables are bytes, TOML is Unicode: a byte that is not part of UTF-8 is written as \u0000 and two hexadecimal
/// digits, "/tmp/\u0000ff". Rules and mounts come in the order of the text; where a key would have to come twice for it,
/// [[filesystem]] or [[syscalls]], written several times, goes on. Only one of them says the root, or the mode.
///
/// INVALID_ARGUMENT: NULL, a text that is not UTF-8 or not TOML, an unknown key, a value of another type or out of range, an unknown
/// name. The message names every problem, up to 16, each with line and column (of characters, both from 1): policy: line 3,
/// column 1: unknown key "filesystem.raed"; known are read, execute, ... Whether the rules fit together and the paths exist is
/// found out when the policy is checked or used. Any thread.
sandlock_status sandlock_policy_from_toml(const char *text,
                                          size_t length,
                                          sandlock_policy **out,
                                          sandlock_error **error);

/// Writes a policy as TOML that sandlock_policy_from_toml() reads back as an equal one, whatever its paths and variables are made
/// of. What is as in a new policy is left out, comments of a text that it came from too. On success the caller owns *out.
///
/// INVALID_ARGUMENT: NULL. STATE: the policy was made before this process was forked. The thread rule of policies.
sandlock_status sandlock_policy_to_toml(const sandlock_policy *policy,
                                        sandlock_text **out,
                                        sandlock_error **error);

/// The bytes of a text, UTF-8. They belong to `text`; they are followed by a NUL that `*length_out` does not count. Never NULL; empty
/// if `text` is NULL. `length_out` may be NULL. Any thread.
const char *sandlock_text_data(const sandlock_text *text,
                               size_t *length_out);

/// Frees a text. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_text_free(sandlock_text *text);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: supervisor
/// -------------------------------------------------------------------------------------------------------------------
///
/// A supervisor looks at system calls that the policy allows, before they run: it can let them run, have them fail, or answer in
/// the kernel's place. It can narrow a policy and put something else behind its calls; it cannot widen it. A call that no
/// handler is for costs nothing. One that goes through a handler takes about five microseconds more where the kernel is
/// Linux 6.6 or later.
///
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `options` to SANDLOCK_SUPERVISOR_OPTIONS_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_supervisor_options_init(sandlock_supervisor_options *options);

/// Makes a supervisor without handlers. `options` may be NULL. On success the caller owns `*out`.
///
/// INVALID_ARGUMENT: `out` is NULL, a wrong size. SYSTEM: the host is out of descriptors. Any thread.
sandlock_status sandlock_supervisor_new(const sandlock_supervisor_options *options,
                                        sandlock_supervisor **out,
                                        sandlock_error **error);

/// Has `handler` look at the calls that `syscall` names: a system call ("openat") or a group ("@file-system"). Handlers look at a
/// call in the order in which they were added. Sandboxes that run already do not get to know a new one. `handler` NULL puts the
/// calls in the supervisor's queue instead, for sandlock_supervisor_next(). The exec that starts the program goes to handlers, which
/// must not leave its answer to the thread that starts the program, for that waits for it; a queue never gets it.
///
/// `destroy` may be NULL; it is called with `user_data` exactly once, also if this function fails: when supervisor and sandboxes
/// need the handler no more. `flags` must be 0. A handler for a call that the policy denies is refused when a program is
/// started (STATE), for it could only widen the policy; of a group it gets the members that are allowed. Calls that the kernel
/// answers by itself, like clone3, which the filter answers with ENOSYS so that programs use clone, are denied ones. So are those
/// that the library carries out itself to guard the metadata of files (chmod and its like), unless the policy allows them by name,
/// which lifts that guard. Opens of /etc/hosts are the library's where a network rule names a host. Of calls that start processes a handler sees those that SANDLOCK_LIMIT_PROCESSES has let through.
///
/// A signal that reaches the program in the microseconds before the library has received its call interrupts the call, which then fails
/// with EINTR if the signal has a handler that was installed without SA_RESTART; from Linux 5.19 on a call that was received is
/// not interrupted any more. Where SANDLOCK_LIMIT_PROCESSES has calls trapped, handlers of SIGCHLD are installed with SA_RESTART
/// for that reason.
///
/// What a call's pointers point to can be changed by another thread of the program at any time. A handler that decides by it
/// must act on the copy that it has read, by sandlock_notification_return_fd() or the like; to let the call run after a look at
/// such memory decides nothing.
///
/// INVALID_ARGUMENT: NULL, an unknown name, unknown flags. STATE: the supervisor was made before this process was forked.
/// Any thread.
sandlock_status sandlock_supervisor_add_handler(sandlock_supervisor *supervisor,
                                                const char *syscall,
                                                sandlock_handler_fn handler,
                                                void *user_data,
                                                sandlock_destroy_fn destroy,
                                                uint64_t flags,
                                                sandlock_error **error);

/// Has the library say what goes wrong in a supervisor: handlers that fail, deadlines that pass, threads that cannot be started.
/// Without a log it is silent. `log` NULL takes the former one away. `destroy` as for sandlock_supervisor_add_handler().
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
sandlock_status sandlock_supervisor_set_log(sandlock_supervisor *supervisor,
                                            sandlock_log_fn log,
                                            void *user_data,
                                            sandlock_destroy_fn destroy,
                                            sandlock_error **error);

/// A descriptor that is readable while sandlock_supervisor_next() has something to give: for poll(2), epoll(7) and what is built
/// on them, like libuv and asyncio. Borrowed: it belongs to the supervisor and must be neither read nor closed. -1 if `supervisor`
/// is NULL or from before a fork. Any thread.
int sandlock_supervisor_fd(const sandlock_supervisor *supervisor);

/// Takes the next call from the queue, waiting for at most `timeout_ms` (negative: without limit, 0: not at all). On success the
/// caller owns `*out` and answers it, from any thread, whenever it can. Calls whose callers died meanwhile are left out. No thread of
/// the library ever calls into a host that uses nothing but the queue.
///
/// TIMEOUT: none came. INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
sandlock_status sandlock_supervisor_next(sandlock_supervisor *supervisor,
                                         int32_t timeout_ms,
                                         sandlock_pending **out,
                                         sandlock_error **error);

/// Sets `stats` to SANDLOCK_STATS_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_stats_init(sandlock_stats *stats);

/// What the supervisor has done so far. The numbers are read one by one while others count on.
///
/// INVALID_ARGUMENT: NULL, a wrong size. STATE: the supervisor was made before this process was forked. Any thread.
sandlock_status sandlock_supervisor_stats(const sandlock_supervisor *supervisor,
                                          sandlock_stats *out,
                                          sandlock_error **error);

/// Frees a supervisor. Sandboxes that it serves keep its handlers until they end; calls in its queue are denied, and so are those
/// that would go there. NULL is allowed. In a fork of the host nothing happens: the memory stays. Any thread, when no other uses
/// it any more, also from a handler.
void sandlock_supervisor_free(sandlock_supervisor *supervisor);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: a call, inside a handler
/// -------------------------------------------------------------------------------------------------------------------
///
/// The number of the system call; -1 if `call` is NULL or was put off. The thread that was handed it.
int32_t sandlock_notification_syscall(const sandlock_notification *call);

/// Its name, on the architecture of this host; "unknown" for a number without one, and if `call` is NULL. A static string.
/// The thread that was handed it.
const char *sandlock_notification_syscall_name(const sandlock_notification *call);

/// Argument `index`, 0 to 5, as it was in the register: an int has rubbish in its upper half. 0 for another index and if
/// `call` is NULL. The thread that was handed it.
uint64_t sandlock_notification_arg(const sandlock_notification *call,
                                   uint32_t index);

/// The thread that calls, by its id in the host's PID namespace (for the main thread that is the process id). It is the caller's
/// for as long as the call waits. 0 if it has none there, and if `call` is NULL. The thread that was handed it.
int32_t sandlock_notification_pid(const sandlock_notification *call);

/// Reads up to `length` bytes at `address` of the caller's memory into `buffer`, as far as it can be read, and stores how many
/// in `*length_out`. Let the program never choose how
/// much is allocated: cap `length` first.
///
/// INVALID_ARGUMENT: NULL, nothing can be read there. STALE: the caller is gone; what is in `buffer` means nothing. PERMISSION:
/// the kernel does not let the host look (the program has changed its identity, or ptrace is restricted). The thread that was handed it.
sandlock_status sandlock_notification_read(sandlock_notification *call,
                                           uint64_t address,
                                           void *buffer,
                                           size_t length,
                                           size_t *length_out,
                                           sandlock_error **error);

/// Reads a string at `address` of the caller's memory into `buffer`, which has room for `capacity` bytes, with its NUL, and stores
/// its length without NUL in `*length_out`. Reads no further than the page in which the string ends.
///
/// BUFFER_TOO_SMALL: no NUL within `capacity` bytes. INVALID_ARGUMENT: NULL, it cannot be read. STALE, PERMISSION: as for
/// sandlock_notification_read(). The thread that was handed it.
sandlock_status sandlock_notification_read_string(sandlock_notification *call,
                                                  uint64_t address,
                                                  char *buffer,
                                                  size_t capacity,
                                                  size_t *length_out,
                                                  sandlock_error **error);

/// Writes `length` bytes of `data` to `address` of the caller's memory. An error if not all of it could be written; then some may
/// have been.
///
/// INVALID_ARGUMENT: NULL, it cannot be written there. STALE, PERMISSION: as for sandlock_notification_read(). The thread that was handed it.
sandlock_status sandlock_notification_write(sandlock_notification *call,
                                            uint64_t address,
                                            const void *data,
                                            size_t length,
                                            sandlock_error **error);

/// Lets the call run. Not a security decision on what its pointers point to: another thread of the program can change that before
/// the kernel reads it. Path and port rules of the policy, which the kernel enforces, hold in any case.
///
/// STALE: the caller is gone, or the deadline has passed. STATE: it was answered before. INVALID_ARGUMENT: NULL. The thread that was handed it.
sandlock_status sandlock_notification_continue(sandlock_notification *call,
                                               sandlock_error **error);

/// Has the call fail with `errno_value`, 1 to 4095.
///
/// INVALID_ARGUMENT: NULL, another errno. STALE, STATE: as for sandlock_notification_continue(). The thread that was handed it.
sandlock_status sandlock_notification_deny(sandlock_notification *call,
                                           int32_t errno_value,
                                           sandlock_error **error);

/// Has the call return `value` without running. A value of -1 to -4095 reads as an errno to the caller's libc.
///
/// STALE, STATE, INVALID_ARGUMENT: as for sandlock_notification_continue(). The thread that was handed it.
sandlock_status sandlock_notification_return(sandlock_notification *call, int64_t value, sandlock_error **error);

/// Has the call return a duplicate of the host's descriptor `fd`, at the lowest number that the caller has free. `fd` stays the
/// host's. The duplicate shares its offset and flags, and is close-on-exec unless `flags` has SANDLOCK_FD_KEEP_ON_EXEC. It
/// gives the program what the descriptor can do, whatever the policy says. Linux 5.9.
///
/// SYSTEM: the caller has no number free (its call fails with EMFILE), or the kernel cannot do it (EIO); the call never runs
/// instead. INVALID_ARGUMENT: NULL, `fd` is not open, unknown flags. STALE, STATE: as for sandlock_notification_continue(). The thread that was handed it.
sandlock_status sandlock_notification_return_fd(sandlock_notification *call,
                                                int fd,
                                                uint64_t flags,
                                                sandlock_error **error);

/// Likewise, at the number `number` of the caller's table, whatever was open there.
///
/// As sandlock_notification_return_fd(); INVALID_ARGUMENT also if `number` is negative. The thread that was handed it.
sandlock_status sandlock_notification_return_fd_at(sandlock_notification *call,
                                                   int fd,
                                                   int number,
                                                   uint64_t flags,
                                                   sandlock_error **error);

/// Has the call return a descriptor of a file in memory that contains `length` bytes of `data` and that nobody can change
/// (memfd_create(2), sealed). Its offset is 0. `flags` as for sandlock_notification_return_fd().
///
/// SYSTEM: the host cannot make it; the call fails with EIO. Others as for sandlock_notification_return_fd(). The thread that was handed it.
sandlock_status sandlock_notification_return_bytes(sandlock_notification *call,
                                                   const void *data,
                                                   size_t length,
                                                   uint64_t flags,
                                                   sandlock_error **error);

/// Ends the sandbox that the caller belongs to: its result will say KILLED. Does not wait for that.
///
/// STATE, STALE, INVALID_ARGUMENT: as for sandlock_notification_continue(). The thread that was handed it.
sandlock_status sandlock_notification_kill(sandlock_notification *call, sandlock_error **error);

/// Puts the answer off: the handler returns SANDLOCK_HANDLER_DONE, and whoever has the answer gives it later, from any thread, by
/// the functions of sandlock_pending. On success the caller owns `*out`, and `call` is of no more use.
///
/// STATE: it was answered or put off before. INVALID_ARGUMENT: NULL. The thread that was handed it.
sandlock_status sandlock_notification_defer(sandlock_notification *call,
                                            sandlock_pending **out,
                                            sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: a call that was put off
/// -------------------------------------------------------------------------------------------------------------------
///
/// The number of the system call; -1 if `pending` is NULL. Any thread.
int32_t sandlock_pending_syscall(const sandlock_pending *pending);

/// Its name, on the architecture of this host; "unknown" for a number without one, and if `pending` is NULL. A static string.
/// Any thread.
const char *sandlock_pending_syscall_name(const sandlock_pending *pending);

/// Argument `index`, 0 to 5, as it was in the register: an int has rubbish in its upper half. 0 for another index and if
/// `pending` is NULL. Any thread.
uint64_t sandlock_pending_arg(const sandlock_pending *pending,
                              uint32_t index);

/// The thread that calls, by its id in the host's PID namespace (for the main thread that is the process id). It is the caller's
/// for as long as the call waits. 0 if it has none there, and if `pending` is NULL. Any thread.
int32_t sandlock_pending_pid(const sandlock_pending *pending);

/// Reads up to `length` bytes at `address` of the caller's memory into `buffer`, as far as it can be read, and stores how many
/// in `*length_out`. Let the program never choose how
/// much is allocated: cap `length` first.
///
/// INVALID_ARGUMENT: NULL, nothing can be read there. STALE: the caller is gone; what is in `buffer` means nothing. PERMISSION:
/// the kernel does not let the host look (the program has changed its identity, or ptrace is restricted). Any thread.
sandlock_status sandlock_pending_read(sandlock_pending *pending,
                                      uint64_t address,
                                      void *buffer,
                                      size_t length,
                                      size_t *length_out,
                                      sandlock_error **error);

/// Reads a string at `address` of the caller's memory into `buffer`, which has room for `capacity` bytes, with its NUL, and stores
/// its length without NUL in `*length_out`. Reads no further than the page in which the string ends.
///
/// BUFFER_TOO_SMALL: no NUL within `capacity` bytes. INVALID_ARGUMENT: NULL, it cannot be read. STALE, PERMISSION: as for
/// sandlock_pending_read(). Any thread.
sandlock_status sandlock_pending_read_string(sandlock_pending *pending,
                                             uint64_t address,
                                             char *buffer,
                                             size_t capacity,
                                             size_t *length_out,
                                             sandlock_error **error);

/// Writes `length` bytes of `data` to `address` of the caller's memory. An error if not all of it could be written; then some may
/// have been.
///
/// INVALID_ARGUMENT: NULL, it cannot be written there. STALE, PERMISSION: as for sandlock_pending_read(). Any thread.
sandlock_status sandlock_pending_write(sandlock_pending *pending,
                                       uint64_t address,
                                       const void *data,
                                       size_t length,
                                       sandlock_error **error);

/// Lets the call run. Not a security decision on what its pointers point to: another thread of the program can change that before
/// the kernel reads it. Path and port rules of the policy, which the kernel enforces, hold in any case.
///
/// STALE: the caller is gone, or the deadline has passed. STATE: it was answered before. INVALID_ARGUMENT: NULL. Any thread.
sandlock_status sandlock_pending_continue(sandlock_pending *pending,
                                          sandlock_error **error);

/// Has the call fail with `errno_value`, 1 to 4095.
///
/// INVALID_ARGUMENT: NULL, another errno. STALE, STATE: as for sandlock_pending_continue(). Any thread.
sandlock_status sandlock_pending_deny(sandlock_pending *pending, int32_t errno_value, sandlock_error **error);

/// Has the call return `value` without running. A value of -1 to -4095 reads as an errno to the caller's libc.
///
/// STALE, STATE, INVALID_ARGUMENT: as for sandlock_pending_continue(). Any thread.
sandlock_status sandlock_pending_return(sandlock_pending *pending, int64_t value, sandlock_error **error);

/// Has the call return a duplicate of the host's descriptor `fd`, at the lowest number that the caller has free. `fd` stays the
/// host's. The duplicate shares its offset and flags, and is close-on-exec unless `flags` has SANDLOCK_FD_KEEP_ON_EXEC. It
/// gives the program what the descriptor can do, whatever the policy says. Linux 5.9.
///
/// SYSTEM: the caller has no number free (its call fails with EMFILE), or the kernel cannot do it (EIO); the call never runs
/// instead. INVALID_ARGUMENT: NULL, `fd` is not open, unknown flags. STALE, STATE: as for sandlock_pending_continue(). Any thread.
sandlock_status sandlock_pending_return_fd(sandlock_pending *pending,
                                           int fd,
                                           uint64_t flags,
                                           sandlock_error **error);

/// Likewise, at the number `number` of the caller's table, whatever was open there.
///
/// As sandlock_pending_return_fd(); INVALID_ARGUMENT also if `number` is negative. Any thread.
sandlock_status sandlock_pending_return_fd_at(sandlock_pending *pending,
                                              int fd,
                                              int number,
                                              uint64_t flags,
                                              sandlock_error **error);

/// Has the call return a descriptor of a file in memory that contains `length` bytes of `data` and that nobody can change
/// (memfd_create(2), sealed). Its offset is 0. `flags` as for sandlock_pending_return_fd().
///
/// SYSTEM: the host cannot make it; the call fails with EIO. Others as for sandlock_pending_return_fd(). Any thread.
sandlock_status sandlock_pending_return_bytes(sandlock_pending *pending,
                                              const void *data,
                                              size_t length,
                                              uint64_t flags,
                                              sandlock_error **error);

/// Ends the sandbox that the caller belongs to: its result will say KILLED. Does not wait for that.
///
/// STATE, STALE, INVALID_ARGUMENT: as for sandlock_pending_continue(). Any thread.
sandlock_status sandlock_pending_kill(sandlock_pending *pending, sandlock_error **error);

/// Frees a pending call. If it was not answered, it is denied with EPERM. NULL is allowed. In a fork of the host it does not
/// answer. Any thread, when no other uses it any more.
void sandlock_pending_free(sandlock_pending *pending);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: events
/// -------------------------------------------------------------------------------------------------------------------
///
/// Has `observer` told of events of the kinds in `mask`, SANDLOCK_EVENT_* or-ed together, in sandboxes that are started with the
/// supervisor from now on. Events of one sandbox come in order, soon after they have happened. At most 65,536 wait to be told; more
/// are counted in sandlock_stats and lost.
///
/// EXEC, FORK and EXIT have the calls that start, execute and end programs looked at, which takes each some ten microseconds; the
/// ends of processes take a descriptor of the host's each while they live. A process that has neither executed nor started
/// anything, nor called exit, is not known, and its end not told. `destroy` as for sandlock_supervisor_add_handler(): after the last
/// call of the observer, when the supervisor is freed, which tells what still waits.
///
/// INVALID_ARGUMENT: NULL, an empty mask, unknown kinds. SYSTEM: the host is out of descriptors or threads. STATE: the supervisor
/// was made before this process was forked. Any thread.
sandlock_status sandlock_supervisor_observe(sandlock_supervisor *supervisor,
                                            uint64_t mask,
                                            sandlock_observer_fn observer,
                                            void *user_data,
                                            sandlock_destroy_fn destroy,
                                            sandlock_error **error);

/// One of SANDLOCK_EVENT_*; 0 for NULL. The thread that was handed the event, as for all that follow.
uint64_t sandlock_event_kind(const sandlock_event *event);

/// The thread that made the call, or of EXIT the process that has ended, as the host numbers them; 0 if it cannot be told, or for
/// NULL. The number may be another's by now.
int32_t sandlock_event_pid(const sandlock_event *event);

/// When it was noticed: nanoseconds since the epoch (CLOCK_REALTIME); 0 for NULL.
uint64_t sandlock_event_time_ns(const sandlock_event *event);

/// The number of the system call; -1 if there is none, or for NULL.
int32_t sandlock_event_syscall(const sandlock_event *event);

/// Its name; "" if there is none, or for NULL. Static: never freed.
const char *sandlock_event_syscall_name(const sandlock_event *event);

/// The errno that the call fails with; 0 if it does not, or for NULL.
int32_t sandlock_event_errno(const sandlock_event *event);

/// The path that the call names, as the program said it or, of MISSING, as it was resolved; NULL if there is none. Borrowed from the
/// event. Of EXEC it is advisory, like the arguments: another thread of the program can change it before the kernel reads it.
const char *sandlock_event_path(const sandlock_event *event);

/// True if path and arguments are what the program has said in memory that another thread of it can change before the kernel reads
/// it: to be told, not to decide by. False for NULL.
bool sandlock_event_advisory(const sandlock_event *event);

/// How many arguments of the executed program there are to be read: of 256 arguments and 32 KiB at most; 0 for NULL.
size_t sandlock_event_argument_count(const sandlock_event *event);

/// Argument `index`; NULL if there is none. Borrowed from the event, and advisory.
const char *sandlock_event_argument(const sandlock_event *event, size_t index);

/// The exit code of a process that has exited; -1 otherwise.
int32_t sandlock_event_exit_code(const sandlock_event *event);

/// The signal that has ended a process; 0 otherwise. An EXIT with neither: somebody else has taken the status, and the kernel does
/// not know it any more (before Linux 6.15).
int32_t sandlock_event_signal(const sandlock_event *event);

/// What was decided by which rule, in one line for people; "" if there is nothing to say, or for NULL. Borrowed from the event.
const char *sandlock_event_text(const sandlock_event *event);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: suggestions
/// -------------------------------------------------------------------------------------------------------------------
///
/// To learn what a program needs, run it under a policy that is too strict, traced, and ask for suggestions; add what is right of them, and run it again, until it does its work: a program that is refused something may never come to
/// what it wants next. What a hostile program wants is suggested like everything else: read before you allow.
///
/// -------------------------------------------------------------------------------------------------------------------
///
/// Has sandboxes that are started with the supervisor from now on traced, as an observer of SANDLOCK_EVENT_MISSING does, for those who want
/// nothing but suggestions.
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
sandlock_status sandlock_supervisor_trace(sandlock_supervisor *supervisor,
                                          sandlock_error **error);

/// Gathers what the programs that were traced under `supervisor` have lacked so far, as policy calls in C. On success the caller owns `*out`.
///
/// INVALID_ARGUMENT: NULL. STATE: the supervisor was made before this process was forked. Any thread.
sandlock_status sandlock_trace_suggest(const sandlock_supervisor *supervisor,
                                       sandlock_suggestions **out,
                                       sandlock_error **error);

/// How many calls are suggested; 0 for NULL. Any thread.
size_t sandlock_suggestions_count(const sandlock_suggestions *suggestions);

/// The calls, one to a line, ready to be pasted where `policy` and `error` are: path rules in the order of their paths, then system
/// calls, then network rules. Four or more files of one directory that are only to be read are suggested as the directory; /
/// itself never is, which would permit all files. "" if there are none, or for NULL. Borrowed: valid until they are freed. Any thread.
const char *sandlock_suggestions_text(const sandlock_suggestions *suggestions);

/// Frees suggestions, and their text. NULL is allowed. Any thread, when no other uses them any more.
void sandlock_suggestions_free(sandlock_suggestions *suggestions);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: starting programs
/// -------------------------------------------------------------------------------------------------------------------
///
/// Sets `options` to SANDLOCK_SPAWN_OPTIONS_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_spawn_options_init(sandlock_spawn_options *options);

/// Starts a program under `policy` and returns when it has been executed, fully confined, or has failed to be.
///
/// `argv` is a NULL-terminated array. argv[0] is looked up in the PATH that the program will have, as execvp(3) does; the
/// lookup happens inside the sandbox, among the files that the program sees (sandlock_policy_set_root()), so the policy must grant
/// EXECUTE on the program. `supervisor` may be NULL: then
/// nobody looks at the program's calls. `options` may be NULL: then all three streams are inherited. On success the caller owns `*out`.
///
/// A thread of the library, with all signals blocked, owns the sandbox until it ends; it is the parent of the program, or with
/// SANDLOCK_NAMESPACE_PID of the program's init, a process of the library's named sandlock-init that ends with the sandbox; and
/// no signal, working directory, umask or variable of the host is touched. The calling thread may end at once. When the
/// program ends, everything else in the sandbox is killed.
///
/// This returns when execve(2) has done its work or failed; a program on a file system that does not answer holds it up. A
/// program that the kernel gives up on after that (a stack limit of nothing, say) was started, and its result says SIGNALED.
///
/// If a stream that is inherited or given, or a descriptor that is passed, is the host's controlling terminal, the program stays in the host's session, in a process
/// group of its own: in the foreground if the host is, which gets the foreground and its settings back in the end. With
/// SANDLOCK_STDIO_PTY it has a session and a terminal of its own.
///
/// If this fails, no process, thread or descriptor is left behind, and the program has not run. INVALID_ARGUMENT: NULL,
/// an empty argv, unknown option values, descriptors that are not open, and what sandlock_policy_check() says.
/// UNSUPPORTED, NOT_FOUND, PERMISSION, LIMIT: as sandlock_policy_check(). SYSTEM: the host is out of descriptors, threads or
/// processes. CHILD_SETUP: a required step failed in the child; the stage and errno tell which and why. EXEC: the program
/// cannot be executed. TIMEOUT: it has taken longer than the options allow. STATE: the policy was made before this process was forked. Any thread; the policy is read.
sandlock_status sandlock_spawn(const sandlock_policy *policy,
                               sandlock_supervisor *supervisor,
                               const char *const *argv,
                               const sandlock_spawn_options *options,
                               sandlock_process **out,
                               sandlock_error **error);

/// Runs a program to its end: standard input is empty, standard output and error are captured, 16 MiB of each at most. If
/// `timeout_ms` is not negative and that much time has passed since the child was made, the whole sandbox is killed and the result
/// says TIMEOUT; that is a success of this function. Output that somebody outside the sandbox keeps open is waited for one second.
/// On success the caller owns `*out`.
///
/// Failures are those of sandlock_spawn(), and TIMEOUT: the time was up before the program was executed. Any thread; the policy is
/// read.
sandlock_status sandlock_run(const sandlock_policy *policy,
                             sandlock_supervisor *supervisor,
                             const char *const *argv,
                             int32_t timeout_ms,
                             sandlock_result **out,
                             sandlock_error **error);

/// Confines the calling thread itself, for good: capabilities, no_new_privs, Landlock and the system call filter, and limits,
/// which hold for the whole process. Threads and processes that it starts from now on are confined with it; its other
/// threads are not, unless SANDLOCK_FLAG_ALL_THREADS asks for them: that takes Landlock ABI 8 (Linux 7.0) or a policy
/// that disables every feature of Landlock, and is UNSUPPORTED otherwise, if there is another thread at all. Capabilities are
/// given up by each thread for itself: a privileged process with several threads must disable SANDLOCK_FEATURE_CAPABILITIES.
///
/// What takes a new process cannot be had here. Features of that kind which every policy asks for (descriptors, session, parent death,
/// kill-all, and the default of 64 processes) do not apply. Limits of the sandbox as a whole (MEMORY, PROCESSES, THREADS, CPU_TOTAL,
/// CPU_SHARE, WALL, DISK), a root, mounts, namespaces, and network rules that Landlock alone cannot keep (all but "tcp://*:PORT") are
/// UNSUPPORTED if the policy has them, unless their features are BEST_EFFORT or DISABLED.
///
/// Descriptors that are open stay usable. On failure some of it may have taken effect: end the thread.
///
/// INVALID_ARGUMENT: the policy sets something that is for starting a program (environment, working directory, umask, nice
/// value, processors, user, grace, NO_ASLR, WAIT_FOR_DESCENDANTS, OUTPUT_KILLS, MEMORY_KILLS_LARGEST, NET_UPDATES, PORT_REMAP), and what sandlock_policy_check() says. CHILD_SETUP: a required step failed. UNSUPPORTED and
/// others: as sandlock_policy_check(). The thread that is to be confined; the policy is read.
sandlock_status sandlock_confine_self(const sandlock_policy *policy,
                                      sandlock_error **error);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: process
/// -------------------------------------------------------------------------------------------------------------------
///
/// The process id of the program, as the host sees it; -1 if `process` is NULL or from before a fork. The library reaps the
/// program when it ends, after which the number may come to mean another process: to signal it, use
/// sandlock_process_signal() or the pidfd. Any thread.
int32_t sandlock_process_pid(const sandlock_process *process);

/// A descriptor for the program (pidfd_open(2)): readable when it has ended. Borrowed: it belongs to `process` and must not be
/// closed. -1 if `process` is NULL or from before a fork. Any thread.
int sandlock_process_pidfd(const sandlock_process *process);

/// The host's end of a stream that was spawned with SANDLOCK_STDIO_PIPE: `which` is 0, 1 or 2. The caller owns it and closes
/// it; it blocks and is close-on-exec. -1 if there is none, if it was taken before, or if `process` is NULL or from before a
/// fork. What is not taken is closed with the process. Writing to a program that has ended raises SIGPIPE in the host, as for
/// any pipe, unless that is ignored or blocked; sandlock_process_communicate() raises none. Any thread.
int sandlock_process_take_stdio(sandlock_process *process,
                                int which);

/// Waits until the sandbox has ended, for at most `timeout_ms` (negative: without limit). On success the caller owns `*out`;
/// waiting again gives another result of the same content.
///
/// TIMEOUT: the time passed and the program runs on. INVALID_ARGUMENT: NULL. STATE: the process handle was made before this process was
/// forked. WOULD_DEADLOCK: called from a callback that the sandbox waits for. Any thread, several at a time.
sandlock_status sandlock_process_wait(sandlock_process *process,
                                      int32_t timeout_ms,
                                      sandlock_result **out,
                                      sandlock_error **error);

/// Kills every process of the sandbox, daemons too, and returns when the program has been reaped: nothing in the sandbox runs
/// any code of its own after. No error if it has ended already.
///
/// INVALID_ARGUMENT: NULL. STATE: the process handle was made before this process was forked. Any thread.
sandlock_status sandlock_process_kill(sandlock_process *process,
                                      sandlock_error **error);

/// Sends a signal to the program, not to its descendants. Cannot reach another process, even if the program has ended and its
/// number was given away. 0 only asks whether it could be sent.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL, no such
/// signal. Any thread.
sandlock_status sandlock_process_signal(sandlock_process *process,
                                        int32_t signal,
                                        sandlock_error **error);

/// What the supervisor has done for this sandbox; all zero without one. `queued` is told for the supervisor only.
///
/// INVALID_ARGUMENT: NULL, a wrong size. STATE: the process handle was made before this process was forked. Any thread.
sandlock_status sandlock_process_stats(const sandlock_process *process, sandlock_stats *out, sandlock_error **error);

/// Stops every process of the sandbox, daemons too (SIGSTOP), and returns when all have been told: each runs on until it next
/// enters or leaves the kernel, which is a moment. Deadlines and limits of processor time run on. The program cannot ignore
/// it; one that timers of its own wake (SIGCONT) is stopped again, which may take a tenth of a second the first time and 2 milliseconds
/// after that. A stopped sandbox can be killed. Below Landlock ABI 6 it reaches the program's process group, and who wakes goes on.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL. Any thread.
sandlock_status sandlock_process_pause(sandlock_process *process,
                                       sandlock_error **error);

/// Lets every process of the sandbox go on (SIGCONT).
///
/// Errors are those of sandlock_process_pause(). Any thread.
sandlock_status sandlock_process_resume(sandlock_process *process, sandlock_error **error);

/// Lists the processes of the sandbox, daemons too, but for those that have ended. The list is of a moment: read it with
/// sandlock_members_count() and sandlock_members_get(). On success the caller owns `*out`. Reads /proc in the host; below Landlock
/// ABI 6 it finds the program and its descendants, as far as their parents live.
///
/// STATE: the program has ended; the process handle was made before this process was forked. INVALID_ARGUMENT: NULL. Any thread.
sandlock_status sandlock_process_list(sandlock_process *process,
                                      sandlock_members **out,
                                      sandlock_error **error);

/// What the kernel was found to enforce on the program. The caller owns it. NULL if `process` is NULL or from before a fork.
/// Any thread.
sandlock_report *sandlock_process_report(const sandlock_process *process);

/// Frees a process. A sandbox that still runs is killed and reaped first, and a listener to its output is told all of it. NULL is allowed. In a fork of the host it frees
/// memory and leaves the sandbox alone. Any thread, when no other uses it any more.
void sandlock_process_free(sandlock_process *process);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: talking with a program
/// -------------------------------------------------------------------------------------------------------------------
///
/// Gives a program its input, collects its output, and waits until the sandbox has ended, for at most `timeout_ms` (negative: without
/// limit). It is for streams with SANDLOCK_STDIO_PIPE whose host's ends were not taken, and takes them: sandlock_process_take_stdio()
/// gives -1 from then on. `length` bytes of `input` are copied and written to standard input, which is closed then, at once if there
/// are none. What comes from standard output and error is read as if captured: up to capture_limit bytes each, the rest is dropped
/// and counted, or ends the sandbox (SANDLOCK_FLAG_OUTPUT_KILLS). The result holds it. On success the caller owns `*out`.
///
/// The thread that owns the sandbox writes and reads, so that all streams go on at once, and nothing blocks for a full pipe. SIGPIPE
/// is never raised in the host: a program that closes its input, or ends, without reading all of it, is no error, and the rest is dropped.
///
/// TIMEOUT: the time passed and the program runs on, and so does the conversation: input is still written and output still read. Call it
/// again, with NULL and 0 for the input, which is remembered, to wait on; the result holds all output from the start.
///
/// STATE: there is input, but standard input is no pipe, its end was taken, or an earlier call gave input; the process handle was made before
/// this process was forked. WOULD_DEADLOCK: called from a callback that the sandbox waits for. INVALID_ARGUMENT: NULL.
/// SYSTEM: a pipe cannot be made non-blocking. Any thread, several at a time.
sandlock_status sandlock_process_communicate(sandlock_process *process,
                                             const void *input,
                                             size_t length,
                                             int32_t timeout_ms,
                                             sandlock_result **out,
                                             sandlock_error **error);

/// Has `listener` told of the captured output (SANDLOCK_STDIO_CAPTURE) of a program while it runs, from the start: of what
/// came before this call first, standard output and then error. Each stream comes complete and in order, also beyond its cap,
/// but for what was dropped beyond it before this call; between the two streams the order is that in which they were read. The result holds
/// the output all the same. Streams that sandlock_process_communicate() reads are not told of.
///
/// The program does not wait for the listener, unless about a megabyte waits to be told: then its output is left in the pipe until there is room,
/// and the program has to wait when that is full. Ending the sandbox never waits. sandlock_process_wait() does not wait for the listener
/// either; sandlock_process_free() does: it returns when everything was told, unless the listener itself calls it.
///
/// `destroy` may be NULL, and is called with `user_data` exactly once: after the last call of the listener, by its thread, or by the
/// calling thread if this fails.
///
/// STATE: no stream is captured; somebody listens already; the process handle was made before this process was forked.
/// INVALID_ARGUMENT: NULL. SYSTEM: the host is out of threads. Any thread.
sandlock_status sandlock_process_stream(sandlock_process *process,
                                        sandlock_output_fn listener,
                                        void *user_data,
                                        sandlock_destroy_fn destroy,
                                        sandlock_error **error);

/// The host's end (the master) of the terminal that SANDLOCK_STDIO_PTY gave the program: what is written to it is typed, what the program
/// prints is read from it. The caller owns it and closes it; it blocks and is close-on-exec. -1 if there is none, if it was taken
/// before, or if `process` is NULL or from before a fork.
///
/// Read it: a program that prints more than a few kilobytes waits for that. When the sandbox has ended, read(2) gives what is left and then EIO, which is
/// how a terminal says that nobody is there. The library keeps a duplicate to resize it by, so closing it does not hang up on the program; for that, use
/// sandlock_process_signal() with SIGHUP, or sandlock_process_kill(). What a program prints to a terminal may be meant to
/// do something to one: do not pass it on to a terminal of your own unless you trust it. Any thread.
int sandlock_process_take_pty(sandlock_process *process);

/// Gives the program's terminal another size; its foreground process group is sent SIGWINCH if that is a change.
///
/// STATE: the program has no terminal of its own (SANDLOCK_STDIO_PTY) or has ended; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL. SYSTEM: the kernel refuses. Any thread.
sandlock_status sandlock_process_resize(sandlock_process *process,
                                        uint16_t rows,
                                        uint16_t columns,
                                        sandlock_error **error);

/// Sets `member` to SANDLOCK_MEMBER_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_member_init(sandlock_member *member);

/// How many processes the list has; 0 if `members` is NULL. Any thread.
size_t sandlock_members_count(const sandlock_members *members);

/// Stores process `index`, counted from 0, in `*out`.
///
/// INVALID_ARGUMENT: NULL, a wrong size. NOT_FOUND: the list has fewer. Any thread.
sandlock_status sandlock_members_get(const sandlock_members *members,
                                     size_t index,
                                     sandlock_member *out,
                                     sandlock_error **error);

/// Frees a list, and the names in it. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_members_free(sandlock_members *members);

/// Sets `port` to SANDLOCK_PORT_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_port_init(sandlock_port *port);

/// Lists the ports that sockets of the sandbox are bound to, under SANDLOCK_FLAG_PORT_REMAP: the program's own numbers, and the host's that
/// they stand for. Several sockets can have one port, which is listed once; a number can stand for several ports, if sockets have it
/// at different addresses. The list is of a moment: a program that has just been started may not have bound to anything yet, and
/// one that has ended has no ports. On success the caller owns `*out`.
///
/// STATE: the policy does not say PORT_REMAP, or allows no port to be bound to; the process handle was made before this process was
/// forked. INVALID_ARGUMENT: NULL. Any thread.
sandlock_status sandlock_process_ports(const sandlock_process *process,
                                       sandlock_ports **out,
                                       sandlock_error **error);

/// How many ports the list has; 0 if `ports` is NULL. Any thread.
size_t sandlock_ports_count(const sandlock_ports *ports);

/// Stores port `index`, counted from 0, in `*out`: TCP first, by the program's numbers.
///
/// INVALID_ARGUMENT: NULL, a wrong size. NOT_FOUND: the list has fewer. Any thread.
sandlock_status sandlock_ports_get(const sandlock_ports *ports,
                                   size_t index,
                                   sandlock_port *out,
                                   sandlock_error **error);

/// Frees a list. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_ports_free(sandlock_ports *ports);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: result
/// -------------------------------------------------------------------------------------------------------------------
///
/// Why the sandbox ended: SANDLOCK_REASON_*. SANDLOCK_REASON_LOST if `result` is NULL. Any thread.
uint32_t sandlock_result_reason(const sandlock_result *result);

/// Which limit of the sandbox as a whole was exceeded: SANDLOCK_LIMIT_MEMORY, _CPU_TOTAL, _CPU_SHARE, _WALL or _DISK; 0 if none was, or if
/// `result` is NULL. The last one if there were several. With SANDLOCK_FLAG_MEMORY_KILLS_LARGEST the reason need not be LIMIT: the program may
/// have gone on without the process that was killed. Any thread.
uint32_t sandlock_result_limit(const sandlock_result *result);

/// The value of the limit that sandlock_result_limit() names, as the policy has it; 0 if there is none. Any thread.
uint64_t sandlock_result_limit_value(const sandlock_result *result);

/// What the library read when it found that limit exceeded, in the limit's unit; 0 if there is none. Where a control group holds
/// SANDLOCK_LIMIT_MEMORY nobody gets more than its value: then it is the most that the sandbox has held. Any thread.
uint64_t sandlock_result_limit_reading(const sandlock_result *result);

/// The exit code, 0 to 255, if the program exited by itself (reason EXITED; LIMIT for too much output, or too much written; LIMIT or TIMEOUT after a warning,
/// see sandlock_policy_set_grace()); else -1. Any thread.
int32_t sandlock_result_exit_code(const sandlock_result *result);

/// The signal that ended the program, the library's own SIGKILL included; 0 if none did. Any thread.
int32_t sandlock_result_signal(const sandlock_result *result);

/// Captured standard output. The bytes belong to `result`; they are followed by a NUL that `*length_out` does not count, and
/// may contain others. Never NULL; empty if nothing was captured or `result` is NULL. `length_out` may be NULL. Any thread.
const uint8_t *sandlock_result_stdout(const sandlock_result *result,
                                      size_t *length_out);

/// Captured standard error; otherwise as sandlock_result_stdout().
const uint8_t *sandlock_result_stderr(const sandlock_result *result, size_t *length_out);

/// How many bytes of a captured stream, 1 (output) or 2 (error), came beyond its cap and were dropped; 0 for any other
/// number, or if `result` is NULL. Any thread.
uint64_t sandlock_result_truncated(const sandlock_result *result, int which);

/// Sets `usage` to SANDLOCK_USAGE_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_usage_init(sandlock_usage *usage);

/// What the run used. Processor times and memory are 0 if somebody else in the host reaped the program.
///
/// INVALID_ARGUMENT: NULL, a size that is not set. Any thread.
sandlock_status sandlock_result_usage(const sandlock_result *result, sandlock_usage *out, sandlock_error **error);

/// Frees a result. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_result_free(sandlock_result *result);

/// -------------------------------------------------------------------------------------------------------------------
/// Functions: report
/// -------------------------------------------------------------------------------------------------------------------
///
/// The report in one word: SANDLOCK_LEVEL_*. SANDLOCK_LEVEL_NONE if `report` is NULL. Any thread.
uint32_t sandlock_report_level(const sandlock_report *report);

/// How many rows there are: one per feature that this version knows. 0 if `report` is NULL. Any thread.
size_t sandlock_report_count(const sandlock_report *report);

/// Sets `entry` to SANDLOCK_REPORT_ENTRY_INIT, for languages without macros. NULL does nothing. Any thread.
void sandlock_report_entry_init(sandlock_report_entry *entry);

/// Row `index`, from 0; rows are in the order of SANDLOCK_FEATURE_*. The strings in `*out` live as long as `report`.
///
/// INVALID_ARGUMENT: NULL, an index past the last row, a size that is not set. Any thread.
sandlock_status sandlock_report_row(const sandlock_report *report,
                                    size_t index,
                                    sandlock_report_entry *out,
                                    sandlock_error **error);

/// The report as one line of JSON: {"level": "full", "features": [{"feature", "requested", "state", "mechanism", "detail",
/// "errno"}, ...]}, names in lower case. The string belongs to `report`. Never NULL; "null" if `report` is NULL. Any thread.
const char *sandlock_report_json(const sandlock_report *report);

/// Frees a report. NULL is allowed. Any thread, when no other uses it any more.
void sandlock_report_free(sandlock_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SANDLOCK_H */
