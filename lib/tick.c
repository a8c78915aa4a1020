/* SPDX-License-Identifier: MIT */

/*
 * tick.c - what any thread may tell a loop
 *
 * What it tells may end the loop, so these calls are visits: the loop isn't
 * destroyed before they are over (see co__loop_enter).
 */

#include <errno.h>

#include "loop.h"

int co_loop_ref(struct co_loop *loop)
{
	if (!co__loop_is_valid(loop))
		return -EINVAL;
	/* Relaxed: the loop runs, or the caller is who starts it. */
	AO_fetch_and_add1(&loop->refs);

	return 0;
}

int co_loop_unref(struct co_loop *loop)
{
	AO_t refs;

	if (!co__loop_is_valid(loop))
		return -EINVAL;
	co__loop_enter(loop);
	do {
		refs = AO_load(&loop->refs);
		/* Full: what the thread did comes before the loop ends. */
	} while (refs != 0 && !AO_compare_and_swap_full(&loop->refs, refs,
			refs - 1));
	if (refs == 1)
		co__idle_notify(loop);	/* somebody must see that it may end */
	co__loop_leave(loop);

	return refs == 0 ? -EINVAL : 0;
}

int co_loop_on_next_tick(struct co_loop *loop, struct co_tick *tick)
{
	if (!co__loop_is_valid(loop) || tick == NULL || tick->run == NULL)
		return -EINVAL;
	co__loop_enter(loop);
	co__inject_put(&loop->inject, tick);
	/* From here on TICK is the loop's, and may be gone. */
	co__idle_notify(loop);
	co__loop_leave(loop);

	return 0;
}
