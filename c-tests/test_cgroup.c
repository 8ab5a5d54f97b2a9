/* Limits that a control group holds. It takes a machine with version 2 and a delegated group, in a leaf of which this runs: see
 * scripts/vm.sh. */
#include "support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define MIB (1u << 20)

/* --- the machine --- */

/* The group that this process is in, and its parent: directories. */
static char own_group[PATH_MAX], parent[PATH_MAX];

/* Finds them. False, and the test is absent, if the machine was not declared to have any. */
static int has_groups(void)
{
    char line[PATH_MAX] = "";
    FILE *file;

    if (!expected("cgroup")) {
        test_absent = "the machine was not declared to offer cgroup";
        return 0;
    }
    file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file) && strncmp(line, "0::", 3))
        ;
    if (file)
        fclose(file);
    line[strcspn(line, "\n")] = 0;
    snprintf(own_group, sizeof own_group, "/sys/fs/cgroup%.4000s", line + 3);
    strcpy(parent, own_group);
    *strrchr(parent, '/') = 0;
    return CHECK(!strncmp(line, "0::/", 4));
}

/* How many groups of the library's are in `directory`. */
static int groups_in(const char *directory)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    int count = 0;

    while (stream && (entry = readdir(stream)))
        count += !strncmp(entry->d_name, "sandlock-", 9);
    if (stream)
        closedir(stream);
    return count;
}

static void put(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX * 2];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    write_text(path, text);
}

/* --- policies --- */

static void set_limit(sandlock_policy *policy, uint32_t limit, uint64_t value)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, limit, value, NULL));
}

static sandlock_policy *limited_policy(uint32_t limit, uint64_t value)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    set_limit(policy, limit, value);
    /* Groups are older than most of what a new policy requires. */
    if (!expected("landlock-6"))
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL));
    /* What belongs to root need not be delegated to anybody. */
    if (geteuid() == 0)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, parent, NULL));
    return policy;
}

static sandlock_report_entry row_of(const sandlock_report *report, uint32_t feature)
{
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;
    size_t i;

    for (i = 0; i < sandlock_report_count(report) && row.feature != feature; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, i, &row, NULL));
    CHECK(row.feature == feature);
    return row;
}

static void check_mechanism(const sandlock_policy *policy, uint32_t feature, int held)
{
    sandlock_report *report = report_of(policy);
    sandlock_report_entry row = row_of(report, feature);
    /* Without a domain it is not all that is kept by looking. */
    uint32_t state = held || expected("landlock-6") ? SANDLOCK_STATE_ENFORCED : SANDLOCK_STATE_DEGRADED;

    if (!row.mechanism || !CHECK(row.state == state) || !CHECK(held == !!strstr(row.mechanism, "cgroup v2: ")))
        printf("# state %u, \"%s\" (%s)\n", row.state, row.mechanism, row.detail);
    sandlock_report_free(report);
}

/* --- memory --- */

static void expect_limit(const sandlock_policy *policy, const char *const *argv, uint64_t value)
{
    sandlock_result *result = run_program(policy, argv);
    uint64_t reading = sandlock_result_limit_reading(result);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT) ||
        !CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY) ||
        !CHECK(sandlock_result_limit_value(result) == value) || !CHECK(reading <= value && reading >= value - value / 8))
        printf("# %s %s: reason %u, limit %u, value %llu, reading %llu, exit code %d, signal %d: %s%s\n", argv[0], argv[1],
               sandlock_result_reason(result), sandlock_result_limit(result),
               (unsigned long long)sandlock_result_limit_value(result), (unsigned long long)reading,
               sandlock_result_exit_code(result), sandlock_result_signal(result), output(result), errors(result));
    sandlock_result_free(result);
}

static void expect_success(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0))
        printf("# %s %s: reason %u, exit code %d, limit reading %llu: %s%s\n", argv[0], argv[1],
               sandlock_result_reason(result), sandlock_result_exit_code(result),
               (unsigned long long)sandlock_result_limit_reading(result), output(result), errors(result));
    sandlock_result_free(result);
}

