/* SPDX-License-Identifier: MIT */

/* fd.c - see fd.h */

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "starved.h"

#define CHUNKS_SIZE (CO__FD_CHUNKS * sizeof(AO_t))
#define CHUNK_SIZE (CO__FD_CHUNK * sizeof(struct co_io))

_Static_assert(offsetof(struct co_io, generation) + sizeof(AO_t)
		<= CO__CACHE_LINE, "one line is enough for events and calls");

int co__fds_init(struct co_loop *loop)
{
	loop->fds.chunks = co__loop_allocate(loop, CHUNKS_SIZE);
	if (loop->fds.chunks == NULL)
		return -ENOMEM;
	memset(loop->fds.chunks, 0, CHUNKS_SIZE);
	pthread_mutex_init(&loop->fds.lock, NULL);

	return 0;
}

/* The file may be shared: a terminal must not stay non-blocking. */
static void restore_mode(const struct co_io *io)
{
	int flags;

	if (!io->was_blocking)
		return;
	flags = fcntl(io->fd, F_GETFL);
	if (flags >= 0)
		fcntl(io->fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* Close what the loop still owns. */
static void close_chunk(struct co_io *chunk)
{
	for (unsigned i = 0; i < CO__FD_CHUNK; i++) {
		if (chunk[i].kind != CO__FD_IO || chunk[i].disowned)
			continue;
		restore_mode(&chunk[i]);
		close(chunk[i].fd);
	}
}

void co__fds_destroy(struct co_loop *loop)
{
	for (unsigned i = 0; i < CO__FD_CHUNKS; i++) {
		struct co_io *chunk = (struct co_io *)AO_load(
				&loop->fds.chunks[i]);

		if (chunk == NULL)
			continue;
		close_chunk(chunk);
		co__loop_release_lines(loop, chunk, CHUNK_SIZE);
	}
	co__loop_release(loop, loop->fds.chunks, CHUNKS_SIZE);
	pthread_mutex_destroy(&loop->fds.lock);
}

static struct co_io *find_chunk(struct co_loop *loop, unsigned index)
{
	/* Acquire: pairs with make_chunk. */
	return (struct co_io *)AO_load_acquire(&loop->fds.chunks[index]);
}

/* Make chunk number INDEX, unless another thread is first. */
static struct co_io *make_chunk(struct co_loop *loop, unsigned index)
{
	struct co_io *chunk = co__loop_allocate_lines(loop, CHUNK_SIZE);

	if (chunk == NULL)
		return find_chunk(loop, index);
	memset(chunk, 0, CHUNK_SIZE);
	for (unsigned i = 0; i < CO__FD_CHUNK; i++) {
		chunk[i].loop = loop;
		chunk[i].fd = (int)(index * CO__FD_CHUNK + i);
	}
	/* Release: the entries are complete. */
	if (AO_compare_and_swap_release(&loop->fds.chunks[index], 0,
			(AO_t)chunk))
		return chunk;
	co__loop_release_lines(loop, chunk, CHUNK_SIZE);

	return find_chunk(loop, index);
}

struct co_io *co__fd_find(struct co_loop *loop, int fd)
{
	unsigned index = (unsigned)fd / CO__FD_CHUNK;
	struct co_io *chunk = fd < 0 || index >= CO__FD_CHUNKS ? NULL
			: find_chunk(loop, index);

	return chunk != NULL ? &chunk[(unsigned)fd % CO__FD_CHUNK] : NULL;
}

int co__fd_entry(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	unsigned index = (unsigned)fd / CO__FD_CHUNK;
	struct co_io *chunk;

	if (index >= CO__FD_CHUNKS)
		return -ENOMEM;
	chunk = find_chunk(loop, index);
	if (chunk == NULL)
		chunk = make_chunk(loop, index);
	if (chunk == NULL)
		return -ENOMEM;
	*ret_io = &chunk[(unsigned)fd % CO__FD_CHUNK];

	return 0;
}

int co__fd_entry_of_open(struct co_loop *loop, int fd, struct co_io **ret_io)
{
	return fcntl(fd, F_GETFD) < 0 ? -EBADF
			: co__fd_entry(loop, fd, ret_io);
}

int co__fd_begin(struct co_io *io, enum co__fd_kind kind)
{
	struct co_loop *loop = io->loop;
	int rc;

	AO_store(&io->generation, AO_load(&io->generation) + 1);
	AO_store(&io->traits, kind == CO__FD_WATCHED ? CO__FD_HAS_NODE : 0);
	AO_store(&io->ready[0].word, CO__SLOT_READY);
	AO_store(&io->ready[1].word, CO__SLOT_READY);
	AO_store_release(&io->users, 0);	/* pairs with co__fd_enter */
	io->kind = (unsigned char)kind;
	io->disowned = 0;
	io->is_stream = io->is_socket = io->was_blocking = 0;
	rc = loop->os->add(loop->poller, io->fd, co__fd_key(io));
	io->is_polled = rc == 0;
	if (rc == 0)
		AO_fetch_and_add1(&loop->polled);
	else
		io->kind = CO__FD_FREE;

	return rc;
}

void co__fd_end(struct co_io *io)
{
	struct co_loop *loop = io->loop;

	if (io->is_polled) {
		loop->os->remove(loop->poller, io->fd);
		AO_fetch_and_sub1(&loop->polled);
	}
	AO_store(&io->generation, AO_load(&io->generation) + 1);
	io->kind = CO__FD_FREE;
}

/* It may take seconds: SO_LINGER.  Nobody has use for the entry, which is free,
 * until the number is another file's; but for a co_wait_fd() that has seen the
 * number still open.  It looks again, and finds out. */
static void close_unlocked(struct co_io *io)
{
	close(io->fd);
	co__atomic_fence();	/* before the slots: pairs with D2 of io.c */
	co__slot_raise(&io->ready[0], io);
	co__slot_raise(&io->ready[1], io);
}

void co__fd_finish(struct co_io *io)
{
	struct co__fds *fds = &io->loop->fds;
	bool ours;

	co__checked_acquire(io);
	pthread_mutex_lock(&fds->lock);
	ours = io->kind == CO__FD_IO && !io->disowned;
	/* What is borrowed ends when the last borrower gives it back. */
	if (io->kind == CO__FD_IO)
		co__fd_end(io);
	if (ours)
		restore_mode(io);
	pthread_mutex_unlock(&fds->lock);
	if (ours)
		close_unlocked(io);
	co__starved_feed();
}

void co__fd_close(int fd)
{
	close(fd);
	co__starved_feed();
}

int co__fd_copy(int fd, int from)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, from);

	if (copy >= 0)
		return copy;

	/* EINVAL: there are no numbers so high. */
	return errno == EINVAL ? -EMFILE : -errno;
}

int co__fd_option(int fd, int option)
{
	int value = 0;
	socklen_t size = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -errno
			: value;
}

bool co__fd_is_socket(int fd)
{
	return co__fd_option(fd, SO_TYPE) >= 0;
}

int co__fd_ask(int fd, unsigned events)
{
	struct pollfd one = { .fd = fd, .events = POLLRDHUP };
	int found = 0, n;

	if (events & CO_READABLE)
		one.events |= POLLIN;
	if (events & CO_WRITABLE)
		one.events |= POLLOUT;
	do
		n = poll(&one, 1, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	if (one.revents & POLLNVAL)
		return -EBADF;
	if (one.revents & (POLLIN | POLLRDHUP | POLLHUP | POLLERR))
		found |= CO_READABLE;
	if (one.revents & (POLLOUT | POLLHUP | POLLERR))
		found |= CO_WRITABLE;
	found &= (int)events;
	if (found == 0)		/* a half-close, and no room to write */
		return 0;
	if (one.revents & (POLLRDHUP | POLLHUP))
		found |= CO_HANGUP;
	if (one.revents & POLLERR)
		found |= CO_ERROR;

	return found;
}
