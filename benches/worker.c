/* The worker in C, which those of the bindings are compared with: see bindings.c. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

static void give_up(sandlock_error *error)
{
    fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
    exit(1);
}

static double spawn_true(const sandlock_policy *policy, long count)
{
    static const char *const argv[] = {"/bin/true", NULL};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    double start = now_us();

    options.stdin_mode = options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_NULL;
    for (; count > 0; count--) {
        sandlock_process *process = NULL;
        sandlock_result *result = NULL;
        sandlock_error *error = NULL;

        if (sandlock_spawn(policy, NULL, argv, &options, &process, &error) ||
            sandlock_process_wait(process, -1, &result, &error) || sandlock_result_exit_code(result) != 0)
            give_up(error);
        sandlock_process_free(process);
        sandlock_result_free(result);
    }
    return (now_us() - start) * 1e3;
}

static int32_t answer(sandlock_notification *call, void *unused)
{
    (void)unused;
    sandlock_notification_return(call, 7, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static double time_handler(const sandlock_policy *policy, const char *program, const char *count)
{
    const char *const argv[] = {program, "time-getppid", count, NULL};
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    double each;

    if (sandlock_supervisor_new(NULL, &supervisor, &error) ||
        sandlock_supervisor_add_handler(supervisor, "getppid", answer, NULL, NULL, 0, &error) ||
        sandlock_run(policy, supervisor, argv, -1, &result, &error) || sandlock_result_exit_code(result) != 0)
        give_up(error);
    each = atof((const char *)sandlock_result_stdout(result, NULL));
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    return each;
}

int be_worker(const char *program)
{
    sandlock_policy *policy = make_policy();
    char line[64], count[32];

    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    sandlock_policy_clear_env(policy, NULL);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "spawn %31s", count) == 1)
            printf("%.2f\n", spawn_true(policy, atol(count)));
        else if (sscanf(line, "handler %31s", count) == 1)
            printf("%.2f\n", time_handler(policy, program, count));
        else
            return 2;
        fflush(stdout);
    }
    sandlock_policy_free(policy);
    return 0;
}
