/* SPDX-License-Identifier: MIT */

/*
 * epoll.c - the backend on Linux's epoll(7)
 *
 * A descriptor is registered once, edge-triggered, for both directions and
 * the peer's half-close, and is never modified until renew().
 *
 * Waking      An eventfd is registered like a descriptor, under a key that no
 *             owner uses.  It is edge-triggered too: each write makes one
 *             event, whatever the counter was, so the counter is never read.
 *             It can't overflow: that takes 2^64 - 2 writes of 1.
 * States      `woken` is 1 from the wake() that writes the eventfd until the
 *             wait() that got its event: wakes in between add nothing, and
 *             cost no system call.
 *
 *               wake                       wait
 *               W1  woken: swap in 1       T1  get the eventfd's event
 *               W2  if it was 0: write     T2  woken: swap in 0
 *
 *             The writes and the swaps in of 0 alternate, so an event that
 *             T1 got is never the one that a later W2 relies upon.
 * Ordering    A wake that finds 1 at W1 precedes the T2 that takes the 1
 *             away: what was written before it is visible when that wait()
 *             returns.
 * Progress    Apart from wait(), nothing blocks.  A thread that stands between
 *             W1 and W2 delays the wakes of others until it goes on, as if it
 *             alone had been asked to wake.
 */

#ifdef HAVE_EPOLL

#include "os.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "atomic.h"

#define WAKE_KEY UINT64_MAX

/* Events that one call takes from the kernel.  They are on the stack. */
#define BATCH 128

/* The longest timeouts of the two calls.  68 years are as good as no limit;
 * 24 days are not. */
#define LONGEST_TIMESPEC ((co_time)INT32_MAX * CO_SECOND)
#define LONGEST_MILLISECONDS ((co_time)INT_MAX * CO_MILLISECOND)

struct co__poller {
	volatile AO_t woken;	/* atomic: see States */
	int epoll_fd;		/* constant after create */
	int wake_fd;		/* constant after create */
	bool coarse;		/* owner: wait(); no nanoseconds to be had */
};

static int control(struct co__poller *poller, int op, int fd, uint64_t key)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP
			| EPOLLET,
		.data.u64 = key,
	};

	return epoll_ctl(poller->epoll_fd, op, fd, &event) < 0 ? -errno : 0;
}

static int open_wake(struct co__poller *poller)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLET,
		.data.u64 = WAKE_KEY,
	};

	poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poller->wake_fd < 0)
		return -errno;

	if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd,
			&event) < 0) {
		int error = errno;

		close(poller->wake_fd);
		return -error;
	}

	return 0;
}

static int create_poller(struct co__poller **ret_poller)
{
	struct co__poller *poller = calloc(1, sizeof(*poller));
	int rc;

	if (poller == NULL)
		return -ENOMEM;

	poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->epoll_fd < 0) {
		rc = -errno;
		goto free_poller;
	}

	rc = open_wake(poller);
	if (rc < 0)
		goto close_epoll;

	*ret_poller = poller;
	return 0;

close_epoll:
	close(poller->epoll_fd);
free_poller:
	free(poller);
	return rc;
}

static void destroy_poller(struct co__poller *poller)
{
	close(poller->wake_fd);
	close(poller->epoll_fd);
	free(poller);
}

static int add_fd(struct co__poller *poller, int fd, uint64_t key)
{
	return control(poller, EPOLL_CTL_ADD, fd, key);
}

/* A modification looks at the descriptor again, as an addition does. */
static int renew_fd(struct co__poller *poller, int fd, uint64_t key)
{
	return control(poller, EPOLL_CTL_MOD, fd, key);
}

static void remove_fd(struct co__poller *poller, int fd)
{
	control(poller, EPOLL_CTL_DEL, fd, 0);
}

/* A half-close leaves the other direction as it is; a full one, or an error,
 * lets reads and writes return at once. */
