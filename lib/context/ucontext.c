/* SPDX-License-Identifier: MIT */

/*
 * ucontext.c - the switch for machines without an assembly file
 *
 * A ucontext_t is too big for a context, and some hold pointers into
 * themselves, so it must not move.  It lives where the registers would be
 * saved: in the frame of the switch that suspends, or, for a context that has
 * not begun, at the top of its stack.
 *
 * Here, unlike in assembly, the signal mask is a part of what is switched.
 */

#include "context.h"

#if defined CO_CONTEXT_UCONTEXT

#include <fenv.h>
#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

/* What lies at the top of the stack of a made context. */
struct beginning {
	ucontext_t registers;
	void (*entry)(void *arg);
	void *arg;
};

/* makecontext() passes on integers only, of which two make a pointer.  The two
 * shifts are one of 32 where pointers have as many bits. */
static void enter(unsigned int high, unsigned int low)
{
	uintptr_t address = (uintptr_t)high << 16 << 16 | low;
	const struct beginning *beginning = (const struct beginning *)address;

	fesetenv(FE_DFL_ENV);
	beginning->entry(beginning->arg);
	abort();		/* GCOVR_EXCL_LINE: it doesn't return */
}

void co__context_switch(struct co__context *from, const struct co__context *to)
{
	ucontext_t registers;

	from->saved = &registers;
	if (swapcontext(&registers, to->saved) != 0)
		abort();	/* GCOVR_EXCL_LINE: no system lets it fail */
}

void co__context_make(struct co__context *context, void *base, size_t size,
		void (*entry)(void *arg), void *arg)
{
	uintptr_t address = (uintptr_t)base + size - sizeof(struct beginning);
	struct beginning *beginning;

	address -= address % 16;
	beginning = (struct beginning *)address;
	beginning->entry = entry;
	beginning->arg = arg;

	if (getcontext(&beginning->registers) != 0)
		abort();	/* GCOVR_EXCL_LINE: no system lets it fail */
	beginning->registers.uc_link = NULL;
	beginning->registers.uc_stack.ss_sp = base;
	beginning->registers.uc_stack.ss_size = address - (uintptr_t)base;
	makecontext(&beginning->registers, (void (*)(void))enter, 2,
			(unsigned int)(address >> 16 >> 16),
			(unsigned int)address);
	context->saved = &beginning->registers;
}

#endif
