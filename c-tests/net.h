/* What the tests of network rules share: servers of the test's own, whose word counts for what has arrived, rules and arguments that
 * name them, and running c-tests/net_child.c, confined and bare. */
#ifndef NET_H
#define NET_H

#include "supervisor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* True where the library cannot look at a program's sockets and makes them instead: see test_net_made.c. */
static inline int sockets_are_made(void)
{
    return getenv("SANDLOCK_TEST_MADE_SOCKETS") != NULL;
}

/* --- servers --- */

struct server {
    char letter;
    int family, type;
    const char *place; /* of a Unix socket: in the tree, or with @ an abstract name */
    int fd;
    uint16_t port;
    char last[64]; /* what has arrived last */
};

/* In rules and arguments, $ and a letter is a port: t and T are servers of TCP over IPv4, s over IPv6, u and U, w and W of UDP over
 * IPv4, v over IPv6; nobody listens on c. $/ is the tree of files, $@ the beginning of abstract names. The letters of Unix sockets only
 * say where something has arrived. */
static struct server servers[] = {
    {'t', AF_INET, SOCK_STREAM, NULL, -1, 0, ""},         {'T', AF_INET, SOCK_STREAM, NULL, -1, 0, ""},
    {'s', AF_INET6, SOCK_STREAM, NULL, -1, 0, ""},        {'u', AF_INET, SOCK_DGRAM, NULL, -1, 0, ""},
    {'U', AF_INET, SOCK_DGRAM, NULL, -1, 0, ""},          {'w', AF_INET, SOCK_DGRAM, NULL, -1, 0, ""},
    {'W', AF_INET, SOCK_DGRAM, NULL, -1, 0, ""},          {'v', AF_INET6, SOCK_DGRAM, NULL, -1, 0, ""},
    {'p', AF_UNIX, SOCK_STREAM, "socket", -1, 0, ""},     {'q', AF_UNIX, SOCK_STREAM, "dir/other", -1, 0, ""},
    {'d', AF_UNIX, SOCK_DGRAM, "datagrams", -1, 0, ""},   {'a', AF_UNIX, SOCK_STREAM, "@stream", -1, 0, ""},
    {'b', AF_UNIX, SOCK_STREAM, "@b/stream", -1, 0, ""},  {'r', AF_UNIX, SOCK_STREAM, "dir/otherwise", -1, 0, ""},
};
enum { SERVERS = sizeof servers / sizeof *servers };

static int closed_port = -1;
static uint16_t closed_number, free_ports;
static char net_tree[PATH_MAX];

/* An address and how much of it counts. */
struct peer {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    };
    socklen_t length;
};

static inline void stop(const char *what)
{
    perror(what);
    exit(2);
}

static inline const char *abstract_prefix(void)
{
    static char prefix[64];

    snprintf(prefix, sizeof prefix, "sandlock-net-%d-", getpid());
    return prefix;
}

static inline struct peer peer_of(int family, uint16_t port, int loopback)
{
    struct peer peer = {.length = sizeof peer.ipv4};

    if (family == AF_INET) {
        peer.ipv4.sin_family = AF_INET;
        peer.ipv4.sin_port = htons(port);
        peer.ipv4.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
        return peer;
    }
    peer.ipv6.sin6_family = AF_INET6;
    peer.ipv6.sin6_port = htons(port);
    peer.ipv6.sin6_addr = loopback ? in6addr_loopback : in6addr_any;
    peer.length = sizeof peer.ipv6;
    return peer;
}

static inline struct peer local_peer(const char *place)
{
    struct peer peer = {.local = {.sun_family = AF_UNIX}, .length = sizeof peer.local};
    char name[PATH_MAX + 64];

    if (place[0] == '@')
        snprintf(name, sizeof name, "@%s%s", abstract_prefix(), place + 1);
    else
        snprintf(name, sizeof name, "%s/%s", net_tree, place);
    if (strlen(name) >= sizeof peer.local.sun_path) {
        errno = ENAMETOOLONG;
        stop(name);
    }
    strcpy(peer.local.sun_path, name);
    if (place[0] == '@') {
        peer.local.sun_path[0] = 0;
        peer.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    }
    return peer;
}

