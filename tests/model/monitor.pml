/* SPDX-License-Identifier: MIT */

/*
 * monitor.pml - what a worker keeps for itself, and who takes it from one that
 *               doesn't come to it: lib/monitor.c, lib/near.h, lib/find.c
 *
 * Sizes       Two workers: B does three things of its choice, and then computes
 *             until nothing is left in its slot and its queue of one; I is idle.
 *             A monitor.  Either B is fine (see Sharing in worker.h) or not,
 *             and its slot is open for none of its wake-ups or for the first.
 *             320,000 states.
 *
 * Steps       R1          end_idle (idle.c): leaves the list of the idle
 *             R2          co__monitor_rouse
 *             M1 M2       sleep_long
 *             L1 L2 L3    is_stuck
 *             L4          co__idle_wake_one
 *             K1          co__near_count
 *             K2 K3       co__ready: the slot, and the queue
 *             S1 S2       rob: from the queue, and from the slot
 *             I1 I2 I3    co__idle_sleep, as in idle.pml
 *             An ordered access is what the statements' order says.
 *
 * Proved      Whatever B keeps for itself when it computes is taken by I: of two
 *             looks of the monitor the second wakes it, and it doesn't sleep
 *             again before it has all.  The monitor doesn't sleep for long while
 *             a worker runs.
 *
 * MUTANT_R2_FIRST    deadlock   B looks for the monitor before it leaves the list
 * MUTANT_NO_M2       deadlock   the monitor sleeps without one more look
 * MUTANT_NO_L2       assertion  what is seen isn't kept for the next look
 * MUTANT_QUEUE_ONLY  assertion  the monitor doesn't look at the slot
 * MUTANT_NO_L3       assertion  a worker that is stuck isn't marked
 * MUTANT_SLOT_TABOO  assertion  thieves don't take from the slot
 * MUTANT_ALL_TABOO   assertion  nor what has run, though its owner is stuck
 */

#define NOBODY 255
#define ACTS 3

byte idle = 2;			/* the workers in the list */
bool sleeps = true;		/* I is one of them */
byte searching;
bool signal;			/* I's semaphore */
bool asleep;			/* the monitor, for long */

byte switches, stuck_at = NOBODY, seen_at = NOBODY;	/* B's */
bool slot, queue, fine;
byte eager;
bool computes, over;		/* ghost */
bool waits = true;		/* ghost: I looks no more before a signal */
byte vain;			/* ghost: looks in vain */

#define has_work (slot || queue)
#define is_stuck (stuck_at == switches)
#ifdef MUTANT_ALL_TABOO
#define shares (!fine)
#else
#define shares (!fine || is_stuck)
#endif
#ifdef MUTANT_SLOT_TABOO
#define may_take_slot false
#else
#define may_take_slot (slot && (is_stuck || eager > 0))
#endif

/* Under the lock of the list; I counts as searching. */
inline wake_one()
{
	atomic {
		if
		:: searching == 0 && sleeps ->
			searching++;
			sleeps = false;
			idle--;
			signal = true
		:: else
		fi
	}
}

inline rouse()
{
	if
	:: asleep -> asleep = false			/* R2 */
	:: else
	fi
}

proctype busy()
{
	byte acts;

	if
	:: fine = true
	:: true
	fi;
	if
	:: eager = 2
	:: true
	fi;
#ifdef MUTANT_R2_FIRST
	rouse();
	idle--;
#else
	idle--;						/* R1 */
	rouse();
#endif
	do
	:: acts < ACTS -> acts++;
		atomic {				/* K1 */
			switches++;
			if
			:: slot -> slot = false
			:: !slot && queue -> queue = false
			:: else
			fi
		}
	:: acts < ACTS && !slot -> acts++;
		slot = true;				/* K2 */
		if
		:: eager > 0 ->
			eager--;
			if
			:: eager > 0 && idle > 0 -> wake_one()
			:: else
			fi
		:: else
		fi
	:: acts < ACTS && !queue -> acts++;
		queue = true;				/* K3 */
		if
		:: shares && idle > 0 -> wake_one()
		:: else
		fi
	:: break
	od;
	computes = true;
	!has_work;
	computes = false;
	over = true
}

proctype other()
{
	do
	:: signal ->
		atomic { signal = false; waits = false };
		rouse();
search:		do
		:: atomic { queue && shares -> queue = false }	/* S1 */
		:: atomic { may_take_slot -> slot = false }	/* S2 */
		:: else -> break
		od;
		atomic { idle++; sleeps = true };	/* I1 */
		searching--;				/* I2 */
		atomic {				/* I3 */
			if
			:: (queue && shares) || may_take_slot ->
				if
				:: sleeps ->
					sleeps = false;
					idle--;
					searching++;
					goto search
				:: else		/* a signal is owed */
				fi
			:: else ->
				assert(!(computes && has_work && is_stuck));
				waits = true
			fi
		}
	:: over -> break
	od
}

proctype monitor()
{
	byte seen;
	bool late, stuck;

	do
	:: over -> break
	:: !over && idle == 2 ->			/* QUIET times */
		asleep = true;				/* M1 */
#ifndef MUTANT_NO_M2
		if
		:: idle == 2				/* M2 */
#endif
			-> (!asleep || over)
#ifndef MUTANT_NO_M2
		:: else
		fi
#endif
		;
		asleep = false
	:: !over ->
		atomic {
			late = computes && has_work && waits;
			seen = switches			/* L1 */
		};
#ifdef MUTANT_QUEUE_ONLY
		stuck = seen == seen_at && queue;
#else
		stuck = seen == seen_at && has_work;
#endif
#ifndef MUTANT_NO_L2
		seen_at = seen;				/* L2 */
#endif
		if
		:: stuck ->
#ifndef MUTANT_NO_L3
			stuck_at = seen;		/* L3 */
#endif
			if
			:: idle > 0 -> wake_one()	/* L4 */
			:: else
			fi
		:: else
		fi;
		atomic {
			if
			:: late && computes && has_work && waits && !signal ->
				vain++;
				assert(vain < 2)
			:: else
			fi;
			late = false;
			seen = 0
		}
	od
}

init {
	atomic {
		run busy();
		run other();
		run monitor()
	}
}
