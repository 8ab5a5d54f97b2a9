/* A terminal of the program's own: what programs find on it, job control, sizes; and that it is the only one they have. */
#include "support.h"

#include <poll.h>
#include <pty.h>
#include <sys/resource.h>
#include <termios.h>

static const uint32_t PTY = SANDLOCK_STDIO_PTY;

static sandlock_process *start(const sandlock_policy *policy, const char *const *argv, uint16_t rows, uint16_t columns)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = options.stdout_mode = options.stderr_mode = PTY;
    options.pty_rows = rows;
    options.pty_columns = columns;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    return process;
}

/* Reads until `wanted` appears (true), or with NULL until the terminal ends; what was read is in `text`. */
struct screen {
    int master;
    char text[1 << 16];
    size_t length;
    int last_errno;
};

static int read_until(struct screen *screen, const char *wanted)
{
    double begun = seconds();

    for (;;) {
        struct pollfd ready = {screen->master, POLLIN, 0};
        ssize_t count;

        if (wanted && strstr(screen->text, wanted))
            return 1;
        if (seconds() - begun > 20)
            return 0;
        if (poll(&ready, 1, 1000) <= 0)
            continue;
        count = read(screen->master, screen->text + screen->length, sizeof screen->text - 1 - screen->length);
        if (count <= 0) {
            screen->last_errno = count < 0 ? errno : 0;
            return !wanted;
        }
        screen->length += (size_t)count;
        screen->text[screen->length] = 0;
    }
}

#define CHECK_READS(screen, wanted)                                              \
    do {                                                                         \
        if (!CHECK(read_until((screen), (wanted))))                              \
            printf("# found \"%s\"\n", (screen)->text);                          \
    } while (0)

static void type(struct screen *screen, const char *keys)
{
    screen->length = 0;
    screen->text[0] = 0;
    CHECK(write(screen->master, keys, strlen(keys)) == (ssize_t)strlen(keys));
}

static int end_of(sandlock_process *process)
{
    sandlock_result *result = NULL;
    int code = -1;

    if (CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL)))
        code = sandlock_result_exit_code(result);
    sandlock_result_free(result);
    return code;
}

/* Runs a program on a terminal to its end and gives what it printed. */
static const char *print_of(const sandlock_policy *policy, const char *const *argv, uint16_t rows, uint16_t columns, int *code)
{
    static struct screen screen;
    sandlock_process *process = start(policy, argv, rows, columns);

    memset(&screen, 0, sizeof screen);
    screen.master = sandlock_process_take_pty(process);
    CHECK(screen.master >= 3);
    read_until(&screen, NULL);
    CHECK(screen.last_errno == EIO);
    *code = end_of(process);
    close(screen.master);
    sandlock_process_free(process);
    return screen.text;
}

static void program_finds_a_terminal_of_the_size_that_was_asked_for(void)
{
    struct footprint before = footprint();
    sandlock_policy *policy = system_policy();
    const char *text;
    int code;

    text = print_of(policy, ARGV("stty", "size"), 0, 0, &code);
    CHECK(code == 0 && !strcmp(text, "24 80\r\n"));
    text = print_of(policy, ARGV("stty", "size"), 50, 132, &code);
    CHECK(code == 0 && !strcmp(text, "50 132\r\n"));
    text = print_of(policy, ARGV("tty"), 0, 0, &code);
    if (!CHECK(code == 0 && !strncmp(text, "/dev/pts/", 9)))
        printf("# exit %d \"%s\"\n", code, text);
    text = print_of(policy,
                    ARGV("/usr/bin/python3", "-c",
                         "import os;print(all(map(os.isatty,(0,1,2))),os.getsid(0)==os.getpid(),os.tcgetpgrp(0)==os.getpid())"),
                    0, 0, &code);
    if (!CHECK(code == 0 && !strcmp(text, "True True True\r\n")))
        printf("# exit %d \"%s\"\n", code, text);
    text = print_of(policy, ARGV(program("probe"), "descriptors"), 0, 0, &code);
    CHECK(!strcmp(text, "0 1 2 \r\n"));
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
}

