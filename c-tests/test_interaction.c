/* Talking with a program that runs, and listening to it: communicate, caps that kill, output as it comes. */
#include "support.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static sandlock_process *start(const sandlock_policy *policy, const char *const *argv, uint32_t in, uint32_t out,
                               uint32_t err, uint64_t limit)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = in;
    options.stdout_mode = out;
    options.stderr_mode = err;
    options.capture_limit = limit;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    return process;
}

static sandlock_process *start_piped(const sandlock_policy *policy, const char *const *argv)
{
    return start(policy, argv, SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_PIPE, 0);
}

/* What ends the test program if the library ever lets it through. */
static int sigpipe_is_default_and_unblocked(void)
{
    struct sigaction action;
    sigset_t mask, pending;

    sigaction(SIGPIPE, NULL, &action);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sigpending(&pending);
    return action.sa_handler == SIG_DFL && !sigismember(&mask, SIGPIPE) && !sigismember(&pending, SIGPIPE);
}

static void input_is_fed_and_both_outputs_are_collected(void)
{
    struct footprint before = footprint();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_piped(policy, ARGV("sh", "-c", "cat; echo said >&2; exit 7"));
    sandlock_result *result = NULL, *again = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "some\0input", 10, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 7 && sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
    {
        size_t length = 0;
        const uint8_t *bytes = sandlock_result_stdout(result, &length);
        CHECK(length == 10 && !memcmp(bytes, "some\0input", 10));
        CHECK(!strcmp(errors(result), "said\n"));
    }
    CHECK(sandlock_process_take_stdio(process, 0) == -1 && sandlock_process_take_stdio(process, 1) == -1);
    /* Asking again, in either way, gives the same. */
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, 0, &again, NULL));
    CHECK(!strcmp(errors(again), "said\n"));
    sandlock_result_free(again);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 0, &again, NULL));
    CHECK(!strcmp(errors(again), "said\n"));
    sandlock_result_free(again);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
}

/* Neither side waits for the other: a program that reads all before it writes, and one that writes all before it reads. */
static void large_input_and_output_cross_without_a_deadlock(void)
{
    enum { SIZE = 3 << 20 };
    sandlock_policy *policy = system_policy();
    char *input = malloc(SIZE);
    size_t i, length = 0;
    sandlock_process *process;
    sandlock_result *result = NULL;

    for (i = 0; i < SIZE; i++)
        input[i] = (char)(i * 7 + i / 251);
    process = start_piped(policy, ARGV("cat"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, input, SIZE, 20000, &result, NULL));
    CHECK(!memcmp(sandlock_result_stdout(result, &length), input, SIZE) && length == SIZE);
    sandlock_result_free(result);
    sandlock_process_free(process);
    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    process = start_piped(policy, ARGV("sh", "-c", "head -c 1000000 /dev/zero >&2; wc -c"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, input, SIZE, 20000, &result, NULL));
    CHECK(atoi(output(result)) == SIZE);
    sandlock_result_stderr(result, &length);
    CHECK(length == 1000000);
    sandlock_result_free(result);
    sandlock_process_free(process);
    free(input);
    sandlock_policy_free(policy);
}

static void timeout_leaves_the_program_running_and_the_next_call_goes_on(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_piped(policy, ARGV("sh", "-c", "read a; echo 1 $a; read b; sleep 0.5; echo 2 $b; cat"));
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT,
                 sandlock_process_communicate(process, "one\ntwo\nthree\n", 14, 100, &result, &error));
    CHECK(result == NULL && sandlock_error_stage(error) == SANDLOCK_STAGE_WAIT);
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_communicate(process, NULL, 0, 0, &result, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(process, 0, &result, NULL));
    /* Input is given once. */
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_communicate(process, "more", 4, 0, &result, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "the input was given by an earlier call");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "1 one\n2 two\nthree\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void timeout_can_be_followed_by_a_kill(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_piped(policy, ARGV("sh", "-c", "echo begun; exec sleep 60"));
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_communicate(process, NULL, 0, 300, &result, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, -1, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED && !strcmp(output(result), "begun\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void input_that_nobody_reads_is_no_error_and_raises_no_sigpipe(void)
{
    static const char *const programs[] = {"exec <&-; sleep 0.2; echo on", "exit 3", "head -c 1 >/dev/null; sleep 0.2", "kill -9 $$"};
    enum { SIZE = 1 << 20 };
    sandlock_policy *policy = system_policy();
    char *input = calloc(SIZE, 1);
    size_t i;

    CHECK(sigpipe_is_default_and_unblocked());
    for (i = 0; i < 4 * 10; i++) {
        sandlock_process *process = start_piped(policy, ARGV("sh", "-c", programs[i % 4]));
        sandlock_result *result = NULL;

        CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, input, SIZE, 20000, &result, NULL));
        if (i % 4 == 0)
            CHECK(!strcmp(output(result), "on\n"));
        if (i % 4 == 1)
            CHECK(sandlock_result_exit_code(result) == 3);
        sandlock_result_free(result);
        sandlock_process_free(process);
    }
    CHECK(sigpipe_is_default_and_unblocked());
    free(input);
    sandlock_policy_free(policy);
}

