/* SPDX-License-Identifier: MIT */

/* clock.c - the time, as one number */

#include "clock.h"

#include <time.h>

static co_time read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);

	return (co_time)now.tv_sec * CO_SECOND + now.tv_nsec;
}

co_time co_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

co_time co__clock_coarse(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
	return read_clock(CLOCK_MONOTONIC_COARSE);
#else
	return co_now();
#endif
}

co_time co__clock_add(co_time now, co_time duration)
{
	if (duration <= 0)
		return now;

	return duration > CO_NEVER - now ? CO_NEVER : now + duration;
}

co_time co_after(co_time duration)
{
	return co__clock_add(co_now(), duration);
}
