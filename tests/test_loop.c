/* SPDX-License-Identifier: MIT */

/* test_loop.c - running, stopping and ticks of co_loop(3) */

#include "test.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned some_threads[] = { 1, 0, 4 };

/* In the test that follows, THREADS takes each of these values. */
#define FOR_THREADS(threads)                                                \
	for (size_t nth_ = 0; nth_ < 3; nth_++)                             \
		for (unsigned threads = some_threads[nth_], once_ = 1;      \
				once_; once_ = 0)

#define expect_no_failure()                                                 \
	do {                                                                \
		test_expect_no_leak();                                      \
		cr_assert_eq(test_failures(), 0);                           \
	} while (0)

/* --- Tasks ------------------------------------------------------------- */

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

static int return_seven(void *arg)
{
	(void)arg;
	return 7;
}

static int get_one(void *arg)
{
	char item;

	return co_channel_get(arg, &item);
}

/* --- Run --------------------------------------------------------------- */

/* What isn't as it should be blocked in the thread that runs this; *ARG is the
 * program's, where nothing is. */
static int count_wrong_blocks(void *arg)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP,
		SIGSYS };
	bool TEST_UNUSED ours = pthread_equal(pthread_self(), *(pthread_t *)arg);
	sigset_t blocked;
	int wrong = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		wrong += sigismember(&blocked, faults[i]) != 0;
#ifndef CO_CONTEXT_UCONTEXT	/* there a task has a mask of its own */
	wrong += sigismember(&blocked, SIGTERM) != !ours;
	wrong += sigismember(&blocked, SIGALRM) != !ours;
#endif

	return wrong;
}

Test(loop, its_threads_get_signals_of_faults_only)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_loop *loop = loop_or_die(3);
	pthread_t ours = pthread_self();
	struct co_task *tasks[3];
	int wrong;

	attr.pinned = 1;
	for (int i = 0; i < 3; i++)
		test_or_die(co_spawn_with(loop, &attr, count_wrong_blocks,
				&ours, &tasks[i]));
	test_or_die(co_loop_run(loop));
	for (int i = 0; i < 3; i++) {
		test_or_die(co_join(tasks[i], &wrong));
		cr_assert_eq(wrong, 0);
	}
	test_or_die(co_loop_destroy(loop));
}

Test(loop, run_returns_at_once_without_tasks)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);

		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

Test(loop, run_may_be_called_again_and_again)
{
	struct test_counter ran = { 0 };
	size_t round, i;

	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);

		counter_set(&ran, 0);
		for (round = 1; round <= 100; round++) {
			for (i = 0; i < 5; i++)
				test_or_die(co_spawn(loop, count_up, &ran,
						NULL));
			cr_assert_eq(co_loop_run(loop), 0);
			cr_assert_eq(counter_get(&ran), round * 5);
		}
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

static int run_again(void *arg)
{
	struct co_loop *other = loop_or_die(1);

	CO_EXPECT_EQ(co_loop_run(co_loop_current()), -EPERM);
	CO_EXPECT_EQ(co_loop_run(other), -EPERM);
	CO_EXPECT_EQ(co_run(return_seven, arg), -EPERM);
	CO_EXPECT_EQ(co_loop_destroy(other), 0);
	CO_EXPECT_EQ(co_loop_destroy(co_loop_current()), -EBUSY);

	return 0;
}

Test(loop, a_task_can_neither_run_nor_destroy_a_loop)
{
	FOR_THREADS(threads)
		cr_assert_eq(run_in_loop(threads, run_again, NULL), 0);
}

static void run_too(void *arg)
{
	CO_EXPECT_EQ(co_loop_run(arg), -EBUSY);
	CO_EXPECT_EQ(co_loop_destroy(arg), -EBUSY);
}

/* The thread holds a reference, so that the loop runs as long as it does. */
CO_TEST(loop, another_thread_cannot_run_it_too)
{
	static struct test_thread thread;

	test_thread_start(&thread, co_loop_current(), run_too,
			co_loop_current());
	test_thread_join(&thread);

	return 0;
}

static int spin_a_little(void *arg)
{
	int i;

	for (i = 0; i < 200; i++)
		co_yield();
	counter_add(arg, 1);

	return 0;
}

