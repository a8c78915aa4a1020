/* SPDX-License-Identifier: MIT */

/*
 * epoll.c - the servers of net.h on epoll(7) itself: what all are measured by
 *
 * Each socket is registered once, edge-triggered; one buffer serves all; a
 * short read means that the socket is empty, except after the peer's end,
 * which is read out.  So a message costs two system calls.
 */

#include <stdbool.h>
#include <sys/epoll.h>

#include "net.h"

#define BATCH 512

struct connection {
	int fd;
	unsigned state;			/* of net_requests */
	struct connection *other;	/* where a proxy writes to */
	bool ended;			/* nothing more is to be read */
	char *unsent;			/* what didn't fit, or NULL */
	size_t offset, size;		/* the part of it that is left */
	struct connection *next_dead;
};

static struct net_options options;
static int epoll_fd;
static char buffer[NET_LARGE];
static struct connection *dead;		/* to be freed after the batch */

static struct connection *new_connection(int fd)
{
	struct connection *connection = calloc(1, sizeof *connection);
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = connection,
	};

	if (connection == NULL)
		net_die("calloc");
	connection->fd = fd;
	connection->other = connection;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		net_die("epoll_ctl");

	return connection;
}

static void drop(struct connection *connection)
{
	if (connection->fd < 0)
		return;
	close(connection->fd);
	connection->fd = -1;
	free(connection->unsent);
	connection->next_dead = dead;
	dead = connection;
	drop(connection->other);
}

/* Write SIZE bytes of DATA, or keep what doesn't fit.  0, or -1: it failed. */
static int put(struct connection *connection, const char *data, size_t size)
{
	ssize_t n = send(connection->fd, data, size, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return -1;
	if (n == (ssize_t)size)
		return 0;
	if (n < 0)
		n = 0;
	connection->size = size - (size_t)n;
	connection->offset = 0;
	connection->unsent = malloc(connection->size);
	if (connection->unsent == NULL)
		net_die("malloc");
	memcpy(connection->unsent, data + n, connection->size);

	return 0;
}

/* Write what was kept.  0, or -1: it failed. */
static int flush(struct connection *connection)
{
	while (connection->unsent != NULL) {
		ssize_t n = send(connection->fd, connection->unsent
				+ connection->offset, connection->size,
				MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		connection->offset += (size_t)n;
		connection->size -= (size_t)n;
		if (connection->size > 0)
			continue;
		free(connection->unsent);
		connection->unsent = NULL;
	}

	return 0;
}

/* The stream of CONNECTION has ended.  -1: both directions have. */
static int end(struct connection *connection)
{
	connection->ended = true;
	if (connection->other->ended)
		return -1;
	shutdown(connection->other->fd, SHUT_WR);

	return 0;
}

/* Read and answer until the socket is empty, or the answer doesn't fit.  A
 * short read will do, unless the end of the stream is there TO_THE_END. */
static int serve(struct connection *connection, bool to_the_end)
{
	struct connection *to = connection->other;
	size_t full = net_buffer_size(options.mode);

	while (to->unsent == NULL && !connection->ended) {
		ssize_t n = recv(connection->fd, buffer, full, 0);
		const char *data;
		size_t size;

		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		if (n == 0)
			return end(connection);
		size = options.mode == NET_PROXY ? (size_t)n
				: net_answer(options.mode, &connection->state,
				buffer, (size_t)n, &data);
		if (options.mode == NET_PROXY)
			data = buffer;
		if (size > 0 && put(to, data, size) < 0)
			return -1;
		if ((size_t)n < full && !to_the_end)
			return 0;
	}

	return 0;
}

static int handle(struct connection *connection, unsigned events)
{
	bool hung_up = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	if (connection->unsent != NULL) {
		if (flush(connection) < 0)
			return -1;
		/* There is room: who waits for it may go on. */
		if (connection->unsent == NULL
				&& serve(connection->other, true) < 0)
			return -1;
	}
	if (!hung_up && !(events & EPOLLIN))
		return 0;

	return serve(connection, hung_up);
}

/* The other half of a proxy's connection. */
static void dial_for(struct connection *connection)
{
	struct sockaddr_in to = net_address(INADDR_LOOPBACK, options.target);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC
			| SOCK_NONBLOCK, 0);

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0
			&& errno != EINPROGRESS)
		net_die("connect");
	connection->other = new_connection(fd);
	connection->other->other = connection;
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK
			| SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = new_connection(fd);

		if (options.mode == NET_PROXY)
			dial_for(connection);
	}
}

static void free_dead(void)
{
	while (dead != NULL) {
		struct connection *connection = dead;

		dead = connection->next_dead;
		free(connection);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[BATCH], event = { .events = EPOLLIN };
	int listener;

	options = net_begin(argc, argv);
	listener = net_listen(options.port);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, BATCH, -1);

		for (int i = 0; i < n; i++) {
			struct connection *connection = events[i].data.ptr;

			if (connection == NULL)
				accept_all(listener);
			else if (connection->fd >= 0 && handle(connection,
					events[i].events) < 0)
				drop(connection);
		}
		free_dead();
	}
}
