/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BENCH_COUNT_SIMULATE_H
#define COLOOP_BENCH_COUNT_SIMULATE_H

/*
 * simulate.h - the library on a machine with a core for each thread
 *
 * Threads     are fibers of one real thread, each with a clock of its own.  Who
 *             has the earliest clock goes on, at each access to a line that
 *             another has; with what is its own a thread may be ahead of the
 *             others by SIMULATE_AHEAD.  So all is determined, and the result
 *             is the same on any machine.
 * Time        Each access takes what is said below.  A line that moves also
 *             waits for those who asked for it before.  What is between two
 *             accesses takes no time, nor does the program's own code.
 * Memory      is as one would think: no store is held back.
 * System      Calls that sleep and wake are answered by answers.c.  There are
 *             no descriptors but the one that wakes the poller.
 *
 * The times are those of the machine in doc/performance.md, rounded, where a
 * line comes from a core of the same chip.
 */

#include <stdbool.h>

#define SIMULATE_NEVER 1e18

/* Nanoseconds. */
#define SIMULATE_AHEAD 20
#define SIMULATE_ACCESS 0.25	/* the line is there */
#define SIMULATE_RMW 3.5
#define SIMULATE_FENCE 6
#define SIMULATE_PAUSE 12
#define SIMULATE_MOVE 55	/* the line is elsewhere */
#define SIMULATE_COPY 10	/* until the next may have a copy, too */
#define SIMULATE_CALL 300	/* to the system, which returns at once */
#define SIMULATE_WAKE 2000	/* for who wakes a thread that sleeps */
#define SIMULATE_LATENCY 20000	/* until that goes on */

/* The clock of the running thread. */
double simulate_now(void);
void simulate_pass(double nanoseconds);

/* Let those go on who are earlier. */
void simulate_turn(void);

/* The running thread waits until it is woken on OBJECT, or until UNTIL.
 * Returns whether it was woken. */
bool simulate_block(const void *object, double until);

/* Wake who waits on OBJECT; they go on LATENCY later.  Returns whether there
 * was one. */
bool simulate_wake(const void *object, double latency);

/* Begin a thread.  Wait until one has ended. */
int simulate_thread(void *(*fn)(void *arg), void *arg);
void simulate_join(int thread);

#endif
