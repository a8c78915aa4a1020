/* SPDX-License-Identifier: MIT */

#include "test.h"

#include <unistd.h>

/* --- The clock -------------------------------------------------------- */

Test(time, now_never_goes_back)
{
	co_time last = co_now(), now;
	size_t i;

	for (i = 0; i < 10000; i++) {
		now = co_now();
		cr_assert_geq(now, last);
		last = now;
	}
}

Test(time, after_adds_and_saturates)
{
	co_time before = co_now(), then = co_after(CO_HOUR), now = co_now();

	cr_assert(then >= before + CO_HOUR && then <= now + CO_HOUR);
	cr_assert_eq(co_after(CO_NEVER), CO_NEVER);
	cr_assert_eq(co_after(CO_NEVER - 1), CO_NEVER);
	before = co_now();
	then = co_after(-CO_HOUR);
	cr_assert(then >= before && then <= co_now());
	then = co_after(INT64_MIN);
	cr_assert(then >= before && then <= co_now());
	then = co_after(0);
	cr_assert(then >= before && then <= co_now());
}

Test(time, outside_of_a_task_nothing_sleeps)
{
	struct co_deadline scope;
	bool entered = false;

	cr_assert_eq(co_sleep(CO_MILLISECOND), -EPERM);
	cr_assert_eq(co_sleep(0), -EPERM);
	cr_assert_eq(co_sleep_until(0), -EPERM);
	cr_assert_eq(co_deadline_begin(&scope, co_now()), -EPERM);
	cr_assert_eq(co_deadline_end(&scope), -EINVAL);
	CO_WITH_DEADLINE(TEST_LONG_AGO)
		entered = true;
	cr_assert(entered, "the block is run, without a deadline");
}

/* --- Sleeping --------------------------------------------------------- */

CO_TEST(time, no_sleep_is_too_short)
{
	static const co_time durations[] = {
		1, 1000, 50 * CO_MICROSECOND, 999 * CO_MICROSECOND,
		CO_MILLISECOND, 3 * CO_MILLISECOND + 1, 17 * CO_MILLISECOND,
	};
	size_t i;

	for (i = 0; i < sizeof durations / sizeof *durations; i++) {
		co_time before = co_now();

		CO_EXPECT_EQ(co_sleep(durations[i]), 0);
		CO_EXPECT(co_now() - before >= durations[i]);
	}
	for (i = 0; i < 50; i++) {
		co_time when = co_after((co_time)i * 37777);

		CO_EXPECT_EQ(co_sleep_until(when), 0);
		CO_EXPECT(co_now() >= when);
	}
	return 0;
}

CO_TEST(time, a_sleep_until_the_past_is_over_at_once)
{
	co_time before = co_now();

	CO_EXPECT_EQ(co_sleep(0), 0);
	CO_EXPECT_EQ(co_sleep(-1), 0);
	CO_EXPECT_EQ(co_sleep(INT64_MIN), 0);
	CO_EXPECT_EQ(co_sleep_until(0), 0);
	CO_EXPECT_EQ(co_sleep_until(-5), 0);
	CO_EXPECT_EQ(co_sleep_until(co_now() - 1), 0);
	CO_EXPECT(co_now() - before < 20 * CO_SECOND);
	return 0;
}

struct sleeper {
	co_time when;
	size_t number;
	struct test_counter *next;
	size_t place;
	int result;
};

static int sleep_and_sign(void *arg)
{
	struct sleeper *self = arg;

	self->result = co_sleep_until(self->when);
	CO_EXPECT(self->result != 0 || co_now() >= self->when);
	self->place = counter_add(self->next, 1);
	return 0;
}

enum { SLEEPERS = 16 };

struct sleepers {
	struct sleeper each[SLEEPERS];
	struct co_task *tasks[SLEEPERS];
	struct test_counter next;
	co_time last;
};

/* Let tasks sleep until times after LEAD, in another order than they are
 * spawned; the times are apart enough to fall into several slots of any wheel.
 * On one thread.  Returns whether all of them were asleep in time. */
