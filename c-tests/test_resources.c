/* Limits of memory and time of the sandbox as a whole: what they end, what they let finish, and what the result says. Attacks on
 * them are in attack_table.c. */
#include "supervisor.h"
#include "support.h"

#include <stdatomic.h>

static void set_limit(sandlock_policy *policy, uint32_t limit, uint64_t value)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, limit, value, NULL));
}

static sandlock_policy *limited_policy(uint32_t limit, uint64_t value)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    set_limit(policy, limit, value);
    return policy;
}

static sandlock_policy *memory_policy(uint64_t mebibytes)
{
    return limited_policy(SANDLOCK_LIMIT_MEMORY, mebibytes << 20);
}

static void expect_success(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0))
        printf("# %s %s: reason %u, exit %d, limit %u, read %llu: %s%s\n", argv[0], argv[1],
               sandlock_result_reason(result), sandlock_result_exit_code(result), sandlock_result_limit(result),
               (unsigned long long)sandlock_result_limit_reading(result), output(result), errors(result));
    CHECK(sandlock_result_limit(result) == 0);
    sandlock_result_free(result);
}

static void expect_limit(const sandlock_policy *policy, const char *const *argv, uint32_t limit, uint64_t value,
                         uint64_t most)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_limit(result) == limit) ||
        !CHECK(sandlock_result_limit_value(result) == value) ||
        !CHECK(sandlock_result_limit_reading(result) >= value && sandlock_result_limit_reading(result) <= most))
        printf("# %s %s: reason %u, limit %u, value %llu, read %llu: %s%s\n", argv[0], argv[1],
               sandlock_result_reason(result), sandlock_result_limit(result),
               (unsigned long long)sandlock_result_limit_value(result),
               (unsigned long long)sandlock_result_limit_reading(result), output(result), errors(result));
    sandlock_result_free(result);
}

/* --- memory --- */

enum { MIB = 1 << 20 };

static void programs_beneath_the_limit_of_memory_finish(void)
{
    sandlock_policy *policy = memory_policy(128);
    const char *attack = program("attack_memory");

    allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    expect_success(policy, ARGV(attack, "malloc", "115"));
    expect_success(policy, ARGV(attack, "mmap", "115"));
    expect_success(policy, ARGV(attack, "shared", "115"));
    expect_success(policy, ARGV(attack, "memfd", "115"));
    expect_success(policy, ARGV(attack, "headless-memfd", "115"));
    expect_success(policy, ARGV(attack, "tmpfs", "115", "/dev/shm"));
    expect_success(policy, ARGV(attack, "tree", "100", "20"));
    expect_success(policy, ARGV(attack, "shared-tree", "100", "20"));
    expect_success(policy, ARGV(attack, "mapped-memfd", "115"));
    sandlock_policy_free(policy);
}

