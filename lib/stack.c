/* SPDX-License-Identifier: MIT */

/*
 * stack.c - many push and many pop, last in first out
 *
 * States      top_ is one of
 *
 *               0               empty
 *               node            free: nobody pops
 *               node | TURN     one popper, the owner, has the turn
 *
 *             It is changed by these transitions only:
 *
 *               any state -> a new node, TURN as it was    push, at P3
 *               node -> node | TURN                        pop, at T1
 *               node | TURN -> next_ of that node          pop, at T3
 *
 * Invariant   With TURN set there is a node, for the turn is taken with one on
 *             the stack, and given back by taking one away.
 *
 * Ownership   From P3 until T3 a node is the stack's, and its next_ does not
 *             change.  Only the owner of the turn reads it.  So no popper ever
 *             looks into a node that another one took and freed, and none
 *             finds the same address on top twice with other nodes beneath:
 *             with the turn taken, what was pushed stays.
 *
 * Ordering      pusher                          popper
 *               P1  read the top                T1  take the turn
 *               P2  link to it                  T2  read the top's link
 *               P3  replace it, if the same     T3  put the link in place of
 *                                                   the top, if the same, and
 *                                                   give the turn back
 *
 *             P3 releases the node and what the pusher wrote before.  Every
 *             change of top_ is a read-modify-write, so whoever acquires any
 *             later value of it has all earlier pushes: T1 and, if a
 *             push made T3 fail, the new look at the top.
 *
 *             T3 releases what T2 read: after a failed T3, the node that was
 *             looked at in vain is still on the stack, and whoever takes the
 *             turn next may free it.
 *
 * Progress    push and push_first are lock-free: they wait for no turn.  pop
 *             waits for at most one other pop at a time, which may
 *             be preempted: so a waiter soon gives the processor away.
 *
 * Rejected    Pop by one compare-and-swap: it reads the link of a node that may
 *             be freed, and may succeed with an outdated link (ABA).
 *             A version beside the pointer: needs a double-width
 *             compare-and-swap, which many machines lack, and still reads
 *             freed nodes.
 *             To take the whole stack and give the rest back: others
 *             find it empty meanwhile.
 */

#include <coloop/stack.h>

#include "assert.h"
#include "atomic.h"
#include "checkers.h"
#include "spin.h"

#define TURN ((size_t)1)

static struct co_stack_node *node_of(size_t top)
{
	return (struct co_stack_node *)(top & ~TURN);
}

/* node -> node | TURN.  Returns the new top, or 0 if the stack is empty. */
static size_t take_turn(struct co_stack *stack)
{
	for (unsigned int count = 0;; count++) {
		size_t top = AO_load(&stack->top_);

		if (top == 0)
			return 0;
		/* T1: acquire, before T2; pairs with P3 and T3. */
		if ((top & TURN) == 0 && AO_compare_and_swap_acquire(
				&stack->top_, top, top | TURN))
			return top | TURN;
		co__spin_relax(count);
	}
}

void co_stack_init(struct co_stack *stack)
{
	AO_store(&stack->top_, 0);
}

void co_stack_push(struct co_stack *stack, struct co_stack_node *node)
{
	size_t top;

	co__assert(((size_t)node & TURN) == 0);
	co__checked_release(stack);
	do {
		top = AO_load(&stack->top_);			/* P1 */
		node->next_ = node_of(top);			/* P2 */
	/* P3: release, P2 and the node's content before it; pairs with T1. */
	} while (!AO_compare_and_swap_release(&stack->top_, top,
			(size_t)node | (top & TURN)));
	/* From here on the node may be popped, and gone. */
}

int co_stack_push_first(struct co_stack *stack, struct co_stack_node *node)
{
	co__assert(((size_t)node & TURN) == 0);
	if (AO_load(&stack->top_) != 0)				/* P1 */
		return 0;
	node->next_ = NULL;					/* P2 */
	co__checked_release(stack);
	/* P3: release, as in co_stack_push(); pairs with T1. */
	return AO_compare_and_swap_release(&stack->top_, 0, (size_t)node) != 0;
}

struct co_stack_node *co_stack_pop(struct co_stack *stack)
{
	size_t top = take_turn(stack);				/* T1 */

	while (top != 0) {
		size_t next = (size_t)node_of(top)->next_;	/* T2 */

		/* T3: release, T2 before it; pairs with T1 of the next. */
		if (AO_compare_and_swap_release(&stack->top_, top, next))
			break;
		/* Acquire: T2 reads a node just pushed; pairs with P3. */
		top = AO_load_acquire(&stack->top_);
	}
	co__checked_acquire(stack);

	return node_of(top);
}

int co_stack_is_empty(const struct co_stack *stack)
{
	return AO_load(&stack->top_) == 0;
}
