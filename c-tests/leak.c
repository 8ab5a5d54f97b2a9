/* Runs programs in every way that ends, and says now and then what this process holds: see scripts/leaks.awk for the lines, and for what
 * is made of them. SANDLOCK_LEAK_RUNS says how many runs. */
#include "support.h"

#include <malloc.h>
#include <pthread.h>

static sandlock_policy *policy;

static const char *const asks_for_parent[] = {"sh", "-c", "echo $PPID", NULL};

/* --- how a run went --- */

static void expect(int32_t status, int32_t found, sandlock_error **error)
{
    if (!CHECK_STATUS(status, found))
        printf("# %s\n", sandlock_error_message(*error));
    sandlock_error_free(*error);
}

static void expect_end(sandlock_result *result, uint32_t reason, const char *text)
{
    CHECK(sandlock_result_reason(result) == reason && (!text || !strcmp(output(result), text)));
    sandlock_result_free(result);
}

static sandlock_process *start(const char *const *argv, uint32_t input, uint32_t out, sandlock_supervisor *supervisor)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = input;
    options.stdout_mode = out;
    options.stderr_mode = SANDLOCK_STDIO_NULL;
    expect(SANDLOCK_OK, sandlock_spawn(policy, supervisor, argv, &options, &process, &error), &error);
    return process;
}

static void wait_for(sandlock_process *process, uint32_t reason, const char *text)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    expect(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, &error), &error);
    expect_end(result, reason, text);
    sandlock_process_free(process);
}

static void run(const char *const *argv, sandlock_supervisor *supervisor, const char *text)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    expect(SANDLOCK_OK, sandlock_run(policy, supervisor, argv, 20000, &result, &error), &error);
    expect_end(result, SANDLOCK_REASON_EXITED, text);
}

/* --- handlers, which count who still needs them --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sandlock_pending *put_off;
static int held;

static int32_t answer(sandlock_notification *call, void *number)
{
    sandlock_notification_return(call, *(int *)number, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t put_it_off(sandlock_notification *call, void *unused)
{
    sandlock_pending *pending = NULL;

    (void)unused;
    sandlock_notification_defer(call, &pending, NULL);
    pthread_mutex_lock(&mutex);
    put_off = pending;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return SANDLOCK_HANDLER_DONE;
}

static void destroy(void *number)
{
    free(number);
    pthread_mutex_lock(&mutex);
    held--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static sandlock_supervisor *supervise(sandlock_handler_fn handler)
{
    sandlock_supervisor *supervisor = NULL;
    int *number = malloc(sizeof *number);

    *number = 7;
    pthread_mutex_lock(&mutex);
    held++;
    pthread_mutex_unlock(&mutex);
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, "getppid", handler, number, destroy, 0, NULL));
    return supervisor;
}

/* --- the ways --- */

static void plain(void)
{
    run(ARGV("echo", "hello"), NULL, "hello\n");
}

static void with_handler(void)
{
    sandlock_supervisor *supervisor = supervise(answer);

    run(asks_for_parent, supervisor, "7\n");
    sandlock_supervisor_free(supervisor);
}

static void put_off_and_answered(void)
{
    sandlock_supervisor *supervisor = supervise(put_it_off);
    sandlock_process *process = start(asks_for_parent, SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_CAPTURE, supervisor);

    pthread_mutex_lock(&mutex);
    while (!put_off)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    CHECK_STATUS(SANDLOCK_OK, sandlock_pending_return(put_off, 9, NULL));
    wait_for(process, SANDLOCK_REASON_EXITED, "9\n");
    sandlock_pending_free(put_off);
    put_off = NULL;
    sandlock_supervisor_free(supervisor);
}

static void never_answered(void)
{
    sandlock_supervisor *supervisor = supervise(put_it_off);
    sandlock_process *process = start(asks_for_parent, SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_NULL, supervisor);

    pthread_mutex_lock(&mutex);
    while (!put_off)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    sandlock_supervisor_free(supervisor);
    sandlock_process_free(process);
    CHECK_STATUS(SANDLOCK_ERROR_STALE, sandlock_pending_return(put_off, 9, NULL));
    sandlock_pending_free(put_off);
    put_off = NULL;
}

