/* SPDX-License-Identifier: MIT */

/*
 * tsan_target.c - a program for ThreadSanitizer, with a library that was built
 * without it: what tests/tsan.sh runs
 *
 * tsan_target good NAME   shares memory by one of the library's means, or by
 *                         each if NAME is `all', and returns 0
 * tsan_target race NAME   does so by nothing that keeps order
 *
 * Whatever is shared is plain memory, so that all order comes from the library.
 */

#include <coloop.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TASKS = 8, ROUNDS = 30 };

/* What went wrong: a line, and the end. */
static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "not so: %s\n", what);
	exit(3);
}

#define CHECK(good) check(good, #good)

static long shared;

/* TASKS of FN(ARG), joined. */
static void run_tasks(co_task_fn *fn, void *arg)
{
	struct co_task *tasks[TASKS];

	for (int i = 0; i < TASKS; i++)
		CHECK(co_spawn(NULL, fn, arg, &tasks[i]) == 0);
	for (int i = 0; i < TASKS; i++)
		CHECK(co_join(tasks[i], NULL) == 0);
}

/* --- Locks ---------------------------------------------------------------- */

static struct co_lock lock = CO_LOCK_INIT;

static int add_locked(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 3 != 0)
			CHECK(co_lock_acquire(&lock) == 0);
		else
			while (co_lock_try_acquire(&lock) != 0)
				co_yield();
		shared++;
		if (i % 4 == 0)
			co_yield();
		shared++;
		CHECK(co_lock_release(&lock) == 0);
		if (i % 5 == 0)
			co_yield();
	}

	return 0;
}

static void use_locks(void)
{
	shared = 0;
	run_tasks(add_locked, NULL);
	CHECK(shared == 2 * TASKS * ROUNDS);
}

/* --- Channels ------------------------------------------------------------- */

static struct co_channel *channel, *second;

static int put_memory(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		long *memory = malloc(sizeof *memory);
		int rc;

		*memory = 1;
		if (i % 2 == 0)
			rc = co_channel_put(channel, &memory);
		else
			while ((rc = co_channel_try_put(channel, &memory))
					== -EAGAIN)
				co_yield();
		CHECK(rc == 0);
	}

	return 0;
}

/* What it gets is its own, and then the group's. */
static int get_memory(void *arg)
{
	long *memory, *count = arg;

	while (co_channel_get(channel, &memory) == 0) {
		*count += *memory;
		free(memory);
	}

	return 0;
}

static void pass_memory(size_t capacity)
{
	struct co_group getters;
	long counts[3] = { 0, 0, 0 };

	CHECK(co_channel_create(NULL, sizeof(long *), capacity, &channel)
			== 0);
	CHECK(co_group_init(&getters, NULL, 0) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(co_group_spawn(&getters, get_memory, &counts[i]) == 0);
	run_tasks(put_memory, NULL);
	CHECK(co_channel_close(channel) == 0);
	CHECK(co_group_wait(&getters, NULL) == 0);
	CHECK(counts[0] + counts[1] + counts[2] == TASKS * ROUNDS);
	CHECK(co_group_deinit(&getters) == 0);
	CHECK(co_channel_destroy(channel) == 0);
}

static void use_channels(void)
{
	pass_memory(0);
	pass_memory(4);
}

struct letter {
	char text[100];
	long *memory;
};

static int put_letter(void *arg)
{
	struct letter letter = { "hello", malloc(sizeof(long)) };

	(void)arg;
	*letter.memory = 5;
	CHECK(co_channel_put(second, &letter) == 0);

	return 0;
}

/* From either, by a select; items are copied into the stack of who waits. */
static int select_any(void *arg)
{
	struct letter first_letter, second_letter;
	struct co_select_case cases[] = {
		CO_SELECT_CASE_GET(channel, &first_letter),
		CO_SELECT_CASE_GET(second, &second_letter),
	};
	int n = co_select(cases, 2);

	(void)arg;
	CHECK(n == 1);
	CHECK(strcmp(second_letter.text, "hello") == 0);
	CHECK(*second_letter.memory == 5);
	free(second_letter.memory);

	return 0;
}

static int put_then_select(void *arg)
{
	struct co_task *putter;

	CHECK(co_spawn(NULL, put_letter, NULL, &putter) == 0);
	select_any(arg);

	return co_join(putter, NULL);
}

static void use_select(void)
{
	for (size_t capacity = 0; capacity < 2; capacity++) {
		size_t size = sizeof(struct letter);

		CHECK(co_channel_create(NULL, size, capacity, &channel) == 0);
		CHECK(co_channel_create(NULL, size, capacity, &second) == 0);
		run_tasks(put_then_select, NULL);
		CHECK(co_channel_destroy(channel) == 0);
		CHECK(co_channel_destroy(second) == 0);
	}
}

/* --- Tasks ---------------------------------------------------------------- */

/* Compilers keep what only a function knows from the sanitizer. */
static __attribute__((noinline)) void fill(char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = 1;
}

static int fill_stack(void *arg)
{
	char mine[1000];
	long *sum = arg;

	fill(mine, sizeof mine);
	co_yield();
	for (size_t i = 0; i < sizeof mine; i++)
		*sum += mine[i];

	return 7;
}

/* Each after the other has the same stack, and is joined before it ends, or
 * after that. */
static int spawn_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct co_task *task;
		long sum = 5;
		int result;

		CHECK(co_spawn(NULL, fill_stack, &sum, &task) == 0);
		if (i % 2 == 0)
			co_sleep(100 * CO_MICROSECOND);
		CHECK(co_join(task, &result) == 0);
		CHECK(result == 7 && sum == 1005);
	}

	return 0;
}

