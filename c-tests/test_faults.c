/* A host that runs out of what supervision takes, and one whose threads come and go: every start works or says why not, leaves
 * nothing behind, and no program ever makes a handled call that nobody has looked at. */
#include "supervisor.h"

#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* --- a program that leaves a mark if nobody stops it --- */

struct trial {
    char *tree, *marker;
    sandlock_policy *policy;
    sandlock_supervisor *supervisor;
    /* How often the start failed; the handler refused the call; the library refused it for want of a handler's answer. */
    int failed, refused, unanswered;
};

static int32_t refuse(sandlock_notification *call, void *unused)
{
    (void)unused;
    sandlock_notification_deny(call, EBUSY, NULL); /* an error: the deadline has passed, which denies as well */
    return SANDLOCK_HANDLER_DONE;
}

/* It lets the program make the marker: only the handler stands between. The limits of a host that is short of something are not
 * the program's. */
static sandlock_policy *trial_policy(const char *tree)
{
    sandlock_policy *policy = system_policy();

    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 64, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_AS, 1 << 30, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "LC_ALL", "C", NULL));
    return policy;
}

static struct trial new_trial(const char *tree)
{
    struct trial trial = {0};

    trial.tree = strdup(tree);
    trial.marker = strdup(in_tree(trial.tree, "marker"));
    trial.policy = trial_policy(trial.tree);
    trial.supervisor = new_supervisor();
    handle(trial.supervisor, "mkdir", refuse, NULL);
    handle(trial.supervisor, "mkdirat", refuse, NULL);
    return trial;
}

static void free_trial(struct trial *trial)
{
    sandlock_supervisor_free(trial->supervisor);
    sandlock_policy_free(trial->policy);
    free(trial->marker);
    free(trial->tree);
}

static int32_t run_trial(const struct trial *trial, const sandlock_policy *policy, sandlock_result **result,
                         sandlock_error **error)
{
    return sandlock_run(policy, trial->supervisor, ARGV("mkdir", trial->marker), 20000, result, error);
}

/* So that what a policy is prepared with is there. */
static void use_policy(const struct trial *trial)
{
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, run_trial(trial, trial->policy, &result, NULL));
    sandlock_result_free(result);
}

/* Counts what became of a run, and checks that it was one of the three things that may. */
static void judge_trial(struct trial *trial, int32_t status, const sandlock_result *result, const sandlock_error *error,
                        int wanted_errno)
{
    const int found = sandlock_error_errno(error);

    CHECK(access(trial->marker, F_OK) != 0);
    if (status != SANDLOCK_OK) {
        trial->failed++;
        /* pthread_create() says EAGAIN if there is no memory for a stack. */
        CHECK(found == wanted_errno || (found == EAGAIN && wanted_errno == ENOMEM));
        if (!CHECK((status == SANDLOCK_ERROR_SYSTEM || status == SANDLOCK_ERROR_CHILD_SETUP) && result == NULL))
            printf("# %s: %s\n", sandlock_status_name(status), sandlock_error_message(error));
    } else if (strstr(errors(result), "resource busy")) {
        trial->refused++;
    } else {
        trial->unanswered++;
        if (!CHECK(strstr(errors(result), "not permitted") != NULL))
            printf("# reason %u exit %d: %s\n", sandlock_result_reason(result), sandlock_result_exit_code(result),
                   errors(result));
    }
}

static void program_leaves_its_mark_where_nobody_looks(void)
{
    struct trial trial = new_trial(make_tree());
    sandlock_result *result = run_program(trial.policy, ARGV("mkdir", trial.marker));

    CHECK(sandlock_result_exit_code(result) == 0 && access(trial.marker, F_OK) == 0);
    sandlock_result_free(result);
    remove_tree(trial.tree);
    free_trial(&trial);
}

/* --- descriptors --- */

/* Runs under a limit of the host, and judges; with the policy of the trial, or one that is new. */
static void run_limited(struct trial *trial, int new_policy, __rlimit_resource_t resource, rlim_t limit, int wanted_errno)
{
    struct footprint before = footprint();
    sandlock_policy *unused = new_policy ? trial_policy(trial->tree) : NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    struct rlimit saved, tight;
    int32_t status;

    getrlimit(resource, &saved);
    tight = saved;
    tight.rlim_cur = limit;
    setrlimit(resource, &tight);
    status = run_trial(trial, new_policy ? unused : trial->policy, &result, &error);
    setrlimit(resource, &saved);
    judge_trial(trial, status, result, error, wanted_errno);
    sandlock_result_free(result);
    sandlock_error_free(error);
    sandlock_policy_free(unused); /* which has what it opened */
    CHECK_UNCHANGED(before);
}

