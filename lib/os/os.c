/* SPDX-License-Identifier: MIT */

/*
 * os.c - which backends there are
 */

#include "os.h"

#include <string.h>

static const struct co__os_backend *const backends[] = {
#ifdef HAVE_EPOLL
	&co__os_epoll,
#endif
	&co__os_poll,
};

const struct co__os_backend *co__os_backend(const char *name)
{
	if (name == NULL)
		name = CO_DEFAULT_BACKEND;

	for (size_t i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		if (strcmp(backends[i]->name, name) == 0)
			return backends[i];
	}

	return NULL;
}
