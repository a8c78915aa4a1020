/* SPDX-License-Identifier: MIT */

/* rules.c - what must be true of a call by itself; see check.h */

#include <errno.h>
#include <limits.h>

#include "check.h"
#include "model.h"

/* The first time that each task was cancelled: before it had been, after it had
 * been. */
static unsigned cancel_begun[ACTORS], cancel_ended[ACTORS];

static void find_cancels(void)
{
	for (unsigned i = 0; i < ACTORS; i++)
		cancel_begun[i] = cancel_ended[i] = UINT_MAX;
	for (unsigned stamp = 1; stamp < history.stamps; stamp++) {
		const struct event *event = &check_events[stamp];
		unsigned *first;

		if (event->call == NULL || event->call->kind != CALL_CANCEL)
			continue;
		first = event->is_end ? cancel_ended : cancel_begun;
		if (first[event->call->object] == UINT_MAX)
			first[event->call->object] = stamp;
	}
}

/* --- What ended it ------------------------------------------------------- */

/* The first stamp of a time of WHEN or later. */
static unsigned stamp_at(co_time when)
{
	for (unsigned stamp = 1; stamp < history.stamps; stamp++) {
		const struct event *event = &check_events[stamp];

		if (event->call != NULL && when <= (event->is_end
				? event->call->ended_at
				: event->call->begun_at))
			return stamp;
	}

	return UINT_MAX;
}

/* From when on CALL had a reason to end without effect. */
static unsigned find_escape(const struct call *call)
{
	if (!call_is_doomed(call))
		return UINT_MAX;
	if (call->rc == -ECANCELED) {
		if (call->masked || cancel_begun[call->actor] > call->ended)
			check_fail(call, "nobody cancelled it");
		return cancel_begun[call->actor];
	}
	if (call->ended_at < call->deadline)
		check_fail(call, "its deadline has not passed");

	/* In turn a time is that of all stamps up to the next. */
	return history.in_turn ? stamp_at(call->deadline) : call->begun;
}

/* --- What should have ended it ------------------------------------------- */

/* CALL can't work, whatever happens. */
static bool is_refused(const struct call *call)
{
	return call->kind == CALL_JOIN && (call->rc == -EDEADLK
			|| call->rc == -EBUSY || call->rc == -EINVAL);
}

/* By when a call that begins at NOW is told of a deadline for sure. */
static co_time coarse(co_time now)
{
	return history.in_turn ? now - now % history.grain
			: now - history.grain;
}

static void check_news(const struct call *call)
{
	bool cancelled = !call->masked
			&& cancel_ended[call->actor] < call->begun;

	if (is_refused(call))
		return;
	if (cancelled && (call->ended == 0 || call->rc != -ECANCELED))
		check_fail(call, "it had been cancelled before");
	if (cancelled || call->deadline > coarse(call->begun_at))
		return;
	if (!call_is_doomed(call))
		check_fail(call, "its deadline had passed before");
}

/* --- Sleep and join ------------------------------------------------------ */

static void check_sleep(const struct call *call)
{
	co_time left = call->deadline - call->begun_at;
	bool lasts = call->length > 0;

	if (call->rc == 0 && call->ended_at - call->begun_at < call->length)
		check_fail(call, "it woke up too early");
	if (call->rc == 0 && lasts && left <= call->length)
		check_fail(call, "its deadline came first");
	if (call->rc == -ETIMEDOUT && history.in_turn && lasts
			&& left > call->length)
		check_fail(call, "its sleep was over first");
}

static void check_join(const struct call *call)
{
	for (size_t i = 0; i < history.count; i++) {
		const struct call *end = &history.calls[i];

		if (end->kind == CALL_END && end->object == call->object
				&& end->begun < call->ended
				&& end->result == call->result)
			return;
	}
	check_fail(call, "its task has not ended with that result");
}

/* --- The end of a run ---------------------------------------------------- */

/* Whether RUN may have been ended by co_loop_stop(), which counts for the next
 * run if it came too late for the one before. */
static bool was_stopped(const struct call *run)
{
	unsigned before = 0;

	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		if (call->kind == CALL_RUN && call->ended < run->begun
				&& call->ended > before)
			before = call->ended;
	}
	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		if (call->kind == CALL_STOP && call->begun < run->ended
				&& call->ended > before)
			return true;
	}

	return false;
}

/* TASK has not ended, and the loop says that nothing can wake it. */
static void check_stuck(const struct call *run, unsigned task)
{
	const struct call *call = check_in_flight(task, run->ended);

	if (call == NULL || !call_is_blocking(call)
			|| call->kind == CALL_YIELD)
		check_fail(run, "a task is not in a call that waits");
	if ((call->kind == CALL_SLEEP && call->length != CO_NEVER)
			|| call->deadline != CO_NEVER)
		check_fail(call, "time will end it, but the loop gave up");
	if (!call->masked && cancel_ended[task] < run->ended)
		check_fail(call, "it was cancelled, but the loop gave up");
}

static void check_run(const struct call *run)
{
	unsigned living = 0;

	for (unsigned task = 0; task < HISTORY_TASKS; task++) {
		if (!check_lives(task, run->ended))
			continue;
		living++;
		if (run->rc == -EDEADLK)
			check_stuck(run, task);
	}
	if (run->rc != 0 && run->rc != -EDEADLK)
		check_fail(run, "that is no end of a run");
	if (run->rc == -EDEADLK && living == 0)
		check_fail(run, "no task is left to be stuck");
	if (run->rc == 0 && living != 0 && !was_stopped(run))
		check_fail(run, "tasks are left");
}

/* ------------------------------------------------------------------------- */

void check_rules(void)
{
	find_cancels();
	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		escape[i] = find_escape(call);
		if (call_is_blocking(call))
			check_news(call);
		if (call->kind == CALL_SLEEP && call->ended != 0)
			check_sleep(call);
		if (call->kind == CALL_JOIN && call->ended != 0
				&& call->rc == 0)
			check_join(call);
		if (call->kind == CALL_RUN)
			check_run(call);
	}
}
