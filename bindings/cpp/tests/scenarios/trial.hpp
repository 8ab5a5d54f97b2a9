// One scenario being tried: its policy, and the handlers that look at the calls of its runs.
#ifndef SCENARIOS_TRIAL_HPP
#define SCENARIOS_TRIAL_HPP

#include "table.hpp"

#include <sandlock.hpp>

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace scenarios {

using verbs = std::map<std::string, std::function<void(const std::string &, const std::string &)>>;

/// What stands for names that the table has: the position of a name is its number.
template <class Enumeration>
Enumeration named(std::initializer_list<std::string_view> names, const std::string &name)
{
    const auto found = std::find(names.begin(), names.end(), name);

    if (found == names.end())
        throw std::runtime_error("\"" + name + "\" is a name of nothing");
    return static_cast<Enumeration>(found - names.begin());
}

inline const auto stages = {"none", "arguments", "policy", "landlock", "seccomp", "descriptors", "spawn", "process", "cwd",
                            "limits", "privileges", "exec", "wait", "supervisor", "namespaces", "network"};
inline const auto reasons = {"unknown", "exited", "signaled", "timeout", "limit", "killed", "lost"};
inline const std::initializer_list<std::string_view> limits = {
    "none", "cpu", "nofile", "fsize", "core", "data", "as", "stack", "nproc", "memlock", "processes",
    "threads", "memory", "cpu-total", "wall", "cpu-share", "disk"};

inline sandlock::limit limit_named(const std::string &name)
{
    return named<sandlock::limit>(limits, name);
}

inline sandlock::access access_named(std::string name)
{
    static const std::map<std::string, sandlock::access> known = {
        {"read", sandlock::access::read},
        {"write", sandlock::access::write},
        {"read-execute", sandlock::access::read_execute},
        {"read-write", sandlock::access::read | sandlock::access::write},
    };
    const bool optional = !name.empty() && name.back() == '?';

    if (optional)
        name.pop_back();
    return optional ? known.at(name) | sandlock::access::optional : known.at(name);
}

/// What all runs of a scenario share.
class trial {
public:
    trial(const table &all, const scenario &what, int port, int other)
        : all_(all), what_(what), port_(std::to_string(port)), other_(std::to_string(other))
    {
        std::string path = (std::filesystem::temp_directory_path() / "sandlock-scenario-XXXXXX").string();

        if (!mkdtemp(path.data()))
            throw std::runtime_error("mkdtemp failed");
        tree_ = path;
        for (const line *file : what.all("file"))
            std::ofstream(tree_ / file->words[0]) << file->words[1];
    }
    ~trial()
    {
        end();
        std::error_code ignored;
        std::filesystem::remove_all(tree_, ignored);
    }
    trial(const trial &) = delete;
    trial &operator=(const trial &) = delete;

    const std::filesystem::path &tree() const { return tree_; }
    sandlock::supervisor *supervisor() { return supervisor_ ? &*supervisor_ : nullptr; }

    /// A text with {tree}, {pid}, {port}, {other} and {n}, the number of the run, as what they stand for.
    std::string expand(std::string text, int run = 0) const
    {
        const std::pair<std::string, std::string> values[] = {{"{tree}", tree_.string()}, {"{pid}", std::to_string(getpid())},
                                                              {"{port}", port_}, {"{other}", other_}, {"{n}", std::to_string(run)}};

        for (const auto &[name, value] : values)
            for (std::size_t at = 0; (at = text.find(name, at)) != text.npos; at += value.size())
                text.replace(at, name.size(), value);
        return text;
    }

    sandlock::policy policy() const
    {
        std::string toml;

        for (const line *each : what_.all("toml"))
            toml += expand(each->words[0]) + "\n";
        if (!toml.empty())
            return sandlock::policy::from_toml(toml);
        sandlock::policy policy;
        for (const line &each : all_.base)
            apply(policy, each);
        for (const line *each : what_.all("rule"))
            apply(policy, *each);
        return policy;
    }

    /// Makes a supervisor, if there are handlers.
    void supervise()
    {
        if (!what_.get("handler"))
            return;
        sandlock::supervisor_options options;
        if (const auto deadline = what_.get("deadline"))
            options.deadline = std::chrono::milliseconds(std::stoi(*deadline));
        supervisor_.emplace(options);
        for (const line *each : what_.all("handler")) {
            const auto &words = each->words;
            if (words[1] == "later-loop") {
                supervisor_->add_queue(words[0]);
                serve_queue(std::stoi(words[2]));
            } else {
                supervisor_->add_handler(words[0], [this, words, mark = held_](sandlock::notification &call) {
                    return handle(words, call);
                });
            }
        }
    }

    /// When all runs have ended: until nobody needs the handlers any more.
    void end()
    {
        {
            const std::lock_guard<std::mutex> guard(mutex_);
            over_ = true;
        }
        changed_.notify_all();
        if (loop_.joinable()) {
            eventfd_write(stop_.get(), 1);
            loop_.join();
        }
        for (std::thread &thread : answering_)
            thread.join();
        answering_.clear();
        waiting_.clear();
        supervisor_.reset();
        while (held_.use_count() > 1)
            std::this_thread::yield();
    }

    int calls()
    {
        const std::lock_guard<std::mutex> guard(mutex_);
        return calls_;
    }

    /// Waits until a handler was asked.
    void asked()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return calls_ > 0; });
    }

