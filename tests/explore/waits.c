/* SPDX-License-Identifier: MIT */

/* waits.c - locks, slots, and waits that more than one would end: one at a
 * time, one end of each wait, nobody forgotten */

#include "explore.h"

#include <errno.h>

#include <coloop/lock.h>
#include <coloop/task.h>

#include "slot.h"
#include "spin.h"
#include "wait.h"

#define TASKS 3

static struct co_loop *loop;
static AO_t count;		/* atomic: what has been done */

/* --- One at a time -------------------------------------------------------- */

static struct co__spin spin_lock;
static struct co_lock lock;
static unsigned inside;		/* plain: what the lock is for */

static void work_inside(void)
{
	explore_expect(inside, 0);
	inside = 1;
	explore_step();
	explore_expect(inside, 1);
	inside = 0;
}

static void *spin_and_work(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		co__spin_acquire(&spin_lock);
		work_inside();
		co__spin_release(&spin_lock);
	}

	return NULL;
}

static void run_spin(void)
{
	int others[2];

	inside = 0;
	for (int i = 0; i < 2; i++)
		others[i] = explore_thread(spin_and_work, NULL);
	spin_and_work(NULL);
	for (int i = 0; i < 2; i++)
		explore_join(others[i]);
}

static int lock_and_work(void *arg)
{
	int rc = co_lock_acquire(&lock);

	(void)arg;
	if (rc < 0)
		return rc;
	work_inside();
	AO_fetch_and_add1(&count);
	explore_expect(co_lock_release(&lock), 0);

	return 0;
}

static int lock_all(void *arg)
{
	struct co_task *tasks[TASKS];
	int rc;

	(void)arg;
	for (int i = 0; i < TASKS; i++)
		explore_expect(co_spawn(NULL, lock_and_work, NULL, &tasks[i]),
				0);
	explore_expect(lock_and_work(NULL), 0);
	for (int i = 0; i < TASKS; i++) {
		explore_expect(co_join(tasks[i], &rc), 0);
		explore_expect(rc, 0);
	}
	explore_expect(co_lock_deinit(&lock), 0);

	return 0;
}

static void begin(void)
{
	AO_store(&count, 0);
	co_lock_init(&lock);
	inside = 0;
}

static void run_lock(void)
{
	begin();
	explore_expect(explore_loop_run(2, lock_all, NULL), 0);
	explore_expect(AO_load(&count), TASKS + 1);
}

/* One waiter may be too late, one is cancelled; whoever isn't gets the lock. */
static int lock_in_time(void *arg)
{
	struct co_deadline scope;
	int rc;

	co_deadline_begin(&scope, co_after(200 * CO_MICROSECOND));
	rc = lock_and_work(arg);
	co_deadline_end(&scope);

	return rc;
}

static int lock_some(void *arg)
{
	struct co_task *late, *cancelled, *patient;
	unsigned done = 1;
	int rc;

	(void)arg;
	explore_expect(co_lock_acquire(&lock), 0);
	explore_expect(co_spawn(NULL, lock_in_time, NULL, &late), 0);
	explore_expect(co_spawn(NULL, lock_and_work, NULL, &cancelled), 0);
	explore_expect(co_spawn(NULL, lock_and_work, NULL, &patient), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_cancel(cancelled), 0);
	explore_expect(co_lock_release(&lock), 0);
	explore_expect(co_join(late, &rc), 0);
	explore_check(rc == 0 || rc == -ETIMEDOUT);
	done += rc == 0;
	explore_expect(co_join(cancelled, &rc), 0);
	explore_check(rc == 0 || rc == -ECANCELED);
	done += rc == 0;
	explore_expect(co_join(patient, &rc), 0);
	explore_expect(rc, 0);
	explore_expect(AO_load(&count), done);
	explore_expect(co_lock_try_acquire(&lock), 0);
	explore_expect(co_lock_release(&lock), 0);

	return 0;
}

static void run_lock_some(void)
{
	begin();
	explore_expect(explore_loop_run(2, lock_some, NULL), 0);
}

