/* SPDX-License-Identifier: MIT */

#include "timer.h"
#include "test.h"

#include "loop.h"
#include "wait.h"

#include <sched.h>

/*
 * Most tests give the wheel a time of their own making, and tasks that nobody
 * runs: all that the wheel knows of a task is its timer, its wait word and its
 * deadline.  A task that isn't armed is only told, by EXPIRED; one that is
 * armed and whose deadline has passed comes out of the loop's inject queue.
 */

#define TICK ((co_time)1 << 16)

/* The first tick that isn't before WHEN, as a time. */
static co_time round_up(co_time when)
{
	return (when + (TICK - 1)) & ~(TICK - 1);
}

static bool has_expired(const struct co_task *task)
{
	return (AO_load(&task->wait) & CO__WAIT_EXPIRED) != 0;
}

static void give_timers(struct co_task *tasks, struct co__timer *timers,
		size_t count)
{
	for (size_t i = 0; i < count; i++) {
		tasks[i].timer = &timers[i];
		timers[i].task = &tasks[i];
	}
}

/* Three tasks with timers, and an empty WHEEL, at the time NOW. */
static struct co_task *begin(struct co__wheel *wheel, co_time now)
{
	static struct co__timer timers[3];
	static struct co_task tasks[3];

	memset(tasks, 0, sizeof tasks);
	give_timers(tasks, timers, 3);
	co__wheel_init(wheel, now);

	return tasks;
}

/* With their timers behind them, as in a slab. */
static struct co_task *tasks_or_die(size_t count, struct co_loop *loop)
{
	struct co_task *tasks = calloc(count, sizeof *tasks
			+ sizeof(struct co__timer));

	test_die_unless(tasks != NULL, "calloc", __FILE__, __LINE__);
	give_timers(tasks, (struct co__timer *)(void *)(tasks + count), count);
	for (size_t i = 0; i < count; i++)
		tasks[i].loop = loop;
	return tasks;
}

/* TASK waits, until DEADLINE at most. */
static void arm(struct co_task *task, co_time deadline, AO_t flags)
{
	task->deadline = deadline;
	co__atomic_store_wide(task->wait_deadline, deadline);
	co__atomic_fetch_or(&task->wait, CO__WAIT_ARMED | flags);
}

/* The next task that was made ready, or NULL. */
static struct co_task *take_ready(struct co_loop *loop)
{
	struct co_tick *tick;

	if (co__inject_take(&loop->inject, &tick, 1) == 0)
		return NULL;
	return co__task_of_tick(tick);
}

static size_t count_ready(struct co_loop *loop)
{
	size_t count = 0;

	while (take_ready(loop) != NULL)
		count++;
	return count;
}

/* --- One timer -------------------------------------------------------- */

Test(timer, goes_off_when_its_time_has_come_and_not_before)
{
	static struct co__wheel wheel;
	struct co_task *task = begin(&wheel, CO_SECOND);

	cr_assert_eq(co__wheel_next(&wheel), CO_NEVER);
	co__timer_set(task, &wheel, 2 * CO_SECOND);
	cr_assert_eq(co__wheel_run(&wheel, 2 * CO_SECOND - 1), 0);
	cr_assert_not(has_expired(task));
	cr_assert_eq(co__wheel_run(&wheel, round_up(2 * CO_SECOND)), 1);
	cr_assert(has_expired(task));
	cr_assert_eq(AO_load(&wheel.count), 0);
	cr_assert_eq(co__wheel_next(&wheel), CO_NEVER);
	cr_assert_eq(co__wheel_run(&wheel, 3 * CO_SECOND), 0);
}

Test(timer, a_time_in_the_past_comes_at_the_next_tick)
{
	static struct co__wheel wheel;
	struct co_task *tasks = begin(&wheel, CO_SECOND);
	const co_time past[3] = { INT64_MIN, 0, CO_SECOND };

	for (int i = 0; i < 3; i++)
		co__timer_set(&tasks[i], &wheel, past[i]);
	cr_assert_leq(co__wheel_next(&wheel), CO_SECOND + TICK);
	cr_assert_eq(co__wheel_run(&wheel, CO_SECOND + TICK), 3);
}

