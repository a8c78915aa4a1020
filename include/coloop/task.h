/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TASK_H
#define COLOOP_TASK_H

/*
 * Tasks: stackful coroutines.                                    co_task(3)
 *
 * Threads     A task may go on in another thread of its loop after each
 *             blocking call.  Pointers to thread-local variables, errno among
 *             them, don't survive one.
 * Ownership   A task's handle is valid until co_join() took its result or
 *             co_detach() gave it up.
 * Blocking    Calls that block return -ECANCELED once the task was cancelled,
 *             -ETIMEDOUT once a deadline of co_time(3) has passed, -EPERM
 *             outside of a task.
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_loop;
struct co_task;

/* What a task runs.  By convention it returns 0 or a negative errno value;
 * whatever it returns is what co_join() gets. */
typedef int co_task_fn(void *arg);

/* The longest name of a task, in bytes; a longer one is cut. */
#define CO_TASK_NAME_MAX 31u

/* How to spawn a task.  Begin with CO_TASK_ATTR_INIT; zero means default. */
struct co_task_attr {
	size_t size;		/* sizeof(struct co_task_attr) */
	size_t stack_size;	/* bytes; rounded up to a power of two, of two
				 * pages at least.  16 KiB to 1 GiB.  0: that
				 * of the loop */
	const char *name;	/* copied; NULL: none */
	unsigned pinned;	/* not 0: always the same thread */
	unsigned reserved[5];	/* zero */
};

#define CO_TASK_ATTR_INIT { sizeof(struct co_task_attr), 0, NULL, 0,         \
			{ 0, 0, 0, 0, 0 } }

/* Make a task of LOOP that runs FN(ARG).  LOOP may be NULL in a task: its own
 * loop.  If RET_TASK is NULL the task is detached.  Any thread.
 * -EINVAL: FN or LOOP is NULL, or ATTR makes no sense.  -ENOMEM: no stack. */
CO_API int co_spawn(struct co_loop *loop, co_task_fn *fn, void *arg,
		struct co_task **ret_task);
CO_API int co_spawn_with(struct co_loop *loop, const struct co_task_attr *attr,
		co_task_fn *fn, void *arg, struct co_task **ret_task);

/* Wait until TASK has ended, take its result, and release it.  RET_RESULT may
 * be NULL.  Outside of a task it works for a task that has ended.
 * -EDEADLK: TASK is the caller.  -EINVAL: NULL, detached, or already joined as
 * far as can be seen.  -EBUSY: another task is joining it.  -ECANCELED,
 * -ETIMEDOUT, -EPERM: TASK is still there to be joined. */
CO_API int co_join(struct co_task *task, int *ret_result);

/* Let TASK release itself when it ends.  Any thread.  -EINVAL: as co_join().
 * -EBUSY: a task is joining it. */
CO_API int co_detach(struct co_task *task);

/* Cancel TASK: the blocking call it is in, and each later one, returns
 * -ECANCELED.  Sticky; idempotent.  A task that has not begun begins all the
 * same.  Any thread that can tell that TASK has not been released; a detached
 * task may be cancelled while it runs.  -EINVAL: NULL, or already joined as far
 * as can be seen. */
CO_API int co_cancel(struct co_task *task);

/* Hide (MASKED not 0) or show (0) cancellation to the calling task.  Returns
 * what it was, 1 or 0, or -EPERM.  Masks don't nest: restore what it was. */
CO_API int co_cancel_mask(int masked);

/* The calling task, or NULL outside of a task. */
CO_API struct co_task *co_self(void);

/* Let others run first.  0, -ECANCELED, -ETIMEDOUT, -EPERM.  In C++, where
 * co_yield is a keyword since C++20, it is called co_task_yield(). */
#ifndef __cplusplus
CO_API int co_yield(void);
#else
int co_task_yield(void) __asm__("co_yield");
#endif

/* Called by co_suspend() when the task no longer runs. */
typedef void co_parked_fn(struct co_task *task, void *arg);

/* Stop running the calling task, then call PARKED(task, ARG) elsewhere; it
 * must not block.  From its first instruction any thread may co_resume() the
 * task, so neither PARKED nor who it told may rely on the task's frame after
 * that.  A cancellation or a deadline is looked at when PARKED has returned.
 * 0: resumed.  -ECANCELED, -ETIMEDOUT: not resumed; then the caller must take
 * back the handle from whom PARKED gave it to, if it was called: it isn't if
 * the task was cancelled or the deadline had passed before.
 * -EPERM, -EINVAL. */
CO_API int co_suspend(co_parked_fn *parked, void *arg);

/* Let TASK return from co_suspend().  Never runs it inline.  Any thread.
 * 0: it was suspended, and will return 0.  -EALREADY: it isn't suspended (any
 * more); nothing was done.  -EINVAL: NULL. */
CO_API int co_resume(struct co_task *task);

/* Name the calling task (TASK is NULL) or TASK, for co_loop_dump() and
 * debuggers.  The name is copied.  NULL: no name.  -EINVAL. */
CO_API int co_task_set_name(struct co_task *task, const char *name);

/* The name of TASK (NULL: the calling one), "" if it has none.  Valid until it
 * is renamed or released.  NULL outside of a task. */
CO_API const char *co_task_name(struct co_task *task);

#ifdef __cplusplus
}
#endif

#endif
