/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_DEBUGGER_H
#define COLOOP_LIB_DEBUGGER_H

/*
 * debugger.h - where a debugger finds the loops of a process
 *
 * Nothing in the library reads the list: gdb/coloop.py does, in a process that
 * stands still or in a core file, and goes on from each loop by the fields of
 * its structures.  doc/design.md, "Seen from outside", has what it relies on.
 *
 * Addresses are kept as their complements: a loop that the program has lost is
 * still a leak to the checkers that look for pointers.
 */

#include <stddef.h>

struct co_loop;

/* The complement of the address of the newest loop, or of NULL; each has that
 * of the next in `older'. */
extern size_t co__loops;		/* lock: debugger.c's */

/* LOOP is complete. */
void co__debugger_add(struct co_loop *loop);

/* LOOP is about to be taken apart. */
void co__debugger_remove(const struct co_loop *loop);

#endif
