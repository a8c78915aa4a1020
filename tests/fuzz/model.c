/* SPDX-License-Identifier: MIT */

/* model.c - see model.h */

#include "model.h"

#include <errno.h>

enum { NOBODY = UINT16_MAX };

unsigned escape[HISTORY_CALLS];

/* --- Those who wait ------------------------------------------------------ */

static const struct call *call_of(uint16_t who)
{
	return &history.calls[who / HISTORY_WAYS];
}

bool model_has_escaped(const struct model *model, const struct call *call)
{
	return call_is_doomed(call)
			&& escape[history_number(call)] <= model->now;
}

static bool waits(const struct model *model, uint16_t who)
{
	return model->states[who / HISTORY_WAYS] == CALL_WAITING
			&& !model_has_escaped(model, call_of(who));
}

static void join_line(struct line *line, const struct call *call, unsigned way)
{
	line->who[line->count++] = (uint16_t)(history_number(call)
			* HISTORY_WAYS + way);
}

/* The first in LINE who still waits, or NOBODY; those who don't leave it. */
static uint16_t first_in(const struct model *model, struct line *line)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < line->count; i++)
		if (waits(model, line->who[i]))
			line->who[kept++] = line->who[i];
	for (unsigned i = kept; i < line->count; i++)
		line->who[i] = 0;
	line->count = (uint16_t)kept;

	return kept > 0 ? line->who[0] : NOBODY;
}

static void wait_in(struct model *model, struct line *line,
		const struct call *call)
{
	first_in(model, line);
	join_line(line, call, 0);
	model->states[history_number(call)] = CALL_WAITING;
}

/* CALL, which waits, is served now.  If it never returns, the loop never ran
 * long enough after that. */
static bool may_be_served(struct model *model, const struct call *call)
{
	model->states[history_number(call)] = CALL_DONE;

	return call->ended != 0 || model->now > history.settled;
}

/* End the wait of WHO with RC.  Whether that is what it came to. */
static bool serve(struct model *model, uint16_t who, int rc)
{
	const struct call *call = call_of(who);

	return may_be_served(model, call) && (call->ended == 0
			|| call->rc == rc);
}

/* --- Channels ------------------------------------------------------------ */

/* The same for one way of a call, by which ITEM came. */
static bool serve_way(struct model *model, uint16_t who, int way_rc,
		uint16_t item)
{
	const struct call *call = call_of(who);
	const struct way *way = &call->ways[who % HISTORY_WAYS], *taken;

	if (!may_be_served(model, call))
		return false;
	if (call->ended == 0)
		return true;
	if (call->rc < 0)
		return false;
	/* Which of two ways that are the same it was doesn't matter. */
	taken = &call->ways[call->rc];
	if (taken->channel != way->channel || taken->is_put != way->is_put
			|| call->way_rc != way_rc)
		return false;
	if (way->is_put)
		return call->way_rc != 0 || taken->item == item;

	return call->got == (history.has_content[way->channel] ? item : 0);
}

static bool can_happen(struct model *model, const struct way *way)
{
	struct model_channel *channel = &model->channels[way->channel];

	if (way->channel == HISTORY_CHANNELS)
		return false;
	if (channel->closed)
		return true;
	if (way->is_put)
		return channel->count < history.capacities[way->channel]
				|| first_in(model, &channel->getters) != NOBODY;

	return channel->count > 0
			|| first_in(model, &channel->putters) != NOBODY;
}

static bool is_one_possible(struct model *model, const struct call *call)
{
	for (unsigned i = 0; i < call->ways_count; i++)
		if (can_happen(model, &call->ways[i]))
			return true;

	return false;
}

/* The item of the putter WHO that is taken: that of the way by which it came
 * to be done, if there are two that are the same. */
