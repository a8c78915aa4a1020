/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_RUNQ_H
#define COLOOP_LIB_RUNQ_H

/*
 * runq.h - the bounded run queue of a worker
 *
 * States      A ring of task pointers.  `head' and `tail' count for ever; the
 *             tasks are at positions head .. tail - 1.
 * Ownership   Only the owner, a worker, writes `tail' and the ring.  The owner
 *             and thieves take from the head by moving it.
 * Invariant   0 <= tail - head <= CO__RUNQ_SIZE.
 * Ordering    Q1 the owner writes the ring, Q2 stores tail (release).  A taker
 *             T1 loads head, T2 loads tail (acquire, pairs with Q2), T3 reads
 *             the ring, T4 moves head by compare-and-swap.  If T4 succeeds
 *             nobody took these positions, and the owner did not overwrite
 *             them, since it writes only where its own load of head (acquire,
 *             pairs with T4) shows room.
 *
 *             The owner may also take the newest: N1 tail - 1, N2 fence, N3
 *             load head. If N3 shows that another task is before it, takers
 *             that still see the old tail don't reach the newest: they take
 *             the older half, and for one that begins later, T1, a fence, T2
 *             show N1. Otherwise the owner puts the tail back and competes for
 *             the head.
 * Progress    Lock-free: a compare-and-swap fails only when another succeeds.
 *
 * A Chase-Lev deque would save the owner's compare-and-swap, at the price of a
 * fence on each pop, and it pops the newest first; this one is fair.
 */

#include "atomic.h"

struct co_task;

#define CO__RUNQ_SIZE 1024u	/* a power of two */

struct co__runq {
	AO_t head;			/* atomic: takers */
	AO_t tail;			/* atomic: owner */
	AO_t ring[CO__RUNQ_SIZE];	/* atomic: owner; struct co_task * */
};

/* How many are there; exact for the owner if nobody steals. */
static inline size_t co__runq_length(const struct co__runq *queue)
{
	AO_t head = AO_load_acquire(&queue->head);	/* before tail */

	return AO_load_acquire(&queue->tail) - head;	/* pairs with Q2 */
}

/* Append TASK.  False if there is no room.  The owner. */
static inline bool co__runq_push(struct co__runq *queue, struct co_task *task)
{
	AO_t tail = AO_load(&queue->tail);

	if (tail - AO_load_acquire(&queue->head)	/* pairs with T4 */
			>= CO__RUNQ_SIZE)
		return false;
	AO_store(&queue->ring[tail % CO__RUNQ_SIZE], (AO_t)task);	/* Q1 */
	AO_store_release(&queue->tail, tail + 1);	/* Q2: pairs with T2 */

	return true;
}

/* Take the oldest, or NULL.  The owner. */
static inline struct co_task *co__runq_pop(struct co__runq *queue)
{
	AO_t head = AO_load(&queue->head), seen, task;

	for (;;) {
		if (head == AO_load(&queue->tail))
			return NULL;
		task = AO_load(&queue->ring[head % CO__RUNQ_SIZE]);
		/* T4: pairs with push's load of head. */
		seen = AO_fetch_compare_and_swap_release(&queue->head, head,
				head + 1);
		if (seen == head)
			return (struct co_task *)task;
		head = seen;
	}
}

/* Take the newest, or NULL.  The owner. */
static inline struct co_task *co__runq_pop_newest(struct co__runq *queue)
{
	AO_t tail = AO_load(&queue->tail);
	AO_t head = AO_load(&queue->head);
	AO_t task = AO_load(&queue->ring[(tail - 1) % CO__RUNQ_SIZE]);

	if (head == tail)
		return NULL;
	if (tail - head > 1) {
		AO_store(&queue->tail, tail - 1);		/* N1 */
		co__atomic_fence();		/* N2: pairs with steal */
		head = AO_load(&queue->head);			/* N3 */
		if (tail - 1 != head && tail != head)
			return (struct co_task *)task;
		/* As Q2: what is there is what was there before. */
		AO_store_release(&queue->tail, tail);
	}

	/* T4, for the last one. */
	return AO_compare_and_swap_full(&queue->head, tail - 1, tail)
			? (struct co_task *)task : NULL;
}

/* Take up to half, at most MAX, oldest first, into TASKS.  Returns how many.
 * Any thread. */
static inline unsigned co__runq_steal(struct co__runq *queue,
		struct co_task **tasks, unsigned max)
{
	for (;;) {
		AO_t head = AO_load_acquire(&queue->head);	/* T1 */
		AO_t tail, n;

		co__atomic_fence();		/* pairs with N2 */
		tail = AO_load_acquire(&queue->tail);	/* T2: Q2 */
		n = tail - head;
		n -= n / 2;
		if (n > max)
			n = max;
		if (n == 0 || n > CO__RUNQ_SIZE)
			return 0;	/* or head is old already */
		for (AO_t i = 0; i < n; i++)			/* T3 */
			tasks[i] = (struct co_task *)AO_load(
				&queue->ring[(head + i) % CO__RUNQ_SIZE]);
		/* T4: full, so that T3 stays before it. */
		if (AO_compare_and_swap_full(&queue->head, head, head + n))
			return (unsigned)n;
	}
}

#endif
