/* SPDX-License-Identifier: MIT */

/*
 * lock.c - a first-in first-out lock for tasks
 *
 * All of it runs with the lock's strand held, for a few instructions.
 *
 * States      free, held, held and waited for: `end' is NULL, or where the next
 *             waiter will be linked: at `first', or at the last one's `next'.
 *
 *               free -> held         acquire, try_acquire
 *               held -> free         release, if nobody waits
 *               held -> waited for   acquire
 *               waited for -> held   the last waiter leaves
 *
 * Ownership   A waiter's node lies on its task's stack.  It leaves the list by
 *             who hands the lock over, or by its task, which holds the strand
 *             for that before its call returns.
 * Invariant   A lock that is waited for is handed over by who releases it: it
 *             isn't free in between, so nobody overtakes a waiter.
 * Ordering    What the holder wrote is seen by the next: both hold the strand,
 *             one after the other; or it is handed over, through co__ready.
 *
 * A lock that is freed and fought for again is faster under contention, but
 * its order is not that of asking, and a waiter may starve.
 */

#include <coloop/lock.h>

#include <errno.h>

#include "strand.h"
#include "wait.h"
#include "worker.h"

struct waiter {
	struct waiter *next;		/* strand */
	struct co_task *task;		/* constant */
	AO_t ticket;			/* constant */
};

struct lock {
	struct co__strand strand;
	struct waiter *first;		/* strand: oldest, or NULL */
	AO_t end;			/* strand to change; relaxed to read:
					 * struct waiter **, see States */
};

_Static_assert(sizeof(struct lock) == sizeof(struct co_lock),
		"struct co_lock has the room that a lock needs");

static struct lock *open_lock(struct co_lock *lock)
{
	return (struct lock *)(void *)lock->private_;
}

/* Whether somebody has it, or waits for it, at this moment. */
static inline bool is_held(const struct lock *lock)
{
	return AO_load(&lock->end) != 0;
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
	if (is_held(open_lock(lock)))
		return -EBUSY;
	/* Whoever made it free may not have left the strand yet. */
	co__strand_acquire(&open_lock(lock)->strand, NULL);
	co__strand_release(&open_lock(lock)->strand, co__seat_here());

	return 0;
}

/* --- The state machine; the strand is held ------------------------------- */

static inline void set_end(struct lock *lock, struct waiter **link)
{
	AO_store(&lock->end, (AO_t)link);
}

/* free -> held.  False: it wasn't free. */
static inline bool take(struct lock *lock)
{
	if (is_held(lock))
		return false;
	set_end(lock, &lock->first);

	return true;
}

static void enqueue(struct lock *lock, struct waiter *waiter)
{
	*(struct waiter **)AO_load(&lock->end) = waiter;
	set_end(lock, &waiter->next);
}

static struct waiter *dequeue(struct lock *lock)
{
	struct waiter *waiter = lock->first;

	lock->first = waiter->next;
	if (waiter->next == NULL)
		set_end(lock, &lock->first);

	return waiter;
}

/* Take WAITER out of the list, if it is still there. */
static void withdraw(struct lock *lock, struct waiter *waiter)
{
	struct waiter **link = &lock->first;

	while (*link != NULL && *link != waiter)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = waiter->next;
	if (waiter->next == NULL)
		set_end(lock, link);
}

/* held -> free, or the first waiter that still waits has it now: that is
 * returned, claimed. */
static inline struct co_task *hand_over(struct lock *lock)
{
	while (lock->first != NULL) {
		struct waiter *waiter = dequeue(lock);
		struct co_task *task = waiter->task;

		if (co__wait_claim(task, waiter->ticket, 0))
			return task;
	}
	set_end(lock, NULL);

	return NULL;
}

/* The strand is released when SELF has left its stack. */
static int wait_for_turn(struct lock *lock, struct co_task *self)
{
	struct waiter waiter = { NULL, self, co__wait_ticket(self) };
	int rc;

	enqueue(lock, &waiter);
	rc = co__strand_park(&lock->strand, self, CO__IN_LOCK, lock);
	if (rc < 0) {
		co__strand_acquire(&lock->strand, self);
		withdraw(lock, &waiter);
		co__strand_release(&lock->strand, co__seat_of(self));
	}

	return rc;
}

