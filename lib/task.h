/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_TASK_H
#define COLOOP_LIB_TASK_H

/*
 * task.h - the control block of a task
 *
 * It lies at the top of the task's own stack memory, so that an idle task
 * touches one page.  The memory of a control block is never unmapped before
 * its loop is destroyed, and its `wait' word only counts upwards, also from
 * one task to the next in the same memory: a stale pointer to a task is
 * harmless to read and to compare-and-swap on.
 *
 * Each field says who may touch it.  `task' is the task itself while it runs,
 * or whoever has taken it off its stack and not yet made it runnable.
 */

#include <coloop/loop.h>
#include <coloop/task.h>
#include <coloop/time.h>

#include <string.h>

#include "assert.h"
#include "atomic.h"
#include "checkers.h"
#include "clock.h"
#include "context/context.h"
#include "list.h"
#include "slot.h"

struct co_group;
struct co__timer;
struct co__wheel;
struct co__worker;

/* What a task is waiting in, for people; its number, for tracers: probes.h. */
enum co__wait_kind {
	CO__IN_NOTHING, CO__IN_SUSPEND, CO__IN_JOIN, CO__IN_SLEEP, CO__IN_LOCK,
	CO__IN_PUT, CO__IN_GET, CO__IN_SELECT, CO__IN_READ, CO__IN_WRITE,
	CO__IN_WAIT_FD, CO__IN_BLOCKING, CO__IN_GROUP
};

/* The name of a task, written and read a word at a time. */
#define CO__NAME_WORDS ((CO_TASK_NAME_MAX + 1) / sizeof(AO_t))

/* In the order of how often it is used: a switch needs the first 64 bytes, a
 * wait and its deadline the next, the beginning and the end of a task the
 * third. */
struct co_task {
	struct co__context context;	/* task */
	struct co__worker *worker;	/* task: who runs it, or ran it last */
	AO_t wait;			/* atomic: see wait.h */
	co_time deadline;		/* task: when a wait must end; set by
					 * co__task_set_deadline */
	int outcome;			/* who claimed the wait, then task */
	unsigned char special;		/* task: CO__TASK_... */
	unsigned char size_class;	/* constant: log2 of the stack size */

	AO_t kind;			/* relaxed: enum co__wait_kind, and the
					 * stamp of when: clock.h */
	AO_t object;			/* relaxed: what it waits for */
	AO_t wait_deadline[8 / sizeof(AO_t)];	/* atomic: while armed; CO_NEVER
					 * if `deadline' is */
	co_time timer_when;		/* task: see timer.h */
	AO_t wheel;			/* atomic: struct co__wheel *: where its
					 * timer is, or 0 */
	struct co__timer *timer;	/* constant */
	struct co_loop *loop;		/* constant */

	struct co__slot joined;		/* atomic: see task.c */
	co_task_fn *fn;			/* constant while in use */
	void *arg;			/* constant while in use */
	struct co_group *group;		/* constant while in use; or NULL */
	void *stack_bottom;		/* constant: lowest usable byte */
	struct co_tick tick;		/* its link in one queue; run is NULL */

	AO_t in_use;			/* relaxed: 1 until it has ended */
	AO_t spawned_at;		/* relaxed: the return address of the
					 * call that spawned it */
	struct co_deadline *scope;	/* task: the innermost deadline scope */
	co_time passed;			/* task: the latest deadline that it
					 * (or one before it) knows is over */
	int result;			/* task, then who joins */
	unsigned stack_id;		/* constant: for checkers */
	struct co__slot gate;		/* atomic: for waits of the task on what
					 * has no lasting memory */
	struct co__worker *home;	/* constant while in use: if pinned */
	struct co__checked checked;	/* the switcher */
	union {				/* relaxed: who names it */
		char name[CO_TASK_NAME_MAX + 1];
		AO_t name_words[CO__NAME_WORDS];
	};
};

