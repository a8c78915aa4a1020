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
 *             The owner may also take the newest.  A taker that looked before
 *             could then move the head over places that the owner has emptied
 *             from the other end, one pop after the other.  So each pop of the
 *             newest moves both ends on by two laps of the ring: N1 the tail,
 *             N2 the head, by compare-and-swap.  Places stay what they are,
 *             and whoever looked before N2 fails at T4.  Between N1 and N2 the
 *             two don't belong together, which takers see by the length.
 * Progress    Lock-free: a compare-and-swap fails only when another succeeds.
 *
 * A Chase-Lev deque would save the owner's compare-and-swap, at the price of a
 * fence on each pop, and it pops the newest first; this one is fair.
 */

#include "atomic.h"
#include "task.h"

#define CO__RUNQ_SIZE 1024u	/* a power of two */
#define CO__RUNQ_LAP ((AO_t)2 * CO__RUNQ_SIZE)

/* How many turns before its own a task is fetched into the caches: memory takes
 * as long as ten switches.  A shorter queue has its tasks there anyway. */
#define CO__RUNQ_FAR 10u

/* In an entry of the ring: the task has never run. */
#define CO__RUNQ_NEW ((AO_t)1)

struct co__runq {
	AO_t ring[CO__RUNQ_SIZE];	/* atomic: owner; struct co_task *,
					 * perhaps with CO__RUNQ_NEW: as it
					 * was pushed */
	AO_t head;			/* atomic: takers */
	AO_t tail;			/* atomic: owner */
};

/* The task in ENTRY, or NULL. */
static inline struct co_task *co__runq_task(struct co_task *entry)
{
	return (struct co_task *)((AO_t)entry & ~CO__RUNQ_NEW);
}

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

/* Have the memory fetched that coming turns need, early enough if it is in no
 * cache: the control block of one task, and the stack of another, which the
 * control block names.  Thieves may take both meanwhile; nothing is done to
 * them. */
static inline void co__runq_prefetch(const struct co__runq *queue, AO_t head)
{
#ifndef CO__TSAN
	AO_t early = AO_load(&queue->ring[(head + CO__RUNQ_FAR)
			% CO__RUNQ_SIZE]);
	AO_t late = AO_load(&queue->ring[(head + CO__RUNQ_FAR / 2)
			% CO__RUNQ_SIZE]);

	__builtin_prefetch((const struct co_task *)early);
	co__context_prefetch(&co__runq_task((struct co_task *)late)->context);
#else
	(void)queue;
	(void)head;
#endif
}

/* Take the oldest, or NULL, and if PREFETCHES do that.  The owner. */
static inline struct co_task *co__runq_take(struct co__runq *queue,
		bool prefetches)
{
	AO_t head = AO_load(&queue->head), seen, task;

	for (;;) {
		AO_t length = AO_load(&queue->tail) - head;

		if (length > CO__RUNQ_FAR) {
			if (prefetches)
				co__runq_prefetch(queue, head);
		} else if (length == 0) {
			return NULL;
		}
		task = AO_load(&queue->ring[head % CO__RUNQ_SIZE]);
		/* T4: pairs with push's load of head. */
		seen = AO_fetch_compare_and_swap_release(&queue->head, head,
				head + 1);
		if (seen == head)
			return (struct co_task *)task;
		head = seen;
	}
}

/* The same while nobody else takes anything. */
static inline struct co_task *co__runq_take_alone(struct co__runq *queue,
		bool prefetches)
{
	AO_t head = AO_load(&queue->head);
	AO_t length = AO_load(&queue->tail) - head;

	if (length == 0)
		return NULL;
	if (length > CO__RUNQ_FAR && prefetches)
		co__runq_prefetch(queue, head);
	AO_store(&queue->head, head + 1);

	return (struct co_task *)AO_load(
			&queue->ring[head % CO__RUNQ_SIZE]);
}

/* The same, and append TASK, for which there is room then.  False, and nothing
 * is done, if the queue is empty. */
