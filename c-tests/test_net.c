/* Network rules: whom a program reaches, and where it serves. The servers are the test's, and say who has come. How the calls behave that
 * the library carries out is in test_net_calls.c, attacks on the rules are in attack_table.c. */
#include "net.h"

#include <netdb.h>

enum { MOST_RULES = 5 };

struct net_case {
    const char *rules[MOST_RULES];
    const char *words[MOST_WORDS];
    const char *prints;
    const char *arrived;
};

static void check_cases(const struct net_case *cases, size_t count)
{
    for (; count; count--, cases++) {
        sandlock_policy *policy = policy_with(cases->rules);
        int before = test_failures;

        check_run(policy, cases->words, cases->prints, cases->arrived);
        if (test_failures > before) {
            const char *const *rule;
            for (rule = cases->rules; *rule; rule++)
                printf("# rule %s, that is %s\n", *rule, expand(*rule));
        }
        sandlock_policy_free(policy);
    }
}

#define CHECK_CASES(cases) check_cases(cases, sizeof(cases) / sizeof *(cases))

/* --- destinations --- */

static void tcp_reaches_what_rules_allow(void)
{
    static const struct net_case cases[] = {
        /* An address and a port. */
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.2:$t"}, "EACCES", ""},
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::1]:$s"}, "EACCES", ""},
        {{"tcp://127.0.0.2:$t", "tcp://127.0.0.1:$T"}, {"connect", "127.0.0.1:$T"}, "ok", "T"},
        {{"tcp://127.0.0.2:$t", "tcp://127.0.0.1:$T"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://[::1]:$s"}, {"connect", "[::1]:$s"}, "ok", "s"},
        {{"tcp://[::1]:$s"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"::1"}, {"connect", "[::1]:$s"}, "ok", "s"},
        {{"tcp://[::2]:$s"}, {"connect", "[::1]:$s"}, "EACCES", ""},
        /* Ports. */
        {{"tcp://127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:*"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:1,$t,$0-$9"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:1,$t,$0-$9"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        {{"tcp://127.0.0.1:$t-$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:$0-$9"}, {"connect", "127.0.0.1:$9"}, "ECONNREFUSED", ""},
        {{"tcp://127.0.0.1:$0-$8"}, {"connect", "127.0.0.1:$9"}, "EACCES", ""},
        /* Networks. */
        {{"tcp://127.0.1.0/24"}, {"connect", "127.0.1.255:$t"}, "ok", "t"},
        {{"tcp://127.0.1.0/24"}, {"connect", "127.0.2.0:$t"}, "EACCES", ""},
        {{"tcp://127.0.1.0/24:$t"}, {"connect", "127.0.1.9:$T"}, "EACCES", ""},
        {{"tcp://127.0.0.0/31:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://127.0.0.0/31:$t"}, {"connect", "127.0.0.2:$t"}, "EACCES", ""},
        {{"tcp://0.0.0.0/0"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://0.0.0.0/0"}, {"connect", "[::1]:$s"}, "EACCES", ""},
        {{"tcp://[::/0]:$s"}, {"connect", "[::1]:$s"}, "ok", "s"},
        {{"tcp://[::/0]"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://[::/127]:$s"}, {"connect", "[::1]:$s"}, "ok", "s"},
        /* Anywhere. */
        {{"*"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*"}, {"connect", "[::1]:$s"}, "ok", "s"},
        {{"tcp://*:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*:$t"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        {{"*:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*:1-65535"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*:10000-65535"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*:10000-65535"}, {"connect", "127.0.0.1:9"}, "EACCES", ""},
        {{"tcp://*:$t", "tcp://127.0.0.2:$T"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        /* IPv4 in IPv6's clothes. */
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::ffff:127.0.0.1]:$t"}, "ok", "t"},
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::ffff:127.0.0.2]:$t"}, "EACCES", ""},
        {{"tcp://[::ffff:127.0.0.1]:$t"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://[::/0]"}, {"connect", "[::ffff:127.0.0.1]:$t"}, "EACCES", ""},
        /* The unspecified addresses are loopback. */
        {{"tcp://127.0.0.1:$t"}, {"connect", "0.0.0.0:$t"}, "ok", "t"},
        {{"tcp://127.0.0.2:$t"}, {"connect", "0.0.0.0:$t"}, "EACCES", ""},
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::ffff:0.0.0.0]:$t"}, "ok", "t"},
        {{"tcp://127.0.0.2:$t"}, {"connect", "[::ffff:0.0.0.0]:$t"}, "EACCES", ""},
        {{"tcp://[::1]:$s"}, {"connect", "[::]:$s"}, "ok", "s"},
        {{"tcp://[::2]:$s"}, {"connect", "[::]:$s"}, "EACCES", ""},
        /* Nobody there. */
        {{"tcp://127.0.0.1:$c"}, {"connect", "127.0.0.1:$c"}, "ECONNREFUSED", ""},
        {{"tcp://*:$c"}, {"connect", "127.0.0.1:$c"}, "ECONNREFUSED", ""},
    };

    CHECK_CASES(cases);
}

static void what_is_denied_is_denied_whatever_is_allowed(void)
{
    static const struct net_case cases[] = {
        {{"tcp://127.0.0.0/8", "deny 127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://127.0.0.0/8", "deny 127.0.0.1"}, {"connect", "127.0.0.2:$t"}, "ok", "t"},
        {{"deny 127.0.0.1", "tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"*", "deny 127.0.0.0/8"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"*", "deny 127.0.0.0/8"}, {"connect", "0.0.0.0:$t"}, "EACCES", ""},
        {{"*", "deny 127.0.0.0/8"}, {"connect", "[::ffff:127.0.0.1]:$t"}, "EACCES", ""},
        {{"*", "deny 127.0.0.0/8"}, {"connect", "[::1]:$s"}, "ok", "s"},
        {{"*", "deny 127.0.0.0/8"}, {"send", "127.0.0.1:$u", "sendto"}, "EACCES", ""},
        {{"*", "deny udp://127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"*", "deny udp://127.0.0.1"}, {"send", "127.0.0.1:$u", "connect"}, "EACCES", ""},
        {{"*", "deny [::/0]:$s"}, {"connect", "[::1]:$s"}, "EACCES", ""},
        {{"tcp://*", "deny tcp://*:$t"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://*", "deny tcp://*:$t"}, {"connect", "127.0.0.1:$T"}, "ok", "T"},
        {{"tcp://*:$t,$T", "deny tcp://*:$t"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://*:$t,$T", "deny tcp://*:$t"}, {"connect", "127.0.0.1:$T"}, "ok", "T"},
        {{"tcp://127.0.0.1", "deny 127.0.0.1:$t"}, {"connect", "127.0.0.1:$T"}, "ok", "T"},
        {{"tcp://localhost", "deny 127.0.0.0/8"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"deny 127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
    };

    CHECK_CASES(cases);
}

static void each_protocol_is_allowed_by_itself(void)
{
    static const struct net_case cases[] = {
        {{NULL}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{NULL}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"tcp://127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"tcp://*"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"udp://127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"udp://127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "ok", "u"},
        {{"udp://*"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"udp://*"}, {"send", "127.0.0.1:$u", "sendto"}, "ok", "u"},
        {{"127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "ok", "u"},
        {{"127.0.0.1:$t"}, {"send", "127.0.0.1:$u", "sendto"}, "EACCES", ""},
        {{"tcp://*", "udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$u", "sendmsg"}, "ok", "u"},
        {{"tcp://*", "udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U", "sendmsg"}, "EACCES", ""},
        {{"tcp://127.0.0.1:$t", "udp://*"}, {"send", "127.0.0.1:$U", "sendmsg"}, "ok", "U"},
        {{"tcp://127.0.0.1:$t", "udp://*"}, {"send", "127.0.0.1:$U", "connect"}, "ok", "U"},
        {{"tcp://127.0.0.1:$t", "udp://*"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        {{"icmp://127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"icmp://127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"unix:$/socket"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"unix:$/socket"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"*"}, {"connect", "$/socket"}, "EPERM", ""},
        {{"*"}, {"connect", "$@stream"}, "EPERM", ""},
    };

    CHECK_CASES(cases);
}

static void datagrams_reach_what_rules_allow_however_they_are_sent(void)
{
    static const char *const ways[] = {"sendto", "sendmsg", "sendmmsg", "connect"};
    static const struct net_case cases[] = {
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$u"}, "ok", "u"},
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U"}, "EACCES", ""},
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.2:$u"}, "EACCES", ""},
        {{"udp://127.0.0.1:$u"}, {"send", "0.0.0.0:$u"}, "ok", "u"},
        {{"udp://127.0.0.2:$u"}, {"send", "0.0.0.0:$u"}, "EACCES", ""},
        {{"udp://127.0.0.1:$u"}, {"send", "[::ffff:127.0.0.1]:$u"}, "ok", "u"},
        {{"udp://127.0.0.1:$u"}, {"send", "[::ffff:127.0.0.1]:$U"}, "EACCES", ""},
        {{"udp://[::1]:$v"}, {"send", "[::1]:$v"}, "ok", "v"},
        {{"udp://[::1]:$v"}, {"send", "[::]:$v"}, "ok", "v"},
        {{"udp://127.0.0.1"}, {"send", "[::1]:$v"}, "EACCES", ""},
        {{"udp://127.0.1.0/24"}, {"send", "127.0.1.7:$u"}, "ok", "u"},
        {{"udp://127.0.1.0/24"}, {"send", "127.0.0.7:$u"}, "EACCES", ""},
        {{"udp://*:$u"}, {"send", "127.0.0.1:$u"}, "ok", "u"},
        {{"udp://*:$u"}, {"send", "127.0.0.1:$U"}, "EACCES", ""},
        {{"udp://*"}, {"send", "127.0.0.1:$u"}, "ok", "u"},
        {{"udp://*", "deny udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$u"}, "EACCES", ""},
        {{"udp://*", "deny udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U"}, "ok", "U"},
        {{"unix:$/datagrams"}, {"send", "$/datagrams"}, "ok", "d"},
        {{"unix:$/*"}, {"send", "$/datagrams"}, "ok", "d"},
        {{"unix:$/socket"}, {"send", "$/datagrams"}, "EACCES", ""},
        {{"unix:$/*", "deny unix:$/datagrams"}, {"send", "$/datagrams"}, "EACCES", ""},
    };
    size_t way, i;

    for (way = 0; way < sizeof ways / sizeof *ways; way++)
        for (i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct net_case one = cases[i];
            one.words[2] = ways[way];
            check_cases(&one, 1);
        }
}

static void messages_sent_at_once_are_each_looked_at(void)
{
    static const struct net_case cases[] = {
        {{"udp://127.0.0.1:$u,$U"}, {"send-two", "127.0.0.1:$u", "127.0.0.1:$U"}, "2", "uU"},
        {{"udp://127.0.0.1:$u"}, {"send-two", "127.0.0.1:$u", "127.0.0.1:$U"}, "1 EACCES", "u"},
        {{"udp://127.0.0.1:$U"}, {"send-two", "127.0.0.1:$u", "127.0.0.1:$U"}, "EACCES", ""},
        {{"udp://127.0.0.1:$u", "udp://[::1]:$v"}, {"send-two", "[::ffff:127.0.0.1]:$u", "[::1]:$v"}, "2", "uv"},
    };

    CHECK_CASES(cases);
}

/* To allow the calls by name lifts nothing. */
static void rules_about_system_calls_do_not_lift_those_about_networks(void)
{
    static const char *const calls[] = {"socket", "connect",  "bind",        "listen",     "sendto",
                                        "sendmsg", "sendmmsg", "setsockopt", "socketpair"};
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1:$t", "udp://127.0.0.1:$u"));
    size_t i;

    for (i = 0; i < sizeof calls / sizeof *calls; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_syscall(policy, calls[i], NULL));
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    check_run(policy, ARGV("connect", "$/socket"), "EPERM", "");
    check_run(policy, ARGV("send", "127.0.0.1:$U", "sendmsg"), "EACCES", "");
    check_run(policy, ARGV("listen", "127.0.0.1:$1"), "EACCES", "");
    check_run(policy, ARGV("bind-udp", "127.0.0.1:$1"), "EACCES", "");
    sandlock_policy_free(policy);
}

/* --- Unix sockets --- */

static void unix_sockets_are_reached_by_where_they_are(void)
{
    static const struct net_case cases[] = {
        {{"unix:$/socket"}, {"connect", "$/socket"}, "ok", "p"},
        {{"unix:$/socket"}, {"connect", "$/dir/../socket"}, "ok", "p"},
        {{"unix:$/socket"}, {"connect", "$/dir/other"}, "EACCES", ""},
        {{"unix:$/socket"}, {"connect", "$@stream"}, "EACCES", ""},
        {{"unix:$/dir/*"}, {"connect", "$/dir/other"}, "ok", "q"},
        {{"unix:$/dir/*"}, {"connect", "$/socket"}, "EACCES", ""},
        {{"unix:$/dir/*"}, {"connect", "$/dir/../socket"}, "EACCES", ""},
        {{"unix:$/*"}, {"connect", "$/dir/other"}, "ok", "q"},
        {{"unix:$/*", "deny unix:$/dir/*"}, {"connect", "$/dir/other"}, "EACCES", ""},
        {{"unix:$/*", "deny unix:$/dir/*"}, {"connect", "$/socket"}, "ok", "p"},
        {{"deny unix:$/socket", "unix:$/*"}, {"connect", "$/socket"}, "EACCES", ""},
        /* From where the program is. */
        {{"unix:$/dir/other"}, {"from", "$/dir", "other"}, "ok ok", "q"},
        {{"unix:$/socket"}, {"from", "$/dir", "../socket"}, "ok ok", "p"},
        {{"unix:$/socket"}, {"from", "$/dir", "other"}, "ok EACCES", ""},
        /* By a link that the program makes. */
        {{"unix:$/socket"}, {"link", "$/writable/to-socket", "$/socket"}, "ok ok", "p"},
        {{"unix:$/socket"}, {"link", "$/writable/climbing", "../socket"}, "ok ok", "p"},
        {{"unix:$/socket"}, {"link", "$/writable/to-other", "$/dir/other"}, "ok EACCES", ""},
        {{"unix:$/writable/*"}, {"link", "$/writable/to-any", "$/socket"}, "ok EACCES", ""},
        {{"unix:$/writable/to-it"}, {"link", "$/writable/to-it", "$/socket"}, "ok EACCES", ""},
        /* What is no such socket. */
        {{"unix:$/*"}, {"connect", "$/nothing"}, "ENOENT", ""},
        {{"unix:$/*"}, {"connect", "$/file"}, "ECONNREFUSED", ""},
        {{"unix:$/*"}, {"connect", "$/datagrams"}, "EPROTOTYPE", ""},
        {{"unix:$/*"}, {"connect", "$/file/socket"}, "ENOTDIR", ""},
        /* Abstract names. */
        {{"unix:$@stream"}, {"connect", "$@stream"}, "ok", "a"},
        {{"unix:$@stream"}, {"connect", "$@b/stream"}, "EACCES", ""},
        {{"unix:$@strea"}, {"connect", "$@stream"}, "EACCES", ""},
        {{"unix:$@stream"}, {"connect", "$@streams"}, "EACCES", ""},
        {{"unix:$@b/*"}, {"connect", "$@b/stream"}, "ok", "b"},
        {{"unix:$@b/*"}, {"connect", "$@stream"}, "EACCES", ""},
        {{"unix:$@b/*", "deny unix:$@b/stream"}, {"connect", "$@b/stream"}, "EACCES", ""},
        {{"unix:$@b/*"}, {"connect", "$@b/nothing"}, "ECONNREFUSED", ""},
        {{"unix:$/*"}, {"connect", "$@stream"}, "EACCES", ""},
    };

    CHECK_CASES(cases);
}

/* What serves, and what the test says to it. */
static void check_echo(const sandlock_policy *policy, const char *what, const char *address, int type, struct peer peer)
{
    struct running server = start_child(policy, CHILD(what, address));
    char text[64] = "", *first = strdup(next_line(&server));
    int fd;

    if (CHECK(!strncmp(first, "ok", 2) && !strstr(first, "E"))) {
        const char *port = strrchr(first, ' ');
        if (peer.any.sa_family != AF_UNIX)
            peer.ipv4.sin_port = htons((uint16_t)atoi(port ? port : "0"));
        fd = connected(type, peer);
        CHECK(send(fd, "are you there?", 14, 0) == 14);
        CHECK(take(fd, text, sizeof text - 1) == 14);
        CHECK(!strcmp(text, "are you there?"));
        close(fd);
        CHECK_CONTAINS(next_line(&server), "ok");
    } else {
        printf("# %s %s: %s\n", what, address, first);
    }
    finish(&server);
    free(first);
}

static void unix_servers_are_made_where_files_are(void)
{
    sandlock_policy *policy = policy_with(RULES("unix:$/writable/mine"));
    struct stat made, bare_one;
    char *text;

    check_run(policy, ARGV("listen", "$/writable/mine"), "ok ok", "");
    text = bare(CHILD("listen", "$/writable/bare"));
    CHECK(!strcmp(text, "ok ok"));
    CHECK(stat(in_tree(net_tree, "writable/mine"), &made) == 0 && S_ISSOCK(made.st_mode));
    CHECK(stat(in_tree(net_tree, "writable/bare"), &bare_one) == 0);
    CHECK(made.st_mode == bare_one.st_mode && made.st_uid == bare_one.st_uid && made.st_gid == bare_one.st_gid);
    check_run(policy, ARGV("listen", "$/writable/mine"), "EADDRINUSE", "");
    check_run(policy, ARGV("listen", "$/writable/nothing/mine"), "ENOENT", "");
    check_run(policy, ARGV("listen", "$/dir/mine"), "EACCES", "");
    check_run(policy, ARGV("listen", "$/writable/../dir/mine"), "EACCES", "");
    CHECK(access(in_tree(net_tree, "dir/mine"), F_OK) < 0);
    CHECK(unlink(in_tree(net_tree, "writable/mine")) == 0 && unlink(in_tree(net_tree, "writable/bare")) == 0);
    check_echo(policy, "serve", "$/writable/mine", SOCK_STREAM, local_peer("writable/mine"));
    CHECK(unlink(in_tree(net_tree, "writable/mine")) == 0);
    free(text);
    sandlock_policy_free(policy);
}

/* --- ports --- */

static void ports_are_bound_as_rules_allow(void)
{
    static const struct net_case cases[] = {
        {{"tcp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:$1"}, "EACCES", ""},
        {{"tcp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:0"}, "EACCES", ""},
        {{"tcp://127.0.0.1"}, {"listen-unbound", "0.0.0.0:0"}, "EPERM", ""},
        {{"bind $1"}, {"bind-tcp", "127.0.0.1:$1"}, "ok $1", ""},
        {{"bind $1"}, {"listen", "0.0.0.0:$1"}, "ok ok $1", ""},
        {{"bind $1"}, {"listen", "[::]:$1"}, "ok ok $1", ""},
        {{"bind tcp://$1"}, {"listen", "[::1]:$1"}, "ok ok $1", ""},
        {{"bind $1"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind $1"}, {"listen", "[::1]:$2"}, "EACCES", ""},
        {{"bind $1"}, {"bind-udp", "127.0.0.1:$1"}, "EPERM", ""},
        {{"bind $1"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"bind $1,$3"}, {"listen", "127.0.0.1:$3"}, "ok ok $3", ""},
        {{"bind $1", "bind $3"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind $1-$3"}, {"listen", "127.0.0.1:$2"}, "ok ok $2", ""},
        {{"bind $1-$3"}, {"listen", "127.0.0.1:$4"}, "EACCES", ""},
        {{"bind $1-$3", "no bind $2"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind $1-$3", "no bind $2"}, {"listen", "127.0.0.1:$3"}, "ok ok $3", ""},
        {{"no bind $2", "bind *"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        {{"no bind $2", "bind *"}, {"listen", "127.0.0.1:$3"}, "ok ok $3", ""},
        {{"bind *"}, {"listen", "127.0.0.1:$3"}, "ok ok $3", ""},
        /* Ranges of which the user may have nothing. */
        {{"bind 900-950,$1"}, {"listen", "127.0.0.1:$1"}, "ok ok $1", ""},
        /* Beside other rules. */
        {{"bind $1", "udp://127.0.0.1"}, {"listen", "127.0.0.1:$1"}, "ok ok $1", ""},
        {{"bind $1", "udp://127.0.0.1"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind $1", "unix:$/socket"}, {"listen", "127.0.0.1:$1"}, "ok ok $1", ""},
        {{"bind $1", "unix:$/socket"}, {"listen", "127.0.0.1:$2"}, "EACCES", ""},
        /* A port by itself was meant to be named. */
        {{"bind $1"}, {"bind-tcp", "127.0.0.1:0"}, "EACCES", ""},
        {{"bind $1"}, {"listen-unbound", "0.0.0.0:0"}, "EACCES", ""},
        {{"bind $1,$3", "udp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:0"}, "EACCES", ""},
        {{"bind $1,$3", "udp://127.0.0.1"}, {"listen-unbound", "[::]:0"}, "EACCES", ""},
        /* UDP. */
        {{"udp://127.0.0.1"}, {"bind-udp", "127.0.0.1:$1"}, "EACCES", ""},
        {{"udp://*"}, {"bind-udp", "127.0.0.1:$1"}, "EACCES", ""},
        {{"bind udp://$1"}, {"bind-udp", "127.0.0.1:$1"}, "ok $1", ""},
        {{"bind udp://$1"}, {"bind-udp", "[::]:$1"}, "ok $1", ""},
        {{"bind udp://$1"}, {"bind-udp", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind udp://$1-$3", "no bind udp://$2"}, {"bind-udp", "127.0.0.1:$2"}, "EACCES", ""},
        {{"bind udp://*"}, {"bind-udp", "127.0.0.1:$1"}, "ok $1", ""},
        {{"bind udp://$1"}, {"bind-tcp", "127.0.0.1:$1"}, "EACCES", ""},
        {{"bind udp://$1"}, {"listen-unbound", "0.0.0.0:0"}, "EPERM", ""},
        {{"bind udp://$1"}, {"send", "127.0.0.1:$u", "sendto"}, "EACCES", ""},
        {{"bind udp://$1"}, {"send", "127.0.0.1:$u", "connect"}, "EACCES", ""},
        {{"bind $1", "bind udp://$2"}, {"bind-tcp", "127.0.0.1:$2"}, "EACCES", ""},
    };

    CHECK_CASES(cases);
}

static void port_0_is_one_that_is_allowed(void)
{
    static const struct {
        const char *rules[3];
        const char *words[3];
        int first, last; /* after the first free port; or 0 for any */
    } cases[] = {
        {{"bind *"}, {"bind-tcp", "127.0.0.1:0"}, 0, 0},
        {{"bind *"}, {"listen-unbound", "0.0.0.0:0"}, 0, 0},
        {{"bind *", "udp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:0"}, 0, 0},
        {{"bind $1-$3"}, {"bind-tcp", "127.0.0.1:0"}, 1, 3},
        {{"bind $1-$3"}, {"bind-tcp", "[::1]:0"}, 1, 3},
        {{"bind $1-$3"}, {"listen", "0.0.0.0:0"}, 1, 3},
        {{"bind $1-$3"}, {"listen-unbound", "0.0.0.0:0"}, 1, 3},
        {{"bind $1-$3"}, {"listen-unbound", "[::]:0"}, 1, 3},
        {{"bind $1-$4", "no bind $2"}, {"bind-tcp", "127.0.0.1:0"}, 3, 4},
        {{"bind $1,$5-$6"}, {"bind-tcp", "127.0.0.1:0"}, 5, 6},
        {{"udp://127.0.0.1"}, {"bind-udp", "127.0.0.1:0"}, 0, 0},
        {{"bind udp://*"}, {"bind-udp", "127.0.0.1:0"}, 0, 0},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);
        char *text = confined(policy, child(cases[i].words));
        int port = strncmp(text, "ok", 2) ? -1 : last_number(text), first = cases[i].first;

        if (!CHECK(port > 0 && (!first || (port >= free_ports + first && port <= free_ports + cases[i].last))))
            printf("# case %d: %s, with free ports from %d on\n", (int)i, text, free_ports);
        free(text);
        sandlock_policy_free(policy);
    }
}

static void port_0_of_a_range_that_is_taken_is_in_use(void)
{
    sandlock_policy *policy = policy_with(RULES("bind $1-$3"));
    int taken[3], i;

    for (i = 0; i < 3; i++)
        taken[i] = listening(peer_of(AF_INET, (uint16_t)port_named((char)('1' + i)), 0), 1);
    check_run(policy, ARGV("bind-tcp", "127.0.0.1:0"), "EADDRINUSE", "");
    close(taken[1]);
    check_run(policy, ARGV("bind-tcp", "127.0.0.1:0"), "ok $2", "");
    close(taken[0]);
    close(taken[2]);
    sandlock_policy_free(policy);
}

static void servers_inside_are_reached_from_the_host(void)
{
    static const struct {
        const char *rules[3];
        const char *what, *address;
        int family, type;
    } cases[] = {
        {{"bind $1"}, "serve", "127.0.0.1:$1", AF_INET, SOCK_STREAM},
        {{"bind $1-$3"}, "serve", "0.0.0.0:$2", AF_INET, SOCK_STREAM},
        {{"bind $1-$3"}, "serve", "[::1]:0", AF_INET6, SOCK_STREAM},
        {{"bind *"}, "serve", "[::1]:0", AF_INET6, SOCK_STREAM},
        {{"bind $1", "tcp://127.0.0.1:$t"}, "serve", "127.0.0.1:$1", AF_INET, SOCK_STREAM},
        {{"bind udp://$1", "udp://127.0.0.1"}, "serve-udp", "127.0.0.1:$1", AF_INET, SOCK_DGRAM},
        {{"bind udp://$1", "udp://*"}, "serve-udp", "0.0.0.0:$1", AF_INET, SOCK_DGRAM},
        {{"bind udp://*", "udp://[::1]"}, "serve-udp", "[::1]:0", AF_INET6, SOCK_DGRAM},
        {{"bind udp://*", "udp://*"}, "serve-udp", "[::1]:$2", AF_INET6, SOCK_DGRAM},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);

        check_echo(policy, cases[i].what, cases[i].address, cases[i].type, peer_of(cases[i].family, 0, 1));
        sandlock_policy_free(policy);
    }
}

/* Whom a server of UDP answers is a matter of the rules about destinations. */
static void server_of_datagrams_answers_nobody_that_no_rule_allows(void)
{
    sandlock_policy *policy = policy_with(RULES("bind udp://$1", "udp://127.0.0.2"));
    struct running server = start_child(policy, CHILD("serve-udp", "127.0.0.1:$1"));
    char text[16];
    int fd;

    CHECK(!strcmp(next_line(&server), expand("ok $1")));
    fd = connected(SOCK_DGRAM, peer_of(AF_INET, (uint16_t)port_named('1'), 1));
    CHECK(send(fd, "x", 1, 0) == 1);
    CHECK(!strcmp(next_line(&server), " EACCES"));
    finish(&server);
    CHECK(recv(fd, text, sizeof text, MSG_DONTWAIT) < 0);
    close(fd);
    sandlock_policy_free(policy);
}

/* --- names and interfaces --- */

/* The addresses of a host as the test finds them: the same words as net_child's. */
static char *resolved(const char *name)
{
    return bare(CHILD("resolve", name));
}

/* Checks that each line of /etc/hosts is an address and one of these names, and that each of them is there. */
static void check_hosts(const char *text, const char *const *names)
{
    char *lines = strdup(text), *line, *rest = lines;
    unsigned found = 0, wanted = 0;
    int i;

    while ((line = strsep(&rest, "|"))) {
        char *words = line, *address, *name;
        line[strcspn(line, "#")] = 0;
        address = strsep(&words, " ");
        if (!*address && !words)
            continue;
        while ((name = words ? strsep(&words, " ") : NULL)) {
            int known = !*name;
            for (i = 0; names[i]; i++)
                if (!strcmp(names[i], name)) {
                    known = 1;
                    found |= 1u << i;
                }
            if (!CHECK(known))
                printf("# \"%s\" is in \"%s\"\n", name, text);
        }
    }
    for (i = 0; names[i]; i++)
        wanted |= 1u << i;
    if (!CHECK(found == wanted))
        printf("# names are missing in \"%s\"\n", text);
    free(lines);
}

static void hosts_are_reached_by_their_names(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://localhost:$t"));
    char *wanted = resolved("localhost"), *text;

    check_run(policy, ARGV("resolve", "localhost"), wanted, "");
    check_run(policy, ARGV("resolve", "LocalHost"), wanted, "");
    check_run(policy, ARGV("resolve", "x.invalid"), "unknown", "");
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    check_run(policy, ARGV("connect", "127.0.0.2:$t"), "EACCES", "");
    text = confined(policy, CHILD("read", "/etc/hosts"));
    check_hosts(text, ARGV("localhost"));
    check_run(policy, ARGV("read", "$/file"), "text", "");
    check_run(policy, ARGV("read", "/etc/hostname"), "EACCES", "");
    free(text);
    free(wanted);
    sandlock_policy_free(policy);
}

/* The host's own name is in the host's /etc/hosts, or its resolver knows it. */
static void names_are_those_of_the_rules_and_no_others(void)
{
    char name[HOST_NAME_MAX + 1] = "", rule[HOST_NAME_MAX + 64], *text, *wanted;
    sandlock_policy *policy;

    start_servers();
    CHECK(gethostname(name, sizeof name) == 0);
    wanted = resolved(name);
    if (!strcmp(wanted, "unknown") || !strcasecmp(name, "localhost")) {
        test_absent = "the host's name is no address of its own";
        free(wanted);
        return;
    }
    policy = policy_with(RULES("tcp://localhost:$t"));
    check_run(policy, ARGV("resolve", name), "unknown", "");
    snprintf(rule, sizeof rule, "udp://%s", name);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, rule, NULL));
    check_run(policy, ARGV("resolve", name), wanted, "");
    text = confined(policy, CHILD("read", "/etc/hosts"));
    check_hosts(text, ARGV("localhost", name));
    free(text);
    free(wanted);
    sandlock_policy_free(policy);
}

/* A policy without names leaves the file to path rules. */
static void without_names_the_hosts_file_is_a_file_like_others(void)
{
    static const struct net_case cases[] = {
        {{"tcp://127.0.0.1:$t"}, {"read", "/etc/hosts"}, "EACCES", ""},
        {{"*"}, {"read", "/etc/hosts"}, "EACCES", ""},
    };

    CHECK_CASES(cases);
}

static void name_that_does_not_resolve_fails_the_start(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://localhost:$t", "tcp://x.invalid:443"));
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    CHECK(sandlock_spawn(policy, NULL, CHILD("connect", "127.0.0.1:$t"), NULL, &process, &error) != SANDLOCK_OK);
    CHECK(process == NULL);
    CHECK(sandlock_error_stage(error) == SANDLOCK_STAGE_NETWORK);
    CHECK_CONTAINS(sandlock_error_message(error), "x.invalid");
    CHECK(!strstr(sandlock_error_message(error), "localhost"));
    sandlock_error_free(error);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

static void interfaces_are_loopback_alone(void)
{
    static const char *const rules[] = {"tcp://127.0.0.1:$t", "*", "udp://127.0.0.1", "bind $1", "tcp://*:$t"};
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i]));
        char *text = confined(policy, CHILD("interfaces")), *rest = text, *word;
        int addresses = 0;

        CHECK(!strcmp(strsep(&rest, " "), "ok"));
        while (rest && (word = strsep(&rest, " "))) {
            CHECK(!strcmp(word, "lo") || !strncmp(word, "lo=", 3));
            addresses += !strcmp(word, "lo=127.0.0.1");
        }
        if (!CHECK(addresses == 1))
            printf("# under the rule %s: %s\n", rules[i], text);
        free(text);
        sandlock_policy_free(policy);
    }
}

/* --- what is told, and what is missing --- */

struct told {
    pthread_mutex_t lock;
    int count, errno_value;
    char text[512], call[32];
};

static void note_event(const sandlock_event *event, void *data)
{
    struct told *told = data;

    pthread_mutex_lock(&told->lock);
    told->count++;
    told->errno_value = sandlock_event_errno(event);
    snprintf(told->text, sizeof told->text, "%s", sandlock_event_text(event));
    snprintf(told->call, sizeof told->call, "%s", sandlock_event_syscall_name(event));
    pthread_mutex_unlock(&told->lock);
}

/* What is suggested can be said to a policy. */
static void check_suggestion(const char *text)
{
    static const struct {
        const char *begin;
        rule_fn add;
    } forms[] = {{"allow_net(\"", sandlock_policy_allow_net}, {"allow_bind(\"", sandlock_policy_allow_bind}};
    sandlock_policy *policy = sandlock_policy_new();
    size_t i;

    for (i = 0; i < 2; i++) {
        const char *rule = strstr(text, forms[i].begin);
        if (rule) {
            char *copy = strdup(rule + strlen(forms[i].begin));
            copy[strcspn(copy, "\"")] = 0;
            add_rule(policy, forms[i].add, copy);
            free(copy);
        }
    }
    sandlock_policy_free(policy);
}

static void what_is_refused_is_told_with_the_rule_that_is_missing(void)
{
    static const struct {
        const char *rules[3];
        const char *words[4];
        const char *call;
        const char *text[2]; /* "" in front: no event at all */
    } cases[] = {
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$T"}, "connect", {"allow_net(\"tcp://127.0.0.1:$T\")"}},
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::1]:$s"}, "connect", {"allow_net(\"tcp://[::1]:$s\")"}},
        {{"tcp://127.0.0.1:$t"}, {"connect", "[::ffff:127.0.0.2]:$t"}, "connect", {"allow_net(\"tcp://127.0.0.2:$t\")"}},
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U", "sendto"}, "sendto", {"allow_net(\"udp://127.0.0.1:$U\")"}},
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U", "sendmsg"}, "sendmsg", {"allow_net(\"udp://127.0.0.1:$U\")"}},
        {{"udp://127.0.0.1:$u"}, {"send", "127.0.0.1:$U", "sendmmsg"}, "sendmmsg", {"allow_net(\"udp://127.0.0.1:$U\")"}},
        {{"127.0.0.0/8", "deny 127.0.0.0/30"}, {"connect", "127.0.0.1:$t"}, "connect", {"tcp://127.0.0.1:$t", "\"127.0.0.0/30\""}},
        {{"unix:$/socket"}, {"connect", "$/dir/other"}, "connect", {"allow_net(\"unix:$/dir/other\")"}},
        {{"unix:$/socket"}, {"connect", "$@stream"}, "connect", {"allow_net(\"unix:$@stream\")"}},
        {{"bind $1-$3"}, {"bind-tcp", "127.0.0.1:$4"}, "bind", {"allow_bind(\"tcp://$4\")"}},
        {{"bind udp://$1"}, {"bind-udp", "127.0.0.1:$2"}, "bind", {"allow_bind(\"udp://$2\")"}},
        {{"udp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:$2"}, "bind", {"allow_bind(\"tcp://$2\")"}},
        {{"udp://127.0.0.1"}, {"bind-tcp", "127.0.0.1:0"}, "bind", {"allow_bind(\"tcp://"}},
        {{"bind $1"}, {"listen-unbound", "127.0.0.1:0"}, "listen", {"allow_bind(\"tcp://"}},
        {{"unix:$/socket", "udp://127.0.0.1"}, {"bind-tcp", "$/dir/mine"}, "bind", {"WRITE"}},
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$t"}, "", {""}},
        {{"tcp://127.0.0.1:$c"}, {"connect", "127.0.0.1:$c"}, "", {""}},
    };
    size_t i, j;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);
        sandlock_supervisor *supervisor = new_supervisor();
        sandlock_result *result = NULL;
        struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
        int wanted = cases[i].text[0][0] != 0;

        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_DENIED, note_event, &told, NULL, NULL));
        CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, supervisor, child(cases[i].words), 30000, &result, NULL));
        /* Tells what is left. */
        sandlock_supervisor_free(supervisor);
        if (!CHECK(told.count == wanted) || !CHECK(!strcmp(told.call, cases[i].call)))
            printf("# case %d: %d events, of %s: %s\n", (int)i, told.count, told.call, told.text);
        for (j = 0; wanted && j < 2 && cases[i].text[j]; j++)
            CHECK_CONTAINS(told.text, expand(cases[i].text[j]));
        CHECK(told.errno_value == (wanted ? EACCES : 0));
        check_suggestion(told.text);
        CHECK(check_arrivals(!strcmp(result ? output(result) : "", "ok\n") ? "t" : ""));
        sandlock_result_free(result);
        sandlock_policy_free(policy);
    }
}

static sandlock_report_entry network_row(const sandlock_report *report)
{
    sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;

    CHECK_STATUS(SANDLOCK_OK, sandlock_report_row(report, SANDLOCK_FEATURE_NETWORK - 1, &entry, NULL));
    CHECK(entry.feature == SANDLOCK_FEATURE_NETWORK);
    return entry;
}

/* Sockets that ask for interfaces are not the kernel's, and reach nobody all the same. */
static void who_asks_for_interfaces_reaches_nobody(void)
{
    static const char *const rules[] = {"tcp://*:$t", "tcp://127.0.0.1:$t", "udp://127.0.0.1:$u", "unix:$/socket"};
    static const char *const places[] = {"$/datagrams", "$/dir/other", "$@stream", "127.0.0.1:$T", "127.0.0.1:$U"};
    size_t i, j;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i], "tcp://*:$c"));
        for (j = 0; j < sizeof places / sizeof *places; j++) {
            char *found = confined(policy, CHILD("redirect", places[j]));
            if (!CHECK(strncmp(found, "ok ", 3) == 0 && check_arrivals("")))
                printf("# under %s to %s: %s\n", rules[i], places[j], found);
            free(found);
        }
        sandlock_policy_free(policy);
    }
}

static void report_says_who_enforces_the_rules(void)
{
    static const struct {
        const char *rule, *mechanism;
    } cases[] = {{"tcp://*:$t", "landlock"}, {"tcp://127.0.0.1:$t", "notification"}, {"unix:$/socket", "notification"}};
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(RULES(cases[i].rule));
        sandlock_report *report = report_of(policy);
        sandlock_report_entry row = network_row(report);

        CHECK(row.state == SANDLOCK_STATE_ENFORCED && row.errno_value == 0);
        CHECK_CONTAINS(row.mechanism, cases[i].mechanism);
        CHECK(row.detail[0] != 0);
        sandlock_report_free(report);
        sandlock_policy_free(policy);
    }
}

static const char *const takes_the_library[] = {"tcp://127.0.0.1:$t", "tcp://localhost:$t", "udp://127.0.0.1", "unix:$@stream",
                                                "icmp://127.0.0.1",   "bind udp://$1",      "bind $1-$3"};

static void rules_that_take_the_library_fail_the_start_without_it(void)
{
    size_t i;

    for (i = 0; i < sizeof takes_the_library / sizeof *takes_the_library; i++) {
        sandlock_policy *policy = policy_with(RULES(takes_the_library[i]));
        sandlock_process *process = NULL;
        sandlock_error *error = NULL;

        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
        if (!CHECK_STATUS(SANDLOCK_ERROR_UNSUPPORTED,
                          sandlock_spawn(policy, NULL, CHILD("connect", "127.0.0.1:$t"), NULL, &process, &error)))
            printf("# with the rule %s\n", takes_the_library[i]);
        CHECK_CONTAINS(sandlock_error_message(error), "network");
        CHECK_CONTAINS(sandlock_error_message(error), "NO_SUPERVISOR");
        sandlock_error_free(error);
        sandlock_process_free(process);
        sandlock_policy_free(policy);
    }
}

static void best_effort_closes_what_the_library_cannot_serve(void)
{
    static const struct net_case cases[] = {
        {{"tcp://127.0.0.1:$t"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"tcp://*", "deny 127.0.0.2"}, {"connect", "127.0.0.1:$t"}, "EACCES", ""},
        {{"udp://127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
        {{"unix:$@stream"}, {"connect", "$@stream"}, "EPERM", ""},
        {{"bind $1-$3"}, {"bind-tcp", "127.0.0.1:$1"}, "EACCES", ""},
        /* What is Landlock's stays open. */
        {{"tcp://*:$t", "udp://127.0.0.1"}, {"connect", "127.0.0.1:$t"}, "ok", "t"},
        {{"tcp://*:$t", "udp://127.0.0.1"}, {"connect", "127.0.0.1:$T"}, "EACCES", ""},
        {{"tcp://*:$t", "udp://127.0.0.1"}, {"send", "127.0.0.1:$u", "sendto"}, "EPERM", ""},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(cases[i].rules);
        sandlock_report_entry row;
        sandlock_report *report;

        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
        CHECK_STATUS(SANDLOCK_OK,
                     sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_BEST_EFFORT, NULL));
        check_run(policy, cases[i].words, cases[i].prints, cases[i].arrived);
        report = report_of(policy);
        row = network_row(report);
        CHECK(row.state == SANDLOCK_STATE_DEGRADED);
        CHECK_CONTAINS(row.detail, "NO_SUPERVISOR");
        sandlock_report_free(report);
        sandlock_policy_free(policy);
    }
}

static void ports_of_tcp_take_nobody_but_landlock(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://*:$t"));

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NO_SUPERVISOR, true, NULL));
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    check_run(policy, ARGV("send", "127.0.0.1:$u", "sendto"), "EPERM", "");
    check_run(policy, ARGV("bind-tcp", "127.0.0.1:$1"), "EACCES", "");
    sandlock_policy_free(policy);
}

static void who_confines_oneself_has_nobody_to_serve_rules(void)
{
    size_t i;

    start_servers();
    for (i = 0; i < sizeof takes_the_library / sizeof *takes_the_library; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0) {
            /* A policy of this process's own: others are of no use in a fork. */
            sandlock_policy *policy = policy_with(RULES(takes_the_library[i]));
            _exit(sandlock_confine_self(policy, NULL) == SANDLOCK_ERROR_UNSUPPORTED && !test_failures ? 0 : 1);
        }
        if (!CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0))
            printf("# with the rule %s\n", takes_the_library[i]);
    }
}

/* A call that the library carries out has no other handler; what it only looks at has. */
static void handlers_get_what_the_library_does_not_answer(void)
{
    static const struct {
        const char *rule, *call;
        const char *words[3];
        const char *prints, *arrived; /* NULL: there can be no such handler */
    } cases[] = {
        {"tcp://127.0.0.1:$t", "connect", {"connect", "127.0.0.1:$t"}, NULL, NULL},
        {"udp://127.0.0.1:$u", "sendmsg", {"connect", "127.0.0.1:$t"}, NULL, NULL},
        {"udp://127.0.0.1:$u", "sendto", {"connect", "127.0.0.1:$t"}, NULL, NULL},
        {"udp://127.0.0.1:$u", "bind", {"connect", "127.0.0.1:$t"}, NULL, NULL},
        {"bind $1-$3", "listen", {"connect", "127.0.0.1:$t"}, NULL, NULL},
        {"tcp://*:$t", "connect", {"connect", "127.0.0.1:$t"}, "ok\n", "t"},
        {"tcp://*:$t", "connect", {"connect", "127.0.0.1:$T"}, "EACCES\n", ""},
        {"tcp://127.0.0.1:$t", "socket", {"connect", "127.0.0.1:$t"}, "ok\n", "t"},
        {"tcp://127.0.0.1:$t", "socket", {"connect", "127.0.0.1:$T"}, "EACCES\n", ""},
        {"tcp://localhost:$t", "openat", {"read", "$/file"}, "text\n", ""},
        {"tcp://localhost:$t", "openat", {"resolve", "localhost"}, "127.0.0.1\n", ""},
        {"tcp://127.0.0.1:$t", "@network-io", {"connect", "127.0.0.1:$T"}, "EACCES\n", ""},
    };
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_with(RULES(cases[i].rule));
        sandlock_supervisor *supervisor = new_supervisor();
        sandlock_result *result = NULL;
        sandlock_error *error = NULL;
        atomic_int seen = 0;
        sandlock_status status;
        /* Who makes the sockets answers socket(2) too. */
        int refused = !cases[i].prints || (sockets_are_made() && !strcmp(cases[i].call, "socket"));
        int unseen = sockets_are_made() && cases[i].call[0] == '@';

        handle(supervisor, cases[i].call, pass_on, &seen);
        status = sandlock_run(policy, supervisor, child(cases[i].words), 30000, &result, &error);
        if (refused) {
            CHECK_STATUS(SANDLOCK_ERROR_STATE, status);
            CHECK_CONTAINS(sandlock_error_message(error), cases[i].call);
        } else if (CHECK_STATUS(SANDLOCK_OK, status)) {
            /* Of localhost the first address, whatever others there are. */
            if (!CHECK(!strncmp(output(result), cases[i].prints, strlen(cases[i].prints) - 1) && (seen > 0) != unseen))
                printf("# case %d: %d calls, %s\n", (int)i, seen, output(result));
            CHECK(check_arrivals(cases[i].arrived));
        } else {
            printf("# case %d: %s\n", (int)i, sandlock_error_message(error));
        }
        sandlock_error_free(error);
        sandlock_result_free(result);
        sandlock_supervisor_free(supervisor);
        sandlock_policy_free(policy);
    }
}

/* --- other sandboxes --- */

static void check_everything(const sandlock_policy *policy)
{
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    check_run(policy, ARGV("nonblocking", "127.0.0.1:$t"), "EINPROGRESS ready ok", "t");
    check_run(policy, ARGV("send", "127.0.0.1:$u", "sendmsg"), "ok", "u");
    check_run(policy, ARGV("send", "127.0.0.1:$U", "sendmsg"), "EACCES", "");
    check_run(policy, ARGV("send", "127.0.0.1:$u", "connect"), "ok", "u");
    check_run(policy, ARGV("connect", "$/socket"), "ok", "p");
    check_run(policy, ARGV("connect", "$/dir/other"), "EACCES", "");
    check_run(policy, ARGV("listen", "127.0.0.1:$1"), "ok ok $1", "");
    check_run(policy, ARGV("listen", "127.0.0.1:$5"), "EACCES", "");
    check_run(policy, ARGV("pass"), "ok ok ok arrived", "");
    check_run(policy, ARGV("resolve", "x.invalid"), "unknown", "");
    check_echo(policy, "serve", "127.0.0.1:$2", SOCK_STREAM, peer_of(AF_INET, 0, 1));
}

static const char *const everything[] = {"tcp://127.0.0.1:$t", "udp://localhost:$u", "unix:$/socket", "bind $1-$3", NULL};

static void rules_hold_beside_each_other(void)
{
    sandlock_policy *policy = policy_with(everything);

    check_everything(policy);
    sandlock_policy_free(policy);
}

static void rules_hold_in_namespaces(void)
{
    sandlock_policy *policy;

    if (!expected("userns")) {
        test_absent = "the machine was not declared to offer userns";
        return;
    }
    policy = policy_with(everything);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_namespace(policy, SANDLOCK_NAMESPACE_PID, true, NULL));
    check_everything(policy);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 7, 7, NULL));
    check_everything(policy);
    sandlock_policy_free(policy);
    policy = policy_with(everything);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_user(policy, 0, 0, NULL));
    check_everything(policy);
    sandlock_policy_free(policy);
}

/* A view of the program's own: rules name sockets by where the program sees them. */
static void unix_sockets_are_where_the_program_sees_them(void)
{
    static const char *const system[] = {"/usr", "/bin", "/lib", "/lib64"};
    sandlock_policy *policy;
    size_t i;

    if (!expected("userns")) {
        test_absent = "the machine was not declared to offer userns";
        return;
    }
    policy = policy_with(RULES("unix:/here/other", "tcp://127.0.0.1:$t"));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_root(policy, "", NULL));
    for (i = 0; i < sizeof system / sizeof *system; i++)
        if (access(system[i], F_OK) == 0)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, system[i], system[i], 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, program_directory(), program_directory(), 0, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, net_tree, net_tree, SANDLOCK_MOUNT_WRITE, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_add_mount(policy, in_tree(net_tree, "dir"), "/here", 0, NULL));
    check_run(policy, ARGV("connect", "/here/other"), "ok", "q");
    check_run(policy, ARGV("connect", "$/dir/other"), "EACCES", "");
    check_run(policy, ARGV("connect", "$/socket"), "EACCES", "");
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    sandlock_policy_free(policy);
}

static void rules_come_from_text(void)
{
    static const char format[] = "[filesystem]\n"
                                 "read-execute = [\"%s\", \"/usr\", { path = \"/bin\", optional = true },\n"
                                 "    { path = \"/lib\", optional = true }, { path = \"/lib64\", optional = true }]\n"
                                 "[network]\n"
                                 "allow = [\"tcp://127.0.0.0/8:%d\", \"unix:%s/*\"]\n"
                                 "deny = [\"127.0.0.2\", \"unix:%s/dir/*\"]\n"
                                 "allow-bind = [\"%d-%d\", \"udp://%d\"]\n"
                                 "deny-bind = [\"%d\"]\n";
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;
    char text[PATH_MAX * 4];

    start_servers();
    snprintf(text, sizeof text, format, program_directory(), port_named('t'), net_tree, net_tree, port_named('1'),
             port_named('3'), port_named('1'), port_named('2'));
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_policy_from_toml(text, strlen(text), &policy, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    check_run(policy, ARGV("connect", "127.0.0.1:$t"), "ok", "t");
    check_run(policy, ARGV("connect", "127.0.0.2:$t"), "EACCES", "");
    check_run(policy, ARGV("connect", "127.0.0.1:$T"), "EACCES", "");
    check_run(policy, ARGV("connect", "$/socket"), "ok", "p");
    check_run(policy, ARGV("connect", "$/dir/other"), "EACCES", "");
    check_run(policy, ARGV("listen", "127.0.0.1:$1"), "ok ok $1", "");
    check_run(policy, ARGV("listen", "127.0.0.1:$2"), "EACCES", "");
    check_run(policy, ARGV("bind-udp", "127.0.0.1:$1"), "ok $1", "");
    sandlock_policy_free(policy);
}

TESTS(T(tcp_reaches_what_rules_allow), T(what_is_denied_is_denied_whatever_is_allowed), T(each_protocol_is_allowed_by_itself),
      T(datagrams_reach_what_rules_allow_however_they_are_sent), T(messages_sent_at_once_are_each_looked_at),
      T(rules_about_system_calls_do_not_lift_those_about_networks), T(unix_sockets_are_reached_by_where_they_are),
      T(unix_servers_are_made_where_files_are), T(ports_are_bound_as_rules_allow), T(port_0_is_one_that_is_allowed),
      T(port_0_of_a_range_that_is_taken_is_in_use), T(servers_inside_are_reached_from_the_host),
      T(server_of_datagrams_answers_nobody_that_no_rule_allows), T(hosts_are_reached_by_their_names),
      T(names_are_those_of_the_rules_and_no_others), T(without_names_the_hosts_file_is_a_file_like_others),
      T(name_that_does_not_resolve_fails_the_start), T(interfaces_are_loopback_alone), T(who_asks_for_interfaces_reaches_nobody),
      T(what_is_refused_is_told_with_the_rule_that_is_missing), T(report_says_who_enforces_the_rules),
      T(rules_that_take_the_library_fail_the_start_without_it), T(best_effort_closes_what_the_library_cannot_serve),
      T(ports_of_tcp_take_nobody_but_landlock), T(who_confines_oneself_has_nobody_to_serve_rules),
      T(handlers_get_what_the_library_does_not_answer), T(rules_hold_beside_each_other), T(rules_hold_in_namespaces),
      T(unix_sockets_are_where_the_program_sees_them), T(rules_come_from_text))
