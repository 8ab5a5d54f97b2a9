// Handlers, calls that are answered later, observers and logs: what they answer, what they throw, and when they are gone.
#include "support.hpp"

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/utsname.h>

using namespace std::chrono_literals;
using sandlock::handled;
using sandlock::notification;
using test::system_policy;
using test::thrown_by;

/// dash(1) calls getppid(2) once, when it starts.
static const sandlock::string_list print_parent{"dash", "-c", "echo $PPID"};

TEST(handler_writes_to_the_memory_of_the_caller)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;

    supervisor.add_handler("uname", [](notification &call) {
        utsname made{};
        std::strcpy(made.nodename, "elsewhere");
        call.write(call.arg(0), sandlock::bytes(&made, sizeof made));
        utsname read{};
        if (call.read(call.arg(0), &read, sizeof read) == sizeof read && !std::memcmp(&read, &made, sizeof made))
            call.return_value(0);
    });
    CHECK_EQUAL(sandlock::run(policy, supervisor, {"uname", "-n"}, 20s).output(), "elsewhere\n");
}

TEST(handlers_pass_on_let_run_and_end)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;
    std::atomic<int> first{0}, second{0};

    supervisor.add_handler("getppid", [&](notification &call) {
        CHECK_EQUAL(call.syscall_name(), "getppid");
        CHECK(call.syscall() > 0 && call.pid() > 0);
        first++;
        return handled::pass;
    });
    supervisor.add_handler("getppid", [&](notification &call) {
        second++;
        call.let_run();
        CHECK(call.try_deny(EPERM).status() == sandlock::status::state);
    });
    CHECK(sandlock::run(policy, supervisor, print_parent, 20s).succeeded());
    CHECK(first == 1 && second == 1);

    sandlock::supervisor ending;
    ending.add_handler("getppid", [](notification &call) { call.kill(); });
    CHECK(sandlock::run(policy, ending, print_parent, 20s).reason() == sandlock::reason::killed);
}

TEST(handler_gives_a_file_that_only_the_program_sees)
{
    const auto policy = system_policy();
    test::tree tree;
    sandlock::supervisor supervisor;
    const std::string text = "only for this program\n";

    test::write_text(tree / "host", "the host's\n");
    const sandlock::descriptor host(open((tree / "host").c_str(), O_RDONLY | O_CLOEXEC));
    supervisor.add_handler("openat", [&](notification &call) {
        const auto path = call.try_read_string(call.arg(1));
        CHECK(call.try_read_string(call.arg(1), std::size_t{1} << 40).status() == sandlock::status::invalid_argument);
        if (!path)
            return handled::pass;
        if (*path == "/run/secrets/token")
            call.return_bytes(text);
        else if (*path == "/run/secrets/none")
            call.return_bytes({});
        else if (*path == "/run/secrets/host")
            call.return_fd(host.get());
        else
            return handled::pass;
        return handled::done;
    });
    const auto result =
        sandlock::run(policy, supervisor, {"cat", "/run/secrets/token", "/run/secrets/none", "/run/secrets/host"}, 20s);
    CHECK_EQUAL(result.output(), text + "the host's\n");
    CHECK_EQUAL(result.errors(), "");
}

struct unknown {};

/// Whatever is thrown, the program sees EPERM, and the host goes on.
TEST(exceptions_of_handlers_deny_the_call)
{
    const auto policy = system_policy();
    std::mutex mutex;
    std::vector<std::string> told;
    sandlock::supervisor_options options;

    options.on_exception = [&](std::exception_ptr thrown) {
        const std::lock_guard<std::mutex> guard(mutex);
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception &why) {
            told.push_back(why.what());
        } catch (...) {
            told.push_back("unknown");
            throw; // which must not get out either
        }
    };
    sandlock::supervisor supervisor(options);
    std::atomic<int> kind{0};
    supervisor.add_handler("uname", [&](notification &call) {
        switch (kind) {
        case 0:
            throw std::runtime_error("handler's own");
        case 1:
            throw unknown();
        case 2: // an error of the library: no such errno
            call.deny(0);
            break;
        default: // put off, but then lost
            const auto pending = call.defer();
            throw std::runtime_error("after defer");
        }
    });
    for (; kind < 4; kind++) {
        const auto result = sandlock::run(policy, supervisor, {"uname", "-n"}, 20s);
        CHECK(result.reason() == sandlock::reason::exited && result.exit_code() == 1);
        CHECK_CONTAINS(result.errors(), "Operation not permitted");
    }
    const std::lock_guard<std::mutex> guard(mutex);
    CHECK(told.size() == 4);
    if (told.size() == 4) {
        CHECK_EQUAL(told[0], "handler's own");
        CHECK_EQUAL(told[1], "unknown");
        CHECK_CONTAINS(told[2], "errno");
        CHECK_EQUAL(told[3], "after defer");
    }

    // An answer that was given before counts. Who asks not to be told is not.
    sandlock::supervisor silent;
    silent.add_handler("getppid", [](notification &call) {
        call.return_value(7);
        throw 1;
    });
    CHECK_EQUAL(sandlock::run(policy, silent, print_parent, 20s).output(), "7\n");
}

