/* Every figure beside its reference, measured in turn in the same run; printed as a table, and as JSON into a file.
 *
 *     bench JSON-FILE [GROUP]  everything, or one group of figures
 *     bench --host MEBIBYTES   a host of that size, which starts one program for each line on its standard input
 *     bench --client TOPIC PORT COUNT   the client of the network's figures: see traffic.c
 *     bench --worker PROGRAM   the worker that those of the bindings are compared with: see bindings.c
 *
 * Absolute times say little: machines differ and are shared. What counts is the median of the ratios of pairs. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { PATHS = 6 };
static const char *const paths[PATHS] = {"/usr", "/bin", "/lib", "/lib64", "/etc", "/opt"};
char self[PATH_MAX], probe[PATH_MAX + 8], directory[PATH_MAX];

void die(const char *what)
{
    perror(what);
    exit(1);
}

double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

sandlock_policy *make_policy(void)
{
    sandlock_policy *policy = sandlock_policy_new();
    int i;

    for (i = 0; i < PATHS; i++)
        sandlock_policy_allow_path(policy, paths[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL, NULL);
    return policy;
}

/* --- starting programs --- */

static const char *const true_argv[] = {"/bin/true", NULL};

/* Microseconds until the program was waited for, and in `*until_free` until the sandbox was given back too. */
static double start_and_wait(const sandlock_policy *policy, sandlock_supervisor *supervisor, double *until_free)
{
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    double start = now_us(), waited;

    if (sandlock_spawn(policy, supervisor, true_argv, NULL, &process, &error) ||
        sandlock_process_wait(process, -1, &result, &error) || sandlock_result_exit_code(result) != 0) {
        fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
        exit(1);
    }
    waited = now_us() - start;
    sandlock_process_free(process);
    *until_free = now_us() - start;
    sandlock_result_free(result);
    return waited;
}

static double start_supervised(const sandlock_policy *policy, sandlock_supervisor *supervisor)
{
    double took;

    start_and_wait(policy, supervisor, &took);
    return took;
}

static double start_sandboxed(const sandlock_policy *policy)
{
    return start_supervised(policy, NULL);
}

static double start_plainly(const char *const *argv)
{
    double start = now_us();
    int status;
    pid_t pid;

    if (posix_spawn(&pid, argv[0], NULL, NULL, (char *const *)argv, environ) || waitpid(pid, &status, 0) != pid)
        die("posix_spawn");
    if (status) {
        fprintf(stderr, "bench: %s ended with status %x\n", argv[0], status);
        exit(1);
    }
    return now_us() - start;
}

/* --- references for what runs inside --- */

static int reference_ruleset(void)
{
    /* All that ABI 7 has, as in the library's own ruleset: files, TCP, scopes. */
    const uint64_t attr[3] = {(1 << 16) - 1, 3, 3};
    struct landlock_path_beneath_attr rule = {
        .allowed_access = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};
    const char *granted[PATHS + 1];
    int ruleset, i;

    memcpy(granted, paths, sizeof paths);
    granted[PATHS] = directory; /* where the measuring program lies */
    ruleset = (int)syscall(SYS_landlock_create_ruleset, attr, sizeof attr, 0);
    for (i = 0; i <= PATHS; i++) {
        rule.parent_fd = open(granted[i], O_PATH | O_CLOEXEC);
        if (rule.parent_fd >= 0 && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
            die("landlock_add_rule");
        close(rule.parent_fd);
    }
    return ruleset;
}

static void allow_everything(void)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        die("seccomp");
}

/* Not in the headers of Debian 12: SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (Linux 6.6). */
#define SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SYNC_WAKE_UP 1ul

/* Not in the headers of Debian 12 either. */
#define FCHMODAT2 452

/* Traps the calls that are timed, and gives the other side of the socket the listener. */
static void trap_timed_calls(int socket)
{
    struct sock_filter trap[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FCHMODAT2, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {5, trap};
    char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);

    if (listener < 0)
        die("seccomp");
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    if (sendmsg(socket, &message, 0) != 1)
        die("sendmsg");
    close(listener);
    close(socket);
}

