/* SPDX-License-Identifier: MIT */

/* test_tcp.c - servers and clients of co_tcp_server(3), co_tcp_connect(3) */

#include "test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* --- Addresses --------------------------------------------------------- */

struct address {
	struct sockaddr_storage storage;
	socklen_t size;
};

static const struct sockaddr *of(const struct address *address)
{
	return (const struct sockaddr *)&address->storage;
}

static struct address local(const char *text, unsigned port)
{
	struct address address;

	test_or_die(co_tcp_address(text, port, &address.storage,
			&address.size));

	return address;
}

Test(tcp_address, numeric_addresses_are_understood)
{
	struct address got;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&got.storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&got.storage;

	cr_assert_eq(co_tcp_address("127.0.0.1", 80, &got.storage, &got.size),
			0);
	cr_assert_eq(got.size, sizeof *v4);
	cr_assert_eq(v4->sin_family, AF_INET);
	cr_assert_eq(v4->sin_port, htons(80));
	cr_assert_eq(v4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));

	cr_assert_eq(co_tcp_address("::1", 65535, &got.storage, &got.size), 0);
	cr_assert_eq(got.size, sizeof *v6);
	cr_assert_eq(v6->sin6_family, AF_INET6);
	cr_assert_eq(v6->sin6_port, htons(65535));
	cr_assert_eq(memcmp(&v6->sin6_addr, &in6addr_loopback,
			sizeof in6addr_loopback), 0);
	cr_assert_eq(co_tcp_address("0.0.0.0", 0, &got.storage, &got.size), 0);
	cr_assert_eq(co_tcp_address("::ffff:1.2.3.4", 1, &got.storage,
			&got.size), 0);
}

Test(tcp_address, anything_else_is_refused)
{
	static const char *const bad[] = { "", "localhost", "127.0.0", "1.2.3",
		"256.0.0.1", "127.0.0.1 ", " 127.0.0.1", "127.0.0.1:80",
		"[::1]", ":::1", "::1::", "::g", "1.2.3.4.5", "-1.0.0.0",
		"0000000:0000000:0000000:0000000:0000000:0000000:0000000:1",
		"::1%no-such-interface" };
	struct address got;
	size_t i;

	memset(&got, 0x5a, sizeof got);
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_eq(co_tcp_address(bad[i], 1, &got.storage,
				&got.size), -EINVAL, "\"%s\"", bad[i]);
	cr_expect_eq(co_tcp_address("127.0.0.1", 65536, &got.storage,
			&got.size), -EINVAL);
	cr_expect_eq(got.size, 0x5a5a5a5a);
	cr_expect_eq(got.storage.ss_family, 0x5a5a);
}

/* --- Servers for the tests --------------------------------------------- */

struct site {
	struct co_tcp_server server;
	struct address address;
	struct test_counter served;
	struct test_counter ended;
	struct co_loop *loop;
};

/* A site of the calling task's loop, which doesn't listen yet. */
static void make_site(struct site *site)
{
	memset(site, 0, sizeof *site);
	site->loop = co_loop_current();
	site->server.user = site;
	test_or_die(co_tcp_server_init(&site->server, site->loop));
	CO_EXPECT(site->server.user == site);
}

/* Where SITE listens. */
static void find_site(struct site *site)
{
	site->address.size = sizeof site->address.storage;
	test_or_die(co_tcp_server_address(&site->server,
			(struct sockaddr *)&site->address.storage,
			&site->address.size));
}

static void open_site(struct site *site, const char *text,
		co_tcp_handler *handler)
{
	struct address address = local(text, 0);

	make_site(site);
	test_or_die(co_tcp_server_listen(&site->server, of(&address),
			address.size, 0, handler));
	find_site(site);
}

static struct co_io *call(const struct site *site)
{
	struct co_io *io = NULL;

	test_or_die(co_tcp_connect(of(&site->address), site->address.size,
			&io));

	return io;
}

/* Echoes until the end of the stream. */
static void echo(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;
	char data[512];
	ssize_t n;

	CO_EXPECT(peer != NULL && peer->sa_family ==
			site->address.storage.ss_family);
	counter_add(&site->served, 1);
	while ((n = co_io_read(connection, data, sizeof data)) > 0)
		if (co_io_write_full(connection, data, (size_t)n, NULL) != 0)
			break;
	counter_add(&site->ended, 1);
}

