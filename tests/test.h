/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_TEST_H
#define COLOOP_TESTS_TEST_H

/*
 * test.h - what the suites and the torture programs share
 *
 * - Assertions of Criterion leave by longjmp, so they stand in test bodies
 *   only.  Tasks and foreign threads use CO_EXPECT(), which reports and
 *   counts; run_in_loop() asserts at its end that nothing was counted.
 * - CO_TEST() is a test whose body is a task.  It is run on a loop of one
 *   thread, of the default number of threads, and of four.
 * - Every loop made here has an allocator that counts: memory that isn't given
 *   back, or with a wrong size, fails the test.
 * - CO_TEST_SCALE(n) is n, or fewer where a checker makes everything slow.  The
 *   environment variable CO_TEST_SCALE is the divisor if it is set.
 *
 * A program that defines CO_TEST_PLAIN before it includes this file has a main
 * of its own and no Criterion.
 */

#define AO_REQUIRE_CAS
#include <atomic_ops.h>
#include <coloop.h>
#ifndef CO_TEST_PLAIN
#include <criterion/criterion.h>
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_THREAD__
#define TEST_TSAN 1
#elif defined __SANITIZE_ADDRESS__
#define TEST_ASAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#elif __has_feature(address_sanitizer)
#define TEST_ASAN 1
#endif
#endif

#ifdef TEST_ASAN
int __lsan_do_recoverable_leak_check(void);
#endif

/* Suites use different parts of this file. */
#define TEST_UNUSED __attribute__((unused))

/* A variable of which a program of several files has one. */
#define TEST_SHARED __attribute__((weak))

/* --- No test hangs, no test leaks ------------------------------------- */

#ifndef CO_TEST_PLAIN

/* Criterion doesn't look at the status that LeakSanitizer ends a process with.
 * That a test crashed after its end makes the whole program fail. */
TEST_UNUSED static void test_crash_on_leak(void)
{
#ifdef TEST_ASAN
	if (__lsan_do_recoverable_leak_check() != 0)
		abort();
#endif
}

/* Criterion's own time limit doesn't end a test on every system.  The process
 * of a test, which BXFI_MAP tells from that of the runner, ends itself: SIGALRM
 * counts as a crash of that test. */
__attribute__((constructor)) TEST_UNUSED static void test_watch_process(void)
{
	const char *limit = getenv("CO_TEST_TIMEOUT");

	if (getenv("BXFI_MAP") == NULL)
		return;
	alarm(limit != NULL ? (unsigned)atoi(limit) : 60);
	atexit(test_crash_on_leak);
}

/* Criterion shows how strings differ by libgit2, which nothing here asks for.
 * As it begins, that would read all certificates that the system trusts, for
 * each test, and take longer than most of them. */
TEST_SHARED int git_libgit2_init(void);
TEST_SHARED int git_libgit2_shutdown(void);

int git_libgit2_init(void)
{
	return 1;
}

int git_libgit2_shutdown(void)
{
	return 0;
}
#endif

/* --- Failures --------------------------------------------------------- */

extern volatile AO_t test_failure_count;
volatile AO_t test_failure_count TEST_SHARED;

TEST_UNUSED static bool test_check(bool good, const char *what,
		const char *file, int line)
{
	if (good)
		return true;
	/* The first few say it all; a storm would only fill the log. */
	if (AO_fetch_and_add1_full(&test_failure_count) < 20)
		fprintf(stderr, "%s:%d: expected: %s\n", file, line, what);
	return false;
}

TEST_UNUSED static bool test_check_equal(long long got, long long want,
		const char *what, const char *file, int line)
{
	if (got == want)
		return true;
	if (AO_fetch_and_add1_full(&test_failure_count) < 20)
		fprintf(stderr, "%s:%d: %s: got %lld, expected %lld\n",
				file, line, what, got, want);
	return false;
}

