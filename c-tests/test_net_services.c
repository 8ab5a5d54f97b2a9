/* Servers in a sandbox, on ports that rules allow, and their clients: outside, in the same sandbox and in another one. */
#include "net_support.h"

/* --- Python --- */

/* One that asks for any port is given one of those that are allowed, and accepts whoever comes from outside. */
static void asyncio_servers_work(void)
{
    static const char script[] = "import asyncio, sys\n"
                                 "async def answer(reader, writer):\n"
                                 "    writer.write((await reader.read()).upper())\n"
                                 "    writer.close()\n"
                                 "    if (count := count_down.pop()) == 0: done.set()\n"
                                 "count_down = list(range(int(sys.argv[2])))\n"
                                 "async def main():\n"
                                 "    global done\n"
                                 "    done = asyncio.Event()\n"
                                 "    server = await asyncio.start_server(answer, '127.0.0.1', int(sys.argv[1]))\n"
                                 "    print(server.sockets[0].getsockname()[1], flush=True)\n"
                                 "    await done.wait()\n"
                                 "asyncio.run(main())\n";
    static const struct {
        const char *ports, *asked;
    } cases[] = {{"20000-29999", "0"}, {"*", "0"}, {"$1", "$1"}, {"$1,9", "$1"}};
    size_t i;
    int j;

    for (i = 0; i < sizeof cases / sizeof *cases; i++) {
        sandlock_policy *policy = program_policy();
        struct running server;
        uint16_t port, one = free_port();

        allow_bind(policy, filled(cases[i].ports, one, 0));
        server = start(policy, PYTHON(script, filled(cases[i].asked, one, 0), "3"));
        port = port_line(server);
        if (cases[i].ports[0] == '$')
            CHECK(port == one);
        else
            CHECK(cases[i].ports[0] == '*' || (port >= 20000 && port < 30000));
        for (j = 0; port && j < 3 && !test_failures; j++)
            CHECK(!strcmp(exchange(connect_to("127.0.0.1", port), "hello"), "HELLO"));
        finish(server, 0);
        sandlock_policy_free(policy);
    }
}

static void ports_that_are_not_allowed_cannot_be_served(void)
{
    static const char script[] = "import asyncio, errno, sys\n"
                                 "async def main():\n"
                                 "    for port in sys.argv[1:]:\n"
                                 "        try:\n"
                                 "            await asyncio.start_server(None, '127.0.0.1', int(port))\n"
                                 "            print('served')\n"
                                 "        except OSError as e: print(errno.errorcode[e.errno])\n"
                                 "asyncio.run(main())\n";
    uint16_t allowed = free_port(), refused = free_port();
    sandlock_policy *policy = program_policy();

    allow_bind(policy, written("%u", allowed));
    /* One port by itself is no choice of free ones. */
    expect_exit(policy, PYTHON(script, written("%u", allowed), written("%u", refused), "0"), 0, "served\nEACCES\nEACCES\n");
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_deny_bind(policy, written("%u", allowed), NULL));
    expect_exit(policy, PYTHON(script, written("%u", allowed)), 0, "EACCES\n");
    sandlock_policy_free(policy);
}

/* A client and a server in one sandbox, which is what many test suites are. */
static void programs_talk_to_themselves(void)
{
    static const char script[] = "import asyncio\n"
                                 "class Echo(asyncio.DatagramProtocol):\n"
                                 "    def connection_made(self, transport): self.transport = transport\n"
                                 "    def datagram_received(self, data, address): self.transport.sendto(data.upper(), address)\n"
                                 "class Ask(asyncio.DatagramProtocol):\n"
                                 "    def connection_made(self, transport): transport.sendto(b'datagram')\n"
                                 "    def datagram_received(self, data, address): got.set_result(data)\n"
                                 "async def answer(reader, writer):\n"
                                 "    writer.write((await reader.readline()).upper())\n"
                                 "    writer.close()\n"
                                 "async def main():\n"
                                 "    global got\n"
                                 "    server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
                                 "    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
                                 "    writer.write(b'stream\\n')\n"
                                 "    print(await reader.read())\n"
                                 "    loop = asyncio.get_running_loop()\n"
                                 "    got = loop.create_future()\n"
                                 "    echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=('127.0.0.1', 0))\n"
                                 "    await loop.create_datagram_endpoint(Ask, remote_addr=echo.get_extra_info('sockname'))\n"
                                 "    print(await got)\n"
                                 "asyncio.run(main())\n";
    sandlock_policy *policy = policy_for("127.0.0.1");

    allow_bind(policy, "20000-29999");
    expect_exit(policy, PYTHON(script), 0, "b'STREAM\\n'\nb'DATAGRAM'\n");
    sandlock_policy_free(policy);
}

