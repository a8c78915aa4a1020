/* SPDX-License-Identifier: MIT */

/* test_task.c - what co_task(3) promises */

#include "test.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runq.h"
#include "wait.h"

/* --- Tasks to spawn ---------------------------------------------------- */

static int return_answer(void *arg)
{
	(void)arg;
	return 42;
}

static int return_int(void *arg)
{
	return *(int *)arg;
}

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

/* Waits until the counter ARG isn't 0. */
static int wait_for_counter(void *arg)
{
	while (counter_get(arg) == 0)
		co_sleep(CO_MILLISECOND / 5);
	return 42;
}

static int join_it(void *arg)
{
	int result = 0, rc = co_join(arg, &result);

	return rc != 0 ? rc : result;
}

/* --- Spawn and join ---------------------------------------------------- */

CO_TEST(task, join_returns_the_result)
{
	int results[] = { 0, 1, -1, -EIO, INT_MAX, INT_MIN };
	struct co_task *task;
	size_t i;

	for (i = 0; i < sizeof results / sizeof results[0]; i++) {
		task = spawn_or_die(NULL, return_int, &results[i]);
		CO_EXPECT_EQ(join_or_die(task), results[i]);
	}
	task = spawn_or_die(co_loop_current(), return_answer, NULL);
	CO_EXPECT_EQ(co_join(task, NULL), 0);

	return 0;
}

CO_TEST(task, tasks_may_be_joined_in_any_order)
{
	struct co_task *tasks[50];
	int numbers[50], i;

	for (i = 0; i < 50; i++) {
		numbers[i] = i;
		tasks[i] = spawn_or_die(NULL, return_int, &numbers[i]);
	}
	for (i = 48; i >= 0; i -= 2)
		CO_EXPECT_EQ(join_or_die(tasks[i]), i);
	for (i = 1; i < 50; i += 2)
		CO_EXPECT_EQ(join_or_die(tasks[i]), i);

	return 0;
}

CO_TEST(task, an_ended_task_waits_to_be_joined)
{
	struct co_task *task = spawn_or_die(NULL, return_answer, NULL);

	co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), 42);

	return 0;
}

CO_TEST(task, detached_tasks_run_to_their_end)
{
	struct test_counter ended = { 0 };
	struct co_task *task;
	size_t i;

	for (i = 0; i < 300; i++) {
		if (i % 3 == 0) {
			CO_EXPECT_EQ(co_spawn(NULL, count_up, &ended, NULL),
					0);
			continue;
		}
		task = spawn_or_die(NULL, count_up, &ended);
		if (i % 3 == 1)
			co_yield();
		CO_EXPECT_EQ(co_detach(task), 0);
	}
	while (counter_get(&ended) < 300)
		CO_EXPECT_EQ(co_yield(), 0);

	return 0;
}

CO_TEST(task, a_task_cannot_join_itself)
{
	CO_EXPECT_EQ(co_join(co_self(), NULL), -EDEADLK);
	return 0;
}

CO_TEST(task, a_handle_given_up_is_refused)
{
	/* The detached task may outlive this one. */
	static struct test_counter go;
	struct co_task *task = spawn_or_die(NULL, return_answer, NULL);

	CO_EXPECT_EQ(join_or_die(task), 42);
	CO_EXPECT_EQ(co_join(task, NULL), -EINVAL);
	CO_EXPECT_EQ(co_detach(task), -EINVAL);
	CO_EXPECT_EQ(co_cancel(task), -EINVAL);

	task = spawn_or_die(NULL, wait_for_counter, &go);
	CO_EXPECT_EQ(co_detach(task), 0);
	CO_EXPECT_EQ(co_join(task, NULL), -EINVAL);
	CO_EXPECT_EQ(co_detach(task), -EINVAL);
	counter_set(&go, 1);

	return 0;
}

CO_TEST(task, only_one_task_can_join)
{
	struct test_counter go = { 0 };
	struct co_task *task = spawn_or_die(NULL, wait_for_counter, &go);
	struct co_task *joiner = spawn_or_die(NULL, join_it, task);

	settle();
	CO_EXPECT_EQ(co_join(task, NULL), -EBUSY);
	CO_EXPECT_EQ(co_detach(task), -EBUSY);
	counter_set(&go, 1);
	CO_EXPECT_EQ(join_or_die(joiner), 42);

	return 0;
}

