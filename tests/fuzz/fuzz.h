/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_H
#define COLOOP_TESTS_FUZZ_H

/*
 * fuzz.h - what the fuzz targets share
 *
 * A target is a program of one function, which makes of any bytes something to
 * do, does it, and aborts the program if what came of it is wrong.  Its main()
 * is that of libFuzzer, which makes up the bytes (`make fuzz'), or else that of
 * replay.c, which takes them from files: those in corpus/TARGET, of which each
 * is a test of `make check', or those that are named.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a target has to do first, if anything.  Where it can't work it says so
 * and ends the program. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* Says what is wrong, calls fuzz_explain unless that is NULL, and aborts. */
_Noreturn void fuzz_fail(const char *file, int line, const char *format, ...)
		__attribute__((format(printf, 3, 4)));

extern void (*fuzz_explain)(void);

/* How often replay.c does what a file says: once, if the target doesn't set it
 * to more. */
extern uint64_t fuzz_rounds;

#define FUZZ_FAIL(...) fuzz_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Nothing, or the end. */
#define FUZZ_CHECK(condition)                                               \
	((condition) ? (void)0 : FUZZ_FAIL("expected: %s", #condition))
#define FUZZ_EQUAL(got, want)                                               \
	fuzz_equal((long long)(got), (long long)(want), #got " == " #want,  \
			__FILE__, __LINE__)

void fuzz_equal(long long got, long long want, const char *what,
		const char *file, int line);

/* The bytes that a target was given, from the first on.  When they are used up
 * there are zeros. */
struct fuzz_bytes {
	const uint8_t *next;
	size_t left;
};

static inline uint8_t fuzz_take(struct fuzz_bytes *bytes)
{
	if (bytes->left == 0)
		return 0;
	bytes->left--;

	return *bytes->next++;
}

#endif
