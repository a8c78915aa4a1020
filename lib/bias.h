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
 * States      OWNED    the owner, when it is inside, is alone: plain stores do
 *             CALLED   a guest wants to come in, and has not seen yet that the
 *                      owner has left
 *             SHARED   whoever is inside uses atomic operations
 *
 *               OWNED -> CALLED   a guest
 *               CALLED -> SHARED  the same, or another
 *               any -> SHARED, any -> OWNED   the owner, while no guest is
 *                                 inside or on its way in
 *
 * Ownership   Only who holds `guests' changes the mode, and a guest holds it
 *             for as long as it is inside: so nobody is when the owner takes
 *             all for itself.
 * Ordering    The owner                  A guest
 *               E1 inside = 1              B1 mode = CALLED
 *               E2 look at the mode        B2 co__os_barrier
 *               E3 use it, if OWNED        B3 wait for inside = 0
 *               E4 inside = 0              B4 mode = SHARED, use it
 *
 *             B2 is a fence in the guest, and one at some moment in the owner.
 *             Either that is before E2: then E2 sees CALLED, or what came of
 *             it.  Or it is after E2, hence after E1: then B3 sees the owner
 *             inside, and waits for E4, a release, which it acquires: it sees
 *             what E3 did.  So nobody is inside together with an owner who
 *             believes to be alone.
 *             E1 and E2 may not change places in the compiler.  In the
 *             processor they may, and do: this is what B2 is for.
 * Progress    A guest doesn't wait for another, and not for long for an owner
 *             who was kept from running when it was inside: it goes away.
 */

#include "assert.h"
#include "os/os.h"
#include "spin.h"

#define CO__BIAS_SHARED ((AO_t)0)
#define CO__BIAS_CALLED ((AO_t)1)
#define CO__BIAS_OWNED  ((AO_t)2)

struct co__bias {
	AO_t inside;			/* atomic: owner; 1: perhaps alone */
	AO_t mode;			/* atomic: guests; see States */
	char before_guests[64];		/* a line apart from the owner's */
	struct co__spin guests;
	AO_t visits;			/* lock: guests; relaxed to read */
};

/* The owner.  True: it is alone until co__bias_leave; false: it is as if this
 * had not been called, and others may be inside. */
static inline bool co__bias_enter(struct co__bias *bias)
{
	AO_store(&bias->inside, 1);			/* E1 */
	AO_compiler_barrier();				/* pairs with B2 */
	if (co__likely(AO_load(&bias->mode) == CO__BIAS_OWNED))	/* E2 */
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
 * co__bias_end_visit, perhaps together with the owner, but with no other guest.
 * False: not now. */
bool co__bias_visit(struct co__bias *bias);
void co__bias_end_visit(struct co__bias *bias);

/* The owner, outside: let it be OWNED or SHARED from now on, unless a guest is
 * inside just now. */
void co__bias_set(struct co__bias *bias, AO_t mode);

#endif