static int fill_only(void *arg)
{
	char mine[1000];

	(void)arg;
	fill(mine, sizeof mine);
	co_yield();

	return mine[7];
}

static void use_tasks(void)
{
	run_tasks(spawn_often, NULL);
	/* The same where nobody knows that one has ended. */
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(co_spawn(NULL, fill_only, NULL, NULL) == 0);
		co_sleep(100 * CO_MICROSECOND);
	}
}

static int add_one(void *arg)
{
	++*(long *)arg;
	co_yield();

	return 0;
}

/* All members have written when the wait is over. */
static void use_groups(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		long values[TASKS] = { 0 };
		struct co_group group;

		CHECK(co_group_init(&group, NULL, 0) == 0);
		for (int i = 0; i < TASKS; i++)
			CHECK(co_group_spawn(&group, add_one, &values[i])
					== 0);
		CHECK(co_group_wait(&group, NULL) == 0);
		for (int i = 0; i < TASKS; i++)
			CHECK(values[i] == 1);
		CHECK(co_group_deinit(&group) == 0);
	}
}

struct baton {
	struct co_loop *loop;
	struct co_task *task;
	long value;
};

static int pass_on(void *arg)
{
	struct baton *baton = arg;

	baton->value++;

	return co_resume(baton->task);
}

/* On the scheduler's stack. */
static void has_parked(struct co_task *self, void *arg)
{
	struct baton *baton = arg;

	baton->task = self;
	baton->value++;
	CHECK(co_spawn(NULL, pass_on, baton, NULL) == 0);
}

static int suspend_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct baton baton = { NULL, NULL, 0 };

		CHECK(co_suspend(has_parked, &baton) == 0);
		CHECK(baton.value == 2);
	}

	return 0;
}

static void use_suspend(void)
{
	run_tasks(suspend_often, NULL);
}

static int add_in_thread(void *arg)
{
	++*(long *)arg;

	return 0;
}

static int block_often(void *arg)
{
	long value = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		CHECK(co_blocking(add_in_thread, &value, NULL) == 0);
	CHECK(value == ROUNDS);

	return 0;
}

static void use_blocking(void)
{
	run_tasks(block_often, NULL);
}

/* --- Without waiting ------------------------------------------------------ */

struct work {
	union {
		struct co_queue_node queued;
		struct co_stack_node stacked;
		struct co_tick tick;
	};
	struct co_task *waiter;
	long value;
};

static struct co_queue queue;
static struct co_stack stack;

static void *put_work(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct work *work = malloc(sizeof *work);

		work->value = 1;
		co_queue_put(&queue, &work->queued);
	}

	return arg;
}

static void *push_work(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct work *work = malloc(sizeof *work);

		work->value = 1;
		if (i % 2 != 0 || !co_stack_push_first(&stack, &work->stacked))
			co_stack_push(&stack, &work->stacked);
	}

	return arg;
}

/* What a thread adds, by ADD, is taken meanwhile; either is a struct work. */
static void take_from(void *(*add)(void *), void *(*take)(void))
{
	pthread_t thread;
	long count = 0;

	CHECK(pthread_create(&thread, NULL, add, NULL) == 0);
	while (count < ROUNDS) {
		struct work *work = take();

		if (work != NULL)
			count += work->value;
		free(work);
		co_yield();
	}
	CHECK(pthread_join(thread, NULL) == 0);
}

