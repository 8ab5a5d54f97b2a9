/* Calls that are answered later: put off by a handler, or taken from the queue by a loop of the host. */
#include "supervisor.h"

#include <poll.h>
#include <pthread.h>

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
    CHECK_STATUS(SANDLOCK_ERROR_STALE, sandlock_pending_continue(later.pending[0], NULL));
    sandlock_pending_free(later.pending[0]);
    sandlock_policy_free(policy);
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

/* Handlers may take their time with the exec. A start that has had its own is over, and one that was in time runs on. */
static void start_that_takes_too_long_is_over(void)
{
    static struct later later;
    sandlock_supervisor *supervisor;
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    struct footprint before;
    double start;

    options.start_timeout_ms = 300;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "0.7"), &options, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_set_grace(policy, SIGTERM, 10000, NULL); /* there is nobody yet who could be warned */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
    before = footprint();
    supervisor = new_supervisor();
    handle(supervisor, "execve", put_off, &later);
    start = seconds();
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_spawn(policy, supervisor, ARGV("true"), &options, &process, NULL));
    CHECK(seconds() - start > 0.25 && seconds() - start < 5);
    CHECK(later.count == 1);
    CHECK_STATUS(SANDLOCK_ERROR_STALE, sandlock_pending_continue(later.pending[0], NULL));
    sandlock_pending_free(later.pending[0]);
    sandlock_supervisor_free(supervisor);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

TESTS(T(calls_are_put_off_and_answered_in_any_order_by_any_thread), T(queue_is_served_by_a_loop_of_the_host),
      T(queue_of_a_freed_supervisor_denies), T(answers_after_death_are_stale),
      T(exec_that_starts_the_program_is_not_queued), T(start_that_takes_too_long_is_over))
