/* One run: how the program is found, what it may do, what comes back. */
#include "support.h"

static const char *tree;

/* --- what comes back --- */

static void exit_codes_come_back(void)
{
    sandlock_policy *policy = system_policy();
    static const char *const codes[] = {"0", "1", "127", "255"};
    size_t i;

    for (i = 0; i < 4; i++) {
        sandlock_result *result = run_program(policy, ARGV(program("probe"), "exit", codes[i]));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
        CHECK(sandlock_result_exit_code(result) == atoi(codes[i]));
        CHECK(sandlock_result_signal(result) == 0);
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
}

static void signals_come_back(void)
{
    sandlock_policy *policy = system_policy();
    static const char *const signals[] = {"15", "9", "11", "6"};
    size_t i;

    for (i = 0; i < 4; i++) {
        sandlock_result *result = run_program(policy, ARGV(program("probe"), "signal", signals[i]));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED);
        CHECK(sandlock_result_signal(result) == atoi(signals[i]));
        CHECK(sandlock_result_exit_code(result) == -1);
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
}

static void timeout_kills_and_keeps_the_output(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    double start = seconds();

    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, ARGV("sh", "-c", "echo before; sleep 60; echo after"), 200,
                                           &result, NULL));
    CHECK(seconds() - start >= 0.2 && seconds() - start < 5);
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT);
    CHECK(sandlock_result_signal(result) == SIGKILL);
    CHECK(!strcmp(output(result), "before\n"));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void both_streams_are_captured_whole(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = run_program(policy, ARGV(program("probe"), "flood", "5000000"));
    size_t out = 0, err = 0;

    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_stdout(result, &out);
    sandlock_result_stderr(result, &err);
    CHECK(out == 5000000 && err == 5000000);
    CHECK(sandlock_result_stdout(result, NULL)[out] == 0);
    CHECK(sandlock_result_truncated(result, 1) == 0 && sandlock_result_truncated(result, 2) == 0);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void output_beyond_the_cap_is_counted_and_the_program_ends_by_itself(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    size_t length = 0;

    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    options.capture_limit = 1000;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "flood", "300000"), &options, &process,
                                             NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT);
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_stdout(result, &length);
    CHECK(length == 1000 && sandlock_result_truncated(result, 1) == 299000);
    CHECK(sandlock_result_truncated(result, 2) == 299000 && sandlock_result_truncated(result, 0) == 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void usage_is_plausible(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    sandlock_result *result = run_program(policy, ARGV(program("probe"), "memory", "200"));

    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage, NULL));
    CHECK(usage.wall_us > 1000 && usage.wall_us < 20000000);
    CHECK(usage.user_us + usage.system_us > 1000 && usage.user_us + usage.system_us <= 2 * usage.wall_us + 20000);
    CHECK(usage.peak_rss > 200u << 20 && usage.peak_rss < 400u << 20);
    CHECK(!(usage.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void small_program_in_a_large_host_has_a_bound_for_its_memory(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    char *large = malloc(100 << 20);
    sandlock_result *result;

    memset(large, 1, 100 << 20);
    result = run_program(policy, ARGV("true"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_result_usage(result, &usage, NULL));
    CHECK(usage.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND);
    CHECK(large[1] == 1);
    free(large);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* --- finding the program --- */

static void expect_exec_error(sandlock_policy *policy, const char *const *argv, int number, const char *message)
{
    sandlock_error *error = NULL;
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_run(policy, NULL, argv, 5000, &result, &error));
    CHECK(sandlock_error_errno(error) == number);
    CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_EXEC);
    if (!CHECK(!strcmp(sandlock_error_message(error), message)))
        printf("# found \"%s\"\n", sandlock_error_message(error));
    CHECK(result == NULL);
    sandlock_error_free(error);
}

static void program_that_cannot_be_executed_is_an_error_that_says_why(void)
{
    sandlock_policy *policy = system_policy(), *nothing = sandlock_policy_new();

    sandlock_policy_set_env(policy, "PATH", "/usr/bin:/bin", NULL);
    expect_exec_error(policy, ARGV("/nope"), ENOENT, "exec: /nope: No such file or directory");
    expect_exec_error(policy, ARGV("no-such-program"), ENOENT, "exec: no-such-program: No such file or directory");
    expect_exec_error(policy, ARGV("/usr"), EACCES, "exec: /usr: Permission denied");
    expect_exec_error(policy, ARGV("/etc/passwd"), EACCES, "exec: /etc/passwd: Permission denied");
    expect_exec_error(nothing, ARGV("/bin/true"), EACCES, "exec: /bin/true: Permission denied");
    sandlock_policy_free(nothing);
    sandlock_policy_free(policy);
}

static void program_is_looked_up_in_its_own_path(void)
{
    sandlock_policy *policy = system_policy();

    expect_output(policy, ARGV("echo", "found"), "found\n");
    sandlock_policy_set_env(policy, "PATH", program_directory(), NULL);
    expect_output(policy, ARGV("probe", "arguments", "x"), "[x]");
    sandlock_policy_set_env(policy, "PATH", "/nope:/etc::/usr/bin", NULL);
    expect_output(policy, ARGV("echo", "found"), "found\n");
    sandlock_policy_set_env(policy, "PATH", "/nope", NULL);
    expect_exec_error(policy, ARGV("echo"), ENOENT, "exec: echo: No such file or directory");
    sandlock_policy_free(policy);
}

static void script_without_interpreter_line_runs_in_the_shell(void)
{
    sandlock_policy *policy = system_policy();
    const char *script = in_tree(tree, "script");

    write_text(script, "echo \"$0 has $# arguments: $*\"\n");
    chmod(script, 0755);
    allow(policy, script, SANDLOCK_ACCESS_READ_EXECUTE);
    {
        char expected_output[PATH_MAX + 64];
        snprintf(expected_output, sizeof expected_output, "%s has 2 arguments: one two\n", script);
        expect_output(policy, ARGV(script, "one", "two"), expected_output);
    }
    sandlock_policy_free(policy);
}

static void bytes_that_are_no_text_pass_through(void)
{
    sandlock_policy *policy = system_policy();
    const char *path = in_tree(tree, "\xff\xfe\x80 file");

    write_text(path, "read\n");
    allow(policy, path, SANDLOCK_ACCESS_READ);
    expect_output(policy, ARGV("cat", path), "read\n");
    expect_output(policy, ARGV(program("probe"), "arguments", "\xff\x01", "", "\xc3"), "[\xff\x01][][\xc3]");
    sandlock_policy_set_env(policy, "BYTES", "\xfe\xff", NULL);
    expect_output(policy, ARGV(program("probe"), "variable", "BYTES"), "\xfe\xff\n");
    expect_exec_error(policy, ARGV("/n\xffpe"), ENOENT, "exec: /n\\xffpe: No such file or directory");
    sandlock_policy_free(policy);
}

static void failed_set_up_is_an_error_that_names_the_step(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    const uint32_t cpu = 1000;

    sandlock_policy_set_cpus(policy, &cpu, 1, NULL);
    CHECK_STATUS(SANDLOCK_ERROR_CHILD_SETUP, sandlock_run(policy, NULL, ARGV("true"), -1, &result, &error));
    CHECK(sandlock_error_errno(error) == EINVAL);
    CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_PROCESS);
    CHECK(!strcmp(sandlock_error_message(error), "process: processor affinity: 1000: Invalid argument"));
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

/* Whenever it comes: nobody is told of a set-up that has failed. */
static void time_that_is_up_before_the_program_is_executed_is_an_error_of_its_own(void)
{
    sandlock_policy *policy = system_policy();
    int i, before = 0;

    for (i = 0; i < 100; i++) {
        sandlock_result *result = NULL;
        sandlock_error *error = NULL;
        sandlock_status status = sandlock_run(policy, NULL, ARGV("sleep", "60"), i % 2, &result, &error);

        if (status == SANDLOCK_OK) {
            CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT);
        } else {
            CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, status);
            CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_SPAWN);
            CHECK(!strcmp(sandlock_error_message(error), "spawn: the time was up before the program was executed"));
            before++;
        }
        sandlock_error_free(error);
        sandlock_result_free(result);
    }
    CHECK(before > 0);
    sandlock_policy_free(policy);
}

