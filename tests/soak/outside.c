/* SPDX-License-Identifier: MIT */

/* outside.c - threads, other loops, and what is left behind; see soak.h */

#include "soak.h"

#include <sys/socket.h>

/* --- Threads that aren't the loop's -------------------------------------- */

enum { THREADS_MAX = 3 };

/* A task that suspends itself again and again, and a thread that wakes it,
 * posts ticks and spawns tasks.  Each has its turn, so that nothing later makes
 * up for a wake-up that is lost. */
struct duet {
	struct co_loop *loop;
	uint64_t random;		/* owner: the thread */
	size_t rounds;
	struct test_thread thread;
	struct co_tick tick;
	volatile AO_t slot;		/* atomic: the suspended task, or 0 */
	struct test_counter woken, ticks, spawned;
};

static void give_handle(struct co_task *task, void *arg)
{
	struct duet *duet = arg;

	AO_store_release(&duet->slot, (AO_t)task);
}

static int suspend_again_and_again(void *arg)
{
	struct duet *duet = arg;

	for (size_t i = 0; i < duet->rounds; i++) {
		CO_EXPECT_EQ(co_suspend(give_handle, duet), 0);
		counter_add(&duet->woken, 1);
	}

	return 0;
}

static void count_tick(struct co_tick *tick)
{
	struct duet *duet = (struct duet *)(void *)((char *)tick
			- offsetof(struct duet, tick));

	counter_add(&duet->ticks, 1);
}

static int count_task(void *arg)
{
	struct duet *duet = arg;

	counter_add(&duet->spawned, 1);

	return 0;
}

static void await(const struct test_counter *counter, size_t want)
{
	while (counter_get(counter) != want)
		sched_yield();
}

static void resume_next(struct duet *duet)
{
	AO_t task;

	while ((task = AO_load_acquire(&duet->slot)) == 0)
		sched_yield();
	AO_store(&duet->slot, 0);
	CO_EXPECT_EQ(co_resume((struct co_task *)task), 0);
}

static void wake_again_and_again(void *arg)
{
	struct duet *duet = arg;
	size_t ticks = 0, tasks = 0;

	duet->tick.run = count_tick;
	for (size_t i = 0; i < duet->rounds; i++) {
		torture_dawdle(&duet->random);
		if (test_random_below(&duet->random, 4) == 0) {
			CO_EXPECT_EQ(co_loop_on_next_tick(duet->loop,
					&duet->tick), 0);
			await(&duet->ticks, ++ticks);
		}
		if (test_random_below(&duet->random, 8) == 0) {
			CO_EXPECT_EQ(co_spawn(duet->loop, count_task, duet,
					NULL), 0);
			await(&duet->spawned, ++tasks);
		}
		resume_next(duet);
		await(&duet->woken, i + 1);
	}
	counter_add(&soak.totals.wakes, duet->rounds + ticks + tasks);
}

int part_threads(void *arg)
{
	struct part *part = arg;
	struct duet duets[THREADS_MAX];
	struct co_task *tasks[THREADS_MAX];
	size_t n = 1 + part_draw(part, THREADS_MAX);

	memset(duets, 0, sizeof duets);
	for (size_t i = 0; i < n; i++) {
		duets[i].loop = co_loop_current();
		duets[i].random = test_random(&part->random);
		duets[i].rounds = CO_TEST_SCALE(10 + part_draw(part, 200));
		tasks[i] = spawn_or_die(NULL, suspend_again_and_again,
				&duets[i]);
		test_thread_start(&duets[i].thread, co_loop_current(),
				wake_again_and_again, &duets[i]);
	}
	for (size_t i = 0; i < n; i++) {
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
		test_thread_join(&duets[i].thread);
	}

	return 0;
}

/* --- Calls that block ---------------------------------------------------- */

enum { CALLERS_MAX = 30, CALLS_MAX = 20 };

/* What was called and what was told of it come out even. */
struct bureau {
	uint64_t random;		/* constant */
	struct test_counter begun, called, told;
};

struct errand {
	struct bureau *bureau;
	size_t length;			/* microseconds */
	size_t done;			/* plain: the task's, or its function's */
};

static int run_errand(void *arg)
{
	struct errand *errand = arg;

	if (errand->length > 0)
		nap((co_time)errand->length * CO_MICROSECOND);
	errand->done++;
	counter_add(&errand->bureau->called, 1);

	return 9;
}

