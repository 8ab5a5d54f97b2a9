/* Ports that are numbers of the sandbox's own: what c-tests/ports_child.c finds of them, and what the host does. */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

/* Rules to connect and to bind by, NULL for none; any number of either between blanks. */
static sandlock_policy *policy_with(const char *connect, const char *bind)
{
    sandlock_policy *policy = system_policy();
    char rules[256], *rule;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_PORT_REMAP, true, NULL));
    snprintf(rules, sizeof rules, "%s", connect);
    for (rule = strtok(rules, " "); rule; rule = strtok(NULL, " "))
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, rule, NULL));
    snprintf(rules, sizeof rules, "%s", bind);
    for (rule = strtok(rules, " "); rule; rule = strtok(NULL, " "))
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_bind(policy, rule, NULL));
    return policy;
}

struct sandbox {
    sandlock_process *process;
    int in, out;
    char text[1024]; /* what it has printed */
};

/* Reads what it prints until that ends so. */
static void await(struct sandbox *sandbox, const char *last)
{
    size_t length = 0;

    while (length < sizeof sandbox->text - 1 && read(sandbox->out, sandbox->text + length, 1) == 1) {
        sandbox->text[++length] = 0;
        if (length >= strlen(last) && !strcmp(sandbox->text + length - strlen(last), last))
            return;
    }
    CHECK(!"it waits");
    printf("# it has printed \"%s\"\n", sandbox->text);
}

/* Starts the program, and reads what it prints until it is ready. */
static void start(struct sandbox *sandbox, const sandlock_policy *policy, const char *const *argv)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_error *error = NULL;

    signal(SIGPIPE, SIG_IGN);
    memset(sandbox, 0, sizeof *sandbox);
    sandbox->in = sandbox->out = -1;
    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_PIPE;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, argv, &options, &sandbox->process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    sandbox->in = sandlock_process_take_stdio(sandbox->process, 0);
    sandbox->out = sandlock_process_take_stdio(sandbox->process, 1);
    await(sandbox, "ready\n");
    if (strstr(sandbox->text, "ready\n"))
        *strstr(sandbox->text, "ready\n") = 0;
}

/* Lets it go on to its end, and reads what it prints. */
static void finish(struct sandbox *sandbox)
{
    sandlock_result *result = NULL;
    size_t length = 0;
    ssize_t count;

    if (write(sandbox->in, "\n", 1) != 1)
        CHECK(errno == EPIPE); /* it may be on its way already */
    while ((count = read(sandbox->out, sandbox->text + length, sizeof sandbox->text - 1 - length)) > 0)
        length += (size_t)count;
    sandbox->text[length] = 0;
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(sandbox->process, 20000, &result, NULL));
    CHECK(sandlock_result_reason(result) == SANDLOCK_REASON_EXITED && sandlock_result_exit_code(result) == 0);
    sandlock_result_free(result);
    close(sandbox->in);
    sandbox->in = -1;
}

static void end(struct sandbox *sandbox)
{
    if (sandbox->in >= 0)
        close(sandbox->in);
    close(sandbox->out);
    sandlock_process_free(sandbox->process);
}

/* The port of the host that a port of the sandbox stands for, 0 if there is none; `count` is how many it has in all. */
static int outside(const struct sandbox *sandbox, uint32_t protocol, int inside, size_t count)
{
    sandlock_ports *ports = NULL;
    sandlock_port port = SANDLOCK_PORT_INIT;
    size_t i;
    int found = 0;

    CHECK_STATUS(SANDLOCK_OK, sandlock_process_ports(sandbox->process, &ports, NULL));
    if (!CHECK(sandlock_ports_count(ports) == count))
        printf("# it has %zu ports\n", sandlock_ports_count(ports));
    for (i = 0; i < sandlock_ports_count(ports); i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_ports_get(ports, i, &port, NULL));
        if (port.protocol == protocol && port.inside == inside)
            found = port.outside;
    }
    CHECK_STATUS(SANDLOCK_ERROR_NOT_FOUND, sandlock_ports_get(ports, i, &port, NULL));
    sandlock_ports_free(ports);
    return found;
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* A socket of the host that is connected to a port there. */
static int connect_to(int type, int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void say(int fd, const char *text, const char *answer)
{
    char heard[64] = "";

    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    if (CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000) == 1))
        CHECK(recv(fd, heard, sizeof heard - 1, 0) >= 0);
    if (!CHECK(!strcmp(heard, answer)))
        printf("# heard \"%s\", not \"%s\"\n", heard, answer);
}

