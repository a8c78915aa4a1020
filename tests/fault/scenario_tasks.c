/* SPDX-License-Identifier: MIT */

/* scenario_tasks.c - loops, tasks, and what they wait for but descriptors */

#define CO_TEST_PLAIN
#include "../test.h"
#include "scenario.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "loop.h"
#include "os/os.h"
#include "spin.h"
#include "strand.h"

/* Wait until the library has made CALL once more than BEFORE.  It comes by
 * itself; if not, the run hangs. */
static void await_call(enum fault_call call, size_t before)
{
	while (fault_calls(call) == before)
		co_sleep(100 * CO_MICROSECOND);
}

/* --- A loop, and its threads --------------------------------------------- */

static int sleep_shortly(void *arg)
{
	(void)arg;
	return co_sleep(100 * CO_MICROSECOND);
}

/* Sleep until the only thread has waited by the finer call: one that is kept
 * from running until it is time asks without waiting.  Who was told that there
 * is no such call doesn't make it again. */
static void await_fine_wait(void)
{
#ifdef HAVE_EPOLL_PWAIT2
	size_t before = fault_calls(FAULT_epoll_pwait2);

	if (strcmp(co_loop_current()->os->name, "epoll") != 0)
		return;
	while (fault_calls(FAULT_epoll_pwait2) == before && fault_fired() == 0)
		co_sleep(100 * CO_MICROSECOND);
#endif
}

static int use_loop(void *arg)
{
	size_t before = fault_calls(FAULT_pthread_cond_timedwait);
	struct co_task *task = NULL;
	long rc = TELL(co_spawn, NULL, sleep_shortly, NULL, &task);

	(void)arg;
	if (rc < 0)
		return (int)rc;
	/* The monitor looks. */
	if (co_loop_threads(co_loop_current()) > 1)
		await_call(FAULT_pthread_cond_timedwait, before);
	else
		await_fine_wait();

	return join_or_die(task);
}

const struct scenario loops = {
	.name = "loops",
	.run = use_loop,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_calloc,
#ifdef HAVE_EPOLL
		FAULT_epoll_create1, FAULT_epoll_ctl_add, FAULT_epoll_wait,
#endif
#ifdef HAVE_EPOLL_PWAIT2
		FAULT_epoll_pwait2,
#endif
		FAULT_ppoll, FAULT_eventfd, FAULT_pthread_create,
		FAULT_pthread_cond_timedwait, FAULT_sem_init, FAULT_sem_wait,
		FAULT_sigaltstack_set, FAULT_sysconf_sigstack,
		FAULT_mmap_others, FAULT_munmap, FAULT_close, FAULT_NONE },
};

const struct scenario program = {
	.name = "program",
	.run = use_loop,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_eventfd,
		FAULT_NONE },
	.by_co_run = true,
};

/* How many threads there are is asked of the system. */
static int use_default_loop(void *arg)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;
	long rc = TELL(co_loop_create, &options, &loop);

	(void)arg;
	if (rc < 0)
		return (int)rc;
	CO_EXPECT(co_loop_threads(loop) >= 1);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);

	return 0;
}

/* It is asked in two ways, of which the second is tried when the first has
 * failed. */
const struct scenario processors = {
	.name = "processors",
	.run = use_default_loop,
	.covers = (const enum fault_call[]){ FAULT_sched_getaffinity,
		FAULT_NONE },
	.only_covered = true,
};

const struct scenario processors_by_sysconf = {
	.name = "processors_by_sysconf",
	.run = use_default_loop,
	.covers = (const enum fault_call[]){ FAULT_sysconf_processors,
		FAULT_NONE },
	.lacks = (const struct fault[]){
		{ FAULT_sched_getaffinity, EINVAL, 0 },
		{ FAULT_NONE, 0, 0 } },
	.only_covered = true,
};

/* --- Stacks -------------------------------------------------------------- */

static int spawn_with_stack(size_t size, struct co_task **ret_task)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;

	attr.stack_size = size;

	return (int)TELL(co_spawn_with, NULL, &attr, sleep_shortly, NULL,
			ret_task);
}

/* Tasks of several sizes at once: the slabs of the large ones have to grow. */
static int use_stacks(void *arg)
{
	enum { TASKS = 20 };
	static const size_t sizes[] = { 16 << 10, 64 << 10, 2 << 20, 8 << 20 };
	struct co_task *tasks[TASKS];
	int rc = 0, n;

	(void)arg;
	for (n = 0; n < TASKS && rc == 0; n++)
		rc = spawn_with_stack(sizes[n % 4], &tasks[n]);
	if (rc < 0)
		n--;
	while (n > 0)
		CO_EXPECT_EQ(join_or_die(tasks[--n]), 0);

	return rc;
}

