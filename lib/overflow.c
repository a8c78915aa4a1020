/* SPDX-License-Identifier: MIT */

/*
 * overflow.c - say which task overran its stack
 *
 * Handlers    Those that were there before are called for every fault, ours
 *             or not, and find what they would have found without us.  The
 *             handlers are never taken out again: who came later may have
 *             remembered ours, and calls it.
 * SA_NODEFER  is not set.  If the finder itself faults, the signal is blocked,
 *             and the system kills the process at once; with SA_NODEFER the
 *             handler would enter itself until its stack is full.
 * Ordering    `previous` is read by handlers that were installed after it was
 *             written.  `finder` is stored with release and loaded with
 *             acquire, so that a finder sees what was made ready for it.
 */

#include "overflow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomic.h"

#define ALTSTACK_MIN ((size_t)64 * 1024)

#define LINE_SIZE 192

static const int numbers[] = { SIGSEGV, SIGBUS };

#define N_NUMBERS (sizeof(numbers) / sizeof(*numbers))

/* The handlers that were there, in the order of `numbers`; constant after
 * install. */
static struct sigaction previous[N_NUMBERS];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;		/* constant after `once` */

static volatile AO_t finder;	/* atomic: a co__overflow_find, or 0 */

/* ---- the line ---- */

struct line {
	size_t size;
	char text[LINE_SIZE];
};

/* What doesn't fit is cut. */
static void append(struct line *line, const char *text)
{
	while (*text != '\0' && line->size < sizeof(line->text))
		line->text[line->size++] = *text++;
}

static void append_number(struct line *line, uintptr_t number, unsigned base)
{
	char digits[3 * sizeof(number) + 1];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number != 0);

	append(line, &digits[i]);
}

static void append_task(struct line *line, const char *name)
{
	if (name[0] == '\0') {
		append(line, "a task");
		return;
	}

	append(line, "task \"");
	append(line, name);
	append(line, "\"");
}

/* One write, so that lines of several threads don't mix.  If standard error
 * takes nothing there is nobody left to tell. */
static void report(const void *address, const char *name, size_t stack_size)
{
	struct line line = { .size = 0 };
	ssize_t size;

	append(&line, "coloop: ");
	append_task(&line, name);
	append(&line, " overran its stack of ");
	append_number(&line, stack_size / 1024, 10);
	append(&line, " KiB (guard page hit at 0x");
	append_number(&line, (uintptr_t)address, 16);
	append(&line, ")\n");

	size = write(STDERR_FILENO, line.text, line.size);
	(void)size;
}

/* ---- the handler ---- */

static void look_up(const void *address)
{
	char name[CO__OVERFLOW_NAME_SIZE] = "";
	size_t stack_size = 0;
	co__overflow_find *find;

	/* pairs with the store in co__overflow_set_finder() */
	find = (co__overflow_find *)AO_load_acquire(&finder);
	if (find == NULL || !find(address, name, &stack_size))
		return;

	name[sizeof(name) - 1] = '\0';
	report(address, name, stack_size);
}

static void set_default(int number)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

/* No function was there.  A fault repeats when the handler returns, and then
 * kills the process with its registers as they were; ignoring it is not
 * possible.  A signal that somebody sent has to be sent again, or ignored. */
static void leave_to_system(const struct sigaction *action, int number,
		bool is_fault)
{
	if (!is_fault && action->sa_handler == SIG_IGN)
		return;

	set_default(number);
	if (!is_fault)
		raise(number);
}

/* Block and unblock what the system would have for ACTION.  The return from
 * our handler undoes it. */
static void adopt_mask(const struct sigaction *action, int number)
{
	sigset_t itself;

	pthread_sigmask(SIG_BLOCK, &action->sa_mask, NULL);
	if (action->sa_flags & SA_NODEFER) {
		sigemptyset(&itself);
		sigaddset(&itself, number);
		pthread_sigmask(SIG_UNBLOCK, &itself, NULL);
	}
}

