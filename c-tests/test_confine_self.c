/* Confining oneself. Each test does so in a process of its own. */
#include "support.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Runs a test's body in a child, so that its confinement ends with it. */
static void in_a_child(void (*body)(void))
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        test_failures = 0;
        body();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int readable(const char *path)
{
    int fd = open(path, O_RDONLY);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void confine_and_try(void)
{
    sandlock_policy *policy = system_policy();
    int before = open("/etc/passwd", O_RDONLY);
    char byte;

    sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_NOFILE, 50, NULL);
    CHECK(readable("/etc/passwd"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(policy, NULL));
    CHECK(!readable("/etc/passwd") && errno == EACCES);
    CHECK(readable("/usr"));
    CHECK(socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EPERM);
    CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
    CHECK(dup2(0, 60) < 0);
    CHECK(read(before, &byte, 1) == 1); /* what is open stays open */
    sandlock_policy_free(policy);
}

static void calling_thread_is_confined_for_good(void)
{
    in_a_child(confine_and_try);
}

static void *confine_this_thread(void *policy)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(policy, NULL));
    CHECK(!readable("/etc/passwd"));
    return NULL;
}

static void confine_another_thread(void)
{
    sandlock_policy *policy = system_policy();
    pthread_t thread;

    pthread_create(&thread, NULL, confine_this_thread, policy);
    pthread_join(thread, NULL);
    CHECK(readable("/etc/passwd"));
    sandlock_policy_free(policy);
}

static void other_threads_stay_free(void)
{
    in_a_child(confine_another_thread);
}

static volatile int go;
static int other_thread_socket, other_thread_errno;

static void *try_later(void *unused)
{
    (void)unused;
    while (!go)
        ;
    other_thread_socket = socket(AF_NETLINK, SOCK_RAW, 0);
    other_thread_errno = errno;
    return NULL;
}

static void confine_all_threads(void)
{
    sandlock_policy *policy = system_policy();
    sandlock_error *error = NULL;
    pthread_t thread;

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_ALL_THREADS, true, NULL);
    pthread_create(&thread, NULL, try_later, NULL);
    if (!expected("landlock-8")) {
        CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_confine_self(policy, &error));
        CHECK_CONTAINS(sandlock_error_message(error), "Landlock reaches all threads from ABI 8");
        sandlock_error_free(error);
        CHECK(readable("/etc/passwd")); /* and nothing was done */
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_SIGNAL_SCOPE, SANDLOCK_DISABLE, NULL);
        sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ABSTRACT_UNIX_SCOPE, SANDLOCK_DISABLE, NULL);
    }
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_CAPABILITIES, SANDLOCK_DISABLE, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(policy, NULL));
    go = 1;
    pthread_join(thread, NULL);
    CHECK(other_thread_socket < 0 && other_thread_errno == EPERM);
    sandlock_policy_free(policy);
}

static void all_threads_are_reached_or_it_fails(void)
{
    in_a_child(confine_all_threads);
}

static void confine_single_thread_with_the_flag(void)
{
    sandlock_policy *policy = system_policy();

    sandlock_policy_set_flag(policy, SANDLOCK_FLAG_ALL_THREADS, true, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(policy, NULL));
    CHECK(!readable("/etc/passwd"));
    sandlock_policy_free(policy);
}

static void process_with_one_thread_is_confined_whole(void)
{
    in_a_child(confine_single_thread_with_the_flag);
}

static void what_starts_a_program_is_refused(void)
{
    sandlock_policy *policies[6];
    const uint32_t cpu = 0;
    size_t i;

    for (i = 0; i < 6; i++)
        policies[i] = system_policy();
    sandlock_policy_set_env(policies[0], "A", "1", NULL);
    sandlock_policy_set_cwd(policies[1], "/", NULL);
    sandlock_policy_set_umask(policies[2], 0, NULL);
    sandlock_policy_set_nice(policies[3], 1, NULL);
    sandlock_policy_set_cpus(policies[4], &cpu, 1, NULL);
    sandlock_policy_set_flag(policies[5], SANDLOCK_FLAG_NO_ASLR, true, NULL);
    for (i = 0; i < 6; i++) {
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_confine_self(policies[i], NULL));
        sandlock_policy_free(policies[i]);
    }
    CHECK(readable("/etc/passwd"));
}

static void confine_then_run(void)
{
    sandlock_policy *outer = system_policy(), *inner;
    sandlock_result *result;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_path(outer, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, NULL));
    allow(outer, "/proc", SANDLOCK_ACCESS_READ);
    CHECK_STATUS(SANDLOCK_OK, sandlock_confine_self(outer, NULL));
    inner = system_policy();
    allow(inner, "/etc", SANDLOCK_ACCESS_READ);
    result = run_program(inner, ARGV("cat", "/etc/passwd"));
    CHECK(sandlock_result_exit_code(result) == 1); /* the outer domain decides too */
    sandlock_result_free(result);
    sandlock_policy_free(inner);
    sandlock_policy_free(outer);
}

static void confined_host_can_confine_further(void)
{
    in_a_child(confine_then_run);
}

TESTS(T(calling_thread_is_confined_for_good), T(other_threads_stay_free), T(all_threads_are_reached_or_it_fails),
      T(process_with_one_thread_is_confined_whole), T(what_starts_a_program_is_refused),
      T(confined_host_can_confine_further))