private:
    void apply(sandlock::policy &policy, const line &rule) const
    {
        using namespace sandlock;
        const verbs known = {
            {"allow-path", [&](auto &a, auto &b) { policy.allow_path(b, access_named(a)); }},
            {"clear-env", [&](auto &, auto &) { policy.clear_env(); }},
            {"set-env", [&](auto &a, auto &b) { policy.set_env(a, b); }},
            {"unset-env", [&](auto &a, auto &) { policy.unset_env(a); }},
            {"set-cwd", [&](auto &a, auto &) { policy.set_cwd(a); }},
            {"set-umask", [&](auto &a, auto &) { policy.set_umask(static_cast<std::uint32_t>(std::stoul(a, nullptr, 8))); }},
            {"syscalls", [&](auto &a, auto &) { policy.set_syscall_default(named<syscalls>({"none", "denylist", "allowlist"}, a)); }},
            {"allow-syscall", [&](auto &a, auto &) { policy.allow_syscall(a); }},
            {"deny-syscall", [&](auto &a, auto &b) { policy.deny_syscall(a, std::stoi(b)); }},
            {"limit", [&](auto &a, auto &b) { policy.set_limit(limit_named(a), std::stoull(b)); }},
            {"grace", [&](auto &a, auto &b) { policy.set_grace(std::stoi(a), std::chrono::milliseconds(std::stoi(b))); }},
            {"flag",
             [&](auto &a, auto &) {
                 policy.set_flag(named<flag>({"none", "no-aslr", "no-coredump", "no-huge-pages", "all-threads", "no-supervisor",
                                              "wait-for-descendants", "memory-kills-largest", "output-kills", "net-updates",
                                              "port-remap"},
                                             a));
             }},
            {"strictness",
             [&](auto &a, auto &b) {
                 policy.set_strictness(named<feature>({"all", "files", "files-refer", "files-truncate", "files-ioctl-dev",
                                                       "files-metadata", "network", "signal-scope", "abstract-unix-scope", "syscalls",
                                                       "no-new-privs", "capabilities", "descriptors", "session", "parent-death",
                                                       "kill-all"},
                                                      a),
                                       named<strictness>({"none", "require", "best-effort", "disable"}, b));
             }},
            {"allow-net", [&](auto &a, auto &) { policy.allow_net(a); }},
            {"deny-net", [&](auto &a, auto &) { policy.deny_net(a); }},
            {"allow-bind", [&](auto &a, auto &) { policy.allow_bind(a); }},
            {"deny-bind", [&](auto &a, auto &) { policy.deny_bind(a); }},
        };
        const auto word = [&](std::size_t index) { return index < rule.words.size() ? expand(rule.words[index]) : std::string(); };

        known.at(rule.words[0])(word(1), word(2));
    }

    void count_call()
    {
        {
            const std::lock_guard<std::mutex> guard(mutex_);
            calls_++;
        }
        changed_.notify_all();
    }

    /// Keeps a call waiting. Gives all that wait if these are `most` then.
    std::vector<sandlock::pending> keep_waiting(sandlock::notification &call, std::size_t most)
    {
        const std::lock_guard<std::mutex> guard(mutex_);

        waiting_.push_back(call.defer());
        return waiting_.size() == most ? std::move(waiting_) : std::vector<sandlock::pending>();
    }

    void later(sandlock::notification &call, std::function<void(sandlock::pending &)> answer)
    {
        const std::lock_guard<std::mutex> guard(mutex_);
        answering_.emplace_back([pending = call.defer(), answer]() mutable { answer(pending); });
    }

    sandlock::handled handle(const std::vector<std::string> &words, sandlock::notification &call)
    {
        const std::string &action = words[1];
        const auto number = [&](std::size_t index) { return std::stoi(words.at(index)); };

        count_call();
        if (action == "pass")
            return sandlock::handled::pass;
        if (action == "throws")
            throw std::runtime_error("of the handler");
        if (action == "bytes" || action == "file") {
            if (call.syscall_name() != "openat" || call.read_string(call.arg(1)) != words[2])
                return sandlock::handled::pass;
            if (action == "bytes")
                call.return_bytes(words[3]);
            else
                call.return_fd(sandlock::descriptor(open((tree_ / words[3]).c_str(), O_RDONLY | O_CLOEXEC)).get());
        } else if (action == "hangs") {
            std::unique_lock<std::mutex> lock(mutex_);
            changed_.wait(lock, [this] { return over_; });
        } else if (action == "write") {
            call.write(call.arg(0), sandlock::bytes(words[2].c_str(), words[2].size() + 1));
            call.return_value(0);
        } else if (action == "gather") {
            auto all = keep_waiting(call, static_cast<std::size_t>(number(2)));
            std::for_each(all.rbegin(), all.rend(), [&](sandlock::pending &each) { each.return_value(number(3)); });
        } else if (action == "never") {
            keep_waiting(call, 0);
        } else if (action == "later-thread") {
            later(call, [value = number(2)](sandlock::pending &pending) { pending.return_value(value); });
        } else if (action == "later-errno") {
            later(call, [value = number(2)](sandlock::pending &pending) { pending.deny(value); });
        } else if (action == "value") {
            call.return_value(number(2));
        } else if (action == "errno") {
            call.deny(number(2));
        } else if (action == "run") {
            call.let_run();
        } else if (action == "kill") {
            call.kill();
        }
        return sandlock::handled::done; // "silent" leaves it at that
    }

    /// A loop of the host's that answers the calls in the queue.
    void serve_queue(int value)
    {
        stop_ = sandlock::descriptor(eventfd(0, EFD_CLOEXEC));
        loop_ = std::thread([this, value] {
            pollfd ready[] = {{supervisor_->fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
            while (poll(ready, 2, -1) > 0 && !ready[1].revents)
                if (auto pending = supervisor_->next(std::chrono::seconds(0))) {
                    count_call();
                    pending->return_value(value);
                }
        });
    }

    const table &all_;
    const scenario &what_;
    std::string port_, other_;
    std::filesystem::path tree_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int calls_ = 0;
    bool over_ = false;
    std::vector<sandlock::pending> waiting_;
    std::vector<std::thread> answering_;
    sandlock::descriptor stop_;
    std::thread loop_;
    /// As many times as there are handlers that the library needs still.
    std::shared_ptr<int> held_ = std::make_shared<int>(0);
    std::optional<sandlock::supervisor> supervisor_;
};

} // namespace scenarios

#endif
