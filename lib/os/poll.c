/* SPDX-License-Identifier: MIT */

/*
 * poll.c - the portable backend, on poll(2)
 *
 * poll(2) says what is there, not what is new.  So each direction of a
 * descriptor is asked for until it was reported once, and then again only
 * after rearm() or renew().
 *
 * Ownership   `set` holds what is to be asked, under the mutex.  wait() asks
 *             with a copy of its own, without the mutex; whoever changes `set`
 *             meanwhile kicks it, so that it goes on with a new copy.  That
 *             includes removals: as long as the system call goes on it holds
 *             the file, and closing the descriptor would not end a connection.
 * Rounds      A copy makes a round.  An answer is dropped if the descriptor
 *             was added or renewed in that same round: it may speak of another
 *             file that had the same number.
 * Memory      wait() can't fail, so add() brings the memory that the next copy
 *             needs.
 * Waking      Wakes and kicks write the same descriptor, an eventfd or a pipe.
 *             `woken` is 1 from the wake() that writes until the wait() that
 *             takes it: wakes in between cost no system call.
 *
 *               wake                       wait
 *               W1  woken: swap in 1       T1  empty the descriptor
 *               W2  if it was 0: write     T2  woken: swap in 0
 *
 *             T1 stands before T2: the other way round it could swallow the
 *             write of a wake whose 1 stays, and no later wake would write.
 * Ordering    A wake that finds 1 at W1 precedes the T2 that takes the 1
 *             away: what was written before it is visible when that wait()
 *             returns.
 * Progress    The mutex is never held while waiting.  wake() doesn't take it.
 */

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SYS_EVENTFD_H
#include <sys/eventfd.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "atomic.h"

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

#define BOTH (CO_READABLE | CO_WRITABLE)

#define FIRST_ROOM 16u
#define NAP (5 * CO_MILLISECOND)	/* see ask_in_parts */

struct watch {
	uint64_t key;
	uint64_t since;		/* the round in which it was added */
	size_t slot;		/* its place in the set; 0: not watched */
	unsigned interest;	/* CO_READABLE, CO_WRITABLE: to be reported */
};

struct co__poller {
	volatile AO_t woken;	/* atomic: see Waking */
	int wake_out, wake_in;	/* constant after create; to read, to write */

	pthread_mutex_t mutex;	/* nothing else is acquired inside */

	struct watch *watches;	/* lock: mutex; indexed by descriptor */
	size_t watches_room;	/* lock: mutex */
	struct pollfd *set;	/* lock: mutex; [0] is wake_out, a descriptor
				 * without interest is complemented */
	size_t used, room;	/* lock: mutex; of the set */
	struct pollfd *spare;	/* lock: mutex; as large as the set, or NULL:
				 * `asked` is */
	uint64_t round;		/* lock: mutex; written by wait() only */
	bool blocked;		/* lock: mutex; a wait() wants to be kicked */

	struct pollfd *asked;	/* owner: wait() */
	size_t next;		/* owner: wait(); where it looks first */
};

/* ---- the descriptor that interrupts poll(2) ---- */

#ifdef HAVE_SYS_EVENTFD_H

static int open_wake(struct co__poller *poller)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		return -errno;
	poller->wake_out = poller->wake_in = fd;

	return 0;
}

static void close_wake(struct co__poller *poller)
{
	close(poller->wake_out);
}

#else

static int open_wake(struct co__poller *poller)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	poller->wake_out = fds[0];
	poller->wake_in = fds[1];

	return 0;
}

static void close_wake(struct co__poller *poller)
{
	close(poller->wake_out);
	close(poller->wake_in);
}

#endif

/* Other failures than by a signal mean that so much is there to be read that
 * poll(2) returns anyway. */
static void write_wake(struct co__poller *poller)
{
	const uint64_t one = 1;

	while (write(poller->wake_in, &one, sizeof(one)) < 0
			&& errno == EINTR)
		continue;
}

