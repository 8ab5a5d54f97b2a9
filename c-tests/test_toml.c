/* Policies as TOML: what is refused and how, what comes back, and the profiles that are installed. */
#include "support.h"

#include <netinet/in.h>
#include <sys/socket.h>

static sandlock_policy *read_policy(const char *text)
{
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;

    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_policy_from_toml(text, strlen(text), &policy, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    return policy;
}

static void check_refused(const char *text, size_t length, const char *message)
{
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_from_toml(text, length, &policy, &error));
    CHECK(policy == NULL && sandlock_error_stage(error) == SANDLOCK_STAGE_POLICY && sandlock_error_errno(error) == 0);
    CHECK_CONTAINS(sandlock_error_message(error), message);
    CHECK(!strchr(sandlock_error_message(error), '\n'));
    sandlock_error_free(error);
}

/* The policy as text, to be freed. */
static char *text_of(const sandlock_policy *policy)
{
    sandlock_text *text = NULL;
    size_t length = 0;
    char *copy = NULL;

    if (CHECK_STATUS(SANDLOCK_OK, sandlock_policy_to_toml(policy, &text, NULL))) {
        CHECK(strlen(sandlock_text_data(text, &length)) == length);
        copy = strdup(sandlock_text_data(text, NULL));
    }
    sandlock_text_free(text);
    return copy;
}

static void null_arguments_are_refused_and_nothing_is_written(void)
{
    sandlock_policy *policy = sandlock_policy_new(), *made = NULL;
    sandlock_text *text = NULL;
    sandlock_error *error = NULL;
    size_t length = 7;

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_from_toml(NULL, 1, &made, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "text is NULL");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_from_toml("", 0, NULL, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "out is NULL");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_from_toml("", SIZE_MAX, &made, NULL));
    CHECK(made == NULL);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_to_toml(NULL, &text, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_to_toml(policy, NULL, NULL));
    CHECK(text == NULL);
    CHECK(!strcmp(sandlock_text_data(NULL, &length), "") && length == 0);
    sandlock_text_free(NULL);
    /* An empty text is a new policy. */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_from_toml(NULL, 0, &made, &error));
    CHECK(error == NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_to_toml(made, &text, &error));
    CHECK(!strcmp(sandlock_text_data(text, &length), "") && length == 0);
    sandlock_text_free(text);
    sandlock_policy_free(made);
    sandlock_policy_free(policy);
}

static void text_ends_at_its_length(void)
{
    static const char text[] = {'p', 'r', 'o', 'c', 'e', 's', 's', '.', 'n', 'i', 'c', 'e', '=', '1', '9'};
    sandlock_policy *policy = NULL;
    char *exact = malloc(sizeof text), *written;

    memcpy(exact, text, sizeof text); /* so that AddressSanitizer knows its end */
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_from_toml(exact, sizeof text, &policy, NULL));
    free(exact);
    written = text_of(policy);
    CHECK(!strcmp(written, "[process]\nnice = 19\n"));
    free(written);
    sandlock_policy_free(policy);
}

static void errors_name_line_column_and_key(void)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"[filesystem]\nread = [\"/usr\"]\nwrit = [\"/tmp\"]\n", "policy: line 3, column 1: unknown key \"filesystem.writ\"; known are"},
        {"\n  [net]\n", "policy: line 2, column 4: unknown key \"net\"; known are filesystem, network, "},
        {"[limits]\ncpu = \"a\"\nnofiles = 1\n", "2 problems: policy: line 2, column 7: limits.cpu must be an integer, "},
        {"[limits]\ncpu = \"a\"\nnofiles = 1\n", "; policy: line 3, column 1: unknown key \"limits.nofiles\""},
        {"[process]\ncwd = 1\n", "policy: line 2, column 7: process.cwd must be a path, not an integer"},
        {"[syscalls]\nallow = [\n  \"getpid\",\n  \"getpidd\",\n]\n",
         "policy: line 4, column 3: syscalls.allow: unknown system call \"getpidd\""},
        {"[syscalls]\nallow = [\"@nothing\"]", "policy: line 2, column 10: syscalls.allow: unknown group \"@nothing\""},
        {"[strictness]\nfiles = \"disabled\"", "policy: line 2, column 9: strictness.files must be one of require, best-effort, disable"},
        {"[process", "policy: line 1, column 9: "},
        {"cwd = /tmp", "policy: line 1, column 7: "},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refused(cases[i].text, strlen(cases[i].text), cases[i].message);
    check_refused("process.cwd = \"\xff\"", 17, "policy: line 1, column 16: this is not UTF-8");
    check_refused("process.cwd = \"a\0b\"", 19, "policy: line 1, column ");
}

