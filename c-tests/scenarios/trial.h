/* One scenario being tried: what its runs share, and the handlers that look at their calls. */
#ifndef SCENARIOS_TRIAL_H
#define SCENARIOS_TRIAL_H

#include "table.h"

#include <sandlock.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MOST_RUNS = 64, MOST_HANDLERS = 4 };

struct trial;

struct handling {
    struct trial *trial;
    const struct line *line;
};

struct later {
    struct trial *trial;
    sandlock_pending *pending;
    long value;
    bool deny;
};

struct trial {
    const struct table *table;
    const struct scenario *scenario;
    char tree[PATH_MAX];
    int port, other;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool failed, over;
    int calls;
    /* Handlers that the library has not let go of yet. */
    int held;
    sandlock_pending *waiting[MOST_RUNS];
    int waiting_count;
    pthread_t answering[MOST_RUNS];
    int answering_count;
    /* What texts were expanded to, until the end. */
    char **kept;
    int kept_count;

    sandlock_supervisor *supervisor;
    struct handling handlings[MOST_HANDLERS];
    int handling_count;
    const struct line *queued;
    pthread_t loop;
    int stop;
};

static inline void fail(struct trial *trial, int number, const char *format, ...)
{
    char text[8192];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&trial->lock);
    trial->failed = true;
    printf("# %s, run %d: ", trial->scenario->name.bytes, number);
    for (const char *at = text; *at; at++)
        *at == '\n' ? fputs("\\n", stdout) : putchar(*at);
    putchar('\n');
    pthread_mutex_unlock(&trial->lock);
}

static inline long number_of(struct text text)
{
    char *end;
    long number = strtol(text.bytes, &end, 10);

    if (!text.length || *end) {
        printf("# \"%s\" is no number\n", text.bytes);
        exit(2);
    }
    return number;
}

/* A text with {tree}, {pid}, {port}, {other} and {n}, the number of the run, as what they stand for. */
static inline struct text expand(struct trial *trial, int run, struct text text)
{
    const char *const names[] = {"{tree}", "{pid}", "{port}", "{other}", "{n}"};
    const long numbers[] = {0, getpid(), trial->port, trial->other, run};
    struct text out = {NULL, 0};
    size_t at = 0, i, size = text.length + 1;

    out.bytes = must(malloc(size));
    while (at < text.length) {
        char value[PATH_MAX] = {text.bytes[at]};
        size_t taken = 1, length = 1;
        for (i = 0; i < sizeof names / sizeof *names; i++)
            if (text.length - at >= strlen(names[i]) && !memcmp(text.bytes + at, names[i], strlen(names[i]))) {
                if (i)
                    snprintf(value, sizeof value, "%ld", numbers[i]);
                else
                    snprintf(value, sizeof value, "%s", trial->tree);
                taken = strlen(names[i]);
                length = strlen(value);
            }
        out.bytes = must(realloc(out.bytes, size += length));
        memcpy(out.bytes + out.length, value, length);
        out.length += length;
        at += taken;
    }
    out.bytes[out.length] = 0;
    pthread_mutex_lock(&trial->lock);
    trial->kept = must(realloc(trial->kept, (size_t)(trial->kept_count + 1) * sizeof *trial->kept));
    trial->kept[trial->kept_count++] = out.bytes;
    pthread_mutex_unlock(&trial->lock);
    return out;
}

static inline const struct line *only_line(const struct trial *trial, const char *key)
{
    const struct line *found = NULL;

    for (int i = 0; i < trial->scenario->count; i++)
        if (!strcmp(trial->scenario->lines[i].key, key))
            found = &trial->scenario->lines[i];
    return found;
}

static inline bool answered(struct trial *trial, sandlock_status status)
{
    if (status != SANDLOCK_OK && status != SANDLOCK_ERROR_STALE)
        fail(trial, 0, "an answer gives %s", sandlock_status_name(status));
    return status == SANDLOCK_OK;
}

/* --- answers --- */

static inline void answer_pending(struct trial *trial, sandlock_pending *pending, long value, bool deny)
{
    answered(trial, deny ? sandlock_pending_deny(pending, (int32_t)value, NULL) : sandlock_pending_return(pending, value, NULL));
    sandlock_pending_free(pending);
}

