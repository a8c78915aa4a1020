/* SPDX-License-Identifier: MIT */

/*
 * plain.c - plain accesses, counted: see count.h
 *
 * The compiler makes calls of them for a race detector, which isn't linked.
 * What is on a stack and isn't shared is none of them.
 */

#include "count.h"

#include <string.h>

#define ACCESS(name)                                                         \
	void __tsan_##name(void *address);                                   \
	void __tsan_##name(void *address)

#define READ(name) ACCESS(name) { count_plain(address, false); }
#define WRITE(name) ACCESS(name) { count_plain(address, true); }
#define SIZE(prefix, size)                                                   \
	READ(prefix##read##size)                                             \
	WRITE(prefix##write##size)
#define SIZES(prefix)                                                        \
	SIZE(prefix, 1) SIZE(prefix, 2) SIZE(prefix, 4) SIZE(prefix, 8)      \
	SIZE(prefix, 16)

SIZES()
SIZES(volatile_)
SIZES(unaligned_)
SIZES(unaligned_volatile_)

/* By the types that gcc has for them. */
void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void *pc);
void __tsan_read_range(void *address, long size);
void __tsan_write_range(void *address, long size);
void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memmove(void *to, const void *from, size_t size);
void *__tsan_memset(void *to, int byte, size_t size);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void *pc)
{
	(void)pc;
}

static void range(const char *address, size_t size, bool writes)
{
	for (size_t i = 0; i < size; i += 64)
		count_plain(address + i, writes);
}

void __tsan_read_range(void *address, long size)
{
	range(address, (size_t)size, false);
}

void __tsan_write_range(void *address, long size)
{
	range(address, (size_t)size, true);
}

/* clang's names for what it copies. */
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	range(from, size, false);
	range(to, size, true);

	return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
	range(from, size, false);
	range(to, size, true);

	return memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size)
{
	range(to, size, true);

	return memset(to, byte, size);
}
