/* What handlers can answer, in which order they are asked, what they see of a start, what they can read. */
#include "supervisor.h"

#include <sys/syscall.h>

/* --- answers --- */

static int32_t deny_with(sandlock_notification *call, void *errno_value)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_deny(call, *(int *)errno_value, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t let_run(sandlock_notification *call, void *unused)
{
    (void)unused;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_continue(call, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void errnos_values_and_the_kernels_own_answer_reach_the_program(void)
{
    int busy = EBUSY;
    int64_t number = 1234567;
    char own[64];

    snprintf(own, sizeof own, "%d 0 others 0\n", getpid());
    check_output("getppid", deny_with, &busy, CALLER("getppid", "3"), "-1 16 others 0\n");
    check_output("getppid", return_number, &number, CALLER("getppid", "1000"), "1234567 0 others 0\n");
    check_output("getppid", let_run, NULL, CALLER("getppid", "3"), own);
    check_output("getppid", pass_on, NULL, CALLER("getppid", "3"), own);
}

static int32_t give_bytes(sandlock_notification *call, void *flags)
{
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return_bytes(call, "hello", 5, *(uint64_t *)flags, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t give_fd_at(sandlock_notification *call, void *fd)
{
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return_fd_at(call, *(int *)fd, 77, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t give_bad_fd(sandlock_notification *call, void *unused)
{
    (void)unused;
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_return_fd(call, 987654, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_return_fd(call, 0, 2, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_return_fd_at(call, 0, -1, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_deny(call, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void descriptors_and_bytes_are_given_to_the_program(void)
{
    const char *tree = make_tree();
    uint64_t none = 0, keep = SANDLOCK_FD_KEEP_ON_EXEC;
    int fd;

    write_text(in_tree(tree, "file"), "from a file");
    fd = open(in_tree(tree, "file"), O_RDONLY);
    check_output("openat", give_bytes, &none, CALLER("open", "/virtual"), "fd 3 cloexec 1 write 0: hello\n");
    check_output("openat", give_bytes, &keep, CALLER("open", "/virtual"), "fd 3 cloexec 0 write 0: hello\n");
    check_output("openat", give_fd_at, &fd, CALLER("open", "/virtual"), "fd 77 cloexec 1 write 0: from a file\n");
    /* A handler that says it has answered and has not: the call is denied. */
    check_output("openat", give_bad_fd, NULL, CALLER("open", "/virtual"), "errno 1\n");
    close(fd);
    remove_tree(tree);
}

static int32_t give_in_vain(sandlock_notification *call, void *unused)
{
    (void)unused;
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    CHECK_STATUS(SANDLOCK_ERROR_SYSTEM, sandlock_notification_return_bytes(call, "hello", 5, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void descriptor_that_cannot_be_given_fails_the_call(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 8, NULL));
    handle(supervisor, "openat", give_in_vain, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, CALLER("open-full", "/virtual"), 30000, &result, NULL));
    CHECK(!strcmp(output(result), "errno 24\n")); /* EMFILE, as open(2) itself would say */
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static int32_t end_it(sandlock_notification *call, void *unused)
{
    (void)unused;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_kill(call, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void handler_can_end_the_sandbox(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, "getppid", end_it, NULL);
    result = run_supervised(supervisor, CALLER("getppid", "1"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    CHECK(stats_of(supervisor).killed == 1);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* --- chains --- */

static int32_t answer_third(sandlock_notification *call, void *count)
{
    if (++*(int *)count % 3)
        return SANDLOCK_HANDLER_PASS;
    sandlock_notification_return(call, 7, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void handlers_look_in_order_and_pass_on(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    int first = 0;
    atomic_int second = 0;

    handle(supervisor, "getppid", answer_third, &first);
    handle(supervisor, "getppid", pass_on, &second);
    result = run_supervised(supervisor, CALLER("getppid", "9"));
    CHECK(first == 9 && second == 6);
    CHECK_CONTAINS(output(result), "7 0 others 3");
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static int32_t answer_twice(sandlock_notification *call, void *unused)
{
    sandlock_pending *pending = NULL;

    (void)unused;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return(call, 5, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_notification_deny(call, EACCES, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_notification_continue(call, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_notification_defer(call, &pending, NULL));
    return SANDLOCK_HANDLER_PASS; /* the answer stands */
}

static void first_answer_counts_and_none_is_a_denial(void)
{
    int32_t done = SANDLOCK_HANDLER_DONE, rubbish = 12345;

    check_output("getppid", answer_twice, NULL, CALLER("getppid", "2"), "5 0 others 0\n");
    check_output("getppid", say_nothing, &done, CALLER("getppid", "2"), "-1 1 others 0\n");
    check_output("getppid", say_nothing, &rubbish, CALLER("getppid", "2"), "-1 1 others 0\n");
}

static void handlers_that_cannot_be_are_refused_and_destroyed_once(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int destroyed = 0;

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_supervisor_add_handler(supervisor, "no_such_call", pass_on, &destroyed,
                                                                                  count_destroy, 0, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "no_such_call");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_supervisor_add_handler(supervisor, "getpid", pass_on, &destroyed, count_destroy, 1, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_supervisor_add_handler(NULL, "getpid", pass_on, &destroyed, count_destroy, 0, NULL));
    CHECK(destroyed == 3);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_add_handler(supervisor, "ptrace", pass_on, &destroyed, count_destroy, 0, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_run(policy, supervisor, ARGV("true"), -1, &result, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "ptrace");
    sandlock_error_free(error);
    CHECK(destroyed == 3);
    sandlock_supervisor_free(supervisor);
    CHECK(destroyed == 4);
    sandlock_policy_free(policy);
}

static int32_t count_by_name(sandlock_notification *call, void *counts)
{
    int *by_name = counts;

    by_name[0]++;
    by_name[1] += !strcmp(sandlock_notification_syscall_name(call), "openat") &&
                  sandlock_notification_syscall(call) == SYS_openat;
    return SANDLOCK_HANDLER_PASS;
}

static void groups_stand_for_their_allowed_members(void)
{
    int counts[2] = {0};

    check_output("@file-system", count_by_name, counts, CALLER("open", "/nowhere"), "errno 2\n");
    CHECK(counts[1] >= 1 && counts[0] > counts[1]);
}

/* --- the start --- */

struct seen {
    int calls, execs;
    char first[64], path[256];
};

static int32_t note(sandlock_notification *call, void *data)
{
    struct seen *seen = data;
    const char *name = sandlock_notification_syscall_name(call);

    if (!seen->calls++)
        snprintf(seen->first, sizeof seen->first, "%s", name);
    if (!strcmp(name, "execve")) {
        size_t length;
        seen->execs++;
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read_string(call, sandlock_notification_arg(call, 0), seen->path,
                                                                    sizeof seen->path, &length, NULL));
    }
    return SANDLOCK_HANDLER_PASS;
}

/* What the library's own code calls in the child is not shown, even if all of it is handled; the exec is the program's. */
static void set_up_is_not_shown_and_the_first_exec_is(void)
{
    static const char *const names[] = {"execve",    "close_range",    "dup3",       "write", "futex",
                                        "fcntl",     "prlimit64",      "exit_group", "openat", "rt_sigprocmask",
                                        "setsid",    "rt_sigaction",   "prctl",      "read"};
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    struct seen seen = {0};
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 64, NULL));
    for (i = 0; i < sizeof names / sizeof *names; i++)
        handle(supervisor, names[i], note, &seen);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV(program("caller"), "exec", "/bin/echo", "done"), 30000,
                                           &result, NULL));
    CHECK(!strcmp(output(result), "done\n"));
    CHECK(!strcmp(seen.first, "execve"));
    CHECK(seen.execs == 2 && !strcmp(seen.path, "/bin/echo"));
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* A filter that forbids what the set-up needs is installed after it. */
static void policy_that_denies_what_the_set_up_needs_can_be_supervised(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    int64_t number = 42;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_syscall(policy, "close_range", EACCES, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_syscall(policy, "dup3", EACCES, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_syscall(policy, "sethostname", EACCES, NULL));
    handle(supervisor, "getppid", return_number, &number);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, CALLER("getppid", "2"), 30000, &result, NULL));
    CHECK(!strcmp(output(result), "42 0 others 0\n"));
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static void failed_start_is_reported_as_without_a_supervisor(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int before = 0, i;

    handle(supervisor, "execve", pass_on, NULL);
    handle(supervisor, "getppid", pass_on, NULL);
    for (i = 0; i < 50; i++) {
        CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_run(policy, supervisor, ARGV("/usr/bin/no-such-program"), -1, &result, &error));
        CHECK(sandlock_error_errno(error) == ENOENT);
        sandlock_error_free(error);
        if (i == 0)
            before = count_entries("fd"); /* the policy keeps what it has opened */
    }
    CHECK(count_entries("fd") == before);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* The child shares the host's descriptor table for a while. Whatever the policy says of descriptors, the host keeps its own. */
static void descriptors_of_the_host_stay_its_own(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    const int32_t passed = 0, as = 40;
    struct stat before[3], after;
    int i, open_before = count_entries("fd"), kept;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_DESCRIPTORS, SANDLOCK_DISABLE, NULL));
    handle(supervisor, "getppid", pass_on, NULL);
    for (i = 0; i < 3; i++)
        fstat(i, &before[i]);
    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    options.pass_fds = &passed;
    options.pass_fds_as = &as;
    options.pass_fd_count = 1;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("getppid", "1"), &options, &process, NULL));
    for (i = 0; i < 3; i++)
        CHECK(fstat(i, &after) == 0 && after.st_dev == before[i].st_dev && after.st_ino == before[i].st_ino);
    CHECK(fcntl(40, F_GETFD) < 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    sandlock_result_free(result);
    sandlock_process_free(process);
    kept = count_entries("fd");
    sandlock_policy_free(policy); /* which has what it opened */
    CHECK(count_entries("fd") == open_before && kept >= open_before);
    sandlock_supervisor_free(supervisor);
}

/* --- memory --- */

static int32_t look_at_memory(sandlock_notification *call, void *unused)
{
    uint64_t address = sandlock_notification_arg(call, 0);
    char text[16], large[8192];
    size_t length = 99;
    int64_t answer = 0;

    (void)unused;
    switch (sandlock_notification_arg(call, 1)) {
    case 1:
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read_string(call, address, text, sizeof text, &length, NULL));
        answer = length == 6 && !strcmp(text, "across");
        CHECK_STATUS(SANDLOCK_ERROR_BUFFER_TOO_SMALL, sandlock_notification_read_string(call, address, text, 6, &length, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read_string(call, address, text, 7, &length, NULL));
        break;
    case 2:
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read_string(call, address, text, sizeof text, &length, NULL));
        answer = length == 7 && !strcmp(text, "the end");
        break;
    case 3:
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                     sandlock_notification_read_string(call, address, text, sizeof text, &length, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_read(call, address, text, 4, &length, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_write(call, address, "x", 1, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_read(call, ~0ull - 2, text, 8, &length, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_read(call, 0, text, 8, &length, NULL));
        answer = length == 99; /* outputs are written on success only */
        break;
    case 4:
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                     sandlock_notification_read_string(call, address, text, sizeof text, &length, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read(call, address, large, sizeof large, &length, NULL));
        answer = length == 8;
        break;
    case 5:
        /* What the program says is long is not believed: nothing is made of that size. */
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_read(call, address, NULL, 4ull << 30, &length, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_notification_read(call, address, text, SIZE_MAX, &length, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_read(call, address, NULL, 0, &length, NULL));
        answer = length == 0;
        break;
    case 6:
        CHECK_STATUS(SANDLOCK_OK, sandlock_notification_write(call, address, "written", 8, NULL));
        answer = 1;
        break;
    }
    sandlock_notification_return(call, answer, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void memory_is_read_as_far_as_it_can_be(void)
{
    check_output("getsid", look_at_memory, NULL, CALLER("memory"), "1 1 1 1 1 1 written\n");
}

/* --- the log --- */

struct lines {
    int count, destroyed;
    char last[256];
};

static void keep_line(uint32_t level, const char *message, void *data)
{
    struct lines *lines = data;

    CHECK(level == SANDLOCK_LOG_WARNING || level == SANDLOCK_LOG_ERROR);
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", message);
}

static void destroy_lines(void *data)
{
    ((struct lines *)data)->destroyed++;
}

static void set_log_again(void *supervisor)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_set_log(supervisor, NULL, NULL, NULL, NULL));
}

static void quiet_log(uint32_t level, const char *message, void *data)
{
    (void)level;
    (void)message;
    (void)data;
}

static void end_of_a_log_may_use_the_supervisor(void)
{
    sandlock_supervisor *supervisor = new_supervisor();

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_set_log(supervisor, quiet_log, supervisor, set_log_again, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_set_log(supervisor, NULL, NULL, NULL, NULL));
    sandlock_supervisor_free(supervisor);
}

static void log_is_told_of_handlers_that_fail(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    struct lines lines = {0};
    int32_t rubbish = -7;
    sandlock_result *result;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_set_log(supervisor, keep_line, &lines, destroy_lines, NULL));
    handle(supervisor, "getppid", say_nothing, &rubbish);
    result = run_supervised(supervisor, CALLER("getppid", "2"));
    CHECK(lines.count == 2);
    CHECK_CONTAINS(lines.last, "denied");
    CHECK(stats_of(supervisor).failed == 2);
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_set_log(supervisor, NULL, NULL, NULL, NULL));
    CHECK(lines.destroyed == 1);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* --- nesting --- */

/* In a sandbox with a supervisor another one cannot be made with a supervisor, and the error says why; without one it can. */
static void sandbox_inside_a_sandbox(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    const char *library = getenv("SANDLOCK_TEST_LIBRARY");

    if (library)
        allow(policy, library, SANDLOCK_ACCESS_READ_EXECUTE);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "ASAN_OPTIONS", "detect_leaks=0", NULL)); /* it takes ptrace */
    handle(supervisor, "getppid", pass_on, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV(program("test_handlers"), "--inner"), 30000, &result, NULL));
    CHECK(!strcmp(output(result), "unsupervised 0 supervised -7 16 told 1\n"));
    if (strcmp(output(result), "unsupervised 0 supervised -7 16 told 1\n"))
        printf("# %s%s\n", output(result), errors(result));
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static int inner(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int32_t without, with;

    handle(supervisor, "getppid", pass_on, NULL);
    without = sandlock_run(policy, NULL, ARGV("true"), 10000, &result, &error);
    if (without)
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    with = sandlock_run(policy, supervisor, ARGV("true"), 10000, &result, &error);
    printf("unsupervised %d supervised %d %d told %d\n", without, with, sandlock_error_errno(error),
           strstr(sandlock_error_message(error), "one listener only") != NULL);
    return 0;
}

static const struct test tests[] = {
    T(errnos_values_and_the_kernels_own_answer_reach_the_program), T(descriptors_and_bytes_are_given_to_the_program),
    T(descriptor_that_cannot_be_given_fails_the_call), T(handler_can_end_the_sandbox),
    T(handlers_look_in_order_and_pass_on), T(first_answer_counts_and_none_is_a_denial),
    T(handlers_that_cannot_be_are_refused_and_destroyed_once), T(groups_stand_for_their_allowed_members),
    T(set_up_is_not_shown_and_the_first_exec_is), T(policy_that_denies_what_the_set_up_needs_can_be_supervised),
    T(failed_start_is_reported_as_without_a_supervisor), T(memory_is_read_as_far_as_it_can_be),
    T(descriptors_of_the_host_stay_its_own), T(end_of_a_log_may_use_the_supervisor),
    T(log_is_told_of_handlers_that_fail), T(sandbox_inside_a_sandbox)};

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--inner"))
        return inner();
    return run_tests(tests, sizeof tests / sizeof *tests, argc, argv);
}
