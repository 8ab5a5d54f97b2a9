/* Audits a program: says what it executes, which processes it starts and how they end, what it is refused, and which rule of the
 * policy that would have taken; a line for each, as it happens. It decides nothing: that is the policy's part.
 *
 *     audit [PROGRAM [ARGUMENT]...]
 *
 * Without arguments the program is a shell script that does what it may and then what it may not. The number that a line begins with is
 * the process, counted as they turn up, for process ids would be others in each run.
 * Build: cc audit.c $(pkg-config --cflags --libs sandlock) */
#include <sandlock.h>

#include <inttypes.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char script[] = "/bin/cat /usr/share/common-licenses/BSD >/dev/null\n"
                             "/bin/cat /etc/hostname\n"
                             "echo x >/var/tmp/audited\n"
                             "/bin/chmod 600 /etc/hostname\n"
                             "/usr/bin/unshare --user /bin/true\n"
                             "/usr/bin/perl -MSocket -e 'socket S, PF_INET, SOCK_STREAM, 0; connect S, sockaddr_in 9, INADDR_LOOPBACK'\n"
                             "/bin/sh -c 'kill -9 $$'\n"
                             "exit 3\n";

/* What the observer keeps. Only its thread touches it until the supervisor is freed. */
struct audit {
    int32_t pids[4096]; /* at the place that is its number, from 1: a process that lives; 0: one that has ended */
    size_t processes;
    unsigned refused;
};

/* Ids are given anew once a process has ended, so an ended one is forgotten. 0: nobody, or one too many. */
static size_t number_of(struct audit *audit, int32_t pid)
{
    for (size_t i = pid ? audit->processes : 0; i > 0; i--)
        if (audit->pids[i] == pid)
            return i;
    if (!pid || audit->processes + 1 == COUNT(audit->pids))
        return 0;
    audit->pids[++audit->processes] = pid;
    return audit->processes;
}

/* What a program says of itself may be meant for a terminal, or look like another line of the audit: so no byte of it is printed that is
 * not a plain character, and no more than a line of it. */
static void print_foreign(const char *text)
{
    int room = 60;

    for (; *text && room > 0; text++, room--)
        if (*text == '\n')
            fputs("\\n", stdout);
        else if (*text < ' ' || *text == '\\' || *text == 127)
            printf("\\x%02x", (unsigned)(unsigned char)*text);
        else
            putchar(*text);
    if (*text)
        fputs("...", stdout);
}

/* Called by one thread of the library, for one event at a time. The program does not wait for it. */
static void observe(const sandlock_event *event, void *user_data)
{
    struct audit *audit = user_data;
    const uint64_t kind = sandlock_event_kind(event);
    const size_t number = number_of(audit, sandlock_event_pid(event));

    printf("%zu ", number);
    switch (kind) {
    case SANDLOCK_EVENT_EXEC:
        fputs("executes ", stdout);
        print_foreign(sandlock_event_path(event) ? sandlock_event_path(event) : "?");
        for (size_t i = 1; i < sandlock_event_argument_count(event); i++) {
            putchar(' ');
            print_foreign(sandlock_event_argument(event, i));
        }
        break;
    case SANDLOCK_EVENT_FORK:
        fputs("starts a process", stdout);
        break;
    case SANDLOCK_EVENT_EXIT:
        if (sandlock_event_exit_code(event) >= 0)
            printf("has exited with %" PRId32, sandlock_event_exit_code(event));
        else if (sandlock_event_signal(event))
            printf("was ended by signal %" PRId32, sandlock_event_signal(event));
        else
            fputs("has ended", stdout); /* somebody else has asked first, and the kernel has forgotten how */
        audit->pids[number] = 0;
        break;
    case SANDLOCK_EVENT_DENIED:
        printf("is refused %s ", sandlock_event_syscall_name(event));
        print_foreign(sandlock_event_path(event) ? sandlock_event_path(event) : "");
        printf(": %s", sandlock_event_text(event));
        audit->refused++;
        break;
    case SANDLOCK_EVENT_MISSING: /* the library's own words, in which names of files are escaped */
        printf("lacks a rule: %s", sandlock_event_text(event));
        audit->refused++;
        break;
    default: /* LIMIT, and what a later library may tell */
        printf("has met a limit: %s", sandlock_event_text(event));
    }
    putchar('\n');
}

static sandlock_status set_up(sandlock_policy *policy, sandlock_error **error)
{
    static const struct { const char *path; uint64_t access; } rules[] = {
        {"/usr", SANDLOCK_ACCESS_READ_EXECUTE},
        {"/bin", SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL},
        {"/lib", SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL},
        {"/lib64", SANDLOCK_ACCESS_READ_EXECUTE | SANDLOCK_ACCESS_OPTIONAL},
        {"/etc/ld.so.cache", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_OPTIONAL},
        {"/dev/null", SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE},
        {"/dev/urandom", SANDLOCK_ACCESS_READ},
    };
    sandlock_status status = sandlock_policy_clear_env(policy, error);

    if (!status) /* or every program looks for its locale in /etc */
        status = sandlock_policy_set_env(policy, "LANG", "C", error);
    for (size_t i = 0; !status && i < COUNT(rules); i++)
        status = sandlock_policy_allow_path(policy, rules[i].path, rules[i].access, error);
    return status;
}

int main(int argc, char **argv)
{
    static struct audit audit;
    const char *const example[] = {"/bin/sh", "-c", script, NULL};
    const char *const *program = argc > 1 ? (const char *const *)(argv + 1) : example;
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_supervisor *supervisor = NULL;
    sandlock_stats stats = SANDLOCK_STATS_INIT;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    int failed;

    /* MISSING, which says what rule is lacking, has all calls looked at that name files. To audit a program every day leave it out:
     * then a refusal is told only where the library itself refuses, and costs nothing where the kernel does. */
    failed = set_up(policy, &error) || sandlock_supervisor_new(NULL, &supervisor, &error) ||
             sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_ALL, observe, &audit, NULL, &error) ||
             sandlock_run(policy, supervisor, program, 60000, &result, &error) ||
             sandlock_supervisor_stats(supervisor, &stats, &error);
    sandlock_supervisor_free(supervisor); /* tells what still waits, so the audit is complete now */
    if (failed) {
        fprintf(stderr, "%s\n", sandlock_error_message(error));
    } else {
        printf("the program has exited with %" PRId32 " and was refused %u things\n", sandlock_result_exit_code(result), audit.refused);
        /* An observer that cannot keep up does not hold up the program: it misses events. An audit must say so. */
        if ((failed = stats.events_lost != 0))
            printf("INCOMPLETE: %" PRIu64 " events were lost\n", stats.events_lost);
    }
    sandlock_error_free(error);
    sandlock_result_free(result);
    sandlock_policy_free(policy);
    return failed;
}
