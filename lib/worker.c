/* SPDX-License-Identifier: MIT */

/* worker.c - switching, and what to run next; see worker.h */

#include "worker.h"

#include <errno.h>
#include <stdlib.h>

#include "loop.h"

#define INJECT_BATCH 64		/* ticks taken from the inject queue at once */
#define STEAL_BATCH (CO__RUNQ_SIZE / 2)
#define POLL_AT_LEAST 4		/* looks around: one in so many polls */

_Thread_local struct co__worker *co__worker_here;

unsigned co__worker_random(struct co__worker *worker)
{
	unsigned x = worker->random;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;

	return worker->random = x;
}

/* --- The queue of a worker ----------------------------------------------- */

/* Whether all of the queue of WORKER, of LENGTH, is for whoever has time. */
static inline bool shares(const struct co__worker *worker, size_t length)
{
	return length > CO__FEW || AO_load(&worker->fine) == 0
			|| AO_load(&worker->stuck_at)
			== AO_load(&worker->switches);
}

/* Whether WORKER has something in its queue that another may take. */
static bool has_to_share(const struct co__worker *worker)
{
	size_t length = co__runq_length(&worker->queue);

	return length != 0 && (shares(worker, length)
			|| co__runq_has_new(&worker->queue));
}

/* Move half of the full queue elsewhere, and append ENTRY. */
static co__noinline void overflow(struct co__worker *worker,
		struct co_task *entry)
{
	struct co_loop *loop = worker->loop;
	struct co__batch *batch = co__spill_open(loop);
	struct co_task *moved[STEAL_BATCH];
	unsigned n;

	if (batch != NULL) {
		batch->count = co__runq_steal(&worker->queue, batch->tasks,
				CO__SPILL_SIZE);
		co__spill_put(loop, batch);
	} else {
		n = co__runq_steal(&worker->queue, moved, STEAL_BATCH);
		for (unsigned i = 0; i < n; i++)
			co__inject_put(&loop->inject,
					&co__runq_task(moved[i])->tick);
	}
	co__runq_push(&worker->queue, entry);
}

static inline void push_entry(struct co__worker *worker, struct co_task *entry)
{
	if (co__unlikely(!co__runq_push(&worker->queue, entry)))
		overflow(worker, entry);
}

static inline void push(struct co__worker *worker, struct co_task *task)
{
	AO_t is_new = task->context.saved == NULL ? CO__RUNQ_NEW : 0;

	push_entry(worker, (struct co_task *)((AO_t)task | is_new));
}

/* There is work that WORKER does not run next. */
static inline void tell_idle(struct co__worker *worker)
{
	if (worker->loop->threads > 1)
		co__idle_notify(worker->loop);
}

