/* A program that uses networks, for somebody to look at what comes of it: NET_CHILD WHAT [ARGUMENT...]
 *
 * It prints a line of words, one for each step: "ok", or the name of an errno. An ADDRESS is 127.0.0.1:80, [::1]:80, a path, or
 * @ and an abstract name; the main function lists what there is. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un local;
    };
    socklen_t length;
};

static const char greeting[] = "hello";
enum { GREETING = sizeof greeting - 1 };

static void say(const char *word)
{
    static int said;

    printf("%s%s", said++ ? " " : "", word);
}

/* Says what a step has come to, and returns whether that is success. */
static int step(long returned)
{
    say(returned < 0 ? strerrorname_np(errno) : "ok");
    return returned >= 0;
}

static void say_number(long number)
{
    char text[32];

    snprintf(text, sizeof text, "%ld", number);
    say(text);
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(3);
}

static struct address address_of(const char *text)
{
    struct address address = {.length = 0};
    char host[64];
    unsigned port;

    if (text[0] == '/' || text[0] == '@') {
        size_t length = strlen(text);
        if (length >= sizeof address.local.sun_path)
            fail("address");
        address.local.sun_family = AF_UNIX;
        memcpy(address.local.sun_path, text, length);
        if (text[0] == '@')
            address.local.sun_path[0] = 0;
        address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (text[0] == '/'));
    } else if (sscanf(text, "[%63[^]]]:%u", host, &port) == 2 && inet_pton(AF_INET6, host, &address.ipv6.sin6_addr) == 1) {
        address.ipv6.sin6_family = AF_INET6;
        address.ipv6.sin6_port = htons((uint16_t)port);
        address.length = sizeof address.ipv6;
    } else if (sscanf(text, "%63[^:]:%u", host, &port) == 2 && inet_pton(AF_INET, host, &address.ipv4.sin_addr) == 1) {
        address.ipv4.sin_family = AF_INET;
        address.ipv4.sin_port = htons((uint16_t)port);
        address.length = sizeof address.ipv4;
    } else {
        fail("address");
    }
    return address;
}

static int is_local(const struct address *address)
{
    return address->any.sa_family == AF_UNIX;
}

static int open_socket(const struct address *address, int type)
{
    int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        step(-1);
        puts("");
        exit(0);
    }
    return fd;
}

static int connect_to(int fd, const char *text)
{
    struct address address = address_of(text);

    return connect(fd, &address.any, address.length);
}

static int port_of(int fd)
{
    struct address address = {.length = sizeof address.ipv6};

    if (getsockname(fd, &address.any, &address.length))
        return -1;
    return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port : address.ipv4.sin_port);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Says something to a peer, and waits until its host has it: a connection that nobody has accepted yet is one all the same. */
static void greet(int fd)
{
    double until = seconds() + 10;
    int left = 1;

    if (write(fd, greeting, GREETING) != GREETING)
        fail("write");
    while (ioctl(fd, TIOCOUTQ, &left) == 0 && left > 0 && seconds() < until)
        sched_yield();
}

static void greet_any(int fd, const char *address)
{
    if (address[0] == '/' || address[0] == '@') {
        if (write(fd, greeting, GREETING) != GREETING)
            fail("write");
    } else {
        greet(fd);
    }
}

static int socket_for(const char *text, int type)
{
    struct address address = address_of(text);

    return open_socket(&address, type);
}

/* --- connecting --- */

static int connect_once(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);

    if (step(connect_to(fd, arguments[0])))
        greet_any(fd, arguments[0]);
    return 0;
}

static int connect_without_waiting(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM | SOCK_NONBLOCK), error = 0;
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    socklen_t length = sizeof error;
    int connected = step(connect_to(fd, arguments[0]));

    if (!connected && errno == EINPROGRESS) {
        say(poll(&ready, 1, 10000) == 1 ? "ready" : "never");
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length))
            fail("SO_ERROR");
        say(error ? strerrorname_np(error) : "ok");
        connected = error == 0;
    }
    if (connected)
        greet_any(fd, arguments[0]);
    return 0;
}

static int connect_twice(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);
    int connected = step(connect_to(fd, arguments[0]));

    step(connect_to(fd, arguments[0]));
    if (connected)
        greet_any(fd, arguments[0]);
    return 0;
}

static int connect_twice_without_waiting(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM | SOCK_NONBLOCK);

    step(connect_to(fd, arguments[0]));
    step(connect_to(fd, arguments[0]));
    return 0;
}

/* The same socket goes to one after the other, let go of in between if `disconnect` says so. */
static int connect_in_turn(char **arguments, int disconnect)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = socket_for(arguments[0], SOCK_STREAM);

    if (step(connect_to(fd, arguments[0])))
        greet(fd);
    if (disconnect)
        step(connect(fd, &nobody, sizeof nobody));
    if (step(connect_to(fd, arguments[1])))
        greet(fd);
    return 0;
}

static int connect_again(char **arguments)
{
    return connect_in_turn(arguments, 0);
}

