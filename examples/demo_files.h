/* SPDX-License-Identifier: CC0-1.0 */
#ifndef DEMO_FILES_H
#define DEMO_FILES_H

#include <stddef.h>

#include "demo_load.h"

#define DEMO_FILES_MAX 16

/* The directory that the demonstration serves, and what is in it.  Begin with
 * zeros. */
struct demo_files {
	char directory[256];
	int made;		/* by demo_files_make() */
	size_t n;
	struct load_file files[DEMO_FILES_MAX];
};

/* Make a temporary directory with a few files in it.  Both return 0 or a
 * negative errno value; demo_files_free() is due after either. */
int demo_files_make(struct demo_files *files);

/* Read what is in DIRECTORY: up to 16 files of at most 1 MiB whose names are
 * plain.  -ENOENT: there is none. */
int demo_files_read(struct demo_files *files, const char *directory);

/* Forget the files, and remove the directory if it was made. */
void demo_files_free(struct demo_files *files);

#endif
