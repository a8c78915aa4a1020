/* SPDX-License-Identifier: MIT */

/*
 * How operations on channels end other than by waiting for their turn: by a
 * closed channel, without waiting at all, by a deadline, by cancellation.
 */

#include "test.h"

#include <sched.h>

/* --- Closing ---------------------------------------------------------- */

CO_TEST(channel_end, gets_take_what_is_left_in_a_closed_channel)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 5);
	size_t number = 50;

	put_now(channel, 10);
	put_now(channel, 11);
	put_now(channel, 12);
	CO_EXPECT_EQ(co_channel_close(channel), 0);
	CO_EXPECT_EQ(co_channel_put(channel, &number), -EPIPE);
	CO_EXPECT_EQ(co_channel_try_put(channel, &number), -EPIPE);
	CO_EXPECT_EQ(co_channel_length(channel), 3);
	CO_EXPECT_EQ(get_now(channel), 10);
	CO_EXPECT_EQ(co_channel_close(channel), 0);
	CO_EXPECT_EQ(get_now(channel), 11);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), 0);
	CO_EXPECT_EQ(number, 12);
	CO_EXPECT_EQ(co_channel_get(channel, &number), -EPIPE);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), -EPIPE);
	CO_EXPECT_EQ(number, 12);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

static void expect_waiters_end(size_t capacity, co_task_fn *fn, bool full)
{
	enum { COUNT = 5 };
	struct co_channel *channel = channel_or_die(sizeof(size_t), capacity);
	struct mover movers[COUNT];
	struct co_task *tasks[COUNT];
	size_t i, number = 0;

	if (full)
		fill(channel);
	for (i = 0; i < COUNT; i++) {
		movers[i] = (struct mover){ .channel = channel, .number = 99 };
		tasks[i] = spawn_or_die(NULL, fn, &movers[i]);
	}
	settle();
	CO_EXPECT_EQ(co_channel_close(channel), 0);
	for (i = 0; i < COUNT; i++) {
		CO_EXPECT_EQ(join_or_die(tasks[i]), -EPIPE);
		CO_EXPECT_EQ(movers[i].number, 99);
	}
	/* The items of refused putters were not sent. */
	for (i = 0; full && i < capacity; i++)
		CO_EXPECT_EQ(get_now(channel), i);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), -EPIPE);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
}

CO_TEST(channel_end, close_refuses_those_who_wait_to_put)
{
	expect_waiters_end(0, put_number, true);
	expect_waiters_end(1, put_number, true);
	expect_waiters_end(5, put_number, true);
	return 0;
}

CO_TEST(channel_end, close_refuses_those_who_wait_to_get)
{
	expect_waiters_end(0, get_number, false);
	expect_waiters_end(1, get_number, false);
	expect_waiters_end(5, get_number, false);
	return 0;
}

static void close_from_afar(void *arg)
{
	CO_EXPECT_EQ(co_channel_close(arg), 0);
}

CO_TEST(channel_end, a_foreign_thread_may_close)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	struct mover mover = { .channel = channel };
	struct co_task *getter = spawn_or_die(NULL, get_number, &mover);
	struct test_thread thread;

	test_thread_start(&thread, co_loop_current(), close_from_afar,
			channel);
	CO_EXPECT_EQ(join_or_die(getter), -EPIPE);
	test_thread_join(&thread);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- Conservation ----------------------------------------------------- */

/* Sums of what putters were told was sent and of what getters got. */
struct books {
	struct co_channel *channel;
	struct test_counter numbers;	/* the next one to put */
	struct test_counter sent, sent_sum;
	struct test_counter got, got_sum;
	struct test_counter gave_up;
	size_t rounds;
	co_time patience;		/* a random deadline up to this */
};

static void note_sent(struct books *books, size_t number)
{
	counter_add(&books->sent, 1);
	counter_add(&books->sent_sum, number);
}

static void note_got(struct books *books, size_t number)
{
	counter_add(&books->got, 1);
	counter_add(&books->got_sum, number);
}

/* Take out what is left; then the books must balance. */
static void expect_balance(struct books *books)
{
	size_t number;

	while (co_channel_try_get(books->channel, &number) == 0)
		note_got(books, number);
	CO_EXPECT_EQ(counter_get(&books->sent), counter_get(&books->got));
	CO_EXPECT_EQ(counter_get(&books->sent_sum),
			counter_get(&books->got_sum));
	CO_EXPECT_EQ(co_channel_length(books->channel), 0);
	CO_EXPECT_EQ(co_channel_destroy(books->channel), 0);
}

/* Without waiting, from threads that aren't the loop's. */
static void try_to_put(void *arg)
{
	struct books *books = arg;
	size_t i, number;

	for (i = 0; i < books->rounds; i++) {
		number = counter_add(&books->numbers, 1);
		while (co_channel_try_put(books->channel, &number) == -EAGAIN)
			sched_yield();
		note_sent(books, number);
	}
}