/* What a random generator makes of bytes and of pieces of TOML: refused with a line, or written so that it is read back. */
static void garbage_is_refused_or_means_something(void)
{
    static const char *const pieces[] = {"[filesystem]", "\n", "read", " = ", "[\"/usr\"]", "[[", "]]", "\"", "{", "}", "'",
                                         "[limits]", "cpu", "1", "\"1MiB\"", ".", ",", "#", "\\u0000ff", "process", "cwd",
                                         "root", "mounts", "source", "target", "memory"};
    struct footprint before = footprint();
    uint64_t random = 88172645463325252;
    int round, length, accepted = 0;

    for (round = 0; round < 5000; round++) {
        char text[512];
        size_t end = 0;
        sandlock_policy *policy = NULL;
        sandlock_error *error = NULL;

        for (length = (int)(random % 40); length > 0; length--) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            if (round % 4 == 0)
                text[end++] = (char)random;
            else
                end += (size_t)sprintf(text + end, "%s", pieces[random % (sizeof pieces / sizeof *pieces)]);
        }
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        if (sandlock_policy_from_toml(text, end, &policy, &error)) {
            CHECK(sandlock_error_status(error) == SANDLOCK_ERROR_INVALID_ARGUMENT);
            CHECK_CONTAINS(sandlock_error_message(error), "policy: line ");
            CHECK(policy == NULL);
        } else {
            char *once = text_of(policy), *twice;
            sandlock_policy *again = read_policy(once);

            accepted++;
            twice = text_of(again);
            CHECK(!strcmp(once, twice));
            free(once);
            free(twice);
            sandlock_policy_free(again);
        }
        sandlock_error_free(error);
        sandlock_policy_free(policy);
        if (test_failures)
            break;
    }
    CHECK(accepted > 0);
    CHECK_UNCHANGED(before);
}