static inline struct peer peer_of_server(const struct server *server)
{
    return server->family == AF_UNIX ? local_peer(server->place) : peer_of(server->family, server->port, 1);
}

static inline uint16_t port_of(int fd)
{
    struct peer peer = {.length = sizeof peer.ipv6};

    if (getsockname(fd, &peer.any, &peer.length))
        stop("getsockname");
    return ntohs(peer.any.sa_family == AF_INET6 ? peer.ipv6.sin6_port : peer.ipv4.sin_port);
}

/* Waits until there is something to take, for no longer than a test may take. */
static inline int await(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, 20000) == 1;
}

static inline ssize_t take(int fd, void *bytes, size_t length)
{
    return await(fd) ? recv(fd, bytes, length, 0) : -1;
}

static inline int take_client(int listener)
{
    return await(listener) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

static inline int bound_socket(int type, struct peer peer)
{
    int fd = socket(peer.any.sa_family, type | SOCK_CLOEXEC, 0), on = 1, room = 212992;

    if (peer.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (type == SOCK_DGRAM)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (fd < 0 || bind(fd, &peer.any, peer.length))
        stop("cannot bind");
    return fd;
}

static inline int listening(struct peer peer, int backlog)
{
    int fd = bound_socket(SOCK_STREAM, peer);

    if (listen(fd, backlog))
        stop("cannot listen");
    return fd;
}

/* A client of the test's own. */
static inline int connected(int type, struct peer peer)
{
    int fd = socket(peer.any.sa_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, &peer.any, peer.length))
        stop("cannot connect");
    return fd;
}

/* True if nobody has a port, by whatever protocol. */
static inline int is_free(uint16_t port)
{
    int i, is = 1;

    for (i = 0; i < 4; i++) {
        struct peer peer = peer_of(i & 1 ? AF_INET : AF_INET6, port, 0);
        int fd = socket(peer.any.sa_family, (i & 2 ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
        is &= bind(fd, &peer.any, peer.length) == 0;
        close(fd);
    }
    return is;
}

enum { FREE_PORTS = 10 };

/* The first of some ports in a row that nobody has, and that the kernel gives to nobody who asks for any. */
static inline uint16_t find_free_ports(void)
{
    uint16_t first = (uint16_t)(20000 + getpid() % 500 * 20), count = 0;

    while (count < FREE_PORTS) {
        count = is_free((uint16_t)(first + count)) ? (uint16_t)(count + 1) : 0;
        if (count == 0)
            first = (uint16_t)(first + FREE_PORTS);
        if (first > 32000)
            stop("no free ports");
    }
    return first;
}

static inline void remove_net_tree(void)
{
    remove_tree(net_tree);
}

/* Makes the tree and the servers, once. */
static inline void start_servers(void)
{
    struct server *server;

    if (net_tree[0])
        return;
    snprintf(net_tree, sizeof net_tree, "%s", make_tree());
    atexit(remove_net_tree);
    if (mkdir(in_tree(net_tree, "dir"), 0755) || mkdir(in_tree(net_tree, "writable"), 0755))
        stop("mkdir");
    write_text(in_tree(net_tree, "file"), "text");
    for (server = servers; server < servers + SERVERS; server++) {
        struct peer peer = server->family == AF_UNIX ? local_peer(server->place) : peer_of(server->family, 0, 0);
        server->fd = server->type == SOCK_STREAM ? listening(peer, 100) : bound_socket(SOCK_DGRAM, peer);
        server->port = server->family == AF_UNIX ? 0 : port_of(server->fd);
    }
    closed_port = bound_socket(SOCK_STREAM, peer_of(AF_INET, 0, 0));
    closed_number = port_of(closed_port);
    free_ports = find_free_ports();
}

static inline struct server *server_of(char letter)
{
    int i;

    for (i = 0; i < SERVERS; i++)
        if (servers[i].letter == letter)
            return &servers[i];
    abort();
}

static const char marker[] = "marker of the test";

/* What the next client, or the next datagram, says to the end; false if it is the test itself. */
static inline int next_arrival(struct server *server)
{
    char *text = server->last;
    ssize_t count, length = 0;
    int fd = server->type == SOCK_STREAM ? take_client(server->fd) : server->fd;

    memset(server->last, 0, sizeof server->last);
    do {
        count = take(fd, text + length, sizeof server->last - 1 - (size_t)length);
        length += count > 0 ? count : 0;
    } while (server->type == SOCK_STREAM && count > 0 && length < (ssize_t)sizeof server->last - 1);
    if (server->type == SOCK_STREAM)
        close(fd);
    if (fd < 0 || (count < 0 && errno != ECONNRESET))
        stop("a server");
    return strcmp(text, marker) != 0;
}

/* How many have come to a server since this was last asked. Whoever came before the test's own mark is in front of it. */
static inline int arrivals(char letter)
{
    struct server *server = server_of(letter);
    char before[sizeof server->last] = "";
    int count = 0, fd = connected(server->type, peer_of_server(server));

    if (send(fd, marker, sizeof marker - 1, 0) < 0)
        stop("cannot send");
    close(fd);
    while (next_arrival(server)) {
        count++;
        memcpy(before, server->last, sizeof before);
    }
    memcpy(server->last, before, sizeof before);
    return count;
}

/* Checks that one has come to each of these servers, and nobody to another. */
static inline int check_arrivals(const char *letters)
{
    int i, right = 1;

    for (i = 0; i < SERVERS; i++) {
        int count = arrivals(servers[i].letter), wanted = strchr(letters, servers[i].letter) != NULL;
        if (count != wanted)
            printf("# %d came to server %c\n", count, servers[i].letter);
        right &= count == wanted && (!wanted || !strcmp(servers[i].last, "hello"));
    }
    return right;
}

/* --- rules and arguments --- */

static inline int port_named(char letter)
{
    if (letter >= '0' && letter <= '9')
        return free_ports + letter - '0';
    return letter == 'c' ? closed_number : server_of(letter)->port;
}

/* Writes ports and places for what begins with $. */
static inline const char *expand(const char *text)
{
    static char texts[64][PATH_MAX + 128];
    static unsigned next;
    char *start = texts[next++ % 64], *end = start, *limit = start + sizeof texts[0];

    for (; *text; text++) {
        if (*text != '$') {
            *end++ = *text;
            if (end >= limit)
                abort();
            continue;
        }
        text++;
        if (*text == '/')
            end += snprintf(end, (size_t)(limit - end), "%s/", net_tree);
        else if (*text == '@')
            end += snprintf(end, (size_t)(limit - end), "@%s", abstract_prefix());
        else
            end += snprintf(end, (size_t)(limit - end), "%d", port_named(*text));
    }
    *end = 0;
    return start;
}

typedef sandlock_status (*rule_fn)(sandlock_policy *policy, const char *rule, sandlock_error **error);

static inline void add_rule(sandlock_policy *policy, rule_fn add, const char *rule)
{
    sandlock_error *error = NULL;

    if (!CHECK_STATUS(SANDLOCK_OK, add(policy, expand(rule), &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
}

/* The system's policy, what the tests read and write, and rules: "deny " before one denies, "bind " allows to bind, "no bind " denies that. */
static inline sandlock_policy *policy_with(const char *const *rules)
{
    sandlock_policy *policy = system_policy();

    start_servers();
    allow(policy, in_tree(net_tree, "file"), SANDLOCK_ACCESS_READ);
    allow(policy, in_tree(net_tree, "writable"), SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    for (; *rules; rules++) {
        if (!strncmp(*rules, "deny ", 5))
            add_rule(policy, sandlock_policy_deny_net, *rules + 5);
        else if (!strncmp(*rules, "bind ", 5))
            add_rule(policy, sandlock_policy_allow_bind, *rules + 5);
        else if (!strncmp(*rules, "no bind ", 8))
            add_rule(policy, sandlock_policy_deny_bind, *rules + 8);
        else
            add_rule(policy, sandlock_policy_allow_net, *rules);
    }
    return policy;
}

#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})

/* --- runs --- */

enum { MOST_WORDS = 8 };

/* The arguments of a run of net_child. */
static inline const char *const *child(const char *const *words)
{
    static const char *argv[4][MOST_WORDS + 2];
    static unsigned next;
    const char **found = argv[next++ % 4];
    int i;

    found[0] = program("net_child");
    for (i = 0; i < MOST_WORDS && words[i]; i++)
        found[i + 1] = expand(words[i]);
    found[i + 1] = NULL;
    return found;
}

#define CHILD(...) child(ARGV(__VA_ARGS__))

/* What it prints in a sandbox, without the last newline; to be freed. */
static inline char *confined(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_result *result = run_program(policy, argv);
    char *text = strdup(result ? output(result) : "");

    if (!CHECK(sandlock_result_exit_code(result) == 0))
        printf("# %s: %s\n", argv[1], result ? errors(result) : "");
    text[strcspn(text, "\n")] = 0;
    sandlock_result_free(result);
    return text;
}

static inline const char *command_of(const char *const *argv)
{
    static char command[PATH_MAX * 4];

    for (command[0] = 0; *argv; argv++)
        snprintf(command + strlen(command), sizeof command - strlen(command), "'%s' ", *argv);
    return command;
}

/* What it prints outside any. */
static inline char *bare(const char *const *argv)
{
    char *text = calloc(1, 4096);
    FILE *stream = popen(command_of(argv), "re");

    CHECK(stream && fread(text, 1, 4095, stream) > 0);
    CHECK(stream && pclose(stream) == 0);
    text[strcspn(text, "\n")] = 0;
    return text;
}

/* Runs it under rules, and checks what it prints, and where something has arrived. */
static inline void check_run(const sandlock_policy *policy, const char *const *words, const char *prints,
                             const char *arrived)
{
    char *found = confined(policy, child(words));
    int said = CHECK(!strcmp(found, expand(prints))), came = CHECK(check_arrivals(arrived));

    if (!said)
        printf("# found \"%s\", not \"%s\"\n", found, expand(prints));
    if (!said || !came) {
        printf("# in");
        for (; *words; words++)
            printf(" %s", *words);
        printf("\n");
    }
    free(found);
}

/* --- programs that run --- */

struct running {
    sandlock_process *process;
    FILE *output;
};

/* Starts a program, outside any sandbox if there is no policy. */
static inline struct running start_child(const sandlock_policy *policy, const char *const *argv)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    struct running running = {NULL, NULL};
    sandlock_error *error = NULL;

    if (!policy) {
        running.output = popen(command_of(argv), "re");
        return running;
    }
    options.stdin_mode = SANDLOCK_STDIO_NULL;
    options.stdout_mode = SANDLOCK_STDIO_PIPE;
    if (sandlock_spawn(policy, NULL, argv, &options, &running.process, &error)) {
        printf("# cannot start: %s\n", sandlock_error_message(error));
        test_failures++;
        sandlock_error_free(error);
        return running;
    }
    running.output = fdopen(sandlock_process_take_stdio(running.process, 1), "r");
    return running;
}

/* The next line that it prints, without its end. */
static inline const char *next_line(struct running *running)
{
    static char line[4096];

    if (!running->output || !fgets(line, sizeof line, running->output))
        return "";
    line[strcspn(line, "\n")] = 0;
    return line;
}

static inline void finish(struct running *running)
{
    sandlock_result *result = NULL;

    if (!running->process) {
        CHECK(running->output && pclose(running->output) == 0);
        return;
    }
    fclose(running->output);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(running->process, 20000, &result, NULL));
    sandlock_result_free(result);
    sandlock_process_free(running->process);
}

/* What it has printed last, as a number. */
static inline int last_number(const char *text)
{
    const char *last = strrchr(text, ' ');

    return last ? atoi(last + 1) : -1;
}

static inline uint64_t calls_received(const sandlock_process *process)
{
    sandlock_stats stats = SANDLOCK_STATS_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_stats(process, &stats, NULL));
    return stats.received;
}

#endif