/* A host that talks late: the program has ended, its pipes still hold what it said. */
static void output_of_a_program_that_has_ended_is_collected(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start(policy, ARGV("sh", "-c", "echo early; echo complaint >&2"), SANDLOCK_STDIO_PIPE,
                                      SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_CAPTURE, 4);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "") && !strcmp(errors(result), "comp"));
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "too late", 8, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "earl") && sandlock_result_truncated(result, 1) == 2);
    CHECK(!strcmp(errors(result), "comp") && sandlock_result_truncated(result, 2) == 6);
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 0, &result, NULL));
    CHECK(!strcmp(output(result), "earl"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* Somebody outside the sandbox holds the program's output open: waited for a second, or as long as the caller says. */
static void output_that_somebody_outside_keeps_open_is_not_waited_for(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int sockets[2], got = -1, number = 9;
    double begun;
    char byte, space[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&byte, 1};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    static const char script[] = "import socket,array,sys;s=socket.socket(fileno=9);"
                                 "s.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[1]))]);print('out')";

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_PIPE;
    options.pass_fds = &sockets[1];
    options.pass_fds_as = &number;
    options.pass_fd_count = 1;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("/usr/bin/python3", "-c", script), &options, &process, NULL));
    CHECK(recvmsg(sockets[0], &message, MSG_CMSG_CLOEXEC) == 1);
    if (CHECK(CMSG_FIRSTHDR(&message) != NULL))
        memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    begun = seconds();
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_communicate(process, NULL, 0, 50, &result, NULL));
    CHECK(seconds() - begun < 0.9);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, -1, &result, NULL));
    CHECK(seconds() - begun < 5 && !strcmp(output(result), "out\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    close(got), close(sockets[0]), close(sockets[1]);
    sandlock_policy_free(policy);
}

static void communicate_leaves_alone_what_is_not_its_own(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    char text[16] = {0};
    int out;

    /* Input for a program that has no pipe for it. */
    process = start(policy, ARGV("echo", "x"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_NULL, 0);
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_communicate(process, "input", 5, -1, &result, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "standard input is not a pipe");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, -1, &result, NULL));
    CHECK(!strcmp(output(result), "x\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    /* A stream that was taken before is the taker's. */
    process = start_piped(policy, ARGV("sh", "-c", "cat; echo mine >&2"));
    out = sandlock_process_take_stdio(process, 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "taken", 5, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "") && !strcmp(errors(result), "mine\n"));
    CHECK(read(out, text, sizeof text) == 5 && !strcmp(text, "taken"));
    close(out);
    sandlock_result_free(result);
    sandlock_process_free(process);
    /* None of the streams is a pipe: it waits. */
    process = start(policy, ARGV("echo", "y"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_NULL, 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "y\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

struct call {
    sandlock_process *process;
    int right;
};

static void *communicate_here(void *argument)
{
    struct call *call = argument;
    sandlock_result *result = NULL;

    call->right = sandlock_process_communicate(call->process, NULL, 0, 20000, &result, NULL) == SANDLOCK_OK &&
                  !strcmp(output(result), "both\n");
    sandlock_result_free(result);
    return NULL;
}

static void several_threads_may_communicate_at_a_time(void)
{
    sandlock_policy *policy = system_policy();
    int round, i;

    for (round = 0; round < 50; round++) {
        struct call calls[3];
        pthread_t threads[3];
        /* The end of the program, and who reads what it leaves, come in any order. */
        sandlock_process *process = start_piped(policy, ARGV("echo", "both"));

        if (round % 3 == 2)
            usleep(5000);
        for (i = 0; i < 3; i++) {
            calls[i].process = process;
            CHECK(pthread_create(&threads[i], NULL, communicate_here, &calls[i]) == 0);
        }
        for (i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            CHECK(calls[i].right);
        }
        sandlock_process_free(process);
    }
    sandlock_policy_free(policy);
}

/* --- caps that kill --- */

static void output_beyond_its_cap_ends_the_sandbox_if_the_policy_says_so(void)
{
    static const char *const streams[] = {"exec cat /dev/zero", "exec cat /dev/zero >&2"};
    sandlock_policy *policy = system_policy();
    size_t i, length;

    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_OUTPUT_KILLS, true, NULL));
    for (i = 0; i < 4; i++) {
        uint32_t mode = i < 2 ? SANDLOCK_STDIO_CAPTURE : SANDLOCK_STDIO_PIPE;
        sandlock_process *process =
            start(policy, ARGV("sh", "-c", streams[i % 2]), SANDLOCK_STDIO_NULL, mode, mode, 100000);
        sandlock_result *result = NULL;

        CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, NULL, 0, 20000, &result, NULL));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_signal(result) == SIGKILL);
        if (i % 2)
            sandlock_result_stderr(result, &length);
        else
            sandlock_result_stdout(result, &length);
        CHECK(length == 100000 && sandlock_result_truncated(result, i % 2 ? 2 : 1) > 0);
        sandlock_result_free(result);
        sandlock_process_free(process);
    }
    {
        /* Exactly the cap is not beyond it. */
        sandlock_process *process = start(policy, ARGV("head", "-c", "5", "/dev/zero"), SANDLOCK_STDIO_NULL,
                                          SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_NULL, 5);
        sandlock_result *result = NULL;

        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
        sandlock_result_free(result);
        sandlock_process_free(process);
    }
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_confine_self(policy, NULL));
    sandlock_policy_free(policy);
}

