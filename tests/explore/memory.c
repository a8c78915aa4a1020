/* SPDX-License-Identifier: MIT */

/*
 * memory.c - words with a past, and who may still see how much of it
 *
 * See Memory in explore.h.  The words themselves always hold the newest value.
 * Where one was changed without an atomic operation it begins a new past:
 * that it was right to do so is for races.c to say.
 */

#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 1024u		/* atomic words of one run */
#define SLOTS 4096u		/* of the table by address; a power of two */
#define PAST 8u			/* values of a word that are kept */
#define IN_VAIN_MAX 32u		/* loads in a row of what nobody wrote, until
				 * no switch is tried before them */
#define ARENA ((size_t)256 << 20)

/* What somebody knows.  The numbers of values count from 1. */
struct view {
	unsigned clock[EXPLORE_THREADS];	/* releases, by thread */
	unsigned short oldest[PLACES];		/* value, by word */
};

/* A view at some moment. */
struct snapshot {
	unsigned clock[EXPLORE_THREADS];
	unsigned places;
	unsigned short oldest[];
};

struct value {
	AO_t value;
	const struct snapshot *view;	/* what comes with it, or NULL */
};

struct place {
	volatile AO_t *word;
	unsigned newest;		/* its number */
	unsigned first;			/* the oldest that belongs to it */
	AO_t initial;
	struct value past[PAST];	/* by number modulo PAST */
};

struct thread_memory {
	struct view now;
	struct view seen;		/* came with what was read: a fence
					 * acquires it */
	const struct snapshot *fenced;	/* goes with stores: of the last fence,
					 * or NULL */
	bool read_old;
};

extern char __data_start[], _end[];

static struct place places[PLACES];
static unsigned place_count;
static unsigned short table[SLOTS];	/* number of a place, plus 1 */
static struct thread_memory threads[EXPLORE_THREADS];
static struct view fences;		/* of all fences */
static struct view shared[64];		/* memory_view() */
static unsigned old_loads, loads_in_vain;

static char *arena;
static size_t arena_used;

/* --- Views ---------------------------------------------------------------- */

static void join(struct view *view, const unsigned *clock,
		const unsigned short *oldest, unsigned count)
{
	for (unsigned i = 0; i < EXPLORE_THREADS; i++)
		if (clock[i] > view->clock[i])
			view->clock[i] = clock[i];
	for (unsigned i = 0; i < count; i++)
		view->oldest[i] = oldest[i] > view->oldest[i] ? oldest[i]
				: view->oldest[i];
}

static void join_view(struct view *view, const struct view *other)
{
	join(view, other->clock, other->oldest, place_count);
}

static void join_snapshot(struct view *view, const struct snapshot *other)
{
	if (other != NULL)
		join(view, other->clock, other->oldest, other->places);
}

static void *take_arena(size_t size)
{
	void *memory = arena + arena_used;

	arena_used += (size + 15) & ~(size_t)15;
	if (arena_used > ARENA)
		explore_fail("the run has too many views");

	return memory;
}

static const struct snapshot *snapshot(const struct view *view)
{
	struct snapshot *copy = take_arena(sizeof *copy
			+ place_count * sizeof copy->oldest[0]);

	memcpy(copy->clock, view->clock, sizeof copy->clock);
	copy->places = place_count;
	memcpy(copy->oldest, view->oldest,
			place_count * sizeof copy->oldest[0]);

	return copy;
}

/* What a thread releases; what it does next is not part of it. */
static const struct snapshot *release_now(struct thread_memory *self)
{
	const struct snapshot *copy = snapshot(&self->now);

	self->now.clock[self - threads]++;

	return copy;
}

static const struct snapshot *join_snapshots(const struct snapshot *one,
		const struct snapshot *other)
{
	struct view both;

	if (one == NULL || other == NULL)
		return one != NULL ? one : other;
	memset(&both, 0, sizeof both);
	join_snapshot(&both, one);
	join_snapshot(&both, other);

	return snapshot(&both);
}

struct view *memory_view(unsigned number)
{
	return &shared[number];
}

void memory_give(struct view *view)
{
	struct thread_memory *self = &threads[running()];

	join_view(view, &self->now);
	self->now.clock[running()]++;
}

void memory_take(const struct view *view)
{
	join_view(&threads[running()].now, view);
}

void memory_take_from(int thread)
{
	join_view(&threads[running()].now, &threads[thread].now);
}

