/* SPDX-License-Identifier: MIT */

/* locked.c - the functions beneath the macros of locked.h */

#include <coloop/locked.h>

void *co_locked_acquire_value(struct co_lock *lock, void *value)
{
	return co_lock_acquire(lock) == 0 ? value : NULL;
}

void *co_locked_try_acquire_value(struct co_lock *lock, void *value)
{
	return co_lock_try_acquire(lock) == 0 ? value : NULL;
}
