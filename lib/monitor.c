/* SPDX-License-Identifier: MIT */

/* monitor.c - see monitor.h */

#include "monitor.h"

#include <time.h>

#include "clock.h"
#include "loop.h"
#include "stall.h"

#define PERIOD_MIN (250 * CO_MICROSECOND)
#define PERIOD_MAX (2 * CO_MILLISECOND)
#define LATE (2 * CO_MILLISECOND)	/* a timer that nobody looks after */
#define PERIOD_ALONE (25 * CO_MILLISECOND)	/* of a loop of one thread */
#define QUIET 20			/* looks, before it sleeps for good */

static bool has_work_at_hand(const struct co__worker *worker)
{
	return AO_load(&worker->next) != 0
			|| co__runq_length(&worker->queue) != 0;
}

/* Whether WORKER has not switched since the last look, with work at hand.  It
 * stays eager while its tasks compute for as long as that. */
static bool is_stuck(struct co__worker *worker)
{
	AO_t switches = AO_load(&worker->switches);
	bool same = switches == AO_load(&worker->seen_at);
	bool stuck = same && has_work_at_hand(worker);

	AO_store(&worker->seen_at, switches);
	if (stuck)
		AO_store(&worker->stuck_at, switches);
	if (stuck || (same && AO_load(&worker->eager) != 0
			&& co__worker_current(worker) != NULL))
		AO_store(&worker->eager, CO__EAGER);

	return stuck;
}

static size_t count_polls(struct co_loop *loop)
{
	size_t polls = 0;

	for (unsigned i = 0; i < loop->threads; i++)
		polls += AO_load(&loop->workers[i].polls);

	return polls;
}

/* Whether nobody sleeps in the poller, and nobody asked it since last time. */
static bool is_unpolled(struct co_loop *loop)
{
	size_t polls = count_polls(loop);
	bool same = polls == loop->monitor.polls;

	loop->monitor.polls = polls;

	return same && AO_load(&loop->polled) != 0
			&& AO_load(&loop->idle.polling) == 0;
}

/* Whether an idle worker is needed. */
static bool look(struct co_loop *loop, co_time now)
{
	bool needed = is_unpolled(loop);
	co_time late = now - LATE;

	needed |= co__inject_has_some(&loop->inject);
	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__worker *worker = &loop->workers[i];

		needed |= is_stuck(worker);
		needed |= co__wheel_next(&worker->wheel) < late;
	}

	return needed;
}

/* Whether there is something for an idle worker, unless those who are to do it
 * come to it soon: only a second look can tell. */
static bool is_suspicious(struct co_loop *loop)
{
	bool found = AO_load(&loop->polled) != 0
			&& AO_load(&loop->idle.polling) == 0;

	for (unsigned i = 0; i < loop->threads; i++)
		found |= has_work_at_hand(&loop->workers[i]);

	return found && AO_load(&loop->idle.count) != 0;
}

/* Wait for DURATION, or for ever if it is negative, or until a change.  False:
 * the monitor is to stop. */
static bool wait_for_change(struct co__monitor *monitor, co_time duration)
{
	co_time until = co_after(duration);
	struct timespec when = { (time_t)(until / CO_SECOND),
		(long)(until % CO_SECOND) };
	bool quit;

	pthread_mutex_lock(&monitor->lock);
	if (!monitor->quit && duration >= 0)
		pthread_cond_timedwait(&monitor->change, &monitor->lock, &when);
	while (!monitor->quit && duration < 0 && AO_load(&monitor->asleep))
		pthread_cond_wait(&monitor->change, &monitor->lock);
	quit = monitor->quit;
	pthread_mutex_unlock(&monitor->lock);

	return !quit;
}

static bool all_idle(struct co_loop *loop)
{
	return AO_load(&loop->idle.count) == loop->threads;
}

/* Sleep until a worker wakes. */
static void sleep_long(struct co_loop *loop)
{
	AO_store(&loop->monitor.asleep, 1);
	co__atomic_fence();		/* pairs with co__monitor_rouse */
	if (all_idle(loop))
		wait_for_change(&loop->monitor, -1);
	AO_store(&loop->monitor.asleep, 0);
}

/* How long not to look at most.  A stall may begin just after a look, and be
 * long enough just after another: it is reported by two of these too late. */
static co_time longest_period(const struct co_loop *loop)
{
	co_time longest = loop->threads > 1 ? PERIOD_MAX : PERIOD_ALONE;
	co_time quarter = loop->stall_after / 4;

	if (loop->stall_after == 0 || quarter > longest)
		return longest;

	return quarter > PERIOD_MIN ? quarter : PERIOD_MIN;
}

/* See how long each worker has run what it runs.  The last look was at LAST,
 * and the next was to be after ASKED.  If it comes much later, the process or
 * this thread did not run, and that says nothing of the workers.  Returns the
 * time. */
static co_time watch(struct co_loop *loop, co_time last, co_time asked)
{
	co_time now = co_now(), passed = now - last;

	co__stall_look(loop, now, passed < 2 * asked ? passed : 2 * asked);

	return now;
}

static void *monitor_main(void *arg)
{
	struct co_loop *loop = arg;
	co_time period = PERIOD_MIN, longest = longest_period(loop);
	co_time last = co_now(), asked = period;
	bool again = false;
	unsigned quiet = 0;

	while (wait_for_change(&loop->monitor, asked)) {
		last = watch(loop, last, asked);
		if (!all_idle(loop))
			quiet = 0;
		else if (++quiet > QUIET)
			sleep_long(loop);
		if (loop->threads > 1 && look(loop, last)
				&& AO_load(&loop->idle.count) != 0) {
			co__idle_wake_one(loop);
			period = PERIOD_MIN;
			again = false;
		} else {
			again = loop->threads > 1 && !again
					&& is_suspicious(loop);
			period = 2 * period < longest ? 2 * period : longest;
		}
		asked = again ? PERIOD_MIN : period;
	}

	return NULL;
}

void co__monitor_rouse(struct co_loop *loop)
{
	struct co__monitor *monitor = &loop->monitor;

	/* The worker left the list of the idle: store before load. */
	co__atomic_fence();		/* pairs with sleep_long */
	if (AO_load(&monitor->asleep) == 0)
		return;
	pthread_mutex_lock(&monitor->lock);
	AO_store(&monitor->asleep, 0);
	pthread_cond_signal(&monitor->change);
	pthread_mutex_unlock(&monitor->lock);
}

int co__monitor_start(struct co_loop *loop)
{
	struct co__monitor *monitor = &loop->monitor;
	pthread_condattr_t attr;
	int rc;

	monitor->quit = false;
	monitor->asleep = 0;
	pthread_mutex_init(&monitor->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&monitor->change, &attr);
	pthread_condattr_destroy(&attr);
	rc = co__loop_start_thread(&monitor->thread, monitor_main, loop);
	if (rc < 0) {
		pthread_cond_destroy(&monitor->change);
		pthread_mutex_destroy(&monitor->lock);
	}

	return rc;
}

void co__monitor_stop(struct co_loop *loop)
{
	struct co__monitor *monitor = &loop->monitor;

	pthread_mutex_lock(&monitor->lock);
	monitor->quit = true;
	pthread_cond_signal(&monitor->change);
	pthread_mutex_unlock(&monitor->lock);
	pthread_join(monitor->thread, NULL);
	pthread_cond_destroy(&monitor->change);
	pthread_mutex_destroy(&monitor->lock);
}
