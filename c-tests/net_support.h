/* What tests of programs under network rules share: servers of the test's own, ports for servers in a sandbox, and a network
 * namespace with addresses to choose from. */
#ifndef NET_SUPPORT_H
#define NET_SUPPORT_H

#include "support.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

/* --- addresses --- */

struct endpoint {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } address;
    socklen_t length;
};

/* Of an address of IPv4 or IPv6, or of the path of a Unix socket. */
static inline struct endpoint endpoint(const char *host, uint16_t port)
{
    struct endpoint found = {0};

    if (host[0] == '/') {
        found.address.un.sun_family = AF_UNIX;
        snprintf(found.address.un.sun_path, sizeof found.address.un.sun_path, "%s", host);
        found.length = sizeof found.address.un;
    } else if (strchr(host, ':')) {
        found.address.v6.sin6_family = AF_INET6;
        found.address.v6.sin6_port = htons(port);
        inet_pton(AF_INET6, host, &found.address.v6.sin6_addr);
        found.length = sizeof found.address.v6;
    } else {
        found.address.v4.sin_family = AF_INET;
        found.address.v4.sin_port = htons(port);
        inet_pton(AF_INET, host, &found.address.v4.sin_addr);
        found.length = sizeof found.address.v4;
    }
    return found;
}

static inline int bound_socket(int type, const char *host, uint16_t port)
{
    struct endpoint at = endpoint(host, port);
    int one = 1, fd = socket(at.address.any.sa_family, type | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, &at.address.any, at.length)) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline uint16_t port_of(int fd)
{
    struct endpoint at;

    at.length = sizeof at.address;
    getsockname(fd, &at.address.any, &at.length);
    return ntohs(at.address.v4.sin_port);
}

/* A port for a server in a sandbox, of those that the kernel gives to nobody who asks for any. */
static inline uint16_t free_port(void)
{
    static unsigned next;
    unsigned tries;

    if (!next)
        next = (unsigned)getpid();
    for (tries = 0; tries < 10000; tries++) {
        uint16_t port = (uint16_t)(20000 + next++ % 10000);
        int tcp = bound_socket(SOCK_STREAM, "127.0.0.1", port), udp = bound_socket(SOCK_DGRAM, "127.0.0.1", port);
        if (tcp >= 0)
            close(tcp);
        if (udp >= 0)
            close(udp);
        if (tcp >= 0 && udp >= 0)
            return port;
    }
    printf("# no free port\n");
    exit(2);
}

/* --- servers --- */

enum kind {
    WEB,   /* answers each request of HTTP with "hello\n" */
    ECHO,  /* sends datagrams back to their senders */
    NAMES, /* answers questions of DNS for an address of IPv4 with 10.1.0.1; names that begin with "no" are unknown */
};

struct server {
    enum kind kind;
    int socket, stop;
    uint16_t port;
    unsigned served;
    pthread_t thread;
};

static inline void serve_web(struct server *server)
{
    static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n";
    struct timeval patience = {.tv_sec = 5};
    int fd = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC);
    char request[4096] = "";
    size_t length = 0;
    ssize_t count;

    if (fd < 0)
        return;
    server->served++;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (length < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        if ((count = read(fd, request + length, sizeof request - 1 - length)) <= 0)
            break;
        length += (size_t)count;
        request[length] = 0;
    }
    if (length)
        (void)!send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
    close(fd);
}

static inline void serve_datagram(struct server *server)
{
    struct endpoint from;
    uint8_t bytes[2048];
    ssize_t length;
    size_t end = 12;

    from.length = sizeof from.address;
    length = recvfrom(server->socket, bytes, sizeof bytes - 16, MSG_DONTWAIT, &from.address.any, &from.length);
    if (length < 0)
        return;
    server->served++;
    if (server->kind == NAMES) {
        static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 0, 1};
        while (end < (size_t)length && bytes[end])
            end += bytes[end] + 1u;
        if (end + 5 > (size_t)length)
            return;
        length = (ssize_t)end + 5; /* without what EDNS adds */
        bytes[2] = 0x81;
        bytes[3] = 0x80;
        memset(bytes + 6, 0, 6);
        if (!memcmp(bytes + 13, "no", 2)) {
            bytes[3] |= 3;
        } else if (bytes[end + 2] == 1) {
            bytes[7] = 1;
            memcpy(bytes + length, answer, sizeof answer);
            length += (ssize_t)sizeof answer;
        }
    }
    (void)!sendto(server->socket, bytes, (size_t)length, MSG_DONTWAIT, &from.address.any, from.length);
}