static void ask(int port, const char *text)
{
    int fd = connect_to(SOCK_STREAM, port);

    say(fd, text, text);
    close(fd);
}

/* What there is while no sandbox of this policy, which is prepared then, runs. */
static struct footprint footprint_with(sandlock_policy *policy)
{
    expect_output(policy, ARGV("true"), "");
    return footprint();
}

/* Runs the program to its end. */
static void check_prints(const char *connect, const char *bind, const char *const *argv, const char *expected_output)
{
    sandlock_policy *policy = policy_with(connect, bind);

    expect_output(policy, argv, expected_output);
    sandlock_policy_free(policy);
}

#define CHILD(...) ARGV(program("ports_child"), __VA_ARGS__)

/* --- several sandboxes --- */

static void several_sandboxes_serve_the_same_port(void)
{
    sandlock_policy *policy = policy_with("tcp://127.0.0.1:8080", "8080");
    struct footprint before = footprint_with(policy);
    struct sandbox sandboxes[3];
    int ports[3], i;

    for (i = 0; i < 3; i++) {
        char own_name[64];
        const char *line;

        start(&sandboxes[i], policy,
              CHILD("bind,l,tcp,127.0.0.1,8080", "listen,l", "name,l", "connect,c,tcp,127.0.0.1,8080", "accept,s,l", "peer,c",
                    "name,s", "say,c,myself", "hear,s", "name,c", "close,s", "close,c", "ready", "echo,l"));
        CHECK_CONTAINS(sandboxes[i].text, "ok\nok\n127.0.0.1 8080\nok\n00 127.0.0.1 ");
        CHECK_CONTAINS(sandboxes[i].text, "\n127.0.0.1 8080\n127.0.0.1 8080\nok\nmyself\n127.0.0.1 ");
        /* Whom the connection is from: a port that the client has not chosen is the host's. */
        line = strstr(sandboxes[i].text, "00 127.0.0.1 ");
        snprintf(own_name, sizeof own_name, "myself\n%.*s\n", line ? (int)strcspn(line + 3, "\n") : 0, line ? line + 3 : "");
        CHECK_CONTAINS(sandboxes[i].text, own_name);
        ports[i] = outside(&sandboxes[i], SANDLOCK_PROTOCOL_TCP, 8080, 1);
        CHECK(ports[i] > 1024 && ports[i] != 8080);
    }
    CHECK(ports[0] != ports[1] && ports[1] != ports[2] && ports[2] != ports[0]);
    for (i = 0; i < 3; i++) {
        CHECK(write(sandboxes[i].in, "\n", 1) == 1);
        ask(ports[i], "anybody");
        ask(ports[i], "stop");
    }
    for (i = 0; i < 3; i++) {
        finish(&sandboxes[i]);
        CHECK(!strcmp(sandboxes[i].text, "stopped\n"));
        /* It has ended. */
        outside(&sandboxes[i], SANDLOCK_PROTOCOL_TCP, 8080, 0);
        end(&sandboxes[i]);
    }
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

static void datagrams_find_their_way(void)
{
    sandlock_policy *policy = policy_with("udp://127.0.0.1", "udp://53 udp://5000");
    struct sandbox sandbox;
    int port, fd;

    start(&sandbox, policy,
          CHILD("bind,s,udp,0.0.0.0,53", "name,s", "bind,c,udp,127.0.0.1,5000", "name,c",
                /* By sendto, and back to the number that recvfrom tells. */
                "send,c,127.0.0.1,53,hello", "answer,s", "hear,c",
                /* Connected. */
                "connect,d,udp,127.0.0.1,53", "peer,d", "say,d,again", "answer,s", "hear,d", "ready", "answer,s"));
    CHECK(!strcmp(sandbox.text, "ok\n0.0.0.0 53\nok\n127.0.0.1 5000\nok\nok\nhello\nok\n127.0.0.1 53\nok\nok\nagain\n"));
    port = outside(&sandbox, SANDLOCK_PROTOCOL_UDP, 53, 2);
    CHECK(port > 1024);
    fd = connect_to(SOCK_DGRAM, port);
    CHECK(write(sandbox.in, "\n", 1) == 1);
    say(fd, "host", "host");
    close(fd);
    finish(&sandbox);
    CHECK(!strcmp(sandbox.text, "ok\n"));
    end(&sandbox);
    sandlock_policy_free(policy);
}

/* --- numbers --- */

static void rules_are_about_the_programs_own_numbers(void)
{
    check_prints("tcp://127.0.0.1:8080", "8080",
                 CHILD("bind,a,tcp,127.0.0.1,8081", "bind,l,tcp,127.0.0.1,8080", "listen,l",
                       "connect,b,tcp,127.0.0.1,8081", "connect,c,tcp,127.0.0.1,8080"),
                 "EACCES\nok\nok\nEACCES\nok\n");
    check_prints("", "udp://53", CHILD("bind,a,udp,127.0.0.1,54", "bind,b,udp,127.0.0.1,53"), "EACCES\nok\n");
    /* Connecting takes a rule, whoever listens there. */
    check_prints("tcp://127.0.0.2:8080", "8080",
                 CHILD("bind,l,tcp,0.0.0.0,8080", "listen,l", "connect,b,tcp,127.0.0.1,8080", "connect,c,tcp,127.0.0.2,8080",
                       "peer,c"),
                 "ok\nok\nEACCES\nok\n127.0.0.2 8080\n");
    /* No port of the sandbox is a privileged one. */
    check_prints("", "80,443", CHILD("bind,a,tcp,0.0.0.0,80", "bind,b,tcp,127.0.0.1,443", "listen,a", "name,a", "name,b"),
                 "ok\nok\nok\n0.0.0.0 80\n127.0.0.1 443\n");
}

static void a_port_is_in_use_where_the_sandbox_has_it(void)
{
    check_prints("", "8080",
                 CHILD("bind,a,tcp,127.0.0.1,8080", "bind,b,tcp,127.0.0.1,8080", "bind,b,tcp,0.0.0.0,8080",
                       "bind,b,tcp,127.0.0.2,8080", "bind,c,tcp,127.0.0.1,8080,p"),
                 "ok\nEADDRINUSE\nEADDRINUSE\nok\nEADDRINUSE\n");
    check_prints("", "8080", CHILD("bind,a,tcp,0.0.0.0,8080,p", "bind,b,tcp,0.0.0.0,8080,p", "listen,a", "listen,b", "name,b"),
                 "ok\nok\nok\nok\n0.0.0.0 8080\n");
    check_prints("", "8080",
                 CHILD("bind,a,tcp,0.0.0.0,8080,r", "listen,a", "bind,b,tcp,0.0.0.0,8080,r", "close,a",
                       "bind,b,tcp,0.0.0.0,8080,r", "listen,b", "name,b"),
                 "ok\nok\nEADDRINUSE\nok\nok\nok\n0.0.0.0 8080\n");
    check_prints("", "udp://8080",
                 CHILD("bind,a,udp,0.0.0.0,8080", "bind,b,udp,0.0.0.0,8080", "close,a", "bind,b,udp,0.0.0.0,8080",
                       "bind,b,udp,192.0.2.1,8080"),
                 "ok\nEADDRINUSE\nok\nok\nEADDRNOTAVAIL\n");
}

/* Who restarts is found at the same port of the host, connections of the former one notwithstanding. */
static void a_server_restarts(void)
{
    sandlock_policy *policy = policy_with("tcp://127.0.0.1:8080", "8080");
    struct sandbox sandbox;
    int port;

    start(&sandbox, policy,
          CHILD("bind,l,tcp,127.0.0.1,8080,r", "listen,l", "ready", "echo,l", "close,l", "bind,l,tcp,127.0.0.1,8080,r", "listen,l",
                "echo,l", "name,l"));
    port = outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 8080, 1);
    CHECK(write(sandbox.in, "\n", 1) == 1);
    ask(port, "stop");
    /* It has closed the connection, and listens again in a moment. */
    await(&sandbox, "stopped\nok\nok\nok\n");
    CHECK(outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 8080, 1) == port);
    ask(port, "stop");
    finish(&sandbox);
    CHECK_CONTAINS(sandbox.text, "127.0.0.1 8080\n");
    end(&sandbox);
    sandlock_policy_free(policy);
}

