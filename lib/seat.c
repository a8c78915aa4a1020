/* SPDX-License-Identifier: MIT */

/* seat.c - see seat.h */

#include "seat.h"

#include "spin.h"

struct co__seat co__seats[CO__SEATS];

static struct co__spin lock = CO__SPIN_INIT;
static bool taken[CO__SEATS];		/* lock; the first isn't used */

struct co__seat *co__seat_take(void)
{
	unsigned i;

	co__spin_acquire(&lock);
	for (i = 1; i < CO__SEATS && taken[i]; i++)
		;
	if (i == CO__SEATS) {
		i = 0;
	} else {
		taken[i] = true;
		co__seats[i].number = i;
	}
	co__spin_release(&lock);

	return &co__seats[i];
}

void co__seat_give(struct co__seat *seat)
{
	co__spin_acquire(&lock);
	taken[seat - co__seats] = false;
	co__spin_release(&lock);
}
