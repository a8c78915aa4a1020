/* SPDX-License-Identifier: MIT */

/* test_stall.c - reports of who runs for long without a switch: co_loop(3) */

#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "stall.h"

/* Longer than a thread is kept from running by others, as a rule.  But it happens,
 * and is a stall of whatever it runs: so only those are counted that are meant,
 * and who must have none is given more time if there are some. */
#define SHORT (50 * CO_MILLISECOND)
#define LONG (400 * CO_MILLISECOND)

/* What was reported. */
struct reports {
	const char *of;			/* only tasks that are called so */
	size_t wanted;			/* the culprit: how many are to come */
	struct test_counter count;
	struct test_counter others;
	struct co_stall last;
	char name[CO_TASK_NAME_MAX + 1];
	char text[400];
	pthread_t thread;
	bool stops;			/* the loop */
};

static void note(const struct co_stall *stall, void *arg)
{
	struct reports *reports = arg;

	if (strcmp(stall->name, reports->of) != 0) {
		counter_add(&reports->others, 1);
		return;
	}
	reports->last = *stall;
	reports->thread = pthread_self();
	CO_EXPECT(co_self() == NULL);
	snprintf(reports->name, sizeof reports->name, "%s", stall->name);
	snprintf(reports->text, sizeof reports->text, "%s", stall->text);
	if (reports->stops)
		CO_EXPECT_EQ(co_loop_stop(stall->loop), 0);
	counter_add(&reports->count, 1);
}

/* Run FN(ARG) in a loop of THREADS threads, in which a stall is AFTER, as a task
 * called "main".  Returns the number of stalls by its figures, but for those that
 * are not meant. */