static void result_names_the_limit_of_memory_and_what_was_read(void)
{
    static const char *const ways[] = {"malloc", "mmap", "shared", "memfd", "headless", "headless-memfd", "mapped-memfd"};
    sandlock_policy *policy = memory_policy(128);
    const char *attack = program("attack_memory");
    size_t i;

    allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    for (i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_limit(policy, ARGV(attack, ways[i], "300"), SANDLOCK_LIMIT_MEMORY, 128 * MIB, 310 * (uint64_t)MIB);
    expect_limit(policy, ARGV(attack, "tmpfs", "300", "/dev/shm"), SANDLOCK_LIMIT_MEMORY, 128 * MIB, 310 * (uint64_t)MIB);
    remove_leftovers();
    expect_limit(policy, ARGV(attack, "tree", "300", "20"), SANDLOCK_LIMIT_MEMORY, 128 * MIB, 310 * (uint64_t)MIB);
    expect_limit(policy, ARGV(attack, "shared-tree", "300", "20"), SANDLOCK_LIMIT_MEMORY, 128 * MIB, 310 * (uint64_t)MIB);
    sandlock_policy_free(policy);
}

static void allocation_that_can_never_be_used_fails_at_once(void)
{
    static const char script[] = "try: bytearray(1 << 30)\n"
                                 "except MemoryError: print('no memory')\n";
    sandlock_policy *policy = memory_policy(128);

    expect_output(policy, ARGV("/usr/bin/python3", "-S", "-c", script), "no memory\n");
    sandlock_policy_free(policy);
}

static void reservations_do_not_count(void)
{
    static const char reserve[] = "import mmap, time\n"
                                  "m = mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)\n"
                                  "s = mmap.mmap(-1, 4 << 30)\n"
                                  "time.sleep(0.4)\n"
                                  "print('done')\n";
    static const char threads[] = "import threading, time\n"
                                  "t = [threading.Thread(target=time.sleep, args=(0.3,)) for i in range(40)]\n"
                                  "for x in t: x.start()\n"
                                  "for x in t: x.join()\n"
                                  "print('done')\n";
    sandlock_policy *policy = memory_policy(256);

    expect_output(policy, ARGV("/usr/bin/python3", "-S", "-c", reserve), "done\n");
    expect_output(policy, ARGV("/usr/bin/python3", "-S", "-c", threads), "done\n");
    sandlock_policy_free(policy);
}

static void runtimes_work_under_256_mebibytes(void)
{
    static const char python[] = "import json, subprocess\n"
                                 "d = {str(i): list(range(20)) for i in range(50000)}\n"
                                 "assert json.loads(json.dumps(d)) == d\n"
                                 "for i in range(30): subprocess.run(['/bin/true'], check=True)\n";
    static const char node[] = "let a = []; for (let i = 0; i < 300000; i++) a.push({i, s: 'x' + i});\n"
                               "a.sort((x, y) => x.s < y.s ? -1 : 1);\n"
                               "process.exit(JSON.parse(JSON.stringify(a)).length === 300000 ? 0 : 1);\n";
    static const char c[] = "echo '#include <stdio.h>\nint main(void) { puts(\"done\"); return 0; }' >hello.c &&"
                            " gcc -O2 -o hello hello.c && ./hello";
    sandlock_policy *policy = memory_policy(256);
    char tree[PATH_MAX];

    snprintf(tree, sizeof tree, "%s", make_tree());
    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    allow(policy, "/etc", SANDLOCK_ACCESS_READ);
    allow(policy, "/dev/urandom", SANDLOCK_ACCESS_READ);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cwd(policy, tree, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "TMPDIR", tree, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "HOME", tree, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_env(policy, "PATH", "/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin", NULL));
    expect_success(policy, ARGV("/usr/bin/python3", "-c", python));
    expect_success(policy, ARGV("/bin/sh", "-c", c));
    if (access("/usr/bin/node", X_OK) == 0)
        expect_success(policy, ARGV("/usr/bin/node", "-e", node));
    else
        printf("# node is not installed\n");
    if (access("/usr/local/go/bin/gofmt", X_OK) == 0) /* a program in Go, on some hundred files */
        expect_success(policy, ARGV("/usr/local/go/bin/gofmt", "-l", "/usr/local/go/src/net", "/usr/local/go/src/runtime"));
    else
        printf("# go is not installed\n");
    if (access("/usr/bin/java", X_OK) == 0) {
        allow(policy, "/proc", SANDLOCK_ACCESS_READ);
        expect_success(policy, ARGV("/usr/bin/java", "-version"));
    }
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* A program with much memory starts others by vfork(2), which have the same memory for a moment. */
static void memory_of_a_starting_child_counts_once(void)
{
    static const char script[] = "import subprocess\n"
                                 "m = bytearray(90 << 20)\n"
                                 "for i in range(400): subprocess.run(['/bin/true'], check=True, close_fds=False)\n"
                                 "print('done')\n";
    sandlock_policy *policy = memory_policy(128);

    expect_output(policy, ARGV("/usr/bin/python3", "-S", "-c", script), "done\n");
    sandlock_policy_free(policy);
}

static void largest_process_is_killed_if_the_policy_says_so(void)
{
    static const char script[] = "import os, time\n"
                                 "if os.fork() == 0:\n"
                                 "    m = bytearray(100 << 20)\n"
                                 "    time.sleep(2)\n"
                                 "    os._exit(0)\n"
                                 "pid = os.fork()\n"
                                 "if pid == 0:\n"
                                 "    a = []\n"
                                 "    for i in range(300): a.append(bytearray(1 << 20)); time.sleep(0.001)\n"
                                 "    time.sleep(2)\n"
                                 "    os._exit(0)\n"
                                 "print('killed by', os.WTERMSIG(os.waitpid(pid, 0)[1]))\n"
                                 "print('other', os.wait()[1])\n";
    sandlock_policy *policy = memory_policy(256);
    sandlock_result *result;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_MEMORY_KILLS_LARGEST, true, NULL));
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "killed by 9\nother 0\n");
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    CHECK(sandlock_result_limit_reading(result) > 256 * MIB);
    sandlock_result_free(result);
    /* The program itself. */
    expect_limit(policy, ARGV(program("attack_memory"), "shared", "400"), SANDLOCK_LIMIT_MEMORY, 256 * MIB,
                 401 * (uint64_t)MIB);
    sandlock_policy_free(policy);
}

