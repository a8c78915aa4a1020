/* SPDX-License-Identifier: MIT */

/* coloop.c - the servers of net.h on coloop, as a user would write them */

#include <coloop.h>

#include "net.h"

static struct net_options options;

static void answer(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	char buffer[NET_SMALL];
	unsigned state = 0;
	ssize_t n;

	(void)server;
	(void)peer;
	while ((n = co_io_read(connection, buffer, sizeof buffer)) > 0) {
		const char *data;
		size_t size = net_answer(options.mode, &state, buffer,
				(size_t)n, &data);

		if (size > 0 && co_io_write_full(connection, data, size, NULL)
				!= 0)
			return;
	}
}

static void sink(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	char buffer[NET_LARGE];

	(void)server;
	(void)peer;
	while (co_io_read(connection, buffer, sizeof buffer) > 0)
		;
}

struct direction {
	struct co_io *from, *to;
};

static int copy(void *arg)
{
	struct direction *direction = arg;
	char buffer[NET_LARGE];
	ssize_t n;

	while ((n = co_io_read(direction->from, buffer, sizeof buffer)) > 0)
		if (co_io_write_full(direction->to, buffer, (size_t)n, NULL)
				!= 0)
			break;

	return co_io_shutdown(direction->to, SHUT_WR);
}

static void proxy(struct co_tcp_server *server, struct co_io *client,
		const struct sockaddr *peer)
{
	struct sockaddr_in to = net_address(INADDR_LOOPBACK, options.target);
	struct direction there = { client, NULL }, back = { NULL, client };
	struct co_task *task;

	(void)server;
	(void)peer;
	if (co_tcp_connect((struct sockaddr *)&to, sizeof to, &there.to) != 0)
		return;
	back.from = there.to;
	if (co_spawn(NULL, copy, &back, &task) == 0) {
		copy(&there);
		co_cancel_mask(1);
		co_join(task, NULL);
	}
	co_io_close(there.to);
}

int main(int argc, char **argv)
{
	struct co_tcp_server server;
	struct sockaddr_in address;
	struct co_loop *loop;

	options = net_begin(argc, argv);
	address = net_address(INADDR_ANY, options.port);
	if (co_loop_create_single_threaded(&loop) != 0
			|| co_tcp_server_init(&server, loop) != 0
			|| co_tcp_server_listen(&server,
			(struct sockaddr *)&address, sizeof address, 4096,
			options.mode == NET_PROXY ? proxy
			: options.mode == NET_SINK ? sink : answer) != 0)
		return 2;

	return co_loop_run(loop) == 0 ? 0 : 1;
}
