/* SPDX-License-Identifier: MIT */

#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"
#include "overflow.h"

/* --- A poller, and what it says --------------------------------------- */

#define BOTH (CO_READABLE | CO_WRITABLE)

#define A_WHILE (50 * CO_MILLISECOND)

/* Longer than any test waits for what is to come. */
#define AGES (30 * CO_SECOND)

#define BATCH 64

struct scene {
	const struct co__os_backend *os;
	struct co__poller *poller;
	struct co__poll_event events[BATCH];
};

static struct scene scene;

static void enter(const char *backend)
{
	scene.os = co__os_backend(backend);
	if (scene.os == NULL)
		cr_skip_test("no such backend in this build");
	cr_assert_eq(scene.os->create(&scene.poller), 0);
}

static void leave(void)
{
	scene.os->destroy(scene.poller);
	test_expect_no_leak();
}

static void find_no_descriptor(const char *backend)
{
	const struct co__os_backend *os = co__os_backend(backend);
	struct co__poller *poller = NULL;
	struct rlimit limit;

	if (os == NULL)
		cr_skip_test("no such backend in this build");
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)dup(0);
	close((int)limit.rlim_cur);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(os->create(&poller), -EMFILE);
	cr_assert_null(poller);
}

Test(os_epoll, without_a_descriptor_there_is_no_poller)
{
	find_no_descriptor("epoll");
}

Test(os_poll, without_a_descriptor_there_is_no_poller)
{
	find_no_descriptor("poll");
}

