/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_IDLE_H
#define COLOOP_LIB_IDLE_H

/*
 * idle.h - let workers sleep without losing a wake-up
 *
 * States      A worker is running, searching (looking for work; counted in
 *             `searching'), or idle (in the list, counted in `count').  Of the
 *             idle ones at most one polls: it sleeps in the backend, and the
 *             others on semaphores.
 *
 *               running -> searching -> running | idle
 *               idle -> searching   by co__idle_wake_one, which counts it as
 *                                   searching on its behalf, and signals it
 *               idle -> running     by itself: found work, event or timer
 *
 * Ownership   The list, `count', is_idle, is_polling, poll_until and trims
 *             change under `lock'.  Who takes a worker off the list owes it one
 *             signal; a worker that was taken off waits for that signal.
 *
 * Ordering    Who adds work                Who goes to sleep
 *               N1 put it in a queue         I1 join the list; count + 1
 *               N2 fence                     I2 searching - 1, fence
 *               N3 read searching, count     I3 look at all queues
 *
 *             The fences rule out that N3 misses I1 and I3 misses N1 at once.
 *             If N3 sees `count' 0, nobody sleeps, and whoever will looks at
 *             the queues after. If N3 sees a searcher and so wakes nobody, the
 *             searcher's I2 comes later, so its I3 sees the work; or it finds
 *             other work first, and then the last searcher looks once more
 *             (co__idle_found) and wakes the next.
 *
 *             Work that its adder runs next itself, the run-next slot and a
 *             queue of one, is added without N2: it is the adder's own, and
 *             the monitor looks after a worker that doesn't come to it.
 *
 * Quiescence  Work is taken only by workers off the list.  So when all are in
 *             the list and the queues are empty, only the outside can make
 *             work: a timer, a descriptor, a thread with a co_loop_ref.  A
 *             worker that has joined and finds the list full looks whether
 *             there is any such (co__loop_quiesce); if not, the loop has ended
 *             or is stuck.
 */

#include "list.h"
#include "spin.h"

#include <coloop/time.h>

struct co_loop;
struct co__worker;

/* In three lines: for who sleeps or wakes another; what whoever adds work
 * reads, and what seldom changes while there is much of it; what each thief
 * writes. */
struct co__idle {
	struct co__spin lock;
	struct co__list workers;	/* lock: the idle; the poller last */
	AO_t polling;			/* atomic: 1 while a worker has the
					 * right to call the backend's wait */
	co_time poll_until;		/* lock: when the poller wakes */
	bool trims;			/* lock: it wakes to trim (depot.h), or
					 * is awake, or about to be */
	AO_t wakeups;			/* relaxed: signals sent */
	char before_count[64];
	AO_t count;			/* atomic; lock to change */
	char before_searching[64];
	AO_t searching;			/* atomic */
};

void co__idle_init(struct co__idle *idle);

/* N2 and N3: there is work that the adder does not run next itself. */
void co__idle_notify(struct co_loop *loop);

/* Wake one idle worker unless one is searching.  Returns whether one was. */
bool co__idle_wake_one(struct co_loop *loop);

/* Wake WORKER if it is idle: there is work for it alone. */
void co__idle_wake(struct co__worker *worker);

/* Wake all: the loop stops. */
void co__idle_wake_all(struct co_loop *loop);

/* WORKER begins to search, if it doesn't already. */
void co__idle_search(struct co__worker *worker);

/* WORKER, which may be searching, has found work. */
void co__idle_found(struct co__worker *worker);

/* Sleep until there may be something to do, or the loop stops. */
void co__idle_sleep(struct co__worker *worker);

/* Take the events that are there, without waiting, unless another worker is
 * polling. */
void co__idle_poll(struct co__worker *worker);

#endif