static void streams_may_be_mixed(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    struct screen screen = {0};

    options.stdin_mode = options.stderr_mode = PTY;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("sh", "-c", "test -t 0 && test ! -t 1 && test -t 2 && cat"),
                                             &options, &process, NULL));
    screen.master = sandlock_process_take_pty(process);
    CHECK(screen.master >= 3 && sandlock_process_take_pty(process) == -1);
    CHECK((fcntl(screen.master, F_GETFD) & FD_CLOEXEC) && !(fcntl(screen.master, F_GETFL) & O_NONBLOCK));
    type(&screen, "typed\n\x04");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0 && !strcmp(output(result), "typed\n"));
    sandlock_result_free(result);
    read_until(&screen, NULL);
    CHECK(!strcmp(screen.text, "typed\r\n")); /* the echo */
    close(screen.master);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void output_that_is_read_late_is_not_lost(void)
{
    sandlock_policy *policy = system_policy();
    int round;

    for (round = 0; round < 20; round++) {
        static struct screen screen;
        sandlock_process *process = start(policy, ARGV("sh", "-c", "printf %0800d 1; printf %0800d 2"), 0, 0);

        memset(&screen, 0, sizeof screen);
        screen.master = sandlock_process_take_pty(process);
        CHECK(end_of(process) == 0);
        CHECK(read_until(&screen, NULL) && screen.last_errno == EIO);
        CHECK(screen.length == 1600);
        close(screen.master);
        sandlock_process_free(process);
    }
    sandlock_policy_free(policy);
}