CO_TEST(task, a_join_that_gives_up_leaves_the_task)
{
	struct test_counter go = { 0 };
	struct co_task *task = spawn_or_die(NULL, wait_for_counter, &go);
	struct co_task *joiner;
	int result = 7;

	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_join(task, &result), -ETIMEDOUT);
	CO_EXPECT_EQ(result, 7);

	joiner = spawn_or_die(NULL, join_it, task);
	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(co_cancel(joiner), 0);
	CO_EXPECT_EQ(join_or_die(joiner), -ECANCELED);

	counter_set(&go, 1);
	CO_EXPECT_EQ(join_or_die(task), 42);

	return 0;
}

static void join_after_run(unsigned threads)
{
	struct co_loop *loop = loop_or_die(threads);
	struct co_task *task = spawn_or_die(loop, return_answer, NULL);
	int result = 7;

	cr_assert_eq(co_join(task, &result), -EPERM);
	cr_assert_eq(result, 7);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_join(task, &result), 0);
	cr_assert_eq(result, 42);
	cr_assert_eq(co_join(task, &result), -EINVAL);

	task = spawn_or_die(loop, return_answer, NULL);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_detach(task), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

Test(task, outside_of_a_task_only_an_ended_one_can_be_joined)
{
	join_after_run(1);
	join_after_run(4);
}

/* --- Names ------------------------------------------------------------- */

CO_TEST_ON_ONE_THREAD(task, a_name_is_copied_and_cut)
{
	char name[] = "first";

	CO_EXPECT_EQ(strcmp(co_task_name(NULL), ""), 0);
	CO_EXPECT_EQ(co_task_set_name(NULL, name), 0);
	name[0] = 'F';
	CO_EXPECT_EQ(strcmp(co_task_name(co_self()), "first"), 0);
	CO_EXPECT_EQ(co_task_set_name(co_self(),
			"abcdefghijklmnopqrstuvwxyz0123456789"), 0);
	CO_EXPECT_EQ(strcmp(co_task_name(NULL),
			"abcdefghijklmnopqrstuvwxyz01234"), 0);
	CO_EXPECT_EQ(strlen(co_task_name(NULL)), CO_TASK_NAME_MAX);
	CO_EXPECT_EQ(co_task_set_name(NULL, NULL), 0);
	CO_EXPECT_EQ(strcmp(co_task_name(NULL), ""), 0);

	return 0;
}

static int check_name(void *arg)
{
	return strcmp(co_task_name(NULL), arg);
}

CO_TEST(task, a_name_can_be_given_at_spawn)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	char name[] = "worker";
	char wanted[] = "worker";
	struct co_task *task = NULL;

	attr.name = name;
	test_or_die(co_spawn_with(NULL, &attr, check_name, wanted, &task));
	name[0] = 'W';
	CO_EXPECT_EQ(strcmp(co_task_name(task), wanted), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);

	return 0;
}

Test(task, outside_of_tasks_there_is_no_name)
{
	cr_assert_null(co_task_name(NULL));
	cr_assert_eq(co_task_set_name(NULL, "name"), -EINVAL);
	cr_assert_null(co_self());
}

/* --- Attributes -------------------------------------------------------- */

CO_TEST_ON_ONE_THREAD(task, senseless_attributes_are_refused)
{
	static const size_t bad[] = { 1, 4096, 16384 - 1,
			((size_t)1 << 30) + 1, SIZE_MAX / 2, SIZE_MAX };
	struct co_task *const none = (struct co_task *)(void *)&bad;
	struct co_task *task = none;
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	size_t i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		attr.stack_size = bad[i];
		CO_EXPECT_EQ(co_spawn_with(NULL, &attr, return_answer, NULL,
				&task), -EINVAL);
	}
	attr.stack_size = 0;
	attr.size = 0;
	CO_EXPECT_EQ(co_spawn_with(NULL, &attr, return_answer, NULL, &task),
			-EINVAL);
	attr.size = sizeof attr.size;
	CO_EXPECT_EQ(co_spawn_with(NULL, &attr, return_answer, NULL, &task),
			-EINVAL);
	attr.size = sizeof attr;
	attr.reserved[4] = 1;
	CO_EXPECT_EQ(co_spawn_with(NULL, &attr, return_answer, NULL, &task),
			-EINVAL);
	attr.reserved[4] = 0;
	CO_EXPECT_EQ(co_spawn_with(NULL, &attr, NULL, NULL, &task), -EINVAL);
	CO_EXPECT(task == none);

	CO_EXPECT_EQ(co_spawn_with(NULL, NULL, return_answer, NULL, &task), 0);
	CO_EXPECT_EQ(join_or_die(task), 42);

	return 0;
}

