/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_SEAT_H
#define COLOOP_LIB_SEAT_H

/*
 * seat.h - where a worker says what it is inside of
 *
 * A strand may be owned by a worker, who then takes and releases it by a plain
 * store each: strand.h.  Both are to here, for all strands of the worker, and
 * whoever wants to take a strand away looks here whether its owner is inside.
 *
 * Ownership   A worker has a seat for as long as its loop exists, and then
 *             another worker gets it, with all the strands that are its own:
 *             so a strand never has an owner that is gone.  Seats are static,
 *             hence there are so many and no more; workers that get none own
 *             nothing, like threads that aren't a worker's.
 * Ordering    What the last worker of a seat did is seen by the next: both ends
 *             of a loop are calls of the program's, and seats change hands
 *             under a lock.
 */

#include "atomic.h"

#define CO__SEATS 128u

struct co__seat {
	/* atomic: its worker; the strand that it is inside of or just looking
	 * at, or 0 */
	AO_t inside __attribute__((aligned(64)));
	AO_t number;			/* constant; 0: nobody's */
};

extern struct co__seat co__seats[CO__SEATS]
		__attribute__((visibility("hidden")));

/* Of those who have none; nobody writes there. */
#define co__seat_none (&co__seats[0])

/* A seat for a worker, or co__seat_none. */
struct co__seat *co__seat_take(void);

/* SEAT, or co__seat_none, is of no use any more. */
void co__seat_give(struct co__seat *seat);

#endif
