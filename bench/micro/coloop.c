/* SPDX-License-Identifier: MIT */

/*
 * coloop.c - the rows of bench.h with libcoloop, as a user would write them
 *
 * The loop is the ordinary one, with as many threads as the row says.
 */

#include "bench.h"

#include <coloop.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/socket.h>

static struct co_task *tasks[BENCH_MILLION];
static struct co_channel *there, *back;
static atomic_long arrived;
static atomic_int begun;

static void good(int rc, const char *what)
{
	if (rc == -ENOMEM || rc == -EAGAIN)
		bench_cannot(strerror(-rc));
	bench_need(rc == 0, what);
}

static void spawn(co_task_fn *fn, void *arg, struct co_task **ret_task)
{
	good(co_spawn(NULL, fn, arg, ret_task), "spawn");
}

static void join(struct co_task *task)
{
	good(co_join(task, NULL), "join");
}

static void spawn_all(co_task_fn *fn, void *arg, long count)
{
	for (long i = 0; i < count; i++)
		spawn(fn, arg, &tasks[i]);
}

static void join_all(long count)
{
	for (long i = 0; i < count; i++)
		join(tasks[i]);
}

static struct co_channel *channel(size_t capacity)
{
	struct co_channel *made = NULL;

	good(co_channel_create(NULL, sizeof(long), capacity, &made),
			"channel");
	return made;
}

static void put(struct co_channel *channel, long item)
{
	good(co_channel_put(channel, &item), "put");
}

static long get(struct co_channel *channel)
{
	long item = 0;

	good(co_channel_get(channel, &item), "get");
	return item;
}

/* A task has begun. */
static void arrive(void)
{
	atomic_fetch_add_explicit(&arrived, 1, memory_order_relaxed);
}

static void all_arrived(long count)
{
	while (atomic_load_explicit(&arrived, memory_order_relaxed) < count)
		co_yield();
}

/* Switching */

/* Not before all others are there, too. */
static int yield_often(void *times)
{
	arrive();
	while (!atomic_load_explicit(&begun, memory_order_relaxed))
		co_yield();
	for (long i = *(long *)times; i > 0; i--)
		co_yield();
	return 0;
}

static void run_switch(void)
{
	long count = bench_row->number;
	long times = bench_times(BENCH_YIELDS) / count;

	spawn_all(yield_often, &times, count);
	all_arrived(count);
	bench_begin();
	begun = 1;
	join_all(count);
	bench_end(times * count);
}

/* Tasks come and go */

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

static void run_spawn(void)
{
	long count = bench_times(BENCH_SPAWNS);
	struct co_task *task;

	spawn(nothing, NULL, &task);
	join(task);
	bench_begin();
	for (long i = 0; i < count; i++) {
		spawn(nothing, NULL, &task);
		join(task);
	}
	bench_end(count);
}

/* Park until the channel is closed. */
static int wait_at(void *gate)
{
	arrive();
	return co_channel_get(gate, &(long){ 0 }) == -EPIPE ? 0 : 1;
}

static void run_batches(void)
{
	long count = bench_times(BENCH_BATCHES);

	for (long i = -1; i < count; i++) {
		struct co_channel *gate = channel(0);

		if (i == 0)
			bench_begin();
		arrived = 0;
		spawn_all(wait_at, gate, BENCH_BATCH);
		all_arrived(BENCH_BATCH);
		co_channel_close(gate);
		join_all(BENCH_BATCH);
		co_channel_destroy(gate);
	}
	bench_end(count * BENCH_BATCH);
}

/* Channels */

static int return_all(void *count)
{
	for (long i = *(long *)count; i > 0; i--)
		put(back, get(there));
	return 0;
}

static uint64_t wakeups(void)
{
	struct co_loop_stats stats = { .size = sizeof stats };

	good(co_loop_stats(co_loop_current(), &stats), "stats");
	return stats.wakeups;
}

static void run_ping_pong(void)
{
	long count = bench_times(BENCH_ROUND_TRIPS);
	uint64_t before;

	there = channel(0);
	back = channel(0);
	spawn(return_all, &count, tasks);
	before = wakeups();
	bench_begin();
	for (long i = 0; i < count; i++) {
		put(there, i);
		bench_need(get(back) == i, "the message");
	}
	bench_end(2 * count);
	bench_value("wakeups", (double)(wakeups() - before)
			/ (2.0 * (double)count));
	join(tasks[0]);
}

static int answer_all(void *inbox)
{
	long item;

	arrive();
	while (co_channel_get(inbox, &item) == 0)
		put(back, item);
	return 0;
}

