/* Every protection against the attack that it is there to stop: the attack must succeed bare, be refused confined, and
 * succeed again when only that protection is switched off. */
#include "support.h"

#include <mqueue.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

extern char **environ;

#define MOST 10

struct setting {
    uint32_t disable[MOST];  /* features */
    const char *allow[2];    /* system calls */
};

enum { READ_PROC = 1, USE_TERMINALS = 2, READ_RANDOM = 4, WRITE_SHM = 8 };
/* The system and what the policy grants of the tree, and nothing else; of that, the programs with their set-user-ID bits. */
enum { NARROW_VIEW = 1, READ_ONLY_VIEW = 2 };
enum { AS_ROOT = 1, AS_USER = 2, AS_ANY = 3 };

struct attack_case {
    const char *name;
    const char *program;
    const char *arguments[5];
    unsigned grants;
    struct setting base;       /* holds confined and ablated */
    struct setting ablation;   /* holds ablated only: the protection under test is off */
    uint32_t limit;            /* set confined only */
    uint64_t limit_value;
    uint32_t namespace;        /* set confined only */
    unsigned view;             /* likewise: what the program sees, NARROW_VIEW or READ_ONLY_VIEW */
    int user;                  /* likewise: the program goes by another user */
    unsigned who;              /* 0 is AS_ANY */
    const char *needs;         /* what the machine must offer for the attack to succeed bare */
    int no_ablation;           /* the protection cannot be switched off by this user; see the case as root */
};

#define LANDLOCK                                                                                              \
    SANDLOCK_FEATURE_FILES, SANDLOCK_FEATURE_NETWORK, SANDLOCK_FEATURE_SIGNAL_SCOPE,                          \
        SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE, SANDLOCK_FEATURE_KILL_ALL

#define ATTACK(file, title, ...) .name = title, .program = "attack_" file, .arguments = {__VA_ARGS__}
#define FILES(title, ...) ATTACK("files", title, __VA_ARGS__)
#define SOCKETS(title, ...) ATTACK("sockets", title, __VA_ARGS__)
#define SYSTEM(title, ...) ATTACK("system", title, __VA_ARGS__)
#define FORKS(title, ...) ATTACK("forks", title, __VA_ARGS__)
#define NAMESPACES(title, ...) ATTACK("namespaces", title, __VA_ARGS__), .needs = "userns"
#define MEMORY(title, ...) ATTACK("memory", title, __VA_ARGS__)
#define DISK(title, ...) ATTACK("disk", title, __VA_ARGS__)
#define PROCESSES(title, ...) ATTACK("processes", title, __VA_ARGS__)
#define OFF(feature) .ablation = {.disable = {SANDLOCK_FEATURE_##feature}}
#define APART(which) .namespace = SANDLOCK_NAMESPACE_##which
#define SEEING(what) .view = what##_VIEW
#define LIMIT(which, amount) .limit = SANDLOCK_LIMIT_##which, .limit_value = (amount)

/* In arguments: %T the tree, %P another process of the user, %A an address in it, %t a TCP port, %a an abstract
 * socket, %S a program that is set-user-ID for somebody else, %m System V shared memory, %q a message queue, %h the host's name,
 * %u its user, %i the type of a handle on the secret file, %I its bytes. */
