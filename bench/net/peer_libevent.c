/* SPDX-License-Identifier: MIT */

/* peer_libevent.c - the servers of net.h, but for the proxy, on libevent's
 * events; its buffers cost more */

#include <event2/event.h>

#include "net.h"

struct connection {
	struct event *event;
	unsigned state;
};

static struct net_options options;
static struct event_base *base;
static char buffer[NET_LARGE];

/* What is answered fits into the socket's buffer; if not, it is waited for. */
static int put(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, data, size, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return -1;
		if (n < 0)
			continue;
		data += n;
		size -= (size_t)n;
	}

	return 0;
}

static void ready(evutil_socket_t fd, short what, void *arg)
{
	struct connection *connection = arg;
	ssize_t n = recv(fd, buffer, net_buffer_size(options.mode), 0);
	const char *data;
	size_t size = 0;

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		size = net_answer(options.mode, &connection->state, buffer,
				(size_t)n, &data);
	if (n > 0 && put(fd, data, size) == 0)
		return;
	event_free(connection->event);
	close(fd);
	free(connection);
}

static void came(evutil_socket_t listener, short what, void *arg)
{
	int fd;

	(void)what;
	(void)arg;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK
			| SOCK_CLOEXEC)) >= 0) {
		struct connection *connection = calloc(1, sizeof *connection);

		connection->event = event_new(base, fd, EV_READ | EV_PERSIST,
				ready, connection);
		event_add(connection->event, NULL);
	}
}

int main(int argc, char **argv)
{
	struct event_config *config = event_config_new();

	options = net_begin(argc, argv);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_add(event_new(base, net_listen(options.port),
			EV_READ | EV_PERSIST, came, NULL), NULL);

	return event_base_dispatch(base);
}
