/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LOOP_H
#define COLOOP_LOOP_H

/*
 * The event loop: worker threads that run tasks.                 co_loop(3)
 *
 * Threads     A loop of N threads uses the thread that calls co_loop_run()
 *             and N - 1 more, one that looks after them if N > 1 or if stalls
 *             are to be reported, and those of co_blocking(); they live as
 *             long as that call.
 *             Several loops may run in one process, each in threads of its
 *             own.
 * Ownership   The creator owns the loop and destroys it.  The loop owns its
 *             tasks' stacks.
 */

#include <coloop/base.h>
#include <coloop/task.h>
#include <coloop/time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_loop;

/* Where the library gets the memory that isn't a stack; but what the backend
 * keeps comes from malloc().  Both functions must be callable from any thread.
 * allocate() returns memory aligned as malloc does, or NULL; release() gets the
 * size that was asked for. */
struct co_allocator {
	void *(*allocate)(void *context, size_t size);
	void (*release)(void *context, void *memory, size_t size);
	void *context;
};

/* Bits of co_loop_options.flags. */
#define CO_LOOP_UNGUARDED_STACKS 1u	/* spawn without a guard page where the
					 * system can give no more of them */
#define CO_LOOP_NO_OVERFLOW_REPORT 2u	/* leave SIGSEGV and SIGBUS alone */

/* A thread of a loop that has run for long without a switch to another task. */
struct co_stall {
	struct co_loop *loop;
	struct co_task *task;	/* what it runs; NULL: not a task, but a tick,
				 * or the ready() of a watched descriptor */
	const char *name;	/* the name that the task had, "" for none */
	co_time duration;	/* how long it has run, at least */
	const void *spawned_at;	/* an address in what spawned the task */
	long thread;		/* the system's number of the thread, or 0 */
	const char *text;	/* all of that as a sentence, without newline */
};

/* Told of a stall, once, while it goes on.  It is called in a thread that runs
 * no tasks; STALL and its strings are valid during the call.  The task may go
 * on at any moment, and end: its handle is only good for being compared. */
typedef void co_stall_fn(const struct co_stall *stall, void *arg);

/* How to make a loop.  Begin with CO_LOOP_OPTIONS_INIT; zero means default. */
struct co_loop_options {
	size_t size;		/* sizeof(struct co_loop_options) */
	unsigned threads;	/* 0: the environment variable COLOOP_THREADS
				 * if it is a number that will do, else the
				 * CPUs that the process may use */
	unsigned flags;		/* CO_LOOP_... */
	size_t stack_size;	/* bytes of each task's stack; 0: 256 KiB */
	const char *backend;	/* "epoll" or "poll"; NULL: the environment
				 * variable COLOOP_BACKEND if there is such a
				 * backend, else the best */
	const struct co_allocator *allocator;	/* copied; NULL: malloc */
	co_time stall_after;	/* report who runs for so long without a switch;
				 * 0: the environment variable COLOOP_STALL, in
				 * milliseconds, if it is a number that will do,
				 * else nobody; CO_NEVER: nobody */
	co_stall_fn *on_stall;	/* whom to report to; NULL: a line on standard
				 * error */
	void *stall_arg;	/* for on_stall */
	unsigned blocking_threads;	/* for co_blocking(), at most, beside
					 * the others; 0: 64 */
	size_t reserved[1];	/* zero */
};

#define CO_LOOP_OPTIONS_INIT { sizeof(struct co_loop_options), 0, 0, 0,      \
			NULL, NULL, 0, NULL, NULL, 0, { 0 } }

/* The most threads that a loop can have. */
#define CO_LOOP_THREADS_MAX 256u

/* The most of co_loop_options.blocking_threads. */
#define CO_LOOP_BLOCKING_THREADS_MAX 4096u

/* Make a loop.  OPTIONS may be NULL.  -EINVAL: an option makes no sense, or
 * the backend doesn't exist.  -ENOMEM, -EMFILE, -ENFILE: no memory or no file
 * descriptors.  -ENOSPC: the system's limit of watches. */
CO_API int co_loop_create(const struct co_loop_options *options,
		struct co_loop **ret_loop);

/* Make a loop that runs its tasks in the thread that calls co_loop_run(). */
CO_API int co_loop_create_single_threaded(struct co_loop **ret_loop);

/* Make a loop of the default number of threads (co_loop_options.threads). */
CO_API int co_loop_create_multi_threaded(struct co_loop **ret_loop);

/* Free a loop that isn't running.  Tasks that have not ended are discarded:
 * their stacks vanish, and nothing of them is unwound.  Each co_io of the loop
 * is closed.  NULL is allowed.
 * -EBUSY: the loop is running. */
CO_API int co_loop_destroy(struct co_loop *loop);

/* Run the loop's tasks until all have ended, or until co_loop_stop().
 * 0: either of these.  -EDEADLK: tasks remain, and nothing can wake them: no
 * timer, no file descriptor, no co_blocking(), no co_loop_ref().  -EBUSY: it is
 * running already.  -EPERM: called from a task.  -EAGAIN: a thread could not be
 * started, and no task has been run.  May be called again. */
CO_API int co_loop_run(struct co_loop *loop);

/* Make co_loop_run() return soon; tasks keep their state, and go on if it is
 * called again.  Any thread, also before co_loop_run().  -EINVAL: NULL. */
CO_API int co_loop_stop(struct co_loop *loop);

