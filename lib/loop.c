/* SPDX-License-Identifier: MIT */

/* loop.c - making, running and ending a loop; see loop.h */

#include "loop.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debugger.h"
#include "options.h"
#include "overflow.h"
#include "starved.h"

#define FETCH_AHEAD 4			/* events: see fetch_ahead */

/* --- The overflow report -------------------------------------------------- */

/* Runs in a signal handler of a thread that overran a stack.  It ran a task of
 * its own loop, which can't be destroyed as long as it does. */
static bool find_overrun(const void *address, char *name,
		size_t *ret_stack_size)
{
	struct co__worker *worker = co__worker_get();
	struct co_task *task = worker == NULL ? NULL
			: co__frame_guarded(worker->loop, address);

	if (task == NULL)
		return false;
	memcpy(name, task->name, sizeof task->name);
	*ret_stack_size = (size_t)1 << task->size_class;

	return true;
}

/* --- Memory -------------------------------------------------------------- */

static void *default_allocate(void *context, size_t size)
{
	(void)context;

	return malloc(size);
}

static void default_release(void *context, void *memory, size_t size)
{
	(void)context;
	(void)size;
	free(memory);
}

void *co__loop_allocate(struct co_loop *loop, size_t size)
{
	return loop->allocator.allocate(loop->allocator.context, size);
}

void co__loop_release(struct co_loop *loop, void *memory, size_t size)
{
	loop->allocator.release(loop->allocator.context, memory, size);
}

/* What an allocator gives need not begin at a cache line: where the block
 * really begins stands before the first line in it.  The last line is whole,
 * too. */
static size_t lines_size(size_t size)
{
	return ((size + CO__CACHE_LINE - 1) & ~(size_t)(CO__CACHE_LINE - 1))
			+ sizeof(void *) + CO__CACHE_LINE;
}

void *co__loop_allocate_lines(struct co_loop *loop, size_t size)
{
	char *block = co__loop_allocate(loop, lines_size(size));
	void **line;

	if (block == NULL)
		return NULL;
	line = (void *)(((uintptr_t)block + sizeof(void *)
		+ CO__CACHE_LINE - 1) & ~(uintptr_t)(CO__CACHE_LINE - 1));
	line[-1] = block;

	return line;
}

void co__loop_release_lines(struct co_loop *loop, void *memory, size_t size)
{
	co__loop_release(loop, ((void **)memory)[-1], lines_size(size));
}

static int allocate_workers(struct co_loop *loop)
{
	size_t size = loop->threads * sizeof(struct co__worker);

	loop->workers = co__loop_allocate_lines(loop, size);
	if (loop->workers == NULL)
		return -ENOMEM;
	memset(loop->workers, 0, size);

	return 0;
}

static void release_workers(struct co_loop *loop)
{
	co__loop_release_lines(loop, loop->workers,
			loop->threads * sizeof(struct co__worker));
}

/* --- Making -------------------------------------------------------------- */

static int init_workers(struct co_loop *loop)
{
	int rc = allocate_workers(loop);
	unsigned i;

	if (rc < 0)
		return rc;
	for (i = 0; i < loop->threads && rc == 0; i++)
		rc = co__worker_init(&loop->workers[i], loop, i);
	if (rc == 0)
		return 0;
	while (--i > 0)
		co__worker_deinit(&loop->workers[i - 1]);
	release_workers(loop);

	return rc;
}

static void deinit_workers(struct co_loop *loop)
{
	for (unsigned i = 0; i < loop->threads; i++)
		co__worker_deinit(&loop->workers[i]);
	release_workers(loop);
}

/* What LOOP is by OPTIONS; nothing that can fail. */
static void init_fields(struct co_loop *loop,
		const struct co_loop_options *options,
		const struct co_allocator *allocator)
{
	memset(loop, 0, sizeof *loop);
	loop->magic = CO__LOOP_MAGIC;
	loop->allocator = *allocator;
	loop->threads = co__options_threads(options);
	loop->flags = options->flags;
	loop->stall_after = co__options_stall(options);
	loop->on_stall = options->on_stall;
	loop->stall_arg = options->stall_arg;
	loop->has_monitor = loop->threads > 1 || loop->stall_after != 0;
	loop->stack_class = co__options_stack_class(options);
	loop->blocking.max = co__options_blocking_threads(options);
	co_queue_init(&loop->inject.queue);
	co__idle_init(&loop->idle);
	co__frames_init(loop);
}

