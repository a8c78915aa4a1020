/* SPDX-License-Identifier: MIT */

/*
 * limit.c - the smallest scheduler that can run the rows of bench.h
 *
 * A yardstick, not a library: what the same work costs if nothing else is
 * done.  There is one thread, and no I/O, no cancellation, no deadline, no
 * guard page.  But its queue is one that another thread could steal from,
 * since without that it would be no limit for a loop of many threads: a ring
 * whose owner appends with a release store, and from whose head all take with
 * a compare-and-swap.
 */

#include "bench.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <sys/mman.h>

#if (defined __x86_64__ || defined __aarch64__) && !defined __ILP32__

#if defined __x86_64__
enum { FRAME_WORDS = 7, FRAME_ENTRY = 6 };
#else
enum { FRAME_WORDS = 20, FRAME_ENTRY = 1 };
#endif

enum {
	STACKS = BENCH_MILLION + 1000,
	TASK_SIZE = 128,	/* of the stack's top, where its task lives */
	COLOURS = 32,		/* so that tops don't share cache sets */
	RING = 65536,
	RING_MOST = 1048576 * 2	/* for a million tasks */
};

struct task {
	void *stack;
	struct task *next;
	void (*fn)(void *arg);
	void *arg;
	struct task *joiner;
	void *item;
	int done, depth_first;
};

/* Tasks that wait for the same thing, in the order in which they came. */
struct waiters {
	struct task *first, *last;
};

struct channel {
	struct waiters getters, putters;
	unsigned capacity, length, oldest;
	void *items[BENCH_CAPACITY];
};

void limit_switch(void **save, void *to);

static struct task main_task, *running = &main_task, *unused;
static struct task *tasks[BENCH_MILLION];
static size_t stack_size = 65536;	/* from one to the next */
static unsigned long ring_mask = RING - 1;
static alignas(128) atomic_ulong head;
static alignas(128) atomic_ulong tail;
static struct task *_Atomic ring[RING_MOST];

/* The ring */

static void ready(struct task *task)
{
	unsigned long at = atomic_load_explicit(&tail, memory_order_relaxed);

	if (at - atomic_load_explicit(&head, memory_order_acquire) > ring_mask)
		bench_need(0, "room in the ring");
	atomic_store_explicit(&ring[at & ring_mask], task,
			memory_order_relaxed);
	atomic_store_explicit(&tail, at + 1, memory_order_release);
}

static struct task *oldest(void)
{
	unsigned long at = atomic_load_explicit(&head, memory_order_acquire);
	struct task *task;

	do
		task = atomic_load_explicit(&ring[at & ring_mask],
				memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(&head, &at, at + 1,
			memory_order_acq_rel, memory_order_acquire));
	return task;
}

/* The newest task, if no thief is about to take it: a thief that doesn't see
 * the smaller tail takes from a head that is seen here. */
static struct task *newest(void)
{
	unsigned long at = atomic_load_explicit(&tail, memory_order_relaxed) - 1;
	unsigned long first;
	struct task *task;

	atomic_store_explicit(&tail, at, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	first = atomic_load_explicit(&head, memory_order_relaxed);
	task = atomic_load_explicit(&ring[at & ring_mask],
			memory_order_relaxed);
	if (first < at)
		return task;
	atomic_compare_exchange_strong(&head, &first, at + 1);
	atomic_store_explicit(&tail, at + 1, memory_order_relaxed);
	return task;
}

static int any_ready(void)
{
	return atomic_load_explicit(&head, memory_order_relaxed)
			!= atomic_load_explicit(&tail, memory_order_relaxed);
}

/* Tasks */

static void go_to(struct task *task)
{
	struct task *from = running;

	running = task;
	limit_switch(&from->stack, task->stack);
}

static void park(void)
{
	go_to(oldest());
}

static void yield(void)
{
	if (!any_ready())
		return;
	ready(running);
	park();
}

static void entry(void)
{
	struct task *task = running;

	task->fn(task->arg);
	task->done = 1;
	if (task->joiner != NULL)
		ready(task->joiner);
	go_to(task->depth_first ? newest() : oldest());
}

static struct task *new_task(void)
{
	static char *memory;
	static size_t made;
	size_t size = STACKS * stack_size;
	char *top;

