/* A host with an event loop and one thread of its own answers system calls in it. The program wants files that do not exist, one job after
 * the other; the loop has other things to do, a timer, the program's output and its end, and hands out a job when the timer says so. Until
 * then the call waits, and with it that thread of the program, and nobody else.
 *
 * No code of the host runs on threads of the library here: calls wait in the supervisor's queue, whose descriptor is readable while
 * there are any.
 * Build: cc epoll_loop.c $(pkg-config --cflags --libs sandlock) */
#define _POSIX_C_SOURCE 200809L
#include <sandlock.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OUTPUT = 1, CALLS = 2, TIMER = 4, END = 8 };
enum { TICK_MS = 20, MOST_TICKS = 1500 };

/* What is in /jobs/1 and so on. */
static const char *const jobs[] = {"wash the dishes\n", "dry them\n", "put them away\n"};

struct waiting {
    sandlock_pending *call;
    size_t job;
};

struct loop {
    sandlock_supervisor *supervisor;
    sandlock_process *process;
    int epoll, output, timer;
    struct waiting waiting[16]; /* in the order in which they came */
    size_t count;
    unsigned ticks;
};

static int watch(const struct loop *loop, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};

    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Looks at an openat(2). What is not about a job runs: that grants nothing, for the kernel still holds it against the path rules.
 * An answer fails if the caller has been killed meanwhile (STALE), and then there is nobody to answer. */
static void look(struct loop *loop, sandlock_pending *call)
{
    char path[64];
    size_t length, job;

    if (sandlock_pending_read_string(call, sandlock_pending_arg(call, 1), path, sizeof path, &length, NULL) ||
        strncmp(path, "/jobs/", 6)) {
        sandlock_pending_continue(call, NULL);
    } else if ((job = strtoul(path + 6, NULL, 10) - 1) >= COUNT(jobs)) {
        sandlock_pending_deny(call, ENOENT, NULL);
    } else if (loop->count == COUNT(loop->waiting)) {
        sandlock_pending_deny(call, EAGAIN, NULL); /* the program must not choose how much the host remembers */
    } else {
        loop->waiting[loop->count++] = (struct waiting){call, job};
        return;
    }
    sandlock_pending_free(call);
}

static int take_calls(struct loop *loop, sandlock_error **error)
{
    sandlock_pending *call = NULL;
    sandlock_status status;

    while (!(status = sandlock_supervisor_next(loop->supervisor, 0, &call, error)))
        look(loop, call);
    if (status != SANDLOCK_ERROR_TIMEOUT)
        return -1;
    sandlock_error_free(*error); /* that none is left is no failure */
    *error = NULL;
    return 0;
}

/* Hands out the next job. A loop must not wait for a program for ever, either: half a minute is enough. */
static int tick(struct loop *loop, sandlock_error **error)
{
    uint64_t expirations;

    if (read(loop->timer, &expirations, sizeof expirations) != sizeof expirations)
        return 0;
    if (++loop->ticks == MOST_TICKS)
        return sandlock_process_kill(loop->process, error);
    if (loop->count) {
        struct waiting first = loop->waiting[0];

        memmove(loop->waiting, loop->waiting + 1, --loop->count * sizeof first);
        printf("the timer: job %zu goes out\n", first.job + 1);
        sandlock_pending_return_bytes(first.call, jobs[first.job], strlen(jobs[first.job]), 0, NULL);
        sandlock_pending_free(first.call);
    }
    return 0;
}

/* False when there is nothing more to come. */
static int read_output(struct loop *loop)
{
    char text[4096];
    ssize_t length = read(loop->output, text, sizeof text);

    if (length > 0)
        printf("the program: %.*s", (int)length, text);
    return length > 0 || (length < 0 && errno == EINTR);
}

/* Until the program has ended and its output too. */
static int run(struct loop *loop, sandlock_error **error)
{
    int failed = 0, running = 1;

    while (!failed && (running || loop->output >= 0)) {
        struct epoll_event events[4];
        unsigned ready = 0;
        int count = epoll_wait(loop->epoll, events, COUNT(events), -1);

        if (count < 0 && errno != EINTR)
            return -1;
        while (count > 0)
            ready |= events[--count].data.u32;
        /* What the program says before it asks for the next job is shown before that goes out. */
        if (ready & OUTPUT && !read_output(loop)) {
            close(loop->output);
            loop->output = -1;
        }
        if (ready & CALLS)
            failed = take_calls(loop, error);
        if (!failed && ready & TIMER)
            failed = tick(loop, error);
        if (ready & END) {
            epoll_ctl(loop->epoll, EPOLL_CTL_DEL, sandlock_process_pidfd(loop->process), NULL);
            running = 0;
        }
    }
    return failed;
}

/* The program is cat, which may read the system's programs and libraries; the jobs it gets from the loop. */
static int start(struct loop *loop, sandlock_policy *policy, sandlock_error **error)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    static const char *const argv[] = {"cat", "/jobs/1", "/jobs/2", "/jobs/3", NULL};
    const struct itimerspec often = {{0, TICK_MS * 1000000}, {0, TICK_MS * 1000000}};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;

    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    for (size_t i = 0; i < COUNT(directories); i++)
        if (sandlock_policy_allow_path(policy, directories[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, error))
            return -1;
    /* A handler that is NULL: the calls go to the queue. The program is executed before anybody takes from it, for no call of the
     * start ever goes there. */
    if (sandlock_policy_clear_env(policy, error) || sandlock_supervisor_new(NULL, &loop->supervisor, error) ||
        sandlock_supervisor_add_handler(loop->supervisor, "openat", NULL, NULL, NULL, 0, error) ||
        sandlock_spawn(policy, loop->supervisor, argv, &options, &loop->process, error))
        return -1;
    loop->output = sandlock_process_take_stdio(loop->process, 1);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    return timerfd_settime(loop->timer, 0, &often, NULL) || watch(loop, loop->timer, TIMER) || watch(loop, loop->output, OUTPUT) ||
           watch(loop, sandlock_supervisor_fd(loop->supervisor), CALLS) || watch(loop, sandlock_process_pidfd(loop->process), END);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

int main(void)
{
    struct loop loop = {.epoll = -1, .output = -1, .timer = -1};
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    /* The program has ended when the loop has: what is left of the sandbox takes a moment. */
    int failed = start(&loop, policy, &error) || run(&loop, &error) || sandlock_process_wait(loop.process, -1, &result, &error);

    if (failed)
        fprintf(stderr, "%s\n", error ? sandlock_error_message(error) : strerror(errno));
    else
        printf("the end: exit %d\n", (int)sandlock_result_exit_code(result));
    while (loop.count)
        sandlock_pending_free(loop.waiting[--loop.count].call); /* denies it, if anybody still waits */
    close_if_open(loop.output);
    close_if_open(loop.timer);
    close_if_open(loop.epoll);
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_process_free(loop.process);
    sandlock_supervisor_free(loop.supervisor);
    sandlock_policy_free(policy);
    return failed != 0;
}
