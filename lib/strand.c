/* SPDX-License-Identifier: MIT */

/* strand.c - see strand.h */

#include "strand.h"

#include <sched.h>

#include "wait.h"
#include "worker.h"

enum { SPINS_MIN = 128, SPINS_MAX = 512 };

/* Spin until the strand may be free.  False: that takes too long. */
static bool spin(const struct co__strand *strand)
{
	/* To look takes the cache line from who works with it, so look seldom,
	 * and ever more so: meanwhile the other gets much done. */
	for (int spins = SPINS_MIN; spins <= SPINS_MAX; spins *= 2) {
		co__atomic_pause_long(spins);
		if (AO_load(&strand->spin.word) == 0)
			return true;
	}

	return false;
}

void co__strand_wait_still(struct co__strand *strand)
{
	if (!spin(strand))
		co__spin_wait(&strand->spin);
}

void co__strand_wait(struct co__strand *strand)
{
	struct co_task *self = co_self();

	if (spin(strand))
		return;
	co__worker_yield(self);
	if (AO_load(&strand->spin.word) != 0)
		sched_yield();
}

/* Once the strand is free the task may return, and its stack, where ARG isn't,
 * be gone. */
static void arm_and_release(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	struct co__strand *strand = arg;
	int rc = co__wait_arm_plain(worker, self);

	co__strand_release(strand);
	if (co__unlikely(rc < 0)) {
		self->outcome = rc;
		co__ready(self);
	}
}

int co__strand_park(struct co__strand *strand, struct co_task *self, int kind,
		const void *object)
{
	return co__park(self, (enum co__wait_kind)kind, object,
			arm_and_release, strand);
}