static void supervised_start_without_descriptors_fails_and_leaves_nothing(void)
{
    struct trial trial = new_trial(make_tree());
    rlim_t limit;
    int new_policy;

    use_policy(&trial);
    for (new_policy = 0; new_policy < 2; new_policy++) {
        trial.failed = trial.refused = trial.unanswered = 0;
        for (limit = 3; limit < 48; limit++)
            run_limited(&trial, new_policy, RLIMIT_NOFILE, limit, EMFILE);
        CHECK(trial.failed > 5 && trial.refused > 5 && trial.unanswered == 0);
    }
    remove_tree(trial.tree);
    free_trial(&trial);
}

/* Forbids its own process more descriptors than the standard streams, for good; poll(2) of more is refused as well. */
static int32_t give_without_descriptors(sandlock_notification *call, void *unused)
{
    struct rlimit streams;

    (void)unused;
    if (!only_virtual(call))
        return SANDLOCK_HANDLER_PASS;
    getrlimit(RLIMIT_NOFILE, &streams);
    streams.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &streams);
    CHECK_STATUS(SANDLOCK_ERROR_SYSTEM, sandlock_notification_return_bytes(call, "hello", 5, 0, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void host_that_loses_its_descriptors_fails_the_call_and_ends_the_sandbox(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = NULL;
    struct rlimit saved;
    struct footprint before = {0};
    int round;

    getrlimit(RLIMIT_NOFILE, &saved);
    for (round = 0; round < 10; round++) {
        sandlock_supervisor *supervisor = new_supervisor();
        handle(supervisor, "openat", give_without_descriptors, NULL);
        CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, CALLER("open", "/virtual"), 20000, &result, NULL));
        setrlimit(RLIMIT_NOFILE, &saved);
        CHECK(!strcmp(output(result), "errno 5\n"));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 1);
        sandlock_result_free(result);
        sandlock_supervisor_free(supervisor);
        if (round == 0)
            before = footprint(); /* the policy keeps what it has opened */
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

/* --- threads --- */

/* Runs it in a fork of this process, which passes on whether it has failed. */
static void in_fork(void (*body)(void))
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        test_failures = 0;
        body();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *return_at_once(void *unused)
{
    return unused;
}

static int can_start_a_thread(void)
{
    int before = count_entries("task");
    pthread_t thread;

    if (pthread_create(&thread, NULL, return_at_once, NULL))
        return 0;
    pthread_join(thread, NULL);
    while (count_entries("task") > before) /* the kernel takes a moment */
        sched_yield();
    return 1;
}

static void set_process_limit(rlim_t limit)
{
    struct rlimit tight;

    getrlimit(RLIMIT_NPROC, &tight);
    tight.rlim_cur = limit;
    setrlimit(RLIMIT_NPROC, &tight);
}

/* The lowest limit of processes at which this process can have one thread more. */
static rlim_t limit_for_one_thread(void)
{
    struct rlimit saved;
    rlim_t limit = 1;

    getrlimit(RLIMIT_NPROC, &saved);
    for (set_process_limit(limit); !can_start_a_thread(); set_process_limit(limit))
        limit++;
    setrlimit(RLIMIT_NPROC, &saved);
    return limit;
}

/* The library starts a warden, a manager, a worker and the program, in an order that is not told. Other processes of this user
 * come and go, and count. */
static void try_all_thread_limits(void)
{
    enum { TASKS = 4, ROUNDS = 10, MOST_ROUNDS = 200 };
    struct trial trial = new_trial(make_tree());
    int more, round, new_policy;

    use_policy(&trial);
    for (round = 0; round < ROUNDS || ((!trial.failed || !trial.refused) && round < MOST_ROUNDS); round++) {
        rlim_t one = limit_for_one_thread();
        for (new_policy = 0; new_policy < 2; new_policy++)
            for (more = 0; more <= TASKS + 1; more++)
                run_limited(&trial, new_policy, RLIMIT_NPROC, one - 1 + (rlim_t)more, EAGAIN);
    }
    CHECK(trial.failed > 0 && trial.refused > 0);
    remove_tree(trial.tree);
    free_trial(&trial);
}

static void supervised_start_without_threads_fails_or_its_calls_are_denied(void)
{
    if (getuid() == 0) {
        test_absent = "the kernel exempts user 0 from its limit of processes";
        return;
    }
    in_fork(try_all_thread_limits);
}

/* Takes its time, so that the calls of other threads would each get a worker if there were any to be had. */
static int32_t answer_slowly_without_threads(sandlock_notification *call, void *unused)
{
    struct timespec a_while = {0, 2000000};

    (void)unused;
    set_process_limit(1);
    nanosleep(&a_while, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return(call, 10, NULL));
    return SANDLOCK_HANDLER_DONE;
}

static void serve_many_with_one_worker(void)
{
    sandlock_supervisor *supervisor = new_supervisor();
    sandlock_result *result;

    handle(supervisor, "getsid", answer_slowly_without_threads, NULL);
    result = run_supervised(supervisor, CALLER("outstanding", "100"));
    if (!CHECK(!strcmp(output(result), "sum 1000\n")))
        printf("# %s%s\n", output(result), errors(result));
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
}

static void one_worker_serves_all_calls_if_no_more_can_be_had(void)
{
    if (getuid() == 0) {
        test_absent = "the kernel exempts user 0 from its limit of processes";
        return;
    }
    in_fork(serve_many_with_one_worker);
}

/* --- memory --- */

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

enum { FAILED = 1, REFUSED, UNANSWERED };

/* What the other test runs, as a program of its own: the C library keeps the stacks of former threads. */
static int start_short_of_memory(rlim_t spare, const char *tree)
{
    struct trial trial = new_trial(tree);

    run_limited(&trial, 1, RLIMIT_AS, address_space() + spare, ENOMEM);
    free_trial(&trial);
    fflush(stdout);
    if (test_failures)
        return 99;
    return trial.failed ? FAILED : trial.refused ? REFUSED : UNANSWERED;
}

static int run_self(const char *const *argv)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY), 2); /* where the end of a host without memory is told */
        execv(argv[0], (char *const *)argv);
        _exit(98);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* Memory for stacks is mapped, which fails cleanly. A host that cannot allocate small things aborts, as Rust programs do: then
 * its program dies with it. */
