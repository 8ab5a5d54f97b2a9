/* The library calls handlers and observers on threads that are not confined, and those enter Go. A log and the news that a
 * function is needed no more may come from a sandbox's own thread, which is confined; were Go to start one of its threads from
 * there, that would be confined too. So these two stay in C, and Go looks for what they have left. */
#include "bridge.h"

#include "_cgo_export.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic(go_function *) unneeded;

static void let_go(void *user_data)
{
    go_function *function = user_data;

    function->next = atomic_load(&unneeded);
    while (!atomic_compare_exchange_weak(&unneeded, &function->next, function))
        ;
}

go_function *go_take_unneeded(void)
{
    return atomic_exchange(&unneeded, (go_function *)0);
}

static int32_t handle_call(sandlock_notification *call, void *user_data)
{
    return sandlockGoHandler((uintptr_t)call, ((go_function *)user_data)->handle);
}

sandlock_status go_add_handler(sandlock_supervisor *supervisor, const char *syscall, go_function *function,
                               sandlock_error **error)
{
    return sandlock_supervisor_add_handler(supervisor, syscall, function ? handle_call : (sandlock_handler_fn)0, function,
                                           function ? let_go : (sandlock_destroy_fn)0, 0, error);
}

static void tell_event(const sandlock_event *event, void *user_data)
{
    sandlockGoObserver((sandlock_event *)event, ((go_function *)user_data)->handle);
}

sandlock_status go_observe(sandlock_supervisor *supervisor, uint64_t mask, go_function *function, sandlock_error **error)
{
    return sandlock_supervisor_observe(supervisor, mask, tell_event, function, let_go, error);
}

/* A line with its level before it, in one piece (PIPE_BUF); lost if the pipe is full. */
static void write_line(uint32_t level, const char *message, void *user_data)
{
    char line[1024];
    int saved = errno, length = snprintf(line, sizeof line, "%u %s", level, message);

    if (length > 0) {
        if ((size_t)length >= sizeof line)
            length = sizeof line - 1;
        line[length] = '\n'; /* in the place of the NUL */
        if (write((int)(intptr_t)user_data, line, (size_t)length + 1) < 0)
            errno = saved;
    }
    errno = saved;
}

static void close_log(void *user_data)
{
    close((int)(intptr_t)user_data);
}

sandlock_status go_set_log(sandlock_supervisor *supervisor, int fd, sandlock_error **error)
{
    if (fd < 0)
        return sandlock_supervisor_set_log(supervisor, (sandlock_log_fn)0, (void *)0, (sandlock_destroy_fn)0, error);
    return sandlock_supervisor_set_log(supervisor, write_line, (void *)(intptr_t)fd, close_log, error);
}

void go_start_here(go_start *start)
{
    start->status = sandlock_spawn(start->policy, start->supervisor, (const char *const *)start->argv, &start->options,
                                   &start->process, &start->error);
}

static void *start_on_thread(void *start)
{
    go_start_here(start);
    return NULL;
}

/* No goroutine could do this: a program gets what the thread that starts it has of its own, as its confinement and its namespaces, and
 * that is passed on to a thread which is made by that one. */
int go_start_beside(go_start *start)
{
    return pthread_create(&start->thread, NULL, start_on_thread, start);
}

void go_start_join(go_start *start)
{
    pthread_join(start->thread, NULL);
}
