/* What the tests of supervisors share: making one, running c-tests/caller.c under it, and the handlers that several use. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "support.h"

#include <stdatomic.h>

#define CALLER(...) ARGV(program("caller"), __VA_ARGS__)

static inline sandlock_supervisor *new_supervisor(void)
{
    sandlock_supervisor *supervisor = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    return supervisor;
}

static inline void handle(sandlock_supervisor *supervisor, const char *name, sandlock_handler_fn handler, void *data)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, name, handler, data, NULL, 0, NULL));
}

static inline sandlock_result *run_supervised(sandlock_supervisor *supervisor, const char *const *argv)
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
static inline void check_output(const char *name, sandlock_handler_fn handler, void *data, const char *const *argv,
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

static inline sandlock_stats stats_of(const sandlock_supervisor *supervisor)
{
    sandlock_stats stats = SANDLOCK_STATS_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_stats(supervisor, &stats, NULL));
    return stats;
}

/* --- handlers --- */

static inline int32_t return_number(sandlock_notification *call, void *number)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return(call, *(int64_t *)number, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static inline int32_t pass_on(sandlock_notification *call, void *count)
{
    (void)call;
    if (count)
        ++*(atomic_int *)count;
    return SANDLOCK_HANDLER_PASS;
}

static inline int32_t say_nothing(sandlock_notification *call, void *verdict)
{
    (void)call;
    return *(int32_t *)verdict;
}

static inline int32_t answer_double(sandlock_notification *call, void *count)
{
    if (count)
        ++*(atomic_int *)count;
    sandlock_notification_return(call, (int64_t)sandlock_notification_arg(call, 0) * 2 + 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static inline int only_virtual(sandlock_notification *call)
{
    char path[256];
    size_t length = 0;

    return sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length,
                                             NULL) == SANDLOCK_OK &&
           length == strlen(path) && !strcmp(path, "/virtual");
}

static inline void count_destroy(void *count)
{
    ++*(int *)count;
}

#endif
