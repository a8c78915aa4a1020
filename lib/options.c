/* SPDX-License-Identifier: MIT */

/* options.c - see options.h */

#include "options.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "frame.h"

#define STACK_CLASS_DEFAULT 18u		/* 256 KiB */
#define BLOCKING_THREADS_DEFAULT 64u
#define STALL_MAX 1000000000u		/* ms, in the environment */

#ifndef HAVE_SECURE_GETENV
#define secure_getenv getenv
#endif

/* The CPUs that the process may use. */
static unsigned count_cpus(void)
{
	long n = 0;
#ifdef HAVE_SCHED_GETAFFINITY
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) == 0)
		n = CPU_COUNT(&set);
#endif
	if (n <= 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > (long)CO_LOOP_THREADS_MAX ? CO_LOOP_THREADS_MAX
			: (unsigned)n;
}

/* The environment variable NAME, a number from 1 to MAX; 0 if it isn't one. */
static unsigned environment_number(const char *name, unsigned max)
{
	const char *text = secure_getenv(name);
	unsigned long n;
	char *end;

	if (text == NULL || *text < '0' || *text > '9')
		return 0;
	n = strtoul(text, &end, 10);

	return *end != '\0' || n > max ? 0 : (unsigned)n;
}

unsigned co__options_threads(const struct co_loop_options *options)
{
	unsigned n = options->threads;

	if (n == 0)
		n = environment_number("COLOOP_THREADS", CO_LOOP_THREADS_MAX);

	return n != 0 ? n : count_cpus();
}

unsigned co__options_blocking_threads(const struct co_loop_options *options)
{
	return options->blocking_threads != 0 ? options->blocking_threads
			: BLOCKING_THREADS_DEFAULT;
}

co_time co__options_stall(const struct co_loop_options *options)
{
	if (options->stall_after == 0)
		return environment_number("COLOOP_STALL", STALL_MAX)
				* CO_MILLISECOND;

	return options->stall_after == CO_NEVER ? 0 : options->stall_after;
}

bool co__options_are_valid(const struct co_loop_options *options)
{
	const struct co_allocator *allocator = options->allocator;

	for (size_t i = 0; i < sizeof options->reserved
			/ sizeof options->reserved[0]; i++)
		if (options->reserved[i] != 0)
			return false;
	if (allocator != NULL && (allocator->allocate == NULL
			|| allocator->release == NULL))
		return false;

	return options->size == sizeof *options
		&& options->stall_after >= 0
		&& options->threads <= CO_LOOP_THREADS_MAX
		&& options->blocking_threads <= CO_LOOP_BLOCKING_THREADS_MAX
		&& !(options->flags & ~(CO_LOOP_UNGUARDED_STACKS
			| CO_LOOP_NO_OVERFLOW_REPORT))
		&& (options->stack_size == 0
			|| co__frame_class(options->stack_size) != 0);
}

unsigned co__options_stack_class(const struct co_loop_options *options)
{
	return options->stack_size == 0 ? STACK_CLASS_DEFAULT
			: co__frame_class(options->stack_size);
}

const struct co__os_backend *co__options_backend(
		const struct co_loop_options *options)
{
	const struct co__os_backend *os = NULL;
	const char *name = options->backend;

	if (name != NULL)
		return co__os_backend(name);
	name = secure_getenv("COLOOP_BACKEND");
	if (name != NULL)
		os = co__os_backend(name);

	return os != NULL ? os : co__os_backend(NULL);
}
