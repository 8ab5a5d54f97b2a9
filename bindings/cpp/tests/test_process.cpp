// Running programs: streams, many at once, cancelling, and that nothing is left behind.
#include "support.hpp"

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>

using namespace std::chrono_literals;
using sandlock::stdio;
using test::system_policy;
using test::thrown_by;

static sandlock::spawn_options captured()
{
    sandlock::spawn_options options;

    options.input = stdio::null();
    options.output = options.errors = stdio::capture();
    return options;
}

static std::string read_all(int fd)
{
    std::string all;
    char buffer[4096];

    for (ssize_t count; (count = read(fd, buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<std::size_t>(count));
    return all;
}

TEST(time_out_ends_a_run_and_not_a_wait)
{
    const auto policy = system_policy();
    const auto result = sandlock::run(policy, {"sleep", "60"}, 100ms);

    CHECK(result.reason() == sandlock::reason::timeout);
    CHECK(result.signal() == SIGKILL && !result.limit());

    auto process = sandlock::spawn(policy, {"sleep", "60"}, captured());
    CHECK(!process.wait_for(0s));
    CHECK(!process.wait_for(-1s)); // late, and not forever
    CHECK(!process.wait_for(20ms));
    CHECK(process.try_wait(1ms).status() == sandlock::status::timeout);
    process.kill();
    CHECK(process.wait().reason() == sandlock::reason::killed);
    CHECK(thrown_by([&] { process.signal(SIGTERM); }).status() == sandlock::status::state);
}

TEST(destroying_a_process_ends_its_sandbox)
{
    auto policy = system_policy();
    sandlock::descriptor output;

    policy.allow_path("/dev/null", sandlock::access::read); // what dash gives to programs in the background
    {
        sandlock::spawn_options options;
        options.output = stdio::pipe();
        auto process = sandlock::spawn(policy, {"dash", "-c", "sleep 60 & echo started; wait"}, options);
        output = process.take_stdio(sandlock::stream::output);
        CHECK(!process.take_stdio(sandlock::stream::output) && !process.take_stdio(sandlock::stream::input));
        char line[8];
        CHECK(read(output.get(), line, sizeof line) == 8);
        auto moved = std::move(process);
        CHECK(process.pid() == -1 && moved.pid() > 0); // NOLINT: what is left of it
    }
    CHECK_EQUAL(read_all(output.get()), ""); // its end: nobody holds the pipe any more
}

TEST(programs_are_talked_with)
{
    const auto policy = system_policy();
    sandlock::spawn_options options;

    options.input = options.output = options.errors = stdio::pipe();
    auto process = sandlock::spawn(policy, {"dash", "-c", "cat; echo done >&2"}, options);
    const std::vector<unsigned char> input(300000, 'x');
    const auto result = process.communicate(input);
    CHECK(result.output().size() == input.size());
    CHECK_EQUAL(result.errors(), "done\n");

    auto slow = sandlock::spawn(policy, {"dash", "-c", "read line; echo \"$line\"; sleep 60"}, options);
    CHECK(!slow.communicate_for("line\n", 30ms));
    CHECK(slow.try_communicate("again\n", 30ms).status() == sandlock::status::state);
    slow.kill();
    CHECK(slow.communicate({}).reason() == sandlock::reason::killed);
}

TEST(output_is_told_as_it_comes)
{
    const auto policy = system_policy();
    std::string output, errors;
    int ends = 0, thrown = 0;
    {
        auto process = sandlock::spawn(policy, {"dash", "-c", "echo out; echo err >&2"}, captured());
        process.listen(
            [&, calls = 0](sandlock::stream which, std::string_view text) mutable {
                (which == sandlock::stream::output ? output : errors) += text;
                ends += text.empty();
                if (++calls == 1)
                    throw std::runtime_error("the listener's own");
            },
            [&](std::exception_ptr) { thrown++; });
        CHECK(process.try_listen([](sandlock::stream, std::string_view) {}).status() == sandlock::status::state);
        CHECK_EQUAL(process.wait().output(), "out\n");
    } // when everything was told
    CHECK_EQUAL(output, "out\n");
    CHECK_EQUAL(errors, "err\n");
    CHECK(ends == 2 && thrown == 1);
}

TEST(too_much_output_is_dropped_or_kills)
{
    auto policy = system_policy();
    auto options = captured();

    options.capture_limit = 10;
    auto process = sandlock::spawn(policy, {"echo", "0123456789abcdef"}, options);
    auto result = process.wait();
    CHECK_EQUAL(result.output(), "0123456789");
    CHECK(result.truncated(sandlock::stream::output) == 7);

    policy.set_flag(sandlock::flag::output_kills);
    auto killed = sandlock::spawn(policy, {"yes"}, options);
    result = killed.wait();
    CHECK(result.reason() == sandlock::reason::limit && !result.limit());
    // What is borrowed of a result that goes is copied.
    CHECK_EQUAL(killed.wait().output(), "y\ny\ny\ny\ny\n");
}

TEST(descriptors_and_names_are_passed)
{
    const auto policy = system_policy();
    int ends[2];

    if (!CHECK(pipe2(ends, O_CLOEXEC) == 0))
        return;
    const sandlock::descriptor in(ends[0]);
    sandlock::descriptor out(ends[1]);
    auto options = captured();
    options.pass_fds = {{out.get(), 7}};
    options.errors = stdio::fd(out.get());
    options.name = "named";
    auto process = sandlock::spawn(policy, {"dash", "-c", "echo seven >&7; echo two >&2; read line"}, options);
    process.wait();
    out.close();
    CHECK_EQUAL(read_all(in.get()), "seven\ntwo\n");
}

TEST(program_has_a_terminal_of_its_own)
{
    const auto policy = system_policy();
    sandlock::spawn_options options;

    options.input = options.output = options.errors = stdio::pty();
    options.pty_rows = 11;
    options.pty_columns = 22;
    auto process = sandlock::spawn(policy, {"dash", "-c", "stty size; read line; stty size; echo \"$line\""}, options);
    const auto terminal = process.take_pty();
    CHECK(terminal && !process.take_pty());
    char buffer[64];
    ssize_t length = read(terminal.get(), buffer, sizeof buffer);
    CHECK_EQUAL(std::string_view(buffer, length > 0 ? static_cast<std::size_t>(length) : 0), "11 22\r\n");
    process.resize(33, 44);
    CHECK(write(terminal.get(), "typed\n", 6) == 6);
    const std::string rest = read_all(terminal.get());
    CHECK_CONTAINS(rest, "33 44\r\n");
    CHECK_CONTAINS(rest, "typed\r\n");
    CHECK(process.wait().exit_code() == 0);
}

TEST(sandboxes_are_listed_paused_and_reported)
{
    const auto policy = system_policy();
    auto process = sandlock::spawn(policy, {"sleep", "60"}, captured());
    const auto members = process.list();

    CHECK(members.size() == 1);
    if (!members.empty()) {
        CHECK(members[0].pid == process.pid());
        CHECK_EQUAL(members[0].name, "sleep");
    }
    process.pause();
    process.resume();
    CHECK(process.stats().killed == 0);
    CHECK(process.try_ports().status() == sandlock::status::state);

    const auto report = process.report();
    const auto rows = report.rows();
    CHECK(report.level() == sandlock::level::full || report.level() == sandlock::level::partial);
    CHECK(!rows.empty() && rows[0].feature == sandlock::feature::files);
    if (!rows.empty()) {
        CHECK_EQUAL(rows[0].name, "files");
        CHECK_CONTAINS(rows[0].mechanism, "landlock");
        CHECK(rows[0].state == sandlock::state::enforced && rows[0].requested == sandlock::strictness::require);
    }
    CHECK_CONTAINS(report.json(), "\"feature\"");

    process.signal(SIGTERM);
    pollfd ended{process.pidfd(), POLLIN, 0};
    CHECK(poll(&ended, 1, 20000) == 1);
    const auto result = process.wait();
    CHECK(result.reason() == sandlock::reason::signaled && result.signal() == SIGTERM);
    CHECK(result.usage().wall > 0us);
}

TEST(hundreds_of_runs_leave_nothing_behind)
{
    auto policy = system_policy();
    const auto run_some = [&](int count) {
        sandlock::supervisor supervisor;
        supervisor.add_handler("getppid", [](sandlock::notification &call) { call.return_value(1); });
        for (int i = 0; i < count; i++) {
            CHECK(sandlock::run(policy, supervisor, {"dash", "-c", "echo $PPID"}, 20s).output() == "1\n");
            auto process = sandlock::spawn(policy, {"true"}, captured());
            process.listen([](sandlock::stream, std::string_view) {});
            CHECK(process.report().rows().size() > 10);
            CHECK(!sandlock::try_run(policy, {"/usr/bin/no-such-program"}));
        }
    };

    const long threads_at_rest = test::threads_down_to(1);
    run_some(3);
    const long descriptors = test::count_entries("fd");
    run_some(100);
    CHECK(test::threads_down_to(threads_at_rest) == threads_at_rest);
    CHECK(test::count_entries("fd") == descriptors);
}