/* Ask one of many tasks, each of which waits at a channel of its own. */
static void run_wake(void)
{
	static struct co_channel *inboxes[BENCH_MILLION];
	long number = bench_row->number, count = bench_times(BENCH_WAKES);

	back = channel(0);
	for (long i = 0; i < number; i++) {
		inboxes[i] = channel(0);
		spawn(answer_all, inboxes[i], NULL);
	}
	all_arrived(number);
	bench_begin();
	for (long i = 0; i < count; i++) {
		put(inboxes[bench_random(number)], i);
		bench_need(get(back) == i, "the message");
	}
	bench_end(2 * count);
	exit(0);
}

static int put_all(void *count)
{
	for (long i = *(long *)count; i > 0; i--)
		put(there, i);
	return 0;
}

static void run_channel(void)
{
	long count = bench_times(BENCH_MESSAGES);

	there = channel(BENCH_CAPACITY);
	spawn(put_all, &count, tasks);
	bench_begin();
	for (long i = count; i > 0; i--)
		bench_need(get(there) == i, "the order");
	bench_end(count);
	join(tasks[0]);
}

static int get_all(void *sum)
{
	long item, mine = 0;

	while (co_channel_get(there, &item) == 0)
		mine += item;
	*(long *)sum = mine;
	return 0;
}

static void run_many_to_many(void)
{
	long count = bench_times(BENCH_PAIR_MESSAGES);
	long sums[BENCH_PAIRS], sum = 0;
	struct co_task *getters[BENCH_PAIRS];

	there = channel(BENCH_CAPACITY);
	bench_begin();
	for (int i = 0; i < BENCH_PAIRS; i++) {
		spawn(put_all, &count, &tasks[i]);
		spawn(get_all, &sums[i], &getters[i]);
	}
	join_all(BENCH_PAIRS);
	co_channel_close(there);
	for (int i = 0; i < BENCH_PAIRS; i++) {
		join(getters[i]);
		sum += sums[i];
	}
	bench_end(BENCH_PAIRS * count);
	bench_need(sum == BENCH_PAIRS * (count * (count + 1) / 2), "the sum");
}

/* Two threads, of which one is asleep */

static long giver;
static atomic_llong taken_up;

/* The first task of a burst that another thread takes up tells when. */
static int part(void *unused)
{
	long long first = 0;

	(void)unused;
	if (bench_thread() != giver)
		atomic_compare_exchange_strong(&taken_up, &first, bench_now());
	bench_compute(BENCH_PART_US);
	return 0;
}

static void run_burst(void)
{
	for (long i = bench_times(BENCH_BURSTS); i > 0; i--) {
		int64_t begin, when;

		bench_compute(BENCH_QUIET_US);
		giver = bench_thread();
		taken_up = 0;
		begin = bench_now();
		spawn_all(part, NULL, BENCH_BURST);
		join_all(BENCH_BURST);
		when = taken_up;
		bench_taken_up(begin, when != 0 ? when : bench_now(),
				when != 0);
	}
	bench_taken_up_end();
}

/* When it was, which needs more bits than an item has on some machines. */
static int64_t given;

static int take_up(void *unused)
{
	while (get(there) != 0) {
		bench_taken_up(given, bench_now(), bench_thread() != giver);
		put(back, 0);
	}
	return unused != NULL;
}

static void run_handoff(void)
{
	there = channel(1);
	back = channel(1);
	spawn(take_up, NULL, tasks);
	for (long i = bench_times(BENCH_HANDOFFS); i > 0; i--) {
		co_yield();
		bench_compute(BENCH_QUIET_US);
		giver = bench_thread();
		given = bench_now();
		put(there, 1);
		bench_compute(BENCH_HOLD_US);
		get(back);
	}
	put(there, 0);
	join(tasks[0]);
	bench_taken_up_end();
}

/* Locks */

static struct co_lock lock = CO_LOCK_INIT;
static long counter;

static int count_locked(void *times)
{
	for (long i = *(long *)times; i > 0; i--) {
		if (co_lock_acquire(&lock) != 0)
			return 1;
		counter++;
		co_lock_release(&lock);
	}
	return 0;
}

static int count_and_yield(void *times)
{
	for (long i = *(long *)times; i > 0; i--) {
		if (co_lock_acquire(&lock) != 0)
			return 1;
		counter++;
		co_yield();
		co_lock_release(&lock);
	}
	return 0;
}

static void lock_by(co_task_fn *fn)
{
	long times = bench_times(BENCH_LOCKS);

	bench_begin();
	spawn_all(fn, &times, BENCH_LOCKERS);
	join_all(BENCH_LOCKERS);
	bench_end(times * BENCH_LOCKERS);
	bench_need(counter == times * BENCH_LOCKERS, "the counter");
}

static void run_lock(void)
{
	lock_by(count_locked);
}

static void run_lock_handover(void)
{
	lock_by(count_and_yield);
}

/* Sockets */

enum { ECHO_SIZE = 64 };

static struct co_io *open_io(int fd)
{
	struct co_io *io = NULL;

	good(co_io_open(NULL, fd, &io), "open");
	return io;
}

