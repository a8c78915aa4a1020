/* SPDX-License-Identifier: MIT */

/*
 * task.c - the life of a task
 *
 * States      `joined' is a slot (slot.h) with two more values:
 *
 *               empty     the task has not ended
 *               a task    that one joins it
 *               ready     it has ended; its result waits to be taken
 *               detached  nobody will take it: the task releases itself
 *               released  the control block is free
 *
 *               empty    -> detached   co_detach
 *               empty    -> ready      the end, by the hook, on another stack
 *               a task   -> released   the same, if the joiner was claimed
 *                                      before: it runs next, and owns the frame
 *               a task   -> ready      the same, if it was not, as that of
 *                                      another loop never is
 *               ready    -> released   who joins, or co_detach
 *               detached -> released   the end
 *
 * Ownership   Who makes the slot `released', or for whom it was made so, gives
 *             the frame back.  The ending task's hook touches nothing of it
 *             after that, or after it raised the slot.
 */

#include <coloop/task.h>

#include <errno.h>
#include <string.h>

#include "group.h"
#include "loop.h"
#include "near.h"
#include "probes.h"
#include "worker.h"

#define DETACHED CO__TASK_DETACHED
#define RELEASED CO__TASK_RELEASED

/* The outcome of who waited for the end of a task that found it waiting; join's
 * states are 0 and 1. */
#define INHERITED 2

/* --- The end ------------------------------------------------------------- */

/* Give back the frame of TASK, which has ended.  WORKER is that of this thread,
 * or NULL. */
static inline void release(struct co__worker *worker, struct co_task *task)
{
	struct co_loop *loop = task->loop;
	bool ours = worker != NULL && worker->loop == loop;

	AO_store(&task->joined.word, RELEASED);
	co__frame_put(loop, ours ? &worker->frames : NULL, task);
}

void co__task_finish(struct co__worker *worker, struct co_task *self,
		void *joiner)
{
	struct co_task *heir = joiner;

	co__checked_end(&self->checked, &self->joined);
	AO_store(&self->in_use, 0);
	AO_store(&worker->ended, AO_load(&worker->ended) + 1);
	if (heir != NULL) {
		/* Nobody else changes the slot of a claimed waiter, who knows
		 * by its outcome that the task is its own to release. */
		AO_store(&self->joined.word, RELEASED);
		/* From here on SELF may be another task. */
		if (co__worker_has_taken(worker, heir))
			CO__PROBE2(ready, heir, heir->outcome);
		else
			co__ready(heir);
		return;
	}
	if (co__slot_raise_unless(&self->joined, self, DETACHED))
		release(worker, self);
	/* From here on SELF may be another task. */
}

/* The task that waits for the end of SELF, claimed, or NULL. */
static struct co_task *claim_joiner(struct co_task *self)
{
	/* Acquire: the joiner's wait; pairs with S1 of slot.c. */
	AO_t joined = AO_load_acquire(&self->joined.word);
	struct co_task *joiner = (struct co_task *)joined;

	if (joined == CO__SLOT_EMPTY || joined == DETACHED
			|| (joined & CO__SLOT_ABROAD)
			|| !co__wait_claim_on(joiner, self, INHERITED))
		return NULL;

	return joiner;
}

struct co_task *co__task_run(struct co_task *self)
{
	int result;

	CO__PROBE2(begin, self, self->fn);
	result = co__likely(self->group == NULL) ? self->fn(self->arg)
			: co__group_run(self);
	CO__PROBE2(end, self, result);
	self->result = result;
	co__timer_cancel(self);

	return claim_joiner(self);
}

/* --- The beginning ------------------------------------------------------- */

/* Others may look at the name meanwhile. */
static void set_name(struct co_task *task, const char *name)
{
	AO_t words[CO__NAME_WORDS] = { 0 };

	if (name != NULL)
		memcpy(words, name, strnlen(name, CO_TASK_NAME_MAX));
	for (size_t i = 0; i < CO__NAME_WORDS; i++)
		AO_store(&task->name_words[i], words[i]);
}

/* The size class that ATTR asks for, or 0. */
static unsigned stack_class(const struct co_loop *loop,
		const struct co_task_attr *attr)
{
	if (attr == NULL || attr->stack_size == 0)
		return loop->stack_class;

	return co__frame_class(attr->stack_size);
}

