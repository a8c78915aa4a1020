/* SPDX-License-Identifier: MIT */

/* scenario_io.c - descriptors of all kinds, and watches of them */

#define CO_TEST_PLAIN
#include "../test.h"
#include "scenario.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"

static const char text[] = "abcdefgh";

enum { SIZE = sizeof text };

/* --- Two ends ------------------------------------------------------------ */

/* Two descriptors, and what the loop makes of them. */
struct ends {
	int fds[2];
	struct co_io *ios[2];
};

static int open_ends(struct ends *ends)
{
	long rc = TELL(co_io_open, NULL, ends->fds[0], &ends->ios[0]);

	return rc < 0 ? (int)rc
			: (int)TELL(co_io_open, NULL, ends->fds[1],
			&ends->ios[1]);
}

static void close_end(struct ends *ends, int i)
{
	if (ends->ios[i] != NULL)
		CO_EXPECT_EQ(co_io_close(ends->ios[i]), 0);
	else
		close(ends->fds[i]);
}

static int move_whole(const struct ends *ends)
{
	char got[SIZE];
	size_t done;
	long rc = TELL(co_io_write_full, ends->ios[1], text, SIZE, &done);

	if (rc < 0)
		return (int)rc;
	CO_EXPECT_EQ(done, SIZE);
	rc = TELL(co_io_read_full, ends->ios[0], got, SIZE, &done);
	if (rc < 0)
		return (int)rc;
	CO_EXPECT(memcmp(got, text, SIZE) == 0);

	return 0;
}

/* What is moved may be less: then the rest. */
static int write_parts(struct co_io *io)
{
	size_t done = 0;
	long n = 0;

	for (; n >= 0 && done < SIZE; done += n > 0 ? (size_t)n : 0) {
		char *rest = (char *)text + done;
		struct iovec parts[2] = { { rest, 1 },
			{ rest + 1, SIZE - done - 1 } };

		n = TELL(co_io_writev, io, parts, 2);
	}

	return n < 0 ? (int)n : 0;
}

static int read_parts(struct co_io *io)
{
	char got[SIZE];
	size_t done = 0;
	long n = 1;

	for (; n > 0 && done < SIZE; done += n > 0 ? (size_t)n : 0) {
		struct iovec parts[2] = { { got + done, 1 },
			{ got + done + 1, SIZE - done - 1 } };

		n = TELL(co_io_readv, io, parts, 2);
	}
	if (n > 0)
		CO_EXPECT(memcmp(got, text, SIZE) == 0);

	return n < 0 ? (int)n : 0;
}

static int move_parts(const struct ends *ends)
{
	int rc = write_parts(ends->ios[1]);

	return rc < 0 ? rc : read_parts(ends->ios[0]);
}

static int read_whole(void *io)
{
	char got[SIZE];

	return (int)TELL(co_io_read_full, io, got, SIZE, NULL);
}

static int read_when_told(void *io)
{
	char got;
	long rc = TELL(co_io_wait, io, CO_READABLE);

	if (rc >= 0)
		rc = TELL(co_io_read, io, &got, 1);

	return rc < 0 ? (int)rc : 0;
}

/* A task that reads waits until the other writes SIZE_NOW bytes. */
static int move_later(const struct ends *ends, co_task_fn *read_fn,
		size_t size_now)
{
	struct co_task *reader = NULL;
	long rc = TELL(co_spawn, NULL, read_fn, ends->ios[0], &reader);
	int result;

	if (rc < 0)
		return (int)rc;
	co_yield();
	rc = size_now == 1 ? TELL(co_io_write, ends->ios[1], text, 1)
			: TELL(co_io_write_full, ends->ios[1], text, size_now,
			NULL);
	/* The reader waits in vain. */
	if (rc < 0)
		co_cancel(reader);
	result = join_or_die(reader);

	return rc < 0 ? (int)rc : result;
}

/* Events, without moving anything. */
static int wait_for_ends(const struct ends *ends)
{
	long rc = TELL(co_io_wait, ends->ios[1], CO_WRITABLE);
	int extra;

	if (rc < 0)
		return (int)rc;
	extra = dup(ends->fds[1]);
	rc = TELL(co_wait_fd, extra, CO_WRITABLE);
	close(extra);

	return rc < 0 ? (int)rc : 0;
}

/* More parts than the system takes at once. */
static int write_many_parts(struct co_io *io)
{
	enum { PARTS = IOV_MAX + 1 };
	static struct iovec parts[PARTS];
	long rc;
	int i;

	for (i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){ (char *)text, 1 };
	rc = TELL(co_io_writev, io, parts, PARTS);
	CO_EXPECT(rc < 0 || (rc > 0 && rc <= IOV_MAX));

	return rc < 0 ? (int)rc : 0;
}

