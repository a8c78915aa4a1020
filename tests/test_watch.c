/* SPDX-License-Identifier: MIT */

/* test_watch.c - co_loop_add_fd() and its companions of co_loop(3) */

#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A watch that counts what it is told, and reads all there is to read. */
struct watch {
	struct co_resume_node node;
	struct co_loop *loop;
	int fd;
	int peer;
	struct test_counter calls;
	struct test_counter bytes;
	struct test_counter seen;	/* events, or'ed */
	struct test_counter inside;
};

static void remember(struct watch *watch, unsigned events)
{
	CO_EXPECT(co_self() == NULL);
	CO_EXPECT(co_loop_current() == watch->loop);
	CO_EXPECT(events != 0);
	counter_set(&watch->seen, counter_get(&watch->seen) | events);
}

static void drain(struct watch *watch)
{
	char data[256];
	ssize_t n;

	while ((n = read(watch->fd, data, sizeof data)) > 0)
		counter_add(&watch->bytes, (size_t)n);
}

static void drain_when_ready(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	remember(watch, events);
	drain(watch);
	counter_add(&watch->calls, 1);
}

static void open_watch(struct watch *watch,
		void (*ready)(struct co_resume_node *, unsigned))
{
	int fds[2];

	memset(watch, 0, sizeof *watch);
	test_or_die(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	watch->node.ready = ready;
	watch->loop = co_loop_current();
	watch->fd = fds[0];
	watch->peer = fds[1];
}

static void close_watch(struct watch *watch)
{
	close(watch->fd);
	close(watch->peer);
}

static void say(struct watch *watch)
{
	CO_EXPECT_EQ(write(watch->peer, "x", 1), 1);
}

/* Wait until COUNTER has at least the value WANT, up to 30 s. */
static void await(const struct test_counter *counter, size_t want)
{
	co_time end = co_after(30 * CO_SECOND);

	while (counter_get(counter) < want && co_now() < end)
		co_sleep(CO_MILLISECOND / 10);
	CO_EXPECT(counter_get(counter) >= want);
}

CO_TEST(watch, each_arrival_of_data_is_reported)
{
	struct watch watch;
	size_t i;

	open_watch(&watch, drain_when_ready);
	CO_EXPECT_EQ(co_loop_add_fd(NULL, watch.fd, CO_READABLE, &watch.node),
			-EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	for (i = 1; i <= 20; i++) {
		say(&watch);
		await(&watch.bytes, i);
	}
	CO_EXPECT_EQ(counter_get(&watch.bytes), 20);
	CO_EXPECT(counter_get(&watch.seen) & CO_READABLE);
	CO_EXPECT(!(counter_get(&watch.seen) & (CO_HANGUP | CO_ERROR)));
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

CO_TEST(watch, what_is_there_already_is_reported)
{
	struct watch watch;

	open_watch(&watch, drain_when_ready);
	say(&watch);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	await(&watch.bytes, 1);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	say(&watch);
	co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(counter_get(&watch.bytes), 1);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	await(&watch.bytes, 2);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

CO_TEST(watch, the_end_of_the_stream_is_reported)
{
	struct watch watch;

	open_watch(&watch, drain_when_ready);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	co_sleep(CO_MILLISECOND);
	CO_EXPECT_EQ(counter_get(&watch.calls), 0);
	CO_EXPECT_EQ(shutdown(watch.peer, SHUT_WR), 0);
	await(&watch.calls, 1);
	CO_EXPECT(counter_get(&watch.seen) & CO_READABLE);
	CO_EXPECT(counter_get(&watch.seen) & CO_HANGUP);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

CO_TEST(watch, only_what_was_asked_for_is_reported)
{
	struct watch watch;

	open_watch(&watch, drain_when_ready);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_WRITABLE,
			&watch.node), 0);
	await(&watch.calls, 1);
	CO_EXPECT(counter_get(&watch.seen) & CO_WRITABLE);

	counter_set(&watch.seen, 0);
	CO_EXPECT_EQ(co_loop_mod_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	co_sleep(2 * CO_MILLISECOND);
	CO_EXPECT_EQ(counter_get(&watch.seen) & CO_WRITABLE, 0);
	say(&watch);
	await(&watch.bytes, 1);
	CO_EXPECT(counter_get(&watch.seen) & CO_READABLE);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

static void only_count(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	remember(watch, events);
	counter_add(&watch->calls, 1);
}

CO_TEST(watch, mod_reports_again_what_is_still_there)
{
	struct watch watch, other;
	size_t calls;

	open_watch(&watch, only_count);
	open_watch(&other, drain_when_ready);
	close_watch(&other);
	other.fd = watch.fd;
	CO_EXPECT_EQ(co_loop_mod_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), -ENOENT);
	say(&watch);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	await(&watch.calls, 1);
	calls = counter_get(&watch.calls);
	CO_EXPECT_EQ(co_loop_mod_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	await(&watch.calls, calls + 1);
	CO_EXPECT_EQ(co_loop_mod_fd(watch.loop, watch.fd, CO_READABLE,
			&other.node), 0);
	await(&other.bytes, 1);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

CO_TEST(watch, what_cannot_be_watched_is_refused)
{
	struct watch watch, other;
	struct co_loop *loop = co_loop_current();
	struct co_io *io = NULL;
	int file = open("/proc/self/exe", O_RDONLY);

	open_watch(&watch, only_count);
	open_watch(&other, only_count);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, watch.fd), -ENOENT);
	CO_EXPECT_EQ(co_loop_add_fd(loop, watch.fd, 0, &watch.node), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(loop, watch.fd, 64, &watch.node), -EINVAL);
	CO_EXPECT_EQ(co_loop_add_fd(loop, file, CO_READABLE, &watch.node),
			-EPERM);
	CO_EXPECT_EQ(co_loop_add_fd(loop, 987, CO_READABLE, &watch.node),
			-EBADF);
	CO_EXPECT_EQ(co_loop_add_fd(loop, -1, CO_READABLE, &watch.node),
			-EBADF);

	CO_EXPECT_EQ(co_loop_add_fd(loop, watch.fd, CO_READABLE, &watch.node),
			0);
	CO_EXPECT_EQ(co_loop_add_fd(loop, watch.fd, CO_READABLE, &other.node),
			-EEXIST);
	CO_EXPECT_EQ(co_io_open(loop, watch.fd, &io), -EEXIST);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, watch.fd), 0);
	CO_EXPECT_EQ(co_loop_remove_fd(loop, watch.fd), -ENOENT);
	CO_EXPECT_EQ(co_loop_mod_fd(loop, watch.fd, CO_READABLE, &watch.node),
			-ENOENT);
	CO_EXPECT_EQ(co_io_open(loop, watch.fd, &io), 0);
	CO_EXPECT_EQ(co_loop_add_fd(loop, watch.fd, CO_READABLE, &watch.node),
			-EEXIST);
	CO_EXPECT_EQ(co_io_close(io), 0);
	close(watch.peer);
	close_watch(&other);
	close(file);

	return 0;
}

/* --- Calls from inside ready() ----------------------------------------- */

static void remove_and_free(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	remember(watch, events);
	CO_EXPECT_EQ(co_loop_remove_fd(watch->loop, watch->fd), 0);
	close_watch(watch);
	free(watch);
}

/* With no task left, the watches are what keeps the loop running. */
Test(watch, it_keeps_the_loop_running_until_removed_from_inside)
{
	unsigned threads;
	size_t i;

	for (threads = 1; threads <= 4; threads += 3) {
		struct co_loop *loop = loop_or_die(threads);

		for (i = 0; i < 20; i++) {
			struct watch *watch = malloc(sizeof *watch);

			open_watch(watch, remove_and_free);
			watch->loop = loop;
			say(watch);
			cr_assert_eq(co_loop_add_fd(loop, watch->fd,
					CO_READABLE, &watch->node), 0);
		}
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
	}
	test_expect_no_leak();
}

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

static void spawn_when_ready(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	remember(watch, events);
	drain(watch);
	CO_EXPECT_EQ(co_spawn(watch->loop, count_up, &watch->calls, NULL), 0);
}

CO_TEST(watch, ready_may_spawn_tasks)
{
	struct watch watch;

	open_watch(&watch, spawn_when_ready);
	say(&watch);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	await(&watch.calls, 1);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

/* --- A backend that is told what to report again ------------------------ */

static void run_with_poll(co_task_fn *fn)
{
	test_or_die(setenv("COLOOP_BACKEND", "poll", 1));
	cr_assert_eq(run_in_loop(1, fn, NULL), 0);
}

/* Answers the first input with as much as there is room for. */
static void answer_when_ready(struct co_resume_node *node, unsigned events)
{
	static const char data[4096];
	struct watch *watch = (struct watch *)node;

	remember(watch, events);
	if (events & CO_WRITABLE)
		counter_add(&watch->calls, 1);
	if (!(events & CO_READABLE) || counter_get(&watch->bytes) != 0)
		return;
	drain(watch);
	while (write(watch->fd, data, sizeof data) > 0)
		;
}

static int answer_at_length(void *arg)
{
	struct watch watch;
	char data[4096];

	(void)arg;
	open_watch(&watch, answer_when_ready);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd,
			CO_READABLE | CO_WRITABLE, &watch.node), 0);
	await(&watch.calls, 1);
	say(&watch);
	await(&watch.bytes, 1);
	CO_EXPECT_EQ(counter_get(&watch.calls), 1);
	while (read(watch.peer, data, sizeof data) > 0)
		;
	await(&watch.calls, 2);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close_watch(&watch);

	return 0;
}

/* The call that used the room up was told of input alone. */
Test(watch, room_that_is_used_up_when_input_comes_is_reported_again)
{
	run_with_poll(answer_at_length);
}

static int lose_the_reader(void *arg)
{
	struct watch watch;
	int ends[2];

	(void)arg;
	open_watch(&watch, only_count);
	close_watch(&watch);
	test_or_die(pipe(ends));
	watch.fd = ends[1];
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd,
			CO_READABLE | CO_WRITABLE, &watch.node), 0);
	await(&watch.calls, 1);
	close(ends[0]);
	await(&watch.calls, 2);
	co_sleep(10 * CO_MILLISECOND);
	CO_EXPECT(counter_get(&watch.seen) & CO_ERROR);
	CO_EXPECT(counter_get(&watch.calls) <= 3);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	close(watch.fd);

	return 0;
}

