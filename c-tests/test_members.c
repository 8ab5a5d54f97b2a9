/* The sandbox as a whole: who is in it, stopping it, ending it. */
#include "support.h"

static sandlock_process *start(const sandlock_policy *policy, const char *const *argv, int *out)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    options.stdout_mode = out ? SANDLOCK_STDIO_PIPE : SANDLOCK_STDIO_NULL;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    if (out)
        *out = sandlock_process_take_stdio(process, 1);
    return process;
}

static void wait_until_ready(int out)
{
    char byte;

    CHECK(read(out, &byte, 1) == 1);
}

static long size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) ? -1 : (long)status.st_size;
}

/* The state of a process, a letter of proc(5); 0 if there is none. */
static char state_of(int pid)
{
    char path[64], line[512] = "";
    const char *name_end;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!(file = fopen(path, "r")))
        return 0;
    if (!fgets(line, sizeof line, file))
        line[0] = 0;
    fclose(file);
    name_end = strrchr(line, ')');
    return name_end ? name_end[2] : 0;
}

/* Waits until every process of the sandbox is stopped: what was in the kernel has come out of it. */
static void wait_until_stopped(sandlock_process *process)
{
    sandlock_member member = SANDLOCK_MEMBER_INIT;
    size_t i, moving = 1;
    int tries;

    for (tries = 0; moving && tries < 10000; tries++) {
        sandlock_members *members = NULL;

        CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
        for (i = moving = 0; i < sandlock_members_count(members); i++) {
            sandlock_members_get(members, i, &member, NULL);
            /* D: who has called vfork(2) waits in the kernel for a child that is stopped. */
            moving += !strchr("TD", state_of(member.pid));
        }
        sandlock_members_free(members);
        if (moving)
            usleep(1000);
    }
    CHECK(!moving);
}

/* The program, and a daemon of it in another session, each make a file longer all the time. */
static sandlock_process *start_writers(sandlock_policy *policy, const char *tree)
{
    int out;
    sandlock_process *process;

    allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cwd(policy, tree, NULL));
    process = start(policy,
                    ARGV("sh", "-c",
                         "(setsid sh -c 'echo > daemon; echo ready; while :; do echo x >> daemon; sleep 0.002; done' &);"
                         "while :; do echo x >> leader; sleep 0.002; done"),
                    &out);
    wait_until_ready(out);
    close(out);
    return process;
}

static void pause_stops_all_and_resume_lets_all_go_on(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_writers(policy, tree);
    const char *files[] = {in_tree(tree, "leader"), in_tree(tree, "daemon")};
    long stopped[2];
    int i, tries;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    wait_until_stopped(process);
    for (i = 0; i < 2; i++)
        stopped[i] = size_of(files[i]);
    usleep(150000);
    for (i = 0; i < 2; i++)
        CHECK(size_of(files[i]) == stopped[i]);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_resume(process, NULL));
    for (i = 0; i < 2; i++) {
        for (tries = 0; tries < 5000 && size_of(files[i]) <= stopped[i]; tries++)
            usleep(1000);
        CHECK(size_of(files[i]) > stopped[i]);
    }
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void stopped_sandbox_can_be_killed(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_writers(policy, tree);
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_pause(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 0, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED);
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_pause(process, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_resume(process, NULL));
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void list_names_the_processes_of_the_sandbox_and_no_other(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = system_policy();
    sandlock_process *process = start_writers(policy, tree), *other = start_writers(policy, tree);
    sandlock_members *members = NULL;
    sandlock_member member = SANDLOCK_MEMBER_INIT;
    int leaders = 0, shells = 0, strangers = 0;
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    for (i = 0; i < sandlock_members_count(members); i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_members_get(members, i, &member, NULL));
        leaders += member.pid == sandlock_process_pid(process);
        shells += !strcmp(member.name, "sh") && member.rss_bytes > 0;
        strangers += member.pid == getpid() || member.pid == getppid() || member.pid == sandlock_process_pid(other);
    }
    /* The leader and the daemon, and their sleeps. */
    CHECK(leaders == 1 && shells >= 2 && sandlock_members_count(members) <= 4);
    CHECK(strangers == 0);
    CHECK_STATUS(SANDLOCK_ERROR_NOT_FOUND, sandlock_members_get(members, i, &member, NULL));
    sandlock_members_free(members);
    sandlock_process_free(other);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static int is_running(int pid)
{
    return !strchr("ZX", state_of(pid)); /* 0, for none at all, is found too: at the end */
}

enum { DAEMONS = 2000 };

/* How long the kernel takes, in seconds, to end as many processes outside of any sandbox, which one kill(2) reaches. */
static double bare_kill(void)
{
    int pipes[2];
    char byte;
    double began;
    pid_t group;

    if (!CHECK(pipe(pipes) == 0))
        return 0;
    group = fork();
    if (group == 0) {
        int i;

        setpgid(0, 0);
        for (i = 0; i < DAEMONS; i++)
            if (fork() == 0)
                for (;;)
                    pause();
        (void)!write(pipes[1], ".", 1);
        for (;;)
            pause();
    }
    close(pipes[1]);
    CHECK(read(pipes[0], &byte, 1) == 1);
    began = seconds();
    CHECK(kill(-group, SIGKILL) == 0);
    CHECK(read(pipes[0], &byte, 1) == 0); /* nobody has the other end any more */
    began = seconds() - began;
    close(pipes[0]);
    waitpid(group, NULL, 0);
    return began;
}

static void storm_of_daemons_is_gone_when_kill_returns(void)
{
    /* What is promised: gone within 100 ms, where the kernel is that fast. */
    double bare = bare_kill(), patience = 1.5 * bare > 0.1 ? 1.5 * bare : 0.1;
    sandlock_policy *policy = system_policy();
    sandlock_process *process;
    sandlock_members *members = NULL;
    sandlock_member member = SANDLOCK_MEMBER_INIT;
    size_t i, count, left = 0;
    double began;
    int out;

    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, SANDLOCK_UNLIMITED, NULL));
    process = start(policy, ARGV(program("caller"), "storm", "2000"), &out);
    wait_until_ready(out);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_list(process, &members, NULL));
    count = sandlock_members_count(members);
    CHECK(count > DAEMONS);
    began = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(process, NULL));
    while (seconds() - began < patience)
        usleep(1000);
    for (i = 0; i < count; i++) {
        sandlock_members_get(members, i, &member, NULL);
        left += (size_t)is_running(member.pid);
    }
    CHECK(left == 0);
    if (left)
        printf("# %zu of %zu are left after %.0f ms; the bare kill took %.0f ms\n", left, count, patience * 1e3,
               bare * 1e3);
    close(out);
    sandlock_members_free(members);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

TESTS(T(pause_stops_all_and_resume_lets_all_go_on), T(stopped_sandbox_can_be_killed),
      T(list_names_the_processes_of_the_sandbox_and_no_other), T(storm_of_daemons_is_gone_when_kill_returns))
