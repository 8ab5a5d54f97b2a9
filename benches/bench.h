/* What the parts of the bench share: programs and policies to measure with, and figures to print. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sandlock.h>

#include <limits.h>

/* Where the measuring program lies, and that program. */
extern char directory[PATH_MAX], probe[PATH_MAX + 8];

/* The most pairs of a figure. */
enum { MOST = 400 };

void die(const char *what);
double now_us(void);
double median(const double *values, int count);

/* A new policy that grants what programs of the system need. */
sandlock_policy *make_policy(void);
/* What the measuring program says in a sandbox. */
double measure_sandboxed(const sandlock_policy *policy, const char *const *argv);

/* Prints one figure: medians of both sides and of the ratios of the pairs. `most` is what the ratio may be, or 0. */
void figure(const char *name, const char *reference, const char *unit, const double *ours, const double *theirs, int count,
            double most);
/* A figure of which there is one, beside what it may be at most. */
void bound(const char *name, const char *unit, double found, double most);

/* Limits of the sandbox as a whole, in limits.c. */
void bench_limits(void);

#endif
