/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CLOCK_H
#define COLOOP_LIB_CLOCK_H

/* clock.h - reading the clock cheaply */

#include <coloop/time.h>

#include "atomic.h"

/* A time not later than co_now(), and by a few milliseconds earlier: costs a
 * quarter of it. */
co_time co__clock_coarse(void);

/* The time DURATION after NOW: NOW if it is negative, CO_NEVER if it is too
 * long. */
co_time co__clock_add(co_time now, co_time duration);

/* A stamp: a time in one word, which has room for a small number beside it.  Of
 * the smallest unit that doesn't wrap around within weeks: 1 ms, or 17 ms. */
#define CO__STAMP_BITS 4u
#define CO__STAMP_SHIFT (sizeof(AO_t) < sizeof(co_time) ? 24u : 20u)
#define CO__STAMP_LOW (((AO_t)1 << CO__STAMP_BITS) - 1)

/* The stamp of NOW; its low bits are 0. */
static inline AO_t co__stamp(co_time now)
{
	return (AO_t)((uint64_t)now >> CO__STAMP_SHIFT) << CO__STAMP_BITS;
}

/* How long before NOW, in milliseconds, STAMP was made, whatever its low bits
 * are. */
static inline uint64_t co__stamp_age_ms(AO_t stamp, co_time now)
{
	uint64_t age = (co__stamp(now) - (stamp & ~CO__STAMP_LOW))
			>> CO__STAMP_BITS;

	return (age << CO__STAMP_SHIFT) / CO_MILLISECOND;
}

#endif
