/* SPDX-License-Identifier: MIT */

/* schedule.c - threads as fibers, and who goes on: see explore.h */

#include "run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context/context.h"
#include "worker.h"

#define STACK_SIZE ((size_t)256 << 10)
#define STEPS_MAX 60000u	/* of one run; more is a run without end */
#define STREAK_MAX 500u		/* of one thread, while others are ready */
#define DEPTH_MAX 8u
#define BRANCHES_MAX 65536u

enum state { ABSENT, READY, SPINNING, BLOCKED, ENDED };

struct thread {
	enum state state;
	struct co__context context;
	struct co__worker *here;	/* its thread-local variables */
	int error;
	void *(*fn)(void *arg);
	void *arg;
	const void *object;		/* blocked: until it is woken */
	co_time until;			/* blocked: or until then */
	bool woken;
	unsigned long seen;		/* `changes' when it spun last */
	long priority;
	const char *operation;
	struct explore_site site;
};

/* A decision, while all schedules are tried. */
struct branch {
	unsigned char options;
	unsigned char pick;
};

struct report *report;
struct plan plan;
co_time time_now;

static struct thread threads[EXPLORE_THREADS];
static char *stacks[EXPLORE_THREADS];
static int current = -1;
static struct co__context outside;
static unsigned long changes, steps;
static unsigned decisions, next_choice, preemptions;
static unsigned streak;
static unsigned change_points[DEPTH_MAX];
static long lowest;

static struct branch branches[BRANCHES_MAX];
static unsigned branch_count, branch_at;

int running(void)
{
	return current;
}

/* --- Failures ------------------------------------------------------------- */

void trace(const char *format, ...)
{
	va_list list;

	if (!plan.trace)
		return;
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	fflush(stdout);
}

static void describe_threads(void)
{
	static const char *const names[] = { "absent", "ready", "spinning",
		"waiting", "ended" };
	size_t at = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++) {
		const struct thread *thread = &threads[i];

		if (thread->state == ABSENT || at >= sizeof report->where)
			continue;
		at += (size_t)snprintf(report->where + at,
				sizeof report->where - at,
				"thread %d, %s: %s in %s, line %d\n", i,
				names[thread->state], thread->operation != NULL
				? thread->operation : "start",
				thread->site.function != NULL
				? thread->site.function : "-",
				thread->site.line);
	}
}

/* The process ends: nothing of a failed run can be taken back. */
void explore_fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(report->what, sizeof report->what, format, list);
	va_end(list);
	report->failed = true;
	describe_threads();
	_exit(1);
}

/* --- Decisions ------------------------------------------------------------ */

unsigned draw(unsigned n)
{
	uint64_t x = plan.random += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;

	return (unsigned)((x ^ x >> 31) % n);
}

static unsigned replayed(unsigned n)
{
	const struct schedule *schedule = plan.replay;
	unsigned pick = 0;

	while (next_choice < schedule->count
			&& schedule->choices[next_choice].at < decisions)
		next_choice++;
	if (next_choice < schedule->count
			&& schedule->choices[next_choice].at == decisions)
		pick = schedule->choices[next_choice].pick;

	return pick < n ? pick : n - 1;
}

static unsigned next_branch(unsigned n)
{
	struct branch *branch = &branches[branch_at];

	if (branch_at == BRANCHES_MAX)
		return 0;
	if (branch_at++ == branch_count) {
		branch->pick = 0;
		branch_count++;
	}
	branch->options = (unsigned char)n;

	return branch->pick;
}

unsigned decide(unsigned n, unsigned wish, unsigned most)
{
	struct schedule *schedule = &report->schedule;
	unsigned pick = wish;

	if (n <= 1)
		return 0;
	if (plan.strategy == REPLAY)
		pick = replayed(n);
	else if (plan.strategy == EXHAUSTIVE)
		pick = most > 1 ? next_branch(most) : 0;
	if (pick != 0 && schedule->count < SCHEDULE_MAX) {
		schedule->choices[schedule->count].at = decisions;
		schedule->choices[schedule->count++].pick = pick;
	}
	decisions++;

	return pick;
}