/* A promise that some thread will call co_resume(), co_loop_on_next_tick() or
 * co_loop_unref(): while it is held, co_loop_run() waits.  Any thread. */
CO_API int co_loop_ref(struct co_loop *loop);
/* -EINVAL: no reference is held. */
CO_API int co_loop_unref(struct co_loop *loop);

/* The loop whose task or tick is running in this thread, or NULL. */
CO_API struct co_loop *co_loop_current(void);

/* The number of threads that the loop runs its tasks on, or -EINVAL. */
CO_API int co_loop_threads(struct co_loop *loop);

/* The name of the loop's operating system backend, or NULL. */
CO_API const char *co_loop_backend(struct co_loop *loop);

/* A function to be run by the loop.  The caller's memory; untouched by the
 * caller from co_loop_on_next_tick() until run() is called.  run() may free it
 * or use it again.  The private fields are the library's. */
struct co_tick {
	void (*run)(struct co_tick *tick);
	void *private_[2];
};

/* Have TICK->run(TICK) called soon, once, by some thread of the loop, outside
 * of any task: it must not block.  It can't fail for want of memory.  Any
 * thread.  -EINVAL: a null argument or a null run. */
CO_API int co_loop_on_next_tick(struct co_loop *loop, struct co_tick *tick);

/* Watches one file descriptor with a function.  The caller's memory, from
 * co_loop_add_fd() until co_loop_remove_fd() has returned. */
struct co_resume_node {
	/* Called by some thread of the loop, outside of any task, never
	 * concurrently with itself, when EVENTS (CO_READABLE, ...) have
	 * happened; edge-triggered: use the descriptor up to EAGAIN, or the
	 * next call may never come.  (With the backend "poll", room to write
	 * is reported again only if there was none when ready() returned;
	 * co_loop_mod_fd() asks for it at any time.)  It must not block; it
	 * may remove or modify the descriptor. */
	void (*ready)(struct co_resume_node *node, unsigned events);
	void *private_[4];
};

/* Watch FD, which stays the caller's, for EVENTS (CO_READABLE, CO_WRITABLE or
 * both).  While watched it keeps the loop running.  Any thread.
 * -EEXIST: FD is watched already, open as a co_io, or some task is in
 * co_wait_fd() for it.  -EBADF: not open.
 * -EPERM: its type can't be watched (a regular file).  -ELOOP: a chain of
 * epolls that is too long.  -EINVAL, -ENOMEM, -ENOSPC (the system's limit of
 * watches). */
CO_API int co_loop_add_fd(struct co_loop *loop, int fd, unsigned events,
		struct co_resume_node *node);

/* Change what FD is watched for, and by which node.  An event that is already
 * there is reported again.  The old node's ready() may still be running when
 * this returns.  -ENOENT: not watched.  Otherwise as add, and FD is watched as
 * before. */
CO_API int co_loop_mod_fd(struct co_loop *loop, int fd, unsigned events,
		struct co_resume_node *node);

/* Stop watching FD.  When it returns, the node is the caller's again, and
 * ready() is not running, unless this was called from it.  -ENOENT: it isn't
 * watched.  -EDEADLK: called from another ready(), for which this one waits in
 * the same way: FD isn't watched any more, but its ready() is still running. */
CO_API int co_loop_remove_fd(struct co_loop *loop, int fd);

/* Figures of a loop since its creation, or of this moment. */
struct co_loop_stats {
	size_t size;		/* set to sizeof(struct co_loop_stats) */
	unsigned threads;	/* threads of the loop */
	unsigned idle;		/* of which have nothing to do now */
	uint64_t tasks;		/* tasks that have not ended */
	uint64_t spawned;	/* tasks ever spawned */
	uint64_t switches;	/* times that a task waited, yielded or ended */
	uint64_t steals;	/* tasks taken from another thread's queue */
	uint64_t polls;		/* questions to the system for events */
	uint64_t events;	/* events that it gave */
	uint64_t wakeups;	/* sleeping threads woken */
	uint64_t timers;	/* timers that went off */
	uint64_t stack_bytes;	/* address space reserved for stacks */
	uint64_t stacks;	/* stacks made, in use or kept for reuse */
	uint64_t timers_set;	/* timers that have not gone off */
	uint64_t queued;	/* ready tasks in the queues of the threads */
	uint64_t stalls;	/* stalls reported */
	uint64_t reserved[1];
};

/* Read the figures.  They are exact while the loop doesn't run; else each is
 * what it was at some moment of the call.  Any thread.  STATS->size must be
 * set.  -EINVAL. */
#if defined __cplusplus && defined __GNUC__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"	/* the name of the struct */
#endif
CO_API int co_loop_stats(struct co_loop *loop, struct co_loop_stats *stats);
#if defined __cplusplus && defined __GNUC__
#pragma GCC diagnostic pop
#endif

/* Write to the file descriptor FD, in words, what LOOP is and has done, what
 * each of its threads does, and a line for each task: its name, its state, what
 * it waits for and for how long, and where it was spawned.  While the loop runs
 * it is approximate.  Any thread.  -EINVAL, or what write(2) said. */
CO_API int co_loop_dump(struct co_loop *loop, int fd);

/* Make a loop with default options, run FN(ARG) as its first task, and when
 * all tasks have ended destroy it.  Returns what FN returned, or a negative
 * errno value: as co_loop_create(), co_spawn() and co_loop_run(), -ECANCELED if
 * the loop was stopped before FN returned. */
CO_API int co_run(co_task_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