static void policy_made_by_calls_comes_back_from_its_text(void)
{
    const uint32_t cpus[] = {3, 0, 1};
    sandlock_policy *policy = sandlock_policy_new(), *again;
    uint32_t limit, flag;
    char *once, *twice;

    allow(policy, "/usr", SANDLOCK_ACCESS_READ_EXECUTE);
    allow(policy, "/a \"b\"\n\xff", SANDLOCK_ACCESS_ALL | SANDLOCK_ACCESS_OPTIONAL);
    allow(policy, "/bin", SANDLOCK_ACCESS_READ_EXECUTE);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "/srv/root", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, "/home/\xff", "/work/", SANDLOCK_MOUNT_WRITE, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_memory_mount(policy, "/tmp", 64 << 20, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_syscall_default(policy, SANDLOCK_SYSCALLS_ALLOWLIST, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, "@basic-io", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_syscall(policy, "getppid", ENOSYS, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_syscall(policy, "kill", 4095, NULL));
    for (limit = 1; !sandlock_policy_set_limit(policy, limit, UINT64_MAX - limit, NULL); limit++)
        ;
    CHECK(limit > SANDLOCK_LIMIT_THREADS);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_THREADS, SANDLOCK_UNLIMITED, NULL));
    for (flag = 1; !sandlock_policy_set_flag(policy, flag, true, NULL); flag++)
        ;
    CHECK(flag > SANDLOCK_FLAG_WAIT_FOR_DESCENDANTS);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_clear_env(policy, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "A.B \xfe", "\x80 # no comment", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "LANG", NULL, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cwd(policy, "/", NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_umask(policy, 027, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_nice(policy, -7, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cpus(policy, cpus, 3, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_FILES, SANDLOCK_DISABLE, NULL));

    once = text_of(policy);
    CHECK_CONTAINS(once, "all = [{ path = \"/a \\\"b\\\"\\n\\u0000ff\", optional = true }]\n");
    CHECK_CONTAINS(once, "root = \"/srv/root\"\nmounts = [\n");
    CHECK_CONTAINS(once, "    { source = \"/home/\\u0000ff\", target = \"/work\", write = true },\n");
    CHECK_CONTAINS(once, "    { target = \"/tmp\", memory = \"64MiB\" },\n");
    CHECK_CONTAINS(once, "deny = [{ name = \"getppid\", errno = \"ENOSYS\" }, { name = \"kill\", errno = 4095 }]\n");
    CHECK_CONTAINS(once, "threads = \"unlimited\"\n");
    CHECK_CONTAINS(once, "umask = 0o027\n");
    CHECK_CONTAINS(once, "[process.variables]\n\"A.B \\u0000fe\" = \"\\u000080 # no comment\"\nLANG = false\n");
    CHECK_CONTAINS(once, "files = \"disable\"\n");
    again = read_policy(once);
    twice = text_of(again);
    CHECK(!strcmp(once, twice));
    free(once);
    free(twice);
    sandlock_policy_free(again);
    sandlock_policy_free(policy);
}

/* A text has the effect of the calls that it stands for. */
static void policy_from_text_is_enforced(void)
{
    char text[PATH_MAX + 1024];
    sandlock_policy *policy;

    snprintf(text, sizeof text,
             "[filesystem]\n"
             "read-execute = ['/usr', { path = '/bin', optional = true }, { path = '/lib', optional = true },\n"
             "                { path = '/lib64', optional = true }]\n"
             "[process]\nenvironment = 'minimal'\ncwd = '/usr'\numask = '0027'\n"
             "[process.variables]\nGREETING = 'hello'\nHOME = false\n"
             "[limits]\nnofile = 40\n");
    policy = read_policy(text);
    expect_output(policy, ARGV("/bin/sh", "-c", "echo $GREETING ${HOME-none} $(pwd) $(umask) $(ulimit -n)"),
                  "hello none /usr 0027 40\n");
    expect_output(policy, ARGV("/bin/sh", "-c", "cat /etc/passwd 2>/dev/null || echo refused"), "refused\n");
    sandlock_policy_free(policy);
}

/* --- the profiles --- */

static sandlock_policy *profile(const char *name)
{
    static char text[64 << 10];
    const char *directory = getenv("SANDLOCK_TEST_PROFILES");
    char path[PATH_MAX];
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;
    size_t length;
    FILE *file;

    snprintf(path, sizeof path, "%s/%s.toml", directory ? directory : "/usr/local/share/sandlock", name);
    file = fopen(path, "r");
    if (!CHECK(file != NULL)) {
        printf("# %s: %s\n", path, strerror(errno));
        return NULL;
    }
    length = fread(text, 1, sizeof text, file);
    fclose(file);
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_policy_from_toml(text, length, &policy, &error)))
        printf("# %s: %s\n", path, sandlock_error_message(error));
    sandlock_error_free(error);
    return policy;
}

static void profiles_load_and_run_a_program_fully_confined(void)
{
    static const char *const names[] = {"compute", "build", "service"};
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names; i++) {
        sandlock_policy *policy = profile(names[i]), *again;
        sandlock_report *report;
        char *text;

        if (!policy)
            continue;
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_check(policy, NULL));
        expect_output(policy, ARGV("sh", "-c", "echo a program ran; echo x 2>/dev/null >/tmp/sandlock-$$ || echo refused"),
                      "a program ran\nrefused\n");
        report = report_of(policy);
        CHECK(sandlock_report_level(report) == SANDLOCK_LEVEL_FULL);
        sandlock_report_free(report);
        /* As text it is the same policy. */
        text = text_of(policy);
        again = read_policy(text);
        expect_output(again, ARGV("sh", "-c", "cat /etc/shadow /root/.profile 2>/dev/null || echo $HOME"), "/\n");
        free(text);
        sandlock_policy_free(again);
        sandlock_policy_free(policy);
    }
}