Test(watch, an_error_that_lasts_is_not_reported_for_ever)
{
	run_with_poll(lose_the_reader);
}

/* --- Many threads ------------------------------------------------------ */

static void stay_inside(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;
	co_time end = co_after(CO_MILLISECOND / 2);

	CO_EXPECT_EQ(counter_add(&watch->inside, 1), 0);
	remember(watch, events);
	drain(watch);
	while (co_now() < end)
		AO_compiler_barrier();
	counter_add(&watch->calls, 1);
	counter_add(&watch->inside, (size_t)-1);
}

/* Not all at once, however late the first call comes. */
static void say_often(void *arg)
{
	struct timespec pause = { 0, 100000 };
	struct watch *watch = arg;
	int i;

	for (i = 0; i < 200; i++) {
		while (i == 100 && counter_get(&watch->calls) == 0)
			nanosleep(&pause, NULL);
		say(watch);
		nanosleep(&pause, NULL);
	}
}

CO_TEST(watch, ready_never_runs_twice_at_once)
{
	struct test_thread thread;
	struct watch watch;

	open_watch(&watch, stay_inside);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	test_thread_start(&thread, watch.loop, say_often, &watch);
	await(&watch.bytes, 200);
	CO_EXPECT_EQ(co_loop_remove_fd(watch.loop, watch.fd), 0);
	CO_EXPECT_EQ(counter_get(&watch.inside), 0);
	CO_EXPECT(counter_get(&watch.calls) >= 2);
	test_thread_join(&thread);
	close_watch(&watch);

	return 0;
}

