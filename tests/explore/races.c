/* SPDX-License-Identifier: MIT */

/*
 * races.c - plain accesses must be ordered
 *
 * The explored code is compiled with -fsanitize=thread, which puts a call
 * before each plain access; the calls are answered here instead of by that
 * sanitizer's runtime.  For each eight bytes the last accesses are kept: by
 * whom, to which of the bytes, and how often that thread had released something
 * before.  A thread that is to be ordered after has acquired that, so it knows
 * of more releases: otherwise, if one of the two is a write, they race.
 *
 * When a bug leaves two accesses unordered they need not come in the wrong
 * order to be found.
 */

#include "run.h"

#include <errno.h>
#include <string.h>

#include "worker.h"

#define GRANULES (1u << 15)	/* a power of two */
#define CELLS 6u
#define RANGE_MAX 256u		/* more at once is initialisation */

struct cell {
	unsigned clock;		/* releases before it, or 0: empty */
	unsigned char thread;
	unsigned char bytes;	/* a bit for each */
	bool write;
	const void *pc;
};

struct granule {
	uintptr_t address;	/* divided by 8 */
	unsigned run;		/* which it is of; others count as empty */
	unsigned next;		/* cell to be given up next */
	struct cell cells[CELLS];
};

extern const char __executable_start[];

static struct granule granules[GRANULES];
static struct granule *used[GRANULES / 2];	/* those of this run */
static unsigned run, granule_count;

void races_begin(void)
{
	run++;
	granule_count = 0;
}

/* The granule of ADDRESS, or NULL if there is no room. */
static struct granule *granule_at(uintptr_t address)
{
	unsigned at = (unsigned)(address * 2654435761u >> 5) % GRANULES;

	while (granules[at].run == run && granules[at].address != address)
		at = (at + 1) % GRANULES;
	if (granules[at].run != run) {
		if (granule_count >= GRANULES / 2)
			return NULL;
		used[granule_count++] = &granules[at];
		memset(&granules[at], 0, sizeof granules[at]);
		granules[at].run = run;
		granules[at].address = address;
	}

	return &granules[at];
}

static size_t offset_of(const void *pc)
{
	return (size_t)((const char *)pc - __executable_start);
}

static void complain(const struct cell *before, const struct cell *now,
		uintptr_t address)
{
	explore_fail("race at %p: thread %d %s, and thread %d %s before, "
			"in no order\naddr2line -fpie explore %#zx %#zx",
			(void *)(address * 8), now->thread, now->write
			? "writes" : "reads", before->thread, before->write
			? "wrote" : "read", offset_of(now->pc),
			offset_of(before->pc));
}

/* Keep NOW: in place of what it makes superfluous, or of any. */
static void keep(struct granule *granule, const struct cell *now)
{
	for (unsigned i = 0; i < CELLS; i++) {
		struct cell *cell = &granule->cells[i];

		if (cell->clock == 0 || (cell->thread == now->thread
				&& cell->bytes == now->bytes
				&& cell->write <= now->write)) {
			*cell = *now;
			return;
		}
	}
	granule->cells[granule->next++ % CELLS] = *now;
}

static void look(uintptr_t address, const struct cell *now)
{
	struct granule *granule = granule_at(address);

	if (granule == NULL)
		return;
	for (unsigned i = 0; i < CELLS; i++) {
		const struct cell *cell = &granule->cells[i];

		if (cell->clock == 0 || cell->thread == now->thread
				|| (cell->bytes & now->bytes) == 0
				|| !(cell->write || now->write))
			continue;
		if (cell->clock > memory_knows(cell->thread))
			complain(cell, now, address);
	}
	keep(granule, now);
}

static void access_bytes(const volatile void *pointer, size_t size, bool write,
		const void *pc)
{
	uintptr_t address = (uintptr_t)pointer, end = address + size;
	int self = running();

	/* Each thread has its own of what is thread-local. */
	if (self < 0 || size > RANGE_MAX || pointer == &co__worker_here
			|| pointer == &errno)
		return;
	if (is_given_back(pointer))
		explore_fail("use of memory that was given back\n"
				"addr2line -fpie explore %#zx", offset_of(pc));
	while (address < end) {
		unsigned first = address % 8;
		unsigned n = end - address < 8 - first
				? (unsigned)(end - address) : 8 - first;
		struct cell now = { .clock = memory_clock(self), .pc = pc,
			.thread = (unsigned char)self, .write = write,
			.bytes = (unsigned char)(((1u << n) - 1) << first) };

		look(address / 8, &now);
		address += n;
	}
}

/* Whoever has used a part of it did so before: somebody else may write to it
 * from now on. */
void races_give_back(const void *block, size_t size, const void *pc)
{
	uintptr_t first = (uintptr_t)block / 8, end = first + size / 8;
	struct cell now = { .write = true, .bytes = 0xff, .pc = pc };
	unsigned count = granule_count;
	int self = running();

	if (self < 0)
		return;
	now.thread = (unsigned char)self;
	now.clock = memory_clock(self);
	for (unsigned i = 0; i < count; i++)
		if (used[i]->address >= first && used[i]->address < end)
			look(used[i]->address, &now);
}

/* --- What the compiler calls ---------------------------------------------- */

#define PC __builtin_return_address(0)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(void *address, size_t size);
void __tsan_write_range(void *address, size_t size);
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

void __tsan_func_exit(void)
{
}

#define ACCESSES(size, prefix)                                              \
	void __tsan_##prefix##read##size(void *address);                    \
	void __tsan_##prefix##write##size(void *address);                   \
	void __tsan_##prefix##read##size(void *address)                     \
	{                                                                   \
		access_bytes(address, size, false, PC);                     \
	}                                                                   \
	void __tsan_##prefix##write##size(void *address)                    \
	{                                                                   \
		access_bytes(address, size, true, PC);                      \
	}

ACCESSES(1, )
ACCESSES(2, )
ACCESSES(4, )
ACCESSES(8, )
ACCESSES(16, )
ACCESSES(2, unaligned_)
ACCESSES(4, unaligned_)
ACCESSES(8, unaligned_)
ACCESSES(16, unaligned_)

void __tsan_read_range(void *address, size_t size)
{
	access_bytes(address, size, false, PC);
}

void __tsan_write_range(void *address, size_t size)
{
	access_bytes(address, size, true, PC);
}

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
	access_bytes(from, size, false, PC);
	access_bytes(to, size, true, PC);

	return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
	access_bytes(from, size, false, PC);
	access_bytes(to, size, true, PC);

	return memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size)
{
	access_bytes(to, size, true, PC);

	return memset(to, byte, size);
}
