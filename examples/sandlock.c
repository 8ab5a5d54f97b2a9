/* The command line, sandlock(1): runs a program with access to what the options name and to nothing else. It knows the library
 * by its header alone. `make install` installs it as bin/sandlock.
 * Build: cc sandlock.c -pthread $(pkg-config --cflags --libs sandlock) */
#define _GNU_SOURCE
#include <sandlock.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SANDLOCK_PROFILES
#define SANDLOCK_PROFILES "/usr/local/share/sandlock"
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Exit statuses, those of timeout(1) and env(1). */
enum { TIME_IS_UP = 124, OWN_FAILURE = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, BY_SIGNAL = 128 };

static const char help[] =
    "usage: sandlock run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
    "       sandlock check | --help | --version\n"
    "Runs PROGRAM with access to what the options name, and to nothing else.\n"
    "  -r, --read PATH           read and execute PATH and what lies beneath it\n"
    "  -w, --write PATH          read and write it; with -r for it, execute as well\n"
    "      --profile FILE|NAME   start from a policy in TOML or an installed one\n"
    "      --net-allow RULE      reach tcp://example.com:443, 10.0.0.0/8, unix:/a\n"
    "      --net-deny RULE       an exception from that\n"
    "      --net-bind PORTS      serve on 8080, udp://53, 8000-8999\n"
    "      --syscall-allow NAME  lift the refusal of a system call\n"
    "  -m, --memory SIZE         at most 256M, 2G, ... in all its processes together\n"
    "  -P, --processes N         at most N processes at a time (64)\n"
    "  -t, --timeout TIME        kill it after 10 or 1.5s, 5m, 2h; the status is 124\n"
    "      --cpu PERCENT         share of processor time, 100 for one processor\n"
    "      --env NAME[=VALUE]    set a variable, or pass on ours\n"
    "      --clean-env           pass on no other variables of ours\n"
    "      --cwd DIRECTORY       start there\n"
    "      --best-effort         run it even if the kernel cannot enforce it all\n"
    "      --report[=json]       say what was enforced, to standard error or\n"
    "      --report-fd N         to this descriptor\n"
    "      --trace               say what was refused and what would permit it\n"
    "The status is that of PROGRAM, or 128 and the signal that ended it; 125 if\n"
    "sandlock fails; 126 if PROGRAM cannot be executed, 127 if it is not found.\n";

/* Options without a letter. */
enum {
    PROFILE = 256, NET_ALLOW, NET_DENY, NET_BIND, SYSCALL_ALLOW, CPU, ENV, CLEAN_ENV, CWD, BEST_EFFORT, REPORT, REPORT_FD, TRACE
};