	if (memory == NULL) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE
				| MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED)
			bench_cannot("no address space for the stacks");
		madvise(memory, size, MADV_NOHUGEPAGE);
	}
	made++;
	top = memory + made * stack_size - made % COLOURS * 64;
	return (struct task *)(void *)(top - TASK_SIZE);
}

static struct task *make(void (*fn)(void *), void *arg)
{
	struct task *task = unused;
	void **frame;

	if (task != NULL)
		unused = task->next;
	else
		task = new_task();
	/* One word more: the ABI's alignment, as after a call. */
	frame = (void **)(void *)((char *)task - 64) - 1 - FRAME_WORDS;
	memset(frame, 0, FRAME_WORDS * sizeof *frame);
	frame[FRAME_ENTRY] = (void *)(uintptr_t)entry;
	*task = (struct task){ .stack = frame, .fn = fn, .arg = arg };
	return task;
}

static struct task *spawn(void (*fn)(void *), void *arg)
{
	struct task *task = make(fn, arg);

	ready(task);
	return task;
}

/* Run the new task at once; its parent is stolen or goes on at its end. */
static struct task *spawn_depth_first(void (*fn)(void *), void *arg)
{
	struct task *task = make(fn, arg);

	task->depth_first = 1;
	ready(running);
	go_to(task);
	return task;
}

static void join(struct task *task)
{
	if (!task->done) {
		task->joiner = running;
		park();
	}
	task->next = unused;
	unused = task;
}

static void join_all(long count)
{
	for (long i = 0; i < count; i++)
		join(tasks[i]);
}

/* Waiting */

static void wait_in(struct waiters *waiters)
{
	running->next = NULL;
	if (waiters->last != NULL)
		waiters->last->next = running;
	else
		waiters->first = running;
	waiters->last = running;
}

static struct task *take(struct waiters *waiters)
{
	struct task *task = waiters->first;

	waiters->first = task->next;
	if (waiters->first == NULL)
		waiters->last = NULL;
	return task;
}

static void store(struct channel *channel, void *item)
{
	unsigned at = channel->oldest + channel->length++;

	channel->items[at % BENCH_CAPACITY] = item;
}

static void put(struct channel *channel, long value)
{
	void *item = (void *)(intptr_t)value;

	if (channel->getters.first != NULL) {
		struct task *getter = take(&channel->getters);

		getter->item = item;
		ready(getter);
	} else if (channel->length < channel->capacity) {
		store(channel, item);
	} else {
		running->item = item;
		wait_in(&channel->putters);
		park();
	}
}

static void *take_stored(struct channel *channel)
{
	void *item = channel->items[channel->oldest];

	channel->oldest = (channel->oldest + 1) % BENCH_CAPACITY;
	channel->length--;
	if (channel->putters.first != NULL) {
		struct task *putter = take(&channel->putters);

		store(channel, putter->item);
		ready(putter);
	}
	return item;
}

static long get(struct channel *channel)
{
	struct task *putter;

	if (channel->length > 0)
		return (long)(intptr_t)take_stored(channel);
	if (channel->putters.first != NULL) {
		putter = take(&channel->putters);
		ready(putter);
		return (long)(intptr_t)putter->item;
	}
	wait_in(&channel->getters);
	park();
	return (long)(intptr_t)running->item;
}

/* The rows */

static struct channel there, back;
static struct waiters gate, lock_waiters;
static long arrived, counter;
static int begun, locked;

static void all_arrived(long count)
{
	while (arrived < count)
		yield();
}

static void yield_often(void *times)
{
	arrived++;
	while (!begun)
		yield();
	for (long i = *(long *)times; i > 0; i--)
		yield();
}

