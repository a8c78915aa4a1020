/* SPDX-License-Identifier: MIT */

/* peer_libevent.c - the servers of net.h, but for the proxy, on libevent's
 * events; its buffers cost more */

#include <event2/event.h>

#include "net.h"

struct connection {
	struct event *readable, *writable;
	unsigned state;
	char *unsent;			/* what didn't fit, or NULL */
	size_t offset, size;		/* the part of it that is left */
};

static struct net_options options;
static struct event_base *base;
static char buffer[NET_LARGE];

static void drop(struct connection *connection)
{
	close(event_get_fd(connection->readable));
	event_free(connection->readable);
	event_free(connection->writable);
	free(connection->unsent);
	free(connection);
}

/* Nothing more is read until the rest has been written. */
static void keep(struct connection *connection, const char *data, size_t size)
{
	connection->offset = 0;
	connection->size = size;
	connection->unsent = malloc(size);
	memcpy(connection->unsent, data, size);
	event_del(connection->readable);
	event_add(connection->writable, NULL);
}

/* Returns how much has been written; -1: it failed. */
static ssize_t put(evutil_socket_t fd, const char *data, size_t size)
{
	ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

	return n < 0 && errno == EAGAIN ? 0 : n;
}

static void can_write(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	ssize_t n = put(fd, connection->unsent + connection->offset,
			connection->size);

	(void)what;
	if (n < 0) {
		drop(connection);
		return;
	}
	connection->offset += (size_t)n;
	connection->size -= (size_t)n;
	if (connection->size > 0)
		return;
	free(connection->unsent);
	connection->unsent = NULL;
	event_del(connection->writable);
	event_add(connection->readable, NULL);
}

static void can_read(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	ssize_t sent = 0, n = recv(fd, buffer, net_buffer_size(options.mode),
			0);
	const char *data;
	size_t size = 0;

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		size = net_answer(options.mode, &connection->state, buffer,
				(size_t)n, &data);
	if (size > 0)
		sent = put(fd, data, size);
	if (n <= 0 || sent < 0)
		drop(connection);
	else if ((size_t)sent < size)
		keep(connection, data + sent, size - (size_t)sent);
}

static void came(evutil_socket_t listener, short what, void *arg)
{
	int fd;

	(void)what;
	(void)arg;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK
			| SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = calloc(1, sizeof *connection);

		connection->readable = event_new(base, fd, EV_READ
				| EV_PERSIST, can_read, connection);
		connection->writable = event_new(base, fd, EV_WRITE
				| EV_PERSIST, can_write, connection);
		event_add(connection->readable, NULL);
	}
}

int main(int argc, char **argv)
{
	struct event_config *config = event_config_new();

	options = net_begin(argc, argv);
	if (options.mode == NET_PROXY)
		return NET_NO_SUCH_MODE;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_add(event_new(base, net_listen(options.port),
			EV_READ | EV_PERSIST, came, NULL), NULL);

	return event_base_dispatch(base);
}
