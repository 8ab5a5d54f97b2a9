/* Attacks on rules about whom a program may reach, and where it may serve. Where only servers can tell whether one has succeeded, it
 * says REFUSED, and whoever runs it asks them. */
#include "attack.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

static struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static struct sockaddr_in6 mapped_loopback(const char *port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};

    inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
    return address;
}

static int port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;

    return getsockname(fd, (struct sockaddr *)&address, &length) ? -1 : ntohs(address.sin_port);
}

static const char word[] = "attack";
enum { WORD = sizeof word - 1 };

static int open_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        printf("socket: %s\n", strerror(errno));
        exit(CANNOT);
    }
    return fd;
}

static int open_udp(void)
{
    return open_socket(AF_INET, SOCK_DGRAM);
}

/* --- other names for a destination, other ways to it --- */

static int connect_mapped(char **port)
{
    struct sockaddr_in6 address = mapped_loopback(port[0]);

    return judge("connect", connect(open_socket(AF_INET6, SOCK_STREAM), (struct sockaddr *)&address, sizeof address));
}

static int send_mapped(char **port)
{
    struct sockaddr_in6 address = mapped_loopback(port[0]);
    int fd = open_socket(AF_INET6, SOCK_DGRAM);

    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

/* A socket for IPv6 takes an address of IPv4, too. */
static int send_ipv4_by_ipv6(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = open_socket(AF_INET6, SOCK_DGRAM);

    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

/* To the kernel AF_UNSPEC is IPv4 where something is sent. */
static int send_without_family(char **port)
{
    struct sockaddr_in address = loopback(port[0]);

    address.sin_family = AF_UNSPEC;
    return judge("sendto", sendto(open_udp(), word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

/* Arguments: a port that is allowed, one that is not. */
static int send_elsewhere(char **ports)
{
    struct sockaddr_in allowed = loopback(ports[0]), forbidden = loopback(ports[1]);
    int fd = open_udp();

    if (connect(fd, (struct sockaddr *)&allowed, sizeof allowed))
        return cannot("connect");
    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&forbidden, sizeof forbidden));
}

static int send_second(char **ports)
{
    struct sockaddr_in addresses[2] = {loopback(ports[0]), loopback(ports[1])};
    struct iovec data = {(void *)word, WORD};
    struct mmsghdr messages[2];
    int i, sent;

    for (i = 0; i < 2; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_name = &addresses[i],
                                              .msg_namelen = sizeof addresses[i],
                                              .msg_iov = &data,
                                              .msg_iovlen = 1};
    sent = sendmmsg(open_udp(), messages, 2, 0);
    printf("%d were sent\n", sent);
    return sent < 1 ? CANNOT : sent == 2 ? SUCCEEDED : REFUSED;
}

/* For a socket that is bound to another address, "any" is that one. */
static int connect_to_any(char **port)
{
    struct sockaddr_in address = loopback("0"), peer;
    socklen_t length = sizeof peer;
    int fd = open_udp();

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        return cannot("bind");
    address = loopback(port[0]);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) || getpeername(fd, (struct sockaddr *)&peer, &length))
        return judge("connect", -1);
    printf("connected to %s\n", inet_ntoa(peer.sin_addr));
    return peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK + 1) ? SUCCEEDED : REFUSED;
}

static int fast_open_messages(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    struct iovec data = {(void *)word, WORD};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &data, .msg_iovlen = 1}};

    return judge("sendmmsg", sendmmsg(open_socket(AF_INET, SOCK_STREAM), &message, 1, MSG_FASTOPEN));
}

/* connect(2) does nothing then, if it knows the server; what is written connects. */
static int fast_open_by_option(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = open_socket(AF_INET, SOCK_STREAM), on = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on))
        return cannot("set TCP_FASTOPEN_CONNECT");
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        return judge("connect", -1);
    return judge("write", write(fd, word, WORD));
}

/* Arguments: family, type, protocol, as numbers, of what the kernel need not have. */
static int reach_family(char **arguments)
{
    return judge_reached("socket", socket(atoi(arguments[0]), atoi(arguments[1]), atoi(arguments[2])));
}

/* --- routes through somebody else --- */

