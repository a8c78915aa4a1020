/* SPDX-License-Identifier: MIT */

/* moves.c - puts, gets and selects; see run.h */

#include "fuzz.h"
#include "run.h"

enum { ITEM_MAX = 40, UNTOUCHED = 0xee, NO_RESULT = 77 };

/* What a call moves, or where to. */
struct goods {
	unsigned char items[HISTORY_WAYS][ITEM_MAX];
};

/* --- What is moved ------------------------------------------------------- */

/* Byte number I of ITEM. */
static unsigned char byte_of(uint16_t item, size_t i)
{
	return (unsigned char)(i == 0 ? item : i == 1 ? item >> 8
			: item * 7u + i);
}

static size_t size_in(const struct way *way)
{
	return way->channel == HISTORY_CHANNELS ? 0
			: run.program->item_sizes[way->channel];
}

/* What a way puts, and where it doesn't put anything. */
static void check_goods(const unsigned char *bytes, const struct way *way)
{
	size_t size = way->is_put ? size_in(way) : 0;

	for (size_t i = 0; i < ITEM_MAX; i++)
		FUZZ_EQUAL(bytes[i], i < size ? byte_of(way->item, i)
				: UNTOUCHED);
}

/* The item that was got, 0 if it has no content.  All of it has to be there,
 * and nothing beyond it. */
static uint16_t unpack(const unsigned char *bytes, const struct way *way)
{
	struct way got = *way;

	if (size_in(way) > 0)
		got.item = (uint16_t)(bytes[0] | bytes[1] << 8);
	got.is_put = true;
	check_goods(bytes, &got);

	return got.item;
}

static void pack(struct goods *goods, const struct call *call)
{
	memset(goods, UNTOUCHED, sizeof *goods);
	for (unsigned i = 0; i < call->ways_count; i++)
		for (size_t k = 0; call->ways[i].is_put
				&& k < size_in(&call->ways[i]); k++)
			goods->items[i][k] = byte_of(call->ways[i].item, k);
}

/* --- The calls ----------------------------------------------------------- */

/* Select one of the ways, or try to.  Its number, with the result in *RET_RC,
 * or a negative errno value. */
static int do_cases(const struct call *call, struct goods *goods, int *ret_rc)
{
	struct co_select_case cases[HISTORY_WAYS];
	int rc;

	for (unsigned i = 0; i < call->ways_count; i++) {
		const struct way *way = &call->ways[i];

		cases[i].channel = way->channel == HISTORY_CHANNELS ? NULL
				: run.channels[way->channel];
		cases[i].op = way->is_put ? CO_SELECT_PUT : CO_SELECT_GET;
		cases[i].result = NO_RESULT;
		cases[i].item = goods->items[i];
	}
	rc = call->kind == CALL_MOVE ? co_select(cases, call->ways_count)
			: co_try_select(cases, call->ways_count);
	FUZZ_CHECK(rc < (int)call->ways_count);
	for (int i = 0; i < (int)call->ways_count; i++)
		FUZZ_CHECK(cases[i].result == NO_RESULT || i == rc);
	if (rc >= 0)
		*ret_rc = cases[rc].result;

	return rc;
}

/* The same for a single put or get. */
static int do_plain(const struct call *call, struct goods *goods, int *ret_rc)
{
	struct co_channel *channel = run.channels[call->ways[0].channel];
	bool waits = call->kind == CALL_MOVE;
	void *item = goods->items[0];
	int rc;

	if (call->ways[0].is_put)
		rc = waits ? co_channel_put(channel, item)
				: co_channel_try_put(channel, item);
	else
		rc = waits ? co_channel_get(channel, item)
				: co_channel_try_get(channel, item);
	*ret_rc = rc;

	return rc == -EPIPE ? 0 : rc;
}

typedef int move_fn(const struct call *call, struct goods *goods, int *ret_rc);

/* Do one of the N WAYS by MOVE. */
static void move(struct actor *actor, enum call_kind kind,
		const struct way *ways, unsigned n, move_fn *fn)
{
	struct call *call = new_call(actor, kind, 0);
	struct goods goods;
	int rc;

	if (call == NULL)
		return;
	call->ways_count = n;
	for (unsigned i = 0; i < n; i++) {
		call->ways[i] = ways[i];
		call->ways[i].item = !ways[i].is_put ? 0
				: (uint16_t)(history_number(call)
				* HISTORY_WAYS + i + 1);
	}
	pack(&goods, call);
	begin_call(actor, call);
	rc = fn(call, &goods, &call->way_rc);
	for (int i = 0; i < (int)n; i++) {
		if (i == rc && call->way_rc == 0 && !call->ways[i].is_put)
			call->got = unpack(goods.items[i], &call->ways[i]);
		else
			check_goods(goods.items[i], &call->ways[i]);
	}
	end_call(actor, call, rc);
}

/* --- The steps ----------------------------------------------------------- */

static void move_one(struct actor *actor, const struct step *step,
		enum call_kind kind, bool is_put)
{
	struct way way = { step->a % HISTORY_CHANNELS, is_put, 0 };

	move(actor, kind, &way, 1, do_plain);
}

void do_put(struct actor *actor, const struct step *step)
{
	move_one(actor, step, CALL_MOVE, true);
}

void do_get(struct actor *actor, const struct step *step)
{
	move_one(actor, step, CALL_MOVE, false);
}

void do_try_put(struct actor *actor, const struct step *step)
{
	move_one(actor, step, CALL_TRY_MOVE, true);
}

void do_try_get(struct actor *actor, const struct step *step)
{
	move_one(actor, step, CALL_TRY_MOVE, false);
}

static void move_some(struct actor *actor, const struct step *step,
		enum call_kind kind)
{
	struct way ways[HISTORY_WAYS];
	unsigned bits = step->a | (unsigned)step->b << 8;

	for (unsigned i = 0; i < HISTORY_WAYS; i++, bits /= 8) {
		ways[i].channel = bits % (HISTORY_CHANNELS + 1);
		ways[i].is_put = bits / (HISTORY_CHANNELS + 1) % 2;
	}
	move(actor, kind, ways, bits % (HISTORY_WAYS + 1), do_cases);
}

void do_select(struct actor *actor, const struct step *step)
{
	move_some(actor, step, CALL_MOVE);
}

void do_try_select(struct actor *actor, const struct step *step)
{
	move_some(actor, step, CALL_TRY_MOVE);
}

void do_close(struct actor *actor, const struct step *step)
{
	unsigned channel = step->a % HISTORY_CHANNELS;
	struct call *call = new_call(actor, CALL_CLOSE, channel);

	if (call == NULL)
		return;
	begin_call(actor, call);
	end_call(actor, call, co_channel_close(run.channels[channel]));
}

/* Among several threads it may be out of date. */
void do_length(struct actor *actor, const struct step *step)
{
	unsigned channel = step->a % HISTORY_CHANNELS;
	size_t length;
	struct call *call = !is_in_turn() ? NULL
			: new_call(actor, CALL_LENGTH, channel);

	if (call != NULL)
		begin_call(actor, call);
	length = co_channel_length(run.channels[channel]);
	FUZZ_CHECK(length <= run.program->capacities[channel]);
	if (call != NULL)
		end_call(actor, call, (int)length);
}
