/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BLOCKING_H
#define COLOOP_BLOCKING_H

/*
 * Calls that block their thread, and long computations.         co_blocking(3)
 *
 * Threads     The loop has threads for them beside those that run its tasks:
 *             each is started when it is needed, up to
 *             co_loop_options.blocking_threads, and ends with co_loop_run().
 * Ownership   What the function uses stays the calling task's, which waits
 *             until it has returned.
 */

#include <coloop/base.h>
#include <coloop/errno.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is called.  It isn't in a task: calls that only tasks may make return
 * -EPERM, and co_self() NULL. */
typedef int co_blocking_fn(void *arg);

/* Call FN(ARG) in a thread that may block, while the calling task waits and
 * others run.  *RET_RESULT (may be NULL) is what FN returned.
 * A cancellation or a deadline ends the wait for a thread.  Once FN was called
 * the task waits until it returns, whatever comes meanwhile.
 * 0; FN was called.  Else it was not: -EPERM (no task), -EINVAL (FN is NULL),
 * -EAGAIN (there is no thread, and none could be started), -ECANCELED,
 * -ETIMEDOUT. */
CO_API int co_blocking(co_blocking_fn *fn, void *arg, int *ret_result);

#ifdef __cplusplus
}
#endif

#endif
