/* SPDX-License-Identifier: MIT */

/* drive.c - letting each call of a scenario fail: see scenario.h */

#define CO_TEST_PLAIN
#include "../test.h"
#include "scenario.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MOST_CALLS = 5000,	/* of a kind, in one run */
	BURST = 8,		/* calls that fail together */
	SECONDS = 10,		/* for one run: else it hangs */
};

/* On what a scenario is run. */
struct config {
	const char *backend;
	unsigned threads;
	bool counts_bytes;	/* it has an allocator of ours */
};

/* The first two will do where everything is slow. */
static const struct config configs[] = {
#ifdef HAVE_EPOLL
	{ "epoll", 1, false },
#endif
	{ "poll", 3, true },
	{ "poll", 1, false },
#ifdef HAVE_EPOLL
	{ "epoll", 4, true },
	{ "epoll", 2, false },
#endif
};

static bool is_thorough(void)
{
	const char *text = getenv("CO_TEST_FAULTS");

	return text != NULL && strcmp(text, "all") == 0;
}

static size_t count_configs(void)
{
	return test_divisor() == 1 || is_thorough()
			? sizeof configs / sizeof configs[0] : 2;
}

/* --- What happened in a run ---------------------------------------------- */

/* What the library told. */
struct error {
	volatile AO_t taken;		/* atomic: the fields below are set */
	const char *function;
	long value;
};

static struct error cause;		/* the first */
static struct error consequence;	/* the first of those that a peer
					 * which was told one may have caused */

/* What is seen of a peer that has closed. */
static bool is_closed(long value)
{
	return value == -ECONNRESET || value == -ENODATA || value == -EPIPE
			|| value == -ECONNREFUSED || value == -ENOTCONN;
}

long told(const char *function, long value)
{
	struct error *error = is_closed(value) ? &consequence : &cause;

	/* A scenario cancels who would wait for the end of another's call. */
	if (value < 0 && value != -ECANCELED
			&& AO_compare_and_swap_full(&error->taken, 0, 1)) {
		error->function = function;
		error->value = value;
	}

	return value;
}

/* What is to be explained, or NULL. */
static const struct error *first_error(void)
{
	if (AO_load_acquire(&cause.taken))
		return &cause;

	return AO_load_acquire(&consequence.taken) ? &consequence : NULL;
}

static void forget_errors(void)
{
	AO_store(&cause.taken, 0);
	AO_store(&consequence.taken, 0);
}

/* --- What is allowed ----------------------------------------------------- */

struct saying {
	const char *function;
	enum fault_call call;		/* what it says; or */
	int errors[8];			/* until 0 */
};

static const struct saying sayings[] = {
#define SAYS(function, ...) { #function, FAULT_NONE, { __VA_ARGS__ } },
#define SAYS_WHAT(function, page, call) { #function, FAULT_##call, { 0 } },
#include "told.inc"
};

static bool says(const struct saying *saying, const struct error *error,
		enum fault_call call)
{
	size_t i;

	if (strcmp(saying->function, error->function) != 0)
		return false;
	if (saying->call == call)
		return true;
	for (i = 0; saying->errors[i] != 0; i++)
		if (saying->errors[i] == -error->value)
			return true;

	return false;
}

/* Whether the manual of the function has ERROR, for when CALL has failed. */
static bool is_documented(const struct error *error, enum fault_call call)
{
	size_t i;

	for (i = 0; i < sizeof sayings / sizeof sayings[0]; i++)
		if (says(&sayings[i], error, call))
			return true;

	return false;
}

/* Whether ERROR, or none, may come of FAULT when OUTCOME may. */
static bool is_allowed(const struct error *error, const struct fault *fault,
		int outcome)
{
	if (error == NULL)
		return (outcome & HIDDEN) != 0;
	if (outcome & CLOSES)
		return is_closed(error->value);
	if (error->value == -fault->error && (outcome & TOLD))
		return is_documented(error, fault->call);

	return error->value == -(outcome & AS_MASK)
			&& is_documented(error, fault->call);
}

/* --- One run ------------------------------------------------------------- */

/* A fault in a run of a scenario. */
struct trial {
	const struct scenario *scenario;
	const struct config *config;
	const struct fault *fault;
	size_t nth, times;
};

static unsigned threads_of(const struct trial *trial)
{
	return trial->scenario->threads != 0 ? trial->scenario->threads
			: trial->config->threads;
}

/* What is being tried, for who reads of a crash. */
static char description[256];

static void describe(const struct trial *trial)
{
	snprintf(description, sizeof description, "%s on %u threads with %s: "
			"CO_TEST_FAULT='%s %s %zu %zu'\n",
			trial->scenario->name, threads_of(trial),
			trial->config->backend,
			fault_call_name(trial->fault->call),
			fault_error_name(trial->fault->error), trial->nth,
			trial->times);
}

