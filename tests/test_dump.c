/* SPDX-License-Identifier: MIT */

/* test_dump.c - the dump of a loop: co_loop(3) */

#include "test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <link.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "where.h"
#include "worker.h"

/* --- Tasks ------------------------------------------------------------- */

static int join_for_ever(void *arg)
{
	return co_join(arg, NULL);
}

static int acquire(void *arg)
{
	return co_lock_acquire(arg);
}

static int put(void *arg)
{
	return co_channel_put(arg, NULL);
}

static int get(void *arg)
{
	return co_channel_get(arg, NULL);
}

static int get_within_an_hour(void *arg)
{
	int rc = 0;

	CO_WITH_DEADLINE(co_after(CO_HOUR))
		rc = co_channel_get(arg, NULL);

	return rc;
}

static int select_one(void *arg)
{
	struct co_select_case cases[] = { CO_SELECT_CASE_GET(arg, NULL) };

	return co_select(cases, 1);
}

static int read_one(void *arg)
{
	char byte;

	return (int)co_io_read(arg, &byte, 1);
}

static int write_for_ever(void *arg)
{
	static const char data[65536];
	int rc;

	do
		rc = co_io_write_full(arg, data, sizeof data, NULL);
	while (rc == 0);

	return rc;
}

static int wait_for_input(void *arg)
{
	return co_wait_fd(*(int *)arg, CO_READABLE);
}

/* With a member that waits as long. */
static int wait_for_group(void *channel)
{
	struct co_group group;
	int rc;

	CO_EXPECT_EQ(co_group_init(&group, NULL, 0), 0);
	CO_EXPECT_EQ(co_group_spawn(&group, get, channel), 0);
	rc = co_group_wait(&group, NULL);
	CO_EXPECT_EQ(co_group_deinit(&group), 0);

	return rc;
}

static int end_at_once(void *arg)
{
	(void)arg;
	return 0;
}

static int compute_until_told(void *arg)
{
	while (counter_get(arg) == 0)
		;

	return 0;
}

/* --- Reading a dump ---------------------------------------------------- */

enum { DUMP_SIZE = 16384, LINE_SIZE = 512 };

static void dump_to(struct co_loop *loop, char text[DUMP_SIZE])
{
	int fds[2];
	ssize_t n;

	memset(text, 0, DUMP_SIZE);
	test_or_die(pipe(fds));
	CO_EXPECT_EQ(co_loop_dump(loop, fds[1]), 0);
	close(fds[1]);
	n = read(fds[0], text, DUMP_SIZE - 1);
	CO_EXPECT(n > 0 && text[n - 1] == '\n');
	close(fds[0]);
}

/* The line of TEXT that has PART in it, cut out into LINE; "" if there is
 * none. */
static bool find_line(const char *text, const char *part, char line[LINE_SIZE])
{
	const char *at = strstr(text, part), *end;
	size_t length;

	line[0] = '\0';
	if (at == NULL)
		return false;
	while (at > text && at[-1] != '\n')
		at--;
	end = strchr(at, '\n');
	length = (size_t)(end - at) < LINE_SIZE ? (size_t)(end - at)
			: LINE_SIZE - 1;
	memcpy(line, at, length);
	line[length] = '\0';

	return true;
}

/* The line of the task NAME. */
static void find_task(const char *text, const char *name, char line[LINE_SIZE])
{
	char part[80];
	const char *at = text;

	snprintf(part, sizeof part, "\"%s\"", name);
	while (find_line(at, part, line) && strncmp(line, "task ", 5) != 0)
		at = strstr(at, part) + 1;
	if (!CO_EXPECT(line[0] != '\0'))
		fprintf(stderr, "no line of %s in:\n%s", name, text);
}

static void expect_part(const char *line, const char *part)
{
	if (!CO_EXPECT(strstr(line, part) != NULL))
		fprintf(stderr, "no '%s' in: %s\n", part, line);
}

/* The number behind PART of LINE, -1: there is none. */
static long long number_behind(const char *line, const char *part)
{
	const char *at = strstr(line, part);
	long long number;

	return at == NULL || sscanf(at + strlen(part), "%lli", &number) != 1
			? -1 : number;
}

