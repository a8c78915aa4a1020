/* SPDX-License-Identifier: MIT */

/* test_blocking.c - calls that block: co_blocking(3) */

#include "test.h"

#include "loop.h"

/* --- Functions that block -------------------------------------------------- */

static int add_one(void *arg)
{
	return ++*(int *)arg;
}

/* A function that has begun when `begun' says so, and ends after that. */
struct gate {
	struct test_counter begun, open;
	bool stops;			/* the loop, when it begins */
	struct co_loop *loop;
};

static int wait_at_gate(void *arg)
{
	struct gate *gate = arg;

	counter_add(&gate->begun, 1);
	if (gate->stops)
		CO_EXPECT_EQ(co_loop_stop(gate->loop), 0);
	while (counter_get(&gate->open) == 0)
		nap(CO_MILLISECOND / 10);

	return 17;
}

/* A task that calls it. */
static int call_at_gate(void *arg)
{
	int result = 0;

	CO_EXPECT_EQ(co_blocking(wait_at_gate, arg, &result), 0);

	return result;
}

static void await_begun(struct gate *gate, size_t count)
{
	while (counter_get(&gate->begun) < count)
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND / 10), 0);
}

static int must_not_be_called(void *arg)
{
	CO_EXPECT(arg == NULL && false);

	return 0;
}

/* --- Results --------------------------------------------------------------- */

CO_TEST(blocking, it_returns_what_the_function_does)
{
	int number = 41, result = 0;

	CO_EXPECT_EQ(co_blocking(add_one, &number, &result), 0);
	CO_EXPECT_EQ(result, 42);
	CO_EXPECT_EQ(co_blocking(add_one, &number, NULL), 0);
	CO_EXPECT_EQ(number, 43);

	return 0;
}

static int look_around(void *arg)
{
	pthread_t *thread = arg;
	int number = 0;

	CO_EXPECT(!pthread_equal(*thread, pthread_self()));
	CO_EXPECT(co_self() == NULL);
	CO_EXPECT(co_loop_current() == NULL);
	CO_EXPECT_EQ(co_sleep(0), -EPERM);
	CO_EXPECT_EQ(co_blocking(add_one, &number, NULL), -EPERM);
	CO_EXPECT_EQ(number, 0);

	return 0;
}

CO_TEST_ON_ONE_THREAD(blocking, the_function_is_in_no_task)
{
	pthread_t thread = pthread_self();

	return co_blocking(look_around, &thread, NULL);
}

CO_TEST(blocking, bad_arguments_are_refused)
{
	int result = 7;

	CO_EXPECT_EQ(co_blocking(NULL, NULL, &result), -EINVAL);
	CO_EXPECT_EQ(result, 7);

	return 0;
}

Test(blocking, only_tasks_may)
{
	cr_assert_eq(co_blocking(must_not_be_called, NULL, NULL), -EPERM);
}

/* --- Others run meanwhile ------------------------------------------------- */

static int read_byte(void *arg)
{
	char byte;

	return (int)read(*(int *)arg, &byte, 1);
}

static int write_byte(void *arg)
{
	return (int)write(*(int *)arg, "", 1);
}

CO_TEST(blocking, other_tasks_run_meanwhile)
{
	struct co_task *writer;
	int ends[2], result = 0;

	test_or_die(pipe(ends));
	writer = spawn_or_die(NULL, write_byte, &ends[1]);
	CO_EXPECT_EQ(co_blocking(read_byte, &ends[0], &result), 0);
	CO_EXPECT_EQ(result, 1);
	CO_EXPECT_EQ(join_or_die(writer), 1);
	close(ends[0]);
	close(ends[1]);

	return 0;
}

static int block_for_long(void *arg)
{
	(void)arg;
	nap(30 * CO_MILLISECOND);

	return 0;
}

/* Nothing else is there that could wake the task. */
CO_TEST(blocking, a_loop_that_waits_for_it_is_not_stuck)
{
	return co_blocking(block_for_long, NULL, NULL);
}

static int meet(void *arg)
{
	pthread_barrier_wait(arg);

	return 0;
}

static int call_meet(void *arg)
{
	return co_blocking(meet, arg, NULL);
}

CO_TEST(blocking, as_many_calls_as_there_may_be_threads_run_at_once)
{
	pthread_barrier_t barrier;

	test_or_die(pthread_barrier_init(&barrier, NULL, 64));
	spawn_and_join_all(64, call_meet, &barrier);
	pthread_barrier_destroy(&barrier);

	return 0;
}

