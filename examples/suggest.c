/* Runs a program that may use the system's programs and libraries and nothing else, and prints the policy calls that would permit what it
 * was refused. A program that is refused something may never come to what it wants next: add what is right, and run it again.
 *
 *     suggest [PROGRAM [ARGUMENT]...]
 *
 * Build: cc suggest.c $(pkg-config --cflags --libs sandlock) */
#include <sandlock.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const char *const dirs[] = {"/usr", "/bin", "/lib", "/lib64"};
    const char *const example[] = {"cat", "/etc/hostname", NULL};
    const char *const *program = argc > 1 ? (const char *const *)(argv + 1) : example;
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_supervisor *supervisor = NULL;
    sandlock_suggestions *suggestions = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int failed = 0;

    for (size_t i = 0; !failed && i < sizeof dirs / sizeof *dirs; i++)
        failed = sandlock_policy_allow_path(policy, dirs[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, &error);
    failed = failed || sandlock_supervisor_new(NULL, &supervisor, &error) ||
             sandlock_supervisor_trace(supervisor, &error) ||
             sandlock_run(policy, supervisor, program, 60000, &result, &error) ||
             sandlock_trace_suggest(supervisor, &suggestions, &error);
    if (failed)
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    else
        fputs(sandlock_suggestions_text(suggestions), stdout);
    sandlock_error_free(error);
    sandlock_suggestions_free(suggestions);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
    return failed != 0;
}