/* Report and count unless CONDITION holds; its value.  Anywhere. */
#define CO_EXPECT(condition)                                                \
	test_check((condition), #condition, __FILE__, __LINE__)

/* The same for two integers, with their values. */
#define CO_EXPECT_EQ(got, want)                                             \
	test_check_equal((long long)(got), (long long)(want),               \
			#got " == " #want, __FILE__, __LINE__)

TEST_UNUSED static size_t test_failures(void)
{
	return AO_load_acquire(&test_failure_count);
}

/* Whether the test is to commit the fault called NAME, to see that it is found:
 * see torture/sanity.c. */
TEST_UNUSED static bool test_has_fault(const char *name)
{
	const char *wanted = getenv("CO_TEST_FAULT");

	return wanted != NULL && strcmp(wanted, name) == 0;
}

/* Why the test can't do what it is for; NULL: it can. */
TEST_UNUSED static const char *test_excuse;

/* What a task does instead of cr_skip_test(): it goes on, and returns 0. */
TEST_UNUSED static void test_skip_for(const char *why)
{
	test_excuse = why;
}

/* --- Scale ------------------------------------------------------------ */

TEST_UNUSED static bool test_on_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

/* What counts are divided by, and what tolerances of time are multiplied by. */
TEST_UNUSED static size_t test_divisor(void)
{
	const char *text = getenv("CO_TEST_SCALE");

	if (text != NULL && atol(text) > 0)
		return (size_t)atol(text);
	if (test_on_valgrind())
		return 50;
#if defined TEST_TSAN
	return 20;
#elif defined TEST_ASAN
	return 4;
#else
	return 1;
#endif
}

TEST_UNUSED static size_t test_scale(size_t count)
{
	size_t scaled = count / test_divisor();

	return scaled > 0 ? scaled : 1;
}

#define CO_TEST_SCALE(count) test_scale(count)

/* --- Counters --------------------------------------------------------- */

/* A counter that any task and thread may use; begins as { 0 }. */
struct test_counter {
	volatile AO_t value;
};

/* Add AMOUNT, which may be (size_t)-1, and return what it was before. */
TEST_UNUSED static size_t counter_add(struct test_counter *counter,
		size_t amount)
{
	return AO_fetch_and_add_full(&counter->value, amount);
}

TEST_UNUSED static size_t counter_get(const struct test_counter *counter)
{
	return AO_load_acquire(&counter->value);
}

/* Count the calling task, and hold its thread up until another one is counted,
 * by another thread of its loop, if there is one. */
TEST_UNUSED static void meet_in_two_threads(struct test_counter *counter)
{
	counter_add(counter, 1);
	while (co_loop_threads(co_loop_current()) > 1
			&& counter_get(counter) < 2)
		sched_yield();
}

TEST_UNUSED static void counter_set(struct test_counter *counter, size_t value)
{
	AO_store_release(&counter->value, value);
}

/* --- Random numbers --------------------------------------------------- */

/* The next number of the sequence *STATE, which may begin with any value. */
TEST_UNUSED static uint64_t test_random(uint64_t *state)
{
	uint64_t mixed = (*state += 0x9e3779b97f4a7c15u);

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
	return mixed ^ (mixed >> 31);
}

/* A number below LIMIT. */
TEST_UNUSED static size_t test_random_below(uint64_t *state, size_t limit)
{
	return (size_t)(test_random(state) % limit);
}

/* --- Memory ----------------------------------------------------------- */

/* Bytes and blocks that the loops of this process hold. */
extern struct test_counter test_bytes, test_blocks;
struct test_counter test_bytes TEST_SHARED;
struct test_counter test_blocks TEST_SHARED;

/* What stands behind each block, for nobody to write to; but a checker of
 * memory wants to see that itself. */
static const char test_fence[] TEST_UNUSED = "nobody's bytes";

TEST_UNUSED static size_t test_fence_size(void)
{
#ifdef TEST_ASAN
	return 0;
#else
	return test_on_valgrind() ? 0 : sizeof test_fence;
#endif
}

TEST_UNUSED static void *test_allocate(void *context, size_t size)
{
	size_t fence = test_fence_size();
	char *memory = malloc(size + fence);

	(void)context;
	if (memory == NULL)
		return NULL;
	memcpy(memory + size, test_fence, fence);
	counter_add(&test_bytes, size);
	counter_add(&test_blocks, 1);
	return memory;
}

TEST_UNUSED static void test_release(void *context, void *memory, size_t size)
{
	(void)context;
	if (memory == NULL)
		return;
	CO_EXPECT(memcmp((char *)memory + size, test_fence,
			test_fence_size()) == 0);
	counter_add(&test_bytes, (size_t)0 - size);
	counter_add(&test_blocks, (size_t)-1);
	free(memory);
}

TEST_UNUSED static void test_expect_no_leak(void)
{
	CO_EXPECT_EQ(counter_get(&test_blocks), 0);
	CO_EXPECT_EQ(counter_get(&test_bytes), 0);
#ifdef TEST_ASAN
	CO_EXPECT_EQ(__lsan_do_recoverable_leak_check(), 0);
#endif
}

/* --- Loops ------------------------------------------------------------ */

/* Ends the program: for what a test can't go on without. */
#define test_or_die(call)                                                   \
	test_die_unless((call) == 0, #call, __FILE__, __LINE__)

TEST_UNUSED static void test_die_unless(bool good, const char *what,
		const char *file, int line)
{
	if (good)
		return;
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	abort();
}

/* A loop of THREADS threads, 0: the default, that counts its memory. */
TEST_UNUSED static struct co_loop *loop_or_die(unsigned threads)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator counting = { test_allocate, test_release, NULL };
	struct co_loop *loop = NULL;

	options.threads = threads;
	options.allocator = &counting;
	test_or_die(co_loop_create(&options, &loop));
	return loop;
}

/* Spawn FN(ARG) in LOOP, NULL: that of the calling task. */
TEST_UNUSED static struct co_task *spawn_or_die(struct co_loop *loop,
		co_task_fn *fn, void *arg)
{
	struct co_task *task = NULL;

	test_or_die(co_spawn(loop, fn, arg, &task));
	return task;
}

/* In the loop of the calling task, with a NAME from the beginning.  Dumps are
 * looked at for where tasks were spawned, so it isn't inlined. */
__attribute__((noinline))
TEST_UNUSED static struct co_task *spawn_named(const char *name,
		co_task_fn *fn, void *arg)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task = NULL;

	attr.name = name;
	test_or_die(co_spawn_with(NULL, &attr, fn, arg, &task));
	return task;
}

/* Join TASK and return its result. */
TEST_UNUSED static int join_or_die(struct co_task *task)
{
	int result = 0;

	test_or_die(co_join(task, &result));
	return result;
}

/* What many tasks do that only wait. */
TEST_UNUSED static int sleep_for_ever(void *arg)
{
	(void)arg;
	return co_sleep_until(CO_NEVER);
}

TEST_UNUSED static int sleep_for_an_hour(void *arg)
{
	(void)arg;
	return co_sleep(CO_HOUR);
}

/* Nobody is told of it. */
TEST_UNUSED static void leave_parked(struct co_task *task, void *arg)
{
	(void)task;
	(void)arg;
}

TEST_UNUSED static int suspend_for_ever(void *arg)
{
	return co_suspend(leave_parked, arg);
}

/* Hands its handle to whoever reads the slot ARG. */
TEST_UNUSED static void publish(struct co_task *task, void *arg)
{
	AO_store_release((volatile AO_t *)arg, (AO_t)task);
}

TEST_UNUSED static int suspend_into(void *arg)
{
	return co_suspend(publish, arg);
}

TEST_UNUSED static struct co_task *await_parked(volatile AO_t *slot)
{
	AO_t task;

	while ((task = AO_load_acquire(slot)) == 0)
		co_yield();

	return (struct co_task *)task;
}

/* Let the thread sleep, with all its tasks. */
TEST_UNUSED static void nap(co_time duration)
{
	struct timespec time = { duration / CO_SECOND, duration % CO_SECOND };

	nanosleep(&time, NULL);
}

/* What co_loop_stats() says of LOOP. */
TEST_UNUSED static struct co_loop_stats figures(struct co_loop *loop)
{
	struct co_loop_stats stats = { .size = sizeof stats };

	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);

	return stats;
}

