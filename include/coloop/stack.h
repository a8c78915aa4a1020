/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_STACK_H
#define COLOOP_STACK_H

/*
 * An intrusive last-in first-out stack for many threads.        co_stack(3)
 *
 * Threads     Any number of threads or tasks may push and pop at once.
 * Ownership   The caller brings the nodes: a push can't fail.  From push until
 *             pop returned it, a node is the stack's; then it may be freed or
 *             pushed again at once.
 * Order       What the pusher wrote before push is visible to the popper of
 *             that node.
 * Progress    push is lock-free.  Poppers take turns: one that
 *             finds another in the middle of its pop waits for it.
 */

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_stack_node {
	struct co_stack_node *next_;
};

struct co_stack {
	size_t top_;	/* atomic: address of the top node; bit 0: it is being
			 * popped */
};

#define CO_STACK_INIT { 0 }

/* Make STACK empty. */
CO_API void co_stack_init(struct co_stack *stack);

/* Put NODE on top. */
CO_API void co_stack_push(struct co_stack *stack, struct co_stack_node *node);

/* Put NODE on top if the stack is empty, and return 1; else return 0, and NODE
 * is still the caller's. */
CO_API int co_stack_push_first(struct co_stack *stack,
		struct co_stack_node *node);

/* Take the top node, or NULL if the stack is empty. */
CO_API struct co_stack_node *co_stack_pop(struct co_stack *stack);

/* 1 if the stack is empty at this moment, else 0. */
CO_API int co_stack_is_empty(const struct co_stack *stack);

#ifdef __cplusplus
}
#endif

#endif
