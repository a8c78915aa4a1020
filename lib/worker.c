/* SPDX-License-Identifier: MIT */

/* worker.c - switching, and what to run next; see worker.h */

#include "worker.h"

#include <errno.h>

#include "near.h"
#include "probes.h"

_Thread_local struct co__worker *co__worker_here;

#if !defined __x86_64__ && !defined __i386__
co__noinline struct co__worker *co__worker_get(void)
{
	/* So that two calls are not taken for one, either. */
	__asm__ volatile("" : : : "memory");

	return co__worker_here;
}
#endif

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

/* The hook of a task that only lets others run.  Once it is queued it is who
 * takes it that may look at it: it may be gone. */
static void requeue(struct co__worker *worker, struct co_task *task, void *arg)
{
	(void)arg;
	if (co__unlikely(co__task_is_pinned(task))) {
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
	if (worker->hook == NULL)
		co__bias_leave(&worker->bias);
	else
		worker->hook(worker, worker->hook_task, worker->hook_arg);
}

/* The hook of the scheduler. */
static void nothing(struct co__worker *worker, struct co_task *none, void *arg)
{
	(void)worker;
	(void)none;
	(void)arg;
}

static inline void set_hook(struct co__worker *worker, co__park_fn *hook,
		struct co_task *task, void *arg)
{
	worker->hook = hook;
	worker->hook_task = task;
	worker->hook_arg = arg;
}

/* Make NEXT the task that WORKER runs. */
static inline void set_current(struct co__worker *worker, struct co_task *next)
{
	next->worker = worker;
	co__worker_set_current(worker, next);
}

/* SELF goes on, by a switch of WORKER: perhaps another one than before. */
static inline void land(struct co_task *self, struct co__worker *worker,
		bool direct)
{
	co__checked_enter(&self->checked, &worker->checked, direct);
	landed(worker);
}

static inline void switch_to_task(struct co__worker *worker,
		struct co_task *self, struct co_task *next)
{
	set_current(worker, next);
	co__checked_leave(&self->checked, &next->checked, false, true);
	land(self, co__context_switch_with(&self->context, &next->context,
			worker), true);
}

static void switch_to_scheduler(struct co__worker *worker, struct co_task *self)
{
	co__worker_set_current(worker, NULL);
	co__checked_leave(&self->checked, &worker->checked, false, false);
	land(self, co__context_switch_with(&self->context, &worker->context,
			worker), false);
}

/* Whether TASK can't just go to the queues of WORKER. */
static inline bool is_foreign(const struct co__worker *worker,
		const struct co_task *task)
{
	return worker == NULL || co__task_is_queued_slowly(task)
		|| (worker != task->worker && worker->loop != task->loop);
}

/* Whether WORKER may run something out of turn. */
static inline bool may_prefer(const struct co__worker *worker)
{
	return worker->next_streak < CO__NEXT_STREAK;
}

/* The newest in the queue of WORKER, if it is to run before all others, or
 * NULL. */
static inline struct co_task *pick_newest(struct co__worker *worker)
{
	struct co_task *task;

	if (!may_prefer(worker) || AO_load(&worker->next) != 0)
		return NULL;
	if (co__likely(co__bias_enter(&worker->bias))) {
		task = co__runq_pop_newest_alone(&worker->queue);
		co__bias_leave(&worker->bias);
	} else {
		task = co__runq_pop_newest(&worker->queue);
	}

	return co__runq_task(task);
}

/* What runs after a task that leaves, or NULL: the scheduler.  PREFERRED, which
 * nobody else can take, goes before all nearby, or is the scheduler's. */
static co__always_inline struct co_task *pick_next(struct co__worker *worker,
		struct co_task *preferred)
{
	if (co__unlikely(co__near_count(worker))) {
		worker->preferred = preferred;
		return NULL;
	}

	return preferred != NULL ? preferred : co__near_pick(worker);
}

static co__always_inline int park(struct co_task *self,
		enum co__wait_kind kind, const void *object, co__park_fn *hook,
		void *arg, struct co_task *preferred)
{
	struct co__worker *worker = self->worker;
	struct co_task *next;

	CO__PROBE3(park, self, kind, object);
	co__worker_note_wait(worker, self, kind, object);
	self->outcome = 0;
	next = pick_next(worker, preferred);
	set_hook(worker, hook, self, arg);
	if (co__likely(next != NULL))
		switch_to_task(worker, self, next);
	else
		switch_to_scheduler(worker, self);
	CO__PROBE2(resume, self, self->outcome);
	if (co__unlikely(self->outcome == -ETIMEDOUT))
		return co__wait_timed_out(self);

	return self->outcome;
}

int co__park(struct co_task *self, enum co__wait_kind kind, const void *object,
		co__park_fn *hook, void *arg)
{
	return park(self, kind, object, hook, arg, NULL);
}

int co__park_for_child(struct co_task *self, const void *child,
		co__park_fn *hook, void *arg)
{
	return park(self, CO__IN_JOIN, child, hook, arg,
			pick_newest(self->worker));
}

void co__worker_park_on_scheduler(struct co_task *self, co__park_fn *hook,
		void *arg)
{
	co__near_count(self->worker);
	set_hook(self->worker, hook, self, arg);
	switch_to_scheduler(self->worker, self);
}

/* Switch away from SELF for good; HEIR, a claimed task or NULL, runs next if it
 * can run here. */
static inline __attribute__((noreturn)) void leave(struct co_task *self,
		struct co_task *heir)
{
	struct co__worker *worker = self->worker;
	bool is_preferred = heir != NULL && may_prefer(worker)
			&& !is_foreign(worker, heir);
	struct co_task *next = pick_next(worker, is_preferred ? heir : NULL);

	set_hook(worker, co__task_finish, self, heir);
	if (next != NULL) {
		set_current(worker, next);
		co__checked_leave(&self->checked, &next->checked, true, true);
		co__context_leave(&self->context, &next->context, worker);
	} else {
		co__worker_set_current(worker, NULL);
		co__checked_leave(&self->checked, &worker->checked, true,
				false);
		co__context_leave(&self->context, &worker->context, worker);
	}
}

/* The entry of each task, on its own stack.  Whatever it calls returns, and the
 * last switch is a part of it, so that the processor's return stack is, for
 * those who run next, as this task found it. */
void co__task_main(void *arg)
{
	struct co_task *self = arg;

	land(self, self->worker, CO__ASAN_ALWAYS);
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
	if (home != co__worker_get())
		co__idle_wake(home);
	co__loop_leave(loop);
}

void co__ready_foreign(struct co_task *task)
{
	struct co_loop *loop = task->loop;

	co__checked_release(&task->checked);
	if (co__task_is_pinned(task)) {
		push_pinned(task);
		return;
	}
	co__loop_enter(loop);
	co__inject_put(&loop->inject, &task->tick);
	co__idle_notify(loop);
	co__loop_leave(loop);
}

/* The slot of WORKER is open, and has a task. */
static co__noinline void tell_eagerly(struct co__worker *worker)
{
	AO_t left = AO_load(&worker->eager) - 1;

	AO_store(&worker->eager, left);
	if (left != 0)
		co__near_tell(worker);
}

void co__ready(struct co_task *task)
{
	struct co__worker *worker = co__worker_get();
	AO_t older;

	CO__PROBE2(ready, task, task->outcome);
	if (co__unlikely(is_foreign(worker, task))) {
		co__ready_foreign(task);
		return;
	}
	if (co__worker_current(worker) == NULL) {
		/* A batch of events or timers, in the order they came. */
		co__near_add(worker, task);
		return;
	}
	older = AO_load(&worker->next);
	if (older == 0) {
		/* Only the owner makes it non-zero.  Release: pairs with
		 * co__near_take_next of a thief. */
		AO_store_release(&worker->next, (AO_t)task);
		if (co__unlikely(AO_load(&worker->eager) != 0))
			tell_eagerly(worker);
		if (co__runq_length(&worker->queue) == 0)
			return;
	} else {
		/* Full: it is ours again, or a thief's; as above. */
		if (AO_compare_and_swap_full(&worker->next, older, (AO_t)task))
			co__near_push(worker, (struct co_task *)older);
		else	/* a thief took it; release as above */
			AO_store_release(&worker->next, (AO_t)task);
	}
	co__near_tell_to_share(worker);
}

/* co__worker_yield by way of the scheduler, who sees more than what is near. */
static co__noinline int yield_to_scheduler(struct co__worker *worker,
		struct co_task *self)
{
	set_hook(worker, requeue, self, NULL);
	switch_to_scheduler(worker, self);

	return 0;
}

/* The same to what is near, wherever SELF is to be queued. */
static co__noinline int yield_to_next(struct co__worker *worker,
		struct co_task *self)
{
	struct co_task *next = co__near_pick(worker);

	if (next == NULL)
		return co_queue_is_empty(&worker->pinned) ? 0
				: yield_to_scheduler(worker, self);
	set_hook(worker, requeue, self, NULL);
	switch_to_task(worker, self, next);

	return 0;
}

/* While nobody else can take SELF it may be queued before it has left its
 * stack. */
int co__worker_yield(struct co_task *self)
{
	struct co__worker *worker = self->worker;
	struct co_task *next;

	if (co__unlikely(co__near_count(worker)))
		return yield_to_scheduler(worker, self);
	if (co__unlikely(co__task_is_pinned(self)
			|| !co__bias_enter(&worker->bias)))
		return yield_to_next(worker, self);
	if (co__unlikely(!co__near_turn_alone(worker, self, &next))) {
		co__bias_leave(&worker->bias);
		return yield_to_next(worker, self);
	}
	/* The door is left when the switch has arrived. */
	worker->hook = NULL;
	switch_to_task(worker, self, next);

	return 0;
}

/* --- The scheduler ------------------------------------------------------- */

static void switch_from_scheduler(struct co__worker *worker,
		struct co_task *next)
{
	set_hook(worker, nothing, NULL, NULL);
	set_current(worker, next);
	co__checked_leave(&worker->checked, &next->checked, false, false);
	co__context_switch_with(&worker->context, &next->context, worker);
	co__checked_enter(&worker->checked, NULL, false);
	co__worker_set_current(worker, NULL);
	landed(worker);
	co__checked_end_hook(&worker->checked);
}

void co__worker_run(struct co__worker *worker)
{
	struct co__worker *outer = co__worker_get();
	struct co_task *task;

	co__worker_here = worker;
	co__checked_adopt(&worker->checked);
	AO_store(&worker->clock, co__stamp(co_now()));
	AO_store(&worker->doing, CO__WORKS);
	worker->has_slept = true;
	while ((task = co__find_task(worker)) != NULL)
		switch_from_scheduler(worker, task);
	/* What it was about to run any thread may take in the next run. */
	if (worker->preferred != NULL)
		co__near_push(worker, worker->preferred);
	worker->preferred = NULL;
	co__idle_found(worker);
	AO_store(&worker->doing, CO__AWAY);
	co__checked_leave_system(&worker->checked);
	co__worker_here = outer;
}

int co__worker_init(struct co__worker *worker, struct co_loop *loop,
		unsigned index)
{
	worker->loop = loop;
	worker->index = index;
	worker->random = 0x9e3779b9u * (index + 1);
	worker->stuck_at = (AO_t)-1;
	worker->patience = CO__PATIENCE_MIN;
	co__worker_set_look_mask(worker, CO__LOOK_AROUND - 1);
	co__near_set_bias(worker, false);
	co_queue_init(&worker->pinned);
	co__wheel_init(&worker->wheel, co_now());
	if (sem_init(&worker->sleep, 0, 0) < 0)
		return -errno;
	worker->seat = co__seat_take();

	return 0;
}

void co__worker_deinit(struct co__worker *worker)
{
	sem_destroy(&worker->sleep);
	co__seat_give(worker->seat);
}
