/* SPDX-License-Identifier: MIT */

/* listen.c - the sockets that servers accept from: see tcp.c */

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

bool co__tcp_listens(int fd)
{
	return co__fd_option(fd, SO_ACCEPTCONN) > 0;
}

/* Whether FD, a stream socket, is TCP's.  Others keep boundaries: SCTP, and the
 * Unix domain with rights or credentials. */
static bool is_tcp(int fd)
{
	return co__fd_option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static void send_at_once(int fd)
{
	int on = 1;

	/* Inherited by what is accepted, at least on Linux; nothing to a socket
	 * that isn't TCP's. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int listen_on(int fd, const struct sockaddr *address, socklen_t size,
		int backlog)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	send_at_once(fd);
	if (bind(fd, address, size) < 0
			|| listen(fd, backlog > 0 ? backlog : SOMAXCONN) < 0)
		return -errno;

	return 0;
}

int co__tcp_open_listener(struct co_loop *loop, const struct sockaddr *address,
		socklen_t size, int backlog, struct co_io **ret_listener)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK
			| SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = listen_on(fd, address, size, backlog);
	if (rc == 0)
		rc = co__io_adopt(loop, fd, ret_listener);
	if (rc < 0)
		co__fd_close(fd);

	return rc;
}

/* See that connections can be accepted from FD without waiting. */
static int use_listening(int fd)
{
	int listens = co__fd_option(fd, SO_ACCEPTCONN);
	int type = co__fd_option(fd, SO_TYPE), flags;

	if (listens < 0 || type < 0)
		return listens < 0 ? listens : type;
	if (!listens || type != SOCK_STREAM)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	send_at_once(fd);

	return 0;
}

int co__tcp_copy_listener(struct co_loop *loop, int fd,
		struct co_io **ret_listener)
{
	int copy = co__fd_copy(fd, 0), rc;

	if (copy < 0)
		return copy;
	rc = use_listening(copy);
	if (rc == 0)
		rc = co__io_adopt(loop, copy, ret_listener);
	if (rc == 0)
		(*ret_listener)->is_stream = is_tcp((*ret_listener)->fd);
	else
		co__fd_close(copy);

	return rc;
}