static void tell_and_die(int number)
{
	static const char hangs[] = "hangs: ", dies[] = "dies: ";
	ssize_t n;

	n = number == SIGALRM ? write(2, hangs, sizeof hangs - 1)
			: write(2, dies, sizeof dies - 1);
	n = write(2, description, strlen(description));
	(void)n;
	signal(number, SIG_DFL);
	raise(number);
}

static void tell_of_crashes(void)
{
	signal(SIGALRM, tell_and_die);
	signal(SIGABRT, tell_and_die);
	signal(SIGSEGV, tell_and_die);
	signal(SIGBUS, tell_and_die);
}

static void *allocate(void *context, size_t size)
{
	void *memory = fault_malloc(size);

	(void)context;
	if (memory != NULL)
		fault_count(BYTES, size);

	return memory;
}

static void release(void *context, void *memory, size_t size)
{
	(void)context;
	fault_count(BYTES, (size_t)0 - size);
	fault_free(memory);
}

static int create_loop(const struct trial *trial, struct co_loop **ret_loop)
{
	static const struct co_allocator counting = { allocate, release, NULL };
	const struct config *config = trial->config;
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	options.threads = threads_of(trial);
	options.backend = config->backend;
	options.stall_after = trial->scenario->stall_after;
	options.blocking_threads = trial->scenario->blocking_threads;
	if (config->counts_bytes)
		options.allocator = &counting;

	return (int)TELL(co_loop_create, &options, ret_loop);
}

/* LOOP works, after what happened: the scenario can be run, and nothing is
 * told that wasn't told before. */
static void expect_good_loop(struct co_loop *loop,
		const struct scenario *scenario)
{
	const struct error *before = first_error();
	struct co_task *task = NULL;

	CO_EXPECT_EQ(co_spawn(loop, scenario->run, NULL, &task), 0);
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT(first_error() == before);
}

static void run_in(struct co_loop *loop, const struct scenario *scenario)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	size_t fds = fault_balance().fds;
	struct co_task *task = NULL;
	int result = 0;

	if (TELL(co_spawn, loop, scenario->run, NULL, &task) == 0
			&& TELL(co_loop_run, loop) < 0) {
		/* What was not run then is run now. */
		fault_disarm();
		CO_EXPECT_EQ(co_loop_run(loop), 0);
	}
	if (task != NULL)
		test_or_die(co_join(task, &result));
	CO_EXPECT(result == 0 || first_error() != NULL);
	if (fault_fired() > 0) {
		fault_disarm();
		expect_good_loop(loop, scenario);
	}
	/* What would be given back with the loop only. */
	CO_EXPECT_EQ(co_loop_stats(loop, &stats), 0);
	CO_EXPECT_EQ(stats.tasks, 0);
	CO_EXPECT(scenario->leaves_open || fault_balance().fds == fds);
}

static void run_by_co_run(const struct trial *trial)
{
	char threads[16];
	long result;

	snprintf(threads, sizeof threads, "%u", threads_of(trial));
	setenv("COLOOP_THREADS", threads, 1);
	setenv("COLOOP_BACKEND", trial->config->backend, 1);
	result = co_run(trial->scenario->run, NULL);
	/* Else it is the scenario's. */
	if (first_error() == NULL)
		told("co_run", result);
}

static void run_once(const struct trial *trial)
{
	struct co_loop *loop = NULL;

	if (trial->scenario->by_co_run) {
		run_by_co_run(trial);
		return;
	}
	if (create_loop(trial, &loop) < 0)
		return;
	run_in(loop, trial->scenario);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

static void expect_balance(const struct fault_balance *before)
{
	struct fault_balance now = fault_balance();

	CO_EXPECT_EQ(now.blocks, before->blocks);
	CO_EXPECT_EQ(now.bytes, before->bytes);
	CO_EXPECT_EQ(now.mapped, before->mapped);
	CO_EXPECT_EQ(now.threads, before->threads);
	CO_EXPECT_EQ(now.objects, before->objects);
	CO_EXPECT_EQ(now.fds, before->fds);
	CO_EXPECT_EQ(now.misuses, 0);
}

/* Returns whether the call was made that should fail. */
static bool try(const struct trial *trial)
{
	int outcome = trial->scenario->outcome != 0 ? trial->scenario->outcome
			: trial->fault->outcome;
	struct fault_balance before = fault_balance();
	const struct error *error;
	size_t fired;

	describe(trial);
	forget_errors();
	alarm(SECONDS * (unsigned)test_divisor());
	fault_arm(trial->fault, trial->nth, trial->times);
	run_once(trial);
	fired = fault_disarm();
	alarm(0);
	error = first_error();
	CO_EXPECT(fired == 0 ? error == NULL
			: is_allowed(error, trial->fault, outcome));
	expect_balance(&before);
	if (test_failures() != 0)
		fprintf(stderr, "%zu calls failed, %s returned %ld; %s", fired,
				error != NULL ? error->function : "nothing",
				error != NULL ? error->value : 0, description);

	return fired > 0;
}

/* The same in a new process. */
static bool try_forked(const struct trial *trial)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		bool fired = try(trial);

		_exit(test_failures() != 0 ? 2 : fired);
	}
	test_die_unless(child > 0 && waitpid(child, &status, 0) == child,
			"fork", __FILE__, __LINE__);
	CO_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) < 2);

	return status != 0;
}

