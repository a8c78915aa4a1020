/* SPDX-License-Identifier: CC0-1.0 */

/*
 * tcp_proxy.c - pass TCP connections on to another address
 *
 *	tcp_proxy LISTEN_PORT TARGET_ADDRESS TARGET_PORT
 *
 *	cc tcp_proxy.c serve.c -o tcp_proxy \
 *		$(pkg-config --cflags --libs coloop)
 *
 * Two tasks serve a connection, one for each direction.  When one side has
 * said all it wants to say, the other is told so and may still answer.
 */

#include <coloop.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "serve.h"

struct target {
	struct sockaddr_storage address;
	socklen_t size;
};

struct direction {
	struct co_io *from, *to;
};

static int copy_all(struct co_io *from, struct co_io *to)
{
	char buffer[16384];
	ssize_t n;
	int rc;

	while ((n = co_io_read(from, buffer, sizeof(buffer))) > 0) {
		rc = co_io_write_full(to, buffer, (size_t)n, NULL);
		if (rc != 0)
			return rc;
	}
	return (int)n;
}

/* After an error neither direction makes sense any more; the shutdown lets the
 * task of the other one see the end too. */
static int copy(void *arg)
{
	struct direction *direction = arg;
	int rc = copy_all(direction->from, direction->to);

	if (rc == 0)
		return co_io_shutdown(direction->to, SHUT_WR);
	co_io_shutdown(direction->from, SHUT_RDWR);
	co_io_shutdown(direction->to, SHUT_RDWR);
	return rc;
}

/* The structs that the second task uses live in this frame: hence the group,
 * which lets no task outlive it.  If this task is cancelled, so is the other
 * one. */
static void copy_both_ways(struct co_io *client, struct co_io *target)
{
	struct direction there = { client, target };
	struct direction back = { target, client };
	struct co_group group;

	if (co_group_init(&group, NULL, 0) != 0)
		return;
	if (co_group_spawn(&group, copy, &back) == 0) {
		copy(&there);
		co_group_wait(&group, NULL);
	}
	co_group_deinit(&group);
}

static void proxy(struct co_tcp_server *server, struct co_io *client,
		const struct sockaddr *peer)
{
	const struct target *target = server->user;
	struct co_io *connection;
	int rc = -ETIMEDOUT;

	(void)peer;
	CO_WITH_DEADLINE(co_after(10 * CO_SECOND))
		rc = co_tcp_connect((const struct sockaddr *)&target->address,
				target->size, &connection);
	if (rc != 0) {
		fprintf(stderr, "tcp_proxy: can't reach the target: %s\n",
				strerror(-rc));
		return;
	}
	copy_both_ways(client, connection);
	co_io_close(connection);
}

int main(int argc, char **argv)
{
	struct target target;
	struct service service = { "tcp_proxy", "127.0.0.1", 0, proxy,
			&target };
	int port = argc == 4 ? serve_parse_port(argv[1]) : -1;
	int target_port = argc == 4 ? serve_parse_port(argv[3]) : -1;

	if (port < 0 || target_port < 0 || co_tcp_address(argv[2],
			(unsigned)target_port, &target.address,
			&target.size) != 0) {
		fprintf(stderr, "usage: tcp_proxy LISTEN_PORT TARGET_ADDRESS "
				"TARGET_PORT\n");
		return 2;
	}
	service.port = (unsigned)port;
	return serve_until_signal(&service);
}