/* A handler that asked to be called only once counts on its second fault to
 * kill the process. */
static void call_previous(const struct sigaction *action, int number,
		siginfo_t *info, void *context)
{
	if (action->sa_flags & SA_RESETHAND)
		set_default(number);
	adopt_mask(action, number);

	if (action->sa_flags & SA_SIGINFO)
		action->sa_sigaction(number, info, context);
	else
		action->sa_handler(number);
}

/* Positive codes are the system's; only they come with an address. */
static void handle(int number, siginfo_t *info, void *context)
{
	const struct sigaction *action = &previous[number == SIGBUS];
	bool is_fault = info->si_code > 0;
	int error = errno;

	if (is_fault)
		look_up(info->si_addr);
	errno = error;

	if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN)
		leave_to_system(action, number, is_fault);
	else
		call_previous(action, number, info, context);
}

/* ---- installing it ---- */

/* `previous` has to be complete before the handler is in place: another thread
 * may fault the moment after. */
static void install(void)
{
	struct sigaction action = {
		.sa_sigaction = handle,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < N_NUMBERS; i++) {
		if (sigaction(numbers[i], NULL, &previous[i]) < 0
				|| sigaction(numbers[i], &action, NULL) < 0) {
			once_result = -errno;
			return;
		}
	}
}

int co__overflow_install(void)
{
	int rc = pthread_once(&once, install);

	return rc != 0 ? -rc : once_result;
}

void co__overflow_set_finder(co__overflow_find *find)
{
	/* pairs with the load in look_up() */
	AO_store_release(&finder, (AO_t)find);
}

/* ---- signal stacks ---- */

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Vector registers are saved on it: how large they are, only the system knows.
 * A multiple of the page size, and the same whenever it is asked. */
static size_t altstack_size(void)
{
	size_t size = ALTSTACK_MIN, page = page_size();
#ifdef _SC_MINSIGSTKSZ
	long least = sysconf(_SC_MINSIGSTKSZ);

	if (least > 0 && (size_t)least > size)
		size = (size_t)least;	/* GCOVR_EXCL_LINE: on no processor */
#endif

	return (size + page - 1) / page * page;
}

/* The mapping has a guard page of its own, at its lower end. */
static int map_altstack(char **ret_base)
{
	size_t guard = page_size();
	char *base = mmap(NULL, guard + altstack_size(),
			PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(base, guard, PROT_NONE) < 0) {
		munmap(base, guard + altstack_size());
		return -ENOMEM;
	}

	*ret_base = base;
	return 0;
}

static void unmap_altstack(char *base)
{
	munmap(base, page_size() + altstack_size());
}

int co__overflow_thread_begin(void **ret_altstack)
{
	stack_t stack;
	char *base;
	int rc;

	if (sigaltstack(NULL, &stack) < 0)
		return -errno;		/* GCOVR_EXCL_LINE: to ask can't fail */
	if (!(stack.ss_flags & SS_DISABLE)) {
		*ret_altstack = NULL;
		return 0;
	}

	rc = map_altstack(&base);
	if (rc < 0)
		return rc;

	stack = (stack_t){
		.ss_sp = base + page_size(),
		.ss_size = altstack_size(),
	};
	if (sigaltstack(&stack, NULL) < 0) {
		rc = -errno;
		unmap_altstack(base);
		return rc;
	}

	*ret_altstack = base;
	return 0;
}

/* The program may have given the thread another one meanwhile; that stays. */
void co__overflow_thread_end(void *altstack)
{
	const stack_t none = { .ss_flags = SS_DISABLE };
	stack_t stack;
	char *base = altstack;

	if (base == NULL)
		return;

	if (sigaltstack(NULL, &stack) == 0
			&& stack.ss_sp == base + page_size())
		sigaltstack(&none, NULL);
	unmap_altstack(base);
}
