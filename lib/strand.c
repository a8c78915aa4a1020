/* SPDX-License-Identifier: MIT */

/* strand.c - see strand.h */

#include "strand.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "os/os.h"
#include "spin.h"
#include "wait.h"

enum { SPINS_MIN = 128, SPINS_MAX = 512 };

/* What it takes to own a strand: at least as many atomic operations as cost
 * what it costs to lose it again.  Few in explored schedules, which are
 * short. */
#ifdef CO_EXPLORE
#define HABIT 1
#else
#define HABIT 4096
#endif

#define LOSSES_MAX 8u

static AO_t losses_in(AO_t habit)
{
	return habit / CO__HABIT_LOSS % (CO__HABIT_LEFT / CO__HABIT_LOSS);
}

AO_t co__strand_settle(struct co__strand *strand, struct co__seat *seat)
{
	bool is_habit = (strand->habit & CO__HABIT_SEAT) == seat->number;
	AO_t losses = losses_in(strand->habit);

	strand->habit = seat->number | losses * CO__HABIT_LOSS
			| ((AO_t)HABIT << losses) * CO__HABIT_LEFT;

	/* What its owner does with it, ThreadSanitizer would not be told. */
	return is_habit && seat != co__seat_none && co__os_has_barrier()
			&& !co__checked_by_tsan() ? (AO_t)seat : 0;
}

/* Wait until the owner of SEAT isn't inside of STRAND, which is no more its
 * own. */
static void see_out(const struct co__strand *strand, struct co__seat *seat)
{
	/* Without a barrier there is time: no processor keeps a store to itself
	 * for as long as this. */
	struct timespec left = { 0, 10 * 1000 * 1000 };

	if (co__unlikely(co__os_barrier() < 0))			/* B2 */
		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			;
	/* Acquire: pairs with E4, and E1 of another strand. */
	for (unsigned i = 0; AO_load_acquire(&seat->inside)	/* B3 */
			== (AO_t)strand; i++)
		co__spin_relax(i);
}

/* owned, by OWNER -> HELD, by the thread with SEAT.  False: it has changed. */
static bool take_over(struct co__strand *strand, AO_t owner,
		const struct co__seat *seat)
{
	AO_t losses;

	/* Acquire: pairs with the release by which it became owned. */
	if (!AO_compare_and_swap_acquire(&strand->word, owner,
			CO__STRAND_HELD))				/* B1 */
		return false;
	losses = losses_in(strand->habit);
	if (owner != (AO_t)seat) {
		see_out(strand, (struct co__seat *)owner);
		if (losses < LOSSES_MAX)
			losses++;
	}
	strand->habit = losses * CO__HABIT_LOSS;

	return true;
}

/* Whether WORD is that of a strand with an owner. */
static bool is_owned(AO_t word)
{
	return word != 0 && word != CO__STRAND_HELD;
}

bool co__strand_try_hold(struct co__strand *strand, struct co__seat *seat)
{
	AO_t word = AO_load(&strand->word);

	if (is_owned(word))
		return take_over(strand, word, seat);

	return word == 0 && co__strand_try_free(strand);
}

/* Spin until the strand may be free.  False: that takes too long. */
static bool spin(const struct co__strand *strand)
{
	/* To look takes the cache line from who works with it, so look seldom,
	 * and ever more so: meanwhile the other gets much done. */
	for (int spins = SPINS_MIN; spins <= SPINS_MAX; spins *= 2) {
		co__atomic_pause_long(spins);
		if (AO_load(&strand->word) != CO__STRAND_HELD)
			return true;
	}

	return false;
}

void co__strand_wait(const struct co__strand *strand, struct co_task *self)
{
	if (spin(strand))
		return;
	if (self != NULL) {
		co__worker_yield(self);
		if (AO_load(&strand->word) == CO__STRAND_HELD)
			sched_yield();
		return;
	}
	for (unsigned i = 0; AO_load(&strand->word) == CO__STRAND_HELD; i++)
		co__spin_relax(i);
}

void co__strand_hold(struct co__strand *strand, struct co_task *self)
{
	while (!co__strand_try_hold(strand, co__seat_with(self)))
		co__strand_wait(strand, self);
}

void co__strand_acquire_slowly(struct co__strand *strand, struct co_task *self)
{
	do {
		/* Whom another owns it can be taken from at once. */
		if (!is_owned(AO_load(&strand->word)))
			co__strand_wait(strand, self);
	} while (!co__strand_try(strand, co__seat_with(self))
			&& !co__strand_try_hold(strand, co__seat_with(self)));
}

/* Once the strand is free the task may return, and its stack, where ARG isn't,
 * be gone. */
static void arm_and_release(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	struct co__strand *strand = arg;
	int rc = co__wait_arm_plain(worker, self);

	co__strand_release(strand, worker->seat);
	if (co__unlikely(rc < 0))
		co__wait_unarmed(self, rc);
}

int co__strand_park(struct co__strand *strand, struct co_task *self, int kind,
		const void *object)
{
	return co__park(self, (enum co__wait_kind)kind, object,
			arm_and_release, strand);
}
