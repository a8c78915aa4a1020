/* SPDX-License-Identifier: MIT */

#include "test.h"

/* --- One lock, and what its holders saw ------------------------------- */

#define ORDER_MAX 64

struct scene {
	struct co_lock lock;
	size_t inside;			/* holders; plain on purpose */
	size_t grants;			/* of the lock so far */
	size_t order[ORDER_MAX];	/* whom it was granted to */
	struct test_counter acquired;	/* acquisitions that returned 0 */
	struct test_counter refused;	/* those that did not */
};

struct waiter {
	struct scene *scene;
	size_t number;
	co_time deadline;
	int result;
};

static void hold_a_moment(struct scene *scene, bool yield)
{
	CO_EXPECT_EQ(scene->inside, 0);
	scene->inside++;
	if (yield)
		co_yield();
	CO_EXPECT_EQ(scene->inside, 1);
	scene->inside--;
	scene->grants++;
}

static int wait_and_sign(void *arg)
{
	struct waiter *self = arg;
	struct scene *scene = self->scene;

	self->result = co_lock_acquire(&scene->lock);
	if (self->result != 0)
		return self->result;
	if (scene->grants < ORDER_MAX)
		scene->order[scene->grants] = self->number;
	hold_a_moment(scene, true);
	return co_lock_release(&scene->lock);
}

static int wait_until_the_deadline(void *arg)
{
	struct waiter *self = arg;
	int result = -EIO;

	CO_WITH_DEADLINE(self->deadline)
		result = wait_and_sign(self);
	return result;
}

static void expect_free(struct scene *scene)
{
	CO_EXPECT_EQ(co_lock_try_acquire(&scene->lock), 0);
	CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	CO_EXPECT_EQ(co_lock_deinit(&scene->lock), 0);
}

/* --- Without waiting -------------------------------------------------- */

Test(lock, init_is_the_same_as_the_initializer)
{
	struct co_lock first = CO_LOCK_INIT, second;

	memset(&second, 0xa5, sizeof second);
	co_lock_init(&second);
	cr_assert_eq(memcmp(&first, &second, sizeof first), 0);
}

Test(lock, try_acquire_and_release_work_in_any_thread)
{
	struct co_lock lock = CO_LOCK_INIT;

	cr_assert_eq(co_lock_try_acquire(&lock), 0);
	cr_assert_eq(co_lock_try_acquire(&lock), -EAGAIN);
	cr_assert_eq(co_lock_release(&lock), 0);
	cr_assert_eq(co_lock_try_acquire(&lock), 0);
	cr_assert_eq(co_lock_release(&lock), 0);
	cr_assert_eq(co_lock_deinit(&lock), 0);
}

/* Flaw K4: a lock released twice must not get two owners. */
Test(lock, a_lock_that_nobody_holds_cannot_be_released)
{
	struct co_lock lock = CO_LOCK_INIT;

	cr_assert_eq(co_lock_release(&lock), -EPERM);
	cr_assert_eq(co_lock_try_acquire(&lock), 0);
	cr_assert_eq(co_lock_release(&lock), 0);
	cr_assert_eq(co_lock_release(&lock), -EPERM);
	cr_assert_eq(co_lock_try_acquire(&lock), 0);
	cr_assert_eq(co_lock_try_acquire(&lock), -EAGAIN);
}

Test(lock, null_is_refused)
{
	cr_assert_eq(co_lock_try_acquire(NULL), -EINVAL);
	cr_assert_eq(co_lock_release(NULL), -EINVAL);
	cr_assert_eq(co_lock_deinit(NULL), 0);
}

Test(lock, acquire_outside_of_a_task_is_not_permitted)
{
	struct co_lock lock = CO_LOCK_INIT;

	cr_assert_eq(co_lock_acquire(&lock), -EPERM);
	cr_assert_eq(co_lock_try_acquire(&lock), 0, "it was taken");
}

Test(lock, a_held_lock_is_busy)
{
	struct co_lock lock = CO_LOCK_INIT;

	cr_assert_eq(co_lock_try_acquire(&lock), 0);
	cr_assert_eq(co_lock_deinit(&lock), -EBUSY);
	cr_assert_eq(co_lock_release(&lock), 0);
	cr_assert_eq(co_lock_deinit(&lock), 0);
}

CO_TEST_ON_ONE_THREAD(lock, acquire_of_null_is_refused)
{
	CO_EXPECT_EQ(co_lock_acquire(NULL), -EINVAL);
	return 0;
}

