/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_CHANNEL_H
#define COLOOP_CHANNEL_H

/*
 * Channels carry items of a fixed size between tasks.          co_channel(3)
 *
 * A put waits while the channel is full, a get while it is empty.  With
 * capacity 0 the two meet: the put returns when its item has been taken.
 * Waiting tasks are served in the order in which they came.
 *
 * Threads     Every call but create and destroy: any number of tasks of any
 *             loop.  try_put, try_get, close, length and capacity: also any
 *             thread.
 * Ownership   Items are copied in and out; no pointer to the caller's memory
 *             is kept past the return of a call.
 * Order       What was written before a put is visible after the get of its
 *             item.
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_channel;
struct co_loop;

/* The largest item, in bytes. */
#define CO_CHANNEL_ITEM_MAX ((size_t)1 << 30)

/* Make a channel of up to CAPACITY items of ITEM_SIZE bytes each, which may be
 * 0: a channel of signals.  The memory comes from the allocator of LOOP, which
 * must outlive the channel; LOOP may be NULL in a task: its own.
 * -EINVAL: no loop, or an item too large.  -ENOMEM: no memory, or a capacity
 * whose bytes can't be counted. */
CO_API int co_channel_create(struct co_loop *loop, size_t item_size,
		size_t capacity, struct co_channel **ret_channel);

/* Free a channel that no task is using.  Items in it are lost.  NULL is
 * allowed.  -EBUSY: a task waits in it. */
CO_API int co_channel_destroy(struct co_channel *channel);

/* Append *ITEM, waiting for room.  ITEM may be NULL if the size is 0.
 * -EPIPE: closed.  -ECANCELED, -ETIMEDOUT, -EPERM, -EINVAL.  On any of these
 * the item was not sent. */
CO_API int co_channel_put(struct co_channel *channel, const void *item);

/* Take the oldest item into *RET_ITEM, waiting for one.  RET_ITEM may be NULL
 * if the size is 0.
 * -EPIPE: closed, and nothing left.  -ECANCELED, -ETIMEDOUT, -EPERM, -EINVAL.
 * On any of these no item was taken. */
CO_API int co_channel_get(struct co_channel *channel, void *ret_item);

/* The same without waiting.  -EAGAIN: it would have to wait.  Any thread. */
CO_API int co_channel_try_put(struct co_channel *channel, const void *item);
CO_API int co_channel_try_get(struct co_channel *channel, void *ret_item);

/* Refuse further puts; gets take what is left.  Tasks that wait to put, and
 * those that wait to get while nothing is left, return -EPIPE.  Idempotent.
 * Any thread.  -EINVAL: NULL. */
CO_API int co_channel_close(struct co_channel *channel);

/* How many items are in the channel at this moment, and how many it can hold;
 * 0 for NULL.  Any thread. */
CO_API size_t co_channel_length(const struct co_channel *channel);
CO_API size_t co_channel_capacity(const struct co_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
