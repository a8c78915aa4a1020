/* SPDX-License-Identifier: MIT */

/*
 * gcov_shim.c - what a process has run is counted however it ends
 *
 * The counters that gcc's --coverage adds are written to files by exit(3).
 * Some tests end a process of theirs by _exit(2), or let it die of a fault.
 * These definitions of _exit(2) and sigaction(2) write them before.
 */

#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);

static int real_sigaction(int number, const struct sigaction *action,
		struct sigaction *ret_old)
{
	int (*next)(int, const struct sigaction *, struct sigaction *);

	*(void **)&next = dlsym(RTLD_NEXT, "sigaction");

	return next(number, action, ret_old);
}

/* What is counted from here on is written by the next one. */
static void dump(void)
{
	__gcov_dump();
	__gcov_reset();
}

void _exit(int status)
{
	dump();
	for (;;)
		syscall(SYS_exit_group, status);
}

/* The signal comes again when this returns: a fault by itself, any other since
 * it is sent. */
static void dump_and_die(int number, siginfo_t *info, void *context)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	(void)context;
	dump();
	real_sigaction(number, &action, NULL);
	if (info->si_code <= 0)
		raise(number);
}

int sigaction(int number, const struct sigaction *action,
		struct sigaction *ret_old)
{
	const struct sigaction dying = {
		.sa_sigaction = dump_and_die,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (action != NULL && action->sa_handler == SIG_DFL
			&& (number == SIGSEGV || number == SIGBUS))
		action = &dying;

	return real_sigaction(number, action, ret_old);
}
