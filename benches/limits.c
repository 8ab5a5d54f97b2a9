/* What limits of the sandbox as a whole cost those who keep to them, and how exactly one of them is kept. */
#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static double own_cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Processor time that the host takes for sandboxes whose processes sleep, per cent of a core. */
static double cost_of_sleepers(const sandlock_policy *policy)
{
    enum { SANDBOXES = 100, SECONDS = 5 };
    const char *const sleepers[] = {"/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; exec sleep 1000",
                                    NULL};
    static sandlock_process *processes[SANDBOXES];
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_error *error = NULL;
    double start;
    int i;

    options.stdin_mode = options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_NULL;
    for (i = 0; i < SANDBOXES; i++)
        if (sandlock_spawn(policy, NULL, sleepers, &options, &processes[i], &error)) {
            fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
            exit(1);
        }
    sleep(3); /* all are asleep */
    start = own_cpu_us();
    sleep(SECONDS);
    start = own_cpu_us() - start;
    for (i = 0; i < SANDBOXES; i++)
        sandlock_process_free(processes[i]);
    return start / (SECONDS * 1e4);
}

static double start_argv(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    double start = now_us(), took;

    if (sandlock_run(policy, NULL, argv, -1, &result, &error) || sandlock_result_exit_code(result) != 0) {
        fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
        exit(1);
    }
    took = now_us() - start;
    sandlock_result_free(result);
    return took;
}

/* Takes pairs of runs, each of them first by turns. `before` is done before each run, and not timed. */
static void compare_limits(const char *name, const sandlock_policy *limited, const sandlock_policy *unlimited,
                           const char *const *argv, void (*before)(void), int pairs, double most)
{
    double ours[MOST], theirs[MOST];
    int i, turn;

    for (i = 0; i < pairs; i++)
        for (turn = 0; turn < 2; turn++) {
            int is_ours = (i + turn) % 2;
            if (before)
                before();
            (is_ours ? ours : theirs)[i] = start_argv(is_ours ? limited : unlimited, argv);
        }
    figure(name, "in the same sandbox without limits", "us", ours, theirs, pairs, most);
}

/* --- work in a directory --- */

static char tree[PATH_MAX];

static void make_tree(void)
{
    snprintf(tree, sizeof tree, "/tmp/sandlock-bench-XXXXXX");
    if (!mkdtemp(tree))
        die("mkdtemp");
}

static void in_tree(const char *command)
{
    char line[PATH_MAX + 512];

    snprintf(line, sizeof line, "cd '%s' && %s", tree, command);
    if (system(line) != 0) {
        fprintf(stderr, "bench: this failed: %s\n", command);
        exit(1);
    }
}

static void remove_tree(void)
{
    in_tree("cd / && rm -rf \"$OLDPWD\"");
}

/* A policy under which there can be worked in the directory, with limits or without. */
static sandlock_policy *work_policy(int limited)
{
    sandlock_policy *policy = make_policy();

    sandlock_policy_allow_path(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, NULL);
    sandlock_policy_allow_path(policy, tree, SANDLOCK_ACCESS_ALL, NULL);
    sandlock_policy_set_cwd(policy, tree, NULL);
    sandlock_policy_set_env(policy, "HOME", tree, NULL);
    sandlock_policy_set_env(policy, "TMPDIR", tree, NULL);
    if (limited) {
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, 512 << 20, NULL);
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU_TOTAL, 600000, NULL);
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, 600000, NULL);
    }
    return policy;
}

static void write_files(int count, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    int i;

    for (i = 0; i < count; i++) {
        FILE *file;
        snprintf(path, sizeof path, name, tree, i % 20, i);
        if (!(file = fopen(path, "w")) || fprintf(file, text, i, i, i) < 0 || fclose(file))
            die(path);
    }
}

