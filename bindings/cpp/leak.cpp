// Runs programs in every way that ends, and says now and then what this process holds: see scripts/leaks.awk for the lines, and for what is
// made of them. SANDLOCK_LEAK_RUNS says how many runs.
#include <sandlock.hpp>

#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::mutex mutex;
std::condition_variable changed;
int held;

// What a handler captures: counts who still needs it.
struct counted {
    counted() { add(1); }
    counted(const counted &) { add(1); }
    ~counted() { add(-1); }
    static void add(int by)
    {
        const std::lock_guard<std::mutex> locked(mutex);
        held += by;
        changed.notify_all();
    }
};

void check(bool holds, const char *what)
{
    if (!holds)
        throw std::runtime_error(what);
}

const std::vector<std::string> asks_for_parent = {"sh", "-c", "echo $PPID"};

sandlock::supervisor answering()
{
    sandlock::supervisor supervisor;

    supervisor.add_handler("getppid", [needed = counted()](sandlock::notification &call) { call.return_value(7); });
    return supervisor;
}

void plain(const sandlock::policy &policy)
{
    check(sandlock::run(policy, {"echo", "hello"}).output() == "hello\n", "plain");
}

void with_handler(const sandlock::policy &policy)
{
    auto supervisor = answering();

    check(sandlock::run(policy, supervisor, asks_for_parent).output() == "7\n", "with handler");
}

void with_handler_that_throws(const sandlock::policy &policy)
{
    sandlock::supervisor supervisor;

    supervisor.add_handler("getppid", [needed = counted()](sandlock::notification &) { throw std::runtime_error("on purpose"); });
    check(sandlock::run(policy, supervisor, asks_for_parent).output() == "-1\n", "handler that throws");
}

// Answered by this thread; or never, and dropped after the sandbox.
void put_off(const sandlock::policy &policy, bool answered)
{
    auto waiting = std::make_shared<std::optional<sandlock::pending>>();
    sandlock::supervisor supervisor;
    sandlock::spawn_options options;

    options.output = sandlock::stdio::capture();
    supervisor.add_handler("getppid", [needed = counted(), waiting](sandlock::notification &call) {
        auto pending = call.defer();
        const std::lock_guard<std::mutex> locked(mutex);
        waiting->emplace(std::move(pending));
        changed.notify_all();
    });
    std::optional<sandlock::process> process = sandlock::spawn(policy, supervisor, asks_for_parent, options);
    std::unique_lock<std::mutex> locked(mutex);
    changed.wait(locked, [&] { return waiting->has_value(); });
    locked.unlock();
    if (answered) {
        waiting->value().return_value(9);
        check(process->wait().output() == "9\n", "put off and answered");
    }
    process.reset();
    waiting->reset();
}

void with_pipes(const sandlock::policy &policy)
{
    sandlock::spawn_options options;
    char text[8];

    options.input = options.output = sandlock::stdio::pipe();
    auto process = sandlock::spawn(policy, {"cat"}, options);
    auto in = process.take_stdio(sandlock::stream::input), out = process.take_stdio(sandlock::stream::output);
    check(::write(in.get(), "hello", 5) == 5, "write");
    in.close();
    check(::read(out.get(), text, sizeof text) == 5 && ::read(out.get(), text, sizeof text) == 0, "read");
    check(process.wait().exit_code() == 0, "with pipes");
}

void in_conversation(const sandlock::policy &policy)
{
    sandlock::spawn_options options;

    options.input = options.output = sandlock::stdio::pipe();
    check(sandlock::spawn(policy, {"cat"}, options).communicate("hello").output() == "hello", "in conversation");
}

void listened_to(const sandlock::policy &policy)
{
    sandlock::spawn_options options;
    std::string heard;

    options.output = sandlock::stdio::capture();
    {
        auto process = sandlock::spawn(policy, {"echo", "hello"}, options);
        process.listen([&heard](sandlock::stream, std::string_view text) { heard += text; });
        process.wait();
    }
    check(heard == "hello\n", "listened to");
}