void first_schedule(void)
{
	branch_count = 0;
}

bool next_schedule(void)
{
	while (branch_count > 0) {
		struct branch *last = &branches[branch_count - 1];

		if (last->pick + 1 < last->options) {
			last->pick++;
			return true;
		}
		branch_count--;
	}

	return false;
}

unsigned explore_choose(unsigned n)
{
	return decide(n, draw(n), n);
}

/* --- Who goes on ---------------------------------------------------------- */

static bool can_go_on(const struct thread *thread)
{
	switch (thread->state) {
	case READY:
		return true;
	case SPINNING:
		return thread->seen != changes;
	case BLOCKED:
		return thread->until <= time_now;
	default:
		return false;
	}
}

/* Those who can go on, CURRENT first.  Returns how many. */
static unsigned list_ready(int *ready)
{
	unsigned n = 0;

	if (can_go_on(&threads[current]))
		ready[n++] = current;
	for (int i = 0; i < EXPLORE_THREADS; i++)
		if (i != current && can_go_on(&threads[i]))
			ready[n++] = i;

	return n;
}

/* All wait: let the time of the first timeout come. */
static bool pass_time(void)
{
	co_time next = CO_NEVER;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		if (threads[i].state == BLOCKED && threads[i].until < next)
			next = threads[i].until;
	if (next == CO_NEVER)
		return false;
	time_now = next;
	trace("time passes\n");

	return true;
}

static unsigned wish_by_priority(const int *ready, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 1; i < n; i++)
		if (threads[ready[i]].priority > threads[ready[best]].priority)
			best = i;

	return best;
}

static unsigned choose_ready(const int *ready, unsigned n)
{
	bool mine = ready[0] == current;
	unsigned wish = 0;

	if (plan.strategy == BY_PRIORITY)
		wish = wish_by_priority(ready, n);
	else if (!mine)
		wish = draw(n);
	else if (draw(plan.switches) == 0)
		wish = 1 + draw(n - 1 > 0 ? n - 1 : 1);
	wish = decide(n, wish < n ? wish : 0,
			mine && preemptions >= plan.preemptions ? 1 : n);
	if (mine && wish != 0)
		preemptions++;

	return wish;
}

static void go_on(int next)
{
	struct thread *from = &threads[current], *to = &threads[next];

	if (next == current)
		return;
	streak = 0;
	from->here = co__worker_here;
	from->error = errno;
	co__worker_here = to->here;
	errno = to->error;
	current = next;
	co__context_switch(&from->context, &to->context);
}

static void stop_run(void)
{
	struct thread *from = &threads[current];

	current = -1;
	co__worker_here = NULL;
	co__context_switch(&from->context, &outside);
}

/* CURRENT goes on, or another. */
static void reschedule(void)
{
	int ready[EXPLORE_THREADS];
	unsigned n;

	while ((n = list_ready(ready)) == 0)
		if (!pass_time())
			explore_fail("all threads wait for ever");
	go_on(ready[choose_ready(ready, n)]);
}

/* Change priorities, when it is time.  Who goes on and on perhaps waits for
 * another without saying so. */
static void change_priority(void)
{
	if (++streak > STREAK_MAX) {
		streak = 0;
		threads[current].priority = --lowest;
	}
	for (unsigned i = 0; i < plan.depth; i++)
		if (change_points[i] == steps)
			threads[current].priority = --lowest;
}

void point(const char *operation, struct explore_site site)
{
	struct thread *self;

	if (current < 0)
		return;
	self = &threads[current];
	self->operation = operation;
	self->site = site;
	if (++steps > STEPS_MAX)
		explore_fail("the run doesn't end");
	change_priority();
	reschedule();
}

