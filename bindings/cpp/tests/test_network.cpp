// Network rules: what they allow is reached, and nothing else; they change while a program runs.
#include "support.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace std::chrono_literals;
using test::system_policy;

/// A server of TCP on 127.0.0.1 that nobody need accept at: connections are made by the kernel.
class server {
public:
    server() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        sockaddr_in address{};
        socklen_t length = sizeof address;

        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(socket_.get(), reinterpret_cast<sockaddr *>(&address), length) || listen(socket_.get(), 16) ||
            getsockname(socket_.get(), reinterpret_cast<sockaddr *>(&address), &length))
            throw std::runtime_error("no server");
        port_ = std::to_string(ntohs(address.sin_port));
    }

    const std::string &port() const { return port_; }

private:
    sandlock::descriptor socket_;
    std::string port_;
};

/// Says "connected", or the name of the errno, for each port that it reads.
static const char connecting[] = R"(
import errno, socket, sys
for line in sys.stdin:
    try:
        socket.create_connection(("127.0.0.1", int(line)), 10).close()
        print("connected", flush=True)
    except OSError as why:
        print(errno.errorcode[why.errno], flush=True)
)";

static sandlock::string_list python()
{
    return {"/usr/bin/python3", "-I", "-S", "-c", connecting};
}

static sandlock::spawn_options piped()
{
    sandlock::spawn_options options;

    options.input = options.output = options.errors = sandlock::stdio::pipe();
    return options;
}

TEST(rules_change_while_a_program_runs)
{
    const server first, second;
    auto policy = system_policy();

    policy.allow_net("tcp://127.0.0.1").set_flag(sandlock::flag::net_updates);
    auto process = sandlock::spawn(policy, python(), piped());
    const auto input = process.take_stdio(sandlock::stream::input);
    const auto output = process.take_stdio(sandlock::stream::output);
    const auto ask = [&](const server &whom) {
        const std::string line = whom.port() + "\n";
        char answer[64];
        if (write(input.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
            return std::string("nobody is asked");
        const ssize_t length = read(output.get(), answer, sizeof answer);
        return std::string(answer, length > 0 ? static_cast<std::size_t>(length) : 0);
    };
    CHECK_EQUAL(ask(first), "connected\n");
    CHECK_EQUAL(ask(second), "connected\n");
    process.update_net({"tcp://127.0.0.1:" + first.port()});
    CHECK_EQUAL(ask(first), "connected\n");
    CHECK_EQUAL(ask(second), "EACCES\n");
    process.update_net({}); // nothing
    CHECK_EQUAL(ask(first), "EACCES\n");
    process.reset_net({"tcp://127.0.0.1:" + second.port()});
    CHECK_EQUAL(ask(first), "connected\n");
    CHECK_EQUAL(ask(second), "EACCES\n");
    process.reset_net();
    CHECK_EQUAL(ask(second), "connected\n");
    CHECK_CONTAINS(process.try_update_net({"tcp://10.1.2.3/8"}).error().message(), "column 7");
    CHECK_EQUAL(ask(second), "connected\n");
}

TEST(ports_of_a_sandbox_are_told)
{
    auto policy = system_policy();

    policy.allow_bind("8080").set_flag(sandlock::flag::port_remap);
    const char serving[] = "import socket, sys\n"
                           "s = socket.create_server(('127.0.0.1', 8080))\n"
                           "print('serving', flush=True)\n"
                           "sys.stdin.read()\n";
    auto process = sandlock::spawn(policy, {"/usr/bin/python3", "-I", "-S", "-c", serving}, piped());
    const auto output = process.take_stdio(sandlock::stream::output);
    char line[16];
    CHECK(read(output.get(), line, sizeof line) > 0);
    const auto ports = process.ports();
    CHECK(ports.size() == 1);
    if (!ports.empty()) {
        CHECK(ports[0].protocol == sandlock::protocol::tcp);
        CHECK(ports[0].inside == 8080 && ports[0].outside > 1023);
    }
}
