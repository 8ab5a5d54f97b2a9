/* The policy of a scenario, and the names that the table has for numbers. */
#ifndef SCENARIOS_POLICY_H
#define SCENARIOS_POLICY_H

#include "trial.h"

/* --- names of numbers: they are listed in the order of the numbers --- */

static const char *const stages[] = {"none", "arguments", "policy", "landlock", "seccomp", "descriptors", "spawn", "process", "cwd",
                                     "limits", "privileges", "exec", "wait", "supervisor", "namespaces", "network", NULL};
static const char *const reasons[] = {"unknown", "exited", "signaled", "timeout", "limit", "killed", "lost", NULL};
static const char *const limits[] = {"none", "cpu", "nofile", "fsize", "core", "data", "as", "stack", "nproc", "memlock", "processes",
                                     "threads", "memory", "cpu-total", "wall", "cpu-share", "disk", NULL};
static const char *const flags[] = {"none", "no-aslr", "no-coredump", "no-huge-pages", "all-threads", "no-supervisor",
                                    "wait-for-descendants", "memory-kills-largest", "output-kills", "net-updates", "port-remap", NULL};
static const char *const features[] = {"all", "files", "files-refer", "files-truncate", "files-ioctl-dev", "files-metadata", "network",
                                       "signal-scope", "abstract-unix-scope", "syscalls", "no-new-privs", "capabilities",
                                       "descriptors", "session", "parent-death", "kill-all", NULL};
static const char *const levels[] = {"none", "require", "best-effort", "disable", NULL};
static const char *const modes[] = {"none", "denylist", "allowlist", NULL};

static uint32_t number_named(const char *const *names, struct text name)
{
    for (uint32_t i = 0; names[i]; i++)
        if (is(name, names[i]))
            return i;
    printf("# \"%s\" is a name of nothing\n", name.bytes);
    exit(2);
}

static uint64_t access_named(struct text name)
{
    uint64_t optional = 0;

    if (name.length && name.bytes[name.length - 1] == '?') {
        name.length--;
        optional = SANDLOCK_ACCESS_OPTIONAL;
    }
    if (is(name, "read"))
        return SANDLOCK_ACCESS_READ | optional;
    if (is(name, "write"))
        return SANDLOCK_ACCESS_WRITE | optional;
    if (is(name, "read-execute"))
        return SANDLOCK_ACCESS_READ_EXECUTE | optional;
    if (is(name, "read-write"))
        return SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE | optional;
    printf("# \"%s\" is no access\n", name.bytes);
    exit(2);
}

/* --- policies --- */

static sandlock_status apply_rule(struct trial *trial, sandlock_policy *policy, const struct line *line, sandlock_error **error)
{
    struct text verb = line->words[0];
    struct text first = line->count > 1 ? expand(trial, 0, line->words[1]) : (struct text){0};
    struct text second = line->count > 2 ? expand(trial, 0, line->words[2]) : (struct text){0};
    const char *a = first.bytes, *b = second.bytes;

    if (is(verb, "allow-path"))
        return sandlock_policy_allow_path(policy, b, access_named(first), error);
    if (is(verb, "clear-env"))
        return sandlock_policy_clear_env(policy, error);
    if (is(verb, "set-env") || is(verb, "unset-env"))
        return sandlock_policy_set_env(policy, a, b, error);
    if (is(verb, "set-cwd"))
        return sandlock_policy_set_cwd(policy, a, error);
    if (is(verb, "set-umask"))
        return sandlock_policy_set_umask(policy, (uint32_t)strtoul(a, NULL, 8), error);
    if (is(verb, "syscalls"))
        return sandlock_policy_set_syscall_default(policy, number_named(modes, first), error);
    if (is(verb, "allow-syscall"))
        return sandlock_policy_allow_syscall(policy, a, error);
    if (is(verb, "deny-syscall"))
        return sandlock_policy_deny_syscall(policy, a, (int32_t)number_of(second), error);
    if (is(verb, "limit"))
        return sandlock_policy_set_limit(policy, number_named(limits, first), (uint64_t)number_of(second), error);
    if (is(verb, "grace"))
        return sandlock_policy_set_grace(policy, (int32_t)number_of(first), (uint64_t)number_of(second), error);
    if (is(verb, "flag"))
        return sandlock_policy_set_flag(policy, number_named(flags, first), true, error);
    if (is(verb, "strictness"))
        return sandlock_policy_set_strictness(policy, number_named(features, first), number_named(levels, second), error);
    if (is(verb, "allow-net"))
        return sandlock_policy_allow_net(policy, a, error);
    if (is(verb, "deny-net"))
        return sandlock_policy_deny_net(policy, a, error);
    if (is(verb, "allow-bind"))
        return sandlock_policy_allow_bind(policy, a, error);
    if (is(verb, "deny-bind"))
        return sandlock_policy_deny_bind(policy, a, error);
    printf("# no rule is \"%s\"\n", verb.bytes);
    exit(2);
}

static sandlock_status read_toml(struct trial *trial, sandlock_policy **policy, sandlock_error **error)
{
    struct text all = copy_text("", 0);
    sandlock_status status;

    for (int i = 0; i < trial->scenario->count; i++) {
        const struct line *line = &trial->scenario->lines[i];
        if (strcmp(line->key, "toml"))
            continue;
        struct text text = expand(trial, 0, line->words[0]);
        all.bytes = must(realloc(all.bytes, all.length + text.length + 1));
        memcpy(all.bytes + all.length, text.bytes, text.length);
        all.length += text.length;
        all.bytes[all.length++] = '\n';
    }
    status = sandlock_policy_from_toml(all.bytes, all.length, policy, error);
    free(all.bytes);
    return status;
}

static sandlock_status make_policy(struct trial *trial, sandlock_policy **policy, sandlock_error **error)
{
    const struct scenario *parts[] = {&trial->table->base, trial->scenario};
    sandlock_status status = SANDLOCK_OK;

    if (only_line(trial, "toml"))
        return read_toml(trial, policy, error);
    *policy = sandlock_policy_new();
    for (int part = 0; part < 2; part++)
        for (int i = 0; i < parts[part]->count && !status; i++)
            if (!strcmp(parts[part]->lines[i].key, "rule"))
                status = apply_rule(trial, *policy, &parts[part]->lines[i], error);
    return status;
}

#endif