static int echo(void *io)
{
	char data[ECHO_SIZE];
	ssize_t size;

	while ((size = co_io_read(io, data, sizeof data)) > 0)
		good(co_io_write_full(io, data, (size_t)size, NULL), "write");
	return co_io_close(io);
}

static void run_echo(void)
{
	long count = bench_times(BENCH_ROUND_TRIPS);
	char data[ECHO_SIZE] = "";
	struct co_io *client;
	int fds[2];

	good(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "socketpair");
	client = open_io(fds[0]);
	spawn(echo, open_io(fds[1]), tasks);
	bench_begin();
	for (long i = 0; i < count; i++) {
		good(co_io_write_full(client, data, sizeof data, NULL),
				"write");
		good(co_io_read_full(client, data, sizeof data, NULL), "read");
	}
	bench_end(2 * count);
	co_io_close(client);
	join(tasks[0]);
}

/* Fork and join */

static int fib(void *arg)
{
	long *n = arg, smaller = *n - 1, smallest = *n - 2;
	struct co_task *task;

	if (*n < 2)
		return 0;
	spawn(fib, &smaller, &task);
	fib(&smallest);
	join(task);
	*n = smaller + smallest;
	return 0;
}

static void run_fib(void)
{
	long n = bench_row->number;

	bench_begin();
	fib(&n);
	bench_fib_end(bench_row->number, n);
}

/* Sleep */

static int sleep_often(void *number)
{
	for (long i = 0; i < BENCH_SLEEPS; i++) {
		long ms = bench_sleep_ms((long)(intptr_t)number, i);
		int64_t begin = bench_now();

		co_sleep(ms * CO_MILLISECOND);
		bench_woken(begin, ms);
	}
	return 0;
}

static void run_timers(void)
{
	static struct co_task *sleepers[BENCH_SLEEPERS];

	bench_begin();
	for (long i = 0; i < BENCH_SLEEPERS; i++)
		spawn(sleep_often, (void *)(intptr_t)i, &sleepers[i]);
	for (long i = 0; i < BENCH_SLEEPERS; i++)
		join(sleepers[i]);
	bench_sleeps_end(BENCH_SLEEPERS);
}

/* Memory */

static void run_memory(void)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_channel *gate = channel(0);

	attr.stack_size = bench_stack_size(0);
	bench_memory_begin();
	for (long i = 1; i <= bench_row->number; i++) {
		good(co_spawn_with(NULL, &attr, wait_at, gate, NULL), "spawn");
		if (i % 1000 == 0)
			all_arrived(i);
	}
	bench_memory_end(bench_row->number);
	exit(0);
}

static const struct bench_row rows[] = {
	{ "switch-2", run_switch, 1, 2 },
	{ "switch-1000", run_switch, 1, 1000 },
	{ "switch-1m", run_switch, 1, BENCH_MILLION },
	{ "spawn", run_spawn, 1, 0 },
	{ "spawn-10k", run_batches, 1, 0 },
	{ "ping-pong", run_ping_pong, 1, 0 },
	{ "ping-pong-2t", run_ping_pong, 2, 0 },
	{ "channel", run_channel, 1, 0 },
	{ "channel-2t", run_channel, 2, 0 },
	{ "many-to-many-2t", run_many_to_many, 2, 0 },
	{ "wake-1000", run_wake, 1, 1000 },
	{ "wake-1m", run_wake, 1, BENCH_MILLION },
	{ "burst-2t", run_burst, 2, 0 },
	{ "handoff-2t", run_handoff, 2, 0 },
	{ "lock", run_lock, 1, 0 },
	{ "lock-handover", run_lock_handover, 1, 0 },
	{ "lock-2t", run_lock, 2, 0 },
	{ "lock-handover-2t", run_lock_handover, 2, 0 },
	{ "echo", run_echo, 1, 0 },
	{ "fib-20", run_fib, 1, 20 },
	{ "fib-20-2t", run_fib, 2, 20 },
	{ "fib-30", run_fib, 1, 30 },
	{ "fib-30-2t", run_fib, 2, 30 },
	{ "timers", run_timers, 1, 0 },
	{ "memory-100k", run_memory, 1, 100000 },
	{ "stacks-64k", run_memory, 1, 100000 },
	{ "stacks-16k", run_memory, 1, 100000 },
	{ "memory-1m", run_memory, 1, BENCH_MILLION },
	{ NULL, NULL, 0, 0 }
};

static int start(void *unused)
{
	(void)unused;
	bench_row->run();
	return 0;
}

int main(int argc, char **argv)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop;

	bench_choose(rows, argc, argv);
	options.threads = bench_row->threads;
	good(co_loop_create(&options, &loop), "loop");
	good(co_spawn(loop, start, NULL, NULL), "spawn");
	good(co_loop_run(loop), "run");
	return co_loop_destroy(loop) == 0 ? 0 : 1;
}
