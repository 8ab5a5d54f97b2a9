// The header as C++ reads it, twice over.
#include <sandlock.h>
#include <sandlock.h>

static sandlock_spawn_options options = SANDLOCK_SPAWN_OPTIONS_INIT;
static sandlock_capabilities capabilities = SANDLOCK_CAPABILITIES_INIT;
static sandlock_usage usage = SANDLOCK_USAGE_INIT;
static sandlock_report_entry entry = SANDLOCK_REPORT_ENTRY_INIT;

int main()
{
    return options.size + capabilities.size + usage.size + entry.size == 0 || sandlock_version_number() == 0;
}
