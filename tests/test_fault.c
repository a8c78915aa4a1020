/* SPDX-License-Identifier: MIT */

/*
 * test_fault.c - every call to the system and for memory fails
 *
 * Each scenario is a test: see fault/scenario.h.  Beyond that, what is to
 * happen in some special cases.
 */

#include "test.h"
#include "fault/scenario.h"

#include <netinet/in.h>
#include <sched.h>
#ifdef HAVE_EPOLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif
#include <sys/socket.h>
#include <unistd.h>

#include "os/os.h"

/* --- Each call fails ----------------------------------------------------- */

#define TEST_OF(name)                                                       \
	Test(fault, name)                                                   \
	{                                                                   \
		fail_each_call_of(&name);                                   \
		cr_assert_eq(test_failures(), 0);                           \
	}

SCENARIOS(TEST_OF)

#define ADDRESS_OF(name) &name,

static bool is_covered(enum fault_call call)
{
	static const struct scenario *const all[] = { SCENARIOS(ADDRESS_OF) };
	size_t s, i;

	for (s = 0; s < sizeof all / sizeof all[0]; s++)
		for (i = 0; all[s]->covers[i] != FAULT_NONE; i++)
			if (all[s]->covers[i] == call)
				return true;

	return false;
}

Test(fault, no_call_is_forgotten)
{
	size_t n, i;
	const struct fault *list = fault_list(&n);

	for (i = 0; i < n; i++)
		cr_assert(is_covered(list[i].call), "%s is in no scenario",
				fault_call_name(list[i].call));
	cr_assert_gt(n, 100);
	cr_assert_lt(n, FAULTS_MAX);
}

/* --- A thread that can't be started ------------------------------------ */

static const struct fault no_thread = { FAULT_pthread_create, EAGAIN, 0 };

static int count_up(void *arg)
{
	counter_add(arg, 1);
	return 0;
}

/* A loop of four threads, whose one task adds to RAN. */
static struct co_loop *loop_to_start(struct test_counter *ran)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = 4;
	test_or_die(co_loop_create(&options, &loop));
	test_or_die(co_spawn(loop, count_up, ran, NULL));

	return loop;
}

/* The thread that is number NTH can't be started, and nothing is run. */
static void start_in_vain(struct co_loop *loop, size_t nth,
		struct test_counter *ran)
{
	fault_arm(&no_thread, nth, 1);
	CO_EXPECT_EQ(co_loop_run(loop), -EAGAIN);
	CO_EXPECT_EQ(fault_disarm(), 1);
	CO_EXPECT_EQ(counter_get(ran), 0);
}

static void run_at_last(struct co_loop *loop, struct test_counter *ran)
{
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(counter_get(ran), 1);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);
}

/* The first is the monitor's. */
Test(fault, when_a_thread_cannot_be_started_nothing_has_been_run)
{
	struct test_counter ran = { 0 };
	struct co_loop *loop = loop_to_start(&ran);
	size_t nth;

	for (nth = 1; nth <= 4; nth++)
		start_in_vain(loop, nth, &ran);
	run_at_last(loop, &ran);
}

static void stop(void *loop)
{
	CO_EXPECT_EQ(co_loop_stop(loop), 0);
}

/* It was told to stop while it could not begin: it stops when it can. */
Test(fault, when_a_thread_cannot_be_started_a_stop_is_not_forgotten)
{
	struct test_counter ran = { 0 };
	struct co_loop *loop = loop_to_start(&ran);

	fault_set_hook(stop, loop);
	start_in_vain(loop, 3, &ran);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(counter_get(&ran), 0);
	run_at_last(loop, &ran);
}

static void await_interruptions(void *arg)
{
	(void)arg;
	while (fault_calls(FAULT_sem_wait) < 10)
		sched_yield();
	fault_always(FAULT_sem_wait, 0);
}

/* They wait for each other, through any number of signals. */
Test(fault, when_a_thread_cannot_be_started_the_others_do_not_begin)
{
	struct test_counter ran = { 0 };
	struct co_loop *loop = loop_to_start(&ran);

	fault_always(FAULT_sem_wait, EINTR);
	fault_set_hook(await_interruptions, NULL);
	start_in_vain(loop, 4, &ran);
	run_at_last(loop, &ran);
}

