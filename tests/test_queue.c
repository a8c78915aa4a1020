/* SPDX-License-Identifier: MIT */

#include "test.h"

#include <sched.h>
#include <unistd.h>

#include "trap.h"

struct item {
	struct co_queue_node node;
	size_t number;
};

static struct item *item_of(struct co_queue_node *node)
{
	return (struct item *)(void *)node;
}

/* The number of the oldest item, 0 if there is none. */
static size_t get_number_of(struct co_queue *queue)
{
	struct co_queue_node *node = co_queue_get(queue);

	return node != NULL ? item_of(node)->number : 0;
}

/* Put the COUNT items, numbered from FIRST. */
static void put_items(struct co_queue *queue, struct item *items, size_t count,
		size_t first)
{
	for (size_t i = 0; i < count; i++) {
		items[i].number = first + i;
		co_queue_put(queue, &items[i].node);
	}
}

/* --- One thread ------------------------------------------------------- */

Test(queue, a_new_queue_is_empty)
{
	struct co_queue made, constant = CO_QUEUE_INIT;

	co_queue_init(&made);
	cr_assert(co_queue_is_empty(&made));
	cr_assert(co_queue_is_empty(&constant));
}

Test(queue, an_empty_queue_gives_nothing)
{
	struct co_queue queue = CO_QUEUE_INIT;

	cr_assert_null(co_queue_get(&queue));
	cr_assert_null(co_queue_get(&queue));
}

Test(queue, first_in_is_first_out)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item items[5];

	put_items(&queue, items, 5, 1);
	for (size_t i = 1; i <= 5; i++)
		cr_assert_eq(get_number_of(&queue), i);
	cr_assert_null(co_queue_get(&queue));
}

Test(queue, what_is_put_between_gets_comes_after_what_was_there)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item items[6];

	put_items(&queue, items, 3, 1);
	cr_assert_eq(get_number_of(&queue), 1);
	put_items(&queue, items + 3, 3, 4);
	for (size_t i = 2; i <= 6; i++)
		cr_assert_eq(get_number_of(&queue), i);
}

Test(queue, it_is_empty_when_all_was_got_and_not_before)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item items[3];

	put_items(&queue, items, 3, 1);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_not(co_queue_is_empty(&queue));
		co_queue_get(&queue);
	}
	cr_assert(co_queue_is_empty(&queue));
}

Test(queue, a_put_is_seen_while_older_items_are_served)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item items[2];

	put_items(&queue, items, 1, 1);
	co_queue_get(&queue);
	put_items(&queue, items + 1, 1, 2);
	cr_assert_not(co_queue_is_empty(&queue));
}

Test(queue, a_node_that_was_got_is_the_callers_again)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item items[2];

	put_items(&queue, items, 2, 1);
	memset(co_queue_get(&queue), 0xa5, sizeof items[0]);
	cr_assert_eq(get_number_of(&queue), 2);
	put_items(&queue, items, 1, 3);
	cr_assert_eq(get_number_of(&queue), 3);
}

/* --- A call that is interrupted --------------------------------------- */

static struct item *make_item(size_t number, void (*spring)(void))
{
	struct item *item = make_trap(spring);

	item->number = number;

	return item;
}

static struct co_queue interrupted = CO_QUEUE_INIT;

static void get_nothing(void)
{
	CO_EXPECT(co_queue_get(&interrupted) == NULL);
}

/* A putter that chose where to put before a get, and puts there after it, is
 * overtaken by its own next put. */
Test(queue, a_get_amid_a_put_does_not_change_the_order)
{
	struct item *first = make_item(1, get_nothing);
	struct item second = { .number = 2 };

	arm_trap();
	co_queue_put(&interrupted, &first->node);
	co_queue_put(&interrupted, &second.node);
	cr_assert_eq(get_number_of(&interrupted), 1);
	cr_assert_eq(get_number_of(&interrupted), 2);
}

Test(queue, a_get_amid_a_put_does_not_hide_what_is_put)
{
	struct item *item = make_item(1, get_nothing);

	arm_trap();
	co_queue_put(&interrupted, &item->node);
	cr_assert_not(co_queue_is_empty(&interrupted));
	cr_assert_eq(get_number_of(&interrupted), 1);
}

static struct item late = { .number = 1 };

static void put_late(void)
{
	co_queue_put(&interrupted, &late.node);
}

Test(queue, a_put_amid_a_put_comes_first)
{
	struct item *item = make_item(2, put_late);

	arm_trap();
	co_queue_put(&interrupted, &item->node);
	cr_assert_eq(get_number_of(&interrupted), 1);
	cr_assert_eq(get_number_of(&interrupted), 2);
	cr_assert(co_queue_is_empty(&interrupted));
}

static void get_late_and_put_it_again(void)
{
	CO_EXPECT_EQ(get_number_of(&interrupted), 1);
	put_late();
}

/* The putter finds the same address as before, by chance. */
Test(queue, a_node_may_be_got_and_put_again_amid_a_put)
{
	struct item *item = make_item(2, get_late_and_put_it_again);

	put_late();
	arm_trap();
	co_queue_put(&interrupted, &item->node);
	cr_assert_eq(get_number_of(&interrupted), 1);
	cr_assert_eq(get_number_of(&interrupted), 2);
	cr_assert(co_queue_is_empty(&interrupted));
}

/* --- Several threads -------------------------------------------------- */

enum { PUTTERS = 2 };

