/* SPDX-License-Identifier: MIT */

/*
 * lock.pml - the first-in first-out lock for tasks: lib/lock.c
 *
 * Sizes       Three tasks take the lock once each and release it; the wait of
 *             one may be ended by its deadline.
 *             6,800 states.
 *
 * Steps       take        co_lock_acquire, without the guard
 *             announce    take_or_announce, with it; acquire_slowly
 *             wait        enqueue, and co__strand_park with its hook: arm, then
 *                         release the guard (strand.pml has these in detail)
 *             withdraw    wait_for_turn, after a wait that ended otherwise
 *             release     co_lock_release, release_slowly, hand_over
 *
 * Proved      One has the lock at a time; nobody who waits is overtaken;
 *             nobody waits for a lock that is free; when the guard is free,
 *             WAITED is set if and only if somebody is in the list.
 *
 * MUTANT_ANNOUNCE_STORES  deadlock   WAITED is set without comparing
 * MUTANT_NO_RETAKE        deadlock   a lock found free under the guard is
 *                                     waited for
 * MUTANT_RELEASE_FREES    assertion  release makes it free though it is waited
 *                                    for
 * MUTANT_BLIND_HAND_OVER  assertion  it is handed to one who waits no more
 * MUTANT_BARGING          assertion  the heir is woken and the lock made free
 * MUTANT_KEEPS_WAITED     assertion  the last to be served leaves WAITED set
 * MUTANT_LEAVES_WAITED    assertion  so does the last to withdraw
 * MUTANT_NO_WITHDRAW      assertion  one whose deadline ended it stays in the
 *                                    list
 * MUTANT_ARM_LATE         deadlock   the guard is released before arming
 */

#define TASKS 3
#define HELD 1
#define WAITED 2

byte state;
bool guard;
byte list[TASKS];		/* oldest first: 1 + the task */
byte waiters;			/* in the list */
bool armed[TASKS];
bool ready[TASKS];
bool timed_out[TASKS];
bool in_call[TASKS];		/* ghost: its node in the list is there */
byte holders;			/* ghost */

inline lock_guard()
{
	atomic { !guard -> guard = true }
}

inline unlock_guard()
{
	atomic {
		assert(((state & WAITED) != 0) == (waiters != 0));
		guard = false
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

/* take_or_announce, to MINE; the guard is held. */
inline take_or_announce(mine)
{
	do
	:: seen = state;
	   if
	   :: seen & WAITED -> mine = false; break
#ifdef MUTANT_NO_RETAKE
	   :: seen == 0 -> mine = false; break
#else
	   :: seen == 0 -> atomic {
		if
		:: state == 0 -> state = HELD; mine = true; break
		:: else
		fi }
#endif
	   :: seen == HELD -> atomic {
		if
#ifdef MUTANT_ANNOUNCE_STORES
		:: true ->
#else
		:: state == HELD ->
#endif
			state = HELD | WAITED; mine = false; break
#ifndef MUTANT_ANNOUNCE_STORES
		:: else
#endif
		fi }
	   fi
	od;
	seen = 0
}

inline withdraw()
{
	atomic {
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
			waiters--;
#ifndef MUTANT_LEAVES_WAITED
			if
			:: waiters == 0 -> state = HELD
			:: else
			fi
#endif
		:: else
		fi;
		i = 0
	}
}

/* To MINE: whether it was got. */
inline acquire(mine)
{
	atomic {						/* take */
		mine = state == 0;
		assert(!mine || waiters == 0);	/* nobody is overtaken */
		state = (mine -> HELD : state)
	};
	if
	:: mine
	:: else ->
		lock_guard();
		take_or_announce(mine);
		if
		:: mine -> unlock_guard()
		:: else ->
			in_call[_pid] = true;
			list[waiters] = _pid + 1;
			waiters++;
#ifdef MUTANT_ARM_LATE
			guard = false;
			arm();
#else
			arm();
#ifdef MUTANT_NO_RETAKE
			guard = false;
#else
			unlock_guard();
#endif
#endif
			ready[_pid] -> ready[_pid] = false;
			mine = !timed_out[_pid];
#ifndef MUTANT_NO_WITHDRAW
			if
			:: mine
			:: else ->
				lock_guard();
				withdraw();
				unlock_guard()
			fi;
#endif
			in_call[_pid] = false
		fi
	fi
}

/* hand_over, to HEIR, 1 + a task, or 0; the guard is held. */
inline hand_over(heir, ok)
{
	do
	:: waiters == 0 -> state = 0; heir = 0; break
	:: else ->
		dequeue(heir);
		claim(heir - 1, ok);
#ifdef MUTANT_BLIND_HAND_OVER
		ok = true;
#endif
		if
		:: ok ->
#ifdef MUTANT_BARGING
			state = (waiters == 0 -> 0 : state);
#else
#ifndef MUTANT_KEEPS_WAITED
			if
			:: waiters == 0 -> state = HELD
			:: else
			fi;
#endif
#endif
			break
		:: else
		fi
	od;
	ok = false
}

inline release(heir, ok)
{
	atomic {
		seen = state;
#ifdef MUTANT_RELEASE_FREES
		state = 0
#else
		state = (seen == HELD -> 0 : seen)
#endif
	};
	assert(seen != 0);
#ifndef MUTANT_RELEASE_FREES
	if
	:: seen == HELD
	:: else ->
		lock_guard();
		if
		:: state == HELD -> state = 0
		:: else -> hand_over(heir, ok)
		fi;
		unlock_guard();
		if
		:: heir != 0 ->
			assert(!ready[heir - 1]);
			ready[heir - 1] = true;
			heir = 0
		:: else
		fi
	fi;
#endif
	seen = 0
}

active [TASKS] proctype task()
{
	byte seen, heir, i;
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