static void expect_between(const char *line, const char *part, long long least,
		long long most)
{
	long long number = number_behind(line, part);

	if (!CO_EXPECT(number >= least && number <= most))
		fprintf(stderr, "not from %lld to %lld behind '%s': %s\n",
				least, most, part, line);
}

static size_t count_lines(const char *text, const char *part)
{
	size_t n = 0;

	while ((text = strstr(text, part)) != NULL) {
		text = strchr(text, '\n');
		n++;
	}

	return n;
}

/* That the address at the end of LINE is in FUNCTION of this program. */
static void expect_spawned_in(const char *line, void (*function)(void))
{
	const char *at = strstr(line, "; spawned at ");
	uintptr_t begin = (uintptr_t)function, address;
	Dl_info program;

	if (!CO_EXPECT(at != NULL
			&& dladdr((void *)begin, &program) != 0))
		return;
	at = strrchr(at, '+');
	if (!CO_EXPECT(at != NULL))
		return;
	address = (uintptr_t)strtoull(at + 1, NULL, 16);
	if (((const ElfW(Ehdr) *)program.dli_fbase)->e_type != ET_EXEC)
		address += (uintptr_t)program.dli_fbase;
	if (!CO_EXPECT(address > begin && address < begin + 4096))
		fprintf(stderr, "not %p: %s\n", (void *)begin, line);
}

/* --- What each task waits for ------------------------------------------ */

struct scene {
	struct co_lock lock;
	struct co_channel *channels[5];
	struct co_io *ios[2];
	int fds[6];
	struct co_task *tasks[13];
	size_t count;
};

static void spawn_waiter(struct scene *scene, const char *name, co_task_fn *fn,
		void *arg)
{
	scene->tasks[scene->count++] = spawn_named(name, fn, arg);
}

static void set_scene(struct scene *scene)
{
	size_t i;

	scene->count = 0;
	co_lock_init(&scene->lock);
	test_or_die(co_lock_acquire(&scene->lock));
	for (i = 0; i < 5; i++)
		scene->channels[i] = channel_or_die(0, 0);
	for (i = 0; i < 6; i += 2)
		test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0,
				&scene->fds[i]));
	/* So that no thread learns of room for the writer, and is late. */
	fill_socket(scene->fds[2]);
	for (i = 0; i < 2; i++)
		test_or_die(co_io_open(NULL, scene->fds[2 * i],
				&scene->ios[i]));
	spawn_waiter(scene, "sleeper", sleep_for_an_hour, NULL);
	spawn_waiter(scene, "dormouse", sleep_for_ever, NULL);
	spawn_waiter(scene, "suspended", suspend_for_ever, NULL);
	spawn_waiter(scene, "joiner", join_for_ever, scene->tasks[0]);
	spawn_waiter(scene, "locker", acquire, &scene->lock);
	spawn_waiter(scene, "putter", put, scene->channels[0]);
	spawn_waiter(scene, "getter", get, scene->channels[1]);
	spawn_waiter(scene, "limited", get_within_an_hour, scene->channels[2]);
	spawn_waiter(scene, "selector", select_one, scene->channels[3]);
	spawn_waiter(scene, "reader", read_one, scene->ios[0]);
	spawn_waiter(scene, "writer", write_for_ever, scene->ios[1]);
	spawn_waiter(scene, "waiter", wait_for_input, &scene->fds[4]);
	spawn_waiter(scene, "grouper", wait_for_group, scene->channels[4]);
}

static void clear_scene(struct scene *scene)
{
	size_t i;

	/* Who joins before who is joined. */
	CO_EXPECT_EQ(co_cancel(scene->tasks[3]), 0);
	CO_EXPECT_EQ(join_or_die(scene->tasks[3]), -ECANCELED);
	for (i = 0; i < scene->count; i++) {
		if (i == 3)
			continue;
		CO_EXPECT_EQ(co_cancel(scene->tasks[i]), 0);
		CO_EXPECT_EQ(join_or_die(scene->tasks[i]), -ECANCELED);
	}
	CO_EXPECT_EQ(co_lock_release(&scene->lock), 0);
	CO_EXPECT_EQ(co_lock_deinit(&scene->lock), 0);
	for (i = 0; i < 5; i++)
		CO_EXPECT_EQ(co_channel_destroy(scene->channels[i]), 0);
	for (i = 0; i < 2; i++)
		CO_EXPECT_EQ(co_io_close(scene->ios[i]), 0);
	for (i = 1; i < 6; i += 2)
		close(scene->fds[i]);
	close(scene->fds[4]);
}

