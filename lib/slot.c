/* SPDX-License-Identifier: MIT */

/*
 * slot.c - see slot.h
 *
 * Ordering    The waiter (its hook)          Who raises
 *               S1 slot: empty -> task         R1 slot: task -> ready
 *               S2 arm the wait                R2 fence
 *               S3 fence                       R3 claim the wait, if it is
 *               S4 look at the slot again         armed on this object
 *
 *             If R3 comes too early and finds the wait not armed, the fences
 *             let S4 see that the slot is no longer the task's, and the hook
 *             claims the wait itself.  If both try, the claim decides.
 *
 *             R3 may meet a later wait of the same task on the same object,
 *             since the raiser read the slot a while ago.  Then the task looks
 *             again for nothing; it waits in a loop.  It can't meet a wait on
 *             something else.
 *
 * Child       Who waits for the end of a task that its worker runs next has the
 *             slot to itself: what is about to run doesn't end before this
 *             hook does.  So S1 is a store, and there is nothing for S4 to see.
 *             (Another task that joins at the same moment, which it must not,
 *             is overwritten.)
 *
 * Abroad      Both S4 and R3 may come when the wait is over.  Within a loop the
 *             memory is still a slot's and a task's, but the one loop may be
 *             destroyed while the other runs.  So there the hook, from S1 to
 *             S2, and who raises, from R1 to R3, hold the slot, and the waiter
 *             withdraws when nobody does: then neither touches what is not its
 *             own any more.  Nor is S4 needed, for R1 waits for S2.
 */

#include "slot.h"

#include "spin.h"
#include "wait.h"
#include "worker.h"

/* task -> ready, for the task of another loop that WORD, seen in SLOT, has.
 * False: look again. */
static co__noinline bool raise_abroad(struct co__slot *slot, AO_t word,
		const void *object)
{
	struct co_task *task = (struct co_task *)(word & ~CO__SLOT_ABROAD);
	bool claimed;

	/* R1, acquire: S2; pairs with wait_abroad. */
	if ((word & CO__SLOT_HELD) || !AO_compare_and_swap_full(&slot->word,
			word, word | CO__SLOT_HELD))
		return false;
	claimed = co__wait_claim_on(task, object, 0);		/* R3 */
	/* Release: as R1, and the claim; pairs with withdraw_abroad. */
	AO_store_release(&slot->word, CO__SLOT_READY);
	if (claimed)
		co__ready(task);

	return true;
}

bool co__slot_raise_unless(struct co__slot *slot, const void *object,
		AO_t final)
{
	AO_t was = AO_load(&slot->word), seen;

	for (unsigned i = 0;; i++) {
		if (was == final) {
			/* Acquire: pairs with co_detach. */
			(void)AO_load_acquire(&slot->word);
			return true;
		}
		if (co__unlikely(was & CO__SLOT_ABROAD)) {
			if (raise_abroad(slot, was, object))
				return false;
			co__spin_relax(i);
			was = AO_load(&slot->word);
			continue;
		}
		/* R1, release: what the raiser did before is seen by the owner
		 * who finds the slot ready; pairs with the acquire loads of
		 * io.c and task.c. */
		seen = AO_fetch_compare_and_swap_full(&slot->word, was,
				CO__SLOT_READY);
		if (seen == was)
			break;
		was = seen;
	}
	if (was == CO__SLOT_EMPTY)
		return false;
	co__atomic_fence_after_rmw();	/* R2: pairs with S3 */
	if (co__wait_claim_on((struct co_task *)was, object, 0))	/* R3 */
		co__ready((struct co_task *)was);

	return false;
}

/* empty -> task (the hook of SELF).  False: some slot is ready. */
static inline bool publish(struct co_task *self, struct co__slot *slot)
{
	/* S1, release: pairs with R1 and claim_joiner of task.c, which read
	 * the task. */
	return AO_compare_and_swap_release(&slot->word, CO__SLOT_EMPTY,
			(AO_t)self);
}

