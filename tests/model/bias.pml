/* SPDX-License-Identifier: MIT */

/*
 * bias.pml - an owner that is alone most of the time, and its guests:
 *            lib/bias.h, with the tasks of lib/runq.h behind the door
 *
 * Sizes       Four tasks.  The owner does 4 things of its choice: it takes a
 *             task, or makes itself alone, or all welcome.  Two guests come
 *             twice each, and may be inside at once.  A barrier may fail, and a
 *             guest go away instead of waiting.
 *             740,000 states.
 *
 * Steps       E1 ... E4   co__bias_enter, co__near_pick_alone, co__bias_leave
 *             B1 ... B4   co__bias_visit of lib/bias.c
 *             B5          co__bias_end_visit
 *             set         co__bias_set
 *             rob         co__runq_rob, as far as it matters: T1 and T4
 *             The word is `owned' and `guests', which change in one step; it
 *             has no visits, since nobody decides by them.
 *             What the owner stores waits in a buffer, first in first out, and
 *             gets to memory at some later moment: this is what its processor
 *             may do.  A compare-and-swap of the owner empties the buffer; so
 *             does B2, from another processor.
 *
 * Proved      No guest is inside while the owner is alone, and each task is
 *             taken once.
 *
 * MUTANT_NO_BARRIER    assertion  no B2
 * MUTANT_FAILED_IS_ONE assertion  a barrier that failed counts as one
 * MUTANT_NO_COUNT      assertion  B1 counts nobody
 * MUTANT_B1_APART      assertion  B1 looks first, and counts later
 * MUTANT_NO_LOOK       assertion  no B3
 * MUTANT_LOOK_FIRST    assertion  B3 before B2
 * MUTANT_B4_FIRST      assertion  B4 before B3: others are inside at once
 * MUTANT_B5_FIRST      assertion  B5 before the guest leaves
 * MUTANT_E2_FIRST      assertion  E2 before E1
 * MUTANT_E2_ANY_COUNT  assertion  E2 doesn't ask whether a guest is counted
 * MUTANT_E4_FIRST      assertion  E4 before the store of E3
 * MUTANT_SET_APART     assertion  set looks first, and stores later
 */

#define TASKS 4
#define ACTS 4
#define VISITS 2

#define INSIDE 0
#define HEAD 1

bool owned = true;
byte guests;
bool inside;
byte head;
chan buffer = [4] of { bit, byte };	/* what the owner has stored */
byte newest;				/* the head that the owner sees */
bool taken[TASKS];			/* ghost */
bool alone;				/* ghost */
byte visitors;				/* ghost */

inline take(task)
{
	assert(!taken[task]);
	taken[task] = true
}

/* The owner's processor. */
active proctype memory()
{
	byte value;

end:	do
	:: atomic {
		buffer?INSIDE, value ->
			inside = value;
			value = 0
	   }
	:: atomic {
		buffer?HEAD, value ->
			head = value;
			value = 0
	   }
	od
}

inline take_alone()
{
	d_step {
		alone = true;
		assert(visitors == 0)
	};
	if
	:: newest == TASKS
	:: else ->
		d_step {
			take(newest);
			newest++
		};
#ifdef MUTANT_E4_FIRST
		buffer!INSIDE, 0;
#endif
		buffer!HEAD, newest				/* E3 */
	fi;
	alone = false
}

/* A compare-and-swap. */
inline take_shared()
{
	atomic {
		empty(buffer) ->
		if
		:: head < TASKS ->
			take(head);
			head++
		:: else
		fi;
		newest = head
	}
}

inline look()
{
#ifdef MUTANT_E2_ANY_COUNT
	seen = owned					/* E2 */
#else
	seen = owned && guests == 0			/* E2 */
#endif
}

active proctype owner()
{
	byte acts;
	bool seen;

	do
	:: acts == ACTS -> break
	:: acts < ACTS -> acts++;
#ifdef MUTANT_E2_FIRST
		look();
		buffer!INSIDE, 1;
#else
		buffer!INSIDE, 1;				/* E1 */
		look();
#endif
		if
		:: seen ->
			/* Guests have moved the head since. */
			atomic {
				if
				:: empty(buffer) || !buffer??[HEAD, _] ->
					newest = head
				:: else
				fi
			};
			take_alone();
			buffer!INSIDE, 0			/* E4 */
		:: else ->
			buffer!INSIDE, 0;
			take_shared()
		fi;
		seen = false
	:: acts < ACTS -> acts++;			/* set: OWNED */
#ifdef MUTANT_SET_APART
		if
		:: guests == 0 ->
			atomic {
				empty(buffer);
				owned = true;
				guests = 0
			}
		:: else
		fi
#else
		atomic {
			empty(buffer);
			if
			:: guests == 0 -> owned = true
			:: else
			fi
		}
#endif
	:: acts < ACTS -> acts++;			/* set: SHARED */
		atomic {
			empty(buffer);
			if
			:: guests == 0 -> owned = false
			:: else
			fi
		}
	od
}

/* B1; `seen' is whether it was OWNED. */
inline come()
{
#ifdef MUTANT_B1_APART
	seen = owned;
	guests++
#else
	d_step {
		seen = owned;
#ifndef MUTANT_NO_COUNT
		guests++
#endif
	}
#endif
}

/* B2 to B4, or goes away. */
inline call()
{
#ifdef MUTANT_LOOK_FIRST
	inside == 0;
#endif
#ifdef MUTANT_B4_FIRST
	owned = false;
#endif
	if
#ifndef MUTANT_NO_BARRIER
	:: empty(buffer)				/* B2 */
#endif
#if defined MUTANT_FAILED_IS_ONE || defined MUTANT_NO_BARRIER
	:: true
#else
	:: goto away
#endif
	fi;
	if
#if defined MUTANT_NO_LOOK || defined MUTANT_LOOK_FIRST
	:: true
#else
	:: inside == 0					/* B3 */
#endif
	:: goto away
	fi;
	owned = false					/* B4 */
}

/* B5. */
inline leave()
{
#ifdef MUTANT_NO_COUNT
	skip
#else
	guests--
#endif
}

proctype guest()
{
	byte visits, at;
	bool seen;

	do
	:: visits == VISITS -> break
	:: else -> visits++;
		come();
		if
		:: seen -> call()
		:: else
		fi;
#ifdef MUTANT_B5_FIRST
		leave();
#endif
		d_step {
			visitors++;
			assert(!alone)
		};
		at = head;				/* T1 */
		atomic {				/* T4 */
			if
			:: head == at && at < TASKS ->
				take(at);
				head++
			:: else
			fi;
			at = 0
		};
		visitors--;
#ifdef MUTANT_B5_FIRST
		goto next;
#endif
away:		leave();				/* B5 */
next:		seen = false
	od
}

init {
	atomic {
		run guest();
		run guest()
	}
}