static int reconnect(char **arguments)
{
    return connect_in_turn(arguments, 1);
}

static void limit_waiting(int fd, int milliseconds)
{
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};

    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))
        fail("SO_SNDTIMEO");
}

static int connect_for_a_while(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);
    double start;

    limit_waiting(fd, atoi(arguments[1]));
    start = seconds();
    step(connect_to(fd, arguments[0]));
    say_number((long)((seconds() - start) * 1000));
    return 0;
}

static atomic_int handled;

static void note_signal(int signal)
{
    static const char line[] = "handled\n";

    (void)signal;
    if (!handled++ && write(1, line, sizeof line - 1) < 0)
        _exit(3);
}

/* A signal every 50 ms from now on. */
static void be_interrupted(int flags)
{
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = flags};
    struct itimerval often = {{0, 50000}, {0, 50000}};

    if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &often, NULL))
        fail("setitimer");
}

static int connect_interrupted(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);

    if (!strcmp(arguments[1], "limited"))
        limit_waiting(fd, 20000);
    be_interrupted(strcmp(arguments[1], "plain") ? SA_RESTART : 0);
    step(connect_to(fd, arguments[0]));
    return 0;
}

static int connect_many(char **arguments)
{
    struct linger at_once = {1, 0};
    long i, count = atol(arguments[1]);

    for (i = 0; i < count; i++) {
        int fd = socket_for(arguments[0], SOCK_STREAM);
        if (connect_to(fd, arguments[0]))
            return step(-1);
        /* Without a wait of minutes for the port. */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(fd);
    }
    step(0);
    return 0;
}

static const char *destination;
static atomic_int begun;

static void *connect_and_wait(void *unused)
{
    int fd = socket_for(destination, SOCK_STREAM);

    begun++;
    connect_to(fd, destination);
    return unused;
}

enum { BESIDES = 9 };

static int by_length(const void *one, const void *two)
{
    double difference = *(const double *)one - *(const double *)two;

    return (difference > 0) - (difference < 0);
}

/* Opens a file again and again for a tenth of a second, beside a thread that begins to connect, unless that has no address; this several
 * times. How often it was opened, and the longest that it took, in microseconds: at the median of those times, and at the worst. */
static int open_beside_connect(char **arguments)
{
    double worst[BESIDES] = {0};
    long opened = 0;
    pthread_t thread;
    int i;

    destination = arguments[0];
    for (i = 0; i < BESIDES; i++) {
        double until;
        if (strcmp(destination, "-") && pthread_create(&thread, NULL, connect_and_wait, NULL))
            fail("pthread_create");
        while (strcmp(destination, "-") && begun <= i)
            sched_yield();
        for (until = seconds() + 0.1; seconds() < until; opened++) {
            double start = seconds(), took;
            int fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
            took = (seconds() - start) * 1e6;
            if (fd < 0)
                fail("open");
            close(fd);
            if (took > worst[i])
                worst[i] = took;
        }
    }
    qsort(worst, BESIDES, sizeof *worst, by_length);
    say_number(opened);
    say_number((long)worst[BESIDES / 2]);
    say_number((long)worst[BESIDES - 1]);
    puts("");
    fflush(stdout);
    /* Whoever connects is not waited for. */
    _exit(0);
}

static int connect_in_threads(char **arguments)
{
    int i, count = atoi(arguments[1]);
    pthread_t thread;

    destination = arguments[0];
    for (i = 0; i < count; i++)
        if (pthread_create(&thread, NULL, connect_and_wait, NULL))
            fail("pthread_create");
    while (pause() < 0)
        ;
    return 0;
}

static void *connect_in_thread(void *address)
{
    int fd = socket_for(address, SOCK_STREAM);

    if (step(connect_to(fd, address)))
        greet(fd);
    return NULL;
}

/* As a thread whose descriptors are its own. */
static int connect_alone(void *address)
{
    connect_in_thread(address);
    handled = 1;
    while (pause() < 0)
        ;
    return 0;
}

static int connect_as_members(char **arguments)
{
    static char stack[65536] __attribute__((aligned(16)));
    int flags = CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    pthread_t thread;
    int status;

    if (pthread_create(&thread, NULL, connect_in_thread, arguments[0]) || pthread_join(thread, NULL))
        fail("pthread_create");
    fflush(stdout);
    if (fork() == 0) {
        if (fork() == 0) {
            setsid();
            connect_in_thread(arguments[0]);
            fflush(stdout);
            _exit(0);
        }
        wait(&status);
        _exit(0);
    }
    wait(&status);
    if (clone(connect_alone, stack + sizeof stack, flags, arguments[0]) < 0)
        fail("clone");
    while (!handled)
        sched_yield();
    puts("");
    fflush(stdout);
    _exit(0);
}

/* --- sending --- */

