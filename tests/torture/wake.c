/* SPDX-License-Identifier: MIT */

/*
 * wake.c - a hunt for lost wake-ups
 *
 * One item at a time goes to and fro, and between two of them the loop has
 * nothing to do and sleeps: no later item can make up for a wake-up that got
 * lost, so losing one hangs the program, and the watchdog ends it.  No phase
 * has a timer in the loop but the one that is about timers.
 */

#include "torture.h"

#include <sys/socket.h>
#include <time.h>

/* What one phase shares between its tasks and its foreign thread. */
struct rig {
	const struct torture *torture;
	struct co_loop *loop;
	co_time end;
	uint64_t random;	/* owner: the foreign thread */
	uint64_t rounds;	/* owner: the foreign thread */
	int fds[2];
	struct co_tick tick;
	volatile AO_t slot;	/* atomic: the parked task, or 0 */
	volatile AO_t over;	/* atomic: the task is to return */
	volatile AO_t done;	/* atomic: items that came through */
};

/* Let a while pass in a foreign thread, often enough for the loop to fall
 * asleep, and often just about then. */
static void dawdle(uint64_t *random)
{
	struct timespec nap = { 0, 1000 };

	switch (test_random_below(random, 4)) {
	case 0:
		torture_dawdle(random);
		return;
	case 1:
		sched_yield();
		return;
	default:
		nap.tv_nsec = (long)test_random_below(random, 100000);
		nanosleep(&nap, NULL);
	}
}

/* Spin until WORD has the value WANT. */
static void await(volatile AO_t *word, AO_t want)
{
	while (AO_load_acquire(word) != want)
		sched_yield();
}

/* --- A thread resumes a task ------------------------------------------- */

static void park_in_slot(struct co_task *task, void *arg)
{
	struct rig *rig = arg;

	AO_store_release(&rig->slot, (AO_t)task);
}

static int suspend_again_and_again(void *arg)
{
	struct rig *rig = arg;

	for (;;) {
		CO_EXPECT_EQ(co_suspend(park_in_slot, rig), 0);
		if (AO_load_acquire(&rig->over))
			return 0;
		AO_fetch_and_add1_full(&rig->done);
	}
}

/* Take the task out of the slot and let it go on. */
static void resume_from_slot(struct rig *rig)
{
	AO_t task;

	while ((task = AO_load_acquire(&rig->slot)) == 0)
		sched_yield();
	AO_store(&rig->slot, 0);
	CO_EXPECT_EQ(co_resume((struct co_task *)task), 0);
}

static void resume_from_thread(void *arg)
{
	struct rig *rig = arg;

	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		dawdle(&rig->random);
		resume_from_slot(rig);
		await(&rig->done, ++rig->rounds);
	}
	AO_store_release(&rig->over, 1);
	resume_from_slot(rig);
}

/* --- A thread posts ticks ---------------------------------------------- */

static void count_tick(struct co_tick *tick)
{
	struct rig *rig = (struct rig *)(void *)((char *)tick -
			offsetof(struct rig, tick));

	AO_fetch_and_add1_full(&rig->done);
}

static void tick_from_thread(void *arg)
{
	struct rig *rig = arg;

	rig->tick.run = count_tick;
	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		dawdle(&rig->random);
		CO_EXPECT_EQ(co_loop_on_next_tick(rig->loop, &rig->tick), 0);
		await(&rig->done, ++rig->rounds);
	}
}

/* --- A thread spawns tasks --------------------------------------------- */

static int count_task(void *arg)
{
	struct rig *rig = arg;

	AO_fetch_and_add1_full(&rig->done);
	return 0;
}

static void spawn_from_thread(void *arg)
{
	struct rig *rig = arg;

	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		dawdle(&rig->random);
		CO_EXPECT_EQ(co_spawn(rig->loop, count_task, rig, NULL), 0);
		await(&rig->done, ++rig->rounds);
	}
}

/* --- A thread writes to a socket --------------------------------------- */

static int echo(void *arg)
{
	struct rig *rig = arg;
	struct co_io *io = NULL;
	char byte;

	test_or_die(co_io_open(NULL, rig->fds[0], &io));
	while (co_io_read(io, &byte, 1) == 1)
		CO_EXPECT_EQ(co_io_write(io, &byte, 1), 1);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return 0;
}

static void write_from_thread(void *arg)
{
	struct rig *rig = arg;
	char byte = 0;

	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		dawdle(&rig->random);
		CO_EXPECT_EQ(write(rig->fds[1], &byte, 1), 1);
		CO_EXPECT_EQ(read(rig->fds[1], &byte, 1), 1);
		rig->rounds++;
	}
	close(rig->fds[1]);
}

/* --- Tasks of one loop hand an item around ----------------------------- */

enum { CIRCLE = 5, THREADS = 4 };

struct circle {
	struct rig *rig;
	struct co_channel *channels[CIRCLE];
	struct test_counter next;
};

static int pass_on(void *arg)
{
	struct circle *circle = arg;
	size_t me = counter_add(&circle->next, 1);
	struct co_channel *from = circle->channels[me];
	struct co_channel *to = circle->channels[(me + 1) % CIRCLE];
	uint64_t item;

	while (co_channel_get(from, &item) == 0) {
		if (me == 0 && !torture_goes_on(circle->rig->torture,
				item, circle->rig->end))
			break;
		item += me == 0;
		circle->rig->rounds = item;
		CO_EXPECT_EQ(co_channel_put(to, &item), 0);
	}
	co_channel_close(to);

	return 0;
}

