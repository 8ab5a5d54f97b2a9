/* Reads bindings/scenarios.txt; bindings/README.md says how. Everything unknown in it is a problem, so that no line is passed over. */
#ifndef SCENARIOS_TABLE_H
#define SCENARIOS_TABLE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 4 };

/* Bytes, which may have NULs in them, and end with one that does not count. */
struct text {
    char *bytes;
    size_t length;
};

struct line {
    int number;
    const char *key;
    struct text words[MOST_WORDS];
    int count;
};

struct scenario {
    struct text name;
    struct line *lines;
    int count;
};

struct table {
    struct scenario *scenarios;
    int count;
    struct scenario base;
    int problems;
};

/* Keys, the words that may follow them, and how many words there are then; the last one takes the rest of the line. */
static const struct vocabulary {
    const char *key, *verb;
    int words;
} vocabulary[] = {
    {"kind", "policy", 1}, {"kind", "attack", 1}, {"kind", "handler", 1}, {"kind", "limits", 1}, {"kind", "network", 1},
    {"kind", "deferral", 1}, {"kind", "concurrent", 1}, {"kind", "cancel", 1}, {"kind", "error", 1},
    {"rule", "allow-path", 3}, {"rule", "clear-env", 1}, {"rule", "set-env", 3}, {"rule", "unset-env", 2}, {"rule", "set-cwd", 2},
    {"rule", "set-umask", 2}, {"rule", "syscalls", 2}, {"rule", "allow-syscall", 2}, {"rule", "deny-syscall", 3},
    {"rule", "limit", 3}, {"rule", "grace", 3}, {"rule", "flag", 2}, {"rule", "strictness", 3}, {"rule", "allow-net", 2},
    {"rule", "deny-net", 2}, {"rule", "allow-bind", 2}, {"rule", "deny-bind", 2},
    {"handler", "value", 3}, {"handler", "errno", 3}, {"handler", "pass", 2}, {"handler", "run", 2}, {"handler", "bytes", 4},
    {"handler", "file", 4}, {"handler", "write", 3}, {"handler", "throws", 2}, {"handler", "silent", 2}, {"handler", "kill", 2},
    {"handler", "hangs", 2}, {"handler", "never", 2}, {"handler", "later-thread", 3}, {"handler", "later-loop", 3},
    {"handler", "later-errno", 3}, {"handler", "gather", 4},
    {"step", "say", 2}, {"step", "hear", 2}, {"step", "asked", 1}, {"step", "cancel", 1}, {"step", "signal", 2}, {"step", "net", 2},
    {"step", "net-none", 1}, {"step", "net-reset", 1},
    {"expect", "reason", 2}, {"expect", "code", 2}, {"expect", "signal", 2}, {"expect", "limit", 2}, {"expect", "stdout", 2},
    {"expect", "stdout-has", 2}, {"expect", "stdout-lacks", 2}, {"expect", "no-stdout", 1}, {"expect", "stderr", 2},
    {"expect", "stderr-has", 2}, {"expect", "no-stderr", 1},
    {"expect", "error", 2}, {"expect", "stage", 2}, {"expect", "errno", 2}, {"expect", "message", 2}, {"expect", "calls", 2},
    {"expect", "file", 3}, {"expect", "gone", 2},
    {"scenario", NULL, 1}, {"like", NULL, 1}, {"file", NULL, 2}, {"toml", NULL, 1}, {"arg", NULL, 1}, {"stdin", NULL, 1},
    {"timeout", NULL, 1}, {"deadline", NULL, 1}, {"concurrent", NULL, 1},
};

static inline bool is(struct text text, const char *other)
{
    return text.length == strlen(other) && !memcmp(text.bytes, other, text.length);
}

static inline void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static inline struct text copy_text(const char *bytes, size_t length)
{
    struct text copy = {must(malloc(length + 1)), length};

    memcpy(copy.bytes, bytes, length);
    copy.bytes[length] = 0;
    return copy;
}

static inline void problem(struct table *table, int number, const char *what, const char *word)
{
    printf("# line %d: %s \"%s\"\n", number, what, word);
    table->problems++;
}

/* A word as it is meant: \n, \t, \0 and \\ are single bytes. */
static inline struct text plain(struct table *table, int number, const char *bytes, size_t length)
{
    struct text text = copy_text(bytes, length);
    size_t from, to = 0;

    for (from = 0; from < length; from++) {
        char c = bytes[from];
        if (c == '\\') {
            const char *known = "nt0\\";
            const char *found = ++from < length ? strchr(known, bytes[from]) : NULL;
            if (!found)
                problem(table, number, "unknown escape in", text.bytes);
            c = found ? "\n\t\0\\"[found - known] : '?';
        }
        text.bytes[to++] = c;
    }
    text.bytes[text.length = to] = 0;
    return text;
}

