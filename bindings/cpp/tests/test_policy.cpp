// Policies, what they keep from programs, limits, and what is said when something does not work.
#include "support.hpp"

#include <array>
#include <list>
#include <set>

#include <cerrno>
#include <csignal>
#include <sys/resource.h>
#include <sys/wait.h>

using namespace std::chrono_literals;
using test::system_policy;
using test::thrown_by;

TEST(limit_of_wall_time_ends_the_sandbox)
{
    auto policy = system_policy();

    policy.set_limit(sandlock::limit::wall, 0.2s);
    const auto result = sandlock::run(policy, {"sleep", "60"}, 20s);
    CHECK(result.reason() == sandlock::reason::limit);
    CHECK(result.limit() == sandlock::limit::wall);
    CHECK(result.limit_value() == 200);
    CHECK(result.limit_reading() >= 200);
    CHECK(result.exit_code() == -1);
    CHECK(result.signal() == SIGKILL);
    CHECK(result.usage().wall >= 200ms);
}

TEST(limits_of_processes_and_files_hold)
{
    auto policy = system_policy();

    policy.set_limit(sandlock::limit::nofile, 17).set_limit(sandlock::limit::cpu, 1500ms);
    CHECK_EQUAL(sandlock::run(policy, {"sh", "-c", "ulimit -n; ulimit -t"}, 20s).output(), "17\n2\n");
    CHECK(policy.try_set_limit(sandlock::limit::memory, -1).status() == sandlock::status::invalid_argument);
    CHECK(policy.try_set_limit(sandlock::limit::memory, sandlock::unlimited).has_value());
    CHECK(policy.try_set_limit(sandlock::limit::nofile, 1s).status() == sandlock::status::invalid_argument);
    CHECK(policy.try_set_limit(sandlock::limit::wall, -1s).status() == sandlock::status::invalid_argument);
    CHECK(policy.try_set_limit(sandlock::limit::wall, 0s).status() == sandlock::status::invalid_argument);
    CHECK(policy.try_set_limit(sandlock::limit::wall, std::chrono::hours::max()).status() ==
          sandlock::status::invalid_argument);
}

TEST(unknown_program_is_told_with_stage_and_errno)
{
    const auto policy = system_policy();
    const auto why = thrown_by([&] { sandlock::run(policy, {"/usr/bin/no-such-program"}); });

    CHECK(why.status() == sandlock::status::exec);
    CHECK(why.stage() == sandlock::stage::exec);
    CHECK(why.errno_value() == ENOENT);
    CHECK_CONTAINS(why.what(), "/usr/bin/no-such-program");
    CHECK_CONTAINS(why.message(), "No such file or directory");

    // The same without exceptions.
    const auto tried = sandlock::try_run(policy, {"/usr/bin/no-such-program"});
    CHECK(!tried && tried.status() == sandlock::status::exec);
    CHECK_EQUAL(tried.error().message(), why.message());
    CHECK_EQUAL(thrown_by([&] { static_cast<void>(tried.value()); }).message(), why.message());
}

TEST(bad_rules_are_told_with_their_place)
{
    sandlock::policy policy;
    const auto why = thrown_by([&] { policy.allow_net("tcp://10.1.2.3/8"); });

    CHECK(why.status() == sandlock::status::invalid_argument);
    CHECK(why.stage() == sandlock::stage::arguments);
    CHECK_CONTAINS(why.message(), "rule \"tcp://10.1.2.3/8\", column 7");
    CHECK_CONTAINS(policy.try_deny_net("example.com").error().message(), "example.com");
    CHECK_CONTAINS(policy.try_allow_bind("80,x").error().message(), "column");
    CHECK_CONTAINS(policy.try_deny_bind("0").error().message(), "column");
    CHECK_CONTAINS(policy.try_allow_syscall("no_such_call").error().message(), "no_such_call");
    CHECK_CONTAINS(policy.try_allow_path("", sandlock::access::read).error().message(), "path");
    CHECK_CONTAINS(sandlock::policy::try_from_toml("\n\n[filesyst]\n").error().message(), "line 3, column");

    policy.allow_path("/no/such/file", sandlock::access::read);
    CHECK(policy.try_check().status() == sandlock::status::not_found);
    CHECK_CONTAINS(thrown_by([&] { policy.check(); }).message(), "/no/such/file");
}

