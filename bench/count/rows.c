/* SPDX-License-Identifier: MIT */

/*
 * rows.c - operations whose cost is counted: see count.h
 *
 * ROW THREADS [OPERATIONS]
 *	prints lines of WHAT <tab> HOW MANY, for each operation.
 * --list
 *	prints the rows, and what an operation of each is.
 *
 * Tasks do the same over and over.  It is counted from the moment on when each
 * has done some, until all together have done as many as they should: so that
 * neither their beginning is a part of it, nor the time when some have ended.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <coloop.h>

#include "count.h"
#include "lines.h"

enum { THREADS = 96, TASKS = 200 * THREADS, CAPACITY = 128, BYTES = 64,
	LOOK = 16, AHEAD = 16 };

struct row {
	const char *name;
	const char *what;		/* an operation is */
	long operations;		/* of one task */
	unsigned tasks;			/* for each thread */
	unsigned fixed;			/* or whatever the number of threads */
	unsigned counts;		/* one in so many of them counts; 0:
					 * what they give rise to, for the
					 * first */
	void (*prepare)(unsigned tasks);
	int (*operation)(unsigned i);	/* of task I; negative: it is over */
	void (*finish)(unsigned i);	/* when task I leaves */
};

/* How much a task has done, in a line of its own. */
static struct progress {
	long done;
} __attribute__((aligned(64))) progress[TASKS];

static const struct row *row;
static struct co_loop *loop;
static unsigned threads, task_count, arrived;
static long operations, before, counted;
static double time_before, time_taken;
static uint64_t preemptions;
static bool stopped;

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

/* --- From when to when --------------------------------------------------- */

static long done_by_all(void)
{
	unsigned step = row->counts != 0 ? row->counts : task_count;
	long sum = 0;

	for (unsigned i = 0; i < task_count; i += step)
		sum += __atomic_load_n(&progress[i].done, __ATOMIC_RELAXED);

	return sum;
}

/* How often threads were kept from a processor that they needed. */
static uint64_t preempted(void)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_SELF, &usage);

	return (uint64_t)usage.ru_nivcsw;
}

static void begin(void)
{
	before = done_by_all();
	preemptions = preempted();
	time_before = count_time();
	count_begin();
}

/* The first who sees that it is enough ends it. */
static bool end(void)
{
	if (__atomic_exchange_n(&stopped, true, __ATOMIC_ACQ_REL))
		return false;
	count_end();
	time_taken = count_time() - time_before;
	preemptions = preempted() - preemptions;
	counted = done_by_all() - before;

	return true;
}

static bool is_stopped(void)
{
	return __atomic_load_n(&stopped, __ATOMIC_ACQUIRE);
}

static unsigned counting_tasks(void)
{
	return row->counts != 0 ? task_count / row->counts : 1;
}

/* One more is done, for task I. */
static void tick(unsigned i)
{
	long done = __atomic_add_fetch(&progress[i].done, 1, __ATOMIC_RELAXED);
	unsigned all = counting_tasks();

	if (done == operations / 2 && __atomic_add_fetch(&arrived, 1,
			__ATOMIC_ACQ_REL) == all)
		begin();
	if (done % LOOK == 0 && __atomic_load_n(&arrived, __ATOMIC_ACQUIRE)
			== all && done_by_all() - before >= operations * all)
		end();
}

static int work(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	while (!is_stopped() && row->operation(i) >= 0)
		if (row->counts != 0 && i % row->counts == 0)
			tick(i);
	if (row->finish != NULL)
		row->finish(i);

	return 0;
}

static void run_tasks(void)
{
	static struct co_task *tasks[TASKS];

	task_count = row->fixed != 0 ? row->fixed : row->tasks * threads;
	if (row->prepare != NULL)
		row->prepare(task_count);
	for (unsigned i = 0; i < task_count; i++)
		spawn(work, (void *)(uintptr_t)i, &tasks[i]);
	for (unsigned i = 0; i < task_count; i++)
		good(co_join(tasks[i], NULL), "join");
}

/* --- Switching, spawning ------------------------------------------------- */

static int yield(unsigned i)
{
	(void)i;

	return co_yield();
}

