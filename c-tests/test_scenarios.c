/* The scenarios that every language shares (bindings/scenarios.txt), by the C API itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "scenarios/policy.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* What became of a run: an error, or a result. */
struct outcome {
    bool failed;
    sandlock_status status;
    uint32_t stage, reason, limit;
    int errno_value, code, signal;
    struct text message, out, err;
};

struct run {
    struct trial *trial;
    int number;
    const sandlock_policy *policy;
    struct outcome outcome;
};

/* --- runs --- */

static void take_error(struct outcome *outcome, sandlock_status status, sandlock_error *error)
{
    const char *message = sandlock_error_message(error);

    outcome->failed = true;
    outcome->status = status;
    outcome->stage = sandlock_error_stage(error);
    outcome->errno_value = sandlock_error_errno(error);
    outcome->message = copy_text(message, strlen(message));
    sandlock_error_free(error);
}

static void take_result(struct outcome *outcome, sandlock_result *result)
{
    const uint8_t *bytes;
    size_t length;

    outcome->reason = sandlock_result_reason(result);
    outcome->limit = sandlock_result_limit(result);
    outcome->code = sandlock_result_exit_code(result);
    outcome->signal = sandlock_result_signal(result);
    if (!outcome->out.bytes) {
        bytes = sandlock_result_stdout(result, &length);
        outcome->out = copy_text((const char *)bytes, length);
        bytes = sandlock_result_stderr(result, &length);
        outcome->err = copy_text((const char *)bytes, length);
    }
    sandlock_result_free(result);
}

static struct text read_to_end(FILE *file)
{
    struct text all = copy_text("", 0);
    char part[4096];
    size_t count;

    while ((count = fread(part, 1, sizeof part, file)) > 0) {
        all.bytes = must(realloc(all.bytes, all.length + count + 1));
        memcpy(all.bytes + all.length, part, count);
        all.bytes[all.length += count] = 0;
    }
    fclose(file);
    return all;
}

static void *cancel(void *process)
{
    sandlock_process_kill(process, NULL);
    return NULL;
}

static void hear(struct run *run, FILE *from, struct text expected)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length = getline(&line, &size, from);

    if (length > 0 && line[length - 1] == '\n')
        line[--length] = 0;
    if (length < 0 || !is(expected, line))
        fail(run->trial, run->number, "heard \"%s\", not \"%s\"", length < 0 ? "" : line, expected.bytes);
    free(line);
}

/* Talks with the program as the steps say. Who cancels is another thread than who waits. */
static void take_steps(struct run *run, sandlock_process *process)
{
    struct trial *trial = run->trial;
    int in = sandlock_process_take_stdio(process, 0);
    FILE *out = fdopen(sandlock_process_take_stdio(process, 1), "r");
    FILE *err = fdopen(sandlock_process_take_stdio(process, 2), "r");
    pthread_t canceller;
    bool cancelled = false;

    for (int i = 0; i < trial->scenario->count; i++) {
        const struct line *line = &trial->scenario->lines[i];
        if (strcmp(line->key, "step"))
            continue;
        struct text verb = line->words[0];
        struct text text = line->count > 1 ? expand(trial, run->number, line->words[1]) : (struct text){0};
        sandlock_status status = SANDLOCK_OK;
        if (is(verb, "say"))
            status = write(in, text.bytes, text.length) == (ssize_t)text.length ? SANDLOCK_OK : SANDLOCK_ERROR_SYSTEM;
        else if (is(verb, "hear"))
            hear(run, out, text);
        else if (is(verb, "signal"))
            status = sandlock_process_signal(process, (int32_t)number_of(text), NULL);
        else if (is(verb, "net"))
            status = sandlock_process_update_net(process, (const char *const[]){text.bytes, NULL}, NULL, NULL);
        else if (is(verb, "net-none"))
            status = sandlock_process_update_net(process, (const char *const[]){NULL}, NULL, NULL);
        else if (is(verb, "net-reset"))
            status = sandlock_process_update_net(process, NULL, NULL, NULL);
        else if (is(verb, "cancel")) {
            cancelled = true;
            if (pthread_create(&canceller, NULL, cancel, process))
                abort();
        } else if (is(verb, "asked")) {
            pthread_mutex_lock(&trial->lock);
            while (!trial->calls)
                pthread_cond_wait(&trial->changed, &trial->lock);
            pthread_mutex_unlock(&trial->lock);
        } else {
            fail(trial, run->number, "no step is \"%s\"", verb.bytes);
        }
        if (status)
            fail(trial, run->number, "step %s: %s", verb.bytes, sandlock_status_name(status));
    }
    close(in);
    run->outcome.out = read_to_end(out);
    run->outcome.err = read_to_end(err);
    if (cancelled)
        pthread_join(canceller, NULL);
}

