/* A confined `cat` may read what the policy names and nothing else.
 * Build: cc quickstart.c $(pkg-config --cflags --libs sandlock) */
#include <sandlock.h>
#include <stdio.h>

/* Runs a program and says how it went. */
static int run(const sandlock_policy *policy, const char *title, const char *const *argv)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    size_t length = 0;

    if (sandlock_run(policy, NULL, argv, 5000, &result, &error)) {
        fprintf(stderr, "%s: %s\n", title, sandlock_error_message(error));
        sandlock_error_free(error);
        return 1;
    }
    sandlock_result_stdout(result, &length);
    printf("%s: exit %d, ", title, sandlock_result_exit_code(result));
    if (length)
        printf("%zu bytes\n", length);
    else
        printf("%s", (const char *)sandlock_result_stderr(result, NULL));
    sandlock_result_free(result);
    return 0;
}

int main(void)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    const char *const allowed[] = {"cat", "/usr/share/common-licenses/BSD", NULL};
    const char *const refused[] = {"cat", "/etc/passwd", NULL};
    sandlock_policy *policy = sandlock_policy_new(); /* allows nothing */
    sandlock_error *error = NULL;
    int failed = 0;

    for (size_t i = 0; !failed && i < sizeof directories / sizeof *directories; i++)
        failed = sandlock_policy_allow_path(policy, directories[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, &error);
    if (failed)
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    else
        failed = run(policy, "allowed", allowed) | run(policy, "refused", refused);
    sandlock_error_free(error);
    sandlock_policy_free(policy);
    return failed != 0;
}