static void run_a_loop(void *arg)
{
	struct co_loop *loop = loop_or_die(2);
	size_t i;

	for (i = 0; i < 20; i++)
		test_or_die(co_spawn(loop, spin_a_little, arg, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

Test(loop, several_loops_run_in_several_threads)
{
	struct test_counter ended = { 0 };
	struct test_thread threads[4];
	size_t i;

	for (i = 0; i < 4; i++)
		test_thread_start(&threads[i], NULL, run_a_loop, &ended);
	for (i = 0; i < 4; i++)
		test_thread_join(&threads[i]);
	cr_assert_eq(counter_get(&ended), 80);
	expect_no_failure();
}

static int current_is(void *arg)
{
	return co_loop_current() == arg && co_self() != NULL ? 0 : -EINVAL;
}

Test(loop, the_current_loop_is_known_to_its_tasks)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct co_task *task = spawn_or_die(loop, current_is, loop);

		cr_assert_null(co_loop_current());
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(join_or_die(task), 0);
		cr_assert_null(co_loop_current());
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
}

static int return_minus_eio(void *arg)
{
	return arg != NULL ? *(int *)arg : -EIO;
}

Test(loop, co_run_returns_what_the_task_returned)
{
	int answer = 42;

	cr_assert_eq(co_run(return_seven, NULL), 7);
	cr_assert_eq(co_run(return_minus_eio, NULL), -EIO);
	cr_assert_eq(co_run(return_minus_eio, &answer), 42);
	cr_assert_eq(co_run(NULL, NULL), -EINVAL);
}

static int stop_and_sleep(void *arg)
{
	(void)arg;
	CO_EXPECT_EQ(co_loop_stop(co_loop_current()), 0);

	return co_sleep(CO_HOUR);
}

Test(loop, co_run_tells_that_its_loop_was_stopped)
{
	cr_assert_eq(co_run(stop_and_sleep, NULL), -ECANCELED);
	expect_no_failure();
}

/* --- From one loop to another ------------------------------------------ */

static void run_other(void *loop)
{
	CO_EXPECT_EQ(co_loop_run(loop), 0);
}

/* The reference: who wakes it is outside of its loop. */
static int spawn_in_other(void *other)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task = NULL;

	CO_EXPECT_EQ(co_loop_ref(co_loop_current()), 0);
	for (int i = 0; i < 20; i++) {
		attr.pinned = i % 2;
		test_or_die(co_spawn_with(other, &attr, current_is, other,
				&task));
		if (i % 3 == 0)
			co_sleep(CO_MILLISECOND / 5);
		CO_EXPECT_EQ(join_or_die(task), 0);
	}
	CO_EXPECT_EQ(co_loop_unref(other), 0);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);

	return 0;
}

Test(loop, a_task_spawns_and_joins_tasks_of_another_loop)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct co_loop *other = loop_or_die(threads);
		struct test_thread thread;

		test_or_die(co_loop_ref(other));
		test_thread_start(&thread, NULL, run_other, other);
		test_or_die(co_spawn(loop, spawn_in_other, other, NULL));
		cr_assert_eq(co_loop_run(loop), 0);
		test_thread_join(&thread);
		cr_assert_eq(co_loop_destroy(other), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	test_expect_no_leak();
	expect_no_failure();
}

/* --- Deadlock ---------------------------------------------------------- */

