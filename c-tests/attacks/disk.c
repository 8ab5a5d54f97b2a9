/* Attacks on the limit of disk, each of which tries to occupy MEBIBYTES beneath DIRECTORY and then to go on for a second. */
#include "attack.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CHUNK = 1 << 20, SMALL = 64 << 10 };

/* A limit that the library reads takes a moment to notice. */
static int hold(void)
{
    sleep(1);
    return SUCCEEDED;
}

static size_t bytes(const char *mebibytes)
{
    return (size_t)atol(mebibytes) << 20;
}

static int make_in(const char *directory, const char *name, long number)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s-%d-%ld", directory, name, (int)getpid(), number);
    return open(path, O_CREAT | O_RDWR | O_EXCL, 0600);
}

static int remove_from(const char *directory, const char *name, long number)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s-%d-%ld", directory, name, (int)getpid(), number);
    return unlink(path);
}

static int fill(int file, size_t length)
{
    static char piece[CHUNK];
    size_t done, step;

    memset(piece, 1, sizeof piece);
    for (done = 0; done < length; done += step) {
        step = length - done < CHUNK ? length - done : CHUNK;
        if (write(file, piece, step) != (ssize_t)step)
            return judge("write", -1);
    }
    return SUCCEEDED;
}

static int fill_files(const char *directory, size_t length)
{
    size_t done;
    int file, result = SUCCEEDED;

    for (done = 0; done < length && result == SUCCEEDED; done += SMALL) {
        file = make_in(directory, "file", (long)(done / SMALL));
        if (file < 0)
            return judge("open", -1);
        result = fill(file, SMALL);
        close(file);
    }
    return result;
}

/* files MEBIBYTES DIRECTORY: many small ones */
static int by_files(char **argument)
{
    int result = fill_files(argument[1], bytes(argument[0]));

    return result == SUCCEEDED ? hold() : result;
}

/* hurried MEBIBYTES DIRECTORY: likewise, and done before anybody can have looked */
static int in_a_hurry(char **argument)
{
    return fill_files(argument[1], bytes(argument[0]));
}

/* tree MEBIBYTES DIRECTORY PROCESSES: each writes its part, and none of them much */
static int by_fork_tree(char **argument)
{
    int i, count = atoi(argument[2]), status, refused = 0;

    for (i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return cannot("fork");
        if (pid == 0)
            _exit(fill_files(argument[1], bytes(argument[0]) / (size_t)count));
    }
    while (wait(&status) > 0)
        refused |= status;
    return refused ? REFUSED : hold();
}

/* large MEBIBYTES DIRECTORY: one file */
static int by_large_file(char **argument)
{
    int file = make_in(argument[1], "large", 0), result;

    signal(SIGXFSZ, SIG_IGN);
    result = file < 0 ? judge("open", -1) : fill(file, bytes(argument[0]));
    return result == SUCCEEDED ? hold() : result;
}

/* signalled MEBIBYTES DIRECTORY: one file, with nobody who minds the signal */
static int by_signalled_file(char **argument)
{
    int file = make_in(argument[1], "large", 0);

    return file < 0 ? judge("open", -1) : fill(file, bytes(argument[0]));
}

/* append MEBIBYTES FILE: to what is there */
static int by_appending(char **argument)
{
    int file = open(argument[1], O_WRONLY | O_APPEND), result;

    result = file < 0 ? judge("open", -1) : fill(file, bytes(argument[0]));
    return result == SUCCEEDED ? hold() : result;
}

/* deleted MEBIBYTES DIRECTORY: files that have no name, and are open */
static int by_deleted_files(char **argument)
{
    size_t done;
    int file, result = SUCCEEDED;

    for (done = 0; done < bytes(argument[0]) && result == SUCCEEDED; done += CHUNK) {
        file = make_in(argument[1], "deleted", (long)(done / CHUNK));
        if (file < 0 || remove_from(argument[1], "deleted", (long)(done / CHUNK)))
            return judge("open", -1);
        result = fill(file, CHUNK);
    }
    return result == SUCCEEDED ? hold() : result;
}

static int map_files(char **argument, int delete)
{
    size_t done, at;
    long number = 0;

    for (done = 0; done < bytes(argument[0]); done += CHUNK, number++) {
        int file = make_in(argument[1], "mapped", number);
        volatile char *memory;
        if (file < 0 || ftruncate(file, CHUNK) || (delete && remove_from(argument[1], "mapped", number)))
            return judge("open", -1);
        memory = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
        for (at = 0; at < CHUNK; at += 4096)
            memory[at] = 1;
        if (!delete)
            munmap((void *)memory, CHUNK);
    }
    return hold();
}

