/* SPDX-License-Identifier: MIT */

/* blocking.c - calls that block, withdrawn, stopped, and more than threads */

#include "explore.h"

#include <errno.h>

#include <coloop/blocking.h>
#include <coloop/task.h>

#include "atomic.h"

static struct co_loop *loop;
static AO_t begun;		/* atomic: calls */
static unsigned ended[2];	/* plain: each its own task's */

static bool meet;		/* constant in a run: calls wait for another */

static int block(void *arg)
{
	unsigned *mine = arg;

	AO_fetch_and_add1(&begun);
	while (meet && AO_load(&begun) < 2)
		co__atomic_pause();
	explore_step();
	++*mine;
	explore_step();

	return 7;
}

/* What it returns has happened, and what doesn't won't. */
static int call(void *arg)
{
	unsigned *mine = arg, before = *mine;
	int result = 0, rc = co_blocking(block, arg, &result);

	explore_expect(*mine, before + (rc == 0));
	explore_expect(result, rc == 0 ? 7 : 0);

	return rc;
}

static int call_twice(void *arg)
{
	int rc = call(arg);

	return rc == 0 ? call(arg) : rc;
}

/* THREADS that run tasks, of which there are two, and up to MOST for calls. */
static void begin(unsigned threads, unsigned most, co_task_fn *fn,
		struct co_task *ret_tasks[2])
{
	loop = explore_loop_with(threads, most);
	AO_store(&begun, 0);
	for (int i = 0; i < 2; i++) {
		ended[i] = 0;
		explore_expect(co_spawn(loop, fn, &ended[i], &ret_tasks[i]), 0);
	}
}

static int join(struct co_task *task)
{
	int result = 1;

	explore_expect(co_join(task, &result), 0);

	return result;
}

/* --- More calls than threads ---------------------------------------------- */

static void run_calls(co_task_fn *fn, unsigned most, size_t calls)
{
	struct co_task *tasks[2];

	begin(2, most, fn, tasks);
	explore_expect(co_loop_run(loop), 0);
	for (int i = 0; i < 2; i++)
		explore_expect(join(tasks[i]), 0);
	explore_expect(AO_load(&begun), calls);
	explore_expect(co_loop_destroy(loop), 0);
}

static void run_few(void)
{
	meet = false;
	run_calls(call_twice, 1, 4);
}

static void run_many(void)
{
	meet = true;
	run_calls(call, 2, 2);
}

/* The workers run: from here on other threads may not come. */
static int call_without_threads(void *arg)
{
	explore_with_failing_threads();

	return call(arg);
}

/* Nobody is left to wait for a thread that doesn't come. */
static void run_without_threads(void)
{
	struct co_task *tasks[2];
	AO_t returned = 0;

	meet = false;
	begin(2, 1, call_without_threads, tasks);
	explore_expect(co_loop_run(loop), 0);
	for (int i = 0; i < 2; i++) {
		int rc = join(tasks[i]);

		explore_check(rc == 0 || rc == -EAGAIN);
		returned += rc == 0;
	}
	explore_expect(AO_load(&begun), returned);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Cancelled ------------------------------------------------------------- */

static void *cancel(void *arg)
{
	struct co_task **tasks = arg;

	while (AO_load(&begun) == 0)
		co__atomic_pause();
	for (int i = 0; i < 2; i++)
		explore_expect(co_cancel(tasks[i]), 0);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* Call once more, hiding what has come. */
static int call_despite(void *arg)
{
	int rc = call(arg);

	explore_expect(co_cancel_mask(1), 0);
	explore_expect(call(arg), 0);

	return rc;
}

/* Just when it begins, or before, or while it runs. */
static void run_cancel(void)
{
	struct co_task *tasks[2];
	AO_t returned = 0;
	int other;

	meet = false;
	begin(2, 1, call_despite, tasks);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(cancel, tasks);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	for (int i = 0; i < 2; i++) {
		int rc = join(tasks[i]);

		explore_check(rc == 0 || rc == -ECANCELED);
		returned += rc == 0;
	}
	explore_expect(AO_load(&begun), returned + 2);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Stopped --------------------------------------------------------------- */

static void *stop(void *arg)
{
	while (AO_load(&begun) == 0)
		co__atomic_pause();
	explore_expect(co_loop_stop(loop), 0);

	return arg;
}

/* What has begun ends with the run; what has not begins in the next. */
static void run_stop(void)
{
	struct co_task *tasks[2];
	int other;

	meet = false;
	begin(1, 1, call, tasks);
	other = explore_thread(stop, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(AO_load(&begun), ended[0] + ended[1]);
	explore_join(other);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(co_loop_run(loop), 0);
	for (int i = 0; i < 2; i++)
		explore_expect(join(tasks[i]), 0);
	explore_expect(AO_load(&begun), 2);
	explore_expect(co_loop_destroy(loop), 0);
}

const struct explore_scenario explore_blocking[] = {
	{ "blocking: more calls than threads", run_few, 500, false },
	{ "blocking: a thread for each", run_many, 500, false },
	{ "blocking: no threads", run_without_threads, 800, false },
	{ "blocking: cancelled", run_cancel, 800, false },
	{ "blocking: stopped", run_stop, 500, false },
	{ NULL, NULL, 0, false },
};