/* --- Stacks without guards --------------------------------------------- */

static int spawn_without_guards(unsigned flags)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;
	struct test_counter ran = { 0 };
	int rc;

	options.threads = 1;
	options.flags = flags;
	test_or_die(co_loop_create(&options, &loop));
	rc = co_spawn(loop, count_up, &ran, NULL);
	CO_EXPECT_EQ(co_loop_run(loop), 0);
	CO_EXPECT_EQ(counter_get(&ran), rc == 0);
	CO_EXPECT_EQ(co_loop_destroy(loop), 0);

	return rc;
}

Test(fault, without_guard_pages_tasks_are_spawned_only_if_allowed)
{
	fault_always(FAULT_madvise_guard, EINVAL);
	cr_assert_eq(spawn_without_guards(CO_LOOP_NO_OVERFLOW_REPORT), 0);
	fault_always(FAULT_mprotect, ENOMEM);
	cr_assert_eq(spawn_without_guards(0), -ENOMEM);
	cr_assert_eq(spawn_without_guards(CO_LOOP_UNGUARDED_STACKS), 0);
}

/* --- Systems without a call --------------------------------------------- */

#ifdef HAVE_EPOLL_PWAIT2
static int sleep_often(void *arg)
{
	int i, rc = 0;

	(void)arg;
	for (i = 0; i < 5 && rc == 0; i++)
		rc = co_sleep(10 * CO_MILLISECOND);

	return rc;
}

/* A loop asks for it once. */
Test(fault, without_the_finer_call_the_other_is_used)
{
	static const int errors[] = { ENOSYS, EPERM };
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;
	size_t i, before;

	options.threads = 1;
	options.backend = "epoll";
	for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		fault_always(FAULT_epoll_pwait2, errors[i]);
		before = fault_calls(FAULT_epoll_pwait2);
		cr_assert_eq(co_loop_create(&options, &loop), 0);
		cr_assert_eq(co_spawn(loop, sleep_often, NULL, NULL), 0);
		cr_assert_eq(co_loop_run(loop), 0);
		cr_assert_eq(co_loop_destroy(loop), 0);
		cr_assert_eq(fault_calls(FAULT_epoll_pwait2), before + 1);
	}
}

static void wake(void *poller)
{
	while (fault_calls(FAULT_epoll_wait) == 0)
		usleep(1000);
	co__os_backend("epoll")->wake(poller);
}

/* The other call can't be told of more than 24 days. */
Test(fault, without_the_finer_call_a_long_wait_can_be_woken)
{
	const struct co__os_backend *os = co__os_backend("epoll");
	struct co__poll_event events[1];
	struct co__poller *poller;
	struct test_thread thread;

	cr_assert_eq(os->create(&poller), 0);
	fault_always(FAULT_epoll_pwait2, ENOSYS);
	test_thread_start(&thread, NULL, wake, poller);
	cr_assert_eq(os->wait(poller, events, 1, 100 * 24 * 3600 * CO_SECOND),
			0);
	test_thread_join(&thread);
	os->destroy(poller);
}
#endif

/* --- Closed amid a transfer ------------------------------------------- */

static void close_it(void *io)
{
	CO_EXPECT_EQ(co_io_close(io), 0);
}

CO_TEST_ON_ONE_THREAD(fault, what_is_closed_amid_a_transfer_is_not_moved_on)
{
	struct co_io *io = NULL;
	char data[2];
	size_t done;
	int fds[2];

	test_or_die(pipe(fds));
	test_or_die(co_io_open(NULL, fds[0], &io));
	CO_EXPECT_EQ(write(fds[1], "ab", 2), 2);
	fault_arm(&(struct fault){ FAULT_read, PARTIAL, 0 }, 1, 1);
	fault_set_hook(close_it, io);
	CO_EXPECT_EQ(co_io_read_full(io, data, 2, &done), -EBADF);
	CO_EXPECT_EQ(fault_disarm(), 1);
	CO_EXPECT_EQ(done, 1);
	close(fds[1]);

	return 0;
}

