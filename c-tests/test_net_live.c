/* Network rules that change while the program runs. */
#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Connects to each port of 127.0.0.1 that it reads, and says how that went. */
static const char *const CONNECTOR =
    "while read port; do if (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; then echo yes; else echo no; fi; done";

struct server {
    int fd, port;
};

static struct server serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct server server = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(server.fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(server.fd, 64) == 0);
    CHECK(getsockname(server.fd, (struct sockaddr *)&address, &length) == 0);
    server.port = ntohs(address.sin_port);
    return server;
}

static const char *rule(const char *format, int port)
{
    static char rules[8][64];
    static unsigned next;
    char *text = rules[next++ % 8];

    snprintf(text, sizeof rules[0], format, port);
    return text;
}

struct connector {
    sandlock_process *process;
    int in, out;
};

static struct connector start(sandlock_policy *policy)
{
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    struct connector connector = {.in = -1, .out = -1};
    sandlock_error *error = NULL;

    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_PIPE;
    if (!CHECK_STATUS(SANDLOCK_OK, sandlock_spawn(policy, NULL, ARGV("/bin/bash", "-c", CONNECTOR), &options,
                                                  &connector.process, &error)))
        printf("# %s\n", sandlock_error_message(error));
    sandlock_error_free(error);
    connector.in = sandlock_process_take_stdio(connector.process, 0);
    connector.out = sandlock_process_take_stdio(connector.process, 1);
    return connector;
}

/* What the program says of a port: 1, it is connected; 0, it is not. */
static int reaches(struct connector *connector, int port)
{
    char text[16];
    size_t length = 0;

    dprintf(connector->in, "%d\n", port);
    while (length < sizeof text && read(connector->out, text + length, 1) == 1 && text[length] != '\n')
        length++;
    CHECK(length == 3 || length == 2);
    return length == 3;
}

static void end(struct connector *connector)
{
    close(connector->in);
    close(connector->out);
    sandlock_process_free(connector->process);
}

static sandlock_policy *policy_for(const char *const *rules)
{
    sandlock_policy *policy = system_policy();

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NET_UPDATES, true, NULL));
    allow(policy, "/dev", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE);
    for (; *rules; rules++)
        CHECK_STATUS(SANDLOCK_OK, sandlock_policy_allow_net(policy, *rules, NULL));
    return policy;
}

static void rules_are_tightened_and_loosened_up_to_the_policys(void)
{
    struct server one = serve(), two = serve(), forbidden = serve();
    /* By port alone these would be Landlock's, which nothing loosens. */
    sandlock_policy *policy = policy_for(ARGV(rule("tcp://*:%d", one.port), rule("tcp://*:%d", two.port)));
    struct connector connector = start(policy);
    const char *const *all = ARGV("*");

    CHECK(reaches(&connector, one.port) && reaches(&connector, two.port) && !reaches(&connector, forbidden.port));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(connector.process, ARGV(rule("127.0.0.1:%d", two.port)), NULL, NULL));
    CHECK(!reaches(&connector, one.port) && reaches(&connector, two.port));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(connector.process, all, NULL, NULL));
    CHECK(reaches(&connector, one.port) && reaches(&connector, two.port) && !reaches(&connector, forbidden.port));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(connector.process, NULL, ARGV(rule("127.0.0.0/8:%d", two.port)), NULL));
    CHECK(reaches(&connector, one.port) && !reaches(&connector, two.port));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(connector.process, ARGV(NULL), NULL, NULL));
    CHECK(!reaches(&connector, one.port) && !reaches(&connector, two.port));
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(connector.process, NULL, NULL, NULL));
    CHECK(reaches(&connector, one.port) && reaches(&connector, two.port) && !reaches(&connector, forbidden.port));
    end(&connector);
    sandlock_policy_free(policy);
    close(one.fd);
    close(two.fd);
    close(forbidden.fd);
}

static void update_that_fails_changes_nothing(void)
{
    struct server one = serve();
    sandlock_policy *policy = policy_for(ARGV(rule("tcp://127.0.0.1:%d", one.port)));
    struct connector connector = start(policy);
    sandlock_error *error = NULL;

    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT,
                 sandlock_process_update_net(connector.process, ARGV("127.0.0.1", "tcp://:1"), NULL, &error));
    CHECK_CONTAINS(sandlock_error_message(error), "column 7");
    sandlock_error_free(error);
    error = NULL;
    CHECK(sandlock_process_update_net(connector.process, ARGV("nobody.invalid"), NULL, &error) != SANDLOCK_OK);
    CHECK_CONTAINS(sandlock_error_message(error), "nobody.invalid");
    sandlock_error_free(error);
    CHECK_STATUS(SANDLOCK_ERROR_INVALID_ARGUMENT, sandlock_process_update_net(NULL, NULL, NULL, NULL));
    CHECK(reaches(&connector, one.port));
    end(&connector);
    sandlock_policy_free(policy);
    close(one.fd);
}

static void policy_must_say_that_rules_may_change(void)
{
    struct server one = serve();
    sandlock_policy *policy = policy_for(ARGV(rule("tcp://127.0.0.1:%d", one.port)));
    struct connector connector;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_flag(policy, SANDLOCK_FLAG_NET_UPDATES, false, NULL));
    connector = start(policy);
    CHECK_STATUS(SANDLOCK_ERROR_STATE, sandlock_process_update_net(connector.process, NULL, NULL, NULL));
    CHECK(reaches(&connector, one.port));
    end(&connector);
    sandlock_policy_free(policy);
    close(one.fd);
}

static void program_knows_the_names_that_it_may_reach(void)
{
    sandlock_policy *policy = policy_for(ARGV("tcp://localhost"));
    sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
    sandlock_process *process = NULL;
    char text[256];
    int in, out;
    ssize_t length;

    CHECK_STATUS(SANDLOCK_OK, sandlock_policy_set_net_refresh(policy, 1, NULL));
    options.stdin_mode = options.stdout_mode = SANDLOCK_STDIO_PIPE;
    CHECK_STATUS(SANDLOCK_OK,
                 sandlock_spawn(policy, NULL, ARGV("/bin/bash", "-c", "while read x; do grep -c localhost /etc/hosts; done"),
                                &options, &process, NULL));
    in = sandlock_process_take_stdio(process, 0);
    out = sandlock_process_take_stdio(process, 1);
    dprintf(in, "\n");
    length = read(out, text, sizeof text);
    CHECK(length == 2 && text[0] >= '1');
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_update_net(process, ARGV("tcp://127.0.0.1"), NULL, NULL));
    dprintf(in, "\n");
    length = read(out, text, sizeof text);
    CHECK(length == 2 && text[0] == '0');
    close(in);
    close(out);
    sandlock_process_free(process);
    sandlock_policy_free(policy);
}

TESTS(T(rules_are_tightened_and_loosened_up_to_the_policys), T(update_that_fails_changes_nothing),
      T(policy_must_say_that_rules_may_change), T(program_knows_the_names_that_it_may_reach))