static bool begin_sleepers(struct sleepers *self, co_time lead)
{
	co_time base = co_after(lead);
	size_t i;

	memset(self, 0, sizeof *self);
	for (i = 0; i < SLEEPERS; i++) {
		size_t number = i * 7 % SLEEPERS;

		self->each[i] = (struct sleeper){
			.when = base + (co_time)number * 2 * CO_MILLISECOND,
			.number = number, .next = &self->next,
		};
		if (self->each[i].when > self->last)
			self->last = self->each[i].when;
		self->tasks[i] = spawn_or_die(NULL, sleep_and_sign,
				&self->each[i]);
	}
	for (i = 0; i < SLEEPERS; i++)
		co_yield();

	return co_now() < base;
}

static void end_sleepers(struct sleepers *self, bool in_order)
{
	size_t i;

	for (i = 0; i < SLEEPERS; i++)
		CO_EXPECT_EQ(join_or_die(self->tasks[i]), 0);
	for (i = 0; i < SLEEPERS && in_order; i++)
		CO_EXPECT_EQ(self->each[i].place, self->each[i].number);
}

/* Begin them with ever more time before the first, until that was enough. */
static void begin_in_time(struct sleepers *self)
{
	co_time lead = 10 * CO_MILLISECOND;

	while (!begin_sleepers(self, lead)) {
		end_sleepers(self, false);
		lead *= 2;
	}
}

/* One thread serves them in the order of their times.  Nobody joins before all
 * have signed, since a join prefers what was made ready last. */
CO_TEST_ON_ONE_THREAD(time, sleepers_wake_in_the_order_of_their_times)
{
	struct sleepers sleepers;

	begin_in_time(&sleepers);
	while (counter_get(&sleepers.next) < SLEEPERS)
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	end_sleepers(&sleepers, true);
	return 0;
}

/* Their times have all come when the thread looks: a busy machine. */
CO_TEST_ON_ONE_THREAD(time, sleepers_that_are_all_late_wake_in_order)
{
	struct sleepers sleepers;

	begin_in_time(&sleepers);
	while (co_now() <= sleepers.last + CO_MILLISECOND)
		;
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(counter_get(&sleepers.next), SLEEPERS);
	end_sleepers(&sleepers, true);
	return 0;
}

CO_TEST(time, ten_thousand_tasks_sleep_at_once)
{
	size_t i, count = test_tasks_at_once(CO_TEST_SCALE(10000));
	struct sleeper *sleepers = calloc(count, sizeof *sleepers);
	struct co_task **tasks = calloc(count, sizeof *tasks);
	struct test_counter next = { 0 };
	co_time base = co_after(5 * CO_MILLISECOND);
	uint64_t seed = 3;

	for (i = 0; i < count; i++) {
		sleepers[i].when = base + (co_time)test_random_below(&seed,
				60 * CO_MILLISECOND);
		sleepers[i].next = &next;
		tasks[i] = spawn_or_die(NULL, sleep_and_sign, &sleepers[i]);
	}
	for (i = 0; i < count; i++) {
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
		CO_EXPECT_EQ(sleepers[i].result, 0);
	}
	CO_EXPECT_EQ(counter_get(&next), count);
	free(sleepers);
	free(tasks);
	return 0;
}

CO_TEST(time, a_cancel_ends_a_sleep)
{
	enum { COUNT = 20 };
	struct co_task *tasks[COUNT];
	co_time before = co_now();
	size_t i;

	for (i = 0; i < COUNT; i++)
		tasks[i] = spawn_or_die(NULL, sleep_for_an_hour, NULL);
	settle();
	for (i = 0; i < COUNT; i++)
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	for (i = 0; i < COUNT; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);
	CO_EXPECT(co_now() - before < CO_MINUTE);
	return 0;
}

static int sleep_masked(void *arg)
{
	co_time *duration = arg;
	int result;

	CO_EXPECT_EQ(co_cancel_mask(1), 0);
	result = co_sleep(*duration);
	CO_EXPECT_EQ(co_cancel_mask(0), 1);
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -ECANCELED);
	CO_EXPECT_EQ(co_sleep(0), -ECANCELED);
	return result;
}

CO_TEST(time, a_mask_hides_a_cancel_from_a_sleep)
{
	co_time duration = 20 * CO_MILLISECOND, before = co_now();
	struct co_task *task = spawn_or_die(NULL, sleep_masked, &duration);

	settle();
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT(co_now() - before >= duration);
	return 0;
}

/* --- One deadline ----------------------------------------------------- */