/* One that is killed but does not go is no excuse for others. */
static void dying_process_does_not_lift_the_limit_of_memory(void)
{
    sandlock_policy *policy = memory_policy(128);
    sandlock_result *result;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_MEMORY_KILLS_LARGEST, true, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "ptrace", NULL));
    result = run_program(policy, ARGV(program("attack_memory"), "behind-victim", "200"));
    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 1))
        printf("# reason %u, exit %d: %s\n", sandlock_result_reason(result), sandlock_result_exit_code(result),
               output(result));
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* The program was killed for what it held; those that it has started may finish, or run out of time. */
static void descendants_of_a_program_killed_for_its_memory_may_finish(void)
{
    static const char script[] = "import subprocess, sys\n"
                                 "subprocess.Popen(['/bin/sh', '-c', 'sleep ' + sys.argv[1] + '; echo late'])\n"
                                 "a = []\n"
                                 "while True: a.append(bytearray(1 << 20))\n";
    sandlock_policy *policy = memory_policy(64);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_MEMORY_KILLS_LARGEST, true, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, true, NULL));
    set_limit(policy, SANDLOCK_LIMIT_DATA, SANDLOCK_UNLIMITED);
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script, "1"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_signal(result) == SIGKILL);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    CHECK(!strcmp(output(result), "late\n"));
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("/usr/bin/python3", "-S", "-c", script, "1000"), 2000,
                                           &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT && sandlock_result_signal(result) == SIGKILL);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* Sixteen domains are the most that Landlock nests: deep inside the warden has none of its own. */