/* Flaw K3: an acquisition must not nest calls, whether or not it waits. */
static int acquire_on_a_small_stack(void *arg)
{
	struct scene *scene = arg;
	size_t i, rounds = CO_TEST_SCALE(200000);

	for (i = 0; i < rounds; i++) {
		CO_EXPECT_EQ(co_lock_acquire(&scene->lock), 0);
		CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	}
	return 0;
}

CO_TEST(lock, acquiring_a_free_lock_uses_no_stack)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task;

	attr.stack_size = 64 * 1024;
	test_or_die(co_spawn_with(NULL, &attr, acquire_on_a_small_stack,
			&scene, &task));
	CO_EXPECT_EQ(join_or_die(task), 0);
	expect_free(&scene);
	return 0;
}

/* --- Waiting ---------------------------------------------------------- */

CO_TEST(lock, waiters_get_it_in_the_order_of_asking)
{
	enum { WAITERS = 12 };
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiters[WAITERS];
	struct co_task *tasks[WAITERS];
	size_t i;

	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	for (i = 0; i < WAITERS; i++) {
		waiters[i] = (struct waiter){ .scene = &scene, .number = i };
		tasks[i] = spawn_or_die(NULL, wait_and_sign, &waiters[i]);
		settle();
	}
	CO_EXPECT_EQ(co_lock_deinit(&scene.lock), -EBUSY);
	CO_EXPECT_EQ(co_lock_release(&scene.lock), 0);
	for (i = 0; i < WAITERS; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	for (i = 0; i < WAITERS; i++)
		CO_EXPECT_EQ(scene.order[i], i);
	expect_free(&scene);
	return 0;
}

/* Flaw K3: release makes the waiter ready, it doesn't run it. */
CO_TEST_ON_ONE_THREAD(lock, release_gives_the_lock_away_and_goes_on)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiter = { .scene = &scene, .result = -EIO };
	struct co_task *task;

	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	task = spawn_or_die(NULL, wait_and_sign, &waiter);
	settle();
	CO_EXPECT_EQ(co_lock_release(&scene.lock), 0);
	CO_EXPECT_EQ(waiter.result, -EIO);
	/* It is the waiter's already, though the waiter has not run. */
	CO_EXPECT_EQ(co_lock_try_acquire(&scene.lock), -EAGAIN);
	CO_EXPECT_EQ(co_lock_deinit(&scene.lock), -EBUSY);
	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	CO_EXPECT_EQ(waiter.result, 0);
	CO_EXPECT_EQ(co_lock_release(&scene.lock), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	expect_free(&scene);
	return 0;
}

/* Flaws K1 and K2: with every round contended, one lost wake-up makes the run
 * end with -EDEADLK, and one grant to nobody leaves the lock held. */
static int take_turns(void *arg)
{
	struct scene *scene = arg;
	size_t i, rounds = CO_TEST_SCALE(4000);

	for (i = 0; i < rounds; i++) {
		CO_EXPECT_EQ(co_lock_acquire(&scene->lock), 0);
		hold_a_moment(scene, i % 16 == 0);
		CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	}
	return 0;
}

CO_TEST(lock, one_task_at_a_time_holds_it)
{
	struct scene scene = { .lock = CO_LOCK_INIT };

	spawn_and_join_all(8, take_turns, &scene);
	CO_EXPECT_EQ(scene.grants, 8 * CO_TEST_SCALE(4000));
	expect_free(&scene);
	return 0;
}

/* Two tasks meet in the window between "nobody waits" and "it is free" more
 * often than eight do (flaw K1). */
CO_TEST(lock, two_tasks_that_hardly_meet_lose_no_wake_up)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	size_t i;

	for (i = 0; i < 4; i++)
		spawn_and_join_all(2, take_turns, &scene);
	CO_EXPECT_EQ(scene.grants, 8 * CO_TEST_SCALE(4000));
	expect_free(&scene);
	return 0;
}

static void release_from_afar(void *arg)
{
	CO_EXPECT_EQ(co_lock_release(arg), 0);
}

CO_TEST(lock, a_foreign_thread_may_release_it)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiter = { .scene = &scene };
	struct test_thread thread;
	struct co_task *task;

	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	task = spawn_or_die(NULL, wait_and_sign, &waiter);
	settle();
	test_thread_start(&thread, co_loop_current(), release_from_afar,
			&scene.lock);
	CO_EXPECT_EQ(join_or_die(task), 0);
	test_thread_join(&thread);
	expect_free(&scene);
	return 0;
}

