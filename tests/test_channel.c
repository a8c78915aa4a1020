/* SPDX-License-Identifier: MIT */

#include "test.h"

/* Not only powers of two. */
static const size_t capacities[] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1000,
};
static const size_t item_sizes[] = { 0, 1, 3, 8, 64, 4096, 65536 };

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* --- Helpers ---------------------------------------------------------- */

/* Spawn COUNT movers, each of which waits before the next begins. */
static void spawn_in_order(struct mover *movers, struct co_task **ret_tasks,
		size_t count, struct co_channel *channel, co_task_fn *fn)
{
	size_t i;

	for (i = 0; i < count; i++) {
		movers[i] = (struct mover){ .channel = channel, .number = i };
		ret_tasks[i] = spawn_or_die(NULL, fn, &movers[i]);
		settle();
		CO_EXPECT_EQ(counter_get(&movers[i].done), 0);
	}
}

static void join_each(struct co_task **tasks, size_t count, int result)
{
	size_t i;

	for (i = 0; i < count; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), result);
}

/* --- Making and freeing ----------------------------------------------- */

Test(channel, a_channel_needs_a_loop)
{
	struct co_channel *channel = (struct co_channel *)&channel;

	cr_assert_eq(co_channel_create(NULL, 8, 8, &channel), -EINVAL);
	cr_assert_eq(channel, (struct co_channel *)&channel, "written");
}

CO_TEST_ON_ONE_THREAD(channel, a_size_or_capacity_beyond_memory_is_an_error)
{
	struct co_channel *untouched = (struct co_channel *)&untouched;
	struct co_channel *channel = untouched;

	CO_EXPECT_EQ(co_channel_create(NULL, CO_CHANNEL_ITEM_MAX + 1, 0,
			&channel), -EINVAL);
	CO_EXPECT_EQ(co_channel_create(NULL, SIZE_MAX, 1, &channel), -EINVAL);
	CO_EXPECT_EQ(co_channel_create(NULL, 8, SIZE_MAX / 8, &channel),
			-ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, 8, SIZE_MAX / 8 + 1, &channel),
			-ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, 8, SIZE_MAX, &channel), -ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, CO_CHANNEL_ITEM_MAX, SIZE_MAX,
			&channel), -ENOMEM);
	CO_EXPECT(channel == untouched);
	return 0;
}

CO_TEST_ON_ONE_THREAD(channel, length_and_capacity_are_those_of_now)
{
	size_t i;

	for (i = 0; i < COUNT_OF(capacities); i++) {
		struct co_channel *channel;

		channel = channel_or_die(sizeof(size_t), capacities[i]);
		CO_EXPECT_EQ(co_channel_capacity(channel), capacities[i]);
		CO_EXPECT_EQ(co_channel_length(channel), 0);
		fill(channel);
		CO_EXPECT_EQ(co_channel_length(channel), capacities[i]);
		/* The items in it are lost, and their memory isn't. */
		CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	}
	return 0;
}

/* They begin at a line, so none is in that of another. */
CO_TEST_ON_ONE_THREAD(channel, two_channels_share_no_cache_line)
{
	struct co_channel *channels[COUNT_OF(item_sizes)];
	size_t i;

	for (i = 0; i < COUNT_OF(item_sizes); i++) {
		channels[i] = channel_or_die(item_sizes[i], i);
		CO_EXPECT_EQ((uintptr_t)channels[i] % 64, 0);
	}
	for (i = 0; i < COUNT_OF(item_sizes); i++)
		CO_EXPECT_EQ(co_channel_destroy(channels[i]), 0);
	return 0;
}

Test(channel, null_is_allowed_or_refused)
{
	int item = 0;

	cr_assert_eq(co_channel_destroy(NULL), 0);
	cr_assert_eq(co_channel_length(NULL), 0);
	cr_assert_eq(co_channel_capacity(NULL), 0);
	cr_assert_eq(co_channel_close(NULL), -EINVAL);
	cr_assert_eq(co_channel_try_put(NULL, &item), -EINVAL);
	cr_assert_eq(co_channel_try_get(NULL, &item), -EINVAL);
}

