/* Attacks on the kernel's wider interface: namespaces, mounts, other ABIs, IPC, terminals. */
#include "attack.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NOWHERE ((void *)8)

static int unshare_user(char **unused)
{
    (void)unused;
    return judge("unshare", unshare(CLONE_NEWUSER));
}

static int wait_for(long pid, const char *what)
{
    int status;

    if (pid < 0)
        return judge(what, -1);
    return waitpid((pid_t)pid, &status, 0) == pid && WIFEXITED(status) ? SUCCEEDED : REFUSED;
}

static int clone_user(char **unused)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

    (void)unused;
    if (pid == 0)
        _exit(0);
    return wait_for(pid, "clone");
}

/* The flags lie in memory, where a filter cannot look. */
static int clone3_user(char **unused)
{
    struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);

    (void)unused;
    if (pid == 0)
        _exit(0);
    return wait_for(pid, "clone3");
}

/* Joining one's own namespace takes no privilege that a descriptor would not show. */
static int join_namespace(char **unused)
{
    (void)unused;
    return judge_reached("setns", setns(-1, CLONE_NEWNS));
}

static int old_mount(char **unused)
{
    (void)unused;
    return judge_reached("mount", syscall(SYS_mount, NOWHERE, NOWHERE, NOWHERE, 0, NOWHERE));
}

/* A file system on a descriptor, by the interface that came with Linux 5.2. For a privileged user. */
static int new_mount(char **unused)
{
    int context = (int)syscall(SYS_fsopen, "tmpfs", 0);

    (void)unused;
    if (context < 0)
        return judge("fsopen", -1);
    if (syscall(SYS_fsconfig, context, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) < 0)
        return judge("fsconfig", -1);
    return judge("fsmount", syscall(SYS_fsmount, context, 0, 0));
}

static int take_mount_tree(char **unused)
{
    (void)unused;
    return judge("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 0));
}

static int new_root(char **unused)
{
    (void)unused;
    return judge("chroot", chroot("/"));
}

#ifdef __x86_64__
/* The 32-bit call gate: other numbers, and no filter for them unless somebody thought of it. */
static long by_interrupt(long number, long first, long second, long third)
{
    long returned;

    __asm__ volatile("int $0x80" : "=a"(returned) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
    if (returned >= -4095 && returned < 0) {
        errno = (int)-returned;
        return -1;
    }
    return returned;
}

static int interrupt_getpid(char **unused)
{
    (void)unused;
    return judge("getpid by int 0x80", by_interrupt(20, 0, 0, 0));
}

static int interrupt_mount(char **unused)
{
    (void)unused;
    return judge_reached("mount by int 0x80", by_interrupt(21, 8, 8, 8));
}

static int x32_getpid(char **unused)
{
    (void)unused;
    return judge("getpid by x32", syscall(0x40000000 | SYS_getpid));
}
#endif

static int set_up_io_uring(char **unused)
{
    char parameters[120] = {0};

    (void)unused;
    return judge("io_uring_setup", syscall(SYS_io_uring_setup, 1, parameters));
}

static int load_bpf(char **unused)
{
    struct {
        uint32_t type, key_size, value_size, max_entries;
    } map = {.type = 2, .key_size = 4, .value_size = 4, .max_entries = 1};

    (void)unused;
    return judge("bpf", syscall(SYS_bpf, 0 /* BPF_MAP_CREATE */, &map, sizeof map));
}

static int open_perf_event(char **unused)
{
    struct perf_event_attr event = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};

    (void)unused;
    return judge("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
}

static int open_userfaultfd(char **unused)
{
    (void)unused;
    return judge("userfaultfd", syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */));
}

static int watch_files(char **unused)
{
    (void)unused;
    return judge("fanotify_init", fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY));
}

static int add_key(char **unused)
{
    (void)unused;
    return judge("add_key", syscall(SYS_add_key, "user", "attack", "x", 1, KEY_SPEC_PROCESS_KEYRING));
}

static int shared_memory(char **unused)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

    (void)unused;
    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    return judge("shmget", id);
}

static int message_queue(char **unused)
{
    mqd_t queue = mq_open("/sandlock-attack", O_CREAT | O_RDWR, 0600, NULL);

    (void)unused;
    if (queue >= 0)
        mq_unlink("/sandlock-attack");
    return judge("mq_open", queue);
}

static int file_handle(char **unused)
{
    struct {
        struct file_handle handle;
        char bytes[128];
    } handle = {.handle.handle_bytes = 128};
    int mount;

    (void)unused;
    return judge("name_to_handle_at", name_to_handle_at(AT_FDCWD, "/usr", &handle.handle, &mount, 0));
}

static int change_personality(char **unused)
{
    (void)unused;
    return judge("personality", personality(ADDR_NO_RANDOMIZE));
}

static int set_dumpable(char **unused)
{
    (void)unused;
    return judge("PR_SET_DUMPABLE", prctl(PR_SET_DUMPABLE, 0));
}

static int read_kernel_log(char **unused)
{
    (void)unused;
    return judge("syslog", syscall(SYS_syslog, 10 /* size of the buffer */, NULL, 0));
}

/* Types a line into a terminal of its own, as one would into one shared with the host. The argument is or-ed to the request:
 * the kernel reads 32 bits of it. */
static int type_into_terminal(char **high_bits)
{
    unsigned long request = TIOCSTI | strtoul(high_bits[0], NULL, 0) << 32;
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave;

    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return cannot("open a terminal");
    if (getsid(0) != getpid() && setsid() < 0)
        return cannot("start a session");
    slave = open(ptsname(master), O_RDWR);
    if (slave < 0)
        return cannot("open the terminal's other side");
    return judge("TIOCSTI", syscall(SYS_ioctl, slave, request, "x"));
}

ATTACKS({"unshare-user", unshare_user}, {"clone-user", clone_user}, {"clone3-user", clone3_user},
        {"setns", join_namespace}, {"mount", old_mount}, {"new-mount", new_mount}, {"open-tree", take_mount_tree},
        {"chroot", new_root},
#ifdef __x86_64__
        {"int80-getpid", interrupt_getpid}, {"int80-mount", interrupt_mount}, {"x32-getpid", x32_getpid},
#endif
        {"io-uring", set_up_io_uring}, {"bpf", load_bpf}, {"perf", open_perf_event}, {"userfaultfd", open_userfaultfd},
        {"fanotify", watch_files}, {"add-key", add_key}, {"shmget", shared_memory}, {"mq-open", message_queue},
        {"file-handle", file_handle}, {"personality", change_personality}, {"dumpable", set_dumpable},
        {"syslog", read_kernel_log}, {"tiocsti", type_into_terminal})
