/* Namespaces: what the program finds itself in, that the rest of the sandbox holds there, and what happens where they cannot be had.
 * Attacks on what they keep apart are in attack_table.c. */
#include "support.h"

#include <sched.h>
#include <sys/prctl.h>

static const uint32_t all[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_NET};
static const uint32_t features[] = {SANDLOCK_FEATURE_NS_USER, SANDLOCK_FEATURE_NS_IPC, SANDLOCK_FEATURE_NS_UTS,
                                    SANDLOCK_FEATURE_NS_NET};

enum { COUNT = sizeof all / sizeof *all, FEATURES = sizeof features / sizeof *features };

/* Whether the machine was declared to offer user namespaces; otherwise the test is absent. */
static int offered(void)
{
    if (!expected("userns"))
        test_absent = "the machine was not declared to offer userns";
    return !test_absent;
}

/* Everything apart, under another user. */
static sandlock_policy *apart_policy(uint32_t user)
{
    sandlock_policy *policy = system_policy();
    int i;

    for (i = 0; i < COUNT; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, all[i], true, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, user, user, NULL));
    return policy;
}

static void row_of(const sandlock_report *report, uint32_t feature, sandlock_report_entry *entry)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, feature - 1, entry, NULL));
    CHECK(entry->feature == feature);
}

static void settings_are_checked(void)
{
    sandlock_policy *policy = sandlock_policy_new();

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_user(NULL, 0, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_user(policy, UINT32_MAX, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_user(policy, 0, UINT32_MAX, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_namespace(NULL, SANDLOCK_NAMESPACE_IPC, true, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_namespace(policy, 0, true, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_namespace(policy, 99, true, NULL));
    sandlock_policy_free(policy);
}

/* It goes by the ids that it was given, and has no more privileges for being called root. */
static void user_is_a_name_without_privileges(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = system_policy();
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    sandlock_policy_set_user(policy, 0, 0, NULL);
    expect_output(policy, ARGV("sh", "-c", "echo $(id -u) $(id -g)"), "0 0\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapEff"), "CapEff:\t0000000000000000\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapPrm"), "CapPrm:\t0000000000000000\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapBnd"), "CapBnd:\t0000000000000000\n");
    expect_output(policy, ARGV("cat", "/proc/self/setgroups"), "deny\n");
    sandlock_policy_set_user(policy, 1234, 5678, NULL);
    expect_output(policy, ARGV("sh", "-c", "echo $(id -u) $(id -g)"), "1234 5678\n");
    sandlock_policy_free(policy);
}

/* Without a user of its own, the program goes by the host's, in namespaces too. */
static void namespace_alone_leaves_the_user(void)
{
    sandlock_policy *policy;
    char ids[64];

    if (!offered())
        return;
    policy = system_policy();
    sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_UTS, true, NULL);
    snprintf(ids, sizeof ids, "%u %u\n", geteuid(), getegid());
    expect_output(policy, ARGV("sh", "-c", "echo $(id -u) $(id -g)"), ids);
    sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_UTS, false, NULL);
    expect_output(policy, ARGV("sh", "-c", "test $(uname -n) = sandbox || echo of the host"), "of the host\n");
    sandlock_policy_free(policy);
}

/* Files are the host user's, whatever the program calls itself; chown(2), which the library carries out, speaks its language. */
static void files_belong_to_the_user_of_the_host(void)
{
    const char *tree;
    sandlock_policy *policy;
    struct stat status;

    if (!offered())
        return;
    tree = make_tree();
    policy = apart_policy(0);
    allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    sandlock_policy_set_cwd(policy, tree, NULL);
    expect_output(policy,
                  ARGV("sh", "-c",
                       "echo x >made; stat -c '%u %g' made; chown 0:0 made && chown 7 made 2>/dev/null || echo not to another; "
                       "chmod 600 made && stat -c %a made"),
                  "0 0\nnot to another\n600\n");
    CHECK(stat(in_tree(tree, "made"), &status) == 0 && status.st_uid == geteuid() && status.st_gid == getegid());
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void host_name_is_not_the_hosts(void)
{
    sandlock_policy *policy;
    char before[256] = "", after[256] = "";

    if (!offered())
        return;
    policy = apart_policy(0);
    gethostname(before, sizeof before - 1);
    expect_output(policy, ARGV("uname", "-n"), "sandbox\n");
    gethostname(after, sizeof after - 1);
    CHECK(!strcmp(before, after));
    sandlock_policy_free(policy);
}

/* Two sandboxes and the host each have a loopback interface, and nothing on it is shared. */
static void program_can_talk_to_itself_alone(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = apart_policy(0);
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_DISABLE, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "listen", NULL));
    expect_output(policy, ARGV(program("probe"), "loopback"), "connected\n");
    sandlock_policy_free(policy);
}

