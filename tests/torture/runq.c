/* SPDX-License-Identifier: MIT */

/*
 * runq.c - thieves against an owner that takes the oldest and the newest
 *
 * Items are numbers in the place of task pointers.  Each is taken exactly once,
 * whoever takes it, and nothing else is.
 */

#include "torture.h"

#include "runq.h"

enum { THIEVES = 2, ITEMS = 4000000, PUSHES = 7, HAUL = 512 };

static struct co__runq queue;
static unsigned char taken[ITEMS];	/* 1 for what was taken once */
static volatile AO_t over, wrong;

static void take(struct co_task *task)
{
	size_t number = (size_t)task;

	/* Atomic, or of two who take it at once neither would see the other. */
	if (number == 0 || number >= ITEMS
			|| AO_char_fetch_and_add1(&taken[number]) != 0)
		AO_fetch_and_add1(&wrong);
}

static void *steal(void *arg)
{
	struct co_task *haul[HAUL];

	(void)arg;
	while (!AO_load_acquire(&over)) {
		unsigned n = co__runq_steal(&queue, haul, HAUL);

		for (unsigned i = 0; i < n; i++)
			take(haul[i]);
	}

	return NULL;
}

/* Push a few and take as many, of which some may have been stolen. */
static size_t push_and_pop(size_t next, unsigned random)
{
	unsigned count = 2 + random % PUSHES, i;

	for (i = 0; i < count; i++)
		if (co__runq_push(&queue, (struct co_task *)next))
			next++;
	for (i = 0; i < count; i++) {
		struct co_task *task = random & (64u << i)
				? co__runq_pop(&queue)
				: co__runq_pop_newest(&queue);

		if (task != NULL)
			take(task);
	}

	return next;
}

static void end(size_t next)
{
	struct co_task *task;
	size_t lost = 0;

	while ((task = co__runq_pop(&queue)) != NULL)
		take(task);
	sched_yield();
	for (size_t i = 1; i < next; i++)
		lost += taken[i] == 0;
	if (lost != 0)
		AO_fetch_and_add1(&wrong);
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "runq");
	uint64_t random = torture.seed, rounds = 0;
	pthread_t thieves[THIEVES];
	size_t next = 1;
	int i;

	for (i = 0; i < THIEVES; i++)
		test_or_die(pthread_create(&thieves[i], NULL, steal, NULL));
	while (next < ITEMS - 2 * PUSHES && !AO_load(&wrong)
			&& torture_goes_on(&torture, rounds++, torture.end))
		next = push_and_pop(next,
				(unsigned)test_random_below(&random, 1u << 31));
	AO_store_release(&over, 1);
	for (i = 0; i < THIEVES; i++)
		test_or_die(pthread_join(thieves[i], NULL));
	end(next);
	CO_EXPECT_EQ(AO_load(&wrong), 0);

	return torture_end(&torture, rounds);
}
