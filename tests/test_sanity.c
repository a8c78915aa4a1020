/* SPDX-License-Identifier: MIT */

/*
 * test_sanity.c - suites fail when they should: see torture/sanity.c
 *
 * Each of these tests has one fault, which it commits if CO_TEST_FAULT names
 * it.
 */

#include "test.h"

#include <stdint.h>

static void *volatile somewhere;

static void lose_memory(void)
{
	if (test_has_fault("leak"))
		somewhere = malloc(1000);
	somewhere = NULL;
}

/* No loop, and so nothing that looks for leaks in the test itself. */
Test(sanity, a_test_without_a_loop)
{
	lose_memory();
	cr_assert(!test_has_fault("assertion"));
}

static int lose_in_task(void *arg)
{
	(void)arg;
	if (test_has_fault("leak-in-task"))
		somewhere = malloc(1000);
	somewhere = NULL;

	return 0;
}

CO_TEST(sanity, a_task_that_allocates)
{
	return join_or_die(spawn_or_die(NULL, lose_in_task, arg));
}

static __attribute__((noinline)) void point_into_frame(void)
{
	volatile char local[16] = "a local buffer";

	somewhere = (void *)(size_t)local;
	co_yield();
}

CO_TEST(sanity, a_task_that_returns_from_a_function)
{
	point_into_frame();
	if (test_has_fault("use-after-return"))
		CO_EXPECT(*(volatile char *)somewhere != 1);
	somewhere = NULL;

	return 0;
}

enum { RUNNERS = 4, TURNS = 1000 };

struct race {
	struct test_counter runners;
	size_t count;			/* plain */
};

static int count_up(void *arg)
{
	struct race *race = arg;

	meet_in_two_threads(&race->runners);
	while (counter_get(&race->runners) < RUNNERS)
		co_yield();
	for (int i = 0; i < TURNS && test_has_fault("race"); i++) {
		race->count++;
		co_yield();
	}

	return 0;
}

CO_TEST(sanity, tasks_that_count)
{
	struct race race = { .count = 0 };

	spawn_and_join_all(RUNNERS, count_up, &race);

	return 0;
}

static void expect(bool good)
{
	CO_EXPECT(good);
}

CO_TEST(sanity, an_expectation_in_a_task)
{
	expect(!test_has_fault("expectation"));

	return 0;
}

Test(sanity, an_expectation_outside_of_tasks)
{
	expect(!test_has_fault("expectation"));
}

static void resume_at_once(struct co_task *task, void *arg)
{
	(void)arg;
	if (!test_has_fault("lost-wakeup"))
		CO_EXPECT_EQ(co_resume(task), 0);
}

CO_TEST_ON_ONE_THREAD(sanity, a_task_that_is_resumed)
{
	CO_EXPECT_EQ(co_loop_ref(co_loop_current()), 0);
	CO_EXPECT_EQ(co_suspend(resume_at_once, NULL), 0);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);

	return 0;
}

#ifdef TEST_TSAN
/* Or else Criterion loses memory that it still uses: see tsan_shim.c. */
Test(sanity, memory_of_criterion_is_not_mapped_over)
{
	const size_t size = (size_t)sysconf(_SC_PAGESIZE);
	/* It chooses multiples of 16 MiB, and takes less than half of it. */
	const uintptr_t choice = 0x212345800000, range = 0x004000000000;
	unsigned char resident;
	void *mapped;

	cr_assert_eq(mincore((void *)choice, size, &resident), -1);
	cr_assert_eq(errno, ENOMEM);
	mapped = mmap((void *)choice, size, PROT_READ,
		MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(mapped, MAP_FAILED);
	cr_assert_eq(mincore((void *)choice, size, &resident), 0);
	cr_assert_eq(mincore((void *)(choice + range), size, &resident), 0);
	cr_assert_eq(munmap(mapped, size), 0);
}
#endif
