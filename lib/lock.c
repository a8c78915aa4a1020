/* SPDX-License-Identifier: MIT */

/*
 * lock.c - a first-in first-out lock for tasks
 *
 * States      free (0), HELD, HELD|WAITED.
 *
 *               free -> HELD          acquire, try_acquire: one CAS
 *               HELD -> free          release: one CAS
 *               HELD -> HELD|WAITED   an acquirer, holding the guard
 *               HELD|WAITED -> HELD   the last waiter leaves; the guard is held
 *               HELD|WAITED -> free   release finds only waiters whose wait has
 *                                     ended otherwise; the guard is held
 *
 * Ownership   `guard' protects the list of waiters, whose nodes lie on their
 *             stacks.  While WAITED is set nobody changes the state but with
 *             the guard held: the compare-and-swaps without it expect free or
 *             HELD.
 * Invariant   WAITED is set if and only if the list isn't empty, when the
 *             guard is free.  With it set, release hands the lock over: the
 *             state stays HELD, so nobody overtakes a waiter.
 * Ordering    acquire is an acquire operation and release a release operation
 *             on the state, or on the guard, or it is the hand-over through
 *             co__ready.
 *
 * A lock that is freed and fought for again is faster under contention, but
 * its order is not that of asking, and a waiter may starve.
 */

#include <coloop/lock.h>

#include <errno.h>

#include "list.h"
#include "strand.h"
#include "wait.h"
#include "worker.h"

#define HELD ((AO_t)1)
#define WAITED ((AO_t)2)

struct lock {
	AO_t state;			/* atomic: see above */
	struct co__strand guard;
	struct waiter *first;		/* lock: guard; oldest */
	struct waiter *last;		/* lock: guard */
};

struct waiter {
	struct waiter *next;		/* lock: guard */
	struct co_task *task;		/* constant */
	AO_t ticket;			/* constant */
};

_Static_assert(sizeof(struct lock) == sizeof(struct co_lock),
		"struct co_lock has the room that a lock needs");

static struct lock *open_lock(struct co_lock *lock)
{
	return (struct lock *)(void *)lock->private_;
}

void co_lock_init(struct co_lock *lock)
{
	static const struct co_lock free_lock = CO_LOCK_INIT;

	if (lock != NULL)
		*lock = free_lock;
}

int co_lock_deinit(struct co_lock *lock)
{
	if (lock == NULL)
		return 0;
	/* Acquire: the caller may free what the lock was for; pairs with the
	 * release in co_lock_release. */
	if (AO_load_acquire(&open_lock(lock)->state) != 0)
		return -EBUSY;
	/* Whoever made it free may not have left the guard yet. */
	co__spin_acquire(&open_lock(lock)->guard.spin);
	co__spin_release(&open_lock(lock)->guard.spin);

	return 0;
}

/* free -> HELD (any thread). */
static bool take(struct lock *lock)
{
	/* Acquire: pairs with the release in co_lock_release. */
	return AO_load(&lock->state) == 0
			&& AO_compare_and_swap_acquire(&lock->state, 0, HELD);
}

/* HELD -> HELD|WAITED, or free -> HELD.  The guard is held.  Returns whether
 * the lock is the caller's. */
static bool take_or_announce(struct lock *lock)
{
	for (;;) {
		AO_t state = AO_load(&lock->state);

		if (state & WAITED)
			return false;
		if (take(lock))
			return true;
		if (state == HELD && AO_compare_and_swap(&lock->state, HELD,
				HELD | WAITED))
			return false;
	}
}

static void enqueue(struct lock *lock, struct waiter *waiter)
{
	waiter->next = NULL;
	if (lock->first == NULL)
		lock->first = waiter;
	else
		lock->last->next = waiter;
	lock->last = waiter;
}

static struct waiter *dequeue(struct lock *lock)
{
	struct waiter *waiter = lock->first;

	if (waiter != NULL)
		lock->first = waiter->next;