/* Uses DEPTH times about 1 KiB of stack, and yields there. */
static __attribute__((noinline)) int go_down(int depth)
{
	volatile char block[1000];
	int sum;

	block[0] = (char)depth;
	block[sizeof block - 1] = 1;
	if (depth == 0)
		return co_yield();
	if (depth % 100 == 0)
		co_yield();
	sum = go_down(depth - 1);

	return sum + (block[0] != (char)depth);
}

static int dive(void *arg)
{
	return go_down(*(int *)arg);
}

static void spawn_divers(size_t stack_size, int depth)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *tasks[20];
	size_t i;

	attr.stack_size = stack_size;
	for (i = 0; i < 20; i++)
		test_or_die(co_spawn_with(NULL, &attr, dive, &depth,
				&tasks[i]));
	for (i = 0; i < 20; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
}

CO_TEST(task, stacks_have_the_size_that_was_asked_for)
{
	/* Checkers make frames larger. */
	int part = test_divisor() > 1 ? 3 : 1;

	spawn_divers((size_t)16 << 10, 6 / part);
	spawn_divers((size_t)1 << 20, 900 / part);
	spawn_divers(((size_t)512 << 10) + 1, 900 / part);
	spawn_divers(0, 200 / part);

	return 0;
}

/* --- Where and when tasks run ------------------------------------------ */

static int stay(void *arg)
{
	long thread = syscall(SYS_gettid);
	int i, moves = 0;

	for (i = 0; i < 200; i++) {
		if (i % 50 == 0)
			co_sleep(CO_MILLISECOND);
		else
			co_yield();
		moves += syscall(SYS_gettid) != thread;
	}
	counter_add(arg, 1);

	return moves;
}

CO_TEST(task, a_pinned_task_stays_in_its_thread)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct test_counter ended = { 0 };
	struct co_task *tasks[20];
	size_t i;

	attr.pinned = 1;
	for (i = 0; i < 20; i++)
		test_or_die(co_spawn_with(NULL, &attr, stay, &ended,
				&tasks[i]));
	while (counter_get(&ended) < 20)
		co_yield();
	for (i = 0; i < 20; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);

	return 0;
}

struct waits {
	size_t turn;
	size_t yields;
};

/* Yield until it is our turn, which is every second. */
static int take_every_second(void *arg)
{
	struct waits *waits = arg;
	size_t me = waits->turn++;

	for (size_t turn = 2 + me; turn < 102; turn += 2) {
		for (; waits->turn != turn; waits->yields++)
			co_yield();
		waits->turn++;
	}

	return 0;
}

/* Both are always ready, and in no queue that thieves see. */
Test(task, yield_gives_pinned_tasks_their_turns)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_loop *loop = loop_or_die(1);
	struct waits waits = { 0, 0 };

	attr.pinned = 1;
	for (int i = 0; i < 2; i++)
		test_or_die(co_spawn_with(loop, &attr, take_every_second,
				&waits, NULL));
	test_or_die(co_loop_run(loop));
	cr_assert_eq(waits.turn, 102);
	cr_assert_leq(waits.yields, 200);
	test_or_die(co_loop_destroy(loop));
}

enum { FAIR = 100 };

struct fair {
	struct test_counter turns[FAIR];
	struct test_counter over;
	struct test_counter next;
};

static int take_turns(void *arg)
{
	struct fair *fair = arg;
	size_t me = counter_add(&fair->next, 1);

	while (counter_get(&fair->over) == 0) {
		counter_add(&fair->turns[me], 1);
		co_yield();
	}

	return 0;
}

static size_t fewest_turns(struct fair *fair)
{
	size_t fewest = SIZE_MAX, i;

	for (i = 0; i < FAIR; i++)
		if (counter_get(&fair->turns[i]) < fewest)
			fewest = counter_get(&fair->turns[i]);

	return fewest;
}

