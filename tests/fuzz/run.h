/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_RUN_H
#define COLOOP_TESTS_FUZZ_RUN_H

/*
 * run.h - do what a program says, and write down what came of it
 *
 * A loop of one thread has the time of virtual.h.  With several, task 7 is a
 * thread that isn't the loop's.
 *
 * When nothing goes on any more, tasks that remain are cancelled, channels
 * closed, locks released and suspended tasks resumed, until all have ended or
 * only wait for each other; all of that is a part of the history.  Then the
 * loop has to be as new, and no memory may be left.
 */

#include "program.h"

void run_program(const struct program *program);

/* --- For the parts of it ------------------------------------------------- */

#define CO_TEST_PLAIN
#include "../test.h"

enum { SCOPES = 3, FOREIGNER = HISTORY_TASKS - 1 };

/* What a task is to those who call.  With several threads the plain fields are
 * for its owner, and for all while the loop rests. */
struct body {
	volatile AO_t started;
	volatile AO_t handle;		/* struct co_task *, or 0 */
	struct co_task *self;		/* by the task itself */
	co_time due;			/* when its call has to end */
	bool detached, released, ended;
	unsigned joiners;		/* in co_join() at this moment */
};

/* What all of it shares. */
struct run {
	const struct program *program;
	struct co_loop *loop;
	struct co_channel *channels[HISTORY_CHANNELS];
	struct co_lock locks[HISTORY_LOCKS];
	struct body bodies[HISTORY_TASKS];
	struct test_counter stops;	/* calls of co_loop_stop() */
	size_t stops_seen;		/* those until the end of the last run */
};

extern struct run run;

/* Who calls; in its own frame. */
struct actor {
	unsigned id;			/* whose steps they are, or OUTSIDE */
	bool aside;			/* a tick or a hook does them */
	bool masked;
	unsigned depth;			/* of the scopes below */
	struct co_deadline scopes[SCOPES];
	co_time whens[SCOPES];
	bool hides[SCOPES];		/* those around it */
	bool may_expire[SCOPES];	/* a call may have ended by it */
	bool expired[SCOPES];		/* it has, and by no other */
};

/* A step that something else does than the task of whose steps it is. */
struct errand {
	struct co_tick tick;
	unsigned task;
	const struct step *step;
	unsigned runs;			/* how often; in turn only */
};

struct errand *new_errand(const struct actor *actor, const struct step *step);

/* One thread only: see history.h. */
static inline bool is_in_turn(void)
{
	return history.in_turn;
}

/* The function of a task; ARG is its struct body. */
co_task_fn run_body;

typedef void do_fn(struct actor *actor, const struct step *step);

/* Do STEP, which is one of ACTOR's: any, but for DO_TICK. */
do_fn do_step;

/* A call by ACTOR, to be filled in, then begun, done and ended.  NULL: there
 * are too many, and it must not be done. */
struct call *new_call(const struct actor *actor, enum call_kind kind,
		unsigned object);
void begin_call(const struct actor *actor, struct call *call);
void end_call(struct actor *actor, struct call *call, int rc);

/* steps.c: tasks, time and locks. */
do_fn do_spawn, do_cancel, do_resume, do_stop, do_compute, do_join, do_detach,
	do_mask, do_yield, do_sleep, do_suspend, do_try_acquire, do_release,
	do_acquire, do_begin, do_leave;

/* moves.c: channels. */
do_fn do_try_put, do_try_get, do_try_select, do_put, do_get, do_select,
	do_close, do_length;

#endif
