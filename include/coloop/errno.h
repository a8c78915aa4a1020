/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_ERRNO_H
#define COLOOP_ERRNO_H

/*
 * The variable errno, in code that suspends.                       co_errno(3)
 *
 * It belongs to a thread, and a task may change threads in every blocking call.
 * But C libraries declare that its address never changes, so a compiler looks
 * it up once for a whole function, and after a blocking call would use the
 * variable of another thread.  With the macro here it looks it up anew each
 * time.
 */

#include <errno.h>

#include <coloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The address of the calling thread's errno, right until the next blocking
 * call.  Any thread or task; async-signal-safe. */
CO_API int *co_errno_location(void);

#ifdef __cplusplus
}
#endif

/* Who wants the C library's own defines CO_PLAIN_ERRNO first. */
#ifndef CO_PLAIN_ERRNO
#undef errno
#define errno (*co_errno_location())
#endif

#endif
