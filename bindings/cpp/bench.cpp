// The worker of the bench in C++: see benches/bindings.c for what it is asked and answers.
#include <sandlock.hpp>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <string>

namespace {

double spawn_true(const sandlock::policy &policy, long count)
{
    sandlock::spawn_options options;
    const auto start = std::chrono::steady_clock::now();

    options.input = options.output = options.errors = sandlock::stdio::null();
    for (; count > 0; count--)
        if (sandlock::spawn(policy, {"/bin/true"}, options).wait().exit_code() != 0)
            throw std::runtime_error("/bin/true fails");
    return static_cast<double>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count());
}

std::string time_handler(const sandlock::policy &policy, const std::string &program, const std::string &count)
{
    sandlock::supervisor supervisor;

    supervisor.add_handler("getppid", [](sandlock::notification &call) { call.return_value(7); });
    const auto result = sandlock::run(policy, supervisor, {program, "time-getppid", count});
    if (result.exit_code() != 0)
        throw std::runtime_error(std::string(result.errors()));
    return std::string(result.output());
}

} // namespace

int main(int, char **argv)
{
    const std::filesystem::path program = argv[1];
    std::string task, count;

    try {
        sandlock::policy policy;
        for (const char *directory : {"/usr", "/bin", "/lib", "/lib64", "/etc", "/opt"})
            policy.allow_path(directory, sandlock::access::read_execute | sandlock::access::optional);
        policy.allow_path(program.parent_path(), sandlock::access::read_execute).clear_env();
        while (std::cin >> task >> count) {
            if (task == "spawn")
                std::cout << std::fixed << spawn_true(policy, std::stol(count)) << std::endl;
            else
                std::cout << time_handler(policy, program, count) << std::flush;
        }
    } catch (const std::exception &why) {
        std::cerr << "bench: " << why.what() << "\n";
        return 1;
    }
}
