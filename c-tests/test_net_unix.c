/* Unix sockets where Landlock governs them by path (ABI 9, Linux 7.1): what the kernel keeps without the library, and besides it. */
#include "net.h"

/* True, and the test is absent, where the kernel does not. */
static int is_absent(void)
{
    if (expected("landlock-9"))
        return 0;
    test_absent = "the machine was not declared to offer landlock-9";
    return 1;
}

struct unix_case {
    const char *rules[4];
    const char *words[4];
    const char *prints, *arrived;
};

static sandlock_policy *policy_alone(const char *const *rules)
{
    sandlock_policy *policy = policy_with(rules);

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    return policy;
}

static void rules_by_path_do_without_the_library(void)
{
    static const struct unix_case cases[] = {
        {{"unix:$/socket"}, {"connect", "$/socket"}, "ok", "p"},
        {{"unix:$/socket"}, {"connect", "$/dir/../socket"}, "ok", "p"},
        {{"unix:$/socket"}, {"connect", "$/dir/other"}, "EACCES", ""},
        {{"unix:$/dir/*"}, {"connect", "$/dir/other"}, "ok", "q"},
        {{"unix:$/dir/*"}, {"connect", "$/socket"}, "EACCES", ""},
        {{"unix:$/dir/*"}, {"connect", "$/dir/../socket"}, "EACCES", ""},
        {{"unix:$/*"}, {"connect", "$/dir/other"}, "ok", "q"},
        {{"unix:$/socket", "unix:$/dir/*"}, {"connect", "$/dir/other"}, "ok", "q"},
        /* A directory is not what is in it, and a socket is no directory. */
        {{"unix:$/dir"}, {"connect", "$/dir/other"}, "EACCES", ""},
        {{"unix:$/socket/*"}, {"connect", "$/socket"}, "EACCES", ""},
        {{"unix:$/datagrams"}, {"send", "$/datagrams", "sendto"}, "ok", "d"},
        {{"unix:$/datagrams"}, {"send", "$/datagrams", "sendmsg"}, "ok", "d"},
        {{"unix:$/socket"}, {"send", "$/datagrams", "sendto"}, "EACCES", ""},
        {{"unix:$/socket"}, {"send", "$/datagrams", "sendmmsg"}, "EACCES", ""},
        {{"unix:$/socket"}, {"send", "$/datagrams", "connect"}, "EACCES", ""},
        {{"unix:$/socket"}, {"link", "$/writable/to-socket", "$/socket"}, "ok ok", "p"},
        {{"unix:$/socket"}, {"link", "$/writable/to-other", "$/dir/other"}, "ok EACCES", ""},
        {{"unix:$/writable/*"}, {"link", "$/writable/to-any", "$/socket"}, "ok EACCES", ""},
        {{"unix:$/socket"}, {"from", "$/dir", "../socket"}, "ok ok", "p"},
        {{"unix:$/socket"}, {"from", "$/dir", "other"}, "ok EACCES", ""},
        /* Abstract names are the scope's. */
        {{"unix:$/*"}, {"connect", "$@stream"}, "EPERM", ""},
        /* Other networks stay as they are. */
        {{"unix:$/*"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"unix:$/*", "tcp://*:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"unix:$/*", "tcp://*:$t"}, {"connect", "$/dir/other"}, "ok", "q"},
    };
    size_t i;

    if (is_absent())
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_alone(cases[i].rules);
        check_run(policy, cases[i].words, cases[i].prints, cases[i].arrived);
        sandlock_policy_free(policy);
    }
}

/* Whoever may change a directory that a rule speaks of may not bring a socket there that no rule speaks of. */
static void sockets_are_not_brought_to_where_rules_allow_them(void)
{
    static const char *const ways[] = {"other-name", "moved"};
    size_t i;

    if (is_absent())
        return;
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        sandlock_policy *policy = policy_alone(RULES("unix:$/writable/*"));
        char *text;

        allow(policy, in_tree(net_tree, "dir"), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
        text = bare(CHILD(ways[i], "$/writable/brought", "$/dir/otherwise"));
        if (!CHECK(!strcmp(text, "ok ok")))
            printf("# %s outside a sandbox: %s\n", ways[i], text);
        if (i == 0)
            CHECK(unlink(in_tree(net_tree, "writable/brought")) == 0);
        else
            CHECK(rename(in_tree(net_tree, "writable/brought"), in_tree(net_tree, "dir/otherwise")) == 0);
        CHECK(check_arrivals("r"));
        free(text);
        check_run(policy, ARGV(ways[i], "$/writable/brought", "$/dir/otherwise"), "EXDEV ENOENT", "");
        sandlock_policy_free(policy);
    }
}

/* A policy is made for what is there when a program starts, and anew when that has changed. */
static void sockets_that_come_later_are_for_who_starts_later(void)
{
    sandlock_policy *policy;
    struct peer peer;
    int fd;

    if (is_absent())
        return;
    policy = policy_alone(RULES("unix:$/later/*", "unix:$/writable/one"));
    check_run(policy, ARGV("connect", "$/later/one"), "ENOENT", "");
    CHECK(mkdir(in_tree(net_tree, "later"), 0755) == 0);
    peer = local_peer("later/one");
    fd = listening(peer, 10);
    check_run(policy, ARGV("connect", "$/later/one"), "ok", "");
    close(fd);
    CHECK(unlink(peer.local.sun_path) == 0 && rmdir(in_tree(net_tree, "later")) == 0);
    peer = local_peer("writable/one");
    fd = listening(peer, 10);
    check_run(policy, ARGV("connect", "$/writable/one"), "ok", "");
    close(fd);
    CHECK(unlink(peer.local.sun_path) == 0);
    /* Another socket by the same name. */
    fd = listening(peer, 10);
    check_run(policy, ARGV("connect", "$/writable/one"), "ok", "");
    close(fd);
    CHECK(unlink(peer.local.sun_path) == 0);
    sandlock_policy_free(policy);
}

static void what_names_say_takes_the_library_still(void)
{
    static const char *const cases[][2] = {{"unix:$@stream", "unix:$/socket"}, {"unix:$/*", "deny unix:$/socket"}};
    size_t i;

    if (is_absent())
        return;
    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_alone(RULES(cases[i][0], cases[i][1]));
        sandlock_process *process = NULL;
        sandlock_error *error = NULL;

        CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED,
                     sandlock_spawn(policy, NULL, CHILD("connect", "$/socket"), NULL, &process, &error));
        CHECK_CONTAINS(sandlock_error_message(error), "NO_SUPERVISOR");
        sandlock_error_free(error);
        sandlock_process_free(process);
        sandlock_policy_free(policy);
    }
}

static void reports_say_who_keeps_the_rules(void)
{
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_policy *policy;
    sandlock_report *report;

    if (is_absent())
        return;
    policy = policy_alone(RULES("unix:$/socket"));
    report = report_of(policy);
    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_NETWORK - 1, &row, NULL));
    CHECK(row.feature == SANDLOCK_FEATURE_NETWORK && row.state == SANDLOCK_STATE_ENFORCED);
    CHECK_CONTAINS(row.mechanism, "landlock by path");
    CHECK_CONTAINS(row.detail, "unix by path");
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

/* With no rule that would have anybody look. */
static void passed_sockets_stay_inside(void)
{
    int32_t passed = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), as = 9;
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_policy *policy;
    struct peer peer;

    if (is_absent())
        return;
    policy = policy_with(RULES("tcp://*:$t"));
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    options.pass_fds = &passed;
    options.pass_fds_as = &as;
    options.pass_fd_count = 1;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, CHILD("given", "9", "$/datagrams"), &options, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK_CONTAINS(output(result), "EACCES");
    CHECK(check_arrivals(""));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    /* It is a socket that reaches: for its owner it does. */
    peer = local_peer("datagrams");
    CHECK(sendto(passed, "hello", 5, 0, &peer.any, peer.length) == 5);
    CHECK(check_arrivals("d"));
    close(passed);
}