static inline bool co__runq_turn_alone(struct co__runq *queue,
		struct co_task *task, struct co_task **ret_oldest)
{
	AO_t head = AO_load(&queue->head), tail = AO_load(&queue->tail);

	if (co__unlikely(head == tail))
		return false;
	if (tail - head > CO__RUNQ_FAR)
		co__runq_prefetch(queue, head);
	*ret_oldest = co__runq_task((struct co_task *)AO_load(
			&queue->ring[head % CO__RUNQ_SIZE]));
	AO_store(&queue->head, head + 1);
	AO_store(&queue->ring[tail % CO__RUNQ_SIZE], (AO_t)task);	/* Q1 */
	AO_store_release(&queue->tail, tail + 1);	/* Q2: pairs with T2 */

	return true;
}

/* Take the oldest, or NULL.  The owner. */
static inline struct co_task *co__runq_pop(struct co__runq *queue)
{
	return co__runq_take(queue, false);
}

/* Take the newest, or NULL.  The owner. */
static inline struct co_task *co__runq_pop_newest(struct co__runq *queue)
{
	AO_t tail = AO_load(&queue->tail), head = AO_load(&queue->head), seen;
	AO_t task = AO_load(&queue->ring[(tail - 1) % CO__RUNQ_SIZE]);

	if (head == tail)
		return NULL;
	/* N1: the same place of the ring, two laps on, so that whoever looked
	 * before fails at T4. */
	AO_store(&queue->tail, tail - 1 + CO__RUNQ_LAP);
	for (; head != tail; head = seen) {
		/* N2, release: pairs with T1. */
		seen = AO_fetch_compare_and_swap_full(&queue->head, head,
				head + CO__RUNQ_LAP);
		if (seen == head)
			return (struct co_task *)task;
	}
	/* As Q2: all were taken. */
	AO_store_release(&queue->tail, tail);

	return NULL;
}

/* The same while nobody else takes anything. */
static inline struct co_task *co__runq_pop_newest_alone(struct co__runq *queue)
{
	AO_t tail = AO_load(&queue->tail);

	if (AO_load(&queue->head) == tail)
		return NULL;
	/* Release: as Q2 of those that stay. */
	AO_store_release(&queue->tail, tail - 1);

	return (struct co_task *)AO_load(
			&queue->ring[(tail - 1) % CO__RUNQ_SIZE]);
}

/* Whether the oldest has never run, as far as can be seen. */
static inline bool co__runq_has_new(const struct co__runq *queue)
{
	return AO_load(&queue->ring[AO_load(&queue->head) % CO__RUNQ_SIZE])
			& CO__RUNQ_NEW;
}

/* Take up to half, at most MAX, oldest first, into TASKS; if ONLY_NEW, only up
 * to the first that has run.  Returns how many.  Any thread. */
static inline unsigned co__runq_rob(struct co__runq *queue,
		struct co_task **tasks, unsigned max, bool only_new)
{
	for (;;) {
		AO_t head = AO_load_acquire(&queue->head);	/* T1 */
		AO_t tail, n;

		tail = AO_load_acquire(&queue->tail);	/* T2: Q2 */
		n = tail - head;
		if (n == 0 || n > CO__RUNQ_SIZE)
			return 0;	/* or they don't belong together */
		n -= n / 2;
		if (n > max)
			n = max;
		for (AO_t i = 0; i < n; i++) {			/* T3 */
			AO_t entry = AO_load(
				&queue->ring[(head + i) % CO__RUNQ_SIZE]);

			if (only_new && !(entry & CO__RUNQ_NEW))
				n = i;
			else
				tasks[i] = (struct co_task *)entry;
		}
		if (n == 0)
			return 0;
		/* T4: full, so that T3 stays before it. */
		if (AO_compare_and_swap_full(&queue->head, head, head + n))
			return (unsigned)n;
	}
}

/* The same for whatever there is. */
static inline unsigned co__runq_steal(struct co__runq *queue,
		struct co_task **tasks, unsigned max)
{
	return co__runq_rob(queue, tasks, max, false);
}

#endif
