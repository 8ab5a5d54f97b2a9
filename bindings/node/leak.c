/* For the leak check: how many bytes malloc(3) has given out, in the library, the addon and Node itself. */
#include <malloc.h>
#include <node_api.h>

static napi_value allocated(napi_env env, napi_callback_info info)
{
    struct mallinfo2 all;
    napi_value value;

    (void)info;
    malloc_trim(0);
    all = mallinfo2();
    napi_create_double(env, (double)(all.uordblks + all.hblkhd), &value);
    return value;
}

NAPI_MODULE_INIT()
{
    napi_value function;

    napi_create_function(env, "allocated", NAPI_AUTO_LENGTH, allocated, NULL, &function);
    napi_set_named_property(env, exports, "allocated", function);
    return exports;
}
