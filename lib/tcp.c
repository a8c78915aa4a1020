/* SPDX-License-Identifier: MIT */

/*
 * tcp.c - a server: one task that accepts, one for each connection
 *
 * Ownership   The handlers' tasks are a group, of which the accepting task is
 *             expected to be one all the time: only it spawns handlers, so once
 *             it has ended they only become fewer, and who waits for the group
 *             waits for all.
 *
 *             The accepting task is a user of the listener until it ends: its
 *             entry can't become another file's meanwhile.
 *
 *             What is known of a connection lies in its co_io and on stacks,
 *             which vanish with the loop: nothing is left of handlers that a
 *             loop's end discards.
 *
 * Exhaustion  When accept says that descriptors or memory have run out, the
 *             connection stays in the backlog.  A connection for which there
 *             is no task is held, and no other is accepted before it has one.
 *             The accepting task waits until a descriptor is freed, or for a
 *             time that doubles up to 100 ms: starved.h.
 */

#include <coloop/tcp.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "fd.h"
#include "group.h"
#include "loop.h"
#include "starved.h"

#define RETRY_MIN (1 * CO_MILLISECOND)
#define RETRY_MAX (100 * CO_MILLISECOND)

/* Connections that are accepted before others run: who comes faster than they
 * are accepted must not keep the thread from those who are here. */
#define TURN 16

struct server {
	void *user;			/* the caller's */
	struct co_loop *loop;		/* constant */
	co_tcp_handler *handler;	/* constant while listening */
	struct co_io *listener;		/* lock: NULL once closed */
	struct co_io *accepting;	/* constant while accepting */
	struct co__group tasks;		/* its flag: others may accept, too; its
					 * lock is what `lock' means here */
};

_Static_assert(sizeof(struct server) <= sizeof(struct co_tcp_server),
		"struct co_tcp_server has the room that a server needs");

/* The connection that the accepting task has accepted and no task serves; on
 * its stack. */
struct arrival {
	int fd;				/* -1: none, or it has become: */
	struct co_io *io;		/* or NULL */
	union co__peer peer;
};

static const struct arrival no_arrival = { .fd = -1 };

static struct server *open_server(struct co_tcp_server *server)
{
	return (struct server *)(void *)server;
}

/* --- Handlers ------------------------------------------------------------ */

static int handler_main(void *arg)
{
	struct co_io *io = arg;
	struct server *server = io->server;
	union co__peer peer = io->peer;
	struct co__member self;

	co__group_enter(&server->tasks, &self);
	server->handler((struct co_tcp_server *)(void *)server, io, &peer.any);
	co_io_close(io);
	co__group_leave(&server->tasks, &self);

	return 0;
}

/* Make ARRIVAL a co_io, with a task that serves it.  What of that was done
 * before a failure is not done again. */
static int start_handler(struct server *server, struct arrival *arrival)
{
	int rc = 0;

	if (arrival->io == NULL)
		rc = co__io_adopt(server->loop, arrival->fd, &arrival->io);
	if (rc < 0)
		return rc;
	arrival->fd = -1;
	arrival->io->is_stream = server->accepting->is_stream;
	arrival->io->server = server;
	arrival->io->peer = arrival->peer;
	co__group_expect(&server->tasks);
	/* For whom the server was told to listen. */
	rc = co__spawn(server->loop, NULL, handler_main, arrival->io, NULL,
			(const void *)AO_load(&co_self()->spawned_at));
	if (rc == 0)
		*arrival = no_arrival;
	else
		co__group_leave(&server->tasks, NULL);

	return rc;
}

/* The server was closed before a task could be found for ARRIVAL. */
static void turn_away(struct arrival *arrival)
{
	if (arrival->io != NULL)
		co_io_close(arrival->io);
	else if (arrival->fd >= 0)
		co__fd_close(arrival->fd);
	*arrival = no_arrival;
}

/* --- Accepting ----------------------------------------------------------- */

static ssize_t call_accept(int fd, void *arg)
{
	struct arrival *arrival = arg;
	socklen_t size = sizeof arrival->peer;

	arrival->fd = accept4(fd, &arrival->peer.any, &size,
			SOCK_NONBLOCK | SOCK_CLOEXEC);

	return arrival->fd < 0 ? -errno : 0;
}

