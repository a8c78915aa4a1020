/* SPDX-License-Identifier: MIT */

/* test_io_close.c - several users of one co_io(3), and its end */

#include "test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
	struct co_io *in;
	struct co_io *out;
};

/* Some systems have large buffers unless they are told otherwise. */
static struct ends open_ends(void)
{
	struct ends ends = { NULL, NULL };
	int fds[2], size = 4096;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	test_or_die(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size,
			sizeof size));
	test_or_die(co_io_open(NULL, fds[0], &ends.in));
	test_or_die(co_io_open(NULL, fds[1], &ends.out));

	return ends;
}

static void close_ends(struct ends *ends)
{
	CO_EXPECT_EQ(co_io_close(ends->in), 0);
	CO_EXPECT_EQ(co_io_close(ends->out), 0);
}

static int read_byte(void *arg)
{
	char byte = 0;
	int rc = (int)co_io_read(arg, &byte, 1);

	return rc == 1 ? byte : rc;
}

/* More than the buffers of the system hold. */
static int write_much(void *arg)
{
	static const char data[1 << 20];

	return co_io_write_full(arg, data, sizeof data, NULL);
}

static int wait_readable(void *arg)
{
	return co_io_wait(arg, CO_READABLE);
}

/* --- Open -------------------------------------------------------------- */

