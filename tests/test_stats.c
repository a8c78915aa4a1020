/* SPDX-License-Identifier: MIT */

/* test_stats.c - the figures of a loop: co_loop(3) */

#include "test.h"

#include <unistd.h>

/* --- Tasks ------------------------------------------------------------- */

static int get(void *arg)
{
	return co_channel_get(arg, NULL);
}

static int read_one(void *arg)
{
	char byte;

	return (int)co_io_read(arg, &byte, 1);
}

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

/* --- Figures ----------------------------------------------------------- */

CO_TEST(stats, they_count)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct co_loop *loop = co_loop_current();
	struct co_task *task = spawn_or_die(NULL, sleep_for_ever, NULL);
	int i;

	/* A sleep that is over before the thread looks needs no poll; and who
	 * lets its timer go off may count that after this task goes on. */
	for (i = 0; i < 100 && (stats.polls == 0 || stats.timers == 0); i++) {
		co_sleep(20 * CO_MILLISECOND);
		CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	}
	CO_EXPECT_EQ(stats.size, sizeof stats);
	CO_EXPECT_EQ(stats.threads, co_loop_threads(loop));
	CO_EXPECT(stats.idle < stats.threads);
	CO_EXPECT_EQ(stats.tasks, 2);
	CO_EXPECT_EQ(stats.spawned, 2);
	CO_EXPECT(stats.switches >= 1);
	CO_EXPECT(stats.timers >= 1);
	CO_EXPECT(stats.polls >= 1);
	CO_EXPECT(stats.stacks >= 2);
	CO_EXPECT(stats.stack_bytes >= 2 * 65536);
	CO_EXPECT_EQ(stats.stalls, 0);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	CO_EXPECT_EQ(stats.tasks, 1);
	CO_EXPECT_EQ(stats.spawned, 2);

	stats.size = 0;
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), -EINVAL);

	return 0;
}

static int take_turns(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < 10; i++)
		CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(join_or_die(spawn_or_die(NULL, end_at_once, NULL)), 0);

	return 0;
}

Test(stats, they_are_exact_when_the_loop_is_still)
{
	struct co_loop *loop = loop_or_die(1);
	struct co_loop_stats stats;

	test_or_die(co_spawn(loop, take_turns, NULL, NULL));
	stats = figures(loop);
	cr_assert_eq(stats.spawned, 1);
	cr_assert_eq(stats.tasks, 1);
	cr_assert_eq(stats.switches, 0);
	cr_assert_eq(co_loop_run(loop), 0);
	stats = figures(loop);
	cr_assert_eq(stats.threads, 1);
	cr_assert_eq(stats.idle, 0);
	cr_assert_eq(stats.tasks, 0);
	cr_assert_eq(stats.spawned, 2);
	/* The yields, the sleep, the join, and two ends. */
	cr_assert_eq(stats.switches, 14);
	cr_assert_eq(stats.timers, 1);
	cr_assert_eq(stats.timers_set, 0);
	cr_assert_eq(stats.queued, 0);
	cr_assert_eq(stats.steals, 0);
	cr_assert_eq(stats.events, 0);
	cr_assert_geq(stats.polls, 1);
	cr_assert_eq(stats.reserved[0], 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* Stop the loop, and join so that the scheduler is next, which looks for that. */
static int stop_and_join(void *arg)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct co_task *child;

	do {
		co_yield();
		CO_EXPECT_EQ(co_loop_stats(arg, &stats), 0);
	} while ((stats.switches + 1) % 64 != 0);
	child = spawn_or_die(NULL, end_at_once, NULL);
	CO_EXPECT_EQ(co_loop_stop(arg), 0);

	return co_join(child, NULL);
}

Test(stats, who_was_to_run_next_when_the_loop_stopped_is_queued)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct co_loop *loop = loop_or_die(1);

	test_or_die(co_spawn(loop, stop_and_join, loop, NULL));
	test_or_die(co_loop_run(loop));
	test_or_die(co_loop_stats(loop, &stats));
	cr_assert_eq(stats.tasks, 2);
	cr_assert_eq(stats.queued, 1);
	test_or_die(co_loop_run(loop));
	test_or_die(co_loop_stats(loop, &stats));
	cr_assert_eq(stats.tasks, 0);
	cr_assert_eq(stats.queued, 0);
	test_or_die(co_loop_destroy(loop));
}

