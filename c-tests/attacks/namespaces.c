/* Attacks on what namespaces keep apart. The rest of the sandbox is not to stop them. */
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

/* Attaches shared memory of another process. */
static int attach_memory(char **identifier)
{
    void *memory = shmat(atoi(identifier[0]), NULL, SHM_RDONLY);

    return judge("shmat", memory == (void *)-1 ? -1 : 0);
}

/* Opens a message queue of another process. */
static int open_queue(char **name)
{
    return judge("mq_open", mq_open(name[0], O_RDONLY));
}

/* Learns the name of the host. */
static int learn_host_name(char **name)
{
    struct utsname found;

    if (uname(&found))
        return cannot("ask for the host name");
    printf("host name %s\n", found.nodename);
    return strcmp(found.nodename, name[0]) ? REFUSED : SUCCEEDED;
}

/* Learns the user that runs the host, by the ids of the process or by who owns its files. */
static int learn_user(char **user)
{
    printf("user %u\n", getuid());
    return getuid() == (uid_t)atol(user[0]) ? SUCCEEDED : REFUSED;
}

/* --- processes of the host, by their numbers --- */

/* Gets a handle on a process of the host. */
static int open_process(char **pid)
{
    return judge("pidfd_open", syscall(SYS_pidfd_open, atoi(pid[0]), 0));
}

/* Learns that there is such a process, by its directory in /proc. */
static int look_up_process(char **pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%s", pid[0]);
    return judge(path, access(path, F_OK));
}

/* Learns that there is such a process, by asking where it may run. */
static int ask_for_affinity(char **pid)
{
    cpu_set_t set;

    return judge("sched_getaffinity", sched_getaffinity(atoi(pid[0]), sizeof set, &set));
}

/* --- files of the host that are mounted nowhere --- */

static int read_file(const char *path, int directory)
{
    char byte;
    int fd = openat(directory, path, O_RDONLY);

    return judge(path, fd < 0 ? -1 : read(fd, &byte, 1) == 1 ? 0 : -1);
}

/* Climbs by a chain of ".." that is longer than any path: DIRECTORY FILE. */
static int climb(char **arguments)
{
    char path[8192] = "";
    int i;

    if (chdir(arguments[0]))
        return cannot("enter the directory");
    for (i = 0; i < 64; i++)
        strcat(path, "../");
    strcat(path, arguments[1] + 1);
    return read_file(path, AT_FDCWD);
}

/* Climbs by descriptors, each the parent of the one before, to one that is its own parent, and goes down from there: DIRECTORY FILE. */
static int climb_by_descriptors(char **arguments)
{
    struct stat here, above;
    int fd = open(arguments[0], O_RDONLY | O_DIRECTORY);

    if (fd < 0)
        return cannot("open the directory");
    for (;;) {
        int parent = openat(fd, "..", O_PATH | O_DIRECTORY);
        if (parent < 0)
            return judge("..", -1);
        if (fstat(fd, &here) || fstat(parent, &above))
            return cannot("look at the directories");
        if (here.st_ino == above.st_ino && here.st_dev == above.st_dev)
            break;
        fd = parent;
    }
    return fchdir(fd) ? judge("fchdir", -1) : read_file(arguments[1] + 1, AT_FDCWD);
}

/* By what /proc says is the root of a process: PROCESS FILE. */
static int open_by_root_of(char **arguments)
{
    char path[8192];

    snprintf(path, sizeof path, "/proc/%s/root%s", arguments[0], arguments[1]);
    return read_file(path, AT_FDCWD);
}

/* By a symbolic link that it lays itself, absolute or climbing from the directory: DIRECTORY FILE [climbing]. */
static int open_by_link(char **arguments)
{
    char link[8192], target[8192] = "";
    int i, judged;

    snprintf(link, sizeof link, "%s/link", arguments[0]);
    if (arguments[2])
        for (i = 0; i < 64; i++)
            strcat(target, "../");
    strcat(target, arguments[1] + (arguments[2] ? 1 : 0));
    unlink(link);
    if (symlink(target, link))
        return cannot("make a link");
    judged = read_file(link, AT_FDCWD);
    unlink(link);
    return judged;
}