void not_started(const sandlock::policy &policy)
{
    check(sandlock::try_run(policy, {"/nope"}).status() == sandlock::status::exec, "not started");
    try {
        sandlock::run(policy, {"/nope"});
        check(false, "not started");
    } catch (const sandlock::error &why) {
        check(why.status() == sandlock::status::exec, "not started");
    }
}

void refused(const sandlock::policy &policy)
{
    auto wrong = policy.clone();

    check(wrong.try_allow_net("tcp://10.1.2.3/8").status() == sandlock::status::invalid_argument, "a rule that is wrong");
    wrong.allow_path("/nope", sandlock::access::read);
    check(sandlock::try_run(wrong, {"true"}).status() == sandlock::status::not_found, "a path that is not there");
}

void killed(const sandlock::policy &policy)
{
    auto process = sandlock::spawn(policy, {"sleep", "60"});

    process.kill();
    check(process.wait().reason() == sandlock::reason::killed, "killed");
}

// On a machine that is busy the time is up before the program is executed.
void timed_out(const sandlock::policy &policy)
{
    const auto result = sandlock::try_run(policy, {"sleep", "60"}, 1ms);

    check(result ? result->reason() == sandlock::reason::timeout : result.status() == sandlock::status::timeout, "timed out");
}

// Destroyed while it runs, by an exception that passes by.
void forgotten(const sandlock::policy &policy)
{
    try {
        auto supervisor = answering();
        sandlock::spawn_options options;
        options.input = options.output = sandlock::stdio::pipe();
        auto process = sandlock::spawn(policy, supervisor, {"cat"}, options);
        check(process.report().level() == sandlock::level::full, "report");
        throw 1;
    } catch (int) {
    }
}

// --- what is held ---

std::size_t entries(const char *directory)
{
    const std::filesystem::directory_iterator all(directory);

    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Threads of the library that still run. Those of handlers end a moment after the last sandbox; their names begin alike.
bool library_runs()
{
    std::error_code gone;

    for (const auto &task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
        std::string name;
        std::ifstream(task.path() / "comm") >> name;
        if (name.rfind("sandlock", 0) == 0)
            return true;
    }
    return false;
}

void say_what_is_held(long runs)
{
    std::unique_lock<std::mutex> locked(mutex);
    std::string key;
    long resident = 0;

    changed.wait(locked, [] { return held == 0; });
    locked.unlock();
    for (int tries = 0; library_runs() && tries < 10000; tries++)
        std::this_thread::sleep_for(1ms);
    malloc_trim(0);
    const auto allocated = mallinfo2();
    siginfo_t info;
    const bool children = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    for (std::ifstream file("/proc/self/status"); file >> key && resident == 0;)
        if (key == "VmRSS:")
            file >> resident;
    std::printf("held %ld %zu %zu %d %ld %zu\n", runs, entries("/proc/self/fd"), entries("/proc/self/task"), children, resident,
                allocated.uordblks + allocated.hblkhd);
    std::fflush(stdout);
}

} // namespace

int main()
{
    using way = std::function<void(const sandlock::policy &)>;
    const way ways[] = {plain, with_handler, with_handler_that_throws, with_pipes, in_conversation, listened_to, not_started, refused,
                        killed, timed_out, forgotten, [](const auto &policy) { put_off(policy, true); },
                        [](const auto &policy) { put_off(policy, false); }};
    const char *wanted = std::getenv("SANDLOCK_LEAK_RUNS");
    const long runs = wanted ? std::atol(wanted) : 1000;

    try {
        sandlock::policy policy;
        for (const char *directory : {"/usr", "/bin", "/lib", "/lib64"})
            policy.allow_path(directory, sandlock::access::read_execute | sandlock::access::optional);
        policy.clear_env();
        for (long i = 1; i <= runs; i++) {
            ways[static_cast<std::size_t>(i) % std::size(ways)](policy);
            if (i % (runs / 5) == 0)
                say_what_is_held(i);
        }
    } catch (const std::exception &why) {
        std::cout << "# not so: " << why.what() << "\n";
        return 1;
    }
}
