/* SPDX-License-Identifier: MIT */

/*
 * test_io_rare.c - what a call on a descriptor meets if others come between
 *
 * The other comes at the moment that is wanted: in the place of the system
 * call, or of the allocator.
 */

#include "test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd.h"
#include "loop.h"

struct ends {
	int fds[2];
	struct co_io *io;		/* of fds[0] */
};

static void open_ends(struct ends *ends)
{
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, ends->fds));
	test_or_die(co_io_open(NULL, ends->fds[0], &ends->io));
}

static void close_ends(struct ends *ends)
{
	CO_EXPECT_EQ(co_io_close(ends->io), 0);
	close(ends->fds[1]);
}

/* --- Calls in vain -------------------------------------------------------- */

struct vain {
	struct ends ends;
	struct test_counter calls;
};

/* Somebody else was quicker, twice. */
static ssize_t call_in_vain(int fd, void *arg)
{
	struct vain *vain = arg;

	(void)fd;

	return counter_add(&vain->calls, 1) < 2 ? -EAGAIN : 1;
}

static int write_after_each_call(void *arg)
{
	struct vain *vain = arg;
	size_t i;

	for (i = 1; i <= 2; i++) {
		while (counter_get(&vain->calls) < i)
			co_sleep(CO_MILLISECOND / 5);
		CO_EXPECT_EQ(write(vain->ends.fds[1], "x", 1), 1);
	}

	return 0;
}

CO_TEST(io_rare, an_event_for_nothing_is_waited_over)
{
	struct vain vain = { .calls = { 0 } };
	struct co_task *writer;

	open_ends(&vain.ends);
	writer = spawn_or_die(NULL, write_after_each_call, &vain);
	CO_EXPECT_EQ(co__io_do(vain.ends.io, 0, call_in_vain, &vain, 1), 1);
	CO_EXPECT_EQ(counter_get(&vain.calls), 3);
	CO_EXPECT_EQ(join_or_die(writer), 0);
	close_ends(&vain.ends);

	return 0;
}

/* --- Closed in between ---------------------------------------------------- */

static ssize_t close_meanwhile(int fd, void *arg)
{
	CO_EXPECT_EQ(fd, co_io_fd(arg));
	CO_EXPECT_EQ(co_io_close(arg), 0);

	return -EAGAIN;
}

CO_TEST(io_rare, a_call_that_is_closed_before_it_waits_does_not)
{
	struct ends ends;
	char byte;

	open_ends(&ends);
	CO_EXPECT_EQ(co__io_do(ends.io, 0, close_meanwhile, ends.io, 1),
			-EBADF);
	CO_EXPECT_EQ(read(ends.fds[1], &byte, 1), 0);
	close(ends.fds[1]);

	return 0;
}

static int read_one(void *io)
{
	char byte;

	return (int)co_io_read(io, &byte, 1);
}

CO_TEST_ON_ONE_THREAD(io_rare, what_was_closed_under_a_reader_takes_no_call)
{
	struct ends ends;
	struct co_task *reader;

	open_ends(&ends);
	reader = spawn_or_die(NULL, read_one, ends.io);
	co_yield();
	CO_EXPECT_EQ(co_io_close(ends.io), 0);
	CO_EXPECT_EQ(co_io_shutdown(ends.io, SHUT_RDWR), -EBADF);
	CO_EXPECT_EQ(co_io_wait(ends.io, CO_WRITABLE), -EBADF);
	CO_EXPECT_EQ(co_io_close(ends.io), -EBADF);
	CO_EXPECT_EQ(join_or_die(reader), -EBADF);
	close(ends.fds[1]);

	return 0;
}

/* Its number means no file any more. */
CO_TEST(io_rare, what_others_have_closed_is_not_waited_for)
{
	struct ends ends;

	open_ends(&ends);
	close(ends.fds[0]);
	CO_EXPECT_EQ(co_io_wait(ends.io, CO_READABLE), -EBADF);
	close_ends(&ends);

	return 0;
}

/* --- Both directions ------------------------------------------------------ */

static int wait_both(void *io)
{
	return co_io_wait(io, CO_READABLE | CO_WRITABLE);
}

static void drain(int fd)
{
	char data[4096];

	while (recv(fd, data, sizeof data, MSG_DONTWAIT) > 0)
		;
}

