/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_FRAME_H
#define COLOOP_LIB_FRAME_H

/*
 * frame.h - memory for stacks, with the control block of the task at the top
 *
 *	base                                               base + size
 *	| guard page | stack, growing down <--- | co_task | colour |
 *
 * A frame comes from a slab of frames of its size.  Slabs are mapped without
 * reserving memory, grow by doubling, and live until the loop is destroyed.
 * Behind the last frame of a slab are the timers of its tasks: see timer.h.
 * A free frame keeps its pages, so that it is warm for the next task, unless it
 * has not been needed for long: see depot.h.
 *
 * The control blocks of neighbours are shifted by multiples of 128 bytes (the
 * colour), or they would all fall into the same few sets of the caches.
 *
 * Free frames are kept in magazines of up to CO__MAGAZINE frames: each worker
 * has two for each size and works on them alone; full ones are exchanged with
 * the loop's depot.  So the free frames are as many as there ever
 * were at once, and a worker that only frees gives to one that only makes.
 */

#include <pthread.h>

#include "depot.h"
#include "task.h"

#define CO__MAGAZINE 64u

struct co__slab {
	struct co__slab *next;		/* constant after publication */
	char *base;			/* constant */
	size_t count;			/* constant: frames */
	AO_t made;			/* atomic: frames ever used */
	unsigned size_class;		/* constant */
};

/* Free frames of one size, linked by tick.private_[0]. */
struct co__magazine {
	struct co_task *first;
	unsigned count;
};

struct co__frame_cache {
	struct co__magazine loaded[CO__STACK_CLASSES];	/* owner: a worker */
	struct co__magazine spare[CO__STACK_CLASSES];	/* owner: a worker */
};

struct co__frames {
	struct co__depot depot;
	pthread_mutex_t outside;	/* of `shared'; outside of `making' */
	struct co__frame_cache shared;	/* of threads that are no workers */
	pthread_mutex_t making;		/* of the rest; held in system calls */
	AO_t slabs;			/* atomic: struct co__slab *, newest */
	struct co__slab *open[CO__STACK_CLASSES];	/* newest of a size */
	AO_t bytes;			/* relaxed: address space */
	AO_t stacks;			/* relaxed: frames ever made */
};

void co__frames_init(struct co_loop *loop);

/* The same as the two below, if the loaded magazine is empty or full, or CACHE
 * is NULL. */
int co__frame_get_slowly(struct co_loop *loop, struct co__frame_cache *cache,
		unsigned size_class, struct co_task **ret_task);
void co__frame_put_slowly(struct co_loop *loop, struct co__frame_cache *cache,
		struct co_task *task);

static inline struct co_task *co__magazine_pop(struct co__magazine *magazine)
{
	struct co_task *task = magazine->first;

	if (task != NULL) {
		magazine->first = task->tick.private_[0];
		magazine->count--;
	}

	return task;
}

static inline void co__magazine_push(struct co__magazine *magazine,
		struct co_task *task)
{
	task->tick.private_[0] = magazine->first;
	magazine->first = task;
	magazine->count++;
}

/* A frame of 2^SIZE_CLASS bytes for LOOP.  CACHE is the worker's of this
 * thread, or NULL.  Of the control block only what is constant, `wait',
 * `wheel', `passed' and `in_use' mean something.  -ENOMEM. */
static inline int co__frame_get(struct co_loop *loop,
		struct co__frame_cache *cache, unsigned size_class,
		struct co_task **ret_task)
{
	struct co_task *task = NULL;

	if (co__likely(cache != NULL))
		task = co__magazine_pop(&cache->loaded[size_class
				- CO__STACK_CLASS_MIN]);
	if (co__unlikely(task == NULL))
		return co__frame_get_slowly(loop, cache, size_class, ret_task);
	*ret_task = task;

	return 0;
}

/* Give a frame back. */
static inline void co__frame_put(struct co_loop *loop,
		struct co__frame_cache *cache, struct co_task *task)
{
	struct co__magazine *loaded;

	if (co__likely(cache != NULL)) {
		loaded = &cache->loaded[task->size_class
				- CO__STACK_CLASS_MIN];
		if (co__likely(loaded->count < CO__MAGAZINE)) {
			co__magazine_push(loaded, task);
			return;
		}
	}
	co__frame_put_slowly(loop, cache, task);
}

/* Unmap everything. */
void co__frames_destroy(struct co_loop *loop);

/* Call VISIT for the control block of each frame ever made. */
void co__frames_visit(struct co_loop *loop,
		void (*visit)(struct co_task *task, void *arg), void *arg);

/* The size of a page, once a frame has been made. */
size_t co__frame_page_size(void);

/* The smallest size class of SIZE bytes, and of two pages, or 0 if there is
 * none: where pages have 64 KiB a smaller frame would be all guard. */
unsigned co__frame_class(size_t size);

/* The task in whose guard page ADDRESS is, or NULL.  Async-signal-safe. */
struct co_task *co__frame_guarded(struct co_loop *loop, const void *address);

#endif
