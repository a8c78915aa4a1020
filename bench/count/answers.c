/* SPDX-License-Identifier: MIT */

/*
 * answers.c - the system of a simulated machine: see simulate.h
 *
 * Each call is replaced by the linker (--wrap).  A descriptor from FIRST_FD on
 * is one of ours: an epoll, and the event counter after it, which is all it
 * watches.
 */

#include "simulate.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <coloop/time.h>

#include "count.h"

#define OBJECTS 512u
#define FIRST_FD (1 << 20)

/* A semaphore (VALUE is its), a mutex (1 while it is free), an event counter (1
 * if its event waits), or an epoll. */
struct object {
	const void *address;	/* NULL: this is a file descriptor */
	long value;
	uint64_t key;		/* event counter: of its event */
};

static struct object objects[OBJECTS];
static unsigned object_count;

/* The prototype, and the beginning of the definition. */
#define ANSWER(type, name, parameters)                                       \
	type __wrap_##name parameters;                                       \
	type __wrap_##name parameters

/* A call that is made, and takes time, but no turn: its caller may be in code
 * of the C library that must not be left. */
#define MADE(type, name, parameters, arguments)                              \
	type __real_##name parameters;                                       \
	ANSWER(type, name, parameters)                                       \
	{                                                                    \
		count_called(COUNT_MEMORY);                                  \
		simulate_pass(SIMULATE_CALL);                                \
		return __real_##name arguments;                              \
	}

static struct object *new_object(const void *address, long value)
{
	struct object *object = &objects[object_count++];

	if (object_count == OBJECTS)
		abort();
	object->address = address;
	object->value = value;

	return object;
}

/* The newest at ADDRESS. */
static struct object *object_at(const void *address)
{
	for (unsigned i = object_count; i-- > 0;)
		if (objects[i].address == address)
			return &objects[i];

	return new_object(address, 1);
}

static struct object *object_of_fd(int fd)
{
	return &objects[fd - FIRST_FD];
}

static int new_fd(void)
{
	return FIRST_FD + (int)(new_object(NULL, 0) - objects);
}

static void call(enum count_call kind, double cost)
{
	count_called(kind);
	simulate_pass(cost);
}

/* Wait until VALUE isn't 0, and take 1 away. */
static void take(struct object *object, enum count_call kind)
{
	simulate_turn();
	while (object->value == 0) {
		call(kind, SIMULATE_CALL);
		simulate_block(object, SIMULATE_NEVER);
	}
	object->value--;
}

static void give(struct object *object, enum count_call kind)
{
	simulate_turn();
	object->value++;
	if (simulate_wake(object, SIMULATE_LATENCY))
		call(kind, SIMULATE_WAKE);
}

/* --- Semaphores, mutexes, conditions ------------------------------------- */

ANSWER(int, sem_init, (sem_t *sem, int shared, unsigned value))
{
	(void)shared;
	new_object(sem, (long)value);

	return 0;
}

ANSWER(int, sem_wait, (sem_t *sem))
{
	take(object_at(sem), COUNT_SLEEP);

	return 0;
}

ANSWER(int, sem_post, (sem_t *sem))
{
	give(object_at(sem), COUNT_WAKE_SLEEPER);

	return 0;
}

ANSWER(int, pthread_mutex_lock, (pthread_mutex_t *mutex))
{
	take(object_at(mutex), COUNT_MUTEX);

	return 0;
}

ANSWER(int, pthread_mutex_unlock, (pthread_mutex_t *mutex))
{
	give(object_at(mutex), COUNT_MUTEX);

	return 0;
}

ANSWER(int, pthread_cond_signal, (pthread_cond_t *cond))
{
	simulate_turn();
	if (simulate_wake(cond, SIMULATE_LATENCY))
		call(COUNT_CONDITION, SIMULATE_WAKE);

	return 0;
}

static int wait_on(pthread_cond_t *cond, pthread_mutex_t *mutex, double until)
{
	bool woken;

	call(COUNT_CONDITION, SIMULATE_CALL);
	give(object_at(mutex), COUNT_MUTEX);
	woken = simulate_block(cond, until);
	take(object_at(mutex), COUNT_MUTEX);

	return woken ? 0 : ETIMEDOUT;
}