static void *get_work(void)
{
	return co_queue_get(&queue);
}

static void *pop_work(void)
{
	return co_stack_pop(&stack);
}

static void use_queues(void)
{
	co_queue_init(&queue);
	take_from(put_work, get_work);
}

static void use_stacks(void)
{
	co_stack_init(&stack);
	take_from(push_work, pop_work);
}

/* On the scheduler's stack. */
static void tick(struct co_tick *tick)
{
	struct work *work = (struct work *)(void *)tick;

	work->value++;
	CHECK(co_resume(work->waiter) == 0);
}

static void send_tick(struct co_task *self, void *arg)
{
	struct work *work = arg;

	work->waiter = self;
	work->tick.run = tick;
	CHECK(co_loop_on_next_tick(co_loop_current(), &work->tick) == 0);
}

static int tick_often(void *arg)
{
	struct work work = { .value = 0 };

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		CHECK(co_suspend(send_tick, &work) == 0);
	CHECK(work.value == ROUNDS);

	return 0;
}

static void use_ticks(void)
{
	run_tasks(tick_often, NULL);
}

/* What another thread spawns and resumes. */
static void *spawn_from_outside(void *arg)
{
	struct baton *baton = arg;
	struct co_loop *loop = baton->loop;

	baton->value = 3;
	CHECK(co_spawn(loop, pass_on, baton, NULL) == 0);
	CHECK(co_loop_unref(loop) == 0);

	return NULL;
}

static void send_thread(struct co_task *self, void *arg)
{
	struct baton *baton = arg;
	pthread_t thread;

	baton->task = self;
	CHECK(co_loop_ref(baton->loop) == 0);
	CHECK(pthread_create(&thread, NULL, spawn_from_outside, baton) == 0);
	CHECK(pthread_detach(thread) == 0);
}

static void use_outside(void)
{
	for (int i = 0; i < ROUNDS / 5; i++) {
		struct baton baton = { co_loop_current(), NULL, 0 };

		CHECK(co_suspend(send_thread, &baton) == 0);
		CHECK(baton.value == 4);
	}
}

/* --- Descriptors ---------------------------------------------------------- */

struct watch {
	struct co_resume_node node;
	struct co_loop *loop;
	int fd;
	long count;
	atomic_long told;	/* the same, and orders nothing */
};

static void readable(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)(void *)node;
	char byte;

	(void)events;
	while (read(watch->fd, &byte, 1) == 1) {
		watch->count++;
		atomic_fetch_add_explicit(&watch->told, 1,
				memory_order_relaxed);
	}
}

static void open_watched(int ends[2])
{
	CHECK(pipe(ends) == 0);
	CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
}

static void close_watched(int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

/* Nothing but the watch orders what is written here, what ready() counts, and
 * who asks for it. */
static void begin_watch(struct watch *watch, const int ends[2])
{
	watch->node.ready = readable;
	watch->loop = co_loop_current();
	watch->fd = ends[0];
	watch->count = watch->told = 0;
	CHECK(co_loop_add_fd(watch->loop, watch->fd, CO_READABLE, &watch->node)
			== 0);
	CHECK(write(ends[1], "abc", 3) == 3);
}

static void end_watch(struct watch *watch)
{
	CHECK(co_loop_remove_fd(watch->loop, watch->fd) == 0);
	readable(&watch->node, CO_READABLE);
	CHECK(watch->count == 3);
}

static int watch_often(void *arg)
{
	int ends[2];

	(void)arg;
	open_watched(ends);
	for (int i = 0; i < ROUNDS / 5; i++) {
		struct watch watch;

		begin_watch(&watch, ends);
		co_sleep(200 * CO_MICROSECOND);
		end_watch(&watch);
	}
	close_watched(ends);

	return 0;
}

static bool is_told(struct watch *watch)
{
	return atomic_load_explicit(&watch->told, memory_order_relaxed) == 3;
}

/* In a thread that has seen nothing else of what the loop's did. */
static void *end_when_told(void *arg)
{
	while (!is_told(arg))
		sched_yield();
	end_watch(arg);

	return NULL;
}

static void use_watches(void)
{
	struct watch watch;
	pthread_t thread;
	int ends[2];

	run_tasks(watch_often, NULL);
	open_watched(ends);
	begin_watch(&watch, ends);
	CHECK(pthread_create(&thread, NULL, end_when_told, &watch) == 0);
	while (!is_told(&watch))
		co_yield();
	CHECK(pthread_join(thread, NULL) == 0);
	close_watched(ends);
}

static struct co_io *ends[2];

static int read_words(void *arg)
{
	long word;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(co_io_read_full(ends[0], &word, sizeof word, NULL) == 0);
		CHECK(word == i);
	}

	return 0;
}

