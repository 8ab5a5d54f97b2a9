/* Real programs under network rules: clients in several languages, against servers of the test's own, on loopback. Servers in sandboxes
 * are in test_net_services.c, and what takes more addresses than loopback has in test_net_hosts.c. */
#include "net_support.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* --- curl --- */

static void curl_reaches_what_rules_allow(void)
{
    enum { OK = 0, REFUSED = 7 };
    static const struct {
        const char *allow, *deny, *url;
        int code;
    } cases[] = {
        {"tcp://127.0.0.1:$1", NULL, "http://127.0.0.1:$1", OK},
        {"tcp://127.0.0.1:$1", NULL, "http://127.0.0.1:$2", REFUSED},
        {"tcp://127.0.0.1:$2", NULL, "http://127.0.0.1:$1", REFUSED},
        {"tcp://127.0.0.1:$2", NULL, "http://127.0.0.1:$2", OK},
        {"tcp://localhost:$1", NULL, "http://localhost:$1", OK},
        {"tcp://LocalHost.:$1", NULL, "http://localhost:$1", OK},
        {"tcp://localhost:$1", NULL, "http://127.0.0.1:$1", OK},
        {"tcp://localhost:$1", NULL, "http://localhost:$2", REFUSED},
        {"localhost", NULL, "http://localhost:$2", OK},
        {"tcp://127.0.0.0/8:$1", NULL, "http://127.0.0.1:$1", OK},
        {"tcp://127.0.0.0/8:$1", NULL, "http://127.0.0.1:$2", REFUSED},
        {"tcp://127.0.0.2:$1", NULL, "http://127.0.0.1:$1", REFUSED},
        {"tcp://*:$1", NULL, "http://127.0.0.1:$1", OK},
        {"tcp://*:$1", NULL, "http://127.0.0.1:$2", REFUSED},
        {"*", NULL, "http://127.0.0.1:$2", OK},
        {"udp://*", NULL, "http://127.0.0.1:$1", REFUSED},
        {"tcp://*", "tcp://*:$2", "http://127.0.0.1:$1", OK},
        {"tcp://*", "tcp://*:$2", "http://127.0.0.1:$2", REFUSED},
        {"*", "127.0.0.0/8", "http://127.0.0.1:$1", REFUSED},
        {"localhost", "tcp://127.0.0.1:$2", "http://localhost:$1", OK},
        {"localhost", "tcp://127.0.0.1:$2", "http://localhost:$2", REFUSED},
        {"tcp://[::ffff:127.0.0.1]:$1", NULL, "http://127.0.0.1:$1", OK},
        {"tcp://127.0.0.1:$1", NULL, "http://[::ffff:127.0.0.1]:$1", OK},
        {"tcp://127.0.0.1:$1", NULL, "http://[::ffff:127.0.0.1]:$2", REFUSED},
        {"tcp://127.0.0.1:$1", NULL, "http://0.0.0.0:$1", OK},
        {"tcp://127.0.0.1:$1", NULL, "http://0.0.0.0:$2", REFUSED},
    };
    struct server *first = start_server(WEB, "127.0.0.1", 0), *second = start_server(WEB, "127.0.0.1", 0);
    unsigned served = 0;
    size_t i;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = policy_for(filled(cases[i].allow, first->port, second->port));
        int before = test_failures;

        if (cases[i].deny)
            CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_net(policy, filled(cases[i].deny, first->port, second->port), NULL));
        expect_exit(policy, ARGV("curl", "-q", "-sS", "-m", "10", filled(cases[i].url, first->port, second->port)), cases[i].code,
                    cases[i].code == OK ? "hello\n" : "");
        if (test_failures != before)
            printf("# allowed %s, denied %s\n", cases[i].allow, cases[i].deny ? cases[i].deny : "nothing");
        served += cases[i].code == OK;
        sandlock_policy_free(policy);
    }
    CHECK(stop_server(first) + stop_server(second) == served);
}

static void curl_without_rules_reaches_nobody(void)
{
    struct server *server = start_server(WEB, "127.0.0.1", 0);
    sandlock_policy *policy = program_policy();

    expect_exit(policy, ARGV("curl", "-q", "-sS", written("http://127.0.0.1:%u", server->port)), 7, "");
    sandlock_policy_free(policy);
    CHECK(stop_server(server) == 0);
}

