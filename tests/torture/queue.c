/* SPDX-License-Identifier: MIT */

/*
 * queue.c - many threads put, one gets
 *
 * Items are numbered by their putter.  The getter sees that each putter's
 * come in order and none is missing, that what it wrote came along, and that
 * a get finds something if more was put than got before it began.  Each node
 * is overwritten and freed as soon as it is got.
 */

#include "torture.h"

enum { PUTTERS = 4, PUTTERS_MAX = 64, ITEMS = 20000, STAMP = 0x5a17 };

struct item {
	struct co_queue_node node;
	struct putter *putter;
	size_t number;
	size_t stamp;
};

struct putter {
	struct co_queue *queue;
	size_t items;
	size_t got;			/* owner: the getter */
	uint64_t random;
	struct test_counter put;	/* puts that have returned */
	pthread_t thread;
};

struct rig {
	struct co_queue queue;
	struct putter putters[PUTTERS_MAX];
	size_t count;
	size_t got;			/* owner: the getter */
};

static void put_one(struct putter *self, size_t number)
{
	struct item *item = malloc(sizeof *item);

	test_die_unless(item != NULL, "malloc", __FILE__, __LINE__);
	item->putter = self;
	item->number = number;
	item->stamp = STAMP + number;
	co_queue_put(self->queue, &item->node);
	counter_set(&self->put, number + 1);
}

static void *put_all(void *arg)
{
	struct putter *self = arg;
	size_t number = 0;

	while (number < self->items && test_failures() == 0) {
		size_t burst = 1 + test_random_below(&self->random, 500);

		while (burst-- > 0 && number < self->items)
			put_one(self, number++);
		torture_dawdle(&self->random);
	}

	return NULL;
}

static void take_apart(struct item *item)
{
	CO_EXPECT_EQ(item->number, item->putter->got++);
	CO_EXPECT_EQ(item->stamp, STAMP + item->number);
	memset(item, 0x5a, sizeof *item);
	free(item);
}

/* Items whose put has returned. */
static size_t count_put(const struct rig *rig)
{
	size_t sum = 0, i;

	for (i = 0; i < rig->count; i++)
		sum += counter_get(&rig->putters[i].put);

	return sum;
}

static bool get_one(struct rig *rig)
{
	size_t put = count_put(rig);
	bool empty = co_queue_is_empty(&rig->queue);
	struct co_queue_node *node = co_queue_get(&rig->queue);

	CO_EXPECT(put <= rig->got || !empty);
	CO_EXPECT(put <= rig->got || node != NULL);
	CO_EXPECT(empty || node != NULL);
	if (node == NULL)
		return false;
	rig->got++;
	take_apart((struct item *)(void *)node);

	return true;
}

/* Get until all has come, or something is wrong. */
static void get_all(struct rig *rig, uint64_t *random)
{
	size_t all = rig->count * ITEMS;

	while (rig->got < all && test_failures() == 0) {
		if (get_one(rig))
			continue;
		if (test_random_below(random, 2) == 0)
			torture_dawdle(random);
		else
			sched_yield();
	}
}

static void run_round(const struct torture *torture, uint64_t *random)
{
	static struct rig rig;
	size_t i;

	memset(&rig, 0, sizeof rig);
	co_queue_init(&rig.queue);
	rig.count = torture->threads;
	for (i = 0; i < rig.count; i++) {
		struct putter *putter = &rig.putters[i];

		putter->queue = &rig.queue;
		putter->items = ITEMS;
		putter->random = test_random(random);
		test_or_die(pthread_create(&putter->thread, NULL, put_all,
				putter));
	}
	get_all(&rig, random);
	for (i = 0; i < rig.count; i++)
		test_or_die(pthread_join(rig.putters[i].thread, NULL));
	if (test_failures() > 0)
		return;
	CO_EXPECT(co_queue_is_empty(&rig.queue));
	CO_EXPECT(co_queue_get(&rig.queue) == NULL);
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "queue");
	uint64_t random = torture.seed, round = 0;

	if (torture.threads == 0 || torture.threads > PUTTERS_MAX)
		torture.threads = PUTTERS;
	do {
		torture_enter("queue: put and get", 60);
		run_round(&torture, &random);
		round++;
	} while (torture_goes_on(&torture, round, torture.end));

	return torture_end(&torture, round);
}
