/* SPDX-License-Identifier: MIT */

/* scenario_tcp.c - servers, clients, and addresses */

#define CO_TEST_PLAIN
#include "../test.h"
#include "scenario.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

enum { SIZE = 4 };

/* --- A server that sends everything back --------------------------------- */

static void echo(struct co_tcp_server *server, struct co_io *io,
		const struct sockaddr *peer)
{
	char data[SIZE];

	(void)server;
	CO_EXPECT_EQ(peer->sa_family, AF_INET);
	if (TELL(co_io_read_full, io, data, SIZE, NULL) == 0)
		TELL(co_io_write_full, io, data, SIZE, NULL);
}

static int talk(struct co_io *io)
{
	char data[SIZE];
	long rc = TELL(co_io_write_full, io, "abcd", SIZE, NULL);

	if (rc == 0)
		rc = TELL(co_io_read_full, io, data, SIZE, NULL);
	if (rc == 0)
		CO_EXPECT(memcmp(data, "abcd", SIZE) == 0);

	return (int)rc;
}

static int call(const struct sockaddr *address, socklen_t size)
{
	struct co_io *io = NULL;
	long rc = TELL(co_tcp_connect, address, size, &io);

	if (rc == 0)
		rc = talk(io);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return (int)rc;
}

/* Where SERVER listens. */
static int find_server(struct co_tcp_server *server,
		struct sockaddr_in *ret_address)
{
	socklen_t size = sizeof *ret_address;

	return (int)TELL(co_tcp_server_address, server,
			(struct sockaddr *)ret_address, &size);
}

static int begin_to_listen(struct co_tcp_server *server)
{
	struct sockaddr_storage address;
	socklen_t size;

	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(co_tcp_server_init(server, co_loop_current()));

	return (int)TELL(co_tcp_server_listen, server,
			(struct sockaddr *)&address, size, 0, echo);
}

static int call_twice(struct co_tcp_server *server)
{
	struct sockaddr_in address;
	int rc = find_server(server, &address), i;

	for (i = 0; i < 2 && rc == 0; i++)
		rc = call((struct sockaddr *)&address, sizeof address);

	return rc;
}

static int use_connections(void *arg)
{
	struct co_tcp_server server;
	int rc = begin_to_listen(&server);

	(void)arg;
	if (rc == 0)
		rc = call_twice(&server);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);

	return rc;
}

const struct scenario connections = {
	.name = "connections",
	.run = use_connections,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_socket,
		FAULT_bind, FAULT_listen, FAULT_accept4, FAULT_connect,
		FAULT_getsockname, FAULT_getpeername, FAULT_setsockopt,
		FAULT_shutdown, FAULT_poll, FAULT_close, FAULT_NONE },
};

/* --- A server of a socket that listens already ---------------------------- */

static int use_given(void *arg)
{
	struct co_tcp_server server;
	struct sockaddr_storage address;
	socklen_t size;
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	(void)arg;
	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(bind(fd, (struct sockaddr *)&address, size));
	test_or_die(listen(fd, 5));
	test_or_die(co_tcp_server_init(&server, co_loop_current()));
	rc = (int)TELL(co_tcp_server_listen_fd, &server, fd, echo);
	if (rc == 0)
		rc = call_twice(&server);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	close(fd);

	return rc;
}

const struct scenario given = {
	.name = "given",
	.run = use_given,
	.covers = (const enum fault_call[]){ FAULT_fcntl_dupfd,
		FAULT_fcntl_getfl, FAULT_fcntl_setfl, FAULT_NONE },
	.only_covered = true,
};

/* --- A server without stacks --------------------------------------------- */

/* All the stacks that the loop has, so that the next task needs memory: those
 * of the first two slabs are 16 and 32. */
enum { FIRST_SLAB = 16, BOTH_SLABS = 48 };

struct idlers {
	struct co_channel *channel;	/* closed when they may go */
	struct co_task *tasks[BOTH_SLABS];
	int count;
};

static int idle(void *channel)
{
	char item;

	return co_channel_get(channel, &item) == -EPIPE ? 0 : -EINVAL;
}

/* Until there are TOTAL tasks, with those that exist besides. */
static int spawn_idlers(struct idlers *idlers, size_t total)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	long rc = 0;

	while (rc == 0 && co_loop_stats(co_loop_current(), &stats) == 0
			&& stats.tasks < total) {
		rc = TELL(co_spawn, NULL, idle, idlers->channel,
				&idlers->tasks[idlers->count]);
		idlers->count += rc == 0;
	}

	return (int)rc;
}

static void release_idlers(struct idlers *idlers)
{
	if (idlers->channel == NULL)
		return;
	CO_EXPECT_EQ(co_channel_close(idlers->channel), 0);
	while (idlers->count > 0)
		CO_EXPECT_EQ(join_or_die(idlers->tasks[--idlers->count]), 0);
	CO_EXPECT_EQ(co_channel_destroy(idlers->channel), 0);
}

