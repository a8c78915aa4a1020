/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_STRAND_H
#define COLOOP_LIB_STRAND_H

/*
 * strand.h - one at a time, for the state of an object
 *
 * A channel or a lock is a sequential state machine; its strand lets one
 * thread at a time run it, for a few instructions.  A task that waits keeps
 * the strand until it has left its stack: the hook releases it, so nobody sees
 * a waiter that isn't really waiting.
 *
 * Who finds the strand taken spins briefly.  Then a task that may block lets
 * other tasks run and tries again, so no thread waits while it has something
 * else to do.  A thread that isn't in a task gives its processor away, and so
 * does a task in a call that doesn't wait: its program relies upon it that
 * neither other tasks nor another thread come between.
 *
 * It is a spin lock rather than a word with an inbox of requests: it is freed
 * by a store instead of a compare-and-swap (2.4 ns of 4.8 on current x86), and
 * a select can hold those of all its channels at once.
 */

#include "spin.h"
#include "task.h"

struct co__strand {
	struct co__spin spin;
};

/* A task found the strand taken: spin, or let others run, until it may be free.
 * The task may be in another thread when this returns. */
void co__strand_wait(struct co__strand *strand);

/* The same for who must go on in this thread, before other tasks of it. */
void co__strand_wait_still(struct co__strand *strand);

static inline bool co__strand_try(struct co__strand *strand)
{
	return co__spin_try(&strand->spin);
}

/* For tasks: one may be in another thread when this returns. */
static inline void co__strand_acquire(struct co__strand *strand)
{
	/* Acquire: pairs with co__strand_release. */
	while (!AO_compare_and_swap_acquire(&strand->spin.word, 0, 1))
		co__strand_wait(strand);
}

/* Neither blocks a task nor lets others run. */
static inline void co__strand_acquire_still(struct co__strand *strand)
{
	/* Acquire: pairs with co__strand_release. */
	while (!AO_compare_and_swap_acquire(&strand->spin.word, 0, 1))
		co__strand_wait_still(strand);
}

static inline void co__strand_release(struct co__strand *strand)
{
	co__spin_release(&strand->spin);
}

/* Park SELF, which holds STRAND, on OBJECT; the strand is released when SELF
 * has left its stack.  Returns the outcome. */
int co__strand_park(struct co__strand *strand, struct co_task *self, int kind,
		const void *object);

#endif