/* --- Deadlines and cancellation --------------------------------------- */

CO_TEST(lock, a_waiter_that_times_out_leaves_no_trace)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter first = { .scene = &scene, .number = 1 };
	struct waiter second = { .scene = &scene, .number = 2 };
	struct co_task *tasks[2];

	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	first.deadline = co_after(5 * CO_MILLISECOND);
	tasks[0] = spawn_or_die(NULL, wait_until_the_deadline, &first);
	settle();
	tasks[1] = spawn_or_die(NULL, wait_and_sign, &second);
	CO_EXPECT_EQ(join_or_die(tasks[0]), -ETIMEDOUT);
	CO_EXPECT(co_now() >= first.deadline);
	CO_EXPECT_EQ(co_lock_release(&scene.lock), 0);
	CO_EXPECT_EQ(join_or_die(tasks[1]), 0);
	CO_EXPECT_EQ(scene.grants, 1);
	CO_EXPECT_EQ(scene.order[0], 2);
	expect_free(&scene);
	return 0;
}

CO_TEST(lock, a_cancelled_waiter_leaves_no_trace)
{
	enum { WAITERS = 5 };
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiters[WAITERS];
	struct co_task *tasks[WAITERS];
	size_t i;

	CO_EXPECT_EQ(co_lock_acquire(&scene.lock), 0);
	for (i = 0; i < WAITERS; i++) {
		waiters[i] = (struct waiter){ .scene = &scene, .number = i };
		tasks[i] = spawn_or_die(NULL, wait_and_sign, &waiters[i]);
		settle();
	}
	/* The first, one in the middle, and the last. */
	for (i = 0; i < WAITERS; i += 2) {
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
		CO_EXPECT_EQ(join_or_die(tasks[i]), -ECANCELED);
	}
	CO_EXPECT_EQ(co_lock_release(&scene.lock), 0);
	CO_EXPECT_EQ(join_or_die(tasks[1]), 0);
	CO_EXPECT_EQ(join_or_die(tasks[3]), 0);
	CO_EXPECT_EQ(scene.grants, 2);
	CO_EXPECT_EQ(scene.order[0], 1);
	CO_EXPECT_EQ(scene.order[1], 3);
	expect_free(&scene);
	return 0;
}

static int acquire_when_cancelled(void *arg)
{
	struct waiter *self = arg;

	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	return wait_and_sign(self);
}

CO_TEST(lock, a_cancelled_task_does_not_get_even_a_free_lock)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiter = { .scene = &scene };

	CO_EXPECT_EQ(join_or_die(spawn_or_die(NULL, acquire_when_cancelled,
			&waiter)), -ECANCELED);
	expect_free(&scene);
	return 0;
}

CO_TEST(lock, a_deadline_that_has_passed_refuses_even_a_free_lock)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct waiter waiter = { .scene = &scene, .deadline = TEST_LONG_AGO };

	CO_EXPECT_EQ(wait_until_the_deadline(&waiter), -ETIMEDOUT);
	expect_free(&scene);
	return 0;
}

/* Either the victim holds the lock and got 0, or it has -ECANCELED and doesn't
 * hold it.  In both cases the one behind it gets the lock. */
static int cancel_now(void *arg)
{
	return co_cancel(arg);
}

static void race_a_cancel_with_a_grant(struct scene *scene, uint64_t *seed)
{
	struct waiter victim = { .scene = scene, .number = 1 };
	struct waiter next = { .scene = scene, .number = 2 };
	struct co_task *victim_task, *next_task, *canceller;
	size_t before = scene->grants, spin;

	CO_EXPECT_EQ(co_lock_acquire(&scene->lock), 0);
	victim_task = spawn_or_die(NULL, wait_and_sign, &victim);
	next_task = spawn_or_die(NULL, wait_and_sign, &next);
	for (spin = test_random_below(seed, 4); spin > 0; spin--)
		co_yield();
	canceller = spawn_or_die(NULL, cancel_now, victim_task);
	if (test_random_below(seed, 2) != 0)
		co_yield();
	CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	CO_EXPECT_EQ(join_or_die(canceller), 0);
	join_or_die(victim_task);
	CO_EXPECT_EQ(join_or_die(next_task), 0);
	CO_EXPECT(victim.result == 0 || victim.result == -ECANCELED);
	CO_EXPECT_EQ(scene->grants - before, victim.result == 0 ? 2 : 1);
}

