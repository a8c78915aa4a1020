/* SPDX-License-Identifier: MIT */

/* test_options.c - making and destroying a loop: co_loop(3) */

#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

/* --- Options ----------------------------------------------------------- */

static int create_with(const struct co_loop_options *options)
{
	struct co_loop *const none = (struct co_loop *)options;
	struct co_loop *loop = none;
	int rc = co_loop_create(options, &loop);

	if (rc == 0)
		cr_assert_eq(co_loop_destroy(loop), 0);
	else
		cr_assert_eq(loop, none, "written in spite of %d", rc);

	return rc;
}

Test(options, absurd_numbers_of_threads_are_refused)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	options.threads = CO_LOOP_THREADS_MAX + 1;
	cr_assert_eq(create_with(&options), -EINVAL);
	options.threads = UINT32_MAX;
	cr_assert_eq(create_with(&options), -EINVAL);
	options.threads = 3;
	cr_assert_eq(create_with(&options), 0);
}

/* Each thread may need a few descriptors, which need not be there. */
Test(options, as_many_threads_as_allowed_are_allowed)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	int rc;

	options.threads = CO_LOOP_THREADS_MAX;
	rc = create_with(&options);
	cr_assert(rc == 0 || rc == -EMFILE, "%d", rc);
}

Test(options, what_makes_no_sense_is_refused)
{
	struct co_loop_options good = CO_LOOP_OPTIONS_INIT, bad;

	bad = good, bad.size = 0;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.size = sizeof bad.size;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.flags = 1u << 31;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.stack_size = 1;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.stack_size = SIZE_MAX;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.stall_after = -1;
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.backend = "nonsense";
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.backend = "";
	cr_expect_eq(create_with(&bad), -EINVAL);
	bad = good, bad.reserved[0] = 1;
	cr_expect_eq(create_with(&bad), -EINVAL);
	cr_expect_eq(create_with(&good), 0);
	cr_expect_eq(co_loop_create(&good, NULL), -EINVAL);
}

Test(options, an_allocator_needs_both_functions)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator allocator = { test_allocate, NULL, NULL };

	options.allocator = &allocator;
	cr_assert_eq(create_with(&options), -EINVAL);
	allocator.allocate = NULL;
	allocator.release = test_release;
	cr_assert_eq(create_with(&options), -EINVAL);
	allocator.allocate = test_allocate;
	cr_assert_eq(create_with(&options), 0);
	cr_assert_eq(counter_get(&test_blocks), 0);
	cr_assert_eq(counter_get(&test_bytes), 0);
}

Test(options, the_backend_can_be_chosen)
{
	static const char *const names[] = { "epoll", "poll" };
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop;
	size_t i;

#ifndef HAVE_EPOLL
	cr_skip_test("there is one only");
#endif
	for (i = 0; i < 2; i++) {
		options.backend = names[i];
		cr_assert_eq(co_loop_create(&options, &loop), 0);
		cr_assert_str_eq(co_loop_backend(loop), names[i]);
		cr_assert_eq(co_loop_destroy(loop), 0);

		cr_assert_eq(setenv("COLOOP_BACKEND", names[1 - i], 1), 0);
		cr_assert_eq(co_loop_create(&options, &loop), 0);
		cr_assert_str_eq(co_loop_backend(loop), names[i]);
		cr_assert_eq(co_loop_destroy(loop), 0);
		cr_assert_eq(co_loop_create(NULL, &loop), 0);
		cr_assert_str_eq(co_loop_backend(loop), names[1 - i]);
		cr_assert_eq(co_loop_destroy(loop), 0);
		cr_assert_eq(unsetenv("COLOOP_BACKEND"), 0);
	}
}