/* What LOOP needs of the system.  Negative errno values. */
static int init_parts(struct co_loop *loop)
{
	int rc = init_workers(loop);

	if (rc < 0)
		return rc;
	rc = co__fds_init(loop);
	if (rc < 0)
		goto deinit_workers;
	rc = co__blocking_init(loop);
	if (rc < 0)
		goto destroy_fds;
	rc = loop->os->create(&loop->poller);
	if (rc < 0)
		goto deinit_blocking;

	return 0;

deinit_blocking:
	co__blocking_deinit(loop);
destroy_fds:
	co__fds_destroy(loop);
deinit_workers:
	deinit_workers(loop);

	return rc;
}

static int create(const struct co_loop_options *options,
		struct co_loop **ret_loop)
{
	static const struct co_allocator by_malloc = { default_allocate,
		default_release, NULL };
	const struct co_allocator *allocator = options->allocator != NULL
			? options->allocator : &by_malloc;
	const struct co__os_backend *os = co__options_backend(options);
	struct co_loop *loop;
	int rc;

	if (os == NULL)
		return -EINVAL;
	loop = allocator->allocate(allocator->context, sizeof *loop);
	if (loop == NULL)
		return -ENOMEM;
	init_fields(loop, options, allocator);
	loop->os = os;
	rc = init_parts(loop);
	if (rc < 0) {
		co__frames_destroy(loop);
		allocator->release(allocator->context, loop, sizeof *loop);
		return rc;
	}
	co__debugger_add(loop);
	*ret_loop = loop;

	return 0;
}

int co_loop_create(const struct co_loop_options *options,
		struct co_loop **ret_loop)
{
	static const struct co_loop_options none = CO_LOOP_OPTIONS_INIT;

	if (options == NULL)
		options = &none;
	if (ret_loop == NULL || !co__options_are_valid(options))
		return -EINVAL;

	return create(options, ret_loop);
}

int co_loop_create_single_threaded(struct co_loop **ret_loop)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	options.threads = 1;

	return co_loop_create(&options, ret_loop);
}

int co_loop_create_multi_threaded(struct co_loop **ret_loop)
{
	return co_loop_create(NULL, ret_loop);
}

int co_loop_destroy(struct co_loop *loop)
{
	struct co_allocator allocator;

	if (loop == NULL)
		return 0;
	if (!co__loop_is_valid(loop))
		return -EINVAL;
	/* Acquire: what the last run left; pairs with co_loop_run. */
	if (AO_load_acquire(&loop->running))
		return -EBUSY;
	/* Acquire: pairs with co__loop_leave. */
	while (AO_load_acquire(&loop->visitors) != 0)
		sched_yield();
	co__checked_acquire(&loop->visitors);
	co__debugger_remove(loop);
	co__starved_forget(loop);
	co__fds_destroy(loop);
	loop->os->destroy(loop->poller);
	co__spill_destroy(loop);
	co__frames_destroy(loop);
	co__blocking_deinit(loop);
	deinit_workers(loop);
	loop->magic = 0;
	allocator = loop->allocator;
	allocator.release(allocator.context, loop, sizeof *loop);

	return 0;
}

/* --- Running ------------------------------------------------------------- */

/* What the system, and debuggers, call this thread; 0: nobody says. */
static AO_t thread_id(void)
{
#ifdef HAVE_GETTID
	return (AO_t)gettid();
#else
	return 0;
#endif
}

/* Give this thread what a worker's thread needs, and run it. */
static void run_worker(struct co__worker *worker)
{
	bool reports = !(worker->loop->flags & CO_LOOP_NO_OVERFLOW_REPORT);
	void *altstack = NULL;

	AO_store(&worker->thread_id, thread_id());
	reports = reports && co__overflow_thread_begin(&altstack) == 0;
	co__worker_run(worker);
	if (reports)
		co__overflow_thread_end(altstack);
}

/* Wait at the gate until all threads are there: see start_threads. */
static void *thread_main(void *arg)
{
	struct co__worker *worker = arg;

	while (sem_wait(&worker->sleep) < 0 && errno == EINTR)
		;
	if (!worker->loop->lacks_threads)
		run_worker(worker);

	return NULL;
}

int co__loop_start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGSYS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);

	return -rc;
}

