/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_BASE_H
#define COLOOP_BASE_H

/*
 * What every other header of libcoloop needs.                    coloop(7)
 *
 * Errors      Functions that can fail return 0 or a count on success and a
 *             negative errno value on failure.  The variable errno is never
 *             part of the interface: it belongs to a thread, and a task may
 *             change threads in every blocking call.  <coloop/errno.h> sees to
 *             it that who reads it reads that of the thread.
 * Outputs     Arguments named ret_... come last, but for the room that they
 *             have, and are written on success only, if nothing else is said.
 */

#include <stddef.h>
#include <stdint.h>

/* Marks what the shared library exports. */
#define CO_API __attribute__((visibility("default")))

/* Whoever ignores the result goes on as if nothing had been wrong. */
#define CO_MUST_CHECK __attribute__((warn_unused_result))

/* What can happen on a file descriptor; bits of a mask. */
#define CO_READABLE 1u	/* bytes, a connection or the end of the stream wait */
#define CO_WRITABLE 2u	/* there is room to write */
#define CO_HANGUP   4u	/* the peer closed, or shut down its writing half */
#define CO_ERROR    8u	/* the descriptor has an error to report */

#include <coloop/errno.h>

#endif
