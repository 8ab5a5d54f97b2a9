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

TESTS(T(runs_leave_no_memory_behind))
