/* SPDX-License-Identifier: MIT */

/* open.c - making a descriptor a struct co_io, and closing it; see fd.h */

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "worker.h"

/* What kind of file IO is, and non-blocking mode. */
static int examine(struct co_io *io)
{
	int type, flags = fcntl(io->fd, F_GETFL);

	if (flags < 0)
		return -errno;
	io->was_blocking = !(flags & O_NONBLOCK);
	if (io->was_blocking && fcntl(io->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	type = co__fd_option(io->fd, SO_TYPE);
	io->is_socket = type >= 0;
	/* Others keep boundaries: SCTP, and AF_UNIX with rights or
	 * credentials. */
	io->is_stream = type == SOCK_STREAM
			&& co__fd_option(io->fd, SO_PROTOCOL) == IPPROTO_TCP;

	return 0;
}

/* Begin an entry for a descriptor that nobody else knows in this loop. */
static int begin_io(struct co_io *io)
{
	int rc = co__fd_begin(io, CO__FD_IO);

	if (rc == -EPERM) {	/* a regular file: always ready */
		io->kind = CO__FD_IO;
		rc = 0;
	}

	return rc;
}

int co_io_open(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	struct co_io *io;
	int rc;

	loop = co__loop_or_current(loop);
	if (loop == NULL || ret_io == NULL)
		return -EINVAL;
	rc = co__fd_entry_of_open(loop, fd, &io);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&loop->fds.lock);
	rc = io->kind == CO__FD_FREE ? begin_io(io) : -EEXIST;
	if (rc == 0) {
		rc = examine(io);
		if (rc < 0)
			co__fd_end(io);
	}
	pthread_mutex_unlock(&loop->fds.lock);
	if (rc == 0)
		*ret_io = io;

	return rc;
}

/* The entry belongs to a descriptor that was closed by others, whose number is
 * used anew.  Let go who uses it: their calls return -EBADF when they run. */
static void evict(struct co_io *io)
{
	struct co__fds *fds = &io->loop->fds;
	enum co__fd_kind kind;

	pthread_mutex_lock(&fds->lock);
	kind = (enum co__fd_kind)io->kind;
	io->disowned = 1;
	pthread_mutex_unlock(&fds->lock);
	if (kind == CO__FD_WATCHED)
		co_loop_remove_fd(io->loop, io->fd);
	else
		co_io_close(io);
}

/* -EEXIST: the entry of FD is in use. */
static int try_adopt(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	struct co_io *io;
	int rc = co__fd_entry(loop, fd, &io);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&loop->fds.lock);
	rc = io->kind == CO__FD_FREE ? begin_io(io) : -EEXIST;
	if (rc == 0)
		io->is_socket = io->is_stream = 1;
	pthread_mutex_unlock(&loop->fds.lock);
	if (rc == 0 || rc == -EEXIST)
		*ret_io = io;

	return rc;
}

/* Adopt FD under a number above its own. */
static int adopt_elsewhere(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	int rc, next = fd;

	do {
		next = co__fd_copy(fd, next + 1);
		if (next < 0)
			return next;
		rc = try_adopt(loop, next, ret_io);
		co__fd_close(rc == 0 ? fd : next);
	} while (rc == -EEXIST);

	return rc;
}

int co__io_adopt(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	struct co_io *io = NULL;
	int rc = try_adopt(loop, fd, &io);

	if (rc == -EEXIST) {
		evict(io);
		rc = try_adopt(loop, fd, &io);
	}
	/* Its users may be tasks that can't run before we return. */
	if (rc == -EEXIST)
		rc = adopt_elsewhere(loop, fd, &io);
	if (rc == 0)
		*ret_io = io;

	return rc;
}

int co_io_close(struct co_io *io)
{
	AO_t users;

	if (io == NULL)
		return 0;
	do {
		users = AO_load(&io->users);
		if (users & CO__FD_CLOSED) {
			co__fd_see_close(io);
			return -EBADF;
		}
		/* As a user, so that it isn't finished under our hands. */
	} while (!AO_compare_and_swap_full(&io->users, users,
			(users | CO__FD_CLOSED) + CO__FD_USER));
	co__atomic_fence();	/* CLOSED before the slots: pairs with D2 */
	co__slot_raise(&io->ready[0], io);
	co__slot_raise(&io->ready[1], io);
	co__fd_leave(io, CO__FD_USER);

	return 0;
}

int co_io_fd(const struct co_io *io)
{
	return io != NULL ? io->fd : -EINVAL;
}

int co_io_shutdown(struct co_io *io, int how)
{
	int rc;

	if (io == NULL)
		return -EINVAL;
	rc = co__fd_enter(io, CO__FD_USER);
	if (rc < 0)
		return rc;
	if (shutdown(io->fd, how) < 0)
		rc = -errno;
	co__fd_leave(io, CO__FD_USER);

	return rc;
}