/* When remove returns, ready() isn't running, and the node may be freed. */
static int add_and_free(void *arg)
{
	size_t n = CO_TEST_SCALE(150), i;
	struct watch *watch;

	for (i = 0; i < n; i++) {
		watch = malloc(sizeof *watch);
		open_watch(watch, stay_inside);
		CO_EXPECT_EQ(co_loop_add_fd(watch->loop, watch->fd,
				CO_READABLE | CO_WRITABLE, &watch->node), 0);
		say(watch);
		if (i % 3 == 0)
			co_yield();
		say(watch);
		CO_EXPECT_EQ(co_loop_remove_fd(watch->loop, watch->fd), 0);
		CO_EXPECT_EQ(counter_get(&watch->inside), 0);
		close_watch(watch);
		memset(watch, 0xee, sizeof *watch);
		free(watch);
	}
	(void)arg;

	return 0;
}

CO_TEST(watch, a_node_is_the_callers_when_remove_has_returned)
{
	spawn_and_join_all(6, add_and_free, NULL);
	return 0;
}

static void stay_long(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	(void)events;
	counter_set(&watch->inside, 1);
	while (counter_get(&watch->calls) == 0)
		usleep(100);
	usleep(20000);
	counter_set(&watch->inside, 0);
}

static void remove_meanwhile(void *arg)
{
	struct watch *watch = arg;

	while (counter_get(&watch->inside) == 0)
		usleep(100);
	counter_set(&watch->calls, 1);
	CO_EXPECT_EQ(co_loop_remove_fd(watch->loop, watch->fd), 0);
	CO_EXPECT_EQ(counter_get(&watch->inside), 0);
}

