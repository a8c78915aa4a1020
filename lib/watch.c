/* SPDX-License-Identifier: MIT */

/*
 * watch.c - descriptors that a function watches (co_loop_add_fd)
 *
 * States      `telling' is the worker that calls node->ready, or 0; `pending'
 *             are events to be told.  Who finds it taken leaves its events in
 *             `pending', and the teller looks again before it stops: ready()
 *             never runs concurrently with itself, and no event is lost.
 *               P1 add to pending, P2 fence      P4 telling: 0, P5 fence
 *               P3 telling: 0 -> worker, or not  P6 look at pending
 *             So either P3 finds nobody telling, or P6 sees P1.
 * Stale       Events are pending together with the generation of their key.
 *             A node of a later watch is stored after the generation began to
 *             change, and is loaded before it is compared: so the node isn't
 *             told what happened to an earlier file.  It is stored before there
 *             are events of its watch, and is loaded after these are taken: so
 *             they are not lost for want of a node, nor told to an earlier
 *             one.
 * Ordering    The teller                     Who removes
 *               T1 telling: 0 -> worker        M1 node: none
 *               T2 fence                       M2 fence
 *               T3 look at the node            M3 wait until telling is 0
 *             So either T3 sees M1 and the node isn't touched, or M3 sees T1
 *             and waits for the end of the call.  Within ready() M3 doesn't
 *             wait, and the teller doesn't touch the node after it.
 * Deadlock    A worker that waits at M3 within another ready() says so in
 *             `awaiting'.  So tellers and what they await are a chain, and who
 *             finds itself in it gives up.  Workers of other loops are left
 *             out: their memory may go.
 */

#include "fd.h"

#include <errno.h>
#include <sched.h>

#include "loop.h"
#include "worker.h"

/* The node to be told, or NULL if IO isn't watched any more. */
static struct co_resume_node *watching_node(struct co_io *io)
{
	co__atomic_fence();			/* T2: pairs with M2 */

	return (struct co_resume_node *)AO_load_acquire(&io->node);  /* T3 */
}

/* Whether TOLD, which ready() knows, is said of FD by poll(2) for ever.  An
 * error of a socket is taken by who reads it; that of a pipe's end stays. */
static bool lasts(int fd, AO_t told)
{
	return (told & CO_HANGUP)
			|| ((told & CO_ERROR) && !co__fd_is_socket(fd));
}

/* A level-triggered backend must be told what to report again: input always,
 * since ready() has used it up; room to write only if there is none now, or it
 * would be reported for ever.  Whatever ready() was told, it may have written
 * until there was none. */
static void rearm(struct co_io *io, AO_t told)
{
	struct co_loop *loop = io->loop;
	unsigned again = (unsigned)AO_load(&io->interest);

	if (loop->os->rearm == NULL || AO_load(&io->node) == 0)
		return;
	if (lasts(io->fd, told))
		again &= ~CO_READABLE;
	/* Told once too often, if the system has no memory to answer. */
	if ((again & CO_WRITABLE) && co__fd_ask(io->fd, CO_WRITABLE) > 0)
		again &= ~CO_WRITABLE;
	if (again != 0)
		loop->os->rearm(loop->poller, io->fd, co__fd_key(io), again);
}

#define EVENT_BITS 8u
#define EVENTS (((AO_t)1 << EVENT_BITS) - 1)

/* What `pending' is, but for the events, in generation GENERATION. */
static AO_t tag_of(AO_t generation)
{
	return (AO_t)(uint32_t)generation << EVENT_BITS;
}

/* Add EVENTS to what is pending in the generation of TAG.  What is pending of
 * another one is too late by now; if it is the younger, so are EVENTS. */
static void add_pending(struct co_io *io, AO_t tag, unsigned events)
{
	AO_t was, now;

	do {
		/* Acquire: who finds a later generation pending finds that it
		 * is one; pairs with the release below. */
		was = AO_load_acquire(&io->pending);
		now = tag | events;
		if ((was & ~EVENTS) == tag)
			now |= was;
		else if (was != 0 && tag != tag_of(AO_load(&io->generation)))
			return;
		/* Release: pairs with tell_once. */
	} while (!AO_compare_and_swap_release(&io->pending, was, now));
}

/* Call ready() for what is pending.  False if there was nothing. */
static bool tell_once(struct co__worker *worker, struct co_io *io)
{
	/* Acquire: pairs with add_pending. */
	AO_t events = co__atomic_swap(&io->pending, 0);
	struct co_resume_node *node = watching_node(io);

	if (node == NULL
		|| (events & ~EVENTS) != tag_of(AO_load(&io->generation)))
		return false;
	events &= AO_load(&io->interest) | CO_HANGUP | CO_ERROR;
	if (events == 0)
		return false;
	co__worker_count_call(worker);
	worker->watching = io;
	co__checked_acquire(io);
	node->ready(node, (unsigned)events);
	co__checked_release(io);
	worker->watching = NULL;
	rearm(io, events);

	return true;
}

void co__watch_tell(struct co_io *io, uint64_t key, unsigned events)
{
	struct co__worker *worker = co__worker_get();

	add_pending(io, tag_of((AO_t)(key >> 32)), events);	/* P1 */
	co__atomic_fence();			/* P2: pairs with P5 */
	do {
		/* T1, P3, acquire: pairs with the release below. */
		if (!AO_compare_and_swap_full(&io->telling, 0,
				(AO_t)worker))
			return;
		while (tell_once(worker, io))
			;
		/* P4: pairs with T1, M3. */
		AO_store_release(&io->telling, 0);
		co__atomic_fence();	/* P5: pairs with P2 */
		/* P6. */
	} while (AO_load(&io->pending) != 0 && AO_load(&io->node) != 0);
}

