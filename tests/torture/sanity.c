/* SPDX-License-Identifier: MIT */

/*
 * sanity.c - what checkers must report, and what they must not
 *
 * Without a fault each part does what is right but unusual: a task that goes on
 * in other threads, memory that only a parked stack points to.  CO_TEST_FAULT is
 * the name of the one fault to be committed: then whoever runs this program has
 * to see that it fails.
 */

#include "torture.h"

static void *volatile somewhere;

/* --- Races ---------------------------------------------------------------- */

enum { RUNNERS = 4, TURNS = 1000 };

struct race {
	struct co_lock lock;
	struct test_counter runners;
	size_t count;			/* plain on purpose: the lock's */
};

static int count_up(void *arg)
{
	struct race *race = arg;
	bool fault = test_has_fault("race");

	meet_in_two_threads(&race->runners);
	while (counter_get(&race->runners) < RUNNERS)
		co_yield();
	for (int i = 0; i < TURNS; i++) {
		if (!fault)
			CO_EXPECT_EQ(co_lock_acquire(&race->lock), 0);
		race->count++;
		if (!fault)
			CO_EXPECT_EQ(co_lock_release(&race->lock), 0);
		co_yield();
	}

	return 0;
}

static int take_turns(void *arg)
{
	struct race race = { .lock = CO_LOCK_INIT };

	(void)arg;
	spawn_and_join_all(RUNNERS, count_up, &race);
	if (!test_has_fault("race"))
		CO_EXPECT_EQ(race.count, RUNNERS * TURNS);

	return co_lock_deinit(&race.lock);
}

/* --- Stacks --------------------------------------------------------------- */

static __attribute__((noinline)) void point_into_frame(void)
{
	volatile char local[16] = "a local buffer";

	somewhere = (void *)(size_t)local;
	co_yield();
}

static __attribute__((noinline)) void write_bytes(volatile char *buffer, size_t size)
{
	for (size_t i = 0; i < size; i++)
		buffer[i] = (char)i;
	co_yield();
}

static int use_stack(void *arg)
{
	volatile char buffer[16];

	(void)arg;
	point_into_frame();
	if (test_has_fault("use-after-return"))
		CO_EXPECT(*(volatile char *)somewhere != 1);
	somewhere = NULL;
	write_bytes(buffer, sizeof buffer + test_has_fault("overflow"));

	return 0;
}

/* --- Memory --------------------------------------------------------------- */

static int hold_memory(void *arg)
{
	char *memory = malloc(1000);

	test_die_unless(memory != NULL, "malloc", __FILE__, __LINE__);
	/* Nothing but this stack points to it meanwhile. */
	CO_EXPECT_EQ(co_channel_get(arg, NULL), 0);
	memory[0] = 1;
	somewhere = memory;
	free(memory);
	if (test_has_fault("use-after-free"))
		CO_EXPECT(*(volatile char *)somewhere != 2);
	if (test_has_fault("leak"))
		somewhere = malloc(1000);
	somewhere = NULL;

	return 0;
}

static int use_memory(void *arg)
{
	struct co_channel *channel = channel_or_die(0, 0);
	struct co_task *task = spawn_or_die(NULL, hold_memory, channel);
	unsigned char *fresh = malloc(2);

	(void)arg;
	test_die_unless(fresh != NULL, "malloc", __FILE__, __LINE__);
	if (!test_has_fault("uninitialised"))
		fresh[0] = 1;
	fresh[1] = 2;
	co_sleep(CO_MILLISECOND);
#ifdef TEST_ASAN
	CO_EXPECT_EQ(__lsan_do_recoverable_leak_check(), 0);
#endif
	CO_EXPECT_EQ(co_channel_put(channel, NULL), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT(fresh[0] != fresh[1]);
	free(fresh);

	return co_channel_destroy(channel);
}

/* --- Arithmetic ----------------------------------------------------------- */

static int count_too_far(void *arg)
{
	volatile int most = test_has_fault("undefined") ? 0x7fffffff : 1;

	(void)arg;
	most = most + 1;

	return 0;
}

/* --- Waiting -------------------------------------------------------------- */

static void wake(struct co_task *task, void *arg)
{
	(void)arg;
	if (!test_has_fault("lost-wakeup"))
		CO_EXPECT_EQ(co_resume(task), 0);
}

/* A reference says that somebody will wake it. */
static int wait_to_be_woken(void *arg)
{
	int rc;

	(void)arg;
	torture_enter("a task is resumed", test_has_fault("lost-wakeup") ? 5
			: 60);
	CO_EXPECT_EQ(co_loop_ref(co_loop_current()), 0);
	rc = co_suspend(wake, NULL);
	CO_EXPECT_EQ(co_loop_unref(co_loop_current()), 0);
	torture_enter("sanity", 60);

	return rc;
}

/* -------------------------------------------------------------------------- */

static int expect_nothing(void *arg)
{
	(void)arg;
	CO_EXPECT(!test_has_fault("expectation"));
	if (test_has_fault("crash"))
		abort();

	return 0;
}

int main(int argc, char **argv)
{
	static co_task_fn *const parts[] = { take_turns, use_stack, use_memory,
		count_too_far, wait_to_be_woken, expect_nothing };
	struct torture torture = torture_begin(argc, argv, "sanity");
	size_t i;

	for (i = 0; i < sizeof parts / sizeof parts[0]; i++)
		CO_EXPECT_EQ(run_in_loop(4, parts[i], NULL), 0);

	return torture_end(&torture, i);
}