static void run_once(struct run *run)
{
    struct trial *trial = run->trial;
    const struct line *given = only_line(trial, "stdin"), *time = only_line(trial, "timeout");
    int32_t timeout = time ? (int32_t)number_of(time->words[0]) : 30000;
    const bool stepwise = only_line(trial, "step") != NULL;
    const char *argv[16];
    int argc = 0;
    struct text input = {0};
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    sandlock_status status;

    for (int i = 0; i < trial->scenario->count && argc < 15; i++)
        if (!strcmp(trial->scenario->lines[i].key, "arg"))
            argv[argc++] = expand(trial, run->number, trial->scenario->lines[i].words[0]).bytes;
    argv[argc] = NULL;
    if (given)
        input = expand(trial, run->number, given->words[0]);
    if (given || stepwise) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        options.stdin_mode = options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_PIPE;
        status = sandlock_spawn(run->policy, trial->supervisor, argv, &options, &process, &error);
        if (!status && stepwise) {
            take_steps(run, process);
            status = sandlock_process_wait(process, timeout, &result, &error);
        } else if (!status) {
            status = sandlock_process_communicate(process, input.bytes, input.length, timeout, &result, &error);
        }
        sandlock_process_free(process);
    } else {
        status = sandlock_run(run->policy, trial->supervisor, argv, timeout, &result, &error);
    }
    if (status)
        take_error(&run->outcome, status, error);
    else
        take_result(&run->outcome, result);
}

static void *run_in_thread(void *data)
{
    run_once(data);
    return NULL;
}

/* --- what is expected --- */

static bool has(struct text text, struct text part)
{
    return !part.length || (text.length && memmem(text.bytes, text.length, part.bytes, part.length));
}

static bool same(struct text a, struct text b)
{
    return a.length == b.length && (!a.length || !memcmp(a.bytes, b.bytes, a.length));
}

static struct text content(struct trial *trial, struct text name)
{
    char path[2 * PATH_MAX];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", trial->tree, name.bytes);
    file = fopen(path, "r");
    return file ? read_to_end(file) : copy_text("(no file)", 9);
}

static void check_text(struct run *run, const char *what, struct text found, struct text expected, bool holds)
{
    if (!holds)
        fail(run->trial, run->number, "%s \"%s\" was expected, and is \"%s\"", what, expected.bytes ? expected.bytes : "",
             found.bytes ? found.bytes : "");
}

static void check_word(struct run *run, const char *what, const char *found, struct text expected)
{
    check_text(run, what, (struct text){(char *)found, strlen(found)}, expected, is(expected, found));
}

static void check_number(struct run *run, const char *what, long found, struct text expected)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", found);
    check_word(run, what, text, expected);
}

static void check_one(struct run *run, const struct line *line)
{
    const struct outcome *outcome = &run->outcome;
    struct text what = line->words[0], none = {0};
    struct text text = line->count > 1 ? expand(run->trial, run->number, line->words[1]) : none;

    if (is(what, "reason"))
        check_word(run, "reason", reasons[outcome->reason], text);
    else if (is(what, "limit"))
        check_word(run, "limit", limits[outcome->limit], text);
    else if (is(what, "code"))
        check_number(run, "code", outcome->code, text);
    else if (is(what, "signal"))
        check_number(run, "signal", outcome->signal, text);
    else if (is(what, "stdout") || is(what, "no-stdout"))
        check_text(run, "stdout", outcome->out, text, same(outcome->out, text));
    else if (is(what, "stderr") || is(what, "no-stderr"))
        check_text(run, "stderr", outcome->err, text, same(outcome->err, text));
    else if (is(what, "stdout-has"))
        check_text(run, "stdout with", outcome->out, text, has(outcome->out, text));
    else if (is(what, "stderr-has"))
        check_text(run, "stderr with", outcome->err, text, has(outcome->err, text));
    else if (is(what, "stdout-lacks"))
        check_text(run, "stdout without", outcome->out, text, !has(outcome->out, text));
    else if (is(what, "error"))
        check_word(run, "error", sandlock_status_name(outcome->status), text);
    else if (is(what, "stage"))
        check_word(run, "stage", stages[outcome->stage], text);
    else if (is(what, "errno"))
        check_number(run, "errno", outcome->errno_value, text);
    else if (is(what, "message"))
        check_text(run, "message", outcome->message, text, same(outcome->message, text));
    else if (is(what, "calls"))
        check_number(run, "calls", run->trial->calls, text);
    else if (is(what, "file")) {
        struct text found = content(run->trial, line->words[1]);
        check_text(run, "file", found, line->words[2], same(found, line->words[2]));
        free(found.bytes);
    } else if (is(what, "gone")) {
        struct text found = content(run->trial, line->words[1]);
        check_word(run, "file", "(no file)", found);
        free(found.bytes);
    } else {
        fail(run->trial, run->number, "nothing expects \"%s\"", what.bytes);
    }
}

