/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BENCH_H
#define COLOOP_BENCH_H

/*
 * bench.h - what the programs of bench/micro share, in C and C++
 *
 * PROGRAM --list	names the rows that the program has, one a line.
 * PROGRAM ROW		runs one, and prints lines of ROW <tab> METRIC <tab>
 *			VALUE.  Exit status 77: it can't be done here, for the
 *			reason that is printed.
 *
 * Rows        The same work in each program, with the counts below.  What is
 *             done over and over is done 1/BENCH_DIVIDE times as often, if the
 *             environment has that variable; how many tasks are alive at once
 *             is part of the row and is never divided.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum bench_counts {
	BENCH_YIELDS = 10000000,	/* of all tasks together */
	BENCH_SPAWNS = 1000000,
	BENCH_BATCH = 10000,		/* tasks alive at once */
	BENCH_BATCHES = 50,		/* after one that isn't counted */
	BENCH_ROUND_TRIPS = 1000000,	/* two messages each */
	BENCH_MESSAGES = 5000000,
	BENCH_CAPACITY = 128,
	BENCH_PAIRS = 4,		/* as many producers as consumers */
	BENCH_PAIR_MESSAGES = 500000,	/* of one producer */
	BENCH_LOCKERS = 100,
	BENCH_LOCKS = 100000,		/* of one task: its first use of its
					 * stack is not to be seen */
	BENCH_SLEEPERS = 100000,
	BENCH_SLEEPS = 10,		/* of one task */
	BENCH_MILLION = 1000000,	/* tasks, at most */
	BENCH_WAKES = 1000000,		/* of tasks by chance */
	BENCH_BURSTS = 200,
	BENCH_BURST = 8,		/* tasks, each of which computes for */
	BENCH_PART_US = 200,
	BENCH_HANDOFFS = 100,		/* by a task that then computes for */
	BENCH_HOLD_US = 5000,
	BENCH_QUIET_US = 2000,		/* until idle threads are asleep */
	BENCH_CANNOT = 77
};

struct bench_row {
	const char *name;
	void (*run)(void);
	unsigned threads;
	long number;		/* what RUN makes of it: tasks, or n of fib */
};

/* The row that is being run. */
static const struct bench_row *bench_row;

static inline void bench_need(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: wrong: %s\n", bench_row->name, what);
	exit(1);
}

static inline void bench_cannot(const char *why)
{
	printf("%s: %s\n", bench_row->name, why);
	exit(BENCH_CANNOT);
}

/* COUNT, or the part of it that is wanted. */
static inline long bench_times(long count)
{
	const char *text = getenv("BENCH_DIVIDE");
	long divisor = text != NULL ? atol(text) : 1;

	if (divisor < 1)
		divisor = 1;
	return count / divisor > 0 ? count / divisor : 1;
}

static inline void bench_value(const char *metric, double value)
{
	printf("%s\t%s\t%.10g\n", bench_row->name, metric, value);
}

/* The row that the arguments ask for, among ROWS, which a row without a name
 * ends. */
static inline void bench_choose(const struct bench_row *rows, int argc,
		char **argv)
{
	const char *name = argc == 2 ? argv[1] : "";
	int list = strcmp(name, "--list") == 0;

	for (; rows->name != NULL; rows++) {
		if (list)
			puts(rows->name);
		else if (strcmp(rows->name, name) == 0)
			bench_row = rows;
	}
	if (list)
		exit(0);
	if (bench_row == NULL) {
		fprintf(stderr, "usage: %s --list | ROW\n", argv[0]);
		exit(2);
	}
}

/* Time. */

static int64_t bench_wall_begin, bench_cpu_begin;

static inline int64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t bench_cpu(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec)
			* 1000000000
		+ ((int64_t)used.ru_utime.tv_usec + used.ru_stime.tv_usec)
			* 1000;
}

static inline void bench_begin(void)
{
	bench_cpu_begin = bench_cpu();
	bench_wall_begin = bench_now();
}

/* What one of COUNT operations took since bench_begin(), and how many cores
 * were busy with them. */
static inline void bench_end(long count)
{
	double wall = (double)(bench_now() - bench_wall_begin);
	double cpu = (double)(bench_cpu() - bench_cpu_begin);

	bench_value("wall_ns", wall / (double)count);
	bench_value("cpu_ns", cpu / (double)count);
	bench_value("cores", wall > 0 ? cpu / wall : 0);
	bench_value("count", (double)count);
}

/* The number of one of COUNT tasks, by chance, but each time the same. */
static inline long bench_random(long count)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (long)(state % (uint64_t)count);
}

/* How soon another thread has taken up what one gave to do. */

enum { BENCH_SAMPLES = 1000 };
static double bench_sample[BENCH_SAMPLES];
static long bench_samples, bench_elsewhere;

/* The calling thread.  Not pthread_self(), which compilers believe to be the
 * same throughout a function. */
static inline long bench_thread(void)
{
	return syscall(SYS_gettid);
}

static inline void bench_compute(long us)
{
	int64_t end = bench_now() + us * 1000;

	while (bench_now() < end)
		;
}

