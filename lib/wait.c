/* SPDX-License-Identifier: MIT */

/* wait.c - see wait.h for the protocol */

#include "wait.h"

#include <errno.h>

#include "clock.h"
#include "timer.h"
#include "worker.h"

static bool is_masked(const struct co_task *self)
{
	return self->special & CO__TASK_MASKED;
}

/* The flags that keep a wait from being armed. */
static AO_t unwelcome(const struct co_task *self)
{
	return is_masked(self) ? CO__WAIT_EXPIRED
			: CO__WAIT_EXPIRED | CO__WAIT_CANCEL;
}

static bool is_cancelled(const struct co_task *self)
{
	return !is_masked(self) && (AO_load(&self->wait) & CO__WAIT_CANCEL);
}

int co__wait_timed_out(struct co_task *self)
{
	struct co_deadline *scope;

	/* Before the scopes are looked at, which are in cold memory. */
	if (self->special & CO__TASK_PAUSES)
		return -ETIMEDOUT;
	if (self->passed < self->deadline)
		self->passed = self->deadline;
	scope = self->scope;
	while (scope->when_ != self->deadline)
		scope = scope->outer_;
	scope->expired_ = 1;

	return -ETIMEDOUT;
}

int co__wait_check(struct co_task *self)
{
	if (is_cancelled(self))
		return -ECANCELED;
	/* What was told stays so: the coarse clock may not be there yet. */
	if (self->deadline != CO_NEVER && (self->passed >= self->deadline
			|| co__clock_coarse() >= self->deadline))
		return co__wait_timed_out(self);

	return 0;
}

int co__wait_prepare_at(struct co_task *self, co_time now)
{
	co_time deadline = self->deadline;

	if (is_cancelled(self))
		return -ECANCELED;
	if (deadline == CO_NEVER)
		return 0;
	if (now >= deadline)
		return co__wait_timed_out(self);
	if (deadline < self->timer_when
			|| (AO_load(&self->wait) & CO__WAIT_EXPIRED))
		co__timer_set(self, &self->worker->wheel, deadline);
	co__atomic_store_wide(self->wait_deadline, deadline);

	return 0;
}

int co__wait_prepare_slowly(struct co_task *self)
{
	return co__wait_prepare_at(self, self->deadline != CO_NEVER ? co_now()
			: 0);
}

/* Something unwelcome is in the word of SELF, which WORKER is arming: the
 * reason not to arm it, or 0 if its timer has been put right. */
static int settle(struct co__worker *worker, struct co_task *self)
{
	if (is_cancelled(self))
		return -ECANCELED;
	if (self->deadline != CO_NEVER && co_now() >= self->deadline)
		return -ETIMEDOUT;
	co__timer_set(self, &worker->wheel, self->deadline);

	return 0;
}

int co__wait_arm(struct co__worker *worker, struct co_task *self, AO_t flags)
{
	flags |= CO__WAIT_ARMED | (is_masked(self) ? CO__WAIT_MASKED : 0);
	for (;;) {
		AO_t word = AO_load(&self->wait);

		if (co__unlikely(word & unwelcome(self))) {
			int rc = settle(worker, self);

			if (rc < 0)
				return rc;
			continue;
		}
		/* Release: the task has left its stack, and what it wrote is
		 * seen by who claims it; pairs with the claims. */
		if (AO_compare_and_swap_release(&self->wait, word,
				word | flags))
			return 0;
	}
}

void co__wait_unarmed(struct co_task *self, int rc)
{
	self->outcome = rc;
	co__ready(self);
}

bool co__wait_is_claimable(struct co_task *task, AO_t ticket)
{
	AO_t word = AO_load(&task->wait);

	return (word & CO__WAIT_ARMED) && co__wait_epoch(word) == ticket;
}

int co_cancel(struct co_task *task)
{
	AO_t word, next;
	bool claimed;

	if (task == NULL || AO_load(&task->joined.word) == CO__TASK_RELEASED)
		return -EINVAL;
	do {
		word = AO_load(&task->wait);
		claimed = (word & CO__WAIT_ARMED)
			&& !(word & (CO__WAIT_MASKED | CO__WAIT_DEAF));
		next = (claimed ? co__wait_claimed(word) : word)
			| CO__WAIT_CANCEL;
		/* Acquire: pairs with the release of co__wait_arm. */
	} while (!AO_compare_and_swap_full(&task->wait, word, next));
	if (claimed) {
		task->outcome = -ECANCELED;
		co__ready(task);
	}

	return 0;
}

int co_cancel_mask(int masked)
{
	struct co_task *self = co_self();
	int was;

	if (self == NULL)
		return -EPERM;
	was = is_masked(self);
	co__task_set_special(self, CO__TASK_MASKED, masked != 0);

	return was;
}