static bool is_valid_attr(const struct co_task_attr *attr)
{
	if (attr == NULL)
		return true;
	for (size_t i = 0; i < sizeof attr->reserved
			/ sizeof attr->reserved[0]; i++)
		if (attr->reserved[i] != 0)
			return false;

	return attr->size == sizeof *attr;
}

/* The worker that a pinned task spawned here belongs to. */
static struct co__worker *choose_home(struct co_loop *loop,
		struct co__worker *worker)
{
	if (worker != NULL)
		return worker;

	return &loop->workers[AO_fetch_and_add1(&loop->pinned_outside)
			% loop->threads];
}

/* All that a new task is, but for its function and its name. */
static inline void init_task(struct co_task *task)
{
	co__worker_make_context(task);
	task->worker = NULL;
	task->special = co__checked_begin(&task->checked, &task->joined)
			? CO__TASK_CHECKED : 0;
	co__task_set_deadline(task, CO_NEVER);
	task->timer_when = CO_NEVER;
	task->scope = NULL;
	task->tick.run = NULL;
	task->result = 0;
	AO_store(&task->name_words[0], 0);
	/* A new epoch, and no news from the last task: its handle may still be
	 * in somebody's hands. */
	AO_store(&task->wait, co__wait_epoch(AO_load(&task->wait))
			+ CO__WAIT_EPOCH);
	AO_store(&task->kind, CO__IN_NOTHING);
	AO_store(&task->gate.word, CO__SLOT_EMPTY);
	AO_store(&task->in_use, 1);
}

static inline void count_spawn(struct co__worker *worker)
{
	AO_store(&worker->spawned, AO_load(&worker->spawned) + 1);
}

/* Another thread than the loop's makes TASK ready.  The reference says that a
 * task that is counted, but not yet queued, will run. */
static co__noinline void begin_from_outside(struct co_loop *loop,
		struct co_task *task)
{
	co_loop_ref(loop);
	/* Release: who finds it counted finds the reference, or what came
	 * after it; pairs with co__loop_tasks. */
	AO_fetch_and_add_release(&loop->spawned_outside, 1);
	co__ready_foreign(task);
	co_loop_unref(loop);
}

static co__always_inline int spawn(struct co_loop *loop,
		struct co_group *group, const struct co_task_attr *attr,
		co_task_fn *fn, void *arg, struct co_task **ret_task,
		const void *at)
{
	struct co__worker *worker = co__worker_get();
	unsigned size_class;
	/* Twice: what has an address is in memory. */
	struct co_task *frame, *task;
	int rc;

	if (loop == NULL && worker != NULL)
		loop = worker->loop;
	else if (!co__loop_is_valid(loop))
		return -EINVAL;
	size_class = stack_class(loop, attr);
	if (fn == NULL || size_class == 0)
		return -EINVAL;
	if (worker != NULL && worker->loop != loop)
		worker = NULL;
	rc = co__frame_get(loop, worker != NULL ? &worker->frames : NULL,
			size_class, &frame);
	if (co__unlikely(rc < 0))
		return rc;
	task = frame;
	init_task(task);
	task->fn = fn;
	task->arg = arg;
	task->group = group;
	AO_store(&task->spawned_at, (AO_t)at);
	AO_store(&task->joined.word, ret_task != NULL ? CO__SLOT_EMPTY
			: DETACHED);
	if (attr != NULL) {
		set_name(task, attr->name);
		if (attr->pinned) {
			task->special |= CO__TASK_PINNED;
			task->home = choose_home(loop, worker);
		}
	}
	if (ret_task != NULL)
		*ret_task = task;
	CO__PROBE3(spawn, task, fn, loop);
	if (co__unlikely(worker == NULL)) {
		begin_from_outside(loop, task);
		return 0;
	}
	count_spawn(worker);
	if (co__likely(!co__task_is_pinned(task)))
		co__near_add(worker, task);
	else
		co__ready_foreign(task);

	return 0;
}

co__noinline int co_spawn(struct co_loop *loop, co_task_fn *fn, void *arg,
		struct co_task **ret_task)
{
	return spawn(loop, NULL, NULL, fn, arg, ret_task, co__caller());
}

int co__spawn(struct co_loop *loop, const struct co_task_attr *attr,
		co_task_fn *fn, void *arg, struct co_task **ret_task,
		const void *at)
{
	if (!is_valid_attr(attr))
		return -EINVAL;

	return spawn(loop, NULL, attr, fn, arg, ret_task, at);
}

