/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_GROUP_H
#define COLOOP_LIB_GROUP_H

/*
 * group.h - tasks that somebody waits for, and cancels, together
 *
 * Ownership   `live' counts the members, and those that are about to be.  Only
 *             who is sure that the group stays adds others: a member, before
 *             it ends, or who waits for the group, or lets it be waited for,
 *             after that.  Who makes it 0 touches nothing of the group after
 *             it has released the lock, and wakes the task that waits.  That
 *             takes the lock before it goes, and touches nothing after it has
 *             released it in its turn.
 *             A member's entry lies on its stack, from its beginning to its
 *             end.  So a loop's end, which discards tasks, leaves a group with
 *             members of that loop unusable, as it does their stacks.
 */

#include <pthread.h>
#include <stdbool.h>

#include "list.h"

struct co_task;

struct co__group {
	pthread_mutex_t lock;		/* never held across a switch */
	struct co__list members;	/* lock */
	size_t live;			/* lock */
	struct co_task *waiter;		/* lock: or NULL */
	unsigned cancelled : 1;		/* lock: members are to end */
	unsigned flag : 1;		/* lock: of who has the group */
	unsigned count : 30;		/* lock: of members */
};

struct co__member {
	struct co__list link;		/* lock: the group's */
	struct co_task *task;		/* constant */
};

void co__group_init(struct co__group *group);

/* Somebody is about to be a member. */
void co__group_expect(struct co__group *group);

/* The calling task, which was expected, is MEMBER; it is cancelled if the group
 * was. */
void co__group_enter(struct co__group *group, struct co__member *member);

/* MEMBER is none any more; or NULL: somebody who was expected won't be one.
 * The group may be gone after this. */
void co__group_leave(struct co__group *group, struct co__member *member);

/* How many members there are. */
size_t co__group_count(struct co__group *group);

/* Cancel all members but EXCEPT (or NULL), and those to come. */
void co__group_cancel(struct co__group *group, const struct co_task *except);

/* SELF, the calling task, is to wait until the group is empty.  -EDEADLK: it is
 * a member.  -EBUSY: another task waits. */
int co__group_begin_wait(struct co__group *group, struct co_task *self);

/* SELF has begun to wait: do so.  -ECANCELED, -ETIMEDOUT. */
int co__group_wait(struct co__group *group, struct co_task *self);

/* Wait until the group, which is cancelled, is empty, whatever happens to SELF,
 * the calling task, and release it.  -EDEADLK, -EBUSY: as above; -EBUSY: also
 * if no task calls, SELF is NULL, and the group isn't empty. */
int co__group_end(struct co__group *group, struct co_task *self);

/* Run the function of SELF, the calling task, as a member of its group. */
int co__group_run(struct co_task *self);

#endif
