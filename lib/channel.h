/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CHANNEL_H
#define COLOOP_LIB_CHANNEL_H

/*
 * channel.h - the state machine of a channel, for channel.c and select.c
 *
 * All of it runs with the channel's strand held.
 *
 * States      A ring of `length' items; a list of tasks that wait to put, and
 *             one of tasks that wait to get, each in the order of arrival.
 *             `room' is the capacity, or 0 once the channel is closed.
 * Invariant   Getters wait only if the ring is empty and nobody waits to put;
 *             putters wait only if the ring is full; in a closed channel
 *             nobody waits.  Waiters whose wait has ended otherwise, and who
 *             have not left the list yet, don't count.
 * Ownership   A waiter's node lies in its caller's memory.  It leaves the list
 *             by who serves it, or by its task, which holds the strand for
 *             that before its call returns.
 */

#include <coloop/channel.h>

#include "list.h"
#include "strand.h"
#include "wait.h"

struct co__waiter {
	struct co__list link;		/* strand */
	struct co_task *task;		/* constant */
	AO_t ticket;			/* constant */
	void *item;			/* constant: to put, or where to get */
	int result;			/* strand: 0 or -EPIPE, if served */
	int served;			/* strand: the wait was ended by this */
};

struct co_channel {
	struct co__strand strand;
	AO_t length;			/* strand to change; relaxed to read */
	size_t room;			/* strand: see above */
	size_t item_size;		/* constant */
	unsigned char *get_at;		/* strand: the oldest item */
	unsigned char *put_at;		/* strand: behind the newest */
	unsigned char *end;		/* constant: of the ring */
	struct co__list putters;	/* strand: struct co__waiter */
	struct co__list getters;	/* strand: struct co__waiter */
	size_t capacity;		/* constant */
	bool closed;			/* strand */
	struct co_loop *loop;		/* constant */
	unsigned char items[];		/* strand: the ring */
};

/* Put or get without waiting: 0, -EPIPE, or -EAGAIN.  *RET_WOKEN is a task to
 * be made ready when the strand is free, or NULL. */
int co__channel_put_now(struct co_channel *channel, const void *item,
		struct co_task **ret_woken);
int co__channel_get_now(struct co_channel *channel, void *ret_item,
		struct co_task **ret_woken);

/* Whether put_now or get_now would not say -EAGAIN at this moment. */
bool co__channel_can_put(struct co_channel *channel);
bool co__channel_can_get(struct co_channel *channel);

/* Whether ITEM will do for CHANNEL. */
static inline bool co__channel_takes(const struct co_channel *channel,
		const void *item)
{
	return channel != NULL && (item != NULL || channel->item_size == 0);
}

#endif