int co__spawn_member(struct co_loop *loop, struct co_group *group,
		const struct co_task_attr *attr, co_task_fn *fn, void *arg,
		const void *at)
{
	if (!is_valid_attr(attr))
		return -EINVAL;

	return spawn(loop, group, attr, fn, arg, NULL, at);
}

co__noinline int co_spawn_with(struct co_loop *loop,
		const struct co_task_attr *attr, co_task_fn *fn, void *arg,
		struct co_task **ret_task)
{
	return co__spawn(loop, attr, fn, arg, ret_task, co__caller());
}

/* --- Joining ------------------------------------------------------------- */

/* Take the result of TASK, which has ended and belongs to the caller, SELF, or
 * a thread that isn't in a task if that is NULL. */
static inline int inherit(struct co_task *self, struct co_task *task,
		int *ret_result)
{
	int result = task->result;

	/* Not the thread-local variable: after a switch the compiler may take
	 * it from the thread that SELF was in before. */
	release(self != NULL ? self->worker : NULL, task);
	if (ret_result != NULL)
		*ret_result = result;

	return 0;
}

/* Take the result of TASK, which has ended. */
static int take_result(struct co_task *self, struct co_task *task,
		int *ret_result)
{
	/* Two who join at once, which they must not, are told apart. */
	if (!AO_compare_and_swap(&task->joined.word, CO__SLOT_READY, RELEASED))
		return -EINVAL;

	return inherit(self, task, ret_result);
}

/* 0 if TASK may be joined by the caller and has not ended, 1 if it has ended,
 * or why it can't be joined. */
static int join_state(struct co_task *task)
{
	/* Acquire: the result; pairs with co__slot_raise_unless. */
	AO_t joined = AO_load_acquire(&task->joined.word);

	if (joined == CO__SLOT_EMPTY)
		return 0;
	if (joined == CO__SLOT_READY)
		return 1;
	if (joined == DETACHED || joined == RELEASED)
		return -EINVAL;

	return -EBUSY;
}

/* Until TASK, of the same loop, has ended, or one look is worth it.  INHERITED:
 * it has, and is the caller's. */
static inline int wait_for_child(struct co_task *self, struct co_task *task)
{
	int rc = co__park_for_child(self, task, co__slot_await_child,
			&task->joined);

	if (co__unlikely(rc != INHERITED))
		co__slot_withdraw(self, &task->joined);

	return rc;
}

/* 1 if TASK has ended, INHERITED if it is also the caller's, or why not. */
static int wait_for_end(struct co_task *self, struct co_task *task)
{
	int rc;

	do {
		rc = co__wait_prepare(self);
		if (rc < 0)
			break;
		rc = self->loop == task->loop ? wait_for_child(self, task)
				: co__slot_wait_abroad(self, task,
					&task->joined);
		if (rc != 0)
			break;
		rc = join_state(task);
	} while (rc == 0);

	return rc;
}

/* SELF joins TASK, which has been looked at: RC is what wait_for_end returns,
 * or 0, it has not ended. */
static co__noinline int end_join(struct co_task *self, struct co_task *task,
		int rc, int *ret_result)
{
	if (rc == 0)
		rc = wait_for_end(self, task);
	if (rc < 0)
		return rc;
	co__checked_acquire(&task->joined);

	return rc == INHERITED ? inherit(self, task, ret_result)
			: take_result(self, task, ret_result);
}

/* Whatever may come. */
static co__noinline int join_slowly(struct co_task *self, struct co_task *task,
		int *ret_result)
{
	int rc, news;

	if (task == NULL)
		return -EINVAL;
	if (task == self)
		return -EDEADLK;
	rc = join_state(task);
	if (rc < 0)
		return rc;
	if (self == NULL && rc == 0)
		return -EPERM;
	news = self != NULL ? co__wait_look(self) : 0;
	if (news < 0)
		return news;

	return end_join(self, task, rc, ret_result);
}

/* Most tasks are of the same loop, have not ended, and are given to who joins
 * them when they do. */
int co_join(struct co_task *task, int *ret_result)
{
	struct co_task *self = co__worker_self();
	int rc;

	if (co__unlikely(self == NULL || !co__wait_is_plain(self)
			|| task == NULL || task == self
			|| join_state(task) != 0 || task->loop != self->loop))
		return join_slowly(self, task, ret_result);
	rc = wait_for_child(self, task);
	if (co__likely(rc == INHERITED))
		return inherit(self, task, ret_result);

	return end_join(self, task, rc != 0 ? rc : join_state(task),
			ret_result);
}

