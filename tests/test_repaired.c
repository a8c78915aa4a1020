/* SPDX-License-Identifier: MIT */

/*
 * test_repaired.c - bugs that were found by reading or by torture
 *
 * Each of these failed before its repair.
 */

#include "channel.h"
#include "test.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Watching after the peer has gone --------------------------------------- */

struct watch {
	struct co_resume_node node;
	int fds[2];
	struct test_counter calls;
};

static void drain(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)(void *)node;
	char data[16];

	(void)events;
	counter_add(&watch->calls, 1);
	while (read(watch->fds[0], data, sizeof data) > 0)
		;
}

static int close_the_peer(void *arg)
{
	struct watch *watch = arg;
	int i;

	CO_EXPECT_EQ(co_loop_add_fd(co_loop_current(), watch->fds[0],
			CO_READABLE, &watch->node), 0);
	co_sleep(CO_MILLISECOND);
	close(watch->fds[1]);
	while (counter_get(&watch->calls) == 0)
		co_sleep(CO_MILLISECOND);
	/* Each time the loop asks what there is. */
	for (i = 0; i < 50; i++)
		co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(co_loop_remove_fd(co_loop_current(), watch->fds[0]), 0);
	close(watch->fds[0]);

	return 0;
}

/* poll(2) says for ever that there is an end to be read. */
static void watch_an_end(const char *backend)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct watch watch = { .node = { .ready = drain } };
	struct co_loop *loop;

	options.backend = backend;
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			watch.fds));
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(co_spawn(loop, close_the_peer, &watch, NULL), 0);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	cr_assert_leq(counter_get(&watch.calls), 4);
}

Test(repaired, an_end_is_told_a_few_times_by_epoll)
{
	watch_an_end("epoll");
}

Test(repaired, an_end_is_told_a_few_times_by_poll)
{
	watch_an_end("poll");
}

/* --- Short reads that aren't the last -------------------------------------------- */

static int read_soon(struct co_io *io)
{
	char data[64];
	ssize_t n = -1;

	CO_WITH_DEADLINE(co_after(30 * CO_SECOND))
		n = co_io_read(io, data, sizeof data);

	return (int)n;
}

/* A connected pair of TCP sockets. */
static void connect_pair(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *any = (struct sockaddr *)(void *)&address;
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	test_or_die(bind(listener, any, size));
	test_or_die(listen(listener, 1));
	test_or_die(getsockname(listener, any, &size));
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	test_or_die(connect(fds[1], any, size));
	fds[0] = accept(listener, NULL, NULL);
	close(listener);
}

CO_TEST(repaired, urgent_data_does_not_hide_the_rest)
{
	struct co_io *io;
	int fds[2];

	connect_pair(fds);
	test_or_die(co_io_open(NULL, fds[0], &io));
	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(send(fds[1], "abc", 3, 0), 3);
	CO_EXPECT_EQ(send(fds[1], "X", 1, MSG_OOB), 1);
	CO_EXPECT_EQ(send(fds[1], "def", 3, 0), 3);
	co_sleep(5 * CO_MILLISECOND);
	CO_EXPECT_EQ(read_soon(io), 3);
	CO_EXPECT_EQ(read_soon(io), 3);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

/* A connection that is closed while much of what was written is under way. */
struct lingering {
	struct co_io *io;
	int peer;
	struct test_counter begins, ended;
};

static struct lingering open_lingering(void)
{
	struct lingering lingering = { .io = NULL };
	struct linger linger = { 1, 20 };	/* seconds */
	int fds[2];

	connect_pair(fds);
	test_or_die(co_io_open(NULL, fds[0], &lingering.io));
	fill_socket(fds[0]);
	test_or_die(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &linger,
			sizeof linger));
	lingering.peer = fds[1];

	return lingering;
}

static void close_lingering(void *arg)
{
	struct lingering *lingering = arg;

	counter_set(&lingering->begins, 1);
	CO_EXPECT_EQ(co_io_close(lingering->io), 0);
	counter_set(&lingering->ended, 1);
}

