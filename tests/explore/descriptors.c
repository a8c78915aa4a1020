/* SPDX-License-Identifier: MIT */

/* descriptors.c - tasks that read, write and wait for sockets, whom others
 * close, cancel and watch */

#include "explore.h"

#include <errno.h>
#include <sys/socket.h>

#include <coloop/io.h>
#include <coloop/task.h>

#include "atomic.h"
#include "fd.h"

static struct explore_peer *peer;	/* of the first socket */
static struct co_io *io;
static char buffer[8];

/* Run FN in a loop of two, and OTHER_END in another thread.  The first socket
 * is FN's argument; it takes ROOM bytes at first. */
static void run(co_task_fn *fn, void *(*other_end)(void *), unsigned room)
{
	long number = explore_socket(room, &peer);
	int other = explore_thread(other_end, NULL);

	explore_expect(explore_loop_run(2, fn, (void *)number), 0);
	explore_join(other);
	explore_check(!explore_is_open(peer));
}

static void open_io(void *number)
{
	explore_expect(co_io_open(NULL, (int)(long)number, &io), 0);
}

/* --- Reading -------------------------------------------------------------- */

static void *send_and_end(void *arg)
{
	explore_send(peer, 1);
	explore_send(peer, 2);
	explore_end(peer);

	return arg;
}

/* All that comes is read, and then its end, with room for a part, for just as
 * much, and for more. */
static int read_all(void *arg)
{
	size_t size = 1 + explore_choose(3);
	ssize_t n, total = 0;

	open_io(arg);
	while ((n = co_io_read(io, buffer, size)) > 0)
		total += n;
	explore_expect(n, 0);
	explore_expect(total, 3);
	/* The end stays. */
	explore_expect(co_io_read(io, buffer, size), 0);

	return co_io_close(io);
}

static void run_read(void)
{
	run(read_all, send_and_end, 0);
}

/* A deadline takes nothing away, whenever it passes. */
static int read_with_deadlines(void *arg)
{
	struct co_deadline scope;
	ssize_t n, total = 0;

	open_io(arg);
	do {
		co_deadline_begin(&scope, co_after(100 * CO_MICROSECOND));
		n = co_io_read(io, buffer, 2);
		co_deadline_end(&scope);
		if (n > 0)
			total += n;
		else
			explore_check(n == 0 || n == -ETIMEDOUT);
	} while (n != 0);
	explore_expect(total, 3);

	return co_io_close(io);
}

static void run_deadlines(void)
{
	run(read_with_deadlines, send_and_end, 0);
}

/* --- Writing -------------------------------------------------------------- */

static void *make_room(void *arg)
{
	explore_make_room(peer, 1);
	explore_make_room(peer, 2);

	return arg;
}

static int write_all(void *arg)
{
	size_t done = 0;

	open_io(arg);
	explore_expect(co_io_write_full(io, buffer, 4, &done), 0);
	explore_expect(done, 4);

	return co_io_close(io);
}

static void run_write(void)
{
	run(write_all, make_room, 1);
	explore_expect(explore_written(peer), 4);
}

/* --- Both directions ------------------------------------------------------ */

static void *answer(void *arg)
{
	explore_send(peer, 1);
	explore_make_room(peer, 1);
	explore_send(peer, 1);
	explore_make_room(peer, 1);

	return arg;
}

static int write_two(void *arg)
{
	(void)arg;

	return co_io_write_full(io, buffer, 2, NULL);
}

static int read_two(void *arg)
{
	(void)arg;

	return co_io_read_full(io, buffer, 2, NULL);
}

static int read_and_write(void *arg)
{
	struct co_task *writer;
	int result = 1;

	open_io(arg);
	explore_expect(co_spawn(NULL, write_two, NULL, &writer), 0);
	explore_expect(read_two(NULL), 0);
	explore_expect(co_join(writer, &result), 0);
	explore_expect(result, 0);

	return co_io_close(io);
}

static void run_both(void)
{
	run(read_and_write, answer, 0);
}

static int wait_to_write(void *number)
{
	explore_expect(co_wait_fd((int)(long)number, CO_WRITABLE),
			CO_WRITABLE);
	explore_expect(send((int)(long)number, buffer, 1, 0), 1);

	return 0;
}

/* Two tasks wait for one number, each for another thing, and it is nobody's
 * struct co_io. */
