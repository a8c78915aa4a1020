/* SPDX-License-Identifier: MIT */

/* test_tcp_end.c - how a co_tcp_server(3) ends, and how it bears want */

#include "test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct site {
	struct co_tcp_server server;
	struct sockaddr_in address;
	struct test_counter begun;
	struct test_counter ended;
	struct co_loop *loop;
};

static void listen_at(struct site *site, co_tcp_handler *handler)
{
	struct sockaddr_storage address;
	socklen_t size;

	memset(site, 0, sizeof *site);
	site->loop = co_loop_current();
	site->server.user = site;
	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(co_tcp_server_init(&site->server, site->loop));
	test_or_die(co_tcp_server_listen(&site->server,
			(struct sockaddr *)&address, size, 0, handler));
	size = sizeof site->address;
	test_or_die(co_tcp_server_address(&site->server,
			(struct sockaddr *)&site->address, &size));
}

static int try_call(const struct site *site, struct co_io **ret_io)
{
	return co_tcp_connect((const struct sockaddr *)&site->address,
			sizeof site->address, ret_io);
}

static struct co_io *call(const struct site *site)
{
	struct co_io *io = NULL;

	test_or_die(try_call(site, &io));

	return io;
}

static void echo(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;
	char byte;

	(void)peer;
	counter_add(&site->begun, 1);
	while (co_io_read(connection, &byte, 1) == 1)
		if (co_io_write(connection, &byte, 1) != 1)
			break;
	counter_add(&site->ended, 1);
}

static void expect_echo(struct co_io *io)
{
	char byte = 'e';

	CO_EXPECT_EQ(co_io_write(io, &byte, 1), 1);
	CO_EXPECT_EQ(co_io_read(io, &byte, 1), 1);
}

/* --- Close ------------------------------------------------------------- */

CO_TEST(tcp_close, accepted_connections_go_on)
{
	struct site site;
	struct co_io *io, *other = NULL;
	int i;

	listen_at(&site, echo);
	io = call(&site);
	expect_echo(io);
	for (i = 0; i < 3; i++)
		CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
	CO_EXPECT_EQ(try_call(&site, &other), -ECONNREFUSED);
	expect_echo(io);
	CO_EXPECT_EQ(co_io_close(io), 0);
	for (i = 0; i < 3; i++)
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 1);

	return 0;
}

CO_TEST(tcp_close, nothing_spins_after_it)
{
	struct site site;
	struct co_io *io;

	listen_at(&site, echo);
	io = call(&site);
	expect_echo(io);
	CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
	expect_calm(50 * CO_MILLISECOND, 20 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

/* A descriptor that is closed twice would be somebody else's by then. */
CO_TEST(tcp_close, no_descriptor_is_closed_twice)
{
	struct site site;
	int pipes[20][2], i;

	for (i = 0; i < 10; i++) {
		listen_at(&site, echo);
		CO_EXPECT_EQ(co_io_close(call(&site)), 0);
		CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
		test_or_die(pipe(pipes[2 * i]));
		CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
		test_or_die(pipe(pipes[2 * i + 1]));
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	}
	for (i = 0; i < 20; i++) {
		CO_EXPECT_EQ(close(pipes[i][0]), 0);
		CO_EXPECT_EQ(close(pipes[i][1]), 0);
	}

	return 0;
}

/* --- Drain -------------------------------------------------------------- */

static int hang_up_later(void *arg)
{
	CO_EXPECT_EQ(co_sleep(20 * CO_MILLISECOND), 0);

	return co_io_close(arg);
}

CO_TEST(tcp_drain, it_waits_for_handlers_and_cancels_none)
{
	struct site site;
	struct co_io *io, *other = NULL;
	struct co_task *task;

	listen_at(&site, echo);
	io = call(&site);
	expect_echo(io);
	task = spawn_or_die(NULL, hang_up_later, io);
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 1);
	CO_EXPECT_EQ(co_tcp_server_connections(&site.server), 0);
	CO_EXPECT_EQ(try_call(&site, &other), -ECONNREFUSED);
	CO_EXPECT_EQ(join_or_die(task), 0);
	/* There is nothing left to wait for. */
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), -EINVAL);

	return 0;
}

static int drain(void *arg)
{
	return co_tcp_server_drain(arg);
}

CO_TEST(tcp_drain, a_deadline_or_cancellation_ends_it)
{
	struct site site;
	struct co_task *task;
	struct co_io *io;
	int rc = 0;

	listen_at(&site, echo);
	io = call(&site);
	expect_echo(io);
	CO_WITH_DEADLINE(co_after(5 * CO_MILLISECOND))
		rc = co_tcp_server_drain(&site.server);
	CO_EXPECT_EQ(rc, -ETIMEDOUT);
	expect_echo(io);
	task = spawn_or_die(NULL, drain, &site.server);
	settle();
	/* One at a time, and who releases the server must wait for it. */
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), -EBUSY);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

