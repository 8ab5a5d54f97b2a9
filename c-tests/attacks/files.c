/* Attacks on files. The first argument is the file or directory that must be out of reach. */
#include "attack.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <linux/random.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

static int read_file(char **argument)
{
    char byte;
    int fd = open(argument[0], O_RDONLY);

    return judge("open", fd < 0 ? -1 : read(fd, &byte, 1));
}

static int list_directory(char **argument)
{
    return judge("opendir", opendir(argument[0]) ? 0 : -1);
}

static int write_file(char **argument)
{
    return judge("open for writing", open(argument[0], O_WRONLY | O_APPEND));
}

static int create_file(char **argument)
{
    return judge("creat", syscall(SYS_creat, argument[0], 0600));
}

static int open_by_openat2(char **argument)
{
    struct open_how how = {.flags = O_RDONLY};

    return judge("openat2", syscall(SYS_openat2, AT_FDCWD, argument[0], &how, sizeof how));
}

/* A descriptor for the place alone gives no more than the place: it must be opened anew to be read. */
static int reopen_path_descriptor(char **argument)
{
    char link[64];
    int fd = open(argument[0], O_PATH);

    if (fd < 0)
        return judge("open as a path", -1);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return judge("reopen", open(link, O_RDONLY));
}

static int truncate_file(char **argument)
{
    return judge("truncate", truncate(argument[0], 1));
}

static int rename_file(char **arguments)
{
    return judge("rename", rename(arguments[0], arguments[1]));
}

static int link_file(char **arguments)
{
    return judge("link", link(arguments[0], arguments[1]));
}

static int remove_file(char **argument)
{
    return judge("unlink", unlink(argument[0]));
}

static int execute_file(char **argument)
{
    execl(argument[0], argument[0], "--version", (char *)NULL);
    return judge("execl", -1);
}

static int device_ioctl(char **argument)
{
    int bits, fd = open(argument[0], O_RDONLY);

    return fd < 0 ? cannot("open the device") : judge("ioctl", ioctl(fd, RNDGETENTCNT, &bits));
}

static int make_device(char **argument)
{
    return judge("mknod", mknod(argument[0], S_IFCHR | 0600, 0x0103)); /* /dev/null */
}

static int change_mode(char **argument)
{
    return judge("chmod", chmod(argument[0], 0644));
}

static int change_mode_by_descriptor(char **argument)
{
    int fd = open(argument[0], O_RDONLY);

    return fd < 0 ? cannot("open") : judge("fchmod", fchmod(fd, 0644));
}

static int change_mode_fchmodat2(char **argument)
{
    return judge("fchmodat2", syscall(452, AT_FDCWD, argument[0], 0644, 0));
}

static int change_owner(char **argument)
{
    return judge("chown", chown(argument[0], getuid(), getgid()));
}

static int change_times(char **argument)
{
    return judge("utimensat", utimensat(AT_FDCWD, argument[0], NULL, 0));
}

static int change_attribute(char **argument)
{
    return judge("setxattr", setxattr(argument[0], "user.attack", "x", 1, 0));
}

static int change_flags(char **argument)
{
    int flags = 0, fd = open(argument[0], O_RDONLY);

    if (fd < 0)
        return cannot("open");
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return cannot("read the flags");
    flags ^= FS_NODUMP_FL;
    return judge("FS_IOC_SETFLAGS", ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/* A whiteout is a character device, made without mknod. */
static int make_whiteout(char **arguments)
{
    return judge("renameat2", syscall(SYS_renameat2, AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 4));
}

/* A lease holds up whoever opens the file next, for as long as the kernel is patient: the host, too. */
static int take_lease(char **argument)
{
    int fd = open(argument[0], O_RDONLY);

    return fd < 0 ? cannot("open") : judge("F_SETLEASE", fcntl(fd, F_SETLEASE, F_RDLCK));
}

/* Requests that change things through a descriptor for reading, on file systems that know them; others say so. */
static int file_system_request(char **arguments)
{
    static char nothing[256];
    int fd = open(arguments[0], O_RDONLY);

    if (fd < 0)
        return cannot("open");
    return judge_reached("ioctl", ioctl(fd, strtoul(arguments[1], NULL, 16), nothing));
}

/* The memory of another process, here the host: the argument is its id and an address in it. */
static int read_memory_file(char **arguments)
{
    char path[64], byte;
    int fd;

    snprintf(path, sizeof path, "/proc/%s/mem", arguments[0]);
    fd = open(path, O_RDONLY);
    return judge("open", fd < 0 ? -1 : pread(fd, &byte, 1, (off_t)strtoull(arguments[1], NULL, 16)));
}

/* A descriptor that the host never meant to pass. */
static int use_descriptor(char **argument)
{
    char byte;

    return judge("read", pread(atoi(argument[0]), &byte, 1, 0));
}

ATTACKS({"read", read_file}, {"list", list_directory}, {"write", write_file}, {"creat", create_file},
        {"openat2", open_by_openat2}, {"reopen", reopen_path_descriptor}, {"truncate", truncate_file},
        {"rename", rename_file}, {"link", link_file}, {"remove", remove_file}, {"execute", execute_file},
        {"device-ioctl", device_ioctl}, {"mknod", make_device}, {"chmod", change_mode},
        {"fchmod", change_mode_by_descriptor}, {"fchmodat2", change_mode_fchmodat2}, {"chown", change_owner},
        {"utimensat", change_times}, {"setxattr", change_attribute}, {"setflags", change_flags},
        {"whiteout", make_whiteout}, {"lease", take_lease}, {"request", file_system_request},
        {"proc-mem", read_memory_file}, {"use-descriptor", use_descriptor})
