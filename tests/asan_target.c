/* SPDX-License-Identifier: MIT */

/*
 * asan_target.c - a program for AddressSanitizer, with a library that was built
 * without it: what tests/asan.sh runs
 *
 * asan_target good        does nothing wrong, and returns 0
 * asan_target kept        ends while only the stacks of tasks, and of main(),
 *                         point to memory
 * asan_target given       ends while only tasks that have not begun do
 * asan_target dropped     destroys loops whose tasks have not ended, and looks
 *                         whether anything is left of them
 * asan_target leaked      ends while nobody points to memory
 * asan_target returned    reads a variable of a function that has returned
 * asan_target overrun     writes behind an array of a task
 * asan_target small       frees memory twice, on the smallest stack
 * asan_target read        has too much read into memory of a task
 */

#include <coloop.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TASKS = 20, ROUNDS = 30, DEPTH = 20 };

static struct co_channel *channel;
static volatile int *of_returned;

/* Frames with arrays, which are poisoned around, left in the middle. */
static __attribute__((noinline)) int descend(int depth, const char *above)
{
	char mine[200];

	memset(mine, above[1], sizeof mine);
	co_yield();

	return depth > 0 ? descend(depth - 1, mine) : mine[5];
}

/* Leaves its frame as nobody expects. */
static __attribute__((noinline)) void jump(jmp_buf where)
{
	char mine[100];

	memset(mine, 1, sizeof mine);
	co_yield();
	longjmp(where, mine[7]);
}

static int put_often(void *arg)
{
	char mine[64];
	jmp_buf here;

	(void)arg;
	memset(mine, 0, sizeof mine);
	for (volatile int i = 0; i < ROUNDS; i++) {
		int item = i;
		char *memory = malloc(10);

		if (setjmp(here) == 0)
			jump(here);
		descend(DEPTH, mine);
		memset(memory, 0, 10);
		co_channel_put(channel, &item);
		co_sleep(10 * CO_MICROSECOND);
		free(memory);
	}

	return 0;
}

static int get_all(void *arg)
{
	char mine[32];
	int item;

	(void)arg;
	memset(mine, 0, sizeof mine);
	while (co_channel_get(channel, &item) == 0)
		descend(3, mine);

	return 0;
}

static int be_good(void *arg)
{
	struct co_task *putters[TASKS], *getter;
	int rc = co_channel_create(NULL, sizeof(int), 4, &channel);

	(void)arg;
	if (rc == 0)
		rc = co_spawn(NULL, get_all, NULL, &getter);
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = co_spawn(NULL, put_often, NULL, &putters[i]);
	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = co_join(putters[i], NULL);
	if (rc == 0)
		rc = co_channel_close(channel);
	if (rc == 0)
		rc = co_join(getter, NULL);

	return rc == 0 ? co_channel_destroy(channel) : rc;
}

/* What it got is in its frame only. */
static int keep(void *arg)
{
	char *volatile memory = malloc(1000);

	(void)arg;
	co_sleep(CO_HOUR);
	free(memory);

	return 0;
}

static int exit_soon(void *arg)
{
	for (int i = 0; i < TASKS; i++)
		co_spawn(NULL, keep, arg, NULL);
	co_sleep(20 * CO_MILLISECOND);
	exit(0);
}

static int free_given(void *arg)
{
	free(arg);

	return 0;
}

static int exit_now(void *arg)
{
	(void)arg;
	exit(0);
}

static __attribute__((noinline)) int give(struct co_loop *loop)
{
	int rc = co_spawn(loop, exit_now, NULL, NULL);

	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = co_spawn(loop, free_given, malloc(1000), NULL);

	return rc;
}

/* What functions that have returned have left on the stack. */
static __attribute__((noinline)) void wipe(void)
{
	volatile char mine[4000];

	for (size_t i = 0; i < sizeof mine; i++)
		mine[i] = 0;
}

static int give_and_exit(void)
{
	struct co_loop *loop;
	int rc = co_loop_create(NULL, &loop);

	if (rc == 0)
		rc = give(loop);
	wipe();

	return rc == 0 ? co_loop_run(loop) : rc;
}

static int stay(void *arg)
{
	volatile char mine[50];

	(void)arg;
	mine[0] = 0;
	co_sleep(CO_HOUR);

	return mine[0];
}

static int stop_soon(void *arg)
{
	(void)arg;
	co_sleep(CO_MILLISECOND);

	return co_loop_stop(co_loop_current());
}

static int drop(void)
{
	struct co_loop *loop;
	int rc = co_loop_create(NULL, &loop);

	for (int i = 0; i < TASKS && rc == 0; i++)
		rc = co_spawn(loop, stay, NULL, NULL);
	if (rc == 0)
		rc = co_spawn(loop, stop_soon, NULL, NULL);
	if (rc == 0)
		rc = co_loop_run(loop);

	return rc == 0 ? co_loop_destroy(loop) : rc;
}

/* The memory that is mapped, in MiB, or 0. */
static long mapped(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long pages = 0;

	if (file == NULL || fscanf(file, "%ld", &pages) != 1)
		pages = 0;
	if (file != NULL)
		fclose(file);

	return pages / ((1 << 20) / sysconf(_SC_PAGESIZE));
}

static int drop_often(void)
{
	int rc = drop();
	long before = mapped();

	for (int i = 0; i < ROUNDS && rc == 0; i++)
		rc = drop();

	return rc == 0 ? mapped() > before + TASKS * ROUNDS / 4 : rc;
}

static __attribute__((noinline)) void forget(void)
{
	char *volatile memory = malloc(1000);

	memory[0] = 1;
	memory = NULL;
}

static int leak(void *arg)
{
	(void)arg;
	forget();

	return 0;
}

static __attribute__((noinline)) void tell(void)
{
	volatile int mine = 3;

	of_returned = &mine;
	co_yield();
}

static int read_returned(void *arg)
{
	(void)arg;
	tell();
	co_yield();

	return *of_returned == 3;
}

static int overrun(void *arg)
{
	char mine[16];
	volatile size_t size = sizeof mine + 1;

	(void)arg;
	co_yield();
	memset(mine, 0, size);

	return mine[3];
}

static int free_twice(void *arg)
{
	char *volatile memory = malloc(10);

	(void)arg;
	free(memory);
	free(memory);

	return 0;
}

static int on_small_stack(void *arg)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task;
	int rc;

	attr.stack_size = 16384;
	rc = co_spawn_with(NULL, &attr, free_twice, arg, &task);

	return rc == 0 ? co_join(task, NULL) : rc;
}

static int read_too_much(void *arg)
{
	char *memory = malloc(8);
	struct co_io *io;
	int ends[2];

	(void)arg;
	if (pipe(ends) < 0 || write(ends[1], "0123456789", 10) != 10
			|| co_io_open(NULL, ends[0], &io) < 0)
		return 1;
	co_io_read(io, memory, 10);
	free(memory);

	return 0;
}

static __attribute__((noinline)) char *allocate(void)
{
	return malloc(1000);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		co_task_fn *fn;
	} modes[] = {
		{ "good", be_good }, { "kept", exit_soon },
		{ "leaked", leak }, { "returned", read_returned },
		{ "overrun", overrun }, { "read", read_too_much },
		{ "small", on_small_stack },
	};
	char *volatile mine = allocate();
	int rc = 2;

	wipe();
	for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			rc = co_run(modes[i].fn, NULL);
	if (argc == 2 && strcmp(argv[1], "given") == 0)
		rc = give_and_exit();
	if (argc == 2 && strcmp(argv[1], "dropped") == 0)
		rc = drop_often();
	free(mine);

	return rc;
}