static int number_after(const char *text, const char *before)
{
    const char *place = strstr(text, before);

    return place ? atoi(place + strlen(before)) : 0;
}

static void any_port_is_given_a_number(void)
{
    sandlock_policy *policy = policy_with("", "*");
    struct sandbox sandbox;
    int port;

    start(&sandbox, policy,
          CHILD("bind,a,tcp,127.0.0.1,0", "name,a", "listen,a", "listen,b", "name,b", "ready", "echo,a"));
    port = number_after(sandbox.text, "127.0.0.1 ");
    CHECK(port > 1024 && outside(&sandbox, SANDLOCK_PROTOCOL_TCP, port, 2) == port);
    CHECK(outside(&sandbox, SANDLOCK_PROTOCOL_TCP, number_after(sandbox.text, "0.0.0.0 "), 2));
    CHECK(write(sandbox.in, "\n", 1) == 1);
    ask(port, "stop");
    finish(&sandbox);
    end(&sandbox);
    sandlock_policy_free(policy);
    /* A few are allowed: one of those, whatever the host's is. */
    policy = policy_with("", "81-82");
    start(&sandbox, policy,
          CHILD("bind,a,tcp,127.0.0.1,0", "bind,b,tcp,127.0.0.1,0", "bind,c,tcp,127.0.0.1,0", "name,a", "name,b", "listen,b",
                "ready"));
    CHECK(!strcmp(sandbox.text, "ok\nok\nEADDRINUSE\n127.0.0.1 81\n127.0.0.1 82\nok\n") ||
          !strcmp(sandbox.text, "ok\nok\nEADDRINUSE\n127.0.0.1 82\n127.0.0.1 81\nok\n"));
    CHECK(outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 81, 2) > 1024 && outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 82, 2) > 1024);
    finish(&sandbox);
    end(&sandbox);
    sandlock_policy_free(policy);
}

