/* Programs in a PID namespace of their own, whose first process is the library's: that everything that is promised of a sandbox holds
 * there, and what becomes of that first process. Attacks on what the namespace keeps apart are in attack_table.c. */
#include "supervisor.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Programs see their own /proc, and may use /dev/null, which the shell reads for what it starts in the background. */
static sandlock_policy *apart_policy(void)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_MOUNT, true, NULL));
    return policy;
}

/* Whether the machine was declared to offer user namespaces; otherwise the test is absent. */
static int offered(void)
{
    if (!expected("userns"))
        test_absent = "the machine was not declared to offer userns";
    return !test_absent;
}

static sandlock_process *start(const sandlock_policy *policy, const char *const *argv, int *out)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdout_mode = out ? SANDLOCK_STDIO_PIPE : SANDLOCK_STDIO_NULL;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    if (out)
        *out = sandlock_process_take_stdio(process, 1);
    return process;
}

/* Reads lines from the program until one says that it is ready. */
static void wait_until_ready(int out)
{
    char byte;

    CHECK(read(out, &byte, 1) == 1);
}

static sandlock_result *end_of(sandlock_process *process)
{
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    return result;
}

/* A field of /proc/PID/status; "" if there is no such process. */
static const char *status_of(int pid, const char *key)
{
    static char line[256];
    char path[64];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':') {
            fclose(file);
            line[strcspn(line, "\n")] = 0;
            return line + strlen(key) + 1 + strspn(line + strlen(key) + 1, "\t ");
        }
    if (file)
        fclose(file);
    return "";
}

static size_t members_of(sandlock_process *process)
{
    sandlock_members *members = NULL;
    size_t count;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    count = sandlock_members_count(members);
    sandlock_members_free(members);
    return count;
}

