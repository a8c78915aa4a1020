/* SPDX-License-Identifier: MIT */

/* channels.c - channels and selects: each item arrives once, or stays with who
 * has it, and a select does one thing */

#include "explore.h"

#include <errno.h>

#include <coloop/channel.h>
#include <coloop/select.h>
#include <coloop/task.h>

#include "atomic.h"

#define EACH 2

static struct co_channel *channel, *others[2];
static size_t capacity;
static AO_t sent, received;	/* atomic: sums of what was put and got */

static void begin(size_t room)
{
	capacity = room;
	AO_store(&sent, 0);
	AO_store(&received, 0);
}

static void note(AO_t *sum, size_t item)
{
	AO_fetch_and_add(sum, item);
}

static void open_channel(size_t room, struct co_channel **ret_channel)
{
	explore_expect(co_channel_create(NULL, sizeof(size_t), room,
			ret_channel), 0);
}

/* What is left in it counts as received. */
static void close_books(struct co_channel *one)
{
	size_t item;

	while (co_channel_try_get(one, &item) == 0)
		note(&received, item);
	explore_expect(co_channel_destroy(one), 0);
}

/* --- Put and get ---------------------------------------------------------- */

/* The numbers FIRST, FIRST + 1...; the books don't know who. */
static int put_some(void *arg)
{
	size_t first = (size_t)arg;

	for (size_t i = 0; i < EACH; i++) {
		size_t item = first + i;
		int rc = co_channel_put(channel, &item);

		if (rc < 0)
			return rc;
		note(&sent, item);
	}

	return 0;
}

static int get_some(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < EACH; i++) {
		size_t item = 0;
		int rc = co_channel_get(channel, &item);

		if (rc < 0) {
			explore_expect(item, 0);
			return rc;
		}
		explore_check(item != 0);
		note(&received, item);
	}

	return 0;
}

static void join_all(struct co_task **tasks, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		explore_expect(co_join(tasks[i], NULL), 0);
}

static int put_and_get(void *arg)
{
	struct co_task *tasks[4];

	(void)arg;
	open_channel(capacity, &channel);
	for (size_t i = 0; i < 2; i++) {
		explore_expect(co_spawn(NULL, get_some, NULL, &tasks[i]), 0);
		explore_expect(co_spawn(NULL, put_some,
				(void *)(1 + 10 * i), &tasks[2 + i]), 0);
	}
	join_all(tasks, 4);
	explore_expect(co_channel_destroy(channel), 0);

	return 0;
}

static void run_put_and_get(size_t room)
{
	begin(room);
	explore_expect(explore_loop_run(2, put_and_get, NULL), 0);
	explore_expect(AO_load(&sent), 1 + 2 + 11 + 12);
	explore_expect(AO_load(&received), AO_load(&sent));
}

static void run_rendezvous(void)
{
	run_put_and_get(0);
}

static void run_buffered(void)
{
	run_put_and_get(1);
}

/* Who waits for room goes on as soon as one item was got. */
static int get_one_of_two(void *arg)
{
	struct co_task *putter;
	size_t item = 0;

	(void)arg;
	open_channel(1, &channel);
	explore_expect(co_spawn(NULL, put_some, (void *)1, &putter), 0);
	explore_expect(co_channel_get(channel, &item), 0);
	explore_expect(item, 1);
	explore_expect(co_join(putter, NULL), 0);
	explore_expect(co_channel_try_get(channel, &item), 0);
	explore_expect(item, 2);
	explore_expect(co_channel_destroy(channel), 0);

	return 0;
}

static void run_room(void)
{
	begin(1);
	explore_expect(explore_loop_run(2, get_one_of_two, NULL), 0);
}

/* --- Ends of waits -------------------------------------------------------- */

static int put_in_time(void *arg)
{
	struct co_deadline scope;
	int rc;

	co_deadline_begin(&scope, co_after(150 * CO_MICROSECOND));
	rc = put_some(arg);
	co_deadline_end(&scope);

	return rc;
}

/* One putter is late, one getter is cancelled, and the channel is closed. */
static int put_and_end(void *arg)
{
	struct co_task *tasks[3];

	(void)arg;
	open_channel(capacity, &channel);
	explore_expect(co_spawn(NULL, put_in_time, (void *)1, &tasks[0]), 0);
	explore_expect(co_spawn(NULL, get_some, NULL, &tasks[1]), 0);
	explore_expect(co_spawn(NULL, get_some, NULL, &tasks[2]), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_cancel(tasks[1]), 0);
	explore_expect(co_join(tasks[0], NULL), 0);
	explore_expect(co_channel_close(channel), 0);
	join_all(tasks + 1, 2);
	close_books(channel);

	return 0;
}

static void run_ends(void)
{
	begin(0);
	explore_expect(explore_loop_run(2, put_and_end, NULL), 0);
	explore_expect(AO_load(&received), AO_load(&sent));
}

static int put_and_close(void *arg)
{
	struct co_task *tasks[3];

	(void)arg;
	open_channel(capacity, &channel);
	explore_expect(co_spawn(NULL, put_some, (void *)1, &tasks[0]), 0);
	explore_expect(co_spawn(NULL, put_some, (void *)11, &tasks[1]), 0);
	explore_expect(co_spawn(NULL, get_some, NULL, &tasks[2]), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_channel_close(channel), 0);
	join_all(tasks, 3);
	close_books(channel);

	return 0;
}