static const struct option options[] = {
    {"read", required_argument, NULL, 'r'},
    {"write", required_argument, NULL, 'w'},
    {"profile", required_argument, NULL, PROFILE},
    {"net-allow", required_argument, NULL, NET_ALLOW},
    {"net-deny", required_argument, NULL, NET_DENY},
    {"net-bind", required_argument, NULL, NET_BIND},
    {"syscall-allow", required_argument, NULL, SYSCALL_ALLOW},
    {"memory", required_argument, NULL, 'm'},
    {"processes", required_argument, NULL, 'P'},
    {"timeout", required_argument, NULL, 't'},
    {"cpu", required_argument, NULL, CPU},
    {"env", required_argument, NULL, ENV},
    {"clean-env", no_argument, NULL, CLEAN_ENV},
    {"cwd", required_argument, NULL, CWD},
    {"best-effort", no_argument, NULL, BEST_EFFORT},
    {"report", optional_argument, NULL, REPORT},
    {"report-fd", required_argument, NULL, REPORT_FD},
    {"trace", no_argument, NULL, TRACE},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* An option as it was given. */
struct given {
    int option;
    const char *value;
};

/* What the options ask for besides the policy. */
struct settings {
    bool report, json, trace;
    int report_fd;
};

static _Noreturn void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static _Noreturn void fail(int status, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("sandlock: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(status);
}

/* ---- Values of options ---- */

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
    uint64_t value;

    errno = 0;
    value = strtoull(text, NULL, 10);
    if (!*text || text[strspn(text, "0123456789")] || errno || value < least || value > most)
        fail(OWN_FAILURE, "%s \"%s\": this takes a number, at least %" PRIu64, option, text, least);
    return value;
}

/* Bytes: a number and K, M, G or T, also as KiB and so on; powers of 1024 all. */
static uint64_t size(const char *text)
{
    static const char units[] = "KMGT";
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits, *found = *unit ? strchr(units, toupper((unsigned char)*unit)) : NULL;
    int shift = found ? 10 * (int)(found - units + 1) : 0;
    uint64_t value;

    errno = 0;
    value = strtoull(text, NULL, 10);
    if (!digits || errno || !value || value > UINT64_MAX >> shift ||
        (*unit && !(found && (!unit[1] || !strcasecmp(unit + 1, "iB")))))
        fail(OWN_FAILURE, "--memory \"%s\": this takes a number of bytes, or one with K, M, G or T: 256M", text);
    return value << shift;
}

/* Milliseconds: seconds, which may have a fraction, or with a unit as timeout(1) has them. */
static uint64_t duration(const char *text)
{
    size_t digits = strspn(text, "0123456789.");
    char *end = NULL;
    double value = digits ? strtod(text, &end) : 0;
    static const struct { const char *name; double seconds; } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

    for (size_t i = 0; end == text + digits && i < COUNT(units); i++)
        if (!strcmp(end, units[i].name)) {
            value *= units[i].seconds * 1000;
            if (value > 0 && value < 1e15)
                return (uint64_t)value + (value > (double)(uint64_t)value); /* rounded up: never 0 */
        }
    fail(OWN_FAILURE, "--timeout \"%s\": this takes seconds above 0, or a number with s, m, h or d: 1.5m", text);
}

/* ---- The policy ---- */

/* A file goes by a "/" or by .toml; every other name is that of a profile that was installed with the library. Whatever lies in the
 * directory that we are in may be the program's own, which must not choose its policy by bearing such a name. */
static bool is_file_of_profile(const char *name)
{
    size_t length = strlen(name);

    return strchr(name, '/') || (length > 5 && !strcmp(name + length - 5, ".toml"));
}

static sandlock_policy *read_profile(const char *name)
{
    enum { MOST = 1 << 20 };
    static char text[MOST + 1];
    char installed[4096];
    size_t length;
    sandlock_policy *policy = NULL;
    sandlock_error *error = NULL;
    bool is_file = is_file_of_profile(name);
    int printed = snprintf(installed, sizeof installed, "%s/%s.toml", SANDLOCK_PROFILES, name);
    FILE *file = NULL;

    if (!is_file && (printed < 0 || (size_t)printed >= sizeof installed))
        errno = ENAMETOOLONG;
    else
        file = fopen(is_file ? name : installed, "re");
    if (!file)
        fail(OWN_FAILURE, "profile %s: %s%s", name, strerror(errno),
             is_file ? "" : "; the name is that of an installed profile, a file goes by a \"/\" or by .toml");
    length = fread(text, 1, sizeof text, file);
    if (ferror(file))
        fail(OWN_FAILURE, "profile %s: %s", name, strerror(errno));
    fclose(file);
    if (length > MOST)
        fail(OWN_FAILURE, "profile %s: it is larger than a mebibyte", name);
    if (sandlock_policy_from_toml(text, length, &policy, &error))
        fail(OWN_FAILURE, "profile %s: %s", name, sandlock_error_message(error));
    return policy;
}

static sandlock_status set_variable(sandlock_policy *policy, const char *text, sandlock_error **error)
{
    const char *equals = strchr(text, '=');
    char *name = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
    const char *value = equals ? equals + 1 : name ? getenv(name) : NULL;
    sandlock_status status;

    if (!name)
        fail(OWN_FAILURE, "%s", strerror(errno));
    status = sandlock_policy_set_env(policy, name, value, error);
    free(name);
    return status;
}

/* Adds what one option says. */
static void add(sandlock_policy *policy, const struct given *given)
{
    const char *value = given->value;
    sandlock_error *error = NULL;
    sandlock_status status = SANDLOCK_OK;

    switch (given->option) {
    case 'r': /* whatever can be read can be executed by way of the loader, so this grants it honestly */
        status = sandlock_policy_allow_path(policy, value, SANDLOCK_ACCESS_READ_EXECUTE, &error);
        break;
    case 'w':
        status = sandlock_policy_allow_path(policy, value, SANDLOCK_ACCESS_READ | SANDLOCK_ACCESS_WRITE, &error);
        break;
    case NET_ALLOW:
        status = sandlock_policy_allow_net(policy, value, &error);
        break;
    case NET_DENY:
        status = sandlock_policy_deny_net(policy, value, &error);
        break;
    case NET_BIND:
        status = sandlock_policy_allow_bind(policy, value, &error);
        break;
    case SYSCALL_ALLOW:
        status = sandlock_policy_allow_syscall(policy, value, &error);
        break;
    case 'm':
        status = sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_MEMORY, size(value), &error);
        break;
    case 'P':
        status = sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_PROCESSES,
                                           number("--processes", value, 1, UINT64_MAX - 1), &error);
        break;
    case 't':
        status = sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_WALL, duration(value), &error);
        break;
    case CPU:
        status = sandlock_policy_set_limit(policy, SANDLOCK_LIMIT_CPU_SHARE, number("--cpu", value, 1, 1000000), &error);
        break;
    case ENV:
        status = set_variable(policy, value, &error);
        break;
    case CWD:
        status = sandlock_policy_set_cwd(policy, value, &error);
        break;
    case BEST_EFFORT:
        status = sandlock_policy_set_strictness(policy, SANDLOCK_FEATURE_ALL, SANDLOCK_BEST_EFFORT, &error);
        break;
    }
    if (status)
        fail(OWN_FAILURE, "%s", sandlock_error_message(error));
}

