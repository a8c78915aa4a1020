/* SPDX-License-Identifier: MIT */

/* idle.c - see idle.h for the protocol */

#include "idle.h"

#include <errno.h>
#include <limits.h>

#include "clock.h"
#include "near.h"
#include "probes.h"

void co__idle_init(struct co__idle *idle)
{
	co__list_init(&idle->workers);
	idle->poll_until = INT64_MIN;
	idle->trims = true;
}

/* WORKER joins the list.  The lock is held. */
static void join(struct co__idle *idle, struct co__worker *worker, bool polls)
{
	/* Sleepers are woken before the poller, the latest first: it is warm,
	 * and the poller goes on to watch. */
	co__list_append(polls ? &idle->workers : idle->workers.next,
			&worker->idle_link);
	worker->is_idle = true;
	worker->is_polling = polls;
	AO_store(&idle->count, AO_load(&idle->count) + 1);
}

/* WORKER leaves the list.  The lock is held. */
static void leave(struct co__idle *idle, struct co__worker *worker)
{
	co__list_remove(&worker->idle_link);
	worker->is_idle = false;
	AO_store(&idle->count, AO_load(&idle->count) - 1);
}

/* The one signal that is owed to a worker taken off the list. */
static void send_signal(struct co__worker *worker, bool polls)
{
	struct co_loop *loop = worker->loop;

	AO_fetch_and_add1(&loop->idle.wakeups);
	if (polls)
		loop->os->wake(loop->poller);
	else
		sem_post(&worker->sleep);
}

/* Take the lock, unless one is searching: then false.  A searcher will find
 * what there is: this is N3 once more, each time that another has the lock.  So
 * of many that have something to tell at once only the first needs it. */
static bool acquire_unless_searched(struct co__idle *idle)
{
	while (AO_load(&idle->searching) == 0) {
		if (co__spin_try(&idle->lock))
			return true;
		co__spin_wait(&idle->lock);
	}

	return false;
}

/* Take a worker off the list and signal it; it counts as searching.  Unless
 * FORCED, not if one is searching already.  It is counted under the lock, so
 * that nobody sees a searcher that isn't there. */
static bool wake_first(struct co_loop *loop, bool forced)
{
	struct co__idle *idle = &loop->idle;
	struct co__worker *worker = NULL;
	bool polls = false;

	if (forced)
		co__spin_acquire(&idle->lock);
	else if (!acquire_unless_searched(idle))
		return false;
	if (!co__list_is_empty(&idle->workers)
			&& (forced || AO_load(&idle->searching) == 0)) {
		/* Relaxed: what counts is the counting down in I2. */
		AO_fetch_and_add1(&idle->searching);
		worker = co__container_of(idle->workers.next,
				struct co__worker, idle_link);
		leave(idle, worker);
		polls = worker->is_polling;
	}
	co__spin_release(&idle->lock);
	if (worker != NULL)
		send_signal(worker, polls);

	return worker != NULL;
}

bool co__idle_wake_one(struct co_loop *loop)
{
	return wake_first(loop, false);
}

void co__idle_notify(struct co_loop *loop)
{
	co__atomic_fence();		/* N2: pairs with I2 */
	if (AO_load(&loop->idle.count) != 0)	/* N3 */
		co__idle_wake_one(loop);
}

void co__idle_wake(struct co__worker *worker)
{
	struct co__idle *idle = &worker->loop->idle;
	bool woken = false, polls = false;

	co__atomic_fence();		/* N2: pairs with I2 */
	if (AO_load(&idle->count) == 0)	/* N3 */
		return;
	co__spin_acquire(&idle->lock);
	if (worker->is_idle) {
		/* Before it can see that it was taken off. */
		AO_fetch_and_add1_full(&idle->searching);
		leave(idle, worker);
		woken = true;
		polls = worker->is_polling;
	}
	co__spin_release(&idle->lock);
	if (woken)
		send_signal(worker, polls);
}

void co__idle_wake_all(struct co_loop *loop)
{
	while (wake_first(loop, true))
		;
}

void co__idle_search(struct co__worker *worker)
{
	if (worker->searching)
		return;
	worker->searching = true;
	/* Relaxed: what counts is the order of the counting down. */
	AO_fetch_and_add1(&worker->loop->idle.searching);
}

void co__idle_found(struct co__worker *worker)
{
	struct co__idle *idle = &worker->loop->idle;

	if (!worker->searching)
		return;
	worker->searching = false;
	/* The last searcher: work that came meanwhile woke nobody. */
	if (AO_fetch_and_sub1(&idle->searching) != 1)
		return;
	co__atomic_fence();		/* I2: pairs with N2 */
	if (AO_load(&idle->count) != 0 && co__loop_has_work(worker->loop))
		co__idle_wake_one(worker->loop);
}

/* When the next timer of any worker may go off.  The lock is held. */
static co_time next_timer(struct co_loop *loop)
{
	co_time next = CO_NEVER;

	for (unsigned i = 0; i < loop->threads; i++) {
		co_time when = co__wheel_next(&loop->workers[i].wheel);

		if (when < next)
			next = when;
	}

	return next;
}

