/* SPDX-License-Identifier: MIT */

/*
 * Every kind of wait, ended by its event, a deadline or a cancel, whichever is
 * first: exactly one of them wins, and what the others brought isn't lost.
 */

#include "rounds.h"

#define PAIRS_MAX 24

/* One task that waits, and one that brings what it waits for. */
struct pair {
	uint64_t random;		/* of who waits */
	uint64_t bringer_random;
	co_time patience;
	size_t rounds;
	int pipe_ends[2];
	struct co_channel *busy, *silent;
	/* Given by PARKED, taken by the resumer or taken back. */
	volatile AO_t handle;
	struct test_counter taken, finished, woken, resumed, stop;
	struct test_counter written, read;
};

static bool ended_well(int result)
{
	return result == 0 || result == -ETIMEDOUT || result == -ECANCELED;
}

static co_time soon(struct pair *pair)
{
	return co_after((co_time)test_random_below(&pair->random,
			(size_t)pair->patience));
}

/* --- Suspend and resume ----------------------------------------------- */

static void give_handle(struct co_task *task, void *arg)
{
	struct pair *pair = arg;

	AO_store_release(&pair->handle, (AO_t)task);
}

/* After a wait that failed: take the handle back, or wait until the resumer,
 * who has it, has used it. */
static void take_handle_back(struct pair *pair, AO_t self)
{
	int masked;

	if (AO_compare_and_swap_full(&pair->handle, self, 0))
		return;
	masked = co_cancel_mask(1);
	while (counter_get(&pair->finished) != counter_get(&pair->taken))
		co_yield();
	co_cancel_mask(masked);
}

static int suspend_rounds(void *arg)
{
	struct pair *pair = arg;
	size_t i;
	int result = 0;

	for (i = 0; i < pair->rounds && result != -ECANCELED; i++) {
		result = -EIO;
		CO_WITH_DEADLINE(soon(pair))
			result = co_suspend(give_handle, pair);
		CO_EXPECT(ended_well(result));
		if (result == 0)
			counter_add(&pair->woken, 1);
		else
			take_handle_back(pair, (AO_t)co_self());
	}
	counter_set(&pair->stop, 1);
	return 0;
}

static int resume_rounds(void *arg)
{
	struct pair *pair = arg;
	int result;

	while (counter_get(&pair->stop) == 0) {
		AO_t task = AO_load_acquire(&pair->handle);

		if (task == 0) {
			co_yield();
			continue;
		}
		/* Announced first: who fails to take back waits for it. */
		counter_add(&pair->taken, 1);
		if (AO_compare_and_swap_full(&pair->handle, task, 0)) {
			result = co_resume((struct co_task *)task);
			CO_EXPECT(result == 0 || result == -EALREADY);
			counter_add(&pair->resumed, result == 0);
		}
		counter_add(&pair->finished, 1);
	}
	return 0;
}

/* --- Join ------------------------------------------------------------- */

static int sleep_a_little(void *arg)
{
	co_time duration = (co_time)(uintptr_t)arg;

	return co_sleep(duration) == 0 ? 77 : -1;
}

/* A join that fails leaves the task to be joined again. */
static int join_rounds(void *arg)
{
	struct pair *pair = arg;
	size_t i;
	int result = 0, value, masked;

	for (i = 0; i < pair->rounds && result != -ECANCELED; i++) {
		struct co_task *task = spawn_or_die(NULL, sleep_a_little,
				(void *)(uintptr_t)test_random_below(
				&pair->random, (size_t)pair->patience));

		value = 0;
		CO_WITH_DEADLINE(soon(pair))
			result = co_join(task, &value);
		CO_EXPECT(ended_well(result));
		if (result == 0) {
			CO_EXPECT_EQ(value, 77);
			continue;
		}
		CO_EXPECT_EQ(value, 0);
		masked = co_cancel_mask(1);
		CO_EXPECT_EQ(join_or_die(task), 77);
		co_cancel_mask(masked);
	}
	return 0;
}

/* --- Sleep ------------------------------------------------------------ */

static int sleep_rounds(void *arg)
{
	struct pair *pair = arg;
	size_t i;
	int result = 0;

	for (i = 0; i < pair->rounds && result != -ECANCELED; i++) {
		co_time when = soon(pair), wake = soon(pair);
		struct co_deadline scope;

		CO_EXPECT_EQ(co_deadline_begin(&scope, when), 0);
		result = co_sleep_until(wake);
		CO_EXPECT_EQ(co_deadline_end(&scope),
				result == -ETIMEDOUT ? -ETIMEDOUT : 0);
		CO_EXPECT(ended_well(result));
		CO_EXPECT(result != 0 || co_now() >= wake);
		CO_EXPECT(result != -ETIMEDOUT || co_now() >= when);
	}
	return 0;
}

/* --- Wait for a file descriptor --------------------------------------- */

static int read_rounds(void *arg)
{
	struct pair *pair = arg;
	size_t i;
	int result = 0;
	char byte;

	for (i = 0; i < pair->rounds && result != -ECANCELED; i++) {
		CO_WITH_DEADLINE(soon(pair))
			result = co_wait_fd(pair->pipe_ends[0], CO_READABLE);
		if (result < 0) {
			CO_EXPECT(ended_well(result));
			continue;
		}
		CO_EXPECT(result & (int)CO_READABLE);
		if (CO_EXPECT_EQ(read(pair->pipe_ends[0], &byte, 1), 1))
			counter_add(&pair->read, 1);
	}
	counter_set(&pair->stop, 1);
	return 0;
}

