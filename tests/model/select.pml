/* SPDX-License-Identifier: MIT */

/*
 * select.pml - one of several channel operations: lib/select.c
 *
 * Sizes       Two channels without room.  Two tasks face each other: one
 *             selects among getting from the first and putting to the second,
 *             the other among putting to the first and getting from the
 *             second.  A third puts to the first or gets from the second; so
 *             one of them stays.
 *             A cancellation may end the first task's wait.
 *             164,000 states.
 *
 * Steps       acquire_all, try_rest   all strands, waiting for the first only
 *             do_one                  claim a waiter of the other side
 *             park, hook              enqueue_all; arm_and_release_all, on
 *                                     another stack
 *             dequeue_all             each strand again; the waiters leave
 *
 * Proved      One case of a select happens, and the other side has done the
 *             same one; two that can meet don't both wait; no waiter is seen
 *             when its cases are gone; no deadlock.
 *
 * MUTANT_RELEASE_FIRST  assertion  the hook releases the strands, then arms
 * MUTANT_NO_DEQUEUE     assertion  who was served returns at once
 * MUTANT_DEQUEUE_BARE   assertion  waiters are taken out without the strands
 * MUTANT_HOOK_READS_ON  assertion  the hook looks for the next channel after it
 *                                  has released the last strand
 * MUTANT_TWO_CLAIMS     assertion  each case can be claimed by itself
 * MUTANT_ANY_ORDER      assertion  each waits for the strands in its own order
 * MUTANT_FIRST_ONLY     assertion  it looks with the first strand alone
 */

#define TASKS 3
#define NONE 9

bool strand[2];
/* Waiter 2 * t + c is that of task t in channel c. */
bool linked[2 * TASKS];
bool served[2 * TASKS];
bool armed[TASKS];
bool ready[TASKS];
bool parked[TASKS];
bool is_there[TASKS];		/* ghost: the cases */
bool is_waiting[TASKS];		/* ghost */
byte done[TASKS] = NONE;	/* ghost: the channel of the case */
byte puts[2], gets[2];		/* ghost: how often each happened */

/* Whether task T has a case for channel C, and which: task 0 gets from 0 and
 * puts to 1, task 1 the reverse; task 2 is like task 1 in one channel only. */
byte third;			/* the channel of task 2 */
bool has_begun;			/* it has been chosen */
#define HAS(t, c) (t != 2 || c == third)
#define PUTS(t, c) ((t == 0) == (c == 1))

inline acquire(c)
{
	atomic { !strand[c] -> strand[c] = true }
}

inline release_all(t)
{
	if
	:: HAS(t, 0) -> strand[0] = false
	:: else
	fi;
	if
	:: HAS(t, 1) -> strand[1] = false
	:: else
	fi
}

inline acquire_all(t)
{
#ifdef MUTANT_ANY_ORDER
	if
	:: t == 2 -> acquire(third)
	:: t == 1 -> acquire(1); acquire(0)
	:: else -> acquire(0); acquire(1)
	fi
#else
	do
	:: t == 2 -> acquire(third); break
	:: else ->
		acquire(0);
#ifdef MUTANT_FIRST_ONLY
		break
#else
		atomic {					/* try_rest */
			if
			:: !strand[1] -> strand[1] = true; break
			:: else
			fi
		};
		strand[0] = false;
		!strand[1]
#endif
	od
#endif
}

/* A waiter in channel C that task T can meet: to OTHER, or NONE. */
inline find_other(t, c, other)
{
	if
	:: HAS(t, c) && t != 0 && linked[c] -> other = 0
	:: HAS(t, c) && t == 0 && linked[2 + c] -> other = 1
	:: HAS(t, c) && t == 0 && linked[4 + c] -> other = 2
	:: else -> other = NONE
	fi
}

inline do_case(t, c)
{
	done[t] = c;
	if
	:: PUTS(t, c) -> puts[c]++
	:: else -> gets[c]++
	fi
}

/* The waiters of channel C that T can meet, one after the other. */
inline try_case(t, c, other)
{
	do
	:: done[t] != NONE -> break
	:: else ->
		find_other(t, c, other);
		if
		:: other == NONE -> break
		:: else
		fi;
		linked[2 * other + c] = false;
		assert(is_there[other]);
		atomic {					/* claim */
			if
#ifdef MUTANT_TWO_CLAIMS
			:: !served[2 * other + c] ->
#else
			:: armed[other] ->
#endif
				armed[other] = false;
				is_waiting[other] = false;
				assert(done[other] == NONE);
				do_case(t, c);
				do_case(other, c)
			:: else
			fi
		};
		if
		:: done[t] == c ->
			assert(is_there[other]);
			served[2 * other + c] = true;
			woken = other
		:: else
		fi
	od
}

inline dequeue(t, c)
{
	if
	:: !HAS(t, c)
	:: else ->
#ifndef MUTANT_DEQUEUE_BARE
		acquire(c);
#endif
		linked[2 * t + c] = false;
		served[2 * t + c] = false;
#ifndef MUTANT_DEQUEUE_BARE
		strand[c] = false
#endif
	fi
}

active [TASKS] proctype task()
{
	byte other = NONE, woken = NONE, c, tried;

	has_begun;
	is_there[_pid] = true;
	acquire_all(_pid);
	/* The lot decides which case is tried first. */
	if
	:: c = 0
	:: c = 1
	fi;
	do
	:: tried == 2 -> break
	:: else ->
		try_case(_pid, c, other);
		c = 1 - c;
		tried++
	od;
	if
	:: done[_pid] != NONE ->
		release_all(_pid);
		assert(!ready[woken]);
		ready[woken] = true;
		woken = NONE
	:: else ->
		atomic {				/* enqueue_all */
			linked[2 * _pid] = HAS(_pid, 0);
			linked[2 * _pid + 1] = HAS(_pid, 1);
			is_waiting[_pid] = true;
			parked[_pid] = true
		};
end:		atomic { ready[_pid] -> ready[_pid] = false };
#ifndef MUTANT_NO_DEQUEUE
		dequeue(_pid, 0);
		dequeue(_pid, 1)
#endif
	fi;
	is_there[_pid] = false
}

/* arm_and_release_all, of task T. */
inline arm_and_release_all(t)
{
	parked[t] ->
#ifdef MUTANT_RELEASE_FIRST
	release_all(t);
	armed[t] = true
#else
	armed[t] = true;
	if
	:: HAS(t, 0) ->
		assert(is_there[t]);
		strand[0] = false
	:: else
	fi;
	if
	:: HAS(t, 1) ->
		assert(is_there[t]);
		strand[1] = false
	:: else
	fi
#endif
#ifdef MUTANT_HOOK_READS_ON
	; assert(is_there[t])
#endif
}

active [TASKS] proctype hook()
{
end:	arm_and_release_all((_pid - TASKS))
}

active proctype canceller()
{
	if
	:: true
	:: true ->
end:		atomic { armed[0] -> armed[0] = false; is_waiting[0] = false };
		assert(!ready[0]);
		ready[0] = true
	fi
}

/* When nothing more happens, nobody waits who could meet another that does. */
active proctype judge()
{
	timeout ->
	assert(puts[0] == gets[0] && puts[1] == gets[1]);
	assert(!is_waiting[0] || !(is_waiting[1] || is_waiting[2]));
	/* Nobody is about to get or to lose a strand. */
	assert(!strand[0] && !strand[1])
}

init {
	if
	:: third = 0
	:: third = 1
	fi;
	has_begun = true
}
