/* One run: what the program gets, what comes back, what the report says. */
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

/* --- what the program gets --- */

static void expect_output(sandlock_policy *policy, const char *const *argv, const char *expected_output)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(!strcmp(output(result), expected_output)))
        printf("# found \"%s\", not \"%s\" (%s)\n", output(result), expected_output, errors(result));
    sandlock_result_free(result);
}

static void environment_is_the_hosts_or_minimal_with_changes(void)
{
    sandlock_policy *policy = system_policy();

    setenv("SANDLOCK_TEST_VARIABLE", "of the host", 1);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "of the host\n");
    sandlock_policy_set_env(policy, "SANDLOCK_TEST_VARIABLE", "of the policy", NULL);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "of the policy\n");
    sandlock_policy_set_env(policy, "SANDLOCK_TEST_VARIABLE", NULL, NULL);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "(unset)\n");
    sandlock_policy_clear_env(policy, NULL);
    sandlock_policy_set_env(policy, "HOME", "/tmp", NULL);
    sandlock_policy_set_env(policy, "EMPTY", "", NULL);
    expect_output(policy, ARGV(program("probe"), "environment"),
                  "PATH=/usr/local/bin:/usr/bin:/bin\nLANG=C.UTF-8\nHOME=/tmp\nEMPTY=\n");
    CHECK(!strcmp(getenv("SANDLOCK_TEST_VARIABLE"), "of the host"));
    unsetenv("SANDLOCK_TEST_VARIABLE");
    sandlock_policy_free(policy);
}

static void process_settings_reach_the_program_and_not_the_host(void)
{
    sandlock_policy *policy = system_policy();
    const uint32_t cpu = 1;
    char here[PATH_MAX];
    mode_t mask = umask(022);

    sandlock_policy_set_cwd(policy, "/usr", NULL);
    sandlock_policy_set_umask(policy, 0137, NULL);
    sandlock_policy_set_nice(policy, 7, NULL);
    sandlock_policy_set_cpus(policy, &cpu, 1, NULL);
    expect_output(policy, ARGV(program("probe"), "directory"), "/usr\n");
    expect_output(policy, ARGV(program("probe"), "umask"), "137\n");
    expect_output(policy, ARGV(program("probe"), "nice"), "7\n");
    expect_output(policy, ARGV(program("probe"), "cpus"), "1 \n");
    CHECK(strcmp(getcwd(here, sizeof here), "/usr") != 0);
    CHECK(umask(mask) == 022);
    sandlock_policy_free(policy);
}

static void flags_take_effect(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *first, *second;

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    expect_output(policy, ARGV(program("probe"), "huge-pages"), "disabled 1\n");
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, false, NULL);
    expect_output(policy, ARGV(program("probe"), "huge-pages"), "disabled 0\n");

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_COREDUMP, true, NULL);
    expect_output(policy, ARGV(program("probe"), "limits", "CORE"), "CORE=1/1 \n");

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_ASLR, true, NULL);
    expect_output(policy, ARGV(program("probe"), "personality"), "40000\n");
    first = run_program(policy, ARGV(program("probe"), "stack"));
    second = run_program(policy, ARGV(program("probe"), "stack"));
    CHECK(!strcmp(output(first), output(second)));
    sandlock_result_free(first);
    sandlock_result_free(second);
    sandlock_policy_free(policy);
}

static void limits_are_set_hard(void)
{
    sandlock_policy *policy = system_policy();

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU, 5, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 99, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 100, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_FSIZE, 1000, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CORE, 0, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DATA, 1 << 28, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_AS, 1 << 30, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_STACK, 1 << 20, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMLOCK, 4096, NULL);
    expect_output(policy,
                  ARGV(program("probe"), "limits", "CPU", "NOFILE", "FSIZE", "CORE", "DATA", "AS", "STACK", "MEMLOCK"),
                  "CPU=5/6 NOFILE=100/100 FSIZE=1000/1000 CORE=0/0 DATA=268435456/268435456 "
                  "AS=1073741824/1073741824 STACK=1048576/1048576 MEMLOCK=4096/4096 \n");
    /* What the host itself may not exceed stays the limit. */
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, UINT64_MAX, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
    sandlock_result_free(run_program(policy, ARGV("true")));
    sandlock_policy_free(policy);
}