static void module_that_serves_files_works(void)
{
    uint16_t port = free_port();
    sandlock_policy *policy = program_policy();
    struct running server;
    char tree[PATH_MAX];
    sandlock_result *result = NULL;

    snprintf(tree, sizeof tree, "%s", make_tree());
    write_text(in_tree(tree, "page"), "served by python");
    allow(policy, tree, SANDLOCK_ACCESS_READ);
    allow(policy, "/etc/mime.types", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL);
    allow_bind(policy, written("%u", port));
    server = start(policy, ARGV("/usr/bin/python3", "-m", "http.server", "-b", "127.0.0.1", "-d", tree, written("%u", port)));
    CHECK_CONTAINS(exchange(connect_to("127.0.0.1", port), "GET /page HTTP/1.0\r\n\r\n"), "\r\n\r\nserved by python");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(server.process, NULL));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(server.process, 10000, &result, NULL));
    sandlock_result_free(result);
    sandlock_process_free(server.process);
    close(server.output);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

/* --- servers as they are distributed --- */

static void redis_serves_and_is_asked(void)
{
    char port[8], server_path[PATH_MAX], tree[PATH_MAX];
    sandlock_policy *policy, *client;
    struct running running;
    const char *line;
    double begin = seconds();

    if (!offered("redis", "/usr/bin/redis-cli"))
        return;
    /* It is one program with its tools, and knows by its name what to be. The package that has it under this name starts one. */
    snprintf(tree, sizeof tree, "%s", make_tree());
    snprintf(server_path, sizeof server_path, "%s", in_tree(tree, "redis-server"));
    CHECK(symlink("/usr/bin/redis-check-rdb", server_path) == 0);
    snprintf(port, sizeof port, "%u", free_port());
    policy = program_policy();
    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    allow_bind(policy, port);
    running = start(policy, ARGV(server_path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", tree));
    do
        line = read_line(running.output);
    while (*line && !strstr(line, "Ready to accept connections") && seconds() - begin < 20);
    CHECK_CONTAINS(line, "Ready to accept connections");
    CHECK(!strcmp(exchange(connect_to("127.0.0.1", (uint16_t)atoi(port)), "PING\r\n"), "+PONG\r\n"));
    client = policy_for(written("tcp://127.0.0.1:%s", port));
    expect_exit(client, ARGV("redis-cli", "-p", port, "set", "key", "value"), 0, "OK\n");
    expect_exit(client, ARGV("redis-cli", "-p", port, "get", "key"), 0, "value\n");
    expect_exit(client, ARGV("redis-benchmark", "-p", port, "-q", "-n", "3000", "-c", "20", "-t", "get"), 0, NULL);
    expect_exit(client, ARGV("redis-cli", "-p", written("%u", free_port()), "ping"), 1, "");
    expect_exit(client, ARGV("redis-cli", "-p", port, "shutdown", "nosave"), 0, NULL);
    finish(running, 0);
    sandlock_policy_free(client);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

static void nginx_serves_files(void)
{
    /* As root it would have its workers be another user, for which it lacks the privileges. */
    static const char configuration[] = "%s; daemon off; worker_processes 2; pid nginx.pid;\n"
                                        "events { worker_connections 64; }\n"
                                        "http { access_log off; client_body_temp_path b; proxy_temp_path p;\n"
                                        "fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n"
                                        "server { listen 127.0.0.1:%u; root %s; } }\n";
    char nginx[PATH_MAX], tree[PATH_MAX];
    uint16_t port = free_port();
    sandlock_policy *policy, *client;
    struct running running;
    int i;

    snprintf(nginx, sizeof nginx, "%s", program("nginx"));
    if (access(nginx, X_OK))
        snprintf(nginx, sizeof nginx, "/usr/sbin/nginx");
    if (!offered("nginx", nginx))
        return;
    snprintf(tree, sizeof tree, "%s", make_tree());
    write_text(in_tree(tree, "page"), "served by nginx");
    write_text(in_tree(tree, "configuration"),
               written(configuration, getuid() ? "master_process on" : "user root; master_process off", port, tree));
    policy = program_policy();
    allow(policy, tree, SANDLOCK_ACCESS_ALL);
    allow(policy, "/etc", SANDLOCK_ACCESS_READ);
    allow_bind(policy, written("%u", port));
    running = start(policy, ARGV(nginx, "-p", tree, "-e", "stderr", "-c", in_tree(tree, "configuration")));
    for (i = 0; i < 20 && !test_failures; i++)
        CHECK_CONTAINS(exchange(connect_to("127.0.0.1", port), "GET /page HTTP/1.0\r\n\r\n"), "\r\n\r\nserved by nginx");
    client = policy_for(written("tcp://localhost:%u", port));
    expect_exit(client, ARGV("curl", "-q", "-sS", written("http://localhost:%u/page", port)), 0, "served by nginx");
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_signal(running.process, SIGTERM, NULL));
    finish(running, 0);
    sandlock_policy_free(client);
    sandlock_policy_free(policy);
    remove_tree(tree);
}

TESTS(T(asyncio_servers_work), T(ports_that_are_not_allowed_cannot_be_served), T(programs_talk_to_themselves),
      T(module_that_serves_files_works), T(redis_serves_and_is_asked), T(nginx_serves_files))
