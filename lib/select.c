/* SPDX-License-Identifier: MIT */

/*
 * select.c - one of several channel operations
 *
 * A select takes the strands of all its channels, in the order of their
 * addresses, looks which cases can happen, and does one of them, or puts a
 * waiter into each channel and parks.  All strands are released by the hook,
 * when the task has left its stack.
 *
 * Exactly one All waiters of a select have the same task and ticket, so one
 *             claim of them succeeds.  A select that looks has no waiters in
 *             any channel, so it needs to claim only the other side: two
 *             selects that face each other never need two claims at once.
 * Deadlock    Strands are taken in one order, and only the first is waited for
 *             with no other held; if a further one is taken, all are released
 *             and the select tries again.  So nobody yields with a strand.
 * Ownership   The waiters lie in the cases.  Before it returns, the task takes
 *             each strand once more to take its waiters out.  By that it also
 *             waits for the hook, which reads the cases until it has released
 *             the last strand, in the same order.
 */

#include <coloop/select.h>

#include <errno.h>
#include <stdint.h>
#include <sched.h>

#include "channel.h"
#include "worker.h"

/* What select keeps in a case. */
struct entry {
	struct co__waiter waiter;
	struct co_select_case *next;	/* in the order of the channels */
};

_Static_assert(sizeof(struct entry)
		<= sizeof ((struct co_select_case *)NULL)->private_,
		"a case has the room that select needs");

static struct entry *entry_of(struct co_select_case *one)
{
	return (struct entry *)(void *)one->private_;
}

/* --- The order of the channels ------------------------------------------- */

static struct co_select_case *merge(struct co_select_case *a,
		struct co_select_case *b)
{
	struct co_select_case *first = NULL, **end = &first;

	while (a != NULL && b != NULL) {
		struct co_select_case **least = (uintptr_t)b->channel
				< (uintptr_t)a->channel ? &b : &a;

		*end = *least;
		end = &entry_of(*least)->next;
		*least = *end;
	}
	*end = a != NULL ? a : b;

	return first;
}

/* The cases that have a channel, linked by its address.  SORTED[k] holds a run
 * of 2^k of them, or none: a merge sort without recursion. */
static struct co_select_case *sort(struct co_select_case *cases, size_t n)
{
	struct co_select_case *sorted[17] = { NULL }, *run;
	unsigned k;

	for (size_t i = 0; i < n; i++) {
		if (cases[i].channel == NULL)
			continue;
		run = &cases[i];
		entry_of(run)->next = NULL;
		for (k = 0; sorted[k] != NULL; k++) {
			run = merge(sorted[k], run);
			sorted[k] = NULL;
		}
		sorted[k] = run;
	}
	run = NULL;
	for (k = 0; k < sizeof sorted / sizeof sorted[0]; k++)
		run = merge(sorted[k], run);

	return run;
}

/* The first case after ONE that has another channel, or NULL. */
static struct co_select_case *next_channel(struct co_select_case *one)
{
	struct co_channel *channel = one->channel;

	do
		one = entry_of(one)->next;
	while (one != NULL && one->channel == channel);

	return one;
}

/* --- All strands at once ------------------------------------------------- */

/* Release the strands from FIRST up to END.  Nothing of the cases is read
 * after the last.  SEAT is that of this thread, in all of these. */
static void release_until(struct co_select_case *first,
		const struct co_select_case *end, struct co__seat *seat)
{
	while (first != end) {
		struct co_channel *channel = first->channel;

		first = next_channel(first);
		co__strand_release(&channel->strand, seat);
	}
}

/* The first channel whose strand is taken by another, or NULL: all are ours. */
static struct co_select_case *try_rest(struct co_select_case *first,
		struct co__seat *seat)
{
	struct co_select_case *one = next_channel(first);

	while (one != NULL && co__strand_try_hold(&one->channel->strand, seat))
		one = next_channel(one);

	return one;
}

/* SELF is the calling task if others may run meanwhile, or NULL. */
static void acquire_all(struct co_select_case *first, struct co_task *self)
{
	struct co_select_case *taken = first;

	while (taken != NULL) {
		struct co__seat *seat;

		co__strand_hold(&first->channel->strand, self);
		seat = co__seat_with(self);
		taken = try_rest(first, seat);
		if (taken != NULL) {
			release_until(first, taken, seat);
			co__strand_wait(&taken->channel->strand, self);
		}
	}
}

static void release_all(struct co_select_case *first, struct co__seat *seat)
{
	release_until(first, NULL, seat);
}

/* --- Choosing ------------------------------------------------------------ */

static bool can_happen(const struct co_select_case *one)
{
	return one->op == CO_SELECT_PUT ? co__channel_can_put(one->channel)
			: co__channel_can_get(one->channel);
}

static int do_case(struct co_select_case *one, struct co_task **ret_woken)
{
	return one->op == CO_SELECT_PUT
		? co__channel_put_now(one->channel, one->item, ret_woken)
		: co__channel_get_now(one->channel, one->item, ret_woken);
}

