/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_WORKER_H
#define COLOOP_LIB_WORKER_H

/*
 * worker.h - a thread that runs tasks
 *
 * Switching   A task that parks switches straight to the next runnable one.
 *             Only when there is none nearby, or when it is time to look
 *             around, it switches to the worker's own stack, the scheduler.
 * Hooks       What must happen to a task after it has left its stack (queue
 *             it, arm its wait, free it) is a hook: set before the switch, and
 *             called by whoever the switch arrives at, first thing.
 * Fairness    A wake-up goes to the run-next slot, a spawn or a yield to the
 *             end of the queue.  After CO__NEXT_STREAK turns of the slot the
 *             queue has one.  A parent that joins prefers its newest child to
 *             the queue, a child that ends prefers its parent to both; but once
 *             in CO__TURN the oldest in the queue is next.  Every
 *             CO__LOOK_AROUND switches the scheduler looks at timers, the
 *             inject queue and the poller; or twice, four times ... as often
 *             if these take longer than CO__TURN.  At each CO__SPILL_LOOKS
 *             looks it takes a batch of those that the queue had no room for.
 * Sharing     Tasks that run for less than CO__FINE from switch to switch most
 *             likely talk to each other, and to spread them costs more than it
 *             gains: a cache line from another core takes 55 ns, a wake-up of a
 *             thread 20 us.  So a worker that switches that often shares only
 *             what has never run; the rest if it is more than CO__FEW, if it is
 *             seen to be slower at the next look around, or stuck at one task.
 *             What is in the slot it keeps for itself, unless it is stuck.  Who
 *             was stuck once is likely to wake a task and compute on again: for
 *             the next CO__EAGER wake-ups its slot is open to all, and the idle
 *             are told at once.
 */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include <coloop/queue.h>

#include "bias.h"
#include "frame.h"
#include "inject.h"
#include "os/os.h"
#include "runq.h"
#include "seat.h"
#include "stall.h"
#include "task.h"
#include "timer.h"
#include "wait.h"

#define CO__LOOK_AROUND 64u
#define CO__SPILL_LOOKS 8u
#define CO__FINE (400 * CO_NANOSECOND)
#define CO__FEW 16u
#define CO__EAGER 16u
#define CO__NEXT_STREAK 16u
#define CO__TURN (1 * CO_MILLISECOND)
#define CO__PATIENCE_MIN 2u
#define CO__PATIENCE_MAX 256u
#define CO__EVENTS 256

/* What the thread of a worker does. */
enum co__doing {
	CO__AWAY,			/* it isn't in co__worker_run */
	CO__WORKS,			/* it runs a task, or looks for one */
	CO__POLLS, CO__SLEEPS		/* it waits for something to do */
};

struct co__worker {
	/* The owner's: the thread that runs it. */
	AO_t current;			/* relaxed: struct co_task *, the task
					 * that runs, or 0 */
	struct co_task *preferred;	/* what the scheduler runs next; NULL
					 * while a task runs */
	AO_t pinned_until;		/* `switches' when the last one that it
					 * took from `pinned' leaves */
	co__park_fn *hook;		/* to be called after the switch; NULL:
					 * who was left is in the queue, and the
					 * door of `bias' is to be left */
	struct co_task *hook_task;	/* who was left; NULL: the scheduler */
	void *hook_arg;
	AO_t switches;			/* relaxed: switches so far */
	AO_t look_mask;			/* it looks around when these bits of
					 * `switches' are 0 */
	AO_t detour_mask;		/* it is the scheduler's turn when these
					 * are: the same, or 0, always */
	unsigned next_streak;		/* turns of the slot in a row; once they
					 * are CO__NEXT_STREAK, the oldest in
					 * the queue is next */
	co_time turn_ends;		/* see CO__TURN */
	co_time looked;			/* when it looked around last */
	bool has_slept;			/* since then, or it has just begun */
	co_time trims_next;		/* see CO__TRIM_TICK */
	AO_t visits;			/* of the bias, at the last turn */
	unsigned quiet_turns;		/* since one in which somebody came */
	unsigned patience;		/* such turns until it is alone */
	bool is_alone;			/* it was, when the last turn began */
	unsigned random;		/* state of a generator */
	bool searching;			/* counted in idle.searching */
	struct co_loop *loop;		/* constant */
	struct co__seat *seat;		/* constant */
	struct co__context context;	/* the scheduler, while a task runs */
	struct co__checked checked;
	struct co__frame_cache frames;
	AO_t outside_waits;		/* relaxed: tasks that parked here, less
					 * those that went on here, to wait for
					 * what is no task: fd.h, blocking.h */
	AO_t spawned, ended;		/* relaxed: tasks */
	AO_t steals, polls, naps, events, timers;	/* relaxed */
	AO_t calls;			/* relaxed: of ticks and of ready() */
	AO_t doing;			/* relaxed: enum co__doing */
	const void *watching;		/* the fd whose node runs, or NULL */
	AO_t awaiting;			/* atomic: the fd whose node's end that
					 * node waits for, or 0; see watch.c */
	struct co__poll_event polled[CO__EVENTS];

