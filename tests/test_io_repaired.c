/* SPDX-License-Identifier: MIT */

/*
 * test_io_repaired.c - flaws of descriptors and servers, found by reading
 *
 * Each test failed before its repair.
 */

#include "test.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"

/* --- Files ----------------------------------------------------------------- */

CO_TEST(io_repaired, a_closed_regular_file_is_not_waited_for)
{
	FILE *file = tmpfile();
	int fd = dup(fileno(file));
	struct co_io *io;

	test_or_die(co_io_open(NULL, fd, &io));
	CO_EXPECT_EQ(co_io_wait(io, CO_READABLE), CO_READABLE);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(co_io_wait(io, CO_READABLE), -EBADF);
	fclose(file);

	return 0;
}

/* --- Numbers that others closed --------------------------------------------- */

static int fresh_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	test_die_unless(fd >= 0, "socket", __FILE__, __LINE__);

	return fd;
}

static void adopt_and_close(struct co_loop *loop, int fd)
{
	struct co_io *io = NULL;
	int rc = co__io_adopt(loop, fd, &io);

	if (!CO_EXPECT_EQ(rc, 0))
		close(fd);
	else
		CO_EXPECT_EQ(co_io_close(io), 0);
}

static void ignore(struct co_resume_node *node, unsigned events)
{
	(void)node;
	(void)events;
}

CO_TEST(io_repaired, a_socket_takes_the_number_of_a_lost_watch)
{
	struct co_resume_node node = { .ready = ignore };
	struct co_loop *loop = co_loop_current();
	int fd = fresh_socket();

	CO_EXPECT_EQ(co_loop_add_fd(loop, fd, CO_READABLE, &node), 0);
	close(fd);
	CO_EXPECT_EQ(fresh_socket(), fd);
	adopt_and_close(loop, fd);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, fd), -ENOENT);

	return 0;
}

static int wait_in_vain(void *arg)
{
	int *fd = arg;

	return co_wait_fd(*fd, CO_READABLE);
}

static int read_in_vain(void *arg)
{
	char data;

	return (int)co_io_read(arg, &data, 1);
}

CO_TEST(io_repaired, a_socket_takes_the_number_of_a_lost_wait)
{
	int ends[2], newcomer[2];
	struct co_task *task;

	test_or_die(pipe(ends));
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
			newcomer));
	task = spawn_or_die(NULL, wait_in_vain, &ends[0]);
	settle();
	/* Others may ask for what is under the number meanwhile: there is
	 * always something, and nothing to be read. */
	CO_EXPECT_EQ(dup2(newcomer[0], ends[0]), ends[0]);
	adopt_and_close(co_loop_current(), ends[0]);
	CO_EXPECT_EQ(join_or_die(task), -EBADF);
	close(newcomer[0]);
	close(newcomer[1]);
	close(ends[1]);

	return 0;
}

static int stop_soon(void *arg)
{
	settle();

	return co_loop_stop(arg);
}

