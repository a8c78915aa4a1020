/* SPDX-License-Identifier: MIT */

/* check.c - see check.h */

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

struct event check_events[HISTORY_STAMPS + 1];

void check_fail(const struct call *call, const char *what)
{
	FUZZ_FAIL("the call of stamp %u by %u: %s", call->begun, call->actor,
			what);
}

static void sort_events(void)
{
	memset(check_events, 0, sizeof check_events);
	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		check_events[call->begun] = (struct event){ call, false };
		if (call->ended != 0)
			check_events[call->ended] = (struct event){ call,
				true };
	}
}

const struct call *check_in_flight(unsigned actor, unsigned stamp)
{
	for (unsigned i = stamp - 1; i > 0; i--) {
		const struct event *event = &check_events[i];

		if (event->call != NULL && event->call->actor == actor)
			return event->is_end ? NULL : event->call;
	}

	return NULL;
}

bool check_lives(unsigned task, unsigned stamp)
{
	bool lives = false;

	for (unsigned i = 1; i < stamp; i++) {
		const struct call *call = check_events[i].call;

		if (call == NULL || check_events[i].is_end
				|| call->object != task)
			continue;
		if (call->kind == CALL_END)
			return false;
		lives = lives || call->kind == CALL_SPAWN;
	}

	return lives;
}

static void print_searches(void)
{
	fprintf(stderr, "# searches: %lu, given up: %lu\n", check_searches,
			check_given_up);
}

void check_prepare(void)
{
	fuzz_explain = history_print;
	atexit(print_searches);
}

void check_history(void)
{
	history_close();
	sort_events();
	check_rules();
	if (history.in_turn)
		check_in_turn();
	check_search();
}
