/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_FD_H
#define COLOOP_LIB_FD_H

/*
 * fd.h - the table of file descriptors that a loop knows
 *
 * One entry for each descriptor number; it is what a struct co_io is. Entries
 * live until the loop is destroyed, so an event that comes late, when the
 * number means another file, touches valid memory.  The key of an event holds
 * the entry's generation; one that doesn't fit is dropped, and one that slips
 * through is a needless wake-up, which every waiter bears.
 *
 * States      kind: free, io (co_io_open), watched (co_loop_add_fd), or
 *             borrowed (co_wait_fd).  Changes under the table's lock.
 *
 *             users: CLOSED, READER, WRITER, and a count of short uses.  One
 *             reader and one writer enter at a time.  Who closes sets CLOSED;
 *             whoever leaves last finishes: closes the descriptor, and makes
 *             the entry free.
 */

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <coloop/io.h>
#include <coloop/loop.h>

#include "assert.h"
#include "checkers.h"
#include "slot.h"

#define CO__FD_CLOSED ((AO_t)1)
#define CO__FD_READER ((AO_t)2)
#define CO__FD_WRITER ((AO_t)4)
#define CO__FD_USER   ((AO_t)8)		/* one short use */

#define CO__FD_HUNG_UP ((AO_t)1)	/* read on, whatever comes */
#define CO__FD_HAS_NODE ((AO_t)2)	/* it was begun as a watched one */

enum co__fd_kind { CO__FD_FREE, CO__FD_IO, CO__FD_WATCHED, CO__FD_BORROWED };

/* The address of a peer, of either family. */
union co__peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The first 64 bytes are all that events and calls need: with thousands of
 * connections each further line is a miss of the caches. */
struct co_io {
	struct co__slot ready[2]	/* atomic: to read, to write */
			__attribute__((aligned(CO__CACHE_LINE)));
	AO_t users;			/* atomic: see above */
	AO_t traits;			/* atomic: CO__FD_HUNG_UP, _HAS_NODE */
	struct co_loop *loop;		/* constant */
	int fd;				/* constant */
	unsigned char kind;		/* lock */
	unsigned char is_stream;	/* constant while open: short is dry;
					 * of a listener: so it is of what
					 * it accepts */
	unsigned char is_socket;	/* constant while open */
	unsigned char is_polled;	/* constant while open; or it is always
					 * ready */
	unsigned char was_blocking;	/* constant while open: restore it */
	unsigned char disowned;		/* lock: the descriptor is not ours */
	AO_t generation;		/* atomic; lock to change */
	unsigned borrowers;		/* lock: calls of co_wait_fd */

	/* Of an accepted connection: see tcp.c. */
	void *server;			/* constant while it is served */
	union co__peer peer;		/* constant while it is served */

	/* Of a watched descriptor: see watch.c. */
	AO_t node;			/* atomic: struct co_resume_node * */
	AO_t interest;			/* atomic: events asked for */
	AO_t pending;			/* atomic: events to be told, and the
					 * generation that they are of */
	AO_t telling;			/* atomic: struct co__worker * in
					 * node->ready, or 0 */
};

#define CO__FD_CHUNK 256u
#define CO__FD_CHUNKS 16384u

struct co__fds {
	pthread_mutex_t lock;		/* held in system calls that don't
					 * wait, never across a switch */
	AO_t *chunks;			/* atomic: struct co_io *, or 0 */
};

int co__fds_init(struct co_loop *loop);
void co__fds_destroy(struct co_loop *loop);

/* The entry of FD, an open descriptor, made if need be.  -ENOMEM. */
int co__fd_entry(struct co_loop *loop, int fd, struct co_io **ret_io);

/* The same for any number.  -EBADF: no file is open under it. */
int co__fd_entry_of_open(struct co_loop *loop, int fd, struct co_io **ret_io);

/* The entry of FD, or NULL if the loop has never known one near it. */
struct co_io *co__fd_find(struct co_loop *loop, int fd);

/* The key for the events of IO. */
static inline uint64_t co__fd_key(const struct co_io *io)
{
	return (uint64_t)(uint32_t)AO_load(&io->generation) << 32
			| (uint32_t)io->fd;
}

