/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_ATOMIC_H
#define COLOOP_LIB_ATOMIC_H

/*
 * atomic.h - the only place that knows libatomic_ops
 *
 * Shared words are AO_t, which is size_t; pointers are cast.  Rules:
 *
 * - Happens-before comes from _acquire and _release operations.
 * - A store that must be seen before a later load is followed by
 *   co__atomic_fence(): no read-modify-write of libatomic_ops promises that,
 *   whatever its suffix (on arm64 `_full` is acquire and release only).
 * - libatomic_ops has no exchange and no fetch-and-or; they are loops here.
 */

#if defined CO_EXPLORE
#include <explore/atomics.h>	/* each operation is a choice of a test */
#elif defined CO_COUNT
#include <count/atomics.h>	/* each operation is counted */
#else
#define AO_REQUIRE_CAS
#include <atomic_ops.h>
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined CO_EXPLORE || defined CO_COUNT
/* The sanitizer's calls are answered by tests/explore/races.c, or by
 * bench/count/plain.c. */
#elif defined __SANITIZE_THREAD__
#define CO__TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define CO__TSAN 1
#endif
#endif

/* Order every earlier store before every later load.  ThreadSanitizer doesn't
 * know fences: there, an atomic operation on a word of its own stands in. */
static inline void co__atomic_fence(void)
{
#ifdef CO__TSAN
	static volatile AO_t word;

	AO_fetch_and_add_full(&word, 0);
#else
	AO_nop_full();
#endif
}

/* The same, directly after a read-modify-write that has happened: on x86 that
 * is a fence by itself. */
static inline void co__atomic_fence_after_rmw(void)
{
#if (defined __x86_64__ || defined __i386__) && !defined CO__TSAN \
		&& !defined CO_EXPLORE
	AO_compiler_barrier();
#else
	co__atomic_fence();
#endif
}

/* Tell the processor that this thread is spinning. */
static inline void co__atomic_pause(void)
{
#if defined CO_EXPLORE
	explore_pause();
#elif defined CO_COUNT
	count_pause();
#elif defined __x86_64__ || defined __i386__
	__asm__ volatile("pause");
#elif defined __aarch64__ || (defined __arm__ && __ARM_ARCH >= 7)
	__asm__ volatile("yield");
#else
	AO_compiler_barrier();
#endif
}

/* The same for a time in which nothing is looked at: nor by a processor that
 * guesses that the loop has ended, and runs ahead of it.  Such a look counts
 * for nothing, but it takes the cache line all the same. */
static inline void co__atomic_pause_long(int pauses)
{
#ifdef CO_EXPLORE
	pauses = 1;	/* it lasts until something changes */
#endif
	while (pauses-- > 0)
		co__atomic_pause();
#ifdef __SSE2__
	__asm__ volatile("lfence" : : : "memory");
#endif
}

/* Store VALUE and return what was there; acquire and release. */
static inline AO_t co__atomic_swap(volatile AO_t *word, AO_t value)
{
	AO_t old = AO_load(word), seen;

	while ((seen = AO_fetch_compare_and_swap_full(word, old, value)) != old)
		old = seen;

	return old;
}

/* Set BITS and return what was there; acquire and release. */
static inline AO_t co__atomic_fetch_or(volatile AO_t *word, AO_t bits)
{
	AO_t old = AO_load(word), seen;

	while ((seen = AO_fetch_compare_and_swap_full(word, old, old | bits))
			!= old)
		old = seen;

	return old;
}

/* A 64-bit number in atomic words, for whoever can tell by other means that
 * what it read was not being written. */
static inline void co__atomic_store_wide(volatile AO_t *words, int64_t value)
{
	AO_store(&words[0], (AO_t)value);
	if (sizeof(AO_t) < sizeof value)
		AO_store(&words[1], (AO_t)((uint64_t)value >> 32));
}

static inline int64_t co__atomic_load_wide(const volatile AO_t *words)
{
	uint64_t value = AO_load(&words[0]);

	if (sizeof(AO_t) < sizeof value)
		value |= (uint64_t)AO_load(&words[1]) << 32;

	return (int64_t)value;
}

#endif