static void report_has_a_row_for_each(void)
{
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_policy *policy;
    sandlock_report *report;
    int i;

    if (!offered())
        return;
    policy = apart_policy(7);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    for (i = 0; i < FEATURES; i++) {
        row_of(report, features[i], &entry);
        CHECK(entry.state == SANDLOCK_STATE_ENFORCED && entry.errno_value == 0);
        CHECK_CONTAINS(entry.mechanism, "namespace");
    }
    row_of(report, SANDLOCK_FEATURE_NS_USER, &entry);
    CHECK(!strcmp(entry.detail, "user 7, group 7"));
    row_of(report, SANDLOCK_FEATURE_CAPABILITIES, &entry);
    CHECK(!strcmp(entry.mechanism, "capset, bounding set"));
    sandlock_report_free(report);

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NS_USER, SANDLOCK_DISABLE, NULL);
    report = report_of(policy);
    for (i = 0; i < FEATURES; i++) {
        row_of(report, features[i], &entry);
        CHECK(entry.state == SANDLOCK_STATE_WAIVED);
    }
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

/* Who is outside and in other namespaces still counts, finds and ends who is inside. */
static void rest_of_the_sandbox_holds_inside(void)
{
    struct footprint before;
    sandlock_policy *policy;
    sandlock_process *process = NULL;
    sandlock_result *result;
    sandlock_members *members = NULL;
    double began;

    if (!offered())
        return;
    before = footprint();
    policy = apart_policy(0);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ); /* what the shell starts in the background reads it */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 11, NULL));
    result = run_program(policy, ARGV(program("attack_forks"), "fork", "12"));
    CHECK(sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);
    result = run_program(policy, ARGV(program("attack_system"), "unshare-user"));
    CHECK(sandlock_result_exit_code(result) == 1);
    sandlock_result_free(result);

    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sh", "-c", "setsid sleep 1000 & exec sleep 1000"), NULL,
                                             &process, NULL));
    began = seconds();
    do {
        sandlock_members_free(members);
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    } while (sandlock_members_count(members) < 2 && seconds() - began < 10);
    CHECK(sandlock_members_count(members) == 2);
    sandlock_members_free(members);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 10000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
}

/* Capabilities of the namespace would do: mounting, setting the host name, whatever the filter says. */
static void no_privilege_is_left_without_the_filter(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = apart_policy(0);
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_DISABLE, NULL);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    expect_output(policy, ARGV("sh", "-c", "hostname other 2>/dev/null || echo refused"), "refused\n");
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_CAPABILITIES, SANDLOCK_DISABLE, NULL);
    expect_output(policy, ARGV("sh", "-c", "hostname other && hostname"), "other\n");
    sandlock_policy_free(policy);
}

static int32_t look_at_path(sandlock_notification *call, void *found)
{
    char text[64];
    size_t length;

    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 0), text, sizeof text, &length, NULL) ==
            SANDLOCK_OK &&
        !strcmp(text, "/usr"))
        *(int *)found = 1;
    return SANDLOCK_HANDLER_PASS;
}

