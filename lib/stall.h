/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_STALL_H
#define COLOOP_LIB_STALL_H

/*
 * stall.h - who runs for long without a switch
 *
 * A worker counts its switches, the ticks and ready functions that it runs, and
 * how often its thread went to sleep or asked for events; the monitor looks at
 * the sum, at which task runs, and at whether the thread waits.  If all are as
 * they were at its last look, the worker has run the same thing in between, be
 * it that it computes or that it is blocked in the system.  One that sleeps, or
 * waits for events, has nothing to run, and doesn't stall.
 *
 * What is read are single words, which belong together only if they were the
 * same at two looks: then nothing has changed between.  Only on machines that
 * show stores in another order than they were made, what a report says of the
 * task may be of the next one in the same frame.
 */

#include <coloop/time.h>

#include "atomic.h"

struct co_loop;

/* What the monitor saw of a worker. */
struct co__watch {
	AO_t turns, doing, current;	/* monitor; relaxed: dumps read it */
	AO_t since;			/* the same: the stamp of when all that
					 * was seen first: clock.h */
	co_time lasted;			/* monitor: how long for sure */
	bool told;			/* monitor: it was reported */
};

/* Look at the workers of LOOP, at NOW.  What was there at the last look has
 * lasted for PASSED since, for sure.  The monitor's. */
void co__stall_look(struct co_loop *loop, co_time now, co_time passed);

#endif
