/* Mode, owner, times and attributes of files: as everywhere beneath WRITE rules, and nowhere else. */
#include "support.h"

#include <sys/xattr.h>

/* A directory as metadata_child expects it. */
static void make_files(const char *tree, const char *name)
{
    char directory[PATH_MAX];

    snprintf(directory, sizeof directory, "%s/%s", tree, name);
    CHECK(mkdir(directory, 0755) == 0 && mkdir(in_tree(directory, "dir"), 0755) == 0);
    write_text(in_tree(directory, "file"), "text");
    write_text(in_tree(directory, "second"), "text");
    write_text(in_tree(directory, "dir/inner"), "text");
    CHECK(symlink("file", in_tree(directory, "link")) == 0);
    CHECK(symlink("loop", in_tree(directory, "loop")) == 0);
}

/* What may be changed, what may only be read, and what the same calls are tried on outside any sandbox. */
static const char *make_trees(void)
{
    const char *tree = make_tree();

    make_files(tree, "write");
    make_files(tree, "read");
    make_files(tree, "bare");
    return tree;
}

static sandlock_policy *tree_policy(const char *tree)
{
    sandlock_policy *policy = system_policy();

    allow(policy, in_tree(tree, "write"), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, in_tree(tree, "read"), SANDLOCK_ACCESS_READ);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    return policy;
}

/* What the program prints in the sandbox. */
static char *confined(const sandlock_policy *policy, const char *what, const char *directory)
{
    sandlock_result *result = run_program(policy, ARGV(program("metadata_child"), what, directory));
    char *text = strdup(result ? output(result) : "");

    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    return text;
}

/* What it prints without privileges, but free otherwise. */
static char *bare(const char *what, const char *directory)
{
    char command[PATH_MAX * 3], *text = calloc(1, 65536);
    const char *drop = getuid() ? "" : "setpriv --bounding-set=-all --inh-caps=-all --no-new-privs ";
    FILE *stream;

    snprintf(command, sizeof command, "%s'%s' %s '%s'", drop, program("metadata_child"), what, directory);
    stream = popen(command, "r");
    CHECK(stream && fread(text, 1, 65535, stream) > 0);
    CHECK(stream && pclose(stream) == 0);
    return text;
}

static void check_same(const char *found, const char *expected)
{
    if (!CHECK(!strcmp(found, expected)))
        printf("# confined:\n%s# bare:\n%s", found, expected);
}

/* True if each line says this errno. */
static int all_say(const char *text, int errno_value)
{
    char end[16];
    int lines = 0;
    size_t length;

    snprintf(end, sizeof end, " %d\n", errno_value);
    for (; *text; text += length, lines++) {
        length = strcspn(text, "\n") + 1;
        if (length < strlen(end) || strncmp(text + length - strlen(end), end, strlen(end))) {
            printf("# %.*s", (int)length, text);
            return 0;
        }
    }
    return lines > 0;
}

/* Mode, owner, set times and attribute of a file, as text. */
static const char *describe(const char *path)
{
    static char texts[2][512];
    static unsigned next;
    char *text = texts[next++ % 2], value[64] = "";
    struct stat status;
    ssize_t length;

    CHECK(lstat(path, &status) == 0);
    length = lgetxattr(path, "user.sandlock", value, sizeof value - 1);
    snprintf(text, sizeof texts[0], "mode %o owner %u:%u times %ld.%09ld %ld.%09ld attribute %zd %s",
             (unsigned)status.st_mode, status.st_uid, status.st_gid,
             /* What is recent was not set. */
             status.st_atim.tv_sec < 10000 ? (long)status.st_atim.tv_sec : -1,
             status.st_atim.tv_sec < 10000 ? status.st_atim.tv_nsec : 0,
             status.st_mtim.tv_sec < 10000 ? (long)status.st_mtim.tv_sec : -1,
             status.st_mtim.tv_sec < 10000 ? status.st_mtim.tv_nsec : 0, length, value);
    return text;
}

static const char *const files[] = {"", "file", "second", "dir", "dir/inner", "link"};

static void check_same_files(const char *tree)
{
    char one[PATH_MAX], two[PATH_MAX];
    size_t i;

    for (i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(one, sizeof one, "%s/write/%s", tree, files[i]);
        snprintf(two, sizeof two, "%s/bare/%s", tree, files[i]);
        check_same(describe(one), describe(two));
    }
}

