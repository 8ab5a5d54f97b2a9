/* The API as such: arguments that make no sense, structures of other sizes, handles, errors, facts stated twice. */
#include "support.h"

#define INVALID SANDLOCK_ERROR_INVALID_ARGUMENT

static void header_and_library_agree_on_the_version(void)
{
    CHECK(sandlock_version_number() == SANDLOCK_VERSION_NUMBER);
    CHECK(!strcmp(sandlock_version_string(), SANDLOCK_VERSION_STRING));
}

static void status_names_are_the_constants(void)
{
    CHECK(!strcmp(sandlock_status_name(SANDLOCK_OK), "OK"));
    CHECK(!strcmp(sandlock_status_name(SANDLOCK_ERROR_INVALID_ARGUMENT), "INVALID_ARGUMENT"));
    CHECK(!strcmp(sandlock_status_name(SANDLOCK_ERROR_INTERNAL), "INTERNAL"));
    CHECK(!strcmp(sandlock_status_name(-1000), "UNKNOWN"));
    CHECK(!strcmp(sandlock_status_name(INT32_MIN), "UNKNOWN"));
}

#define SAME_AS_INIT(type, macro, function)                    \
    do {                                                       \
        type from_macro = macro, from_function;                \
        memset(&from_function, 0xa5, sizeof from_function);    \
        function(&from_function);                              \
        CHECK(from_function.size == sizeof from_function);     \
        CHECK(!memcmp(&from_macro, &from_function, sizeof from_macro)); \
        function(NULL);                                        \
    } while (0)

static void init_macros_equal_init_functions(void)
{
    SAME_AS_INIT(sandlock_capabilities, SANDLOCK_CAPABILITIES_INIT, sandlock_capabilities_init);
    SAME_AS_INIT(sandlock_spawn_options, SANDLOCK_SPAWN_OPTIONS_INIT, sandlock_spawn_options_init);
    SAME_AS_INIT(sandlock_stats, SANDLOCK_STATS_INIT, sandlock_stats_init);
    SAME_AS_INIT(sandlock_member, SANDLOCK_MEMBER_INIT, sandlock_member_init);
    SAME_AS_INIT(sandlock_port, SANDLOCK_PORT_INIT, sandlock_port_init);
    SAME_AS_INIT(sandlock_usage, SANDLOCK_USAGE_INIT, sandlock_usage_init);
    SAME_AS_INIT(sandlock_report_entry, SANDLOCK_REPORT_ENTRY_INIT, sandlock_report_entry_init);
    /* Padded in the end. */
    sandlock_supervisor_options from_macro = SANDLOCK_SUPERVISOR_OPTIONS_INIT, from_function;
    sandlock_supervisor_options_init(&from_function);
    CHECK(from_macro.size == from_function.size && from_macro.deadline_ms == from_function.deadline_ms);
}

/* Layouts are promised for as long as the SONAME stays. */
static void layouts_are_those_of_the_first_release(void)
{
    CHECK(sizeof(sandlock_capabilities) == 56 && offsetof(sandlock_capabilities, process_limit) == 28);
    CHECK(sizeof(sandlock_supervisor_options) == 16 && offsetof(sandlock_supervisor_options, deadline_ms) == 8);
    CHECK(sizeof(sandlock_stats) == 104 && offsetof(sandlock_stats, events_lost) == 96);
    CHECK(sizeof(sandlock_member) == 40 && offsetof(sandlock_member, name) == 32);
    CHECK(sizeof(sandlock_port) == 16 && offsetof(sandlock_port, outside) == 14);
    CHECK(sizeof(sandlock_spawn_options) == 80 && offsetof(sandlock_spawn_options, stdin_fd) == 20);
    CHECK(offsetof(sandlock_spawn_options, capture_limit) == 32 && offsetof(sandlock_spawn_options, name) == 64);
    CHECK(offsetof(sandlock_spawn_options, pty_rows) == 72 && offsetof(sandlock_spawn_options, start_timeout_ms) == 76);
    CHECK(sizeof(sandlock_usage) == 48 && offsetof(sandlock_usage, peak_rss) == 40);
    CHECK(sizeof(sandlock_report_entry) == 48 && offsetof(sandlock_report_entry, detail) == 40);
}

