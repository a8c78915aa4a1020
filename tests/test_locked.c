/* SPDX-License-Identifier: MIT */

#include "test.h"

struct totals {
	size_t count;
	size_t sum;
};

typedef CO_LOCKED(struct totals) locked_totals;

/* --- The type --------------------------------------------------------- */

CO_TEST_ON_ONE_THREAD(locked, the_pointer_has_the_type_of_the_value)
{
	CO_LOCKED(struct totals) totals = CO_LOCKED_INIT({ 3, 4 });
	CO_LOCKED(double) number = CO_LOCKED_INIT(2.5);

	/* The operand of sizeof isn't evaluated: nothing is acquired here. */
	CO_EXPECT_EQ(sizeof *co_locked_try_acquire(&number), sizeof(double));
	CO_EXPECT_EQ(co_locked_acquire(&totals)->sum, 4);
	CO_EXPECT(*co_locked_acquire(&number) == 2.5);
	CO_EXPECT_EQ(co_locked_release(&number), 0);
	CO_EXPECT_EQ(co_locked_release(&totals), 0);
	CO_EXPECT_EQ(co_locked_deinit(&number), 0);
	CO_EXPECT_EQ(co_locked_deinit(&totals), 0);
	return 0;
}

static locked_totals global_totals = CO_LOCKED_INIT({ .count = 7 });

Test(locked, a_static_value_needs_no_call_to_begin)
{
	struct totals *held = co_locked_try_acquire(&global_totals);

	cr_assert_not_null(held);
	cr_assert_eq(held->count, 7);
	cr_assert_eq(co_locked_release(&global_totals), 0);
}

Test(locked, init_frees_the_lock_and_leaves_the_value)
{
	locked_totals totals;

	memset(&totals, 0xa5, sizeof totals);
	totals.value_.count = 5;
	co_locked_init(&totals);
	cr_assert_not_null(co_locked_try_acquire(&totals));
	cr_assert_eq(totals.value_.count, 5);
	cr_assert_eq(co_locked_deinit(&totals), -EBUSY);
	cr_assert_eq(co_locked_release(&totals), 0);
	cr_assert_eq(co_locked_deinit(&totals), 0);
}

/* --- NULL where the lock was not acquired ----------------------------- */

Test(locked, outside_of_a_task_acquire_gives_null)
{
	locked_totals totals = CO_LOCKED_INIT({ 0 });

	cr_assert_null(co_locked_acquire(&totals));
	cr_assert_eq(co_locked_release(&totals), -EPERM, "it was taken");
}

Test(locked, try_acquire_of_a_held_value_gives_null)
{
	locked_totals totals = CO_LOCKED_INIT({ 0 });

	cr_assert_not_null(co_locked_try_acquire(&totals));
	cr_assert_null(co_locked_try_acquire(&totals));
	cr_assert_eq(co_locked_release(&totals), 0);
	cr_assert_not_null(co_locked_try_acquire(&totals));
}

static int expect_null(void *arg)
{
	locked_totals *totals = arg;

	CO_EXPECT(co_locked_acquire(totals) == NULL);
	return 0;
}

CO_TEST(locked, a_cancelled_waiter_gets_null)
{
	locked_totals totals = CO_LOCKED_INIT({ 0 });
	struct co_task *waiter;

	CO_EXPECT(co_locked_acquire(&totals) == &totals.value_);
	waiter = spawn_or_die(NULL, expect_null, &totals);
	settle();
	CO_EXPECT_EQ(co_cancel(waiter), 0);
	CO_EXPECT_EQ(join_or_die(waiter), 0);
	CO_EXPECT_EQ(co_locked_release(&totals), 0);
	CO_EXPECT_EQ(co_locked_deinit(&totals), 0);
	return 0;
}

CO_TEST(locked, a_waiter_whose_deadline_passes_gets_null)
{
	locked_totals totals = CO_LOCKED_INIT({ 0 });

	CO_EXPECT(co_locked_acquire(&totals) == &totals.value_);
	CO_WITH_DEADLINE(co_after(2 * CO_MILLISECOND))
		expect_null(&totals);
	CO_EXPECT_EQ(co_locked_release(&totals), 0);
	CO_EXPECT_EQ(co_locked_deinit(&totals), 0);
	return 0;
}

/* --- Exclusion -------------------------------------------------------- */

static int add_one_to_a_thousand(void *arg)
{
	locked_totals *totals = arg;
	size_t i;

	for (i = 1; i <= 1000; i++) {
		struct totals *held = co_locked_acquire(totals);

		if (!CO_EXPECT(held != NULL))
			return -EIO;
		held->count++;
		if (i % 64 == 0)
			co_yield();
		held->sum += i;
		CO_EXPECT_EQ(co_locked_release(totals), 0);
	}
	return 0;
}

CO_TEST(locked, one_task_at_a_time_reaches_the_value)
{
	locked_totals totals = CO_LOCKED_INIT({ 0 });

	spawn_and_join_all(8, add_one_to_a_thousand, &totals);
	CO_EXPECT_EQ(totals.value_.count, 8 * 1000);
	CO_EXPECT_EQ(totals.value_.sum, 8 * 500500);
	CO_EXPECT_EQ(co_locked_deinit(&totals), 0);
	return 0;
}
