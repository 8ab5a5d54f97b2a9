/* Arguments from JavaScript, values to it. What is not what it should be throws a TypeError and nothing is called. */
#include "binding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t bytes[];
};

void *must_allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);

    if (!memory)
        napi_fatal_error("sandlock", NAPI_AUTO_LENGTH, "out of memory", NAPI_AUTO_LENGTH);
    return memory;
}

void *take(struct arena *arena, size_t size)
{
    struct block *block = must_allocate(sizeof *block + size);

    block->next = arena->first;
    arena->first = block;
    return block->bytes;
}

void arena_free(struct arena *arena)
{
    while (arena->first) {
        struct block *block = arena->first;
        arena->first = block->next;
        free(block);
    }
}

struct args args_begin(napi_env env, napi_callback_info info)
{
    struct args args = {.env = env, .count = sizeof args.value / sizeof *args.value};
    void *binding = NULL;

    napi_get_cb_info(env, info, &args.count, args.value, NULL, NULL);
    napi_get_instance_data(env, &binding);
    args.binding = binding;
    return args;
}

napi_value error_value(struct binding *binding, sandlock_status status, sandlock_error *error)
{
    napi_env env = binding->env;
    napi_value function, value[5], made = NULL;

    napi_create_int32(env, status, &value[0]);
    napi_create_string_utf8(env, sandlock_status_name(status), NAPI_AUTO_LENGTH, &value[1]);
    napi_create_uint32(env, sandlock_error_stage(error), &value[2]);
    napi_create_int32(env, sandlock_error_errno(error), &value[3]);
    napi_create_string_utf8(env, sandlock_error_message(error), NAPI_AUTO_LENGTH, &value[4]);
    sandlock_error_free(error);
    napi_get_reference_value(env, binding->error_of, &function);
    napi_call_function(env, undefined(env), function, 5, value, &made);
    return made;
}

napi_value args_end(struct args *args, sandlock_status status, napi_value value)
{
    arena_free(&args->arena);
    if (args->failed)
        return NULL;
    if (status == SANDLOCK_OK)
        return value ? value : undefined(args->env);
    value = error_value(args->binding, status, args->error);
    if (value)
        napi_throw(args->env, value);
    return NULL;
}

void refuse(struct args *args, const char *why)
{
    if (!args->failed)
        napi_throw_type_error(args->env, "ERR_INVALID_ARG_TYPE", why);
    args->failed = true;
}

/* The same, of a value: says what it is instead. No code of its own is run for that, as an object's would be. */
static void refuse_value(struct args *args, napi_value value, const char *why)
{
    static const char *const kinds[] = {[napi_symbol] = "a symbol", [napi_object] = "an object", [napi_function] = "a function",
                                        [napi_external] = "a handle"};
    napi_valuetype type = napi_undefined;
    const char *quote = "", *kind;
    char text[48] = "", message[160];
    napi_value shown = NULL;

    napi_typeof(args->env, value, &type);
    kind = (size_t)type < sizeof kinds / sizeof *kinds ? kinds[type] : NULL;
    if (!kind && napi_coerce_to_string(args->env, value, &shown) == napi_ok)
        napi_get_value_string_utf8(args->env, shown, text, sizeof text, NULL);
    if (type == napi_string)
        quote = "\"";
    snprintf(message, sizeof message, "%s, not %s%s%s", why, quote, kind ? kind : text, quote);
    refuse(args, message);
}

static void refuse_arg(struct args *args, size_t index, const char *why)
{
    refuse_value(args, index < args->count ? args->value[index] : undefined(args->env), why);
}

static napi_valuetype type_of(struct args *args, size_t index)
{
    napi_valuetype type = napi_undefined;

    if (index < args->count)
        napi_typeof(args->env, args->value[index], &type);
    return type;
}

bool arg_missing(struct args *args, size_t index)
{
    napi_valuetype type = type_of(args, index);

    return type == napi_undefined || type == napi_null;
}

struct box *arg_box(struct args *args, size_t index, enum kind kind)
{
    void *box = NULL;

    if (type_of(args, index) == napi_external)
        napi_get_value_external(args->env, args->value[index], &box);
    if (!box || ((struct box *)box)->kind != kind) {
        refuse(args, "this is no such handle");
        return NULL;
    }
    return box;
}

/* The object of a handle; one that was closed has none, which the library answers with INVALID_ARGUMENT. */
static void *arg_object(struct args *args, size_t index, enum kind kind)
{
    struct box *box = arg_box(args, index, kind);

    return box && !box->closed ? box->is.any : NULL;
}

