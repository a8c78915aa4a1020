/* SPDX-License-Identifier: MIT */

/* loops.c - the engine: who sleeps is woken, a loop ends when it should and
 * says why, tasks are joined and detached */

#include "explore.h"

#include <errno.h>
#include <unistd.h>

#include <coloop/channel.h>
#include <coloop/task.h>

#include "atomic.h"
#include "fd.h"
#include "worker.h"

static AO_t count;		/* atomic: what has been done */
static struct co_loop *loop;

static void begin(void)
{
	AO_store(&count, 0);
}

static int add_one(void *arg)
{
	(void)arg;
	AO_fetch_and_add1(&count);

	return 7;
}

static int yield_and_add(void *arg)
{
	explore_expect(co_yield(), 0);

	return add_one(arg);
}

/* --- Work for all workers ------------------------------------------------- */

static int spawn_and_join(void *arg)
{
	struct co_task *tasks[3];
	int result;

	(void)arg;
	for (int i = 0; i < 3; i++)
		explore_expect(co_spawn(NULL, yield_and_add, NULL, &tasks[i]),
				0);
	for (int i = 0; i < 3; i++) {
		result = 0;
		explore_expect(co_join(tasks[i], &result), 0);
		explore_expect(result, 7);
	}

	return 0;
}

static void run_spawn(void)
{
	begin();
	explore_expect(explore_loop_run(2, spawn_and_join, NULL), 0);
	explore_expect(AO_load(&count), 3);
}

/* Each waits for all others: they must run at once, so whoever sleeps while one
 * is in a queue is to be woken for it.  Nobody yields. */
static int meet(void *arg)
{
	AO_fetch_and_add1(&count);
	while (AO_load(&count) < (AO_t)arg)
		co__atomic_pause();

	return 0;
}

static int let_all_meet(void *arg)
{
	for (AO_t i = 0; i < (AO_t)arg; i++)
		explore_expect(co_spawn(NULL, meet, arg, NULL), 0);

	return 0;
}

static void run_meet_two(void)
{
	begin();
	explore_expect(explore_loop_run(2, let_all_meet, (void *)2), 0);
}

static void run_meet_three(void)
{
	begin();
	explore_expect(explore_loop_run(3, let_all_meet, (void *)3), 0);
}

/* The worker of the calling task has its queue and slot to itself. */
static void be_alone(void)
{
	co__bias_set(&co__worker_get()->bias, CO__BIAS_OWNED);
}

static int let_all_meet_alone(void *arg)
{
	be_alone();

	return let_all_meet(arg);
}

static void run_meet_alone(void)
{
	begin();
	explore_expect(explore_loop_run(3, let_all_meet_alone, (void *)3), 0);
}

/* Two let each other run, and a thief wants one of them. */
static int yield_alone(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		be_alone();
		explore_expect(co_yield(), 0);
	}

	return add_one(NULL);
}

static int let_two_yield_alone(void *unused)
{
	struct co_task *task;

	(void)unused;
	explore_expect(co_spawn(NULL, yield_alone, NULL, &task), 0);
	yield_alone(NULL);

	return co_join(task, NULL);
}

static void run_yield_alone(void)
{
	begin();
	explore_expect(explore_loop_run(2, let_two_yield_alone, NULL), 0);
	explore_expect(AO_load(&count), 2);
}

/* The first waits in the run-next slot behind who computes: only the monitor
 * sees that. */
static int wake_and_compute(void *arg)
{
	struct co_channel *channel = arg;

	explore_expect(co_channel_try_put(channel, NULL), 0);
	while (AO_load(&count) == 0)
		co__atomic_pause();

	return 0;
}

static int get_and_add(void *arg)
{
	explore_expect(co_channel_get(arg, NULL), 0);

	return add_one(NULL);
}

/* The same if it was seen to do so just before: the idle are told. */
static int wake_and_compute_again(void *arg)
{
	AO_store(&co__worker_get()->eager, 2);

	return wake_and_compute(arg);
}

static int wake_and_compute_alone(void *arg)
{
	be_alone();

	return wake_and_compute(arg);
}