static long send_by(const char *way, int fd, struct address *address)
{
    struct iovec data = {(void *)greeting, GREETING};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &address->any, .msg_namelen = address->length, .msg_iov = &data, .msg_iovlen = 1}};
    long sent;

    if (!strcmp(way, "sendto"))
        return sendto(fd, greeting, GREETING, 0, &address->any, address->length);
    if (!strcmp(way, "sendmsg"))
        return sendmsg(fd, &message.msg_hdr, 0);
    if (!strcmp(way, "sendmmsg")) {
        sent = sendmmsg(fd, &message, 1, 0);
        return sent == 1 ? (long)message.msg_len : sent;
    }
    if (connect(fd, &address->any, address->length))
        return -1;
    return send(fd, greeting, GREETING, 0);
}

static int send_once(char **arguments)
{
    struct address address = address_of(arguments[0]);
    long sent = send_by(arguments[1], open_socket(&address, SOCK_DGRAM), &address);

    if (sent >= 0 && sent != GREETING)
        say_number(sent);
    else
        step(sent);
    return 0;
}

enum { MOST_AT_ONCE = 1024, MOST_ADDRESSES = 4 };

/* Messages in turn to each address, as many of them in one call as it may have. */
static int send_many(char **arguments)
{
    static struct mmsghdr messages[MOST_AT_ONCE];
    static struct iovec data[MOST_AT_ONCE];
    static char texts[MOST_AT_ONCE][8];
    struct address addresses[MOST_ADDRESSES];
    int i, sent, total = 0, count = 0, fd;

    for (; count < MOST_ADDRESSES && arguments[count]; count++)
        addresses[count] = address_of(arguments[count]);
    for (i = 0; i < MOST_AT_ONCE; i++) {
        struct address *address = &addresses[i % count];
        data[i] = (struct iovec){texts[i], (size_t)snprintf(texts[i], sizeof texts[i], "%d", i)};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &address->any, .msg_namelen = address->length, .msg_iov = &data[i], .msg_iovlen = 1};
    }
    fd = open_socket(&addresses[0], SOCK_DGRAM);
    while (total < MOST_AT_ONCE) {
        sent = sendmmsg(fd, messages + total, (unsigned)(MOST_AT_ONCE - total), 0);
        if (sent < 0)
            return step(-1);
        if (sent == 0 || sent > MOST_AT_ONCE - total)
            break;
        for (i = total; i < total + sent; i++)
            if (messages[i].msg_len != data[i].iov_len)
                say("wrong length");
        total += sent;
    }
    say_number(total);
    return 0;
}

/* Two messages by one call, to two addresses; then the second again, by itself. */
static int send_two(char **arguments)
{
    struct address addresses[2] = {address_of(arguments[0]), address_of(arguments[1])};
    struct iovec data = {(void *)greeting, GREETING};
    struct mmsghdr messages[2];
    int i, sent, fd = open_socket(&addresses[0], SOCK_DGRAM);

    for (i = 0; i < 2; i++)
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &addresses[i].any, .msg_namelen = addresses[i].length, .msg_iov = &data, .msg_iovlen = 1};
    sent = sendmmsg(fd, messages, 2, 0);
    if (sent < 0)
        return step(-1);
    say_number(sent);
    if (sent == 1)
        step(sendmmsg(fd, messages + 1, 1, 0));
    return 0;
}

/* A byte that can be told from its neighbours. */
static char byte_at(size_t index)
{
    return (char)(index * 7 + index / 251);
}

/* One large message on a connection, in three pieces; it waits for so many milliseconds, if that is said. */
static int send_large(char **arguments)
{
    size_t i, size = strtoul(arguments[1], NULL, 10), third = size / 3;
    int fd = socket_for(arguments[0], SOCK_STREAM);
    char *data = malloc(size);
    struct iovec pieces[3] = {{data, third}, {data + third, 1}, {data + third + 1, size - third - 1}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 3};
    double start;
    ssize_t sent;

    for (i = 0; i < size; i++)
        data[i] = byte_at(i);
    if (arguments[2])
        limit_waiting(fd, atoi(arguments[2]));
    if (!step(connect_to(fd, arguments[0])))
        return 0;
    start = seconds();
    sent = sendmsg(fd, &message, 0);
    if (sent < 0)
        return step(-1);
    say_number(sent);
    if (arguments[2])
        say_number((long)((seconds() - start) * 1000));
    return 0;
}

/* Much data on a connection, in small pieces. */
static int send_pieces(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);
    struct iovec piece = {(void *)greeting, 1};
    long i, count = atol(arguments[1]);

    if (!step(connect_to(fd, arguments[0])))
        return 0;
    for (i = 0; i < count; i++) {
        ssize_t sent = i % 3 == 0   ? write(fd, greeting, 1)
                       : i % 3 == 1 ? send(fd, greeting, 1, MSG_NOSIGNAL)
                                    : writev(fd, &piece, 1);
        if (sent != 1)
            return step(-1);
    }
    say_number(i);
    return 0;
}

/* --- pairs --- */