Test(loop, tasks_that_nothing_can_wake_are_a_deadlock)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct co_channel *channel = NULL;
		struct co_task *task;

		test_or_die(co_channel_create(loop, 1, 0, &channel));
		task = spawn_or_die(loop, get_one, channel);
		cr_assert_eq(co_loop_run(loop), -EDEADLK);
		cr_assert_eq(co_loop_run(loop), -EDEADLK);
		cr_assert_eq(co_channel_close(channel), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(join_or_die(task), -EPIPE);
		cr_assert_eq(co_channel_destroy(channel), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

static int return_late(void *arg)
{
	co_sleep(5 * CO_MILLISECOND);
	counter_add(arg, 1);
	return 0;
}

Test(loop, a_deadlock_is_found_when_the_last_timer_is_over)
{
	struct test_counter ended = { 0 };

	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct co_task *task = spawn_or_die(loop, suspend_for_ever,
				NULL);

		counter_set(&ended, 0);
		test_or_die(co_spawn(loop, return_late, &ended, NULL));
		cr_assert_eq(co_loop_run(loop), -EDEADLK);
		cr_assert_eq(counter_get(&ended), 1);
		cr_assert_eq(co_resume(task), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(join_or_die(task), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

/* --- References -------------------------------------------------------- */

static void close_later(void *arg)
{
	nap(10 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_channel_close(arg), 0);
}

Test(loop, a_reference_is_a_promise_that_a_thread_will_wake_it)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct co_channel *channel = NULL;
		struct test_thread thread;
		struct co_task *task;

		test_or_die(co_channel_create(loop, 1, 0, &channel));
		task = spawn_or_die(loop, get_one, channel);
		test_thread_start(&thread, loop, close_later, channel);
		cr_assert_eq(co_loop_run(loop), 0);
		test_thread_join(&thread);
		cr_assert_eq(join_or_die(task), -EPIPE);
		cr_assert_eq(co_channel_destroy(channel), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

static void nap_and_count(void *arg)
{
	nap(10 * CO_MILLISECOND);
	counter_add(arg, 1);
}

Test(loop, a_reference_keeps_it_running_without_tasks)
{
	struct test_counter ended = { 0 };
	struct test_thread thread;

	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);

		counter_set(&ended, 0);
		cr_assert_eq(co_loop_unref(loop), -EINVAL);
		test_thread_start(&thread, loop, nap_and_count, &ended);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(counter_get(&ended), 1);
		test_thread_join(&thread);
		cr_assert_eq(co_loop_unref(loop), -EINVAL);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

/* --- Stop -------------------------------------------------------------- */

static int stop_then_count(void *arg)
{
	CO_EXPECT_EQ(co_loop_stop(co_loop_current()), 0);
	co_sleep(CO_MILLISECOND);
	co_yield();
	counter_add(arg, 1);

	return 0;
}

Test(loop, tasks_go_on_after_a_stop_when_it_runs_again)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct test_counter ended = { 0 };
		size_t i;

		for (i = 0; i < 10; i++)
			test_or_die(co_spawn(loop, stop_then_count, &ended,
					NULL));
		for (i = 0; i < 20 && counter_get(&ended) < 10; i++)
			cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(counter_get(&ended), 10);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

static int yield_until(void *arg)
{
	while (counter_get(arg) == 0)
		if (co_yield() != 0)
			return -1;

	return 0;
}

Test(loop, a_stop_before_run_lets_it_return_soon)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct test_counter over = { 0 };
		struct co_task *task = spawn_or_die(loop, yield_until, &over);

		cr_assert_eq(co_loop_stop(loop), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_join(task, NULL), -EPERM);
		counter_set(&over, 1);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(join_or_die(task), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

static void stop_later(void *arg)
{
	nap(5 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_loop_stop(arg), 0);
}

Test(loop, a_thread_stops_it_while_it_works_and_while_it_sleeps)
{
	struct test_thread thread;

	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct test_counter over = { 0 };
		size_t i;

		for (i = 0; i < 6; i++) {
			if (i == 0)
				spawn_or_die(loop, sleep_for_ever, NULL);
			else if (i == 3)
				spawn_or_die(loop, yield_until, &over);
			cr_assert_eq(co_loop_ref(loop), 0);
			test_thread_start(&thread, NULL, stop_later, loop);
			cr_assert_eq(co_loop_run(loop), 0);
			test_thread_join(&thread);
			cr_assert_eq(co_loop_unref(loop), 0);
		}
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

/* --- Ticks ------------------------------------------------------------- */

struct tick {
	struct co_tick tick;
	struct test_counter *ran;
	struct co_loop *loop;
	size_t again;
};

static void run_tick(struct co_tick *base)
{
	struct tick *tick = (struct tick *)base;

	CO_EXPECT(co_self() == NULL);
	CO_EXPECT(co_loop_current() == tick->loop);
	CO_EXPECT_EQ(co_yield(), -EPERM);
	counter_add(tick->ran, 1);
	if (tick->again-- > 0)
		CO_EXPECT_EQ(co_loop_on_next_tick(tick->loop, base), 0);
	else
		free(tick);
}

static void post_tick(struct co_loop *loop, struct test_counter *ran,
		size_t again)
{
	struct tick *tick = calloc(1, sizeof *tick);

	tick->tick.run = run_tick;
	tick->ran = ran;
	tick->loop = loop;
	tick->again = again;
	CO_EXPECT_EQ(co_loop_on_next_tick(loop, &tick->tick), 0);
}

Test(loop, a_tick_runs_once_outside_of_tasks_and_may_free_itself)
{
	FOR_THREADS(threads) {
		struct co_loop *loop = loop_or_die(threads);
		struct test_counter ran = { 0 };
		size_t i;

		for (i = 0; i < 100; i++)
			post_tick(loop, &ran, 0);
		post_tick(loop, &ran, 50);
		cr_assert_eq(counter_get(&ran), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(counter_get(&ran), 151);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	expect_no_failure();
}

struct poster {
	struct co_loop *loop;
	struct test_counter ticks;
	struct test_counter tasks;
};

enum { POSTERS = 4, POSTS = 500 };

static void post_many(void *arg)
{
	struct poster *poster = arg;
	size_t i;

	for (i = 0; i < POSTS; i++) {
		post_tick(poster->loop, &poster->ticks, i % 2);
		CO_EXPECT_EQ(co_spawn(poster->loop, count_up, &poster->tasks,
				NULL), 0);
		if (i % 64 == 0)
			nap(CO_MILLISECOND);
	}
}

Test(loop, what_foreign_threads_post_runs_exactly_once)
{
	FOR_THREADS(threads) {
		struct poster poster = { .loop = loop_or_die(threads) };
		struct test_thread foreign[POSTERS];
		size_t i;

		for (i = 0; i < POSTERS; i++)
			test_thread_start(&foreign[i], poster.loop, post_many,
					&poster);
		cr_assert_eq(co_loop_run(poster.loop), 0);
		for (i = 0; i < POSTERS; i++)
			test_thread_join(&foreign[i]);
		cr_assert_eq(counter_get(&poster.ticks),
				POSTERS * POSTS * 3 / 2);
		cr_assert_eq(counter_get(&poster.tasks), POSTERS * POSTS);
		cr_assert_eq(co_loop_destroy(poster.loop), 0);
	}
	expect_no_failure();
}

/* A tick that always posts itself again must leave room for all the rest. */
struct hog {
	struct co_tick tick;
	struct co_loop *loop;
	struct test_counter over;
	struct test_counter ended;
};

static void post_again(struct co_tick *base)
{
	struct hog *hog = (struct hog *)base;

	if (counter_get(&hog->over) == 0)
		co_loop_on_next_tick(hog->loop, base);
	else
		counter_add(&hog->ended, 1);
}

enum { LETTERS = 20 };

struct letters {
	struct test_counter wanted;
	int fd;
};

/* Each when its reader has most likely begun to wait for it. */
static void write_letters(void *arg)
{
	struct letters *letters = arg;
	char byte = 1;

	for (size_t i = 1; i <= LETTERS; i++) {
		while (counter_get(&letters->wanted) < i)
			nap(0);
		nap(CO_MILLISECOND);
		CO_EXPECT_EQ(write(letters->fd, &byte, 1), 1);
	}
}

CO_TEST(loop, a_tick_that_posts_itself_starves_neither_io_nor_timers)
{
	struct hog hog = { .tick = { .run = post_again },
			.loop = co_loop_current() };
	struct letters letters = { .wanted = { 0 } };
	struct test_thread writer;
	struct co_io *end;
	int fds[2], i;
	char byte;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	test_or_die(co_io_open(NULL, fds[0], &end));
	letters.fd = fds[1];
	test_thread_start(&writer, hog.loop, write_letters, &letters);
	CO_EXPECT_EQ(co_loop_on_next_tick(hog.loop, &hog.tick), 0);
	for (i = 0; i < LETTERS; i++) {
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND / 10), 0);
		CO_EXPECT_EQ(co_yield(), 0);
		CO_EXPECT_EQ(co_wait_fd(fds[1], CO_WRITABLE) & CO_WRITABLE,
				CO_WRITABLE);
		counter_add(&letters.wanted, 1);
		CO_EXPECT_EQ(co_io_read(end, &byte, 1), 1);
	}
	test_thread_join(&writer);
	counter_set(&hog.over, 1);
	while (counter_get(&hog.ended) == 0)
		co_yield();
	CO_EXPECT_EQ(co_io_close(end), 0);
	close(fds[1]);

	return 0;
}

/* More tasks are always runnable than a loop looks past when it asks for
 * events, and only such a question finds what is written here. */
struct crowd {
	struct test_counter over;
	int fd;
};

static int write_later(void *arg)
{
	struct crowd *crowd = arg;
	char byte = 1;

	co_yield();
	CO_EXPECT_EQ(write(crowd->fd, &byte, 1), 1);

	return 0;
}

CO_TEST(loop, tasks_that_yield_do_not_starve_input_however_many)
{
	struct crowd crowd = { .over = { 0 } };
	struct co_loop *loop = co_loop_current();
	struct co_task *others[500];
	struct co_io *end;
	int fds[2], i;
	char byte;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	test_or_die(co_io_open(NULL, fds[0], &end));
	crowd.fd = fds[1];
	for (i = 0; i < 500; i++)
		others[i] = spawn_or_die(loop, yield_until, &crowd.over);
	for (i = 0; i < 5; i++) {
		test_or_die(co_spawn(loop, write_later, &crowd, NULL));
		CO_EXPECT_EQ(co_io_read(end, &byte, 1), 1);
	}
	counter_set(&crowd.over, 1);
	for (i = 0; i < 500; i++)
		CO_EXPECT_EQ(join_or_die(others[i]), 0);
	CO_EXPECT_EQ(co_io_close(end), 0);
	close(fds[1]);

	return 0;
}

/* --- Threads that sleep, and threads that compute ---------------------- */

CO_TEST(loop, an_idle_loop_uses_no_processor)
{
	expect_calm(60 * CO_MILLISECOND, 20 * CO_MILLISECOND);

	return 0;
}

static int sleep_and_count(void *arg)
{
	co_sleep(2 * CO_MILLISECOND);
	counter_add(arg, 1);
	return 0;
}

/* Compute for longer than a turn before each yield, until ARG has counted. */
static int compute_and_yield(void *arg)
{
	size_t turns = 0;

	while (counter_get(arg) == 0 && turns++ < 1000) {
		co_time end = co_after(1500 * CO_MICROSECOND);

		while (co_now() < end)
			AO_compiler_barrier();
		co_yield();
	}

	return (int)turns;
}

static int yield_and_count(void *arg)
{
	for (int i = 0; i < 200; i++)
		co_yield();
	counter_add(arg, 1);

	return 0;
}

/* Pinned or not, tasks have their turns. */
CO_TEST_ON_ONE_THREAD(loop, a_pinned_task_that_computes_starves_nobody)
{
	struct co_task_attr pinned = CO_TASK_ATTR_INIT;
	struct test_counter done = { 0 };
	struct co_task *tasks[2];

	pinned.pinned = 1;
	test_or_die(co_spawn_with(NULL, &pinned, compute_and_yield, &done,
			&tasks[0]));
	tasks[1] = spawn_or_die(NULL, yield_and_count, &done);
	CO_EXPECT_EQ(join_or_die(tasks[1]), 0);
	CO_EXPECT(join_or_die(tasks[0]) < 400);

	return 0;
}

/* One thread computes; what waits for it is found by the others. */
static int compute(void *arg)
{
	static struct test_counter done;
	co_time end = co_after(30 * CO_SECOND);
	size_t i;

	(void)arg;
	counter_set(&done, 0);
	for (i = 0; i < 8; i++)
		spawn_or_die(NULL, sleep_and_count, &done);
	co_yield();
	for (i = 0; i < 8; i++)
		spawn_or_die(NULL, count_up, &done);
	while (counter_get(&done) < 16 && co_now() < end)
		AO_compiler_barrier();
	CO_EXPECT_EQ(counter_get(&done), 16);

	return 0;
}

Test(loop, a_task_that_computes_holds_up_nobody_on_other_threads)
{
	cr_assert_eq(run_in_loop(2, compute, NULL), 0);
	cr_assert_eq(run_in_loop(4, compute, NULL), 0);
}