	/* Shared. */
	AO_t next __attribute__((aligned(64)));	/* atomic: run-next slot */
	AO_t fine;			/* atomic: it switches often: Sharing */
	AO_t stuck_at;			/* atomic: value of `switches' at which
					 * the monitor allowed to steal all */
	AO_t eager;			/* relaxed: wake-ups for which the slot
					 * is open, with this one: Sharing */
	struct co__bias bias;		/* of `next' and `queue': near.h */
	AO_t seen_at;			/* monitor: `switches' when it looked */
	AO_t clock;			/* relaxed: the stamp of the last look
					 * at the clock, its own or the
					 * monitor's */
	struct co__runq queue;
	struct co_queue pinned;		/* put: anyone; get: owner */
	/* All look at it, so it isn't in the line of the queue's ends. */
	struct co__wheel wheel __attribute__((aligned(64)));

	/* Sleeping: see idle.h. */
	struct co__list idle_link;	/* lock: idle */
	bool is_idle;			/* lock: idle */
	bool is_polling;		/* lock: idle */
	sem_t sleep;
	pthread_t thread;		/* constant while the loop runs */
	AO_t thread_id;			/* relaxed: the system's, or 0 */
	struct co__watch watch;		/* monitor */
	unsigned index;			/* constant */
};

/* Of this thread; for co__worker_get only. */
extern _Thread_local struct co__worker *co__worker_here
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The worker of this thread, or NULL.  A task may be in another thread after
 * each switch, but compilers take the address of a thread-local variable for
 * the same in all of a function, and with link-time optimization that can be
 * much of the library.  On x86 it does no harm, for each access goes through
 * the segment register of its thread; elsewhere this is never inlined. */
#if defined __x86_64__ || defined __i386__
static inline struct co__worker *co__worker_get(void)
{
	return co__worker_here;
}
#else
struct co__worker *co__worker_get(void);
#endif

/* The task that WORKER runs, or NULL.  Any thread. */
static inline struct co_task *co__worker_current(
		const struct co__worker *worker)
{
	return (struct co_task *)AO_load(&worker->current);
}

static inline void co__worker_set_current(struct co__worker *worker,
		struct co_task *task)
{
	AO_store(&worker->current, (AO_t)task);
}

/* The task that calls this, or NULL. */
static inline struct co_task *co__worker_self(void)
{
	struct co__worker *worker = co__worker_get();

	return worker != NULL ? co__worker_current(worker) : NULL;
}

/* The seat of the thread that calls this. */
static inline struct co__seat *co__seat_here(void)
{
	struct co__worker *worker = co__worker_get();

	return co__likely(worker != NULL) ? worker->seat : co__seat_none;
}

/* The same if it runs SELF.  Not the thread-local variable: after a switch the
 * compiler may take it from the thread that SELF was in before. */
static inline struct co__seat *co__seat_of(const struct co_task *self)
{
	return self->worker->seat;
}