static void use_io(void)
{
	struct co_task *reader;
	int fds[2];

	CHECK(pipe(fds) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(co_io_open(NULL, fds[i], &ends[i]) == 0);
	CHECK(co_spawn(NULL, read_words, NULL, &reader) == 0);
	for (long i = 0; i < ROUNDS; i++) {
		CHECK(co_io_write_full(ends[1], &i, sizeof i, NULL) == 0);
		co_yield();
	}
	CHECK(co_join(reader, NULL) == 0);
	CHECK(co_io_close(ends[0]) == 0 && co_io_close(ends[1]) == 0);
}

static int write_word(void *arg)
{
	long word = 1;

	return co_io_write_full(arg, &word, sizeof word, NULL);
}

static int read_on(void *arg)
{
	long word;

	while (co_io_read_full(arg, &word, sizeof word, NULL) == 0)
		;

	return 0;
}

/* Who has used it has nothing to do with who closes it, or leaves it last. */
static void use_closed(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct co_task *reader, *writer;
		int fds[2];

		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		CHECK(co_io_open(NULL, fds[0], &ends[0]) == 0);
		CHECK(co_spawn(NULL, read_on, ends[0], &reader) == 0);
		CHECK(co_spawn(NULL, write_word, ends[0], &writer) == 0);
		co_sleep(100 * CO_MICROSECOND);
		CHECK(co_io_close(ends[0]) == 0);
		CHECK(co_join(reader, NULL) == 0);
		CHECK(co_join(writer, NULL) == 0);
		close(fds[1]);
	}
}

/* --- Races ---------------------------------------------------------------- */

static int add_unlocked(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (arg != NULL)
			CHECK(co_lock_acquire(arg) == 0);
		shared++;
		if (arg != NULL)
			CHECK(co_lock_release(arg) == 0);
		co_yield();
	}

	return 0;
}

static void race_for_nothing(void)
{
	run_tasks(add_unlocked, NULL);
}

/* Each has a lock of its own. */
static int add_wrongly(void *arg)
{
	struct co_lock mine = CO_LOCK_INIT;

	(void)arg;

	return add_unlocked(&mine);
}

static void race_with_locks(void)
{
	run_tasks(add_wrongly, NULL);
}

/* What a task works on is looked at before the task is joined. */
static void race_with_end(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct co_task *task;
		long sum = 0;

		CHECK(co_spawn(NULL, fill_stack, &sum, &task) == 0);
		while (*(volatile long *)&sum == 0)
			co_yield();
		CHECK(co_join(task, NULL) == 0);
	}
}

/* What a task was given is used on, though not at the same moment. */
static void race_with_given(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct co_task *task;
		long value = 0;

		CHECK(co_spawn(NULL, add_one, &value, &task) == 0);
		co_sleep(100 * CO_MICROSECOND);
		value++;
		CHECK(co_join(task, NULL) == 0);
	}
}

/* --- The program ---------------------------------------------------------- */

static const struct mode {
	const char *kind, *name;
	void (*run)(void);
} modes[] = {
	{ "good", "locks", use_locks }, { "good", "channels", use_channels },
	{ "good", "select", use_select }, { "good", "tasks", use_tasks },
	{ "good", "groups", use_groups }, { "good", "suspend", use_suspend },
	{ "good", "blocking", use_blocking }, { "good", "queues", use_queues },
	{ "good", "stacks", use_stacks }, { "good", "ticks", use_ticks },
	{ "good", "outside", use_outside }, { "good", "watches", use_watches },
	{ "good", "io", use_io }, { "good", "closed", use_closed },
	{ "race", "nothing", race_for_nothing },
	{ "race", "locks", race_with_locks }, { "race", "end", race_with_end },
	{ "race", "given", race_with_given },
};

static int run_mode(void *arg)
{
	char **words = arg;
	int found = 0;

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(words[1], modes[i].kind) != 0
				|| (strcmp(words[2], modes[i].name) != 0
				&& strcmp(words[2], "all") != 0))
			continue;
		found = 1;
		modes[i].run();
	}

	return found ? 0 : 2;
}

int main(int argc, char **argv)
{
	return argc == 3 ? co_run(run_mode, argv) : 2;
}
