/* SPDX-License-Identifier: MIT */

/*
 * calls.c - what stands between the library and the system: see fault.h
 *
 * A function fault_NAME has the parameters of NAME and, unless it fails, does
 * the same.  Where a call fails after it was done, or goes on, as close() may,
 * it is done here too: a fault must not be a lie.
 */

#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_STACK
#define MAP_STACK 0
#endif

/* The prototype, and the beginning of the definition. */
#define CALLED(type, name, parameters)                                       \
	type fault_##name parameters;                                        \
	type fault_##name parameters

/* A call that sets errno and returns FAILURE. */
#define FAILING(type, failure, name, parameters, arguments)                  \
	CALLED(type, name, parameters)                                       \
	{                                                                    \
		return fails(FAULT_##name) ? (failure) : name arguments;     \
	}

/* Whether CALL has to fail; then errno is set. */
static bool fails(enum fault_call call)
{
	int error = fault_hit(call, false);

	if (error != 0)
		errno = error;

	return error != 0;
}

/* --- Memory -------------------------------------------------------------- */

/* Count BLOCK if there is one. */
static void *counted(void *block)
{
	if (block != NULL)
		fault_count(BLOCKS, 1);

	return block;
}

void *fault_malloc(size_t size)
{
	return fails(FAULT_malloc) ? NULL : counted(malloc(size));
}

CALLED(void *, calloc, (size_t n, size_t size))
{
	return fails(FAULT_calloc) ? NULL : counted(calloc(n, size));
}

void fault_free(void *block)
{
	if (block != NULL)
		fault_count(BLOCKS, (size_t)-1);
	free(block);
}

CALLED(void *, mmap, (void *at, size_t size, int protection, int flags, int fd,
		off_t offset))
{
	void *base;

	if (fails(flags & MAP_STACK ? FAULT_mmap_stacks : FAULT_mmap_others))
		return MAP_FAILED;
	base = mmap(at, size, protection, flags, fd, offset);
	if (base != MAP_FAILED)
		fault_count(MAPPED, size);

	return base;
}

/* What is left when it fails is the system's fault. */
CALLED(int, munmap, (void *at, size_t size))
{
	int rc = munmap(at, size);

	if (rc == 0)
		fault_count(MAPPED, (size_t)0 - size);
	else
		fault_count(MISUSES, 1);

	return fails(FAULT_munmap) ? -1 : rc;
}

CALLED(int, madvise, (void *at, size_t size, int advice))
{
	if (fails(advice == MADV_DONTNEED ? FAULT_madvise_trim
			: FAULT_madvise_guard))
		return -1;

	return madvise(at, size, advice);
}

FAILING(int, -1, mprotect, (void *at, size_t size, int protection),
		(at, size, protection))

/* --- Threads ------------------------------------------------------------- */

CALLED(int, pthread_create, (pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg))
{
	int rc = fault_hit(FAULT_pthread_create, false);

	if (rc == 0)
		rc = pthread_create(ret_thread, attr, start, arg);
	if (rc == 0)
		fault_count(THREADS, 1);

	return rc;
}

CALLED(int, pthread_join, (pthread_t thread, void **ret_value))
{
	fault_count(THREADS, (size_t)-1);

	return pthread_join(thread, ret_value);
}

CALLED(int, pthread_cond_timedwait, (pthread_cond_t *condition,
		pthread_mutex_t *mutex, const struct timespec *until))
{
	int rc = fault_hit(FAULT_pthread_cond_timedwait, false);

	return rc != 0 ? rc : pthread_cond_timedwait(condition, mutex, until);
}

CALLED(int, pthread_mutex_init, (pthread_mutex_t *mutex,
		const pthread_mutexattr_t *attr))
{
	fault_count(OBJECTS, 1);

	return pthread_mutex_init(mutex, attr);
}

CALLED(int, pthread_mutex_destroy, (pthread_mutex_t *mutex))
{
	fault_count(OBJECTS, (size_t)-1);

	return pthread_mutex_destroy(mutex);
}

CALLED(int, pthread_cond_init, (pthread_cond_t *condition,
		const pthread_condattr_t *attr))
{
	fault_count(OBJECTS, 1);

	return pthread_cond_init(condition, attr);
}

CALLED(int, pthread_cond_destroy, (pthread_cond_t *condition))
{
	fault_count(OBJECTS, (size_t)-1);

	return pthread_cond_destroy(condition);
}

CALLED(int, sem_init, (sem_t *semaphore, int shared, unsigned value))
{
	if (fails(FAULT_sem_init))
		return -1;
	fault_count(OBJECTS, 1);

	return sem_init(semaphore, shared, value);
}

CALLED(int, sem_destroy, (sem_t *semaphore))
{
	fault_count(OBJECTS, (size_t)-1);

	return sem_destroy(semaphore);
}

FAILING(int, -1, sem_wait, (sem_t *semaphore), (semaphore))
FAILING(int, -1, sem_trywait, (sem_t *semaphore), (semaphore))
FAILING(int, -1, nanosleep, (const struct timespec *duration,
		struct timespec *ret_left), (duration, ret_left))

/* --- What has no function of its own -------------------------------------- */

CALLED(long, syscall, (long number, ...))
{
	va_list args;
	int command;

	if (fails(FAULT_membarrier))
		return -1;
	va_start(args, number);
	command = va_arg(args, int);
	va_end(args);

	return syscall(number, command, 0, 0);
}

/* --- The machine --------------------------------------------------------- */

FAILING(int, -1, sched_getaffinity, (pid_t thread, size_t size, cpu_set_t *set),
		(thread, size, set))

CALLED(long, sysconf, (int name))
{
	enum fault_call call = FAULT_sysconf_sigstack;

	if (name == _SC_PAGESIZE)
		call = FAULT_sysconf_page;
	if (name == _SC_NPROCESSORS_ONLN)
		call = FAULT_sysconf_processors;

	return fails(call) ? -1 : sysconf(name);
}

FAILING(int, -1, sigaction, (int number, const struct sigaction *action,
		struct sigaction *ret_old), (number, action, ret_old))

CALLED(int, sigaltstack, (const stack_t *stack, stack_t *ret_old))
{
	bool sets = stack != NULL && !(stack->ss_flags & SS_DISABLE);

	if (fails(sets ? FAULT_sigaltstack_set : FAULT_sigaltstack_others))
		return -1;

	return sigaltstack(stack, ret_old);
}

/* --- Events -------------------------------------------------------------- */

FAILING(int, -1, epoll_create1, (int flags), (flags))

CALLED(int, epoll_ctl, (int epoll, int op, int fd, struct epoll_event *event))
{
	int rc;

	if (op == EPOLL_CTL_ADD && fails(FAULT_epoll_ctl_add))
		return -1;
	if (op == EPOLL_CTL_MOD && fails(FAULT_epoll_ctl_mod))
		return -1;
	rc = epoll_ctl(epoll, op, fd, event);

	/* What isn't removed would go on to report. */
	return op == EPOLL_CTL_DEL && fails(FAULT_epoll_ctl_del) ? -1 : rc;
}

FAILING(int, -1, epoll_wait, (int epoll, struct epoll_event *events, int max,
		int timeout), (epoll, events, max, timeout))
#ifdef HAVE_EPOLL_PWAIT2
FAILING(int, -1, epoll_pwait2, (int epoll, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask),
		(epoll, events, max, timeout, mask))
#endif
FAILING(int, -1, poll, (struct pollfd *fds, nfds_t n, int timeout),
		(fds, n, timeout))
FAILING(int, -1, ppoll, (struct pollfd *fds, nfds_t n,
		const struct timespec *timeout, const sigset_t *mask),
		(fds, n, timeout, mask))

/* Where _FORTIFY_SOURCE can tell how much room there is, it looks. */
CALLED(int, poll_chk, (struct pollfd *fds, nfds_t n, int timeout, size_t room))
{
	(void)room;

	return fault_poll(fds, n, timeout);
}

CALLED(int, ppoll_chk, (struct pollfd *fds, nfds_t n,
		const struct timespec *timeout, const sigset_t *mask,
		size_t room))
{
	(void)room;

	return fault_ppoll(fds, n, timeout, mask);
}

/* Which descriptors are eventfds. */
enum { EVENTFDS_MAX = 65536 };
static volatile unsigned char is_eventfd[EVENTFDS_MAX];

static bool wakes(int fd)
{
	return fd >= 0 && fd < EVENTFDS_MAX && is_eventfd[fd];
}

CALLED(int, eventfd, (unsigned value, int flags))
{
	int fd;

	if (fails(FAULT_eventfd))
		return -1;
	fd = eventfd(value, flags);
	if (fd >= 0 && fd < EVENTFDS_MAX)
		is_eventfd[fd] = 1;

	return fd;
}

FAILING(int, -1, pipe2, (int fds[2], int flags), (fds, flags))

/* --- Descriptors --------------------------------------------------------- */

CALLED(int, close, (int fd))
{
	int rc;

	if (wakes(fd))
		is_eventfd[fd] = 0;
	rc = close(fd);
	if (rc < 0 && errno == EBADF)
		fault_count(MISUSES, 1);

	return fails(FAULT_close) ? -1 : rc;
}

static enum fault_call fcntl_call(int op)
{
	switch (op) {
	case F_GETFD:
		return FAULT_fcntl_getfd;
	case F_GETFL:
		return FAULT_fcntl_getfl;
	case F_SETFL:
		return FAULT_fcntl_setfl;
	default:
		return FAULT_fcntl_dupfd;
	}
}

CALLED(int, fcntl, (int fd, int op, ...))
{
	va_list args;
	int arg;

	if (fails(fcntl_call(op)))
		return -1;
	if (op == F_GETFD || op == F_GETFL)
		return fcntl(fd, op);
	va_start(args, op);
	arg = va_arg(args, int);
	va_end(args);

	return fcntl(fd, op, arg);
}

FAILING(int, -1, fstat, (int fd, struct stat *ret_status), (fd, ret_status))

/* A transfer of CALL by FD.  Of PARTS, *N, only the first byte is left if the
 * transfer is to be partial.  A TCP socket doesn't do that as long as there is
 * more to be had.  False: it fails. */
static bool may_transfer(enum fault_call call, int fd, struct iovec *parts,
		int *n)
{
	int protocol = 0, i, error;
	socklen_t size = sizeof protocol;
	bool is_tcp = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size)
			== 0 && protocol == IPPROTO_TCP;

	error = fault_hit(call, !is_tcp);
	if (error == PARTIAL) {
		for (i = 0; i + 1 < *n && parts[i].iov_len == 0; i++)
			;
		parts[0] = parts[i];
		parts[0].iov_len = parts[0].iov_len > 0;
		*n = 1;
		error = 0;
	}
	if (error != 0)
		errno = error;

	return error == 0;
}

