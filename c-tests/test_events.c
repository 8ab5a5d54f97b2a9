/* What observers are told of. */
#include "supervisor.h"

#include <pthread.h>

/* An event, kept. */
struct kept {
    uint64_t kind, time;
    int32_t pid, number, errno_value, exit_code, signal;
    bool advisory;
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
        kept->advisory = sandlock_event_advisory(event);
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
        CHECK(exec->advisory);
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
        CHECK(end->number == -1 && !strcmp(end->name, "") && !end->advisory);
    }
    CHECK(sevens == 1 && count_kind(log, SANDLOCK_EVENT_EXIT) == 3);
    /* The library may have reaped the program by then, and older kernels forget. */
    CHECK(killed == 1 || !expected("pidfd-info"));
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

static int32_t never_in_time(sandlock_notification *call, void *supervisor)
{
    while (stats_of(supervisor).overdue == 0)
        usleep(1000);
    return sandlock_notification_continue(call, NULL) == SANDLOCK_ERROR_STALE ? SANDLOCK_HANDLER_DONE : -1;
}

static void handler_that_is_late_is_told(void)
{
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    struct log *log = new_log();

    options.deadline_ms = 50;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getppid", never_in_time, supervisor);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_HANDLER_FAILED, keep, log, NULL, NULL));
    sandlock_result_free(run_supervised(supervisor, CALLER("getppid", "1")));
    sandlock_supervisor_free(supervisor);
    CHECK(log->count == 1 && log->events[0].errno_value == EPERM && log->events[0].pid > 0);
    CHECK(!strcmp(log->events[0].name, "getppid"));
    CHECK_CONTAINS(log->events[0].text, "deadline");
    free(log);
}