/* The entry that KEY, from an event, was given for. */
static inline struct co_io *co__fd_of_key(const struct co__fds *fds,
		uint64_t key)
{
	uint32_t fd = (uint32_t)key;
	/* Acquire: pairs with make_chunk. */
	struct co_io *chunk = (struct co_io *)AO_load_acquire(
			&fds->chunks[fd / CO__FD_CHUNK]);

	return &chunk[fd % CO__FD_CHUNK];
}

/* Make a free entry one of KIND, begin a generation, and watch it.  The table's
 * lock is held.  -EPERM: always ready. */
int co__fd_begin(struct co_io *io, enum co__fd_kind kind);

/* Make the entry free.  The table's lock is held. */
void co__fd_end(struct co_io *io);

/* Who is told that IO is closed sees what was written before that. */
static inline void co__fd_see_close(struct co_io *io)
{
	(void)AO_load_acquire(&io->users);	/* pairs with co_io_close */
}

/* Enter IO as READER, WRITER or USER.  -EBADF: closed.  -EBUSY. */
static inline int co__fd_enter(struct co_io *io, AO_t role)
{
	AO_t users;

	do {
		users = AO_load(&io->users);
		if (co__unlikely(users & CO__FD_CLOSED)) {
			co__fd_see_close(io);
			return -EBADF;
		}
		if (co__unlikely(role != CO__FD_USER && (users & role)))
			return -EBUSY;
		/* Acquire: pairs with co__fd_begin, and the last to leave. */
	} while (!AO_compare_and_swap_acquire(&io->users, users,
			users + role));

	return 0;
}

/* The last user of a closed IO has left. */
void co__fd_finish(struct co_io *io);

static inline void co__fd_leave(struct co_io *io, AO_t role)
{
	AO_t users;

	co__checked_release(io);
	/* Release: who finishes comes after; and acquire, if we do. */
	users = AO_fetch_and_add_full(&io->users, -role);
	if (co__unlikely(users - role == CO__FD_CLOSED))
		co__fd_finish(io);
}

/* Close FD, which is nobody's co_io. */
void co__fd_close(int fd);

/* Another descriptor of the same file, FROM or above.  -EBADF, -EMFILE. */
int co__fd_copy(int fd, int from);

/* OPTION of the socket FD, a number of SOL_SOCKET; or a negative errno
 * value. */
int co__fd_option(int fd, int option);

/* Whether FD is a socket. */
bool co__fd_is_socket(int fd);

/* What of EVENTS is there on FD now, by asking the system: 0, a mask, or a
 * negative errno value. */
int co__fd_ask(int fd, unsigned events);

/* co_io_open for a descriptor that the library has just made: a stream socket,
 * non-blocking, and TCP's unless the caller corrects is_stream.  If some task
 * has yet to leave an earlier file of the same number, the socket gets another
 * one.  It owns FD on success only.  -EMFILE, -ENOMEM, -ENOSPC. */
int co__io_adopt(struct co_loop *loop, int fd, struct co_io **ret_io);

/* One non-blocking system call: a count or a negative errno value. */
typedef ssize_t co__io_call(int fd, void *arg);

/* Do CALL on IO, waiting until it doesn't say -EAGAIN; DIRECTION is 0 to read
 * or 1 to write.  A result of less than FULL bytes means that a stream is
 * dry. */
ssize_t co__io_do(struct co_io *io, int direction, co__io_call *call, void *arg,
		size_t full);

/* Tell the node of a watched descriptor of EVENTS with KEY. */
void co__watch_tell(struct co_io *io, uint64_t key, unsigned events);

/* A socket that listens at ADDRESS, as a co_io of LOOP.  As co_io_open, and
 * socket(2), bind(2) and listen(2). */
int co__tcp_open_listener(struct co_loop *loop, const struct sockaddr *address,
		socklen_t size, int backlog, struct co_io **ret_listener);

/* A copy of FD, which listens already.  As co_tcp_server_listen_fd. */
int co__tcp_copy_listener(struct co_loop *loop, int fd,
		struct co_io **ret_listener);

/* Whether FD listens. */
bool co__tcp_listens(int fd);

/* Whether ADDRESS is one of IPv4 or IPv6. */
bool co__tcp_is_address(const struct sockaddr *address, socklen_t size);

#endif
