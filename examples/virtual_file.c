/* A file that exists only inside the sandbox: a handler answers openat(2) of one path with bytes of the host.
 * Build: cc virtual_file.c $(pkg-config --cflags --libs sandlock) */
#include <sandlock.h>

#include <stdio.h>
#include <string.h>

struct file {
    const char *path, *text;
    unsigned opened;
};

/* Decides on the copy that it has read, and acts on nothing else: the program may change its memory meanwhile. Runs on threads of the
 * library, several at a time if the program has several: this one has a single thread, so a plain counter will do. */
static int32_t open_file(sandlock_notification *call, void *user_data)
{
    struct file *file = user_data;
    char path[4096];
    size_t length;

    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length, NULL) ||
        strcmp(path, file->path))
        return SANDLOCK_HANDLER_PASS;
    file->opened++;
    sandlock_notification_return_bytes(call, file->text, strlen(file->text), 0, NULL);
    return SANDLOCK_HANDLER_DONE;
}

int main(void)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    const char *const argv[] = {"cat", "/run/secrets/token", NULL};
    struct file file = {"/run/secrets/token", "only for this program\n", 0};
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int failed = 0;

    for (size_t i = 0; !failed && i < sizeof directories / sizeof *directories; i++)
        failed = sandlock_policy_allow_path(policy, directories[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, &error);
    failed = failed || sandlock_supervisor_new(NULL, &supervisor, &error) ||
             sandlock_supervisor_add_handler(supervisor, "openat", open_file, &file, NULL, 0, &error) ||
             sandlock_run(policy, supervisor, argv, 10000, &result, &error);
    sandlock_supervisor_free(supervisor); /* the sandbox has ended, so no handler runs any more */
    if (failed)
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    else
        printf("exit %d, opened %u: %s", sandlock_result_exit_code(result), file.opened,
               (const char *)sandlock_result_stdout(result, NULL));
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    return failed;
}