/* A strict route by way of 127.0.0.2 takes a privilege in later kernels; to record the route takes none. */
static socklen_t options_of(const char *kind, unsigned char *options)
{
    static const unsigned char route[8] = {1, 131, 7, 4, 127, 0, 0, 2}, record[8] = {1, 7, 7, 4, 0, 0, 0, 0};

    memcpy(options, strcmp(kind, "route") ? record : route, 8);
    return 8;
}

/* Arguments: route or record, a port that is allowed. */
static int send_by_options(char **arguments)
{
    struct sockaddr_in address = loopback(arguments[1]);
    unsigned char options[8];
    int fd = open_udp();

    if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, options_of(arguments[0], options)))
        return judge("IP_OPTIONS", -1);
    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

static int set_options_of_tcp(char **arguments)
{
    unsigned char options[8];
    int fd = open_socket(AF_INET, SOCK_STREAM);

    return judge("IP_OPTIONS", setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, options_of(arguments[0], options)));
}

union control {
    struct cmsghdr header;
    char room[128];
};

static long send_with(int fd, struct sockaddr *address, socklen_t length, union control *control, size_t size)
{
    struct iovec data = {(void *)word, WORD};
    struct msghdr message = {.msg_name = address,
                             .msg_namelen = length,
                             .msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(size)};

    control->header.cmsg_len = CMSG_LEN(size);
    return sendmsg(fd, &message, 0);
}

static int send_with_options(char **arguments)
{
    struct sockaddr_in address = loopback(arguments[1]);
    union control control = {.header = {.cmsg_level = IPPROTO_IP, .cmsg_type = IP_RETOPTS}};
    socklen_t length = options_of(arguments[0], CMSG_DATA(&control.header));

    return judge("sendmsg", send_with(open_udp(), (struct sockaddr *)&address, sizeof address, &control, length));
}

/* Goes to the last segment of the list first; every kernel with IPv6 knows it. */
static const struct {
    unsigned char next, length, type, left, last, flags, tag[2];
    struct in6_addr segments[2];
} segment_route = {0, 4, 4, 1, 1, 0, {0, 0}, {IN6ADDR_LOOPBACK_INIT, IN6ADDR_LOOPBACK_INIT}};

/* By way of one host; few kernels know it. */
static const struct {
    unsigned char next, length, type, left, reserved[4];
    struct in6_addr home;
} home_route = {0, 2, 2, 1, {0, 0, 0, 0}, IN6ADDR_LOOPBACK_INIT};

static struct sockaddr_in6 loopback6(const char *port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};

    address.sin6_addr = in6addr_loopback;
    return address;
}

static int send_by_routing_header(char **port)
{
    struct sockaddr_in6 address = loopback6(port[0]);
    int fd = open_socket(AF_INET6, SOCK_DGRAM);

    if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &segment_route, sizeof segment_route))
        return judge("IPV6_RTHDR", -1);
    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

static int set_routing_header_of_tcp(char **unused)
{
    int fd = open_socket(AF_INET6, SOCK_STREAM);

    (void)unused;
    return judge("IPV6_RTHDR", setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, &segment_route, sizeof segment_route));
}

/* Arguments: the type of ancillary data, by its newer or its older number; a port that is allowed. */
static int send_with_routing_header(char **arguments)
{
    struct sockaddr_in6 address = loopback6(arguments[1]);
    union control control = {.header = {.cmsg_level = IPPROTO_IPV6, .cmsg_type = atoi(arguments[0])}};

    memcpy(CMSG_DATA(&control.header), &home_route, sizeof home_route);
    return judge_reached("sendmsg", send_with(open_socket(AF_INET6, SOCK_DGRAM), (struct sockaddr *)&address,
                                              sizeof address, &control, sizeof home_route));
}

/* The same, set for all that the socket sends. */
static int set_routing_header_by_message(char **unused)
{
    union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof home_route),
                                        .cmsg_level = IPPROTO_IPV6,
                                        .cmsg_type = IPV6_RTHDR}};

    (void)unused;
    memcpy(CMSG_DATA(&control.header), &home_route, sizeof home_route);
    return judge_reached("IPV6_2292PKTOPTIONS",
                         setsockopt(open_socket(AF_INET6, SOCK_DGRAM), IPPROTO_IPV6, IPV6_2292PKTOPTIONS, &control,
                                    CMSG_SPACE(sizeof home_route)));
}

