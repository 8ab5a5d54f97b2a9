/* Limits of the sandbox as a whole: what they let happen, and what the report says. Attacks on them are in attack_table.c. */
#include "support.h"

#include <sys/resource.h>

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

static void check_succeeds(const sandlock_policy *policy, const char *const *argv, const char *wanted)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_exit_code(result) == 0 && !strcmp(output(result), wanted)))
        printf("# %s%s\n", output(result), errors(result));
    sandlock_result_free(result);
}

/* The same attack just beneath the limit. */
static void as_many_as_allowed_can_be_started(void)
{
    static const char *const ways[] = {"fork", "clone", "zombies", "race"};
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 12);
    size_t i;

    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        sandlock_result *result = run_program(policy, ARGV(program("attack_forks"), ways[i], "12"));
        if (!CHECK(sandlock_result_exit_code(result) == 0))
            printf("# %s: %s\n", ways[i], output(result));
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
    policy = limited_policy(SANDLOCK_LIMIT_THREADS, 12);
    check_succeeds(policy, ARGV(program("attack_forks"), "threads", "12"), "");
    sandlock_policy_free(policy);
}

/* Daemons need one more for a moment: the process that starts them. */
static void daemons_count_like_others(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 13);

    check_succeeds(policy, ARGV(program("attack_forks"), "daemons", "12"), "");
    sandlock_policy_free(policy);
}

static void any_number_of_processes_may_follow_each_other(void)
{
    static const char *const scripts[] = {
        /* waited for */
        "i=0; while [ $i -lt 1500 ]; do (exit 0); i=$((i+1)); done; echo done",
        /* in the background, several at a time */
        "i=0; while [ $i -lt 500 ]; do (:) & (:) & (:) & wait; i=$((i+1)); done; echo done",
        /* not waited for by whoever started them */
        "i=0; while [ $i -lt 500 ]; do (setsid true & ); i=$((i+1)); done; echo done",
        /* programs */
        "i=0; while [ $i -lt 500 ]; do /bin/true; i=$((i+1)); done; echo done",
    };
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 8);
    size_t i;

    for (i = 0; i < sizeof scripts / sizeof *scripts; i++)
        if (i != 2) /* how soon a daemon ends is for the scheduler to say */
            check_succeeds(policy, ARGV("sh", "-c", scripts[i]), "done\n");
    set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 48);
    check_succeeds(policy, ARGV("sh", "-c", scripts[2]), "done\n");
    sandlock_policy_free(policy);
}

/* Shells start processes while others end, and expect no EINTR of fork(2). */
static void pipelines_of_shells_are_not_interrupted(void)
{
    static const char script[] = "i=0; while [ $i -lt 400 ]; do echo a | cat | cat >/dev/null; i=$((i+1)); done; echo done";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 16);

    check_succeeds(policy, ARGV("/bin/sh", "-c", script), "done\n");
    check_succeeds(policy, ARGV("/bin/bash", "-c", script), "done\n");
    sandlock_policy_free(policy);
}

static void python_waits_in_every_way_under_a_limit(void)
{
    static const char script[] =
        "import os, signal\n"
        "for i in range(300):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    while os.waitpid(pid, os.WNOHANG)[0] == 0: pass\n"
        "    try: os.waitpid(99999999, os.WNOHANG)\n"
        "    except ChildProcessError: pass\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "for i in range(300):\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    try: os.waitpid(pid, 0)\n"
        "    except ChildProcessError: pass\n"
        "print('done')\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 4);

    check_succeeds(policy, ARGV("/usr/bin/python3", "-S", "-c", script), "done\n");
    sandlock_policy_free(policy);
}

static void default_limit_holds_and_can_be_lifted(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = run_program(policy, ARGV(program("attack_forks"), "fork", "65"));

    CHECK(sandlock_result_exit_code(result) == 1);
    CHECK_CONTAINS(output(result), strerror(EAGAIN));
    sandlock_result_free(result);
    check_succeeds(policy, ARGV(program("attack_forks"), "fork", "64"), "");
    set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED);
    check_succeeds(policy, ARGV(program("attack_forks"), "fork", "80"), "");
    sandlock_policy_free(policy);
}