static void servers_inside_are_reached_from_inside(void)
{
    sandlock_policy *policy;

    if (is_absent())
        return;
    policy = policy_alone(RULES("unix:$/dir/*", "bind *"));
    check_run(policy, ARGV("itself", "$/writable/mine"), "ok ok ok", "");
    CHECK(unlink(in_tree(net_tree, "writable/mine")) == 0);
    check_run(policy, ARGV("itself", "$@mine"), "ok ok ok", "");
    check_run(policy, ARGV("itself", "$/dir/mine"), "EACCES", "");
    sandlock_policy_free(policy);
}

/* A view of the program's own, where the child makes its ruleset itself. */
static sandlock_policy *policy_in_a_view(const char *const *rules)
{
    static const char *const system[] = {"/usr", "/bin", "/lib", "/lib64"};
    sandlock_policy *policy = policy_alone(rules);
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "", NULL));
    for (i = 0; i < sizeof system / sizeof *system; i++)
        if (access(system[i], F_OK) == 0)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, system[i], system[i], 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, program_directory(), program_directory(), 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, net_tree, net_tree, SANDLOCK_MOUNT_WRITE, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, in_tree(net_tree, "dir"), "/here", 0, NULL));
    return policy;
}

static void paths_are_those_that_the_program_sees(void)
{
    sandlock_policy *policy;

    if (is_absent())
        return;
    policy = policy_in_a_view(RULES("unix:/here/other", "unix:/nothing/*"));
    check_run(policy, ARGV("connect", "/here/other"), "ok", "q");
    check_run(policy, ARGV("connect", "/here/otherwise"), "EACCES", "");
    check_run(policy, ARGV("connect", "$/socket"), "EACCES", "");
    sandlock_policy_free(policy);
}

