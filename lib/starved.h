/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_STARVED_H
#define COLOOP_LIB_STARVED_H

/*
 * starved.h - tasks that wait for a descriptor to be freed
 *
 * Who got no descriptor, for want of one or of memory, enters the list of the
 * starved, tries once more, since one may have been freed in between, and then
 * waits until this library closes one, or for a time: others close some too.
 *
 * Ownership   An entry lies on the stack of its task, which leaves the list
 *             before it goes on; or the loop takes it out before its stacks
 *             vanish.
 * Ordering    F1 close(2)                  W1 enter the list, empty the gate
 *             F2 fence                     W2 fence
 *             F3 look at the list          W3 try again
 *
 *             If F3 misses W1, W3 comes after F1.
 */

#include "list.h"

#include <coloop/time.h>

struct co_loop;
struct co_task;

struct co__starved {
	struct co__list link;		/* the lock of the list */
	struct co_task *task;		/* constant */
	const int *held;		/* constant; owner of what it points to:
					 * the task */
};

/* SELF, the calling task, enters the list.  *HELD is a descriptor that nobody
 * knows of but SELF, or -1: if the loop goes before SELF does, it is closed. */
void co__starved_enter(struct co__starved *entry, struct co_task *self,
		const int *held);
void co__starved_leave(struct co__starved *entry);

/* SELF, the calling task, waits until a descriptor has been freed since it
 * entered the list or waited last, or for DURATION, or until it is
 * cancelled. */
void co__starved_wait(struct co_task *self, co_time duration);

/* A descriptor has been closed. */
void co__starved_feed(void);

/* LOOP is about to go, and the stacks of its tasks with it. */
void co__starved_forget(const struct co_loop *loop);

#endif