/* Of one part. */
static bool may_move(enum fault_call call, int fd, size_t *size)
{
	struct iovec part = { NULL, *size };
	int n = 1;
	bool may = may_transfer(call, fd, &part, &n);

	*size = part.iov_len;

	return may;
}

CALLED(ssize_t, read, (int fd, void *data, size_t size))
{
	if (wakes(fd))
		return fails(FAULT_read_wake) ? -1 : read(fd, data, size);

	return may_move(FAULT_read, fd, &size) ? read(fd, data, size) : -1;
}

CALLED(ssize_t, write, (int fd, const void *data, size_t size))
{
	if (wakes(fd))
		return fails(FAULT_write_wake) ? -1 : write(fd, data, size);

	return may_move(FAULT_write, fd, &size) ? write(fd, data, size) : -1;
}

CALLED(ssize_t, recv, (int fd, void *data, size_t size, int flags))
{
	return may_move(FAULT_recv, fd, &size) ? recv(fd, data, size, flags)
			: -1;
}

CALLED(ssize_t, read_chk, (int fd, void *data, size_t size, size_t room))
{
	(void)room;

	return fault_read(fd, data, size);
}

CALLED(ssize_t, recv_chk, (int fd, void *data, size_t size, size_t room,
		int flags))
{
	(void)room;

	return fault_recv(fd, data, size, flags);
}

