/* SPDX-License-Identifier: MIT */

/* lane.c - rounds; see soak.h */

#include "soak.h"

enum { PARTS_MAX = 12 };

static co_task_fn *const kinds[] = { part_storm, part_pipeline, part_locks,
	part_timers, part_tree, part_net, part_threads, part_blocking,
	part_bridge };

/* The parts of one round. */
struct round_of {
	struct lane *lane;
	size_t count;
	struct part parts[PARTS_MAX];
	co_task_fn *fns[PARTS_MAX];
	struct test_counter next;
};

static int run_part(void *arg)
{
	struct round_of *round = arg;
	size_t me = counter_add(&round->next, 1);

	round->fns[me](&round->parts[me]);
	counter_add(&round->lane->progress, 1);

	return 0;
}

static int run_parts(void *arg)
{
	struct round_of *round = arg;

	spawn_and_join_all(round->count, run_part, round);

	return 0;
}

static struct co_loop *create_loop(struct lane *lane)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator counting = { test_allocate, test_release, NULL };
	struct co_loop *loop = NULL;

	options.threads = (unsigned)soak.torture.threads;
	if (options.threads == 0)
		options.threads = 1 + (unsigned)test_random_below(
				&lane->random, SOAK_THREADS_MAX);
	options.backend = test_random_below(&lane->random, 3) == 0 ? "poll"
			: "epoll";
	options.stack_size = (size_t)64 << 10;
	options.blocking_threads = 1 + (unsigned)test_random_below(
			&lane->random, 8);
	options.allocator = &counting;
	test_or_die(co_loop_create(&options, &loop));

	return loop;
}

/* All parts end, and so does the loop, without a task left. */
static void run_to_the_end(struct lane *lane, struct co_loop *loop)
{
	struct round_of round = { .lane = lane };
	struct co_loop_stats stats = { .size = sizeof stats };

	round.count = 1 + test_random_below(&lane->random, PARTS_MAX);
	for (size_t i = 0; i < round.count; i++) {
		round.parts[i].lane = lane;
		round.parts[i].random = test_random(&lane->random);
		round.fns[i] = kinds[test_random_below(&lane->random,
				sizeof kinds / sizeof *kinds)];
	}
	counter_set(&lane->begun, 0);
	counter_set(&lane->ended, 0);
	test_or_die(co_spawn(loop, run_parts, &round, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(counter_get(&lane->begun), counter_get(&lane->ended));
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	CO_EXPECT_EQ(stats.tasks, 0);
	counter_add(&soak.totals.tasks, (size_t)stats.spawned);
}

static void run_round(struct lane *lane)
{
	uint64_t seed = lane->random;
	struct co_loop *loop = create_loop(lane);
	int threads = co_loop_threads(loop);

	AO_store_release(&lane->loop, (AO_t)loop);
	if (test_random_below(&lane->random, 5) == 0)
		soak_abandon(lane, loop);
	else
		run_to_the_end(lane, loop);
	AO_store_release(&lane->loop, 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
	counter_add(&soak.totals.rounds, 1);
	counter_add(&lane->progress, 1);
	if (test_failures() > 0)
		printf("soak: failed in a round of %d threads, seed %#llx\n",
				threads, (unsigned long long)seed);
}

void *soak_lane(void *arg)
{
	struct lane *lane = arg;

	do
		run_round(lane);
	while (!AO_load_acquire(&soak.over) && test_failures() == 0);
	AO_store_release(&lane->done, 1);

	return NULL;
}
