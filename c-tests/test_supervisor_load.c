/* Supervisors under load and in trouble: races, slow handlers, deadlines, owners that go, callers that are killed. */
#include "supervisor.h"

#include <pthread.h>
#include <sched.h>

/* --- races --- */

struct tree_fds {
    int good;
    atomic_int asked_bad;
};

static int32_t open_for_it(sandlock_notification *call, void *data)
{
    struct tree_fds *fds = data;
    char path[512];
    size_t length;

    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), path, sizeof path, &length, NULL))
        return 99;
    if (strstr(path, "/good")) {
        int fd = openat(fds->good, "good", O_RDONLY | O_CLOEXEC);
        sandlock_notification_return_fd(call, fd, 0, NULL);
        close(fd);
        return SANDLOCK_HANDLER_DONE;
    }
    if (strstr(path, "/evil")) {
        fds->asked_bad++;
        sandlock_notification_deny(call, EACCES, NULL);
        return SANDLOCK_HANDLER_DONE;
    }
    return SANDLOCK_HANDLER_PASS;
}

/* A thread that changes the path while the handler looks: what was looked at is what is opened. */
static void decision_on_a_copy_withstands_a_flipping_thread(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    struct tree_fds fds = {0};
    sandlock_result *result = NULL;

    write_text(in_tree(tree, "good"), "g");
    write_text(in_tree(tree, "evil"), "e");
    fds.good = open(tree, O_RDONLY | O_DIRECTORY);
    /* The kernel would let it read both: only the handler stands between. */
    allow(policy, tree, SANDLOCK_ACCESS_READ);
    handle(supervisor, "openat", open_for_it, &fds);
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, CALLER("flip", in_tree(tree, "good"), in_tree(tree, "evil"), "3000"),
                                           60000, &result, NULL));
    CHECK_CONTAINS(output(result), " g ");
    CHECK(!strstr(output(result), " e "));
    CHECK(fds.asked_bad > 0);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
    close(fds.good);
    remove_tree(tree);
}

/* --- slow and stuck handlers --- */

enum { BESIDE = 1000 };

struct beside {
    atomic_int quick;
};