static void program_starts_in_a_group_that_is_gone_with_it(void)
{
    sandlock_policy *policy;
    sandlock_result *result;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 128 * MIB);
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
    result = run_program(policy, ARGV("cat", "/proc/self/cgroup"));
    CHECK_CONTAINS(output(result), strrchr(parent, '/'));
    CHECK_CONTAINS(output(result), "/sandlock-");
    sandlock_result_free(result);
    CHECK(groups_in(parent) == 0);
    sandlock_policy_free(policy);
    /* Without a limit that it holds there is none. */
    policy = limited_policy(SANDLOCK_LIMIT_WALL, 60000);
    result = run_program(policy, ARGV("cat", "/proc/self/cgroup"));
    CHECK(!strstr(output(result), "sandlock-"));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void too_much_memory_of_every_kind_ends_the_sandbox(void)
{
    static const char *const ways[] = {"malloc", "mmap",   "shared",         "memfd",      "mapped-memfd",
                                       "headless", "headless-memfd", "tree", "shared-tree"};
    sandlock_policy *policy;
    size_t i;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    for (i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_limit(policy, ARGV(program("attack_memory"), ways[i], "300", "20"), 96 * MIB);
    allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    expect_limit(policy, ARGV(program("attack_memory"), "tmpfs", "300", "/dev/shm"), 96 * MIB);
    CHECK(groups_in(parent) == 0);
    sandlock_policy_free(policy);
}

static void as_much_as_allowed_can_be_held(void)
{
    static const char *const ways[] = {"malloc", "shared", "mapped-memfd", "tree", "shared-tree"};
    sandlock_policy *policy;
    size_t i;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    for (i = 0; i < sizeof ways / sizeof *ways; i++)
        expect_success(policy, ARGV(program("attack_memory"), ways[i], "80", "4"));
    sandlock_policy_free(policy);
}

/* The host is much larger than anything in the group, and shares its memory with the child at first. */
static void least_limit_never_ends_the_host(void)
{
    size_t length = 300 * (size_t)MIB;
    char *memory;
    sandlock_policy *policy;
    int i;

    if (!has_groups())
        return;
    memory = malloc(length);
    memset(memory, 1, length);
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 64 * MIB);
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
    for (i = 0; i < 20; i++)
        expect_success(policy, ARGV("true"));
    expect_limit(policy, ARGV(program("attack_memory"), "malloc", "100"), 64 * MIB);
    /* A group that would hold less could run out of memory before. */
    set_limit(policy, SANDLOCK_LIMIT_MEMORY, 64 * MIB - 1);
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 0);
    sandlock_policy_free(policy);
    free(memory);
}

static void largest_process_alone_is_killed(void)
{
    static const char script[] =
        "import os\n"
        "big = os.fork()\n"
        "if big == 0:\n"
        "    held = bytearray(b'x') * (200 << 20)\n"
        "    os._exit(0)\n"
        "print('killed by', os.waitpid(big, 0)[1])\n";
    sandlock_policy *policy;
    sandlock_result *result;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_MEMORY_KILLS_LARGEST, true, NULL));
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "killed by 9\n");
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    sandlock_result_free(result);
    /* The program itself. */
    expect_limit(policy, ARGV(program("attack_memory"), "malloc", "300"), 96 * MIB);
    sandlock_policy_free(policy);
}

/* Also those that nobody waits for. */
static void daemons_are_in_the_group_and_end_with_it(void)
{
    static const char script[] =
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        held = bytearray(b'x') * (60 << 20)\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "held = bytearray(b'x') * (60 << 20)\n"
        "time.sleep(60)\n";
    sandlock_policy *policy;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    expect_limit(policy, ARGV("/usr/bin/python3", "-S", "-c", script), 96 * MIB);
    CHECK(groups_in(parent) == 0);
    set_limit(policy, SANDLOCK_LIMIT_MEMORY, 500 * MIB);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("/usr/bin/python3", "-S", "-c", script), NULL, &process, NULL));
    usleep(500000);
    CHECK(groups_in(parent) == 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, -1, &result, NULL));
    CHECK(groups_in(parent) == 0);
    CHECK(sandlock_result_limit(result) == 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* The program has ended, and what it has started goes on until it holds too much. */
static void descendants_that_are_waited_for_are_under_the_limit(void)
{
    static const char script[] =
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    time.sleep(0.3)\n"
        "    held = bytearray(b'x') * (300 << 20)\n"
        "    time.sleep(60)\n";
    sandlock_policy *policy;
    sandlock_result *result;

    if (!has_groups())
        return;
    if (!expected("landlock-6")) {
        test_absent = "the machine was not declared to offer landlock-6";
        return;
    }
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, true, NULL));
    result = run_program(policy, ARGV("/usr/bin/python3", "-S", "-c", script));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK(groups_in(parent) == 0);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* The kernel kills nobody whom the host has made exempt, and whoever is started by it. */
