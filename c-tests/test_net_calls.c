/* The calls that the library carries out for a program behave as the kernel's: what they say, how they wait, what ends them, and what they
 * cost others. */
#include "net.h"

/* --- what they say --- */

struct like_bare {
    const char *words[MOST_WORDS];
    const char *arrived;
};

static void check_like_bare(const char *const *rules, const struct like_bare *cases, size_t count)
{
    sandlock_policy *policy = policy_with(rules);

    for (; count; count--, cases++) {
        char *wanted = bare(child(cases->words));
        CHECK(check_arrivals(cases->arrived));
        check_run(policy, cases->words, wanted, cases->arrived);
        free(wanted);
    }
    sandlock_policy_free(policy);
}

#define CHECK_LIKE_BARE(rules, cases) check_like_bare(rules, cases, sizeof(cases) / sizeof *(cases))

static const struct like_bare tcp_calls[] = {
    {{"connect", "127.0.0.1:$t"}, "t"},
    {{"connect", "127.0.0.1:$c"}, ""},
    {{"connect", "[::ffff:127.0.0.1]:$t"}, "t"},
    {{"connect", "[::1]:$s"}, "s"},
    {{"nonblocking", "127.0.0.1:$t"}, "t"},
    {{"nonblocking", "[::1]:$s"}, "s"},
    {{"nonblocking", "127.0.0.1:$c"}, ""},
    {{"twice", "127.0.0.1:$t"}, "t"},
    {{"twice", "127.0.0.1:$c"}, ""},
    {{"again", "127.0.0.1:$c", "127.0.0.1:$t"}, "t"},
    {{"again", "127.0.0.1:$t", "127.0.0.1:$T"}, "t"},
    {{"reconnect", "127.0.0.1:$c", "127.0.0.1:$T"}, "T"},
};

/* What was connected once, which nobody decides about any more where sockets are made. */
static const struct like_bare connected_before[] = {
    {{"reconnect", "127.0.0.1:$t", "127.0.0.1:$T"}, "tT"},
};

static const struct like_bare other_calls[] = {
    {{"send", "127.0.0.1:$u", "sendto"}, "u"},
    {{"send", "127.0.0.1:$u", "sendmsg"}, "u"},
    {{"send", "127.0.0.1:$u", "sendmmsg"}, "u"},
    {{"send", "127.0.0.1:$u", "connect"}, "u"},
    {{"send-two", "127.0.0.1:$u", "127.0.0.1:$U"}, "uU"},
    {{"connect", "$/socket"}, "p"},
    {{"nonblocking", "$/socket"}, "p"},
    {{"twice", "$/socket"}, "p"},
    {{"connect", "$/datagrams"}, ""},
    {{"connect", "$/nothing"}, ""},
    {{"connect", "$@stream"}, "a"},
    {{"connect", "$@nothing"}, ""},
    {{"from", "$/dir", "other"}, "q"},
    {{"from", "$/dir", "otherwise"}, "r"},
    {{"send", "$/datagrams", "sendto"}, "d"},
    {{"send", "$/datagrams", "sendmsg"}, "d"},
    {{"send", "$/datagrams", "sendmmsg"}, "d"},
    {{"send", "$/datagrams", "connect"}, "d"},
    {{"send", "$/socket", "sendto"}, ""},
    {{"pass"}, ""},
};

static void connections_come_to_what_they_come_to_bare(void)
{
    CHECK_LIKE_BARE(RULES("tcp://127.0.0.0/8", "tcp://::1"), tcp_calls);
    CHECK_LIKE_BARE(RULES("127.0.0.0/8", "::1", "unix:$/*", "bind $1-$3"), tcp_calls);
    CHECK_LIKE_BARE(RULES("tcp://localhost", "tcp://::1"), tcp_calls);
    if (!sockets_are_made())
        CHECK_LIKE_BARE(RULES("tcp://127.0.0.0/8"), connected_before);
}