/* Three release what two have acquired: one of them is told so. */
static AO_t released;	/* atomic: releases that found the lock held */

static int release_once(void *arg)
{
	int rc = co_lock_release(&lock);

	(void)arg;
	if (rc == 0)
		AO_fetch_and_add1(&released);
	else
		explore_expect(rc, -EPERM);

	return 0;
}

static int acquire_and_release(void *arg)
{
	explore_expect(co_lock_acquire(&lock), 0);

	return release_once(arg);
}

static int release_too_often(void *arg)
{
	struct co_task *waiter, *other;

	explore_expect(co_lock_acquire(&lock), 0);
	explore_expect(co_spawn(NULL, acquire_and_release, NULL, &waiter), 0);
	explore_expect(co_spawn(NULL, release_once, NULL, &other), 0);
	release_once(arg);
	explore_expect(co_join(waiter, NULL), 0);
	explore_expect(co_join(other, NULL), 0);
	explore_expect(AO_load(&released), 2);
	explore_expect(co_lock_deinit(&lock), 0);

	return 0;
}

static void run_lock_released(void)
{
	begin();
	AO_store(&released, 0);
	explore_expect(explore_loop_run(2, release_too_often, NULL), 0);
}

/* Who had the lock last may end it and give its memory back, though another is
 * still on its way out of co_lock_release(), where it found that the waiter for
 * whom it went there was late. */
static int use_and_end(void *arg)
{
	struct co_lock *mine = arg;
	struct co_deadline scope;
	bool last;
	int rc;

	co_deadline_begin(&scope, co_after(100 * CO_MICROSECOND));
	rc = co_lock_acquire(mine);
	co_deadline_end(&scope);
	last = AO_fetch_and_add1(&count) == TASKS - 1;
	if (rc < 0)
		return rc;
	explore_expect(co_lock_release(mine), 0);
	if (!last)
		return 0;
	explore_expect(co_lock_deinit(mine), 0);
	explore_allocator.release(NULL, mine, sizeof *mine);

	return 0;
}

static int end_lock(void *arg)
{
	struct co_lock *mine = explore_allocator.allocate(NULL, sizeof *mine);

	(void)arg;
	co_lock_init(mine);
	for (int i = 0; i < TASKS; i++)
		explore_expect(co_spawn(NULL, use_and_end, mine, NULL), 0);

	return 0;
}

static void run_lock_end(void)
{
	begin();
	explore_expect(explore_loop_run(2, end_lock, NULL), 0);
}

/* --- One end of each wait ------------------------------------------------- */

static AO_t parked;		/* atomic: the task that is suspended, or 0 */
static bool parking;		/* plain: parked() runs */

/* Only co_resume() may end the wait before this has returned. */
static void note_parked(struct co_task *task, void *arg)
{
	(void)arg;
	parking = true;
	explore_step();
	parking = false;
	/* Release: pairs with resume_once. */
	AO_store_release(&parked, (AO_t)task);
}

static int suspend_in_time(void *arg)
{
	struct co_deadline scope;
	int rc;

	(void)arg;
	co_deadline_begin(&scope, co_after(150 * CO_MICROSECOND));
	rc = co_suspend(note_parked, NULL);
	co_deadline_end(&scope);
	explore_check(!parking);

	return rc;
}

static void *resume_once(void *arg)
{
	int *ret_rc = arg;
	AO_t task;

	for (int i = 0; i < 3; i++) {
		/* Acquire: pairs with note_parked. */
		task = AO_load_acquire(&parked);
		if (task != 0) {
			*ret_rc = co_resume((struct co_task *)task);
			break;
		}
		explore_step();
	}
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* It is resumed or too late, and whoever resumed it knows. */
static void run_suspend(void)
{
	struct co_task *task;
	int resumed = 1, result = 1, other;

	AO_store(&parked, 0);
	loop = explore_loop(2);
	explore_expect(co_spawn(loop, suspend_in_time, NULL, &task), 0);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(resume_once, &resumed);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_join(task, &result), 0);
	explore_expect(result, resumed == 0 ? 0 : -ETIMEDOUT);
	explore_expect(co_loop_destroy(loop), 0);
}