static int wait_for_computer(void *compute)
{
	struct co_channel *channel;
	struct co_task *getter, *computer;

	explore_expect(co_channel_create(NULL, 0, 1, &channel), 0);
	explore_expect(co_spawn(NULL, get_and_add, channel, &getter), 0);
	explore_expect(co_spawn(NULL, (co_task_fn *)compute, channel, &computer),
			0);
	explore_expect(co_join(computer, NULL), 0);
	explore_expect(co_join(getter, NULL), 0);
	explore_expect(co_channel_destroy(channel), 0);

	return 0;
}

static void run_monitor(void)
{
	begin();
	explore_with_monitor();
	explore_expect(explore_loop_run(2, wait_for_computer,
			(void *)wake_and_compute), 0);
}

static void run_monitor_alone(void)
{
	begin();
	explore_with_monitor();
	explore_expect(explore_loop_run(2, wait_for_computer,
			(void *)wake_and_compute_alone), 0);
}

static void run_eager(void)
{
	begin();
	explore_expect(explore_loop_run(2, wait_for_computer,
			(void *)wake_and_compute_again), 0);
}

/* --- From outside --------------------------------------------------------- */

static struct co_tick tick;

static void on_tick(struct co_tick *self)
{
	(void)self;
	AO_fetch_and_add1(&count);
}

/* What was asked for happens without the reference being given up. */
static void wait_for_count(void)
{
	if (explore_choose(2) == 0)
		return;
	while (AO_load(&count) == 0)
		co__atomic_pause();
}

