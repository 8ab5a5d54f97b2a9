/* What the bindings cost over the C API: starting a program and waiting for it, and a call that a handler answers.
 *
 * For each language there is a worker, a program beside the bench that does the same as the worker in C and says how long it took.
 * Both run at once and are asked by turns, so that whatever slows the machine down slows both; and as a process is a few per cent
 * faster or slower than the next one for as long as it lives, from where its memory is, they are started anew a few times. A line on a
 * worker's standard input is a task, a line on its standard output the answer, in nanoseconds:
 *
 *     spawn N     starts /bin/true N times, waits for it and gives the sandbox back: all of that
 *     handler N   runs the measuring program, which makes rounds of N calls that a handler answers: one call
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum { STARTS = 5, SPAWN_PAIRS = 40, HANDLER_PAIRS = 12 }; /* pairs of each start */

struct worker {
    const char *language;
    FILE *tasks, *answers;
};

static double ask(const struct worker *worker, const char *task)
{
    char line[64];

    if (fprintf(worker->tasks, "%s\n", task) < 0 || fflush(worker->tasks) || !fgets(line, sizeof line, worker->answers)) {
        fprintf(stderr, "bench: the worker in %s has ended\n", worker->language);
        exit(1);
    }
    return atof(line);
}

static struct worker start_worker(const char *language, const char *const *argv)
{
    struct worker worker = {.language = language};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int in[2], out[2], i;
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    /* Each in a session of its own: the kernel shares processors out by sessions (autogroup). */
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    if (posix_spawn(&pid, argv[0], &actions, &attributes, (char *const *)argv, environ))
        die(argv[0]);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(out[1]);
    worker.tasks = fdopen(in[1], "w");
    worker.answers = fdopen(out[0], "r");
    /* What is made once is there before anything is timed: what the policy comes to, code that is compiled when it is hot. */
    for (i = 0; i < 10; i++) {
        ask(&worker, "spawn 20");
        ask(&worker, "handler 200");
    }
    return worker;
}

/* It ends with its input. */
static void end_worker(struct worker *worker)
{
    char line[64];

    fclose(worker->tasks);
    while (fgets(line, sizeof line, worker->answers))
        ;
    fclose(worker->answers);
}

struct pairs {
    double ours[MOST], theirs[MOST];
    int count;
};

static void ask_both(struct pairs *pairs, double factor, const char *task, const struct worker *one, const struct worker *in_c, int count)
{
    int i, turn;

    for (i = 0; i < count; i++, pairs->count++)
        for (turn = 0; turn < 2; turn++) {
            int is_ours = (i + turn) % 2;
            *(is_ours ? &pairs->ours[pairs->count] : &pairs->theirs[pairs->count]) = ask(is_ours ? one : in_c, task) * factor;
        }
}

static void print_pairs(const char *name, const char *language, const char *unit, struct pairs *pairs, double most)
{
    char title[100];

    snprintf(title, sizeof title, "%s, %s", name, language);
    figure(title, "the C API doing the same", unit, pairs->ours, pairs->theirs, pairs->count, most);
}

void bench_bindings(void)
{
    /* Of Node.js there is no more than a figure. C beside C says what such a comparison is worth. */
    static const struct {
        const char *language, *program;
        double most;
    } bindings[] = {{"C again", NULL, 0}, {"C++", "bench-cpp", 1.1}, {"Go", "bench-go", 1.1}, {"Python", "bench-python", 1.3},
                    {"Node.js", "bench-node", 0}};
    const char *const c_argv[] = {self, "--worker", probe, NULL};
    size_t i;

    for (i = 0; i < sizeof bindings / sizeof *bindings; i++) {
        char path[PATH_MAX + 64], reason[200] = "";
        const char *const argv[] = {path, probe, NULL};
        struct pairs spawned = {.count = 0}, handled = {.count = 0};
        FILE *file;
        int start;

        snprintf(path, sizeof path, "%s/%s.absent", directory, bindings[i].program ? bindings[i].program : "");
        if (bindings[i].program && (file = fopen(path, "r"))) {
            if (!fgets(reason, sizeof reason, file))
                die(path);
            fclose(file);
            reason[strcspn(reason, "\n")] = 0;
            not_measured("start, execute, wait", bindings[i].language, reason);
            not_measured("getppid answered by a handler", bindings[i].language, reason);
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", directory, bindings[i].program ? bindings[i].program : "");
        for (start = 0; start < STARTS; start++) {
            struct worker in_c = start_worker("C", c_argv);
            struct worker one = start_worker(bindings[i].language, bindings[i].program ? argv : c_argv);

            ask_both(&spawned, 1e-3 / 10, "spawn 10", &one, &in_c, SPAWN_PAIRS);
            ask_both(&handled, 1, "handler 1000", &one, &in_c, HANDLER_PAIRS);
            end_worker(&one);
            end_worker(&in_c);
        }
        print_pairs("start, execute, wait", bindings[i].language, "us", &spawned, bindings[i].most);
        print_pairs("getppid answered by a handler", bindings[i].language, "ns", &handled, bindings[i].most);
    }
}
