/* SPDX-License-Identifier: MIT */

/*
 * peer_boost.cpp - the rows of bench.h with Boost.Fiber
 *
 * One thread has the default scheduler, two have the one that steals work.
 */

#include "bench.h"

#include <boost/fiber/all.hpp>
#include <memory>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;

static std::vector<fibers::fiber> tasks;
static std::atomic<long> arrived;
static std::atomic<bool> begun;
static long counter;

static void yield()
{
	boost::this_fiber::yield();
}

template <typename Function> static fibers::fiber make(Function function)
{
	try {
		return fibers::fiber(function);
	} catch (const std::exception &error) {
		bench_cannot(error.what());
		throw;
	}
}

template <typename Function> static void spawn(Function function)
{
	tasks.push_back(make(function));
}

static void join_all()
{
	for (fibers::fiber &task : tasks)
		task.join();
	tasks.clear();
}

static void all_arrived(long count)
{
	while (arrived < count)
		yield();
}

static void run_switch()
{
	long count = bench_row->number;
	long times = bench_times(BENCH_YIELDS) / count;

	for (long i = 0; i < count; i++)
		spawn([times] {
			arrived++;
			while (!begun)
				yield();
			for (long j = times; j > 0; j--)
				yield();
		});
	all_arrived(count);
	bench_begin();
	begun = true;
	join_all();
	bench_end(times * count);
}

static void run_spawn()
{
	long count = bench_times(BENCH_SPAWNS);

	bench_begin();
	for (long i = 0; i < count; i++)
		make([] {}).join();
	bench_end(count);
}

typedef fibers::unbuffered_channel<long> gate_type;

static void wait_at(gate_type &gate)
{
	long item;

	arrived++;
	gate.pop(item);
}

static void run_batches()
{
	long count = bench_times(BENCH_BATCHES);

	for (long i = -1; i < count; i++) {
		gate_type gate;

		if (i == 0)
			bench_begin();
		arrived = 0;
		for (long j = 0; j < BENCH_BATCH; j++)
			spawn([&gate] { wait_at(gate); });
		all_arrived(BENCH_BATCH);
		gate.close();
		join_all();
	}
	bench_end(count * BENCH_BATCH);
}

static void run_ping_pong()
{
	long count = bench_times(BENCH_ROUND_TRIPS), item = 0;
	fibers::unbuffered_channel<long> there, back;

	spawn([&] {
		long returned;

		for (long i = count; i > 0; i--) {
			there.pop(returned);
			back.push(returned);
		}
	});
	bench_begin();
	for (long i = 0; i < count; i++) {
		there.push(i);
		back.pop(item);
		bench_need(item == i, "the message");
	}
	bench_end(2 * count);
	join_all();
}

static void run_channel()
{
	long count = bench_times(BENCH_MESSAGES), item = 0;
	fibers::buffered_channel<long> there(BENCH_CAPACITY);

	spawn([&there, count] {
		for (long i = count; i > 0; i--)
			there.push(i);
	});
	bench_begin();
	for (long i = count; i > 0; i--) {
		there.pop(item);
		bench_need(item == i, "the order");
	}
	bench_end(count);
	join_all();
}

static long get_all(fibers::buffered_channel<long> &there)
{
	long item, sum = 0;

	while (there.pop(item) == fibers::channel_op_status::success)
		sum += item;
	return sum;
}

static void run_many_to_many()
{
	long count = bench_times(BENCH_PAIR_MESSAGES);
	fibers::buffered_channel<long> there(BENCH_CAPACITY);
	std::vector<fibers::fiber> getters;
	std::atomic<long> sum(0);

	bench_begin();
	for (int i = 0; i < BENCH_PAIRS; i++) {
		spawn([&there, count] {
			for (long j = count; j > 0; j--)
				there.push(j);
		});
		getters.push_back(make([&] { sum += get_all(there); }));
	}
	join_all();
	there.close();
	for (fibers::fiber &getter : getters)
		getter.join();
	bench_end(BENCH_PAIRS * count);
	bench_need(sum == BENCH_PAIRS * (count * (count + 1) / 2), "the sum");
}

static void run_lock()
{
	long times = bench_times(BENCH_LOCKS);
	bool hand_over = bench_row->number != 0;
	fibers::mutex lock;

	bench_begin();
	for (long i = 0; i < BENCH_LOCKERS; i++)
		spawn([&lock, times, hand_over] {
			for (long j = times; j > 0; j--) {
				lock.lock();
				counter++;
				if (hand_over)
					yield();
				lock.unlock();
			}
		});
	join_all();
	bench_end(times * BENCH_LOCKERS);
	bench_need(counter == times * BENCH_LOCKERS, "the counter");
}

static long fib(long n)
{
	long smaller = 0, smallest;

	if (n < 2)
		return n;
	fibers::fiber task = make([&smaller, n] { smaller = fib(n - 1); });
	smallest = fib(n - 2);
	task.join();
	return smaller + smallest;
}

static void run_fib()
{
	long result;

	bench_begin();
	result = fib(bench_row->number);
	bench_fib_end(bench_row->number, result);
}

static void sleep_often(long number)
{
	for (long i = 0; i < BENCH_SLEEPS; i++) {
		long ms = bench_sleep_ms(number, i);
		int64_t begin = bench_now();

		boost::this_fiber::sleep_for(std::chrono::milliseconds(ms));
		bench_woken(begin, ms);
	}
}

static void run_timers()
{
	bench_begin();
	for (long i = 0; i < BENCH_SLEEPERS; i++)
		spawn([i] { sleep_often(i); });
	join_all();
	bench_sleeps_end(BENCH_SLEEPERS);
}

static void run_memory()
{
	static gate_type gate;
	fibers::fixedsize_stack stacks(bench_stack_size(
			fibers::fixedsize_stack::traits_type::default_size()));

	tasks.reserve(bench_row->number);
	bench_memory_begin();
	for (long i = 1; i <= bench_row->number; i++) {
		tasks.push_back(fibers::fiber(std::allocator_arg, stacks,
				[] { wait_at(gate); }));
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
	{ "ping-pong", run_ping_pong, 1, 0 },
	{ "ping-pong-2t", run_ping_pong, 2, 0 },
	{ "channel", run_channel, 1, 0 },
	{ "channel-2t", run_channel, 2, 0 },
	{ "many-to-many-2t", run_many_to_many, 2, 0 },
	{ "lock", run_lock, 1, 0 },
	{ "lock-handover", run_lock, 1, 1 },
	{ "lock-2t", run_lock, 2, 0 },
	{ "lock-handover-2t", run_lock, 2, 1 },
	{ "fib-20", run_fib, 1, 20 },
	{ "fib-20-2t", run_fib, 2, 20 },
	{ "timers", run_timers, 1, 0 },
	{ "memory-100k", run_memory, 1, 100000 },
	{ "stacks-64k", run_memory, 1, 100000 },
	{ "stacks-16k", run_memory, 1, 100000 },
	{ "memory-1m", run_memory, 1, BENCH_MILLION },
	{ NULL, NULL, 0, 0 }
};

/* A thread of the scheduler that steals runs fibers while its own waits. */
static void serve()
{
	fibers::mutex mutex;
	fibers::condition_variable never;

	fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(2);
	std::unique_lock<fibers::mutex> held(mutex);
	never.wait(held, [] { return false; });
}

int main(int argc, char **argv)
{
	bench_choose(rows, argc, argv);
	if (bench_row->threads == 2) {
		std::thread(serve).detach();
		fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(
				2);
	}
	bench_row->run();
	fflush(stdout);
	_Exit(0);
}