static void limits_that_need_a_domain_fail_if_there_is_none_at_the_start(void)
{
    static const struct {
        uint32_t limit, feature;
        uint64_t value;
    } cases[] = {{SANDLOCK_LIMIT_MEMORY, SANDLOCK_FEATURE_MEMORY, 128 * MIB},
                 {SANDLOCK_LIMIT_CPU_TOTAL, SANDLOCK_FEATURE_LIMITS, 100},
                 {SANDLOCK_LIMIT_CPU_SHARE, SANDLOCK_FEATURE_LIMITS, 50},
                 {SANDLOCK_LIMIT_PROCESSES, SANDLOCK_FEATURE_PROCESSES, 5}};
    pid_t pid = fork();
    int status;
    size_t i;

    if (pid == 0) {
        sandlock_policy *outer = sandlock_policy_new();

        test_failures = 0;
        allow(outer, "/", SANDLOCK_ACCESS_ALL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_DISABLE, NULL);
        for (i = 0; i < 16; i++)
            CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(outer, NULL));
        for (i = 0; i < sizeof cases / sizeof *cases; i++) {
            sandlock_policy *policy = limited_policy(cases[i].limit, cases[i].value);
            sandlock_result *result = NULL;
            sandlock_error *error = NULL;
            sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
            CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("true"), -1, &result, &error));
            sandlock_result_free(result);
            sandlock_policy_set_strictness(policy, cases[i].feature, SANDLOCK_REQUIRE, NULL);
            CHECK_STATUS(SANDLOCK_ERROR_SYSTEM, sandlock_run(policy, NULL, ARGV("true"), -1, &result, &error));
            CHECK(sandlock_error_errno(error) == E2BIG);
            CHECK_CONTAINS(sandlock_error_message(error), "the warden's domain");
            sandlock_error_free(error);
            sandlock_policy_free(policy);
        }
        {
            sandlock_policy *policy = memory_policy(128);
            sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
            expect_limit(policy, ARGV(program("attack_memory"), "tree", "300", "5"), SANDLOCK_LIMIT_MEMORY, 128 * MIB,
                         310 * (uint64_t)MIB);
            sandlock_policy_free(policy);
        }
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void limit_of_memory_holds_without_a_domain_and_is_refused_if_nobody_can_look(void)
{
    sandlock_policy *policy = memory_policy(128);
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "kill-all");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_MEMORY, SANDLOCK_BEST_EFFORT, NULL));
    expect_limit(policy, ARGV(program("attack_memory"), "tree", "300", "5"), SANDLOCK_LIMIT_MEMORY, 128 * MIB,
                 310 * (uint64_t)MIB);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, 0, NULL));
    sandlock_policy_free(policy);
}

/* --- time --- */

static void processor_time_of_all_processes_is_added_up(void)
{
    static const char tree[] = "for i in 1 2 3 4; do (while :; do :; done) & done; wait";
    static const char threads[] = "import threading, hashlib\n"
                                  "def work():\n"
                                  "    while True: hashlib.sha256(bytes(1 << 20)).digest()\n"
                                  "for i in range(4): threading.Thread(target=work).start()\n";
    static const char one_by_one[] = "while :; do (i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done); done";
    static const char daemons[] = "while :; do (setsid sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done' &) ; sleep 0.1; done";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_TOTAL, 500);

    expect_limit(policy, ARGV("/bin/sh", "-c", tree), SANDLOCK_LIMIT_CPU_TOTAL, 500, 600);
    expect_limit(policy, ARGV("/usr/bin/python3", "-S", "-c", threads), SANDLOCK_LIMIT_CPU_TOTAL, 500, 600);
    expect_limit(policy, ARGV("/bin/sh", "-c", one_by_one), SANDLOCK_LIMIT_CPU_TOTAL, 500, 700);
    expect_limit(policy, ARGV("/bin/sh", "-c", daemons), SANDLOCK_LIMIT_CPU_TOTAL, 500, 700);
    expect_success(policy, ARGV("/bin/sh", "-c", "sleep 0.7"));
    expect_success(policy, ARGV("/usr/bin/python3", "-S", "-c", "import time\nwhile time.process_time() < 0.42: pass"));
    sandlock_policy_free(policy);
}

static void wall_time_ends_sleepers_also_if_spawned(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_WALL, 300);
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    double start = seconds();

    expect_limit(policy, ARGV("/bin/sleep", "1000"), SANDLOCK_LIMIT_WALL, 300, 400);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("/bin/sleep", "1000"), NULL, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_WALL);
    CHECK(seconds() - start < 3);
    sandlock_result_free(result);
    sandlock_process_free(process);
    expect_success(policy, ARGV("/bin/sleep", "0.1"));
    sandlock_policy_free(policy);
}

