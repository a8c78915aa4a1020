/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_BLOCKING_H
#define COLOOP_LIB_BLOCKING_H

/*
 * blocking.h - threads of a loop for calls that block
 *
 * States      A call lies on the stack of its task, and is
 *
 *               queued   in `queue'; its wait is armed
 *               begun    in no list; its wait is armed and deaf, so nobody but
 *                        the thread that has it ends it
 *               over     the wait was claimed
 *
 *               -> queued        the task's hook, when it has left its stack
 *               queued -> begun  the first thread that is free
 *               begun -> over    that thread, when the function has returned
 *               queued -> over   a cancellation, a deadline: the task takes it
 *                                out of `queue' before its call returns; or
 *                                the last thread that was to come didn't
 *
 * Ownership   The task that waits keeps the call and what it points to.  The
 *             thread that began it uses it until it claims the wait, and
 *             neither it nor the task afterwards.
 * Invariant   `work' is posted once for each call that is queued, and each
 *             thread takes one of these before it looks at the queue: so there
 *             are as many calls at most as posts and threads that are about to
 *             look, and no call waits while a thread sleeps.  Who withdraws a
 *             call takes a post, too, if it is there yet; else a thread looks
 *             once for nothing.  Across the end of a run all of that stays
 *             true: each thread is posted one more, and takes one.
 *             There are as many threads as calls, up to `max', or the start of
 *             one has failed; and a call is only queued if there is a thread,
 *             or one is about to be: if the last of these fails to come, what
 *             is queued is refused.
 * End         Threads end with the run, and what they are at ends first.
 *             What is queued stays so, and is begun in the next run.
 * Quiescence  A task that waits for its call is counted as one that waits for
 *             a descriptor: something outside will wake it.
 */

#include <pthread.h>
#include <semaphore.h>

#include "list.h"
#include "spin.h"

struct co_loop;

struct co__blocking {
	struct co__spin lock;
	struct co__list queue;		/* lock: struct call, oldest first */
	AO_t calls;			/* lock to change; relaxed: queued,
					 * begun, or about to be queued */
	AO_t threads;			/* the same: started, or about to be */
	unsigned started;		/* lock: in `ids' */
	bool quits;			/* lock: the run ends */
	unsigned max;			/* constant: the most threads */
	pthread_t *ids;			/* lock; constant after the run */
	sem_t work;
};

/* `max' has been set.  -ENOMEM, -ENOSPC. */
int co__blocking_init(struct co_loop *loop);
void co__blocking_deinit(struct co_loop *loop);

/* A run begins: start threads for what was left by the last one.  -EAGAIN: not
 * one could be started. */
int co__blocking_resume(struct co_loop *loop);

/* The workers have ended: wait for the threads to end, too. */
void co__blocking_stop(struct co_loop *loop);

#endif