static void null_handles_are_answered_not_followed(void)
{
    size_t length = 7;

    CHECK(sandlock_error_status(NULL) == SANDLOCK_OK);
    CHECK(sandlock_error_errno(NULL) == 0);
    CHECK(sandlock_error_stage(NULL) == 0);
    CHECK(!strcmp(sandlock_error_message(NULL), ""));
    sandlock_error_free(NULL);
    sandlock_policy_free(NULL);
    CHECK(sandlock_policy_clone(NULL) == NULL);
    CHECK(sandlock_process_pid(NULL) == -1);
    CHECK(sandlock_process_pidfd(NULL) == -1);
    CHECK(sandlock_process_take_stdio(NULL, 1) == -1);
    CHECK(sandlock_process_take_pty(NULL) == -1);
    CHECK(sandlock_process_report(NULL) == NULL);
    sandlock_process_free(NULL);
    CHECK(sandlock_result_reason(NULL) == SANDLOCK_REASON_LOST);
    CHECK(sandlock_result_exit_code(NULL) == -1);
    CHECK(sandlock_result_signal(NULL) == 0);
    CHECK(sandlock_result_stdout(NULL, &length) != NULL && length == 0);
    CHECK(*sandlock_result_stderr(NULL, NULL) == 0);
    CHECK(sandlock_result_truncated(NULL, 1) == 0);
    sandlock_result_free(NULL);
    CHECK(sandlock_report_level(NULL) == SANDLOCK_LEVEL_NONE);
    CHECK(sandlock_report_count(NULL) == 0);
    CHECK(!strcmp(sandlock_report_json(NULL), "null"));
    sandlock_report_free(NULL);
}