static void drain_inside(struct co_tcp_server *server,
		struct co_io *connection, const struct sockaddr *peer)
{
	struct site *site = server->user;

	(void)connection;
	(void)peer;
	CO_EXPECT_EQ(co_tcp_server_drain(server), -EDEADLK);
	counter_add(&site->ended, 1);
}

CO_TEST(tcp_drain, a_handler_is_refused)
{
	struct site site;
	struct co_io *io;
	char byte;

	listen_at(&site, drain_inside);
	io = call(&site);
	CO_EXPECT_EQ(co_io_read(io, &byte, 1), 0);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(co_tcp_server_drain(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 1);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

Test(tcp_drain, outside_of_a_task_it_does_nothing)
{
	struct co_loop *loop = loop_or_die(1);
	struct co_tcp_server server;

	cr_assert_eq(co_tcp_server_drain(NULL), -EINVAL);
	cr_assert_eq(co_tcp_server_init(&server, loop), 0);
	cr_assert_eq(co_tcp_server_drain(&server), -EPERM);
	cr_assert_eq(co_tcp_server_deinit(&server), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* --- Deinit ------------------------------------------------------------ */

/* Takes its time to end when it is cancelled. */
static void linger(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;
	char byte;

	(void)peer;
	counter_add(&site->begun, 1);
	CO_EXPECT_EQ(co_io_read(connection, &byte, 1), -ECANCELED);
	CO_EXPECT_EQ(co_cancel_mask(1), 0);
	CO_EXPECT_EQ(co_sleep(5 * CO_MILLISECOND), 0);
	CO_EXPECT_EQ(co_io_write(connection, "bye", 3), 3);
	counter_add(&site->ended, 1);
}

CO_TEST(tcp_deinit, it_cancels_the_handlers_and_waits_for_them)
{
	struct co_io *ios[10];
	struct site site;
	char data[8];
	int i;

	listen_at(&site, linger);
	for (i = 0; i < 10; i++)
		ios[i] = call(&site);
	while (counter_get(&site.begun) < 10)
		co_sleep(CO_MILLISECOND / 10);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 10);
	for (i = 0; i < 10; i++) {
		CO_EXPECT_EQ(co_io_read(ios[i], data, sizeof data), 3);
		CO_EXPECT_EQ(co_io_read(ios[i], data, sizeof data), 0);
		CO_EXPECT_EQ(co_io_close(ios[i]), 0);
	}

	return 0;
}

CO_TEST(tcp_deinit, it_waits_whatever_the_deadline_and_cancellation)
{
	struct site site;
	struct co_io *io;

	listen_at(&site, linger);
	io = call(&site);
	while (counter_get(&site.begun) < 1)
		co_sleep(CO_MILLISECOND / 10);
	CO_EXPECT_EQ(co_cancel(co_self()), 0);
	CO_WITH_DEADLINE(co_now())
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 1);
	CO_EXPECT_EQ(co_yield(), -ECANCELED);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return 0;
}

CO_TEST(tcp_deinit, it_may_come_at_any_moment_of_a_connection)
{
	struct co_io *io;
	struct site site;
	int i, rc;

	for (i = 0; i < 60; i++) {
		listen_at(&site, echo);
		io = NULL;
		rc = try_call(&site, &io);
		CO_EXPECT_EQ(rc, 0);
		if (i % 3 == 1)
			co_yield();
		if (i % 3 == 2)
			co_sleep((co_time)i * CO_MICROSECOND);
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
		CO_EXPECT_EQ(counter_get(&site.begun),
				counter_get(&site.ended));
		CO_EXPECT_EQ(co_io_close(io), 0);
	}

	return 0;
}

CO_TEST(tcp_deinit, a_server_may_be_used_again)
{
	struct site site;
	struct co_io *io;
	int i;

	for (i = 0; i < 5; i++) {
		listen_at(&site, echo);
		io = call(&site);
		expect_echo(io);
		CO_EXPECT_EQ(co_io_close(io), 0);
		CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	}

	return 0;
}

static void deinit_inside(struct co_tcp_server *server,
		struct co_io *connection, const struct sockaddr *peer)
{
	struct site *site = server->user;

	(void)peer;
	if (counter_add(&site->begun, 1) == 0)
		echo(server, connection, peer);
	else
		CO_EXPECT_EQ(co_tcp_server_deinit(server), -EDEADLK);
	counter_add(&site->ended, 1);
}

/* It closes the server and cancels the others, all the same. */
CO_TEST(tcp_deinit, a_handler_is_refused)
{
	struct co_io *first, *second, *third = NULL;
	struct site site;
	char byte;

	listen_at(&site, deinit_inside);
	first = call(&site);
	expect_echo(first);
	second = call(&site);
	CO_EXPECT_EQ(co_io_read(second, &byte, 1), 0);
	CO_EXPECT_EQ(co_io_read(first, &byte, 1), 0);
	CO_EXPECT_EQ(try_call(&site, &third), -ECONNREFUSED);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(co_io_close(first), 0);
	CO_EXPECT_EQ(co_io_close(second), 0);

	return 0;
}

static int stop(void *arg)
{
	listen_at(arg, echo);
	CO_EXPECT_EQ(co_loop_stop(co_loop_current()), 0);
	return 0;
}

Test(tcp_deinit, outside_of_a_task_it_does_not_wait)
{
	struct co_loop *loop = loop_or_die(2);
	struct site site;

	test_or_die(co_spawn(loop, stop, &site, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_tcp_server_deinit(&site.server), -EBUSY);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_tcp_server_deinit(&site.server), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

/* --- Want of descriptors ----------------------------------------------- */

enum { CLIENTS = 8 };

static void set_limit(rlim_t limit)
{
	struct rlimit limits;

	test_or_die(getrlimit(RLIMIT_NOFILE, &limits));
	limits.rlim_cur = limit;
	test_or_die(setrlimit(RLIMIT_NOFILE, &limits));
}

/* Connect clients of the system's own while the server can't accept any. */
static void connect_clients(struct site *site, int fds[CLIENTS])
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
	/* The lowest number that is free is the limit now. */
	i = dup(0);
	close(i);
	set_limit((rlim_t)i);
	for (i = 0; i < CLIENTS; i++)
		test_or_die(connect(fds[i], (struct sockaddr *)&site->address,
				sizeof site->address));
}

static void close_clients(struct site *site, int fds[CLIENTS])
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		close(fds[i]);
	set_limit(1024);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site->server), 0);
	CO_EXPECT_EQ(counter_get(&site->begun), counter_get(&site->ended));
}

