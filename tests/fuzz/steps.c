/* SPDX-License-Identifier: MIT */

/* steps.c - tasks, time and locks; see run.h */

#include "fuzz.h"
#include "run.h"
#include "virtual.h"

enum { UNTOUCHED = 0x5eed };

/* --- Whose task may be named by whom ------------------------------------- */

/* Who sees all that others have done. */
static bool knows_all(const struct actor *actor)
{
	return is_in_turn() || actor->id == OUTSIDE;
}

/* The handle of TASK if it is sure to be there as long as ACTOR, who isn't that
 * task, names it; or NULL. */
static struct co_task *find_other(const struct actor *actor, unsigned task)
{
	const struct body *body = &run.bodies[task];
	unsigned owner = run.program->owners[task];
	struct co_task *handle =
			(struct co_task *)AO_load_acquire(&body->handle);

	if (knows_all(actor) && !body->ended && body->self != NULL)
		return body->self;
	if (handle == NULL)
		return NULL;
	if (knows_all(actor))
		return body->released || (body->ended && (body->detached
				|| body->joiners > 0)) ? NULL : handle;
	if (owner == NO_OWNER)
		return handle;

	return !actor->aside && owner == actor->id && !body->released
			&& !body->detached ? handle : NULL;
}

static bool is_self(const struct actor *actor, unsigned task)
{
	return !actor->aside && actor->id == task;
}

static struct co_task *find_task(const struct actor *actor, unsigned task)
{
	return is_self(actor, task) ? co_self() : find_other(actor, task);
}

/* The same for who may release it. */
static struct co_task *find_own(const struct actor *actor, unsigned task)
{
	if (!knows_all(actor) && run.program->owners[task] != actor->id)
		return NULL;

	return find_task(actor, task);
}

/* --- The life of a task -------------------------------------------------- */

void do_spawn(struct actor *actor, const struct step *step)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	unsigned task = step_task(step);
	struct body *body = &run.bodies[task];
	struct co_task *handle = NULL;
	bool detached = step->b / 2 % 2;
	struct call *call;
	int rc;

	if (!AO_compare_and_swap_full(&body->started, 0, 1))
		return;
	call = new_call(actor, CALL_SPAWN, task);
	if (call == NULL)
		return;
	attr.pinned = step->b % 2;
	body->detached = detached;
	call->result = detached;
	begin_call(actor, call);
	rc = co_spawn_with(run.loop, &attr, run_body, body,
			detached ? NULL : &handle);
	AO_store_release(&body->handle, (AO_t)handle);
	end_call(actor, call, rc);
}

void do_cancel(struct actor *actor, const struct step *step)
{
	struct co_task *handle = find_task(actor, step_task(step));
	struct call *call = handle == NULL ? NULL
			: new_call(actor, CALL_CANCEL, step_task(step));

	if (call == NULL)
		return;
	begin_call(actor, call);
	end_call(actor, call, co_cancel(handle));
}

void do_join(struct actor *actor, const struct step *step)
{
	unsigned task = step_task(step);
	struct co_task *handle = find_own(actor, task);
	struct call *call = handle == NULL ? NULL
			: new_call(actor, CALL_JOIN, task);
	struct body *body = &run.bodies[task];
	int rc, result = UNTOUCHED;

	if (call == NULL)
		return;
	body->joiners++;
	begin_call(actor, call);
	rc = co_join(handle, &result);
	body->joiners--;
	body->released |= rc == 0;
	call->result = result;
	end_call(actor, call, rc);
	FUZZ_CHECK(rc == 0 || result == UNTOUCHED);
}

void do_detach(struct actor *actor, const struct step *step)
{
	unsigned task = step_task(step);
	struct co_task *handle = find_own(actor, task);
	struct call *call = handle == NULL ? NULL
			: new_call(actor, CALL_DETACH, task);
	int rc;

	if (call == NULL)
		return;
	begin_call(actor, call);
	rc = co_detach(handle);
	run.bodies[task].detached |= rc == 0;
	end_call(actor, call, rc);
}

void do_mask(struct actor *actor, const struct step *step)
{
	FUZZ_EQUAL(co_cancel_mask(step->a % 2), actor->masked);
	actor->masked = step->a % 2;
}

/* --- Suspend and resume -------------------------------------------------- */

static void resume(struct actor *actor, unsigned task, struct co_task *handle)
{
	struct call *call = handle == NULL ? NULL
			: new_call(actor, CALL_RESUME, task);

	if (call == NULL)
		return;
	begin_call(actor, call);
	end_call(actor, call, co_resume(handle));
}

void do_resume(struct actor *actor, const struct step *step)
{
	resume(actor, step_task(step), find_task(actor, step_task(step)));
}

