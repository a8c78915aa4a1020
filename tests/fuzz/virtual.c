/* SPDX-License-Identifier: MIT */

/* virtual.c - see virtual.h */

#include "virtual.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "fuzz.h"

/* A timer goes off up to one tick of 65,536 ns late; an older system waits for
 * whole milliseconds. */
#define LATE_ENOUGH (2 * CO_MILLISECOND)

static _Thread_local struct {
	bool on;
	co_time now, lateness;
	co_time (*when_due)(void);
} virtual;

void virtual_begin(co_time now, co_time lateness, co_time (*when_due)(void))
{
	virtual.now = now;
	virtual.lateness = lateness;
	virtual.when_due = when_due;
	virtual.on = true;
}

void virtual_end(void)
{
	virtual.on = false;
}

void virtual_pass(co_time length)
{
	if (length > CO_HOUR)
		length = CO_HOUR;
	virtual.now += length > 0 ? length : 0;
}

bool virtual_works(void)
{
	bool works;

	virtual_begin(CO_HOUR, 0, NULL);
	works = co_now() == CO_HOUR;
	virtual_end();

	return works;
}

/* The loop has nothing to do for LENGTH; negative: for ever. */
static void let_pass(co_time length)
{
	co_time due = virtual.when_due();

	if (length == 0)
		return;
	if (length < 0)
		FUZZ_FAIL("the loop sleeps for ever");
	if (due != CO_NEVER && virtual.now + length > due + LATE_ENOUGH)
		FUZZ_FAIL("the loop sleeps until %lld, though it has to do "
				"something at %lld", (long long)(virtual.now
				+ length), (long long)due);
	virtual.now += length + virtual.lateness;
}

static inline co_time length_of(const struct timespec *timeout)
{
	return timeout == NULL ? -1 : timeout->tv_sec * CO_SECOND
			+ timeout->tv_nsec;
}

/* --- The calls that are replaced ----------------------------------------- */

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __real_poll(struct pollfd *set, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *set, nfds_t n, int timeout);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	co_time now = virtual.now;

	if (!virtual.on)
		return __real_clock_gettime(clock, ret_now);
	if (clock != CLOCK_MONOTONIC)
		now -= now % VIRTUAL_GRAIN;
	ret_now->tv_sec = (time_t)(now / CO_SECOND);
	ret_now->tv_nsec = (long)(now % CO_SECOND);

	return 0;
}

/* Of N events none came within the TIMEOUT of a call. */
static void let_milliseconds_pass(int n, int timeout)
{
	if (virtual.on && n == 0)
		let_pass(timeout * CO_MILLISECOND);
}

int __wrap_poll(struct pollfd *set, nfds_t n, int timeout)
{
	int ready = __real_poll(set, n, virtual.on ? 0 : timeout);

	let_milliseconds_pass(ready, timeout);

	return ready;
}

#ifdef HAVE_PPOLL

int __real_ppoll(struct pollfd *set, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask);
int __wrap_ppoll(struct pollfd *set, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask);

int __wrap_ppoll(struct pollfd *set, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask)
{
	static const struct timespec none = { 0, 0 };
	int ready = __real_ppoll(set, n, virtual.on ? &none : timeout, mask);

	if (virtual.on && ready == 0)
		let_pass(length_of(timeout));

	return ready;
}

#endif

#ifdef HAVE_EPOLL

#include <sys/epoll.h>

int __real_epoll_wait(int epoll, struct epoll_event *events, int max,
		int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max,
		int timeout);

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max,
		int timeout)
{
	int n = __real_epoll_wait(epoll, events, max, virtual.on ? 0 : timeout);

	let_milliseconds_pass(n, timeout);

	return n;
}

#endif

#ifdef HAVE_EPOLL_PWAIT2

int __real_epoll_pwait2(int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask);
int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask);

int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask)
{
	static const struct timespec none = { 0, 0 };
	int n = __real_epoll_pwait2(epoll, events, max,
			virtual.on ? &none : timeout, mask);

	if (virtual.on && n == 0)
		let_pass(length_of(timeout));

	return n;
}

#endif
