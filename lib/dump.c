/* SPDX-License-Identifier: MIT */

/* dump.c - what a loop is doing, for people
 *
 * Nothing stands still for it: each line is of some moment.  What a task waits
 * for is shown only if its wait was the same before and after the look. */

#include <coloop/loop.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "loop.h"
#include "where.h"

#define LINE_SIZE 512

static const char *const kinds[] = {
	[CO__IN_NOTHING] = "waits", [CO__IN_SUSPEND] = "is suspended",
	[CO__IN_JOIN] = "waits in co_join", [CO__IN_SLEEP] = "sleeps",
	[CO__IN_LOCK] = "waits in co_lock_acquire",
	[CO__IN_PUT] = "waits in co_channel_put",
	[CO__IN_GET] = "waits in co_channel_get",
	[CO__IN_SELECT] = "waits in co_select",
	[CO__IN_READ] = "waits to read", [CO__IN_WRITE] = "waits to write",
	[CO__IN_WAIT_FD] = "waits for events",
	[CO__IN_BLOCKING] = "waits in co_blocking",
	[CO__IN_GROUP] = "waits for a group of tasks",
};

struct dump {
	struct co_loop *loop;
	int fd;
	bool to_socket;
	int rc;
};

/* --- Lines --------------------------------------------------------------- */

struct line {
	size_t size;
	char text[LINE_SIZE];
};

/* What doesn't fit is cut, and there is always room for the newline. */
__attribute__((format(printf, 2, 3)))
static void append(struct line *line, const char *format, ...)
{
	size_t room = sizeof line->text - 1 - line->size;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(line->text + line->size, room, format, arguments);
	va_end(arguments);
	if (size > 0)
		line->size += (size_t)size < room ? (size_t)size : room - 1;
}

static void append_task(struct line *line, const struct co_task *task)
{
	char name[CO_TASK_NAME_MAX + 1];

	co__task_copy_name(task, name);
	append(line, "task %p \"%s\"", (const void *)task, name);
}

/* No signal tells that nobody reads a socket. */
static ssize_t write_some(const struct dump *dump, const char *text,
		size_t size)
{
	return dump->to_socket ? send(dump->fd, text, size, MSG_NOSIGNAL)
			: write(dump->fd, text, size);
}

static void write_line(struct dump *dump, struct line *line)
{
	const char *text = line->text;

	line->text[line->size++] = '\n';
	while (line->size > 0 && dump->rc == 0) {
		ssize_t n = write_some(dump, text, line->size);

		if (n < 0 && errno != EINTR)
			dump->rc = -errno;
		if (n > 0) {
			text += n;
			line->size -= (size_t)n;
		}
	}
}

/* --- The loop ------------------------------------------------------------ */

static void dump_loop(struct dump *dump)
{
	struct co_loop *loop = dump->loop;
	struct line line = { .size = 0 };

	append(&line, "loop %p: backend %s, threads %u, %s; references %zu, "
			"watched descriptors %zu", (void *)loop,
			loop->os->name, loop->threads,
			AO_load(&loop->running) ? "runs" : "does not run",
			AO_load(&loop->refs), AO_load(&loop->watches));
	if (AO_load(&loop->blocking.calls) != 0)
		append(&line, "; blocking calls %zu, in threads %zu",
				AO_load(&loop->blocking.calls),
				AO_load(&loop->blocking.threads));
	if (loop->stall_after != 0)
		append(&line, "; stalls from %" PRId64 " ms on",
				loop->stall_after / CO_MILLISECOND);
	write_line(dump, &line);
}

static void dump_figures(struct dump *dump)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct line line = { .size = 0 };

	co_loop_stats(dump->loop, &stats);
	append(&line, "now: tasks %" PRIu64 ", queued %" PRIu64 ", idle %u, "
			"timers_set %" PRIu64 ", stacks %" PRIu64
			", stack_bytes %" PRIu64,
			stats.tasks, stats.queued, stats.idle,
			stats.timers_set, stats.stacks, stats.stack_bytes);
	write_line(dump, &line);
	line.size = 0;
	append(&line, "ever: spawned %" PRIu64 ", switches %" PRIu64
			", steals %" PRIu64 ", polls %" PRIu64 ", events %"
			PRIu64 ", wakeups %" PRIu64 ", timers %" PRIu64
			", stalls %" PRIu64, stats.spawned, stats.switches,
			stats.steals, stats.polls, stats.events, stats.wakeups,
			stats.timers, stats.stalls);
	write_line(dump, &line);
}

/* --- Its threads --------------------------------------------------------- */

/* For how long WORKER has been doing what it does, if the monitor has seen
 * that. */
static void append_lasted(struct line *line, const struct co__worker *worker)
{
	const struct co__watch *watch = &worker->watch;
	AO_t since = AO_load(&watch->since);

	if (AO_load(&watch->turns) == co__worker_turns(worker)
			&& AO_load(&watch->doing) == AO_load(&worker->doing)
			&& AO_load(&watch->current)
			== AO_load(&worker->current))
		append(line, ", for %" PRIu64 " ms", co__stamp_age_ms(since,
				co_now()));
}