static size_t run_watched(unsigned threads, co_time after,
		struct reports *reports, co_task_fn *fn, void *arg)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator counting = { test_allocate, test_release, NULL };
	struct co_loop_stats stats = { .size = sizeof stats };
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_loop *loop = NULL;

	attr.name = "main";
	options.threads = threads;
	options.allocator = &counting;
	options.stall_after = after;
	options.on_stall = reports != NULL ? note : NULL;
	options.stall_arg = reports;
	test_or_die(co_loop_create(&options, &loop));
	test_or_die(co_spawn_with(loop, &attr, fn, arg, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
	test_expect_no_leak();

	return stats.stalls - (reports != NULL
			? counter_get(&reports->others) : 0);
}

static const unsigned some_threads[] = { 1, 0, 4 };

/* Where little is to be done, only what the environment says. */
#define FOR_THREADS(threads)                                                \
	for (size_t nth_ = test_divisor() > 1, end_ = nth_ ? 2 : 3;         \
			nth_ < end_; nth_++)                                \
		for (unsigned threads = some_threads[nth_], once_ = 1;      \
				once_; once_ = 0)

/* --- Reports ----------------------------------------------------------- */

/* The name of who stalls. */
static const char glutton[] = "glutton";

/* Have FN(ARG) run as one who stalls, in each of its turns: it has its name from
 * the beginning, for a report of the turn in which it was given one would be of
 * that name, too. */
static void run_glutton(co_task_fn *fn, void *arg)
{
	CO_EXPECT_EQ(join_or_die(spawn_named(glutton, fn, arg)), 0);
}

static void await_report(struct reports *reports)
{
	while (counter_get(&reports->count) < reports->wanted)
		;
}

/* Compute until the report of this turn, and for a while.  It may have come. */
static void compute_until_reported(struct reports *reports)
{
	co_time end;

	reports->wanted++;
	await_report(reports);
	end = co_after(3 * SHORT);
	while (co_now() < end)
		;
}

struct culprit {
	struct reports *reports;
	struct co_task *task;
	struct co_loop *loop;
	long thread;
	int rounds;
};

static int compute(void *arg)
{
	struct culprit *culprit = arg;
	int i;

	culprit->task = co_self();
	culprit->loop = co_loop_current();
	for (i = 1; i <= culprit->rounds; i++) {
		if (i > 1)
			CO_EXPECT_EQ(co_yield(), 0);
#ifdef HAVE_GETTID
		culprit->thread = gettid();
#endif
		compute_until_reported(culprit->reports);
		CO_EXPECT_EQ(counter_get(&culprit->reports->count), i);
	}

	return 0;
}

static int join_it(void *arg)
{
	return co_join(arg, NULL);
}

/* Others wait while one computes. */
static int lead(void *arg)
{
	struct co_task *computer = spawn_named(glutton, compute, arg), *waiter;

	waiter = spawn_or_die(NULL, join_it, computer);
	CO_EXPECT_EQ(join_or_die(waiter), 0);

	return 0;
}

static void expect_report_of(const struct reports *reports,
		const struct culprit *culprit)
{
	cr_assert_eq(reports->last.task, culprit->task);
	cr_assert_eq(reports->last.loop, culprit->loop);
	cr_assert_str_eq(reports->name, glutton);
	cr_assert_geq(reports->last.duration, SHORT);
	cr_assert_not_null(reports->last.spawned_at);
	cr_assert_eq(reports->last.thread, culprit->thread);
	cr_assert(!pthread_equal(reports->thread, pthread_self()));
	cr_assert_not_null(strstr(reports->text, "\"glutton\" has run for "));
	cr_assert_not_null(strstr(reports->text, "spawned at "));
	cr_assert_null(strchr(reports->text, '\n'));
}

Test(stall, a_stall_is_reported_once)
{
	FOR_THREADS(threads) {
		struct reports reports = { .of = glutton };
		struct culprit culprit = { .reports = &reports, .rounds = 1 };

		cr_assert_eq(run_watched(threads, SHORT, &reports, lead,
				&culprit), 1);
		expect_report_of(&reports, &culprit);
	}
}

Test(stall, each_stall_of_a_task_is_reported)
{
	FOR_THREADS(threads) {
		struct reports reports = { .of = glutton };
		struct culprit culprit = { .reports = &reports, .rounds = 3 };

		cr_assert_eq(run_watched(threads, SHORT, &reports, lead,
				&culprit), 3);
		expect_report_of(&reports, &culprit);
	}
}

static int block_in_the_system(void *arg)
{
	struct reports *reports = arg;

	while (counter_get(&reports->count) == 0)
		nap(SHORT);

	return 0;
}

static int lead_who_blocks(void *arg)
{
	run_glutton(block_in_the_system, arg);

	return 0;
}

Test(stall, a_thread_that_is_blocked_in_the_system_stalls)
{
	struct reports reports = { .of = glutton };

	cr_assert_eq(run_watched(1, SHORT, &reports, lead_who_blocks, &reports),
			1);
}

static int compute_until_stopped(void *arg)
{
	compute_until_reported(arg);
	CO_EXPECT_EQ(co_sleep_until(CO_NEVER), 0);

	return 0;
}

static int lead_until_stopped(void *arg)
{
	run_glutton(compute_until_stopped, arg);

	return 0;
}

Test(stall, who_is_told_may_stop_the_loop)
{
	FOR_THREADS(threads) {
		struct reports reports = { .of = glutton, .stops = true };

		cr_assert_eq(run_watched(threads, SHORT, &reports,
				lead_until_stopped, &reports), 1);
	}
}

static int compute_once(void *arg)
{
	compute_until_reported(arg);

	return 0;
}

static int wait_then_compute(void *arg)
{
	wait_for_byte(LONG);
	run_glutton(compute_once, arg);

	return 0;
}

/* The monitor has gone to sleep meanwhile. */
Test(stall, a_stall_after_long_idleness_is_reported)
{
	FOR_THREADS(threads) {
		struct reports reports = { .of = glutton };

		cr_assert_eq(run_watched(threads, SHORT, &reports,
				wait_then_compute, &reports), 1);
	}
}

/* Stalls that are over before who looks every 25 ms has looked twice; longer
 * ones, if that thread gets no processor. */
static int compute_briefly(void *arg)
{
	struct reports *reports = arg;
	co_time time = 20 * CO_MILLISECOND;
	int i;

	/* Calm for so long that there is no reason to look often. */
	for (i = 0; i < 100; i++)
		co_sleep(2 * CO_MILLISECOND);
	for (i = 0; i < 200 && counter_get(&reports->count) == 0; i++) {
		co_time end = co_after(time);

		while (co_now() < end)
			;
		co_sleep(CO_MILLISECOND);
		if (i % 20 == 19)
			time *= 2;
	}

	return 0;
}

Test(stall, who_asks_for_short_stalls_gets_them)
{
	struct reports reports = { .of = "main" };

	cr_assert_geq(run_watched(1, 4 * CO_MILLISECOND, &reports,
			compute_briefly, &reports), 1);
	cr_assert_lt(reports.last.duration, 20 * CO_MILLISECOND);
}

/* --- What isn't a task ------------------------------------------------- */

/* It has no name, nor has a thread that is between two tasks: so it may not be the
 * only one. */
struct slow_tick {
	struct co_tick tick;
	struct reports *reports;
};

static void run_slowly(struct co_tick *tick)
{
	compute_until_reported(((struct slow_tick *)tick)->reports);
}

static int send_slow_tick(void *arg)
{
	static struct slow_tick slow;
	struct reports *reports = arg;

	slow.tick.run = run_slowly;
	slow.reports = reports;
	test_or_die(co_loop_on_next_tick(co_loop_current(), &slow.tick));
	while (counter_get(&reports->count) == 0)
		co_sleep(CO_MILLISECOND);

	return 0;
}

Test(stall, a_tick_may_stall)
{
	FOR_THREADS(threads) {
		struct reports reports = { .of = "" };

		cr_assert_geq(run_watched(threads, SHORT, &reports,
				send_slow_tick, &reports), 1);
		cr_assert_null(reports.last.task);
		cr_assert_str_eq(reports.name, "");
		cr_assert_null(reports.last.spawned_at);
		cr_assert_not_null(strstr(reports.text, "a tick or a "));
	}
}

/* --- Where none is asked for, or there is none ------------------------- */

/* In each of them *ARG is what a stall is. */

static int sleep_long(void *arg)
{
	return co_sleep(8 * *(co_time *)arg);
}

static int sleep_shortly_for_long(void *arg)
{
	co_time end = co_after(*(co_time *)arg);

	while (co_now() < end)
		co_sleep(CO_MILLISECOND);

	return 0;
}

static int yield_for_long(void *arg)
{
	co_time end = co_after(2 * *(co_time *)arg);

	while (co_now() < end)
		co_yield();

	return 0;
}

/* That FN runs without a stall, one of which is AFTER or, if threads were kept
 * from running for so long, up to four times that: for more, the monitor might
 * sleep before it reports one that it shouldn't. */
static void expect_no_stall(unsigned threads, co_time after, co_task_fn *fn)
{
	co_time most = 4 * after;
	int tries = 1;

	while (run_watched(threads, after, NULL, fn, &after) != 0) {
		cr_assert_lt(tries++, 6, "it stalls");
		if (after < most)
			after *= 2;
	}
}

Test(stall, who_sleeps_or_yields_does_not_stall)
{
	FOR_THREADS(threads) {
		expect_no_stall(threads, SHORT, sleep_long);
		expect_no_stall(threads, LONG, sleep_shortly_for_long);
		expect_no_stall(threads, LONG, yield_for_long);
	}
}

static int wait_long(void *arg)
{
	wait_for_byte(8 * *(co_time *)arg);

	return 0;
}

Test(stall, who_waits_for_input_does_not_stall)
{
	FOR_THREADS(threads)
		expect_no_stall(threads, SHORT, wait_long);
}

/* A tick that is sent again and again until END, and then sets SENDER free. */
struct brief_tick {
	struct co_tick tick;
	co_time end;
	struct co_task *sender;
};

static void run_briefly(struct co_tick *tick)
{
	struct brief_tick *brief = (struct brief_tick *)(void *)tick;

	if (co_now() >= brief->end) {
		CO_EXPECT_EQ(co_resume(brief->sender), 0);
		return;
	}
	nap(CO_MILLISECOND);
	CO_EXPECT_EQ(co_loop_on_next_tick(co_loop_current(), tick), 0);
}

static void send_brief_tick(struct co_task *task, void *arg)
{
	struct brief_tick *brief = arg;

	brief->sender = task;
	CO_EXPECT_EQ(co_loop_on_next_tick(co_loop_current(), &brief->tick), 0);
}

static int tick_for_long(void *arg)
{
	struct brief_tick *brief = calloc(1, sizeof *brief);
	int rc;

	brief->tick.run = run_briefly;
	brief->end = co_after(2 * *(co_time *)arg);
	rc = co_suspend(send_brief_tick, brief);
	free(brief);

	return rc;
}

/* Each is another one, though there is no switch between them. */
Test(stall, who_runs_brief_ticks_does_not_stall)
{
	FOR_THREADS(threads)
		expect_no_stall(threads, LONG, tick_for_long);
}

static int compute_for_long(void *arg)
{
	co_time end = co_after(LONG);

	while (co_now() < end)
		;
	(void)arg;

	return 0;
}

Test(stall, nothing_is_reported_if_nobody_asked)
{
	struct reports reports = { .of = "main" };

	cr_assert_eq(run_watched(1, 0, &reports, compute_for_long, NULL), 0);
	cr_assert_eq(run_watched(2, 0, &reports, compute_for_long, NULL), 0);
	cr_assert_eq(setenv("COLOOP_STALL", "50", 1), 0);
	cr_assert_eq(run_watched(1, CO_NEVER, &reports, compute_for_long,
			NULL), 0);
	cr_assert_eq(run_watched(2, CO_NEVER, &reports, compute_for_long,
			NULL), 0);
	cr_assert_eq(counter_get(&reports.count), 0);
	cr_assert_eq(counter_get(&reports.others), 0);
}

/* --- The default report, and the environment --------------------------- */

/* What FN(ARG) writes to standard error in a loop of one thread, in which a
 * stall is AFTER. */
static void catch_errors(co_time after, co_task_fn *fn, void *arg, char *text,
		size_t size)
{
	int before = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	test_or_die(pipe(fds));
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	run_watched(1, after, NULL, fn, arg);
	dup2(before, STDERR_FILENO);
	close(before);
	n = read(fds[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	close(fds[0]);
}

static char hog[] = "hog";

/* For long, and until somebody has seen it who looks for short stalls. */
static int compute_until_seen(void *arg)
{
	struct co_loop *loop = co_loop_current();
	size_t before = figures(loop).stalls;
	int rounds = 20;	/* in case it was seen before that */

	do
		compute_for_long(arg);
	while (loop->stall_after < LONG && figures(loop).stalls == before
			&& --rounds > 0);

	return 0;
}

static int lead_with_name(void *name)
{
	CO_EXPECT_EQ(join_or_die(spawn_named(name, compute_until_seen, NULL)),
			0);

	return 0;
}

/* Other lines are of threads that were kept from running. */
static void expect_line(const char *all, const char *name)
{
	char part[80];
	const char *at, *text, *end;

	snprintf(part, sizeof part, " \"%s\" has run for ", name);
	at = strstr(all, part);
	cr_assert_not_null(at, "%s", all);
	for (text = at; text > all && text[-1] != '\n'; text--)
		;
	end = strchr(at, '\n');
	cr_assert_eq(strncmp(text, "coloop: task 0x", 15), 0, "%s", text);
	cr_assert_not_null(strstr(text, " ms without a switch in thread "),
			"%s", text);
	cr_assert_not_null(strstr(text, "; spawned at "), "%s",
			text);
	cr_assert_not_null(end);
	cr_assert_null(strstr(end, part), "more than a line: %s", text);
}

Test(stall, a_line_is_written_to_standard_error)
{
	char text[1000], longest[] = "a name of thirty-one characters";

	catch_errors(SHORT, lead_with_name, hog, text, sizeof text);
	expect_line(text, hog);
	catch_errors(SHORT, lead_with_name, longest, text, sizeof text);
	expect_line(text, longest);
}

Test(stall, the_environment_may_ask_for_it)
{
	char text[1000];

	cr_assert_eq(setenv("COLOOP_STALL", "50", 1), 0);
	catch_errors(0, lead_with_name, hog, text, sizeof text);
	expect_line(text, hog);
}

/* The program's own option counts. */
Test(stall, the_environment_does_not_change_what_the_options_say)
{
	struct reports reports = { .of = hog };
	char text[1000];

	cr_assert_eq(setenv("COLOOP_STALL", "50", 1), 0);
	catch_errors(CO_MINUTE, lead_with_name, hog, text, sizeof text);
	cr_assert_str_eq(text, "");
	cr_assert_eq(run_watched(1, 0, &reports, lead_with_name, hog), 1);
	cr_assert_str_eq(reports.name, hog);
}

static co_time stall_of_environment(const char *value)
{
	struct co_loop *loop = NULL;
	co_time after;

	cr_assert_eq(setenv("COLOOP_STALL", value, 1), 0);
	cr_assert_eq(co_loop_create_single_threaded(&loop), 0);
	after = loop->stall_after;
	cr_assert_eq(loop->has_monitor, after != 0);
	cr_assert_eq(co_loop_destroy(loop), 0);

	return after;
}

Test(stall, what_makes_no_sense_in_the_environment_is_ignored)
{
	static const char *const slips[] = { "", "nonsense", "-1", "0", "1e3",
		"99999999999999999999", "1000000001", "2x", " 2", "1.5" };
	size_t i;

	for (i = 0; i < sizeof slips / sizeof slips[0]; i++)
		cr_expect_eq(stall_of_environment(slips[i]), 0, "'%s'",
				slips[i]);
	cr_expect_eq(stall_of_environment("1"), CO_MILLISECOND);
	cr_expect_eq(stall_of_environment("250"), 250 * CO_MILLISECOND);
	cr_expect_eq(stall_of_environment("1000000000"), 1000000 * CO_SECOND);
}

/* A loop that looks for none needs no thread for it. */
Test(stall, a_stall_that_never_comes_is_none)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = 1;
	options.stall_after = CO_NEVER;
	cr_assert_eq(setenv("COLOOP_STALL", "50", 1), 0);
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(loop->stall_after, 0);
	cr_assert(!loop->has_monitor);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* --- What the monitor sees --------------------------------------------- */

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

/* A loop that doesn't run, in which WORKER seems to run TASK, without a name. */
static struct co_loop *pretend(struct reports *reports,
		struct co__worker **ret_worker)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = 2;
	options.stall_after = 10;
	options.on_stall = note;
	options.stall_arg = reports;
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	*ret_worker = &loop->workers[1];
	AO_store(&(*ret_worker)->current,
			(AO_t)spawn_or_die(loop, end_at_once, NULL));
	AO_store(&(*ret_worker)->doing, CO__WORKS);
	co__stall_look(loop, 1000, 1000);

	return loop;
}

Test(stall, it_is_where_it_was_at_each_look_for_so_long)
{
	struct reports reports = { .of = "" };
	struct co__worker *worker;
	struct co_loop *loop = pretend(&reports, &worker);

	cr_assert_eq(counter_get(&reports.count), 0);
	co__stall_look(loop, 1009, 9);
	cr_assert_eq(counter_get(&reports.count), 0);
	co__stall_look(loop, 1010, 1);
	cr_assert_eq(counter_get(&reports.count), 1);
	cr_assert_eq(reports.last.duration, 10);
	co__stall_look(loop, 2000, 990);
	cr_assert_eq(counter_get(&reports.count), 1);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* Change WORD of a worker between two looks: then nothing has lasted. */
#define EXPECT_NEWS(word, value)                                            \
	do {                                                                \
		struct reports reports = { .of = "" };                      \
		struct co__worker *worker;                                  \
		struct co_loop *loop = pretend(&reports, &worker);          \
		co__stall_look(loop, 1009, 9);                              \
		AO_store(&worker->word, (value));                           \
		co__stall_look(loop, 1018, 9);                              \
		cr_assert_eq(counter_get(&reports.count), 0, #word);        \
		co__stall_look(loop, 1027, 9);                              \
		cr_assert_eq(counter_get(&reports.count), 0, #word);        \
		co__stall_look(loop, 1028, 1);                              \
		cr_assert_eq(counter_get(&reports.count), 1, #word);        \
		cr_assert_eq(co_loop_destroy(loop), 0);                     \
	} while (0)

Test(stall, a_switch_a_sleep_or_a_poll_in_between_is_seen)
{
	EXPECT_NEWS(switches, 1);
	EXPECT_NEWS(polls, 1);
	EXPECT_NEWS(naps, 1);
	EXPECT_NEWS(current, 0);
}

Test(stall, a_thread_that_waits_or_is_not_there_is_not_reported)
{
	static const enum co__doing doings[] = { CO__AWAY, CO__POLLS,
		CO__SLEEPS };
	size_t i;

	for (i = 0; i < 3; i++) {
		struct reports reports = { .of = "" };
		struct co__worker *worker;
		struct co_loop *loop = pretend(&reports, &worker);

		AO_store(&worker->doing, doings[i]);
		co__stall_look(loop, 2000, 1000);
		co__stall_look(loop, 3000, 1000);
		co__stall_look(loop, 4000, 1000);
		cr_assert_eq(counter_get(&reports.count), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
}

/* Use the processor for a while, whatever the time of day. */
static int use_processor(void *arg)
{
	struct timespec used;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	while (used.tv_sec == 0 && used.tv_nsec < 100 * CO_MILLISECOND);
	(void)arg;

	return 0;
}

/* Stop the process PARENT for DURATION. */
static void stop_for_long(pid_t parent, co_time duration)
{
	nap(30 * CO_MILLISECOND);
	kill(parent, SIGSTOP);
	nap(duration);
	kill(parent, SIGCONT);
	_exit(0);
}

/* How many stalls, each of which is AFTER, a process has that is stopped for
 * longer. */
static int count_stalls_of_stopped(co_time after)
{
	pid_t stopped = fork();
	int status;

	cr_assert_geq(stopped, 0);
	if (stopped == 0) {
		pid_t other = fork();

		if (other == 0)
			stop_for_long(getppid(), 2 * after);
		status = (int)run_watched(1, after, NULL, use_processor, NULL);
		waitpid(other, NULL, 0);
		_exit(status);
	}
	cr_assert_eq(waitpid(stopped, &status, 0), stopped);
	cr_assert(WIFEXITED(status));

	return WEXITSTATUS(status);
}

/* Who is stopped by a debugger, or a suspended machine, doesn't compute. */
Test(stall, a_process_that_was_stopped_has_not_stalled)
{
	co_time after = CO_SECOND;

	if (test_divisor() != 1)
		cr_skip_test("too slow");
	/* A busy machine may give it little of the processor, and take long. */
	while (count_stalls_of_stopped(after) != 0) {
		after *= 2;
		cr_assert_leq(after, 8 * CO_SECOND);
	}
}
