/* SPDX-License-Identifier: MIT */

/* spin.c - waiting for a spin lock */

#include "spin.h"

#include <sched.h>
#include <time.h>

enum { SPINS = 100, YIELDS = 100 };

void co__spin_relax(unsigned turns)
{
	/* The nap is for a holder of lower priority than ours, which
	 * sched_yield() would not let run. */
	static const struct timespec nap = { 0, 50 * 1000 };

	if (turns < SPINS)
		co__atomic_pause();
	else if (turns < SPINS + YIELDS)
		sched_yield();
	else
		nanosleep(&nap, NULL);
}

void co__spin_wait(struct co__spin *lock)
{
	for (unsigned i = 0; AO_load(&lock->word) != 0; i++)
		co__spin_relax(i);
}