static void compute_profile_computes_and_reaches_neither_network_nor_files(void)
{
    static const char script[] = "import errno, json, math, os, socket, subprocess, threading\n"
                                 "print(sum(math.factorial(n) for n in range(20)))\n"
                                 "worker = threading.Thread(target=lambda: print(json.dumps({'threads': True})))\n"
                                 "worker.start(); worker.join()\n"
                                 "print(subprocess.run(['echo', 'processes'], capture_output=True, text=True).stdout, end='')\n"
                                 "print(len(os.urandom(8)), open('/dev/null', 'w').write('x'))\n"
                                 "attacks = {\n"
                                 "    'tcp': lambda: socket.create_connection(('127.0.0.1', 9), 5),\n"
                                 "    'udp': lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),\n"
                                 "    'create': lambda: open('/tmp/sandlock-created', 'w'),\n"
                                 "    'change': lambda: open('/dev/zero', 'w'),\n"
                                 "    'remove': lambda: os.unlink('/usr/bin/env'),\n"
                                 "    'read': lambda: open('/etc/passwd'),\n"
                                 "    'list': lambda: os.listdir('/home'),\n"
                                 "}\n"
                                 "for name, attack in attacks.items():\n"
                                 "    try:\n"
                                 "        attack()\n"
                                 "        print(name, 'worked')\n"
                                 "    except OSError as error:\n"
                                 "        print(name, error.errno in (errno.EPERM, errno.EACCES))\n";
    sandlock_policy *policy = profile("compute");

    if (policy)
        expect_output(policy, ARGV("/usr/bin/python3", "-I", "-S", "-c", script),
                      "128425485935180314\n{\"threads\": true}\nprocesses\n8 1\n"
                      "tcp True\nudp True\ncreate True\nchange True\nremove True\nread True\nlist True\n");
    sandlock_policy_free(policy);
}

/* As the profile's comment says it. */
static void build_profile_compiles_in_the_directory_that_the_host_adds(void)
{
    const char *tree = make_tree();
    sandlock_policy *policy = profile("build");

    if (policy) {
        write_text(in_tree(tree, "hello.c"), "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n");
        write_text(in_tree(tree, "Makefile"), "hello: hello.o\n\tcc -o $@ $<\n%.o: %.c\n\tcc -O1 -Wall -c -o $@ $<\n");
        allow(policy, tree, SANDLOCK_ACCESS_ALL);
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_cwd(policy, tree, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "TMPDIR", tree, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_env(policy, "HOME", tree, NULL));
        expect_output(policy, ARGV("make", "-s", "-j2"), "");
        expect_output(policy, ARGV("./hello"), "hello\n");
        expect_output(policy, ARGV("sh", "-c", "touch ../escaped 2>/dev/null || echo refused"), "refused\n");
        CHECK(access(in_tree(tree, "hello"), X_OK) == 0);
    }
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* A listening socket of the host's, which the program has as descriptor 3. */
static void service_profile_serves_on_the_socket_that_it_is_given(void)
{
    static const char script[] = "import os, socket, sys\n"
                                 "listener = socket.socket(fileno=3)\n"
                                 "client, _ = listener.accept()\n"
                                 "client.sendall(client.recv(64).upper())\n"
                                 "client.close()\n"
                                 "open(sys.argv[1] + '/state', 'w').write('served')\n"
                                 "try:\n"
                                 "    socket.create_connection(listener.getsockname(), 5)\n"
                                 "    print('connected')\n"
                                 "except OSError as error:\n"
                                 "    print(error.strerror)\n";
    const char *tree = make_tree();
    sandlock_policy *policy = profile("service");
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int32_t passed = listener, number = 3;
    char answer[64] = "";

    CHECK(!bind(listener, (struct sockaddr *)&address, sizeof address) && !listen(listener, 1));
    CHECK(!getsockname(listener, (struct sockaddr *)&address, &length));
    options.stdout_mode = options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    options.pass_fds = &passed;
    options.pass_fds_as = &number;
    options.pass_fd_count = 1;
    if (policy) {
        allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
        if (CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("/usr/bin/python3", "-I", "-S", "-c", script, tree),
                                                     &options, &process, &error))) {
            CHECK(!connect(client, (struct sockaddr *)&address, sizeof address));
            CHECK(write(client, "hello", 5) == 5 && read(client, answer, sizeof answer - 1) == 5);
            CHECK(!strcmp(answer, "HELLO"));
            CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(process, 30000, &result, NULL));
            CHECK(!strcmp(output(result), "Permission denied\n"));
            CHECK(!access(in_tree(tree, "state"), R_OK));
        } else {
            printf("# %s\n", sandlock_error_message(error));
        }
    }
    close(listener);
    close(client);
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

TESTS(T(null_arguments_are_refused_and_nothing_is_written), T(text_ends_at_its_length), T(errors_name_line_column_and_key),
      T(garbage_is_refused_or_means_something), T(policy_made_by_calls_comes_back_from_its_text),
      T(policy_from_text_is_enforced), T(profiles_load_and_run_a_program_fully_confined),
      T(compute_profile_computes_and_reaches_neither_network_nor_files),
      T(build_profile_compiles_in_the_directory_that_the_host_adds),
      T(service_profile_serves_on_the_socket_that_it_is_given))
