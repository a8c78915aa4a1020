/* SPDX-License-Identifier: MIT */

/* peer_st.c - the servers of net.h on State Threads */

#include <st.h>

#include "net.h"

#define STACK_SMALL 16384
#define STACK_LARGE (NET_LARGE + STACK_SMALL)

static struct net_options options;

static void answer(st_netfd_t connection, char *buffer, size_t full)
{
	unsigned state = 0;
	ssize_t n;

	while ((n = st_read(connection, buffer, full, ST_UTIME_NO_TIMEOUT))
			> 0) {
		const char *data;
		size_t size = net_answer(options.mode, &state, buffer,
				(size_t)n, &data);

		if (size > 0 && st_write(connection, data, size,
				ST_UTIME_NO_TIMEOUT) != (ssize_t)size)
			return;
	}
}

static void *serve_small(void *connection)
{
	char buffer[NET_SMALL];

	answer(connection, buffer, sizeof buffer);
	st_netfd_close(connection);

	return NULL;
}

static void *serve_large(void *connection)
{
	char buffer[NET_LARGE];

	answer(connection, buffer, sizeof buffer);
	st_netfd_close(connection);

	return NULL;
}

struct direction {
	st_netfd_t from, to;
};

static void *copy(void *arg)
{
	struct direction *direction = arg;
	char buffer[NET_LARGE];
	ssize_t n;

	while ((n = st_read(direction->from, buffer, sizeof buffer,
			ST_UTIME_NO_TIMEOUT)) > 0)
		if (st_write(direction->to, buffer, (size_t)n,
				ST_UTIME_NO_TIMEOUT) != n)
			break;
	shutdown(st_netfd_fileno(direction->to), SHUT_WR);

	return NULL;
}

static void *proxy(void *client)
{
	struct sockaddr_in to = net_address(INADDR_LOOPBACK, options.target);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	st_netfd_t target = st_netfd_open_socket(fd);
	struct direction there = { client, target }, back = { target, client };
	st_thread_t thread;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (st_connect(target, (struct sockaddr *)&to, sizeof to,
			ST_UTIME_NO_TIMEOUT) == 0) {
		thread = st_thread_create(copy, &back, 1, STACK_LARGE);
		if (thread != NULL) {
			copy(&there);
			st_thread_join(thread, NULL);
		}
	}
	st_netfd_close(target);
	st_netfd_close(client);

	return NULL;
}

int main(int argc, char **argv)
{
	void *(*serve)(void *) = serve_small;
	st_netfd_t listener, connection;
	int size;

	options = net_begin(argc, argv);
	if (net_buffer_size(options.mode) == NET_LARGE)
		serve = options.mode == NET_PROXY ? proxy : serve_large;
	size = serve == serve_small ? STACK_SMALL : STACK_LARGE;
	st_set_eventsys(ST_EVENTSYS_ALT);
	st_init();
	listener = st_netfd_open_socket(net_listen(options.port));
	while ((connection = st_accept(listener, NULL, NULL,
			ST_UTIME_NO_TIMEOUT)) != NULL)
		if (st_thread_create(serve, connection, 0, size) == NULL)
			st_netfd_close(connection);

	return 1;
}
