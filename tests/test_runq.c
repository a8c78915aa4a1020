/* SPDX-License-Identifier: MIT */

#include "runq.h"
#include "test.h"

#include "task.h"

#include "inject.h"

#include <sched.h>

/* The queue never looks into a task: a number does, and 0 is none. */
static struct co_task *item(size_t number)
{
	return (struct co_task *)number;
}

static size_t pop(struct co__runq *queue)
{
	return (size_t)co__runq_pop(queue);
}

/* Append the numbers from FIRST on; returns how many there was room for. */
static size_t push_some(struct co__runq *queue, size_t first, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!co__runq_push(queue, item(first + i)))
			break;
	return i;
}

/* A queue whose counters are about to be START. */
static void begin_at(struct co__runq *queue, size_t start)
{
	memset(queue, 0, sizeof *queue);
	queue->head = start;
	queue->tail = start;
}

/* --- One thread ------------------------------------------------------- */

Test(runq, an_empty_queue_gives_nothing)
{
	struct co__runq queue;
	struct co_task *stolen[4];

	begin_at(&queue, 0);
	cr_assert_null(co__runq_pop(&queue));
	cr_assert_eq(co__runq_steal(&queue, stolen, 4), 0);
	cr_assert_eq(co__runq_length(&queue), 0);
}

Test(runq, first_in_is_first_out)
{
	struct co__runq queue;

	begin_at(&queue, 0);
	push_some(&queue, 1, 3);
	cr_assert_eq(co__runq_length(&queue), 3);
	cr_assert_eq(pop(&queue), 1);
	push_some(&queue, 4, 1);
	for (size_t i = 2; i <= 4; i++)
		cr_assert_eq(pop(&queue), i);
	cr_assert_null(co__runq_pop(&queue));
}

/* An odd number is a task that has never run: CO__RUNQ_NEW. */
Test(runq, who_takes_only_new_ones_stops_at_the_first_that_has_run)
{
	struct co__runq queue;
	struct co_task *stolen[4];

	begin_at(&queue, 0);
	cr_assert(co__runq_push(&queue, item(3)));
	for (size_t number = 4; number <= 8; number += 2)
		cr_assert(co__runq_push(&queue, item(number)));
	cr_assert_eq(co__runq_rob(&queue, stolen, 4, true), 1);
	cr_assert_eq((size_t)stolen[0], 3);
	cr_assert_eq(co__runq_rob(&queue, stolen, 4, true), 0);
	cr_assert_eq(co__runq_rob(&queue, stolen, 4, false), 2);
	cr_assert_eq((size_t)stolen[1], 6);
}

Test(runq, a_full_queue_refuses_and_stays_as_it_is)
{
	struct co__runq queue;

	begin_at(&queue, 0);
	cr_assert_eq(push_some(&queue, 1, 2 * CO__RUNQ_SIZE), CO__RUNQ_SIZE);
	cr_assert_eq(co__runq_length(&queue), CO__RUNQ_SIZE);
	cr_assert_not(co__runq_push(&queue, item(77777)));
	for (size_t i = 1; i <= CO__RUNQ_SIZE; i++)
		cr_assert_eq(pop(&queue), i);
	cr_assert_null(co__runq_pop(&queue));
}

Test(runq, one_that_was_taken_makes_room_for_one)
{
	struct co__runq queue;

	begin_at(&queue, 0);
	push_some(&queue, 1, CO__RUNQ_SIZE);
	for (size_t i = 1; i <= 3 * CO__RUNQ_SIZE; i++) {
		cr_assert_eq(pop(&queue), i);
		cr_assert(co__runq_push(&queue, item(i + CO__RUNQ_SIZE)));
		cr_assert_not(co__runq_push(&queue, item(77777)));
	}
}

/* The counters count for ever, also past the largest number. */
Test(runq, the_counters_may_wrap_around)
{
	struct co__runq queue;
	struct co_task *stolen[CO__RUNQ_SIZE];

	begin_at(&queue, (size_t)0 - CO__RUNQ_SIZE / 2);
	cr_assert_eq(push_some(&queue, 1, 2 * CO__RUNQ_SIZE), CO__RUNQ_SIZE);
	cr_assert_eq(co__runq_length(&queue), CO__RUNQ_SIZE);
	cr_assert_eq(co__runq_steal(&queue, stolen, 10), 10);
	for (size_t i = 0; i < 10; i++)
		cr_assert_eq(stolen[i], item(i + 1));
	for (size_t i = 11; i <= CO__RUNQ_SIZE; i++)
		cr_assert_eq(pop(&queue), i);
	cr_assert_null(co__runq_pop(&queue));
	cr_assert_eq(co__runq_length(&queue), 0);
}