/* Take kicks and wakes.  True if there was a wake. */
static bool take_wake(struct co__poller *poller)
{
	uint64_t some[64];

	while (read(poller->wake_out, some, sizeof(some))
			== (ssize_t)sizeof(some))	/* T1 */
		continue;	/* GCOVR_EXCL_LINE: never so many at once */

	/* T2: acquires what the wakers wrote; pairs with W1 */
	return co__atomic_swap(&poller->woken, 0) != 0;
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

/* ---- the set; all of it with the mutex held ---- */

/* Let a wait() that is blocked see the change.  One kick per copy is enough. */
static void kick(struct co__poller *poller)
{
	if (!poller->blocked)
		return;

	poller->blocked = false;
	write_wake(poller);
}

static struct watch *find_watch(struct co__poller *poller, int fd)
{
	if (fd < 0 || (size_t)fd >= poller->watches_room)
		return NULL;
	if (poller->watches[fd].slot == 0)
		return NULL;

	return &poller->watches[fd];
}

static void set_interest(struct co__poller *poller, struct watch *watch,
		int fd, unsigned interest)
{
	struct pollfd *place = &poller->set[watch->slot];

	watch->interest = interest;
	place->fd = interest != 0 ? fd : ~fd;
	place->events = 0;
	if (interest & CO_READABLE)
		place->events |= POLLIN | POLLRDHUP;
	if (interest & CO_WRITABLE)
		place->events |= POLLOUT;
}

static int reserve_watch(struct co__poller *poller, int fd)
{
	size_t room = poller->watches_room;
	struct watch *watches;

	if ((size_t)fd < room)
		return 0;
	while ((size_t)fd >= room)
		room *= 2;

	watches = calloc(room, sizeof(*watches));
	if (watches == NULL)
		return -ENOMEM;

	memcpy(watches, poller->watches,
			poller->watches_room * sizeof(*watches));
	free(poller->watches);
	poller->watches = watches;
	poller->watches_room = room;

	return 0;
}

static int reserve_place(struct co__poller *poller)
{
	size_t room = poller->room * 2;
	struct pollfd *set, *spare;

	if (poller->used < poller->room)
		return 0;

	set = calloc(room, sizeof(*set));
	spare = calloc(room, sizeof(*spare));
	if (set == NULL || spare == NULL) {
		free(set);
		free(spare);
		return -ENOMEM;
	}

	memcpy(set, poller->set, poller->used * sizeof(*set));
	free(poller->set);
	free(poller->spare);
	poller->set = set;
	poller->spare = spare;
	poller->room = room;

	return 0;
}

static int insert_watch(struct co__poller *poller, int fd, uint64_t key)
{
	struct watch *watch;
	int rc;

	if (find_watch(poller, fd) != NULL)
		return -EEXIST;

	rc = reserve_watch(poller, fd);
	if (rc == 0)
		rc = reserve_place(poller);
	if (rc < 0)
		return rc;

	watch = &poller->watches[fd];
	watch->key = key;
	watch->since = poller->round;
	watch->slot = poller->used++;
	set_interest(poller, watch, fd, BOTH);
	kick(poller);

	return 0;
}

/* The last of the set moves to the place that becomes free. */
static void drop_watch(struct co__poller *poller, struct watch *watch)
{
	struct pollfd *last = &poller->set[--poller->used];
	int moved = last->fd < 0 ? ~last->fd : last->fd;

	poller->set[watch->slot] = *last;
	poller->watches[moved].slot = watch->slot;
	watch->slot = 0;
}

/* ---- descriptors ---- */

static int add_fd(struct co__poller *poller, int fd, uint64_t key)
{
	struct stat status;
	int rc;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
		return -EPERM;

	pthread_mutex_lock(&poller->mutex);
	rc = insert_watch(poller, fd, key);
	pthread_mutex_unlock(&poller->mutex);

	return rc;
}

static void rearm_fd(struct co__poller *poller, int fd, uint64_t key,
		unsigned events)
{
	struct watch *watch;

	pthread_mutex_lock(&poller->mutex);
	watch = find_watch(poller, fd);
	if (watch != NULL && watch->key == key
			&& (events & BOTH & ~watch->interest) != 0) {
		set_interest(poller, watch, fd,
				watch->interest | (events & BOTH));
		kick(poller);
	}
	pthread_mutex_unlock(&poller->mutex);
}

static int renew_fd(struct co__poller *poller, int fd, uint64_t key)
{
	struct watch *watch;
	int rc = -ENOENT;

	if (fcntl(fd, F_GETFD) < 0)
		return -errno;

	pthread_mutex_lock(&poller->mutex);
	watch = find_watch(poller, fd);
	if (watch != NULL) {
		watch->key = key;
		watch->since = poller->round;
		set_interest(poller, watch, fd, BOTH);
		kick(poller);
		rc = 0;
	}
	pthread_mutex_unlock(&poller->mutex);

	return rc;
}

static void remove_fd(struct co__poller *poller, int fd)
{
	struct watch *watch;

	pthread_mutex_lock(&poller->mutex);
	watch = find_watch(poller, fd);
	if (watch != NULL) {
		drop_watch(poller, watch);
		kick(poller);
	}
	pthread_mutex_unlock(&poller->mutex);
}

/* ---- waiting ---- */

/* What is left until END: 0 if it has passed, -1 if it never comes. */
static co_time time_left(co_time end)
{
	co_time now;

	if (end == CO_NEVER)
		return -1;
	now = co_now();

	return now < end ? end - now : 0;
}

#ifdef HAVE_PPOLL

static int ask_once(struct pollfd *asked, size_t used, co_time left)
{
	struct timespec length;

	if (left < 0)
		return ppoll(asked, used, NULL, NULL);
	if (left > INT32_MAX * CO_SECOND)
		left = INT32_MAX * CO_SECOND;
	length.tv_sec = (time_t)(left / CO_SECOND);
	length.tv_nsec = (long)(left % CO_SECOND);

	return ppoll(asked, used, &length, NULL);
}

#else

/* Milliseconds are rounded up: rounding down would have the caller ask again
 * and again in the last millisecond before its deadline. */
static int ask_once(struct pollfd *asked, size_t used, co_time left)
{
	co_time length = left / CO_MILLISECOND + (left % CO_MILLISECOND != 0);

	if (left < 0)
		return poll(asked, used, -1);

	return poll(asked, used, length < INT_MAX ? (int)length : INT_MAX);
}

#endif

/* How many descriptors the system lets a call ask for: no more than the process
 * may open, though it may have opened more before the limit was lowered. */
static size_t limit_of_one(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 0
			? limit.rlim_cur : 1;
}

/* Ask for some after the other.  Only those in the first part can end the
 * waiting, which is therefore short. */
static int ask_in_parts(struct pollfd *asked, size_t used, co_time left)
{
	const struct timespec nap = { 0, (long)NAP };
	size_t most = limit_of_one();
	int ready = 0, n;

	for (size_t i = 0; i < used; i += most) {
		n = ask_once(&asked[i], used - i < most ? used - i : most, 0);
		ready += n > 0 ? n : 0;
	}
	if (ready > 0 || left == 0)
		return ready;
	n = ask_once(asked, used < most ? used : most,
			left < 0 || left > NAP ? NAP : left);
	if (n < 0 && errno == EINVAL)
		nanosleep(&nap, NULL);

	return n < 0 ? 0 : n;
}

static int ask(struct pollfd *asked, size_t used, co_time left)
{
	int n = ask_once(asked, used, left);

	return n < 0 && errno == EINVAL ? ask_in_parts(asked, used, left) : n;
}

/* Begin a round: copy the set.  Returns its size. */
static size_t copy_set(struct co__poller *poller, bool blocks)
{
	size_t used;

	pthread_mutex_lock(&poller->mutex);
	if (poller->spare != NULL) {
		free(poller->asked);
		poller->asked = poller->spare;
		poller->spare = NULL;
	}
	used = poller->used;
	memcpy(poller->asked, poller->set, used * sizeof(*poller->set));
	poller->round++;
	poller->blocked = blocks;
	pthread_mutex_unlock(&poller->mutex);

	return used;
}

/* A half-close leaves the other direction as it is; a full one, or an error,
 * lets reads and writes return at once. */
static unsigned translate(int bits)
{
	unsigned events = 0;

	if (bits & (POLLIN | POLLRDHUP | POLLHUP | POLLERR | POLLNVAL))
		events |= CO_READABLE;
	if (bits & (POLLOUT | POLLHUP | POLLERR | POLLNVAL))
		events |= CO_WRITABLE;
	if (bits & (POLLRDHUP | POLLHUP))
		events |= CO_HANGUP;
	if (bits & (POLLERR | POLLNVAL))
		events |= CO_ERROR;

	return events;
}

/* Make an event of an answer, and ask no more for what it says.  Hang-ups and
 * errors, which can't but be asked for, say both directions, and so silence
 * the descriptor.  To close a descriptor is to end the watch, as with epoll.
 * True if there is an event. */
static bool report(struct co__poller *poller, const struct pollfd *answer,
		struct co__poll_event *ret_event)
{
	struct watch *watch = find_watch(poller, answer->fd);
	unsigned events = translate(answer->revents);

	if (watch == NULL || watch->since == poller->round || events == 0)
		return false;

	ret_event->key = watch->key;
	ret_event->events = events;
	if (answer->revents & POLLNVAL)
		drop_watch(poller, watch);
	else
		set_interest(poller, watch, answer->fd,
				watch->interest & ~events);

	return true;
}

/* End a round: turn READY of the USED answers into up to MAX events.  The
 * place where it stops is where the next round begins to look, so that busy
 * descriptors don't hide those behind them. */
static int collect(struct co__poller *poller, size_t used, int ready,
		struct co__poll_event *events, int max)
{
	size_t i = poller->next;
	int count = 0;

	pthread_mutex_lock(&poller->mutex);
	poller->blocked = false;
	for (size_t seen = 0; seen < used && ready > 0 && count < max;
			seen++, i++) {
		if (i >= used)
			i = 0;
		if (poller->asked[i].revents == 0)
			continue;
		ready--;
		if (i > 0)
			count += report(poller, &poller->asked[i],
					&events[count]);
	}
	pthread_mutex_unlock(&poller->mutex);
	poller->next = i;

	return count;
}

/* One round.  True if wait() is to return *RET_COUNT: events, a wake, or a
 * signal. */
static bool run_round(struct co__poller *poller, co_time left,
		struct co__poll_event *events, int max, int *ret_count)
{
	size_t used = copy_set(poller, left != 0);
	int ready = ask(poller->asked, used, left);
	bool woken = ready > 0 && poller->asked[0].revents != 0
			&& take_wake(poller);

	*ret_count = collect(poller, used, ready, events, max);

	return woken || ready < 0 || *ret_count > 0;
}

/* Without events there was a kick, or answers that came too late.  To ask
 * without waiting doesn't need to know the time. */
static int wait_events(struct co__poller *poller,
		struct co__poll_event *events, int max, co_time timeout)
{
	co_time end = timeout > 0 ? co_after(timeout) : CO_NEVER;
	int count;

	while (!run_round(poller, timeout, events, max, &count)) {
		if (timeout != 0)
			timeout = time_left(end);
		if (timeout == 0)
			break;
	}

	return count;
}

/* ---- the poller ---- */

static void free_tables(struct co__poller *poller)
{
	free(poller->watches);
	free(poller->set);
	free(poller->spare);
	free(poller->asked);
}

static int make_tables(struct co__poller *poller)
{
	poller->watches_room = poller->room = FIRST_ROOM;
	poller->watches = calloc(FIRST_ROOM, sizeof(*poller->watches));
	poller->set = calloc(FIRST_ROOM, sizeof(*poller->set));
	poller->asked = calloc(FIRST_ROOM, sizeof(*poller->asked));
	if (poller->watches == NULL || poller->set == NULL
			|| poller->asked == NULL) {
		free_tables(poller);
		return -ENOMEM;
	}

	poller->set[0].fd = poller->wake_out;
	poller->set[0].events = POLLIN;
	poller->used = 1;

	return 0;
}

static int create_poller(struct co__poller **ret_poller)
{
	struct co__poller *poller = calloc(1, sizeof(*poller));
	int rc;

	if (poller == NULL)
		return -ENOMEM;

	rc = open_wake(poller);
	if (rc < 0)
		goto free_poller;

	rc = make_tables(poller);
	if (rc < 0)
		goto close_wake;

	pthread_mutex_init(&poller->mutex, NULL);
	*ret_poller = poller;

	return 0;

close_wake:
	close_wake(poller);
free_poller:
	free(poller);
	return rc;
}

static void destroy_poller(struct co__poller *poller)
{
	pthread_mutex_destroy(&poller->mutex);
	free_tables(poller);
	close_wake(poller);
	free(poller);
}

const struct co__os_backend co__os_poll = {
	.name = "poll",
	.create = create_poller,
	.destroy = destroy_poller,
	.add = add_fd,
	.rearm = rearm_fd,
	.renew = renew_fd,
	.remove = remove_fd,
	.wait = wait_events,
	.wake = wake_poller,
};