/* Another protocol in the place of TCP, which rules about TCP would no longer be asked about. */
static int change_protocol(char **unused)
{
    (void)unused;
    return judge_reached("TCP_ULP",
                         setsockopt(open_socket(AF_INET, SOCK_STREAM), IPPROTO_TCP, TCP_ULP, "no-such", 7));
}

/* --- races: what is looked at is not what is used --- */

enum { ROUNDS = 200000 };

static atomic_int over, turns;
static struct sockaddr_in flipping;
static uint16_t choices[2];
static double until;

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int goes_on(unsigned round)
{
    return round < ROUNDS && seconds() < until;
}

/* Starts a thread, and waits until it has begun to do what it does again and again. */
static void start_race(void *(*run)(void *), void *data)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, data))
        exit(cannot("start a thread"));
    while (turns < 2)
        sched_yield();
    until = seconds() + 1;
}

static void *flip_port(void *unused)
{
    volatile uint16_t *port = &flipping.sin_port;

    for (; !over; turns++)
        *port = choices[turns % 2];
    return unused;
}

static void flip_ports(char **ports)
{
    flipping = loopback(ports[0]);
    choices[0] = loopback(ports[0]).sin_port;
    choices[1] = loopback(ports[1]).sin_port;
    start_race(flip_port, NULL);
}

/* Says how a race went that was not won. */
static int lost(unsigned round, unsigned refused)
{
    printf("%u rounds, %u refused\n", round, refused);
    return REFUSED;
}

/* Arguments: a port that is allowed, where nobody listens; one that is not. */
static int race_connect(char **ports)
{
    unsigned round, refused = 0;

    flip_ports(ports);
    for (round = 0; goes_on(round); round++) {
        int fd = open_socket(AF_INET, SOCK_STREAM);
        if (connect(fd, (struct sockaddr *)&flipping, sizeof flipping) == 0)
            return SUCCEEDED;
        refused += errno == EACCES;
        close(fd);
    }
    return lost(round, refused);
}

static int race_sendto(char **ports)
{
    unsigned round, refused = 0;
    int fd = open_udp();

    flip_ports(ports);
    for (round = 0; goes_on(round); round++)
        refused += sendto(fd, word, WORD, 0, (struct sockaddr *)&flipping, sizeof flipping) < 0;
    return lost(round, refused);
}

static int race_sendmsg(char **ports)
{
    struct iovec data = {(void *)word, WORD};
    struct msghdr message = {.msg_name = &flipping, .msg_namelen = sizeof flipping, .msg_iov = &data, .msg_iovlen = 1};
    unsigned round, refused = 0;
    int fd = open_udp();

    flip_ports(ports);
    for (round = 0; goes_on(round); round++)
        refused += sendmsg(fd, &message, 0) < 0;
    return lost(round, refused);
}

static struct sockaddr_in ends[2];
static struct mmsghdr flipping_messages[2];

static void *flip_name(void *unused)
{
    void *volatile *name = &flipping_messages[1].msg_hdr.msg_name;

    for (; !over; turns++)
        *name = &ends[turns % 2];
    return unused;
}

/* Here it is the place of the second address that changes. */
static int race_sendmmsg(char **ports)
{
    struct iovec data = {(void *)word, WORD};
    unsigned round, refused = 0;
    int i, fd = open_udp();

    for (i = 0; i < 2; i++) {
        ends[i] = loopback(ports[i]);
        flipping_messages[i].msg_hdr = (struct msghdr){
            .msg_name = &ends[0], .msg_namelen = sizeof ends[0], .msg_iov = &data, .msg_iovlen = 1};
    }
    start_race(flip_name, NULL);
    for (round = 0; goes_on(round); round++)
        refused += sendmmsg(fd, flipping_messages, 2, 0) < 2;
    return lost(round, refused);
}

/* One number, and the sockets that take turns to have it. */
static int number, sockets[2];

static void *flip_socket(void *unused)
{
    for (; !over; turns++)
        dup2(((volatile int *)sockets)[turns % 2], number);
    return unused;
}

