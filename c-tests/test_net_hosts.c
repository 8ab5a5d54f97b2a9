/* Network rules where there is more than loopback: several addresses of IPv4 and IPv6, names that have some of them, datagrams, echo
 * requests, a server of names, and a network that never answers. All of it lies in a network namespace of the test's own. */
#include "net_support.h"

static const char network[] = "ip link set lo up && ip link add near type veth peer name far &&"
                              "ip link set near arp off up && ip link set far arp off up &&"
                              "for address in 10.1.0.1/24 10.1.0.2/24 10.1.1.1/24 10.2.0.1/24; do"
                              "    ip addr add $address dev near || exit; done &&"
                              "for address in fd00:1::1/64 fd00:1::2/64 fd00:2::1/64; do"
                              "    ip addr add $address dev near nodad || exit; done";

static const char hosts[] = "127.0.0.1 localhost\n"
                            "10.1.0.1 one.test alias.test\n"
                            "10.1.0.1 both.test\nfd00:1::1 both.test\n"
                            "10.1.0.1 many.test\n10.1.0.2 many.test\n10.2.0.1 many.test\n"
                            "10.2.0.1 secret.test\n";

/* Each argument is PROTOCOL,ADDRESS,PORT; prints for each what has come of it. */
static const char probe[] =
    "import ctypes, errno, os, socket, struct, sys\n"
    "def family(host): return socket.AF_INET6 if ':' in host else socket.AF_INET\n"
    "def make(host, kind=socket.SOCK_DGRAM, protocol=0):\n"
    "    s = socket.socket(family(host), kind, protocol)\n"
    "    s.settimeout(5)\n"
    "    return s\n"
    "def got(s, text=b'text'):\n"
    "    assert s.recv(100) == text\n"
    "def tcp(host, port, timeout=None):\n"
    "    s = make(host, socket.SOCK_STREAM)\n"
    "    s.settimeout(timeout)\n"
    "    s.connect((host, port))\n"
    "    s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
    "    assert s.makefile('rb').read().endswith(b'hello\\n')\n"
    "def polled(host, port): tcp(host, port, 5)\n"
    "def sendto(host, port):\n"
    "    s = make(host)\n"
    "    s.sendto(b'text', (host, port))\n"
    "    got(s)\n"
    "def connect(host, port):\n"
    "    s = make(host)\n"
    "    s.connect((host, port))\n"
    "    s.send(b'text')\n"
    "    got(s)\n"
    "def sendmsg(host, port):\n"
    "    s = make(host)\n"
    "    s.sendmsg([b'te', b'xt'], [], 0, (host, port))\n"
    "    got(s)\n"
    "def mapped(host, port):\n"
    "    s = make('::')\n"
    "    s.sendto(b'text', ('::ffff:' + host, port))\n"
    "    got(s)\n"
    "def echo(host, port):\n"
    "    six = ':' in host\n"
    "    s = make(host, protocol=58 if six else 1)\n"
    "    s.sendto(struct.pack('!BBHHH', 128 if six else 8, 0, 0, 0, 1) + b'text', (host, port))\n"
    "    answer = s.recv(100)\n"
    "    assert answer[0] == (129 if six else 0) and answer[8:] == b'text'\n"
    "for probe in sys.argv[1:]:\n"
    "    how, host, port = probe.split(',')\n"
    "    try:\n"
    "        globals()[how](host, int(port))\n"
    "        print('done')\n"
    "    except OSError as e: print(errno.errorcode.get(e.errno, type(e).__name__))\n";

/* What is probed. */
struct probe {
    const char *text, *wanted;
};

/* Under these rules, and before that with everything allowed: then all of it is done, or rules have not been what decides. */
static void expect_probes(const char *const *allowed, const char *const *denied, const struct probe *probes, size_t count,
                          unsigned first, unsigned second)
{
    const char *argv[64] = {"/usr/bin/python3", "-c", probe};
    char texts[48][64], wanted[2048] = "", all[1024] = "";
    sandlock_policy *open = program_policy(), *policy = program_policy();
    size_t i;

    for (i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%s", filled(probes[i].text, first, second));
        argv[3 + i] = texts[i];
        strcat(strcat(wanted, probes[i].wanted), "\n");
        strcat(all, "done\n");
    }
    allow_net(open, "*");
    allow_net(open, "icmp://*");
    expect_exit(open, argv, 0, all);
    for (i = 0; allowed[i]; i++)
        allow_net(policy, filled(allowed[i], first, second));
    for (i = 0; denied[i]; i++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, filled(denied[i], first, second), NULL));
    expect_exit(policy, argv, 0, wanted);
    sandlock_policy_free(policy);
    sandlock_policy_free(open);
}