/* The accepting task needs a new slab, and then the handler does. */
static int use_crowded_server(void *arg)
{
	struct idlers idlers = { NULL, { NULL }, 0 };
	struct co_tcp_server server;
	struct sockaddr_in address;
	long rc = TELL(co_channel_create, NULL, 1, 0, &idlers.channel);

	(void)arg;
	if (rc == 0)
		rc = spawn_idlers(&idlers, FIRST_SLAB);
	if (rc < 0) {
		release_idlers(&idlers);
		return (int)rc;
	}
	rc = begin_to_listen(&server);
	if (rc == 0)
		rc = find_server(&server, &address);
	if (rc == 0)
		rc = spawn_idlers(&idlers, BOTH_SLABS);
	if (rc == 0)
		rc = call((struct sockaddr *)&address, sizeof address);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	release_idlers(&idlers);

	return (int)rc;
}

const struct scenario crowded_server = {
	.name = "crowded_server",
	.run = use_crowded_server,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_mmap_stacks,
		FAULT_NONE },
	.threads = 1,
	.only_covered = true,
};

/* --- Addresses ----------------------------------------------------------- */

static int use_addresses(void *arg)
{
	struct sockaddr_storage address;
	socklen_t size;

	(void)arg;

	return (int)TELL(co_tcp_address, "fe80::1%lo", 80, &address, &size);
}

const struct scenario addresses = {
	.name = "addresses",
	.run = use_addresses,
	.covers = (const enum fault_call[]){ FAULT_if_nametoindex,
		FAULT_NONE },
	.only_covered = true,
};

/* --- Numbers that are in use --------------------------------------------- */

/* A task that reads from a descriptor which others have closed: the next one
 * that is made gets its number, but the task is still to leave. */
struct squatter {
	int number, other_end;
	struct co_io *io;
	struct co_task *task;
};

static int read_in_vain(void *io)
{
	char data;

	return (int)co_io_read(io, &data, 1);
}

static int begin_to_squat(struct squatter *self)
{
	int ends[2];
	long rc;

	test_or_die(pipe(ends));
	self->number = ends[0];
	self->other_end = ends[1];
	rc = TELL(co_io_open, NULL, self->number, &self->io);
	if (rc == 0) {
		rc = TELL(co_spawn, NULL, read_in_vain, self->io, &self->task);
		if (rc < 0)
			CO_EXPECT_EQ(co_io_close(self->io), 0);
	} else {
		close(self->number);
	}
	if (rc < 0) {
		close(self->other_end);
		return (int)rc;
	}
	while (AO_load(&self->io->ready[0].word) <= CO__SLOT_READY)
		co_sleep(100 * CO_MICROSECOND);
	close(self->number);

	return 0;
}

static void end_squatting(struct squatter *self)
{
	co_cancel(self->task);
	/* Nobody came for the number. */
	if (join_or_die(self->task) == -ECANCELED) {
		CO_EXPECT_EQ(dup2(self->other_end, self->number),
				self->number);
		CO_EXPECT_EQ(co_io_close(self->io), 0);
	}
	close(self->other_end);
}

static int call_from_taken_number(struct co_tcp_server *server)
{
	struct squatter squatter;
	struct sockaddr_in address;
	int rc = find_server(server, &address);

	if (rc == 0)
		rc = begin_to_squat(&squatter);
	if (rc < 0)
		return rc;
	rc = call((struct sockaddr *)&address, sizeof address);
	end_squatting(&squatter);

	return rc;
}

static int use_taken_by_client(void *arg)
{
	struct co_tcp_server server;
	int rc = begin_to_listen(&server);

	(void)arg;
	if (rc == 0)
		rc = call_from_taken_number(&server);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);

	return rc;
}

/* On one thread: on others the task could leave at once. */
const struct scenario taken_by_client = {
	.name = "taken_by_client",
	.run = use_taken_by_client,
	.covers = (const enum fault_call[]){ FAULT_fcntl_dupfd, FAULT_close,
		FAULT_NONE },
	.threads = 1,
	.only_covered = true,
};

/* FD is a client's; others may run while it waits for the echo. */
static void talk_from_outside(int fd)
{
	char data[SIZE];

	CO_EXPECT_EQ(send(fd, "abcd", SIZE, 0), SIZE);
	while (recv(fd, data, SIZE, MSG_DONTWAIT | MSG_PEEK) < SIZE)
		co_sleep(100 * CO_MICROSECOND);
}

static int use_taken_by_server(void *arg)
{
	struct squatter squatter;
	struct co_tcp_server server;
	struct sockaddr_in address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)arg;
	test_or_die(begin_to_listen(&server));
	test_or_die(find_server(&server, &address));
	test_or_die(begin_to_squat(&squatter));
	test_or_die(connect(fd, (struct sockaddr *)&address, sizeof address));
	talk_from_outside(fd);
	end_squatting(&squatter);
	close(fd);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);

	return 0;
}

/* A server gets another number as soon as there is one. */
const struct scenario taken_by_server = {
	.name = "taken_by_server",
	.run = use_taken_by_server,
	.covers = (const enum fault_call[]){ FAULT_fcntl_dupfd, FAULT_NONE },
	.outcome = HIDDEN,
	.threads = 1,
	.only_covered = true,
};
