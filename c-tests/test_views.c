/* What a program sees in a mount namespace of its own: its root, its mounts, its /proc; and that paths, path rules and what the library
 * does for the program mean what the program sees. Attacks on what is not to be seen are in attack_table.c. */
#include "supervisor.h"

#include <sys/mount.h>

static int offered(void)
{
    if (!expected("userns"))
        test_absent = "the machine was not declared to offer userns";
    return !test_absent;
}

static void bind_mount(sandlock_policy *policy, const char *source, const char *target, uint64_t flags)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, source, target, flags, NULL));
}

static void mount_memory(sandlock_policy *policy, const char *target, uint64_t size)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, target, size, NULL));
}

static void mount_system(sandlock_policy *policy)
{
    static const char *const directories[] = {"/usr", "/bin", "/lib", "/lib64"};
    size_t i;

    for (i = 0; i < sizeof directories / sizeof *directories; i++)
        if (access(directories[i], F_OK) == 0)
            bind_mount(policy, directories[i], directories[i], 0);
    bind_mount(policy, program_directory(), program_directory(), 0);
}

static sandlock_policy *in_memory_policy(void)
{
    static const char *const devices[] = {"/dev/null", "/dev/urandom"};
    sandlock_policy *policy = system_policy();
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "", NULL));
    mount_system(policy);
    for (i = 0; i < sizeof devices / sizeof *devices; i++) {
        bind_mount(policy, devices[i], devices[i], SANDLOCK_MOUNT_WRITE);
        allow(policy, devices[i], SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    }
    return policy;
}

/* What is mounted in this process's namespace. */
static char *mounts_of_host(void)
{
    static char texts[2][1 << 16];
    static int next;
    char *text = texts[next++ % 2];
    FILE *file = fopen("/proc/self/mountinfo", "r");
    size_t length = fread(text, 1, sizeof texts[0] - 1, file);

    text[length] = 0;
    fclose(file);
    return text;
}

static void expect_failure(const sandlock_policy *policy, int32_t status, const char *part)
{
    struct footprint before = footprint();
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(status, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, &error));
    CHECK_CONTAINS(sandlock_error_message(error), part);
    sandlock_error_free(error);
    sandlock_process_free(process);
    /* The policy keeps what it has opened for the next run; a second failure adds nothing. */
    before = footprint();
    CHECK_STATUS(status, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, NULL));
    CHECK_UNCHANGED(before);
}

static void proc_shows_its_own_processes_only(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = system_policy();
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_MOUNT, true, NULL));
    expect_output(policy, ARGV("sh", "-c", "cd /proc; echo [0-9]*; readlink self"), "1 2\n3\n");
    sandlock_policy_free(policy);
}

