/* SPDX-License-Identifier: MIT */

/* outside.c - what threads that are no workers do to a loop, its tasks and
 * locks */

#include "explore.h"

#include <errno.h>

#include <coloop/lock.h>
#include <coloop/task.h>
#include <coloop/time.h>

#include "debugger.h"
#include "loop.h"

static struct co_loop *loop;
static struct co_lock *lock;
static AO_t count;		/* atomic: what has been done */
static unsigned content;	/* plain: what the lock is for */

/* --- The end of a lock ---------------------------------------------------- */

static void make_lock(void)
{
	lock = explore_allocator.allocate(NULL, sizeof *lock);
	co_lock_init(lock);
	explore_expect(co_lock_try_acquire(lock), 0);
	content = 0;
}

static void *release_lock(void *arg)
{
	(void)arg;
	content = 1;
	explore_expect(co_lock_release(lock), 0);

	return NULL;
}

static void free_lock(void)
{
	explore_expect(co_lock_deinit(lock), 0);
	explore_allocator.release(NULL, lock, sizeof *lock);
}

/* Who released it before the last user may still hold its strand. */
static void run_lock_end(void)
{
	int other;

	make_lock();
	other = explore_thread(release_lock, NULL);
	while (co_lock_try_acquire(lock) != 0)
		co__atomic_pause();
	explore_expect(co_lock_release(lock), 0);
	free_lock();
	explore_join(other);
}

/* Whom deinit tells that nobody has it knows what the last one did. */
static void run_lock_free(void)
{
	int other, rc;

	make_lock();
	other = explore_thread(release_lock, NULL);
	while ((rc = co_lock_deinit(lock)) == -EBUSY)
		co__atomic_pause();
	explore_expect(rc, 0);
	explore_expect(content, 1);
	explore_join(other);
}

/* --- The end of a loop ---------------------------------------------------- */

static void begin(unsigned threads)
{
	AO_store(&count, 0);
	loop = explore_loop(threads);
	explore_expect(co_loop_ref(loop), 0);
}

static struct co_tick tick;

static void on_tick(struct co_tick *self)
{
	(void)self;
	AO_fetch_and_add1(&count);
}

/* Just when the loop falls asleep; the reference is another's. */
static void *send_tick(void *arg)
{
	(void)arg;
	while (AO_load(&loop->idle.count) == 0)
		co__atomic_pause();
	explore_expect(co_loop_on_next_tick(loop, &tick), 0);

	return NULL;
}

