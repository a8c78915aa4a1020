/* SPDX-License-Identifier: MIT */

/* test_group.c - tasks that are waited for together: co_group(3) */

#include "test.h"

static int sleep_and_count(void *arg)
{
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	counter_add(arg, 1);

	return 0;
}

/* Counts whom a cancellation ends. */
static int sleep_until_cancelled(void *arg)
{
	int rc = co_sleep(CO_HOUR);

	CO_EXPECT_EQ(rc, -ECANCELED);
	counter_add(arg, 1);

	return rc;
}

static int return_it(void *arg)
{
	return *(int *)arg;
}

static void spawn_members(struct co_group *group, size_t count, co_task_fn *fn,
		void *arg)
{
	for (size_t i = 0; i < count; i++)
		CO_EXPECT_EQ(co_group_spawn(group, fn, arg), 0);
}

/* --- Waiting --------------------------------------------------------------- */

CO_TEST(group, wait_returns_when_all_have_ended)
{
	struct co_group group;
	struct test_counter ended = { 0 };
	int result = 1;

	test_or_die(co_group_init(&group, NULL, 0));
	for (size_t i = 1; i <= 3; i++) {
		spawn_members(&group, 20, sleep_and_count, &ended);
		CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
		CO_EXPECT_EQ(counter_get(&ended), 20 * i);
		CO_EXPECT_EQ(result, 0);
	}
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, an_empty_one_is_not_waited_for)
{
	struct co_group group;

	test_or_die(co_group_init(&group, NULL, 0));
	CO_EXPECT_EQ(co_group_wait(&group, NULL), 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);
	CO_EXPECT_EQ(co_group_deinit(NULL), 0);

	return 0;
}

/* One thread, so they end in the order of spawning. */
CO_TEST_ON_ONE_THREAD(group, the_first_result_other_than_0_is_told_once)
{
	struct co_group group;
	int zero = 0, failure = -EIO, other = 5, result = 1;

	test_or_die(co_group_init(&group, NULL, 0));
	CO_EXPECT_EQ(co_group_spawn(&group, return_it, &zero), 0);
	CO_EXPECT_EQ(co_group_spawn(&group, return_it, &failure), 0);
	CO_EXPECT_EQ(co_group_spawn(&group, return_it, &other), 0);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, -EIO);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

struct tree {
	struct co_group *group;
	struct test_counter *nodes;
	size_t depth;
};

/* Each spawns two, and doesn't wait for them. */
static int grow(void *arg)
{
	struct tree *tree = arg;

	counter_add(tree->nodes, 1);
	for (int i = 0; i < 2 && tree->depth > 0; i++) {
		struct tree *branch = malloc(sizeof *branch);

		*branch = *tree;
		branch->depth--;
		CO_EXPECT_EQ(co_group_spawn(tree->group, grow, branch), 0);
	}
	free(tree);

	return 0;
}