/* The profile comes first, then a clean environment, wherever they stand; then the rest, in order. */
static sandlock_policy *make_policy(const struct given *given, size_t count)
{
    sandlock_policy *policy = NULL;

    for (size_t i = 0; i < count; i++)
        if (given[i].option == PROFILE) {
            if (policy)
                fail(OWN_FAILURE, "--profile: there can be only one");
            policy = read_profile(given[i].value);
        }
    if (!policy)
        policy = sandlock_policy_new();
    for (size_t i = 0; i < count; i++)
        if (given[i].option == CLEAN_ENV)
            sandlock_policy_clear_env(policy, NULL);
    for (size_t i = 0; i < count; i++)
        add(policy, &given[i]);
    return policy;
}

/* ---- Text for people ---- */

/* Prints what may hold bytes of the program's choice: nothing of it reaches the terminal as a command. */
static void print_plain(FILE *file, const char *text)
{
    for (; *text; text++)
        if (*text >= ' ' && *text <= '~')
            fputc(*text, file);
        else
            fprintf(file, "\\%03o", (unsigned char)*text);
}

/* Prints a word so that a shell reads it back as it is. */
static void print_quoted(FILE *file, const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
    bool printable = true;

    for (const char *byte = word; *byte; byte++)
        printable = printable && *byte >= ' ' && *byte <= '~' && *byte != '\'';
    if (*word && !word[strspn(word, safe)]) {
        fputs(word, file);
    } else if (printable) {
        fprintf(file, "'%s'", word);
    } else {
        fputs("$'", file);
        for (; *word; word++)
            if (*word == '\'' || *word == '\\')
                fprintf(file, "\\%c", *word);
            else if (*word >= ' ' && *word <= '~')
                fputc(*word, file);
            else
                fprintf(file, "\\%03o", (unsigned char)*word);
        fputc('\'', file);
    }
}

/* ---- The trace ---- */

/* What was refused, each once. Written by one thread of the library, read when that has told everything. */
struct refused {
    char *texts[256];
    size_t count, dropped;
};

static void note(const sandlock_event *event, void *user_data)
{
    struct refused *refused = user_data;
    const char *text = sandlock_event_text(event), *path = sandlock_event_path(event);
    char line[8192];

    if (sandlock_event_kind(event) == SANDLOCK_EVENT_DENIED && path && !strstr(text, path))
        snprintf(line, sizeof line, "%s %s: %s", sandlock_event_syscall_name(event), path, text);
    else
        snprintf(line, sizeof line, "%s", text);
    for (size_t i = 0; i < refused->count; i++)
        if (!strcmp(refused->texts[i], line))
            return;
    if (refused->count < COUNT(refused->texts) && (refused->texts[refused->count] = strdup(line)))
        refused->count++;
    else
        refused->dropped++;
}

/* The library names the functions of a policy that would permit a call. Those with their arguments follow as options, so that
 * they are left out here; the others are turned into options. */
