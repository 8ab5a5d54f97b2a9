/* A program that changes file metadata, for somebody to look at what comes of it: METADATA_CHILD WHAT DIRECTORY...
 *
 *     each DIRECTORY                 each call once, where it can succeed: a line "CALL errno" for each
 *     errors DIRECTORY               calls that fail for what they are given
 *     setid DIRECTORY                chmod(2) that would make a file set-user-ID
 *     members DIRECTORY              from a thread, from a child, and from a daemon
 *     race GOOD BAD LINK SECONDS     calls on a path that changes all the time between two, and on a link that does
 *
 * The directory contains `file`, `second`, `dir/inner`, `link` to `file`, and `loop` to itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif
#ifndef SYS_removexattrat
#define SYS_removexattrat 466
#endif

static const char *directory;

static const char *in_directory(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static int open_in(const char *name, int flags)
{
    int fd = open(in_directory(name), flags | O_CLOEXEC);

    if (fd < 0)
        printf("cannot open %s: %d\n", name, errno);
    return fd;
}

static void say(const char *what, long returned)
{
    printf("%s %d\n", what, returned < 0 ? errno : 0);
}

#define CALL(name, ...) say(#name, syscall(SYS_##name, __VA_ARGS__))

static const struct timespec long_ago[2] = {{1000, 5}, {2000, 7}};
static const struct timeval long_ago_usec[2] = {{1000, 5}, {2000, 7}};

struct attribute_arguments {
    uint64_t value;
    uint32_t size, flags;
};

/* --- each call once --- */

static void try_modes(void)
{
    int fd = open_in("dir", O_RDONLY), file = open_in("file", O_RDONLY), path = open_in("file", O_PATH);
    char own[64];

#ifdef SYS_chmod
    CALL(chmod, in_directory("file"), 0600);
    CALL(chmod, in_directory("link"), 0611);
#endif
    CALL(fchmod, file, 0604);
    CALL(fchmod, fd, 0751);
    CALL(fchmodat, AT_FDCWD, in_directory("file"), 0640);
    CALL(fchmodat, fd, "inner", 0640);
    CALL(fchmodat, fd, "../second", 0604);
    CALL(fchmodat, AT_FDCWD, in_directory("dir/"), 0750);
    CALL(fchmodat2, fd, "inner", 0644, 0);
    CALL(fchmodat2, path, "", 0650, AT_EMPTY_PATH);
    snprintf(own, sizeof own, "/proc/self/fd/%d", path);
    CALL(fchmodat, AT_FDCWD, own, 0651);
    snprintf(own, sizeof own, "/proc/thread-self/fd/%d", file);
    CALL(fchmodat, AT_FDCWD, own, 0652);
    snprintf(own, sizeof own, "/dev/fd/%d", fd);
    CALL(fchmodat, AT_FDCWD, own, 0757);
    if (chdir(in_directory("dir")) == 0)
        CALL(fchmodat, AT_FDCWD, "../dir/inner", 0641);
    close(fd);
    close(file);
    close(path);
}

static void try_owners(void)
{
    int fd = open_in("dir", O_RDONLY), file = open_in("file", O_RDONLY), path = open_in("link", O_PATH | O_NOFOLLOW);

#ifdef SYS_chown
    CALL(chown, in_directory("link"), getuid(), getgid());
    CALL(lchown, in_directory("link"), -1, getgid());
#endif
    CALL(fchown, file, -1, getgid());
    CALL(fchownat, fd, "inner", getuid(), -1, 0);
    CALL(fchownat, fd, "../link", getuid(), -1, AT_SYMLINK_NOFOLLOW);
    CALL(fchownat, path, "", -1, -1, AT_EMPTY_PATH);
    close(fd);
    close(file);
    close(path);
}

static void try_times(void)
{
    int fd = open_in("dir", O_RDONLY), file = open_in("file", O_RDONLY);

#ifdef SYS_utime
    struct utimbuf times = {3000, 4000};

    CALL(utime, in_directory("second"), &times);
    CALL(utime, in_directory("second"), NULL);
    CALL(utimes, in_directory("file"), long_ago_usec);
    CALL(futimesat, fd, "inner", long_ago_usec);
    CALL(futimesat, file, NULL, long_ago_usec);
#endif
    CALL(utimensat, fd, "inner", long_ago, 0);
    CALL(utimensat, fd, "../link", long_ago, AT_SYMLINK_NOFOLLOW);
    CALL(utimensat, fd, "../second", NULL, 0);
    CALL(utimensat, fd, NULL, long_ago, 0);
    CALL(utimensat, file, "", long_ago, AT_EMPTY_PATH);
    close(fd);
    close(file);
}

