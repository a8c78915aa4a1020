/* SPDX-License-Identifier: MIT */

/* where.c - see where.h */

#include "where.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if defined HAVE_DLADDR && defined HAVE_LINK_H

#include <dlfcn.h>
#include <link.h>

/* The address in the file of what is at ADDRESS.  A module lies where the
 * system put it, but for a program that was linked for a fixed place. */
static uintptr_t in_file(const Dl_info *module, uintptr_t address)
{
	const ElfW(Ehdr) *header = module->dli_fbase;

	return header->e_type == ET_EXEC ? address
			: address - (uintptr_t)module->dli_fbase;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int find(uintptr_t address, char *text, size_t size)
{
	Dl_info module;
	uintptr_t place;
	const char *file;

	if (dladdr((void *)address, &module) == 0 || module.dli_fname == NULL
			|| module.dli_fbase == NULL)
		return 0;
	place = in_file(&module, address);
	file = last_part(module.dli_fname);
	if (module.dli_sname == NULL)
		return snprintf(text, size, "%s+%#zx", file, (size_t)place);

	return snprintf(text, size, "%s+%#zx (%s+%#zx)", module.dli_sname,
			(size_t)(address - (uintptr_t)module.dli_saddr),
			file, (size_t)place);
}

#else

static int find(uintptr_t address, char *text, size_t size)
{
	(void)address;
	(void)text;
	(void)size;

	return 0;
}

#endif

void co__where(const void *address, char *text, size_t size)
{
	/* What it returns to is behind the call, and may be another line, or
	 * another function. */
	uintptr_t call = (uintptr_t)address - (address != NULL);

	if (find(call, text, size) == 0)
		snprintf(text, size, "%p", (void *)call);
}