static bool are_valid(const struct co_loop *loop, unsigned events,
		const struct co_resume_node *node)
{
	return co__loop_is_valid(loop) && node != NULL && node->ready != NULL
		&& events != 0 && !(events & ~(CO_READABLE | CO_WRITABLE));
}

int co_loop_add_fd(struct co_loop *loop, int fd, unsigned events,
		struct co_resume_node *node)
{
	struct co_io *io;
	int rc;

	if (!are_valid(loop, events, node))
		return -EINVAL;
	rc = co__fd_entry_of_open(loop, fd, &io);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&loop->fds.lock);
	co__checked_release(io);
	if (io->kind != CO__FD_FREE) {
		rc = -EEXIST;
	} else {
		AO_store(&io->pending, 0);
		AO_store(&io->interest, events);
		AO_store_release(&io->node, (AO_t)node); /* pairs with T3 */
		rc = co__fd_begin(io, CO__FD_WATCHED);
		if (rc < 0)
			AO_store(&io->node, 0);
		else
			AO_fetch_and_add1(&loop->watches);
	}
	pthread_mutex_unlock(&loop->fds.lock);

	return rc;
}

/* Whether the teller of IO awaits one that awaits one ... that is WORKER. */
static bool is_awaited_by(const struct co_io *io,
		const struct co__worker *worker)
{
	for (unsigned i = 0; i < worker->loop->threads && io != NULL; i++) {
		/* Acquire: pairs with T1, for the teller's fields. */
		struct co__worker *teller = (struct co__worker *)
				AO_load_acquire(&io->telling);

		if (teller == worker)
			return true;
		io = teller == NULL ? NULL
				: (struct co_io *)AO_load(&teller->awaiting);
	}

	return false;
}

/* M3 within the ready() of another descriptor.  What is_awaited_by sees is of
 * different moments.  Each time that it sees it again, one more of the chain
 * can't have moved since; so a chain as long as there are workers is no
 * illusion after as many times. */
static int await_teller(struct co_io *io, struct co__worker *worker)
{
	unsigned seen = 0;

	AO_store(&worker->awaiting, (AO_t)io);
	co__atomic_fence();	/* before a look at the others */
	/* Acquire: what ready() did; pairs with co__watch_tell. */
	while (AO_load_acquire(&io->telling) != 0
			&& seen <= worker->loop->threads) {
		seen = is_awaited_by(io, worker) ? seen + 1 : 0;
		sched_yield();
	}
	AO_store(&worker->awaiting, 0);

	return seen > worker->loop->threads ? -EDEADLK : 0;
}

/* M3: no thread but this one is in ready(). */
static int wait_for_teller(struct co_io *io)
{
	struct co__worker *worker = co__worker_get();
	struct co_task *self = co_self();

	if (worker != NULL && worker->watching == io)
		return 0;
	if (worker != NULL && worker->watching != NULL
			&& worker->loop == io->loop)
		return await_teller(io, worker);
	while (AO_load_acquire(&io->telling) != 0) {	/* as above */
		if (self != NULL)
			co__worker_yield(self);
		sched_yield();
	}

	return 0;
}

/* Watch IO for EVENTS with NODE from now on, or go on as before.  The table's
 * lock is held. */
static int renew(struct co_io *io, AO_t events, AO_t node)
{
	AO_t old_events = AO_load(&io->interest), old_node = AO_load(&io->node);
	int rc;

	/* Before it is looked at again: what is found is for the new one. */
	AO_store(&io->interest, events);
	AO_store_release(&io->node, node);	/* pairs with T3 */
	rc = io->loop->os->renew(io->loop->poller, io->fd, co__fd_key(io));
	if (rc < 0) {
		AO_store(&io->interest, old_events);
		AO_store_release(&io->node, old_node);	/* as above */
	}

	return rc;
}

int co_loop_mod_fd(struct co_loop *loop, int fd, unsigned events,
		struct co_resume_node *node)
{
	struct co_io *io;
	bool renews;
	int rc = -ENOENT;

	if (!are_valid(loop, events, node))
		return -EINVAL;
	io = co__fd_find(loop, fd);
	if (io == NULL)
		return -ENOENT;
	pthread_mutex_lock(&loop->fds.lock);
	renews = io->kind == CO__FD_WATCHED;
	co__checked_release(io);
	if (renews)
		rc = renew(io, events, (AO_t)node);
	pthread_mutex_unlock(&loop->fds.lock);
	/* The node is the caller's again, as after a removal. */
	if (renews && rc < 0) {
		co__atomic_fence();		/* M2: pairs with T2 */
		wait_for_teller(io);
		co__checked_acquire(io);
	}

	return rc;
}

int co_loop_remove_fd(struct co_loop *loop, int fd)
{
	struct co_io *io;
	int rc = 0;

	if (!co__loop_is_valid(loop))
		return -EINVAL;
	io = co__fd_find(loop, fd);
	if (io == NULL)
		return -ENOENT;
	pthread_mutex_lock(&loop->fds.lock);
	if (io->kind == CO__FD_WATCHED) {
		AO_store(&io->node, 0);		/* M1 */
		co__fd_end(io);
		/* The last watch: somebody must see that the loop may end. */
		if (AO_fetch_and_sub1_full(&loop->watches) == 1)
			co__idle_notify(loop);
	} else {
		rc = -ENOENT;
	}
	pthread_mutex_unlock(&loop->fds.lock);
	if (rc < 0)
		return rc;
	co__atomic_fence();			/* M2: pairs with T2 */
	rc = wait_for_teller(io);
	co__checked_acquire(io);

	return rc;
}