/* The least that serves a trapped call: one thread that blocks in the kernel, and answers. Until the program ends. */
static void serve_timed_calls(int socket)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct seccomp_notif call;
    int listener;

    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
        die("recvmsg");
    memcpy(&listener, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof listener);
    close(socket);
    ioctl(listener, SET_FLAGS, SYNC_WAKE_UP);
    for (;;) {
        struct seccomp_notif_resp answer = {0};

        memset(&call, 0, sizeof call);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
            if (errno == EINTR)
                continue;
            break;
        }
        answer.id = call.id;
        answer.val = 7;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
    close(listener);
}

double measure_reference(enum reference reference, const char *const *argv)
{
    int ends[2], sockets[2], status;
    char text[64] = {0};
    pid_t pid;

    if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) || (pid = fork()) < 0)
        die("fork");
    if (pid == 0) {
        dup2(ends[1], 1);
        /* Like a sandbox: the kernel schedules sessions against each other (autogroup), which would count for one side only. */
        setsid();
        if (reference != BARE) {
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if (reference == FILTERED_AND_CONFINED && syscall(SYS_landlock_restrict_self, reference_ruleset(), 0))
                die("landlock_restrict_self");
            if (reference == SERVED)
                trap_timed_calls(sockets[1]);
            else
                allow_everything();
        }
        execv(argv[0], (char *const *)argv);
        die(argv[0]);
    }
    close(ends[1]);
    close(sockets[1]);
    if (reference == SERVED)
        serve_timed_calls(sockets[0]);
    else
        close(sockets[0]);
    if (read(ends[0], text, sizeof text - 1) <= 0)
        die("read");
    close(ends[0]);
    waitpid(pid, &status, 0);
    return atof(text);
}

static double measure_supervised(const sandlock_policy *policy, sandlock_supervisor *supervisor, const char *const *argv)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    double found;

    if (sandlock_run(policy, supervisor, argv, -1, &result, &error) || sandlock_result_exit_code(result) != 0) {
        fprintf(stderr, "bench: %s %s\n", sandlock_error_message(error),
                (const char *)sandlock_result_stderr(result, NULL));
        exit(1);
    }
    found = atof((const char *)sandlock_result_stdout(result, NULL));
    sandlock_result_free(result);
    return found;
}

double measure_sandboxed(const sandlock_policy *policy, const char *const *argv)
{
    return measure_supervised(policy, NULL, argv);
}

/* --- hosts of different sizes --- */

struct host {
    FILE *commands, *answers;
};

