/* The limit of disk: what it ends, what it lets finish, and what result, report and observers say. */
#include "supervisor.h"
#include "support.h"

#include <stdatomic.h>

enum { MIB = 1 << 20 };

static char tree[PATH_MAX];

static void empty_tree(void)
{
    char command[PATH_MAX * 2 + 64];

    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && find '%s' -mindepth 1 -delete", tree, tree);
    CHECK(system(command) == 0);
}

static void set_limit(sandlock_policy *policy, uint32_t limit, uint64_t value)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, limit, value, NULL));
}

/* Without a limit, if `mebibytes` is 0. */
static sandlock_policy *disk_policy(uint64_t mebibytes)
{
    sandlock_policy *policy = system_policy();

    if (!tree[0])
        snprintf(tree, sizeof tree, "%s", make_tree());
    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
    if (mebibytes)
        set_limit(policy, SANDLOCK_LIMIT_DISK, mebibytes << 20);
    return policy;
}

static void expect_exit(const sandlock_policy *policy, const char *const *argv, int code)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == code) ||
        !CHECK(sandlock_result_limit(result) == 0))
        printf("# %s %s: reason %u, exit %d, signal %d, limit %u, read %llu: %s%s\n", argv[0], argv[1],
               sandlock_result_reason(result), sandlock_result_exit_code(result), sandlock_result_signal(result),
               sandlock_result_limit(result), (unsigned long long)sandlock_result_limit_reading(result), output(result),
               errors(result));
    sandlock_result_free(result);
    empty_tree();
}

/* The reading stops where the limit is found exceeded, so that it says little of how far that was. */
static void expect_limit(const sandlock_policy *policy, const char *const *argv, uint64_t value)
{
    sandlock_result *result = run_program(policy, argv);

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT) ||
        !CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_DISK && sandlock_result_limit_value(result) == value) ||
        !CHECK(sandlock_result_limit_reading(result) > value))
        printf("# %s %s: reason %u, exit %d, limit %u, read %llu: %s%s\n", argv[0], argv[1], sandlock_result_reason(result),
               sandlock_result_exit_code(result), sandlock_result_limit(result),
               (unsigned long long)sandlock_result_limit_reading(result), output(result), errors(result));
    sandlock_result_free(result);
}

/* Bytes that the tree occupies. */
static uint64_t occupied(void)
{
    char command[PATH_MAX + 32];
    unsigned long long kilobytes = 0;
    FILE *stream;

    snprintf(command, sizeof command, "du -sk '%s'", tree);
    stream = popen(command, "r");
    CHECK(stream && fscanf(stream, "%llu", &kilobytes) == 1);
    if (stream)
        pclose(stream);
    return kilobytes << 10;
}

static void runaway_writers_are_ended_and_succeed_without_the_limit(void)
{
    static const struct {
        const char *way, *more;
    } ways[] = {{"files", NULL},          {"tree", "20"},   {"deleted", NULL}, {"mapped", NULL}, {"mapped-deleted", NULL},
                {"posix-reserve", NULL}, {"hidden", NULL}, {"deep", NULL}};
    sandlock_policy *bare = disk_policy(0), *policy = disk_policy(32);
    const char *attack = program("attack_disk");
    size_t i;

    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        expect_exit(bare, ARGV(attack, ways[i].way, "96", tree, ways[i].more), 0);
        expect_limit(policy, ARGV(attack, ways[i].way, "96", tree, ways[i].more), 32 * MIB);
        empty_tree();
    }
    set_limit(policy, SANDLOCK_LIMIT_DISK, 4 * MIB);
    expect_exit(bare, ARGV(attack, "empty", "6000", tree), 0);
    expect_limit(policy, ARGV(attack, "empty", "6000", tree), 4 * MIB);
    empty_tree();
    sandlock_policy_free(bare);
    sandlock_policy_free(policy);
}

static void writer_without_an_end_is_stopped_near_the_limit(void)
{
    sandlock_policy *policy = disk_policy(64);
    uint64_t left;

    expect_limit(policy, ARGV(program("attack_disk"), "files", "20000", tree), 64 * MIB);
    left = occupied();
    /* What a processor writes in a tenth of a second, on a busy machine. */
    if (!CHECK(left > 64 * MIB && left < 64 * MIB + 512 * (uint64_t)MIB))
        printf("# %llu MiB are left\n", (unsigned long long)left >> 20);
    printf("# a limit of 64 MiB left %llu KiB\n", (unsigned long long)left >> 10);
    empty_tree();
    sandlock_policy_free(policy);
}

