/* SPDX-License-Identifier: MIT */

/* count.c - the tables: see count.h */

#include "count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

#define THREADS 128u		/* at once */
#define SITES 2048u
#define LINE_SHIFT 6
#define LINES ((size_t)1 << 20)		/* a power of two */

const char *const count_kind_names[COUNT_KINDS] = { "load", "store", "rmw",
	"fence", "plain" };
const char *const count_call_names[COUNT_CALLS] = { "poll", "epoll_ctl",
	"read", "write", "wake poller", "sleep", "wake sleeper", "mutex",
	"condition", "sched_yield", "nanosleep", "memory", "threads",
	"clock" };

/* Written by its thread only, read by all. */
struct thread {
	struct count_totals totals[COUNT_ROLES];
	struct count_of_site sites[SITES];
};

/* A line.  Who has it: a bit for each thread. */
struct line {
	uintptr_t name;			/* its address, shifted; 0: no line */
	uint64_t owners[THREADS / 64];	/* lock to change */
	bool locked;
	uint64_t moves;
	const volatile void *address;	/* the last one that moved it */
	struct count_line public;
};

/* From the linker. */
extern struct count_site __start_count_sites[], __stop_count_sites[];

static struct thread *threads[THREADS];
static struct line lines[LINES];
static struct count_totals before[COUNT_ROLES], result[COUNT_ROLES];
static struct count_of_site sites_before[SITES], sites_now[SITES];
static bool counting;

static void fail(const char *why)
{
	fprintf(stderr, "count: %s\n", why);
	abort();
}

/* --- Threads ------------------------------------------------------------- */

static struct thread *new_thread(unsigned number)
{
	struct thread *thread = calloc(1, sizeof *thread);

	if (thread == NULL || (size_t)(__stop_count_sites
			- __start_count_sites) > SITES)
		fail("no memory, or too many sites");
	__atomic_store_n(&threads[number], thread, __ATOMIC_RELEASE);

	return thread;
}

static struct thread *this_thread(void)
{
	unsigned number = count_thread();
	struct thread *thread;

	if (number >= THREADS)
		fail("too many threads");
	thread = threads[number];

	return thread != NULL ? thread : new_thread(number);
}

static int role(void)
{
	return co__worker_get() != NULL ? COUNT_WORKERS : COUNT_OTHERS;
}

