/* The event loop: one epoll descriptor that it polls, which holds the descriptors of processes and supervisors, and one handle by
 * which other threads wake it. */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

void keep(struct binding *binding, int by)
{
    binding->kept += (unsigned)by;
    if (binding->ending)
        return;
    if (binding->kept)
        uv_ref((uv_handle_t *)&binding->wake);
    else
        uv_unref((uv_handle_t *)&binding->wake);
}

void binding_release(struct binding *binding)
{
    if (atomic_fetch_sub(&binding->holds, 1) > 1)
        return;
    mail_drop(binding);
    pthread_mutex_destroy(&binding->mutex);
    pthread_cond_destroy(&binding->room);
    free(binding);
}

void deafen(struct binding *binding, bool deaf)
{
    pthread_mutex_lock(&binding->mutex);
    binding->deaf = deaf || binding->ending;
    pthread_cond_broadcast(&binding->room);
    pthread_mutex_unlock(&binding->mutex);
}

/* Some descriptors are ready: lib/native.js is told which. It looks up who that is, for one may be gone by now. */
static void ready(uv_poll_t *poll, int status, int events)
{
    struct binding *binding = poll->data;
    struct epoll_event event[64];
    napi_handle_scope scope;
    napi_env env = binding->env;
    napi_value list, function, receiver, error;
    int count = epoll_wait(binding->epoll, event, 64, 0), i;

    (void)status;
    (void)events;
    if (count <= 0 || napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    napi_create_array(env, &list);
    for (i = 0; i < count; i++) {
        napi_value id;
        napi_create_uint32(env, event[i].data.u32, &id);
        napi_set_element(env, list, (uint32_t)i, id);
    }
    napi_get_reference_value(env, binding->ready, &function);
    napi_get_global(env, &receiver);
    if (napi_make_callback(env, binding->context, receiver, function, 1, &list, NULL) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
        napi_fatal_exception(env, error);
    napi_close_handle_scope(env, scope);
}

static void woken(uv_async_t *wake)
{
    struct binding *binding = wake->data;

    jobs_done(binding);
    mail_deliver(binding);
}

/* watch(handle, id): ready(id) is called while a process has ended, or a supervisor has a call. */
static napi_value watch(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    void *data = NULL;
    struct box *box;
    uint32_t id = arg_u32(&a, 1);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = id};

    if (a.failed || napi_get_value_external(env, a.value[0], &data) != napi_ok)
        return NULL;
    box = data;
    if (!box->is.any || (box->kind != PROCESS && box->kind != SUPERVISOR))
        refuse(&a, "this cannot be watched");
    if (!a.failed) {
        box->fd = box->kind == PROCESS ? sandlock_process_pidfd(box->is.process) : sandlock_supervisor_fd(box->is.supervisor);
        if (epoll_ctl(a.binding->epoll, EPOLL_CTL_ADD, box->fd, &event)) {
            napi_throw_error(env, "SANDLOCK_SYSTEM", "the host cannot watch a descriptor");
            a.failed = true;
        } else {
            box->watch = id;
        }
    }
    return args_end(&a, SANDLOCK_OK, NULL);
}

static napi_value watch_no_more(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    void *box = NULL;

    if (a.count > 0 && napi_get_value_external(env, a.value[0], &box) == napi_ok)
        unwatch(box);
    return args_end(&a, SANDLOCK_OK, NULL);
}

/* keep(1) has the loop go on, keep(-1) takes that back. */
static napi_value keep_going(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    int32_t by = arg_i32(&a, 0);

    if (!a.failed)
        keep(a.binding, by);
    return args_end(&a, SANDLOCK_OK, NULL);
}

void end_all(struct binding *binding)
{
    struct box *box;

    pthread_mutex_lock(&binding->mutex);
    binding->ending = true;
    binding->deaf = true;
    pthread_cond_broadcast(&binding->room);
    pthread_mutex_unlock(&binding->mutex);
    /* Kills first: what jobs wait for ends then. */
    for (box = binding->boxes; box; box = box->next)
        if (box->kind == PROCESS && box->is.process)
            sandlock_process_kill(box->is.process, NULL);
    jobs_join(binding);
}

/* The process exits: no sandbox outlives that, but handles stay valid for listeners of "exit" that come later. */
static napi_value end(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);

    end_all(a.binding);
    return args_end(&a, SANDLOCK_OK, NULL);
}

static void closed(uv_handle_t *handle)
{
    struct binding *binding = handle->data;
    napi_async_cleanup_hook_handle hook = binding->hook;

    if (--binding->handles)
        return;
    close(binding->epoll);
    binding_release(binding);
    napi_remove_async_cleanup_hook(hook);
}

static void clean_up(napi_async_cleanup_hook_handle handle, void *data)
{
    struct binding *binding = data;
    struct box *box;

    binding->hook = handle;
    end_all(binding);
    for (box = binding->boxes; box; box = box->next)
        if (box->kind == PROCESS)
            box_close(box);
    for (box = binding->boxes; box; box = box->next)
        if (box->kind != PROCESS)
            box_close(box);
    napi_async_destroy(binding->env, binding->context);
    uv_close((uv_handle_t *)&binding->poll, closed);
    uv_close((uv_handle_t *)&binding->wake, closed);
}

/* start(error, ready, told): once, before everything else. */
static napi_value start(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct binding *binding;
    napi_value name;
    int descriptor;

    if (a.binding || a.count < 3)
        return NULL;
    descriptor = epoll_create1(EPOLL_CLOEXEC);
    if (descriptor < 0) {
        napi_throw_error(env, "SANDLOCK_SYSTEM", "the host is out of descriptors");
        return NULL;
    }
    binding = must_allocate(sizeof *binding);
    binding->env = env;
    binding->epoll = descriptor;
    binding->holds = 1;
    binding->last = &binding->first;
    binding->handles = 2;
    pthread_mutex_init(&binding->mutex, NULL);
    pthread_cond_init(&binding->room, NULL);
    napi_create_reference(env, a.value[0], 1, &binding->error_of);
    napi_create_reference(env, a.value[1], 1, &binding->ready);
    napi_create_reference(env, a.value[2], 1, &binding->told);
    napi_create_string_utf8(env, "sandlock", NAPI_AUTO_LENGTH, &name);
    if (napi_async_init(env, NULL, name, &binding->context) != napi_ok ||
        napi_get_uv_event_loop(env, &binding->loop) != napi_ok ||
        uv_async_init(binding->loop, &binding->wake, woken) ||
        uv_poll_init(binding->loop, &binding->poll, binding->epoll) ||
        uv_poll_start(&binding->poll, UV_READABLE, ready))
        napi_fatal_error("sandlock", NAPI_AUTO_LENGTH, "the event loop takes no handle", NAPI_AUTO_LENGTH);
    binding->poll.data = binding;
    binding->wake.data = binding;
    uv_unref((uv_handle_t *)&binding->poll);
    uv_unref((uv_handle_t *)&binding->wake);
    napi_set_instance_data(env, binding, NULL, NULL);
    napi_add_async_cleanup_hook(env, clean_up, binding, NULL);
    return undefined(env);
}

void add_loop(napi_env env, napi_value exports)
{
    add_function(env, exports, "start", start);
    add_function(env, exports, "watch", watch);
    add_function(env, exports, "unwatch", watch_no_more);
    add_function(env, exports, "keep", keep_going);
    add_function(env, exports, "end", end);
}