static void expect_waiter(const char *text, const char *name,
		const char *state, const void *object)
{
	char line[LINE_SIZE], part[160];

	snprintf(part, sizeof part, object != NULL ? "%s, %p, for " : "%s, for ",
			state, object);
	find_task(text, name, line);
	expect_part(line, part);
	/* It was asleep for 60 ms at least, and for less than a minute; the
	 * unit of what is shown may be 17 ms. */
	expect_between(line, ", for ", 60 - 17, 60000);
	expect_spawned_in(line, (void (*)(void))spawn_named);
}

static void expect_fd(const char *text, const char *name, const char *state,
		int fd)
{
	char what[160];

	snprintf(what, sizeof what, "%s, fd %d", state, fd);
	expect_waiter(text, name, what, NULL);
}

static void expect_deadline(const char *text, const char *name, bool has_one)
{
	char line[LINE_SIZE];

	find_task(text, name, line);
	if (has_one)
		expect_between(line, ", deadline in ", 59 * 60 * 1000,
				60 * 60 * 1000);
	else
		CO_EXPECT_EQ(number_behind(line, ", deadline in "), -1);
}

/* A task that leads, and a thread that looks. */
struct look {
	struct co_loop *loop;
	struct co_task *leader;
	void (*run)(struct look *look);
	void *arg;
	struct test_thread thread;
};

static void look_and_resume(void *arg)
{
	struct look *look = arg;

	look->run(look);
	CO_EXPECT_EQ(co_resume(look->leader), 0);
}

static void start_looking(struct co_task *task, void *arg)
{
	struct look *look = arg;

	look->leader = task;
	test_thread_start(&look->thread, look->loop, look_and_resume, look);
}

/* Suspend the calling task while RUN runs in another thread. */
static void look_from_outside(void (*run)(struct look *), void *arg)
{
	struct look look = { .loop = co_loop_current(), .run = run,
		.arg = arg };

	CO_EXPECT_EQ(co_suspend(start_looking, &look), 0);
	test_thread_join(&look.thread);
}

/* Wait until N threads of the loop are idle, three times in a row. */
static void await_idle(struct co_loop *loop, unsigned n)
{
	int calm = 0, rounds;

	for (rounds = 0; rounds < 5000 && calm < 3; rounds++) {
		nap(CO_MILLISECOND);
		calm = figures(loop).idle == n ? calm + 1 : 0;
	}
}

static void look_at_waiters(struct look *look)
{
	struct scene *scene = look->arg;
	static char text[DUMP_SIZE];

	await_idle(look->loop, figures(look->loop).threads);
	nap(60 * CO_MILLISECOND);
	dump_to(look->loop, text);
	expect_waiter(text, "sleeper", "sleeps", NULL);
	expect_waiter(text, "dormouse", "sleeps", NULL);
	expect_waiter(text, "suspended", "is suspended", NULL);
	expect_waiter(text, "joiner", "waits in co_join", scene->tasks[0]);
	expect_waiter(text, "locker", "waits in co_lock_acquire",
			&scene->lock);
	expect_waiter(text, "putter", "waits in co_channel_put",
			scene->channels[0]);
	expect_waiter(text, "getter", "waits in co_channel_get",
			scene->channels[1]);
	expect_waiter(text, "limited", "waits in co_channel_get",
			scene->channels[2]);
	expect_waiter(text, "selector", "waits in co_select", NULL);
	expect_waiter(text, "grouper", "waits for a group of tasks", NULL);
	expect_fd(text, "reader", "waits to read", scene->fds[0]);
	expect_fd(text, "writer", "waits to write", scene->fds[2]);
	expect_fd(text, "waiter", "waits for events", scene->fds[4]);
	expect_deadline(text, "sleeper", true);
	expect_deadline(text, "dormouse", false);
	expect_deadline(text, "getter", false);
	expect_deadline(text, "limited", true);
}

