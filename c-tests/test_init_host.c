/* Hosts of programs in a PID namespace: what they do with their children, threads, descriptors and lives must not matter to the library,
 * nor the library to them. */
#include "supervisor.h"

#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int offered(void)
{
    if (!expected("userns"))
        test_absent = "the machine was not declared to offer userns";
    return !test_absent;
}

static sandlock_policy *apart_policy(void)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_PID, true, NULL));
    return policy;
}

static void run_and_check(const sandlock_policy *policy, int code)
{
    char script[32];
    sandlock_result *result;

    snprintf(script, sizeof script, "true; exit %d", code);
    result = run_program(policy, ARGV("sh", "-c", script));
    CHECK(result && sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == code);
    sandlock_result_free(result);
}

/* Runs a test in a process that it may spoil. */
static void in_a_fork(void (*test)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        test_failures = 0;
        test();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void with_ignored_children(void)
{
    sandlock_policy *policy = apart_policy();
    int i;

    signal(SIGCHLD, SIG_IGN);
    for (i = 0; i < 20; i++)
        run_and_check(policy, i);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    run_and_check(policy, 9);
    sandlock_policy_free(policy);
}

static void *reap_everybody(void *unused)
{
    for (;;)
        if (waitpid(-1, NULL, 0) < 0)
            usleep(50);
    return unused;
}

static void with_a_thread_that_reaps(void)
{
    sandlock_policy *policy = apart_policy();
    pthread_t thread;
    int i;

    pthread_create(&thread, NULL, reap_everybody, NULL);
    for (i = 0; i < 30; i++)
        run_and_check(policy, i);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    run_and_check(policy, 9);
    sandlock_policy_free(policy);
}

static void host_may_take_the_ends_of_its_children(void)
{
    if (!offered())
        return;
    in_a_fork(with_ignored_children);
    in_a_fork(with_a_thread_that_reaps);
}

/* A pipe that everybody in the sandbox holds open, which ends when the last of them has: true if it does within ten seconds. */
static int ends(int pipe)
{
    struct pollfd wait = {.fd = pipe, .events = POLLIN};
    char bytes[64];
    double began = seconds();

    while (seconds() - began < 10)
        if (poll(&wait, 1, 100) > 0 && read(pipe, bytes, sizeof bytes) == 0)
            return 1;
    return 0;
}

/* A host that is killed while the sandbox has a daemon, whom no parent-death signal can reach. Returns the pipe that they hold. */
static int kill_host(int apart, int supervised)
{
    int pipes[2];
    char byte = 0;
    pid_t host;

    CHECK(pipe(pipes) == 0);
    host = fork();
    if (host == 0) {
        sandlock_policy *policy = apart_policy();
        sandlock_process *process = NULL;

        sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_PID, apart != 0, NULL);
        sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, !supervised, NULL);
        dup2(pipes[1], 1);
        close(pipes[0]);
        close(pipes[1]);
        if (sandlock_spawn(policy, NULL, ARGV("sh", "-c", "(setsid sh -c 'echo x; exec sleep 20' &) ; exec sleep 1000"), NULL, &process, NULL))
            _exit(1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    CHECK(read(pipes[0], &byte, 1) == 1 && byte == 'x');
    CHECK(kill(host, SIGKILL) == 0 && waitpid(host, NULL, 0) == host);
    return pipes[0];
}

/* The daemon of a plain sandbox, which only the warden could have killed, is what shows that there is something to prevent. */
static void nobody_outlives_the_host(void)
{
    struct pollfd wait;
    int supervised, pipe;

    if (!offered())
        return;
    for (supervised = 0; supervised < 2; supervised++) {
        pipe = kill_host(1, supervised);
        CHECK(ends(pipe));
        close(pipe);
    }
    pipe = kill_host(0, 0);
    wait = (struct pollfd){.fd = pipe, .events = POLLIN};
    while (poll(&wait, 1, 500) > 0 && wait.revents & POLLIN) {
        char bytes[16];
        if (read(pipe, bytes, sizeof bytes) <= 0)
            break;
    }
    CHECK(!(wait.revents & POLLHUP));
    close(pipe);
}

static int32_t give_null(sandlock_notification *call, void *seen)
{
    char text[64];
    size_t length;
    int fd;

    if (sandlock_notification_read_string(call, sandlock_notification_arg(call, 1), text, sizeof text, &length, NULL) ||
        strcmp(text, "/virtual"))
        return SANDLOCK_HANDLER_PASS;
    *(int *)seen = sandlock_notification_pid(call);
    fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK_STATUS(SANDLOCK_OK, sandlock_notification_return_fd(call, fd, 0, NULL));
    close(fd);
    return SANDLOCK_HANDLER_DONE;
}

struct seen {
    pthread_mutex_t lock;
    int pids[3][8]; /* exec, fork, exit */
    int counts[3];
};

static void note(const sandlock_event *event, void *data)
{
    struct seen *seen = data;
    uint64_t kind = sandlock_event_kind(event);
    int which = kind == SANDLOCK_EVENT_EXEC ? 0 : kind == SANDLOCK_EVENT_FORK ? 1 : 2;

    pthread_mutex_lock(&seen->lock);
    if (seen->counts[which] < 8)
        seen->pids[which][seen->counts[which]++] = sandlock_event_pid(event);
    pthread_mutex_unlock(&seen->lock);
}

/* Handlers and observers know processes by the host's numbers. */
static void supervisor_speaks_of_the_hosts_numbers(void)
{
    struct seen seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
    sandlock_supervisor *supervisor;
    sandlock_policy *policy;
    sandlock_process *process = NULL;
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_result *result = NULL;
    int pid, caller = 0, i;

    if (!offered())
        return;
    supervisor = new_supervisor();
    policy = apart_policy();
    handle(supervisor, "openat", give_null, &caller);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_EXEC | SANDLOCK_EVENT_FORK | SANDLOCK_EVENT_EXIT, note,
                                             &seen, NULL, NULL));
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, supervisor, ARGV("sh", "-c", "head -c 3 /virtual | od -An -tx1; exit 5"),
                                             &options, &process, NULL));
    pid = sandlock_process_pid(process);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 5 && !strcmp(output(result), " 00 00 00\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_supervisor_free(supervisor);
    CHECK(caller > pid);
    CHECK(seen.counts[0] >= 2 && seen.counts[1] >= 2 && seen.counts[2] >= 1);
    for (i = 0; i < seen.counts[0]; i++)
        CHECK(seen.pids[0][i] >= pid);
    for (i = 0; i < seen.counts[1]; i++)
        CHECK(seen.pids[1][i] >= pid);
    for (i = 0; i < seen.counts[2] && seen.pids[2][i] != pid; i++)
        CHECK(seen.pids[2][i] > pid);
    CHECK(i < seen.counts[2]);
    sandlock_policy_free(policy);
}