CO_TEST(watch, a_thread_that_removes_waits_for_ready)
{
	struct test_thread thread;
	struct watch watch;

	open_watch(&watch, stay_long);
	test_thread_start(&thread, watch.loop, remove_meanwhile, &watch);
	CO_EXPECT_EQ(co_loop_add_fd(watch.loop, watch.fd, CO_READABLE,
			&watch.node), 0);
	say(&watch);
	await(&watch.calls, 1);
	test_thread_join(&thread);
	close_watch(&watch);

	return 0;
}

/* A watch that removes another one. */
struct remover {
	struct watch watch;
	struct watch *other;
};

static void remove_the_other(struct co_resume_node *node, unsigned events)
{
	struct remover *self = (struct remover *)node;

	(void)events;
	drain(&self->watch);
	if (counter_add(&self->watch.calls, 1) == 0)
		remove_meanwhile(self->other);
}

/* Two threads are in ready(), and one awaits the other. */
static int remove_inside(void *arg)
{
	struct remover remover;
	struct watch slow;

	(void)arg;
	open_watch(&slow, stay_long);
	open_watch(&remover.watch, remove_the_other);
	remover.other = &slow;
	CO_EXPECT_EQ(co_loop_add_fd(slow.loop, slow.fd, CO_READABLE,
			&slow.node), 0);
	CO_EXPECT_EQ(co_loop_add_fd(slow.loop, remover.watch.fd, CO_READABLE,
			&remover.watch.node), 0);
	say(&slow);
	await(&slow.inside, 1);
	say(&remover.watch);
	await(&slow.calls, 1);
	CO_EXPECT_EQ(co_loop_remove_fd(slow.loop, remover.watch.fd), 0);
	CO_EXPECT_EQ(counter_get(&slow.inside), 0);
	close_watch(&slow);
	close_watch(&remover.watch);

	return 0;
}

Test(watch, ready_that_removes_another_waits_for_it)
{
	cr_assert_eq(run_in_loop(4, remove_inside, NULL), 0);
}

static void remove_it(void *arg)
{
	struct watch *watch = arg;

	while (counter_get(&watch->calls) == 0)
		AO_compiler_barrier();
	CO_EXPECT_EQ(co_loop_remove_fd(watch->loop, watch->fd), 0);
	CO_EXPECT_EQ(counter_get(&watch->inside), 0);
}

/* The loop has no task: what remove does must be enough to end it. */
Test(watch, the_last_watch_removed_by_a_thread_ends_the_loop)
{
	unsigned threads;

	for (threads = 1; threads <= 4; threads += 3) {
		struct co_loop *loop = loop_or_die(threads);
		struct test_thread thread;
		struct watch watch;

		open_watch(&watch, stay_inside);
		watch.loop = loop;
		say(&watch);
		cr_assert_eq(co_loop_add_fd(loop, watch.fd, CO_READABLE,
				&watch.node), 0);
		test_thread_start(&thread, NULL, remove_it, &watch);
		cr_assert_eq(co_loop_run(loop), 0);
		test_thread_join(&thread);
		cr_assert_eq(co_loop_destroy(loop), 0);
		close_watch(&watch);
	}
	test_expect_no_leak();
}
