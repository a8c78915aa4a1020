/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_STORM_H
#define COLOOP_TESTS_STORM_H

/*
 * storm.h - many tasks that put, get and select at random, and books
 *
 * Whatever a put said was sent must be got, once, from the same channel, or be
 * left in it at the end.  Deadlines, cancellation, closing and threads from
 * outside may come between.
 */

#include "test.h"

#include <sched.h>

#define STORM_CHANNELS_MAX 8
#define STORM_CASES_MAX 6
#define STORM_TASKS_MAX 64
#define STORM_OUTSIDERS_MAX 4

/* One channel and its books. */
struct storm_place {
	struct co_channel *channel;
	struct test_counter sent, sent_sum;
	struct test_counter got, got_sum;
};

struct storm {
	/* What the caller chooses. */
	uint64_t seed;
	size_t channels;		/* up to STORM_CHANNELS_MAX */
	size_t capacity_limit;		/* capacities are 0 to this */
	size_t tasks;			/* up to STORM_TASKS_MAX */
	size_t rounds;			/* of each task */
	size_t cases;			/* the most of a select; 1: none */
	co_time patience;		/* each operation ends within this */
	size_t cancels;			/* so many tasks are cancelled */
	size_t outsiders;		/* threads, up to ..._MAX */
	bool closes;			/* close the last channel midway */
	/* What is found out. */
	struct storm_place places[STORM_CHANNELS_MAX];
	struct test_counter members, moved, late, cancelled, refused;
};

/* One task or thread. */
struct storm_member {
	struct storm *storm;
	uint64_t random;
	size_t items[STORM_CASES_MAX];
	struct storm_place *places[STORM_CASES_MAX];
	struct co_select_case cases[STORM_CASES_MAX];
};

#define STORM_UNTOUCHED ((size_t)0x5eed)

TEST_UNUSED static void storm_note(struct storm *storm,
		struct storm_place *place, unsigned op, size_t item)
{
	bool put = op == CO_SELECT_PUT;

	counter_add(put ? &place->sent : &place->got, 1);
	counter_add(put ? &place->sent_sum : &place->got_sum, item);
	counter_add(&storm->moved, 1);
}

TEST_UNUSED static void storm_choose_case(struct storm_member *self, size_t i)
{
	struct storm *storm = self->storm;
	struct co_select_case *one = &self->cases[i];
	size_t at = test_random_below(&self->random, storm->channels);

	self->places[i] = &storm->places[at];
	one->channel = self->places[i]->channel;
	one->op = test_random_below(&self->random, 2) ? CO_SELECT_PUT
			: CO_SELECT_GET;
	one->result = 1;
	one->item = &self->items[i];
	/* Random numbers: a swapped or doubled item shows in the sum. */
	self->items[i] = one->op == CO_SELECT_GET ? STORM_UNTOUCHED
			: (size_t)test_random(&self->random);
}

TEST_UNUSED static int storm_do_plain(struct co_select_case *one, bool wait)
{
	if (one->op == CO_SELECT_PUT)
		one->result = wait
				? co_channel_put(one->channel, one->item)
				: co_channel_try_put(one->channel, one->item);
	else
		one->result = wait
				? co_channel_get(one->channel, one->item)
				: co_channel_try_get(one->channel, one->item);
	/* As co_select() says it. */
	return one->result == 0 || one->result == -EPIPE ? 0 : one->result;
}

/* Do one random operation.  Its result is that of co_select(). */
TEST_UNUSED static int storm_operate(struct storm_member *self, bool wait,
		size_t *ret_n)
{
	size_t i, n = 1 + test_random_below(&self->random, self->storm->cases);

	for (i = 0; i < n; i++)
		storm_choose_case(self, i);
	*ret_n = n;
	if (n == 1 && test_random_below(&self->random, 2))
		return storm_do_plain(&self->cases[0], wait);
	return wait ? co_select(self->cases, n) : co_try_select(self->cases, n);
}