CO_TEST(io_open, it_owns_the_descriptor_on_success_only)
{
	struct co_io *io = NULL, *other = NULL;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CO_EXPECT_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	CO_EXPECT_EQ(co_io_open(NULL, fds[0], &io), 0);
	CO_EXPECT_EQ(co_io_fd(io), fds[0]);
	CO_EXPECT(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	CO_EXPECT_EQ(co_io_open(NULL, fds[0], &other), -EEXIST);
	CO_EXPECT(other == NULL);
	CO_EXPECT(fcntl(fds[0], F_GETFD) >= 0);
	CO_EXPECT_EQ(co_io_close(io), 0);
	CO_EXPECT_EQ(fcntl(fds[0], F_GETFD), -1);
	CO_EXPECT_EQ(co_io_open(NULL, fds[0], &other), -EBADF);
	CO_EXPECT_EQ(co_io_open(NULL, 987, &other), -EBADF);
	CO_EXPECT_EQ(co_io_open(NULL, -1, &other), -EBADF);
	CO_EXPECT(other == NULL);
	CO_EXPECT_EQ(co_io_fd(NULL), -EINVAL);
	CO_EXPECT_EQ(co_io_close(NULL), 0);
	close(fds[1]);

	return 0;
}

Test(io_open, a_co_io_can_be_made_and_closed_outside_of_tasks)
{
	struct co_loop *loop = loop_or_die(0);
	struct co_io *ios[2] = { NULL, NULL };
	struct co_task *task;
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(co_io_open(NULL, fds[0], &ios[0]), -EINVAL);
	cr_assert_eq(co_io_open(loop, fds[0], &ios[0]), 0);
	cr_assert_eq(co_io_open(loop, fds[1], &ios[1]), 0);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(write(fds[1], "x", 1), 1);
	task = spawn_or_die(loop, read_byte, ios[0]);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(join_or_die(task), 'x');
	cr_assert_eq(co_io_shutdown(ios[0], SHUT_RDWR), 0);
	cr_assert_eq(co_io_shutdown(ios[0], 77), -EINVAL);
	cr_assert_eq(co_io_close(ios[0]), 0);
	cr_assert_eq(co_io_close(ios[1]), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

/* --- Two users --------------------------------------------------------- */

CO_TEST(io_users, one_may_read_while_another_writes)
{
	struct ends ends = open_ends();
	struct co_task *reader = spawn_or_die(NULL, read_byte, ends.in);
	struct co_task *writer = spawn_or_die(NULL, write_much, ends.in);
	static char data[1 << 20];

	settle();
	CO_EXPECT_EQ(co_io_read(ends.in, data, 1), -EBUSY);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_READABLE), -EBUSY);
	CO_EXPECT_EQ(co_io_write(ends.in, data, 1), -EBUSY);
	CO_EXPECT_EQ(co_io_wait(ends.in, CO_WRITABLE), -EBUSY);
	CO_EXPECT_EQ(co_io_write(ends.out, "y", 1), 1);
	CO_EXPECT_EQ(join_or_die(reader), 'y');
	CO_EXPECT_EQ(co_io_read_full(ends.out, data, sizeof data, NULL), 0);
	CO_EXPECT_EQ(join_or_die(writer), 0);
	close_ends(&ends);

	return 0;
}

static int echo(void *arg)
{
	struct co_io *io = arg;
	char data[100];
	ssize_t n;

	while ((n = co_io_read(io, data, sizeof data)) > 0)
		CO_EXPECT_EQ(co_io_write_full(io, data, (size_t)n, NULL), 0);

	return (int)n;
}

static int write_letters(void *arg)
{
	size_t n = CO_TEST_SCALE(5000), i;
	char letter;

	for (i = 0; i < n; i++) {
		letter = (char)('a' + i % 26);
		CO_EXPECT_EQ(co_io_write(arg, &letter, 1), 1);
	}
	CO_EXPECT_EQ(co_io_shutdown(arg, SHUT_WR), 0);

	return 0;
}

CO_TEST(io_users, what_goes_out_comes_back)
{
	struct ends ends = open_ends();
	struct co_task *echoer = spawn_or_die(NULL, echo, ends.out);
	struct co_task *writer = spawn_or_die(NULL, write_letters, ends.in);
	size_t n = CO_TEST_SCALE(5000), i;
	char letter = 0;

	for (i = 0; i < n; i++) {
		CO_EXPECT_EQ(co_io_read(ends.in, &letter, 1), 1);
		CO_EXPECT_EQ(letter, 'a' + i % 26);
	}
	CO_EXPECT_EQ(join_or_die(writer), 0);
	CO_EXPECT_EQ(join_or_die(echoer), 0);
	close_ends(&ends);

	return 0;
}

/* --- Close ------------------------------------------------------------- */

CO_TEST(io_close, it_ends_the_calls_of_others)
{
	struct ends ends = open_ends();
	struct co_task *reader = spawn_or_die(NULL, read_byte, ends.in);
	struct co_task *writer = spawn_or_die(NULL, write_much, ends.in);
	struct co_task *waiter = spawn_or_die(NULL, wait_readable, ends.out);
	char byte;

	CO_EXPECT_EQ(co_io_write(ends.out, "z", 1), 1);
	CO_EXPECT_EQ(join_or_die(reader), 'z');
	CO_EXPECT_EQ(join_or_die(waiter), CO_READABLE);
	reader = spawn_or_die(NULL, read_byte, ends.in);
	settle();
	CO_EXPECT_EQ(co_io_close(ends.in), 0);
	CO_EXPECT_EQ(join_or_die(reader), -EBADF);
	CO_EXPECT_EQ(join_or_die(writer), -EBADF);
	while (co_io_read(ends.out, &byte, 1) > 0)
		;
	CO_EXPECT_EQ(co_io_close(ends.out), 0);

	return 0;
}

/*
 * Close at the very moment when data comes.  That the reader is in its call
 * shows in that another gets -EBUSY; who asks has a deadline, since it may come
 * first, and then the reader tries again.
 */
static int read_once(void *arg)
{
	int rc;

	do
		rc = read_byte(arg);
	while (rc == -EBUSY && co_yield() == 0);

	return rc;
}

static void await_reader(struct co_io *io)
{
	int rc = 0;

	while (rc != -EBUSY) {
		CO_WITH_DEADLINE(co_after(50 * CO_MICROSECOND))
			rc = co_io_wait(io, CO_READABLE);
		co_yield();
	}
}

/* The other end may be closed by now. */
static int write_soon(void *arg)
{
	return (int)send(*(int *)arg, "w", 1, MSG_NOSIGNAL);
}

static int close_again_and_again(void *arg)
{
	size_t n = CO_TEST_SCALE(200), i;
	struct co_task *reader, *writer;
	struct co_io *io = NULL;
	int fds[2], rc;

	for (i = 0; i < n; i++) {
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		test_or_die(co_io_open(NULL, fds[0], &io));
		reader = spawn_or_die(NULL, read_once, io);
		await_reader(io);
		writer = NULL;
		if (i % 2 == 0)
			writer = spawn_or_die(NULL, write_soon, &fds[1]);
		if (i % 4 == 0)
			co_yield();
		CO_EXPECT_EQ(co_io_close(io), 0);
		rc = join_or_die(reader);
		CO_EXPECT(rc == -EBADF || (rc == 'w' && i % 2 == 0));
		if (writer != NULL)
			join_or_die(writer);
		close(fds[1]);
	}
	(void)arg;

	return 0;
}

CO_TEST(io_close, it_may_meet_the_arrival_of_data)
{
	spawn_and_join_all(4, close_again_and_again, NULL);
	return 0;
}

/* The numbers of descriptors are used again at once, by another stream. */
static int talk_privately(void *arg)
{
	size_t me = counter_add(arg, 1), n = CO_TEST_SCALE(200), i;
	char secret = (char)('A' + me), heard;
	struct co_task *reader;
	struct ends ends;

	for (i = 0; i < n; i++) {
		ends = open_ends();
		reader = spawn_or_die(NULL, read_byte, ends.in);
		if (i % 3 == 0)
			co_yield();
		CO_EXPECT_EQ(co_io_write(ends.out, &secret, 1), 1);
		CO_EXPECT_EQ(join_or_die(reader), secret);
		if (i % 3 == 1)
			CO_EXPECT_EQ(co_io_write(ends.in, &secret, 1), 1);
		CO_EXPECT_EQ(co_io_close(ends.in), 0);
		heard = secret;
		co_io_read(ends.out, &heard, 1);
		CO_EXPECT_EQ(heard, secret);
		CO_EXPECT_EQ(co_io_close(ends.out), 0);
	}

	return 0;
}

CO_TEST(io_close, streams_do_not_mix_when_numbers_are_used_again)
{
	struct test_counter talkers = { 0 };

	spawn_and_join_all(8, talk_privately, &talkers);

	return 0;
}

/* --- Descriptors closed by others -------------------------------------- */

static int wait_for_fd(void *arg)
{
	return co_wait_fd(*(int *)arg, CO_READABLE);
}

/* A descriptor that was waited for is the caller's to close; another file may
 * then have its number.  A duplicate keeps the first file open, so that the
 * system still knows who once waited for it. */
CO_TEST(io_close, a_number_waited_for_may_come_to_mean_another_file)
{
	int old[2], new[2], copy, i;
	struct co_task *reader;
	char byte;

	for (i = 0; i < 20; i++) {
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, old));
		CO_WITH_DEADLINE(co_after(CO_MILLISECOND / 4))
			CO_EXPECT_EQ(co_wait_fd(old[0], CO_READABLE),
					-ETIMEDOUT);
		copy = i % 2 == 0 ? -1 : dup(old[0]);
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, new));
		test_or_die(dup2(new[0], old[0]) != old[0]);
		reader = spawn_or_die(NULL, wait_for_fd, &old[0]);
		settle();
		/* A thread in poll(2) keeps the file open until it returns. */
		if (i % 2 == 0)
			CO_EXPECT(is_readable_soon(old[1]));
		CO_EXPECT_EQ(send(old[1], "x", 1, MSG_NOSIGNAL) == 1, i % 2);
		CO_WITH_DEADLINE(co_after(CO_MILLISECOND / 4))
			CO_EXPECT_EQ(co_join(reader, NULL), -ETIMEDOUT);
		CO_EXPECT_EQ(write(new[1], "y", 1), 1);
		CO_EXPECT_EQ(join_or_die(reader), CO_READABLE);
		CO_EXPECT_EQ(recv(old[0], &byte, 1, MSG_DONTWAIT), 1);
		CO_EXPECT_EQ(byte, 'y');
		close(copy);
		close(old[0]);
		close(old[1]);
		close(new[0]);
		close(new[1]);
	}

	return 0;
}

