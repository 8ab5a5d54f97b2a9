/* Policies: one function for each of sandlock_policy_*(). */
#include "binding.h"

static napi_value policy_value(struct args *a, sandlock_policy *policy)
{
    struct snapshot *snapshot = must_allocate(sizeof *snapshot);

    snapshot->policy = policy;
    snapshot->holds = 1;
    return box_new(a->binding, POLICY, snapshot);
}

static napi_value policy_new(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);

    return args_end(&a, SANDLOCK_OK, policy_value(&a, sandlock_policy_new()));
}

static napi_value policy_clone(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_policy *policy = arg_policy(&a, 0);

    return args_end(&a, SANDLOCK_OK, a.failed ? NULL : policy_value(&a, sandlock_policy_clone(policy)));
}

static napi_value policy_from_toml(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    size_t length;
    char *text = arg_bytes(&a, 0, &length);
    sandlock_policy *policy = NULL;
    sandlock_status status = SANDLOCK_OK;

    if (!a.failed)
        status = sandlock_policy_from_toml(text, length, &policy, &a.error);
    return args_end(&a, status, policy ? policy_value(&a, policy) : NULL);
}

static napi_value policy_to_toml(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_policy *policy = arg_policy(&a, 0);
    sandlock_text *text = NULL;
    sandlock_status status = SANDLOCK_OK;
    napi_value value = NULL;
    size_t length;

    if (!a.failed)
        status = sandlock_policy_to_toml(policy, &text, &a.error);
    if (text) {
        const char *data = sandlock_text_data(text, &length);
        napi_create_string_utf8(env, data, length, &value);
    }
    sandlock_text_free(text);
    return args_end(&a, status, value);
}

static void run_check(struct job *job)
{
    job->status = sandlock_policy_check(job->snapshot->policy, &job->error);
}

/* Opens the paths of the policy, so it is a job. */
static napi_value policy_check(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *policy = arg_box(&a, 0, POLICY);
    struct job *job = job_new(&a, run_check, NULL);

    job_hold(job, policy);
    return job_start(&a, job);
}

static napi_value policy_allow_path(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *path = arg_string(&a, 1);
    uint64_t access = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_allow_path(policy, path, access, &a.error), NULL);
}

static napi_value policy_set_syscall_default(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t mode = arg_u32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_syscall_default(policy, mode, &a.error), NULL);
}

static napi_value policy_allow_syscall(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *name = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_allow_syscall(policy, name, &a.error), NULL);
}

static napi_value policy_deny_syscall(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *name = arg_string(&a, 1);
    int32_t errno_value = arg_i32(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_deny_syscall(policy, name, errno_value, &a.error), NULL);
}

static napi_value policy_set_limit(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t limit = arg_u32(&a, 1);
    uint64_t value = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_limit(policy, limit, value, &a.error), NULL);
}

static napi_value policy_set_cgroup(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *path = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_cgroup(policy, path, &a.error), NULL);
}

static napi_value policy_set_grace(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    int32_t signal = arg_i32(&a, 1);
    uint64_t milliseconds = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_grace(policy, signal, milliseconds, &a.error), NULL);
}

static napi_value policy_set_env(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *name = arg_string(&a, 1);
    const char *value = arg_string(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_env(policy, name, value, &a.error), NULL);
}

static napi_value policy_clear_env(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_clear_env(policy, &a.error), NULL);
}

static napi_value policy_set_cwd(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *path = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_cwd(policy, path, &a.error), NULL);
}

static napi_value policy_set_umask(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t mask = arg_u32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_umask(policy, mask, &a.error), NULL);
}

static napi_value policy_set_nice(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    int32_t value = arg_i32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_nice(policy, value, &a.error), NULL);
}

static napi_value policy_set_user(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t uid = arg_u32(&a, 1);
    uint32_t gid = arg_u32(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_user(policy, uid, gid, &a.error), NULL);
}

static napi_value policy_set_namespace(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t which = arg_u32(&a, 1);
    bool on = arg_bool(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_namespace(policy, which, on, &a.error), NULL);
}

