/* SPDX-License-Identifier: MIT */

/* blocking.c - see blocking.h */

#include <coloop/blocking.h>

#include <errno.h>

#include "loop.h"
#include "wait.h"
#include "worker.h"

struct call {
	struct co__list link;		/* lock */
	co_blocking_fn *fn;		/* constant */
	void *arg;			/* constant */
	int result;			/* the thread that began it */
	struct co_task *task;		/* constant */
	AO_t ticket;			/* constant */
};

/* --- The threads; the lock is held where it says `locked' ----------------- */

static void add(AO_t *count, AO_t change)
{
	AO_store(count, AO_load(count) + change);
}

/* Whether the deadline of TASK, which waits, has passed.  The workers may be
 * too busy to let its timer go off, which ends the wait all the same. */
static bool is_late(const struct co_task *task)
{
	co_time deadline = co__atomic_load_wide(task->wait_deadline);

	return deadline != CO_NEVER && co_now() >= deadline;
}

/* queued -> begun, locked: the oldest whose wait isn't over yet, nor will be at
 * once; or NULL. */
static struct call *begin_oldest(struct co__blocking *blocking)
{
	struct co__list *link;

	while ((link = co__list_take(&blocking->queue)) != NULL) {
		struct call *call = co__container_of(link, struct call, link);

		if (!is_late(call->task)
				&& co__wait_deafen(call->task, call->ticket))
			return call;
	}

	return NULL;
}

/* begun -> over. */
static void carry_out(struct co__blocking *blocking, struct call *call)
{
	struct co_task *task = call->task;
	bool claimed;

	co__checked_acquire(call);
	call->result = call->fn(call->arg);
	/* Before the task may make another call, for which this thread is free
	 * then. */
	co__spin_acquire(&blocking->lock);
	add(&blocking->calls, (AO_t)-1);
	co__spin_release(&blocking->lock);
	claimed = co__wait_claim(task, call->ticket, 0);
	co__assert(claimed);
	(void)claimed;
	co__ready(task);
}

static void *blocking_main(void *arg)
{
	struct co__blocking *blocking = arg;
	bool quits;

	do {
		struct call *call = NULL;

		while (sem_wait(&blocking->work) < 0 && errno == EINTR)
			;
		co__spin_acquire(&blocking->lock);
		quits = blocking->quits;
		if (!quits)
			call = begin_oldest(blocking);
		co__spin_release(&blocking->lock);
		if (call != NULL)
			carry_out(blocking, call);
	} while (!quits);

	return NULL;
}

/* Start the thread that `threads' has been counted up for.  Negative errno
 * values: it isn't there, nor is any other. */
static int start_thread(struct co__blocking *blocking)
{
	pthread_t thread;
	int rc = co__loop_start_thread(&thread, blocking_main, blocking);

	co__spin_acquire(&blocking->lock);
	if (rc == 0)
		blocking->ids[blocking->started++] = thread;
	else
		add(&blocking->threads, (AO_t)-1);
	/* Those that are about to be may fail as well. */
	if (blocking->started > 0)
		rc = 0;
	co__spin_release(&blocking->lock);

	return rc;
}

/* Whether one more thread is needed, which is counted; locked. */
static bool count_thread(struct co__blocking *blocking)
{
	AO_t threads = AO_load(&blocking->threads);

	if (AO_load(&blocking->calls) <= threads || threads == blocking->max)
		return false;
	add(&blocking->threads, 1);

	return true;
}

/* queued -> over, locked: the oldest whose wait isn't over yet, for want of a
 * thread.  Returns its task, which is the caller's, or NULL. */
static struct co_task *refuse_oldest(struct co__blocking *blocking)
{
	struct co__list *link;

	while ((link = co__list_take(&blocking->queue)) != NULL) {
		struct call *call = co__container_of(link, struct call, link);
		struct co_task *task = call->task;

		if (co__wait_claim(task, call->ticket, -EAGAIN))
			return task;
	}

	return NULL;
}

/* Tell those that are queued if no thread is left that may come: the last that
 * was about to be started could not be.  Who queued a call, or failed to start
 * a thread, looks afterwards; the lock lets one of the two see the other. */
static void refuse_forlorn(struct co__blocking *blocking)
{
	while (AO_load(&blocking->threads) == 0) {
		struct co_task *task = NULL;

		co__spin_acquire(&blocking->lock);
		if (AO_load(&blocking->threads) == 0)
			task = refuse_oldest(blocking);
		co__spin_release(&blocking->lock);
		if (task == NULL)
			break;
		co__ready(task);
	}
}