static void print_refused(FILE *file, char *text)
{
    static const char *const hints[][2] = {
        {"allow_", NULL},
        {"a rule for UDP", "--net-allow udp://... would permit it; names are looked up with --net-allow tcp://NAME:PORT alone"},
        {"a rule for Unix sockets", "--net-allow unix:... would permit it"},
        {"any rule about hosts", "any --net-allow of hosts, or --net-bind, would permit it"},
        {"a rule for a port", "--net-bind would permit it"},
    };
    const char *hint = NULL;
    char *tail = NULL;

    for (char *next = text; (next = strstr(next, "; ")); next += 2)
        for (size_t i = 0; i < COUNT(hints); i++)
            if (!strncmp(next + 2, hints[i][0], strlen(hints[i][0]))) {
                tail = next;
                hint = hints[i][1];
            }
    if (tail)
        *tail = '\0';
    fputs("  ", file);
    print_plain(file, text);
    fprintf(file, "%s%s\n", hint ? "; " : "", hint ? hint : "");
}

/* Reads the string in C that `text` begins with behind the quote, in place; gives what follows it, or NULL. */
static char *unquote(char *text)
{
    char *to = text, *from = text;

    while (*from && *from != '"' && *from != '\n') {
        if (*from != '\\') {
            *to++ = *from++;
        } else if (from[1] == '"' || from[1] == '\\') {
            *to++ = from[1];
            from += 2;
        } else {
            int value = 0, digits = 0;

            for (from++; digits < 3 && *from >= '0' && *from <= '7'; digits++)
                value = value * 8 + (*from++ - '0');
            if (!digits)
                return NULL;
            *to++ = (char)value;
        }
    }
    if (*from != '"')
        return NULL;
    *to = '\0';
    return from + 1;
}

static void print_title(FILE *file, const char **title)
{
    if (*title)
        fputs(*title, file);
    *title = NULL;
}

/* Files of one process in /proc: no option names them for the next run. */
static bool of_this_run(const char *path)
{
    size_t digits = strncmp(path, "/proc/", 6) ? 0 : strspn(path + 6, "0123456789");

    return digits && (path[6 + digits] == '/' || !path[6 + digits]);
}

/* Prints a suggestion of the library, a call in C, as options; the first one after `title`, which is then NULL. */
static void print_suggestion(FILE *file, const char **title, char *line)
{
    static const struct { const char *call, *option; } calls[] = {
        {"sandlock_policy_allow_path(policy, \"", NULL},
        {"sandlock_policy_allow_syscall(policy, \"", "--syscall-allow"},
        {"sandlock_policy_allow_net(policy, \"", "--net-allow"},
        {"sandlock_policy_allow_bind(policy, \"", "--net-bind"},
    };

    for (size_t i = 0; i < COUNT(calls); i++) {
        size_t length = strlen(calls[i].call);
        char *argument = line + length, *rest;
        bool write, execute;

        if (strncmp(line, calls[i].call, length) || !(rest = unquote(argument)))
            continue;
        if (!calls[i].option && of_this_run(argument))
            return;
        print_title(file, title);
        write = !calls[i].option && strstr(rest, "SANDLOCK_ACCESS_WRITE");
        execute = !calls[i].option && strstr(rest, "SANDLOCK_ACCESS_EXECUTE");
        fprintf(file, "  %s ", calls[i].option ? calls[i].option : write ? "-w" : "-r");
        print_quoted(file, argument);
        if (write && execute) {
            fputs(" -r ", file);
            print_quoted(file, argument);
        }
        fputc('\n', file);
        return;
    }
    print_title(file, title);
    fprintf(file, "  %s\n", line); /* what a later library suggests */
}

static void print_trace(FILE *file, struct refused *refused, const sandlock_suggestions *suggestions)
{
    const char *title = "sandlock: these options would permit it; read before you allow:\n";
    char *text = strdup(sandlock_suggestions_text(suggestions)), *line, *rest = text;

    if (!refused->count)
        fputs("sandlock: nothing was refused for want of a rule\n", file);
    else
        fputs("sandlock: refused:\n", file);
    for (size_t i = 0; i < refused->count; i++) {
        print_refused(file, refused->texts[i]);
        free(refused->texts[i]);
    }
    if (refused->dropped)
        fprintf(file, "  and %zu times more\n", refused->dropped);
    while (text && (line = strtok_r(rest, "\n", &rest)))
        print_suggestion(file, &title, line);
    free(text);
}

/* ---- The report ---- */

