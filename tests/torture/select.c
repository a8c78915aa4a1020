/* SPDX-License-Identifier: MIT */

/* Selects that meet each other and plain puts and gets, among deadlines,
 * cancels, a channel that closes, and threads that aren't the loop's.  Exactly
 * one case happens, on both sides, and no item may be lost. */

#include "rounds.h"
#include "../storm.h"

static int one_storm(void *arg)
{
	struct round *round = arg;
	uint64_t random = round->random;
	struct storm storm = { .seed = random };

	storm.channels = 1 + test_random_below(&random, STORM_CHANNELS_MAX);
	storm.capacity_limit = test_random_below(&random, 4);
	storm.tasks = 2 + test_random_below(&random, 40);
	storm.cases = 2 + test_random_below(&random, STORM_CASES_MAX - 1);
	storm.rounds = CO_TEST_SCALE(20 + test_random_below(&random, 400));
	storm.patience = 1000 << test_random_below(&random, 8);
	storm.cancels = test_random_below(&random, storm.tasks);
	storm.outsiders = test_random_below(&random, 3);
	storm.closes = test_random_below(&random, 4) == 0;
	return storm_main(&storm);
}

int main(int argc, char **argv)
{
	return run_rounds(argc, argv, "select", one_storm);
}