/* --- output as it comes --- */

struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[3][1 << 16];
    size_t length[3], total;
    int ends[3], destroyed, slow_ms, calls_at_a_time, overlapped, waited, confined, blocked;
    int blocks; /* until this is 0 */
    pthread_t thread;
    sandlock_process *process;
};

static struct heard *new_heard(void)
{
    struct heard *heard = calloc(1, sizeof *heard);

    pthread_mutex_init(&heard->lock, NULL);
    pthread_cond_init(&heard->changed, NULL);
    return heard;
}

static void hear(uint32_t stream, const uint8_t *data, size_t length, void *user_data)
{
    struct heard *heard = user_data;
    sigset_t mask;

    if (__atomic_fetch_add(&heard->calls_at_a_time, 1, __ATOMIC_SEQ_CST) != 0)
        heard->overlapped = 1;
    if (heard->slow_ms)
        usleep((useconds_t)heard->slow_ms * 1000);
    pthread_mutex_lock(&heard->lock);
    heard->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    heard->blocked = sigismember(&mask, SIGTERM);
    /* The warden's domain takes no_new_privs, and threads have what their maker has. */
    heard->confined = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    while (heard->blocks)
        pthread_cond_wait(&heard->changed, &heard->lock);
    if (stream == 1 || stream == 2) {
        size_t room = sizeof heard->text[0] - 1 - heard->length[stream];
        size_t kept = length < room ? length : room;
        memcpy(heard->text[stream] + heard->length[stream], data, kept);
        heard->length[stream] += kept;
        heard->total += length;
        heard->ends[stream] += length == 0;
    }
    if (heard->waited) {
        sandlock_result *result = NULL;
        heard->waited = sandlock_process_wait(heard->process, 1000, &result, NULL);
        sandlock_result_free(result);
    }
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->lock);
    __atomic_fetch_sub(&heard->calls_at_a_time, 1, __ATOMIC_SEQ_CST);
}

static void destroyed(void *user_data)
{
    __atomic_fetch_add(&((struct heard *)user_data)->destroyed, 1, __ATOMIC_SEQ_CST);
}

