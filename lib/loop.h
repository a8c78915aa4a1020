/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_LOOP_H
#define COLOOP_LIB_LOOP_H

/*
 * loop.h - what the workers of one loop share
 */

#include <coloop/loop.h>

#include "blocking.h"
#include "fd.h"
#include "frame.h"
#include "idle.h"
#include "inject.h"
#include "monitor.h"
#include "os/os.h"
#include "spill.h"
#include "worker.h"

struct co_loop {
	size_t magic;			/* constant: CO__LOOP_MAGIC */
	unsigned threads;		/* constant */
	unsigned flags;			/* constant */
	unsigned stack_class;		/* constant: of tasks by default */
	bool has_monitor;		/* constant: a thread looks after it */
	co_time stall_after;		/* constant; 0: never */
	co_stall_fn *on_stall;		/* constant; NULL: a line is written */
	void *stall_arg;		/* constant */
	const struct co__os_backend *os;	/* constant */
	struct co__poller *poller;	/* constant */
	struct co_allocator allocator;	/* constant */
	size_t older;			/* lock: see debugger.h */
	struct co__worker *workers;	/* constant; an array */
	AO_t pinned_outside;		/* atomic: deals pinned tasks out */

	AO_t running;			/* atomic: 1 during co_loop_run */
	bool lacks_threads;		/* constant after the gate: some thread
					 * could not be started */
	AO_t stop;			/* atomic: not 0: workers return */
	AO_t refs;			/* atomic: co_loop_ref */
	AO_t visitors;			/* atomic: co__loop_enter */
	AO_t watches;			/* atomic: watched descriptors */
	AO_t polled;			/* atomic: descriptors in the poller */
	AO_t spawned_outside;		/* atomic: tasks, by other threads */
	AO_t stalls;			/* relaxed: reported; monitor */

	/* Lines apart, whatever the alignment of the whole. */
	char before_inject[64];
	struct co__inject inject;
	char before_idle[64];
	struct co__idle idle;
	char before_spill[64];
	struct co__spill spill;
	char before_frames[64];
	struct co__frames frames;
	struct co__fds fds;

	struct co__monitor monitor;
	struct co__blocking blocking;
};

#define CO__LOOP_MAGIC ((size_t)0x636f6c70)	/* "colp" */

/* LOOP is a loop, as far as can be seen. */
static inline bool co__loop_is_valid(const struct co_loop *loop)
{
	return loop != NULL && loop->magic == CO__LOOP_MAGIC;
}

/* LOOP, or that of the calling task if it is NULL; NULL if there is none. */
struct co_loop *co__loop_or_current(struct co_loop *loop);

/* By the loop's allocator.  What is released isn't NULL. */
void *co__loop_allocate(struct co_loop *loop, size_t size);
void co__loop_release(struct co_loop *loop, void *memory, size_t size);

/* The same, in cache lines of its own. */
void *co__loop_allocate_lines(struct co_loop *loop, size_t size);
void co__loop_release_lines(struct co_loop *loop, void *memory, size_t size);

/* Why the workers return. */
#define CO__STOP_DONE ((AO_t)1)		/* no task is left, or co_loop_stop */
#define CO__STOP_STUCK ((AO_t)2)	/* tasks are left that nothing wakes */

/* pthread_create() of a thread of the library's.  Signals are for the program's
 * threads, but for those that tell of a fault.  Negative errno values. */
int co__loop_start_thread(pthread_t *thread, void *(*run)(void *), void *arg);

/* Make the workers return. */
void co__loop_end(struct co_loop *loop, AO_t reason);

/* Whether there is something to run for any worker. */
bool co__loop_has_work(struct co_loop *loop);

/* A thread that isn't the loop's begins and ends to tell it something; what it
 * tells may end the loop, which isn't destroyed before the visit is over. */
static inline void co__loop_enter(struct co_loop *loop)
{
	AO_fetch_and_add1(&loop->visitors);
}

static inline void co__loop_leave(struct co_loop *loop)
{
	co__checked_release(&loop->visitors);
	/* Release: pairs with co_loop_destroy. */
	AO_fetch_and_sub1_release(&loop->visitors);
}

/* The number of tasks that have not ended; exact when nothing runs. */
size_t co__loop_tasks(struct co_loop *loop);

/* All workers are idle: end the loop if nothing can wake it. */
void co__loop_quiesce(struct co_loop *loop);

/* Events that the poller gave to WORKER. */
void co__loop_deliver(struct co__worker *worker, int count);

#endif