/* How many were accepted though there should be no number for them: what the
 * threads of others in this process had open for a moment, while the limit was
 * set, was a number below it afterwards. */
static size_t count_strays(struct site *site)
{
	size_t strays = counter_get(&site->begun);

	CO_EXPECT(strays < CLIENTS / 2);

	return strays;
}

static void await_begun(struct site *site, size_t n)
{
	co_time end = co_after(30 * CO_SECOND);

	while (counter_get(&site->begun) < n && co_now() < end)
		co_sleep(CO_MILLISECOND);
	CO_EXPECT(counter_get(&site->begun) >= n);
}

CO_TEST(tcp_want, accepting_goes_on_when_coloop_closes_a_descriptor)
{
	struct co_io *hoard[CLIENTS];
	int fds[CLIENTS], pipes[CLIENTS][2], i;
	struct site site;
	size_t strays;

	listen_at(&site, echo);
	for (i = 0; i < CLIENTS; i++) {
		test_or_die(pipe(pipes[i]));
		test_or_die(co_io_open(NULL, pipes[i][0], &hoard[i]));
	}
	connect_clients(&site, fds);
	co_sleep(20 * CO_MILLISECOND);
	strays = count_strays(&site);
	for (i = 0; i < CLIENTS; i++) {
		CO_EXPECT_EQ(co_io_close(hoard[i]), 0);
		if (strays + (size_t)i < CLIENTS)
			await_begun(&site, strays + (size_t)i + 1);
	}
	for (i = 0; i < CLIENTS; i++)
		close(pipes[i][1]);
	close_clients(&site, fds);

	return 0;
}

CO_TEST(tcp_want, accepting_goes_on_when_others_close_a_descriptor)
{
	struct site site;
	int hoard[CLIENTS], fds[CLIENTS], i;

	listen_at(&site, echo);
	for (i = 0; i < CLIENTS; i++)
		hoard[i] = dup(2);
	connect_clients(&site, fds);
	co_sleep(20 * CO_MILLISECOND);
	count_strays(&site);
	for (i = 0; i < CLIENTS; i++)
		close(hoard[i]);
	await_begun(&site, CLIENTS);
	close_clients(&site, fds);

	return 0;
}

CO_TEST(tcp_want, a_server_that_cannot_accept_neither_spins_nor_dies)
{
	struct site site;
	int fds[CLIENTS];

	listen_at(&site, echo);
	connect_clients(&site, fds);
	expect_calm(60 * CO_MILLISECOND, 25 * CO_MILLISECOND);
	count_strays(&site);
	CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
	close_clients(&site, fds);

	return 0;
}