/* Looks at its call until all calls of the other thread were answered: if it held them up, only its deadline would end it. */
static int32_t look_while_others_call(sandlock_notification *call, void *data)
{
    struct beside *beside = data;

    while (beside->quick < BESIDE)
        usleep(1000);
    sandlock_notification_return(call, 11, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t count_quick(sandlock_notification *call, void *data)
{
    struct beside *beside = data;

    beside->quick++;
    sandlock_notification_return(call, 3, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void slow_handler_does_not_hold_up_other_threads(void)
{
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result;
    struct beside beside = {0};
    double median = 0, worst = 0;
    long slow = 0;

    options.deadline_ms = 10000;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getsid", look_while_others_call, &beside);
    handle(supervisor, "getppid", count_quick, &beside);
    result = run_supervised(supervisor, CALLER("beside", "1000"));
    CHECK(sscanf(output(result), "median %lf worst %lf slow %ld", &median, &worst, &slow) == 3);
    CHECK(slow == 11 && stats_of(supervisor).overdue == 0);
    CHECK(median < 1000); /* a millisecond is what is promised */
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static void calls_of_many_threads_are_answered_each(void)
{
    atomic_int count = 0;
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, "getpgid", answer_double, &count);
    result = run_supervised(supervisor, CALLER("threads", "8", "1000"));
    CHECK_CONTAINS(output(result), "wrong 0 ");
    CHECK(count == 8000);
    CHECK(stats_of(supervisor).returned == 8000);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

struct late {
    int32_t status;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int release, over;
};

static int32_t answer_late(sandlock_notification *call, void *data)
{
    struct late *late = data;

    pthread_mutex_lock(&late->lock);
    while (!late->release) /* after its call was denied */
        pthread_cond_wait(&late->changed, &late->lock);
    late->status = sandlock_notification_return(call, 11, NULL);
    late->over = 1;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
    return SANDLOCK_HANDLER_DONE;
}

static void call_is_denied_when_the_deadline_passes(void)
{
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result;
    struct late late = {0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

    options.deadline_ms = 100;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getppid", answer_late, &late);
    result = run_supervised(supervisor, CALLER("getppid", "1"));
    CHECK(!strcmp(output(result), "-1 1 others 0\n"));
    pthread_mutex_lock(&late.lock);
    late.release = 1;
    pthread_cond_broadcast(&late.changed);
    while (!late.over)
        pthread_cond_wait(&late.changed, &late.lock);
    pthread_mutex_unlock(&late.lock);
    CHECK(late.status == SANDLOCK_ERROR_STALE);
    CHECK(stats_of(supervisor).overdue == 1);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting, open;
};

static int32_t wait_at_gate(sandlock_notification *call, void *data)
{
    struct gate *gate = data;

    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    sandlock_notification_return(call, 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void *open_gate_later(void *data)
{
    struct gate *gate = data;

    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < 64)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    usleep(50000); /* the rest piles up */
    pthread_mutex_lock(&gate->lock);
    gate->open = 1;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
    return NULL;
}

/* More calls wait in handlers than there may be threads: the rest waits its turn, and nothing is lost. */
static void full_pool_loses_nothing(void)
{
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    pthread_t opener;

    handle(supervisor, "getsid", wait_at_gate, &gate);
    pthread_create(&opener, NULL, open_gate_later, &gate);
    result = run_supervised(supervisor, CALLER("outstanding", "200"));
    CHECK(!strcmp(output(result), "sum 200\n"));
    CHECK(gate.waiting == 200);
    pthread_join(opener, NULL);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* Handlers that never return take all there is: what waits behind them is denied like what they look at. */
static void calls_that_no_handler_comes_to_are_denied_at_their_deadline(void)
{
    /* Its handlers return when they like, after this has. */
    static struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    sandlock_supervisor_options options = SANDLOCK_SUPERVISOR_OPTIONS_INIT;
    sandlock_supervisor *supervisor = NULL;
    sandlock_result *result;

    options.deadline_ms = 200;
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(&options, &supervisor, NULL));
    handle(supervisor, "getsid", wait_at_gate, &gate);
    result = run_supervised(supervisor, CALLER("outstanding", "200"));
    if (!CHECK(!strcmp(output(result), "sum -200\n")))
        printf("# %s%s\n", output(result), errors(result));
    CHECK(stats_of(supervisor).overdue == 200);
    pthread_mutex_lock(&gate.lock);
    CHECK(gate.waiting == 64);
    gate.open = 1;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* --- delays --- */

struct delays {
    atomic_uint seed;
    atomic_int answered, failed, threads;
};

struct answer_later {
    sandlock_pending *pending;
    int64_t value;
    unsigned delay;
    struct delays *delays;
};

/* As good as any here: different for each call. */
static unsigned next_random(struct delays *delays)
{
    unsigned value = atomic_fetch_add(&delays->seed, 0x9e3779b9u);

    value ^= value >> 16;
    value *= 0x85ebca6bu;
    return value ^ value >> 13;
}

static void dawdle(unsigned microseconds)
{
    double until = seconds() + microseconds / 1e6;

    if (microseconds % 3 == 0)
        usleep(microseconds);
    else
        while (seconds() < until)
            ;
}

static void *answer_from_another_thread(void *data)
{
    struct answer_later *later = data;

    dawdle(later->delay);
    if (sandlock_pending_return(later->pending, later->value, NULL) == SANDLOCK_OK)
        later->delays->answered++;
    else
        later->delays->failed++;
    sandlock_pending_free(later->pending);
    later->delays->threads--;
    free(later);
    return NULL;
}

static int32_t answer_with_delay(sandlock_notification *call, void *data)
{
    struct delays *delays = data;
    unsigned chance = next_random(delays);
    int64_t value = (int64_t)sandlock_notification_arg(call, 0) * 2 + 1;

    dawdle(chance >> 8 & 0xff);
    if (chance % 4 == 0) {
        struct answer_later *later = malloc(sizeof *later);
        pthread_t thread;
        *later = (struct answer_later){NULL, value, chance >> 16 & 0x1ff, delays};
        if (sandlock_notification_defer(call, &later->pending, NULL))
            return -1;
        delays->threads++;
        if (pthread_create(&thread, NULL, answer_from_another_thread, later))
            return -1;
        pthread_detach(thread);
        return SANDLOCK_HANDLER_DONE;
    }
    if (chance % 4 == 1)
        return SANDLOCK_HANDLER_PASS; /* the next handler answers */
    if (sandlock_notification_return(call, value, NULL) == SANDLOCK_OK)
        delays->answered++;
    else
        delays->failed++;
    return SANDLOCK_HANDLER_DONE;
}

/* Calls change threads at every point in turn, under the manager's eyes: each is answered once all the same. */
static void delays_at_random_lose_nothing(void)
{
    enum { THREADS = 8, CALLS = 800 };
    struct delays delays = {1, 0, 0, 0};
    atomic_int passed = 0;
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, "getpgid", answer_with_delay, &delays);
    handle(supervisor, "getpgid", answer_double, &passed);
    result = run_supervised(supervisor, CALLER("threads", "8", "800"));
    CHECK_CONTAINS(output(result), "wrong 0 ");
    while (delays.threads)
        usleep(1000); /* they have answered, and are about to end */
    CHECK(delays.answered + passed == THREADS * CALLS && delays.failed == 0 && passed > 0);
    CHECK(stats_of(supervisor).returned == THREADS * CALLS && stats_of(supervisor).overdue == 0);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* Calls that the library serves on a confined thread and calls for handlers, which must not run there, take turns. */
static void services_and_handlers_serve_side_by_side(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result = NULL;
    struct stat status;
    int threads = count_entries("task"), round;

    write_text(in_tree(tree, "file"), "");
    allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    handle(supervisor, "getpgid", answer_double, NULL);
    for (round = 0; round < 5; round++) {
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_run(policy, supervisor, CALLER("mixed", in_tree(tree, "file"), "400"), 30000, &result, NULL));
        if (!CHECK(!strcmp(output(result), "wrong 0\n")))
            printf("# %s%s\n", output(result), errors(result));
        sandlock_result_free(result);
    }
    CHECK(stat(in_tree(tree, "file"), &status) == 0 && (status.st_mode & 0777) == 0600);
    sandlock_supervisor_free(supervisor);
    CHECK(count_entries("task") == threads);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* --- owners --- */

static void supervisor_can_be_freed_while_its_handlers_serve(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    int destroyed = 0;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_add_handler(supervisor, "getpgid", answer_double, NULL, NULL, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_add_handler(supervisor, "getsid", pass_on, &destroyed, count_destroy, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("threads", "4", "500"), &options, &process, NULL));
    sandlock_supervisor_free(supervisor);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK_CONTAINS(output(result), "wrong 0 ");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stats(process, &stats, NULL));
    CHECK(stats.returned == 2000 && stats.received >= 2000 && stats.worst_latency_us > 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(destroyed == 1);
    sandlock_policy_free(policy);
}

static void sandboxes_are_freed_under_load_and_leave_nothing(void)
{
    int threads, descriptors, round, i;
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor;

    free(malloc(1));
    threads = count_entries("task");
    descriptors = count_entries("fd");
    for (round = 0; round < 10; round++) {
        sandlock_process *processes[6] = {0};

        supervisor = new_supervisor();
        handle(supervisor, "getpgid", answer_double, NULL);
        for (i = 0; i < 6; i++)
            CHECK_STATUS(SANDLOCK_OK,
                         sandlock_spawn(policy, supervisor, CALLER("threads", "4", "1000000"), NULL, &processes[i], NULL));
        usleep(10000);
        if (round % 2)
            sandlock_supervisor_free(supervisor);
        for (i = 0; i < 6; i++)
            sandlock_process_free(processes[i]);
        if (round % 2 == 0)
            sandlock_supervisor_free(supervisor);
    }
    sandlock_policy_free(policy);
    CHECK(count_entries("task") == threads);
    CHECK(count_entries("fd") == descriptors);
}

struct owned {
    sandlock_supervisor *supervisor;
    pthread_barrier_t *start;
    atomic_int deferred, destroyed;
};

static void count_end(void *data)
{
    ((struct owned *)data)->destroyed++;
}

/* Puts off every call, and answers it at once. */
static int32_t put_off_and_answer(sandlock_notification *call, void *data)
{
    struct owned *owned = data;
    sandlock_pending *pending = NULL;

    if (sandlock_notification_defer(call, &pending, NULL) == SANDLOCK_OK) {
        sandlock_pending_return(pending, (int64_t)sandlock_pending_arg(pending, 0) * 2 + 1, NULL); /* or its caller is gone */
        owned->deferred++;
    }
    sandlock_pending_free(pending);
    return SANDLOCK_HANDLER_DONE;
}

static void *free_supervisor(void *data)
{
    struct owned *owned = data;

    pthread_barrier_wait(owned->start);
    sandlock_supervisor_free(owned->supervisor);
    return NULL;
}

/* One thread frees the supervisor while another frees its sandboxes, which call all the time. */
static void supervisor_and_sandboxes_are_freed_by_different_threads_under_load(void)
{
    enum { ROUNDS = 30, SANDBOXES = 3 };
    sandlock_policy *policy = system_policy();
    struct footprint before = {0};
    int round, i;

    for (round = 0; round <= ROUNDS; round++) {
        sandlock_process *processes[SANDBOXES] = {0};
        pthread_barrier_t start;
        struct owned owned = {new_supervisor(), &start, 0, 0};
        pthread_t thread;

        pthread_barrier_init(&start, NULL, 2);
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_supervisor_add_handler(owned.supervisor, "getpgid", round % 2 ? put_off_and_answer : pass_on,
                                                     round % 2 ? &owned : NULL, NULL, 0, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(owned.supervisor, "getpgid", answer_double, NULL, NULL, 0, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(owned.supervisor, "getsid", pass_on, NULL, NULL, 0, NULL));
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_supervisor_add_handler(owned.supervisor, "getppid", put_off_and_answer, &owned, count_end, 0, NULL));
        for (i = 0; i < SANDBOXES; i++)
            CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, owned.supervisor, CALLER("threads", "4", "1000000"), NULL,
                                                     &processes[i], NULL));
        while (stats_of(owned.supervisor).received < 100)
            sched_yield();
        pthread_create(&thread, NULL, free_supervisor, &owned);
        pthread_barrier_wait(&start);
        for (i = 0; i < SANDBOXES; i++)
            sandlock_process_free(processes[i]);
        pthread_join(thread, NULL);
        while (!owned.destroyed) /* a handler may be about to return */
            sched_yield();
        CHECK(owned.destroyed == 1 && (owned.deferred > 0) == round % 2);
        pthread_barrier_destroy(&start);
        if (round == 0)
            before = footprint(); /* the policy keeps what it has opened */
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

struct self_wait {
    _Atomic(sandlock_process *) process;
    int32_t wait, kill;
};

static int32_t wait_for_own(sandlock_notification *call, void *data)
{
    struct self_wait *self = data;
    sandlock_result *result = NULL;

    (void)call;
    while (!self->process)
        usleep(100);
    self->wait = sandlock_process_wait(self->process, -1, &result, NULL);
    self->kill = sandlock_process_kill(self->process, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void waiting_for_the_program_in_its_own_handler_is_refused(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    struct self_wait self = {0};

    handle(supervisor, "getppid", wait_for_own, &self);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("getppid", "1"), NULL, &process, NULL));
    self.process = process;
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(self.wait == SANDLOCK_ERROR_WOULD_DEADLOCK && self.kill == SANDLOCK_OK);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static void daemons_that_call_die_with_the_program(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    int64_t number = 3;
    double start = seconds();

    handle(supervisor, "getppid", return_number, &number);
    result = run_supervised(supervisor, CALLER("lingering"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && seconds() - start < 1);
    CHECK(!has_children());
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

/* Where daemons cannot be reached they live on; nobody serves or waits for them. */
static void daemons_that_live_on_hold_nothing_up(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    int64_t number = 3;
    double start = seconds();

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    handle(supervisor, "getppid", return_number, &number);
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("lingering"), NULL, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    sandlock_result_free(result);
    sandlock_process_free(process);
    CHECK(seconds() - start < 3);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* 200 sandboxes, 8 threads in each, 1,000 calls of each thread, all at once: every one is answered, and once. */
static void calls_of_many_sandboxes_are_answered_each(void)
{
    enum { SANDBOXES = 200 };
    const int sanitized = getenv("SANDLOCK_TEST_SANITIZER") != NULL;
    const char *calls = sanitized ? "20" : "1000";
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    static sandlock_process *processes[SANDBOXES];
    atomic_int count = 0;
    int i;

    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    handle(supervisor, "getpgid", answer_double, &count);
    for (i = 0; i < SANDBOXES; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, CALLER("threads", "8", calls), &options, &processes[i], NULL));
    for (i = 0; i < SANDBOXES; i++) {
        sandlock_result *result = NULL;
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(processes[i], 120000, &result, NULL));
        CHECK_CONTAINS(output(result), "wrong 0 ");
        sandlock_result_free(result);
        sandlock_process_free(processes[i]);
    }
    CHECK(count == SANDBOXES * 8 * atoi(calls));
    CHECK(stats_of(supervisor).returned == (uint64_t)count);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

/* --- callers that die --- */

static int32_t read_and_write(sandlock_notification *call, void *unused)
{
    char text[64];
    size_t length;

    (void)unused;
    sandlock_notification_read_string(call, sandlock_notification_arg(call, 0), text, sizeof text, &length, NULL);
    sandlock_notification_write(call, 8, "x", 1, NULL);
    sandlock_notification_return(call, 1, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static int32_t give_or_pass(sandlock_notification *call, void *unused)
{
    (void)unused;
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    sandlock_notification_return_bytes(call, "hello", 5, 0, NULL); /* the caller may be gone: then it fails */
    return SANDLOCK_HANDLER_DONE;
}

static int32_t put_off_and_drop(sandlock_notification *call, void *number)
{
    sandlock_pending *pending = NULL;

    if (++*(atomic_int *)number % 3)
        return SANDLOCK_HANDLER_PASS;
    if (sandlock_notification_defer(call, &pending, NULL) == SANDLOCK_OK)
        sandlock_pending_free(pending);
    return SANDLOCK_HANDLER_DONE;
}

/* Callers are killed at any point of being received, looked at, read, written to and answered. */
static void callers_may_die_at_any_point(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;
    atomic_int number = 0;
    sandlock_stats stats;
    int before = count_entries("fd");

    handle(supervisor, "getppid", put_off_and_drop, &number);
    handle(supervisor, "getsid", read_and_write, NULL);
    handle(supervisor, "openat", give_or_pass, NULL);
    result = run_supervised(supervisor, CALLER("mortal", "3000"));
    CHECK(!strcmp(output(result), "survived 3000\n"));
    stats = stats_of(supervisor);
    CHECK(stats.dropped > 0 && stats.returned > 0 && stats.deferred > 0);
    CHECK(stats.received == stats.continued + stats.denied + stats.returned + stats.dropped);
    CHECK(count_entries("fd") == before);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

TESTS(T(decision_on_a_copy_withstands_a_flipping_thread), T(slow_handler_does_not_hold_up_other_threads),
      T(calls_of_many_threads_are_answered_each), T(call_is_denied_when_the_deadline_passes),
      T(full_pool_loses_nothing), T(calls_that_no_handler_comes_to_are_denied_at_their_deadline),
      T(delays_at_random_lose_nothing), T(services_and_handlers_serve_side_by_side), T(supervisor_can_be_freed_while_its_handlers_serve),
      T(sandboxes_are_freed_under_load_and_leave_nothing),
      T(supervisor_and_sandboxes_are_freed_by_different_threads_under_load),
      T(waiting_for_the_program_in_its_own_handler_is_refused), T(daemons_that_call_die_with_the_program),
      T(calls_of_many_sandboxes_are_answered_each), T(callers_may_die_at_any_point),
      T(daemons_that_live_on_hold_nothing_up))
