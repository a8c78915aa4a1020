/* SPDX-License-Identifier: MIT */

/*
 * test_fault.c - every call to the system and for memory fails once
 *
 * A small program that uses most of the library is run again and again, and
 * each time the next call of the library fails, until there is none left that
 * would.  The program must end, every error must be one that is documented,
 * nothing may leak, and after the fault all must work.
 *
 * The test itself calls nothing that is wrapped while a fault is armed.
 */

#include "test.h"
#include "fault.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CALLS = 5000 };

/* --- The program ------------------------------------------------------- */

static int put_numbers(void *arg)
{
	int i, rc = 0;

	for (i = 0; i < 5 && rc == 0; i++)
		rc = co_channel_put(arg, &i);

	return rc;
}

static int use_channel(void)
{
	struct co_channel *channel = NULL;
	struct co_task *task = NULL;
	int rc = co_channel_create(NULL, sizeof(int), 2, &channel), i, got;

	if (rc != 0)
		return rc;
	rc = co_spawn(NULL, put_numbers, channel, &task);
	if (rc == 0) {
		for (i = 0; i < 5; i++) {
			CO_EXPECT_EQ(co_channel_get(channel, &got), 0);
			CO_EXPECT_EQ(got, i);
		}
		CO_EXPECT_EQ(join_or_die(task), 0);
	}
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);

	return rc;
}

static int sleep_shortly(void *arg)
{
	(void)arg;
	return co_sleep(100 * CO_MICROSECOND);
}

static int use_stacks_and_timers(void)
{
	struct co_task_attr attr = CO_TASK_ATTR_INIT;
	struct co_task *task = NULL;
	int rc = 0, i;

	for (i = 0; i < 4 && rc == 0; i++) {
		attr.stack_size = (size_t)32768 << i;
		rc = co_spawn_with(NULL, &attr, sleep_shortly, NULL, &task);
		if (rc == 0)
			rc = join_or_die(task);
	}

	return rc;
}

static int use_io(void)
{
	struct co_io *ios[2] = { NULL, NULL };
	char data[4];
	int fds[2], rc;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	rc = co_io_open(NULL, fds[0], &ios[0]);
	if (rc == 0)
		rc = co_io_open(NULL, fds[1], &ios[1]);
	if (rc == 0)
		rc = co_io_write_full(ios[0], "abcd", 4, NULL);
	if (rc == 0)
		rc = co_io_read_full(ios[1], data, 4, NULL);
	if (rc == 0)
		CO_EXPECT_EQ(memcmp(data, "abcd", 4), 0);
	if (ios[0] == NULL)
		close(fds[0]);
	if (ios[1] == NULL)
		close(fds[1]);
	CO_EXPECT_EQ(co_io_close(ios[0]), 0);
	CO_EXPECT_EQ(co_io_close(ios[1]), 0);

	return rc;
}

static void ignore_events(struct co_resume_node *node, unsigned events)
{
	(void)node;
	(void)events;
}

static int use_watch(void)
{
	struct co_resume_node node = { .ready = ignore_events };
	struct co_loop *loop = co_loop_current();
	int fds[2], rc;

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	rc = co_loop_add_fd(loop, fds[0], CO_READABLE, &node);
	if (rc == 0) {
		rc = co_loop_mod_fd(loop, fds[0], CO_WRITABLE, &node);
		CO_EXPECT_EQ(co_loop_remove_fd(loop, fds[0]), 0);
	} else {
		CO_EXPECT_EQ(co_loop_remove_fd(loop, fds[0]), -ENOENT);
	}
	if (rc == 0)
		rc = co_wait_fd(fds[1], CO_WRITABLE);
	close(fds[0]);
	close(fds[1]);

	return rc == CO_WRITABLE ? 0 : rc;
}

static void echo(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	char data[4];

	(void)server;
	(void)peer;
	if (co_io_read_full(connection, data, 4, NULL) == 0)
		co_io_write_full(connection, data, 4, NULL);
}

