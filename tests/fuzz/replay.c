/* SPDX-License-Identifier: MIT */

/*
 * replay.c - do what the bytes of some files say; a main() for fuzz targets
 *
 * The files are the arguments, or else all of $top_srcdir/tests/fuzz/corpus/
 * TARGET.  Each is a test, reported in TAP.  ROUNDS=1000 in the environment does
 * each so often, for what goes wrong only sometimes.
 */

#define _FILE_OFFSET_BITS 64	/* or a file may have too large a number */

#include "../torture/torture.h"
#include "fuzz.h"

#include <dirent.h>

/* The bytes of the file at PATH, in memory of just their size, so that a
 * checker sees who reads beyond. */
static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data, all[1 << 16];

	if (file == NULL)
		FUZZ_FAIL("%s can't be opened", path);
	*ret_size = fread(all, 1, sizeof all, file);
	fclose(file);
	data = malloc(*ret_size + (*ret_size == 0));
	test_die_unless(data != NULL, "malloc", __FILE__, __LINE__);
	memcpy(data, all, *ret_size);

	return data;
}

static void replay(unsigned number, const char *path, uint64_t rounds)
{
	size_t size;
	uint8_t *data = read_file(path, &size);

	/* The name comes first, in case that the program does not return. */
	printf("# %s\n", path);
	fflush(stdout);
	torture_enter(path, 60 + (unsigned)test_divisor());
	for (; rounds > 0; rounds--)
		LLVMFuzzerTestOneInput(data, size);
	alarm(0);
	free(data);
	printf("ok %u - %s\n", number, strrchr(path, '/') != NULL
			? strrchr(path, '/') + 1 : path);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* All files of the directory at PATH, in the order of their names. */
static void replay_all(const char *path, uint64_t rounds)
{
	struct dirent **entries;
	int n = scandir(path, &entries, is_visible, alphasort);

	if (n <= 0)
		FUZZ_FAIL("there is nothing in %s", path);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		char name[1300];

		if (snprintf(name, sizeof name, "%s/%s", path,
				entries[i]->d_name) >= (int)sizeof name)
			FUZZ_FAIL("%s is too long a name", path);
		replay((unsigned)i + 1, name, rounds);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	uint64_t rounds;
	const char *top = getenv("top_srcdir"), *target = argv[0];
	char path[1000];

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	rounds = torture_option(argv + argc, "ROUNDS", fuzz_rounds);
	/* With libtool's wrapper the program's own name may begin so. */
	if (strrchr(target, '/') != NULL)
		target = strrchr(target, '/') + 1;
	if (strncmp(target, "lt-", 3) == 0)
		target += 3;
	if (argc > 1) {
		printf("1..%d\n", argc - 1);
		for (int i = 1; i < argc; i++)
			replay((unsigned)i, argv[i], rounds);
		return 0;
	}
	snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s",
			top != NULL ? top : ".", target);
	replay_all(path, rounds);

	return 0;
}
