/* What the Go code cannot say itself: functions of Go as function pointers of C, and one face for a call, whether it is a
 * handler's (now) or was put off (later). */
#ifndef GO_BRIDGE_H
#define GO_BRIDGE_H

#include <sandlock.h>

#include <stdint.h>
#include <stdlib.h>

/* A function of Go, by its cgo.Handle: the user data of handlers and observers. */
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

typedef struct {
    sandlock_notification *now;
    sandlock_pending *later;
} go_call;

static inline int32_t go_call_syscall(go_call call)
{
    return call.later ? sandlock_pending_syscall(call.later) : sandlock_notification_syscall(call.now);
}

static inline const char *go_call_syscall_name(go_call call)
{
    return call.later ? sandlock_pending_syscall_name(call.later) : sandlock_notification_syscall_name(call.now);
}

static inline uint64_t go_call_arg(go_call call, uint32_t index)
{
    return call.later ? sandlock_pending_arg(call.later, index) : sandlock_notification_arg(call.now, index);
}

static inline int32_t go_call_pid(go_call call)
{
    return call.later ? sandlock_pending_pid(call.later) : sandlock_notification_pid(call.now);
}

static inline sandlock_status go_call_read(go_call call, uint64_t address, void *buffer, size_t length, size_t *length_out,
                                           sandlock_error **error)
{
    return call.later ? sandlock_pending_read(call.later, address, buffer, length, length_out, error)
                      : sandlock_notification_read(call.now, address, buffer, length, length_out, error);
}

static inline sandlock_status go_call_read_string(go_call call, uint64_t address, void *buffer, size_t capacity,
                                                  size_t *length_out, sandlock_error **error)
{
    return call.later ? sandlock_pending_read_string(call.later, address, buffer, capacity, length_out, error)
                      : sandlock_notification_read_string(call.now, address, buffer, capacity, length_out, error);
}

static inline sandlock_status go_call_write(go_call call, uint64_t address, const void *data, size_t length,
                                            sandlock_error **error)
{
    return call.later ? sandlock_pending_write(call.later, address, data, length, error)
                      : sandlock_notification_write(call.now, address, data, length, error);
}

static inline sandlock_status go_call_continue(go_call call, sandlock_error **error)
{
    return call.later ? sandlock_pending_continue(call.later, error) : sandlock_notification_continue(call.now, error);
}

static inline sandlock_status go_call_deny(go_call call, int32_t errno_value, sandlock_error **error)
{
    return call.later ? sandlock_pending_deny(call.later, errno_value, error)
                      : sandlock_notification_deny(call.now, errno_value, error);
}

static inline sandlock_status go_call_return(go_call call, int64_t value, sandlock_error **error)
{
    return call.later ? sandlock_pending_return(call.later, value, error)
                      : sandlock_notification_return(call.now, value, error);
}

static inline sandlock_status go_call_return_fd(go_call call, int fd, uint64_t flags, sandlock_error **error)
{
    return call.later ? sandlock_pending_return_fd(call.later, fd, flags, error)
                      : sandlock_notification_return_fd(call.now, fd, flags, error);
}

static inline sandlock_status go_call_return_fd_at(go_call call, int fd, int number, uint64_t flags, sandlock_error **error)
{
    return call.later ? sandlock_pending_return_fd_at(call.later, fd, number, flags, error)
                      : sandlock_notification_return_fd_at(call.now, fd, number, flags, error);
}

static inline sandlock_status go_call_return_bytes(go_call call, const void *data, size_t length, uint64_t flags,
                                                   sandlock_error **error)
{
    return call.later ? sandlock_pending_return_bytes(call.later, data, length, flags, error)
                      : sandlock_notification_return_bytes(call.now, data, length, flags, error);
}

static inline sandlock_status go_call_kill(go_call call, sandlock_error **error)
{
    return call.later ? sandlock_pending_kill(call.later, error) : sandlock_notification_kill(call.now, error);
}

#endif