/* Accept one connection, unless one is held, and start its handler. */
static int accept_one(struct server *server, struct co_io *listener,
		struct arrival *arrival)
{
	int rc = 0;

	if (AO_load(&listener->users) & CO__FD_CLOSED)
		return -EBADF;
	if (arrival->fd < 0 && arrival->io == NULL)
		rc = (int)co__io_do(listener, 0, call_accept, arrival, 0);

	return rc < 0 ? rc : start_handler(server, arrival);
}

/* Whether it would fail again at once: the system lacks something, or doesn't
 * let this process accept, as a security module or a sandbox may. */
static bool is_lasting(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS
			|| rc == -ENOMEM || rc == -ENOSPC
			|| rc == -EPERM || rc == -EACCES || rc == -ENOSYS;
}

/* Whether accepting is over: the listener was closed, by us or by others. */
static bool is_final(const struct co_io *listener, int rc)
{
	/* Also what the network said of a connection: see accept(2). */
	if (rc == -EOPNOTSUPP)
		return !co__tcp_listens(listener->fd);

	return rc == -EBADF || rc == -EINVAL || rc == -ENOTSOCK
			|| rc == -ECANCELED;
}

/* Try to accept until it isn't for something lasting that it fails. */
static int accept_starving(struct server *server, struct co_io *listener,
		struct arrival *arrival)
{
	struct co_task *self = co_self();
	struct co__starved starved;
	co_time pause = RETRY_MIN;
	int rc;

	co__starved_enter(&starved, self, &arrival->fd);
	while (is_lasting(rc = accept_one(server, listener, arrival))) {
		co__starved_wait(self, pause);
		/* Also if it needn't wait: perhaps others must run first. */
		co_yield();
		pause = pause * 2 > RETRY_MAX ? RETRY_MAX : pause * 2;
	}
	co__starved_leave(&starved);

	return rc;
}

static int accept_main(void *arg)
{
	struct server *server = arg;
	struct co_io *listener = server->accepting;
	struct arrival arrival = no_arrival;
	unsigned turn = 0;
	int rc;

	do {
		rc = accept_one(server, listener, &arrival);
		if (is_lasting(rc))
			rc = accept_starving(server, listener, &arrival);
		/* Or a connection failed in the backlog: the next. */
		if (rc < 0 || ++turn % TURN == 0)
			co_yield();
	} while (!is_final(listener, rc));
	turn_away(&arrival);
	/* While the listener can't be another file yet. */
	co_tcp_server_close((struct co_tcp_server *)(void *)server);
	co__fd_leave(listener, CO__FD_USER);
	co__group_leave(&server->tasks, NULL);

	return 0;
}

/* --- The calls ----------------------------------------------------------- */

int co_tcp_server_init(struct co_tcp_server *server, struct co_loop *loop)
{
	struct server *self;

	if (server == NULL || !co__loop_is_valid(loop))
		return -EINVAL;
	memset(server->private_, 0, sizeof server->private_);
	self = open_server(server);
	self->loop = loop;
	co__group_init(&self->tasks);

	return 0;
}

/* Spawn the accepting task, for the call that returns to AT.  The lock is
 * held. */
static int start_accepting(struct server *server, struct co_io *listener,
		const void *at)
{
	static const struct co_task_attr attr = { sizeof attr, 0,
		"co_tcp_server", 0, { 0 } };
	int rc;

	server->listener = server->accepting = listener;
	server->tasks.cancelled = 0;
	co__fd_enter(listener, CO__FD_USER);
	rc = co__spawn(server->loop, &attr, accept_main, server, NULL, at);
	if (rc < 0) {
		server->listener = NULL;
		co__fd_leave(listener, CO__FD_USER);
		co_io_close(listener);
	}

	return rc;
}

/* The accepting task to be counts as live.  False: some task is, or another has
 * not seen yet that none is: it would wait for the new ones. */
static bool begin_listening(struct server *server)
{
	bool begins;

	pthread_mutex_lock(&server->tasks.lock);
	begins = server->tasks.live == 0 && server->tasks.waiter == NULL;
	if (begins)
		server->tasks.live = 1;
	pthread_mutex_unlock(&server->tasks.lock);

	return begins;
}

/* What has begun goes on with LISTENER, which others may share, if RC is 0, for
 * the call that returns to AT; or doesn't. */
