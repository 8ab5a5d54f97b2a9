/* The descriptors of a program: which it gets, and which it does not. */
#include "support.h"

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
static int32_t pass_on(sandlock_notification *call, void *unused)
{
    (void)call;
    (void)unused;
    return SANDLOCK_HANDLER_PASS;
}

static void check_closed_standard_streams(sandlock_supervisor *supervisor)
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
    status = sandlock_spawn(policy, supervisor, ARGV("sh", "-c", "echo lost && exit 9"), NULL, &process, NULL);
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

/* Nor does the library's own listener keep one, whichever calls are handled. */
static void closed_standard_streams_become_null(void)
{
    static const char *const handled[] = {"getppid", "execve", "dup3"};
    size_t i;

    check_closed_standard_streams(NULL);
    for (i = 0; i < sizeof handled / sizeof *handled; i++) {
        sandlock_supervisor *supervisor = NULL;
        int round;

        CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_supervisor_add_handler(supervisor, handled[i], pass_on, NULL, NULL, 0, NULL));
        for (round = 0; round < 20; round++)
            check_closed_standard_streams(supervisor);
        sandlock_supervisor_free(supervisor);
    }
}

TESTS(T(only_standard_streams_are_inherited), T(named_descriptors_are_passed_even_if_they_overlap),
      T(pipes_connect_host_and_program), T(given_descriptors_become_standard_streams),
      T(closed_standard_streams_become_null))