static void process_limit_is_refused_for_user_0_only(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_error *error = NULL;

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NPROC, 1000, NULL);
    if (getuid() == 0) {
        CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
        CHECK_CONTAINS(sandlock_error_message(error), "limits: RLIMIT_NPROC does not bind user 0");
    } else {
        expect_output(policy, ARGV(program("probe"), "limits", "NPROC"), "NPROC=1000/1000 \n");
    }
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

static void ignore(int unused)
{
    (void)unused;
}

static void signals_are_as_new(void)
{
    sandlock_policy *policy = system_policy();
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, ignore);
    expect_output(policy, ARGV(program("probe"), "signals"), "blocked 0 changed 0\n");
    signal(SIGUSR1, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sandlock_policy_free(policy);
}

static void program_has_no_privileges(void)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    expect_output(policy, ARGV(program("probe"), "status", "NoNewPrivs"), "NoNewPrivs:\t1\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapEff"), "CapEff:\t0000000000000000\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapPrm"), "CapPrm:\t0000000000000000\n");
    if (getuid() == 0)
        expect_output(policy, ARGV(program("probe"), "status", "CapBnd"), "CapBnd:\t0000000000000000\n");
    sandlock_policy_free(policy);
}

static void program_leads_a_session_of_its_own(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = run_program(policy, ARGV(program("probe"), "session"));
    int pid = 0, session = 1, group = 2;

    CHECK(sscanf(output(result), "pid %d session %d group %d", &pid, &session, &group) == 3);
    CHECK(pid > 0 && session == pid && group == pid);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* --- descriptors --- */

static void only_standard_streams_are_inherited(void)
{
    sandlock_policy *policy = system_policy();
    int fd = open("/dev/null", O_RDONLY), other = dup2(fd, 500);

    expect_output(policy, ARGV(program("probe"), "descriptors"), "0 1 2 \n");
    close(fd);
    close(other);
    sandlock_policy_free(policy);
}

static void named_descriptors_are_passed_even_if_they_overlap(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    int a[2], b[2], sources[3], targets[3];
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    char text[8] = {0};

    CHECK(pipe(a) == 0 && pipe(b) == 0);
    /* Each becomes the other, and a third takes a number in between. */
    sources[0] = targets[1] = a[1];
    sources[1] = targets[0] = b[1];
    sources[2] = a[1];
    targets[2] = 40;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    options.pass_fds = sources;
    options.pass_fds_as = targets;
    options.pass_fd_count = 3;
    {
        char number[16];
        snprintf(number, sizeof number, "%d", targets[0]);
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "write", number, "to a"), &options,
                                                 &process, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        CHECK(sandlock_result_exit_code(result) == 0);
        CHECK(read(a[0], text, sizeof text) == 4 && !strcmp(text, "to a"));
    }
    sandlock_process_free(process);
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "descriptors"), &options, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    {
        char expected_list[64];
        int low = a[1] < b[1] ? a[1] : b[1], high = a[1] < b[1] ? b[1] : a[1];
        snprintf(expected_list, sizeof expected_list, "0 1 2 %d %d 40 \n", low, high);
        if (!CHECK(!strcmp(output(result), expected_list)))
            printf("# found %s", output(result));
    }
    sandlock_process_free(process);
    sandlock_result_free(result);
    close(a[0]), close(a[1]), close(b[0]), close(b[1]);
    sandlock_policy_free(policy);
}

