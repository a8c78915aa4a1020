/* SPDX-License-Identifier: MIT */

/* simulate.c - a machine with a core for each thread: see simulate.h */

#include "simulate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "context/context.h"
#include "count.h"
#include "worker.h"

#define THREADS 128
#define STACK_SIZE ((size_t)256 << 10)

enum state { ABSENT, READY, BLOCKED, ENDED };

struct thread {
	enum state state;
	double clock;			/* its core's, in nanoseconds */
	struct co__context context;
	struct co__worker *here;	/* its thread-local variables */
	int error;
	void *(*fn)(void *arg);
	void *arg;
	const void *object;		/* blocked: until it is woken */
	double until;			/* blocked: or until then */
	bool woken;
};

static struct thread threads[THREADS] = { { .state = READY,
	.clock = CO_SECOND } };
static int count = 1, current;
static bool switching;		/* what is accessed now is ours */
static double horizon = SIMULATE_NEVER;	/* when another is to go on */

static void fail(const char *why)
{
	fprintf(stderr, "simulate: %s\n", why);
	abort();
}

unsigned count_thread(void)
{
	return (unsigned)current;
}

double count_time(void)
{
	return threads[current].clock;
}

double simulate_now(void)
{
	return threads[current].clock;
}

/* NANOSECONDS, give or take a quarter: as no machine keeps step. */
static double vary(double nanoseconds)
{
	static uint64_t state;
	const char *seed = "1";

	if (state == 0) {
		if (getenv("SIMULATE_SEED") != NULL)
			seed = getenv("SIMULATE_SEED");
		state = 0x9e3779b97f4a7c15u * (strtoul(seed, NULL, 10) | 1);
	}
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;

	return nanoseconds * (0.75 + (double)(state % 1024) / 2048);
}

/* --- Who goes on --------------------------------------------------------- */

/* When THREAD goes on. */
static double next_of(const struct thread *thread)
{
	if (thread->state == READY)
		return thread->clock;

	return thread->state == BLOCKED ? thread->until : SIMULATE_NEVER;
}

/* The thread that is to go on, which is the earliest. */
static int earliest(void)
{
	int first = -1;

	for (int i = 0; i < count; i++)
		if (first < 0 || next_of(&threads[i])
				< next_of(&threads[first]))
			first = i;
	horizon = SIMULATE_NEVER;
	for (int i = 0; i < count; i++)
		if (i != first && next_of(&threads[i]) < horizon)
			horizon = next_of(&threads[i]);

	return first;
}

static void switch_to(int next)
{
	struct thread *from = &threads[current], *to = &threads[next];

	if (to->state == BLOCKED) {
		to->state = READY;
		to->clock = to->until;
	}
	if (next == current)
		return;
	from->here = co__worker_here;
	from->error = errno;
	co__worker_here = to->here;
	errno = to->error;
	current = next;
	switching = true;
	co__context_switch(&from->context, &to->context);
	switching = false;
}

static void go_on(void)
{
	int next = earliest();

	if (next_of(&threads[next]) >= SIMULATE_NEVER)
		fail("all threads wait for ever");
	switch_to(next);
}

void simulate_turn(void)
{
	if (threads[current].clock > horizon)
		go_on();
}

void simulate_pass(double nanoseconds)
{
	threads[current].clock += nanoseconds;
}

bool simulate_block(const void *object, double until)
{
	struct thread *self = &threads[current];

	self->state = BLOCKED;
	self->object = object;
	self->until = until > self->clock ? until : self->clock;
	self->woken = false;
	go_on();
	self->object = NULL;

	return self->woken;
}

bool simulate_wake(const void *object, double latency)
{
	bool woken = false;

	for (int i = 0; i < count; i++) {
		struct thread *thread = &threads[i];

		if (thread->state != BLOCKED || thread->object != object)
			continue;
		thread->state = READY;
		thread->woken = woken = true;
		thread->clock = threads[current].clock + vary(latency);
		if (thread->clock < horizon)
			horizon = thread->clock;
	}

	return woken;
}

/* --- Threads ------------------------------------------------------------- */

static void thread_main(void *arg)
{
	struct thread *self = arg;

	switching = false;
	self->fn(self->arg);
	self->state = ENDED;
	simulate_wake(self, 0);
	go_on();
}

int simulate_thread(void *(*fn)(void *arg), void *arg)
{
	struct thread *thread = &threads[count];
	char *stack = malloc(STACK_SIZE);

	if (count == THREADS || stack == NULL)
		fail("too many threads");
	thread->state = READY;
	thread->clock = threads[current].clock + vary(SIMULATE_LATENCY);
	thread->fn = fn;
	thread->arg = arg;
	co__context_make(&thread->context, stack, STACK_SIZE, thread_main,
			thread);
	if (thread->clock < horizon)
		horizon = thread->clock;

	return count++;
}

void simulate_join(int thread)
{
	while (threads[thread].state != ENDED)
		simulate_block(&threads[thread], SIMULATE_NEVER);
}

/* --- Memory -------------------------------------------------------------- */

/* A line is with one thread at a time until that has written; who only read it
 * hand it on sooner. */
static void access_line(enum count_kind kind, const struct count_site *site,
		const volatile void *address, bool writes, double cost)
{
	struct thread *self = &threads[current];
	struct count_line *line;

	if (self->clock > horizon + SIMULATE_AHEAD
			|| !count_has(address, writes))
		simulate_turn();
	line = count_touch(kind, site, address, writes);
	if (line != NULL) {
		if ((double)line->busy_until > self->clock)
			self->clock = (double)line->busy_until;
		line->busy_until = (int64_t)(self->clock + (writes
				? SIMULATE_MOVE : SIMULATE_COPY));
		self->clock += vary(SIMULATE_MOVE);
	}
	self->clock += cost;
}

void count_plain(const volatile void *address, bool writes)
{
	if (!switching)
		access_line(COUNT_PLAIN, NULL, address, writes,
				SIMULATE_ACCESS);
}

AO_t count_load(const volatile AO_t *word, const struct count_site *site)
{
	access_line(COUNT_LOAD, site, word, false, SIMULATE_ACCESS);

	return *word;
}

void count_store(volatile AO_t *word, AO_t value, const struct count_site *site)
{
	access_line(COUNT_STORE, site, word, true, SIMULATE_ACCESS);
	*word = value;
}

AO_t count_compare_and_swap(volatile AO_t *word, AO_t old, AO_t value,
		const struct count_site *site)
{
	AO_t was;

	access_line(COUNT_RMW, site, word, true, SIMULATE_RMW);
	was = *word;
	if (was == old)
		*word = value;

	return was;
}

AO_t count_add(volatile AO_t *word, AO_t difference,
		const struct count_site *site)
{
	AO_t was;

	access_line(COUNT_RMW, site, word, true, SIMULATE_RMW);
	was = *word;
	*word = was + difference;

	return was;
}

void count_fence(const struct count_site *site)
{
	count_touch(COUNT_FENCE, site, NULL, false);
	simulate_pass(SIMULATE_FENCE);
}

void count_pause(void)
{
	simulate_pass(SIMULATE_PAUSE);
}
