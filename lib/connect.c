/* SPDX-License-Identifier: MIT */

/* connect.c - connecting a TCP socket from a task */

#include <coloop/tcp.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "fd.h"
#include "wait.h"
#include "worker.h"

/* 1: connected.  0: not yet.  A negative errno value: it has failed.  A socket
 * that isn't connected yet may be writable without an error. */
static int outcome_of(int fd)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;
	int error = co__fd_option(fd, SO_ERROR);

	if (error < 0)
		return error;	/* GCOVR_EXCL_LINE: each socket can be asked */
	if (error > 0)
		return -error;

	return getpeername(fd, (struct sockaddr *)(void *)&peer, &size) == 0;
}

static int wait_connected(struct co_io *io)
{
	int rc, outcome = 0;

	do {
		rc = co_io_wait(io, CO_WRITABLE);
		if (rc >= 0)
			outcome = outcome_of(co_io_fd(io));
	} while (rc >= 0 && outcome == 0);
	if (rc < 0)
		return rc;

	return outcome < 0 ? outcome : 0;
}

/* A socket that is connected or on its way.  *RET_PENDING tells which. */
static int begin_connect(const struct sockaddr *address, socklen_t size,
		int *ret_fd, bool *ret_pending)
{
	int on = 1, rc, fd = socket(address->sa_family, SOCK_STREAM
			| SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	rc = connect(fd, address, size) < 0 ? -errno : 0;
	/* Interrupted, it goes on in the background. */
	*ret_pending = rc == -EINPROGRESS || rc == -EINTR;
	if (rc < 0 && !*ret_pending) {
		co__fd_close(fd);
		return rc;
	}
	*ret_fd = fd;

	return 0;
}

int co_tcp_connect(const struct sockaddr *address, socklen_t size,
		struct co_io **ret_io)
{
	struct co_task *self;
	struct co_io *io;
	bool pending = false;
	int fd = -1, rc;

	if (address == NULL || ret_io == NULL
			|| !co__tcp_is_address(address, size))
		return -EINVAL;
	rc = co__wait_enter(&self);
	if (rc == 0)
		rc = begin_connect(address, size, &fd, &pending);
	if (rc < 0)
		return rc;
	rc = co__io_adopt(self->loop, fd, &io);
	if (rc < 0) {
		co__fd_close(fd);
		return rc;
	}
	if (pending)
		rc = wait_connected(io);
	if (rc < 0) {
		co_io_close(io);
		return rc;
	}
	*ret_io = io;

	return 0;
}