static void program_is_warned_before_the_kill(void)
{
    static const char obeys[] = "trap 'echo warned; exit 7' TERM; echo begun; while :; do sleep 0.01; done";
    static const char ignores[] = "trap 'echo warned' TERM; while :; do sleep 0.01; done";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_WALL, 200);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_grace(policy, SIGTERM, 400, NULL));
    result = run_program(policy, ARGV("/bin/sh", "-c", obeys));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_exit_code(result) == 7);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_WALL);
    CHECK(!strcmp(output(result), "begun\nwarned\n"));
    sandlock_result_free(result);
    result = run_program(policy, ARGV("/bin/sh", "-c", ignores));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_signal(result) == SIGKILL);
    CHECK(!strcmp(output(result), "warned\n"));
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, SANDLOCK_UNLIMITED, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("/bin/sh", "-c", obeys), 200, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT && sandlock_result_exit_code(result) == 7);
    CHECK(sandlock_result_limit(result) == 0);
    sandlock_result_free(result);
    set_limit(policy, SANDLOCK_LIMIT_CPU_TOTAL, 100);
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c",
                                      "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(9))\nwhile True: pass"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_exit_code(result) == 9);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_CPU_TOTAL);
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_grace(policy, 65, 1, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_grace(policy, -1, 1, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_grace(policy, 0, 0, NULL));
    sandlock_policy_free(policy);
}

/* One warning for all limits of time, and the whole of the time after it. */
static void limit_that_is_exceeded_after_a_warning_does_not_cut_it_short(void)
{
    static const char script[] = "import signal, sys, time\n"
                                 "def end(*_):\n"
                                 "    while time.process_time() < 1: pass\n"
                                 "    sys.exit(7)\n"
                                 "signal.signal(15, end)\n"
                                 "time.sleep(1000)\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_WALL, 300);
    sandlock_result *result = NULL;

    /* In the time after the warning it uses up its processor time as well. */
    set_limit(policy, SANDLOCK_LIMIT_CPU_TOTAL, 200);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_grace(policy, SIGTERM, 20000, NULL));
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_exit_code(result) == 7);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_CPU_TOTAL);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void output_kills_also_after_a_warning(void)
{
    static const char script[] = "trap 'while :; do echo more; done' TERM; while :; do sleep 0.01; done";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_WALL, 200);
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_grace(policy, SIGTERM, 100000, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_OUTPUT_KILLS, true, NULL));
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    options.capture_limit = 1000;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("/bin/sh", "-c", script), &options, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_signal(result) == SIGKILL);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void share_of_processor_time_is_kept(void)
{
    static const char busy[] = "import os, time\n"
                               "n = %d\n"
                               "pids = []\n"
                               "for i in range(n):\n"
                               "    pid = os.fork()\n"
                               "    if pid == 0:\n"
                               "        while True: pass\n"
                               "    pids.append(pid)\n"
                               "time.sleep(2)\n"
                               "for p in pids: os.kill(p, 9); os.waitpid(p, 0)\n"
                               "t = os.times()\n"
                               "print(t.children_user + t.children_system)\n";
    static const struct {
        int processes, share;
    } cases[] = {{1, 10}, {1, 50}, {4, 20}, {4, 60}};
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 50);
    char script[1024];
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        double start, used, wanted, unlimited;
        sandlock_result *result;

        snprintf(script, sizeof script, busy, cases[i].processes);
        set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, SANDLOCK_UNLIMITED);
        result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
        unlimited = atof(output(result));
        sandlock_result_free(result);
        start = seconds();
        set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, (uint64_t)cases[i].share);
        result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
        used = atof(output(result));
        wanted = (seconds() - start) * cases[i].share / 100;
        /* On a busy machine it gets less, limited or not. */
        if (!CHECK(used <= wanted * 1.1) || !CHECK(used >= wanted * 0.75 || used >= unlimited * 0.3))
            printf("# %d processes, share %d: %.3f s, of %.3f; unlimited %.3f\n", cases[i].processes, cases[i].share,
                   used, wanted, unlimited);
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
}

