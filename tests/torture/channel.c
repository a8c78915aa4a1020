/* SPDX-License-Identifier: MIT */

/* Puts and gets, with and without waiting, among deadlines, cancels, a channel
 * that closes, and threads that aren't the loop's.  No item may be lost. */

#include "rounds.h"
#include "../storm.h"

static int one_storm(void *arg)
{
	struct round *round = arg;
	uint64_t random = round->random;
	struct storm storm = { .seed = random, .cases = 1 };

	storm.channels = 1 + test_random_below(&random, 3);
	storm.capacity_limit = test_random_below(&random, 8);
	storm.tasks = 2 + test_random_below(&random, 40);
	storm.rounds = CO_TEST_SCALE(20 + test_random_below(&random, 500));
	storm.patience = 1000 << test_random_below(&random, 8);
	storm.cancels = test_random_below(&random, storm.tasks);
	storm.outsiders = test_random_below(&random, 3);
	storm.closes = test_random_below(&random, 4) == 0;
	return storm_main(&storm);
}

int main(int argc, char **argv)
{
	return run_rounds(argc, argv, "channel", one_storm);
}