CO_TEST(time, a_deadline_ends_every_kind_of_wait)
{
	struct co_channel *channel = channel_or_die(1, 0);
	struct co_lock lock = CO_LOCK_INIT;
	struct co_select_case one = CO_SELECT_CASE_GET(channel, &lock);
	struct co_task *sleeper = spawn_or_die(NULL, sleep_for_an_hour, NULL);
	struct co_deadline scope;
	co_time when = co_after(5 * CO_MILLISECOND);
	int pipe_ends[2];
	char byte = 1;

	test_or_die(pipe(pipe_ends));
	CO_EXPECT_EQ(co_lock_acquire(&lock), 0);
	CO_EXPECT_EQ(co_deadline_begin(&scope, when), 0);
	/* The first of them waits, and the others come too late. */
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -ETIMEDOUT);
	CO_EXPECT(co_now() >= when);
	CO_EXPECT_EQ(co_channel_get(channel, &byte), -ETIMEDOUT);
	CO_EXPECT_EQ(co_channel_put(channel, &byte), -ETIMEDOUT);
	CO_EXPECT_EQ(co_lock_acquire(&lock), -ETIMEDOUT);
	CO_EXPECT_EQ(co_join(sleeper, NULL), -ETIMEDOUT);
	CO_EXPECT_EQ(co_wait_fd(pipe_ends[0], CO_READABLE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_select(&one, 1), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);

	/* Outside of it there is no deadline. */
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(co_cancel(sleeper), 0);
	CO_EXPECT_EQ(join_or_die(sleeper), -ECANCELED);
	CO_EXPECT_EQ(co_lock_release(&lock), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return 0;
}

/* Each kind of wait is the first to meet the deadline. */
static void expect_late(int result, co_time when)
{
	CO_EXPECT_EQ(result, -ETIMEDOUT);
	CO_EXPECT(co_now() >= when);
}

#define WAIT_UNTIL_LATE(call) do {                                          \
		co_time when_ = co_after(2 * CO_MILLISECOND);               \
		CO_WITH_DEADLINE(when_)                                     \
			expect_late((call), when_);                         \
	} while (0)

