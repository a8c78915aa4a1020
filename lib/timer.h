/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_TIMER_H
#define COLOOP_LIB_TIMER_H

/*
 * timer.h - one timer a task, in the wheel of a worker
 *
 * The wheel is hierarchical.  A tick is 2^16 ns (66 us).  Level 0 has a list
 * for each of 4,096 ticks (268 ms), the six above it 64 lists each, so that
 * they span all of co_time.  Setting and cancelling take constant time; a timer
 * far away moves down a level at most once per level, so one of less than
 * 268 ms at most once.  A timer goes off up to one tick late, never early.
 *
 * Invariant   Only the task sets its timer.  While EXPIRED is clear in its
 *             wait word, its timer will go off at task->timer_when or earlier
 *             (CO_NEVER: it need not be set).  So a deadline that moves to
 *             later, or ends, costs nothing: the timer goes off early, and is
 *             set anew by whom it finds waiting.
 *
 *             Whoever makes a timer go off sets EXPIRED in the word, by the
 *             same compare-and-swap that claims the wait if its deadline has
 *             passed.  Only the task (or its hook) clears EXPIRED, after it
 *             took the timer out of whatever wheel it was in.
 *
 * Memory      Timers don't lie in the control blocks but side by side, two to a
 *             line (frame.h): so the lists of a hundred thousand are walked in
 *             the caches, and all that a batch needs of its tasks, whose blocks
 *             have left the caches and the address translation, is fetched at
 *             once.  A timer outlives the task, and is used again with it.
 *
 * Locks       A wheel has a spin lock, which nests inside of that of idle.h.
 */

#include "list.h"
#include "spin.h"
#include "task.h"

/* The timer of a task. */
struct co__timer {
	struct co__list link;		/* lock: the wheel's */
	uint64_t tick;			/* lock: the wheel's; when it expires */
	struct co_task *task;		/* constant */
};

#define CO__TICK_SHIFT 16	/* log2 of a tick, in ns */
#define CO__TICK ((co_time)1 << CO__TICK_SHIFT)

#define CO__WHEEL_NEAR 4096u		/* lists of level 0 */
#define CO__WHEEL_SLOTS 64u		/* lists of each level above */
#define CO__WHEEL_LEVELS 7u
#define CO__WHEEL_LISTS (CO__WHEEL_NEAR				\
		+ (CO__WHEEL_LEVELS - 1) * CO__WHEEL_SLOTS)

struct co__wheel {
	struct co__spin lock;
	AO_t count;		/* atomic; lock to change: timers in it */
	uint64_t now;		/* lock: all up to this tick have gone off */
	uint64_t near;		/* lock: a bit per word of `occupied' that is
				 * of level 0 and not 0 */
	uint64_t occupied[CO__WHEEL_LISTS / 64]; /* lock: a bit per list */
	struct co__list lists[CO__WHEEL_LISTS];	/* lock; level 0 first */
};

void co__wheel_init(struct co__wheel *wheel, co_time now);

/* When the next timer may go off, or CO_NEVER. */
co_time co__wheel_next(struct co__wheel *wheel);

/* Let all timers go off whose time has come, and make the tasks ready whose
 * deadline has passed.  Returns how many timers went off.  On a thread of the
 * tasks' loop. */
unsigned co__wheel_run(struct co__wheel *wheel, co_time now);

/* Whether some task with a timer in this wheel waits for a deadline, or is
 * about to be made ready.  Asked while no worker of its loop runs a task. */
bool co__wheel_is_waited_for(struct co__wheel *wheel);

/* Set the timer of TASK to WHEN, in WHEEL, and clear EXPIRED.  The task or its
 * hook. */
void co__timer_set(struct co_task *task, struct co__wheel *wheel, co_time when);

/* Take the timer of TASK out of its wheel, if it is in one.  The task. */
void co__timer_unset(struct co_task *task);

static inline void co__timer_cancel(struct co_task *task)
{
	/* Acquire: pairs with go_off, which may have been in another wheel. */
	if (co__unlikely(AO_load_acquire(&task->wheel) != 0))
		co__timer_unset(task);
}

#endif
