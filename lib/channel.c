/* SPDX-License-Identifier: MIT */

/*
 * channel.c - see channel.h for the state machine
 *
 * An item goes straight from who puts it to who waits for it, and into the
 * ring only if nobody does.  Who takes an item from a full ring moves that of
 * the first waiting putter into the ring at once, so order is kept.
 *
 * A waiter is claimed before its item is touched: if its wait has ended by a
 * deadline or a cancellation, the claim fails, and nothing has been moved.
 */

#include "channel.h"

#include <errno.h>
#include <string.h>

#include "loop.h"
#include "worker.h"

/* --- The state machine; the strand is held ------------------------------- */

static inline void copy_item(const struct co_channel *channel, void *to,
		const void *from)
{
	if (co__likely(channel->item_size == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else if (channel->item_size != 0)
		memcpy(to, from, channel->item_size);
}

/* The place in the ring after PLACE. */
static inline unsigned char *after(struct co_channel *channel,
		unsigned char *place)
{
	place += channel->item_size;

	return place == channel->end ? channel->items : place;
}

/* The ring has room. */
static inline void append(struct co_channel *channel, const void *item)
{
	copy_item(channel, channel->put_at, item);
	channel->put_at = after(channel, channel->put_at);
	AO_store(&channel->length, AO_load(&channel->length) + 1);
}

/* The ring isn't empty. */
static inline void take_oldest(struct co_channel *channel, void *ret_item)
{
	copy_item(channel, ret_item, channel->get_at);
	channel->get_at = after(channel, channel->get_at);
	AO_store(&channel->length, AO_load(&channel->length) - 1);
}

/* The first waiter of LIST that still waits, claimed and out of the list, or
 * NULL. */
static struct co__waiter *claim_some(struct co__list *list)
{
	struct co__list *link;

	while ((link = co__list_take(list)) != NULL) {
		struct co__waiter *waiter = co__container_of(link,
				struct co__waiter, link);

		if (co__wait_claim(waiter->task, waiter->ticket, 0))
			return waiter;
	}

	return NULL;
}

static inline struct co__waiter *claim_first(struct co__list *list)
{
	return co__list_is_empty(list) ? NULL : claim_some(list);
}

static inline struct co_task *serve(struct co__waiter *waiter, int result)
{
	waiter->result = result;
	waiter->served = 1;

	return waiter->task;
}

static co__always_inline int put_now(struct co_channel *channel,
		const void *item, struct co_task **ret_woken)
{
	struct co__waiter *getter;

	*ret_woken = NULL;
	if (channel->closed)
		return -EPIPE;
	getter = claim_first(&channel->getters);
	if (getter != NULL) {
		copy_item(channel, getter->item, item);
		*ret_woken = serve(getter, 0);
		return 0;
	}
	if (AO_load(&channel->length) == channel->room)
		return -EAGAIN;
	append(channel, item);

	return 0;
}

int co__channel_put_now(struct co_channel *channel, const void *item,
		struct co_task **ret_woken)
{
	return put_now(channel, item, ret_woken);
}

/* Take the oldest item of the ring, and let a putter move up. */
static inline struct co_task *take_from_ring(struct co_channel *channel,
		void *ret_item)
{
	struct co__waiter *putter;

	take_oldest(channel, ret_item);
	putter = claim_first(&channel->putters);
	if (putter == NULL)
		return NULL;
	append(channel, putter->item);

	return serve(putter, 0);
}

static co__always_inline int get_now(struct co_channel *channel, void *ret_item,
		struct co_task **ret_woken)
{
	struct co__waiter *putter;

	*ret_woken = NULL;
	if (AO_load(&channel->length) > 0) {
		*ret_woken = take_from_ring(channel, ret_item);
		return 0;
	}
	putter = claim_first(&channel->putters);
	if (putter != NULL) {
		copy_item(channel, ret_item, putter->item);
		*ret_woken = serve(putter, 0);
		return 0;
	}

	return channel->closed ? -EPIPE : -EAGAIN;
}

int co__channel_get_now(struct co_channel *channel, void *ret_item,
		struct co_task **ret_woken)
{
	return get_now(channel, ret_item, ret_woken);
}

/* Whether somebody in LIST still waits; those who don't leave it. */
static bool has_waiter(struct co__list *list)
{
	while (!co__list_is_empty(list)) {
		struct co__waiter *waiter = co__container_of(list->next,
				struct co__waiter, link);

		if (co__wait_is_claimable(waiter->task, waiter->ticket))
			return true;
		co__list_remove(&waiter->link);
	}

	return false;
}

bool co__channel_can_put(struct co_channel *channel)
{
	return channel->closed
		|| AO_load(&channel->length) < channel->capacity
		|| has_waiter(&channel->getters);
}

bool co__channel_can_get(struct co_channel *channel)
{
	return channel->closed || AO_load(&channel->length) > 0
		|| has_waiter(&channel->putters);
}

/* Put WAITER at the end of LIST, park, and see what came of it.  Releases the
 * strand. */
static co__noinline int wait_in(struct co_channel *channel,
		struct co__list *list, struct co_task *self,
		enum co__wait_kind kind, void *item)
{
	struct co__waiter waiter = { .task = self,
		.ticket = co__wait_ticket(self), .item = item };
	int rc;

	co__list_append(list, &waiter.link);
	rc = co__strand_park(&channel->strand, self, kind, channel);
	if (co__likely(rc == 0))
		return waiter.result;
	co__strand_acquire(&channel->strand, self);
	if (co__list_is_linked(&waiter.link))
		co__list_remove(&waiter.link);
	co__strand_release(&channel->strand, co__seat_of(self));

	return rc;
}

/* --- The calls ----------------------------------------------------------- */

/* The size of the memory of a channel, or 0 if it can't be counted. */
static size_t channel_size(size_t item_size, size_t capacity)
{
	size_t most = SIZE_MAX / 2 - sizeof(struct co_channel);

	if (item_size != 0 && capacity > most / item_size)
		return 0;

	return sizeof(struct co_channel) + item_size * capacity;
}

int co_channel_create(struct co_loop *loop, size_t item_size, size_t capacity,
		struct co_channel **ret_channel)
{
	struct co_channel *channel;
	size_t size;

	loop = co__loop_or_current(loop);
	if (loop == NULL || ret_channel == NULL
			|| item_size > CO_CHANNEL_ITEM_MAX)
		return -EINVAL;
	size = channel_size(item_size, capacity);
	if (size == 0)
		return -ENOMEM;
	/* Else the neighbour in memory, another channel perhaps, would be taken
	 * away from another thread with each put and get. */
	channel = co__loop_allocate_lines(loop, size);
	if (channel == NULL)
		return -ENOMEM;
	memset(channel, 0, sizeof *channel);
	channel->capacity = channel->room = capacity;
	channel->item_size = item_size;
	channel->get_at = channel->put_at = channel->items;
	channel->end = channel->items + capacity * item_size;
	channel->loop = loop;
	co__list_init(&channel->putters);
	co__list_init(&channel->getters);
	*ret_channel = channel;

	return 0;
}

int co_channel_destroy(struct co_channel *channel)
{
	struct co__seat *seat = co__seat_here();
	bool waited;

	if (channel == NULL)
		return 0;
	co__strand_acquire(&channel->strand, NULL);
	waited = !co__list_is_empty(&channel->putters)
			|| !co__list_is_empty(&channel->getters);
	co__strand_release(&channel->strand, seat);
	if (waited)
		return -EBUSY;
	co__loop_release_lines(channel->loop, channel, channel_size(
			channel->item_size, channel->capacity));

	return 0;
}

/* What follows each operation: wake the other side, if there is one. */
static inline void wake(struct co_task *woken)
{
	if (woken != NULL)
		co__ready(woken);
}

/* Put, or wait.  SELF holds the strand, which is released. */
static co__noinline int put_or_wait(struct co_channel *channel,
		struct co_task *self, const void *item)
{
	struct co_task *woken;
	int rc = put_now(channel, item, &woken);

	if (rc == -EAGAIN) {
		rc = co__wait_prepare(self);
		if (rc == 0)
			return wait_in(channel, &channel->putters, self,
					CO__IN_PUT, (void *)item);
	}
	co__strand_release(&channel->strand, co__seat_of(self));
	wake(woken);

	return rc;
}

static co__noinline int get_or_wait(struct co_channel *channel,
		struct co_task *self, void *ret_item)
{
	struct co_task *woken;
	int rc = get_now(channel, ret_item, &woken);

	if (rc == -EAGAIN) {
		rc = co__wait_prepare(self);
		if (rc == 0)
			return wait_in(channel, &channel->getters, self,
					CO__IN_GET, ret_item);
	}
	co__strand_release(&channel->strand, co__seat_of(self));
	wake(woken);

	return rc;
}

/* Two ways of the same that take fewer registers than all of it. */

/* There are getters, but they may have ceased to wait. */
static co__noinline int put_or_serve(struct co_channel *channel,
		struct co_task *self, const void *item)
{
	struct co__waiter *getter = claim_some(&channel->getters);
	struct co_task *woken;

	if (co__unlikely(getter == NULL))
		return put_or_wait(channel, self, item);
	copy_item(channel, getter->item, item);
	woken = serve(getter, 0);
	co__strand_release(&channel->strand, co__seat_of(self));
	co__ready(woken);

	return 0;
}

/* The ring is empty, and there are putters, but likewise. */
static co__noinline int get_or_serve(struct co_channel *channel,
		struct co_task *self, void *ret_item)
{
	struct co__waiter *putter = claim_some(&channel->putters);
	struct co_task *woken;

	if (co__unlikely(putter == NULL))
		return get_or_wait(channel, self, ret_item);
	copy_item(channel, ret_item, putter->item);
	woken = serve(putter, 0);
	co__strand_release(&channel->strand, co__seat_of(self));
	co__ready(woken);

	return 0;
}

/* Put, or wait, by the shortest way. */
static co__noinline int put_held(struct co_channel *channel,
		struct co_task *self, const void *item)
{
	if (co__likely(!co__list_is_empty(&channel->getters)))
		return put_or_serve(channel, self, item);
	if (AO_load(&channel->length) == channel->room && !channel->closed
			&& co__wait_is_plain(self))
		return wait_in(channel, &channel->putters, self, CO__IN_PUT,
				(void *)item);

	return put_or_wait(channel, self, item);
}

static co__noinline int get_held(struct co_channel *channel,
		struct co_task *self, void *ret_item)
{
	if (AO_load(&channel->length) != 0)
		return get_or_wait(channel, self, ret_item);
	if (!co__list_is_empty(&channel->putters))
		return get_or_serve(channel, self, ret_item);
	if (co__likely(!channel->closed && co__wait_is_plain(self)))
		return wait_in(channel, &channel->getters, self, CO__IN_GET,
				ret_item);

	return get_or_wait(channel, self, ret_item);
}

/* The beginning of a put or get, ITEM, whatever may come.  *RET_SELF is the
 * calling task, and holds the strand. */
static int begin(struct co_channel *channel, const void *item,
		struct co_task **ret_self)
{
	int rc;

	if (!co__channel_takes(channel, item))
		return -EINVAL;
	rc = co__wait_enter(ret_self);
	if (rc == 0)
		co__strand_acquire(&channel->strand, *ret_self);

	return rc;
}

static co__noinline int put_slowly(struct co_channel *channel, const void *item)
{
	struct co_task *self;
	int rc = begin(channel, item, &self);

	return rc < 0 ? rc : put_held(channel, self, item);
}

static co__noinline int get_slowly(struct co_channel *channel, void *ret_item)
{
	struct co_task *self;
	int rc = begin(channel, ret_item, &self);

	return rc < 0 ? rc : get_held(channel, self, ret_item);
}

/* Whether a put or get by SELF of ITEM may be done quickly, so far: SELF is a
 * task without news, and ITEM is there. */
static inline bool is_usual(const struct co_channel *channel, const void *item,
		const struct co_task *self)
{
	return channel != NULL && item != NULL && self != NULL
			&& co__wait_is_plain(self);
}

/* Whether a put, or a get, of a word is between the ring and its caller. */
static inline bool is_quick_put(const struct co_channel *channel)
{
	return AO_load(&channel->length) < channel->room
			&& channel->item_size == sizeof(uint64_t)
			&& co__list_is_empty(&channel->getters);
}

static inline bool is_quick_get(const struct co_channel *channel)
{
	return AO_load(&channel->length) != 0
			&& channel->item_size == sizeof(uint64_t)
			&& co__list_is_empty(&channel->putters);
}

/* What is done at once calls nothing, so it saves no registers.  It is there
 * twice: a strand that is owned is most often released as it was taken. */

static co__noinline int put_shared(struct co_channel *channel,
		struct co_task *self, const void *item)
{
	if (co__unlikely(!co__strand_try_free(&channel->strand)))
		return put_slowly(channel, item);
	if (co__unlikely(!is_quick_put(channel)))
		return put_held(channel, self, item);
	append(channel, item);
	co__strand_release(&channel->strand, co__seat_of(self));

	return 0;
}

int co_channel_put(struct co_channel *channel, const void *item)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *self = co__worker_self();

	if (co__unlikely(!is_usual(channel, item, self)))
		return put_slowly(channel, item);
	if (co__unlikely(!co__strand_try_own(&channel->strand, seat)))
		return put_shared(channel, self, item);
	if (co__unlikely(!is_quick_put(channel)))
		return put_held(channel, self, item);
	append(channel, item);
	co__strand_release_own(seat);

	return 0;
}

static co__noinline int get_shared(struct co_channel *channel,
		struct co_task *self, void *ret_item)
{
	if (co__unlikely(!co__strand_try_free(&channel->strand)))
		return get_slowly(channel, ret_item);
	if (co__unlikely(!is_quick_get(channel)))
		return get_held(channel, self, ret_item);
	take_oldest(channel, ret_item);
	co__strand_release(&channel->strand, co__seat_of(self));

	return 0;
}

int co_channel_get(struct co_channel *channel, void *ret_item)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *self = co__worker_self();

	if (co__unlikely(!is_usual(channel, ret_item, self)))
		return get_slowly(channel, ret_item);
	if (co__unlikely(!co__strand_try_own(&channel->strand, seat)))
		return get_shared(channel, self, ret_item);
	if (co__unlikely(!is_quick_get(channel)))
		return get_held(channel, self, ret_item);
	take_oldest(channel, ret_item);
	co__strand_release_own(seat);

	return 0;
}