CO_TEST(group, whom_members_spawn_are_waited_for_too)
{
	struct co_group group;
	struct test_counter nodes = { 0 };
	struct tree *tree = malloc(sizeof *tree);

	test_or_die(co_group_init(&group, NULL, 0));
	*tree = (struct tree){ &group, &nodes, 9 };
	CO_EXPECT_EQ(co_group_spawn(&group, grow, tree), 0);
	CO_EXPECT_EQ(co_group_wait(&group, NULL), 0);
	CO_EXPECT_EQ(counter_get(&nodes), 1023);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, a_wait_that_ends_early_leaves_the_tasks_alone)
{
	struct co_group group;
	struct test_counter cancelled = { 0 };

	test_or_die(co_group_init(&group, NULL, 0));
	spawn_members(&group, 5, sleep_until_cancelled, &cancelled);
	CO_WITH_DEADLINE(co_after(2 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_group_wait(&group, NULL), -ETIMEDOUT);
	CO_EXPECT_EQ(counter_get(&cancelled), 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);
	CO_EXPECT_EQ(counter_get(&cancelled), 5);

	return 0;
}

/* --- Cancellation ---------------------------------------------------------- */

CO_TEST(group, cancel_ends_all_and_those_to_come)
{
	struct co_group group;
	struct test_counter cancelled = { 0 }, ended = { 0 };
	int result = 0;

	test_or_die(co_group_init(&group, NULL, 0));
	spawn_members(&group, 10, sleep_until_cancelled, &cancelled);
	CO_EXPECT_EQ(co_group_cancel(&group), 0);
	spawn_members(&group, 10, sleep_until_cancelled, &cancelled);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, -ECANCELED);
	CO_EXPECT_EQ(counter_get(&cancelled), 20);
	/* From here on it is as new. */
	spawn_members(&group, 10, sleep_and_count, &ended);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, 0);
	CO_EXPECT_EQ(counter_get(&ended), 10);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, the_first_failure_may_cancel_the_others)
{
	struct co_group group;
	struct test_counter cancelled = { 0 };
	int failure = -EPROTO, result = 0;

	test_or_die(co_group_init(&group, NULL, CO_GROUP_FAIL_FAST));
	spawn_members(&group, 10, sleep_until_cancelled, &cancelled);
	CO_EXPECT_EQ(co_group_spawn(&group, return_it, &failure), 0);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, -EPROTO);
	CO_EXPECT_EQ(counter_get(&cancelled), 10);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

/* What its tasks use is in its frame, so it must not end before they do. */
static int share_frame(void *arg)
{
	struct co_group group;
	struct test_counter cancelled = { 0 };
	int rc;

	test_or_die(co_group_init(&group, NULL, 0));
	spawn_members(&group, 10, sleep_until_cancelled, &cancelled);
	counter_add(arg, 1);
	rc = co_group_wait(&group, NULL);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);
	CO_EXPECT_EQ(counter_get(&cancelled), 10);

	return rc;
}

CO_TEST(group, deinit_waits_whatever_happens_to_the_caller)
{
	struct test_counter begun = { 0 };
	struct co_task *task = spawn_or_die(NULL, share_frame, &begun);
	int rc = 0;

	while (counter_get(&begun) == 0)
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND / 10), 0);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		rc = share_frame(&begun);
	CO_EXPECT_EQ(rc, -ETIMEDOUT);

	return 0;
}

/* --- What can't be ---------------------------------------------------------- */

static int wait_for_own(void *arg)
{
	CO_EXPECT_EQ(co_group_wait(arg, NULL), -EDEADLK);

	return 0;
}

static int release_own(void *arg)
{
	CO_EXPECT_EQ(co_group_deinit(arg), -EDEADLK);

	return 0;
}

static int wait_for_it(void *arg)
{
	return co_group_wait(arg, NULL);
}

struct stayer {
	struct test_counter cancelled, may_go;
};

/* A member that does not end as soon as it is cancelled. */
static int stay_a_while(void *arg)
{
	struct stayer *stayer = arg;

	sleep_until_cancelled(&stayer->cancelled);
	co_cancel_mask(1);
	while (counter_get(&stayer->may_go) == 0)
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND / 10), 0);

	return 0;
}