static void *unref_after_tick(void *arg)
{
	(void)arg;
	while (!co__inject_has_some(&loop->inject) && AO_load(&count) == 0)
		co__atomic_pause();
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* A tick that is under way keeps the loop running, whoever has sent it. */
static void run_tick(void)
{
	int others[2];

	begin(1);
	tick.run = on_tick;
	others[0] = explore_thread(send_tick, NULL);
	others[1] = explore_thread(unref_after_tick, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(AO_load(&count), 1);
	for (int i = 0; i < 2; i++)
		explore_join(others[i]);
	explore_expect(co_loop_destroy(loop), 0);
}

/* Whom destroy refuses no more finds the loop as run has left it. */
static void *run_loop(void *arg)
{
	(void)arg;
	explore_expect(co_loop_run(loop), 0);

	return NULL;
}

static int end_at_once(void *arg)
{
	(void)arg;
	/* Release: pairs with run_destroy, which knows then that it runs. */
	AO_store_release(&count, 1);

	return 0;
}

static void run_destroy(void)
{
	int other, rc;

	begin(1);
	explore_expect(co_loop_unref(loop), 0);
	explore_expect(co_spawn(loop, end_at_once, NULL, NULL), 0);
	other = explore_thread(run_loop, NULL);
	/* Acquire: pairs with end_at_once. */
	while (AO_load_acquire(&count) == 0)
		co__atomic_pause();
	while ((rc = co_loop_destroy(loop)) == -EBUSY)
		co__atomic_pause();
	explore_expect(rc, 0);
	explore_join(other);
}

/* Each thread has two at once, and destroys the older one first. */
static void *list_loops(void *arg)
{
	struct co_loop *loops[2];

	for (int i = 0; i < 2; i++) {
		loops[i] = explore_allocator.allocate(NULL, sizeof **loops);
		co__debugger_add(loops[i]);
	}
	for (int i = 0; i < 2; i++) {
		co__debugger_remove(loops[i]);
		explore_allocator.release(NULL, loops[i], sizeof **loops);
	}

	return arg;
}

/* The list of all loops, for debuggers, is empty again. */
static void run_list(void)
{
	int other = explore_thread(list_loops, NULL);

	list_loops(NULL);
	explore_join(other);
	explore_expect(co__loops == ~(size_t)0, true);
}

/* --- Joined by two -------------------------------------------------------- */

static int return_seven(void *arg)
{
	(void)arg;

	return 7;
}

static void *join(void *arg)
{
	int result = 0, rc = co_join(arg, &result);

	explore_check(rc == 0 || rc == -EINVAL);
	explore_expect(result, rc == 0 ? 7 : 0);
	if (rc == 0)
		AO_fetch_and_add1(&count);

	return NULL;
}

/* They must not, but one is told. */
static void run_joins(void)
{
	struct co_task *task;
	int other;

	begin(1);
	explore_expect(co_loop_unref(loop), 0);
	explore_expect(co_spawn(loop, return_seven, NULL, &task), 0);
	explore_expect(co_loop_run(loop), 0);
	other = explore_thread(join, task);
	join(task);
	explore_join(other);
	explore_expect(AO_load(&count), 1);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Spawned from outside ------------------------------------------------- */

static void *spawn_only(void *arg)
{
	explore_expect(co_spawn(loop, end_at_once, arg, NULL), 0);

	return NULL;
}

/* It runs, now or next time; it is never stuck. */
static void run_spawn(void)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	int other;

	begin(2);
	explore_expect(co_loop_unref(loop), 0);
	explore_expect(co_spawn(loop, end_at_once, NULL, NULL), 0);
	other = explore_thread(spawn_only, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(co_loop_stats(loop, &stats), 0);
	explore_expect(stats.tasks, 0);
	explore_expect(stats.spawned, 2);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Joined from another loop --------------------------------------------- */

static struct co_loop *abroad;

static int end_soon(void *arg)
{
	(void)arg;
	explore_expect(co_sleep(CO_MILLISECOND), 0);

	return 7;
}

/* Or give up, at about the time of the end. */
static int join_for_a_while(void *arg)
{
	int rc = 0, result = 0;

	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		rc = co_join(arg, &result);
	explore_check(rc == 0 || rc == -ETIMEDOUT);
	explore_expect(result, rc == 0 ? 7 : 0);
	if (rc < 0)
		explore_expect(co_detach(arg), 0);

	return co_loop_unref(loop);
}

static void *run_abroad(void *arg)
{
	(void)arg;
	explore_expect(co_loop_run(abroad), 0);

	return NULL;
}

/* Who gave up may go with its loop, while the other ends. */
static void run_join_abroad(void)
{
	struct co_task *child;
	int other;

	begin(1);
	abroad = explore_loop(1);
	explore_expect(co_spawn(abroad, end_soon, NULL, &child), 0);
	explore_expect(co_spawn(loop, join_for_a_while, child, NULL), 0);
	other = explore_thread(run_abroad, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(co_loop_destroy(loop), 0);
	explore_join(other);
	explore_expect(co_loop_destroy(abroad), 0);
}

/* --- Cancelled from outside ----------------------------------------------- */

static AO_t unmasked;		/* atomic: 1 when the task is done with the lock */

/* The lock, which cancellation doesn't take away, and then the news. */
static int acquire_masked(void *arg)
{
	(void)arg;
	explore_expect(co_cancel_mask(1), 0);
	explore_expect(co_lock_acquire(lock), 0);
	explore_expect(co_lock_release(lock), 0);
	explore_expect(co_cancel_mask(0), 1);
	AO_store(&unmasked, 1);
	/* Acquire: pairs with cancel. */
	while (AO_load_acquire(&count) == 0)
		co__atomic_pause();

	return co_yield();
}

static int acquire(void *arg)
{
	int rc = co_lock_acquire(lock);

	(void)arg;
	if (rc == 0)
		explore_expect(co_lock_release(lock), 0);

	return rc;
}

static void *release_and_unref(void *arg)
{
	release_lock(arg);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

static void *cancel(void *arg)
{
	explore_expect(co_cancel(arg), 0);
	/* Release: pairs with acquire_masked. */
	AO_store_release(&count, 1);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

static int run_cancelled(co_task_fn *fn, bool held)
{
	struct co_task *task;
	int others[2], result = 1;

	begin(1);
	make_lock();
	explore_expect(co_spawn(loop, fn, NULL, &task), 0);
	others[0] = explore_thread(cancel, task);
	if (!held) {
		explore_expect(co_loop_ref(loop), 0);
		others[1] = explore_thread(release_and_unref, NULL);
	}
	explore_expect(co_loop_run(loop), 0);
	for (int i = held ? 0 : 1; i >= 0; i--)
		explore_join(others[i]);
	explore_expect(co_join(task, &result), 0);
	explore_expect(co_loop_destroy(loop), 0);

	return result;
}

static void run_cancel(void)
{
	explore_expect(run_cancelled(acquire, true), -ECANCELED);
}

static void run_cancel_masked(void)
{
	AO_store(&unmasked, 0);
	explore_expect(run_cancelled(acquire_masked, false), -ECANCELED);
	explore_expect(AO_load(&unmasked), 1);
}

static AO_t parking;		/* atomic: 1 while parked() runs, then 2 */

static void stay_parked(struct co_task *task, void *arg)
{
	(void)task;
	(void)arg;
	AO_store(&parking, 1);
	for (int i = 0; i < 10; i++)
		explore_step();
	/* Release: pairs with suspend. */
	AO_store_release(&parking, 2);
}

static int suspend(void *arg)
{
	int rc = co_suspend(stay_parked, arg);

	/* Acquire: pairs with stay_parked. */
	explore_expect(AO_load_acquire(&parking), 2);

	return rc;
}

static void *cancel_parking(void *arg)
{
	while (AO_load(&parking) == 0)
		co__atomic_pause();
	cancel(arg);

	return NULL;
}

/* The news comes while parked() runs, and waits for its end. */
static void run_cancel_parking(void)
{
	struct co_task *task;
	int other, result = 1;

	AO_store(&parking, 0);
	begin(2);
	explore_expect(co_spawn(loop, suspend, NULL, &task), 0);
	other = explore_thread(cancel_parking, task);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_join(task, &result), 0);
	explore_expect(result, -ECANCELED);
	explore_expect(co_loop_destroy(loop), 0);
}

static int sleep_long(void *arg)
{
	(void)arg;

	return co_sleep(CO_HOUR);
}

static void *cancel_only(void *arg)
{
	explore_expect(co_cancel(arg), 0);

	return NULL;
}

/* Its timer keeps the loop running, and so does who ends the sleep before. */
static void run_cancel_sleep(void)
{
	struct co_task *task;
	int other, result = 1;

	begin(1);
	explore_expect(co_loop_unref(loop), 0);
	explore_expect(co_spawn(loop, sleep_long, NULL, &task), 0);
	other = explore_thread(cancel_only, task);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_join(task, &result), 0);
	explore_expect(result, -ECANCELED);
	explore_expect(co_loop_destroy(loop), 0);
}

const struct explore_scenario explore_outside[] = {
	{ "lock: released twice and given back", run_lock_end, 300, true },
	{ "lock: deinit says that it is free", run_lock_free, 300, true },
	{ "loop: a tick of another than who holds it", run_tick, 400, false },
	{ "loop: destroyed as soon as it may be", run_destroy, 400, false },
	{ "loop: listed by two threads", run_list, 300, true },
	{ "task: spawned from outside", run_spawn, 500, false },
	{ "task: two join one that has ended", run_joins, 300, true },
	{ "task: joined from another loop, or late", run_join_abroad, 2000,
		false },
	{ "wait: cancelled from outside", run_cancel, 300, false },
	{ "wait: cancelled while it is masked", run_cancel_masked, 500, false },
	{ "wait: a sleep cancelled from outside", run_cancel_sleep, 500,
		false },
	{ "wait: cancelled while parked() runs", run_cancel_parking, 300,
		false },
	{ NULL, NULL, 0, false },
};
