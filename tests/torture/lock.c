/* SPDX-License-Identifier: MIT */

/* Locks that are waited for with deadlines and cancels, tried from threads,
 * and released by others than who acquired them.  One holds a lock at a time,
 * and in the end it is free. */

#include "rounds.h"

#define LOCKS_MAX 3
#define TASKS_MAX 40

struct guarded {
	struct co_lock lock;
	size_t inside;			/* plain on purpose: the lock's */
	size_t grants;
};

struct scene {
	struct round *round;
	size_t locks, tasks, rounds, cancels;
	co_time patience;
	struct guarded guarded[LOCKS_MAX];
	struct test_counter members, granted;
};

static void hold(struct scene *scene, struct guarded *held, bool yield)
{
	CO_EXPECT_EQ(held->inside, 0);
	held->inside++;
	if (yield)
		co_yield();
	CO_EXPECT_EQ(held->inside, 1);
	held->inside--;
	held->grants++;
	counter_add(&scene->granted, 1);
}

static int release_for_another(void *arg)
{
	CO_EXPECT_EQ(co_lock_release(arg), 0);
	return 0;
}

static int ask(struct scene *scene, struct co_lock *lock, uint64_t *random)
{
	int result = -EIO;

	if (test_random_below(random, 5) == 0)
		return co_lock_try_acquire(lock);
	if (test_random_below(random, 4) == 0)
		return co_lock_acquire(lock);
	CO_WITH_DEADLINE(co_after((co_time)test_random_below(random,
			(size_t)scene->patience)))
		result = co_lock_acquire(lock);
	return result;
}

static int take_and_give(void *arg)
{
	struct scene *scene = arg;
	uint64_t random = scene->round->seed
			+ ((uint64_t)counter_add(&scene->members, 1) << 32);
	size_t round;
	int result = 0;

	for (round = 0; round < scene->rounds && result != -ECANCELED;
			round++) {
		struct guarded *one = &scene->guarded[
				test_random_below(&random, scene->locks)];

		result = ask(scene, &one->lock, &random);
		CO_EXPECT(result == 0 || result == -EAGAIN
				|| result == -ETIMEDOUT
				|| result == -ECANCELED);
		if (result != 0)
			continue;
		hold(scene, one, test_random_below(&random, 4) == 0);
		if (test_random_below(&random, 8) == 0)
			test_or_die(co_spawn(NULL, release_for_another,
					&one->lock, NULL));
		else
			CO_EXPECT_EQ(co_lock_release(&one->lock), 0);
	}
	return 0;
}

static void try_from_afar(void *arg)
{
	struct scene *scene = arg;
	size_t round;

	for (round = 0; round < scene->rounds; round++) {
		struct guarded *one = &scene->guarded[round % scene->locks];

		if (co_lock_try_acquire(&one->lock) != 0) {
			sched_yield();
			continue;
		}
		hold(scene, one, false);
		CO_EXPECT_EQ(co_lock_release(&one->lock), 0);
	}
}

static void expect_free(struct scene *scene)
{
	size_t i, grants = 0;

	for (i = 0; i < scene->locks; i++) {
		struct co_lock *lock = &scene->guarded[i].lock;

		/* The last release may be a task that has not run yet. */
		CO_EXPECT_EQ(co_lock_acquire(lock), 0);
		CO_EXPECT_EQ(co_lock_release(lock), 0);
		CO_EXPECT_EQ(co_lock_deinit(lock), 0);
		CO_EXPECT_EQ(co_lock_release(lock), -EPERM);
		grants += scene->guarded[i].grants;
	}
	CO_EXPECT_EQ(grants, counter_get(&scene->granted));
}

static int one_round(void *arg)
{
	struct round *round = arg;
	uint64_t random = round->random;
	struct scene scene = { .round = round };
	struct co_task *tasks[TASKS_MAX];
	struct test_thread thread;
	size_t i;

	scene.locks = 1 + test_random_below(&random, LOCKS_MAX);
	scene.tasks = 2 + test_random_below(&random, TASKS_MAX - 1);
	scene.rounds = CO_TEST_SCALE(20 + test_random_below(&random, 500));
	scene.patience = 1000 << test_random_below(&random, 8);
	scene.cancels = test_random_below(&random, scene.tasks);
	for (i = 0; i < scene.tasks; i++)
		tasks[i] = spawn_or_die(NULL, take_and_give, &scene);
	test_thread_start(&thread, co_loop_current(), try_from_afar, &scene);
	for (i = 0; i < scene.cancels; i++) {
		co_sleep((co_time)test_random_below(&random, 100000));
		CO_EXPECT_EQ(co_cancel(tasks[i]), 0);
	}
	for (i = 0; i < scene.tasks; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	test_thread_join(&thread);
	expect_free(&scene);
	return 0;
}

int main(int argc, char **argv)
{
	return run_rounds(argc, argv, "lock", one_round);
}