CO_TEST(io_close, a_descriptor_closed_behind_its_back_does_no_harm)
{
	struct co_io *io = NULL;
	struct co_task *writer;
	struct ends ends;
	int fds[2], rc, i;
	char byte;

	for (i = 0; i < 10; i++) {
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
		test_or_die(co_io_open(NULL, fds[0], &io));
		CO_WITH_DEADLINE(co_after(CO_MILLISECOND / 4))
			CO_EXPECT_EQ(co_io_read(io, &byte, 1), -ETIMEDOUT);
		close(fds[0]);
		rc = co_io_close(io);
		CO_EXPECT(rc == 0 || rc == -EBADF);
		close(fds[1]);

		ends = open_ends();
		CO_EXPECT_EQ(co_io_fd(ends.in), fds[0]);
		fds[1] = co_io_fd(ends.out);
		writer = spawn_or_die(NULL, write_soon, &fds[1]);
		CO_EXPECT_EQ(co_io_read(ends.in, &byte, 1), 1);
		CO_EXPECT_EQ(join_or_die(writer), 1);
		close_ends(&ends);
	}

	return 0;
}

/* --- Deadlines and cancellations that meet data ------------------------ */

struct meter {
	struct co_io *io;
	size_t count;
	struct test_counter over;
};

static int write_steadily(void *arg)
{
	struct meter *meter = arg;
	size_t n = CO_TEST_SCALE(2000), i;

	for (i = 0; i < n; i++) {
		if (i % 2 == 0)
			co_sleep((co_time)(i % 60) * CO_MICROSECOND);
		meter->count += co_io_write(meter->io, "x", 1) == 1;
	}
	CO_EXPECT_EQ(co_io_shutdown(meter->io, SHUT_WR), 0);

	return 0;
}