const sandlock_policy *arg_policy(struct args *args, size_t index)
{
    struct snapshot *snapshot = arg_object(args, index, POLICY);

    return snapshot ? snapshot->policy : NULL;
}

sandlock_policy *arg_policy_to_change(struct args *args, size_t index)
{
    struct box *box = arg_box(args, index, POLICY);

    if (!box || args->failed)
        return NULL;
    if (box->is.snapshot->holds > 1) {
        struct snapshot *own = must_allocate(sizeof *own);
        own->holds = 1;
        own->policy = sandlock_policy_clone(box->is.snapshot->policy);
        snapshot_release(box->is.snapshot);
        box->is.snapshot = own;
    }
    return box->is.snapshot->policy;
}

sandlock_supervisor *arg_supervisor(struct args *args, size_t index)
{
    return arg_object(args, index, SUPERVISOR);
}

sandlock_process *arg_process(struct args *args, size_t index)
{
    return arg_object(args, index, PROCESS);
}

sandlock_pending *arg_call(struct args *args, size_t index)
{
    return arg_object(args, index, CALL);
}

uint64_t arg_u64(struct args *args, size_t index)
{
    uint64_t value = 0;
    double number = -1;
    bool lossless = true;

    switch (type_of(args, index)) {
    case napi_bigint:
        napi_get_value_bigint_uint64(args->env, args->value[index], &value, &lossless);
        if (lossless)
            return value;
        break;
    case napi_number:
        napi_get_value_double(args->env, args->value[index], &number);
        if (number >= 0 && number <= 9007199254740991.0 && number == (double)(uint64_t)number)
            return (uint64_t)number;
        break;
    default:
        break;
    }
    refuse_arg(args, index, "a whole number that is not negative is wanted");
    return 0;
}

int64_t arg_i64(struct args *args, size_t index)
{
    int64_t value = 0;
    double number = 0.5;
    bool lossless = true;

    switch (type_of(args, index)) {
    case napi_bigint:
        napi_get_value_bigint_int64(args->env, args->value[index], &value, &lossless);
        if (lossless)
            return value;
        break;
    case napi_number:
        napi_get_value_double(args->env, args->value[index], &number);
        if (number >= -9007199254740991.0 && number <= 9007199254740991.0 && number == (double)(int64_t)number)
            return (int64_t)number;
        break;
    default:
        break;
    }
    refuse_arg(args, index, "a whole number is wanted");
    return 0;
}

uint32_t arg_u32(struct args *args, size_t index)
{
    uint64_t value = arg_u64(args, index);

    if (value > UINT32_MAX)
        refuse_arg(args, index, "a number of 32 bits is wanted");
    return (uint32_t)value;
}

int32_t arg_i32(struct args *args, size_t index)
{
    int64_t value = arg_i64(args, index);

    if (value < INT32_MIN || value > INT32_MAX)
        refuse_arg(args, index, "a number of 32 bits is wanted");
    return (int32_t)value;
}

bool arg_bool(struct args *args, size_t index)
{
    bool value = false;

    if (type_of(args, index) != napi_boolean)
        refuse_arg(args, index, "true or false is wanted");
    else
        napi_get_value_bool(args->env, args->value[index], &value);
    return value;
}

/* What is no character becomes this one, U+FFFD, in UTF-8. */
#define REPLACEMENT "\xef\xbf\xbd"

/* Whether all surrogates of a string are in pairs. */
static bool well_formed(struct args *args, napi_value string)
{
    size_t length = 0, i;
    char16_t *units;

    napi_get_value_string_utf16(args->env, string, NULL, 0, &length);
    units = take(&args->arena, (length + 1) * sizeof *units);
    napi_get_value_string_utf16(args->env, string, units, length + 1, &length);
    for (i = 0; i < length; i++) {
        if ((units[i] & 0xf800) != 0xd800)
            continue;
        if (units[i] >= 0xdc00 || (units[i + 1] & 0xfc00) != 0xdc00)
            return false;
        i++;
    }
    return true;
}

