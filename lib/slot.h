/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_SLOT_H
#define COLOOP_LIB_SLOT_H

/*
 * slot.h - a place where one task waits for something that stays true
 *
 * One word: empty, ready, or the task that waits.  It serves one direction of
 * a file descriptor (ready: perhaps readable) and the end of a task.
 *
 *	empty -> task	the waiter, when it has left its stack
 *	task  -> empty	the waiter, when its wait ended otherwise
 *	any   -> ready	who raises it
 *	ready -> empty	the owner of the slot, when it uses the readiness up
 *
 * A task of another loop waits ABROAD: the word has that bit beside the task,
 * and HELD while its hook, or who raises the slot, uses both: see slot.c.
 *
 * The waiter may be woken without the slot being ready (see co__slot_raise):
 * it looks again, in a loop.
 */

#include "atomic.h"

struct co__worker;
struct co_task;

#define CO__SLOT_EMPTY ((AO_t)0)
#define CO__SLOT_READY ((AO_t)1)
#define CO__SLOT_ABROAD ((AO_t)4)
#define CO__SLOT_HELD ((AO_t)8)

struct co__slot {
	AO_t word;		/* atomic: empty, ready, or struct co_task * */
};

/*
 * But for who waits abroad, the last user of a slot is the hook of who waits
 * in it, perhaps after the wait is over: so a slot lies in memory that stays a
 * slot while the loop lives, a co_io or a task.  For anything else a task waits
 * in its own `gate'.
 */

/* any -> ready (any thread).  Wakes the task that waits in it on OBJECT.
 * Leaves the slot alone and returns true if it is FINAL. */
bool co__slot_raise_unless(struct co__slot *slot, const void *object,
		AO_t final);

/* The same for a slot without a final state.  Most are raised already: each
 * event of a descriptor says that there is room to write. */
static inline void co__slot_raise(struct co__slot *slot, const void *object)
{
	if (AO_load(&slot->word) != CO__SLOT_READY)
		co__slot_raise_unless(slot, object, CO__SLOT_READY);
}

/* Let the calling task SELF wait on OBJECT, as KIND, until SLOT is raised, or
 * until it is cancelled or its deadline passes.  The slot belongs to OBJECT,
 * and its memory stays what it is.  0 (look again), -ECANCELED or
 * -ETIMEDOUT. */
int co__slot_wait(struct co_task *self, int kind, const void *object,
		struct co__slot *slot);

/* The same for the end of CHILD, a task of another loop. */
int co__slot_wait_abroad(struct co_task *self, const void *child,
		struct co__slot *slot);

/* The same until one of two slots is raised. */
int co__slot_wait_both(struct co_task *self, int kind, const void *object,
		struct co__slot *first, struct co__slot *second);

/* The hook of co__park_for_child; ARG is the slot of the task that is joined.
 * When the wait is over, co__slot_withdraw, unless the slot's task is the
 * caller's now. */
void co__slot_await_child(struct co__worker *worker, struct co_task *self,
		void *arg);

/* task -> empty, if SELF is in SLOT.  Where it fails, the slot is ready, and
 * stays so. */
static inline void co__slot_withdraw(struct co_task *self,
		struct co__slot *slot)
{
	if (AO_load(&slot->word) == (AO_t)self)
		AO_compare_and_swap(&slot->word, (AO_t)self, CO__SLOT_EMPTY);
}

#endif