/* The same if it isn't for WORKER alone. */
static inline void tell_idle_to_share(struct co__worker *worker)
{
	if (worker->loop->threads > 1 && shares(worker,
			co__runq_length(&worker->queue)))
		co__idle_notify(worker->loop);
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
	push_entry(worker, task);
	if (AO_load(&worker->next) != 0)
		tell_idle_to_share(worker);
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

static inline void switch_to_task(struct co__worker *worker, struct co_task *self,
		struct co_task *next)
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

/* The task in the run-next slot, or NULL. */
static inline struct co_task *take_next(struct co__worker *worker)
{
	AO_t next = AO_load(&worker->next);

	/* Acquire and release: a thief may take it instead. */
	if (next == 0 || !AO_compare_and_swap_full(&worker->next, next, 0))
		return NULL;

	return (struct co_task *)next;
}

/* Whether TASK can't go to the queues of WORKER. */
static inline bool is_foreign(const struct co__worker *worker,
		const struct co_task *task)
{
	return worker == NULL || worker->loop != task->loop
			|| task->pinned;
}

/* The next task nearby, or NULL if there is none. */
static co__always_inline struct co_task *pick_local(
		struct co__worker *worker)
{
	struct co_task *task = worker->preferred;

	if (task != NULL) {
		worker->preferred = NULL;
		return task;
	}
	if (co__unlikely(worker->turn_is_over))
		worker->turn_is_over = false;
	else if (AO_load(&worker->next) != 0
			&& worker->next_streak < CO__NEXT_STREAK) {
		task = take_next(worker);
		if (co__likely(task != NULL)) {
			worker->next_streak++;
			return task;
		}
	}
	worker->next_streak = 0;
	task = co__runq_take(&worker->queue, true);

	return co__likely(task != NULL) ? co__runq_task(task)
			: take_next(worker);
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

static inline bool time_to_look_around(const struct co__worker *worker)
{
	return AO_load(&worker->switches) % CO__LOOK_AROUND == 0;
}

int co__park(struct co_task *self, enum co__wait_kind kind, const void *object,
		co__park_fn *hook, void *arg)
{
	struct co__worker *worker = self->worker;
	struct co_task *next = time_to_look_around(worker) ? NULL
			: pick_local(worker);

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
	next = time_to_look_around(worker) ? NULL : pick_local(worker);
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

/* Append TASK, and tell the idle if it isn't the only one waiting. */
static inline void queue_last(struct co__worker *worker, struct co_task *task)
{
	push(worker, task);
	if (co__runq_length(&worker->queue) > 1 || AO_load(&worker->next) != 0)
		tell_idle(worker);
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
		queue_last(worker, task);
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
			push(worker, (struct co_task *)older);
		else	/* a thief took it; release as above */
			AO_store_release(&worker->next, (AO_t)task);
	}
	tell_idle_to_share(worker);
}

void co__worker_add(struct co__worker *worker, struct co_task *task)
{
	queue_last(worker, task);
}

void co__worker_yield(struct co_task *self)
{
	struct co__worker *worker = self->worker;
	struct co_task *next;

	if (co__unlikely(time_to_look_around(worker))) {
		co__worker_park_on_scheduler(self, NULL, NULL);
		return;
	}
	next = pick_local(worker);
	if (next == NULL) {
		/* Counted, so that the scheduler gets its turn. */
		AO_store(&worker->switches, AO_load(&worker->switches) + 1);
		return;
	}
	set_hook(worker, NULL, self, NULL);
	switch_to_task(worker, self, next);
}

/* --- The scheduler ------------------------------------------------------- */

/* Take some of the inject queue: run the ticks, queue the tasks. */
static void take_injected(struct co__worker *worker)
{
	struct co__inject *inject = &worker->loop->inject;
	struct co_tick *ticks[INJECT_BATCH];
	unsigned n = co__inject_take(inject, ticks, INJECT_BATCH);

	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (ticks[i]->run == NULL) {
			push(worker, co__task_of_tick(ticks[i]));
			ticks[i] = NULL;
		}
	}
	if (co__inject_has_some(inject)
			|| co__runq_length(&worker->queue) > 1)
		co__idle_notify(worker->loop);
	for (unsigned i = 0; i < n; i++)
		if (ticks[i] != NULL)
			ticks[i]->run(ticks[i]);
}

/* Take the oldest batch of those that some queue had no room for. */
static void take_spilled(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	struct co__batch *batch = co__spill_take(loop);

	if (batch == NULL)
		return;
	for (unsigned i = 0; i < batch->count; i++)
		push_entry(worker, batch->tasks[i]);
	co__spill_reuse(loop, batch);
	tell_idle(worker);
}

/* Let timers go off, of all workers: the others may sleep or compute. */
static void run_timers(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	co_time now = 0;

	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__wheel *wheel = &loop->workers[i].wheel;

		if (AO_load(&wheel->count) == 0)
			continue;
		if (now == 0)
			now = co_now();
		AO_store(&worker->timers, AO_load(&worker->timers)
				+ co__wheel_run(wheel, now));
	}
}

static struct co_task *take_pinned(struct co__worker *worker)
{
	struct co_queue_node *node = co_queue_get(&worker->pinned);

	if (node == NULL)
		return NULL;

	return co__task_of_tick(co__container_of(node, struct co_tick,
			private_));
}

/* Take half of VICTIM's queue: the first to run, the rest to our own. */
static struct co_task *steal_from(struct co__worker *worker,
		struct co__worker *victim)
{
	struct co_task *stolen[STEAL_BATCH];
	unsigned n = co__runq_rob(&victim->queue, stolen, STEAL_BATCH,
			!shares(victim, co__runq_length(&victim->queue)));

