/* What threads of the library tell: events of observers and lines of the log. They leave it in a queue and wake the loop. */
#include "binding.h"

#include <stdlib.h>
#include <string.h>

/* So many messages wait at most. An observer waits then, and the library counts what is lost; lines of the log are dropped. */
#define MOST 4096

struct listener {
    struct binding *binding;
    uint32_t id;
};

struct message {
    struct message *next;
    uint32_t id;
    enum { EVENT, LINE, END } what;
    uint32_t level;
    char *text;
    /* Of an event: */
    uint64_t kind, time_ns;
    int32_t pid, syscall, errno_value, exit_code, signal;
    const char *syscall_name; /* static */
    bool advisory;
    char *path;
    char **arguments;
    size_t argument_count;
};

static char *copy(const char *text)
{
    size_t length;

    if (!text)
        return NULL;
    length = strlen(text) + 1;
    return memcpy(must_allocate(length), text, length);
}

static void message_free(struct message *message)
{
    size_t i;

    for (i = 0; i < message->argument_count; i++)
        free(message->arguments[i]);
    free(message->arguments);
    free(message->path);
    free(message->text);
    free(message);
}

/* Any thread. */
static void post(struct listener *listener, struct message *message)
{
    struct binding *binding = listener->binding;
    bool wait = message->what == EVENT, drop = message->what == LINE;

    message->id = listener->id;
    pthread_mutex_lock(&binding->mutex);
    while (wait && !binding->deaf && binding->messages >= MOST)
        pthread_cond_wait(&binding->room, &binding->mutex);
    if (binding->ending || (drop && binding->messages >= MOST)) {
        pthread_mutex_unlock(&binding->mutex);
        message_free(message);
        return;
    }
    *binding->last = message;
    binding->last = &message->next;
    binding->messages++;
    uv_async_send(&binding->wake);
    pthread_mutex_unlock(&binding->mutex);
}

static void observer(const sandlock_event *event, void *data)
{
    struct message *message = must_allocate(sizeof *message);
    size_t i;

    message->kind = sandlock_event_kind(event);
    message->time_ns = sandlock_event_time_ns(event);
    message->pid = sandlock_event_pid(event);
    message->syscall = sandlock_event_syscall(event);
    message->syscall_name = sandlock_event_syscall_name(event);
    message->errno_value = sandlock_event_errno(event);
    message->exit_code = sandlock_event_exit_code(event);
    message->signal = sandlock_event_signal(event);
    message->advisory = sandlock_event_advisory(event);
    message->path = copy(sandlock_event_path(event));
    message->text = copy(sandlock_event_text(event));
    message->argument_count = sandlock_event_argument_count(event);
    message->arguments = must_allocate((message->argument_count + 1) * sizeof *message->arguments);
    for (i = 0; i < message->argument_count; i++)
        message->arguments[i] = copy(sandlock_event_argument(event, i));
    post(data, message);
}

static void logged(uint32_t level, const char *text, void *data)
{
    struct message *message = must_allocate(sizeof *message);

    message->what = LINE;
    message->level = level;
    message->text = copy(text);
    post(data, message);
}

/* Any thread. Comes after everything that the listener was told, and is told itself. */
static void destroyed(void *data)
{
    struct listener *listener = data;
    struct message *message = must_allocate(sizeof *message);

    message->what = END;
    post(listener, message);
    binding_release(listener->binding);
    free(listener);
}

static napi_value message_value(napi_env env, const struct message *message)
{
    napi_value value, list;
    size_t i;

    if (message->what == END)
        return undefined(env);
    napi_create_object(env, &value);
    put_text(env, value, "text", message->text);
    if (message->what == LINE) {
        put_number(env, value, "level", message->level);
        return value;
    }
    put_number(env, value, "kind", (double)message->kind);
    put_u64(env, value, "timeNs", message->time_ns);
    put_number(env, value, "pid", message->pid);
    put_number(env, value, "syscall", message->syscall);
    put_text(env, value, "syscallName", message->syscall_name);
    put_number(env, value, "errno", message->errno_value);
    put_number(env, value, "exitCode", message->exit_code);
    put_number(env, value, "signal", message->signal);
    put_bool(env, value, "advisory", message->advisory);
    put_text(env, value, "path", message->path);
    napi_create_array(env, &list);
    for (i = 0; i < message->argument_count; i++) {
        napi_value argument;
        if (message->arguments[i] &&
            napi_create_string_utf8(env, message->arguments[i], NAPI_AUTO_LENGTH, &argument) == napi_ok)
            napi_set_element(env, list, (uint32_t)i, argument);
    }
    napi_set_named_property(env, value, "arguments", list);
    return value;
}

static struct message *all_messages(struct binding *binding)
{
    struct message *first;

    pthread_mutex_lock(&binding->mutex);
    first = binding->first;
    binding->first = NULL;
    binding->last = &binding->first;
    binding->messages = 0;
    pthread_cond_broadcast(&binding->room);
    pthread_mutex_unlock(&binding->mutex);
    return first;
}

void mail_deliver(struct binding *binding)
{
    napi_env env = binding->env;
    struct message *message = all_messages(binding), *next;

    for (; message; message = next) {
        napi_handle_scope scope;
        napi_value argument[2], function, receiver, error;
        next = message->next;
        if (napi_open_handle_scope(env, &scope) == napi_ok) {
            napi_create_uint32(env, message->id, &argument[0]);
            argument[1] = message_value(env, message);
            napi_get_reference_value(env, binding->told, &function);
            napi_get_global(env, &receiver);
            if (napi_make_callback(env, binding->context, receiver, function, 2, argument, NULL) == napi_pending_exception &&
                napi_get_and_clear_last_exception(env, &error) == napi_ok)
                napi_fatal_exception(env, error);
            napi_close_handle_scope(env, scope);
        }
        message_free(message);
    }
}

void mail_drop(struct binding *binding)
{
    struct message *message = all_messages(binding), *next;

    for (; message; message = next) {
        next = message->next;
        message_free(message);
    }
}

static struct listener *listener_new(struct binding *binding, uint32_t id)
{
    struct listener *listener = must_allocate(sizeof *listener);

    listener->binding = binding;
    listener->id = id;
    atomic_fetch_add(&binding->holds, 1);
    return listener;
}

/* observe(supervisor, mask, id): told(id, event), and in the end told(id). */
static napi_value observe(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    uint64_t mask = arg_u64(&a, 1);
    uint32_t id = arg_u32(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK
                                 : sandlock_supervisor_observe(supervisor, mask, observer, listener_new(a.binding, id),
                                                               destroyed, &a.error), NULL);
}

/* setLog(supervisor, on, id): likewise, with lines. */
static napi_value set_log(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    bool on = arg_bool(&a, 1);
    uint32_t id = arg_u32(&a, 2);
    sandlock_status status = SANDLOCK_OK;

    if (!a.failed && on)
        status = sandlock_supervisor_set_log(supervisor, logged, listener_new(a.binding, id), destroyed, &a.error);
    else if (!a.failed)
        status = sandlock_supervisor_set_log(supervisor, NULL, NULL, NULL, &a.error);
    return args_end(&a, status, NULL);
}

void add_mail(napi_env env, napi_value exports)
{
    add_function(env, exports, "observe", observe);
    add_function(env, exports, "setLog", set_log);
}
