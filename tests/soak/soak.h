/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_SOAK_H
#define COLOOP_TESTS_SOAK_H

/*
 * soak.h - everything at once, for as long as one likes
 *
 * Lanes    A lane is a thread that makes a loop, of 1 to 8 threads and either
 *          backend, has some parts go on in it, sees that all came out even,
 *          and destroys it; then another.  Each time is a round.
 * Parts    A part is a task and what it spawns.  It ends by itself: what it has
 *          sent was received, who asked for a lock had it, who was spawned has
 *          ended.  Most of what it does has no deadline that might make up for
 *          a wake-up that was lost.
 * Epochs   From time to time all lanes end, and it is counted what is left: no
 *          file descriptor, no memory of a loop, nothing in the channels that
 *          all lanes share; and the process is not larger than it was, but for
 *          a tolerance (soak.c).
 * Watch    A lane in which no part and no round ends for PATIENCE seconds has
 *          its loop dumped, and the program is aborted.
 *
 * Beside the arguments of torture.h there is PATIENCE, 60 without it, longer
 * where a checker makes everything slow.
 */

#include "../torture/torture.h"
#include "../storm.h"

enum { SOAK_LANES_MAX = 3, SOAK_THREADS_MAX = 8 };

struct lane {
	pthread_t thread;
	uint64_t random;		/* owner: the lane */
	volatile AO_t loop;		/* atomic: struct co_loop *, or 0 */
	volatile AO_t done;		/* atomic: the thread is about to end */
	struct test_counter progress;
	/* Of all tasks of the round that are counted. */
	struct test_counter begun, ended;
	/* By the watch. */
	size_t seen;
	co_time seen_at;
};

/* What a part is told. */
struct part {
	struct lane *lane;
	uint64_t random;
};

/* What has been done in all. */
struct totals {
	struct test_counter rounds, tasks, abandoned, items, locks, sleeps,
		wakes, calls, connections, resets, bytes;
};

struct soak {
	struct torture torture;
	volatile AO_t over;		/* atomic: no further round */
	struct storm bridge;		/* channels that all lanes share */
	struct totals totals;
};

extern struct soak soak;

/* Rounds until soak.over; ARG is a struct lane. */
void *soak_lane(void *arg);

/* parts.c */
co_task_fn part_storm, part_pipeline, part_locks, part_timers, part_tree;
/* net.c */
co_task_fn part_net;
/* outside.c */
co_task_fn part_threads, part_blocking, part_bridge;

/* A loop that is destroyed with tasks in it.  outside.c */
void soak_abandon(struct lane *lane, struct co_loop *loop);

static inline size_t part_draw(struct part *part, size_t limit)
{
	return test_random_below(&part->random, limit);
}

#endif