CO_TEST(io_rare, one_task_waits_for_both_directions)
{
	struct ends ends;
	struct co_task *waiter;
	char byte;
	int i;

	open_ends(&ends);
	for (i = 0; i < 10; i++) {
		fill_socket(ends.fds[0]);
		CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
			CO_EXPECT_EQ(wait_both(ends.io), -ETIMEDOUT);
		waiter = spawn_or_die(NULL, wait_both, ends.io);
		settle();
		CO_EXPECT_EQ(co_io_read(ends.io, &byte, 1), -EBUSY);
		CO_EXPECT_EQ(co_io_write(ends.io, "x", 1), -EBUSY);
		if (i % 2 == 0)
			CO_EXPECT_EQ(write(ends.fds[1], "x", 1), 1);
		else
			drain(ends.fds[1]);
		CO_EXPECT_EQ(join_or_die(waiter), i % 2 == 0 ? CO_READABLE
				: CO_WRITABLE);
		if (i % 2 == 0)
			CO_EXPECT_EQ(co_io_read(ends.io, &byte, 1), 1);
		drain(ends.fds[1]);
	}
	close_ends(&ends);

	return 0;
}

/* --- Parts ---------------------------------------------------------------- */

/* Some more parts of a byte than the system takes at once. */
static ssize_t write_many_parts(int fd)
{
	static struct iovec parts[IOV_MAX + 10];
	struct co_io *io = NULL;
	ssize_t n;

	for (int i = 0; i < IOV_MAX + 10; i++)
		parts[i] = (struct iovec){ (char *)"x", 1 };
	test_or_die(co_io_open(NULL, fd, &io));
	n = co_io_writev(io, parts, IOV_MAX + 10);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return n;
}

/* A device may take the parts of one call for a message. */
CO_TEST_ON_ONE_THREAD(io_rare, only_where_bytes_are_all_alike_parts_are_split)
{
	FILE *file = tmpfile();
	int pipes[2];

	test_or_die(pipe(pipes));
	CO_EXPECT_EQ(write_many_parts(pipes[1]), IOV_MAX);
	CO_EXPECT_EQ(write_many_parts(dup(fileno(file))), IOV_MAX);
	CO_EXPECT_EQ(write_many_parts(open("/dev/null", O_WRONLY)), -EINVAL);
	close(pipes[0]);
	fclose(file);

	return 0;
}

/* --- Descriptors that several know ---------------------------------------- */

static void do_nothing(struct co_resume_node *node, unsigned events)
{
	(void)node;
	(void)events;
}

CO_TEST(io_rare, what_is_watched_is_not_waited_for_too)
{
	struct co_resume_node node = { .ready = do_nothing };
	struct co_loop *loop = co_loop_current();
	int fds[2];

	test_or_die(pipe(fds));
	test_or_die(co_loop_add_fd(loop, fds[1], CO_WRITABLE, &node));
	CO_EXPECT_EQ(co_wait_fd(fds[1], CO_WRITABLE), -EBUSY);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, fds[1]), 0);
	CO_EXPECT_EQ(co_wait_fd(fds[1], CO_WRITABLE), CO_WRITABLE);
	close(fds[0]);
	close(fds[1]);

	return 0;
}

/* What was opened stays open. */
CO_TEST(io_rare, the_number_of_a_co_io_can_be_waited_for)
{
	struct ends ends;

	open_ends(&ends);
	CO_EXPECT_EQ(co_wait_fd(ends.fds[0], CO_WRITABLE), CO_WRITABLE);
	CO_WITH_DEADLINE(co_after(CO_MILLISECOND))
		CO_EXPECT_EQ(co_wait_fd(ends.fds[0], CO_READABLE),
				-ETIMEDOUT);
	CO_EXPECT_EQ(write(ends.fds[1], "x", 1), 1);
	CO_EXPECT_EQ(read_one(ends.io), 1);
	close_ends(&ends);

	return 0;
}

struct told {
	struct co_resume_node node;
	unsigned events;
};

static void note(struct co_resume_node *node, unsigned events)
{
	((struct told *)(void *)node)->events |= events;
}

/* As if two workers had events, and the one of the earlier file came later. */
CO_TEST_ON_ONE_THREAD(io_rare, a_late_event_does_not_join_a_newer_one)
{
	struct told told = { .node = { .ready = note } };
	struct co_loop *loop = co_loop_current();
	struct co_io *io;
	uint64_t early, late;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	test_or_die(co_loop_add_fd(loop, fds[0], CO_READABLE, &told.node));
	io = co__fd_find(loop, fds[0]);
	early = co__fd_key(io);
	test_or_die(co_loop_remove_fd(loop, fds[0]));
	test_or_die(co_loop_add_fd(loop, fds[0], CO_READABLE, &told.node));
	late = co__fd_key(io);
	AO_store(&io->telling, 1);		/* a third one is at it */
	co__watch_tell(io, late, CO_READABLE);
	co__watch_tell(io, early, CO_HANGUP);
	CO_EXPECT_EQ(told.events, 0);
	AO_store(&io->telling, 0);
	co__watch_tell(io, late, CO_READABLE);
	CO_EXPECT_EQ(told.events, CO_READABLE);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, fds[0]), 0);
	close(fds[0]);
	close(fds[1]);

	return 0;
}

