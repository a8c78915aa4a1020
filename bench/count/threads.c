/* SPDX-License-Identifier: MIT */

/* threads.c - atomic operations of real threads, counted: see count.h */

#include "count.h"

#define ORDER __ATOMIC_SEQ_CST

unsigned count_thread(void)
{
	static unsigned count;
	static _Thread_local unsigned mine;

	if (mine == 0)
		mine = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);

	return mine - 1;
}

double count_time(void)
{
	return 0;
}

void count_plain(const volatile void *address, bool writes)
{
	count_touch(COUNT_PLAIN, NULL, address, writes);
}

AO_t count_load(const volatile AO_t *word, const struct count_site *site)
{
	count_touch(COUNT_LOAD, site, word, false);

	return __atomic_load_n(word, ORDER);
}

/* Not in the one order of all, which on x86 would be an exchange. */
void count_store(volatile AO_t *word, AO_t value, const struct count_site *site)
{
	count_touch(COUNT_STORE, site, word, true);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

AO_t count_compare_and_swap(volatile AO_t *word, AO_t old, AO_t value,
		const struct count_site *site)
{
	count_touch(COUNT_RMW, site, word, true);
	__atomic_compare_exchange_n(word, &old, value, false, ORDER, ORDER);

	return old;
}

AO_t count_add(volatile AO_t *word, AO_t difference,
		const struct count_site *site)
{
	count_touch(COUNT_RMW, site, word, true);

	return __atomic_fetch_add(word, difference, ORDER);
}

void count_fence(const struct count_site *site)
{
	count_touch(COUNT_FENCE, site, NULL, false);
	__atomic_thread_fence(ORDER);
}

void count_pause(void)
{
#if defined __x86_64__ || defined __i386__
	__asm__ volatile("pause");
#endif
}