Test(runq, a_thief_takes_the_older_half)
{
	struct co__runq queue;
	struct co_task *stolen[CO__RUNQ_SIZE];

	for (size_t count = 1; count <= 9; count++) {
		begin_at(&queue, 0);
		push_some(&queue, 1, count);
		cr_assert_eq(co__runq_steal(&queue, stolen, CO__RUNQ_SIZE),
				(count + 1) / 2);
		for (size_t i = 0; i < (count + 1) / 2; i++)
			cr_assert_eq(stolen[i], item(i + 1));
		cr_assert_eq(co__runq_length(&queue), count / 2);
	}
}

Test(runq, a_thief_takes_no_more_than_it_asked_for)
{
	struct co__runq queue;
	struct co_task *stolen[4] = { item(0), item(0), item(0), item(9) };

	begin_at(&queue, 0);
	push_some(&queue, 1, 100);
	cr_assert_eq(co__runq_steal(&queue, stolen, 3), 3);
	cr_assert_eq(stolen[3], item(9));
	cr_assert_eq(co__runq_steal(&queue, stolen, 0), 0);
	cr_assert_eq(pop(&queue), 4);
}

/* --- The owner and thieves -------------------------------------------- */

#define THIEVES 3

struct robbery {
	struct co__runq queue;
	size_t count;
	struct test_counter *taken;	/* how often each was taken */
	struct test_counter total;
	struct test_counter done;
};

static void note(struct robbery *robbery, struct co_task *task)
{
	size_t number = (size_t)task;

	if (!CO_EXPECT(number >= 1 && number <= robbery->count))
		return;
	CO_EXPECT_EQ(counter_add(&robbery->taken[number - 1], 1), 0);
	counter_add(&robbery->total, 1);
}

static void steal_until_done(void *arg)
{
	struct robbery *robbery = arg;
	struct co_task *stolen[32];
	size_t last;

	while (!counter_get(&robbery->done)) {
		unsigned n = co__runq_steal(&robbery->queue, stolen, 32);

		CO_EXPECT(n <= 32);
		last = 0;
		for (unsigned i = 0; i < n; i++) {
			CO_EXPECT((size_t)stolen[i] > last);
			last = (size_t)stolen[i];
			note(robbery, stolen[i]);
		}
		if (n == 0)
			sched_yield();
	}
}

/* Append all, and take some now and then, as a worker does. */
static void work(struct robbery *robbery, uint64_t seed)
{
	struct co_task *task;
	size_t next = 1;

	while (next <= robbery->count) {
		size_t burst = 1 + test_random_below(&seed, 2 * CO__RUNQ_SIZE);

		if (burst > robbery->count + 1 - next)
			burst = robbery->count + 1 - next;
		next += push_some(&robbery->queue, next, burst);
		burst = test_random_below(&seed, CO__RUNQ_SIZE);
		while (burst-- > 0 && (task = co__runq_pop(&robbery->queue))
				!= NULL)
			note(robbery, task);
	}
	while ((task = co__runq_pop(&robbery->queue)) != NULL)
		note(robbery, task);
}

Test(runq, owner_and_thieves_take_each_exactly_once)
{
	static struct robbery robbery;
	struct test_thread thieves[THIEVES];
	co_time end = co_now() + 2 * CO_SECOND;
	size_t rounds = 0;

	robbery.count = CO_TEST_SCALE(200000);
	robbery.taken = calloc(robbery.count, sizeof *robbery.taken);
	cr_assert_not_null(robbery.taken);
	while (rounds < 20 && co_now() < end) {
		begin_at(&robbery.queue, (size_t)0 - CO__RUNQ_SIZE);
		memset(robbery.taken, 0, robbery.count * sizeof *robbery.taken);
		counter_set(&robbery.total, 0);
		counter_set(&robbery.done, 0);
		for (int i = 0; i < THIEVES; i++)
			test_thread_start(&thieves[i], NULL, steal_until_done,
					&robbery);
		work(&robbery, ++rounds);
		counter_set(&robbery.done, 1);
		for (int i = 0; i < THIEVES; i++)
			test_thread_join(&thieves[i]);
		cr_assert_eq(counter_get(&robbery.total), robbery.count);
	}
	free(robbery.taken);
}

/* --- The queue for what comes from outside ---------------------------- */

static void begin_inject(struct co__inject *inject)
{
	memset(inject, 0, sizeof *inject);
	co_queue_init(&inject->queue);
}

