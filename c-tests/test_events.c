/* What observers are told of. */
#include "supervisor.h"

#include <pthread.h>

/* An event, kept. */
struct kept {
    uint64_t kind, time;
    int32_t pid, number, errno_value, exit_code, signal;
    char name[32], path[256], arguments[256], text[256];
};

struct log {
    pthread_mutex_t lock;
    struct kept events[2000];
    size_t count;
    int destroyed;
};

static void keep(const sandlock_event *event, void *data)
{
    struct log *log = data;
    struct kept *kept;
    size_t i;

    pthread_mutex_lock(&log->lock);
    if (log->count < sizeof log->events / sizeof *log->events) {
        kept = &log->events[log->count++];
        kept->kind = sandlock_event_kind(event);
        kept->time = sandlock_event_time_ns(event);
        kept->pid = sandlock_event_pid(event);
        kept->number = sandlock_event_syscall(event);
        kept->errno_value = sandlock_event_errno(event);
        kept->exit_code = sandlock_event_exit_code(event);
        kept->signal = sandlock_event_signal(event);
        snprintf(kept->name, sizeof kept->name, "%s", sandlock_event_syscall_name(event));
        snprintf(kept->path, sizeof kept->path, "%s", sandlock_event_path(event) ? sandlock_event_path(event) : "");
        snprintf(kept->text, sizeof kept->text, "%s", sandlock_event_text(event));
        for (i = 0; i < sandlock_event_argument_count(event); i++)
            snprintf(kept->arguments + strlen(kept->arguments), sizeof kept->arguments - strlen(kept->arguments), "[%s]",
                     sandlock_event_argument(event, i));
        CHECK(sandlock_event_argument(event, i) == NULL);
    }
    pthread_mutex_unlock(&log->lock);
}

static void note_destroy(void *data)
{
    ((struct log *)data)->destroyed++;
}

static struct log *new_log(void)
{
    struct log *log = calloc(1, sizeof *log);

    pthread_mutex_init(&log->lock, NULL);
    return log;
}

/* Runs a program under an observer, and waits until all is told: freeing the supervisor does. */
static struct log *observe(const sandlock_policy *policy, uint64_t mask, const char *const *argv)
{
    sandlock_supervisor *supervisor = new_supervisor();
    struct log *log = new_log();
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_observe(supervisor, mask, keep, log, note_destroy, NULL));
    if (sandlock_run(policy, supervisor, argv, 30000, &result, &error)) {
        printf("# %s\n", sandlock_error_message(error));
        test_failures++;
    }
    CHECK(log->destroyed == 0);
    CHECK(stats_of(supervisor).events_lost == 0);
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    CHECK(log->destroyed == 1);
    return log;
}

static size_t count_kind(const struct log *log, uint64_t kind)
{
    size_t i, count = 0;

    for (i = 0; i < log->count; i++)
        count += log->events[i].kind == kind;
    return count;
}

static const struct kept *find(const struct log *log, uint64_t kind, const char *text)
{
    size_t i;

    for (i = 0; i < log->count; i++)
        if (log->events[i].kind == kind &&
            (strstr(log->events[i].arguments, text) || strstr(log->events[i].text, text) || strstr(log->events[i].path, text)))
            return &log->events[i];
    return NULL;
}

static void programs_processes_and_their_ends_are_told_in_order(void)
{
    sandlock_policy *policy = system_policy();
    struct log *log = observe(policy, SANDLOCK_EVENT_EXEC | SANDLOCK_EVENT_FORK | SANDLOCK_EVENT_EXIT,
                              ARGV("/bin/sh", "-c", "/bin/echo one two; (exit 7); kill -9 $$"));
    const struct kept *exec = find(log, SANDLOCK_EVENT_EXEC, "[/bin/echo][one][two]"), *end;
    size_t i, sevens = 0, killed = 0;

    if (CHECK(exec != NULL)) {
        CHECK(!strcmp(exec->path, "/bin/echo") && !strcmp(exec->name, "execve"));
        CHECK(exec->pid > 0 && exec->time > 1600000000000000000ull && exec->errno_value == 0);
    }
    CHECK(log->count > 0 && log->events[0].kind == SANDLOCK_EVENT_EXEC);
    CHECK_CONTAINS(log->events[0].arguments, "[/bin/sh][-c]");
    CHECK(count_kind(log, SANDLOCK_EVENT_FORK) == 2);
    for (i = 0; i < log->count; i++) {
        end = &log->events[i];
        if (end->kind != SANDLOCK_EVENT_EXIT)
            continue;
        sevens += end->exit_code == 7 && end->signal == 0;
        killed += end->signal == SIGKILL && end->exit_code == -1;
        CHECK(end->number == -1 && !strcmp(end->name, ""));
    }
    CHECK(sevens == 1 && killed == 1 && count_kind(log, SANDLOCK_EVENT_EXIT) == 3);
    if (test_failures)
        for (i = 0; i < log->count; i++)
            printf("# %d %d %s %s %d %d\n", (int)log->events[i].kind, log->events[i].pid, log->events[i].name,
                   log->events[i].arguments, log->events[i].exit_code, log->events[i].signal);
    free(log);
    sandlock_policy_free(policy);
}