/* --- policies --- */

static void nothing_granted_is_nothing_readable(void)
{
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_result *result;

    allow(policy, "/usr", SANDLOCK_ACCESS_READ_EXECUTE);
    allow(policy, "/lib64", SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL);
    result = run_program(policy, ARGV("/usr/bin/ls", "/"));
    CHECK(sandlock_result_exit_code(result) == 2);
    CHECK_CONTAINS(errors(result), "Permission denied");
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void writable_directory_can_be_written_and_others_cannot(void)
{
    sandlock_policy *policy = system_policy();
    const char *inside = in_tree(tree, "work");
    sandlock_result *result;

    mkdir(inside, 0700);
    allow(policy, inside, SANDLOCK_ACCESS_ALL);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    sandlock_policy_set_cwd(policy, inside, NULL);
    result = run_program(policy, ARGV("sh", "-c",
                                      "mkdir a && echo x > a/f && mv a/f a/g && ln a/g h && ln -s h i && cat i && "
                                      "mkfifo p && rm -r a p i && echo y > h && cat h && ! echo z 2>/dev/null > ../out"));
    CHECK(sandlock_result_exit_code(result) == 0);
    if (!CHECK(!strcmp(output(result), "x\ny\n")))
        printf("# %s\n", errors(result));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static void allowlist_runs_what_it_names(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result;

    sandlock_policy_set_syscall_default(policy, SANDLOCK_SYSCALLS_ALLOWLIST, NULL);
    result = run_program(policy, ARGV("true"));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    result = run_program(policy, ARGV("echo", "silenced"));
    CHECK(sandlock_result_exit_code(result) != 0 && output(result)[0] == 0);
    sandlock_result_free(result);
    sandlock_policy_allow_syscall(policy, "write", NULL);
    expect_output(policy, ARGV("echo", "heard"), "heard\n");
    sandlock_policy_allow_syscall(policy, "@system-service", NULL);
    expect_output(policy, ARGV("sh", "-c", "echo $(echo nested)"), "nested\n");
    sandlock_policy_free(policy);
}

static void denied_call_fails_with_the_errno_asked_for(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result;

    sandlock_policy_deny_syscall(policy, "mkdir", ENOSPC, NULL);
    sandlock_policy_deny_syscall(policy, "mkdirat", ENOSPC, NULL);
    result = run_program(policy, ARGV("mkdir", "/usr/x"));
    CHECK_CONTAINS(errors(result), "No space left on device");
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* A path that comes to lead elsewhere between two runs is opened anew. */
static void replaced_directory_is_noticed(void)
{
    sandlock_policy *policy = system_policy();
    char *directory = strdup(in_tree(tree, "replaced"));

    mkdir(directory, 0700);
    write_text(in_tree(directory, "file"), "first\n");
    allow(policy, directory, SANDLOCK_ACCESS_READ);
    expect_output(policy, ARGV("cat", in_tree(directory, "file")), "first\n");
    rename(directory, in_tree(tree, "replaced.old"));
    mkdir(directory, 0700);
    write_text(in_tree(directory, "file"), "second\n");
    expect_output(policy, ARGV("cat", in_tree(directory, "file")), "second\n");
    free(directory);
    sandlock_policy_free(policy);
}

static void sandbox_runs_inside_a_sandbox(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result;

    /* This program again, confined, runs its first test, which confines in turn. */
    if (getenv("SANDLOCK_TEST_LIBRARY"))
        allow(policy, getenv("SANDLOCK_TEST_LIBRARY"), SANDLOCK_ACCESS_READ);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    sandlock_policy_set_env(policy, "TMPDIR", tree, NULL);
    result = run_program(policy, ARGV(program(program_invocation_short_name), "exit_codes_come_back"));
    if (!CHECK(!strcmp(output(result), "ok exit_codes_come_back\n")))
        printf("# %s%s", output(result), errors(result));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* --- tools --- */

static void plain_fork_for_tools_behaves_the_same(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report *report;

    setenv("SANDLOCK_SPAWN", "fork", 1);
    expect_output(policy, ARGV(program("probe"), "descriptors"), "0 1 2 \n");
    expect_exec_error(policy, ARGV("/nope"), ENOENT, "exec: /nope: No such file or directory");
    report = report_of(policy);
    /* All but what takes a listener, and the report says so. */
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
    CHECK_CONTAINS(strstr(sandlock_report_json(report), "\"processes\""), "SANDLOCK_SPAWN=fork");
    sandlock_report_free(report);
    unsetenv("SANDLOCK_SPAWN");
    sandlock_policy_free(policy);
}

static void make_test_tree(void)
{
    tree = strdup(make_tree());
    CHECK(tree != NULL);
}

static void remove_test_tree(void)
{
    remove_tree(tree);
}

TESTS(T(exit_codes_come_back), T(make_test_tree), T(signals_come_back), T(timeout_kills_and_keeps_the_output),
      T(both_streams_are_captured_whole), T(output_beyond_the_cap_is_counted_and_the_program_ends_by_itself),
      T(usage_is_plausible), T(small_program_in_a_large_host_has_a_bound_for_its_memory),
      T(program_that_cannot_be_executed_is_an_error_that_says_why), T(program_is_looked_up_in_its_own_path),
      T(script_without_interpreter_line_runs_in_the_shell), T(bytes_that_are_no_text_pass_through),
      T(failed_set_up_is_an_error_that_names_the_step),
      T(time_that_is_up_before_the_program_is_executed_is_an_error_of_its_own), T(nothing_granted_is_nothing_readable),
      T(writable_directory_can_be_written_and_others_cannot), T(allowlist_runs_what_it_names),
      T(denied_call_fails_with_the_errno_asked_for), T(replaced_directory_is_noticed),
      T(sandbox_runs_inside_a_sandbox), T(plain_fork_for_tools_behaves_the_same), T(remove_test_tree))
