/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_STRAND_H
#define COLOOP_LIB_STRAND_H

/*
 * strand.h - one at a time, for the state of an object
 *
 * A channel or a lock is a sequential state machine; its strand lets one
 * thread at a time run it, for a few instructions.  A task that waits keeps
 * the strand until it has left its stack: the hook releases it, so nobody sees
 * a waiter that isn't really waiting.
 *
 * Who finds the strand taken spins briefly.  Then a task that may block lets
 * other tasks run and tries again, so no thread waits while it has something
 * else to do.  A thread that isn't in a task gives its processor away, and so
 * does a task in a call that doesn't wait: its program relies upon it that
 * neither other tasks nor another thread come between.
 *
 * Most objects are used by one worker for a long time.  So a worker that has
 * taken a strand some thousand times in a row makes it its own, and takes it by
 * plain stores from then on.  Whoever else wants it takes it away, which costs
 * a system call, and next time it takes twice as many until somebody owns it.
 *
 * States      free (0), HELD, owned (the address of a seat).
 *
 *               free -> HELD    who takes it
 *               HELD -> free    the same, who releases it
 *               HELD -> owned   the same, a worker that has the habit
 *               owned -> HELD   whoever else takes it: by a compare-and-swap,
 *                               and then it waits until the owner isn't inside;
 *                               or the owner, to hold several
 *
 *             While it is owned its owner may be inside: see seat.h.
 * Invariant   A worker is inside of one strand at most, for nobody takes a
 *             second one but select, which holds all of its strands.
 * Ordering    The owner                   Another
 *               E1 inside = the strand      B1 owned -> HELD
 *               E2 look at the word         B2 co__os_barrier
 *               E3 use it, if its own       B3 wait for inside != the strand
 *               E4 inside = 0               B4 use it
 *
 *             B2 is a fence in the other, and one at some moment in the owner.
 *             Either that is before E2: then E2 sees HELD, or what came of it,
 *             and the strand can't be the owner's again but by itself.  Or it
 *             is after E2, hence after E1: then B3 sees the owner inside, and
 *             waits for E4.  E1 and E4 are releases, for B3, which acquires,
 *             may see the next E1 instead of E4.
 *             E1 and E2 may not change places in the compiler.  In the
 *             processor they may, and do: this is what B2 is for.
 *
 * It is a spin lock rather than a word with an inbox of requests: it is freed
 * by a store instead of a compare-and-swap (2.4 ns of 4.8 on current x86), and
 * a select can hold those of all its channels at once.
 */

#include "assert.h"
#include "seat.h"
#include "worker.h"

#define CO__STRAND_HELD ((AO_t)1)

struct co__strand {
	AO_t word;			/* atomic: see States */
	AO_t habit;			/* strand, HELD: the seat of who held it
					 * last, how often this was given up,
					 * and how many more times in a row it
					 * has to be taken: strand.c */
};

/* The parts of `habit'. */
#define CO__HABIT_SEAT ((AO_t)CO__SEATS - 1)
#define CO__HABIT_LOSS (CO__HABIT_SEAT + 1)
#define CO__HABIT_LEFT (CO__HABIT_LOSS * 16)

/* In what follows SELF is the calling task if others may run while it waits,
 * and it may be in another thread afterwards; or it is NULL. */

/* STRAND was HELD: spin, or let others run, until it may not be. */
void co__strand_wait(const struct co__strand *strand, struct co_task *self);

/* Take STRAND so that it is HELD, for who holds several. */
void co__strand_hold(struct co__strand *strand, struct co_task *self);

/* The same if it isn't HELD by another.  SEAT is that of the thread. */
bool co__strand_try_hold(struct co__strand *strand, struct co__seat *seat);

/* What co__strand_acquire does if it can't be done at once. */
void co__strand_acquire_slowly(struct co__strand *strand, struct co_task *self);

/* The word of STRAND, which is HELD, once the thread with SEAT releases it, and
 * it isn't just another time that it did so. */
AO_t co__strand_settle(struct co__strand *strand, struct co__seat *seat);

/* A thread with SEAT: take STRAND if it is its own.  It is released by
 * co__strand_release_own then, or as any other. */
static inline bool co__strand_try_own(struct co__strand *strand,
		struct co__seat *seat)
{
	if (co__unlikely(AO_load(&strand->word) != (AO_t)seat))
		return false;
	co__assert(AO_load(&seat->inside) == 0);
	/* Release: pairs with B3, as E4 does. */
	AO_store_release(&seat->inside, (AO_t)strand);		/* E1 */
	AO_compiler_barrier();				/* pairs with B2 */
	if (co__likely(AO_load(&strand->word) == (AO_t)seat))	/* E2 */
		return true;
	AO_store_release(&seat->inside, 0);			/* E4 */

	return false;
}

static inline void co__strand_release_own(struct co__seat *seat)
{
	AO_store_release(&seat->inside, 0);		/* E4: pairs with B3 */
}

/* Take STRAND if it is free. */
static inline bool co__strand_try_free(struct co__strand *strand)
{
	/* Acquire: pairs with the release of who held it last. */
	if (!AO_compare_and_swap_acquire(&strand->word, 0, CO__STRAND_HELD))
		return false;
	co__checked_acquire(strand);

	return true;
}

/* A thread with SEAT: take STRAND if that needs no waiting. */
static inline bool co__strand_try(struct co__strand *strand,
		struct co__seat *seat)
{
	return co__strand_try_own(strand, seat) || co__strand_try_free(strand);
}

static inline void co__strand_acquire(struct co__strand *strand,
		struct co_task *self)
{
	if (co__unlikely(!co__strand_try(strand, co__seat_with(self))))
		co__strand_acquire_slowly(strand, self);
}

/* SEAT is that of the thread that took it. */
static inline void co__strand_release(struct co__strand *strand,
		struct co__seat *seat)
{
	AO_t habit, word = 0;

	if (AO_load(&seat->inside) == (AO_t)strand) {
		co__strand_release_own(seat);
		return;
	}
	habit = strand->habit - CO__HABIT_LEFT;
	if (co__likely((habit & CO__HABIT_SEAT) == seat->number
			&& habit >= CO__HABIT_LEFT))
		strand->habit = habit;
	else
		word = co__strand_settle(strand, seat);
	co__checked_release(strand);
	/* Release: pairs with the acquire of who takes it next. */
	AO_store_release(&strand->word, word);
}

/* Park SELF, which holds STRAND, on OBJECT; the strand is released when SELF
 * has left its stack.  Returns the outcome. */
int co__strand_park(struct co__strand *strand, struct co_task *self, int kind,
		const void *object);

#endif
