/* Runs a Python script that nobody trusts: it may compute and print, and nothing else. The script tries the rest, so that its
 * output shows what became of it; then comes what the run used and what the kernel enforced.
 * Build: cc untrusted_python.c $(pkg-config --cflags --libs sandlock)
 *
 * Exits 0 only if the script computed what it should, every attack was refused, and the report says "full". */
#define _POSIX_C_SOURCE 200809L
#include <sandlock.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PYTHON "/usr/bin/python3"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Its argument is a file that the caller can read. It exits with the number of attacks that were not refused; here it is our
 * own, so it can be believed. A refusal is EPERM, EACCES or EAGAIN: "connection refused", say, would mean that it got out. */
static const char script[] =
    "import errno, os, socket, sys, time\n"
    "\n"
    "primes, number = [], 2\n"
    "while len(primes) < 1000:\n"
    "    if all(number % prime for prime in primes):\n"
    "        primes.append(number)\n"
    "    number += 1\n"
    "print('the first 1000 primes add up to', sum(primes))\n"
    "\n"
    "def fork_bomb():\n"
    "    for count in range(1000):\n"
    "        try:\n"
    "            if os.fork() == 0:\n"
    "                time.sleep(60)\n"
    "                os._exit(0)\n"
    "        except OSError as error:\n"
    "            raise OSError(error.errno, f'{error.strerror} after {count} processes')\n"
    "\n"
    "attacks = [\n"
    "    ('read ' + sys.argv[1], lambda: open(sys.argv[1]).read()),\n"
    "    ('list /home', lambda: os.listdir('/home')),\n"
    "    ('connect by TCP', lambda: socket.create_connection(('127.0.0.1', 9), 5)),\n"
    "    ('make a UDP socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),\n"
    "    ('fork without end', fork_bomb),\n"
    "]\n"
    "succeeded = 0\n"
    "for name, attack in attacks:\n"
    "    sys.stdout.flush()\n"
    "    try:\n"
    "        attack()\n"
    "        refused, outcome = False, 'it worked'\n"
    "    except OSError as error:\n"
    "        refused = error.errno in (errno.EPERM, errno.EACCES, errno.EAGAIN)\n"
    "        outcome = error.strerror\n"
    "    succeeded += not refused\n"
    "    print(name + ':', 'refused' if refused else 'NOT REFUSED', f'({outcome})')\n"
    "sys.exit(succeeded)\n";

static const char computed[] = "the first 1000 primes add up to 3682913\n";

/* What the script may do. The first failure ends it. */
static sandlock_status set_up(sandlock_policy *policy, sandlock_error **error)
{
    const uint64_t programs = SANDLOCK_ACCESS_READ_EXECUTE;
    const uint64_t optional = SANDLOCK_ACCESS_OPTIONAL; /* not every system has /lib64 or /bin */
    const struct { const char *path; uint64_t access; } paths[] = {
        {"/usr", programs},
        {"/bin", programs | optional},
        {"/lib", programs | optional},
        {"/lib64", programs | optional},
        {"/etc/ld.so.cache", SANDLOCK_ACCESS_READ | optional},
    };
    const struct { uint32_t limit; uint64_t value; } limits[] = {
        {SANDLOCK_LIMIT_DATA, UINT64_C(256) << 20},
        {SANDLOCK_LIMIT_NOFILE, 64},
        {SANDLOCK_LIMIT_CPU, 10},
        {SANDLOCK_LIMIT_PROCESSES, 16}, /* at a time, however they are started */
    };
    /* Variables may hold secrets; a core dump holds whatever the script had in memory. */
    sandlock_status status = sandlock_policy_clear_env(policy, error);

    if (!status)
        status = sandlock_policy_set_cwd(policy, "/", error);
    if (!status)
        status = sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_COREDUMP, true, error);
    for (size_t i = 0; !status && i < COUNT(paths); i++)
        status = sandlock_policy_allow_path(policy, paths[i].path, paths[i].access, error);
    for (size_t i = 0; !status && i < COUNT(limits); i++)
        status = sandlock_policy_set_limit(policy, limits[i].limit, limits[i].value, error);
    return status;
}

