/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_HISTORY_H
#define COLOOP_TESTS_FUZZ_HISTORY_H

/*
 * history.h - what was called, when, and what came of it
 *
 * Each call has two stamps, one from before it and one from after it returned.
 * All stamps are different; what has the lower one was first.  What a call does
 * it does between the two.
 */

#include <coloop.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HISTORY_CALLS = 512,
	HISTORY_RESERVE = 40,	/* of them for the ends of tasks and runs */
	HISTORY_STAMPS = 2 * HISTORY_CALLS,
	HISTORY_WAYS = 3,
	HISTORY_CHANNELS = 3,
	HISTORY_LOCKS = 2,
	HISTORY_TASKS = 8,
	/* Who calls: a task, or one of these. */
	OUTSIDE = HISTORY_TASKS,	/* the program, while the loop rests */
	ASIDE,				/* a tick, or a suspension's hook */
	ACTORS
};

enum call_kind {
	CALL_SPAWN, CALL_JOIN, CALL_DETACH, CALL_CANCEL, CALL_END, CALL_YIELD,
	CALL_SLEEP, CALL_SUSPEND, CALL_RESUME,
	CALL_MOVE,		/* put, get, select */
	CALL_TRY_MOVE,		/* the same without waiting */
	CALL_CLOSE, CALL_LENGTH,
	CALL_ACQUIRE, CALL_TRY_ACQUIRE, CALL_RELEASE,
	CALL_RUN, CALL_STOP,
	CALL_KINDS
};

/* One case of a select, or all that a put or get is. */
struct way {
	uint8_t channel;	/* HISTORY_CHANNELS: none */
	bool is_put;
	uint16_t item;		/* what it puts; it is never 0 */
};

struct call {
	enum call_kind kind;
	unsigned actor;
	unsigned object;	/* the task, channel or lock */
	struct way ways[HISTORY_WAYS];
	unsigned ways_count;
	bool masked;		/* cancellation was hidden */
	co_time deadline;	/* of the caller, at that time */
	co_time length;		/* of a sleep */
	/* What came of it. */
	int rc;			/* CALL_MOVE: the way, or negative */
	int way_rc;		/* CALL_MOVE: 0 or -EPIPE, for that way */
	uint16_t got;		/* CALL_MOVE: the item; 0: it has no content */
	int result;		/* CALL_JOIN, CALL_END: of the task;
				 * CALL_SPAWN: 1 if it is detached;
				 * CALL_SUSPEND: calls of its hook */
	unsigned begun, ended;	/* stamps; `ended' is 0 if it never did */
	co_time begun_at, ended_at;
};

struct history {
	struct call calls[HISTORY_CALLS];
	size_t capacities[HISTORY_CHANNELS];
	bool has_content[HISTORY_CHANNELS];	/* its items are told apart */
	bool in_turn;		/* of one thread: no call overlaps another but
				 * one that waits */
	co_time grain;		/* how late the clock is of calls that need
				 * not wait; while in_turn: and in what steps
				 * it goes */
	size_t count;		/* calls */
	unsigned stamps;	/* one more than the highest */
	unsigned settled;	/* the end of the last run in which all could
				 * return that had a reason to */
};

/* --- Writing ------------------------------------------------------------- */

extern struct history history;

void history_clear(void);

/* A call of KIND by ACTOR, whose other fields are to be filled in; or NULL, if
 * there have been too many.  Any thread. */
struct call *history_new(enum call_kind kind, unsigned actor);

/* Directly before and after the call itself. */
void history_begin(struct call *call);
void history_end(struct call *call, int rc);

/* When all is over: counts are final. */
void history_close(void);

/* The number of CALL, which is its place. */
static inline size_t history_number(const struct call *call)
{
	return (size_t)(call - history.calls);
}

/* --- Reading ------------------------------------------------------------- */

/* CALL may wait, and so heeds cancellation and deadlines. */
bool call_is_blocking(const struct call *call);

/* CALL was ended by a cancellation or a deadline. */
bool call_is_doomed(const struct call *call);

/* All of it, for people. */
void history_print(void);

#endif
