/* SPDX-License-Identifier: MIT */

/* stall.c - see stall.h */

#include "stall.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "loop.h"
#include "where.h"

/* Whether WORKER is where it was at the last look.  If not, remember where it
 * is by NOW. */
static bool is_same(struct co__worker *worker, co_time now)
{
	struct co__watch *watch = &worker->watch;
	AO_t turns = co__worker_turns(worker);
	AO_t doing = AO_load(&worker->doing);
	AO_t current = AO_load(&worker->current);

	if (turns == AO_load(&watch->turns)
			&& doing == AO_load(&watch->doing)
			&& current == AO_load(&watch->current))
		return true;
	AO_store(&watch->turns, turns);
	AO_store(&watch->doing, doing);
	AO_store(&watch->current, current);
	AO_store(&watch->since, co__stamp(now));
	watch->lasted = 0;
	watch->told = false;

	return false;
}

/* All of STALL in words. */
static void put_in_words(const struct co_stall *stall, char *text, size_t size)
{
	long long ms = stall->duration / CO_MILLISECOND;
	char where[CO__WHERE_SIZE];

	if (stall->task == NULL) {
		snprintf(text, size, "coloop: thread %ld has run a tick or a "
				"watcher for %lld ms without a switch",
				stall->thread, ms);
		return;
	}
	co__where(stall->spawned_at, where, sizeof where);
	snprintf(text, size, "coloop: task %p \"%s\" has run for %lld ms "
			"without a switch in thread %ld; spawned at %s",
			(void *)stall->task, stall->name, ms, stall->thread,
			where);
}

/* If nobody takes it there is nobody left to tell. */
static void write_line(char *text)
{
	size_t size = strlen(text);
	ssize_t written;

	text[size] = '\n';
	written = write(STDERR_FILENO, text, size + 1);
	(void)written;
}

static void report(struct co_loop *loop, const struct co_stall *stall,
		char *text)
{
	AO_store(&loop->stalls, AO_load(&loop->stalls) + 1);
	if (loop->on_stall != NULL)
		loop->on_stall(stall, loop->stall_arg);
	else
		write_line(text);
}

/* Report that WORKER has run the same for so long, unless it goes on just now:
 * then its task may be another already. */
static void tell(struct co__worker *worker, co_time now)
{
	struct co__watch *watch = &worker->watch;
	struct co_task *task = (struct co_task *)AO_load(&watch->current);
	char name[CO_TASK_NAME_MAX + 1] = "", text[320];
	struct co_stall stall = {
		.loop = worker->loop,
		.task = task,
		.name = name,
		.duration = watch->lasted,
		.thread = (long)AO_load(&worker->thread_id),
		.text = text,
	};

	if (task != NULL) {
		co__task_copy_name(task, name);
		stall.spawned_at = (const void *)AO_load(&task->spawned_at);
	}
	if (is_same(worker, now)) {
		watch->told = true;
		put_in_words(&stall, text, sizeof text - 1);
		report(worker->loop, &stall, text);
	}
}

void co__stall_look(struct co_loop *loop, co_time now, co_time passed)
{
	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__worker *worker = &loop->workers[i];
		struct co__watch *watch = &worker->watch;

		AO_store(&worker->clock, co__stamp(now));
		if (!is_same(worker, now)
				|| AO_load(&watch->doing) != CO__WORKS)
			continue;
		watch->lasted += passed;
		if (loop->stall_after != 0 && !watch->told
				&& watch->lasted >= loop->stall_after)
			tell(worker, now);
	}
}