/* --- The calls ----------------------------------------------------------- */

/* Take it, or wait.  SELF holds the strand, which is released. */
static co__noinline int acquire_held(struct lock *lock, struct co_task *self)
{
	int rc = 0;

	if (!take(lock)) {
		rc = co__wait_prepare(self);
		if (rc == 0)
			return wait_for_turn(lock, self);
	}
	co__strand_release(&lock->strand, co__seat_of(self));

	return rc;
}

/* Whatever may come. */
static co__noinline int acquire_slowly(struct lock *lock)
{
	struct co_task *self;
	int rc = co__wait_enter(&self);

	if (rc < 0)
		return rc;
	co__strand_acquire(&lock->strand, self);

	return acquire_held(lock, self);
}

/* What is done at once calls nothing, so it saves no registers.  It is there
 * twice: a strand that is owned is released as it was taken. */

static co__noinline int acquire_shared(struct lock *lock, struct co_task *self)
{
	if (co__unlikely(!co__strand_try_free(&lock->strand)))
		return acquire_slowly(lock);
	if (co__unlikely(!take(lock)))
		return acquire_held(lock, self);
	co__strand_release(&lock->strand, co__seat_of(self));

	return 0;
}

int co_lock_acquire(struct co_lock *co_lock)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *self = co__worker_self();
	struct lock *lock;

	if (co_lock == NULL)
		return -EINVAL;
	lock = open_lock(co_lock);
	if (co__unlikely(self == NULL || !co__wait_is_plain(self)))
		return acquire_slowly(lock);
	if (co__unlikely(!co__strand_try_own(&lock->strand, seat)))
		return acquire_shared(lock, self);
	if (co__unlikely(!take(lock)))
		return acquire_held(lock, self);
	co__strand_release_own(seat);

	return 0;
}

int co_lock_try_acquire(struct co_lock *lock)
{
	bool taken;

	if (lock == NULL)
		return -EINVAL;
	if (is_held(open_lock(lock)))
		return -EAGAIN;
	co__strand_acquire(&open_lock(lock)->strand, NULL);
	taken = take(open_lock(lock));
	co__strand_release(&open_lock(lock)->strand, co__seat_here());

	return taken ? 0 : -EAGAIN;
}

/* The strand is held, and released. */
static co__noinline int release_held(struct lock *lock, struct co__seat *seat)
{
	bool was_held = is_held(lock);
	struct co_task *heir = was_held ? hand_over(lock) : NULL;

	co__strand_release(&lock->strand, seat);
	if (heir != NULL)
		co__ready(heir);

	return was_held ? 0 : -EPERM;
}

static co__noinline int release_slowly(struct lock *lock)
{
	struct co__seat *seat = co__seat_here();

	co__strand_acquire(&lock->strand, NULL);

	return release_held(lock, seat);
}

/* held -> free, if nobody waits. */
static inline bool let_go(struct lock *lock)
{
	if (AO_load(&lock->end) != (AO_t)&lock->first)
		return false;
	set_end(lock, NULL);

	return true;
}

static co__noinline int release_shared(struct lock *lock, struct co__seat *seat)
{
	if (co__unlikely(!co__strand_try_free(&lock->strand)))
		return release_slowly(lock);
	if (co__unlikely(!let_go(lock)))
		return release_held(lock, seat);
	co__strand_release(&lock->strand, seat);

	return 0;
}

/* As co_lock_acquire. */
int co_lock_release(struct co_lock *co_lock)
{
	struct co__seat *seat = co__seat_here();
	struct lock *lock;

	if (co_lock == NULL)
		return -EINVAL;
	lock = open_lock(co_lock);
	if (co__unlikely(!co__strand_try_own(&lock->strand, seat)))
		return release_shared(lock, seat);
	if (co__unlikely(!let_go(lock)))
		return release_held(lock, seat);
	co__strand_release_own(seat);

	return 0;
}