static int wait_for_number(void *arg)
{
	return co_wait_fd(*(const int *)arg, CO_READABLE);
}

/* Tasks still wait for files of the first two numbers, which others closed. */
CO_TEST_ON_ONE_THREAD(io_rare, a_socket_passes_over_the_numbers_of_lost_waits)
{
	static const int numbers[] = { 200, 201 };
	struct co_task *tasks[2];
	struct co_io *io = NULL;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	for (int i = 0; i < 2; i++) {
		CO_EXPECT_EQ(dup2(fds[0], numbers[i]), numbers[i]);
		tasks[i] = spawn_or_die(NULL, wait_for_number,
				(void *)(uintptr_t)&numbers[i]);
		co_yield();
		close(numbers[i]);
	}
	CO_EXPECT_EQ(dup2(fds[1], numbers[0]), numbers[0]);
	CO_EXPECT_EQ(co__io_adopt(co_loop_current(), numbers[0], &io), 0);
	CO_EXPECT_EQ(co_io_fd(io), numbers[1] + 1);
	CO_EXPECT_EQ(co_io_write(io, "x", 1), 1);
	for (int i = 0; i < 2; i++)
		CO_EXPECT_EQ(fcntl(numbers[i], F_GETFD), -1);
	CO_EXPECT_EQ(join_or_die(tasks[0]), -EBADF);
	CO_EXPECT_EQ(co_cancel(tasks[1]), 0);
	CO_EXPECT_EQ(join_or_die(tasks[1]), -ECANCELED);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[0]);
	close(fds[1]);

	return 0;
}

/* --- The table ------------------------------------------------------------ */

/* No process has so many descriptors, but a system could let it. */
CO_TEST_ON_ONE_THREAD(io_rare, numbers_beyond_the_table_are_refused)
{
	const int beyond = (int)(CO__FD_CHUNKS * CO__FD_CHUNK);
	const int numbers[] = { -1, 200000, beyond, INT_MAX };
	struct co_resume_node node = { .ready = do_nothing };
	struct co_loop *loop = co_loop_current();
	struct co_io *io = NULL;

	CO_EXPECT_EQ(co__fd_entry(loop, beyond, &io), -ENOMEM);
	CO_EXPECT_EQ(co__fd_entry(loop, INT_MAX, &io), -ENOMEM);
	CO_EXPECT(io == NULL);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		CO_EXPECT_EQ(co_loop_mod_fd(loop, numbers[i], CO_READABLE,
				&node), -ENOENT);
		CO_EXPECT_EQ(co_loop_remove_fd(loop, numbers[i]), -ENOENT);
	}

	return 0;
}

/* An allocator that lets another thread open a descriptor first; what it gives
 * to the loop after that is counted as always, or nothing. */
struct hasty {
	struct co_loop *loop;
	struct co_io *io;
	int fd;			/* -1: nothing more to open */
	bool refuses;
};

static void open_first(void *arg)
{
	struct hasty *hasty = arg;
	int fd = hasty->fd;

	hasty->fd = -1;
	CO_EXPECT_EQ(co_io_open(hasty->loop, fd, &hasty->io), 0);
}

static void *allocate_late(void *context, size_t size)
{
	struct hasty *hasty = context;
	struct test_thread other;

	if (hasty->loop == NULL || hasty->fd < 0)
		return test_allocate(NULL, size);
	test_thread_start(&other, NULL, open_first, hasty);
	test_thread_join(&other);

	return hasty->refuses ? NULL : test_allocate(NULL, size);
}

static void meet_at_the_table(bool refuses)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct hasty hasty = { .refuses = refuses };
	struct co_allocator allocator = { allocate_late, test_release, &hasty };
	struct co_loop *loop = NULL;
	struct co_io *io = NULL;
	int fds[2];

	options.allocator = &allocator;
	test_or_die(co_loop_create(&options, &loop));
	test_or_die(pipe(fds));
	hasty.fd = fds[0];
	hasty.loop = loop;
	cr_assert_eq(co_io_open(loop, fds[1], &io), 0);
	cr_assert_eq(co_io_fd(io), fds[1]);
	cr_assert_eq(co_io_fd(hasty.io), fds[0]);
	cr_assert_eq(co__fd_find(loop, fds[0]), hasty.io);
	cr_assert_eq(co__fd_find(loop, fds[1]), io);
	cr_assert_eq(co_io_close(io), 0);
	cr_assert_eq(co_io_close(hasty.io), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
	test_expect_no_leak();
}

Test(io_rare, two_threads_may_need_the_same_part_of_the_table)
{
	meet_at_the_table(false);
}

Test(io_rare, what_another_thread_has_made_needs_no_memory)
{
	meet_at_the_table(true);
}