static int use_ends(struct ends *ends)
{
	int rc = open_ends(ends);

	if (rc == 0)
		rc = move_whole(ends);
	if (rc == 0)
		rc = move_parts(ends);
	if (rc == 0)
		rc = move_later(ends, read_whole, SIZE);
	if (rc == 0)
		rc = move_later(ends, read_when_told, 1);
	if (rc == 0)
		rc = wait_for_ends(ends);
	if (rc == 0)
		rc = write_many_parts(ends->ios[1]);

	return rc;
}

/* --- Sockets ------------------------------------------------------------- */

static int use_streams(void *arg)
{
	struct ends ends = { { -1, -1 }, { NULL, NULL } };
	long rc;

	(void)arg;
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.fds));
	rc = use_ends(&ends);
	if (rc == 0)
		rc = TELL(co_io_shutdown, ends.ios[1], SHUT_WR);
	close_end(&ends, 0);
	close_end(&ends, 1);

	return (int)rc;
}

const struct scenario streams = {
	.name = "streams",
	.run = use_streams,
	.covers = (const enum fault_call[]){ FAULT_recv, FAULT_recvmsg,
		FAULT_send, FAULT_sendmsg, FAULT_shutdown, FAULT_poll,
#ifdef HAVE_EPOLL
		FAULT_epoll_ctl_add, FAULT_epoll_ctl_del,
#endif
		FAULT_fcntl_getfd, FAULT_fcntl_getfl, FAULT_fcntl_setfl,
		FAULT_fstat, FAULT_getsockopt_protocol, FAULT_close,
		FAULT_NONE },
};

/* --- Pipes --------------------------------------------------------------- */

static int use_pipes(void *arg)
{
	struct ends ends = { { -1, -1 }, { NULL, NULL } };
	int rc, same, flags;

	(void)arg;
	test_or_die(pipe(ends.fds));
	same = dup(ends.fds[1]);
	flags = fcntl(same, F_GETFL);
	rc = use_ends(&ends);
	close_end(&ends, 0);
	close_end(&ends, 1);
	/* The file may be shared.  A mode that can't be restored stays. */
	CO_EXPECT_EQ(fcntl(same, F_GETFL) & ~O_NONBLOCK, flags);
	close(same);

	return rc;
}

const struct scenario pipes = {
	.name = "pipes",
	.run = use_pipes,
	.covers = (const enum fault_call[]){ FAULT_read, FAULT_readv,
		FAULT_write, FAULT_writev, FAULT_poll, FAULT_fcntl_setfl,
		FAULT_NONE },
};

/* What is left open is closed with the loop. */
static int leave_open(void *arg)
{
	struct ends ends = { { -1, -1 }, { NULL, NULL } };
	int rc;

	(void)arg;
	test_or_die(pipe(ends.fds));
	rc = open_ends(&ends);
	if (ends.ios[0] == NULL)
		close(ends.fds[0]);
	if (ends.ios[1] == NULL)
		close(ends.fds[1]);

	return rc;
}

const struct scenario left_open = {
	.name = "left_open",
	.run = leave_open,
	.covers = (const enum fault_call[]){ FAULT_fcntl_getfl,
		FAULT_fcntl_setfl, FAULT_close, FAULT_NONE },
	.only_covered = true,
	.leaves_open = true,
};

/* --- Files --------------------------------------------------------------- */

/* Both ends are of one file, which isn't polled. */
static int use_files(void *arg)
{
	struct ends ends = { { -1, -1 }, { NULL, NULL } };
	char path[] = "/tmp/test_fault.XXXXXX";
	int rc;

	(void)arg;
	ends.fds[1] = mkstemp(path);
	ends.fds[0] = open(path, O_RDONLY | O_CLOEXEC);
	test_die_unless(ends.fds[0] >= 0, path, __FILE__, __LINE__);
	unlink(path);
	rc = open_ends(&ends);
	if (rc == 0)
		rc = move_whole(&ends);
	if (rc == 0)
		rc = move_parts(&ends);
	if (rc == 0)
		rc = wait_for_ends(&ends);
	close_end(&ends, 0);
	close_end(&ends, 1);

	return rc;
}

const struct scenario files = {
	.name = "files",
	.run = use_files,
	.covers = (const enum fault_call[]){ FAULT_read, FAULT_write,
		FAULT_NONE },
};

/* --- Watches ------------------------------------------------------------- */

struct told_node {
	struct co_resume_node node;
	struct test_counter times;
	int fd;
};

/* Takes what is there, or as much as there is room for: so that what comes
 * later is an event. */
