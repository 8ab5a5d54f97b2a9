/* The host's health: what starting, failing, killing and waiting leave behind in it, under load and in trouble. */
#include "support.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>

static int32_t run_status(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = NULL;
    int32_t status = sandlock_run(policy, NULL, argv, 20000, &result, NULL);

    if (status == SANDLOCK_OK && sandlock_result_exit_code(result) != 0)
        status = 1;
    sandlock_result_free(result);
    return status;
}

static sandlock_process *spawn(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    return process;
}

/* --- failures --- */

static void failed_spawn_leaves_nothing_behind(void)
{
    sandlock_policy *good = system_policy(), *bad = system_policy();
    struct footprint before;
    const uint32_t cpu = 1000;
    int i;

    sandlock_policy_set_cpus(bad, &cpu, 1, NULL);
    run_status(good, ARGV("true"));
    run_status(bad, ARGV("true"));
    before = footprint();
    for (i = 0; i < 50; i++) {
        CHECK_STATUS(SANDLOCK_ERROR_EXEC, run_status(good, ARGV("/nope")));
        CHECK_STATUS(SANDLOCK_ERROR_CHILD_SETUP, run_status(bad, ARGV("true")));
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(good);
    sandlock_policy_free(bad);
}

/* Most of what a start takes goes into the filter, in the kernel, and the program is killed there: what the kernel then leaves in this
 * process is for the library to know of. */
static void time_that_is_up_during_a_start_leaves_nothing_behind(void)
{
    static const char *const groups[] = {"@clock", "@keyring", "@pkey", "@resources", "@sandbox", "@setuid", "@timer"};
    sandlock_policy *policy = system_policy();
    struct footprint before;
    int i, early = 0;

    for (i = 0; i < (int)(sizeof groups / sizeof *groups); i++)
        sandlock_policy_deny_syscall(policy, groups[i], 10 + i, NULL);
    run_status(policy, ARGV("true"));
    before = footprint();
    for (i = 0; i < 400; i++) {
        sandlock_result *result = NULL;
        int32_t status = sandlock_run(policy, NULL, ARGV("sleep", "60"), i % 2, &result, NULL);
        CHECK(status == SANDLOCK_OK ? sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT
                                    : status == SANDLOCK_ERROR_TIMEOUT);
        early += status != SANDLOCK_OK;
        sandlock_result_free(result);
    }
    CHECK(early > 0);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void host_without_descriptors_gets_an_error_and_keeps_none(void)
{
    struct rlimit saved, tight;
    sandlock_policy *policy = system_policy();
    struct footprint before;
    int spare, succeeded = 0, failed = 0;

    CHECK_STATUS(SANDLOCK_OK, run_status(policy, ARGV("true")));
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
        } else {
            failed++;
            CHECK(status == SANDLOCK_ERROR_SYSTEM || status == SANDLOCK_ERROR_CHILD_SETUP);
            CHECK(sandlock_error_errno(error) == EMFILE || sandlock_error_errno(error) == EINVAL);
        }
        sandlock_error_free(error);
        sandlock_result_free(result);
        CHECK_UNCHANGED(before);
    }
    CHECK(succeeded > 5 && failed > 5);
    sandlock_policy_free(policy);
}