CO_TEST(lock, a_cancel_that_races_with_a_grant_loses_no_lock)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	size_t i, rounds = CO_TEST_SCALE(3000);
	uint64_t seed = 1;

	for (i = 0; i < rounds; i++)
		race_a_cancel_with_a_grant(&scene, &seed);
	expect_free(&scene);
	return 0;
}

static void race_a_deadline_with_a_grant(struct scene *scene, uint64_t *seed)
{
	struct waiter victim = { .scene = scene, .number = 1 };
	struct waiter next = { .scene = scene, .number = 2 };
	struct co_task *victim_task, *next_task;
	size_t before = scene->grants;

	CO_EXPECT_EQ(co_lock_acquire(&scene->lock), 0);
	victim.deadline = co_after((co_time)test_random_below(seed, 150000));
	victim_task = spawn_or_die(NULL, wait_until_the_deadline, &victim);
	next_task = spawn_or_die(NULL, wait_and_sign, &next);
	co_sleep((co_time)test_random_below(seed, 100000));
	CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	join_or_die(victim_task);
	CO_EXPECT_EQ(join_or_die(next_task), 0);
	CO_EXPECT(victim.result == 0 || victim.result == -ETIMEDOUT);
	CO_EXPECT_EQ(scene->grants - before, victim.result == 0 ? 2 : 1);
}

CO_TEST(lock, a_deadline_that_races_with_a_grant_loses_no_lock)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	size_t i, rounds = CO_TEST_SCALE(600);
	uint64_t seed = 2;

	for (i = 0; i < rounds; i++)
		race_a_deadline_with_a_grant(&scene, &seed);
	expect_free(&scene);
	return 0;
}

static int hurry_for_it(void *arg)
{
	struct scene *scene = arg;
	size_t i, rounds = CO_TEST_SCALE(400);
	uint64_t seed = (uintptr_t)&seed;
	int result;

	for (i = 0; i < rounds; i++) {
		result = -EIO;
		CO_WITH_DEADLINE(co_after((co_time)test_random_below(&seed,
				50000)))
			result = co_lock_acquire(&scene->lock);
		if (result != 0) {
			CO_EXPECT_EQ(result, -ETIMEDOUT);
			counter_add(&scene->refused, 1);
			continue;
		}
		hold_a_moment(scene, true);
		counter_add(&scene->acquired, 1);
		CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	}
	return 0;
}

CO_TEST(lock, many_impatient_tasks_leave_it_free)
{
	struct scene scene = { .lock = CO_LOCK_INIT };

	spawn_and_join_all(12, hurry_for_it, &scene);
	CO_EXPECT_EQ(scene.grants, counter_get(&scene.acquired));
	CO_EXPECT_EQ(counter_get(&scene.acquired)
			+ counter_get(&scene.refused),
			12 * CO_TEST_SCALE(400));
	expect_free(&scene);
	return 0;
}

/* --- Two loops -------------------------------------------------------- */

/* While a loop waits for the lock of another, a reference keeps it going. */
static int take_turns_with_another_loop(void *arg)
{
	spawn_and_join_all(4, take_turns, arg);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);
	return 0;
}

static void run_loop(void *arg)
{
	CO_EXPECT_EQ(co_loop_run(arg), 0);
}

Test(lock, tasks_of_two_loops_share_it)
{
	struct scene scene = { .lock = CO_LOCK_INIT };
	struct co_loop *loops[2];
	struct test_thread threads[2];
	size_t i;

	for (i = 0; i < 2; i++) {
		loops[i] = loop_or_die(2);
		cr_assert_eq(co_loop_ref(loops[i]), 0);
		cr_assert_eq(co_spawn(loops[i], take_turns_with_another_loop,
				&scene, NULL), 0);
	}
	for (i = 0; i < 2; i++)
		test_thread_start(&threads[i], NULL, run_loop, loops[i]);
	for (i = 0; i < 2; i++)
		test_thread_join(&threads[i]);
	expect_free(&scene);
	for (i = 0; i < 2; i++)
		cr_assert_eq(co_loop_destroy(loops[i]), 0);
	test_expect_no_leak();
	cr_assert_eq(scene.grants, 8 * CO_TEST_SCALE(4000));
}