static void limit_holds_for_a_host_that_is_exempt_from_kills(void)
{
    int status;
    pid_t host;

    if (!has_groups())
        return;
    if (geteuid() != 0) {
        test_absent = "only root can make a process exempt";
        return;
    }
    host = fork();
    if (host == 0) {
        sandlock_policy *policy;

        write_text("/proc/self/oom_score_adj", "-1000");
        policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        expect_limit(policy, ARGV(program("attack_memory"), "malloc", "300"), 96 * MIB);
        sandlock_policy_free(policy);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(host, &status, 0) == host && status == 0);
}

static void failed_start_leaves_no_group(void)
{
    sandlock_policy *policy;
    sandlock_process *process = NULL;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_spawn(policy, NULL, ARGV("/usr/bin/no-such"), NULL, &process, NULL));
    CHECK(groups_in(parent) == 0);
    sandlock_policy_free(policy);
}

static void program_in_namespaces_is_in_the_group(void)
{
    sandlock_policy *policy;

    if (!has_groups())
        return;
    if (!expected("userns")) {
        test_absent = "the machine was not declared to offer userns";
        return;
    }
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 0, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_IPC, true, NULL));
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
    expect_limit(policy, ARGV(program("attack_memory"), "tree", "300", "20"), 96 * MIB);
    expect_success(policy, ARGV(program("attack_memory"), "malloc", "80"));
    sandlock_policy_free(policy);
}

/* Where memory runs out above the sandbox's group, the kernel kills whom it finds there, and everybody who shares his memory. */
static void host_survives_want_of_memory_in_a_group_above(void)
{
    enum { HOGS = 4, STARTS = 60 };
    size_t length = 300 * (size_t)MIB;
    char *memory, above[PATH_MAX + 16];
    sandlock_process *hogs[HOGS] = {NULL};
    sandlock_policy *policy;
    int i, status;
    pid_t host;

    if (!has_groups())
        return;
    snprintf(above, sizeof above, "%s/above", parent);
    CHECK(mkdir(above, 0755) == 0);
    put(above, "cgroup.subtree_control", "+memory");
    put(above, "memory.max", "48M");
    put(above, "memory.swap.max", "0");
    host = fork();
    if (host == 0) {
        memory = malloc(length);
        memset(memory, 1, length);
        policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 200 * MIB);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, above, NULL));
        check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
        for (i = 0; i < STARTS; i++) {
            sandlock_result *result = NULL;
            sandlock_process_free(hogs[i % HOGS]);
            hogs[i % HOGS] = NULL;
            /* Either may fail for want of memory; the host must not. */
            sandlock_spawn(policy, NULL, ARGV(program("attack_memory"), "malloc", "40"), NULL, &hogs[i % HOGS], NULL);
            sandlock_run(policy, NULL, ARGV("true"), 10000, &result, NULL);
            /* It is not the sandbox's limit that has ended it. */
            CHECK(sandlock_result_limit(result) == 0);
            sandlock_result_free(result);
        }
        for (i = 0; i < HOGS; i++)
            sandlock_process_free(hogs[i]);
        CHECK(groups_in(above) == 0);
        sandlock_policy_free(policy);
        free(memory);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(host, &status, 0) == host);
    if (!CHECK(status == 0))
        printf("# status %#x\n", status);
    CHECK(rmdir(above) == 0);
}

/* --- processor time --- */

static void share_of_processor_time_is_kept(void)
{
    static const char busy[] =
        "import os, time\n"
        "children = [os.fork() for i in range(%d)]\n"
        "end = time.monotonic() + 2\n"
        "while time.monotonic() < end: pass\n"
        "if 0 in children: os._exit(0)\n"
        "for child in children: os.waitpid(child, 0)\n"
        "times = os.times()\n"
        "print(times[0] + times[1] + times[2] + times[3])\n";
    static const struct {
        int processes, share;
    } cases[] = {{1, 10}, {1, 50}, {2, 30}, {3, 90}};
    char script[1024];
    sandlock_policy *policy;
    size_t i;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_CPU_SHARE, 50);
    check_mechanism(policy, SANDLOCK_FEATURE_LIMITS, 1);
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        double start, used, wanted, unlimited;
        sandlock_result *result;

        snprintf(script, sizeof script, busy, cases[i].processes - 1);
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
        if (!CHECK(used <= wanted * 1.1 + 0.02) || !CHECK(used >= wanted * 0.75 || used >= unlimited * 0.3))
            printf("# %d processes, %d per cent: %.3f s of %.3f; unlimited %.3f\n", cases[i].processes, cases[i].share, used,
                   wanted, unlimited);
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
}