static void resizing_tells_the_program(void)
{
    static const char script[] = "import signal,os\n"
                                 "def told(*_): print('now',*os.get_terminal_size(),flush=True)\n"
                                 "signal.signal(signal.SIGWINCH,told);print('ready',flush=True)\n"
                                 "while True: signal.pause()\n";
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start(policy, ARGV("/usr/bin/python3", "-c", script), 10, 20);
    struct screen screen = {0};
    sandlock_error *error = NULL;

    screen.master = sandlock_process_take_pty(process);
    CHECK_READS(&screen, "ready");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resize(process, 31, 101, NULL));
    CHECK_READS(&screen, "now 101 31");
    /* Whatever becomes of the descriptor that was taken. */
    close(screen.master);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resize(process, 32, 102, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_resize(process, 33, 103, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "has ended");
    sandlock_error_free(error);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void keys_send_signals_to_the_foreground(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process =
        start(policy, ARGV("sh", "-c", "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.05; done"), 0, 0);
    struct screen screen = {0};

    screen.master = sandlock_process_take_pty(process);
    CHECK_READS(&screen, "ready");
    type(&screen, "\x03");
    CHECK_READS(&screen, "interrupted");
    CHECK(end_of(process) == 5);
    close(screen.master);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

/* An interactive shell: a job is stopped by a key, goes on in the foreground, and is interrupted there; the shell stays. */
static void shells_have_job_control(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process;
    struct screen screen = {0};

    sandlock_policy_set_env(policy, "PS1", "prompt> ", NULL);
    sandlock_policy_set_env(policy, "TERM", "dumb", NULL);
    process = start(policy, ARGV("bash", "--norc", "--noprofile", "--noediting", "-i"), 0, 0);
    screen.master = sandlock_process_take_pty(process);
    CHECK_READS(&screen, "prompt> ");
    CHECK(!strstr(screen.text, "no job control"));
    type(&screen, "cat\n");
    CHECK_READS(&screen, "cat\r\n");
    type(&screen, "heard\n");
    CHECK_READS(&screen, "heard\r\nheard\r\n"); /* the echo, and cat */
    type(&screen, "\x1a");
    CHECK_READS(&screen, "Stopped");
    CHECK_READS(&screen, "prompt> ");
    type(&screen, "fg\n");
    CHECK_READS(&screen, "fg\r\ncat\r\n");
    type(&screen, "again\n");
    CHECK_READS(&screen, "again\r\nagain\r\n");
    type(&screen, "\x03");
    CHECK_READS(&screen, "prompt> ");
    type(&screen, "echo status $?; exit 6\n");
    CHECK_READS(&screen, "status 130");
    CHECK(end_of(process) == 6);
    close(screen.master);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void daemons_die_with_the_terminal(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process;
    struct screen screen = {0};
    double begun = seconds();

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ);
    process = start(policy, ARGV("sh", "-c", "trap '' HUP; setsid sleep 60 & sleep 60 & echo done"), 0, 0);
    screen.master = sandlock_process_take_pty(process);
    CHECK(read_until(&screen, NULL) && screen.last_errno == EIO && seconds() - begun < 10);
    CHECK(!strcmp(screen.text, "done\r\n"));
    CHECK(end_of(process) == 0);
    close(screen.master);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void typing_into_its_own_terminal_is_refused(void)
{
    static const char script[] = "import fcntl,termios\n"
                                 "try: fcntl.ioctl(0,termios.TIOCSTI,b'x');print('typed')\n"
                                 "except OSError as e: print('errno',e.errno)\n";
    sandlock_policy *policy = system_policy();
    const char *text;
    int code;

    text = print_of(policy, ARGV("/usr/bin/python3", "-c", script), 0, 0, &code);
    if (!CHECK(!strcmp(text, "errno 1\r\n")))
        printf("# \"%s\"\n", text);
    sandlock_policy_free(policy);
}

/* The body of a test in a host that has a terminal itself. */
static void side_of_a_host_with_a_terminal(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;
    const char *text;
    char own[64], command[256];
    int code;

    CHECK(ttyname_r(0, own, sizeof own) == 0 && tcgetpgrp(0) == getpgrp());
    allow(policy, "/dev/tty", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    /* /dev/tty is the program's own. */
    text = print_of(policy, ARGV("sh", "-c", "echo to my own >/dev/tty"), 0, 0, &code);
    CHECK(code == 0 && !strcmp(text, "to my own\r\n"));
    /* The host's by its name is not granted. */
    snprintf(command, sizeof command, "echo reached >%s && exit 1; exit 0", own);
    text = print_of(policy, ARGV("sh", "-c", command), 0, 0, &code);
    CHECK(code == 0 && strstr(text, "ermission denied"));
    CHECK(tcgetpgrp(0) == getpgrp() && tcgetsid(0) == getsid(0));
    /* Nor can it be had beside the own one. */
    options.stdin_mode = PTY;
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_spawn(policy, NULL, ARGV("true"), &options, &process, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "cannot have the host's terminal");
    sandlock_error_free(error);
    sandlock_policy_free(policy);
    fflush(stdout);
    tcdrain(1);
    _exit(test_failures != 0);
}

static void hosts_terminal_is_out_of_reach(void)
{
    char text[8192];
    size_t length = 0;
    ssize_t count;
    int master, status;
    pid_t pid;

    fflush(stdout);
    pid = forkpty(&master, NULL, NULL, NULL);
    if (pid == 0) {
        test_failures = 0;
        side_of_a_host_with_a_terminal();
    }
    while (length < sizeof text - 1 && (count = read(master, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        printf("# %s\n", text);
    CHECK(!strstr(text, "reached") && !strstr(text, "to my own"));
    close(master);
}

/* A host that leads a session without a terminal must not get the program's. */
static void terminal_does_not_become_the_hosts(void)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        sandlock_policy *policy = system_policy();
        int code;

        test_failures = 0;
        CHECK(setsid() > 0);
        print_of(policy, ARGV("true"), 0, 0, &code);
        CHECK(code == 0 && open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
        sandlock_policy_free(policy);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void session_is_made_whatever_the_policy_says(void)
{
    sandlock_policy *policy = system_policy();
    const char *text;
    int code;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_SESSION, SANDLOCK_DISABLE, NULL));
    text = print_of(policy, ARGV("/usr/bin/python3", "-c", "import os;print(os.getsid(0)==os.getpid())"), 0, 0, &code);
    CHECK(code == 0 && !strcmp(text, "True\r\n"));
    sandlock_policy_free(policy);
}

/* Handlers, and a host that has closed its standard streams: the descriptors stay apart. */
static int32_t pass_on(sandlock_notification *call, void *unused)
{
    (void)call;
    (void)unused;
    return SANDLOCK_HANDLER_PASS;
}

static void terminal_works_in_a_host_without_standard_streams(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_supervisor *supervisor = NULL;
    int round;

    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_add_handler(supervisor, "ioctl", pass_on, NULL, NULL, 0, NULL));
    for (round = 0; round < 2; round++) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        struct screen screen = {0};
        int saved[3], i, status, after;

        fflush(stdout);
        for (i = 0; i < 3; i++) {
            saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
            close(i);
        }
        options.stdin_mode = options.stdout_mode = options.stderr_mode = PTY;
        status = sandlock_spawn(policy, round ? supervisor : NULL, ARGV("stty", "size"), &options, &process, NULL);
        screen.master = sandlock_process_take_pty(process);
        after = fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
        for (i = 0; i < 3; i++) {
            dup2(saved[i], i);
            close(saved[i]);
        }
        CHECK_STATUS(SANDLOCK_OK, status);
        CHECK(!after && screen.master >= 3);
        read_until(&screen, NULL);
        if (!CHECK(!strcmp(screen.text, "24 80\r\n")))
            printf("# round %d found \"%s\"\n", round, screen.text);
        CHECK(end_of(process) == 0);
        close(screen.master);
        sandlock_process_free(process);
    }
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
}

static void terminals_that_were_not_made_are_not_there(void)
{
    struct footprint before = footprint();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, NULL));
    CHECK(sandlock_process_take_pty(process) == -1);
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_resize(process, 1, 1, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "no terminal of its own");
    sandlock_error_free(error);
    sandlock_process_free(process);
    /* Nothing is left of one whose program cannot be executed. */
    options.stdin_mode = PTY;
    CHECK_STATUS(SANDLOCK_ERROR_EXEC, sandlock_spawn(policy, NULL, ARGV("/nope"), &options, &process, NULL));
    sandlock_policy_free(policy);
    CHECK_UNCHANGED(before);
}

/* Whatever the host runs out of, the start fails and leaves nothing, or the program runs. */
static void start_without_descriptors_fails_and_leaves_nothing(void)
{
    sandlock_policy *policy = system_policy();
    struct rlimit saved, limited;
    int refused = 0, started = 0;
    struct footprint before;
    rlim_t limit;
    int code;

    print_of(policy, ARGV("true"), 0, 0, &code);
    before = footprint(); /* the policy keeps what it has opened */
    getrlimit(RLIMIT_NOFILE, &saved);
    for (limit = 3; limit < 40; limit++) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        sandlock_error *error = NULL;
        int32_t status;

        options.stdin_mode = options.stdout_mode = options.stderr_mode = PTY;
        limited = saved;
        limited.rlim_cur = limit;
        setrlimit(RLIMIT_NOFILE, &limited);
        status = sandlock_spawn(policy, NULL, ARGV("true"), &options, &process, &error);
        setrlimit(RLIMIT_NOFILE, &saved);
        if (status == SANDLOCK_OK) {
            started++;
            sandlock_process_free(process);
        } else {
            refused++;
            CHECK(process == NULL && sandlock_error_errno(error) == EMFILE);
            sandlock_error_free(error);
        }
    }
    CHECK(refused > 3 && started > 3);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

TESTS(T(program_finds_a_terminal_of_the_size_that_was_asked_for), T(streams_may_be_mixed),
      T(output_that_is_read_late_is_not_lost), T(resizing_tells_the_program), T(keys_send_signals_to_the_foreground),
      T(shells_have_job_control), T(daemons_die_with_the_terminal), T(typing_into_its_own_terminal_is_refused),
      T(hosts_terminal_is_out_of_reach), T(terminal_does_not_become_the_hosts), T(session_is_made_whatever_the_policy_says),
      T(terminal_works_in_a_host_without_standard_streams), T(terminals_that_were_not_made_are_not_there),
      T(start_without_descriptors_fails_and_leaves_nothing))
