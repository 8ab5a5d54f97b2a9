/* Handlers, pending calls and the queue, as a host uses them. The programs are c-tests/caller.c. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define CALLER(...) ARGV(program("caller"), __VA_ARGS__)

static sandlock_supervisor *new_supervisor(void)
{
    sandlock_supervisor *supervisor = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    return supervisor;
}

static void handle(sandlock_supervisor *supervisor, const char *name, sandlock_handler_fn handler, void *data)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, name, handler, data, NULL, 0, NULL));
}

static sandlock_result *run_supervised(sandlock_supervisor *supervisor, const char *const *argv)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    if (sandlock_run(policy, supervisor, argv, 30000, &result, &error)) {
        printf("# cannot run: %s\n", sandlock_error_message(error));
        test_failures++;
    }
    sandlock_error_free(error);
    sandlock_policy_free(policy);
    return result;
}

/* Runs a program with one handler, and checks what it prints. */
static void check_output(const char *name, sandlock_handler_fn handler, void *data, const char *const *argv,
                         const char *wanted)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, name, handler, data);
    result = run_supervised(supervisor, argv);
    if (!CHECK(result && !strcmp(output(result), wanted)))
        printf("# %s%s\n", result ? output(result) : "", result ? errors(result) : "");
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static sandlock_stats stats_of(const sandlock_supervisor *supervisor)
{
    sandlock_stats stats = SANDLOCK_STATS_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_stats(supervisor, &stats, NULL));
    return stats;
}

/* --- answers --- */

static int32_t deny_with(sandlock_notification *call, void *errno_value)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_deny(call, *(int *)errno_value, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t return_number(sandlock_notification *call, void *number)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return(call, *(int64_t *)number, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t let_run(sandlock_notification *call, void *unused)
{
    (void)unused;
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_continue(call, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t pass_on(sandlock_notification *call, void *count)
{
    (void)call;
    if (count)
        ++*(atomic_int *)count;
    return SANDLOCK_HANDLER_PASS;
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

static int only_virtual(sandlock_notification *call)
{
    char path[256];
    size_t length = 0;

    return sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length,
                                             NULL) == SANDLOCK_OK &&
           length == strlen(path) && !strcmp(path, "/virtual");
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

static void descriptor_that_cannot_be_given_fails_the_call(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    uint64_t none = 0;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 8, NULL));
    handle(supervisor, "openat", give_bytes, &none);
    /* sh takes all descriptors that are left; the call fails with EMFILE, as open(2) itself would. */
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_run(policy, supervisor,
                              ARGV("sh", "-c", "exec 3<&0 4<&0 5<&0 6<&0 7<&0; exec \"$0\" open /virtual", program("caller")),
                              30000, &result, NULL));
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

static int32_t say_nothing(sandlock_notification *call, void *verdict)
{
    (void)call;
    return *(int32_t *)verdict;
}

static void first_answer_counts_and_none_is_a_denial(void)
{
    int32_t done = SANDLOCK_HANDLER_DONE, rubbish = 12345;

    check_output("getppid", answer_twice, NULL, CALLER("getppid", "2"), "5 0 others 0\n");
    check_output("getppid", say_nothing, &done, CALLER("getppid", "2"), "-1 1 others 0\n");
    check_output("getppid", say_nothing, &rubbish, CALLER("getppid", "2"), "-1 1 others 0\n");
}

static void count_destroy(void *count)
{
    ++*(int *)count;
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

/* --- races --- */

struct tree_fds {
    int good;
    atomic_int asked_bad;
};

static int32_t open_for_it(sandlock_notification *call, void *data)
{
    struct tree_fds *fds = data;
    char path[512];
    size_t length;

    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length, NULL))
        return 99;
    if (strstr(path, "/good")) {
        int fd = openat(fds->good, "good", O_RDONLY | O_CLOEXEC);
        sandlock_notification_return_fd(call, fd, 0, NULL);
        close(fd);
        return SANDLOCK_HANDLER_DONE;
    }
    if (strstr(path, "/evil")) {
        fds->asked_bad++;
        sandlock_notification_deny(call, EACCES, NULL);
        return SANDLOCK_HANDLER_DONE;
    }
    return SANDLOCK_HANDLER_PASS;
}

/* A thread that changes the path while the handler looks: what was looked at is what is opened. */
static void decision_on_a_copy_withstands_a_flipping_thread(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    struct tree_fds fds = {0};
    sandlock_result *result = NULL;

    write_text(in_tree(tree, "good"), "g");
    write_text(in_tree(tree, "evil"), "e");
    fds.good = open(tree, O_RDONLY | O_DIRECTORY);
    /* The kernel would let it read both: only the handler stands between. */
    allow(policy, tree, SANDLOCK_ACCESS_READ);
    handle(supervisor, "openat", open_for_it, &fds);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, CALLER("flip", in_tree(tree, "good"), in_tree(tree, "evil"), "3000"),
                                           60000, &result, NULL));
    CHECK_CONTAINS(output(result), " g ");
    CHECK(!strstr(output(result), " e "));
    CHECK(fds.asked_bad > 0);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
    close(fds.good);
    remove_tree(tree);
}

