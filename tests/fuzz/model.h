/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_MODEL_H
#define COLOOP_TESTS_FUZZ_MODEL_H

/*
 * model.h - what channels, locks and tasks are, one step at a time
 *
 * The model knows what each call will have come to, from the history, so it has
 * nothing to guess: a step says whether that is what must come of it now.
 *
 * States      of a call
 *
 *               none -> begun      it may have its effect from now on
 *               begun -> done      it had it at once
 *               begun -> waiting   it has to wait
 *               waiting -> done    another call served it
 *               any -> over        it has returned
 *
 * A call that a cancellation or a deadline ended, a doomed one, has no effect.
 * From the stamp in `escape' on it doesn't wait any more, though it may not
 * have returned; until then it does, and a step that would serve it is wrong.
 */

#include "history.h"

enum call_state { CALL_NONE, CALL_BEGUN, CALL_WAITING, CALL_DONE, CALL_OVER };

enum { LINE_ROOM = HISTORY_TASKS * HISTORY_WAYS, CAPACITY_MAX = 4 };

/* Those who wait, in the order of their coming: each is the number of a call
 * times HISTORY_WAYS, plus that of its way. */
struct line {
	uint16_t count;
	uint16_t who[LINE_ROOM];
};

struct model_channel {
	bool closed;
	uint16_t count;
	uint16_t items[CAPACITY_MAX];
	struct line putters, getters;
};

struct model_lock {
	bool held;
	struct line waiters;
};

struct model_task {
	bool ended, detached;
	struct line joiners;		/* one at the most */
	struct line suspended;		/* its own call, or none */
};

struct model {
	struct model_channel channels[HISTORY_CHANNELS];
	struct model_lock locks[HISTORY_LOCKS];
	struct model_task tasks[HISTORY_TASKS];
	uint8_t states[HISTORY_CALLS];	/* enum call_state */
	unsigned now;			/* the last stamp */
};

/* For each call the stamp from which on it need not wait any more. */
extern unsigned escape[HISTORY_CALLS];

/* Let CALL, which has begun, have its effect now.  Whether what came of it is
 * what must come of that; its state is `done' or `waiting' then. */
bool model_step(struct model *model, const struct call *call);

/* Whether CALL is doomed, and does not wait any more. */
bool model_has_escaped(const struct model *model, const struct call *call);

#endif