static int call(struct co_tcp_server *server)
{
	struct sockaddr_in address;
	socklen_t size = sizeof address;
	struct co_io *io = NULL;
	char data[4];
	int rc = co_tcp_server_address(server, (struct sockaddr *)&address,
			&size);

	if (rc == 0)
		rc = co_tcp_connect((struct sockaddr *)&address, size, &io);
	if (rc == 0)
		rc = co_io_write_full(io, "abcd", 4, NULL);
	if (rc == 0)
		rc = co_io_read_full(io, data, 4, NULL);
	CO_EXPECT_EQ(co_io_close(io), 0);

	return rc;
}

static int listen_to_calls(struct co_tcp_server *server)
{
	struct sockaddr_storage address;
	socklen_t size;

	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(co_tcp_server_init(server, co_loop_current()));

	return co_tcp_server_listen(server, (struct sockaddr *)&address, size,
			0, echo);
}

static int use_tcp(void)
{
	struct co_tcp_server server;
	int rc = listen_to_calls(&server);

	if (rc == 0)
		CO_WITH_DEADLINE(co_after(CO_SECOND))
			rc = call(&server);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);

	return rc;
}

static int use_most(void)
{
	int rc = use_channel();

	if (rc == 0)
		rc = use_stacks_and_timers();
	if (rc == 0)
		rc = use_io();
	if (rc == 0)
		rc = use_watch();
	if (rc == 0)
		rc = use_tcp();

	return rc;
}

/* --- What may come of it ----------------------------------------------- */

static bool is_documented(int rc)
{
	static const int errors[] = { 0, -ENOMEM, -EMFILE, -ENFILE, -ENOSPC,
		-EAGAIN, -EACCES, -EADDRINUSE, -ENOBUFS, -ENETUNREACH,
		-ECONNRESET, -EPIPE, -EIO, -ENODATA };
	size_t i;

	for (i = 0; i < sizeof errors / sizeof errors[0]; i++)
		if (rc == errors[i])
			return true;

	return false;
}

static void expect_documented(int rc, size_t nth)
{
	if (!CO_EXPECT(is_documented(rc)))
		fprintf(stderr, "call %zu (%s) failed: %d\n", nth,
				fault_name(), rc);
}

/* Blocks and descriptors that are in use. */
struct use {
	size_t blocks;
	size_t fds;
};

static struct use use_now(void)
{
	return (struct use){ fault_live_blocks(), fault_open_fds() };
}

static void expect_use(struct use before, size_t nth)
{
	struct use now = use_now();
	bool same = now.blocks == before.blocks && now.fds == before.fds;

	CO_EXPECT_EQ(now.blocks, before.blocks);
	CO_EXPECT_EQ(now.fds, before.fds);
	if (!same)
		fprintf(stderr, "call %zu (%s) failed\n", nth, fault_name());
}

/* --- Faults from creation to destruction ------------------------------- */

static int main_task(void *arg)
{
	(void)arg;
	return use_most();
}

static int run_program(const struct co_loop_options *options)
{
	struct co_loop *loop = NULL;
	struct co_task *task = NULL;
	int rc = co_loop_create(options, &loop);

	if (rc != 0)
		return rc;
	rc = co_spawn(loop, main_task, NULL, &task);
	if (rc == 0)
		rc = co_loop_run(loop);
	if (rc == 0)
		rc = join_or_die(task);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);

	return rc;
}

/* Returns how many calls could fail. */
static size_t fail_each_call(const struct co_loop_options *options,
		unsigned long long kinds, int error, bool all_good)
{
	size_t nth, failed = 1;
	struct use before;
	int rc;

	CO_EXPECT_EQ(run_program(options), 0);
	before = use_now();
	for (nth = 1; failed > 0 && nth < MOST_CALLS; nth++) {
		fault_arm(kinds, nth, error);
		rc = run_program(options);
		failed = fault_disarm();
		expect_documented(rc, nth);
		if (failed == 0 || all_good)
			CO_EXPECT_EQ(rc, 0);
		expect_use(before, nth);
		cr_assert_eq(test_failures(), 0);
	}
	cr_assert_lt(nth, MOST_CALLS);

	return nth - 2;
}