void explore_step(void)
{
	point("step", EXPLORE_AT(EXPLORE_RELAXED));
}

void something_changed(void)
{
	changes++;
}

/* --- Waiting -------------------------------------------------------------- */

void spin(void)
{
	struct thread *self;

	if (current < 0)
		return;
	self = &threads[current];
	self->operation = "spin";
	self->priority = --lowest;
	/* It may have looked before the last change, or found what was old:
	 * only if nothing changed since it last came here it waits. */
	if (!memory_read_old() && self->seen == changes)
		self->state = SPINNING;
	self->seen = changes;
	if (++steps > STEPS_MAX)
		explore_fail("the run doesn't end");
	reschedule();
	self->state = READY;
}

bool block(const void *object, co_time until)
{
	struct thread *self = &threads[current];

	self->state = BLOCKED;
	self->object = object;
	self->until = until;
	self->woken = false;
	reschedule();
	self->state = READY;

	return self->woken;
}

void wake(const void *object)
{
	something_changed();
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		struct thread *thread = &threads[i];

		if (thread->state != BLOCKED || thread->object != object)
			continue;
		thread->state = READY;
		thread->woken = true;
	}
}

/* --- Threads -------------------------------------------------------------- */

static void thread_main(void *arg)
{
	struct thread *self = arg;

	self->fn(self->arg);
	if (self == &threads[0]) {
		for (int i = 1; i < EXPLORE_THREADS; i++)
			if (threads[i].state != ABSENT
					&& threads[i].state != ENDED)
				explore_fail("thread %d was left behind", i);
		stop_run();
	}
	self->state = ENDED;
	wake(self);
	reschedule();
	abort();
}

bool has_ended(int thread)
{
	return threads[thread].state == ENDED;
}

static int begin_thread(void *(*fn)(void *), void *arg)
{
	struct thread *thread;
	int i = 0;

	while (i < EXPLORE_THREADS && threads[i].state != ABSENT)
		i++;
	if (i == EXPLORE_THREADS)
		explore_fail("too many threads");
	thread = &threads[i];
	memset(thread, 0, sizeof *thread);
	if (stacks[i] == NULL)
		stacks[i] = malloc(STACK_SIZE);
	if (stacks[i] == NULL)
		abort();
	thread->state = READY;
	thread->fn = fn;
	thread->arg = arg;
	thread->priority = 1 + (long)draw(1000);
	co__context_make(&thread->context, stacks[i], STACK_SIZE, thread_main,
			thread);

	return i;
}

int explore_thread(void *(*fn)(void *arg), void *arg)
{
	int thread;

	point("begin a thread", EXPLORE_AT(EXPLORE_RELAXED));
	thread = begin_thread(fn, arg);
	memory_thread_begins(thread, current);
	something_changed();

	return thread;
}

void explore_join(int thread)
{
	point("join a thread", EXPLORE_AT(EXPLORE_RELAXED));
	while (!has_ended(thread))
		block(&threads[thread], CO_NEVER);
	memory_take_from(thread);
}

static void *first_thread(void *arg)
{
	const struct explore_scenario *scenario = arg;

	scenario->run();

	return NULL;
}

void run_once(const struct explore_scenario *scenario)
{
	memset(threads, 0, sizeof threads);
	report->schedule.count = 0;
	steps = changes = 0;
	decisions = next_choice = branch_at = preemptions = 0;
	lowest = 0;
	streak = 0;
	time_now = 1000 * CO_SECOND;
	memory_begin();
	system_begin();
	races_begin();
	for (unsigned i = 0; i < plan.depth && i < DEPTH_MAX; i++)
		change_points[i] = draw(plan.horizon);
	current = begin_thread(first_thread, (void *)scenario);
	memory_thread_begins(current, -1);
	co__context_switch(&outside, &threads[0].context);
	memory_end();
	report->runs++;
	report->steps += steps;
}
