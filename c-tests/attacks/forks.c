/* Attacks on the limits of processes and threads: each tries to have COUNT of them at a time, program included. What they start
 * ends when the program does. */
#include "attack.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int life[2]; /* open for as long as the program lives */

static void live(void)
{
    char byte;

    close(life[1]);
    while (read(life[0], &byte, 1) < 0)
        ;
    _exit(0);
}

static int start_life(void)
{
    return pipe(life) ? cannot("make a pipe") : 0;
}

/* fork COUNT */
static int by_fork(char **argument)
{
    int i, count = atoi(argument[0]);

    if (start_life())
        return CANNOT;
    for (i = 1; i < count; i++) {
        pid_t pid = (pid_t)syscall(SYS_fork);
        if (pid < 0)
            return judge("fork", -1);
        if (pid == 0)
            live();
    }
    return SUCCEEDED;
}

/* disguised COUNT: with names that are no text */
static int by_disguise(char **argument)
{
    int i, ready[2], count = atoi(argument[0]);
    char byte;

    if (start_life() || pipe(ready))
        return CANNOT;
    for (i = 1; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return judge("fork", -1);
        if (pid == 0) {
            prctl(PR_SET_NAME, "\xff) Z 1 \xfe");
            if (write(ready[1], "x", 1) == 1)
                live();
        }
        if (read(ready[0], &byte, 1) != 1)
            return cannot("wait");
    }
    return SUCCEEDED;
}

static void *live_on(void *unused)
{
    live();
    return unused;
}

/* headless COUNT: daemons whose main thread has ended, and another lives on */
static int by_headless_daemons(char **argument)
{
    int i, count = atoi(argument[0]), ready[2];
    char byte;

    if (start_life() || pipe(ready))
        return CANNOT;
    for (i = 1; i < count; i++) {
        int status;
        pid_t pid = fork();
        if (pid < 0)
            return judge("fork", -1);
        if (pid == 0) {
            pthread_t thread;
            pid = fork();
            if (pid != 0)
                _exit(pid < 0);
            setsid();
            if (pthread_create(&thread, NULL, live_on, NULL) || write(ready[1], "x", 1) != 1)
                _exit(2);
            syscall(SYS_exit, 0);
        }
        if (waitpid(pid, &status, 0) != pid)
            return cannot("wait");
        if (status) {
            errno = EAGAIN;
            return judge("fork of a daemon", -1);
        }
        if (read(ready[0], &byte, 1) != 1)
            return cannot("wait for a daemon");
    }
    return SUCCEEDED;
}

static pid_t slow_child;

static void *fork_slowly(void *unused)
{
    slow_child = (pid_t)syscall(SYS_fork);
    if (slow_child == 0)
        live();
    return unused;
}

/* adopted COUNT: an orphan comes to the program while it starts a process that takes its time, and could be taken for that one */
static int by_adoption(char **argument)
{
    enum { LARGE = 300 << 20 };
    int i, status, count = atoi(argument[0]), alive = 1;
    char *memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    pid_t middle;

    if (start_life() || memory == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1))
        return CANNOT;
    middle = fork();
    if (middle < 0)
        return judge("fork", -1);
    if (middle == 0) {
        if (fork() == 0)
            live();
        usleep(20000);
        _exit(0);
    }
    /* Many small pages: the next fork copies tables for tens of milliseconds. */
    madvise(memory, LARGE, MADV_NOHUGEPAGE);
    memset(memory, 1, LARGE);
    if (pthread_create(&thread, NULL, fork_slowly, NULL))
        return CANNOT;
    if (waitpid(middle, &status, 0) != middle)
        return cannot("wait");
    alive++; /* the orphan */
    for (i = 0; i < count; i++) {
        pid_t pid = (pid_t)syscall(SYS_fork);
        if (pid == 0)
            live();
        if (pid < 0)
            break;
        alive++;
    }
    pthread_join(thread, NULL);
    alive += slow_child > 0;
    printf("%d alive\n", alive);
    errno = EAGAIN;
    return judge("fork", alive >= count ? 0 : -1);
}

