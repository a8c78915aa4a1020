/* SPDX-License-Identifier: MIT */

/* one_thread.c - fuzz target: any calls, on a loop of one thread; see run.h */

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "fuzz.h"
#include "run.h"
#include "virtual.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (!virtual_works()) {
		puts("1..0 # SKIP the clock can't be replaced here");
		exit(0);
	}
	check_prepare();

	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct program program;

	program_read(&program, data, size, false);
	run_program(&program);

	return 0;
}