static void root_in_memory_has_what_is_mounted(void)
{
    sandlock_policy *policy;
    const char *tree;
    char before[1 << 16];

    if (!offered())
        return;
    tree = make_tree();
    strcpy(before, mounts_of_host());
    policy = in_memory_policy();
    mount_memory(policy, "/memory", 1 << 20);
    mkdir(in_tree(tree, "data"), 0755);
    write_text(in_tree(tree, "data/file"), "of the host\n");
    write_text(in_tree(tree, "alone"), "alone\n");
    bind_mount(policy, in_tree(tree, "data"), "/memory/deep/er", 0);
    bind_mount(policy, in_tree(tree, "alone"), "/etc/single", 0);
    mount_memory(policy, "/memory/inner", 1 << 20);
    allow(policy, "/memory", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/etc/single", SANDLOCK_ACCESS_READ);
    allow(policy, "/", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/none/such", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL);
    sandlock_policy_set_cwd(policy, "/memory/inner", NULL);
    expect_output(policy,
                  ARGV("sh", "-c",
                       "pwd; cat /etc/single ../deep/er/file; echo x > /dev/null; echo kept > here; cat here; ls /etc /memory"),
                  "/memory/inner\nalone\nof the host\nkept\n/etc:\nsingle\n\n/memory:\ndeep\ninner\n");
    /* The root, and what was made in it, is for nobody to write to; nor is what is mounted for reading, whatever rules say. */
    expect_output(policy,
                  ARGV("sh", "-c",
                       "for i in /new /etc/new /memory/deep/er/new; do (echo > $i) 2>/dev/null || echo refused; done; "
                       "rmdir /etc/single 2>/dev/null || echo refused; "
                       "ln /memory/deep/er/file /memory/x 2>/dev/null || echo refused; ls -A"),
                  "refused\nrefused\nrefused\nrefused\nrefused\n");
    CHECK(!strcmp(before, mounts_of_host()));
    CHECK(access("/memory", F_OK) && access("/etc/single", F_OK) && access(in_tree(tree, "data/new"), F_OK));
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* A directory for a root, in which /etc leads out of it, by a link: what is mounted there is mounted where that leads inside. */
static void root_directory_is_the_end_of_all_links(void)
{
    const char *tree, *outside;
    char link[PATH_MAX * 2];
    sandlock_policy *policy;
    static const char *const places[] = {"root/usr", "root/bin", "root/lib", "root/lib64", "root/proc", "root/data"};
    size_t i;

    if (!offered())
        return;
    tree = make_tree();
    outside = strdup(in_tree(tree, "outside"));
    mkdir(outside, 0755);
    mkdir(in_tree(tree, "outside/x"), 0755);
    mkdir(in_tree(tree, "root"), 0755);
    for (i = 0; i < sizeof places / sizeof *places; i++)
        mkdir(in_tree(tree, places[i]), 0755);
    snprintf(link, sizeof link, "%s/root/etc", tree);
    CHECK(symlink(outside, link) == 0);

    policy = sandlock_policy_new();
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, in_tree(tree, "root"), NULL));
    for (i = 0; i < 4; i++) {
        snprintf(link, sizeof link, "%s", strchr(places[i], '/'));
        if (access(link, F_OK) == 0)
            bind_mount(policy, link, link, 0);
    }
    allow(policy, "/", SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_WRITE);
    mount_memory(policy, "/data", 1 << 20);
    expect_output(policy, ARGV("sh", "-c", "echo x > /data/new; ls /data /proc/self/fd | grep -cx new; (echo > /new) 2>&1 | grep -o 'Read-only.*'"),
                  "1\nRead-only file system\n");
    CHECK(access(in_tree(tree, "root/data/new"), F_OK) != 0);

    mount_memory(policy, "/etc/x", 1 << 20);
    expect_failure(policy, SANDLOCK_ERROR_CHILD_SETUP, "\"/etc/x\"");
    /* With such a place inside, it is mounted there, and never outside. */
    snprintf(link, sizeof link, "mkdir -p '%s/root%s/x'", tree, outside);
    CHECK(system(link) == 0);
    snprintf(link, sizeof link, "echo y > /etc/x/new && cat '%s/x/new'", outside);
    expect_output(policy, ARGV("sh", "-c", link), "y\n");
    CHECK(access(in_tree(tree, "outside/x/new"), F_OK) != 0);
    sandlock_policy_free(policy);
    free((char *)outside);
    remove_tree(tree);
}

static void what_is_missing_is_named(void)
{
    const char *tree;
    sandlock_policy *policy;

    if (!offered())
        return;
    tree = make_tree();
    mkdir(in_tree(tree, "root"), 0755);
    policy = in_memory_policy();
    allow(policy, "/not/mounted", SANDLOCK_ACCESS_READ);
    expect_failure(policy, SANDLOCK_ERROR_CHILD_SETUP, "\"/not/mounted\"");
    /* Or whoever removes a directory has done away with all rules. */
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL);
    expect_failure(policy, SANDLOCK_ERROR_CHILD_SETUP, "\"/not/mounted\"");
    sandlock_policy_free(policy);

    policy = in_memory_policy();
    bind_mount(policy, "/none/such", "/x", 0);
    expect_failure(policy, SANDLOCK_ERROR_NOT_FOUND, "\"/none/such\"");
    sandlock_policy_free(policy);

    CHECK(symlink("/", in_tree(tree, "link")) == 0);
    policy = system_policy();
    bind_mount(policy, in_tree(tree, "link"), "/mnt", 0);
    expect_failure(policy, SANDLOCK_ERROR_INVALID_ARGUMENT, "/link\"");
    sandlock_policy_free(policy);

    policy = system_policy();
    mount_memory(policy, "/none/such", 1 << 20);
    expect_failure(policy, SANDLOCK_ERROR_CHILD_SETUP, "\"/none/such\"");
    sandlock_policy_free(policy);

    /* Of several, whose sources are open by then. */
    policy = system_policy();
    bind_mount(policy, "/usr", "/mnt", 0);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, in_tree(tree, "root"), NULL));
    mount_system(policy);
    expect_failure(policy, SANDLOCK_ERROR_CHILD_SETUP, "\"/mnt\"");
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* What is mounted over a directory hides it, even from who was there before. */
static void working_directory_is_what_is_seen(void)
{
    const char *tree;
    sandlock_policy *policy;

    if (!offered())
        return;
    tree = make_tree();
    write_text(in_tree(tree, "secret"), "hidden\n");
    if (chdir(tree))
        CHECK(!"chdir");
    policy = sandlock_policy_new();
    allow(policy, "/", SANDLOCK_ACCESS_READ_EXECUTE);
    expect_output(policy, ARGV("cat", "secret"), "hidden\n");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_MOUNT, true, NULL));
    expect_output(policy, ARGV("cat", "secret"), "hidden\n");
    mount_memory(policy, tree, 1 << 20);
    expect_output(policy, ARGV("sh", "-c", "cat secret 2>/dev/null || ls -A; test $(pwd) = $0 && echo there", tree), "there\n");
    sandlock_policy_free(policy);

    policy = sandlock_policy_new();
    allow(policy, "/", SANDLOCK_ACCESS_READ_EXECUTE);
    mount_memory(policy, "/tmp", 1 << 20);
    expect_output(policy, ARGV("sh", "-c", "cat secret 2>/dev/null || pwd"), strncmp(tree, "/tmp/", 5) ? "hidden\n" : "/\n");
    CHECK(chdir("/") == 0);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void memory_is_bounded_and_counts(void)
{
    sandlock_policy *policy;
    sandlock_result *result;

    if (!offered())
        return;
    policy = in_memory_policy();
    mount_memory(policy, "/scratch", 4 << 20);
    allow(policy, "/scratch", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    expect_output(policy, ARGV("sh", "-c", "yes | head -c 8000000 > /scratch/big; stat -c %s /scratch/big"), "4194304\n");
    sandlock_policy_free(policy);

    policy = in_memory_policy();
    mount_memory(policy, "/scratch", 200 << 20);
    allow(policy, "/scratch", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    result = run_program(policy, ARGV("sh", "-c", "yes | head -c 100000000 > /scratch/big; stat -c %s /scratch/big"));
    CHECK(!strcmp(output(result), "100000000\n"));
    sandlock_result_free(result);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, 50 << 20, NULL));
    result = run_program(policy, ARGV("sh", "-c", "yes | head -c 100000000 > /scratch/big; sleep 1000"));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_limit(result) == SANDLOCK_LIMIT_MEMORY);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* The library changes modes and times for the program: of what the program means, and where it may write. */