/* --- slow and stuck handlers --- */

enum { BESIDE = 1000 };

struct beside {
    atomic_int quick;
};

/* Looks at its call until all calls of the other thread were answered: if it held them up, only its deadline would end it. */
static int32_t look_while_others_call(sandlock_notification *call, void *data)
{
    struct beside *beside = data;

    while (beside->quick < BESIDE)
        usleep(1000);
    sandlock_notification_return(call, 11, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t count_quick(sandlock_notification *call, void *data)
{
    struct beside *beside = data;

    beside->quick++;
    sandlock_notification_return(call, 3, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void slow_handler_does_not_hold_up_other_threads(void)
{
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result;
    struct beside beside = {0};
    double median = 0, worst = 0;
    long slow = 0;

    options.deadline_ms = 10000;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getsid", look_while_others_call, &beside);
    handle(supervisor, "getppid", count_quick, &beside);
    result = run_supervised(supervisor, CALLER("beside", "1000"));
    CHECK(sscanf(output(result), "median %lf worst %lf slow %ld", &median, &worst, &slow) == 3);
    CHECK(slow == 11 && stats_of(supervisor).overdue == 0);
    CHECK(median < 1000); /* a millisecond is what is promised */
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static int32_t answer_double(sandlock_notification *call, void *count)
{
    if (count)
        ++*(atomic_int *)count;
    sandlock_notification_return(call, (int64_t)sandlock_notification_arg(call, 0) * 2 + 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void calls_of_many_threads_are_answered_each(void)
{
    atomic_int count = 0;
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, "getpgid", answer_double, &count);
    result = run_supervised(supervisor, CALLER("threads", "8", "1000"));
    CHECK_CONTAINS(output(result), "wrong 0 ");
    CHECK(count == 8000);
    CHECK(stats_of(supervisor).returned == 8000);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

struct late {
    int32_t status;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int release, over;
};

static int32_t answer_late(sandlock_notification *call, void *data)
{
    struct late *late = data;

    pthread_mutex_lock(&late->lock);
    while (!late->release) /* after its call was denied */
        pthread_cond_wait(&late->changed, &late->lock);
    late->status = sandlock_notification_return(call, 11, NULL);
    late->over = 1;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
    return SANDLOCK_HANDLER_DONE;
}

static void call_is_denied_when_the_deadline_passes(void)
{
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result;
    struct late late = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

    options.deadline_ms = 100;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getppid", answer_late, &late);
    result = run_supervised(supervisor, CALLER("getppid", "1"));
    CHECK(!strcmp(output(result), "-1 1 others 0\n"));
    pthread_mutex_lock(&late.lock);
    late.release = 1;
    pthread_cond_broadcast(&late.changed);
    while (!late.over)
        pthread_cond_wait(&late.changed, &late.lock);
    pthread_mutex_unlock(&late.lock);
    CHECK(late.status == SANDLOCK_ERROR_STALE);
    CHECK(stats_of(supervisor).overdue == 1);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting, open;
};

static int32_t wait_at_gate(sandlock_notification *call, void *data)
{
    struct gate *gate = data;

    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    sandlock_notification_return(call, 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void *open_gate_later(void *data)
{
    struct gate *gate = data;

    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < 64)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    usleep(50000); /* the rest piles up */
    pthread_mutex_lock(&gate->lock);
    gate->open = 1;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

/* More calls wait in handlers than there may be threads: the rest waits its turn, and nothing is lost. */
static void full_pool_loses_nothing(void)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    pthread_t opener;

    handle(supervisor, "getsid", wait_at_gate, &gate);
    pthread_create(&opener, NULL, open_gate_later, &gate);
    result = run_supervised(supervisor, CALLER("outstanding", "200"));
    CHECK(!strcmp(output(result), "sum 200\n"));
    CHECK(gate.waiting == 200);
    pthread_join(opener, NULL);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* --- later --- */

struct later {
    sandlock_pending *pending[600];
    atomic_int count;
    atomic_int done;
};

static int32_t put_off(sandlock_notification *call, void *data)
{
    struct later *later = data;
    sandlock_pending *pending = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_defer(call, &pending, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_notification_deny(call, EPERM, NULL));
    later->pending[later->count] = pending;
    later->count++;
    return SANDLOCK_HANDLER_DONE;
}

static void *answer_all(void *data)
{
    struct later *later = data;
    int i;

    while (later->count < 500)
        usleep(1000);
    for (i = 499; i >= 0; i--) {
        sandlock_pending *pending = later->pending[i];
        CHECK_STATUS(SANDLOCK_OK, sandlock_pending_return(pending, (int64_t)sandlock_pending_arg(pending, 0), NULL));
        CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_pending_deny(pending, EPERM, NULL));
        sandlock_pending_free(pending);
    }
    return NULL;
}

static void calls_are_put_off_and_answered_in_any_order_by_any_thread(void)
{
    static struct later later;
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    pthread_t thread;

    handle(supervisor, "getsid", put_off, &later);
    pthread_create(&thread, NULL, answer_all, &later);
    result = run_supervised(supervisor, CALLER("outstanding", "500"));
    CHECK(!strcmp(output(result), "sum 124750\n"));
    CHECK(stats_of(supervisor).deferred == 500);
    pthread_join(thread, NULL);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static void *serve_queue(void *data)
{
    sandlock_supervisor *supervisor = data;
    sandlock_pending *pending = NULL;
    struct pollfd ready = {sandlock_supervisor_fd(supervisor), POLLIN, 0};
    int served = 0;

    while (served < 300) {
        CHECK(poll(&ready, 1, 20000) == 1);
        while (sandlock_supervisor_next(supervisor, 0, &pending, NULL) == SANDLOCK_OK) {
            CHECK(!strcmp(sandlock_pending_syscall_name(pending), "getsid"));
            if (served % 3) /* every third is left unanswered */
                CHECK_STATUS(SANDLOCK_OK, sandlock_pending_return(pending, 10, NULL));
            sandlock_pending_free(pending);
            served++;
        }
    }
    CHECK(poll(&ready, 1, 0) == 0);
    return NULL;
}

static void queue_is_served_by_a_loop_of_the_host(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_pending *pending = NULL;
    sandlock_result *result;
    pthread_t thread;
    int threads = count_entries("task");

    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_supervisor_next(supervisor, 0, &pending, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_supervisor_next(supervisor, 20, &pending, NULL));
    handle(supervisor, "getsid", NULL, NULL);
    pthread_create(&thread, NULL, serve_queue, supervisor);
    result = run_supervised(supervisor, CALLER("outstanding", "300"));
    CHECK(!strcmp(output(result), "sum 1900\n")); /* 200 times 10, 100 times -1 */
    pthread_join(thread, NULL);
    /* No thread of the library but the warden has been at work, and that is gone. */
    CHECK(count_entries("task") == threads);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static void *free_later(void *supervisor)
{
    usleep(100000);
    sandlock_supervisor_free(supervisor);
    return NULL;
}

static void queue_of_a_freed_supervisor_denies(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    pthread_t thread;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    handle(supervisor, "getppid", NULL, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("getppid", "1000"), &options, &process, NULL));
    pthread_create(&thread, NULL, free_later, supervisor);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(!strcmp(output(result), "-1 1 others 0\n"));
    pthread_join(thread, NULL);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void answers_after_death_are_stale(void)
{
    static struct later later;
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    char byte;
    size_t length;

    handle(supervisor, "getppid", put_off, &later);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("getppid", "1"), NULL, &process, NULL));
    while (!later.count)
        usleep(1000);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    sandlock_process_free(process);
    sandlock_supervisor_free(supervisor);
    CHECK_STATUS(SANDLOCK_ERROR_STALE, sandlock_pending_read(later.pending[0], 4096, &byte, 1, &length, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STALE, sandlock_pending_continue(later.pending[0], NULL));
    sandlock_pending_free(later.pending[0]);
    sandlock_policy_free(policy);
}

/* --- owners --- */

static void supervisor_can_be_freed_while_its_handlers_serve(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    int destroyed = 0;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_add_handler(supervisor, "getpgid", answer_double, NULL, NULL, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_add_handler(supervisor, "getsid", pass_on, &destroyed, count_destroy, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("threads", "4", "500"), &options, &process, NULL));
    sandlock_supervisor_free(supervisor);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK_CONTAINS(output(result), "wrong 0 ");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stats(process, &stats, NULL));
    CHECK(stats.returned == 2000 && stats.received >= 2000 && stats.worst_latency_us > 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(destroyed == 1);
    sandlock_policy_free(policy);
}

static void sandboxes_are_freed_under_load_and_leave_nothing(void)
{
    int threads, descriptors, round, i;
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor;

    free(malloc(1));
    threads = count_entries("task");
    descriptors = count_entries("fd");
    for (round = 0; round < 10; round++) {
        sandlock_process *processes[6] = {0};

        supervisor = new_supervisor();
        handle(supervisor, "getpgid", answer_double, NULL);
        for (i = 0; i < 6; i++)
            CHECK_STATUS(SANDLOCK_OK,
                         sandlock_spawn(policy, supervisor, CALLER("threads", "4", "1000000"), NULL, &processes[i], NULL));
        usleep(10000);
        if (round % 2)
            sandlock_supervisor_free(supervisor);
        for (i = 0; i < 6; i++)
            sandlock_process_free(processes[i]);
        if (round % 2 == 0)
            sandlock_supervisor_free(supervisor);
    }
    sandlock_policy_free(policy);
    CHECK(count_entries("task") == threads);
    CHECK(count_entries("fd") == descriptors);
}

struct self_wait {
    _Atomic(sandlock_process *) process;
    int32_t wait, kill;
};

static int32_t wait_for_own(sandlock_notification *call, void *data)
{
    struct self_wait *self = data;
    sandlock_result *result = NULL;

    (void)call;
    while (!self->process)
        usleep(100);
    self->wait = sandlock_process_wait(self->process, -1, &result, NULL);
    self->kill = sandlock_process_kill(self->process, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void waiting_for_the_program_in_its_own_handler_is_refused(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    struct self_wait self = {0};

    handle(supervisor, "getppid", wait_for_own, &self);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("getppid", "1"), NULL, &process, NULL));
    self.process = process;
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(self.wait == SANDLOCK_ERROR_WOULD_DEADLOCK && self.kill == SANDLOCK_OK);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static void daemons_that_call_die_with_the_program(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    int64_t number = 3;
    double start = seconds();

    handle(supervisor, "getppid", return_number, &number);
    result = run_supervised(supervisor, CALLER("lingering"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && seconds() - start < 1);
    CHECK(!has_children());
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* Where daemons cannot be reached they live on; nobody serves or waits for them. */
static void daemons_that_live_on_hold_nothing_up(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int64_t number = 3;
    double start = seconds();

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    handle(supervisor, "getppid", return_number, &number);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("lingering"), NULL, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(seconds() - start < 3);
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

/* Who starts a program waits for its exec: that is not put into a queue which only the same thread could serve. */
static void exec_that_starts_the_program_is_not_queued(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_pending *pending = NULL;
    sandlock_result *result = NULL;

    handle(supervisor, "execve", NULL, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("exec", "/bin/true"), NULL, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_next(supervisor, 20000, &pending, NULL)); /* the one that it makes itself */
    CHECK_STATUS(SANDLOCK_OK, sandlock_pending_deny(pending, EACCES, NULL));
    sandlock_pending_free(pending);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 2);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* 200 sandboxes, 8 threads in each, 1,000 calls of each thread, all at once: every one is answered, and once. */
static void calls_of_many_sandboxes_are_answered_each(void)
{
    enum { SANDBOXES = 200 };
    const int sanitized = getenv("SANDLOCK_TEST_SANITIZER") != NULL;
    const char *calls = sanitized ? "20" : "1000";
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    static sandlock_process *processes[SANDBOXES];
    atomic_int count = 0;
    int i;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    handle(supervisor, "getpgid", answer_double, &count);
    for (i = 0; i < SANDBOXES; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("threads", "8", calls), &options, &processes[i], NULL));
    for (i = 0; i < SANDBOXES; i++) {
        sandlock_result *result = NULL;
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(processes[i], 120000, &result, NULL));
        CHECK_CONTAINS(output(result), "wrong 0 ");
        sandlock_result_free(result);
        sandlock_process_free(processes[i]);
    }
    CHECK(count == SANDBOXES * 8 * atoi(calls));
    CHECK(stats_of(supervisor).returned == (uint64_t)count);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* --- callers that die --- */

static int32_t read_and_write(sandlock_notification *call, void *unused)
{
    char text[64];
    size_t length;

    (void)unused;
    sandlock_notification_read_string(call, sandlock_notification_arg(call, 0), text, sizeof text, &length, NULL);
    sandlock_notification_write(call, 8, "x", 1, NULL);
    sandlock_notification_return(call, 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t give_or_pass(sandlock_notification *call, void *unused)
{
    (void)unused;
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    sandlock_notification_return_bytes(call, "hello", 5, 0, NULL); /* the caller may be gone: then it fails */
    return SANDLOCK_HANDLER_DONE;
}

static int32_t put_off_and_drop(sandlock_notification *call, void *number)
{
    sandlock_pending *pending = NULL;

    if (++*(atomic_int *)number % 3)
        return SANDLOCK_HANDLER_PASS;
    if (sandlock_notification_defer(call, &pending, NULL) == SANDLOCK_OK)
        sandlock_pending_free(pending);
    return SANDLOCK_HANDLER_DONE;
}

/* Callers are killed at any point of being received, looked at, read, written to and answered. */
static void callers_may_die_at_any_point(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    atomic_int number = 0;
    sandlock_stats stats;
    int before = count_entries("fd");

    handle(supervisor, "getppid", put_off_and_drop, &number);
    handle(supervisor, "getsid", read_and_write, NULL);
    handle(supervisor, "openat", give_or_pass, NULL);
    result = run_supervised(supervisor, CALLER("mortal", "3000"));
    CHECK(!strcmp(output(result), "survived 3000\n"));
    stats = stats_of(supervisor);
    CHECK(stats.dropped > 0 && stats.returned > 0 && stats.deferred > 0);
    CHECK(stats.received == stats.continued + stats.denied + stats.returned + stats.dropped);
    CHECK(count_entries("fd") == before);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

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
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV(program("test_supervisor"), "--inner"), 30000, &result, NULL));
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
    T(descriptor_that_cannot_be_given_fails_the_call), T(handler_can_end_the_sandbox), T(handlers_look_in_order_and_pass_on),
    T(first_answer_counts_and_none_is_a_denial), T(handlers_that_cannot_be_are_refused_and_destroyed_once),
    T(groups_stand_for_their_allowed_members), T(set_up_is_not_shown_and_the_first_exec_is),
    T(policy_that_denies_what_the_set_up_needs_can_be_supervised), T(failed_start_is_reported_as_without_a_supervisor),
    T(memory_is_read_as_far_as_it_can_be), T(decision_on_a_copy_withstands_a_flipping_thread),
    T(slow_handler_does_not_hold_up_other_threads), T(calls_of_many_threads_are_answered_each),
    T(call_is_denied_when_the_deadline_passes), T(full_pool_loses_nothing),
    T(calls_are_put_off_and_answered_in_any_order_by_any_thread), T(queue_is_served_by_a_loop_of_the_host),
    T(queue_of_a_freed_supervisor_denies), T(answers_after_death_are_stale),
    T(supervisor_can_be_freed_while_its_handlers_serve), T(sandboxes_are_freed_under_load_and_leave_nothing),
    T(waiting_for_the_program_in_its_own_handler_is_refused), T(daemons_that_call_die_with_the_program),
    T(calls_of_many_sandboxes_are_answered_each), T(callers_may_die_at_any_point),
    T(daemons_that_live_on_hold_nothing_up), T(descriptors_of_the_host_stay_its_own),
    T(exec_that_starts_the_program_is_not_queued), T(end_of_a_log_may_use_the_supervisor), T(log_is_told_of_handlers_that_fail), T(sandbox_inside_a_sandbox)};

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--inner"))
        return inner();
    return run_tests(tests, sizeof tests / sizeof *tests, argc, argv);
}