static int pass_descriptor(char **unused)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    char byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int pair[2], ends[2], passed = -1;

    (void)unused;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(ends))
        fail("socketpair");
    memcpy(CMSG_DATA(&control.header), &ends[1], sizeof(int));
    if (!step(sendmsg(pair[0], &message, 0)))
        return 0;
    memset(&control, 0, sizeof control);
    message.msg_controllen = sizeof control;
    if (!step(recvmsg(pair[1], &message, 0)) || control.header.cmsg_type != SCM_RIGHTS)
        return 0;
    memcpy(&passed, CMSG_DATA(&control.header), sizeof(int));
    step(write(passed, "y", 1));
    say(read(ends[0], &byte, 1) == 1 && byte == 'y' ? "arrived" : "lost");
    return 0;
}

static int send_to_nobody(char **arguments)
{
    struct sigaction action = {.sa_handler = note_signal};
    struct iovec data = {(void *)greeting, GREETING};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1}};
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || close(pair[1]))
        fail("socketpair");
    if (!strcmp(arguments[0], "caught"))
        sigaction(SIGPIPE, &action, NULL);
    step(sendmsg(pair[0], &message.msg_hdr, MSG_NOSIGNAL));
    say_number(handled);
    step(sendmsg(pair[0], &message.msg_hdr, 0));
    say_number(handled);
    step(sendmmsg(pair[0], &message, 1, 0));
    say_number(handled);
    return 0;
}

/* --- serving --- */

static int bind_to(char **arguments, int type, int listening)
{
    struct address address = address_of(arguments[0]);
    int fd = open_socket(&address, type);

    if (!step(bind(fd, &address.any, address.length)))
        return -1;
    if (listening && !step(listen(fd, 5)))
        return -1;
    if (!is_local(&address))
        say_number(port_of(fd));
    return fd;
}

static int bind_tcp(char **arguments)
{
    bind_to(arguments, SOCK_STREAM, 0);
    return 0;
}

static int bind_udp(char **arguments)
{
    bind_to(arguments, SOCK_DGRAM, 0);
    return 0;
}

static int bind_and_listen(char **arguments)
{
    bind_to(arguments, SOCK_STREAM, 1);
    return 0;
}

static int listen_unbound(char **arguments)
{
    int fd = socket_for(arguments[0], SOCK_STREAM);

    if (step(listen(fd, 5)))
        say_number(port_of(fd));
    return 0;
}

/* Says where it listens, and repeats what the first client says. */
static int serve_streams(char **arguments)
{
    int fd = bind_to(arguments, SOCK_STREAM, 1), client;
    char bytes[256];
    ssize_t count;

    puts("");
    fflush(stdout);
    if (fd < 0)
        return 0;
    client = accept(fd, NULL, NULL);
    if (client < 0)
        return step(-1);
    while ((count = read(client, bytes, sizeof bytes)) > 0)
        if (write(client, bytes, (size_t)count) != count)
            break;
    return step(count);
}

static int serve_datagrams(char **arguments)
{
    int fd = bind_to(arguments, SOCK_DGRAM, 0);
    struct address peer = {.length = sizeof peer.ipv6};
    char bytes[256];
    ssize_t count;

    puts("");
    fflush(stdout);
    if (fd < 0)
        return 0;
    count = recvfrom(fd, bytes, sizeof bytes, 0, &peer.any, &peer.length);
    if (count < 0)
        return step(-1);
    return step(sendto(fd, bytes, (size_t)count, 0, &peer.any, peer.length));
}

/* --- what there is --- */

static int by_text(const void *one, const void *two)
{
    return strcmp(*(char *const *)one, *(char *const *)two);
}

static void say_sorted(char **words, size_t count)
{
    size_t i;

    qsort(words, count, sizeof *words, by_text);
    for (i = 0; i < count; i++)
        if (i == 0 || strcmp(words[i - 1], words[i]))
            say(words[i]);
}

static char *text_of(const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    return strdup(text);
}

enum { MOST_FOUND = 64 };

static int resolve(char **arguments)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *next;
    char *words[MOST_FOUND];
    size_t count = 0;

    if (getaddrinfo(arguments[0], NULL, &hints, &found)) {
        say("unknown");
        return 0;
    }
    for (next = found; next && count < MOST_FOUND; next = next->ai_next)
        words[count++] = text_of(next->ai_addr);
    say_sorted(words, count);
    return 0;
}

static int list_interfaces(char **unused)
{
    char *words[MOST_FOUND];
    struct ifaddrs *found, *next;
    size_t count = 0;

    (void)unused;
    if (!step(getifaddrs(&found)))
        return 0;
    for (next = found; next && count < MOST_FOUND; next = next->ifa_next) {
        char *address = next->ifa_addr ? text_of(next->ifa_addr) : strdup("");
        if (asprintf(&words[count], "%s%s%s", next->ifa_name, address[0] ? "=" : "", address) >= 0)
            count++;
        free(address);
    }
    say_sorted(words, count);
    return 0;
}

