/* What became of a run, as an object. */
#include "binding.h"

napi_value result_value(napi_env env, sandlock_result *result)
{
    sandlock_usage usage = SANDLOCK_USAGE_INIT;
    napi_value value, used;
    const uint8_t *bytes;
    size_t length;

    napi_create_object(env, &value);
    put_number(env, value, "reason", sandlock_result_reason(result));
    put_number(env, value, "limit", sandlock_result_limit(result));
    put_u64(env, value, "limitValue", sandlock_result_limit_value(result));
    put_u64(env, value, "limitReading", sandlock_result_limit_reading(result));
    put_number(env, value, "exitCode", sandlock_result_exit_code(result));
    put_number(env, value, "signal", sandlock_result_signal(result));
    bytes = sandlock_result_stdout(result, &length);
    put_bytes(env, value, "stdout", bytes, length);
    bytes = sandlock_result_stderr(result, &length);
    put_bytes(env, value, "stderr", bytes, length);
    put_number(env, value, "stdoutDropped", (double)sandlock_result_truncated(result, 1));
    put_number(env, value, "stderrDropped", (double)sandlock_result_truncated(result, 2));
    sandlock_result_usage(result, &usage, NULL);
    napi_create_object(env, &used);
    put_bool(env, used, "peakRssIsBound", usage.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND);
    put_number(env, used, "wallUs", (double)usage.wall_us);
    put_number(env, used, "userUs", (double)usage.user_us);
    put_number(env, used, "systemUs", (double)usage.system_us);
    put_number(env, used, "peakRss", (double)usage.peak_rss);
    napi_set_named_property(env, value, "usage", used);
    return value;
}

napi_value stats_value(napi_env env, const sandlock_stats *stats)
{
    napi_value value;

    napi_create_object(env, &value);
    put_number(env, value, "received", (double)stats->received);
    put_number(env, value, "continued", (double)stats->continued);
    put_number(env, value, "denied", (double)stats->denied);
    put_number(env, value, "returned", (double)stats->returned);
    put_number(env, value, "killed", (double)stats->killed);
    put_number(env, value, "overdue", (double)stats->overdue);
    put_number(env, value, "failed", (double)stats->failed);
    put_number(env, value, "dropped", (double)stats->dropped);
    put_number(env, value, "deferred", (double)stats->deferred);
    put_number(env, value, "queued", (double)stats->queued);
    put_number(env, value, "worstLatencyUs", (double)stats->worst_latency_us);
    put_number(env, value, "eventsLost", (double)stats->events_lost);
    return value;
}
