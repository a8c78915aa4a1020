/* SPDX-License-Identifier: MIT */

/*
 * rows.c - operations whose cost is counted: see count.h
 *
 * ROW THREADS [OPERATIONS]
 *	prints lines of WHAT <tab> HOW MANY, for each operation.
 * --list
 *	prints the rows, and what an operation of each is.
 *
 * What scales has a group of tasks for each thread, which have nothing to do with
 * the others.  All have begun, and have done some, before it is counted.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coloop.h>

#include "count.h"
#include "lines.h"

enum { GROUPS = 128, MEMBERS = 8, WARM = 200, CAPACITY = 128, PAIRS = 4,
	LOCKERS = 4, SLEEPERS = 200, BYTES = 64 };

struct row {
	const char *name;
	long (*run)(void);	/* returns how many operations were counted */
	long operations;	/* of one task */
	const char *what;	/* one of them is */
};

static const struct row *row;
static struct co_loop *loop;
static unsigned threads;
static long operations;
static AO_t arrived, begun;

static void need(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: wrong: %s\n", row->name, what);
	exit(1);
}

static void good(int rc, const char *what)
{
	need(rc >= 0, what);
}

static void spawn(co_task_fn *fn, void *arg, struct co_task **ret_task)
{
	good(co_spawn(NULL, fn, arg, ret_task), "spawn");
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

/* A task is warm, and waits for the others. */
static void arrive(void)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_ACQ_REL);
	while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
		co_yield();
}

static double time_of_all;

static void begin(void)
{
	time_of_all = count_time();
	count_begin();
}

static void end(void)
{
	count_end();
	time_of_all = count_time() - time_of_all;
}

/* Count what TASKS do from the moment on when all have arrived. */
static void count_tasks(struct co_task **tasks, unsigned count)
{
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < count)
		co_yield();
	begin();
	__atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < count; i++)
		good(co_join(tasks[i], NULL), "join");
	end();
}

/* Run FN in COUNT tasks for each thread, with the number of each. */
static void run_groups(co_task_fn *fn, unsigned count)
{
	struct co_task *tasks[GROUPS * MEMBERS];

	count *= threads;
	need(count <= GROUPS * MEMBERS, "the number of tasks");
	for (unsigned i = 0; i < count; i++)
		spawn(fn, (void *)(uintptr_t)i, &tasks[i]);
	count_tasks(tasks, count);
}

/* --- Switching, spawning -------------------------------------------------- */

static int yield(void *unused)
{
	(void)unused;
	arrive();
	for (long i = 0; i < operations; i++)
		co_yield();

	return 0;
}

static long run_yield(void)
{
	run_groups(yield, 2);

	return 2 * threads * operations;
}

static int nothing(void *unused)
{
	(void)unused;

	return 0;
}

static int spawn_and_join(void *unused)
{
	struct co_task *task;

	(void)unused;
	for (long i = 0; i < WARM + operations; i++) {
		if (i == WARM)
			arrive();
		spawn(nothing, NULL, &task);
		good(co_join(task, NULL), "join");
	}

	return 0;
}

static long run_spawn(void)
{
	run_groups(spawn_and_join, 1);

	return threads * operations;
}

/* Fork and join: the first part to be counted is the root. */
static int fib(void *arg)
{
	long *n = arg, smaller = *n - 1, smallest = *n - 2;
	struct co_task *task;

	if (*n < 2)
		return 0;
	spawn(fib, &smaller, &task);
	fib(&smallest);
	good(co_join(task, NULL), "join");
	*n = smaller + smallest;

	return 0;
}

static long run_fib(void)
{
	long n = operations, before = 1, spawns = 0;

	fib(&(long){ n });
	for (long i = 1; i < n; i++) {
		long next = spawns + before + 1;

		before = spawns;
		spawns = next;
		if (i == 1)
			spawns = 1, before = 0;
	}
	begin();
	fib(&n);
	end();

	return spawns;
}

/* --- Channels ------------------------------------------------------------- */

static struct co_channel *channels[GROUPS], *replies[GROUPS];

/* The even ones put, the odd ones get. */
static int stream(void *arg)
{
	uintptr_t i = (uintptr_t)arg;
	struct co_channel *mine = channels[i / 2];

	arrive();
	for (long n = 0; n < operations; n++)
		if (i % 2 == 0)
			put(mine, n);
		else
			get(mine);

	return 0;
}

static long run_streams(size_t capacity)
{
	for (unsigned i = 0; i < threads; i++)
		channels[i] = channel(capacity);
	run_groups(stream, 2);

	return threads * operations;
}

