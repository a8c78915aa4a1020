/* SPDX-License-Identifier: MIT */
#ifndef COLOOP_TESTS_FUZZ_CHECK_H
#define COLOOP_TESTS_FUZZ_CHECK_H

/*
 * check.h - whether a history is one that the library may have made
 *
 * Three questions are asked:
 *
 * rules    Of each call by itself: was it cancelled, had its deadline passed,
 *          as it says?  Was it told so, if it had to be?  Did the loop end when
 *          it should, and as it should?
 * in turn  If no call overlaps another but one that waits, each has its effect
 *          when it begins, so there is only one way for everything to go.
 * search   Otherwise a call has its effect at some moment between its begin and
 *          its end.  For each group of channels that selects connect, each
 *          lock, and each task that is suspended there must be an order of
 *          such moments that explains all results.  All are tried, if need be;
 *          after CHECK_STEPS steps a search is given up.
 *
 * A history in turn has to pass the search as well, which checks the search.
 */

#include "history.h"

enum { CHECK_STEPS = 100000 };

/* Fails, with the history, if something is wrong with it. */
void check_history(void);

/* Have the program say at its end how many searches there were, and how many of
 * them were given up. */
void check_prepare(void);

/* --- For those who ask the questions ------------------------------------- */

/* What is at each stamp: the begin of a call, or its end. */
struct event {
	const struct call *call;
	bool is_end;
};

extern struct event check_events[HISTORY_STAMPS + 1];

void check_rules(void);			/* rules.c; it sets `escape', too */
void check_in_turn(void);		/* in_turn.c */
void check_search(void);		/* search.c */
extern unsigned long check_searches, check_given_up;

/* The call that the task ACTOR was in at STAMP, or NULL. */
const struct call *check_in_flight(unsigned actor, unsigned stamp);

/* Whether the task was there at STAMP and had not ended. */
bool check_lives(unsigned task, unsigned stamp);

/* CALL is what is wrong. */
_Noreturn void check_fail(const struct call *call, const char *what);

#endif