/* I1. */
static void begin_idle(struct co__worker *worker, bool polls)
{
	struct co_loop *loop = worker->loop;
	struct co__idle *idle = &loop->idle;
	bool recompute = false, warm;

	co__spin_acquire(&idle->lock);
	join(idle, worker, polls);
	warm = co__depot_is_warm(&loop->frames.depot);
	if (polls) {
		idle->poll_until = next_timer(loop);
		idle->trims = warm;
	} else {
		/* The poller may sleep for longer than our timers, or for good
		 * because there was nothing to trim. */
		recompute = co__wheel_next(&worker->wheel) < idle->poll_until
				|| (warm && !idle->trims);
		idle->trims |= recompute;
	}
	co__spin_release(&idle->lock);
	if (recompute)
		loop->os->wake(loop->poller);
}

/* Take WORKER off the list, if nobody else has.  Returns whether another had,
 * who then sends a signal. */
static bool end_idle(struct co__worker *worker, bool polls)
{
	struct co__idle *idle = &worker->loop->idle;
	bool signalled;

	co__spin_acquire(&idle->lock);
	signalled = !worker->is_idle;
	if (!signalled)
		leave(idle, worker);
	if (polls) {
		idle->poll_until = INT64_MIN;
		idle->trims = true;
	}
	co__spin_release(&idle->lock);
	if (polls)
		/* Release: the poller's state; pairs with the acquire of who
		 * polls next. */
		AO_store_release(&idle->polling, 0);

	return signalled;
}

/* Wait for a signal. */
static void wait_for_signal(struct co__worker *worker)
{
	while (sem_wait(&worker->sleep) < 0 && errno == EINTR)
		;
}

/* A length of time for a probe, whose arguments have the size of a register. */
static inline long probed(co_time timeout)
{
	return timeout > LONG_MAX ? LONG_MAX : (long)timeout;
}

/* Ask the poller, until UNTIL at most. */
static int wait_for_events(struct co__worker *worker, co_time until)
{
	struct co_loop *loop = worker->loop;
	co_time timeout = -1;
	int events;

	if (until != CO_NEVER) {
		timeout = until - co_now();
		if (timeout < 0)
			timeout = 0;
	}
	AO_store(&worker->polls, AO_load(&worker->polls) + 1);

	events = loop->os->wait(loop->poller, worker->polled, CO__EVENTS,
			timeout);
	CO__PROBE3(poll, loop, probed(timeout), events);

	return events;
}

static bool get_poller(struct co__idle *idle)
{
	/* Acquire: pairs with end_idle. */
	return AO_load(&idle->polling) == 0
			&& AO_compare_and_swap_acquire(&idle->polling, 0, 1);
}

/* Trim while there is nothing else to do, and wake to trim on.  Returns when to
 * wake, UNTIL at the latest. */
static co_time trim_until(struct co__worker *worker, co_time until)
{
	if (!co__depot_is_warm(&worker->loop->frames.depot))
		return until;
	co__near_trim(worker, co_now());

	return worker->trims_next < until ? worker->trims_next : until;
}

void co__idle_sleep(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	struct co__idle *idle = &loop->idle;
	bool polls = get_poller(idle), sees_work = false;
	int events = 0;

	begin_idle(worker, polls);			/* I1 */
	if (worker->searching) {
		worker->searching = false;
		AO_fetch_and_sub1_full(&idle->searching);
	}
	co__atomic_fence();		/* I2: pairs with N2 */
	if (!co__worker_sees_work(worker)) {			/* I3 */
		/* After I2, and whoever joined last: who gave up the last
		 * reference meanwhile saw us search, and woke nobody. */
		co__loop_quiesce(loop);
		if (polls) {
			AO_store(&worker->doing, CO__POLLS);
			events = wait_for_events(worker, trim_until(worker,
					idle->poll_until));
		} else {
			AO_store(&worker->doing, CO__SLEEPS);
			AO_store(&worker->naps, AO_load(&worker->naps) + 1);
			wait_for_signal(worker);
		}
		AO_store(&worker->doing, CO__WORKS);
		AO_store(&worker->clock, co__stamp(co__clock_coarse()));
	} else {
		sees_work = true;
	}
	if (end_idle(worker, polls)) {
		worker->searching = true;
		if (!polls && sees_work)
			wait_for_signal(worker);
	}
	if (loop->has_monitor)
		co__monitor_rouse(loop);
	co__loop_deliver(worker, events);
	/* What it sees may be ticks that post themselves, for ever. */
	if (sees_work && AO_load(&loop->polled) != 0)
		co__idle_poll(worker);
}

void co__idle_poll(struct co__worker *worker)
{
	struct co__idle *idle = &worker->loop->idle;
	int events;

	if (!get_poller(idle))
		return;
	events = wait_for_events(worker, 0);
	AO_store_release(&idle->polling, 0);	/* as in end_idle */
	co__loop_deliver(worker, events);
}
