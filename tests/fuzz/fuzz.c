/* SPDX-License-Identifier: MIT */

/* fuzz.c - see fuzz.h */

#include "fuzz.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void (*fuzz_explain)(void);
uint64_t fuzz_rounds = 1;

void fuzz_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	if (fuzz_explain != NULL)
		fuzz_explain();
	abort();
}

void fuzz_equal(long long got, long long want, const char *what,
		const char *file, int line)
{
	if (got != want)
		fuzz_fail(file, line, "%s: got %lld, expected %lld", what, got,
				want);
}