static void check(struct run *run)
{
    const struct scenario *scenario = run->trial->scenario;
    bool error_expected = false;

    for (int i = 0; i < scenario->count; i++)
        error_expected |= !strcmp(scenario->lines[i].key, "expect") && is(scenario->lines[i].words[0], "error");
    if (run->outcome.failed && !error_expected) {
        fail(run->trial, run->number, "it failed: %s", run->outcome.message.bytes);
        return;
    }
    if (!run->outcome.failed && error_expected) {
        fail(run->trial, run->number, "it did not fail, and ended with %d", run->outcome.code);
        return;
    }
    for (int i = 0; i < scenario->count; i++)
        if (!strcmp(scenario->lines[i].key, "expect"))
            check_one(run, &scenario->lines[i]);
}

/* --- trials --- */

/* A server of the host's on 127.0.0.1, at which nobody need accept: the kernel makes the connections. */
static int serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) || listen(fd, 128) ||
        getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("a server");
        exit(2);
    }
    return ntohs(address.sin_port);
}

static void make_files(struct trial *trial)
{
    const char *base = getenv("TMPDIR");

    snprintf(trial->tree, sizeof trial->tree, "%s/sandlock-scenario-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(trial->tree)) {
        perror("mkdtemp");
        exit(2);
    }
    for (int i = 0; i < trial->scenario->count; i++) {
        const struct line *line = &trial->scenario->lines[i];
        if (strcmp(line->key, "file"))
            continue;
        char path[2 * PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", trial->tree, line->words[0].bytes);
        FILE *file = fopen(path, "w");
        if (!file || fwrite(line->words[1].bytes, 1, line->words[1].length, file) != line->words[1].length || fclose(file)) {
            perror(path);
            exit(2);
        }
    }
}

static void remove_files(const struct trial *trial)
{
    char command[PATH_MAX + 32];

    snprintf(command, sizeof command, "rm -rf '%s'", trial->tree);
    if (system(command) != 0)
        printf("# cannot remove %s\n", trial->tree);
}

static bool try_scenario(const struct table *table, const struct scenario *scenario, int port, int other)
{
    struct trial trial = {.table = table, .scenario = scenario, .port = port, .other = other};
    struct run runs[MOST_RUNS] = {0};
    const struct line *concurrent;
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;
    sandlock_status status;
    int count = 1, i;

    pthread_mutex_init(&trial.lock, NULL);
    pthread_cond_init(&trial.changed, NULL);
    make_files(&trial);
    concurrent = only_line(&trial, "concurrent");
    if (concurrent)
        count = (int)number_of(concurrent->words[0]);
    status = make_policy(&trial, &policy, &error);
    if (!status)
        status = supervise(&trial, &error);
    for (i = 0; i < count; i++)
        runs[i] = (struct run){.trial = &trial, .number = i, .policy = policy};
    if (status) {
        take_error(&runs[0].outcome, status, error);
        count = 1;
    } else if (concurrent) {
        pthread_t threads[MOST_RUNS];
        for (i = 0; i < count; i++)
            if (pthread_create(&threads[i], NULL, run_in_thread, &runs[i]))
                abort();
        for (i = 0; i < count; i++)
            pthread_join(threads[i], NULL);
    } else {
        run_once(&runs[0]);
    }
    end_supervision(&trial);
    for (i = 0; i < count; i++) {
        check(&runs[i]);
        free(runs[i].outcome.out.bytes);
        free(runs[i].outcome.err.bytes);
        free(runs[i].outcome.message.bytes);
    }
    sandlock_policy_free(policy);
    remove_files(&trial);
    for (i = 0; i < trial.kept_count; i++)
        free(trial.kept[i]);
    free(trial.kept);
    return !trial.failed;
}

int main(int argc, char **argv)
{
    static struct table table; /* kept for good */
    int port = serve(), other = serve(), failed = 0;

    table = read_table();
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    for (int i = 0; i < table.count; i++) {
        const struct scenario *scenario = &table.scenarios[i];
        if (argc > 1 && !is(scenario->name, argv[1]))
            continue;
        bool good = try_scenario(&table, scenario, port, other);
        printf("%s scenario %s\n", good ? "ok" : "not ok", scenario->name.bytes);
        fflush(stdout);
        failed += !good;
    }
    return failed != 0;
}