/* --- who may not change it --- */

static void program_cannot_leave_or_change_its_group(void)
{
    static const char *const attacks[] = {"loosen", "move", "beneath", "clone3"};
    sandlock_policy *policy, *open;
    size_t i;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    allow(policy, "/sys", SANDLOCK_ACCESS_READ);
    /* Without what keeps the program from it no group holds the limit. */
    open = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(open, NULL, NULL));
    allow(open, "/sys", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(open, "clone3", NULL));
    set_limit(open, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED);
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
    check_mechanism(open, SANDLOCK_FEATURE_MEMORY, 0);
    for (i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        const char *const *argv = ARGV(program("attack_groups"), attacks[i], own_group);
        sandlock_result *result = run_program(policy, argv);
        if (!CHECK(sandlock_result_exit_code(result) == 1))
            printf("# %s: exit code %d: %s\n", attacks[i], sandlock_result_exit_code(result), output(result));
        sandlock_result_free(result);
        result = run_program(open, argv);
        if (!CHECK(sandlock_result_exit_code(result) == 0))
            printf("# %s, let: exit code %d: %s\n", attacks[i], sandlock_result_exit_code(result), output(result));
        sandlock_result_free(result);
    }
    put(own_group, "memory.max", "max");
    sandlock_policy_free(policy);
    sandlock_policy_free(open);
}

static void grant_sys(sandlock_policy *policy)
{
    allow(policy, "/sys", SANDLOCK_ACCESS_WRITE);
}

static void grant_everything(sandlock_policy *policy)
{
    allow(policy, "/", SANDLOCK_ACCESS_WRITE);
}

static void grant_group(sandlock_policy *policy)
{
    allow(policy, own_group, SANDLOCK_ACCESS_WRITE);
}

static void disable_files(sandlock_policy *policy)
{
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_DISABLE, NULL));
}

static void make_files_optional(sandlock_policy *policy)
{
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_BEST_EFFORT, NULL));
}

static void disable_filter(sandlock_policy *policy)
{
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_DISABLE, NULL));
}

static void let_clone3(sandlock_policy *policy)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "clone3", NULL));
}

static void policy_that_would_let_the_program_change_its_group_does_without(void)
{
    static void (*const changes[])(sandlock_policy *) = {grant_sys,     grant_everything, grant_group, disable_files,
                                                         make_files_optional, disable_filter, let_clone3};
    size_t i;

    if (!has_groups())
        return;
    if (!expected("landlock-6")) {
        test_absent = "the machine was not declared to offer landlock-6";
        return;
    }
    for (i = 0; i < sizeof changes / sizeof *changes; i++) {
        sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        sandlock_error *error = NULL;

        changes[i](policy);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, NULL, NULL));
        check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 0);
        /* A group that is asked for is not done without. */
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, parent, NULL));
        if (!CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error)))
            printf("# change %zu\n", i);
        CHECK_CONTAINS(sandlock_error_message(error), parent);
        sandlock_error_free(error);
        sandlock_policy_free(policy);
    }
}

static void named_group_that_cannot_be_used_is_refused_with_the_reason(void)
{
    static const struct {
        const char *path, *reason;
    } cases[] = {
        {"/sys/fs/cgroup/no-such", "cannot be opened"},
        {"/tmp", "no group of version 2"},
        {"/sys/fs/cgroup/plain", "cgroup.subtree_control"},
    };
    size_t i;

    if (!has_groups())
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        sandlock_report_entry row;
        sandlock_error *error = NULL;
        sandlock_report *report;

        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, cases[i].path, NULL));
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_MEMORY, SANDLOCK_REQUIRE, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
        CHECK_CONTAINS(sandlock_error_message(error), cases[i].path);
        CHECK_CONTAINS(sandlock_error_message(error), cases[i].reason);
        sandlock_error_free(error);
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_MEMORY, SANDLOCK_BEST_EFFORT, NULL));
        report = report_of(policy);
        row = row_of(report, SANDLOCK_FEATURE_MEMORY);
        if (CHECK(row.state == SANDLOCK_STATE_UNAVAILABLE))
            CHECK_CONTAINS(row.detail, cases[i].reason);
        sandlock_report_free(report);
        sandlock_policy_free(policy);
    }
}

static void group_is_found_only_if_it_was_given_to_the_user(void)
{
    sandlock_policy *policy;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, NULL, NULL));
    check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, geteuid() != 0);
    sandlock_policy_free(policy);
}

/* --- hosts --- */