CO_TEST(task, yield_gives_each_task_its_turn)
{
	struct fair *fair = calloc(1, sizeof *fair);
	struct co_task *tasks[FAIR];
	co_time end = co_after(30 * CO_SECOND);
	size_t i;

	for (i = 0; i < FAIR; i++)
		tasks[i] = spawn_or_die(NULL, take_turns, fair);
	while (fewest_turns(fair) < 50 && co_now() < end)
		CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT(fewest_turns(fair) >= 50);
	counter_set(&fair->over, 1);
	for (i = 0; i < FAIR; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	free(fair);

	return 0;
}

static int bat(void *arg)
{
	struct co_channel **channels = arg;
	int ball;

	while (co_channel_get(channels[0], &ball) == 0)
		if (co_channel_put(channels[1], &ball) != 0)
			break;

	return 0;
}

/* Two tasks that always wake each other must leave room for a third. */
CO_TEST(task, tasks_that_wake_each_other_starve_nobody)
{
	struct co_channel *channels[3];
	struct co_task *a, *b;
	int ball = 0, i;

	test_or_die(co_channel_create(NULL, sizeof ball, 0, &channels[0]));
	test_or_die(co_channel_create(NULL, sizeof ball, 0, &channels[1]));
	channels[2] = channels[0];
	a = spawn_or_die(NULL, bat, &channels[0]);
	b = spawn_or_die(NULL, bat, &channels[1]);
	CO_EXPECT_EQ(co_channel_put(channels[0], &ball), 0);
	for (i = 0; i < 100; i++)
		CO_EXPECT_EQ(co_yield(), 0);
	CO_EXPECT_EQ(co_sleep(2 * CO_MILLISECOND), 0);
	co_channel_close(channels[0]);
	co_channel_close(channels[1]);
	CO_EXPECT_EQ(join_or_die(a), 0);
	CO_EXPECT_EQ(join_or_die(b), 0);
	CO_EXPECT_EQ(co_channel_destroy(channels[0]), 0);
	CO_EXPECT_EQ(co_channel_destroy(channels[1]), 0);

	return 0;
}

CO_TEST(task, a_hundred_thousand_tasks_can_wait_at_once)
{
	size_t n = test_tasks_at_once(CO_TEST_SCALE(100000)), i;
	volatile AO_t *slots = calloc(n, sizeof *slots);
	struct co_task **tasks = calloc(n, sizeof *tasks);

	for (i = 0; i < n; i++)
		tasks[i] = spawn_or_die(NULL, suspend_into, (void *)&slots[i]);
	for (i = 0; i < n; i++)
		CO_EXPECT_EQ(co_resume(await_parked(&slots[i])), 0);
	for (i = 0; i < n; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	free((void *)slots);
	free(tasks);

	return 0;
}

CO_TEST(task, stacks_are_used_again)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	int i;

	for (i = 0; i < 5000; i++)
		CO_EXPECT_EQ(join_or_die(spawn_or_die(NULL, return_answer,
				NULL)), 42);
	CO_EXPECT_EQ(co_loop_stats(co_loop_current(), &stats), 0);
	CO_EXPECT(stats.spawned >= 5000);
	CO_EXPECT(stats.stacks < 1000);

	return 0;
}

/* --- A full queue ------------------------------------------------------ */

static struct test_counter turns_taken;

/* Returns how many others had their turn before it. */
static int be_resumed(void *arg)
{
	int rc = co_suspend(publish, arg);

	return rc != 0 ? rc : (int)counter_get(&turns_taken);
}

static int take_turn(void *arg)
{
	(void)arg;
	counter_add(&turns_taken, 1);

	return 0;
}

/* Who was resumed runs next, so no place becomes free for who yields. */
CO_TEST_ON_ONE_THREAD(task, one_that_yields_needs_no_place_in_the_queue)
{
	static struct co_task *tasks[CO__RUNQ_SIZE];
	volatile AO_t slot = 0;
	struct co_task *resumed = spawn_or_die(NULL, be_resumed,
			(void *)(uintptr_t)&slot);
	size_t i;

	counter_set(&turns_taken, 0);
	await_parked(&slot);
	for (i = 0; i < CO__RUNQ_SIZE; i++)
		tasks[i] = spawn_or_die(NULL, take_turn, NULL);
	CO_EXPECT_EQ(counter_get(&turns_taken), 0);
	CO_EXPECT_EQ(co_resume((struct co_task *)slot), 0);
	CO_EXPECT_EQ(co_yield(), 0);
	/* It was behind half of the queue, at least. */
	CO_EXPECT(counter_get(&turns_taken) >= CO__RUNQ_SIZE / 2);
	CO_EXPECT_EQ(join_or_die(resumed), 0);
	for (i = 0; i < CO__RUNQ_SIZE; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(counter_get(&turns_taken), CO__RUNQ_SIZE);

	return 0;
}

/* --- Suspension -------------------------------------------------------- */

/* The timer goes off in another thread, which must not end the wait yet. */
static void outlast_timer(struct co_task *task, void *arg)
{
	while (!(AO_load(&task->wait) & CO__WAIT_EXPIRED))
		usleep(200);
	AO_store_release((volatile AO_t *)arg, 1);
}

/* On a busy machine the time may be over before it parks: then it gets more. */
static int suspend_too_late(void *arg)
{
	co_time time = 5 * CO_MILLISECOND;
	volatile AO_t parked = 0;

	(void)arg;
	while (AO_load_acquire(&parked) == 0 && time < CO_MINUTE) {
		CO_WITH_DEADLINE(co_after(time))
			CO_EXPECT_EQ(co_suspend(outlast_timer,
					(void *)(uintptr_t)&parked),
					-ETIMEDOUT);
		time *= 2;
	}
	CO_EXPECT_EQ(AO_load_acquire(&parked), 1);

	return 0;
}

Test(task, a_deadline_that_passes_while_it_parks_waits_for_parked)
{
	cr_assert_eq(run_in_loop(4, suspend_too_late, NULL), 0);
}

/* --- Stack overflow ---------------------------------------------------- */

static int overrun(void *arg)
{
	co_yield();
	return go_down(1 << 20) + (arg != NULL);
}

/* This process is doomed; it writes its standard error to FD. */
static void prepare_to_die(int fd)
{
	struct rlimit no_core = { 0, 0 };

	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	setrlimit(RLIMIT_CORE, &no_core);
	dup2(fd, 2);
}

static void overrun_in_child(int fd, unsigned threads, unsigned flags)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_loop *loop;

	prepare_to_die(fd);
	options.threads = threads;
	options.flags = flags;
	attr.name = "glutton";
	attr.stack_size = 60000;
	if (co_loop_create(&options, &loop) == 0 && co_spawn_with(loop, &attr,
			overrun, NULL, NULL) == 0)
		co_loop_run(loop);
	_exit(0);
}

static void read_to_end(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while (length < size - 1 && (n = read(fd, text + length,
			size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
}

/* What a process that is to die so writes to its standard error. */
static void die_in_child(void (*doom)(int fd, unsigned threads, unsigned flags),
		unsigned threads, unsigned flags, char text[1000])
{
	int fds[2], status = 0;
	pid_t child;

	cr_assert_eq(pipe(fds), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0)
		doom(fds[1], threads, flags);
	close(fds[1]);
	read_to_end(fds[0], text, 1000);
	close(fds[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status), "status %#x: %s", status, text);
	cr_assert_eq(WTERMSIG(status), SIGSEGV);
}

static void expect_overrun(unsigned threads, unsigned flags, bool report)
{
	static const char message[] =
		"coloop: task \"glutton\" overran its stack of 64 KiB";
	char text[1000];

	die_in_child(overrun_in_child, threads, flags, text);
	cr_assert_eq(strstr(text, message) != NULL, report, "got: %s", text);
}

Test(task, a_task_that_overruns_its_stack_is_named)
{
#if defined TEST_ASAN || defined TEST_TSAN
	cr_skip_test("the checker reports it in its own way");
#endif
	expect_overrun(1, 0, true);
	expect_overrun(4, 0, true);
	expect_overrun(1, CO_LOOP_NO_OVERFLOW_REPORT, false);
}

static int touch_nothing(void *arg)
{
	volatile char *nothing = arg;

	return *nothing;
}

/* In a task, or after all tasks have ended if there is to be no thread. */
static void touch_nothing_in_child(int fd, unsigned threads, unsigned flags)
{
	void *nothing = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	struct co_loop *loop = loop_or_die(threads > 0 ? threads : 1);

	(void)flags;
	prepare_to_die(fd);
	if (threads > 0)
		test_or_die(co_spawn(loop, touch_nothing, nothing, NULL));
	co_loop_run(loop);
	_exit(touch_nothing(nothing));
}

Test(task, other_faults_are_not_said_to_be_an_overrun)
{
	char text[1000];

#if defined TEST_ASAN || defined TEST_TSAN
	cr_skip_test("the checker reports it in its own way");
#endif
	for (unsigned threads = 0; threads < 3; threads++) {
		die_in_child(touch_nothing_in_child, threads, 0, text);
		cr_assert(strstr(text, "coloop") == NULL, "%s", text);
	}
}