static void flip_sockets(int one, int two)
{
    sockets[0] = one;
    sockets[1] = two;
    number = dup(one);
    start_race(flip_socket, NULL);
}

/* Arguments: a TCP port that is allowed, a UDP port that is not. For a connection the address means nothing. */
static int race_socket_of_sendmsg(char **ports)
{
    struct sockaddr_in allowed = loopback(ports[0]), forbidden = loopback(ports[1]);
    struct iovec data = {(void *)word, WORD};
    struct msghdr message = {
        .msg_name = &forbidden, .msg_namelen = sizeof forbidden, .msg_iov = &data, .msg_iovlen = 1};
    int tcp = open_socket(AF_INET, SOCK_STREAM);
    unsigned round, refused = 0;

    if (connect(tcp, (struct sockaddr *)&allowed, sizeof allowed))
        return cannot("connect");
    flip_sockets(tcp, open_udp());
    for (round = 0; goes_on(round); round++)
        refused += sendmsg(number, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EACCES;
    return lost(round, refused);
}

/* Argument: a port that is allowed for TCP, where nobody listens, and not for UDP. */
static int race_socket_of_connect(char **port)
{
    struct sockaddr_in address = loopback(port[0]), peer;
    int udp = open_udp();
    unsigned round, refused = 0;
    socklen_t length;

    flip_sockets(open_socket(AF_INET, SOCK_STREAM), udp);
    for (round = 0; goes_on(round); round++) {
        refused += connect(number, (struct sockaddr *)&address, sizeof address) < 0 && errno == EACCES;
        length = sizeof peer;
        if (getpeername(udp, (struct sockaddr *)&peer, &length) == 0)
            return SUCCEEDED;
    }
    return lost(round, refused);
}

/* Argument: a port that may be bound for TCP, and not for UDP. */
static int race_socket_of_bind(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    unsigned round, refused = 0;

    flip_sockets(open_socket(AF_INET, SOCK_STREAM), open_udp());
    for (round = 0; goes_on(round); round++) {
        int tcp = open_socket(AF_INET, SOCK_STREAM), former = sockets[0];
        refused += bind(number, (struct sockaddr *)&address, sizeof address) < 0 && errno == EACCES;
        if (port_of(sockets[1]) == atoi(port[0]))
            return SUCCEEDED;
        /* The other has the port now, perhaps. */
        ((volatile int *)sockets)[0] = tcp;
        close(former);
    }
    return lost(round, refused);
}

/* --- serving --- */

static int listen_at(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = open_socket(AF_INET, SOCK_STREAM);

    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        return judge("bind", -1);
    return judge("listen", listen(fd, 1));
}

static int is_listening(int fd)
{
    int is = 0;
    socklen_t length = sizeof is;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is, &length) == 0 && is;
}

/* Bound to any port that is allowed, a socket gives it back, and listens on whatever the kernel finds. Arguments: the first and the last
 * port that are allowed. */
static int listen_elsewhere(char **ports)
{
    struct sockaddr_in address = loopback("0");
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int fd = open_socket(AF_INET, SOCK_STREAM), port;

    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        return judge("bind", -1);
    if (connect(fd, &nobody, sizeof nobody) || listen(fd, 1))
        return judge("listen", -1);
    port = port_of(fd);
    printf("listens on port %d\n", port);
    return is_listening(fd) && (port < atoi(ports[0]) || port > atoi(ports[1])) ? SUCCEEDED : REFUSED;
}

static void *let_go(void *socket)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    for (; !over; turns++)
        connect(*(volatile int *)socket, &nobody, sizeof nobody);
    return NULL;
}

/* The same, with another thread that gives it back. */
static int race_listen(char **ports)
{
    struct sockaddr_in address = loopback("0");
    int fd = open_socket(AF_INET, SOCK_STREAM), port, former;
    unsigned round, refused = 0;

    start_race(let_go, &fd);
    for (round = 0; goes_on(round); round++) {
        refused += bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0;
        port = port_of(fd);
        if (is_listening(fd) && port > 0 && (port < atoi(ports[0]) || port > atoi(ports[1])))
            return SUCCEEDED;
        former = fd;
        fd = open_socket(AF_INET, SOCK_STREAM);
        close(former);
    }
    return lost(round, refused);
}