/* Spawn COUNT tasks FN(ARG) in the loop of the calling task; join them all.
 * Each must return 0. */
TEST_UNUSED static void spawn_and_join_all(size_t count, co_task_fn *fn,
		void *arg)
{
	struct co_task **tasks = calloc(count, sizeof *tasks);
	size_t i;

	test_die_unless(tasks != NULL, "calloc", __FILE__, __LINE__);
	for (i = 0; i < count; i++)
		tasks[i] = spawn_or_die(NULL, fn, arg);
	for (i = 0; i < count; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	free(tasks);
}

/* Let every other task of the loop run until it waits for something: until
 * all other threads are seen idle, three times in a row.  A bound of time
 * keeps a test going if that never is; it is longer than a thread is kept from
 * running.  Tasks only. */
TEST_UNUSED static void settle(void)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	co_time end = co_after(20 * CO_SECOND);
	int calm = 0;

	while (calm < 3 && co_now() < end) {
		co_sleep(CO_MILLISECOND / 2);
		if (co_loop_stats(co_loop_current(), &stats) != 0)
			continue;
		calm = stats.idle + 1 >= stats.threads ? calm + 1 : 0;
	}
}

/* Make a loop of THREADS threads (0: the default), run FN(ARG) and what it
 * spawns, destroy the loop, see that no memory is left, and return what FN
 * returned. */