unsigned memory_clock(int thread)
{
	return threads[thread].now.clock[thread];
}

unsigned memory_knows(int thread)
{
	return threads[running()].now.clock[thread];
}

bool memory_read_old(void)
{
	bool was = threads[running()].read_old;

	threads[running()].read_old = false;

	return was;
}

/* --- Words ---------------------------------------------------------------- */

static void add_value(struct place *place, AO_t value,
		const struct snapshot *view)
{
	struct value *next;

	if (++place->newest > 60000)
		explore_fail("a word has too many values");
	next = &place->past[place->newest % PAST];
	next->value = value;
	next->view = view;
	*place->word = value;
}

static struct place *new_place(const volatile AO_t *word, unsigned slot)
{
	struct place *place = &places[place_count];

	if (++place_count >= PLACES)
		explore_fail("the run has too many atomic words");
	table[slot] = (unsigned short)place_count;
	place->word = (volatile AO_t *)word;
	place->newest = 0;
	place->first = 1;
	place->initial = *word;
	add_value(place, *word, NULL);

	return place;
}

static unsigned slot_of(const volatile void *word)
{
	return (unsigned)((uintptr_t)word / sizeof(AO_t) * 2654435761u >> 7)
			% SLOTS;
}

/* The place of WORD, or NULL; *RET_SLOT is where it is or would be. */
static struct place *find_place(const volatile void *word, unsigned *ret_slot)
{
	unsigned slot = slot_of(word);

	while (table[slot] != 0 && places[table[slot] - 1].word != word)
		slot = (slot + 1) % SLOTS;
	*ret_slot = slot;

	return table[slot] != 0 ? &places[table[slot] - 1] : NULL;
}

/* The place of WORD, or NULL if nobody has written to it yet and it isn't to
 * be WRITTEN now: then it has no past. */
static struct place *place_of(const volatile AO_t *word, bool written)
{
	unsigned slot;
	struct place *place;

	if (is_given_back(word))
		explore_fail("use of memory that was given back");
	place = find_place(word, &slot);
	if (place == NULL)
		return written ? new_place(word, slot) : NULL;
	if (*word != place->past[place->newest % PAST].value) {
		add_value(place, *word, NULL);
		place->first = place->newest;
	}

	return place;
}

void memory_forget(const volatile void *address, size_t size)
{
	uintptr_t word = (uintptr_t)address & ~(sizeof(AO_t) - 1);

	for (; word < (uintptr_t)address + size; word += sizeof(AO_t)) {
		unsigned slot;
		struct place *place = find_place((void *)word, &slot);

		if (place != NULL)
			place->first = place->newest + 1;
	}
}

/* --- Operations ----------------------------------------------------------- */

/* The number of the value that the running thread finds in PLACE. */
static unsigned choose_value(struct place *place)
{
	struct thread_memory *self = &threads[running()];
	unsigned oldest = self->now.oldest[place - places], n, wish = 0;

	if (oldest < place->first)
		oldest = place->first;
	if (place->newest - oldest >= PAST)
		oldest = place->newest - PAST + 1;
	n = place->newest - oldest + 1;
	if (place->newest <= oldest)
		return place->newest;
	if (plan.olds != 0 && draw(plan.olds) == 0)
		wish = 1 + draw(n - 1);
	wish = decide(n, wish, old_loads < plan.old_loads ? n : 1);
	if (wish != 0) {
		old_loads++;
		self->read_old = true;
	}

	return place->newest - wish;
}

/* The running thread has read value NUMBER of PLACE. */
static AO_t read_value(struct place *place, unsigned number,
		enum explore_order order)
{
	struct thread_memory *self = &threads[running()];
	const struct value *value = &place->past[number % PAST];

	self->now.oldest[place - places] = (unsigned short)number;
	join_snapshot(&self->seen, value->view);
	if (order & EXPLORE_ACQUIRE)
		join_snapshot(&self->now, value->view);

	return value->value;
}

/* The running thread writes VALUE, which continues BEFORE if not NULL. */
static void write_value(struct place *place, AO_t value,
		enum explore_order order, const struct snapshot *before)
{
	struct thread_memory *self = &threads[running()];
	const struct snapshot *view = self->fenced;

	self->now.oldest[place - places] =
			(unsigned short)(place->newest + 1);
	if (order & EXPLORE_RELEASE)
		view = release_now(self);
	add_value(place, value, join_snapshots(view, before));
	loads_in_vain = 0;
	something_changed();
}