static void call_once(struct errand *errand, struct part *part)
{
	size_t before = errand->done;
	int rc = 0, result = 0;

	errand->length = part_draw(part, 4) == 0 ? part_draw(part, 300) : 0;
	CO_WITH_DEADLINE(part_draw(part, 3) != 0 ? CO_NEVER
			: co_after((co_time)part_draw(part, 200000)))
		rc = co_blocking(run_errand, errand, &result);
	CO_EXPECT(rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
	CO_EXPECT_EQ(result, rc == 0 ? 9 : 0);
	CO_EXPECT_EQ(errand->done, before + (rc == 0));
	counter_add(&errand->bureau->told, rc == 0);
}

static int call_again_and_again(void *arg)
{
	struct bureau *bureau = arg;
	struct part part = { NULL, bureau->random
		+ counter_add(&bureau->begun, 1) };
	struct errand errand = { .bureau = bureau };

	for (size_t i = part_draw(&part, CALLS_MAX); i > 0; i--)
		call_once(&errand, &part);

	return 0;
}

int part_blocking(void *arg)
{
	struct part *part = arg;
	struct bureau bureau = { .random = test_random(&part->random) };
	struct co_task *tasks[CALLERS_MAX];
	size_t n = 1 + part_draw(part, CALLERS_MAX);

	for (size_t i = 0; i < n; i++)
		tasks[i] = spawn_or_die(NULL, call_again_and_again, &bureau);
	for (size_t i = part_draw(part, 5); i > 0; i--) {
		co_sleep((co_time)part_draw(part, 300000));
		CO_EXPECT_EQ(co_cancel(tasks[part_draw(part, n)]), 0);
	}
	while (n > 0)
		CO_EXPECT_EQ(join_or_die(tasks[--n]), 0);
	CO_EXPECT_EQ(counter_get(&bureau.called), counter_get(&bureau.told));
	counter_add(&soak.totals.calls, counter_get(&bureau.called));

	return 0;
}

/* --- Between loops ------------------------------------------------------- */

/* Items go from loop to loop.  Each call has a deadline, for the loop at the
 * other end may be gone; and each loop is told that others may wake it. */
int part_bridge(void *arg)
{
	struct co_loop *loop = co_loop_current();

	CO_EXPECT_EQ(co_loop_ref(loop), 0);
	spawn_and_join_all(1 + part_draw(arg, 8), storm_task, &soak.bridge);
	CO_EXPECT_EQ(co_loop_unref(loop), 0);

	return 0;
}

/* --- What is left behind ------------------------------------------------- */

enum { LEFT_MAX = 30 };

struct ruin {
	uint64_t random;
	struct co_lock lock;
	int fds[2];
	struct co_io *io;
	struct test_counter left;
};

static void ignore_handle(struct co_task *task, void *arg)
{
	(void)task;
	(void)arg;
}

/* Wait for what will never come. */
static int stay(void *arg)
{
	struct ruin *ruin = arg;
	size_t me = counter_add(&ruin->left, 1);
	char byte;

	switch (me % 5) {
	case 0:
		return co_sleep(CO_HOUR);
	case 1:
		return co_suspend(ignore_handle, NULL);
	case 2:
		return co_lock_acquire(&ruin->lock);
	case 3:
		CO_WITH_DEADLINE(co_after(CO_HOUR))
			return (int)co_io_read(ruin->io, &byte, 1);
		return 0;
	default:
		return co_select(NULL, 0);
	}
}

static int stop_soon(void *arg)
{
	struct ruin *ruin = arg;

	co_sleep((co_time)test_random_below(&ruin->random, 2000000));

	return co_loop_stop(co_loop_current());
}

void soak_abandon(struct lane *lane, struct co_loop *loop)
{
	struct ruin ruin = { .random = test_random(&lane->random) };
	struct co_loop_stats stats = { .size = sizeof stats };
	size_t n = test_random_below(&lane->random, LEFT_MAX);

	co_lock_init(&ruin.lock);
	CO_EXPECT_EQ(co_lock_try_acquire(&ruin.lock), 0);
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, ruin.fds));
	test_or_die(co_io_open(loop, ruin.fds[0], &ruin.io));
	test_or_die(co_spawn(loop, stop_soon, &ruin, NULL));
	for (size_t i = 0; i < n; i++)
		test_or_die(co_spawn(loop, stay, &ruin, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	/* All readers but one were turned away; who stopped may be left. */
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	CO_EXPECT(stats.tasks <= n + 1);
	CO_EXPECT(stats.tasks + n / 5 >= n);
	counter_add(&soak.totals.abandoned, (size_t)stats.tasks);
	close(ruin.fds[1]);
}
