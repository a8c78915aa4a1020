/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_IO_H
#define COLOOP_IO_H

/*
 * Reading and writing file descriptors from tasks.                 co_io(3)
 *
 * Threads     One task may read while another writes; a second reader or a
 *             second writer gets -EBUSY.  Tasks only, but for co_io_open,
 *             co_io_fd, co_io_shutdown and co_io_close: any thread.
 * Ownership   A co_io owns its file descriptor: co_io_close() closes both.
 *             The descriptor is in non-blocking mode meanwhile.
 * Errors      What read(2) or write(2) says, as negative value, but never
 *             -EAGAIN and -EINTR; and -ECANCELED, -ETIMEDOUT, -EPERM (not a
 *             task), -EBADF (closed, also by another task in the midst of
 *             the call), -EINVAL.  SIGPIPE is not raised for sockets.
 */

#include <coloop/base.h>

#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct co_io;
struct co_loop;

/* Make a co_io for FD: a socket, pipe, terminal, or regular file (whose reads
 * and writes block the thread).  It owns FD on success only.  LOOP may be NULL
 * in a task: its own.  -EBADF: FD isn't open.  -EEXIST: the loop has it as a
 * co_io, watches it, or has a task in co_wait_fd() for it.  -ELOOP: a chain of
 * epolls that is too long.  -EINVAL, -ENOMEM, -ENOSPC (the system's limit of
 * watches). */
CO_API int co_io_open(struct co_loop *loop, int fd, struct co_io **ret_io);

/* Read up to SIZE bytes, waiting for the first.  Returns their number; 0: the
 * end of the stream (or SIZE is 0).  COUNT has no limit: of more parts than
 * the system takes at once (IOV_MAX) the first are read, as in any short read.
 * -EMSGSIZE, -EINVAL: more parts than that, of what keeps messages apart. */
CO_API ssize_t co_io_read(struct co_io *io, void *ret_data, size_t size);
CO_API ssize_t co_io_readv(struct co_io *io, const struct iovec *parts,
		int count);

/* Write up to SIZE bytes, waiting for room for the first.  Returns how many
 * were written.  COUNT as above.  -EPIPE: nobody reads. */
CO_API ssize_t co_io_write(struct co_io *io, const void *data, size_t size);
CO_API ssize_t co_io_writev(struct co_io *io, const struct iovec *parts,
		int count);

/* Read or write all SIZE bytes.  0: all.  -ENODATA: the stream ended first.
 * RET_DONE, if not NULL, gets the number of bytes moved, on each error too. */
CO_API int co_io_read_full(struct co_io *io, void *ret_data, size_t size,
		size_t *ret_done);
CO_API int co_io_write_full(struct co_io *io, const void *data, size_t size,
		size_t *ret_done);

/* Wait until one of EVENTS (CO_READABLE, CO_WRITABLE) is there.  Returns those
 * that are, with CO_HANGUP and CO_ERROR if they are too.  -ENOMEM: the system
 * has no memory to answer. */
CO_API int co_io_wait(struct co_io *io, unsigned events);

/* The file descriptor, still owned by IO; -EINVAL for NULL. */
CO_API int co_io_fd(const struct co_io *io);

/* shutdown(2): HOW is SHUT_RD, SHUT_WR or SHUT_RDWR. */
CO_API int co_io_shutdown(struct co_io *io, int how);

/* Close the file descriptor and release IO.  Tasks that wait in a call on it
 * return -EBADF.  NULL is allowed. */
CO_API int co_io_close(struct co_io *io);

/* Wait until one of EVENTS is there on FD, which the task's loop need not
 * know, and which stays the caller's.  Returns as co_io_wait().  One task may
 * wait to read and another to write.  -EBUSY: another task waits for the same,
 * or co_loop_add_fd() watches it.
 * -EBADF, -ELOOP, -ENOMEM, -ENOSPC, and as above. */
CO_API int co_wait_fd(int fd, unsigned events);

#ifdef __cplusplus
}
#endif

#endif