/* --- Servers that can't accept ----------------------------------------- */

/* A server, and a client that waits for an echo. */
struct site {
	struct co_tcp_server server;
	int client;
};

static void send_back(struct co_tcp_server *server, struct co_io *io,
		const struct sockaddr *peer)
{
	char data;

	(void)server;
	CO_EXPECT_EQ(peer->sa_family, AF_INET);
	CO_EXPECT_EQ(co_io_read(io, &data, 1), 1);
	CO_EXPECT_EQ(co_io_write(io, &data, 1), 1);
}

static int find_server(struct site *site, struct sockaddr_storage *ret_address)
{
	socklen_t size = sizeof *ret_address;

	return co_tcp_server_address(&site->server,
			(struct sockaddr *)ret_address, &size);
}

/* The connection is made by the kernel; it is still to be accepted. */
static void open_site(struct site *site)
{
	struct sockaddr_storage address;
	socklen_t size;

	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	test_or_die(co_tcp_server_init(&site->server, co_loop_current()));
	test_or_die(co_tcp_server_listen(&site->server,
			(struct sockaddr *)&address, size, 0, send_back));
	test_or_die(find_server(site, &address));
	site->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	test_or_die(connect(site->client, (struct sockaddr *)&address, size));
	CO_EXPECT_EQ(send(site->client, "x", 1, 0), 1);
}

static void close_site(struct site *site)
{
	CO_EXPECT_EQ(co_tcp_server_deinit(&site->server), 0);
	close(site->client);
}

static void await_echo(struct site *site)
{
	char data;

	while (recv(site->client, &data, 1, MSG_DONTWAIT) != 1)
		co_sleep(100 * CO_MICROSECOND);
}

static void await_end_of_server(struct site *site)
{
	struct sockaddr_storage address;

	while (find_server(site, &address) != -ENOTCONN)
		co_sleep(100 * CO_MICROSECOND);
}

/* Of six failures the second comes at once; the others have it wait for 1, 2,
 * 4, 8 and 16 ms. */
CO_TEST_ON_ONE_THREAD(fault, a_server_in_want_waits_ever_longer)
{
	static const int wants[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM,
		EACCES, ENOSYS };
	struct site site;
	co_time begin;
	size_t i;

	for (i = 0; i < sizeof wants / sizeof wants[0]; i++) {
		begin = co_now();
		fault_arm(&(struct fault){ FAULT_accept4, wants[i], 0 }, 1, 6);
		open_site(&site);
		await_echo(&site);
		CO_EXPECT_EQ(fault_disarm(), 6);
		CO_EXPECT(co_now() - begin >= 31 * CO_MILLISECOND);
		close_site(&site);
	}

	return 0;
}

CO_TEST_ON_ONE_THREAD(fault, a_server_without_its_socket_closes)
{
	static const int ends[] = { EBADF, EINVAL, ENOTSOCK };
	struct site site;
	size_t i;

	for (i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		fault_arm(&(struct fault){ FAULT_accept4, ends[i], 0 }, 1, 1);
		open_site(&site);
		await_end_of_server(&site);
		CO_EXPECT_EQ(fault_disarm(), 1);
		close_site(&site);
	}

	return 0;
}

/* While a server is in want, others put a socket of another kind in the place
 * of its own. */
CO_TEST_ON_ONE_THREAD(fault, a_server_whose_socket_does_not_listen_closes)
{
	int next = dup(2), other = socket(AF_INET, SOCK_DGRAM, 0);
	struct site site;

	close(next);
	fault_always(FAULT_accept4, EMFILE);
	open_site(&site);
	while (fault_calls(FAULT_accept4) < 2)
		co_yield();
	CO_EXPECT_EQ(dup2(other, next), next);
	fault_always(FAULT_accept4, 0);
	await_end_of_server(&site);
	close_site(&site);
	close(other);

	return 0;
}

/* --- Servers that hold a connection ----------------------------------- */

#ifdef HAVE_EPOLL
static struct co_loop *loop_with_epoll(void)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = 1;
	options.backend = "epoll";
	test_or_die(co_loop_create(&options, &loop));

	return loop;
}

