/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_LIB_OPTIONS_H
#define COLOOP_LIB_OPTIONS_H

/*
 * options.h - what a loop is to be, by options, environment and defaults
 *
 * What makes no sense in the environment counts for nothing: whoever runs a
 * program can't break it by a slip of the pen.
 */

#include <coloop/loop.h>

#include <stdbool.h>

#include "os/os.h"

bool co__options_are_valid(const struct co_loop_options *options);

unsigned co__options_threads(const struct co_loop_options *options);
unsigned co__options_blocking_threads(const struct co_loop_options *options);
unsigned co__options_stack_class(const struct co_loop_options *options);

/* What is a stall; 0: nothing. */
co_time co__options_stall(const struct co_loop_options *options);

/* NULL: there is none of that name. */
const struct co__os_backend *co__options_backend(
		const struct co_loop_options *options);

#endif
