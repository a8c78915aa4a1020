/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LOCKED_H
#define COLOOP_LOCKED_H

/*
 * A value that can be reached only through its lock.            co_locked(3)
 *
 *	static CO_LOCKED(struct totals) totals = CO_LOCKED_INIT({ 0 });
 *
 *	struct totals *held = co_locked_acquire(&totals);
 *	if (held != NULL) {
 *		held->count++;
 *		co_locked_release(&totals);
 *	}
 */

#include <coloop/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A struct type: a value of TYPE and its lock. */
#define CO_LOCKED(type) struct { struct co_lock lock_; type value_; }

/* Its initial value: a free lock and the initializer of the value. */
#define CO_LOCKED_INIT(...) { CO_LOCK_INIT, __VA_ARGS__ }

/* Make the lock of a CO_LOCKED free; the value is left as it is. */
#define co_locked_init(locked) co_lock_init(&(locked)->lock_)

/* End the use of a CO_LOCKED.  As co_lock_deinit(). */
#define co_locked_deinit(locked) co_lock_deinit(&(locked)->lock_)

/* Wait for the lock.  Returns the address of the value, which is the caller's
 * until co_locked_release(), or NULL if co_lock_acquire() would have failed.
 * The type of the result is that of a pointer to the value. */
#define co_locked_acquire(locked)                                           \
	((__typeof__(&(locked)->value_))                                    \
		co_locked_acquire_value(&(locked)->lock_, &(locked)->value_))

/* The same without waiting: NULL if the lock isn't free.  Any thread. */
#define co_locked_try_acquire(locked)                                       \
	((__typeof__(&(locked)->value_))                                    \
		co_locked_try_acquire_value(&(locked)->lock_,               \
				&(locked)->value_))

/* Give the value back.  As co_lock_release(). */
#define co_locked_release(locked) co_lock_release(&(locked)->lock_)

/* The functions beneath the macros: VALUE if LOCK was acquired, else NULL. */
CO_API void *co_locked_acquire_value(struct co_lock *lock, void *value);
CO_API void *co_locked_try_acquire_value(struct co_lock *lock, void *value);

#ifdef __cplusplus
}
#endif

#endif
