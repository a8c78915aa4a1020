/* SPDX-License-Identifier: MIT */

/*
 * deadline.c - deadline scopes and sleeping
 *
 * Scopes are a list from the innermost outwards.  Each knows the earliest
 * deadline of itself and all around it, as far as no mask is between them; that
 * of the innermost is the task's.
 */

#include <coloop/time.h>

#include <errno.h>

#include "clock.h"
#include "wait.h"
#include "worker.h"

/* How late the coarse clock is at most: a tick of a slow system. */
#define COARSE_TICK (10 * CO_MILLISECOND)

/* WHEN may be in the past.  Then it has passed, though the coarse clock, which
 * a call that need not wait looks at, may not be there yet. */
static void note_past(struct co_task *self, co_time when)
{
	if (when < co__clock_coarse() + COARSE_TICK && when > self->passed
			&& when <= co_now())
		self->passed = when;
}

int co_deadline_begin(struct co_deadline *scope, co_time when)
{
	struct co_task *self = co_self();

	/* A scope around itself would never end. */
	if (scope == NULL || (self != NULL && self->scope == scope))
		return -EINVAL;
	scope->task_ = self;
	scope->outer_ = NULL;
	scope->when_ = when;
	scope->effective_ = when;
	scope->expired_ = 0;
	if (self == NULL)
		return -EPERM;
	note_past(self, when);
	scope->outer_ = self->scope;
	if (scope->outer_ != NULL && scope->outer_->effective_ <= when)
		scope->effective_ = scope->outer_->effective_;
	self->scope = scope;
	co__task_set_deadline(self, scope->effective_);

	return 0;
}

int co_deadline_mask(struct co_deadline *scope)
{
	int rc = co_deadline_begin(scope, CO_NEVER);

	if (rc < 0)
		return rc;
	scope->effective_ = CO_NEVER;
	co__task_set_deadline(co_self(), CO_NEVER);

	return 0;
}

int co_deadline_end(struct co_deadline *scope)
{
	struct co_task *self = co_self();

	if (scope == NULL || self == NULL || self->scope != scope)
		return -EINVAL;
	self->scope = scope->outer_;
	co__task_set_deadline(self, self->scope != NULL
			? self->scope->effective_ : CO_NEVER);

	return scope->expired_ ? -ETIMEDOUT : 0;
}

void co_deadline_leave(struct co_deadline *scope)
{
	if (scope->task_ != NULL)
		co_deadline_end(scope);
}

static void sleep_hook(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	(void)arg;
	co__wait_arm_or_ready(worker, self);
}

/* Sleep until WHEN, at the time NOW. */
static int sleep_from(co_time now, co_time when)
{
	struct co_task *self;
	co_time outer;
	int rc = co__wait_enter(&self);

	if (rc < 0)
		return rc;
	if (when <= now) {
		co__worker_yield(self);
		return 0;
	}
	outer = self->deadline;
	if (when < outer)
		co__task_set_pause(self, when);
	rc = co__wait_prepare_at(self, now);
	if (rc == 0)
		rc = co__park(self, CO__IN_SLEEP, NULL, sleep_hook, NULL);
	co__task_set_deadline(self, outer);

	return rc == -ETIMEDOUT && when < outer ? 0 : rc;
}

int co_sleep_until(co_time when)
{
	return sleep_from(co_now(), when);
}

int co_sleep(co_time duration)
{
	co_time now = co_now();

	return sleep_from(now, co__clock_add(now, duration));
}