static void with_pipes(void)
{
    sandlock_process *process = start(ARGV("cat"), SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_PIPE, NULL);
    int in = sandlock_process_take_stdio(process, 0), out = sandlock_process_take_stdio(process, 1);
    char text[8];

    CHECK(write(in, "hello", 5) == 5);
    close(in);
    CHECK(read(out, text, sizeof text) == 5 && read(out, text, sizeof text) == 0);
    close(out);
    wait_for(process, SANDLOCK_REASON_EXITED, "");
}

static void in_conversation(void)
{
    sandlock_process *process = start(ARGV("cat"), SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_PIPE, NULL);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_communicate(process, "hello", 5, 20000, &result, NULL));
    expect_end(result, SANDLOCK_REASON_EXITED, "hello");
    sandlock_process_free(process);
}

static void not_started(void)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    expect(SANDLOCK_ERROR_EXEC, sandlock_run(policy, NULL, ARGV("/nope"), 20000, &result, &error), &error);
}

static void refused(void)
{
    sandlock_policy *wrong = sandlock_policy_clone(policy);
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    expect(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_allow_net(wrong, "tcp://10.1.2.3/8", &error), &error);
    allow(wrong, "/nope", SANDLOCK_ACCESS_READ);
    expect(SANDLOCK_ERROR_NOT_FOUND, sandlock_run(wrong, NULL, ARGV("true"), 20000, &result, &error), &error);
    sandlock_policy_free(wrong);
}

static void killed(void)
{
    sandlock_process *process = start(ARGV("sleep", "60"), SANDLOCK_STDIO_NULL, SANDLOCK_STDIO_NULL, NULL);

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    wait_for(process, SANDLOCK_REASON_KILLED, "");
}

/* On a machine that is busy the time is up before the program is executed. */
static void timed_out(void)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int32_t status = sandlock_run(policy, NULL, ARGV("sleep", "60"), 1, &result, &error);

    if (status == SANDLOCK_ERROR_TIMEOUT) {
        CHECK_CONTAINS(sandlock_error_message(error), "the time was up before the program was executed");
        sandlock_error_free(error);
        return;
    }
    expect(SANDLOCK_OK, status, &error);
    expect_end(result, SANDLOCK_REASON_TIMEOUT, "");
}

/* Freed while it runs; its pipes are with it. */
static void forgotten(void)
{
    sandlock_supervisor *supervisor = supervise(answer);
    sandlock_process *process = start(ARGV("cat"), SANDLOCK_STDIO_PIPE, SANDLOCK_STDIO_PIPE, supervisor);
    sandlock_report *report = sandlock_process_report(process);

    sandlock_process_free(process);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    sandlock_report_free(report);
    sandlock_supervisor_free(supervisor);
}

static void (*const ways[])(void) = {plain,           with_handler, put_off_and_answered, never_answered, with_pipes,
                                     in_conversation, not_started,  refused,              killed,         timed_out,
                                     forgotten};

/* --- what is held --- */

/* Threads of the library that still run. Those of handlers end a moment after the last sandbox; their names begin alike. */
static int library_threads(void)
{
    char path[300], name[32];
    int count = 0;
    DIR *stream = opendir("/proc/self/task");
    struct dirent *entry;

    while (stream && (entry = readdir(stream))) {
        FILE *file;
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        if ((file = fopen(path, "r"))) {
            count += fgets(name, sizeof name, file) && !strncmp(name, "sandlock", 8);
            fclose(file);
        }
    }
    if (stream)
        closedir(stream);
    return count;
}

static void say_what_is_held(int runs)
{
    double start = seconds();
    struct mallinfo2 allocated;

    pthread_mutex_lock(&mutex);
    while (held)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    while (library_threads() && seconds() - start < 10)
        usleep(1000);
    malloc_trim(0);
    allocated = mallinfo2();
    /* Less "." and "..", and the descriptor to look by. */
    printf("held %d %d %d %d %ld %zu\n", runs, count_entries("fd") - 3, count_entries("task") - 2, has_children(), resident_kb(),
           allocated.uordblks + allocated.hblkhd);
    fflush(stdout);
}

int main(void)
{
    const char *wanted = getenv("SANDLOCK_LEAK_RUNS");
    int runs = wanted ? atoi(wanted) : 1000, i;

    policy = system_policy();
    sandlock_policy_clear_env(policy, NULL);
    for (i = 1; i <= runs; i++) {
        ways[(size_t)i % (sizeof ways / sizeof *ways)]();
        if (i % (runs / 5) == 0)
            say_what_is_held(i);
    }
    sandlock_policy_free(policy);
    return test_failures != 0;
}