/* Has a socket of netlink go somewhere else, in every way there is. */
static int redirect(char **arguments)
{
    struct address address = address_of(arguments[0]);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    static const char *const ways[] = {"sendto", "sendmsg", "sendmmsg", "connect"};
    size_t i;

    if (!step(fd))
        return 0;
    for (i = 0; i < 2 * sizeof ways / sizeof *ways; i++) {
        send_by(ways[i % 4], fd, &address);
        connect(fd, &nobody, sizeof nobody);
        shutdown(fd, SHUT_RD);
    }
    step(bind(fd, &address.any, address.length));
    return 0;
}

/* A file's text in one line. */
static int read_file(char **arguments)
{
    char text[4096];
    int fd = open(arguments[0], O_RDONLY | O_CLOEXEC);
    ssize_t i, count;

    if (fd < 0)
        return step(-1);
    count = read(fd, text, sizeof text - 1);
    for (i = 0; i < count; i++)
        if (text[i] == '\n' || text[i] == '\t')
            text[i] = text[i] == '\n' ? '|' : ' ';
    text[count < 0 ? 0 : count] = 0;
    say(text);
    return 0;
}

/* --- calls that fail, or that are odd --- */

struct odd {
    int tcp, udp, local, listener, connection, plain;
};

static struct odd open_odd(const char *peer)
{
    struct address any = address_of("127.0.0.1:0");
    struct odd odd = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_STREAM, 0),
                      socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0), -1};
    int ends[2];

    if (odd.tcp < 0 || odd.udp < 0 || odd.local < 0 || bind(odd.listener, &any.any, any.length) || listen(odd.listener, 1) ||
        connect_to(odd.connection, peer) || pipe(ends))
        fail("sockets");
    odd.plain = ends[1];
    return odd;
}

static void connect_oddly(const struct odd *odd, struct address peer)
{
    struct address other = address_of("[::1]:9"), local = address_of("/none"), broadcast = address_of("255.255.255.255:9");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    char longest[256] = "";

    step(connect(-1, &peer.any, peer.length));
    step(connect(odd->plain, &peer.any, peer.length));
    step(connect(odd->tcp, NULL, peer.length));
    step(connect(odd->tcp, (void *)1, peer.length));
    step(connect(odd->tcp, &peer.any, 0));
    step(connect(odd->tcp, &peer.any, 1));
    step(connect(odd->tcp, &peer.any, peer.length - 1));
    step(connect(odd->tcp, (void *)longest, sizeof longest));
    step(connect(odd->tcp, (void *)longest, (socklen_t)-1));
    step(connect(odd->tcp, &other.any, other.length));
    step(connect(odd->tcp, &local.any, sizeof local.local));
    step(connect(odd->tcp, &broadcast.any, broadcast.length));
    step(connect(odd->tcp, &nobody, sizeof nobody));
    step(connect(odd->listener, &peer.any, peer.length));
    step(connect(odd->connection, &peer.any, peer.length));
    step(connect(odd->udp, &other.any, other.length));
    step(connect(odd->udp, &broadcast.any, broadcast.length));
    step(connect(odd->udp, &nobody, sizeof nobody));
    step(connect(odd->local, &peer.any, peer.length));
    step(connect(odd->local, &local.any, local.length));
    step(connect(odd->local, &local.any, 2));
    step(connect(odd->local, &nobody, sizeof nobody));
}

static void bind_oddly(const struct odd *odd)
{
    struct address any = address_of("127.0.0.1:0"), other = address_of("[::1]:0"), foreign = address_of("192.0.2.77:0");
    struct address taken = any;
    int tcp = socket(AF_INET, SOCK_STREAM, 0);

    taken.ipv4.sin_port = htons((uint16_t)port_of(odd->listener));
    step(bind(-1, &any.any, any.length));
    step(bind(odd->plain, &any.any, any.length));
    step(bind(tcp, (void *)1, any.length));
    step(bind(tcp, &any.any, 1));
    step(bind(tcp, &any.any, any.length - 1));
    step(bind(tcp, &other.any, other.length));
    step(bind(tcp, &foreign.any, foreign.length));
    step(bind(tcp, &taken.any, taken.length));
    step(bind(tcp, &any.any, any.length));
    step(bind(tcp, &any.any, any.length));
    step(bind(odd->connection, &any.any, any.length));
    step(listen(-1, 1));
    step(listen(odd->plain, 1));
    step(listen(odd->udp, 1));
    step(listen(odd->connection, 1));
    step(listen(odd->listener, 2));
    step(listen(odd->local, 1));
}

