/* SPDX-License-Identifier: MIT */

/* run.c - see run.h */

#include "run.h"

#include <string.h>

#include "check.h"
#include "fuzz.h"
#include "virtual.h"

enum { ROUNDS = 12, STACK = 64 << 10 };

/* How late a call that need not wait may hear of a deadline: where a processor
 * is taken away for a while, the coarse clock of the system lags so much. */
#define SYSTEM_GRAIN (10 * CO_SECOND)

struct run run;

/* --- Calls --------------------------------------------------------------- */

/* The outermost scope of ACTOR whose deadline counts. */
static unsigned outermost(const struct actor *actor)
{
	unsigned i = actor->depth;

	while (i > 0 && !actor->hides[i - 1])
		i--;

	return i;
}

struct call *new_call(const struct actor *actor, enum call_kind kind,
		unsigned object)
{
	struct call *call = history_new(kind, actor->aside ? ASIDE
			: actor->id);

	if (call == NULL)
		return NULL;
	call->object = object;
	call->masked = actor->masked;
	for (unsigned i = outermost(actor); i < actor->depth; i++)
		if (actor->whens[i] < call->deadline)
			call->deadline = actor->whens[i];

	return call;
}

void begin_call(const struct actor *actor, struct call *call)
{
	history_begin(call);
	if (!is_in_turn() || actor->aside || actor->id == OUTSIDE)
		return;
	run.bodies[actor->id].due = call->deadline;
	if (call->kind == CALL_SLEEP && call->length < call->deadline
			- call->begun_at)
		run.bodies[actor->id].due = call->begun_at + call->length;
}

/* A call of ACTOR was ended by the DEADLINE of one of its scopes. */
static void note_expiry(struct actor *actor, co_time deadline)
{
	unsigned begin = outermost(actor), same = 0;

	for (unsigned i = begin; i < actor->depth; i++)
		same += actor->whens[i] == deadline;
	for (unsigned i = begin; i < actor->depth; i++) {
		if (actor->whens[i] != deadline)
			continue;
		actor->may_expire[i] = true;
		actor->expired[i] = actor->expired[i] || same == 1;
	}
}

void end_call(struct actor *actor, struct call *call, int rc)
{
	history_end(call, rc);
	if (call_is_doomed(call) && rc == -ETIMEDOUT)
		note_expiry(actor, call->deadline);
	if (is_in_turn() && actor->id != OUTSIDE && !actor->aside)
		run.bodies[actor->id].due = CO_NEVER;
}

/* For virtual.h: by when some task has to run. */
static co_time when_due(void)
{
	co_time due = CO_NEVER;

	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		if (run.bodies[i].due < due)
			due = run.bodies[i].due;

	return due;
}

/* --- Steps --------------------------------------------------------------- */

static do_fn *const functions[OPERATIONS] = {
	[DO_SPAWN] = do_spawn, [DO_CANCEL] = do_cancel,
	[DO_RESUME] = do_resume, [DO_TRY_PUT] = do_try_put,
	[DO_TRY_GET] = do_try_get, [DO_TRY_SELECT] = do_try_select,
	[DO_CLOSE] = do_close, [DO_LENGTH] = do_length,
	[DO_TRY_ACQUIRE] = do_try_acquire, [DO_RELEASE] = do_release,
	[DO_STOP] = do_stop, [DO_COMPUTE] = do_compute, [DO_JOIN] = do_join,
	[DO_DETACH] = do_detach, [DO_MASK] = do_mask, [DO_YIELD] = do_yield,
	[DO_SLEEP] = do_sleep, [DO_SUSPEND] = do_suspend, [DO_PUT] = do_put,
	[DO_GET] = do_get, [DO_SELECT] = do_select, [DO_ACQUIRE] = do_acquire,
	[DO_BEGIN] = do_begin, [DO_LEAVE] = do_leave,
};

void do_step(struct actor *actor, const struct step *step)
{
	functions[step->operation](actor, step);
}

static struct errand errands[PROGRAM_STEPS];
static struct test_counter errands_used, ticks_sent, ticks_done, bodies_begun;

struct errand *new_errand(const struct actor *actor, const struct step *step)
{
	struct errand *errand = &errands[counter_add(&errands_used, 1)];

	errand->task = actor->id;
	errand->step = step;
	errand->runs = 0;

	return errand;
}

