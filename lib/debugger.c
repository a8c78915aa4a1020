/* SPDX-License-Identifier: MIT */

/* debugger.c - see debugger.h */

#include "debugger.h"

#include "loop.h"

static struct co__spin lock = CO__SPIN_INIT;

/* No optimizer may find out that nobody asks. */
__attribute__((used)) size_t co__loops = ~(size_t)0;

void co__debugger_add(struct co_loop *loop)
{
	co__spin_acquire(&lock);
	loop->older = co__loops;
	/* A debugger may stop the process between any two instructions. */
	AO_compiler_barrier();
	co__loops = ~(size_t)loop;
	co__spin_release(&lock);
}

void co__debugger_remove(const struct co_loop *loop)
{
	size_t *link = &co__loops;

	co__spin_acquire(&lock);
	while (*link != ~(size_t)loop)
		link = &((struct co_loop *)~*link)->older;
	*link = loop->older;
	co__spin_release(&lock);
}
