/* SPDX-License-Identifier: MIT */

/* test_contract.c - bad input and the wrong place: each has its error */

#include "test.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int return_zero(void *arg)
{
	(void)arg;
	return 0;
}

static void ignore_tick(struct co_tick *tick)
{
	(void)tick;
}

static void ignore_events(struct co_resume_node *node, unsigned events)
{
	(void)node;
	(void)events;
}

static void ignore_parked(struct co_task *task, void *arg)
{
	(void)task;
	(void)arg;
}

static void ignore_connection(struct co_tcp_server *server,
		struct co_io *connection, const struct sockaddr *peer)
{
	(void)server;
	(void)connection;
	(void)peer;
}

/* --- Null arguments ---------------------------------------------------- */

CO_TEST_ON_ONE_THREAD(null, loops_refuse_it)
{
	struct co_loop_stats stats = { .size = sizeof stats };
	struct co_loop *loop = co_loop_current();
	struct co_resume_node node = { .ready = ignore_events };
	struct co_resume_node deaf = { .ready = NULL };
	struct co_tick tick = { .run = ignore_tick };
	struct co_tick idle = { .run = NULL };

	CO_EXPECT_EQ(co_loop_create(NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_create_single_threaded(NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_create_multi_threaded(NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_destroy(NULL), 0);
	CO_EXPECT_EQ(co_loop_stop(NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_ref(NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_unref(NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_threads(NULL), -EINVAL);
	CO_EXPECT(co_loop_backend(NULL) == NULL);
	CO_EXPECT_EQ(co_loop_on_next_tick(NULL, &tick), -EINVAL);
	CO_EXPECT_EQ(co_loop_on_next_tick(loop, NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_on_next_tick(loop, &idle), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(NULL, 0, CO_READABLE, &node), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(loop, 0, CO_READABLE, NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(loop, 0, CO_READABLE, &deaf), -EINVAL);
	CO_EXPECT_EQ(co_loop_mod_fd(NULL, 0, CO_READABLE, &node), -EINVAL);
	CO_EXPECT_EQ(co_loop_mod_fd(loop, 0, CO_READABLE, NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_mod_fd(loop, 0, CO_READABLE, &deaf), -EINVAL);
	CO_EXPECT_EQ(co_loop_remove_fd(NULL, 0), -EINVAL);
	CO_EXPECT_EQ(co_loop_stats(NULL, &stats), -EINVAL);
	CO_EXPECT_EQ(co_loop_stats(loop, NULL), -EINVAL);
	CO_EXPECT_EQ(co_loop_dump(NULL, 2), -EINVAL);

	return 0;
}

/* Memory that isn't a loop, or not any more. */
CO_TEST_ON_ONE_THREAD(null, what_is_no_loop_is_refused)
{
	static size_t zeroes[512];
	struct co_loop *loop = (struct co_loop *)(void *)zeroes;
	struct co_resume_node node = { .ready = ignore_events };
	struct co_channel *channel = NULL;
	struct co_tcp_server server;

	CO_EXPECT_EQ(co_loop_destroy(loop), -EINVAL);
	CO_EXPECT_EQ(co_loop_run(loop), -EINVAL);
	CO_EXPECT_EQ(co_loop_stop(loop), -EINVAL);
	CO_EXPECT_EQ(co_loop_threads(loop), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(loop, 0, CO_READABLE, &node), -EINVAL);
	CO_EXPECT_EQ(co_spawn(loop, return_zero, NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_create(loop, 1, 1, &channel), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_init(&server, loop), -EINVAL);

	return 0;
}

Test(null, what_makes_or_runs_a_loop_refuses_it)
{
	struct co_task *task = NULL;

	cr_expect_eq(co_loop_run(NULL), -EINVAL);
	cr_expect_eq(co_run(NULL, NULL), -EINVAL);
	cr_expect_eq(co_spawn(NULL, return_zero, NULL, &task), -EINVAL);
	cr_expect_eq(co_spawn_with(NULL, NULL, return_zero, NULL, &task),
			-EINVAL);
	cr_expect_null(task);
}

CO_TEST_ON_ONE_THREAD(null, tasks_refuse_it)
{
	CO_EXPECT_EQ(co_spawn(NULL, NULL, NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_spawn_with(NULL, NULL, NULL, NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_join(NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_detach(NULL), -EINVAL);
	CO_EXPECT_EQ(co_cancel(NULL), -EINVAL);
	CO_EXPECT_EQ(co_resume(NULL), -EINVAL);
	CO_EXPECT_EQ(co_suspend(NULL, NULL), -EINVAL);
	CO_EXPECT_EQ(co_deadline_begin(NULL, CO_NEVER), -EINVAL);
	CO_EXPECT_EQ(co_deadline_mask(NULL), -EINVAL);
	CO_EXPECT_EQ(co_deadline_end(NULL), -EINVAL);

	return 0;
}

CO_TEST_ON_ONE_THREAD(null, channels_refuse_it)
{
	struct co_select_case bad = { .op = 7 };
	struct co_channel *channel = NULL;
	int item = 0;

	CO_EXPECT_EQ(co_channel_create(NULL, 1, 1, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_destroy(NULL), 0);
	CO_EXPECT_EQ(co_channel_put(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_get(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_put(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_get(NULL, &item), -EINVAL);
	CO_EXPECT_EQ(co_channel_close(NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_length(NULL), 0);
	CO_EXPECT_EQ(co_channel_capacity(NULL), 0);
	CO_EXPECT_EQ(co_select(NULL, 1), -EINVAL);
	CO_EXPECT_EQ(co_try_select(NULL, 1), -EINVAL);
	CO_EXPECT_EQ(co_try_select(NULL, 0), -EAGAIN);
	test_or_die(co_channel_create(NULL, sizeof item, 1, &channel));
	CO_EXPECT_EQ(co_channel_put(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_get(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_put(channel, NULL), -EINVAL);
	CO_EXPECT_EQ(co_channel_try_get(channel, NULL), -EINVAL);
	bad.channel = channel;
	CO_EXPECT_EQ(co_select(&bad, 1), -EINVAL);
	CO_EXPECT_EQ(co_try_select(&bad, 1), -EINVAL);
	CO_EXPECT_EQ(co_select(&bad, CO_SELECT_MAX + 1), -EINVAL);
	CO_EXPECT_EQ(co_select(&bad, SIZE_MAX), -EINVAL);
	CO_EXPECT_EQ(co_channel_destroy(channel), 0);

	return 0;
}

CO_TEST_ON_ONE_THREAD(null, locks_refuse_it)
{
	int value;

	co_lock_init(NULL);
	CO_EXPECT_EQ(co_lock_deinit(NULL), 0);
	CO_EXPECT_EQ(co_lock_acquire(NULL), -EINVAL);
	CO_EXPECT_EQ(co_lock_try_acquire(NULL), -EINVAL);
	CO_EXPECT_EQ(co_lock_release(NULL), -EINVAL);
	CO_EXPECT(co_locked_acquire_value(NULL, &value) == NULL);
	CO_EXPECT(co_locked_try_acquire_value(NULL, &value) == NULL);

	return 0;
}

/* The system calls that it may be handed on to say -EFAULT. */
#define expect_refused(call)                                                \
	do {                                                                \
		long long rc_ = (call);                                     \
		if (rc_ != -EFAULT)                                         \
			CO_EXPECT_EQ(rc_, -EINVAL);                         \
	} while (0)

CO_TEST_ON_ONE_THREAD(null, io_refuses_it)
{
	struct iovec part = { NULL, 0 };
	struct co_io *io = NULL;
	char data[4];
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	CO_EXPECT_EQ(co_io_open(NULL, fds[0], NULL), -EINVAL);
	CO_EXPECT_EQ(co_io_read(NULL, data, 1), -EINVAL);
	CO_EXPECT_EQ(co_io_write(NULL, data, 1), -EINVAL);
	CO_EXPECT_EQ(co_io_readv(NULL, &part, 1), -EINVAL);
	CO_EXPECT_EQ(co_io_writev(NULL, &part, 1), -EINVAL);
	CO_EXPECT_EQ(co_io_read_full(NULL, data, 1, NULL), -EINVAL);
	CO_EXPECT_EQ(co_io_write_full(NULL, data, 1, NULL), -EINVAL);
	CO_EXPECT_EQ(co_io_wait(NULL, CO_READABLE), -EINVAL);
	CO_EXPECT_EQ(co_io_fd(NULL), -EINVAL);
	CO_EXPECT_EQ(co_io_shutdown(NULL, SHUT_RD), -EINVAL);
	CO_EXPECT_EQ(co_io_close(NULL), 0);

	test_or_die(co_io_open(NULL, fds[0], &io));
	CO_EXPECT_EQ(write(fds[1], "abcd", 4), 4);
	expect_refused(co_io_read(io, NULL, 1));
	expect_refused(co_io_write(io, NULL, 1));
	expect_refused(co_io_readv(io, NULL, 1));
	expect_refused(co_io_writev(io, NULL, 1));
	expect_refused(co_io_read_full(io, NULL, 1, NULL));
	expect_refused(co_io_write_full(io, NULL, 1, NULL));
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

CO_TEST_ON_ONE_THREAD(null, tcp_refuses_it)
{
	struct sockaddr_storage storage;
	struct sockaddr *address = (struct sockaddr *)&storage;
	struct co_tcp_server server;
	struct co_io *io = NULL;
	socklen_t size;

	CO_EXPECT_EQ(co_tcp_address(NULL, 1, &storage, &size), -EINVAL);
	CO_EXPECT_EQ(co_tcp_address("::1", 1, NULL, &size), -EINVAL);
	CO_EXPECT_EQ(co_tcp_address("::1", 1, &storage, NULL), -EINVAL);
	test_or_die(co_tcp_address("127.0.0.1", 0, &storage, &size));

	CO_EXPECT_EQ(co_tcp_server_init(NULL, co_loop_current()), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_init(&server, NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_init(&server, co_loop_current()), 0);
	CO_EXPECT_EQ(co_tcp_server_listen(NULL, address, size, 0,
			ignore_connection), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, NULL, size, 0,
			ignore_connection), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, address, size, 0, NULL),
			-EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, address, size, -1,
			ignore_connection), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, address, size, 0,
			ignore_connection), 0);
	CO_EXPECT_EQ(co_tcp_server_address(NULL, address, &size), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_address(&server, NULL, &size), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_address(&server, address, NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_connections(NULL), 0);
	CO_EXPECT_EQ(co_tcp_server_close(NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_deinit(NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_connect(NULL, size, &io), -EINVAL);
	CO_EXPECT_EQ(co_tcp_connect(address, size, NULL), -EINVAL);
	CO_EXPECT_EQ(co_tcp_connect(address, 0, &io), -EINVAL);
	CO_EXPECT(io == NULL);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	/* Now it is no server any more. */
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);
	CO_EXPECT_EQ(co_tcp_server_listen(&server, address, size, 0,
			ignore_connection), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_address(&server, address, &size), -EINVAL);
	CO_EXPECT_EQ(co_tcp_server_connections(&server), 0);
	CO_EXPECT_EQ(co_tcp_server_close(&server), -EINVAL);

	return 0;
}

/* --- Absurd sizes ------------------------------------------------------ */

CO_TEST_ON_ONE_THREAD(sizes, absurd_channels_are_refused)
{
	struct co_channel *channel = NULL;

	CO_EXPECT_EQ(co_channel_create(NULL, CO_CHANNEL_ITEM_MAX + 1, 1,
			&channel), -EINVAL);
	CO_EXPECT_EQ(co_channel_create(NULL, SIZE_MAX, 1, &channel), -EINVAL);
	CO_EXPECT_EQ(co_channel_create(NULL, 8, SIZE_MAX, &channel), -ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, 8, SIZE_MAX / 8, &channel),
			-ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, 1, SIZE_MAX - 1, &channel),
			-ENOMEM);
	CO_EXPECT_EQ(co_channel_create(NULL, CO_CHANNEL_ITEM_MAX,
			SIZE_MAX / CO_CHANNEL_ITEM_MAX, &channel), -ENOMEM);
	CO_EXPECT(channel == NULL);

	return 0;
}

CO_TEST_ON_ONE_THREAD(sizes, absurd_lists_of_parts_are_refused)
{
	struct iovec parts[2] = { { parts, SIZE_MAX / 2 },
			{ parts, SIZE_MAX / 2 } };
	struct co_io *io = NULL;
	int fds[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	CO_EXPECT_EQ(write(fds[1], "abcd", 4), 4);
	CO_EXPECT_EQ(co_io_readv(io, parts, -1), -EINVAL);
	expect_refused(co_io_writev(io, parts, 2));
	expect_refused(co_io_read(io, parts, SIZE_MAX));
	expect_refused(co_io_write(io, parts, SIZE_MAX));
	CO_EXPECT_EQ(co_io_readv(io, parts, 0), 0);
	CO_EXPECT_EQ(co_io_read(io, NULL, 0), 0);
	CO_EXPECT_EQ(co_io_write(io, NULL, 0), 0);
	CO_EXPECT_EQ(co_io_writev(io, parts, 0), 0);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(fds[1]);

	return 0;
}

/* --- Blocking calls in the wrong place --------------------------------- */

/* What the calls below are tried on.  None of them would have to wait. */
struct props {
	struct co_tick tick;
	struct co_loop *loop;
	struct co_channel *channel;
	struct co_io *io;
	struct co_lock lock;
	struct co_task *task;
	int peer;
	struct test_counter done;
};

static void expect_io_not_permitted(struct props *props)
{
	struct sockaddr_storage address;
	struct iovec part;
	struct co_io *io = NULL;
	socklen_t size;
	char data[4];

	part.iov_base = data;
	part.iov_len = 1;
	test_or_die(co_tcp_address("127.0.0.1", 1, &address, &size));
	CO_EXPECT_EQ(co_io_read(props->io, data, 1), -EPERM);
	CO_EXPECT_EQ(co_io_write(props->io, "x", 1), -EPERM);
	CO_EXPECT_EQ(co_io_readv(props->io, &part, 1), -EPERM);
	CO_EXPECT_EQ(co_io_writev(props->io, &part, 1), -EPERM);
	CO_EXPECT_EQ(co_io_read_full(props->io, data, 1, NULL), -EPERM);
	CO_EXPECT_EQ(co_io_write_full(props->io, data, 1, NULL), -EPERM);
	CO_EXPECT_EQ(co_io_wait(props->io, CO_READABLE), -EPERM);
	CO_EXPECT_EQ(co_wait_fd(props->peer, CO_WRITABLE), -EPERM);
	CO_EXPECT_EQ(co_tcp_connect((struct sockaddr *)&address, size, &io),
			-EPERM);
	CO_EXPECT(io == NULL);
}

static void expect_not_permitted(struct props *props)
{
	struct co_deadline scope = { NULL, NULL, 0, 0, 0 };
	int item = 1, blocks = 0;
	struct co_select_case get =
			CO_SELECT_CASE_GET(props->channel, &item);

	CO_EXPECT_EQ(co_yield(), -EPERM);
	CO_EXPECT_EQ(co_sleep(0), -EPERM);
	CO_EXPECT_EQ(co_sleep(CO_HOUR), -EPERM);
	CO_EXPECT_EQ(co_sleep_until(0), -EPERM);
	CO_EXPECT_EQ(co_suspend(ignore_parked, NULL), -EPERM);
	CO_EXPECT_EQ(co_cancel_mask(1), -EPERM);
	CO_EXPECT_EQ(co_join(props->task, NULL), -EPERM);
	CO_EXPECT_EQ(co_deadline_mask(&scope), -EPERM);
	CO_EXPECT_EQ(co_deadline_begin(&scope, 0), -EPERM);
	CO_EXPECT_EQ(co_deadline_end(&scope), -EINVAL);
	CO_WITH_DEADLINE(0)
		blocks++;
	CO_EXPECT_EQ(blocks, 1);
	CO_EXPECT_EQ(co_channel_put(props->channel, &item), -EPERM);
	CO_EXPECT_EQ(co_channel_get(props->channel, &item), -EPERM);
	CO_EXPECT_EQ(co_select(&get, 1), -EPERM);
	CO_EXPECT_EQ(co_lock_acquire(&props->lock), -EPERM);
	CO_EXPECT(co_locked_acquire_value(&props->lock, &item) == NULL);
	CO_EXPECT(co_self() == NULL);
	expect_io_not_permitted(props);

	/* Nothing happened: the channel still has its item, the lock is
	 * free, and what needs no waiting works here, too. */
	CO_EXPECT_EQ(co_channel_length(props->channel), 1);
	CO_EXPECT_EQ(co_channel_try_get(props->channel, &item), 0);
	CO_EXPECT_EQ(co_channel_try_get(props->channel, &item), -EAGAIN);
	CO_EXPECT_EQ(co_channel_try_put(props->channel, &item), 0);
	CO_EXPECT_EQ(co_try_select(&get, 1), 0);
	CO_EXPECT_EQ(co_channel_try_put(props->channel, &item), 0);
	CO_EXPECT_EQ(co_lock_try_acquire(&props->lock), 0);
	CO_EXPECT_EQ(co_lock_release(&props->lock), 0);
	CO_EXPECT_EQ(co_lock_release(&props->lock), -EPERM);
}

static void try_in_tick(struct co_tick *tick)
{
	struct props *props = (struct props *)tick;

	CO_EXPECT(co_loop_current() == props->loop);
	expect_not_permitted(props);
	counter_add(&props->done, 1);
}

static void try_in_thread(void *arg)
{
	expect_not_permitted(arg);
}

static int wait_for_done(void *arg)
{
	struct props *props = arg;

	while (counter_get(&props->done) == 0)
		co_sleep(CO_MILLISECOND);

	return 0;
}

Test(place, blocking_calls_are_for_tasks_only)
{
	struct props props = { .tick = { .run = try_in_tick },
			.lock = CO_LOCK_INIT };
	struct test_thread thread;
	int fds[2], item = 5;

	props.loop = loop_or_die(2);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(co_io_open(props.loop, fds[0], &props.io), 0);
	cr_assert_eq(write(fds[1], "abcd", 4), 4);
	props.peer = fds[1];
	cr_assert_eq(co_channel_create(props.loop, sizeof item, 2,
			&props.channel), 0);
	cr_assert_eq(co_channel_try_put(props.channel, &item), 0);
	props.task = spawn_or_die(props.loop, wait_for_done, &props);

	expect_not_permitted(&props);
	test_thread_start(&thread, NULL, try_in_thread, &props);
	test_thread_join(&thread);
	cr_assert_eq(co_loop_on_next_tick(props.loop, &props.tick), 0);
	cr_assert_eq(co_loop_run(props.loop), 0);
	cr_assert_eq(counter_get(&props.done), 1);

	cr_assert_eq(join_or_die(props.task), 0);
	cr_assert_eq(co_lock_deinit(&props.lock), 0);
	cr_assert_eq(co_io_close(props.io), 0);
	close(fds[1]);
	cr_assert_eq(co_channel_destroy(props.channel), 0);
	cr_assert_eq(co_loop_destroy(props.loop), 0);
	test_expect_no_leak();
}
