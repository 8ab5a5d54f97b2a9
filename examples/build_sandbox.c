/* Builds a C project that nobody trusts, with make and gcc: its sources are read-only, it writes to one directory, has no network, and
 * limits of memory, processes and time. Its Makefile tries to do more: to read a private key, to reach a server of this host, to write
 * next to the project and into it, and to go on for ever. The build goes through, and none of the rest does.
 *
 *     build_sandbox $(pkg-config --variable=profiledir sandlock)/build.toml
 *
 * Exits 0 only if that is what happened, as far as can be seen from outside the sandbox: what it prints itself proves nothing.
 * Build: cc build_sandbox.c $(pkg-config --cflags --libs sandlock) */
#define _XOPEN_SOURCE 700
#include <sandlock.h>

#include <arpa/inet.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEBIBYTES(count) (UINT64_C(count) << 20)

/* A project in a directory of its own, and what it has no business with next to it. make gets PORT on its command line. */
static const struct { const char *name, *text; } files[] = {
    {"home/.ssh/id_ed25519", "the private key\n"},
    {"src/greeting.h", "const char *greeting(void);\n"},
    {"src/greeting.c", "#include \"greeting.h\"\nconst char *greeting(void) { return \"built in a sandbox\"; }\n"},
    {"src/main.c", "#include <stdio.h>\n#include \"greeting.h\"\nint main(void) { puts(greeting()); return 0; }\n"},
    {"src/Makefile", "try = if $(1); then echo '$@: it worked'; else echo '$@: refused'; fi 2>/dev/null\n"
                     "all: ../out/hello key server outside sources\n"
                     "\t@../out/hello\n"
                     "../out/hello: ../out/main.o ../out/greeting.o\n"
                     "\tgcc -o $@ $^\n"
                     "../out/%.o: %.c greeting.h\n"
                     "\tgcc -O2 -Wall -c -o $@ $<\n"
                     "key:\n\t@$(call try,cat ../home/.ssh/id_ed25519)\n"
                     "server:\n\t@$(call try,bash -c 'exec 3<>/dev/tcp/127.0.0.1/$(PORT)')\n"
                     "outside:\n\t@$(call try,echo stolen >../home/loot)\n"
                     "sources:\n\t@$(call try,echo '//' >>main.c)\n"
                     "forever:\n\t@while :; do :; done\n"},
};
static const char *const directories[] = {"home", "home/.ssh", "src", "out"};

static int make_project(void)
{
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (mkdir(directories[i], 0700))
            return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        FILE *file = fopen(files[i].name, "w");
        if (!file || fputs(files[i].text, file) < 0 || fclose(file))
            return -1;
    }
    return 0;
}

/* Whether everything but the output directory is as it was made. */
static int untouched(void)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[4096] = "";
        FILE *file = fopen(files[i].name, "r");

        if (!file)
            return 0;
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        if (strcmp(text, files[i].text))
            return 0;
    }
    return access("home/loot", F_OK) != 0;
}

/* A server on loopback, which anybody on this host can reach, so that it is the sandbox that keeps the build from it. */
static int serve(char port[8])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && !bind(fd, (struct sockaddr *)&address, length) && !listen(fd, 8) &&
        !getsockname(fd, (struct sockaddr *)&address, &length)) {
        snprintf(port, 8, "%u", ntohs(address.sin_port));
        return fd;
    }
    perror("server");
    exit(1);
}

