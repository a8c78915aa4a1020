/* SPDX-License-Identifier: MIT */

/*
 * sockets.c - stream sockets of the explorer's system, and their events
 *
 * A socket is a number for a file.  The other end of the file is the
 * scenario's: it sends bytes, makes room for those that are written, and ends.
 * Bytes are only counted.
 *
 * Events      As epoll(7) has them, edge-triggered: something new marks the
 *             file; who waits is told once what is there at that moment, if it
 *             is anything.  That there is room to write is news if a call has
 *             found none.
 * Memory      An event comes with all that the other end knew, and who had
 *             asked for it.  Between what is new and the look whom to tell there
 *             is a fence.  But recv() and poll() may miss what has come, as any
 *             load of an ordinary word may find what was there before.  The
 *             library assumes no more of a kernel.
 */

#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES 8u
#define HERE EXPLORE_AT(EXPLORE_FULL)

struct explore_peer {
	unsigned numbers;	/* that mean this file */
	AO_t came;		/* bytes that the other end has sent */
	unsigned taken;		/* ...of which were read */
	bool ended;		/* it sends no more */
	unsigned room, sent;	/* bytes that may be, and were, written */
	bool found_full;	/* room is news */
	bool is_news;		/* who waits is to be told */
	int epoll;		/* 0: none */
	uint64_t key;
	uint32_t interest;
};

static struct explore_peer files[FILES];
static unsigned file_count;
static struct explore_peer *numbers[SOCKETS];	/* NULL: not open */

void sockets_begin(void)
{
	memset(files, 0, sizeof files);
	memset(numbers, 0, sizeof numbers);
	file_count = 0;
}

bool is_socket(int fd)
{
	return fd >= FIRST_SOCKET && fd < FIRST_SOCKET + (int)SOCKETS;
}

static struct explore_peer *file_of(int fd)
{
	return is_socket(fd) ? numbers[fd - FIRST_SOCKET] : NULL;
}

/* Give FILE the lowest free number from LEAST on. */
static int new_number(struct explore_peer *file, int least)
{
	unsigned i = (unsigned)(least - FIRST_SOCKET);

	while (i < SOCKETS && numbers[i] != NULL)
		i++;
	if (i == SOCKETS)
		explore_fail("the run has too many sockets");
	numbers[i] = file;
	file->numbers++;

	return FIRST_SOCKET + (int)i;
}

static int fail_with(int error)
{
	errno = error;

	return -1;
}

/* --- Events --------------------------------------------------------------- */

/* There is something new. */
static void tell(struct explore_peer *file)
{
	explore_fence(HERE);
	file->is_news = true;
	if (file->epoll != 0)
		system_has_event(file->epoll);
}

/* What is there of INTEREST, if CAME bytes have come. */
static uint32_t look(struct explore_peer *file, AO_t came, uint32_t interest)
{
	uint32_t bits = 0;

	if (came > file->taken || file->ended)
		bits |= EPOLLIN;
	if (file->ended)
		bits |= EPOLLRDHUP;
	if (file->sent < file->room)
		bits |= EPOLLOUT;
	else
		file->found_full = true;

	return bits & interest;
}

int sockets_control(int epoll, int op, int fd, const struct epoll_event *event)
{
	struct explore_peer *file = file_of(fd);

	if (file == NULL)
		return fail_with(EBADF);
	if (op == EPOLL_CTL_ADD && file->epoll != 0)
		return fail_with(EEXIST);
	if (op != EPOLL_CTL_ADD && file->epoll != epoll)
		return fail_with(ENOENT);
	if (op == EPOLL_CTL_DEL) {
		file->epoll = 0;
		return 0;
	}
	file->epoll = epoll;
	file->key = event->data.u64;
	file->interest = event->events;
	if (look(file, file->came, file->interest) != 0)
		tell(file);

	return 0;
}

int sockets_events(int epoll, struct epoll_event *events, int max)
{
	int count = 0;

	for (unsigned i = 0; i < file_count && count < max; i++) {
		struct explore_peer *file = &files[i];

		if (file->epoll != epoll || !file->is_news)
			continue;
		file->is_news = false;
		events[count].events = look(file, file->came, file->interest);
		events[count].data.u64 = file->key;
		if (events[count].events != 0)
			count++;
	}

	return count;
}

/* --- The other end -------------------------------------------------------- */

int explore_socket(unsigned room, struct explore_peer **ret_peer)
{
	struct explore_peer *file = &files[file_count];

	if (file_count++ == FILES)
		explore_fail("the run has too many sockets");
	file->room = room;
	*ret_peer = file;

	return new_number(file, FIRST_SOCKET);
}