static void run_host(size_t mebibytes)
{
    sandlock_policy *policy = make_policy();
    char line[16];

    if (mebibytes) {
        char *memory =
            mmap(NULL, mebibytes << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            die("mmap");
        madvise(memory, mebibytes << 20, MADV_NOHUGEPAGE); /* as many page table entries as possible */
        memset(memory, 1, mebibytes << 20);
    }
    while (fgets(line, sizeof line, stdin)) {
        printf("%f\n", start_sandboxed(policy));
        fflush(stdout);
    }
    exit(0);
}

static struct host start_host(const char *mebibytes)
{
    const char *argv[] = {self, "--host", mebibytes, NULL};
    posix_spawn_file_actions_t actions;
    struct host host;
    int in[2], out[2];
    pid_t pid;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        die("pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    if (posix_spawn(&pid, self, &actions, NULL, (char *const *)argv, environ))
        die("posix_spawn");
    close(in[0]);
    close(out[1]);
    host.commands = fdopen(in[1], "w");
    host.answers = fdopen(out[0], "r");
    return host;
}

static double ask_host(struct host host)
{
    char line[64];

    fputs("x\n", host.commands);
    fflush(host.commands);
    if (!fgets(line, sizeof line, host.answers))
        die("host");
    return atof(line);
}

/* --- pairs --- */

static int compare(const void *one, const void *other)
{
    double difference = *(const double *)one - *(const double *)other;

    return (difference > 0) - (difference < 0);
}

double median(const double *values, int count)
{
    double sorted[MOST];

    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

static FILE *json;
static int missed, printed;

void figure(const char *name, const char *reference, const char *unit, const double *ours, const double *theirs, int count,
            double most)
{
    double ratios[MOST], ratio;
    int i, good;

    for (i = 0; i < count; i++)
        ratios[i] = ours[i] / theirs[i];
    ratio = median(ratios, count);
    good = most == 0 || ratio <= most;
    missed += !good;
    printf("%-44s %9.2f %-3s %9.2f %-3s %7.3fx ", name, median(ours, count), unit, median(theirs, count), unit, ratio);
    if (most > 0)
        printf("<= %.2fx %s", most, good ? "met" : "MISSED");
    printf("\n%-44s   against %s, %d pair%s\n", "", reference, count, count == 1 ? "" : "s");
    fprintf(json,
            "%s  {\"figure\": \"%s\", \"reference\": \"%s\", \"unit\": \"%s\", \"median\": %.3f, "
            "\"reference_median\": %.3f, \"ratio\": %.4f, \"most\": %.2f, \"met\": %s, \"pairs\": %d}",
            printed++ ? ",\n" : "", name, reference, unit, median(ours, count), median(theirs, count), ratio, most,
            good ? "true" : "false", count);
    fflush(stdout);
}

static void bench_start(void)
{
    enum { PAIRS = 400, FEWER = 60 };
    sandlock_policy *policy = make_policy();
    double ours[PAIRS], theirs[PAIRS], fresh[PAIRS];
    const char *const bwrap[] = {"/usr/bin/bwrap", "--ro-bind", "/", "/", "--unshare-all", "/bin/true", NULL};
    struct host small = start_host("0"), large = start_host("1024");
    int i;

    for (i = 0; i < 20; i++)
        start_sandboxed(policy), start_plainly(true_argv);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = start_sandboxed(policy);
        theirs[i] = start_plainly(true_argv);
    }
    figure("start, execute, wait for /bin/true", "posix_spawn", "us", ours, theirs, PAIRS, 1.5);

    for (i = 0; i < 20; i++)
        ask_host(small), ask_host(large);
    for (i = 0; i < PAIRS / 2; i++) {
        ours[i] = ask_host(large);
        theirs[i] = ask_host(small);
    }
    figure("the same in a host of 1 GiB", "the same in a small host", "us", ours, theirs, PAIRS / 2, 1.1);

    for (i = 0; i < PAIRS / 2; i++) {
        sandlock_policy *unused = make_policy();
        double start = now_us();
        sandlock_policy_check(unused, NULL);
        fresh[i] = now_us() - start;
        start = now_us();
        sandlock_policy_check(unused, NULL);
        theirs[i] = now_us() - start;
        sandlock_policy_free(unused);
    }
    figure("use of a policy for the first time", "use of it again", "us", fresh, theirs, PAIRS / 2, 0);

    if (access(bwrap[0], X_OK) == 0) {
        for (i = 0; i < FEWER; i++) {
            ours[i] = start_sandboxed(policy);
            theirs[i] = start_plainly(bwrap);
        }
        figure("start, execute, wait for /bin/true", "bubblewrap --unshare-all", "us", ours, theirs, FEWER, 0);
    } else {
        printf("bubblewrap is not installed: no figure beside it\n");
    }
    sandlock_policy_free(policy);
}

static sandlock_policy *make_apart_policy(const uint32_t *namespaces)
{
    sandlock_policy *policy = make_policy();

    sandlock_policy_set_user(policy, 0, 0, NULL);
    for (; *namespaces; namespaces++)
        sandlock_policy_set_namespace(policy, *namespaces, true, NULL);
    return policy;
}

enum { NAMESPACE_PAIRS = 200, PAUSED_PAIRS = 60, PAUSE_US = 30000 };

/* Pairs of starts under `policy` and of `reference`, each after `pause` microseconds. The aim is for start, exec and wait; what it costs to
 * give the sandbox back, where the kernel takes its namespaces down, has a figure of its own. */
static void bench_starts(const char *name, const char *beside, sandlock_policy *policy, const char *const *reference, int pairs,
                         unsigned pause, double aim)
{
    double ours[NAMESPACE_PAIRS], freed[NAMESPACE_PAIRS], theirs[NAMESPACE_PAIRS];
    char and_free[100];
    int i;

    for (i = 0; i < pairs; i++) {
        usleep(pause);
        ours[i] = start_and_wait(policy, NULL, &freed[i]);
        usleep(pause);
        theirs[i] = start_plainly(reference);
    }
    figure(name, beside, "us", ours, theirs, pairs, aim);
    snprintf(and_free, sizeof and_free, "%s, given back", name);
    figure(and_free, beside, "us", freed, theirs, pairs, 0);
}

/* What namespaces cost. The kernel takes a network namespace down after its last process has ended, which takes milliseconds, and no
 * other can be made meanwhile: who starts one right after the other measures that, whoever makes them. So there are figures with a
 * pause before every start, and one without. */
static void bench_namespaces(void)
{
    static const uint32_t some[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, 0},
                          networked[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_NET, 0},
                          files[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_PID,
                                     SANDLOCK_NAMESPACE_MOUNT, 0},
                          all[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_PID,
                                   SANDLOCK_NAMESPACE_MOUNT, SANDLOCK_NAMESPACE_NET, 0};
    const char *const bwrap[] = {"/usr/bin/bwrap", "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-user", "--unshare-ipc",
                                 "--unshare-uts", "--unshare-pid", "--unshare-net", "/bin/true", NULL};
    sandlock_policy *policies[] = {make_apart_policy(some), make_apart_policy(networked), make_apart_policy(files),
                                   make_apart_policy(all)};
    sandlock_error *error = NULL;
    size_t i;

    if (sandlock_policy_check(policies[3], &error)) {
        printf("no figures with namespaces: %s\n", sandlock_error_message(error));
        sandlock_error_free(error);
    } else {
        bench_starts("start in user, IPC, UTS namespaces", "posix_spawn", policies[0], true_argv, NAMESPACE_PAIRS, 0, 2.5);
        bench_starts("start in these, PID and mount namespaces", "posix_spawn", policies[2], true_argv, NAMESPACE_PAIRS, 0, 2.5);
        bench_starts("start in user, IPC, UTS, network namespaces", "posix_spawn", policies[1], true_argv, PAUSED_PAIRS, PAUSE_US,
                     2.5);
        bench_starts("start in all namespaces", "posix_spawn", policies[3], true_argv, PAUSED_PAIRS, PAUSE_US, 2.5);
        if (access(bwrap[0], X_OK) == 0) {
            bench_starts("start in all namespaces", "bubblewrap with the same", policies[3], bwrap, PAUSED_PAIRS, PAUSE_US, 0);
            bench_starts("the same without a pause", "bubblewrap with the same", policies[3], bwrap, PAUSED_PAIRS, 0, 0);
        } else {
            printf("bubblewrap is not installed: no figure beside it\n");
        }
    }
    for (i = 0; i < sizeof policies / sizeof *policies; i++)
        sandlock_policy_free(policies[i]);
}

static void bench_calls(void)
{
    enum { PAIRS = 25 };
    const char *const getppid[] = {probe, "time-getppid", "300000", NULL};
    const char *const openat[] = {probe, "time-openat", "20000", "/usr/share/common-licenses/BSD", NULL};
    sandlock_policy *policy = make_policy();
    double ours[PAIRS], theirs[PAIRS], bare[PAIRS];
    int i;

    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_sandboxed(policy, getppid);
        theirs[i] = measure_reference(FILTERED, getppid);
        bare[i] = measure_reference(BARE, getppid);
    }
    figure("getppid in the program", "under a filter of one instruction", "ns", ours, theirs, PAIRS, 1.1);
    figure("getppid in the program", "bare", "ns", ours, bare, PAIRS, 0);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_sandboxed(policy, openat);
        theirs[i] = measure_reference(FILTERED_AND_CONFINED, openat);
        bare[i] = measure_reference(BARE, openat);
    }
    figure("openat and close in the program", "the same Landlock rules, that filter", "ns", ours, theirs, PAIRS, 1.1);
    figure("openat and close in the program", "bare", "ns", ours, bare, PAIRS, 0);
    sandlock_policy_free(policy);
}