static void send_oddly(const struct odd *odd, struct address peer)
{
    static char large[65536];
    struct address other = address_of("[::1]:9"), broadcast = address_of("255.255.255.255:9");
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_TTL}};
    struct iovec data = {(void *)greeting, GREETING}, bad = {(void *)1, GREETING}, many[1025];
    struct msghdr plain = {.msg_iov = &data, .msg_iovlen = 1}, message = plain;
    struct mmsghdr several = {.msg_hdr = plain};
    int ttl = 9, i, udp = socket(AF_INET, SOCK_DGRAM, 0), fresh = socket(AF_INET, SOCK_STREAM, 0);

    for (i = 0; i < 1025; i++)
        many[i] = (struct iovec){large, 1};
    memcpy(CMSG_DATA(&control.header), &ttl, sizeof ttl);
    step(sendto(udp, greeting, GREETING, 0, NULL, 0));
    step(sendto(udp, greeting, GREETING, 0, &peer.any, 1));
    step(sendto(udp, greeting, GREETING, 0, &peer.any, (socklen_t)-1));
    step(sendto(udp, greeting, GREETING, 0, (void *)1, peer.length));
    step(sendto(udp, (void *)1, GREETING, 0, &peer.any, peer.length));
    step(sendto(udp, large, sizeof large, 0, &peer.any, peer.length));
    step(sendto(udp, greeting, GREETING, 0, &other.any, other.length));
    step(sendto(udp, greeting, GREETING, 0, &broadcast.any, broadcast.length));
    step(sendto(odd->plain, greeting, GREETING, 0, &peer.any, peer.length));
    step(sendto(fresh, greeting, GREETING, MSG_NOSIGNAL, &peer.any, peer.length));
    step(sendto(odd->local, greeting, GREETING, MSG_NOSIGNAL, &peer.any, peer.length));
    step(sendmsg(udp, (void *)1, 0));
    step(sendmsg(udp, &plain, 0));
    step(sendmsg(-1, &plain, 0));
    step(sendmsg(odd->plain, &plain, 0));
    step(sendmsg(fresh, &plain, MSG_NOSIGNAL));
    message.msg_name = &peer.any;
    message.msg_namelen = peer.length;
    message.msg_iov = &bad;
    step(sendmsg(udp, &message, 0));
    message.msg_iov = many;
    message.msg_iovlen = 1025;
    step(sendmsg(udp, &message, 0));
    message.msg_iovlen = 0;
    message.msg_namelen = (socklen_t)-1;
    step(sendmsg(udp, &message, 0));
    message.msg_namelen = peer.length;
    message.msg_control = (void *)1;
    message.msg_controllen = sizeof control;
    step(sendmsg(udp, &message, 0));
    message.msg_control = &control;
    message.msg_controllen = 1 << 22;
    step(sendmsg(udp, &message, 0));
    message.msg_controllen = sizeof control;
    control.header.cmsg_len = 3;
    step(sendmsg(udp, &message, 0));
    control.header.cmsg_len = CMSG_LEN(sizeof ttl) + 1000;
    step(sendmsg(udp, &message, 0));
    control.header.cmsg_len = CMSG_LEN(sizeof ttl);
    step(sendmmsg(udp, &several, 0, 0));
    step(sendmmsg(udp, &several, 1, 0));
    step(sendmmsg(udp, (void *)1, 1, 0));
    /* A datagram without data is one, too. */
    message.msg_control = NULL;
    message.msg_controllen = 0;
    step(sendmsg(udp, &message, 0));
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    step(sendmsg(udp, &message, 0));
}

static int be_odd(char **arguments)
{
    struct odd odd = open_odd(arguments[0]);

    connect_oddly(&odd, address_of(arguments[0]));
    bind_oddly(&odd);
    send_oddly(&odd, address_of(arguments[1]));
    return 0;
}

/* --- Unix sockets --- */

static int connect_by_link(char **arguments)
{
    step(symlink(arguments[1], arguments[0]));
    return connect_once(arguments);
}

static int connect_by_other_name(char **arguments)
{
    step(link(arguments[1], arguments[0]));
    return connect_once(arguments);
}

/* Has calls about sockets made on a file that is none, and passes it on. */
static int misuse_file(char **arguments)
{
    struct linger linger = {1, 1};
    struct address address = address_of("127.0.0.1:9");
    socklen_t length = sizeof address.any;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    char byte = 'x';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    int pair[2], fd = open(arguments[0], O_RDONLY | O_CLOEXEC);

    if (fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        fail("prepare");
    step(connect(fd, &address.any, address.length));
    step(bind(fd, &address.any, address.length));
    step(listen(fd, 1));
    step(sendto(fd, &byte, 1, 0, &address.any, address.length));
    step(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
    step(getsockname(fd, &address.any, &length));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    step(sendmsg(pair[0], &message, 0));
    step(recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC));
    return 0;
}

static int connect_from_directory(char **arguments)
{
    struct address address = {.local = {.sun_family = AF_UNIX}};
    int fd = open_socket(&address, SOCK_STREAM);

    step(chdir(arguments[0]));
    /* No longer than it must be: as an address of another family would be. */
    address.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                 (size_t)snprintf(address.local.sun_path, sizeof address.local.sun_path, "%s", arguments[1]));
    if (step(connect(fd, &address.any, address.length)))
        greet_any(fd, "/");
    return 0;
}

/* --- sockets that are closed, kept, or lent --- */

