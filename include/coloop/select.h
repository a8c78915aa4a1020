/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_SELECT_H
#define COLOOP_SELECT_H

/*
 * Wait for one of several channel operations.                   co_select(3)
 *
 * Exactly one case happens; the others leave no trace.  Among cases that could
 * happen at once the choice is random, each with the same chance.
 */

#include <coloop/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CO_SELECT_PUT 1u
#define CO_SELECT_GET 2u

/* One operation.  The caller's memory during the call. */
struct co_select_case {
	struct co_channel *channel;	/* NULL: this case never happens */
	unsigned op;			/* CO_SELECT_PUT or CO_SELECT_GET */
	int result;			/* set if this case happened: 0, or
					 * -EPIPE: the channel is closed */
	void *item;			/* what to put, or where to get it to */
	void *private_[8];		/* the library's; needs no value */
};

#define CO_SELECT_CASE_PUT(channel, item)                                   \
	{ (channel), CO_SELECT_PUT, 0, (void *)(item),                      \
	  { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL } }
#define CO_SELECT_CASE_GET(channel, ret_item)                               \
	{ (channel), CO_SELECT_GET, 0, (void *)(ret_item),                  \
	  { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL } }

/* The most cases of one select. */
#define CO_SELECT_MAX ((size_t)1 << 16)

/* Wait until one of the N cases happens.  Returns its index and sets its
 * result.  A closed channel counts as something that happens.  The same
 * channel may stand in several cases; a put and a get of one select never meet
 * each other.
 * -ECANCELED, -ETIMEDOUT, -EPERM: none happened.  -EINVAL: N is too large, or
 * a case makes no sense.  With no case that can ever happen it waits for
 * cancellation or a deadline. */
CO_API int co_select(struct co_select_case *cases, size_t n);

/* The same without waiting.  -EAGAIN: none can happen now.  Any thread. */
CO_API int co_try_select(struct co_select_case *cases, size_t n);

#ifdef __cplusplus
}
#endif

#endif
