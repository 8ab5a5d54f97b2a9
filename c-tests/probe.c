/* A program that says what it finds itself in: PROBE TOPIC [ARGUMENT...], one line each. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void print_descriptors(void)
{
    int fd;

    for (fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    printf("\n");
}

static void print_signals(void)
{
    sigset_t blocked;
    struct sigaction action;
    int number, changed = 0, masked = 0;

    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (number = 1; number < 65; number++) {
        masked += sigismember(&blocked, number) == 1;
        changed += sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL;
    }
    printf("blocked %d changed %d\n", masked, changed);
}

static void print_limits(char **names)
{
    static const struct {
        const char *name;
        int resource;
    } limits[] = {{"CPU", RLIMIT_CPU},     {"NOFILE", RLIMIT_NOFILE}, {"FSIZE", RLIMIT_FSIZE},
                  {"CORE", RLIMIT_CORE},   {"DATA", RLIMIT_DATA},     {"AS", RLIMIT_AS},
                  {"STACK", RLIMIT_STACK}, {"NPROC", RLIMIT_NPROC},   {"MEMLOCK", RLIMIT_MEMLOCK}};
    struct rlimit limit;
    size_t i;

    for (; *names; names++)
        for (i = 0; i < sizeof limits / sizeof *limits; i++)
            if (!strcmp(*names, limits[i].name) && getrlimit(limits[i].resource, &limit) == 0)
                printf("%s=%llu/%llu ", *names, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    printf("\n");
}

static void print_cpus(void)
{
    cpu_set_t set;
    int cpu;

    sched_getaffinity(0, sizeof set, &set);
    for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            printf("%d ", cpu);
    printf("\n");
}

static void print_status_line(const char *key)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)))
            fputs(line, stdout);
}

/* Leaves the terminal to a group that is about to be gone, with other settings. */
static int mess_terminal(void)
{
    struct termios settings;
    int status;
    pid_t pid;

    signal(SIGTTOU, SIG_IGN);
    if (tcgetattr(0, &settings))
        return 1;
    settings.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    if (tcsetattr(0, TCSANOW, &settings))
        return 2;
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        _exit(tcsetpgrp(0, getpid()) != 0);
    }
    return waitpid(pid, &status, 0) != pid || status != 0;
}

/* Writes as many bytes to each stream, by turns. */
static void flood(long bytes)
{
    char block[4096];

    memset(block, 'x', sizeof block);
    for (; bytes > 0; bytes -= (long)sizeof block) {
        size_t length = bytes < (long)sizeof block ? (size_t)bytes : sizeof block;
        if (write(1, block, length) < 0 || write(2, block, length) < 0)
            exit(3);
    }
}

static void use_memory(size_t length)
{
    volatile char *memory = malloc(length);
    size_t i;

    for (i = 0; memory && i < length; i += 4096)
        memory[i] = 1;
}

enum { ROUNDS = 5 };

static double ns_since(const struct timespec *from)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) * 1e9 + (double)(now.tv_nsec - from->tv_nsec);
}

/* Nanoseconds for one call, the smallest of several rounds. */
static double time_calls(long (*call)(const char *), const char *argument, long count)
{
    double best = 1e9;
    int round;
    long i;

    for (round = 0; round < ROUNDS; round++) {
        struct timespec from;
        double each;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (i = 0; i < count; i++)
            if (call(argument) < 0)
                exit(4);
        each = ns_since(&from) / (double)count;
        if (each < best)
            best = each;
    }
    return best;
}

static long call_getppid(const char *unused)
{
    (void)unused;
    return syscall(SYS_getppid);
}

/* What no kernel does and any answers at once: unknown flags. What the answer is does not matter. */
static long call_refused_chmod(const char *unused)
{
    (void)unused;
    syscall(452 /* fchmodat2 */, AT_FDCWD, "/", 0, 0x1000000);
    return 0;
}

static long call_openat(const char *path)
{
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -1 : close(fd);
}

static long call_fork(const char *unused)
{
    pid_t pid = fork();

    (void)unused;
    if (pid == 0)
        _exit(0);
    return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

struct caller {
    pthread_t thread;
    pthread_barrier_t *turn;
    long count;
};

static void *call_in_rounds(void *argument)
{
    struct caller *caller = argument;
    int round;
    long i;

    for (round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(caller->turn);
        for (i = 0; i < caller->count; i++)
            if (call_getppid(NULL) < 0)
                exit(4);
        pthread_barrier_wait(caller->turn);
    }
    return NULL;
}

/* Nanoseconds for one getppid of so many threads at once, all their calls counted; the smallest of several rounds. */
static double time_threads(int threads, long count)
{
    struct caller *callers = calloc((size_t)threads, sizeof *callers);
    pthread_barrier_t turn;
    double best = 1e9;
    int i, round;

    pthread_barrier_init(&turn, NULL, (unsigned)threads + 1);
    for (i = 0; i < threads; i++) {
        callers[i].turn = &turn;
        callers[i].count = count;
        if (pthread_create(&callers[i].thread, NULL, call_in_rounds, &callers[i]))
            exit(5);
    }
    for (round = 0; round < ROUNDS; round++) {
        struct timespec from;
        double each;
        pthread_barrier_wait(&turn);
        clock_gettime(CLOCK_MONOTONIC, &from);
        pthread_barrier_wait(&turn);
        each = ns_since(&from) / (double)(count * threads);
        if (each < best)
            best = each;
    }
    for (i = 0; i < threads; i++)
        pthread_join(callers[i].thread, NULL);
    free(callers);
    return best;
}

/* By TCP, over the loopback interface. */
static int talk_to_oneself(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 1) ||
        getsockname(server, (struct sockaddr *)&address, &length))
        return -1;
    return connect(client, (struct sockaddr *)&address, sizeof address);
}