Test(timer, never_is_no_timer)
{
	static struct co__wheel wheel;
	struct co_task *task = begin(&wheel, 0);

	co__timer_set(task, &wheel, CO_SECOND);
	co__timer_set(task, &wheel, CO_NEVER);
	cr_assert_eq(task->timer_when, CO_NEVER);
	cr_assert_eq(AO_load(&wheel.count), 0);
	cr_assert_eq(co__wheel_run(&wheel, CO_NEVER - 1), 0);
	cr_assert_not(has_expired(task));
}

Test(timer, the_last_moment_of_all_fits_in)
{
	static struct co__wheel wheel;
	struct co_task *task = begin(&wheel, CO_SECOND);

	co__timer_set(task, &wheel, CO_NEVER - 1);
	cr_assert_eq(co__wheel_run(&wheel, CO_NEVER / 2), 0);
	cr_assert_eq(co__wheel_run(&wheel, CO_NEVER - TICK), 0);
	cr_assert_not(has_expired(task));
	co__timer_cancel(task);
	cr_assert_eq(AO_load(&wheel.count), 0);
}

Test(timer, one_that_was_cancelled_stays_silent)
{
	static struct co__wheel wheel;
	struct co_task *tasks = begin(&wheel, 0);

	for (int i = 0; i < 3; i++)
		co__timer_set(&tasks[i], &wheel, CO_SECOND);
	co__timer_cancel(&tasks[1]);
	co__timer_cancel(&tasks[1]);
	cr_assert_eq(co__wheel_run(&wheel, 2 * CO_SECOND), 2);
	cr_assert(has_expired(&tasks[0]));
	cr_assert_not(has_expired(&tasks[1]));
	cr_assert(has_expired(&tasks[2]));
	/* They are in no wheel any more. */
	for (int i = 0; i < 3; i++)
		co__timer_cancel(&tasks[i]);
	cr_assert_eq(AO_load(&wheel.count), 0);
}

Test(timer, cancelling_the_first_leaves_the_next)
{
	static struct co__wheel wheel;
	struct co_task *sooner = begin(&wheel, 0), *later = sooner + 1;

	co__timer_set(sooner, &wheel, 10 * TICK);
	co__timer_set(later, &wheel, 20 * TICK);
	cr_assert_eq(co__wheel_next(&wheel), 10 * TICK);
	co__timer_cancel(sooner);
	cr_assert_eq(co__wheel_next(&wheel), 20 * TICK);
	co__timer_cancel(later);
	cr_assert_eq(co__wheel_next(&wheel), CO_NEVER);
}

Test(timer, set_anew_it_goes_off_at_the_new_time_only)
{
	static struct co__wheel wheel, other;
	struct co_task *task = begin(&wheel, 0);

	co__wheel_init(&other, 0);
	co__timer_set(task, &wheel, 10 * CO_SECOND);
	co__timer_set(task, &wheel, CO_SECOND);
	cr_assert_eq(co__wheel_run(&wheel, 2 * CO_SECOND), 1);
	co__timer_set(task, &wheel, 3 * CO_SECOND);
	cr_assert_not(has_expired(task));
	co__timer_set(task, &wheel, 20 * CO_SECOND);
	cr_assert_eq(co__wheel_run(&wheel, 10 * CO_SECOND), 0);
	co__timer_set(task, &other, 30 * CO_SECOND);
	cr_assert_eq(co__wheel_run(&wheel, 40 * CO_SECOND), 0);
	cr_assert_eq(co__wheel_run(&other, 40 * CO_SECOND), 1);
	cr_assert(has_expired(task));
}

/* Nobody turns a wheel that is empty. */
Test(timer, a_wheel_may_be_empty_for_years)
{
	static struct co__wheel wheel;
	co_time now = CO_SECOND;
	struct co_task *task = begin(&wheel, now);

	for (co_time years = 1; years <= 64; years *= 2) {
		now += years * 365 * 86400 * CO_SECOND;
		cr_assert_eq(co__wheel_run(&wheel, now), 0);
		co__timer_set(task, &wheel, now + CO_MILLISECOND);
		cr_assert_eq(co__wheel_run(&wheel, now), 0);
		cr_assert_leq(co__wheel_next(&wheel),
				round_up(now + CO_MILLISECOND));
		now = round_up(now + CO_MILLISECOND);
		cr_assert_eq(co__wheel_run(&wheel, now), 1);
	}
}

