/* SPDX-License-Identifier: MIT */

/* group.c - see group.h; and groups of the program */

#include "group.h"

#include <coloop/group.h>

#include <errno.h>

#include "loop.h"
#include "wait.h"
#include "worker.h"

/* --- Any group ------------------------------------------------------------ */

void co__group_init(struct co__group *group)
{
	pthread_mutex_init(&group->lock, NULL);
	co__list_init(&group->members);
	group->live = 0;
	group->waiter = NULL;
	group->cancelled = group->flag = 0;
	group->count = 0;
}

void co__group_expect(struct co__group *group)
{
	pthread_mutex_lock(&group->lock);
	group->live++;
	pthread_mutex_unlock(&group->lock);
}

void co__group_enter(struct co__group *group, struct co__member *member)
{
	bool cancelled;

	member->task = co_self();
	pthread_mutex_lock(&group->lock);
	co__list_append(&group->members, &member->link);
	group->count++;
	cancelled = group->cancelled;
	pthread_mutex_unlock(&group->lock);
	if (cancelled)
		co_cancel(member->task);
}

/* The lock is held. */
static void remove_member(struct co__group *group, struct co__member *member)
{
	if (member != NULL) {
		co__list_remove(&member->link);
		group->count--;
	}
	if (--group->live == 0 && group->waiter != NULL)
		co__slot_raise(&group->waiter->gate, group->waiter);
}

void co__group_leave(struct co__group *group, struct co__member *member)
{
	pthread_mutex_lock(&group->lock);
	remove_member(group, member);
	pthread_mutex_unlock(&group->lock);
}

size_t co__group_count(struct co__group *group)
{
	size_t count;

	pthread_mutex_lock(&group->lock);
	count = group->count;
	pthread_mutex_unlock(&group->lock);

	return count;
}

static struct co_task *task_of(struct co__list *link)
{
	return co__container_of(link, struct co__member, link)->task;
}

/* The lock is held. */
static void cancel_members(struct co__group *group,
		const struct co_task *except)
{
	group->cancelled = 1;
	for (struct co__list *link = group->members.next;
			link != &group->members; link = link->next)
		if (task_of(link) != except)
			co_cancel(task_of(link));
}

void co__group_cancel(struct co__group *group, const struct co_task *except)
{
	pthread_mutex_lock(&group->lock);
	cancel_members(group, except);
	pthread_mutex_unlock(&group->lock);
}

int co__group_begin_wait(struct co__group *group, struct co_task *self)
{
	int rc;

	pthread_mutex_lock(&group->lock);
	rc = group->waiter != NULL ? -EBUSY : 0;
	for (struct co__list *link = group->members.next;
			link != &group->members; link = link->next)
		if (task_of(link) == self)
			rc = -EDEADLK;
	if (rc == 0)
		group->waiter = self;
	pthread_mutex_unlock(&group->lock);

	return rc;
}

/* SELF has begun to wait: do so, and leave with the lock held.  0: the group is
 * empty as long as it is. */
static int wait_and_lock(struct co__group *group, struct co_task *self)
{
	struct co__slot *gate = &self->gate;
	int rc = 0;

	AO_store(&gate->word, CO__SLOT_EMPTY);
	pthread_mutex_lock(&group->lock);
	while (rc == 0 && group->live > 0) {
		pthread_mutex_unlock(&group->lock);
		rc = co__wait_prepare(self);
		if (rc == 0)
			rc = co__slot_wait(self, CO__IN_GROUP, self, gate);
		AO_store(&gate->word, CO__SLOT_EMPTY);
		pthread_mutex_lock(&group->lock);
	}
	group->waiter = NULL;

	return rc;
}

int co__group_wait(struct co__group *group, struct co_task *self)
{
	int rc = wait_and_lock(group, self);

	pthread_mutex_unlock(&group->lock);

	return rc;
}

static void wait_masked(struct co__group *group, struct co_task *self)
{
	int masked = co_cancel_mask(1);
	struct co_deadline scope;

	co_deadline_mask(&scope);
	co__group_wait(group, self);
	co_deadline_end(&scope);
	co_cancel_mask(masked);
}

/* Whether there are no members, nobody is expected, and nobody waits. */
static bool is_idle(struct co__group *group)
{
	bool idle;

	pthread_mutex_lock(&group->lock);
	idle = group->live == 0 && group->waiter == NULL;
	pthread_mutex_unlock(&group->lock);

	return idle;
}