#define RULES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_RULES ((const char *const[]){NULL})
#define EXPECT_PROBES(allowed, denied, probes, first, second) \
    expect_probes(allowed, denied, probes, sizeof probes / sizeof *probes, first, second)

/* Servers at all addresses, at two ports. */
static const char *const addresses[] = {"10.1.0.1", "10.1.0.2", "10.1.1.1", "10.2.0.1", "127.0.0.1",
                                        "fd00:1::1", "fd00:1::2", "fd00:2::1", "::1"};
enum { ADDRESSES = sizeof addresses / sizeof *addresses, FIRST = 4001, SECOND = 4002 };

struct everywhere {
    struct server *servers[ADDRESSES][2];
};

static struct everywhere start_everywhere(enum kind kind)
{
    struct everywhere all;
    size_t i;

    for (i = 0; i < ADDRESSES; i++) {
        all.servers[i][0] = start_server(kind, addresses[i], FIRST);
        all.servers[i][1] = start_server(kind, addresses[i], SECOND);
    }
    return all;
}

static void stop_everywhere(struct everywhere all)
{
    size_t i;

    for (i = 0; i < ADDRESSES; i++) {
        stop_server(all.servers[i][0]);
        stop_server(all.servers[i][1]);
    }
}

/* --- streams --- */

static void connect_everywhere(void)
{
    static const struct probe one[] = {
        {"tcp,10.1.0.1,$1", "done"},       {"polled,10.1.0.1,$1", "done"},     {"tcp,10.1.0.1,$2", "EACCES"},
        {"polled,10.1.0.1,$2", "EACCES"},  {"tcp,10.1.0.2,$1", "EACCES"},      {"tcp,::ffff:10.1.0.1,$1", "done"},
        {"tcp,::ffff:10.1.0.2,$1", "EACCES"}, {"tcp,fd00:1::1,$1", "EACCES"},  {"tcp,127.0.0.1,$1", "EACCES"},
    };
    static const struct probe within[] = {
        {"tcp,10.1.0.1,$1", "done"},   {"tcp,10.1.0.1,$2", "EACCES"}, {"tcp,10.1.0.2,$1", "EACCES"},
        {"tcp,10.1.1.1,$1", "EACCES"}, {"tcp,10.2.0.1,$2", "done"},   {"tcp,127.0.0.1,$1", "EACCES"},
        {"tcp,fd00:1::1,$1", "done"},  {"tcp,fd00:1::2,$1", "EACCES"}, {"tcp,fd00:2::1,$2", "EACCES"},
        {"tcp,fd00:2::1,$1", "done"},  {"tcp,::1,$1", "EACCES"},      {"tcp,::ffff:10.1.0.2,$1", "EACCES"},
    };
    static const struct probe six[] = {{"tcp,fd00:1::2,$2", "done"}, {"tcp,10.1.0.1,$2", "EACCES"}, {"tcp,::1,$2", "done"}};
    static const struct probe ports[] = {{"tcp,10.1.0.1,$1", "done"}, {"tcp,fd00:2::1,$1", "done"}, {"tcp,::1,$2", "EACCES"}};
    struct everywhere all = start_everywhere(WEB);

    EXPECT_PROBES(RULES("tcp://10.1.0.1:$1"), NO_RULES, one, FIRST, SECOND);
    EXPECT_PROBES(RULES("tcp://10.0.0.0/8", "tcp://[fd00::/8]"),
                  RULES("10.1.0.2", "tcp://10.1.1.0/24", "10.1.0.1:$2", "fd00:1::2", "tcp://[fd00:2::/32]:$2"), within, FIRST, SECOND);
    EXPECT_PROBES(RULES("::/0"), NO_RULES, six, FIRST, SECOND);
    EXPECT_PROBES(RULES("tcp://*:$1"), NO_RULES, ports, FIRST, SECOND);
    stop_everywhere(all);
}

static void streams_go_where_rules_say(void)
{
    in_network(network, hosts, connect_everywhere);
}

/* --- datagrams --- */