CO_TEST(time, a_deadline_wakes_every_kind_of_wait)
{
	struct co_channel *channel = channel_or_die(1, 0);
	struct co_lock lock = CO_LOCK_INIT;
	struct co_select_case one = CO_SELECT_CASE_GET(channel, &lock);
	struct co_task *sleeper = spawn_or_die(NULL, sleep_for_an_hour, NULL);
	int pipe_ends[2];
	char byte = 1;

	test_or_die(pipe(pipe_ends));
	CO_EXPECT_EQ(co_lock_acquire(&lock), 0);
	WAIT_UNTIL_LATE(co_sleep(CO_HOUR));
	WAIT_UNTIL_LATE(co_sleep_until(CO_NEVER));
	WAIT_UNTIL_LATE(co_channel_get(channel, &byte));
	WAIT_UNTIL_LATE(co_channel_put(channel, &byte));
	WAIT_UNTIL_LATE(co_lock_acquire(&lock));
	WAIT_UNTIL_LATE(co_join(sleeper, NULL));
	WAIT_UNTIL_LATE(co_wait_fd(pipe_ends[0], CO_READABLE));
	WAIT_UNTIL_LATE(co_select(&one, 1));
	CO_EXPECT_EQ(co_cancel(sleeper), 0);
	CO_EXPECT_EQ(join_or_die(sleeper), -ECANCELED);
	CO_EXPECT_EQ(co_lock_release(&lock), 0);
	CO_EXPECT_EQ(co_lock_deinit(&lock), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	return 0;
}

CO_TEST(time, a_deadline_that_has_passed_refuses_at_once)
{
	struct co_channel *channel = channel_or_die(1, 4);
	struct co_lock lock = CO_LOCK_INIT;
	struct co_deadline scope;
	char byte = 1;

	CO_EXPECT_EQ(co_deadline_begin(&scope, TEST_LONG_AGO), 0);
	CO_EXPECT_EQ(co_sleep(0), -ETIMEDOUT);
	CO_EXPECT_EQ(co_sleep_until(0), -ETIMEDOUT);
	CO_EXPECT_EQ(co_channel_put(channel, &byte), -ETIMEDOUT);
	CO_EXPECT_EQ(co_lock_acquire(&lock), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	/* Calls that never wait go on as ever. */
	CO_EXPECT_EQ(co_channel_try_put(channel, &byte), 0);
	CO_EXPECT_EQ(co_lock_try_acquire(&lock), 0);
	CO_EXPECT_EQ(co_lock_release(&lock), 0);
	CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* Calls that need not wait, which look at a clock that is late. */
static void expect_all_late(struct co_channel *roomy)
{
	struct co_select_case one = CO_SELECT_CASE_PUT(roomy, &(char){ 1 });
	struct co_lock lock = CO_LOCK_INIT;
	char byte = 1;

	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_sleep(0), -ETIMEDOUT);
	CO_EXPECT_EQ(co_channel_put(roomy, &byte), -ETIMEDOUT);
	CO_EXPECT_EQ(co_lock_acquire(&lock), -ETIMEDOUT);
	CO_EXPECT_EQ(co_select(&one, 1), -ETIMEDOUT);
}

/* What a call that waited has told, with an exact clock, the others say too. */
CO_TEST(time, a_deadline_that_was_told_stays_told)
{
	struct co_channel *channel = channel_or_die(1, 4);
	struct co_deadline outer, inner, within;

	for (size_t i = 0; i < 30; i++) {
		co_time when = co_after(100 * CO_MICROSECOND);

		CO_EXPECT_EQ(co_deadline_begin(&outer, when), 0);
		CO_EXPECT_EQ(co_deadline_begin(&inner, when), 0);
		CO_EXPECT_EQ(co_sleep(CO_HOUR), -ETIMEDOUT);
		expect_all_late(channel);
		CO_EXPECT_EQ(co_deadline_begin(&within, co_after(CO_HOUR)), 0);
		expect_all_late(channel);
		CO_EXPECT_EQ(co_deadline_end(&within), 0);
		CO_EXPECT_EQ(co_deadline_end(&inner), -ETIMEDOUT);
		/* It is that of the outer scope too. */
		expect_all_late(channel);
		CO_EXPECT_EQ(co_deadline_end(&outer), -ETIMEDOUT);
		CO_EXPECT_EQ(co_yield(), 0);
	}
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

CO_TEST(time, a_deadline_that_no_call_met_has_not_expired)
{
	struct co_deadline scope;
	co_time when = co_after(CO_MILLISECOND);

	CO_EXPECT_EQ(co_deadline_begin(&scope, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(co_deadline_end(&scope), 0);

	/* It has passed, but no blocking call failed because of it. */
	CO_EXPECT_EQ(co_deadline_begin(&scope, when), 0);
	while (co_now() < when)
		;
	CO_EXPECT_EQ(co_deadline_end(&scope), 0);

	CO_EXPECT_EQ(co_deadline_begin(&scope, CO_NEVER), 0);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(co_deadline_end(&scope), 0);
	CO_EXPECT_EQ(co_deadline_end(&scope), -EINVAL);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	return 0;
}

/* A sleep that ends before the deadline is over, one that would end after it
 * is not; the deadline is the earlier of the two by far. */
CO_TEST(time, a_sleep_that_fits_in_the_scope_is_over)
{
	size_t i;

	for (i = 0; i < 20; i++) {
		CO_WITH_DEADLINE(co_after(CO_MINUTE))
			CO_EXPECT_EQ(co_sleep(50 * CO_MICROSECOND), 0);
		CO_WITH_DEADLINE(co_after(50 * CO_MICROSECOND))
			CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	}
	return 0;
}

CO_TEST(time, a_cancel_is_seen_inside_a_scope)
{
	struct co_deadline scope;

	CO_EXPECT_EQ(co_deadline_begin(&scope, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -ECANCELED);
	CO_EXPECT_EQ(co_deadline_end(&scope), 0);
	return 0;
}

/* --- Scopes in scopes ------------------------------------------------- */

CO_TEST(time, the_earliest_of_nested_deadlines_counts)
{
	struct co_deadline outer, inner;

	/* The inner one is earlier. */
	CO_EXPECT_EQ(co_deadline_begin(&outer, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, co_after(CO_MILLISECOND)), 0);
	CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&inner), -ETIMEDOUT);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(co_deadline_end(&outer), 0);

	/* The outer one is earlier. */
	CO_EXPECT_EQ(co_deadline_begin(&outer, co_after(CO_MILLISECOND)), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&inner), 0);
	CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&outer), -ETIMEDOUT);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	return 0;
}

CO_TEST(time, an_outer_deadline_expires_in_an_inner_scope)
{
	struct co_deadline outer, inner;

	CO_EXPECT_EQ(co_deadline_begin(&outer, co_after(CO_MILLISECOND)), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&inner), 0);
	/* The failure was met inside, and still it is this scope's. */
	CO_EXPECT_EQ(co_deadline_end(&outer), -ETIMEDOUT);
	return 0;
}