static void expect_echo(struct co_io *io, uint64_t number)
{
	uint64_t answer = 0;

	CO_EXPECT_EQ(co_io_write_full(io, &number, sizeof number, NULL), 0);
	CO_EXPECT_EQ(co_io_read_full(io, &answer, sizeof answer, NULL), 0);
	CO_EXPECT_EQ(answer, number);
}

static void call_and_echo(const struct site *site, uint64_t number)
{
	struct co_io *io = call(site);

	expect_echo(io, number);
	expect_echo(io, ~number);
	CO_EXPECT_EQ(co_io_shutdown(io, SHUT_WR), 0);
	CO_EXPECT_EQ(co_io_read(io, &number, 1), 0);
	CO_EXPECT_EQ(co_io_close(io), 0);
}

static bool have_ipv6(void)
{
	struct address address = local("::1", 0);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool have = fd >= 0 && bind(fd, of(&address), address.size) == 0;

	close(fd);

	return have;
}

/* --- Serving ----------------------------------------------------------- */

static void serve_a_few(const char *text)
{
	struct site site;
	uint64_t i;

	open_site(&site, text, echo);
	CO_EXPECT(((struct sockaddr_in *)&site.address.storage)->sin_port !=
			0);
	for (i = 0; i < 10; i++)
		call_and_echo(&site, i);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.served), 10);
	CO_EXPECT_EQ(counter_get(&site.ended), 10);
}

CO_TEST(tcp, connections_are_served_over_ipv4)
{
	serve_a_few("127.0.0.1");
	return 0;
}

CO_TEST(tcp, connections_are_served_over_ipv6)
{
	if (have_ipv6())
		serve_a_few("::1");
	else
		test_skip_for("there is no IPv6 here");
	return 0;
}

#define CALLERS 100

/* The first one counts the tasks that there are by now. */
static void count_tasks(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct site *site = server->user;

	(void)connection;
	(void)peer;
	test_or_die(co_loop_stats(site->loop, &stats));
	if (counter_add(&site->served, 1) == 0)
		counter_set(&site->ended, (size_t)stats.tasks);
}

/* All have called before the first is accepted. */
CO_TEST_ON_ONE_THREAD(tcp, a_crowd_at_the_door_keeps_nobody_from_being_served)
{
	struct site site;
	int fds[CALLERS];
	size_t i;

	open_site(&site, "127.0.0.1", count_tasks);
	for (i = 0; i < CALLERS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM, 0);
		test_or_die(connect(fds[i], of(&site.address),
				site.address.size));
	}
	while (counter_get(&site.served) < CALLERS)
		co_sleep(CO_MILLISECOND);
	CO_EXPECT(counter_get(&site.ended) < CALLERS / 2);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	for (i = 0; i < CALLERS; i++)
		close(fds[i]);

	return 0;
}

static void send_peer(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;

	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(co_io_write_full(connection, peer, site->address.size,
			NULL), 0);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	test_or_die(getsockopt(fd, level, name, &value, &size));

	return value;
}