/* Those that only Landlock looks at, too. */
static void connections_by_port_come_to_what_they_come_to_bare(void)
{
    CHECK_LIKE_BARE(RULES("tcp://*:$t,$T,$s,$c"), tcp_calls);
    CHECK_LIKE_BARE(RULES("*"), tcp_calls);
}

static void other_calls_come_to_what_they_come_to_bare(void)
{
    CHECK_LIKE_BARE(RULES("127.0.0.0/8", "::1", "unix:$/*", "unix:$@stream", "unix:$@nothing"), other_calls);
    CHECK_LIKE_BARE(RULES("127.0.0.0/8", "::1", "unix:$/*", "unix:$@stream", "unix:$@nothing", "bind *", "bind udp://*"),
                    other_calls);
}

/* Whatever the kernel says of arguments that are wrong. */
static void odd_calls_fail_as_they_do_bare(void)
{
    sandlock_policy *policy = policy_with(RULES("0.0.0.0/0", "::/0", "deny 192.0.2.1", "unix:/none", "bind *", "bind udp://*"));
    char *wanted, *found, *rest[2], *words[2];
    int i;

    wanted = bare(CHILD("odd", "127.0.0.1:$t", "127.0.0.1:$u"));
    arrivals('t');
    CHECK(arrivals('u') == 2);
    found = confined(policy, CHILD("odd", "127.0.0.1:$t", "127.0.0.1:$u"));
    arrivals('t');
    CHECK(arrivals('u') == 2);
    rest[0] = found;
    rest[1] = wanted;
    for (i = 0; rest[0] || rest[1]; i++) {
        words[0] = rest[0] ? strsep(&rest[0], " ") : "nothing";
        words[1] = rest[1] ? strsep(&rest[1], " ") : "nothing";
        if (!CHECK(!strcmp(words[0], words[1])))
            printf("# call %d: %s, not %s\n", i + 1, words[0], words[1]);
    }
    CHECK(i > 60);
    free(found);
    free(wanted);
    sandlock_policy_free(policy);
}

static void every_member_of_the_sandbox_is_a_caller_of_its_own(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1:$t"));
    char *found = confined(policy, CHILD("members", "127.0.0.1:$t"));

    if (!CHECK(!strcmp(found, "ok ok ok")))
        printf("# %s\n", found);
    CHECK(arrivals('t') == 3);
    free(found);
    found = confined(policy, CHILD("members", "127.0.0.1:$T"));
    CHECK(!strcmp(found, "EACCES EACCES EACCES"));
    CHECK(arrivals('T') == 0);
    free(found);
    sandlock_policy_free(policy);
}

/* --- sending much --- */

static void many_messages_of_one_call_all_arrive(void)
{
    sandlock_policy *policy = policy_with(RULES("udp://127.0.0.0/8"));
    static const char letters[] = "uUwW";
    char *found = confined(policy, CHILD("send-many", "127.0.0.1:$u", "127.0.0.1:$U", "127.0.0.1:$w", "127.0.0.1:$W"));
    int i;

    if (!CHECK(!strcmp(found, "1024")))
        printf("# %s\n", found);
    for (i = 0; i < 4; i++)
        CHECK(arrivals(letters[i]) == 256);
    free(found);
    sandlock_policy_free(policy);
}

/* Takes datagrams with numbers in order, until somebody sends another text: how many there were. */
static void *take_numbers(void *server)
{
    char text[64];
    long count = 0;
    ssize_t length;

    while ((length = take(((struct server *)server)->fd, text, sizeof text - 1)) > 0) {
        text[length] = 0;
        if (!strcmp(text, marker))
            return (void *)count;
        if (atol(text) != count++)
            break;
    }
    return (void *)-1L;
}

/* The queue of the receiver has room for some ten at a time. */
static void messages_wait_for_a_receiver_that_is_slow(void)
{
    sandlock_policy *policy = policy_with(RULES("unix:$/datagrams"));
    struct server *server = server_of('d');
    void *count = NULL;
    pthread_t thread;
    char *found;
    int fd;

    CHECK(pthread_create(&thread, NULL, take_numbers, server) == 0);
    found = confined(policy, CHILD("send-many", "$/datagrams"));
    CHECK(!strcmp(found, "1024"));
    fd = connected(SOCK_DGRAM, peer_of_server(server));
    CHECK(send(fd, marker, sizeof marker - 1, 0) == sizeof marker - 1);
    close(fd);
    pthread_join(thread, &count);
    if (!CHECK((long)count == 1024))
        printf("# %ld in order\n", (long)count);
    free(found);
    sandlock_policy_free(policy);
}

