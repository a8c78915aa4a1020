/* SPDX-License-Identifier: MIT */

/* history.c - see history.h */

#include "history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AO_REQUIRE_CAS
#include <atomic_ops.h>

struct history history;

/* Calls and stamps that were given out. */
static volatile AO_t calls_given, stamps_given;

void history_clear(void)
{
	memset(&history, 0, sizeof history);
	AO_store(&calls_given, 0);
	AO_store(&stamps_given, 0);
}

struct call *history_new(enum call_kind kind, unsigned actor)
{
	bool has_to_be = kind == CALL_END || kind == CALL_RUN;
	struct call *call;

	/* Several threads may exceed it by a few. */
	if (AO_load(&calls_given) >= HISTORY_CALLS
			- (has_to_be ? 0 : HISTORY_RESERVE))
		return NULL;
	call = &history.calls[AO_fetch_and_add1(&calls_given)];
	call->kind = kind;
	call->actor = actor;
	call->deadline = CO_NEVER;

	return call;
}

/* Full: a stamp is neither taken before what comes before it, nor after what
 * comes after it. */
static unsigned take_stamp(void)
{
	unsigned stamp;

	AO_nop_full();
	stamp = 1 + (unsigned)AO_fetch_and_add1_full(&stamps_given);
	AO_nop_full();

	return stamp;
}

void history_begin(struct call *call)
{
	call->begun_at = co_now();
	call->begun = take_stamp();
}

void history_end(struct call *call, int rc)
{
	call->rc = rc;
	call->ended_at = co_now();
	call->ended = take_stamp();
}

void history_close(void)
{
	AO_t calls = AO_load(&calls_given);

	history.count = calls < HISTORY_CALLS ? calls : HISTORY_CALLS;
	history.stamps = 1 + (unsigned)AO_load(&stamps_given);
	history.settled = 0;
	for (size_t i = 0; i < history.count; i++) {
		const struct call *call = &history.calls[i];

		/* A run that was stopped may leave what would go on. */
		if (call->kind == CALL_RUN && call->rc == -EDEADLK
				&& call->ended > history.settled)
			history.settled = call->ended;
	}
}

bool call_is_blocking(const struct call *call)
{
	switch (call->kind) {
	case CALL_JOIN:
		return call->actor < HISTORY_TASKS;
	case CALL_YIELD:
	case CALL_SLEEP:
	case CALL_SUSPEND:
	case CALL_MOVE:
	case CALL_ACQUIRE:
		return true;
	default:
		return false;
	}
}

bool call_is_doomed(const struct call *call)
{
	return call->ended != 0 && call_is_blocking(call)
			&& (call->rc == -ECANCELED || call->rc == -ETIMEDOUT);
}

/* --- For people ---------------------------------------------------------- */

static const char *const kind_names[CALL_KINDS] = {
	[CALL_SPAWN] = "spawn", [CALL_JOIN] = "join", [CALL_DETACH] = "detach",
	[CALL_CANCEL] = "cancel", [CALL_END] = "end", [CALL_YIELD] = "yield",
	[CALL_SLEEP] = "sleep", [CALL_SUSPEND] = "suspend",
	[CALL_RESUME] = "resume", [CALL_MOVE] = "move",
	[CALL_TRY_MOVE] = "try_move", [CALL_CLOSE] = "close",
	[CALL_LENGTH] = "length", [CALL_ACQUIRE] = "acquire",
	[CALL_TRY_ACQUIRE] = "try_acquire", [CALL_RELEASE] = "release",
	[CALL_RUN] = "run", [CALL_STOP] = "stop",
};

static void print_ways(const struct call *call)
{
	for (unsigned i = 0; i < call->ways_count; i++) {
		const struct way *way = &call->ways[i];

		if (way->channel == HISTORY_CHANNELS)
			fprintf(stderr, " nothing");
		else if (way->is_put)
			fprintf(stderr, " %u->channel%u", way->item,
					way->channel);
		else
			fprintf(stderr, " channel%u->", way->channel);
	}
}

/* ... of the call that begins or ends at a stamp. */
static void print_begin(const struct call *call)
{
	fprintf(stderr, " %s", kind_names[call->kind]);
	if (call->kind == CALL_MOVE || call->kind == CALL_TRY_MOVE)
		print_ways(call);
	else
		fprintf(stderr, " %u", call->object);
	if (call->kind == CALL_SLEEP)
		fprintf(stderr, " for %lld", (long long)call->length);
	if (call->deadline != CO_NEVER)
		fprintf(stderr, " until %lld", (long long)call->deadline);
	fprintf(stderr, call->masked ? " masked\n" : "\n");
}

static void print_end(const struct call *call)
{
	fprintf(stderr, " of %u: %d", call->begun, call->rc);
	if (call->kind == CALL_MOVE || call->kind == CALL_TRY_MOVE)
		fprintf(stderr, " (%d) item %u", call->way_rc, call->got);
	if (call->kind == CALL_JOIN)
		fprintf(stderr, ", result %d", call->result);
	fprintf(stderr, "\n");
}

void history_print(void)
{
	history_close();
	for (int i = 0; i < HISTORY_CHANNELS; i++)
		fprintf(stderr, "channel%d: capacity %zu\n", i,
				history.capacities[i]);
	for (unsigned stamp = 1; stamp < history.stamps; stamp++) {
		for (size_t i = 0; i < history.count; i++) {
			const struct call *call = &history.calls[i];

			if (call->begun != stamp && call->ended != stamp)
				continue;
			fprintf(stderr, "%4u %15lld actor %u:", stamp,
					(long long)(call->begun == stamp
					? call->begun_at : call->ended_at),
					call->actor);
			if (call->begun == stamp)
				print_begin(call);
			else
				print_end(call);
		}
	}
}