ANSWER(int, pthread_cond_wait, (pthread_cond_t *cond, pthread_mutex_t *mutex))
{
	return wait_on(cond, mutex, SIMULATE_NEVER);
}

static double number(const struct timespec *time)
{
	return (double)time->tv_sec * CO_SECOND + (double)time->tv_nsec;
}

ANSWER(int, pthread_cond_timedwait, (pthread_cond_t *cond,
		pthread_mutex_t *mutex, const struct timespec *when))
{
	return wait_on(cond, mutex, number(when));
}

/* --- Threads, time ------------------------------------------------------- */

ANSWER(int, pthread_create, (pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*fn)(void *), void *arg))
{
	(void)attr;
	call(COUNT_THREAD, SIMULATE_WAKE);
	*ret_thread = (pthread_t)simulate_thread(fn, arg);

	return 0;
}

ANSWER(int, pthread_join, (pthread_t thread, void **ret_result))
{
	(void)ret_result;
	call(COUNT_THREAD, SIMULATE_CALL);
	simulate_join((int)thread);

	return 0;
}

ANSWER(int, sched_yield, (void))
{
	call(COUNT_YIELD, SIMULATE_CALL);
	simulate_turn();

	return 0;
}

ANSWER(int, nanosleep, (const struct timespec *length, struct timespec *rest))
{
	(void)rest;
	call(COUNT_NAP, SIMULATE_CALL);
	simulate_block(NULL, simulate_now() + number(length));

	return 0;
}

ANSWER(int, clock_gettime, (clockid_t clock, struct timespec *ret_now))
{
	long long now = (long long)simulate_now();

	(void)clock;
	count_called(COUNT_CLOCK);
	simulate_pass(SIMULATE_FENCE);
	ret_now->tv_sec = (time_t)(now / CO_SECOND);
	ret_now->tv_nsec = (long)(now % CO_SECOND);

	return 0;
}

/* --- The poller ---------------------------------------------------------- */

ANSWER(int, epoll_create1, (int flags))
{
	(void)flags;

	return new_fd();
}

ANSWER(int, eventfd, (unsigned value, int flags))
{
	(void)value;
	(void)flags;

	return new_fd();
}

ANSWER(int, epoll_ctl, (int epoll, int op, int fd, struct epoll_event *event))
{
	(void)op;
	if (fd != epoll + 1)
		abort();
	object_of_fd(fd)->key = event->data.u64;

	return 0;
}

/* Edge-triggered: the event is reported once. */
static int wait_for_event(int epoll, struct epoll_event *event, double timeout)
{
	struct object *counter = object_of_fd(epoll + 1);
	double until = simulate_now() + timeout;

	call(COUNT_POLL, SIMULATE_CALL);
	simulate_turn();
	if (counter->value == 0)
		simulate_block(counter, until);
	if (counter->value == 0)
		return 0;
	counter->value = 0;
	event->events = EPOLLIN;
	event->data.u64 = counter->key;

	return 1;
}

ANSWER(int, epoll_wait, (int epoll, struct epoll_event *events, int max,
		int timeout))
{
	(void)max;

	return wait_for_event(epoll, events, timeout < 0 ? SIMULATE_NEVER
			: (double)timeout * CO_MILLISECOND);
}

ANSWER(int, epoll_pwait2, (int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask))
{
	(void)max;
	(void)mask;

	return wait_for_event(epoll, events, number(timeout));
}

ssize_t __real_write(int fd, const void *data, size_t size);
ANSWER(ssize_t, write, (int fd, const void *data, size_t size))
{
	if (fd < FIRST_FD)
		return __real_write(fd, data, size);
	call(COUNT_WAKE_POLLER, SIMULATE_CALL);
	give(object_of_fd(fd), COUNT_WAKE_POLLER);

	return (ssize_t)size;
}

int __real_close(int fd);
ANSWER(int, close, (int fd))
{
	return fd < FIRST_FD ? __real_close(fd) : 0;
}

/* --- Memory -------------------------------------------------------------- */

MADE(void *, mmap, (void *at, size_t size, int protection, int flags, int fd,
		off_t offset), (at, size, protection, flags, fd, offset))
MADE(int, munmap, (void *at, size_t size), (at, size))
MADE(int, madvise, (void *at, size_t size, int advice), (at, size, advice))
MADE(int, mprotect, (void *at, size_t size, int protection),
		(at, size, protection))
