/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_ASSERT_H
#define COLOOP_LIB_ASSERT_H

/*
 * assert.h - broken contracts and invariants
 *
 * A debug build stops where one is broken.  A normal build does not look.
 */

#include <stddef.h>
#include <stdlib.h>

#ifdef CO_DEBUG
#define co__assert(condition) ((condition) ? (void)0 : abort())
#else
#define co__assert(condition) ((void)sizeof(condition))
#endif

#define co__likely(condition) __builtin_expect(!!(condition), 1)
#define co__unlikely(condition) __builtin_expect(!!(condition), 0)

/* The slow part of a call: inlined, it would make the quick part save the
 * registers that only it needs. */
#define co__noinline __attribute__((noinline))

/* The quick part, of which each caller uses another half.  Where it is counted
 * what tests reach, they are to be the same branches for all callers. */
#ifdef CO_COVERAGE
#define co__always_inline inline
#else
#define co__always_inline inline __attribute__((always_inline))
#endif

#define CO__CACHE_LINE 64u

/* Begin to fetch SIZE bytes at START, which need not be memory at all. */
static inline void co__prefetch(const void *start, size_t size)
{
	const char *line = start;

	for (size_t i = 0; i < size; i += CO__CACHE_LINE)
		__builtin_prefetch(line + i, 1);
}

/* The structure of TYPE whose MEMBER is at POINTER. */
#define co__container_of(pointer, type, member)                             \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