/* Threads of processes are counted together, and apart from processes. */
static void threads_have_a_limit_of_their_own(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 2);
    sandlock_result *result;

    check_succeeds(policy, ARGV(program("attack_forks"), "threads", "40"), "");
    set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED);
    set_limit(policy, SANDLOCK_LIMIT_THREADS, 20);
    result = run_program(policy, ARGV(program("attack_forks"), "fork", "21"));
    CHECK(sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    result = run_program(policy, ARGV(program("attack_forks"), "threads", "21"));
    CHECK(sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static const char *state_of_processes(const sandlock_policy *policy, char *text, size_t size)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_report *report;
    sandlock_error *error = NULL;
    const char *row;

    options.stdout_mode = SANDLOCK_STDIO_NULL;
    snprintf(text, size, "none");
    if (sandlock_spawn(policy, NULL, ARGV("true"), &options, &process, &error)) {
        snprintf(text, size, "%s", sandlock_error_message(error));
    } else {
        report = sandlock_process_report(process);
        row = strstr(sandlock_report_json(report), "\"processes\"");
        snprintf(text, size, "%s", row ? row : "none");
        sandlock_report_free(report);
    }
    sandlock_error_free(error);
    sandlock_process_free(process);
    return text;
}

static void report_says_what_limits_hold_and_what_cannot_is_refused(void)
{
    sandlock_policy *policy = system_policy();
    char text[1024];

    CHECK_CONTAINS(state_of_processes(policy, text, sizeof text), "\"state\":\"enforced\"");
    CHECK_CONTAINS(text, "PROCESSES=64");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    CHECK_CONTAINS(state_of_processes(policy, text, sizeof text), "\"state\":\"waived\"");
    set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 5);
    CHECK_CONTAINS(state_of_processes(policy, text, sizeof text), "NO_SUPERVISOR");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, false, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    CHECK_CONTAINS(state_of_processes(policy, text, sizeof text), "kill-all");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, true, NULL));
    CHECK_CONTAINS(state_of_processes(policy, text, sizeof text), "WAIT_FOR_DESCENDANTS");
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_THREADS, 0, NULL));
    sandlock_policy_free(policy);
}

/* The sandbox is told of by whoever runs, whatever he calls himself. */
static void list_knows_processes_with_names_that_are_no_text(void)
{
    static const char script[] = "import ctypes, os, time\n"
                                 "for i in range(3):\n"
                                 "    if os.fork() == 0:\n"
                                 "        ctypes.CDLL(None).prctl(15, b'\\xff) Z 1 \\xfe', 0, 0, 0)\n"
                                 "        print('x', end='', flush=True)\n"
                                 "        time.sleep(1000)\n"
                                 "time.sleep(1000)\n";
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_members *members = NULL;
    char ready;
    int out, i;

    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("/usr/bin/python3", "-S", "-c", script), &options, &process, NULL));
    out = sandlock_process_take_stdio(process, 1);
    for (i = 0; i < 3; i++)
        CHECK(read(out, &ready, 1) == 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    CHECK(sandlock_members_count(members) == 4);
    sandlock_members_free(members);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* Those that compute do not keep others from starting, although nobody can say from outside whether they are in a fork(2). */
static void programs_that_compute_leave_room_for_others(void)
{
    static const char script[] =
        "import os, subprocess, sys\n"
        "children = []\n"
        "for i in range(5):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        subprocess.run(['/bin/true'])\n"
        "        while True: pass\n"
        "    children.append(pid)\n"
        "for i in range(4): subprocess.run(['/bin/true'], check=True)\n"
        "print('done')\n";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 12);

    check_succeeds(policy, ARGV("/usr/bin/python3", "-S", "-c", script), "done\n");
    sandlock_policy_free(policy);
}

