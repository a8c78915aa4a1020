/* SPDX-License-Identifier: MIT */

/* in_turn.c - a history in which each call has its effect when it begins; see
 * check.h */

#include <errno.h>
#include <string.h>

#include "check.h"
#include "model.h"

static struct model model;

static uint8_t *state_of(const struct call *call)
{
	return &model.states[history_number(call)];
}

/* The task that CANCEL is for doesn't wait any more, unless what it waited for
 * has come already. */
static void check_cancel(const struct call *cancel)
{
	const struct call *call = check_in_flight(cancel->object,
			cancel->begun);

	if (call == NULL || *state_of(call) != CALL_WAITING || call->masked
			|| model_has_escaped(&model, call))
		return;
	if (call->kind == CALL_SLEEP && call->rc == 0
			&& cancel->begun_at - call->begun_at >= call->length)
		return;
	check_fail(call, "it went on though it was cancelled");
}

static void begin(const struct call *call)
{
	bool at_once = model_has_escaped(&model, call);

	*state_of(call) = CALL_BEGUN;
	if (call->kind == CALL_SUSPEND && call->ended != 0
			&& call->result != !at_once)
		check_fail(call, "its hook was not called as it should be");
	if (at_once)
		return;
	if (!model_step(&model, call))
		check_fail(call, "it can't have had this result");
	/* Of a sleep see rules.c: it may be that it need not wait. */
	if (*state_of(call) == CALL_WAITING && call->kind != CALL_SLEEP
			&& call->begun_at >= call->deadline)
		check_fail(call, "it waited though its deadline had passed");
	if (call->kind == CALL_CANCEL)
		check_cancel(call);
}

static void check_stuck(const struct call *run)
{
	for (unsigned task = 0; task < HISTORY_TASKS; task++) {
		const struct call *call = check_in_flight(task, run->ended);

		if (!check_lives(task, run->ended))
			continue;
		if (*state_of(call) != CALL_WAITING)
			check_fail(call, "what it waited for has come");
	}
}

static void end(const struct call *call)
{
	if (*state_of(call) != CALL_DONE && call->kind != CALL_SLEEP
			&& !model_has_escaped(&model, call))
		check_fail(call, "it returned without a reason");
	*state_of(call) = CALL_OVER;
	if (call->kind == CALL_RUN && call->rc == -EDEADLK)
		check_stuck(call);
}

void check_in_turn(void)
{
	memset(&model, 0, sizeof model);
	for (unsigned stamp = 1; stamp < history.stamps; stamp++) {
		const struct event *event = &check_events[stamp];

		model.now = stamp;
		if (event->call == NULL)
			continue;
		if (event->is_end)
			end(event->call);
		else
			begin(event->call);
	}
}
