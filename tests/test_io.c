/* SPDX-License-Identifier: MIT */

/* test_io.c - reading, writing and waiting of co_io(3) */

#include "test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- Pairs of connected ends ------------------------------------------- */

enum kind { UNIX, TCP, PIPE, KINDS };

static void connect_tcp(int fds[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	test_or_die(bind(listener, (struct sockaddr *)&address, size));
	test_or_die(listen(listener, 1));
	test_or_die(getsockname(listener, (struct sockaddr *)&address, &size));
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	test_or_die(connect(fds[1], (struct sockaddr *)&address, size));
	fds[0] = accept(listener, NULL, NULL);
	test_or_die(fds[0] < 0);
	close(listener);
}

/* What is written to fds[1] can be read from fds[0]. */
static void make_pair(enum kind kind, int fds[2])
{
	if (kind == TCP)
		connect_tcp(fds);
	else if (kind == PIPE)
		test_or_die(pipe(fds));
	else
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

struct ends {
	struct co_io *in;
	struct co_io *out;
};

static struct ends open_ends(enum kind kind)
{
	struct ends ends = { NULL, NULL };
	int fds[2];

	make_pair(kind, fds);
	test_or_die(co_io_open(NULL, fds[0], &ends.in));
	test_or_die(co_io_open(NULL, fds[1], &ends.out));

	return ends;
}

static void close_ends(struct ends *ends)
{
	CO_EXPECT_EQ(co_io_close(ends->in), 0);
	CO_EXPECT_EQ(co_io_close(ends->out), 0);
}

static void set_buffer(struct co_io *io, int which, int size)
{
	test_or_die(setsockopt(co_io_fd(io), SOL_SOCKET, which, &size,
			sizeof size));
}

/* --- A few bytes ------------------------------------------------------- */

CO_TEST(io, what_is_written_is_read)
{
	struct ends ends;
	char data[8];
	int kind;

	for (kind = UNIX; kind < KINDS; kind++) {
		ends = open_ends(kind);
		CO_EXPECT_EQ(co_io_write(ends.out, "hello", 5), 5);
		CO_EXPECT_EQ(co_io_read(ends.in, data, sizeof data), 5);
		CO_EXPECT_EQ(memcmp(data, "hello", 5), 0);
		CO_EXPECT_EQ(co_io_write(ends.out, "", 0), 0);
		CO_EXPECT_EQ(co_io_read(ends.in, data, 0), 0);
		CO_EXPECT_EQ(co_io_write(ends.out, "abc", 3), 3);
		CO_EXPECT_EQ(co_io_read(ends.in, data, 2), 2);
		CO_EXPECT_EQ(co_io_read(ends.in, data, 2), 1);
		CO_EXPECT_EQ(data[0], 'c');
		close_ends(&ends);
	}

	return 0;
}

static int write_later(void *arg)
{
	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(co_io_write(arg, "x", 1), 1);
	return 0;
}

CO_TEST(io, read_waits_for_the_first_byte)
{
	struct co_task *writer;
	struct ends ends;
	char data[8];
	int kind;

	for (kind = UNIX; kind < KINDS; kind++) {
		ends = open_ends(kind);
		writer = spawn_or_die(NULL, write_later, ends.out);
		CO_EXPECT_EQ(co_io_read(ends.in, data, sizeof data), 1);
		CO_EXPECT_EQ(join_or_die(writer), 0);
		close_ends(&ends);
	}

	return 0;
}

CO_TEST(io, parts_are_scattered_and_gathered)
{
	struct ends ends = open_ends(UNIX);
	char a[2], b[3], c[10];
	struct iovec out[3] = { { (char *)"ab", 2 }, { NULL, 0 },
			{ (char *)"cdefg", 5 } };
	struct iovec in[3] = { { a, 2 }, { b, 3 }, { c, 10 } };

	CO_EXPECT_EQ(co_io_writev(ends.out, out, 3), 7);
	CO_EXPECT_EQ(co_io_readv(ends.in, in, 3), 7);
	CO_EXPECT_EQ(memcmp(a, "ab", 2) | memcmp(b, "cde", 3) |
			memcmp(c, "fg", 2), 0);
	CO_EXPECT_EQ(co_io_writev(ends.out, out, -1), -EINVAL);
	CO_EXPECT_EQ(co_io_readv(ends.in, in, -1), -EINVAL);
	close_ends(&ends);

	return 0;
}

CO_TEST(io, regular_files_are_read_and_written)
{
	char path[] = "/tmp/coloop-test-XXXXXX", data[8];
	int fd = mkstemp(path);
	struct co_io *io = NULL;
	size_t done = 0;

	unlink(path);
	CO_EXPECT_EQ(co_io_open(NULL, fd, &io), 0);
	CO_EXPECT_EQ(co_io_write_full(io, "hello", 5, &done), 0);
	CO_EXPECT_EQ(done, 5);
	CO_EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
	CO_EXPECT_EQ(co_io_read(io, data, sizeof data), 5);
	CO_EXPECT_EQ(co_io_read(io, data, sizeof data), 0);
	CO_EXPECT(co_io_wait(io, CO_READABLE) & CO_READABLE);
	CO_EXPECT_EQ(lseek(fd, 1, SEEK_SET), 1);
	CO_EXPECT_EQ(co_io_read_full(io, data, 8, &done), -ENODATA);
	CO_EXPECT_EQ(done, 4);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(fcntl(fd, F_GETFD), -1);

	return 0;
}

/* --- Many bytes -------------------------------------------------------- */

enum { MEGABYTES = 4 << 20 };

static unsigned char byte_at(size_t offset)
{
	return (unsigned char)(offset * 7 + (offset >> 9));
}

struct load {
	struct co_io *out;
	size_t size;
	bool full;
};

static int write_load(void *arg)
{
	struct load *load = arg;
	unsigned char *data = malloc(load->size);
	size_t done = 0, i;
	ssize_t n = 1;

	for (i = 0; i < load->size; i++)
		data[i] = byte_at(i);
	if (load->full)
		CO_EXPECT_EQ(co_io_write_full(load->out, data, load->size,
				&done), 0);
	while (done < load->size && n > 0) {
		n = co_io_write(load->out, data + done, load->size - done);
		CO_EXPECT(n > 0);
		done += n > 0 ? (size_t)n : 0;
	}
	CO_EXPECT_EQ(done, load->size);
	CO_EXPECT_EQ(co_io_shutdown(load->out, SHUT_WR), 0);
	free(data);

	return 0;
}

/* Reads up to the end, with a pause now and then.  Returns how many bytes. */
static size_t read_load(struct co_io *in)
{
	unsigned char data[5000];
	size_t sum = 0, i;
	ssize_t n;

	while ((n = co_io_read(in, data, sizeof data)) > 0) {
		for (i = 0; i < (size_t)n; i++)
			if (!CO_EXPECT_EQ(data[i], byte_at(sum + i)))
				return sum;
		sum += (size_t)n;
		if (sum % 97 == 0)
			co_sleep(CO_MILLISECOND / 10);
	}
	CO_EXPECT_EQ(n, 0);

	return sum;
}

CO_TEST(io, megabytes_pass_through_small_buffers)
{
	struct load load = { .size = CO_TEST_SCALE(MEGABYTES) };
	struct co_task *writer;
	struct ends ends;
	int kind, full;

	for (kind = UNIX; kind <= TCP; kind++)
		for (full = 0; full <= 1; full++) {
			ends = open_ends(kind);
			set_buffer(ends.out, SO_SNDBUF, 4096);
			load.out = ends.out;
			load.full = full;
			writer = spawn_or_die(NULL, write_load, &load);
			CO_EXPECT_EQ(read_load(ends.in), load.size);
			CO_EXPECT_EQ(join_or_die(writer), 0);
			close_ends(&ends);
		}

	return 0;
}

CO_TEST(io, read_full_reads_all)
{
	struct load load = { .size = CO_TEST_SCALE(MEGABYTES), .full = true };
	unsigned char *data = malloc(load.size + 1);
	struct ends ends = open_ends(UNIX);
	struct co_task *writer;
	size_t done = 0, i, wrong = 0;

	load.out = ends.out;
	set_buffer(ends.out, SO_SNDBUF, 4096);
	writer = spawn_or_die(NULL, write_load, &load);
	CO_EXPECT_EQ(co_io_read_full(ends.in, data, load.size - 10, NULL), 0);
	CO_EXPECT_EQ(co_io_read_full(ends.in, data + load.size - 10, 11,
			&done), -ENODATA);
	CO_EXPECT_EQ(done, 10);
	for (i = 0; i < load.size; i++)
		wrong += data[i] != byte_at(i);
	CO_EXPECT_EQ(wrong, 0);
	done = 1;
	CO_EXPECT_EQ(co_io_read_full(ends.in, data, 1, &done), -ENODATA);
	CO_EXPECT_EQ(done, 0);
	CO_EXPECT_EQ(co_io_read_full(ends.in, data, 0, NULL), 0);
	CO_EXPECT_EQ(join_or_die(writer), 0);
	close_ends(&ends);
	free(data);

	return 0;
}

/* --- The end of the stream --------------------------------------------- */

/* Sends "abc" and the end, so that both may arrive as one event. */
static void send_last_bytes(int fd)
{
	CO_EXPECT_EQ(write(fd, "abc", 3), 3);
	close(fd);
}

static int send_last_bytes_later(void *arg)
{
	co_sleep(CO_MILLISECOND / 4);
	send_last_bytes(*(int *)arg);
	return 0;
}

static void expect_last_bytes(struct co_io *in, size_t room)
{
	char data[16];
	size_t sum = 0;
	ssize_t n;

	while ((n = co_io_read(in, data, room)) > 0)
		sum += (size_t)n;
	CO_EXPECT_EQ(n, 0);
	CO_EXPECT_EQ(sum, 3);
	CO_EXPECT_EQ(co_io_read(in, data, room), 0);
}

CO_TEST(io, an_end_that_comes_with_the_last_bytes_is_seen)
{
	struct co_io *in = NULL;
	struct co_task *sender;
	int fds[2], kind, i;

	for (i = 0; i < 60; i++)
		for (kind = UNIX; kind < KINDS; kind++) {
			make_pair(kind, fds);
			if (i % 3 == 0)
				send_last_bytes(fds[1]);
			test_or_die(co_io_open(NULL, fds[0], &in));
			if (i % 3 == 1)
				send_last_bytes(fds[1]);
			sender = i % 3 != 2 ? NULL : spawn_or_die(NULL,
					send_last_bytes_later, &fds[1]);
			expect_last_bytes(in, 2 + (size_t)i % 9);
			if (sender != NULL)
				CO_EXPECT_EQ(join_or_die(sender), 0);
			CO_EXPECT_EQ(co_io_close(in), 0);
		}

	return 0;
}

CO_TEST(io, one_half_of_a_connection_outlives_the_other)
{
	struct ends ends;
	char data[8];
	int kind;

	for (kind = UNIX; kind <= TCP; kind++) {
		ends = open_ends(kind);
		CO_EXPECT_EQ(co_io_shutdown(ends.out, SHUT_WR), 0);
		CO_EXPECT_EQ(co_io_read(ends.in, data, sizeof data), 0);
		CO_EXPECT_EQ(co_io_write(ends.in, "back", 4), 4);
		CO_EXPECT_EQ(co_io_read(ends.out, data, sizeof data), 4);
		CO_EXPECT_EQ(co_io_write(ends.out, "x", 1), -EPIPE);
		CO_EXPECT_EQ(co_io_shutdown(ends.in, SHUT_WR), 0);
		CO_EXPECT_EQ(co_io_read(ends.out, data, sizeof data), 0);
		close_ends(&ends);
	}

	return 0;
}

static int read_some(void *arg)
{
	char data[8];

	return (int)co_io_read(arg, data, sizeof data);
}

static void reset(int fd)
{
	struct linger linger = { 1, 0 };

	test_or_die(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger,
			sizeof linger));
	close(fd);
}

/* The default action of SIGPIPE would end the test. */
CO_TEST(io, a_reset_is_an_error_without_a_signal)
{
	struct co_io *io = NULL;
	struct co_task *reader;
	int fds[2], rc, i;

	signal(SIGPIPE, SIG_DFL);
	for (i = 0; i < 10; i++) {
		make_pair(TCP, fds);
		test_or_die(co_io_open(NULL, fds[0], &io));
		reader = spawn_or_die(NULL, read_some, io);
		if (i % 2 != 0)
			co_sleep(CO_MILLISECOND);
		reset(fds[1]);
		CO_EXPECT_EQ(join_or_die(reader), -ECONNRESET);
		rc = (int)co_io_write(io, "x", 1);
		CO_EXPECT(rc == -EPIPE || rc == -ECONNRESET);
		CO_EXPECT_EQ(co_io_write(io, "x", 1), -EPIPE);
		CO_EXPECT_EQ(co_io_close(io), 0);
	}

	return 0;
}

CO_TEST(io, writing_where_nobody_reads_is_an_error)
{
	struct iovec part = { (char *)"x", 1 };
	struct co_io *io = NULL;
	size_t done = 1;
	int fds[2], kind;

	signal(SIGPIPE, SIG_IGN);	/* it is raised for pipes */
	for (kind = UNIX; kind < KINDS; kind += PIPE) {
		make_pair(kind, fds);
		test_or_die(co_io_open(NULL, fds[1], &io));
		close(fds[0]);
		CO_EXPECT_EQ(co_io_write(io, "x", 1), -EPIPE);
		CO_EXPECT_EQ(co_io_writev(io, &part, 1), -EPIPE);
		CO_EXPECT_EQ(co_io_write_full(io, "x", 1, &done), -EPIPE);
		CO_EXPECT_EQ(done, 0);
		CO_EXPECT_EQ(co_io_close(io), 0);
	}

	return 0;
}

/* --- Waiting ----------------------------------------------------------- */

CO_TEST(io, wait_returns_what_is_there)
{
	struct ends ends = open_ends(UNIX);
	char byte;
	int rc;

	CO_EXPECT_EQ(co_io_wait(ends.out, CO_WRITABLE), CO_WRITABLE);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE), -ETIMEDOUT);
	spawn_or_die(NULL, write_later, ends.out);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE), CO_READABLE);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE), CO_READABLE);
	rc = co_io_wait(ends.in, CO_READABLE | CO_WRITABLE);
	CO_EXPECT_EQ(rc & CO_READABLE, CO_READABLE);
	CO_EXPECT_EQ(co_io_read(ends.in, &byte, 1), 1);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE | CO_WRITABLE),
			CO_WRITABLE);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE), -ETIMEDOUT);
	CO_EXPECT_EQ(co_io_wait(ends.in, 0), -EINVAL);
	CO_EXPECT_EQ(co_io_wait(ends.in, 1u << 20), -EINVAL);
	CO_EXPECT_EQ(co_io_shutdown(ends.out, SHUT_WR), 0);
	rc = co_io_wait(ends.in, CO_READABLE);
	CO_EXPECT_EQ(rc, CO_READABLE | CO_HANGUP);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_WRITABLE),
			CO_WRITABLE | CO_HANGUP);
	while (send(co_io_fd(ends.in), &byte, 1, MSG_DONTWAIT) > 0)
		;
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_io_wait(ends.in, CO_WRITABLE), -ETIMEDOUT);
	close_ends(&ends);

	return 0;
}

