/* A program that makes system calls for somebody to look at: CALLER WHAT [ARGUMENT...]. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* getppid COUNT: the last answer, and how often an answer was another than the first. */
static int call_getppid(long count)
{
    long i, first = syscall(SYS_getppid), last = first, others = 0;

    for (i = 1; i < count; i++) {
        last = syscall(SYS_getppid);
        others += last != first;
    }
    printf("%ld %d others %ld\n", last, last < 0 ? errno : 0, others);
    return 0;
}

/* open PATH [FLAGS]: what the file says, or the errno; then whether the descriptor is close-on-exec, and can be written. */
static int call_open(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t count;

    if (fd < 0) {
        printf("errno %d\n", errno);
        return 1;
    }
    count = read(fd, text, sizeof text - 1);
    text[count < 0 ? 0 : count] = 0;
    printf("fd %d cloexec %d write %d: %s\n", fd, fcntl(fd, F_GETFD) & FD_CLOEXEC, write(fd, "x", 1) == 1, text);
    return 0;
}

/* open-full PATH: the same when no descriptor is left. */
static int call_open_when_full(const char *path)
{
    while (dup(0) >= 0)
        ;
    return call_open(path);
}

struct work {
    pthread_t thread;
    long calls, wrong;
    double worst, total;
    long number;
};

static void *work(void *argument)
{
    struct work *work = argument;
    long i;

    for (i = 0; i < work->calls; i++) {
        double start = now_us(), took;
        long answer = syscall(work->number, i);
        took = now_us() - start;
        work->wrong += answer != i * 2 + 1;
        work->total += took;
        if (took > work->worst)
            work->worst = took;
    }
    return NULL;
}

/* threads COUNT CALLS: each thread calls getpgid(i), i from 0, and expects 2 * i + 1. */
static int call_from_threads(int count, long calls)
{
    struct work *works = calloc((size_t)count, sizeof *works);
    long wrong = 0;
    double worst = 0;
    int i;

    for (i = 0; i < count; i++) {
        works[i].calls = calls;
        works[i].number = SYS_getpgid;
        if (pthread_create(&works[i].thread, NULL, work, &works[i]))
            return 2;
    }
    for (i = 0; i < count; i++) {
        pthread_join(works[i].thread, NULL);
        wrong += works[i].wrong;
        if (works[i].worst > worst)
            worst = works[i].worst;
    }
    printf("wrong %ld worst %.0f\n", wrong, worst);
    return wrong != 0;
}

struct mixed {
    pthread_t thread;
    const char *path;
    long calls, wrong;
    int changes;
};

static void *call_mixed(void *argument)
{
    struct mixed *mixed = argument;
    long i;

    for (i = 0; i < mixed->calls; i++)
        if (mixed->changes)
            mixed->wrong += chmod(mixed->path, i % 2 ? 0600 : 0644) != 0;
        else
            mixed->wrong += syscall(SYS_getpgid, i) != i * 2 + 1;
    return NULL;
}

/* mixed PATH CALLS: two threads change the mode of a file, two call getpgid(i) and expect 2 * i + 1, all at once, after the first
 * two had their turn alone. */
static int call_mixed_up(const char *path, long calls)
{
    struct mixed mixed[4];
    long wrong = 0;
    int round, i;

    for (round = 0; round < 2; round++) {
        for (i = 0; i < 2 + 2 * round; i++) {
            mixed[i] = (struct mixed){0, path, calls, 0, i < 2};
            if (pthread_create(&mixed[i].thread, NULL, call_mixed, &mixed[i]))
                return 2;
        }
        for (i = 0; i < 2 + 2 * round; i++) {
            pthread_join(mixed[i].thread, NULL);
            wrong += mixed[i].wrong;
        }
    }
    printf("wrong %ld\n", wrong);
    return wrong != 0;
}

static void *call_once(void *argument)
{
    return (void *)syscall(SYS_getsid, (long)(intptr_t)argument);
}

/* beside CALLS: while one thread waits in getsid(0), another calls getppid CALLS times; prints the median and worst of those
 * in microseconds, and what getsid gave. */
static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

static int call_beside(long calls)
{
    double *took = calloc((size_t)calls, sizeof *took);
    pthread_t thread;
    void *answer;
    long i;

    pthread_create(&thread, NULL, call_once, 0);
    for (i = 0; i < calls; i++) {
        double start = now_us();
        syscall(SYS_getppid);
        took[i] = now_us() - start;
    }
    pthread_join(thread, &answer);
    qsort(took, (size_t)calls, sizeof *took, compare);
    printf("median %.0f worst %.0f slow %ld\n", took[calls / 2], took[calls - 1], (long)answer);
    return 0;
}

/* outstanding COUNT: that many threads wait in getsid(i) at once; prints the sum of the answers. */
static int call_outstanding(int count)
{
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    pthread_attr_t small;
    long sum = 0;
    int i;

    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    for (i = 0; i < count; i++)
        if (pthread_create(&threads[i], &small, call_once, (void *)(intptr_t)i))
            return 2;
    for (i = 0; i < count; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        sum += (long)answer;
    }
    printf("sum %ld\n", sum);
    return 0;
}