/* S1 to S4, in FIRST and SECOND, which may be the same. */
static inline void wait_in(struct co__worker *worker, struct co_task *self,
		struct co__slot *first, struct co__slot *second)
{
	AO_t ticket = co__wait_ticket(self);

	if (!publish(self, first)
			|| (second != first && !publish(self, second))) {
		co__ready(self);
		return;
	}
	if (!co__wait_arm_or_ready(worker, self))	/* S2 */
		return;
	co__atomic_fence_after_rmw();	/* S3: pairs with R2 */
	if ((AO_load(&first->word) != (AO_t)self		/* S4 */
			|| (second != first
			&& AO_load(&second->word) != (AO_t)self))
			&& co__wait_claim(self, ticket, 0))
		co__ready(self);
}

static co__noinline void wait_in_one(struct co__worker *worker,
		struct co_task *self, void *arg)
{
	wait_in(worker, self, arg, arg);
}

/* The same for the slot of a task that is joined. */
void co__slot_await_child(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	struct co__slot *slot = arg;

	if (co__unlikely(co__worker_current(worker) != co__container_of(slot,
			struct co_task, joined)
			|| AO_load(&slot->word) != CO__SLOT_EMPTY)) {
		wait_in_one(worker, self, slot);
		return;
	}
	/* S1, release: as in publish. */
	AO_store_release(&slot->word, (AO_t)self);
	co__wait_arm_or_ready(worker, self);			/* S2 */
}

static void wait_in_both(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	/* Copied: once armed, the task may return, and its stack is gone. */
	struct co__slot *const *slots = arg;

	wait_in(worker, self, slots[0], slots[1]);
}

static void wait_abroad(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	AO_t word = (AO_t)self | CO__SLOT_ABROAD;
	struct co__slot *slot = arg;
	int rc;

	/* S1, relaxed: the task is used when SLOT is no longer held. */
	if (!AO_compare_and_swap(&slot->word, CO__SLOT_EMPTY,
			word | CO__SLOT_HELD)) {
		co__ready(self);
		return;
	}
	rc = co__wait_arm(worker, self, 0);			/* S2 */
	/* Release: pairs with raise_abroad and withdraw_abroad. */
	AO_store_release(&slot->word, rc == 0 ? word : CO__SLOT_EMPTY);
	/* From here on SLOT may be gone, and if it is armed SELF, too. */
	if (rc < 0)
		co__wait_unarmed(self, rc);
}

/* task -> empty, when nobody holds SLOT.  If it isn't SELF's it stays. */
static void withdraw_abroad(struct co_task *self, struct co__slot *slot)
{
	AO_t word = (AO_t)self | CO__SLOT_ABROAD, seen;

	for (unsigned i = 0;; i++) {
		/* Acquire: pairs with the releases of who held it. */
		seen = AO_load_acquire(&slot->word);
		if ((seen & ~CO__SLOT_HELD) != word)
			return;
		if (seen == word && AO_compare_and_swap(&slot->word, word,
				CO__SLOT_EMPTY))
			return;
		co__spin_relax(i);
	}
}

int co__slot_wait_abroad(struct co_task *self, const void *child,
		struct co__slot *slot)
{
	int rc = co__park(self, CO__IN_JOIN, child, wait_abroad, slot);

	withdraw_abroad(self, slot);

	return rc;
}

int co__slot_wait(struct co_task *self, int kind, const void *object,
		struct co__slot *slot)
{
	int rc = co__park(self, (enum co__wait_kind)kind, object, wait_in_one,
			slot);

	co__slot_withdraw(self, slot);

	return rc;
}

int co__slot_wait_both(struct co_task *self, int kind, const void *object,
		struct co__slot *first, struct co__slot *second)
{
	struct co__slot *slots[] = { first, second };
	int rc = co__park(self, (enum co__wait_kind)kind, object, wait_in_both,
			slots);

	co__slot_withdraw(self, first);
	co__slot_withdraw(self, second);

	return rc;
}