/* What the sandbox has hides the host's of that number, and no longer than it has it. */
static void what_is_closed_stands_for_nothing(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port, connection;
    char connect[64], bind_rule[16], steps[3][64], heard[64] = "";
    sandlock_policy *policy;
    struct sandbox sandbox;

    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 4) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    port = ntohs(address.sin_port);
    snprintf(connect, sizeof connect, "tcp://127.0.0.1:%d", port);
    snprintf(bind_rule, sizeof bind_rule, "%d", port);
    snprintf(steps[0], sizeof steps[0], "bind,l,tcp,127.0.0.1,%d", port);
    snprintf(steps[1], sizeof steps[1], "connect,c,tcp,127.0.0.1,%d", port);
    snprintf(steps[2], sizeof steps[2], "connect,h,tcp,127.0.0.1,%d", port);
    policy = policy_with(connect, bind_rule);
    start(&sandbox, policy,
          CHILD(steps[0], "listen,l", steps[1], "accept,s,l", "say,c,own", "hear,s", "close,l", steps[2], "say,h,host", "name,s",
                "ready"));
    CHECK_CONTAINS(sandbox.text, "\nok\nown\nok\nok\nok\n127.0.0.1 ");
    /* The connection is still told by the number that it was taken by. */
    snprintf(heard, sizeof heard, "127.0.0.1 %d\n", port);
    CHECK_CONTAINS(sandbox.text, heard);
    CHECK((connection = accept(listener, NULL, NULL)) >= 0);
    memset(heard, 0, sizeof heard);
    CHECK(recv(connection, heard, sizeof heard, 0) == 4 && !strcmp(heard, "host"));
    close(connection);
    close(listener);
    finish(&sandbox);
    end(&sandbox);
    sandlock_policy_free(policy);
}

