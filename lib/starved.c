/* SPDX-License-Identifier: MIT */

/* starved.c - see starved.h */

#include "starved.h"

#include <pthread.h>
#include <unistd.h>

#include "loop.h"
#include "wait.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct co__list starved = { &starved, &starved };
static AO_t count;		/* atomic; lock to change */

static struct co__starved *entry_of(struct co__list *link)
{
	return co__container_of(link, struct co__starved, link);
}

/* The lock is held. */
static void remove_entry(struct co__starved *entry)
{
	co__list_remove(&entry->link);
	AO_store(&count, AO_load(&count) - 1);
}

void co__starved_enter(struct co__starved *entry, struct co_task *self,
		const int *held)
{
	entry->task = self;
	entry->held = held;
	AO_store(&self->gate.word, CO__SLOT_EMPTY);
	pthread_mutex_lock(&lock);
	co__list_append(&starved, &entry->link);
	AO_store(&count, AO_load(&count) + 1);
	pthread_mutex_unlock(&lock);
	co__atomic_fence();		/* W2: pairs with F2 */
}

void co__starved_leave(struct co__starved *entry)
{
	pthread_mutex_lock(&lock);
	remove_entry(entry);
	pthread_mutex_unlock(&lock);
}

void co__starved_wait(struct co_task *self, co_time duration)
{
	struct co__slot *gate = &self->gate;
	co_time outer = self->deadline;

	if (AO_load(&gate->word) == CO__SLOT_EMPTY) {
		co__task_set_pause(self, co_after(duration));
		if (co__wait_prepare(self) == 0)
			co__slot_wait(self, CO__IN_SLEEP, self, gate);
		co__task_set_deadline(self, outer);
	}
	AO_store(&gate->word, CO__SLOT_EMPTY);
	co__atomic_fence();		/* W2: as above */
}

void co__starved_feed(void)
{
	co__atomic_fence();		/* F2: pairs with W2 */
	if (co__likely(AO_load(&count) == 0))
		return;
	pthread_mutex_lock(&lock);
	for (struct co__list *link = starved.next; link != &starved;
			link = link->next) {
		struct co_task *task = entry_of(link)->task;

		co__slot_raise(&task->gate, task);
	}
	pthread_mutex_unlock(&lock);
}

void co__starved_forget(const struct co_loop *loop)
{
	struct co__list *link, *next;

	pthread_mutex_lock(&lock);
	for (link = starved.next; link != &starved; link = next) {
		struct co__starved *entry = entry_of(link);

		next = link->next;
		if (entry->task->loop != loop)
			continue;
		if (*entry->held >= 0)
			close(*entry->held);
		remove_entry(entry);
	}
	pthread_mutex_unlock(&lock);
}
