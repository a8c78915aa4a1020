/* SPDX-License-Identifier: MIT */

/* test_errno.c - errno is that of the thread a task runs in */

#include "test.h"

static const char *volatile too_large = "99999999999999999999999";

/* What strtol(3) advises, in a loop that suspends. */
static int parse(void *arg)
{
	struct test_counter *missed = arg;

	for (size_t i = 0; i < CO_TEST_SCALE(1000); i++) {
		errno = 0;
		strtol(too_large, NULL, 10);
		if (errno != ERANGE)
			counter_add(missed, 1);
		CO_EXPECT_EQ(co_sleep((co_time)(i % 3) * 20
				* CO_MICROSECOND), 0);
	}
	return 0;
}

CO_TEST(error_number, an_error_is_seen_whatever_the_thread)
{
	struct test_counter missed = { 0 };

	(void)arg;
	spawn_and_join_all(20, parse, &missed);
	CO_EXPECT_EQ(counter_get(&missed), 0);
	return 0;
}

/* Also where no name says which variable it is. */
Test(error_number, is_the_threads_own)
{
	errno = 0;
	*co_errno_location() = ERANGE;
	cr_assert_eq(errno, ERANGE);
	cr_assert_eq(strtol("7", NULL, 10), 7);
	cr_assert_eq(*co_errno_location(), ERANGE);
}