static void *answer_later(void *data)
{
    struct later *later = data;

    answer_pending(later->trial, later->pending, later->value, later->deny);
    free(later);
    return NULL;
}

static int32_t put_off(struct handling *handling, sandlock_notification *call, bool deny)
{
    struct trial *trial = handling->trial;
    struct later *later = must(malloc(sizeof *later));

    *later = (struct later){trial, NULL, number_of(handling->line->words[2]), deny};
    answered(trial, sandlock_notification_defer(call, &later->pending, NULL));
    pthread_mutex_lock(&trial->lock);
    if (pthread_create(&trial->answering[trial->answering_count++], NULL, answer_later, later))
        abort();
    pthread_mutex_unlock(&trial->lock);
    return SANDLOCK_HANDLER_DONE;
}

/* Keeps a call waiting. Gives how many wait then. */
static int keep_waiting(struct trial *trial, sandlock_notification *call)
{
    sandlock_pending *pending = NULL;
    int count;

    answered(trial, sandlock_notification_defer(call, &pending, NULL));
    pthread_mutex_lock(&trial->lock);
    trial->waiting[trial->waiting_count++] = pending;
    count = trial->waiting_count;
    pthread_mutex_unlock(&trial->lock);
    return count;
}

/* The path that an openat(2) asks for is the one that the line names. */
static bool asks_for(struct handling *handling, sandlock_notification *call)
{
    char path[PATH_MAX];
    size_t length;

    return !strcmp(sandlock_notification_syscall_name(call), "openat") &&
           !sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length, NULL) &&
           is(handling->line->words[2], path);
}