static void curl_reaches_unix_sockets_that_are_allowed(void)
{
    char tree[PATH_MAX];
    const char *url = "http://service/";
    struct server *first, *second;
    sandlock_policy *policy;

    snprintf(tree, sizeof tree, "%s", make_tree());
    first = start_server(WEB, in_tree(tree, "first"), 0);
    second = start_server(WEB, in_tree(tree, "second"), 0);
    policy = policy_for(written("unix:%s", in_tree(tree, "first")));
    allow(policy, tree, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    expect_exit(policy, ARGV("curl", "-q", "-sS", "--unix-socket", in_tree(tree, "first"), url), 0, "hello\n");
    expect_exit(policy, ARGV("curl", "-q", "-sS", "--unix-socket", in_tree(tree, "second"), url), 7, "");
    allow_net(policy, written("unix:%s/*", tree));
    expect_exit(policy, ARGV("curl", "-q", "-sS", "--unix-socket", in_tree(tree, "second"), url), 0, "hello\n");
    sandlock_policy_free(policy);
    CHECK(stop_server(first) == 1);
    CHECK(stop_server(second) == 1);
    remove_tree(tree);
}

/* --- Python --- */

static const char python_refusal[] = "import errno, sys\n"
                                     "allowed, refused = sys.argv[1:]\n"
                                     "def refusal(call):\n"
                                     "    try: call(); return 'none'\n"
                                     "    except OSError as e: return e\n";

static void expect_python(const char *script, const char *rule, const char *host, const char *wanted)
{
    struct server *first = start_server(WEB, "127.0.0.1", 0), *second = start_server(WEB, "127.0.0.1", 0);
    sandlock_policy *policy = policy_for(written("%s:%u", rule, first->port));

    expect_exit(policy, PYTHON(written("%s%s", python_refusal, script), written("http://%s:%u", host, first->port),
                               written("http://%s:%u", host, second->port)), 0, wanted);
    sandlock_policy_free(policy);
    CHECK(stop_server(first) >= 1);
    CHECK(stop_server(second) == 0);
}

static void urllib_works(void)
{
    static const char script[] = "import urllib.request\n"
                                 "print(urllib.request.urlopen(allowed).read())\n"
                                 "e = refusal(lambda: urllib.request.urlopen(refused))\n"
                                 "print(errno.errorcode[e.reason.errno])\n";

    expect_python(script, "tcp://127.0.0.1", "127.0.0.1", "b'hello\\n'\nEACCES\n");
    expect_python(script, "tcp://*", "127.0.0.1", "b'hello\\n'\nEACCES\n");
}

static void requests_works(void)
{
    static const char script[] = "import requests\n"
                                 "with requests.Session() as session:\n"
                                 "    for i in range(3): print(session.get(allowed).text, end='')\n"
                                 "print(type(refusal(lambda: requests.get(refused))).__name__)\n";

    if (offered("requests", "/usr/bin/python3"))
        expect_python(script, "tcp://localhost", "localhost", "hello\nhello\nhello\nConnectionError\n");
}

static void asyncio_works(void)
{
    static const char script[] = "import asyncio\n"
                                 "async def get(url):\n"
                                 "    host, port = url.split('/')[2].split(':')\n"
                                 "    reader, writer = await asyncio.open_connection(host, port)\n"
                                 "    writer.write(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
                                 "    answer = await reader.read()\n"
                                 "    writer.close()\n"
                                 "    return answer.split(b'\\r\\n')[-1]\n"
                                 "async def main():\n"
                                 "    answers = await asyncio.gather(*[get(allowed) for i in range(20)])\n"
                                 "    print(len(answers), set(answers))\n"
                                 "    try: await get(refused)\n"
                                 "    except OSError as e: print(type(e).__name__)\n"
                                 "asyncio.run(main())\n";

    expect_python(script, "tcp://127.0.0.1", "127.0.0.1", "20 {b'hello\\n'}\nPermissionError\n");
    expect_python(script, "tcp://localhost", "localhost", "20 {b'hello\\n'}\nPermissionError\n");
}

/* --- connections that wait --- */

/* A server that nobody gets through to: its queue is full, and it accepts nobody. */
static int start_deaf_server(uint16_t *port, int *first)
{
    int fd = bound_socket(SOCK_STREAM, "127.0.0.1", 0);

    CHECK(listen(fd, 0) == 0);
    *port = port_of(fd);
    *first = connect_to("127.0.0.1", *port);
    return fd;
}

static void connections_that_wait_can_be_given_up(void)
{
    static const char script[] = "import asyncio, errno, os, signal, socket, struct, sys, time\n"
                                 "to = ('127.0.0.1', int(sys.argv[1]))\n"
                                 "def late(how):\n"
                                 "    begin = time.monotonic()\n"
                                 "    try: how(); print('connected')\n"
                                 "    except OSError as e:\n"
                                 "        print(errno.errorcode.get(e.errno, type(e).__name__), 0.2 < time.monotonic() - begin < 3)\n"
                                 "def by_option():\n"
                                 "    s = socket.socket()\n"
                                 "    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 250000))\n"
                                 "    s.connect(to)\n"
                                 "def by_signal():\n"
                                 "    def handler(*_): raise InterruptedError(errno.EINTR, 'interrupted')\n"
                                 "    signal.signal(signal.SIGALRM, handler)\n"
                                 "    signal.setitimer(signal.ITIMER_REAL, 0.25)\n"
                                 "    socket.socket().connect(to)\n"
                                 "def by_poll(): socket.create_connection(to, 0.25)\n"
                                 "def by_loop(): asyncio.run(asyncio.wait_for(asyncio.open_connection(*to), 0.25))\n"
                                 "for how in by_option, by_signal, by_poll: late(how)\n"
                                 "try: by_loop()\n"
                                 "except asyncio.TimeoutError: print('given up')\n"
                                 "pid = os.fork()\n"
                                 "if pid == 0: socket.socket().connect(to); os._exit(0)\n"
                                 "time.sleep(0.1)\n"
                                 "os.kill(pid, signal.SIGKILL)\n"
                                 "print(os.waitpid(pid, 0)[1])\n";
    static const char wait[] = "import socket, sys\n"
                               "socket.socket().connect(('127.0.0.1', int(sys.argv[1])))\n";
    sandlock_result *result = NULL;
    sandlock_policy *policy;
    uint16_t port;
    int first, fd = start_deaf_server(&port, &first);
    double begin;

    policy = policy_for(written("tcp://127.0.0.1:%u", port));
    expect_exit(policy, PYTHON(script, written("%u", port)), 0,
                "EINPROGRESS True\nEINTR True\nTimeoutError True\ngiven up\n9\n");
    expect_exit(policy, ARGV("curl", "-q", "-s", "--connect-timeout", "0.3", written("http://127.0.0.1:%u", port)), 28, "");
    begin = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_run(policy, NULL, PYTHON(wait, written("%u", port)), 500, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_TIMEOUT && seconds() - begin < 3);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    close(first);
    close(fd);
}

static void connections_that_wait_hold_up_nobody(void)
{
    static const char script[] = "import os, socket, struct, sys, threading, urllib.request\n"
                                 "deaf, web = map(int, sys.argv[1:])\n"
                                 "all = threading.Barrier(101)\n"
                                 "def wait():\n"
                                 "    s = socket.socket()\n"
                                 "    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 20, 0))\n"
                                 "    all.wait()\n"
                                 "    s.connect(('127.0.0.1', deaf))\n"
                                 "threads = [threading.Thread(target=wait) for i in range(100)]\n"
                                 "for t in threads: t.start()\n"
                                 "all.wait()\n"
                                 "for i in range(20): urllib.request.urlopen(f'http://127.0.0.1:{web}').read()\n"
                                 "print([t.is_alive() for t in threads].count(True), flush=True)\n"
                                 "os._exit(0)\n";
    struct server *server = start_server(WEB, "127.0.0.1", 0);
    sandlock_policy *policy = policy_for("tcp://127.0.0.1");
    uint16_t port;
    int first, fd = start_deaf_server(&port, &first);
    double begin = seconds();

    expect_exit(policy, PYTHON(script, written("%u", port), written("%u", server->port)), 0, "100\n");
    CHECK(seconds() - begin < 10);
    sandlock_policy_free(policy);
    CHECK(stop_server(server) == 20);
    close(first);
    close(fd);
}

/* --- other runtimes --- */

static void node_works(void)
{
    static const char client[] =
        "const http = require('http'), net = require('net'), dns = require('dns');\n"
        "const [allowed, refused] = process.argv.slice(1).map(Number);\n"
        "http.get({host: 'localhost', port: allowed}, answer => {\n"
        "    answer.on('data', data => process.stdout.write(data));\n"
        "    answer.on('end', () => net.connect(refused, '127.0.0.1').on('error', error => {\n"
        "        console.log(error.code);\n"
        "        dns.lookup('localhost', {family: 4}, (error, address) => {\n"
        "            console.log(address);\n"
        "            fetch(`http://127.0.0.1:${allowed}`).then(answer => answer.text()).then(console.log);\n"
        "        });\n"
        "    }));\n"
        "});\n";
    static const char server[] = "require('http').createServer((question, answer) => {\n"
                                 "    answer.end('served by node');\n"
                                 "    process.exitCode = 3;\n"
                                 "    setImmediate(() => listener.close());\n"
                                 "}).listen(Number(process.argv[1]), '127.0.0.1', function () {\n"
                                 "    global.listener = this;\n"
                                 "    console.log(this.address().port);\n"
                                 "});\n";
    struct server *first, *second;
    struct running running;
    sandlock_policy *policy;

    if (!offered("node", "/usr/bin/node"))
        return;
    first = start_server(WEB, "127.0.0.1", 0);
    second = start_server(WEB, "127.0.0.1", 0);
    policy = policy_for(written("tcp://localhost:%u", first->port));
    allow(policy, "/etc/ssl", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL);
    expect_exit(policy, ARGV("/usr/bin/node", "-e", client, written("%u", first->port), written("%u", second->port)), 0,
                "hello\nEACCES\n127.0.0.1\nhello\n\n");
    CHECK(stop_server(first) == 2);
    CHECK(stop_server(second) == 0);
    allow_bind(policy, "20000-29999");
    running = start(policy, ARGV("/usr/bin/node", "-e", server, "0"));
    CHECK_CONTAINS(exchange(connect_to("127.0.0.1", port_line(running)), "GET / HTTP/1.0\r\n\r\n"), "served by node");
    finish(running, 3);
    sandlock_policy_free(policy);
}

/* Its own resolver reads files and asks by itself; the other is libc's. */
static void go_works(void)
{
    struct server *first, *second;
    struct running running;
    sandlock_policy *policy;
    sandlock_result *result;
    char tool[PATH_MAX];

    snprintf(tool, sizeof tool, "%s", program("net_go"));
    if (!offered("go", tool))
        return;
    first = start_server(WEB, "127.0.0.1", 0);
    second = start_server(WEB, "127.0.0.1", 0);
    policy = policy_for(written("tcp://localhost:%u", first->port));
    expect_exit(policy, ARGV(tool, "get", written("127.0.0.1:%u", first->port)), 0, "hello\n");
    expect_exit(policy, ARGV(tool, "get", written("localhost:%u", first->port)), 0, "hello\n");
    expect_exit(policy, ARGV(tool, "get", written("127.0.0.1:%u", second->port)), 1, "permission denied\n");
    expect_exit(policy, ARGV(tool, "get", written("localhost:%u", second->port)), 1, "permission denied\n");
    CHECK(stop_server(first) == 2);
    CHECK(stop_server(second) == 0);
    result = run_program(policy, ARGV(tool, "lookup", "localhost"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "127.0.0.1");
    CHECK(strchr(output(result), '\n') && strstr(strchr(output(result), '\n'), "127.0.0.1"));
    sandlock_result_free(result);
    expect_exit(policy, ARGV(tool, "lookup", "no.such.host.invalid"), 2, NULL);
    result = run_program(policy, ARGV(tool, "interfaces"));
    CHECK(!strncmp(output(result), "lo [127.0.0.1/8", 15) && strchr(output(result), '\n')[1] == 0);
    sandlock_result_free(result);
    allow_bind(policy, "20000-29999");
    running = start(policy, ARGV(tool, "serve", "127.0.0.1:0"));
    CHECK(!strcmp(exchange(connect_to("127.0.0.1", port_line(running)), "hello\n"), "HELLO\n"));
    finish(running, 0);
    running = start(policy, ARGV(tool, "serve", written(":%u", free_port())));
    CHECK(!strcmp(exchange(connect_to("127.0.0.1", port_line(running)), "hello\n"), "HELLO\n"));
    finish(running, 0);
    sandlock_policy_free(policy);
}

/* Its sockets are of IPv6, whoever they talk to. */
static void java_works(void)
{
    static const char source[] =
        "import java.io.*;\nimport java.net.*;\n"
        "public class Net {\n"
        "    static void get(String host, int port) throws IOException {\n"
        "        try (Socket socket = new Socket(InetAddress.getByName(host), port)) {\n"
        "            socket.getOutputStream().write(\"GET / HTTP/1.0\\r\\n\\r\\n\".getBytes());\n"
        "            String all = new String(socket.getInputStream().readAllBytes());\n"
        "            System.out.print(all.substring(all.length() - 6));\n"
        "        } catch (SocketException error) { System.out.println(error.getMessage()); }\n"
        "    }\n"
        "    public static void main(String[] arguments) throws IOException {\n"
        "        get(\"127.0.0.1\", Integer.parseInt(arguments[0]));\n"
        "        get(\"localhost\", Integer.parseInt(arguments[0]));\n"
        "        get(\"127.0.0.1\", Integer.parseInt(arguments[1]));\n"
        "        try (ServerSocket server = new ServerSocket(0)) {\n"
        "            System.out.println(server.getLocalPort());\n"
        "            try (Socket socket = server.accept()) {\n"
        "                byte[] text = socket.getInputStream().readAllBytes();\n"
        "                socket.getOutputStream().write(new String(text).toUpperCase().getBytes());\n"
        "            }\n"
        "        }\n"
        "    }\n"
        "}\n";
    struct server *first, *second;
    struct running running;
    sandlock_policy *policy;
    char tree[PATH_MAX];

    if (!offered("java", "/usr/bin/java"))
        return;
    snprintf(tree, sizeof tree, "%s", make_tree());
    write_text(in_tree(tree, "Net.java"), source);
    first = start_server(WEB, "127.0.0.1", 0);
    second = start_server(WEB, "127.0.0.1", 0);
    policy = policy_for(written("tcp://localhost:%u", first->port));
    allow_bind(policy, "20000-29999");
    allow(policy, tree, SANDLOCK_ACCESS_READ);
    allow(policy, "/etc", SANDLOCK_ACCESS_READ);
    allow(policy, "/proc", SANDLOCK_ACCESS_READ);
    running = start(policy, ARGV("/usr/bin/java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", in_tree(tree, "Net.java"),
                                 written("%u", first->port), written("%u", second->port)));
    CHECK(!strcmp(read_line(running.output), "hello"));
    CHECK(!strcmp(read_line(running.output), "hello"));
    CHECK_CONTAINS(read_line(running.output), "Permission denied");
    CHECK(!strcmp(exchange(connect_to("127.0.0.1", port_line(running)), "hello\n"), "HELLO\n"));
    finish(running, 0);
    CHECK(stop_server(first) == 2);
    CHECK(stop_server(second) == 0);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void static_programs_of_musl_work(void)
{
    struct server *first, *second;
    sandlock_policy *policy;
    sandlock_result *result;
    char tool[PATH_MAX];

    snprintf(tool, sizeof tool, "%s", program("net_musl"));
    if (!offered("musl", tool))
        return;
    first = start_server(WEB, "127.0.0.1", 0);
    second = start_server(WEB, "127.0.0.1", 0);
    policy = policy_for(written("tcp://localhost:%u", first->port));
    expect_exit(policy, ARGV(tool, "get", "127.0.0.1", written("%u", first->port)), 0, "hello\n");
    expect_exit(policy, ARGV(tool, "get", "127.0.0.1", written("%u", second->port)), 1, "127.0.0.1: Permission denied\n");
    result = run_program(policy, ARGV(tool, "get", "localhost", written("%u", first->port)));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "hello\n"); /* maybe after ::1 was tried */
    sandlock_result_free(result);
    CHECK(stop_server(second) == 0);
    CHECK(stop_server(first) == 2);
    result = run_program(policy, ARGV(tool, "lookup", "localhost"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "127.0.0.1\n");
    sandlock_result_free(result);
    expect_exit(policy, ARGV(tool, "lookup", "no.such.host.invalid"), 1, NULL);
    result = run_program(policy, ARGV(tool, "interfaces"));
    CHECK(!strncmp(output(result), "1 lo\nlo 127.0.0.1\n", 18) && !strstr(output(result), "\n2 "));
    sandlock_result_free(result);
    sandlock_policy_free(policy);
}

/* --- what programs see of names and interfaces --- */

static void names_of_the_rules_and_no_others_are_known(void)
{
    static const char python[] = "import socket\n"
                                 "print(sorted({a[4][0] for a in socket.getaddrinfo('localhost', 80, socket.AF_INET)}))\n"
                                 "print(socket.gethostbyname('localhost'))\n"
                                 "try: print(socket.gethostbyname('no.such.host.invalid'))\n"
                                 "except socket.gaierror: print('unknown')\n";
    sandlock_policy *policy = policy_for("tcp://localhost:80");
    sandlock_result *result;
    char host[HOST_NAME_MAX + 1] = "";

    result = run_program(policy, ARGV("getent", "hosts", "localhost"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "localhost");
    sandlock_result_free(result);
    result = run_program(policy, ARGV("getent", "ahosts", "localhost"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "127.0.0.1 ");
    CHECK_CONTAINS(output(result), "STREAM");
    sandlock_result_free(result);
    result = run_program(policy, ARGV("cat", "/etc/hosts"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "127.0.0.1");
    CHECK_CONTAINS(output(result), "localhost");
    /* The host's own has its name, on Debian. */
    gethostname(host, sizeof host - 1);
    if (!strstr("localhost", host) && !CHECK(!strstr(output(result), host)))
        printf("# %s\n", output(result));
    sandlock_result_free(result);
    expect_exit(policy, PYTHON(python), 0, "['127.0.0.1']\n127.0.0.1\nunknown\n");
    expect_exit(policy, ARGV("getent", "hosts", "no.such.host.invalid"), 2, "");
    sandlock_policy_free(policy);
}

/* A loopback interface, and nothing of the host's. */
static void interfaces_are_loopback_and_nothing_else(void)
{
    static const char python[] = "import socket\nprint([name for _, name in socket.if_nameindex()])\n";
    sandlock_policy *policy = policy_for("tcp://127.0.0.1");
    sandlock_result *result;

    expect_exit(policy, PYTHON(python), 0, "['lo']\n");
    result = run_program(policy, ARGV("ip", "-o", "link"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "1: lo: <LOOPBACK,UP");
    CHECK(!strstr(output(result), "\n2: "));
    sandlock_result_free(result);
    result = run_program(policy, ARGV("ip", "-o", "addr"));
    CHECK(sandlock_result_exit_code(result) == 0);
    CHECK_CONTAINS(output(result), "inet 127.0.0.1/8");
    CHECK(!strstr(output(result), "\n2: "));
    sandlock_result_free(result);
    result = run_program(policy, ARGV("ip", "addr"));
    if (!CHECK(sandlock_result_exit_code(result) == 0))
        printf("# %s\n", errors(result));
    CHECK_CONTAINS(output(result), "1: lo: <LOOPBACK,UP");
    sandlock_result_free(result);
    expect_exit(policy, ARGV("ip", "route"), 0, "");
    expect_exit(policy, ARGV("ip", "-6", "neigh"), 0, "");
    expect_exit(policy, ARGV("ip", "link", "set", "lo", "down"), 2, "");
    expect_exit(policy, ARGV("ip", "addr", "add", "10.77.0.1/24", "dev", "lo"), 2, "");
    sandlock_policy_free(policy);
}

/* --- a host that cannot look at its programs' sockets --- */

static void refuse_pidfd_getfd(void)
{
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_getfd, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {sizeof code / sizeof *code, code};

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    CHECK(syscall(SYS_pidfd_getfd, -1, -1, 0) == -1 && errno == EPERM);
}

/* Then the library makes the programs' sockets itself: see test_net_made.c. */
static void without_pidfd_getfd(void)
{
    static const char python[] = "import urllib.request, sys\nprint(urllib.request.urlopen(sys.argv[1]).read())\n";
    static const char *const rules[] = {"tcp://127.0.0.1:$1", "localhost:$1", "tcp://*:$1"};
    struct server *server = start_server(WEB, "127.0.0.1", 0);
    const char *url = written("http://127.0.0.1:%u", server->port);
    sandlock_policy *policy;
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        policy = policy_for(filled(rules[i], server->port, 0));
        expect_exit(policy, ARGV("curl", "-q", "-s", url), 0, "hello\n");
        expect_exit(policy, PYTHON(python, url), 0, "b'hello\\n'\n");
        expect_exit(policy, ARGV("curl", "-q", "-s", "http://127.0.0.1:9"), 7, "");
        sandlock_policy_free(policy);
    }
    CHECK(stop_server(server) == 2 * (int)i);
}

static void programs_reach_what_rules_allow_where_pidfd_getfd_is_refused(void)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        test_failures = 0;
        refuse_pidfd_getfd();
        without_pidfd_getfd();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

TESTS(T(curl_reaches_what_rules_allow), T(curl_without_rules_reaches_nobody), T(curl_reaches_unix_sockets_that_are_allowed),
      T(urllib_works), T(requests_works), T(asyncio_works), T(connections_that_wait_can_be_given_up),
      T(connections_that_wait_hold_up_nobody), T(node_works), T(go_works), T(java_works),
      T(static_programs_of_musl_work), T(names_of_the_rules_and_no_others_are_known),
      T(interfaces_are_loopback_and_nothing_else), T(programs_reach_what_rules_allow_where_pidfd_getfd_is_refused))
