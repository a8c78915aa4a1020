/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LOCK_H
#define COLOOP_LOCK_H

/*
 * A lock for tasks, granted in the order of asking.               co_lock(3)
 *
 * Threads     Tasks of any loop and thread may share a lock.  No thread ever
 *             blocks on it: a task that has to wait is parked.
 * Ownership   The caller embeds the lock and keeps it until co_lock_deinit().
 * Order       What the holder wrote before release is visible to the next.
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_lock {
	size_t private_[4];
};

#define CO_LOCK_INIT { { 0, 0, 0, 0 } }

/* Make LOCK free.  Same as CO_LOCK_INIT. */
CO_API void co_lock_init(struct co_lock *lock);

/* End the use of LOCK.  -EBUSY: it is held or waited for.  NULL is allowed. */
CO_API int co_lock_deinit(struct co_lock *lock);

/* Wait until the lock is the caller's.  0: it is.  -ECANCELED, -ETIMEDOUT,
 * -EPERM (not a task), -EINVAL (NULL): it is not.  A task that holds the lock
 * and acquires it again waits for ever. */
CO_API CO_MUST_CHECK int co_lock_acquire(struct co_lock *lock);

/* Take the lock if it is free.  -EAGAIN: it isn't.  Any thread. */
CO_API int co_lock_try_acquire(struct co_lock *lock);

/* Give the lock to the task that has waited longest, or make it free.  Never
 * waits.  Any thread: a lock may be released by another than who acquired it.
 * -EPERM: nobody holds it.  -EINVAL: NULL. */
CO_API int co_lock_release(struct co_lock *lock);

#ifdef __cplusplus
}
#endif

#endif