TEST(handler_without_an_answer_denies_the_call)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;
    std::promise<std::string> line;

    supervisor.set_log([&](sandlock::log_level level, std::string_view text) {
        CHECK(level == sandlock::log_level::error || level == sandlock::log_level::warning);
        line.set_value(std::string(text));
    });
    supervisor.add_handler("uname", [](notification &) {});
    CHECK_CONTAINS(sandlock::run(policy, supervisor, {"uname", "-n"}, 20s).errors(), "Operation not permitted");
    auto logged = line.get_future();
    if (CHECK(logged.wait_for(20s) == std::future_status::ready))
        CHECK(!logged.get().empty());
    supervisor.unset_log();
    CHECK_CONTAINS(sandlock::run(policy, supervisor, {"uname", "-n"}, 20s).errors(), "Operation not permitted");
}

TEST(call_is_put_off_and_answered_by_another_thread)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;
    std::promise<sandlock::pending> promise;
    std::thread answering([&] {
        auto pending = promise.get_future().get();
        CHECK_EQUAL(pending.syscall_name(), "getppid");
        CHECK(pending.pid() > 0);
        pending.return_value(77);
        CHECK(thrown_by([&] { pending.deny(EPERM); }).status() == sandlock::status::state);
    });

    supervisor.add_handler("getppid", [&](notification &call) {
        promise.set_value(call.defer());
        CHECK(call.syscall() == -1);
        CHECK(call.try_return_value(1).status() == sandlock::status::state);
    });
    CHECK_EQUAL(sandlock::run(policy, supervisor, print_parent, 20s).output(), "77\n");
    answering.join();
    CHECK(supervisor.stats().deferred == 1 && supervisor.stats().returned == 1);
    CHECK(supervisor.stats().size == sizeof(sandlock::stats));
}

TEST(start_that_takes_too_long_is_over)
{
    const auto policy = system_policy();
    std::mutex mutex;
    std::vector<sandlock::pending> put_off;
    sandlock::supervisor supervisor;
    sandlock::spawn_options options;

    supervisor.add_handler("execve", [&](notification &call) {
        const std::lock_guard<std::mutex> lock(mutex);
        put_off.push_back(call.defer());
    });
    options.start_timeout = -1s; // late, and not forever
    CHECK(sandlock::try_spawn(policy, supervisor, {"true"}, options).status() == sandlock::status::timeout);
    options.start_timeout = 100ms;
    CHECK(sandlock::try_spawn(policy, supervisor, {"true"}, options).status() == sandlock::status::timeout);
    options.start_timeout = 20s;
    CHECK(sandlock::spawn(policy, {"true"}, options).wait().succeeded());
    const std::lock_guard<std::mutex> lock(mutex);
    for (auto &call : put_off)
        CHECK(call.try_let_run().status() == sandlock::status::stale);
}

TEST(queue_is_served_by_a_loop_of_the_host)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;

    CHECK(!supervisor.next(0s));
    CHECK(supervisor.try_next(1ms).status() == sandlock::status::timeout);
    supervisor.add_queue("getppid");
    auto run = std::async(std::launch::async, [&] { return sandlock::run(policy, supervisor, print_parent, 20s); });
    pollfd ready{supervisor.fd(), POLLIN, 0};
    CHECK(poll(&ready, 1, 20000) == 1);
    if (auto pending = supervisor.next(0s); CHECK(pending))
        pending->return_value(78);
    CHECK_EQUAL(run.get().output(), "78\n");

    // One that is dropped is denied: getppid(2) then gives -1.
    run = std::async(std::launch::async, [&] { return sandlock::run(policy, supervisor, print_parent, 20s); });
    CHECK(supervisor.next());
    CHECK_EQUAL(run.get().output(), "-1\n");
}