static void only_what_was_asked_for_is_told(void)
{
    sandlock_policy *policy = system_policy();
    struct log *log = observe(policy, SANDLOCK_EVENT_EXIT, ARGV("/bin/sh", "-c", "(exit 3); exit 4"));

    CHECK(log->count == count_kind(log, SANDLOCK_EVENT_EXIT) && log->count == 2);
    free(log);
    log = observe(policy, SANDLOCK_EVENT_LIMIT, ARGV("/bin/sh", "-c", "(exit 3); exit 4"));
    CHECK(log->count == 0);
    free(log);
    sandlock_policy_free(policy);
}

static void limit_that_was_hit_is_told(void)
{
    sandlock_policy *policy = system_policy();
    const struct kept *event;
    struct log *log;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 3, NULL));
    log = observe(policy, SANDLOCK_EVENT_LIMIT, ARGV(program("attack_forks"), "fork", "5"));
    event = find(log, SANDLOCK_EVENT_LIMIT, "PROCESSES=3");
    CHECK(event && event->errno_value == EAGAIN && log->count == 1);
    free(log);
    sandlock_policy_free(policy);
}

static void denied_change_of_metadata_is_told(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    const struct kept *event;
    struct log *log;
    char wanted[PATH_MAX];

    mkdir(in_tree(tree, "writable"), 0755);
    write_text(in_tree(tree, "file"), "x");
    allow(policy, in_tree(tree, "writable"), SANDLOCK_ACCESS_WRITE);
    snprintf(wanted, sizeof wanted, "%s", in_tree(tree, "file"));
    log = observe(policy, SANDLOCK_EVENT_DENIED, ARGV(program("attack_files"), "chmod", wanted));
    event = find(log, SANDLOCK_EVENT_DENIED, wanted);
    if (CHECK(event != NULL)) {
        CHECK(event->errno_value == EACCES && strstr(event->name, "chmod"));
        CHECK_CONTAINS(event->text, "WRITE");
    }
    free(log);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static int32_t fail(sandlock_notification *call, void *unused)
{
    (void)call;
    (void)unused;
    return -3;
}

static void handler_that_fails_is_told(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    struct log *log = new_log();

    handle(supervisor, "getppid", fail, NULL);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_HANDLER_FAILED, keep, log, NULL, NULL));
    sandlock_result_free(run_supervised(supervisor, CALLER("getppid", "2")));
    sandlock_supervisor_free(supervisor);
    CHECK(log->count == 2 && log->events[0].errno_value == EPERM && !strcmp(log->events[0].name, "getppid"));
    free(log);
}

/* Rather than memory, events are lost, and counted. */
static void observer_that_takes_its_time(const sandlock_event *event, void *gate)
{
    (void)event;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
}

static void events_that_nobody_takes_do_not_pile_up(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

    handle(supervisor, "getppid", fail, NULL);
    pthread_mutex_lock(&gate);
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_HANDLER_FAILED,
                                                          observer_that_takes_its_time, &gate, NULL, NULL));
    sandlock_result_free(run_supervised(supervisor, CALLER("getppid", "70000")));
    CHECK(stats_of(supervisor).events_lost > 0 && stats_of(supervisor).failed == 70000);
    pthread_mutex_unlock(&gate);
    sandlock_supervisor_free(supervisor);
}

static void wrong_arguments_are_refused_and_nothing_is_known_of_null(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    struct log *log = new_log();

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_supervisor_observe(supervisor, 0, keep, log, note_destroy, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_supervisor_observe(supervisor, 1ull << 40, keep, log, note_destroy, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_supervisor_observe(supervisor, 1, NULL, log, note_destroy, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_supervisor_observe(NULL, 1, keep, log, note_destroy, NULL));
    CHECK(log->destroyed == 4);
    CHECK(sandlock_event_kind(NULL) == 0 && sandlock_event_pid(NULL) == 0 && sandlock_event_time_ns(NULL) == 0);
    CHECK(sandlock_event_syscall(NULL) == -1 && !strcmp(sandlock_event_syscall_name(NULL), ""));
    CHECK(sandlock_event_errno(NULL) == 0 && sandlock_event_path(NULL) == NULL);
    CHECK(sandlock_event_argument_count(NULL) == 0 && sandlock_event_argument(NULL, 0) == NULL);
    CHECK(sandlock_event_exit_code(NULL) == -1 && sandlock_event_signal(NULL) == 0);
    CHECK(!strcmp(sandlock_event_text(NULL), ""));
    sandlock_supervisor_free(supervisor);
    free(log);
}

TESTS(T(programs_processes_and_their_ends_are_told_in_order), T(only_what_was_asked_for_is_told),
      T(limit_that_was_hit_is_told), T(denied_change_of_metadata_is_told), T(handler_that_fails_is_told),
      T(events_that_nobody_takes_do_not_pile_up), T(wrong_arguments_are_refused_and_nothing_is_known_of_null))
