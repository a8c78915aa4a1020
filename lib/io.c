/* SPDX-License-Identifier: MIT */

/*
 * io.c - reading and writing descriptors from tasks; see fd.h
 *
 * Readiness   A direction's slot says whether the kernel should be asked:
 *             ready (perhaps there is something) or empty (it said EAGAIN, or
 *             gave less than it could have, and no event has come since).
 *
 *               D1 ready -> empty: this task uses the readiness up
 *               D2 fence
 *               D3 the system call
 *               D4 if there may be more: empty -> ready
 *
 *             Data that D3 missed came after it, so its event comes after D1,
 *             which the fence made visible before D3: the event makes the
 *             slot ready again, or wakes the waiter.  An event for data that
 *             D3 did read costs one call in vain.
 *
 *             On a TCP socket a short count means that nothing was left, so
 *             D4 is left out, and the next call parks at once instead of
 *             asking again.  But after a hang-up there is no further event,
 *             though the end of the stream is still to be read: then D4 is
 *             always done.
 */

#include "fd.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "worker.h"

#ifndef IOV_MAX
#define IOV_MAX 16		/* what POSIX guarantees */
#endif

/* --- Waiting ------------------------------------------------------------- */

/* Wait until one of the directions in EVENTS is perhaps ready. */
static int wait_ready(struct co_io *io, struct co_task *self, unsigned events,
		enum co__wait_kind kind)
{
	struct co_loop *loop = io->loop;
	int rc = co__wait_prepare(self);

	if (rc < 0)
		return rc;
	/* After D1 and D2, which may have taken away what co_io_close raised:
	 * pairs with its fence. */
	if (AO_load(&io->users) & CO__FD_CLOSED)
		return -EBADF;
	if (loop->os->rearm != NULL)
		loop->os->rearm(loop->poller, io->fd, co__fd_key(io), events);
	co__worker_count_outside(self, 1);
	if (events == (CO_READABLE | CO_WRITABLE))
		rc = co__slot_wait_both(self, (int)kind, io, &io->ready[0],
				&io->ready[1]);
	else
		rc = co__slot_wait(self, (int)kind, io,
				&io->ready[events == CO_WRITABLE]);
	co__worker_count_outside(self, (AO_t)-1);

	return rc;
}

/* D1 to D4.  -EAGAIN: it must wait. */
static inline ssize_t try_call(struct co_io *io, struct co__slot *slot,
		co__io_call *call, void *arg, size_t full)
{
	ssize_t n;

	/* Acquire: pairs with co__slot_raise, for its traits. */
	if (AO_load_acquire(&slot->word) == CO__SLOT_EMPTY)
		return -EAGAIN;
	AO_store(&slot->word, CO__SLOT_EMPTY);			/* D1 */
	co__atomic_fence();					/* D2 */
	do
		n = call(io->fd, arg);				/* D3 */
	while (n == -EINTR);
	if (n == -EAGAIN && io->is_polled)
		return n;
	if (n < 0 || (size_t)n >= full || !io->is_stream
			|| (AO_load(&io->traits) & CO__FD_HUNG_UP))
		/* D4.  Only what makes the slot ready can be there beside this
		 * task, so there is nothing to compare with. */
		AO_store(&slot->word, CO__SLOT_READY);

	return n;
}

/* The rest of a call that can't be done without waiting. */
static co__noinline ssize_t wait_and_call(struct co_io *io,
		struct co_task *self, int direction, co__io_call *call,
		void *arg, size_t full)
{
	ssize_t n;

	do {
		int rc = wait_ready(io, self, direction == 0 ? CO_READABLE
				: CO_WRITABLE, direction == 0 ? CO__IN_READ
				: CO__IN_WRITE);

		if (AO_load(&io->users) & CO__FD_CLOSED)
			return -EBADF;
		if (rc < 0)
			return rc;
		n = try_call(io, &io->ready[direction], call, arg, full);
	} while (n == -EAGAIN);

	return n;
}

static inline AO_t role_of(int direction)
{
	return direction == 0 ? CO__FD_READER : CO__FD_WRITER;
}

/* The beginning of each call: *RET_SELF is the calling task, and is now the one
 * that uses IO in DIRECTION, until co__fd_leave. */