static void null_where_a_pointer_is_needed_is_invalid(void)
{
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_process *process = (void *)&usage;
    sandlock_result *result = (void *)&usage;
    sandlock_error *error = (void *)&usage;
    const uint32_t cpu = 0;

    CHECK_STATUS(INVALID, sandlock_probe(NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(NULL, "/", SANDLOCK_ACCESS_READ, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(policy, NULL, SANDLOCK_ACCESS_READ, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_root(NULL, "/", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(NULL, "/usr", "/usr", 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, NULL, "/usr", 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", NULL, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(NULL, "/tmp", 4096, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(policy, NULL, 4096, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_net(NULL, "*", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_net(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_net(NULL, "::1", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_net(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_bind(NULL, "80", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_bind(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_bind(NULL, "80", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_bind(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_syscall_default(NULL, SANDLOCK_SYSCALLS_ALLOWLIST, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(NULL, "read", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_syscall(NULL, "read", EPERM, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_syscall(policy, NULL, EPERM, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_limit(NULL, SANDLOCK_LIMIT_CPU, 1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_env(NULL, "A", "1", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_env(policy, NULL, "1", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_clear_env(NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cwd(NULL, "/", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cwd(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_umask(NULL, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_nice(NULL, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cgroup(NULL, "/sys/fs/cgroup", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cpus(NULL, &cpu, 1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cpus(policy, NULL, 1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_flag(NULL, SANDLOCK_FLAG_NO_ASLR, true, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_strictness(NULL, SANDLOCK_FEATURE_ALL, SANDLOCK_REQUIRE, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_check(NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_spawn(NULL, NULL, ARGV("true"), NULL, &process, NULL));
    CHECK_STATUS(INVALID, sandlock_spawn(policy, NULL, NULL, NULL, &process, NULL));
    CHECK_STATUS(INVALID, sandlock_spawn(policy, NULL, ARGV("true"), NULL, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_run(NULL, NULL, ARGV("true"), -1, &result, NULL));
    CHECK_STATUS(INVALID, sandlock_run(policy, NULL, NULL, -1, &result, NULL));
    CHECK_STATUS(INVALID, sandlock_run(policy, NULL, ARGV("true"), -1, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_confine_self(NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_process_wait(NULL, -1, &result, NULL));
    CHECK_STATUS(INVALID, sandlock_process_kill(NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_process_communicate(NULL, NULL, 0, -1, &result, NULL));
    CHECK_STATUS(INVALID, sandlock_process_stream(NULL, NULL, NULL, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_process_resize(NULL, 24, 80, NULL));
    CHECK_STATUS(INVALID, sandlock_process_signal(NULL, SIGTERM, NULL));
    CHECK_STATUS(INVALID, sandlock_result_usage(NULL, &usage, NULL));
    CHECK_STATUS(INVALID, sandlock_report_row(NULL, 0, &entry, &error));
    /* Outputs are written on success only, and *error always. */
    CHECK(process == (void *)&usage && result == (void *)&usage);
    CHECK(error != (void *)&usage);
    CHECK(sandlock_error_status(error) == INVALID);
    CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_ARGUMENTS);
    CHECK(!strcmp(sandlock_error_message(error), "arguments: report is NULL"));
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

static void unknown_numbers_are_refused(void)
{
    static const uint32_t unknown[] = {1000, 0x80000000u, UINT32_MAX};
    sandlock_policy *policy = sandlock_policy_new();
    const uint32_t cpu = 1024;
    size_t i;

    for (i = 0; i < 3; i++) {
        CHECK_STATUS(INVALID, sandlock_policy_set_syscall_default(policy, unknown[i], NULL));
        CHECK_STATUS(INVALID, sandlock_policy_set_limit(policy, unknown[i], 1, NULL));
        CHECK_STATUS(INVALID, sandlock_policy_set_flag(policy, unknown[i], true, NULL));
        CHECK_STATUS(INVALID, sandlock_policy_set_strictness(policy, unknown[i], SANDLOCK_REQUIRE, NULL));
        CHECK_STATUS(INVALID, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, unknown[i], NULL));
        CHECK_STATUS(INVALID, sandlock_policy_deny_syscall(policy, "read", (int32_t)unknown[i] | 0x2000, NULL));
    }
    CHECK_STATUS(INVALID, sandlock_policy_set_syscall_default(policy, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_limit(policy, 0, 1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_flag(policy, 0, true, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_syscall(policy, "read", 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_deny_syscall(policy, "read", -1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(policy, "/", 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(policy, "/", SANDLOCK_ACCESS_OPTIONAL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(policy, "/", SANDLOCK_ACCESS_READ | 1ull << 40, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_path(policy, "", SANDLOCK_ACCESS_READ, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_env(policy, "", "1", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_env(policy, "A=B", "1", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cwd(policy, "", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_umask(policy, 01000, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_nice(policy, 20, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cgroup(policy, "", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cgroup(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_nice(policy, INT32_MIN, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cpus(policy, NULL, 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cpus(policy, &cpu, 1, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_set_cpus(policy, &cpu, SIZE_MAX, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(policy, "no_such_call", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(policy, "@no-such-group", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(policy, "", NULL));
    CHECK_STATUS(INVALID, sandlock_policy_allow_syscall(policy, "\xff\xfe", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
    sandlock_policy_free(policy);
}

/* What is refused leaves no trace, so that the policy still passes where mounts cannot be had. */
static void mounts_that_make_no_sense_are_refused(void)
{
    static const char *const unfit[] = {"", "usr", ".", "/usr/..", "/./usr", "/proc", "//proc//self/root", "/"};
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_error *error = NULL;
    char target[16];
    size_t i;

    for (i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, unfit[i], "/mnt", 0, NULL));
        CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", unfit[i], 0, NULL));
        CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(policy, unfit[i], 4096, NULL));
        /* As a root "" is one in memory, and "/" the host's, read-only. */
        CHECK_STATUS(!strcmp(unfit[i], "") || !strcmp(unfit[i], "/") ? SANDLOCK_OK : INVALID,
                     sandlock_policy_set_root(policy, unfit[i], NULL));
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", "/usr", 2, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", "/usr", SANDLOCK_MOUNT_WRITE | 1ull << 63, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(policy, "/tmp", 0, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(policy, "/tmp", UINT64_MAX, NULL));
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, "/usr", "/mnt/", SANDLOCK_MOUNT_WRITE, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_memory_mount(policy, "//mnt", 4096, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "target \"/mnt\" is a mount already");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, "/mnt/a/b", INT64_MAX, NULL));
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", "/mnt/a", 0, NULL));
    for (i = 2; i < 64; i++) {
        snprintf(target, sizeof target, "/%zu", i);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, "/usr", target, 0, NULL));
    }
    CHECK_STATUS(INVALID, sandlock_policy_add_mount(policy, "/usr", "/one-more", 0, NULL));
    /* The init of a PID namespace, which mounts take, cannot be had with a copy of the host's memory. */
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
    if (expected("userns"))
        CHECK_CONTAINS(sandlock_error_message(error), "ns-pid: NO_HUGE_PAGES takes a copy of the host's memory");
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

typedef int32_t add_rule(sandlock_policy *, const char *, sandlock_error **);

/* What is refused leaves no trace; what is accepted is kept as it was written. */
static void malformed_network_rules_are_refused_with_the_column(void)
{
    static const struct {
        add_rule *add;
        const char *rule, *message;
    } refused[] = {
        {sandlock_policy_allow_net, "", "arguments: rule \"\", column 1: the rule is empty"},
        {sandlock_policy_allow_net, "tcp://10.1.2.3/8:443",
         "arguments: rule \"tcp://10.1.2.3/8:443\", column 7: this address has bits beyond the prefix; the network is 10.0.0.0/8"},
        {sandlock_policy_allow_net, "127.1", "arguments: rule \"127.1\", column 1: \"127.1\" looks like an address and is none"},
        {sandlock_policy_allow_net, "unix:/run/\n", "arguments: rule \"unix:/run/\\n\", column 11: a control character, '\\n'"},
        {sandlock_policy_allow_net, "unix:/\xc3\xa9\xff",
         "arguments: rule \"unix:/\\xc3\\xa9\\xff\", column 8: this is not UTF-8"},
        {sandlock_policy_deny_net, "example.com:443", "arguments: rule \"example.com:443\", column 1: what is denied is an address"},
        {sandlock_policy_deny_net, "[::1]:0", "arguments: rule \"[::1]:0\", column 7: there is no port 0 to connect to"},
        {sandlock_policy_allow_bind, "80,0", "arguments: rule \"80,0\", column 4: to bind to port 0 is to be given a free one"},
        {sandlock_policy_deny_bind, "udp://90-80", "arguments: rule \"udp://90-80\", column 7: the range is reversed; write 80-90"},
    };
    static const char written[] = "[network]\nallow = [\"tcp://Example.com:443\", \"unix:@x\"]\ndeny = [\"10.0.0.0/8\"]\n"
                                  "allow-bind = [\"8000-8999\"]\ndeny-bind = [\"8080\"]\n";
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_text *text = NULL;
    sandlock_error *error = NULL;
    size_t i;

    for (i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK_STATUS(INVALID, refused[i].add(policy, refused[i].rule, &error));
        CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_ARGUMENTS && sandlock_error_errno(error) == 0);
        CHECK_CONTAINS(sandlock_error_message(error), refused[i].message);
        sandlock_error_free(error);
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_to_toml(policy, &text, NULL));
    CHECK(!strcmp(sandlock_text_data(text, NULL), ""));
    sandlock_text_free(text);

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, "tcp://Example.com:443", &error));
    CHECK(error == NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, "unix:@x", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, "10.0.0.0/8", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_bind(policy, "8000-8999", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_bind(policy, "8080", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_to_toml(policy, &text, NULL));
    CHECK(!strcmp(sandlock_text_data(text, NULL), written));
    sandlock_text_free(text);
    sandlock_policy_free(policy);
}

static int spawn_status(const sandlock_policy *policy, const sandlock_spawn_options *options)
{
    sandlock_process *process = NULL;
    int status = sandlock_spawn(policy, NULL, ARGV("true"), options, &process, NULL);

    sandlock_process_free(process);
    return status;
}

static int32_t take_time(sandlock_notification *call, void *user_data)
{
    (void)call;
    (void)user_data;
    usleep(50000);
    return SANDLOCK_HANDLER_PASS;
}

static void spawn_options_that_make_no_sense_are_refused(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options good = SANDLOCK_SPAWN_OPTIONS_INIT, bad;
    sandlock_supervisor *supervisor = NULL;
    sandlock_process *process = NULL;
    sandlock_result *result = (void *)&good;
    int fds[] = {1, 1}, numbers[] = {5, 5}, one = 1, two = 2, closed = 999, negative = -1;

    CHECK_STATUS(SANDLOCK_OK, spawn_status(policy, &good));
#define REFUSED(change) (bad = good, change, CHECK_STATUS(INVALID, spawn_status(policy, &bad)))
    REFUSED(bad.size = 0);
    REFUSED(bad.size = 71);
    REFUSED(bad.size = SIZE_MAX);
    REFUSED(bad.stdin_mode = 6);
    REFUSED(bad.stdout_mode = UINT32_MAX);
    REFUSED(bad.stdin_mode = SANDLOCK_STDIO_CAPTURE);
    REFUSED((bad.stdout_mode = SANDLOCK_STDIO_FD, bad.stdout_fd = 999));
    REFUSED((bad.stderr_mode = SANDLOCK_STDIO_FD, bad.stderr_fd = -1));
    REFUSED(bad.pass_fd_count = 1);
    REFUSED((bad.pass_fd_count = SIZE_MAX, bad.pass_fds = fds));
    REFUSED((bad.pass_fd_count = 2, bad.pass_fds = fds, bad.pass_fds_as = numbers));
    REFUSED((bad.pass_fd_count = 1, bad.pass_fds = &one));
    REFUSED((bad.pass_fd_count = 1, bad.pass_fds = &one, bad.pass_fds_as = &two));
    REFUSED((bad.pass_fd_count = 1, bad.pass_fds = &closed));
    REFUSED((bad.pass_fd_count = 1, bad.pass_fds = &one, bad.pass_fds_as = &negative));
    /* One of the first release, whose size ends before what was added; what follows it is not looked at. */
    bad = good;
    bad.size = 72;
    bad.start_timeout_ms = 1;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, "execve", take_time, NULL, NULL, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, ARGV("true"), &bad, &process, NULL));
    sandlock_process_free(process);
    bad.size = good.size;
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_spawn(policy, supervisor, ARGV("true"), &bad, &process, NULL));
    sandlock_supervisor_free(supervisor);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("true"), &good, &process, NULL));
    CHECK_STATUS(INVALID, sandlock_process_communicate(process, NULL, 0, -1, NULL, NULL));
    CHECK_STATUS(INVALID, sandlock_process_communicate(process, NULL, 1, -1, &result, NULL));
    CHECK(result == (void *)&good);
    sandlock_process_free(process);
    CHECK_STATUS(INVALID, sandlock_spawn(policy, NULL, ARGV(""), NULL, (sandlock_process *[1]){0}, NULL));
    CHECK_STATUS(INVALID, sandlock_spawn(policy, NULL, &(const char *){NULL}, NULL, (sandlock_process *[1]){0}, NULL));
    sandlock_policy_free(policy);
}

/* A program built against a header of the future, and one that reads with it. */
static void structures_of_the_future_are_accepted_if_they_ask_for_nothing_new(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = run_program(policy, ARGV("true"));
    struct {
        sandlock_spawn_options options;
        uint64_t future;
    } options = {SANDLOCK_SPAWN_OPTIONS_INIT, 0};
    struct {
        sandlock_usage usage;
        uint64_t future;
    } usage = {SANDLOCK_USAGE_INIT, 7};

    options.options.size = sizeof options;
    CHECK_STATUS(SANDLOCK_OK, spawn_status(policy, &options.options));
    options.future = 1;
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, spawn_status(policy, &options.options));
    usage.usage.size = sizeof usage;
    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage.usage, NULL));
    CHECK(usage.future == 0 && usage.usage.size == sizeof usage);
    usage.usage.size = 8;
    CHECK_STATUS(INVALID, sandlock_result_usage(result, &usage.usage, NULL));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void probe_says_what_the_machine_was_declared_to_offer(void)
{
    sandlock_capabilities found = SANDLOCK_CAPABILITIES_INIT;
    char word[32];
    unsigned abi;

    CHECK_STATUS(SANDLOCK_OK, sandlock_probe(&found, NULL));
    for (abi = 1; abi <= 16; abi++) {
        snprintf(word, sizeof word, "landlock-%u", abi);
        if (expected(word))
            CHECK(found.landlock_abi >= abi);
    }
    CHECK((found.landlock_abi == 0) == (found.landlock_errno != 0));
    CHECK(found.seccomp_filter == 1 && found.seccomp_notify == 1 && found.close_range == 1);
    CHECK(found.process_limit == (getuid() != 0));
    CHECK((found.user_namespaces == 0) == (found.user_namespaces_errno != 0));
    if (expected("userns"))
        CHECK(found.user_namespaces == 1);
    if (expected("notify-6.6"))
        CHECK(found.notify_wait_killable == 1 && found.notify_sync_wake_up == 1 && found.notify_addfd == 1 &&
              found.notify_addfd_send == 1);
}

static void check_names_every_problem_at_once(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, &error));
    CHECK(error == NULL);
    allow(policy, "/nope/one", SANDLOCK_ACCESS_READ);
    allow(policy, "/nope/two", SANDLOCK_ACCESS_READ);
    allow(policy, "/nope/three", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL);
    allow(policy, "/proc/self", SANDLOCK_ACCESS_READ);
    sandlock_policy_set_cwd(policy, "/nope/four", NULL);
    sandlock_policy_deny_syscall(policy, "read", EPERM, NULL);
    sandlock_policy_allow_syscall(policy, "read", NULL);
    CHECK_STATUS(INVALID, sandlock_policy_check(policy, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "5 problems: ");
    CHECK_CONTAINS(sandlock_error_message(error), "policy: allow \"read\" contradicts deny \"read\" with errno 1");
    CHECK_CONTAINS(sandlock_error_message(error),
                   "landlock: cannot open \"/nope/one\" for a path rule: No such file or directory");
    CHECK_CONTAINS(sandlock_error_message(error), "/nope/two");
    CHECK(!strstr(sandlock_error_message(error), "/nope/three"));
    CHECK_CONTAINS(sandlock_error_message(error), "\"/proc/self\" leads to the host's own process");
    CHECK_CONTAINS(sandlock_error_message(error), "cwd: cannot open \"/nope/four\": No such file or directory");
    CHECK(!strchr(sandlock_error_message(error), '\n'));
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

static void missing_path_is_not_found(void)
{
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_error *error = NULL;

    allow(policy, "/nope", SANDLOCK_ACCESS_READ);
    CHECK_STATUS(SANDLOCK_ERROR_NOT_FOUND, sandlock_policy_check(policy, &error));
    CHECK(sandlock_error_errno(error) == ENOENT);
    CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_LANDLOCK);
    CHECK(!strcmp(sandlock_error_message(error),
                  "landlock: cannot open \"/nope\" for a path rule: No such file or directory"));
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

static void handles_can_be_freed_in_any_order(void)
{
    sandlock_policy *policy = system_policy(), *copy = sandlock_policy_clone(policy);
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_report *report;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("echo", "hello"), &options, &process, NULL));
    sandlock_policy_free(policy);
    report = sandlock_process_report(process);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, -1, &result, NULL));
    sandlock_process_free(process);
    CHECK(!strcmp(output(result), "hello\n"));
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    sandlock_result_free(result);
    result = run_program(copy, ARGV("true"));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_policy_free(copy);
    sandlock_report_free(report);
    sandlock_result_free(result);
}

static void handles_from_before_a_fork_give_state(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int status;
    pid_t pid;

    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "60"), NULL, &process, NULL));
    pid = fork();
    if (pid == 0) {
        int failed = 0;
        sandlock_policy *own;
        failed |= sandlock_policy_check(policy, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_policy_allow_path(policy, "/", SANDLOCK_ACCESS_READ, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_run(policy, NULL, ARGV("true"), -1, &result, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_confine_self(policy, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_policy_clone(policy) != NULL;
        failed |= sandlock_process_wait(process, 0, &result, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_process_kill(process, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_process_communicate(process, NULL, 0, 0, &result, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_process_resize(process, 1, 1, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_process_take_pty(process) != -1;
        failed |= sandlock_process_signal(process, SIGKILL, NULL) != SANDLOCK_ERROR_STATE;
        failed |= sandlock_process_pid(process) != -1 || sandlock_process_pidfd(process) != -1;
        failed |= sandlock_process_report(process) != NULL;
        sandlock_process_free(process);
        sandlock_policy_free(policy);
        own = system_policy(); /* what is made after the fork works */
        failed |= sandlock_run(own, NULL, ARGV("true"), 5000, &result, NULL) != SANDLOCK_OK;
        sandlock_result_free(result);
        sandlock_policy_free(own);
        _exit(failed ? 1 : 42);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(process, 0, &result, NULL));
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

TESTS(T(header_and_library_agree_on_the_version), T(status_names_are_the_constants),
      T(init_macros_equal_init_functions), T(layouts_are_those_of_the_first_release),
      T(null_handles_are_answered_not_followed), T(null_where_a_pointer_is_needed_is_invalid),
      T(unknown_numbers_are_refused), T(mounts_that_make_no_sense_are_refused),
      T(malformed_network_rules_are_refused_with_the_column), T(spawn_options_that_make_no_sense_are_refused),
      T(structures_of_the_future_are_accepted_if_they_ask_for_nothing_new),
      T(probe_says_what_the_machine_was_declared_to_offer), T(check_names_every_problem_at_once),
      T(missing_path_is_not_found), T(handles_can_be_freed_in_any_order), T(handles_from_before_a_fork_give_state))