/* A host that has no descriptor left to look with does not take anybody for absent. */
static void count_without_descriptors_refuses(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 8);
    struct rlimit limit, low;
    int open_now, free_ones;

    getrlimit(RLIMIT_NOFILE, &limit);
    for (free_ones = 0; free_ones < 4; free_ones++) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        sandlock_members *members = NULL;
        sandlock_result *result = NULL;
        int gate[2];

        CHECK(pipe2(gate, O_CLOEXEC) == 0);
        options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_FD;
        options.stdin_fd = gate[0];
        options.stdout_fd = STDERR_FILENO;
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_spawn(policy, NULL, ARGV("/bin/sh", "-c", "read x; exec \"$0\" fork 30 >/dev/null", program("attack_forks")),
                                    &options, &process, NULL));
        /* Whoever answers this has taken the listener over before. */
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
        sandlock_members_free(members);
        for (open_now = 3; fcntl(open_now, F_GETFD) >= 0; open_now++)
            ;
        low = limit;
        low.rlim_cur = (rlim_t)(open_now + free_ones);
        setrlimit(RLIMIT_NOFILE, &low);
        CHECK(write(gate[1], "\n", 1) == 1);
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        setrlimit(RLIMIT_NOFILE, &limit);
        if (!CHECK(sandlock_result_exit_code(result) == 1))
            printf("# %d free: exit %d\n", free_ones, sandlock_result_exit_code(result));
        close(gate[0]);
        close(gate[1]);
        sandlock_result_free(result);
        sandlock_process_free(process);
    }
    sandlock_policy_free(policy);
}

/* Also where the child does not start in the host's memory. */
static void limit_holds_without_huge_pages(void)
{
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 8);
    sandlock_result *result;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL));
    result = run_program(policy, ARGV(program("attack_forks"), "fork", "9"));
    CHECK(sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    check_succeeds(policy, ARGV(program("attack_forks"), "fork", "8"), "");
    sandlock_policy_free(policy);
}

/* The kernel compares seconds of wall time here: long enough for a loaded machine, short enough to tell from "for ever". */
static void descendants_are_ended_with_the_program_or_may_finish(void)
{
    static const char script[] = "(sleep 0.3; echo late) & echo early";
    sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_PROCESSES, 8);
    sandlock_result *result = NULL;

    check_succeeds(policy, ARGV("sh", "-c", script), "early\n");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, true, NULL));
    check_succeeds(policy, ARGV("sh", "-c", script), "early\nlate\n");
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("sh", "-c", "sleep 1000 & exit 3"), 300, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT && sandlock_result_exit_code(result) == 3);
    sandlock_result_free(result);
    /* Without a listener the warden looks for itself. */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    check_succeeds(policy, ARGV("sh", "-c", script), "early\nlate\n");
    sandlock_policy_free(policy);
}

/* Without the scope of signals, descendants are found by their parents. */
static void descendants_are_killed_by_a_walk_without_a_domain(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    char line[64] = "";
    size_t length = 0;
    int out, pid;

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    /* A session of its own, which killing the program's group does not reach. */
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("sh", "-c", "setsid sh -c 'echo $$; exec sleep 1000' & wait"), &options,
                                &process, NULL));
    out = sandlock_process_take_stdio(process, 1);
    while (length < sizeof line - 1 && !strchr(line, '\n') && read(out, line + length, 1) == 1)
        length++;
    pid = atoi(line);
    CHECK(pid > 1 && kill(pid, 0) == 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    /* The pipe ends when the last that could write to it has. */
    CHECK(read(out, line, 1) == 0);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

TESTS(T(as_many_as_allowed_can_be_started), T(daemons_count_like_others), T(any_number_of_processes_may_follow_each_other),
      T(pipelines_of_shells_are_not_interrupted), T(python_waits_in_every_way_under_a_limit), T(default_limit_holds_and_can_be_lifted),
      T(threads_have_a_limit_of_their_own), T(report_says_what_limits_hold_and_what_cannot_is_refused),
      T(limit_holds_without_huge_pages), T(list_knows_processes_with_names_that_are_no_text),
      T(programs_that_compute_leave_room_for_others), T(count_without_descriptors_refuses), T(descendants_are_ended_with_the_program_or_may_finish),
      T(descendants_are_killed_by_a_walk_without_a_domain))
