/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_ROUNDS_H
#define COLOOP_TESTS_ROUNDS_H

/*
 * rounds.h - torture in rounds
 *
 * Each round has a loop of its own, and a seed of its own that follows from
 * that of the program.  Without THREADS, each has a random number of them.
 * The seed of a failed round is printed: SEED=it ROUNDS=1 does it again.
 */

#include "torture.h"

/* One round; the argument of its first task. */
struct round {
	uint64_t seed;
	uint64_t random;		/* for its preparation */
	unsigned threads;
};

static int run_round(struct round *round, const struct torture *torture,
		co_task_fn *fn)
{
	char text[100];

	round->random = round->seed;
	round->threads = (unsigned)torture->threads;
	if (round->threads == 0)
		round->threads = 1 + (unsigned)test_random_below(
				&round->random, 8);
	snprintf(text, sizeof text, "%s: SEED=%llu THREADS=%u", torture->name,
			(unsigned long long)round->seed, round->threads);
	torture_enter(text, 60 + 2 * (unsigned)test_divisor());
	if (CO_EXPECT_EQ(run_in_loop(round->threads, fn, round), 0)
			&& test_failures() == 0)
		return 0;
	printf("FAILED: %s\n", text);
	return -1;
}

/* Run FN, whose argument is a struct round, again and again. */
static int run_rounds(int argc, char **argv, const char *name, co_task_fn *fn)
{
	struct torture torture = torture_begin(argc, argv, name);
	struct round round = { .seed = torture.seed };
	uint64_t done = 0;

	do {
		if (run_round(&round, &torture, fn) != 0)
			break;
		round.seed++;
		done++;
	} while (torture_goes_on(&torture, done, torture.end));
	return torture_end(&torture, done);
}

#endif
