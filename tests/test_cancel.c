/* SPDX-License-Identifier: MIT */

/* test_cancel.c - cancellation, suspension and resumption of co_task(3) */

#include "test.h"

#include <sched.h>

/* --- Tasks to cancel --------------------------------------------------- */

static int yield_for_ever(void *arg)
{
	int rc;

	(void)arg;
	do
		rc = co_yield();
	while (rc == 0);

	return rc;
}

static int join_it(void *arg)
{
	return co_join(arg, NULL);
}

static int get_from(void *arg)
{
	int item;

	return co_channel_get(arg, &item);
}

/* --- Cancellation ------------------------------------------------------ */

static void expect_cancel_ends(co_task_fn *fn, void *arg)
{
	struct co_task *task = spawn_or_die(NULL, fn, arg);

	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
}

CO_TEST(cancel, it_ends_every_kind_of_wait)
{
	struct co_task *sleeper = spawn_or_die(NULL, sleep_for_ever, NULL);
	struct co_channel *channel = NULL;

	test_or_die(co_channel_create(NULL, sizeof(int), 1, &channel));
	expect_cancel_ends(sleep_for_ever, NULL);
	expect_cancel_ends(yield_for_ever, NULL);
	expect_cancel_ends(suspend_for_ever, NULL);
	expect_cancel_ends(get_from, channel);
	expect_cancel_ends(join_it, sleeper);

	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	CO_EXPECT_EQ(co_cancel(sleeper), 0);
	CO_EXPECT_EQ(join_or_die(sleeper), -ECANCELED);

	return 0;
}

/* Tells by the counter ARG that it began. */
static int try_everything(void *arg)
{
	int i;

	counter_add(arg, 1);
	for (i = 0; i < 3; i++) {
		CO_EXPECT_EQ(co_yield(), -ECANCELED);
		CO_EXPECT_EQ(co_sleep(0), -ECANCELED);
		CO_EXPECT_EQ(co_sleep(CO_HOUR), -ECANCELED);
		CO_EXPECT_EQ(co_suspend(leave_parked, NULL), -ECANCELED);
	}

	return 5;
}

CO_TEST(cancel, it_is_sticky)
{
	struct test_counter begun = { 0 };

	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	try_everything(&begun);
	CO_EXPECT_EQ(co_cancel_mask(1), 0);

	return 0;
}

/* On one thread none of them can begin before this task waits. */
CO_TEST(cancel, a_task_that_has_not_begun_begins)
{
	struct co_task *tasks[100];
	size_t i;

	for (i = 0; i < 100; i++) {
		tasks[i] = spawn_or_die(NULL, i % 2 ? yield_for_ever :
				sleep_for_ever, NULL);
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	}
	for (i = 0; i < 100; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);

	return 0;
}

Test(cancel, it_can_come_before_the_loop_runs)
{
	struct test_counter begun = { 0 };
	struct co_loop *loop = loop_or_die(1);
	struct co_task *task = spawn_or_die(loop, try_everything, &begun);
	int result = 0;

	cr_assert_eq(co_cancel(task), 0);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_join(task, &result), 0);
	cr_assert_eq(result, 5);
	cr_assert_eq(counter_get(&begun), 1);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

struct mask {
	struct test_counter on;
	struct test_counter cancelled;
};

/* Who cancels may take its time. */
static int hide_and_show(void *arg)
{
	struct mask *mask = arg;

	CO_EXPECT_EQ(co_cancel_mask(1), 0);
	CO_EXPECT_EQ(co_cancel_mask(1), 1);
	counter_add(&mask->on, 1);
	do
		CO_EXPECT_EQ(co_sleep(3 * CO_MILLISECOND), 0);
	while (counter_get(&mask->cancelled) == 0);
	CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_cancel_mask(0), 1);
	CO_EXPECT_EQ(co_yield(), -ECANCELED);
	CO_EXPECT_EQ(co_cancel_mask(7), 0);
	CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_cancel_mask(0), 1);
	CO_EXPECT_EQ(co_sleep(1), -ECANCELED);

	return 0;
}

CO_TEST(cancel, a_mask_hides_it)
{
	struct mask mask = { { 0 }, { 0 } };
	struct co_task *task = spawn_or_die(NULL, hide_and_show, &mask);

	while (counter_get(&mask.on) == 0)
		co_yield();
	CO_EXPECT_EQ(co_cancel(task), 0);
	counter_add(&mask.cancelled, 1);
	CO_EXPECT_EQ(join_or_die(task), 0);

	return 0;
}

