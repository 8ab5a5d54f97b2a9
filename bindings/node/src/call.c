/* A system call that was taken from the queue. None of this blocks for the program, which waits. */
#include "binding.h"

/* Most bytes that are read of a program's memory at a time: it must not choose how much the host allocates. */
#define MOST (16 << 20)

static napi_value call_info(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_pending *pending = arg_call(&a, 0);
    napi_value value, list, number;
    uint32_t i;

    napi_create_object(env, &value);
    put_number(env, value, "syscall", sandlock_pending_syscall(pending));
    put_text(env, value, "name", sandlock_pending_syscall_name(pending));
    put_number(env, value, "pid", sandlock_pending_pid(pending));
    napi_create_array_with_length(env, 6, &list);
    for (i = 0; i < 6; i++) {
        napi_create_bigint_uint64(env, sandlock_pending_arg(pending, i), &number);
        napi_set_element(env, list, i, number);
    }
    napi_set_named_property(env, value, "args", list);
    return args_end(&a, SANDLOCK_OK, value);
}

static napi_value read_bytes(napi_env env, napi_callback_info info, bool string)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    uint64_t address = arg_u64(&a, 1), most = arg_u64(&a, 2);
    sandlock_status status = SANDLOCK_OK;
    napi_value value = NULL;
    size_t length = 0;
    void *buffer;

    if (most > MOST)
        refuse(&a, "no more than 16 MiB are read at a time");
    if (a.failed)
        return args_end(&a, status, NULL);
    buffer = take(&a.arena, most + 1);
    status = string ? sandlock_pending_read_string(pending, address, buffer, most, &length, &a.error)
                    : sandlock_pending_read(pending, address, buffer, most, &length, &a.error);
    if (status == SANDLOCK_OK)
        napi_create_buffer_copy(env, length, buffer, NULL, &value);
    return args_end(&a, status, value);
}

static napi_value call_read(napi_env env, napi_callback_info info)
{
    return read_bytes(env, info, false);
}

static napi_value call_read_string(napi_env env, napi_callback_info info)
{
    return read_bytes(env, info, true);
}

static napi_value call_write(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    uint64_t address = arg_u64(&a, 1);
    size_t length;
    const char *data = arg_bytes(&a, 2, &length);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_write(pending, address, data, length, &a.error), NULL);
}

static napi_value call_continue(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_continue(pending, &a.error), NULL);
}

static napi_value call_deny(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    int32_t errno_value = arg_i32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_deny(pending, errno_value, &a.error), NULL);
}

static napi_value call_return(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    int64_t value = arg_i64(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_return(pending, value, &a.error), NULL);
}

static napi_value call_return_fd(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    int32_t fd = arg_i32(&a, 1);
    uint64_t flags = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_return_fd(pending, fd, flags, &a.error), NULL);
}

static napi_value call_return_fd_at(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    int32_t fd = arg_i32(&a, 1), number = arg_i32(&a, 2);
    uint64_t flags = arg_u64(&a, 3);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_return_fd_at(pending, fd, number, flags, &a.error), NULL);
}

static napi_value call_return_bytes(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);
    size_t length;
    const char *data = arg_bytes(&a, 1, &length);
    uint64_t flags = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_return_bytes(pending, data, length, flags, &a.error), NULL);
}

static napi_value call_kill(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_pending *pending = arg_call(&a, 0);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_pending_kill(pending, &a.error), NULL);
}

static napi_value call_free(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *box = arg_box(&a, 0, CALL);

    if (box)
        box_close(box);
    return args_end(&a, SANDLOCK_OK, NULL);
}

void add_call(napi_env env, napi_value exports)
{
    add_function(env, exports, "callInfo", call_info);
    add_function(env, exports, "callRead", call_read);
    add_function(env, exports, "callReadString", call_read_string);
    add_function(env, exports, "callWrite", call_write);
    add_function(env, exports, "callContinue", call_continue);
    add_function(env, exports, "callDeny", call_deny);
    add_function(env, exports, "callReturn", call_return);
    add_function(env, exports, "callReturnFd", call_return_fd);
    add_function(env, exports, "callReturnFdAt", call_return_fd_at);
    add_function(env, exports, "callReturnBytes", call_return_bytes);
    add_function(env, exports, "callKill", call_kill);
    add_function(env, exports, "callFree", call_free);
}