static void supervised_start_without_memory_fails_or_its_calls_are_denied(void)
{
    int counts[UNANSWERED + 1] = {0}, aborted = 0, spare_kb;
    char spare[32], *tree;

    if (getenv("SANDLOCK_TEST_SANITIZER")) {
        test_absent = "a sanitizer takes address space for itself";
        return;
    }
    tree = strdup(make_tree());
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0); /* of the programs of hosts that aborted */
    for (spare_kb = 0; spare_kb <= 3072; spare_kb += 24) {
        int status;

        snprintf(spare, sizeof spare, "%d", spare_kb << 10);
        status = run_self(ARGV(program("test_faults"), "--short-of-memory", spare, tree));
        while (waitpid(-1, NULL, 0) > 0)
            ;
        CHECK(access(in_tree(tree, "marker"), F_OK) != 0);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
            aborted++;
        else if (CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= FAILED && WEXITSTATUS(status) <= UNANSWERED))
            counts[WEXITSTATUS(status)]++;
    }
    if (!CHECK(counts[FAILED] > 5 && counts[REFUSED] > 5))
        printf("# failed %d refused %d unanswered %d aborted %d\n", counts[FAILED], counts[REFUSED], counts[UNANSWERED], aborted);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    remove_tree(tree);
    free(tree);
}

/* --- threads of the host --- */

enum { STARTERS = 8, WAITERS = 4, STARTED_AT_MOST = 16 };

/* Sandboxes on their way from those who start them to those who wait for them. */
struct churn {
    const sandlock_policy *policy;
    sandlock_supervisor *supervisor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sandlock_process *running[STARTED_AT_MOST];
    int count, starters;
    int started, finished, killed;
    double until;
};

static void *start_and_leave(void *data)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    struct churn *churn = data;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(churn->policy, churn->supervisor, CALLER("threads", "2", "50"), &options,
                                                  &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    return process;
}