/// C would end the string there, and grant something else.
TEST(strings_with_a_nul_inside_are_refused)
{
    using namespace std::string_literals;
    auto policy = system_policy();
    const auto before = policy.to_toml();

    for (const auto &tried : {
             policy.try_allow_path("/tmp\0/work"s, sandlock::access::all),
             policy.try_set_env("NAME", "a\0b"s),
             policy.try_set_env("NA\0ME"s, "a"),
             policy.try_allow_net("tcp://*:80\0,81"s),
             policy.try_add_mount("/usr", "/mnt\0x"s),
             policy.try_set_cwd("/\0x"s),
         }) {
        CHECK(tried.status() == sandlock::status::invalid_argument);
        CHECK_CONTAINS(tried.error().message(), "NUL");
    }
    CHECK_EQUAL(policy.to_toml(), before);
    CHECK(sandlock::try_run(policy, {"true\0x"s}).status() == sandlock::status::invalid_argument);
    sandlock::spawn_options options;
    options.name = "a\0b"s;
    CHECK(sandlock::try_spawn(policy, {"true"}, options).status() == sandlock::status::invalid_argument);
}

TEST(policies_are_written_and_read_back)
{
    auto policy = system_policy();

    policy.allow_path("/tmp", sandlock::access::all)
        .allow_syscall("ptrace")
        .deny_syscall("getppid", ENOSYS)
        .set_syscall_default(sandlock::syscalls::allowlist)
        .set_limit(sandlock::limit::memory, 1 << 28)
        .set_grace(SIGTERM, 300ms)
        .set_env("NAME", "value")
        .unset_env("LD_PRELOAD")
        .set_cwd("/")
        .set_umask(027)
        .set_nice(5)
        .set_cpus({0, 1})
        .set_user(1000, 1001)
        .set_namespace(sandlock::ns::ipc)
        .set_flag(sandlock::flag::no_coredump)
        .set_strictness(sandlock::feature::network, sandlock::strictness::best_effort)
        .set_cgroup("/sys/fs/cgroup/x")
        .allow_net("tcp://127.0.0.1:80")
        .deny_net("10.0.0.0/8")
        .allow_bind("8000-8010")
        .deny_bind("8005")
        .set_net_refresh(1min)
        .set_root("")
        .add_mount("/usr", "/usr")
        .add_mount("/tmp", "/work", sandlock::mount_mode::writable)
        .add_memory_mount("/tmp", 1 << 20);
    const std::string text = policy.to_toml();
    for (const char *part : {"\"/tmp\"", "ptrace", "ENOSYS", "allowlist", "memory", "[15, 300]", "NAME = \"value\"", "LD_PRELOAD = false",
                             "cwd = \"/\"", "nice = 5", "cpus = [0, 1]", "user = [1000, 1001]", "ipc", "no-coredump", "best-effort",
                             "/sys/fs/cgroup/x", "127.0.0.1:80", "10.0.0.0/8", "8000-8010", "8005", "refresh = 60",
                             "target = \"/work\", write = true"})
        CHECK_CONTAINS(text, part);
    CHECK_EQUAL(sandlock::policy::from_toml(text).to_toml(), text);
    CHECK_EQUAL(policy.clone().to_toml(), text);
    CHECK_EQUAL(sandlock::policy::from_toml({}).to_toml(), sandlock::policy().to_toml());

    // What was set can be taken back.
    policy.unset_root().unset_cgroup().set_namespace(sandlock::ns::ipc, false).set_flag(sandlock::flag::no_coredump, false);
    const std::string without = policy.to_toml();
    for (const char *part : {"root =", "cgroup =", "\"ipc\"", "no-coredump"})
        CHECK(without.find(part) == std::string::npos);
}

TEST(ranges_of_any_kind_are_arguments_and_processors)
{
    const auto policy = system_policy();
    const std::vector<std::string> strings{"echo", "a b", ""};
    const std::list<const char *> pointers{"echo", "a b", ""};
    const std::array<std::string_view, 3> views{"echo", "a b", ""};
    const std::vector<std::filesystem::path> paths{"echo", "a b", ""};
    const char *const array[] = {"echo", "a b", ""};
    const char *const ended[] = {"echo", "a b", "", nullptr, "c"};

    for (const auto &list : {sandlock::string_list(strings), sandlock::string_list(pointers), sandlock::string_list(views),
                             sandlock::string_list(paths), sandlock::string_list(array), sandlock::string_list(ended),
                             sandlock::string_list{"echo", "a b", "", nullptr}, sandlock::string_list{array[0], views[1], ""}})
        CHECK_EQUAL(sandlock::run(policy, list, 20s).output(), "a b \n");
    CHECK(sandlock::try_run(policy, {}).status() == sandlock::status::invalid_argument);
    CHECK(sandlock::try_run(policy, {nullptr}).status() == sandlock::status::invalid_argument);
    // A path would be a list of its parts, and a string one of characters.
    static_assert(!std::is_constructible_v<sandlock::string_list, std::filesystem::path>);
    static_assert(!std::is_constructible_v<sandlock::string_list, std::string>);

    CHECK(sandlock::bytes("abc").size() == 3);
    CHECK(sandlock::bytes(strings[1]).size() == 3);
    CHECK(sandlock::bytes(std::vector<unsigned char>(5)).size() == 5);
    static_assert(!std::is_constructible_v<sandlock::bytes, char (&)[16]>);
    static_assert(!std::is_constructible_v<sandlock::bytes, std::vector<int>>);

    sandlock::policy cpus;
    CHECK_CONTAINS(cpus.set_cpus(std::set<unsigned>{1, 0}).to_toml(), "cpus = [0, 1]");
    CHECK(cpus.try_set_cpus(std::vector<long>{-1}).status() == sandlock::status::invalid_argument);
    CHECK(cpus.try_set_cpus(std::vector<std::uint64_t>{std::uint64_t{1} << 32}).status() == sandlock::status::invalid_argument);
    CHECK(cpus.try_set_cpus(std::vector<int>{}).status() == sandlock::status::invalid_argument);
}