static int cancel_it(void *arg)
{
	explore_expect(co_cancel(arg), 0);

	return 0;
}

static int suspend_for_ever(void *arg)
{
	int rc = co_suspend(note_parked, arg);

	explore_check(!parking);

	return rc;
}

/* Spawn FN, cancel it from another task, and say what came of it. */
static int spawn_and_cancel(co_task_fn *fn)
{
	struct co_task *task, *canceller;
	int result = 1;

	explore_expect(co_spawn(NULL, fn, NULL, &task), 0);
	explore_expect(co_spawn(NULL, cancel_it, task, &canceller), 0);
	explore_expect(co_join(canceller, NULL), 0);
	explore_expect(co_join(task, &result), 0);

	return result;
}

/* Nothing else ends its wait, whether it has begun or not. */
static int cancel_one(void *arg)
{
	(void)arg;
	AO_store(&parked, 0);
	explore_expect(co_lock_acquire(&lock), 0);
	explore_expect(spawn_and_cancel(explore_choose(2) ? suspend_for_ever
			: lock_and_work), -ECANCELED);
	explore_expect(co_lock_release(&lock), 0);

	return 0;
}

static void run_cancel(void)
{
	begin();
	explore_expect(explore_loop_run(2, cancel_one, NULL), 0);
}

static int suspend_and_cancel(void *arg)
{
	*(int *)arg = spawn_and_cancel(suspend_in_time);

	return 0;
}