static void writer_that_ends_before_anybody_looks_is_found_out(void)
{
    sandlock_policy *policy = disk_policy(1);
    sandlock_result *result = run_program(policy, ARGV(program("attack_disk"), "hurried", "2", tree));

    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_DISK && sandlock_result_limit_reading(result) > MIB);
    sandlock_result_free(result);
    empty_tree();
    expect_exit(policy, ARGV("/bin/true"), 0);
    sandlock_policy_free(policy);
}

static void programs_beneath_the_limit_finish(void)
{
    sandlock_policy *policy = disk_policy(32);
    const char *attack = program("attack_disk");

    expect_exit(policy, ARGV(attack, "files", "30", tree), 0);
    expect_exit(policy, ARGV(attack, "large", "31", tree), 0);
    expect_exit(policy, ARGV(attack, "tree", "30", tree, "20"), 0);
    expect_exit(policy, ARGV(attack, "deleted", "30", tree), 0);
    expect_exit(policy, ARGV(attack, "mapped", "30", tree), 0);
    expect_exit(policy, ARGV(attack, "mapped-deleted", "30", tree), 0);
    expect_exit(policy, ARGV(attack, "posix-reserve", "30", tree), 0);
    expect_exit(policy, ARGV(attack, "linked", "20", tree, "30"), 0);
    expect_exit(policy, ARGV(attack, "punch", "20", tree), 0);
    /* 1.5 GiB of holes. */
    expect_exit(policy, ARGV(attack, "sparse", "31", tree, "50"), 0);
    set_limit(policy, SANDLOCK_LIMIT_DISK, (uint64_t)2 << 40);
    expect_exit(policy, ARGV(attack, "sparse", "1048576", tree, "4"), 0);
    sandlock_policy_free(policy);
}

static void no_file_becomes_larger_than_all_may_be(void)
{
    sandlock_policy *policy = disk_policy(32);
    const char *attack = program("attack_disk");
    sandlock_result *result;

    expect_exit(policy, ARGV(attack, "sparse", "33", tree, "1"), 1);
    result = run_program(policy, ARGV(attack, "large", "64", tree));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 1);
    CHECK_CONTAINS(output(result), "write: File too large");
    sandlock_result_free(result);
    empty_tree();
    result = run_program(policy, ARGV(attack, "signalled", "64", tree));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_signal(result) == SIGXFSZ);
    CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_DISK && sandlock_result_limit_value(result) == 32 * MIB);
    CHECK(sandlock_result_limit_reading(result) >= 32 * MIB);
    sandlock_result_free(result);
    empty_tree();
    /* A stricter limit of files is the one that ends it; a looser one is not. */
    set_limit(policy, SANDLOCK_LIMIT_FSIZE, 4 * MIB);
    result = run_program(policy, ARGV(attack, "signalled", "8", tree));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_SIGNALED && sandlock_result_signal(result) == SIGXFSZ);
    CHECK(sandlock_result_limit(result) == 0);
    sandlock_result_free(result);
    empty_tree();
    set_limit(policy, SANDLOCK_LIMIT_FSIZE, 64 * MIB);
    expect_exit(policy, ARGV(attack, "sparse", "33", tree, "1"), 1);
    sandlock_policy_free(policy);
}

/* Terabytes can be reserved between two looks. */
static void space_is_written_and_not_reserved(void)
{
    sandlock_policy *bare = disk_policy(0), *policy = disk_policy(32);
    const char *attack = program("attack_disk");

    expect_exit(bare, ARGV(attack, "reserve", "64", tree), 0);
    expect_exit(policy, ARGV(attack, "reserve", "64", tree), 1);
    expect_exit(policy, ARGV(attack, "reserve-ioctl", "64", tree), 1);
    /* Unless the policy says so: then what is reserved counts. */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "fallocate", NULL));
    expect_exit(policy, ARGV(attack, "reserve", "16", tree), 0);
    expect_limit(policy, ARGV(attack, "reserve", "64", tree), 32 * MIB);
    empty_tree();
    sandlock_policy_free(bare);
    sandlock_policy_free(policy);
}

static void make_file(const char *name, size_t mebibytes)
{
    static char piece[MIB];
    FILE *file = fopen(in_tree(tree, name), "w");

    memset(piece, 1, sizeof piece);
    while (file && mebibytes-- > 0)
        CHECK(fwrite(piece, sizeof piece, 1, file) == 1);
    CHECK(file && fclose(file) == 0);
}