static int live_beside(void *unused)
{
    char byte;

    (void)unused;
    /* It shares memory, but not descriptors. */
    syscall(SYS_close, life[1]);
    while (syscall(SYS_read, life[0], &byte, 1) < 0)
        ;
    syscall(SYS_exit, 0);
    return 0;
}

/* clone COUNT: processes that share memory, as posix_spawn starts them */
static int by_clone(char **argument)
{
    int i, count = atoi(argument[0]);

    if (start_life())
        return CANNOT;
    for (i = 1; i < count; i++) {
        char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED)
            return cannot("map a stack");
        if (clone(live_beside, stack + 65536, CLONE_VM | SIGCHLD, NULL) < 0)
            return judge("clone", -1);
    }
    return SUCCEEDED;
}

/* clone3 COUNT: no register says what is started */
static int by_clone3(char **argument)
{
    int i, count = atoi(argument[0]);

    if (start_life())
        return CANNOT;
    for (i = 1; i < count; i++) {
        uint64_t arguments[8] = {0, 0, 0, 0, SIGCHLD};
        long pid = syscall(SYS_clone3, arguments, sizeof arguments);
        if (pid < 0)
            return judge("clone3", -1);
        if (pid == 0)
            live();
    }
    return SUCCEEDED;
}

/* daemons COUNT: each in a session of its own, its parent gone and waited for */
static int by_daemons(char **argument)
{
    int i, count = atoi(argument[0]);

    if (start_life())
        return CANNOT;
    for (i = 1; i < count; i++) {
        int status;
        pid_t pid = fork();
        if (pid < 0)
            return judge("fork", -1);
        if (pid == 0) {
            setsid();
            pid = fork();
            if (pid == 0)
                live();
            _exit(pid < 0);
        }
        if (waitpid(pid, &status, 0) != pid)
            return cannot("wait");
        if (status) {
            errno = EAGAIN;
            return judge("fork of a daemon", -1);
        }
    }
    return SUCCEEDED;
}

/* zombies COUNT: nobody waits for them, and each holds a process id */
static int by_zombies(char **argument)
{
    int i, count = atoi(argument[0]);

    for (i = 1; i < count; i++) {
        siginfo_t info;
        pid_t pid = fork();
        if (pid < 0)
            return judge("fork", -1);
        if (pid == 0)
            _exit(0);
        waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    }
    return SUCCEEDED;
}

static atomic_int started, refused;
static int wanted;

static void *fork_on(void *unused)
{
    while (started < wanted && !refused) {
        pid_t pid = (pid_t)syscall(SYS_fork);
        if (pid == 0) {
            close(life[1]);
            live();
        }
        if (pid < 0)
            refused = errno;
        else
            started++;
    }
    return unused;
}

/* race COUNT: from many threads at once */
static int by_race(char **argument)
{
    enum { THREADS = 16 };
    pthread_t threads[THREADS];
    int i;

    wanted = atoi(argument[0]) - 1;
    if (start_life())
        return CANNOT;
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, fork_on, NULL))
            return cannot("start a thread");
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%d started\n", started + 1);
    errno = refused;
    return judge("fork", started >= wanted ? 0 : -1);
}

static void *wait_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* threads COUNT */
static int by_threads(char **argument)
{
    int i, count = atoi(argument[0]);

    for (i = 1; i < count; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 65536);
        if ((errno = pthread_create(&thread, &attributes, wait_for_ever, NULL)))
            return judge("pthread_create", -1);
    }
    return SUCCEEDED;
}

ATTACKS({"fork", by_fork}, {"clone", by_clone}, {"clone3", by_clone3}, {"daemons", by_daemons}, {"zombies", by_zombies},
        {"race", by_race}, {"disguised", by_disguise}, {"headless", by_headless_daemons}, {"adopted", by_adoption}, {"threads", by_threads})
