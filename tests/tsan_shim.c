/* SPDX-License-Identifier: MIT */

/*
 * tsan_shim.c - let Criterion and ThreadSanitizer share an address space
 *
 * Criterion passes data to the process of each test through memory that is
 * mapped at the same address in both.  It picks one where ThreadSanitizer,
 * on x86-64, keeps its shadow of the program's memory, and the mapping is
 * refused.  These definitions of mmap(2) and mincore(2) move such an address
 * to where ThreadSanitizer expects memory of the program, always in the same
 * way, so that both processes agree.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where Criterion looks for room. */
#define CHOICE_BEGIN 0x200000000000u
#define CHOICE_END   0x600000000000u

/* Where ThreadSanitizer allows it: 256 GiB from here, below the highest
 * address that Criterion believes in. */
#define ALLOWED_BEGIN 0x7e8100000000u
#define ALLOWED_SIZE  0x004000000000u

/* The sanitizer's own initialization maps memory before it can count calls. */
#define UNCOUNTED __attribute__((no_sanitize("thread"), visibility("default")))

static inline int is_refused(uintptr_t address)
{
	return address >= CHOICE_BEGIN && address < CHOICE_END;
}

static inline uintptr_t moved(uintptr_t address)
{
	return ALLOWED_BEGIN + (address - CHOICE_BEGIN) % ALLOWED_SIZE;
}

UNCOUNTED void *mmap(void *address, size_t size, int protection, int flags,
		int fd, off_t offset)
{
	const int exact = MAP_FIXED | MAP_SHARED;
	uintptr_t at = (uintptr_t)address;
	long result;

	if ((flags & exact) == exact && is_refused(at))
		at = moved(at);

	result = syscall(SYS_mmap, at, size, protection, flags, fd, offset);
	return result == -1 ? MAP_FAILED : (void *)result;
}

UNCOUNTED void *mmap64(void *address, size_t size, int protection, int flags,
		int fd, off64_t offset) __attribute__((alias("mmap")));

/* Criterion asks whether an address is free before it maps there: it isn't if
 * what was mapped before was moved to the same place. */
UNCOUNTED int mincore(void *address, size_t size, unsigned char *ret_pages)
{
	uintptr_t at = (uintptr_t)address;

	if (is_refused(at))
		at = moved(at);

	return (int)syscall(SYS_mincore, at, size, ret_pages);
}
