/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BENCH_COUNT_ATOMICS_H
#define COLOOP_BENCH_COUNT_ATOMICS_H

/*
 * atomics.h - libatomic_ops for the library that counts: see count.h
 *
 * lib/atomic.h includes this in its place when CO_COUNT is defined.  All orders
 * are the strongest: what is counted is how often, and where.
 */

#include <stddef.h>

typedef size_t AO_t;

/* Where an operation stands in the source.  All of them are one array, which
 * the linker puts together; so their alignment is their size. */
struct count_site {
	const char *function;
	const char *file;
	int line;
} __attribute__((aligned(32)));

#define COUNT_HERE (__extension__ ({                                         \
	static struct count_site site_here                                   \
			__attribute__((section("count_sites"), used)) =      \
			{ __func__, __FILE__, __LINE__ };                    \
	&site_here;                                                          \
}))

AO_t count_load(const volatile AO_t *word, const struct count_site *site);
void count_store(volatile AO_t *word, AO_t value,
		const struct count_site *site);
AO_t count_compare_and_swap(volatile AO_t *word, AO_t old, AO_t value,
		const struct count_site *site);
AO_t count_add(volatile AO_t *word, AO_t difference,
		const struct count_site *site);
void count_fence(const struct count_site *site);
void count_pause(void);

#define AO_compiler_barrier() __asm__ volatile("" : : : "memory")
#define AO_nop_full() count_fence(COUNT_HERE)

#define AO_load(word) count_load((word), COUNT_HERE)
#define AO_load_acquire(word) AO_load(word)
#define AO_store(word, value) count_store((word), (value), COUNT_HERE)
#define AO_store_release(word, value) AO_store(word, value)

#define AO_fetch_compare_and_swap(word, old, value) \
	count_compare_and_swap((word), (old), (value), COUNT_HERE)
#define AO_fetch_compare_and_swap_release(word, old, value) \
	AO_fetch_compare_and_swap(word, old, value)
#define AO_fetch_compare_and_swap_full(word, old, value) \
	AO_fetch_compare_and_swap(word, old, value)

/* OLD is the same both times: it is compared with what was there. */
static inline int count_swapped(volatile AO_t *word, AO_t old, AO_t value,
		const struct count_site *site)
{
	return count_compare_and_swap(word, old, value, site) == old;
}

#define AO_compare_and_swap(word, old, value) \
	count_swapped((word), (old), (value), COUNT_HERE)
#define AO_compare_and_swap_acquire(word, old, value) \
	AO_compare_and_swap(word, old, value)
#define AO_compare_and_swap_release(word, old, value) \
	AO_compare_and_swap(word, old, value)
#define AO_compare_and_swap_full(word, old, value) \
	AO_compare_and_swap(word, old, value)

#define AO_fetch_and_add(word, value) count_add((word), (value), COUNT_HERE)
#define AO_fetch_and_add_acquire(word, value) AO_fetch_and_add(word, value)
#define AO_fetch_and_add_release(word, value) AO_fetch_and_add(word, value)
#define AO_fetch_and_add_full(word, value) AO_fetch_and_add(word, value)
#define AO_fetch_and_add1(word) AO_fetch_and_add((word), 1)
#define AO_fetch_and_add1_full(word) AO_fetch_and_add((word), 1)
#define AO_fetch_and_sub1(word) AO_fetch_and_add((word), (AO_t)-1)
#define AO_fetch_and_sub1_release(word) AO_fetch_and_sub1(word)
#define AO_fetch_and_sub1_full(word) AO_fetch_and_sub1(word)

#endif