static char *volatile flipped;
static const char *sides[2];
static atomic_bool done;

static void *flip(void *unused)
{
    unsigned i;

    (void)unused;
    for (i = 0; !done; i++)
        memcpy(flipped, sides[i % 2], strlen(sides[i % 2]) + 1);
    return NULL;
}

/* flip ONE OTHER COUNT: opens a path that another thread changes between the two all the time; prints how often each file was
 * read, by its first letter, and how often opening failed. The paths are equally long. */
static int call_flipping(const char *one, const char *other, long count)
{
    static char path[4096];
    long letters[256] = {0}, failed = 0, i;
    pthread_t thread;

    sides[0] = one;
    sides[1] = other;
    flipped = path;
    strcpy(path, one);
    pthread_create(&thread, NULL, flip, NULL);
    for (i = 0; i < count; i++) {
        unsigned char letter = 0;
        int fd = open(path, O_RDONLY);
        if (fd < 0) {
            failed++;
            continue;
        }
        if (read(fd, &letter, 1) == 1)
            letters[letter]++;
        close(fd);
    }
    done = true;
    pthread_join(thread, NULL);
    printf("failed %ld", failed);
    for (i = 1; i < 256; i++)
        if (letters[i])
            printf(" %c %ld", (int)i, letters[i]);
    printf("\n");
    return 0;
}

/* memory: calls getsid with addresses of memory of several kinds, for a handler that reads it, and writes to it. */
static int call_with_memory(void)
{
    char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mprotect(pages + 2 * 4096, 4096, PROT_NONE);
    strcpy(pages + 4096 - 3, "across");                                 /* a string over the end of a page */
    strcpy(pages + 2 * 4096 - 8, "the end");                            /* one that ends with the last readable byte */
    printf("%ld ", syscall(SYS_getsid, pages + 4096 - 3, 1));
    printf("%ld ", syscall(SYS_getsid, pages + 2 * 4096 - 8, 2));
    printf("%ld ", syscall(SYS_getsid, pages + 2 * 4096, 3));           /* cannot be read */
    memset(pages + 2 * 4096 - 8, 'x', 8);
    printf("%ld ", syscall(SYS_getsid, pages + 2 * 4096 - 8, 4));       /* no NUL before what cannot be read */
    printf("%ld ", syscall(SYS_getsid, pages, 5));                      /* read 4 GiB, it says */
    printf("%ld ", syscall(SYS_getsid, pages, 6));                      /* written to */
    printf("%s\n", pages);
    return 0;
}

/* lingering: a daemon that calls getppid for six seconds, in a session of its own, and its parent, which exits. */
static int call_lingering(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        setsid();
        if (fork() == 0) {
            alarm(6); /* where nothing else ends it */
            for (;;)
                syscall(SYS_getppid);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    usleep(20000);
    return 0;
}

/* mortal COUNT: that many children, one after the other, call without end, and are killed after 0 to 400 microseconds. */
static int call_mortal(int count)
{
    unsigned random = 1;
    int i;

    for (i = 0; i < count; i++) {
        pid_t pid = fork();
        struct timespec pause_for = {0, 0};
        if (pid < 0)
            return 2;
        if (pid == 0)
            for (;;) {
                syscall(SYS_getppid);
                syscall(SYS_getsid, "a string to be read");
                close(open("/virtual", O_RDONLY));
            }
        random = random * 1103515245 + 12345;
        pause_for.tv_nsec = (random >> 16) % 400000;
        nanosleep(&pause_for, NULL);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    printf("survived %d\n", i);
    return 0;
}

/* storm COUNT: that many daemons, each in a session of its own and orphaned; says so, and goes on making and ending some. */
static int call_storm(int count)
{
    int i;

    for (i = 0;; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 2;
        if (pid == 0) {
            setsid();
            if (fork() == 0) {
                if (i >= count)
                    _exit(0);
                for (;;)
                    pause();
            }
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        if (i == count) {
            printf("ready\n");
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const char *one = argc > 2 ? argv[2] : "", *two = argc > 3 ? argv[3] : "", *three = argc > 4 ? argv[4] : "";

    if (!strcmp(what, "getppid"))
        return call_getppid(atol(one));
    if (!strcmp(what, "open"))
        return call_open(one);
    if (!strcmp(what, "open-full"))
        return call_open_when_full(one);
    if (!strcmp(what, "mixed"))
        return call_mixed_up(one, atol(two));
    if (!strcmp(what, "threads"))
        return call_from_threads(atoi(one), atol(two));
    if (!strcmp(what, "beside"))
        return call_beside(atol(one));
    if (!strcmp(what, "outstanding"))
        return call_outstanding(atoi(one));
    if (!strcmp(what, "flip"))
        return call_flipping(one, two, atol(three));
    if (!strcmp(what, "memory"))
        return call_with_memory();
    if (!strcmp(what, "lingering"))
        return call_lingering();
    if (!strcmp(what, "mortal"))
        return call_mortal(atoi(one));
    if (!strcmp(what, "storm"))
        return call_storm(atoi(one));
    if (!strcmp(what, "exec") && argc > 2)
        execv(argv[2], argv + 2);
    fprintf(stderr, "caller: unknown: %s\n", what);
    return 2;
}