static void terminal_of_its_own_is_the_programs(void)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_policy *policy;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    char text[256] = "";
    size_t length = 0;
    ssize_t count;
    int master;

    if (!offered())
        return;
    policy = apart_policy();
    options.stdin_mode = options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_PTY;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "foreground"), &options, &process, NULL));
    master = sandlock_process_take_pty(process);
    while ((count = read(master, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    CHECK(!strcmp(text, "group 2 foreground 2\r\n"));
    close(master);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

enum { THREADS = 4, STARTS = 50 };

static atomic_int failed_starts;

static void *start_often(void *policy)
{
    int i;

    for (i = 0; i < STARTS; i++) {
        sandlock_result *result = NULL;
        sandlock_supervisor *supervisor = i % 5 ? NULL : new_supervisor();

        if (supervisor)
            handle(supervisor, "getppid", pass_on, NULL);
        sandlock_error *error = NULL;
        if (sandlock_run(policy, supervisor, i % 7 ? ARGV("true") : ARGV("sh", "-c", "setsid sleep 1000 & kill -9 $$"), 20000,
                         &result, &error) ||
            sandlock_result_reason(result) != (i % 7 ? SANDLOCK_REASON_EXITED : SANDLOCK_REASON_SIGNALED)) {
            failed_starts++;
            printf("# start %d: %s, reason %u\n", i, sandlock_error_message(error), sandlock_result_reason(result));
        }
        sandlock_error_free(error);
        sandlock_result_free(result);
        sandlock_supervisor_free(supervisor);
    }
    return NULL;
}

static void many_starts_leave_nothing(void)
{
    pthread_t threads[THREADS];
    struct footprint before;
    sandlock_policy *policy;
    int i;

    if (!offered())
        return;
    policy = apart_policy();
    run_and_check(policy, 0);
    before = footprint();
    failed_starts = 0;
    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, start_often, policy);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(failed_starts == 0);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void *start_and_end(void *process)
{
    sandlock_policy *policy = apart_policy();

    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "0.3"), NULL, process, NULL));
    sandlock_policy_free(policy);
    return NULL;
}

