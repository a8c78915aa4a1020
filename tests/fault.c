/* SPDX-License-Identifier: MIT */

#include "fault.h"

#include <atomic_ops.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
	unsigned long long kinds;	/* constant while armed */
	size_t nth;			/* constant while armed */
	int error;			/* constant while armed */
	bool persistent;		/* constant while armed */
	void (*hook)(void *arg);	/* constant while armed; or NULL */
	void *hook_arg;			/* constant while armed */
	volatile AO_t armed;		/* atomic: the fields above count */
	volatile AO_t calls;		/* atomic: calls seen since arming */
	volatile AO_t failed;		/* atomic: of which have failed */
	volatile AO_t last;		/* atomic: kind that failed last */
	volatile AO_t live;		/* atomic: blocks not freed */
} fault;

/* One line for each kind: its name and its usual error. */
static const struct {
	const char *name;
	int error;
} kinds[FAULT_KINDS] = {
	[FAULT_MALLOC] = { "malloc", ENOMEM },
	[FAULT_CALLOC] = { "calloc", ENOMEM },
	[FAULT_REALLOC] = { "realloc", ENOMEM },
	[FAULT_MEMALIGN] = { "posix_memalign", ENOMEM },
	[FAULT_ALIGNED] = { "aligned_alloc", ENOMEM },
	[FAULT_MMAP] = { "mmap", ENOMEM },
	[FAULT_MMAP64] = { "mmap64", ENOMEM },
	[FAULT_MADVISE] = { "madvise", EINVAL },
	[FAULT_MPROTECT] = { "mprotect", ENOMEM },
	[FAULT_EPOLL_CREATE] = { "epoll_create1", EMFILE },
	[FAULT_EPOLL_CTL] = { "epoll_ctl", ENOMEM },
	[FAULT_EVENTFD] = { "eventfd", EMFILE },
	[FAULT_PTHREAD_CREATE] = { "pthread_create", EAGAIN },
	[FAULT_SOCKET] = { "socket", EMFILE },
	[FAULT_CONNECT] = { "connect", ENETUNREACH },
	[FAULT_ACCEPT] = { "accept4", ENFILE },
	[FAULT_BIND] = { "bind", EACCES },
	[FAULT_LISTEN] = { "listen", EADDRINUSE },
	[FAULT_GETSOCKNAME] = { "getsockname", ENOBUFS },
	[FAULT_READ] = { "read", EIO },
	[FAULT_WRITE] = { "write", EIO },
	[FAULT_READV] = { "readv", EIO },
	[FAULT_WRITEV] = { "writev", EIO },
	[FAULT_RECV] = { "recv", ECONNRESET },
	[FAULT_SEND] = { "send", ECONNRESET },
	[FAULT_RECVMSG] = { "recvmsg", ECONNRESET },
	[FAULT_SENDMSG] = { "sendmsg", ECONNRESET },
	[FAULT_EPOLL_WAIT] = { "epoll_wait", EINTR },
	[FAULT_EPOLL_PWAIT2] = { "epoll_pwait2", EINTR },
	[FAULT_POLL] = { "poll", EINTR },
	[FAULT_PPOLL] = { "ppoll", EINTR },
	[FAULT_SIGALTSTACK] = { "sigaltstack", ENOMEM },
	[FAULT_PIPE2] = { "pipe2", EMFILE },
};

static void arm(unsigned long long set, size_t nth, int error, bool persistent)
{
	fault.kinds = set;
	fault.nth = nth;
	fault.error = error;
	fault.persistent = persistent;
	AO_store(&fault.calls, 0);
	AO_store(&fault.failed, 0);
	AO_store_release(&fault.armed, 1);	/* pairs with fails() */
}

void fault_arm(unsigned long long set, size_t nth, int error)
{
	arm(set, nth, error, false);
}

void fault_arm_from(unsigned long long set, size_t nth, int error)
{
	arm(set, nth, error, true);
}

void fault_set_hook(void (*hook)(void *arg), void *arg)
{
	fault.hook = hook;
	fault.hook_arg = arg;
}

size_t fault_disarm(void)
{
	AO_store(&fault.armed, 0);

	return AO_load(&fault.failed);
}

