/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_INJECT_H
#define COLOOP_LIB_INJECT_H

/*
 * inject.h - the loop-wide queue: what comes from outside, and what overflows
 *
 * Holds ticks; a tick whose run is NULL is in a task.
 *
 * Ownership   Anyone puts, without a lock (co_queue).  The taking side belongs
 *             to who holds `lock'.  Nobody waits for that: who doesn't get it
 *             knows that another worker is taking, which then looks after what
 *             it leaves (see take_injected in find.c).
 * Invariant   What is taken in part stays in the queue's private list;
 *             `backlog' says so to those who only look.
 */

#include <coloop/loop.h>
#include <coloop/queue.h>

#include "assert.h"
#include "spin.h"

struct co__inject {
	struct co_queue queue;		/* put: anyone; get: lock */
	AO_t backlog;			/* atomic: taken but not given out */
	struct co__spin lock;
};

static inline void co__inject_put(struct co__inject *inject,
		struct co_tick *tick)
{
	co_queue_put(&inject->queue,
			(struct co_queue_node *)(void *)tick->private_);
}

/* Whether there is something, as far as can be seen from outside. */
static inline bool co__inject_has_some(const struct co__inject *inject)
{
	return AO_load((const volatile AO_t *)&inject->queue.inbox_) != 0
			|| AO_load(&inject->backlog) != 0;
}

/* Take up to MAX into TICKS.  Returns how many; 0 also if another thread is
 * taking. */
static inline unsigned co__inject_take(struct co__inject *inject,
		struct co_tick **ticks, unsigned max)
{
	unsigned n = 0;

	if (!co__inject_has_some(inject) || !co__spin_try(&inject->lock))
		return 0;
	while (n < max) {
		struct co_queue_node *node = co_queue_get(&inject->queue);

		if (node == NULL)
			break;
		ticks[n++] = co__container_of(node, struct co_tick, private_);
	}
	AO_store(&inject->backlog, inject->queue.first_ != NULL);
	co__spin_release(&inject->lock);

	return n;
}

#endif
