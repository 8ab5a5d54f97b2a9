/* What a program finds of its ports, in a sandbox whose ports are its own. Steps are its arguments, done one after the other; each prints
 * a line. Sockets are named by letters.
 *
 *     bind,S,tcp|udp|tcp6|udp6,ADDRESS,PORT[,OPTIONS]   makes S and binds it; r, p: SO_REUSEADDR, SO_REUSEPORT; 6: IPv6 only
 *     listen,S                                          listens at it, or at any port if S is a new letter
 *     name,S    peer,S                                  getsockname, getpeername
 *     room,S,N                                          getsockname with room for N bytes: how long the address is, family, port
 *     connect,S,tcp|udp|tcp6,ADDRESS,PORT               makes S, unless it is there, and connects it
 *     accept,S,L[,OPTIONS]                              S is a connection of L: nonblocking, close-on-exec (n, x ask for it); from whom
 *     send,S,ADDRESS,PORT,TEXT    say,S,TEXT            sendto; send
 *     hear,S                                            recv: the text
 *     answer,S                                          recvfrom, and sendto with the same text to whom that is from
 *     nonblock,S    close,S
 *     echo,L                                            serves connections of L, until one says "stop"
 *     alarm,L                                           accepts at L while SIGALRM comes
 *     late,L                                            accepts at L with SO_RCVTIMEO
 *     torment,L,PORT                                    makes L blocking all the time, while threads accept what others connect; a dot for each
 *     ready                                             prints "ready", and waits for a line of standard input
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int sockets[256];

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(union address *address, int family, const char *host, int port)
{
    memset(address, 0, sizeof *address);
    address->any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        address->v4.sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, host, &address->v4.sin_addr);
        return sizeof address->v4;
    }
    address->v6.sin6_port = htons((uint16_t)port);
    inet_pton(AF_INET6, host, &address->v6.sin6_addr);
    return sizeof address->v6;
}

static int port_of(const union address *address)
{
    return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

static void print_address(const union address *address)
{
    char text[INET6_ADDRSTRLEN] = "?";

    inet_ntop(address->any.sa_family,
              address->any.sa_family == AF_INET ? (const void *)&address->v4.sin_addr : (const void *)&address->v6.sin6_addr, text,
              sizeof text);
    printf("%s %d\n", text, port_of(address));
}

static void done(int result)
{
    printf("%s\n", result < 0 ? strerrorname_np(errno) : "ok");
}

static int family_of(const char *kind)
{
    return strchr(kind, '6') ? AF_INET6 : AF_INET;
}

static int new_socket(const char *kind)
{
    return socket(family_of(kind), strncmp(kind, "udp", 3) ? SOCK_STREAM : SOCK_DGRAM, 0);
}

static void set(int socket, int level, int option)
{
    int on = 1;

    if (setsockopt(socket, level, option, &on, sizeof on))
        perror("setsockopt");
}

static void serve_echo(int listener)
{
    int running = 1;

    while (running) {
        char text[256];
        ssize_t length;
        union address peer;
        socklen_t room = sizeof peer;
        int connection = accept(listener, &peer.any, &room);

        if (connection < 0) {
            perror("accept");
            return;
        }
        length = recv(connection, text, sizeof text, 0);
        if (length > 0 && send(connection, text, (size_t)length, 0) != length)
            perror("send");
        running = length != 4 || memcmp(text, "stop", 4);
        close(connection);
    }
}

static void ignore(int signal)
{
    (void)signal;
}

static void accept_while_alarmed(int listener)
{
    struct sigaction action = {.sa_handler = ignore};
    struct itimerval soon = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}}, never = {0};
    union address peer;
    socklen_t room = sizeof peer;

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    done(accept(listener, &peer.any, &room));
    setitimer(ITIMER_REAL, &never, NULL);
}

static void accept_too_late(int listener)
{
    struct timeval limit = {.tv_usec = 20000};
    union address peer;
    socklen_t room = sizeof peer;

    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    done(accept(listener, &peer.any, &room));
}

static void *make_blocking(void *listener)
{
    for (;;)
        fcntl(*(int *)listener, F_SETFL, 0);
    return NULL;
}

static void *accept_always(void *listener)
{
    for (;;) {
        union address peer;
        socklen_t room = sizeof peer;
        int connection = accept(*(int *)listener, &peer.any, &room);

        if (connection >= 0)
            close(connection);
    }
    return NULL;
}

/* These are not looked at, and take connections from under the others. */
static void *accept_anybody(void *listener)
{
    for (;;) {
        int connection = accept(*(int *)listener, NULL, NULL);

        if (connection >= 0)
            close(connection);
    }
    return NULL;
}

static void torment(int *listener, int port)
{
    pthread_t thread;
    int i;

    pthread_create(&thread, NULL, make_blocking, listener);
    for (i = 0; i < 4; i++)
        pthread_create(&thread, NULL, i % 2 ? accept_always : accept_anybody, listener);
    for (;;) {
        union address address;
        socklen_t length = address_of(&address, AF_INET, "127.0.0.1", port);
        int client = new_socket("tcp");

        if (connect(client, &address.any, length))
            perror("connect");
        close(client);
        printf(".");
    }
}