/* --- Many timers, and a model ----------------------------------------- */

#define MODEL_TIMERS 96

struct model {
	struct co__wheel wheel;
	struct co_task tasks[MODEL_TIMERS];
	struct co__timer timers[MODEL_TIMERS];
	co_time when[MODEL_TIMERS];	/* CO_NEVER: not set */
	co_time by[MODEL_TIMERS];	/* when it must have gone off */
	co_time now;
	uint64_t random;
};

/* Anything from a nanosecond to 2^BITS, all magnitudes alike. */
static co_time random_duration(uint64_t *state, unsigned bits)
{
	uint64_t top = (uint64_t)1 << test_random_below(state, bits);

	return (co_time)(top + test_random(state) % top);
}

static void model_begin(struct model *model, co_time now)
{
	model->now = now;
	co__wheel_init(&model->wheel, now);
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		memset(&model->tasks[i], 0, sizeof model->tasks[i]);
		model->when[i] = CO_NEVER;
	}
	give_timers(model->tasks, model->timers, MODEL_TIMERS);
}

/* Set one anew, mostly, or cancel it. */
static void model_change(struct model *model)
{
	size_t i = test_random_below(&model->random, MODEL_TIMERS);
	co_time when = model->now + random_duration(&model->random, 56);

	if (test_random_below(&model->random, 4) == 0) {
		co__timer_cancel(&model->tasks[i]);
		model->when[i] = CO_NEVER;
		return;
	}
	if (test_random_below(&model->random, 8) == 0)
		when = 2 * model->now - when;
	co__timer_set(&model->tasks[i], &model->wheel, when);
	cr_assert_not(has_expired(&model->tasks[i]));
	model->when[i] = when;
	model->by[i] = round_up(when > model->now ? when : model->now + 1);
}

/* Run at NOW; the wheel must do what a look at each timer says. */
static void model_run(struct model *model, co_time now)
{
	unsigned gone_off = 0, told;

	model->now = now;
	told = co__wheel_run(&model->wheel, now);
	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		if (model->when[i] == CO_NEVER)
			continue;
		if (!has_expired(&model->tasks[i])) {
			cr_assert_gt(model->by[i], now, "too late");
			continue;
		}
		cr_assert_leq(model->when[i], now, "too early");
		model->when[i] = CO_NEVER;
		gone_off++;
	}
	cr_assert_eq(told, gone_off);
}

/* What co__wheel_next() says must not be too late, nor in the past. */
static void model_check_next(struct model *model)
{
	co_time next = co__wheel_next(&model->wheel), first = CO_NEVER;
	size_t count = 0;

	for (size_t i = 0; i < MODEL_TIMERS; i++) {
		if (model->when[i] == CO_NEVER)
			continue;
		count++;
		if (model->by[i] < first)
			first = model->by[i];
	}
	cr_assert_eq(AO_load(&model->wheel.count), count);
	cr_assert_leq(next, first);
	cr_assert_eq(next == CO_NEVER, count == 0);
	cr_assert_gt(next, model->now);
}

Test(timer, a_random_run_agrees_with_the_model)
{
	static struct model model;
	size_t rounds = CO_TEST_SCALE(400);

	for (size_t round = 0; round < rounds; round++) {
		model.random = round;
		model_begin(&model, random_duration(&model.random, 60));
		for (size_t step = 0; step < 300; step++) {
			for (int i = 0; i < 8; i++)
				model_change(&model);
			model_run(&model, model.now
					+ random_duration(&model.random, 52));
			model_check_next(&model);
		}
	}
}

/* Setting timers long after the last run, by a clock that has gone on. */
Test(timer, set_long_after_the_last_run_it_agrees_with_the_model)
{
	static struct model model;
	size_t rounds = CO_TEST_SCALE(400);

	for (size_t round = 0; round < rounds; round++) {
		model.random = ~round;
		model_begin(&model, random_duration(&model.random, 60));
		for (size_t step = 0; step < 100; step++) {
			for (int i = 0; i < 8; i++) {
				model_change(&model);
				model.now += random_duration(&model.random,
						36);
			}
			model_run(&model, model.now);
			model_check_next(&model);
		}
	}
}