/* The profile knows what compilers need of a system; the project's directories and the limits are for the host to say. */
static sandlock_policy *read_policy(const char *profile, const char *top, sandlock_error **error)
{
    char text[16384], source[256], output[256];
    sandlock_policy *policy = NULL;
    FILE *file = fopen(profile, "r");
    size_t length = file ? fread(text, 1, sizeof text, file) : 0;

    if (!file || ferror(file) || length == sizeof text) {
        fprintf(stderr, "%s: cannot be read\n", profile);
        exit(1);
    }
    fclose(file);
    snprintf(source, sizeof source, "%s/src", top);
    snprintf(output, sizeof output, "%s/out", top);
    if (sandlock_policy_from_toml(text, length, &policy, error) ||
        sandlock_policy_allow_path(policy, source, SANDLOCK_ACCESS_READ, error) ||
        sandlock_policy_allow_path(policy, output, SANDLOCK_ACCESS_ALL, error) ||
        sandlock_policy_set_cwd(policy, source, error) ||
        sandlock_policy_set_env(policy, "TMPDIR", output, error) || /* for gcc: /tmp is everybody's */
        sandlock_policy_set_env(policy, "HOME", output, error) ||
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, MEBIBYTES(1024), error) ||
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_DISK, MEBIBYTES(256), error) ||
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES, 64, error) ||
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, 60000, error)) {
        sandlock_policy_free(policy);
        return NULL;
    }
    return policy;
}

/* Runs make. `report` may be NULL. */
static sandlock_status make(const sandlock_policy *policy, const char *target, const char *port, sandlock_result **result,
                            sandlock_report **report, sandlock_error **error)
{
    char variable[16];
    const char *const argv[] = {"make", variable, target, NULL};
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_status status;

    snprintf(variable, sizeof variable, "PORT=%s", port);
    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    options.capture_limit = MEBIBYTES(1); /* a build may print without end: the rest is dropped */
    if ((status = sandlock_spawn(policy, NULL, argv, &options, &process, error)))
        return status;
    if (report)
        *report = sandlock_process_report(process);
    status = sandlock_process_wait(process, -1, result, error); /* the policy ends it at the latest */
    sandlock_process_free(process);
    return status;
}

static void print_report(const sandlock_report *report)
{
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;

    for (size_t i = 0; i < sandlock_report_count(report); i++)
        if (!sandlock_report_row(report, i, &row, NULL) && row.state == SANDLOCK_STATE_ENFORCED)
            printf("enforced: %s, by %s\n", row.name, row.mechanism);
    printf("protection: %s\n", sandlock_report_level(report) == SANDLOCK_LEVEL_FULL ? "full" : "NOT FULL");
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status, (void)type, (void)where;
    return remove(path);
}

int main(int argc, char **argv)
{
    char top[] = "/tmp/build-sandbox-XXXXXX", port[8];
    sandlock_policy *policy = NULL;
    sandlock_result *built = NULL, *endless = NULL;
    sandlock_report *report = NULL;
    sandlock_error *error = NULL;
    struct pollfd server;
    int passed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: build_sandbox PROFILE\n");
        return 1;
    }
    server = (struct pollfd){.fd = serve(port), .events = POLLIN};
    if (!mkdtemp(top) || chdir(top) || make_project()) {
        perror(top);
        return 1;
    }
    if (!(policy = read_policy(argv[1], top, &error)) || make(policy, "all", port, &built, &report, &error) ||
        sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, 300, &error) ||
        make(policy, "forever", port, &endless, NULL, &error)) {
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    } else {
        printf("%s%s", (const char *)sandlock_result_stdout(built, NULL), (const char *)sandlock_result_stderr(built, NULL));
        print_report(report);
        passed = sandlock_result_exit_code(built) == 0 && !access("out/hello", X_OK) && untouched() && poll(&server, 1, 0) == 0 &&
                 sandlock_result_limit(endless) == SANDLOCK_LIMIT_WALL && sandlock_report_level(report) == SANDLOCK_LEVEL_FULL;
        printf("%s\n", passed ? "the project was built, and nothing else was done" : "FAILED: see above");
    }
    if (!chdir("/"))
        nftw(top, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    close(server.fd);
    sandlock_error_free(error);
    sandlock_report_free(report);
    sandlock_result_free(endless);
    sandlock_result_free(built);
    sandlock_policy_free(policy);
    return passed ? 0 : 1;
}
