/* SPDX-License-Identifier: MIT */

/* steps.c - a few steps of two threads, on words that no loop has around them:
 * so few that all schedules can be tried */

#include "explore.h"

#include <string.h>

#include "near.h"

/* --- The run-next slot ---------------------------------------------------- */

#define NUMBERS 3

static struct co__worker worker;
static unsigned taken[NUMBERS + 1], content[NUMBERS + 1];

/* A number stands for a task. */
static void note_next(void)
{
	size_t number = (size_t)co__near_take_next(&worker);

	if (number == 0)
		return;
	explore_expect(content[number], number);
	taken[number]++;
}

static void *take_next(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2; i++)
		note_next();

	return NULL;
}

/* The owner takes it back, or finds that a thief was faster. */
static void run_next(void)
{
	int thief;

	memset(taken, 0, sizeof taken);
	memset(content, 0, sizeof content);
	AO_store(&worker.next, 0);
	thief = explore_thread(take_next, NULL);
	for (size_t number = 1; number <= NUMBERS; number++) {
		content[number] = (unsigned)number;
		/* Release: as in co__ready. */
		AO_store_release(&worker.next, number);
		explore_step();
		note_next();
		explore_expect(AO_load(&worker.next), 0);
	}
	explore_join(thief);
	for (unsigned i = 1; i <= NUMBERS; i++)
		explore_expect(taken[i], 1);
}

/* --- The word of a wait --------------------------------------------------- */

static struct co_task waiter;
static AO_t open_wait;		/* atomic: the ticket of the wait, and 1 */
static AO_t claims;		/* atomic: of waits so far */
static unsigned wait_number;	/* plain: of the wait, by who arms it */
static AO_t ended[4];		/* atomic: 1 for each wait that was claimed */

static void note_end(unsigned number)
{
	explore_expect(AO_fetch_and_add1(&ended[number]), 0);
}

/* End the wait that is open, if nobody does before. */
static void *claim_waits(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2; i++) {
		/* Acquire: pairs with arm_twice. */
		AO_t ticket = AO_load_acquire(&open_wait);

		if (ticket == 0 || !co__wait_claim(&waiter, ticket - 1, 0)) {
			explore_step();
			continue;
		}
		/* Nobody else has ended it, and nobody arms before this. */
		explore_expect(wait_number, 1 + (ticket - 1) / CO__WAIT_EPOCH);
		note_end(wait_number);
		/* Release: pairs with arm_twice. */
		AO_store_release(&claims, wait_number);
	}

	return NULL;
}

/* What is written until a wait is armed is seen by who claims it; a claim that
 * comes late is not one of the next wait. */
static void run_claims(void)
{
	int others[2];

	memset(&waiter, 0, sizeof waiter);
	waiter.deadline = CO_NEVER;
	AO_store(&open_wait, 0);
	AO_store(&claims, 0);
	for (unsigned i = 0; i < 4; i++)
		AO_store(&ended[i], 0);
	for (unsigned i = 0; i < 2; i++)
		others[i] = explore_thread(claim_waits, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		AO_t ticket = co__wait_ticket(&waiter);

		/* Release: pairs with claim_waits. */
		AO_store_release(&open_wait, ticket + 1);
		wait_number = i;
		explore_expect(explore_choose(2)
				? co__wait_arm(&worker, &waiter, 0)
				: co__wait_arm_plain(&worker, &waiter), 0);
		explore_step();
		if (co__wait_claim(&waiter, ticket, 0)) {
			note_end(i);
			continue;
		}
		/* Acquire: pairs with claim_waits. */
		while (AO_load_acquire(&claims) != i)
			co__atomic_pause();
	}
	for (unsigned i = 0; i < 2; i++)
		explore_join(others[i]);
}

/* --- Who searches and who adds -------------------------------------------- */

static struct co_loop *loop;

/* The second worker takes what it has found, and so searches no more. */
static void *find(void *arg)
{
	(void)arg;
	co__idle_found(&loop->workers[1]);

	return NULL;
}

/* The first worker adds something; the third sleeps, and must be woken for it,
 * for nobody looks any more. */
static void run_searcher(void)
{
	struct co__worker *sleeper;
	int other;

	loop = explore_loop(3);
	sleeper = &loop->workers[2];
	co__list_append(&loop->idle.workers, &sleeper->idle_link);
	sleeper->is_idle = true;
	loop->workers[1].searching = true;
	AO_store(&loop->idle.count, 1);
	AO_store(&loop->idle.searching, 1);
	other = explore_thread(find, NULL);
	explore_check(co__runq_push(&loop->workers[0].queue,
			(struct co_task *)CO__CACHE_LINE));
	co__idle_notify(loop);
	explore_join(other);
	explore_check(!sleeper->is_idle);
	explore_expect(AO_load(&loop->idle.searching), 1);
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Who makes ready and who steals --------------------------------------- */

#define READY 3

static struct co_task ready[READY];
static unsigned got[READY];

static void note_ready(struct co_task *task)
{
	if (task != NULL)
		got[task - ready]++;
}

static void *steal_next(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 2; i++)
		note_ready(co__near_take_next(&loop->workers[0]));

	return NULL;
}

/* A task makes others ready, each of which takes the place of the last one,
 * unless that was stolen meanwhile. */
static void run_ready(void)
{
	static struct co_task self;
	struct co__worker *owner;
	struct co_task *task;
	int thief;

	memset(got, 0, sizeof got);
	loop = explore_loop(2);
	owner = &loop->workers[0];
	owner->current = (AO_t)&self;
	co__worker_here = owner;
	thief = explore_thread(steal_next, NULL);
	for (unsigned i = 0; i < READY; i++) {
		ready[i].loop = loop;
		ready[i].worker = owner;
		co__ready(&ready[i]);
	}
	while ((task = co__near_pick(owner)) != NULL)
		note_ready(task);
	explore_join(thief);
	for (unsigned i = 0; i < READY; i++)
		explore_expect(got[i], 1);
	owner->current = 0;
	co__worker_here = NULL;
	explore_expect(co_loop_destroy(loop), 0);
}

/* --- Bits ----------------------------------------------------------------- */

static AO_t bits;		/* atomic */
static AO_t changes;		/* atomic: how often one was not yet set */

static void *set_bits(void *arg)
{
	for (AO_t bit = 1; bit <= 4; bit *= 2)
		if (!(co__atomic_fetch_or(&bits, bit | (AO_t)arg) & bit))
			AO_fetch_and_add1(&changes);

	return NULL;
}

/* Each is set by one, who is told so, and none gets lost. */
static void run_bits(void)
{
	int other;

	AO_store(&bits, 0);
	AO_store(&changes, 0);
	other = explore_thread(set_bits, (void *)8);
	set_bits((void *)16);
	explore_join(other);
	explore_expect(AO_load(&bits), 31);
	explore_expect(AO_load(&changes), 3);
}

const struct explore_scenario explore_steps[] = {
	{ "bits: two set them", run_bits, 500, true },
	{ "next: the owner and a thief", run_next, 500, true },
	{ "next: made ready and stolen", run_ready, 500, true },
	{ "wait: two claims of three waits", run_claims, 1000, true },
	{ "idle: the last searcher, and who adds", run_searcher, 500, true },
	{ NULL, NULL, 0, false },
};