const struct scenario stacks = {
	.name = "stacks",
	.run = use_stacks,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_mmap_stacks,
		FAULT_munmap, FAULT_NONE },
};

/* Whether the system takes the advice that makes a guard, or an emulator says
 * so: else nobody looks by a pipe whether it is one. */
static bool is_called_for_guards(enum fault_call call)
{
	bool works;

	return call != FAULT_pipe2 || takes_guard_advice(&works);
}

/* The first task of a process finds out whether guards work. */
const struct scenario guards = {
	.name = "guards",
	.run = sleep_shortly,
	.covers = (const enum fault_call[]){ FAULT_madvise_guard,
		FAULT_mmap_others, FAULT_munmap, FAULT_pipe2, FAULT_sigaction,
		FAULT_close, FAULT_NONE },
	.is_called = is_called_for_guards,
	.threads = 1,
	.forked = true,
	.only_covered = true,
};

/* Each guard is a page that is protected. */
const struct scenario guard_pages = {
	.name = "guard_pages",
	.run = use_stacks,
	.covers = (const enum fault_call[]){ FAULT_mprotect, FAULT_NONE },
	.lacks = (const struct fault[]){
		{ FAULT_madvise_guard, EINVAL, 0 },
		{ FAULT_NONE, 0, 0 } },
	.only_covered = true,
};

/* --- Many tasks ---------------------------------------------------------- */

static int do_nothing(void *arg)
{
	(void)arg;
	return 0;
}

enum { CROWD = 1200 };

static int crowd_together(int count, size_t stack_size)
{
	struct co_task *tasks[CROWD];
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	long rc = 0;
	int n;

	attr.stack_size = stack_size;
	for (n = 0; n < count && rc == 0; n++)
		rc = TELL(co_spawn_with, NULL, &attr, do_nothing, NULL,
				&tasks[n]);
	if (rc < 0)
		n--;
	while (n > 0)
		CO_EXPECT_EQ(join_or_die(tasks[--n]), 0);

	return (int)rc;
}

/* More tasks that can run than the ring of a worker has room for. */
static int use_crowd(void *arg)
{
	(void)arg;
	return crowd_together(CROWD, 16 << 10);
}

const struct scenario crowd = {
	.name = "crowd",
	.run = use_crowd,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_mmap_stacks,
		FAULT_NONE },
	.only_covered = true,
};

/* Stacks that nobody needed for a while are trimmed: after a period in which
 * they are seen, one in which they weren't taken.  So many that a thread gives
 * some to the depot. */
static int use_trimming(void *arg)
{
	struct co__depot *depot = &co_loop_current()->frames.depot;
	size_t before = fault_calls(FAULT_madvise_trim);
	int rc = crowd_together(4 * CO__MAGAZINE, 64 << 10), i;

	(void)arg;
	for (i = 0; i < 3 && rc == 0; i++)
		co__depot_trim(depot, depot->period_ends);
	CO_EXPECT(rc < 0 || fault_calls(FAULT_madvise_trim) > before);

	return rc;
}

const struct scenario trimming = {
	.name = "trimming",
	.run = use_trimming,
	.covers = (const enum fault_call[]){ FAULT_madvise_trim, FAULT_NONE },
	.threads = 1,
	.only_covered = true,
};

/* --- Channels ------------------------------------------------------------ */

enum { ITEMS = 5 };

static int put_items(void *channel)
{
	size_t i;

	for (i = 0; i < ITEMS; i++)
		put_now(channel, i);

	return 0;
}

static int use_channels(void *arg)
{
	struct co_channel *channel = NULL;
	struct co_task *task = NULL;
	long rc = TELL(co_channel_create, NULL, sizeof(size_t), 2, &channel);
	size_t i;

	(void)arg;
	if (rc < 0)
		return (int)rc;
	rc = TELL(co_spawn, NULL, put_items, channel, &task);
	for (i = 0; i < ITEMS && rc == 0; i++)
		CO_EXPECT_EQ(get_now(channel), i);
	if (rc == 0)
		CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);

	return (int)rc;
}

const struct scenario channels = {
	.name = "channels",
	.run = use_channels,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_NONE },
};

/* --- Calls that block ---------------------------------------------------- */

enum { CALLS = 3 };

static struct test_counter all_called;

static int wait_for_all(void *arg)
{
	(void)arg;
	while (counter_get(&all_called) == 0)
		sched_yield();

	return 7;
}

static int call_and_wait(void *arg)
{
	int result = 0;
	long rc = TELL(co_blocking, wait_for_all, arg, &result);

	CO_EXPECT_EQ(result, rc < 0 ? 0 : 7);

	return (int)rc;
}

/* One after the other: each but the first may lack its thread, and is queued
 * then. */