static void program_comes_after_its_init(void)
{
    sandlock_policy *policy;
    sandlock_process *process;
    int out, pid, init;
    char numbers[32];

    if (!offered())
        return;
    policy = apart_policy();
    expect_output(policy, ARGV("sh", "-c", "echo $$ $PPID; cat /proc/1/comm"), "2 1\nsandlock-init\n");
    process = start(policy, ARGV("sh", "-c", "echo ready; exec sleep 1000"), &out);
    wait_until_ready(out);
    pid = sandlock_process_pid(process);
    /* The host's number, and the program's own. */
    snprintf(numbers, sizeof numbers, "%d\t2", pid);
    CHECK(!strcmp(status_of(pid, "NSpid"), numbers));
    init = atoi(status_of(pid, "PPid"));
    CHECK(atoi(status_of(init, "PPid")) == getpid());
    CHECK(!strcmp(status_of(init, "Threads"), "1") && !strcmp(status_of(init, "SigBlk"), "fffffffffffbfeff"));
    CHECK(!strcmp(status_of(init, "CapPrm"), "0000000000000000") && !strcmp(status_of(init, "CapEff"), "0000000000000000"));
    CHECK(!strcmp(status_of(init, "CapBnd"), "0000000000000000") && !strcmp(status_of(init, "NoNewPrivs"), "1"));
    /* It has nothing of the host's memory: its code, a stack, and what the kernel adds. */
    CHECK(atoi(status_of(init, "VmSize")) < 1024);
    /* The list has the program, and not the init. */
    CHECK(members_of(process) == 1);
    CHECK(kill(pid, SIGTERM) == 0);
    close(out);
    {
        sandlock_result *result = end_of(process);
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED && sandlock_result_signal(result) == SIGTERM);
        sandlock_result_free(result);
    }
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void end_of_the_program_is_told(void)
{
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    sandlock_policy *policy;
    sandlock_result *result;

    if (!offered())
        return;
    policy = apart_policy();
    result = run_program(policy, ARGV("sh", "-c", "exit 7"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 7);
    sandlock_result_free(result);
    result = run_program(policy, ARGV(program("probe"), "signal", "11"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED && sandlock_result_signal(result) == SIGSEGV);
    sandlock_result_free(result);
    result = run_program(policy, ARGV(program("attack_processes"), "time", "1000"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage, NULL));
    CHECK(usage.user_us + usage.system_us >= 900000);
    sandlock_result_free(result);
    result = run_program(policy, ARGV(program("probe"), "memory", "64"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage, NULL));
    CHECK(usage.peak_rss >= 64 << 20 && usage.peak_rss < 128 << 20);
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("sleep", "1000"), 200, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void program_that_cannot_be_executed_leaves_nothing(void)
{
    struct footprint before;
    sandlock_policy *policy;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;
    int i;

    if (!offered())
        return;
    policy = apart_policy();
    sandlock_result_free(run_program(policy, ARGV("true")));
    before = footprint();
    for (i = 0; i < 5; i++) {
        CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_spawn(policy, NULL, ARGV("/usr/none-such"), NULL, &process, &error));
        CHECK(sandlock_error_errno(error) == ENOENT && process == NULL);
        sandlock_error_free(error);
        error = NULL;
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

/* Nobody's children are the init's, which lets none of them lie about. */
static void orphans_are_reaped(void)
{
    sandlock_policy *policy;
    sandlock_process *process;
    int out;

    if (!offered())
        return;
    policy = apart_policy();
    process = start(policy,
                    ARGV("sh", "-c",
                         "for i in 1 2 3 4 5; do (true &); done; "
                         "while cat /proc/[0-9]*/status 2>/dev/null | grep -q '^State:.Z'; do :; done; echo clean; exec sleep 1000"),
                    &out);
    wait_until_ready(out);
    CHECK(members_of(process) == 1);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void whole_sandbox_is_paused_and_killed(void)
{
    sandlock_member member = SANDLOCK_MEMBER_INIT;
    sandlock_members *members = NULL;
    struct footprint before;
    sandlock_policy *policy;
    sandlock_process *process;
    sandlock_result *result;
    size_t i, moving;
    int out, daemon = 0, tries;

    if (!offered())
        return;
    before = footprint();
    policy = apart_policy();
    process = start(policy, ARGV("sh", "-c", "setsid sleep 1000 & setsid sleep 1000 & sleep 0.2; echo ready; exec sleep 1000"), &out);
    wait_until_ready(out);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    for (tries = 0, moving = 1; moving && tries < 5000; tries++, usleep(1000)) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
        CHECK(sandlock_members_count(members) == 3);
        for (i = moving = 0; i < sandlock_members_count(members); i++) {
            sandlock_members_get(members, i, &member, NULL);
            moving += status_of(member.pid, "State")[0] != 'T';
            if (member.pid != sandlock_process_pid(process))
                daemon = member.pid;
        }
        sandlock_members_free(members);
    }
    CHECK(!moving);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resume(process, NULL));
    for (tries = 0; status_of(daemon, "State")[0] == 'T' && tries < 5000; tries++)
        usleep(1000);
    CHECK(daemon && status_of(daemon, "State")[0] != 'T');
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    result = end_of(process);
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    CHECK(!status_of(daemon, "State")[0]);
    sandlock_result_free(result);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
}

static void descendants_are_waited_for_if_the_policy_says_so(void)
{
    const char *const *argv = ARGV("sh", "-c", "(setsid sleep 0.3; echo late) & echo early");
    sandlock_result *result = NULL;
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = apart_policy();
    expect_output(policy, argv, "early\n");
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS, true, NULL);
    expect_output(policy, argv, "early\nlate\n");
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    expect_output(policy, argv, "early\nlate\n");
    /* Whose time is up is not the program. */
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, 500, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("sh", "-c", "sleep 100 & exit 3"), -1, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_limit(result) == SANDLOCK_LIMIT_WALL);
    CHECK(sandlock_result_exit_code(result) == 3);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void check_limit(uint32_t limit, uint64_t value, int supervised, const char *const *argv)
{
    sandlock_policy *policy = apart_policy();
    sandlock_result *result;

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, !supervised, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, limit, value, NULL));
    result = run_program(policy, argv);
    if (!CHECK(result && sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_limit(result) == limit))
        printf("# limit %u, supervised %d: reason %u\n", limit, supervised, sandlock_result_reason(result));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void limits_of_the_sandbox_hold(void)
{
    int supervised;

    if (!offered())
        return;
    for (supervised = 0; supervised < 2; supervised++) {
        check_limit(SANDLOCK_LIMIT_WALL, 200, supervised, ARGV("sh", "-c", "setsid sleep 1000 & sleep 1000"));
        check_limit(SANDLOCK_LIMIT_CPU_TOTAL, 200, supervised, ARGV(program("attack_memory"), "burn", "1000", "2"));
        check_limit(SANDLOCK_LIMIT_MEMORY, 64 << 20, supervised, ARGV(program("attack_memory"), "tree", "200", "8"));
        check_limit(SANDLOCK_LIMIT_MEMORY, 64 << 20, supervised, ARGV(program("attack_memory"), "memfd", "200"));
    }
}

/* A fifth of a processor for all of them: half a second of computing takes more than two. */
static void share_of_processor_time_is_kept(void)
{
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    sandlock_policy *policy;
    sandlock_result *result;

    if (!offered())
        return;
    policy = apart_policy();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, 20, NULL));
    result = run_program(policy, ARGV(program("attack_memory"), "burn", "500", "1"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage, NULL));
    CHECK(sandlock_result_exit_code(result) == 0 && usage.wall_us > 1800000);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* A namespace beneath, which a policy may let it make, has another number. */
