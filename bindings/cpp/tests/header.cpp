// The header as every standard of C++ reads it, twice over, and what of it takes later standards.
#include <sandlock.hpp>
#include <sandlock.hpp>

#if __cplusplus >= 202002L
#include <ranges>
#include <span>

void later_standards(sandlock::policy &policy, sandlock::process &process, std::span<const std::byte> input);

void later_standards(sandlock::policy &policy, sandlock::process &process, std::span<const std::byte> input)
{
    const std::vector<std::string> words{"true", "", "x"};
    auto filled = words | std::views::filter([](const std::string &word) { return !word.empty(); });

    policy.set_cpus(std::views::iota(0, 2));
    process.communicate(input);
    sandlock::run(policy, filled, std::chrono::seconds(1));
    static_cast<void>(sandlock::try_spawn(policy, {"true"}, {.output = sandlock::stdio::capture(), .name = "named"}));
}
#endif

int main()
{
    sandlock::supervisor supervisor({std::chrono::seconds(1), {}});

    supervisor.add_handler("getppid", [](sandlock::notification &call) { call.return_value(1); });
    return sandlock::version_number() == 0;
}
