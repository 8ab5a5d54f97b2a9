// The scenarios that every language shares (bindings/scenarios.txt), by this binding.
#include "trial.hpp"

#include <csignal>
#include <cstdio>
#include <iterator>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

using namespace std::chrono_literals;
using namespace scenarios;

/// What became of a run.
struct outcome {
    std::optional<sandlock::error> why;
    std::optional<sandlock::result> result;
    std::string output, errors;
};

static std::string read_all(int fd)
{
    std::string all;
    char buffer[4096];

    for (ssize_t count; (count = read(fd, buffer, sizeof buffer)) > 0;)
        all.append(buffer, static_cast<std::size_t>(count));
    return all;
}

static std::string read_line(int fd)
{
    std::string line;

    for (char c; read(fd, &c, 1) == 1 && c != '\n';)
        line += c;
    return line;
}

/// Talks with the program as the steps say. Who cancels is another thread than who waits.
static void take_steps(trial &trial, const scenario &what, sandlock::process &process, outcome &outcome)
{
    auto input = process.take_stdio(sandlock::stream::input);
    const auto output = process.take_stdio(sandlock::stream::output);
    const auto errors = process.take_stdio(sandlock::stream::errors);
    std::future<void> cancelled;
    const verbs known = {
        {"say",
         [&](auto &text, auto &) {
             if (write(input.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
                 throw std::runtime_error("nobody hears \"" + text + "\"");
         }},
        {"hear",
         [&](auto &text, auto &) {
             const std::string line = read_line(output.get());
             if (line != text)
                 throw std::runtime_error("heard \"" + line + "\", not \"" + text + "\"");
         }},
        {"asked", [&](auto &, auto &) { trial.asked(); }},
        {"cancel", [&](auto &, auto &) { cancelled = std::async(std::launch::async, [&] { process.kill(); }); }},
        {"signal", [&](auto &text, auto &) { process.signal(std::stoi(text)); }},
        {"net", [&](auto &text, auto &) { process.update_net({text}); }},
        {"net-none", [&](auto &, auto &) { process.update_net({}); }},
        {"net-reset", [&](auto &, auto &) { process.reset_net(); }},
    };

    for (const line *step : what.all("step"))
        known.at(step->words[0])(step->words.size() > 1 ? trial.expand(step->words[1]) : "", "");
    input.close();
    outcome.output = read_all(output.get());
    outcome.errors = read_all(errors.get());
    outcome.result = process.wait_for(30s);
    if (cancelled.valid())
        cancelled.get();
}

static outcome run_once(trial &trial, const scenario &what, const sandlock::policy &policy, int number)
{
    std::vector<std::string> argv;
    sandlock::spawn_options piped;
    outcome outcome;

    piped.input = piped.output = piped.errors = sandlock::stdio::pipe();
    for (const line *each : what.all("arg"))
        argv.push_back(trial.expand(each->words[0], number));
    const auto spawn = [&] {
        auto *supervisor = trial.supervisor();
        return supervisor ? sandlock::spawn(policy, *supervisor, argv, piped) : sandlock::spawn(policy, argv, piped);
    };
    try {
        if (what.get("step")) {
            auto process = spawn();
            take_steps(trial, what, process, outcome);
            return outcome;
        }
        if (const auto input = what.get("stdin")) {
            outcome.result = spawn().communicate_for(trial.expand(*input, number), 30s);
        } else {
            const std::chrono::milliseconds time(std::stoi(what.get("timeout").value_or("30000")));
            auto *supervisor = trial.supervisor();
            outcome.result = supervisor ? sandlock::run(policy, *supervisor, argv, time) : sandlock::run(policy, argv, time);
        }
        outcome.output = outcome.result.value().output();
        outcome.errors = outcome.result->errors();
    } catch (const sandlock::error &why) {
        outcome.why = why;
    }
    return outcome;
}

// -- what is expected --

static std::string content(const std::filesystem::path &path)
{
    std::ifstream file(path, std::ios::binary);

    return file ? std::string(std::istreambuf_iterator<char>(file), {}) : "(no file)";
}

static std::string limit_of(const sandlock::result &result)
{
    return std::string(limits.begin()[static_cast<std::size_t>(result.limit().value_or(sandlock::limit{}))]);
}

/// Whether `what` is as it is expected to be; otherwise "found" says what it is.
static bool holds(trial &trial, const std::vector<std::string> &words, int number, const outcome &outcome, std::string &found)
{
    const std::string &what = words[0], text = words.size() > 1 ? trial.expand(words[1], number) : "";
    const auto result = [&]() -> const sandlock::result & { return outcome.result.value(); };
    const auto why = [&]() -> const sandlock::error & { return outcome.why.value(); };
    const std::map<std::string, std::function<std::string()>> values = {
        {"reason", [&] { return reasons.begin()[static_cast<std::size_t>(result().reason())]; }},
        {"limit", [&] { return limit_of(result()); }},
        {"code", [&] { return std::to_string(result().exit_code()); }},
        {"signal", [&] { return std::to_string(result().signal()); }},
        {"stdout", [&] { return outcome.output; }},
        {"no-stdout", [&] { return outcome.output; }},
        {"stderr", [&] { return outcome.errors; }},
        {"no-stderr", [&] { return outcome.errors; }},
        {"error", [&] { return std::string(sandlock::status_name(why().status())); }},
        {"stage", [&] { return stages.begin()[static_cast<std::size_t>(why().stage())]; }},
        {"errno", [&] { return std::to_string(why().errno_value()); }},
        {"message", [&] { return std::string(why().message()); }},
        {"calls", [&] { return std::to_string(trial.calls()); }},
    };

    if (what == "stdout-has" || what == "stdout-lacks")
        return (found = outcome.output).find(text) != std::string::npos ? what == "stdout-has" : what == "stdout-lacks";
    if (what == "stderr-has")
        return (found = outcome.errors).find(text) != std::string::npos;
    if (what == "file")
        return (found = content(trial.tree() / words[1])) == words[2];
    if (what == "gone")
        return (found = content(trial.tree() / words[1])) == "(no file)";
    return (found = values.at(what)()) == text;
}

/// What is not as expected.
static void check(trial &trial, const scenario &what, int number, const outcome &outcome, std::vector<std::string> &failures)
{
    const auto expected = what.all("expect");
    const bool error = std::any_of(expected.begin(), expected.end(), [](const line *each) { return each->words[0] == "error"; });

    if (outcome.why && !error) {
        failures.push_back(std::string("it failed: ") + outcome.why->what());
        return;
    }
    if (!outcome.why && error) {
        failures.push_back("it did not fail");
        return;
    }
    for (const line *each : expected) {
        std::string found;
        if (!holds(trial, each->words, number, outcome, found))
            failures.push_back("run " + std::to_string(number) + ": " + each->words[0] + " \"" +
                               (each->words.size() > 1 ? each->words.back() : "") + "\" was expected, and is \"" + found + "\"");
    }
}

static std::vector<std::string> failures_of(const table &all, const scenario &what, int port, int other)
{
    std::vector<std::string> failures;
    std::vector<outcome> outcomes;
    trial trial(all, what, port, other);

    try {
        const auto policy = trial.policy();
        trial.supervise();
        std::vector<std::future<outcome>> runs;
        const auto run = [&](int number) { return run_once(trial, what, policy, number); };
        const auto concurrent = what.get("concurrent");
        for (int number = 1; concurrent && number < std::stoi(*concurrent); number++)
            runs.push_back(std::async(std::launch::async, run, number));
        outcomes.push_back(run(0));
        for (auto &each : runs)
            outcomes.push_back(each.get());
    } catch (const sandlock::error &why) {
        outcomes.push_back({why, std::nullopt, "", ""});
    }
    trial.end();
    for (std::size_t i = 0; i < outcomes.size(); i++)
        check(trial, what, static_cast<int>(i), outcomes[i], failures);
    return failures;
}

/// A server of the host's on 127.0.0.1, at which nobody need accept: the kernel makes the connections.
static int serve()
{
    static std::vector<sandlock::descriptor> open_ones;
    sockaddr_in address{};
    socklen_t length = sizeof address;

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = open_ones.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)).get();
    if (bind(fd, reinterpret_cast<sockaddr *>(&address), length) || listen(fd, 128) ||
        getsockname(fd, reinterpret_cast<sockaddr *>(&address), &length))
        throw std::runtime_error("no server");
    return ntohs(address.sin_port);
}

int main()
{
    const char *path = std::getenv("SANDLOCK_SCENARIOS");
    std::ifstream file(path ? path : "");
    const reader reader(file);
    const int port = serve(), other = serve();
    int failed = 0;

    std::signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (reader.bad())
        return 2;
    for (const scenario &what : reader.read_table().list) {
        std::vector<std::string> failures;
        try {
            failures = failures_of(reader.read_table(), what, port, other);
        } catch (const std::exception &why) {
            failures.push_back(why.what());
        }
        for (std::string &failure : failures) {
            std::replace(failure.begin(), failure.end(), '\n', '|');
            std::cout << "# " << what.name << ": " << failure << "\n";
        }
        std::cout << (failures.empty() ? "ok" : "not ok") << " scenario " << what.name << std::endl;
        failed += !failures.empty();
    }
    return failed != 0;
}