static long run_unbuffered(void)
{
	return run_streams(0);
}

static long run_buffered(void)
{
	return run_streams(CAPACITY);
}

/* All in one channel, whatever the number of threads. */
static long run_many_to_many(void)
{
	struct co_task *tasks[2 * PAIRS];

	for (unsigned i = 0; i < PAIRS; i++)
		channels[i] = i == 0 ? channel(CAPACITY) : channels[0];
	for (uintptr_t i = 0; i < 2 * PAIRS; i++)
		spawn(stream, (void *)i, &tasks[i]);
	count_tasks(tasks, 2 * PAIRS);

	return PAIRS * operations;
}

static int answer(void *unused)
{
	(void)unused;
	for (long i = 0; i < WARM + operations; i++)
		put(replies[0], get(channels[0]));

	return 0;
}

static int ask(void *unused)
{
	(void)unused;
	for (long i = 0; i < WARM + operations; i++) {
		if (i == WARM)
			begin();
		put(channels[0], i);
		need(get(replies[0]) == i, "the message");
	}
	end();

	return 0;
}

/* One pair, whatever the number of threads. */
static long run_ping_pong(void)
{
	struct co_task *tasks[2];

	channels[0] = channel(0);
	replies[0] = channel(0);
	spawn(answer, NULL, &tasks[0]);
	spawn(ask, NULL, &tasks[1]);
	good(co_join(tasks[1], NULL), "join");
	good(co_join(tasks[0], NULL), "join");

	return 2 * operations;
}

/* --- Locks ---------------------------------------------------------------- */

/* In lines of their own, as in the objects that they protect. */
static struct padded_lock {
	struct co_lock lock;
} __attribute__((aligned(64))) locks[GROUPS];

static int lock_own(void *arg)
{
	struct co_lock *lock = &locks[(uintptr_t)arg].lock;

	arrive();
	for (long i = 0; i < operations; i++) {
		good(co_lock_acquire(lock), "acquire");
		good(co_lock_release(lock), "release");
	}

	return 0;
}

static long run_lock(void)
{
	run_groups(lock_own, 1);

	return threads * operations;
}

static int lock_shared(void *unused)
{
	(void)unused;
	arrive();
	for (long i = 0; i < operations; i++) {
		good(co_lock_acquire(&locks[0].lock), "acquire");
		co_yield();
		good(co_lock_release(&locks[0].lock), "release");
	}

	return 0;
}

static long run_lock_shared(void)
{
	run_groups(lock_shared, LOCKERS);

	return LOCKERS * threads * operations;
}

/* --- From outside --------------------------------------------------------- */

static AO_t done;

static int count_one(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&done, 1, __ATOMIC_ACQ_REL);

	return 0;
}

static void *give(void *unused)
{
	(void)unused;
	for (long i = 0; i < operations; i++)
		good(co_spawn(loop, count_one, NULL, NULL), "spawn");

	return NULL;
}

/* All are busy while a thread that isn't the loop's gives it tasks. */
static int be_busy(void *arg)
{
	pthread_t giver;

	arrive();
	if (arg == NULL)
		need(pthread_create(&giver, NULL, give, NULL) == 0, "thread");
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < (AO_t)operations)
		co_yield();
	if (arg == NULL)
		pthread_join(giver, NULL);

	return 0;
}

static long run_outside(void)
{
	run_groups(be_busy, 2);

	return operations;
}

/* --- Sleep ---------------------------------------------------------------- */

static int sleep_often(void *arg)
{
	uintptr_t number = (uintptr_t)arg;

	arrive();
	for (long i = 0; i < operations; i++)
		co_sleep((1 + (number + (uintptr_t)i) % 4) * CO_MILLISECOND);

	return 0;
}

static long run_sleepers(void)
{
	unsigned count = SLEEPERS * threads;
	struct co_task **tasks = calloc(count, sizeof(struct co_task *));

	need(tasks != NULL, "memory");
	for (unsigned i = 0; i < count; i++)
		spawn(sleep_often, (void *)(uintptr_t)i, &tasks[i]);
	count_tasks(tasks, count);
	free(tasks);

	return count * operations;
}

/* --- Sockets -------------------------------------------------------------- */

static struct co_io *ends[2 * GROUPS];

/* Two ends of a connection over the loopback interface. */
static void connect_pair(struct co_io **ret_ends)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0), server;

	good(bind(listener, (struct sockaddr *)&at, size), "bind");
	good(listen(listener, 1), "listen");
	good(getsockname(listener, (struct sockaddr *)&at, &size), "name");
	good(connect(client, (struct sockaddr *)&at, size), "connect");
	server = accept(listener, NULL, NULL);
	good(server, "accept");
	close(listener);
	good(co_io_open(NULL, client, &ret_ends[0]), "open");
	good(co_io_open(NULL, server, &ret_ends[1]), "open");
}