/* All three want to end the same wait. */
static void run_three_ends(void)
{
	int resumed = 1, result = 1, other;

	AO_store(&parked, 0);
	loop = explore_loop(2);
	explore_expect(co_spawn(loop, suspend_and_cancel, &result, NULL), 0);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(resume_once, &resumed);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	if (resumed == 0)
		explore_expect(result, 0);
	else
		explore_check(result == -ETIMEDOUT || result == -ECANCELED);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Slots ---------------------------------------------------------------- */

static struct co__slot slot;
static unsigned news;		/* plain: written before the slot is raised */

static int wait_in_slot(void *arg)
{
	co_time until;
	int rc;

	(void)arg;
	/* Acquire: pairs with co__slot_raise. */
	while (AO_load_acquire(&slot.word) != CO__SLOT_READY) {
		rc = co__slot_wait(co_self(), CO__IN_READ, &slot, &slot);
		explore_expect(rc, 0);
	}
	explore_expect(news, 1);
	/* The end of the first wait is not that of the next. */
	until = co_after(100 * CO_MICROSECOND);
	explore_expect(co_sleep_until(until), 0);
	explore_check(co_now() >= until);

	return 0;
}

static void *raise_slot(void *arg)
{
	(void)arg;
	news = 1;
	co__slot_raise(&slot, &slot);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

static void run_slot(void)
{
	int other;

	news = 0;
	AO_store(&slot.word, CO__SLOT_EMPTY);
	loop = explore_loop(2);
	explore_expect(co_spawn(loop, wait_in_slot, NULL, NULL), 0);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(raise_slot, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_loop_destroy(loop), 0);
}

static struct co__slot pair[2];
static unsigned pair_news[2];	/* plain: as above */

/* Use up what is ready.  Returns whether there was something. */
static bool look_at_pair(bool seen[2])
{
	bool any = false;

	for (unsigned i = 0; i < 2; i++) {
		/* Acquire: pairs with co__slot_raise. */
		if (AO_load_acquire(&pair[i].word) != CO__SLOT_READY)
			continue;
		AO_store(&pair[i].word, CO__SLOT_EMPTY);
		explore_expect(pair_news[i], 1);
		seen[i] = any = true;
	}

	return any;
}

static int wait_in_pair(void *arg)
{
	bool seen[2] = { false, false };

	(void)arg;
	while (!seen[0] || !seen[1])
		if (!look_at_pair(seen))
			explore_expect(co__slot_wait_both(co_self(),
					CO__IN_WAIT_FD, pair, &pair[0],
					&pair[1]), 0);
	/* It is in none of them any more. */
	for (unsigned i = 0; i < 2; i++)
		explore_expect(AO_load(&pair[i].word), CO__SLOT_EMPTY);

	return 0;
}

static void *raise_one(void *arg)
{
	struct co__slot *one = arg;

	pair_news[one - pair] = 1;
	co__slot_raise(one, pair);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* Neither is missed, whichever comes when. */
static void run_pair(void)
{
	int others[2];

	loop = explore_loop(2);
	explore_expect(co_spawn(loop, wait_in_pair, NULL, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		pair_news[i] = 0;
		AO_store(&pair[i].word, CO__SLOT_EMPTY);
		explore_expect(co_loop_ref(loop), 0);
		others[i] = explore_thread(raise_one, &pair[i]);
	}
	explore_expect(co_loop_run(loop), 0);
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Deadlines ------------------------------------------------------------ */

/* The timer of the first scope, which an event ended, goes off in a later wait,
 * which has a deadline of its own. */
static int wait_twice(void *arg)
{
	struct co_deadline scope;
	int rc;

	co_deadline_begin(&scope, co_after(100 * CO_MICROSECOND));
	rc = co_lock_acquire(&lock);
	explore_check(rc == 0 || rc == -ETIMEDOUT);
	co_deadline_end(&scope);
	if (rc == 0)
		explore_expect(co_lock_release(&lock), 0);
	co_deadline_begin(&scope, co_after(400 * CO_MICROSECOND));
	explore_expect(co_lock_acquire(arg), -ETIMEDOUT);
	explore_check(co_now() >= scope.when_);
	explore_expect(co_deadline_end(&scope), -ETIMEDOUT);
	/* So long that to look at the clock until then would not end. */
	co_deadline_begin(&scope, co_after(5 * CO_MILLISECOND));
	explore_expect(co_suspend(note_parked, NULL), -ETIMEDOUT);
	explore_check(co_now() >= scope.when_);
	explore_expect(co_deadline_end(&scope), -ETIMEDOUT);

	return 0;
}

/* It ends while its timer is still set, or goes off. */
static int wait_once(void *arg)
{
	struct co_deadline scope;

	(void)arg;
	co_deadline_begin(&scope, co_after(100 * CO_MICROSECOND));
	if (co_lock_acquire(&lock) == 0)
		explore_expect(co_lock_release(&lock), 0);
	co_deadline_end(&scope);

	return 0;
}

static int wait_twice_each(void *arg)
{
	static struct co_lock held;
	struct co_task *twice, *once;

	(void)arg;
	co_lock_init(&held);
	explore_expect(co_lock_acquire(&held), 0);
	explore_expect(co_lock_acquire(&lock), 0);
	explore_expect(co_spawn(NULL, wait_twice, &held, &twice), 0);
	explore_expect(co_spawn(NULL, wait_once, NULL, &once), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_lock_release(&lock), 0);
	explore_expect(co_join(once, NULL), 0);
	explore_expect(co_join(twice, NULL), 0);

	return 0;
}

static void run_deadlines(void)
{
	begin();
	explore_expect(explore_loop_run(2, wait_twice_each, NULL), 0);
}

const struct explore_scenario explore_waits[] = {
	{ "spin: one at a time", run_spin, 1000, true },
	{ "lock: one at a time", run_lock, 400, false },
	{ "lock: one is late, one is cancelled", run_lock_some, 500, false },
	{ "lock: released more often than acquired", run_lock_released, 500,
			false },
	{ "lock: its memory is given back", run_lock_end, 500, false },
	{ "wait: resumed or late", run_suspend, 500, false },
	{ "wait: resumed, late or cancelled", run_three_ends, 500, false },
	{ "wait: cancelled", run_cancel, 300, false },
	{ "slot: raised while a task begins to wait", run_slot, 500, false },
	{ "slot: one task waits in two", run_pair, 500, false },
	{ "time: a deadline after another", run_deadlines, 1000, false },
	{ NULL, NULL, 0, false },
};