CO_TEST(time, a_scope_cannot_be_begun_within_itself)
{
	struct co_deadline scope;

	CO_EXPECT_EQ(co_deadline_begin(&scope, co_after(CO_MILLISECOND)), 0);
	CO_EXPECT_EQ(co_deadline_begin(&scope, CO_NEVER), -EINVAL);
	CO_EXPECT_EQ(co_deadline_mask(&scope), -EINVAL);
	CO_EXPECT_EQ(co_sleep(CO_MINUTE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&scope), -EINVAL);
	CO_EXPECT_EQ(co_sleep(2 * CO_MILLISECOND), 0);

	return 0;
}

CO_TEST(time, only_the_innermost_scope_can_be_ended)
{
	struct co_deadline outer, inner;

	CO_EXPECT_EQ(co_deadline_begin(&outer, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, co_after(CO_HOUR)), 0);
	CO_EXPECT_EQ(co_deadline_end(&outer), -EINVAL);
	CO_EXPECT_EQ(co_deadline_end(&inner), 0);
	CO_EXPECT_EQ(co_deadline_end(&outer), 0);
	CO_EXPECT_EQ(co_deadline_end(NULL), -EINVAL);
	return 0;
}

/* --- Hiding deadlines --------------------------------------------------- */

static int sleep_a_little(void *unused)
{
	(void)unused;
	return co_sleep(3 * CO_MILLISECOND);
}

CO_TEST(time, a_mask_hides_a_deadline_that_has_passed)
{
	struct co_task *child = spawn_or_die(NULL, sleep_a_little, NULL);
	struct co_deadline scope, mask, inner, within;

	CO_EXPECT_EQ(co_deadline_begin(&scope, TEST_LONG_AGO), 0);
	CO_EXPECT_EQ(co_join(child, NULL), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_mask(&mask), 0);
	CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT_EQ(join_or_die(child), 0);
	CO_EXPECT_EQ(co_deadline_end(&scope), -EINVAL);
	CO_EXPECT_EQ(co_deadline_end(&mask), 0);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_mask(&mask), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, TEST_LONG_AGO), 0);
	CO_EXPECT_EQ(co_deadline_mask(&within), 0);
	CO_EXPECT_EQ(co_yield(), 0);
	co_deadline_leave(&within);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	co_deadline_leave(&inner);
	CO_EXPECT_EQ(co_yield(), 0);
	co_deadline_leave(&mask);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);
	return 0;
}

/* Its timer, which was set, goes off for nobody. */
CO_TEST(time, a_mask_hides_a_deadline_that_passes)
{
	struct co_deadline scope, mask;

	for (size_t i = 0; i < 20; i++) {
		co_time when = co_after(CO_MILLISECOND);

		CO_EXPECT_EQ(co_deadline_begin(&scope, when), 0);
		co_sleep(10 * CO_MICROSECOND);
		CO_EXPECT_EQ(co_deadline_mask(&mask), 0);
		CO_EXPECT_EQ(co_sleep_until(when + CO_MILLISECOND), 0);
		CO_EXPECT_EQ(co_deadline_end(&mask), 0);
		CO_EXPECT_EQ(co_sleep(CO_HOUR), -ETIMEDOUT);
		CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);
	}
	return 0;
}

CO_TEST(time, a_scope_in_a_mask_has_a_deadline_of_its_own)
{
	struct co_deadline scope, mask, inner;

	CO_EXPECT_EQ(co_deadline_begin(&scope, TEST_LONG_AGO), 0);
	CO_EXPECT_EQ(co_deadline_mask(&mask), 0);
	CO_EXPECT_EQ(co_deadline_begin(&inner, co_after(CO_MILLISECOND)), 0);
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_deadline_end(&inner), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_deadline_end(&mask), 0);
	/* No call has met it. */
	CO_EXPECT_EQ(co_deadline_end(&scope), 0);
	return 0;
}

CO_TEST(time, a_mask_of_deadlines_hides_no_cancel)
{
	struct co_deadline mask;

	CO_EXPECT_EQ(co_deadline_mask(&mask), 0);
	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -ECANCELED);
	CO_EXPECT_EQ(co_deadline_end(&mask), 0);
	return 0;
}

