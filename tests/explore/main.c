/* SPDX-License-Identifier: MIT */

/*
 * main.c - explore each scenario, and tell of it in TAP
 *
 * A scenario is explored in a process of its own, since a failed run can't be
 * taken back.  What failed is run again, without one decision after the other,
 * until none is left that could be missed; that is shown step by step.
 */

#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_OF_ALL 20000ul	/* the most schedules of an exhaustive search */

static struct {
	const char *scenario;
	uint64_t seed;
	unsigned long runs;	/* 0: as many as the scenario says */
	unsigned seconds;	/* for each scenario, instead */
	unsigned part, parts;	/* every so many of them, from that one on */
	bool given_seed;
	bool trace;
	bool brief;		/* leave failures as they are */
	struct schedule schedule;
} options = { .seed = 1, .parts = 1 };

static const struct explore_scenario *const lists[] = { explore_structures,
	explore_steps, explore_waits, explore_channels, explore_loops,
	explore_outside, explore_descriptors, explore_blocking,
	explore_groups };

static void usage(void)
{
	fputs("usage: explore [--list] [--scenario NAME] [--part I/N] [--seed N]\n"
		"	[--runs N] [--seconds N] [--schedule AT:PICK,...] "
		"[--trace] [--brief]\n",
		stderr);
	exit(2);
}

/* --- One scenario, in its own process ------------------------------------- */

/* How the run of SEED makes its decisions. */
static void plan_run(uint64_t seed)
{
	static const unsigned switches[] = { 2, 5, 20, 80 };
	static const unsigned olds[] = { 0, 3, 10, 40 };

	memset(&plan, 0, sizeof plan);
	plan.random = seed * 0x2545f4914f6cdd1du;
	plan.strategy = draw(3) == 0 ? BY_PRIORITY : BY_CHANCE;
	plan.switches = switches[draw(4)];
	plan.olds = olds[draw(4)];
	plan.jumps = draw(2) == 0 ? 0 : 4 << draw(3);
	plan.depth = 1 + draw(4);
	plan.horizon = 16u << draw(8);
	plan.trace = options.trace;
}

static void crashed(int signal_number)
{
	explore_fail("signal %d: %s", signal_number, strsignal(signal_number));
}

static void catch_crashes(void)
{
	static char stack[64 << 10];
	stack_t other = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction action = { .sa_handler = crashed,
		.sa_flags = SA_ONSTACK };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE,
		SIGILL };

	sigaltstack(&other, NULL);
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
		sigaction(signals[i], &action, NULL);
}

static bool time_is_over(time_t end)
{
	return time(NULL) >= end;
}

static void explore_at_random(const struct explore_scenario *scenario)
{
	unsigned long runs = options.runs != 0 ? options.runs : scenario->runs;
	time_t end = time(NULL) + (time_t)options.seconds;

	for (unsigned long i = 0; options.seconds != 0 ? !time_is_over(end)
			: i < runs; i++) {
		report->seed = options.seed + i;
		plan_run(report->seed);
		report->strategy = plan.strategy;
		run_once(scenario);
	}
}

/* All schedules with one preemption, then with two; and as many old loads. */
static void explore_all(const struct explore_scenario *scenario)
{
	unsigned long end = report->runs + RUNS_OF_ALL;

	report->strategy = EXHAUSTIVE;
	for (unsigned bound = 1; bound <= 2; bound++) {
		first_schedule();
		report->complete = false;
		do {
			if (report->runs == end)
				return;
			memset(&plan, 0, sizeof plan);
			plan.strategy = EXHAUSTIVE;
			plan.switches = 1;
			plan.preemptions = plan.old_loads = bound;
			plan.trace = options.trace;
			run_once(scenario);
		} while (next_schedule());
		report->complete = true;
	}
}

static void replay(const struct explore_scenario *scenario,
		const struct schedule *schedule, bool trace_it)
{
	memset(&plan, 0, sizeof plan);
	plan.strategy = REPLAY;
	plan.switches = 1;
	plan.trace = trace_it;
	plan.replay = schedule;
	report->strategy = REPLAY;
	run_once(scenario);
}

static void be_child(const struct explore_scenario *scenario,
		const struct schedule *schedule, bool trace_it)
{
	catch_crashes();
	if (schedule != NULL) {
		replay(scenario, schedule, trace_it);
	} else {
		explore_at_random(scenario);
		if (scenario->all && options.seconds == 0
				&& !options.given_seed)
			explore_all(scenario);
	}
	_exit(0);
}

/* Run SCENARIO in a process of its own.  Returns whether it was all right. */
static bool run_child(const struct explore_scenario *scenario,
		const struct schedule *schedule, bool trace_it)
{
	pid_t child;
	int status;

	memset(report, 0, sizeof *report);
	fflush(stdout);
	child = fork();
	if (child == 0)
		be_child(scenario, schedule, trace_it);
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	if (status != 0 && !report->failed) {
		report->failed = true;
		snprintf(report->what, sizeof report->what,
				"its process ended with status %#x", status);
	}

	return !report->failed;
}

/* --- Failures ------------------------------------------------------------- */