CO_TEST(cancel, many_tasks_can_be_cancelled_at_once)
{
	struct co_task *tasks[200];
	size_t i;

	for (i = 0; i < 200; i++)
		tasks[i] = spawn_or_die(NULL, i % 2 ? yield_for_ever :
				sleep_for_ever, NULL);
	for (i = 200; i-- > 0;)
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	for (i = 0; i < 200; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);

	return 0;
}

/* --- Suspension -------------------------------------------------------- */

static void resume_at_once(struct co_task *task, void *arg)
{
	counter_add(arg, 1);
	CO_EXPECT_EQ(co_resume(task), 0);
}

CO_TEST(suspend, parked_may_resume_from_its_first_instruction)
{
	struct test_counter calls = { 0 };
	size_t i;

	for (i = 0; i < 1000; i++)
		CO_EXPECT_EQ(co_suspend(resume_at_once, &calls), 0);
	CO_EXPECT_EQ(counter_get(&calls), 1000);

	return 0;
}

struct nested {
	volatile AO_t sleeper;		/* the other task, once it is parked */
	bool inside;
	bool ran;
};

static int run_when_resumed(void *arg)
{
	struct nested *nested = arg;
	int rc = co_suspend(publish, (void *)&nested->sleeper);

	CO_EXPECT(!nested->inside);
	nested->ran = true;

	return rc;
}

static void resume_both(struct co_task *task, void *arg)
{
	struct nested *nested = arg;

	nested->inside = true;
	CO_EXPECT_EQ(co_resume((struct co_task *)nested->sleeper), 0);
	CO_EXPECT_EQ(co_resume(task), 0);
	CO_EXPECT(!nested->ran);
	nested->inside = false;
}