static int32_t give_bytes(struct handling *handling, sandlock_notification *call)
{
    struct text text = handling->line->words[3];

    if (!asks_for(handling, call))
        return SANDLOCK_HANDLER_PASS;
    answered(handling->trial, sandlock_notification_return_bytes(call, text.bytes, text.length, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t give_file(struct handling *handling, sandlock_notification *call)
{
    char path[2 * PATH_MAX];
    int fd;

    if (!asks_for(handling, call))
        return SANDLOCK_HANDLER_PASS;
    snprintf(path, sizeof path, "%s/%s", handling->trial->tree, handling->line->words[3].bytes);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    answered(handling->trial, sandlock_notification_return_fd(call, fd, 0, NULL));
    close(fd);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t write_to_memory(struct handling *handling, sandlock_notification *call)
{
    struct text text = handling->line->words[2];

    answered(handling->trial,
             sandlock_notification_write(call, sandlock_notification_arg(call, 0), text.bytes, text.length + 1, NULL));
    answered(handling->trial, sandlock_notification_return(call, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static int32_t gather(struct handling *handling, sandlock_notification *call)
{
    struct trial *trial = handling->trial;
    int count = keep_waiting(trial, call);

    if (count < number_of(handling->line->words[2]))
        return SANDLOCK_HANDLER_DONE;
    /* All are there: the last one first. */
    trial->waiting_count = 0;
    while (count--)
        answer_pending(trial, trial->waiting[count], number_of(handling->line->words[3]), false);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t hang(struct trial *trial)
{
    pthread_mutex_lock(&trial->lock);
    while (!trial->over)
        pthread_cond_wait(&trial->changed, &trial->lock);
    pthread_mutex_unlock(&trial->lock);
    return SANDLOCK_HANDLER_DONE;
}

static void count_call(struct trial *trial)
{
    pthread_mutex_lock(&trial->lock);
    trial->calls++;
    pthread_cond_broadcast(&trial->changed);
    pthread_mutex_unlock(&trial->lock);
}

static int32_t handle(sandlock_notification *call, void *data)
{
    struct handling *handling = data;
    struct trial *trial = handling->trial;
    struct text action = handling->line->words[1];

    count_call(trial);
    if (is(action, "pass"))
        return SANDLOCK_HANDLER_PASS;
    if (is(action, "throws"))
        return -1; /* as near as C comes to it */
    if (is(action, "silent"))
        return SANDLOCK_HANDLER_DONE;
    if (is(action, "hangs"))
        return hang(trial);
    if (is(action, "bytes"))
        return give_bytes(handling, call);
    if (is(action, "file"))
        return give_file(handling, call);
    if (is(action, "write"))
        return write_to_memory(handling, call);
    if (is(action, "gather"))
        return gather(handling, call);
    if (is(action, "later-thread") || is(action, "later-errno"))
        return put_off(handling, call, is(action, "later-errno"));
    if (is(action, "never"))
        keep_waiting(trial, call);
    else if (is(action, "value"))
        answered(trial, sandlock_notification_return(call, number_of(handling->line->words[2]), NULL));
    else if (is(action, "errno"))
        answered(trial, sandlock_notification_deny(call, (int32_t)number_of(handling->line->words[2]), NULL));
    else if (is(action, "run"))
        answered(trial, sandlock_notification_continue(call, NULL));
    else if (is(action, "kill"))
        answered(trial, sandlock_notification_kill(call, NULL));
    else
        fail(trial, 0, "no handler does \"%s\"", action.bytes);
    return SANDLOCK_HANDLER_DONE;
}

static void let_go(void *data)
{
    struct trial *trial = ((struct handling *)data)->trial;

    pthread_mutex_lock(&trial->lock);
    trial->held--;
    pthread_cond_broadcast(&trial->changed);
    pthread_mutex_unlock(&trial->lock);
}

/* A loop of the host's that answers the calls in the queue. */
static void *serve_queue(void *data)
{
    struct trial *trial = data;
    struct pollfd ready[] = {{sandlock_supervisor_fd(trial->supervisor), POLLIN, 0}, {trial->stop, POLLIN, 0}};
    sandlock_pending *pending;

    while (poll(ready, 2, -1) > 0 && !ready[1].revents)
        if (!sandlock_supervisor_next(trial->supervisor, 0, &pending, NULL)) {
            count_call(trial);
            answer_pending(trial, pending, number_of(trial->queued->words[2]), false);
        }
    return NULL;
}

/* Makes a supervisor with the handlers of the scenario, if there are any. */
static sandlock_status supervise(struct trial *trial, sandlock_error **error)
{
    const struct line *deadline = only_line(trial, "deadline");
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_status status = SANDLOCK_OK;

    if (!only_line(trial, "handler"))
        return SANDLOCK_OK;
    if (deadline)
        options.deadline_ms = (uint32_t)number_of(deadline->words[0]);
    status = sandlock_supervisor_new(&options, &trial->supervisor, error);
    for (int i = 0; i < trial->scenario->count && !status; i++) {
        const struct line *line = &trial->scenario->lines[i];
        if (strcmp(line->key, "handler"))
            continue;
        if (is(line->words[1], "later-loop")) {
            trial->queued = line;
            status = sandlock_supervisor_add_handler(trial->supervisor, line->words[0].bytes, NULL, NULL, NULL, 0, error);
            continue;
        }
        struct handling *handling = &trial->handlings[trial->handling_count++];
        *handling = (struct handling){trial, line};
        trial->held++;
        status = sandlock_supervisor_add_handler(trial->supervisor, line->words[0].bytes, handle, handling, let_go, 0, error);
    }
    if (!status && trial->queued) {
        trial->stop = eventfd(0, EFD_CLOEXEC);
        if (pthread_create(&trial->loop, NULL, serve_queue, trial))
            abort();
    }
    return status;
}

/* When all runs have ended: until nothing of the library's looks at the trial any more. */
static void end_supervision(struct trial *trial)
{
    bool served = trial->queued && trial->stop;

    pthread_mutex_lock(&trial->lock);
    trial->over = true;
    pthread_cond_broadcast(&trial->changed);
    pthread_mutex_unlock(&trial->lock);
    if (served) {
        if (eventfd_write(trial->stop, 1))
            abort();
        pthread_join(trial->loop, NULL);
        close(trial->stop);
    }
    for (int i = 0; i < trial->answering_count; i++)
        pthread_join(trial->answering[i], NULL);
    for (int i = 0; i < trial->waiting_count; i++)
        sandlock_pending_free(trial->waiting[i]);
    sandlock_supervisor_free(trial->supervisor);
    pthread_mutex_lock(&trial->lock);
    while (trial->held)
        pthread_cond_wait(&trial->changed, &trial->lock);
    pthread_mutex_unlock(&trial->lock);
}

#endif
