/* Supervisors, by their queue: no thread of the library ever calls a handler of JavaScript. */
#include "binding.h"

static napi_value supervisor_new(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = NULL;
    sandlock_status status = sandlock_supervisor_new(NULL, &supervisor, &a.error);

    return args_end(&a, status, supervisor ? box_new(a.binding, SUPERVISOR, supervisor) : NULL);
}

/* Puts the calls that are named into the queue. */
static napi_value supervisor_add(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    const char *name = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK
                                 : sandlock_supervisor_add_handler(supervisor, name, NULL, NULL, NULL, 0, &a.error), NULL);
}

/* The next call of the queue; undefined if there is none. */
static napi_value supervisor_next(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    sandlock_pending *pending = NULL;
    sandlock_status status = a.failed ? SANDLOCK_OK : sandlock_supervisor_next(supervisor, 0, &pending, &a.error);

    if (status == SANDLOCK_ERROR_TIMEOUT) {
        sandlock_error_free(a.error);
        return undefined(env);
    }
    return args_end(&a, status, pending ? box_new(a.binding, CALL, pending) : NULL);
}

static napi_value supervisor_stats(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    sandlock_status status = a.failed ? SANDLOCK_OK : sandlock_supervisor_stats(supervisor, &stats, &a.error);

    return args_end(&a, status, stats_value(env, &stats));
}

static napi_value supervisor_trace(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_supervisor *supervisor = arg_supervisor(&a, 0);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_supervisor_trace(supervisor, &a.error), NULL);
}

static napi_value supervisor_suggest(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_supervisor *supervisor = arg_supervisor(&a, 0);
    sandlock_suggestions *suggestions = NULL;
    sandlock_status status = a.failed ? SANDLOCK_OK : sandlock_trace_suggest(supervisor, &suggestions, &a.error);
    napi_value value = NULL;

    if (suggestions) {
        napi_create_object(env, &value);
        put_number(env, value, "count", (double)sandlock_suggestions_count(suggestions));
        put_text(env, value, "text", sandlock_suggestions_text(suggestions));
    }
    sandlock_suggestions_free(suggestions);
    return args_end(&a, status, value);
}

static napi_value supervisor_free(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *box = arg_box(&a, 0, SUPERVISOR);

    if (box)
        box_close(box);
    return args_end(&a, SANDLOCK_OK, NULL);
}

void add_supervisor(napi_env env, napi_value exports)
{
    add_function(env, exports, "supervisorNew", supervisor_new);
    add_function(env, exports, "supervisorAdd", supervisor_add);
    add_function(env, exports, "supervisorNext", supervisor_next);
    add_function(env, exports, "supervisorStats", supervisor_stats);
    add_function(env, exports, "supervisorTrace", supervisor_trace);
    add_function(env, exports, "supervisorSuggest", supervisor_suggest);
    add_function(env, exports, "supervisorFree", supervisor_free);
}
