/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_QUEUE_H
#define COLOOP_QUEUE_H

/*
 * An intrusive first-in first-out queue without locks.          co_queue(3)
 *
 * Threads     Any number of threads or tasks may put; one at a time may get.
 * Ownership   The caller brings the nodes: a put can't fail.  From put until
 *             get returned it, a node is the queue's.
 * Order       Puts are ordered by the moment they happen; whatever was put
 *             before a get began is seen by it.  What the putter wrote before
 *             put is visible to the getter of that node.
 * Progress    put is lock-free.  get takes all at once and then serves from
 *             what it took, without atomic operations.
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_queue_node {
	struct co_queue_node *next_;
};

struct co_queue {
	size_t inbox_;			/* atomic: newest node put, or 0 */
	struct co_queue_node *first_;	/* owner: the getter; oldest taken */
};

#define CO_QUEUE_INIT { 0, NULL }

/* Make QUEUE empty. */
CO_API void co_queue_init(struct co_queue *queue);

/* Append NODE.  Any thread. */
CO_API void co_queue_put(struct co_queue *queue, struct co_queue_node *node);

/* Take the oldest node, or NULL if there is none.  One caller at a time. */
CO_API struct co_queue_node *co_queue_get(struct co_queue *queue);

/* 1 if there is nothing to get, else 0.  For the getter only. */
CO_API int co_queue_is_empty(const struct co_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