void explore_send(struct explore_peer *peer, unsigned count)
{
	explore_store(&peer->came, peer->came + count,
			EXPLORE_AT(EXPLORE_RELAXED));
	trace("%d sent %u\n", running(), count);
	tell(peer);
}

void explore_end(struct explore_peer *peer)
{
	point("end a stream", HERE);
	peer->ended = true;
	trace("%d ended the stream\n", running());
	tell(peer);
}

void explore_make_room(struct explore_peer *peer, unsigned count)
{
	point("make room", HERE);
	peer->room += count;
	trace("%d made room for %u\n", running(), count);
	if (peer->found_full) {
		peer->found_full = false;
		tell(peer);
	}
}

unsigned explore_written(const struct explore_peer *peer)
{
	return peer->sent;
}

bool explore_is_open(const struct explore_peer *peer)
{
	return peer->numbers != 0;
}

/* --- Calls ---------------------------------------------------------------- */

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_fcntl(int fd, int command, ...);
int __real_fcntl(int fd, int command, ...);
int __wrap_getsockopt(int fd, int level, int option, void *value,
		socklen_t *size);
int __real_getsockopt(int fd, int level, int option, void *value,
		socklen_t *size);
int __wrap_close(int fd);
int __real_close(int fd);

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
	struct explore_peer *file;
	bool ended;
	size_t came;

	(void)data;
	(void)flags;
	point("recv", HERE);
	file = file_of(fd);
	if (file == NULL)
		return fail_with(EBADF);
	ended = file->ended;
	came = explore_load(&file->came, EXPLORE_AT(EXPLORE_RELAXED));
	/* The end is seen after all that came before it. */
	if (ended)
		came = file->came;
	if (came == file->taken)
		return ended ? 0 : fail_with(EAGAIN);
	if (size > came - file->taken)
		size = came - file->taken;
	file->taken += (unsigned)size;
	trace("%d received %zu\n", running(), size);

	return (ssize_t)size;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	struct explore_peer *file;
	unsigned room;

	(void)data;
	(void)flags;
	point("send", HERE);
	file = file_of(fd);
	if (file == NULL)
		return fail_with(EBADF);
	room = file->room - file->sent;
	if (size > room) {
		size = room;
		file->found_full = true;
	}
	if (size == 0)
		return fail_with(EAGAIN);
	file->sent += (unsigned)size;
	trace("%d wrote %zu\n", running(), size);

	return (ssize_t)size;
}

/* Only of one descriptor, and only what is there now. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct explore_peer *file;
	uint32_t bits;

	if (!is_socket(fds->fd))
		return __real_poll(fds, count, timeout);
	point("poll a socket", HERE);
	file = file_of(fds->fd);
	if (file == NULL) {
		fds->revents = POLLNVAL;
		return 1;
	}
	bits = look(file, explore_load(&file->came,
			EXPLORE_AT(EXPLORE_RELAXED)),
			EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	fds->revents = (short)((bits & EPOLLIN ? POLLIN : 0)
			| (bits & EPOLLOUT ? POLLOUT : 0)
			| (bits & EPOLLRDHUP ? POLLRDHUP : 0));
	fds->revents &= fds->events;

	return fds->revents != 0;
}

int __wrap_fcntl(int fd, int command, ...)
{
	struct explore_peer *file = file_of(fd);
	va_list args;
	int number;

	va_start(args, command);
	number = va_arg(args, int);
	va_end(args);
	if (!is_socket(fd))
		return __real_fcntl(fd, command, number);
	if (file == NULL)
		return fail_with(EBADF);
	if (command == F_DUPFD_CLOEXEC)
		return new_number(file, number);

	return command == F_GETFL ? O_RDWR | O_NONBLOCK : 0;
}

int __wrap_getsockopt(int fd, int level, int option, void *value,
		socklen_t *size)
{
	if (!is_socket(fd))
		return __real_getsockopt(fd, level, option, value, size);
	*(int *)value = option == SO_TYPE ? SOCK_STREAM : IPPROTO_TCP;

	return 0;
}

int __wrap_close(int fd)
{
	struct explore_peer *file = file_of(fd);

	if (!is_socket(fd))
		return fd < FIRST_FD ? __real_close(fd) : 0;
	point("close", HERE);
	if (file == NULL)
		explore_fail("a socket is closed twice");
	trace("%d closed %d\n", running(), fd);
	numbers[fd - FIRST_SOCKET] = NULL;
	if (--file->numbers == 0)
		file->epoll = 0;

	return 0;
}