static napi_value policy_set_flag(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t flag = arg_u32(&a, 1);
    bool on = arg_bool(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_flag(policy, flag, on, &a.error), NULL);
}

static napi_value policy_set_strictness(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t feature = arg_u32(&a, 1);
    uint32_t level = arg_u32(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_strictness(policy, feature, level, &a.error), NULL);
}

static napi_value policy_set_root(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *path = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_root(policy, path, &a.error), NULL);
}

static napi_value policy_add_mount(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *source = arg_string(&a, 1);
    const char *target = arg_string(&a, 2);
    uint64_t flags = arg_u64(&a, 3);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_add_mount(policy, source, target, flags, &a.error), NULL);
}

static napi_value policy_add_memory_mount(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *target = arg_string(&a, 1);
    uint64_t size = arg_u64(&a, 2);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_add_memory_mount(policy, target, size, &a.error), NULL);
}

static napi_value policy_allow_net(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *rule = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_allow_net(policy, rule, &a.error), NULL);
}

static napi_value policy_deny_net(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *rule = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_deny_net(policy, rule, &a.error), NULL);
}

static napi_value policy_allow_bind(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *ports = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_allow_bind(policy, ports, &a.error), NULL);
}

static napi_value policy_deny_bind(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    const char *ports = arg_string(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_deny_bind(policy, ports, &a.error), NULL);
}

static napi_value policy_set_net_refresh(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    uint32_t seconds = arg_u32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_net_refresh(policy, seconds, &a.error), NULL);
}

static napi_value policy_set_cpus(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_policy *policy = arg_policy_to_change(&a, 0);
    size_t count;
    const int32_t *cpus = arg_numbers(&a, 1, &count);

    /* Negative numbers are above 1023 as unsigned ones, and so refused. */
    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_policy_set_cpus(policy, (const uint32_t *)cpus, count, &a.error),
                    NULL);
}

void add_policy(napi_env env, napi_value exports)
{
    add_function(env, exports, "policyNew", policy_new);
    add_function(env, exports, "policyClone", policy_clone);
    add_function(env, exports, "policyFromToml", policy_from_toml);
    add_function(env, exports, "policyToToml", policy_to_toml);
    add_function(env, exports, "policyCheck", policy_check);
    add_function(env, exports, "policyAllowPath", policy_allow_path);
    add_function(env, exports, "policySetSyscallDefault", policy_set_syscall_default);
    add_function(env, exports, "policyAllowSyscall", policy_allow_syscall);
    add_function(env, exports, "policyDenySyscall", policy_deny_syscall);
    add_function(env, exports, "policySetLimit", policy_set_limit);
    add_function(env, exports, "policySetCgroup", policy_set_cgroup);
    add_function(env, exports, "policySetGrace", policy_set_grace);
    add_function(env, exports, "policySetEnv", policy_set_env);
    add_function(env, exports, "policyClearEnv", policy_clear_env);
    add_function(env, exports, "policySetCwd", policy_set_cwd);
    add_function(env, exports, "policySetUmask", policy_set_umask);
    add_function(env, exports, "policySetNice", policy_set_nice);
    add_function(env, exports, "policySetUser", policy_set_user);
    add_function(env, exports, "policySetNamespace", policy_set_namespace);
    add_function(env, exports, "policySetFlag", policy_set_flag);
    add_function(env, exports, "policySetStrictness", policy_set_strictness);
    add_function(env, exports, "policySetRoot", policy_set_root);
    add_function(env, exports, "policyAddMount", policy_add_mount);
    add_function(env, exports, "policyAddMemoryMount", policy_add_memory_mount);
    add_function(env, exports, "policyAllowNet", policy_allow_net);
    add_function(env, exports, "policyDenyNet", policy_deny_net);
    add_function(env, exports, "policyAllowBind", policy_allow_bind);
    add_function(env, exports, "policyDenyBind", policy_deny_bind);
    add_function(env, exports, "policySetNetRefresh", policy_set_net_refresh);
    add_function(env, exports, "policySetCpus", policy_set_cpus);
}