/* What the default limit of processes costs a program that makes them. */
static void bench_forks(void)
{
    enum { PAIRS = 25 };
    const char *const fork_and_wait[] = {probe, "time-fork", "200", NULL};
    sandlock_policy *limited = make_policy(), *unlimited = make_policy();
    double ours[PAIRS], theirs[PAIRS], filtered[PAIRS];
    sandlock_error *error = NULL;
    int i;

    sandlock_policy_allow_path(limited, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    sandlock_policy_allow_path(unlimited, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    if (sandlock_policy_set_limit(unlimited, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, &error)) {
        fprintf(stderr, "bench: %s\n", sandlock_error_message(error));
        exit(1);
    }
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_sandboxed(limited, fork_and_wait);
        theirs[i] = measure_sandboxed(unlimited, fork_and_wait);
        filtered[i] = measure_reference(FILTERED, fork_and_wait);
    }
    figure("fork, exit, wait in the program", "without the limit of processes", "ns", ours, theirs, PAIRS, 1.15);
    figure("fork, exit, wait in the program", "under a filter of one instruction", "ns", ours, filtered, PAIRS, 1.15);
    sandlock_policy_free(limited);
    sandlock_policy_free(unlimited);
}

static int32_t answer_seven(sandlock_notification *call, void *unused)
{
    (void)unused;
    sandlock_notification_return(call, 7, NULL);
    return SANDLOCK_HANDLER_DONE;
}

static void *answer_from_queue(void *supervisor)
{
    sandlock_pending *pending = NULL;

    while (sandlock_supervisor_next(supervisor, 500, &pending, NULL) == SANDLOCK_OK) {
        sandlock_pending_return(pending, 7, NULL);
        sandlock_pending_free(pending);
    }
    return NULL;
}

/* What a call costs that must change threads: of the library, and to one of the host's. */
static void bench_hand_over(const sandlock_policy *policy, const char *const *trapped)
{
    enum { PAIRS = 10 };
    double ours[PAIRS], theirs[PAIRS];
    int i;

    for (i = 0; i < PAIRS; i++) {
        sandlock_supervisor *supervisor = NULL;
        pthread_t thread;

        sandlock_supervisor_new(NULL, &supervisor, NULL);
        sandlock_supervisor_add_handler(supervisor, "getppid", NULL, NULL, NULL, 0, NULL);
        pthread_create(&thread, NULL, answer_from_queue, supervisor);
        ours[i] = measure_supervised(policy, supervisor, trapped);
        theirs[i] = measure_reference(SERVED, trapped);
        pthread_join(thread, NULL);
        sandlock_supervisor_free(supervisor);
    }
    figure("getppid answered by a thread of the host", "by a minimal blocking loop", "ns", ours, theirs, PAIRS, 0);
}

static void bench_supervisor(void)
{
    enum { PAIRS = 25, STARTS = 200 };
    const char *const trapped[] = {probe, "time-getppid", "4000", NULL};
    const char *const untrapped[] = {probe, "time-getppid", "300000", NULL};
    const char *const refused[] = {probe, "time-refused-chmod", "4000", NULL};
    sandlock_policy *policy = make_policy(), *kernel_only = make_policy();
    sandlock_supervisor *of_getppid = NULL, *of_others = NULL;
    double ours[STARTS], theirs[STARTS];
    int i;

    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    sandlock_supervisor_new(NULL, &of_getppid, NULL);
    sandlock_supervisor_add_handler(of_getppid, "getppid", answer_seven, NULL, NULL, 0, NULL);
    sandlock_supervisor_new(NULL, &of_others, NULL);
    sandlock_supervisor_add_handler(of_others, "getpgid", answer_seven, NULL, NULL, 0, NULL);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_supervised(policy, of_getppid, trapped);
        theirs[i] = measure_reference(SERVED, trapped);
    }
    figure("getppid answered by a C handler", "by a minimal blocking loop", "ns", ours, theirs, PAIRS, 1.5);
    bench_hand_over(policy, trapped);
    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_WRITE, NULL);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_sandboxed(policy, refused);
        theirs[i] = measure_reference(SERVED, refused);
    }
    figure("a call answered by the library itself", "by a minimal blocking loop", "ns", ours, theirs, PAIRS, 1.3);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_supervised(policy, of_others, untrapped);
        theirs[i] = measure_supervised(policy, NULL, untrapped);
    }
    figure("getppid with handlers for other calls", "without handlers", "ns", ours, theirs, PAIRS, 1.05);
    sandlock_policy_free(policy);
    policy = make_policy();
    sandlock_policy_set_flag(kernel_only, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL);
    for (i = 0; i < STARTS; i++) {
        ours[i] = start_supervised(policy, of_getppid);
        theirs[i] = start_sandboxed(kernel_only);
    }
    figure("start, execute, wait, with a handler", "NO_SUPERVISOR", "us", ours, theirs, STARTS, 1.25);
    for (i = 0; i < STARTS; i++) {
        ours[i] = start_sandboxed(policy);
        theirs[i] = start_sandboxed(kernel_only);
    }
    figure("start, execute, wait, default policy", "NO_SUPERVISOR", "us", ours, theirs, STARTS, 1.25);
    sandlock_policy_free(kernel_only);
    sandlock_supervisor_free(of_getppid);
    sandlock_supervisor_free(of_others);
    sandlock_policy_free(policy);
}

