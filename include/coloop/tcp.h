/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TCP_H
#define COLOOP_TCP_H

/*
 * TCP servers and clients.         co_tcp_server(3), co_tcp_connect(3)
 *
 * Sockets have TCP_NODELAY, close-on-exec and non-blocking mode set.
 */

#include <coloop/io.h>

#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_tcp_server;

/* Serves one connection, in a task of its own.  The library closes CONNECTION
 * when the handler has returned; it must not be closed by the handler.  PEER
 * is valid during the call. */
typedef void co_tcp_handler(struct co_tcp_server *server,
		struct co_io *connection, const struct sockaddr *peer);

/* A server.  The caller embeds it, from init to deinit; USER is the caller's,
 * the rest the library's. */
struct co_tcp_server {
	void *user;
	void *private_[15];
};

/* Make SERVER a server, not listening, whose tasks belong to LOOP.
 * -EINVAL: a null argument. */
CO_API int co_tcp_server_init(struct co_tcp_server *server,
		struct co_loop *loop);

/* Bind to ADDRESS (IPv4, IPv6), listen, and spawn the task that accepts.  The
 * port may be 0: see co_tcp_server_address().  BACKLOG 0: the system's largest.
 * When descriptors or memory run out, accepting pauses and goes on by itself;
 * a connection that was accepted is held until there is a task for it.
 * The address may be in use by connections of an earlier server (SO_REUSEADDR).
 * -EALREADY: it is listening, or tasks of an earlier listening remain, or are
 * waited for.
 * -EADDRINUSE, -EACCES, ...: as socket(2), bind(2), listen(2).  -EINVAL: also
 * an address that is neither IPv4 nor IPv6.  -ENOMEM, -ENOSPC (the system's
 * limit of watches).  Any thread. */
CO_API int co_tcp_server_listen(struct co_tcp_server *server,
		const struct sockaddr *address, socklen_t size, int backlog,
		co_tcp_handler *handler);

/* The same with FD, a stream socket that listens already: of a service manager,
 * a parent, or the Unix domain.  The server has a copy of it, in non-blocking
 * mode, and FD stays the caller's, who may close it.  Others who have the
 * socket may accept, too, and co_tcp_server_close() ends nothing for them.  Of
 * a peer of the Unix domain only sa_family is valid.
 * -EALREADY, -ENOMEM, -ENOSPC: as above.  -EBADF, -ENOTSOCK: FD.  -EINVAL: also
 * if it isn't such a socket, or doesn't listen.  -EMFILE.  Any thread. */
CO_API int co_tcp_server_listen_fd(struct co_tcp_server *server, int fd,
		co_tcp_handler *handler);

/* The address that the server is bound to.  *SIZE is the room, and gets the
 * size of the address.  -ENOTCONN: not listening.  -EINVAL: too little room.
 * -ENOBUFS: the system has no memory to answer.  Any thread. */
CO_API int co_tcp_server_address(struct co_tcp_server *server,
		struct sockaddr *ret_address, socklen_t *size);

/* How many handlers are running; 0 for NULL.  Any thread. */
CO_API size_t co_tcp_server_connections(struct co_tcp_server *server);

/* Stop listening.  Connections that were accepted go on.  Idempotent.  Any
 * thread.  -EINVAL: NULL, or not initialized. */
CO_API int co_tcp_server_close(struct co_tcp_server *server);

/* Close, and wait until all handlers have returned of themselves.  Again after
 * a failure, or deinit, who doesn't leave it to them.  -ETIMEDOUT, -ECANCELED:
 * some have not.  -EDEADLK: called by one of the server's own handlers.
 * -EBUSY: another task drains it.  -EPERM: not a task; then nothing was done.
 * -EINVAL: NULL, or not initialized. */
CO_API int co_tcp_server_drain(struct co_tcp_server *server);

/* Close, cancel the handlers' tasks, and wait until all have returned.
 * Idempotent.  In a task it waits, whatever its deadlines and cancellation
 * are.  -EDEADLK: called by one of the server's own handlers.  -EBUSY: called
 * outside of a task while a handler or the accepting task has not returned, or
 * while another task drains it.  Then the server is closed and its handlers are
 * cancelled, but it is not released. */
CO_API int co_tcp_server_deinit(struct co_tcp_server *server);

/* Connect to ADDRESS from the calling task, and make the connection a co_io of
 * its loop.  -ECONNREFUSED, -EHOSTUNREACH, -ENETUNREACH, ...: as connect(2).
 * -ETIMEDOUT: a deadline, or the network's own.  -ECANCELED, -EPERM, -EINVAL,
 * -EMFILE, -ENFILE, -ENOMEM, -ENOSPC (the system's limit of watches). */
CO_API int co_tcp_connect(const struct sockaddr *address, socklen_t size,
		struct co_io **ret_io);

/* Make a socket address of a numeric IPv4 or IPv6 address, such as "127.0.0.1"
 * or "::1", and a port.  Any thread.  -EINVAL: TEXT is neither, or PORT is
 * above 65535. */
CO_API int co_tcp_address(const char *text, unsigned port,
		struct sockaddr_storage *ret_address, socklen_t *ret_size);

#ifdef __cplusplus
}
#endif

#endif