/* Arguments: stream or datagram, a port that is allowed, one that is not. */
static int race_bind(char **arguments)
{
    int type = strcmp(arguments[0], "stream") ? SOCK_DGRAM : SOCK_STREAM;
    unsigned round, refused = 0;

    flip_ports(arguments + 1);
    for (round = 0; goes_on(round); round++) {
        int fd = open_socket(AF_INET, type);
        refused += bind(fd, (struct sockaddr *)&flipping, sizeof flipping) < 0;
        if (port_of(fd) == atoi(arguments[2]))
            return SUCCEEDED;
        close(fd);
    }
    return lost(round, refused);
}

/* --- Unix sockets --- */

static struct sockaddr_un local(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        exit(cannot("name the socket"));
    }
    strcpy(address.sun_path, path);
    return address;
}

static int connect_local(const char *path)
{
    struct sockaddr_un address = local(path);
    int fd = open_socket(AF_UNIX, SOCK_STREAM), connected = connect(fd, (struct sockaddr *)&address, sizeof address);

    if (connected)
        close(fd);
    return connected;
}

static int connect_by_root_in_proc(char **path)
{
    char spelled[128];

    snprintf(spelled, sizeof spelled, "/proc/self/root%s", path[0]);
    return judge("connect", connect_local(spelled));
}

static int connect_by_descriptor(char **path)
{
    char spelled[64];
    int fd = open(path[0], O_PATH | O_CLOEXEC);

    if (fd < 0)
        return cannot("open the socket's path");
    snprintf(spelled, sizeof spelled, "/proc/self/fd/%d", fd);
    return judge("connect", connect_local(spelled));
}

static int connect_from_directory(char **path)
{
    char *slash = strrchr(path[0], '/');

    *slash = 0;
    if (chdir(path[0]))
        return cannot("change the directory");
    return judge("connect", connect_local(slash + 1));
}

/* Arguments: a directory that may be written, the socket. */
static int connect_by_link(char **arguments)
{
    char link[128];

    snprintf(link, sizeof link, "%s/link", arguments[0]);
    unlink(link);
    if (symlink(arguments[1], link))
        return cannot("make a link");
    return judge("connect", connect_local(link));
}

static int send_datagram(char **path)
{
    struct sockaddr_un address = local(path[0]);
    int fd = open_socket(AF_UNIX, SOCK_DGRAM);

    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

/* A socket of one's own, that nobody is served at. */
static void make_own(const char *path, int type)
{
    struct sockaddr_un address = local(path);
    int fd = socket(AF_UNIX, type, 0);

    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address))
        exit(cannot("bind a socket of one's own"));
}

static int send_datagram_elsewhere(char **arguments)
{
    struct sockaddr_un own, address = local(arguments[1]);
    char path[128];
    int fd = open_socket(AF_UNIX, SOCK_DGRAM);

    snprintf(path, sizeof path, "%s/own", arguments[0]);
    make_own(path, SOCK_DGRAM);
    own = local(path);
    if (connect(fd, (struct sockaddr *)&own, sizeof own))
        return cannot("connect to a socket of one's own");
    return judge("sendto", sendto(fd, word, WORD, 0, (struct sockaddr *)&address, sizeof address));
}

static char swapped[2][128];

static void *swap(void *unused)
{
    for (; !over; turns++)
        if (renameat2(AT_FDCWD, swapped[0], AT_FDCWD, swapped[1], RENAME_EXCHANGE)) {
            printf("cannot exchange names: %s\n", strerror(errno));
            _exit(CANNOT);
        }
    return unused;
}

static int race_for_path(const char *path)
{
    unsigned round, refused = 0;

    start_race(swap, NULL);
    for (round = 0; goes_on(round); round++) {
        if (connect_local(path) == 0)
            return SUCCEEDED;
        refused += errno == EACCES;
    }
    return lost(round, refused);
}