static uint16_t item_of(uint16_t who)
{
	const struct call *call = call_of(who);
	const struct way *way = &call->ways[who % HISTORY_WAYS];

	if (call->ended != 0 && call->rc >= 0
			&& call->ways[call->rc].is_put
			&& call->ways[call->rc].channel == way->channel)
		way = &call->ways[call->rc];

	return way->item;
}

/* Put ITEM into CHANNEL, which can take it. */
static bool put(struct model *model, struct model_channel *channel,
		uint16_t item)
{
	uint16_t getter = first_in(model, &channel->getters);

	if (getter != NOBODY)
		return serve_way(model, getter, 0, item);
	channel->items[channel->count++] = item;

	return true;
}

/* Take the oldest item of CHANNEL, which has one, or that of who waits. */
static bool get(struct model *model, struct model_channel *channel,
		uint16_t *ret_item)
{
	uint16_t putter = first_in(model, &channel->putters);

	if (channel->count == 0) {
		*ret_item = item_of(putter);
		return serve_way(model, putter, 0, *ret_item);
	}
	*ret_item = channel->items[0];
	channel->count--;
	for (unsigned i = 0; i < channel->count; i++)
		channel->items[i] = channel->items[i + 1];
	channel->items[channel->count] = 0;
	if (putter == NOBODY)
		return true;
	channel->items[channel->count++] = item_of(putter);

	return serve_way(model, putter, 0, item_of(putter));
}

/* Let WAY, which can happen, be what CALL did. */
static bool take_way(struct model *model, const struct call *call,
		const struct way *way)
{
	struct model_channel *channel = &model->channels[way->channel];
	uint16_t item = 0;
	bool good;

	if (way->is_put) {
		if (channel->closed)
			return call->way_rc == -EPIPE;
		return call->way_rc == 0 && put(model, channel, way->item);
	}
	if (channel->count == 0 && channel->closed)
		return call->way_rc == -EPIPE;
	good = get(model, channel, &item);

	return good && call->way_rc == 0
			&& call->got == (history.has_content[way->channel]
			? item : 0);
}

static void wait_in_ways(struct model *model, const struct call *call)
{
	model->states[history_number(call)] = CALL_WAITING;
	for (unsigned i = 0; i < call->ways_count; i++) {
		const struct way *way = &call->ways[i];
		struct model_channel *channel = &model->channels[way->channel];
		struct line *line;

		if (way->channel == HISTORY_CHANNELS)
			continue;
		line = way->is_put ? &channel->putters : &channel->getters;
		first_in(model, line);
		join_line(line, call, i);
	}
}

/* CALL has no effect, or none yet. */
static bool is_without_effect(const struct call *call)
{
	return call->ended == 0 || call_is_doomed(call);
}

static bool step_move(struct model *model, const struct call *call)
{
	bool takes = call->rc >= 0 && !is_without_effect(call);

	if (takes && can_happen(model, &call->ways[call->rc]))
		return take_way(model, call, &call->ways[call->rc]);
	if (is_one_possible(model, call))
		return false;
	if (call->kind == CALL_TRY_MOVE)
		return call->rc == -EAGAIN;
	wait_in_ways(model, call);

	return true;
}

/* Nobody who waits does so any more. */
static bool step_close(struct model *model, const struct call *call)
{
	struct model_channel *channel = &model->channels[call->object];
	bool good = call->rc == 0;
	uint16_t who;

	channel->closed = true;
	while ((who = first_in(model, &channel->putters)) != NOBODY)
		good = serve_way(model, who, -EPIPE, 0) && good;
	while ((who = first_in(model, &channel->getters)) != NOBODY)
		good = serve_way(model, who, -EPIPE, 0) && good;

	return good;
}

/* --- Locks --------------------------------------------------------------- */

static bool step_acquire(struct model *model, const struct call *call)
{
	struct model_lock *lock = &model->locks[call->object];

	if (lock->held) {
		wait_in(model, &lock->waiters, call);
		return true;
	}
	lock->held = true;

	return call->rc == 0 && !is_without_effect(call);
}