struct putter {
	struct co_queue *queue;
	struct item *items;
	size_t count;
	size_t got;			/* owner: the getter; in order */
	struct test_counter put;	/* puts that have returned */
	pthread_t thread;
};

static void *put_all(void *arg)
{
	struct putter *self = arg;

	for (size_t i = 0; i < self->count; i++) {
		self->items[i].number = i;
		co_queue_put(self->queue, &self->items[i].node);
		counter_set(&self->put, i + 1);
	}

	return NULL;
}

static void putter_start(struct putter *self, struct co_queue *queue,
		size_t count)
{
	*self = (struct putter) { .queue = queue, .count = count };
	self->items = calloc(count, sizeof *self->items);
	test_die_unless(self->items != NULL, "calloc", __FILE__, __LINE__);
	test_or_die(pthread_create(&self->thread, NULL, put_all, self));
}

static void putter_end(struct putter *self)
{
	test_or_die(pthread_join(self->thread, NULL));
	free(self->items);
}

static struct putter *putter_of(struct putter *putters,
		const struct item *item)
{
	uintptr_t at = (uintptr_t)item;

	for (size_t i = 0; i < PUTTERS; i++) {
		struct item *items = putters[i].items;

		if (at >= (uintptr_t)items
				&& at < (uintptr_t)(items + putters[i].count))
			return &putters[i];
	}

	return NULL;
}

/* Get the next item and see that it is the next of its putter. */
static bool get_in_order(struct co_queue *queue, struct putter *putters)
{
	struct co_queue_node *node = co_queue_get(queue);
	struct putter *putter;

	if (node == NULL)
		return false;
	putter = putter_of(putters, item_of(node));
	if (CO_EXPECT(putter != NULL))
		CO_EXPECT_EQ(item_of(node)->number, putter->got++);

	return true;
}

/* A put that chooses between two places and then takes its time can be
 * overtaken by the next put of the same thread. */
Test(queue, the_order_of_each_putter_holds_while_all_put_and_one_gets)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct putter putters[PUTTERS];
	size_t count = CO_TEST_SCALE(200000), left = PUTTERS * count;

	for (size_t i = 0; i < PUTTERS; i++)
		putter_start(&putters[i], &queue, count);
	while (left > 0 && test_failures() == 0) {
		if (get_in_order(&queue, putters))
			left--;
		else
			sched_yield();
	}
	for (size_t i = 0; i < PUTTERS; i++)
		putter_end(&putters[i]);
	cr_assert(co_queue_is_empty(&queue));
}

/* Nothing more is put until the item is got: no later put can make up for one
 * that a get missed.  On one processor each turn of the other takes milliseconds,
 * so not all may be put in time. */
static void *put_one_by_one(void *arg)
{
	struct putter *self = arg;
	co_time end = co_after(15 * CO_SECOND);

	for (size_t i = 0; i < self->count && co_now() < end; i++) {
		co_queue_put(self->queue, &self->items[0].node);
		counter_set(&self->put, i + 1);
		while (counter_get(&self->put) == i + 1)
			sched_yield();
	}
	counter_set(&self->put, SIZE_MAX);

	return NULL;
}

Test(queue, a_get_finds_what_was_put_before_it_began)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct item item;
	struct putter putter = { .queue = &queue, .items = &item };
	size_t got = 0, missed = 0;

	putter.count = CO_TEST_SCALE(20000);
	test_or_die(pthread_create(&putter.thread, NULL, put_one_by_one,
			&putter));
	while (counter_get(&putter.put) != SIZE_MAX) {
		bool is_put = counter_get(&putter.put) == got + 1;
		struct co_queue_node *node = co_queue_get(&queue);

		if (node == NULL) {
			missed += is_put;
			continue;
		}
		got++;
		while (counter_get(&putter.put) != got)
			sched_yield();
		counter_set(&putter.put, 0);
	}
	test_or_die(pthread_join(putter.thread, NULL));
	cr_assert_gt(got, 0);
	cr_assert_eq(missed, 0);
}

Test(queue, it_is_not_empty_once_a_put_has_returned)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct putter putters[PUTTERS];
	size_t count = CO_TEST_SCALE(100000), missed = 0, got = 0;

	for (size_t i = 0; i < PUTTERS; i++)
		putter_start(&putters[i], &queue, count);
	while (got < PUTTERS * count) {
		size_t put = 0;

		for (size_t i = 0; i < PUTTERS; i++)
			put += counter_get(&putters[i].put);
		missed += put > got && co_queue_is_empty(&queue);
		got += co_queue_get(&queue) != NULL;
	}
	for (size_t i = 0; i < PUTTERS; i++)
		putter_end(&putters[i]);
	cr_assert_eq(missed, 0);
}

Test(queue, the_getter_sees_what_the_putter_wrote_before)
{
	struct co_queue queue = CO_QUEUE_INIT;
	struct putter putters[PUTTERS];
	size_t count = CO_TEST_SCALE(50000), sum = 0, left = PUTTERS * count;

	for (size_t i = 0; i < PUTTERS; i++)
		putter_start(&putters[i], &queue, count);
	while (left > 0) {
		struct co_queue_node *node = co_queue_get(&queue);

		if (node == NULL)
			continue;
		sum += item_of(node)->number;
		left--;
	}
	for (size_t i = 0; i < PUTTERS; i++)
		putter_end(&putters[i]);
	cr_assert_eq(sum, PUTTERS * (count * (count - 1) / 2));
}
