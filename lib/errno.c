/* SPDX-License-Identifier: MIT */

/* errno.c - the address of errno, as it is now */

#define CO_PLAIN_ERRNO

#include <coloop/errno.h>

#include "assert.h"

/* The compiler must not find out that it does no more than what is declared to
 * return the same always: hence the statement. */
co__noinline int *co_errno_location(void)
{
	__asm__ volatile("" : : : "memory");

	return &errno;
}
