/* Attacks by way of sockets. */
#include "attack.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* Arguments: family, type, protocol, as numbers. */
static int make_socket(char **arguments)
{
    return judge("socket", socket(atoi(arguments[0]), atoi(arguments[1]), atoi(arguments[2])));
}

static struct sockaddr_in loopback(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int connect_tcp(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd < 0 ? cannot("make a socket") : judge("connect", connect(fd, (struct sockaddr *)&address, sizeof address));
}

/* Multipath TCP is TCP to the server, and no TCP to rules about TCP. */
static int connect_mptcp(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

    return judge("connect by MPTCP", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof address));
}

static int fast_open(char **port, int by_message)
{
    struct sockaddr_in address = loopback(port[0]);
    struct iovec data = {.iov_base = (void *)"x", .iov_len = 1};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &data, .msg_iovlen = 1};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return cannot("make a socket");
    if (by_message)
        return judge("sendmsg", sendmsg(fd, &message, MSG_FASTOPEN));
    return judge("sendto", sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&address, sizeof address));
}

static int fast_open_sendto(char **port)
{
    return fast_open(port, 0);
}

static int fast_open_sendmsg(char **port)
{
    return fast_open(port, 1);
}

static int bind_tcp(char **unused)
{
    struct sockaddr_in address = loopback("0");
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)unused;
    return fd < 0 ? cannot("make a socket") : judge("bind", bind(fd, (struct sockaddr *)&address, sizeof address));
}

/* listen(2) gives an unbound socket a free port on every address. */
static int listen_unbound(char **unused)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)unused;
    if (fd < 0)
        return cannot("make a socket");
    if (listen(fd, 1) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return judge("listen", -1);
    return address.sin_port ? SUCCEEDED : REFUSED;
}

static int send_udp(char **port)
{
    struct sockaddr_in address = loopback(port[0]);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    return judge("UDP", fd < 0 ? -1 : sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof address));
}

static int ask_netlink(char **unused)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    (void)unused;
    return judge("netlink", fd < 0 ? -1 : bind(fd, (struct sockaddr *)&address, sizeof address));
}

static int list_interfaces(char **unused)
{
    struct ifreq requests[8];
    struct ifconf list = {.ifc_len = sizeof requests, .ifc_req = requests};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)unused;
    return fd < 0 ? cannot("make a socket") : judge("SIOCGIFCONF", ioctl(fd, SIOCGIFCONF, &list));
}

/* A name that starts with @ is abstract. */
static socklen_t unix_address(struct sockaddr_un *address, const char *name)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strncpy(address->sun_path, name, sizeof address->sun_path - 1);
    if (name[0] != '@')
        return sizeof *address;
    address->sun_path[0] = 0;
    return (socklen_t)(sizeof(sa_family_t) + strlen(name));
}

static int connect_unix(char **name)
{
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name[0]);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    return judge("connect to a Unix socket", fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, length));
}

/* One end of a datagram pair can be sent anywhere. */
static int redirect_pair(char **name)
{
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name[0]);
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0)
        return judge("socketpair", -1);
    return judge("sendto", sendto(pair[0], "x", 1, 0, (struct sockaddr *)&address, length));
}

/* SOCK_RAW is what Unix sockets call datagrams too. */
static int redirect_raw_pair(char **name)
{
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name[0]);
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_RAW, 0, pair) < 0)
        return judge("socketpair", -1);
    return judge("sendto", sendto(pair[0], "x", 1, 0, (struct sockaddr *)&address, length));
}

ATTACKS({"socket", make_socket}, {"tcp-connect", connect_tcp}, {"mptcp", connect_mptcp},
        {"fastopen-sendto", fast_open_sendto}, {"fastopen-sendmsg", fast_open_sendmsg}, {"tcp-bind", bind_tcp},
        {"listen-unbound", listen_unbound}, {"udp", send_udp}, {"netlink", ask_netlink},
        {"interfaces", list_interfaces}, {"unix", connect_unix}, {"unix-pair", redirect_pair},
        {"unix-raw-pair", redirect_raw_pair})