CALLED(ssize_t, send, (int fd, const void *data, size_t size, int flags))
{
	return may_move(FAULT_send, fd, &size) ? send(fd, data, size, flags)
			: -1;
}

/* The parts may be the caller's, which stay as they are. */
enum { PARTS_MAX = 1024 };

static void copy_parts(struct iovec *copy, const struct iovec *parts, int *n)
{
	int i;

	*n = *n < PARTS_MAX ? *n : PARTS_MAX;
	for (i = 0; i < *n; i++)
		copy[i] = parts[i];
}

CALLED(ssize_t, readv, (int fd, const struct iovec *parts, int n))
{
	struct iovec copy[PARTS_MAX];

	copy_parts(copy, parts, &n);

	return may_transfer(FAULT_readv, fd, copy, &n) ? readv(fd, copy, n)
			: -1;
}

CALLED(ssize_t, writev, (int fd, const struct iovec *parts, int n))
{
	struct iovec copy[PARTS_MAX];

	copy_parts(copy, parts, &n);

	return may_transfer(FAULT_writev, fd, copy, &n) ? writev(fd, copy, n)
			: -1;
}

/* --- Sockets ------------------------------------------------------------- */

CALLED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags))
{
	struct iovec copy[PARTS_MAX];
	struct msghdr ours = *message;
	int n = (int)message->msg_iovlen;

	copy_parts(copy, message->msg_iov, &n);
	if (!may_transfer(FAULT_recvmsg, fd, copy, &n))
		return -1;
	ours.msg_iov = copy;
	ours.msg_iovlen = (size_t)n;

	return recvmsg(fd, &ours, flags);
}