static int wait_for_text(struct heard *heard, int stream, const char *text)
{
    struct timespec until;
    int found;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&heard->lock);
    while (!(found = strcmp(heard->text[stream], text) == 0))
        if (pthread_cond_timedwait(&heard->changed, &heard->lock, &until))
            break;
    pthread_mutex_unlock(&heard->lock);
    return found;
}

static void output_is_told_while_the_program_runs(void)
{
    struct footprint before = footprint();
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    sandlock_process *process = start(policy, ARGV("sh", "-c", "echo a; echo e >&2; read x; echo $x; read y; exit 4"),
                                      SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_CAPTURE, 0);
    int in = sandlock_process_take_stdio(process, 0);
    sandlock_result *result = NULL;

    usleep(50000); /* some of it is said before anybody listens */
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, hear, heard, destroyed, NULL));
    CHECK(wait_for_text(heard, 1, "a\n") && wait_for_text(heard, 2, "e\n"));
    CHECK(write(in, "b\n", 2) == 2);
    CHECK(wait_for_text(heard, 1, "a\nb\n"));
    CHECK(heard->ends[1] == 0 && heard->destroyed == 0);
    CHECK(!pthread_equal(heard->thread, pthread_self()) && heard->blocked &&
          heard->confined == prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_stream(process, hear, heard, NULL, NULL));
    CHECK(write(in, "\n", 1) == 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 4 && !strcmp(output(result), "a\nb\n") && !strcmp(errors(result), "e\n"));
    sandlock_process_free(process);
    CHECK(heard->ends[1] == 1 && heard->ends[2] == 1 && heard->destroyed == 1 && !heard->overlapped);
    close(in);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    free(heard);
    CHECK_UNCHANGED(before);
}

static void output_of_a_program_that_has_ended_is_told_all_the_same(void)
{
    sandlock_policy *policy = system_policy();
    int round;

    for (round = 0; round < 60; round++) {
        struct heard *heard = new_heard();
        sandlock_process *process = start(policy, ARGV("sh", "-c", "echo out; echo err >&2"), SANDLOCK_STDIO_NULL,
                                          SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_CAPTURE, 0);
        sandlock_result *result = NULL;

        /* After the end, or anywhere near it. */
        if (round % 3 == 0)
            CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        else
            usleep((useconds_t)round * 50);
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, hear, heard, destroyed, NULL));
        if (round % 3)
            CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        sandlock_process_free(process);
        CHECK(!strcmp(heard->text[1], "out\n") && !strcmp(heard->text[2], "err\n"));
        CHECK(heard->ends[1] == 1 && heard->ends[2] == 1 && heard->destroyed == 1);
        sandlock_result_free(result);
        free(heard);
    }
    sandlock_policy_free(policy);
}

/* Ten megabytes to a listener that gets them all, although the result keeps 1000 bytes of them. */
static void listener_gets_what_is_beyond_the_cap(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    sandlock_process *process;
    sandlock_result *result = NULL;

    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    process = start(policy, ARGV("sh", "-c", "read x; head -c 10000000 /dev/zero"), SANDLOCK_STDIO_PIPE,
                    SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_NULL, 1000);
    heard->slow_ms = 1;
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, hear, heard, destroyed, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "go\n", 3, 30000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0 && sandlock_result_truncated(result, 1) == 10000000 - 1000);
    sandlock_process_free(process);
    CHECK(heard->total == 10000000 && heard->ends[1] == 1 && heard->ends[2] == 0 && heard->destroyed == 1);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    free(heard);
}

/* A listener that does not come back: the program waits, memory does not grow, and the sandbox can still be ended. */
static void listener_that_blocks_holds_up_the_program_and_not_its_end(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    sandlock_process *process;
    sandlock_result *result = NULL;
    double begun;
    long before;

    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    process = start(policy, ARGV("cat", "/dev/zero"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_NULL, 1);
    before = resident_kb();
    heard->blocks = 1;
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, hear, heard, destroyed, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(process, 700, &result, NULL));
    if (!getenv("SANDLOCK_TEST_SANITIZER"))
        CHECK(resident_kb() - before < 16 << 10);
    begun = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK(seconds() - begun < 2);
    pthread_mutex_lock(&heard->lock);
    heard->blocks = 0;
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->lock);
    sandlock_process_free(process);
    CHECK(heard->ends[1] == 1 && heard->destroyed == 1 && heard->total > 1 << 20);
    sandlock_policy_free(policy);
    free(heard);
}