static int write_rounds(void *arg)
{
	struct pair *pair = arg;

	while (counter_get(&pair->stop) == 0) {
		/* Little enough that the pipe never fills up. */
		if (counter_get(&pair->written) - counter_get(&pair->read)
				< 100) {
			CO_EXPECT_EQ(write(pair->pipe_ends[1], "", 1), 1);
			counter_add(&pair->written, 1);
		}
		co_sleep((co_time)test_random_below(&pair->bringer_random,
				(size_t)pair->patience));
	}
	return 0;
}

/* --- Several waits in one scope --------------------------------------- */

/* The first waits end well, perhaps in another thread than that whose timer
 * was set, and that for a deadline that doesn't hold any more when it goes off.
 * The last wait has only the outer deadline to end it. */
static int wait_and_hear(struct pair *pair)
{
	size_t i, count = test_random_below(&pair->random, 4);
	int result = 0;
	char item;

	CO_WITH_DEADLINE(soon(pair)) {
		for (i = 0; i < count && result == 0; i++)
			result = co_channel_get(pair->busy, &item);
	}
	return co_channel_get(pair->silent, &item);
}

static int hear_rounds(void *arg)
{
	struct pair *pair = arg;
	size_t i;
	int result = 0;

	for (i = 0; i < pair->rounds && result != -ECANCELED; i++) {
		CO_WITH_DEADLINE(co_after(2 * pair->patience))
			result = wait_and_hear(pair);
		CO_EXPECT(result == -ETIMEDOUT || result == -ECANCELED);
	}
	CO_EXPECT_EQ(co_channel_close(pair->busy), 0);
	return 0;
}

static int say_rounds(void *arg)
{
	struct pair *pair = arg;
	int result;

	do {
		result = co_channel_put(pair->busy, "");
		torture_dawdle(&pair->bringer_random);
	} while (result == 0);
	CO_EXPECT_EQ(result, -EPIPE);
	return 0;
}

/* --- A round ---------------------------------------------------------- */

struct kind {
	co_task_fn *wait;
	co_task_fn *bring;
};

static const struct kind kinds[] = {
	{ suspend_rounds, resume_rounds },
	{ join_rounds, NULL },
	{ sleep_rounds, NULL },
	{ read_rounds, write_rounds },
	{ hear_rounds, say_rounds },
};

static void begin_pair(struct pair *pair, uint64_t *random)
{
	memset(pair, 0, sizeof *pair);
	pair->random = test_random(random);
	pair->bringer_random = test_random(random);
	pair->patience = 1000 << test_random_below(random, 7);
	pair->rounds = CO_TEST_SCALE(20 + test_random_below(random, 200));
	test_or_die(pipe(pair->pipe_ends));
	pair->busy = channel_or_die(1, 0);
	pair->silent = channel_or_die(1, 0);
}

static void end_pair(struct pair *pair)
{
	char byte;

	CO_EXPECT_EQ(counter_get(&pair->woken), counter_get(&pair->resumed));
	close(pair->pipe_ends[1]);
	while (read(pair->pipe_ends[0], &byte, 1) == 1)
		counter_add(&pair->read, 1);
	close(pair->pipe_ends[0]);
	CO_EXPECT_EQ(counter_get(&pair->written), counter_get(&pair->read));
	CO_EXPECT_EQ(co_channel_destroy(pair->busy), 0);
	CO_EXPECT_EQ(co_channel_destroy(pair->silent), 0);
}

static int one_round(void *arg)
{
	struct round *round = arg;
	uint64_t random = round->random;
	struct pair *pairs = calloc(PAIRS_MAX, sizeof *pairs);
	struct co_task *waiters[PAIRS_MAX], *bringers[PAIRS_MAX];
	size_t i, count = 1 + test_random_below(&random, PAIRS_MAX);
	size_t cancels = test_random_below(&random, count + 1);

	for (i = 0; i < count; i++) {
		const struct kind *kind = &kinds[test_random_below(&random,
				sizeof kinds / sizeof *kinds)];

		begin_pair(&pairs[i], &random);
		waiters[i] = spawn_or_die(NULL, kind->wait, &pairs[i]);
		bringers[i] = kind->bring == NULL ? NULL
				: spawn_or_die(NULL, kind->bring, &pairs[i]);
	}
	for (i = 0; i < cancels; i++) {
		co_sleep((co_time)test_random_below(&random, 500000));
		CO_EXPECT_EQ(co_cancel(waiters[i]), 0);
	}
	for (i = 0; i < count; i++) {
		CO_EXPECT_EQ(join_or_die(waiters[i]), 0);
		if (bringers[i] != NULL)
			CO_EXPECT_EQ(join_or_die(bringers[i]), 0);
		end_pair(&pairs[i]);
	}
	free(pairs);
	return 0;
}

int main(int argc, char **argv)
{
	return run_rounds(argc, argv, "cancel", one_round);
}