static const struct attack_case cases[] = {
    {FILES("read_ungranted_file", "read", "%T/secret"), OFF(FILES)},
    {FILES("list_ungranted_directory", "list", "%T"), OFF(FILES)},
    {FILES("write_file_granted_for_reading", "write", "%T/readable/file"), OFF(FILES)},
    {FILES("create_file_with_creat", "creat", "%T/denied/new"), OFF(FILES)},
    {FILES("open_with_openat2", "openat2", "%T/secret"), OFF(FILES)},
    {FILES("reopen_path_descriptor", "reopen", "%T/secret"), .grants = READ_PROC, OFF(FILES)},
    {FILES("truncate_file_granted_for_reading", "truncate", "%T/readable/file"), OFF(FILES_TRUNCATE)},
    {FILES("rename_into_readable_directory", "rename", "%T/writeonly/file", "%T/writable/moved"), OFF(FILES)},
    {FILES("rename_ungranted_directory", "rename", "%T/denied", "%T/writable/denied"), OFF(FILES)},
    {FILES("link_into_readable_directory", "link", "%T/secret", "%T/writable/linked"), OFF(FILES)},
    {FILES("remove_file_granted_for_reading", "remove", "%T/readable/file"), OFF(FILES)},
    {FILES("execute_file_granted_for_reading", "execute", "%T/readable/program"), OFF(FILES)},
    {FILES("ioctl_on_device_granted_for_reading", "device-ioctl", "/dev/urandom"), .grants = READ_RANDOM,
        OFF(FILES_IOCTL_DEV)},
    {FILES("make_device_against_filter", "mknod", "%T/writable/device"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}},
        .ablation = {.disable = {SANDLOCK_FEATURE_SYSCALLS}}},
    {FILES("make_device_against_landlock", "mknod", "%T/writable/device"), .who = AS_ROOT,
        .base = {.allow = {"mknod", "mknodat"}},
        .ablation = {.disable = {SANDLOCK_FEATURE_FILES}}},
    {FILES("change_mode", "chmod", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_mode_by_descriptor", "fchmod", "%T/readable/file"), OFF(FILES_METADATA)},
    {FILES("change_mode_by_fchmodat2", "fchmodat2", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_owner", "chown", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_times", "utimensat", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_extended_attribute", "setxattr", "%T/secret"), OFF(FILES_METADATA)},
    {FILES("change_flags_by_ioctl", "setflags", "%T/readable/file"), OFF(FILES_METADATA)},
    {FILES("make_whiteout_device", "whiteout", "%T/writable/file", "%T/writable/moved"), OFF(SYSCALLS)},
    {FILES("take_lease", "lease", "%T/readable/file"), OFF(SYSCALLS)},
    {FILES("make_btrfs_subvolume_by_ioctl", "request", "%T/readable", "5000940e"), OFF(FILES_METADATA)},
    {FILES("destroy_btrfs_subvolume_by_ioctl", "request", "%T/readable", "5000940f"), OFF(FILES_METADATA)},
    {FILES("encrypt_directory_by_ioctl", "request", "%T/readable", "800c6613"), OFF(FILES_METADATA)},
    {FILES("remove_encryption_key_by_ioctl", "request", "%T/readable", "c0406618"), OFF(FILES_METADATA)},
    {FILES("read_memory_of_another_process_in_proc", "proc-mem", "%P", "%A"), .grants = READ_PROC,
        .ablation = {.disable = {LANDLOCK}}},
    {FILES("use_inherited_descriptor", "use-descriptor", "77"), OFF(DESCRIPTORS)},

    {SOCKETS("connect_by_tcp", "tcp-connect", "%t"), OFF(NETWORK)},
    {SOCKETS("bind_tcp_port", "tcp-bind"), OFF(NETWORK)},
    {SOCKETS("listen_on_unbound_socket", "listen-unbound"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_mptcp", "mptcp", "%t"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_fast_open_sendto", "fastopen-sendto", "%t"), OFF(SYSCALLS)},
    {SOCKETS("connect_by_fast_open_sendmsg", "fastopen-sendmsg", "%t"), OFF(SYSCALLS)},
    {SOCKETS("send_by_udp", "udp", "%t"), OFF(SYSCALLS)},
    {SOCKETS("ask_netlink", "netlink"), OFF(SYSCALLS)},
    {SOCKETS("list_interfaces_by_ioctl", "interfaces"), OFF(SYSCALLS)},
    {SOCKETS("make_vsock_socket", "socket", "40", "1", "0"), OFF(SYSCALLS)},
    {SOCKETS("make_raw_socket", "socket", "2", "3", "1"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SOCKETS("make_packet_socket", "socket", "17", "3", "0"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SOCKETS("make_raw_socket_against_capabilities", "socket", "2", "3", "1"), .who = AS_ROOT,
        .base = {.allow = {"socket"}}, OFF(CAPABILITIES)},
    {SOCKETS("connect_to_unix_socket_of_host", "unix", "%T/socket"), OFF(SYSCALLS)},
    {SOCKETS("connect_to_abstract_socket_of_host", "unix", "%a"), .base = {.allow = {"socket"}},
        OFF(ABSTRACT_UNIX_SCOPE)},
    {SOCKETS("redirect_unix_datagram_pair", "unix-pair", "%T/datagrams"), OFF(SYSCALLS)},
    {SOCKETS("redirect_unix_raw_pair", "unix-raw-pair", "%T/datagrams"), OFF(SYSCALLS)},

    {SYSTEM("user_namespace_by_unshare", "unshare-user"), OFF(SYSCALLS)},
    {SYSTEM("user_namespace_by_clone", "clone-user"), OFF(SYSCALLS)},
    {SYSTEM("user_namespace_by_clone3", "clone3-user"), OFF(SYSCALLS)},
    {SYSTEM("join_namespace", "setns"), OFF(SYSCALLS)},
    {SYSTEM("mount_by_old_interface", "mount"), .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("mount_by_new_interface", "new-mount"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("take_mount_tree", "open-tree"), OFF(SYSCALLS)},
    {SYSTEM("change_root", "chroot"), .who = AS_ROOT, OFF(SYSCALLS)},
#ifdef __x86_64__
    {SYSTEM("getpid_by_32_bit_gate", "int80-getpid"), .needs = "ia32", OFF(SYSCALLS)},
    {SYSTEM("mount_by_32_bit_gate", "int80-mount"), .needs = "ia32",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("getpid_by_x32", "x32-getpid"), .needs = "x32", OFF(SYSCALLS)},
#endif
    {SYSTEM("set_up_io_uring", "io-uring"), OFF(SYSCALLS)},
    {SYSTEM("load_bpf", "bpf"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("open_perf_event", "perf"), OFF(SYSCALLS)},
    {SYSTEM("open_userfaultfd", "userfaultfd"), OFF(SYSCALLS)},
    {SYSTEM("watch_files_by_fanotify", "fanotify"), OFF(SYSCALLS)},
    {SYSTEM("add_key", "add-key"), OFF(SYSCALLS)},
    {SYSTEM("sysv_shared_memory", "shmget"), OFF(SYSCALLS)},
    {SYSTEM("sysv_shared_memory_by_group", "shmget"), .ablation = {.allow = {"@sysv-ipc"}}},
    {SYSTEM("posix_message_queue", "mq-open"), .base = {.disable = {SANDLOCK_FEATURE_FILES}}, OFF(SYSCALLS)},
    {SYSTEM("take_file_handle", "file-handle"), OFF(SYSCALLS)},
    {SYSTEM("change_personality", "personality"), OFF(SYSCALLS)},
    {SYSTEM("set_dumpable", "dumpable"), OFF(SYSCALLS)},
    {SYSTEM("read_kernel_log", "syslog"), .who = AS_ROOT, OFF(SYSCALLS)},
    {SYSTEM("type_into_terminal", "tiocsti", "0"), .grants = USE_TERMINALS, .needs = "tiocsti", OFF(SYSCALLS)},
    {SYSTEM("type_into_terminal_with_high_bit", "tiocsti", "1"), .grants = USE_TERMINALS, .needs = "tiocsti",
        OFF(SYSCALLS)},

    /* Two features share the scope: the domain of the program and that of the thread that kills it. */
    {PROCESSES("signal_another_process", "kill", "%P"),
        .ablation = {.disable = {SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_FEATURE_KILL_ALL}}},
    {PROCESSES("trace_against_filter", "ptrace", "%P"), .base = {.disable = {LANDLOCK}}, OFF(SYSCALLS)},
    {PROCESSES("trace_against_landlock", "ptrace", "%P"), .base = {.allow = {"ptrace"}},
        .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("read_memory_against_filter", "vm-readv", "%P", "%A"), .base = {.disable = {LANDLOCK}},
        OFF(SYSCALLS)},
    {PROCESSES("read_memory_against_landlock", "vm-readv", "%P", "%A"),
        .base = {.allow = {"process_vm_readv"}}, .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("take_descriptor_against_filter", "pidfd-getfd", "%P"), .base = {.disable = {LANDLOCK}},
        OFF(SYSCALLS)},
    {PROCESSES("take_descriptor_against_landlock", "pidfd-getfd", "%P"), .base = {.allow = {"pidfd_getfd"}},
        .ablation = {.disable = {LANDLOCK}}},
    {PROCESSES("limit_another_process", "prlimit", "%P"), OFF(SYSCALLS)},
    {PROCESSES("renice_another_process", "renice", "%P"), OFF(SYSCALLS)},
    {PROCESSES("pin_another_process", "affinity", "%P"), OFF(SYSCALLS)},
    {PROCESSES("make_children_of_the_host", "adopt-out"), OFF(SYSCALLS)},
    {PROCESSES("share_session_of_host", "session"), OFF(SESSION)},
    {PROCESSES("become_root_by_setuid_program", "run-setuid", "%S"), .who = AS_USER, .no_ablation = 1},
    {PROCESSES("become_another_user_by_setuid_program", "run-setuid", "%S"), .who = AS_ROOT, OFF(NO_NEW_PRIVS)},
    {PROCESSES("use_capability_of_host", "capability", "%T/foreign"), .who = AS_ROOT, OFF(CAPABILITIES)},
    {PROCESSES("raise_limit_as_root", "raise-limit"), .who = AS_ROOT, .needs = "sys-resource", OFF(CAPABILITIES)},

    {PROCESSES("take_memory_beyond_address_space", "memory", "300"), LIMIT(AS, 256 << 20)},
    {PROCESSES("take_memory_beyond_data", "heap", "200"), LIMIT(DATA, 128 << 20)},
    {PROCESSES("open_too_many_descriptors", "descriptors", "100"), LIMIT(NOFILE, 64)},
    {PROCESSES("start_too_many_processes", "processes", "200"), .who = AS_USER, LIMIT(NPROC, 100)},
    {PROCESSES("write_too_large_a_file", "disk", "%T/writable/large", "8"), LIMIT(FSIZE, 4 << 20)},
    {PROCESSES("use_too_much_time", "time", "2"), LIMIT(CPU, 1)},
    {PROCESSES("use_too_much_stack", "stack", "6000"), LIMIT(STACK, 1 << 20)},
    {FORKS("have_too_many_processes_by_fork", "fork", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_clone", "clone", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_clone3", "clone3", "12"), LIMIT(PROCESSES, 11),
        .base = {.allow = {"clone3"}}, .ablation = {.disable = {SANDLOCK_FEATURE_PROCESSES}}},
    {FORKS("have_too_many_daemons", "daemons", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_zombies", "zombies", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_racing_threads", "race", "30"), LIMIT(PROCESSES, 29)},
    {FORKS("have_too_many_processes_with_names_that_are_no_text", "disguised", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_daemons_without_a_main_thread", "headless", "12"), LIMIT(PROCESSES, 11)},
    {FORKS("have_too_many_processes_by_adoption", "adopted", "7"), LIMIT(PROCESSES, 6)},
    {FORKS("have_too_many_threads", "threads", "12"), LIMIT(THREADS, 11)},
    {PROCESSES("lock_too_much_memory", "lock", "2"), LIMIT(MEMLOCK, 1 << 20)},

    {NAMESPACES("attach_shared_memory_of_host", "attach-memory", "%m"), .base = {.allow = {"@sysv-ipc"}}, APART(IPC)},
    {NAMESPACES("open_message_queue_of_host", "open-queue", "%q"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"mq_open"}}, APART(IPC)},
    {NAMESPACES("learn_name_of_host", "host-name", "%h"), APART(UTS)},
    {NAMESPACES("learn_user_of_host", "user", "%u"), .user = 1},
    {NAMESPACES("open_handle_on_process", "open-process", "%P"), APART(PID)},
    {NAMESPACES("see_process_in_proc", "look-up-process", "%P"), .grants = READ_PROC, APART(MOUNT)},
    {NAMESPACES("see_process_by_its_processors", "ask-for-affinity", "%P"), APART(PID)},
    {PROCESSES("signal_another_process_against_namespace", "kill", "%P"), .needs = "userns",
        .base = {.disable = {LANDLOCK}}, APART(PID)},
    {PROCESSES("trace_against_namespace", "ptrace", "%P"), .needs = "userns",
        .base = {.disable = {LANDLOCK}, .allow = {"ptrace"}}, APART(PID)},
    {PROCESSES("read_memory_against_namespace", "vm-readv", "%P", "%A"), .needs = "userns",
        .base = {.disable = {LANDLOCK}, .allow = {"process_vm_readv"}}, APART(PID)},
    {FILES("read_file_that_is_not_mounted", "read", "%T/secret"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {FILES("list_directory_that_is_not_mounted", "list", "%T/denied"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("climb_out_by_dots", "climb", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("climb_out_by_descriptors", "climb-by-descriptors", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_root_in_proc", "root-of", "self", "%T/secret"), .grants = READ_PROC,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_absolute_link", "link", "%T/writable", "%T/secret"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_climbing_link", "link", "%T/writable", "%T/secret", "climbing"),
        .base = {.disable = {SANDLOCK_FEATURE_FILES}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_chroot", "chroot", "%T/writable", "%T/secret"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"chroot"}}, SEEING(NARROW)},
    {NAMESPACES("get_out_by_file_handle", "handle", "%T/writable", "%i", "%I"), .who = AS_ROOT,
        .base = {.disable = {SANDLOCK_FEATURE_FILES}, .allow = {"open_by_handle_at"}}, SEEING(NARROW)},
    {FILES("write_file_that_is_mounted_for_reading", "write", "%T/writable/file"), .needs = "userns",
        SEEING(READ_ONLY)},
    {FILES("change_mode_of_file_that_is_mounted_for_reading", "chmod", "%T/writable/file"), .needs = "userns",
        .who = AS_USER, SEEING(READ_ONLY)},
    {PROCESSES("become_another_user_by_program_that_is_mounted", "run-setuid", "%S"), .who = AS_ROOT, .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_NO_NEW_PRIVS}}, SEEING(NARROW)},
    {SOCKETS("connect_by_tcp_against_namespace", "tcp-connect", "%t"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_NETWORK}}, APART(NET)},
    {SOCKETS("connect_to_abstract_socket_against_namespace", "unix", "%a"), .needs = "userns",
        .base = {.disable = {SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE}, .allow = {"socket"}}, APART(NET)},
    {MEMORY("hold_too_much_memory_by_malloc", "malloc", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_by_mapping", "mmap", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("map_more_memory_than_there_can_be", "mmap", "700"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_shared_memory", "shared", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_a_memfd", "memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_a_mapped_memfd", "mapped-memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_without_a_main_thread", "headless", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_a_memfd_without_a_main_thread", "headless-memfd", "300"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_in_tmpfs", "tmpfs", "300", "/dev/shm"), .grants = WRITE_SHM,
        LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_by_a_fork_tree", "tree", "300", "20"), LIMIT(MEMORY, 128 << 20)},
    {MEMORY("hold_too_much_memory_shared_by_many", "shared-tree", "300", "20"), LIMIT(MEMORY, 128 << 20)},
    {DISK("fill_the_disk_with_small_files", "files", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_one_file", "large", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_by_a_fork_tree", "tree", "96", "%T/writable", "20"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_with_deleted_files", "deleted", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_through_memory", "mapped", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("fill_the_disk_through_memory_alone", "mapped-deleted", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {DISK("reserve_the_disk", "reserve", "96", "%T/writable"), LIMIT(DISK, 32 << 20)},
    {MEMORY("compute_in_many_processes", "burn", "1000", "4"), LIMIT(CPU_TOTAL, 300)},
    {MEMORY("sleep_too_long", "sleep", "1000"), LIMIT(WALL, 300)},
    {MEMORY("hide_memory_behind_more_descriptors_than_can_be_looked_at", "descriptors", "4000", "60"),
        LIMIT(MEMORY, 128 << 20)},
    {MEMORY("outrun_the_throttle_by_timers", "outrun", "15", "1000", "1"), LIMIT(CPU_SHARE, 5)},
    {MEMORY("outrun_the_throttle_by_fast_timers", "outrun", "15", "150", "4"), LIMIT(CPU_SHARE, 5)},
};

/* --- the world around the attacks --- */

static const char *tree;
static int tcp_port;
static pid_t victim;
static char abstract_name[32];
static char known_byte = 42;

static void make_files(void)
{
    static const char *const directories[] = {"readable", "writable", "writeonly", "denied"};
    char command[PATH_MAX * 2];
    size_t i;

    snprintf(command, sizeof command, "rm -rf %s/* && mkdir", tree);
    for (i = 0; i < sizeof directories / sizeof *directories; i++) {
        strcat(command, " ");
        strcat(command, in_tree(tree, directories[i]));
    }
    snprintf(command + strlen(command), sizeof command - strlen(command), " && cp /bin/true %s/readable/program", tree);
    if (system(command))
        exit(2);
    write_text(in_tree(tree, "secret"), "secret\n");
    write_text(in_tree(tree, "readable/file"), "readable\n");
    write_text(in_tree(tree, "writable/file"), "writable\n");
    write_text(in_tree(tree, "writeonly/file"), "not to be read\n");
    write_text(in_tree(tree, "foreign"), "of another user\n");
    chmod(in_tree(tree, "foreign"), 0600);
    if (getuid() == 0 && chown(in_tree(tree, "foreign"), 65534, 65534))
        perror("chown");
}

static void listen_unix(const char *name, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)(sizeof(sa_family_t) + strlen(name));
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    if (name[0] == '@') {
        memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    } else {
        length = sizeof address;
        snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
        unlink(name);
    }
    if (bind(fd, (struct sockaddr *)&address, length) || (type == SOCK_STREAM && listen(fd, 100))) {
        perror("cannot listen");
        exit(2);
    }
}

static void make_servers(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 100) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("cannot listen");
        exit(2);
    }
    tcp_port = ntohs(address.sin_port);
    snprintf(abstract_name, sizeof abstract_name, "@sandlock-test-%d", getpid());
    listen_unix(abstract_name, SOCK_STREAM);
}

/* Another process of the same user, which anything may be tried on. */
static void make_victim(void)
{
    victim = fork();
    if (victim == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
}

static int shared_memory = -1;
static char queue_name[32];

static void make_ipc(void)
{
    mqd_t queue;

    shared_memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    snprintf(queue_name, sizeof queue_name, "/sandlock-test-%d", getpid());
    queue = mq_open(queue_name, O_CREAT | O_RDWR, 0600, NULL);
    if (shared_memory < 0 || queue < 0)
        perror("cannot make shared memory or a message queue");
    mq_close(queue);
}

static void remove_ipc(void)
{
    shmctl(shared_memory, IPC_RMID, NULL);
    mq_unlink(queue_name);
}

/* What names the secret file to whoever may open files by handles. */
static void handle_of_secret(int *type, char *bytes)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } found = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
    unsigned i;
    int mount;

    if (name_to_handle_at(AT_FDCWD, in_tree(tree, "secret"), &found.handle, &mount, 0))
        perror("name_to_handle_at");
    *type = found.handle.handle_type;
    for (i = 0; i < found.handle.handle_bytes && i < MAX_HANDLE_SZ; i++)
        sprintf(bytes + i * 2, "%02x", found.handle.f_handle[i]);
}

static const char *expand(const char *argument)
{
    static char buffers[6][PATH_MAX + 64];
    static unsigned next;
    char *buffer = buffers[next++ % 6];
    char bytes[MAX_HANDLE_SZ * 2 + 1] = "";
    int type = 0;

    if (!argument || argument[0] != '%')
        return argument;
    switch (argument[1]) {
    case 'T': snprintf(buffer, sizeof buffers[0], "%s%s", tree, argument + 2); break;
    case 'P': snprintf(buffer, sizeof buffers[0], "%d", victim); break;
    case 'A': snprintf(buffer, sizeof buffers[0], "%lx", (unsigned long)&known_byte); break;
    case 't': snprintf(buffer, sizeof buffers[0], "%d", tcp_port); break;
    case 'a': snprintf(buffer, sizeof buffers[0], "%s", abstract_name); break;
    case 'S': snprintf(buffer, sizeof buffers[0], "%s", program(getuid() ? "attack_setuid_root" : "attack_setuid_nobody")); break;
    case 'm': snprintf(buffer, sizeof buffers[0], "%d", shared_memory); break;
    case 'q': snprintf(buffer, sizeof buffers[0], "%s", queue_name); break;
    case 'h': gethostname(buffer, sizeof buffers[0]); break;
    case 'u': snprintf(buffer, sizeof buffers[0], "%u", getuid()); break;
    case 'i':
    case 'I':
        handle_of_secret(&type, bytes);
        if (argument[1] == 'I')
            snprintf(buffer, sizeof buffers[0], "%s", bytes);
        else
            snprintf(buffer, sizeof buffers[0], "%d", type);
        break;
    default: abort();
    }
    return buffer;
}

/* --- the three runs --- */

enum { ATTACK_SUCCEEDED = 0, ATTACK_REFUSED = 1, ATTACK_IMPOSSIBLE = 2 };

static int run_bare(const char *const *argv)
{
    pid_t pid;
    int status;

    if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) || waitpid(pid, &status, 0) != pid)
        return ATTACK_IMPOSSIBLE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ATTACK_REFUSED;
}

static void apply(sandlock_policy *policy, const struct setting *setting)
{
    int i;

    for (i = 0; i < MOST && setting->disable[i]; i++) {
        sandlock_policy_set_strictness(policy, setting->disable[i], SANDLOCK_DISABLE, NULL);
        /* The filter that puts calls before the library refuses what would slip past it. */
        if (setting->disable[i] == SANDLOCK_FEATURE_SYSCALLS)
            sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    }
    for (i = 0; i < 2 && setting->allow[i]; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, setting->allow[i], NULL));
}

/* A root in memory with the system, the test programs, and what the policy grants of the tree. */
static void narrow_view(sandlock_policy *policy, uint64_t writing)
{
    static const char *const system[] = {"/usr", "/bin", "/lib", "/lib64"};
    static const char *const granted[] = {"readable", "writable", "writeonly", "foreign"};
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "", NULL));
    for (i = 0; i < sizeof system / sizeof *system; i++)
        if (access(system[i], F_OK) == 0)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, system[i], system[i], 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, program_directory(), program_directory(), 0, NULL));
    for (i = 0; i < sizeof granted / sizeof *granted; i++) {
        const char *path = in_tree(tree, granted[i]);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, path, path, writing, NULL));
    }
}

static int run_under_policy(const struct attack_case *attack, const char *const *argv, int ablated)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int outcome = ATTACK_IMPOSSIBLE;

    allow(policy, in_tree(tree, "readable"), SANDLOCK_ACCESS_READ);
    allow(policy, in_tree(tree, "writable"), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, in_tree(tree, "writeonly"), SANDLOCK_ACCESS_WRITE);
    allow(policy, in_tree(tree, "foreign"), SANDLOCK_ACCESS_READ);
    if (attack->grants & READ_PROC)
        allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    if (attack->grants & USE_TERMINALS) {
        allow(policy, "/dev/ptmx", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
        allow(policy, "/dev/pts", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    }
    if (attack->grants & WRITE_SHM)
        allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    if (attack->grants & READ_RANDOM)
        allow(policy, "/dev/urandom", SANDLOCK_ACCESS_READ);
    apply(policy, &attack->base);
    /* A root host's capabilities are a layer of their own; the others are shown without it. */
    if (getuid() == 0 && !attack->limit && attack->ablation.disable[0] != SANDLOCK_FEATURE_CAPABILITIES)
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_CAPABILITIES, SANDLOCK_DISABLE, NULL);
    if (ablated)
        apply(policy, &attack->ablation);
    else if (attack->limit)
        sandlock_policy_set_limit(policy, attack->limit, attack->limit_value, NULL);
    else if (attack->namespace)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, attack->namespace, true, NULL));
    else if (attack->view)
        narrow_view(policy, attack->view == READ_ONLY_VIEW ? 0 : SANDLOCK_MOUNT_WRITE);
    else if (attack->user)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 7, 7, NULL));
    /* Of two limits that would refuse, the other is out of the way. */
    if (attack->limit == SANDLOCK_LIMIT_NPROC)
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, NULL);
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    if (sandlock_spawn(policy, NULL, argv, &options, &process, &error) ||
        sandlock_process_wait(process, 30000, &result, &error)) {
        printf("# %s: %s\n", attack->name, sandlock_error_message(error));
    } else if (sandlock_result_reason(result) == SANDLOCK_REASON_EXITED) {
        outcome = sandlock_result_exit_code(result);
    } else {
        outcome = ATTACK_REFUSED; /* killed by a signal */
    }
    if (outcome == ATTACK_IMPOSSIBLE)
        printf("# %s: %s", attack->name, output(result));
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    if (attack->grants & WRITE_SHM)
        remove_leftovers();
    return outcome;
}