static void send_everywhere(void)
{
    static const struct probe one[] = {
        {"sendto,10.1.0.1,$1", "done"},   {"connect,10.1.0.1,$1", "done"},   {"sendmsg,10.1.0.1,$1", "done"},
        {"mapped,10.1.0.1,$1", "done"},   {"sendto,10.1.0.1,$2", "EACCES"},  {"connect,10.1.0.1,$2", "EACCES"},
        {"sendmsg,10.1.0.1,$2", "EACCES"}, {"mapped,10.1.0.1,$2", "EACCES"}, {"sendto,10.1.0.2,$1", "EACCES"},
        {"connect,fd00:1::1,$1", "EACCES"},
    };
    static const struct probe within[] = {
        {"sendto,10.1.0.1,$2", "done"},     {"sendto,10.1.0.2,$2", "EACCES"},  {"sendmsg,10.1.0.2,$2", "EACCES"},
        {"connect,10.2.0.1,$2", "EACCES"},  {"sendto,fd00:1::1,$1", "done"},   {"sendmsg,fd00:1::1,$1", "done"},
        {"connect,fd00:1::2,$1", "EACCES"}, {"connect,fd00:1::2,$2", "done"},  {"sendmsg,127.0.0.1,$1", "EACCES"},
    };
    struct everywhere all = start_everywhere(ECHO);

    EXPECT_PROBES(RULES("udp://10.1.0.1:$1"), NO_RULES, one, FIRST, SECOND);
    EXPECT_PROBES(RULES("10.1.0.0/24:$2", "udp://[fd00:1::/64]"), RULES("udp://10.1.0.2", "[fd00:1::2]:$1"), within, FIRST,
                  SECOND);
    stop_everywhere(all);
}

static void datagrams_go_where_rules_say(void)
{
    in_network(network, hosts, send_everywhere);
}

/* sendmmsg(2) sends until something is wrong, and says how many it has sent. */
static void send_many(void)
{
    static const char script[] =
        "import ctypes, errno, socket, struct, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_char_p), ('length', ctypes.c_size_t)]\n"
        "class Header(ctypes.Structure):\n"
        "    _fields_ = [('name', ctypes.c_char_p), ('namelen', ctypes.c_uint), ('iov', ctypes.POINTER(Vector)),\n"
        "                ('iovlen', ctypes.c_size_t), ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t),\n"
        "                ('flags', ctypes.c_int), ('_', ctypes.c_int), ('sent', ctypes.c_uint)]\n"
        "def send(hosts):\n"
        "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "    s.settimeout(5)\n"
        "    many = (Header * len(hosts))()\n"
        "    for i, host in enumerate(hosts):\n"
        "        text = f'text {i}'.encode() * 100\n"
        "        address = struct.pack('=HH4s8x', socket.AF_INET, socket.htons(4001), socket.inet_aton(host))\n"
        "        many[i] = Header(address, 16, ctypes.pointer(Vector(text, len(text))), 1)\n"
        "    count = libc.sendmmsg(s.fileno(), many, len(hosts), 0)\n"
        "    if count < 0: return errno.errorcode[ctypes.get_errno()]\n"
        "    answers = {s.recvfrom(2000)[1][0] for i in range(count)}\n"
        "    return count, [h.sent for h in many], sorted(answers)\n"
        "for hosts in sys.argv[1:]: print(send(hosts.split(',')))\n";
    sandlock_policy *policy = policy_for("udp://10.1.0.0/16:4001");
    struct everywhere all = start_everywhere(ECHO);

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, "10.1.1.1", NULL));
    expect_exit(policy, PYTHON(script, "10.1.0.1,10.1.0.2,10.1.0.1", "10.1.0.1,10.1.0.2,10.2.0.1,10.1.0.1", "10.1.1.1,10.1.0.1",
                               "127.0.0.1"), 0,
                "(3, [600, 600, 600], ['10.1.0.1', '10.1.0.2'])\n"
                "(2, [600, 600, 0, 0], ['10.1.0.1', '10.1.0.2'])\nEACCES\nEACCES\n");
    sandlock_policy_free(policy);
    stop_everywhere(all);
}

static void many_datagrams_in_one_call_are_decided_one_by_one(void)
{
    in_network(network, hosts, send_many);
}

/* --- servers inside --- */