static void run_errand(struct co_tick *tick)
{
	struct errand *errand = (struct errand *)(void *)tick;
	struct actor actor = { .id = errand->task, .aside = true };

	do_step(&actor, errand->step);
	counter_add(&ticks_done, 1);
}

static void send_errand(const struct actor *actor, const struct step *step)
{
	struct errand *errand = new_errand(actor, step);

	errand->tick.run = run_errand;
	counter_add(&ticks_sent, 1);
	FUZZ_EQUAL(co_loop_on_next_tick(run.loop, &errand->tick), 0);
}

static bool is_for_any_thread(const struct step *step)
{
	return step->operation < DO_FIRST_OF_TASKS;
}

/* All steps of ACTOR; if it IS_TASK, also those that only tasks can do. */
static void do_steps(struct actor *actor, bool is_task)
{
	const struct step *step = run.program->steps[actor->id];
	const struct step *end = step + run.program->counts[actor->id];

	for (; step < end; step++) {
		if (step->operation != DO_TICK) {
			if (is_task || is_for_any_thread(step))
				do_step(actor, step);
			continue;
		}
		if (step + 1 < end && is_for_any_thread(step + 1))
			send_errand(actor, ++step);
	}
}

/* Several threads begin at the same time, as far as that can be had: else the
 * first is done before the last has been woken. */
static void await_others(void)
{
	static const unsigned long patience = 20000;
	unsigned tasks = 0;

	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		tasks += run.program->at_once >> i & 1;
	if (tasks > run.program->threads)
		tasks = run.program->threads;
	counter_add(&bodies_begun, 1);
	for (unsigned long i = 0; i < patience && counter_get(&bodies_begun)
			< tasks; i++)
		AO_compiler_barrier();
}

int run_body(void *arg)
{
	struct body *body = arg;
	struct actor actor = { .id = (unsigned)(body - run.bodies) };
	struct call *end;

	body->self = co_self();
	if (!is_in_turn())
		await_others();
	do_steps(&actor, true);
	while (actor.depth > 0)
		do_leave(&actor, NULL);
	end = new_call(&actor, CALL_END, actor.id);
	FUZZ_CHECK(end != NULL);
	end->result = 100 + (int)actor.id;
	body->ended = true;
	history_begin(end);

	return 100 + (int)actor.id;
}

static void run_foreigner(void *arg)
{
	struct actor actor = { .id = FOREIGNER };

	(void)arg;
	do_steps(&actor, false);
}

/* --- The beginning ------------------------------------------------------- */

static void create_loop(const struct program *program)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator counting = { test_allocate, test_release, NULL };

	options.threads = program->threads;
	options.backend = program->backend;
	options.allocator = &counting;
	options.stack_size = STACK;
	options.flags = CO_LOOP_NO_OVERFLOW_REPORT;
	FUZZ_EQUAL(co_loop_create(&options, &run.loop), 0);
}

static void begin(const struct program *program)
{
	history_clear();
	history.in_turn = program->threads == 1;
	history.grain = is_in_turn() ? VIRTUAL_GRAIN : SYSTEM_GRAIN;
	memset(&run, 0, sizeof run);
	counter_set(&errands_used, 0);
	counter_set(&ticks_sent, 0);
	counter_set(&ticks_done, 0);
	counter_set(&bodies_begun, 0);
	run.program = program;
	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		run.bodies[i].due = CO_NEVER;
	if (is_in_turn())
		virtual_begin(CO_SECOND + program->start, program->lateness,
				when_due);
	create_loop(program);
	for (unsigned i = 0; i < HISTORY_CHANNELS; i++) {
		history.capacities[i] = program->capacities[i];
		history.has_content[i] = program->item_sizes[i] > 0;
		FUZZ_EQUAL(co_channel_create(run.loop, program->item_sizes[i],
				program->capacities[i], &run.channels[i]), 0);
		FUZZ_EQUAL(co_channel_capacity(run.channels[i]),
				program->capacities[i]);
	}
	for (unsigned i = 0; i < HISTORY_LOCKS; i++)
		co_lock_init(&run.locks[i]);
}

/* --- In between ---------------------------------------------------------- */

static struct actor outside = { .id = OUTSIDE };

static void do_outside(enum operation operation, unsigned a)
{
	struct step step = { operation, (uint8_t)a, 0 };

	do_step(&outside, &step);
}

static bool lives(const struct body *body)
{
	return AO_load(&body->started) && body->self != NULL && !body->ended;
}

static unsigned count_living(void)
{
	unsigned living = 0;

	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		living += AO_load(&run.bodies[i].started)
				&& !run.bodies[i].ended;

	return living;
}