static const char *word(const char *const *words, size_t count, uint32_t number)
{
    return number < count ? words[number] : "?"; /* a later library may know more */
}

static void print_table(FILE *file, const sandlock_report *report, const sandlock_result *result)
{
    static const char *const states[] = {"?", "enforced", "degraded", "waived", "unavailable"};
    static const char *const levels[] = {"?", "full", "partial", "none"};
    sandlock_report_entry row = SANDLOCK_REPORT_ENTRY_INIT;
    sandlock_usage usage = SANDLOCK_USAGE_INIT;

    fprintf(file, "%-20s %-12s %s\n", "FEATURE", "STATE", "BY WHAT");
    for (size_t i = 0; i < sandlock_report_count(report); i++)
        if (!sandlock_report_row(report, i, &row, NULL) && row.state != SANDLOCK_STATE_NOT_REQUESTED)
            fprintf(file, "%-20s %-12s %s%s%s\n", row.name, word(states, COUNT(states), row.state), row.mechanism,
                    *row.mechanism && *row.detail ? "; " : "", row.detail);
    fprintf(file, "protection: %s\n", word(levels, COUNT(levels), sandlock_report_level(report)));
    if (!sandlock_result_usage(result, &usage, NULL))
        fprintf(file, "used: %" PRIu64 " ms, %" PRIu64 " ms of processor time, %s%" PRIu64 " KiB of memory at a time\n",
                usage.wall_us / 1000, (usage.user_us + usage.system_us) / 1000,
                usage.flags & SANDLOCK_USAGE_PEAK_RSS_IS_BOUND ? "at most " : "", usage.peak_rss >> 10);
}

/* A report that cannot be written is a failure: somebody counts on it. */
static void print_report(const struct settings *settings, const sandlock_report *report, const sandlock_result *result)
{
    int fd = fcntl(settings->report_fd, F_DUPFD_CLOEXEC, 3);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (!file)
        fail(OWN_FAILURE, "descriptor %d, for the report: %s", settings->report_fd, strerror(errno));
    if (settings->json)
        fprintf(file, "%s\n", sandlock_report_json(report));
    else
        print_table(file, report, result);
    errno = 0;
    if (ferror(file) | fclose(file))
        fail(OWN_FAILURE, "descriptor %d, for the report: %s", settings->report_fd, strerror(errno));
}

/* ---- Running ---- */

/* Signals to this process end the sandbox. All threads block them, and one waits for them. */
static struct {
    pthread_mutex_t lock;
    sandlock_process *process; /* NULL while it is being started */
    bool over;
    int signal;
    sigset_t watched;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The keys that suspend reach the program, not the shell, which would go on waiting for a program that does not run. This process
 * cannot suspend itself instead: nobody would watch the limits then. So the program goes on. */
static void wake_suspended(void)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    if (!waitid(P_PID, (id_t)sandlock_process_pid(run.process), &info, WSTOPPED | WNOHANG | __WALL) && info.si_pid &&
        info.si_code == CLD_STOPPED && info.si_status == SIGTSTP)
        sandlock_process_resume(run.process, NULL);
}

static void *listen_to_signals(void *unused)
{
    (void)unused;
    for (;;) {
        int number = 0;
        bool over;

        if (sigwait(&run.watched, &number))
            continue;
        pthread_mutex_lock(&run.lock);
        over = run.over;
        if (!over && number != SIGCHLD) {
            run.signal = number;
            if (!run.process) /* what is being started dies with this process */
                _exit(BY_SIGNAL + number);
            sandlock_process_kill(run.process, NULL);
        } else if (!over && run.process) {
            wake_suspended();
        }
        pthread_mutex_unlock(&run.lock);
        if (over)
            return NULL;
    }
}

static pthread_t start_listening(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    pthread_t thread;
    struct sigaction action;

    signal(SIGCHLD, SIG_DFL); /* ignored, it would lose the exit status */
    sigemptyset(&run.watched);
    sigaddset(&run.watched, SIGCHLD);
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!sigaction(numbers[i], NULL, &action) && action.sa_handler != SIG_IGN) /* nohup(1) */
            sigaddset(&run.watched, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &run.watched, NULL);
    if ((errno = pthread_create(&thread, NULL, listen_to_signals, NULL)))
        fail(OWN_FAILURE, "thread: %s", strerror(errno));
    return thread;
}