/* Closes one connection, and waits for the end of another. */
static int close_one(char **arguments)
{
    int nonblocking = !strcmp(arguments[1], "nonblocking");
    int fd = socket_for(arguments[0], SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0));
    int other = socket_for(arguments[0], SOCK_STREAM);
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    char byte;

    if (connect_to(fd, arguments[0]) && (errno != EINPROGRESS || poll(&ready, 1, 10000) != 1))
        fail("connect");
    greet(fd);
    step(connect_to(other, arguments[0]));
    step(close(fd));
    step(read(other, &byte, 1));
    return 0;
}

/* Opens datagram sockets, and closes them again or not, until one is refused. */
static int open_many(char **arguments)
{
    int i, count = atoi(arguments[1]), fd = 0;

    for (i = 0; i < count && fd >= 0; i++) {
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && !strcmp(arguments[0], "closed"))
            close(fd);
    }
    say_number(fd < 0 ? i - 1 : i);
    step(fd);
    return 0;
}

/* Binds to a port that the program has had before. */
static int bind_again(char **arguments)
{
    int i, streams = !strcmp(arguments[1], "listening");
    struct address address = address_of(arguments[0]);

    for (i = 0; i < 3; i++) {
        int fd = open_socket(&address, streams ? SOCK_STREAM : SOCK_DGRAM);

        step(bind(fd, &address.any, address.length));
        if (streams)
            step(listen(fd, 5));
        if (streams)
            step(listen(fd, 6));
        close(fd);
    }
    return 0;
}

/* What a socket is to the program that has it. */
static int show_sockets(char **unused)
{
    static const int kinds[][3] = {{AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0},
                                   {AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP},
                                   {AF_INET, SOCK_DGRAM, 0},
                                   {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP},
                                   {AF_UNIX, SOCK_STREAM, 0},
                                   {AF_UNIX, SOCK_DGRAM, 0},
                                   {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0}};
    static const int options[] = {SO_TYPE,      SO_DOMAIN,    SO_PROTOCOL,  SO_RCVBUF,   SO_SNDBUF,    SO_ERROR,
                                  SO_KEEPALIVE, SO_BROADCAST, SO_REUSEADDR, SO_PRIORITY, SO_ACCEPTCONN};
    size_t i, j;

    (void)unused;
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int fd = socket(kinds[i][0], kinds[i][1], kinds[i][2]), value;
        socklen_t length = sizeof value;
        struct stat status;

        step(fd);
        say_number(fcntl(fd, F_GETFL));
        say_number(fcntl(fd, F_GETFD));
        for (j = 0; j < sizeof options / sizeof *options; j++) {
            value = -1;
            getsockopt(fd, SOL_SOCKET, options[j], &value, &length);
            say_number(value);
        }
        if (fstat(fd, &status))
            fail("fstat");
        say_number(status.st_mode);
        say_number(status.st_uid == geteuid());
    }
    errno = 0;
    step(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
    step(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    step(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    return 0;
}

static void *wait_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

/* Messages on streams that were not asked for by socket(2): by a process of one thread, and of two. */
static int send_on_streams(char **arguments)
{
    struct address address = address_of(arguments[0]);
    int server = open_socket(&address, SOCK_STREAM), client = open_socket(&address, SOCK_STREAM);
    struct linger linger = {1, 0};
    int pair[2], accepted, i;
    struct iovec data = {(void *)greeting, GREETING};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1}};
    pthread_t thread;

    if (bind(server, &address.any, address.length) || listen(server, 5) || connect(client, &address.any, address.length))
        fail("connect");
    accepted = accept(server, NULL, NULL);
    if (accepted < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        fail("accept");
    for (i = 0; i < 2; i++) {
        step(sendmsg(client, &messages.msg_hdr, 0));
        step(sendmsg(accepted, &messages.msg_hdr, 0));
        step(sendmsg(pair[0], &messages.msg_hdr, 0));
        step(sendmmsg(pair[0], &messages, 1, 0));
        step(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
        step(write(accepted, greeting, GREETING));
        if (i == 0 && pthread_create(&thread, NULL, wait_for_ever, NULL))
            fail("pthread_create");
    }
    fflush(stdout);
    return 0;
}

static int lent[2];
static atomic_int lending = 1;

/* Puts one socket after the other where another thread sends. */
static void *lend(void *target)
{
    while (lending) {
        dup2(lent[0], *(int *)target);
        dup2(lent[1], *(int *)target);
    }
    return NULL;
}

/* Sends to an address by a descriptor that is a stream now, and a datagram socket then. */
static int send_by_what_is_lent(char **arguments)
{
    struct address address = address_of(arguments[0]);
    struct iovec data = {(void *)greeting, GREETING};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = address.length, .msg_iov = &data, .msg_iovlen = 1};
    int pair[2], target, i;
    pthread_t thread;

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        fail("socketpair");
    lent[0] = pair[0];
    lent[1] = open_socket(&address, SOCK_DGRAM);
    target = dup(pair[0]);
    if (lent[1] < 0 || target < 0 || pthread_create(&thread, NULL, lend, &target))
        fail("pthread_create");
    for (i = 0; i < atoi(arguments[1]); i++)
        sendmsg(target, &message, MSG_DONTWAIT);
    lending = 0;
    pthread_join(thread, NULL);
    /* Who shares a table without being a thread would not be counted. */
    step(syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0));
    return 0;
}

