/* SPDX-License-Identifier: MIT */

#include "test.h"

/* --- Helpers ---------------------------------------------------------- */

#define UNSET 1000

static struct co_select_case put_case(struct co_channel *channel, size_t *item)
{
	struct co_select_case made = CO_SELECT_CASE_PUT(channel, item);

	/* The library needs nothing here, and leaves what didn't happen. */
	made.result = UNSET;
	memset(made.private_, 0xa5, sizeof made.private_);
	return made;
}

static struct co_select_case get_case(struct co_channel *channel,
		size_t *ret_item)
{
	struct co_select_case made = CO_SELECT_CASE_GET(channel, ret_item);

	made.result = UNSET;
	memset(made.private_, 0xa5, sizeof made.private_);
	return made;
}

/* A task that selects once. */
struct selector {
	struct co_select_case cases[4];
	size_t items[4];
	size_t n;
	int index;
};

static int select_once(void *arg)
{
	struct selector *self = arg;

	self->index = co_select(self->cases, self->n);
	return 0;
}

/* Nobody waits in CHANNEL, of capacity 0, and it can be freed. */
static void expect_no_trace(struct co_channel *channel)
{
	size_t number = 0;

	CO_EXPECT_EQ(co_channel_try_put(channel, &number), -EAGAIN);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), -EAGAIN);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
}

/* --- What is refused -------------------------------------------------- */