static void trace_word(const char *what, const volatile AO_t *word, AO_t value,
		struct explore_site site)
{
	static const char *const orders[] = { "", " acquire", " release",
		" full" };

	if (plan.trace)
		trace("%d %s:%d: %s%s %p: %#zx\n", running(), site.function,
				site.line, what, orders[site.order],
				(void *)word, value);
}

AO_t explore_load(const volatile AO_t *word, struct explore_site site)
{
	struct place *place;
	unsigned number;
	AO_t value;

	if (running() < 0)
		return *word;
	if (loads_in_vain < IN_VAIN_MAX)
		point("load", site);
	place = place_of(word, false);
	if (place == NULL) {
		loads_in_vain++;
		return *word;
	}
	loads_in_vain = 0;
	number = choose_value(place);
	value = read_value(place, number, site.order);
	trace_word(number == place->newest ? "load" : "load old", word, value,
			site);

	return value;
}

void explore_store(volatile AO_t *word, AO_t value, struct explore_site site)
{
	if (running() < 0) {
		*word = value;
		return;
	}
	point("store", site);
	write_value(place_of(word, true), value, site.order, NULL);
	trace_word("store", word, value, site);
}

/* An exchange that fails may have read an old value; on success it is a failed
 * look that is acquired at most. */
AO_t explore_compare_and_swap(volatile AO_t *word, AO_t old, AO_t value,
		struct explore_site site)
{
	struct place *place;
	unsigned number;
	AO_t seen;

	if (running() < 0) {
		seen = *word;
		if (seen == old)
			*word = value;
		return seen;
	}
	point("swap", site);
	place = place_of(word, true);
	number = choose_value(place);
	if (place->past[number % PAST].value == old)
		number = place->newest;
	seen = read_value(place, number, site.order);
	if (seen == old)
		write_value(place, value, site.order,
				place->past[number % PAST].view);
	trace_word(seen == old ? "swap" : number == place->newest
			? "fail to swap" : "fail to swap old", word,
			seen == old ? value : seen, site);

	return seen;
}

AO_t explore_add(volatile AO_t *word, AO_t difference,
		struct explore_site site)
{
	struct place *place;
	AO_t seen;

	if (running() < 0) {
		seen = *word;
		*word = seen + difference;
		return seen;
	}
	point("add", site);
	place = place_of(word, true);
	seen = read_value(place, place->newest, site.order);
	write_value(place, seen + difference, site.order,
			place->past[place->newest % PAST].view);
	trace_word("add", word, seen + difference, site);

	return seen;
}

void explore_fence(struct explore_site site)
{
	struct thread_memory *self;

	if (running() < 0)
		return;
	point("fence", site);
	self = &threads[running()];
	join_view(&self->now, &self->seen);
	join_view(&self->now, &fences);
	join_view(&fences, &self->now);
	self->fenced = release_now(self);
	trace("%d fence\n", running());
}

void memory_fence_all(void)
{
	for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
		join_view(&threads[i].now, &threads[i].seen);
		join_view(&fences, &threads[i].now);
	}
	for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
		if (memory_clock((int)i) == 0)
			continue;	/* it has not begun */
		join_view(&threads[i].now, &fences);
		threads[i].fenced = release_now(&threads[i]);
	}
	something_changed();
}

void explore_pause(void)
{
	spin();
}

/* --- A run ---------------------------------------------------------------- */

void memory_begin(void)
{
	if (arena == NULL)
		arena = malloc(ARENA);
	if (arena == NULL)
		abort();
	arena_used = 0;
	place_count = 0;
	old_loads = loads_in_vain = 0;
	memset(table, 0, sizeof table);
	memset(threads, 0, sizeof threads);
	memset(&fences, 0, sizeof fences);
	memset(shared, 0, sizeof shared);
}

/* Static words of the library are as they were: each run begins alike. */
void memory_end(void)
{
	for (unsigned i = 0; i < place_count; i++) {
		char *word = (char *)places[i].word;

		if (word >= __data_start && word < _end)
			*places[i].word = places[i].initial;
	}
}

void memory_thread_begins(int thread, int parent)
{
	struct thread_memory *self = &threads[thread];

	if (parent >= 0) {
		self->now = threads[parent].now;
		threads[parent].now.clock[parent]++;
	}
	self->now.clock[thread] = 1;
}