static void serve_streams(void)
{
    static const char script[] = "import asyncio\n"
                                 "async def answer(reader, writer):\n"
                                 "    writer.write((await reader.read()).upper())\n"
                                 "    writer.close()\n"
                                 "async def main():\n"
                                 "    server = await asyncio.start_server(answer, None, 4001)\n"
                                 "    print(len(server.sockets), flush=True)\n"
                                 "    await server.serve_forever()\n"
                                 "asyncio.run(main())\n";
    sandlock_policy *policy = program_policy();
    struct running running;
    size_t i;

    allow_bind(policy, "4001");
    running = start(policy, PYTHON(script));
    CHECK(!strcmp(read_line(running.output), "2")); /* for IPv4 and IPv6 */
    for (i = 0; i < ADDRESSES && !test_failures; i++)
        CHECK(!strcmp(exchange(connect_to(addresses[i], 4001), "hello"), "HELLO"));
    sandlock_process_free(running.process);
    close(running.output);
    sandlock_policy_free(policy);
}

static void servers_are_reached_at_every_address(void)
{
    in_network(network, hosts, serve_streams);
}

/* Sends a datagram from an address, and gives the socket. */
static int ask(const char *from, const char *to, uint16_t port)
{
    int fd = bound_socket(SOCK_DGRAM, from, 0);
    struct endpoint target = endpoint(to, port);

    CHECK(sendto(fd, "ask", 3, 0, &target.address.any, target.length) == 3);
    return fd;
}

static int is_answered(int fd, int milliseconds)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char text[8];
    int answered = poll(&wait, 1, milliseconds) > 0 && recv(fd, text, sizeof text, 0) == 3;

    close(fd);
    return answered;
}

/* Whom it answers is what it sends to. */
static void serve_datagrams(void)
{
    static const char script[] = "import errno, socket\n"
                                 "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                                 "try: s.bind(('', 4002))\n"
                                 "except OSError as e: print(errno.errorcode[e.errno])\n"
                                 "s.bind(('', 4001))\n"
                                 "print(s.getsockname()[1], flush=True)\n"
                                 "while True:\n"
                                 "    data, address = s.recvfrom(100)\n"
                                 "    try: s.sendto(data, address)\n"
                                 "    except OSError as e:\n"
                                 "        print(errno.errorcode[e.errno], address[0], flush=True)\n";
    sandlock_policy *policy = policy_for("udp://10.1.0.0/24");
    struct running running;
    int fd;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, "10.1.0.2", NULL));
    allow_bind(policy, "udp://4001");
    running = start(policy, PYTHON(script));
    CHECK(!strcmp(read_line(running.output), "EACCES"));
    CHECK(!strcmp(read_line(running.output), "4001"));
    CHECK(is_answered(ask("10.1.0.1", "10.1.0.1", 4001), 10000));
    fd = ask("10.1.0.2", "10.1.0.1", 4001);
    CHECK(!strcmp(read_line(running.output), "EACCES 10.1.0.2"));
    CHECK(!is_answered(fd, 0));
    CHECK(is_answered(ask("10.1.0.1", "127.0.0.1", 4001), 10000));
    sandlock_process_free(running.process);
    close(running.output);
    sandlock_policy_free(policy);
}

static void servers_of_datagrams_answer_whom_rules_allow(void)
{
    in_network(network, hosts, serve_datagrams);
}

/* --- echo requests --- */

static void ping_everywhere(void)
{
    static const struct probe some[] = {
        {"echo,10.1.0.1,0", "done"},   {"echo,10.1.0.2,0", "EACCES"}, {"echo,10.2.0.1,0", "EACCES"}, {"echo,127.0.0.1,0", "EACCES"},
        {"echo,fd00:1::1,0", "done"},  {"echo,fd00:2::1,0", "EACCES"},
    };
    /* Without a rule of its own there are no such sockets. */
    static const struct probe none[] = {{"echo,10.1.0.1,0", "EPERM"}, {"echo,fd00:1::1,0", "EPERM"}};

    EXPECT_PROBES(RULES("icmp://10.1.0.0/24", "icmp://fd00:1::1"), RULES("icmp://10.1.0.2"), some, 0, 0);
    EXPECT_PROBES(RULES("*"), NO_RULES, none, 0, 0);
}

static void echo_requests_go_where_rules_say(void)
{
    in_network(network, hosts, ping_everywhere);
}

/* --- names --- */