static int use_blocking(void *arg)
{
	struct co_task *tasks[CALLS];
	long rc = 0;
	int n, result;

	counter_set(&all_called, 0);
	for (n = 0; n < CALLS && rc == 0; n++) {
		rc = TELL(co_spawn, NULL, call_and_wait, arg, &tasks[n]);
		settle();
	}
	if (rc < 0)
		n--;
	counter_set(&all_called, 1);
	while (n > 0) {
		result = join_or_die(tasks[--n]);
		if (rc == 0)
			rc = result;
	}

	return (int)rc;
}

const struct scenario blocking = {
	.name = "blocking",
	.run = use_blocking,
	.covers = (const enum fault_call[]){ FAULT_pthread_create,
		FAULT_sem_init, FAULT_sem_wait, FAULT_NONE },
	.only_covered = true,
};

/* A call that finds no thread, and gives up. */
static int use_withdrawn(void *arg)
{
	struct co_task *task = NULL;
	size_t before = fault_calls(FAULT_sem_trywait);
	co_time time = CO_MILLISECOND;
	long rc;
	int result;

	counter_set(&all_called, 0);
	rc = TELL(co_spawn, NULL, call_and_wait, arg, &task);
	if (rc < 0)
		return (int)rc;
	settle();
	/* It may be over before the call is queued, if the machine is busy. */
	do {
		CO_WITH_DEADLINE(co_after(time))
			rc = co_blocking(wait_for_all, arg, NULL);
		time *= 2;
	} while (rc == -ETIMEDOUT && fault_calls(FAULT_sem_trywait) == before);
	counter_set(&all_called, 1);
	result = join_or_die(task);
	/* If the first call had no thread, this may have had one. */
	CO_EXPECT(result < 0 || rc == -ETIMEDOUT);

	return result < 0 ? result : 0;
}

const struct scenario withdrawn = {
	.name = "withdrawn",
	.run = use_withdrawn,
	.covers = (const enum fault_call[]){ FAULT_sem_trywait, FAULT_NONE },
	.blocking_threads = 1,
	.only_covered = true,
};

/* --- Groups -------------------------------------------------------------- */

static int use_groups(void *arg)
{
	struct co_group group;
	int rc = 0, result = 0;

	test_or_die(co_group_init(&group, NULL, 0));
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = (int)TELL(co_group_spawn, &group, sleep_shortly, arg);
	/* Whether or not all were spawned. */
	CO_EXPECT_EQ(co_group_wait(&group, &result), 0);
	CO_EXPECT_EQ(result, 0);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return rc;
}

const struct scenario groups = {
	.name = "groups",
	.run = use_groups,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_NONE },
	.only_covered = true,
};

/* --- A dump -------------------------------------------------------------- */

static int dump_into(const int ends[2])
{
	char text[4096];
	long rc = TELL(co_loop_dump, co_loop_current(), ends[1]);
	ssize_t size;

	if (rc < 0)
		return (int)rc;
	size = read(ends[0], text, sizeof text);
	CO_EXPECT(size > 0 && text[size - 1] == '\n');

	return 0;
}

static int use_dump(void *arg)
{
	int ends[2], rc;

	(void)arg;
	test_or_die(pipe(ends));
	rc = dump_into(ends);
	close(ends[0]);
	close(ends[1]);

	return rc;
}

const struct scenario dumps = {
	.name = "dumps",
	.run = use_dump,
	.covers = (const enum fault_call[]){ FAULT_write, FAULT_NONE },
};

/* --- A stall ------------------------------------------------------------- */

static uint64_t count_stalls(void)
{
	struct co_loop_stats stats = { .size = sizeof stats };

	CO_EXPECT_EQ(co_loop_stats(co_loop_current(), &stats), 0);

	return stats.stalls;
}

/* If it was reported before REPORTED was counted, there is no second report
 * without a switch: so don't wait for it for ever. */
static void stall_until_reported(uint64_t reported)
{
	co_time end = co_after(200 * CO_MILLISECOND);

	while (count_stalls() == reported && co_now() < end)
		sched_yield();
}

/* What is reported is of no interest, nor whether it could be. */
static int use_stall(void *arg)
{
	int before = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
	uint64_t reported = count_stalls();

	(void)arg;
	dup2(nowhere, STDERR_FILENO);
	while (count_stalls() == reported) {
		stall_until_reported(reported);
		co_yield();
	}
	dup2(before, STDERR_FILENO);
	close(before);
	close(nowhere);

	return 0;
}

const struct scenario stalls = {
	.name = "stalls",
	.run = use_stall,
	.covers = (const enum fault_call[]){ FAULT_write, FAULT_pthread_create,
		FAULT_NONE },
	.threads = 1,
	.stall_after = CO_MILLISECOND,
	.only_covered = true,
};