static void try_attributes(void)
{
    static const char name[] = "user.sandlock";
    struct attribute_arguments arguments = {(uintptr_t) "value", 5, 0};
    int fd = open_in("dir", O_RDONLY), file = open_in("file", O_RDONLY);

    CALL(setxattr, in_directory("link"), name, "one", 3, 0);
    CALL(removexattr, in_directory("link"), name);
    CALL(lsetxattr, in_directory("file"), name, "two", 3, XATTR_CREATE);
    CALL(lremovexattr, in_directory("file"), name);
    CALL(fsetxattr, file, name, "three", 5, 0);
    CALL(fremovexattr, file, name);
    CALL(setxattrat, fd, "inner", 0, name, &arguments, sizeof arguments);
    CALL(removexattrat, fd, "inner", 0, name);
    CALL(setxattr, in_directory("file"), name, "last", 4, 0);
    close(fd);
    close(file);
}

static int try_each(char **arguments)
{
    directory = arguments[0];
    try_modes();
    try_owners();
    try_times();
    try_attributes();
    return 0;
}

/* --- calls that fail --- */

static int try_errors(char **arguments)
{
    static char longest[5000], file[PATH_MAX];
    struct timespec wrong[2] = {{1, 2000000000}, {1, 0}};
    struct attribute_arguments attribute = {(uintptr_t) "value", 5, 8};
    void *bad = (void *)1;
    int path;

    directory = arguments[0];
    snprintf(file, sizeof file, "%s", in_directory("file"));
    path = open_in("file", O_PATH);
    memset(longest, 'x', sizeof longest - 1);
    CALL(fchmodat, AT_FDCWD, in_directory("nothing"), 0600);
    CALL(fchmodat, AT_FDCWD, in_directory("file/"), 0600);
    CALL(fchmodat, AT_FDCWD, in_directory("file/x"), 0600);
    CALL(fchmodat, AT_FDCWD, in_directory("loop"), 0600);
    CALL(fchmodat, AT_FDCWD, "", 0600);
    CALL(fchmodat, AT_FDCWD, longest, 0600);
    CALL(fchmodat, AT_FDCWD, bad, 0600);
    CALL(fchmodat, 999, "x", 0600);
    CALL(fchmodat, path, "x", 0600);
    CALL(fchmodat2, AT_FDCWD, file, 0600, 1);
    CALL(fchmodat2, AT_FDCWD, in_directory("link"), 0600, AT_SYMLINK_NOFOLLOW);
    CALL(fchmod, path, 0600);
    CALL(fchmod, -1, 0600);
    CALL(fchown, path, -1, -1);
    CALL(fchownat, AT_FDCWD, file, -1, -1, 1);
    CALL(fchownat, AT_FDCWD, file, 12345, -1, 0);
    CALL(utimensat, AT_FDCWD, file, wrong, 0);
    CALL(utimensat, AT_FDCWD, file, bad, 0);
    CALL(utimensat, AT_FDCWD, file, long_ago, 1);
    CALL(setxattr, file, "", "x", 1, 0);
    CALL(setxattr, file, longest, "x", 1, 0);
    CALL(setxattr, file, bad, "x", 1, 0);
    CALL(setxattr, file, "user.x", bad, 1, 0);
    CALL(setxattr, file, "user.x", "x", (size_t)4 << 30, 0);
    CALL(setxattr, file, "user.x", "x", 1, 4);
    CALL(setxattr, file, "user.x", "x", 1, XATTR_REPLACE);
    CALL(setxattr, file, "trusted.x", "x", 1, 0);
    CALL(setxattr, file, "unknown.x", "x", 1, 0);
    CALL(fsetxattr, path, "user.x", "x", 1, 0);
    CALL(removexattr, file, "user.x");
    CALL(setxattrat, AT_FDCWD, file, 0, "user.x", &attribute, sizeof attribute);
    CALL(setxattrat, AT_FDCWD, file, 0, "user.x", &attribute, 8);
    CALL(removexattrat, AT_FDCWD, file, 1, "user.x");
    return 0;
}

static int try_set_id(char **arguments)
{
    directory = arguments[0];
    CALL(fchmodat, AT_FDCWD, in_directory("file"), 04755);
    CALL(fchmodat, AT_FDCWD, in_directory("file"), 02755);
    CALL(fchmodat, AT_FDCWD, in_directory("dir"), 02755);
    return 0;
}

/* --- other callers than the first thread --- */