static void use_names(void)
{
    static const struct {
        const char *allow, *deny, *url;
        int code;
    } cases[] = {
        {"tcp://one.test:4001", NULL, "http://one.test:4001", 0},
        {"tcp://one.test:4001", NULL, "http://ONE.test:4001", 0},
        {"tcp://ONE.test.:4001", NULL, "http://one.test:4001", 0},
        {"tcp://one.test:4001", NULL, "http://one.test:4002", 7},
        {"tcp://one.test:4001", NULL, "http://secret.test:4001", 6},
        {"tcp://one.test:4001", NULL, "http://alias.test:4001", 6},
        {"tcp://one.test:4001", NULL, "http://10.1.0.1:4001", 0},
        {"tcp://one.test:4001", NULL, "http://10.2.0.1:4001", 7},
        {"both.test", NULL, "http://both.test:4001", 0},
        {"both.test", NULL, "http://[fd00:1::1]:4001", 0},
        {"both.test", "fd00::/8", "http://both.test:4001", 0},
        {"both.test", "10.0.0.0/8", "http://both.test:4001", 0},
        {"both.test", "10.0.0.0/8", "http://10.1.0.1:4001", 7},
        {"many.test", "10.2.0.0/16", "http://many.test:4001", 0},
        {"many.test", "10.2.0.0/16", "http://10.2.0.1:4001", 7},
        {"many.test", NULL, "http://10.2.0.1:4001", 0},
        {"secret.test", "10.2.0.0/16", "http://secret.test:4001", 7},
    };
    struct everywhere all = start_everywhere(WEB);
    sandlock_policy *policy;
    sandlock_result *result;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        int before = test_failures;
        policy = policy_for(cases[i].allow);
        if (cases[i].deny)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, cases[i].deny, NULL));
        expect_exit(policy, ARGV("curl", "-q", "-sS", "-m", "10", cases[i].url), cases[i].code, cases[i].code ? "" : "hello\n");
        if (test_failures != before)
            printf("# allowed %s, denied %s\n", cases[i].allow, cases[i].deny ? cases[i].deny : "nothing");
        sandlock_policy_free(policy);
    }
    policy = policy_for("tcp://many.test:4001");
    result = run_program(policy, ARGV("getent", "ahosts", "many.test"));
    CHECK_CONTAINS(output(result), "10.1.0.1 ");
    CHECK_CONTAINS(output(result), "10.1.0.2 ");
    CHECK_CONTAINS(output(result), "10.2.0.1 ");
    sandlock_result_free(result);
    expect_exit(policy, ARGV("getent", "hosts", "secret.test"), 2, "");
    if (expected("go"))
        expect_exit(policy, ARGV(program("net_go"), "get", "many.test:4001"), 0, "hello\n");
    if (expected("musl"))
        expect_exit(policy, ARGV(program("net_musl"), "get", "many.test", "4001"), 0, "hello\n");
    sandlock_policy_free(policy);
    policy = policy_for("both.test");
    result = run_program(policy, ARGV("getent", "ahosts", "both.test"));
    CHECK_CONTAINS(output(result), "10.1.0.1 ");
    CHECK_CONTAINS(output(result), "fd00:1::1 ");
    sandlock_result_free(result);
    if (expected("go")) {
        expect_exit(policy, ARGV(program("net_go"), "lookup", "both.test"), 0, "10.1.0.1 fd00:1::1\n10.1.0.1 fd00:1::1\n");
        expect_exit(policy, ARGV(program("net_go"), "get", "[fd00:1::1]:4002"), 0, "hello\n");
    }
    if (expected("musl"))
        expect_exit(policy, ARGV(program("net_musl"), "get", "both.test", "4001"), 0, "hello\n");
    sandlock_policy_free(policy);
    stop_everywhere(all);
}

static void names_stand_for_their_addresses(void)
{
    in_network(network, hosts, use_names);
}

/* A rule that names nobody allows nothing. */
static void name_nobody(void)
{
    struct server *names = start_server(NAMES, "127.0.0.1", 53), *web = start_server(WEB, "10.1.0.1", 4001);
    sandlock_policy *policy = policy_for("tcp://nobody.test:4001");
    sandlock_process *process = NULL;
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_NOT_FOUND, sandlock_spawn(policy, NULL, ARGV("true"), NULL, &process, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "nobody.test");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_NETWORK, SANDLOCK_BEST_EFFORT, NULL));
    expect_exit(policy, ARGV("curl", "-q", "-sS", "http://10.1.0.1:4001"), 7, "");
    expect_exit(policy, ARGV("curl", "-q", "-sS", "http://nobody.test:4001"), 6, "");
    allow_net(policy, "tcp://one.test:4001");
    expect_exit(policy, ARGV("curl", "-q", "-sS", "http://one.test:4001"), 0, "hello\n");
    sandlock_policy_free(policy);
    CHECK(stop_server(names) > 0);
    CHECK(stop_server(web) == 1);
}

