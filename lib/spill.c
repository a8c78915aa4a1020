/* SPDX-License-Identifier: MIT */

/* spill.c - see spill.h */

#include "spill.h"

#include "loop.h"

/* Take the first batch of LIST.  The lock is held. */
static struct co__batch *unlink_first(struct co__batch **list)
{
	struct co__batch *batch = *list;

	if (batch != NULL)
		*list = batch->next;

	return batch;
}

struct co__batch *co__spill_open(struct co_loop *loop)
{
	struct co__spill *spill = &loop->spill;
	struct co__batch *batch;

	co__spin_acquire(&spill->lock);
	batch = unlink_first(&spill->spare);
	co__spin_release(&spill->lock);
	if (batch == NULL)
		batch = co__loop_allocate(loop, sizeof *batch);

	return batch;
}

void co__spill_put(struct co_loop *loop, struct co__batch *batch)
{
	struct co__spill *spill = &loop->spill;

	batch->next = NULL;
	co__spin_acquire(&spill->lock);
	if (spill->first == NULL)
		spill->first = batch;
	else
		spill->last->next = batch;
	spill->last = batch;
	AO_store(&spill->count, AO_load(&spill->count) + 1);
	AO_store(&spill->tasks, AO_load(&spill->tasks) + batch->count);
	co__spin_release(&spill->lock);
}

struct co__batch *co__spill_take(struct co_loop *loop)
{
	struct co__spill *spill = &loop->spill;
	struct co__batch *batch;

	if (AO_load(&spill->count) == 0)
		return NULL;
	co__spin_acquire(&spill->lock);
	batch = unlink_first(&spill->first);
	if (batch != NULL) {
		AO_store(&spill->count, AO_load(&spill->count) - 1);
		AO_store(&spill->tasks, AO_load(&spill->tasks) - batch->count);
	}
	co__spin_release(&spill->lock);

	return batch;
}

void co__spill_reuse(struct co_loop *loop, struct co__batch *batch)
{
	struct co__spill *spill = &loop->spill;

	co__spin_acquire(&spill->lock);
	batch->next = spill->spare;
	spill->spare = batch;
	co__spin_release(&spill->lock);
}

static void free_all(struct co_loop *loop, struct co__batch *list)
{
	struct co__batch *batch;

	while ((batch = unlink_first(&list)) != NULL)
		co__loop_release(loop, batch, sizeof *batch);
}

void co__spill_destroy(struct co_loop *loop)
{
	free_all(loop, loop->spill.first);
	free_all(loop, loop->spill.spare);
}