/* With poll(2) it may be the poller that uses the file last, and waits. */
CO_TEST_ON_ONE_THREAD(repaired, a_close_that_takes_long_holds_up_no_other)
{
	struct lingering lingering;
	struct test_thread other;
	struct co_io *io;
	int fds[2], n = 0;

	if (strcmp(co_loop_backend(co_loop_current()), "epoll") != 0)
		return 0;
	lingering = open_lingering();
	test_thread_start(&other, co_loop_current(), close_lingering,
			&lingering);
	while (counter_get(&lingering.begins) == 0)
		co_sleep(CO_MILLISECOND);
	while (n < 10 && counter_get(&lingering.ended) == 0) {
		test_or_die(pipe(fds));
		test_or_die(co_io_open(NULL, fds[0], &io));
		CO_EXPECT_EQ(co_io_close(io), 0);
		close(fds[1]);
		co_sleep(CO_MILLISECOND);
		n++;
	}
	CO_EXPECT_EQ(n, 10);
	close(lingering.peer);
	test_thread_join(&other);

	return 0;
}

/* A descriptor that is passed along. */
static void send_rights(int fd, int passed)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { (char *)"def", 3 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof control };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof passed);
	memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
	CO_EXPECT_EQ(sendmsg(fd, &message, 0), 3);
}

/* A read ends after what came with a descriptor.  All is there, and its event
 * told, before the first read. */
