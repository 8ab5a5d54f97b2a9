/* The addon between node_api.h and sandlock.h. One struct binding for each environment of Node (the main thread, each worker
 * thread); everything here runs on the environment's thread, but for what says otherwise. */
#ifndef BINDING_H
#define BINDING_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <node_api.h>
#include <sandlock.h>
#include <uv.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* --- memory that goes with a call (value.c) --- */

/* Blocks that are freed together. */
struct arena {
    struct block *first;
};

void *take(struct arena *arena, size_t size);
void arena_free(struct arena *arena);
/* Ends the process when memory runs out, as the library does. */
void *must_allocate(size_t size);

/* --- handles (box.c) --- */

enum kind { POLICY = 1, SUPERVISOR, PROCESS, CALL };

/* A policy as it is now, for the handle and for every job that reads it. Who changes a policy that a job reads copies it first. */
struct snapshot {
    sandlock_policy *policy;
    unsigned holds;
};

/* What a handle of JavaScript stands for. The object is freed when the handle was closed or collected and no job works with it, and
 * the box when it was collected. */
struct box {
    enum kind kind;
    bool closed, collected;
    unsigned jobs;
    uint32_t watch; /* what the watch is called, 0: none */
    int fd;         /* what is watched */
    struct binding *binding;
    struct box *next, **link;
    union {
        struct snapshot *snapshot;
        sandlock_supervisor *supervisor;
        sandlock_process *process;
        sandlock_pending *pending;
        void *any;
    } is;
};

napi_value box_new(struct binding *binding, enum kind kind, void *object);
void box_let_go(struct box *box);
void box_close(struct box *box);
void snapshot_release(struct snapshot *snapshot);
void unwatch(struct box *box);

/* --- the environment (loop.c) --- */

struct job;
struct message;

struct binding {
    napi_env env;
    uv_loop_t *loop;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
    napi_ref error_of, ready, told; /* functions of lib/native.js */
    int epoll;                      /* holds what is watched, and is watched itself by the loop */
    uv_poll_t poll;
    uv_async_t wake;
    unsigned handles; /* of the loop, that are open */
    unsigned kept;    /* reasons for the loop to go on */
    bool ending;
    struct box *boxes;
    struct job *jobs;
    atomic_uint holds; /* the environment, boxes, listeners */
    pthread_mutex_t mutex;
    pthread_cond_t room;
    /* Beneath the mutex, for any thread: */
    bool deaf; /* nobody takes messages or jobs any more, or the loop is in a call that waits for who sends them */
    struct job *done;
    struct message *first, **last;
    size_t messages;
};

void keep(struct binding *binding, int by);
void binding_release(struct binding *binding);
void end_all(struct binding *binding);
/* While the loop is in a call that waits for an observer's thread, that must not wait for the loop. */
void deafen(struct binding *binding, bool deaf);

/* --- arguments and values (value.c) --- */

struct args {
    napi_env env;
    struct binding *binding;
    napi_value value[8];
    size_t count;
    bool failed; /* an exception is pending */
    sandlock_error *error;
    struct arena arena;
};

struct args args_begin(napi_env env, napi_callback_info info);
napi_value args_end(struct args *args, sandlock_status status, napi_value value);
/* What could not be done, as a value; frees the error. */
napi_value error_value(struct binding *binding, sandlock_status status, sandlock_error *error);
void refuse(struct args *args, const char *why);

bool arg_missing(struct args *args, size_t index);
struct box *arg_box(struct args *args, size_t index, enum kind kind);
const sandlock_policy *arg_policy(struct args *args, size_t index);
sandlock_policy *arg_policy_to_change(struct args *args, size_t index);
sandlock_supervisor *arg_supervisor(struct args *args, size_t index);
sandlock_process *arg_process(struct args *args, size_t index);
sandlock_pending *arg_call(struct args *args, size_t index);
uint64_t arg_u64(struct args *args, size_t index);
int64_t arg_i64(struct args *args, size_t index);
uint32_t arg_u32(struct args *args, size_t index);
int32_t arg_i32(struct args *args, size_t index);
bool arg_bool(struct args *args, size_t index);
/* Bytes of a string or of an array of bytes, with a NUL behind them. */
char *arg_bytes(struct args *args, size_t index, size_t *length);
/* Likewise, without a NUL among them; NULL for null, while undefined is most likely a mistake and refused. */
char *arg_string(struct args *args, size_t index);
/* Strings, and NULL at the end; NULL likewise. */
const char **arg_strings(struct args *args, size_t index);
int32_t *arg_numbers(struct args *args, size_t index, size_t *count);

napi_value undefined(napi_env env);
void put_number(napi_env env, napi_value object, const char *name, double number);
void put_u64(napi_env env, napi_value object, const char *name, uint64_t number);
void put_bool(napi_env env, napi_value object, const char *name, bool value);
/* Bytes that need not be UTF-8: what is not becomes U+FFFD, as everywhere in Node. */
void put_text(napi_env env, napi_value object, const char *name, const char *text);
void put_bytes(napi_env env, napi_value object, const char *name, const void *bytes, size_t length);

/* --- jobs: calls that may block, each on a thread of its own (job.c) --- */

struct job {
    struct binding *binding;
    void (*run)(struct job *);          /* on its thread */
    napi_value (*give)(struct job *);   /* what the promise gives */
    void (*drop)(struct job *);         /* frees what nobody was given; may be NULL */
    struct box *box, *supervisor;
    struct snapshot *snapshot;
    sandlock_status status;
    sandlock_error *error;
    struct arena arena;
    union {
        struct {
            sandlock_spawn_options options;
            const char *const *argv;
            sandlock_process *process;
        } spawn;
        struct {
            const char *const *allow, *const *deny;
        } net;
        sandlock_result *result;
        sandlock_members *members;
        sandlock_ports *ports;
        sandlock_capabilities capabilities;
    } of;
    /* job.c's own */
    napi_deferred deferred;
    pthread_t thread;
    bool started;
    struct job *next, **link, *done_next;
};

struct job *job_new(struct args *args, void (*run)(struct job *), napi_value (*give)(struct job *));
void job_hold(struct job *job, struct box *box);
/* Starts it and frees the arguments; the value is its promise. */
napi_value job_start(struct args *args, struct job *job);
void jobs_done(struct binding *binding);
void jobs_join(struct binding *binding);

/* --- messages: what the library's threads tell (mail.c) --- */

void mail_deliver(struct binding *binding);
void mail_drop(struct binding *binding);

/* --- what each file brings --- */

void add_function(napi_env env, napi_value exports, const char *name, napi_callback function);
void add_policy(napi_env env, napi_value exports);
void add_process(napi_env env, napi_value exports);
void add_supervisor(napi_env env, napi_value exports);
void add_call(napi_env env, napi_value exports);
void add_mail(napi_env env, napi_value exports);
void add_loop(napi_env env, napi_value exports);
void add_constants(napi_env env, napi_value exports);

napi_value result_value(napi_env env, sandlock_result *result);
napi_value stats_value(napi_env env, const sandlock_stats *stats);

#endif
