/* SPDX-License-Identifier: MIT */

/* parts.c - channels, locks, time and tasks; see soak.h */

#include "soak.h"

/* --- A storm ------------------------------------------------------------- */

int part_storm(void *arg)
{
	struct part *part = arg;
	struct storm storm = { .seed = part->random };

	storm.channels = 1 + part_draw(part, STORM_CHANNELS_MAX);
	storm.capacity_limit = part_draw(part, 4);
	storm.tasks = 2 + part_draw(part, 30);
	storm.cases = 1 + part_draw(part, STORM_CASES_MAX);
	storm.rounds = CO_TEST_SCALE(20 + part_draw(part, 200));
	storm.patience = 1000 << part_draw(part, 8);
	storm.cancels = part_draw(part, storm.tasks);
	storm.outsiders = part_draw(part, 3);
	storm.closes = part_draw(part, 4) == 0;
	storm_main(&storm);
	counter_add(&soak.totals.items, counter_get(&storm.moved));

	return 0;
}

/* --- A pipeline ---------------------------------------------------------- */

/*
 * Producers put numbers into the first channel, each stage takes them from one
 * and puts them into the next, and what comes out at the end are all numbers of
 * each producer, in their order.  Nobody has a deadline.
 */

enum { STAGES_MAX = 5, PRODUCERS_MAX = 6 };

struct pipeline {
	struct co_channel *channels[STAGES_MAX + 1];
	size_t stages, producers, each;
	struct test_counter begun, finished;
	size_t expected[PRODUCERS_MAX];		/* owner: the last stage */
};

static int produce(void *arg)
{
	struct pipeline *pipeline = arg;
	size_t me = counter_add(&pipeline->begun, 1);

	for (size_t i = 0; i < pipeline->each; i++)
		put_now(pipeline->channels[0], me + i * PRODUCERS_MAX);
	if (counter_add(&pipeline->finished, 1) + 1 == pipeline->producers)
		CO_EXPECT_EQ(co_channel_close(pipeline->channels[0]), 0);

	return 0;
}

/* Take from channel number STAGE, until it is closed. */
static void consume(struct pipeline *pipeline, size_t stage)
{
	bool last = stage == pipeline->stages;
	size_t number;

	while (co_channel_get(pipeline->channels[stage], &number) == 0) {
		if (last)
			CO_EXPECT_EQ(number / PRODUCERS_MAX,
					pipeline->expected[number
					% PRODUCERS_MAX]++);
		else
			put_now(pipeline->channels[stage + 1], number);
	}
	if (!last)
		CO_EXPECT_EQ(co_channel_close(
				pipeline->channels[stage + 1]), 0);
}

struct stage {
	struct pipeline *pipeline;
	size_t number;
};

static int run_stage(void *arg)
{
	struct stage *stage = arg;

	consume(stage->pipeline, stage->number);

	return 0;
}

static void open_pipeline(struct pipeline *pipeline, struct part *part)
{
	pipeline->stages = part_draw(part, STAGES_MAX);
	pipeline->producers = 1 + part_draw(part, PRODUCERS_MAX);
	pipeline->each = CO_TEST_SCALE(1 + part_draw(part, 500));
	for (size_t i = 0; i <= pipeline->stages; i++)
		pipeline->channels[i] = channel_or_die(sizeof(size_t),
				part_draw(part, 10));
}