enum { LARGE = 8 << 20 };

/* Takes one connection to its end: how many bytes there were, all as they should be. */
static void *take_large(void *server)
{
    int fd = take_client(((struct server *)server)->fd);
    char *bytes = malloc(1 << 16);
    size_t total = 0;
    ssize_t count, i;

    while ((count = take(fd, bytes, 1 << 16)) > 0)
        for (i = 0; i < count; i++, total++)
            if (bytes[i] != (char)(total * 7 + total / 251)) {
                total = 0;
                count = 0;
                break;
            }
    free(bytes);
    close(fd);
    return (void *)total;
}

static void large_message_arrives_whole(void)
{
    /* The second traps sendmsg. */
    static const char *const rules[] = {"tcp://127.0.0.1:$t", "127.0.0.1:$t"};
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i]));
        void *total = NULL;
        pthread_t thread;
        char *found;

        CHECK(pthread_create(&thread, NULL, take_large, server_of('t')) == 0);
        found = confined(policy, CHILD("large", "127.0.0.1:$t", "8388608"));
        CHECK(!strcmp(found, "ok 8388608"));
        pthread_join(thread, &total);
        CHECK((size_t)total == LARGE);
        free(found);
        sandlock_policy_free(policy);
    }
}

/* Nobody takes it: what there is room for is sent. */
static void large_message_waits_as_long_as_the_socket_says(void)
{
    sandlock_policy *policy = policy_with(RULES("127.0.0.1:$t"));
    char *found = confined(policy, CHILD("large", "127.0.0.1:$t", "8388608", "300"));
    long sent = 0, milliseconds = 0;
    int fd;

    CHECK(sscanf(found, "ok %ld %ld", &sent, &milliseconds) == 2);
    if (!CHECK(sent > 0 && sent < LARGE && milliseconds >= 300 && milliseconds < 1300))
        printf("# %s\n", found);
    fd = take_client(server_of('t')->fd);
    CHECK(fd >= 0);
    close(fd);
    free(found);
    sandlock_policy_free(policy);
}

static uint64_t received_by(const sandlock_policy *policy, const char *const *argv, const char *prints)
{
    struct running running = start_child(policy, argv);
    sandlock_result *result = NULL;
    uint64_t received;

    if (!CHECK(!strcmp(next_line(&running), prints)))
        printf("# %s does not say %s\n", argv[1], prints);
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_wait(running.process, 20000, &result, NULL));
    received = calls_received(running.process);
    sandlock_result_free(result);
    finish(&running);
    return received;
}

static void data_on_connections_is_nobodys_but_the_kernels(void)
{
    static const char *const rules[] = {"tcp://127.0.0.1:$t", "127.0.0.1:$t", "tcp://localhost:$t"};
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i]));
        uint64_t few = received_by(policy, CHILD("pieces", "127.0.0.1:$t", "3"), "ok 3");
        uint64_t many = received_by(policy, CHILD("pieces", "127.0.0.1:$t", "3000"), "ok 3000");

        if (!CHECK(few > 0 && few == many))
            printf("# under %s: %llu calls, then %llu\n", rules[i], (unsigned long long)few, (unsigned long long)many);
        CHECK(arrivals('t') == 2);
        sandlock_policy_free(policy);
    }
}

static void connections_by_port_are_nobodys_but_the_kernels(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://*:$t"));
    uint64_t few = received_by(policy, CHILD("many", "127.0.0.1:$t", "1"), "ok");
    uint64_t many = received_by(policy, CHILD("many", "127.0.0.1:$t", "50"), "ok");

    if (!CHECK(few == many))
        printf("# %llu calls, then %llu\n", (unsigned long long)few, (unsigned long long)many);
    CHECK(arrivals('t') == 51);
    sandlock_policy_free(policy);
}