static void thread_that_starts_it_may_end(void)
{
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    pthread_t thread;

    if (!offered())
        return;
    pthread_create(&thread, NULL, start_and_end, &process);
    pthread_join(thread, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    sandlock_process_free(process);
}

static void with_closed_streams(void)
{
    int out = dup(1), fd;
    sandlock_policy *policy;

    for (fd = 0; fd < 3; fd++)
        close(fd);
    policy = apart_policy();
    sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_MOUNT, true, NULL);
    sandlock_policy_add_memory_mount(policy, "/mnt", 1 << 20, NULL);
    run_and_check(policy, 3);
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    run_and_check(policy, 4);
    for (fd = 0; fd < 3; fd++)
        CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    sandlock_policy_free(policy);
    dup2(out, 1);
}

static void host_may_have_no_streams(void)
{
    if (offered())
        in_a_fork(with_closed_streams);
}

/* A host that has a few descriptors left, or none. */
static void start_without_descriptors_fails_and_leaves_nothing(void)
{
    struct rlimit saved, tight;
    sandlock_policy *policy;
    struct footprint before;
    int spare, succeeded = 0, failed = 0;

    if (!offered())
        return;
    policy = apart_policy();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, "/mnt", 1 << 20, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, "/mnt/inner", 1 << 20, NULL));
    run_and_check(policy, 0);
    before = footprint();
    getrlimit(RLIMIT_NOFILE, &saved);
    for (spare = 0; spare < 24; spare++) {
        sandlock_result *result = NULL;
        sandlock_error *error = NULL;
        int highest = dup(0);
        int32_t status;

        close(highest);
        tight = saved;
        tight.rlim_cur = (rlim_t)(highest + spare);
        setrlimit(RLIMIT_NOFILE, &tight);
        status = sandlock_run(policy, NULL, ARGV("true"), 20000, &result, &error);
        setrlimit(RLIMIT_NOFILE, &saved);
        if (status == SANDLOCK_OK) {
            succeeded++;
            CHECK(sandlock_result_exit_code(result) == 0);
        } else {
            failed++;
            if (!CHECK(sandlock_error_errno(error) == EMFILE || sandlock_error_errno(error) == EINVAL))
                printf("# %d spare: %s\n", spare, sandlock_error_message(error));
        }
        sandlock_result_free(result);
        sandlock_error_free(error);
        CHECK_UNCHANGED(before);
    }
    CHECK(succeeded > 0 && failed > 0);
    sandlock_policy_free(policy);
}

/* --- an init that somebody outside kills --- */

static atomic_int hunting;

/* Kills whatever child the host has, again and again, at no time in particular. */
static void *hunt(void *unused)
{
    unsigned random = 12345;

    while (hunting) {
        char path[64], text[256];
        DIR *tasks = opendir("/proc/self/task");
        struct dirent *task;

        while ((task = readdir(tasks))) {
            int fd, child;
            ssize_t length;
            snprintf(path, sizeof path, "/proc/self/task/%.20s/children", task->d_name);
            fd = open(path, O_RDONLY | O_CLOEXEC);
            length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
            if (fd >= 0)
                close(fd);
            if (length <= 0)
                continue;
            text[length] = 0;
            random = random * 1103515245 + 12345;
            usleep(random >> 16 & 1023);
            child = atoi(text);
            if (child > 1)
                kill(child, SIGKILL);
        }
        closedir(tasks);
    }
    return unused;
}

/* Whatever it is killed in, the start fails or the program is killed, nobody waits for ever, and no process or thread is left. A descriptor
 * may be: one that it had just opened in the table that it shares. */
static void kill_inits(void)
{
    enum { ROUNDS = 40 };
    sandlock_policy *policy = apart_policy();
    struct footprint before;
    pthread_t thread;
    int i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, "/mnt", 1 << 20, NULL));
    run_and_check(policy, 0);
    for (i = 0; i < 2 * ROUNDS; i++) {
        sandlock_result *result = NULL;
        if (i == 0)
            before = footprint();
        if (i % ROUNDS == 0)
            sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, i > 0, NULL);
        hunting = 1;
        pthread_create(&thread, NULL, hunt, NULL);
        if (sandlock_run(policy, NULL, ARGV("sleep", "1000"), 20000, &result, NULL) == SANDLOCK_OK) {
            CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED && sandlock_result_signal(result) == SIGKILL);
        }
        sandlock_result_free(result);
        hunting = 0;
        pthread_join(thread, NULL);
    }
    before.descriptors = footprint().descriptors;
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void init_may_be_killed_at_any_moment(void)
{
    if (offered())
        in_a_fork(kill_inits);
}

TESTS(T(host_may_take_the_ends_of_its_children), T(nobody_outlives_the_host), T(supervisor_speaks_of_the_hosts_numbers),
      T(terminal_of_its_own_is_the_programs), T(many_starts_leave_nothing), T(thread_that_starts_it_may_end),
      T(host_may_have_no_streams), T(start_without_descriptors_fails_and_leaves_nothing), T(init_may_be_killed_at_any_moment))
