/* Calls that may block: each has a thread of its own, with all signals blocked, for as long as it takes. The threads of libuv, which
 * files and names are waited for by, are left alone. */
#include "binding.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* What a thread gets. Jobs call the library and nothing else. */
#define STACK (1 << 20)

/* How long the end of the process waits for calls that are still going on. */
#define PATIENCE 5

struct job *job_new(struct args *args, void (*run)(struct job *), napi_value (*give)(struct job *))
{
    struct job *job = must_allocate(sizeof *job);

    job->binding = args->binding;
    job->run = run;
    job->give = give;
    return job;
}

void job_hold(struct job *job, struct box *box)
{
    if (!box || box->closed)
        return;
    if (box->kind == SUPERVISOR) {
        job->supervisor = box;
    } else if (box->kind == PROCESS) {
        job->box = box;
    } else {
        job->snapshot = box->is.snapshot;
        job->snapshot->holds++;
        return;
    }
    box->jobs++;
}

static void job_free(struct job *job)
{
    if (job->box)
        box_let_go(job->box);
    if (job->supervisor)
        box_let_go(job->supervisor);
    if (job->snapshot)
        snapshot_release(job->snapshot);
    arena_free(&job->arena);
    sandlock_error_free(job->error);
    free(job);
}

static void *thread_of(void *data)
{
    struct job *job = data;
    struct binding *binding = job->binding;

    job->run(job);
    pthread_mutex_lock(&binding->mutex);
    job->done_next = binding->done;
    binding->done = job;
    /* The handle is open as long as nobody has said that the environment ends. */
    if (!binding->ending)
        uv_async_send(&binding->wake);
    pthread_mutex_unlock(&binding->mutex);
    return NULL;
}

static bool start_thread(struct job *job)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    bool started;

    if (pthread_attr_init(&attributes))
        return false;
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    started = !pthread_create(&job->thread, &attributes, thread_of, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}

static void link_job(struct job *job)
{
    struct binding *binding = job->binding;

    job->link = &binding->jobs;
    job->next = binding->jobs;
    if (job->next)
        job->next->link = &job->next;
    binding->jobs = job;
}

static void unlink_job(struct job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
}

napi_value job_start(struct args *args, struct job *job)
{
    struct binding *binding = args->binding;
    napi_value promise = NULL;

    job->arena = args->arena;
    args->arena.first = NULL;
    if (args->failed || napi_create_promise(args->env, &job->deferred, &promise) != napi_ok) {
        job_free(job);
        return NULL;
    }
    if (binding->ending || !start_thread(job)) {
        napi_value message, error;
        napi_create_string_utf8(args->env, binding->ending ? "the environment ends" : "the host is out of threads",
                                NAPI_AUTO_LENGTH, &message);
        napi_create_error(args->env, NULL, message, &error);
        napi_reject_deferred(args->env, job->deferred, error);
        job_free(job);
        return promise;
    }
    link_job(job);
    keep(binding, 1);
    return promise;
}

static void settle(struct job *job)
{
    napi_env env = job->binding->env;
    napi_handle_scope scope;
    napi_callback_scope callback;
    napi_value value, resource;

    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    napi_create_object(env, &resource);
    if (napi_open_callback_scope(env, resource, job->binding->context, &callback) == napi_ok) {
        if (job->status == SANDLOCK_OK) {
            value = job->give ? job->give(job) : undefined(env);
            napi_resolve_deferred(env, job->deferred, value ? value : undefined(env));
        } else {
            value = error_value(job->binding, job->status, job->error);
            job->error = NULL;
            napi_reject_deferred(env, job->deferred, value ? value : undefined(env));
        }
        napi_close_callback_scope(env, callback);
    }
    napi_close_handle_scope(env, scope);
}

/* The loop was woken: gives what is done. A thread that has said so is joined, which it keeps waiting for no more than a moment. */
void jobs_done(struct binding *binding)
{
    struct job *job;

    pthread_mutex_lock(&binding->mutex);
    job = binding->done;
    binding->done = NULL;
    pthread_mutex_unlock(&binding->mutex);
    while (job) {
        struct job *next = job->done_next;
        pthread_join(job->thread, NULL);
        unlink_job(job);
        keep(binding, -1);
        settle(job);
        job_free(job);
        job = next;
    }
}

/* The environment ends: waits for the threads, and drops what they have done. One that hangs, for a file system that does not
 * answer, is left to itself, with what it works with. */
void jobs_join(struct binding *binding)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while (binding->jobs) {
        struct job *job = binding->jobs;
        unlink_job(job);
        if (pthread_timedjoin_np(job->thread, NULL, &until)) {
            pthread_detach(job->thread);
            atomic_fetch_add(&binding->holds, 1);
            continue;
        }
        if (job->drop && job->status == SANDLOCK_OK)
            job->drop(job);
        job_free(job);
    }
    pthread_mutex_lock(&binding->mutex);
    binding->done = NULL;
    pthread_mutex_unlock(&binding->mutex);
}