static void pipes_connect_host_and_program(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    char text[16] = {0};
    int in, out;

    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_PIPE;
    options.stderr_mode = SANDLOCK_STDIO_NULL;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("cat"), &options, &process, NULL));
    in = sandlock_process_take_stdio(process, 0);
    out = sandlock_process_take_stdio(process, 1);
    CHECK(in >= 3 && out >= 3);
    CHECK(sandlock_process_take_stdio(process, 1) == -1);
    CHECK(sandlock_process_take_stdio(process, 2) == -1);
    CHECK(sandlock_process_take_stdio(process, 3) == -1 && sandlock_process_take_stdio(process, -1) == -1);
    CHECK((fcntl(in, F_GETFD) & FD_CLOEXEC) && (fcntl(out, F_GETFD) & FD_CLOEXEC));
    CHECK(!(fcntl(out, F_GETFL) & O_NONBLOCK));
    CHECK(write(in, "through", 7) == 7);
    CHECK(read(out, text, sizeof text) == 7 && !strcmp(text, "through"));
    close(in);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0);
    close(out);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void given_descriptors_become_standard_streams(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int ends[2];
    char text[16] = {0};

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_FD;
    options.stdout_fd = options.stderr_fd = ends[1];
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sh", "-c", "echo 1; echo 2 >&2"), &options, &process,
                                             NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    close(ends[1]);
    CHECK(read(ends[0], text, sizeof text) == 4 && !strcmp(text, "1\n2\n"));
    close(ends[0]);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* A host that closed its standard streams: the program gets /dev/null, never a file that took the number. */
static void closed_standard_streams_become_null(void)
{
    sandlock_policy *policy = system_policy();
    int saved[3], i, after;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int32_t status;

    fflush(stdout);
    for (i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
        close(i);
    }
    status = sandlock_spawn(policy, NULL, ARGV("sh", "-c", "echo lost && exit 9"), NULL, &process, NULL);
    after = fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
    if (status == SANDLOCK_OK)
        status = sandlock_process_wait(process, 20000, &result, NULL);
    for (i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    CHECK_STATUS(SANDLOCK_OK, status);
    CHECK(sandlock_result_exit_code(result) == 9);
    CHECK(!after);
    sandlock_result_free(result);
    sandlock_process_free(process);
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
    CHECK(!strcmp(sandlock_error_message(error), "process: processor affinity: Invalid argument"));
    sandlock_error_free(error);
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
    result = run_program(policy, ARGV(program("test_run"), "exit_codes_come_back"));
    if (!CHECK(!strcmp(output(result), "ok exit_codes_come_back\n")))
        printf("# %s%s", output(result), errors(result));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* --- the report --- */

static const char *row_of(const sandlock_report *report, uint32_t feature, sandlock_report_entry *entry)
{
    size_t i;

    for (i = 0; i < sandlock_report_count(report); i++)
        if (sandlock_report_row(report, i, entry, NULL) == SANDLOCK_OK && entry->feature == feature)
            return entry->mechanism;
    return "no such row";
}

static sandlock_report *report_of(const sandlock_policy *policy)
{
    sandlock_process *process = NULL;
    sandlock_report *report;
    sandlock_error *error = NULL;

    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    report = sandlock_process_report(process);
    sandlock_process_free(process);
    sandlock_error_free(error);
    return report;
}

static void report_says_what_was_enforced(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_report *report = report_of(policy);
    size_t i, count = sandlock_report_count(report);

    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    CHECK(count == SANDLOCK_FEATURE_SUPERVISOR);
    for (i = 0; i < count; i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, i, &entry, NULL));
        CHECK(entry.feature == i + 1 && entry.requested == SANDLOCK_REQUIRE && entry.errno_value == 0);
        CHECK(entry.state == (entry.feature >= SANDLOCK_FEATURE_LIMITS ? SANDLOCK_STATE_NOT_REQUESTED
                                                                       : SANDLOCK_STATE_ENFORCED));
    }
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_report_row(report, count, &entry, NULL));
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_FILES, &entry), "landlock"));
    CHECK(!strcmp(entry.name, "files"));
    CHECK_CONTAINS(entry.detail, "ABI ");
    CHECK_CONTAINS(sandlock_report_json(report), "{\"level\":\"full\",\"features\":[{\"feature\":\"files\",");
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

