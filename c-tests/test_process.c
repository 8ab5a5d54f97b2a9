/* What the program finds itself in: environment, settings, limits, signals, privileges. */
#include "support.h"

static void environment_is_the_hosts_or_minimal_with_changes(void)
{
    sandlock_policy *policy = system_policy();

    setenv("SANDLOCK_TEST_VARIABLE", "of the host", 1);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "of the host\n");
    sandlock_policy_set_env(policy, "SANDLOCK_TEST_VARIABLE", "of the policy", NULL);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "of the policy\n");
    sandlock_policy_set_env(policy, "SANDLOCK_TEST_VARIABLE", NULL, NULL);
    expect_output(policy, ARGV(program("probe"), "variable", "SANDLOCK_TEST_VARIABLE"), "(unset)\n");
    sandlock_policy_clear_env(policy, NULL);
    sandlock_policy_set_env(policy, "HOME", "/tmp", NULL);
    sandlock_policy_set_env(policy, "EMPTY", "", NULL);
    expect_output(policy, ARGV(program("probe"), "environment"),
                  "PATH=/usr/local/bin:/usr/bin:/bin\nLANG=C.UTF-8\nHOME=/tmp\nEMPTY=\n");
    CHECK(!strcmp(getenv("SANDLOCK_TEST_VARIABLE"), "of the host"));
    unsetenv("SANDLOCK_TEST_VARIABLE");
    sandlock_policy_free(policy);
}

static void process_settings_reach_the_program_and_not_the_host(void)
{
    sandlock_policy *policy = system_policy();
    const uint32_t cpu = 1;
    char here[PATH_MAX];
    mode_t mask = umask(022);

    sandlock_policy_set_cwd(policy, "/usr", NULL);
    sandlock_policy_set_umask(policy, 0137, NULL);
    sandlock_policy_set_nice(policy, 7, NULL);
    sandlock_policy_set_cpus(policy, &cpu, 1, NULL);
    expect_output(policy, ARGV(program("probe"), "directory"), "/usr\n");
    expect_output(policy, ARGV(program("probe"), "umask"), "137\n");
    expect_output(policy, ARGV(program("probe"), "nice"), "7\n");
    expect_output(policy, ARGV(program("probe"), "cpus"), "1 \n");
    CHECK(strcmp(getcwd(here, sizeof here), "/usr") != 0);
    CHECK(umask(mask) == 022);
    sandlock_policy_free(policy);
}

static void flags_take_effect(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *first, *second;

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, true, NULL);
    expect_output(policy, ARGV(program("probe"), "huge-pages"), "disabled 1\n");
    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_HUGE_PAGES, false, NULL);
    expect_output(policy, ARGV(program("probe"), "huge-pages"), "disabled 0\n");

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_COREDUMP, true, NULL);
    expect_output(policy, ARGV(program("probe"), "limits", "CORE"), "CORE=1/1 \n");

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_ASLR, true, NULL);
    expect_output(policy, ARGV(program("probe"), "personality"), "40000\n");
    first = run_program(policy, ARGV(program("probe"), "stack"));
    second = run_program(policy, ARGV(program("probe"), "stack"));
    CHECK(!strcmp(output(first), output(second)));
    sandlock_result_free(first);
    sandlock_result_free(second);
    sandlock_policy_free(policy);
}

static void limits_are_set_hard(void)
{
    sandlock_policy *policy = system_policy();

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU, 5, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 99, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 100, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_FSIZE, 1000, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CORE, 0, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DATA, 1 << 28, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_AS, 1 << 30, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_STACK, 1 << 20, NULL);
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMLOCK, 4096, NULL);
    expect_output(policy,
                  ARGV(program("probe"), "limits", "CPU", "NOFILE", "FSIZE", "CORE", "DATA", "AS", "STACK", "MEMLOCK"),
                  "CPU=5/6 NOFILE=100/100 FSIZE=1000/1000 CORE=0/0 DATA=268435456/268435456 "
                  "AS=1073741824/1073741824 STACK=1048576/1048576 MEMLOCK=4096/4096 \n");
    /* What the host itself may not exceed stays the limit. */
    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, UINT64_MAX, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
    sandlock_result_free(run_program(policy, ARGV("true")));
    sandlock_policy_free(policy);
}

static void process_limit_is_refused_for_user_0_only(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_error *error = NULL;

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NPROC, 1000, NULL);
    if (getuid() == 0) {
        CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
        CHECK_CONTAINS(sandlock_error_message(error), "limits: RLIMIT_NPROC does not bind user 0");
    } else {
        expect_output(policy, ARGV(program("probe"), "limits", "NPROC"), "NPROC=1000/1000 \n");
    }
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

static void ignore(int unused)
{
    (void)unused;
}

static void signals_are_as_new(void)
{
    sandlock_policy *policy = system_policy();
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, ignore);
    expect_output(policy, ARGV(program("probe"), "signals"), "blocked 0 changed 0\n");
    signal(SIGUSR1, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    sandlock_policy_free(policy);
}

static void program_has_no_privileges(void)
{
    sandlock_policy *policy = system_policy();

    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    expect_output(policy, ARGV(program("probe"), "status", "NoNewPrivs"), "NoNewPrivs:\t1\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapEff"), "CapEff:\t0000000000000000\n");
    expect_output(policy, ARGV(program("probe"), "status", "CapPrm"), "CapPrm:\t0000000000000000\n");
    if (getuid() == 0)
        expect_output(policy, ARGV(program("probe"), "status", "CapBnd"), "CapBnd:\t0000000000000000\n");
    sandlock_policy_free(policy);
}

static void program_leads_a_session_of_its_own(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_result *result = run_program(policy, ARGV(program("probe"), "session"));
    int pid = 0, session = 1, group = 2;

    CHECK(sscanf(output(result), "pid %d session %d group %d", &pid, &session, &group) == 3);
    CHECK(pid > 0 && session == pid && group == pid);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

TESTS(T(environment_is_the_hosts_or_minimal_with_changes), T(process_settings_reach_the_program_and_not_the_host),
      T(flags_take_effect), T(limits_are_set_hard), T(process_limit_is_refused_for_user_0_only),
      T(signals_are_as_new), T(program_has_no_privileges), T(program_leads_a_session_of_its_own))