/* mapped MEBIBYTES DIRECTORY: written by memory alone */
static int by_mapping(char **argument)
{
    return map_files(argument, 0);
}

/* mapped-deleted MEBIBYTES DIRECTORY: likewise, with no name and no descriptor left */
static int by_deleted_mapping(char **argument)
{
    return map_files(argument, 1);
}

/* mapped-later MEBIBYTES DIRECTORY: likewise, after the empty files have been looked at */
static int by_later_mapping(char **argument)
{
    enum { COUNT = 8 };
    size_t length = bytes(argument[0]) / COUNT, at;
    int files[COUNT], i;

    for (i = 0; i < COUNT; i++)
        if ((files[i] = make_in(argument[1], "later", i)) < 0)
            return judge("open", -1);
    hold();
    for (i = 0; i < COUNT; i++) {
        volatile char *memory;
        if (ftruncate(files[i], (off_t)length))
            return cannot("make a file longer");
        memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, files[i], 0);
        if (memory == MAP_FAILED || remove_from(argument[1], "later", i))
            return cannot("map a file");
        close(files[i]);
        for (at = 0; at < length; at += 4096)
            memory[at] = 1;
        /* So that the file system knows. */
        msync((void *)memory, length, MS_SYNC);
    }
    return hold();
}

/* ruled MEBIBYTES DIRECTORY: in files that a Landlock ruleset knows, and nobody else */
static int by_ruleset(char **argument)
{
    struct landlock_ruleset_attr rights = {.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0), result = SUCCEEDED;
    size_t done;

    if (ruleset < 0)
        return judge("landlock_create_ruleset", -1);
    for (done = 0; done < bytes(argument[0]) && result == SUCCEEDED; done += CHUNK) {
        int file = make_in(argument[1], "ruled", (long)(done / CHUNK));
        struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE, .parent_fd = file};
        if (file < 0 || remove_from(argument[1], "ruled", (long)(done / CHUNK)))
            return judge("open", -1);
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
            return judge("landlock_add_rule", -1);
        result = fill(file, CHUNK);
        close(file);
    }
    return result == SUCCEEDED ? hold() : result;
}

/* executed MEBIBYTES DIRECTORY: in programs that are executed and have lost their names */
static int by_programs(char **argument)
{
    static char own[4 << 20], room[CHUNK];
    int program = open("/proc/self/exe", O_RDONLY), i, result = SUCCEEDED;
    ssize_t length = read(program, own, sizeof own);
    char path[4096];

    if (length <= 0)
        return cannot("read the program");
    for (i = 0; i < atoi(argument[0]) / 8 && result == SUCCEEDED; i++) {
        int file = make_in(argument[1], "executed", i), started[2];
        size_t done;
        if (file < 0 || pipe2(started, O_CLOEXEC))
            return judge("open", -1);
        if (write(file, own, (size_t)length) != length)
            return judge("write", -1);
        for (done = 0; done < 8 && result == SUCCEEDED; done++)
            result = write(file, room, sizeof room) == (ssize_t)sizeof room ? SUCCEEDED : judge("write", -1);
        fchmod(file, 0700);
        close(file);
        snprintf(path, sizeof path, "%s/executed-%d-%d", argument[1], (int)getpid(), i);
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execl(path, path, "rest", NULL);
            _exit(write(started[1], "", 1) == 1 ? CANNOT : SUCCEEDED);
        }
        close(started[1]);
        /* Its end closes when the program is executed. */
        if (read(started[0], path, 1) != 0)
            return cannot("execute a program");
        close(started[0]);
        remove_from(argument[1], "executed", i);
    }
    return result == SUCCEEDED ? hold() : result;
}

/* rest: what those do, as long as who has started them lives; their file counts as long */
static int rest(char **unused)
{
    (void)unused;
    pause();
    return SUCCEEDED;
}

/* reserve MEBIBYTES DIRECTORY: beyond the end, which no limit of file sizes sees */
static int by_reservation(char **argument)
{
    int file = make_in(argument[1], "reserved", 0);

    return file < 0 ? CANNOT : judge("fallocate", fallocate(file, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes(argument[0])));
}

/* reserve-ioctl MEBIBYTES DIRECTORY: FS_IOC_RESVSP, another name for it */
static int by_reservation_request(char **argument)
{
    struct {
        short type, whence;
        long long start, length;
        int system;
        unsigned process;
        int unused[4];
    } range = {.length = (long long)bytes(argument[0])};
    int file = make_in(argument[1], "reserved", 0);

    return file < 0 ? CANNOT : judge("ioctl", ioctl(file, 0x40305828, &range));
}

