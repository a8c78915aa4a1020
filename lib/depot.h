/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_DEPOT_H
#define COLOOP_LIB_DEPOT_H

/*
 * depot.h - the full magazines of a loop, and giving back what they hold
 *
 * The frames that no worker keeps at hand (frame.h) lie here, as many as ever
 * were in use at once.  Where a task has used much of its stack they hold more
 * memory than the next task may need.  So those that were not needed for a
 * while are trimmed: all but the upper pages go back to the system.
 *
 * States      A magazine in the depot is warm, and becomes cold by being
 *             trimmed.  Warm ones are given out first, the latest first.
 * Choice      The fewest warm ones that there were in a period are those that
 *             were needless all the time.  As many are trimmed in the next
 *             period, oldest first.
 * Cost        A system call for each frame, so a worker trims only a magazine
 *             in CO__TRIM_TICK.  When all is cold an idle loop sleeps for good.
 */

#include <coloop/time.h>

#include "list.h"
#include "spin.h"

struct co_loop;
struct co__magazine;

#define CO__STACK_CLASS_MIN 14u		/* 16 KiB */
#define CO__STACK_CLASS_MAX 30u		/* 1 GiB */
#define CO__STACK_CLASSES (CO__STACK_CLASS_MAX - CO__STACK_CLASS_MIN + 1)

/* How often a worker trims a magazine, if there is one to be trimmed. */
#define CO__TRIM_TICK (5 * CO_MILLISECOND)

/* The magazines of one size.  In a list it is the first frame's timer. */
struct co__depot_class {
	struct co__list warm, cold;	/* lock: the latest first */
	size_t count;			/* lock: warm ones */
	size_t least;			/* lock: of `count' in this period */
	size_t needless;		/* lock: to be trimmed in this period */
};

struct co__depot {
	struct co__spin lock;
	AO_t warm;			/* atomic: all sizes; lock to change */
	co_time period_ends;		/* lock */
	struct co__depot_class classes[CO__STACK_CLASSES];
};

void co__depot_init(struct co__depot *depot);

/* Fill MAGAZINE, which is empty, for the size class MIN + I.  False: there is
 * none. */
bool co__depot_take(struct co__depot *depot, unsigned i,
		struct co__magazine *magazine);

/* Take over all that is in MAGAZINE, which is full. */
void co__depot_give(struct co__depot *depot, unsigned i,
		struct co__magazine *magazine);

/* Trim a magazine that is needless at NOW, if there is one. */
void co__depot_trim(struct co__depot *depot, co_time now);

/* Whether some may have to be trimmed some time. */
static inline bool co__depot_is_warm(const struct co__depot *depot)
{
	return AO_load(&depot->warm) != 0;
}

#endif