/* Start the threads of all workers but the first. */
static int start_threads(struct co_loop *loop)
{
	unsigned i;
	int rc = 0;

	for (i = 1; i < loop->threads && rc == 0; i++)
		rc = co__loop_start_thread(&loop->workers[i].thread,
				thread_main, &loop->workers[i]);
	/* Number i - 1 could not be started: then the others go home, and
	 * nothing was run. */
	loop->lacks_threads = rc < 0;
	if (rc < 0)
		i--;
	for (unsigned started = 1; started < i; started++)
		sem_post(&loop->workers[started].sleep);
	for (unsigned started = 1; rc < 0 && started < i; started++)
		pthread_join(loop->workers[started].thread, NULL);

	return rc;
}

static void join_threads(struct co_loop *loop)
{
	for (unsigned i = 1; i < loop->threads; i++)
		pthread_join(loop->workers[i].thread, NULL);
}

/* Run on as many threads as the loop has.  The first worker's is ours. */
static int run_threads(struct co_loop *loop)
{
	int rc = 0;

	if (loop->has_monitor)
		rc = co__monitor_start(loop);
	if (rc < 0)
		return rc;
	rc = co__blocking_resume(loop);
	if (rc == 0)
		rc = start_threads(loop);
	if (rc == 0) {
		run_worker(&loop->workers[0]);
		join_threads(loop);
	}
	co__blocking_stop(loop);
	if (loop->has_monitor)
		co__monitor_stop(loop);

	return rc;
}

static int run(struct co_loop *loop)
{
	int rc = 0;

	if (!(loop->flags & CO_LOOP_NO_OVERFLOW_REPORT)) {
		co__overflow_set_finder(find_overrun);
		co__overflow_install();
	}
	if (AO_load(&loop->stop) == 0)
		rc = run_threads(loop);
	/* Nothing was run: whoever stopped the loop meanwhile meant the next
	 * time. */
	if (rc < 0)
		return rc;
	if (AO_load(&loop->stop) == CO__STOP_STUCK)
		rc = -EDEADLK;
	AO_store(&loop->stop, 0);

	return rc;
}

int co_loop_run(struct co_loop *loop)
{
	int rc;

	if (!co__loop_is_valid(loop))
		return -EINVAL;
	if (co__worker_get() != NULL)
		return -EPERM;
	/* Acquire: what the last run left; pairs with the store below. */
	if (!AO_compare_and_swap_acquire(&loop->running, 0, 1))
		return -EBUSY;
	rc = run(loop);
	AO_store_release(&loop->running, 0);	/* as above */

	return rc;
}

void co__loop_end(struct co_loop *loop, AO_t reason)
{
	/* Release: pairs with the acquire load of find.c.  The first reason
	 * counts. */
	AO_compare_and_swap_release(&loop->stop, 0, reason);
	co__atomic_fence();		/* pairs with I2 */
	co__idle_wake_all(loop);
}

int co_loop_stop(struct co_loop *loop)
{
	if (!co__loop_is_valid(loop))
		return -EINVAL;
	co__loop_enter(loop);
	co__loop_end(loop, CO__STOP_DONE);
	co__loop_leave(loop);

	return 0;
}

size_t co__loop_tasks(struct co_loop *loop)
{
	/* Acquire: pairs with begin_from_outside. */
	size_t tasks = AO_load_acquire(&loop->spawned_outside);

	for (unsigned i = 0; i < loop->threads; i++)
		tasks += AO_load(&loop->workers[i].spawned)
				- AO_load(&loop->workers[i].ended);

	return tasks;
}

/* Whether a descriptor, a call that blocks or a timer may wake a task. */
static bool outside_can_wake(struct co_loop *loop)
{
	size_t waits = 0;

	for (unsigned i = 0; i < loop->threads; i++)
		waits += AO_load(&loop->workers[i].outside_waits);
	if (waits != 0)
		return true;
	for (unsigned i = 0; i < loop->threads; i++)
		if (co__wheel_is_waited_for(&loop->workers[i].wheel))
			return true;

	return false;
}

/* Whether a pinned task waits to be taken.  What its worker took from the inbox
 * before it joined the list, it has run. */
static bool has_pinned(const struct co_loop *loop)
{
	for (unsigned i = 0; i < loop->threads; i++)
		if (AO_load((const volatile AO_t *)
				&loop->workers[i].pinned.inbox_) != 0)
			return true;

	return false;
}

/* Why the loop ends here, or 0.  The lock of idle.h is held, so that no worker
 * leaves its list and takes work out of sight. */