/* --- However a block is left ------------------------------------------ */

static int leave_by_return(void)
{
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND)) {
		CO_WITH_DEADLINE(co_after(CO_HOUR))
			return co_sleep(CO_MINUTE);
	}
	return -EIO;
}

static void leave_by_goto(void)
{
	CO_WITH_DEADLINE(TEST_LONG_AGO) {
		if (co_yield() != 0)
			goto left;
	}
	CO_EXPECT(!"reached");
left:
	CO_EXPECT_EQ(co_yield(), 0);
}

CO_TEST(time, the_scope_of_a_block_ends_however_it_is_left)
{
	size_t i, turns = 0;

	CO_EXPECT_EQ(leave_by_return(), -ETIMEDOUT);
	CO_EXPECT_EQ(co_yield(), 0);
	leave_by_goto();
	for (i = 0; i < 3; i++) {
		CO_WITH_DEADLINE(TEST_LONG_AGO) {
			if (i == 1)
				break;
			CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
		}
		/* break left the block, not the loop around it. */
		CO_EXPECT_EQ(co_yield(), 0);
		turns++;
	}
	CO_EXPECT_EQ(turns, 3);
	return 0;
}

/* --- In the past ------------------------------------------------------ */

/* Also what need not wait fails, though the coarse clock is late. */
CO_TEST(time, a_scope_whose_deadline_is_in_the_past_lets_nothing_succeed)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		struct co_deadline scope;

		CO_EXPECT_EQ(co_deadline_begin(&scope, co_now()), 0);
		CO_EXPECT_EQ(co_yield(), -ETIMEDOUT);
		CO_EXPECT_EQ(co_deadline_end(&scope), -ETIMEDOUT);
		CO_EXPECT_EQ(co_yield(), 0);
	}
	return 0;
}

/* --- Beside who computes ---------------------------------------------- */

struct computer {
	struct test_counter turns;
	AO_t over;		/* atomic: 1 when it is to end */
};

static int compute_in_turns(void *arg)
{
	struct computer *computer = arg;

	while (AO_load(&computer->over) == 0) {
		co_time end = co_after(CO_MILLISECOND);

		while (co_now() < end)
			continue;
		counter_add(&computer->turns, 1);
		CO_EXPECT_EQ(co_yield(), 0);
	}
	return 0;
}

/* The turns of a millisecond are so long that a thread looks at its timers after
 * each few of them.  It has to find out; then each sleep takes some turns. */
CO_TEST_ON_ONE_THREAD(time, turns_that_are_long_make_no_sleep_longer)
{
	enum { SLEEPS = 10, TURNS = 16 };
	struct computer computer = { { 0 }, 0 };
	struct co_task *task = spawn_or_die(NULL, compute_in_turns, &computer);
	size_t begun;

	(void)arg;
	while (counter_get(&computer.turns) < 200)
		CO_EXPECT_EQ(co_yield(), 0);
	begun = counter_get(&computer.turns);
	for (int i = 0; i < SLEEPS; i++)
		CO_EXPECT_EQ(co_sleep(CO_MILLISECOND), 0);
	CO_EXPECT(counter_get(&computer.turns) - begun < SLEEPS * TURNS);
	AO_store(&computer.over, 1);
	CO_EXPECT_EQ(join_or_die(task), 0);
	return 0;
}

/* --- Races ------------------------------------------------------------ */

static int sleep_briefly_in_scopes(void *arg)
{
	size_t i, rounds = CO_TEST_SCALE(300);
	uint64_t seed = (uintptr_t)&seed;

	(void)arg;
	for (i = 0; i < rounds; i++) {
		co_time when = co_after((co_time)test_random_below(&seed,
				100000));
		co_time wake = co_after((co_time)test_random_below(&seed,
				100000));
		struct co_deadline scope;
		int result, ended;

		CO_EXPECT_EQ(co_deadline_begin(&scope, when), 0);
		result = co_sleep_until(wake);
		ended = co_deadline_end(&scope);
		CO_EXPECT_EQ(result, ended);
		CO_EXPECT(result == 0 || result == -ETIMEDOUT);
		CO_EXPECT(co_now() >= (result == 0 ? wake : when));
	}
	return 0;
}

CO_TEST(time, a_sleep_and_a_deadline_that_race_tell_who_won)
{
	spawn_and_join_all(32, sleep_briefly_in_scopes, NULL);
	return 0;
}