/* Each handler keeps its own peer, whoever else is accepted meanwhile. */
static int check_peer(void *arg)
{
	struct site *site = arg;
	struct sockaddr_in mine, seen;
	socklen_t size = sizeof mine;
	struct co_io *io = call(site);
	int fd = co_io_fd(io);

	test_or_die(getsockname(fd, (struct sockaddr *)&mine, &size));
	CO_EXPECT_EQ(co_io_read_full(io, &seen, sizeof seen, NULL), 0);
	CO_EXPECT_EQ(seen.sin_family, AF_INET);
	CO_EXPECT_EQ(seen.sin_port, mine.sin_port);
	CO_EXPECT_EQ(seen.sin_addr.s_addr, mine.sin_addr.s_addr);
	CO_EXPECT(option(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
	CO_EXPECT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CO_EXPECT(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return 0;
}

CO_TEST(tcp, a_handler_is_told_its_peer)
{
	struct site site;

	open_site(&site, "127.0.0.1", send_peer);
	spawn_and_join_all(30, check_peer, &site);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

CO_TEST(tcp, connections_counts_the_handlers_that_run)
{
	struct co_io *ios[5];
	struct site site;
	size_t i;

	open_site(&site, "127.0.0.1", echo);
	CO_EXPECT_EQ(co_tcp_server_connections(&site.server), 0);
	for (i = 0; i < 5; i++) {
		ios[i] = call(&site);
		expect_echo(ios[i], i);
		CO_EXPECT_EQ(co_tcp_server_connections(&site.server), i + 1);
	}
	for (i = 0; i < 5; i++)
		CO_EXPECT_EQ(co_io_close(ios[i]), 0);
	while (co_tcp_server_connections(&site.server) != 0)
		co_sleep(CO_MILLISECOND / 10);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

CO_TEST(tcp, several_servers_do_not_mix)
{
	struct site sites[4];
	uint64_t i;

	for (i = 0; i < 4; i++)
		open_site(&sites[i], "127.0.0.1", echo);
	for (i = 0; i < 20; i++)
		call_and_echo(&sites[i % 4], i);
	for (i = 0; i < 4; i++) {
		CO_EXPECT_EQ(co_tcp_server_deinit(&sites[i].server), 0);
		CO_EXPECT_EQ(counter_get(&sites[i].served), 5);
	}

	return 0;
}

/* All are connected at once before any goes on. */
static int call_and_wait(void *arg)
{
	struct site *site = arg;
	struct co_io *io = call(site);

	expect_echo(io, 1);
	while (counter_get(&site->served) < CO_TEST_SCALE(1000))
		co_sleep(CO_MILLISECOND);
	expect_echo(io, 2);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return 0;
}

CO_TEST(tcp, a_thousand_connections_are_served_at_once)
{
	struct rlimit limit;
	struct site site;

	test_or_die(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	test_or_die(setrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_max < 2200) {
		test_skip_for("there are too few descriptors");
		return 0;
	}
	open_site(&site, "127.0.0.1", echo);
	spawn_and_join_all(CO_TEST_SCALE(1000), call_and_wait, &site);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), CO_TEST_SCALE(1000));

	return 0;
}

CO_TEST(tcp, a_client_may_be_gone_before_it_is_accepted)
{
	struct linger linger = { 1, 0 };
	struct site site;
	int i, fd;

	open_site(&site, "127.0.0.1", echo);
	for (i = 0; i < 50; i++) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		test_or_die(connect(fd, of(&site.address),
				site.address.size));
		test_or_die(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
				sizeof linger));
		close(fd);
		if (i % 10 == 0)
			call_and_echo(&site, (uint64_t)i);
	}
	call_and_echo(&site, 7);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

/* --- Listen ------------------------------------------------------------ */

CO_TEST(tcp_listen, errors_leave_a_server_that_can_listen)
{
	struct address any = local("127.0.0.1", 0), far;
	struct sockaddr bad = { .sa_family = AF_UNIX };
	struct co_tcp_server server;
	struct site site;

	open_site(&site, "127.0.0.1", echo);
	CO_EXPECT_EQ(co_tcp_server_init(&server, site.loop), 0);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&site.address),
			site.address.size, 0, echo), -EADDRINUSE);
	far = local("192.0.2.1", 0);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&far), far.size, 0,
			echo), -EADDRNOTAVAIL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, &bad, sizeof bad, 0, echo),
			-EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&any), 3, 0, echo),
			-EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&any), any.size, 0,
			NULL), -EINVAL);
	server.user = &site;
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&any), any.size, 1,
			echo), 0);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, of(&any), any.size, 0,
			echo), -EALREADY);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