/* --- nobody at the other end --- */

static void who_sends_to_nobody_gets_sigpipe(void)
{
    static const char *const rules[] = {"tcp://127.0.0.1", "udp://127.0.0.1", "unix:$/socket"};
    size_t i;

    for (i = 0; i < sizeof rules / sizeof *rules; i++) {
        sandlock_policy *policy = policy_with(RULES(rules[i]));
        struct running running = start_child(policy, CHILD("broken", "caught"));
        sandlock_result *result;

        CHECK(!strcmp(next_line(&running), "handled"));
        CHECK(!strcmp(next_line(&running), "EPIPE 0 EPIPE 1 EPIPE 2"));
        finish(&running);
        result = run_program(policy, CHILD("broken", "default"));
        CHECK(sandlock_result_signal(result) == SIGPIPE && !strcmp(output(result), ""));
        sandlock_result_free(result);
        sandlock_policy_free(policy);
    }
}

/* --- waiting --- */

/* A server whose queue is full: who connects waits, until it is let in. */
struct full {
    int listener, filler;
    uint16_t port;
    char address[32];
};

static struct full fill_queue(void)
{
    struct full full;

    start_servers();
    full.listener = listening(peer_of(AF_INET, 0, 1), 0);
    full.port = port_of(full.listener);
    full.filler = connected(SOCK_STREAM, peer_of(AF_INET, full.port, 1));
    snprintf(full.address, sizeof full.address, "127.0.0.1:%d", full.port);
    return full;
}

static void drop_queue(struct full *full)
{
    close(full->filler);
    close(full->listener);
}

/* How many connections to a port are begun and not made, as the kernel tells: 2 is SYN_SENT. */
static int connecting_to(uint16_t port)
{
    char line[256];
    unsigned remote, state;
    int count = 0;
    FILE *file = fopen("/proc/net/tcp", "re");

    while (file && fgets(line, sizeof line, file))
        count += sscanf(line, " %*d: %*x:%*x %*x:%x %x", &remote, &state) == 2 && remote == port && state == 2;
    if (file)
        fclose(file);
    return count;
}

static int wait_until_connecting(uint16_t port, int count)
{
    double until = seconds() + 20;

    while (connecting_to(port) != count && seconds() < until)
        usleep(1000);
    return connecting_to(port) == count;
}

/* Lets in who waits, and says whether that is a client that greets. */
static int let_in(int listener)
{
    char text[16] = "";
    int fd, turns;

    for (turns = 0; turns < 2 && strcmp(text, "hello"); turns++) {
        fd = take_client(listener);
        /* The one that has filled the queue says nothing. */
        if (turns > 0)
            CHECK(take(fd, text, sizeof text - 1) >= 0);
        close(fd);
    }
    return !strcmp(text, "hello");
}

static void connect_waits_for_a_queue_that_is_full(void)
{
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    struct running running = start_child(policy, CHILD("connect", full.address));

    CHECK(wait_until_connecting(full.port, 1));
    CHECK(let_in(full.listener));
    CHECK(!strcmp(next_line(&running), "ok"));
    finish(&running);
    drop_queue(&full);
    sandlock_policy_free(policy);
}

static void connect_to_a_unix_socket_waits_for_a_queue_that_is_full(void)
{
    sandlock_policy *policy = policy_with(RULES("unix:$/full"));
    int listener = listening(local_peer("full"), 0), filler = connected(SOCK_STREAM, local_peer("full"));
    struct running running;
    char *found;

    check_run(policy, ARGV("nonblocking", "$/full"), "EAGAIN", "");
    found = confined(policy, CHILD("limited", "$/full", "300"));
    if (!CHECK(!strncmp(found, "EAGAIN ", 7) && last_number(found) >= 300 && last_number(found) < 1300))
        printf("# %s\n", found);
    free(found);
    running = start_child(policy, CHILD("connect", "$/full"));
    while (calls_received(running.process) == 0)
        usleep(1000);
    CHECK(let_in(listener));
    CHECK(!strcmp(next_line(&running), "ok"));
    finish(&running);
    close(filler);
    close(listener);
    CHECK(unlink(in_tree(net_tree, "full")) == 0);
    sandlock_policy_free(policy);
}