/* Whoever resumes is in the middle of something: nobody runs in there. */
CO_TEST_ON_ONE_THREAD(suspend, who_is_resumed_goes_on_after_parked)
{
	struct nested nested = { .sleeper = 0 };
	struct co_task *task = spawn_or_die(NULL, run_when_resumed, &nested);

	while (AO_load_acquire(&nested.sleeper) == 0)
		co_yield();
	CO_EXPECT_EQ(co_suspend(resume_both, &nested), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT(nested.ran);

	return 0;
}

struct parked_seen {
	struct co_task *task;
	struct co_task *self;
};

static void look_around(struct co_task *task, void *arg)
{
	struct parked_seen *seen = arg;

	seen->task = task;
	seen->self = co_self();
	co_resume(task);
}

CO_TEST(suspend, parked_runs_outside_of_any_task)
{
	struct parked_seen seen = { NULL, co_self() };

	CO_EXPECT_EQ(co_suspend(look_around, &seen), 0);
	CO_EXPECT(seen.task == co_self());
	CO_EXPECT(seen.self == NULL);

	return 0;
}

CO_TEST(suspend, another_task_resumes)
{
	volatile AO_t slot = 0;
	struct co_task *task;
	int i;

	for (i = 0; i < 100; i++) {
		slot = 0;
		task = spawn_or_die(NULL, suspend_into, (void *)&slot);
		CO_EXPECT(await_parked(&slot) == task);
		CO_EXPECT_EQ(co_resume(task), 0);
		CO_EXPECT_EQ(join_or_die(task), 0);
	}

	return 0;
}

CO_TEST(suspend, who_is_not_suspended_is_not_resumed)
{
	volatile AO_t slot = 0;
	struct co_task *task = spawn_or_die(NULL, suspend_into, (void *)&slot);

	CO_EXPECT_EQ(co_resume(co_self()), -EALREADY);
	CO_EXPECT_EQ(co_resume(await_parked(&slot)), 0);
	CO_EXPECT_EQ(co_resume(task), -EALREADY);
	CO_EXPECT_EQ(join_or_die(task), 0);

	task = spawn_or_die(NULL, sleep_for_ever, NULL);
	CO_EXPECT_EQ(co_resume(task), -EALREADY);
	settle();
	CO_EXPECT_EQ(co_resume(task), -EALREADY);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_EXPECT_EQ(co_suspend(NULL, NULL), -EINVAL);

	return 0;
}

struct foreign {
	volatile AO_t slot;
	volatile AO_t over;
	struct test_counter resumed;
};

static void resume_what_comes(void *arg)
{
	struct foreign *foreign = arg;
	AO_t task;

	while (AO_load_acquire(&foreign->over) == 0) {
		task = AO_load_acquire(&foreign->slot);
		if (task == 0) {
			sched_yield();
			continue;
		}
		AO_store(&foreign->slot, 0);
		CO_EXPECT_EQ(co_resume((struct co_task *)task), 0);
		counter_add(&foreign->resumed, 1);
	}
}

CO_TEST(suspend, a_foreign_thread_resumes)
{
	struct foreign foreign = { .slot = 0 };
	struct test_thread thread;
	size_t n = CO_TEST_SCALE(2000), i;

	test_thread_start(&thread, co_loop_current(), resume_what_comes,
			&foreign);
	for (i = 0; i < n; i++)
		CO_EXPECT_EQ(co_suspend(publish, (void *)&foreign.slot), 0);
	AO_store_release(&foreign.over, 1);
	test_thread_join(&thread);
	CO_EXPECT_EQ(counter_get(&foreign.resumed), n);

	return 0;
}

/* --- Several who want to end one suspension ---------------------------- */

enum { RESUMERS = 4 };

struct contest {
	volatile AO_t slot;
	struct test_counter round;
	struct test_counter won;
	struct test_counter done;
};

static int resume_each_round(void *arg)
{
	struct contest *contest = arg;
	size_t n = CO_TEST_SCALE(500), i;
	struct co_task *task;

	for (i = 1; i <= n; i++) {
		while (counter_get(&contest->round) < i)
			co_yield();
		task = (struct co_task *)AO_load_acquire(&contest->slot);
		if (co_resume(task) == 0)
			counter_add(&contest->won, 1);
		counter_add(&contest->done, 1);
	}

	return 0;
}

static void begin_round(struct co_task *task, void *arg)
{
	struct contest *contest = arg;

	AO_store(&contest->slot, (AO_t)task);
	counter_add(&contest->round, 1);
}

CO_TEST(suspend, one_of_many_resumers_wins)
{
	struct contest contest = { .slot = 0 };
	struct co_task *tasks[RESUMERS];
	size_t n = CO_TEST_SCALE(500), i;

	for (i = 0; i < RESUMERS; i++)
		tasks[i] = spawn_or_die(NULL, resume_each_round, &contest);
	for (i = 1; i <= n; i++) {
		CO_EXPECT_EQ(co_suspend(begin_round, &contest), 0);
		while (counter_get(&contest.done) < i * RESUMERS)
			co_yield();
		CO_EXPECT_EQ(counter_get(&contest.won), i);
	}
	for (i = 0; i < RESUMERS; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);

	return 0;
}

CO_TEST(suspend, a_deadline_ends_it)
{
	co_time before = co_now();

	CO_WITH_DEADLINE(co_after(2 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_suspend(leave_parked, NULL), -ETIMEDOUT);
	CO_EXPECT(co_now() - before >= 2 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_resume(co_self()), -EALREADY);

	return 0;
}

/* A suspension that its deadline and a resumer want to end at once: either
 * co_resume() returned 0 and co_suspend(), too, or neither did. */
static int resume_in_the_end(void *arg)
{
	struct contest *contest = arg;
	size_t n = CO_TEST_SCALE(1000), i;
	struct co_task *task;

	for (i = 1; i <= n; i++) {
		while (counter_get(&contest->round) < i)
			co_yield();
		co_sleep((co_time)(i % 7) * 20 * CO_MICROSECOND);
		task = (struct co_task *)AO_load_acquire(&contest->slot);
		if (co_resume(task) == 0)
			counter_add(&contest->won, 1);
		counter_add(&contest->done, 1);
	}

	return 0;
}

CO_TEST(suspend, a_deadline_and_a_resumer_agree_on_who_won)
{
	struct contest contest = { .slot = 0 };
	struct co_task *task = spawn_or_die(NULL, resume_in_the_end, &contest);
	size_t n = CO_TEST_SCALE(1000), i, resumed = 0;
	int rc = 0;

	for (i = 1; i <= n; i++) {
		CO_WITH_DEADLINE(co_after(100 * CO_MICROSECOND))
			rc = co_suspend(begin_round, &contest);
		if (rc == 0)
			resumed++;
		else
			CO_EXPECT_EQ(rc, -ETIMEDOUT);
		/* On a busy machine the time is over before it has begun. */
		if (counter_get(&contest.round) < i) {
			i--;
			continue;
		}
		/* The resumer still has the handle. */
		while (counter_get(&contest.done) < i)
			co_yield();
		CO_EXPECT_EQ(counter_get(&contest.won), resumed);
	}
	CO_EXPECT_EQ(join_or_die(task), 0);

	return 0;
}