CO_TEST(tcp_listen, only_a_server_that_listens_has_an_address)
{
	struct co_tcp_server server;
	struct address address;
	struct site site;

	open_site(&site, "127.0.0.1", echo);
	CO_EXPECT_EQ(co_tcp_server_init(&server, site.loop), 0);
	address.size = sizeof address.storage;
	CO_EXPECT_EQ(co_tcp_server_address(&server,
			(struct sockaddr *)&address.storage, &address.size),
			-ENOTCONN);
	address.size = 4;
	CO_EXPECT_EQ(co_tcp_server_address(&site.server,
			(struct sockaddr *)&address.storage, &address.size),
			-EINVAL);
	address.size = sizeof address.storage;
	CO_EXPECT_EQ(co_tcp_server_address(&site.server,
			(struct sockaddr *)&address.storage, &address.size),
			0);
	CO_EXPECT_EQ(address.size, sizeof(struct sockaddr_in));
	CO_EXPECT_EQ(co_tcp_server_close(&site.server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

/* --- Sockets that listen already ------------------------------------------ */

static int listening_socket(int family, const struct sockaddr *address,
		socklen_t size)
{
	int fd = socket(family, SOCK_STREAM, 0);

	test_die_unless(fd >= 0, "socket", __FILE__, __LINE__);
	test_or_die(bind(fd, address, size));
	test_or_die(listen(fd, 20));

	return fd;
}

/* A site that serves FD, which is the caller's. */
static void open_site_of(struct site *site, int fd, co_tcp_handler *handler)
{
	make_site(site);
	test_or_die(co_tcp_server_listen_fd(&site->server, fd, handler));
	find_site(site);
}

static int local_listening_socket(void)
{
	struct address address = local("127.0.0.1", 0);

	return listening_socket(AF_INET, of(&address), address.size);
}

CO_TEST(tcp_listen, a_socket_that_listens_already_is_served)
{
	int fd = local_listening_socket(), flags = fcntl(fd, F_GETFD);
	struct site site;

	open_site_of(&site, fd, echo);
	CO_EXPECT_EQ(fcntl(fd, F_GETFD), flags);
	close(fd);
	for (uint64_t i = 0; i < 10; i++)
		call_and_echo(&site, i);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.served), 10);

	return 0;
}

static int unix_listening_socket(void)
{
	/* In no file system: the first byte is 0. */
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int length;

	length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1,
			"coloop-test-%ld-%p", (long)getpid(), (void *)&name);
	return listening_socket(AF_UNIX, (struct sockaddr *)&name,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1
			+ (size_t)length));
}

/* A connection to the server of SITE, which is one of the Unix domain. */
static int call_unix(const struct site *site)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	test_or_die(connect(fd, of(&site->address), site->address.size));

	return fd;
}

CO_TEST(tcp_listen, so_is_one_of_the_unix_domain)
{
	struct site site;
	struct co_io *io;
	int fd = unix_listening_socket();

	open_site_of(&site, fd, echo);
	close(fd);
	test_or_die(co_io_open(NULL, call_unix(&site), &io));
	expect_echo(io, 5);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	CO_EXPECT_EQ(counter_get(&site.ended), 1);

	return 0;
}

/* Send a byte and a descriptor. */
static void send_descriptor(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof fd)];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof fd),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control };

	memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	CO_EXPECT_EQ(sendmsg(fd, &message, 0), 1);
}

/* Read three bytes, the last two of which come together. */
static void read_three(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	struct site *site = server->user;
	char data[64];

	(void)peer;
	CO_EXPECT_EQ(co_io_read(connection, data, sizeof data), 1);
	counter_set(&site->served, 1);
	while (counter_get(&site->served) == 1)
		co_sleep(CO_MILLISECOND);
	/* Until the events of what was sent have come. */
	co_sleep(10 * CO_MILLISECOND);
	CO_WITH_DEADLINE(co_after(10 * CO_SECOND))
		for (int i = 0; i < 2; i++)
			CO_EXPECT_EQ(co_io_read(connection, data, sizeof data),
					1);
	counter_set(&site->ended, 1);
}

/* A read ends behind a byte that came with a descriptor, though there is more,
 * of which no event tells. */
CO_TEST(tcp_listen, a_short_read_of_the_unix_domain_is_not_the_last)
{
	struct site site;
	int fd = unix_listening_socket(), client;

	open_site_of(&site, fd, read_three);
	close(fd);
	client = call_unix(&site);
	CO_EXPECT_EQ(write(client, "", 1), 1);
	while (counter_get(&site.served) == 0)
		co_sleep(CO_MILLISECOND);
	send_descriptor(client);
	send_descriptor(client);
	counter_set(&site.served, 2);
	while (counter_get(&site.ended) == 0)
		co_sleep(CO_MILLISECOND);
	close(client);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);

	return 0;
}

