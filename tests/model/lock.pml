/* SPDX-License-Identifier: MIT */

/*
 * lock.pml - the first-in first-out lock for tasks: lib/lock.c
 *
 * Sizes       Three tasks take the lock once each and release it; the wait of
 *             one may be ended by its deadline.
 *             4,200 states.
 *
 * Steps       acquire     acquire_held, with the strand
 *             wait        enqueue, and co__strand_park with its hook: arm, then
 *                         release the strand (strand.pml has these in detail)
 *             withdraw    wait_for_turn, after a wait that ended otherwise
 *             release     release_held, hand_over
 *
 * Proved      One has the lock at a time; nobody who waits is overtaken;
 *             nobody waits for a lock that is free, when the strand is.
 *
 * MUTANT_LOOK_BARE        deadlock   whether it is held is found out before the
 *                                    strand is taken
 * MUTANT_TAKE_BARE        assertion  so it is taken
 * MUTANT_RELEASE_FREES    assertion  release makes it free though it is waited
 *                                    for
 * MUTANT_BLIND_HAND_OVER  assertion  it is handed to one who waits no more
 * MUTANT_BARGING          assertion  the heir is woken and the lock made free
 * MUTANT_STAYS_HELD       deadlock   it stays held when nobody waits any more
 * MUTANT_NO_WITHDRAW      assertion  one whose deadline ended it stays in the
 *                                    list
 * MUTANT_WITHDRAW_BARE    assertion  it leaves the list without the strand
 * MUTANT_ARM_LATE         deadlock   the strand is released before arming
 */

#define TASKS 3

bool held;			/* strand */
bool strand;
byte list[TASKS];		/* oldest first: 1 + the task */
byte waiters;			/* in the list */
bool armed[TASKS];
bool ready[TASKS];
bool timed_out[TASKS];
bool in_call[TASKS];		/* ghost: its node in the list is there */
byte holders;			/* ghost */

inline take_strand()
{
	atomic { !strand -> strand = true }
}

inline release_strand()
{
	atomic {
		assert(held || waiters == 0);
		strand = false
	}
}

inline dequeue(who)
{
	who = list[0];
	list[0] = list[1];
	list[1] = list[2];
	list[2] = 0;
	waiters--;
	assert(in_call[who - 1])
}

/* co__wait_claim, to OK. */
inline claim(who, ok)
{
	atomic {
		assert(in_call[who]);
		ok = armed[who];
		armed[who] = false
	}
}

inline arm()
{
	armed[_pid] = true
}

/* A task at a time may be here: so it looks, and then changes the list. */
inline withdraw()
{
	i = 0;
	do
	:: i < waiters && list[i] != _pid + 1 -> i++
	:: else -> break
	od;
	if
	:: i < waiters ->
		do
		:: i < TASKS - 1 -> list[i] = list[i + 1]; i++
		:: else -> break
		od;
		list[TASKS - 1] = 0;
		waiters--
	:: else
	fi;
	i = 0
}

inline wait_for_turn(mine)
{
	in_call[_pid] = true;
	list[waiters] = _pid + 1;
	waiters++;
#ifdef MUTANT_ARM_LATE
	release_strand();
	arm();
#else
	arm();
#ifdef MUTANT_LOOK_BARE
	strand = false;
#else
	release_strand();
#endif
#endif
	ready[_pid] -> ready[_pid] = false;
	mine = !timed_out[_pid];
#ifndef MUTANT_NO_WITHDRAW
	if
	:: mine
	:: else ->
#ifdef MUTANT_WITHDRAW_BARE
		withdraw()
#else
		take_strand();
		withdraw();
		release_strand()
#endif
	fi;
#endif
	in_call[_pid] = false
}

/* To MINE: whether it was got. */
inline acquire(mine)
{
#if defined MUTANT_LOOK_BARE || defined MUTANT_TAKE_BARE
	mine = !held;
#endif
	take_strand();
#if !defined MUTANT_LOOK_BARE && !defined MUTANT_TAKE_BARE
	mine = !held;
#endif
#ifdef MUTANT_LOOK_BARE
	mine = mine && !held;
#endif
	if
	:: mine ->
		assert(waiters == 0);	/* nobody is overtaken */
		held = true;
		release_strand()
	:: else -> wait_for_turn(mine)
	fi
}

/* hand_over, to HEIR, 1 + a task, or 0; the strand is held. */
inline hand_over(heir, ok)
{
	do
	:: waiters == 0 ->
#ifndef MUTANT_STAYS_HELD
		held = false;
#endif
		heir = 0;
		break
	:: else ->
		dequeue(heir);
		claim(heir - 1, ok);
#ifdef MUTANT_BLIND_HAND_OVER
		ok = true;
#endif
		if
		:: ok ->
#ifdef MUTANT_BARGING
			held = waiters != 0;
#endif
			break
		:: else
		fi
	od;
	ok = false
}

inline release(heir, ok)
{
	take_strand();
	assert(held);
#ifdef MUTANT_RELEASE_FREES
	held = false;
#else
	hand_over(heir, ok);
#endif
	release_strand();
	if
	:: heir != 0 ->
		assert(!ready[heir - 1]);
		ready[heir - 1] = true;
		heir = 0
	:: else
	fi
}

active [TASKS] proctype task()
{
	byte heir, i;
	bool mine, ok;

	acquire(mine);
	if
	:: mine ->
		atomic { holders++; assert(holders == 1) };
		holders--;
		release(heir, ok)
	:: else
	fi
}

/* The deadline of the first task, which may be late. */
active proctype timer()
{
end:	atomic { armed[0] -> armed[0] = false; timed_out[0] = true };
	ready[0] = true
}