/* Leave out what need not be there for SCENARIO to fail. */
static void simplify(const struct explore_scenario *scenario,
		struct schedule *schedule)
{
	unsigned part = schedule->count;

	while (part > 0) {
		bool less = false;

		for (unsigned i = 0; i < schedule->count;) {
			struct schedule shorter = *schedule;
			unsigned end = i + part < shorter.count ? i + part
					: shorter.count;

			memmove(&shorter.choices[i], &shorter.choices[end],
					(shorter.count - end)
					* sizeof shorter.choices[0]);
			shorter.count -= end - i;
			if (run_child(scenario, &shorter, false)) {
				i += part;
				continue;
			}
			*schedule = shorter;
			less = true;
		}
		if (!less || part > schedule->count)
			part /= 2;
	}
}

static void print_lines(const char *text)
{
	printf("# ");
	for (; *text != '\0'; text++) {
		putchar(*text);
		if (*text == '\n' && text[1] != '\0')
			printf("# ");
	}
	putchar('\n');
}

static void print_schedule(const struct schedule *schedule)
{
	for (unsigned i = 0; i < schedule->count; i++)
		printf("%s%u:%u", i > 0 ? "," : "", schedule->choices[i].at,
				schedule->choices[i].pick);
	if (schedule->count == 0)
		printf("-");
}

static void tell_failure(const struct explore_scenario *scenario)
{
	struct report first = *report;

	print_lines(first.what);
	print_lines(first.where);
	if (first.strategy != EXHAUSTIVE && first.strategy != REPLAY)
		printf("# again: explore --scenario %s --seed %llu --runs 1\n",
				scenario->name,
				(unsigned long long)first.seed);
	if (options.brief)
		return;
	if (first.schedule.count < SCHEDULE_MAX)
		simplify(scenario, &first.schedule);
	printf("# the least: explore --scenario %s --trace --schedule ",
			scenario->name);
	print_schedule(&first.schedule);
	putchar('\n');
}

/* --- All scenarios -------------------------------------------------------- */

static bool is_wanted(const struct explore_scenario *scenario)
{
	return options.scenario == NULL || strncmp(scenario->name,
			options.scenario, strlen(options.scenario)) == 0;
}

static bool try_scenario(const struct explore_scenario *scenario,
		unsigned number)
{
	const struct schedule *schedule = options.schedule.count > 0
			? &options.schedule : NULL;
	bool good = run_child(scenario, schedule, options.trace);

	printf("%sok %u - %s\n", good ? "" : "not ", number, scenario->name);
	printf("# %lu schedules, %lu points%s\n", report->runs, report->steps,
			report->complete ? ", all with up to 2 preemptions"
			: "");
	if (!good)
		tell_failure(scenario);

	return good;
}

static int try_all(void)
{
	unsigned wanted = 0, count = 0, bad = 0;

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		for (const struct explore_scenario *one = lists[i];
				one->name != NULL; one++)
			if (is_wanted(one) && wanted++ % options.parts
					== options.part)
				bad += !try_scenario(one, ++count);
	printf("1..%u\n", count);

	return bad != 0;
}

static void list_all(void)
{
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		for (const struct explore_scenario *one = lists[i];
				one->name != NULL; one++)
			puts(one->name);
}

static void parse_schedule(const char *text)
{
	struct schedule *schedule = &options.schedule;
	int length;

	while (schedule->count < SCHEDULE_MAX) {
		struct choice *one = &schedule->choices[schedule->count];

		if (sscanf(text, "%u:%u%n", &one->at, &one->pick, &length)
				!= 2)
			break;
		schedule->count++;
		text += length;
		text += *text == ',';
	}
	/* Not one choice is a schedule too. */
	if (schedule->count == 0) {
		schedule->choices[0].at = (unsigned)-1;
		schedule->count = 1;
	}
}

static void parse_option(const char *name, const char *value)
{
	if (value == NULL)
		usage();
	if (strcmp(name, "--scenario") == 0) {
		options.scenario = value;
	} else if (strcmp(name, "--part") == 0) {
		if (sscanf(value, "%u/%u", &options.part, &options.parts) != 2
				|| options.part >= options.parts)
			usage();
	} else if (strcmp(name, "--seed") == 0) {
		options.seed = strtoull(value, NULL, 10);
		options.given_seed = true;
	} else if (strcmp(name, "--runs") == 0) {
		options.runs = strtoul(value, NULL, 10);
	} else if (strcmp(name, "--seconds") == 0) {
		options.seconds = (unsigned)strtoul(value, NULL, 10);
	} else if (strcmp(name, "--schedule") == 0) {
		parse_schedule(value);
	} else {
		usage();
	}
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--list") == 0) {
			list_all();
			return 0;
		}
		if (strcmp(argv[i], "--trace") == 0) {
			options.trace = true;
		} else if (strcmp(argv[i], "--brief") == 0) {
			options.brief = true;
		} else {
			parse_option(argv[i], argv[i + 1]);
			i++;
		}
	}
	report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (report == MAP_FAILED)
		abort();

	return try_all();
}