/* The one who reads can't leave, since nothing runs it. */
Test(io_repaired, a_number_is_evicted_on_a_loop_that_stands_still)
{
	struct co_loop *loop = loop_or_die(1);
	struct co_task *reader;
	struct co_io *io;
	int ends[2], number;

	test_or_die(pipe(ends));
	number = ends[0];
	test_or_die(co_io_open(loop, number, &io));
	reader = spawn_or_die(loop, read_in_vain, io);
	test_or_die(co_spawn(loop, stop_soon, loop, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	close(number);
	cr_assert_eq(fresh_socket(), number);
	adopt_and_close(loop, number);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(join_or_die(reader), -EBADF);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
	close(ends[1]);
}

/* --- Servers ------------------------------------------------------------------ */

struct guest {
	struct co_tcp_server server;
	struct sockaddr_storage address;
	socklen_t size;
	struct test_counter served;
};

static struct sockaddr *address_of(struct guest *guest)
{
	return (struct sockaddr *)(void *)&guest->address;
}

static void listen_or_die(struct guest *guest, struct co_loop *loop,
		co_tcp_handler *handler)
{
	test_or_die(co_tcp_address("127.0.0.1", 0, &guest->address,
			&guest->size));
	test_or_die(co_tcp_server_init(&guest->server, loop));
	test_or_die(co_tcp_server_listen(&guest->server, address_of(guest),
			guest->size, 0, handler));
	guest->size = sizeof guest->address;
	test_or_die(co_tcp_server_address(&guest->server, address_of(guest),
			&guest->size));
}

static int call_or_die(struct guest *guest)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	test_or_die(connect(fd, address_of(guest), guest->size));

	return fd;
}

static void serve_for_ever(struct co_tcp_server *server, struct co_io *io,
		const struct sockaddr *peer)
{
	struct guest *guest = (struct guest *)(void *)server;

	CO_EXPECT_EQ(peer->sa_family, AF_INET);
	counter_add(&guest->served, 1);
	read_in_vain(io);
}

static int stop_when_served(void *arg)
{
	struct guest *guest = arg;

	while (counter_get(&guest->served) == 0)
		co_sleep(CO_MILLISECOND);

	return co_loop_stop(co_loop_current());
}

Test(io_repaired, nothing_is_left_of_handlers_that_are_discarded)
{
	static struct guest guest;
	struct co_loop *loop = loop_or_die(2);
	int client;

	listen_or_die(&guest, loop, serve_for_ever);
	client = call_or_die(&guest);
	test_or_die(co_spawn(loop, stop_when_served, &guest, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
	close(client);
}

/* --- No stack for a handler --------------------------------------------------- */

static struct test_counter famine;

static void *allocate_in_good_times(void *context, size_t size)
{
	return counter_get(&famine) ? NULL : test_allocate(context, size);
}

static struct co_loop *loop_of_famine(void)
{
	struct co_allocator allocator = { allocate_in_good_times, test_release,
		NULL };
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop;

	options.threads = 1;
	options.allocator = &allocator;
	test_or_die(co_loop_create(&options, &loop));

	return loop;
}

static int hold_a_stack(void *arg)
{
	while (counter_get(arg) == 0)
		co_sleep(CO_MILLISECOND);

	return 0;
}

/* Let there be no stack until *END is set. */
static void take_all_stacks(struct test_counter *end)
{
	counter_set(&famine, 1);
	while (co_spawn(NULL, hold_a_stack, end, NULL) == 0)
		;
}

static bool comes_to_end(int fd)
{
	char data;

	return is_readable_soon(fd) && recv(fd, &data, 1, MSG_DONTWAIT) <= 0;
}

static bool is_connected(int fd)
{
	char data;

	return recv(fd, &data, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

#define GUESTS 5

static int call_in_famine(void *arg)
{
	static struct test_counter end;	/* for longer than this task */
	struct guest *guest = arg;
	int clients[GUESTS];

	take_all_stacks(&end);
	for (int i = 0; i < GUESTS; i++)
		clients[i] = call_or_die(guest);
	for (int i = 0; i < 20; i++)
		co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(counter_get(&guest->served), 0);
	for (int i = 0; i < GUESTS; i++)
		CO_EXPECT(is_connected(clients[i]));
	counter_set(&famine, 0);
	while (counter_get(&guest->served) < GUESTS)
		co_sleep(CO_MILLISECOND);
	counter_set(&end, 1);
	for (int i = 0; i < GUESTS; i++)
		close(clients[i]);
	CO_EXPECT_EQ(co_tcp_server_deinit(&guest->server), 0);

	return 0;
}

/* Close the server while it holds a connection that it can't serve. */
static int leave_in_famine(void *arg)
{
	static struct test_counter end;	/* for longer than this task */
	struct guest *guest = arg;
	int client;

	take_all_stacks(&end);
	client = call_or_die(guest);
	for (int i = 0; i < 10; i++)
		co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(co_tcp_server_deinit(&guest->server), 0);
	CO_EXPECT(comes_to_end(client));
	CO_EXPECT_EQ(counter_get(&guest->served), 0);
	counter_set(&famine, 0);
	counter_set(&end, 1);
	close(client);

	return 0;
}

static void serve_in_famine(co_task_fn *fn)
{
	static struct guest guest;
	struct co_loop *loop = loop_of_famine();

	listen_or_die(&guest, loop, serve_for_ever);
	test_or_die(co_spawn(loop, fn, &guest, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

Test(io_repaired, who_cannot_be_served_is_not_turned_away)
{
	serve_in_famine(call_in_famine);
}

Test(io_repaired, a_server_that_holds_a_connection_can_be_closed)
{
	serve_in_famine(leave_in_famine);
}

/* --- Watches --------------------------------------------------------------------- */

struct told {
	struct co_resume_node node;
	unsigned events;
};

static void note(struct co_resume_node *node, unsigned events)
{
	struct told *told = (struct told *)(void *)node;

	told->events |= events;
}

/* As if a worker had read the first event and was delayed before it told.  Of an
 * empty pipe the backend has nothing to say: a socket has room to write, and who
 * is telling that on another thread would tell this task's event as well, later. */
CO_TEST(io_repaired, a_late_event_is_not_told_to_a_later_node)
{
	struct co_loop *loop = co_loop_current();
	struct told first = { .node = { .ready = note } };
	struct told second = first;
	int fds[2];
	struct co_io *io;
	uint64_t early, late;

	test_or_die(pipe(fds));
	test_or_die(co_loop_add_fd(loop, fds[0], CO_READABLE, &first.node));
	io = co__fd_find(loop, fds[0]);
	early = co__fd_key(io);
	test_or_die(co_loop_remove_fd(loop, fds[0]));
	test_or_die(co_loop_add_fd(loop, fds[0], CO_READABLE, &second.node));
	late = co__fd_key(io);
	co__watch_tell(io, early, CO_READABLE | CO_HANGUP);
	CO_EXPECT_EQ(first.events, 0);
	CO_EXPECT_EQ(second.events, 0);
	/* It had come between, and was not told. */
	AO_store(&io->pending, (AO_t)(early >> 32) << 8 | CO_HANGUP);
	co__watch_tell(io, late, CO_READABLE);
	CO_EXPECT_EQ(second.events, CO_READABLE);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, fds[0]), 0);
	close(fds[0]);
	close(fds[1]);

	return 0;
}

/* Two descriptors whose functions remove each other's. */
struct rivals {
	struct rival {
		struct co_resume_node node;
		struct rivals *both;
		int fds[2];
		int other;
		int result;
	} rival[2];
	struct co_loop *loop;
	struct test_counter begun, ended;
};

static void remove_the_other(struct co_resume_node *node, unsigned events)
{
	struct rival *self = (struct rival *)(void *)node;
	struct rivals *both = self->both;

	(void)events;
	counter_add(&both->begun, 1);
	while (counter_get(&both->begun) < 2)
		usleep(1000);
	self->result = co_loop_remove_fd(both->loop, self->other);
	counter_add(&both->ended, 1);
}

static int let_them_meet(void *arg)
{
	struct rivals *both = arg;

	for (size_t i = 0; i < 2; i++) {
		CO_EXPECT_EQ(write(both->rival[i].fds[1], "x", 1), 1);
		while (counter_get(&both->begun) <= i)
			co_sleep(CO_MILLISECOND);
	}
	while (counter_get(&both->ended) < 2)
		co_sleep(CO_MILLISECOND);

	return 0;
}

Test(io_repaired, who_would_wait_in_a_circle_is_told)
{
	static struct rivals both;
	struct co_loop *loop = loop_or_die(4);
	int results;

	both.loop = loop;
	for (int i = 0; i < 2; i++) {
		struct rival *rival = &both.rival[i];

		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, rival->fds));
		rival->node.ready = remove_the_other;
		rival->both = &both;
		both.rival[1 - i].other = rival->fds[0];
	}
	for (int i = 0; i < 2; i++)
		test_or_die(co_loop_add_fd(loop, both.rival[i].fds[0],
				CO_READABLE, &both.rival[i].node));
	test_or_die(co_spawn(loop, let_them_meet, &both, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	results = both.rival[0].result + both.rival[1].result;
	cr_assert(results == -EDEADLK || results == -2 * EDEADLK);
}

/* --- More parts than the system takes at once ------------------------------------ */

#define PARTS 1500

static void make_parts(struct iovec *parts, char *data, int begin)
{
	for (int i = 0; i < PARTS; i++) {
		parts[i].iov_base = &data[i];
		parts[i].iov_len = i >= begin;
	}
}

/* Move all of PARTS, as a caller does who knows of short counts. */
static void move_parts(struct co_io *io, struct iovec *parts, bool writes)
{
	int i = 0;

	while (i < PARTS) {
		ssize_t n = writes ? co_io_writev(io, parts + i, PARTS - i)
				: co_io_readv(io, parts + i, PARTS - i);

		if (!CO_EXPECT(n > 0))
			return;
		for (; i < PARTS && (size_t)n >= parts[i].iov_len; i++)
			n -= (ssize_t)parts[i].iov_len;
	}
}

static void move_many_parts(int from, int to, int begin)
{
	static struct iovec parts[PARTS];
	static char sent[PARTS], got[PARTS];
	struct co_io *reader, *writer;

	test_or_die(co_io_open(NULL, from, &reader));
	test_or_die(co_io_open(NULL, to, &writer));
	for (int i = 0; i < PARTS; i++) {
		sent[i] = i >= begin ? (char)(i % 100 + 1) : 0;
		got[i] = 0;
	}
	make_parts(parts, sent, begin);
	move_parts(writer, parts, true);
	make_parts(parts, got, begin);
	move_parts(reader, parts, false);
	CO_EXPECT_EQ(memcmp(sent, got, PARTS), 0);
	CO_EXPECT_EQ(co_io_close(reader), 0);
	CO_EXPECT_EQ(co_io_close(writer), 0);
}

CO_TEST_ON_ONE_THREAD(io_repaired, a_stream_takes_any_number_of_parts)
{
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	move_many_parts(fds[0], fds[1], 0);
	test_or_die(pipe(fds));
	move_many_parts(fds[0], fds[1], 0);

	return 0;
}

/* The first ones that the system would take are nothing: not the end. */
CO_TEST_ON_ONE_THREAD(io_repaired, many_empty_parts_are_not_the_end)
{
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	move_many_parts(fds[0], fds[1], 1300);

	return 0;
}

/* As write(2) does: a stream takes nothing at any time, a message needs room. */
static void write_nothing_when_full(int type, int want)
{
	static const char data[4096];
	struct iovec none = { .iov_len = 0 };
	struct co_io *io;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, type, 0, fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	fill_socket(fds[0]);
	CO_WITH_DEADLINE(co_after(5 * CO_MILLISECOND))
		CO_EXPECT_EQ(co_io_write(io, data, sizeof data), -ETIMEDOUT);
	CO_WITH_DEADLINE(co_after(want == 0 ? CO_HOUR : 5 * CO_MILLISECOND)) {
		CO_EXPECT_EQ(co_io_write(io, NULL, 0), want);
		CO_EXPECT_EQ(co_io_writev(io, &none, 1), want);
	}
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);
}

CO_TEST_ON_ONE_THREAD(io_repaired, to_write_nothing_needs_no_room)
{
	write_nothing_when_full(SOCK_STREAM, 0);
	write_nothing_when_full(SOCK_DGRAM, -ETIMEDOUT);

	return 0;
}

CO_TEST_ON_ONE_THREAD(io_repaired, a_message_of_too_many_parts_is_refused)
{
	static struct iovec parts[PARTS];
	static char data[PARTS];
	struct co_io *io;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	make_parts(parts, data, 0);
	CO_EXPECT_EQ(co_io_writev(io, parts, PARTS), -EMSGSIZE);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

/* --- Programs that tasks start ------------------------------------------------------ */

/* How many descriptors above the standard ones a program has that is started
 * now, beside that of its own listing. */
static int count_inherited(void)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		execl("/bin/sh", "sh", "-c",
				"n=0; for f in /proc/self/fd/*; do "
				"case ${f##*/} in 0|1|2) ;; "
				"*) [ -e \"$f\" ] && n=$((n+1)) ;; esac; done; "
				"exit $n", (char *)NULL);
		_exit(99);
	}
	test_or_die(waitpid(child, &status, 0) == child ? 0 : -1);

	return WEXITSTATUS(status);
}

static int inherit_nothing(void *arg)
{
	struct guest *guest = arg;
	struct co_io *client;
	int before = *(int *)guest->server.user;

	listen_or_die(guest, co_loop_current(), serve_for_ever);
	test_or_die(co_tcp_connect(address_of(guest), guest->size, &client));
	while (counter_get(&guest->served) == 0)
		co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(count_inherited(), before);
	CO_EXPECT_EQ(co_io_close(client), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&guest->server), 0);

	return 0;
}

static void inherit_nothing_from(const char *backend)
{
	struct guest guest = { .size = 0 };
	int before = count_inherited();

	test_or_die(setenv("COLOOP_BACKEND", backend, 1));
	guest.server.user = &before;
	cr_assert_lt(before, 90);
	cr_assert_eq(run_in_loop(2, inherit_nothing, &guest), 0);
}

Test(io_repaired, a_program_inherits_nothing_of_a_loop_with_epoll)
{
	inherit_nothing_from("epoll");
}

Test(io_repaired, a_program_inherits_nothing_of_a_loop_with_poll)
{
	inherit_nothing_from("poll");
}