static int wait_readable(void *arg)
{
	return co_wait_fd(*(int *)arg, CO_READABLE);
}

CO_TEST(io, any_descriptor_can_be_waited_for)
{
	struct co_task *reader;
	int fds[2], flags, i;

	for (i = 0; i < 20; i++) {
		make_pair(i % KINDS, fds);
		flags = fcntl(fds[0], F_GETFL);
		CO_EXPECT_EQ(co_wait_fd(fds[1], CO_WRITABLE), CO_WRITABLE);
		CO_WITH_DEADLINE(co_after(CO_MILLISECOND / 4))
			CO_EXPECT_EQ(co_wait_fd(fds[0], CO_READABLE),
					-ETIMEDOUT);
		reader = spawn_or_die(NULL, wait_readable, &fds[0]);
		settle();
		CO_EXPECT_EQ(co_wait_fd(fds[0], CO_READABLE), -EBUSY);
		CO_EXPECT_EQ(write(fds[1], "x", 1), 1);
		CO_EXPECT_EQ(join_or_die(reader), CO_READABLE);
		CO_EXPECT_EQ(co_wait_fd(fds[0], CO_READABLE), CO_READABLE);
		CO_EXPECT_EQ(fcntl(fds[0], F_GETFL), flags);
		close(fds[0]);
		close(fds[1]);
	}
	CO_EXPECT_EQ(co_wait_fd(fds[0], CO_READABLE), -EBADF);
	CO_EXPECT_EQ(co_wait_fd(-1, CO_READABLE), -EBADF);
	CO_EXPECT_EQ(co_wait_fd(0, 0), -EINVAL);

	return 0;
}