/* Arguments: a directory that may be written, in which a rule allows "spot"; the socket. */
static int race_link(char **arguments)
{
    snprintf(swapped[0], sizeof swapped[0], "%s/spot", arguments[0]);
    snprintf(swapped[1], sizeof swapped[1], "%s/link", arguments[0]);
    make_own(swapped[0], SOCK_STREAM);
    unlink(swapped[1]);
    if (symlink(arguments[1], swapped[1]))
        return cannot("make a link");
    return race_for_path(swapped[0]);
}

/* The same, one directory above. */
static int race_parent(char **arguments)
{
    char spot[160], link[160];

    snprintf(swapped[0], sizeof swapped[0], "%s/one", arguments[0]);
    snprintf(swapped[1], sizeof swapped[1], "%s/two", arguments[0]);
    if ((mkdir(swapped[0], 0755) || mkdir(swapped[1], 0755)) && errno != EEXIST)
        return cannot("make directories");
    snprintf(spot, sizeof spot, "%s/spot", swapped[0]);
    snprintf(link, sizeof link, "%s/spot", swapped[1]);
    make_own(spot, SOCK_STREAM);
    unlink(link);
    if (symlink(arguments[1], link))
        return cannot("make a link");
    return race_for_path(spot);
}

static struct sockaddr_un flipping_local, locals[2];

static void *flip_path(void *unused)
{
    for (; !over; turns++)
        memcpy(&flipping_local, &locals[turns % 2], sizeof flipping_local);
    return unused;
}

/* Arguments: a directory that may be written, in which a rule allows "own"; the socket, of datagrams. */
static int race_datagrams(char **arguments)
{
    struct iovec data = {(void *)word, WORD};
    struct msghdr message = {
        .msg_name = &flipping_local, .msg_namelen = sizeof flipping_local, .msg_iov = &data, .msg_iovlen = 1};
    unsigned round, refused = 0;
    char path[128], padded[128] = "";
    int fd = open_socket(AF_UNIX, SOCK_DGRAM);
    size_t i, missing;

    snprintf(path, sizeof path, "%s/own", arguments[0]);
    make_own(path, SOCK_DGRAM);
    /* Of one length, by more slashes in front: so that a mixture of both is a path too. */
    missing = strlen(path) - strlen(arguments[1]);
    for (i = 0; i < missing && i < sizeof padded / 2; i++)
        padded[i] = '/';
    strncat(padded, arguments[1], sizeof padded - 1 - i);
    locals[0] = flipping_local = local(path);
    locals[1] = local(padded);
    start_race(flip_path, NULL);
    for (round = 0; goes_on(round); round++)
        refused += sendmsg(fd, &message, MSG_DONTWAIT) < 0 && errno == EACCES;
    return lost(round, refused);
}

/* Arguments: level and option, as numbers. What is sent then leaves by an interface, or has a port, that no rule knows. */
static int set_option(char **arguments)
{
    int family = atoi(arguments[0]) == IPPROTO_IPV6 ? AF_INET6 : AF_INET;
    unsigned loopback_interface = 1, ports = 40000 | 40000u << 16;
    unsigned value = atoi(arguments[1]) == 51 ? ports : loopback_interface;
    int level = atoi(arguments[0]), fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (level == SOL_SOCKET && atoi(arguments[1]) == SO_BINDTODEVICE)
        return judge("setsockopt", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3));
    if (level == IPPROTO_IP && atoi(arguments[1]) == 50)
        value = htonl(loopback_interface);
    if (level == IPPROTO_IPV6 && atoi(arguments[1]) == 76)
        value = htonl(loopback_interface);
    return judge("setsockopt", setsockopt(fd, level, atoi(arguments[1]), &value, sizeof value));
}

/* A socket whose connection was refused has no port any more, though it tells one. */
static int listen_after_refusal(char **unused)
{
    struct sockaddr_in address = loopback("1");
    int fd = open_socket(AF_INET, SOCK_STREAM);

    (void)unused;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 || errno != ECONNREFUSED)
        return cannot("be refused");
    if (port_of(fd) <= 0)
        return cannot("be told a port");
    return judge("listen", listen(fd, 1));
}