/* The same if it runs SELF, or if that is NULL. */
static inline struct co__seat *co__seat_with(const struct co_task *self)
{
	return self != NULL ? co__seat_of(self) : co__seat_here();
}

/* A number that grows with each switch and each sleep of WORKER, and with each
 * tick and each ready function that it runs. */
static inline AO_t co__worker_turns(const struct co__worker *worker)
{
	return AO_load(&worker->switches) + AO_load(&worker->polls)
			+ AO_load(&worker->naps) + AO_load(&worker->calls);
}

static inline void co__worker_set_look_mask(struct co__worker *worker,
		AO_t mask)
{
	worker->look_mask = mask;
	worker->detour_mask = co__checked_by_scheduler() ? 0 : mask;
}

/* WORKER is about to run a tick or a ready function. */
static inline void co__worker_count_call(struct co__worker *worker)
{
	AO_store(&worker->calls, AO_load(&worker->calls) + 1);
}

/* SELF, which WORKER runs, is about to wait for OBJECT: for people. */
static inline void co__worker_note_wait(struct co__worker *worker,
		struct co_task *self, enum co__wait_kind kind,
		const void *object)
{
	AO_store(&self->kind, AO_load(&worker->clock) | (AO_t)kind);
	AO_store(&self->object, (AO_t)object);
}

/* Count SELF, the calling task, as one that something outside of the loop will
 * wake: CHANGE is 1 before it parks, and -1 afterwards. */
static inline void co__worker_count_outside(const struct co_task *self,
		AO_t change)
{
	AO_t *waits = &self->worker->outside_waits;

	AO_store(waits, AO_load(waits) + change);
}

/* The first thing that each blocking call does: *RET_SELF is the calling task.
 * 0, -EPERM (no task), -ECANCELED, -ETIMEDOUT. */
static inline int co__wait_enter(struct co_task **ret_self)
{
	struct co_task *self = co__worker_self();

	if (co__unlikely(self == NULL))
		return -EPERM;
	*ret_self = self;

	return co__wait_look(self);
}

int co__worker_init(struct co__worker *worker, struct co_loop *loop,
		unsigned index);
void co__worker_deinit(struct co__worker *worker);

/* Run tasks until the loop stops. */
void co__worker_run(struct co__worker *worker);

/* Make TASK runnable (any thread); it must not be so already, and the caller
 * must own it.  From here on it may run, or be gone. */
void co__ready(struct co_task *task);

/* co__ready for a task that doesn't go to the queue of this thread. */
void co__ready_foreign(struct co_task *task);

/* co__park of a task that waits for the end of CHILD: what this worker queued
 * last runs next.  So children run before their older siblings, and a tree of
 * tasks keeps few more stacks than it is deep. */
int co__park_for_child(struct co_task *self, const void *child,
		co__park_fn *hook, void *arg);

/* Let other tasks of this worker run, if there are any; SELF goes to the end
 * of the queue.  Returns 0. */
int co__worker_yield(struct co_task *self);

/* Run TASK, on its own stack. */
void co__task_main(void *task);

/* Make the context of TASK, which is new. */
static inline void co__worker_make_context(struct co_task *task)
{
	char *top = (char *)task - 64, *bottom = task->stack_bottom;

	co__context_make(&task->context, bottom, (size_t)(top - bottom),
			co__task_main, task);
}

/* Whether TASK is what WORKER runs now, or will run next for sure. */
static inline bool co__worker_has_taken(const struct co__worker *worker,
		const struct co_task *task)
{
	return co__worker_current(worker) == task
			|| worker->preferred == task;
}

/* Switch to the scheduler, not to the next task, and call HOOK there. */
void co__worker_park_on_scheduler(struct co_task *self, co__park_fn *hook,
		void *arg);

/* The next task, or NULL if the loop stops.  Sleeps while there is none.  On
 * the scheduler's stack. */
struct co_task *co__find_task(struct co__worker *worker);

/* Whether some queue of the loop has work that WORKER could take. */
bool co__worker_sees_work(struct co__worker *worker);

/* A pseudo-random number. */
unsigned co__worker_random(struct co__worker *worker);

#endif