Test(select, outside_of_a_task_only_try_select_is_permitted)
{
	struct co_loop *loop = loop_or_die(1);
	struct co_channel *channel;
	struct co_select_case one;
	size_t item = 6, got = 0;

	cr_assert_eq(co_channel_create(loop, sizeof item, 1, &channel), 0);
	one = put_case(channel, &item);
	cr_assert_eq(co_select(&one, 1), -EPERM);
	cr_assert_eq(co_channel_length(channel), 0);
	cr_assert_eq(co_try_select(&one, 1), 0);
	cr_assert_eq(one.result, 0);
	cr_assert_eq(co_try_select(&one, 1), -EAGAIN);
	one = get_case(channel, &got);
	cr_assert_eq(co_try_select(&one, 1), 0);
	cr_assert_eq(got, 6);
	cr_assert_eq(co_try_select(&one, 1), -EAGAIN);
	cr_assert_eq(co_try_select(NULL, 0), -EAGAIN);
	cr_assert_eq(co_channel_destroy(channel), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

CO_TEST_ON_ONE_THREAD(select, a_case_that_makes_no_sense_is_refused)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 4);
	size_t item = 0;
	struct co_select_case cases[2];

	cases[0] = put_case(channel, &item);
	cases[1] = put_case(channel, &item);
	cases[1].op = 0;
	CO_EXPECT_EQ(co_select(cases, 2), -EINVAL);
	CO_EXPECT_EQ(co_try_select(cases, 2), -EINVAL);
	cases[1].op = CO_SELECT_PUT | CO_SELECT_GET;
	CO_EXPECT_EQ(co_select(cases, 2), -EINVAL);
	cases[1] = put_case(channel, NULL);
	CO_EXPECT_EQ(co_select(cases, 2), -EINVAL);
	CO_EXPECT_EQ(co_try_select(cases, 2), -EINVAL);
	CO_EXPECT_EQ(co_select(cases, CO_SELECT_MAX + 1), -EINVAL);
	CO_EXPECT_EQ(co_try_select(cases, SIZE_MAX), -EINVAL);
	CO_EXPECT_EQ(co_select(NULL, 1), -EINVAL);
	CO_EXPECT_EQ(co_channel_length(channel), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

CO_TEST_ON_ONE_THREAD(select, a_signal_needs_no_memory)
{
	struct co_channel *channel = channel_or_die(0, 1);
	struct co_select_case put = put_case(channel, NULL);
	struct co_select_case get = get_case(channel, NULL);

	CO_EXPECT_EQ(co_select(&put, 1), 0);
	CO_EXPECT_EQ(co_channel_length(channel), 1);
	CO_EXPECT_EQ(co_select(&get, 1), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- One case happens ------------------------------------------------- */

CO_TEST(select, the_case_that_can_happen_happens)
{
	struct co_channel *empty = channel_or_die(sizeof(size_t), 2);
	struct co_channel *full = channel_or_die(sizeof(size_t), 2);
	size_t items[3] = { 7, 8, 9 };
	struct co_select_case cases[3];

	fill(full);
	cases[0] = get_case(empty, &items[0]);
	cases[1] = put_case(full, &items[1]);
	cases[2] = get_case(full, &items[2]);
	CO_EXPECT_EQ(co_select(cases, 3), 2);
	CO_EXPECT_EQ(items[2], 0);
	CO_EXPECT_EQ(cases[2].result, 0);
	CO_EXPECT_EQ(cases[0].result, UNSET);
	CO_EXPECT_EQ(cases[1].result, UNSET);
	CO_EXPECT_EQ(items[0], 7);
	CO_EXPECT_EQ(co_channel_length(full), 1);
	CO_EXPECT_EQ(co_channel_length(empty), 0);

	/* Without the third case, there is room for the second now. */
	CO_EXPECT_EQ(co_select(cases, 2), 1);
	CO_EXPECT_EQ(co_try_select(cases, 2), -EAGAIN);
	CO_EXPECT_EQ(get_now(full), 1);
	CO_EXPECT_EQ(get_now(full), 8);
	CO_EXPECT_EQ(co_channel_destroy(empty), 0);
	CO_EXPECT_EQ(co_channel_destroy(full), 0);
	return 0;
}

/* Wait for three channels of capacity 0; the others must forget the waiter. */
static void wait_for_one_of_three(size_t chosen, bool put)
{
	struct co_channel *channels[3];
	struct selector selector = { .n = 3, .items = { 10, 11, 12 } };
	struct co_task *task;
	size_t i;

	for (i = 0; i < 3; i++) {
		channels[i] = channel_or_die(sizeof(size_t), 0);
		selector.cases[i] = put
				? put_case(channels[i], &selector.items[i])
				: get_case(channels[i], &selector.items[i]);
	}
	task = spawn_or_die(NULL, select_once, &selector);
	settle();
	for (i = 0; i < 3; i++)
		CO_EXPECT_EQ(co_channel_destroy(channels[i]), -EBUSY);
	if (put)
		CO_EXPECT_EQ(get_now(channels[chosen]), 10 + chosen);
	else
		put_now(channels[chosen], 55);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(selector.index, chosen);
	for (i = 0; i < 3; i++) {
		CO_EXPECT_EQ(selector.items[i],
				!put && i == chosen ? 55 : 10 + i);
		CO_EXPECT_EQ(selector.cases[i].result,
				i == chosen ? 0 : UNSET);
		expect_no_trace(channels[i]);
	}
}

CO_TEST(select, the_cases_that_do_not_happen_leave_no_trace)
{
	size_t chosen;

	for (chosen = 0; chosen < 3; chosen++) {
		wait_for_one_of_three(chosen, false);
		wait_for_one_of_three(chosen, true);
	}
	return 0;
}

CO_TEST(select, a_null_channel_never_happens)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 1);
	size_t item = 3;
	struct co_select_case cases[] = {
		get_case(NULL, &item), put_case(channel, &item),
		put_case(NULL, NULL),
	};

	CO_EXPECT_EQ(co_select(cases, 3), 1);
	CO_EXPECT_EQ(co_try_select(cases, 3), -EAGAIN);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_select(cases, 1), -ETIMEDOUT);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

CO_TEST(select, with_no_case_it_waits_for_a_deadline_or_a_cancel)
{
	struct selector selector = { .n = 0 };
	co_time when = co_after(3 * CO_MILLISECOND);
	struct co_task *task;

	CO_WITH_DEADLINE(when)
		CO_EXPECT_EQ(co_select(NULL, 0), -ETIMEDOUT);
	CO_EXPECT(co_now() >= when);
	task = spawn_or_die(NULL, select_once, &selector);
	settle();
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(selector.index, -ECANCELED);
	return 0;
}

CO_TEST(select, a_closed_channel_is_something_that_happens)
{
	struct co_channel *quiet = channel_or_die(sizeof(size_t), 0);
	struct co_channel *closing = channel_or_die(sizeof(size_t), 0);
	struct selector selector = { .n = 2 };
	struct co_task *task;
	size_t i;

	for (i = 0; i < 2; i++) {
		/* Getters first, then putters; then it is closed already. */
		selector.cases[0] = get_case(quiet, &selector.items[0]);
		selector.cases[1] = get_case(closing, &selector.items[1]);
		task = spawn_or_die(NULL, select_once, &selector);
		settle();
		CO_EXPECT_EQ(co_channel_close(closing), 0);
		CO_EXPECT_EQ(join_or_die(task), 0);
		CO_EXPECT_EQ(selector.index, 1);
		CO_EXPECT_EQ(selector.cases[1].result, -EPIPE);
		CO_EXPECT_EQ(selector.cases[0].result, UNSET);
		selector.cases[1] = put_case(closing, &selector.items[1]);
		CO_EXPECT_EQ(co_select(selector.cases, 2), 1);
		CO_EXPECT_EQ(selector.cases[1].result, -EPIPE);
		CO_EXPECT_EQ(co_try_select(selector.cases, 2), 1);
	}
	expect_no_trace(quiet);
	CO_EXPECT_EQ(co_channel_destroy(closing), 0);
	return 0;
}

/* --- The same channel twice ------------------------------------------- */

CO_TEST(select, the_same_channel_may_stand_in_several_cases)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct selector selector = { .n = 4 };
	struct co_task *task;
	size_t i, touched = 0;

	for (i = 0; i < 4; i++)
		selector.cases[i] = get_case(channel, &selector.items[i]);
	task = spawn_or_die(NULL, select_once, &selector);
	settle();
	put_now(channel, 21);
	CO_EXPECT_EQ(join_or_die(task), 0);
	for (i = 0; i < 4; i++)
		touched += selector.items[i] != 0;
	CO_EXPECT_EQ(touched, 1);
	CO_EXPECT(selector.index >= 0 && selector.index < 4);
	CO_EXPECT_EQ(selector.items[selector.index & 3], 21);
	expect_no_trace(channel);
	return 0;
}

CO_TEST(select, its_own_put_and_get_never_meet)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	size_t given = 5, taken = 9;
	struct co_select_case cases[] = {
		put_case(channel, &given), get_case(channel, &taken),
		put_case(channel, &given), get_case(channel, &taken),
	};

	CO_EXPECT_EQ(co_try_select(cases, 4), -EAGAIN);
	CO_WITH_DEADLINE(co_after(2 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_select(cases, 4), -ETIMEDOUT);
	CO_EXPECT_EQ(taken, 9);
	expect_no_trace(channel);
	return 0;
}

static struct selector both_ways(struct co_channel *channel, size_t number)
{
	struct selector made = { .n = 2, .items = { number, 0 } };

	made.cases[0] = put_case(channel, NULL);
	made.cases[1] = get_case(channel, NULL);
	return made;
}

CO_TEST(select, two_selects_that_offer_both_ways_meet)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	size_t round, i;

	for (round = 0; round < CO_TEST_SCALE(500); round++) {
		struct selector both[2];
		struct co_task *tasks[2];

		for (i = 0; i < 2; i++) {
			both[i] = both_ways(channel, 10 + i);
			both[i].cases[0].item = &both[i].items[0];
			both[i].cases[1].item = &both[i].items[1];
			tasks[i] = spawn_or_die(NULL, select_once, &both[i]);
		}
		for (i = 0; i < 2; i++)
			CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
		CO_EXPECT_EQ(both[0].index + both[1].index, 1);
		i = both[0].index == 1 ? 0 : 1;
		CO_EXPECT_EQ(both[i].items[1], 10 + (1 - i));
		CO_EXPECT_EQ(both[1 - i].items[1], 0);
	}
	expect_no_trace(channel);
	return 0;
}