	return waiter;
}

/* Take WAITER out of the list, if it is still there.  The guard is held. */
static void withdraw(struct lock *lock, struct waiter *waiter)
{
	struct waiter *before = NULL, *other = lock->first;

	while (other != NULL && other != waiter) {
		before = other;
		other = other->next;
	}
	if (other == NULL)
		return;
	if (before == NULL)
		lock->first = waiter->next;
	else
		before->next = waiter->next;
	if (lock->last == waiter)
		lock->last = before;
	if (lock->first == NULL)
		AO_store(&lock->state, HELD);	/* HELD|WAITED -> HELD */
}

/* The guard is held, and released when SELF has left its stack. */
static int wait_for_turn(struct lock *lock, struct co_task *self)
{
	struct waiter waiter = { NULL, self, co__wait_ticket(self) };
	int rc;

	enqueue(lock, &waiter);
	rc = co__strand_park(&lock->guard, self, CO__IN_LOCK, lock);
	if (rc < 0) {
		co__strand_acquire(&lock->guard);
		withdraw(lock, &waiter);
		co__strand_release(&lock->guard);
	}

	return rc;
}

/* Whatever may come. */
static co__noinline int acquire_slowly(struct lock *lock)
{
	struct co_task *self;
	int rc = co__wait_enter(&self);

	if (rc < 0)
		return rc;
	if (take(lock))
		return 0;
	rc = co__wait_prepare(self);
	if (rc < 0)
		return rc;
	co__strand_acquire(&lock->guard);
	if (take_or_announce(lock)) {
		co__strand_release(&lock->guard);
		return 0;
	}

	return wait_for_turn(lock, self);
}

/* What is done at once calls nothing, so it saves no registers. */
int co_lock_acquire(struct co_lock *lock)
{
	struct co_task *self = co__worker_self();

	if (lock == NULL)
		return -EINVAL;
	if (co__likely(self != NULL && co__wait_is_plain(self)
			&& take(open_lock(lock))))
		return 0;

	return acquire_slowly(open_lock(lock));
}

int co_lock_try_acquire(struct co_lock *lock)
{
	if (lock == NULL)
		return -EINVAL;

	return take(open_lock(lock)) ? 0 : -EAGAIN;
}

/* Hand the lock to the first waiter that still waits, or make it free.  The
 * guard is held, the state HELD|WAITED.  Returns who has it now, claimed. */
static struct co_task *hand_over(struct lock *lock)
{
	struct waiter *waiter;

	while ((waiter = dequeue(lock)) != NULL) {
		struct co_task *task = waiter->task;

		if (!co__wait_claim(task, waiter->ticket, 0))
			continue;
		if (lock->first == NULL)
			AO_store(&lock->state, HELD);
		return task;
	}
	/* Release: pairs with take. */
	AO_store_release(&lock->state, 0);

	return NULL;
}

static co__noinline int release_slowly(struct lock *lock)
{
	struct co_task *heir = NULL;
	int rc = 0;

	co__strand_acquire_still(&lock->guard);
	/* The last waiter may have left before we had the guard; and with it
	 * the lock may have been handed over, and released by its heir.
	 * Release: pairs with take. */
	if (AO_load(&lock->state) & WAITED)
		heir = hand_over(lock);
	else if (!AO_compare_and_swap_release(&lock->state, HELD, 0))
		rc = -EPERM;
	co__strand_release(&lock->guard);
	if (heir != NULL)
		co__ready(heir);

	return rc;
}

int co_lock_release(struct co_lock *lock)
{
	AO_t state;

	if (lock == NULL)
		return -EINVAL;
	state = AO_load(&open_lock(lock)->state);
	/* Release: pairs with take. */
	if (co__likely(state == HELD) && AO_compare_and_swap_release(
			&open_lock(lock)->state, HELD, 0))
		return 0;
	if (state == 0)
		return -EPERM;

	return release_slowly(open_lock(lock));
}
