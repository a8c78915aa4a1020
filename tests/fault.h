/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FAULT_H
#define COLOOP_TESTS_FAULT_H

/*
 * fault.h - let the n-th call of the library to the system fail
 *
 * The linker sends the calls that the library makes to malloc(), mmap() and
 * so on to wrappers (-Wl,--wrap=NAME for each of them).  A wrapper
 * counts the call and, if it is the one that was asked for, fails in the way
 * that its line below says, without calling the system.
 *
 * Only what is linked statically is wrapped: neither the C library's own calls
 * nor Criterion's.
 *
 * Threads     A fault is armed and disarmed by one thread; the wrappers may
 *             be called by any.
 */

#include <stddef.h>
#include <stdbool.h>

enum fault_kind {
	FAULT_MALLOC, FAULT_CALLOC, FAULT_REALLOC, FAULT_MEMALIGN,
	FAULT_ALIGNED, FAULT_MMAP, FAULT_MMAP64, FAULT_MADVISE,
	FAULT_MPROTECT, FAULT_EPOLL_CREATE, FAULT_EPOLL_CTL, FAULT_EVENTFD,
	FAULT_PTHREAD_CREATE, FAULT_SOCKET, FAULT_CONNECT, FAULT_ACCEPT,
	FAULT_BIND, FAULT_LISTEN, FAULT_GETSOCKNAME, FAULT_READ, FAULT_WRITE,
	FAULT_READV, FAULT_WRITEV, FAULT_RECV, FAULT_SEND, FAULT_RECVMSG,
	FAULT_SENDMSG, FAULT_EPOLL_WAIT, FAULT_EPOLL_PWAIT2, FAULT_POLL,
	FAULT_PPOLL, FAULT_SIGALTSTACK, FAULT_PIPE2,
	FAULT_KINDS
};

/* Sets of kinds. */
#define FAULT_BIT(kind) (1ull << (kind))
#define FAULT_ANY (~0ull)
#define FAULT_MEMORY (FAULT_BIT(FAULT_MALLOC) | FAULT_BIT(FAULT_CALLOC) |    \
		FAULT_BIT(FAULT_REALLOC) | FAULT_BIT(FAULT_MEMALIGN) |       \
		FAULT_BIT(FAULT_ALIGNED) | FAULT_BIT(FAULT_MMAP) |           \
		FAULT_BIT(FAULT_MMAP64))
/* Calls that a signal may interrupt: they fail with EINTR when asked so. */
#define FAULT_INTERRUPTIBLE (FAULT_BIT(FAULT_ACCEPT) |                       \
		FAULT_BIT(FAULT_READ) | FAULT_BIT(FAULT_WRITE) |             \
		FAULT_BIT(FAULT_READV) | FAULT_BIT(FAULT_WRITEV) |           \
		FAULT_BIT(FAULT_RECV) | FAULT_BIT(FAULT_SEND) |              \
		FAULT_BIT(FAULT_RECVMSG) | FAULT_BIT(FAULT_SENDMSG) |        \
		FAULT_BIT(FAULT_EPOLL_WAIT) |                                \
		FAULT_BIT(FAULT_EPOLL_PWAIT2) | FAULT_BIT(FAULT_POLL) |      \
		FAULT_BIT(FAULT_PPOLL))

/* Let the NTH call (from 1) from now on of a kind in the set KINDS fail with
 * ERROR, or, if that is 0, with the kind's usual error. */
void fault_arm(unsigned long long kinds, size_t nth, int error);

/* The same, and each of the calls that follow it fails, too. */
void fault_arm_from(unsigned long long kinds, size_t nth, int error);

/* Call HOOK(ARG) whenever a call fails, NULL: nothing. */
void fault_set_hook(void (*hook)(void *arg), void *arg);

/* Let nothing fail any more.  Returns the number of calls that failed. */
size_t fault_disarm(void);

/* The name of the last kind that failed. */
const char *fault_name(void);

/* How many blocks that the library allocated are not freed yet. */
size_t fault_live_blocks(void);

/* How many file descriptors the process has open. */
size_t fault_open_fds(void);

#endif
