/* Attacks on control groups: getting out of the one that a program is in, and changing it. DIRECTORY is another group, which the
 * program's user may write to. */
#include "attack.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The directory of the program's own group, whose file system is mounted in the usual place. */
static const char *own_group(void)
{
    static char path[PATH_MAX];
    char line[PATH_MAX] = "";
    FILE *file = fopen("/proc/self/cgroup", "r");

    while (file && fgets(line, sizeof line, file) && strncmp(line, "0::", 3))
        ;
    if (!file || strncmp(line, "0::", 3))
        return NULL;
    fclose(file);
    line[strcspn(line, "\n")] = 0;
    snprintf(path, sizeof path, "/sys/fs/cgroup%.4000s", line + 3);
    return path;
}

static int write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX + 64];
    int file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = open(path, O_WRONLY);
    if (file < 0)
        return judge(path, -1);
    return judge(path, write(file, text, strlen(text)));
}

/* loosen: its own limit */
static int loosen(char **argument)
{
    const char *group = own_group();

    (void)argument;
    return group ? write_file(group, "memory.max", "max") : CANNOT;
}

/* move DIRECTORY */
static int move(char **argument)
{
    return write_file(argument[0], "cgroup.procs", "0");
}

/* beneath: into a new group in its own */
static int go_beneath(char **argument)
{
    char path[PATH_MAX + 64];
    const char *group = own_group();
    int returned;

    (void)argument;
    if (!group)
        return CANNOT;
    snprintf(path, sizeof path, "%s/beneath", group);
    returned = mkdir(path, 0755);
    if (returned == 0)
        rmdir(path);
    return judge(path, returned);
}

/* clone3 DIRECTORY: has a child start there. A descriptor that opens nothing is enough for that. */
static int start_elsewhere(char **argument)
{
    struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD};
    int group = open(argument[0], O_PATH | O_DIRECTORY);
    long child;

    if (group < 0)
        return cannot("open the group");
    arguments.cgroup = (uint64_t)group;
    child = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid((pid_t)child, NULL, 0);
    return judge("clone3", child);
}

ATTACKS({"loosen", loosen}, {"move", move}, {"beneath", go_beneath}, {"clone3", start_elsewhere})