CO_TEST(io_races, no_byte_is_lost_to_a_deadline)
{
	struct ends ends = open_ends();
	struct meter meter = { .io = ends.out };
	struct co_task *writer;
	size_t sum = 0, i = 0;
	ssize_t n = 1;
	char data[3];

	/* Once for sure; later it depends on who is faster. */
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_io_read(ends.in, data, sizeof data),
				-ETIMEDOUT);
	writer = spawn_or_die(NULL, write_steadily, &meter);
	while (n != 0) {
		CO_WITH_DEADLINE(co_after((co_time)(i++ % 40) *
				CO_MICROSECOND))
			n = co_io_read(ends.in, data, sizeof data);
		CO_EXPECT(n >= 0 || n == -ETIMEDOUT);
		sum += n > 0 ? (size_t)n : 0;
	}
	CO_EXPECT_EQ(join_or_die(writer), 0);
	CO_EXPECT_EQ(sum, meter.count);
	close_ends(&ends);

	return 0;
}

/* Reads until it is cancelled or the stream ends. */
static int read_and_count(void *arg)
{
	struct meter *meter = arg;
	char data[3];
	ssize_t n;

	while ((n = co_io_read(meter->io, data, sizeof data)) > 0)
		meter->count += (size_t)n;

	return (int)n;
}

CO_TEST(io_races, no_byte_is_lost_to_a_cancellation)
{
	struct ends ends = open_ends();
	struct meter out = { .io = ends.out }, in = { .io = ends.in };
	struct co_task *writer = spawn_or_die(NULL, write_steadily, &out);
	struct co_task *reader;
	int rc = -ECANCELED, i;

	for (i = 0; rc == -ECANCELED; i++) {
		reader = spawn_or_die(NULL, read_and_count, &in);
		co_sleep((co_time)(i % 50) * CO_MICROSECOND);
		CO_EXPECT_EQ(co_cancel(reader), 0);
		rc = join_or_die(reader);
	}
	CO_EXPECT_EQ(rc, 0);
	CO_EXPECT_EQ(join_or_die(writer), 0);
	CO_EXPECT_EQ(in.count, out.count);
	close_ends(&ends);

	return 0;
}