CO_TEST(dump, a_line_tells_what_a_task_waits_for)
{
	struct scene scene;

	set_scene(&scene);
	look_from_outside(look_at_waiters, &scene);
	clear_scene(&scene);

	return 0;
}

/* --- Since when -------------------------------------------------------- */

/* Of a wait that began after THEN, before which its thread had done the same for
 * 400 ms: that much must not be shown.  Whatever has passed since may be. */
static long long at_most_since(co_time then)
{
	return 300 + (co_now() - then) / CO_MILLISECOND;
}

/* A wait that begins after a sleep didn't begin before it. */
CO_TEST(dump, since_when_is_right_after_a_sleep)
{
	static char text[DUMP_SIZE];
	co_time woken = wait_for_byte(400 * CO_MILLISECOND);
	struct co_task *task = spawn_named("late", sleep_for_ever, NULL);
	char line[LINE_SIZE];
	int i;

	for (i = 0; i < 20000; i++) {
		co_yield();
		dump_to(co_loop_current(), text);
		find_task(text, "late", line);
		if (strstr(line, "sleeps") != NULL)
			break;
		nap(CO_MILLISECOND);
	}
	if (test_divisor() == 1)
		expect_between(line, ", for ", 0, at_most_since(woken));
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);

	return 0;
}

/* For how long the new task NAME has slept, in a thread that went on THEN. */
static void expect_asleep(const char *name, co_time then)
{
	static char text[DUMP_SIZE];
	struct co_task *task = spawn_named(name, sleep_for_ever, NULL);
	char line[LINE_SIZE];

	co_yield();
	dump_to(co_loop_current(), text);
	find_task(text, name, line);
	expect_between(line, "sleeps, for ", 0, at_most_since(then));
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);
}

static int sleep_at_first(void *arg)
{
	expect_asleep("first", *(co_time *)arg);

	return 0;
}

Test(dump, since_when_is_right_from_the_first_task_on)
{
	struct co_loop *loop = loop_or_die(1);
	co_time begin;
	int i;

	for (i = 0; i < 3; i++) {
		test_or_die(co_spawn(loop, sleep_at_first, &begin, NULL));
		begin = co_now();
		if (test_divisor() == 1)
			cr_assert_eq(co_loop_run(loop), 0);
		nap(400 * CO_MILLISECOND);
	}
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* A thread looks at the clock every 64 switches. */
CO_TEST_ON_ONE_THREAD(dump, since_when_is_right_after_some_switches)
{
	co_time end = co_after(400 * CO_MILLISECOND);
	int i;

	while (co_now() < end)
		;
	for (i = 0; i < 64; i++)
		co_yield();
	if (test_divisor() == 1)
		expect_asleep("later", end);

	return 0;
}

/* How long ago somebody looked at the clock for the calling thread. */
static uint64_t clock_age(void)
{
	return co__stamp_age_ms(AO_load(&co__worker_get()->clock), co_now());
}

/* The monitor may be kept from running while this computes. */
static int compute_then_sleep(void *arg)
{
	co_time end = co_after(400 * CO_MILLISECOND), *ret_end = arg;

	while (co_now() < end || (clock_age() > 100
			&& co_now() < end + 20 * CO_SECOND))
		;
	*ret_end = co_now();

	return sleep_for_ever(NULL);
}

static int look_after_computing(void *arg)
{
	static char text[DUMP_SIZE];
	co_time end = 0;
	struct co_task *task = spawn_named("thinker", compute_then_sleep, &end);
	char line[LINE_SIZE];

	(void)arg;
	co_yield();
	dump_to(co_loop_current(), text);
	find_task(text, "thinker", line);
	if (test_divisor() == 1)
		expect_between(line, "sleeps, for ", 0, at_most_since(end));
	CO_EXPECT_EQ(co_cancel(task), 0);
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);

	return 0;
}

