/* SPDX-License-Identifier: MIT */

/* barrier.c - a fence in all threads of the process, by membarrier(2) */

#include "os.h"

#include <errno.h>

#include "../atomic.h"

#ifdef HAVE_LINUX_MEMBARRIER_H
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined HAVE_LINUX_MEMBARRIER_H && defined SYS_membarrier

static AO_t works;		/* relaxed: it never failed */

static int membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) < 0 ? -errno : 0;
}

/* When the library is loaded, since it costs nothing before there are threads,
 * and milliseconds later. */
__attribute__((constructor)) static void prepare(void)
{
	AO_store(&works, membarrier(
			MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0);
}

bool co__os_has_barrier(void)
{
	return AO_load(&works) != 0;
}

int co__os_barrier(void)
{
	int rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);

	if (rc < 0)
		AO_store(&works, 0);

	return rc;
}

#else

bool co__os_has_barrier(void)
{
	return false;
}

int co__os_barrier(void)
{
	return -ENOSYS;
}

#endif