/* A worker sleeps until co__wheel_next().  That is enough, and it isn't woken
 * more often than a timer can change its level. */
Test(timer, who_sleeps_until_the_next_is_never_late)
{
	static struct model model;
	size_t rounds = CO_TEST_SCALE(2000), wakeups;

	for (size_t round = 0; round < rounds; round++) {
		model.random = round;
		model_begin(&model, random_duration(&model.random, 60));
		for (int i = 0; i < 64; i++)
			model_change(&model);
		wakeups = 0;
		while (AO_load(&model.wheel.count) > 0) {
			co_time next = co__wheel_next(&model.wheel);

			cr_assert_gt(next, model.now);
			model_run(&model, next - 1);
			model_run(&model, next);
			cr_assert_leq(++wakeups, 64 * CO__WHEEL_LEVELS);
		}
	}
}

static int compare_times(const void *left, const void *right)
{
	co_time a = *(const co_time *)left, b = *(const co_time *)right;

	return (a > b) - (a < b);
}

Test(timer, tasks_are_woken_in_the_order_of_their_deadlines)
{
	enum { COUNT = 1000 };
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks = tasks_or_die(COUNT, loop);
	static struct co__wheel wheel;
	static co_time sorted[COUNT];
	uint64_t random = 1;

	co__wheel_init(&wheel, CO_SECOND);
	for (int i = 0; i < COUNT; i++) {
		sorted[i] = CO_SECOND + random_duration(&random, 56);
		co__timer_set(&tasks[i], &wheel, sorted[i]);
		arm(&tasks[i], sorted[i], 0);
	}
	qsort(sorted, COUNT, sizeof *sorted, compare_times);
	cr_assert_eq(co__wheel_run(&wheel, (co_time)1 << 60), COUNT);
	for (int i = 0; i < COUNT; i++) {
		struct co_task *task = take_ready(loop);

		cr_assert_not_null(task);
		cr_assert_eq(round_up(task->deadline), round_up(sorted[i]));
		cr_assert_eq(task->outcome, -ETIMEDOUT);
	}
	cr_assert_null(take_ready(loop));
	test_or_die(co_loop_destroy(loop));
	free(tasks);
}

/* More than go off under the lock at once, at a tick where a list of LEVEL
 * begins, and one of the same list that comes later. */
static void crowd_goes_off_at_once(unsigned level)
{
	enum { COUNT = 200 };
	struct co_loop *loop = loop_or_die(1);
	struct co_task *tasks = tasks_or_die(COUNT + 1, loop);
	static struct co__wheel wheel;
	co_time when = TICK << 6 * level;

	co__wheel_init(&wheel, 0);
	for (int i = 0; i <= COUNT; i++) {
		co_time deadline = i == 0 ? when + TICK : when;

		co__timer_set(&tasks[i], &wheel, deadline);
		arm(&tasks[i], deadline, 0);
	}
	co__wheel_run(&wheel, when - 1);
	cr_assert_null(take_ready(loop));
	co__wheel_run(&wheel, when);
	cr_assert_eq(count_ready(loop), COUNT, "late, from level %u", level);
	cr_assert_eq(co__wheel_next(&wheel), when + TICK);
	co__wheel_run(&wheel, when + TICK);
	cr_assert_eq(count_ready(loop), 1);
	test_or_die(co_loop_destroy(loop));
	free(tasks);
}

Test(timer, a_crowd_goes_off_at_once_from_the_lowest_level)
{
	crowd_goes_off_at_once(0);
}

Test(timer, a_crowd_goes_off_at_once_from_any_level)
{
	for (unsigned level = 1; level < CO__WHEEL_LEVELS - 1; level++)
		crowd_goes_off_at_once(level);
}

/* --- The timer and the wait ------------------------------------------- */

/* One task, one wheel, and a loop that is told when the task is ready. */
struct waiting {
	struct co_loop *loop;
	struct co__wheel *wheel;
	struct co_task *task;
};

static void waiting_begin(struct waiting *self)
{
	self->loop = loop_or_die(1);
	self->wheel = &self->loop->workers[0].wheel;
	self->task = tasks_or_die(1, self->loop);
	co__wheel_init(self->wheel, 0);
}