int co_channel_try_put(struct co_channel *channel, const void *item)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *woken;
	int rc;

	if (!co__channel_takes(channel, item))
		return -EINVAL;
	co__strand_acquire(&channel->strand, NULL);
	rc = put_now(channel, item, &woken);
	co__strand_release(&channel->strand, seat);
	wake(woken);

	return rc;
}

int co_channel_try_get(struct co_channel *channel, void *ret_item)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *woken;
	int rc;

	if (!co__channel_takes(channel, ret_item))
		return -EINVAL;
	co__strand_acquire(&channel->strand, NULL);
	rc = get_now(channel, ret_item, &woken);
	co__strand_release(&channel->strand, seat);
	wake(woken);

	return rc;
}

/* Serve all of LIST with -EPIPE; chained by tick.private_[0] before CHAIN. */
static struct co_task *refuse_all(struct co__list *list, struct co_task *chain)
{
	struct co__waiter *waiter;

	while ((waiter = claim_first(list)) != NULL) {
		waiter->task->tick.private_[0] = chain;
		chain = serve(waiter, -EPIPE);
	}

	return chain;
}

int co_channel_close(struct co_channel *channel)
{
	struct co__seat *seat = co__seat_here();
	struct co_task *chain;

	if (channel == NULL)
		return -EINVAL;
	co__strand_acquire(&channel->strand, NULL);
	channel->closed = true;
	channel->room = 0;
	chain = refuse_all(&channel->putters, NULL);
	chain = refuse_all(&channel->getters, chain);
	co__strand_release(&channel->strand, seat);
	while (chain != NULL) {
		struct co_task *task = chain;

		chain = task->tick.private_[0];
		co__ready(task);
	}

	return 0;
}

size_t co_channel_length(const struct co_channel *channel)
{
	return channel != NULL ? AO_load(&channel->length) : 0;
}

size_t co_channel_capacity(const struct co_channel *channel)
{
	return channel != NULL ? channel->capacity : 0;
}
