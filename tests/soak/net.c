/* SPDX-License-Identifier: MIT */

/*
 * net.c - an echo server, and its clients, over the loopback; see soak.h
 *
 * A client sends, and receives what comes back, at the same time.  A good one
 * shuts down its half when all is sent, and must get back all of it.  A bad one
 * is cancelled in the midst of it, and may reset the connection.
 */

#include "soak.h"

#include <netinet/in.h>

enum { CLIENTS_MAX = 12, CHUNK = 1500 };

struct site {
	struct co_tcp_server server;
	struct sockaddr_storage address;
	socklen_t size;
	struct test_counter begun, ended;
};

struct client {
	const struct site *site;
	uint64_t random;		/* owner: the client */
	uint64_t sender_random;		/* owner: who sends */
	struct co_io *io;
	size_t limit;			/* bytes to send */
	bool is_bad;
	size_t sent;			/* owner: who sends */
	size_t received;		/* owner: who receives */
};

/* --- The server ---------------------------------------------------------- */

static void echo(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;
	char data[CHUNK];
	ssize_t n;

	(void)peer;
	counter_add(&site->begun, 1);
	while ((n = co_io_read(connection, data, sizeof data)) > 0)
		if (co_io_write_full(connection, data, (size_t)n, NULL) < 0)
			break;
	counter_add(&site->ended, 1);
}

static void open_site(struct site *site)
{
	memset(site, 0, sizeof *site);
	site->server.user = site;
	test_or_die(co_tcp_address("127.0.0.1", 0, &site->address,
			&site->size));
	test_or_die(co_tcp_server_init(&site->server, co_loop_current()));
	test_or_die(co_tcp_server_listen(&site->server,
			(struct sockaddr *)&site->address, site->size, 0,
			echo));
	site->size = sizeof site->address;
	test_or_die(co_tcp_server_address(&site->server,
			(struct sockaddr *)&site->address, &site->size));
}

/* --- The clients --------------------------------------------------------- */

static char byte_at(const struct client *client, size_t offset)
{
	return (char)(client->limit * 7 + offset * 11 + (offset >> 8));
}

static int send_all(void *arg)
{
	struct client *client = arg;
	uint64_t *random = &client->sender_random;
	char data[CHUNK];
	int rc = 0;

	while (client->sent < client->limit && rc == 0) {
		size_t n = 1 + test_random_below(random, CHUNK), done = 0;

		if (n > client->limit - client->sent)
			n = client->limit - client->sent;
		for (size_t i = 0; i < n; i++)
			data[i] = byte_at(client, client->sent + i);
		rc = co_io_write_full(client->io, data, n, &done);
		client->sent += done;
	}
	CO_EXPECT(rc == 0 || client->is_bad);
	if (rc == 0)
		rc = co_io_shutdown(client->io, SHUT_WR);

	return rc;
}

static int receive_all(struct client *client)
{
	char data[CHUNK];
	ssize_t n;

	while ((n = co_io_read(client->io, data, sizeof data)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (!CO_EXPECT_EQ(data[i], byte_at(client,
					client->received + (size_t)i)))
				break;
		client->received += (size_t)n;
	}

	return (int)n;
}

/* Give up in the midst of it; the other side may have an error of that. */
static void give_up(struct client *client, struct co_task *sender)
{
	struct linger at_once = { 1, 0 };

	co_sleep((co_time)test_random_below(&client->random, 300000));
	CO_EXPECT_EQ(co_cancel(sender), 0);
	join_or_die(sender);
	if (test_random_below(&client->random, 2) == 0)
		return;
	setsockopt(co_io_fd(client->io), SOL_SOCKET, SO_LINGER, &at_once,
			sizeof at_once);
	counter_add(&soak.totals.resets, 1);
}

static void receive_and_compare(struct client *client, struct co_task *sender)
{
	CO_EXPECT_EQ(receive_all(client), 0);
	CO_EXPECT_EQ(join_or_die(sender), 0);
	CO_EXPECT_EQ(client->received, client->limit);
	counter_add(&soak.totals.bytes, client->received);
}

static int run_client(void *arg)
{
	struct client *client = arg;
	struct co_task *sender;

	test_or_die(co_tcp_connect((const struct sockaddr *)
			&client->site->address, client->site->size,
			&client->io));
	sender = spawn_or_die(NULL, send_all, client);
	if (client->is_bad)
		give_up(client, sender);
	else
		receive_and_compare(client, sender);
	CO_EXPECT_EQ(co_io_close(client->io), 0);

	return 0;
}

int part_net(void *arg)
{
	struct part *part = arg;
	struct site site;
	struct client clients[CLIENTS_MAX];
	struct co_task *tasks[CLIENTS_MAX];
	size_t n = 1 + part_draw(part, CLIENTS_MAX);

	memset(clients, 0, sizeof clients);
	open_site(&site);
	for (size_t i = 0; i < n; i++) {
		clients[i].site = &site;
		clients[i].random = test_random(&part->random);
		clients[i].sender_random = test_random(&part->random);
		clients[i].limit = part_draw(part, CO_TEST_SCALE(200000));
		clients[i].is_bad = part_draw(part, 4) == 0;
		tasks[i] = spawn_or_die(NULL, run_client, &clients[i]);
	}
	for (size_t i = 0; i < n; i++)
		CO_EXPECT_EQ(join_or_die(tasks[i]), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.begun), counter_get(&site.ended));
	counter_add(&soak.totals.connections, n);

	return 0;
}
