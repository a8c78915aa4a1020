/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_OVERFLOW_H
#define COLOOP_LIB_OVERFLOW_H

/*
 * overflow.h - say which task overran its stack
 *
 * A task that overruns its stack faults on the guard page below it, and the
 * process dies.  This makes it say why first: one line on standard error.
 */

#include <stdbool.h>
#include <stddef.h>

/* Room for a task's name and its terminating null byte. */
#define CO__OVERFLOW_NAME_SIZE 32

/* Finds the task in whose guard page ADDRESS lies: its name, "" if it has
 * none, and the size of its stack in bytes.  False if there is no such task
 * that the calling thread could have run.  It is called in a signal handler,
 * by any thread: it must be async-signal-safe, and must not rely on a lock
 * that the thread may hold. */
typedef bool co__overflow_find(const void *address,
		char ret_name[CO__OVERFLOW_NAME_SIZE], size_t *ret_stack_size);

/* Handle SIGSEGV and SIGBUS from now on, for the rest of the process's life.
 * Only the first call does something.  Any thread.  Returns what sigaction(2)
 * said then. */
int co__overflow_install(void);

/* From now on ask FIND whose guard page it is.  NULL: nobody's.  Any
 * thread. */
void co__overflow_set_finder(co__overflow_find *find);

/* Give the calling thread a signal stack, if it has none: who has overrun one
 * stack needs another to say so.  *RET_ALTSTACK is for
 * co__overflow_thread_end(), NULL if the thread had one.  -ENOMEM. */
int co__overflow_thread_begin(void **ret_altstack);

/* Take ALTSTACK away from the calling thread and free it.  NULL is allowed. */
void co__overflow_thread_end(void *altstack);

#endif