/* As daemons do: what was prepared for one policy must not serve another that has got its numbers since, nor be closed again. */
static void host_that_closes_what_it_does_not_know_keeps_policies_apart(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        sandlock_policy *strict = system_policy(), *lax = system_policy();
        const char *const *read = ARGV("cat", "/etc/hostname");
        int i, files[32];

        test_failures = 0;
        allow(lax, "/etc/hostname", SANDLOCK_ACCESS_READ);
        CHECK_STATUS(SANDLOCK_OK, run_status(strict, ARGV("true")));
        CHECK(run_status(strict, read) == 1);
        close_range(3, ~0U, 0);
        CHECK_STATUS(SANDLOCK_OK, run_status(lax, read));
        CHECK(run_status(strict, read) == 1);
        CHECK_STATUS(SANDLOCK_OK, run_status(strict, ARGV("true")));
        CHECK_STATUS(SANDLOCK_OK, run_status(lax, read));
        close_range(3, ~0U, 0);
        for (i = 0; i < 32; i++)
            files[i] = open("/dev/null", O_RDONLY);
        sandlock_policy_free(strict);
        CHECK_STATUS(SANDLOCK_OK, run_status(lax, read));
        sandlock_policy_free(lax);
        for (i = 0; i < 32; i++)
            CHECK(fcntl(files[i], F_GETFD) == 0);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void host_without_threads_gets_an_error(void)
{
    struct rlimit limit = {1, 1};
    pid_t pid;
    int status;

    if (getuid() == 0)
        return; /* the kernel exempts user 0 */
    pid = fork();
    if (pid == 0) {
        sandlock_policy *policy = system_policy();
        sandlock_error *error = NULL;
        sandlock_result *result = NULL;
        test_failures = 0;
        setrlimit(RLIMIT_NPROC, &limit);
        CHECK_STATUS(SANDLOCK_ERROR_SYSTEM, sandlock_run(policy, NULL, ARGV("true"), -1, &result, &error));
        CHECK(sandlock_error_errno(error) == EAGAIN && sandlock_error_stage(error) == SANDLOCK_STAGE_SPAWN);
        sandlock_error_free(error);
        sandlock_policy_free(policy);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* --- load --- */

static void ten_thousand_runs_leave_the_host_as_it_was(void)
{
    const char *count = getenv("SANDLOCK_TEST_RUNS");
    int runs = count ? atoi(count) : 10000, i, failed = 0;
    sandlock_policy *policy = system_policy();
    struct footprint before;
    long resident;

    for (i = 0; i < 200; i++)
        failed += run_status(policy, ARGV("/bin/true")) != SANDLOCK_OK;
    before = footprint();
    resident = resident_kb();
    for (i = 0; i < runs; i++)
        failed += run_status(policy, ARGV("/bin/true")) != SANDLOCK_OK;
    CHECK(failed == 0);
    CHECK_UNCHANGED(before);
    /* A sanitizer keeps freed memory back; it looks for leaks itself. */
    if (!getenv("SANDLOCK_TEST_SANITIZER") && !CHECK(resident_kb() <= resident + 256))
        printf("# resident memory %ld to %ld KiB\n", resident, resident_kb());
    sandlock_policy_free(policy);
}

enum { THREADS = 64 };

struct worker {
    pthread_t thread;
    const sandlock_policy *policy;
    int number, failed;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    char text[32], expected_text[40];
    int i;

    for (i = 0; i < 5; i++) {
        sandlock_result *result = NULL;
        snprintf(text, sizeof text, "%d of %d", i, worker->number);
        snprintf(expected_text, sizeof expected_text, "%s\n", text);
        if (sandlock_run(worker->policy, NULL, ARGV("echo", text), 20000, &result, NULL) ||
            strcmp(output(result), expected_text))
            worker->failed++;
        sandlock_result_free(result);
    }
    return NULL;
}

static void sixty_four_threads_run_at_once(void)
{
    struct worker workers[THREADS];
    sandlock_policy *policy = system_policy();
    struct footprint before;
    int i;

    run_status(policy, ARGV("true"));
    before = footprint();
    for (i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.policy = policy, .number = i};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].failed == 0);
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void *spawn_and_leave(void *argument)
{
    return spawn(argument, ARGV("sh", "-c", "sleep 0.3; echo still here"));
}

static void program_outlives_the_thread_that_started_it(void)
{
    sandlock_policy *policy = system_policy();
    void *process = NULL;
    sandlock_result *result = NULL;
    pthread_t thread;

    pthread_create(&thread, NULL, spawn_and_leave, policy);
    pthread_join(thread, &process);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
    CHECK(!strcmp(output(result), "still here\n"));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void *wait_for_process(void *process)
{
    sandlock_result *result = NULL;
    int32_t status = sandlock_process_wait(process, 20000, &result, NULL);

    if (status == SANDLOCK_OK && sandlock_result_reason(result) != SANDLOCK_REASON_KILLED)
        status = 1;
    sandlock_result_free(result);
    return (void *)(intptr_t)status;
}

static void several_threads_wait_while_another_kills(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60"));
    pthread_t waiters[8];
    void *status;
    int i;

    for (i = 0; i < 8; i++)
        pthread_create(&waiters[i], NULL, wait_for_process, process);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    for (i = 0; i < 8; i++) {
        pthread_join(waiters[i], &status);
        CHECK(status == NULL);
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_signal(process, SIGTERM, NULL));
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* --- ends --- */

static void wait_with_a_timeout_leaves_the_program_running(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60"));
    sandlock_result *result = NULL;
    struct pollfd ended = {.fd = sandlock_process_pidfd(process), .events = POLLIN};

    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(process, 0, &result, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(process, 50, &result, NULL));
    CHECK(result == NULL && poll(&ended, 1, 0) == 0);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_signal(process, 1000, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_signal(process, 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_signal(process, SIGTERM, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED && sandlock_result_signal(result) == SIGTERM);
    CHECK(poll(&ended, 1, 0) == 1);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* The daemon of the attack program holds a lock for as long as it lives. */
static int locked(const char *path)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open(path, O_RDWR), found;

    found = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return found ? lock.l_pid : 0;
}

static int unlocked_within(const char *path, double limit)
{
    double start = seconds();

    while (locked(path))
        if (seconds() - start > limit)
            return 0;
    return 1;
}

static void daemons_die_with_the_program(void)
{
    const char *tree = make_tree(), *file = in_tree(tree, "lock");
    sandlock_policy *policy = system_policy();
    sandlock_result *result;
    int daemon;

    write_text(file, "");
    allow(policy, file, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    result = run_program(policy, ARGV(program("attack_processes"), "daemon", file));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK(unlocked_within(file, 2));
    sandlock_result_free(result);

    /* Without the feature the daemon lives on: it is this protection that killed it. */
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL);
    result = run_program(policy, ARGV(program("attack_processes"), "daemon", file));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK(!unlocked_within(file, 0.3));
    daemon = locked(file);
    CHECK(daemon > 1 && kill(daemon, SIGKILL) == 0);
    sandlock_result_free(result);
    remove_tree(tree);
    sandlock_policy_free(policy);
}

static void freeing_a_live_process_kills_it_and_its_daemons(void)
{
    const char *tree = make_tree(), *file = in_tree(tree, "lock");
    sandlock_policy *policy = system_policy();
    sandlock_process *process;
    struct footprint before = footprint();
    char command[PATH_MAX * 4];
    int pid;

    write_text(file, "");
    allow(policy, file, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    snprintf(command, sizeof command, "%s daemon %s; sleep 60", program("attack_processes"), file);
    process = spawn(policy, ARGV("sh", "-c", command));
    while (!locked(file))
        ;
    pid = sandlock_process_pid(process);
    sandlock_process_free(process);
    CHECK(kill(pid, 0) < 0 && errno == ESRCH);
    CHECK(unlocked_within(file, 2));
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
    remove_tree(tree);
}

/* A host that is killed takes the program with it. */
static void program_dies_with_the_host(void)
{
    int ends[2], pid = 0;
    pid_t host;

    CHECK(pipe(ends) == 0);
    host = fork();
    if (host == 0) {
        sandlock_policy *policy = system_policy();
        sandlock_process *process = spawn(policy, ARGV("sleep", "60"));
        pid = sandlock_process_pid(process);
        if (write(ends[1], &pid, sizeof pid) != sizeof pid)
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(read(ends[0], &pid, sizeof pid) == sizeof pid && pid > 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* so that the orphan can be waited for */
    kill(host, SIGKILL);
    CHECK(waitpid(host, NULL, 0) == host);
    {
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(ends[0]);
    close(ends[1]);
}

/* --- hosts with habits --- */

/* poll(2) refuses more descriptors than the limit, even if they are open. */
static void host_that_forbids_itself_descriptors_can_still_end_a_sandbox(void)
{
    struct rlimit saved, none;
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60")), *brief = spawn(policy, ARGV("sleep", "0.3"));
    sandlock_result *result = NULL;
    int limit;

    getrlimit(RLIMIT_NOFILE, &saved);
    none = saved;
    for (limit = 3; limit >= 0; limit -= 3) {
        none.rlim_cur = (rlim_t)limit;
        setrlimit(RLIMIT_NOFILE, &none);
    }
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(brief, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    setrlimit(RLIMIT_NOFILE, &saved);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_process_free(brief);
    sandlock_policy_free(policy);
}

static volatile int stop_forking;

static void *fork_without_exec(void *unused)
{
    while (!stop_forking) {
        pid_t pid = fork();
        if (pid == 0) {
            poll(NULL, 0, 1000);
            _exit(0);
        }
        poll(NULL, 0, 5);
    }
    return unused;
}

/* A host whose other threads fork: what those children inherit must not hold up a start. */
static void forks_of_the_host_do_not_hold_up_a_start(void)
{
    sandlock_policy *shared = system_policy(), *copied = system_policy();
    pthread_t forker;
    double start;
    int i;

    sandlock_policy_set_flag(copied, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    pthread_create(&forker, NULL, fork_without_exec, NULL);
    start = seconds();
    for (i = 0; i < 4; i++) {
        sandlock_process *one = spawn(shared, ARGV("/bin/true")), *other = spawn(copied, ARGV("/bin/true"));
        sandlock_process_kill(one, NULL);
        sandlock_process_kill(other, NULL);
        sandlock_process_free(one);
        sandlock_process_free(other);
        if (i == 0)
            CHECK(seconds() - start < 5);
    }
    stop_forking = 1;
    pthread_join(forker, NULL);
    while (wait(NULL) > 0)
        ;
    sandlock_policy_free(shared);
    sandlock_policy_free(copied);
}

static void status_survives_a_host_that_ignores_its_children(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result;

    signal(SIGCHLD, SIG_IGN);
    result = run_program(policy, ARGV(program("probe"), "exit", "7"));
    signal(SIGCHLD, SIG_DFL);
    if (expected("pidfd-info")) {
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
        CHECK(sandlock_result_exit_code(result) == 7);
    } else {
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LOST);
        CHECK(sandlock_result_exit_code(result) == -1);
    }
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

static volatile int stop_reaping;

static void *reap_everything(void *unused)
{
    (void)unused;
    while (!stop_reaping)
        waitpid(-1, NULL, WNOHANG);
    return NULL;
}

static void status_survives_a_host_that_reaps_everything(void)
{
    sandlock_policy *policy = system_policy();
    pthread_t reaper;
    int i;

    pthread_create(&reaper, NULL, reap_everything, NULL);
    for (i = 0; i < 50; i++) {
        sandlock_result *result = run_program(policy, ARGV(program("probe"), "exit", "7"));
        int known = sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 7;
        CHECK(known || (!expected("pidfd-info") && sandlock_result_reason(result) == SANDLOCK_REASON_LOST));
        sandlock_result_free(result);
    }
    stop_reaping = 1;
    pthread_join(reaper, NULL);
    sandlock_policy_free(policy);
}

static volatile sig_atomic_t handled;

static void count_signal(int unused)
{
    (void)unused;
    handled++;
}

/* A timer that fires all the time, with a handler of the host: it must not run in the child, nor disturb the calls. */
static void signals_of_the_host_disturb_nothing(void)
{
    struct sigaction action = {.sa_handler = count_signal}; /* without SA_RESTART */
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    sandlock_policy *policy = system_policy();
    sigset_t before, after;
    int i;

    pthread_sigmask(SIG_BLOCK, NULL, &before);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (i = 0; i < 200; i++)
        CHECK_STATUS(SANDLOCK_OK, run_status(policy, ARGV("/bin/true")));
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    CHECK(handled > 10);
    CHECK(!memcmp(&before, &after, 8));
    sandlock_policy_free(policy);
}

/* Where all threads block SIGCHLD and one asks for it, it is for that one, also if they have begun to while a sandbox ran. */
static void host_that_asks_for_the_signal_of_children_gets_it(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60"));
    struct signalfd_siginfo info;
    sigset_t child, before;
    int signals, i;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, &child, &before);
    signals = signalfd(-1, &child, SFD_CLOEXEC);
    for (i = 0; i < 30; i++) {
        struct pollfd ready = {.fd = signals, .events = POLLIN};
        pid_t pid = fork();

        if (pid == 0)
            _exit(0);
        /* Nobody reads yet when it comes. */
        CHECK(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT) == 0);
        CHECK(poll(&ready, 1, 10000) == 1 && read(signals, &info, sizeof info) == sizeof info);
        CHECK(info.ssi_signo == SIGCHLD && (pid_t)info.ssi_pid == pid);
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
    sandlock_process_free(process);
    close(signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    sandlock_policy_free(policy);
}

static pthread_t handling;

static void note_thread(int unused)
{
    (void)unused;
    handling = pthread_self();
    handled++;
}

/* A handler runs on threads of the host, also if it was installed while a sandbox ran. */
static void handlers_of_the_signal_run_on_threads_of_the_host(void)
{
    struct sigaction action = {.sa_handler = note_thread, .sa_flags = SA_RESTART};
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60"));
    int i;

    sigaction(SIGCHLD, &action, NULL);
    handled = 0;
    sandlock_process_free(process);
    CHECK(handled == 1 && pthread_equal(handling, pthread_self()));
    for (i = 0; i < 20; i++)
        CHECK_STATUS(SANDLOCK_OK, run_status(policy, ARGV("/bin/true")));
    signal(SIGCHLD, SIG_DFL);
    CHECK(handled > 0 && pthread_equal(handling, pthread_self()));
    sandlock_policy_free(policy);
}

/* setuid() and the like must reach every thread of the process, the library's too, or they hang. */
static void host_can_change_its_ids_while_a_program_runs(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = spawn(policy, ARGV("sleep", "60"));

    CHECK(setuid(getuid()) == 0 && setgid(getgid()) == 0);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void thread_is_named_and_takes_no_signals(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    int found = 0;
    struct dirent *entry;
    DIR *tasks;

    options.name = "a name that is too long";
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "60"), &options, &process, NULL));
    tasks = opendir("/proc/self/task");
    while ((entry = readdir(tasks))) {
        char path[300], line[256];
        unsigned long long blocked = 0;
        int named = 0;
        FILE *status;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status)) {
            named |= !strcmp(line, "Name:\ta name that is \n");
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        if (status)
            fclose(status);
        /* All but KILL, STOP and the three that libc keeps for itself. */
        if (named)
            found += (blocked | 0x0000000380040100ull) == 0xffffffffffffffffull;
    }
    closedir(tasks);
    CHECK(found == 1);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* The program's output ends with the sandbox, even if a descriptor of it has escaped. */
static void escaped_output_does_not_hold_the_result_up(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    char path[64], byte;
    double start;
    sandlock_result *result = NULL;
    int kept, input, errors;

    options.stdin_mode = options.stderr_mode = SANDLOCK_STDIO_PIPE;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sh", "-c", "echo before; echo ready >&2; read x"), &options,
                                             &process, NULL));
    input = sandlock_process_take_stdio(process, 0);
    errors = sandlock_process_take_stdio(process, 2);
    CHECK(read(errors, &byte, 1) == 1); /* it runs, and runs on until its input ends */
    snprintf(path, sizeof path, "/proc/%d/fd/1", sandlock_process_pid(process));
    kept = open(path, O_WRONLY); /* the host is allowed to look at its child */
    CHECK(kept >= 0);
    close(input);
    start = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(seconds() - start < 5);
    CHECK(!strcmp(output(result), "before\n"));
    close(kept);
    close(errors);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* Must be the first: what is asked once is asked here. */
static void shortage_at_the_first_probe_is_not_remembered(void)
{
    sandlock_capabilities found = SANDLOCK_CAPABILITIES_INIT;
    struct rlimit usual, few;

    getrlimit(RLIMIT_NOFILE, &usual);
    few = usual;
    few.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &few);
    CHECK_STATUS(SANDLOCK_ERROR_SYSTEM, sandlock_probe(&found, NULL));
    setrlimit(RLIMIT_NOFILE, &usual);
    CHECK_STATUS(SANDLOCK_OK, sandlock_probe(&found, NULL));
    CHECK(found.notify_addfd && found.notify_addfd_send);
}

static sandlock_process *waited_for;

static void *wait_without_end(void *unused)
{
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(waited_for, -1, &result, NULL));
    sandlock_result_free(result);
    pthread_testcancel();
    return unused;
}

static void thread_that_is_cancelled_finishes_its_call(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    pthread_t thread;
    void *returned = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sleep", "0.3"), &options, &waited_for, NULL));
    pthread_create(&thread, NULL, wait_without_end, NULL);
    pthread_cancel(thread);
    pthread_join(thread, &returned);
    CHECK(returned == PTHREAD_CANCELED);
    sandlock_process_free(waited_for);
    sandlock_policy_free(policy);
}

static atomic_int forking_is_over;

static void *run_all_the_time(void *unused)
{
    sandlock_policy *policy = system_policy();

    while (!forking_is_over)
        run_status(policy, ARGV("true"));
    sandlock_policy_free(policy);
    return unused;
}

/* Whatever the host's other threads were at, none of which a fork has. */
static void forks_of_a_busy_host_run_programs(void)
{
    enum { THREADS = 4, FORKS = 150 };
    pthread_t threads[THREADS];
    int i, status;

    /* A sanitizer has locks of its own, which a fork of a busy program may leave taken. */
    if (getenv("SANDLOCK_TEST_SANITIZER"))
        return;
    forking_is_over = 0;
    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run_all_the_time, NULL);
    for (i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            sandlock_policy *policy = system_policy();
            sandlock_result *result = NULL;
            alarm(20);
            _exit(sandlock_run(policy, NULL, ARGV("true"), -1, &result, NULL) != SANDLOCK_OK ||
                  sandlock_result_exit_code(result) != 0);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    forking_is_over = 1;
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

TESTS(T(shortage_at_the_first_probe_is_not_remembered), T(failed_spawn_leaves_nothing_behind), T(time_that_is_up_during_a_start_leaves_nothing_behind),
      T(host_without_descriptors_gets_an_error_and_keeps_none),
      T(host_that_closes_what_it_does_not_know_keeps_policies_apart), T(host_without_threads_gets_an_error), T(sixty_four_threads_run_at_once),
      T(program_outlives_the_thread_that_started_it), T(several_threads_wait_while_another_kills),
      T(wait_with_a_timeout_leaves_the_program_running), T(daemons_die_with_the_program),
      T(freeing_a_live_process_kills_it_and_its_daemons), T(program_dies_with_the_host),
      T(host_that_forbids_itself_descriptors_can_still_end_a_sandbox), T(forks_of_the_host_do_not_hold_up_a_start),
      T(status_survives_a_host_that_ignores_its_children), T(status_survives_a_host_that_reaps_everything),
      T(signals_of_the_host_disturb_nothing), T(host_that_asks_for_the_signal_of_children_gets_it), T(handlers_of_the_signal_run_on_threads_of_the_host), T(host_can_change_its_ids_while_a_program_runs),
      T(thread_that_is_cancelled_finishes_its_call), T(forks_of_a_busy_host_run_programs),
      T(thread_is_named_and_takes_no_signals), T(escaped_output_does_not_hold_the_result_up),
      T(ten_thousand_runs_leave_the_host_as_it_was))