static inline int enter(struct co_io *io, int direction,
		struct co_task **ret_self)
{
	int rc;

	if (io == NULL)
		return -EINVAL;
	rc = co__wait_enter(ret_self);

	return rc == 0 ? co__fd_enter(io, role_of(direction)) : rc;
}

static co__always_inline ssize_t call_inside(struct co_io *io,
		struct co_task *self, int direction, co__io_call *call,
		void *arg, size_t full)
{
	ssize_t n = try_call(io, &io->ready[direction], call, arg, full);

	if (n == -EAGAIN)
		n = wait_and_call(io, self, direction, call, arg, full);

	return n;
}

/* co__io_do, with what its caller knows worked in. */
static co__always_inline ssize_t do_call(struct co_io *io, int direction,
		co__io_call *call, void *arg, size_t full)
{
	struct co_task *self;
	ssize_t n;
	int rc = enter(io, direction, &self);

	if (rc < 0)
		return rc;
	n = call_inside(io, self, direction, call, arg, full);
	co__fd_leave(io, role_of(direction));

	return n;
}

ssize_t co__io_do(struct co_io *io, int direction, co__io_call *call, void *arg,
		size_t full)
{
	return do_call(io, direction, call, arg, full);
}

/* --- Reading and writing ------------------------------------------------- */

/* A transfer, for the functions below. */
struct transfer {
	const struct co_io *io;
	struct iovec *parts;
	int count;
};

static ssize_t result_of(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* Of one part. */
static ssize_t call_read(int fd, void *arg)
{
	const struct transfer *transfer = arg;
	const struct iovec *part = transfer->parts;

	if (co__unlikely(!transfer->io->is_socket))
		return result_of(read(fd, part->iov_base, part->iov_len));

	return result_of(recv(fd, part->iov_base, part->iov_len,
			MSG_DONTWAIT));
}

static ssize_t call_write(int fd, void *arg)
{
	const struct transfer *transfer = arg;
	const struct iovec *part = transfer->parts;

	if (co__unlikely(!transfer->io->is_socket))
		return result_of(write(fd, part->iov_base, part->iov_len));

	return result_of(send(fd, part->iov_base, part->iov_len,
			MSG_NOSIGNAL | MSG_DONTWAIT));
}

static ssize_t call_readv(int fd, void *arg)
{
	const struct transfer *transfer = arg;
	struct msghdr message = { .msg_iov = transfer->parts,
		.msg_iovlen = (size_t)transfer->count };

	if (!transfer->io->is_socket)
		return result_of(readv(fd, transfer->parts, transfer->count));

	return result_of(recvmsg(fd, &message, MSG_DONTWAIT));
}

static ssize_t call_writev(int fd, void *arg)
{
	const struct transfer *transfer = arg;
	struct msghdr message = { .msg_iov = transfer->parts,
		.msg_iovlen = (size_t)transfer->count };

	if (!transfer->io->is_socket)
		return result_of(writev(fd, transfer->parts, transfer->count));

	return result_of(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

/* The checks of a read that never waits. */
static ssize_t read_nothing(struct co_io *io)
{
	struct co_task *self;
	int rc = enter(io, 0, &self);

	if (rc == 0)
		co__fd_leave(io, CO__FD_READER);

	return rc;
}

/* A write of nothing needs no room, unless it is a message.  That the system
 * knows: so it is asked, even if it had no room when it was asked last. */
static ssize_t write_nothing(struct co_io *io, co__io_call *call, void *arg)
{
	struct co_task *self;
	ssize_t n;
	int rc = enter(io, 1, &self);

	if (rc < 0)
		return rc;
	co__slot_raise(&io->ready[1], io);
	n = call_inside(io, self, 1, call, arg, 0);
	co__fd_leave(io, CO__FD_WRITER);

	return n;
}

static bool is_valid(const void *data, size_t size)
{
	return size <= SSIZE_MAX && (data != NULL || size == 0);
}

ssize_t co_io_read(struct co_io *io, void *ret_data, size_t size)
{
	struct iovec part = { ret_data, size };
	struct transfer transfer = { io, &part, 1 };

	if (!is_valid(ret_data, size))
		return -EINVAL;
	if (size == 0)
		return read_nothing(io);

	return do_call(io, 0, call_read, &transfer, size);
}

ssize_t co_io_write(struct co_io *io, const void *data, size_t size)
{
	struct iovec part = { (void *)data, size };
	struct transfer transfer = { io, &part, 1 };

	if (!is_valid(data, size))
		return -EINVAL;
	if (size == 0)
		return write_nothing(io, call_write, &transfer);

	return do_call(io, 1, call_write, &transfer, size);
}

/* The bytes of PARTS, or a negative errno value: they make no sense. */
static ssize_t total_size(const struct iovec *parts, int count)
{
	size_t total = 0;

	if (count < 0 || (count > 0 && parts == NULL))
		return -EINVAL;
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len > SSIZE_MAX - total)
			return -EINVAL;
		total += parts[i].iov_len;
	}

	return (ssize_t)total;
}

/* Whether a part of a transfer is as good as the whole.  Messages may not be
 * split: datagrams, and what SCTP and devices keep apart. */
static bool may_split(int fd)
{
	struct stat status;
	int protocol;

	if (fstat(fd, &status) < 0)
		return false;
	if (!S_ISSOCK(status.st_mode))
		return S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode);

	if (co__fd_option(fd, SO_TYPE) != SOCK_STREAM)
		return false;
	protocol = co__fd_option(fd, SO_PROTOCOL);

	return protocol >= 0 && protocol != IPPROTO_SCTP;
}