TEST(observer_is_told_of_what_happens)
{
    const auto policy = system_policy();
    std::vector<std::string> seen; // by the observer's thread, which is gone when the supervisor is
    std::string path;
    int exit_code = -1;
    {
        sandlock::supervisor supervisor;
        supervisor.observe(sandlock::events::exec | sandlock::events::exit,
                           [&, count = 0](const sandlock::event &event) mutable {
                               if (event.kind() == sandlock::events::exec) {
                                   seen.clear(); // what was tried before it
                                   for (std::size_t i = 0; i < event.argument_count(); i++)
                                       seen.emplace_back(event.argument(i).value());
                                   path = event.path().value_or("");
                                   CHECK(event.advisory() && !event.argument(event.argument_count()));
                               } else {
                                   exit_code = event.exit_code();
                               }
                               CHECK(event.pid() > 0 && event.time() > std::chrono::system_clock::time_point());
                               if (++count == 1)
                                   throw std::runtime_error("dropped");
                           });
        sandlock::run(policy, supervisor, {"dash", "-c", "exit 7"}, 20s);
    } // which tells what still waits
    CHECK(seen == std::vector<std::string>{"dash", "-c", "exit 7"});
    CHECK_CONTAINS(path, "/dash");
    CHECK(exit_code == 7);
}

TEST(traces_suggest_what_is_missing)
{
    const auto policy = system_policy();
    sandlock::supervisor supervisor;

    supervisor.trace();
    CHECK(supervisor.suggest().count == 0);
    CHECK(sandlock::run(policy, supervisor, {"cat", "/etc/hostname"}, 20s).exit_code() == 1);
    const auto suggestions = supervisor.suggest();
    CHECK(suggestions.count >= 1);
    CHECK_CONTAINS(suggestions.text, "sandlock_policy_allow_path(policy, \"/etc/hostname\", SANDLOCK_ACCESS_READ");
}

/// Counts how many of it there are.
struct counted {
    explicit counted(std::shared_ptr<std::atomic<int>> to) : count(std::move(to)) { ++*count; }
    counted(const counted &other) : count(other.count) { ++*count; }
    counted(counted &&other) noexcept : count(other.count) { ++*count; }
    ~counted() { --*count; }

    std::shared_ptr<std::atomic<int>> count;
};

/// Waits until there is none left: callbacks are destroyed by whoever needed them last.
static bool all_gone(const std::atomic<int> &count)
{
    const auto start = std::chrono::steady_clock::now();

    while (count != 0 && std::chrono::steady_clock::now() - start < 20s)
        std::this_thread::yield();
    return count == 0;
}

TEST(callbacks_live_as_long_as_they_are_needed)
{
    const auto policy = system_policy();
    const auto count = std::make_shared<std::atomic<int>>(0);
    {
        std::optional<sandlock::supervisor> supervisor(std::in_place);
        {
            const counted mark(count);
            supervisor->add_handler("getppid", [mark](notification &call) { call.return_value(*mark.count); });
            supervisor->set_log([mark](sandlock::log_level, std::string_view) {});
            supervisor->observe(sandlock::events::exec, [mark](const sandlock::event &) {});
            // Refused ones are destroyed at once.
            CHECK(!supervisor->try_add_handler("no_such_call", [mark](notification &) {}));
            CHECK(!supervisor->try_add_handler(std::string_view("a\0b", 3), [mark](notification &) {}));
            CHECK(!supervisor->try_observe(sandlock::events{}, [mark](const sandlock::event &) {}));
            sandlock::supervisor none;
            const auto taken = std::move(none);
            CHECK(!none.try_add_handler("getppid", [mark](notification &) {})); // NOLINT: what is left of it
            CHECK(!none.try_set_log([mark](sandlock::log_level, std::string_view) {}));
        }
        CHECK(*count == 3);
        supervisor->unset_log();
        CHECK(*count == 2);

        // The program outlives the supervisor, and its handler with it.
        sandlock::spawn_options options;
        options.input = sandlock::stdio::pipe();
        options.output = sandlock::stdio::capture();
        auto process = sandlock::spawn(policy, *supervisor, {"dash", "-c", "read line; exec dash -c 'echo $PPID'"}, options);
        supervisor.reset();
        CHECK(*count >= 1);
        const auto result = process.communicate("go\n");
        CHECK_EQUAL(result.output().substr(result.output().size() - 2), "1\n");
    }
    CHECK(all_gone(*count));
}

TEST(answer_after_the_deadline_is_no_exception)
{
    const auto policy = system_policy();
    const auto count = std::make_shared<std::atomic<int>>(0);
    std::promise<void> ended;
    std::atomic<int> answered{0}, complaints{0};
    {
        sandlock::supervisor_options options;
        options.deadline = 50ms;
        options.on_exception = [&](std::exception_ptr) { complaints++; };
        sandlock::supervisor supervisor(options);
        supervisor.add_handler("getppid", [&, mark = counted(count)](notification &call) {
            ended.get_future().wait();
            answered++;
            call.return_value(1); // which throws STALE
            answered++;
        });
        CHECK_EQUAL(sandlock::run(policy, supervisor, print_parent, 20s).output(), "-1\n");
        CHECK(supervisor.stats().overdue == 1);
        ended.set_value();
    }
    CHECK(all_gone(*count));
    CHECK(answered == 1 && complaints == 0);
}