/* A number below N, any with the same chance, as far as anyone can tell. */
static size_t random_below(size_t n)
{
	static AO_t outside;
	struct co__worker *worker = co__worker_get();
	size_t x = worker != NULL ? co__worker_random(worker)
			: AO_fetch_and_add1(&outside) * 2654435761u >> 7;

	return x % n;
}

/* One of those that can happen, chosen by lot, or NULL. */
static struct co_select_case *choose(struct co_select_case *first)
{
	struct co_select_case *chosen = NULL;
	size_t ready = 0;

	for (struct co_select_case *one = first; one != NULL;
			one = entry_of(one)->next)
		if (can_happen(one) && random_below(++ready) == 0)
			chosen = one;

	return chosen;
}

/* Do one of the cases.  Its index, or -EAGAIN.  All strands are held. */
static int do_one(struct co_select_case *cases, struct co_select_case *first,
		struct co_task **ret_woken)
{
	struct co_select_case *one;

	*ret_woken = NULL;
	while ((one = choose(first)) != NULL) {
		int rc = do_case(one, ret_woken);

		/* A waiter that was there may just have been cancelled. */
		if (rc == -EAGAIN)
			continue;
		one->result = rc;
		return (int)(one - cases);
	}

	return -EAGAIN;
}

/* --- Waiting ------------------------------------------------------------- */

static void enqueue_all(struct co_select_case *first, struct co_task *self)
{
	for (struct co_select_case *one = first; one != NULL;
			one = entry_of(one)->next) {
		struct co__waiter *waiter = &entry_of(one)->waiter;

		waiter->task = self;
		waiter->ticket = co__wait_ticket(self);
		waiter->item = one->item;
		waiter->result = 0;
		waiter->served = 0;
		co__list_append(one->op == CO_SELECT_PUT
				? &one->channel->putters
				: &one->channel->getters, &waiter->link);
	}
}

/* Take all waiters of SELF out.  Returns the case that was served, or NULL. */
static struct co_select_case *dequeue_all(struct co_select_case *first,
		struct co_task *self)
{
	struct co_select_case *served = NULL, *one = first;

	while (one != NULL) {
		struct co_select_case *end = next_channel(one);
		struct co__strand *strand = &one->channel->strand;

		co__strand_acquire(strand, self);
		for (; one != end; one = entry_of(one)->next) {
			struct co__waiter *waiter = &entry_of(one)->waiter;

			if (co__list_is_linked(&waiter->link))
				co__list_remove(&waiter->link);
			if (waiter->served)
				served = one;
		}
		co__strand_release(strand, co__seat_of(self));
	}

	return served;
}

static void arm_and_release_all(struct co__worker *worker,
		struct co_task *self, void *arg)
{
	int rc = co__wait_arm(worker, self, 0);

	release_all(arg, worker->seat);
	if (rc < 0)
		co__wait_unarmed(self, rc);
}

/* Wait in all channels, whose strands are held. */
static int wait_in_all(struct co_select_case *cases,
		struct co_select_case *first, struct co_task *self)
{
	struct co_select_case *served;
	int rc;

	enqueue_all(first, self);
	rc = co__park(self, CO__IN_SELECT, cases, arm_and_release_all, first);
	served = dequeue_all(first, self);
	if (served == NULL)
		return rc;
	served->result = entry_of(served)->waiter.result;

	return (int)(served - cases);
}

/* --- The calls ----------------------------------------------------------- */

static bool are_valid(const struct co_select_case *cases, size_t n)
{
	if (n > CO_SELECT_MAX || (n > 0 && cases == NULL))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (cases[i].op != CO_SELECT_PUT && cases[i].op
				!= CO_SELECT_GET)
			return false;
		if (cases[i].channel != NULL && !co__channel_takes(
				cases[i].channel, cases[i].item))
			return false;
	}

	return true;
}

int co_try_select(struct co_select_case *cases, size_t n)
{
	struct co_select_case *first;
	struct co_task *woken;
	int rc;

	if (!are_valid(cases, n))
		return -EINVAL;
	first = sort(cases, n);
	acquire_all(first, NULL);
	rc = do_one(cases, first, &woken);
	release_all(first, co__seat_here());
	if (woken != NULL)
		co__ready(woken);

	return rc;
}

int co_select(struct co_select_case *cases, size_t n)
{
	struct co_select_case *first;
	struct co_task *self, *woken;
	int rc;

	if (!are_valid(cases, n))
		return -EINVAL;
	rc = co__wait_enter(&self);
	if (rc < 0)
		return rc;
	first = sort(cases, n);
	acquire_all(first, self);
	rc = do_one(cases, first, &woken);
	if (rc == -EAGAIN) {
		rc = co__wait_prepare(self);
		if (rc == 0)
			return wait_in_all(cases, first, self);
	}
	release_all(first, co__seat_of(self));
	if (woken != NULL)
		co__ready(woken);

	return rc;
}
