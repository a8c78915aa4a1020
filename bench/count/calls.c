/* SPDX-License-Identifier: MIT */

/*
 * calls.c - calls to the system, counted: see count.h
 *
 * Each is a wrapper that the linker puts in the place of the call (--wrap).
 * What only sometimes goes to the system is counted if it has to: sem_wait()
 * and pthread_mutex_lock() if they don't succeed at once.  sem_post() and
 * pthread_cond_signal() count each time, though nobody may be asleep; and what
 * an unlocked mutex tells a sleeper isn't seen.
 */

#include "count.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <coloop/time.h>

/* The call NAME with PARAMETERS, counted as KIND. */
#define CALL(type, kind, name, parameters, arguments)                        \
	type __real_##name parameters;                                       \
	type __wrap_##name parameters;                                       \
	type __wrap_##name parameters                                        \
	{                                                                    \
		count_called(kind);                                          \
		return __real_##name arguments;                              \
	}

/* Declared here, defined below. */
#define OWN(type, name, parameters)                                          \
	type __real_##name parameters;                                       \
	type __wrap_##name parameters;                                       \
	type __wrap_##name parameters

/* --- Time ---------------------------------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
static co_time began;

static co_time number(const struct timespec *time)
{
	return (co_time)time->tv_sec * CO_SECOND + time->tv_nsec;
}

static struct timespec pair(co_time time)
{
	return (struct timespec){ .tv_sec = (time_t)(time / CO_SECOND),
		.tv_nsec = (long)(time % CO_SECOND) };
}

static __attribute__((constructor)) void begin(void)
{
	struct timespec now;

	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	began = number(&now);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int rc = __real_clock_gettime(clock, ret_now);

	count_called(COUNT_CLOCK);
	if (clock != CLOCK_REALTIME)
		*ret_now = pair(began + (number(ret_now) - began)
				/ COUNT_SLOWER);

	return rc;
}

/* --- Descriptors --------------------------------------------------------- */

OWN(int, epoll_wait, (int fd, struct epoll_event *events, int max, int timeout))
{
	count_called(COUNT_POLL);

	return __real_epoll_wait(fd, events, max, timeout > 0
			? timeout * COUNT_SLOWER : timeout);
}

OWN(int, epoll_pwait2, (int fd, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask))
{
	struct timespec longer = pair(number(timeout) * COUNT_SLOWER);

	count_called(COUNT_POLL);

	return __real_epoll_pwait2(fd, events, max, &longer, mask);
}

/* Eight bytes are what wakes the poller. */
OWN(ssize_t, write, (int fd, const void *data, size_t size))
{
	count_called(size == 8 ? COUNT_WAKE_POLLER : COUNT_WRITE);

	return __real_write(fd, data, size);
}

CALL(int, COUNT_CONTROL, epoll_ctl, (int epoll, int op, int fd,
		struct epoll_event *event), (epoll, op, fd, event))
CALL(ssize_t, COUNT_READ, read, (int fd, void *data, size_t size),
		(fd, data, size))
CALL(ssize_t, COUNT_READ, recv, (int fd, void *data, size_t size, int flags),
		(fd, data, size, flags))
CALL(ssize_t, COUNT_WRITE, send, (int fd, const void *data, size_t size,
		int flags), (fd, data, size, flags))

/* --- Threads ------------------------------------------------------------- */

OWN(int, sem_wait, (sem_t *sem))
{
	if (sem_trywait(sem) == 0)
		return 0;
	count_called(COUNT_SLEEP);

	return __real_sem_wait(sem);
}

CALL(int, COUNT_WAKE_SLEEPER, sem_post, (sem_t *sem), (sem))

OWN(int, pthread_mutex_lock, (pthread_mutex_t *mutex))
{
	if (pthread_mutex_trylock(mutex) == 0)
		return 0;
	count_called(COUNT_MUTEX);

	return __real_pthread_mutex_lock(mutex);
}

OWN(int, pthread_cond_timedwait, (pthread_cond_t *cond, pthread_mutex_t *mutex,
		const struct timespec *when))
{
	struct timespec later = pair(began + (number(when) - began)
			* COUNT_SLOWER);

	count_called(COUNT_CONDITION);

	return __real_pthread_cond_timedwait(cond, mutex, &later);
}

CALL(int, COUNT_CONDITION, pthread_cond_wait, (pthread_cond_t *cond,
		pthread_mutex_t *mutex), (cond, mutex))
CALL(int, COUNT_CONDITION, pthread_cond_signal, (pthread_cond_t *cond), (cond))
CALL(int, COUNT_THREAD, pthread_create, (pthread_t *ret_thread,
		const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
		(ret_thread, attr, fn, arg))
CALL(int, COUNT_THREAD, pthread_join, (pthread_t thread, void **ret_result),
		(thread, ret_result))
CALL(int, COUNT_YIELD, sched_yield, (void), ())
CALL(int, COUNT_NAP, nanosleep, (const struct timespec *length,
		struct timespec *rest), (length, rest))

/* --- Memory -------------------------------------------------------------- */

CALL(void *, COUNT_MEMORY, mmap, (void *at, size_t size, int protection,
		int flags, int fd, off_t offset),
		(at, size, protection, flags, fd, offset))
CALL(int, COUNT_MEMORY, munmap, (void *at, size_t size), (at, size))
CALL(int, COUNT_MEMORY, madvise, (void *at, size_t size, int advice),
		(at, size, advice))
CALL(int, COUNT_MEMORY, mprotect, (void *at, size_t size, int protection),
		(at, size, protection))