/* All tasks have ended, and all ticks were run. */
static bool is_over(void)
{
	return count_living() == 0
			&& counter_get(&ticks_done) == counter_get(&ticks_sent);
}

/* What the loop says of itself, while it rests. */
static void check_figures(void)
{
	struct co_loop_stats stats = { .size = sizeof stats };

	FUZZ_EQUAL(co_loop_stats(run.loop, &stats), 0);
	FUZZ_EQUAL(stats.tasks, count_living());
	FUZZ_EQUAL(stats.threads, run.program->threads);
}

/* Run the loop until it ends; with a thread that isn't the loop's if there is A
 * FOREIGNER. */
static void run_loop(bool a_foreigner)
{
	struct call *call = new_call(&outside, CALL_RUN, 0);
	struct test_thread thread;
	size_t stops = run.stops_seen;

	FUZZ_CHECK(call != NULL);
	if (a_foreigner)
		test_thread_start(&thread, run.loop, run_foreigner, NULL);
	history_begin(call);
	history_end(call, co_loop_run(run.loop));
	if (a_foreigner)
		test_thread_join(&thread);
	run.stops_seen = counter_get(&run.stops);
	if (run.stops_seen == stops)
		FUZZ_EQUAL(counter_get(&ticks_done), counter_get(&ticks_sent));
	check_figures();
}

static void start(void)
{
	/* It isn't a task that might be spawned or waited for. */
	if (!is_in_turn()) {
		AO_store(&run.bodies[FOREIGNER].started, 1);
		run.bodies[FOREIGNER].ended = true;
	}
	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		if (run.program->at_once >> i & 1)
			do_outside(DO_SPAWN, i);
	run_loop(!is_in_turn() && run.program->at_once >> FOREIGNER & 1);
}

/* --- The end ------------------------------------------------------------- */

/* The tasks that remain are cancelled; in later rounds, since they may have
 * hidden that, what they wait for comes, but for the end of other tasks. */
static void help(unsigned round)
{
	for (unsigned i = 0; i < HISTORY_TASKS; i++)
		if (lives(&run.bodies[i]))
			do_outside(DO_CANCEL, i);
	for (unsigned i = 0; round > 0 && i < HISTORY_CHANNELS; i++)
		do_outside(DO_CLOSE, i);
	for (unsigned i = 0; round > 0 && i < HISTORY_LOCKS; i++)
		do_outside(DO_RELEASE, i);
	for (unsigned i = 0; round > 0 && i < HISTORY_TASKS; i++)
		if (lives(&run.bodies[i]))
			do_outside(DO_RESUME, i);
}

static void reap(void)
{
	for (unsigned i = 0; i < HISTORY_TASKS; i++) {
		struct body *body = &run.bodies[i];

		if (AO_load(&body->handle) == 0 || !body->ended
				|| body->released || body->detached)
			continue;
		do_outside(DO_JOIN, i);
		FUZZ_CHECK(body->released);
	}
}

/* Close CHANNEL, and take what is left in it. */
static void drain(unsigned channel)
{
	do_outside(DO_CLOSE, channel);
	for (size_t i = 0; i <= run.program->capacities[channel]; i++)
		do_outside(DO_TRY_GET, channel);
	FUZZ_EQUAL(co_channel_length(run.channels[channel]), 0);
	FUZZ_EQUAL(co_channel_destroy(run.channels[channel]), 0);
}

/* Tasks that only wait for each other remain: the locks that they wait for are
 * theirs. */
static void finish(void)
{
	bool all_ended = is_over();

	reap();
	for (unsigned i = 0; i < HISTORY_CHANNELS; i++)
		drain(i);
	for (unsigned i = 0; all_ended && i < HISTORY_LOCKS; i++) {
		do_outside(DO_RELEASE, i);
		FUZZ_EQUAL(co_lock_deinit(&run.locks[i]), 0);
	}
	FUZZ_EQUAL(co_loop_destroy(run.loop), 0);
	FUZZ_EQUAL(counter_get(&test_blocks), 0);
	FUZZ_EQUAL(counter_get(&test_bytes), 0);
	if (is_in_turn())
		virtual_end();
}

void run_program(const struct program *program)
{
	begin(program);
	start();
	for (unsigned round = 0; round < ROUNDS && !is_over(); round++) {
		help(round);
		run_loop(false);
	}
	finish();
	check_history();
}