/* --- All of them --------------------------------------------------------- */

static bool try_anywhere(const struct trial *trial)
{
	return trial->scenario->forked ? try_forked(trial) : try(trial);
}

/* Let the first call fail, the second, and so on, until there is no further
 * one.  Returns whether any did. */
static bool try_each_call(struct trial trial)
{
	bool fired, any = false;

	do {
		fired = try_anywhere(&trial);
		any |= fired;
		CO_EXPECT(trial.nth < MOST_CALLS);
		trial.nth += test_divisor();
	} while (fired && test_failures() == 0);

	return any;
}

static bool covers(const struct scenario *scenario, enum fault_call call)
{
	size_t i;

	for (i = 0; scenario->covers[i] != FAULT_NONE; i++)
		if (scenario->covers[i] == call)
			return scenario->is_called == NULL
					|| scenario->is_called(call);

	return false;
}

/* One call after the other fails, and several in a row.  Returns whether FAULT
 * has happened. */
static bool try_fault(struct trial trial)
{
	if (trial.scenario->only_covered
			&& !covers(trial.scenario, trial.fault->call))
		return false;
	if (!try_each_call(trial))
		return false;
	trial.times = BURST;
	if (is_thorough())
		try_each_call(trial);
	else
		try_anywhere(&trial);

	return true;
}

/* Each of the N faults in LIST; FIRED remembers those that have happened. */
static void try_all(const struct scenario *scenario,
		const struct config *config, const struct fault *list, size_t n,
		bool *fired)
{
	bool is_called = true;
	size_t i, before;

	for (i = 0; i < n && test_failures() == 0; i++) {
		if (i > 0 && list[i].call != list[i - 1].call)
			is_called = true;
		if (!is_called)
			continue;
		before = fault_calls(list[i].call);
		fired[i] |= try_fault((struct trial){ scenario, config,
				&list[i], 1, 1 });
		is_called = fault_calls(list[i].call) != before
				|| scenario->forked;
	}
}

/* What CO_TEST_FAULT asks for, "CALL ERROR NTH TIMES", instead of all. */
static void try_asked_for(const struct scenario *scenario, const char *text)
{
	char call[32], error[32];
	size_t n, i, c, nth, times, found = 0;
	const struct fault *list = fault_list(&n);

	test_or_die(sscanf(text, "%31s %31s %zu %zu", call, error, &nth,
			&times) != 4);
	for (i = 0; i < n; i++) {
		if (strcmp(call, fault_call_name(list[i].call)) != 0
			|| strcmp(error, fault_error_name(list[i].error)) != 0)
			continue;
		found++;
		for (c = 0; c < count_configs(); c++)
			try_anywhere(&(struct trial){ scenario, &configs[c],
					&list[i], nth, times });
	}
	CO_EXPECT_EQ(found, 1);
}

static void lack(const struct fault *lacks)
{
	for (; lacks != NULL && lacks->call != FAULT_NONE; lacks++)
		fault_always(lacks->call, lacks->error);
}

static void expect_covered(const struct scenario *scenario, const bool *fired)
{
	size_t n, i;
	const struct fault *list = fault_list(&n);

	for (i = 0; i < n; i++) {
		if (fired[i] || !covers(scenario, list[i].call))
			continue;
		CO_EXPECT(!"each fault of what is covered has happened");
		fprintf(stderr, "%s: no %s by %s\n", scenario->name,
				fault_error_name(list[i].error),
				fault_call_name(list[i].call));
	}
}

/* As a thread begins: a checker may have changed that. */
static void drop_signal_stack(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	test_or_die(sigaltstack(&none, NULL));
}

void fail_each_call_of(const struct scenario *scenario)
{
	const char *asked_for = getenv("CO_TEST_FAULT");
	size_t n, c;
	const struct fault *list = fault_list(&n);
	bool fired[FAULTS_MAX] = { false };

	unsetenv("COLOOP_THREADS");
	unsetenv("COLOOP_BACKEND");
	drop_signal_stack();
	tell_of_crashes();
	lack(scenario->lacks);
	if (asked_for != NULL) {
		try_asked_for(scenario, asked_for);
		return;
	}
	for (c = 0; c < count_configs(); c++)
		try_all(scenario, &configs[c], list, n, fired);
	if (test_failures() == 0)
		expect_covered(scenario, fired);
}
