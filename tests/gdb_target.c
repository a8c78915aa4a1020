/* SPDX-License-Identifier: MIT */

/*
 * gdb_target.c - what tests/gdb.sh looks at in a debugger
 *
 * A loop of one thread, where each task's state is known when `stop_here' is
 * called: there is one in each kind of wait, each behind a chain of calls, one
 * that has ended, some that are about to run, and the one that calls.  Another
 * loop runs in other threads meanwhile.  Then all are let go, and the exit
 * status tells whether each was undisturbed.
 */

#include <coloop.h>

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEEP 50

static struct co_channel *empty, *full;
static struct co_group group;
static struct co_lock lock = CO_LOCK_INIT;
static struct co_io *reader, *writer;
static struct co_task *suspended, *sleeper;
static struct co_loop *other;
static sem_t blocks, unblock;
static int read_end[2], write_end[2], waited_end[2];
static bool released;
static int wrong;

static void expect(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "gdb_target: %s\n", what);
		wrong = 1;
	}
}

/* --- Tasks that wait ------------------------------------------------------ */

/* Each call has a variable that the next one may change, so no compiler makes a
 * loop of them. */
static __attribute__((noinline)) int get_deeply(int depth, int *callers)
{
	int item = 0, mine = depth, rc;

	if (depth == 0)
		rc = co_channel_get(empty, &item);
	else
		rc = get_deeply(depth - 1, &mine);
	*callers += 1;

	return rc + (mine - depth - (depth > 0));
}

static int in_get(void *arg)
{
	volatile int local_of_get = 4711;
	int calls = 0;

	(void)arg;
	expect(get_deeply(DEEP, &calls) == 0 && calls == 1, "get");
	expect(local_of_get == 4711, "a local variable");

	return local_of_get;
}

static int in_put(void *arg)
{
	int item = 1;

	(void)arg;
	expect(co_channel_put(full, &item) == 0, "put");

	return 0;
}

static int in_select(void *arg)
{
	int item;
	struct co_select_case cases[] = {
		CO_SELECT_CASE_GET(empty, &item),
	};

	(void)arg;
	expect(co_select(cases, 1) == 0, "select");

	return 0;
}

static int in_lock(void *arg)
{
	(void)arg;
	expect(co_lock_acquire(&lock) == 0, "lock");
	co_lock_release(&lock);

	return 0;
}

static int in_sleep(void *arg)
{
	(void)arg;
	expect(co_sleep(CO_HOUR) == -ECANCELED, "sleep");

	return 0;
}

static void parked(struct co_task *task, void *arg)
{
	(void)arg;
	suspended = task;
}

static int in_suspend(void *arg)
{
	(void)arg;
	expect(co_suspend(parked, NULL) == 0, "suspend");

	return 0;
}

static int in_join(void *arg)
{
	int result = 0;

	expect(co_join(arg, &result) == 0 && result == 4711, "join");

	return 0;
}

static int in_group(void *arg)
{
	expect(co_group_wait(arg, NULL) == 0, "wait for a group");
	expect(co_group_deinit(arg) == 0, "the end of a group");

	return 0;
}

static int in_read(void *arg)
{
	char byte = 0;

	(void)arg;
	expect(co_io_read(reader, &byte, 1) == 1 && byte == 'r', "read");

	return 0;
}

static int in_write(void *arg)
{
	static char much[1 << 20];

	(void)arg;
	expect(co_io_write_full(writer, much, sizeof much, NULL) == -EPIPE,
			"write");

	return 0;
}

static int in_wait_fd(void *arg)
{
	(void)arg;
	expect(co_wait_fd(waited_end[0], CO_READABLE) == CO_READABLE,
			"wait_fd");

	return 0;
}

/* In a thread that runs no task. */
static int block(void *arg)
{
	(void)arg;
	sem_post(&blocks);
	while (sem_wait(&unblock) < 0)
		;

	return 8;
}

static int in_blocking(void *arg)
{
	int result = 0;

	(void)arg;
	expect(co_blocking(block, NULL, &result) == 0 && result == 8,
			"blocking");

	return 0;
}

/* --- Tasks that don't ------------------------------------------------------ */

static int yields(void *arg)
{
	(void)arg;
	while (!released)
		co_yield();

	return 0;
}

static int ends(void *arg)
{
	(void)arg;

	return 42;
}

static int never_ran(void *arg)
{
	(void)arg;
	expect(released, "it ran too early");

	return 0;
}

static struct co_task *spawn(const char *name, co_task_fn *fn, void *arg,
		bool keeps)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task = NULL;

	attr.name = name;
	if (co_spawn_with(NULL, &attr, fn, arg, keeps ? &task : NULL) != 0)
		abort();

	return task;
}

