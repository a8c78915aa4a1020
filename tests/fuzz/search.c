/* SPDX-License-Identifier: MIT */

/*
 * search.c - an order of effects that explains all results; see check.h
 *
 * The stamps are gone through.  An effect is put off until the end of a call
 * can't be explained without it: whatever has its effect earlier may as well
 * have it then, since what comes in between, begins of calls and reasons to end
 * without effect, forbids nothing.  Then each call that has begun is tried.
 */

#include <errno.h>
#include <string.h>

#include "check.h"
#include "model.h"

enum { MEMORY = 1 << 14 };

unsigned long check_searches, check_given_up;

/* One search: what it is about, and what it has done. */
struct search {
	bool about[HISTORY_CALLS];	/* the calls */
	unsigned steps;
	uint64_t number;
};

/* States that were met before and led nowhere; a state may be forgotten. */
static uint64_t dead_ends[MEMORY];

/* A number that stands for all of the state before the event AT. */
static uint64_t digest(const struct search *search, const struct model *model,
		unsigned at)
{
	uint64_t sum = search->number << 20 ^ at, word;

	for (size_t i = 0; i + sizeof word <= sizeof *model;
			i += sizeof word) {
		memcpy(&word, (const char *)model + i, sizeof word);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}

	return sum;
}

static bool is_over(uint8_t state)
{
	return state == CALL_NONE || state == CALL_OVER;
}

/* Whether all that has not returned waits.  Calls whose wait is to end by a
 * cancellation or a deadline only do if nobody could serve them. */
static bool is_quiet(const struct search *search, const struct model *model)
{
	for (size_t i = 0; i < history.count; i++)
		if (search->about[i] && !is_over(model->states[i])
				&& model->states[i] != CALL_WAITING
				&& !model_has_escaped(model,
				&history.calls[i]))
			return false;

	return true;
}

/* Whether the event can be, as things are. */
static bool is_explained(const struct search *search,
		const struct model *model, const struct event *event)
{
	if (!event->is_end)
		return true;
	if (event->call->kind == CALL_RUN)
		return is_quiet(search, model);

	return call_is_doomed(event->call) || model->states[
			history_number(event->call)] == CALL_DONE;
}

static void pass(struct model *model, const struct event *event)
{
	if (event->call->kind != CALL_RUN)
		model->states[history_number(event->call)] = event->is_end
				? CALL_OVER : CALL_BEGUN;
}

static bool is_of_interest(const struct search *search,
		const struct event *event)
{
	if (event->call == NULL)
		return false;
	if (event->call->kind == CALL_RUN)
		return event->is_end && event->call->rc == -EDEADLK;

	return search->about[history_number(event->call)];
}

static bool go_on(struct search *search, const struct model *before,
		unsigned at);

/* Let one of the calls have its effect before the event AT, and go on. */
static bool try_each(struct search *search, const struct model *before,
		unsigned at)
{
	bool quiet = check_events[at].call->kind == CALL_RUN;

	for (size_t i = 0; i < history.count; i++) {
		struct model model;

		if (!search->about[i] || before->states[i] != CALL_BEGUN
				|| (!quiet && call_is_doomed(
				&history.calls[i])))
			continue;
		model = *before;
		if (model_step(&model, &history.calls[i])
				&& go_on(search, &model, at))
			return true;
	}

	return false;
}

/* Whether the events from AT on can be explained, or there is no time left to
 * find out. */
static bool go_on(struct search *search, const struct model *before,
		unsigned at)
{
	struct model model = *before;
	uint64_t sum;

	for (; at < history.stamps; at++) {
		const struct event *event = &check_events[at];

		model.now = at;
		if (!is_of_interest(search, event))
			continue;
		if (!is_explained(search, &model, event))
			break;
		pass(&model, event);
	}
	if (at == history.stamps || ++search->steps > CHECK_STEPS)
		return true;
	sum = digest(search, &model, at);
	if (dead_ends[sum % MEMORY] == sum)
		return false;
	if (try_each(search, &model, at))
		return true;
	dead_ends[sum % MEMORY] = sum;

	return false;
}

static void run_search(struct search *search)
{
	static const struct model start;
	size_t first = 0;

	while (first < history.count && !search->about[first])
		first++;
	if (first == history.count)
		return;
	search->number = ++check_searches;
	if (!go_on(search, &start, 1))
		check_fail(&history.calls[first],
				"nothing explains it and those that follow");
	if (search->steps > CHECK_STEPS)
		check_given_up++;
}

/* --- What there is to search for ----------------------------------------- */

/* Channels A and B are in one group from now on. */
static void unite(unsigned *group, unsigned a, unsigned b)
{
	unsigned from = group[a], to = group[b];

	for (unsigned i = 0; i < HISTORY_CHANNELS; i++)
		if (group[i] == from)
			group[i] = to;
}

/* The first channel of CALL, or HISTORY_CHANNELS. */
static unsigned first_channel(const struct call *call)
{
	for (unsigned i = 0; i < call->ways_count; i++)
		if (call->ways[i].channel != HISTORY_CHANNELS)
			return call->ways[i].channel;

	return HISTORY_CHANNELS;
}

/* A group is named by one of its channels. */
static void find_groups(unsigned *group)
{
	for (unsigned i = 0; i < HISTORY_CHANNELS; i++)
		group[i] = i;
	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		for (unsigned k = 0; k < call->ways_count; k++)
			if (call->ways[k].channel != HISTORY_CHANNELS)
				unite(group, first_channel(call),
						call->ways[k].channel);
	}
}

static bool is_about_group(const struct call *call, unsigned which,
		const unsigned *group)
{
	unsigned channel = call->kind == CALL_CLOSE ? call->object
			: first_channel(call);

	return channel != HISTORY_CHANNELS && group[channel] == which;
}

static bool is_about_lock(const struct call *call, unsigned lock)
{
	return (call->kind == CALL_ACQUIRE || call->kind == CALL_TRY_ACQUIRE
			|| call->kind == CALL_RELEASE) && call->object == lock;
}

static bool is_about_suspension(const struct call *call, unsigned task)
{
	return (call->kind == CALL_SUSPEND && call->actor == task)
			|| (call->kind == CALL_RESUME && call->object == task);
}

/* Number WHICH of all searches there can be. */
static bool is_about(const struct call *call, unsigned which,
		const unsigned *group)
{
	if (which < HISTORY_CHANNELS)
		return is_about_group(call, which, group);
	which -= HISTORY_CHANNELS;
	if (which < HISTORY_LOCKS)
		return is_about_lock(call, which);

	return is_about_suspension(call, which - HISTORY_LOCKS);
}

void check_search(void)
{
	unsigned group[HISTORY_CHANNELS];

	find_groups(group);
	for (unsigned which = 0; which < HISTORY_CHANNELS + HISTORY_LOCKS
			+ HISTORY_TASKS; which++) {
		struct search search = { .steps = 0 };

		for (size_t i = 0; i < history.count; i++)
			search.about[i] = is_about(&history.calls[i], which,
					group);
		run_search(&search);
	}
}