TEST(owners_move_and_do_not_copy)
{
    static_assert(!std::is_copy_constructible_v<sandlock::policy> && std::is_nothrow_move_constructible_v<sandlock::policy>);
    static_assert(!std::is_copy_constructible_v<sandlock::process> && std::is_nothrow_move_constructible_v<sandlock::process>);
    static_assert(!std::is_copy_constructible_v<sandlock::result> && std::is_nothrow_move_constructible_v<sandlock::result>);
    static_assert(!std::is_copy_constructible_v<sandlock::report> && std::is_nothrow_move_constructible_v<sandlock::report>);
    static_assert(!std::is_copy_constructible_v<sandlock::pending> && std::is_nothrow_move_constructible_v<sandlock::pending>);
    static_assert(!std::is_copy_constructible_v<sandlock::supervisor> && std::is_nothrow_move_constructible_v<sandlock::supervisor>);
    static_assert(!std::is_copy_constructible_v<sandlock::descriptor> && std::is_nothrow_move_constructible_v<sandlock::descriptor>);
    static_assert(!std::is_move_constructible_v<sandlock::notification> && !std::is_move_constructible_v<sandlock::event>);
    static_assert(std::is_nothrow_copy_constructible_v<sandlock::error>);

    auto policy = system_policy();
    auto moved = std::move(policy);
    CHECK(sandlock::run(moved, {"true"}, 20s).succeeded());
    CHECK(sandlock::try_run(policy, {"true"}).status() == sandlock::status::invalid_argument); // NOLINT: what is left of it
    CHECK(policy.try_clone().status() == sandlock::status::state);
    CHECK(policy.try_set_nice(1).status() == sandlock::status::invalid_argument);

    // A supervisor that is none must not come to mean that nobody supervises.
    sandlock::supervisor supervisor;
    const auto taken = std::move(supervisor);
    CHECK(sandlock::try_run(moved, supervisor, {"true"}).status() == sandlock::status::invalid_argument);
    CHECK(sandlock::try_spawn(moved, supervisor, {"true"}).status() == sandlock::status::invalid_argument);
}

TEST(times_are_rounded_up_and_never_become_forever)
{
    using sandlock::timeout;

    CHECK(timeout(1us).milliseconds() == 1);
    CHECK(timeout(1500us).milliseconds() == 2);
    CHECK(timeout(2s).milliseconds() == 2000);
    CHECK(timeout(0.25s).milliseconds() == 250);
    CHECK(timeout(0s).milliseconds() == 0);
    CHECK(timeout(-5s).milliseconds() == 0);
    CHECK(timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())).milliseconds() == 0);
    CHECK(timeout(std::chrono::hours::max()).milliseconds() == std::numeric_limits<std::int32_t>::max());
    CHECK(timeout(std::chrono::nanoseconds::max()).milliseconds() == std::numeric_limits<std::int32_t>::max());
    CHECK(sandlock::forever.milliseconds() == -1);
}

TEST(kernel_and_versions_are_told)
{
    const auto offered = sandlock::probe();

    CHECK(offered.size == sizeof offered);
    CHECK((offered.landlock_abi == 0) == (offered.landlock_errno != 0));
    CHECK(offered.seccomp_filter == 1);
    CHECK(sandlock::version_number() == SANDLOCK_VERSION_NUMBER);
    CHECK_EQUAL(sandlock::version_string(), SANDLOCK_VERSION_STRING);
    CHECK_EQUAL(sandlock::status_name(sandlock::status::stale), "STALE");
}

TEST(thread_confines_itself)
{
    const pid_t child = fork();

    if (child == 0) {
        try {
            sandlock::policy policy;
            policy.allow_path("/usr", sandlock::access::read);
            sandlock::confine_self(policy);
            const bool held = !std::ifstream("/etc/passwd") && errno == EACCES && std::filesystem::exists("/usr");
            _exit(held && std::filesystem::directory_iterator("/usr") != std::filesystem::directory_iterator() ? 0 : 1);
        } catch (const std::exception &) {
            _exit(2);
        }
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