const char *fault_name(void)
{
	return kinds[AO_load(&fault.last)].name;
}

size_t fault_live_blocks(void)
{
	return AO_load(&fault.live);
}

size_t fault_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	if (directory == NULL)
		return 0;
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);

	return n;
}

/* The error that this call of KIND has to fail with, or 0. */
static int fails(enum fault_kind kind)
{
	size_t call;

	if (!AO_load_acquire(&fault.armed))	/* pairs with arm() */
		return 0;
	if ((fault.kinds & FAULT_BIT(kind)) == 0)
		return 0;

	call = AO_fetch_and_add1(&fault.calls) + 1;
	if (fault.persistent ? call < fault.nth : call != fault.nth)
		return 0;

	AO_fetch_and_add1(&fault.failed);
	AO_store(&fault.last, kind);
	if (fault.hook != NULL)
		fault.hook(fault.hook_arg);

	return fault.error != 0 ? fault.error : kinds[kind].error;
}

/* Descriptors that were made by eventfd(), on which reads and writes have no
 * way to fail. */
enum { MAX_EVENTFD = 4096 };
static volatile AO_t is_eventfd[MAX_EVENTFD];

static bool wakes(int fd)
{
	return fd >= 0 && fd < MAX_EVENTFD && AO_load(&is_eventfd[fd]) != 0;
}

/* Count BLOCK if there is one. */
static void *counted(void *block)
{
	if (block != NULL)
		AO_fetch_and_add1(&fault.live);

	return block;
}

/*
 * The wrappers.  A failing one sets errno and returns what the function
 * returns on failure.
 */
#define WRAP(kind, type, failure, name, parameters, arguments)               \
	type __real_##name parameters;                                       \
	type __wrap_##name parameters;                                       \
	type __wrap_##name parameters                                        \
	{                                                                    \
		int error = fails(kind);                                     \
		if (error == 0)                                              \
			return __real_##name arguments;                      \
		errno = error;                                               \
		return failure;                                              \
	}

#define WRAP_ALLOCATION(kind, name, parameters, arguments)                   \
	void *__real_##name parameters;                                      \
	void *__wrap_##name parameters;                                      \
	void *__wrap_##name parameters                                       \
	{                                                                    \
		int error = fails(kind);                                     \
		if (error == 0)                                              \
			return counted(__real_##name arguments);             \
		errno = error;                                               \
		return NULL;                                                 \
	}

WRAP_ALLOCATION(FAULT_MALLOC, malloc, (size_t size), (size))
WRAP_ALLOCATION(FAULT_CALLOC, calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(FAULT_ALIGNED, aligned_alloc, (size_t align, size_t size),
		(align, size))

void *__real_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_realloc(void *block, size_t size)
{
	int error = fails(FAULT_REALLOC);

	if (error != 0) {
		errno = error;
		return NULL;
	}
	if (block == NULL)
		return counted(__real_realloc(NULL, size));

	return __real_realloc(block, size);
}

int __real_posix_memalign(void **ret_block, size_t align, size_t size);
int __wrap_posix_memalign(void **ret_block, size_t align, size_t size);
int __wrap_posix_memalign(void **ret_block, size_t align, size_t size)
{
	int error = fails(FAULT_MEMALIGN);

	if (error == 0)
		error = __real_posix_memalign(ret_block, align, size);
	if (error == 0)
		counted(*ret_block);

	return error;
}

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
	if (block != NULL)
		AO_fetch_and_sub1(&fault.live);
	__real_free(block);
}

int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attr,
		void *(*start)(void *), void *arg)
{
	int error = fails(FAULT_PTHREAD_CREATE);

	if (error != 0)
		return error;

	return __real_pthread_create(ret_thread, attr, start, arg);
}

WRAP(FAULT_MMAP, void *, MAP_FAILED, mmap,
		(void *at, size_t size, int prot, int flags, int fd, long off),
		(at, size, prot, flags, fd, off))
WRAP(FAULT_MMAP64, void *, MAP_FAILED, mmap64,
		(void *at, size_t size, int prot, int flags, int fd,
		long long off),
		(at, size, prot, flags, fd, off))
