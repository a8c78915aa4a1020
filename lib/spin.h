/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_SPIN_H
#define COLOOP_LIB_SPIN_H

/*
 * spin.h - the lock for a few instructions
 *
 * Never held across a switch, a system call or a call of the user's code.  The
 * holder can be preempted, so a waiter that spun in vain gives the processor
 * away.
 */

#include "atomic.h"

struct co__spin {
	AO_t word;		/* atomic: 1 while held */
};

#define CO__SPIN_INIT { 0 }

/* Wait a little for another thread, which was waited for TURNS times so far:
 * spin, give the processor away, or sleep. */
void co__spin_relax(unsigned turns);

/* Spin until LOCK was seen free once, giving the processor away meanwhile. */
void co__spin_wait(struct co__spin *lock);

static inline bool co__spin_try(struct co__spin *lock)
{
	/* Acquire: what the last holder wrote; pairs with co__spin_release. */
	return AO_compare_and_swap_acquire(&lock->word, 0, 1);
}

static inline void co__spin_acquire(struct co__spin *lock)
{
	while (!AO_compare_and_swap_acquire(&lock->word, 0, 1)) /* as above */
		co__spin_wait(lock);
}

static inline void co__spin_release(struct co__spin *lock)
{
	/* Release: pairs with the acquire of co__spin_try, co__spin_acquire. */
	AO_store_release(&lock->word, 0);
}

#endif