/* A test of each backend, which has a poller in `scene`. */
#define OS_TEST_ON_(backend, name)                                          \
	Test(os_##backend, name)                                            \
	{                                                                   \
		enter(#backend);                                            \
		name();                                                     \
		leave();                                                    \
	}

#define OS_TEST(name)                                                       \
	static void name(void);                                             \
	OS_TEST_ON_(epoll, name)                                            \
	OS_TEST_ON_(poll, name)                                             \
	static void name(void)

static int add(int fd, uint64_t key)
{
	return scene.os->add(scene.poller, fd, key);
}

static int renew(int fd, uint64_t key)
{
	return scene.os->renew(scene.poller, fd, key);
}

static void drop(int fd)
{
	scene.os->remove(scene.poller, fd);
}

/* As the loop does before it waits again. */
static void rearm(int fd, uint64_t key, unsigned events)
{
	if (scene.os->rearm != NULL)
		scene.os->rearm(scene.poller, fd, key, events);
}

static int wait_for(co_time timeout)
{
	return scene.os->wait(scene.poller, scene.events, BATCH, timeout);
}

static void wake(void *arg)
{
	(void)arg;
	scene.os->wake(scene.poller);
}

/* The events of the one thing that happened; its key must be KEY. */
static unsigned the_event(uint64_t key)
{
	cr_assert_eq(wait_for(AGES), 1);
	cr_assert_eq(scene.events[0].key, key);
	return scene.events[0].events;
}

static void nothing_happens(void)
{
	cr_assert_eq(wait_for(0), 0);
	cr_assert_eq(wait_for(5 * CO_MILLISECOND), 0);
}

/* --- Descriptors ------------------------------------------------------ */

static void open_pipe(int ends[2])
{
	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void open_sockets(int ends[2])
{
	cr_assert_eq(socketpair(AF_UNIX,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
			0);
}

static void close_both(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static void put_byte(int fd)
{
	test_or_die(write(fd, "x", 1) - 1);
}

static void take_bytes(int fd)
{
	char bytes[4096];

	while (read(fd, bytes, sizeof bytes) > 0)
		continue;
}

static void fill_up(int fd)
{
	static const char bytes[4096];

	while (write(fd, bytes, sizeof bytes) > 0)
		continue;
}

/* --- The table of backends -------------------------------------------- */

Test(os, the_default_exists)
{
	cr_assert_not_null(co__os_backend(NULL));
}

Test(os, backends_are_found_by_name)
{
	cr_assert_str_eq(co__os_backend("poll")->name, "poll");
	cr_assert_null(co__os_backend("telepathy"));
	cr_assert_null(co__os_backend(""));
}

/* --- What is reported ------------------------------------------------- */

OS_TEST(what_is_there_already_is_reported)
{
	int ends[2];

	open_pipe(ends);
	put_byte(ends[1]);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(the_event(7), CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(each_event_is_reported_once)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	nothing_happens();
	put_byte(ends[1]);
	cr_assert_eq(the_event(7), CO_READABLE);
	nothing_happens();
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(an_event_is_reported_again_after_new_data)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	for (int i = 0; i < 5; i++) {
		put_byte(ends[1]);
		cr_assert_eq(the_event(7), CO_READABLE);
		take_bytes(ends[0]);
		rearm(ends[0], 7, CO_READABLE);
		nothing_happens();
	}
	drop(ends[0]);
	close_both(ends);
}

/* What comes between the owner's EAGAIN and rearm() is not lost. */
OS_TEST(data_before_the_rearming_is_reported)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	put_byte(ends[1]);
	cr_assert_eq(the_event(7), CO_READABLE);
	take_bytes(ends[0]);
	put_byte(ends[1]);
	rearm(ends[0], 7, CO_READABLE);
	cr_assert_eq(the_event(7), CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(both_ends_are_told_apart_by_their_keys)
{
	int ends[2];
	uint64_t keys;

	open_pipe(ends);
	put_byte(ends[1]);
	cr_assert_eq(add(ends[0], UINT64_MAX - 1), 0);
	cr_assert_eq(add(ends[1], 0), 0);
	cr_assert_eq(wait_for(AGES), 2);
	keys = scene.events[0].key ^ scene.events[1].key;
	cr_assert_eq(keys, UINT64_MAX - 1);
	nothing_happens();
	drop(ends[0]);
	drop(ends[1]);
	close_both(ends);
}

OS_TEST(room_to_write_is_reported_when_it_comes)
{
	int ends[2];

	open_sockets(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(the_event(7), CO_WRITABLE);
	fill_up(ends[0]);
	rearm(ends[0], 7, CO_WRITABLE);
	nothing_happens();
	take_bytes(ends[1]);
	cr_assert_eq(the_event(7), CO_WRITABLE);
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(directions_are_rearmed_one_by_one)
{
	int ends[2];

	open_sockets(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(the_event(7), CO_WRITABLE);
	put_byte(ends[1]);
	cr_assert_eq(the_event(7) & ~CO_WRITABLE, CO_READABLE);
	take_bytes(ends[0]);
	rearm(ends[0], 7, CO_READABLE);
	put_byte(ends[1]);
	cr_assert_eq(the_event(7) & ~CO_WRITABLE, CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(a_hangup_is_reported_with_the_data_before_it)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	put_byte(ends[1]);
	close(ends[1]);
	cr_assert_eq(the_event(7), BOTH | CO_HANGUP);
	nothing_happens();
	drop(ends[0]);
	close(ends[0]);
}

OS_TEST(a_half_closed_peer_is_a_hangup_for_reading)
{
	int ends[2];

	open_sockets(ends);
	fill_up(ends[0]);
	cr_assert_eq(add(ends[0], 7), 0);
	nothing_happens();
	put_byte(ends[1]);
	cr_assert_eq(shutdown(ends[1], SHUT_WR), 0);
	cr_assert_eq(the_event(7), CO_READABLE | CO_HANGUP);
	nothing_happens();
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(a_closed_peer_is_a_hangup_both_ways)
{
	int ends[2];

	open_sockets(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(the_event(7), CO_WRITABLE);
	close(ends[1]);
	cr_assert_eq(the_event(7) & ~CO_ERROR, BOTH | CO_HANGUP);
	nothing_happens();
	drop(ends[0]);
	close(ends[0]);
}

OS_TEST(an_error_comes_with_both_directions)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[1], 7), 0);
	cr_assert_eq(the_event(7), CO_WRITABLE);
	close(ends[0]);
	cr_assert_eq(the_event(7), BOTH | CO_ERROR);
	nothing_happens();
	drop(ends[1]);
	close(ends[1]);
}

OS_TEST(renewing_reports_again)
{
	int ends[2];

	open_sockets(ends);
	put_byte(ends[1]);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(the_event(7), BOTH);
	nothing_happens();
	cr_assert_eq(renew(ends[0], 8), 0);
	cr_assert_eq(the_event(8), BOTH);
	nothing_happens();
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(a_removed_descriptor_is_silent)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	drop(ends[0]);
	put_byte(ends[1]);
	nothing_happens();
	cr_assert_eq(renew(ends[0], 7), -ENOENT);
	rearm(ends[0], 7, CO_READABLE);
	nothing_happens();
	cr_assert_eq(add(ends[0], 8), 0);
	cr_assert_eq(the_event(8), CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

/* --- What is refused -------------------------------------------------- */

OS_TEST(a_closed_descriptor_is_refused)
{
	int ends[2];

	open_pipe(ends);
	close_both(ends);
	cr_assert_eq(add(ends[0], 7), -EBADF);
	cr_assert_eq(renew(ends[0], 7), -EBADF);
	cr_assert_eq(add(-1, 7), -EBADF);
	cr_assert_eq(renew(-1, 7), -EBADF);
	drop(ends[0]);
	drop(-1);
	drop(1000000);
}

OS_TEST(regular_files_and_folders_are_refused)
{
	const off_t large = (off_t)1 << 33;	/* more than 32 bits can count */
	FILE *file = tmpfile();
	int folder = open("/", O_RDONLY | O_CLOEXEC);

	cr_assert_not_null(file);
	cr_assert_geq(folder, 0);
	cr_assert_eq(add(fileno(file), 7), -EPERM);
	cr_assert_eq(ftruncate(fileno(file), large), 0);
	cr_assert_eq(add(fileno(file), 7), -EPERM);
	cr_assert_eq(add(folder, 7), -EPERM);
	nothing_happens();
	close(folder);
	fclose(file);
}

OS_TEST(a_second_addition_is_refused)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(add(ends[0], 8), -EEXIST);
	put_byte(ends[1]);
	cr_assert_eq(the_event(7), CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

/* Closing ends the watch; at most an error is reported before it. */
OS_TEST(a_descriptor_closed_while_watched_is_forgotten)
{
	int ends[2], more[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	close(ends[0]);
	if (wait_for(0) == 1)
		cr_assert_eq(scene.events[0].events, BOTH | CO_ERROR);
	nothing_happens();

	open_pipe(more);
	cr_assert_eq(more[0], ends[0], "the number is used again");
	cr_assert_eq(add(more[0], 8), 0);
	put_byte(more[1]);
	cr_assert_eq(the_event(8), CO_READABLE);
	drop(more[0]);
	close_both(more);
	close(ends[1]);
}

/* --- Time ------------------------------------------------------------- */

OS_TEST(a_timeout_lasts_as_long_as_asked)
{
	static const co_time lengths[] = {
		1, 999, CO_MICROSECOND, 999999, CO_MILLISECOND, 1000001,
		2500 * CO_MICROSECOND, 20 * CO_MILLISECOND,
	};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		co_time begin = co_now();

		cr_assert_eq(wait_for(lengths[i]), 0);
		cr_assert_geq(co_now() - begin, lengths[i]);
	}
}

static void wake_in_a_moment(void *arg)
{
	co_time moment = *(co_time *)arg, begin = co_now();

	while (co_now() - begin < moment)
		poll(NULL, 0, 1);
	wake(NULL);
}

/* Wait for TIMEOUT; another thread wakes long before. */
static void is_woken_from(co_time timeout)
{
	co_time begin = co_now(), moment = 5 * CO_MILLISECOND;
	struct test_thread thread;

	test_thread_start(&thread, NULL, wake_in_a_moment, &moment);
	cr_expect_eq(wait_for(timeout), 0);
	cr_expect_geq(co_now() - begin, moment, "it waited");
	test_thread_join(&thread);
}

/* A timeout too long for some type would end at once, or never block. */
OS_TEST(the_longest_timeouts_wait_too)
{
	static const co_time lengths[] = {
		-1, INT64_MIN, CO_NEVER, CO_NEVER - 1,
		(co_time)INT32_MAX * CO_SECOND + 1,
		(co_time)INT32_MAX * CO_SECOND,
		(co_time)INT32_MAX * CO_MILLISECOND + 1,
		(co_time)INT32_MAX * CO_MILLISECOND,
	};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		is_woken_from(lengths[i]);
}

/* --- Waking ----------------------------------------------------------- */

OS_TEST(a_wake_interrupts_a_wait)
{
	co_time begin = co_now();

	is_woken_from(AGES);
	cr_assert_lt(co_now() - begin, AGES);
	nothing_happens();
}

OS_TEST(a_wake_before_the_wait_is_not_lost)
{
	co_time begin = co_now();

	for (int i = 0; i < 10; i++) {
		wake(NULL);
		cr_assert_eq(wait_for(AGES), 0);
	}
	cr_assert_lt(co_now() - begin, AGES);
}

/* Many wakes are at most so many returns. */
OS_TEST(wakes_are_used_up)
{
	co_time begin;

	for (int i = 0; i < 1000; i++)
		wake(NULL);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(wait_for(0), 0);
	begin = co_now();
	cr_assert_eq(wait_for(10 * CO_MILLISECOND), 0);
	cr_assert_geq(co_now() - begin, 10 * CO_MILLISECOND);
}

OS_TEST(a_wake_does_not_hide_events)
{
	int ends[2];

	open_pipe(ends);
	cr_assert_eq(add(ends[0], 7), 0);
	wake(NULL);
	put_byte(ends[1]);
	if (wait_for(AGES) == 0)
		cr_assert_eq(wait_for(AGES), 1);
	cr_assert_eq(scene.events[0].key, 7);
	drop(ends[0]);
	close_both(ends);
}

/* A thread that wakes once for each answer that it gets.  Where each takes as
 * long as a thread may run, it makes fewer calls. */
struct caller {
	struct test_thread thread;
	struct test_counter calls;
	struct test_counter answers;
	size_t rounds;
};

static void call_and_wait(void *arg)
{
	struct caller *self = arg;
	co_time end = co_now() + 15 * CO_SECOND;

	for (size_t i = 1; i <= self->rounds && co_now() < end; i++) {
		counter_set(&self->calls, i);
		wake(NULL);
		while (counter_get(&self->answers) < i)
			sched_yield();
	}
	counter_set(&self->calls, SIZE_MAX);
	wake(NULL);
}

static bool answer(struct caller *self)
{
	counter_set(&self->answers, counter_get(&self->calls));
	return counter_get(&self->calls) == SIZE_MAX;
}

/* Each caller has one call on its way: a wake that is lost, or that comes
 * before what it announces can be seen, stops it for good. */
OS_TEST(no_wake_is_lost_between_threads)
{
	struct caller callers[2];
	co_time begin = co_now();
	int ready = 0;

	memset(callers, 0, sizeof callers);
	for (int i = 0; i < 2; i++) {
		callers[i].rounds = CO_TEST_SCALE(5000);
		test_thread_start(&callers[i].thread, NULL, call_and_wait,
				&callers[i]);
	}
	while (ready < 2 && co_now() - begin < 3 * AGES) {
		co_time before = co_now();

		CO_EXPECT_EQ(wait_for(AGES), 0);
		CO_EXPECT(co_now() - before < AGES);
		ready = answer(&callers[0]) + answer(&callers[1]);
	}
	for (int i = 0; i < 2; i++)
		test_thread_join(&callers[i].thread);
}

static void wake_from_a_signal(int number)
{
	int before = errno;

	(void)number;
	wake(NULL);
	CO_EXPECT_EQ(errno, before);
}

static void ignore_a_signal(int number)
{
	(void)number;
}

/* Call HANDLER every few milliseconds while waiting without limit. */
static void wait_with_signals(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never;

	memset(&never, 0, sizeof never);
	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(wait_for(-1), 0);
	cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
}

OS_TEST(a_signal_ends_a_wait)
{
	wait_with_signals(ignore_a_signal);
}

OS_TEST(a_signal_handler_may_wake)
{
	wait_with_signals(wake_from_a_signal);
}

/* --- Changes while another thread waits ------------------------------- */

/* What the other thread does after a while. */
struct change {
	void (*make)(const struct change *change);
	int fd;
	int peer;
};

static void change_later(void *arg)
{
	struct change *change = arg;

	poll(NULL, 0, (int)(A_WHILE / CO_MILLISECOND));
	change->make(change);
}

/* Wait while another thread changes something; the number of events. */
static int wait_during(struct change change)
{
	struct test_thread thread;
	int count;

	test_thread_start(&thread, NULL, change_later, &change);
	count = wait_for(AGES);
	test_thread_join(&thread);
	return count;
}

static void make_addition(const struct change *change)
{
	CO_EXPECT_EQ(add(change->fd, 7), 0);
}

static void make_renewal(const struct change *change)
{
	CO_EXPECT_EQ(renew(change->fd, 7), 0);
}

static void make_rearming(const struct change *change)
{
	take_bytes(change->fd);
	rearm(change->fd, 7, CO_READABLE);
	put_byte(change->peer);
}

/* Nothing of the poller may keep the connection open: the peer sees its end,
 * which need not be asked for. */
static void make_closing(const struct change *change)
{
	struct pollfd peer = { .fd = change->peer, .events = 0 };

	drop(change->fd);
	close(change->fd);
	CO_EXPECT_EQ(poll(&peer, 1, (int)(AGES / CO_MILLISECOND / 2)), 1);
	wake(NULL);
}

OS_TEST(changes_are_seen_by_a_wait_under_way)
{
	int ends[2];

	open_pipe(ends);
	put_byte(ends[1]);
	cr_assert_eq(wait_during((struct change){ make_addition, ends[0],
			ends[1] }), 1);
	nothing_happens();
	cr_assert_eq(wait_during((struct change){ make_renewal, ends[0],
			ends[1] }), 1);
	nothing_happens();
	cr_assert_eq(wait_during((struct change){ make_rearming, ends[0],
			ends[1] }), 1);
	cr_assert_eq(scene.events[0].key, 7);
	cr_assert_eq(scene.events[0].events, CO_READABLE);
	drop(ends[0]);
	close_both(ends);
}

OS_TEST(a_descriptor_can_be_closed_during_a_wait)
{
	int ends[2];

	open_sockets(ends);
	fill_up(ends[0]);
	cr_assert_eq(add(ends[0], 7), 0);
	cr_assert_eq(wait_during((struct change){ make_closing, ends[0],
			ends[1] }), 0);
	close(ends[1]);
}

/* --- Many descriptors ------------------------------------------------- */

#define CROWD 5000

/* Copies of one end of a pipe: each is a descriptor to be watched. */
struct crowd {
	int ends[2];
	int count;
	int fds[CROWD];
	unsigned char seen[CROWD];
};

static struct crowd crowd;

/* As many as the system allows, up to COUNT. */
static void open_crowd(int count)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

	open_pipe(crowd.ends);
	while (crowd.count < count) {
		int fd = fcntl(crowd.ends[0], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			break;
		cr_assert_eq(add(fd, (uint64_t)crowd.count), 0);
		crowd.fds[crowd.count++] = fd;
	}
	cr_assert_gt(crowd.count, 2 * BATCH);
}

static void close_crowd(void)
{
	for (int i = 0; i < crowd.count; i++) {
		drop(crowd.fds[i]);
		close(crowd.fds[i]);
	}
	close_both(crowd.ends);
}

/* Wait once and count who is seen.  Returns the number of events. */
static int look_around(co_time timeout)
{
	int n = wait_for(timeout);

	cr_assert_leq(n, BATCH);
	for (int i = 0; i < n; i++) {
		cr_assert_lt(scene.events[i].key, (uint64_t)crowd.count);
		cr_assert_eq(scene.events[i].events, CO_READABLE);
		crowd.seen[scene.events[i].key]++;
	}
	return n;
}

OS_TEST(each_of_thousands_is_reported_once)
{
	open_crowd(CROWD);
	put_byte(crowd.ends[1]);
	for (int left = crowd.count; left > 0; )
		left -= look_around(AGES);
	for (int i = 0; i < crowd.count; i++)
		cr_assert_eq(crowd.seen[i], 1, "%d", i);
	nothing_happens();
	close_crowd();
}

OS_TEST(half_of_the_crowd_can_leave)
{
	open_crowd(1000);
	for (int i = 0; i < crowd.count; i += 2)
		drop(crowd.fds[i]);
	put_byte(crowd.ends[1]);
	for (int left = crowd.count / 2; left > 0; )
		left -= look_around(AGES);
	for (int i = 0; i < crowd.count; i++)
		cr_assert_eq(crowd.seen[i], i % 2, "%d", i);
	nothing_happens();
	close_crowd();
}

/* Those that always have something to say don't hide the others. */
OS_TEST(busy_descriptors_take_turns)
{
	int rounds;

	open_crowd(4 * BATCH);
	put_byte(crowd.ends[1]);
	for (rounds = 0; rounds < 8; rounds++) {
		cr_assert_eq(look_around(AGES), BATCH);
		for (int i = 0; i < BATCH; i++) {
			uint64_t key = scene.events[i].key;

			cr_assert_eq(renew(crowd.fds[key], key), 0);
		}
	}
	for (int i = 0; i < crowd.count; i++)
		cr_assert_gt(crowd.seen[i], 0, "%d", i);
	close_crowd();
}

/* How often the thread gave up the processor by itself. */
static long count_sleeps(void)
{
	struct rusage usage;

	cr_assert_eq(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* More are open than the process may open by now: the system refuses to be
 * asked for all of them at once. */
OS_TEST(a_lowered_limit_hides_nobody)
{
	struct rlimit limit;
	long before;

	open_crowd(4 * BATCH);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = BATCH / 2;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	put_byte(crowd.ends[1]);
	for (int left = crowd.count; left > 0; )
		left -= look_around(AGES);
	for (int i = 0; i < crowd.count; i++)
		cr_assert_eq(crowd.seen[i], 1, "%d", i);
	/* It sleeps all the same. */
	before = count_sleeps();
	cr_assert_eq(wait_for(4 * A_WHILE), 0);
	cr_assert_gt(count_sleeps(), before);
	scene.os->wake(scene.poller);
	cr_assert_eq(wait_for(AGES), 0);
	close_crowd();
}

/* --- Overruns: what a child process says before it dies --------------- */

struct verdict {
	int status;		/* as of waitpid() */
	char text[1024];	/* what came on standard error */
};

/* The child's handlers are the system's, not those of a checker. */
static void prepare_child(int error_fd)
{
	const struct rlimit none = { 0, 0 };

	alarm((unsigned)(AGES / CO_SECOND));
	setrlimit(RLIMIT_CORE, &none);
	dup2(error_fd, STDERR_FILENO);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

static void hear_out(int fd, char text[1024])
{
	size_t size = 0;
	ssize_t n;

	while (size < 1023 && (n = read(fd, text + size, 1023 - size)) > 0)
		size += (size_t)n;
	text[size] = '\0';
}

/* An emulator, too, says something when its program dies. */
static void cut_emulator(char *text)
{
	char *line = strstr(text, "qemu: ");

	if (line != NULL)
		*line = '\0';
}

static struct verdict run_child(void (*body)(void))
{
	struct verdict verdict;
	int ends[2];
	pid_t child;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		prepare_child(ends[1]);
		body();
		_exit(0);
	}
	close(ends[1]);
	hear_out(ends[0], verdict.text);
	cut_emulator(verdict.text);
	close(ends[0]);
	cr_assert_eq(waitpid(child, &verdict.status, 0), child);
	return verdict;
}

static bool died_of(struct verdict verdict, int number)
{
	return WIFSIGNALED(verdict.status)
			&& WTERMSIG(verdict.status) == number;
}

static bool exited_with(struct verdict verdict, int status)
{
	return WIFEXITED(verdict.status)
			&& WEXITSTATUS(verdict.status) == status;
}

/* Two pages that can't be touched.  The finder knows one of them. */
static volatile char *guard, *abyss;
static size_t page;
static const char *guarded_name;

static bool find_guard(const void *address, char *ret_name,
		size_t *ret_stack_size)
{
	uintptr_t offset = (uintptr_t)address - (uintptr_t)guard;

	if (offset >= page)
		return false;
	strncpy(ret_name, guarded_name, CO__OVERFLOW_NAME_SIZE);
	*ret_stack_size = 64 * 1024;
	return true;
}

static volatile char *map_nothing(void)
{
	void *memory = mmap(NULL, page, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(memory, MAP_FAILED);
	return memory;
}

/* How much of the address of byte 8 the system tells: on some machines, only
 * the page. */
#ifdef __s390x__
enum { TOLD = 0 };
#else
enum { TOLD = 8 };
#endif

/* What the guard's owner is called; what is said on a hit of its byte 8. */
static void expect_overrun(const char *name, char ret_line[256])
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	guard = map_nothing();
	abyss = map_nothing();
	guarded_name = name;
	co__overflow_set_finder(find_guard);

	if (name[0] == '\0')
		snprintf(ret_line, 256, "coloop: a task");
	else
		snprintf(ret_line, 256, "coloop: task \"%.31s\"", name);
	snprintf(ret_line + strlen(ret_line), 128, " overran its stack of "
			"64 KiB (guard page hit at %p)\n",
			(void *)((uintptr_t)guard + TOLD));
}

static void hit_guard(void)
{
	guard[8] = 1;
}

static void hit_abyss(void)
{
	abyss[8] = 1;
}

static void install_and_hit_guard(void)
{
	test_or_die(co__overflow_install());
	test_or_die(co__overflow_install());
	hit_guard();
}

static void install_and_hit_abyss(void)
{
	test_or_die(co__overflow_install());
	hit_abyss();
}

/* Expect LINE and the death by SIGSEGV that would have come anyway. */
static void dies_with(void (*body)(void), const char *line)
{
	struct verdict verdict = run_child(body);

	cr_assert_str_eq(verdict.text, line);
	cr_assert(died_of(verdict, SIGSEGV), "%#x", (unsigned)verdict.status);
}

Test(overflow, an_overrun_is_reported_and_kills)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(install_and_hit_guard, line);
}

Test(overflow, a_task_without_name_is_reported)
{
	char line[256];

	expect_overrun("", line);
	dies_with(install_and_hit_guard, line);
}

Test(overflow, a_name_without_end_is_cut)
{
	char line[256];

	expect_overrun("a name that is much too long to be kept", line);
	dies_with(install_and_hit_guard, line);
}

Test(overflow, a_foreign_fault_kills_in_silence)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(install_and_hit_abyss, "");
}

static void lose_the_finder(void)
{
	co__overflow_set_finder(NULL);
	install_and_hit_guard();
}

Test(overflow, without_a_finder_nothing_is_said)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(lose_the_finder, "");
}

/* --- Overruns: the handler that was there before ---------------------- */

static volatile char *expected_fault;

static void say(const char *text)
{
	ssize_t size = write(STDERR_FILENO, text, strlen(text));

	(void)size;
}

static void previous_exits(int number, siginfo_t *info, void *context)
{
	bool right = number == SIGSEGV && context != NULL
			&& info->si_addr == (const void *)(uintptr_t)
					expected_fault;

	say("previous\n");
	_exit(right ? 7 : 8);
}

static void set_previous(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | flags,
	};

	test_or_die(sigaction(SIGSEGV, &action, NULL));
}

static void hit_guard_with_previous(void)
{
	expected_fault = guard + TOLD;
	set_previous(previous_exits, 0);
	install_and_hit_guard();
}

static void hit_abyss_with_previous(void)
{
	expected_fault = abyss + TOLD;
	set_previous(previous_exits, 0);
	install_and_hit_abyss();
}

Test(overflow, the_previous_handler_is_called_after_the_report)
{
	struct verdict verdict;
	char line[256];

	expect_overrun("parser", line);
	strcat(line, "previous\n");
	verdict = run_child(hit_guard_with_previous);
	cr_assert_str_eq(verdict.text, line);
	cr_assert(exited_with(verdict, 7));
}

Test(overflow, the_previous_handler_gets_foreign_faults)
{
	struct verdict verdict;
	char line[256];

	expect_overrun("parser", line);
	verdict = run_child(hit_abyss_with_previous);
	cr_assert_str_eq(verdict.text, "previous\n");
	cr_assert(exited_with(verdict, 7));
}

static void previous_returns(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	say("once\n");
}

static void hit_abyss_with_one_shot(void)
{
	set_previous(previous_returns, SA_RESETHAND);
	install_and_hit_abyss();
}

/* It relies on the second fault to kill. */
Test(overflow, a_previous_handler_for_one_shot_is_called_once)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(hit_abyss_with_one_shot, "once\n");
}

static void previous_of_one_argument(int number)
{
	say("simple\n");
	_exit(number == SIGSEGV ? 7 : 8);
}

static void hit_abyss_with_simple_handler(void)
{
	signal(SIGSEGV, previous_of_one_argument);
	install_and_hit_abyss();
}

Test(overflow, the_previous_handler_may_be_of_the_simple_kind)
{
	struct verdict verdict;
	char line[256];

	expect_overrun("parser", line);
	verdict = run_child(hit_abyss_with_simple_handler);
	cr_assert_str_eq(verdict.text, "simple\n");
	cr_assert(exited_with(verdict, 7));
}

static sigjmp_buf before_the_fault;

static void previous_escapes(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	siglongjmp(before_the_fault, 1);
}

/* Without the mask saved, only SA_NODEFER keeps the signal unblocked. */
static void survive_three_faults(void)
{
	static volatile int faults;

	set_previous(previous_escapes, SA_NODEFER);
	test_or_die(co__overflow_install());
	if (sigsetjmp(before_the_fault, 0) != 0)
		faults++;
	if (faults < 3)
		hit_abyss();
	_exit(faults);
}

Test(overflow, the_previous_handler_may_jump_out)
{
	char line[256];

	expect_overrun("parser", line);
	cr_assert(exited_with(run_child(survive_three_faults), 3));
}

static void ignore_and_hit_guard(void)
{
	signal(SIGSEGV, SIG_IGN);
	install_and_hit_guard();
}

Test(overflow, a_fault_can_not_be_ignored)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(ignore_and_hit_guard, line);
}

static void be_sent_a_signal(void)
{
	test_or_die(co__overflow_install());
	kill(getpid(), SIGSEGV);
	pause();
}

Test(overflow, a_signal_that_was_sent_kills)
{
	char line[256];

	expect_overrun("parser", line);
	dies_with(be_sent_a_signal, "");
}

static void ignore_what_is_sent(void)
{
	signal(SIGSEGV, SIG_IGN);
	test_or_die(co__overflow_install());
	kill(getpid(), SIGSEGV);
	kill(getpid(), SIGSEGV);
	_exit(5);
}

Test(overflow, a_signal_that_was_sent_can_be_ignored)
{
	cr_assert(exited_with(run_child(ignore_what_is_sent), 5));
}

/* A page of a mapping past the end of its file. */
static void hit_the_end_of_a_file(void)
{
	FILE *file = tmpfile();
	void *memory;

	test_or_die(file == NULL);
	memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
			fileno(file), 0);
	test_or_die(memory == MAP_FAILED);
	guard = memory;
	install_and_hit_guard();
}

Test(overflow, a_bus_error_is_handled_too)
{
	struct verdict verdict;
	char line[256];

	if (getenv("CO_TEST_RUNNER") != NULL)
		cr_skip_test("emulators give bus errors a wrong address");
	expect_overrun("parser", line);
	verdict = run_child(hit_the_end_of_a_file);
	cr_assert_not_null(strstr(verdict.text, "task \"parser\" overran"));
	cr_assert(died_of(verdict, SIGBUS), "%#x", (unsigned)verdict.status);
}

/* --- Overruns: signal stacks ------------------------------------------ */

static stack_t signal_stack(void)
{
	stack_t stack;

	cr_assert_eq(sigaltstack(NULL, &stack), 0);
	return stack;
}

static void have_no_signal_stack(void)
{
	const stack_t none = { .ss_flags = SS_DISABLE };

	cr_assert_eq(sigaltstack(&none, NULL), 0);
}

Test(overflow, a_thread_gets_a_signal_stack_and_gives_it_back)
{
	void *altstack = NULL, *second = &altstack;

	have_no_signal_stack();
	cr_assert_eq(co__overflow_thread_begin(&altstack), 0);
	cr_assert_not_null(altstack);
	cr_assert_geq(signal_stack().ss_size, 64 * 1024);
	memset(signal_stack().ss_sp, 1, signal_stack().ss_size);

	cr_assert_eq(co__overflow_thread_begin(&second), 0);
	cr_assert_null(second, "it has one already");
	co__overflow_thread_end(second);
	cr_assert_eq(signal_stack().ss_flags, 0);

	co__overflow_thread_end(altstack);
	cr_assert_eq(signal_stack().ss_flags, SS_DISABLE);
}

Test(overflow, a_signal_stack_of_the_program_stays)
{
	static char theirs[64 * 1024];
	const stack_t stack = { .ss_sp = theirs, .ss_size = sizeof theirs };
	void *altstack;

	have_no_signal_stack();
	cr_assert_eq(co__overflow_thread_begin(&altstack), 0);
	cr_assert_eq(sigaltstack(&stack, NULL), 0);
	co__overflow_thread_end(altstack);
	cr_assert_eq(signal_stack().ss_sp, theirs);
	have_no_signal_stack();
}

static size_t sink(size_t depth)
{
	volatile unsigned char room[256];

	room[0] = (unsigned char)depth;
	return depth == 0 ? 0 : sink(depth - 1) + room[0];
}

static void *overrun(void *arg)
{
	void *altstack;

	(void)arg;
	test_or_die(co__overflow_thread_begin(&altstack));
	_exit((int)(sink((size_t)1 << 24) & 1));
}

/* A thread whose stack has the guard below it. */
static void overrun_in_a_thread(void)
{
	const size_t size = 512 * 1024;
	char *base = mmap(NULL, page + size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_t thread;

	test_or_die(base == MAP_FAILED);
	test_or_die(mprotect(base, page, PROT_NONE));
	guard = base;
	test_or_die(co__overflow_install());
	test_or_die(pthread_attr_init(&attr));
	test_or_die(pthread_attr_setstack(&attr, base + page, size));
	test_or_die(pthread_create(&thread, &attr, overrun, NULL));
	pthread_join(thread, NULL);
}

Test(overflow, a_real_overrun_is_reported)
{
	struct verdict verdict;
	char line[256];

#ifdef TEST_TSAN
	cr_skip_test("ThreadSanitizer allows a child no threads");
#endif
	expect_overrun("recursive", line);
	verdict = run_child(overrun_in_a_thread);
	cr_assert_not_null(strstr(verdict.text,
			"coloop: task \"recursive\" overran its stack"),
			"%s", verdict.text);
	cr_assert(died_of(verdict, SIGSEGV), "%#x", (unsigned)verdict.status);
}
