/* SPDX-License-Identifier: MIT */

/* find.c - what to run next when there is nothing nearby, or when it is time to
 * look further: see worker.h */

#include "near.h"
#include "probes.h"

#define INJECT_BATCH 64		/* ticks taken from the inject queue at once */
#define STEAL_BATCH (CO__RUNQ_SIZE / 2)
#define POLL_AT_LEAST 4		/* looks around: one in so many polls */

/* How late timers of another worker must be to go off here, unless this one has
 * just slept for them: two ticks.  Most workers look by themselves before that,
 * and a task that goes on where it was needs not move, with its stack. */
#define GRACE (2 * CO__TICK)

void co__near_overflow(struct co__worker *worker, struct co_task *entry)
{
	struct co_loop *loop = worker->loop;
	struct co__batch *batch = co__spill_open(loop);
	struct co_task *moved;

	if (batch != NULL) {
		batch->count = co__runq_steal(&worker->queue, batch->tasks,
				CO__SPILL_SIZE);
		co__spill_put(loop, batch);
	}
	/* Without memory for a batch, the list does. */
	while (co__runq_length(&worker->queue) > CO__RUNQ_SIZE / 2
			&& (moved = co__runq_pop(&worker->queue)) != NULL)
		co__inject_put(&loop->inject, &co__runq_task(moved)->tick);
	co__runq_push(&worker->queue, entry);
}

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
			co__near_push(worker, co__task_of_tick(ticks[i]));
			ticks[i] = NULL;
		}
	}
	if (co__inject_has_some(inject)
			|| co__runq_length(&worker->queue) > 1)
		co__idle_notify(worker->loop);
	for (unsigned i = 0; i < n; i++) {
		if (ticks[i] != NULL) {
			co__worker_count_call(worker);
			ticks[i]->run(ticks[i]);
		}
	}
}

/* Take the oldest batch of those that some queue had no room for. */
static void take_spilled(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	struct co__batch *batch = co__spill_take(loop);

	if (batch == NULL)
		return;
	for (unsigned i = 0; i < batch->count; i++)
		co__near_push_entry(worker, batch->tasks[i]);
	co__spill_reuse(loop, batch);
	co__near_tell(worker);
}

/* Let timers go off: our own, and those of other workers, who may sleep or
 * compute, if they are late by GRACE.  NOW is 0 if nobody has looked at the
 * clock. */
static void run_timers(struct co__worker *worker, co_time now, co_time grace)
{
	struct co_loop *loop = worker->loop;

	for (unsigned i = 0; i < loop->threads; i++) {
		struct co__wheel *wheel = &loop->workers[i].wheel;

		if (AO_load(&wheel->count) == 0)
			continue;
		if (now == 0) {
			now = co_now();
			AO_store(&worker->clock, co__stamp(now));
		}
		AO_store(&worker->timers, AO_load(&worker->timers)
				+ co__wheel_run(wheel, i == worker->index
				? now : now - grace));
	}
}

static struct co_task *take_preferred(struct co__worker *worker)
{
	struct co_task *task = worker->preferred;

	worker->preferred = NULL;

	return task;
}

static struct co_task *take_pinned(struct co__worker *worker)
{
	struct co_queue_node *node = co_queue_get(&worker->pinned);

	if (node == NULL)
		return NULL;

	return co__task_of_tick(co__container_of(node, struct co_tick,
			private_));
}

/* A task that is pinned here, or one nearby: that first if it was a pinned one
 * that has just left, since those that compute come here at each switch. */
static struct co_task *take_own(struct co__worker *worker)
{
	AO_t switches = AO_load(&worker->switches);
	struct co_task *task = NULL;

	if (switches == worker->pinned_until)
		task = co__near_pick(worker);
	if (task != NULL)
		return task;
	task = take_pinned(worker);
	if (task == NULL)
		return co__near_pick(worker);
	worker->pinned_until = switches + 1;

	return task;
}

/* Take half of VICTIM's queue, or what it wanted to run next, into LOOT.
 * Returns how many. */
static unsigned rob(struct co__worker *victim,
		struct co_task *loot[STEAL_BATCH])
{
	bool shares = co__near_shares(victim, co__runq_length(&victim->queue));
	unsigned n = co__runq_rob(&victim->queue, loot, STEAL_BATCH, !shares);

	if (n != 0 || !co__near_slot_is_open(victim))
		return n;
	loot[0] = co__near_take_next(victim);

	return loot[0] != NULL;
}

/* Take from VICTIM what it has to share: the first to run, the rest to our own
 * queue. */
static struct co_task *steal_from(struct co__worker *worker,
		struct co__worker *victim)
{
	struct co_task *loot[STEAL_BATCH];
	unsigned n = 0;