static void stop_listening(pthread_t thread)
{
    pthread_mutex_lock(&run.lock);
    run.over = true;
    pthread_mutex_unlock(&run.lock);
    pthread_kill(thread, SIGCHLD);
    pthread_join(thread, NULL);
}

/* Says which limit ended the sandbox. */
static void print_limit(const sandlock_result *result)
{
    static const struct { uint32_t limit; const char *name, *unit; uint64_t in_unit; } limits[] = {
        {SANDLOCK_LIMIT_MEMORY, "memory", "KiB", 1024},
        {SANDLOCK_LIMIT_DISK, "what is written to disk", "KiB", 1024},
        {SANDLOCK_LIMIT_CPU_TOTAL, "processor time", "ms", 1},
        {SANDLOCK_LIMIT_CPU_SHARE, "the share of processor time", "%", 1},
        {SANDLOCK_LIMIT_WALL, "time", "ms", 1},
    };
    uint32_t limit = sandlock_result_limit(result);

    for (size_t i = 0; i < COUNT(limits); i++)
        if (limits[i].limit == limit) {
            fprintf(stderr, "sandlock: ended by the limit of %s: %" PRIu64 " %s, of %" PRIu64 " %s\n", limits[i].name,
                    sandlock_result_limit_reading(result) / limits[i].in_unit, limits[i].unit,
                    sandlock_result_limit_value(result) / limits[i].in_unit, limits[i].unit);
            return;
        }
    fputs("sandlock: ended by a limit\n", stderr);
}

static int exit_status(const sandlock_result *result)
{
    int signal = sandlock_result_signal(result);

    switch (sandlock_result_reason(result)) {
    case SANDLOCK_REASON_EXITED:
        return sandlock_result_exit_code(result);
    case SANDLOCK_REASON_LIMIT:
        print_limit(result);
        return sandlock_result_limit(result) == SANDLOCK_LIMIT_WALL ? TIME_IS_UP : BY_SIGNAL + (signal ? signal : SIGKILL);
    case SANDLOCK_REASON_KILLED:
        return BY_SIGNAL + (run.signal ? run.signal : SIGKILL);
    case SANDLOCK_REASON_SIGNALED:
        return BY_SIGNAL + signal;
    default:
        fputs("sandlock: how the program ended is not known\n", stderr);
        return OWN_FAILURE;
    }
}

/* Says what may help a program that could not be executed; gives the exit status. */
static int not_executed(const char *program, int errno_value)
{
    bool is_path = strchr(program, '/') != NULL;

    if (errno_value == ENOENT && is_path && program[0] != '/' && !access(program, F_OK))
        fputs("sandlock: it is here, but looked for where the program starts: --cwd, or what the profile says\n", stderr);
    else if (errno_value == EACCES && is_path && !access(program, F_OK) && access(program, X_OK))
        fputs("sandlock: outside the sandbox you may not execute it either: chmod +x\n", stderr);
    else if (errno_value == EACCES)
        fprintf(stderr, "sandlock: it takes -r for %s and its libraries, as in -r /usr -r /lib64 or --profile compute\n",
                is_path ? program : "the program");
    return errno_value == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
}

/* Runs the program to its end, and says what was asked for. */
static int run_program(const sandlock_policy *policy, const struct settings *settings, char **argv)
{
    static struct refused refused;
    sandlock_supervisor *supervisor = NULL;
    sandlock_suggestions *suggestions = NULL;
    sandlock_process *process = NULL;
    sandlock_report *report = NULL;
    sandlock_result *result = NULL;
    sandlock_error *error = NULL;
    sandlock_status status = SANDLOCK_OK;
    pthread_t listener = start_listening();
    int code = OWN_FAILURE;
    bool started;

    if (settings->trace &&
        (sandlock_supervisor_new(NULL, &supervisor, &error) || sandlock_supervisor_trace(supervisor, &error) ||
         sandlock_supervisor_observe(supervisor, SANDLOCK_EVENT_DENIED | SANDLOCK_EVENT_MISSING | SANDLOCK_EVENT_LIMIT,
                                     note, &refused, NULL, &error)))
        fail(OWN_FAILURE, "%s", sandlock_error_message(error));
    status = sandlock_spawn(policy, supervisor, (const char *const *)argv, NULL, &process, &error);
    started = !status;
    if (started) {
        pthread_mutex_lock(&run.lock);
        run.process = process;
        pthread_mutex_unlock(&run.lock);
        report = sandlock_process_report(process);
        status = sandlock_process_wait(process, -1, &result, &error);
    }
    stop_listening(listener);
    sandlock_process_free(process);
    if (settings->trace && sandlock_trace_suggest(supervisor, &suggestions, NULL))
        suggestions = NULL;
    sandlock_supervisor_free(supervisor); /* tells what it has not told yet */

    /* What reads our output may have gone. That is for whoever writes to find out. */
    signal(SIGPIPE, SIG_IGN);
    if (!status) {
        code = exit_status(result);
    } else {
        fprintf(stderr, "sandlock: %s\n", sandlock_error_message(error));
        if (status == SANDLOCK_ERROR_EXEC)
            code = not_executed(argv[0], sandlock_error_errno(error));
    }
    if (settings->trace && (started || status == SANDLOCK_ERROR_EXEC))
        print_trace(stderr, &refused, suggestions);
    if (settings->report && report)
        print_report(settings, report, result);
    sandlock_suggestions_free(suggestions);
    sandlock_report_free(report);
    sandlock_result_free(result);
    sandlock_error_free(error);
    return code;
}

