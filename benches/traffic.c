/* Both sides of the network's figures: the server, outside, and the client, bare or in the sandbox.
 *
 * A client first says what it wants of its connection: to be answered so many bytes for each so many that it sends, and whether
 * the server then throws away what else has arrived. What is timed and not answered goes to sockets that nobody reads meanwhile,
 * so that the server takes no time of anybody's. */
#include "bench.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* UNREAD_MOST is what a socket holds that nobody reads, in messages, or a queue, in connections. */
enum { ROUNDS = 60, MESSAGE = 64, BLOCK = 64 * 1024, UNREAD_MOST = 200 };

struct wish {
    uint32_t bytes, answer, clear;
};

/* Always the same one, so that both sides share it: else each run would measure where the kernel happens to let them run, which makes
 * more than half of the time of a request. */
static void stay_on_one_processor(void)
{
    cpu_set_t all, one;
    int cpu;

    if (sched_getaffinity(0, sizeof all, &all))
        die("sched_getaffinity");
    for (cpu = CPU_SETSIZE - 1; cpu > 0 && !CPU_ISSET(cpu, &all); cpu--)
        ;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one))
        die("sched_setaffinity");
}

/* --- the server --- */

static int listener, datagrams;

static void clear_what_arrived(void)
{
    char message[MESSAGE];
    int connection;

    while ((connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(connection);
    while (recv(datagrams, message, sizeof message, MSG_DONTWAIT) >= 0)
        ;
}

/* Until the client is gone, however it went. */
static void serve_client(int connection)
{
    static char block[BLOCK];
    struct wish wish;
    uint32_t missing;
    ssize_t count;

    if (recv(connection, &wish, sizeof wish, MSG_WAITALL) != sizeof wish || wish.answer > sizeof block)
        return;
    for (;;) {
        for (missing = wish.bytes; missing > 0; missing -= (uint32_t)count)
            if ((count = recv(connection, block, missing < sizeof block ? missing : sizeof block, 0)) <= 0)
                return;
        if (wish.clear)
            clear_what_arrived();
        if (send(connection, block, wish.answer, MSG_NOSIGNAL) != (ssize_t)wish.answer)
            return;
    }
}

static _Noreturn void serve(void)
{
    const int on = 1;
    int connection;

    stay_on_one_processor();
    for (;;) {
        /* The listener does not block, so that clearing ends. */
        struct pollfd ready = {.fd = listener, .events = POLLIN};
        if (poll(&ready, 1, -1) < 1 || (connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
            continue;
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        serve_client(connection);
        close(connection);
    }
}

pid_t start_apart(void)
{
    pid_t pid;

    fflush(NULL);
    if ((pid = fork()) < 0)
        die("fork");
    if (pid == 0) {
        setsid();
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    }
    return pid;
}

pid_t start_server(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pid_t pid;

    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || datagrams < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) ||
        listen(listener, 2 * UNREAD_MOST) || getsockname(listener, (struct sockaddr *)&address, &length) ||
        bind(datagrams, (struct sockaddr *)&address, sizeof address))
        die("server");
    if ((pid = start_apart()) == 0)
        serve();
    close(listener);
    close(datagrams);
    *port = ntohs(address.sin_port);
    return pid;
}

/* --- the client --- */

static struct sockaddr_in server = {.sin_family = AF_INET};
static char block[BLOCK];
static int count, conversation, sockets[UNREAD_MOST];

/* A socket of TCP that leaves nothing behind when it is closed: no port is kept for a minute. */
static int new_socket(void)
{
    const struct linger none = {1, 0};
    int new = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (new < 0 || setsockopt(new, SOL_SOCKET, SO_LINGER, &none, sizeof none))
        die("socket");
    return new;
}

static void connect_to_server(int new)
{
    if (connect(new, (const struct sockaddr *)&server, sizeof server))
        die("connect");
}

static void send_all(const void *bytes, size_t length)
{
    if (send(conversation, bytes, length, 0) != (ssize_t)length)
        die("send");
}

static void await_answer(size_t length)
{
    if (recv(conversation, block, length, MSG_WAITALL) != (ssize_t)length)
        die("recv");
}

static void nothing(void)
{
}

static void request(void)
{
    int i;

    for (i = 0; i < count; i++) {
        send_all(block, MESSAGE);
        await_answer(MESSAGE);
    }
}

/* The same by the calls that are for files too. */
static void request_plainly(void)
{
    int i;

    for (i = 0; i < count; i++)
        if (write(conversation, block, MESSAGE) != MESSAGE || read(conversation, block, MESSAGE) != MESSAGE)
            die("write and read");
}

static void stream(void)
{
    int i;

    for (i = 0; i < count; i++)
        if (write(conversation, block, sizeof block) != sizeof block)
            die("write");
    await_answer(1);
}

static void clear(void)
{
    send_all(block, 1);
    await_answer(1);
}

static void make_sockets(void)
{
    int i;

    for (i = 0; i < count; i++)
        sockets[i] = new_socket();
}

static void connect_and_close(void)
{
    int i;

    for (i = 0; i < count; i++) {
        connect_to_server(sockets[i]);
        close(sockets[i]);
    }
}

static void make_datagram_socket(void)
{
    if ((sockets[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
        die("socket");
}

static void send_datagrams(void)
{
    int i;

    for (i = 0; i < count; i++)
        if (sendto(sockets[0], block, MESSAGE, 0, (const struct sockaddr *)&server, sizeof server) != MESSAGE)
            die("sendto");
}

static void make_connection(void)
{
    sockets[0] = new_socket();
    connect_to_server(sockets[0]);
}

static void send_messages(void)
{
    struct iovec vector = {block, MESSAGE};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    int i;

    for (i = 0; i < count; i++)
        if (sendmsg(sockets[0], &message, 0) != MESSAGE)
            die("sendmsg");
}

static void close_and_clear(void)
{
    close(sockets[0]);
    clear();
}

static void get_parent(void)
{
    int i;

    for (i = 0; i < count; i++)
        syscall(SYS_getppid);
}

static void open_and_close(void)
{
    int i;

    for (i = 0; i < count; i++) {
        int fd = open("/usr/share/common-licenses/BSD", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            die("open");
        close(fd);
    }
}

static const struct topic {
    const char *name;
    void (*before)(void), (*timed)(void), (*after)(void);
    /* Whether it shares a processor with the server; else the server does nothing while time is taken. */
    bool answered;
    uint32_t bytes, answer;
} topics[] = {
    {"requests", nothing, request, nothing, true, MESSAGE, MESSAGE},
    {"plain-requests", nothing, request_plainly, nothing, true, MESSAGE, MESSAGE},
    {"stream", nothing, stream, nothing, true, BLOCK, 1},
    {"connect", make_sockets, connect_and_close, clear, false, 1, 1},
    {"sendto", make_datagram_socket, send_datagrams, close_and_clear, false, 1, 1},
    {"sendmsg", make_connection, send_messages, close_and_clear, false, 1, 1},
    {"getppid", nothing, get_parent, nothing, false, 1, 1},
    {"open", nothing, open_and_close, nothing, false, 1, 1},
};

/* Nanoseconds for one action, the smallest of many rounds, which are so short that some are disturbed by nobody. */
static double time_topic(const struct topic *topic)
{
    double best = 1e12, start, each;
    int round;

    for (round = 0; round < ROUNDS; round++) {
        topic->before();
        start = now_us();
        topic->timed();
        each = (now_us() - start) * 1e3 / count;
        if (each < best)
            best = each;
        topic->after();
    }
    return best;
}

int be_client(const char *name, const char *port, const char *times)
{
    const int on = 1;
    struct wish wish;
    size_t i;

    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server.sin_port = htons((uint16_t)atoi(port));
    count = atoi(times);
    for (i = 0; i < sizeof topics / sizeof *topics && strcmp(name, topics[i].name); i++)
        ;
    if (i == sizeof topics / sizeof *topics || count < 1 || (!topics[i].answered && count > UNREAD_MOST))
        return 2;
    wish.bytes = topics[i].bytes * (topics[i].timed == stream ? (uint32_t)count : 1);
    wish.answer = topics[i].answer;
    wish.clear = !topics[i].answered;
    conversation = new_socket();
    connect_to_server(conversation);
    if (topics[i].answered)
        stay_on_one_processor();
    setsockopt(conversation, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    send_all(&wish, sizeof wish);
    printf("%.2f\n", time_topic(&topics[i]));
    return 0;
}