/* Write down what happened, and see that nothing else did. */
TEST_UNUSED static void storm_settle_books(struct storm_member *self,
		size_t n, int index)
{
	struct storm *storm = self->storm;
	size_t i;

	for (i = 0; i < n; i++) {
		struct co_select_case *one = &self->cases[i];

		if ((int)i == index && one->result == 0) {
			storm_note(storm, self->places[i], one->op,
					self->items[i]);
			continue;
		}
		if ((int)i == index)
			CO_EXPECT_EQ(one->result, -EPIPE);
		if (one->op == CO_SELECT_GET)
			CO_EXPECT_EQ(self->items[i], STORM_UNTOUCHED);
	}
	if (index == -ETIMEDOUT)
		counter_add(&storm->late, 1);
	else if (index == -ECANCELED)
		counter_add(&storm->cancelled, 1);
	else if (index != -EAGAIN && CO_EXPECT(index >= 0 && index < (int)n))
		counter_add(&storm->refused, self->cases[index].result != 0);
}

TEST_UNUSED static void storm_begin_member(struct storm_member *self,
		struct storm *storm)
{
	self->storm = storm;
	self->random = storm->seed
			+ ((uint64_t)counter_add(&storm->members, 1) << 32);
}

TEST_UNUSED static int storm_task(void *arg)
{
	struct storm_member self;
	struct storm *storm = arg;
	size_t round, n = 0;
	int index = 0;

	storm_begin_member(&self, storm);
	for (round = 0; round < storm->rounds && index != -ECANCELED; round++) {
		bool wait = test_random_below(&self.random, 8) != 0;
		co_time patience = (co_time)test_random_below(&self.random,
				(size_t)storm->patience);

		index = -EIO;
		CO_WITH_DEADLINE(co_after(patience))
			index = storm_operate(&self, wait, &n);
		storm_settle_books(&self, n, index);
	}
	return 0;
}

TEST_UNUSED static void storm_outsider(void *arg)
{
	struct storm_member self;
	struct storm *storm = arg;
	size_t round, n = 0;
	int index;

	storm_begin_member(&self, storm);
	for (round = 0; round < storm->rounds; round++) {
		index = storm_operate(&self, false, &n);
		storm_settle_books(&self, n, index);
		if (index == -EAGAIN)
			sched_yield();
	}
}

/* Open the channels; also before the loop runs. */
TEST_UNUSED static void storm_open(struct storm *storm)
{
	size_t i;

	for (i = 0; i < storm->channels; i++)
		storm->places[i].channel = channel_or_die(sizeof(size_t),
				i % (storm->capacity_limit + 1));
}

TEST_UNUSED static void storm_close_books(struct storm_place *place)
{
	size_t item;

	while (co_channel_try_get(place->channel, &item) == 0) {
		counter_add(&place->got, 1);
		counter_add(&place->got_sum, item);
	}
	CO_EXPECT_EQ(counter_get(&place->sent), counter_get(&place->got));
	CO_EXPECT_EQ(counter_get(&place->sent_sum),
			counter_get(&place->got_sum));
	CO_EXPECT_EQ(co_channel_destroy(place->channel), 0);
}

/* Come between: cancel some tasks and close a channel. */
TEST_UNUSED static void storm_interfere(struct storm *storm,
		struct co_task **tasks)
{
	uint64_t random = ~storm->seed;
	size_t i;

	for (i = 0; i < storm->cancels; i++) {
		co_sleep((co_time)test_random_below(&random, 200000));
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	}
	if (storm->closes)
		CO_EXPECT_EQ(co_channel_close(storm->places[storm->channels
				- 1].channel), 0);
}

/* The whole storm, as a task; ARG is a struct storm. */
TEST_UNUSED static int storm_main(void *arg)
{
	struct storm *storm = arg;
	struct co_task *tasks[STORM_TASKS_MAX];
	struct test_thread threads[STORM_OUTSIDERS_MAX];
	size_t i;

	storm_open(storm);
	for (i = 0; i < storm->tasks; i++)
		tasks[i] = spawn_or_die(NULL, storm_task, storm);
	for (i = 0; i < storm->outsiders; i++)
		test_thread_start(&threads[i], co_loop_current(),
				storm_outsider, storm);
	storm_interfere(storm, tasks);
	for (i = 0; i < storm->tasks; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	for (i = 0; i < storm->outsiders; i++)
		test_thread_join(&threads[i]);
	for (i = 0; i < storm->channels; i++)
		storm_close_books(&storm->places[i]);
	return 0;
}

#endif