CO_TEST_ON_ONE_THREAD(channel, an_item_with_bytes_must_not_be_null)
{
	struct co_channel *channel = channel_or_die(1, 1);
	char item = 0;

	CO_EXPECT_EQ(co_channel_put(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_get(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_put(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_get(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_put(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_get(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_length(channel), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

Test(channel, outside_of_a_task_only_calls_that_wait_are_not_permitted)
{
	struct co_loop *loop = loop_or_die(1);
	struct co_channel *channel;
	int item = 5;

	cr_assert_eq(co_channel_create(loop, sizeof item, 1, &channel), 0);
	cr_assert_eq(co_channel_put(channel, &item), -EPERM);
	cr_assert_eq(co_channel_length(channel), 0);
	cr_assert_eq(co_channel_try_put(channel, &item), 0);
	cr_assert_eq(co_channel_try_put(channel, &item), -EAGAIN);
	cr_assert_eq(co_channel_get(channel, &item), -EPERM);
	cr_assert_eq(co_channel_length(channel), 1);
	cr_assert_eq(co_channel_try_get(channel, &item), 0);
	cr_assert_eq(item, 5);
	cr_assert_eq(co_channel_try_get(channel, &item), -EAGAIN);
	cr_assert_eq(co_channel_destroy(channel), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

CO_TEST(channel, a_channel_in_which_a_task_waits_is_busy)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct mover mover = { .channel = channel, .number = 9 };
	struct co_task *task = spawn_or_die(NULL, get_number, &mover);

	settle();
	CO_EXPECT_EQ(co_channel_destroy(channel), -EBUSY);
	put_now(channel, 4);
	CO_EXPECT_EQ(join_or_die(task), 0);

	task = spawn_or_die(NULL, put_number, &mover);
	settle();
	CO_EXPECT_EQ(co_channel_destroy(channel), -EBUSY);
	CO_EXPECT_EQ(get_now(channel), 4);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- Items ------------------------------------------------------------ */

struct stream {
	struct co_channel *channel;
	size_t size;
	size_t count;
};

static unsigned char pattern(size_t number, size_t at)
{
	return (unsigned char)(number * 31 + at * 7 + 1);
}

static int put_stream(void *arg)
{
	struct stream *stream = arg;
	unsigned char *item = malloc(stream->size + 1);
	size_t i, at;

	for (i = 0; i < stream->count; i++) {
		for (at = 0; at < stream->size; at++)
			item[at] = pattern(i, at);
		CO_EXPECT_EQ(co_channel_put(stream->channel,
				stream->size > 0 ? item : NULL), 0);
		/* The channel has a copy: this must not be seen. */
		memset(item, 0, stream->size);
	}
	free(item);
	return 0;
}

static void expect_stream(struct stream *stream)
{
	unsigned char *item = malloc(stream->size + 1);
	size_t i, at, wrong = 0;

	for (i = 0; i < stream->count; i++) {
		item[stream->size] = 0x5a;
		CO_EXPECT_EQ(co_channel_get(stream->channel,
				stream->size > 0 ? item : NULL), 0);
		for (at = 0; at < stream->size; at++)
			wrong += item[at] != pattern(i, at);
		CO_EXPECT_EQ(item[stream->size], 0x5a);
	}
	CO_EXPECT_EQ(wrong, 0);
	free(item);
}

/* Flaw C2: the ring wraps several times at every capacity and size. */
CO_TEST(channel, items_come_out_whole_and_in_order)
{
	size_t s, c;

	for (s = 0; s < COUNT_OF(item_sizes); s++) {
		for (c = 0; c < COUNT_OF(capacities); c++) {
			struct stream stream = { .size = item_sizes[s] };
			struct co_task *putter;

			if (item_sizes[s] * capacities[c] > 1 << 20)
				continue;
			stream.channel = channel_or_die(stream.size,
					capacities[c]);
			stream.count = 3 * capacities[c] + 5;
			putter = spawn_or_die(NULL, put_stream, &stream);
			expect_stream(&stream);
			CO_EXPECT_EQ(join_or_die(putter), 0);
			CO_EXPECT_EQ(co_channel_destroy(stream.channel), 0);
		}
	}
	return 0;
}

/* Flaw C2: at each fill level in turn, so that every index wraps. */
CO_TEST_ON_ONE_THREAD(channel, the_ring_wraps_at_every_position)
{
	size_t c, level, put, got;

	for (c = 1; c < COUNT_OF(capacities) - 1; c++) {
		struct co_channel *channel;

		channel = channel_or_die(sizeof(size_t), capacities[c]);
		put = got = 0;
		for (level = 1; level <= capacities[c]; level++) {
			while (put - got < level)
				put_now(channel, put++);
			while (put - got > level / 2)
				CO_EXPECT_EQ(get_now(channel), got++);
		}
		while (got < put)
			CO_EXPECT_EQ(get_now(channel), got++);
		CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	}
	return 0;
}

/* Flaw C1: a buffer of capacity n takes n items while nobody gets. */
CO_TEST(channel, puts_do_not_wait_before_the_capacity_is_reached)
{
	size_t c, i;

	for (c = 0; c < COUNT_OF(capacities); c++) {
		struct co_channel *channel;

		channel = channel_or_die(sizeof(size_t), capacities[c]);
		for (i = 0; i < capacities[c]; i++) {
			put_now(channel, i);
			CO_EXPECT_EQ(co_channel_length(channel), i + 1);
		}
		CO_EXPECT_EQ(co_channel_try_put(channel, &i), -EAGAIN);
		for (i = 0; i < capacities[c]; i++)
			CO_EXPECT_EQ(get_now(channel), i);
		CO_EXPECT_EQ(co_channel_try_get(channel, &i), -EAGAIN);
		CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	}
	return 0;
}

/* Flaw C1: the slot that a get frees goes to the putter that waits for it. */
CO_TEST(channel, a_get_lets_a_waiting_putter_move_up_at_once)
{
	size_t c;

	for (c = 1; c < 8; c++) {
		struct co_channel *channel = channel_or_die(sizeof c, c);
		struct mover mover = { .channel = channel, .number = c };
		struct co_task *putter;
		size_t i;

		fill(channel);
		putter = spawn_or_die(NULL, put_number, &mover);
		settle();
		CO_EXPECT_EQ(counter_get(&mover.done), 0);
		CO_EXPECT_EQ(get_now(channel), 0);
		CO_EXPECT_EQ(co_channel_length(channel), c);
		CO_EXPECT_EQ(join_or_die(putter), 0);
		for (i = 1; i <= c; i++)
			CO_EXPECT_EQ(get_now(channel), i);
		CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	}
	return 0;
}

/* --- Meeting at capacity 0 -------------------------------------------- */

CO_TEST(channel, at_capacity_0_a_put_returns_when_its_item_was_taken)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct mover mover = { .channel = channel, .number = 77 };
	struct co_task *putter = spawn_or_die(NULL, put_number, &mover);

	settle();
	CO_EXPECT_EQ(counter_get(&mover.done), 0);
	CO_EXPECT_EQ(co_channel_length(channel), 0);
	CO_EXPECT_EQ(get_now(channel), 77);
	CO_EXPECT_EQ(join_or_die(putter), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

CO_TEST(channel, at_capacity_0_a_try_needs_somebody_who_waits)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct mover mover = { .channel = channel, .number = 1 };
	struct co_task *task;
	size_t number = 8;

	CO_EXPECT_EQ(co_channel_try_put(channel, &number), -EAGAIN);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), -EAGAIN);
	CO_EXPECT_EQ(number, 8);
	task = spawn_or_die(NULL, get_number, &mover);
	settle();
	CO_EXPECT_EQ(co_channel_try_put(channel, &number), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(mover.number, 8);

	mover.number = 6;
	task = spawn_or_die(NULL, put_number, &mover);
	settle();
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), 0);
	CO_EXPECT_EQ(number, 6);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- The order of those who wait -------------------------------------- */

#define WAITERS 9

static void expect_putters_in_order(size_t capacity)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), capacity);
	struct mover movers[WAITERS];
	struct co_task *tasks[WAITERS];
	size_t i;

	fill(channel);
	spawn_in_order(movers, tasks, WAITERS, channel, put_number);
	for (i = 0; i < capacity; i++)
		CO_EXPECT_EQ(get_now(channel), i);
	for (i = 0; i < WAITERS; i++)
		CO_EXPECT_EQ(get_now(channel), i);
	join_each(tasks, WAITERS, 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
}

CO_TEST(channel, waiting_putters_are_served_in_order)
{
	expect_putters_in_order(0);
	expect_putters_in_order(1);
	expect_putters_in_order(3);
	return 0;
}

static void expect_getters_in_order(size_t capacity)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), capacity);
	struct mover movers[WAITERS];
	struct co_task *tasks[WAITERS];
	size_t i;

	spawn_in_order(movers, tasks, WAITERS, channel, get_number);
	for (i = 0; i < WAITERS; i++)
		put_now(channel, 100 + i);
	join_each(tasks, WAITERS, 0);
	for (i = 0; i < WAITERS; i++)
		CO_EXPECT_EQ(movers[i].number, 100 + i);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
}

CO_TEST(channel, waiting_getters_are_served_in_order)
{
	expect_getters_in_order(0);
	expect_getters_in_order(1);
	expect_getters_in_order(3);
	return 0;
}

/* --- Many to many ----------------------------------------------------- */

#define SIDES 4

struct crowd {
	struct co_channel *channel;
	struct test_counter *seen;	/* one for each number */
	size_t each;			/* numbers of one putter */
	struct test_counter putters;
};

static int put_share(void *arg)
{
	struct crowd *crowd = arg;
	size_t first = counter_add(&crowd->putters, 1) * crowd->each;
	size_t i;

	for (i = 0; i < crowd->each; i++)
		put_now(crowd->channel, first + i);
	return 0;
}

static int get_until_closed(void *arg)
{
	struct crowd *crowd = arg;
	size_t last[SIDES] = { 0 }, number, putter;
	int result;

	while ((result = co_channel_get(crowd->channel, &number)) == 0) {
		if (!CO_EXPECT(number < SIDES * crowd->each))
			break;
		CO_EXPECT_EQ(counter_add(&crowd->seen[number], 1), 0);
		putter = number / crowd->each;
		/* One getter sees the numbers of one putter in order. */
		CO_EXPECT(number + 1 > last[putter]);
		last[putter] = number + 1;
	}
	CO_EXPECT_EQ(result, -EPIPE);
	return 0;
}

static void move_crowd(size_t capacity, size_t each)
{
	struct crowd crowd = { .each = each };
	struct co_task *getters[SIDES];
	size_t i, missing = 0;

	crowd.seen = calloc(SIDES * each, sizeof *crowd.seen);
	crowd.channel = channel_or_die(sizeof(size_t), capacity);
	for (i = 0; i < SIDES; i++)
		getters[i] = spawn_or_die(NULL, get_until_closed, &crowd);
	spawn_and_join_all(SIDES, put_share, &crowd);
	CO_EXPECT_EQ(co_channel_close(crowd.channel), 0);
	join_each(getters, SIDES, 0);
	for (i = 0; i < SIDES * each; i++)
		missing += counter_get(&crowd.seen[i]) != 1;
	CO_EXPECT_EQ(missing, 0);
	CO_EXPECT_EQ(co_channel_destroy(crowd.channel), 0);
	free(crowd.seen);
}

/* Flaw C4: a getter that was promised an item finds one. */
CO_TEST(channel, each_of_many_items_arrives_exactly_once)
{
	move_crowd(0, CO_TEST_SCALE(4000));
	move_crowd(1, CO_TEST_SCALE(4000));
	move_crowd(3, CO_TEST_SCALE(4000));
	move_crowd(64, CO_TEST_SCALE(4000));
	return 0;
}

/* Flaw C3: each side's frame is gone as soon as it was woken. */
CO_TEST(channel, tasks_that_end_right_after_the_transfer_are_not_touched)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	enum { PAIRS = 64 };
	struct mover movers[2 * PAIRS];
	struct co_task *tasks[2 * PAIRS];
	size_t round, i;

	for (round = 0; round < CO_TEST_SCALE(100); round++) {
		for (i = 0; i < 2 * PAIRS; i++) {
			movers[i] = (struct mover){ .channel = channel };
			tasks[i] = spawn_or_die(NULL,
					i % 2 ? get_number : put_number,
					&movers[i]);
		}
		join_each(tasks, 2 * PAIRS, 0);
	}
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* Flaw C5: operations take no memory, waiting or not. */
CO_TEST_ON_ONE_THREAD(channel, ten_thousand_operations_take_no_memory)
{
	struct co_channel *channels[] = {
		channel_or_die(8, 0), channel_or_die(8, 7),
	};
	size_t i, c, blocks = 0;

	for (c = 0; c < 2; c++) {
		struct stream stream = { channels[c], 8, 5000 };

		for (i = 0; i < 2; i++) {
			struct co_task *putter;

			/* The first time around may fill a cache. */
			blocks = counter_get(&test_blocks);
			putter = spawn_or_die(NULL, put_stream, &stream);
			expect_stream(&stream);
			CO_EXPECT_EQ(join_or_die(putter), 0);
		}
		CO_EXPECT_EQ(counter_get(&test_blocks), blocks);
		CO_EXPECT_EQ(co_channel_destroy(channels[c]), 0);
	}
	return 0;
}