static void names_of_nobody_allow_nothing(void)
{
    in_network(network, hosts, name_nobody);
}

/* --- a server of names, which a program may ask if rules say so --- */

static void ask_for_names(void)
{
    struct server *names = start_server(NAMES, "127.0.0.1", 53), *web = start_server(WEB, "10.1.0.1", 4001);
    sandlock_policy *policy = policy_for("tcp://10.1.0.1:4001");
    char found[] = "10.1.0.1        STREAM asked.test\n10.1.0.1        DGRAM  \n10.1.0.1        RAW    \n";

    expect_exit(policy, ARGV("getent", "ahosts", "asked.test"), 2, "");
    allow_net(policy, "udp://127.0.0.1:53");
    expect_exit(policy, ARGV("getent", "ahosts", "asked.test"), 0, found);
    expect_exit(policy, ARGV("curl", "-q", "-sS", "-m", "10", "http://asked.test:4001"), 0, "hello\n");
    expect_exit(policy, PYTHON("import socket; print(socket.gethostbyname('asked.test'))"), 0, "10.1.0.1\n");
    if (expected("go"))
        expect_exit(policy, ARGV(program("net_go"), "lookup", "asked.test"), 0, "10.1.0.1\n10.1.0.1\n");
    if (expected("musl"))
        expect_exit(policy, ARGV(program("net_musl"), "lookup", "asked.test"), 0, "10.1.0.1\n");
    /* Beside those of rules. */
    allow_net(policy, "one.test");
    expect_exit(policy, ARGV("getent", "hosts", "one.test"), 0, "10.1.0.1        one.test\n");
    expect_exit(policy, ARGV("curl", "-q", "-sS", "-m", "10", "http://asked.test:4001"), 0, "hello\n");
    sandlock_policy_free(policy);
    stop_server(names);
    CHECK(stop_server(web) == 2);
}

static void server_of_names_is_asked(void)
{
    in_network(network, hosts, ask_for_names);
}

/* --- a network that does not answer --- */

/* Packets to 10.1.0.0/24 that are for no address of this host go to the other end, which drops them. */
static void connect_to_nobody(void)
{
    static const char script[] = "import errno, socket, struct, sys\n"
                                 "s = socket.socket()\n"
                                 "s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 300000))\n"
                                 "try: s.connect(('10.1.0.99', 4001))\n"
                                 "except OSError as e: print(errno.errorcode[e.errno])\n"
                                 "s = socket.socket()\n"
                                 "print('waiting', flush=True)\n"
                                 "s.connect(('10.1.0.99', 4001))\n";
    sandlock_policy *policy = policy_for("tcp://10.1.0.0/24");
    struct running running = start(policy, PYTHON(script));
    sandlock_result *result = NULL;
    double begin;

    CHECK(!strcmp(read_line(running.output), "EINPROGRESS"));
    CHECK(!strcmp(read_line(running.output), "waiting"));
    begin = seconds();
    CHECK_STATUS(SANDLOCK_ERROR_TIMEOUT, sandlock_process_wait(running.process, 200, &result, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(running.process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(running.process, 10000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_KILLED && seconds() - begin < 2);
    sandlock_result_free(result);
    sandlock_process_free(running.process);
    close(running.output);
    expect_exit(policy, ARGV("curl", "-q", "-s", "--connect-timeout", "0.3", "http://10.1.0.99:4001"), 28, "");
    /* What no rule allows does not get that far. */
    begin = seconds();
    expect_exit(policy, ARGV("curl", "-q", "-s", "-m", "5", "http://10.2.0.99:4001"), 7, "");
    CHECK(seconds() - begin < 2);
    sandlock_policy_free(policy);
}

static void connections_to_a_silent_network_can_be_given_up(void)
{
    in_network(network, hosts, connect_to_nobody);
}

TESTS(T(streams_go_where_rules_say), T(datagrams_go_where_rules_say), T(many_datagrams_in_one_call_are_decided_one_by_one),
      T(servers_are_reached_at_every_address), T(servers_of_datagrams_answer_whom_rules_allow),
      T(echo_requests_go_where_rules_say), T(names_stand_for_their_addresses), T(names_of_nobody_allow_nothing), T(server_of_names_is_asked),
      T(connections_to_a_silent_network_can_be_given_up))
