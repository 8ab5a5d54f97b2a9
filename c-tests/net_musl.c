/* What a static program of another libc than the host's does with a network. Built by musl-gcc; c-tests/test_net_programs.c runs it.
 *
 *     net_musl lookup NAME          prints its addresses, one a line
 *     net_musl interfaces           names of interfaces with their addresses
 *     net_musl get HOST PORT        connects, and prints what a server of HTTP answers after its header */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *text_of(const struct sockaddr *address)
{
    static char text[INET6_ADDRSTRLEN];
    const void *bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;

    if (address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return inet_ntop(address->sa_family, bytes, text, sizeof text);
}

static struct addrinfo *look_up(const char *host, const char *port)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    int error = getaddrinfo(host, port, &wanted, &found);

    if (error)
        printf("%s\n", gai_strerror(error));
    return found;
}

static int lookup(const char *name)
{
    struct addrinfo *found = look_up(name, NULL), *one;

    for (one = found; one; one = one->ai_next)
        printf("%s\n", text_of(one->ai_addr));
    return !found;
}

static int interfaces(void)
{
    struct if_nameindex *names = if_nameindex();
    struct ifaddrs *all, *one;
    size_t i;

    if (!names || getifaddrs(&all)) {
        printf("%s\n", strerror(errno));
        return 1;
    }
    for (i = 0; names[i].if_name; i++)
        printf("%u %s\n", names[i].if_index, names[i].if_name);
    for (one = all; one; one = one->ifa_next)
        if (one->ifa_addr && (one->ifa_addr->sa_family == AF_INET || one->ifa_addr->sa_family == AF_INET6))
            printf("%s %s\n", one->ifa_name, text_of(one->ifa_addr));
    return 0;
}

static int get(const char *host, const char *port)
{
    struct addrinfo *found = look_up(host, port), *one;
    char answer[4096] = "";
    size_t length = 0;
    ssize_t count;
    int fd = -1;

    for (one = found; one; one = one->ai_next) {
        fd = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (!connect(fd, one->ai_addr, one->ai_addrlen))
            break;
        printf("%s: %s\n", text_of(one->ai_addr), strerror(errno));
        close(fd);
    }
    if (!one || write(fd, "GET / HTTP/1.0\r\n\r\n", 18) != 18)
        return 1;
    while (length < sizeof answer - 1 && (count = read(fd, answer + length, sizeof answer - 1 - length)) > 0)
        length += (size_t)count;
    printf("%s", strstr(answer, "\r\n\r\n") ? strstr(answer, "\r\n\r\n") + 4 : "no answer\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "lookup"))
        return lookup(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "interfaces"))
        return interfaces();
    if (argc == 4 && !strcmp(argv[1], "get"))
        return get(argv[2], argv[3]);
    return 2;
}
