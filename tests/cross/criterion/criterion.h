/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_CROSS_CRITERION_H
#define COLOOP_TESTS_CROSS_CRITERION_H

/*
 * criterion.h - as much of Criterion as the suites need, where it isn't
 *
 * Debian has Criterion for few architectures.  Here are the macros that the
 * suites use and a main(), in one header: each test is a process forked from
 * main's, and the report is TAP on standard output.  Of the options it heeds
 * --timeout SECONDS and --filter PATTERN, and passes over others.
 */

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How the process of a test ends.  Not by 0, which is also that of a test whose
 * process ends before it. */
enum { CR_PASSED_ = 100, CR_FAILED_, CR_SKIPPED_ };

struct cr_test_ {
	const char *name;
	void (*run)(void);
	struct cr_test_ *next;
};

static struct cr_test_ *cr_first_, **cr_end_ = &cr_first_;
static bool cr_has_failed_;		/* in the process of a test */

static inline void cr_add_(struct cr_test_ *test)
{
	*cr_end_ = test;
	cr_end_ = &test->next;
}

__attribute__((format(printf, 5, 6)))
static inline void cr_fail_(bool is_fatal, const char *file, int line,
		const char *what, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s:%d: expected: %s:", file, line, what);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	cr_has_failed_ = true;
	if (is_fatal)
		_exit(CR_FAILED_);
}

__attribute__((format(printf, 1, 2)))
static inline void cr_skip_(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(CR_SKIPPED_);
}

/* --- What the suites use ------------------------------------------------- */

/* Only Criterion itself heeds attributes. */
#define TestSuite(suite, ...) _Static_assert(1, #suite)

/* As in Criterion, what test.h makes its own Test() of. */
#define CR_EXPAND(text) text
#define CR_TEST_BASE(suite, test, ...)                                      \
	static void suite##_##test##_run(void);                             \
	__attribute__((constructor)) static void suite##_##test##_add(void) \
	{                                                                   \
		static struct cr_test_ self = {                             \
			#suite "/" #test, suite##_##test##_run, NULL        \
		};                                                          \
		cr_add_(&self);                                             \
	}                                                                   \
	static void suite##_##test##_run(void)
#define Test(...) CR_TEST_BASE(__VA_ARGS__, .sentinel_ = 0)

#define cr_skip_test(...) cr_skip_("# " __VA_ARGS__)

/* What follows are a format and its arguments, or nothing. */
#define cr_check_(is_fatal, condition, what, ...)                           \
	((condition) ? (void)0 : cr_fail_((is_fatal), __FILE__, __LINE__,   \
			(what), " " __VA_ARGS__))
#define cr_compare_(is_fatal, a, operator, b, ...)                          \
	cr_check_(is_fatal, (a) operator (b), #a " " #operator " " #b,      \
			__VA_ARGS__)

#define cr_assert(a, ...) cr_check_(true, (a), #a, __VA_ARGS__)
#define cr_assert_not(a, ...) cr_check_(true, !(a), "not " #a, __VA_ARGS__)
#define cr_assert_null(a, ...) cr_compare_(true, a, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) cr_compare_(true, a, !=, NULL, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) cr_compare_(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) cr_compare_(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) cr_compare_(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) cr_compare_(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) cr_compare_(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) cr_compare_(true, a, >=, b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                         \
	cr_check_(true, strcmp((a), (b)) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect_null(a, ...) cr_compare_(false, a, ==, NULL, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) cr_compare_(false, a, ==, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) cr_compare_(false, a, >=, b, __VA_ARGS__)

/* --- Running them -------------------------------------------------------- */

static inline int cr_run_(const struct cr_test_ *test, unsigned seconds)
{
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(seconds);
		test->run();
		fflush(stdout);
		_exit(cr_has_failed_ ? CR_FAILED_ : CR_PASSED_);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return child > 0 ? status : -1;
}

/* Returns whether it did not fail. */
static inline bool cr_report_(const struct cr_test_ *test, unsigned number,
		int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	bool good = code == CR_PASSED_ || code == CR_SKIPPED_;

	printf("%sok %u - %s", good ? "" : "not ", number, test->name);
	if (code == CR_SKIPPED_)
		printf(" # SKIP");
	else if (!good && code != CR_FAILED_)
		printf(" (ended with wait status %#x)", (unsigned)status);
	putchar('\n');
	return good;
}

int main(int argc, char **argv)
{
	const struct cr_test_ *test;
	const char *filter = "*";
	unsigned number = 0, failed = 0, seconds = 60;
	int i;

	for (i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--timeout") == 0)
			seconds = (unsigned)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--filter") == 0)
			filter = argv[i + 1];
	}
	for (test = cr_first_; test != NULL; test = test->next) {
		if (fnmatch(filter, test->name, 0) != 0)
			continue;
		number++;
		failed += !cr_report_(test, number, cr_run_(test, seconds));
	}
	printf("1..%u\n", number);
	return failed > 0;
}

#endif
