/* What the report says, beside what was enforced. */
#include "support.h"

static const char *row_of(const sandlock_report *report, uint32_t feature, sandlock_report_entry *entry)
{
    size_t i;

    for (i = 0; i < sandlock_report_count(report); i++)
        if (sandlock_report_row(report, i, entry, NULL) == SANDLOCK_OK && entry->feature == feature)
            return entry->mechanism;
    return "no such row";
}

static void report_says_what_was_enforced(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_report *report = report_of(policy);
    size_t i, count = sandlock_report_count(report);

    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    CHECK(count == SANDLOCK_FEATURE_DISK);
    for (i = 0; i < count; i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, i, &entry, NULL));
        CHECK(entry.feature == i + 1 && entry.requested == SANDLOCK_REQUIRE && entry.errno_value == 0);
        int optional = entry.feature >= SANDLOCK_FEATURE_LIMITS && entry.feature != SANDLOCK_FEATURE_PROCESSES;
        CHECK(entry.state == (optional ? SANDLOCK_STATE_NOT_REQUESTED : SANDLOCK_STATE_ENFORCED));
    }
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_report_row(report, count, &entry, NULL));
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_FILES, &entry), "landlock"));
    CHECK(!strcmp(entry.name, "files"));
    CHECK_CONTAINS(entry.detail, "ABI ");
    CHECK_CONTAINS(sandlock_report_json(report), "{\"level\":\"full\",\"features\":[{\"feature\":\"files\",");
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

static void report_shows_what_was_waived_and_asked_for(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_report *report;

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_DISABLE, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 64, NULL);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_NETWORK, &entry), ""));
    CHECK(entry.state == SANDLOCK_STATE_WAIVED && entry.requested == SANDLOCK_DISABLE);
    CHECK(!strcmp(row_of(report, SANDLOCK_FEATURE_LIMITS, &entry), "rlimit"));
    CHECK(entry.state == SANDLOCK_STATE_ENFORCED && !strcmp(entry.detail, "NOFILE=64"));
    sandlock_report_free(report);

    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_DISABLE, NULL);
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_NONE);
    sandlock_report_free(report);
    sandlock_policy_free(policy);
}

/* What a policy allows by name is not kept from the program, and not called enforced. Nor does it fail: nobody but the policy lacks it. */
static void report_says_what_the_policy_takes_back(void)
{
    static const struct { const char *call; uint32_t feature; } cases[] = {
        {"socket", SANDLOCK_FEATURE_NETWORK},
        {"utimensat", SANDLOCK_FEATURE_FILES_METADATA},
        {"memfd_secret", SANDLOCK_FEATURE_MEMORY},
        {"landlock_create_ruleset", SANDLOCK_FEATURE_DISK},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = system_policy();
        sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
        sandlock_report *report;
        char words[80];

        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, 1 << 28, NULL);
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DISK, 1 << 28, NULL);
        report = report_of(policy);
        row_of(report, cases[i].feature, &entry);
        CHECK(entry.state == SANDLOCK_STATE_ENFORCED && !strstr(entry.detail, "by name"));
        sandlock_report_free(report);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, cases[i].call, NULL));
        report = report_of(policy);
        CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
        row_of(report, cases[i].feature, &entry);
        snprintf(words, sizeof words, "not what the policy allows by name: %s", cases[i].call);
        CHECK(entry.state == SANDLOCK_STATE_DEGRADED && entry.errno_value == 0);
        CHECK_CONTAINS(entry.detail, words);
        sandlock_report_free(report);
        sandlock_policy_free(policy);
    }
    /* And so it is: a socket for UDP can be had. */
    for (i = 0; i < 2; i++) {
        sandlock_policy *policy = system_policy();
        sandlock_result *result;

        if (i)
            sandlock_policy_allow_syscall(policy, "socket", NULL);
        result = run_program(policy, ARGV("python3", "-c", "import socket as s; s.socket(s.AF_INET, s.SOCK_DGRAM)"));
        CHECK((sandlock_result_exit_code(result) == 0) == (i == 1));
        sandlock_result_free(result);
        sandlock_policy_free(policy);
    }
}

/* Sixteen domains are the most that Landlock nests: deep inside, what is required fails and what is best effort is a row. */
static void best_effort_step_that_fails_is_a_row_and_a_required_one_an_error(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        sandlock_policy *outer = sandlock_policy_new(), *inner = system_policy();
        sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;
        sandlock_error *error = NULL;
        sandlock_result *result = NULL;
        sandlock_report *report;
        int i;

        test_failures = 0;
        allow(outer, "/", SANDLOCK_ACCESS_ALL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SYSCALLS, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(outer, SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_DISABLE, NULL);
        for (i = 0; i < 16; i++)
            CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(outer, NULL));
        sandlock_policy_set_strictness(inner, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL);
        CHECK_STATUS(SANDLOCK_ERROR_CHILD_SETUP, sandlock_run(inner, NULL, ARGV("true"), -1, &result, &error));
        CHECK(sandlock_error_errno(error) == E2BIG);
        CHECK(!strcmp(sandlock_error_message(error),
                      "landlock: enter the domain (16 nested domains are the most): Argument list too long"));
        sandlock_policy_set_strictness(inner, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
        report = report_of(inner);
        CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_PARTIAL);
        row_of(report, SANDLOCK_FEATURE_FILES, &entry);
        CHECK(entry.state == SANDLOCK_STATE_UNAVAILABLE && entry.errno_value == E2BIG);
        row_of(report, SANDLOCK_FEATURE_NETWORK, &entry);
        CHECK(entry.state == SANDLOCK_STATE_UNAVAILABLE && entry.errno_value == E2BIG);
        row_of(report, SANDLOCK_FEATURE_SYSCALLS, &entry);
        CHECK(entry.state == SANDLOCK_STATE_ENFORCED);
        row_of(report, SANDLOCK_FEATURE_KILL_ALL, &entry);
        CHECK(entry.state == SANDLOCK_STATE_DEGRADED);
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

TESTS(T(report_says_what_was_enforced), T(report_shows_what_was_waived_and_asked_for),
      T(report_says_what_the_policy_takes_back), T(best_effort_step_that_fails_is_a_row_and_a_required_one_an_error))