CALLED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags))
{
	struct iovec copy[PARTS_MAX];
	struct msghdr ours = *message;
	int n = (int)message->msg_iovlen;

	copy_parts(copy, message->msg_iov, &n);
	if (!may_transfer(FAULT_sendmsg, fd, copy, &n))
		return -1;
	ours.msg_iov = copy;
	ours.msg_iovlen = (size_t)n;

	return sendmsg(fd, &ours, flags);
}

FAILING(int, -1, socket, (int domain, int type, int protocol),
		(domain, type, protocol))
FAILING(int, -1, bind, (int fd, const struct sockaddr *address, socklen_t size),
		(fd, address, size))
FAILING(int, -1, listen, (int fd, int backlog), (fd, backlog))
FAILING(int, -1, accept4, (int fd, struct sockaddr *address, socklen_t *size,
		int flags), (fd, address, size, flags))
FAILING(int, -1, getsockname, (int fd, struct sockaddr *address,
		socklen_t *size), (fd, address, size))
FAILING(int, -1, getpeername, (int fd, struct sockaddr *address,
		socklen_t *size), (fd, address, size))
FAILING(int, -1, setsockopt, (int fd, int level, int option, const void *value,
		socklen_t size), (fd, level, option, value, size))
FAILING(int, -1, shutdown, (int fd, int how), (fd, how))
FAILING(unsigned, 0, if_nametoindex, (const char *name), (name))

/* One that is interrupted goes on. */
CALLED(int, connect, (int fd, const struct sockaddr *address, socklen_t size))
{
	int error = fault_hit(FAULT_connect, false), rc = -1;

	if (error == 0 || error == EINTR)
		rc = connect(fd, address, size);
	if (error != 0)
		errno = error;

	return error != 0 ? -1 : rc;
}

CALLED(int, getsockopt, (int fd, int level, int option, void *ret_value,
		socklen_t *size))
{
	if (fails(option == SO_PROTOCOL ? FAULT_getsockopt_protocol
			: FAULT_getsockopt_others))
		return -1;

	return getsockopt(fd, level, option, ret_value, size);
}