/* By a second chroot(2), which leaves the working directory outside of the root: DIRECTORY FILE. */
static int leave_chroot(char **arguments)
{
    char path[8192] = "";
    int i;

    if (chdir(arguments[0]) || (mkdir("jail", 0755) && errno != EEXIST))
        return cannot("make a directory");
    if (chroot("jail"))
        return judge("chroot", -1);
    for (i = 0; i < 64; i++)
        strcat(path, "../");
    strcat(path, arguments[1] + 1);
    return read_file(path, AT_FDCWD);
}

/* By a file handle, as name_to_handle_at(2) gave it to somebody outside: DIRECTORY TYPE BYTES, in hexadecimal. */
static int open_handle(char **arguments)
{
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } known = {.handle = {.handle_type = atoi(arguments[1])}};
    int directory = open(arguments[0], O_RDONLY | O_DIRECTORY), fd;
    unsigned byte, length = 0;
    char first;

    if (directory < 0)
        return cannot("open the directory");
    for (; sscanf(arguments[2] + length * 2, "%2x", &byte) == 1; length++)
        known.handle.f_handle[length] = (unsigned char)byte;
    known.handle.handle_bytes = length;
    fd = (int)syscall(SYS_open_by_handle_at, directory, &known, O_RDONLY);
    return judge("open_by_handle_at", fd < 0 ? -1 : read(fd, &first, 1) == 1 ? 0 : -1);
}

/* --- the init of the namespace --- */

static void try_on_init(const char *what, long returned)
{
    printf("%s: %s\n", what, returned >= 0 ? "done" : strerror(errno));
}

/* Whatever could end, stop, trace or rob the first process of the namespace. Says what each came to, and waits for what ends it. */
static int attack_init(char **unused)
{
    static const char *const files[] = {"mem", "environ", "maps", "fd/0", "exe", "root/", "cwd/", "ns/pid", "stack", "syscall"};
    static const int signals[] = {SIGKILL, SIGSTOP, SIGTERM, SIGINT, SIGSEGV, SIGCHLD, SIGTSTP};
    char byte, path[64];
    struct iovec local = {.iov_base = &byte, .iov_len = 1}, remote = {.iov_base = (void *)0x10000, .iov_len = 1};
    int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);
    size_t i;

    (void)unused;
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        int fd;
        snprintf(path, sizeof path, "/proc/1/%s", files[i]);
        fd = open(path, O_RDONLY);
        try_on_init(files[i], fd < 0 ? -1 : read(fd, &byte, 1));
    }
    try_on_init("process_vm_readv", process_vm_readv(1, &local, 1, &remote, 1, 0));
    try_on_init("process_vm_writev", process_vm_writev(1, &local, 1, &remote, 1, 0));
    try_on_init("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 0, 0));
    try_on_init("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, 1, NULL, NULL));
    try_on_init("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    for (i = 0; i < sizeof signals / sizeof *signals; i++)
        kill(1, signals[i]);
    for (i = 0; i < 100; i++)
        kill(1, SIGRTMIN);
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    kill(-1, SIGCONT);
    /* An orphan that ends is still reaped. */
    if (fork() == 0) {
        if (fork() == 0)
            _exit(0);
        _exit(0);
    }
    wait(NULL);
    puts("alive");
    return SUCCEEDED;
}

ATTACKS({"attach-memory", attach_memory}, {"open-queue", open_queue}, {"host-name", learn_host_name},
        {"user", learn_user}, {"open-process", open_process}, {"look-up-process", look_up_process},
        {"ask-for-affinity", ask_for_affinity}, {"climb", climb}, {"climb-by-descriptors", climb_by_descriptors},
        {"root-of", open_by_root_of}, {"link", open_by_link}, {"chroot", leave_chroot}, {"handle", open_handle},
        {"init", attack_init})
