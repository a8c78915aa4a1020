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

/* --- Selects that face plain calls ------------------------------------ */

#define FACES 3

/* No deadline and no other item makes up for a wake-up that gets lost: one is
 * enough to leave somebody waiting for ever. */
struct faces {
	struct co_channel *channels[FACES];
	size_t each;			/* items of each plain caller */
	struct test_counter plain, selected, plain_sum, selected_sum;
	unsigned op;			/* of the selects */
};

static int move_plainly(void *arg)
{
	struct faces *faces = arg;
	size_t at = counter_add(&faces->plain, 1), i, number;

	for (i = 0; i < faces->each; i++) {
		number = at * faces->each + i;
		if (faces->op == CO_SELECT_GET)
			put_now(faces->channels[at], number);
		else
			number = get_now(faces->channels[at]);
		counter_add(&faces->plain_sum, number);
	}
	return 0;
}

static int move_by_select(void *arg)
{
	struct faces *faces = arg;
	size_t total = FACES * faces->each, number, at;

	while ((number = counter_add(&faces->selected, 1)) < total) {
		struct co_select_case cases[FACES];
		int index;

		for (at = 0; at < FACES; at++)
			cases[at] = (struct co_select_case){
				.channel = faces->channels[at],
				.op = faces->op, .item = &number,
			};
		/* Each channel is to get its share. */
		if (faces->op == CO_SELECT_PUT)
			cases[(number + 1) % FACES].channel =
				cases[(number + 2) % FACES].channel = NULL;
		index = co_select(cases, FACES);
		CO_EXPECT(index >= 0 && cases[index].result == 0);
		counter_add(&faces->selected_sum, number);
	}
	return 0;
}

/* With one channel in all places, a select has several cases in it; with
 * several channels, a wake-up lost in one may be made up for by another. */
static void open_faces(struct faces *faces, size_t count)
{
	size_t i;

	for (i = 0; i < FACES; i++)
		faces->channels[i] = i < count
				? channel_or_die(sizeof(size_t), 0)
				: faces->channels[0];
}

static void close_faces(struct faces *faces, size_t count)
{
	size_t i;

	CO_EXPECT_EQ(counter_get(&faces->plain_sum),
			counter_get(&faces->selected_sum));
	for (i = 0; i < count; i++)
		CO_EXPECT_EQ(co_channel_destroy(faces->channels[i]), 0);
}

static void face_plain_calls(unsigned op, size_t count, size_t selects)
{
	struct faces faces = { .op = op, .each = CO_TEST_SCALE(10000) };
	struct co_task *tasks[2 * FACES];
	size_t i;

	open_faces(&faces, count);
	for (i = 0; i < FACES + selects; i++)
		tasks[i] = spawn_or_die(NULL, i < FACES ? move_plainly
				: move_by_select, &faces);
	for (i = 0; i < FACES + selects; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	close_faces(&faces, count);
}

CO_TEST(select_many, selects_that_face_plain_calls_lose_no_wake_up)
{
	face_plain_calls(CO_SELECT_GET, 1, 1);
	face_plain_calls(CO_SELECT_GET, 1, FACES);
	face_plain_calls(CO_SELECT_GET, FACES, FACES);
	face_plain_calls(CO_SELECT_PUT, 1, FACES);
	face_plain_calls(CO_SELECT_PUT, FACES, FACES);
	return 0;
}

/* A thread is at it while the task leaves its stack, and never waits. */
static void try_plainly(void *arg)
{
	struct faces *faces = arg;
	size_t at = counter_add(&faces->plain, 1), i, number;

	for (i = 0; i < faces->each; i++) {
		number = at * faces->each + i;
		while (co_channel_try_put(faces->channels[at], &number) != 0)
			sched_yield();
		counter_add(&faces->plain_sum, number);
	}
}

static void face_threads(size_t count)
{
	struct faces faces = { .op = CO_SELECT_GET };
	struct test_thread threads[FACES];
	size_t i;

	faces.each = CO_TEST_SCALE(5000);
	open_faces(&faces, count);
	for (i = 0; i < FACES; i++)
		test_thread_start(&threads[i], co_loop_current(), try_plainly,
				&faces);
	spawn_and_join_all(1, move_by_select, &faces);
	for (i = 0; i < FACES; i++)
		test_thread_join(&threads[i]);
	close_faces(&faces, count);
}

CO_TEST(select_many, selects_that_face_threads_lose_no_wake_up)
{
	face_threads(1);
	face_threads(FACES);
	return 0;
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
