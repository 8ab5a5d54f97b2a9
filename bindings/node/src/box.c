/* Handles: who owns what, and when it is freed. */
#include "binding.h"

#include <stdlib.h>
#include <sys/epoll.h>

void snapshot_release(struct snapshot *snapshot)
{
    if (--snapshot->holds)
        return;
    sandlock_policy_free(snapshot->policy);
    free(snapshot);
}

void unwatch(struct box *box)
{
    if (box->watch)
        epoll_ctl(box->binding->epoll, EPOLL_CTL_DEL, box->fd, NULL);
    box->watch = 0;
}

static void free_object(struct box *box)
{
    void *object = box->is.any;

    box->is.any = NULL;
    if (!object)
        return;
    unwatch(box);
    /* A supervisor tells its observers what still waits before it goes. */
    deafen(box->binding, true);
    switch (box->kind) {
    case POLICY:
        snapshot_release(object);
        break;
    case SUPERVISOR:
        sandlock_supervisor_free(object);
        break;
    case PROCESS:
        /* Has ended, or is killed here because the environment ends: lib/process.js keeps a handle until then. */
        sandlock_process_free(object);
        break;
    case CALL:
        sandlock_pending_free(object);
        break;
    }
    deafen(box->binding, false);
}

static void settle(struct box *box)
{
    if (box->jobs)
        return;
    if (box->closed || box->collected)
        free_object(box);
    if (!box->collected)
        return;
    *box->link = box->next;
    if (box->next)
        box->next->link = box->link;
    binding_release(box->binding);
    free(box);
}

void box_let_go(struct box *box)
{
    box->jobs--;
    settle(box);
}

void box_close(struct box *box)
{
    box->closed = true;
    settle(box);
}

static void collect(napi_env env, void *data, void *hint)
{
    struct box *box = data;

    (void)env;
    (void)hint;
    box->collected = true;
    settle(box);
}

napi_value box_new(struct binding *binding, enum kind kind, void *object)
{
    struct box *box = must_allocate(sizeof *box);
    napi_value value = NULL;

    box->kind = kind;
    box->binding = binding;
    box->is.any = object;
    box->link = &binding->boxes;
    box->next = binding->boxes;
    if (box->next)
        box->next->link = &box->next;
    binding->boxes = box;
    atomic_fetch_add(&binding->holds, 1);
    if (napi_create_external(binding->env, box, collect, NULL, &value) != napi_ok) {
        box->collected = true;
        settle(box);
        return NULL;
    }
    return value;
}