static void what_was_there_before_does_not_count(void)
{
    static const char reads[] = "for f in \"$0\"/*; do cat \"$f\"; done >/dev/null; rm \"$0\"/old0; mv \"$0\"/old1 \"$0\"/new; "
                                "chmod 600 \"$0\"/old2; sleep 0.5";
    sandlock_policy *policy = disk_policy(32);
    const char *attack = program("attack_disk");
    char name[16];
    int i;

    for (i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "old%d", i);
        make_file(name, 24);
    }
    expect_exit(policy, ARGV("/bin/sh", "-c", reads, tree), 0);
    make_file("old", 20);
    expect_exit(policy, ARGV(attack, "append", "10", in_tree(tree, "old")), 0);
    make_file("old", 20);
    for (i = 0; i < 3; i++) { /* the file alone is not too large */
        snprintf(name, sizeof name, "old%d", i);
        make_file(name, 1);
    }
    expect_limit(policy,
                 ARGV("/bin/sh", "-c", "for i in 0 1 2; do \"$1\" append 11 \"$0/old$i\" & done; wait", tree, attack),
                 32 * MIB);
    empty_tree();
    sandlock_policy_free(policy);
}

/* The first few hundred files are looked at before the start, the others afterwards. */
static void large_trees_are_walked_beside_the_program(void)
{
    sandlock_policy *policy = disk_policy(32);
    const char *attack = program("attack_disk");
    sandlock_result *result;
    char name[64];
    int i, j;

    for (i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "directory%d", i);
        CHECK(mkdir(in_tree(tree, name), 0700) == 0);
        for (j = 0; j < 200; j++) {
            snprintf(name, sizeof name, "directory%d/%d", i, j);
            write_text(in_tree(tree, name), "a file\n");
        }
    }
    make_file("old", 30);
    usleep(20000); /* the clock that stamps files has gone on */
    result = run_program(policy, ARGV(attack, "files", "8", tree));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    expect_limit(policy, ARGV(attack, "files", "96", tree), 32 * MIB);
    empty_tree();
    sandlock_policy_free(policy);
}

static void only_what_may_be_written_counts(void)
{
    static const char script[] = "head -c 7000000 /dev/zero && head -c 7000000 /dev/zero >\"$0/x\" && sleep 0.3";
    sandlock_policy *policy = disk_policy(8);
    char other[PATH_MAX + 16];
    int outside;

    /* A file of the host's, handed over. */
    snprintf(other, sizeof other, "%s-outside", tree);
    outside = open(other, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (CHECK(outside >= 0)) {
        sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
        sandlock_process *process = NULL;
        sandlock_result *result = NULL;
        options.stdout_mode = SANDLOCK_STDIO_FD;
        options.stdout_fd = outside;
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_spawn(policy, NULL, ARGV("/bin/sh", "-c", script, tree), &options, &process, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 30000, &result, NULL));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
        CHECK(occupied() > 6 * MIB && lseek(outside, 0, SEEK_END) == 7000000);
        sandlock_result_free(result);
        sandlock_process_free(process);
        close(outside);
        unlink(other);
    }
    empty_tree();
    sandlock_policy_free(policy);
}

static void single_files_and_memory_count_as_trees_do(void)
{
    static const char script[] = "for i in 0 1 2 3 4; do \"$1\" append 7 \"$0/$i\" & done; wait; sleep 1";
    sandlock_policy *policy = system_policy();
    char name[4] = "0";

    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    for (; name[0] < '5'; name[0]++) {
        make_file(name, 0);
        allow(policy, in_tree(tree, name), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    }
    set_limit(policy, SANDLOCK_LIMIT_DISK, 16 * MIB);
    expect_limit(policy, ARGV("/bin/sh", "-c", script, tree, program("attack_disk")), 16 * MIB);
    empty_tree();
    sandlock_policy_free(policy);
    policy = disk_policy(16);
    allow(policy, "/dev/shm", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    expect_limit(policy, ARGV(program("attack_disk"), "mapped", "64", "/dev/shm"), 16 * MIB);
    CHECK(system("rm -f /dev/shm/mapped-*") == 0);
    sandlock_policy_free(policy);
}

static void limit_holds_without_a_supervisor_and_without_a_domain(void)
{
    sandlock_policy *policy = disk_policy(16);
    const char *attack = program("attack_disk");
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    expect_limit(policy, ARGV(attack, "tree", "64", tree, "20"), 16 * MIB);
    empty_tree();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, false, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "disk: who is in the sandbox");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_DISK, SANDLOCK_BEST_EFFORT, NULL));
    expect_limit(policy, ARGV(attack, "deleted", "64", tree), 16 * MIB);
    empty_tree();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_DISK, SANDLOCK_DISABLE, NULL));
    expect_exit(policy, ARGV(attack, "large", "64", tree), 0);
    sandlock_policy_free(policy);
}

