#include <sandlock.h>

int main(void)
{
    sandlock_policy *policy = sandlock_policy_new();
    int status = sandlock_policy_check(policy, 0);

    sandlock_policy_free(policy);
    return status != SANDLOCK_OK || sandlock_version_number() != SANDLOCK_VERSION_NUMBER;
}
