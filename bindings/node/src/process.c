/* Starting programs, and what is done with one that runs. What may block is a job. */
#include "binding.h"

#include <fcntl.h>
#include <stdlib.h>

static void run_spawn(struct job *job)
{
    job->status = sandlock_spawn(job->snapshot->policy, job->supervisor ? job->supervisor->is.supervisor : NULL,
                                 job->of.spawn.argv, &job->of.spawn.options, &job->of.spawn.process, &job->error);
}

static napi_value give_spawn(struct job *job)
{
    return box_new(job->binding, PROCESS, job->of.spawn.process);
}

static void drop_spawn(struct job *job)
{
    sandlock_process_free(job->of.spawn.process);
}

/* spawn(policy, supervisor, argv, [modes], [descriptors], [pass, as, ...], [capture limit, rows, columns], name) */
static napi_value spawn(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *policy = arg_box(&a, 0, POLICY);
    struct box *supervisor = arg_missing(&a, 1) ? NULL : arg_box(&a, 1, SUPERVISOR);
    const char *const *argv = arg_strings(&a, 2);
    size_t modes, descriptors, passed, sizes, i;
    const int32_t *mode = arg_numbers(&a, 3, &modes), *descriptor = arg_numbers(&a, 4, &descriptors);
    const int32_t *pass = arg_numbers(&a, 5, &passed), *size = arg_numbers(&a, 6, &sizes);
    const char *name = arg_string(&a, 7);
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    int32_t *pass_fds = take(&a.arena, (passed + 1) * sizeof *pass_fds);
    int32_t *pass_fds_as = take(&a.arena, (passed + 1) * sizeof *pass_fds_as);
    struct job *job;

    if (!a.failed && (modes != 3 || descriptors != 3 || sizes != 3 || passed % 2 || size[0] < 0 || size[1] < 0 ||
                      size[1] > UINT16_MAX || size[2] < 0 || size[2] > UINT16_MAX))
        refuse(&a, "wrong options");
    if (!a.failed && supervisor && supervisor->closed)
        refuse(&a, "the supervisor is closed");
    job = job_new(&a, run_spawn, give_spawn);
    job->drop = drop_spawn;
    if (!a.failed) {
        options.stdin_mode = (uint32_t)mode[0];
        options.stdout_mode = (uint32_t)mode[1];
        options.stderr_mode = (uint32_t)mode[2];
        options.stdin_fd = descriptor[0];
        options.stdout_fd = descriptor[1];
        options.stderr_fd = descriptor[2];
        options.capture_limit = (uint64_t)size[0];
        options.pty_rows = (uint16_t)size[1];
        options.pty_columns = (uint16_t)size[2];
        for (i = 0; i < passed / 2; i++) {
            pass_fds[i] = pass[2 * i];
            pass_fds_as[i] = pass[2 * i + 1];
        }
        options.pass_fds = pass_fds;
        options.pass_fds_as = pass_fds_as;
        options.pass_fd_count = passed / 2;
        options.name = name;
        job->of.spawn.options = options;
        job->of.spawn.argv = argv;
        job_hold(job, policy);
        job_hold(job, supervisor);
    }
    return job_start(&a, job);
}

static napi_value process_pid(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_process *process = arg_process(&a, 0);
    napi_value value = NULL;

    napi_create_int32(env, sandlock_process_pid(process), &value);
    return args_end(&a, SANDLOCK_OK, value);
}

static napi_value take_stdio(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    int32_t which = arg_i32(&a, 1);
    napi_value value = NULL;

    if (!a.failed)
        napi_create_int32(env, sandlock_process_take_stdio(process, which), &value);
    return args_end(&a, SANDLOCK_OK, value);
}

static napi_value take_pty(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    napi_value value = NULL;
    int fd = a.failed ? -1 : sandlock_process_take_pty(process);

    /* To libuv a master is a descriptor that blocks, and so would the loop. */
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    napi_create_int32(env, fd, &value);
    return args_end(&a, SANDLOCK_OK, value);
}

/* What has come of a look that does not wait: undefined if the sandbox is still there. */
static napi_value outcome(struct args *a, sandlock_status status, sandlock_result *result)
{
    napi_value value = result ? result_value(a->env, result) : NULL;

    sandlock_result_free(result);
    if (status == SANDLOCK_ERROR_TIMEOUT) {
        sandlock_error_free(a->error);
        a->error = NULL;
        status = SANDLOCK_OK;
    }
    return args_end(a, status, value);
}

static napi_value process_wait(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    sandlock_result *result = NULL;
    sandlock_status status = a.failed ? SANDLOCK_OK : sandlock_process_wait(process, 0, &result, &a.error);

    return outcome(&a, status, result);
}