static AO_t why_end(struct co_loop *loop)
{
	/* First: who is spawning one from outside has a reference until it is
	 * queued. */
	size_t tasks = co__loop_tasks(loop);

	if (AO_load(&loop->idle.count) != loop->threads
			/* Acquire: what was added before the last one was
			 * given up is seen below. */
			|| AO_load_acquire(&loop->refs) != 0
			|| AO_load_acquire(&loop->watches) != 0
			|| co__loop_has_work(loop) || has_pinned(loop))
		return 0;
	if (tasks == 0)
		return CO__STOP_DONE;

	return outside_can_wake(loop) ? 0 : CO__STOP_STUCK;
}

void co__loop_quiesce(struct co_loop *loop)
{
	AO_t reason;

	if (AO_load(&loop->idle.count) != loop->threads)
		return;
	co__spin_acquire(&loop->idle.lock);
	reason = why_end(loop);
	co__spin_release(&loop->idle.lock);
	if (reason != 0)
		co__loop_end(loop, reason);
}

static struct co_io *io_of(const struct co__worker *worker, int i)
{
	return co__fd_of_key(&worker->loop->fds, worker->polled[i].key);
}

/* Have the memory fetched that the events after number I will need.  With
 * thousands of connections all of it has left the caches, and to miss one line
 * after the other takes as long as half a system call. */
static inline void fetch_ahead(const struct co__worker *worker, int i,
		int count)
{
	if (i + 2 * FETCH_AHEAD < count)
		co__prefetch(io_of(worker, i + 2 * FETCH_AHEAD),
				CO__CACHE_LINE);
	/* Who waits to read; READY is no address, and does no harm. */
	if (i + FETCH_AHEAD < count)
		co__prefetch((void *)AO_load(&io_of(worker, i + FETCH_AHEAD)
				->ready[0].word), 2 * CO__CACHE_LINE);
}

static void deliver(struct co_io *io, const struct co__poll_event *event)
{
	if (co__unlikely(event->events
			& (CO_HANGUP | CO_ERROR | CO__URGENT))) {
		/* No order is needed but that of the fence: before a look at
		 * the slots; pairs with D2. */
		co__atomic_fetch_or(&io->traits, CO__FD_HUNG_UP);
		co__atomic_fence();
	}
	if (co__unlikely(AO_load(&io->traits) & CO__FD_HAS_NODE))
		co__watch_tell(io, event->key, event->events);
	if (event->events & CO_READABLE)
		co__slot_raise(&io->ready[0], io);
	if (event->events & CO_WRITABLE)
		co__slot_raise(&io->ready[1], io);
}

void co__loop_deliver(struct co__worker *worker, int count)
{
	AO_store(&worker->events, AO_load(&worker->events) + (AO_t)count);
	for (int i = 0; i < count; i++) {
		struct co_io *io = io_of(worker, i);

		fetch_ahead(worker, i, count);
		/* Else the number is another file's by now. */
		if (co__fd_key(io) == worker->polled[i].key)
			deliver(io, &worker->polled[i]);
	}
}

/* --- The rest ------------------------------------------------------------ */

struct co_loop *co_loop_current(void)
{
	struct co__worker *worker = co__worker_get();

	return worker != NULL ? worker->loop : NULL;
}

struct co_loop *co__loop_or_current(struct co_loop *loop)
{
	if (loop == NULL)
		return co_loop_current();

	return co__loop_is_valid(loop) ? loop : NULL;
}

int co_loop_threads(struct co_loop *loop)
{
	return co__loop_is_valid(loop) ? (int)loop->threads : -EINVAL;
}

const char *co_loop_backend(struct co_loop *loop)
{
	return co__loop_is_valid(loop) ? loop->os->name : NULL;
}

co__noinline int co_run(co_task_fn *fn, void *arg)
{
	struct co_loop *loop;
	struct co_task *task;
	int rc, result = 0;

	if (fn == NULL)
		return -EINVAL;
	if (co__worker_get() != NULL)
		return -EPERM;
	rc = co_loop_create(NULL, &loop);
	if (rc < 0)
		return rc;
	rc = co__spawn(loop, NULL, fn, arg, &task, co__caller());
	if (rc == 0)
		rc = co_loop_run(loop);
	if (rc == 0 && co_join(task, &result) < 0)
		rc = -ECANCELED;	/* the loop was stopped before */
	co_loop_destroy(loop);

	return rc < 0 ? rc : result;
}
