/* What network rules cost: what is sent over a connection that they allow, and what the library does for the program. */
#include "bench.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAIRS = 25, TRAFFIC_PAIRS = 60, REDIS_PAIRS = 41 };

static sandlock_policy *network_policy(const char *rule, unsigned port)
{
    sandlock_policy *policy = make_policy();
    sandlock_error *error = NULL;
    char text[64];

    snprintf(text, sizeof text, "%s:%u", rule, port);
    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    if (sandlock_policy_allow_net(policy, text, &error)) {
        fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
        exit(1);
    }
    return policy;
}

/* One pair: in the sandbox, and beside it under another policy or, without one, bare. The first of the two by turns. */
static void measure_pair(const sandlock_policy *policy, const sandlock_policy *other, const char *const *argv, int index,
                         double *ours, double *theirs)
{
    int turn;

    for (turn = 0; turn < 2; turn++)
        if ((index + turn) % 2)
            ours[index] = measure_sandboxed(policy, argv);
        else
            theirs[index] = other ? measure_sandboxed(other, argv) : measure_reference(BARE, argv);
}

static void compare_with_bare(const char *name, const char *unit, const sandlock_policy *policy, const char *const *argv, int pairs,
                              double most)
{
    double ours[MOST], theirs[MOST];
    int i;

    for (i = 0; i < pairs; i++)
        measure_pair(policy, NULL, argv, i, ours, theirs);
    figure(name, "bare", unit, ours, theirs, pairs, most);
}

/* How many round trips of user notification comes to what the library does for a call: what the call takes longer than beside it, over
 * one round trip to the least that can serve a call. All three are measured one after the other, so the ratio is of neighbours. */
static void count_round_trips(const char *name, const char *beside, const sandlock_policy *policy, const sandlock_policy *other,
                              const char *const *argv, double most)
{
    const char *const trapped[] = {self, "--client", "getppid", argv[3], "200", NULL};
    double ours[PAIRS], theirs[PAIRS], added[PAIRS], round_trips[PAIRS];
    char on_behalf[100];
    int i;

    for (i = 0; i < PAIRS; i++) {
        measure_pair(policy, other, argv, i, ours, theirs);
        added[i] = ours[i] - theirs[i];
        round_trips[i] = measure_reference(SERVED, trapped);
    }
    figure(name, beside, "ns", ours, theirs, PAIRS, 0);
    snprintf(on_behalf, sizeof on_behalf, "%s, what that adds", name);
    figure(on_behalf, "a round trip to a minimal blocking loop", "ns", added, round_trips, PAIRS, most);
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- Redis, a program of others --- */

/* Where Debian has it: under its own name in redis-server, and under this one, which goes by the name that it is called, in redis-tools
 * beside the client. */
static const char *const servers[] = {"/usr/bin/redis-server", "/usr/bin/redis-check-rdb"}, client[] = "/usr/bin/redis-benchmark";

static unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (one < 0 || bind(one, (struct sockaddr *)&address, length) || getsockname(one, (struct sockaddr *)&address, &length))
        die("bind");
    close(one);
    return ntohs(address.sin_port);
}