static void group_of_a_host_that_was_killed_is_removed_by_the_next(void)
{
    sandlock_policy *policy;
    int ready[2], status;
    char byte;
    pid_t host;
    double start;

    if (!has_groups())
        return;
    CHECK(pipe(ready) == 0);
    host = fork();
    if (host == 0) {
        sandlock_process *process = NULL;
        policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        if (sandlock_spawn(policy, NULL, ARGV("sleep", "60"), NULL, &process, NULL) == 0)
            byte = (char)write(ready[1], "r", 1);
        pause();
        _exit(1);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(groups_in(parent) == 1);
    /* A living host keeps its group, also against others who look for what was left. */
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    expect_success(policy, ARGV("true"));
    CHECK(groups_in(parent) == 1);
    kill(host, SIGKILL);
    CHECK(waitpid(host, &status, 0) == host && WIFSIGNALED(status));
    close(ready[0]);
    close(ready[1]);
    CHECK(groups_in(parent) == 1);
    /* Its program dies with it, but not at the same instant; each new policy looks. */
    start = seconds();
    do {
        sandlock_policy_free(policy);
        policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
    } while (groups_in(parent) && seconds() - start < 5);
    CHECK(groups_in(parent) == 0);
    sandlock_policy_free(policy);
}

/* As filters of containers do. */
static void refuse_clone3(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void program_enters_its_group_where_it_cannot_start_in_it(void)
{
    int status;
    pid_t host;

    if (!has_groups())
        return;
    host = fork();
    if (host == 0) {
        sandlock_policy *policy;
        sandlock_result *result;

        refuse_clone3();
        policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
        check_mechanism(policy, SANDLOCK_FEATURE_MEMORY, 1);
        result = run_program(policy, ARGV("cat", "/proc/self/cgroup"));
        CHECK_CONTAINS(output(result), "/sandlock-");
        sandlock_result_free(result);
        expect_limit(policy, ARGV(program("attack_memory"), "tree", "300", "20"), 96 * MIB);
        CHECK(groups_in(parent) == 0);
        sandlock_policy_free(policy);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(host, &status, 0) == host && status == 0);
}

/* A child in memory of its own, and one of a plain fork. */
static void children_of_every_kind_are_in_the_group(void)
{
    sandlock_policy *policy;
    sandlock_result *result;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL));
    set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    expect_limit(policy, ARGV(program("attack_memory"), "malloc", "300"), 96 * MIB);
    setenv("SANDLOCK_SPAWN", "fork", 1);
    result = run_program(policy, ARGV("cat", "/proc/self/cgroup"));
    unsetenv("SANDLOCK_SPAWN");
    CHECK_CONTAINS(output(result), "/sandlock-");
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void many_at_a_time_have_a_group_each(void)
{
    enum { MANY = 12 };
    sandlock_process *processes[MANY] = {NULL};
    struct footprint before;
    sandlock_policy *policy;
    int i;

    if (!has_groups())
        return;
    policy = limited_policy(SANDLOCK_LIMIT_MEMORY, 96 * MIB);
    expect_success(policy, ARGV("true"));
    before = footprint();
    for (i = 0; i < MANY; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "60"), NULL, &processes[i], NULL));
    CHECK(groups_in(parent) == MANY);
    for (i = 0; i < MANY; i++)
        sandlock_process_free(processes[i]);
    CHECK(groups_in(parent) == 0);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

TESTS(T(program_starts_in_a_group_that_is_gone_with_it), T(too_much_memory_of_every_kind_ends_the_sandbox),
      T(as_much_as_allowed_can_be_held), T(least_limit_never_ends_the_host), T(largest_process_alone_is_killed),
      T(daemons_are_in_the_group_and_end_with_it),
      T(descendants_that_are_waited_for_are_under_the_limit), T(limit_holds_for_a_host_that_is_exempt_from_kills),
      T(failed_start_leaves_no_group), T(program_in_namespaces_is_in_the_group),
      T(host_survives_want_of_memory_in_a_group_above),
      T(share_of_processor_time_is_kept), T(program_cannot_leave_or_change_its_group),
      T(policy_that_would_let_the_program_change_its_group_does_without),
      T(named_group_that_cannot_be_used_is_refused_with_the_reason), T(group_is_found_only_if_it_was_given_to_the_user),
      T(group_of_a_host_that_was_killed_is_removed_by_the_next), T(program_enters_its_group_where_it_cannot_start_in_it),
      T(children_of_every_kind_are_in_the_group), T(many_at_a_time_have_a_group_each))
