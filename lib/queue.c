/* SPDX-License-Identifier: MIT */

/*
 * queue.c - many put, one gets, in order
 *
 * States      A node that was put is in one of two lists: the inbox, newest
 *             first, or the getter's list, oldest first.  All that is in the
 *             getter's list was put before all that is in the inbox.
 *
 * Ownership   inbox_ is everybody's, first_ is the getter's.  The next_ of a
 *             node is the putter's until P3 succeeds, and the getter's from G1
 *             on; in between nobody touches it.
 *
 * Ordering      putter                          getter
 *               P1  read the newest node        G1  take the inbox, leave 0
 *               P2  link to it                  G2  turn the list around
 *               P3  replace it, if the same
 *
 *             The successful P3 is the moment of the put, and the order of
 *             these moments is that of the list.  G1 takes whatever was put
 *             until then and only happens once all that was taken before is
 *             served: so first in is first out, and what was put before a get
 *             began is found by it.
 *
 *             P3 releases the node and what the putter wrote before; G1
 *             acquires it.  G1 reads the newest node only, but between two of
 *             its moments inbox_ is changed by nothing but P3s, each of
 *             which is a read-modify-write: thus it acquires them all.
 *
 *             A putter may find at P3 the address that it read at P1 though
 *             that node was taken and put again meanwhile.  This is harmless:
 *             the link says what is below, and that is what is below.
 *
 * Progress    put and get are lock-free: P3 and G1 fail only if another P3
 *             or G1 succeeded.
 *
 * Rejected    Two inboxes, one to put in while the other is drained: a putter
 *             that chose its inbox late puts into the one that is served
 *             already, out of order, or where a get does not look.
 *             A swap at the tail with the link written afterwards: a putter
 *             stopped in between hides what others have put after it.
 */

#include <coloop/queue.h>

#include "atomic.h"
#include "checkers.h"

static struct co_queue_node *reverse(struct co_queue_node *newest)
{
	struct co_queue_node *oldest = NULL;

	while (newest != NULL) {
		struct co_queue_node *older = newest->next_;

		newest->next_ = oldest;
		oldest = newest;
		newest = older;
	}

	return oldest;
}

/* Take all that was put, newest first. */
static struct co_queue_node *take_inbox(struct co_queue *queue)
{
	size_t newest;

	do {
		newest = AO_load(&queue->inbox_);
		if (newest == 0)
			return NULL;
	/* G1: acquire, before G2 reads the nodes; pairs with P3. */
	} while (!AO_compare_and_swap_acquire(&queue->inbox_, newest, 0));
	co__checked_acquire(queue);

	return (struct co_queue_node *)newest;
}

void co_queue_init(struct co_queue *queue)
{
	AO_store(&queue->inbox_, 0);
	queue->first_ = NULL;
}

void co_queue_put(struct co_queue *queue, struct co_queue_node *node)
{
	size_t newest;

	co__checked_release(queue);
	do {
		newest = AO_load(&queue->inbox_);		/* P1 */
		node->next_ = (struct co_queue_node *)newest;	/* P2 */
	/* P3: release, P2 and the node's content before it; pairs with G1. */
	} while (!AO_compare_and_swap_release(&queue->inbox_, newest,
			(size_t)node));
	/* From here on the node may be taken, and gone. */
}

struct co_queue_node *co_queue_get(struct co_queue *queue)
{
	struct co_queue_node *first = queue->first_;

	if (first == NULL)
		first = reverse(take_inbox(queue));		/* G1, G2 */
	if (first != NULL)
		queue->first_ = first->next_;

	return first;
}

int co_queue_is_empty(const struct co_queue *queue)
{
	return queue->first_ == NULL && AO_load(&queue->inbox_) == 0;
}
