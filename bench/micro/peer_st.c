/* SPDX-License-Identifier: MIT */

/*
 * peer_st.c - the rows of bench.h with State Threads
 *
 * It has one thread, and neither channels nor a yield: the shortest sleep is
 * its yield, and a condition the gate that tasks wait at.
 */

#include "bench.h"

#include <errno.h>
#include <st.h>

static st_thread_t threads[BENCH_SLEEPERS];
static st_cond_t gate;
static st_mutex_t lock;
static long arrived, counter;
static int begun;

static st_thread_t spawn_with(int stack_size, void *(*fn)(void *), void *arg,
		int joinable)
{
	st_thread_t thread = st_thread_create(fn, arg, joinable, stack_size);

	if (thread == NULL)
		bench_cannot(strerror(errno));
	return thread;
}

static st_thread_t spawn(void *(*fn)(void *), void *arg, int joinable)
{
	return spawn_with(0, fn, arg, joinable);
}

static void join(st_thread_t thread)
{
	bench_need(st_thread_join(thread, NULL) == 0, "join");
}

static void join_all(long count)
{
	for (long i = 0; i < count; i++)
		join(threads[i]);
}

static void yield(void)
{
	st_usleep(0);
}

static void all_arrived(long count)
{
	while (arrived < count)
		yield();
}

static void *yield_often(void *times)
{
	arrived++;
	while (!begun)
		yield();
	for (long i = *(long *)times; i > 0; i--)
		yield();
	return NULL;
}

static void run_switch(void)
{
	long count = bench_row->number;
	long times = bench_times(BENCH_YIELDS) / count;

	for (long i = 0; i < count; i++)
		threads[i] = spawn(yield_often, &times, 1);
	all_arrived(count);
	bench_begin();
	begun = 1;
	join_all(count);
	bench_end(times * count);
}

static void *nothing(void *unused)
{
	return unused;
}

static void run_spawn(void)
{
	long count = bench_times(BENCH_SPAWNS);

	join(spawn(nothing, NULL, 1));
	bench_begin();
	for (long i = 0; i < count; i++)
		join(spawn(nothing, NULL, 1));
	bench_end(count);
}

static void *wait_at_gate(void *unused)
{
	arrived++;
	st_cond_wait(gate);
	return unused;
}

static void run_batches(void)
{
	long count = bench_times(BENCH_BATCHES);

	for (long i = -1; i < count; i++) {
		if (i == 0)
			bench_begin();
		arrived = 0;
		for (long j = 0; j < BENCH_BATCH; j++)
			threads[j] = spawn(wait_at_gate, NULL, 1);
		all_arrived(BENCH_BATCH);
		st_cond_broadcast(gate);
		join_all(BENCH_BATCH);
	}
	bench_end(count * BENCH_BATCH);
}

static void *count_locked(void *times)
{
	for (long i = *(long *)times; i > 0; i--) {
		st_mutex_lock(lock);
		counter++;
		if (bench_row->number)
			yield();
		st_mutex_unlock(lock);
	}
	return NULL;
}

static void run_lock(void)
{
	long times = bench_times(BENCH_LOCKS);

	bench_begin();
	for (long i = 0; i < BENCH_LOCKERS; i++)
		threads[i] = spawn(count_locked, &times, 1);
	join_all(BENCH_LOCKERS);
	bench_end(times * BENCH_LOCKERS);
	bench_need(counter == times * BENCH_LOCKERS, "the counter");
}

static void *fib(void *arg)
{
	long *n = arg, smaller = *n - 1, smallest = *n - 2;
	st_thread_t thread;

	if (*n < 2)
		return NULL;
	thread = spawn(fib, &smaller, 1);
	fib(&smallest);
	join(thread);
	*n = smaller + smallest;
	return NULL;
}

static void run_fib(void)
{
	long n = bench_row->number;

	bench_begin();
	fib(&n);
	bench_fib_end(bench_row->number, n);
}

static void *sleep_often(void *number)
{
	for (long i = 0; i < BENCH_SLEEPS; i++) {
		long ms = bench_sleep_ms((long)(intptr_t)number, i);
		int64_t begin = bench_now();

		st_usleep((st_utime_t)ms * 1000);
		bench_woken(begin, ms);
	}
	return NULL;
}

static void run_timers(void)
{
	bench_begin();
	for (long i = 0; i < BENCH_SLEEPERS; i++)
		threads[i] = spawn(sleep_often, (void *)(intptr_t)i, 1);
	join_all(BENCH_SLEEPERS);
	bench_sleeps_end(BENCH_SLEEPERS);
}

static void run_memory(void)
{
	int stack_size = (int)bench_stack_size(0);

	bench_memory_begin();
	for (long i = 1; i <= bench_row->number; i++) {
		spawn_with(stack_size, wait_at_gate, NULL, 0);
		if (i % 1000 == 0)
			all_arrived(i);
	}
	bench_memory_end(bench_row->number);
}

static const struct bench_row rows[] = {
	{ "switch-2", run_switch, 1, 2 },
	{ "switch-1000", run_switch, 1, 1000 },
	{ "spawn", run_spawn, 1, 0 },
	{ "spawn-10k", run_batches, 1, 0 },
	{ "lock", run_lock, 1, 0 },
	{ "lock-handover", run_lock, 1, 1 },
	{ "fib-20", run_fib, 1, 20 },
	{ "timers", run_timers, 1, 0 },
	{ "memory-100k", run_memory, 1, 100000 },
	{ "stacks-64k", run_memory, 1, 100000 },
	{ "stacks-16k", run_memory, 1, 100000 },
	{ "memory-1m", run_memory, 1, BENCH_MILLION },
	{ NULL, NULL, 0, 0 }
};

int main(int argc, char **argv)
{
	bench_choose(rows, argc, argv);
	st_set_eventsys(ST_EVENTSYS_ALT);
	if (st_init() != 0)
		bench_cannot(strerror(errno));
	gate = st_cond_new();
	lock = st_mutex_new();
	bench_row->run();
	fflush(stdout);
	_Exit(0);
}