/* Run FN(SITE) as a task, until it has stopped LOOP or all is over. */
static void run_site(struct co_loop *loop, co_task_fn *fn, struct site *site)
{
	test_or_die(co_spawn(loop, fn, site, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
}

/* The connection was accepted, but the loop can't wait for it. */
static int hold(void *site)
{
	size_t before = fault_calls(FAULT_accept4);

	fault_always(FAULT_epoll_ctl_add, 0);
	open_site(site);
	fault_always(FAULT_epoll_ctl_add, ENOSPC);
	while (fault_calls(FAULT_accept4) == before)
		co_yield();
	co_sleep(5 * CO_MILLISECOND);

	return co_loop_stop(co_loop_current());
}

static int serve_at_last(void *site)
{
	fault_always(FAULT_epoll_ctl_add, 0);
	await_echo(site);
	close_site(site);

	return 0;
}

/* It has sent what nobody has read, or what came too late to be read. */
static bool is_turned_away(const struct site *site)
{
	char data;
	ssize_t rc;

	if (!is_readable_soon(site->client))
		return false;
	rc = recv(site->client, &data, 1, MSG_DONTWAIT);

	return rc == 0 || (rc < 0 && errno == ECONNRESET);
}

static int end_in_want(void *arg)
{
	struct site *site = arg;

	CO_EXPECT_EQ(co_tcp_server_deinit(&site->server), 0);
	CO_EXPECT(is_turned_away(site));
	close(site->client);

	return 0;
}

Test(fault, a_connection_that_is_held_ends_with_its_server)
{
	static struct site site;
	struct co_loop *loop = loop_with_epoll();
	size_t before = fault_balance().fds;

	run_site(loop, hold, &site);
	run_site(loop, end_in_want, &site);
	cr_assert_eq(fault_balance().fds, before);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* That of another loop is served. */
Test(fault, a_connection_that_is_held_ends_with_its_loop)
{
	static struct site first, second;
	size_t before = fault_balance().fds;
	struct co_loop *one = loop_with_epoll(), *other = loop_with_epoll();

	run_site(one, hold, &first);
	run_site(other, hold, &second);
	cr_assert_eq(co_loop_destroy(other), 0);
	cr_assert(is_turned_away(&second));
	close(second.client);
	run_site(one, serve_at_last, &first);
	cr_assert_eq(co_loop_destroy(one), 0);
	cr_assert_eq(fault_balance().fds, before);
}
#endif

/* --- A chain of epolls -------------------------------------------------- */

#ifdef HAVE_EPOLL
enum { CHAIN = 5 };		/* the loop's own is one too many */

static void ignore_events(struct co_resume_node *node, unsigned events)
{
	(void)node;
	(void)events;
}

static int use_chain(void *arg)
{
	struct co_resume_node node = { .ready = ignore_events };
	struct co_io *io;
	int last = *(int *)arg;

	CO_EXPECT_EQ(co_io_open(NULL, last, &io), -ELOOP);
	CO_EXPECT_EQ(co_wait_fd(last, CO_READABLE), -ELOOP);
	CO_EXPECT_EQ(co_loop_add_fd(co_loop_current(), last, CO_READABLE,
			&node), -ELOOP);

	return 0;
}

Test(fault, a_chain_of_epolls_may_be_too_long)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct epoll_event event = { .events = EPOLLIN };
	struct co_loop *loop = NULL;
	int fds[CHAIN + 1], i;

	cr_assert_geq(fds[0] = eventfd(0, EFD_CLOEXEC), 0);
	for (i = 1; i <= CHAIN; i++) {
		cr_assert_geq(fds[i] = epoll_create1(EPOLL_CLOEXEC), 0);
		cr_assert_eq(epoll_ctl(fds[i], EPOLL_CTL_ADD, fds[i - 1],
				&event), 0);
	}
	options.backend = "epoll";
	cr_assert_eq(co_loop_create(&options, &loop), 0);
	cr_assert_eq(co_spawn(loop, use_chain, &fds[CHAIN], NULL), 0);
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}
#endif
