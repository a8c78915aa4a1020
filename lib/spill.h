/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_SPILL_H
#define COLOOP_LIB_SPILL_H

/*
 * spill.h - runnable tasks that don't fit into a worker's queue
 *
 * They lie in batches, oldest first: an array of pointers is read much faster
 * than a list that goes through cold control blocks.
 *
 * Ownership   A task in a batch is nobody's, like one in a queue; who takes the
 *             batch takes them all.  A batch is used again, and is freed with
 *             the loop.
 * Order       Half of a full queue, the older half, goes to the end.  So a
 *             worker must take batches even while its queue never empties: see
 *             CO__SPILL_LOOKS in worker.h.
 */

#include "spin.h"

struct co_loop;
struct co_task;

#define CO__SPILL_SIZE 512u

struct co__batch {
	struct co__batch *next;		/* lock: of the list it is in */
	unsigned count;			/* who has the batch */
	struct co_task *tasks[CO__SPILL_SIZE];	/* who has the batch */
};

struct co__spill {
	struct co__spin lock;
	struct co__batch *first, *last;	/* lock */
	struct co__batch *spare;	/* lock: empty ones */
	AO_t count;			/* atomic: batches; lock to change */
	AO_t tasks;			/* relaxed: in them; lock to change */
};

/* A batch to be filled, or NULL: no memory. */
struct co__batch *co__spill_open(struct co_loop *loop);

/* Append BATCH.  From here on it may be taken. */
void co__spill_put(struct co_loop *loop, struct co__batch *batch);

/* Take the oldest batch, or NULL. */
struct co__batch *co__spill_take(struct co_loop *loop);

/* BATCH is empty, and may be opened again. */
void co__spill_reuse(struct co_loop *loop, struct co__batch *batch);

/* Free all memory. */
void co__spill_destroy(struct co_loop *loop);

#endif
