#include <sandlock.hpp>

int main()
{
    sandlock::policy policy;

    policy.allow_path("/usr", sandlock::access::read_execute).check();
    return sandlock::version_number() != SANDLOCK_VERSION_NUMBER;
}
