/* SPDX-License-Identifier: MIT */

/*
 * The three tests that the design began with: a server says hello, two numbers
 * go through a channel without room, and three runners share a lock.
 */

#include "test.h"

#include <sys/socket.h>

static const char greeting[] = "hello from server\n";

/* --- Listen, send, receive -------------------------------------------- */

static void say_hello(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	CO_EXPECT(server->user == &greeting);
	CO_EXPECT_EQ(peer->sa_family, AF_INET);
	CO_EXPECT_EQ(co_io_write_full(connection, greeting,
			sizeof greeting - 1, NULL), 0);
}

static void expect_hello(struct co_tcp_server *server)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct co_io *connection;
	char text[64] = "";
	size_t done = 0;

	if (!CO_EXPECT_EQ(co_tcp_server_address(server,
			(struct sockaddr *)&address, &size), 0))
		return;
	if (!CO_EXPECT_EQ(co_tcp_connect((struct sockaddr *)&address, size,
			&connection), 0))
		return;
	/* The server closes after its greeting: the stream ends. */
	CO_EXPECT_EQ(co_io_read_full(connection, text, sizeof text - 1, &done),
			-ENODATA);
	CO_EXPECT_EQ(done, sizeof greeting - 1);
	CO_EXPECT(strcmp(text, greeting) == 0);
	CO_EXPECT_EQ(co_io_close(connection), 0);
}

CO_TEST(seed, listen_send_receive)
{
	struct co_tcp_server server;
	struct sockaddr_storage address;
	socklen_t size;

	CO_EXPECT_EQ(co_tcp_address("127.0.0.1", 0, &address, &size), 0);
	CO_EXPECT_EQ(co_tcp_server_init(&server, co_loop_current()), 0);
	server.user = (void *)&greeting;
	CO_EXPECT_EQ(co_tcp_server_listen(&server, (struct sockaddr *)&address,
			size, 0, say_hello), 0);
	expect_hello(&server);
	expect_hello(&server);
	CO_EXPECT_EQ(co_tcp_server_close(&server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	return 0;
}

/* --- A channel without room ------------------------------------------- */

static int get_two_numbers(void *arg)
{
	struct co_channel *channel = arg;
	int number = 0;

	CO_EXPECT_EQ(co_channel_get(channel, &number), 0);
	CO_EXPECT_EQ(number, 1234);
	CO_EXPECT_EQ(co_channel_get(channel, &number), 0);
	CO_EXPECT_EQ(number, 4567);
	return 0;
}

static int put_two_numbers(void *arg)
{
	struct co_channel *channel = arg;
	int first = 1234, second = 4567;

	CO_EXPECT_EQ(co_channel_put(channel, &first), 0);
	CO_EXPECT_EQ(co_channel_put(channel, &second), 0);
	return 0;
}

CO_TEST(seed, numbers_go_through_a_channel_of_capacity_0)
{
	struct co_channel *channel;
	struct co_task *getter, *putter;

	test_or_die(co_channel_create(NULL, sizeof(int), 0, &channel));
	getter = spawn_or_die(NULL, get_two_numbers, channel);
	putter = spawn_or_die(NULL, put_two_numbers, channel);
	CO_EXPECT_EQ(join_or_die(getter), 0);
	CO_EXPECT_EQ(join_or_die(putter), 0);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);
	return 0;
}

/* --- Three runners under one lock ------------------------------------- */

#define CELLS 10
#define RUNNERS 3

/* The index is shared on purpose: two runners at once would trip over it. */
struct track {
	struct co_lock lock;
	size_t index;
	int cells[CELLS];
};

static int run_ten_rounds(void *arg)
{
	struct track *track = arg;
	int round;

	for (round = 0; round < CELLS; round++) {
		CO_EXPECT_EQ(co_lock_acquire(&track->lock), 0);
		for (track->index = 0; track->index < CELLS; track->index++)
			track->cells[track->index]++;
		CO_EXPECT_EQ(co_lock_release(&track->lock), 0);
	}
	return 0;
}

CO_TEST(seed, three_runners_share_a_lock)
{
	struct track track = { .lock = CO_LOCK_INIT };
	size_t i;

	spawn_and_join_all(RUNNERS, run_ten_rounds, &track);
	for (i = 0; i < CELLS; i++)
		CO_EXPECT_EQ(track.cells[i], RUNNERS * CELLS);
	CO_EXPECT_EQ(co_lock_deinit(&track.lock), 0);
	return 0;
}