static void waiting_end(struct waiting *self)
{
	test_or_die(co_loop_destroy(self->loop));
	free(self->task);
}

Test(timer, ends_a_wait_whose_deadline_has_passed)
{
	struct waiting self;
	AO_t ticket;

	waiting_begin(&self);
	ticket = co__wait_ticket(self.task);
	co__timer_set(self.task, self.wheel, CO_SECOND);
	arm(self.task, CO_SECOND, 0);
	cr_assert(co__wheel_is_waited_for(self.wheel));
	cr_assert_eq(co__wheel_run(self.wheel, 2 * CO_SECOND), 1);
	cr_assert_eq(take_ready(self.loop), self.task);
	cr_assert_null(take_ready(self.loop));
	cr_assert_eq(self.task->outcome, -ETIMEDOUT);
	cr_assert_eq(AO_load(&self.task->wait),
			(ticket + CO__WAIT_EPOCH) | CO__WAIT_EXPIRED);
	cr_assert_not(co__wait_claim(self.task, ticket, 0));
	waiting_end(&self);
}

/* The deadline has moved to later since the timer was set. */
Test(timer, that_goes_off_early_is_set_anew_while_its_task_waits)
{
	struct waiting self;
	AO_t ticket;

	waiting_begin(&self);
	ticket = co__wait_ticket(self.task);
	co__timer_set(self.task, self.wheel, CO_SECOND);
	arm(self.task, 5 * CO_SECOND, 0);
	cr_assert_eq(co__wheel_run(self.wheel, 2 * CO_SECOND), 1);
	cr_assert_null(take_ready(self.loop));
	cr_assert(has_expired(self.task));
	cr_assert(co__wait_is_claimable(self.task, ticket));
	cr_assert_eq(AO_load(&self.wheel->count), 1);
	cr_assert(co__wheel_is_waited_for(self.wheel));
	cr_assert_leq(co__wheel_next(self.wheel), round_up(5 * CO_SECOND));
	cr_assert_eq(co__wheel_run(self.wheel, 5 * CO_SECOND - 1), 0);
	cr_assert_eq(co__wheel_run(self.wheel, round_up(5 * CO_SECOND)), 1);
	cr_assert_eq(take_ready(self.loop), self.task);
	cr_assert_eq(AO_load(&self.wheel->count), 0);
	waiting_end(&self);
}

/* A deadline is what makes the loop wait for a timer, or it is stuck. */
Test(timer, nobody_waits_for_one_that_is_only_left_over)
{
	struct waiting self;

	waiting_begin(&self);
	cr_assert_not(co__wheel_is_waited_for(self.wheel));
	co__timer_set(self.task, self.wheel, CO_SECOND);
	arm(self.task, CO_NEVER, 0);
	cr_assert_not(co__wheel_is_waited_for(self.wheel));
	co__atomic_store_wide(self.task->wait_deadline, 2 * CO_SECOND);
	cr_assert(co__wheel_is_waited_for(self.wheel));
	/* Another thread has ended the wait, and makes it ready next. */
	cr_assert(co__wait_claim(self.task, co__wait_ticket(self.task), 0));
	cr_assert(co__wheel_is_waited_for(self.wheel));
	waiting_end(&self);
}

static void goes_off_in_vain(co_time deadline, AO_t flags)
{
	struct waiting self;
	AO_t ticket;

	waiting_begin(&self);
	ticket = co__wait_ticket(self.task);
	co__timer_set(self.task, self.wheel, CO_SECOND);
	arm(self.task, deadline, flags);
	cr_assert_eq(co__wheel_run(self.wheel, 2 * CO_SECOND), 1);
	cr_assert_null(take_ready(self.loop));
	cr_assert(has_expired(self.task));
	cr_assert_eq(AO_load(&self.wheel->count), 0);
	cr_assert_not(co__wheel_is_waited_for(self.wheel));
	cr_assert(co__wait_claim(self.task, ticket, 7));
	cr_assert_eq(self.task->outcome, 7);
	cr_assert(has_expired(self.task));
	waiting_end(&self);
}

Test(timer, of_a_deadline_that_has_ended_goes_off_in_vain)
{
	goes_off_in_vain(CO_NEVER, 0);
}

