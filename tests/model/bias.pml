/* SPDX-License-Identifier: MIT */

/*
 * bias.pml - an owner that is alone most of the time, and its guests:
 *            lib/bias.h, with the tasks of lib/runq.h behind the door
 *
 * Sizes       Four tasks.  The owner does 4 things of its choice: it takes a
 *             task, or makes itself alone, or all welcome.  Two guests come
 *             twice each.  A barrier may fail, and a guest go away instead of
 *             waiting.
 *             660,000 states.
 *
 * Steps       E1 ... E4   co__bias_enter, co__near_pick_alone, co__bias_leave
 *             B1 ... B4   call of lib/bias.c
 *             set         co__bias_set
 *             rob         co__runq_rob, as far as it matters: T1 and T4
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
 * MUTANT_NO_CALL       assertion  no B1
 * MUTANT_NO_LOOK       assertion  no B3
 * MUTANT_LOOK_FIRST    assertion  B3 before B2
 * MUTANT_B4_FIRST      assertion  B4 before B3: who goes away leaves it so
 * MUTANT_E2_FIRST      assertion  E2 before E1
 * MUTANT_E4_FIRST      assertion  E4 before the store of E3
 * MUTANT_SET_UNLOCKED  assertion  set doesn't ask whether a guest is inside
 * MUTANT_STAY_UNLOCKED assertion  a guest is inside without `guests'
 */

#define SHARED 0
#define CALLED 1
#define OWNED 2

#define TASKS 4
#define ACTS 4
#define VISITS 2

#define INSIDE 0
#define HEAD 1

byte mode = OWNED;
bool inside, guests;
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

active proctype owner()
{
	byte acts, seen;

	do
	:: acts == ACTS -> break
	:: acts < ACTS -> acts++;
#ifdef MUTANT_E2_FIRST
		seen = mode;
		buffer!INSIDE, 1;
#else
		buffer!INSIDE, 1;				/* E1 */
		seen = mode;					/* E2 */
#endif
		if
		:: seen == OWNED ->
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
		seen = 0
	:: acts < ACTS -> acts++;			/* set: OWNED */
		atomic {
			empty(buffer);
			if
#ifdef MUTANT_SET_UNLOCKED
			:: true -> mode = OWNED
#else
			:: !guests -> mode = OWNED
			:: else
#endif
			fi
		}
	:: acts < ACTS -> acts++;			/* set: SHARED */
		atomic {
			empty(buffer);
			if
			:: !guests -> mode = SHARED
			:: else
			fi
		}
	od
}

/* B1 to B4, or goes away. */
inline call()
{
#ifndef MUTANT_NO_CALL
	mode = CALLED;					/* B1 */
#endif
#ifdef MUTANT_LOOK_FIRST
	inside == 0;
#endif
#ifdef MUTANT_B4_FIRST
	mode = SHARED;
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
	mode = SHARED					/* B4 */
}

proctype guest()
{
	byte visits, seen;

	do
	:: visits == VISITS -> break
	:: else -> visits++;
		atomic {
			if
			:: guests -> goto next
			:: else -> guests = true
			fi
		};
		if
		:: mode != SHARED -> call()
		:: else
		fi;
#ifdef MUTANT_STAY_UNLOCKED
		guests = false;
#endif
		d_step {
			visitors++;
			assert(!alone)
		};
		seen = head;				/* T1 */
		atomic {				/* T4 */
			if
			:: head == seen && seen < TASKS ->
				take(seen);
				head++
			:: else
			fi;
			seen = 0
		};
		visitors--;
away:
#ifndef MUTANT_STAY_UNLOCKED
		guests = false;
#endif
next:		skip
	od
}

init {
	atomic {
		run guest();
		run guest()
	}
}