static void try_to_get(void *arg)
{
	struct books *books = arg;
	size_t i, number;

	for (i = 0; i < books->rounds; i++) {
		while (co_channel_try_get(books->channel, &number) == -EAGAIN)
			sched_yield();
		note_got(books, number);
	}
}

static int put_rounds(void *arg)
{
	struct books *books = arg;
	size_t i, number;

	for (i = 0; i < books->rounds; i++) {
		number = counter_add(&books->numbers, 1);
		put_now(books->channel, number);
		note_sent(books, number);
	}
	return 0;
}

static int get_rounds(void *arg)
{
	struct books *books = arg;
	size_t i;

	for (i = 0; i < books->rounds; i++)
		note_got(books, get_now(books->channel));
	return 0;
}

/* Two threads face two tasks.  Threads alone would never meet: who only tries
 * needs somebody who waits. */
static void trade_with_threads(size_t capacity, bool threads_put)
{
	struct books books = { .rounds = CO_TEST_SCALE(2000) };
	struct test_thread threads[2];
	struct co_task *tasks[2];
	size_t i;

	books.channel = channel_or_die(sizeof(size_t), capacity);
	for (i = 0; i < 2; i++)
		tasks[i] = spawn_or_die(NULL, threads_put ? get_rounds
				: put_rounds, &books);
	for (i = 0; i < 2; i++)
		test_thread_start(&threads[i], co_loop_current(),
				threads_put ? try_to_put : try_to_get, &books);
	for (i = 0; i < 2; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	/* What the last puts left in the buffer is still to be taken. */
	while (co_channel_length(books.channel) > 0)
		co_yield();
	for (i = 0; i < 2; i++)
		test_thread_join(&threads[i]);
	CO_EXPECT_EQ(counter_get(&books.sent), 2 * books.rounds);
	expect_balance(&books);
}

CO_TEST(channel_end, foreign_threads_may_try_while_the_loop_runs)
{
	static const size_t capacities[] = { 0, 1, 10 };
	size_t i;

	for (i = 0; i < sizeof capacities / sizeof *capacities; i++) {
		trade_with_threads(capacities[i], true);
		trade_with_threads(capacities[i], false);
	}
	return 0;
}

/* With deadlines and cancellation. */
static int put_in_haste(void *arg)
{
	struct books *books = arg;
	size_t i, number;
	uint64_t seed = counter_get(&books->numbers);
	int result;

	for (i = 0; i < books->rounds; i++) {
		number = counter_add(&books->numbers, 1);
		result = -EIO;
		CO_WITH_DEADLINE(co_after((co_time)test_random_below(&seed,
				(size_t)books->patience)))
			result = co_channel_put(books->channel, &number);
		if (result == 0)
			note_sent(books, number);
		else
			counter_add(&books->gave_up, 1);
		if (result == -ECANCELED)
			return 0;
		CO_EXPECT(result == 0 || result == -ETIMEDOUT);
	}
	return 0;
}

static int get_in_haste(void *arg)
{
	struct books *books = arg;
	size_t i, number;
	uint64_t seed = counter_get(&books->numbers) + 7;
	int result;

	for (i = 0; i < books->rounds; i++) {
		result = -EIO;
		number = (size_t)-1;
		CO_WITH_DEADLINE(co_after((co_time)test_random_below(&seed,
				(size_t)books->patience)))
			result = co_channel_get(books->channel, &number);
		if (result == 0)
			note_got(books, number);
		else
			CO_EXPECT_EQ(number, (size_t)-1);
		if (result == -ECANCELED)
			return 0;
		CO_EXPECT(result == 0 || result == -ETIMEDOUT);
	}
	return 0;
}

#define HASTY 12

static void trade_in_haste(size_t capacity, size_t rounds, co_time patience,
		size_t cancels)
{
	struct books books = { .rounds = rounds, .patience = patience };
	struct co_task *tasks[HASTY];
	size_t i;

	books.channel = channel_or_die(sizeof(size_t), capacity);
	for (i = 0; i < HASTY; i++)
		tasks[i] = spawn_or_die(NULL, i % 2 ? put_in_haste
				: get_in_haste, &books);
	for (i = 0; i < cancels; i++) {
		co_yield();
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	}
	for (i = 0; i < HASTY; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	expect_balance(&books);
}

CO_TEST(channel_end, a_deadline_that_races_with_a_transfer_loses_no_item)
{
	trade_in_haste(0, CO_TEST_SCALE(300), 40 * CO_MICROSECOND, 0);
	trade_in_haste(1, CO_TEST_SCALE(300), 40 * CO_MICROSECOND, 0);
	trade_in_haste(3, CO_TEST_SCALE(300), 40 * CO_MICROSECOND, 0);
	return 0;
}

CO_TEST(channel_end, a_cancel_that_races_with_a_transfer_loses_no_item)
{
	size_t i, rounds = CO_TEST_SCALE(200);

	/* The cancels come while all are at it; the deadline is far. */
	for (i = 0; i < rounds; i++)
		trade_in_haste(i % 3, 100000, CO_MINUTE, HASTY);
	return 0;
}

/* --- Leaving the line ------------------------------------------------- */

CO_TEST(channel_end, who_leaves_the_line_leaves_no_trace)
{
	enum { COUNT = 5 };
	struct co_channel *channel = channel_or_die(sizeof(size_t), 2);
	struct mover movers[COUNT];
	struct co_task *tasks[COUNT];
	size_t i;

	fill(channel);
	for (i = 0; i < COUNT; i++) {
		movers[i].channel = channel;
		movers[i].number = 10 + i;
		counter_set(&movers[i].done, 0);
		tasks[i] = spawn_or_die(NULL, put_number, &movers[i]);
		settle();
	}
	/* The first, one in the middle, and the last. */
	for (i = 0; i < COUNT; i += 2) {
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);
	}
	CO_EXPECT_EQ(get_now(channel), 0);
	CO_EXPECT_EQ(get_now(channel), 1);
	CO_EXPECT_EQ(get_now(channel), 11);
	CO_EXPECT_EQ(get_now(channel), 13);
	CO_EXPECT_EQ(join_or_die(tasks[1]), 0);
	CO_EXPECT_EQ(join_or_die(tasks[3]), 0);
	CO_EXPECT_EQ(co_channel_length(channel), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

static int use_both_ways(void *arg)
{
	struct co_channel *channel = arg;
	size_t number = 3;
	int result = co_channel_put(channel, &number);

	CO_EXPECT_EQ(co_channel_get(channel, &number), result);
	CO_EXPECT_EQ(number, 3);
	return result;
}

static int cancel_self_and_use(void *arg)
{
	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	return use_both_ways(arg);
}

/* Room and an item are there, and still the call fails. */
CO_TEST(channel_end, the_cancelled_and_the_late_get_nothing)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 2);
	struct co_task *task;

	put_now(channel, 8);
	task = spawn_or_die(NULL, cancel_self_and_use, channel);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_WITH_DEADLINE(TEST_LONG_AGO)
		CO_EXPECT_EQ(use_both_ways(channel), -ETIMEDOUT);
	CO_EXPECT_EQ(co_channel_length(channel), 1);
	CO_EXPECT_EQ(get_now(channel), 8);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

CO_TEST(channel_end, a_deadline_ends_a_wait_on_either_side)
{
	struct co_channel *channel = channel_or_die(sizeof(size_t), 0);
	co_time when = co_after(3 * CO_MILLISECOND);
	size_t number = 5;

	CO_WITH_DEADLINE(when)
		CO_EXPECT_EQ(co_channel_get(channel, &number), -ETIMEDOUT);
	CO_EXPECT(co_now() >= when);
	when = co_after(3 * CO_MILLISECOND);
	CO_WITH_DEADLINE(when)
		CO_EXPECT_EQ(co_channel_put(channel, &number), -ETIMEDOUT);
	CO_EXPECT(co_now() >= when);
	CO_EXPECT_EQ(number, 5);
	CO_EXPECT_EQ(co_channel_try_get(channel, &number), -EAGAIN);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- Two loops -------------------------------------------------------- */

static int put_from_one_loop(void *arg)
{
	put_rounds(arg);
	put_rounds(arg);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);
	return 0;
}

static int get_in_another_loop(void *arg)
{
	get_rounds(arg);
	get_rounds(arg);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);
	return 0;
}

static void run_loop(void *arg)
{
	CO_EXPECT_EQ(co_loop_run(arg), 0);
}

static void trade_between_loops(size_t capacity, unsigned threads)
{
	struct books books = { .rounds = CO_TEST_SCALE(1500) };
	struct co_loop *loops[2] = {
		loop_or_die(threads), loop_or_die(threads)
	};
	struct test_thread runners[2];
	size_t i;

	cr_assert_eq(co_channel_create(loops[0], sizeof(size_t), capacity,
			&books.channel), 0);
	for (i = 0; i < 2; i++) {
		/* While one loop waits for the other it must not give up. */
		cr_assert_eq(co_loop_ref(loops[i]), 0);
		cr_assert_eq(co_spawn(loops[i], i ? get_in_another_loop
				: put_from_one_loop, &books, NULL), 0);
	}
	for (i = 0; i < 2; i++)
		test_thread_start(&runners[i], NULL, run_loop, loops[i]);
	for (i = 0; i < 2; i++)
		test_thread_join(&runners[i]);
	expect_balance(&books);
	for (i = 0; i < 2; i++)
		cr_assert_eq(co_loop_destroy(loops[i]), 0);
	test_expect_no_leak();
}

Test(channel_end, tasks_of_two_loops_share_a_channel)
{
	trade_between_loops(0, 1);
	trade_between_loops(3, 1);
	trade_between_loops(0, 2);
	trade_between_loops(3, 2);
}
