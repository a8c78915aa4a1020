/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FAULT_H
#define COLOOP_TESTS_FAULT_H

/*
 * fault.h - let the n-th call of the library to the system fail
 *
 * The tests are linked with a copy of the library in which each undefined
 * symbol of calls.inc has another name, fault_NAME: the functions of calls.c.
 * One counts the call and, if it is the one that was asked for, fails in the
 * way that calls.inc says; else it calls the system.  Neither the calls of
 * the tests themselves nor those of the C library or of a checker go through
 * them.
 *
 * Threads     A fault is armed and disarmed by one thread, while no loop is
 *             running; what is counted may be counted by any.
 */

#include <stdbool.h>
#include <stddef.h>

enum fault_call {
	FAULT_NONE,
#define CALL(call, symbol, pages) FAULT_##call,
#include "calls.inc"
	FAULT_CALLS
};

/* What may come of a fault: a set. */
enum { HIDDEN = 0x10000, TOLD = 0x20000, CLOSES = 0x40000 };
#define AS(error) (error)		/* below the others */
#define AS_MASK 0xffff

/* In the place of an error: less is moved than was asked for. */
#define PARTIAL (-1)

/* One way in which a call fails. */
struct fault {
	enum fault_call call;
	int error;
	int outcome;
};

enum { FAULTS_MAX = 512 };

/* All of calls.inc, in its order; *RET_COUNT of them. */
const struct fault *fault_list(size_t *ret_count);

const char *fault_call_name(enum fault_call call);

/* "EINTR", "PARTIAL"; or a number. */
const char *fault_error_name(int error);

/* Let TIMES calls fail like FAULT, from the NTH (1: the next) of its kind. */
void fault_arm(const struct fault *fault, size_t nth, size_t times);

/* Call HOOK(ARG) whenever a call fails; NULL: nothing. */
void fault_set_hook(void (*hook)(void *arg), void *arg);

/* How many calls have failed since fault_arm(). */
size_t fault_fired(void);

/* Let nothing fail any more.  Returns the same. */
size_t fault_disarm(void);

/* Let each CALL fail with ERROR, as on a system that can't do it; 0: as it is
 * otherwise. */
void fault_always(enum fault_call call, int error);

/* How often the library has made CALL. */
size_t fault_calls(enum fault_call call);

/* As for the library: for an allocator of the tests. */
void *fault_malloc(size_t size);
void fault_free(void *block);

/* What the library has and must give back. */
struct fault_balance {
	size_t blocks;		/* from malloc() and calloc() */
	size_t bytes;		/* from the allocator of the tests */
	size_t mapped;		/* bytes */
	size_t threads;		/* not joined */
	size_t objects;		/* mutexes and so on, not destroyed */
	size_t fds;		/* open in the whole process */
	size_t misuses;		/* close() or munmap() of what isn't there */
};

struct fault_balance fault_balance(void);

/* --- For calls.c, and for the allocator ---------------------------------- */

enum fault_counted { BLOCKS, BYTES, MAPPED, THREADS, OBJECTS, MISUSES,
	FAULT_COUNTED };

void fault_count(enum fault_counted what, size_t amount);

/* The error that this CALL has to fail with, or 0.  PARTIAL only if that
 * CAN_BE_PARTIAL: else it doesn't count. */
int fault_hit(enum fault_call call, bool can_be_partial);

#endif
