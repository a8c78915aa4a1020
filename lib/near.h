/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_NEAR_H
#define COLOOP_LIB_NEAR_H

/*
 * near.h - the tasks that are near a worker: its queue and its run-next slot
 *
 * For the worker's own thread, but for what says otherwise.  Who takes a task
 * from there goes through the door of `bias': the worker enters or uses atomic
 * operations, all others visit.
 */

#include "loop.h"

/* Whether the monitor has seen WORKER compute, with tasks at hand, since it
 * switched last.  Any thread. */
static inline bool co__near_is_stuck(const struct co__worker *worker)
{
	return AO_load(&worker->stuck_at) == AO_load(&worker->switches);
}

/* Whether others may take what is in the slot of WORKER.  Any thread. */
static inline bool co__near_slot_is_open(const struct co__worker *worker)
{
	return co__near_is_stuck(worker) || AO_load(&worker->eager) != 0;
}

/* Whether all of the queue of WORKER, of LENGTH, is for whoever has time.  Any
 * thread. */
static inline bool co__near_shares(const struct co__worker *worker,
		size_t length)
{
	return length > CO__FEW || AO_load(&worker->fine) == 0
			|| co__near_is_stuck(worker);
}

/* Whether WORKER has something that another may take.  Any thread. */
static inline bool co__near_has_to_share(const struct co__worker *worker)
{
	size_t length = co__runq_length(&worker->queue);

	return (length != 0 && (co__near_shares(worker, length)
			|| co__runq_has_new(&worker->queue)))
		|| (AO_load(&worker->next) != 0
			&& co__near_slot_is_open(worker));
}

/* Move half of the full queue to the spill, and append ENTRY. */
void co__near_overflow(struct co__worker *worker, struct co_task *entry);

/* Append ENTRY, a task as the queue had it. */
static inline void co__near_push_entry(struct co__worker *worker,
		struct co_task *entry)
{
	if (co__unlikely(!co__runq_push(&worker->queue, entry)))
		co__near_overflow(worker, entry);
}

/* Append TASK. */
static inline void co__near_push(struct co__worker *worker,
		struct co_task *task)
{
	AO_t is_new = task->worker == NULL ? CO__RUNQ_NEW : 0;

	co__near_push_entry(worker, (struct co_task *)((AO_t)task | is_new));
}

/* A CO__TURN is over.  Let WORKER have its queue and slot to itself if nobody
 * else is in its loop; or if it has been FINE for some turns, in which nobody
 * came.  Whoever comes to one that is alone interrupts all other threads
 * (membarrier(2)): so each time it waits twice as long until it is alone again,
 * and a turn less for each in which it is left alone. */
void co__near_set_bias(struct co__worker *worker, bool fine);

/* There is work that WORKER does not run next. */
static inline void co__near_tell(struct co__worker *worker)
{
	if (worker->loop->threads > 1)
		co__idle_notify(worker->loop);
}

/* The same if it isn't for WORKER alone. */
static inline void co__near_tell_to_share(struct co__worker *worker)
{
	if (worker->loop->threads > 1 && co__near_shares(worker,
			co__runq_length(&worker->queue)))
		co__idle_notify(worker->loop);
}

/* Append TASK, which isn't pinned, to the queue of WORKER, which is that of
 * this thread and of the task's loop; tell the idle if it isn't the only one
 * there. */
static inline void co__near_add(struct co__worker *worker,
		struct co_task *task)
{
	co__near_push(worker, task);
	if (co__runq_length(&worker->queue) > 1 || AO_load(&worker->next) != 0)
		co__near_tell(worker);
}

/* Take the task in the run-next slot, or NULL.  Any thread. */
static inline struct co_task *co__near_take_next(struct co__worker *worker)
{
	AO_t next = AO_load(&worker->next);

	/* Acquire and release: a thief may take it instead. */
	if (next == 0 || !AO_compare_and_swap_full(&worker->next, next, 0))
		return NULL;

	return (struct co_task *)next;
}

/* The next task nearby, or NULL if there is none, while others may take tasks
 * too. */
static co__always_inline struct co_task *co__near_pick_shared(
		struct co__worker *worker)
{
	struct co_task *task;

	if (AO_load(&worker->next) != 0
			&& worker->next_streak < CO__NEXT_STREAK) {
		task = co__near_take_next(worker);
		if (co__likely(task != NULL)) {
			worker->next_streak++;
			return task;
		}
	}
	worker->next_streak = 0;
	task = co__runq_task(co__runq_take(&worker->queue, true));

	return co__likely(task != NULL) ? task : co__near_take_next(worker);
}

/* The same while they may not. */
static co__always_inline struct co_task *co__near_pick_alone(
		struct co__worker *worker)
{
	AO_t next = AO_load(&worker->next);
	struct co_task *task;

	if (next == 0 || worker->next_streak >= CO__NEXT_STREAK) {
		worker->next_streak = 0;
		task = co__runq_task(co__runq_take_alone(&worker->queue,
				true));
		if (co__likely(task != NULL || next == 0))
			return task;
	} else {
		worker->next_streak++;
	}
	AO_store(&worker->next, 0);

	return (struct co_task *)next;
}

/* The same if the slot is empty, and SELF goes to the end of the queue.  False,
 * and nothing is done, if there is something else to be done. */
static inline bool co__near_turn_alone(struct co__worker *worker,
		struct co_task *self, struct co_task **ret_next)
{
	if (co__unlikely(AO_load(&worker->next) != 0
			|| !co__runq_turn_alone(&worker->queue, self,
				ret_next)))
		return false;
	worker->next_streak = 0;

	return true;
}

/* The next task nearby, or NULL if there is none, in any case. */
static co__always_inline struct co_task *co__near_pick(
		struct co__worker *worker)
{
	struct co_task *task;

	if (co__unlikely(!co__bias_enter(&worker->bias)))
		return co__near_pick_shared(worker);
	task = co__near_pick_alone(worker);
	co__bias_leave(&worker->bias);

	return task;
}

/* Trim some stacks, if it is time to at NOW. */
static inline void co__near_trim(struct co__worker *worker, co_time now)
{
	if (now < worker->trims_next)
		return;
	worker->trims_next = now + CO__TRIM_TICK;
	co__depot_trim(&worker->loop->frames.depot, now);
}

/* The running task leaves: count that.  Returns whether it is the scheduler's
 * turn. */
static inline bool co__near_count(struct co__worker *worker)
{
	AO_t switches = AO_load(&worker->switches) + 1;

	AO_store(&worker->switches, switches);

	return (switches & worker->detour_mask) == 0;
}

#endif