int co_detach(struct co_task *task)
{
	int rc;

	if (task == NULL)
		return -EINVAL;
	/* Release: the caller is done with it; pairs with
	 * co__slot_raise_unless. */
	while (!AO_compare_and_swap_release(&task->joined.word, CO__SLOT_EMPTY,
			DETACHED)) {
		rc = join_state(task);
		if (rc < 0)
			return rc;
		if (rc == 1)
			return take_result(co__worker_self(), task, NULL);
	}

	return 0;
}

/* --- The rest ------------------------------------------------------------ */

struct co_task *co_self(void)
{
	return co__worker_self();
}

/* Whatever may come. */
static co__noinline int yield_slowly(void)
{
	struct co_task *self;
	int rc = co__wait_enter(&self);

	return rc == 0 ? co__worker_yield(self) : rc;
}

int co_yield(void)
{
	struct co_task *self = co__worker_self();

	if (co__unlikely(self == NULL || !co__wait_is_plain(self)))
		return yield_slowly();

	return co__worker_yield(self);
}

/* What co_suspend tells its hook. */
struct suspension {
	co_parked_fn *parked;
	void *arg;
};

/* running -> armed and deaf, parked(), then armed: nobody but co_resume ends
 * the wait before parked() has returned. */
static void suspend(struct co__worker *worker, struct co_task *self, void *arg)
{
	struct suspension request = *(struct suspension *)arg;
	AO_t ticket = co__wait_ticket(self), word, next;
	int rc = co__wait_arm(worker, self, CO__WAIT_DEAF | CO__WAIT_SUSPENDED);
	int outcome;

	if (rc < 0) {
		co__wait_unarmed(self, rc);
		return;
	}
	request.parked(self, request.arg);
	do {
		word = AO_load(&self->wait);
		if (!(word & CO__WAIT_ARMED) || co__wait_epoch(word) != ticket)
			return;		/* resumed; SELF may be gone */
		next = word & ~CO__WAIT_DEAF;
		outcome = 0;
		/* The timer was set to the deadline itself, so if it has gone
		 * off the deadline has passed. */
		if (word & CO__WAIT_EXPIRED)
			outcome = -ETIMEDOUT;
		if ((word & CO__WAIT_CANCEL) && !(word & CO__WAIT_MASKED))
			outcome = -ECANCELED;
		if (outcome < 0)
			next = co__wait_claimed(word);
		/* Acquire and release: as an arming and a claim. */
	} while (!AO_compare_and_swap_full(&self->wait, word, next));
	if (outcome < 0) {
		self->outcome = outcome;
		co__ready(self);
	}
}

int co_suspend(co_parked_fn *parked, void *arg)
{
	struct suspension request = { parked, arg };
	struct co_task *self;
	int rc;

	if (parked == NULL)
		return -EINVAL;
	rc = co__wait_enter(&self);
	if (rc == 0)
		rc = co__wait_prepare(self);
	if (rc < 0)
		return rc;
	if (self->deadline != self->timer_when)
		co__timer_set(self, &self->worker->wheel, self->deadline);
	co__worker_note_wait(self->worker, self, CO__IN_SUSPEND, NULL);
	self->outcome = 0;
	CO__PROBE3(park, self, CO__IN_SUSPEND, NULL);
	co__worker_park_on_scheduler(self, suspend, &request);
	CO__PROBE2(resume, self, self->outcome);
	if (self->outcome == -ETIMEDOUT)
		return co__wait_timed_out(self);

	return self->outcome;
}

int co_resume(struct co_task *task)
{
	AO_t word;

	if (task == NULL)
		return -EINVAL;
	do {
		word = AO_load(&task->wait);
		if (!(word & CO__WAIT_ARMED) || !(word & CO__WAIT_SUSPENDED))
			return -EALREADY;
		/* Acquire: pairs with co__wait_arm. */
	} while (!AO_compare_and_swap_full(&task->wait, word,
			co__wait_claimed(word)));
	task->outcome = 0;
	co__ready(task);

	return 0;
}

int co_task_set_name(struct co_task *task, const char *name)
{
	if (task == NULL)
		task = co_self();
	if (task == NULL)
		return -EINVAL;
	set_name(task, name);

	return 0;
}

const char *co_task_name(struct co_task *task)
{
	if (task == NULL)
		task = co_self();

	return task != NULL ? task->name : NULL;
}
