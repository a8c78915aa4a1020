/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_EXPLORE_EXPLORE_H
#define COLOOP_TESTS_EXPLORE_EXPLORE_H

/*
 * explore.h - run the library's real code under chosen schedules
 *
 * What runs   The sources of the library, compiled with CO_EXPLORE.  Its
 *             threads are fibers of one real thread.  Each atomic operation
 *             (atomics.h) and each call that sleeps, wakes, or asks for the
 *             time (system.c, by the linker's --wrap) is a point at which
 *             another thread may go on instead.  Between two points a thread
 *             runs alone.
 *
 * Schedules   All that is left open is a decision: a number below some other,
 *             where 0 is what one would expect (the same thread goes on, the
 *             newest value is read, no time passes).  A run is its list of
 *             decisions, so it is repeated exactly by its seed, or by those of
 *             its decisions that are not 0, which is also the form in which a
 *             failure is made smaller.  Decisions are made at random, by
 *             priorities that change at a few random moments (which finds any
 *             bug of depth d with a chance that is known), or one after the
 *             other: all of them with at most so many preemptions.
 *
 * Memory      x86 holds a store back while later loads go on; Arm also lets
 *             later stores and loads overtake.  Told from the side of who
 *             reads: a load may find what was there before.  So each word
 *             keeps the values that it had, and each thread a view: the oldest
 *             value of each word that it may still find.  A store adds a value;
 *             a load takes any that the view allows, and moves the view up; a
 *             released value carries the view of who wrote it, which who
 *             acquires it joins to its own; a read-modify-write takes the
 *             newest value, and passes on the view that came with it; a fence
 *             joins the view with that of all earlier fences.  This is C11
 *             (RC11) without stores that overtake earlier loads, and without a
 *             store that is ordered before one that ran earlier.  It contains
 *             all that x86 does: where a store waits in a buffer from moment
 *             to moment, let it run at the later one, and let the thread's
 *             loads in between, which then run later too, find what was there
 *             at their time.  So a missing fence, acquire or release is found
 *             as a wrong result, on whatever machine this runs.
 *
 * Races       Plain accesses are compiled into calls (races.c), and each must
 *             be ordered with the last of another thread to the same bytes by
 *             what was released and acquired, or it is a failure: so a missing
 *             order is found though the plain value itself is never old.
 *
 * Time        is a number.  It passes by a little at each look at the clock,
 *             by more if that is decided, and to the next timeout when all
 *             threads wait.
 *
 * Failures    A check that does not hold; a race; the use of memory that was
 *             given back; all threads wait, and no timeout is left (a lost
 *             wake-up, a deadlock); a run without end; a crash.
 *
 * A thread that has looked twice for nothing goes on when some other has
 * written something: until then it would only find the same again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <coloop/loop.h>
#include <coloop/time.h>

#define EXPLORE_THREADS 8	/* in one run, the first included */

/* One small thing to explore; a run calls RUN, in the first thread. */
struct explore_scenario {
	const char *name;
	void (*run)(void);
	unsigned runs;		/* schedules at random, by default */
	bool all;		/* small enough to try all with few preemptions */
};

/* Each ends with an entry without a name. */
extern const struct explore_scenario explore_structures[];
extern const struct explore_scenario explore_steps[];
extern const struct explore_scenario explore_waits[];
extern const struct explore_scenario explore_channels[];
extern const struct explore_scenario explore_loops[];
extern const struct explore_scenario explore_outside[];
extern const struct explore_scenario explore_descriptors[];
extern const struct explore_scenario explore_blocking[];
extern const struct explore_scenario explore_groups[];

/* Begin another thread; wait until it has ended. */
int explore_thread(void *(*fn)(void *arg), void *arg);
void explore_join(int thread);

/* A number below N, chosen by the schedule. */
unsigned explore_choose(unsigned n);

/* A point for a switch, in code that has none of its own. */
void explore_step(void);

/* The run has failed. */
void explore_fail(const char *format, ...)
		__attribute__((noreturn, format(printf, 1, 2)));

#define explore_check(condition) ((condition) ? (void)0 : \
	explore_fail("%s:%d: not so: %s", __FILE__, __LINE__, #condition))
#define explore_expect(value, expected) \
	explore_same((long)(value), (long)(expected), #value, __FILE__, \
			__LINE__)

static inline void explore_same(long value, long expected, const char *text,
		const char *file, int line)
{
	if (value != expected)
		explore_fail("%s:%d: %s is %ld, not %ld", file, line, text,
				value, expected);
}

/* Memory that is made anew for each run; its use after release fails. */
extern const struct co_allocator explore_allocator;

/* Make a loop of THREADS workers on that memory. */
struct co_loop *explore_loop(unsigned threads);

/* The same, with up to BLOCKING_THREADS for co_blocking(). */
struct co_loop *explore_loop_with(unsigned threads, unsigned blocking_threads);

/* Run FN(ARG) as the first task of such a loop.  Returns what co_loop_run()
 * does; if that is 0, all tasks must have been joined or detached. */
int explore_loop_run(unsigned threads, co_task_fn *fn, void *arg);

/* Let the loop's monitor look after the workers in this run.  It would hide
 * many a lost wake-up, so without this its timeouts never pass. */
void explore_with_monitor(void);

/* In this run a fence in all threads may fail. */
void explore_with_failing_barriers(void);

/* From here on in this run the library may fail to start a thread. */
void explore_with_failing_threads(void);

/* A stream socket under the lowest free number, which takes ROOM bytes before it
 * is full.  *RET_PEER is its other end, also after it was closed. */
struct explore_peer;
int explore_socket(unsigned room, struct explore_peer **ret_peer);

/* What the other end does: send COUNT bytes, and then perhaps no more; make room
 * for COUNT more to be written. */
void explore_send(struct explore_peer *peer, unsigned count);
void explore_end(struct explore_peer *peer);
void explore_make_room(struct explore_peer *peer, unsigned count);

/* Bytes that were written so far; whether the socket is still open. */
unsigned explore_written(const struct explore_peer *peer);
bool explore_is_open(const struct explore_peer *peer);

#endif