static inline void *serve(void *argument)
{
    struct server *server = argument;
    struct pollfd wait[2] = {{.fd = server->socket, .events = POLLIN}, {.fd = server->stop, .events = POLLIN}};

    /* Who has come is served, and counted, before the end. */
    while (poll(wait, 2, -1) > 0) {
        if (wait[0].revents)
            server->kind == WEB ? serve_web(server) : serve_datagram(server);
        else if (wait[1].revents)
            break;
    }
    return NULL;
}

/* A server at an address, or at the path of a Unix socket; port 0 is any that is free. */
static inline struct server *start_server(enum kind kind, const char *host, uint16_t port)
{
    struct server *server = calloc(1, sizeof *server);

    server->kind = kind;
    server->socket = bound_socket(kind == WEB ? SOCK_STREAM : SOCK_DGRAM, host, port);
    if (server->socket < 0 || (kind == WEB && listen(server->socket, 64))) {
        printf("# no server at %s, port %u: %s\n", host, port, strerror(errno));
        exit(2);
    }
    server->port = port_of(server->socket);
    server->stop = eventfd(0, EFD_CLOEXEC);
    if (pthread_create(&server->thread, NULL, serve, server))
        exit(2);
    return server;
}

/* How many connections or datagrams it has had. */
static inline unsigned stop_server(struct server *server)
{
    uint64_t one = 1;
    unsigned served;

    (void)!write(server->stop, &one, sizeof one);
    pthread_join(server->thread, NULL);
    close(server->socket);
    close(server->stop);
    served = server->served;
    free(server);
    return served;
}

/* --- clients outside --- */

/* A connection to a server that is about to be there. */
static inline int connect_to(const char *host, uint16_t port)
{
    struct endpoint to = endpoint(host, port);
    struct timeval patience = {.tv_sec = 10};
    double start = seconds();

    while (seconds() - start < 10) {
        int fd = socket(to.address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (!connect(fd, &to.address.any, to.length))
            return fd;
        close(fd);
        poll(NULL, 0, 5);
    }
    CHECK(!"a server is there within ten seconds");
    return -1;
}

/* Sends text and reads what comes back until the other side ends. */
static inline const char *exchange(int fd, const char *text)
{
    static char answer[8192];
    size_t length = 0;
    ssize_t count;

    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (length < sizeof answer - 1 && (count = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
        length += (size_t)count;
    answer[length] = 0;
    close(fd);
    return answer;
}

/* A line of what a program says, without its end; what it says after that stays to be read. */
static inline const char *read_line(int fd)
{
    static char line[1024];
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    size_t length = 0;

    while (length < sizeof line - 1 && poll(&wait, 1, 10000) > 0 && read(fd, line + length, 1) == 1 && line[length] != '\n')
        length++;
    line[length] = 0;
    return line;
}

/* --- a network of the test's own --- */

static inline void keep_only(uint64_t capabilities)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    int i;

    for (i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t)(capabilities >> (32 * i));
    if (syscall(SYS_capset, &header, data))
        perror("capset");
}

/* Has a file of the system consist of this, in this mount namespace. */
static inline void put_over(const char *path, const char *text)
{
    char file[] = "/tmp/sandlock-file-XXXXXX";
    int fd = mkstemp(file);

    fchmod(fd, 0644);
    close(fd);
    write_text(file, text);
    CHECK(mount(file, path, NULL, MS_BIND, NULL) == 0 || errno == ENOENT);
    unlink(file);
}

/* Enters a network namespace with what the commands set up, where /etc/hosts has these lines, whoever asks for names asks 127.0.0.1,
 * programs of this group may make sockets for echo requests, and everybody may bind to every port. It leaves the process as
 * privileged as it was. */
static inline void enter_network(const char *commands, const char *hosts)
{
    unsigned user = getuid(), group = getgid();
    char text[64];
    int apart = user != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) != 0;

    if (apart) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET)) {
            printf("# no namespaces: %s\n", strerror(errno));
            exit(1);
        }
        write_text("/proc/self/setgroups", "deny");
        snprintf(text, sizeof text, "%u %u 1", user, user);
        write_text("/proc/self/uid_map", text);
        snprintf(text, sizeof text, "%u %u 1", group, group);
        write_text("/proc/self/gid_map", text);
    }
    CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    put_over("/etc/hosts", hosts);
    put_over("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    snprintf(text, sizeof text, "%u %u", group, group);
    write_text("/proc/sys/net/ipv4/ping_group_range", text);
    write_text("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    if (user != 0) {
        /* What ip(8) is started with. */
        keep_only(UINT64_C(1) << CAP_NET_ADMIN);
        CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) == 0);
    }
    CHECK(system(commands) == 0);
    if (user != 0)
        keep_only(0);
}