static void report_shows_what_was_waived_and_asked_for(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_report *report;

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_DISABLE, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 64, NULL);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_NETWORK, &entry), ""));
    CHECK(entry.state == SANDLOCK_STATE_WAIVED && entry.requested == SANDLOCK_DISABLE);
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_LIMITS, &entry), "rlimit"));
    CHECK(entry.state == SANDLOCK_STATE_ENFORCED && !strcmp(entry.detail, "NOFILE=64"));
    sandlock_report_free(report);

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_DISABLE, NULL);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_NONE);
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

/* Sixteen domains are the most that Landlock nests: deep inside, what is required fails and what is best effort is a row. */
static void best_effort_step_that_fails_is_a_row_and_a_required_one_an_error(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        sandlock_policy *outer = sandlock_policy_new(), *inner = system_policy();
        sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
        sandlock_error *error = NULL;
        sandlock_result *result = NULL;
        sandlock_report *report;
        int i;

        test_failures = 0;
        allow(outer, "/", SANDLOCK_ACCESS_ALL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_DISABLE, NULL);
        for (i = 0; i < 16; i++)
            CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(outer, NULL));
        sandlock_policy_set_strictness(inner, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL);
        CHECK_STATUS(SANDLOCK_ERROR_CHILD_SETUP, sandlock_run(inner, NULL, ARGV("true"), -1, &result, &error));
        CHECK(sandlock_error_errno(error) == E2BIG);
        CHECK(!strcmp(sandlock_error_message(error),
                      "landlock: enter the domain (16 nested domains are the most): Argument list too long"));
        sandlock_policy_set_strictness(inner, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
        report = report_of(inner);
        CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
        row_of(report, SANDLOCK_FEATURE_FILES, &entry);
        CHECK(entry.state == SANDLOCK_STATE_UNAVAILABLE && entry.errno_value == E2BIG);
        row_of(report, SANDLOCK_FEATURE_NETWORK, &entry);
        CHECK(entry.state == SANDLOCK_STATE_UNAVAILABLE && entry.errno_value == E2BIG);
        row_of(report, SANDLOCK_FEATURE_SYSCALLS, &entry);
        CHECK(entry.state == SANDLOCK_STATE_ENFORCED);
        row_of(report, SANDLOCK_FEATURE_KILL_ALL, &entry);
        CHECK(entry.state == SANDLOCK_STATE_DEGRADED);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void plain_fork_for_tools_behaves_the_same(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report *report;

    setenv("SANDLOCK_SPAWN", "fork", 1);
    expect_output(policy, ARGV(program("probe"), "descriptors"), "0 1 2 \n");
    expect_exec_error(policy, ARGV("/nope"), ENOENT, "exec: /nope: No such file or directory");
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
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
      T(environment_is_the_hosts_or_minimal_with_changes), T(process_settings_reach_the_program_and_not_the_host),
      T(flags_take_effect), T(limits_are_set_hard), T(process_limit_is_refused_for_user_0_only), T(signals_are_as_new),
      T(program_has_no_privileges), T(program_leads_a_session_of_its_own), T(only_standard_streams_are_inherited),
      T(named_descriptors_are_passed_even_if_they_overlap), T(pipes_connect_host_and_program),
      T(given_descriptors_become_standard_streams), T(closed_standard_streams_become_null),
      T(program_that_cannot_be_executed_is_an_error_that_says_why), T(program_is_looked_up_in_its_own_path),
      T(script_without_interpreter_line_runs_in_the_shell), T(bytes_that_are_no_text_pass_through),
      T(failed_set_up_is_an_error_that_names_the_step), T(nothing_granted_is_nothing_readable),
      T(writable_directory_can_be_written_and_others_cannot), T(allowlist_runs_what_it_names),
      T(denied_call_fails_with_the_errno_asked_for), T(replaced_directory_is_noticed), T(sandbox_runs_inside_a_sandbox),
      T(report_says_what_was_enforced), T(report_shows_what_was_waived_and_asked_for),
      T(best_effort_step_that_fails_is_a_row_and_a_required_one_an_error), T(plain_fork_for_tools_behaves_the_same),
      T(remove_test_tree))