static bool step_try_acquire(struct model *model, const struct call *call)
{
	struct model_lock *lock = &model->locks[call->object];
	bool was_held = lock->held;

	lock->held = true;

	return call->rc == (was_held ? -EAGAIN : 0);
}

static bool step_release(struct model *model, const struct call *call)
{
	struct model_lock *lock = &model->locks[call->object];
	uint16_t heir = first_in(model, &lock->waiters);

	if (!lock->held)
		return call->rc == -EPERM;
	if (heir != NOBODY)
		return serve(model, heir, 0) && call->rc == 0;
	lock->held = false;

	return call->rc == 0;
}

/* --- Tasks --------------------------------------------------------------- */

static bool step_resume(struct model *model, const struct call *call)
{
	struct model_task *task = &model->tasks[call->object];
	uint16_t who = first_in(model, &task->suspended);

	if (who == NOBODY)
		return call->rc == -EALREADY;

	return serve(model, who, 0) && call->rc == 0;
}

/* Whether another joins TASK already.  As long as one that has been cancelled
 * has not returned, both may be said: RC says which. */
static bool is_busy(const struct model *model, const struct model_task *task,
		int rc)
{
	uint16_t joiner = task->joiners.who[0];

	if (task->joiners.count == 0 || model->states[joiner / HISTORY_WAYS]
			!= CALL_WAITING)
		return false;

	return waits(model, joiner) || rc == -EBUSY;
}

static bool step_join(struct model *model, const struct call *call)
{
	struct model_task *task = &model->tasks[call->object];

	if (call->actor == call->object)
		return call->rc == -EDEADLK;
	if (task->detached)
		return call->rc == -EINVAL;
	if (is_busy(model, task, call->rc))
		return call->rc == -EBUSY;
	if (!task->ended) {
		wait_in(model, &task->joiners, call);
		return true;
	}

	return call->rc == 0 && !is_without_effect(call);
}

static bool step_detach(struct model *model, const struct call *call)
{
	struct model_task *task = &model->tasks[call->object];

	if (task->detached)
		return call->rc == -EINVAL;
	if (is_busy(model, task, call->rc))
		return call->rc == -EBUSY;
	task->detached = true;

	return call->rc == 0;
}

/* The end of a task; it never returns. */
static bool step_end(struct model *model, const struct call *call)
{
	struct model_task *task = &model->tasks[call->object];
	uint16_t joiner = first_in(model, &task->joiners);

	task->ended = true;

	return joiner == NOBODY || (serve(model, joiner, 0)
			&& (call_of(joiner)->ended == 0
			|| call_of(joiner)->result == call->result));
}

/* ------------------------------------------------------------------------- */

bool model_step(struct model *model, const struct call *call)
{
	uint8_t *state = &model->states[history_number(call)];

	*state = CALL_DONE;
	switch (call->kind) {
	case CALL_MOVE:
	case CALL_TRY_MOVE:
		return step_move(model, call);
	case CALL_CLOSE:
		return step_close(model, call);
	case CALL_LENGTH:
		return call->rc == model->channels[call->object].count;
	case CALL_ACQUIRE:
		return step_acquire(model, call);
	case CALL_TRY_ACQUIRE:
		return step_try_acquire(model, call);
	case CALL_RELEASE:
		return step_release(model, call);
	case CALL_SUSPEND:
		wait_in(model, &model->tasks[call->actor].suspended, call);
		return true;
	case CALL_RESUME:
		return step_resume(model, call);
	case CALL_JOIN:
		return step_join(model, call);
	case CALL_DETACH:
		return step_detach(model, call);
	case CALL_END:
		return step_end(model, call);
	case CALL_SPAWN:
		model->tasks[call->object].detached = call->result;
		return call->rc == 0;
	case CALL_CANCEL:
		return call->rc == 0;
	case CALL_SLEEP:
		*state = CALL_WAITING;
		return true;
	default:
		return true;
	}
}