Test(timer, of_a_task_that_is_deaf_goes_off_in_vain)
{
	goes_off_in_vain(CO_SECOND, CO__WAIT_DEAF);
}

Test(timer, that_went_off_before_the_wait_keeps_it_from_being_armed)
{
	struct waiting self;
	struct co__worker *worker;

	waiting_begin(&self);
	worker = &self.loop->workers[0];
	co__timer_set(self.task, self.wheel, CO_SECOND);
	co__wheel_run(self.wheel, 2 * CO_SECOND);
	self.task->deadline = TEST_LONG_AGO;
	cr_assert_eq(co__wait_arm(worker, self.task, 0), -ETIMEDOUT);
	cr_assert_not(AO_load(&self.task->wait) & CO__WAIT_ARMED);
	/* A deadline that is still to come sets the timer anew instead. */
	self.task->deadline = co_now() + 3600 * CO_SECOND;
	cr_assert_eq(co__wait_arm(worker, self.task, 0), 0);
	cr_assert_not(has_expired(self.task));
	cr_assert_eq(self.task->timer_when, self.task->deadline);
	cr_assert_eq(AO_load(&self.wheel->count), 1);
	waiting_end(&self);
}

/* A deadline that ended, and its timer, which is still set. */
struct leftover {
	struct co_task *task;
	struct co_channel *channel;
	struct co__wheel *wheel;	/* NULL: it has gone off */
	co_time start;			/* when the scope began */
	co_time first;			/* for how long it was to last */
};

static int put_once_it_waits(void *arg)
{
	struct leftover *self = arg;

	while (!(AO_load(&self->task->wait) & CO__WAIT_ARMED))
		co_yield();
	put_now(self->channel, 0);
	return 0;
}

/* Wait, until a deadline, for what comes before it.  False: the thread was kept
 * from running, and the timer has gone off. */
static bool leave_timer(struct leftover *self)
{
	struct co_task *putter = spawn_or_die(NULL, put_once_it_waits, self);
	struct co_deadline sooner;
	size_t number;
	int rc;

	self->start = co_now();
	CO_EXPECT_EQ(co_deadline_begin(&sooner, self->start + self->first), 0);
	rc = co_channel_get(self->channel, &number);
	CO_EXPECT(rc == 0 || rc == -ETIMEDOUT);
	co_deadline_end(&sooner);
	CO_EXPECT_EQ(join_or_die(putter), 0);
	if (rc < 0)
		get_now(self->channel);
	self->wheel = (struct co__wheel *)AO_load(&self->task->wheel);
	return self->wheel != NULL;
}

/* The earlier deadline comes before the task can be told of one. */
static void outlast_timer(struct co_task *task, void *arg)
{
	struct leftover *self = arg;

	(void)task;
	while (co_now() < self->start + self->first + 2 * TICK)
		sched_yield();
	co__wheel_run(self->wheel, co_now());
}

/* Nor does the timer of the earlier one go off instead. */
CO_TEST(timer, a_deadline_that_moved_to_later_is_kept)
{
	struct leftover left = { .task = co_self(),
		.channel = channel_or_die(sizeof(size_t), 1),
		.first = 5 * CO_MILLISECOND };
	struct co_deadline later;
	co_time end;

	(void)arg;
	while (!leave_timer(&left) && left.first < CO_MINUTE)
		left.first *= 2;
	CO_EXPECT(left.first < CO_MINUTE);
	end = left.start + 6 * left.first;
	CO_EXPECT_EQ(co_deadline_begin(&later, end), 0);
	CO_EXPECT_EQ(co_suspend(outlast_timer, &left), -ETIMEDOUT);
	CO_EXPECT(co_now() >= end);
	co_deadline_end(&later);
	CO_EXPECT_EQ(co_channel_destroy(left.channel), 0);
	return 0;
}

/* --- Threads ---------------------------------------------------------- */

/* Two wheels, which one thread runs while another, as their tasks, sets. */
struct race {
	struct co_loop *loop;
	struct co__wheel wheels[2];
	struct co_task *tasks;
	size_t count;
	struct test_counter ticks;	/* the time */
	struct test_counter done;
};