/* Runs a test in a process that has such a network. */
static inline void in_network(const char *commands, const char *hosts, void (*test)(void))
{
    pid_t pid;
    int status;

    if (!expected("userns")) {
        test_absent = "the machine was not declared to offer userns";
        return;
    }
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        test_failures = 0;
        alarm(60);
        enter_network(commands, hosts);
        if (!test_failures)
            test();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* --- programs under rules --- */

#define PYTHON(...) ARGV("/usr/bin/python3", "-c", __VA_ARGS__)

/* True if the machine was declared to offer this; then the program must be there. */
static inline int offered(const char *word, const char *path)
{
    static char reason[128];

    if (!expected(word)) {
        snprintf(reason, sizeof reason, "the machine was not declared to offer %s", word);
        test_absent = reason;
        return 0;
    }
    if (!CHECK(access(path, X_OK) == 0))
        printf("# %s is missing\n", path);
    return access(path, X_OK) == 0;
}

static inline char *written(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text that is good until twelve others have been written. */
static inline char *written(const char *format, ...)
{
    static char texts[12][PATH_MAX];
    static unsigned next;
    char *text = texts[next++ % 12];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof texts[0], format, arguments);
    va_end(arguments);
    return text;
}

/* Text with two ports in it, for which it has $1 and $2. */
static inline const char *filled(const char *text, unsigned first, unsigned second)
{
    char *found = written("%s", "");
    size_t length = 0;

    for (; *text && length + 8 < PATH_MAX; text++)
        if (*text == '$') {
            text++;
            length += (size_t)sprintf(found + length, "%u", *text == '1' ? first : second);
        } else {
            found[length++] = *text;
        }
    found[length] = 0;
    return found;
}

static inline void allow_net(sandlock_policy *policy, const char *rule)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, rule, NULL));
}

static inline void allow_bind(sandlock_policy *policy, const char *ports)
{
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_bind(policy, ports, NULL));
}

/* What the programs need besides the network. */
static inline sandlock_policy *program_policy(void)
{
    sandlock_policy *policy = system_policy();

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_clear_env(policy, NULL));
    allow(policy, "/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    allow(policy, "/dev/urandom", SANDLOCK_ACCESS_READ);
    return policy;
}

static inline sandlock_policy *policy_for(const char *rule)
{
    sandlock_policy *policy = program_policy();

    allow_net(policy, rule);
    return policy;
}

/* Runs a program that ends with this code, and prints this unless that is NULL. */
static inline void expect_exit(const sandlock_policy *policy, const char *const *argv, int code, const char *text)
{
    sandlock_result *result = run_program(policy, argv);
    size_t last = 0;

    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == code) ||
        (text && !CHECK(!strcmp(output(result), text)))) {
        while (argv[last + 1])
            last++;
        printf("# %s ... %s: reason %u, exit %d, not %d: \"%s\", not \"%s\" (%s)\n", argv[0], argv[last],
               sandlock_result_reason(result), sandlock_result_exit_code(result), code, output(result), text ? text : "",
               errors(result));
    }
    sandlock_result_free(result);
}

/* --- a program that goes on while the test looks at it --- */

struct running {
    sandlock_process *process;
    int output;
};

static inline struct running start(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    struct running running = {NULL, -1};
    sandlock_error *error = NULL;

    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    options.stderr_mode = SANDLOCK_STDIO_CAPTURE;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &running.process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    else
        running.output = sandlock_process_take_stdio(running.process, 1);
    sandlock_error_free(error);
    return running;
}

/* Waits for its end, which is to be by itself. */
static inline void finish(struct running running, int code)
{
    sandlock_result *result = NULL;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(running.process, 20000, &result, NULL));
    if (!CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == code))
        printf("# reason %u, exit %d: %s\n", sandlock_result_reason(result), sandlock_result_exit_code(result),
               result ? errors(result) : "");
    sandlock_result_free(result);
    sandlock_process_free(running.process);
    close(running.output);
}

static inline uint16_t port_line(struct running running)
{
    return (uint16_t)atoi(read_line(running.output));
}

#endif