/* All there is to know of the files of a directory; to be freed. */
static char *describe_all(const char *tree, const char *name)
{
    char *text = calloc(1, 8192), path[PATH_MAX];
    struct stat status;
    size_t i, length = 0;

    for (i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", tree, name, files[i]);
        CHECK(lstat(path, &status) == 0);
        /* The time of the last change of metadata, which nobody can set, gives away every other change. */
        length += (size_t)snprintf(text + length, 8192 - length, "%s changed %ld.%09ld\n", describe(path),
                                   (long)status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
    }
    return text;
}

static void calls_beneath_write_do_what_they_do_bare(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *found = confined(policy, "each", in_tree(tree, "write")), *expected_text = bare("each", in_tree(tree, "bare"));

    check_same(found, expected_text);
    CHECK(all_say(found, 0));
    check_same_files(tree);
    free(found);
    free(expected_text);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void calls_that_fail_fail_as_they_do_bare(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *found = confined(policy, "errors", in_tree(tree, "write"));
    char *expected_text = bare("errors", in_tree(tree, "bare"));

    check_same(found, expected_text);
    check_same_files(tree);
    free(found);
    free(expected_text);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void calls_elsewhere_are_refused_and_change_nothing(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *before = describe_all(tree, "read"), *after;
    char *found = confined(policy, "each", in_tree(tree, "read"));

    CHECK(all_say(found, EACCES));
    after = describe_all(tree, "read");
    check_same(after, before);
    free(before);
    free(after);
    free(found);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void calls_are_forbidden_without_supervisor(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *before = describe_all(tree, "write"), *after, *found;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    found = confined(policy, "each", in_tree(tree, "write"));
    CHECK(all_say(found, EPERM));
    after = describe_all(tree, "write");
    check_same(after, before);
    free(before);
    free(after);
    free(found);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void no_file_becomes_set_user_id(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *found = confined(policy, "setid", in_tree(tree, "write"));
    struct stat status;

    check_same(found, "fchmodat 1\nfchmodat 1\nfchmodat 0\n");
    CHECK(stat(in_tree(tree, "write/file"), &status) == 0 && !(status.st_mode & (S_ISUID | S_ISGID)));
    free(found);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void every_member_of_the_sandbox_is_a_caller_of_its_own(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *found = confined(policy, "members", in_tree(tree, "write"));
    char *expected_text = bare("members", in_tree(tree, "bare"));

    check_same(found, expected_text);
    CHECK(all_say(found, 0));
    check_same_files(tree);
    free(found);
    free(expected_text);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void race_for_a_path_reaches_nothing_that_is_not_granted(void)
{
    const char *tree = make_trees();
    sandlock_policy *policy = tree_policy(tree);
    char *before = describe_all(tree, "read"), *after;
    unsigned done[2] = {0}, refused[2] = {0}, other[2];
    sandlock_result *result =
        run_program(policy, ARGV(program("metadata_child"), "race", in_tree(tree, "write/file"), in_tree(tree, "read/file"),
                                 in_tree(tree, "write/flip"), "3"));

    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK(result && sscanf(output(result), "string done %u refused %u other %u\nlink done %u refused %u other %u", &done[0],
                           &refused[0], &other[0], &done[1], &refused[1], &other[1]) == 6);
    /* Both happened, else it was no race. */
    CHECK(done[0] && refused[0] && done[1] && refused[1]);
    after = describe_all(tree, "read");
    check_same(after, before);
    free(before);
    free(after);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* Outside a domain the kernel would show the library more than the program may see: there nothing is changed for it. */
static void without_the_domain_of_the_sandbox_nothing_is_changed(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_result *result;

    write_text(in_tree(tree, "file"), "x");
    allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    result = run_program(policy, ARGV(program("attack_files"), "chmod", in_tree(tree, "file")));
    CHECK(sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_KILL_ALL, SANDLOCK_DISABLE, NULL));
    result = run_program(policy, ARGV(program("attack_files"), "chmod", in_tree(tree, "file")));
    CHECK(sandlock_result_exit_code(result) == 1);
    CHECK_CONTAINS(output(result), strerror(EACCES));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

TESTS(T(without_the_domain_of_the_sandbox_nothing_is_changed), T(calls_beneath_write_do_what_they_do_bare), T(calls_that_fail_fail_as_they_do_bare),
      T(calls_elsewhere_are_refused_and_change_nothing), T(calls_are_forbidden_without_supervisor),
      T(no_file_becomes_set_user_id), T(every_member_of_the_sandbox_is_a_caller_of_its_own),
      T(race_for_a_path_reaches_nothing_that_is_not_granted))