static void whoever_hides_is_counted(void)
{
    sandlock_policy *policy;
    sandlock_process *process;
    sandlock_result *result;
    int out;

    if (!offered())
        return;
    policy = apart_policy();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "clone", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "unshare", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 12, NULL));
    result = run_program(policy, ARGV("unshare", "-U", "-pf", program("attack_forks"), "fork", "12"));
    if (!CHECK(sandlock_result_exit_code(result) == 1 && strstr(output(result), "fork")))
        printf("# %s%s\n", output(result), errors(result));
    sandlock_result_free(result);
    process = start(policy, ARGV("unshare", "-U", "-pf", "sh", "-c", "sleep 1000 & echo ready; exec sleep 1000"), &out);
    wait_until_ready(out);
    CHECK(members_of(process) == 3);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* Of a process whose file the host may not read, it is not told in which namespace it is. */
static void whoever_cannot_be_read_is_counted(void)
{
    sandlock_policy *policy;
    sandlock_result *result;

    if (!offered())
        return;
    if (access(program("attack_unreadable"), X_OK)) {
        test_absent = "root has not made a program that others may not read";
        return;
    }
    policy = apart_policy();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 11, NULL));
    result = run_program(policy, ARGV(program("attack_unreadable"), "fork", "12"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* Every attack comes to nothing, and the sandbox lives on. */
static void init_is_out_of_reach(void)
{
    static const uint32_t off[] = {SANDLOCK_FEATURE_FILES, SANDLOCK_FEATURE_NETWORK, SANDLOCK_FEATURE_SIGNAL_SCOPE,
                                   SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE};
    static const char *const allowed[] = {"ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd"};
    sandlock_policy *policy;
    sandlock_result *result;
    size_t i;

    if (!offered())
        return;
    policy = apart_policy();
    for (i = 0; i < sizeof off / sizeof *off; i++)
        sandlock_policy_set_strictness(policy, off[i], SANDLOCK_DISABLE, NULL);
    for (i = 0; i < sizeof allowed / sizeof *allowed; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, allowed[i], NULL));
    result = run_program(policy, ARGV(program("attack_namespaces"), "init"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "alive\n");
    if (!CHECK(!strstr(output(result), "done")))
        printf("# %s\n", output(result));
    sandlock_result_free(result);
    /* Who has privileges in the namespace could change what it does all the same, but not what it may. */
    {
        int out, init;
        sandlock_process *process = start(policy, ARGV("sh", "-c", "echo ready; exec sleep 1000"), &out);

        wait_until_ready(out);
        init = atoi(status_of(sandlock_process_pid(process), "PPid"));
        CHECK(!strcmp(status_of(init, "Seccomp"), "2"));
        CHECK(sandlock_process_kill(process, NULL) == SANDLOCK_OK);
        close(out);
        sandlock_result_free(end_of(process));
        sandlock_process_free(process);
    }
    /* So is whatever else is in the sandbox not: the same calls are let through. */
    result = run_program(policy, ARGV("sh", "-c", "sleep 1000 & \"$0\" ptrace $!", program("attack_processes")));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void report_says_so(void)
{
    static const uint32_t features[] = {SANDLOCK_FEATURE_NS_USER, SANDLOCK_FEATURE_NS_PID, SANDLOCK_FEATURE_NS_MOUNT};
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_policy *policy;
    sandlock_report *report;
    sandlock_error *error = NULL;
    size_t i;

    if (!offered())
        return;
    policy = apart_policy();
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    for (i = 0; i < 3; i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, features[i] - 1, &entry, NULL));
        CHECK(entry.state == SANDLOCK_STATE_ENFORCED);
        CHECK_CONTAINS(entry.mechanism, "namespace");
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_KILL_ALL - 1, &entry, NULL));
    CHECK(entry.state == SANDLOCK_STATE_ENFORCED);
    CHECK_CONTAINS(entry.mechanism, "PID namespace");
    sandlock_report_free(report);

    /* Disabled, it goes without, and so does what takes it. */
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NS_PID, SANDLOCK_DISABLE, NULL);
    report = report_of(policy);
    for (i = 1; i < 3; i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, features[i] - 1, &entry, NULL));
        CHECK(entry.state == SANDLOCK_STATE_WAIVED);
    }
    sandlock_report_free(report);

    /* The huge page setting takes memory of one's own, which an init does not get. */
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NS_PID, SANDLOCK_REQUIRE, NULL);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "NO_HUGE_PAGES");
    sandlock_error_free(error);
    error = NULL;
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, false, NULL);
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_confine_self(policy, &error));
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

TESTS(T(program_comes_after_its_init), T(end_of_the_program_is_told), T(program_that_cannot_be_executed_leaves_nothing),
      T(orphans_are_reaped), T(whole_sandbox_is_paused_and_killed), T(descendants_are_waited_for_if_the_policy_says_so),
      T(limits_of_the_sandbox_hold), T(share_of_processor_time_is_kept), T(whoever_hides_is_counted),
      T(whoever_cannot_be_read_is_counted), T(init_is_out_of_reach),
      T(report_says_so))
