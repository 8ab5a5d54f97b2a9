/* What the parts of the bench share: programs and policies to measure with, and figures to print. */
#ifndef BENCH_H
#define BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sandlock.h>

#include <limits.h>
#include <stdint.h>

/* The bench, where it and the measuring program lie, and that program. */
extern char self[PATH_MAX], directory[PATH_MAX], probe[PATH_MAX + 8];

/* The most pairs of a figure. */
enum { MOST = 400 };

void die(const char *what);
double now_us(void);
double median(const double *values, int count);

/* A new policy that grants what programs of the system need. */
sandlock_policy *make_policy(void);
/* What the measuring program says in a sandbox. */
double measure_sandboxed(const sandlock_policy *policy, const char *const *argv);

/* Bare; under a filter of one instruction; under that and Landlock; with its calls of getppid served by a minimal loop. */
enum reference { BARE, FILTERED, FILTERED_AND_CONFINED, SERVED };
/* What the measuring program says when run by the reference. */
double measure_reference(enum reference reference, const char *const *argv);

/* Prints one figure: medians of both sides and of the ratios of the pairs. `most` is what the ratio may be, or 0. */
void figure(const char *name, const char *reference, const char *unit, const double *ours, const double *theirs, int count,
            double most);
/* A figure of which there is one, beside what it may be at most. */
void bound(const char *name, const char *unit, double found, double most);
/* One that this machine cannot have, and why. */
void not_measured(const char *name, const char *variant, const char *why);

/* Limits of the sandbox as a whole, in limits.c. */
void bench_limits(void);

/* Network rules, in network.c. */
void bench_network(void);
/* Both sides of what is sent there, in traffic.c: a server, at a port of 127.0.0.1 for TCP and UDP; and what runs in the sandbox, which
 * says how many nanoseconds one action took. */
pid_t start_server(uint16_t *port);
int be_client(const char *topic, const char *port, const char *count);
/* Forks a process that ends with the bench. It has a session of its own, as servers have: where the kernel shares processors out by
 * sessions (autogroup), to wake somebody of the same session is cheaper, and programs in sandboxes have sessions of their own. */
pid_t start_apart(void);

/* The bindings to other languages, in bindings.c, and the worker in C that they are compared with, in worker.c. */
void bench_bindings(void);
int be_worker(const char *program);

#endif