static void check_row(const sandlock_policy *policy, uint32_t state, const char *mechanism, const char *detail)
{
    sandlock_report *report = report_of(policy);
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_DISK - 1, &row, NULL));
    CHECK(row.feature == SANDLOCK_FEATURE_DISK && row.state == state);
    CHECK_CONTAINS(row.mechanism, mechanism);
    CHECK_CONTAINS(row.detail, detail);
    sandlock_report_free(report);
}

static void report_names_the_mechanism(void)
{
    sandlock_policy *policy = disk_policy(0);

    check_row(policy, SANDLOCK_STATE_NOT_REQUESTED, "", "");
    set_limit(policy, SANDLOCK_LIMIT_DISK, 16 * MIB);
    check_row(policy, SANDLOCK_STATE_ENFORCED, "RLIMIT_FSIZE, readings of the trees", "DISK=16777216");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_DISABLE, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED, sandlock_policy_check(policy, NULL));
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_DISK, SANDLOCK_BEST_EFFORT, NULL));
    check_row(policy, SANDLOCK_STATE_DEGRADED, "readings of the trees of path rules", "the feature files");
    set_limit(policy, SANDLOCK_LIMIT_DISK, SANDLOCK_UNLIMITED);
    check_row(policy, SANDLOCK_STATE_NOT_REQUESTED, "", "");
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DISK, 0, NULL));
    sandlock_policy_free(policy);
}

static atomic_int told;
static char told_text[256];

static void note(const sandlock_event *event, void *unused)
{
    (void)unused;
    snprintf(told_text, sizeof told_text, "%s", sandlock_event_text(event));
    told++;
}

static void observers_are_told_once(void)
{
    static const char *const ways[] = {"files", "hurried"};
    sandlock_policy *policy = disk_policy(4);
    size_t i;

    for (i = 0; i < 2; i++) {
        sandlock_supervisor *supervisor = NULL;
        sandlock_result *result = NULL;

        told = 0;
        CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_new(NULL, &supervisor, NULL));
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_LIMIT, note, NULL, NULL, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV(program("attack_disk"), ways[i], "8", tree), 30000,
                                               &result, NULL));
        CHECK(sandlock_result_limit(result) == SANDLOCK_LIMIT_DISK);
        sandlock_result_free(result);
        sandlock_supervisor_free(supervisor);
        CHECK(told == 1);
        CHECK_CONTAINS(told_text, "DISK=4194304 exceeded: ");
        empty_tree();
    }
    sandlock_policy_free(policy);
}

static void nothing_is_left_behind_in_the_host(void)
{
    sandlock_policy *policy = disk_policy(16);
    struct footprint before;
    int i;

    expect_exit(policy, ARGV("/bin/true"), 0);
    before = footprint();
    for (i = 0; i < 20; i++) {
        sandlock_result *result = run_program(policy, ARGV("/bin/true"));
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED);
        sandlock_result_free(result);
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void tree_is_removed(void)
{
    empty_tree();
    CHECK(rmdir(tree) == 0);
    tree[0] = 0;
}

TESTS(T(runaway_writers_are_ended_and_succeed_without_the_limit), T(writer_without_an_end_is_stopped_near_the_limit),
      T(writer_that_ends_before_anybody_looks_is_found_out), T(programs_beneath_the_limit_finish),
      T(no_file_becomes_larger_than_all_may_be), T(space_is_written_and_not_reserved), T(what_was_there_before_does_not_count),
      T(large_trees_are_walked_beside_the_program), T(only_what_may_be_written_counts),
      T(single_files_and_memory_count_as_trees_do), T(limit_holds_without_a_supervisor_and_without_a_domain),
      T(report_names_the_mechanism), T(observers_are_told_once), T(nothing_is_left_behind_in_the_host), T(tree_is_removed))
