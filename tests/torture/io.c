/* SPDX-License-Identifier: MIT */

/*
 * io.c - many socket pairs, with random closes, cancellations and deadlines
 *
 * The bytes of each stream follow from its number and their offset, so that
 * the reader can tell bytes that are lost, doubled, or of another stream (the
 * numbers of file descriptors are reused all the time).  Each end counts what
 * the library says that it moved; when a stream has ended well, both must have
 * counted the same, whatever deadlines and cancellations came in between.
 */

#include "torture.h"

#include <sys/socket.h>

enum { PAIRS = 32, CHUNK = 700, THREADS = 4 };

struct stream {
	uint64_t number;
	uint64_t random;
	struct co_io *in;
	struct co_io *out;
	size_t limit;		/* bytes to be sent */
	size_t sent;		/* owner: the sender */
	size_t received;	/* owner: the receiver */
	bool ended;		/* owner: the receiver */
};

struct pool {
	const struct torture *torture;
	struct test_counter numbers;
	struct test_counter bytes;
};

static unsigned char byte_at(const struct stream *stream, size_t offset)
{
	return (unsigned char)(stream->number * 37 + offset * 11 +
			(offset >> 8) * 3);
}

/* --- Both ends --------------------------------------------------------- */

/* After a cancellation the rest is done with the cancellation masked.  False
 * if the stream can't go on. */
static bool bear(int rc)
{
	if (rc == -ECANCELED)
		co_cancel_mask(1);
	else if (rc != -ETIMEDOUT)
		return false;
	return true;
}

/* A deadline that often passes in the midst of the call. */
static co_time random_deadline(uint64_t *random)
{
	if (test_random_below(random, 2) == 0)
		return CO_NEVER;
	return co_after((co_time)test_random_below(random, 50000));
}

static int send_some(struct stream *stream, uint64_t *random)
{
	unsigned char data[CHUNK];
	size_t size = 1 + test_random_below(random, CHUNK), done = 0, i;
	bool full = test_random_below(random, 2) != 0;
	ssize_t rc = 0;

	if (size > stream->limit - stream->sent)
		size = stream->limit - stream->sent;
	for (i = 0; i < size; i++)
		data[i] = byte_at(stream, stream->sent + i);
	CO_WITH_DEADLINE(random_deadline(random)) {
		if (full)
			rc = co_io_write_full(stream->out, data, size, &done);
		else
			rc = co_io_write(stream->out, data, size);
	}
	stream->sent += full ? done : rc > 0 ? (size_t)rc : 0;

	return rc < 0 ? (int)rc : 0;
}

static int send_all(void *arg)
{
	struct stream *stream = arg;
	uint64_t random = stream->random + 1;
	int rc = 0;

	while (stream->sent < stream->limit) {
		rc = send_some(stream, &random);
		if (rc != 0 && !bear(rc))
			break;
	}
	if (rc == 0 || bear(rc))
		co_io_shutdown(stream->out, SHUT_WR);

	return 0;
}

static int receive_some(struct stream *stream, uint64_t *random)
{
	unsigned char data[CHUNK];
	size_t size = 1 + test_random_below(random, CHUNK), done = 0, i;
	bool full = test_random_below(random, 2) != 0;
	ssize_t rc = 0;

	CO_WITH_DEADLINE(random_deadline(random)) {
		if (full)
			rc = co_io_read_full(stream->in, data, size, &done);
		else
			rc = co_io_read(stream->in, data, size);
	}
	if (!full && rc > 0)
		done = (size_t)rc;
	for (i = 0; i < done; i++)
		if (!CO_EXPECT_EQ(data[i], byte_at(stream,
				stream->received + i)))
			break;
	stream->received += done;
	if (rc == -ENODATA || (rc == 0 && done == 0))
		stream->ended = true;

	return rc < 0 ? (int)rc : 0;
}

static int receive_all(void *arg)
{
	struct stream *stream = arg;
	uint64_t random = stream->random + 2;
	int rc = 0;

	while (!stream->ended) {
		rc = receive_some(stream, &random);
		if (rc != 0 && !bear(rc))
			break;
		if (test_random_below(&random, 8) == 0)
			bear(co_yield());
	}

	return 0;
}

/* --- A stream's life --------------------------------------------------- */

static void open_stream(struct stream *stream)
{
	int size = 2048, fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	test_or_die(co_io_open(NULL, fds[0], &stream->in));
	test_or_die(co_io_open(NULL, fds[1], &stream->out));
}

/* Cancel an end, or cut the connection.  Returns true if the stream may now
 * end at any byte. */
