/* SPDX-License-Identifier: MIT */

/*
 * spawn.c - a storm of spawn, join, detach and cancel on many threads
 *
 * Parents spawn children that live for a random time, and then join, detach or
 * cancel them, or hand them to whoever comes next through a few shared slots.
 * Foreign threads join in.  Every child must run exactly once, return what it
 * was told, and see a cancellation only if there was one.
 */

#include "torture.h"

enum {
	SLOTS = 16, PARENTS = 24, FOREIGNERS = 2, THREADS = 4, MARK = 0x5eed,
	LIVE_MOST = 4096	/* a stack takes two mappings on an old kernel */
};

struct storm {
	const struct torture *torture;
	struct co_loop *loop;
	struct test_counter rounds;
	struct test_counter seeds;
	struct test_counter spawned;
	struct test_counter ended;
	volatile AO_t slots[SLOTS];	/* atomic: a child to take, or 0 */
};

/* What a child is told.  It frees it. */
struct order {
	struct storm *storm;
	uint64_t random;
	bool may_be_cancelled;
};

/* --- Children ---------------------------------------------------------- */

static int live_a_little(struct order *order)
{
	size_t n = test_random_below(&order->random, 5);
	int rc = 0;

	switch (test_random_below(&order->random, 4)) {
	case 0:
		return 0;
	case 1:
		while (n-- > 0 && rc == 0)
			rc = co_yield();
		return rc;
	case 2:
		return co_sleep((co_time)n * 20 * CO_MICROSECOND);
	default:
		CO_WITH_DEADLINE(co_after((co_time)n * CO_MICROSECOND))
			rc = co_sleep(CO_MILLISECOND);
		return rc == -ETIMEDOUT ? 0 : rc;
	}
}

static int child(void *arg)
{
	struct order *order = arg;
	struct storm *storm = order->storm;
	int rc = live_a_little(order);

	if (rc != 0) {
		CO_EXPECT_EQ(rc, -ECANCELED);
		CO_EXPECT(order->may_be_cancelled);
	}
	free(order);
	counter_add(&storm->ended, 1);

	return MARK;
}

/*
 * Nobody waits for a detached child, so on a slow machine they would become
 * more and more, until no stack is left.  Foreign threads can't yield as a
 * task.
 */
static void wait_for_room(struct storm *storm)
{
	size_t ended = counter_get(&storm->ended);

	while (counter_get(&storm->spawned) - ended > LIVE_MOST) {
		if (co_yield() != 0)
			sched_yield();
		ended = counter_get(&storm->ended);
	}
}

static struct co_task *spawn_child(struct storm *storm, uint64_t *random,
		bool may_be_cancelled, bool detached)
{
	struct order *order = malloc(sizeof *order);
	struct co_task *task = NULL;

	wait_for_room(storm);
	test_die_unless(order != NULL, "malloc", __FILE__, __LINE__);
	order->storm = storm;
	order->random = test_random(random);
	order->may_be_cancelled = may_be_cancelled;
	counter_add(&storm->spawned, 1);
	test_or_die(co_spawn(storm->loop, child, order,
			detached ? NULL : &task));

	return task;
}

/* --- Parents ----------------------------------------------------------- */

static void join_child(struct co_task *task)
{
	int result = 0;

	CO_EXPECT_EQ(co_join(task, &result), 0);
	CO_EXPECT_EQ(result, MARK);
}

/* A join that gives up leaves the child to be joined. */
static void join_child_in_time(struct co_task *task, uint64_t *random)
{
	co_time patience = (co_time)test_random_below(random, 60000);
	int result = 0, rc = -EINVAL;

	CO_WITH_DEADLINE(co_after(patience))
		rc = co_join(task, &result);
	if (rc == -ETIMEDOUT)
		join_child(task);
	else if (CO_EXPECT_EQ(rc, 0))
		CO_EXPECT_EQ(result, MARK);
}

/* Put TASK (which may be NULL) into a slot; returns who was there. */
static struct co_task *exchange(volatile AO_t *slot, struct co_task *task)
{
	AO_t old = AO_load(slot), seen;

	while ((seen = AO_fetch_compare_and_swap_full(slot, old, (AO_t)task))
			!= old)
		old = seen;

	return (struct co_task *)old;
}

static void let_go(struct co_task *task, uint64_t *random)
{
	if (test_random_below(random, 2) == 0)
		CO_EXPECT_EQ(co_cancel(task), 0);
	if (test_random_below(random, 2) == 0)
		CO_EXPECT_EQ(co_detach(task), 0);
	else
		join_child(task);
}

static void one_round(struct storm *storm, uint64_t *random)
{
	size_t slot = test_random_below(random, SLOTS);
	struct co_task *task;

	switch (test_random_below(random, 5)) {
	case 0:
		join_child(spawn_child(storm, random, false, false));
		return;
	case 1:
		task = spawn_child(storm, random, false, false);
		join_child_in_time(task, random);
		return;
	case 2:
		spawn_child(storm, random, false, true);
		return;
	case 3:
		let_go(spawn_child(storm, random, true, false), random);
		return;
	default:
		task = spawn_child(storm, random, true, false);
		task = exchange(&storm->slots[slot], task);
		if (task != NULL)
			let_go(task, random);
	}
}

static int parent(void *arg)
{
	struct storm *storm = arg;
	uint64_t random = counter_add(&storm->seeds, 1);

	while (torture_goes_on(storm->torture, counter_get(&storm->rounds),
			storm->torture->end)) {
		one_round(storm, &random);
		counter_add(&storm->rounds, 1);
	}

	return 0;
}

/* A thread can't join who still runs: it detaches. */
static void foreigner(void *arg)
{
	struct storm *storm = arg;
	uint64_t random = counter_add(&storm->seeds, 1);
	struct co_task *task;
	size_t slot;

	while (torture_goes_on(storm->torture, counter_get(&storm->rounds),
			storm->torture->end)) {
		slot = test_random_below(&random, SLOTS);
		task = spawn_child(storm, &random, true, false);
		task = exchange(&storm->slots[slot], task);
		torture_dawdle(&random);
		if (task == NULL)
			continue;
		CO_EXPECT_EQ(co_cancel(task), 0);
		CO_EXPECT_EQ(co_detach(task), 0);
	}
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "spawn");
	struct storm storm = { .torture = &torture };
	struct test_thread threads[FOREIGNERS];
	struct co_task *task;
	size_t i;

	if (torture.threads == 0)
		torture.threads = THREADS;
	storm.loop = loop_or_die((unsigned)torture.threads);
	counter_set(&storm.seeds, (size_t)torture.seed);
	for (i = 0; i < PARENTS; i++)
		test_or_die(co_spawn(storm.loop, parent, &storm, NULL));
	for (i = 0; i < FOREIGNERS; i++)
		test_thread_start(&threads[i], storm.loop, foreigner, &storm);
	CO_EXPECT_EQ(co_loop_run(storm.loop), 0);
	for (i = 0; i < FOREIGNERS; i++)
		test_thread_join(&threads[i]);

	/* Whoever is left in a slot has ended: no task is needed to join. */
	for (i = 0; i < SLOTS; i++)
		if ((task = exchange(&storm.slots[i], NULL)) != NULL)
			join_child(task);
	CO_EXPECT_EQ(counter_get(&storm.ended), counter_get(&storm.spawned));
	CO_EXPECT_EQ(co_loop_destroy(storm.loop), 0);
	test_expect_no_leak();

	return torture_end(&torture, counter_get(&storm.rounds));
}