/* Makes the files anew, and says what they are called now. */
static void make_world(const struct attack_case *attack, const char **argv)
{
    size_t i;

    make_files();
    listen_unix(in_tree(tree, "socket"), SOCK_STREAM);
    listen_unix(in_tree(tree, "datagrams"), SOCK_DGRAM);
    for (i = 0; i < 5 && attack->arguments[i]; i++)
        argv[i + 1] = expand(attack->arguments[i]);
}

static void run_case(const struct attack_case *attack)
{
    const char *argv[7] = {program(attack->program)};

    if (attack->needs && !expected(attack->needs)) {
        test_absent = attack->needs;
        return;
    }
    make_world(attack, argv);
    if (!CHECK(run_under_policy(attack, argv, 0) == ATTACK_REFUSED))
        printf("# %s: not refused confined\n", attack->name);
    if (!attack->no_ablation && !CHECK(run_under_policy(attack, argv, 1) == ATTACK_SUCCEEDED))
        printf("# %s: did not succeed without the protection\n", attack->name);
    make_world(attack, argv);
    if (!CHECK(run_bare(argv) == ATTACK_SUCCEEDED))
        printf("# %s: did not succeed bare\n", attack->name);
}

int main(int argc, char **argv)
{
    unsigned who = getuid() == 0 ? AS_ROOT : AS_USER;
    int failed = 0, secret;
    size_t i;

    tree = strdup(make_tree());
    make_files();
    make_servers();
    make_victim();
    make_ipc();
    secret = open(in_tree(tree, "secret"), O_RDONLY);
    dup2(secret, 77); /* inheritable, as a careless host would leave it */
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 1 && strcmp(argv[1], cases[i].name))
            continue;
        if (!((cases[i].who ? cases[i].who : AS_ANY) & who))
            continue;
        test_failures = 0;
        test_absent = NULL;
        run_case(&cases[i]);
        if (test_absent)
            printf("absent attack_%s: the machine was not declared to offer %s\n", cases[i].name, test_absent);
        else
            printf("%s attack_%s\n", test_failures ? "not ok" : "ok", cases[i].name);
        fflush(stdout);
        failed |= test_failures;
    }
    kill(victim, SIGKILL);
    remove_ipc();
    remove_tree(tree);
    return failed != 0;
}
