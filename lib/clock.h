/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CLOCK_H
#define COLOOP_LIB_CLOCK_H

/* clock.h - reading the clock cheaply */

#include <coloop/time.h>

/* A time not later than co_now(), and by a few milliseconds earlier: costs a
 * quarter of it. */
co_time co__clock_coarse(void);

/* The time DURATION after NOW: NOW if it is negative, CO_NEVER if it is too
 * long. */
co_time co__clock_add(co_time now, co_time duration);

#endif