/* The even ones ask, the odd ones answer. */
static int echo(void *arg)
{
	uintptr_t i = (uintptr_t)arg;
	struct co_io *io = ends[i];
	char data[BYTES] = "";

	arrive();
	for (long n = 0; n < operations; n++) {
		if (i % 2 == 0)
			good(co_io_write_full(io, data, BYTES, NULL), "write");
		good(co_io_read_full(io, data, BYTES, NULL), "read");
		if (i % 2 != 0)
			good(co_io_write_full(io, data, BYTES, NULL), "write");
	}

	return 0;
}

static long run_echo(void)
{
	for (unsigned i = 0; i < threads; i++)
		connect_pair(&ends[2 * i]);
	run_groups(echo, 2);

	return threads * operations;
}

/* --- Results -------------------------------------------------------------- */

static double all;

static void print(const char *group, const char *what, uint64_t count)
{
	if (count != 0)
		printf("%s%s\t%.7g\n", group, what, (double)count / all);
}

static void print_site(const struct count_site *site,
		const struct count_of_site *counts)
{
	const char *file = strrchr(site->file, '/');
	char what[128];

	snprintf(what, sizeof what, "%s:%d %s", file != NULL ? file + 1
			: site->file, site->line, site->function);
	print("site.", what, counts->times);
	print("site moves.", what, counts->moves);
}

static void print_part(const char *part, uint64_t moves)
{
	print("part.", part, moves);
}

static void print_result(void)
{
	const struct count_totals *workers = count_result(COUNT_WORKERS);
	const struct count_totals *others = count_result(COUNT_OTHERS);

	printf("operations\t%.0f\n", all);
	if (time_of_all > 0)
		printf("time\t%.7g\n", time_of_all / all);
	for (int i = 0; i < COUNT_KINDS; i++)
		print("", count_kind_names[i], workers->kinds[i]);
	print("", "moves", workers->moves);
	print("", "moves by others", others->moves);
	for (int i = 0; i < COUNT_CALLS; i++)
		print("call.", count_call_names[i], workers->calls[i]);
	for (int i = 0; i < COUNT_CALLS; i++)
		print("call of others.", count_call_names[i],
				others->calls[i]);
	count_each_part(loop, print_part);
	count_each_site(print_site);
}

static const struct row rows[] = {
	{ "yield", run_yield, 20000, "a switch" },
	{ "spawn", run_spawn, 10000, "a task spawned and joined" },
	{ "fib", run_fib, 22, "a part of fib, forked and joined" },
	{ "channel-0", run_unbuffered, 10000, "an item handed over" },
	{ "channel-128", run_buffered, 20000, "an item put and got" },
	{ "many-to-many", run_many_to_many, 20000, "an item put and got" },
	{ "ping-pong", run_ping_pong, 50000, "a message" },
	{ "lock", run_lock, 50000, "a lock acquired and released" },
	{ "lock-shared", run_lock_shared, 2000, "a lock handed over" },
	{ "outside", run_outside, 5000, "a task given by another thread" },
	{ "sleepers", run_sleepers, 5, "a sleep" },
	{ "echo", run_echo, 2000, "a question and its answer" },
	{ NULL, NULL, 0, NULL }
};

static int start(void *unused)
{
	(void)unused;
	all = (double)row->run();

	return 0;
}

static int list(void)
{
	for (row = rows; row->name != NULL; row++)
		printf("%s\t%s\n", row->name, row->what);

	return 0;
}

int main(int argc, char **argv)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	for (row = rows; row->name != NULL; row++)
		if (argc >= 3 && strcmp(row->name, argv[1]) == 0)
			break;
	threads = argc >= 3 ? (unsigned)atoi(argv[2]) : 0;
	if (row->name == NULL || threads < 1 || threads > GROUPS / 2) {
		fprintf(stderr, "usage: %s --list | ROW THREADS [OPERATIONS]\n",
				argv[0]);
		return 2;
	}
	operations = argc > 3 ? atol(argv[3]) : row->operations;
	options.threads = threads;
	good(co_loop_create(&options, &loop), "loop");
	good(co_spawn(loop, start, NULL, NULL), "spawn");
	good(co_loop_run(loop), "run");
	print_result();

	return co_loop_destroy(loop) == 0 ? 0 : 1;
}