/* Rather than memory, events are lost, and counted. */
static void observer_that_takes_its_time(const sandlock_event *event, void *gate)
{
    (void)event;
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
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

/* What a program makes the library remember is bounded in bytes and descriptors, not only in number. */
static void slow_observer_costs_the_host_little(void)
{
    static const char script[] = "import os\n"
                                 "big = 'x' * 30000\n"
                                 "for i in range(3000):\n"
                                 "    try: os.execv('/nonexistent', ['x', big])\n"
                                 "    except OSError: pass\n"
                                 "for i in range(600):\n"
                                 "    pid = os.fork()\n"
                                 "    if pid == 0: os._exit(0)\n"
                                 "    os.waitpid(pid, 0)\n";
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    sandlock_result *result = NULL;
    long before = resident_kb();
    int descriptors = count_entries("fd");

    pthread_mutex_lock(&gate);
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_ALL & ~SANDLOCK_EVENT_MISSING,
                                                          observer_that_takes_its_time, &gate, NULL, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_run(policy, supervisor, ARGV("/usr/bin/python3", "-S", "-c", script), 30000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK(count_entries("fd") - descriptors < 10);
    if (!getenv("SANDLOCK_TEST_SANITIZER"))
        CHECK(resident_kb() - before < 64 << 10);
    CHECK(stats_of(supervisor).events_lost > 0);
    pthread_mutex_unlock(&gate);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* --- trace --- */

/* Runs a program under a trace; what is suggested is the caller's to free. */
static struct log *trace(const sandlock_policy *policy, const char *const *argv, sandlock_suggestions **suggestions,
                         sandlock_result **result)
{
    sandlock_supervisor *supervisor = new_supervisor();
    struct log *log = new_log();
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_MISSING, keep, log, NULL, NULL));
    if (sandlock_run(policy, supervisor, argv, 30000, result, &error)) {
        printf("# %s\n", sandlock_error_message(error));
        test_failures++;
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_trace_suggest(supervisor, suggestions, NULL));
    sandlock_supervisor_free(supervisor);
    return log;
}

static void trace_says_which_rule_is_missing(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_suggestions *suggestions = NULL;
    sandlock_result *result = NULL;
    const struct kept *event;
    struct log *log;

    log = trace(policy, ARGV("cat", "/etc/hostname"), &suggestions, &result);
    event = find(log, SANDLOCK_EVENT_MISSING, "/etc/hostname");
    if (CHECK(event != NULL)) {
        CHECK(!strcmp(event->text, "openat /etc/hostname for read: no path rule; "
                                   "allow_path(\"/etc/hostname\", READ) would permit it"));
        CHECK(event->errno_value == EACCES && !strcmp(event->name, "openat"));
    }
    /* The kernel has refused it all the same. */
    CHECK(sandlock_result_exit_code(result) == 1);
    CHECK_CONTAINS(errors(result), "Permission denied");
    CHECK_CONTAINS(sandlock_suggestions_text(suggestions),
                   "sandlock_policy_allow_path(policy, \"/etc/hostname\", SANDLOCK_ACCESS_READ, &error);\n");
    sandlock_suggestions_free(suggestions);
    sandlock_result_free(result);
    free(log);
    sandlock_policy_free(policy);
}

static void trace_of_a_program_that_lacks_nothing_is_empty(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_suggestions *suggestions = NULL;
    sandlock_result *result = NULL;
    struct log *log;
    size_t i;

    allow(policy, "/etc/ld.so.cache", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL);
    log = trace(policy, ARGV(program("probe"), "arguments", "x"), &suggestions, &result);
    CHECK(!strcmp(output(result), "[x]"));
    CHECK(log->count == 0 && sandlock_suggestions_count(suggestions) == 0);
    for (i = 0; i < log->count; i++)
        printf("# %s\n", log->events[i].text);
    CHECK(!strcmp(sandlock_suggestions_text(suggestions), ""));
    sandlock_suggestions_free(suggestions);
    sandlock_result_free(result);
    free(log);
    sandlock_policy_free(policy);
}

/* Whatever is refused without a trace is refused with it, and told. */
static void traced_program_is_refused_what_it_is_otherwise(void)
{
    static const struct {
        const char *program, *arguments[3], *told;
    } attacks[] = {
        {"attack_files", {"read", "%"}, "for read"},
        {"attack_files", {"write", "%"}, "for write"},
        {"attack_files", {"creat", "%new"}, "for write"},
        {"attack_files", {"openat2", "%"}, "openat2"},
        {"attack_files", {"truncate", "%"}, "truncate"},
        {"attack_files", {"remove", "%"}, "unlink"},
        {"attack_files", {"rename", "%", "%2"}, "rename"},
        {"attack_files", {"execute", "%"}, "for execute"},
        {"attack_sockets", {"udp", "9"}, "socket: refused by the filter; a rule for UDP would permit it"},
        {"attack_sockets", {"tcp-connect", "9"}, "connect tcp://127.0.0.1:9: no rule; allow_net(\"tcp://127.0.0.1:9\") would permit it"},
        {"attack_system", {"unshare-user"}, "unshare: refused by the filter"},
        {"attack_system", {"mount"}, "mount"},
        {"attack_system", {"personality"}, "personality"},
    };
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    char path[PATH_MAX + 8], other[PATH_MAX + 8];
    size_t i;
    int j;

    for (i = 0; i < sizeof attacks / sizeof *attacks; i++) {
        sandlock_suggestions *suggestions = NULL;
        sandlock_result *result = NULL;
        const char *argv[5] = {program(attacks[i].program)};
        struct log *log;

        write_text(in_tree(tree, "file"), "x");
        snprintf(other, sizeof other, "%s2", in_tree(tree, "file"));
        for (j = 0; j < 3 && attacks[i].arguments[j]; j++) {
            argv[j + 1] = attacks[i].arguments[j];
            if (argv[j + 1][0] == '%') {
                snprintf(path, sizeof path, "%s%s", in_tree(tree, "file"), argv[j + 1] + 1);
                argv[j + 1] = argv[j + 1][1] == '2' ? other : path;
                if (argv[j + 1] == other)
                    snprintf(path, sizeof path, "%s", in_tree(tree, "file"));
            }
        }
        log = trace(policy, argv, &suggestions, &result);
        if (!CHECK(sandlock_result_exit_code(result) == 1 && find(log, SANDLOCK_EVENT_MISSING, attacks[i].told))) {
            printf("# %s %s: exit %d %s\n", attacks[i].program, argv[1], sandlock_result_exit_code(result), output(result));
            for (j = 0; j < (int)log->count; j++)
                printf("#   %s\n", log->events[j].text);
        }
        sandlock_suggestions_free(suggestions);
        sandlock_result_free(result);
        free(log);
    }
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* What is suggested is what it takes: applied, the program does its work. Only what these scripts need is ever suggested. */
static void suggestions_make_a_program_run(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_suggestions *suggestions = NULL;
    sandlock_result *result = NULL;
    char script[PATH_MAX * 2], line[PATH_MAX], *end;
    const char *text, *from;
    int round, code = -1;

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    write_text(in_tree(tree, "input"), "hello\n");
    mkdir(in_tree(tree, "out"), 0777);
    snprintf(script, sizeof script, "cat %s > %s/copy && cat %s/copy", in_tree(tree, "input"), in_tree(tree, "out"),
             in_tree(tree, "out"));
    for (round = 0; round < 6 && code != 0; round++) {
        free(trace(policy, ARGV("/bin/sh", "-c", script), &suggestions, &result));
        code = sandlock_result_exit_code(result);
        if (code == 0)
            CHECK(!strcmp(output(result), "hello\n"));
        text = sandlock_suggestions_text(suggestions);
        while ((from = strstr(text, "allow_path(policy, \""))) {
            snprintf(line, sizeof line, "%s", from + 20);
            end = strchr(line, '"');
            *end = 0;
            end = strchr(end + 1, '\n');
            *end = 0;
            allow(policy, line,
                  (strstr(line + strlen(line) + 1, "READ") ? SANDLOCK_ACCESS_READ : 0) |
                      (strstr(line + strlen(line) + 1, "WRITE") ? SANDLOCK_ACCESS_WRITE : 0) |
                      (strstr(line + strlen(line) + 1, "EXECUTE") ? SANDLOCK_ACCESS_EXECUTE : 0));
            text = strchr(from, '\n');
        }
        sandlock_suggestions_free(suggestions);
        sandlock_result_free(result);
    }
    CHECK(code == 0);
    sandlock_policy_free(policy);
    remove_tree(tree);
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
    CHECK(!strcmp(sandlock_event_text(NULL), "") && !sandlock_event_advisory(NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_supervisor_trace(NULL, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_trace_suggest(supervisor, NULL, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_trace_suggest(NULL, NULL, NULL));
    CHECK(sandlock_suggestions_count(NULL) == 0 && !strcmp(sandlock_suggestions_text(NULL), ""));
    sandlock_suggestions_free(NULL);
    sandlock_supervisor_free(supervisor);
    free(log);
}

TESTS(T(programs_processes_and_their_ends_are_told_in_order), T(only_what_was_asked_for_is_told),
      T(limit_that_was_hit_is_told), T(denied_change_of_metadata_is_told), T(handler_that_fails_is_told), T(handler_that_is_late_is_told),
      T(trace_says_which_rule_is_missing), T(trace_of_a_program_that_lacks_nothing_is_empty),
      T(traced_program_is_refused_what_it_is_otherwise), T(suggestions_make_a_program_run),
      T(events_that_nobody_takes_do_not_pile_up), T(slow_observer_costs_the_host_little), T(wrong_arguments_are_refused_and_nothing_is_known_of_null))