/* Has one short-lived thread after the other start a sandbox. */
static void *keep_starting(void *data)
{
    struct churn *churn = data;

    do {
        pthread_t thread;
        void *process = NULL;

        if (CHECK(pthread_create(&thread, NULL, start_and_leave, churn) == 0))
            pthread_join(thread, &process);
        if (!process)
            break;
        pthread_mutex_lock(&churn->lock);
        while (churn->count == STARTED_AT_MOST)
            pthread_cond_wait(&churn->changed, &churn->lock);
        churn->running[churn->count++] = process;
        churn->started++;
        pthread_cond_broadcast(&churn->changed);
        pthread_mutex_unlock(&churn->lock);
    } while (seconds() < churn->until);
    pthread_mutex_lock(&churn->lock);
    churn->starters--;
    pthread_cond_broadcast(&churn->changed);
    pthread_mutex_unlock(&churn->lock);
    return NULL;
}

/* Takes a sandbox, the one that was started last; NULL if there will be no more. */
static sandlock_process *take_sandbox(struct churn *churn)
{
    sandlock_process *process = NULL;

    pthread_mutex_lock(&churn->lock);
    while (churn->count == 0 && churn->starters > 0)
        pthread_cond_wait(&churn->changed, &churn->lock);
    if (churn->count > 0)
        process = churn->running[--churn->count];
    pthread_cond_broadcast(&churn->changed);
    pthread_mutex_unlock(&churn->lock);
    return process;
}

static void *keep_waiting(void *data)
{
    struct churn *churn = data;
    sandlock_process *process;
    int number, finished = 0, killed = 0;

    for (number = 0; (process = take_sandbox(churn)); number++) {
        if (number % 4 == 3) {
            killed++;
        } else {
            sandlock_result *result = NULL;
            if (CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL)))
                CHECK_CONTAINS(output(result), "wrong 0 ");
            sandlock_result_free(result);
            finished++;
        }
        sandlock_process_free(process); /* which kills it if it runs */
    }
    pthread_mutex_lock(&churn->lock);
    churn->finished += finished;
    churn->killed += killed;
    pthread_mutex_unlock(&churn->lock);
    return NULL;
}

static void threads_that_start_sandboxes_may_come_and_go(void)
{
    struct churn churn = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .starters = STARTERS};
    pthread_t threads[STARTERS + WAITERS];
    sandlock_policy *policy = system_policy();
    struct footprint before;
    int i, round;

    for (round = 0; round < 2; round++) {
        /* The first round is short: the policy keeps what it has opened. */
        before = footprint();
        churn.supervisor = new_supervisor();
        handle(churn.supervisor, "getpgid", answer_double, NULL);
        churn.policy = policy;
        churn.starters = STARTERS;
        churn.until = seconds() + (round == 0 ? 0.05 : 3);
        for (i = 0; i < STARTERS + WAITERS; i++)
            CHECK(pthread_create(&threads[i], NULL, i < STARTERS ? keep_starting : keep_waiting, &churn) == 0);
        for (i = 0; i < STARTERS + WAITERS; i++)
            pthread_join(threads[i], NULL);
        CHECK(churn.finished > 0 && churn.started == churn.finished + churn.killed);
        CHECK(stats_of(churn.supervisor).returned >= (uint64_t)churn.finished * 100);
        CHECK(stats_of(churn.supervisor).overdue == 0 && stats_of(churn.supervisor).failed == 0);
        sandlock_supervisor_free(churn.supervisor);
        churn.finished = churn.killed = churn.started = 0;
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static const struct test tests[] = {T(program_leaves_its_mark_where_nobody_looks),
                                    T(supervised_start_without_descriptors_fails_and_leaves_nothing),
                                    T(host_that_loses_its_descriptors_fails_the_call_and_ends_the_sandbox),
                                    T(supervised_start_without_threads_fails_or_its_calls_are_denied),
                                    T(one_worker_serves_all_calls_if_no_more_can_be_had),
                                    T(supervised_start_without_memory_fails_or_its_calls_are_denied),
                                    T(threads_that_start_sandboxes_may_come_and_go)};

int main(int argc, char **argv)
{
    if (argc > 3 && !strcmp(argv[1], "--short-of-memory"))
        return start_short_of_memory((rlim_t)atol(argv[2]), argv[3]);
    return run_tests(tests, sizeof tests / sizeof *tests, argc, argv);
}