/* Moves a socket, and connects to it by its new name. */
static int connect_where_it_was_moved(char **arguments)
{
    step(rename(arguments[1], arguments[0]));
    return connect_once(arguments);
}

/* Leaves a symbolic link. */
static int leave_link(char **arguments)
{
    step(symlink(arguments[1], arguments[0]));
    return 0;
}

/* Sends to somebody by a socket that it was given. */
static int send_by_what_was_given(char **arguments)
{
    struct address address = address_of(arguments[1]);

    step(sendto(atoi(arguments[0]), greeting, GREETING, 0, &address.any, address.length));
    return 0;
}

/* Serves, and connects to itself. */
static int connect_to_itself(char **arguments)
{
    struct address address = address_of(arguments[0]);
    int server = open_socket(&address, SOCK_STREAM), client = open_socket(&address, SOCK_STREAM);

    if (step(bind(server, &address.any, address.length)) && step(listen(server, 1)))
        step(connect(client, &address.any, address.length));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments; /* at least */
        int (*run)(char **arguments);
    } topics[] = {
        {"connect", 1, connect_once},                /* ADDRESS */
        {"nonblocking", 1, connect_without_waiting}, /* ADDRESS */
        {"twice", 1, connect_twice},                 /* ADDRESS */
        {"twice-nonblocking", 1, connect_twice_without_waiting},
        {"again", 2, connect_again},                 /* ADDRESS ADDRESS */
        {"reconnect", 2, reconnect},                 /* ADDRESS ADDRESS */
        {"limited", 2, connect_for_a_while},         /* ADDRESS MILLISECONDS */
        {"interrupted", 2, connect_interrupted},     /* ADDRESS plain|restart|limited: a line "handled" comes first */
        {"many", 2, connect_many},                   /* ADDRESS COUNT */
        {"beside", 2, open_beside_connect},          /* ADDRESS or -, FILE */
        {"threads", 2, connect_in_threads},          /* ADDRESS COUNT: never ends */
        {"members", 1, connect_as_members},          /* ADDRESS: by a thread, a daemon, and a thread with descriptors of its own */
        {"send", 2, send_once},                      /* ADDRESS sendto|sendmsg|sendmmsg|connect */
        {"send-many", 1, send_many},                 /* ADDRESS... */
        {"send-two", 2, send_two},                   /* ADDRESS ADDRESS */
        {"large", 2, send_large},                    /* ADDRESS BYTES [MILLISECONDS] */
        {"pieces", 2, send_pieces},                  /* ADDRESS COUNT */
        {"pass", 0, pass_descriptor},
        {"broken", 1, send_to_nobody},               /* caught|default */
        {"odd", 2, be_odd},                          /* ADDRESS of TCP, ADDRESS of UDP */
        {"bind-tcp", 1, bind_tcp},                   /* ADDRESS */
        {"bind-udp", 1, bind_udp},                   /* ADDRESS */
        {"listen", 1, bind_and_listen},              /* ADDRESS */
        {"listen-unbound", 1, listen_unbound},       /* ADDRESS, for its family */
        {"serve", 1, serve_streams},                 /* ADDRESS: two lines */
        {"serve-udp", 1, serve_datagrams},           /* ADDRESS: two lines */
        {"resolve", 1, resolve},                     /* NAME */
        {"interfaces", 0, list_interfaces},
        {"redirect", 1, redirect},                   /* ADDRESS */
        {"read", 1, read_file},                      /* PATH */
        {"other-name", 2, connect_by_other_name},    /* NEW OLD */
        {"misuse", 1, misuse_file},                  /* FILE */
        {"link", 2, connect_by_link},                /* LINK TARGET */
        {"from", 2, connect_from_directory},         /* DIRECTORY NAME */
        {"close", 2, close_one},                     /* ADDRESS nonblocking|waiting */
        {"open-many", 2, open_many},                 /* closed|kept COUNT */
        {"bind-again", 2, bind_again},               /* ADDRESS listening|datagrams */
        {"sockets", 0, show_sockets},
        {"streams", 1, send_on_streams},             /* ADDRESS */
        {"moved", 2, connect_where_it_was_moved},    /* NEW OLD */
        {"linked", 2, leave_link},                   /* NEW TARGET */
        {"given", 2, send_by_what_was_given},        /* DESCRIPTOR ADDRESS */
        {"itself", 1, connect_to_itself},            /* ADDRESS */
        {"lent", 2, send_by_what_is_lent}};          /* ADDRESS COUNT */
    size_t i;

    for (i = 0; argc > 1 && i < sizeof topics / sizeof *topics; i++)
        if (!strcmp(topics[i].name, argv[1]) && argc >= topics[i].arguments + 2) {
            topics[i].run(argv + 2);
            puts("");
            return 0;
        }
    fprintf(stderr, "usage: %s WHAT [ARGUMENT...]\n", argv[0]);
    return 2;
}