static int wait_twice(void *number)
{
	struct co_task *writer;

	explore_expect(co_spawn(NULL, wait_to_write, number, &writer), 0);
	for (int i = 0; i < 2; i++) {
		explore_expect(co_wait_fd((int)(long)number, CO_READABLE),
				CO_READABLE);
		explore_expect(recv((int)(long)number, buffer, 1, 0), 1);
	}
	explore_expect(co_join(writer, NULL), 0);
	co__fd_close((int)(long)number);

	return 0;
}

static void run_wait(void)
{
	run(wait_twice, answer, 0);
}

/* One task waits for whatever comes first. */
static int wait_for_either(void *arg)
{
	int events, seen = 0;

	open_io(arg);
	while (seen != (CO_READABLE | CO_WRITABLE)) {
		events = co_io_wait(io, CO_READABLE | CO_WRITABLE);
		explore_check(events > 0);
		if (events & CO_READABLE)
			explore_check(co_io_read(io, buffer, 1) == 1);
		if (events & CO_WRITABLE)
			explore_check(co_io_write(io, buffer, 1) == 1);
		seen |= events;
	}

	return co_io_close(io);
}

static void run_either(void)
{
	run(wait_for_either, answer, 0);
}

/* --- Closing -------------------------------------------------------------- */

static void *send_one_or_nothing(void *arg)
{
	if (explore_choose(2) == 1)
		explore_send(peer, 1);

	return arg;
}

static AO_t has_read;		/* atomic: 1 when the reader is done */

static int read_or_be_sent_away(void *arg)
{
	ssize_t n = co_io_read(arg, buffer, 2);

	explore_check(n == 1 || n == -EBADF);
	AO_store(&has_read, 1);

	return 0;
}

/* Whoever reads the socket NUMBER gets what its other end sends. */
static void serve_next(int number, struct explore_peer *next_peer)
{
	struct co_io *next;

	explore_expect(co__io_adopt(co_loop_current(), number, &next), 0);
	explore_send(next_peer, 1);
	explore_expect(co_io_read(next, buffer, 2), 1);
	explore_expect(co_io_close(next), 0);
	explore_check(!explore_is_open(next_peer));
}

/* The reader is sent away, and reads nothing of the next file of that number;
 * whose own reader gets what came for it. */
static int close_and_open(void *arg)
{
	struct explore_peer *next_peer;
	struct co_task *reader;
	int number;

	open_io(arg);
	AO_store(&has_read, 0);
	explore_expect(co_spawn(NULL, read_or_be_sent_away, io, &reader), 0);
	/* Until it is in the call, or was: it must not begin one later. */
	while (!(AO_load(&io->users) & CO__FD_READER)
			&& AO_load(&has_read) == 0)
		explore_expect(co_yield(), 0);
	explore_expect(co_io_close(io), 0);
	number = explore_socket(0, &next_peer);
	serve_next(number, next_peer);
	explore_expect(co_join(reader, NULL), 0);

	return 0;
}

static void run_close(void)
{
	run(close_and_open, send_one_or_nothing, 0);
}

/* The program has closed the number itself; the next socket gets it. */
static int adopt_anew(void *arg)
{
	struct explore_peer *next_peer;
	struct co_task *reader;
	int number;

	open_io(arg);
	explore_expect(co_spawn(NULL, read_or_be_sent_away, io, &reader), 0);
	/* Until it waits: whoever is on the way to a call is lost. */
	while (AO_load(&io->ready[0].word) <= CO__SLOT_READY)
		explore_expect(co_yield(), 0);
	co__fd_close((int)(long)arg);
	number = explore_socket(0, &next_peer);
	explore_expect(number, (long)arg);
	serve_next(number, next_peer);
	explore_expect(co_join(reader, NULL), 0);

	return 0;
}

static void *send_nothing(void *arg)
{
	return arg;
}

static void run_adopt(void)
{
	run(adopt_anew, send_nothing, 0);
}

/* --- Watching ------------------------------------------------------------- */

/* A socket, and what its node has received. */
struct watch {
	struct co_resume_node node;
	int number;
	unsigned received;	/* plain: ready(), then who has removed it */
	AO_t inside;		/* atomic: 1 while ready() runs */
	AO_t over;		/* atomic: 1 when it must not run any more */
};

static struct watch first, second, other;
static AO_t all_came;		/* atomic: 1 when three bytes were received */