/* Splits at single spaces into at most `most` words; gives how many there are. */
static inline int split(const char *rest, int most, struct text words[MOST_WORDS])
{
    int count = 0;

    for (;;) {
        const char *space = count + 1 < most ? strchr(rest, ' ') : NULL;
        words[count].bytes = (char *)rest;
        words[count++].length = space ? (size_t)(space - rest) : strlen(rest);
        if (!space)
            return count;
        rest = space + 1;
    }
}

/* Reads what follows a key, by the vocabulary. False, and a problem, if it is none of it. */
static inline bool read_words(struct table *table, struct line *line, const char *key, const char *rest)
{
    /* The word of a handler is the second one; before it stands the call. */
    int at = strcmp(key, "handler") ? 0 : 1, i;
    bool known = false;
    struct text raw[MOST_WORDS];
    size_t entry;

    for (entry = 0; entry < sizeof vocabulary / sizeof *vocabulary; entry++) {
        const struct vocabulary *word = &vocabulary[entry];
        if (strcmp(word->key, key))
            continue;
        known = true;
        line->key = word->key;
        line->count = split(rest, word->words, raw);
        if (word->verb) {
            struct text verbs[MOST_WORDS];
            if (split(rest, at + 2, verbs) <= at || !is(verbs[at], word->verb))
                continue;
        }
        if (line->count != word->words) {
            problem(table, line->number, "too few words after", key);
            return false;
        }
        if (word->verb && !is(raw[at], word->verb)) {
            problem(table, line->number, "too many words after", key);
            return false;
        }
        for (i = 0; i < line->count; i++)
            line->words[i] = plain(table, line->number, raw[i].bytes, raw[i].length);
        return true;
    }
    problem(table, line->number, known ? "unknown word after" : "unknown key", key);
    return false;
}

static inline void add_line(struct scenario *scenario, struct line line)
{
    scenario->lines = must(realloc(scenario->lines, (size_t)(scenario->count + 1) * sizeof line));
    scenario->lines[scenario->count++] = line;
}

/* What another scenario says, but for what it expects. Words belong to the table, which is never freed. */
static inline void add_like(struct table *table, struct scenario *scenario, struct line line)
{
    int i, j;

    for (i = 0; i < table->count - 1; i++)
        if (is(table->scenarios[i].name, line.words[0].bytes)) {
            for (j = 0; j < table->scenarios[i].count; j++)
                if (strcmp(table->scenarios[i].lines[j].key, "expect"))
                    add_line(scenario, table->scenarios[i].lines[j]);
            return;
        }
    problem(table, line.number, "no scenario above is named", line.words[0].bytes);
}

static inline void read_line(struct table *table, int number, char *text)
{
    char *space = strchr(text, ' '), *rest = space ? space + 1 : text + strlen(text);
    struct line line = {.number = number};
    struct scenario *scenario;
    bool base;

    if (!*text || *text == '#')
        return;
    if (space)
        *space = 0;
    base = !strcmp(text, "base");
    if (!read_words(table, &line, base ? "rule" : text, rest))
        return;
    if (!strcmp(line.key, "scenario")) {
        table->scenarios = must(realloc(table->scenarios, (size_t)(table->count + 1) * sizeof *table->scenarios));
        table->scenarios[table->count++] = (struct scenario){.name = line.words[0]};
        return;
    }
    scenario = base ? &table->base : table->count ? &table->scenarios[table->count - 1] : NULL;
    if (!scenario)
        problem(table, number, "before the first scenario stands", line.key);
    else if (!strcmp(line.key, "like")) {
        add_like(table, scenario, line);
        free(line.words[0].bytes);
    } else
        add_line(scenario, line);
}

/* The table in the file that SANDLOCK_SCENARIOS names. Ends the process, after a line about each, if there are problems. */
static inline struct table read_table(void)
{
    struct table table = {0};
    const char *path = getenv("SANDLOCK_SCENARIOS");
    FILE *file = path ? fopen(path, "r") : NULL;
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    int number = 0;

    if (!file) {
        printf("# SANDLOCK_SCENARIOS names no file that can be read\n");
        exit(2);
    }
    while ((length = getline(&text, &size, file)) >= 0) {
        if (length && text[length - 1] == '\n')
            text[length - 1] = 0;
        read_line(&table, ++number, text);
    }
    free(text);
    fclose(file);
    if (table.problems || !table.count)
        exit(2);
    return table;
}

#endif