static int print_help(void)
{
    fputs(help, stdout);
    return 0;
}

static int print_version(void)
{
    printf("sandlock %s (libsandlock %s)\n", SANDLOCK_VERSION_STRING, sandlock_version_string());
    return 0;
}

static int command_run(int argc, char **argv)
{
    struct given *given = calloc((size_t)argc, sizeof *given);
    struct settings settings = {.report_fd = 2};
    size_t count = 0;
    sandlock_policy *policy;
    int option, code;

    if (!given)
        fail(OWN_FAILURE, "%s", strerror(errno));
    while ((option = getopt_long(argc, argv, "+r:w:m:P:t:hV", options, NULL)) != -1) {
        switch (option) {
        case 'h':
        case 'V':
            free(given);
            return option == 'h' ? print_help() : print_version();
        case '?': /* getopt_long() has said what */
            fail(OWN_FAILURE, "see sandlock --help");
        case TRACE:
            settings.trace = true;
            break;
        case REPORT_FD:
            settings.report = true;
            settings.report_fd = (int)number("--report-fd", optarg, 0, INT32_MAX);
            if (fcntl(settings.report_fd, F_GETFD) < 0)
                fail(OWN_FAILURE, "--report-fd %s: %s", optarg, strerror(errno));
            break;
        case REPORT:
            settings.report = true;
            if (optarg && strcmp(optarg, "json") && strcmp(optarg, "table"))
                fail(OWN_FAILURE, "--report=%s: it is table or json", optarg);
            settings.json = optarg && !strcmp(optarg, "json");
            break;
        default:
            given[count].option = option;
            given[count++].value = optarg;
        }
    }
    if (optind == argc)
        fail(OWN_FAILURE, "which program? See sandlock --help");
    policy = make_policy(given, count);
    free(given);
    code = run_program(policy, &settings, argv + optind);
    sandlock_policy_free(policy);
    return code;
}

/* ---- What this kernel offers ---- */

static void print_row(const char *name, const char *found, const char *advice)
{
    printf("%-25s %-*s%s\n", name, *advice ? 9 : 0, found, advice);
}

static void print_landlock(const sandlock_capabilities *found)
{
    static const struct { uint32_t abi; const char *brings, *from; } levels[] = {
        {1, "  files by path", "5.13"},
        {2, "  moving files", "5.19"},
        {3, "  truncating files", "6.2"},
        {4, "  TCP ports", "6.7"},
        {5, "  ioctl on devices", "6.10"},
        {6, "  signals, daemons", "6.12"},
        {8, "  all threads at once", "7.0"},
        {9, "  Unix sockets by path", "7.1"},
    };
    char text[64];

    snprintf(text, sizeof text, "ABI %" PRIu32, found->landlock_abi);
    if (found->landlock_abi)
        print_row("Landlock", text, "");
    else if (found->landlock_errno == EOPNOTSUPP)
        print_row("Landlock", "no", "start the kernel with landlock among its lsm=");
    else if (found->landlock_errno == ENOSYS)
        print_row("Landlock", "no", "take Linux 5.13 or later, built with it");
    else
        print_row("Landlock", "no", strerror(found->landlock_errno));
    for (size_t i = 0; found->landlock_abi && i < COUNT(levels); i++) {
        bool has = found->landlock_abi >= levels[i].abi;

        /* What nobody needs by default is no reason to take another kernel. */
        snprintf(text, sizeof text, levels[i].abi > 6 ? "nothing; Linux %s has it" : "take Linux %s or later", levels[i].from);
        print_row(levels[i].brings, has ? "yes" : "no", has ? "" : text);
    }
}