/* What the program leaves in a directory that it may write to does not say what rules mean when it starts again, nor keep it from that. */
static void links_that_it_leaves_lead_nowhere(void)
{
    static const char *const rules[] = {"unix:$/writable/planted/*", "unix:$/writable/one", "unix:$/writable/loop",
                                        "unix:/proc/self/cwd/*", NULL};
    sandlock_policy *(*const policies[])(const char *const *) = {policy_alone, policy_in_a_view, policy_with};
    size_t i;

    if (is_absent())
        return;
    start_servers();
    for (i = 0; i < sizeof policies / sizeof *policies; i++) {
        sandlock_policy *policy = policies[i](rules);

        check_run(policy, ARGV("connect", "$/dir/other"), "EACCES", "");
        check_run(policy, ARGV("linked", "$/writable/planted", "$/dir"), "ok", "");
        check_run(policy, ARGV("linked", "$/writable/one", "$/socket"), "ok", "");
        check_run(policy, ARGV("linked", "$/writable/loop", "loop"), "ok", "");
        CHECK(chdir(in_tree(net_tree, "dir")) == 0);
        check_run(policy, ARGV("connect", "$/dir/other"), "EACCES", "");
        check_run(policy, ARGV("connect", "$/writable/planted/other"), "EACCES", "");
        check_run(policy, ARGV("connect", "$/socket"), "EACCES", "");
        check_run(policy, ARGV("connect", "$/writable/one"), "EACCES", "");
        check_run(policy, ARGV("connect", "$/writable/loop"), "ELOOP", "");
        CHECK(chdir("/") == 0);
        CHECK(unlink(in_tree(net_tree, "writable/planted")) == 0 && unlink(in_tree(net_tree, "writable/one")) == 0 &&
              unlink(in_tree(net_tree, "writable/loop")) == 0);
        sandlock_policy_free(policy);
    }
}

static void a_thread_that_confines_itself_keeps_to_the_rules(void)
{
    sandlock_error *error = NULL;
    int status;
    pid_t pid;

    if (is_absent())
        return;
    start_servers();
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        sandlock_policy *policy = policy_with(RULES("unix:$/writable/planted/*", "unix:$/dir/otherwise"));
        struct peer inside = local_peer("dir/otherwise"), outside = local_peer("dir/other");
        int one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (symlink(in_tree(net_tree, "dir"), in_tree(net_tree, "writable/planted")))
            _exit(4);
        if (sandlock_confine_self(policy, &error)) {
            printf("# %s\n", sandlock_error_message(error));
            fflush(stdout);
            _exit(1);
        }
        if (connect(other, &outside.any, outside.length) == 0 || errno != EACCES)
            _exit(2);
        if (connect(one, &inside.any, inside.length) || send(one, "hello", 5, 0) != 5)
            _exit(3);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (!CHECK(WEXITSTATUS(status) == 0))
        printf("# step %d\n", WEXITSTATUS(status));
    CHECK(check_arrivals("r"));
    CHECK(unlink(in_tree(net_tree, "writable/planted")) == 0);
}

TESTS(T(rules_by_path_do_without_the_library), T(sockets_are_not_brought_to_where_rules_allow_them),
      T(sockets_that_come_later_are_for_who_starts_later), T(what_names_say_takes_the_library_still),
      T(reports_say_who_keeps_the_rules), T(passed_sockets_stay_inside), T(servers_inside_are_reached_from_inside),
      T(paths_are_those_that_the_program_sees), T(links_that_it_leaves_lead_nowhere),
      T(a_thread_that_confines_itself_keeps_to_the_rules))
