/* SPDX-License-Identifier: MIT */

/* Many selects at once: rings that face each other, and storms. */

#include "storm.h"

/* --- Rings ------------------------------------------------------------ */

#define RING_MAX 7

/* Each member offers a number to its own channel and asks for one from the
 * next.  All are of capacity 0: a transfer needs two selects at once. */
struct ring {
	size_t size;
	size_t target;			/* transfers before it is stopped */
	struct co_channel *channels[RING_MAX];
	struct co_channel *enough;
	struct test_counter members, numbers;
	struct test_counter sent, sent_sum, got, got_sum;
};

static void note_transfer(struct ring *ring, int index, size_t *items)
{
	size_t one = 1;

	if (index == 1) {
		counter_add(&ring->got_sum, items[1]);
		counter_add(&ring->got, 1);
		return;
	}
	counter_add(&ring->sent_sum, items[0]);
	if (counter_add(&ring->sent, 1) + 1 == ring->target)
		CO_EXPECT_EQ(co_channel_try_put(ring->enough, &one), 0);
}

static int face_the_next(void *arg)
{
	struct ring *ring = arg;
	size_t self = counter_add(&ring->members, 1), items[2];
	struct co_channel *own = ring->channels[self];
	struct co_channel *next = ring->channels[(self + 1) % ring->size];
	int index;

	for (;;) {
		struct co_select_case cases[] = {
			CO_SELECT_CASE_PUT(own, &items[0]),
			CO_SELECT_CASE_GET(next, &items[1]),
		};

		items[0] = counter_add(&ring->numbers, 1);
		index = co_select(cases, 2);
		if (index == -ECANCELED)
			return 0;
		if (!CO_EXPECT(index == 0 || index == 1))
			return index;
		CO_EXPECT_EQ(cases[index].result, 0);
		note_transfer(ring, index, items);
	}
}

static int run_ring(void *arg)
{
	struct ring *ring = arg;
	struct co_task *tasks[RING_MAX];
	size_t i;

	ring->enough = channel_or_die(sizeof(size_t), 1);
	for (i = 0; i < ring->size; i++)
		ring->channels[i] = channel_or_die(sizeof(size_t), 0);
	for (i = 0; i < ring->size; i++)
		tasks[i] = spawn_or_die(NULL, face_the_next, ring);
	/* If the ring blocks, nothing is left that could end this. */
	CO_EXPECT_EQ(get_now(ring->enough), 1);
	for (i = 0; i < ring->size; i++)
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	for (i = 0; i < ring->size; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(counter_get(&ring->sent), counter_get(&ring->got));
	CO_EXPECT_EQ(counter_get(&ring->sent_sum),
			counter_get(&ring->got_sum));
	for (i = 0; i < ring->size; i++)
		CO_EXPECT_EQ(co_channel_destroy(ring->channels[i]), 0);
	CO_EXPECT_EQ(co_channel_destroy(ring->enough), 0);
	return 0;
}

static void run_rings(size_t size)
{
	unsigned threads;

	for (threads = 1; threads <= 8; threads++) {
		struct ring ring = {
			.size = size, .target = CO_TEST_SCALE(3000)
		};

		cr_assert_eq(run_in_loop(threads, run_ring, &ring), 0);
	}
}

Test(select_many, two_selects_that_face_each_other_never_block)
{
	run_rings(2);
}

Test(select_many, three_selects_in_a_ring_never_block)
{
	run_rings(3);
}

Test(select_many, seven_selects_in_a_ring_never_block)
{
	run_rings(7);
}

/* --- Storms ----------------------------------------------------------- */

static struct storm default_storm(void)
{
	return (struct storm){
		.seed = 1, .channels = 4, .capacity_limit = 3, .tasks = 24,
		.rounds = CO_TEST_SCALE(400), .cases = 4,
		.patience = 50 * CO_MICROSECOND,
	};
}

CO_TEST(select_many, a_storm_with_deadlines_loses_no_item)
{
	struct storm storm = default_storm();

	return storm_main(&storm);
}

CO_TEST(select_many, a_storm_with_cancels_loses_no_item)
{
	struct storm storm = default_storm();

	/* The cancels come while the others are patient. */
	storm.cancels = storm.tasks / 2;
	storm.patience = 5 * CO_MILLISECOND;
	return storm_main(&storm);
}

CO_TEST(select_many, a_storm_in_which_a_channel_closes_loses_no_item)
{
	struct storm storm = default_storm();

	storm.closes = true;
	return storm_main(&storm);
}

CO_TEST(select_many, a_storm_that_threads_join_loses_no_item)
{
	struct storm storm = default_storm();

	storm.outsiders = 2;
	return storm_main(&storm);
}

/* Every pair of cases meets itself or its mirror image. */
CO_TEST(select_many, a_storm_in_one_channel_without_room_loses_no_item)
{
	struct storm storm = default_storm();

	storm.channels = 1;
	storm.capacity_limit = 0;
	return storm_main(&storm);
}