_Static_assert((CO_TASK_NAME_MAX + 1) % sizeof(AO_t) == 0
		&& CO__IN_GROUP <= CO__STAMP_LOW, "they fit");

/* Bits of task->special: what is not so for most tasks, so that one look tells
 * that none of it is.  Pinned is constant while the task is in use. */
#define CO__TASK_HAS_DEADLINE 1u	/* its deadline is not CO_NEVER */
#define CO__TASK_MASKED 2u		/* cancellation is hidden */
#define CO__TASK_PINNED 4u		/* it has a home */
#define CO__TASK_PAUSES 8u		/* its deadline is no scope's: it
					 * sleeps, and will have slept long
					 * enough */
#define CO__TASK_CHECKED 16u		/* ThreadSanitizer is to be told who
					 * wakes it; constant as well */

/* co_spawn_with() for the library itself: the task was spawned at AT, the
 * return address of what the program called. */
int co__spawn(struct co_loop *loop, const struct co_task_attr *attr,
		co_task_fn *fn, void *arg, struct co_task **ret_task,
		const void *at);

/* The same for a task of GROUP, which is expected there: group.h. */
int co__spawn_member(struct co_loop *loop, struct co_group *group,
		const struct co_task_attr *attr, co_task_fn *fn, void *arg,
		const void *at);

/* The return address of the function that this stands in, which must not be
 * inlined. */
#define co__caller() \
	__builtin_extract_return_addr(__builtin_return_address(0))

/* Copy the name of TASK as it is at this moment (any thread). */
static inline void co__task_copy_name(const struct co_task *task,
		char ret_name[CO_TASK_NAME_MAX + 1])
{
	for (size_t i = 0; i < CO__NAME_WORDS; i++) {
		AO_t word = AO_load(&task->name_words[i]);

		memcpy(ret_name + i * sizeof word, &word, sizeof word);
	}
	ret_name[CO_TASK_NAME_MAX] = '\0';
}

/* What task->joined may be beside a slot's states: see task.c. */
#define CO__TASK_DETACHED ((AO_t)2)
#define CO__TASK_RELEASED ((AO_t)3)

/* Run the function of SELF, the calling task.  Returns the task that waits for
 * its end, claimed, or NULL. */
struct co_task *co__task_run(struct co_task *self);

/* The hook of a task that has left its stack for good.  JOINER is what
 * co__task_run returned.  From here on SELF may be another task. */
void co__task_finish(struct co__worker *worker, struct co_task *self,
		void *joiner);

static inline bool co__task_is_pinned(const struct co_task *task)
{
	return task->special & CO__TASK_PINNED;
}

/* Whether more is to be done than to queue TASK where it is made runnable. */
static inline bool co__task_is_queued_slowly(const struct co_task *task)
{
	return task->special & (CO__TASK_PINNED | CO__TASK_CHECKED);
}

/* Set what of FLAG is to be seen by the task itself. */
static inline void co__task_set_special(struct co_task *self, unsigned flag,
		bool on)
{
	self->special = (unsigned char)(on ? self->special | flag
			: self->special & ~flag);
}

/* Let the waits of SELF, the calling task, end at WHEN, as its scopes say. */
static inline void co__task_set_deadline(struct co_task *self, co_time when)
{
	self->deadline = when;
	self->special &= (unsigned char)~(CO__TASK_HAS_DEADLINE
			| CO__TASK_PAUSES);
	if (when != CO_NEVER)
		self->special |= CO__TASK_HAS_DEADLINE;
	else
		co__atomic_store_wide(self->wait_deadline, CO_NEVER);
}

/* The same for a pause, which ends before they do; then set theirs again. */
static inline void co__task_set_pause(struct co_task *self, co_time when)
{
	co__task_set_deadline(self, when);
	self->special |= CO__TASK_PAUSES;
}

static inline struct co_task *co__task_of_tick(struct co_tick *tick)
{
	return co__container_of(tick, struct co_task, tick);
}

#endif
