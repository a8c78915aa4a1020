/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_MONITOR_H
#define COLOOP_LIB_MONITOR_H

/*
 * monitor.h - a thread that looks after workers which compute for long
 *
 * A worker adds what it runs next itself without telling the idle (idle.h).
 * If it then computes and doesn't come to it, the monitor sees that it has not
 * switched between two looks, allows its run-next slot to be taken, and wakes
 * an idle worker.  It does the same for timers that are overdue, and for
 * descriptors when nobody has asked for events.
 *
 * It looks every 250 us after it found something, and ever more rarely, down
 * to every 2 ms, while it finds nothing; but 250 us after a look at which there
 * was something that an idle worker might have to do, it looks again.  So what
 * it is for waits for 2.5 ms at most; a timer, which is left to the workers
 * until it is 2 ms late, for 4.5.  When all workers have been idle for a while
 * it sleeps until one wakes.
 *
 * It also sees how long each worker has run without a switch, for stall.h.  A
 * loop of one thread has a monitor for that alone, if at all, and it looks
 * every 25 ms at least.
 */

#include <pthread.h>

#include "atomic.h"

struct co_loop;

struct co__monitor {
	pthread_t thread;		/* constant while the loop runs */
	pthread_mutex_t lock;
	pthread_cond_t change;		/* lock: of `quit' or `asleep' */
	AO_t asleep;			/* atomic: 1: waits to be roused */
	bool quit;			/* lock */
	size_t polls;			/* monitor: as seen at the last look */
};

/* Negative errno values of pthread_create. */
int co__monitor_start(struct co_loop *loop);
void co__monitor_stop(struct co_loop *loop);

/* A worker has left idleness. */
void co__monitor_rouse(struct co_loop *loop);

#endif