/* Who has stopped itself stays so; a paused sandbox stays paused, and goes on. */
static void stops_of_others_are_left_alone_by_the_throttle(void)
{
    static const char script[] = "import os, signal, time\n"
                                 "stopped = os.fork()\n"
                                 "if stopped == 0:\n"
                                 "    os.kill(os.getpid(), signal.SIGSTOP)\n"
                                 "    os._exit(1)\n"
                                 "os.waitpid(stopped, os.WUNTRACED)\n"
                                 "end = time.monotonic() + 1\n"
                                 "while time.monotonic() < end: pass\n"
                                 "assert os.waitpid(stopped, os.WNOHANG) == (0, 0)\n"
                                 "os.kill(stopped, signal.SIGCONT)\n"
                                 "assert os.waitpid(stopped, 0)[1] == 256\n"
                                 "print('done', flush=True)\n"
                                 "while True: pass\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 20);
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_members *members = NULL;
    sandlock_member first = SANDLOCK_MEMBER_INIT, second = SANDLOCK_MEMBER_INIT;
    char text[8] = "";
    int out;

    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("/usr/bin/python3", "-S", "-c", script), &options, &process, NULL));
    out = sandlock_process_take_stdio(process, 1);
    CHECK(read(out, text, 4) == 4 && !strcmp(text, "done"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    usleep(20000);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_members_get(members, 0, &first, NULL));
    sandlock_members_free(members);
    usleep(500000);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_members_get(members, 0, &second, NULL));
    sandlock_members_free(members);
    CHECK(second.cpu_us == first.cpu_us);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resume(process, NULL));
    usleep(500000);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_members_get(members, 0, &second, NULL));
    sandlock_members_free(members);
    CHECK(second.cpu_us > first.cpu_us && second.cpu_us - first.cpu_us < 250000);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* A signal that comes during a fork is sent to its child, too, once that is there. Here most of the time is spent in forks, as a table of
 * 60,000 mappings has to be copied; and while one of them is under way and cannot stop, what is owed is paid, for the other process has
 * stopped, and all are let go on. */
static void fork_that_was_under_way_at_a_stop_goes_on(void)
{
    static const char script[] = "import ctypes, mmap, os\n"
                                 "count = 30000\n"
                                 "memory = mmap.mmap(-1, 2 * count * 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
                                 "start = ctypes.addressof(ctypes.c_char.from_buffer(memory))\n"
                                 "protect = ctypes.CDLL(None).mprotect\n"
                                 "protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int\n"
                                 "if os.fork() == 0:\n"
                                 "    while True: pass\n"
                                 "for i in range(count): assert protect(start + 2 * i * 4096, 4096, 0) == 0\n"
                                 "for i in range(40):\n"
                                 "    child = os.fork()\n"
                                 "    if child == 0: os._exit(0)\n"
                                 "    os.waitpid(child, 0)\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 150);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_run(policy, NULL, ARGV("/usr/bin/python3", "-S", "-c", script), 30000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* Whoever wakes itself time and again is not held by stops; it is ended, and the result says what it has used. */
static void sandbox_that_does_not_stand_still_is_killed(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 20);

    expect_limit(policy, ARGV(program("attack_memory"), "outrun", "100", "1000", "1"), SANDLOCK_LIMIT_CPU_SHARE, 20, 200);
    /* Rarely: it cannot gain by that, since it pays for it. */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, 50, NULL));
    sandlock_result *result = run_program(policy, ARGV(program("attack_memory"), "outrun", "60", "100000", "1"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* A long system call goes on while its process should stop, and so does the end of a large process. */
static void work_in_the_kernel_does_not_count_as_waking(void)
{
    static const char script[] = "import os, threading, time\n"
                                 "def read():\n"
                                 "    zero = os.open('/dev/zero', os.O_RDONLY)\n"
                                 "    buffer = bytearray(64 << 20)\n"
                                 "    end = time.monotonic() + 1.5\n"
                                 "    while time.monotonic() < end: os.readv(zero, [buffer])\n"
                                 "for i in range(2): threading.Thread(target=read).start()\n"
                                 "end = time.monotonic() + 1.5\n"
                                 "while time.monotonic() < end:\n"
                                 "    if os.fork() == 0:\n"
                                 "        memory = bytearray(100 << 20)\n"
                                 "        os._exit(0)\n"
                                 "    os.wait()\n"
                                 "print('done')\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 30);

    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    expect_output(policy, ARGV("/usr/bin/python3", "-S", "-c", script), "done\n");
    sandlock_policy_free(policy);
}

static uint64_t processor_time(sandlock_process *process)
{
    sandlock_members *members = NULL;
    sandlock_member member = SANDLOCK_MEMBER_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_members_get(members, 0, &member, NULL));
    sandlock_members_free(members);
    return member.cpu_us;
}

static void paused_program_that_wakes_itself_is_stopped_again(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    uint64_t before;
    char ready;
    int out;

    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("attack_memory"), "awake", "50000"), &options,
                                             &process, NULL));
    out = sandlock_process_take_stdio(process, 1);
    CHECK(read(out, &ready, 1) == 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    before = processor_time(process);
    usleep(1000000);
    /* Of twenty times that it is woken, the first may last a tenth of a second. */
    CHECK(processor_time(process) - before < 350000);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resume(process, NULL));
    before = processor_time(process);
    while (processor_time(process) - before < 300000)
        ;
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void result_of_nothing_names_no_limit(void)
{
    CHECK(sandlock_result_limit(NULL) == 0);
    CHECK(sandlock_result_limit_value(NULL) == 0);
    CHECK(sandlock_result_limit_reading(NULL) == 0);
}