static void *spin(void *unused)
{
    for (;;)
        unused = unused ? NULL : &unused;
    return NULL;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The processor time that threads which never rest get in a time, per cent of one processor. */
static double share_of(int threads, double time)
{
    double start = clock_seconds(CLOCK_MONOTONIC), used = clock_seconds(CLOCK_PROCESS_CPUTIME_ID), now;
    pthread_t thread;

    while (--threads > 0)
        if (pthread_create(&thread, NULL, spin, NULL))
            exit(3);
    do {
        now = clock_seconds(CLOCK_MONOTONIC);
    } while (now - start < time);
    return (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - used) / (now - start) * 100;
}

int main(int argc, char **argv)
{
    const char *topic = argc > 1 ? argv[1] : "";
    int i;

    if (!strcmp(topic, "arguments"))
        for (i = 2; i < argc; i++)
            printf("[%s]", argv[i]);
    else if (!strcmp(topic, "environment"))
        for (i = 0; environ[i]; i++)
            puts(environ[i]);
    else if (!strcmp(topic, "variable"))
        puts(getenv(argv[2]) ? getenv(argv[2]) : "(unset)");
    else if (!strcmp(topic, "directory"))
        puts(getcwd((char[4096]){0}, 4096));
    else if (!strcmp(topic, "umask"))
        printf("%o\n", umask(0));
    else if (!strcmp(topic, "nice"))
        printf("%d\n", getpriority(PRIO_PROCESS, 0));
    else if (!strcmp(topic, "cpus"))
        print_cpus();
    else if (!strcmp(topic, "descriptors"))
        print_descriptors();
    else if (!strcmp(topic, "signals"))
        print_signals();
    else if (!strcmp(topic, "limits"))
        print_limits(argv + 2);
    else if (!strcmp(topic, "personality"))
        printf("%x\n", personality(0xffffffff));
    else if (!strcmp(topic, "huge-pages"))
        printf("disabled %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    else if (!strcmp(topic, "stack"))
        printf("%p\n", (void *)&argc);
    else if (!strcmp(topic, "status"))
        print_status_line(argv[2]);
    else if (!strcmp(topic, "session"))
        printf("pid %d session %d group %d\n", getpid(), getsid(0), getpgrp());
    else if (!strcmp(topic, "foreground"))
        printf("group %d foreground %d\n", getpgrp(), tcgetpgrp(0));
    else if (!strcmp(topic, "mess-terminal"))
        return mess_terminal();
    else if (!strcmp(topic, "join-group"))
        return setpgid(0, atoi(argv[2])) < 0 ? errno : 0;
    else if (!strcmp(topic, "flood"))
        flood(atol(argv[2]));
    else if (!strcmp(topic, "write"))
        return write(atoi(argv[2]), argv[3], strlen(argv[3])) < 0 ? errno : 0;
    else if (!strcmp(topic, "signal"))
        kill(getpid(), atoi(argv[2]));
    else if (!strcmp(topic, "sleep"))
        for (;;)
            pause();
    else if (!strcmp(topic, "spin"))
        for (;;)
            ;
    else if (!strcmp(topic, "memory"))
        use_memory((size_t)atol(argv[2]) << 20);
    else if (!strcmp(topic, "share"))
        printf("%.3f\n", share_of(atoi(argv[2]), atof(argv[3])));
    else if (!strcmp(topic, "time-getppid"))
        printf("%.2f\n", time_calls(call_getppid, NULL, atol(argv[2])));
    else if (!strcmp(topic, "time-refused-chmod"))
        printf("%.2f\n", time_calls(call_refused_chmod, NULL, atol(argv[2])));
    else if (!strcmp(topic, "time-openat"))
        printf("%.2f\n", time_calls(call_openat, argv[3], atol(argv[2])));
    else if (!strcmp(topic, "time-fork"))
        printf("%.2f\n", time_calls(call_fork, NULL, atol(argv[2])));
    else if (!strcmp(topic, "time-threads"))
        printf("%.2f\n", time_threads(atoi(argv[2]), atol(argv[3])));
    else if (!strcmp(topic, "loopback"))
        puts(talk_to_oneself() == 0 ? "connected" : strerror(errno));
    else if (!strcmp(topic, "exit"))
        return atoi(argv[2]);
    else
        return 2;
    return 0;
}