int part_pipeline(void *arg)
{
	struct part *part = arg;
	struct pipeline pipeline = { .stages = 0 };
	struct stage stages[STAGES_MAX];
	struct co_task *tasks[STAGES_MAX + PRODUCERS_MAX];
	size_t n = 0;

	open_pipeline(&pipeline, part);
	for (size_t i = 0; i < pipeline.stages; i++) {
		stages[i] = (struct stage){ &pipeline, i };
		tasks[n++] = spawn_or_die(NULL, run_stage, &stages[i]);
	}
	for (size_t i = 0; i < pipeline.producers; i++)
		tasks[n++] = spawn_or_die(NULL, produce, &pipeline);
	consume(&pipeline, pipeline.stages);
	while (n > 0)
		CO_EXPECT_EQ(join_or_die(tasks[--n]), 0);
	for (size_t i = 0; i < pipeline.producers; i++)
		CO_EXPECT_EQ(pipeline.expected[i], pipeline.each);
	for (size_t i = 0; i <= pipeline.stages; i++)
		CO_EXPECT_EQ(co_channel_destroy(pipeline.channels[i]), 0);
	counter_add(&soak.totals.items, pipeline.each * pipeline.producers
			* (pipeline.stages + 1));

	return 0;
}

/* --- Locks --------------------------------------------------------------- */

enum { LOCKERS_MAX = 20 };

/* Plain on purpose: they are the lock's. */
struct held {
	size_t inside, grants;
};

struct vault {
	CO_LOCKED(struct held) held;
	size_t rounds;
	struct test_counter granted, begun;
	uint64_t random;
};

static void use_vault(struct vault *vault, struct held *held, bool yields)
{
	CO_EXPECT_EQ(held->inside++, 0);
	if (yields)
		co_yield();
	CO_EXPECT_EQ(held->inside--, 1);
	held->grants++;
	CO_EXPECT_EQ(co_locked_release(&vault->held), 0);
	counter_add(&vault->granted, 1);
}

static int ask_again_and_again(void *arg)
{
	struct vault *vault = arg;
	uint64_t random = vault->random + counter_add(&vault->begun, 1);

	for (size_t i = 0; i < vault->rounds; i++) {
		struct held *held = NULL;

		switch (test_random_below(&random, 8)) {
		case 0:
			held = co_locked_try_acquire(&vault->held);
			break;
		case 1:
			CO_WITH_DEADLINE(co_after((co_time)test_random_below(
					&random, 50000)))
				held = co_locked_acquire(&vault->held);
			break;
		default:
			held = co_locked_acquire(&vault->held);
		}
		if (held != NULL)
			use_vault(vault, held,
					test_random_below(&random, 4) == 0);
	}

	return 0;
}