static inline unsigned translate(uint32_t bits)
{
	unsigned events = 0;

	if (co__likely((bits & ~(uint32_t)(EPOLLIN | EPOLLOUT)) == 0))
		return (bits & EPOLLIN ? CO_READABLE : 0)
				| (bits & EPOLLOUT ? CO_WRITABLE : 0);
	if (bits & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		events |= CO_READABLE;
	if (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		events |= CO_WRITABLE;
	if (bits & (EPOLLRDHUP | EPOLLHUP))
		events |= CO_HANGUP;
	if (bits & EPOLLERR)
		events |= CO_ERROR;
	if (bits & EPOLLPRI)
		events |= CO__URGENT;

	return events;
}

/* Rounded up: rounding down would have the caller ask again and again in the
 * last millisecond before its deadline. */
static int to_milliseconds(co_time timeout)
{
	if (timeout < 0)
		return -1;

	return (int)(timeout / CO_MILLISECOND
			+ (timeout % CO_MILLISECOND != 0));
}

static int wait_coarsely(struct co__poller *poller, struct epoll_event *bits,
		int max, co_time timeout)
{
	int n;

	while (timeout > LONGEST_MILLISECONDS) {
		n = epoll_wait(poller->epoll_fd, bits, max, INT_MAX);
		if (n != 0)
			return n;
		timeout -= LONGEST_MILLISECONDS; /* GCOVR_EXCL_LINE: 24 days */
	}

	return epoll_wait(poller->epoll_fd, bits, max,
			to_milliseconds(timeout));
}

#ifdef HAVE_EPOLL_PWAIT2

/* Kernels before 5.11 don't have the call, and some sandboxes that don't know
 * it answer EPERM, which the call itself never does. */
static bool is_missing(int error)
{
	return error == ENOSYS || error == EPERM;
}

static int wait_finely(struct co__poller *poller, struct epoll_event *bits,
		int max, co_time timeout)
{
	struct timespec length = {
		.tv_sec = (time_t)(timeout / CO_SECOND),
		.tv_nsec = (long)(timeout % CO_SECOND),
	};
	int n;

	n = epoll_pwait2(poller->epoll_fd, bits, max, &length, NULL);
	if (n >= 0 || !is_missing(errno))
		return n;

	poller->coarse = true;
	return wait_coarsely(poller, bits, max, timeout);
}

/* Only what is neither "now" nor "whenever" needs the finer call. */
static int wait_bits(struct co__poller *poller, struct epoll_event *bits,
		int max, co_time timeout)
{
	if (timeout > LONGEST_TIMESPEC)
		timeout = -1;
	if (timeout <= 0 || poller->coarse)
		return wait_coarsely(poller, bits, max, timeout);

	return wait_finely(poller, bits, max, timeout);
}

#else

static int wait_bits(struct co__poller *poller, struct epoll_event *bits,
		int max, co_time timeout)
{
	return wait_coarsely(poller, bits, max, timeout);
}

#endif

static int wait_events(struct co__poller *poller,
		struct co__poll_event *events, int max, co_time timeout)
{
	struct epoll_event bits[BATCH];
	int count = 0, n;

	n = wait_bits(poller, bits, max < BATCH ? max : BATCH, timeout);

	for (int i = 0; i < n; i++) {			/* T1 */
		if (bits[i].data.u64 == WAKE_KEY) {
			/* T2: acquires what the wakers wrote; pairs with W1 */
			co__atomic_swap(&poller->woken, 0);
			continue;
		}
		events[count].key = bits[i].data.u64;
		events[count].events = translate(bits[i].events);
		count++;
	}

	return count;
}

/* It has no other reason to fail, see Waking. */
static void write_wake(struct co__poller *poller)
{
	const uint64_t one = 1;

	while (write(poller->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}

/* A signal handler may call it, so errno is kept. */
static void wake_poller(struct co__poller *poller)
{
	int error = errno;

	/* W1: releases what the caller wrote; pairs with T2 */
	if (co__atomic_swap(&poller->woken, 1) == 0)
		write_wake(poller);			/* W2 */
	errno = error;
}

const struct co__os_backend co__os_epoll = {
	.name = "epoll",
	.create = create_poller,
	.destroy = destroy_poller,
	.add = add_fd,
	.rearm = NULL,
	.renew = renew_fd,
	.remove = remove_fd,
	.wait = wait_events,
	.wake = wake_poller,
};

#endif