/* A server that keeps nothing, and ends with the bench. It is there when it says so; its log stays open, for it to be written to. */
static pid_t start_redis(unsigned port, FILE **log)
{
    char text[8], line[512];
    const char *const argv[] = {"redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                                "--daemonize", "no", "--logfile", "", NULL};
    int ends[2];
    pid_t pid;

    snprintf(text, sizeof text, "%u", port);
    if (pipe2(ends, O_CLOEXEC))
        die("pipe");
    if ((pid = start_apart()) == 0) {
        dup2(ends[1], 1);
        execv(servers[0], (char *const *)argv);
        execv(servers[1], (char *const *)argv);
        _exit(127);
    }
    close(ends[1]);
    *log = fdopen(ends[0], "r");
    while (fgets(line, sizeof line, *log))
        if (strstr(line, "Ready to accept connections"))
            return pid;
    fprintf(stderr, "bench: redis-server ended\n");
    exit(1);
}

/* Seven system calls a request: what any filter costs them, one of a single instruction too, is measured in the same run. */
static void compare_redis(const char *test, const sandlock_policy *policy, const char *const *argv)
{
    double ours[REDIS_PAIRS], filtered[REDIS_PAIRS], bare[REDIS_PAIRS];
    char name[64];
    int i, turn;

    for (i = 0; i < REDIS_PAIRS; i++)
        for (turn = 0; turn < 3; turn++)
            switch ((i + turn) % 3) {
            case 0:
                ours[i] = measure_sandboxed(policy, argv);
                break;
            case 1:
                filtered[i] = measure_reference(FILTERED, argv);
                break;
            default:
                bare[i] = measure_reference(BARE, argv);
            }
    snprintf(name, sizeof name, "redis-benchmark %s, tcp://ADDRESS", test);
    figure(name, "bare", "us", ours, bare, REDIS_PAIRS, 1.03);
    figure(name, "under a filter of one instruction", "us", ours, filtered, REDIS_PAIRS, 1.03);
    snprintf(name, sizeof name, "redis-benchmark %s, one instruction", test);
    figure(name, "bare", "us", filtered, bare, REDIS_PAIRS, 0);
}

static void bench_redis(void)
{
    enum { REQUESTS = 25000 };
    static const char *const tests[] = {"SET", "GET"};
    char command[256];
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    unsigned port = free_port();
    sandlock_policy *policy = network_policy("tcp://127.0.0.1", port);
    FILE *log;
    pid_t pid = start_redis(port, &log);
    size_t i;

    for (i = 0; i < sizeof tests / sizeof *tests; i++) {
        /* What comes in quotes is the test, and how many requests it did in a second. */
        snprintf(command, sizeof command,
                 "%s -h 127.0.0.1 -p %u -n %d -P 1 -t %s -q --csv | awk -F '\"' 'END { printf \"%%.4f\", 1e6 / $4 }'", client, port,
                 REQUESTS, tests[i]);
        compare_redis(tests[i], policy, argv);
    }
    sandlock_policy_free(policy);
    end(pid);
    fclose(log);
}

/* --- all of them --- */

void bench_network(void)
{
    uint16_t port;
    pid_t server = start_server(&port);
    char text[8];
    const char *const requests[] = {self, "--client", "requests", text, "100", NULL};
    const char *const plain_requests[] = {self, "--client", "plain-requests", text, "100", NULL};
    const char *const stream[] = {self, "--client", "stream", text, "100", NULL};
    const char *const connect[] = {self, "--client", "connect", text, "50", NULL};
    const char *const sendto[] = {self, "--client", "sendto", text, "200", NULL};
    const char *const sendmsg[] = {self, "--client", "sendmsg", text, "200", NULL};
    const char *const open[] = {self, "--client", "open", text, "200", NULL};
    sandlock_policy *of_address = network_policy("tcp://127.0.0.1", port), *of_port = network_policy("tcp://*", port),
                    *of_both = network_policy("127.0.0.1", port), *of_name = network_policy("tcp://localhost", port);
    sandlock_error *error = NULL;

    snprintf(text, sizeof text, "%u", port);
    if (sandlock_policy_check(of_name, &error)) {
        printf("no figures with network rules: %s\n", sandlock_error_message(error));
        sandlock_error_free(error);
    } else {
        compare_with_bare("64 bytes sent and answered, tcp://ADDRESS", "ns", of_address, requests, TRAFFIC_PAIRS, 1.02);
        compare_with_bare("the same, written and read", "ns", of_address, plain_requests, TRAFFIC_PAIRS, 1.02);
        compare_with_bare("64 KiB written, tcp://ADDRESS", "ns", of_address, stream, TRAFFIC_PAIRS, 1.02);
        count_round_trips("connect, close, tcp://ADDRESS", "bare", of_address, NULL, connect, 4);
        compare_with_bare("connect, close, tcp://*:PORT", "ns", of_port, connect, PAIRS, 1.1);
        count_round_trips("sendto by UDP, ADDRESS", "bare", of_both, NULL, sendto, 0);
        count_round_trips("sendmsg by TCP, ADDRESS", "bare", of_both, NULL, sendmsg, 0);
        count_round_trips("open, close, tcp://NAME", "tcp://ADDRESS", of_name, of_address, open, 0);
        if (access(client, X_OK) == 0)
            bench_redis();
        else
            printf("redis-benchmark is not installed: no figures of it\n");
    }
    sandlock_policy_free(of_address);
    sandlock_policy_free(of_port);
    sandlock_policy_free(of_both);
    sandlock_policy_free(of_name);
    end(server);
}