/* The tick runs before the loop ends, for the reference is given up after. */
static void *send_tick(void *arg)
{
	(void)arg;
	tick.run = on_tick;
	explore_expect(co_loop_on_next_tick(loop, &tick), 0);
	wait_for_count();
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

static void run_tick(void)
{
	int other;

	begin();
	loop = explore_loop(2);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(send_tick, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(co_loop_destroy(loop), 0);
	explore_expect(AO_load(&count), 1);
	explore_join(other);
}

static void *give_up(void *arg)
{
	(void)arg;
	AO_store(&count, 1);
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* The loop ends when the last reference is given up, and not before; it may be
 * destroyed as soon as it has ended. */
static void run_unref(void)
{
	int others[2];

	begin();
	loop = explore_loop(2);
	for (int i = 0; i < 2; i++) {
		explore_expect(co_loop_ref(loop), 0);
		others[i] = explore_thread(give_up, NULL);
	}
	explore_expect(co_loop_run(loop), 0);
	explore_expect(AO_load(&count), 1);
	explore_expect(co_loop_destroy(loop), 0);
	for (int i = 0; i < 2; i++)
		explore_join(others[i]);
}

static void note_parked(struct co_task *task, void *arg)
{
	/* Release: pairs with resume_it. */
	AO_store_release((AO_t *)arg, (AO_t)task);
}

static int suspend(void *arg)
{
	int rc = co_suspend(note_parked, arg);

	add_one(NULL);

	return rc;
}

static void *resume_it(void *arg)
{
	AO_t task;

	/* Acquire: pairs with note_parked. */
	while ((task = AO_load_acquire((AO_t *)arg)) == 0)
		co__atomic_pause();
	explore_expect(co_resume((struct co_task *)task), 0);
	wait_for_count();
	explore_expect(co_loop_unref(loop), 0);

	return NULL;
}

/* Pinned to one worker or the other, or to none. */
static void resume(bool pinned)
{
	static AO_t parked;
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	int other, result = 1;
	struct co_task *task;

	begin();
	AO_store(&parked, 0);
	loop = explore_loop(2);
	attr.pinned = pinned;
	for (unsigned i = pinned ? explore_choose(2) : 0; i > 0; i--)
		explore_expect(co_spawn_with(loop, &attr, yield_and_add, NULL,
				NULL), 0);
	explore_expect(co_spawn_with(loop, &attr, suspend, &parked, &task), 0);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(resume_it, &parked);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(co_join(task, &result), 0);
	explore_expect(result, 0);
	explore_join(other);
	explore_expect(co_loop_destroy(loop), 0);
}

static void run_resume(void)
{
	resume(false);
}

static void run_resume_pinned(void)
{
	resume(true);
}

static void *stop_loop(void *arg)
{
	(void)arg;
	explore_expect(co_loop_stop(loop), 0);

	return NULL;
}

/* Nothing else would end it: a reference is held. */
static void run_stop(void)
{
	int other;

	loop = explore_loop(2);
	explore_expect(co_loop_ref(loop), 0);
	other = explore_thread(stop_loop, NULL);
	explore_expect(co_loop_run(loop), 0);
	explore_join(other);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Quiescence ----------------------------------------------------------- */

static int get_for_ever(void *arg)
{
	co_channel_get(arg, NULL);
	explore_fail("nobody has put anything");
}

/* One task waits for what never comes while others end: the loop is stuck, and
 * says so; and only then. */
static int leave_one(void *arg)
{
	struct co_channel **channel = arg;

	explore_expect(co_channel_create(NULL, 0, 0, channel), 0);
	explore_expect(co_spawn(NULL, get_for_ever, *channel, NULL), 0);
	explore_expect(co_spawn(NULL, yield_and_add, NULL, NULL), 0);

	return 0;
}

static void run_stuck(void)
{
	struct co_channel *channel;

	begin();
	explore_expect(explore_loop_run(2, leave_one, &channel), -EDEADLK);
	explore_expect(AO_load(&count), 1);
}

static int sleep_a_while(void *arg)
{
	explore_expect(co_sleep(300 * CO_MICROSECOND), 0);

	return add_one(arg);
}

/* A timer is a reason not to be stuck, whichever worker's it is. */
static int sleep_twice(void *arg)
{
	struct co_task *task;

	explore_expect(co_spawn(NULL, sleep_a_while, NULL, &task), 0);
	explore_expect(co_sleep(200 * CO_MICROSECOND), 0);
	explore_expect(co_join(task, NULL), 0);

	return add_one(arg);
}

static void run_sleep(void)
{
	begin();
	explore_expect(explore_loop_run(2, sleep_twice, NULL), 0);
	explore_expect(AO_load(&count), 2);
}

/* --- The end of a task ---------------------------------------------------- */

static int join_or_detach(void *arg)
{
	struct co_task *joined, *detached;
	int result = 0;

	explore_expect(co_spawn(NULL, add_one, NULL, &joined), 0);
	explore_expect(co_spawn(NULL, add_one, NULL, &detached), 0);
	explore_expect(co_spawn(NULL, add_one, NULL, NULL), 0);
	explore_expect(co_detach(detached), 0);
	explore_expect(co_join(joined, &result), 0);
	explore_expect(result, 7);
	/* What was released is used anew. */
	explore_expect(co_spawn(NULL, yield_and_add, NULL, &joined), 0);
	explore_expect(co_join(joined, &result), 0);

	return add_one(arg);
}

static void run_join(void)
{
	begin();
	explore_expect(explore_loop_run(2, join_or_detach, NULL), 0);
	explore_expect(AO_load(&count), 5);
}

/* Who joins is cancelled or too late, while the task ends. */
static int join_it(void *arg)
{
	struct co_deadline scope;
	int rc, result = 0;

	co_deadline_begin(&scope, co_after(200 * CO_MICROSECOND));
	rc = co_join(arg, &result);
	co_deadline_end(&scope);
	if (rc == 0)
		explore_expect(result, 7);
	else
		explore_check(rc == -ETIMEDOUT || rc == -ECANCELED);

	return rc;
}

static int join_in_vain(void *arg)
{
	struct co_task *task, *joiner;
	int rc, result = 0;

	explore_expect(co_spawn(NULL, sleep_a_while, NULL, &task), 0);
	explore_expect(co_spawn(NULL, join_it, task, &joiner), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_cancel(joiner), 0);
	explore_expect(co_join(joiner, &rc), 0);
	if (rc < 0) {
		explore_expect(co_join(task, &result), 0);
		explore_expect(result, 7);
	}

	return add_one(arg);
}

static void run_join_in_vain(void)
{
	begin();
	explore_expect(explore_loop_run(2, join_in_vain, NULL), 0);
	explore_expect(AO_load(&count), 2);
}

static int spawn_pinned(void *arg)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *tasks[2];

	attr.pinned = 1;
	for (int i = 0; i < 2; i++)
		explore_expect(co_spawn_with(NULL, &attr, yield_and_add, NULL,
				&tasks[i]), 0);
	for (int i = 0; i < 2; i++)
		explore_expect(co_join(tasks[i], NULL), 0);

	return add_one(arg);
}

/* Pinned tasks, of one worker and from outside of each. */
static void run_pinned(void)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;

	begin();
	attr.pinned = 1;
	loop = explore_loop(2);
	explore_expect(co_spawn_with(loop, &attr, spawn_pinned, NULL, NULL),
			0);
	explore_expect(co_spawn_with(loop, &attr, yield_and_add, NULL, NULL),
			0);
	explore_expect(co_loop_run(loop), 0);
	explore_expect(AO_load(&count), 4);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Watching descriptors ------------------------------------------------- */

enum { WATCHED = STDERR_FILENO };

struct watch {
	struct co_resume_node node;
	AO_t told;
};

static struct watch earlier, later;
static uint64_t earlier_key;

static void on_ready(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	explore_expect(events, CO_READABLE);
	AO_fetch_and_add1(&watch->told);
}

static void begin_watch(struct watch *watch)
{
	watch->node.ready = on_ready;
	AO_store(&watch->told, 0);
	explore_expect(co_loop_add_fd(co_loop_current(), WATCHED, CO_READABLE,
			&watch->node), 0);
}

/* An event that was reported before the watch was removed. */
static int tell_late(void *io)
{
	co__watch_tell(io, earlier_key, CO_READABLE);

	return 0;
}

/* What is told of the later watch is heard by its node, once, and no other. */
static int watch_anew(void *arg)
{
	struct co_io *io;
	struct co_task *teller;
	AO_t told;

	begin_watch(&earlier);
	io = co__fd_find(co_loop_current(), WATCHED);
	earlier_key = co__fd_key(io);
	explore_expect(co_spawn(NULL, tell_late, io, &teller), 0);
	explore_expect(co_loop_remove_fd(co_loop_current(), WATCHED), 0);
	told = AO_load(&earlier.told);
	begin_watch(&later);
	co__watch_tell(io, co__fd_key(io), CO_READABLE);
	explore_expect(co_join(teller, NULL), 0);
	explore_check(told <= 1 && AO_load(&earlier.told) == told);
	explore_expect(AO_load(&later.told), 1);
	explore_expect(co_loop_remove_fd(co_loop_current(), WATCHED), 0);

	return add_one(arg);
}

static void run_watch(void)
{
	begin();
	explore_expect(explore_loop_run(2, watch_anew, NULL), 0);
	explore_expect(AO_load(&count), 1);
}

const struct explore_scenario explore_loops[] = {
	{ "loop: tasks are spawned and joined", run_spawn, 500, false },
	{ "loop: two tasks run at once", run_meet_two, 500, false },
	{ "loop: three tasks run at once", run_meet_three, 500, false },
	{ "loop: the monitor sees who computes", run_monitor, 300, false },
	{ "loop: the monitor sees who is alone", run_monitor_alone, 300, false },
	{ "loop: three meet, spawned by who is alone", run_meet_alone, 300, false },
	{ "loop: two yield to each other, alone", run_yield_alone, 300, false },
	{ "loop: who was stuck wakes another", run_eager, 300, false },
	{ "loop: a tick from outside", run_tick, 500, false },
	{ "loop: the last references are given up", run_unref, 500, false },
	{ "loop: resumed from outside", run_resume, 500, false },
	{ "loop: resumed from outside, pinned", run_resume_pinned, 800,
		false },
	{ "loop: stopped from outside", run_stop, 300, false },
	{ "loop: stuck, exactly when it is", run_stuck, 500, false },
	{ "loop: two sleep", run_sleep, 300, false },
	{ "watch: a late event, and a new watch", run_watch, 500, false },
	{ "task: joined and detached while it ends", run_join, 500, false },
	{ "task: joined in vain", run_join_in_vain, 500, false },
	{ "task: pinned", run_pinned, 500, false },
	{ NULL, NULL, 0, false },
};