/* --- A thief ------------------------------------------------------------- */

/* What a thief does at the door of a worker that has all to itself; it comes
 * again and again. */
static int use_door(void *arg)
{
	struct co__bias door = { .state = CO__BIAS_OWNED };
	int tries;

	(void)arg;
	CO_EXPECT(co__bias_enter(&door));
	CO_EXPECT(!co__bias_visit(&door));
	co__bias_leave(&door);
	for (tries = 0; !co__bias_visit(&door); tries++) {
		CO_EXPECT(co__bias_enter(&door));
		co__bias_leave(&door);
		if (tries == 100)
			return 0;	/* there is no such call */
	}
	CO_EXPECT(!co__bias_enter(&door));
	co__bias_set(&door, CO__BIAS_OWNED);
	CO_EXPECT(!co__bias_enter(&door));
	co__bias_end_visit(&door);
	co__bias_set(&door, CO__BIAS_OWNED);
	CO_EXPECT(co__bias_enter(&door));

	return 0;
}

const struct scenario thieves = {
	.name = "thieves",
	.run = use_door,
	.covers = (const enum fault_call[]){ FAULT_membarrier, FAULT_NONE },
};

/* --- A strand that is taken away ----------------------------------------- */

static void use_strand(struct co__strand *strand, struct co__seat *seat)
{
	CO_EXPECT(co__strand_try(strand, seat)
			|| co__strand_try_hold(strand, seat));
	co__strand_release(strand, seat);
}

static int lose_strand(void *arg)
{
	struct co__seat *seat = co__seat_take();
	struct co__strand strand = { .word = (AO_t)seat };

	(void)arg;
	use_strand(&strand, seat);
	CO_EXPECT_EQ(AO_load(&strand.word), (AO_t)seat);
	use_strand(&strand, co__seat_none);
	CO_EXPECT_EQ(AO_load(&strand.word), 0);
	use_strand(&strand, seat);
	co__seat_give(seat);

	return 0;
}

const struct scenario losers = {
	.name = "losers",
	.run = lose_strand,
	.covers = (const enum fault_call[]){ FAULT_membarrier, FAULT_NONE },
};

/* --- Another thread ------------------------------------------------------ */

struct sleeper {
	struct co_loop *loop;
	struct co_task *task;
	struct test_counter suspended;
};

static void note_suspended(struct co_task *task, void *arg)
{
	struct sleeper *sleeper = arg;

	sleeper->task = task;
	counter_set(&sleeper->suspended, 1);
}

static bool is_idle(struct co_loop *loop)
{
	struct co_loop_stats stats = { .size = sizeof stats };

	return co_loop_stats(loop, &stats) == 0 && stats.idle == stats.threads;
}

static void wake_sleeper(void *arg)
{
	struct sleeper *sleeper = arg;

	while (counter_get(&sleeper->suspended) == 0
			|| !is_idle(sleeper->loop))
		sched_yield();
	CO_EXPECT_EQ(co_resume(sleeper->task), 0);
}

/* The poller sleeps until it is woken. */
static int use_foreigner(void *arg)
{
	static struct sleeper sleeper;
	struct test_thread thread;

	(void)arg;
	sleeper.loop = co_loop_current();
	counter_set(&sleeper.suspended, 0);
	test_thread_start(&thread, sleeper.loop, wake_sleeper, &sleeper);
	CO_EXPECT_EQ(co_suspend(note_suspended, &sleeper), 0);
	test_thread_join(&thread);

	return 0;
}

const struct scenario foreigner = {
	.name = "foreigner",
	.run = use_foreigner,
	.covers = (const enum fault_call[]){ FAULT_read_wake, FAULT_write_wake,
		FAULT_NONE },
	.threads = 1,
};

/* --- A lock that is held for long ---------------------------------------- */

static struct co__spin held = CO__SPIN_INIT;

static void take_and_release(void *arg)
{
	(void)arg;
	co__spin_acquire(&held);
	co__spin_release(&held);
}

/* Who waits for it takes a nap. */
static int use_spin(void *arg)
{
	size_t before = fault_calls(FAULT_nanosleep);
	struct test_thread thread;

	(void)arg;
	co__spin_acquire(&held);
	test_thread_start(&thread, NULL, take_and_release, NULL);
	while (fault_calls(FAULT_nanosleep) == before)
		sched_yield();
	co__spin_release(&held);
	test_thread_join(&thread);

	return 0;
}

const struct scenario spinning = {
	.name = "spinning",
	.run = use_spin,
	.covers = (const enum fault_call[]){ FAULT_nanosleep, FAULT_NONE },
	.only_covered = true,
};
