// What the tests of the C++ binding share. A test program includes this, has its tests by TEST(name) { ... }, and prints one line for each.
#ifndef SANDLOCK_TEST_SUPPORT_HPP
#define SANDLOCK_TEST_SUPPORT_HPP

#include <sandlock.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace test {

inline int failures = 0;

struct registered {
    registered(const char *name, void (*run)()) { list().push_back({name, run}); }

    static std::vector<std::pair<const char *, void (*)()>> &list()
    {
        static std::vector<std::pair<const char *, void (*)()>> all;
        return all;
    }
};

inline bool check(bool holds, const char *what, const char *file, int line)
{
    if (!holds) {
        failures++;
        std::printf("# %s:%d: not so: %s\n", file, line, what);
    }
    return holds;
}

inline bool check_equal(std::string_view found, std::string_view expected, const char *file, int line)
{
    if (found != expected) {
        failures++;
        std::printf("# %s:%d: found \"%.*s\", not \"%.*s\"\n", file, line, static_cast<int>(found.size()), found.data(),
                    static_cast<int>(expected.size()), expected.data());
    }
    return found == expected;
}

inline bool check_contains(std::string_view text, std::string_view part, const char *file, int line)
{
    const bool holds = text.find(part) != std::string_view::npos;

    if (!holds) {
        failures++;
        std::printf("# %s:%d: \"%.*s\" does not contain \"%.*s\"\n", file, line, static_cast<int>(text.size()), text.data(),
                    static_cast<int>(part.size()), part.data());
    }
    return holds;
}

#define CHECK(...) test::check(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_EQUAL(found, expected) test::check_equal((found), (expected), __FILE__, __LINE__)
#define CHECK_CONTAINS(text, part) test::check_contains((text), (part), __FILE__, __LINE__)
#define TEST(name)                                              \
    static void name();                                         \
    static const test::registered registered_##name(#name, name); \
    static void name()

inline int run_all()
{
    int failed = 0;

    for (const auto &[name, run] : registered::list()) {
        failures = 0;
        try {
            run();
        } catch (const std::exception &why) {
            failures++;
            std::printf("# thrown: %s\n", why.what());
        }
        std::printf("%s %s\n", failures ? "not ok" : "ok", name);
        std::fflush(stdout);
        failed += failures != 0;
    }
    return failed != 0;
}

/// The error that `call` throws; a failed test and INTERNAL if it throws none.
template <class Call>
sandlock::error thrown_by(Call call)
{
    try {
        call();
    } catch (const sandlock::error &why) {
        return why;
    }
    check(false, "an error was thrown", __FILE__, __LINE__);
    return {sandlock::status::internal, sandlock::stage::none, "nothing was thrown"};
}

/// Everything it takes to run programs of the system; nothing else.
inline sandlock::policy system_policy()
{
    sandlock::policy policy;

    for (const char *directory : {"/usr", "/bin", "/lib", "/lib64"})
        policy.allow_path(directory, sandlock::access::read_execute | sandlock::access::optional);
    policy.clear_env();
    return policy;
}

/// A directory of the test's own, removed in the end.
class tree {
public:
    tree()
    {
        std::string name = (std::filesystem::temp_directory_path() / "sandlock-cpp-XXXXXX").string();

        if (!mkdtemp(name.data()))
            throw std::runtime_error("mkdtemp failed");
        path_ = name;
    }
    ~tree()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    tree(const tree &) = delete;
    tree &operator=(const tree &) = delete;

    std::filesystem::path operator/(const char *name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path &path, std::string_view text)
{
    std::ofstream file(path);

    file << text;
    if (!file.flush())
        throw std::runtime_error("cannot write " + path.string());
}

/// Open descriptors ("fd") or threads ("task") of this process.
inline long count_entries(const char *directory)
{
    using entries = std::filesystem::directory_iterator;

    return static_cast<long>(std::distance(entries(std::filesystem::path("/proc/self") / directory), entries()));
}

/// Threads, as soon as they are no more than `most`: the kernel lists one a moment longer than it is joined. After two seconds, as
/// they are.
inline long threads_down_to(long most)
{
    const auto start = std::chrono::steady_clock::now();
    long now = count_entries("task");

    while (now > most && std::chrono::steady_clock::now() - start < std::chrono::seconds(2))
        now = count_entries("task");
    return now;
}

} // namespace test

int main()
{
    return test::run_all();
}

#endif