/* Runs the script to its end, for 20 seconds at most. sandlock_run() does it in one call; the process is wanted for its
 * report. */
static sandlock_status run(const sandlock_policy *policy, const char *secret, sandlock_result **result,
                           sandlock_report **report, sandlock_error **error)
{
    const char *const argv[] = {PYTHON, "-I", "-S", "-c", script, secret, NULL};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_status status;

    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    options.capture_limit = 64 << 10;
    if ((status = sandlock_spawn(policy, NULL, argv, &options, &process, error)))
        return status;
    *report = sandlock_process_report(process);
    status = sandlock_process_wait(process, 20000, result, error);
    if (status == SANDLOCK_ERROR_TIMEOUT) {
        sandlock_error_free(*error);
        if (!(status = sandlock_process_kill(process, error)))
            status = sandlock_process_wait(process, -1, result, error);
    }
    sandlock_process_free(process);
    return status;
}

static const char *name_of(const char *const *names, size_t count, uint32_t number)
{
    return number < count ? names[number] : "?"; /* a later library may know more */
}

static void print_result(const sandlock_result *result)
{
    static const char *const reasons[] = {"?", "exited", "ended by a signal", "timeout", "too much output", "killed", "lost"};
    sandlock_usage usage = SANDLOCK_USAGE_INIT;

    printf("%s%s\n", (const char *)sandlock_result_stdout(result, NULL), (const char *)sandlock_result_stderr(result, NULL));
    printf("%s, exit code %d, signal %d\n", name_of(reasons, COUNT(reasons), sandlock_result_reason(result)),
           sandlock_result_exit_code(result), sandlock_result_signal(result));
    if (!sandlock_result_usage(result, &usage, NULL))
        printf("%" PRIu64 " ms, of processor time %" PRIu64 " ms, peak memory %s%" PRIu64 " KiB\n", usage.wall_us / 1000,
               (usage.user_us + usage.system_us) / 1000,
               usage.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND ? "at most " : "", usage.peak_rss >> 10);
}

static void print_report(const sandlock_report *report)
{
    static const char *const states[] = {"?", "enforced", "degraded", "waived", "unavailable", "not requested"};
    static const char *const levels[] = {"?", "full", "partial", "none"};
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;

    printf("\n%-20s %-14s %-52s %s\n", "FEATURE", "STATE", "MECHANISM", "DETAIL");
    for (size_t i = 0; i < sandlock_report_count(report); i++)
        if (!sandlock_report_row(report, i, &row, NULL))
            printf("%-20s %-14s %-52s %s\n", row.name, name_of(states, COUNT(states), row.state), row.mechanism, row.detail);
    printf("\nprotection: %s\n", name_of(levels, COUNT(levels), sandlock_report_level(report)));
}

int main(void)
{
    const char *home = getenv("HOME"), *secret = "/etc/passwd";
    char profile[4096];
    sandlock_policy *policy;
    sandlock_result *result = NULL;
    sandlock_report *report = NULL;
    sandlock_error *error = NULL;
    int passed = 0;

    if (access(PYTHON, X_OK)) {
        fprintf(stderr, "there is no " PYTHON "; one elsewhere will not do, since the policy opens /usr and nothing more\n");
        return 1;
    }
    /* A file that can be read from here, so that it is the sandbox that refuses it. */
    snprintf(profile, sizeof profile, "%s/.profile", home ? home : "");
    if (!access(profile, R_OK))
        secret = profile;

    policy = sandlock_policy_new();
    if (set_up(policy, &error) || run(policy, secret, &result, &report, &error)) {
        fprintf(stderr, "%s\n", sandlock_error_message(error));
        sandlock_error_free(error);
    } else {
        print_result(result);
        print_report(report);
        passed = sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0 &&
                 strstr((const char *)sandlock_result_stdout(result, NULL), computed) != NULL &&
                 sandlock_report_level(report) == SANDLOCK_LEVEL_FULL;
        printf("%s\n", passed ? "the script computed, and every attack was refused" : "FAILED: see above");
    }
    sandlock_report_free(report);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    return passed ? 0 : 1;
}