/* --- Order and chance ------------------------------------------------- */

CO_TEST(select, a_select_stands_in_line_like_others)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct mover before = { .channel = channel };
	struct mover behind = { .channel = channel };
	struct selector selector = { .n = 1 };
	struct co_task *tasks[3];
	size_t i;

	selector.cases[0] = get_case(channel, &selector.items[0]);
	tasks[0] = spawn_or_die(NULL, get_number, &before);
	settle();
	tasks[1] = spawn_or_die(NULL, select_once, &selector);
	settle();
	tasks[2] = spawn_or_die(NULL, get_number, &behind);
	settle();
	for (i = 0; i < 3; i++)
		put_now(channel, 30 + i);
	for (i = 0; i < 3; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(before.number, 30);
	CO_EXPECT_EQ(selector.items[0], 31);
	CO_EXPECT_EQ(behind.number, 32);
	expect_no_trace(channel);
	return 0;
}

/* Chi-square with 3 degrees of freedom: 40 is exceeded once in 10^8 runs. */
static void expect_even(const size_t *counts, size_t rounds)
{
	double even = (double)rounds / 4, square = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		double off = (double)counts[i] - even;

		square += off * off / even;
	}
	if (!CO_EXPECT(square < 40))
		fprintf(stderr, "chosen: %zu %zu %zu %zu\n", counts[0],
				counts[1], counts[2], counts[3]);
}