/* communicate(process, input): undefined until the sandbox has ended; later calls have no input. */
static napi_value process_communicate(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    size_t length = 0;
    const char *input = arg_missing(&a, 1) ? NULL : arg_bytes(&a, 1, &length);
    sandlock_result *result = NULL;
    sandlock_status status = SANDLOCK_OK;

    if (!a.failed)
        status = sandlock_process_communicate(process, input, length, 0, &result, &a.error);
    return outcome(&a, status, result);
}

/* checkInput(input): throws what communicate() would. */
static napi_value check_input(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    size_t length;

    arg_bytes(&a, 0, &length);
    return args_end(&a, SANDLOCK_OK, NULL);
}

static napi_value process_signal(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    int32_t signal = arg_i32(&a, 1);

    return args_end(&a, a.failed ? SANDLOCK_OK : sandlock_process_signal(process, signal, &a.error), NULL);
}

static napi_value process_resize(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    sandlock_process *process = arg_process(&a, 0);
    uint32_t rows = arg_u32(&a, 1), columns = arg_u32(&a, 2);

    if (rows > UINT16_MAX || columns > UINT16_MAX)
        refuse(&a, "no terminal is that large");
    return args_end(&a, a.failed ? SANDLOCK_OK
                                 : sandlock_process_resize(process, (uint16_t)rows, (uint16_t)columns, &a.error), NULL);
}

static napi_value process_report(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_process *process = arg_process(&a, 0);
    sandlock_report *report = a.failed ? NULL : sandlock_process_report(process);
    napi_value value = NULL;

    napi_create_string_utf8(env, sandlock_report_json(report), NAPI_AUTO_LENGTH, &value);
    sandlock_report_free(report);
    return args_end(&a, SANDLOCK_OK, value);
}

static napi_value process_stats(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    const sandlock_process *process = arg_process(&a, 0);
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    sandlock_status status = a.failed ? SANDLOCK_OK : sandlock_process_stats(process, &stats, &a.error);

    return args_end(&a, status, stats_value(env, &stats));
}

static napi_value process_free(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *box = arg_box(&a, 0, PROCESS);

    if (box)
        box_close(box);
    return args_end(&a, SANDLOCK_OK, NULL);
}

/* --- jobs --- */

static sandlock_process *process_of(struct job *job)
{
    return job->box ? job->box->is.process : NULL;
}

static napi_value start_job(napi_env env, napi_callback_info info, void (*run)(struct job *), napi_value (*give)(struct job *),
                            void (*drop)(struct job *))
{
    struct args a = args_begin(env, info);
    struct box *box = arg_box(&a, 0, PROCESS);
    struct job *job = job_new(&a, run, give);

    job->drop = drop;
    job_hold(job, box);
    return job_start(&a, job);
}

static void run_kill(struct job *job)
{
    job->status = sandlock_process_kill(process_of(job), &job->error);
}

static napi_value process_kill(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_kill, NULL, NULL);
}

static void run_pause(struct job *job)
{
    job->status = sandlock_process_pause(process_of(job), &job->error);
}

static napi_value process_pause(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_pause, NULL, NULL);
}

static void run_resume(struct job *job)
{
    job->status = sandlock_process_resume(process_of(job), &job->error);
}

static napi_value process_resume(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_resume, NULL, NULL);
}

/* How long a thread waits for the end of a sandbox whose program has ended, milliseconds: that is mostly a fraction of one. */
#define MOMENT 20

static void run_last_wait(struct job *job)
{
    job->status = sandlock_process_wait(process_of(job), MOMENT, &job->of.result, &job->error);
}

static void run_last_talk(struct job *job)
{
    job->status = sandlock_process_communicate(process_of(job), NULL, 0, MOMENT, &job->of.result, &job->error);
}

static napi_value give_result(struct job *job)
{
    napi_value value = result_value(job->binding->env, job->of.result);

    sandlock_result_free(job->of.result);
    return value;
}

static void drop_result(struct job *job)
{
    sandlock_result_free(job->of.result);
}

/* The program has ended: gives the result when the sandbox has. TIMEOUT if that takes longer. */
static napi_value last_wait(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_last_wait, give_result, drop_result);
}

static napi_value last_talk(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_last_talk, give_result, drop_result);
}

static void run_list(struct job *job)
{
    job->status = sandlock_process_list(process_of(job), &job->of.members, &job->error);
}

static napi_value give_list(struct job *job)
{
    napi_env env = job->binding->env;
    size_t count = sandlock_members_count(job->of.members), i;
    napi_value list, value;

    napi_create_array(env, &list);
    for (i = 0; i < count; i++) {
        sandlock_member member = SANDLOCK_MEMBER_INIT;
        if (sandlock_members_get(job->of.members, i, &member, NULL))
            continue;
        napi_create_object(env, &value);
        put_number(env, value, "pid", member.pid);
        put_number(env, value, "rssBytes", (double)member.rss_bytes);
        put_number(env, value, "cpuUs", (double)member.cpu_us);
        put_text(env, value, "name", member.name);
        napi_set_element(env, list, (uint32_t)i, value);
    }
    sandlock_members_free(job->of.members);
    return list;
}