/* The monitor looks at the clock for who doesn't. */
Test(dump, since_when_is_right_after_a_computation_that_is_watched)
{
	struct co_loop_options options = CO_LOOP_OPTIONS_INIT;
	struct co_loop *loop = NULL;

	options.threads = 1;
	options.stall_after = CO_MINUTE;
	test_or_die(co_loop_create(&options, &loop));
	test_or_die(co_spawn(loop, look_after_computing, NULL, NULL));
	cr_assert_eq(co_loop_run(loop), 0);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

/* --- Where it was spawned ---------------------------------------------- */

static int look_at_itself(void *arg)
{
	static char text[DUMP_SIZE];
	char line[LINE_SIZE];

	CO_EXPECT_EQ(co_task_set_name(NULL, "alice"), 0);
	dump_to(co_loop_current(), text);
	find_task(text, "alice", line);
	expect_part(line, "\"alice\" runs in thread 0");
	expect_spawned_in(line, *(void (**)(void))arg);

	return 0;
}

__attribute__((noinline)) static int run_it(void *arg)
{
	/* Not the last thing that is done: that may be a jump. */
	int rc = co_run(look_at_itself, arg);

	return rc < 0 ? rc : 1;
}

Test(dump, what_co_run_runs_was_spawned_by_its_caller)
{
	void (*caller)(void) = (void (*)(void))run_it;

	cr_assert_eq(setenv("COLOOP_THREADS", "1", 1), 0);
	cr_assert_eq(run_it(&caller), 1);
}

static void serve(struct co_tcp_server *server, struct co_io *connection,
		const struct sockaddr *peer)
{
	(void)peer;
	co_task_set_name(NULL, "handler");
	counter_add(server->user, 1);
	read_one(connection);
}

__attribute__((noinline))
static int listen_somewhere(struct co_tcp_server *server)
{
	struct sockaddr_storage address;
	socklen_t size;
	int rc;

	test_or_die(co_tcp_address("127.0.0.1", 0, &address, &size));
	rc = co_tcp_server_listen(server, (struct sockaddr *)&address, size, 0,
			serve);

	return rc < 0 ? rc : 1;
}

CO_TEST(dump, what_a_server_spawns_was_spawned_by_who_let_it_listen)
{
	static char text[DUMP_SIZE];
	struct test_counter served = { 0 };
	struct co_tcp_server server = { .user = &served };
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	struct co_io *client = NULL;
	char line[LINE_SIZE];

	test_or_die(co_tcp_server_init(&server, co_loop_current()));
	CO_EXPECT_EQ(listen_somewhere(&server), 1);
	test_or_die(co_tcp_server_address(&server,
			(struct sockaddr *)&address, &size));
	test_or_die(co_tcp_connect((struct sockaddr *)&address, size,
			&client));
	while (counter_get(&served) == 0)
		co_yield();
	dump_to(co_loop_current(), text);
	find_task(text, "co_tcp_server", line);
	expect_spawned_in(line, (void (*)(void))listen_somewhere);
	find_task(text, "handler", line);
	expect_spawned_in(line, (void (*)(void))listen_somewhere);
	CO_EXPECT_EQ(co_io_close(client), 0);
	CO_EXPECT_EQ(co_tcp_server_deinit(&server), 0);

	return 0;
}

Test(dump, an_address_is_told_as_well_as_it_can_be)
{
	char text[CO__WHERE_SIZE], small[8], nowhere[40];
	const void *place = (const char *)(uintptr_t)abort + 1;

	/* A sanitizer has its own. */
	co__where(place, text, sizeof text);
	cr_assert_not_null(strstr(text, "abort+0 ("), "%s", text);
	cr_assert_eq(text[strlen(text) - 1], ')', "%s", text);
	co__where(place, small, sizeof small);
	cr_assert_eq(strlen(small), sizeof small - 1);
	cr_assert_eq(strncmp(small, text, sizeof small - 1), 0);
	/* Nothing is there. */
	co__where((const void *)16, text, sizeof text);
	snprintf(nowhere, sizeof nowhere, "%p", (void *)15);
	cr_assert_str_eq(text, nowhere);
	co__where(NULL, text, sizeof text);
	cr_assert(strlen(text) > 0);
}

/* --- Threads, and other tasks ------------------------------------------ */

/* How long it has run is what the monitor has seen, which may be kept from
 * running for a while; as may threads that have said that they are idle, but
 * are not yet asleep. */
static void dump_once_it_was_seen(struct co_loop *loop, char *text, char *line)
{
	static const char for_long[] = "\"computer\", for ";

	for (int i = 0; i < 200; i++) {
		nap(50 * CO_MILLISECOND);
		dump_to(loop, text);
		if (find_line(text, " runs task ", line)
				&& number_behind(line, for_long) >= 20
				&& count_lines(text, " waits for events") == 1
				&& count_lines(text, ") sleeps") == 2)
			return;
	}
}

static void look_at_threads(struct look *look)
{
	static char text[DUMP_SIZE];
	char line[LINE_SIZE], runs[80];
	long long thread;

	await_idle(look->loop, 3);
	dump_once_it_was_seen(look->loop, text, line);
	expect_part(line, "\"computer\"");
	expect_between(line, "\"computer\", for ", 20, 60000);
	thread = number_behind(line, "thread ");
	CO_EXPECT(number_behind(line, "(") > 0);
	snprintf(runs, sizeof runs, "\"computer\" runs in thread %lld", thread);
	find_task(text, "computer", line);
	expect_part(line, runs);
	CO_EXPECT_EQ(count_lines(text, " waits for events"), 1);
	CO_EXPECT_EQ(count_lines(text, ") sleeps"), 2);
	counter_set(look->arg, 1);
}

static int have_threads_looked_at(void *arg)
{
	static struct test_counter over;
	struct co_task *task;

	(void)arg;
	counter_set(&over, 0);
	task = spawn_named("computer", compute_until_told, &over);
	look_from_outside(look_at_threads, &over);
	CO_EXPECT_EQ(join_or_die(task), 0);

	return 0;
}

Test(dump, a_line_tells_what_a_thread_does)
{
	cr_assert_eq(run_in_loop(4, have_threads_looked_at, NULL), 0);
}

static int hide_and_sleep(void *arg)
{
	int masked = co_cancel_mask(1);

	(void)arg;
	CO_EXPECT_EQ(co_suspend(leave_parked, NULL), 0);
	co_cancel_mask(masked);

	return co_yield();
}

/* Also why it waits all the same. */
CO_TEST_ON_ONE_THREAD(dump, a_line_tells_that_a_task_was_cancelled)
{
	static char text[DUMP_SIZE];
	struct co_task *task = spawn_named("deaf", hide_and_sleep, NULL);
	char line[LINE_SIZE];

	co_yield();
	CO_EXPECT_EQ(co_cancel(task), 0);
	dump_to(co_loop_current(), text);
	find_task(text, "deaf", line);
	expect_part(line, ", cancelled, but hides it; spawned at ");
	CO_EXPECT_EQ(co_resume(task), 0);
	dump_to(co_loop_current(), text);
	find_task(text, "deaf", line);
	expect_part(line, "\"deaf\" is ready to run, cancelled; spawned at ");
	CO_EXPECT_EQ(join_or_die(task), -ECANCELED);

	return 0;
}

CO_TEST_ON_ONE_THREAD(dump, tasks_that_are_ready_or_have_ended_have_lines)
{
	static char text[DUMP_SIZE];
	struct co_task *task = spawn_named("mayfly", end_at_once, NULL);
	char line[LINE_SIZE];

	dump_to(co_loop_current(), text);
	find_task(text, "mayfly", line);
	expect_part(line, "\"mayfly\" is ready to run; spawned at ");
	co_yield();
	dump_to(co_loop_current(), text);
	find_task(text, "mayfly", line);
	expect_part(line, "\"mayfly\" has ended, and is to be joined; spawned");
	CO_EXPECT_EQ(join_or_die(task), 0);
	dump_to(co_loop_current(), text);
	CO_EXPECT(strstr(text, "mayfly") == NULL);

	return 0;
}

CO_TEST(dump, it_begins_with_the_loop_and_its_figures)
{
	static char text[DUMP_SIZE];
	struct co_loop *loop = co_loop_current();
	char line[LINE_SIZE], part[80];

	dump_to(loop, text);
	snprintf(part, sizeof part, "loop %p: backend %s, threads %d, runs",
			(void *)loop, co_loop_backend(loop),
			co_loop_threads(loop));
	CO_EXPECT_EQ(strncmp(text, part, strlen(part)), 0);
	CO_EXPECT(find_line(text, "now: ", line));
	expect_part(line, "tasks 1, queued ");
	CO_EXPECT(find_line(text, "ever: ", line));
	expect_part(line, "spawned 1, switches ");
	CO_EXPECT_EQ(count_lines(text, "thread "),
			co_loop_threads(loop) + 1);

	return 0;
}

Test(dump, a_loop_that_does_not_run_can_be_dumped)
{
	static char text[DUMP_SIZE];
	struct co_loop *loop = loop_or_die(4);

	test_or_die(co_spawn(loop, suspend_for_ever, NULL, NULL));
	test_or_die(co_spawn(loop, suspend_for_ever, NULL, NULL));
	dump_to(loop, text);
	cr_assert_not_null(strstr(text, "does not run"));
	cr_assert_eq(count_lines(text, "is ready to run"), 2);
	cr_assert_eq(count_lines(text, "is not in the loop"), 4);
	cr_assert_eq(co_loop_run(loop), -EDEADLK);
	dump_to(loop, text);
	cr_assert_eq(count_lines(text, "is suspended, for "), 2);
	cr_assert_eq(count_lines(text, "is not in the loop"), 4);
	cr_assert_eq(co_loop_destroy(loop), 0);
}

CO_TEST_ON_ONE_THREAD(dump, it_fails_if_it_cannot_be_written)
{
	int file = open("/dev/full", O_WRONLY);

	CO_EXPECT_EQ(co_loop_dump(co_loop_current(), 987), -EBADF);
	CO_EXPECT_EQ(co_loop_dump(co_loop_current(), -1), -EBADF);
	if (file >= 0)
		CO_EXPECT_EQ(co_loop_dump(co_loop_current(), file), -ENOSPC);
	close(file);

	return 0;
}

/* SIGPIPE would end the test. */
CO_TEST_ON_ONE_THREAD(dump, an_unread_socket_is_no_signal)
{
	int ends[2];

	test_or_die(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	close(ends[1]);
	CO_EXPECT_EQ(co_loop_dump(co_loop_current(), ends[0]), -EPIPE);
	close(ends[0]);

	return 0;
}

/* --- While everything changes ------------------------------------------ */

static int come_and_go(void *arg)
{
	static const char *const names[] = { NULL, "x",
		"a name that is longer than others" };
	size_t i;

	for (i = 0; i < 3; i++) {
		co_task_set_name(NULL, names[i]);
		co_yield();
		co_channel_try_put(arg, NULL);
		co_channel_try_get(arg, NULL);
		co_sleep(CO_MICROSECOND);
	}

	return 0;
}

static int keep_them_coming(void *arg)
{
	struct test_counter *over = arg;
	struct co_channel *channel = channel_or_die(0, 1);

	while (counter_get(over) == 0)
		spawn_and_join_all(20, come_and_go, channel);

	return co_channel_destroy(channel);
}

static void look_again_and_again(void *arg)
{
	struct look *look = arg;
	int file = open("/dev/null", O_WRONLY);
	size_t i, n = CO_TEST_SCALE(2000);

	for (i = 0; i < n; i++) {
		CO_EXPECT_EQ(co_loop_dump(look->loop, file), 0);
		figures(look->loop);
	}
	close(file);
	counter_set(look->arg, 1);
}

/* For the thread sanitizer, above all. */
CO_TEST(dump, it_may_be_written_while_everything_changes)
{
	static struct test_counter over;
	struct look look = { .loop = co_loop_current(), .arg = &over };

	counter_set(&over, 0);
	test_thread_start(&look.thread, look.loop, look_again_and_again,
			&look);
	CO_EXPECT_EQ(keep_them_coming(&over), 0);
	test_thread_join(&look.thread);

	return 0;
}