static void fail_each_call_on(unsigned threads, const char *backend)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	options.threads = threads;
	options.backend = backend;
	cr_assert_gt(fail_each_call(&options, FAULT_ANY, 0, false), 20);
}

Test(fault, any_call_may_fail_on_one_thread)
{
	fail_each_call_on(1, "epoll");
}

Test(fault, any_call_may_fail_on_four_threads)
{
	fail_each_call_on(4, "epoll");
}

Test(fault, any_call_may_fail_with_poll)
{
	fail_each_call_on(1, "poll");
	fail_each_call_on(3, "poll");
}

Test(fault, an_interruption_goes_unnoticed)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;

	options.backend = "epoll";
	options.threads = 1;
	fail_each_call(&options, FAULT_INTERRUPTIBLE, EINTR, true);
	options.backend = "poll";
	options.threads = 3;
	fail_each_call(&options, FAULT_INTERRUPTIBLE, EINTR, true);
}

Test(fault, no_error_of_accept_harms_the_server)
{
	static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM,
		ECONNABORTED, EPROTO, EPERM, EINTR };
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	size_t i, n;

	options.threads = 2;
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		n = fail_each_call(&options, FAULT_BIT(FAULT_ACCEPT),
				errors[i], true);
		cr_assert_geq(n, 1);
	}
}

/* The accepting task waits, and mostly goes on in another thread, where it has
 * to make way for others at once. */
static int call_while_connections_fail(void *arg)
{
	uint64_t random = (uint64_t)co_now();
	struct co_tcp_server server;
	size_t i;

	(void)arg;
	test_or_die(listen_to_calls(&server));
	for (i = 0; i < CO_TEST_SCALE(400) && test_failures() == 0; i++) {
		co_sleep((co_time)test_random_below(&random, 200000));
		fault_arm(FAULT_BIT(FAULT_ACCEPT), 1, i % 2 == 0
				? ECONNABORTED : EMFILE);
		CO_EXPECT_EQ(call(&server), 0);
		fault_disarm();
	}

	return co_tcp_server_deinit(&server);
}

Test(fault, a_server_changes_threads_between_failures)
{
	cr_assert_eq(run_in_loop(4, call_while_connections_fail, NULL), 0);
}

/* --- Faults in operation ----------------------------------------------- */

struct session {
	unsigned long long kinds;
	size_t nth;
	size_t failed;
	bool persistent;
};

/* After the fault, the same loop must do all that it did before. */
static int use_twice(void *arg)
{
	struct session *session = arg;
	int rc;

	if (session->persistent)
		fault_arm_from(session->kinds, session->nth, 0);
	else
		fault_arm(session->kinds, session->nth, 0);
	rc = use_most();
	session->failed = fault_disarm();
	if (!session->persistent || rc != -ETIMEDOUT)
		expect_documented(rc, session->nth);
	CO_EXPECT_EQ(use_most(), 0);

	return 0;
}

static void fail_in_operation(struct session session, unsigned threads)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = threads;
	session.failed = 1;
	test_or_die(co_loop_create(&options, &loop));
	for (session.nth = 1; session.failed > 0; session.nth++) {
		cr_assert_eq(co_spawn(loop, use_twice, &session, NULL), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(test_failures(), 0);
		cr_assert_lt(session.nth, MOST_CALLS);
	}
	cr_assert_eq(co_loop_destroy(loop), 0);
}

Test(fault, a_loop_is_good_after_any_fault)
{
	struct session session = { .kinds = FAULT_ANY };
	struct use before;

	fail_in_operation(session, 1);
	before = use_now();
	fail_in_operation(session, 1);
	fail_in_operation(session, 4);
	expect_use(before, 0);
	cr_assert_eq(test_failures(), 0);
}

/* --- A thread that can't be started ------------------------------------ */

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