/* The system takes IOV_MAX parts at once.  Leave the rest to the next call,
 * but not nothing to this one: that would mean the end. */
static void cut_to_limit(struct iovec **parts, int *count)
{
	while (*count > IOV_MAX && (*parts)->iov_len == 0) {
		++*parts;
		--*count;
	}
	if (*count > IOV_MAX)
		*count = IOV_MAX;
}

static ssize_t transfer_parts(struct co_io *io, int direction,
		const struct iovec *parts, int count)
{
	struct transfer transfer = { io, (struct iovec *)parts, count };
	ssize_t total = total_size(parts, count);

	if (total < 0)
		return total;
	if (count > IOV_MAX && io != NULL && may_split(io->fd)) {
		cut_to_limit(&transfer.parts, &transfer.count);
		total = total_size(transfer.parts, transfer.count);
	}
	if (total == 0)
		return direction == 0 ? read_nothing(io)
				: write_nothing(io, call_writev, &transfer);

	return co__io_do(io, direction, direction == 0 ? call_readv
			: call_writev, &transfer, (size_t)total);
}

ssize_t co_io_readv(struct co_io *io, const struct iovec *parts, int count)
{
	return transfer_parts(io, 0, parts, count);
}

ssize_t co_io_writev(struct co_io *io, const struct iovec *parts, int count)
{
	return transfer_parts(io, 1, parts, count);
}

/* Whether SELF may go on with IO, which it uses already. */
static int go_on(const struct co_io *io, struct co_task *self)
{
	if (AO_load(&io->users) & CO__FD_CLOSED)
		return -EBADF;

	return co__wait_look(self);
}

/* Move all SIZE bytes; *RET_DONE counts them.  The caller uses IO from the
 * first to the last: once it is left, a closed IO may be another file. */
static co__always_inline int transfer_all(struct co_io *io, int direction,
		char *data, size_t size, size_t *ret_done)
{
	size_t ignored, *done = ret_done != NULL ? ret_done : &ignored;
	struct iovec part = { data, size };
	struct transfer transfer = { io, &part, 1 };
	struct co_task *self;
	int rc;

	*done = 0;
	if (!is_valid(data, size))
		return -EINVAL;
	rc = enter(io, direction, &self);
	if (rc < 0)
		return rc;
	while (rc == 0 && part.iov_len > 0) {
		ssize_t n = call_inside(io, self, direction, direction == 0
				? call_read : call_write, &transfer,
				part.iov_len);

		if (n > 0) {
			*done += (size_t)n;
			part.iov_base = data + *done;
			part.iov_len = size - *done;
			if (part.iov_len > 0)
				rc = go_on(io, self);
		} else {
			rc = n == 0 ? -ENODATA : (int)n;
		}
	}
	co__fd_leave(io, role_of(direction));

	return rc;
}

int co_io_read_full(struct co_io *io, void *ret_data, size_t size,
		size_t *ret_done)
{
	return transfer_all(io, 0, ret_data, size, ret_done);
}