TEST_UNUSED static int run_in_loop(unsigned threads, co_task_fn *fn, void *arg)
{
	struct co_loop *loop = loop_or_die(threads);
	struct co_task *task = spawn_or_die(loop, fn, arg);
	int result = -EDEADLK;
	int ran = co_loop_run(loop);

	if (!CO_EXPECT_EQ(ran, 0))
		co_loop_dump(loop, 2);
	else
		CO_EXPECT_EQ(co_join(task, &result), 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
	if (ran == 0)
		test_expect_no_leak();
	return result;
}

/* --- Guards of stacks ------------------------------------------------- */

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102		/* Linux 6.13 */
#endif

/* Whether the kernel refuses to read ADDRESS: nobody gets a signal. */
TEST_UNUSED static bool is_unreadable(const void *address)
{
	int ends[2];
	bool refused;

	test_or_die(pipe(ends));
	refused = write(ends[1], address, 1) < 0 && errno == EFAULT;
	close(ends[0]);
	close(ends[1]);
	return refused;
}

/* Whether the system takes the advice that makes a guard.  *RET_WORKS is whether
 * it is one then: an emulator may only say so. */
TEST_UNUSED static bool takes_guard_advice(bool *ret_works)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool taken;

	test_die_unless(page != MAP_FAILED, "mmap", __FILE__, __LINE__);
	taken = madvise(page, size, MADV_GUARD_INSTALL) == 0;
	*ret_works = taken && is_unreadable(page);
	munmap(page, size);
	return taken;
}

/* Whether the system has guards that don't split a mapping. */
TEST_UNUSED static bool has_guard_regions(void)
{
	bool works;

	takes_guard_advice(&works);
	return works;
}

/* COUNT, or as many tasks as there may be at once: 32 bits have addresses for
 * some thousand stacks; AddressSanitizer takes milliseconds for each; and
 * without such guards each is two mappings, and a few are the program's own. */
TEST_UNUSED static size_t test_tasks_at_once(size_t count)
{
	FILE *file = has_guard_regions() ? NULL
			: fopen("/proc/sys/vm/max_map_count", "r");
	size_t most = 0;

	if (SIZE_MAX == UINT32_MAX && count > 4096)
		count = 4096;
#ifdef TEST_ASAN
	if (count > 1000)
		count = 1000;
#endif
	if (file == NULL)
		return count;
	if (fscanf(file, "%zu", &most) != 1)
		most = 65530;
	fclose(file);
	return count < most / 3 ? count : most / 3;
}

