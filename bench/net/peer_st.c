/* SPDX-License-Identifier: MIT */

/* peer_st.c - the servers of net.h, but for the proxy, on State Threads */

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

int main(int argc, char **argv)
{
	st_netfd_t listener, connection;
	int small;

	options = net_begin(argc, argv);
	if (options.mode == NET_PROXY)
		return NET_NO_SUCH_MODE;
	small = net_buffer_size(options.mode) == NET_SMALL;
	st_set_eventsys(ST_EVENTSYS_ALT);
	st_init();
	listener = st_netfd_open_socket(net_listen(options.port));
	while ((connection = st_accept(listener, NULL, NULL,
			ST_UTIME_NO_TIMEOUT)) != NULL)
		if (st_thread_create(small ? serve_small : serve_large,
				connection, 0, small ? STACK_SMALL
				: STACK_LARGE) == NULL)
			st_netfd_close(connection);

	return 1;
}