static void bench_git(void)
{
    enum { FILES = 2000, PAIRS = 300 };
    const char *const status[] = {"/usr/bin/git", "status", "--porcelain", NULL};
    sandlock_policy *limited, *unlimited;

    make_tree();
    in_tree("mkdir $(seq 0 19)");
    write_files(FILES, "%s/%d/file%d", "one line of file %d\n");
    /* What is as young as the index is read again every time: so the index is made a second later. */
    sleep(2);
    in_tree("export HOME=\"$PWD\" && git init -q && git add . && git -c user.name=bench -c user.email=bench commit -qm all");
    limited = work_policy(1);
    unlimited = work_policy(0);
    start_argv(unlimited, status);
    compare_limits("git status on 2,000 files, limits set", limited, unlimited, status, NULL, PAIRS, 1.02);
    sandlock_policy_free(limited);
    sandlock_policy_free(unlimited);
    remove_tree();
}

static void make_clean(void)
{
    in_tree("rm -f *.o all");
}

static void bench_make(void)
{
    enum { FILES = 30, PAIRS = 25 };
    static const char source[] = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
                                 "int part%d(int n)\n{\n    char *text = malloc(100);\n    int sum = %d;\n\n"
                                 "    for (int i = 0; text && i < n; i++) {\n        snprintf(text, 100, \"%%d of %d\", i);\n"
                                 "        sum += (int)strlen(text);\n    }\n    free(text);\n    return sum;\n}\n";
    const char *const make[] = {"/usr/bin/make", "-s", "-j2", NULL};
    sandlock_policy *limited, *unlimited;

    make_tree();
    write_files(FILES, "%s/part%d_%d.c", source);
    in_tree("printf 'int main(void)\\n{\\n    return 0;\\n}\\n' >main.c");
    in_tree("printf 'all: $(patsubst %%.c,%%.o,$(wildcard *.c))\\n\\tgcc -o all $^\\n%%.o: %%.c\\n\\tgcc -O1 -c $<\\n' >Makefile");
    limited = work_policy(1);
    unlimited = work_policy(0);
    compare_limits("make -j2 of 30 files in C, limits set", limited, unlimited, make, make_clean, PAIRS, 1.02);
    sandlock_policy_free(limited);
    sandlock_policy_free(unlimited);
    remove_tree();
}

/* --- the throttle --- */

static void bench_throttle(void)
{
    enum { RUNS = 3 };
    static const int shares[] = {20, 50, 100, 150};
    /* As many as it takes to use more than that everywhere. */
    const char *const busy[] = {probe, "share", "2", "1", NULL};
    char name[64];
    size_t i;
    int run;

    for (i = 0; i < sizeof shares / sizeof *shares; i++) {
        sandlock_policy *policy = make_policy();
        double errors[RUNS];

        sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, (uint64_t)shares[i], NULL);
        for (run = 0; run < RUNS; run++)
            errors[run] = fabs(measure_sandboxed(policy, busy) - shares[i]) / shares[i] * 100;
        snprintf(name, sizeof name, "how far off CPU_SHARE is at %d, in a second", shares[i]);
        bound(name, "%", median(errors, RUNS), 10);
        sandlock_policy_free(policy);
    }
}

/* --- all of them --- */

void bench_limits(void)
{
    enum { PAIRS = 200 };
    const char *const python[] = {"/usr/bin/python3", "-c", "import json", NULL};
    sandlock_policy *limited = make_policy(), *unlimited = make_policy();

    sandlock_policy_allow_path(limited, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, NULL);
    sandlock_policy_allow_path(unlimited, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, NULL);
    sandlock_policy_set_limit(limited, SANDLOCK_LIMIT_MEMORY, 256 << 20, NULL);
    compare_limits("Python started under 256 MiB", limited, unlimited, python, NULL, PAIRS, 1.02);
    bench_git();
    bench_make();
    bench_throttle();
    bound("100 sandboxes of 10 sleepers, memory limited", "%", cost_of_sleepers(limited), 2);
    sandlock_policy_set_limit(limited, SANDLOCK_LIMIT_CPU_TOTAL, 1000000, NULL);
    bound("the same, processor time limited too", "%", cost_of_sleepers(limited), 2);
    sandlock_policy_free(limited);
    sandlock_policy_free(unlimited);
}