int co_io_write_full(struct co_io *io, const void *data, size_t size,
		size_t *ret_done)
{
	return transfer_all(io, 1, (char *)data, size, ret_done);
}

/* --- Waiting without a transfer ------------------------------------------ */

/* ready -> empty, in the directions of EVENTS: D1 and D2. */
static void use_up(struct co_io *io, unsigned events)
{
	if (events & CO_READABLE)
		AO_store(&io->ready[0].word, CO__SLOT_EMPTY);
	if (events & CO_WRITABLE)
		AO_store(&io->ready[1].word, CO__SLOT_EMPTY);
	co__atomic_fence();		/* D2: before the system is asked */
}

static int wait_for(struct co_io *io, struct co_task *self, unsigned events)
{
	for (;;) {
		int found, rc;

		use_up(io, events);
		found = co__fd_ask(io->fd, events);
		if (found != 0) {
			/* Nothing was taken: a read must not park now. */
			if (events & CO_READABLE)
				co__slot_raise(&io->ready[0], io);
			if (events & CO_WRITABLE)
				co__slot_raise(&io->ready[1], io);
			return found;
		}
		rc = wait_ready(io, self, events, CO__IN_WAIT_FD);
		if (AO_load(&io->users) & CO__FD_CLOSED)
			return -EBADF;
		if (rc < 0)
			return rc;
	}
}

/* The roles of a task that waits for EVENTS, or 0 if they make no sense. */
static AO_t roles_of(unsigned events)
{
	AO_t roles = 0;

	if (events & ~(CO_READABLE | CO_WRITABLE))
		return 0;
	if (events & CO_READABLE)
		roles |= CO__FD_READER;
	if (events & CO_WRITABLE)
		roles |= CO__FD_WRITER;

	return roles;
}

/* Wait as the user of all ROLES. */
static int wait_as(struct co_io *io, struct co_task *self, unsigned events,
		AO_t roles)
{
	int rc = co__fd_enter(io, roles);

	if (rc < 0)
		return rc;
	rc = io->is_polled ? wait_for(io, self, events) : (int)events;
	co__fd_leave(io, roles);

	return rc;
}

int co_io_wait(struct co_io *io, unsigned events)
{
	AO_t roles = roles_of(events);
	struct co_task *self;
	int rc;

	if (io == NULL || roles == 0)
		return -EINVAL;
	rc = co__wait_enter(&self);

	return rc < 0 ? rc : wait_as(io, self, events, roles);
}

/* Begin to use the entry of a descriptor that isn't ours, or join those who do.
 * *RET_BORROWED: it must be given back.  -EPERM: it is always ready. */
static int borrow(struct co_io *io, bool *ret_borrowed)
{
	int rc = 0;

	pthread_mutex_lock(&io->loop->fds.lock);
	if (io->kind == CO__FD_FREE) {
		rc = co__fd_begin(io, CO__FD_BORROWED);
		io->disowned = 1;
		io->borrowers = 0;
	}
	if (io->kind == CO__FD_WATCHED)
		rc = -EBUSY;
	*ret_borrowed = rc == 0 && io->kind == CO__FD_BORROWED;
	if (*ret_borrowed)
		io->borrowers++;
	pthread_mutex_unlock(&io->loop->fds.lock);

	return rc;
}

static void give_back(struct co_io *io)
{
	pthread_mutex_lock(&io->loop->fds.lock);
	if (--io->borrowers == 0)
		co__fd_end(io);
	pthread_mutex_unlock(&io->loop->fds.lock);
}

int co_wait_fd(int fd, unsigned events)
{
	AO_t roles = roles_of(events);
	struct co_task *self;
	struct co_io *io;
	bool borrowed = false;
	int rc;

	if (roles == 0)
		return -EINVAL;
	rc = co__wait_enter(&self);
	if (rc < 0)
		return rc;
	rc = co__fd_entry_of_open(self->loop, fd, &io);
	if (rc == 0)
		rc = borrow(io, &borrowed);
	if (rc == -EPERM)
		return (int)events;
	if (rc < 0)
		return rc;
	rc = wait_as(io, self, events, roles);
	if (borrowed)
		give_back(io);

	return rc;
}
