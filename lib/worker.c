/* SPDX-License-Identifier: MIT */

/* worker.c - switching, and what to run next; see worker.h */

#include "worker.h"

#include <errno.h>
#include <stdlib.h>

#include "near.h"

_Thread_local struct co__worker *co__worker_here;

unsigned co__worker_random(struct co__worker *worker)
{
	unsigned x = worker->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;

	return worker->random = x;
}

/* --- Switching ----------------------------------------------------------- */

static void push_pinned(struct co_task *task);

/* The task that was left only lets others run. */
static inline void requeue(struct co__worker *worker, struct co_task *task)
{
	if (co__unlikely(task->pinned)) {
		push_pinned(task);
		return;
	}
	co__near_push_entry(worker, task);
	if (AO_load(&worker->next) != 0)
		co__near_tell_to_share(worker);
}

/* The first thing after a switch: do to the task that was left what it asked
 * for. */
static inline void landed(struct co__worker *worker)
{
	struct co_task *left = worker->hook_task;

	if (co__unlikely(left == NULL))
		return;
	worker->hook_task = NULL;
	if (worker->hook == NULL)
		requeue(worker, left);
	else
		worker->hook(worker, left, worker->hook_arg);
}

static inline void set_hook(struct co__worker *worker, co__park_fn *hook,
		struct co_task *task, void *arg)
{
	worker->hook = hook;
	worker->hook_task = task;
	worker->hook_arg = arg;
}

static void task_main(void *arg);

/* Make NEXT the task that WORKER runs. */
static inline void set_current(struct co__worker *worker, struct co_task *next)
{
	if (next->context.saved == NULL) {
		char *top = (char *)next - 64;

		co__checked_begin(&next->checked, next->stack_bottom,
				(size_t)((char *)next
				- (char *)next->stack_bottom));
		co__context_make(&next->context, next->stack_bottom,
				(size_t)(top - (char *)next->stack_bottom),
				task_main, next);
	}
	next->worker = worker;
	worker->current = next;
	AO_store(&worker->switches, AO_load(&worker->switches) + 1);
}

static inline void switch_to_task(struct co__worker *worker,
		struct co_task *self, struct co_task *next)
{
	set_current(worker, next);
	co__checked_leave(&self->checked, &next->checked, 0);
	co__context_switch(&self->context, &next->context);
	/* Another thread, perhaps: `worker' is of the past. */
	co__checked_enter(&self->checked, &self->worker->checked);
	landed(self->worker);
}

static void switch_to_scheduler(struct co__worker *worker, struct co_task *self)
{
	worker->current = NULL;
	co__checked_leave(&self->checked, &worker->checked, 0);
	co__context_switch(&self->context, &worker->context);
	co__checked_enter(&self->checked, &self->worker->checked);
	landed(self->worker);
}

/* Whether TASK can't go to the queues of WORKER. */
static inline bool is_foreign(const struct co__worker *worker,
		const struct co_task *task)
{
	return worker == NULL || task->pinned || (worker != task->worker
			&& worker->loop != task->loop);
}

/* Whether what is preferred would run at the very next switch.  Nobody else can
 * take it, so it must not wait behind another task. */
static inline bool may_prefer(const struct co__worker *worker)
{
	return worker->preferred == NULL && !worker->turn_is_over;
}

void co__worker_prefer_newest(struct co_task *self)
{
	struct co__worker *worker = self->worker;

	if (may_prefer(worker) && AO_load(&worker->next) == 0)
		worker->preferred = co__runq_task(
				co__runq_pop_newest(&worker->queue));
}

int co__park(struct co_task *self, enum co__wait_kind kind, const void *object,
		co__park_fn *hook, void *arg)
{
	struct co__worker *worker = self->worker;
	struct co_task *next = co__near_is_time_to_look(worker) ? NULL
			: co__near_pick(worker);

	AO_store(&self->kind, (AO_t)kind);
	AO_store(&self->object, (AO_t)object);
	self->outcome = 0;
	set_hook(worker, hook, self, arg);
	if (co__likely(next != NULL))
		switch_to_task(worker, self, next);
	else
		switch_to_scheduler(worker, self);
	if (co__unlikely(self->outcome == -ETIMEDOUT))
		return co__wait_timed_out(self);

	return self->outcome;
}

void co__worker_park_on_scheduler(struct co_task *self, co__park_fn *hook,
		void *arg)
{
	set_hook(self->worker, hook, self, arg);
	switch_to_scheduler(self->worker, self);
}

/* Switch away from SELF for good; HEIR, a claimed task or NULL, runs next if it
 * can run here. */