/* --- many --- */

static void bench_threads(void)
{
    enum { PAIRS = 25 };
    const char *const of_eight[] = {probe, "time-threads", "8", "400", NULL};
    const char *const of_one[] = {probe, "time-threads", "1", "3200", NULL};
    sandlock_policy *policy = make_policy();
    sandlock_supervisor *supervisor = NULL;
    double ours[PAIRS], theirs[PAIRS];
    int i;

    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    sandlock_supervisor_new(NULL, &supervisor, NULL);
    sandlock_supervisor_add_handler(supervisor, "getppid", answer_seven, NULL, NULL, 0, NULL);
    for (i = 0; i < PAIRS; i++) {
        ours[i] = measure_supervised(policy, supervisor, of_eight);
        theirs[i] = measure_supervised(policy, supervisor, of_one);
    }
    figure("handled getppid, each of 8 threads' calls", "each call of one thread", "ns", ours, theirs, PAIRS, 1.05);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static double resident_kib(void)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %lf", &kib) == 1)
            break;
    if (!file || kib == 0)
        die("/proc/self/status");
    fclose(file);
    return kib;
}

static double open_descriptors(void)
{
    double count = 0;
    DIR *stream = opendir("/proc/self/fd");

    if (!stream)
        die("/proc/self/fd");
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

void bound(const char *name, const char *unit, double found, double most)
{
    char reference[32];

    snprintf(reference, sizeof reference, "at most %.0f %s", most, unit);
    figure(name, reference, unit, &found, &most, 1, 1.0);
}

void not_measured(const char *name, const char *variant, const char *why)
{
    printf("%s, %s: not measured: %s\n", name, variant, why);
    fprintf(json, "%s  {\"figure\": \"%s, %s\", \"measured\": false, \"why\": \"%s\"}", printed++ ? ",\n" : "", name, variant, why);
    fflush(stdout);
}

/* Starts sandboxes until there are `count` of them, idle, all with one supervisor. Says how long each took. */
static int start_idle(const sandlock_policy *policy, sandlock_supervisor *supervisor, sandlock_process **processes, int count,
                      double *took)
{
    const char *const idle[] = {probe, "sleep", NULL};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_error *error = NULL;
    int i;

    options.stdin_mode = options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_NULL;
    for (i = 0; i < count; i++) {
        double start = now_us();
        if (sandlock_spawn(policy, supervisor, idle, &options, &processes[i], &error)) {
            printf("%d idle sandboxes: %d could be started: %s\n", count, i, sandlock_error_message(error));
            sandlock_error_free(error);
            break;
        }
        took[i] = now_us() - start;
    }
    return i;
}

static void bench_idle(void)
{
    enum { SANDBOXES = 1000, SAMPLE = 100 };
    sandlock_policy *policy = make_policy();
    sandlock_supervisor *supervisor = NULL;
    static sandlock_process *processes[SANDBOXES];
    static double took[SANDBOXES], ended[SANDBOXES];
    double resident, descriptors;
    struct rlimit limit;
    int started, i;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    sandlock_policy_allow_path(policy, directory, SANDLOCK_ACCESS_READ_EXECUTE, NULL);
    sandlock_supervisor_new(NULL, &supervisor, NULL);
    sandlock_supervisor_add_handler(supervisor, "getppid", answer_seven, NULL, NULL, 0, NULL);
    start_supervised(policy, supervisor); /* what all share is there */
    resident = resident_kib();
    descriptors = open_descriptors();
    started = start_idle(policy, supervisor, processes, SANDBOXES, took);
    resident = resident_kib() - resident;
    descriptors = open_descriptors() - descriptors;
    for (i = 0; i < started; i++) {
        double start = now_us();
        sandlock_process_free(processes[i]);
        ended[i] = now_us() - start;
    }
    if (started == SANDBOXES) {
        bound("memory of the host per idle sandbox, of 1000", "KiB", resident / SANDBOXES, 64);
        bound("its descriptors per idle sandbox, of 1000", "fds", descriptors / SANDBOXES, 6);
        figure("start of the last of 1000 sandboxes", "of the first", "us", took + SANDBOXES - SAMPLE, took, SAMPLE, 0);
        figure("end of the first of 1000 sandboxes", "of the last", "us", ended, ended + SANDBOXES - SAMPLE, SAMPLE, 0);
    } else {
        /* Fewer are no figure. */
        fprintf(json, "%s  {\"figure\": \"1000 idle sandboxes\", \"started\": %d, \"met\": false}",
                printed++ ? ",\n" : "", started);
        missed++;
    }
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static void bench_scale(void)
{
    bench_threads();
    bench_idle();
}

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {{"start", bench_start},     {"namespaces", bench_namespaces}, {"calls", bench_calls}, {"forks", bench_forks},
              {"supervisor", bench_supervisor}, {"scale", bench_scale},     {"limits", bench_limits},
              {"network", bench_network},       {"bindings", bench_bindings}};

int main(int argc, char **argv)
{
    size_t i;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (length < 0)
        die("/proc/self/exe");
    memcpy(directory, self, sizeof self);
    *strrchr(directory, '/') = 0;
    snprintf(probe, sizeof probe, "%s/probe", directory);
    if (argc == 3 && !strcmp(argv[1], "--host"))
        run_host((size_t)atol(argv[2]));
    if (argc == 5 && !strcmp(argv[1], "--client"))
        return be_client(argv[2], argv[3], argv[4]);
    if (argc == 3 && !strcmp(argv[1], "--worker"))
        return be_worker(argv[2]);
    if (argc < 2 || argc > 3 || !(json = fopen(argv[1], "w"))) {
        fprintf(stderr, "usage: bench JSON-FILE [start|namespaces|calls|forks|supervisor|scale|limits|network|bindings]\n");
        return 2;
    }
    printf("%-44s %13s %13s %8s\n", "figure", "median", "reference", "ratio");
    fprintf(json, "[\n");
    for (i = 0; i < sizeof groups / sizeof *groups; i++)
        if (argc == 2 || !strcmp(argv[2], groups[i].name))
            groups[i].run();
    fprintf(json, "\n]\n");
    fclose(json);
    if (missed)
        printf("%d figures missed\n", missed);
    return missed != 0;
}
