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

/* Have the owner believe no more that it is alone. */
static bool call(struct co__bias *bias)
{
	AO_store(&bias->mode, CO__BIAS_CALLED);		/* B1 */
	if (co__os_barrier() < 0 || !see_nobody(bias))	/* B2 */
		return false;
	AO_store(&bias->mode, CO__BIAS_SHARED);		/* B4 */

	return true;
}

bool co__bias_visit(struct co__bias *bias)
{
	if (!co__spin_try(&bias->guests))
		return false;
	if (AO_load(&bias->mode) != CO__BIAS_SHARED && !call(bias)) {
		co__spin_release(&bias->guests);
		return false;
	}
	AO_store(&bias->visits, AO_load(&bias->visits) + 1);

	return true;
}

void co__bias_end_visit(struct co__bias *bias)
{
	co__spin_release(&bias->guests);
}

void co__bias_set(struct co__bias *bias, AO_t mode)
{
	if (AO_load(&bias->mode) == mode || !co__spin_try(&bias->guests))
		return;
	AO_store(&bias->mode, mode);
	co__spin_release(&bias->guests);
}
