/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_TORTURE_H
#define COLOOP_TESTS_TORTURE_H

/*
 * torture.h - what the torture programs share
 *
 * What to do is told by arguments of the form NAME=VALUE or by environment
 * variables of these names:
 *
 * SEED      of the random numbers; without it, the time
 * SECONDS   how long; 2 without it
 * ROUNDS    how many rounds instead, however long that takes
 * THREADS   of the loop; without it, what the program thinks fit
 *
 * The seed is printed.  A program that hangs is ended by SIGALRM.
 */

#define CO_TEST_PLAIN
#include "../test.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

struct torture {
	const char *name;
	uint64_t seed;
	uint64_t seconds;
	uint64_t rounds;	/* 0: as many as the time allows */
	uint64_t threads;	/* 0: not told */
	co_time end;
};

/* What is written when the program hangs: made before, in calm. */
static char torture_epitaph[160];

TEST_UNUSED static void torture_too_long(int signal_number)
{
	size_t size = strlen(torture_epitaph);

	(void)signal_number;
	if (write(2, torture_epitaph, size) != (ssize_t)size)
		_exit(2);
	_exit(1);
}

/* Begin a part of the program, called NAME, that ends within SECONDS. */
TEST_UNUSED static void torture_enter(const char *name, unsigned seconds)
{
	snprintf(torture_epitaph, sizeof torture_epitaph,
			"FAILED: it hangs: %s\n", name);
	signal(SIGALRM, torture_too_long);
	alarm(seconds);
}

TEST_UNUSED static uint64_t torture_option(char **argv, const char *name,
		uint64_t otherwise)
{
	size_t size = strlen(name);
	const char *text = getenv(name);

	for (; *argv != NULL; argv++)
		if (strncmp(*argv, name, size) == 0 && (*argv)[size] == '=')
			text = *argv + size + 1;
	return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

TEST_UNUSED static struct torture torture_begin(int argc, char **argv,
		const char *name)
{
	struct torture torture = { .name = name };

	(void)argc;
	torture.seed = torture_option(argv, "SEED", (uint64_t)co_now());
	torture.seconds = torture_option(argv, "SECONDS", 2);
	torture.rounds = torture_option(argv, "ROUNDS", 0);
	torture.threads = torture_option(argv, "THREADS", 0);
	torture.end = co_after((co_time)torture.seconds * CO_SECOND);
	printf("%s: SEED=%llu\n", name, (unsigned long long)torture.seed);
	fflush(stdout);
	/* With a number of rounds the time is anybody's guess. */
	torture_enter(name, torture.rounds > 0 ? 0
			: (unsigned)torture.seconds + 60);
	return torture;
}

/* Whether there is to be another round when DONE are done; END is when time is
 * up.  A failure is the end, too. */
TEST_UNUSED static bool torture_goes_on(const struct torture *torture,
		uint64_t done, co_time end)
{
	if (test_failures() > 0)
		return false;
	return torture->rounds > 0 ? done < torture->rounds : co_now() < end;
}

/* Let a random, short time pass, mostly none: races have narrow windows. */
TEST_UNUSED static void torture_dawdle(uint64_t *random)
{
	volatile size_t spins = test_random_below(random, 4) == 0
			? test_random_below(random, 2000) : 0;

	while (spins > 0)
		spins--;
}

/* The last words, and what main returns. */
TEST_UNUSED static int torture_end(const struct torture *torture,
		uint64_t rounds)
{
	bool failed = test_failures() > 0;

	alarm(0);
	printf("%s: %s after %llu rounds: SEED=%llu THREADS=%llu\n",
			torture->name, failed ? "FAILED" : "passed",
			(unsigned long long)rounds,
			(unsigned long long)torture->seed,
			(unsigned long long)torture->threads);
	return failed;
}

#endif
