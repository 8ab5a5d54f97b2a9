/* What attack programs have in common. Each tries one thing that a sandbox must prevent:
 *
 *     PROGRAM ATTACK [ARGUMENT...]
 *
 * and exits with 0 if it succeeded, 1 if it was refused, 2 if it could not even be tried. */
#ifndef ATTACK_H
#define ATTACK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SUCCEEDED = 0, REFUSED = 1, CANNOT = 2 };

struct attack {
    const char *name;
    int (*run)(char **arguments);
};

/* Ends an attack that a call refused or let through. */
static inline int judge(const char *what, long returned)
{
    if (returned >= 0)
        return SUCCEEDED;
    printf("%s: %s\n", what, strerror(errno));
    return REFUSED;
}

/* Ends an attack that could not be prepared. */
static inline int cannot(const char *what)
{
    printf("cannot %s: %s\n", what, strerror(errno));
    return CANNOT;
}

/* A call whose arguments make it fail harmlessly once the kernel looks at them: whatever it says but "may not" and "no such
 * call" shows that it was reached. */
static inline int judge_reached(const char *what, long returned)
{
    if (returned < 0 && (errno == EPERM || errno == ENOSYS))
        return judge(what, returned);
    return SUCCEEDED;
}

static inline int run_attack(const struct attack *attacks, size_t count, int argc, char **argv)
{
    size_t i;

    for (i = 0; argc > 1 && i < count; i++)
        if (!strcmp(attacks[i].name, argv[1]))
            return attacks[i].run(argv + 2);
    printf("no such attack: %s\n", argc > 1 ? argv[1] : "");
    return CANNOT;
}

#define ATTACKS(...)                                                                       \
    int main(int argc, char **argv)                                                        \
    {                                                                                      \
        static const struct attack attacks[] = {__VA_ARGS__};                              \
        return run_attack(attacks, sizeof attacks / sizeof *attacks, argc, argv);          \
    }

#endif