/* --- Time ------------------------------------------------------------- */

/* A deadline that every call notices: one that need not wait may look at a
 * clock that is some milliseconds late. */
#define TEST_LONG_AGO ((co_time)0)

/* The time that processors have worked for this process. */
TEST_UNUSED static co_time cpu_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);

	return time.tv_sec * CO_SECOND + time.tv_nsec;
}

/* How often LOOP has gone on with a task or asked the system for events. */
TEST_UNUSED static uint64_t count_turns(struct co_loop *loop)
{
	struct co_loop_stats stats = figures(loop);

	return stats.switches + stats.polls;
}

/* That the loop does next to nothing while the calling task sleeps for
 * DURATION: that it takes few turns, of which one that spins takes many
 * thousands even on a busy machine, and that the processor works for this
 * process for less than MOST, for what spins without them.  Once is enough:
 * threads that begin have something to do, and a machine in a machine may count
 * the time that it didn't get. */
TEST_UNUSED static void expect_calm(co_time duration, co_time most)
{
	struct co_loop *loop = co_loop_current();
	co_time before, spent = most;
	uint64_t turns = 100;
	int i;

	for (i = 0; i < 10 && (spent >= most || turns >= 100); i++) {
		turns = count_turns(loop);
		before = cpu_time();
		CO_EXPECT_EQ(co_sleep(duration), 0);
		spent = cpu_time() - before;
		turns = count_turns(loop) - turns;
	}
	CO_EXPECT(turns < 100);
	CO_EXPECT(spent < most);
}

/* Whether FD becomes readable: for the end of a connection, too, the system may
 * take a moment. */
TEST_UNUSED static bool is_readable_soon(int fd)
{
	struct pollfd input = { .fd = fd, .events = POLLIN };

	return poll(&input, 1, 20000) == 1;
}

/* Let the socket FD have no room for more than a few bytes, or none. */
TEST_UNUSED static void fill_socket(int fd)
{
	static const char data[512];

	while (send(fd, data, sizeof data, MSG_DONTWAIT) > 0)
		;
}

/* --- Channels of numbers ---------------------------------------------- */

/* A channel of the calling task's loop. */
TEST_UNUSED static struct co_channel *channel_or_die(size_t item_size,
		size_t capacity)
{
	struct co_channel *channel = NULL;

	test_or_die(co_channel_create(NULL, item_size, capacity, &channel));
	return channel;
}

/* A task that puts or gets numbers. */
struct mover {
	struct co_channel *channel;
	size_t number;			/* to put, or what was got */
	int result;
	struct test_counter done;
};

TEST_UNUSED static int put_number(void *arg)
{
	struct mover *self = arg;

	self->result = co_channel_put(self->channel, &self->number);
	counter_set(&self->done, 1);
	return self->result;
}

TEST_UNUSED static int get_number(void *arg)
{
	struct mover *self = arg;

	self->result = co_channel_get(self->channel, &self->number);
	counter_set(&self->done, 1);
	return self->result;
}

TEST_UNUSED static void put_now(struct co_channel *channel, size_t number)
{
	CO_EXPECT_EQ(co_channel_put(channel, &number), 0);
}

TEST_UNUSED static size_t get_now(struct co_channel *channel)
{
	size_t number = (size_t)-1;

	CO_EXPECT_EQ(co_channel_get(channel, &number), 0);
	return number;
}

/* Put 0, 1, 2, ... until the channel is full. */
TEST_UNUSED static void fill(struct co_channel *channel)
{
	size_t i;

	for (i = 0; i < co_channel_capacity(channel); i++)
		put_now(channel, i);
}

/* --- Tests of Criterion ----------------------------------------------- */

#ifndef CO_TEST_PLAIN

/* A test fails if any expectation in it has, wherever that was: Criterion itself
 * would learn of its own assertions only. */