/* Only one of the tasks holds the item, so that they may all set rounds.  Who
 * sees that it is over closes the next channel, and so on around. */
static int circle(void *arg)
{
	struct circle circle = { .rig = arg };
	struct co_task *tasks[CIRCLE];
	uint64_t item = 0;
	size_t i;

	for (i = 0; i < CIRCLE; i++)
		test_or_die(co_channel_create(NULL, sizeof item, i % 2,
				&circle.channels[i]));
	for (i = 0; i < CIRCLE; i++)
		tasks[i] = spawn_or_die(NULL, pass_on, &circle);
	CO_EXPECT_EQ(co_channel_put(circle.channels[0], &item), 0);
	for (i = 0; i < CIRCLE; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	for (i = 0; i < CIRCLE; i++)
		CO_EXPECT_EQ(co_channel_destroy(circle.channels[i]), 0);

	return 0;
}

/* --- Tasks sleep, one at a time ---------------------------------------- */

static int sleep_again_and_again(void *arg)
{
	struct rig *rig = arg;

	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		co_time nap = (co_time)test_random_below(&rig->random, 200000);
		co_time before = co_now();

		CO_EXPECT_EQ(co_sleep(nap), 0);
		CO_EXPECT(co_now() - before >= nap);
		rig->rounds++;
	}

	return 0;
}

/* --- The last tasks of a loop end at once ------------------------------ */

static int end_soon(void *arg)
{
	struct rig *rig = arg;
	size_t i;

	for (i = (size_t)rig->rounds % 3; i > 0; i--)
		co_yield();
	return 0;
}

/* run() must see the end whichever thread the last task ended on. */
static void run_to_the_end(struct rig *rig)
{
	struct co_loop *loop = loop_or_die((unsigned)rig->torture->threads);
	size_t i, n;

	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		n = 1 + test_random_below(&rig->random, 6);
		for (i = 0; i < n; i++)
			test_or_die(co_spawn(loop, end_soon, rig, NULL));
		CO_EXPECT_EQ(co_loop_run(loop), 0);
		rig->rounds++;
	}
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

/* --- A thread stops a sleeping loop ------------------------------------ */

static void stop_from_thread(void *arg)
{
	struct rig *rig = arg;

	dawdle(&rig->random);
	CO_EXPECT_EQ(co_loop_stop(rig->loop), 0);
}

static void stop_while_asleep(struct rig *rig)
{
	struct test_thread thread;

	rig->loop = loop_or_die((unsigned)rig->torture->threads);
	CO_EXPECT_EQ(co_loop_ref(rig->loop), 0);
	while (torture_goes_on(rig->torture, rig->rounds, rig->end)) {
		test_thread_start(&thread, NULL, stop_from_thread, rig);
		CO_EXPECT_EQ(co_loop_run(rig->loop), 0);
		test_thread_join(&thread);
		rig->rounds++;
	}
	CO_EXPECT_EQ(co_loop_unref(rig->loop), 0);
	CO_EXPECT_EQ(co_loop_destroy(rig->loop), 0);
}

/* ------------------------------------------------------------------------ */

/* One phase: a task, a foreign thread, both, or a function of its own. */
struct phase {
	const char *name;
	co_task_fn *task;
	void (*thread)(void *arg);
	void (*alone)(struct rig *rig);
};

static const struct phase phases[] = {
	{ "a thread resumes a task", suspend_again_and_again,
			resume_from_thread, NULL },
	{ "a thread posts ticks", NULL, tick_from_thread, NULL },
	{ "a thread spawns tasks", NULL, spawn_from_thread, NULL },
	{ "a thread writes to a socket", echo, write_from_thread, NULL },
	{ "tasks pass an item around", circle, NULL, NULL },
	{ "a task sleeps", sleep_again_and_again, NULL, NULL },
	{ "the last tasks end at once", NULL, NULL, run_to_the_end },
	{ "a thread stops a sleeping loop", NULL, NULL, stop_while_asleep },
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static void run_rig(const struct phase *phase, struct rig *rig)
{
	struct test_thread thread;

	rig->loop = loop_or_die((unsigned)rig->torture->threads);
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, rig->fds));
	if (phase->task != NULL)
		test_or_die(co_spawn(rig->loop, phase->task, rig, NULL));
	if (phase->thread != NULL)
		test_thread_start(&thread, rig->loop, phase->thread, rig);
	CO_EXPECT_EQ(co_loop_run(rig->loop), 0);
	if (phase->thread != NULL)
		test_thread_join(&thread);
	if (phase->thread != write_from_thread) {
		close(rig->fds[0]);
		close(rig->fds[1]);
	}
	CO_EXPECT_EQ(co_loop_destroy(rig->loop), 0);
}

static uint64_t run_phase(const struct torture *torture,
		const struct phase *phase, uint64_t seed)
{
	struct rig rig = { .torture = torture, .random = seed };

	torture_enter(phase->name, (unsigned)torture->seconds + 30);
	rig.end = co_after((co_time)torture->seconds * CO_SECOND / PHASES);
	if (phase->alone != NULL)
		phase->alone(&rig);
	else
		run_rig(phase, &rig);
	printf("  %-32s %llu\n", phase->name, (unsigned long long)rig.rounds);

	return rig.rounds;
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "wake");
	uint64_t rounds = 0;
	size_t i;

	if (torture.threads == 0)
		torture.threads = THREADS;
	for (i = 0; i < PHASES; i++)
		rounds += run_phase(&torture, &phases[i], torture.seed + i);
	test_expect_no_leak();

	return torture_end(&torture, rounds);
}