/* join FORM: a group of the loopback device, by each of the options that do */
static int join_group(char **argument)
{
    struct ip_mreq plain = {.imr_multiaddr.s_addr = htonl(0xe8010203), .imr_interface.s_addr = htonl(INADDR_LOOPBACK)};
    struct ip_mreq_source source = {.imr_multiaddr = plain.imr_multiaddr, .imr_interface = plain.imr_interface,
                                    .imr_sourceaddr.s_addr = htonl(INADDR_LOOPBACK)};
    struct group_req either = {.gr_interface = 1};
    struct group_source_req sourced = {.gsr_interface = 1};
    struct ipv6_mreq plain6 = {.ipv6mr_interface = 1};
    struct sockaddr_in group = {.sin_family = AF_INET, .sin_addr = plain.imr_multiaddr},
                       from = {.sin_family = AF_INET, .sin_addr = plain.imr_interface};
    struct sockaddr_in6 group6 = {.sin6_family = AF_INET6};
    int four = open_socket(AF_INET, SOCK_DGRAM), six = open_socket(AF_INET6, SOCK_DGRAM);
    const char *form = argument[0];

    inet_pton(AF_INET6, "ff11::1234", &group6.sin6_addr);
    plain6.ipv6mr_multiaddr = group6.sin6_addr;
    memcpy(&sourced.gsr_group, &group, sizeof group);
    memcpy(&sourced.gsr_source, &from, sizeof from);
    if (!strcmp(form, "ip"))
        return judge("setsockopt", setsockopt(four, IPPROTO_IP, IP_ADD_MEMBERSHIP, &plain, sizeof plain));
    if (!strcmp(form, "ip-source"))
        return judge("setsockopt", setsockopt(four, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof source));
    if (!strcmp(form, "source"))
        return judge("setsockopt", setsockopt(four, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &sourced, sizeof sourced));
    if (!strcmp(form, "ipv6"))
        return judge("setsockopt", setsockopt(six, IPPROTO_IPV6, IPV6_JOIN_GROUP, &plain6, sizeof plain6));
    if (!strcmp(form, "group-ipv6")) {
        memcpy(&either.gr_group, &group6, sizeof group6);
        return judge("setsockopt", setsockopt(six, IPPROTO_IPV6, MCAST_JOIN_GROUP, &either, sizeof either));
    }
    memcpy(&either.gr_group, &group, sizeof group);
    return judge("setsockopt", setsockopt(four, IPPROTO_IP, MCAST_JOIN_GROUP, &either, sizeof either));
}

ATTACKS({"join", join_group}, {"option", set_option}, {"listen-after-refusal", listen_after_refusal}, {"connect-mapped", connect_mapped}, {"send-mapped", send_mapped}, {"send-ipv4-by-ipv6", send_ipv4_by_ipv6},
        {"send-without-family", send_without_family}, {"send-elsewhere", send_elsewhere}, {"send-second", send_second},
        {"connect-to-any", connect_to_any}, {"fastopen-sendmmsg", fast_open_messages},
        {"fastopen-option", fast_open_by_option}, {"family", reach_family}, {"options", send_by_options},
        {"options-tcp", set_options_of_tcp}, {"options-message", send_with_options},
        {"routing-header", send_by_routing_header}, {"routing-header-tcp", set_routing_header_of_tcp},
        {"routing-header-message", send_with_routing_header}, {"routing-header-options", set_routing_header_by_message},
        {"ulp", change_protocol}, {"race-connect", race_connect}, {"race-sendto", race_sendto},
        {"race-sendmsg", race_sendmsg}, {"race-sendmmsg", race_sendmmsg}, {"race-socket-sendmsg", race_socket_of_sendmsg},
        {"race-socket-connect", race_socket_of_connect}, {"race-socket-bind", race_socket_of_bind}, {"listen", listen_at},
        {"listen-elsewhere", listen_elsewhere}, {"race-listen", race_listen}, {"race-bind", race_bind},
        {"unix-root", connect_by_root_in_proc}, {"unix-descriptor", connect_by_descriptor},
        {"unix-directory", connect_from_directory}, {"unix-link", connect_by_link}, {"unix-datagram", send_datagram},
        {"unix-datagram-elsewhere", send_datagram_elsewhere}, {"unix-race-link", race_link},
        {"unix-race-parent", race_parent}, {"unix-race-datagram", race_datagrams})