static void wait_for_line(void)
{
    char byte;

    printf("ready\n");
    while (read(0, &byte, 1) == 1 && byte != '\n')
        ;
}

/* Addresses of IPv6 have colons, so parts end at commas. */
static void step(char *text)
{
    char *part[7] = {0}, *next = text;
    union address address;
    socklen_t length = sizeof address;
    size_t count;
    int *socket;

    for (count = 0; count < 6 && (part[count] = strsep(&next, ",")); count++)
        ;
    memset(&address, 0, sizeof address);
    socket = &sockets[part[1] ? (unsigned char)part[1][0] : 0];
    if (!strcmp(part[0], "bind")) {
        const char *options = part[5] ? part[5] : "";

        *socket = new_socket(part[2]);
        if (strchr(options, 'r'))
            set(*socket, SOL_SOCKET, SO_REUSEADDR);
        if (strchr(options, 'p'))
            set(*socket, SOL_SOCKET, SO_REUSEPORT);
        if (strchr(options, '6'))
            set(*socket, IPPROTO_IPV6, IPV6_V6ONLY);
        length = address_of(&address, family_of(part[2]), part[3], atoi(part[4]));
        done(bind(*socket, &address.any, length));
    } else if (!strcmp(part[0], "listen")) {
        if (!*socket)
            *socket = new_socket("tcp");
        done(listen(*socket, 16));
    } else if (!strcmp(part[0], "name")) {
        if (getsockname(*socket, &address.any, &length))
            done(-1);
        else
            print_address(&address);
    } else if (!strcmp(part[0], "peer")) {
        if (getpeername(*socket, &address.any, &length))
            done(-1);
        else
            print_address(&address);
    } else if (!strcmp(part[0], "room")) {
        length = (socklen_t)atoi(part[2]);
        if (getsockname(*socket, &address.any, &length))
            done(-1);
        else
            printf("%u %d %d\n", (unsigned)length, address.any.sa_family, port_of(&address));
    } else if (!strcmp(part[0], "connect")) {
        if (!*socket)
            *socket = new_socket(part[2]);
        length = address_of(&address, family_of(part[2]), part[3], atoi(part[4]));
        done(connect(*socket, &address.any, length));
    } else if (!strcmp(part[0], "accept")) {
        int listener = sockets[(unsigned char)part[2][0]], flags = 0;

        if (part[3] && strchr(part[3], 'n'))
            flags |= SOCK_NONBLOCK;
        if (part[3] && strchr(part[3], 'x'))
            flags |= SOCK_CLOEXEC;
        *socket = accept4(listener, &address.any, &length, flags);
        if (*socket < 0) {
            done(-1);
            return;
        }
        printf("%d%d ", !!(fcntl(*socket, F_GETFL) & O_NONBLOCK), !!(fcntl(*socket, F_GETFD) & FD_CLOEXEC));
        print_address(&address);
    } else if (!strcmp(part[0], "send")) {
        length = address_of(&address, AF_INET, part[2], atoi(part[3]));
        done((int)sendto(*socket, part[4], strlen(part[4]), 0, &address.any, length));
    } else if (!strcmp(part[0], "say")) {
        done((int)send(*socket, part[2], strlen(part[2]), 0));
    } else if (!strcmp(part[0], "hear")) {
        char heard[64] = "";

        if (recv(*socket, heard, sizeof heard - 1, 0) < 0)
            done(-1);
        else
            printf("%s\n", heard);
    } else if (!strcmp(part[0], "answer")) {
        char heard[64] = "";
        ssize_t size = recvfrom(*socket, heard, sizeof heard - 1, 0, &address.any, &length);

        done(size < 0 ? -1 : (int)sendto(*socket, heard, (size_t)size, 0, &address.any, length));
    } else if (!strcmp(part[0], "close")) {
        done(close(*socket));
        *socket = 0;
    } else if (!strcmp(part[0], "nonblock")) {
        done(fcntl(*socket, F_SETFL, O_NONBLOCK));
    } else if (!strcmp(part[0], "echo")) {
        serve_echo(*socket);
        printf("stopped\n");
    } else if (!strcmp(part[0], "alarm")) {
        accept_while_alarmed(*socket);
    } else if (!strcmp(part[0], "late")) {
        accept_too_late(*socket);
    } else if (!strcmp(part[0], "torment")) {
        torment(socket, atoi(part[2]));
    } else if (!strcmp(part[0], "ready")) {
        wait_for_line();
    } else {
        printf("what is %s?\n", part[0]);
    }
}

int main(int argc, char **argv)
{
    int i;

    setvbuf(stdout, NULL, _IONBF, 0);
    for (i = 1; i < argc; i++)
        step(argv[i]);
    return 0;
}