/* --- The one that is looked at ---------------------------------------------- */

/* Whether all threads there wait, and none is about to wake up: the system tells
 * at once of a new socket that it can be written to.  As it is told, and counted,
 * nobody waits for it, so the idle are to be counted after it has been. */
static bool other_is_idle(void)
{
	static bool was_told;
	struct co_loop_stats stats = { .size = sizeof stats };
	bool told = was_told;

	co_loop_stats(other, &stats);
	was_told = stats.spawned == 1 && stats.events > 0;

	return told && stats.idle == stats.threads;
}

__attribute__((noinline)) void stop_here(void);
void stop_here(void)
{
	__asm__ volatile("" : : : "memory");
}

static void let_go(void)
{
	static char byte = 'r';
	int item = 0;

	released = true;
	expect(co_channel_put(empty, &item) == 0, "put to get");
	expect(co_channel_put(empty, &item) == 0, "put to select");
	expect(co_channel_get(full, &item) == 0, "get from put");
	co_lock_release(&lock);
	co_cancel(sleeper);
	co_group_cancel(&group);
	expect(co_resume(suspended) == 0, "resume");
	expect(write(read_end[1], &byte, 1) == 1
			&& write(waited_end[1], &byte, 1) == 1, "write");
	close(write_end[0]);
	sem_post(&unblock);
}

static int runs(void *arg)
{
	struct co_task *getter, *ended;
	int item = 0;

	(void)arg;
	if (co_channel_create(NULL, sizeof(int), 0, &empty) < 0
			|| co_channel_create(NULL, sizeof(int), 1, &full) < 0
			|| co_io_open(NULL, read_end[0], &reader) < 0
			|| co_io_open(NULL, write_end[1], &writer) < 0
			|| co_channel_put(full, &item) < 0
			|| co_lock_acquire(&lock) < 0)
		abort();
	if (co_group_init(&group, NULL, 0) < 0
			|| co_group_spawn_with(&group, &(struct co_task_attr){
				.size = sizeof(struct co_task_attr),
				.name = "child" }, in_sleep, NULL) < 0)
		abort();
	getter = spawn("getter", in_get, NULL, true);
	spawn("grouper", in_group, &group, false);
	spawn("putter", in_put, NULL, false);
	spawn("selecter", in_select, NULL, false);
	spawn("locker", in_lock, NULL, false);
	sleeper = spawn("sleeper", in_sleep, NULL, true);
	spawn("suspender", in_suspend, NULL, false);
	spawn("joiner", in_join, getter, false);
	spawn("reader", in_read, NULL, false);
	spawn("writer", in_write, NULL, false);
	spawn("waiter", in_wait_fd, NULL, false);
	spawn("blocker", in_blocking, NULL, false);
	ended = spawn("ended", ends, NULL, true);
	spawn("yielder", yields, NULL, false);
	for (int i = 0; i < 100 || !other_is_idle(); i++)
		co_yield();
	while (sem_trywait(&blocks) < 0)
		co_yield();
	spawn("newborn", never_ran, NULL, false);
	stop_here();
	let_go();
	expect(co_join(ended, &item) == 0 && item == 42, "the ended");

	return co_join(sleeper, NULL);
}

/* --- Another loop ----------------------------------------------------------- */

static int over_there(void *arg)
{
	char byte;
	struct co_io *io;

	(void)arg;
	co_task_set_name(NULL, "elsewhere");
	if (co_io_open(NULL, dup(waited_end[1]), &io) < 0)
		abort();
	/* Until the other end is closed. */
	expect(co_io_read(io, &byte, 1) <= 0, "read over there");
	co_io_close(io);

	return 0;
}

static void *run_other(void *arg)
{
	expect(co_loop_run(arg) == 0, "the other loop");

	return NULL;
}

int main(void)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop;
	struct co_task *task;
	pthread_t thread;

	if (pipe(read_end) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, write_end)
			|| socketpair(AF_UNIX, SOCK_STREAM, 0, waited_end))
		abort();
	sem_init(&blocks, 0, 0);
	sem_init(&unblock, 0, 0);
	options.threads = 3;
	if (co_loop_create_single_threaded(&loop) < 0
			|| co_loop_create(&options, &other) < 0
			|| co_spawn(other, over_there, NULL, NULL) < 0
			|| pthread_create(&thread, NULL, run_other, other) != 0)
		abort();
	co_spawn(loop, runs, NULL, &task);
	co_task_set_name(task, "runner");
	expect(co_loop_run(loop) == 0, "the loop");
	close(waited_end[0]);
	pthread_join(thread, NULL);
	co_loop_destroy(loop);
	co_loop_destroy(other);

	return wrong;
}
