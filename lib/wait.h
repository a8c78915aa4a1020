/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_WAIT_H
#define COLOOP_LIB_WAIT_H

/*
 * wait.h - the one way for a task to wait, and for others to end it
 *
 * States      task->wait is one word: flags, and an epoch that counts the
 *             waits of this control block.
 *
 *               running  ARMED clear.  The task runs, or is runnable.
 *               armed    ARMED set.  The task has left its stack, and whoever
 *                        claims the word makes it runnable.
 *
 *               running -> armed    co__wait_arm: the task's own hook, on
 *                                   another stack
 *               armed -> armed      co__wait_deafen: what the task waits for
 *                                   has begun, and nothing else ends the wait
 *               armed -> running    co__wait_claim (the event), co_cancel, the
 *                                   timer, co_resume.  The epoch goes up.  The
 *                                   one whose compare-and-swap succeeds owns
 *                                   the task: it sets `outcome', hands over
 *                                   what there is, and calls co__ready.
 *
 *             CANCEL and EXPIRED are sticky news for the task.  They are set
 *             in the same word that arming compares, so a cancellation or a
 *             timer that comes between the last look and the arming makes the
 *             arming fail: neither can be missed.
 *
 * Ownership   What a waiting task published (list nodes, a slot) lies on its
 *             stack or names it.  Before it returns from its call, the task
 *             takes back what is still published, under the lock of the object
 *             where there is one.  So a node found under that lock belongs to
 *             a task that is still in its call, though perhaps claimed.
 *
 * Ordering    W1 the claimer reads the node, W2 claims (acquire: it sees what
 *             the task wrote before arming), W3 writes outcome and data, W4
 *             co__ready (release).  The task runs after W4 and sees W3.
 */

#include "task.h"

#define CO__WAIT_ARMED     ((AO_t)1)	/* may be claimed */
#define CO__WAIT_CANCEL    ((AO_t)2)	/* cancelled, for good */
#define CO__WAIT_EXPIRED   ((AO_t)4)	/* the timer went off: see timer.h */
#define CO__WAIT_MASKED    ((AO_t)8)	/* armed, deaf to cancellation */
#define CO__WAIT_DEAF      ((AO_t)16)	/* armed, deaf to both */
#define CO__WAIT_SUSPENDED ((AO_t)32)	/* armed by co_suspend */
#define CO__WAIT_EPOCH     ((AO_t)64)	/* the lowest bit of the epoch */

/* The epoch in WORD.  That of the wait to come is its ticket. */
static inline AO_t co__wait_epoch(AO_t word)
{
	return word & ~(CO__WAIT_EPOCH - 1);
}

/* The word after a claim of the wait in WORD. */
static inline AO_t co__wait_claimed(AO_t word)
{
	return (co__wait_epoch(word) + CO__WAIT_EPOCH)
			| (word & (CO__WAIT_CANCEL | CO__WAIT_EXPIRED));
}

/* Called on another stack when the task SELF has left its own: publishes the
 * wait, if that isn't done, and arms it. */
typedef void co__park_fn(struct co__worker *worker, struct co_task *self,
		void *arg);

/* The first thing that each blocking call does is co__wait_enter() of worker.h.
 * This is what it does if SELF has news or a deadline: 0, -ECANCELED,
 * -ETIMEDOUT. */
int co__wait_check(struct co_task *self);

/* Before SELF, which has news or a deadline, parks: -ECANCELED or -ETIMEDOUT if
 * that is already so; else 0, and the timer is set for its deadline. */
int co__wait_prepare_slowly(struct co_task *self);

/* The same at the time NOW. */
int co__wait_prepare_at(struct co_task *self, co_time now);

/* Whether SELF has neither been cancelled nor got a deadline, nor anything else
 * that is special: most waits. */
static inline bool co__wait_is_plain(const struct co_task *self)
{
	return !(AO_load(&self->wait) & CO__WAIT_CANCEL) && self->special == 0;
}

/* The same as co__wait_check for any task. */
static inline int co__wait_look(struct co_task *self)
{
	return co__likely(co__wait_is_plain(self)) ? 0 : co__wait_check(self);
}

/* The same as co__wait_prepare_slowly for any task. */
static inline int co__wait_prepare(struct co_task *self)
{
	if (co__likely(co__wait_is_plain(self)))
		return 0;

	return co__wait_prepare_slowly(self);
}

