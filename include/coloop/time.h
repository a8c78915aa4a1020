/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TIME_H
#define COLOOP_TIME_H

/*
 * Time, sleeping, and deadlines that hold for a scope of code.   co_time(3)
 *
 * Units       Nanoseconds of CLOCK_MONOTONIC.  A co_time is a point in time
 *             or a length of time, as the name of the argument says.
 * Deadlines   A deadline belongs to the calling task and to a scope of code:
 *             while the scope lasts, every blocking call, whoever wrote it,
 *             returns -ETIMEDOUT once the deadline has passed.  Scopes nest;
 *             the earliest deadline counts, but for those hidden by
 *             co_deadline_mask().
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t co_time;

#define CO_NANOSECOND  ((co_time)1)
#define CO_MICROSECOND (1000 * CO_NANOSECOND)
#define CO_MILLISECOND (1000 * CO_MICROSECOND)
#define CO_SECOND      (1000 * CO_MILLISECOND)
#define CO_MINUTE      (60 * CO_SECOND)
#define CO_HOUR        (60 * CO_MINUTE)

/* A point in time that never comes. */
#define CO_NEVER INT64_MAX

/* The time now.  Any thread. */
CO_API co_time co_now(void);

/* The time DURATION nanoseconds from now.  It saturates: CO_NEVER for a
 * duration too long to be represented, now for a negative one.  Any thread. */
CO_API co_time co_after(co_time duration);

/* Let the calling task sleep for DURATION nanoseconds, never less; it yields
 * if there is nothing to wait for.
 * 0: the time has passed.  -ECANCELED, -ETIMEDOUT, -EPERM (not a task). */
CO_API int co_sleep(co_time duration);

/* Let the calling task sleep until WHEN.  As co_sleep(). */
CO_API int co_sleep_until(co_time when);

/* One deadline scope.  It lives in the caller's frame; its fields are the
 * library's. */
struct co_deadline {
	struct co_deadline *outer_;
	void *task_;
	co_time when_;
	co_time effective_;
	size_t expired_;
};

/* Begin a scope of the calling task that lasts until co_deadline_end() with
 * the same SCOPE.  Scopes end in the reverse order of their beginnings.
 * 0, or -EPERM outside of a task; then the scope is without effect.  -EINVAL:
 * SCOPE is NULL, or is the innermost scope already. */
CO_API int co_deadline_begin(struct co_deadline *scope, co_time when);

/* Begin a scope in which no deadline of the scopes around it counts, for what
 * must be done even if it is late; those that begin in it count.  It hides no
 * cancellation: see co_cancel_mask().  As co_deadline_begin(). */
CO_API int co_deadline_mask(struct co_deadline *scope);

/* End the innermost scope.  -ETIMEDOUT if a blocking call failed because the
 * deadline of this scope, not of an outer one, had passed; else 0.
 * -EINVAL: SCOPE is not the innermost scope of the calling task. */
CO_API int co_deadline_end(struct co_deadline *scope);

/* What CO_WITH_DEADLINE() calls at its end, however the block is left. */
CO_API void co_deadline_leave(struct co_deadline *scope);

#define CO_DEADLINE_PASTE_(a, b) a##b
#define CO_DEADLINE_NAME_(a, line) CO_DEADLINE_PASTE_(a, line)
#define CO_WITH_DEADLINE_(when, scope, once)                                \
	for (struct co_deadline scope                                       \
		__attribute__((cleanup(co_deadline_leave))) =               \
		{ NULL, NULL, 0, 0, 0 },                                    \
		*once = (co_deadline_begin(&scope, (when)), &scope);        \
		once; once = NULL)

/* Run the block that follows with the deadline WHEN.  The scope ends with the
 * block, also when it is left by return, break (which leaves the block only)
 * or goto. */
#define CO_WITH_DEADLINE(when)                                              \
	CO_WITH_DEADLINE_(when, CO_DEADLINE_NAME_(co_scope_, __LINE__),     \
			CO_DEADLINE_NAME_(co_once_, __LINE__))

#ifdef __cplusplus
}
#endif

#endif