/* Wherever the program sees it, and whatever directory the rule is for. */
static void disk_of_what_is_mounted_is_limited(void)
{
    static const char *const rules[] = {"/work", "/", "/work/deep"};
    const char *const *argv = ARGV("sh", "-c", "mkdir -p /work/deep; i=0; while [ $i -lt 64 ]; do head -c 1048576 /dev/zero >"
                                               "/work/deep/$i || exit 1; i=$((i+1)); done");
    const char *tree;
    size_t i;

    if (!offered())
        return;
    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = in_memory_policy();
        sandlock_result *result;

        tree = make_tree();
        mkdir(in_tree(tree, "deep"), 0755);
        bind_mount(policy, tree, "/work", SANDLOCK_MOUNT_WRITE);
        bind_mount(policy, "/dev/zero", "/dev/zero", 0);
        allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
        allow(policy, rules[i], SANDLOCK_ACCESS_ALL);
        result = run_program(policy, argv);
        CHECK(sandlock_result_exit_code(result) == 0);
        sandlock_result_free(result);
        remove_tree(tree);

        tree = make_tree();
        sandlock_policy_free(policy);
        policy = in_memory_policy();
        mkdir(in_tree(tree, "deep"), 0755);
        bind_mount(policy, tree, "/work", SANDLOCK_MOUNT_WRITE);
        bind_mount(policy, "/dev/zero", "/dev/zero", 0);
        allow(policy, "/dev/zero", SANDLOCK_ACCESS_READ);
        allow(policy, rules[i], SANDLOCK_ACCESS_ALL);
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DISK, 4 << 20, NULL);
        result = run_program(policy, argv);
        CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_LIMIT && sandlock_result_limit(result) == SANDLOCK_LIMIT_DISK);
        sandlock_result_free(result);
        sandlock_policy_free(policy);
        remove_tree(tree);
    }
}

