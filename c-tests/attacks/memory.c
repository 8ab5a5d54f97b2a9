/* Attacks on limits of memory, each of which tries to hold MEBIBYTES for a second, and of time. */
#include "attack.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum { CHUNK = 1 << 20 };

/* A limit that the library reads takes a moment to notice. */
static int hold(void)
{
    sleep(1);
    return SUCCEEDED;
}

static size_t bytes(const char *mebibytes)
{
    return (size_t)atol(mebibytes) << 20;
}

/* malloc MEBIBYTES: in pieces, each used */
static int by_allocation(char **argument)
{
    size_t done;

    for (done = 0; done < bytes(argument[0]); done += CHUNK) {
        volatile char *piece = malloc(CHUNK);
        size_t at;
        if (!piece)
            return judge("malloc", -1);
        for (at = 0; at < CHUNK; at += 4096)
            piece[at] = 1;
    }
    return hold();
}

/* mmap MEBIBYTES: private, at once */
static int by_mapping(char **argument)
{
    char *memory = mmap(NULL, bytes(argument[0]), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return judge("mmap", -1);
    memset(memory, 1, bytes(argument[0]));
    return hold();
}

/* shared MEBIBYTES: anonymous and shared, which no limit of a process counts */
static int by_shared_mapping(char **argument)
{
    char *memory = mmap(NULL, bytes(argument[0]), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return judge("mmap", -1);
    memset(memory, 1, bytes(argument[0]));
    return hold();
}

static int fill(int file, size_t length)
{
    static char piece[CHUNK];
    size_t done;

    memset(piece, 1, sizeof piece);
    for (done = 0; done < length; done += CHUNK)
        if (write(file, piece, CHUNK) != CHUNK)
            return judge("write", -1);
    return hold();
}

/* memfd MEBIBYTES: never mapped */
static int by_memfd(char **argument)
{
    int file = memfd_create("attack", 0);

    return file < 0 ? cannot("make a memfd") : fill(file, bytes(argument[0]));
}

/* memfd-of-thread MEBIBYTES: in a descriptor table of the thread's own, the main thread gone */
static size_t thread_length;

static void *fill_in_thread(void *unused)
{
    int file;

    (void)unused;
    usleep(20000);
    file = memfd_create("attack", 0);
    exit(file < 0 ? cannot("make a memfd") : fill(file, thread_length));
}

static int by_headless_memfd(char **argument)
{
    pthread_t thread;

    thread_length = bytes(argument[0]);
    if (pthread_create(&thread, NULL, fill_in_thread, NULL))
        return CANNOT;
    pthread_exit(NULL);
}

static void *touch_in_thread(void *unused)
{
    char *memory = mmap(NULL, thread_length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)unused;
    usleep(20000);
    memset(memory, 1, thread_length);
    exit(hold());
}

/* headless MEBIBYTES: the main thread, by which /proc tells of a process, has ended */
static int by_headless_process(char **argument)
{
    pthread_t thread;

    thread_length = bytes(argument[0]);
    if (pthread_create(&thread, NULL, touch_in_thread, NULL))
        return CANNOT;
    pthread_exit(NULL);
}

/* tmpfs MEBIBYTES DIRECTORY: one file, closed */
static int by_tmpfs(char **argument)
{
    char path[4096];
    int file, result;

    snprintf(path, sizeof path, "%s/sandlock-attack-%d", argument[1], (int)getpid());
    file = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    if (file < 0)
        return judge("open", -1);
    if (fork() == 0) { /* whatever becomes of the writer, nobody must have it open */
        _exit(fill(file, bytes(argument[0])));
    }
    close(file);
    wait(&result);
    unlink(path);
    return WIFEXITED(result) ? WEXITSTATUS(result) : REFUSED;
}

/* tree MEBIBYTES PROCESSES: each holds its part, and none of them much */
static int by_fork_tree(char **argument)
{
    int i, count = atoi(argument[1]), status, refused = 0;
    size_t at, part = bytes(argument[0]) / (size_t)count;

    for (i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return cannot("fork");
        if (pid == 0) {
            volatile char *memory = malloc(part);
            for (at = 0; at < part; at += 4096)
                memory[at] = 1;
            _exit(hold());
        }
    }
    while (wait(&status) > 0)
        refused |= status;
    return refused ? REFUSED : SUCCEEDED;
}

/* shared-tree MEBIBYTES PROCESSES: all have it mapped and used; it counts once */
static int by_shared_tree(char **argument)
{
    int i, count = atoi(argument[1]);
    size_t length = bytes(argument[0]), at;
    volatile char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    for (i = 0; i < count; i++)
        if (fork() == 0) {
            for (at = 0; at < length; at += 4096)
                memory[at] = 1;
            _exit(hold());
        }
    while (wait(NULL) > 0)
        ;
    return SUCCEEDED;
}

/* secret MEBIBYTES: in memory that the kernel itself has no way to */
static int by_secret_memory(char **argument)
{
    enum { MOST = 7 << 20 }; /* of each process: it is locked */
    size_t done;

    for (done = 0; done < bytes(argument[0]); done += MOST) {
        int file = (int)syscall(SYS_memfd_secret, 0);
        volatile char *memory;
        size_t at;
        pid_t child;
        if (file < 0)
            return judge("memfd_secret", -1);
        child = fork();
        if (child < 0)
            return judge("fork", -1);
        if (child == 0) {
            if (ftruncate(file, MOST))
                _exit(CANNOT);
            memory = mmap(NULL, MOST, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            if (memory == MAP_FAILED)
                _exit(CANNOT);
            for (at = 0; at < MOST; at += 4096)
                memory[at] = 1;
            _exit(hold());
        }
        close(file);
    }
    return hold();
}

/* mapped-memfd MEBIBYTES: written and mapped; it counts once */
static int by_mapped_memfd(char **argument)
{
    size_t length = bytes(argument[0]), at;
    int file = memfd_create("attack", 0);
    volatile char *memory;

    if (file < 0 || ftruncate(file, (off_t)length))
        return CANNOT;
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    for (at = 0; at < length; at += 4096)
        memory[at] = 1;
    return hold();
}

/* burn MILLISECONDS PROCESSES: of processor time, by all together */
static int by_computing(char **argument)
{
    int i, count = atoi(argument[1]);
    clock_t until = atol(argument[0]) * CLOCKS_PER_SEC / 1000 / count;

    for (i = 0; i < count; i++)
        if (fork() == 0) {
            while (clock() < until)
                ;
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    return SUCCEEDED;
}

/* sleep MILLISECONDS */
static int by_sleeping(char **argument)
{
    usleep((useconds_t)atol(argument[0]) * 1000);
    return SUCCEEDED;
}

/* Has the kernel send SIGCONT after so many microseconds, and after twice as many, and so on: a signal to stop takes one that waits
 * away. To be called again and again. */
static int wake_oneself(long microseconds)
{
    enum { TIMERS = 16 };
    static timer_t timers[TIMERS];
    static int made;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
    struct itimerspec times = {.it_value.tv_nsec = 0};
    int i;

    for (; made < TIMERS; made++)
        if (timer_create(CLOCK_MONOTONIC, &event, &timers[made]))
            return -1;
    for (i = 0; i < TIMERS; i++) {
        times.it_value.tv_nsec += microseconds * 1000;
        times.it_value.tv_sec += times.it_value.tv_nsec / 1000000000;
        times.it_value.tv_nsec %= 1000000000;
        if (timer_settime(timers[i], 0, &times, NULL))
            return -1;
    }
    return 0;
}

/* behind-victim MEBIBYTES: one process holds as much and is killed for it, but its end is held up by its tracer; meanwhile another
 * takes as much. */
static int by_hiding_behind_a_victim(char **argument)
{
    int status;
    pid_t victim = fork(), other;

    if (victim == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        by_shared_mapping(argument);
        for (;;)
            pause();
    }
    if (waitpid(victim, &status, 0) != victim || ptrace(PTRACE_SETOPTIONS, victim, 0, PTRACE_O_TRACEEXIT) ||
        ptrace(PTRACE_CONT, victim, 0, 0))
        return cannot("trace");
    /* Stopped on its way out, with all that it holds. */
    if (waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status))
        return cannot("hold up the victim");
    other = fork();
    if (other == 0)
        _exit(by_shared_mapping(argument));
    if (waitpid(other, &status, 0) != other)
        return CANNOT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : REFUSED;
}

/* descriptors COUNT PROCESSES: each has so many open */
static int by_descriptors(char **argument)
{
    int i, status, refused = 0;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (i = 0; i < atoi(argument[0]); i++)
        if (dup(0) < 0)
            return cannot("duplicate a descriptor");
    for (i = 0; i < atoi(argument[1]); i++)
        if (fork() == 0)
            _exit(hold());
    while (wait(&status) > 0)
        refused |= status;
    return refused ? REFUSED : SUCCEEDED;
}

static void *do_nothing(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* outrun SHARE MICROSECONDS THREADS: compute for a second, woken so often from whatever stops it; more than SHARE per cent of a
 * processor is a success. The other threads sleep. */
static int by_waking(char **argument)
{
    int threads = atoi(argument[2]);
    double start = seconds(CLOCK_MONOTONIC), now;
    pthread_t thread;

    if (wake_oneself(atol(argument[1])))
        return cannot("make a timer");
    while (--threads > 0)
        if (pthread_create(&thread, NULL, do_nothing, NULL))
            return cannot("make a thread");
    do {
        wake_oneself(atol(argument[1]));
        now = seconds(CLOCK_MONOTONIC);
    } while (now - start < 1);
    return seconds(CLOCK_PROCESS_CPUTIME_ID) > (now - start) * atof(argument[0]) / 100 ? SUCCEEDED : REFUSED;
}

/* awake MICROSECONDS: says so and computes, woken so often from whatever stops it, for ever */
static int be_awake(char **argument)
{
    if (wake_oneself(atol(argument[0])) || write(1, "x", 1) != 1)
        return cannot("make a timer");
    for (;;)
        wake_oneself(atol(argument[0]));
}

static void *install_handlers(void *unused)
{
    for (;;) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigaction(SIGCHLD, &action, NULL);
        usleep(20000);
    }
    return unused;
}

/* hold-up GIBIBYTES: one file in memory that is mapped many times, in page tables that take long to walk and whose lock is never free for
 * long, so that whoever asks for it waits; and threads whose calls have the library ask. Another process says every 20 ms that it lives. */
static int by_holding_up_who_looks(char **argument)
{
    enum { PIECE = 16 << 20 };
    size_t all = bytes(argument[0]) << 10, at;
    int file = memfd_create("piece", 0), i;
    pthread_t thread;
    char *place;

    if (fork() == 0)
        for (;;) {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            printf("%.2f\n", (double)now.tv_sec + (double)now.tv_nsec / 1e9);
            fflush(stdout);
            usleep(20000);
        }
    place = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (file < 0 || ftruncate(file, PIECE) || place == MAP_FAILED)
        return judge("mmap", -1);
    for (at = 0; at < all; at += PIECE)
        if (mmap(place + at, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file, 0) == MAP_FAILED)
            return judge("mmap", -1);
    for (i = 0; i < 3; i++)
        pthread_create(&thread, NULL, install_handlers, NULL);
    for (i = 0;; i++)
        mprotect(place, all, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE);
}

ATTACKS({"malloc", by_allocation}, {"mmap", by_mapping}, {"shared", by_shared_mapping}, {"memfd", by_memfd},
        {"headless-memfd", by_headless_memfd}, {"headless", by_headless_process}, {"tmpfs", by_tmpfs},
        {"tree", by_fork_tree}, {"shared-tree", by_shared_tree}, {"mapped-memfd", by_mapped_memfd}, {"hold-up", by_holding_up_who_looks}, {"secret", by_secret_memory}, {"burn", by_computing},
        {"sleep", by_sleeping}, {"behind-victim", by_hiding_behind_a_victim},
        {"descriptors", by_descriptors}, {"outrun", by_waking}, {"awake", be_awake})
