/* A program that inherits the host's controlling terminal: it gets the foreground, and the host gets it back. */
#include "support.h"

#include <pty.h>
#include <termios.h>

/* What runs on the terminal's side: the body of a test, in a session of its own. */
static sandlock_result *run_inheriting(const char *const *argv, sandlock_report **report)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    if (sandlock_spawn(policy, NULL, argv, NULL, &process, &error) == SANDLOCK_OK)
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    else
        printf("# %s\n", sandlock_error_message(error));
    if (report)
        *report = sandlock_process_report(process);
    sandlock_error_free(error);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    return result;
}

static void end_side(void)
{
    int status = test_failures != 0;

    fflush(stdout);
    tcdrain(1);
    _exit(status);
}

static void side_of_hand_over(void)
{
    sandlock_report *report = NULL;
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_result *result;

    CHECK(tcgetpgrp(0) == getpgrp());
    result = run_inheriting(ARGV(program("probe"), "foreground"), &report);
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_SESSION - 1, &entry, NULL));
    CHECK(!strcmp(entry.mechanism, "process group"));
    CHECK(tcgetpgrp(0) == getpgrp()); /* taken back */
    sandlock_report_free(report);
    sandlock_result_free(result);
    {
        /* Only streams that are the terminal matter: with all three elsewhere, a session of its own. */
        sandlock_policy *policy = system_policy();
        result = run_program(policy, ARGV("sh", "-c", "exec 3</dev/tty"));
        CHECK(sandlock_result_exit_code(result) != 0);
        sandlock_result_free(result);
        sandlock_policy_free(policy);
    }
    end_side();
}

static void side_of_trouble(void)
{
    struct termios before, after;
    sandlock_result *result;
    char group[16];

    CHECK(tcgetattr(0, &before) == 0);
    /* A program that cannot be executed. */
    CHECK(run_inheriting(ARGV("/nope"), NULL) == NULL);
    CHECK(tcgetpgrp(0) == getpgrp());
    /* One that leaves the foreground to a dead group, and other settings. */
    result = run_inheriting(ARGV(program("probe"), "mess-terminal"), NULL);
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    CHECK(tcgetpgrp(0) == getpgrp());
    CHECK(tcgetattr(0, &after) == 0 && before.c_lflag == after.c_lflag);
    /* One that would join this process group, which the kernel then stops for what the program does. */
    snprintf(group, sizeof group, "%d", getpgrp());
    result = run_inheriting(ARGV(program("probe"), "join-group", group), NULL);
    CHECK(sandlock_result_exit_code(result) == EPERM);
    sandlock_result_free(result);
    end_side();
}

/* Runs PROBE ARGUMENT... with one descriptor of the host's, as its input or as number 5, and no other of the terminal. */
static const char *run_with(int fd, bool as_input, bool on_pty, const char *topic, const char *argument)
{
    static char text[256];
    const int32_t as_five = 5;
    sandlock_policy *policy = system_policy();
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    options.stdin_mode = options.stderr_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_CAPTURE;
    if (on_pty)
        options.stderr_mode = SANDLOCK_STDIO_PTY;
    if (as_input) {
        options.stdin_mode = SANDLOCK_STDIO_FD;
        options.stdin_fd = fd;
    } else {
        options.pass_fds = &fd;
        options.pass_fds_as = &as_five;
        options.pass_fd_count = 1;
    }
    if (sandlock_spawn(policy, NULL, ARGV(program("probe"), topic, argument), &options, &process, &error)) {
        snprintf(text, sizeof text, "%s", sandlock_error_message(error));
    } else {
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        snprintf(text, sizeof text, "exit %d: %s", sandlock_result_exit_code(result), output(result));
    }
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    return text;
}

/* The host's terminal is the host's terminal, by whatever descriptor the program gets it. */
static void side_of_given(void)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC), master = -1, slave = -1, as_input, pid, session, group;
    char own_group[16];

    snprintf(own_group, sizeof own_group, "%d", getpgrp());
    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    for (as_input = 0; as_input < 2; as_input++) {
        /* Job control holds for it. */
        CHECK(sscanf(run_with(terminal, as_input, false, "session", NULL), "exit 0: pid %d session %d group %d", &pid,
                     &session, &group) == 3);
        CHECK(session == getsid(0) && group == pid);
        CHECK(tcgetpgrp(0) == getpgrp());
        CHECK(atoi(run_with(terminal, as_input, false, "join-group", own_group) + strlen("exit ")) == EPERM);
        CHECK_CONTAINS(run_with(terminal, as_input, true, "session", NULL), "terminal of its own");
        /* Another terminal is not the host's, nor is its master. */
        CHECK(sscanf(run_with(slave, as_input, false, "session", NULL), "exit 0: pid %d session %d", &pid, &session) == 2);
        CHECK(session == pid);
        CHECK(sscanf(run_with(master, as_input, false, "session", NULL), "exit 0: pid %d session %d", &pid, &session) == 2);
        CHECK(session == pid);
        CHECK_CONTAINS(run_with(slave, as_input, true, "session", NULL), "exit 0");
    }
    end_side();
}

/* A host in the background: its program stays there, in the session, where job control holds for it. */
static void side_of_background(void)
{
    pid_t shell = getpid(), host = fork();
    int status;

    if (host == 0) {
        sandlock_result *result;
        int group = 0, foreground = 0;
        FILE *answer = tmpfile();
        sandlock_policy *policy = system_policy();
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        setpgid(0, 0);
        options.stdout_mode = SANDLOCK_STDIO_FD;
        options.stdout_fd = fileno(answer);
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "foreground"), &options, &process, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
        rewind(answer);
        CHECK(fscanf(answer, "group %d foreground %d", &group, &foreground) == 2);
        CHECK(foreground == shell && group != shell && group > 1);
        CHECK(tcgetpgrp(0) == shell);
        sandlock_result_free(result);
        sandlock_process_free(process);
        sandlock_policy_free(policy);
        fflush(stdout);
        _exit(test_failures != 0); /* without draining the terminal, which is not for the background to do */
    }
    CHECK(waitpid(host, &status, WUNTRACED) == host && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    end_side();
}

/* Runs a side on a new terminal and gives what it printed. */
static char *on_a_terminal(void (*side)(void), pid_t *leader)
{
    static char text[8192];
    size_t length = 0;
    ssize_t count;
    int master, status;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);

    if (pid == 0) {
        test_failures = 0;
        side();
    }
    while (length < sizeof text - 1 && (count = read(master, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        printf("# %s\n", text);
    close(master);
    *leader = pid;
    return text;
}

static void inherited_terminal_is_handed_over_and_taken_back(void)
{
    int group = 0, foreground = -1;
    pid_t leader;
    char *text = on_a_terminal(side_of_hand_over, &leader);

    CHECK(sscanf(text, "group %d foreground %d", &group, &foreground) == 2);
    CHECK(group > 1 && group == foreground && group != leader);
}

static void terminal_comes_back_from_programs_that_fail_or_mean_ill(void)
{
    pid_t leader;

    on_a_terminal(side_of_trouble, &leader);
}

static void program_of_a_background_host_stays_in_the_background(void)
{
    pid_t leader;

    on_a_terminal(side_of_background, &leader);
}

static void terminal_that_is_given_counts_as_inherited(void)
{
    pid_t leader;

    on_a_terminal(side_of_given, &leader);
}

TESTS(T(inherited_terminal_is_handed_over_and_taken_back), T(terminal_comes_back_from_programs_that_fail_or_mean_ill),
      T(program_of_a_background_host_stays_in_the_background), T(terminal_that_is_given_counts_as_inherited))
