/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BENCH_COUNT_H
#define COLOOP_BENCH_COUNT_H

/*
 * count.h - what the library's operations take of the machine, counted
 *
 * The sources of the library are compiled a second time, with CO_COUNT, so that
 * each atomic operation is a call (atomics.h), and with the compiler's
 * instrumentation for race detectors, so that each plain access is one, too
 * (plain.c).  Calls to the system are wrapped by the linker (calls.c).
 *
 * Moves       A table of all cache lines that were touched says which threads
 *             have a copy, as a machine would with a core for each thread and
 *             caches that never overflow.  Who writes takes the line away from
 *             all others; who reads gets a copy.  An access to a line that the
 *             thread doesn't have, and another has, is a move.  So moves don't
 *             depend on how many cores there are, but for how the threads
 *             happen to take turns.
 * Workers     What a worker's thread does is counted apart from what the others
 *             do: the monitor, and who has not begun yet.
 * Time        Counted code is slower.  The clock that the library sees is as
 *             much slower (COUNT_SLOWER), or it would take fast tasks for slow
 *             ones, and would share them.
 *
 * The accesses of the program itself, and those inside the C library, are not
 * seen.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

#define COUNT_SLOWER 8

enum count_kind {
	COUNT_LOAD, COUNT_STORE, COUNT_RMW, COUNT_FENCE, COUNT_PLAIN,
	COUNT_KINDS
};

/* Calls to the system; the last two are none in most cases. */
enum count_call {
	COUNT_POLL, COUNT_CONTROL, COUNT_READ, COUNT_WRITE, COUNT_WAKE_POLLER,
	COUNT_SLEEP, COUNT_WAKE_SLEEPER, COUNT_MUTEX, COUNT_CONDITION,
	COUNT_YIELD, COUNT_NAP, COUNT_MEMORY, COUNT_THREAD, COUNT_CLOCK,
	COUNT_CALLS
};

extern const char *const count_kind_names[COUNT_KINDS];
extern const char *const count_call_names[COUNT_CALLS];

/* What one site did. */
struct count_of_site {
	uint64_t times, moves;
};

struct count_totals {
	uint64_t kinds[COUNT_KINDS], moves, calls[COUNT_CALLS];
};

enum { COUNT_WORKERS, COUNT_OTHERS, COUNT_ROLES };

/* Begin to count, once; end.  Threads may run meanwhile. */
void count_begin(void);
void count_end(void);
const struct count_totals *count_result(int role);

/* Call VISIT for each site that did something. */
void count_each_site(void (*visit)(const struct count_site *site,
		const struct count_of_site *counts));

/* Call VISIT for each line that has moved: how often, and the address that was
 * touched at last. */
void count_each_line(void (*visit)(const volatile void *address,
		uint64_t moves));

/* --- For those who count ------------------------------------------------- */

/* A line that moves. */
struct count_line {
	int64_t busy_until;	/* simulate.c */
};

/* The calling thread does KIND at SITE, which may be NULL, on ADDRESS.  Returns
 * its line if that moves, or NULL. */
struct count_line *count_touch(enum count_kind kind,
		const struct count_site *site, const volatile void *address,
		bool writes);
void count_called(enum count_call call);

/* Whether the calling thread has the line of ADDRESS. */
bool count_has(const volatile void *address, bool writes);

/* --- Two ways to run, threads.c and simulate.c --------------------------- */

/* The number of the calling thread. */
unsigned count_thread(void);

/* A plain access of the calling thread. */
void count_plain(const volatile void *address, bool writes);

/* The simulated time in nanoseconds; of real threads 0. */
double count_time(void);

#endif
