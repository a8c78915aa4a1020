/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_SCENARIO_H
#define COLOOP_TESTS_SCENARIO_H

/*
 * scenario.h - what the library does while one of its calls fails
 *
 * A scenario is a task that uses some part of the library.  It is run again
 * and again in loops of its own; each time another call fails, in another way,
 * until there is none left that could.  Then the loop runs the scenario once
 * more without a fault, and is destroyed.
 *
 * A scenario does the same in each run: what it needs of other threads, or of
 * the kernel, it waits for.  It calls what may fail by TELL(), returns the
 * first error that it meets, and leaves nothing behind.
 */

#include <coloop.h>

#include "fault.h"

struct scenario {
	const char *name;
	co_task_fn *run;		/* its argument is NULL */
	const enum fault_call *covers;	/* until FAULT_NONE: in these runs each
					 * of them is seen to fail, in all ways
					 * that the table has */
	bool (*is_called)(enum fault_call call);  /* of those that it covers:
					 * whether, on this system; NULL: all */
	const struct fault *lacks;	/* until FAULT_NONE, or NULL: what the
					 * system can't do; no `outcome' */
	int outcome;			/* the only one; 0: of the table */
	unsigned threads;		/* 0: of several numbers */
	co_time stall_after;		/* of the loop */
	unsigned blocking_threads;	/* of the loop; 0: the default */
	bool only_covered;		/* let nothing else fail */
	bool forked;			/* each run is the first of a process */
	bool by_co_run;			/* no loop of its own: co_run() */
	bool leaves_open;		/* descriptors, for the loop to close */
};

/* The value of FUNCTION(...).  The first error in a run is remembered. */
#define TELL(function, ...) told(#function, (long)function(__VA_ARGS__))
long told(const char *function, long value);

/* Run SCENARIO with each fault, until something is wrong: test_failures(). */
void fail_each_call_of(const struct scenario *scenario);

#define SCENARIOS(each)                                                     \
	each(loops) each(program) each(processors)                          \
	each(processors_by_sysconf) each(stacks) each(guards)               \
	each(guard_pages) each(crowd) each(trimming) each(channels)         \
	each(blocking) each(withdrawn) each(groups) each(dumps)             \
	each(stalls) each(thieves) each(losers)                             \
	each(foreigner) each(spinning)                                      \
	each(streams) each(pipes) each(left_open) each(files)               \
	each(watches) each(many_numbers)                                    \
	each(connections) each(given) each(crowded_server)                  \
	each(addresses)                                                     \
	each(taken_by_client) each(taken_by_server)

#define DECLARE_SCENARIO(name) extern const struct scenario name;
SCENARIOS(DECLARE_SCENARIO)

#endif