Test(inject, ticks_come_out_in_the_order_they_went_in)
{
	struct co__inject inject;
	struct co_tick ticks[10], *taken[10];

	begin_inject(&inject);
	cr_assert_not(co__inject_has_some(&inject));
	cr_assert_eq(co__inject_take(&inject, taken, 10), 0);
	for (int i = 0; i < 10; i++)
		co__inject_put(&inject, &ticks[i]);
	cr_assert(co__inject_has_some(&inject));
	cr_assert_eq(co__inject_take(&inject, taken, 10), 10);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(taken[i], &ticks[i]);
	cr_assert_not(co__inject_has_some(&inject));
}

/* Once taken in part, the rest is out of the inbox, and yet to be seen. */
Test(inject, what_is_left_is_seen_and_comes_before_what_follows)
{
	struct co__inject inject;
	struct co_tick ticks[6], *taken[6];

	begin_inject(&inject);
	for (int i = 0; i < 5; i++)
		co__inject_put(&inject, &ticks[i]);
	cr_assert_eq(co__inject_take(&inject, taken, 2), 2);
	cr_assert(co__inject_has_some(&inject));
	co__inject_put(&inject, &ticks[5]);
	cr_assert_eq(co__inject_take(&inject, taken + 2, 3), 3);
	cr_assert(co__inject_has_some(&inject));
	cr_assert_eq(co__inject_take(&inject, taken + 5, 1), 1);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(taken[i], &ticks[i]);
	cr_assert_not(co__inject_has_some(&inject));
}

Test(inject, who_finds_another_taking_takes_nothing)
{
	struct co__inject inject;
	struct co_tick tick, *taken;

	begin_inject(&inject);
	co__inject_put(&inject, &tick);
	cr_assert(co__spin_try(&inject.lock));
	cr_assert_eq(co__inject_take(&inject, &taken, 1), 0);
	cr_assert(co__inject_has_some(&inject));
	co__spin_release(&inject.lock);
	cr_assert_eq(co__inject_take(&inject, &taken, 1), 1);
	cr_assert_eq(taken, &tick);
	/* Its lock is free again. */
	cr_assert(co__spin_try(&inject.lock));
}

#define PUTTERS 2

struct parcel {
	struct co_tick tick;
	size_t from, number;
};

struct post {
	struct co__inject inject;
	size_t count;			/* of each putter */
	struct parcel *parcels[PUTTERS];
	struct test_counter taken[PUTTERS];
	struct test_counter next_putter;
};

static void put_parcels(void *arg)
{
	struct post *post = arg;
	size_t self = counter_add(&post->next_putter, 1);

	for (size_t i = 0; i < post->count; i++) {
		post->parcels[self][i].from = self;
		post->parcels[self][i].number = i;
		co__inject_put(&post->inject, &post->parcels[self][i].tick);
	}
}

/* Each taker sees the parcels of one putter in their order. */
static void take_parcels(void *arg)
{
	struct post *post = arg;
	struct co_tick *ticks[16];
	size_t least[PUTTERS] = { 0 };

	while (counter_get(&post->taken[0]) < post->count
			|| counter_get(&post->taken[1]) < post->count) {
		unsigned n = co__inject_take(&post->inject, ticks, 16);

		for (unsigned i = 0; i < n; i++) {
			struct parcel *parcel = (void *)ticks[i];

			CO_EXPECT(parcel->number >= least[parcel->from]);
			least[parcel->from] = parcel->number + 1;
			counter_add(&post->taken[parcel->from], 1);
		}
		if (n == 0)
			sched_yield();
	}
}

Test(inject, takers_share_what_putters_put)
{
	static struct post post;
	struct test_thread threads[2 * PUTTERS];

	begin_inject(&post.inject);
	post.count = CO_TEST_SCALE(200000);
	for (int i = 0; i < PUTTERS; i++) {
		post.parcels[i] = calloc(post.count, sizeof(struct parcel));
		cr_assert_not_null(post.parcels[i]);
	}
	for (int i = 0; i < 2 * PUTTERS; i++)
		test_thread_start(&threads[i], NULL, i < PUTTERS ? put_parcels
				: take_parcels, &post);
	for (int i = 0; i < 2 * PUTTERS; i++)
		test_thread_join(&threads[i]);
	for (int i = 0; i < PUTTERS; i++) {
		cr_assert_eq(counter_get(&post.taken[i]), post.count);
		free(post.parcels[i]);
	}
	cr_assert_not(co__inject_has_some(&post.inject));
}