Test(fault, when_a_thread_cannot_be_started_nothing_has_been_run)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct test_counter ran = { 0 };
	struct co_loop *loop = NULL;
	size_t nth;

	options.threads = 4;
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(co_spawn(loop, count_up, &ran, NULL), 0);
	for (nth = 1; nth <= 3; nth++) {
		fault_arm(FAULT_BIT(FAULT_PTHREAD_CREATE), nth, 0);
		cr_assert_eq(co_loop_run(loop), -EAGAIN);
		cr_assert_eq(fault_disarm(), 1);
		cr_assert_eq(counter_get(&ran), 0);
	}
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&ran), 1);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

static void stop(void *loop)
{
	CO_EXPECT_EQ(co_loop_stop(loop), 0);
}

/* It was told to stop while it could not begin: it stops when it can. */
Test(fault, when_a_thread_cannot_be_started_a_stop_is_not_forgotten)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct test_counter ran = { 0 };
	struct co_loop *loop = NULL;

	options.threads = 4;
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(co_spawn(loop, count_up, &ran, NULL), 0);
	fault_set_hook(stop, loop);
	fault_arm(FAULT_BIT(FAULT_PTHREAD_CREATE), 3, 0);
	cr_assert_eq(co_loop_run(loop), -EAGAIN);
	cr_assert_eq(fault_disarm(), 1);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&ran), 0);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&ran), 1);
	cr_assert_eq(co_loop_destroy(loop), 0);
	cr_assert_eq(test_failures(), 0);
}

/* --- Stacks without guards --------------------------------------------- */

static int spawn_with_guards_failing(unsigned flags, unsigned long long kinds)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;
	struct test_counter ran = { 0 };
	int rc;

	options.threads = 1;
	options.flags = flags;
	test_or_die(co_loop_create(&options, &loop));
	fault_arm_from(kinds, 1, 0);
	rc = co_spawn(loop, count_up, &ran, NULL);
	fault_disarm();
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(counter_get(&ran), rc == 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);

	return rc;
}

Test(fault, without_guard_pages_tasks_are_spawned_only_if_allowed)
{
	unsigned long long madvise_only = FAULT_BIT(FAULT_MADVISE);
	unsigned long long both = madvise_only | FAULT_BIT(FAULT_MPROTECT);

	cr_assert_eq(spawn_with_guards_failing(0, madvise_only), 0);
	cr_assert_eq(spawn_with_guards_failing(0, both), -ENOMEM);
	cr_assert_eq(spawn_with_guards_failing(CO_LOOP_UNGUARDED_STACKS, both),
			0);
	cr_assert_eq(test_failures(), 0);
}

/* --- An allocator that fails ------------------------------------------- */

struct miser {
	struct test_counter calls;
	size_t nth;		/* the call that fails, and */
	bool persistent;	/* those after it, too */
};

static void *allocate_grudgingly(void *context, size_t size)
{
	struct miser *miser = context;
	size_t call_number = counter_add(&miser->calls, 1) + 1;

	if (call_number == miser->nth)
		return NULL;
	if (miser->persistent && call_number > miser->nth)
		return NULL;

	return test_allocate(NULL, size);
}

static int run_with_miser(struct miser *miser)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_allocator allocator = { allocate_grudgingly, test_release,
			miser };

	options.threads = 2;
	options.allocator = &allocator;
	counter_set(&miser->calls, 0);

	return run_program(&options);
}

static void starve(bool persistent)
{
	struct miser miser = { .persistent = persistent, .nth = 0 };
	int rc;

	do {
		miser.nth++;
		rc = run_with_miser(&miser);
		if (!persistent || rc != -ETIMEDOUT)
			expect_documented(rc, miser.nth);
		if (counter_get(&miser.calls) < miser.nth)
			CO_EXPECT_EQ(rc, 0);
		CO_EXPECT_EQ(counter_get(&test_blocks), 0);
		CO_EXPECT_EQ(counter_get(&test_bytes), 0);
		cr_assert_eq(test_failures(), 0);
	} while (counter_get(&miser.calls) >= miser.nth);
	cr_assert_gt(miser.nth, 2);
}

Test(fault, the_allocator_may_fail_at_any_call)
{
	starve(false);
}

Test(fault, the_allocator_may_fail_from_any_call_on)
{
	starve(true);
}