static void more(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* --- Lines --------------------------------------------------------------- */

static struct line *line_of(uintptr_t name)
{
	size_t at = (size_t)(name * 0x9e3779b97f4a7c15u >> 44) % LINES;

	for (size_t tries = 0; tries < LINES; tries++) {
		struct line *line = &lines[(at + tries) % LINES];
		uintptr_t seen = __atomic_load_n(&line->name,
				__ATOMIC_RELAXED);

		if (seen == name)
			return line;
		if (seen == 0 && (__atomic_compare_exchange_n(&line->name,
				&seen, name, false, __ATOMIC_RELAXED,
				__ATOMIC_RELAXED) || seen == name))
			return line;
	}
	fail("too many lines");

	return NULL;
}

/* Whether thread ME has LINE, to write to it if WRITES. */
static bool has(const struct line *line, unsigned me, bool writes)
{
	for (unsigned i = 0; i < THREADS / 64; i++) {
		uint64_t bit = i == me / 64 ? (uint64_t)1 << me % 64 : 0;
		uint64_t owners = __atomic_load_n(&line->owners[i],
				__ATOMIC_RELAXED);

		if ((owners & bit) != bit || (writes && owners != bit))
			return false;
	}

	return true;
}

/* Thread ME gets LINE.  Returns whether another had it. */
static bool take(struct line *line, unsigned me, bool writes)
{
	uint64_t others = 0;

	while (__atomic_exchange_n(&line->locked, true, __ATOMIC_ACQUIRE))
		continue;
	for (unsigned i = 0; i < THREADS / 64; i++) {
		uint64_t bit = i == me / 64 ? (uint64_t)1 << me % 64 : 0;
		uint64_t owners = line->owners[i];

		others |= owners & ~bit;
		__atomic_store_n(&line->owners[i], writes ? bit : owners | bit,
				__ATOMIC_RELAXED);
	}
	__atomic_store_n(&line->locked, false, __ATOMIC_RELEASE);

	return others != 0;
}

static struct line *move(const volatile void *address, bool writes)
{
	struct line *line = line_of((uintptr_t)address >> LINE_SHIFT);
	unsigned me = count_thread();

	if (has(line, me, writes) || !take(line, me, writes))
		return NULL;
	if (__atomic_load_n(&counting, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(&line->moves, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&line->address, address, __ATOMIC_RELAXED);
	}

	return line;
}

bool count_has(const volatile void *address, bool writes)
{
	return has(line_of((uintptr_t)address >> LINE_SHIFT), count_thread(),
			writes);
}

/* --- Counting ------------------------------------------------------------ */

struct count_line *count_touch(enum count_kind kind,
		const struct count_site *site, const volatile void *address,
		bool writes)
{
	struct thread *thread = this_thread();
	struct count_totals *totals = &thread->totals[role()];
	struct line *moved = address != NULL ? move(address, writes) : NULL;

	more(&totals->kinds[kind]);
	if (moved != NULL)
		more(&totals->moves);
	if (site != NULL) {
		struct count_of_site *counts = &thread->sites[site
				- __start_count_sites];

		more(&counts->times);
		if (moved != NULL)
			more(&counts->moves);
	}

	return moved != NULL ? &moved->public : NULL;
}

void count_called(enum count_call call)
{
	more(&this_thread()->totals[role()].calls[call]);
}

/* --- Results ------------------------------------------------------------- */

/* Add COUNT numbers at FROM to those at TO. */
static void add(void *to, const void *from, size_t size)
{
	uint64_t *sums = to;
	const uint64_t *numbers = from;

	for (size_t i = 0; i < size / sizeof *sums; i++)
		sums[i] += __atomic_load_n(&numbers[i], __ATOMIC_RELAXED);
}

static void subtract(void *from, const void *what, size_t size)
{
	uint64_t *sums = from;
	const uint64_t *numbers = what;

	for (size_t i = 0; i < size / sizeof *sums; i++)
		sums[i] -= numbers[i];
}

static void sum_up(struct count_totals *totals, struct count_of_site *sites)
{
	memset(totals, 0, sizeof before);
	memset(sites, 0, sizeof sites_before);
	for (unsigned i = 0; i < THREADS; i++) {
		const struct thread *thread = __atomic_load_n(&threads[i],
				__ATOMIC_ACQUIRE);

		if (thread == NULL)
			continue;
		add(totals, thread->totals, sizeof thread->totals);
		add(sites, thread->sites, sizeof thread->sites);
	}
}

void count_begin(void)
{
	sum_up(before, sites_before);
	__atomic_store_n(&counting, true, __ATOMIC_RELAXED);
}

void count_end(void)
{
	__atomic_store_n(&counting, false, __ATOMIC_RELAXED);
	sum_up(result, sites_now);
	subtract(result, before, sizeof before);
	subtract(sites_now, sites_before, sizeof sites_before);
}

const struct count_totals *count_result(int role)
{
	return &result[role];
}

void count_each_site(void (*visit)(const struct count_site *site,
		const struct count_of_site *counts))
{
	size_t count = (size_t)(__stop_count_sites - __start_count_sites);

	for (size_t i = 0; i < count; i++)
		if (sites_now[i].times != 0)
			visit(&__start_count_sites[i], &sites_now[i]);
}

void count_each_line(void (*visit)(const volatile void *address,
		uint64_t moves))
{
	for (size_t i = 0; i < LINES; i++) {
		uint64_t moves = __atomic_load_n(&lines[i].moves,
				__ATOMIC_RELAXED);

		if (moves != 0)
			visit(__atomic_load_n(&lines[i].address,
					__ATOMIC_RELAXED), moves);
	}
}
