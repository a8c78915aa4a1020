/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_GROUP_H
#define COLOOP_GROUP_H

/*
 * Tasks that are waited for, and cancelled, together.              co_group(3)
 *
 * Threads     Any task or thread may spawn and cancel; one task at a time
 *             waits.
 * Ownership   The caller embeds the group, from init to deinit, after which no
 *             function of its tasks runs: so what they use may lie beside it.
 */

#include <coloop/base.h>
#include <coloop/task.h>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_loop;

/* The fields are the library's.  It is neither copied nor moved. */
struct co_group {
	void *private_[14];
};

/* Bits of the flags of a group. */
#define CO_GROUP_FAIL_FAST 1u	/* a task that doesn't return 0 has the others
				 * cancelled */

/* Make GROUP a group without tasks; those to come belong to LOOP, NULL: that of
 * the calling task.  -EINVAL: GROUP is NULL, there is no loop, or FLAGS has
 * other bits. */
CO_API int co_group_init(struct co_group *group, struct co_loop *loop,
		unsigned flags);

/* Spawn a task that belongs to GROUP.  It needs no join.  If the group was
 * cancelled, so is the task.  Who does so outside of the group's tasks sees to
 * it that the group isn't released meanwhile.  Any thread.
 * -ENOMEM.  -EINVAL: a null argument, or GROUP was released or copied; as
 * co_spawn_with(). */
CO_API int co_group_spawn(struct co_group *group, co_task_fn *fn, void *arg);
CO_API int co_group_spawn_with(struct co_group *group,
		const struct co_task_attr *attr, co_task_fn *fn, void *arg);

/* Wait until all tasks of GROUP have ended.  *RET_RESULT (may be NULL) is the
 * first result of one that wasn't 0, or 0.  Then the group is as new.
 * -ECANCELED, -ETIMEDOUT: of the caller; the tasks go on.  -EDEADLK: called by
 * one of them.  -EBUSY: another task waits.  -EPERM: not a task.  -EINVAL:
 * NULL, released, or a copy. */
CO_API int co_group_wait(struct co_group *group, int *ret_result);

/* Cancel all tasks of GROUP, and those to come, until all have ended and been
 * waited for.  Any thread.  -EINVAL: NULL, released, or a copy. */
CO_API int co_group_cancel(struct co_group *group);

/* Cancel all tasks of GROUP, wait until they have ended, whatever happens to
 * the caller, and release it.  Idempotent; NULL is allowed.  -EINVAL: a copy.
 * -EDEADLK: called by one of them.  -EBUSY: another task waits, or, outside of
 * a task, some have not ended.  Then they, but for the caller, are cancelled,
 * and GROUP is not released. */
CO_API int co_group_deinit(struct co_group *group);

#ifdef __cplusplus
}
#endif

#endif
