/* What the C tests share. A test program includes this once, lists its tests in TESTS(...), and prints one line for each:
 * "ok NAME", "not ok NAME", or "absent NAME: REASON" for what the machine was declared not to offer. */
#ifndef SUPPORT_H
#define SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sandlock.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int test_failures;
static const char *test_absent;

/* Fails the running test, with the place, unless the condition holds; the test goes on. */
#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_STATUS(expected, call) check_status((expected), (call), #call, __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) check_contains((text), (part), __FILE__, __LINE__)

static inline int check_that(int holds, const char *what, const char *file, int line)
{
    if (!holds) {
        test_failures++;
        printf("# %s:%d: not so: %s\n", file, line, what);
    }
    return holds;
}

static inline int check_status(int32_t expected, int32_t found, const char *what, const char *file, int line)
{
    if (expected != found) {
        test_failures++;
        printf("# %s:%d: %s gives %s, not %s\n", file, line, what, sandlock_status_name(found),
               sandlock_status_name(expected));
    }
    return expected == found;
}

static inline int check_contains(const char *text, const char *part, const char *file, int line)
{
    if (!strstr(text, part)) {
        test_failures++;
        printf("# %s:%d: \"%s\" does not contain \"%s\"\n", file, line, text, part);
        return 0;
    }
    return 1;
}

/* True if the runner declared that the machine offers this: SANDLOCK_TEST_EXPECT is a list of words. A test that finds
 * something missing that was declared fails; one that needs what was not declared says that it is absent. */
static inline int expected(const char *word)
{
    const char *list = getenv("SANDLOCK_TEST_EXPECT");
    size_t length = strlen(word);

    while (list && *list) {
        size_t end = strcspn(list, " ,");
        if (end == length && !strncmp(list, word, length))
            return 1;
        list += end + (list[end] != 0);
    }
    return 0;
}

struct test {
    const char *name;
    void (*run)(void);
};

static inline int run_tests(const struct test *tests, size_t count, int argc, char **argv)
{
    int failed = 0;
    size_t i;

    for (i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], tests[i].name))
            continue;
        test_failures = 0;
        test_absent = NULL;
        tests[i].run();
        if (test_absent && !test_failures)
            printf("absent %s: %s\n", tests[i].name, test_absent);
        else
            printf("%s %s\n", test_failures ? "not ok" : "ok", tests[i].name);
        fflush(stdout);
        failed += test_failures != 0;
    }
    return failed != 0;
}

#define TESTS(...)                                                                \
    int main(int argc, char **argv)                                               \
    {                                                                             \
        static const struct test tests[] = {__VA_ARGS__};                         \
        return run_tests(tests, sizeof tests / sizeof *tests, argc, argv);        \
    }
#define T(function) {#function, function}

/* --- policies and runs --- */

/* The directory of the running program, where the other test programs lie. */
static inline const char *program_directory(void)
{
    static char path[PATH_MAX];
    ssize_t length;

    if (!path[0]) {
        length = readlink("/proc/self/exe", path, sizeof path - 1);
        path[length < 0 ? 0 : length] = 0;
        if (strrchr(path, '/'))
            *strrchr(path, '/') = 0;
    }
    return path;
}

static inline const char *program(const char *name)
{
    static char paths[4][PATH_MAX + 64];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", program_directory(), name);
    return path;
}

static inline void allow(sandlock_policy *policy, const char *path, uint64_t access)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_path(policy, path, access, NULL));
}

/* Everything it takes to run programs of the system and of the tests; nothing else. */
static inline sandlock_policy *system_policy(void)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    sandlock_policy *policy = sandlock_policy_new();
    size_t i;

    for (i = 0; i < sizeof directories / sizeof *directories; i++)
        allow(policy, directories[i], SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL);
    allow(policy, program_directory(), SANDLOCK_ACCESS_READ_EXECUTE);
    return policy;
}