CO_TEST_ON_ONE_THREAD(stats, events_are_counted)
{
	struct co_loop *loop = co_loop_current();
	struct co_task *reader;
	struct co_io *io = NULL;
	int fds[2];

	CO_EXPECT_EQ(figures(loop).events, 0);
	test_or_die(pipe(fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	reader = spawn_or_die(NULL, read_one, io);
	co_yield();
	CO_EXPECT_EQ(write(fds[1], "", 1), 1);
	CO_EXPECT_EQ(join_or_die(reader), 1);
	CO_EXPECT_EQ(figures(loop).events, 1);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

CO_TEST_ON_ONE_THREAD(stats, timers_that_are_set_are_counted)
{
	struct co_loop *loop = co_loop_current();
	struct co_task *tasks[3];
	size_t i;

	CO_EXPECT_EQ(figures(loop).timers_set, 0);
	for (i = 0; i < 3; i++)
		tasks[i] = spawn_or_die(NULL, sleep_for_an_hour, NULL);
	co_yield();
	CO_EXPECT_EQ(figures(loop).timers_set, 3);
	for (i = 0; i < 3; i++) {
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);
		CO_EXPECT_EQ(figures(loop).timers_set, 2 - i);
	}

	return 0;
}

CO_TEST_ON_ONE_THREAD(stats, a_task_that_was_woken_is_queued)
{
	struct co_loop *loop = co_loop_current();
	struct co_channel *channel = channel_or_die(0, 1);
	struct co_task *getter = spawn_or_die(NULL, get, channel);

	co_yield();
	CO_EXPECT_EQ(figures(loop).queued, 0);
	CO_EXPECT_EQ(co_channel_put(channel, NULL), 0);
	CO_EXPECT_EQ(figures(loop).queued, 1);
	CO_EXPECT_EQ(join_or_die(getter), 0);
	CO_EXPECT_EQ(figures(loop).queued, 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);

	return 0;
}

/* Also those for which the ring of the thread has no room. */
CO_TEST_ON_ONE_THREAD(stats, tasks_that_are_queued_are_counted)
{
	enum { TASKS = 4000 };
	struct co_loop *loop = co_loop_current();
	struct co_task **tasks = calloc(TASKS, sizeof *tasks);
	size_t i;

	test_die_unless(tasks != NULL, "calloc", __FILE__, __LINE__);
	for (i = 0; i < TASKS; i++) {
		CO_EXPECT_EQ(figures(loop).queued, i);
		tasks[i] = spawn_or_die(NULL, end_at_once, NULL);
	}
	CO_EXPECT_EQ(figures(loop).queued, TASKS);
	for (i = 0; i < TASKS; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(figures(loop).queued, 0);
	free(tasks);

	return 0;
}

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

/* Who spawns them keeps its thread until others have run them. */
static int have_tasks_stolen(void *arg)
{
	struct test_counter ended = { 0 };
	struct co_loop *loop = co_loop_current();
	struct co_loop_stats before;
	int i;

	(void)arg;
	settle();
	before = figures(loop);
	for (i = 0; i < 20; i++)
		test_or_die(co_spawn(NULL, count_up, &ended, NULL));
	while (counter_get(&ended) < 20)
		;
	CO_EXPECT(figures(loop).steals >= before.steals + 20);
	CO_EXPECT(figures(loop).wakeups >= before.wakeups + 1);

	return 0;
}

Test(stats, what_is_stolen_and_who_is_woken_is_counted)
{
	cr_assert_eq(run_in_loop(4, have_tasks_stolen, NULL), 0);
}