static int nothing(void *unused)
{
	(void)unused;

	return 0;
}

static int spawn_and_join(unsigned i)
{
	struct co_task *task;

	(void)i;
	spawn(nothing, NULL, &task);

	return co_join(task, NULL);
}

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

static int wait_for_lock(void *lock)
{
	good(co_lock_acquire(lock), "acquire");

	return co_lock_release(lock);
}

/* As many as the caches of a worker hold: more branches than fib has on one,
 * whenever it begins them. */
static void make_frames(void)
{
	enum { FRAMES = 128 };
	struct co_task *tasks[FRAMES];
	struct co_lock lock = CO_LOCK_INIT;

	good(co_lock_acquire(&lock), "acquire");
	for (int i = 0; i < FRAMES; i++)
		spawn(wait_for_lock, &lock, &tasks[i]);
	good(co_lock_release(&lock), "release");
	for (int i = 0; i < FRAMES; i++)
		good(co_join(tasks[i], NULL), "join");
}

/* All of one tree, from its root to its end; the frames have been made. */
static void run_fib(void)
{
	long n = operations, a = 1, b = 1;

	make_frames();
	fib(&(long){ n });
	for (long i = 1; i < n; i++) {
		long sum = a + b;

		a = b;
		b = sum;
	}
	begin();
	fib(&n);
	end();
	counted = b - 1;
}

/* --- Channels ------------------------------------------------------------ */

static struct co_channel *channels[THREADS], *replies;

static struct co_channel *channel(size_t capacity)
{
	struct co_channel *made = NULL;

	good(co_channel_create(NULL, sizeof(long), capacity, &made),
			"channel");

	return made;
}

static void make_unbuffered(unsigned tasks)
{
	for (unsigned i = 0; i < tasks / 2; i++)
		channels[i] = channel(0);
}

static void make_buffered(unsigned tasks)
{
	for (unsigned i = 0; i < tasks / 2; i++)
		channels[i] = channel(CAPACITY);
}

static void make_one(unsigned tasks)
{
	channels[0] = channel(CAPACITY);
	for (unsigned i = 1; i < tasks / 2; i++)
		channels[i] = channels[0];
}

static void make_two(unsigned tasks)
{
	(void)tasks;
	channels[0] = channel(0);
	replies = channel(0);
}

/* The even ones put, the odd ones get. */
static int stream(unsigned i)
{
	long item = i;

	return i % 2 == 0 ? co_channel_put(channels[i / 2], &item)
			: co_channel_get(channels[i / 2], &item);
}

/* The even one asks, the odd one answers. */
static int converse(unsigned i)
{
	long item = i;
	int rc = i == 0 ? co_channel_put(channels[0], &item)
			: co_channel_get(channels[0], &item);

	if (rc < 0)
		return rc;

	return i == 0 ? co_channel_get(replies, &item)
			: co_channel_put(replies, &item);
}

static void close_channel(unsigned i)
{
	co_channel_close(channels[i / 2]);
	co_channel_close(replies);
}

/* --- Locks --------------------------------------------------------------- */

/* In lines of their own, as in the objects that they protect. */
static struct padded_lock {
	struct co_lock lock;
} __attribute__((aligned(64))) locks[THREADS];

static int lock_own(unsigned i)
{
	good(co_lock_acquire(&locks[i].lock), "acquire");

	return co_lock_release(&locks[i].lock);
}

static int lock_shared(unsigned i)
{
	(void)i;
	good(co_lock_acquire(&locks[0].lock), "acquire");
	co_yield();

	return co_lock_release(&locks[0].lock);
}

/* --- From outside -------------------------------------------------------- */

static pthread_t giver;
static long given;

static int take(void *unused)
{
	(void)unused;
	tick(0);

	return 0;
}

/* Never far ahead of what is done. */
static void *give(void *unused)
{
	(void)unused;
	while (!is_stopped()) {
		if (given - done_by_all() > AHEAD) {
			sched_yield();
			continue;
		}
		good(co_spawn(loop, take, NULL, NULL), "spawn");
		given++;
	}

	return NULL;
}