/* The hook of a suspension, which may wake the task or cancel it.  With several
 * threads it must be the only one that does: else the task might be gone. */
static void parked(struct co_task *handle, void *arg)
{
	struct errand *errand = arg;
	struct actor actor = { .id = errand->task, .aside = true };
	unsigned what = errand->step->b % 3;
	struct call *call;

	if (is_in_turn())
		errand->runs++;
	else if (run.program->resumed[errand->task])
		return;
	if (what == 1)
		resume(&actor, errand->task, handle);
	call = what != 2 ? NULL
			: new_call(&actor, CALL_CANCEL, errand->task);
	if (call == NULL)
		return;
	begin_call(&actor, call);
	end_call(&actor, call, co_cancel(handle));
}

void do_suspend(struct actor *actor, const struct step *step)
{
	struct call *call = new_call(actor, CALL_SUSPEND, actor->id);
	struct errand *errand;
	int rc;

	if (call == NULL)
		return;
	errand = new_errand(actor, step);
	begin_call(actor, call);
	rc = co_suspend(parked, errand);
	call->result = is_in_turn() ? (int)errand->runs : 0;
	end_call(actor, call, rc);
}

/* --- Time ---------------------------------------------------------------- */

static co_time length_of(const struct step *step)
{
	return is_in_turn() ? program_length(step->a)
			: program_short_length(step->a);
}

void do_yield(struct actor *actor, const struct step *step)
{
	struct call *call = new_call(actor, CALL_YIELD, 0);

	(void)step;
	if (call == NULL)
		return;
	begin_call(actor, call);
	end_call(actor, call, co_yield());
}

void do_sleep(struct actor *actor, const struct step *step)
{
	struct call *call = new_call(actor, CALL_SLEEP, 0);

	if (call == NULL)
		return;
	call->length = length_of(step);
	begin_call(actor, call);
	end_call(actor, call, co_sleep(call->length));
}

void do_compute(struct actor *actor, const struct step *step)
{
	volatile unsigned spins = step->a;

	(void)actor;
	if (is_in_turn())
		virtual_pass(length_of(step));
	while (!is_in_turn() && spins > 0)
		spins--;
}

void do_begin(struct actor *actor, const struct step *step)
{
	unsigned i = actor->depth;

	if (i == SCOPES)
		return;
	actor->depth++;
	actor->whens[i] = step->b % 8 == 0 ? TEST_LONG_AGO
			: co_after(length_of(step));
	actor->hides[i] = step->b % 8 == 7;
	actor->may_expire[i] = actor->expired[i] = false;
	if (!actor->hides[i]) {
		FUZZ_EQUAL(co_deadline_begin(&actor->scopes[i],
				actor->whens[i]), 0);
		return;
	}
	actor->whens[i] = CO_NEVER;
	FUZZ_EQUAL(co_deadline_mask(&actor->scopes[i]), 0);
}

void do_leave(struct actor *actor, const struct step *step)
{
	unsigned i = actor->depth - 1;
	int rc;

	(void)step;
	if (actor->depth == 0)
		return;
	if (i > 0)
		FUZZ_EQUAL(co_deadline_end(&actor->scopes[i - 1]), -EINVAL);
	rc = co_deadline_end(&actor->scopes[i]);
	FUZZ_CHECK(rc == 0 || rc == -ETIMEDOUT);
	FUZZ_CHECK(rc == 0 || actor->may_expire[i]);
	FUZZ_CHECK(rc != 0 || !actor->expired[i]);
	actor->depth--;
}

/* --- Locks --------------------------------------------------------------- */

/* One call on the lock that STEP is about. */
static void use_lock(struct actor *actor, const struct step *step,
		enum call_kind kind, int (*use)(struct co_lock *))
{
	unsigned lock = step->a % HISTORY_LOCKS;
	struct call *call = new_call(actor, kind, lock);

	if (call == NULL)
		return;
	begin_call(actor, call);
	end_call(actor, call, use(&run.locks[lock]));
}

void do_acquire(struct actor *actor, const struct step *step)
{
	use_lock(actor, step, CALL_ACQUIRE, co_lock_acquire);
}

void do_try_acquire(struct actor *actor, const struct step *step)
{
	use_lock(actor, step, CALL_TRY_ACQUIRE, co_lock_try_acquire);
}

void do_release(struct actor *actor, const struct step *step)
{
	use_lock(actor, step, CALL_RELEASE, co_lock_release);
}

/* ------------------------------------------------------------------------- */

void do_stop(struct actor *actor, const struct step *step)
{
	struct call *call = new_call(actor, CALL_STOP, 0);

	(void)step;
	if (call == NULL)
		return;
	counter_add(&run.stops, 1);
	begin_call(actor, call);
	end_call(actor, call, co_loop_stop(run.loop));
}