static void choose_among_four(int (*choose)(struct co_select_case *, size_t))
{
	struct co_channel *channels[4];
	size_t counts[4] = { 0 }, round, i, item = 1;

	for (i = 0; i < 4; i++)
		channels[i] = channel_or_die(sizeof(size_t), 2);
	for (round = 0; round < 10000; round++) {
		struct co_select_case cases[4];
		int index;

		/* All four can happen: each channel holds one of two. */
		for (i = 0; i < 4; i++) {
			while (co_channel_length(channels[i]) < 1)
				put_now(channels[i], i);
			while (co_channel_length(channels[i]) > 1)
				get_now(channels[i]);
			cases[i] = i % 2 ? put_case(channels[i], &item)
					: get_case(channels[i], &item);
		}
		index = choose(cases, 4);
		if (!CO_EXPECT(index >= 0 && index < 4))
			break;
		counts[index]++;
	}
	expect_even(counts, 10000);
	for (i = 0; i < 4; i++)
		CO_EXPECT_EQ(co_channel_destroy(channels[i]), 0);
}

CO_TEST(select, each_case_that_can_happen_has_the_same_chance)
{
	choose_among_four(co_select);
	choose_among_four(co_try_select);
	return 0;
}

CO_TEST(select, very_many_cases_are_no_trouble)
{
	struct co_select_case *cases = calloc(CO_SELECT_MAX, sizeof *cases);
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct co_channel *other = channel_or_die(sizeof(size_t), 0);
	struct mover mover = { .channel = other, .number = 17 };
	struct co_task *putter;
	size_t i, n = CO_TEST_SCALE(CO_SELECT_MAX), item = 0;
	int index;

	for (i = 0; i < n; i++)
		cases[i] = get_case(i + 1 < n ? channel : other, &item);
	CO_EXPECT_EQ(co_try_select(cases, n), -EAGAIN);
	CO_WITH_DEADLINE(co_after(20 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_select(cases, n), -ETIMEDOUT);
	putter = spawn_or_die(NULL, put_number, &mover);
	index = co_select(cases, n);
	CO_EXPECT_EQ(index, n - 1);
	CO_EXPECT_EQ(item, 17);
	CO_EXPECT_EQ(join_or_die(putter), 0);
	expect_no_trace(channel);
	expect_no_trace(other);
	free(cases);
	return 0;
}

/* --- Deadlines and cancellation --------------------------------------- */

CO_TEST(select, the_late_and_the_cancelled_get_nothing)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 1);
	struct selector selector = { .n = 1 };
	struct co_task *task;

	selector.cases[0] = put_case(channel, &selector.items[0]);
	CO_WITH_DEADLINE(TEST_LONG_AGO)
		CO_EXPECT_EQ(co_select(selector.cases, 1), -ETIMEDOUT);
	task = spawn_or_die(NULL, select_once, &selector);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	/* On several threads the select may have been first. */
	CO_EXPECT_EQ(co_channel_length(channel),
			selector.index == -ECANCELED ? 0 : 1);
	CO_EXPECT(selector.index == -ECANCELED || selector.index == 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}