/* posix-reserve MEBIBYTES DIRECTORY: as libc has it, which writes if it must */
static int by_portable_reservation(char **argument)
{
    long number;

    for (number = 0; number < atol(argument[0]); number++) {
        int file = make_in(argument[1], "reserved", number);
        errno = file < 0 ? EIO : posix_fallocate(file, 0, CHUNK);
        if (errno)
            return judge("posix_fallocate", -1);
        close(file);
    }
    return hold();
}

/* punch MEBIBYTES DIRECTORY: writes and gives back, again and again */
static int punch(char **argument)
{
    int i, file = make_in(argument[1], "punched", 0), result = file < 0 ? CANNOT : SUCCEEDED;

    for (i = 0; i < 8 && result == SUCCEEDED; i++) {
        lseek(file, 0, SEEK_SET);
        result = fill(file, bytes(argument[0]));
        if (result == SUCCEEDED)
            result = judge("fallocate", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes(argument[0])));
    }
    return result == SUCCEEDED ? hold() : result;
}

/* sparse MEBIBYTES DIRECTORY COUNT: files that are nearly nothing but holes */
static int by_holes(char **argument)
{
    long number;

    signal(SIGXFSZ, SIG_IGN);
    for (number = 0; number < atol(argument[2]); number++) {
        int file = make_in(argument[1], "sparse", number);
        if (file < 0 || ftruncate(file, (off_t)bytes(argument[0])) || pwrite(file, "x", 1, (off_t)bytes(argument[0]) - 1) != 1)
            return judge("ftruncate", -1);
        close(file);
    }
    return hold();
}

/* linked MEBIBYTES DIRECTORY COUNT: one file with many names */
static int by_links(char **argument)
{
    char path[4096], other[4096];
    long number;
    int file = make_in(argument[1], "linked", 0), result = file < 0 ? CANNOT : fill(file, bytes(argument[0]));

    snprintf(path, sizeof path, "%s/linked-%d-0", argument[1], (int)getpid());
    for (number = 1; number < atol(argument[2]) && result == SUCCEEDED; number++) {
        snprintf(other, sizeof other, "%s/link-%ld", argument[1], number);
        result = link(path, other) ? judge("link", -1) : SUCCEEDED;
    }
    return result == SUCCEEDED ? hold() : result;
}

/* hidden MEBIBYTES DIRECTORY: where nobody may list */
static int in_hiding(char **argument)
{
    char path[4096];
    int result;

    snprintf(path, sizeof path, "%s/hidden", argument[1]);
    if (mkdir(path, 0300))
        return judge("mkdir", -1);
    result = fill_files(path, bytes(argument[0]));
    return result == SUCCEEDED ? hold() : result;
}

/* deep MEBIBYTES DIRECTORY: deeper than a path can name */
static int in_the_depth(char **argument)
{
    char name[201] = "";
    int i, result;

    memset(name, 'd', sizeof name - 1);
    if (chdir(argument[1]))
        return cannot("enter the directory");
    for (i = 0; i < 25; i++)
        if (mkdir(name, 0700) || chdir(name))
            return judge("mkdir", -1);
    result = fill_files(".", bytes(argument[0]));
    return result == SUCCEEDED ? hold() : result;
}

/* empty COUNT DIRECTORY: files without a byte */
static int by_empty_files(char **argument)
{
    long number;

    for (number = 0; number < atol(argument[0]); number++) {
        int file = make_in(argument[1], "empty", number);
        if (file < 0)
            return judge("open", -1);
        close(file);
    }
    return hold();
}

ATTACKS({"files", by_files}, {"hurried", in_a_hurry}, {"tree", by_fork_tree}, {"large", by_large_file},
        {"signalled", by_signalled_file}, {"append", by_appending}, {"deleted", by_deleted_files}, {"mapped", by_mapping},
        {"mapped-deleted", by_deleted_mapping}, {"mapped-later", by_later_mapping}, {"ruled", by_ruleset},
        {"executed", by_programs}, {"rest", rest}, {"reserve", by_reservation}, {"reserve-ioctl", by_reservation_request},
        {"posix-reserve", by_portable_reservation}, {"punch", punch}, {"sparse", by_holes}, {"linked", by_links},
        {"hidden", in_hiding}, {"deep", in_the_depth}, {"empty", by_empty_files})
