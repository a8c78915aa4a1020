/* SPDX-License-Identifier: MIT */

/* test_bias.c - the door of a worker's queue, and who has it to himself */

#include "bias.h"
#include "test.h"

#include "loop.h"
#include "near.h"
#include "worker.h"

static void skip_without_barrier(void)
{
	if (!co__os_has_barrier())
		cr_skip_test("there is no membarrier(2) here");
}

/* --- One thread ---------------------------------------------------------- */

static AO_t mode_of(const struct co__bias *bias)
{
	return AO_load(&bias->state) & CO__BIAS_OWNED;
}

Test(bias, a_new_one_is_shared)
{
	struct co__bias bias = { .state = 0 };

	cr_assert_not(co__bias_enter(&bias));
	cr_assert(co__bias_visit(&bias));
	cr_assert_not(co__bias_enter(&bias));
	co__bias_end_visit(&bias);
}

Test(bias, the_owner_is_alone_once_it_has_taken_all)
{
	struct co__bias bias = { .state = 0 };

	co__bias_set(&bias, CO__BIAS_OWNED);
	cr_assert(co__bias_enter(&bias));
	co__bias_leave(&bias);
	co__bias_set(&bias, CO__BIAS_SHARED);
	cr_assert_not(co__bias_enter(&bias));
}

Test(bias, a_guest_ends_that_and_is_counted)
{
	struct co__bias bias = { .state = CO__BIAS_OWNED };

	skip_without_barrier();
	cr_assert(co__bias_visit(&bias));
	cr_assert_eq(mode_of(&bias), CO__BIAS_SHARED);
	cr_assert_eq(co__bias_visits(&bias), 1);
	co__bias_end_visit(&bias);
	cr_assert_eq(co__bias_visits(&bias), 1);
	cr_assert_not(co__bias_enter(&bias));
}

Test(bias, guests_are_inside_at_once)
{
	struct co__bias bias = { .state = CO__BIAS_OWNED };

	skip_without_barrier();
	for (int i = 0; i < 3; i++)
		cr_assert(co__bias_visit(&bias));
	cr_assert_eq(co__bias_visits(&bias), 3);
	for (int i = 0; i < 3; i++)
		co__bias_end_visit(&bias);
	cr_assert_eq(co__bias_visits(&bias), 3);
	co__bias_set(&bias, CO__BIAS_OWNED);
	cr_assert(co__bias_enter(&bias), "they have gone");
	co__bias_leave(&bias);
}

Test(bias, a_guest_goes_away_while_the_owner_is_inside)
{
	struct co__bias bias = { .state = CO__BIAS_OWNED };

	skip_without_barrier();
	cr_assert(co__bias_enter(&bias));
	cr_assert_not(co__bias_visit(&bias));
	co__bias_leave(&bias);
	cr_assert(co__bias_enter(&bias), "who went away is not counted");
	co__bias_leave(&bias);
	cr_assert_eq(co__bias_visits(&bias), 1, "but had come");
	cr_assert(co__bias_visit(&bias));
	co__bias_end_visit(&bias);
}

Test(bias, nothing_changes_while_a_guest_is_inside)
{
	struct co__bias bias = { .state = 0 };

	for (int i = 0; i < 2; i++)
		cr_assert(co__bias_visit(&bias));
	for (int i = 0; i < 2; i++) {
		co__bias_set(&bias, CO__BIAS_OWNED);
		cr_assert_eq(mode_of(&bias), CO__BIAS_SHARED);
		cr_assert_not(co__bias_enter(&bias));
		co__bias_end_visit(&bias);
	}
	co__bias_set(&bias, CO__BIAS_OWNED);
	cr_assert(co__bias_enter(&bias));
	co__bias_leave(&bias);
}

Test(bias, who_is_on_its_way_leaves_nobody_alone)
{
	struct co__bias bias = { .state = CO__BIAS_OWNED + CO__BIAS_GUEST };

	cr_assert_not(co__bias_enter(&bias));
	co__bias_set(&bias, CO__BIAS_SHARED);
	cr_assert_eq(mode_of(&bias), CO__BIAS_OWNED, "that is up to the guest");
}

/* They are a part of the word, which is small on some machines. */
Test(bias, the_number_of_visits_begins_anew)
{
	struct co__bias bias = { .state = (AO_t)0 - CO__BIAS_VISIT };

	cr_assert(co__bias_visit(&bias));
	cr_assert_eq(co__bias_visits(&bias), 0);
	co__bias_end_visit(&bias);
	cr_assert_eq(AO_load(&bias.state), 0);
}

/* --- Several ------------------------------------------------------------- */

struct house {
	struct co__bias bias;
	AO_t passed;		/* atomic; the owner alone just stores */
	struct test_counter visits;
	struct test_counter over;
};

static void *be_guest(void *arg)
{
	struct house *house = arg;

	while (counter_get(&house->over) == 0) {
		if (!co__bias_visit(&house->bias))
			continue;
		AO_fetch_and_add1(&house->passed);
		co__bias_end_visit(&house->bias);
		counter_add(&house->visits, 1);
	}

	return NULL;
}

Test(bias, what_the_owner_does_alone_is_not_disturbed)
{
	static struct house house;
	size_t passages = 0, i, rounds = 2000000 / test_divisor();
	pthread_t guests[2];

	skip_without_barrier();
	for (i = 0; i < 2; i++)
		test_or_die(pthread_create(&guests[i], NULL, be_guest, &house));
	for (i = 0; i < rounds; i++) {
		if (i % 64 == 0)
			co__bias_set(&house.bias, CO__BIAS_OWNED);
		if (!co__bias_enter(&house.bias))
			continue;
		AO_store(&house.passed, AO_load(&house.passed) + 1);
		co__bias_leave(&house.bias);
		passages++;
	}
	counter_add(&house.over, 1);
	for (i = 0; i < 2; i++)
		test_or_die(pthread_join(guests[i], NULL));
	cr_assert_eq(AO_load(&house.passed),
			passages + counter_get(&house.visits));
}