static char *bytes_of(struct args *args, napi_value value, size_t *length)
{
    napi_valuetype type = napi_undefined;
    napi_typedarray_type of = napi_int8_array;
    bool array = false;
    void *data = NULL;
    char *bytes;

    *length = 0;
    napi_typeof(args->env, value, &type);
    if (type == napi_string) {
        napi_get_value_string_utf8(args->env, value, NULL, 0, length);
        bytes = take(&args->arena, *length + 1);
        napi_get_value_string_utf8(args->env, value, bytes, *length + 1, length);
        /* It would be another string without a word, and the rule about another file. */
        if (memmem(bytes, *length, REPLACEMENT, strlen(REPLACEMENT)) && !well_formed(args, value))
            refuse(args, "there is half of a surrogate pair in a string");
        return bytes;
    }
    napi_is_typedarray(args->env, value, &array);
    if (array)
        napi_get_typedarray_info(args->env, value, &of, length, &data, NULL, NULL);
    if (!array || (of != napi_uint8_array && of != napi_uint8_clamped_array)) {
        *length = 0;
        refuse_value(args, value, "a string or an array of bytes is wanted");
        return take(&args->arena, 1);
    }
    bytes = take(&args->arena, *length + 1);
    if (*length)
        memcpy(bytes, data, *length);
    return bytes;
}

static char *string_of(struct args *args, napi_value value)
{
    size_t length;
    char *bytes = bytes_of(args, value, &length);

    /* What comes after a NUL would be cut off without a word, and the rule be about another file. */
    if (strlen(bytes) != length)
        refuse(args, "there is a NUL in a string");
    return bytes;
}

char *arg_bytes(struct args *args, size_t index, size_t *length)
{
    *length = 0;
    if (arg_missing(args, index)) {
        refuse_arg(args, index, "a string or an array of bytes is wanted");
        return NULL;
    }
    return bytes_of(args, args->value[index], length);
}

char *arg_string(struct args *args, size_t index)
{
    if (type_of(args, index) == napi_null)
        return NULL;
    return string_of(args, index < args->count ? args->value[index] : undefined(args->env));
}

static uint32_t array_length(struct args *args, size_t index)
{
    uint32_t length = 0;
    bool array = false;

    if (index < args->count)
        napi_is_array(args->env, args->value[index], &array);
    if (!array || napi_get_array_length(args->env, args->value[index], &length) != napi_ok)
        refuse_arg(args, index, "an array is wanted");
    return array ? length : 0;
}

const char **arg_strings(struct args *args, size_t index)
{
    uint32_t length, i;
    const char **strings;

    if (type_of(args, index) == napi_null)
        return NULL;
    length = array_length(args, index);
    strings = take(&args->arena, ((size_t)length + 1) * sizeof *strings);
    for (i = 0; i < length && !args->failed; i++) {
        napi_value element;
        if (napi_get_element(args->env, args->value[index], i, &element) != napi_ok)
            args->failed = true;
        else
            strings[i] = string_of(args, element);
    }
    return strings;
}

int32_t *arg_numbers(struct args *args, size_t index, size_t *count)
{
    uint32_t length = array_length(args, index), i;
    int32_t *numbers = take(&args->arena, ((size_t)length + 1) * sizeof *numbers);

    *count = length;
    for (i = 0; i < length && !args->failed; i++) {
        struct args one = {.env = args->env, .binding = args->binding, .count = 1};
        if (napi_get_element(args->env, args->value[index], i, &one.value[0]) != napi_ok)
            one.failed = true;
        else
            numbers[i] = arg_i32(&one, 0);
        args->failed = one.failed;
    }
    return numbers;
}

napi_value undefined(napi_env env)
{
    napi_value value = NULL;

    napi_get_undefined(env, &value);
    return value;
}

void put_number(napi_env env, napi_value object, const char *name, double number)
{
    napi_value value;

    if (napi_create_double(env, number, &value) == napi_ok)
        napi_set_named_property(env, object, name, value);
}

void put_u64(napi_env env, napi_value object, const char *name, uint64_t number)
{
    napi_value value;

    if (napi_create_bigint_uint64(env, number, &value) == napi_ok)
        napi_set_named_property(env, object, name, value);
}

void put_bool(napi_env env, napi_value object, const char *name, bool flag)
{
    napi_value value;

    if (napi_get_boolean(env, flag, &value) == napi_ok)
        napi_set_named_property(env, object, name, value);
}

void put_text(napi_env env, napi_value object, const char *name, const char *text)
{
    napi_value value;

    if (text && napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok)
        napi_set_named_property(env, object, name, value);
}

void put_bytes(napi_env env, napi_value object, const char *name, const void *bytes, size_t length)
{
    napi_value value;

    if (napi_create_buffer_copy(env, length, bytes, NULL, &value) == napi_ok)
        napi_set_named_property(env, object, name, value);
}
