/* SPDX-License-Identifier: MIT */

/*
 * strand.pml - a task parks with a strand held: lib/strand.h, lib/strand.c, and
 *              wait_in of lib/channel.c as its user
 *
 * Sizes       A task takes two items from an object; two others give one each;
 *             a cancellation may end one of its waits; then it asks again.
 *             1,600 states.
 *
 * Steps       acquire     co__strand_acquire; its waiting is a statement that
 *                         blocks
 *             park        co__strand_park: the task leaves its stack
 *             hook        arm_and_release, on another stack, while who claims
 *                         the task may let it run already
 *             withdraw    what wait_in does after a wait that ended otherwise
 *
 * Proved      One at a time has the strand; nobody sees a waiter that isn't
 *             waiting, or is gone; no item is lost and no wake-up; the task
 *             does not run before it has left its stack.
 *
 * MUTANT_TEST_THEN_SET   assertion  the strand is taken by a look and a store
 * MUTANT_RELEASE_FIRST   deadlock   the hook releases the strand, then arms
 * MUTANT_ARM_ON_STACK    assertion  the task arms its wait before it has left
 * MUTANT_ARGUMENT_LATE   assertion  the hook looks into its argument once more
 *                                   after it has released the strand
 * MUTANT_NO_WITHDRAW     assertion  a wait that was cancelled leaves its waiter
 * MUTANT_WITHDRAW_BARE   assertion  it is taken out without the strand
 * MUTANT_MOVE_FIRST      deadlock   the item is moved before the claim
 */

#define GIVERS 2

bool strand;
byte holders;			/* ghost */
byte items;			/* that nobody waited for; strand */
bool linked;			/* the waiter is in the list; strand */
byte ticket;			/* of the waiter */
bool is_there;			/* ghost: the waiter, on the task's stack */
bool on_stack = true;		/* ghost: the task is */
bool armed;
byte epoch;
bool ready;
bool cancelled;			/* outcome */
bool parked;			/* for the hook */

inline acquire()
{
#ifdef MUTANT_TEST_THEN_SET
	!strand;
	strand = true;
#else
	atomic { !strand -> strand = true };
#endif
	atomic { holders++; assert(holders == 1) }
}

inline release()
{
	atomic { holders--; strand = false }
}

/* co__wait_claim, to OK. */
inline claim(number, ok)
{
	atomic {
		ok = armed && epoch == number;
		if
		:: ok -> armed = false; epoch++
		:: else
		fi
	}
}

inline make_ready()
{
	assert(!ready && !on_stack);
	ready = true
}

active proctype hook()
{
end:	do
	:: atomic { parked -> parked = false };
#ifdef MUTANT_RELEASE_FIRST
	   release();
	   armed = true
#else
#ifndef MUTANT_ARM_ON_STACK
	   armed = true;
#endif
	   release()
#endif
#ifdef MUTANT_ARGUMENT_LATE
	   ; assert(is_there)
#endif
	od
}

/* One item, to GOT. */
inline get(got)
{
	acquire();
	if
	:: items > 0 -> items--; got = true; release()
	:: else ->
		atomic { is_there = true; ticket = epoch; linked = true };
#ifdef MUTANT_ARM_ON_STACK
		armed = true;
#endif
		atomic { on_stack = false; parked = true };
		atomic { ready -> ready = false; on_stack = true };
		got = !cancelled;
		if
		:: got
		:: else ->
			cancelled = false;
#ifndef MUTANT_NO_WITHDRAW
#ifdef MUTANT_WITHDRAW_BARE
			linked = false
#else
			acquire();
			linked = false;
			release()
#endif
#endif
		fi;
		is_there = false
	fi
}

active proctype task()
{
	byte n;
	bool got;

	do
	:: n == GIVERS -> break
	:: else ->
		get(got);
		if
		:: got -> n++
		:: else
		fi;
		got = false
	od
}

active [GIVERS] proctype giver()
{
	bool ok;

	acquire();
	if
	:: linked ->
		linked = false;
		assert(is_there);
		claim(ticket, ok);
		if
		:: ok -> assert(is_there)
#ifdef MUTANT_MOVE_FIRST
		:: else
#else
		:: else -> items++
#endif
		fi
	:: else -> items++
	fi;
	release();
	if
	:: ok -> make_ready()
	:: else
	fi
}

active proctype canceller()
{
end:	atomic { armed -> armed = false; epoch++ };
	cancelled = true;
	make_ready()
}
