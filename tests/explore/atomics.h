/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_EXPLORE_ATOMICS_H
#define COLOOP_TESTS_EXPLORE_ATOMICS_H

/*
 * atomics.h - libatomic_ops for code under exploration: see explore.h
 *
 * The names and orders are those of libatomic_ops; lib/atomic.h includes this
 * in its place when CO_EXPLORE is defined.
 */

#include <stddef.h>

typedef size_t AO_t;

enum explore_order {
	EXPLORE_RELAXED = 0,
	EXPLORE_ACQUIRE = 1,
	EXPLORE_RELEASE = 2,
	EXPLORE_FULL = 3	/* both, and no more: see rule 2 of lib/atomic.h */
};

/* Where an operation stands, for the trace. */
struct explore_site {
	const char *function;
	int line;
	enum explore_order order;
};

#define EXPLORE_AT(order) (struct explore_site){ __func__, __LINE__, (order) }

AO_t explore_load(const volatile AO_t *word, struct explore_site site);
void explore_store(volatile AO_t *word, AO_t value, struct explore_site site);
AO_t explore_compare_and_swap(volatile AO_t *word, AO_t old, AO_t value,
		struct explore_site site);
AO_t explore_add(volatile AO_t *word, AO_t difference,
		struct explore_site site);
void explore_fence(struct explore_site site);
void explore_pause(void);

#define AO_compiler_barrier() ((void)0)
#define AO_nop_full() explore_fence(EXPLORE_AT(EXPLORE_FULL))

#define AO_load(word) explore_load((word), EXPLORE_AT(EXPLORE_RELAXED))
#define AO_load_acquire(word) \
	explore_load((word), EXPLORE_AT(EXPLORE_ACQUIRE))

#define AO_store(word, value) \
	explore_store((word), (value), EXPLORE_AT(EXPLORE_RELAXED))
#define AO_store_release(word, value) \
	explore_store((word), (value), EXPLORE_AT(EXPLORE_RELEASE))

#define AO_fetch_compare_and_swap(word, old, value) \
	explore_compare_and_swap((word), (old), (value), \
		EXPLORE_AT(EXPLORE_RELAXED))
#define AO_fetch_compare_and_swap_acquire(word, old, value) \
	explore_compare_and_swap((word), (old), (value), \
		EXPLORE_AT(EXPLORE_ACQUIRE))
#define AO_fetch_compare_and_swap_release(word, old, value) \
	explore_compare_and_swap((word), (old), (value), \
		EXPLORE_AT(EXPLORE_RELEASE))
#define AO_fetch_compare_and_swap_full(word, old, value) \
	explore_compare_and_swap((word), (old), (value), \
		EXPLORE_AT(EXPLORE_FULL))

/* OLD is the same both times: it is compared with what was there. */
static inline int explore_swapped(volatile AO_t *word, AO_t old, AO_t value,
		struct explore_site site)
{
	return explore_compare_and_swap(word, old, value, site) == old;
}

#define AO_compare_and_swap(word, old, value) \
	explore_swapped((word), (old), (value), EXPLORE_AT(EXPLORE_RELAXED))
#define AO_compare_and_swap_acquire(word, old, value) \
	explore_swapped((word), (old), (value), EXPLORE_AT(EXPLORE_ACQUIRE))
#define AO_compare_and_swap_release(word, old, value) \
	explore_swapped((word), (old), (value), EXPLORE_AT(EXPLORE_RELEASE))
#define AO_compare_and_swap_full(word, old, value) \
	explore_swapped((word), (old), (value), EXPLORE_AT(EXPLORE_FULL))

#define AO_fetch_and_add(word, value) \
	explore_add((word), (value), EXPLORE_AT(EXPLORE_RELAXED))
#define AO_fetch_and_add1(word) AO_fetch_and_add((word), 1)
#define AO_fetch_and_sub1(word) AO_fetch_and_add((word), (AO_t)-1)
#define AO_fetch_and_add_acquire(word, value) \
	explore_add((word), (value), EXPLORE_AT(EXPLORE_ACQUIRE))
#define AO_fetch_and_add1_acquire(word) AO_fetch_and_add_acquire((word), 1)
#define AO_fetch_and_sub1_acquire(word) \
	AO_fetch_and_add_acquire((word), (AO_t)-1)
#define AO_fetch_and_add_release(word, value) \
	explore_add((word), (value), EXPLORE_AT(EXPLORE_RELEASE))
#define AO_fetch_and_add1_release(word) AO_fetch_and_add_release((word), 1)
#define AO_fetch_and_sub1_release(word) \
	AO_fetch_and_add_release((word), (AO_t)-1)
#define AO_fetch_and_add_full(word, value) \
	explore_add((word), (value), EXPLORE_AT(EXPLORE_FULL))
#define AO_fetch_and_add1_full(word) AO_fetch_and_add_full((word), 1)
#define AO_fetch_and_sub1_full(word) AO_fetch_and_add_full((word), (AO_t)-1)

#endif
