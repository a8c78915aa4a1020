/* SPDX-License-Identifier: MIT */

/* stats.c - what a loop has done so far, in figures */

#include <coloop/loop.h>

#include <errno.h>

#include "loop.h"

static size_t count_queued(const struct co__worker *worker)
{
	size_t length = co__runq_length(&worker->queue);

	/* The two that it is made of may not belong together: see runq.h. */
	return (length <= CO__RUNQ_SIZE ? length : 0)
			+ (AO_load(&worker->next) != 0);
}

static void add_worker(struct co_loop_stats *stats,
		const struct co__worker *worker)
{
	stats->spawned += AO_load(&worker->spawned);
	stats->switches += AO_load(&worker->switches);
	stats->steals += AO_load(&worker->steals);
	stats->polls += AO_load(&worker->polls);
	stats->events += AO_load(&worker->events);
	stats->timers += AO_load(&worker->timers);
	stats->timers_set += AO_load(&worker->wheel.count);
	stats->queued += count_queued(worker);
}

int co_loop_stats(struct co_loop *loop, struct co_loop_stats *stats)
{
	static const struct co_loop_stats none;

	if (!co__loop_is_valid(loop) || stats == NULL
			|| stats->size != sizeof *stats)
		return -EINVAL;
	*stats = none;
	stats->size = sizeof *stats;
	stats->threads = loop->threads;
	stats->idle = (unsigned)AO_load(&loop->idle.count);
	stats->tasks = co__loop_tasks(loop);
	stats->spawned = AO_load(&loop->spawned_outside);
	for (unsigned i = 0; i < loop->threads; i++)
		add_worker(stats, &loop->workers[i]);
	stats->wakeups = AO_load(&loop->idle.wakeups);
	stats->stack_bytes = AO_load(&loop->frames.bytes);
	stats->stacks = AO_load(&loop->frames.stacks);
	stats->queued += AO_load(&loop->spill.tasks);
	stats->stalls = AO_load(&loop->stalls);

	return 0;
}