/* The ticket of the wait that SELF is about to begin. */
static inline AO_t co__wait_ticket(const struct co_task *self)
{
	return co__wait_epoch(AO_load(&self->wait));
}

/* Leave SELF's stack, call HOOK(worker, SELF, ARG) on another, and come back
 * when the task was made runnable.  Returns the outcome. */
int co__park(struct co_task *self, enum co__wait_kind kind, const void *object,
		co__park_fn *hook, void *arg);

/* running -> armed (the hook).  FLAGS: CO__WAIT_DEAF, CO__WAIT_SUSPENDED or 0.
 * 0: armed; from here on SELF may run, or be gone.  -ECANCELED, -ETIMEDOUT: it
 * isn't armed, and still the hook's. */
int co__wait_arm(struct co__worker *worker, struct co_task *self, AO_t flags);

/* The same without flags.  It is on top of the stack of the task that runs
 * next, so it calls nothing that takes more of that. */
static inline int co__wait_arm_plain(struct co__worker *worker,
		struct co_task *self)
{
	AO_t word = AO_load(&self->wait);

	/* Release: as in co__wait_arm. */
	if (co__likely(!(word & (CO__WAIT_EXPIRED | CO__WAIT_CANCEL))
			&& !(self->special & CO__TASK_MASKED))
			&& AO_compare_and_swap_release(&self->wait, word,
			word | CO__WAIT_ARMED))
		return 0;

	return co__wait_arm(worker, self, 0);
}

/* SELF could not be armed: make it runnable with RC, the reason. */
void co__wait_unarmed(struct co_task *self, int rc);

/* Arm SELF, or make it runnable with the reason why it isn't.  Returns whether
 * it was armed. */
static inline bool co__wait_arm_or_ready(struct co__worker *worker,
		struct co_task *self)
{
	int rc = co__wait_arm_plain(worker, self);

	if (co__likely(rc == 0))
		return true;
	co__wait_unarmed(self, rc);

	return false;
}

/* armed -> running (any thread), if TASK is still in the wait of TICKET.  True
 * for one caller only, who then owns the task and makes it ready. */
static inline bool co__wait_claim(struct co_task *task, AO_t ticket,
		int outcome)
{
	for (;;) {
		AO_t word = AO_load(&task->wait);

		if (!(word & CO__WAIT_ARMED) || co__wait_epoch(word) != ticket)
			return false;
		/* Acquire: pairs with the release of co__wait_arm. */
		if (AO_compare_and_swap_full(&task->wait, word,
				co__wait_claimed(word)))
			break;
	}
	task->outcome = outcome;

	return true;
}

/* armed -> armed (any thread), if TASK is still in the wait of TICKET: from
 * here on only a claim of TICKET ends it. */
static inline bool co__wait_deafen(struct co_task *task, AO_t ticket)
{
	for (;;) {
		AO_t word = AO_load(&task->wait);

		if (!(word & CO__WAIT_ARMED) || co__wait_epoch(word) != ticket)
			return false;
		/* Acquire: as in co__wait_claim. */
		if (AO_compare_and_swap_full(&task->wait, word,
				word | CO__WAIT_DEAF))
			return true;
	}
}

/* Whether a claim of TICKET could succeed at this moment. */
bool co__wait_is_claimable(struct co_task *task, AO_t ticket);

/* armed -> running (any thread), if TASK waits on OBJECT, whichever its
 * wait. */
static inline bool co__wait_claim_on(struct co_task *task, const void *object,
		int outcome)
{
	for (;;) {
		/* Acquire: `object' is that of the armed wait; if the wait ends
		 * meanwhile, the compare-and-swap below fails. */
		AO_t word = AO_load_acquire(&task->wait);

		if (!(word & CO__WAIT_ARMED)
				|| AO_load(&task->object) != (AO_t)object)
			return false;
		/* Full: the load of `object' stays before it. */
		if (AO_compare_and_swap_full(&task->wait, word,
				co__wait_claimed(word)))
			break;
	}
	task->outcome = outcome;

	return true;
}

/* The deadline of SELF has ended a call: tell the scope whose deadline it is.
 * Returns -ETIMEDOUT. */
int co__wait_timed_out(struct co_task *self);

#endif
