/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_TRAP_H
#define COLOOP_TESTS_TRAP_H

/*
 * trap.h - a call that is interrupted where it touches a node
 *
 * A page for a node.  The call that first touches the node, and so is about to
 * read or write its link, stops there until SPRING returns.
 */

#include "test.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

static struct {
	void *page;
	size_t size;
	void (*spring)(void);
} trap;

static void spring_trap(int number, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)trap.page;

	(void)context;
	if (at >= trap.size) {
		signal(number, SIG_DFL);
		return;
	}
	test_or_die(mprotect(trap.page, trap.size, PROT_READ | PROT_WRITE));
	trap.spring();
}

/* Memory for a node, zeroed.  It is no trap before arm_trap(). */
static void *make_trap(void (*spring)(void))
{
	struct sigaction action = { .sa_sigaction = spring_trap };

	action.sa_flags = SA_SIGINFO;
	test_or_die(sigaction(SIGSEGV, &action, NULL));
	test_or_die(sigaction(SIGBUS, &action, NULL));
	trap.size = (size_t)sysconf(_SC_PAGESIZE);
	trap.page = mmap(NULL, trap.size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	test_die_unless(trap.page != MAP_FAILED, "mmap", __FILE__, __LINE__);
	trap.spring = spring;

	return trap.page;
}

static void arm_trap(void)
{
	test_or_die(mprotect(trap.page, trap.size, PROT_NONE));
}

#endif
