/* Attacks on other processes, and on the limits of one's own. */
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static int signal_host(char **pid)
{
    return judge("kill", kill(atoi(pid[0]), 0));
}

static int trace_host(char **pid)
{
    long returned = ptrace(PTRACE_SEIZE, atoi(pid[0]), NULL, NULL);

    if (returned == 0)
        ptrace(PTRACE_DETACH, atoi(pid[0]), NULL, NULL);
    return judge("ptrace", returned);
}

static int read_host_memory(char **arguments)
{
    char byte;
    struct iovec local = {.iov_base = &byte, .iov_len = 1};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)strtoull(arguments[1], NULL, 16), .iov_len = 1};

    return judge("process_vm_readv", process_vm_readv(atoi(arguments[0]), &local, 1, &remote, 1, 0));
}

static int take_host_descriptor(char **pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, atoi(pid[0]), 0);

    return pidfd < 0 ? cannot("open the process") : judge("pidfd_getfd", syscall(SYS_pidfd_getfd, pidfd, 1, 0));
}

static int limit_host(char **pid)
{
    struct rlimit limit;

    if (prlimit(atoi(pid[0]), RLIMIT_CORE, NULL, &limit) < 0)
        return judge("prlimit", -1);
    return judge("prlimit", prlimit(atoi(pid[0]), RLIMIT_CORE, &limit, NULL));
}

static int renice_host(char **pid)
{
    int now = getpriority(PRIO_PROCESS, (id_t)atoi(pid[0]));

    return judge("setpriority", setpriority(PRIO_PROCESS, (id_t)atoi(pid[0]), now));
}

static int pin_host(char **pid)
{
    cpu_set_t set;

    if (sched_getaffinity(atoi(pid[0]), sizeof set, &set) < 0)
        return cannot("read the affinity");
    return judge("sched_setaffinity", sched_setaffinity(atoi(pid[0]), sizeof set, &set));
}

/* Belongs to the session of whoever started it. */
static int share_session(char **unused)
{
    (void)unused;
    return getsid(0) == getpid() ? REFUSED : SUCCEEDED;
}

/* Runs a program that is set-user-ID, and asks whether that made it somebody else. */
static int run_setuid(char **program)
{
    execl(program[0], program[0], "effective-user", (char *)NULL);
    return cannot("execute the program");
}

static int effective_user(char **unused)
{
    (void)unused;
    printf("effective user %u\n", geteuid());
    return geteuid() != getuid() ? SUCCEEDED : REFUSED;
}

/* Makes children of whoever started this program. */
static int adopt_out(char **unused)
{
    long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

    (void)unused;
    if (pid == 0)
        _exit(0);
    return judge("clone", pid);
}

/* Leaves a daemon behind that holds a lock on the file, so that its life can be observed from outside. */
static int leave_daemon(char **file)
{
    int ready[2], fd = open(file[0], O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char byte = 0;

    if (fd < 0 || pipe(ready) < 0)
        return cannot("prepare");
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            setsid();
            if (fcntl(fd, F_SETLK, &lock) == 0 && write(ready[1], "x", 1) == 1)
                for (;;)
                    pause();
        }
        _exit(0);
    }
    return read(ready[0], &byte, 1) == 1 ? SUCCEEDED : CANNOT;
}

static int use_capability(char **file)
{
    return judge("open what belongs to another", open(file[0], O_RDONLY));
}

/* --- limits: each tries to take more than the argument allows --- */

static int take_memory(char **megabytes)
{
    size_t length = (size_t)atol(megabytes[0]) << 20;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return judge("mmap", -1);
    memset(memory, 1, length);
    return SUCCEEDED;
}

static int take_heap(char **megabytes)
{
    long taken;

    for (taken = 0; taken < atol(megabytes[0]); taken++) {
        char *memory = malloc(1 << 20);
        if (!memory)
            return judge("malloc", -1);
        memset(memory, 1, 1 << 20);
    }
    return SUCCEEDED;
}

static int take_descriptors(char **count)
{
    int taken;

    for (taken = 0; taken < atoi(count[0]); taken++)
        if (dup(1) < 0)
            return judge("dup", -1);
    return SUCCEEDED;
}

static int take_processes(char **count)
{
    int started, refused = 0;

    setpgid(0, 0); /* so that the signal below reaches these processes only; a session leader has its own group already */
    for (started = 0; started < atoi(count[0]); started++) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        if (pid < 0) {
            refused = errno;
            break;
        }
    }
    printf("%d processes\n", started);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    while (wait(NULL) > 0)
        ;
    errno = refused;
    return refused ? judge("fork", -1) : SUCCEEDED;
}

static int take_disk(char **arguments)
{
    static char block[1 << 20];
    int fd = open(arguments[0], O_CREAT | O_WRONLY | O_TRUNC, 0600);
    long written;

    if (fd < 0)
        return cannot("create a file");
    signal(SIGXFSZ, SIG_IGN);
    for (written = 0; written < atol(arguments[1]); written++)
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block)
            return judge("write", -1);
    return SUCCEEDED;
}

/* time MILLISECONDS: of a processor's */
static int take_time(char **argument)
{
    struct timespec time;

    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    } while (time.tv_sec * 1000 + time.tv_nsec / 1000000 < atol(argument[0]));
    return SUCCEEDED;
}

static int deepen(volatile char *above, long kilobytes)
{
    volatile char frame[1024];

    frame[0] = above ? above[0] : 1;
    return kilobytes > 0 ? deepen(frame, kilobytes - 1) + frame[0] : 0;
}

static int take_stack(char **kilobytes)
{
    return deepen(NULL, atol(kilobytes[0])) >= 0 ? SUCCEEDED : REFUSED;
}

static int lock_memory(char **megabytes)
{
    size_t length = (size_t)atol(megabytes[0]) << 20;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? cannot("map memory") : judge("mlock", mlock(memory, length));
}

static int raise_limit(char **unused)
{
    struct rlimit limit;

    (void)unused;
    if (getrlimit(RLIMIT_RTPRIO, &limit) || limit.rlim_max >= 99)
        return cannot("find a limit to raise");
    limit.rlim_max++;
    return judge("setrlimit", setrlimit(RLIMIT_RTPRIO, &limit));
}

/* threads: of the process that has started this one, any that may be signalled */
static int signal_threads(char **unused)
{
    char path[64];
    struct dirent *entry;
    DIR *threads;
    int reached = 0;

    (void)unused;
    snprintf(path, sizeof path, "/proc/%d/task", (int)getppid());
    threads = opendir(path);
    if (!threads)
        return cannot("list the threads");
    while ((entry = readdir(threads)))
        if (entry->d_name[0] != '.' && syscall(SYS_tgkill, getppid(), atoi(entry->d_name), 0) == 0)
            reached++;
    closedir(threads);
    errno = EPERM;
    return judge("tgkill", reached ? 0 : -1);
}

ATTACKS({"kill", signal_host}, {"threads", signal_threads}, {"ptrace", trace_host}, {"vm-readv", read_host_memory},
        {"pidfd-getfd", take_host_descriptor}, {"prlimit", limit_host}, {"renice", renice_host}, {"affinity", pin_host},
        {"session", share_session}, {"run-setuid", run_setuid}, {"effective-user", effective_user},
        {"adopt-out", adopt_out}, {"daemon", leave_daemon}, {"capability", use_capability}, {"memory", take_memory}, {"heap", take_heap},
        {"descriptors", take_descriptors}, {"processes", take_processes}, {"disk", take_disk}, {"time", take_time},
        {"stack", take_stack}, {"lock", lock_memory}, {"raise-limit", raise_limit})