static void both_families_have_a_number(void)
{
    sandlock_policy *policy = policy_with("tcp://127.0.0.1:8080 tcp://[::1]:8080", "8080");
    struct sandbox sandbox;

    start(&sandbox, policy,
          CHILD("bind,l,tcp6,::,8080", "listen,l", "name,l", "connect,a,tcp6,::1,8080", "peer,a", "connect,b,tcp,127.0.0.1,8080",
                "peer,b", "accept,x,l,x", "accept,y,l,n", "name,x", "name,y", "ready"));
    CHECK_CONTAINS(sandbox.text, "ok\nok\n:: 8080\nok\n::1 8080\nok\n127.0.0.1 8080\n01 ::1 ");
    CHECK_CONTAINS(sandbox.text, "\n10 ::ffff:127.0.0.1 ");
    CHECK_CONTAINS(sandbox.text, "\n::1 8080\n::ffff:127.0.0.1 8080\n");
    finish(&sandbox);
    end(&sandbox);
    sandlock_policy_free(policy);
    check_prints("tcp://[::1]:8080", "8080",
                 CHILD("bind,a,tcp,0.0.0.0,8080", "bind,b,tcp6,::,8080", "bind,c,tcp6,::,8080,6", "listen,a", "listen,c", "name,c",
                       "connect,d,tcp6,::1,8080", "peer,d"),
                 "ok\nEADDRINUSE\nok\nok\nok\n:: 8080\nok\n::1 8080\n");
}

static void addresses_are_cut_as_by_the_kernel(void)
{
    /* 2 is AF_INET; the port is in the bytes 2 and 3. 9 is port 2304, of which one byte is cut off. */
    check_prints("", "2313",
                 CHILD("bind,a,tcp,127.0.0.1,2313", "room,a,16", "room,a,128", "room,a,4", "room,a,3", "room,a,0", "room,a,-1"),
                 "ok\n16 2 2313\n16 2 2313\n16 2 2313\n16 2 2304\n16 0 0\nEINVAL\n");
}

/* --- accepting --- */

static void peers_are_told_by_the_programs_numbers(void)
{
    check_prints("tcp://127.0.0.1:8080", "8080 5000",
                 CHILD("bind,l,tcp,127.0.0.1,8080", "listen,l", "bind,c,tcp,127.0.0.1,5000", "connect,c,tcp,127.0.0.1,8080",
                       "name,c", "peer,c", "accept,s,l,nx", "peer,s", "name,s"),
                 "ok\nok\nok\nok\n127.0.0.1 5000\n127.0.0.1 8080\n11 127.0.0.1 5000\n127.0.0.1 5000\n127.0.0.1 8080\n");
}

static void accepting_waits_as_in_the_kernel(void)
{
    check_prints("", "8080",
                 CHILD("bind,l,tcp,127.0.0.1,8080", "accept,s,l", "listen,l", "alarm,l", "late,l", "nonblock,l", "accept,s,l",
                       "accept,s,l,nx", "close,l", "accept,s,l"),
                 "ok\nEINVAL\nok\nEINTR\nEAGAIN\nok\nEAGAIN\nEAGAIN\nok\nENOTSOCK\n");
}

static void who_waits_for_a_connection_can_be_killed(void)
{
    sandlock_policy *policy = policy_with("", "8080");
    struct footprint before = footprint_with(policy);
    struct sandbox sandbox;
    int i;

    for (i = 0; i < 5; i++) {
        start(&sandbox, policy, CHILD("bind,l,tcp,127.0.0.1,8080", "listen,l", "ready", "echo,l"));
        CHECK(write(sandbox.in, "\n", 1) == 1);
        ask(outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 8080, 1), "once");
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(sandbox.process, NULL));
        end(&sandbox);
        CHECK_UNCHANGED(before);
    }
    sandlock_policy_free(policy);
}

/* A program can hold itself up that way, but not the threads of the library: they are free when it is killed. */
static void nobody_is_held_up_by_who_changes_a_socket_meanwhile(void)
{
    enum { ENOUGH = 300, PATIENCE_MS = 1000 };
    sandlock_policy *policy = policy_with("tcp://127.0.0.1:8080", "8080");
    struct footprint before = footprint_with(policy);
    struct sandbox sandbox;
    char dot;
    int dots, i;

    for (i = 0; i < 3; i++) {
        start(&sandbox, policy, CHILD("bind,l,tcp,127.0.0.1,8080", "listen,l", "ready", "torment,l,8080"));
        CHECK(write(sandbox.in, "\n", 1) == 1);
        for (dots = 0; dots < ENOUGH && poll(&(struct pollfd){.fd = sandbox.out, .events = POLLIN}, 1, PATIENCE_MS) == 1; dots++)
            CHECK(read(sandbox.out, &dot, 1) == 1 && dot == '.');
        CHECK(outside(&sandbox, SANDLOCK_PROTOCOL_TCP, 8080, 1) > 1024);
        CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(sandbox.process, NULL));
        end(&sandbox);
        CHECK_UNCHANGED(before);
    }
    sandlock_policy_free(policy);
}

