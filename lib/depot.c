/* SPDX-License-Identifier: MIT */

/* depot.c - see depot.h */

#include "depot.h"

#include <stdint.h>
#include <sys/mman.h>

#include "frame.h"
#include "timer.h"

#define PERIOD (100 * CO_MILLISECOND)

/* Pages of a stack that are kept, beside that of the control block. */
#define KEPT 1u

void co__depot_init(struct co__depot *depot)
{
	for (unsigned i = 0; i < CO__STACK_CLASSES; i++) {
		co__list_init(&depot->classes[i].warm);
		co__list_init(&depot->classes[i].cold);
	}
}

/* The warm magazines of CLASS are one more or, with MORE of -1, one less. */
static void count(struct co__depot *depot, struct co__depot_class *class,
		AO_t more)
{
	class->count += more;
	AO_store(&depot->warm, AO_load(&depot->warm) + more);
	if (class->count < class->least)
		class->least = class->count;
}

static void push(struct co__list *list, struct co_task *first)
{
	co__list_append(list->next, &first->timer->link);
}

static struct co_task *task_of(struct co__list *link)
{
	return co__container_of(link, struct co__timer, link)->task;
}

/* The latest magazine of CLASS, warm if there are warm ones, or NULL. */
static struct co_task *pop(struct co__depot *depot,
		struct co__depot_class *class)
{
	struct co__list *link = co__list_take(&class->warm);

	if (link != NULL)
		count(depot, class, (AO_t)-1);
	else
		link = co__list_take(&class->cold);

	return link != NULL ? task_of(link) : NULL;
}

bool co__depot_take(struct co__depot *depot, unsigned i,
		struct co__magazine *magazine)
{
	struct co_task *first;

	co__spin_acquire(&depot->lock);
	first = pop(depot, &depot->classes[i]);
	co__spin_release(&depot->lock);
	if (first == NULL)
		return false;
	magazine->first = first;
	magazine->count = CO__MAGAZINE;

	return true;
}

void co__depot_give(struct co__depot *depot, unsigned i,
		struct co__magazine *magazine)
{
	struct co__depot_class *class = &depot->classes[i];

	co__spin_acquire(&depot->lock);
	push(&class->warm, magazine->first);
	count(depot, class, 1);
	co__spin_release(&depot->lock);
	magazine->first = NULL;
	magazine->count = 0;
}

/* --- Trimming ------------------------------------------------------------ */

static void begin_period(struct co__depot *depot, co_time now)
{
	depot->period_ends = now + PERIOD;
	for (unsigned i = 0; i < CO__STACK_CLASSES; i++) {
		struct co__depot_class *class = &depot->classes[i];

		class->needless = class->least;
		class->least = class->count;
	}
}

/* The oldest magazine that is needless, out of its list, or NULL. */
static struct co_task *take_needless(struct co__depot *depot)
{
	for (unsigned i = 0; i < CO__STACK_CLASSES; i++) {
		struct co__depot_class *class = &depot->classes[i];
		struct co__list *oldest = class->warm.prev;

		if (class->needless == 0 || oldest == &class->warm)
			continue;
		class->needless--;
		co__list_remove(oldest);
		count(depot, class, (AO_t)-1);
		return task_of(oldest);
	}

	return NULL;
}

/* What it fails for, say locked memory, stays as it is. */
static void trim_stack(const struct co_task *task, size_t page_size)
{
	uintptr_t bottom = (uintptr_t)task->stack_bottom;
	uintptr_t kept = (uintptr_t)task / page_size * page_size
			- KEPT * page_size;

	if (kept > bottom)
		madvise(task->stack_bottom, kept - bottom, MADV_DONTNEED);
}

void co__depot_trim(struct co__depot *depot, co_time now)
{
	struct co_task *first;

	if (!co__depot_is_warm(depot) || !co__spin_try(&depot->lock))
		return;
	if (now >= depot->period_ends)
		begin_period(depot, now);
	first = take_needless(depot);
	co__spin_release(&depot->lock);
	if (first == NULL)
		return;
	for (struct co_task *task = first; task != NULL;
			task = task->tick.private_[0])
		trim_stack(task, co__frame_page_size());
	co__spin_acquire(&depot->lock);
	push(&depot->classes[first->size_class - CO__STACK_CLASS_MIN].cold,
			first);
	co__spin_release(&depot->lock);
}