/* Runs a program to its end; NULL and a failed test if it could not be started. */
static inline sandlock_result *run_program(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;

    if (sandlock_run(policy, NULL, argv, 30000, &result, &error)) {
        printf("# cannot run %s: %s\n", argv[0], sandlock_error_message(error));
        test_failures++;
    }
    sandlock_error_free(error);
    return result;
}

static inline const char *output(const sandlock_result *result)
{
    return (const char *)sandlock_result_stdout(result, NULL);
}

static inline const char *errors(const sandlock_result *result)
{
    return (const char *)sandlock_result_stderr(result, NULL);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Runs a program and checks what it prints. */
static inline void expect_output(sandlock_policy *policy, const char *const *argv, const char *expected_output)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(!strcmp(output(result), expected_output)))
        printf("# ended with reason %u, limit %u, signal %d, exit code %d: %s\n# found \"%s\", not \"%s\"\n",
               (unsigned)sandlock_result_reason(result), (unsigned)sandlock_result_limit(result),
               (int)sandlock_result_signal(result), (int)sandlock_result_exit_code(result), errors(result), output(result),
               expected_output);
    sandlock_result_free(result);
}

static inline sandlock_report *report_of(const sandlock_policy *policy)
{
    sandlock_process *process = NULL;
    sandlock_report *report;
    sandlock_error *error = NULL;

    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    report = sandlock_process_report(process);
    sandlock_process_free(process);
    sandlock_error_free(error);
    return report;
}

/* --- the machine --- */

/* A new directory for the test's files, removed by remove_tree. */
static inline const char *make_tree(void)
{
    static char path[PATH_MAX];
    const char *base = getenv("TMPDIR");

    snprintf(path, sizeof path, "%s/sandlock-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path)) {
        perror("mkdtemp");
        exit(2);
    }
    return path;
}

static inline void remove_tree(const char *path)
{
    char command[PATH_MAX + 32];

    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        printf("# cannot remove %s\n", path);
}

/* Removes what attacks have left in memory that were killed before they could, but not what somebody else's have. */
static inline void remove_leftovers(void)
{
    char command[128];

    snprintf(command, sizeof command, "find /dev/shm -maxdepth 1 -name 'sandlock-attack-*' -user %u -delete", (unsigned)getuid());
    CHECK(system(command) == 0);
}

static inline const char *in_tree(const char *tree, const char *name)
{
    static char paths[8][PATH_MAX * 2];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", tree, name);
    return path;
}

static inline void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (!file || fputs(text, file) < 0 || fclose(file)) {
        perror(path);
        exit(2);
    }
}

/* Entries of a directory of /proc/self: "fd" counts open descriptors, "task" threads. */
static inline int count_entries(const char *directory)
{
    char path[64];
    int count = 0;
    DIR *stream;

    snprintf(path, sizeof path, "/proc/self/%s", directory);
    stream = opendir(path);
    while (stream && readdir(stream))
        count++;
    if (stream)
        closedir(stream);
    return count;
}

/* Resident memory, kilobytes. */
static inline long resident_kb(void)
{
    char line[256];
    long kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes;
}

static inline int has_children(void)
{
    siginfo_t info;

    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static inline double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Open descriptors, threads and children of this process. */
struct footprint {
    int descriptors, threads, children;
};

static inline struct footprint footprint(void)
{
    struct footprint now = {count_entries("fd"), count_entries("task"), has_children()};

    return now;
}

static inline void check_unchanged(struct footprint before, const char *file, int line)
{
    struct footprint after = footprint();
    double start = seconds();

    /* pthread_join() returns a moment before the kernel takes the thread off its list: now, and when `before` was taken. */
    while (after.threads > before.threads && seconds() - start < 2)
        after = footprint();
    if (after.threads > before.threads || after.descriptors != before.descriptors || after.children != before.children) {
        test_failures++;
        printf("# %s:%d: left behind: descriptors %d to %d, threads %d to %d, children %d to %d\n", file, line,
               before.descriptors, after.descriptors, before.threads, after.threads, before.children, after.children);
    }
}

#define CHECK_UNCHANGED(before) check_unchanged(before, __FILE__, __LINE__)

#endif
