/* SPDX-License-Identifier: MIT */

/* threads.c - fuzz target: any calls, on a loop of some threads; see run.h */

#include "check.h"
#include "fuzz.h"
#include "run.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	check_prepare();
	fuzz_rounds = CO_TEST_SCALE(20);

	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct program program;

	program_read(&program, data, size, true);
	run_program(&program);

	return 0;
}
