/* What the Go code cannot say itself: functions of Go as function pointers of C, and one face for a call, whether it is a
 * handler's (now) or was put off (later). */
#ifndef GO_BRIDGE_H
#define GO_BRIDGE_H

#include <sandlock.h>

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

/* A function of Go, by its number (callbacks.go): the user data of handlers and observers. */
typedef struct go_function {
    uintptr_t handle;
    struct go_function *next;
} go_function;

sandlock_status go_add_handler(sandlock_supervisor *supervisor, const char *syscall, go_function *function,
                               sandlock_error **error);
sandlock_status go_observe(sandlock_supervisor *supervisor, uint64_t mask, go_function *function, sandlock_error **error);

/* Has lines of the log written to `fd`, the non-blocking end of a pipe, which is closed when the library needs it no more. */
sandlock_status go_set_log(sandlock_supervisor *supervisor, int fd, sandlock_error **error);

/* The functions that the library has let go of since this was last asked, linked by `next`. */
go_function *go_take_unneeded(void);

/* A call of sandlock_spawn(), and what it gives. */
typedef struct {
    const sandlock_policy *policy;
    sandlock_supervisor *supervisor;
    char **argv;
    sandlock_spawn_options options;
    pthread_t thread;
    sandlock_status status;
    sandlock_process *process;
    sandlock_error *error;
} go_start;

void go_start_here(go_start *start);

/* Has another thread make the call, for go_start_join() to wait for; an errno if there can be none. */
int go_start_beside(go_start *start);
void go_start_join(go_start *start);

/* As numbers, since cgo looks at every pointer that it hands over. */
typedef struct {
    uintptr_t now, later;
} go_call;

static inline sandlock_notification *go_now(go_call call)
{
    return (sandlock_notification *)call.now;
}

static inline sandlock_pending *go_later(go_call call)
{
    return (sandlock_pending *)call.later;
}

static inline sandlock_status go_call_defer(go_call call, uintptr_t *later, sandlock_error **error)
{
    sandlock_pending *pending = NULL;
    sandlock_status status = sandlock_notification_defer(go_now(call), &pending, error);

    *later = (uintptr_t)pending;
    return status;
}

static inline void go_call_free(go_call call)
{
    sandlock_pending_free(go_later(call));
}

static inline int32_t go_call_syscall(go_call call)
{
    return call.later ? sandlock_pending_syscall(go_later(call)) : sandlock_notification_syscall(go_now(call));
}

static inline const char *go_call_syscall_name(go_call call)
{
    return call.later ? sandlock_pending_syscall_name(go_later(call)) : sandlock_notification_syscall_name(go_now(call));
}

static inline uint64_t go_call_arg(go_call call, uint32_t index)
{
    return call.later ? sandlock_pending_arg(go_later(call), index) : sandlock_notification_arg(go_now(call), index);
}

static inline int32_t go_call_pid(go_call call)
{
    return call.later ? sandlock_pending_pid(go_later(call)) : sandlock_notification_pid(go_now(call));
}

static inline sandlock_status go_call_read(go_call call, uint64_t address, void *buffer, size_t length, size_t *length_out,
                                           sandlock_error **error)
{
    return call.later ? sandlock_pending_read(go_later(call), address, buffer, length, length_out, error)
                      : sandlock_notification_read(go_now(call), address, buffer, length, length_out, error);
}

static inline sandlock_status go_call_read_string(go_call call, uint64_t address, void *buffer, size_t capacity,
                                                  size_t *length_out, sandlock_error **error)
{
    return call.later ? sandlock_pending_read_string(go_later(call), address, buffer, capacity, length_out, error)
                      : sandlock_notification_read_string(go_now(call), address, buffer, capacity, length_out, error);
}

static inline sandlock_status go_call_write(go_call call, uint64_t address, const void *data, size_t length,
                                            sandlock_error **error)
{
    return call.later ? sandlock_pending_write(go_later(call), address, data, length, error)
                      : sandlock_notification_write(go_now(call), address, data, length, error);
}

/* What an answer has come to. */
typedef struct {
    sandlock_status status;
    sandlock_error *error;
} go_given;

static inline go_given go_call_continue(go_call call)
{
    go_given given = {0, NULL};

    given.status = call.later ? sandlock_pending_continue(go_later(call), &given.error)
                              : sandlock_notification_continue(go_now(call), &given.error);
    return given;
}

static inline go_given go_call_deny(go_call call, int32_t errno_value)
{
    go_given given = {0, NULL};

    given.status = call.later ? sandlock_pending_deny(go_later(call), errno_value, &given.error)
                              : sandlock_notification_deny(go_now(call), errno_value, &given.error);
    return given;
}

static inline go_given go_call_return(go_call call, int64_t value)
{
    go_given given = {0, NULL};

    given.status = call.later ? sandlock_pending_return(go_later(call), value, &given.error)
                              : sandlock_notification_return(go_now(call), value, &given.error);
    return given;
}

static inline sandlock_status go_call_return_fd(go_call call, int fd, uint64_t flags, sandlock_error **error)
{
    return call.later ? sandlock_pending_return_fd(go_later(call), fd, flags, error)
                      : sandlock_notification_return_fd(go_now(call), fd, flags, error);
}

static inline sandlock_status go_call_return_fd_at(go_call call, int fd, int number, uint64_t flags, sandlock_error **error)
{
    return call.later ? sandlock_pending_return_fd_at(go_later(call), fd, number, flags, error)
                      : sandlock_notification_return_fd_at(go_now(call), fd, number, flags, error);
}

static inline sandlock_status go_call_return_bytes(go_call call, const void *data, size_t length, uint64_t flags,
                                                   sandlock_error **error)
{
    return call.later ? sandlock_pending_return_bytes(go_later(call), data, length, flags, error)
                      : sandlock_notification_return_bytes(go_now(call), data, length, flags, error);
}

static inline sandlock_status go_call_kill(go_call call, sandlock_error **error)
{
    return call.later ? sandlock_pending_kill(go_later(call), error) : sandlock_notification_kill(go_now(call), error);
}

#endif