static void run_close(void)
{
	begin(1);
	explore_expect(explore_loop_run(2, put_and_close, NULL), 0);
	explore_expect(AO_load(&received), AO_load(&sent));
}

/* --- From outside --------------------------------------------------------- */

static struct co_loop *loop;

static void *put_from_outside(void *arg)
{
	size_t item = 1;

	(void)arg;
	explore_expect(co_channel_try_put(channel, &item), 0);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

static int get_one(void *arg)
{
	size_t item = 0;

	(void)arg;
	explore_expect(co_channel_get(channel, &item), 0);
	explore_expect(item, 1);

	return 0;
}

static void run_outside(void)
{
	int other;

	loop = explore_loop(2);
	explore_expect(co_channel_create(loop, sizeof(size_t), 1, &channel),
			0);
	explore_expect(co_spawn(loop, get_one, NULL, NULL), 0);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(put_from_outside, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_channel_destroy(channel), 0);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Select --------------------------------------------------------------- */

/* Put to one, or get from the other: the books of what happened. */
static int put_or_get(struct co_channel *to, struct co_channel *from,
		size_t item)
{
	size_t got = 0;
	struct co_select_case cases[] = {
		CO_SELECT_CASE_PUT(to, &item),
		CO_SELECT_CASE_GET(from, &got),
	};
	int rc = co_select(cases, 2);

	if (rc == 0 && cases[0].result == 0)
		note(&sent, item);
	if (rc == 1 && cases[1].result == 0)
		note(&received, got);
	else
		explore_expect(got, 0);

	return rc;
}

static int face_one(void *arg)
{
	(void)arg;

	return put_or_get(others[0], others[1], 1);
}

static int face_other(void *arg)
{
	(void)arg;

	return put_or_get(others[1], others[0], 10);
}

/* Each could put to the other or get from it: they do the same one thing. */
static int face_each_other(void *arg)
{
	struct co_task *tasks[2];
	int rc[2];

	(void)arg;
	open_channel(0, &others[0]);
	open_channel(0, &others[1]);
	explore_expect(co_spawn(NULL, face_one, NULL, &tasks[0]), 0);
	explore_expect(co_spawn(NULL, face_other, NULL, &tasks[1]), 0);
	for (int i = 0; i < 2; i++)
		explore_expect(co_join(tasks[i], &rc[i]), 0);
	explore_expect(rc[0] + rc[1], 1);
	for (int i = 0; i < 2; i++)
		explore_expect(co_channel_destroy(others[i]), 0);

	return 0;
}

static void run_select(void)
{
	begin(0);
	explore_expect(explore_loop_run(2, face_each_other, NULL), 0);
	explore_check(AO_load(&sent) == 1 || AO_load(&sent) == 10);
	explore_expect(AO_load(&received), AO_load(&sent));
}

static int put_one(void *arg)
{
	struct co_channel **to = arg;
	size_t item = (size_t)(1 + (to - others));
	int rc = co_channel_put(*to, &item);

	if (rc == 0)
		note(&sent, item);

	return rc;
}

/* It may be late or cancelled; then it has got nothing. */
static int get_from_either(void *arg)
{
	size_t items[2] = { 0, 0 };
	struct co_select_case cases[] = {
		CO_SELECT_CASE_GET(others[0], &items[0]),
		CO_SELECT_CASE_GET(others[1], &items[1]),
	};
	struct co_deadline scope;
	int rc;

	(void)arg;
	co_deadline_begin(&scope, co_after(150 * CO_MICROSECOND));
	rc = co_select(cases, 2);
	co_deadline_end(&scope);
	for (int i = 0; i < 2; i++)
		if (rc != i || cases[i].result != 0)
			explore_expect(items[i], 0);
	note(&received, items[0] + items[1]);

	return rc;
}

static int select_and_end(void *arg)
{
	struct co_task *tasks[4];

	(void)arg;
	for (int i = 0; i < 2; i++)
		open_channel(0, &others[i]);
	for (int i = 0; i < 2; i++)
		explore_expect(co_spawn(NULL, get_from_either, NULL,
				&tasks[i]), 0);
	for (int i = 0; i < 2; i++)
		explore_expect(co_spawn(NULL, put_one, &others[i],
				&tasks[2 + i]), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_cancel(tasks[0]), 0);
	join_all(tasks, 2);
	for (int i = 0; i < 2; i++)
		explore_expect(co_channel_close(others[i]), 0);
	join_all(tasks + 2, 2);
	for (int i = 0; i < 2; i++)
		close_books(others[i]);

	return 0;
}

static void run_select_ends(void)
{
	begin(0);
	explore_expect(explore_loop_run(2, select_and_end, NULL), 0);
	explore_expect(AO_load(&received), AO_load(&sent));
}

const struct explore_scenario explore_channels[] = {
	{ "channel: two put, two get, without room", run_rendezvous, 400,
		false },
	{ "channel: two put, two get, room for one", run_buffered, 400, false },
	{ "channel: who waits for room goes on", run_room, 300, false },
	{ "channel: late and cancelled", run_ends, 500, false },
	{ "channel: closed", run_close, 400, false },
	{ "channel: put from outside", run_outside, 400, false },
	{ "select: two that face each other", run_select, 500, false },
	{ "select: late, cancelled and closed", run_select_ends, 500, false },
	{ NULL, NULL, 0, false },
};