static void connect_that_is_begun_is_begun_once(void)
{
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    char *wanted = bare(CHILD("twice-nonblocking", full.address));

    CHECK(!strcmp(wanted, "EINPROGRESS EALREADY"));
    check_run(policy, ARGV("twice-nonblocking", full.address), wanted, "");
    free(wanted);
    drop_queue(&full);
    sandlock_policy_free(policy);
}

static void connect_waits_as_long_as_the_socket_says(void)
{
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    char *found = confined(policy, CHILD("limited", full.address, "300"));

    if (!CHECK(!strncmp(found, "EINPROGRESS ", 12) && last_number(found) >= 300 && last_number(found) < 1300))
        printf("# %s\n", found);
    free(found);
    drop_queue(&full);
    sandlock_policy_free(policy);
}

/* signal(7): interrupted without SA_RESTART, and with a limit of time in any case. */
static void signals_interrupt_what_waits(void)
{
    static const char *const ways[] = {"plain", "limited"};
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    size_t i;

    for (i = 0; i < 4; i++) {
        struct running running = start_child(i & 2 ? policy : NULL, CHILD("interrupted", full.address, ways[i & 1]));
        const char *line;
        CHECK(!strcmp(next_line(&running), "handled"));
        line = next_line(&running);
        if (!CHECK(!strcmp(line, "EINTR")))
            printf("# %s, %s: %s\n", i & 2 ? "confined" : "bare", ways[i & 1], line);
        finish(&running);
    }
    drop_queue(&full);
    sandlock_policy_free(policy);
}

static void with_sa_restart_connect_goes_on(void)
{
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    int i;

    for (i = 0; i < 2; i++) {
        struct full full = fill_queue();
        struct running running = start_child(i ? policy : NULL, CHILD("interrupted", full.address, "restart"));
        const char *line;

        CHECK(!strcmp(next_line(&running), "handled"));
        CHECK(wait_until_connecting(full.port, 1));
        close(take_client(full.listener));
        line = next_line(&running);
        if (!CHECK(!strcmp(line, "ok")))
            printf("# %s: %s\n", i ? "confined" : "bare", line);
        finish(&running);
        drop_queue(&full);
    }
    sandlock_policy_free(policy);
}

/* The longest of the opens that a program makes beside its connects, in microseconds, at the median of several times: others that want
 * the processors hold some of them up. */
static long longest_open(const sandlock_policy *policy, const char *address)
{
    const char *const *argv = CHILD("beside", address, "$/file");
    char *found = policy ? confined(policy, argv) : bare(argv);
    long opens = 0, longest = -1, worst = -1;

    if (!CHECK(sscanf(found, "%ld %ld %ld", &opens, &longest, &worst) == 3 && opens > 100))
        printf("# %s\n", found);
    free(found);
    return longest;
}

/* Names in the rules have opens looked at. */
static void who_connects_delays_nobody(void)
{
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://localhost", "tcp://127.0.0.1"));
    long beside = longest_open(policy, full.address);

    if (beside >= 5000) {
        /* A machine that is busy takes its time for anything. */
        long alone = longest_open(policy, "-"), outside = longest_open(NULL, full.address);
        if (!CHECK(beside < 2 * (alone > outside ? alone : outside) + 5000))
            printf("# %ld us beside a connect, %ld us alone, %ld us bare\n", beside, alone, outside);
    }
    drop_queue(&full);
    sandlock_policy_free(policy);
}

/* What the host has while nothing runs, with what the policy keeps for the next run. */
static struct footprint footprint_of_rest(const sandlock_policy *policy)
{
    free(confined(policy, CHILD("pass")));
    return footprint();
}