static void metadata_is_changed_where_the_program_means(void)
{
    const char *tree;
    sandlock_policy *policy;
    struct stat status;

    if (!offered())
        return;
    tree = make_tree();
    mkdir(in_tree(tree, "data"), 0755);
    write_text(in_tree(tree, "data/file"), "x");
    write_text(in_tree(tree, "closed"), "x");
    chmod(in_tree(tree, "closed"), 0644);
    policy = in_memory_policy();
    bind_mount(policy, in_tree(tree, "data"), "/open", SANDLOCK_MOUNT_WRITE);
    bind_mount(policy, in_tree(tree, "data"), "/unwritable", 0);
    bind_mount(policy, tree, "/tree", SANDLOCK_MOUNT_WRITE);
    mount_memory(policy, "/scratch", 1 << 20);
    allow(policy, "/open", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/unwritable", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/scratch", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/tree", SANDLOCK_ACCESS_READ);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    sandlock_policy_set_cwd(policy, "/open", NULL);
    expect_output(policy,
                  ARGV("sh", "-c",
                       "mode() { stat -c %a $1; }; chmod 600 file && mode file; chmod 640 /../../open/file && mode file; "
                       "chmod 604 ../open/./file && mode file; exec 7>>file; chmod 664 /proc/self/fd/7 && mode file; "
                       "chmod 666 /proc/$$/cwd/file && mode file; touch -d @1000 file && stat -c %Y file; "
                       "touch /scratch/own; chmod 4700 /scratch/own 2>/dev/null && echo set-user-ID; chmod 701 /scratch/own && mode /scratch/own; ln -s ../scratch/own link; chmod 700 link && mode /scratch/own; "
                       "for i in /tree/closed /unwritable/file /usr/bin/env /proc/1/root/open/file /etc /; do "
                       "chmod 777 $i 2>/dev/null && echo changed $i; done; "
                       "ln -s /tree/closed out; chmod 777 out 2>/dev/null && echo changed; "
                       "exec 8</tree/closed; chmod 777 /proc/self/fd/8 2>/dev/null && echo changed; true"),
                  "600\n640\n604\n664\n666\n1000\n701\n700\n");
    CHECK(stat(in_tree(tree, "data/file"), &status) == 0 && (status.st_mode & 07777) == 0666 && status.st_mtime == 1000);
    CHECK(stat(in_tree(tree, "closed"), &status) == 0 && (status.st_mode & 07777) == 0644);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void repository_can_be_kept_in_memory(void)
{
    sandlock_policy *policy;

    if (!offered() || access("/usr/bin/git", X_OK))
        return;
    policy = in_memory_policy();
    mount_memory(policy, "/work", 16 << 20);
    allow(policy, "/work", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    sandlock_policy_set_cwd(policy, "/work", NULL);
    sandlock_policy_set_env(policy, "HOME", "/work", NULL);
    expect_output(policy,
                  ARGV("sh", "-c",
                       "git init -q . && echo x > file && git add file && "
                       "git -c user.name=a -c user.email=a@b commit -qm first && git log --format=%s"),
                  "first\n");
    sandlock_policy_free(policy);
}

static void trace_names_what_the_program_sees(void)
{
    sandlock_suggestions *suggestions = NULL;
    sandlock_result *result = NULL;
    sandlock_supervisor *supervisor;
    sandlock_policy *policy;
    const char *tree;

    if (!offered())
        return;
    tree = make_tree();
    write_text(in_tree(tree, "file"), "x");
    policy = in_memory_policy();
    bind_mount(policy, tree, "/data", 0);
    supervisor = new_supervisor();
    CHECK_STATUS(SANDLOCK_OK, sandlock_supervisor_trace(supervisor, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, ARGV("cat", "/data/../data/file"), 20000, &result, NULL));
    CHECK(sandlock_result_exit_code(result) == 1);
    CHECK_STATUS(SANDLOCK_OK, sandlock_trace_suggest(supervisor, &suggestions, NULL));
    CHECK_CONTAINS(sandlock_suggestions_text(suggestions),
                   "sandlock_policy_allow_path(policy, \"/data/file\", SANDLOCK_ACCESS_READ, &error);\n");
    CHECK(!strstr(sandlock_suggestions_text(suggestions), tree));
    sandlock_suggestions_free(suggestions);
    sandlock_result_free(result);
    sandlock_supervisor_free(supervisor);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* The filter lets mount(2) and its like through; privileges are what is missing. */
static void mounts_cannot_be_changed(void)
{
    sandlock_policy *policy;

    if (!offered())
        return;
    policy = in_memory_policy();
    mount_memory(policy, "/scratch", 1 << 20);
    allow(policy, "/scratch", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_DISABLE, NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "@mount", NULL));
    expect_output(policy,
                  ARGV("sh", "-c",
                       "for i in 'umount -n /usr' 'umount -nl /scratch' 'mount -n -o remount,rw /' 'mount -n -o remount,bind,rw /usr /usr' "
                       "'mount -n --bind /usr /scratch' 'mount -n -t tmpfs none /scratch' 'mount -n -t proc none /proc'; do "
                       "$i 2>/dev/null && echo done: $i; done; true"),
                  "");
    sandlock_policy_free(policy);
}

static const char *root_inode(void)
{
    static char text[32];
    struct stat status = {0};

    stat("/", &status);
    snprintf(text, sizeof text, "%lu", (unsigned long)status.st_ino);
    return text;
}

static void everything_apart_at_once(void)
{
    static const uint32_t all[] = {SANDLOCK_NAMESPACE_IPC, SANDLOCK_NAMESPACE_UTS, SANDLOCK_NAMESPACE_NET,
                                   SANDLOCK_NAMESPACE_PID, SANDLOCK_NAMESPACE_MOUNT};
    sandlock_policy *policy;
    sandlock_report *report;
    size_t i;

    if (!offered())
        return;
    policy = in_memory_policy();
    mount_memory(policy, "/scratch", 1 << 20);
    allow(policy, "/scratch", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE | SANDLOCK_ACCESS_OPTIONAL);
    for (i = 0; i < sizeof all / sizeof *all; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, all[i], true, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 7, 8, NULL));
    expect_output(policy, ARGV("sh", "-c", "echo x > /scratch/x; chmod 600 /scratch/x; echo $$ $(id -u) $(id -g) $(uname -n) $(stat -c %a:%u /scratch/x)"),
                  "2 7 8 sandbox 600:7\n");
    report = report_of(policy);
    CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
    sandlock_report_free(report);
    /* Without the namespace, the host's files are what rules mean. */
    for (i = 0; i < 2; i++) {
        sandlock_policy_set_strictness(policy, i ? SANDLOCK_FEATURE_NS_PID : SANDLOCK_FEATURE_NS_MOUNT, SANDLOCK_DISABLE, NULL);
        expect_output(policy, ARGV("sh", "-c", "test $(stat -c %i /) = $0 && echo of the host", root_inode()), "of the host\n");
    }
    sandlock_policy_free(policy);
}

TESTS(T(proc_shows_its_own_processes_only), T(root_in_memory_has_what_is_mounted), T(root_directory_is_the_end_of_all_links),
      T(what_is_missing_is_named), T(working_directory_is_what_is_seen), T(memory_is_bounded_and_counts),
      T(disk_of_what_is_mounted_is_limited),
      T(metadata_is_changed_where_the_program_means), T(repository_can_be_kept_in_memory), T(trace_names_what_the_program_sees),
      T(mounts_cannot_be_changed), T(everything_apart_at_once))
