/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_OS_H
#define COLOOP_LIB_OS_H

/*
 * os.h - what the loop asks of the operating system
 *
 * A backend is a table of functions: tests may bring a table of their own.
 *
 * A poller watches file descriptors.  Each is added once, for everything that
 * can happen on it, and reports each change once (edge-triggered): after an
 * event the owner uses the descriptor until EAGAIN, and only then waits again.
 * A backend on a level-triggered system call imitates that: it reports an
 * event once, and again only after rearm().
 *
 * Threads     wait() is called by one thread at a time; all others by any
 *             thread, also while another is in wait().
 * Stale       After remove(), or after the descriptor was closed, an event
 *             with its key may still be reported; the caller compares the
 *             generation that it keeps in the key.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <coloop/time.h>

struct co__poller;

/* In the stream is a mark, at which a read stops short. */
#define CO__URGENT 16u

struct co__poll_event {
	uint64_t key;		/* as given to add() */
	unsigned events;	/* CO_READABLE | CO_WRITABLE | CO_HANGUP |
				 * CO_ERROR; a hang-up or error comes with
				 * CO_READABLE and CO_WRITABLE */
};

struct co__os_backend {
	const char *name;

	/* -ENOMEM, -EMFILE, -ENFILE, -ENOSPC. */
	int (*create)(struct co__poller **ret_poller);
	void (*destroy)(struct co__poller *poller);

	/* Begin to watch FD; what is there already is reported too.  Whoever
	 * gets an event sees what was written before the add().  -EPERM: the
	 * file is always ready.  -EBADF, -EEXIST, -ELOOP, -ENOMEM, -ENOSPC. */
	int (*add)(struct co__poller *poller, int fd, uint64_t key);

	/* Report EVENTS (CO_READABLE, CO_WRITABLE) of FD again if they are
	 * there now or come later.  Never fails.  NULL if the backend reports
	 * each new event anyway. */
	void (*rearm)(struct co__poller *poller, int fd, uint64_t key,
			unsigned events);

	/* Report EVENTS of FD again even if they were reported: as a new
	 * add().  -ENOENT, -EBADF, -ENOMEM. */
	int (*renew)(struct co__poller *poller, int fd, uint64_t key);

	/* Stop watching FD; no complaint if it isn't watched or not open. */
	void (*remove)(struct co__poller *poller, int fd);

	/* Wait until something happens, wake() is called, or TIMEOUT ns have
	 * passed (0: don't wait; negative: no limit).  Returns early for
	 * nothing but a signal.  Returns the number of events, 0 to MAX.  A
	 * wake() is not counted. */
	int (*wait)(struct co__poller *poller, struct co__poll_event *events,
			int max, co_time timeout);

	/* Make the wait() under way, or else the next one, return at once.
	 * Several may count as one.  Async-signal-safe. */
	void (*wake)(struct co__poller *poller);
};

extern const struct co__os_backend co__os_epoll;
extern const struct co__os_backend co__os_poll;

/* The backend called NAME, or the best one for NULL; NULL if there is none. */
const struct co__os_backend *co__os_backend(const char *name);

/* Order, in each thread of this process, every memory access before some moment
 * of this call before every one after it.  It takes microseconds.  Negative
 * errno values of membarrier(2); -ENOSYS. */
int co__os_barrier(void);

/* Whether that can be expected to succeed. */
bool co__os_has_barrier(void);

#endif