WRAP(FAULT_MADVISE, int, -1, madvise, (void *at, size_t size, int advice),
		(at, size, advice))
WRAP(FAULT_MPROTECT, int, -1, mprotect, (void *at, size_t size, int prot),
		(at, size, prot))
WRAP(FAULT_EPOLL_CREATE, int, -1, epoll_create1, (int flags), (flags))
/* To change or remove what is there takes no memory: only an addition fails. */
int __real_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int error = op == EPOLL_CTL_ADD ? fails(FAULT_EPOLL_CTL) : 0;

	if (error == 0)
		return __real_epoll_ctl(epfd, op, fd, event);
	errno = error;

	return -1;
}

WRAP(FAULT_EPOLL_WAIT, int, -1, epoll_wait,
		(int epfd, struct epoll_event *events, int max, int timeout),
		(epfd, events, max, timeout))
WRAP(FAULT_EPOLL_PWAIT2, int, -1, epoll_pwait2,
		(int epfd, struct epoll_event *events, int max,
		const struct timespec *timeout, const sigset_t *mask),
		(epfd, events, max, timeout, mask))
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags)
{
	int error = fails(FAULT_EVENTFD), fd;

	if (error != 0) {
		errno = error;
		return -1;
	}
	fd = __real_eventfd(value, flags);
	if (fd >= 0 && fd < MAX_EVENTFD)
		AO_store(&is_eventfd[fd], 1);

	return fd;
}

WRAP(FAULT_PIPE2, int, -1, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(FAULT_SOCKET, int, -1, socket, (int domain, int type, int protocol),
		(domain, type, protocol))
WRAP(FAULT_CONNECT, int, -1, connect,
		(int fd, const struct sockaddr *address, socklen_t size),
		(fd, address, size))
WRAP(FAULT_ACCEPT, int, -1, accept4,
		(int fd, struct sockaddr *address, socklen_t *size, int flags),
		(fd, address, size, flags))
WRAP(FAULT_BIND, int, -1, bind,
		(int fd, const struct sockaddr *address, socklen_t size),
		(fd, address, size))
WRAP(FAULT_LISTEN, int, -1, listen, (int fd, int backlog), (fd, backlog))
WRAP(FAULT_GETSOCKNAME, int, -1, getsockname,
		(int fd, struct sockaddr *address, socklen_t *size),
		(fd, address, size))
ssize_t __real_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size);
ssize_t __wrap_read(int fd, void *data, size_t size)
{
	int error = wakes(fd) ? 0 : fails(FAULT_READ);

	if (error == 0)
		return __real_read(fd, data, size);
	errno = error;

	return -1;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	int error = wakes(fd) ? 0 : fails(FAULT_WRITE);

	if (error == 0)
		return __real_write(fd, data, size);
	errno = error;

	return -1;
}

WRAP(FAULT_READV, ssize_t, -1, readv,
		(int fd, const struct iovec *parts, int n), (fd, parts, n))
WRAP(FAULT_WRITEV, ssize_t, -1, writev,
		(int fd, const struct iovec *parts, int n), (fd, parts, n))
WRAP(FAULT_RECV, ssize_t, -1, recv,
		(int fd, void *data, size_t size, int flags),
		(fd, data, size, flags))
WRAP(FAULT_SEND, ssize_t, -1, send,
		(int fd, const void *data, size_t size, int flags),
		(fd, data, size, flags))
WRAP(FAULT_RECVMSG, ssize_t, -1, recvmsg,
		(int fd, struct msghdr *message, int flags),
		(fd, message, flags))
WRAP(FAULT_SENDMSG, ssize_t, -1, sendmsg,
		(int fd, const struct msghdr *message, int flags),
		(fd, message, flags))
WRAP(FAULT_POLL, int, -1, poll,
		(struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout))
WRAP(FAULT_PPOLL, int, -1, ppoll,
		(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask), (fds, n, timeout, mask))
WRAP(FAULT_SIGALTSTACK, int, -1, sigaltstack,
		(const stack_t *stack, stack_t *ret_old), (stack, ret_old))