/* Whoever runs a program must not be able to break it by a slip of the pen. */
Test(options, what_makes_no_sense_in_the_environment_is_ignored)
{
	static const char *const slips[] = { "", "nonsense", "-1", "0", "1e3",
		"99999999999999999999", "2x", " 2" };
	struct co_loop *loop;
	size_t i;

	for (i = 0; i < sizeof slips / sizeof slips[0]; i++) {
		cr_assert_eq(setenv("COLOOP_BACKEND", slips[i], 1), 0);
		cr_assert_eq(setenv("COLOOP_THREADS", slips[i], 1), 0);
		cr_assert_eq(co_loop_create(NULL, &loop), 0);
		cr_assert_geq(co_loop_threads(loop), 1);
		cr_assert_not_null(co_loop_backend(loop));
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
}

static int create_default(struct co_loop **ret_loop)
{
	return co_loop_create(NULL, ret_loop);
}

static void expect_threads(int (*create)(struct co_loop **), int threads)
{
	struct co_loop *loop = NULL;

	cr_assert_eq(create(&loop), 0);
	cr_assert_eq(co_loop_threads(loop), threads);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

Test(options, the_number_of_threads_can_be_chosen)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	cr_assert_eq(setenv("COLOOP_THREADS", "3", 1), 0);
	expect_threads(create_default, 3);
	expect_threads(co_loop_create_multi_threaded, 3);
	expect_threads(co_loop_create_single_threaded, 1);
	options.threads = 2;
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(co_loop_threads(loop), 2);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* --- Destroy ----------------------------------------------------------- */

static int read_for_ever(void *arg)
{
	char byte;

	return (int)co_io_read(arg, &byte, 1);
}

static int wait_for_ever(void *arg)
{
	return co_wait_fd(*(int *)arg, CO_READABLE);
}

static int join_for_ever(void *arg)
{
	return co_join(arg, NULL);
}

static int stop_soon(void *arg)
{
	co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_loop_stop(co_loop_current()), 0);
	(void)arg;

	return 0;
}

static void destroy_with_waiters(unsigned threads)
{
	struct co_loop *loop = loop_or_die(threads);
	struct co_task *sleeper;
	struct co_io *io = NULL;
	int fds[4];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 2), 0);
	cr_assert_eq(co_io_open(loop, fds[0], &io), 0);
	sleeper = spawn_or_die(loop, sleep_for_ever, NULL);
	spawn_or_die(loop, suspend_for_ever, NULL);
	spawn_or_die(loop, read_for_ever, io);
	spawn_or_die(loop, wait_for_ever, &fds[2]);
	spawn_or_die(loop, join_for_ever, sleeper);
	test_or_die(co_spawn(loop, sleep_for_ever, NULL, NULL));
	test_or_die(co_spawn(loop, stop_soon, NULL, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	test_or_die(co_spawn(loop, sleep_for_ever, NULL, NULL));
	cr_assert_eq(co_io_close(io), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	close(fds[1]);
	close(fds[2]);
	close(fds[3]);
	test_expect_no_leak();
}

Test(options, destroy_discards_tasks_that_wait)
{
	destroy_with_waiters(1);
	destroy_with_waiters(4);
}

static void never(struct co_tick *tick)
{
	(void)tick;
	CO_EXPECT(false);
}

Test(options, destroy_discards_what_never_ran)
{
	struct co_tick ticks[10] = { { .run = never } };
	struct co_loop *loop = loop_or_die(4);
	size_t i;

	for (i = 0; i < 10; i++) {
		ticks[i].run = never;
		test_or_die(co_spawn(loop, sleep_for_ever, NULL, NULL));
		test_or_die(co_loop_on_next_tick(loop, &ticks[i]));
	}
	cr_assert_eq(co_loop_destroy(loop), 0);
	cr_assert_eq(co_loop_destroy(NULL), 0);
	test_expect_no_leak();
}

Test(options, loops_may_be_made_and_destroyed_many_times)
{
	int i, before = dup(0), after;

	close(before);
	for (i = 0; i < 200; i++)
		cr_assert_eq(co_loop_destroy(loop_or_die(1 + i % 4)), 0);
	after = dup(0);
	cr_assert_eq(after, before, "descriptors leak");
	test_expect_no_leak();
}
