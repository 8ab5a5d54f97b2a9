/* A program that inherits the host's controlling terminal: it gets the foreground, and the host gets it back. */
#include "support.h"

#include <pty.h>
#include <termios.h>

static void run_on_terminal(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_report *report;
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    int status;

    CHECK(tcgetpgrp(0) == getpgrp());
    CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV(program("probe"), "foreground"), NULL, &process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 0);
    report = sandlock_process_report(process);
    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_SESSION - 1, &entry, NULL));
    CHECK(!strcmp(entry.mechanism, "process group"));
    CHECK(tcgetpgrp(0) == getpgrp()); /* taken back */
    sandlock_report_free(report);
    sandlock_result_free(result);
    sandlock_process_free(process);

    /* Only the streams that are the terminal matter: with all three elsewhere, a session of its own. */
    result = run_program(policy, ARGV("sh", "-c", "exec 3</dev/tty"));
    CHECK(sandlock_result_exit_code(result) != 0);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    status = test_failures != 0;
    fflush(stdout);
    tcdrain(1);
    _exit(status);
}

static void inherited_terminal_is_handed_over_and_taken_back(void)
{
    char text[4096] = {0};
    int master, status, group = 0, foreground = -1;
    size_t length = 0;
    ssize_t count;
    pid_t pid = forkpty(&master, NULL, NULL, NULL);

    if (pid == 0) {
        test_failures = 0;
        run_on_terminal();
    }
    while (length < sizeof text - 1 && (count = read(master, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        printf("# %s\n", text);
    CHECK(sscanf(text, "group %d foreground %d", &group, &foreground) == 2);
    CHECK(group > 1 && group == foreground && group != pid);
    close(master);
}

TESTS(T(inherited_terminal_is_handed_over_and_taken_back))