static const char *about_namespaces(const sandlock_capabilities *found)
{
    switch (found->user_namespaces_errno) {
    case EPERM:
        return "a sysctl, AppArmor or container forbids them";
    case ENOSPC:
        return "raise the sysctl user.max_user_namespaces";
    case EINVAL:
        return "build the kernel with CONFIG_USER_NS";
    default:
        return strerror(found->user_namespaces_errno);
    }
}

static int command_check(int argc)
{
    sandlock_capabilities found = SANDLOCK_CAPABILITIES_INIT;
    sandlock_policy *policy = sandlock_policy_new();
    sandlock_error *error = NULL;
    struct utsname kernel;
    int missing, major = 0, minor = 0;
    char text[128];

    if (argc > 1)
        fail(OWN_FAILURE, "check takes no arguments");
    if (uname(&kernel) || sandlock_probe(&found, &error))
        fail(OWN_FAILURE, "%s", error ? sandlock_error_message(error) : strerror(errno));
    sscanf(kernel.release, "%d.%d", &major, &minor);
    {
        const struct { const char *name; uint32_t has; int from[2]; const char *advice; } rows[] = {
            {"system call filters", found.seccomp_filter, {0, 0}, "build the kernel with CONFIG_SECCOMP_FILTER"},
            {"supervisor", found.seccomp_notify, {5, 5}, NULL},
            {"  answers by descriptors", found.notify_addfd, {5, 9}, NULL},
            {"  in one step", found.notify_addfd_send, {5, 14}, NULL},
            {"  without interruptions", found.notify_wait_killable, {5, 19}, NULL},
            {"  on the same processor", found.notify_sync_wake_up, {6, 6}, NULL},
            {"closing descriptors", found.close_range, {5, 11}, NULL},
            {"RLIMIT_NPROC", found.process_limit, {0, 0}, "user 0 is exempt; --processes does without it"},
            {"user namespaces", found.user_namespaces, {0, 0}, about_namespaces(&found)},
        };

        printf("libsandlock %s, Linux %s\n\n", sandlock_version_string(), kernel.release);
        print_row("WHAT", "FOUND", "WHAT TO DO");
        print_landlock(&found);
        for (size_t i = 0; i < COUNT(rows); i++) {
            const int *from = rows[i].from;

            snprintf(text, sizeof text, "take Linux %d.%d or later", from[0], from[1]);
            if (rows[i].advice)
                snprintf(text, sizeof text, "%s", rows[i].advice);
            else if (major > from[0] || (major == from[0] && minor >= from[1]))
                snprintf(text, sizeof text, "a container or sandbox forbids it");
            print_row(rows[i].name, rows[i].has ? "yes" : "no", rows[i].has ? "" : text);
        }
    }
    missing = sandlock_policy_check(policy, &error) != SANDLOCK_OK;
    if (missing)
        printf("\nNot all that sandlock enforces by default can be enforced here. Without it, by\n--best-effort:\n%s\n",
               sandlock_error_message(error));
    else
        puts("\nAll that sandlock enforces by default can be enforced here.");
    sandlock_error_free(error);
    sandlock_policy_free(policy);
    return missing;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    int code;

    /* Where a standard stream is closed, a descriptor of the library's must not take its number. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
            return OWN_FAILURE;
    if (!strcmp(command, "--help") || !strcmp(command, "-h") || !strcmp(command, "help")) {
        code = print_help();
    } else if (!strcmp(command, "--version") || !strcmp(command, "-V")) {
        code = print_version();
    } else if (!strcmp(command, "check")) {
        code = command_check(argc - 1);
    } else if (!strcmp(command, "run")) {
        argv[1] = argv[0]; /* whom getopt_long() speaks for */
        code = command_run(argc - 1, argv + 1);
    } else {
        fail(OWN_FAILURE, "%s%s; see sandlock --help", *command ? "unknown command: " : "run or check?", command);
    }
    if (fflush(stdout) && !code)
        fail(OWN_FAILURE, "standard output: %s", strerror(errno));
    return code;
}