static void run_wheels(void *arg)
{
	struct race *race = arg;
	co_time now = 0;

	while (!counter_get(&race->done)) {
		now += TICK;
		counter_set(&race->ticks, (size_t)(now / TICK));
		for (int i = 0; i < 2; i++)
			co__wheel_run(&race->wheels[i], now);
	}
}

static void race_begin(struct race *race, size_t count)
{
	memset(race, 0, sizeof *race);
	race->loop = loop_or_die(1);
	race->tasks = tasks_or_die(count, race->loop);
	race->count = count;
	for (int i = 0; i < 2; i++)
		co__wheel_init(&race->wheels[i], 0);
}

static void race_end(struct race *race)
{
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(AO_load(&race->wheels[i].count), 0);
		cr_assert_eq(co__wheel_next(&race->wheels[i]), CO_NEVER);
		for (size_t word = 0; word < sizeof race->wheels[i].occupied
				/ sizeof race->wheels[i].occupied[0]; word++)
			cr_assert_eq(race->wheels[i].occupied[word], 0);
	}
	test_or_die(co_loop_destroy(race->loop));
	free(race->tasks);
}

/* Set a timer that is about to go off, and then set it anew or cancel it. */
static void race_step(struct race *race, struct co_task *task, uint64_t *random)
{
	struct co__wheel *wheel = &race->wheels[test_random_below(random, 2)];
	co_time now = (co_time)counter_get(&race->ticks) * TICK;
	size_t pauses = test_random_below(random, 100);

	co__timer_set(task, wheel, now + random_duration(random, 20));
	while (pauses-- > 0)
		co__atomic_pause();
	if (test_random_below(random, 3) == 0)
		return;
	if (test_random_below(random, 2) == 0) {
		co__timer_cancel(task);
		CO_EXPECT_EQ(AO_load_acquire(&task->wheel), 0);
		CO_EXPECT(!co__list_is_linked(&task->timer->link));
		return;
	}
	/* The new time is so far away that the news can only be old. */
	co__timer_set(task, wheel, CO_NEVER / 2);
	CO_EXPECT(!has_expired(task));
}

Test(timer, may_be_set_and_cancelled_while_its_wheel_runs)
{
	static struct race race;
	struct test_thread runner;
	uint64_t random = 3;
	size_t steps = CO_TEST_SCALE(100000);

	race_begin(&race, 64);
	test_thread_start(&runner, NULL, run_wheels, &race);
	for (size_t step = 0; step < steps; step++)
		race_step(&race, &race.tasks[test_random_below(&random,
				race.count)], &random);
	for (size_t i = 0; i < race.count; i++)
		co__timer_cancel(&race.tasks[i]);
	counter_set(&race.done, 1);
	test_thread_join(&runner);
	race_end(&race);
}

static void run_once(void *arg)
{
	struct race *race = arg;

	counter_set(&race->ticks, 1);
	co__wheel_run(&race->wheels[0], CO_SECOND);
}

/* Who cancels finds the wheel's lock held, and when it is free the timer is in
 * that wheel no more. */
Test(timer, may_go_off_while_it_is_being_cancelled)
{
	static struct race race;
	struct test_thread runner;
	size_t rounds = CO_TEST_SCALE(200);

	race_begin(&race, 4000);
	for (size_t round = 0; round < rounds; round++) {
		co__wheel_init(&race.wheels[0], 0);
		for (size_t i = 0; i < race.count; i++)
			co__timer_set(&race.tasks[i], &race.wheels[0], TICK);
		counter_set(&race.ticks, 0);
		test_thread_start(&runner, NULL, run_once, &race);
		while (counter_get(&race.ticks) == 0)
			;
		for (size_t i = race.count; i-- > 0; )
			co__timer_cancel(&race.tasks[i]);
		test_thread_join(&runner);
		cr_assert_eq(AO_load(&race.wheels[0].count), 0);
	}
	race_end(&race);
}

/* Who takes what became ready counts it in `result'. */
static size_t drain(struct race *race)
{
	struct co_task *task;
	size_t count = 0;

	while ((task = take_ready(race->loop)) != NULL) {
		CO_EXPECT_EQ(task->outcome, -ETIMEDOUT);
		task->result++;
		count++;
	}
	return count;
}

