/* SPDX-License-Identifier: MIT */

/* bias.c - see bias.h for the protocol */

#include "bias.h"

#include <sched.h>

enum { SPINS = 256 };

/* Wait until the owner has left.  False: that takes too long. */
static bool see_nobody(struct co__bias *bias)
{
	for (int i = 0; i < SPINS; i++) {
		/* Acquire: pairs with E4. */
		if (AO_load_acquire(&bias->inside) == 0)	/* B3 */
			return true;
		co__atomic_pause();
	}
	sched_yield();

	return false;
}

/* B4, unless another guest was faster. */
static void share(struct co__bias *bias)
{
	AO_t state = AO_load(&bias->state), seen;

	while ((state & CO__BIAS_OWNED) != 0) {
		/* Release: what B3 acquired; pairs with B1. */
		seen = AO_fetch_compare_and_swap_release(&bias->state, state,
				state - CO__BIAS_OWNED);
		if (seen == state)
			return;
		state = seen;
	}
}

bool co__bias_visit(struct co__bias *bias)
{
	/* B1, acquire: pairs with B4 and co__bias_set. */
	AO_t state = AO_fetch_and_add_acquire(&bias->state,
			CO__BIAS_VISIT + CO__BIAS_GUEST);

	if ((state & CO__BIAS_OWNED) == 0)
		return true;
	if (co__os_barrier() < 0 || !see_nobody(bias)) {	/* B2 */
		AO_fetch_and_add(&bias->state, (AO_t)0 - CO__BIAS_GUEST);
		return false;
	}
	share(bias);

	return true;
}

void co__bias_set(struct co__bias *bias, AO_t mode)
{
	AO_t state = AO_load(&bias->state);

	if ((state & CO__BIAS_OWNED) == mode || (state & CO__BIAS_GUESTS) != 0)
		return;
	/* Acquire: what guests did; pairs with B5.  Release: what E3 did; pairs
	 * with B1. */
	AO_compare_and_swap_full(&bias->state, state, state ^ CO__BIAS_OWNED);
}