static bool disturb(struct stream *stream, struct co_task *sender,
		struct co_task *receiver, uint64_t *random)
{
	co_sleep((co_time)test_random_below(random, 200000));
	switch (test_random_below(random, 4)) {
	case 0:
		CO_EXPECT_EQ(co_cancel(sender), 0);
		return false;
	case 1:
		CO_EXPECT_EQ(co_cancel(receiver), 0);
		return false;
	case 2:
		co_io_shutdown(stream->in, SHUT_RDWR);
		return true;
	default:
		return false;
	}
}

static void run_stream(struct stream *stream, struct pool *pool)
{
	uint64_t random = stream->random;
	struct co_task *sender, *receiver;
	bool cut;

	stream->limit = test_random_below(&random, 40000);
	open_stream(stream);
	sender = spawn_or_die(NULL, send_all, stream);
	receiver = spawn_or_die(NULL, receive_all, stream);
	cut = disturb(stream, sender, receiver, &random);
	CO_EXPECT_EQ(join_or_die(sender), 0);
	CO_EXPECT_EQ(join_or_die(receiver), 0);

	CO_EXPECT(stream->received <= stream->sent);
	if (!cut) {
		CO_EXPECT_EQ(stream->sent, stream->limit);
		CO_EXPECT_EQ(stream->received, stream->limit);
	}
	counter_add(&pool->bytes, stream->received);
	CO_EXPECT_EQ(co_io_close(stream->in), 0);
	CO_EXPECT_EQ(co_io_close(stream->out), 0);
}

/* --- Closed in the midst of a call ------------------------------------- */

/*
 * The sender fills a buffer that nobody empties, the receiver reads where
 * nothing comes.  That an end is in its call shows in that another gets -EBUSY;
 * the one that asks has a deadline, for it may come first.  An end that was
 * turned away for that reason tries again.
 */
static int write_until_closed(void *arg)
{
	static const unsigned char data[1 << 19];
	struct stream *stream = arg;
	int rc;

	do
		rc = co_io_write_full(stream->out, data, sizeof data, NULL);
	while (rc == -EBUSY && co_yield() == 0);
	CO_EXPECT_EQ(rc, -EBADF);

	return 0;
}

static int read_until_closed(void *arg)
{
	struct stream *stream = arg;
	unsigned char byte;
	ssize_t rc;

	do
		rc = co_io_read(stream->out, &byte, 1);
	while (rc == -EBUSY && co_yield() == 0);
	CO_EXPECT_EQ(rc, -EBADF);

	return 0;
}

static void await_user(struct co_io *io, unsigned events)
{
	int rc = 0;

	while (rc != -EBUSY) {
		CO_WITH_DEADLINE(co_after(50 * CO_MICROSECOND))
			rc = co_io_wait(io, events);
		co_sleep(20 * CO_MICROSECOND);
	}
}

static void run_closed_stream(struct stream *stream)
{
	struct co_task *writer, *reader;

	open_stream(stream);
	writer = spawn_or_die(NULL, write_until_closed, stream);
	reader = spawn_or_die(NULL, read_until_closed, stream);
	await_user(stream->out, CO_READABLE);
	await_user(stream->out, CO_WRITABLE);
	CO_EXPECT_EQ(co_io_close(stream->out), 0);
	/* The number of the descriptor is free for another stream now. */
	CO_EXPECT_EQ(join_or_die(writer), 0);
	CO_EXPECT_EQ(join_or_die(reader), 0);
	CO_EXPECT_EQ(co_io_close(stream->in), 0);
}

/* ------------------------------------------------------------------------ */

static int run_streams(void *arg)
{
	struct pool *pool = arg;

	for (;;) {
		struct stream stream = { 0 };

		stream.number = counter_add(&pool->numbers, 1);
		stream.random = pool->torture->seed + stream.number;
		if (!torture_goes_on(pool->torture, stream.number,
				pool->torture->end))
			return 0;
		if (stream.number % 5 == 0)
			run_closed_stream(&stream);
		else
			run_stream(&stream, pool);
	}
}

int main(int argc, char **argv)
{
	struct torture torture = torture_begin(argc, argv, "io");
	struct pool pool = { .torture = &torture };
	struct co_loop *loop;
	size_t i;

	if (torture.threads == 0)
		torture.threads = THREADS;
	loop = loop_or_die((unsigned)torture.threads);
	for (i = 0; i < PAIRS; i++)
		test_or_die(co_spawn(loop, run_streams, &pool, NULL));
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	if (test_failures() != 0)
		co_loop_dump(loop, 2);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
	test_expect_no_leak();
	printf("  %zu bytes\n", counter_get(&pool.bytes));

	return torture_end(&torture, counter_get(&pool.numbers));
}
