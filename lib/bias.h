/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_BIAS_H
#define COLOOP_LIB_BIAS_H

/*
 * bias.h - a door that its owner goes through at no cost
 *
 * Something is used by its owner, one thread, all the time, and by others, its
 * guests, now and then.  While none has come for a while the owner has it to
 * itself, and needs no atomic operation; a guest first makes it shared, and
 * pays for the order between the two with a system call.
 *
 * States      One word says whether it is OWNED or SHARED, how many guests are
 *             inside or on their way in, and how many have come so far.
 *
 *               OWNED, no guest  the owner, when it is inside, is alone: plain
 *                                stores do
 *               OWNED, guests    they are on their way in, and have not seen
 *                                yet that the owner has left
 *               SHARED           whoever is inside uses atomic operations
 *
 *             A guest counts itself when it comes, and takes that back when it
 *             leaves or goes away.  It changes OWNED to SHARED, on its way in;
 *             and so may the owner, while there is no guest.  Only the owner
 *             changes SHARED to OWNED, while there is no guest.
 *
 * Ordering    The owner                  A guest
 *               E1 inside = 1              B1 count itself; if it is SHARED,
 *               E2 look at the word           it is inside; if it is OWNED:
 *               E3 use it, if OWNED        B2 co__os_barrier
 *                  without guests          B3 wait for inside = 0
 *               E4 inside = 0              B4 make it SHARED; it is inside
 *                                          B5 leave: count back
 *
 *             B2 is a fence in the guest, and one at some moment in the owner.
 *             Either that is before E2: then E2 sees that there is a guest,
 *             who is counted until B5.  Or it is after E2, hence after E1: then
 *             B3 sees the owner inside, and waits for E4, a release, which it
 *             acquires: it sees what E3 did.  So nobody is inside together with
 *             an owner who believes to be alone.
 *             E1 and E2 may not change places in the compiler.  In the
 *             processor they may, and do: this is what B2 is for.
 *
 *             An owner may be inside across a switch of stacks.  So a task that
 *             yields is queued first and left then: guests find it off its
 *             stack, as all that E3 did.
 *
 *             A guest for whom it is SHARED at B1 needs no B2.  Who made it so
 *             was a guest after B3, or the owner, outside; that was a release,
 *             which B1 acquires, so it sees what E3 did.  And it is not made
 *             OWNED as long as that guest is counted.
 *             Nor is it while another is between B1 and B4: what B4 ends is
 *             what B1 saw, though a third may have ended it before.  So any
 *             number may come in at once, each after its own B2 and B3.
 *             The owner who makes it OWNED acquires what each B5 released: all
 *             changes of the word are read-modify-writes, so none hides an
 *             earlier one.  Who goes away was never inside, and once it has
 *             taken its count back the owner may be alone again.
 * Progress    A guest doesn't wait for another, and not for long for an owner
 *             who was kept from running when it was inside: it goes away.
 */

#include "assert.h"
#include "atomic.h"
#include "os/os.h"

#define CO__BIAS_SHARED ((AO_t)0)
#define CO__BIAS_OWNED  ((AO_t)1)
/* In the same word: guests, of whom there are fewer than 2^15, and visits. */
#define CO__BIAS_GUEST  ((AO_t)1 << 1)
#define CO__BIAS_VISIT  ((AO_t)1 << 16)
#define CO__BIAS_GUESTS (CO__BIAS_VISIT - CO__BIAS_GUEST)

/* Each in a line of its own: what the owner writes again and again, what it
 * only reads, and what is before them, at which thieves look. */
struct co__bias {
	char before_inside[64];
	AO_t inside;			/* atomic: owner; 1: perhaps alone */
	char before_state[64];
	AO_t state;			/* atomic: see States */
};

/* The owner.  True: it is alone until co__bias_leave; false: it is as if this
 * had not been called, and others may be inside. */
static inline bool co__bias_enter(struct co__bias *bias)
{
	AO_store(&bias->inside, 1);			/* E1 */
	AO_compiler_barrier();				/* pairs with B2 */
	if (co__likely((AO_load(&bias->state)		/* E2 */
			& (CO__BIAS_OWNED | CO__BIAS_GUESTS))
			== CO__BIAS_OWNED))
		return true;
	/* Release: a guest may see this 0, and not that of the last time. */
	AO_store_release(&bias->inside, 0);		/* E4 */

	return false;
}

static inline void co__bias_leave(struct co__bias *bias)
{
	AO_store_release(&bias->inside, 0);		/* E4: pairs with B3 */
}

/* A guest, any thread but the owner's.  True: it is inside until
 * co__bias_end_visit, perhaps together with the owner and with other guests.
 * False: not now. */
bool co__bias_visit(struct co__bias *bias);

static inline void co__bias_end_visit(struct co__bias *bias)
{
	/* B5, release: pairs with the acquire of co__bias_set. */
	AO_fetch_and_add_release(&bias->state, (AO_t)0 - CO__BIAS_GUEST);
}

/* How many guests have come, or gone away.  For comparing only: it wraps. */
static inline AO_t co__bias_visits(const struct co__bias *bias)
{
	return AO_load(&bias->state) / CO__BIAS_VISIT;
}

/* The owner, outside: let it be OWNED or SHARED from now on, unless a guest is
 * inside or on its way in just now. */
void co__bias_set(struct co__bias *bias, AO_t mode);

#endif