/* Who else has the socket accepts on. */
CO_TEST(tcp_listen, closing_the_server_ends_it_for_nobody_else)
{
	int fd = local_listening_socket(), client, accepted;
	struct site site;

	open_site_of(&site, fd, echo);
	call_and_echo(&site, 1);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	CO_EXPECT_EQ(connect(client, of(&site.address), site.address.size), 0);
	/* The server made it one that doesn't wait. */
	CO_EXPECT(is_readable_soon(fd));
	accepted = accept(fd, NULL, NULL);
	CO_EXPECT(accepted >= 0);
	close(accepted);
	close(client);
	/* So does the next server. */
	open_site_of(&site, fd, echo);
	call_and_echo(&site, 2);
	CO_EXPECT_EQ(co_tcp_server_deinit(&site.server), 0);
	close(fd);

	return 0;
}

CO_TEST(tcp_listen, what_does_not_listen_is_refused)
{
	int fd = local_listening_socket(), other = socket(AF_INET, SOCK_STREAM,
			0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
	struct co_tcp_server server;
	int ends[2];

	test_or_die(pipe(ends));
	CO_EXPECT_EQ(co_tcp_server_init(&server, co_loop_current()), 0);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, -1, echo), -EBADF);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, ends[0], echo),
			-ENOTSOCK);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, other, echo), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, datagrams, echo),
			-EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, fd, NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(NULL, fd, echo), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, fd, echo), 0);
	CO_EXPECT_EQ(co_tcp_server_listen_fd(&server, fd, echo), -EALREADY);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	CO_EXPECT_EQ(fcntl(fd, F_GETFD) >= 0, 1);
	close(fd);
	close(other);
	close(datagrams);
	close(ends[0]);
	close(ends[1]);

	return 0;
}

/* --- Connect ----------------------------------------------------------- */

CO_TEST(tcp_connect, a_refusal_is_an_error)
{
	struct address nowhere = local("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0), i;
	struct co_io *io = NULL;

	/* Bound, so that nobody else gets the port, and deaf. */
	test_or_die(bind(fd, of(&nowhere), nowhere.size));
	test_or_die(getsockname(fd, (struct sockaddr *)&nowhere.storage,
			&nowhere.size));
	for (i = 0; i < 20; i++)
		CO_EXPECT_EQ(co_tcp_connect(of(&nowhere), nowhere.size, &io),
				-ECONNREFUSED);
	CO_EXPECT_EQ(co_tcp_connect(of(&nowhere), 3, &io), -EINVAL);
	CO_EXPECT(io == NULL);
	close(fd);

	return 0;
}

/* A listener that accepts nobody: when its backlog is full, the system leaves
 * further clients waiting. */
static struct address open_deaf_listener(int *ret_fd)
{
	struct address address = local("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	test_or_die(bind(fd, of(&address), address.size));
	test_or_die(listen(fd, 0));
	test_or_die(getsockname(fd, (struct sockaddr *)&address.storage,
			&address.size));
	*ret_fd = fd;

	return address;
}

static int connect_to(void *arg)
{
	struct address *address = arg;
	struct co_io *io = NULL;
	int rc = co_tcp_connect(of(address), address->size, &io);

	co_io_close(io);

	return rc;
}

/* Whether the system leaves the clients of a listener waiting. */
static bool is_full(int listener)
{
	struct tcp_info info;
	socklen_t size = sizeof info;

	test_or_die(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size));

	/* Of a listener: how many there are, and the backlog.  Emulators give
	 * less than all. */
	return size < sizeof info / 2 || info.tcpi_unacked > info.tcpi_sacked;
}

CO_TEST(tcp_connect, it_ends_with_a_deadline_or_a_cancellation)
{
	struct co_io *io = NULL;
	struct co_task *task;
	int fd, client;
	struct address address = open_deaf_listener(&fd);

	client = socket(AF_INET, SOCK_STREAM, 0);
	test_or_die(connect(client, of(&address), address.size));
	while (!is_full(fd))
		co_sleep(CO_MILLISECOND);
	CO_WITH_DEADLINE(co_after(20 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_tcp_connect(of(&address), address.size, &io),
				-ETIMEDOUT);
	task = spawn_or_die(NULL, connect_to, &address);
	co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
	CO_EXPECT(io == NULL);
	close(client);
	close(fd);

	return 0;
}