/* --- A worker's ---------------------------------------------------------- */

static AO_t mode_here(void)
{
	return mode_of(&co__worker_get()->bias);
}

static int yield_until_alone(void *arg)
{
	(void)arg;
	while (mode_here() != CO__BIAS_OWNED)
		CO_EXPECT_EQ(co_yield(), 0);

	return 0;
}

static void run_and_destroy(struct co_loop *loop)
{
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

/* To the time of a switch, the shortest that is seen. */
static int time_yields(void *ret_time)
{
	co_time *time = ret_time, begin, taken;
	struct co__worker *worker;
	AO_t switches;

	for (int i = 0; i < 200; i++) {
		worker = co__worker_get();
		switches = AO_load(&worker->switches);
		begin = co_now();
		for (unsigned n = 0; n < CO__LOOK_AROUND; n++)
			CO_EXPECT_EQ(co_yield(), 0);
		taken = co_now() - begin;
		switches = AO_load(&worker->switches) - switches;
		if (worker == co__worker_get() && switches > 0
				&& taken / (co_time)switches < *time)
			*time = taken / (co_time)switches;
	}

	return 0;
}

/* Where a switch takes too long nobody switches often. */
static void skip_where_switches_are_slow(void)
{
	co_time times[2] = { CO_SECOND, CO_SECOND };
	struct co_loop *loop = loop_or_die(2);

	for (int i = 0; i < 2; i++)
		test_or_die(co_spawn(loop, time_yields, &times[i], NULL));
	run_and_destroy(loop);
	if (times[0] > CO__FINE / 2 && times[1] > CO__FINE / 2)
		cr_skip_test("switches are too slow");
}

/* They are the only ones, and switch often. */
Test(bias, who_switches_often_has_all_to_itself)
{
	struct co_loop *loop;

	skip_without_barrier();
	skip_where_switches_are_slow();
	loop = loop_or_die(2);
	for (int i = 0; i < 3; i++)
		test_or_die(co_spawn(loop, yield_until_alone, NULL, NULL));
	run_and_destroy(loop);
}

static int expect_alone(void *arg)
{
	(void)arg;
	CO_EXPECT_EQ(mode_here(), CO__BIAS_OWNED);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(mode_here(), CO__BIAS_OWNED);

	return 0;
}

Test(bias, a_worker_without_others_has_all_to_itself_at_once)
{
	struct co_loop *loop = loop_or_die(1);

	test_or_die(co_spawn(loop, expect_alone, NULL, NULL));
	run_and_destroy(loop);
}

static int get_one(void *arg)
{
	CO_EXPECT_EQ(co_channel_get(arg, NULL), 0);

	return 0;
}

/* Somebody comes to WORKER, and the turn is over. */
static void have_guest(struct co__worker *worker)
{
	CO_EXPECT(co__bias_visit(&worker->bias));
	co__bias_end_visit(&worker->bias);
	co__near_set_bias(worker, true);
}

/* How many turns it takes until WORKER is alone; then somebody comes. */
static unsigned turns_until_alone(struct co__worker *worker)
{
	unsigned turns = 0;

	while (mode_of(&worker->bias) != CO__BIAS_OWNED) {
		co__near_set_bias(worker, true);
		turns++;
	}
	have_guest(worker);

	return turns;
}

static void be_robbed_often(struct co__worker *worker)
{
	unsigned patience;

	for (patience = 2; patience < 256; patience *= 2)
		CO_EXPECT_EQ(turns_until_alone(worker), patience);
	CO_EXPECT_EQ(turns_until_alone(worker), 256);
	CO_EXPECT_EQ(turns_until_alone(worker), 256);
	for (int turns = 0; turns < 1000; turns++)
		co__near_set_bias(worker, true);
	have_guest(worker);
	CO_EXPECT_EQ(turns_until_alone(worker), 4);
	co__near_set_bias(worker, false);
}

/* For each barrier interrupts all threads.  The loop doesn't run: a thread of
 * it that looks for work might come as well. */
Test(bias, who_is_robbed_again_and_again_waits_longer_to_be_alone)
{
	struct co_loop *loop;

	skip_without_barrier();
	loop = loop_or_die(2);
	be_robbed_often(&loop->workers[0]);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

/* Those who were woken wait in its worker's slot and queue. */
static int compute_alone(void *arg)
{
	struct co_channel *channel = arg;
	struct co_task *tasks[3];

	for (int i = 0; i < 3; i++)
		test_or_die(co_spawn(NULL, get_one, channel, &tasks[i]));
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	co__bias_set(&co__worker_get()->bias, CO__BIAS_OWNED);
	for (int i = 0; i < 3; i++)
		CO_EXPECT_EQ(co_channel_try_put(channel, NULL), 0);
	for (int i = 0; i < 3; i++)
		while (AO_load(&tasks[i]->in_use) != 0)
			sched_yield();
	for (int i = 0; i < 3; i++)
		CO_EXPECT_EQ(co_join(tasks[i], NULL), 0);

	return 0;
}

Test(bias, what_waits_behind_who_computes_is_taken_from_him)
{
	struct co_channel *channel = NULL;
	struct co_loop *loop;

	skip_without_barrier();
	loop = loop_or_die(2);
	test_or_die(co_channel_create(loop, 0, 3, &channel));
	test_or_die(co_spawn(loop, compute_alone, channel, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}