static void listener_must_not_wait_for_its_program(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();

    heard->waited = 1;
    heard->process = start(policy, ARGV("sh", "-c", "echo x; exec sleep 60"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_CAPTURE,
                           SANDLOCK_STDIO_NULL, 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(heard->process, hear, heard, destroyed, NULL));
    CHECK(wait_for_text(heard, 1, "x\n"));
    CHECK(heard->waited == SANDLOCK_ERROR_WOULD_DEADLOCK);
    heard->waited = 0;
    sandlock_process_free(heard->process);
    CHECK(heard->destroyed == 1);
    sandlock_policy_free(policy);
    free(heard);
}

static void free_from_listener(uint32_t stream, const uint8_t *data, size_t length, void *user_data)
{
    struct heard *heard = user_data;

    (void)data;
    if (stream == 1 && length > 0 && heard->process) {
        sandlock_process_free(heard->process);
        heard->process = NULL;
    }
}

static void listener_may_free_its_process(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    double begun = seconds();

    heard->process = start(policy, ARGV("sh", "-c", "echo x; exec sleep 60"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_CAPTURE,
                           SANDLOCK_STDIO_NULL, 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(heard->process, free_from_listener, heard, destroyed, NULL));
    while (!__atomic_load_n(&heard->destroyed, __ATOMIC_SEQ_CST) && seconds() - begun < 20)
        usleep(1000);
    CHECK(heard->destroyed == 1 && heard->process == NULL);
    sandlock_policy_free(policy);
    free(heard);
}

static void streaming_that_cannot_be_is_refused_and_its_data_destroyed(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    sandlock_process *process = start_piped(policy, ARGV("true"));

    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_stream(process, hear, heard, destroyed, NULL));
    CHECK(heard->destroyed == 1);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_stream(process, NULL, heard, destroyed, NULL));
    CHECK(heard->destroyed == 2);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_stream(NULL, hear, heard, destroyed, NULL));
    CHECK(heard->destroyed == 3);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    free(heard);
}

/* The thread that listens, and the pipes' other ends, are the host's, not its fork's. */
static void fork_of_the_host_leaves_the_conversation_alone(void)
{
    sandlock_policy *policy = system_policy();
    struct heard *heard = new_heard();
    sandlock_process *process = start(policy, ARGV("sh", "-c", "echo a; read x; echo b"), SANDLOCK_STDIO_PIPE,
                                      SANDLOCK_STDIO_CAPTURE, SANDLOCK_STDIO_NULL, 0);
    sandlock_result *result = NULL;
    int status;
    pid_t pid;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, hear, heard, destroyed, NULL));
    CHECK(wait_for_text(heard, 1, "a\n"));
    pid = fork();
    if (pid == 0) {
        int failed = sandlock_process_stream(process, hear, heard, NULL, NULL) != SANDLOCK_ERROR_STATE;

        sandlock_process_free(process);
        _exit(failed || heard->destroyed);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "x\n", 2, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "a\nb\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(!strcmp(heard->text[1], "a\nb\n") && heard->destroyed == 1);
    sandlock_policy_free(policy);
    free(heard);
}

TESTS(T(input_is_fed_and_both_outputs_are_collected), T(large_input_and_output_cross_without_a_deadlock),
      T(timeout_leaves_the_program_running_and_the_next_call_goes_on), T(timeout_can_be_followed_by_a_kill),
      T(input_that_nobody_reads_is_no_error_and_raises_no_sigpipe), T(output_of_a_program_that_has_ended_is_collected),
      T(output_that_somebody_outside_keeps_open_is_not_waited_for), T(communicate_leaves_alone_what_is_not_its_own),
      T(several_threads_may_communicate_at_a_time), T(output_beyond_its_cap_ends_the_sandbox_if_the_policy_says_so),
      T(output_is_told_while_the_program_runs), T(output_of_a_program_that_has_ended_is_told_all_the_same),
      T(listener_gets_what_is_beyond_the_cap), T(listener_that_blocks_holds_up_the_program_and_not_its_end),
      T(listener_must_not_wait_for_its_program), T(listener_may_free_its_process),
      T(streaming_that_cannot_be_is_refused_and_its_data_destroyed),
      T(fork_of_the_host_leaves_the_conversation_alone))
