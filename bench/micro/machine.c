/* SPDX-License-Identifier: MIT */

/*
 * machine.c - what this machine and its kernel can do at best
 *
 * No scheduler can hand over a cache line, wake a thread, or make a stack for
 * less than this.  In rows that end in -2t another CPU takes part.
 */

#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum { STACK_SIZE = 65536, PAGE = 4096 };

static alignas(128) atomic_long here;
static alignas(128) atomic_long there;
static alignas(128) atomic_uint bell_here;
static alignas(128) atomic_uint bell_there;
static int event_here, event_there;
static long count;

/* Two threads */

/* Keep the calling thread on the INDEXth CPU of those it may use. */
static void stay_on(int index)
{
	static cpu_set_t all;
	cpu_set_t one;
	int cpu = 0;

	if (CPU_COUNT(&all) == 0)
		sched_getaffinity(0, sizeof all, &all);
	if (CPU_COUNT(&all) < 2)
		bench_cannot("there is one CPU only");
	while (!CPU_ISSET(cpu, &all) || index-- > 0)
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

/* How long it takes OTHER, on its own CPU, and SELF to do COUNT times
 * OPERATIONS. */
static void both(void *(*other)(void *), void (*self)(void), long operations)
{
	pthread_t thread;

	stay_on(0);
	if (pthread_create(&thread, NULL, other, NULL) != 0)
		bench_cannot("no second thread");
	usleep(1000);
	bench_begin();
	self();
	pthread_join(thread, NULL);
	bench_end(operations * count);
}

static void add_often(void)
{
	for (long i = 0; i < count; i++)
		atomic_fetch_add(&here, 1);
}

static void *other_add(void *unused)
{
	stay_on(1);
	add_often();
	return unused;
}

static void run_add_both(void)
{
	count = bench_times(10000000);
	both(other_add, add_often, 2);
}

static void send_line(atomic_long *line, long value)
{
	atomic_store_explicit(line, value, memory_order_release);
}

static void await_line(atomic_long *line, long value)
{
	while (atomic_load_explicit(line, memory_order_acquire) != value)
		;
}

static void *other_line(void *unused)
{
	stay_on(1);
	for (long i = 1; i <= count; i++) {
		await_line(&here, i);
		send_line(&there, i);
	}
	return unused;
}

static void line(void)
{
	for (long i = 1; i <= count; i++) {
		send_line(&here, i);
		await_line(&there, i);
	}
}

static void run_line(void)
{
	count = bench_times(2000000);
	both(other_line, line, 2);
}

/* One producer, one consumer, and each looks at the other's index only when
 * it has used up what it knows of. */
static long ring[BENCH_CAPACITY];

static void *other_ring(void *unused)
{
	long taken = 0;

	stay_on(1);
	for (long i = 0; i < count; i++) {
		while (i - taken == BENCH_CAPACITY)
			taken = atomic_load_explicit(&there,
					memory_order_acquire);
		ring[i % BENCH_CAPACITY] = i;
		send_line(&here, i + 1);
	}
	return unused;
}

static void ring_take(void)
{
	long put = 0;

	for (long i = 0; i < count; i++) {
		while (i == put)
			put = atomic_load_explicit(&here, memory_order_acquire);
		bench_need(ring[i % BENCH_CAPACITY] == i, "the order");
		send_line(&there, i + 1);
	}
}

static void run_ring(void)
{
	count = bench_times(20000000);
	both(other_ring, ring_take, 1);
}

/* Waking a thread that sleeps in the kernel */

static void await_bell(atomic_uint *bell)
{
	while (atomic_exchange(bell, 0) == 0)
		syscall(SYS_futex, bell, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void ring_bell(atomic_uint *bell)
{
	atomic_store(bell, 1);
	syscall(SYS_futex, bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other_futex(void *unused)
{
	stay_on(1);
	for (long i = 0; i < count; i++) {
		await_bell(&bell_there);
		ring_bell(&bell_here);
	}
	return unused;
}

static void futex(void)
{
	for (long i = 0; i < count; i++) {
		ring_bell(&bell_there);
		await_bell(&bell_here);
	}
}

static void run_futex(void)
{
	count = bench_times(50000);
	both(other_futex, futex, 2);
}

/* A thread that has long been asleep is woken, and tells when it runs. */

static atomic_llong ran_at;

static void *other_sleeper(void *unused)
{
	stay_on(1);
	for (long i = 0; i < count; i++) {
		await_bell(&bell_there);
		atomic_store(&ran_at, bench_now());
	}
	return unused;
}

static void run_burst(void)
{
	pthread_t thread;

	count = bench_times(BENCH_BURSTS);
	stay_on(0);
	if (pthread_create(&thread, NULL, other_sleeper, NULL) != 0)
		bench_cannot("no second thread");
	usleep(1000);
	for (long i = 0; i < count; i++) {
		int64_t begin, ran;

		bench_compute(BENCH_QUIET_US);
		begin = bench_now();
		ring_bell(&bell_there);
		while ((ran = atomic_exchange(&ran_at, 0)) == 0)
			;
		bench_taken_up(begin, ran, 1);
	}
	pthread_join(thread, NULL);
	bench_taken_up_end();
}

static void send_event(int event)
{
	uint64_t one = 1;

	bench_need(write(event, &one, sizeof one) == sizeof one, "write");
}

static void await_event(int event)
{
	uint64_t value;

	bench_need(read(event, &value, sizeof value) == sizeof value, "read");
}

static void *other_event(void *unused)
{
	stay_on(1);
	for (long i = 0; i < count; i++) {
		await_event(event_there);
		send_event(event_here);
	}
	return unused;
}

static void event(void)
{
	for (long i = 0; i < count; i++) {
		send_event(event_there);
		await_event(event_here);
	}
}

static void run_event(void)
{
	count = bench_times(50000);
	event_here = eventfd(0, 0);
	event_there = eventfd(0, 0);
	both(other_event, event, 2);
}

/* One thread */

static void run_add(void)
{
	count = bench_times(20000000);
	bench_begin();
	add_often();
	bench_end(count);
}

static void run_swap(void)
{
	count = bench_times(20000000);
	bench_begin();
	for (long i = 0; i < count; i++)
		atomic_compare_exchange_strong(&here, &(long){ i }, i + 1);
	bench_end(count);
}

/* What a lock that is free takes: to take it, and to give it back by a plain
 * store. */
static void run_lock(void)
{
	count = bench_times(20000000);
	bench_begin();
	for (long i = 0; i < count; i++) {
		atomic_exchange_explicit(&here, 1, memory_order_acquire);
		atomic_store_explicit(&here, 0, memory_order_release);
	}
	bench_end(count);
}

static void run_clock(void)
{
	struct timespec now;

	count = bench_times(5000000);
	bench_begin();
	for (long i = 0; i < count; i++)
		clock_gettime(CLOCK_MONOTONIC, &now);
	bench_end(count);
}

static void run_system_call(void)
{
	count = bench_times(2000000);
	bench_begin();
	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
	bench_end(count);
}

static void run_poll(void)
{
	int epoll = epoll_create1(0);
	struct epoll_event happened;

	count = bench_times(2000000);
	bench_begin();
	for (long i = 0; i < count; i++)
		epoll_wait(epoll, &happened, 1, 0);
	bench_end(count);
}

static void run_malloc(void)
{
	count = bench_times(10000000);
	bench_begin();
	for (long i = 0; i < count; i++) {
		void *memory = malloc(200);

		__asm__ volatile ("" : : "r"(memory) : "memory");
		free(memory);
	}
	bench_end(count);
}

static char *map(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE
			| MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		bench_cannot("no address space");
	madvise(memory, size, MADV_NOHUGEPAGE);
	return memory;
}

/* A stack from the system and back to it, each time. */
static void run_stack_map(void)
{
	count = bench_times(20000);
	bench_begin();
	for (long i = 0; i < count; i++) {
		char *stack = map(STACK_SIZE);

		mprotect(stack, PAGE, PROT_NONE);
		((volatile char *)stack)[STACK_SIZE - 1] = 1;
		munmap(stack, STACK_SIZE);
	}
	bench_end(count);
}

static void run_stack_touch(void)
{
	char *stacks;

	count = bench_times(100000);
	stacks = map((size_t)count * STACK_SIZE);
	bench_begin();
	for (long i = 1; i <= count; i++)
		stacks[i * STACK_SIZE - 1] = 1;
	bench_end(count);
}

static void run_stack_guard(void)
{
	char *stacks;

	count = bench_times(100000);
	stacks = map((size_t)count * STACK_SIZE);
	bench_begin();
	for (long i = 0; i < count; i++)
		if (madvise(stacks + i * STACK_SIZE, PAGE,
				MADV_GUARD_INSTALL) != 0)
			bench_cannot("the kernel is older than 6.13");
	bench_end(count);
}

static void *do_nothing(void *unused)
{
	return unused;
}

static void run_thread(void)
{
	pthread_t thread;

	count = bench_times(10000);
	bench_begin();
	for (long i = 0; i < count; i++) {
		if (pthread_create(&thread, NULL, do_nothing, NULL) != 0)
			bench_cannot("no thread");
		pthread_join(thread, NULL);
	}
	bench_end(count);
}

/* A walk through SIZE bytes in an order that no prefetcher foresees: each
 * element holds the index of the next one. */
static void run_walk(void)
{
	enum { STRIDE = 64 / sizeof(long) };
	size_t size = (size_t)bench_row->number << 10;
	long length = (long)(size / 64), at = 0;
	long *walk = (long *)(void *)map(size);

	madvise(walk, size, MADV_HUGEPAGE);
	for (long i = 0; i < length; i++)
		walk[i * STRIDE] = i * STRIDE;
	/* Exchanging each with an earlier one makes a single cycle. */
	for (long i = length - 1; i > 0; i--) {
		long other, next = walk[i * STRIDE];

		other = bench_random(i) * STRIDE;
		walk[i * STRIDE] = walk[other];
		walk[other] = next;
	}
	count = bench_times(2000000);
	bench_begin();
	for (long i = 0; i < count; i++)
		at = walk[at];
	bench_end(count);
	bench_need(at % STRIDE == 0, "the walk");
}

static const struct bench_row rows[] = {
	{ "add", run_add, 1, 0 },
	{ "swap", run_swap, 1, 0 },
	{ "free-lock", run_lock, 1, 0 },
	{ "add-2t", run_add_both, 2, 0 },
	{ "line-2t", run_line, 2, 0 },
	{ "ring-2t", run_ring, 2, 0 },
	{ "futex-2t", run_futex, 2, 0 },
	{ "eventfd-2t", run_event, 2, 0 },
	{ "burst-2t", run_burst, 2, 0 },
	{ "clock", run_clock, 1, 0 },
	{ "system-call", run_system_call, 1, 0 },
	{ "epoll", run_poll, 1, 0 },
	{ "malloc", run_malloc, 1, 0 },
	{ "walk-16k", run_walk, 1, 16 },
	{ "walk-512k", run_walk, 1, 512 },
	{ "walk-128m", run_walk, 1, 128 << 10 },
	{ "stack-map", run_stack_map, 1, 0 },
	{ "stack-touch", run_stack_touch, 1, 0 },
	{ "stack-guard", run_stack_guard, 1, 0 },
	{ "thread", run_thread, 1, 0 },
	{ NULL, NULL, 0, 0 }
};

int main(int argc, char **argv)
{
	bench_choose(rows, argc, argv);
	bench_row->run();
	return 0;
}