static int add_often(void *arg)
{
	struct test_counter *counter = arg;
	int number = 0;

	for (int i = 1; i <= 10; i++) {
		CO_EXPECT_EQ(co_blocking(add_one, &number, NULL), 0);
		CO_EXPECT_EQ(number, i);
		counter_add(counter, 1);
	}

	return 0;
}

CO_TEST(blocking, many_calls_take_their_turns)
{
	size_t tasks = test_tasks_at_once(CO_TEST_SCALE(2000));
	struct test_counter counter = { 0 };

	spawn_and_join_all(tasks, add_often, &counter);
	CO_EXPECT_EQ(counter_get(&counter), 10 * tasks);

	return 0;
}

/* --- Loops with few threads for it ---------------------------------------- */

static struct co_loop *loop_for_calls(unsigned threads, unsigned most)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator counting = { test_allocate, test_release, NULL };
	struct co_loop *loop = NULL;

	options.threads = threads;
	options.blocking_threads = most;
	options.allocator = &counting;
	test_or_die(co_loop_create(&options, &loop));

	return loop;
}

/* Run FN(ARG) in a loop of THREADS that has one thread for calls. */
static void run_with_one(unsigned threads, co_task_fn *fn, void *arg)
{
	struct co_loop *loop = loop_for_calls(threads, 1);
	struct co_task *task = spawn_or_die(loop, fn, arg);

	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(join_or_die(task), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

static int call_it(void *arg)
{
	return co_blocking(must_not_be_called, arg, NULL);
}

static void compute_until(co_time end)
{
	while (co_now() < end)
		AO_compiler_barrier();
}

/* Longer than a deadline of 5 ms, then let the function at the gate end, and the
 * next be begun. */
static int open_and_compute(void *arg)
{
	struct gate *gate = arg;
	co_time now = co_now();

	compute_until(now + 10 * CO_MILLISECOND);
	counter_set(&gate->open, 1);
	compute_until(now + 30 * CO_MILLISECOND);

	return 0;
}

static int withdraw_queued(void *arg)
{
	struct gate gate = { .stops = false };
	struct co_task *first = spawn_or_die(NULL, call_at_gate, &gate), *other;

	await_begun(&gate, 1);
	other = spawn_or_die(NULL, call_it, arg);
	CO_WITH_DEADLINE(co_after(5 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_blocking(must_not_be_called, NULL, NULL),
				-ETIMEDOUT);
	CO_EXPECT_EQ(co_cancel(other), 0);
	CO_EXPECT_EQ(join_or_die(other), -ECANCELED);
	counter_set(&gate.open, 1);
	CO_EXPECT_EQ(join_or_die(first), 17);

	return 0;
}

Test(blocking, what_has_not_begun_can_be_cancelled_and_times_out)
{
	run_with_one(1, withdraw_queued, NULL);
	run_with_one(4, withdraw_queued, NULL);
}

/* No timer goes off while the only worker computes. */
static int compute_meanwhile(void *arg)
{
	struct gate gate = { .stops = false };
	struct co_task *first = spawn_or_die(NULL, call_at_gate, &gate), *other;
	int rc = 0;

	await_begun(&gate, 1);
	CO_WITH_DEADLINE(co_after(5 * CO_MILLISECOND)) {
		other = spawn_or_die(NULL, open_and_compute, &gate);
		rc = co_blocking(must_not_be_called, arg, NULL);
	}
	CO_EXPECT_EQ(rc, -ETIMEDOUT);
	CO_EXPECT_EQ(join_or_die(first), 17);
	CO_EXPECT_EQ(join_or_die(other), 0);

	return 0;
}

Test(blocking, what_is_late_does_not_begin_though_no_worker_has_time)
{
	run_with_one(1, compute_meanwhile, NULL);
}

struct place {
	size_t mine, *next;
};

static int take_place(void *arg)
{
	struct place *place = arg;

	CO_EXPECT_EQ(*place->next, place->mine);
	++*place->next;

	return 0;
}

static int call_take_place(void *arg)
{
	return co_blocking(take_place, arg, NULL);
}

static int ask_in_order(void *arg)
{
	struct co_task *tasks[10];
	struct place places[10];
	size_t next = 0;

	(void)arg;
	for (size_t i = 0; i < 10; i++) {
		places[i] = (struct place){ i, &next };
		tasks[i] = spawn_or_die(NULL, call_take_place, &places[i]);
	}
	CO_EXPECT_EQ(co_yield(), 0);
	for (size_t i = 0; i < 10; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(next, 10);

	return 0;
}

/* One thread, so the tasks ask in the order of spawning. */
Test(blocking, who_asks_first_is_first)
{
	run_with_one(1, ask_in_order, NULL);
}

/* --- What comes while it runs --------------------------------------------- */

/* Says what the next call said, or why the function did not begin. */
static int call_and_sleep(void *arg)
{
	struct gate *gate = arg;
	int result = 0, rc = co_blocking(wait_at_gate, gate, &result);

	if (rc < 0 && counter_get(&gate->begun) == 0)
		return rc;
	CO_EXPECT_EQ(rc, 0);
	CO_EXPECT_EQ(result, 17);

	/* A sleep of 0 looks at a clock that may be late. */
	return co_sleep(1);
}

/* Where a thread takes long to begin the time may be over before. */
static int call_in_time(void *arg)
{
	struct gate *gate = arg;
	int rc = 0;

	do {
		CO_WITH_DEADLINE(co_after(5 * CO_MILLISECOND))
			rc = call_and_sleep(gate);
	} while (counter_get(&gate->begun) == 0);

	return rc;
}

static int end_at_gate(co_task_fn *fn, bool cancels)
{
	struct gate gate = { .stops = false };
	struct co_task *task = spawn_or_die(NULL, fn, &gate);

	await_begun(&gate, 1);
	if (cancels)
		CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(co_sleep(20 * CO_MILLISECOND), 0);
	counter_set(&gate.open, 1);

	return join_or_die(task);
}

CO_TEST(blocking, what_has_begun_is_waited_for_and_then_the_news_is_told)
{
	CO_EXPECT_EQ(end_at_gate(call_and_sleep, true), -ECANCELED);
	CO_EXPECT_EQ(end_at_gate(call_in_time, false), -ETIMEDOUT);

	return 0;
}

static void expect_in_dump(const char *text)
{
	static char dump[1 << 16];
	FILE *file = tmpfile();
	size_t size;

	test_die_unless(file != NULL, "tmpfile", __FILE__, __LINE__);
	CO_EXPECT_EQ(co_loop_dump(co_loop_current(), fileno(file)), 0);
	rewind(file);
	size = fread(dump, 1, sizeof dump - 1, file);
	dump[size] = '\0';
	if (!CO_EXPECT(strstr(dump, text) != NULL))
		fputs(dump, stderr);
	fclose(file);
}

CO_TEST(blocking, a_dump_shows_who_waits_for_it)
{
	struct gate gate = { .stops = false };
	struct co_task *task = spawn_or_die(NULL, call_at_gate, &gate);

	await_begun(&gate, 1);
	expect_in_dump(" waits in co_blocking, ");
	expect_in_dump("; blocking calls 1, in threads 1");
	counter_set(&gate.open, 1);
	CO_EXPECT_EQ(join_or_die(task), 17);

	return 0;
}

/* --- The end of a run ----------------------------------------------------- */

/* Whether all that is left of the run are functions that have begun. */
static bool is_ending(struct co_loop *loop)
{
	bool quits;

	co__spin_acquire(&loop->blocking.lock);
	quits = loop->blocking.quits;
	co__spin_release(&loop->blocking.lock);

	return quits;
}

static void open_late(void *arg)
{
	struct gate *gate = arg;

	while (!is_ending(gate->loop))
		nap(CO_MILLISECOND / 10);
	counter_set(&gate->open, 1);
}

/* Stop a loop of THREADS while one call has begun and one is queued.  What was
 * begun has ended when the loop has.  Then run it on if AGAIN. */
static void stop_while_it_runs(unsigned threads, bool again)
{
	struct co_loop *loop = loop_for_calls(threads, 1);
	struct gate gate = { .stops = true, .loop = loop };
	struct co_task *tasks[2];
	struct test_thread thread;

	tasks[0] = spawn_or_die(loop, call_at_gate, &gate);
	tasks[1] = spawn_or_die(loop, call_at_gate, &gate);
	test_thread_start(&thread, NULL, open_late, &gate);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&gate.open), 1);
	cr_assert_eq(counter_get(&gate.begun), 1);
	test_thread_join(&thread);
	gate.stops = false;
	if (again) {
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(counter_get(&gate.begun), 2);
		cr_assert_eq(join_or_die(tasks[0]), 17);
		cr_assert_eq(join_or_die(tasks[1]), 17);
	}
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

Test(blocking, the_next_run_goes_on_with_it)
{
	stop_while_it_runs(1, true);
	stop_while_it_runs(4, true);
}

Test(blocking, a_loop_can_be_destroyed_with_calls_that_have_not_begun)
{
	stop_while_it_runs(1, false);
	stop_while_it_runs(4, false);
}