/* It is never in two threads at once, and has ended when the watch has. */
static void receive(struct co_resume_node *node, unsigned events)
{
	struct watch *watch = (struct watch *)node;

	explore_expect(events, CO_READABLE);
	explore_expect(AO_load(&watch->over), 0);
	explore_expect(AO_fetch_and_add1(&watch->inside), 0);
	while (recv(watch->number, buffer, 1, 0) == 1)
		watch->received++;
	explore_expect(AO_load(&watch->over), 0);
	AO_fetch_and_sub1(&watch->inside);
	if (watch->received == 3)
		AO_store(&all_came, 1);
}

static void make_watch(struct watch *watch, int number)
{
	watch->node.ready = receive;
	watch->number = number;
	watch->received = 0;
	AO_store(&watch->inside, 0);
	AO_store(&watch->over, 0);
	AO_store(&all_came, 0);
}

static void begin_watch(struct watch *watch, int number)
{
	make_watch(watch, number);
	explore_expect(co_loop_add_fd(co_loop_current(), number, CO_READABLE,
			&watch->node), 0);
}

/* From then on its node is the caller's. */
static void end_watch(struct watch *watch)
{
	explore_expect(co_loop_remove_fd(co_loop_current(), watch->number),
			0);
	AO_store(&watch->over, 1);
}

static void await_all(void)
{
	while (AO_load(&all_came) == 0)
		explore_expect(co_yield(), 0);
}

static void *send_three(void *arg)
{
	for (int i = 0; i < 3; i++)
		explore_send(peer, 1);

	return arg;
}

/* Each byte is told of. */
static int watch_all(void *arg)
{
	begin_watch(&first, (int)(long)arg);
	await_all();
	end_watch(&first);
	explore_expect(first.received, 3);
	co__fd_close(first.number);

	return 0;
}

static void run_watch(void)
{
	run(watch_all, send_three, 0);
}

/* The watch ends at any time; then the number is another file's, of which the
 * second node learns all, and the first nothing.  It isn't the last watch, whose
 * end wakes others. */
static int watch_next(void *arg)
{
	struct explore_peer *next_peer, *other_peer;

	begin_watch(&other, explore_socket(0, &other_peer));
	begin_watch(&first, (int)(long)arg);
	explore_expect(co_yield(), 0);
	end_watch(&first);
	explore_check(first.received <= 1);
	co__fd_close(first.number);
	begin_watch(&second, explore_socket(0, &next_peer));
	explore_expect(second.number, first.number);
	for (int i = 0; i < 3; i++)
		explore_send(next_peer, 1);
	await_all();
	end_watch(&second);
	end_watch(&other);
	co__fd_close(second.number);
	co__fd_close(other.number);

	return 0;
}

static void run_watch_next(void)
{
	run(watch_next, send_one_or_nothing, 0);
}

static void receive_nothing(struct co_resume_node *node, unsigned events)
{
	(void)node;
	explore_expect(events, CO_READABLE);
}

/* What the first node was told of, and left, the second is told of. */
static int change_watch(void *arg)
{
	make_watch(&second, (int)(long)arg);
	first.node.ready = receive_nothing;
	explore_expect(co_loop_add_fd(co_loop_current(), second.number,
			CO_READABLE, &first.node), 0);
	explore_expect(co_yield(), 0);
	explore_expect(co_loop_mod_fd(co_loop_current(), second.number,
			CO_READABLE, &second.node), 0);
	await_all();
	end_watch(&second);
	co__fd_close(second.number);

	return 0;
}

static void run_watch_changed(void)
{
	run(change_watch, send_three, 0);
}

const struct explore_scenario explore_descriptors[] = {
	{ "io: all is read, and its end", run_read, 200, false },
	{ "io: read with deadlines", run_deadlines, 200, false },
	{ "io: all is written", run_write, 200, false },
	{ "io: read and written at once", run_both, 200, false },
	{ "io: two wait for one number", run_wait, 200, false },
	{ "io: one waits for either", run_either, 200, false },
	{ "io: closed, and its number used anew", run_close, 200, false },
	{ "io: a number that the program has closed", run_adopt, 200, false },
	{ "watch: all is told", run_watch, 200, false },
	{ "watch: ended, and its number watched anew", run_watch_next, 200,
		false },
	{ "watch: changed", run_watch_changed, 200, false },
	{ NULL, NULL, 0, false },
};