static int end_listening(struct server *server, int rc,
		struct co_io *listener, bool shares, co_tcp_handler *handler,
		const void *at)
{
	if (rc == 0) {
		pthread_mutex_lock(&server->tasks.lock);
		server->handler = handler;
		server->tasks.flag = shares;
		rc = start_accepting(server, listener, at);
		pthread_mutex_unlock(&server->tasks.lock);
	}
	if (rc < 0)
		co__group_leave(&server->tasks, NULL);

	return rc;
}

co__noinline int co_tcp_server_listen(struct co_tcp_server *server,
		const struct sockaddr *address, socklen_t size, int backlog,
		co_tcp_handler *handler)
{
	struct server *self = open_server(server);
	struct co_io *listener = NULL;
	int rc;

	if (server == NULL || self->loop == NULL || address == NULL
			|| handler == NULL || backlog < 0
			|| !co__tcp_is_address(address, size))
		return -EINVAL;
	if (!begin_listening(self))
		return -EALREADY;
	/* Without the lock: it may let other tasks run. */
	rc = co__tcp_open_listener(self->loop, address, size, backlog,
			&listener);

	return end_listening(self, rc, listener, false, handler, co__caller());
}

co__noinline int co_tcp_server_listen_fd(struct co_tcp_server *server, int fd,
		co_tcp_handler *handler)
{
	struct server *self = open_server(server);
	struct co_io *listener = NULL;
	int rc;

	if (server == NULL || self->loop == NULL || handler == NULL)
		return -EINVAL;
	if (!begin_listening(self))
		return -EALREADY;
	rc = co__tcp_copy_listener(self->loop, fd, &listener);

	return end_listening(self, rc, listener, true, handler, co__caller());
}

int co_tcp_server_address(struct co_tcp_server *server,
		struct sockaddr *ret_address, socklen_t *size)
{
	struct server *self = open_server(server);
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	int rc = -ENOTCONN;

	if (server == NULL || self->loop == NULL || ret_address == NULL
			|| size == NULL)
		return -EINVAL;
	pthread_mutex_lock(&self->tasks.lock);
	if (self->listener != NULL)
		rc = getsockname(co_io_fd(self->listener),
				(struct sockaddr *)(void *)&address, &length)
				< 0 ? -errno : 0;
	pthread_mutex_unlock(&self->tasks.lock);
	if (rc < 0)
		return rc;
	if (*size < length)
		return -EINVAL;
	memcpy(ret_address, &address, length);
	*size = length;

	return 0;
}

size_t co_tcp_server_connections(struct co_tcp_server *server)
{
	struct server *self = open_server(server);

	return server == NULL || self->loop == NULL ? 0
			: co__group_count(&self->tasks);
}

int co_tcp_server_close(struct co_tcp_server *server)
{
	struct server *self = open_server(server);
	struct co_io *listener;
	bool shares;

	if (server == NULL || self->loop == NULL)
		return -EINVAL;
	pthread_mutex_lock(&self->tasks.lock);
	listener = self->listener;
	shares = self->tasks.flag;
	self->listener = NULL;
	pthread_mutex_unlock(&self->tasks.lock);
	if (listener == NULL)
		return 0;
	/* At once; the accepting task closes the descriptor when it runs. */
	if (!shares)
		co_io_shutdown(listener, SHUT_RDWR);
	co_io_close(listener);

	return 0;
}

int co_tcp_server_drain(struct co_tcp_server *server)
{
	struct server *self = open_server(server);
	struct co_task *task = co_self();
	int rc;

	if (server == NULL || self->loop == NULL)
		return -EINVAL;
	if (task == NULL)
		return -EPERM;
	co_tcp_server_close(server);
	rc = co__group_begin_wait(&self->tasks, task);

	return rc == 0 ? co__group_wait(&self->tasks, task) : rc;
}

int co_tcp_server_deinit(struct co_tcp_server *server)
{
	struct server *self = open_server(server);
	struct co_task *task = co_self();
	int rc;

	if (server == NULL)
		return -EINVAL;
	if (self->loop == NULL)
		return 0;
	co_tcp_server_close(server);
	co__group_cancel(&self->tasks, task);
	rc = co__group_end(&self->tasks, task);
	if (rc < 0)
		return rc;
	memset(server->private_, 0, sizeof server->private_);

	return 0;
}