/* A handler of the host reads memory of a program in another user namespace. */
static void handlers_read_memory_inside(void)
{
    sandlock_policy *policy;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result = NULL;
    int found = 0;

    if (!offered())
        return;
    policy = apart_policy(3);
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, "chdir", look_at_path, &found, NULL, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_run(policy, supervisor, ARGV("sh", "-c", "cd /usr; exit 4"), 30000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 4 && found);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* Also where the child starts from a copy of the host's memory. */
static void child_with_memory_of_its_own_starts_there_too(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = apart_policy(9);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    expect_output(policy, ARGV("sh", "-c", "echo $(id -u) $(uname -n)"), "9 sandbox\n");
    sandlock_policy_free(policy);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void check_refused(int32_t errno_value, const char *hint)
{
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_capabilities found = SANDLOCK_CAPABILITIES_INIT;
    sandlock_policy *policy = apart_policy(7);
    sandlock_error *error = NULL;
    sandlock_report *report;
    char id[32];
    int i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_probe(&found, NULL));
    CHECK(found.user_namespaces == 0 && found.user_namespaces_errno == errno_value);
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
    CHECK(sandlock_error_errno(error) == errno_value && sandlock_error_stage(error) == SANDLOCK_STAGE_NAMESPACES);
    CHECK_CONTAINS(sandlock_error_message(error), hint);
    sandlock_error_free(error);
    for (i = 0; i < FEATURES; i++)
        sandlock_policy_set_strictness(policy, features[i], SANDLOCK_BEST_EFFORT, NULL);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
    for (i = 0; i < FEATURES; i++) {
        row_of(report, features[i], &entry);
        CHECK(entry.state == SANDLOCK_STATE_UNAVAILABLE && entry.errno_value == errno_value);
    }
    sandlock_report_free(report);
    snprintf(id, sizeof id, "%u\n", geteuid());
    expect_output(policy, ARGV("id", "-u"), id);
    sandlock_policy_free(policy);
}

/* Runs a test in a process that it may spoil. */
static void in_a_fork(void (*test)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        test_failures = 0;
        test();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forbid_by_sysctl(void)
{
    char map[32];

    snprintf(map, sizeof map, "0 %u 1", geteuid());
    if (!CHECK(unshare(CLONE_NEWUSER) == 0))
        return;
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", map);
    write_file("/proc/sys/user/max_user_namespaces", "0"); /* of this namespace */
    check_refused(ENOSPC, "user.max_user_namespaces");
}

static void forbid_by_filter(void)
{
    sandlock_policy *outer = sandlock_policy_new();

    sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_ALL, SANDLOCK_DISABLE, NULL);
    sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_REQUIRE, NULL);
    sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_NO_NEW_PRIVS, SANDLOCK_REQUIRE, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(outer, NULL));
    sandlock_policy_free(outer);
    check_refused(EPERM, "a container's filter");
}

static void forbid_map(void)
{
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
    check_refused(EACCES, "not dumpable");
}

static void what_the_host_forbids_is_unavailable_with_the_reason(void)
{
    if (!offered())
        return;
    in_a_fork(forbid_by_sysctl);
    in_a_fork(forbid_by_filter);
    if (geteuid() != 0)
        in_a_fork(forbid_map);
}

static void confining_oneself_makes_no_namespaces(void)
{
    sandlock_policy *policy = sandlock_policy_new();

    sandlock_policy_set_user(policy, 0, 0, NULL);
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_confine_self(policy, NULL));
    sandlock_policy_free(policy);
}

/* Asking leaves nothing behind, no zombie either, and no signal. */
static int signals_seen;

static void note_signal(int number)
{
    (void)number;
    signals_seen++;
}

static void asking_goes_unnoticed(void)
{
    sandlock_capabilities found = SANDLOCK_CAPABILITIES_INIT;
    struct footprint before;

    if (!offered())
        return;
    CHECK_STATUS(SANDLOCK_OK, sandlock_probe(&found, NULL));
    signal(SIGCHLD, note_signal);
    before = footprint();
    CHECK_STATUS(SANDLOCK_OK, sandlock_probe(&found, NULL));
    CHECK(found.user_namespaces == 1 && found.user_namespaces_errno == 0);
    CHECK(signals_seen == 0);
    CHECK_UNCHANGED(before);
    signal(SIGCHLD, SIG_DFL);
}

TESTS(T(settings_are_checked), T(user_is_a_name_without_privileges), T(namespace_alone_leaves_the_user),
      T(files_belong_to_the_user_of_the_host), T(host_name_is_not_the_hosts), T(program_can_talk_to_itself_alone),
      T(report_has_a_row_for_each), T(rest_of_the_sandbox_holds_inside), T(no_privilege_is_left_without_the_filter),
      T(handlers_read_memory_inside), T(child_with_memory_of_its_own_starts_there_too),
      T(what_the_host_forbids_is_unavailable_with_the_reason), T(confining_oneself_makes_no_namespaces),
      T(asking_goes_unnoticed))
