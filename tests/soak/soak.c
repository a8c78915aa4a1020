/* SPDX-License-Identifier: MIT */

/*
 * soak.c - epochs, and the watch; see soak.h
 *
 * The process may grow for WARM_UP seconds, until each size of everything has
 * been needed.  After that it may be larger than it was then by a quarter and
 * 16 MiB: what malloc gives back to the system is a matter of luck.
 */

#include "soak.h"

#include <dirent.h>
#include <malloc.h>

#define WARM_UP (20 * CO_SECOND)
#define EPOCH_MAX (10 * CO_SECOND)
#define GLANCE (50 * CO_MILLISECOND)

struct soak soak;

static volatile sig_atomic_t interrupted;
static co_time begun_at, patience;
static bool is_terminal;

static void interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* --- What is left -------------------------------------------------------- */

static size_t count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	while (directory != NULL && readdir(directory) != NULL)
		n++;
	if (directory != NULL)
		closedir(directory);

	return n;
}

/* Bytes of memory that the process really has, or 0. */
static size_t measure_size(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	malloc_trim(0);
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %zu", &pages) != 1)
		pages = 0;
	fclose(file);

	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The size of the process at the end of an epoch.  Checkers have memory of
 * their own. */
static void check_size(void)
{
	static size_t warm;
	size_t size = measure_size();

	if (test_divisor() > 1)
		return;
	if (co_now() - begun_at < WARM_UP) {
		warm = size > warm ? size : warm;
		return;
	}
	if (!CO_EXPECT(size <= warm + warm / 4 + ((size_t)16 << 20)))
		printf("soak: %zu KiB after the first seconds, now %zu\n",
				warm >> 10, size >> 10);
}

static void check_rest(size_t fds)
{
	CO_EXPECT_EQ(count_fds(), fds);
	CO_EXPECT_EQ(counter_get(&test_blocks), 0);
	CO_EXPECT_EQ(counter_get(&test_bytes), 0);
	check_size();
}

/* --- The watch ----------------------------------------------------------- */

static _Noreturn void give_up(struct lane *lane, size_t number)
{
	struct co_loop *loop = (struct co_loop *)AO_load_acquire(&lane->loop);

	printf("soak: FAILED: nothing has ended in lane %zu for %lld s: "
			"SEED=%llu\n", number,
			(long long)(patience / CO_SECOND),
			(unsigned long long)soak.torture.seed);
	fflush(stdout);
	if (loop != NULL)
		co_loop_dump(loop, 2);
	abort();
}

static void watch(struct lane *lane, size_t number)
{
	size_t progress = counter_get(&lane->progress);
	co_time now = co_now();

	if (progress != lane->seen) {
		lane->seen = progress;
		lane->seen_at = now;
	} else if (!AO_load_acquire(&lane->done)
			&& now - lane->seen_at > patience) {
		give_up(lane, number);
	}
}

static void print_totals(const char *end)
{
	const struct totals *totals = &soak.totals;

	printf("soak: %lld s, %zu rounds: %zu tasks, %zu abandoned; %zu items, "
			"%zu locks, %zu sleeps, %zu wakes, %zu calls; "
			"%zu connections, %zu reset, %zu MB%s", (long long)((co_now()
			- begun_at) / CO_SECOND),
			counter_get(&totals->rounds),
			counter_get(&totals->tasks),
			counter_get(&totals->abandoned),
			counter_get(&totals->items),
			counter_get(&totals->locks),
			counter_get(&totals->sleeps),
			counter_get(&totals->wakes),
			counter_get(&totals->calls),
			counter_get(&totals->connections),
			counter_get(&totals->resets),
			counter_get(&totals->bytes) >> 20, end);
	fflush(stdout);
}

static void show_progress(void)
{
	static co_time shown_at;
	co_time now = co_now();

	if (!is_terminal || now - shown_at < CO_SECOND)
		return;
	shown_at = now;
	print_totals("\033[K\r");
}

/* --- An epoch ------------------------------------------------------------ */

static int open_bridge(void *arg)
{
	(void)arg;
	storm_open(&soak.bridge);

	return 0;
}

/* The channels that all lanes share belong to a loop that rests meanwhile. */
static struct co_loop *begin_bridge(uint64_t random)
{
	struct co_loop *loop = loop_or_die(1);

	soak.bridge = (struct storm){ .seed = random, .channels = 4,
		.capacity_limit = 2, .cases = 4, .patience = CO_MILLISECOND };
	soak.bridge.rounds = CO_TEST_SCALE(200);
	spawn_or_die(loop, open_bridge, NULL);
	CO_EXPECT_EQ(co_loop_run(loop), 0);

	return loop;
}

static void end_bridge(struct co_loop *loop)
{
	for (size_t i = 0; i < soak.bridge.channels; i++)
		storm_close_books(&soak.bridge.places[i]);
	counter_add(&soak.totals.items, counter_get(&soak.bridge.moved));
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

static bool are_done(const struct lane *lanes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!AO_load_acquire(&lanes[i].done))
			return false;

	return true;
}

/* Watch the N LANES until END, and then until they have ended. */
static void supervise(struct lane *lanes, size_t n, co_time end)
{
	struct timespec glance = { 0, GLANCE };

	while (!are_done(lanes, n)) {
		nanosleep(&glance, NULL);
		for (size_t i = 0; i < n; i++)
			watch(&lanes[i], i);
		show_progress();
		if (interrupted || co_now() >= end)
			AO_store_release(&soak.over, 1);
	}
}

static void run_epoch(uint64_t *random, co_time end)
{
	static struct lane lanes[SOAK_LANES_MAX];
	struct co_loop *anchor = begin_bridge(test_random(random));
	size_t n = 1 + test_random_below(random, SOAK_LANES_MAX);

	memset(lanes, 0, sizeof lanes);
	AO_store_release(&soak.over, 0);
	for (size_t i = 0; i < n; i++) {
		lanes[i].random = test_random(random);
		lanes[i].seen_at = co_now();
		test_or_die(pthread_create(&lanes[i].thread, NULL, soak_lane,
				&lanes[i]));
	}
	supervise(lanes, n, end);
	for (size_t i = 0; i < n; i++)
		test_or_die(pthread_join(lanes[i].thread, NULL));
	end_bridge(anchor);
}

/* When the epoch that begins now is to end: there are some in a short time,
 * too. */
static co_time end_of_epoch(void)
{
	co_time length = (co_time)soak.torture.seconds * CO_SECOND / 4;
	co_time end = co_after(length < EPOCH_MAX ? length : EPOCH_MAX);

	return end < soak.torture.end ? end : soak.torture.end;
}

int main(int argc, char **argv)
{
	uint64_t random;
	size_t fds;

	soak.torture = torture_begin(argc, argv, "soak");
	alarm(0);	/* it has a watch of its own */
	random = soak.torture.seed;
	begun_at = co_now();
	patience = (co_time)torture_option(argv, "PATIENCE",
			60 + 2 * test_divisor()) * CO_SECOND;
	is_terminal = isatty(1);
	signal(SIGINT, interrupt);
	signal(SIGTERM, interrupt);
	/* Whatever the library keeps for the process, it has by now. */
	test_or_die(co_loop_destroy(loop_or_die(1)));
	fds = count_fds();
	do {
		run_epoch(&random, end_of_epoch());
		check_rest(fds);
	} while (!interrupted && torture_goes_on(&soak.torture,
			counter_get(&soak.totals.rounds), soak.torture.end));
	if (is_terminal)
		printf("\n");
	torture_end(&soak.torture, counter_get(&soak.totals.rounds));
	print_totals("\n");

	return test_failures() > 0;
}
