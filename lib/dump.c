/* SPDX-License-Identifier: MIT */

/* dump.c - what a loop is doing, for people */

#include <coloop/loop.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "loop.h"

static const char *const kinds[] = {
	[CO__IN_NOTHING] = "waits", [CO__IN_SUSPEND] = "is suspended",
	[CO__IN_JOIN] = "waits in co_join", [CO__IN_SLEEP] = "sleeps",
	[CO__IN_LOCK] = "waits in co_lock_acquire",
	[CO__IN_PUT] = "waits in co_channel_put",
	[CO__IN_GET] = "waits in co_channel_get",
	[CO__IN_SELECT] = "waits in co_select",
	[CO__IN_READ] = "waits to read", [CO__IN_WRITE] = "waits to write",
	[CO__IN_WAIT_FD] = "waits for events",
};

struct dump {
	int fd;
	int rc;
};

static void write_all(struct dump *dump, const char *text, size_t size)
{
	while (size > 0 && dump->rc == 0) {
		ssize_t n = write(dump->fd, text, size);

		if (n < 0 && errno != EINTR)
			dump->rc = -errno;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
}

/* What TASK waits for, into TEXT. */
static void describe(struct co_task *task, char *text, size_t size)
{
	AO_t wait = AO_load_acquire(&task->wait);
	AO_t kind = AO_load(&task->kind);
	const void *object = (const void *)AO_load(&task->object);

	/* Both are of one wait only if that is still under way. */
	co__atomic_fence();
	if (!(wait & CO__WAIT_ARMED) || AO_load(&task->wait) != wait)
		snprintf(text, size, "runs or is about to");
	else if (kind == CO__IN_READ || kind == CO__IN_WRITE
			|| kind == CO__IN_WAIT_FD)
		snprintf(text, size, "%s, fd %d", kinds[kind],
				((const struct co_io *)object)->fd);
	else if (object != NULL)
		snprintf(text, size, "%s, %p", kinds[kind], object);
	else
		snprintf(text, size, "%s", kinds[kind]);
}

static void dump_task(struct co_task *task, void *arg)
{
	char doing[80], line[200];
	int size;

	if (!AO_load(&task->in_use))
		return;
	describe(task, doing, sizeof doing);
	size = snprintf(line, sizeof line, "task %p \"%.*s\" %s\n",
			(void *)task, (int)CO_TASK_NAME_MAX, task->name, doing);
	write_all(arg, line, (size_t)size);
}

int co_loop_dump(struct co_loop *loop, int fd)
{
	struct dump dump = { fd, 0 };

	if (!co__loop_is_valid(loop))
		return -EINVAL;
	co__frames_visit(loop, dump_task, &dump);

	return dump.rc;
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

	return 0;
}