int co__group_end(struct co__group *group, struct co_task *self)
{
	int rc = 0;

	if (self != NULL)
		rc = co__group_begin_wait(group, self);
	else if (!is_idle(group))
		rc = -EBUSY;
	if (rc < 0)
		return rc;
	if (self != NULL)
		wait_masked(group, self);
	pthread_mutex_destroy(&group->lock);

	return 0;
}

/* --- Groups of the program ------------------------------------------------ */

struct group {
	const struct co_group *self;	/* constant: where it is; NULL: it was
					 * released */
	struct co_loop *loop;		/* constant */
	struct co__group tasks;		/* its flag: the first failure cancels
					 * the others */
	int result;			/* lock: the first other than 0 */
};

_Static_assert(sizeof(struct group) <= sizeof(struct co_group),
		"struct co_group has the room that a group needs");

static struct group *open_group(struct co_group *group)
{
	return (struct group *)(void *)group->private_;
}

/* Zeros are no group, nor is one that was released, or copied. */
static bool is_group(struct co_group *group)
{
	return group != NULL && open_group(group)->self == group;
}

int co_group_init(struct co_group *co_group, struct co_loop *loop,
		unsigned flags)
{
	struct group *group;

	loop = co__loop_or_current(loop);
	if (co_group == NULL || loop == NULL || (flags & ~CO_GROUP_FAIL_FAST))
		return -EINVAL;
	group = open_group(co_group);
	group->self = co_group;
	group->loop = loop;
	co__group_init(&group->tasks);
	group->tasks.flag = (flags & CO_GROUP_FAIL_FAST) != 0;
	group->result = 0;

	return 0;
}

/* MEMBER has ended with RESULT. */
static void end_member(struct group *group, struct co__member *member,
		int result)
{
	pthread_mutex_lock(&group->tasks.lock);
	if (group->result == 0 && result != 0) {
		group->result = result;
		if (group->tasks.flag)
			cancel_members(&group->tasks, member->task);
	}
	remove_member(&group->tasks, member);
	pthread_mutex_unlock(&group->tasks.lock);
}

int co__group_run(struct co_task *self)
{
	struct group *group = open_group(self->group);
	struct co__member member;
	int result;

	co__group_enter(&group->tasks, &member);
	result = self->fn(self->arg);
	end_member(group, &member, result);

	return result;
}

static int spawn(struct co_group *co_group, const struct co_task_attr *attr,
		co_task_fn *fn, void *arg, const void *at)
{
	struct group *group = open_group(co_group);
	int rc;

	co__group_expect(&group->tasks);
	rc = co__spawn_member(group->loop, co_group, attr, fn, arg, at);
	if (rc < 0)
		co__group_leave(&group->tasks, NULL);

	return rc;
}

co__noinline int co_group_spawn(struct co_group *group, co_task_fn *fn,
		void *arg)
{
	if (!is_group(group))
		return -EINVAL;

	return spawn(group, NULL, fn, arg, co__caller());
}

co__noinline int co_group_spawn_with(struct co_group *group,
		const struct co_task_attr *attr, co_task_fn *fn, void *arg)
{
	if (!is_group(group))
		return -EINVAL;

	return spawn(group, attr, fn, arg, co__caller());
}

/* All have ended: as new.  The lock is held. */
static int renew(struct group *group)
{
	int result = group->result;

	group->result = 0;
	group->tasks.cancelled = 0;

	return result;
}

int co_group_wait(struct co_group *co_group, int *ret_result)
{
	struct co_task *self;
	struct group *group;
	int rc, result = 0;

	if (!is_group(co_group))
		return -EINVAL;
	group = open_group(co_group);
	rc = co__wait_enter(&self);
	if (rc == 0)
		rc = co__group_begin_wait(&group->tasks, self);
	if (rc < 0)
		return rc;
	rc = wait_and_lock(&group->tasks, self);
	/* Before others may spawn, cancel or release. */
	if (rc == 0)
		result = renew(group);
	pthread_mutex_unlock(&group->tasks.lock);
	if (rc == 0 && ret_result != NULL)
		*ret_result = result;

	return rc;
}

int co_group_cancel(struct co_group *group)
{
	if (!is_group(group))
		return -EINVAL;
	co__group_cancel(&open_group(group)->tasks, NULL);

	return 0;
}

int co_group_deinit(struct co_group *co_group)
{
	struct co_task *self = co_self();
	struct group *group;
	int rc;

	if (co_group == NULL || open_group(co_group)->self == NULL)
		return 0;
	if (!is_group(co_group))
		return -EINVAL;
	group = open_group(co_group);
	co__group_cancel(&group->tasks, self);
	rc = co__group_end(&group->tasks, self);
	if (rc == 0)
		group->self = NULL;

	return rc;
}