static void drop_list(struct job *job)
{
    sandlock_members_free(job->of.members);
}

static napi_value process_list(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_list, give_list, drop_list);
}

static void run_ports(struct job *job)
{
    job->status = sandlock_process_ports(process_of(job), &job->of.ports, &job->error);
}

static napi_value give_ports(struct job *job)
{
    napi_env env = job->binding->env;
    size_t count = sandlock_ports_count(job->of.ports), i;
    napi_value list, value;

    napi_create_array(env, &list);
    for (i = 0; i < count; i++) {
        sandlock_port port = SANDLOCK_PORT_INIT;
        if (sandlock_ports_get(job->of.ports, i, &port, NULL))
            continue;
        napi_create_object(env, &value);
        put_number(env, value, "protocol", port.protocol);
        put_number(env, value, "inside", port.inside);
        put_number(env, value, "outside", port.outside);
        napi_set_element(env, list, (uint32_t)i, value);
    }
    sandlock_ports_free(job->of.ports);
    return list;
}

static void drop_ports(struct job *job)
{
    sandlock_ports_free(job->of.ports);
}

static napi_value process_ports(napi_env env, napi_callback_info info)
{
    return start_job(env, info, run_ports, give_ports, drop_ports);
}

static void run_update_net(struct job *job)
{
    job->status = sandlock_process_update_net(process_of(job), job->of.net.allow, job->of.net.deny, &job->error);
}

/* May look up names, for seconds. */
static napi_value process_update_net(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);
    struct box *box = arg_box(&a, 0, PROCESS);
    struct job *job = job_new(&a, run_update_net, NULL);

    job->of.net.allow = arg_strings(&a, 1);
    job->of.net.deny = arg_strings(&a, 2);
    job_hold(job, box);
    return job_start(&a, job);
}

static void run_probe(struct job *job)
{
    sandlock_capabilities capabilities = SANDLOCK_CAPABILITIES_INIT;

    job->status = sandlock_probe(&capabilities, &job->error);
    job->of.capabilities = capabilities;
}

static napi_value give_probe(struct job *job)
{
    napi_env env = job->binding->env;
    const sandlock_capabilities *found = &job->of.capabilities;
    napi_value value;

    napi_create_object(env, &value);
    put_number(env, value, "landlockAbi", found->landlock_abi);
    put_number(env, value, "landlockErrno", found->landlock_errno);
    put_bool(env, value, "seccompFilter", found->seccomp_filter);
    put_bool(env, value, "seccompNotify", found->seccomp_notify);
    put_bool(env, value, "closeRange", found->close_range);
    put_bool(env, value, "processLimit", found->process_limit);
    put_bool(env, value, "notifyWaitKillable", found->notify_wait_killable);
    put_bool(env, value, "notifySyncWakeUp", found->notify_sync_wake_up);
    put_bool(env, value, "notifyAddfd", found->notify_addfd);
    put_bool(env, value, "notifyAddfdSend", found->notify_addfd_send);
    put_bool(env, value, "userNamespaces", found->user_namespaces);
    put_number(env, value, "userNamespacesErrno", found->user_namespaces_errno);
    return value;
}

/* Asks the kernel by a process that ends at once. */
static napi_value probe(napi_env env, napi_callback_info info)
{
    struct args a = args_begin(env, info);

    return job_start(&a, job_new(&a, run_probe, give_probe));
}

void add_process(napi_env env, napi_value exports)
{
    add_function(env, exports, "probe", probe);
    add_function(env, exports, "spawn", spawn);
    add_function(env, exports, "processPid", process_pid);
    add_function(env, exports, "processTakeStdio", take_stdio);
    add_function(env, exports, "processTakePty", take_pty);
    add_function(env, exports, "processWait", process_wait);
    add_function(env, exports, "processCommunicate", process_communicate);
    add_function(env, exports, "checkInput", check_input);
    add_function(env, exports, "processSignal", process_signal);
    add_function(env, exports, "processResize", process_resize);
    add_function(env, exports, "processReport", process_report);
    add_function(env, exports, "processStats", process_stats);
    add_function(env, exports, "processFree", process_free);
    add_function(env, exports, "processLastWait", last_wait);
    add_function(env, exports, "processLastTalk", last_talk);
    add_function(env, exports, "processKill", process_kill);
    add_function(env, exports, "processPause", process_pause);
    add_function(env, exports, "processResume", process_resume);
    add_function(env, exports, "processList", process_list);
    add_function(env, exports, "processPorts", process_ports);
    add_function(env, exports, "processUpdateNet", process_update_net);
}
