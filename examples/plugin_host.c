/* A host of plugins that nobody trusts. It keeps 50 workers: confined processes that live long and answer requests, one line each, over a
 * socket; in every round each is asked something. A worker that dies, exceeds its limit, breaks the protocol or gives no answer in time is
 * replaced; one that fails again and again is given up. In the end all are asked to go, and the host looks whether it has left any
 * descriptor open. The plugin is a shell script here, which has trouble with certain numbers, so that all of this happens.
 * Build: cc plugin_host.c $(pkg-config --cflags --libs sandlock) */
#define _POSIX_C_SOURCE 200809L
#include <sandlock.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WORKERS = 50, ROUNDS = 6, PATIENCE_MS = 2000, MOST_RESTARTS = 3, LONGEST = 32 };

static const char plugin[] = "read -r factor </plugin/factor && echo ready\n"
                             "while read -r number; do\n"
                             "    case $number in\n"
                             "    702) while :; do :; done ;;\n"
                             "    2102) while :; do number=$number$number; done ;;\n"
                             "    330[2-5]) exit 9 ;;\n"
                             "    4203) echo 'ready to rule the world, and not to answer anything' ;;\n"
                             "    esac\n"
                             "    echo $((number * factor))\n"
                             "done\n";

struct worker {
    sandlock_process *process; /* NULL: given up */
    int socket, restarts;
    enum { ASKED, ANSWERED, WRONG, GONE } state;
    char expected[LONGEST], heard[LONGEST];
    size_t length; /* of what was heard */
};

struct host {
    sandlock_policy *policy; /* one for all: what a start takes is prepared once */
    sandlock_supervisor *supervisor;
    struct worker workers[WORKERS];
};

/* A file that exists for the plugins alone. Runs on threads of the library, several at a time: it touches nothing that changes. */
static int32_t open_factor(sandlock_notification *call, void *unused)
{
    char path[32];
    size_t length;

    (void)unused;
    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length, NULL) ||
        strcmp(path, "/plugin/factor"))
        return SANDLOCK_HANDLER_PASS;
    sandlock_notification_return_bytes(call, "3\n", 2, 0, NULL);
    return SANDLOCK_HANDLER_DONE;
}

/* One process each, 64 MiB, the system's programs, and nothing else. */
static int set_up(struct host *host, sandlock_error **error)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    const uint64_t access = SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL;

    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (sandlock_policy_allow_path(host->policy, directories[i], access, error))
            return -1;
    return sandlock_policy_clear_env(host->policy, error) ||
           sandlock_policy_set_limit(host->policy, SANDLOCK_LIMIT_MEMORY, 64 << 20, error) ||
           sandlock_policy_set_limit(host->policy, SANDLOCK_LIMIT_PROCESSES, 1, error) ||
           sandlock_supervisor_new(NULL, &host->supervisor, error) ||
           sandlock_supervisor_add_handler(host->supervisor, "openat", open_factor, NULL, NULL, 0, error);
}

/* One socket is input and output. Pipes would do, but writing to a pipe whose reader is dead raises SIGPIPE, and to one whose reader does
 * not read it blocks; send(2) can be told to do neither. */