static void kill_ends_calls_that_wait_at_once(void)
{
    enum { COUNT = 50 };
    struct full full = fill_queue();
    sandlock_policy *policy = policy_with(RULES("tcp://127.0.0.1"));
    struct footprint before;
    struct running running;
    double start;

    before = footprint_of_rest(policy);
    running = start_child(policy, CHILD("threads", full.address, "50"));
    CHECK(wait_until_connecting(full.port, COUNT));
    start = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(running.process, NULL));
    finish(&running);
    if (!CHECK(seconds() - start < 0.5))
        printf("# it took %.3f s\n", seconds() - start);
    /* Nor does the library connect any more. */
    CHECK(connecting_to(full.port) == 0);
    CHECK_UNCHANGED(before);
    drop_queue(&full);
    sandlock_policy_free(policy);
}

/* Likewise of a program that sends more than anybody takes. */
static void kill_ends_messages_that_wait_at_once(void)
{
    sandlock_policy *policy = policy_with(RULES("127.0.0.1"));
    struct footprint before;
    struct running running;
    double start;
    int fd;

    before = footprint_of_rest(policy);
    running = start_child(policy, CHILD("large", "127.0.0.1:$t", "8388608"));
    fd = take_client(server_of('t')->fd);
    CHECK(fd >= 0);
    start = seconds();
    /* Its connect, its sendmsg. */
    while (calls_received(running.process) < 2 && seconds() - start < 20)
        usleep(1000);
    start = seconds();
    CHECK_STATUS(SANDLOCK_OK, sandlock_process_kill(running.process, NULL));
    finish(&running);
    CHECK(seconds() - start < 0.5);
    close(fd);
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

/* Everything above, in one sandbox after the other, keeps nothing of the host's. */
static void calls_leave_nothing_behind(void)
{
    static const char *const words[][MOST_WORDS] = {
        {"connect", "127.0.0.1:$t"},           {"nonblocking", "127.0.0.1:$t"}, {"send", "127.0.0.1:$u", "sendmsg"},
        {"connect", "127.0.0.1:$c"},           {"connect", "$/socket"},         {"pass"},
        {"send", "127.0.0.1:$u", "sendmmsg"},  {"listen", "127.0.0.1:$1"},      {"listen-unbound", "127.0.0.1:$2"},
        {"send", "$/datagrams", "sendto"},     {"interfaces"},                  {"resolve", "localhost"},
        {"send-two", "127.0.0.1:$u", "[::1]:$v"}};
    sandlock_policy *policy = policy_with(RULES("127.0.0.1", "localhost", "unix:$/*", "bind $1-$3"));
    struct footprint before;
    size_t i, round;

    before = footprint_of_rest(policy);
    for (round = 0; round < 3; round++)
        for (i = 0; i < sizeof words / sizeof *words; i++)
            free(confined(policy, child(words[i])));
    CHECK_UNCHANGED(before);
    sandlock_policy_free(policy);
}

TESTS(T(connections_come_to_what_they_come_to_bare), T(connections_by_port_come_to_what_they_come_to_bare),
      T(other_calls_come_to_what_they_come_to_bare), T(odd_calls_fail_as_they_do_bare),
      T(every_member_of_the_sandbox_is_a_caller_of_its_own), T(many_messages_of_one_call_all_arrive),
      T(messages_wait_for_a_receiver_that_is_slow), T(large_message_arrives_whole),
      T(large_message_waits_as_long_as_the_socket_says), T(data_on_connections_is_nobodys_but_the_kernels),
      T(connections_by_port_are_nobodys_but_the_kernels), T(who_sends_to_nobody_gets_sigpipe),
      T(connect_waits_for_a_queue_that_is_full), T(connect_to_a_unix_socket_waits_for_a_queue_that_is_full),
      T(connect_that_is_begun_is_begun_once), T(connect_waits_as_long_as_the_socket_says), T(signals_interrupt_what_waits),
      T(with_sa_restart_connect_goes_on), T(who_connects_delays_nobody), T(kill_ends_calls_that_wait_at_once),
      T(kill_ends_messages_that_wait_at_once), T(calls_leave_nothing_behind))
