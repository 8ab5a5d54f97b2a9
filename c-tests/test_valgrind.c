/* What valgrind can follow: the library's own memory over a few runs. Valgrind does not know the Landlock calls of newer
 * kernels, so protections are best effort here. */
#include "support.h"

static void runs_leave_no_memory_behind(void)
{
    sandlock_policy *policy = system_policy();
    int i;

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
    sandlock_policy_clear_env(policy, NULL);
    for (i = 0; i < 5; i++) {
        sandlock_result *result = run_program(policy, ARGV("/bin/echo", "hello"));
        sandlock_error *error = NULL;
        CHECK(!strcmp(output(result), "hello\n"));
        sandlock_result_free(result);
        CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_run(policy, NULL, ARGV("/nope"), -1, &result, &error));
        sandlock_error_free(error);
    }
    sandlock_policy_free(policy);
}

static void count_bytes(uint32_t stream, const uint8_t *data, size_t length, void *user_data)
{
    (void)data;
    if (stream == 1)
        *(size_t *)user_data += length;
}

static void conversations_leave_no_memory_behind(void)
{
    sandlock_policy *policy = system_policy();
    int i;

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
    for (i = 0; i < 3; i++) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        sandlock_result *result = NULL;
        size_t heard = 0;

        options.stdin_mode = SANDLOCK_STDIO_PIPE;
        options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
        options.stderr_mode = SANDLOCK_STDIO_PTY;
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("/bin/cat"), &options, &process, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_stream(process, count_bytes, &heard, NULL, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "hello", 5, -1, &result, NULL));
        CHECK(!strcmp(output(result), "hello"));
        sandlock_process_free(process);
        CHECK(heard == 5);
        sandlock_result_free(result);
    }
    sandlock_policy_free(policy);
}

TESTS(T(runs_leave_no_memory_behind), T(conversations_leave_no_memory_behind))