/* What was given at BEGIN was taken up NOW, ELSEWHERE or by who gave it. */
static inline void bench_taken_up(int64_t begin, int64_t now, int elsewhere)
{
	bench_need(bench_samples < BENCH_SAMPLES, "the samples");
	bench_sample[bench_samples++] = (double)(now - begin) / 1e3;
	bench_elsewhere += elsewhere;
}

static inline int bench_compare(const void *a, const void *b)
{
	double first = *(const double *)a, second = *(const double *)b;

	return (first > second) - (first < second);
}

static inline double bench_quantile(double part)
{
	long i = (long)(part * (double)bench_samples);

	return bench_sample[i < bench_samples ? i : bench_samples - 1];
}

static inline void bench_taken_up_end(void)
{
	qsort(bench_sample, (size_t)bench_samples, sizeof *bench_sample,
			bench_compare);
	bench_value("p50_us", bench_quantile(0.5));
	bench_value("p99_us", bench_quantile(0.99));
	bench_value("elsewhere", (double)bench_elsewhere
			/ (double)bench_samples);
}

/* Fork and join: fib(n) spawns fib(n - 1), calls fib(n - 2), and joins. */

static inline long bench_fib(long n)
{
	long a = 0, b = 1, sum;

	for (; n > 0; n--) {
		sum = a + b;
		a = b;
		b = sum;
	}
	return a;
}

/* RESULT was computed by as many spawns as fib(N + 1) - 1. */
static inline void bench_fib_end(long n, long result)
{
	bench_end(bench_fib(n + 1) - 1);
	bench_need(result == bench_fib(n), "fib");
}

/* Sleeping.  Not for several threads. */

enum { BENCH_BUCKET_US = 50, BENCH_BUCKETS = 20000 };
static long bench_late[BENCH_BUCKETS + 1], bench_early;

/* How long task I sleeps in its turn ROUND: 1 to 100 ms. */
static inline long bench_sleep_ms(long i, long round)
{
	return 1 + (i * 7919 + round * 104729) % 100;
}

/* A sleep of MS milliseconds that began at BEGIN is over. */
static inline void bench_woken(int64_t begin, long ms)
{
	int64_t late = bench_now() - begin - ms * 1000000;
	int64_t bucket = late / 1000 / BENCH_BUCKET_US;

	if (late < 0) {
		bench_early++;
		bucket = 0;
	}
	if (bucket > BENCH_BUCKETS)
		bucket = BENCH_BUCKETS;
	bench_late[bucket]++;
}

/* Up to how many microseconds the earlier PART of all COUNT sleeps was late. */
static inline double bench_lateness(double part, long count)
{
	long seen = 0;
	int bucket = 0;

	while (bucket < BENCH_BUCKETS) {
		seen += bench_late[bucket++];
		if ((double)seen >= part * (double)count)
			break;
	}
	return (double)bucket * BENCH_BUCKET_US;
}

static inline void bench_sleeps_end(long tasks)
{
	long count = tasks * BENCH_SLEEPS;

	bench_value("cpu_s", (double)(bench_cpu() - bench_cpu_begin) / 1e9);
	bench_value("wall_s", (double)(bench_now() - bench_wall_begin) / 1e9);
	bench_value("late_p50_us", bench_lateness(0.5, count));
	bench_value("late_p99_us", bench_lateness(0.99, count));
	bench_value("early", (double)bench_early);
}

/* Memory. */

struct bench_memory {
	long rss, page_tables, mappings;
};

static struct bench_memory bench_memory_before;

static inline struct bench_memory bench_memory(void)
{
	struct bench_memory memory = { 0, 0, 0 };
	char line[512];
	FILE *file = fopen("/proc/self/status", "r");

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		sscanf(line, "VmRSS: %ld", &memory.rss);
		sscanf(line, "VmPTE: %ld", &memory.page_tables);
	}
	if (file != NULL)
		fclose(file);
	file = fopen("/proc/self/maps", "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		memory.mappings += strchr(line, '\n') != NULL;
	if (file != NULL)
		fclose(file);
	return memory;
}

/* The size of stacks that a row like stacks-64k names, or else OTHERWISE. */
static inline size_t bench_stack_size(size_t otherwise)
{
	unsigned kib;

	if (sscanf(bench_row->name, "stacks-%uk", &kib) == 1)
		return (size_t)kib << 10;
	return otherwise;
}

static inline void bench_memory_begin(void)
{
	bench_memory_before = bench_memory();
	bench_begin();
}

/* What each of COUNT tasks takes that have come to life since. */
static inline void bench_memory_end(long count)
{
	double wall = (double)(bench_now() - bench_wall_begin);
	struct bench_memory memory = bench_memory();

	bench_value("rss", (double)(memory.rss - bench_memory_before.rss)
			* 1024 / (double)count);
	bench_value("page_tables", (double)(memory.page_tables
			- bench_memory_before.page_tables)
			* 1024 / (double)count);
	bench_value("mappings", (double)memory.mappings);
	bench_value("create_ns", wall / (double)count);
}

#endif