/* --- observers --- */

static atomic_int told;
static char told_text[256];

static void note(const sandlock_event *event, void *unused)
{
    (void)unused;
    snprintf(told_text, sizeof told_text, "%s", sandlock_event_text(event));
    told++;
}

static void observers_are_told_of_limits(void)
{
    sandlock_policy *policy = memory_policy(64);
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_LIMIT, note, NULL, NULL, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV(program("attack_memory"), "shared", "300"), 30000,
                                           &result, NULL));
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    CHECK(told == 1);
    CHECK_CONTAINS(told_text, "MEMORY=67108864 exceeded: ");
    sandlock_policy_free(policy);
}

/* Whoever the kill is for must not be able to put it off, by holding up who would kill him: here the look at what he shares. Nor does he get away
 * with it. */
static void kill_does_not_wait_for_the_program(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    const char *lines, *last;
    double killed, late;
    int32_t status;

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, 256 * MIB, NULL);
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV(program("attack_memory"), "hold-up", "20"), &options, &process, NULL));
    status = sandlock_process_wait(process, 5000, &result, NULL);
    killed = seconds();
    if (status == SANDLOCK_OK)
        CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    else
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    lines = output(result);
    CHECK(*lines != '\0');
    for (last = lines + strlen(lines) - 1; last > lines && last[-1] != '\n';)
        last--;
    late = strtod(last, NULL) - killed;
    if (!CHECK(late > -6 && late < 2))
        printf("# killed %.2f s late\n", late);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

TESTS(T(programs_beneath_the_limit_of_memory_finish), T(result_names_the_limit_of_memory_and_what_was_read),
      T(allocation_that_can_never_be_used_fails_at_once), T(reservations_do_not_count),
      T(runtimes_work_under_256_mebibytes), T(memory_of_a_starting_child_counts_once),
      T(largest_process_is_killed_if_the_policy_says_so),
      T(limit_of_memory_holds_without_a_domain_and_is_refused_if_nobody_can_look),
      T(processor_time_of_all_processes_is_added_up), T(wall_time_ends_sleepers_also_if_spawned),
      T(dying_process_does_not_lift_the_limit_of_memory), T(descendants_of_a_program_killed_for_its_memory_may_finish),
      T(limits_that_need_a_domain_fail_if_there_is_none_at_the_start),
      T(program_is_warned_before_the_kill), T(limit_that_is_exceeded_after_a_warning_does_not_cut_it_short),
      T(output_kills_also_after_a_warning), T(share_of_processor_time_is_kept),
      T(stops_of_others_are_left_alone_by_the_throttle), T(sandbox_that_does_not_stand_still_is_killed),
      T(work_in_the_kernel_does_not_count_as_waking), T(fork_that_was_under_way_at_a_stop_goes_on),
      T(paused_program_that_wakes_itself_is_stopped_again),
      T(kill_does_not_wait_for_the_program), T(result_of_nothing_names_no_limit), T(observers_are_told_of_limits))