CO_TEST(repaired, passed_descriptors_do_not_hide_the_rest)
{
	struct co_io *io;
	int fds[2], n = 1, sum = 0;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CO_EXPECT_EQ(send(fds[1], "abc", 3, 0), 3);
	send_rights(fds[1], fds[1]);
	CO_EXPECT_EQ(send(fds[1], "ghi", 3, 0), 3);
	test_or_die(co_io_open(NULL, fds[0], &io));
	settle();
	while (sum < 9 && n > 0) {
		n = read_soon(io);
		CO_EXPECT(n > 0 && n < 9);
		sum += n;
	}
	CO_EXPECT_EQ(sum, 9);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

/* --- Servers ------------------------------------------------------------------------ */

static struct test_counter tried;

/* Serve until a thread has tried to end the server, and a while longer. */
static void linger(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	(void)server;
	(void)connection;
	(void)peer;
	co_cancel_mask(1);
	while (counter_get(&tried) == 0)
		co_sleep(CO_MILLISECOND);
	co_sleep(30 * CO_MILLISECOND);
}

/* A listening server and a client of it. */
static int begin_server(struct co_tcp_server *server, struct co_loop *loop)
{
	struct sockaddr_storage address;
	struct sockaddr *any = (struct sockaddr *)(void *)&address;
	socklen_t size;
	int client = socket(AF_INET, SOCK_STREAM, 0);

	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(co_tcp_server_init(server, loop));
	test_or_die(co_tcp_server_listen(server, any, size, 0, linger));
	size = sizeof address;
	test_or_die(co_tcp_server_address(server, any, &size));
	test_or_die(connect(client, any, size));

	return client;
}

static void *deinit_too(void *arg)
{
	CO_EXPECT_EQ(co_tcp_server_deinit(arg), -EBUSY);
	counter_set(&tried, 1);

	return NULL;
}

CO_TEST(repaired, a_thread_in_vain_does_not_take_deinit_from_a_task)
{
	struct co_tcp_server server;
	int client = begin_server(&server, co_loop_current());
	pthread_t thread;

	while (co_tcp_server_connections(&server) == 0)
		co_sleep(CO_MILLISECOND);
	test_or_die(pthread_create(&thread, NULL, deinit_too, &server));
	test_or_die(pthread_join(thread, NULL));
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	close(client);

	return 0;
}

static int stop_soon(void *arg)
{
	co_sleep(20 * CO_MILLISECOND);

	return co_loop_stop(arg);
}

static int close_something(void *arg)
{
	struct co_io *io;
	int fds[2];

	(void)arg;
	test_or_die(pipe(fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 7;
}

/* An acceptor that waits for a descriptor when its loop is destroyed must not
 * be told of one later. */
Test(repaired, a_starved_server_is_forgotten_with_its_loop)
{
	static struct co_tcp_server server;
	struct rlimit limit, low;
	struct co_loop *loop;
	int client;

	test_or_die(getrlimit(RLIMIT_NOFILE, &limit));
	test_or_die(co_loop_create_single_threaded(&loop));
	client = begin_server(&server, loop);
	low = limit;
	low.rlim_cur = (rlim_t)dup(client);
	close((int)low.rlim_cur);
	test_or_die(setrlimit(RLIMIT_NOFILE, &low));
	test_or_die(co_spawn(loop, stop_soon, loop, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	test_or_die(setrlimit(RLIMIT_NOFILE, &limit));
	cr_assert_eq(co_loop_destroy(loop), 0);
	cr_assert_eq(co_run(close_something, NULL), 7);
	close(client);
}

/* --- Calls that don't wait -------------------------------------------------- */

/* Keeps an object busy for some milliseconds, as a thread does that the system
 * stopped in the midst of a call. */
struct keeper {
	struct co__strand *strand;
	struct test_counter keeps;
};

static void keep_strand(void *arg)
{
	struct keeper *keeper = arg;

	co__strand_acquire(keeper->strand, NULL);
	counter_set(&keeper->keeps, 1);
	usleep(3000);
	co__strand_release(keeper->strand, co__seat_here());
}

struct crowd {
	struct co_channel *channel;
	struct co_lock lock;
	struct test_counter turns;	/* of the witness */
	struct test_counter quit;
};

static int take_turns(void *arg)
{
	struct crowd *crowd = arg;

	while (counter_get(&crowd->quit) == 0) {
		counter_add(&crowd->turns, 1);
		co_yield();
	}

	return 0;
}

static int lock_once(void *arg)
{
	struct crowd *crowd = arg;
	int rc = co_lock_acquire(&crowd->lock);

	return rc == 0 ? co_lock_release(&crowd->lock) : rc;
}

enum still_call { TRY_PUT, TRY_GET, TRY_SELECT, CLOSE, RELEASE, STILL_CALLS };

static int call_still(struct crowd *crowd, enum still_call call)
{
	size_t number = 5;
	struct co_select_case get = CO_SELECT_CASE_GET(crowd->channel, &number);

	switch (call) {
	case TRY_PUT:
		return co_channel_try_put(crowd->channel, &number);
	case TRY_GET:
		return co_channel_try_get(crowd->channel, &number);
	case TRY_SELECT:
		return co_try_select(&get, 1);
	case CLOSE:
		return co_channel_close(crowd->channel);
	default:
		return co_lock_release(&crowd->lock);
	}
}

/* A program may have left something half done, or hold a mutex of a thread,
 * when it makes a call that doesn't wait.  Those that met another thread at the
 * object let other tasks run. */
CO_TEST_ON_ONE_THREAD(repaired, what_does_not_wait_lets_no_task_run)
{
	struct crowd crowd = { .channel = channel_or_die(sizeof(size_t), 2) };
	struct co_task *witness = spawn_or_die(NULL, take_turns, &crowd);
	struct co_task *waiter;

	put_now(crowd.channel, 1);
	put_now(crowd.channel, 2);
	CO_EXPECT_EQ(co_lock_acquire(&crowd.lock), 0);
	waiter = spawn_or_die(NULL, lock_once, &crowd);
	for (int call = 0; call < STILL_CALLS; call++) {
		struct keeper keeper = { call == RELEASE
				? (struct co__strand *)&crowd.lock
				: &crowd.channel->strand, { 0 } };
		struct test_thread thread;
		size_t before;

		co_yield();
		test_thread_start(&thread, NULL, keep_strand, &keeper);
		while (counter_get(&keeper.keeps) == 0)
			;
		before = counter_get(&crowd.turns);
		CO_EXPECT(before > 0);
		CO_EXPECT_EQ(call_still(&crowd, call), call == TRY_PUT
				? -EAGAIN : 0);
		CO_EXPECT_EQ(counter_get(&crowd.turns), before);
		test_thread_join(&thread);
	}
	CO_EXPECT_EQ(join_or_die(waiter), 0);
	counter_set(&crowd.quit, 1);
	CO_EXPECT_EQ(join_or_die(witness), 0);
	CO_EXPECT_EQ(co_channel_destroy(crowd.channel), 0);

	return 0;
}
