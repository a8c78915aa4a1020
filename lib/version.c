/* SPDX-License-Identifier: MIT */

/* version.c - which library is this? */

#include <coloop/version.h>

const char *co_version(void)
{
	return PACKAGE_VERSION;
}