/* Count a call, and have a thread for it, or one that is about to be. */
static int enter(struct co__blocking *blocking)
{
	bool needed;
	int rc = 0;

	co__spin_acquire(&blocking->lock);
	add(&blocking->calls, 1);
	needed = count_thread(blocking);
	co__spin_release(&blocking->lock);
	if (needed)
		rc = start_thread(blocking);
	if (rc < 0)
		refuse_forlorn(blocking);

	return rc;
}

/* CALL isn't begun, and won't be. */
static void withdraw(struct co__blocking *blocking, struct call *call)
{
	co__spin_acquire(&blocking->lock);
	if (co__list_is_linked(&call->link)) {
		co__list_remove(&call->link);
		/* Some post, for one call less.  With the lock, or it would be
		 * that of a call which no thread has looked for since. */
		sem_trywait(&blocking->work);
	}
	add(&blocking->calls, (AO_t)-1);
	co__spin_release(&blocking->lock);
}

/* --- The call ------------------------------------------------------------- */

/* -> queued. */
static void queue_call(struct co__worker *worker, struct co_task *self,
		void *arg)
{
	struct co__blocking *blocking = &worker->loop->blocking;
	struct call *call = arg;
	int rc;

	co__checked_release(call);
	co__spin_acquire(&blocking->lock);
	rc = co__wait_arm(worker, self, 0);
	if (rc == 0)
		co__list_append(&blocking->queue, &call->link);
	co__spin_release(&blocking->lock);
	/* From here on a call that was queued may be over, and SELF be gone. */
	if (rc == 0) {
		sem_post(&blocking->work);
		refuse_forlorn(blocking);
	} else {
		co__wait_unarmed(self, rc);
	}
}

int co_blocking(co_blocking_fn *fn, void *arg, int *ret_result)
{
	struct call call = { .fn = fn, .arg = arg };
	struct co__blocking *blocking;
	struct co_task *self;
	int rc;

	if (fn == NULL)
		return -EINVAL;
	rc = co__wait_enter(&self);
	if (rc < 0)
		return rc;
	blocking = &self->loop->blocking;
	rc = enter(blocking);
	if (rc == 0)
		rc = co__wait_prepare(self);
	if (rc == 0) {
		call.task = self;
		call.ticket = co__wait_ticket(self);
		co__worker_count_outside(self, 1);
		rc = co__park(self, CO__IN_BLOCKING, (void *)fn, queue_call,
				&call);
		co__worker_count_outside(self, (AO_t)-1);
	}
	if (rc < 0)
		withdraw(blocking, &call);
	else if (ret_result != NULL)
		*ret_result = call.result;

	return rc;
}

/* --- The loop ------------------------------------------------------------- */

static size_t ids_size(const struct co__blocking *blocking)
{
	return blocking->max * sizeof *blocking->ids;
}

int co__blocking_init(struct co_loop *loop)
{
	struct co__blocking *blocking = &loop->blocking;

	co__list_init(&blocking->queue);
	blocking->ids = co__loop_allocate(loop, ids_size(blocking));
	if (blocking->ids == NULL)
		return -ENOMEM;
	if (sem_init(&blocking->work, 0, 0) < 0) {
		int rc = -errno;

		co__loop_release(loop, blocking->ids, ids_size(blocking));
		return rc;
	}

	return 0;
}

void co__blocking_deinit(struct co_loop *loop)
{
	struct co__blocking *blocking = &loop->blocking;

	sem_destroy(&blocking->work);
	co__loop_release(loop, blocking->ids, ids_size(blocking));
}

int co__blocking_resume(struct co_loop *loop)
{
	struct co__blocking *blocking = &loop->blocking;
	int rc = 0;

	/* Nobody else is there. */
	for (unsigned i = 0; i < blocking->max && rc == 0
			&& count_thread(blocking); i++)
		rc = start_thread(blocking);

	return rc;
}

void co__blocking_stop(struct co_loop *loop)
{
	struct co__blocking *blocking = &loop->blocking;

	co__spin_acquire(&blocking->lock);
	blocking->quits = true;
	co__spin_release(&blocking->lock);
	for (unsigned i = 0; i < blocking->started; i++)
		sem_post(&blocking->work);
	for (unsigned i = 0; i < blocking->started; i++)
		pthread_join(blocking->ids[i], NULL);
	/* Nobody else is there. */
	blocking->quits = false;
	blocking->started = 0;
	AO_store(&blocking->threads, 0);
}