/* --- programs --- */

static void asyncio_serves_and_connects(void)
{
    static const char *const script =
        "import asyncio, socket\n"
        "async def serve(reader, writer):\n"
        "    writer.write(await reader.readline())\n"
        "    await writer.drain()\n"
        "    writer.close()\n"
        "async def main():\n"
        "    server = await asyncio.start_server(serve, '127.0.0.1', 8080)\n"
        "    print(server.sockets[0].getsockname())\n"
        "    async with server:\n"
        "        for _ in range(20):\n"
        "            reader, writer = await asyncio.open_connection('127.0.0.1', 8080)\n"
        "            writer.write(b'line\\n')\n"
        "            assert await reader.readline() == b'line\\n'\n"
        "        print(writer.get_extra_info('peername'))\n"
        "        try:\n"
        "            await asyncio.start_server(serve, '127.0.0.1', 8080)\n"
        "        except OSError as error:\n"
        "            print(error.errno)\n"
        "asyncio.run(main())\n"
        "with socket.create_server(('127.0.0.1', 8080)) as server:\n"
        "    with socket.create_connection(('127.0.0.1', 8080)) as client:\n"
        "        connection, address = server.accept()\n"
        "        print(address == client.getsockname(), connection.getsockname())\n";
    sandlock_policy *policy = policy_with("tcp://127.0.0.1:8080", "8080");
    char expected_text[128];

    snprintf(expected_text, sizeof expected_text, "('127.0.0.1', 8080)\n('127.0.0.1', 8080)\n%d\nTrue ('127.0.0.1', 8080)\n",
             EADDRINUSE);
    allow(policy, "/usr/bin/python3", SANDLOCK_ACCESS_READ_EXECUTE);
    expect_output(policy, ARGV("/usr/bin/python3", "-I", "-S", "-c", script), expected_text);
    sandlock_policy_free(policy);
}

/* --- the host --- */

static void the_list_is_for_who_asks_for_numbers_of_their_own(void)
{
    sandlock_policy *plain = system_policy(), *closed = policy_with("tcp://127.0.0.1", "");
    sandlock_policy *disabled = policy_with("", "8080"), *nothing = policy_with("", "");
    const sandlock_policy *policies[2];
    sandlock_process *process = NULL;
    sandlock_ports *ports = NULL;
    sandlock_error *error = NULL;
    size_t i;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_bind(plain, "8080", NULL));
    policies[0] = plain;
    policies[1] = closed;
    for (i = 0; i < 2; i++) {
        CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policies[i], NULL, ARGV("true"), NULL, &process, NULL));
        CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_ports(process, &ports, &error));
        CHECK_CONTAINS(sandlock_error_message(error), "PORT_REMAP");
        sandlock_error_free(error);
        CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_ports(process, NULL, NULL));
        sandlock_process_free(process);
    }
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_ports(NULL, &ports, NULL));
    CHECK(ports == NULL && sandlock_ports_count(NULL) == 0);
    sandlock_ports_free(NULL);
    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_strictness(disabled, SANDLOCK_FEATURE_NETWORK, SANDLOCK_DISABLE, NULL));
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_policy_check(disabled, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "PORT_REMAP takes the feature network");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_confine_self(nothing, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "PORT_REMAP is for starting a program");
    sandlock_error_free(error);
    sandlock_policy_free(plain);
    sandlock_policy_free(closed);
    sandlock_policy_free(disabled);
    sandlock_policy_free(nothing);
}

TESTS(T(several_sandboxes_serve_the_same_port), T(datagrams_find_their_way), T(rules_are_about_the_programs_own_numbers),
      T(a_port_is_in_use_where_the_sandbox_has_it), T(a_server_restarts), T(any_port_is_given_a_number),
      T(what_is_closed_stands_for_nothing), T(both_families_have_a_number), T(addresses_are_cut_as_by_the_kernel),
      T(peers_are_told_by_the_programs_numbers), T(accepting_waits_as_in_the_kernel),
      T(who_waits_for_a_connection_can_be_killed),
      T(nobody_is_held_up_by_who_changes_a_socket_meanwhile), T(asyncio_serves_and_connects),
      T(the_list_is_for_who_asks_for_numbers_of_their_own))
