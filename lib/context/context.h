/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_CONTEXT_H
#define COLOOP_LIB_CONTEXT_H

/*
 * context.h - what the machine-dependent switch promises
 *
 * A context is a suspended computation on a stack of its own.  A switch keeps
 * the registers that the ABI has a function preserve, and the floating-point
 * control words; nothing of the signal mask (ucontext.c alone saves that too).
 *
 * One file per architecture and ABI, each with its own preprocessor guard, so
 * that all are compiled everywhere and exactly one is not empty; ucontext.c
 * is for the rest, or by configure --with-context=ucontext.  configure.ac knows
 * for which there is a file.
 */

#include <stddef.h>
#include <stdlib.h>

#if defined __x86_64__ && !defined __ILP32__ && !defined CO_CONTEXT_UCONTEXT

#include "x86_64_sysv.h"

#else

struct co__context {
	void *saved;		/* where the registers are; NULL: not made */
	void *message;		/* from who switches here */
};

/* Have the memory fetched that a switch to CONTEXT needs. */
static inline void co__context_prefetch(const struct co__context *context)
{
	__builtin_prefetch(context->saved);
}

/* Save the running computation in FROM and go on with TO.  Returns when some
 * switch goes on with FROM, perhaps in another thread. */
void co__context_switch(struct co__context *from, const struct co__context *to);

/* The same, and give MESSAGE to who goes on.  Returns what was given by who
 * switched back. */
static inline void *co__context_switch_with(struct co__context *from,
		struct co__context *to, void *message)
{
	to->message = message;
	co__context_switch(from, to);

	return from->message;
}

/* The same for good: nobody switches to FROM again before it is made anew. */
static inline __attribute__((noreturn)) void co__context_leave(
		struct co__context *from, struct co__context *to, void *message)
{
	co__context_switch_with(from, to, message);
	abort();	/* GCOVR_EXCL_LINE: nobody switches back */
}

/* Make CONTEXT one that, at its first switch, calls ENTRY(ARG) on the stack of
 * SIZE bytes that begins at the address BASE and ends at a multiple of 16, with
 * the control words that a program begins with.  ENTRY must not return. */
void co__context_make(struct co__context *context, void *base, size_t size,
		void (*entry)(void *arg), void *arg);

#endif
#endif
