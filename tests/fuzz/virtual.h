/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_VIRTUAL_H
#define COLOOP_TESTS_FUZZ_VIRTUAL_H

/*
 * virtual.h - time as the fuzz target says
 *
 * In a thread that has begun it, time passes only when somebody says so, or
 * when the loop waits for events and there are none: then as much as it wanted
 * to wait.  So hours pass in no time, and the same program goes the same way
 * again.  A loop that waits for ever, or for longer than anybody needs, fails.
 *
 * The calls of the system are replaced by the linker (--wrap); in other threads
 * they are what they always are.
 */

#include <coloop.h>

#include <stdbool.h>

/* In what steps the coarse clock goes. */
#define VIRTUAL_GRAIN (4 * CO_MILLISECOND)

/* From now on it is NOW.  The loop is woken later than it wanted to be by
 * LATENESS.  WHEN_DUE tells when the loop has to be awake. */
void virtual_begin(co_time now, co_time lateness, co_time (*when_due)(void));
void virtual_end(void);

void virtual_pass(co_time length);

/* Whether the library's clock is this one: some systems have another name for
 * it. */
bool virtual_works(void);

#endif