/* All workers are busy meanwhile. */
static int be_busy(unsigned i)
{
	if (i == 1 && giver == 0)
		need(pthread_create(&giver, NULL, give, NULL) == 0, "thread");

	return co_yield();
}

static void join_giver(unsigned i)
{
	if (i == 1)
		pthread_join(giver, NULL);
}

/* --- Sleep --------------------------------------------------------------- */

static int sleep_some(unsigned i)
{
	return co_sleep((1 + (i + progress[i].done) % 4) * CO_MILLISECOND);
}

/* --- Sockets ------------------------------------------------------------- */

static struct co_io *ends[2 * THREADS];

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

static void connect_all(unsigned tasks)
{
	for (unsigned i = 0; i < tasks; i += 2)
		connect_pair(&ends[i]);
}

/* The even ones ask, the odd ones answer. */
static int echo(unsigned i)
{
	char data[BYTES] = "";
	int rc = 0;

	if (i % 2 == 0)
		rc = co_io_write_full(ends[i], data, BYTES, NULL);
	if (rc == 0)
		rc = co_io_read_full(ends[i], data, BYTES, NULL);
	if (rc == 0 && i % 2 != 0)
		rc = co_io_write_full(ends[i], data, BYTES, NULL);

	return rc;
}

static void disconnect(unsigned i)
{
	co_io_close(ends[i]);
}

/* --- Results ------------------------------------------------------------- */

static void print(const char *group, const char *what, uint64_t count)
{
	if (count != 0)
		printf("%s%s\t%.7g\n", group, what,
				(double)count / (double)counted);
}

static void print_site(const struct count_site *site,
		const struct count_of_site *counts)
{
	const char *file = strrchr(site->file, '/');
	char what[128];

	snprintf(what, sizeof what, "%s:%d %s", file != NULL ? file + 1
			: site->file, site->line, site->function);
	print("site.", what, counts->times);
	print("moves of site.", what, counts->moves);
}

static void print_part(const char *part, uint64_t moves)
{
	print("part.", part, moves);
}

static void print_result(void)
{
	const struct count_totals *workers = count_result(COUNT_WORKERS);
	const struct count_totals *others = count_result(COUNT_OTHERS);

	need(counted > 0, "nothing was counted");
	printf("operations\t%ld\n", counted);
	if (time_taken > 0)
		printf("time\t%.7g\n", time_taken / (double)counted);
	else
		print("", "preemptions", preemptions);
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
	{ "yield", "a switch", 20000, 2, 0, 1, NULL, yield, NULL },
	{ "spawn", "a task spawned and joined", 5000, 1, 0, 1, NULL,
		spawn_and_join, NULL },
	{ "fib", "a part of fib, forked and joined", 22, 0, 0, 1, NULL, NULL,
		NULL },
	{ "channel-0", "an item handed over", 5000, 2, 0, 2,
		make_unbuffered, stream, close_channel },
	{ "channel-128", "an item put and got", 10000, 2, 0, 2,
		make_buffered, stream, close_channel },
	{ "many-to-many", "an item put and got", 10000, 0, 8, 2, make_one,
		stream, close_channel },
	{ "ping-pong", "a question and its answer", 20000, 0, 2, 2, make_two,
		converse, close_channel },
	{ "lock", "a lock acquired and released", 20000, 1, 0, 1, NULL,
		lock_own, NULL },
	{ "lock-shared", "a lock handed over", 1000, 4, 0, 1, NULL,
		lock_shared, NULL },
	{ "outside", "a task given by another thread", 5000, 2, 0, 0, NULL,
		be_busy, join_giver },
	{ "sleepers", "a sleep", 6, 200, 0, 1, NULL, sleep_some, NULL },
	{ "echo", "a question and its answer", 2000, 2, 0, 2, connect_all,
		echo, disconnect },
	{ NULL, NULL, 0, 0, 0, 1, NULL, NULL, NULL }
};

static int start(void *unused)
{
	(void)unused;
	if (row->operation != NULL)
		run_tasks();
	else
		run_fib();

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
	if (row->name == NULL || threads < 1 || threads > THREADS) {
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