	if (co__near_has_to_share(victim) && co__bias_visit(&victim->bias)) {
		n = rob(victim, loot);
		co__bias_end_visit(&victim->bias);
	}
	for (unsigned i = 1; i < n; i++)
		co__near_push_entry(worker, loot[i]);
	if (n > 1)
		co__idle_notify(worker->loop);
	if (n == 0)
		return NULL;
	AO_store(&worker->steals, AO_load(&worker->steals) + n);
	CO__PROBE3(steal, worker->index, victim->index, n);

	return co__runq_task(loot[0]);
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
	for (unsigned i = 0; i < loop->threads; i++)
		if (co__near_has_to_share(&loop->workers[i]))
			return true;

	return false;
}

bool co__worker_sees_work(struct co__worker *worker)
{
	return AO_load(&worker->loop->stop) != 0
			|| AO_load(&worker->next) != 0
			|| !co_queue_is_empty(&worker->pinned)
			|| co__loop_has_work(worker->loop);
}

/* Whether this look around is the first of COUNT, a power of two. */
static bool is_one_look_of(const struct co__worker *worker, unsigned count)
{
	return AO_load(&worker->switches) % (count * (worker->look_mask + 1))
			== 0;
}

/* Whether to ask for events though there are tasks to run.  While many are
 * queued, events would only make the queue longer than the caches can hold;
 * that is nothing to tasks that take long. */
static bool is_time_to_poll(struct co__worker *worker)
{
	return co__runq_length(&worker->queue) < CO__LOOK_AROUND
			|| worker->look_mask < CO__LOOK_AROUND - 1
			|| is_one_look_of(worker, POLL_AT_LEAST);
}

/* The switches since the last look have taken PASSED.  Let so many lie between
 * two that they take half a CO__TURN or more, but not a whole one. */
static void set_look_mask(struct co__worker *worker, co_time passed)
{
	AO_t mask = worker->look_mask;

	for (; passed > CO__TURN && mask > 0; passed /= 2)
		mask /= 2;
	if (passed < CO__TURN / 4 && mask < CO__LOOK_AROUND - 1)
		mask = 2 * mask + 1;
	co__worker_set_look_mask(worker, mask);
}

static unsigned longer(unsigned patience)
{
	return 2 * patience < CO__PATIENCE_MAX ? 2 * patience
			: CO__PATIENCE_MAX;
}

void co__near_set_bias(struct co__worker *worker, bool fine)
{
	AO_t visits = co__bias_visits(&worker->bias);
	bool came = visits != worker->visits;

	worker->visits = visits;
	if (worker->is_alone && came)
		worker->patience = longer(worker->patience);
	else if (worker->is_alone && worker->patience > CO__PATIENCE_MIN)
		worker->patience--;
	worker->quiet_turns = fine && !came ? worker->quiet_turns + 1 : 0;
	worker->is_alone = worker->loop->threads == 1
		|| (worker->quiet_turns >= worker->patience
			&& co__os_has_barrier());
	co__bias_set(&worker->bias, worker->is_alone ? CO__BIAS_OWNED
			: CO__BIAS_SHARED);
}

/* Look at everything that co__near_pick doesn't. */
static void look_around(struct co__worker *worker)
{
	co_time now = co_now(), passed = now - worker->looked;
	bool fine = passed < CO__FINE * (co_time)(worker->look_mask + 1);
	bool was_fine = AO_load(&worker->fine) != 0;

	worker->looked = now;
	AO_store(&worker->clock, co__stamp(now));
	AO_store(&worker->fine, fine);
	if (was_fine && !fine)
		co__near_tell(worker);
	if (now >= worker->turn_ends) {
		worker->turn_ends = now + CO__TURN;
		worker->next_streak = CO__NEXT_STREAK;
		/* A look that came late says nothing: perhaps the thread was
		 * kept from running. */
		co__near_set_bias(worker, fine || was_fine);
	}
	co__near_trim(worker, now);
	run_timers(worker, now, GRACE);
	take_injected(worker);
	if (is_one_look_of(worker, CO__SPILL_LOOKS))
		take_spilled(worker);
	if (AO_load(&worker->loop->polled) != 0 && is_time_to_poll(worker))
		co__idle_poll(worker);
	if (!worker->has_slept)
		set_look_mask(worker, passed);
	worker->has_slept = false;
}

struct co_task *co__find_task(struct co__worker *worker)
{
	struct co_loop *loop = worker->loop;
	co_time grace = GRACE;
	struct co_task *task;

	if ((AO_load(&worker->switches) & worker->look_mask) == 0)
		look_around(worker);
	while (!AO_load_acquire(&loop->stop)) { /* pairs with co__loop_end */
		task = take_preferred(worker);
		if (task == NULL)
			task = take_own(worker);
		if (task == NULL) {
			run_timers(worker, 0, grace);
			take_injected(worker);
			take_spilled(worker);
			task = co__near_pick(worker);
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
		co__near_set_bias(worker, false);
		co__idle_sleep(worker);
		worker->has_slept = true;
		grace = 0;	/* it woke for anybody's timers */
	}

	return NULL;
}