static void note_event(struct co_resume_node *node, unsigned events)
{
	struct told_node *self = (struct told_node *)(void *)node;
	char some[4096] = "";

	if (events & CO_READABLE)
		while (recv(self->fd, some, sizeof some, MSG_DONTWAIT) > 0)
			;
	if (events & CO_WRITABLE)
		while (send(self->fd, some, sizeof some, MSG_DONTWAIT) > 0)
			;
	counter_add(&self->times, 1);
}

static void await_told(struct told_node *self, size_t before)
{
	while (counter_get(&self->times) == before)
		co_sleep(100 * CO_MICROSECOND);
}

/* NODE is told of input that comes now. */
static void expect_input_told(struct told_node *node, int peer)
{
	size_t before = counter_get(&node->times);

	CO_EXPECT_EQ(send(peer, text, 1, 0), 1);
	await_told(node, before);
}

/* NODE, which has used up all room, is told of new. */
static void expect_room_told(struct told_node *node, int peer)
{
	const struct co_io *io = co__fd_find(co_loop_current(), node->fd);
	size_t before;
	char some[4096];

	await_told(node, 0);
	/* Not while it is writing, nor before the library has looked whether
	 * there is room, which is after that: what it finds is no news. */
	do {
		before = counter_get(&node->times);
		co_sleep(CO_MILLISECOND);
	} while (counter_get(&node->times) != before
			|| AO_load_acquire(&io->telling) != 0);
	while (recv(peer, some, sizeof some, MSG_DONTWAIT) > 0)
		;
	await_told(node, before);
}

static int wait_for_input(void *arg)
{
	co_wait_fd(*(int *)arg, CO_READABLE);

	return 0;
}

/* NODE isn't told of input that comes now: another task is, unless it meets
 * the next of several faults. */
static void expect_not_told(struct told_node *node, int peer)
{
	struct co_task *task = NULL;

	if (co_spawn(NULL, wait_for_input, &node->fd, &task) < 0)
		return;
	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(send(peer, text, 1, 0), 1);
	CO_EXPECT_EQ(join_or_die(task), 0);
	CO_EXPECT_EQ(counter_get(&node->times), 0);
}

static int use_watch(struct told_node nodes[2], int peer)
{
	struct co_loop *loop = co_loop_current();
	int fd = nodes[0].fd;
	long rc = TELL(co_loop_add_fd, loop, fd, CO_READABLE, &nodes[0].node);

	if (rc < 0) {
		CO_EXPECT_EQ(co_loop_remove_fd(loop, fd), -ENOENT);
		expect_not_told(&nodes[0], peer);
		return (int)rc;
	}
	expect_input_told(&nodes[0], peer);
	rc = TELL(co_loop_mod_fd, loop, fd, CO_WRITABLE, &nodes[1].node);
	if (rc == 0)
		expect_room_told(&nodes[1], peer);
	else
		/* Nothing has changed. */
		expect_input_told(&nodes[0], peer);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, fd), 0);

	return (int)rc;
}

static int use_watches(void *arg)
{
	struct told_node nodes[2] = { { .node.ready = note_event },
		{ .node.ready = note_event } };
	int fds[2], rc;

	(void)arg;
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	nodes[0].fd = nodes[1].fd = fds[0];
	rc = use_watch(nodes, fds[1]);
	close(fds[0]);
	close(fds[1]);

	return rc;
}

const struct scenario watches = {
	.name = "watches",
	.run = use_watches,
	.covers = (const enum fault_call[]){ FAULT_fcntl_getfd, FAULT_poll,
#ifdef HAVE_EPOLL
		FAULT_epoll_ctl_mod, FAULT_epoll_ctl_del,
#endif
		FAULT_NONE },
};

/* --- Many descriptors ---------------------------------------------------- */

/* So many, and of so high numbers, that the tables have to grow. */
static int use_many_numbers(void *arg)
{
	enum { COUNT = 40, FIRST = 300 };
	struct co_io *ios[COUNT];
	int ends[2], fd, n;
	long rc = 0;

	(void)arg;
	test_or_die(pipe(ends));
	for (n = 0; n < COUNT && rc == 0; n++) {
		fd = fcntl(ends[1], F_DUPFD_CLOEXEC, FIRST);
		rc = TELL(co_io_open, NULL, fd, &ios[n]);
		if (rc < 0)
			close(fd);
	}
	if (rc < 0)
		n--;
	while (n > 0)
		CO_EXPECT_EQ(co_io_close(ios[--n]), 0);
	close(ends[0]);
	close(ends[1]);

	return (int)rc;
}

const struct scenario many_numbers = {
	.name = "many_numbers",
	.run = use_many_numbers,
	.covers = (const enum fault_call[]){ FAULT_malloc, FAULT_calloc,
		FAULT_NONE },
	.only_covered = true,
};
