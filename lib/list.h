/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_LIST_H
#define COLOOP_LIB_LIST_H

/*
 * list.h - doubly linked lists with the links in the members
 *
 * A list is a ring through its head.  A node that is in no list has null
 * links, so that it can be asked.
 */

#include <stdbool.h>
#include <stddef.h>

struct co__list {
	struct co__list *next;
	struct co__list *prev;
};

static inline void co__list_init(struct co__list *list)
{
	list->next = list->prev = list;
}

static inline bool co__list_is_empty(const struct co__list *list)
{
	return list->next == list;
}

static inline bool co__list_is_linked(const struct co__list *node)
{
	return node->next != NULL;
}

static inline void co__list_append(struct co__list *list, struct co__list *node)
{
	node->next = list;
	node->prev = list->prev;
	list->prev->next = node;
	list->prev = node;
}

static inline void co__list_remove(struct co__list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/* The first node, which is no longer in the list; NULL if it is empty. */
static inline struct co__list *co__list_take(struct co__list *list)
{
	struct co__list *node = list->next;

	if (node == list)
		return NULL;
	co__list_remove(node);

	return node;
}

#endif