/* Wait for the wheels to come to TICKS. */
static void await_tick(struct race *race, size_t ticks)
{
	while (counter_get(&race->ticks) < ticks)
		sched_yield();
}

Test(timer, of_it_and_a_claim_exactly_one_ends_the_wait)
{
	static struct race race;
	struct test_thread runner;
	size_t most = CO_TEST_SCALE(50000), count = 0, ended = 0;
	co_time end = co_now() + 15 * CO_SECOND;

	race_begin(&race, most);
	test_thread_start(&runner, NULL, run_wheels, &race);
	/* On one processor each turn of the other takes milliseconds. */
	for (size_t i = 0; i < most && co_now() < end; i++) {
		struct co_task *task = &race.tasks[i];
		size_t ticks = counter_get(&race.ticks) + 1 + i % 3;
		co_time when = (co_time)ticks * TICK;

		co__timer_set(task, &race.wheels[i % 2], when);
		arm(task, when, 0);
		await_tick(&race, ticks - 1);
		if (co__wait_claim(task, 0, 7)) {
			CO_EXPECT_EQ(task->outcome, 7);
			task->result++;
			ended++;
		}
		count++;
	}
	await_tick(&race, counter_get(&race.ticks) + 10);
	counter_set(&race.done, 1);
	test_thread_join(&runner);
	cr_assert_gt(ended, 0);
	cr_assert_eq(ended + drain(&race), count);
	for (size_t i = 0; i < count; i++) {
		CO_EXPECT_EQ(race.tasks[i].result, 1);
		CO_EXPECT_EQ(AO_load(&race.tasks[i].wait),
				CO__WAIT_EPOCH | CO__WAIT_EXPIRED);
	}
	race_end(&race);
}

Test(timer, does_not_go_off_before_the_beginning_of_time)
{
	static struct co__wheel wheel;
	struct co_task *task = begin(&wheel, 0);

	co__timer_set(task, &wheel, TICK);
	cr_assert_eq(co__wheel_run(&wheel, -1), 0);
	cr_assert_eq(co__wheel_run(&wheel, INT64_MIN), 0);
	cr_assert_eq(co__wheel_run(&wheel, TICK), 1);
}

/* --- Timers of another worker ----------------------------------------- */

struct pair {
	struct test_counter met;
	struct test_counter awake;
	struct test_counter over;
	co_time nap;
};

static int take_nap(void *arg)
{
	struct pair *pair = arg;

	co_sleep(pair->nap);
	counter_set(&pair->awake, 1);

	return 0;
}

static int yield_until_over(void *arg)
{
	struct pair *pair = arg;

	meet_in_two_threads(&pair->met);
	while (counter_get(&pair->over) == 0)
		co_yield();

	return 0;
}

/* Who sleeps in this thread is woken by the other, which is never idle.  Not if
 * the nap was over before this goes on: then it has to wait for this thread. */
static bool is_woken(struct pair *pair, co_time nap)
{
	co_time end = co_after(nap + 10 * CO_SECOND);
	struct co_task *task;
	bool woken;

	pair->nap = nap;
	counter_set(&pair->awake, 0);
	task = spawn_or_die(NULL, take_nap, pair);
	co_yield();
	while (counter_get(&pair->awake) == 0 && co_now() < end)
		AO_compiler_barrier();
	woken = counter_get(&pair->awake) == 1;
	CO_EXPECT_EQ(join_or_die(task), 0);

	return woken;
}

static int compute_while_others_nap(void *arg)
{
	struct pair *pair = arg;

	meet_in_two_threads(&pair->met);
	CO_EXPECT(is_woken(pair, 2 * CO_MILLISECOND)
			|| is_woken(pair, 100 * CO_MILLISECOND)
			|| is_woken(pair, CO_SECOND));
	counter_set(&pair->over, 1);

	return 0;
}

static int meet(void *arg)
{
	struct co_task *other = spawn_or_die(NULL, yield_until_over, arg);

	CO_EXPECT_EQ(compute_while_others_nap(arg), 0);

	return join_or_die(other);
}

Test(timer, of_a_worker_that_computes_goes_off_by_one_that_is_busy)
{
	static struct pair pair;

	cr_assert_eq(run_in_loop(2, meet, &pair), 0);
}