static int start(const struct host *host, struct worker *worker, sandlock_error **error)
{
    static const char *const argv[] = {"sh", "-c", plugin, NULL};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    int pair[2];

    *worker = (struct worker){.socket = -1, .restarts = worker->restarts, .expected = "ready\n"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return -1;
    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_FD;
    options.stdin_fd = options.stdout_fd = pair[1];
    options.stderr_mode = SANDLOCK_STDIO_NULL;
    if (sandlock_spawn(host->policy, host->supervisor, argv, &options, &worker->process, error))
        close(pair[0]);
    else
        worker->socket = pair[0];
    close(pair[1]); /* or its end would never be noticed */
    return worker->process ? 0 : -1;
}

/* A worker that does not take its request will give no answer either, and is found out by that. */
static void ask(struct worker *worker, int number)
{
    char request[LONGEST];

    snprintf(request, sizeof request, "%d\n", number);
    snprintf(worker->expected, sizeof worker->expected, "%d\n", number * 3);
    worker->state = ASKED;
    worker->length = 0;
    send(worker->socket, request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What a plugin says is as little trusted as what it does: no more of it is kept than there is room, and whatever is not expected is wrong. */
static void hear(struct worker *worker)
{
    ssize_t got = recv(worker->socket, worker->heard + worker->length, sizeof worker->heard - worker->length, MSG_DONTWAIT);

    worker->length += got > 0 ? (size_t)got : 0;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        worker->state = GONE;
    else if (strncmp(worker->heard, worker->expected, worker->length))
        worker->state = WRONG;
    else if (worker->length == strlen(worker->expected))
        worker->state = ANSWERED;
}

/* Until everybody has answered, or nobody has said anything for too long. How many have answered. */
static int collect(struct host *host)
{
    struct worker *workers = host->workers;

    for (;;) {
        struct pollfd polled[WORKERS];
        int asked = 0, answered = 0;

        for (int i = 0; i < WORKERS; i++) {
            const int waits = workers[i].process && workers[i].state == ASKED;

            polled[i] = (struct pollfd){waits ? workers[i].socket : -1, POLLIN, 0}; /* poll(2) ignores a negative one */
            asked += waits;
            answered += workers[i].process && workers[i].state == ANSWERED;
        }
        if (!asked || poll(polled, WORKERS, PATIENCE_MS) == 0)
            return answered;
        for (int i = 0; i < WORKERS; i++)
            if (polled[i].fd >= 0 && polled[i].revents)
                hear(&workers[i]);
    }
}

/* One that has hung up has ended, or is about to, and how it ends is its own to say. Everybody else is killed. */
static int end(struct worker *worker, sandlock_result **result, sandlock_error **error)
{
    int failed = (worker->state != GONE || sandlock_process_wait(worker->process, PATIENCE_MS, result, NULL)) &&
                 (sandlock_process_kill(worker->process, error) || sandlock_process_wait(worker->process, -1, result, error));

    sandlock_process_free(worker->process); /* would kill it, too */
    close(worker->socket);
    worker->process = NULL;
    return failed;
}

/* Replaces those who have failed. How many that were, or -1. */
static int judge(struct host *host, sandlock_error **error)
{
    int replaced = 0;

    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = &host->workers[i];
        sandlock_result *result = NULL;

        if (!worker->process || worker->state == ANSWERED)
            continue;
        if (end(worker, &result, error))
            return -1;
        printf("worker %d ", i);
        if (sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY)
            printf("has exceeded its limit of memory: ");
        else if (worker->state == GONE)
            printf("has exited with %" PRId32 ": ", sandlock_result_exit_code(result));
        else
            printf("has given %s: ", worker->state == WRONG ? "a wrong answer" : "no answer in time");
        sandlock_result_free(result);
        if (worker->restarts++ == MOST_RESTARTS) {
            printf("given up\n");
            continue;
        }
        printf("replaced\n");
        if (start(host, worker, error))
            return -1;
        replaced++;
    }
    return replaced;
}

static int run(struct host *host, sandlock_error **error)
{
    struct worker *workers = host->workers;
    int replaced = 0;

    for (int i = 0; i < WORKERS; i++)
        if (start(host, &workers[i], error))
            return -1;
    printf("%d are ready\n", collect(host));
    for (int round = 1; round <= ROUNDS; round++) {
        for (int i = 0; i < WORKERS; i++)
            if (workers[i].process)
                ask(&workers[i], i * 100 + round);
        printf("round %d: %d have answered\n", round, collect(host));
        while ((replaced = judge(host, error)) > 0)
            collect(host); /* the new ones have to say that they are ready */
        if (replaced < 0)
            return -1;
    }
    return 0;
}

/* All are told at once, by the end of their input, and then waited for. */
static int shut_down(struct host *host, sandlock_error **error)
{
    int in_order = 0;

    for (int i = 0; i < WORKERS; i++)
        if (host->workers[i].process)
            shutdown(host->workers[i].socket, SHUT_WR);
    for (int i = 0; i < WORKERS; i++) {
        sandlock_result *result = NULL;

        host->workers[i].state = GONE;
        if (host->workers[i].process && end(&host->workers[i], &result, error))
            return -1;
        in_order += result && sandlock_result_reason(result) == SANDLOCK_REASON_EXITED;
        sandlock_result_free(result);
    }
    return in_order;
}

static int open_descriptors(void)
{
    int number = 0;

    for (int fd = 0; fd < 1024; fd++)
        number += fcntl(fd, F_GETFD) != -1;
    return number;
}

int main(void)
{
    static struct host host;
    const int before = open_descriptors();
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    sandlock_error *error = NULL;
    int left, ended = 0, failed;

    host.policy = sandlock_policy_new();
    failed = set_up(&host, &error) || run(&host, &error);
    if (host.supervisor && ((ended = shut_down(&host, failed ? NULL : &error)) < 0 || sandlock_supervisor_stats(host.supervisor, &stats, NULL)))
        failed = 1;
    if (failed)
        fprintf(stderr, "%s\n", error ? sandlock_error_message(error) : strerror(errno));
    printf("the end: %d have ended in order; the factor was asked for %" PRIu64 " times\n", ended, stats.returned);
    sandlock_error_free(error);
    sandlock_supervisor_free(host.supervisor);
    sandlock_policy_free(host.policy);
    left = open_descriptors() - before;
    printf("descriptors left open: %d\n", left);
    return failed || left;
}