static int await_room(void *arg)
{
	int fd = *(int *)arg, rc;

	fill_socket(fd);
	rc = co_wait_fd(fd, CO_WRITABLE);
	CO_EXPECT_EQ(rc & CO_WRITABLE, CO_WRITABLE);

	return 0;
}

/* Neither wait may end, or be forgotten, because of the other. */
CO_TEST(io, two_tasks_wait_for_both_directions_of_one_descriptor)
{
	struct co_task *reader, *writer;
	char data[4096];
	int fds[2], i;

	for (i = 0; i < 10; i++) {
		make_pair(UNIX, fds);
		reader = spawn_or_die(NULL, wait_readable, &fds[1]);
		writer = spawn_or_die(NULL, await_room, &fds[1]);
		settle();
		if (i % 2 == 0)
			CO_EXPECT_EQ(write(fds[0], "x", 1), 1);
		if (i % 2 == 0)
			CO_EXPECT(join_or_die(reader) & CO_READABLE);
		while (recv(fds[0], data, sizeof data, MSG_DONTWAIT) > 0)
			;
		CO_EXPECT_EQ(join_or_die(writer), 0);
		if (i % 2 != 0)
			CO_EXPECT_EQ(write(fds[0], "x", 1), 1);
		if (i % 2 != 0)
			CO_EXPECT(join_or_die(reader) & CO_READABLE);
		close(fds[0]);
		close(fds[1]);
	}

	return 0;
}