static inline void leave(struct co_task *self, struct co_task *heir)
{
	struct co__worker *worker = self->worker;
	struct co_task *next;

	if (heir != NULL && may_prefer(worker) && !is_foreign(worker, heir))
		worker->preferred = heir;
	next = co__near_is_time_to_look(worker) ? NULL : co__near_pick(worker);
	set_hook(worker, co__task_finish, self, heir);
	if (next != NULL) {
		set_current(worker, next);
		co__checked_leave(&self->checked, &next->checked, 1);
		co__context_switch(&self->context, &next->context);
	} else {
		worker->current = NULL;
		co__checked_leave(&self->checked, &worker->checked, 1);
		co__context_switch(&self->context, &worker->context);
	}
	abort();
}

/* The entry of each task, on its own stack.  Whatever it calls returns, and the
 * last switch is a part of it, so that the processor's return stack is, for
 * those who run next, as this task found it. */
static void task_main(void *arg)
{
	struct co_task *self = arg;

	co__checked_enter(&self->checked, &self->worker->checked);
	landed(self->worker);
	leave(self, co__task_run(self));
}

/* --- Making runnable ----------------------------------------------------- */

static void push_pinned(struct co_task *task)
{
	struct co__worker *home = task->home;
	struct co_loop *loop = task->loop;

	co__loop_enter(loop);
	co_queue_put(&home->pinned,
			(struct co_queue_node *)(void *)task->tick.private_);
	if (home != co__worker_here)
		co__idle_wake(home);
	co__loop_leave(loop);
}

void co__ready_foreign(struct co_task *task)
{
	struct co_loop *loop = task->loop;

	if (task->pinned) {
		push_pinned(task);
		return;
	}
	co__loop_enter(loop);
	co__inject_put(&loop->inject, &task->tick);
	co__idle_notify(loop);
	co__loop_leave(loop);
}

void co__worker_add(struct co__worker *worker, struct co_task *task)
{
	co__near_push(worker, task);
	if (co__runq_length(&worker->queue) > 1 || AO_load(&worker->next) != 0)
		co__near_tell(worker);
}

void co__ready(struct co_task *task)
{
	struct co__worker *worker = co__worker_here;
	AO_t older;

	if (co__unlikely(is_foreign(worker, task))) {
		co__ready_foreign(task);
		return;
	}
	if (worker->current == NULL) {
		/* A batch of events or timers, in the order they came. */
		co__worker_add(worker, task);
		return;
	}
	older = AO_load(&worker->next);
	if (older == 0) {
		/* Only the owner makes it non-zero.  Release: pairs with
		 * take_next of a thief. */
		AO_store_release(&worker->next, (AO_t)task);
		if (co__runq_length(&worker->queue) == 0)
			return;
	} else {
		/* Full: it is ours again, or a thief's; pairs with take_next. */
		if (AO_compare_and_swap_full(&worker->next, older, (AO_t)task))
			co__near_push(worker, (struct co_task *)older);
		else	/* a thief took it; release as above */
			AO_store_release(&worker->next, (AO_t)task);
	}
	co__near_tell_to_share(worker);
}

void co__worker_yield(struct co_task *self)
{
	struct co__worker *worker = self->worker;
	struct co_task *next;

	if (co__unlikely(co__near_is_time_to_look(worker))) {
		co__worker_park_on_scheduler(self, NULL, NULL);
		return;
	}
	next = co__near_pick(worker);
	if (next == NULL) {
		/* Counted, so that the scheduler gets its turn. */
		AO_store(&worker->switches, AO_load(&worker->switches) + 1);
		return;
	}
	set_hook(worker, NULL, self, NULL);
	switch_to_task(worker, self, next);
}

/* --- The scheduler ------------------------------------------------------- */

static void switch_from_scheduler(struct co__worker *worker,
		struct co_task *next)
{
	set_current(worker, next);
	co__checked_leave(&worker->checked, &next->checked, 0);
	co__context_switch(&worker->context, &next->context);
	co__checked_enter(&worker->checked, NULL);
	worker->current = NULL;
	landed(worker);
}

void co__worker_run(struct co__worker *worker)
{
	struct co__worker *outer = co__worker_here;
	struct co_task *task;

	co__worker_here = worker;
	co__checked_adopt(&worker->checked);
	while ((task = co__find_task(worker)) != NULL)
		switch_from_scheduler(worker, task);
	co__idle_found(worker);
	co__worker_here = outer;
}

int co__worker_init(struct co__worker *worker, struct co_loop *loop,
		unsigned index)
{
	worker->loop = loop;
	worker->index = index;
	worker->random = 0x9e3779b9u * (index + 1);
	worker->stuck_at = (AO_t)-1;
	co_queue_init(&worker->pinned);
	co__wheel_init(&worker->wheel, co_now());
	if (sem_init(&worker->sleep, 0, 0) < 0)
		return -errno;

	return 0;
}

void co__worker_deinit(struct co__worker *worker)
{
	sem_destroy(&worker->sleep);
}