static void dump_worker(struct dump *dump, const struct co__worker *worker)
{
	static const char *const doings[] = {
		[CO__AWAY] = "is not in the loop",
		[CO__WORKS] = "looks for work, or runs a tick or a watcher",
		[CO__POLLS] = "waits for events", [CO__SLEEPS] = "sleeps",
	};
	AO_t doing = AO_load(&worker->doing);
	struct co_task *task = co__worker_current(worker);
	struct line line = { .size = 0 };

	append(&line, "thread %u", worker->index);
	if (doing != CO__AWAY)
		append(&line, " (%zu)", AO_load(&worker->thread_id));
	if (doing == CO__WORKS && task != NULL) {
		append(&line, " runs ");
		append_task(&line, task);
	} else {
		append(&line, " %s", doings[doing]);
	}
	if (doing != CO__AWAY && dump->loop->has_monitor)
		append_lasted(&line, worker);
	write_line(dump, &line);
}

/* --- Its tasks ----------------------------------------------------------- */

static bool is_of_descriptor(AO_t kind)
{
	return kind == CO__IN_READ || kind == CO__IN_WRITE
			|| kind == CO__IN_WAIT_FD;
}

static void append_function(struct line *line, const void *function)
{
	char where[CO__WHERE_SIZE];

	/* As if a call at its beginning returned. */
	co__where((const char *)function + 1, where, sizeof where);
	append(line, ", %s", where);
}

/* That of a wait of TASK, or of whatever memory has become of it. */
static void append_wait(struct line *line, const struct co_task *task,
		AO_t kind, const void *object, co_time deadline)
{
	co_time now = co_now();

	append(line, " %s", kinds[kind & CO__STAMP_LOW]);
	if (is_of_descriptor(kind & CO__STAMP_LOW))
		append(line, ", fd %d", ((const struct co_io *)object)->fd);
	else if ((kind & CO__STAMP_LOW) == CO__IN_BLOCKING)
		append_function(line, object);
	/* Who waits on itself waits at its gate. */
	else if (object != NULL && object != task
			&& (kind & CO__STAMP_LOW) != CO__IN_SELECT)
		append(line, ", %p", object);
	append(line, ", for %" PRIu64 " ms", co__stamp_age_ms(kind, now));
	if (deadline != CO_NEVER)
		append(line, ", deadline in %" PRId64 " ms", deadline > now
				? (deadline - now) / CO_MILLISECOND : 0);
}

/* That TASK runs, or is in some queue. */
static void append_running(struct line *line, const struct co_loop *loop,
		const struct co_task *task)
{
	for (unsigned i = 0; i < loop->threads; i++) {
		if (co__worker_current(&loop->workers[i]) == task) {
			append(line, " runs in thread %u", i);
			return;
		}
	}
	append(line, " is ready to run");
}

static void append_state(struct line *line, const struct co_loop *loop,
		const struct co_task *task)
{
	/* Acquire: what it waits for; pairs with co__wait_arm. */
	AO_t wait = AO_load_acquire(&task->wait);
	AO_t kind = AO_load(&task->kind);
	const void *object = (const void *)AO_load(&task->object);
	co_time deadline = co__atomic_load_wide(task->wait_deadline);

	/* All are of one wait only if that is still under way. */
	co__atomic_fence();
	if (!(wait & CO__WAIT_ARMED) || AO_load(&task->wait) != wait)
		append_running(line, loop, task);
	else
		append_wait(line, task, kind, object, deadline);
	if (wait & CO__WAIT_CANCEL)
		append(line, wait & CO__WAIT_MASKED
				? ", cancelled, but hides it" : ", cancelled");
}

static void dump_task(struct co_task *task, void *arg)
{
	struct dump *dump = arg;
	bool in_use = AO_load(&task->in_use);
	struct line line = { .size = 0 };
	char where[CO__WHERE_SIZE];

	if (!in_use && AO_load(&task->joined.word) != CO__SLOT_READY)
		return;
	append_task(&line, task);
	if (in_use)
		append_state(&line, dump->loop, task);
	else
		append(&line, " has ended, and is to be joined");
	co__where((const void *)AO_load(&task->spawned_at), where,
			sizeof where);
	append(&line, "; spawned at %s", where);
	write_line(dump, &line);
}

int co_loop_dump(struct co_loop *loop, int fd)
{
	struct dump dump = { loop, fd, co__fd_is_socket(fd), 0 };

	if (!co__loop_is_valid(loop))
		return -EINVAL;
	dump_loop(&dump);
	dump_figures(&dump);
	for (unsigned i = 0; i < loop->threads; i++)
		dump_worker(&dump, &loop->workers[i]);
	co__frames_visit(loop, dump_task, &dump);

	return dump.rc;
}