static void *in_thread(void *unused)
{
    char own[64];
    int fd = open_in("file", O_RDONLY);

    snprintf(own, sizeof own, "/proc/thread-self/fd/%d", fd);
    CALL(fchmodat, AT_FDCWD, own, 0701);
    snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
    CALL(fchmodat, AT_FDCWD, own, 0702);
    close(fd);
    return unused;
}

static int try_members(char **arguments)
{
    int ends[2], status = 0;
    pthread_t thread;
    char byte;

    directory = arguments[0];
    if (pthread_create(&thread, NULL, in_thread, NULL) || pthread_join(thread, NULL) || pipe(ends))
        return 1;
    fflush(stdout);
    if (fork() == 0) {
        /* Its own working directory and descriptors. */
        int fd = open_in("second", O_RDONLY);

        if (chdir(in_directory("dir")) == 0)
            CALL(fchmodat, AT_FDCWD, "inner", 0703);
        CALL(fchmod, fd, 0704);
        fflush(stdout);
        _exit(0);
    }
    wait(&status);
    if (fork() == 0) {
        if (fork() == 0) {
            setsid();
            CALL(fchmodat, AT_FDCWD, in_directory("dir"), 0705);
            fflush(stdout);
            byte = 0;
            _exit(write(ends[1], &byte, 1) != 1);
        }
        _exit(0);
    }
    wait(&status);
    return read(ends[0], &byte, 1) != 1;
}

/* --- races --- */

static char flipping[PATH_MAX];
static char choices[2][PATH_MAX];
static const char *flipping_link;
static atomic_int over;

static void *flip_string(void *unused)
{
    size_t length = strlen(choices[0]) + 1;
    unsigned round;

    for (round = 0; !over; round++)
        memcpy(flipping, choices[round % 2], length);
    return unused;
}

static void *flip_link(void *unused)
{
    char new[PATH_MAX];
    unsigned round;

    snprintf(new, sizeof new, "%s.new", flipping_link);
    for (round = 0; !over; round++) {
        unlink(new);
        if (symlink(choices[round % 2], new) || rename(new, flipping_link)) {
            printf("cannot move the link: %d\n", errno);
            break;
        }
    }
    return unused;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static long try_once(unsigned round, const char *path)
{
    switch (round % 4) {
    case 0:
        return syscall(SYS_fchmodat, AT_FDCWD, path, 0777);
    case 1:
        return syscall(SYS_utimensat, AT_FDCWD, path, long_ago, 0);
    case 2:
        return syscall(SYS_setxattr, path, "user.race", "x", 1, 0);
    default:
        return syscall(SYS_fchownat, AT_FDCWD, path, -1, getgid(), 0);
    }
}

static int race(char **arguments)
{
    enum { ROUNDS = 1000000 };
    double until = seconds() + atof(arguments[3]);
    unsigned round, done[2] = {0}, refused[2] = {0}, other[2] = {0};
    size_t lengths[2], most;
    pthread_t threads[2];
    int i;

    for (i = 0; i < 2; i++)
        lengths[i] = strlen(arguments[i]);
    most = lengths[0] > lengths[1] ? lengths[0] : lengths[1];
    if (most >= PATH_MAX)
        return 1;
    /* Of one length, by more slashes in front: so that a mixture of both is a path too. */
    for (i = 0; i < 2; i++) {
        memset(choices[i], '/', most - lengths[i]);
        strcpy(choices[i] + most - lengths[i], arguments[i]);
    }
    strcpy(flipping, choices[0]);
    flipping_link = arguments[2];
    if (pthread_create(&threads[0], NULL, flip_string, NULL) || pthread_create(&threads[1], NULL, flip_link, NULL))
        return 1;
    for (round = 0; round < ROUNDS && seconds() < until; round++) {
        int way = round / 4 % 2;
        long returned = try_once(round, way ? flipping_link : flipping);

        done[way] += returned == 0;
        refused[way] += returned < 0 && errno == EACCES;
        other[way] += returned < 0 && errno != EACCES;
    }
    over = 1;
    for (i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (i = 0; i < 2; i++)
        printf("%s done %u refused %u other %u\n", i ? "link" : "string", done[i], refused[i], other[i]);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char **arguments);
    } topics[] = {{"each", 1, try_each},
                  {"errors", 1, try_errors},
                  {"setid", 1, try_set_id},
                  {"members", 1, try_members},
                  {"race", 4, race}};
    size_t i;

    for (i = 0; argc > 1 && i < sizeof topics / sizeof *topics; i++)
        if (!strcmp(topics[i].name, argv[1]) && argc == topics[i].arguments + 2)
            return topics[i].run(argv + 2);
    fprintf(stderr, "usage: %s WHAT DIRECTORY...\n", argv[0]);
    return 2;
}
