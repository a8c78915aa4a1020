/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_PROGRAM_H
#define COLOOP_TESTS_FUZZ_PROGRAM_H

/*
 * program.h - a program of calls, made of any bytes
 *
 * The first bytes say how the loop is, which tasks there are from the beginning
 * and what the channels are; then each three are an operation of some task.
 */

#include "history.h"

enum operation {
	/* Any thread may do these, up to the next remark. */
	DO_SPAWN, DO_CANCEL, DO_RESUME, DO_TRY_PUT, DO_TRY_GET, DO_TRY_SELECT,
	DO_CLOSE, DO_LENGTH, DO_TRY_ACQUIRE, DO_RELEASE, DO_STOP, DO_COMPUTE,
	/* A task does these. */
	DO_JOIN, DO_DETACH, DO_MASK, DO_YIELD, DO_SLEEP, DO_SUSPEND, DO_PUT,
	DO_GET, DO_SELECT, DO_ACQUIRE, DO_BEGIN, DO_LEAVE,
	DO_TICK,		/* the next one is done by a tick */
	OPERATIONS,
	DO_FIRST_OF_TASKS = DO_JOIN
};

enum { PROGRAM_STEPS = 80, NO_OWNER = HISTORY_TASKS };

struct step {
	enum operation operation;
	uint8_t a, b;		/* what it is about */
};

struct program {
	const char *backend;
	unsigned threads;
	co_time start, lateness;	/* see virtual.h */
	uint8_t at_once;		/* a bit for each task */
	size_t capacities[HISTORY_CHANNELS];
	size_t item_sizes[HISTORY_CHANNELS];
	struct step steps[HISTORY_TASKS][PROGRAM_STEPS];
	unsigned counts[HISTORY_TASKS];
	/* For each task, who may release it: the first that joins or detaches
	 * it, or NO_OWNER.  With several threads nobody else can tell whether
	 * it is still there. */
	unsigned owners[HISTORY_TASKS];
	bool resumed[HISTORY_TASKS];	/* by some task */
};

/* What DATA says, for a loop of one thread or of several. */
void program_read(struct program *program, const uint8_t *data, size_t size,
		bool several);

/* The task that STEP is about. */
static inline unsigned step_task(const struct step *step)
{
	return step->a % HISTORY_TASKS;
}

/* A length of time that the byte B stands for: from a nanosecond to hours, some
 * of them never, none or negative. */
co_time program_length(uint8_t b);

/* The same if nobody wants to wait for that: some microseconds at the most. */
co_time program_short_length(uint8_t b);

#endif