#undef Test
#define Test(...) CO_TEST_CHECKED_(__VA_ARGS__, .sentinel_ = 0)
#define CO_TEST_CHECKED_(suite, name, ...)                                  \
	static void suite##_##name##_body(void);                            \
	CR_EXPAND(CR_TEST_BASE(suite, name, __VA_ARGS__))                   \
	{                                                                   \
		suite##_##name##_body();                                    \
		cr_assert_eq(test_failures(), 0, "%zu expectations failed", \
				test_failures());                           \
	}                                                                   \
	static void suite##_##name##_body(void)

/* A test whose body is a task: CO_TEST(suite, sentence) { ...; return 0; } */
#define CO_TEST_TASK_(suite, name) suite##_##name##_task
#define CO_TEST_RUN_(suite, name, where, threads)                           \
	Test(suite, name##_##where)                                         \
	{                                                                   \
		cr_assert_eq(run_in_loop((threads),                         \
				CO_TEST_TASK_(suite, name), NULL), 0);      \
		if (test_excuse != NULL && test_failures() == 0)            \
			cr_skip_test("%s", test_excuse);                    \
	}

#define CO_TEST(suite, name)                                                \
	static int CO_TEST_TASK_(suite, name)(void *arg);                   \
	CO_TEST_RUN_(suite, name, on_one_thread, 1)                         \
	CO_TEST_RUN_(suite, name, on_default_threads, 0)                    \
	CO_TEST_RUN_(suite, name, on_four_threads, 4)                       \
	static int CO_TEST_TASK_(suite, name)(void *arg TEST_UNUSED)

/* The same, where more threads would add nothing. */
#define CO_TEST_ON_ONE_THREAD(suite, name)                                  \
	static int CO_TEST_TASK_(suite, name)(void *arg);                   \
	CO_TEST_RUN_(suite, name, on_one_thread, 1)                         \
	static int CO_TEST_TASK_(suite, name)(void *arg TEST_UNUSED)

#endif

/* --- Foreign threads -------------------------------------------------- */

/* A thread that isn't the loop's; it must be joined by test_thread_join().
 * While it runs, the loop is told to wait for it. */
struct test_thread {
	pthread_t thread;
	struct co_loop *loop;
	void (*run)(void *arg);
	void *arg;
};

TEST_UNUSED static void *test_thread_main(void *arg)
{
	struct test_thread *self = arg;

	self->run(self->arg);
	if (self->loop != NULL)
		CO_EXPECT_EQ(co_loop_unref(self->loop), 0);
	return NULL;
}

/* Start RUN(ARG) in a thread, which holds a reference of LOOP unless that is
 * NULL. */
TEST_UNUSED static void test_thread_start(struct test_thread *self,
		struct co_loop *loop, void (*run)(void *), void *arg)
{
	self->loop = loop;
	self->run = run;
	self->arg = arg;
	if (loop != NULL)
		test_or_die(co_loop_ref(loop));
	test_or_die(pthread_create(&self->thread, NULL, test_thread_main,
			self));
}

TEST_UNUSED static void test_thread_join(struct test_thread *self)
{
	test_or_die(pthread_join(self->thread, NULL));
}

/* A byte that comes late. */
struct test_late_byte {
	int fd;
	co_time duration, written;
};

TEST_UNUSED static void test_write_late(void *arg)
{
	struct test_late_byte *late = arg;

	nap(late->duration);
	late->written = co_now();
	CO_EXPECT_EQ(write(late->fd, "", 1), 1);
}

/* Let the calling task wait for a descriptor until another thread has slept for
 * DURATION.  Returns when that was over. */
TEST_UNUSED static co_time wait_for_byte(co_time duration)
{
	struct test_late_byte late = { .duration = duration };
	struct test_thread thread;
	int fds[2];

	test_or_die(pipe(fds));
	late.fd = fds[1];
	test_thread_start(&thread, NULL, test_write_late, &late);
	CO_EXPECT_EQ(co_wait_fd(fds[0], CO_READABLE), CO_READABLE);
	test_thread_join(&thread);
	close(fds[0]);
	close(fds[1]);

	return late.written;
}

#endif