static void run_switch(void)
{
	long count = bench_row->number;
	long times = bench_times(BENCH_YIELDS) / count;

	for (long i = 0; i < count; i++)
		tasks[i] = spawn(yield_often, &times);
	all_arrived(count);
	bench_begin();
	begun = 1;
	join_all(count);
	bench_end(times * count);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void run_spawn(void)
{
	long count = bench_times(BENCH_SPAWNS);

	join(spawn(nothing, NULL));
	bench_begin();
	for (long i = 0; i < count; i++)
		join(spawn(nothing, NULL));
	bench_end(count);
}

static void wait_at_gate(void *arg)
{
	(void)arg;
	arrived++;
	wait_in(&gate);
	park();
}

static void run_batches(void)
{
	long count = bench_times(BENCH_BATCHES);

	for (long i = -1; i < count; i++) {
		if (i == 0)
			bench_begin();
		arrived = 0;
		for (long j = 0; j < BENCH_BATCH; j++)
			tasks[j] = spawn(wait_at_gate, NULL);
		all_arrived(BENCH_BATCH);
		while (gate.first != NULL)
			ready(take(&gate));
		join_all(BENCH_BATCH);
	}
	bench_end(count * BENCH_BATCH);
}

static void return_all(void *count)
{
	for (long i = *(long *)count; i > 0; i--)
		put(&back, get(&there));
}

static void run_ping_pong(void)
{
	long count = bench_times(BENCH_ROUND_TRIPS);
	struct task *task = spawn(return_all, &count);

	bench_begin();
	for (long i = 0; i < count; i++) {
		put(&there, i);
		bench_need(get(&back) == i, "the message");
	}
	bench_end(2 * count);
	join(task);
}

static void answer_all(void *asker)
{
	arrived++;
	for (;;) {
		park();
		((struct task *)asker)->item = running->item;
		ready(asker);
	}
}

/* Nobody but who asks puts items into a task, so no channel is needed. */
static void run_wake(void)
{
	long number = bench_row->number, count = bench_times(BENCH_WAKES);

	for (long i = 0; i < number; i++)
		tasks[i] = spawn(answer_all, running);
	all_arrived(number);
	bench_begin();
	for (long i = 0; i < count; i++) {
		struct task *task = tasks[bench_random(number)];

		task->item = (void *)(intptr_t)i;
		ready(task);
		park();
		bench_need((long)(intptr_t)running->item == i, "the message");
	}
	bench_end(2 * count);
}

static void put_all(void *count)
{
	for (long i = *(long *)count; i > 0; i--)
		put(&there, i);
}

static void run_channel(void)
{
	long count = bench_times(BENCH_MESSAGES);
	struct task *task;

	there.capacity = BENCH_CAPACITY;
	task = spawn(put_all, &count);
	bench_begin();
	for (long i = count; i > 0; i--)
		bench_need(get(&there) == i, "the order");
	bench_end(count);
	join(task);
}

static void lock(void)
{
	if (locked) {
		wait_in(&lock_waiters);
		park();
	}
	locked = 1;
}

/* If somebody waits, it is his already, and stays locked. */
static void unlock(void)
{
	if (lock_waiters.first != NULL)
		ready(take(&lock_waiters));
	else
		locked = 0;
}

static void count_and_yield(void *times)
{
	for (long i = *(long *)times; i > 0; i--) {
		lock();
		counter++;
		yield();
		unlock();
	}
}

static void run_lock_handover(void)
{
	long times = bench_times(BENCH_LOCKS);

	bench_begin();
	for (long i = 0; i < BENCH_LOCKERS; i++)
		tasks[i] = spawn(count_and_yield, &times);
	join_all(BENCH_LOCKERS);
	bench_end(times * BENCH_LOCKERS);
	bench_need(counter == times * BENCH_LOCKERS, "the counter");
}

static void fib(void *arg)
{
	long *n = arg, smaller = *n - 1, smallest = *n - 2;
	struct task *task;

	if (*n < 2)
		return;
	task = spawn_depth_first(fib, &smaller);
	fib(&smallest);
	join(task);
	*n = smaller + smallest;
}

static void run_fib(void)
{
	long n = bench_row->number;

	bench_begin();
	fib(&n);
	bench_fib_end(bench_row->number, n);
}

/* Sleeping tasks are in a wheel of lists, one for each millisecond. */

enum { WHEEL = 1024, MILLISECOND = 1000000 };
static struct waiters wheel[WHEEL];
static int64_t wheel_begin, wheel_done;
static long sleeping;

static int64_t wheel_now(void)
{
	return (bench_now() - wheel_begin) / MILLISECOND;
}

static void sleep_for(long ms)
{
	int64_t due = (bench_now() - wheel_begin + ms * MILLISECOND
			+ MILLISECOND - 1) / MILLISECOND;

	if (due <= wheel_done)
		due = wheel_done + 1;
	wait_in(&wheel[due % WHEEL]);
	park();
}

static void sleep_often(void *number)
{
	for (long i = 0; i < BENCH_SLEEPS; i++) {
		long ms = bench_sleep_ms((long)(intptr_t)number, i);
		int64_t begin = bench_now();

		sleep_for(ms);
		bench_woken(begin, ms);
	}
	sleeping--;
}

/* The stacks have long left the caches when their tasks wake up. */
static void wake_all(struct waiters *due)
{
	while (due->first != NULL) {
		struct task *task = take(due);

		if (task->next != NULL) {
			__builtin_prefetch(task->next);
			__builtin_prefetch((char *)task->next - 320, 1);
			__builtin_prefetch((char *)task->next - 256, 1);
		}
		ready(task);
		yield();
	}
}

static void wait_for_tick(void)
{
	int64_t due = wheel_begin + (wheel_done + 1) * MILLISECOND;
	struct timespec when = { due / 1000000000, due % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

static void turn_wheel(void)
{
	int64_t now = wheel_now();

	if (now == wheel_done) {
		wait_for_tick();
		now = wheel_now();
	}
	while (wheel_done < now)
		wake_all(&wheel[++wheel_done % WHEEL]);
}

static void run_timers(void)
{
	bench_begin();
	wheel_begin = bench_now();
	sleeping = BENCH_SLEEPERS;
	for (long i = 0; i < BENCH_SLEEPERS; i++) {
		tasks[i] = spawn(sleep_often, (void *)(intptr_t)i);
		if (i % 64 == 63)
			yield();
	}
	while (sleeping > 0) {
		turn_wheel();
		yield();
	}
	join_all(BENCH_SLEEPERS);
	bench_sleeps_end(BENCH_SLEEPERS);
}

/* By default they are as far from each other as ours, for that is what page
 * tables depend on. */
static void run_memory(void)
{
	stack_size = bench_stack_size(262144);
	bench_memory_begin();
	for (long i = 1; i <= bench_row->number; i++) {
		spawn(wait_at_gate, NULL);
		if (i % 1000 == 0)
			all_arrived(i);
	}
	bench_memory_end(bench_row->number);
}

static const struct bench_row rows[] = {
	{ "switch-2", run_switch, 1, 2 },
	{ "switch-1000", run_switch, 1, 1000 },
	{ "switch-1m", run_switch, 1, BENCH_MILLION },
	{ "spawn", run_spawn, 1, 0 },
	{ "spawn-10k", run_batches, 1, 0 },
	{ "ping-pong", run_ping_pong, 1, 0 },
	{ "channel", run_channel, 1, 0 },
	{ "wake-1000", run_wake, 1, 1000 },
	{ "wake-1m", run_wake, 1, BENCH_MILLION },
	{ "lock-handover", run_lock_handover, 1, 0 },
	{ "fib-20", run_fib, 1, 20 },
	{ "fib-30", run_fib, 1, 30 },
	{ "timers", run_timers, 1, 0 },
	{ "memory-100k", run_memory, 1, 100000 },
	{ "stacks-64k", run_memory, 1, 100000 },
	{ "stacks-16k", run_memory, 1, 100000 },
	{ "memory-1m", run_memory, 1, BENCH_MILLION },
	{ NULL, NULL, 0, 0 }
};

#else

static const struct bench_row rows[] = { { NULL, NULL, 0, 0 } };

#endif

int main(int argc, char **argv)
{
	bench_choose(rows, argc, argv);
	if (bench_row->number >= RING)
		ring_mask = RING_MOST - 1;
	bench_row->run();
	return 0;
}