CO_TEST(group, nobody_waits_for_himself_nor_two_at_once)
{
	struct co_group group;
	struct stayer stayer = { .cancelled = { 0 } };
	struct co_task *waiter;

	test_or_die(co_group_init(&group, NULL, 0));
	CO_EXPECT_EQ(co_group_spawn(&group, wait_for_own, &group), 0);
	CO_EXPECT_EQ(co_group_wait(&group, NULL), 0);
	CO_EXPECT_EQ(co_group_spawn(&group, release_own, &group), 0);
	CO_EXPECT_EQ(co_group_wait(&group, NULL), 0);
	spawn_members(&group, 1, stay_a_while, &stayer);
	waiter = spawn_or_die(NULL, wait_for_it, &group);
	settle();
	CO_EXPECT_EQ(co_group_wait(&group, NULL), -EBUSY);
	CO_EXPECT_EQ(co_group_deinit(&group), -EBUSY);
	counter_set(&stayer.may_go, 1);
	CO_EXPECT_EQ(join_or_die(waiter), 0);
	CO_EXPECT_EQ(counter_get(&stayer.cancelled), 1);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, bad_arguments_are_refused)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_group group;

	test_or_die(co_group_init(&group, NULL, 0));
	attr.stack_size = 1;
	CO_EXPECT_EQ(co_group_init(NULL, NULL, 0), -EINVAL);
	CO_EXPECT_EQ(co_group_init(&group, NULL, 2), -EINVAL);
	CO_EXPECT_EQ(co_group_spawn(NULL, return_it, NULL), -EINVAL);
	CO_EXPECT_EQ(co_group_spawn(&group, NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_group_spawn_with(&group, &attr, return_it, NULL),
			-EINVAL);
	CO_EXPECT_EQ(co_group_wait(NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_group_cancel(NULL), -EINVAL);
	/* What was refused isn't waited for. */
	CO_EXPECT_EQ(co_group_wait(&group, NULL), 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, what_is_none_is_refused)
{
	struct co_group groups[2] = { { { NULL } } };

	test_or_die(co_group_init(&groups[1], NULL, 0));
	CO_EXPECT_EQ(co_group_deinit(&groups[1]), 0);
	for (int i = 0; i < 2; i++) {
		CO_EXPECT_EQ(co_group_spawn(&groups[i], return_it, NULL),
				-EINVAL);
		CO_EXPECT_EQ(co_group_spawn_with(&groups[i], NULL, return_it,
				NULL), -EINVAL);
		CO_EXPECT_EQ(co_group_wait(&groups[i], NULL), -EINVAL);
		CO_EXPECT_EQ(co_group_cancel(&groups[i]), -EINVAL);
		CO_EXPECT_EQ(co_group_deinit(&groups[i]), 0);
	}

	return 0;
}

static int see_name(void *arg)
{
	return strcmp(co_task_name(NULL), arg) == 0 ? 0 : -EINVAL;
}

/* Its list begins in the other one. */
CO_TEST(group, a_copy_is_none)
{
	struct co_group group, copy;

	test_or_die(co_group_init(&group, NULL, 0));
	copy = group;
	CO_EXPECT_EQ(co_group_spawn(&copy, return_it, NULL), -EINVAL);
	CO_EXPECT_EQ(co_group_wait(&copy, NULL), -EINVAL);
	CO_EXPECT_EQ(co_group_cancel(&copy), -EINVAL);
	CO_EXPECT_EQ(co_group_deinit(&copy), -EINVAL);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

CO_TEST(group, members_have_attributes)
{
	static char name[] = "member";
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_group group;
	int result = 1;

	test_or_die(co_group_init(&group, NULL, 0));
	attr.name = name;
	attr.pinned = 1;
	attr.stack_size = (size_t)32 << 10;
	CO_EXPECT_EQ(co_group_spawn_with(&group, &attr, see_name, name), 0);
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return 0;
}

/* --- From outside ----------------------------------------------------------- */

static void spawn_from_outside(unsigned threads)
{
	struct co_loop *loop = loop_or_die(threads);
	struct test_counter cancelled = { 0 };
	struct co_group group;

	cr_assert_eq(co_group_init(&group, NULL, 0), -EINVAL);
	cr_assert_eq(co_group_init(&group, loop, 0), 0);
	spawn_members(&group, 10, sleep_until_cancelled, &cancelled);
	cr_assert_eq(co_group_wait(&group, NULL), -EPERM);
	cr_assert_eq(co_group_deinit(&group), -EBUSY);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&cancelled), 10);
	cr_assert_eq(co_group_deinit(&group), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

Test(group, a_thread_may_spawn_and_cancel_but_not_wait)
{
	spawn_from_outside(1);
	spawn_from_outside(4);
}
