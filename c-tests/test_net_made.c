/* Network rules where the library cannot take duplicates of a program's sockets, because whoever runs the host forbids pidfd_getfd(2), as
 * containers have done: then it makes the sockets itself. The program runs itself under a filter that refuses the call. */
#include "net.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void refuse(void)
{
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 1, 0),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kcmp, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {sizeof code / sizeof *code, code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        stop("seccomp");
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* --- the tests of network rules --- */

static void check_program(const char *name)
{
    char line[4096];
    FILE *output = popen(program(name), "re");
    int passed = 0;

    while (output && fgets(line, sizeof line, output)) {
        passed += !strncmp(line, "ok ", 3);
        if (strncmp(line, "ok ", 3))
            printf("# %s: %s", name, line);
    }
    CHECK(output && pclose(output) == 0);
    CHECK(passed > 0);
}

static void rules_are_kept_as_they_are_elsewhere(void)
{
    check_program("test_net");
}

static void calls_behave_as_they_do_elsewhere(void)
{
    check_program("test_net_calls");
}

/* --- what it says --- */

static void report_says_who_makes_the_sockets(void)
{
    static const struct {
        const char *rule;
        int made;
    } cases[] = {{"tcp://127.0.0.1:$t", 1}, {"unix:$/socket", 1}, {"bind $1-$3", 1}, {"tcp://*:$t", 1}};
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(RULES(cases[i].rule));
        sandlock_report *report = report_of(policy);
        sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;

        CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_NETWORK - 1, &row, NULL));
        CHECK(row.state == SANDLOCK_STATE_ENFORCED);
        CHECK((strstr(row.mechanism, "sockets made on behalf") != NULL) == cases[i].made);
        sandlock_report_free(report);
        sandlock_policy_free(policy);
    }
}

/* The library's threads are in another one. */
static void network_namespace_of_its_own_fails_the_start(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1:$t"));
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_NET, true, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED,
                 sandlock_spawn(policy, NULL, CHILD("connect", "127.0.0.1:$t"), NULL, &process, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "pidfd_getfd(2) is refused");
    sandlock_error_free(error);
    sandlock_policy_free(policy);
}

/* --- the sockets --- */

static void sockets_are_what_the_program_would_have_made(void)
{
    sandlock_policy *policy = policy_with(RULES("127.0.0.1:$t", "unix:$/socket"));
    char *wanted = bare(CHILD("sockets")), *found = confined(policy, CHILD("sockets"));
    /* Beyond those the filter refuses: EPERM where the kernel would say why. */
    size_t same = strlen(wanted);
    int i;

    for (i = 0; i < 2; i++)
        while (same > 0 && wanted[--same] != ' ')
            ;
    if (!CHECK(!strncmp(wanted, found, same)))
        printf("# found \"%s\", not \"%s\"\n", found, wanted);
    CHECK_CONTAINS(found, " EINVAL EPERM EPERM");
    free(wanted);
    free(found);
    sandlock_policy_free(policy);
}

/* Somebody else's descriptor does not keep a connection. */
static void peer_learns_at_once_that_the_program_has_closed(void)
{
    static const char *const ways[] = {"waiting", "nonblocking"};
    const char *rules[] = {"127.0.0.1:$t", "tcp://127.0.0.1:$t"};
    struct server *server;
    size_t i;

    start_servers();
    server = server_of('t');
    for (i = 0; i < 4; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i / 2]));
        struct running running = start_child(policy, CHILD("close", "127.0.0.1:$t", ways[i % 2]));
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC), other;
        char text[16] = "";
        struct timeval patience = {20, 0};
        double start;

        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        CHECK(recv(fd, text, 5, MSG_WAITALL) == 5 && !strcmp(text, "hello"));
        other = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        start = now();
        CHECK(recv(fd, text, 1, 0) == 0);
        /* Long before anybody looks for what is closed. */
        CHECK(now() - start < 1);
        close(fd);
        close(other);
        CHECK(!strcmp(next_line(&running), "ok ok ok"));
        finish(&running);
        sandlock_policy_free(policy);
    }
}

static void what_the_program_has_closed_is_closed(void)
{
    static const struct {
        const char *rules[3];
        const char *words[4];
        const char *prints;
    } cases[] = {
        {{"udp://127.0.0.1"}, {"open-many", "closed", "2000"}, "2000 ok"},
        {{"udp://127.0.0.1", "bind udp://$1"}, {"bind-again", "127.0.0.1:$1", "datagrams"}, "ok ok ok"},
        {{"bind $1-$3"}, {"bind-again", "127.0.0.1:$1", "listening"}, "ok ok ok ok ok ok ok ok ok"},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);
        check_run(policy, cases[i].words, cases[i].prints, "");
        sandlock_policy_free(policy);
    }
}

static void host_keeps_few_descriptors_and_none_in_the_end(void)
{
    sandlock_policy *policy = policy_with(RULES("udp://127.0.0.1"));
    int before;

    check_run(policy, ARGV("open-many", "kept", "200"), "200 ok", "");
    before = open_descriptors();
    check_run(policy, ARGV("open-many", "kept", "400"), "256 ENFILE", "");
    CHECK(open_descriptors() == before);
    sandlock_policy_free(policy);
}

/* --- what the library has no descriptor of --- */

static void streams_are_sent_on_by_programs_of_one_thread(void)
{
    static const struct {
        const char *rules[4];
        const char *prints;
    } cases[] = {
        /* Messages are not looked at. */
        {{"tcp://127.0.0.1", "bind $1-$3"}, "ok ok ok ok ok ok ok ok ok ok EPERM ok"},
        {{"127.0.0.1", "bind $1-$3"}, "ok ok ok ok ok ok EPERM EPERM EPERM EPERM EPERM ok"},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);
        check_run(policy, ARGV("streams", "127.0.0.1:$1"), cases[i].prints, "");
        sandlock_policy_free(policy);
    }
}

static void descriptor_that_is_lent_reaches_nobody(void)
{
    sandlock_policy *policy = policy_with(RULES("127.0.0.1:$u"));

    check_run(policy, ARGV("lent", "127.0.0.1:$U", "20000"), "EPERM", "");
    sandlock_policy_free(policy);
}

static const struct test tests[] = {
    T(rules_are_kept_as_they_are_elsewhere),
    T(calls_behave_as_they_do_elsewhere),
    T(report_says_who_makes_the_sockets),
    T(network_namespace_of_its_own_fails_the_start),
    T(sockets_are_what_the_program_would_have_made),
    T(peer_learns_at_once_that_the_program_has_closed),
    T(what_the_program_has_closed_is_closed),
    T(host_keeps_few_descriptors_and_none_in_the_end),
    T(streams_are_sent_on_by_programs_of_one_thread),
    T(descriptor_that_is_lent_reaches_nobody),
};

int main(int argc, char **argv)
{
    refuse();
    setenv("SANDLOCK_TEST_MADE_SOCKETS", "1", 1);
    return run_tests(tests, sizeof tests / sizeof *tests, argc, argv);
}
