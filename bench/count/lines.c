/* SPDX-License-Identifier: MIT */

/* lines.c - see lines.h */

#include "lines.h"

#include <stdlib.h>

#include "count.h"
#include "loop.h"

/* What lies from OFFSET in a struct on, up to the next. */
struct part {
	const char *name;
	size_t offset;
};

static const struct part loop_parts[] = {
	{ "loop", 0 },
	{ "inject queue", offsetof(struct co_loop, inject) },
	{ "idle", offsetof(struct co_loop, idle) },
	{ "spill", offsetof(struct co_loop, spill) },
	{ "depot", offsetof(struct co_loop, frames) },
	{ "descriptors' table", offsetof(struct co_loop, fds) },
	{ "monitor", offsetof(struct co_loop, monitor) },
};

static const struct part worker_parts[] = {
	{ "worker, own", 0 },
	{ "worker, run-next slot", offsetof(struct co__worker, next) },
	{ "worker, queue", offsetof(struct co__worker, queue) },
	{ "worker, pinned", offsetof(struct co__worker, pinned) },
	{ "worker, wheel", offsetof(struct co__worker, wheel) },
	{ "worker, sleep", offsetof(struct co__worker, idle_link) },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { LOOP_PARTS = COUNT_OF(loop_parts), WORKER_PARTS = COUNT_OF(worker_parts),
	TASKS = LOOP_PARTS + WORKER_PARTS, STACKS, OTHERS, PARTS };

static struct co_loop *loop;
static uint64_t found[PARTS];

/* Which of COUNT parts OFFSET is in. */
static unsigned part_of(const struct part *parts, unsigned count, size_t offset)
{
	while (count > 1 && parts[count - 1].offset > offset)
		count--;

	return count - 1;
}

static bool is_in(const volatile char *address, const void *begin, size_t size)
{
	return (uintptr_t)address - (uintptr_t)begin < size;
}

/* The control blocks, by address. */
static struct co_task **tasks;
static size_t task_count, task_room;

static void note_task(struct co_task *task, void *arg)
{
	(void)arg;
	if (task_count == task_room) {
		task_room = task_room != 0 ? 2 * task_room : 1024;
		tasks = realloc(tasks, task_room * sizeof *tasks);
		if (tasks == NULL)
			abort();
	}
	tasks[task_count++] = task;
}

static int compare(const void *a, const void *b)
{
	struct co_task *const *first = a, *const *second = b;

	return (*first > *second) - (*first < *second);
}

/* The part of what a task has, or OTHERS. */
static unsigned part_of_task(const volatile char *address)
{
	size_t low = 0, high = task_count;

	/* The first whose end is behind ADDRESS: the stack is below. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((const volatile char *)(tasks[middle] + 1) > address)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == task_count || (const volatile char *)tasks[low]
			->stack_bottom > address)
		return OTHERS;

	return (const volatile char *)tasks[low] <= address ? TASKS : STACKS;
}

static void note_line(const volatile void *line, uint64_t moves)
{
	const volatile char *address = line;
	unsigned part;

	if (is_in(address, loop, sizeof *loop))
		part = part_of(loop_parts, LOOP_PARTS, (size_t)(address
				- (const volatile char *)loop));
	else if (is_in(address, loop->workers, loop->threads
			* sizeof *loop->workers))
		part = LOOP_PARTS + part_of(worker_parts, WORKER_PARTS,
				(size_t)(address - (const volatile char *)
				loop->workers) % sizeof *loop->workers);
	else
		part = part_of_task(address);
	found[part] += moves;
}

void count_each_part(struct co_loop *of,
		void (*visit)(const char *part, uint64_t moves))
{
	loop = of;
	co__frames_visit(loop, note_task, NULL);
	qsort(tasks, task_count, sizeof *tasks, compare);
	count_each_line(note_line);
	for (unsigned i = 0; i < PARTS; i++) {
		const char *name = i < LOOP_PARTS ? loop_parts[i].name
			: i < TASKS ? worker_parts[i - LOOP_PARTS].name
			: i == TASKS ? "tasks" : i == STACKS ? "stacks"
			: "timers, channels, locks, sockets";

		if (found[i] != 0)
			visit(name, found[i]);
	}
}