int part_locks(void *arg)
{
	struct part *part = arg;
	struct vault vault = { .held = CO_LOCKED_INIT({ 0, 0 }) };
	struct co_task *tasks[LOCKERS_MAX];
	size_t n = 1 + part_draw(part, LOCKERS_MAX);
	size_t cancels = part_draw(part, 2) * part_draw(part, n);

	vault.rounds = CO_TEST_SCALE(10 + part_draw(part, 300));
	vault.random = test_random(&part->random);
	for (size_t i = 0; i < n; i++)
		tasks[i] = spawn_or_die(NULL, ask_again_and_again, &vault);
	for (size_t i = 0; i < cancels; i++)
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	for (size_t i = 0; i < n; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(vault.held.value_.grants, counter_get(&vault.granted));
	CO_EXPECT_EQ(co_locked_deinit(&vault.held), 0);
	counter_add(&soak.totals.locks, counter_get(&vault.granted));

	return 0;
}

/* --- Time ---------------------------------------------------------------- */

enum { SLEEPERS_MAX = 40 };

/* Sleeps and deadlines end in time, never before. */
static void sleep_once(struct part *part, struct co_channel *silent)
{
	co_time length = (co_time)part_draw(part, 2000000);
	co_time deadline = co_after((co_time)part_draw(part, 2000000));
	co_time before = co_now();
	char item;
	int rc = 0;

	switch (part_draw(part, 3)) {
	case 0:
		CO_EXPECT_EQ(co_sleep(length), 0);
		CO_EXPECT(co_now() - before >= length);
		return;
	case 1:
		CO_WITH_DEADLINE(deadline)
			rc = co_sleep(length);
		CO_EXPECT(rc == 0 ? co_now() - before >= length
				: co_now() >= deadline);
		break;
	default:
		CO_WITH_DEADLINE(deadline)
			rc = co_channel_get(silent, &item);
		CO_EXPECT(co_now() >= deadline);
		CO_EXPECT_EQ(rc, -ETIMEDOUT);
	}
	CO_EXPECT(rc == 0 || rc == -ETIMEDOUT);
}

struct dormitory {
	struct part *part;
	struct co_channel *silent;
	struct test_counter begun;
};

static int sleep_again_and_again(void *arg)
{
	struct dormitory *dormitory = arg;
	struct part part = { NULL, dormitory->part->random
		+ counter_add(&dormitory->begun, 1) };
	size_t rounds = 1 + part_draw(&part, 15);

	for (size_t i = 0; i < rounds; i++)
		sleep_once(&part, dormitory->silent);
	counter_add(&soak.totals.sleeps, rounds);

	return 0;
}

int part_timers(void *arg)
{
	struct dormitory dormitory = { .part = arg };

	dormitory.silent = channel_or_die(1, 0);
	spawn_and_join_all(1 + part_draw(arg, SLEEPERS_MAX),
			sleep_again_and_again, &dormitory);
	CO_EXPECT_EQ(co_channel_destroy(dormitory.silent), 0);

	return 0;
}

/* --- Tasks --------------------------------------------------------------- */

enum { CHILDREN_MAX = 4, DEPTH_MAX = 5 };

/* A task that spawns others.  The memory is its own. */
struct node {
	struct part part;
	size_t depth;
};

static int live(void *arg);

/* A child, or NULL if it is detached from the beginning. */
static struct co_task *bear_child(struct node *parent)
{
	struct node *child = malloc(sizeof *child);
	struct co_task *task = NULL;
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	bool detached = part_draw(&parent->part, 8) == 0;

	test_die_unless(child != NULL, "malloc", __FILE__, __LINE__);
	child->part.lane = parent->part.lane;
	child->part.random = test_random(&parent->part.random);
	child->depth = parent->depth - 1;
	attr.pinned = part_draw(&parent->part, 16) == 0;
	counter_add(&parent->part.lane->begun, 1);
	test_or_die(co_spawn_with(NULL, &attr, live, child, detached ? NULL
			: &task));

	return task;
}

static void part_with(struct node *parent, struct co_task *task)
{
	int masked = co_cancel_mask(1);

	switch (part_draw(&parent->part, 6)) {
	case 0:
		CO_EXPECT_EQ(co_detach(task), 0);
		break;
	case 1:
		CO_EXPECT_EQ(co_cancel(task), 0);
		CO_EXPECT_EQ(join_or_die(task), (int)parent->depth - 1);
		break;
	default:
		CO_EXPECT_EQ(join_or_die(task), (int)parent->depth - 1);
	}
	co_cancel_mask(masked);
}

static int live(void *arg)
{
	struct node *self = arg;
	struct co_task *tasks[CHILDREN_MAX];
	size_t depth = self->depth;
	size_t n = depth == 0 ? 0 : part_draw(&self->part, CHILDREN_MAX + 1);

	for (size_t i = 0; i < n; i++)
		tasks[i] = bear_child(self);
	if (part_draw(&self->part, 4) == 0)
		co_sleep((co_time)part_draw(&self->part, 100000));
	for (size_t i = 0; i < n; i++)
		if (tasks[i] != NULL)
			part_with(self, tasks[i]);
	counter_add(&self->part.lane->ended, 1);
	free(self);

	return (int)depth;
}

int part_tree(void *arg)
{
	struct part *part = arg;
	struct node root = { *part, DEPTH_MAX };

	for (size_t i = CO_TEST_SCALE(1 + part_draw(part, 5)); i > 0; i--) {
		struct co_task *task = bear_child(&root);

		if (task != NULL)
			CO_EXPECT_EQ(join_or_die(task), DEPTH_MAX - 1);
	}

	return 0;
}