	for (unsigned i = 1; i < n; i++)
		push_entry(worker, stolen[i]);
	if (n > 1)
		co__idle_notify(worker->loop);
	AO_store(&worker->steals, AO_load(&worker->steals) + n);

	return n > 0 ? co__runq_task(stolen[0]) : NULL;
}

/* Take what VICTIM wanted to run next, if the monitor saw it stuck. */
static struct co_task *steal_next(struct co__worker *worker,
		struct co__worker *victim)
{
	struct co_task *task;

	if (AO_load(&victim->next) == 0
			|| AO_load(&victim->stuck_at)
			!= AO_load(&victim->switches))
		return NULL;
	task = take_next(victim);
	if (task != NULL)
		AO_store(&worker->steals, AO_load(&worker->steals) + 1);

	return task;
}

static struct co_task *steal(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	unsigned start = co__worker_random(worker);

	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__worker *victim = &loop->workers[(start + i)
				% loop->threads];
		struct co_task *task;

		if (victim == worker)
			continue;
		task = steal_from(worker, victim);
		if (task == NULL)
			task = steal_next(worker, victim);
		if (task != NULL)
			return task;
	}

	return NULL;
}

bool co__loop_has_work(struct co_loop *loop)
{
	if (co__inject_has_some(&loop->inject)
			|| AO_load(&loop->spill.count) != 0)
		return true;
	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__worker *worker = &loop->workers[i];

		if (has_to_share(worker))
			return true;
		if (AO_load(&worker->next) != 0 && AO_load(&worker->stuck_at)
				== AO_load(&worker->switches))
			return true;
	}

	return false;
}

bool co__worker_sees_work(struct co__worker *worker)
{
	return AO_load(&worker->loop->stop) != 0
			|| AO_load(&worker->next) != 0
			|| !co_queue_is_empty(&worker->pinned)
			|| co__loop_has_work(worker->loop);
}

/* Whether to ask for events though there are tasks to run.  While many are
 * queued, events would only make the queue longer than the caches can hold. */
static bool is_time_to_poll(struct co__worker *worker)
{
	return co__runq_length(&worker->queue) < CO__LOOK_AROUND
			|| AO_load(&worker->switches) / CO__LOOK_AROUND
			% POLL_AT_LEAST == 0;
}

/* Look at everything that pick_local doesn't. */
static void look_around(struct co__worker *worker)
{
	co_time now = co_now();
	bool fine = now - worker->looked < CO__FINE * CO__LOOK_AROUND;

	worker->looked = now;
	if (!fine && AO_load(&worker->fine)) {
		AO_store(&worker->fine, 0);
		tell_idle(worker);
	}
	AO_store(&worker->fine, fine);
	if (now >= worker->turn_ends) {
		worker->turn_ends = now + CO__TURN;
		worker->turn_is_over = true;
	}
	run_timers(worker);
	take_injected(worker);
	if (AO_load(&worker->switches) % CO__SPILL_TURN == 0)
		take_spilled(worker);
	if (AO_load(&worker->loop->polled) != 0 && is_time_to_poll(worker))
		co__idle_poll(worker);
}

/* The next task, or NULL if the loop stops.  Sleeps while there is none. */
static struct co_task *find(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	struct co_task *task;

	if (time_to_look_around(worker))
		look_around(worker);
	while (!AO_load_acquire(&loop->stop)) {	/* pairs with loop_end */
		task = worker->preferred == NULL ? take_pinned(worker) : NULL;
		if (task == NULL)
			task = pick_local(worker);
		if (task == NULL) {
			run_timers(worker);
			take_injected(worker);
			take_spilled(worker);
			task = pick_local(worker);
		}
		if (task == NULL) {
			co__idle_search(worker);
			task = steal(worker);
		}
		if (task != NULL) {
			co__idle_found(worker);
			return task;
		}
		AO_store(&worker->fine, 0);
		co__idle_sleep(worker);
	}

	return NULL;
}

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
	while ((task = find(worker)) != NULL)
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
